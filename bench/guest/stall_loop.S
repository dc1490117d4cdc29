/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flat 32-bit Multiboot 1 guest that times single reads of a device's registers (MMIO), by the TSC:
 *     counter   the HPET's main counter
 *     config    the HPET's configuration
 * It reads them in turn for as long as it lives, and counts how long each read took: histograms of 32 buckets a power of 2.
 * On COM1 it says "ready" and obeys two letters:
 *     z   forget everything
 *     p   print everything, numbers in hexadecimal, then "done":
 *             clock HPET_TICKS PERIOD_FS TSC_LOW TSC_HIGH     passed since z
 *             NAME BUCKET COUNT                               for each bucket that isn't empty
 *             NAME-max TICKS_OF_TSC
 * Bucket b < 64 is of reads that took b ticks; the others of those from (32 + b % 32) << (b / 32 - 1).
 *
 * Between two chunks of reads, untimed, it does what an operating system does for ACPI's hot-plug: what it is asked to let
 * go it ejects. It finds that by asking; no interrupt is ever taken. It runs unchanged in any monitor that has these devices.
 */
#include "flat_guest.inc"

#define CHUNK         32
#define SUB_BITS      5
#define BUCKETS       896 /* 32 bits */
#define HOTPLUG_DOWN  0xae04
#define HOTPLUG_EJECT 0xae08

_start:
    mov $stack_top, %esp
    mov HPET + HPET_PERIOD, %eax
    mov %eax, period
    orl $1, HPET + HPET_CONFIG /* let the counter run */
    mov $ready_name, %esi
    call print_string
    call forget

chunk:
    movl $CHUNK, left
read:
    mov $HPET + HPET_COUNTER, %esi
    mov $counter_buckets, %edi
    call timed_read
    mov $HPET + HPET_CONFIG, %esi
    mov $config_buckets, %edi
    call timed_read
    decl left
    jnz read

    mov $HOTPLUG_DOWN, %edx
    in %dx, %eax
    test %eax, %eax
    jz 1f
    mov $HOTPLUG_EJECT, %edx
    out %eax, %dx
1:  mov $COM1_LSR, %edx
    in %dx, %al
    test $1, %al
    jz chunk
    mov $COM1, %edx
    in %dx, %al
    cmp $'p', %al
    je print_all
    cmp $'z', %al
    jne chunk
    call forget
    jmp chunk

/* Reads (%esi) and counts in the buckets at %edi, behind which the maximum is. */
timed_read:
    rdtsc
    mov %eax, %ebx
    mov %edx, %ebp
    mov (%esi), %ecx
    rdtsc
    sub %ebx, %eax
    sbb %ebp, %edx
    jz 2f
    mov $-1, %eax /* 2^32 ticks or more */
2:  cmp 4 * BUCKETS(%edi), %eax
    jbe 3f
    mov %eax, 4 * BUCKETS(%edi)
3:  mov %eax, %ecx
    or $(1 << SUB_BITS), %ecx
    bsr %ecx, %ecx
    sub $SUB_BITS, %ecx
    shr %cl, %eax
    shl $SUB_BITS, %ecx
    add %ecx, %eax
    incl (%edi,%eax,4)
    ret

forget:
    mov $counter_buckets, %edi
    mov $2 * (BUCKETS + 1), %ecx
    xor %eax, %eax
    rep stosl
    mov HPET + HPET_COUNTER, %eax
    mov %eax, began
    rdtsc
    mov %eax, began_tsc
    mov %edx, began_tsc + 4
    ret

print_all:
    mov HPET + HPET_COUNTER, %eax
    sub began, %eax
    push %eax
    rdtsc
    sub began_tsc, %eax
    sbb began_tsc + 4, %edx
    mov %eax, began_tsc
    mov %edx, began_tsc + 4
    mov $clock_name, %esi
    call print_string
    pop %eax
    call print_hex
    mov period, %eax
    call print_hex
    mov began_tsc, %eax
    call print_hex
    mov began_tsc + 4, %eax
    call print_hex
    call print_end
    mov $counter_name, %esi
    mov $counter_buckets, %edi
    call print_buckets
    mov $config_name, %esi
    mov $config_buckets, %edi
    call print_buckets
    mov $done_name, %esi
    call print_string
    jmp chunk

/* %esi: name, %edi: buckets */
print_buckets:
    mov %esi, name
    xor %ebx, %ebx
4:  cmpl $0, (%edi,%ebx,4)
    je 5f
    mov name, %esi
    call print_string
    mov $' ', %al
    call print_char
    mov %ebx, %eax
    call print_hex
    mov (%edi,%ebx,4), %eax
    call print_hex
    call print_end
5:  inc %ebx
    cmp $BUCKETS, %ebx
    jne 4b
    mov name, %esi
    call print_string
    mov $max_name, %esi
    call print_string
    mov (%edi,%ebx,4), %eax
    call print_hex

print_end:
    mov $'\n', %al
    jmp print_char

    .section .rodata
ready_name:   .asciz "ready\n"
clock_name:   .asciz "clock "
counter_name: .asciz "counter"
config_name:  .asciz "config"
max_name:     .asciz "-max "
done_name:    .asciz "done\n"

    .bss
    .align 64
counter_buckets: .skip 4 * (BUCKETS + 1)
config_buckets:  .skip 4 * (BUCKETS + 1)
began:           .skip 4
began_tsc:       .skip 8
period:          .skip 4
left:            .skip 4
name:            .skip 4
    .skip 4096
stack_top:
