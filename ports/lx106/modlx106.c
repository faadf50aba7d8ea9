// Module `lx106`: what only an emulated board can do.
#include "py/runtime.h"
#include "board.h"

// exit(status): ends QEMU with this exit status.
static mp_obj_t mod_exit(mp_obj_t status) {
    board_exit(mp_obj_get_int(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(exit_obj, mod_exit);

// peek(address): the word there; peek8(address): the byte; poke(address, word): stores it. They crash
// as C code would, and QEMU's plugin reports what the chip could not do.
static mp_obj_t mod_peek(mp_obj_t address) {
    uint32_t word;
    __asm__ volatile ("l32i %0, %1, 0" : "=r" (word) : "r" (mp_obj_get_int_truncated(address)));
    return mp_obj_new_int_from_uint(word);
}
static MP_DEFINE_CONST_FUN_OBJ_1(peek_obj, mod_peek);
static mp_obj_t mod_peek8(mp_obj_t address) {
    uint32_t byte;
    __asm__ volatile ("l8ui %0, %1, 0" : "=r" (byte) : "r" (mp_obj_get_int_truncated(address)));
    return MP_OBJ_NEW_SMALL_INT(byte);
}
static MP_DEFINE_CONST_FUN_OBJ_1(peek8_obj, mod_peek8);
static mp_obj_t mod_poke(mp_obj_t address, mp_obj_t word) {
    __asm__ volatile ("s32i %0, %1, 0" : : "r" (mp_obj_get_int_truncated(word)),
        "r" (mp_obj_get_int_truncated(address)) : "memory");
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(poke_obj, mod_poke);

// lose(n): every n-th frame of the network is lost from now on; 0: none.
static mp_obj_t mod_lose(mp_obj_t n) {
    lan_lose(mp_obj_get_int(n));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lose_obj, mod_lose);

// erasures(): flash sectors erased for native code since QEMU started.
static mp_obj_t mod_erasures(void) {
    return MP_OBJ_NEW_SMALL_INT(native_erasures());
}
static MP_DEFINE_CONST_FUN_OBJ_0(erasures_obj, mod_erasures);

// bench_begin(), bench_end(): where QEMU's plugin (tools/qemu_plugin.c) starts and stops counting.
// The comments keep the compiler from making one function of the two.
__attribute__((noinline)) void bench_begin(void) {
    __asm__ volatile ("# begin");
}
__attribute__((noinline)) void bench_end(void) {
    __asm__ volatile ("# end");
}
static mp_obj_t mod_bench_begin(void) {
    bench_begin();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(bench_begin_obj, mod_bench_begin);
static mp_obj_t mod_bench_end(void) {
    bench_end();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(bench_end_obj, mod_bench_end);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_lx106) },
    { MP_ROM_QSTR(MP_QSTR_exit), MP_ROM_PTR(&exit_obj) },
    { MP_ROM_QSTR(MP_QSTR_peek), MP_ROM_PTR(&peek_obj) },
    { MP_ROM_QSTR(MP_QSTR_peek8), MP_ROM_PTR(&peek8_obj) },
    { MP_ROM_QSTR(MP_QSTR_poke), MP_ROM_PTR(&poke_obj) },
    { MP_ROM_QSTR(MP_QSTR_lose), MP_ROM_PTR(&lose_obj) },
    { MP_ROM_QSTR(MP_QSTR_erasures), MP_ROM_PTR(&erasures_obj) },
    { MP_ROM_QSTR(MP_QSTR_bench_begin), MP_ROM_PTR(&bench_begin_obj) },
    { MP_ROM_QSTR(MP_QSTR_bench_end), MP_ROM_PTR(&bench_end_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t lx106_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR_lx106, lx106_module);
