// QEMU TCG plugin: counts and checks what a guest executes.  Options, after the plugin's path:
//
//   out=FILE     where it writes, a line each
//   profile=on   also counts by function
//   check=on     also checks the memory accesses of an ESP8266-class board
//
// For each run from the guest's function bench_begin() to bench_end(): the executed instructions,
// one decimal number. A profile is, before that number, for each function that ran "NUMBER NAME",
// its callees apart, the greatest first; "?" is what no function's symbol covers.
//
// The check reports what the chip cannot, or must not do, each instruction once:
//
//   narrow load at ADDRESS by FUNCTION, pc ADDRESS
//
// or "narrow store" (IRAM, flash and ROM take 32-bit accesses only; QEMU takes all), "store into
// flash", "load outside", "store outside" (of the memories that ports/lx106/lx106.ld names, though
// QEMU may have RAM there) and "code outside".
//
// The prototypes are those of QEMU's qemu-plugin.h (API version 1) that are used here: Debian
// does not ship that header.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef void (*on_tb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*on_insn_t)(unsigned vcpu, void *data);
typedef void (*on_access_t)(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address,
    void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_tb_t cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, on_insn_t cb,
    int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
    void *counter, uint64_t amount);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, on_access_t cb, int flags,
    int accesses, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
_Bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

#define CB_NO_REGS (0)
#define INLINE_ADD_U64 (0)
#define LOADS_AND_STORES (3)

EXPORT int qemu_plugin_version = 1;

static FILE *out;
static int profiling, checking;

static void *allocate(size_t size) {
    void *p = calloc(1, size);
    if (p == NULL) {
        abort();
    }
    return p;
}

// ---- Counting

typedef struct _function_t {
    struct _function_t *next;
    const char *name;
    uint64_t count, begun_at;
} function_t;

static function_t *functions;
static int counting;

// Without a profile all functions are one.
static function_t *function_of(const char *name) {
    function_t *f = functions;
    while (f != NULL && profiling && strcmp(f->name, name) != 0) {
        f = f->next;
    }
    if (f == NULL) {
        f = allocate(sizeof(*f));
        f->name = name;
        f->next = functions;
        functions = f;
    }
    return f;
}

static void on_begin(unsigned vcpu, void *data) {
    (void)vcpu;
    (void)data;
    counting = 1;
    for (function_t *f = functions; f != NULL; f = f->next) {
        f->begun_at = f->count;
    }
}

static void on_end(unsigned vcpu, void *data) {
    (void)vcpu;
    (void)data;
    if (!counting) {
        return;
    }
    counting = 0;
    uint64_t total = 0;
    for (function_t *f = functions; f != NULL; f = f->next) {
        total += f->count - f->begun_at;
    }
    for (uint64_t below = UINT64_MAX; profiling && below > 0;) {
        uint64_t greatest = 0;
        for (function_t *f = functions; f != NULL; f = f->next) {
            uint64_t n = f->count - f->begun_at;
            greatest = n < below && n > greatest ? n : greatest;
        }
        for (function_t *f = functions; f != NULL && greatest > 0; f = f->next) {
            if (f->count - f->begun_at == greatest) {
                fprintf(out, "%" PRIu64 " %s\n", greatest, f->name);
            }
        }
        below = greatest;
    }
    fprintf(out, "%" PRIu64 "\n", total);
    fflush(out);
}

// ---- Checking

enum { ANY_STORE = 1, ANY_SIZE = 2, CODE = 4 };

static const struct {
    uint32_t address, size;
    int allows;
} memories[] = {
    { 0x3ffe8000, 80 << 10, ANY_STORE | ANY_SIZE },     // DRAM
    { 0x3fffe000, 8 << 10, ANY_STORE | ANY_SIZE },      // stack; below it lies what the ROM's
                                                        // code keeps in RAM
    { 0x40000000, 64 << 10, CODE },                     // ROM
    { 0x40100000, 32 << 10, CODE | ANY_STORE },         // IRAM
    { 0x40210000, (1024 - 64) << 10, CODE },            // flash
    { 0x60000000, 4 << 20, ANY_STORE | ANY_SIZE },      // flash file system: -m 4
    { 0x90000000, 0x10000000, ANY_STORE | ANY_SIZE },   // devices
};

// Where QEMU starts.
#define is_qemus(pc) ((pc) >> 28 == 5)

static int allowed_at(uint32_t address) {
    for (size_t i = 0; i < sizeof(memories) / sizeof(memories[0]); i++) {
        if (address - memories[i].address < memories[i].size) {
            return memories[i].allows;
        }
    }
    return -1;
}

// Names are QEMU's and stay where they are.
typedef struct _site_t {
    struct _site_t *next;
    uint32_t pc;
    int reported;
    const char *name;
} site_t;

static site_t *sites[1 << 16];

static site_t *site_of(uint32_t pc, const char *name) {
    site_t **head = &sites[pc & 0xffff];
    site_t *s = *head;
    while (s != NULL && s->pc != pc) {
        s = s->next;
    }
    if (s == NULL) {
        s = allocate(sizeof(*s));
        s->pc = pc;
        s->name = name;
        s->next = *head;
        *head = s;
    }
    return s;
}

static void report(site_t *site, const char *what, const char *where, uint32_t address) {
    if (!site->reported) {
        site->reported = 1;
        fprintf(out, "%s%s at %08" PRIx32 " by %s, pc %08" PRIx32 "\n", what, where, address,
            site->name, site->pc);
        fflush(out);
    }
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
    (void)vcpu;
    int allows = allowed_at((uint32_t)address);
    if (allows == (ANY_STORE | ANY_SIZE)) {
        return;
    }
    const char *what = qemu_plugin_mem_is_store(info) ? "store" : "load";
    if (allows == -1) {
        report(data, what, " outside", (uint32_t)address);
    } else if (!(allows & ANY_STORE) && *what == 's') {
        report(data, what, " into flash", (uint32_t)address);
    } else if (!(allows & ANY_SIZE) && qemu_plugin_mem_size_shift(info) != 2) {
        report(data, *what == 's' ? "narrow store" : "narrow load", "", (uint32_t)address);
    }
}

// ---- Translation

static void on_tb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const char *symbol = qemu_plugin_insn_symbol(insn);
        const char *name = symbol != NULL && *symbol ? symbol : "?";
        if (strcmp(name, "bench_begin") == 0) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, CB_NO_REGS, NULL);
        } else if (strcmp(name, "bench_end") == 0) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64,
            &function_of(name)->count, 1);
        uint32_t pc = (uint32_t)qemu_plugin_insn_vaddr(insn);
        if (checking && !is_qemus(pc)) {
            site_t *site = site_of(pc, name);
            int allows = allowed_at(pc);
            if (allows == -1 || !(allows & CODE)) {
                report(site, "code", " outside", pc);
            }
            if (strncmp(name, "flash_", 6) != 0) {      // the flash chip, see ports/lx106/native.c
                qemu_plugin_register_vcpu_mem_cb(insn, on_access, CB_NO_REGS, LOADS_AND_STORES,
                    site);
            }
        }
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
    char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        } else if (strcmp(argv[i], "profile=on") == 0) {
            profiling = 1;
        } else if (strcmp(argv[i], "check=on") == 0) {
            checking = 1;
        }
    }
    if (out == NULL) {
        fputs("qemu_plugin: out=FILE is missing or cannot be written\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_tb);
    return 0;
}
