// The read-only file system of the ESP8266's firmware FLASH_2M_ROMFS, in the flash that the processor
// sees: code and strings of its .mpy files stay there.  As in ports/esp8266/vfs_rom_ioctl.c.
#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "board.h"

#if MICROPY_VFS_ROM

extern uint8_t _romfs_start[], _romfs_size[];

static const MP_DEFINE_MEMORYVIEW_OBJ(romfs_obj, 'B', 0, (size_t)_romfs_size, _romfs_start);

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    switch (mp_obj_get_int(args[0])) {
        case MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS:
            return MP_OBJ_NEW_SMALL_INT(1);
        case MP_VFS_ROM_IOCTL_GET_SEGMENT:
            return MP_OBJ_FROM_PTR(&romfs_obj);
        case MP_VFS_ROM_IOCTL_WRITE_PREPARE:
            for (mp_int_t at = 0; at < mp_obj_get_int(args[2]); at += FLASH_SECTOR_LEN) {
                flash_erase((uintptr_t)_romfs_start + at);
            }
            return MP_OBJ_NEW_SMALL_INT(4);     // bytes that are written at least
        case MP_VFS_ROM_IOCTL_WRITE: {
            mp_buffer_info_t info;
            mp_get_buffer_raise(args[3], &info, MP_BUFFER_READ);
            flash_write((uintptr_t)_romfs_start + mp_obj_get_int(args[2]), info.buf,
                (info.len + 3) / 4);
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        default:
            return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
}

#endif
