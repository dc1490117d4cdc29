/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one processor does where an instruction can't go on: a guest of many tries, each with what has to come of it. It
 * starts in 64-bit mode at 0x60000, with the tables that test_cpu.c has made.
 *
 * A try says what it expects at EXPECT and runs; whatever happens next is a vector, which notes what it finds behind the
 * expectation in a log, and goes on behind the try. A try that goes well ends in INT 0xfe. Tries leave %r15 alone.
 */
#define EXPECT      0x6000 /* text, vector, error, 0; CR2, RIP: as struct expectation */
#define RESUME      0x6020
#define SAVED       0x6038
#define STACK       0x6028
#define LOG_AT      0x6030
#define FEATURES    0x6040
#define PORT_DONE   0x500
#define NONE        0xfe
#define USER_STACK  0x218ff0
#define KERNEL_CS   0x08
#define KERNEL_DS   0x10
#define USER_CS     0x23
#define USER_DS     0x2b

        /* In macros' arguments, too. */
        .set    CODE, 0x60000
        .set    ALIAS, 0x200000         /* how far behind the code it is once more, for user mode */

        .section .rodata
        .balign 16
        .global flat_cpu_faults, flat_cpu_faults_end

.macro  say_expectation text, vector, error, cr2, rip
        movl    $CODE + 96f - flat_cpu_faults, EXPECT
        movl    $\vector, EXPECT + 4
        movl    $\error, EXPECT + 8
        movl    $\cr2 & 0xffffffff, EXPECT + 16
        movl    $\cr2 >> 32, EXPECT + 20
        movq    $\rip, EXPECT + 24
        movq    $CODE + 99f - flat_cpu_faults, RESUME
        mov     %rsp, STACK
        mov     %rax, SAVED
        mov     $0, %eax                /* flags stay */
        mov     %rax, %cr2
        mov     SAVED, %rax
        jmp     97f
96:     .asciz  "\text"
.endm
/* ahead: how far in front of the event's RIP \text is; at: where that RIP is instead. */
.macro  try     text, vector, error=0, cr2=0, ahead=0, at=0
        .if     \at
        say_expectation "\text", \vector, \error, \cr2, \at
        .else
        say_expectation "\text", \vector, \error, \cr2, "CODE + 98f - flat_cpu_faults + \ahead"
        .endif
97:
98:     \text
        int     $NONE
99:
.endm
.macro  user    text, vector, error=0, cr2=0, ahead=0, at=0, flags=0x2
        .if     \at
        say_expectation "user: \text", \vector, \error, \cr2, \at
        .else
        say_expectation "user: \text", \vector, \error, \cr2, "ALIAS + CODE + 98f - flat_cpu_faults + \ahead"
        .endif
98:     \text
        int     $NONE
97:     pushq   $USER_DS
        pushq   $USER_STACK
        pushq   $\flags
        pushq   $USER_CS
        pushq   $ALIAS + CODE + 98b - flat_cpu_faults
        iretq
99:
.endm

        .code64
