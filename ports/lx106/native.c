// Memory for native code: what the firmware leaves of IRAM.  As in ports/esp8266/modesp.c it is
// written word by word and freed by a soft reset only.
#include "py/persistentcode.h"
#include "py/runtime.h"
#include "board.h"

extern uint32_t _native_start, _native_end;
static uint32_t *next;

void native_init(void) {
    next = &_native_start;
}

void *native_commit(const void *code, size_t len, void *reloc) {
    uint32_t *dest = next;
    const uint32_t *src = code;
    if (len > (size_t)((char *)&_native_end - (char *)dest)) {
        mp_raise_msg_varg(&mp_type_MemoryError,
            MP_ERROR_TEXT("memory allocation failed, allocating %u bytes for native code"), (uint)len);
    }
    if (reloc) {
        mp_native_relocate(reloc, (void *)code, (uintptr_t)dest);
    }
    for (size_t i = 0; i < (len + 3) / 4; i++) {
        *next++ = *src++;
    }
    return dest;
}
