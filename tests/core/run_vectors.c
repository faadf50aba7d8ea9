// Feeds every vector of the given file (its format: tests/vectors) to the decoder in wscore.c:
// whole, in pieces of 1 to 16 bytes and in two pieces split anywhere, and compares the events.
// Then every decoded event is encoded again and must come back.
//
//     run_vectors tests/vectors
#include "feed.h"

// A longer wire is split only at its first and last SPLIT_EDGE bytes.
#define WHOLE_WIRE (4096)
#define SPLIT_EDGE (300)

typedef struct {
    const char *name;
    int role;
    uint32_t limit;
    bytes_t wire;
    bytes_t log;                // expected
    size_t error_at;            // 0: the vector ends without an error
} vector_t;

// Reading the file

static void bad_line(unsigned line, const char *why) {
    fprintf(stderr, "line %u: %s\n", line, why);
    exit(2);
}

static char *trim(char *s) {
    while (*s == ' ') {
        ++s;
    }
    char *end = s + strlen(s);
    while (end > s && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r')) {
        *--end = '\0';
    }
    return s;
}

// Cuts s at the first separator; returns what follows it, NULL if there is none.
static char *cut(char *s, char separator) {
    char *end = strchr(s, separator);
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    return end + 1;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *digit = c == '\0' ? NULL : strchr(digits, c);
    return digit == NULL ? -1 : (int)(digit - digits);
}

// Groups of hex digits, `61*125` repeats one.
static void parse_hex(bytes_t *b, char *s, unsigned line) {
    for (char *next; s != NULL; s = next) {
        next = cut(s, ' ');
        char *times = cut(s, '*');
        unsigned long count = times == NULL ? 1 : strtoul(times, NULL, 10);
        bytes_t group = { NULL, 0, 0 };
        for (; *s != '\0'; s += 2) {
            int high = hex_digit(s[0]);
            int low = high < 0 ? -1 : hex_digit(s[1]);
            if (low < 0) {
                bad_line(line, "not hex digits");
            }
            uint8_t byte = (uint8_t)(high << 4 | low);
            append(&group, &byte, 1);
        }
        while (count-- != 0) {
            append(b, group.data, group.len);
        }
        free(group.data);
    }
}

static int parse_kind(const char *name, unsigned line) {
    for (size_t kind = 0; kind < KINDS; ++kind) {
        if (kind_names[kind] != NULL && strcmp(kind_names[kind], name) == 0) {
            return (int)kind;
        }
    }
    bad_line(line, "unknown event");
    return 0;
}

static void parse_event(vector_t *v, char *s, unsigned line) {
    char *rest = cut(s, ' ');
    int kind = parse_kind(s, line);
    unsigned code = 0;
    if (kind == ERROR || kind == WS_CLOSE) {
        if (rest == NULL) {
            bad_line(line, "no code");
        }
        code = (unsigned)strtoul(rest, &rest, 10);
        rest = trim(rest);
    }
    if (kind == ERROR) {
        if (*rest != '@') {
            bad_line(line, "no @N");
        }
        v->error_at = strtoul(rest + 1, NULL, 10);
        rest = NULL;
    }
    bytes_t data = { NULL, 0, 0 };
    parse_hex(&data, rest, line);
    log_event(&v->log, kind, code, data.data, data.len);
    free(data.data);
}

static void parse_vector(vector_t *v, char *s, unsigned line) {
    char *fields[5];
    for (int i = 0; i < 5; ++i) {
        if (s == NULL) {
            bad_line(line, "fewer than 5 fields");
        }
        fields[i] = s;
        s = cut(s, '|');
        fields[i] = trim(fields[i]);
    }
    *v = (vector_t) { .name = fields[0] };
    if (strcmp(fields[1], "client") != 0 && strcmp(fields[1], "server") != 0) {
        bad_line(line, "the role is client or server");
    }
    v->role = fields[1][0] == 'c' ? WS_CLIENT : WS_SERVER;
    v->limit = fields[2][0] == '-' ? 0x7fffffff : (uint32_t)strtoul(fields[2], NULL, 10);
    parse_hex(&v->wire, fields[3], line);
    if (v->wire.len == 0) {
        bad_line(line, "no bytes");
    }
    for (char *event = *fields[4] == '\0' ? NULL : fields[4]; event != NULL;) {
        char *next = cut(event, ';');
        parse_event(v, trim(event), line);
        event = next;
    }
}

// Running

// Feeds a vector in pieces of `size` bytes.
static void run_pieces(run_t *r, const vector_t *v, size_t size, size_t phase) {
    run_init(r, v->name, v->role, v->limit);
    for (size_t at = 0; at < v->wire.len; at += size) {
        size_t left = v->wire.len - at;
        feed(r, v->wire.data + at, left < size ? left : size, phase);
    }
    check_log(r, &v->log, "pieces of", size);
    // In the piece that holds the byte which makes the input wrong.
    size_t expected_at = (v->error_at + size - 1) / size * size;
    if (expected_at > v->wire.len) {
        expected_at = v->wire.len;
    }
    CHECK(r->error_at == expected_at, "%s, pieces of %u: error @%u, expected @%u", r->name,
        (unsigned)size, (unsigned)r->error_at, (unsigned)expected_at);
}

static void run_split(run_t *r, const vector_t *v, size_t split) {
    run_init(r, v->name, v->role, v->limit);
    feed(r, v->wire.data, split, split & 3);
    feed(r, v->wire.data + split, v->wire.len - split, split >> 2 & 3);
    check_log(r, &v->log, "split at", split);
    size_t expected_at = v->error_at == 0 ? 0 : v->error_at <= split ? split : v->wire.len;
    CHECK(r->error_at == expected_at, "%s, split at %u: error @%u", r->name, (unsigned)split,
        (unsigned)r->error_at);
}

static void run_vector(run_t *r, const vector_t *v) {
    size_t len = v->wire.len;
    for (size_t phase = 0; phase < 4; ++phase) {
        run_pieces(r, v, len, phase);
        run_pieces(r, v, 1, phase);
    }
    for (size_t size = 2; size <= 16; ++size) {
        run_pieces(r, v, size, size & 3);
    }
    for (size_t split = 1; split < len; ++split) {
        if (len > WHOLE_WIRE && split == SPLIT_EDGE) {
            split = len - SPLIT_EDGE;
        }
        run_split(r, v, split);
    }
}

static void run_round_trips(run_t *r, const vector_t *v) {
    for (size_t at = 0; at < v->log.len;) {
        const uint8_t *record = v->log.data + at;
        if (record[0] != ERROR) {
            run_round_trip(r, v->name, record, WS_CLIENT);
            run_round_trip(r, v->name, record, WS_SERVER);
        }
        at += RECORD_HEAD + record_len(record);
    }
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: run_vectors FILE\n");
        return 2;
    }
    static char text[1 << 20];
    run_t run;
    memset(&run, 0, sizeof(run));
    unsigned vectors = 0;
    for (unsigned line = 1; fgets(text, sizeof(text), file) != NULL; ++line) {
        if (strchr(text, '\n') == NULL) {
            bad_line(line, "too long, or without an end");
        }
        char *s = trim(text);
        if (*s == '#' || *s == '\0') {
            continue;
        }
        vector_t vector;
        parse_vector(&vector, s, line);
        run_vector(&run, &vector);
        run_round_trips(&run, &vector);
        free(vector.wire.data);
        free(vector.log.data);
        ++vectors;
    }
    fclose(file);
    run_free(&run);
    CHECK(vectors != 0, "no vector in %s", argv[1]);
    printf("%u vectors\n", vectors);
    return check_report();
}
