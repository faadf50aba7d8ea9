// QEMU TCG plugin: counts the instructions that a guest executes between its functions
// bench_begin() and bench_end(), and writes one decimal number a line to the file `out=FILE`.
//
// The prototypes are those of QEMU's qemu-plugin.h (API version 1) that are used here: Debian
// does not ship that header.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef void (*on_tb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*on_insn_t)(unsigned vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_tb_t cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, on_insn_t cb,
    int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
    void *counter, uint64_t amount);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);

#define CB_NO_REGS (0)
#define INLINE_ADD_U64 (0)

EXPORT int qemu_plugin_version = 1;

static FILE *out;
static uint64_t total, begun_at;
static int counting;

static void on_begin(unsigned vcpu, void *data) {
    (void)vcpu;
    (void)data;
    counting = 1;
    begun_at = total;
}

static void on_end(unsigned vcpu, void *data) {
    (void)vcpu;
    (void)data;
    if (counting) {
        counting = 0;
        fprintf(out, "%" PRIu64 "\n", total - begun_at);
        fflush(out);
    }
}

static void on_tb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const char *symbol = qemu_plugin_insn_symbol(insn);
        if (symbol != NULL && strcmp(symbol, "bench_begin") == 0) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, CB_NO_REGS, NULL);
        } else if (symbol != NULL && strcmp(symbol, "bench_end") == 0) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &total, 1);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
    char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (out == NULL) {
        fputs("count: out=FILE is missing or cannot be written\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_tb);
    return 0;
}
