// The simulator's console, its end, and the stack with all registers in it.
#include <stdlib.h>

#include "py/gc.h"
#include "py/mpstate.h"
#include "shared/runtime/gchelper.h"
#include "uart.h"

#define SIMCALL_EXIT (1)
#define SIMCALL_READ (3)
#define SIMCALL_WRITE (4)

int main(int argc, char **argv);
void board_main(void);
void windows_to_stack(int level);

static int simcall(int number, int a, const void *b, int c) {
    register int a2 __asm__ ("a2") = number;
    register int a3 __asm__ ("a3") = a;
    register const void *a4 __asm__ ("a4") = b;
    register int a5 __asm__ ("a5") = c;
    __asm__ volatile ("simcall" : "+r" (a2), "+r" (a3) : "r" (a4), "r" (a5) : "memory");
    return a2;
}

void exit(int status) {
    for (;;) {
        simcall(SIMCALL_EXIT, status, NULL, 0);
    }
}

void board_main(void) {
    exit(main(0, NULL));
}

void uart_init(void) {
}

int uart_rx_chr(void) {
    uint8_t c;
    return simcall(SIMCALL_READ, 0, &c, 1) == 1 ? c : UART_RX_NO_CHAR;
}

void uart_tx_strn(const char *text, size_t len) {
    simcall(SIMCALL_WRITE, 1, text, len);
}

// 32 registers hold the windows of four functions, eight registers each.
__attribute__((noipa)) void windows_to_stack(int level) {
    if (level < 4) {
        windows_to_stack(level + 1);
    }
    __asm__ volatile ("");
}

void gc_helper_collect_regs_and_stack(void) {
    windows_to_stack(0);
    void **here = (void **)__builtin_frame_address(0);
    // The registers of who called this are in the 16 bytes below.
    here -= 4;
    gc_collect_root(here, ((uintptr_t)MP_STATE_THREAD(stack_top) - (uintptr_t)here) / sizeof(*here));
}
