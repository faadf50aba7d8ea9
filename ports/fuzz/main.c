// Gives each input of libFuzzer to run(data), data: bytes, of the frozen module fuzz_NAME, NAME
// being the program's own.  It begins with a fresh interpreter.  An exception is a crash.
//
// For the targets there is the module `fuzz`:
//
//     fuzz.decode(server, limit, wire)   what the plain decoder makes of it: (events, after how
//                          many bytes an error shows or 0, bytes up to the end of the last whole
//                          frame); an event is (kind, code, bytes), see plain.h
//     fuzz.fail(n)         the n-th allocation from now on fails, once; 0: none does
//     fuzz.Stream(data, chunks, ended)  a non-blocking stream that gives data and then blocks, or
//                          ends.  chunks: bytes, how many it gives at once, in turn (0: it blocks,
//                          once); empty: all
//       .put(data)         it gives this, too
//       .chunks(chunks)
//       .room(n)           it takes so many bytes more, then it blocks; at first it takes all
//       .broken(errno)     from now on it fails
//       .given()           bytes that it gave
//       .taken()           what it took
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "py/builtin.h"
#include "py/cstack.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"

#define STACK_LEN (1 << 20)

// ---- Coverage of Python

// libFuzzer takes them for counters like those of C.
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[1 << 14];

extern const char mp_frozen_names[];

// Frozen code lies at the same distance from there in every run.
void fuzz_at(const uint8_t *ip) {
    counters[((uintptr_t)ip - (uintptr_t)mp_frozen_names) % sizeof(counters)]++;
}

// ---- Memory

// Longer blocks no board has.
#define BLOCK_MAX (1 << 17)

// In front of each block, poisoned; a list of all, to be freed after the input.
typedef struct head {
    struct head *next, *before;
    size_t len;
    size_t unused;
} head_t;

#define UNCHECKED __attribute__((no_sanitize("address")))

static head_t heap = { &heap, &heap, 0, 0 };
static mp_uint_t fail_at;       // 0: no allocation fails

UNCHECKED void *fuzz_malloc(size_t len) {
    if (len == 0 || len > BLOCK_MAX || (fail_at != 0 && --fail_at == 0)) {
        return NULL;
    }
    head_t *head = malloc(sizeof(head_t) + len);
    head->len = len;
    head->before = &heap;
    head->next = heap.next;
    head->next->before = heap.next = head;
    ASAN_POISON_MEMORY_REGION(head, sizeof(*head));
    return head + 1;
}

UNCHECKED void fuzz_free(void *data) {
    if (data != NULL) {
        head_t *head = (head_t *)data - 1;
        head->before->next = head->next;
        head->next->before = head->before;
        ASAN_UNPOISON_MEMORY_REGION(head, sizeof(*head));
        free(head);
    }
}

// Never in place: who keeps the old address is found out.  What shrinks never fails.
UNCHECKED void *fuzz_realloc(void *data, size_t len) {
    size_t old_len = data == NULL ? 0 : ((head_t *)data - 1)->len;
    mp_uint_t fails = fail_at;
    if (len <= old_len) {
        fail_at = 0;
    }
    void *moved = fuzz_malloc(len);
    if (len <= old_len) {
        fail_at = fails;
    }
    if (moved != NULL && data != NULL) {
        memcpy(moved, data, MIN(len, old_len));
    }
    if (moved != NULL || len == 0) {
        fuzz_free(data);
    }
    return moved;
}

// ---- The module `fuzz`

