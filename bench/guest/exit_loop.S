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
#include "flat_guest.inc"

#define ROUNDS       7
#define COUNT        4000

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

    .section .rodata
pio_name:  .asciz "pio "
mmio_name: .asciz "mmio "
done_name: .asciz "done\n"

    .bss
    .align 16
period: .skip 4
rounds: .skip 4
    .skip 4096
stack_top:
