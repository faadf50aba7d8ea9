// Start-up, the REPL's loop and what the interpreter asks of every port.
#include "py/builtin.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"
#include "shared/runtime/softtimer.h"
#include "board.h"

static char heap[MICROPY_HEAP_SIZE] __attribute__((aligned(16)));

static void start(void) {
    mp_stack_set_top((void *)STACK_TOP);
    mp_stack_set_limit(8192);               // as on the ESP8266
    gc_init(heap, heap + sizeof(heap));
    mp_init();
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_lib));
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_));
    native_init();
    readline_init0();
    pyexec_frozen_module("_boot.py", false);
    int ret = pyexec_file_if_exists("boot.py");
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL && ret != 0) {
        pyexec_file_if_exists("main.py");
    }
}

int main(void) {
    uart_init();
    lan_init();
    for (;;) {
        start();
        while ((pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl()) == 0) {
        }
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");  // mpremote waits for exactly this
        soft_timer_deinit();
        gc_sweep_all();                     // closes the sockets
        mp_deinit();
    }
}

// ports/esp8266/gchelper.s: stores a8 to a15, returns the stack pointer.
mp_uint_t gc_helper_get_regs_and_sp(mp_uint_t *regs);

void gc_collect(void) {
    gc_collect_start();
    mp_uint_t regs[8];
    mp_uint_t sp = gc_helper_get_regs_and_sp(regs);
    gc_collect_root((void **)sp, (STACK_TOP - sp) / sizeof(uint32_t));
    soft_timer_gc_mark_all();
    gc_collect_end();
}

// What ends the board: the exit status is the exception's cause plus 64, or one of these.

void nlr_jump_fail(void *val) {
    mp_printf(&mp_plat_print, "\nFATAL: exception without a handler\n");
    board_exit(2);
}

void abort(void) {
    mp_printf(&mp_plat_print, "\nFATAL: abort()\n");
    board_exit(3);
}

void __assert_func(const char *file, int line, const char *function, const char *expression) {
    mp_printf(&mp_plat_print, "\nFATAL: assertion '%s' at %s:%d\n", expression, file, line);
    board_exit(4);
}

// From the exception vectors in start.S; cause: EXCCAUSE, pc: EPC1, address: EXCVADDR.
void fatal_exception(uint32_t cause, uint32_t pc, uint32_t address, uint32_t a0, uint32_t sp) {
    static const char *const names[] = {
        [0] = "illegal instruction", [2] = "instruction fetch", [3] = "load or store",
        [9] = "unaligned access", [13] = "bus error on data", [15] = "no memory there, for data",
        [20] = "no code there", [28] = "no load allowed", [29] = "no store allowed",
    };
    const char *name = cause < MP_ARRAY_SIZE(names) && names[cause] ? names[cause] : "?";
    mp_printf(&mp_plat_print, "\nFATAL: exception %u (%s) pc=%08x address=%08x a0=%08x sp=%08x\n",
        (unsigned)cause, name, (unsigned)pc, (unsigned)address, (unsigned)a0, (unsigned)sp);
    board_exit(0x40 | cause);
}