static mp_obj_t fuzz_fail(mp_obj_t n) {
    fail_at = mp_obj_get_int(n);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(fuzz_fail_obj, fuzz_fail);

static void add_event(void *list, int kind, unsigned code, const uint8_t *data, size_t len) {
    mp_obj_t event[3] = {
        MP_OBJ_NEW_SMALL_INT(kind), MP_OBJ_NEW_SMALL_INT(code), mp_obj_new_bytes(data, len),
    };
    mp_obj_list_append(*(mp_obj_t *)list, mp_obj_new_tuple(3, event));
}

static mp_obj_t fuzz_decode(mp_obj_t server, mp_obj_t limit, mp_obj_t wire) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(wire, &info, MP_BUFFER_READ);
    mp_obj_t events = mp_obj_new_list(0, NULL);
    uint8_t *scratch = m_new(uint8_t, info.len + 1);
    size_t whole = 0;
    size_t error_at = plain_decode(mp_obj_is_true(server), mp_obj_get_int(limit), info.buf,
        info.len, scratch, add_event, &events, &whole);
    mp_obj_t result[3] = {
        events, MP_OBJ_NEW_SMALL_INT(error_at), MP_OBJ_NEW_SMALL_INT(whole),
    };
    return mp_obj_new_tuple(3, result);
}
static MP_DEFINE_CONST_FUN_OBJ_3(fuzz_decode_obj, fuzz_decode);

typedef struct {
    mp_obj_base_t base;
    vstr_t in, out;
    size_t at, room;
    mp_buffer_info_t chunks;
    size_t turn;
    int error;
    bool ended;
} stream_t;

static mp_obj_t stream_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 3, 3, false);
    mp_buffer_info_t data;
    mp_get_buffer_raise(args[0], &data, MP_BUFFER_READ);
    stream_t *self = mp_obj_malloc(stream_t, type);
    vstr_init(&self->in, data.len + 1);
    vstr_add_strn(&self->in, data.buf, data.len);
    vstr_init(&self->out, 64);
    self->at = self->turn = 0;
    self->room = SIZE_MAX;
    self->error = 0;
    mp_get_buffer_raise(args[1], &self->chunks, MP_BUFFER_READ);
    self->ended = mp_obj_is_true(args[2]);
    return MP_OBJ_FROM_PTR(self);
}

static mp_uint_t stream_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *error) {
    stream_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->error != 0) {
        *error = self->error;
        return MP_STREAM_ERROR;
    }
    size_t n = MIN(size, self->in.len - self->at);
    if (n == 0 && self->ended) {
        return 0;
    }
    if (n != 0 && self->chunks.len != 0) {
        size_t chunk = ((const uint8_t *)self->chunks.buf)[self->turn++ % self->chunks.len];
        n = MIN(n, chunk);
    }
    if (n == 0) {
        *error = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    memcpy(buf, self->in.buf + self->at, n);
    self->at += n;
    return n;
}

