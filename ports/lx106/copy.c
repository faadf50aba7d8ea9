// What lwIP copies with, in place of the chip's ROM: by words at any alignment.  Also the source is
// only read by words, because it may lie in flash; MicroPython's string0.c does so too, but copies
// byte by byte if anything is not aligned.
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word_t;

void *copy(void *dst, const void *src, size_t len) {
    uint8_t *d = dst;
    const uint8_t *s = src;
    for (; len > 0 && ((uintptr_t)d & 3) != 0; len--) {
        *d++ = *s++;
    }
    word_t *to = (word_t *)d;
    word_t *end = to + len / 4;
    unsigned shift = ((uintptr_t)s & 3) * 8;
    const word_t *from = (const word_t *)((uintptr_t)s & ~3);
    if (shift == 0) {
        for (; end - to >= 4; to += 4, from += 4) {
            uint32_t a = from[0], b = from[1], c = from[2], e = from[3];
            to[0] = a;
            to[1] = b;
            to[2] = c;
            to[3] = e;
        }
        while (to < end) {
            *to++ = *from++;
        }
    } else if (to < end) {
        // Each word takes the rest of one and the begin of the next, which has to be read anyway.
        for (uint32_t low = *from++; to < end;) {
            uint32_t high = *from++;
            *to++ = low >> shift | high << (32 - shift);
            low = high;
        }
    }
    size_t done = len & ~3;
    for (s += done, d += done, len -= done; len > 0; len--) {
        *d++ = *s++;
    }
    return dst;
}
