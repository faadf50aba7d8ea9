// The compiler's helpers that the ESP8266 has in its boot ROM, so that Debian's libgcc.a for lx106
// leaves them out: division, 64-bit products, and what MicroPython uses of soft float (IEEE 754,
// to nearest even).  NaNs lose their payload.
#include <stdint.h>

typedef union {
    float f;
    uint32_t u;
} sgl_t;

typedef union {
    double f;
    uint64_t u;
} dbl_t;

// ---- Integers

static inline uint32_t divide(uint32_t n, uint32_t d, uint32_t *remainder) {
    uint32_t q = 0;
    if (d != 0 && n >= d) {
        int shift = __builtin_clz(d) - __builtin_clz(n);
        d <<= shift;
        do {
            q <<= 1;
            if (n >= d) {
                n -= d;
                q++;
            }
            d >>= 1;
        } while (--shift >= 0);
    }
    *remainder = n;
    return q;
}

uint32_t __udivsi3(uint32_t n, uint32_t d) {
    uint32_t remainder;
    return divide(n, d, &remainder);
}

// Without the quotient: every look-up in a dict calls it.
uint32_t __umodsi3(uint32_t n, uint32_t d) {
    if (d != 0 && n >= d) {
        int shift = __builtin_clz(d) - __builtin_clz(n);
        uint32_t e = d << shift;
        do {
            if (n >= e) {
                n -= e;
            }
            e >>= 1;
        } while (e >= d);
    }
    return n;
}

int32_t __divsi3(int32_t n, int32_t d) {
    uint32_t q = __udivsi3(n < 0 ? -(uint32_t)n : (uint32_t)n, d < 0 ? -(uint32_t)d : (uint32_t)d);
    return (n ^ d) < 0 ? -q : q;
}

uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    // By halves: the core gives only the lower 32 bits of a product.
    uint32_t al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
    uint32_t low = al * bl;
    uint32_t middle = ah * bl + (low >> 16);    // cannot overflow
    uint32_t other = al * bh + (middle & 0xffff);
    uint32_t high = ah * bh + (middle >> 16) + (other >> 16);
    return (uint64_t)high << 32 | other << 16 | (low & 0xffff);
}

uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t high = (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return __umulsidi3(a, b) + ((uint64_t)high << 32);
}

// In libgcc.a; the remainder is optional.
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *remainder);

uint64_t __udivdi3(uint64_t n, uint64_t d) {
    return __udivmoddi4(n, d, 0);
}

uint64_t __umoddi3(uint64_t n, uint64_t d) {
    uint64_t remainder;
    __udivmoddi4(n, d, &remainder);
    return remainder;
}

int64_t __divdi3(int64_t n, int64_t d) {
    uint64_t q = __udivmoddi4(n < 0 ? -(uint64_t)n : n, d < 0 ? -(uint64_t)d : d, 0);
    return (n < 0) != (d < 0) ? -q : q;
}

// ---- Single precision
//
// While it is worked on, a number is m * 2^(exp - 157): m's highest bit is bit 30, which leaves
// seven bits below the result's; the lowest one is also set if anything below it was lost.

#define SIGN        (0x80000000)
#define INFINITE    (0x7f800000)
#define NOT_A_NUMBER        (0x7fc00000)

static uint32_t shift_right(uint32_t m, int n) {
    return n == 0 ? m : n > 31 ? m != 0 : m >> n | ((m << (32 - n)) != 0);
}

static float pack(uint32_t sign, int exp, uint32_t m) {
    if (exp < 1) {
        m = shift_right(m, 1 - exp);
        exp = 1;
    }
    uint32_t lost = m & 0x7f;
    m = (m + 0x40) >> 7;
    if (lost == 0x40) {
        m &= ~1;
    }
    // Adding lets a mantissa that rounding has filled up carry into the exponent.
    uint32_t bits = exp >= 255 ? INFINITE : ((uint32_t)(exp - 1) << 23) + m;
    return (sgl_t) { .u = sign | (bits < INFINITE ? bits : INFINITE) }.f;
}

// Takes a finite number apart, as it is stored: m of a subnormal is not normalised.
static uint32_t unpack(uint32_t bits, int *exp) {
    *exp = bits >> 23 & 0xff;
    if (*exp == 0) {
        *exp = 1;
        return (bits & 0x7fffff) << 7;
    }
    return ((bits & 0x7fffff) | 0x800000) << 7;
}

