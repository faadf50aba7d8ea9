// Fuzzes the decoder in wscore.c: whole, and in pieces that the input chooses, it has to tell what
// the plain decoder tells, when that does; and what it tells, encoded, has to come back.
//
// An input: flags (1: server, 2: with a limit, 4 and 8: alignment of the pieces), the limit (2
// bytes, little-endian), the lengths of four pieces (again and again; 0: all that is left), and
// the wire.
#include "feed.h"
#include "plain.h"

#define HEAD_LEN (7)

static void log_plain(void *log, int kind, unsigned code, const uint8_t *data, size_t len) {
    log_event(log, kind, code, data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD_LEN) {
        return 0;
    }
    int role = data[0] & 1 ? WS_SERVER : WS_CLIENT;
    uint32_t limit = data[0] & 2 ? (uint32_t)data[1] | (uint32_t)data[2] << 8 : 0x7fffffff;
    size_t phase = data[0] >> 2 & 3;
    const uint8_t *pieces = data + 3;
    const uint8_t *wire = data + HEAD_LEN;
    size_t len = size - HEAD_LEN;

    bytes_t expected = { NULL, 0, 0 };
    uint8_t *scratch = malloc(len);
    size_t whole;
    size_t error_at = plain_decode(role == WS_SERVER, limit, wire, len, scratch, log_plain,
        &expected, &whole);
    free(scratch);

    run_t run;
    memset(&run, 0, sizeof(run));
    run_init(&run, "whole", role, limit);
    feed(&run, wire, len, 0);
    check_log(&run, &expected, "bytes", len);

    run_init(&run, "in pieces", role, limit);
    size_t expected_at = 0;
    for (size_t at = 0, i = 0; at < len; i++) {
        size_t n = pieces[i & 3];
        n = n == 0 || n > len - at ? len - at : n;
        feed(&run, wire + at, n, phase);
        at += n;
        if (expected_at == 0 && error_at != 0 && at >= error_at) {
            expected_at = at;
        }
    }
    check_log(&run, &expected, "bytes", len);
    CHECK(run.error_at == expected_at, "error @%u, expected @%u", (unsigned)run.error_at,
        (unsigned)expected_at);

    for (size_t at = 0; at < expected.len; at += RECORD_HEAD + record_len(expected.data + at)) {
        if (expected.data[at] != ERROR) {
            run_round_trip(&run, "encoded again", expected.data + at, WS_CLIENT);
            run_round_trip(&run, "encoded again", expected.data + at, WS_SERVER);
        }
    }
    run_free(&run);
    free(expected.data);
    if (check_failures != 0) {
        fflush(stdout);
        abort();
    }
    return 0;
}
