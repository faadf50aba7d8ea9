#include "wscore.h"
#include "utf8_table.h"

// Payloads are read and written by words.  On ESP8266 flash cannot be read in any other way:
// the compiler (-mforce-l32) makes seven instructions of each byte that is read.  Most small
// processors trap where a word is not aligned; 64-bit hosts do not mind, and have vectors.
#ifndef WS_WIDE
#if !WS_SMALL && (defined(__x86_64__) || defined(__aarch64__))
#define WS_WIDE (1)
#else
#define WS_WIDE (0)
#endif
#endif

#if WS_WIDE
typedef uint32_t __attribute__((may_alias, aligned(1))) word_t;
typedef uint32_t __attribute__((vector_size(16), aligned(1), may_alias)) wide_t;
#define IS_ALIGNED(p) (1)
#else
typedef uint32_t __attribute__((may_alias)) word_t;
#define IS_ALIGNED(p) (((uintptr_t)(p) & 3) == 0)
#endif

// Little-endian processors see a wire word as it is; others go byte by byte.
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WORDS (1)
#else
#define WORDS (0)
#endif

// Every byte of a word that is not ASCII.
#define NOT_ASCII (0x80808080)

// Values of ws_decoder_t.state; below are counts of header bytes, errors are negative.
#define STATE_CLOSED (WS_HEADER_MAX + 1)

#define ERROR_PROTOCOL (-1002)
#define ERROR_TEXT (-1007)
#define ERROR_TOO_BIG (-1009)

static inline uint32_t rotl(uint32_t x, unsigned n) {
    return x << n | x >> (32 - n);
}

static inline uint32_t swap32(uint32_t x) {
    return (rotl(x, 8) & 0x00ff00ff) | (rotl(x, 24) & 0xff00ff00);
}

static inline uint32_t get_le32(const word_t *p) {
    return WORDS ? *p : swap32(*p);
}

// Header -----------------------------------------------------------------------------------

WS_CODE void ws_decoder_init(ws_decoder_t *d, int role, uint32_t max_message_len) {
    d->frame_len = 0;
    d->frame_left = 0;
    d->message_len = 0;
    d->key = 0;
    d->opcode = WS_CONTINUATION;
    d->first = 0;
    d->fin = 0;
    d->close_code = WS_NO_STATUS;
    d->state = 0;
    d->masked = role == WS_SERVER;
    d->message_opcode = 0;
    d->text_state = WS_UTF8_ACCEPT;
    d->max_message_len = max_message_len;
}

static inline int fail(ws_decoder_t *d, int error) {
    d->state = error;
    return error;
}

// A header's first word gives the opcode with the RSV bits, which belong to extensions (§5.2).
#define OPCODE(w) ((w) & 0x7f)
#define SHORT_LEN(w) ((w) >> 8 & 0x7f)
#define IS_CONTROL(w) (OPCODE(w) > WS_BINARY)

// Takes over what a header says, which has been checked.  w: its first byte, or more.
static inline __attribute__((always_inline)) int take_header(ws_decoder_t *d, uint32_t w,
    uint32_t frame_len) {
    d->frame_len = frame_len;
    d->frame_left = frame_len;

    uint32_t opcode = OPCODE(w);
    d->first = opcode != WS_CONTINUATION;
    d->fin = w >> 7 & 1;
    if (opcode <= WS_BINARY) {
        uint32_t before = 0;
        if (opcode == WS_CONTINUATION) {
            opcode = d->message_opcode;
            before = d->message_len;
        }
        if (frame_len > d->max_message_len - before) {
            return fail(d, ERROR_TOO_BIG);
        }
        d->message_len = before + frame_len;
        d->message_opcode = d->fin ? 0 : opcode;
    } else if (opcode == WS_CLOSE) {
        d->close_code = frame_len == 0 ? WS_NO_STATUS : 0;
        d->text_state = WS_UTF8_ACCEPT; // now of the reason: no text can follow
    }
    d->opcode = opcode;
    return 0;
}

#if WS_SMALL

