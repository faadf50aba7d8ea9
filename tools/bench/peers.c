#include "peers.h"

// A plain loop.
void byte_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    const uint8_t *mask = (const uint8_t *)&key;
    for (size_t i = 0; i < len; i++) {
        dst[i] = src[i] ^ mask[(i + offset) & 3];
    }
}

// NodeMCU's receive loop: mask and payload lie behind each other in the frame, int index.
void nodemcu_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    uint8_t mask[4] = {(uint8_t)key, (uint8_t)(key >> 8), (uint8_t)(key >> 16),
                       (uint8_t)(key >> 24)};
    (void)offset;
    for (int i = 0; i < (int)len; i++) {
        dst[i] = (uint8_t)(src[i] ^ mask[i % 4]);
    }
}

// MicroPython's modwebsocket: the position in the mask lives in the object.
void upy_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    struct {
        uint32_t pos;
        uint8_t mask[4];
    } object = {offset, {(uint8_t)key, (uint8_t)(key >> 8), (uint8_t)(key >> 16),
                                (uint8_t)(key >> 24)}}, *self = &object;
    __asm__ ("" : "+r" (self) : : "memory"); // the object is the heap's, not ours
    while (len-- > 0) {
        *dst++ = (uint8_t)(*src++ ^ self->mask[self->pos++ & 3]);
    }
}

// wslay: 64-bit offsets in the context, one byte a step.
void wslay_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    struct {
        uint64_t off;
        uint8_t mask[4];
    } context = {offset, {(uint8_t)key, (uint8_t)(key >> 8), (uint8_t)(key >> 16),
                          (uint8_t)(key >> 24)}}, *ctx = &context;
    __asm__ ("" : "+r" (ctx) : : "memory");
    for (const uint8_t *end = src + len; src != end; src++) {
        *dst++ = (uint8_t)(*src ^ ctx->mask[ctx->off % 4]);
        ctx->off++;
    }
}

// python-websockets' C: the widest aligned word, then bytes.
void pyws_mask(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key, uint32_t offset) {
    typedef uintptr_t __attribute__((may_alias)) wide_t;
    const uint8_t *mask = (const uint8_t *)&key;
    size_t i = 0;
    (void)offset;
    if ((((uintptr_t)dst | (uintptr_t)src) & (sizeof(wide_t) - 1)) == 0) {
        wide_t wide = key;
        if (sizeof(wide_t) > 4) {
            wide |= wide << 16 << 16;
        }
        for (; i + sizeof(wide_t) <= len; i += sizeof(wide_t)) {
            *(wide_t *)(dst + i) = *(const wide_t *)(src + i) ^ wide;
        }
    }
    for (; i < len; i++) {
        dst[i] = src[i] ^ mask[i & 3];
    }
}

// A decoder as one writes it: code points, then their ranges.
uint32_t naive_utf8(uint32_t state, const uint8_t *data, size_t len) {
    const uint8_t *end = data + len;
    (void)state;
    while (data != end) {
        uint32_t c = *data++;
        if (c < 0x80) {
            continue;
        }
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
        if (c < 0xc2 || c > 0xf4 || (size_t)(end - data) < more) {
            return 1;
        }
        c &= 0x3fU >> more;
        for (; more > 0; more--) {
            uint32_t b = *data++;
            if ((b & 0xc0) != 0x80) {
                return 1;
            }
            c = c << 6 | (b & 0x3f);
        }
        if (c < least || c > 0x10ffff || c - 0xd800 < 0x800) {
            return 1;
        }
    }
    return 0;
}

// Hoehrmann's automaton, which wslay uses too: class of the byte, then the state's row.
static uint8_t class_of[256], next_of[9 * 12];

