// Runs every kernel once between the markers and prints, for each, one line
//     kind<TAB>measure<TAB>who<TAB>hexadecimal number of bytes or calls to divide the count by
// A run of each kind with an empty function tells what the markers and the call cost.
// The counts come from callgrind or from QEMU's plugin, in the same order; see kernels.py.
#include "bench.h"
#include "peers.h"
#include "../../modwebsocket/wscore/wscore.h"

#define KEY (0x5ac3197e)
#define KIB (1024)

static uint8_t buffer[2 * KIB] __attribute__((aligned(64)));
static uint8_t target[2 * KIB] __attribute__((aligned(64)));
static uint8_t expected[2 * KIB];
static uint8_t text[KIB] __attribute__((aligned(64)));
static int failed;

static void report(const char *kind, const char *measure, const char *who, size_t divisor) {
    char digits[5];
    digits[4] = 0;
    for (unsigned i = 4; i-- > 0; divisor >>= 4) {
        digits[i] = "0123456789abcdef"[divisor & 15];
    }
    put(kind);
    put("\t");
    put(measure);
    put("\t");
    put(who);
    put("\t");
    put(digits);
    put("\n");
}

static void empty_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key,
    uint32_t offset) {
    (void)dst, (void)src, (void)len, (void)key, (void)offset;
}

static uint32_t empty_utf8(uint32_t state, const uint8_t *data, size_t len) {
    (void)data, (void)len;
    return state;
}

static int empty_header(ws_decoder_t *d, const uint8_t *data, size_t len, size_t *used) {
    (void)d, (void)data, (void)len, (void)used;
    return WS_DONE;
}

static void run_mask(const char *measure, const char *who, size_t divisor,
    mask_t volatile mask, uint8_t *dst, const uint8_t *src, size_t len, uint32_t offset) {
    mask_t f = mask;
    for (size_t i = 0; i < len; i++) {
        expected[i] = (uint8_t)(src[i] ^ KEY >> ((i + offset) & 3) * 8);
    }
    bench_begin();
    f(dst, src, len, KEY, offset);
    bench_end();
    // Some peers know no offset.
    for (size_t i = 0; i < len && (mask == ws_mask || offset == 0); i++) {
        failed |= dst[i] != expected[i];
    }
    report("mask", measure, who, divisor);
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
    report("UTF-8", measure, who, divisor);
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

typedef int (*header_t)(ws_decoder_t *d, const uint8_t *data, size_t len, size_t *used);

static void run_header(const char *measure, header_t volatile header, int role,
    const uint8_t *bytes, size_t len, unsigned phase) {
    ws_decoder_t d;
    size_t used = len;
    header_t f = header;
    uint8_t *p = buffer + phase;
    set_header(p, bytes, len);
    ws_decoder_init(&d, role, 1 << 20);
    bench_begin();
    int result = f(&d, p, 64, &used);
    bench_end();
    failed |= result != WS_DONE || used != len;
    report("header", measure, "ours", 1);
}

static void run_peer_header(const char *measure, const char *who,
    peer_header_t volatile header, size_t len) {
    upy_header_t self;
    peer_header_t f = header;
    bench_begin();
    size_t used = f(&self, buffer, 64);
    bench_end();
    failed |= used != len;
    report("header", measure, who, 1);
}

static void run_headers(const char *measure, const char *unaligned, int role,
    const uint8_t *header, size_t len) {
    run_header(measure, ws_decode_header, role, header, len, 0);
    run_header(unaligned, ws_decode_header, role, header, len, 1);
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
    report("none", "masking key", "ours", 50);
    bench_begin();
    ws_accept_key(target, (const uint8_t *)"dGhlIHNhbXBsZSBub25jZQ==", 24);
    bench_end();
    failed |= target[0] != 's' || target[26] != 'o' || target[27] != '=';
    report("none", "accept key", "ours", 1);
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
    report("none", measure, "ours", 5);
}

// The same with a peer's techniques, without making a key.
static void run_peer_echo(const char *measure, const char *who, peer_header_t volatile header,
    utf8_t volatile utf8, mask_t volatile mask, const uint8_t *bytes, size_t header_len,
    size_t len) {
    upy_header_t self;
    peer_header_t decode = header;
    utf8_t check = utf8;
    mask_t apply = mask;
    uint32_t key = KEY;
    int wrong = 0;
    fill("plain ASCII text", KIB + 16);
    set_header(buffer, bytes, header_len);
    bench_begin();
    size_t used = decode(&self, buffer, header_len + len);
    wrong |= (int)check(0, buffer + used, len);
    wrong |= (int)check(0, text, len);
    ws_encode_header(target, WS_FIN | WS_TEXT, (uint32_t)len, &key);
    apply(target + 16, text, len, key, 0);
    bench_end();
    failed |= wrong | (used != header_len);
    report("none", measure, who, 1);
}

static void run_echoes(const char *measure, const uint8_t *header, size_t header_len,
    size_t len) {
    run_echo(measure, header, header_len, len);
    run_peer_echo(measure, "byte loop", byte_header, naive_utf8, byte_mask, header, header_len,
        len);
    run_peer_echo(measure, "MicroPython", upy_header, upy_utf8, upy_mask, header, header_len,
        len);
    run_peer_echo(measure, "wslay", byte_header, hoehrmann_utf8, wslay_mask, header, header_len,
        len);
}

int main(void) {
    peers_init();
    bench_begin();
    bench_end();
    report("none", "empty", "", 1);
    run_mask("empty", "", 1, empty_mask, buffer, buffer, 0, 0);
    run_utf8("empty", "", 1, empty_utf8, 0);
    run_header("empty", empty_header, WS_CLIENT, header_2, sizeof(header_2), 0);
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
    run_echoes("C part of an echo, 16 B", header_2, sizeof(header_2), 16);
    run_echoes("C part of an echo, 1 KiB", header_4, sizeof(header_4), KIB);
    return failed;
}