flat_cpu_faults:
        xor     %r15d, %r15d
        mov     $0x1000, %ebp           /* a good address, where one is needed */

        /* Pages; see test_cpu.c for what they are. */
        try     "mov 0x200000, %eax", NONE
        try     "mov %eax, 0x200000", NONE
        try     "mov 0x204000, %eax", 14, 0, 0x204000
        try     "mov %eax, 0x204008", 14, 2, 0x204008
        try     "incl 0x204000", 14, 2, 0x204000
        try     "lock incl 0x204000", 14, 2, 0x204000
        try     "mov 0x201000, %eax", NONE
        try     "mov %eax, 0x201004", 14, 3, 0x201004
        try     "mov %eax, 0x203000", 14, 3, 0x203000
        try     "mov 0x207000, %eax", 14, 9, 0x207000
        try     "mov %eax, 0x207000", 14, 0xb, 0x207000
        try     "mov 0x400010, %eax", 14, 0, 0x400010
        try     "mov %eax, 0x400010", 14, 2, 0x400010
        try     "mov 0xa00000, %eax", 14, 9, 0xa00000
        mov     $0x8000000000, %rbx
        try     "mov 1(%rbx), %al", 14, 0, 0x8000000001
        try     "movq $1, 0x202ffc", 14, 3, 0x203000
        try     "movl $1, 0x202ffe", 14, 3, 0x203000
        try     "mov 0x203ffc, %rax", 14, 0, 0x204000
        try     "cmpl $0, 0x202ffc", NONE
        mov     $0x206000, %ebx
        try     "jmp *%rbx", 14, 0x11, 0x206000, at=0x206000
        mov     $0x204000, %ebx
        try     "jmp *%rbx", 14, 0x10, 0x204000, at=0x204000
        mov     $0x20dfff, %ebx         /* a long instruction's end is where none may be fetched */
        try     "jmp *%rbx", 14, 0x11, 0x20e000, at=0x20dfff
        mov     $0x204ffc, %esp
        try     "push %rax", 14, 2, 0x204ff4
        mov     $0x204000, %esp
        try     "pop %rax", 14, 0, 0x204000
        mov     $0x8000, %esp
        cld
        mov     $0x200000, %esi
        mov     $0x202ff0, %edi
        mov     $0x20, %ecx
        try     "rep movsb", 14, 3, 0x203000
        try     "cmp $0x10, %ecx; je 1f; ud2; 1: cmp $0x203000, %edi; je 1f; ud2; 1: cmp $0x200010, %esi; je 1f; ud2; 1:", NONE
        mov     $0x203008, %edi
        std
        mov     $4, %ecx
        try     "rep stosl", 14, 3, 0x203008
        cld
        /* With CR0.WP off, the supervisor writes everywhere. */
        mov     %cr0, %rax
        and     $~0x10000, %rax
        mov     %rax, %cr0
        try     "mov %eax, 0x201004", NONE
        try     "mov %eax, 0x203004", NONE
        or      $0x10000, %eax
        mov     %rax, %cr0
        try     "mov %eax, 0x201004", 14, 3, 0x201004

        user    "mov 0x200000, %eax", 14, 5, 0x200000
        user    "mov %eax, 0x200000", 14, 7, 0x200000
        user    "mov 0x201000, %eax", 14, 5, 0x201000
        user    "mov %eax, 0x202000", NONE
        user    "mov 0x203000, %eax", NONE
        user    "mov %eax, 0x203000", 14, 7, 0x203000
        user    "mov 0x204000, %eax", 14, 4, 0x204000
        user    "mov %eax, 0x204000", 14, 6, 0x204000
        user    "mov 0x207000, %eax", 14, 0xd, 0x207000
        user    "mov 0x600000, %eax", 14, 5, 0x600000
        user    "mov 0x800000, %eax", NONE
        user    "mov %eax, 0x800000", 14, 7, 0x800000
        mov     $0x205000, %ebx
        user    "jmp *%rbx", 14, 0x15, 0x205000, at=0x205000
        mov     $0x200000, %ebx
        user    "jmp *%rbx", 14, 0x15, 0x200000, at=0x200000
        mov     $0x204000, %ebx
        user    "jmp *%rbx", 14, 0x14, 0x204000, at=0x204000

        /* Addresses that aren't canonical. */
        mov     $0x800000000000, %rbx
        try     "mov (%rbx), %eax", 13
        try     "mov %eax, (%rbx)", 13
        try     "lea (%rbx), %rax", NONE
        try     "lock incl (%rbx)", 13
        mov     %rbx, %rbp
        try     "mov (%rbp), %eax", 12
        mov     %rbx, %rsp
        mov     $0x8000, %ebx
        try     "pop %rax", 12
        mov     $0x8000, %esp
        mov     $0x800000000000, %rbx
        user    "mov (%rbx), %eax", 13

        /* Alignment. */
        mov     $0x200008, %ebx
        try     "movaps (%rbx), %xmm0", 13
        try     "movups (%rbx), %xmm0", NONE
        try     "cmpxchg16b (%rbx)", 13
        try     "fxsave (%rbx)", 13
        mov     %cr0, %rax
        or      $0x40000, %eax
        mov     %rax, %cr0
        user    "mov 0x202001, %eax", 17, flags=0x40002
        user    "mov %ax, 0x202001", 17, flags=0x40002
        user    "mov 0x202001, %al", NONE, flags=0x40002
        user    "mov 0x202001, %eax", NONE
        pushq   $0x40002
        popfq
        try     "mov 0x202001, %eax", NONE
        pushq   $2
        popfq

        /* Exceptions of instructions. */
        xor     %ecx, %ecx
        try     "div %ecx", 0
        try     "idiv %cl", 0
        try     ".byte 0xd4, 1", 6
        try     "ud2", 6
        try     "int3", 3, ahead=1
        try     "int $0x40", 0x40, ahead=2
        try     ".byte 0xcd, 3", 3, ahead=2
        try     ".byte 0xf1", 1, ahead=1
        try     ".byte 0xf0; mov %eax, 0x200000", 6
        try     ".byte 0xf0; inc %eax", 6
        try     ".byte 0x8e, 0xc8", 6                   /* mov %eax, %cs */
        try     ".byte 0x06", 6                         /* push %es */
        try     ".byte 0x62, 0x40, 0", 6                /* bound, in 64-bit mode */
        try     ".byte 0xea, 0, 0, 0, 0, 0, 0", 6       /* far jump, immediate */
        try     ".fill 14, 1, 0x66; nop", NONE
        try     ".fill 15, 1, 0x66; nop", 13
        user    "hlt", 13
        user    "cli", 13
        user    "sti", 13, flags=0x2
        user    "cli", NONE, flags=0x3002
        user    "in $0x80, %al", 13
        user    "in $0x80, %al", NONE, flags=0x3002
        mov     $0x530, %edx
        user    "in %dx, %al", NONE                     /* the I/O map has 0x530 to 0x531 clear, and nothing else */
        user    "in %dx, %ax", NONE
        user    "in %dx, %eax", 13
        mov     $0xffff, %edx
        user    "in %dx, %al", 13
        user    "mov %cr0, %rax", 13
        user    "mov %rax, %cr3", 13
        user    "mov %dr0, %rax", 13
        user    "lgdt 0x202000", 13
        user    "invlpg 0x202000", 13
        user    "wbinvd", 13
        user    "clts", 13
        user    "rdmsr", 13
        user    "ltr %ax", 13
        user    "swapgs", 13
        user    "sysretq", 6                            /* EFER.SCE is off */
        user    "syscall", 6
        user    "int3", 3, ahead=1
        user    "int $0x40", 13, 0x40*8+2
        user    "int $0x0e", 13, 0x0e*8+2
        user    "ud2", 6
        user    "rdtsc", NONE
        mov     %cr4, %rax
        or      $0x4, %eax
        mov     %rax, %cr4
        user    "rdtsc", 13
        try     "rdtsc", NONE
        mov     %cr4, %rax
        and     $~0x4, %rax
        mov     %rax, %cr4

        /* Floating point. */
        mov     %cr0, %rax
        or      $0x8, %eax
        mov     %rax, %cr0
        try     "fnop", 7
        try     "movaps %xmm0, %xmm1", 7
        try     "fwait", 7
        clts
        try     "fnop", NONE
        mov     %cr0, %rax
        or      $0x4, %eax
        mov     %rax, %cr0
        try     "fnop", 7
        try     "movaps %xmm0, %xmm1", 6
        mov     %cr0, %rax
        and     $~0x4, %rax
        mov     %rax, %cr0
        mov     %cr4, %rax
        and     $~0x200, %rax
        mov     %rax, %cr4
        try     "movaps %xmm0, %xmm1", 6
        or      $0x200, %eax
        mov     %rax, %cr4
        fninit
        movl    $0x37b, 0x200100
        fldcw   0x200100
        fldz
        fld1
        fdiv    %st(1), %st
        try     "fwait", 16
        try     "fld1", 16
        try     "fnstsw %ax", NONE
        fninit
        movl    $0x1d80, 0x200100
        ldmxcsr 0x200100
        xorps   %xmm1, %xmm1
        movl    $1, %eax
        cvtsi2ss %eax, %xmm0
        try     "divss %xmm1, %xmm0", 19
        mov     %cr4, %rax
        and     $~0x400, %rax
        mov     %rax, %cr4
        try     "divss %xmm1, %xmm0", 6
        or      $0x400, %eax
        mov     %rax, %cr4
        movl    $0x1f80, 0x200100
        ldmxcsr 0x200100
        movl    $0x10000, 0x200100
        try     "ldmxcsr 0x200100", 13

        /* System registers. */
        mov     %cr4, %rax
        mov     %rax, %rbx
        or      $0x80000000, %eax
        try     "mov %rax, %cr4", 13
        mov     %rbx, %rax
        and     $~0x20, %rax
        try     "mov %rax, %cr4", 13                    /* PAE off in long mode */
        mov     %cr0, %rax
        and     $~1, %rax
        try     "mov %rax, %cr0", 13                    /* PG without PE */
        mov     %cr0, %rax
        bts     $32, %rax
        try     "mov %rax, %cr0", 13
        mov     %cr0, %rax
        or      $0x20000000, %eax
        try     "mov %rax, %cr0", 13                    /* NW without CD */
        try     ".byte 0x0f, 0x20, 0xc8", 6             /* mov %cr1, %rax */
        mov     $0xc0000080, %ecx
        rdmsr
        bts     $31, %eax
        try     "wrmsr", 13
        rdmsr
        btr     $8, %eax
        try     "wrmsr", 13                             /* LME off while paging is on */
        mov     $0xc0000fff, %ecx
        try     "rdmsr", 13
        try     "wrmsr", 13
        mov     $0xc0000100, %ecx
        mov     $0x800000, %edx
        try     "wrmsr", 13                             /* FS base, not canonical */
        mov     $0x277, %ecx
        mov     $0x02, %eax
        xor     %edx, %edx
        try     "wrmsr", 13                             /* PAT of type 2 */
        mov     $0x100000000, %rax
        try     "mov %rax, %dr7", 13
        try     "mov %rax, %dr6", 13

        /* Segments. */
        xor     %eax, %eax
        try     "mov %eax, %ds", NONE
        mov     $KERNEL_DS, %eax
        try     "mov %eax, %ds", NONE
        mov     $0xff8, %eax
        try     "mov %eax, %ds", 13, 0xff8
        mov     $0xffb, %eax
        try     "mov %eax, %fs", 13, 0xff8
        mov     $0xffc, %eax
        try     "mov %eax, %fs", 13, 0xffc              /* there is no LDT */
        mov     $0x60, %eax
        try     "mov %eax, %es", 11, 0x60
        mov     $0x68, %eax
        try     "mov %eax, %ds", 13, 0x68               /* execute-only */
        mov     $0x38, %eax
        try     "mov %eax, %ds", 13, 0x38               /* a system segment */
        mov     $0x0b, %eax
        try     "mov %eax, %ds", 13, 0x08               /* RPL over DPL, code that doesn't conform */
        mov     $0x70, %eax
        try     "mov %eax, %ds", NONE                   /* read-only */
        try     "mov %eax, %ss", 13, 0x70
        mov     $KERNEL_DS, %eax
        mov     %eax, %ds
        mov     $3, %eax
        try     "mov %eax, %ss", 13, 0
        mov     $0x60, %eax
        try     "mov %eax, %ss", 12, 0x60
        mov     $USER_DS, %eax
        try     "mov %eax, %ss", 13, 0x28
        mov     $KERNEL_CS, %eax
        try     "mov %eax, %ss", 13, 8
        xor     %eax, %eax
        try     "mov %eax, %ss", NONE
        mov     $KERNEL_DS, %eax
        mov     %eax, %ss
        user    "mov %eax, %ds", 13, 0x10
        user    "mov $0, %eax; mov %eax, %ss", 13, 0, ahead=5
        mov     $0x38, %eax
        try     "ltr %ax", 13, 0x38                     /* busy */
        mov     $0x10, %eax
        try     "ltr %ax", 13, 0x10
        mov     $0x88, %eax
        try     "ltr %ax", 11, 0x88
        xor     %eax, %eax
        try     "ltr %ax", 13, 0
        try     "lldt %ax", NONE
        mov     $0x38, %eax
        try     "lldt %ax", 13, 0x38
        mov     $0x10, %eax
        try     "verr %ax; jz 1f; ud2; 1: verw %ax; jz 1f; ud2; 1:", NONE
        mov     $0x70, %eax
        try     "verr %ax; jz 1f; ud2; 1: verw %ax; jnz 1f; ud2; 1:", NONE
        mov     $0xff8, %eax
        try     "lar %eax, %ebx; jnz 1f; ud2; 1: lsl %eax, %ebx; jnz 1f; ud2; 1:", NONE
        mov     $0x10, %eax
        try     "lar %eax, %ebx; jz 1f; ud2; 1: and $0xf0ff00, %ebx; cmp $0xc09300, %ebx; je 1f; ud2; 1:", NONE
        try     "lsl %eax, %ebx; jz 1f; ud2; 1: cmp $-1, %ebx; je 1f; ud2; 1:", NONE

        /* Gates that aren't good. */
        try     "int $0x90", 11, 0x90*8+2
        try     "int $0x91", 13, 0x91*8+2
        try     "int $0x92", 13, 0
        try     "int $0x93", 13, 0x10
        try     "int $0x94", 11, 0x58
        try     "int $0x95", 13, 0x18
        try     "int $0x96", 13, 0xff8

        /* Far returns and IRET. */
