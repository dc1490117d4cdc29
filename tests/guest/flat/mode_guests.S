/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One processor through all its modes and back, and its debug registers. They start in real mode at 0x1000, segments and
 * stack at 0 and 0x8000, and note what they find at NOTES, 4 bytes each: the note's own number, if all is well.
 */
#define PORT_DONE 0x500
#define NOTES     0x6000
#define BASE      0x1000

        .section .rodata
.macro  guest name
        .balign 16
        .global flat_\name, flat_\name\()_end
flat_\name:
.endm
.macro  guest_end name
flat_\name\()_end:
.endm
.macro  note number
        movl    $\number, NOTES + 4 * \number
.endm

/* Real, protected of 32 and of 16 bits, long, compatibility; back to protected and real. */
        .code16
guest modes
        note    0
        lgdtl   BASE + (8f - flat_modes)
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        /* Until the far jump the code is 16-bit, in protected mode. */
        note    1
        ljmpl   $0x18, $BASE + (1f - flat_modes)
        .code32
1:      mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0x8000, %esp
        note    2
        pushl   $0x28                   /* 16 bits, and back */
        pushl   $BASE + (2f - flat_modes)
        lret
        .code16
2:      mov     $0x10000, %eax
        push    %ax                     /* two bytes, on a 32-bit stack */
        cmp     $0x7ffe, %esp
        jne     3f
        pop     %ax
        note    3
3:      ljmpl   $0x18, $BASE + (4f - flat_modes)
        .code32
4:      mov     $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     $0x10000, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     %cr0, %eax
        or      $0x80000000, %eax
        mov     %eax, %cr0
        rdmsr
        bt      $10, %eax               /* long mode is active; this is compatibility mode */
        jnc     1f
        note    4
1:      .byte   0x40                    /* inc %eax here, REX there */
        nop
        ljmp    $0x08, $BASE + (1f - flat_modes)
        .code64
1:      mov     $0x123456789, %rax
        shr     $32, %rax
        cmp     $1, %eax
        jne     1f
        note    5
1:      pushq   $0x18                   /* to compatibility mode, and back through a far jump */
        pushq   $BASE + (1f - flat_modes)
        lretq
        .code32
1:      mov     $5, %eax
        .byte   0x40                    /* inc %eax */
        cmp     $6, %eax
        jne     1f
        note    6
1:      ljmp    $0x08, $BASE + (1f - flat_modes)
        .code64
1:      note    7
        pushq   $0x18
        pushq   $BASE + (1f - flat_modes)
        lretq
        .code32
1:      mov     %cr0, %eax              /* out of long mode: paging goes first */
        and     $0x7fffffff, %eax
        mov     %eax, %cr0
        mov     $0xc0000080, %ecx
        rdmsr
        bt      $10, %eax
        jc      1f
        note    8
1:      and     $~0x100, %eax
        wrmsr
        ljmp    $0x28, $BASE + (1f - flat_modes)
        .code16
1:      mov     $0x30, %ax              /* segments as real mode has them, but for the limit of FS */
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x10, %ax
        mov     %ax, %fs
        mov     %cr0, %eax
        and     $~1, %al
        mov     %eax, %cr0
        ljmp    $0, $BASE + (1f - flat_modes)
1:      xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x8000, %sp
        note    9
        /* FS keeps the limit that it had: beyond 64 KiB, in real mode. */
        movl    $10, %ebx
        movl    $0x20000, %esi
        mov     %ebx, %fs:(%esi)
        mov     %fs:(%esi), %eax
        mov     %eax, NOTES + 40
        /* DS's limit is 64 KiB: #GP, through the interrupt table. */
        movw    $BASE + (2f - flat_modes), 13 * 4
        movw    $0, 13 * 4 + 2
1:      mov     %ds:(%esi), %eax
        jmp     3f
2:      pop     %ax
        cmp     $BASE + (1b - flat_modes), %ax
        jne     3f
        note    11
3:      mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
        .balign 8
