/* Start-up and exception vectors for QEMU's Xtensa lx106 core.
 *
 * Facts about the core, from QEMU 7.2 target/xtensa/core-lx106/core-isa.h:
 *   call0 ABI only (16 registers, no windows), XEA2 exceptions, no loops, no
 *   divide, no FPU, no S32C1I; MULL and NSA present; one CCOMPARE (interrupt 6).
 *   Vectors, relative to VECBASE:  0x10 debug/level 2,  0x20 NMI/level 3,
 *   0x30 kernel exception (PS.UM=0),  0x50 user exception (PS.UM=1),  0x70 double.
 *   PS resets to 0x1f (EXCM=1, INTLEVEL=15): EXCM must be cleared or the first
 *   exception becomes a double exception.
 * On the xtfpga machines (lx60-nommu &c.) QEMU enters at the ELF entry point, via
 * a 20-byte stub it writes at the reset vector 0x50000000; a2 = boot parameters.
 *
 * Interrupts are used for one thing only: to end a `waiti`.  The handler turns all
 * of them off (INTENABLE=0) and returns; the main loop then polls every device.
 */
    .section .vectors, "ax"         /* no literals here: they would go before _vectors */
    .global _vectors
_vectors:
    .org    0x10
    j       fatal_vector
    .org    0x20
    j       fatal_vector
    .org    0x30                    /* kernel exception: MicroPython runs with UM=0 */
    wsr     a0, excsave1
    rsr     a0, exccause
    beqi    a0, 4, 1f               /* 4 = level-1 interrupt */
    rsr     a0, excsave1
    j       fatal_vector
1:  movi    a0, 0
    wsr     a0, intenable
    rsync
    rsr     a0, excsave1
    rfe
    .org    0x50
    j       fatal_vector
    .org    0x70
    j       fatal_vector

    /* To C, on a fresh stack (a2 to a6 of the faulting code are lost). */
    .section .iram0.text.fatal, "ax"
    .literal_position
    .align  4
fatal_vector:
    mov     a6, a1
    movi    a1, _stack_top
    rsr     a2, exccause
    rsr     a3, epc1
    rsr     a4, excvaddr
    mov     a5, a0
    movi    a0, fatal_exception
    jx      a0

    .section .text.start, "ax"
    .literal_position
    .align  4
    .global _start
_start:
    movi    a2, _vectors            /* must be 256-byte aligned */
    wsr     a2, vecbase
    movi    a2, 0                   /* EXCM=0, UM=0, INTLEVEL=0; INTENABLE=0 */
    wsr     a2, intenable
    wsr     a2, ps
    rsync
    movi    a1, _stack_top
    movi    a2, _bss_start
    movi    a3, _bss_end
    movi    a4, 0
1:  bgeu    a2, a3, 2f
    s32i.n  a4, a2, 0
    addi.n  a2, a2, 4
    j       1b
2:  call0   main
3:  j       3b
