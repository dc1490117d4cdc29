/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flat 32-bit Multiboot 1 guest that measures exits: reads of one I/O port (the UART's line status, 0x3fd) and of one
 * MMIO register (the HPET's counter, 0xfed000f0), in loops, timed by the HPET itself.
 *
 * For each round it prints on COM1, all numbers in hexadecimal:
 *     pio  COUNT TICKS PERIOD_FS
 *     mmio COUNT TICKS PERIOD_FS
 * then "done", and leaves through isa-debug-exit (port 0xf4). It runs unchanged in any monitor that has these devices.
 */
#define ROUNDS       7
#define COUNT        4000
#define COM1         0x3f8
#define COM1_LSR     0x3fd
#define HPET         0xfed00000
#define HPET_PERIOD  4
#define HPET_CONFIG  0x10
#define HPET_COUNTER 0xf0
#define DEBUG_EXIT   0xf4

    .code32
    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 0, -0x1badb002 /* magic, no flags, checksum */

    .text
    .globl _start
_start:
    mov $stack_top, %esp
    mov HPET + HPET_PERIOD, %eax
    mov %eax, period
    orl $1, HPET + HPET_CONFIG /* let the counter run */
    movl $ROUNDS, rounds

round:
    mov HPET + HPET_COUNTER, %ebx
    mov $COUNT, %ecx
    mov $COM1_LSR, %edx
1:  in %dx, %al
    dec %ecx
    jnz 1b
    mov HPET + HPET_COUNTER, %eax
    sub %ebx, %eax
    mov $pio_name, %esi
    call print_result

    mov HPET + HPET_COUNTER, %ebx
    mov $COUNT, %ecx
1:  mov HPET + HPET_COUNTER, %eax
    dec %ecx
    jnz 1b
    mov HPET + HPET_COUNTER, %eax
    sub %ebx, %eax
    mov $mmio_name, %esi
    call print_result

    decl rounds
    jnz round

    mov $done_name, %esi
    call print_string
    mov $DEBUG_EXIT, %edx
    xor %eax, %eax
    out %eax, %dx
2:  hlt
    jmp 2b

/* %esi: name, %eax: ticks */
print_result:
    mov %eax, %edi
    call print_string
    mov $COUNT, %eax
    call print_hex
    mov %edi, %eax
    call print_hex
    mov period, %eax
    call print_hex
    mov $'\n', %al
    jmp print_char

print_string:
    lodsb
    test %al, %al
    jz 3f
    call print_char
    jmp print_string
3:  ret

/* %eax as 8 digits and a blank */
print_hex:
    mov %eax, %ebp
    mov $8, %ecx
4:  rol $4, %ebp
    mov %ebp, %eax
    and $15, %eax
    mov digits(%eax), %al
    call print_char
    dec %ecx
    jnz 4b
    mov $' ', %al

/* %al; waits until the transmitter is free */
print_char:
    mov %al, %ah
    mov $COM1_LSR, %dx
5:  in %dx, %al
    test $0x20, %al
    jz 5b
    mov %ah, %al
    mov $COM1, %dx
    out %al, %dx
    ret

    .section .rodata
digits:    .ascii "0123456789abcdef"
pio_name:  .asciz "pio "
mmio_name: .asciz "mmio "
done_name: .asciz "done\n"

    .bss
    .align 16
period: .skip 4
rounds: .skip 4
    .skip 4096
stack_top:
