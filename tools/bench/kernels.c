// Runs every kernel once between the markers and prints, for each, one line
//     measure<TAB>who<TAB>hexadecimal number of bytes or calls to divide the count by
// The counts come from callgrind or from QEMU's plugin, in the same order; see kernels.py.
#include "bench.h"
#include "peers.h"
#include "../../modwebsocket/wscore/wscore.h"

#define KEY (0x5ac3197e)
#define KIB (1024)

static uint8_t buffer[2 * KIB] __attribute__((aligned(64)));
static uint8_t target[2 * KIB] __attribute__((aligned(64)));
static uint8_t text[KIB] __attribute__((aligned(64)));
static int failed;

static void report(const char *measure, const char *who, size_t divisor) {
    char digits[5];
    digits[4] = 0;
    for (unsigned i = 4; i-- > 0; divisor >>= 4) {
        digits[i] = "0123456789abcdef"[divisor & 15];
    }
    put(measure);
    put("\t");
    put(who);
    put("\t");
    put(digits);
    put("\n");
}

// What the markers and the call through a pointer cost.
static void empty(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    (void)dst, (void)src, (void)len, (void)key, (void)offset;
}

static void run_mask(const char *measure, const char *who, size_t divisor,
    mask_t volatile mask, uint8_t *dst, const uint8_t *src, size_t len, uint32_t offset) {
    mask_t f = mask;
    bench_begin();
    f(dst, src, len, KEY, offset);
    bench_end();
    report(measure, who, divisor);
}

static void run_masks(const char *who, mask_t f) {
    run_mask("mask 1 KiB aligned", who, KIB, f, buffer, buffer, KIB, 0);
    run_mask("mask 125 B", who, 1, f, buffer, buffer, 125, 0);
    run_mask("mask 16 B", who, 1, f, buffer, buffer, 16, 0);
    for (unsigned i = 0; i < 16; i++) {
        uint8_t *p = buffer + i / 4;
        run_mask("mask 1 KiB worst phase", who, KIB, f, p, p, KIB + i % 4, i % 4);
    }
    for (unsigned i = 0; i < 16; i++) {
        const char *measure = i % 5 == 0 ? "copy-mask 1 KiB same phase"
            : "copy-mask 1 KiB phases differ";
        run_mask(measure, who, KIB, f, target + i / 4, buffer + i % 4, KIB, i % 4);
    }
}

static void run_utf8(const char *measure, const char *who, size_t divisor,
    utf8_t volatile utf8, size_t len) {
    utf8_t f = utf8;
    bench_begin();
    uint32_t state = f(0, buffer, len);
    bench_end();
    failed |= state != 0;
    report(measure, who, divisor);
}

// Fills the buffer with whole copies of a sample, at least 1 KiB; returns the length.
static size_t fill(const char *sample, size_t least) {
    size_t len = 0;
    while (len < least) {
        for (const char *p = sample; *p != 0; p++) {
            buffer[len++] = (uint8_t)*p;
        }
    }
    return len;
}

static void run_utf8s(const char *who, utf8_t f) {
    static const char *const samples[] = {
        "Stra\xc3\x9f" "e und",                                       // mostly ASCII
        "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 ",          // Cyrillic
        "\xe4\xb8\x96\xe7\x95\x8c",                                   // Chinese
        "\xf0\x9f\x98\x80",                                           // emoji
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",                      // one of each
    };
    fill("plain ASCII text", KIB);
    run_utf8("UTF-8 1 KiB ASCII", who, KIB, f, KIB);
    run_utf8("UTF-8 16 B ASCII", who, 1, f, 16);
    for (unsigned i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        size_t len = fill(samples[i], KIB);
        run_utf8("UTF-8 1 KiB any text", who, len, f, len);
    }
}

static const uint8_t header_2[] = {0x81, 16};
static const uint8_t header_4[] = {0x81, 126, 4, 0};
static const uint8_t header_8[] = {0x81, 0xfe, 4, 0, 1, 2, 3, 4};

static void set_header(uint8_t *dst, const uint8_t *header, size_t len) {
    for (size_t i = 0; i < len; i++) {
        dst[i] = header[i];
    }
}