static mp_uint_t stream_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *error) {
    stream_t *self = MP_OBJ_TO_PTR(self_in);
    size_t n = MIN(size, self->room);
    if (self->error != 0 || n == 0) {
        *error = self->error != 0 ? self->error : MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    mp_uint_t fails = fail_at;
    fail_at = 0;
    vstr_add_strn(&self->out, buf, n);
    fail_at = fails;
    self->room -= n;
    return n;
}

static const mp_stream_p_t stream_protocol = { .read = stream_read, .write = stream_write };

static mp_obj_t stream_put(mp_obj_t self_in, mp_obj_t data) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(data, &info, MP_BUFFER_READ);
    vstr_add_strn(&((stream_t *)MP_OBJ_TO_PTR(self_in))->in, info.buf, info.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(stream_put_obj, stream_put);

static mp_obj_t stream_chunks(mp_obj_t self_in, mp_obj_t chunks) {
    mp_get_buffer_raise(chunks, &((stream_t *)MP_OBJ_TO_PTR(self_in))->chunks, MP_BUFFER_READ);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(stream_chunks_obj, stream_chunks);

static mp_obj_t stream_room(mp_obj_t self_in, mp_obj_t n) {
    ((stream_t *)MP_OBJ_TO_PTR(self_in))->room = mp_obj_get_int(n);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(stream_room_obj, stream_room);

static mp_obj_t stream_broken(mp_obj_t self_in, mp_obj_t error) {
    ((stream_t *)MP_OBJ_TO_PTR(self_in))->error = mp_obj_get_int(error);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(stream_broken_obj, stream_broken);

static mp_obj_t stream_given(mp_obj_t self_in) {
    return MP_OBJ_NEW_SMALL_INT(((stream_t *)MP_OBJ_TO_PTR(self_in))->at);
}
static MP_DEFINE_CONST_FUN_OBJ_1(stream_given_obj, stream_given);

static mp_obj_t stream_taken(mp_obj_t self_in) {
    stream_t *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_bytes((const uint8_t *)self->out.buf, self->out.len);
}
static MP_DEFINE_CONST_FUN_OBJ_1(stream_taken_obj, stream_taken);

static const mp_rom_map_elem_t stream_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_put), MP_ROM_PTR(&stream_put_obj) },
    { MP_ROM_QSTR(MP_QSTR_chunks), MP_ROM_PTR(&stream_chunks_obj) },
    { MP_ROM_QSTR(MP_QSTR_room), MP_ROM_PTR(&stream_room_obj) },
    { MP_ROM_QSTR(MP_QSTR_broken), MP_ROM_PTR(&stream_broken_obj) },
    { MP_ROM_QSTR(MP_QSTR_given), MP_ROM_PTR(&stream_given_obj) },
    { MP_ROM_QSTR(MP_QSTR_taken), MP_ROM_PTR(&stream_taken_obj) },
};
static MP_DEFINE_CONST_DICT(stream_locals, stream_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    stream_type,
    MP_QSTR_Stream,
    MP_TYPE_FLAG_NONE,
    make_new, stream_make_new,
    protocol, &stream_protocol,
    locals_dict, &stream_locals
    );

static const mp_rom_map_elem_t fuzz_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_fuzz) },
    { MP_ROM_QSTR(MP_QSTR_decode), MP_ROM_PTR(&fuzz_decode_obj) },
    { MP_ROM_QSTR(MP_QSTR_fail), MP_ROM_PTR(&fuzz_fail_obj) },
    { MP_ROM_QSTR(MP_QSTR_Stream), MP_ROM_PTR(&stream_type) },
};
static MP_DEFINE_CONST_DICT(fuzz_globals, fuzz_globals_table);

const mp_obj_module_t fuzz_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&fuzz_globals,
};
MP_REGISTER_MODULE(MP_QSTR_fuzz, fuzz_module);

// ---- What MicroPython wants of a port

mp_import_stat_t mp_import_stat(const char *path) {
    return MP_IMPORT_STAT_NO_EXIST;
}

mp_lexer_t *mp_lexer_new_from_file(qstr filename) {
    mp_raise_OSError(MP_ENOENT);
}

static mp_obj_t no_open(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    mp_raise_OSError(MP_ENOENT);
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 0, no_open);

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t len) {
    fwrite(text, 1, len, stderr);
}

void nlr_jump_fail(void *value) {
    abort();
}

// ---- Inputs

static char module_name[40];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *slash = strrchr((*argv)[0], '/');
    snprintf(module_name, sizeof(module_name), "fuzz_%s", slash ? slash + 1 : (*argv)[0]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    // Nothing remains of the input before.
    memset(&mp_state_ctx, 0, sizeof(mp_state_ctx));
    fail_at = 0;
    mp_cstack_init_with_sp_here(STACK_LEN);
    mp_init();
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
        abort();
    }
    mp_obj_t module = mp_import_name(qstr_from_str(module_name), mp_const_none,
        MP_OBJ_NEW_SMALL_INT(0));
    mp_call_function_1(mp_load_attr(module, MP_QSTR_run), mp_obj_new_bytes(data, len));
    nlr_pop();
    mp_deinit();
    while (heap.next != &heap) {
        fuzz_free(heap.next + 1);
    }
    return 0;
}
