// Tests the functions of wscore.c other than the decoder against the plainest code that does the
// same: masking, UTF-8, headers, close codes, accept keys, masking keys.
//
//     test_kernels ACCEPT_KEYS
//
// ACCEPT_KEYS: a file of pairs "KEY ACCEPT", KEY in hex or - if empty, one pair a line; computed
// by somebody else's SHA-1.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "wscore.h"

#define GUARD (0xa5)

// Masking (§5.3)

#define MASK_MAX (70000)

static uint8_t source[MASK_MAX + 4];
static uint8_t target[MASK_MAX + 8];

static void check_mask(size_t len, unsigned src_phase, unsigned dst_phase, uint32_t offset) {
    static const uint32_t key = 0xd9c2b713;
    const uint8_t *src = source + src_phase;
    uint8_t *dst = target + 4 + dst_phase;
    memset(target, GUARD, len + 12);
    ws_mask(dst, src, len, key, offset);
    size_t bad = 0;
    for (size_t i = 0; i < len; ++i) {
        bad += dst[i] != (src[i] ^ (key >> 8 * ((offset + i) & 3) & 0xff));
    }
    CHECK(bad == 0, "len %u, phases %u %u, offset %u: %u bytes wrong", (unsigned)len, src_phase,
        dst_phase, (unsigned)offset, (unsigned)bad);

    // Masking again in place gives the source.
    ws_mask(dst, dst, len, key, offset);
    CHECK(memcmp(dst, src, len) == 0, "len %u, phase %u, offset %u, in place", (unsigned)len,
        dst_phase, (unsigned)offset);

    unsigned changed = 0;
    for (unsigned i = 0; i < 4; ++i) {
        changed += dst[len + i] != GUARD || dst[-1 - (int)i] != GUARD;
    }
    CHECK(changed == 0, "len %u, phases %u %u: bytes around changed", (unsigned)len, src_phase,
        dst_phase);
}

static void test_mask(void) {
    static const size_t big[] = { 255, 256, 257, 1000, 1023, 1024, 1025, 4099, 65535, 65536 };
    for (size_t i = 0; i < sizeof(source); ++i) {
        source[i] = (uint8_t)(i * 167 + (i >> 8));
    }
    for (unsigned phases = 0; phases < 64; ++phases) {
        unsigned src = phases & 3;
        unsigned dst = phases >> 2 & 3;
        unsigned offset = phases >> 4;
        for (size_t len = 0; len <= 200; ++len) {
            check_mask(len, src, dst, offset);
        }
        for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); ++i) {
            check_mask(big[i], src, dst, offset);
        }
    }
    for (unsigned i = 0; i < 8; ++i) {
        check_mask(33, i & 3, 1, UINT32_MAX - i);
    }
}

// A block of exactly len bytes lets the sanitizer see a read or write past either end.
static void test_mask_exact(void) {
    for (size_t len = 1; len <= 40; ++len) {
        for (uint32_t offset = 0; offset < 4; ++offset) {
            uint8_t *block = calloc(len, 1);
            uint8_t *copy = malloc(len);
            ws_mask(copy, block, len, 0x01020304, offset);
            ws_mask(block, block, len, 0x01020304, offset);
            CHECK(memcmp(block, copy, len) == 0, "len %u", (unsigned)len);
            free(block);
            free(copy);
        }
    }
}

// UTF-8 (§8.1, RFC 3629)

// What a text so far is: the bytes of one unfinished character tell which code points it can
// still become, lo..hi; the text is wrong as soon as there is none.
#define COMPLETE (0)
#define INSIDE (1)
#define WRONG (2)

static int any_valid(uint32_t lo, uint32_t hi, uint32_t least) {
    lo = lo < least ? least : lo;
    hi = hi > 0x10ffff ? 0x10ffff : hi;
    return lo <= hi && !(lo >= 0xd800 && hi <= 0xdfff);
}