static void run_header(const char *measure, int role, const uint8_t *header, size_t len,
    unsigned phase) {
    ws_decoder_t d;
    size_t used;
    uint8_t *p = buffer + phase;
    set_header(p, header, len);
    ws_decoder_init(&d, role, 1 << 20);
    bench_begin();
    int result = ws_decode_header(&d, p, 64, &used);
    bench_end();
    failed |= result != WS_DONE || used != len;
    report(measure, "ours", 1);
}

static void run_peer_header(const char *measure, const char *who,
    size_t (*volatile header)(upy_header_t *, const uint8_t *, size_t), size_t len) {
    upy_header_t self;
    size_t (*f)(upy_header_t *, const uint8_t *, size_t) = header;
    bench_begin();
    size_t used = f(&self, buffer, 64);
    bench_end();
    failed |= used != len;
    report(measure, who, 1);
}

static void run_headers(const char *measure, const char *unaligned, int role,
    const uint8_t *header, size_t len) {
    run_header(measure, role, header, len, 0);
    run_header(unaligned, role, header, len, 1);
    set_header(buffer, header, len);
    run_peer_header(measure, "byte loop", byte_header, len);
    run_peer_header(measure, "MicroPython", upy_header, len);
}

static void run_keys(void) {
    ws_random_t random;
    ws_random_init(&random, buffer);
    bench_begin();
    for (unsigned i = 0; i < 50; i++) {
        ws_random(&random);
    }
    bench_end();
    report("masking key", "ours", 50);
    bench_begin();
    ws_accept_key(target, (const uint8_t *)"dGhlIHNhbXBsZSBub25jZQ==", 24);
    bench_end();
    failed |= target[0] != 's' || target[26] != 'o' || target[27] != '=';
    report("accept key", "ours", 1);
}

// What a client does in C for one echo of a text: decode; then check, mask and frame a text of
// the same length, which lies elsewhere, as a `str` does.
static void run_echo(const char *measure, const uint8_t *header, size_t header_len, size_t len) {
    ws_decoder_t d;
    ws_random_t random;
    size_t used;
    int wrong = 0;
    fill("plain ASCII text", KIB + 16);
    set_header(buffer, header, header_len);
    for (size_t i = 0; i < len; i++) {
        text[i] = buffer[header_len + i];
    }
    ws_decoder_init(&d, WS_CLIENT, 1 << 20);
    ws_random_init(&random, buffer);
    bench_begin();
    for (unsigned i = 0; i < 5; i++) { // SHA-1 gives five keys
        wrong |= ws_decode_header(&d, buffer, header_len + len, &used) ^ WS_DONE;
        wrong |= ws_decode_payload(&d, buffer + used, len) ^ WS_DONE;
        wrong |= (int)ws_utf8(WS_UTF8_ACCEPT, text, len);
        uint32_t key = ws_random(&random);
        ws_encode_header(target, WS_FIN | WS_TEXT, (uint32_t)len, &key);
        ws_mask(target + 16, text, len, key, 0);
    }
    bench_end();
    failed |= wrong;
    report(measure, "ours", 5);
}

int main(void) {
    peers_init();
    run_mask("empty", "", 1, empty, buffer, buffer, 0, 0);
    run_masks("ours", ws_mask);
    run_masks("byte loop", byte_mask);
    run_masks("NodeMCU", nodemcu_mask);
    run_masks("MicroPython", upy_mask);
    run_masks("wslay", wslay_mask);
    run_masks("websockets (C)", pyws_mask);
    run_utf8s("ours", ws_utf8);
    run_utf8s("byte loop", naive_utf8);
    run_utf8s("MicroPython", upy_utf8);
    run_utf8s("wslay", hoehrmann_utf8);
    run_headers("header 2 B", "header 2 B, unaligned", WS_CLIENT, header_2, sizeof(header_2));
    run_headers("header 4 B", "header 4 B, unaligned", WS_CLIENT, header_4, sizeof(header_4));
    run_headers("header 8 B masked", "header 8 B masked, unaligned", WS_SERVER, header_8,
        sizeof(header_8));
    run_keys();
    run_echo("C part of an echo, 16 B", header_2, sizeof(header_2), 16);
    run_echo("C part of an echo, 1 KiB", header_4, sizeof(header_4), KIB);
    return failed;
}