// The same, normalised; not for 0.
static uint32_t unpack_normal(uint32_t bits, int *exp) {
    uint32_t m = unpack(bits, exp);
    int shift = __builtin_clz(m) - 1;
    *exp -= shift;
    return m << shift;
}

float __addsf3(float a, float b) {
    uint32_t x = (sgl_t) { a }.u, y = (sgl_t) { b }.u;
    if ((x & ~SIGN) < (y & ~SIGN)) {
        uint32_t z = x;
        x = y;
        y = z;
    }
    uint32_t sign = x & SIGN;
    int differ = (x ^ y) >> 31;
    if ((x & ~SIGN) >= INFINITE) {
        int nan = (x & ~SIGN) > INFINITE || (differ && (y & ~SIGN) == INFINITE);
        return (sgl_t) { .u = nan ? NOT_A_NUMBER : x }.f;
    }
    int exp, exp_y;
    uint32_t m = unpack(x, &exp);
    uint32_t n = unpack(y, &exp_y);
    n = shift_right(n, exp - exp_y);
    if (!differ) {
        m += n;
        if (m & SIGN) {
            m = shift_right(m, 1);
            exp++;
        }
    } else {
        m -= n;
        if (m == 0) {
            return 0;
        }
        int shift = __builtin_clz(m) - 1;
        shift = shift < exp - 1 ? shift : exp - 1;
        m <<= shift;
        exp -= shift;
    }
    return pack(sign, exp, m);
}

float __subsf3(float a, float b) {
    return __addsf3(a, (sgl_t) { .u = (sgl_t) { b }.u ^ SIGN }.f);
}

float __mulsf3(float a, float b) {
    uint32_t x = (sgl_t) { a }.u, y = (sgl_t) { b }.u;
    uint32_t sign = (x ^ y) & SIGN;
    x &= ~SIGN;
    y &= ~SIGN;
    if (x >= INFINITE || y >= INFINITE) {
        int nan = x > INFINITE || y > INFINITE || x == 0 || y == 0;
        return (sgl_t) { .u = nan ? NOT_A_NUMBER : sign | INFINITE }.f;
    }
    if (x == 0 || y == 0) {
        return (sgl_t) { .u = sign }.f;
    }
    int exp, exp_y;
    uint32_t m = unpack_normal(x, &exp);
    uint64_t product = __umulsidi3(m, unpack_normal(y, &exp_y));
    m = product >> 31 | ((uint32_t)product << 1 != 0);
    exp += exp_y - 126;
    if (!(m >> 30)) {
        // The lowest bit stays what it is: set if anything was lost.
        m = m << 1 | (m & 1);
        exp--;
    }
    return pack(sign, exp, m);
}

float __floatunsisf(uint32_t n) {
    if (n == 0) {
        return 0;
    }
    int zeros = __builtin_clz(n);
    return pack(0, 158 - zeros, zeros ? n << (zeros - 1) : shift_right(n, 1));
}

float __floatsisf(int32_t n) {
    float f = __floatunsisf(n < 0 ? -(uint32_t)n : (uint32_t)n);
    return (sgl_t) { .u = (sgl_t) { f }.u | (n & SIGN) }.f;
}

uint32_t __fixunssfsi(float f) {
    uint32_t bits = (sgl_t) { f }.u;
    int exp = (int)(bits >> 23) - 127;          // a sign makes it at least 129
    uint32_t m = (bits & 0x7fffff) | 0x800000;
    return exp < 0 || bits >> 31 ? 0 : exp > 31 ? UINT32_MAX : exp > 23 ? m << (exp - 23) : m >> (23 - exp);
}

// ---- Double precision: only from and to

double __extendsfdf2(float f) {
    uint32_t bits = (sgl_t) { f }.u;
    uint64_t sign = (uint64_t)(bits & SIGN) << 32;
    bits &= ~SIGN;
    if (bits == 0) {
        return (dbl_t) { .u = sign }.f;
    }
    if (bits >= INFINITE) {
        return (dbl_t) { .u = sign | 0x7ff0000000000000 | (uint64_t)(bits & 0x7fffff) << 29 }.f;
    }
    int exp;
    uint64_t m = unpack_normal(bits, &exp) & ~0x40000000;
    return (dbl_t) { .u = sign | (uint64_t)(exp + 896) << 52 | m << 22 }.f;
}