.macro  far_to  selector
        pushq   $\selector
        pushq   $CODE
.endm
        far_to  0
        try     "lretq", 13, 0
        far_to  0x10
        try     "lretq", 13, 0x10
        far_to  0x58
        try     "lretq", 11, 0x58
        far_to  0xff8
        try     "lretq", 13, 0xff8
        far_to  0x98                    /* L and D */
        try     "lretq", 13, 0x98
        far_to  0x20                    /* RPL below DPL */
        try     "lretq", 13, 0x20
        pushq   $0
        pushq   $0x8000
        far_to  USER_CS                 /* to user mode with no stack segment */
        try     "lretq", 13, 0
        pushq   $0xa3
        pushq   $0x8000
        far_to  USER_CS
        try     "lretq", 12, 0xa0
.macro  iret_to cs, ss, flags=2
        pushq   $\ss
        pushq   $0x8000
        pushq   $\flags
        far_to  \cs
.endm
        iret_to 0, KERNEL_DS
        try     "iretq", 13, 0
        iret_to 0x10, KERNEL_DS
        try     "iretq", 13, 0x10
        iret_to 0x58, KERNEL_DS
        try     "iretq", 11, 0x58
        iret_to USER_CS, KERNEL_DS
        try     "iretq", 13, 0x10
        iret_to USER_CS, 0xa3
        try     "iretq", 12, 0xa0
        iret_to KERNEL_CS, 0xff8
        try     "iretq", 13, 0xff8
        pushq   $0x4002
        popfq
        iret_to KERNEL_CS, KERNEL_DS
        try     "iretq", 13, 0          /* NT in long mode */
        pushq   $2
        popfq
        mov     $0x8000, %esp

        /* SMEP and SMAP, where there are: pages 2 and 3 are the user's. */
        mov     $7, %eax
        xor     %ecx, %ecx
        cpuid
        mov     %ebx, FEATURES
        bt      $7, %ebx
        jnc     1f
        mov     %cr4, %rax
        bts     $20, %rax
        mov     %rax, %cr4
        mov     $0x202000, %ebx
        try     "jmp *%rbx", 14, 0x11, 0x202000, at=0x202000
        try     "mov 0x202000, %eax", NONE