// Byte by byte; d->head has the first one, and the length of a header without its key.
WS_CODE int ws_decode_header(ws_decoder_t *d, const uint8_t *data, size_t len, size_t *used) {
    *used = len;
    if (d->state < 0) {
        return d->state;
    }
    if (d->state == STATE_CLOSED) {
        return WS_MORE;
    }
    for (; len != 0; len--) {
        uint32_t byte = *data++;
        uint32_t have = (uint32_t)++d->state;
        uint32_t w = d->head[0];
        uint32_t need = d->head[1];
        if (have == 1) {
            d->head[0] = byte;
            d->key = 0;
            if (IS_CONTROL(byte) ? byte - (WS_FIN | WS_CLOSE) > WS_PONG - WS_CLOSE
                : (OPCODE(byte) == WS_CONTINUATION) != (d->message_opcode != 0)) {
                return fail(d, ERROR_PROTOCOL);
            }
            continue;
        }
        if (have == 2) {
            need = 2;
            d->frame_len = byte & 0x7f;
            if (byte >> 7 != d->masked) {
                return fail(d, ERROR_PROTOCOL);
            }
            if (d->frame_len > WS_CONTROL_MAX) {
                if (IS_CONTROL(w)) {
                    return fail(d, ERROR_PROTOCOL);
                }
                need = d->frame_len == 126 ? 4 : 10;
                d->frame_len = 0;
            }
            d->head[1] = need;
        } else if (have > need) {
            d->key = d->key >> 8 | byte << 24;
        } else {
            if (have == 3 && need == 10 && byte >> 7 != 0) {
                return fail(d, ERROR_PROTOCOL);
            }
            // What 32 bits do not hold is above any limit.
            d->frame_len = d->frame_len >> 24 != 0 ? UINT32_MAX : d->frame_len << 8 | byte;
        }
        if (have == need) {
            if (need > 2 && d->frame_len < (need == 4 ? 126 : 0x10000)) {
                return fail(d, ERROR_PROTOCOL);
            }
            if (take_header(d, w, d->frame_len) < 0) {
                return d->state;
            }
        }
        if (have == need + d->masked * 4) {
            *used -= len - 1;
            d->state = 0;
            return WS_DONE;
        }
    }
    return WS_MORE;
}

#else

// Checks the first `have` bytes, 1 or 2, of a header.
static inline __attribute__((always_inline)) int is_bad_start(const ws_decoder_t *d, uint32_t w,
    size_t have) {
    if (IS_CONTROL(w)) {
        if ((w & 0xff) - (WS_FIN | WS_CLOSE) > WS_PONG - WS_CLOSE) {
            return 1;
        }
    } else if (OPCODE(w) == WS_CONTINUATION) {
        if (d->message_opcode == 0) {
            return 1;
        }
    } else if (d->message_opcode != 0) {
        return 1;
    }
    if (have < 2) {
        return 0;
    }
    if ((w >> 15 & 1) != d->masked) {
        return 1;
    }
    if (SHORT_LEN(w) > WS_CONTROL_MAX) {
        if (IS_CONTROL(w)) {
            return 1;
        }
    }
    return 0;
}

// Length of a header without its key, from its first two bytes.
static inline size_t len_end(uint32_t w) {
    return SHORT_LEN(w) < 126 ? 2 : SHORT_LEN(w) == 126 ? 4 : 10;
}

// A header that is not aligned or comes in pieces is collected in d->head.
WS_CODE static __attribute__((noinline)) int collect_header(ws_decoder_t *d, const uint8_t *data,
    size_t len, size_t *used) {
    *used = len;
    if (d->state < 0) {
        return d->state;
    }
    if (d->state == STATE_CLOSED) {
        return WS_MORE;
    }
    const uint8_t *end = data + len;
    uint8_t *head = (uint8_t *)d->head;
    size_t have = (size_t)d->state;
    size_t need = have < 2 ? 2 : len_end(get_le32(d->head));
    if (have < need) {
        while (data != end && have < need) {
            head[have++] = *data++;
            if (have == 2) {
                need = len_end(get_le32(d->head));
            }
        }
        d->state = (int32_t)have;
        if (have < need) {
            // What is there may be wrong already.
            uint32_t w = get_le32(d->head);
            if (have > 0 && (is_bad_start(d, w, have)
                             || (have > 2 && SHORT_LEN(w) == 127 && (w >> 16 & 0x80) != 0))) {
                return fail(d, ERROR_PROTOCOL);
            }
            return WS_MORE;
        }
        d->state = 0;
        if (ws_decode_header(d, head, sizeof(d->head), &len) < 0) {
            return d->state;
        }
    }
    for (need += d->masked * 4; have != need; have++) {
        if (data == end) {
            d->state = (int32_t)have;
            return WS_MORE;
        }
        d->key = d->key >> 8 | (uint32_t)*data++ << 24;
    }
    d->state = 0;
    *used -= (size_t)(end - data);
    return WS_DONE;
}

