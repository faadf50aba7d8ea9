// Start-up, register windows and setjmp() of a dc233c; no interrupts.  Sections: "Windowed Register
// Option" of the Xtensa Instruction Set Architecture, and its ABI.

#define CAUSE_ALLOCA 5      // MOVSP, and the caller's registers are on the stack
#define PS_WOE 0x40000      // windows are on, exceptions go to the kernel's vector
#define PS_OWB_SHIFT 8
#define PS_OWB_BITS 4
#define SIMCALL_EXIT 1

// ---- Vectors, at VECBASE

    .section .vectors, "ax"

    .org 0x00
overflow_4:
    s32e    a0, a5, -16
    s32e    a1, a5, -12
    s32e    a2, a5, -8
    s32e    a3, a5, -4
    rfwo

    .org 0x40
underflow_4:
    l32e    a0, a5, -16
    l32e    a1, a5, -12
    l32e    a2, a5, -8
    l32e    a3, a5, -4
    rfwu

    .org 0x80
overflow_8:
    s32e    a0, a9, -16
    l32e    a0, a1, -12
    s32e    a1, a9, -12
    s32e    a2, a9, -8
    s32e    a3, a9, -4
    s32e    a4, a0, -32
    s32e    a5, a0, -28
    s32e    a6, a0, -24
    s32e    a7, a0, -20
    rfwo

    .org 0xc0
underflow_8:
    l32e    a0, a9, -16
    l32e    a1, a9, -12
    l32e    a2, a9, -8
    l32e    a7, a1, -12
    l32e    a3, a9, -4
    l32e    a4, a7, -32
    l32e    a5, a7, -28
    l32e    a6, a7, -24
    l32e    a7, a7, -20
    rfwu

    .org 0x100
overflow_12:
    s32e    a0, a13, -16
    l32e    a0, a1, -12
    s32e    a1, a13, -12
    s32e    a2, a13, -8
    s32e    a3, a13, -4
    s32e    a4, a0, -48
    s32e    a5, a0, -44
    s32e    a6, a0, -40
    s32e    a7, a0, -36
    s32e    a8, a0, -32
    s32e    a9, a0, -28
    s32e    a10, a0, -24
    s32e    a11, a0, -20
    rfwo

    .org 0x140
underflow_12:
    l32e    a0, a13, -16
    l32e    a1, a13, -12
    l32e    a2, a13, -8
    l32e    a11, a1, -12
    l32e    a3, a13, -4
    l32e    a4, a11, -48
    l32e    a5, a11, -44
    l32e    a6, a11, -40
    l32e    a7, a11, -36
    l32e    a8, a11, -32
    l32e    a9, a11, -28
    l32e    a10, a11, -24
    l32e    a11, a11, -20
    rfwu

    .org 0x300              // kernel exception
    wsr     a0, excsave1
    rsr     a0, exccause
    bnei    a0, CAUSE_ALLOCA, crash
    // As the exception that a return would raise: rotate to the caller, read its registers.
    rsr     a0, windowbase
    rotw    -1              // a0 to a3 are free, a4 is what was a0
    rsr     a2, ps
    extui   a3, a2, PS_OWB_SHIFT, PS_OWB_BITS
    xor     a3, a3, a4
    slli    a3, a3, PS_OWB_SHIFT
    xor     a2, a2, a3
    wsr     a2, ps
    rsync
    j       alloca

    .org 0x3c0              // double exception
crash:
    rsr     a3, exccause
    addi    a3, a3, 64
    movi    a2, SIMCALL_EXIT
    simcall

alloca:
    rsr     a4, excsave1    // the return address; its upper two bits say how far to rotate
    bbci    a4, 31, 4f
    rotw    -1
    bbci    a8, 30, 8f
    rotw    -1
    j       underflow_12
8:  j       underflow_8
4:  j       underflow_4

// ---- Start-up

    .section .reset, "ax"
    .global _reset
_reset:
    j       1f
    .align  4
    .literal_position
1:  movi    a2, 1
    wsr     a2, windowstart
    movi    a2, 0
    wsr     a2, windowbase
    rsync
    movi    a0, 0
    movi    a2, PS_WOE
    wsr     a2, ps
    rsync
    movi    a1, _stack_top
    movi    a4, board_main
    callx4  a4

// ---- setjmp(), longjmp(): the buffer holds the caller's a0 to a3, then its frame: a0 and a1 here

    .text
    .literal_position

    .align  4
    .global setjmp
setjmp:
    entry   sp, 32
    movi    a10, 0
    call8   windows_to_stack
    l32e    a4, sp, -16
    l32e    a5, sp, -12
    l32e    a6, sp, -8
    l32e    a7, sp, -4
    s32i    a4, a2, 0
    s32i    a5, a2, 4
    s32i    a6, a2, 8
    s32i    a7, a2, 12
    s32i    a0, a2, 16
    s32i    sp, a2, 20
    movi    a2, 0
    retw

    .align  4
    .global longjmp
longjmp:
    entry   sp, 32
    movi    a10, 0
    call8   windows_to_stack
    l32i    a4, a2, 0
    l32i    a5, a2, 4
    l32i    a6, a2, 8
    l32i    a7, a2, 12
    l32i    a0, a2, 16
    l32i    sp, a2, 20
    s32e    a4, sp, -16
    s32e    a5, sp, -12
    s32e    a6, sp, -8
    s32e    a7, sp, -4
    movi    a2, 1
    movnez  a2, a3, a3
    retw