void peers_init(void) {
    // First byte of each class, and the classes' steps; states are multiples of 12.
    static const uint8_t start[] = {0x00, 0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xe0, 0xe1, 0xed, 0xee,
                                    0xf0, 0xf1, 0xf4, 0xf5};
    static const uint8_t class[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 9, 10, 11, 4};
    // accept, reject, 1, 2, 3 to come, after e0, ed, f0, f4; 12 classes each
    static const char steps[] = "011112536748111111111111100011111111122211111111133311111111"
                                "111211111111122111111111113311111111131111111111";
    unsigned at = 0;
    for (unsigned i = 0; i < 256; i++) {
        at += at + 1 < sizeof(start) && i == start[at + 1];
        class_of[i] = class[at];
    }
    for (unsigned i = 0; i < sizeof(next_of); i++) {
        next_of[i] = (uint8_t)((steps[i] - '0') * 12);
    }
}

uint32_t hoehrmann_utf8(uint32_t state, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        state = next_of[state + class_of[data[i]]];
        if (state == 12) {
            break;
        }
    }
    return state;
}

// MicroPython's utf8_check(): counts continuation bytes, no ranges.
uint32_t upy_utf8(uint32_t state, const uint8_t *data, size_t len) {
    unsigned need = 0;
    (void)state;
    for (const uint8_t *end = data + len; data < end; data++) {
        uint8_t c = *data;
        if (need > 0) {
            if (c < 0x80 || c >= 0xc0) {
                return 1;
            }
            need--;
        } else if (c >= 0xf8 || (c >= 0x80 && c < 0xc0)) {
            return 1;
        } else {
            need = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        }
    }
    return need;
}

// MicroPython's modwebsocket: collects what the state wants in the object, then acts on it.
size_t upy_header(upy_header_t *self, const uint8_t *data, size_t len) {
    const uint8_t *p = data;
    self->state = 0;
    self->have = 0;
    self->to_recv = 2;
    while ((size_t)(p - data) < len) {
        while (self->to_recv > 0) {
            self->buf[self->have++] = *p++;
            self->to_recv--;
        }
        if (self->state == 0) {
            if ((self->buf[0] & 0x70) != 0) {
                return 0;
            }
            self->opcode = self->buf[0] & 15;
            self->len = self->buf[1] & 0x7f;
            self->to_recv = self->len == 126 ? 2 : self->len == 127 ? 8 : 0;
            self->to_recv += (self->buf[1] & 0x80) != 0 ? 4 : 0;
            self->state = 1;
            if (self->to_recv == 0) {
                return (size_t)(p - data);
            }
        } else {
            uint8_t *q = self->buf + 2;
            if (self->len == 126) {
                self->len = (uint32_t)q[0] << 8 | q[1];
                q += 2;
            }
            if ((self->buf[1] & 0x80) != 0) {
                for (unsigned i = 0; i < 4; i++) {
                    self->mask[i] = q[i];
                }
            }
            self->mask_pos = 0;
            return (size_t)(p - data);
        }
    }
    return 0;
}

// By bytes, all there, with the checks of RFC 6455 that need no state.
size_t byte_header(upy_header_t *self, const uint8_t *data, size_t len) {
    if (len < 2) {
        return 0;
    }
    uint8_t b0 = data[0], b1 = data[1];
    unsigned opcode = b0 & 15;
    size_t used = 2;
    uint32_t n = b1 & 0x7f;
    if ((b0 & 0x70) != 0 || (opcode > 2 && opcode < 8) || opcode > 10) {
        return 0;
    }
    if (opcode >= 8 && ((b0 & 0x80) == 0 || n > 125)) {
        return 0;
    }
    if (n == 126) {
        n = (uint32_t)data[2] << 8 | data[3];
        used = 4;
        if (n < 126) {
            return 0;
        }
    }
    if ((b1 & 0x80) != 0) {
        for (unsigned i = 0; i < 4; i++) {
            self->mask[i] = data[used++];
        }
    }
    self->opcode = opcode;
    self->len = n;
    self->mask_pos = 0;
    return used;
}