WS_CODE int ws_decode_header(ws_decoder_t *d, const uint8_t *data, size_t len, size_t *used) {
    if (d->state != 0 || len < sizeof(d->head) || !IS_ALIGNED(data)) {
        return collect_header(d, data, len, used);
    }
    *used = len;
    const word_t *h = (const word_t *)data;
    uint32_t w = get_le32(h);
    if (is_bad_start(d, w, 2)) {
        return fail(d, ERROR_PROTOCOL);
    }
    size_t need = 2;
    uint32_t frame_len = SHORT_LEN(w);
    if (frame_len == 126) {
        need = 4;
        frame_len = (w >> 8 & 0xff00) | w >> 24;
        if (frame_len < 126) {
            return fail(d, ERROR_PROTOCOL);
        }
    } else if (frame_len == 127) {
        need = 10;
        if ((w >> 16 & 0x80) != 0) {
            return fail(d, ERROR_PROTOCOL);
        }
        if (w >> 16 != 0 || (get_le32(h + 1) & 0xffff) != 0) {
            return fail(d, ERROR_TOO_BIG);
        }
        frame_len = swap32(get_le32(h + 1) >> 16 | get_le32(h + 2) << 16);
        if (frame_len < 0x10000) {
            return fail(d, ERROR_PROTOCOL);
        }
    }
    if (take_header(d, w, frame_len) < 0) {
        return d->state;
    }
    uint32_t key = 0;
    if (d->masked) {
        h += need / 4;
        key = get_le32(h);
        if ((need & 2) != 0) {
            key = key >> 16 | get_le32(h + 1) << 16;
        }
        need += 4;
    }
    d->key = key;
    *used = need;
    return WS_DONE;
}

#endif

WS_CODE size_t ws_encode_header(uint8_t *out, int first, uint32_t payload_len,
    const uint32_t *key) {
    uint8_t *p = out + 2;
    uint32_t len = payload_len;
    if (payload_len >= 126) {
        len = payload_len < 0x10000 ? 126 : 127;
        p += len == 126 ? 2 : 8;
        for (uint8_t *q = p; q != out + 2; payload_len >>= 8) {
            *--q = (uint8_t)payload_len;
        }
    }
    out[0] = (uint8_t)first;
    out[1] = (uint8_t)len;
    if (key != NULL) {
        uint32_t k = *key;
        out[1] = (uint8_t)(0x80 | len);
        *p++ = (uint8_t)k;
        *p++ = (uint8_t)(k >> 8);
        *p++ = (uint8_t)(k >> 16);
        *p++ = (uint8_t)(k >> 24);
    }
    return (size_t)(p - out);
}

// Payload ----------------------------------------------------------------------------------

WS_CODE int ws_close_code_valid(uint32_t code) {
    return code - 3000 < 2000 || (code - 1000 < 15 && (0x7f8f >> (code - 1000) & 1) != 0);
}

// Advances the UTF-8 state over a part of a text or close reason, of whose frame `left` bytes
// are still to come.
WS_CODE static int check_text(ws_decoder_t *d, const uint8_t *data, size_t len, uint32_t left) {
    uint32_t state = ws_utf8(d->text_state, data, len);
    d->text_state = state;
    if (state != WS_UTF8_ACCEPT && (ws_utf8_rejects(state) || (left == 0 && d->fin))) {
        return fail(d, ERROR_TEXT);
    }
    return left == 0 ? WS_DONE : WS_MORE;
}

WS_CODE static int decode_close(ws_decoder_t *d, const uint8_t *data, size_t len, uint32_t left) {
    if (d->frame_len == 1) {
        return fail(d, ERROR_PROTOCOL);
    }
    for (size_t pos = d->frame_len - left - len; pos < 2 && len > 0; pos++, len--) {
        d->close_code = d->close_code << 8 | *data++;
        if (pos == 1 && !ws_close_code_valid(d->close_code)) {
            return fail(d, ERROR_PROTOCOL);
        }
    }
    if (left == 0) {
        d->state = STATE_CLOSED;
    }
    return check_text(d, data, len, left);
}

