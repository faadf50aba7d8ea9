// Included by extmod/modmachine.c.  Timer(-1) is extmod/machine_timer.c's.
#include "shared/timeutils/timeutils.h"
#include "board.h"

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_RTC), MP_ROM_PTR(&rtc_type) }, \
    { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type) }, \

// RTC().datetime([(year, month, day, weekday, hour, minute, second, 0)]), as on the ESP8266.
static const mp_obj_type_t rtc_type;
static const mp_obj_base_t rtc = { &rtc_type };

static mp_obj_t rtc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    return MP_OBJ_FROM_PTR(&rtc);
}

static mp_obj_t rtc_datetime(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        timeutils_struct_time_t tm;
        timeutils_seconds_since_2000_to_struct_time(board_clock(), &tm);
        const uint16_t fields[] = {
            tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_wday, tm.tm_hour, tm.tm_min, tm.tm_sec, 0,
        };
        mp_obj_t items[8];
        for (size_t i = 0; i < 8; i++) {
            items[i] = MP_OBJ_NEW_SMALL_INT(fields[i]);
        }
        return mp_obj_new_tuple(8, items);
    }
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(args[1], 8, &items);
    mp_int_t n[8];
    for (size_t i = 0; i < 8; i++) {
        n[i] = mp_obj_get_int(items[i]);
    }
    board_set_clock(timeutils_seconds_since_2000(n[0], n[1], n[2], n[4], n[5], n[6]));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_datetime_obj, 1, 2, rtc_datetime);

static const mp_rom_map_elem_t rtc_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_datetime), MP_ROM_PTR(&rtc_datetime_obj) },
};
static MP_DEFINE_CONST_DICT(rtc_locals, rtc_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(rtc_type, MP_QSTR_RTC, MP_TYPE_FLAG_NONE,
    make_new, rtc_make_new, locals_dict, &rtc_locals);

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

#ifndef NORETURN
#define NORETURN MP_NORETURN    // since MicroPython 1.26
#endif

// The flash keeps its contents.  With -no-reboot QEMU ends instead.
NORETURN static void mp_machine_reset(void) {
    FPGA[4] = 0xdead;
    for (;;) {
    }
}

static mp_int_t mp_machine_reset_cause(void) {
    return 0;
}

static mp_obj_t mp_machine_unique_id(void) {
    return mp_obj_new_bytes((const byte *)"lx106", 5);
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int_from_uint(FPGA[1]);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    mp_raise_NotImplementedError(NULL);
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    mp_hal_delay_ms(n_args == 0 ? 0 : mp_obj_get_int(args[0]));
}

NORETURN static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    mp_machine_reset();
}