static int judge(const uint8_t *data, size_t len) {
    for (size_t at = 0; at < len;) {
        uint8_t lead = data[at++];
        if (lead < 0x80) {
            continue;
        }
        int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc0 || lead > 0xf7) {
            return WRONG;
        }
        uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
        uint32_t code = lead & (0x3f >> more);
        for (;;) {
            uint32_t rest = ((uint32_t)1 << 6 * more) - 1;
            if (!any_valid(code << 6 * more, (code << 6 * more) + rest, least)) {
                return WRONG;
            }
            if (more == 0) {
                break;
            }
            if (at == len) {
                return INSIDE;
            }
            if (data[at] >> 6 != 2) {
                return WRONG;
            }
            code = code << 6 | (data[at++] & 0x3f);
            --more;
        }
    }
    return COMPLETE;
}

static int judgement(uint32_t state) {
    int wrong = ws_utf8_rejects(state) != 0;
    if (state == WS_UTF8_ACCEPT) {
        return wrong ? -1 : COMPLETE;
    }
    return wrong ? WRONG : INSIDE;
}

static void check_utf8(const uint8_t *data, size_t len) {
    int whole = judgement(ws_utf8(WS_UTF8_ACCEPT, data, len));
    CHECK(whole == judge(data, len), "%02x %02x %02x %02x, len %u: %d", data[0], data[1], data[2],
        data[3], (unsigned)len, whole);
}

static void test_utf8_short(void) {
    uint8_t data[4] = { 0, 0, 0, 0 };
    CHECK(ws_utf8(WS_UTF8_ACCEPT, data, 0) == WS_UTF8_ACCEPT, "empty");
    for (uint32_t n = 0; n < (uint32_t)1 << 24; ++n) {
        data[0] = (uint8_t)(n >> 16);
        data[1] = (uint8_t)(n >> 8);
        data[2] = (uint8_t)n;
        check_utf8(data, 3);
        if (data[2] == 0) {
            check_utf8(data, 2);
        }
        if (data[1] == 0 && data[2] == 0) {
            check_utf8(data, 1);
        }
    }
}

static const uint8_t edges[] = {
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff,
};

static void test_utf8_4_bytes(void) {
    uint8_t data[4];
    for (uint32_t n = 0; n < 16 << 8; ++n) {
        data[0] = (uint8_t)(0xf0 | n >> 8);
        data[1] = (uint8_t)n;
        for (size_t i = 0; i < sizeof(edges) * sizeof(edges); ++i) {
            data[2] = edges[i / sizeof(edges)];
            data[3] = edges[i % sizeof(edges)];
            check_utf8(data, 4);
        }
    }
}

static size_t encode_utf8(uint8_t *out, uint32_t code) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; --i) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)(0xf00 >> len | code);
    return len;
}

static void test_utf8_every_code_point(void) {
    for (uint32_t code = 0; code <= 0x1fffff; ++code) {
        uint8_t data[4] = { 0, 0, 0, 0 };
        size_t len = encode_utf8(data, code);
        int expected = code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? WRONG : COMPLETE;
        CHECK(judgement(ws_utf8(WS_UTF8_ACCEPT, data, len)) == expected, "U+%06X", (unsigned)code);
    }
}

// Every sample at every place of a text long enough for the word-wise paths, cut anywhere, in a
// block of exactly its size.
static void test_utf8_incremental(void) {
    static const char *const samples[] = {
        "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\x80", "\xc1\xbf", "\xc3(", "\xe0\x9f\xbf",
        "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x99", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff",
    };
    static const char *const fillings[] = { "aaaaaaaaaaaa", "\xc3\xa9", "\xe2\x82\xac",
        "\xf0\x9f\x99\x82" };
    for (unsigned n = 0; n < 4 * 19 * 24; ++n) {
        const char *filling = fillings[n & 3];
        const char *sample = samples[(n >> 2) % 19];
        size_t place = (n >> 2) / 19;
        uint8_t text[128];
        size_t len = 0;
        for (size_t i = 0; i < place; ++i) {
            text[len++] = (uint8_t)'a';
        }
        for (; *sample != '\0'; ++sample) {
            text[len++] = (uint8_t)*sample;
        }
        for (size_t i = 0; i < 12 / strlen(filling); ++i) {
            memcpy(text + len, filling, strlen(filling));
            len += strlen(filling);
        }
        for (size_t end = 1; end <= len; ++end) {
            int expected = judge(text, end);
            for (size_t split = 0; split < end; ++split) {
                uint8_t *block = malloc(end - split);
                memcpy(block, text + split, end - split);
                uint32_t state = ws_utf8(WS_UTF8_ACCEPT, text, split);
                state = ws_utf8(state, block, end - split);
                CHECK(judgement(state) == expected, "sample %u at %u, split %u of %u", n,
                    (unsigned)place, (unsigned)split, (unsigned)end);
                free(block);
            }
        }
    }
}

