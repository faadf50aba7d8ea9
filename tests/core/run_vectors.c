// Feeds every vector of the given file (its format: tests/vectors) to the decoder in wscore.c:
// whole, in pieces of 1 to 16 bytes and in two pieces split anywhere, and compares the events.
// Then every decoded event is encoded again and must come back.
//
//     run_vectors tests/vectors
//
// A piece lies in a block of exactly its size, so that the sanitizer sees a byte too many.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "wscore.h"

// A longer wire is split only at its first and last SPLIT_EDGE bytes.
#define WHOLE_WIRE (4096)
#define SPLIT_EDGE (300)

#define GUARD (0xa5)

// The kind of an event in a log is its opcode, or:
#define ERROR (0)

static const char *const kind_names[] = {
    [ERROR] = "error", [WS_TEXT] = "text", [WS_BINARY] = "binary",
    [WS_CLOSE] = "close", [WS_PING] = "ping", [WS_PONG] = "pong",
};

#define KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

typedef struct {
    uint8_t *data;
    size_t len;
    size_t size;
} bytes_t;

typedef struct {
    const char *name;
    int role;
    uint32_t limit;
    bytes_t wire;
    bytes_t log;                // expected
    size_t error_at;            // 0: the vector ends without an error
} vector_t;

// One pass of a wire through the decoder.
typedef struct {
    const char *name;
    ws_decoder_t decoder;
    bytes_t log;
    bytes_t message;
    bytes_t control;
    int in_payload;
    size_t fed;                 // bytes, including those of the current piece
    size_t error_at;            // `fed` when an error was reported, else 0
} run_t;

// Bytes and logs

