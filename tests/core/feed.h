// Feeds a wire to the decoder in wscore.c, piece by piece, and logs the events.  What must hold
// on the way, whatever the wire, is CHECKed here.
//
// A piece lies in a block of exactly its size, so that the sanitizer sees a byte too many.
#ifndef MODWEBSOCKET_TESTS_FEED_H
#define MODWEBSOCKET_TESTS_FEED_H

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "wscore.h"

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
        log_event(&r->log, WS_CLOSE, d->close_code, skip == 0 ? NULL : b->data + skip,
            b->len - skip);
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

#endif