// Headers (§5.2)

static void check_header(unsigned opcode, uint32_t len, const uint32_t *key) {
    uint8_t expected[WS_HEADER_MAX];
    size_t n = 0;
    expected[n++] = (uint8_t)opcode;
    if (len < 126) {
        expected[n++] = (uint8_t)len;
    } else if (len < 65536) {
        expected[n++] = 126;
        expected[n++] = (uint8_t)(len >> 8);
        expected[n++] = (uint8_t)len;
    } else {
        expected[n++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            expected[n++] = (uint8_t)((uint64_t)len >> shift);
        }
    }
    if (key != NULL) {
        expected[1] |= 0x80;
        for (int shift = 0; shift < 32; shift += 8) {
            expected[n++] = (uint8_t)(*key >> shift);
        }
    }

    uint8_t *out = malloc(WS_HEADER_MAX);
    memset(out, GUARD, WS_HEADER_MAX);
    size_t head_len = ws_encode_header(out, (int)opcode, len, key);
    CHECK(head_len == n && memcmp(out, expected, n) == 0, "len %lu", (unsigned long)len);
    if (len <= 0x7fffffff) {
        ws_decoder_t d;
        size_t used = 0;
        ws_decoder_init(&d, key == NULL ? WS_CLIENT : WS_SERVER, 0x7fffffff);
        CHECK(ws_decode_header(&d, out, n, &used) == WS_DONE, "len %lu", (unsigned long)len);
        CHECK(used == n && d.frame_len == len && d.frame_left == len && d.message_len == len
            && d.opcode == (opcode & 15) && d.first == 1 && d.fin == opcode >> 7
            && d.key == (key == NULL ? 0u : *key), "len %lu", (unsigned long)len);
    }
    free(out);
}

static void test_headers(void) {
    static const uint32_t keys[] = { 0, 0x3d21fa37, 0xffffffff };
    for (uint32_t len = 0; len <= 70000; ++len) {
        check_header(WS_BINARY | WS_FIN, len, NULL);
        check_header(WS_TEXT, len, &keys[len % 3]);
    }
    for (unsigned bit = 16; bit < 32; ++bit) {
        uint32_t len = (uint32_t)1 << bit;
        check_header(WS_BINARY, len - 1, NULL);
        check_header(WS_BINARY, len, NULL);
        check_header(WS_BINARY | WS_FIN, len + 1, &keys[bit % 3]);
    }
    check_header(WS_BINARY, UINT32_MAX, NULL);
}

// Close codes (§7.4)

static void test_close_codes(void) {
    for (uint32_t code = 0; code <= 70000; ++code) {
        int expected = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
            || (code >= 3000 && code <= 4999);
        CHECK((ws_close_code_valid(code) != 0) == expected, "%u", (unsigned)code);
    }
    CHECK(ws_close_code_valid(UINT32_MAX) == 0, "2^32-1");
    CHECK(ws_close_code_valid(65536 + 1000) == 0, "66536");
}

// Accept keys (§4.2.2)

static void check_accept(const uint8_t *key, size_t key_len, const char *expected) {
    uint8_t *copy = malloc(key_len + 1);
    uint8_t *accept = malloc(28);
    memcpy(copy + 1, key, key_len);
    ws_accept_key(accept, copy + 1, key_len);
    CHECK(memcmp(accept, expected, 28) == 0, "key of %u bytes: %.28s, expected %s",
        (unsigned)key_len, (char *)accept, expected);
    CHECK(memcmp(copy + 1, key, key_len) == 0, "key of %u bytes changed", (unsigned)key_len);
    free(copy);
    free(accept);
}