float __truncdfsf2(double f) {
    uint64_t bits = (dbl_t) { f }.u;
    uint32_t sign = (uint32_t)(bits >> 32) & SIGN;
    int exp = (int)(bits >> 52 & 0x7ff);
    uint64_t m = bits & 0xfffffffffffff;
    if (exp == 0x7ff) {
        return (sgl_t) { .u = m ? NOT_A_NUMBER : sign | INFINITE }.f;
    }
    if (exp == 0) {
        return (sgl_t) { .u = sign }.f;
    }
    m |= 0x10000000000000;
    return pack(sign, exp - 896, (uint32_t)(m >> 22) | ((m & 0x3fffff) != 0));
}

double __floatsidf(int32_t n) {
    if (n == 0) {
        return 0;
    }
    uint32_t m = n < 0 ? -(uint32_t)n : (uint32_t)n;
    int zeros = __builtin_clz(m);
    uint64_t fraction = ((uint64_t)m << (zeros + 21)) & 0xfffffffffffff;
    return (dbl_t) { .u = (uint64_t)(n & SIGN) << 32 | (uint64_t)(1054 - zeros) << 52 | fraction }.f;
}

// ---- What Debian's libgcc.a has, though not for processors with register windows (ports/qemu)

#if __XTENSA_WINDOWED_ABI__

uint32_t __bswapsi2(uint32_t x) {
    return __builtin_bswap32(x);
}

uint64_t __bswapdi2(uint64_t x) {
    return (uint64_t)__builtin_bswap32((uint32_t)x) << 32 | __builtin_bswap32((uint32_t)(x >> 32));
}

float __divsf3(float a, float b) {
    uint32_t x = (sgl_t) { a }.u, y = (sgl_t) { b }.u;
    uint32_t sign = (x ^ y) & SIGN;
    x &= ~SIGN;
    y &= ~SIGN;
    if (x > INFINITE || y > INFINITE || (x == y && (x == 0 || x == INFINITE))) {
        return (sgl_t) { .u = NOT_A_NUMBER }.f;
    }
    if (x == 0 || y == INFINITE) {
        return (sgl_t) { .u = sign }.f;
    }
    if (y == 0 || x == INFINITE) {
        return (sgl_t) { .u = sign | INFINITE }.f;
    }
    int exp, exp_y;
    uint32_t m = unpack_normal(x, &exp);
    uint32_t n = unpack_normal(y, &exp_y);
    uint32_t q = 0;
    for (int i = 0; i < 31; i++) {
        q <<= 1;
        if (m >= n) {
            m -= n;
            q |= 1;
        }
        m <<= 1;
    }
    q |= m != 0;
    exp += 127 - exp_y;
    if (!(q >> 30)) {
        q = q << 1 | (q & 1);
        exp--;
    }
    return pack(sign, exp, q);
}

int32_t __fixsfsi(float f) {
    uint32_t bits = (sgl_t) { f }.u;
    uint32_t n = __fixunssfsi((sgl_t) { .u = bits & ~SIGN }.f);
    return (int32_t)(bits >> 31 ? -n : n);
}

// -1, 0, 1; or `unordered`, if one of them is not a number.
static int compare(float a, float b, int unordered) {
    uint32_t x = (sgl_t) { a }.u, y = (sgl_t) { b }.u;
    if ((x & ~SIGN) > INFINITE || (y & ~SIGN) > INFINITE) {
        return unordered;
    }
    int32_t i = (int32_t)(x >> 31 ? -(x & ~SIGN) : x);
    int32_t j = (int32_t)(y >> 31 ? -(y & ~SIGN) : y);
    return (i > j) - (i < j);
}

int __eqsf2(float a, float b) {
    return compare(a, b, 1);
}

int __nesf2(float a, float b) {
    return compare(a, b, 1);
}

int __ltsf2(float a, float b) {
    return compare(a, b, 1);
}

int __lesf2(float a, float b) {
    return compare(a, b, 1);
}

int __gtsf2(float a, float b) {
    return compare(a, b, -1);
}

int __gesf2(float a, float b) {
    return compare(a, b, -1);
}

int __unordsf2(float a, float b) {
    return compare(a, b, 2) == 2;
}

#endif