static void append(bytes_t *b, const uint8_t *data, size_t len) {
    if (b->len + len > b->size) {
        b->size = 2 * (b->len + len);
        b->data = realloc(b->data, b->size);
        if (b->data == NULL) {
            fprintf(stderr, "out of memory\n");
            exit(2);
        }
    }
    if (len != 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
}

static int same(const bytes_t *a, const bytes_t *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

// A record of a log: kind, code (2 bytes), length (4 bytes), data.  The code of a close event
// and of an error; 0 otherwise.
#define RECORD_HEAD (7)

static void log_event(bytes_t *log, int kind, unsigned code, const uint8_t *data, size_t len) {
    uint8_t head[RECORD_HEAD] = {
        (uint8_t)kind, (uint8_t)(code >> 8), (uint8_t)code,
        (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
    };
    append(log, head, RECORD_HEAD);
    append(log, data, len);
}

static unsigned record_code(const uint8_t *record) {
    return (unsigned)record[1] << 8 | record[2];
}

static size_t record_len(const uint8_t *record) {
    return (size_t)record[3] << 24 | (size_t)record[4] << 16 | (size_t)record[5] << 8 | record[6];
}

static void log_print(const char *title, const bytes_t *log) {
    printf("    %s:", title);
    for (size_t at = 0; at < log->len;) {
        const uint8_t *record = log->data + at;
        size_t len = record_len(record);
        printf(" %s", kind_names[record[0]]);
        if (record_code(record) != 0) {
            printf(" %u", record_code(record));
        }
        for (size_t i = 0; i < len && i < 40; ++i) {
            printf("%s%02x", i == 0 ? " " : "", record[RECORD_HEAD + i]);
        }
        printf("%s", len > 40 ? "...;" : ";");
        at += RECORD_HEAD + len;
    }
    printf("\n");
}

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

static void run_init(run_t *r, const char *name, int role, uint32_t limit) {
    r->name = name;
    // The decoder may expect nothing of what was in its memory.
    memset(&r->decoder, GUARD, sizeof(r->decoder));
    ws_decoder_init(&r->decoder, role, limit);
    r->log.len = r->message.len = r->control.len = 0;
    r->in_payload = 0;
    r->fed = 0;
    r->error_at = 0;
}

static void run_free(run_t *r) {
    free(r->log.data);
    free(r->message.data);
    free(r->control.data);
}

static void on_error(run_t *r, int result) {
    log_event(&r->log, ERROR, (unsigned)-result, NULL, 0);
    r->error_at = r->fed;

    // Sticky, in both functions.
    uint8_t good[] = { 0x81, 0x00 };
    size_t used;
    CHECK(ws_decode_header(&r->decoder, good, 2, &used) == result, "%s", r->name);
    CHECK(ws_decode_payload(&r->decoder, good, 0) == result, "%s", r->name);
    CHECK(ws_decode_header(&r->decoder, good, 2, &used) == result, "%s", r->name);
}

static void on_header(run_t *r) {
    const ws_decoder_t *d = &r->decoder;
    CHECK(d->frame_left == d->frame_len, "%s", r->name);
    if (d->opcode >= WS_CLOSE) {
        CHECK(d->first == 1 && d->fin == 1, "%s", r->name);
        CHECK(d->frame_len <= WS_CONTROL_MAX, "%s", r->name);
        r->control.len = 0;
    } else {
        CHECK(d->opcode == WS_TEXT || d->opcode == WS_BINARY, "%s", r->name);
        if (d->first) {
            r->message.len = 0;
        }
        CHECK(d->message_len == r->message.len + d->frame_len, "%s", r->name);
    }
    r->in_payload = 1;
}

static void on_frame(run_t *r) {
    const ws_decoder_t *d = &r->decoder;
    const bytes_t *b = &r->control;
    CHECK(d->frame_left == 0, "%s", r->name);
    if (d->opcode == WS_CLOSE) {
        size_t skip = b->len == 0 ? 0 : 2;
        log_event(&r->log, WS_CLOSE, d->close_code, b->data + skip, b->len - skip);
    } else if (d->opcode > WS_CLOSE) {
        log_event(&r->log, d->opcode, 0, b->data, b->len);
    } else if (d->fin) {
        log_event(&r->log, d->opcode, 0, r->message.data, r->message.len);
    }
    r->in_payload = 0;
}

// Decodes what lies in piece[0..len), a copy of source[0..len).
static void decode(run_t *r, uint8_t *piece, const uint8_t *source, size_t len) {
    ws_decoder_t *d = &r->decoder;
    size_t at = 0;
    for (;;) {
        if (!r->in_payload) {
            size_t used = len - at + 1;
            int result = ws_decode_header(d, piece + at, len - at, &used);
            if (result < 0) {
                on_error(r, result);
                return;
            }
            CHECK(used <= len - at, "%s", r->name);
            at += used;
            if (result == WS_MORE) {
                CHECK(at == len, "%s", r->name);
                return;
            }
            on_header(r);
        }
        size_t n = len - at < d->frame_left ? len - at : d->frame_left;
        uint32_t left = d->frame_left;
        int result = ws_decode_payload(d, piece + at, n);
        if (result < 0) {
            on_error(r, result);
            return;
        }
        CHECK(d->frame_left == left - n, "%s", r->name);
        CHECK(result == (d->frame_left == 0 ? WS_DONE : WS_MORE), "%s", r->name);
        append(d->opcode >= WS_CLOSE ? &r->control : &r->message, piece + at, n);
        at += n;
        CHECK(at == len || memcmp(piece + at, source + at, len - at) == 0,
            "%s: bytes after the frame changed", r->name);
        if (result == WS_MORE) {
            CHECK(at == len, "%s", r->name);
            return;
        }
        on_frame(r);
    }
}

static void feed(run_t *r, const uint8_t *source, size_t len, size_t phase) {
    if (r->error_at != 0) {
        return;
    }
    r->fed += len;
    uint8_t *block = malloc(phase + len);
    memset(block, GUARD, phase);
    memcpy(block + phase, source, len);
    decode(r, block + phase, source, len);
    size_t changed = 0;
    for (size_t i = 0; i < phase; ++i) {
        changed += block[i] != GUARD;
    }
    CHECK(changed == 0, "%s: bytes before the piece changed", r->name);
    free(block);
}

static void check_log(const run_t *r, const bytes_t *expected, const char *how, size_t n) {
    unsigned long before = check_failures;
    CHECK(same(&r->log, expected), "%s, %s %u", r->name, how, (unsigned)n);
    if (check_failures != before && check_failures <= CHECK_REPORT_MAX) {
        log_print("expected", expected);
        log_print("decoded", &r->log);
    }
}

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

// Encodes one event for a peer of this role, and checks that decoding gives it back.
static void run_round_trip(run_t *r, const char *name, const uint8_t *record, int role) {
    static const uint32_t key = 0x3d21fa37;     // 37fa213d on the wire
    int kind = record[0];
    unsigned code = record_code(record);
    bytes_t payload = { NULL, 0, 0 };
    if (kind == WS_CLOSE && code != WS_NO_STATUS) {
        uint8_t status[2] = { (uint8_t)(code >> 8), (uint8_t)code };
        append(&payload, status, 2);
    }
    append(&payload, record + RECORD_HEAD, record_len(record));

    bytes_t wire = { NULL, 0, 0 };
    uint8_t head[WS_HEADER_MAX];
    append(&wire, head, ws_encode_header(head, kind | WS_FIN, (uint32_t)payload.len,
        role == WS_SERVER ? &key : NULL));
    size_t head_len = wire.len;
    append(&wire, payload.data, payload.len);
    if (role == WS_SERVER && payload.len != 0) {
        ws_mask(wire.data + head_len, payload.data, payload.len, key, 0);
    }

    bytes_t expected = { NULL, 0, 0 };
    append(&expected, record, RECORD_HEAD + record_len(record));
    run_init(r, name, role, 0x7fffffff);
    feed(r, wire.data, wire.len, 0);
    check_log(r, &expected, "encoded again for role", (size_t)role);
    free(expected.data);
    free(wire.data);
    free(payload.data);
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
