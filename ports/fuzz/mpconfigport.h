// MicroPython's options: as the bigger boards have them, without what our targets do not need.
#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL        (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_ENABLE_GC               (0)     // see Makefile
#define MICROPY_ENABLE_FINALISER        (0)
#define MICROPY_ENABLE_SCHEDULER        (0)
#define MICROPY_PY_MICROPYTHON_HEAP_LOCKED (0)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_KBD_EXCEPTION           (0)
#define MICROPY_LONGINT_IMPL            (MICROPY_LONGINT_IMPL_MPZ)
#define MPZ_DIG_SIZE                    (16)    // what is frozen needs
#define MICROPY_ENABLE_SOURCE_LINE      (1)
#define MICROPY_STREAMS_POSIX_API       (0)
#define MICROPY_PY_BUILTINS_INPUT       (0)
#define MICROPY_PY_BUILTINS_HELP        (0)
#define MICROPY_PY_SYS_STDFILES         (0)
#define MICROPY_PY_SYS_PLATFORM         "fuzz"
#define MICROPY_PY_UCTYPES              (0)
#define MICROPY_PY_BINASCII             (1)
#define MICROPY_PY_BINASCII_CRC32       (0)

// The sanitizer knows setjmp().
#define MICROPY_NLR_SETJMP              (1)

// Where a function or an exception's handler begins, and after every jump: coverage of Python.
void fuzz_at(const uint8_t *ip);
#define MICROPY_VM_HOOK_INIT            fuzz_at(ip);
#define MICROPY_VM_HOOK_LOOP            fuzz_at(ip);

#define MP_STATE_PORT                   MP_STATE_VM
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;