8:      .word   0x37
        .long   BASE + (9f - flat_modes)
        .balign 8
9:      .quad   0
        .quad   0x00af9b000000ffff      /* 08: 64-bit code */
        .quad   0x00cf93000000ffff      /* 10: data, 4 GiB */
        .quad   0x00cf9b000000ffff      /* 18: 32-bit code */
        .quad   0
        .quad   0x00009b000000ffff      /* 28: 16-bit code */
        .quad   0x000093000000ffff      /* 30: data, 64 KiB */
guest_end modes

/*
 * Single step, breakpoints, and what holds them off, in real mode. The handler of #DB writes DR6's low half and IP to a
 * list at 0x6100, as words.
 */
#define LIST 0x6100
guest debug
        movw    $BASE + (9f - flat_debug), 1 * 4
        movw    $0, 1 * 4 + 2
        movw    $BASE + (8f - flat_debug), 3 * 4
        movw    $0, 3 * 4 + 2
        mov     $LIST, %di
        /* Two steps; POPF itself isn't one, that after it is. */
        pushw   $0x102
        popf
s1:     nop
s2:     pushw   $2
s3:     popf
s4:     nop
        /* MOV SS holds the step off, and the instruction behind it is stepped. */
        mov     %ss, %ax
        pushw   $0x102
        popf
s5:     mov     %ax, %ss
s6:     nop
s7:     pushw   $2
s8:     popf
s9:     nop
        /* An instruction breakpoint, before it. The handler takes it away. */
        xor     %eax, %eax
        mov     %eax, %dr6
        mov     $BASE + (b1 - flat_debug), %eax
        mov     %eax, %dr0
        mov     $0x00000401 | 1, %eax
        mov     %eax, %dr7
        nop
b1:     nop
        /* A data breakpoint, behind the write; not for a read, nor for its neighbour. */
        mov     $0x6200, %eax
        mov     %eax, %dr1
        mov     $0x00d00404, %eax       /* of 4 bytes, writes */
        mov     %eax, %dr7
        mov     0x6200, %eax
        mov     %eax, 0x6204
        mov     %al, 0x6203
b2:     nop
        mov     $0x00f00404, %eax       /* reads, too */
        mov     %eax, %dr7
        mov     0x61fe, %eax
b3:     nop
        xor     %eax, %eax
        mov     %eax, %dr7
        mov     0x6200, %eax
        /* General detect: before the access. */
        mov     $0x2400, %eax
        mov     %eax, %dr7
g1:     mov     %dr0, %eax
        /* INT3 and INT1. */
        int3
i1:     nop
        .byte   0xf1
i2:     nop
        mov     $PORT_DONE, %dx
        mov     $1, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
9:      push    %bp
        mov     %sp, %bp
        push    %eax
        mov     %dr6, %eax
        mov     %ax, (%di)
        mov     2(%bp), %ax
        sub     $BASE, %ax
        mov     %ax, 2(%di)
        add     $4, %di
        xor     %eax, %eax
        mov     %eax, %dr6
        mov     $0x400, %eax            /* a 16-bit IRET knows no RF */
        mov     %eax, %dr7
        pop     %eax
        pop     %bp
        iret
8:      push    %bp
        mov     %sp, %bp
        push    %ax
        movw    $3, (%di)
        mov     2(%bp), %ax
        sub     $BASE, %ax
        mov     %ax, 2(%di)
        add     $4, %di
        pop     %ax
        pop     %bp
        iret
guest_end debug
        /* Where they stop, for the test. */
        .global flat_debug_stops
        .balign 2
flat_debug_stops:
        .word   s2 - flat_debug, s3 - flat_debug, s4 - flat_debug, s7 - flat_debug, s8 - flat_debug, s9 - flat_debug
        .word   b1 - flat_debug, b2 - flat_debug, b3 - flat_debug, g1 - flat_debug, i1 - flat_debug, i2 - flat_debug

        .section .note.GNU-stack, "", @progbits
