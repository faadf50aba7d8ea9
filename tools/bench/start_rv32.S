/* Start, markers and output for QEMU's riscv32 "virt" machine.
   A trap ends QEMU with status 3. */
    .text
    .global _start, bench_begin, bench_end, put
    .type   bench_begin, @function  /* QEMU knows functions only */
    .type   bench_end, @function
    .option norelax
    .option arch, +zicsr
_start:
    la      t0, trap
    csrw    mtvec, t0
    la      sp, stack_top
    call    main
    slli    a0, a0, 16
    j       exit

    .balign 4
trap:
    li      a0, 3 << 16
exit:
    li      t0, 0x3333              /* test device: FAIL with a status, PASS without */
    or      a0, a0, t0
    bne     a0, t0, 1f
    li      a0, 0x5555
1:  li      t0, 0x100000
    sw      a0, 0(t0)
    j       1b

bench_begin:
    ret

bench_end:
    nop
    ret

put:                                /* a0: text, to the 16550 */
    li      t0, 0x10000000
1:  lbu     t1, 0(a0)
    beqz    t1, 2f
    sb      t1, 0(t0)
    addi    a0, a0, 1
    j       1b
2:  ret