1:      btl     $20, FEATURES
        jnc     1f
        mov     %cr4, %rax
        bts     $21, %rax
        mov     %rax, %cr4
        try     "mov 0x202000, %eax", 14, 1, 0x202000
        try     "mov %eax, 0x202000", 14, 3, 0x202000
        try     "mov 0x200000, %eax", NONE
        try     "stac; mov 0x202000, %eax; clac", NONE
        user    "mov 0x202000, %eax", NONE
        user    "stac", 6
        mov     %cr4, %rax
        btr     $21, %rax
        mov     %rax, %cr4
1:
        mov     $PORT_DONE, %edx
        mov     $1, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b

/* --- the vectors' stubs, 16 bytes each: those of 0 to 31, 0x40, and NONE ----------------------------------------- */

        .global flat_cpu_stubs
        .balign 16
flat_cpu_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector != 8 && (vector < 10 || vector > 14) && vector != 17
        pushq   $0
        .endif
        pushq   $vector - 0x80          /* always the short form */
        jmp     flat_cpu_event
        .set    vector, vector + 1
        .endr

/* On a stack of its own: vector - 0x80, error, RIP, CS, RFLAGS, RSP, SS. */
flat_cpu_event:
        push    %rax
        push    %rcx
        addl    $0x80, 0x10(%rsp)
        push    %rdi
        push    %rsi
        mov     LOG_AT, %rdi
        mov     $EXPECT, %esi
        mov     $4, %ecx
        cld
        rep movsq
        mov     0x20(%rsp), %eax
        stosl
        mov     0x28(%rsp), %eax
        stosl
        mov     %cr2, %rax
        stosq
        lea     0x30(%rsp), %rsi
        mov     $5, %ecx                /* RIP to SS */
        rep movsq
        addq    $128, LOG_AT
        mov     RESUME, %rax
        mov     %rax, 0x30(%rsp)
        movq    $KERNEL_CS, 0x38(%rsp)
        andq    $~0x54700, 0x40(%rsp)   /* AC, RF, NT, DF, TF, IF */
        mov     STACK, %rax
        mov     %rax, 0x48(%rsp)
        movq    $KERNEL_DS, 0x50(%rsp)
        pop     %rsi
        pop     %rdi
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq
flat_cpu_faults_end:

        .section .note.GNU-stack, "", @progbits
