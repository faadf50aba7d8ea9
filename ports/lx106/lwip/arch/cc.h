// What lwIP asks of a port.
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <sys/types.h>                          // BYTE_ORDER

#define LWIP_CHKSUM_ALGORITHM           3       // by words
#define LWIP_PLATFORM_DIAG(x)           do { } while (0)
#define LWIP_PLATFORM_ASSERT(x)         do { } while (0)
// As in MicroPython's ports: modlwip.c calls tcp_err() for a listening socket when it closes it,
// which would trip an assertion.
#define LWIP_NOASSERT

#endif
