// Memory for native code, as in ports/esp8266/modesp.c: what the firmware leaves of IRAM, or a part
// of the flash, which is erased and written anew whenever code is loaded.  It is freed by a soft
// reset only.  Module `esp`: what chooses between the two.
#include "py/mperrno.h"
#include "py/persistentcode.h"
#include "py/runtime.h"
#include "board.h"

#define FLASH_START (0x40200000)
#define FLASH_LEN (0x100000)

extern uint32_t _native_start, _native_end;
static uintptr_t next, end;
static uintptr_t erased;        // up to here; 0: the place is IRAM
static unsigned erasures;

void native_init(void) {
    next = (uintptr_t)&_native_start;
    end = (uintptr_t)&_native_end;
    erased = 0;
}

unsigned native_erasures(void) {
    return erasures;
}

__attribute__((noinline)) void flash_erase(uintptr_t address) {
    for (volatile uint32_t *p = (uint32_t *)address; p != (uint32_t *)(address + FLASH_SECTOR_LEN); p++) {
        *p = 0xffffffff;
    }
}

__attribute__((noinline)) void flash_write(uintptr_t address, const uint32_t *src, size_t words) {
    for (uint32_t *p = (uint32_t *)address; words != 0; words--) {
        *p++ &= *src++;
    }
}

void *native_commit(const void *code, size_t len, void *reloc) {
    uintptr_t dest = next;
    const uint32_t *src = code;
    size_t words = (len + 3) / 4;
    if (words * 4 > end - dest) {
        mp_raise_msg_varg(&mp_type_MemoryError,
            MP_ERROR_TEXT("memory allocation failed, allocating %u bytes for native code"), (uint)len);
    }
    if (reloc) {
        mp_native_relocate(reloc, (void *)code, dest);
    }
    next += words * 4;
    if (erased == 0) {
        for (uint32_t *p = (uint32_t *)dest; p != (uint32_t *)next; p++) {
            *p = *src++;
        }
    } else {
        for (; erased < next; erased += FLASH_SECTOR_LEN) {
            flash_erase(erased);
            erasures++;
        }
        flash_write(dest, src, words);
    }
    return (void *)dest;
}

// set_native_code_location(start, length): bytes from the start of the flash; None, None: IRAM.
static mp_obj_t esp_set_native_code_location(mp_obj_t start_in, mp_obj_t len_in) {
    native_init();
    if (start_in != mp_const_none || len_in != mp_const_none) {
        next = erased = FLASH_START + mp_obj_get_int(start_in);
        end = next + mp_obj_get_int(len_in);
        if (end > FLASH_START + FLASH_LEN) {
            mp_raise_ValueError(MP_ERROR_TEXT("flash location must be below 1MByte"));
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(esp_set_native_code_location_obj, esp_set_native_code_location);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp) },
    { MP_ROM_QSTR(MP_QSTR_set_native_code_location),
      MP_ROM_PTR(&esp_set_native_code_location_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t esp_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR_esp, esp_module);