WS_CODE int ws_decode_payload(ws_decoder_t *d, uint8_t *data, size_t len) {
    if (d->state < 0) {
        return d->state;
    }
    uint32_t left = d->frame_left;
    if (d->key != 0) {
        ws_mask(data, data, len, d->key, d->frame_len - left);
    }
    left -= (uint32_t)len;
    d->frame_left = left;
    if (d->opcode == WS_TEXT) {
        return check_text(d, data, len, left);
    }
    if (d->opcode == WS_CLOSE) {
        return decode_close(d, data, len, left);
    }
    return left == 0 ? WS_DONE : WS_MORE;
}

// Masking ----------------------------------------------------------------------------------

#if WS_SMALL

WS_CODE void ws_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key,
    uint32_t offset) {
    const uint8_t *end = dst + len;
    unsigned turn = offset * 8;
    key = key >> (turn & 31) | key << (-turn & 31);
    while (dst != end) {
        if (WORDS && IS_ALIGNED((uintptr_t)dst | (uintptr_t)src)) {
            const uint8_t *stop = dst + ((size_t)(end - dst) & ~(size_t)3);
            for (; dst != stop; dst += 4, src += 4) {
                *(word_t *)dst = *(const word_t *)src ^ key;
            }
            if (dst == end) {
                break;
            }
        }
        *dst++ = (uint8_t)(ws_byte(src++) ^ key);
        key = rotl(key, 24);
    }
}

#else

static inline __attribute__((always_inline)) void mask_4(uint8_t *dst, const uint8_t *src,
    uint32_t key) {
    *(word_t *)dst = *(const word_t *)src ^ key;
}

static inline __attribute__((always_inline)) void mask_16(uint8_t *dst, const uint8_t *src,
    uint32_t key) {
    #if WS_WIDE
    *(wide_t *)dst = *(const wide_t *)src ^ key;
    #else
    word_t *d = (word_t *)dst;
    const word_t *s = (const word_t *)src;
    word_t a = s[0];
    word_t b = s[1];
    d[0] = a ^ key;
    d[1] = b ^ key;
    a = s[2];
    b = s[3];
    d[2] = a ^ key;
    d[3] = b ^ key;
    #endif
}

static inline __attribute__((always_inline)) void mask_bytes(uint8_t *dst, const uint8_t *src,
    const uint8_t *end, uint32_t key) {
    while (dst != end) {
        *dst++ = (uint8_t)(*src++ ^ key);
        key = rotl(key, 24);
    }
}

// dst is aligned, src is not: a word of dst takes bytes from two words of src.  A function of
// its own for the sake of the usual case, which would pay for saving registers.
WS_CODE static __attribute__((noinline)) void mask_shifted(uint8_t *dst, const uint8_t *src,
    const uint8_t *end, uint32_t key) {
    size_t len = (size_t)(end - dst);
    unsigned shift = (-(unsigned)(uintptr_t)src & 3) * 8;
    uint32_t carry = 0; // the bytes before the next word of src
    for (unsigned i = 0; i < shift; i += 8) {
        carry |= (uint32_t)*src++ << i;
    }
    const uint8_t *stop = src + ((len - shift / 8) & ~(size_t)7);
    while (src != stop) {
        uint32_t w = ((const word_t *)src)[0];
        ((word_t *)dst)[0] = (carry | w << shift) ^ key;
        carry = w >> (32 - shift);
        w = ((const word_t *)src)[1];
        ((word_t *)dst)[1] = (carry | w << shift) ^ key;
        carry = w >> (32 - shift);
        src += 8;
        dst += 8;
    }
    mask_bytes(dst, src - shift / 8, end, key);
}

WS_CODE void ws_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key,
    uint32_t offset) {
    const uint8_t *end = dst + len;
    unsigned turn = offset * 8;
    key = key >> (turn & 31) | key << (-turn & 31);
    if (WORDS && len >= 8) {
        if (!IS_ALIGNED(dst)) {
            do {
                *dst++ = (uint8_t)(*src++ ^ key);
                key = rotl(key, 24);
            } while (!IS_ALIGNED(dst));
            len = (size_t)(end - dst);
        }
        if (!IS_ALIGNED(src)) {
            mask_shifted(dst, src, end, key);
            return;
        }
        if (len >= 32) {
            const uint8_t *stop = dst + (len & ~(size_t)31);
            do {
                mask_16(dst, src, key);
                mask_16(dst + 16, src + 16, key);
                dst += 32;
                src += 32;
            } while (dst != stop);
        }
        if ((len & 16) != 0) {
            mask_16(dst, src, key);
            dst += 16;
            src += 16;
        }
        if ((len & 8) != 0) {
            mask_4(dst, src, key);
            mask_4(dst + 4, src + 4, key);
            dst += 8;
            src += 8;
        }
        if ((len & 4) != 0) {
            mask_4(dst, src, key);
            dst += 4;
            src += 4;
        }
    }
    mask_bytes(dst, src, end, key);
}

