/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests of a few instructions, assembled into the test program and copied to address 0x1000 of their machine. They
 * start there in real mode with all segments 0 and the stack at 0x8000, unless the name says 64.
 *
 * Ports and addresses are those of flat_machine.h. Only instructions that KVM's emulator knows are used, so that the
 * tests run on hosts whose KVM has no hardware behind it.
 */
#define PORT_DONE    0x500
#define PORT_DATA    0x510
#define PORT_EVENT   0x520
#define SEG_MMIO     0xd000
#define SEG_LOCKLESS 0xd100
#define SEG_BUFFERED 0xd200
#define SEG_OTHER    0xd300
#define SEG_EVENT    0xd400
#define COUNTERS     0x7000

        .section .rodata
.macro  guest name
        .global flat_\name, flat_\name\()_end
flat_\name:
.endm
.macro  guest_end name
flat_\name\()_end:
.endm
/* Tells the test that all is done, and halts for good. */
.macro  done value
        mov     $PORT_DONE, %dx
        mov     $\value, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
.endm

        .code16

guest pio
        mov     $PORT_DATA, %dx
        mov     $0x44332211, %eax
        out     %al, %dx
        out     %ax, %dx
        out     %eax, %dx
        xor     %eax, %eax
        in      %dx, %al
        mov     %al, 0x6000
        in      %dx, %ax
        mov     %ax, 0x6004
        in      %dx, %eax
        mov     %eax, 0x6008
        done    1
guest_end pio

/* 5000 bytes out of 0x2000, 1500 words into 0x4000: more than one page of KVM's buffer. */
guest string_pio
        cld
        mov     $PORT_DATA, %dx
        mov     $0x2000, %si
        mov     $5000, %cx
        rep     outsb
        mov     $0x4000, %di
        mov     $1500, %cx
        rep     insw
        done    1
guest_end string_pio

guest mmio
        mov     $SEG_MMIO, %ax
        mov     %ax, %ds
        mov     $0x44332211, %eax
        mov     %al, 0x10
        mov     %ax, 0x20
        mov     %eax, 0x30
        mov     0x41, %bl
        mov     0x42, %cx
        mov     0x44, %edx
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %bl, 0x6000
        mov     %cx, 0x6004
        mov     %edx, 0x6008
        done    1
guest_end mmio

/* 20 reads of a lockless counter, summed up. */
guest lockless
        mov     $SEG_LOCKLESS, %ax
        mov     %ax, %ds
        mov     $20, %cx
        xor     %ebx, %ebx
1:      add     0, %ebx
        loop    1b
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ebx, 0x6000
        done    1
guest_end lockless

/* Handlers at fixed places of the interrupt vector table: 0x21 and NMI. */
guest interrupts
        movw    $0x1000 + (9f - flat_interrupts), 0x21 * 4
        movw    $0, 0x21 * 4 + 2
        movw    $0x1000 + (8f - flat_interrupts), 2 * 4
        movw    $0, 2 * 4 + 2
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx                /* the test raises while interrupts are off */
        sti
        nop
1:      hlt
        jmp     1b
9:      mov     $0x21, %al
        out     %al, %dx
        iret
8:      mov     $0x02, %al
        out     %al, %dx
        iret
guest_end interrupts

/* The same with KVM's PIC, whose base is set to 0x20: ISA interrupt 1 is vector 0x21. */
guest pic
        movw    $0x1000 + (9f - flat_pic), 0x21 * 4
        movw    $0, 0x21 * 4 + 2
        mov     $0x11, %al
        out     %al, $0x20
        mov     $0x20, %al
        out     %al, $0x21
        mov     $0x04, %al
        out     %al, $0x21
        mov     $0x01, %al
        out     %al, $0x21
        mov     $0xfd, %al
        out     %al, $0x21
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
        sti
        nop
1:      hlt
        jmp     1b
9:      mov     $0x21, %al
        out     %al, %dx
        mov     $0x20, %al
        out     %al, $0x20
        iret
guest_end pic

/* 100 writes to each ioeventfd, and one of another value to the one that compares. */
guest ioeventfd
        mov     $SEG_EVENT, %ax
        mov     %ax, %ds
        mov     $100, %cx
        mov     $PORT_EVENT, %dx
        mov     $7, %ax
1:      mov     %ax, 0x10
        out     %ax, %dx
        loop    1b
        mov     $8, %ax
        out     %ax, %dx
        done    1
guest_end ioeventfd

/* Runs in circles; counts at COUNTERS. */
guest spin
1:      incl    COUNTERS
        jmp     1b
guest_end spin

/* Is in dispatch most of the time: port and memory, its vCPU's number in %bx times 4. Counts at COUNTERS + %bx. */
guest dispatch
        mov     $SEG_MMIO, %ax
        mov     %ax, %es
        mov     $PORT_DATA, %dx
1:      in      %dx, %eax
        mov     %es:0x40, %eax
        incl    COUNTERS(%bx)
        mov     COUNTERS(%bx), %eax
        mov     %eax, %es:0x80(%bx)
        jmp     1b
guest_end dispatch

/*
 * 40 buffered writes to each of two devices, interleaved; then a read of the first one, done 1; a read of the second
 * one, done 2; then 3 more writes to the first one, done 3, and no access any more.
 */
guest coalesced
        mov     $SEG_BUFFERED, %ax
        mov     %ax, %ds
        mov     $SEG_OTHER, %ax
        mov     %ax, %es
        mov     $PORT_DONE, %dx
        xor     %eax, %eax
1:      mov     %eax, 0x10
        mov     %eax, %es:0x10
        inc     %eax
        cmp     $40, %eax
        jne     1b
        mov     0x800, %ebx
        mov     $1, %al
        out     %al, %dx
        mov     %es:0x800, %ebx
        mov     $2, %al
        out     %al, %dx
        mov     $100, %eax
        mov     %eax, 0x10
        inc     %eax
        mov     %eax, 0x10
        inc     %eax
        mov     %eax, 0x10
        done    3
guest_end coalesced

/* 300 buffered writes, which is more than the ring holds. */
guest overflow
        mov     $SEG_BUFFERED, %ax
        mov     %ax, %ds
        xor     %eax, %eax
1:      mov     %eax, 0x10
        inc     %eax
        cmp     $300, %eax
        jne     1b
        mov     0x800, %ebx
        done    1
guest_end overflow

/* No interrupt table at all: the first exception leads to the third. */
guest triple_fault
        lidt    0x1000 + (9f - flat_triple_fault)
        int3
        hlt
9:      .word   0
        .long   0
guest_end triple_fault

/* Goes where there is no memory. */
guest lost
        ljmp    $0xe000, $0x0123
guest_end lost

        .code64

/* 8-byte accesses. */
guest mmio64
        mov     $0x8877665544332211, %rax
        mov     $0xd0000, %ebx
        mov     %rax, 0x50(%rbx)
        mov     0x60(%rbx), %rcx
        mov     $0x6000, %ebx
        mov     %rcx, (%rbx)
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
guest_end mmio64

        .section .note.GNU-stack, "", @progbits
