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
#define PORT_QUEUE   0x530
#define SEG_MMIO     0xd000
#define SEG_LOCKLESS 0xd100
#define SEG_BUFFERED 0xd200
#define SEG_OTHER    0xd300
#define SEG_EVENT    0xd400
#define SEG_APIC     0xd500
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

/* Runs in circles with interrupts on, counts at COUNTERS, and takes interrupt 0x21. Never halts. */
guest busy
        movw    $0x1000 + (9f - flat_busy), 0x21 * 4
        movw    $0, 0x21 * 4 + 2
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
        sti
1:      incl    COUNTERS
        jmp     1b
9:      mov     $0x21, %al
        out     %al, %dx
        iret
guest_end busy

/* The same as interrupts with KVM's PIC, whose base is set to 0x20: ISA interrupt 1 is vector 0x21. */
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

/* The same with interrupt 3 (vector 0x23) level-triggered, by the PIC's register for that. */
guest pic_level
        movw    $0x1000 + (9f - flat_pic_level), 0x23 * 4
        movw    $0, 0x23 * 4 + 2
        mov     $0x11, %al
        out     %al, $0x20
        mov     $0x20, %al
        out     %al, $0x21
        mov     $0x04, %al
        out     %al, $0x21
        mov     $0x01, %al
        out     %al, $0x21
        mov     $0xf7, %al
        out     %al, $0x21
        mov     $0x4d0, %dx
        mov     $0x08, %al
        out     %al, %dx
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
        sti
        nop
1:      hlt
        jmp     1b
9:      mov     $0x23, %al
        out     %al, %dx
        mov     $0x20, %al
        out     %al, $0x20              /* KVM lowers the line and says so */
        mov     $0x24, %al
        out     %al, %dx
        iret
guest_end pic_level

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

/*
 * 100 buffered writes to a port, and an access to each of the other devices; done 1. When the test has written to 0x6000,
 * a read of the buffered port, done 2.
 */
guest coalesced_ports
        mov     $PORT_QUEUE, %dx
        xor     %eax, %eax
1:      out     %eax, %dx
        inc     %eax
        cmp     $100, %eax
        jne     1b
        mov     $PORT_DATA, %dx
        in      %dx, %eax
        out     %eax, %dx
        mov     $SEG_OTHER, %ax
        mov     %ax, %es
        mov     %es:0x800, %ebx
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
1:      cmpl    $0, 0x6000
        je      1b
        mov     $PORT_QUEUE, %dx
        in      %dx, %eax
        done    2
guest_end coalesced_ports

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

/*
 * Local APICs, at SEG_APIC. CPU 0 starts CPU 1 at this same code, waits for its sign of life at 0x6000, and interrupts it
 * 100 times, each time waiting for it to count at 0x6004.
 */
guest apic_ipi
        mov     $SEG_APIC, %ax
        mov     %ax, %es
        movl    $0x1ff, %es:0xf0
        mov     %es:0x20, %eax
        test    %eax, %eax
        jnz     5f
        movl    $0x01000000, %es:0x310
        movl    $0xc500, %es:0x300      /* INIT, and its de-assertion */
        movl    $0x8500, %es:0x300
        movl    $0x4601, %es:0x300      /* start at 0x1000; and once more, in vain */
        movl    $0x4601, %es:0x300
1:      cmpl    $1, 0x6000
        jne     1b
        xor     %ebx, %ebx
2:      movl    $0x4061, %es:0x300
        inc     %ebx
3:      cmp     %ebx, 0x6004
        jne     3b
        cmp     $100, %ebx
        jne     2b
        done    1
5:      movw    $0x1000 + (9f - flat_apic_ipi), 0x61 * 4
        movw    $0, 0x61 * 4 + 2
        incl    0x6000
        sti
6:      hlt
        jmp     6b
9:      incl    0x6004
        movl    $0, %es:0xb0
        iret
guest_end apic_ipi

/*
 * Interrupts itself while the task priority is above that, and notes at 0x6000 how often that was taken; then lowers the
 * priority. The handler counts at 0x6004.
 */
guest apic_tpr
        mov     $SEG_APIC, %ax
        mov     %ax, %es
        movw    $0x1000 + (9f - flat_apic_tpr), 0x61 * 4
        movw    $0, 0x61 * 4 + 2
        mov     $PORT_DONE, %dx
        movl    $0x1ff, %es:0xf0
        movl    $0x70, %es:0x80
        movl    $0x44061, %es:0x300
        sti
        nop
        nop
        mov     0x6004, %eax
        mov     %eax, 0x6000
        movl    $0, %es:0x80
1:      hlt
        jmp     1b
9:      incl    0x6004
        movl    $0, %es:0xb0
        mov     $0x61, %al
        out     %al, %dx
        iret
guest_end apic_tpr

/*
 * Interrupts itself with interrupts off, twice, and then has them on for one instruction: the handler, which counts at
 * 0x6000, notes at 0x6004 and 0x6008 how many have run.
 */
guest apic_sti
        mov     $SEG_APIC, %ax
        mov     %ax, %es
        movw    $0x1000 + (9f - flat_apic_sti), 0x61 * 4
        movw    $0, 0x61 * 4 + 2
        movl    $0x1ff, %es:0xf0
        xor     %ebx, %ebx
        movl    $0x44061, %es:0x300
        sti
        inc     %ebx
        cli
        inc     %ebx
        movl    $0x44061, %es:0x300
        sti
        nop
        cli
        inc     %ebx
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
1:      hlt
        jmp     1b
9:      incl    0x6000
        mov     0x6000, %si
        shl     $2, %si
        mov     %ebx, 0x6000(%si)
        movl    $0, %es:0xb0
        iret
guest_end apic_sti

/* A tick each millisecond; done 0x61 at the 20th. */
guest apic_timer
        mov     $SEG_APIC, %ax
        mov     %ax, %es
        movw    $0x1000 + (9f - flat_apic_timer), 0x61 * 4
        movw    $0, 0x61 * 4 + 2
        mov     $PORT_DONE, %dx
        movl    $0x1ff, %es:0xf0
        movl    $0x0b, %es:0x3e0
        movl    $0x20061, %es:0x320
        movl    $1000000, %es:0x380
        sti
1:      hlt
        jmp     1b
9:      incl    0x6000
        movl    $0, %es:0xb0
        cmpl    $20, 0x6000
        jne     8f
        mov     $0x61, %al
        out     %al, %dx
8:      iret
guest_end apic_timer

        .code64

/* CR8 is the upper half of the task priority: set by one, read by the other. */
guest apic_cr8
        mov     $7, %eax
        mov     %rax, %cr8
        mov     $0xd5000, %ebx
        mov     0x80(%rbx), %eax
        mov     $0x6000, %ecx
        mov     %eax, (%rcx)
        movl    $0x34, 0x80(%rbx)
        mov     %cr8, %rax
        mov     %eax, 4(%rcx)
        mov     0x80(%rbx), %eax        /* reading CR8 has left the lower half alone */
        mov     %eax, 8(%rcx)
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
guest_end apic_cr8

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
