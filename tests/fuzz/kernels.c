// Fuzzes what wscore.c is made of: masking and UTF-8 against plain code, and headers that are
// decoded again.
//
// An input: alignments (1, 2: of the target; 4, 8: of the source; 16: in place), an opcode, the
// key (4 bytes), the offset of the first byte or the length in a header (4 bytes), and the data.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "wscore.h"

#define HEAD_LEN (10)

#define CHECK(ok) \
    do { \
        if (!(ok)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #ok); \
            abort(); \
        } \
    } while (0)

static uint32_t get_32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// Blocks of exactly their size, so that the sanitizer sees a byte too many.
static uint8_t *block(size_t phase, const uint8_t *data, size_t len) {
    uint8_t *b = malloc(phase + len);
    CHECK(b != NULL || phase + len == 0);
    if (len != 0) {
        memcpy(b + phase, data, len);
    }
    return b;
}

static void try_mask(const uint8_t *head, const uint8_t *data, size_t len) {
    size_t to = head[0] & 3;
    size_t from = head[0] & 16 ? to : head[0] >> 2 & 3;
    uint32_t offset = get_32(head + 6);
    uint8_t *src = block(from, data, len);
    uint8_t *dst = head[0] & 16 ? src : block(to, data, len);
    ws_mask(dst + to, src + from, len, get_32(head + 2), offset);
    for (size_t i = 0; i < len; i++) {
        CHECK(dst[to + i] == (data[i] ^ head[2 + ((offset + i) & 3)]));
        CHECK(src == dst || src[from + i] == data[i]);
    }
    if (src != dst) {
        free(src);
    }
    free(dst);
}

// In pieces whose lengths are the key's bytes, 0: all that is left.
static void try_text(const uint8_t *head, const uint8_t *data, size_t len) {
    plain_text_t plain = { 0, 0, 0 };
    uint32_t state = WS_UTF8_ACCEPT;
    int good = 1;
    for (size_t at = 0, i = 0; at < len; i++) {
        size_t n = head[2 + (i & 3)];
        n = n == 0 || n > len - at ? len - at : n;
        uint8_t *piece = block(head[0] & 3, data + at, n);
        state = ws_utf8(state, piece + (head[0] & 3), n);
        free(piece);
        for (size_t end = at + n; at < end; at++) {
            good = good && plain_text(&plain, data[at]);
        }
        CHECK(ws_utf8_rejects(state) == !good);
        CHECK((state == WS_UTF8_ACCEPT) == (good && plain.left == 0));
    }
}

static void try_header(const uint8_t *head) {
    uint32_t key = get_32(head + 2);
    uint32_t payload_len = get_32(head + 6) & 0x7fffffff;
    int opcode = head[1] & 15;
    if (opcode >= WS_CLOSE) {
        payload_len &= 127;
    }
    for (int role = WS_CLIENT; role <= WS_SERVER; role++) {
        uint8_t out[WS_HEADER_MAX + 2];
        size_t n = ws_encode_header(out, head[1], payload_len, role == WS_SERVER ? &key : NULL);
        CHECK(n >= 2 && n <= WS_HEADER_MAX);
        ws_decoder_t d;
        size_t used;
        ws_decoder_init(&d, role, 0x7fffffff);
        uint8_t *exact = block(0, out, n);
        int result = ws_decode_header(&d, exact, n, &used);
        free(exact);
        int known = opcode == WS_TEXT || opcode == WS_BINARY
            || (opcode >= WS_CLOSE && opcode <= WS_PONG && head[1] & WS_FIN && payload_len <= 125);
        if (!known || (head[1] & 0x70) != 0) {
            CHECK(result == -1002);
            continue;
        }
        CHECK(result == WS_DONE && used == n);
        CHECK(d.opcode == (uint32_t)opcode && d.fin == (uint32_t)head[1] >> 7 && d.first == 1);
        CHECK(d.frame_len == payload_len && d.frame_left == payload_len);
        CHECK(d.key == (role == WS_SERVER ? key : 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= HEAD_LEN) {
        try_mask(data, data + HEAD_LEN, size - HEAD_LEN);
        try_text(data, data + HEAD_LEN, size - HEAD_LEN);
        try_header(data);
    }
    return 0;
}