#endif

// UTF-8 ------------------------------------------------------------------------------------

// The processor's shift takes the low five bits of the state; the others are left over.
static inline uint32_t utf8_step(uint32_t state, uint32_t byte) {
    return utf8_row(byte) >> (state & 31);
}

#if WS_SMALL

WS_CODE uint32_t ws_utf8(uint32_t state, const uint8_t *data, size_t len) {
    const uint8_t *end = data + len;
    state ^= UTF8_ACCEPT;
    while (data != end) {
        uint32_t x;
        int n = 1;
        if (WORDS && IS_ALIGNED(data) && (size_t)(end - data) >= 4) {
            const uint8_t *stop = data + ((size_t)(end - data) & ~(size_t)3);
            if ((state & 31) == UTF8_ACCEPT) {
                while (data != stop && (*(const word_t *)data & NOT_ASCII) == 0) {
                    data += 4;
                }
                if (data == stop) {
                    continue;
                }
            }
            x = *(const word_t *)data;
            data += 4;
            n = 4;
        } else {
            x = ws_byte(data++);
        }
        for (; n != 0; n--) {
            state = utf8_step(state, x & 0xff);
            x >>= 8;
        }
    }
    return (state & 31) ^ UTF8_ACCEPT;
}

#else

static inline __attribute__((always_inline)) const word_t *skip_ascii(const word_t *w,
    const word_t *end) {
    #if WS_WIDE
    typedef uint64_t __attribute__((vector_size(16))) pair_t;
    for (; end - w >= 16; w += 16) {
        const wide_t *v = (const wide_t *)w;
        pair_t any = (pair_t)(v[0] | v[1] | v[2] | v[3]);
        if (((any[0] | any[1]) & ((uint64_t)NOT_ASCII << 32 | NOT_ASCII)) != 0) {
            break;
        }
    }
    #endif
    while (end - w >= 4 && ((w[0] | w[1] | w[2] | w[3]) & NOT_ASCII) == 0) {
        w += 4;
    }
    while (w != end && (*w & NOT_ASCII) == 0) {
        w++;
    }
    return w;
}

WS_CODE uint32_t ws_utf8(uint32_t state, const uint8_t *data, size_t len) {
    const uint8_t *end = data + len;
    state ^= UTF8_ACCEPT;
    if (WORDS && len >= 4) {
        while (!IS_ALIGNED(data)) {
            state = utf8_step(state, *data++);
        }
        const word_t *w = (const word_t *)data;
        data += (size_t)(end - data) & ~(size_t)3;
        const word_t *w_end = (const word_t *)data;
        do {
            uint32_t x;
            while (w != w_end && (((x = *w) & NOT_ASCII) != 0 || (state & 31) != UTF8_ACCEPT)) {
                state = utf8_step(state, x & 0xff);
                state = utf8_step(state, x >> 8 & 0xff);
                state = utf8_step(state, x >> 16 & 0xff);
                state = utf8_step(state, x >> 24);
                w++;
            }
            w = skip_ascii(w, w_end);
        } while (w != w_end);
    }
    while (data != end) {
        state = utf8_step(state, *data++);
    }
    return (state & 31) ^ UTF8_ACCEPT;
}

#endif

WS_CODE int ws_utf8_rejects(uint32_t state) {
    return state == (UTF8_REJECT ^ UTF8_ACCEPT);
}

// SHA-1 ------------------------------------------------------------------------------------

WS_CODE static __attribute__((noinline)) void sha1_start(uint32_t h[5]) {
    h[0] = 0x67452301;
    h[1] = 0xefcdab89;
    h[2] = 0x98badcfe;
    h[3] = 0x10325476;
    h[4] = 0xc3d2e1f0;
}

// One block (RFC 3174 §6.1), in w[0..15]; the rest of w is ours.
#if WS_SMALL

