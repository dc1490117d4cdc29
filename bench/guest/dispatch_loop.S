/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flat 32-bit Multiboot 1 guest that measures how many device reads all its CPUs make together in a millisecond. The last
 * character of its command line says how many CPUs there are (1 to 4); an "s" before that, that an access is slow: it
 * reads for a second then, in fewer rounds. Each CPU reads in a loop, all at once:
 *     own-uart   the line status of a UART of its own (COM1 to COM4; PIO)
 *     one-uart   that of COM1 (PIO)
 *     hpet       the HPET's counter (MMIO)
 *     pm-timer   ACPI's PM timer (PIO)
 *     ram        a word of memory: what the loop costs, and how the CPUs themselves scale
 *
 * For each it prints on COM1, numbers in hexadecimal, ROUNDS times (or SLOW_ROUNDS):
 *     NAME CHUNKS TICKS PERIOD_FS
 * (a chunk is CHUNK reads; time is the HPET's), then "done", and leaves through isa-debug-exit (port 0xf4). Nobody halts or
 * waits while it measures: all CPUs read until CPU 0 sees that the time is over. It runs unchanged in any monitor that has
 * these devices.
 */
#include "flat_guest.inc"

#define ROUNDS       50
#define SLOW_ROUNDS  3
#define SLOW_FACTOR  1000
#define CHUNK        250
#define PM_TIMER     0x608
#define ICR          0xfee00300
#define ICR_INIT     0xc4500 /* to all but the sender */
#define ICR_START    0xc4608 /* the same, at START */
#define START        0x8000
#define INFO_CMDLINE 16
#define CODE         8
#define DATA         16
#define STACK_BYTES  1024

_start:
    mov $stacks + STACK_BYTES, %esp
    mov INFO_CMDLINE(%ebx), %esi
    xor %ecx, %ecx
0:  lodsb
    test %al, %al
    jz 1f
    mov %cl, %ch
    mov %al, %cl
    jmp 0b
1:  mov %ch, slow
    movzbl %cl, %ecx
    sub $'0', %ecx
    mov %ecx, cpus

    mov HPET + HPET_PERIOD, %eax
    mov %eax, period
    orl $1, HPET + HPET_CONFIG /* let the counter run */
    mov $0xe8, %edx /* 10^12 fs */
    mov $0xd4a51000, %eax
    divl period
    mov %eax, limit

    mov $other_cpu, %esi
    mov $START, %edi
    mov $other_cpu_end - other_cpu, %ecx
    rep movsb
    movl $ICR_INIT, ICR
    call wait_a_little
    movl $ICR_START, ICR
    call wait_a_little
    movl $ICR_START, ICR /* whoever runs already doesn't hear it */
2:  pause
    mov arrived, %eax
    cmp cpus, %eax
    jne 2b
    cmpb $'s', slow
    jne next_round
    movl $SLOW_ROUNDS, rounds
    imul $SLOW_FACTOR, limit, %eax
    mov %eax, limit

next_round:
    movl $0, mode
next_mode:
    movl $0, stop
    movl $0, chunks
    movl $0, finished
    mov HPET + HPET_COUNTER, %eax
    mov %eax, started
    lock incl phase /* and they're off */
    xor %esi, %esi
    call measure
3:  pause
    mov finished, %eax
    cmp cpus, %eax
    jne 3b
    mov mode, %eax
    mov names(,%eax,4), %esi
    call print_string
    mov chunks, %eax
    call print_hex
    mov elapsed, %eax
    call print_hex
    mov period, %eax
    call print_hex
    mov $'\n', %al
    call print_char
    incl mode
    cmpl $5, mode
    jne next_mode
    decl rounds
    jnz next_round

    mov $done_name, %esi
    call print_string
    mov $DEBUG_EXIT, %edx
    xor %eax, %eax
    out %eax, %dx
4:  hlt
    jmp 4b

wait_a_little:
    mov HPET + HPET_COUNTER, %ebx
    mov limit, %ecx
    shl $4, %ecx
5:  pause
    mov HPET + HPET_COUNTER, %eax
    sub %ebx, %eax
    cmp %ecx, %eax
    jb 5b
    ret

/* --- the other CPUs ------------------------------------------------------------------------------------------------ */

/* Copied to START: 16-bit, on its way to other_cpu_32. */
    .code16
other_cpu:
    cli
    lgdtl START + gdt_pointer - other_cpu
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $CODE, $other_cpu_32
    .align 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long START + gdt - other_cpu
other_cpu_end:

    .code32
other_cpu_32:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $1, %esi
    lock xaddl %esi, arrived
    mov %esi, %esp
    imul $STACK_BYTES, %esp
    add $stacks + STACK_BYTES, %esp
    xor %edi, %edi
6:  pause
    cmp phase, %edi
    je 6b
    inc %edi
    call measure
    jmp 6b

/* --- what all of them do --------------------------------------------------------------------------------------------- */

/* %esi: this CPU's number. Reads as `mode` says until the time is over. Keeps %esi and %edi. */
measure:
    xor %ebx, %ebx
    mov mode, %eax
    jmp *loops(,%eax,4)

read_own_uart:
    mov ports(,%esi,4), %edx
    jmp 7f
read_one_uart:
    mov $COM1_LSR, %edx
7:  mov $CHUNK, %ecx
8:  in %dx, %al
    dec %ecx
    jnz 8b
    call is_over
    jz 7b
    jmp measured

read_hpet:
    mov $CHUNK, %ecx
9:  mov HPET + HPET_COUNTER, %eax
    dec %ecx
    jnz 9b
    call is_over
    jz read_hpet
    jmp measured

read_pm_timer:
    mov $PM_TIMER, %edx
    mov $CHUNK, %ecx
10: in %dx, %eax
    dec %ecx
    jnz 10b
    call is_over
    jz read_pm_timer
    jmp measured

read_ram:
    mov $CHUNK, %ecx
11: mov limit, %eax
    dec %ecx
    jnz 11b
    call is_over
    jz read_ram

measured:
    lock addl %ebx, chunks
    lock incl finished
    ret

/* Counts a chunk in %ebx. Zero flag clear: the time is over. CPU 0 has the clock. */
is_over:
    inc %ebx
    test %esi, %esi
    jnz 12f
    mov HPET + HPET_COUNTER, %eax
    sub started, %eax
    cmp limit, %eax
    jb 12f
    mov %eax, elapsed
    movl $1, stop
12: cmpl $0, stop
    ret

/* --- text ------------------------------------------------------------------------------------------------------------ */

    .section .rodata
    .align 4
loops:     .long read_own_uart, read_one_uart, read_hpet, read_pm_timer, read_ram
names:     .long own_name, one_name, hpet_name, pm_name, ram_name
ports:     .long 0x3fd, 0x2fd, 0x3ed, 0x2ed
own_name:  .asciz "own-uart "
one_name:  .asciz "one-uart "
hpet_name: .asciz "hpet "
pm_name:   .asciz "pm-timer "
ram_name:  .asciz "ram "
done_name: .asciz "done\n"

    .data
    .align 64
rounds:    .long ROUNDS
arrived:   .long 1 /* CPU 0 */

/* What all CPUs write at the end of a measurement, what they only read in it, and what CPU 0 keeps: on their own lines. */
    .align 64
chunks:    .long 0
finished:  .long 0
    .align 64
mode:      .long 0
phase:     .long 0
stop:      .long 0
started:   .long 0
limit:     .long 0
cpus:      .long 0
period:    .long 0
slow:      .long 0
    .align 64
elapsed:   .long 0

    .bss
    .align 64
stacks:    .skip 4 * STACK_BYTES
