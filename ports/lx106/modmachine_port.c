// Included by extmod/modmachine.c.  Timer(-1) is extmod/machine_timer.c's.
#include "board.h"

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type) }, \

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

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