WS_CODE static __attribute__((noinline)) void sha1_block(uint32_t h[5], uint32_t w[80]) {
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned i = 0; i < 80; i++) {
        if (i < 64) {
            w[i + 16] = rotl(w[i + 13] ^ w[i + 8] ^ w[i + 2] ^ w[i], 1);
        }
        uint32_t t = rotl(a, 5) + e + w[i];
        if (i < 20) {
            t += (((c ^ d) & b) ^ d) + 0x5a827999;
        } else if (i >= 40 && i < 60) {
            t += (((b | c) & d) | (b & c)) + 0x8f1bbcdc;
        } else {
            t += (b ^ c ^ d) + (i < 40 ? 0x6ed9eba1 : 0xca62c1d6);
        }
        e = d;
        d = c;
        c = rotl(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

#else

WS_CODE static void sha1_block(uint32_t h[5], uint32_t w[80]) {
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    uint32_t *p = w;

    #define ROUNDS(to, f, k, word) \
    for (; p != w + (to); p++) { \
        uint32_t t = rotl(a, 5) + (f) + e + (k) + (word); \
        e = d; \
        d = c; \
        c = rotl(b, 30); \
        b = a; \
        a = t; \
    }
    #define NEXT (p[16] = rotl(p[13] ^ p[8] ^ p[2] ^ p[0], 1))
    ROUNDS(16, ((c ^ d) & b) ^ d, 0x5a827999, *p)
    p = w;
    ROUNDS(4, ((c ^ d) & b) ^ d, 0x5a827999, NEXT)
    ROUNDS(24, b ^ c ^ d, 0x6ed9eba1, NEXT)
    ROUNDS(44, ((b | c) & d) | (b & c), 0x8f1bbcdc, NEXT)
    ROUNDS(64, b ^ c ^ d, 0xca62c1d6, NEXT)
    #undef ROUNDS
    #undef NEXT

    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

#endif

WS_CODE void ws_accept_key(uint8_t accept[28], const uint8_t *key, size_t key_len) {
    // "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", the first character lowest.
    static const uint32_t guid[9] = {
        0x45383532, 0x35414641, 0x3139452d, 0x37342d34, 0x392d4144,
        0x2d414335, 0x42413543, 0x38434430, 0x31314235,
    };
    uint32_t h[5];
    uint32_t w[80];
    size_t len = key_len + sizeof(guid);
    size_t padded_len = (len + 8 + 64) & ~(size_t)63;
    sha1_start(h);
    for (size_t i = 0; i < padded_len;) {
        uint32_t byte = i == len ? 0x80 : 0;
        if (i < len) {
            size_t j = i - key_len;
            byte = i < key_len ? ws_byte(key + i) : guid[j / 4] >> (j % 4 * 8) & 0xff;
        }
        uint32_t *p = &w[i / 4 & 15];
        *p = *p << 8 | byte;
        i++;
        if ((i & 63) == 0) {
            if (i == padded_len) {
                w[15] = (uint32_t)len * 8;
            }
            sha1_block(h, w);
        }
    }
    // 27 digits of six bits, the last one filled up with zeros.
    for (unsigned i = 0; i < 27; i++) {
        uint32_t digit = h[0] >> 26;
        accept[i] = (uint8_t)(digit < 26 ? 'A' + digit : digit < 52 ? 'a' - 26 + digit
            : digit < 62 ? '0' - 52 + digit : digit == 62 ? '+' : '/');
        for (unsigned j = 0; j < 5; j++) {
            h[j] = h[j] << 6 | (j < 4 ? h[j + 1] >> 26 : 0);
        }
    }
    accept[27] = '=';
}

WS_CODE void ws_random_init(ws_random_t *r, const uint8_t seed[20]) {
    for (unsigned i = 0; i < 20; i++) {
        r->seed[i / 4] = r->seed[i / 4] << 8 | ws_byte(seed + i);
    }
    r->counter = 0;
    r->left = 0;
}

WS_CODE static void random_refill(ws_random_t *r) {
    uint32_t w[80];
    #if WS_SMALL
    for (unsigned i = 0; i < 16; i++) {
        w[i] = i < 5 ? r->seed[i] : 0;
    }
    #else
    w[0] = r->seed[0];
    w[1] = r->seed[1];
    w[2] = r->seed[2];
    w[3] = r->seed[3];
    w[4] = r->seed[4];
    w[7] = w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = 0;
    #endif
    w[5] = r->counter++;
    w[6] = 0x80000000;
    w[15] = 24 * 8;
    sha1_start(r->out);
    sha1_block(r->out, w);
    r->left = 5;
}

WS_CODE uint32_t ws_random(ws_random_t *r) {
    if (r->left == 0) {
        random_refill(r);
    }
    return r->out[--r->left];
}
