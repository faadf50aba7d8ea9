/* Start, markers and output for QEMU's lx60-nommu with -cpu lx106 and -semihosting.
   A trap (an unaligned access, say) ends QEMU with status 3. */
    .section .vectors, "ax"
vectors:
    .org    0x30
    movi    a2, 1                   /* simcall exit */
    movi    a3, 3
    simcall
    .org    0x50
    j       vectors + 0x30
    .org    0x70
    j       vectors + 0x30

    .text
    .literal_position
    .align  4
    .global _start, bench_begin, bench_end, put
    .type   bench_begin, @function  /* QEMU knows functions only */
    .type   bench_end, @function
_start:
    movi    a2, vectors
    wsr     a2, vecbase
    movi    a2, 0                   /* PS resets to EXCM=1: an exception would be a double one */
    wsr     a2, ps
    rsync
    movi    a1, stack_top
    call0   main
    mov     a3, a2
    movi    a2, 1
    simcall

    .align  4
bench_begin:
    ret

    .align  4
bench_end:
    nop
    ret

    .align  4
put:                                /* a2: text */
    mov     a4, a2
    movi    a5, 0
1:  add     a6, a4, a5
    l8ui    a6, a6, 0
    beqz    a6, 2f
    addi    a5, a5, 1
    j       1b
2:  movi    a2, 4                   /* simcall write(a3: file, a4: text, a5: bytes) */
    movi    a3, 1
    simcall
    ret
