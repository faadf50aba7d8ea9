// Test-only module `failalloc`: makes the n-th heap allocation from now on fail.
//
//     failalloc.after(n)   the n-th of the following allocations fails, once; 0: none does
//     failalloc.after(n, True)   of calloc()'s, which mbedTLS uses, instead of the heap's
//     failalloc.count()    allocations since then, failed one included
//
// To fail each allocation of an operation in turn, raise n until count() stays below it.
#include "py/gc.h"
#include "py/runtime.h"

static mp_uint_t fail_at, count;
static bool of_calloc;

static bool fails(bool is_calloc) {
    return is_calloc == of_calloc && ++count == fail_at;
}

// The linker sends all calls of gc_alloc and gc_realloc here (--wrap).
void *__real_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags) {
    return fails(false) ? NULL : __real_gc_alloc(n_bytes, alloc_flags);
}

void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);
void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    // Shrinking and freeing never fail.
    bool grows = ptr == NULL || n_bytes > gc_nbytes(ptr);
    return grows && fails(false) ? NULL : __real_gc_realloc(ptr, n_bytes, allow_move);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
    return fails(true) ? NULL : __real_calloc(n, size);
}

static mp_obj_t failalloc_after(size_t n_args, const mp_obj_t *args) {
    fail_at = mp_obj_get_int(args[0]);
    of_calloc = n_args > 1 && mp_obj_is_true(args[1]);
    count = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(failalloc_after_obj, 1, 2, failalloc_after);

static mp_obj_t failalloc_count(void) {
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_0(failalloc_count_obj, failalloc_count);

static const mp_rom_map_elem_t failalloc_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_failalloc) },
    { MP_ROM_QSTR(MP_QSTR_after), MP_ROM_PTR(&failalloc_after_obj) },
    { MP_ROM_QSTR(MP_QSTR_count), MP_ROM_PTR(&failalloc_count_obj) },
};
static MP_DEFINE_CONST_DICT(failalloc_globals, failalloc_globals_table);

const mp_obj_module_t failalloc_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&failalloc_globals,
};
MP_REGISTER_MODULE(MP_QSTR_failalloc, failalloc_module);
