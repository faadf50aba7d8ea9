// What lwIP asks of a port.
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <sys/types.h>                          // BYTE_ORDER

#define LWIP_CHKSUM_ALGORITHM           3       // by words
#define LWIP_NO_CTYPE_H                 1       // the table lies in ROM, which has no bytes
#define lwip_htons(x)                   __builtin_bswap16(x)
#define lwip_htonl(x)                   __builtin_bswap32(x)

void *copy(void *dst, const void *src, size_t len);
#define MEMCPY(dst, src, len)           copy(dst, src, len)
#define SMEMCPY(dst, src, len)          copy(dst, src, len)

#define LWIP_PLATFORM_DIAG(x)           do { } while (0)
#define LWIP_PLATFORM_ASSERT(x)         do { } while (0)
// As in MicroPython's ports: modlwip.c calls tcp_err() for a listening socket when it closes it,
// which would trip an assertion.
#define LWIP_NOASSERT

#endif