static void test_accept(FILE *file) {
    static const char *const rfc_key = "dGhlIHNhbXBsZSBub25jZQ==";
    check_accept((const uint8_t *)rfc_key, strlen(rfc_key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

    char hex[1025];
    char expected[29];
    unsigned pairs = 0;
    while (fscanf(file, "%1024s %28s", hex, expected) == 2) {
        uint8_t key[512];
        size_t len = 0;
        unsigned byte;
        while (sscanf(hex + 2 * len, "%2x", &byte) == 1) {
            key[len++] = (uint8_t)byte;
        }
        check_accept(key, len, expected);
        ++pairs;
    }
    CHECK(pairs != 0, "no accept keys were given");
}

// Masking keys (§5.3)

#define DRAWS (100000)

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void draw(uint32_t *keys, unsigned n, uint8_t seed_byte) {
    uint8_t seed[20];
    for (unsigned i = 0; i < 20; ++i) {
        seed[i] = (uint8_t)(i * 13);
    }
    seed[seed_byte % 20] ^= seed_byte;
    ws_random_t r;
    memset(&r, GUARD, sizeof(r));
    ws_random_init(&r, seed);
    for (unsigned i = 0; i < n; ++i) {
        keys[i] = ws_random(&r);
    }
}

// The words of SHA-1(seed, counter as 4 bytes), by Python's hashlib, in any order.
static void test_random_is_sha1(void) {
    static const uint32_t digests[3][5] = {
        { 0xbba0693e, 0x6acafbf2, 0x32f3a739, 0x94adce2b, 0x33b67dae },
        { 0xec23ebda, 0x3d7394b2, 0xf2eafd15, 0xed82f4c9, 0xf8415b24 },
        { 0xb6a7255c, 0x17f12e34, 0xd426b005, 0x77dc2a50, 0xb4f8a858 },
    };
    uint32_t keys[15];
    draw(keys, 15, 0);
    for (unsigned i = 0; i < 15; ++i) {
        unsigned found = 0;
        for (unsigned j = 0; j < 5; ++j) {
            found += keys[i / 5 * 5 + j] == digests[i / 5][i % 5];
        }
        CHECK(found == 1, "counter %u, word %u", i / 5, i % 5);
    }
}

static void test_random(void) {
    static uint32_t keys[DRAWS];
    static uint32_t again[DRAWS];
    draw(keys, DRAWS, 0);
    draw(again, DRAWS, 0);
    CHECK(memcmp(keys, again, sizeof(keys)) == 0, "the same seed gives the same keys");

    // Any byte of the seed changes the keys.
    for (uint8_t seed = 1; seed <= 20; ++seed) {
        unsigned equal = 0;
        draw(again, 1000, seed);
        for (unsigned i = 0; i < 1000; ++i) {
            equal += keys[i] == again[i];
        }
        CHECK(equal == 0, "seed byte %u: %u of 1000 keys equal", seed % 20u, equal);
    }

    // Each bit is set in about half of the keys: 10 standard deviations are 1581.
    for (unsigned bit = 0; bit < 32; ++bit) {
        unsigned set = 0;
        for (unsigned i = 0; i < DRAWS; ++i) {
            set += keys[i] >> bit & 1;
        }
        CHECK(set > DRAWS / 2 - 1581 && set < DRAWS / 2 + 1581, "bit %u: %u", bit, set);
    }

    // Of 100 000 random keys about 1.2 pairs are equal.
    unsigned equal = 0;
    qsort(keys, DRAWS, sizeof(keys[0]), by_value);
    for (unsigned i = 1; i < DRAWS; ++i) {
        equal += keys[i] == keys[i - 1];
    }
    CHECK(equal <= 12, "%u keys repeated", equal);
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: test_kernels ACCEPT_KEYS\n");
        return 2;
    }
    test_mask();
    test_mask_exact();
    test_utf8_short();
    test_utf8_4_bytes();
    test_utf8_every_code_point();
    test_utf8_incremental();
    test_headers();
    test_close_codes();
    test_accept(file);
    test_random_is_sha1();
    test_random();
    fclose(file);
    return check_report();
}
