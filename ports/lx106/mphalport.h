#include <stdint.h>
#include "py/ringbuf.h"
#include "shared/runtime/interrupt_char.h"

extern ringbuf_t stdin_ringbuf;

// QEMU counts CCOUNT at 40 MHz (the ESP8266 at 80 or 160).
#define CPU_HZ (40000000)

static inline uint32_t mp_hal_ticks_cpu(void) {
    uint32_t count;
    __asm__ volatile ("rsr %0, ccount" : "=r" (count));
    return count;
}
