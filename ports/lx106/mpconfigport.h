// MicroPython's options: those of ports/esp8266/mpconfigport.h, as far as the board has the device.
#include <alloca.h>
#include <stdint.h>
#include <sys/types.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// Off on the ESP8266, so off here: what needs them fails here too.
#define MICROPY_COMP_MODULE_CONST               (0)
#define MICROPY_COMP_TRIPLE_TUPLE_ASSIGN        (0)
#define MICROPY_COMP_RETURN_IF_EXPR             (0)
#define MICROPY_OPT_LOAD_ATTR_FAST_PATH         (0)
#define MICROPY_OPT_MAP_LOOKUP_CACHE            (0)
#define MICROPY_OPT_MPZ_BITWISE                 (0)
#define MICROPY_OPT_MATH_FACTORIAL              (0)
#define MICROPY_REPL_EMACS_KEYS                 (0)
#define MICROPY_PY_BUILTINS_COMPLEX             (0)
#define MICROPY_PY_DELATTR_SETATTR              (0)
#define MICROPY_PY_BUILTINS_STR_CENTER          (0)
#define MICROPY_PY_BUILTINS_STR_PARTITION       (0)
#define MICROPY_PY_BUILTINS_STR_SPLITLINES      (0)
#define MICROPY_PY_BUILTINS_SLICE_INDICES       (0)
#define MICROPY_PY_BUILTINS_COMPILE             (0)
#define MICROPY_PY_BUILTINS_EXECFILE            (0)
#define MICROPY_PY_BUILTINS_NOTIMPLEMENTED      (0)
#define MICROPY_PY_BUILTINS_POW3                (0)
#define MICROPY_PY___FILE__                     (0)
#define MICROPY_PY_MATH_CONSTANTS               (0)
#define MICROPY_PY_MATH_SPECIAL_FUNCTIONS       (0)
#define MICROPY_PY_MATH_FACTORIAL               (0)
#define MICROPY_PY_MATH_ISCLOSE                 (0)
#define MICROPY_PY_SYS_PS1_PS2                  (0)
#define MICROPY_PY_BINASCII_CRC32               (0)
#define MICROPY_PY_RANDOM_EXTRA_FUNCS           (0)
#define MICROPY_PY_HASHLIB_SHA1                 (0)     // the ESP8266's is axTLS's

#define MICROPY_OBJ_REPR                        (MICROPY_OBJ_REPR_C)
#define MICROPY_GC_STACK_ENTRY_TYPE             uint16_t
#define MICROPY_ALLOC_PATH_MAX                  (128)
#define MICROPY_ALLOC_LEXER_INDENT_INIT         (8)
#define MICROPY_ALLOC_PARSE_RULE_INIT           (48)
#define MICROPY_ALLOC_PARSE_RULE_INC            (8)
#define MICROPY_ALLOC_PARSE_RESULT_INC          (8)
#define MICROPY_ALLOC_PARSE_CHUNK_INIT          (64)
#define MICROPY_ENABLE_GC                       (1)
#define MICROPY_TRACKED_ALLOC                   (1)     // mbedTLS's memory
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF  (1)
#define MICROPY_USE_INTERNAL_ERRNO              (1)
#define MICROPY_LONGINT_IMPL                    (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL                      (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_WARNINGS                        (1)
#define MICROPY_PY_STR_BYTES_CMP_WARN           (1)
#define MICROPY_STREAMS_POSIX_API               (1)
#define MICROPY_PERSISTENT_CODE_LOAD            (1)
#define MICROPY_EMIT_XTENSA                     (1)
#define MICROPY_EMIT_INLINE_XTENSA              (1)
#define MICROPY_READER_VFS                      (1)
#define MICROPY_VFS                             (1)

#define MICROPY_PY_SYS_PLATFORM                 "lx106"
#define MICROPY_HW_BOARD_NAME                   "QEMU lx60"
#define MICROPY_HW_MCU_NAME                     "lx106"
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS            (1)
#define MICROPY_PY_TIME_INCLUDEFILE             "modtime_port.c"
#define MICROPY_PY_OS_INCLUDEFILE               "modos_port.c"
#define MICROPY_PY_OS_UNAME                     (1)
#define MICROPY_PY_OS_URANDOM                   (1)
#define MICROPY_PY_OS_DUPTERM                   (1)     // 2 there: its serial line is one of them
#define MICROPY_PY_OS_DUPTERM_NOTIFY            (1)
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC        (board_random())
#define MICROPY_PY_MACHINE                      (1)
#define MICROPY_PY_MACHINE_INCLUDEFILE          "modmachine_port.c"
#define MICROPY_PY_MACHINE_RESET                (1)
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS     (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (0)
#define MICROPY_PY_MACHINE_TIMER                (1)
#define MICROPY_PY_LWIP_SOCK_RAW                (1)
#define MICROPY_PY_NETWORK                      (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT     "mpy-lx106"
#define MICROPY_PY_NETWORK_INCLUDEFILE          "lan.h"
#define MICROPY_PY_NETWORK_MODULE_GLOBALS_INCLUDEFILE "network_globals.h"
#define MICROPY_PY_WEBSOCKET                    (1)
#define MICROPY_PY_WEBREPL                      (1)
#define MICROPY_PY_WEBREPL_DELAY                (20)
#define MICROPY_PY_WEBREPL_STATIC_FILEBUF       (1)

// The devices are polled while Python runs, every so many jumps and returns, as on the ESP8266.
uint32_t board_random(void);
void board_poll(void);
void board_look(void);
void board_wait(int timeout_ms);
#define MICROPY_INTERNAL_EVENT_HOOK             board_look()
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS)        board_wait(TIMEOUT_MS)
#define MICROPY_VM_HOOK_COUNT                   (10)
#define MICROPY_VM_HOOK_INIT static unsigned vm_hook_divisor = MICROPY_VM_HOOK_COUNT;
#define MICROPY_VM_HOOK_POLL if (--vm_hook_divisor == 0) { \
        vm_hook_divisor = MICROPY_VM_HOOK_COUNT; \
        board_poll(); \
}
#define MICROPY_VM_HOOK_LOOP                    MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_RETURN                  MICROPY_VM_HOOK_POLL

// No Python and no lwIP runs in an interrupt.
#define MICROPY_BEGIN_ATOMIC_SECTION()          (0)
#define MICROPY_END_ATOMIC_SECTION(state)       (void)(state)
#define MICROPY_PY_PENDSV_ENTER
#define MICROPY_PY_PENDSV_EXIT

void *native_commit(const void *code, size_t len, void *reloc);
#define MP_PLAT_COMMIT_EXEC(buf, len, reloc)    native_commit(buf, len, reloc)
#define MICROPY_MAKE_POINTER_CALLABLE(p)        ((void *)((mp_uint_t)(p)))

#define MP_SSIZE_MAX                            (0x7fffffff)
#define UINT_FMT                                "%lu"
#define INT_FMT                                 "%ld"
#define HEX_FMT                                 "%lx"
typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;

#define MP_STATE_PORT                           MP_STATE_VM
#define MP_NEED_LOG2                            (1)
#define MP_FASTCODE(n)                          __attribute__((section(".iram0.text." #n))) n
