/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests for several processors, in 64-bit mode. smp_start is copied to 0x9000: the others' way from real mode, and, 0x100
 * behind it, where processor 0 begins, which starts them by INIT and SIPI. All of them then enter the guest at 0x1000 with
 * their APIC's number in %edi, when the last one has come.
 *
 * Memory: 0x6000 how many processors there are; 0x6004 how many have come; 0x6010 the barriers' count; 0x6040 errors, with
 * the last one's details behind; 0x6080 what a guest is asked to do (its iterations). Stacks grow down from 0x8000 - 0x100
 * times the number.
 */
#define PORT_DONE  0x500
#define APIC       0xd5000
#define CPUS       0x6000
#define CAME       0x6004
#define BARRIER    0x6010
#define ITERATIONS 0x6080
#define ARENA      0x20000

        .set    ERRORS, 0x6040          /* in macros' arguments, too */

        .section .rodata
.macro  guest name
        .balign 16
        .global flat_\name, flat_\name\()_end
flat_\name:
.endm
.macro  guest_end name
flat_\name\()_end:
.endm
.macro  done value
        mov     $PORT_DONE, %edx
        mov     $\value, %al
        out     %al, %dx
7:      cli
        hlt
        jmp     7b
.endm
/* All processors come here before any goes on. Changes %eax, %ecx. */
.macro  barrier
        mov     $1, %eax
        lock xadd %eax, BARRIER
        xor     %ecx, %ecx
71:     add     CPUS, %ecx              /* the end of the round that %eax belongs to */
        cmp     %ecx, %eax
        jae     71b
72:     cmp     %ecx, BARRIER
        jae     73f
        pause
        jmp     72b
73:
.endm
/* The processors other than 0 stop; 0 tells the test. */
.macro  finish value
        barrier
        test    %edi, %edi
        jnz     7f
        done    \value
.endm

        .code16
guest smp_start
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   8f - flat_smp_start
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $0x18, $0x9000 + (1f - flat_smp_start)
        .code32
1:      mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %cr4, %eax
        or      $0x620, %eax
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
        ljmp    $0x08, $0x9000 + (2f - flat_smp_start)
        .code64
2:      mov     APIC + 0x20, %edi
        shr     $24, %edi
        jmp     4f
        .balign 8
8:      .word   0x1f
        .long   0x9000 + (9f - flat_smp_start)
        .balign 8
9:      .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff

        .org    flat_smp_start + 0x100
        mov     %cr4, %rax
        or      $0x620, %eax
        mov     %rax, %cr4
        movl    $0x1ff, APIC + 0xf0
        cmpl    $1, CPUS
        je      3f
        movl    $0xc4500, APIC + 0x300  /* to all but itself: INIT, then SIPI for page 9 */
        movl    $0xc4609, APIC + 0x300
3:      xor     %edi, %edi
4:      mov     %edi, %eax
        shl     $8, %eax
        mov     $0x8000, %esp
        sub     %eax, %esp
        lock incl CAME
5:      mov     CAME, %eax
        cmp     CPUS, %eax
        jne     5b
        mov     $0x1000, %eax
        jmp     *%rax
guest_end smp_start

/* --- atomic operations: each at four places that differ in what they straddle ----------------------------------- */

/*
 * \text, at %rbx, 63 * ITERATIONS times: aligned; unaligned; and ITERATIONS times, since a host may punish it: across two
 * cache lines; across two pages. Its pages begin at ARENA + number * 0x2000. A text has its processor's bit in %r9d, and must keep %rbx, %rdi, %r8-%r15.
 */
.macro  operation number, text
        mov     $1, %r9d
        mov     %edi, %ecx
        shl     %cl, %r9d
        barrier
        mov     $ARENA + \number * 0x2000, %ebx
        imul    $63, ITERATIONS, %r8d
        call    flat_operation_\number
        mov     $ARENA + \number * 0x2000 + 0x81, %ebx
        imul    $63, ITERATIONS, %r8d
        call    flat_operation_\number
        mov     $ARENA + \number * 0x2000 + 0x1bd, %ebx
        mov     ITERATIONS, %r8d
        call    flat_operation_\number
        mov     $ARENA + \number * 0x2000 + 0xffe, %ebx
        mov     ITERATIONS, %r8d
        call    flat_operation_\number
        jmp     9f
flat_operation_\number:
1:      \text
        dec     %r8d
        jnz     1b
        ret
9:
.endm

guest smp_atomics
        operation 0, "lock incl (%rbx)"
        operation 1, "lock decl (%rbx)"
        operation 2, "lock addl $3, (%rbx)"
        operation 3, "lock subl $3, (%rbx)"
        operation 4, "stc; lock adcl $0, (%rbx)"
        operation 5, "stc; lock sbbl $0, (%rbx)"
        operation 6, "mov $1, %eax; lock xaddl %eax, (%rbx)"
        operation 7, "mov (%rbx), %eax; 2: lea 1(%rax), %edx; lock cmpxchgl %edx, (%rbx); jne 2b"
        operation 8, "mov (%rbx), %eax; mov 4(%rbx), %edx; 2: push %rbx; mov %rbx, %rsi; lea 1(%rax), %ebx; mov %edx, %ecx; lock cmpxchg8b (%rsi); pop %rbx; jne 2b"
        operation 9, "2: mov $1, %eax; xchg %eax, (%rbx); test %eax, %eax; jz 3f; pause; jmp 2b; 3: incl 0x800(%rbx); movl $0, (%rbx)"
        operation 10, "2: lock btsl $5, (%rbx); jnc 3f; pause; jmp 2b; 3: incl 0x800(%rbx); lock btrl $5, (%rbx)"
        operation 11, "lock btcl %edi, (%rbx)"
        operation 12, "lock orl %r9d, (%rbx); test %r9d, (%rbx); jz 3f; mov %r9d, %eax; not %eax; lock andl %eax, (%rbx); test %r9d, (%rbx); jz 4f; 3: lock incl ERRORS; 4:"
        operation 13, "lock xorl %r9d, (%rbx)"
        operation 14, "lock notl (%rbx)"
        operation 15, "lock negl (%rbx)"
        operation 16, "lock incq (%rbx)"
        operation 17, "lock incw (%rbx)"
        operation 18, "lock incb (%rbx)"
        operation 19, "mov $0x40000000, %eax; lock addq %rax, (%rbx)"
        operation 20, "mov $-1, %rax; lock xaddq %rax, (%rbx)"
        operation 21, "mov (%rbx), %rax; 2: lea 1(%rax), %rdx; lock cmpxchgq %rdx, (%rbx); jne 2b"
        operation 22, "mov (%rbx), %al; 2: lea 1(%rax), %edx; lock cmpxchgb %dl, (%rbx); jne 2b"
        /* 16 bytes: aligned ones only, both halves counting. */
        barrier
        mov     $ARENA + 23 * 0x2000, %esi
        imul    $63, ITERATIONS, %r8d
1:      mov     (%rsi), %rax
        mov     8(%rsi), %rdx
2:      lea     1(%rax), %rbx
        lea     -1(%rdx), %rcx
        lock cmpxchg16b (%rsi)
        jne     2b
        dec     %r8d
        jnz     1b
        finish  1
guest_end smp_atomics

/* --- memory order ------------------------------------------------------------------------------------------------ */

/*
 * ITERATIONS rounds, each over 256 pairs of variables, X at (%r8) and Y at (%r9), 64 bytes apart, zero when it begins.
 * What a processor reads it notes as a bit at (%r10), 1(%r10).... Processor 0 counts each pair's bits, four of them, as a
 * number, at HISTOGRAM.
 */
#define PAIRS     256
#define X         0x20000
#define Y         0x30000
#define SEEN      0x40000
#define HISTOGRAM 0x6100
.macro  litmus name, first, second, third=nop, fourth=nop
guest \name
        mov     ITERATIONS, %r15d
1:      barrier
        mov     $PAIRS, %r14d
        mov     $X, %r8d
        mov     $Y, %r9d
        mov     $SEEN, %r10d
        cmp     $1, %edi
        je      21f
        ja      22f
20:     \first
        call    5f
        jnz     20b
        jmp     4f
21:     \second
        call    5f
        jnz     21b
        jmp     4f
22:     cmp     $2, %edi
        jne     33f
32:     \third
        call    5f
        jnz     32b
        jmp     4f
33:     \fourth
        call    5f
        jnz     33b
4:      barrier
        test    %edi, %edi
        jnz     6f
        mov     $PAIRS, %r14d
        mov     $X, %r8d
        mov     $Y, %r9d
        mov     $SEEN, %r10d
3:      mov     (%r10), %eax            /* four bytes of 0 or 1 */
        imul    $0x10204080, %eax, %eax
        shr     $28, %eax
        incl    HISTOGRAM(, %rax, 4)
        xor     %eax, %eax
        mov     %eax, (%r8)
        mov     %eax, (%r9)
        mov     %eax, (%r10)
        call    5f
        jnz     3b
6:      dec     %r15d
        jnz     1b
        finish  1
5:      add     $64, %r8d
        add     $64, %r9d
        add     $4, %r10d
        dec     %r14d
        ret
guest_end \name
.endm

        /* Store buffering: both may read the old values... */
        litmus  litmus_sb, "movl $1, (%r8); mov (%r9), %eax; mov %al, (%r10)", \
                "movl $1, (%r9); mov (%r8), %eax; mov %al, 1(%r10)"
        /* ...but not with a fence in between, or a locked instruction. */
        litmus  litmus_sb_mfence, "movl $1, (%r8); mfence; mov (%r9), %eax; mov %al, (%r10)", \
                "movl $1, (%r9); mfence; mov (%r8), %eax; mov %al, 1(%r10)"
        litmus  litmus_sb_xchg, "mov $1, %eax; xchg %eax, (%r8); mov (%r9), %eax; mov %al, (%r10)", \
                "mov $1, %eax; xchg %eax, (%r9); mov (%r8), %eax; mov %al, 1(%r10)"
        litmus  litmus_sb_lock, "movl $1, (%r8); lock orl $0, (%rsp); mov (%r9), %eax; mov %al, (%r10)", \
                "movl $1, (%r9); lock orl $0, (%rsp); mov (%r8), %eax; mov %al, 1(%r10)"
        /* Message passing: who reads the second store reads the first one. */
        litmus  litmus_mp, "movl $1, (%r8); movl $1, (%r9)", \
                "mov (%r9), %eax; mov (%r8), %ecx; mov %al, (%r10); mov %cl, 1(%r10)"
        /* Load buffering: nobody reads what is stored later. */
        litmus  litmus_lb, "mov (%r8), %eax; movl $1, (%r9); mov %al, (%r10)", \
                "mov (%r9), %eax; movl $1, (%r8); mov %al, 1(%r10)"
        /* Independent reads of independent writes: two readers see the two stores in the same order. */
        litmus  litmus_iriw, "movl $1, (%r8)", "movl $1, (%r9)", \
                "mov (%r8), %eax; mov (%r9), %ecx; mov %al, (%r10); mov %cl, 1(%r10)", \
                "mov (%r9), %eax; mov (%r8), %ecx; mov %al, 2(%r10); mov %cl, 3(%r10)"

/* --- code that changes -------------------------------------------------------------------------------------------- */

#define FLAG  0x6200
#define ACK   0x6204                    /* how many have seen the present one */
/* A function at 0x1800 that returns the number in its second to fifth byte; the number is aligned. */
#define FUNCTION 0x1803
.macro  function name
        .org    flat_\name + 0x803
        mov     $0, %eax
        ret
.endm

/* Processor 0 changes the function and says so; the others serialise and call it. */
guest smp_code_told
        mov     $1, %ebp
        test    %edi, %edi
        jnz     3f
1:      mov     %ebp, FUNCTION + 1
        movl    $0, ACK
        mov     %ebp, FLAG
        mov     CPUS, %ecx
        dec     %ecx
2:      pause
        cmp     %ecx, ACK
        jne     2b
        inc     %ebp
        cmp     ITERATIONS, %ebp
        jbe     1b
        finish  1
3:      cmp     %ebp, FLAG
        jne     3b
        xor     %eax, %eax
        cpuid
        mov     $FUNCTION, %eax
        call    *%rax
        cmp     %ebp, %eax
        je      4f
        lock incl ERRORS
        mov     %eax, ERRORS + 4
        mov     %ebp, ERRORS + 8
4:      lock incl ACK
        inc     %ebp
        cmp     ITERATIONS, %ebp
        jbe     3b
        finish  1
        function smp_code_told
guest_end smp_code_told

/* The others aren't told: they call the function until they see the change, and never see an older number again. */
guest smp_code_seen
        mov     $1, %ebp
        test    %edi, %edi
        jnz     3f
1:      movl    $0, ACK
        mov     %ebp, FUNCTION + 1
        mov     CPUS, %ecx
        dec     %ecx
2:      pause
        cmp     %ecx, ACK
        jne     2b
        inc     %ebp
        cmp     ITERATIONS, %ebp
        jbe     1b
        finish  1
3:      mov     $FUNCTION, %eax
        call    *%rax
        cmp     %ebp, %eax
        je      4f
        lea     -1(%rbp), %ecx
        cmp     %ecx, %eax
        je      3b
        lock incl ERRORS
        mov     %eax, ERRORS + 4
        mov     %ebp, ERRORS + 8
4:      lock incl ACK
        inc     %ebp
        cmp     ITERATIONS, %ebp
        jbe     3b
        finish  1
        function smp_code_seen
guest_end smp_code_seen

/* A device changes the function: it is called until the number is another one, whose low byte goes to the test. */
guest smp_code_dma
        mov     $PORT_DONE, %edx
        xor     %ebp, %ebp
1:      mov     $FUNCTION, %eax
        call    *%rax
        cmp     %ebp, %eax
        je      1b
        mov     %eax, %ebp
        out     %al, %dx
        jmp     1b
        function smp_code_dma
guest_end smp_code_dma

/*
 * Code that changes itself, without a jump: a processor sees its own stores at once. What was read goes to 0x6200...: 1, 2,
 * ... if all is well.
 */
.macro  note slot
        mov     %eax, 0x6200 + \slot * 4
.endm
guest smp_code_own
        /* The instruction behind the store. */
        movb    $1, 1f + 1(%rip)
1:      mov     $0x70, %eax
        note    0
        /* Each time round a loop. */
        mov     $5, %ecx
1:      incb    2f + 1(%rip)
2:      mov     $0xfd, %al
        loop    1b
        movzbl  %al, %eax
        note    1
        /* A locked operation, of both kinds. */
        mov     $3, %eax
        xchg    %al, 1f + 1(%rip)
1:      mov     $0x70, %eax
        note    2
        lock addl $4, 1f + 1(%rip)
1:      mov     $0, %eax
        note    3
        /* A string, which covers instructions ahead of it. */
        lea     1f(%rip), %rdi
        mov     $0x90, %eax
        mov     $4, %ecx
        mov     $5, %ebx
        cld
        rep stosb
1:      ud2
        ud2
        mov     %ebx, %eax
        note    4
        /* The stack. */
        mov     %esp, %r12d
        lea     1f + 8(%rip), %rsp
        pushq   2f(%rip)
1:      ud2
        ud2
        ud2
        ud2
        mov     %r12d, %esp
        note    5
        jmp     1f
2:      mov     $6, %eax
        nop
        nop
        nop
        /* The end of an instruction that lies across two pages, after it has run once. */
        .org    flat_smp_code_own + 0xffe
1:      mov     $0, %eax
        dec     %ebx
        jz      2f
        movb    $7, 1b + 4(%rip)
        mov     $1, %ebx
        jmp     1b
2:      shr     $24, %eax
        note    6
        /* What does nothing, until it becomes inc %eax: behind the store... */
        mov     $7, %eax
        movw    $0xc0ff, 1f(%rip)
1:      .byte   0x66, 0x90
        note    7
        /* ...where a function begins... */
        mov     $8, %eax
        call    1f
        movw    $0xc0ff, 1f(%rip)
        call    1f
        note    8
        jmp     2f
1:      .byte   0x66, 0x90
        ret
        /* ...and among so many that nothing else is left of a block. */
2:      mov     $9, %eax
        jmp     1f
1:      movw    $0xc0ff, 2f(%rip)
        .fill   40, 1, 0x90
2:      .byte   0x66, 0x90
        .fill   40, 1, 0x90
        note    9
        /* PUSHes in a row, the first of which turns the others into mov $11, %eax. */
        mov     %esp, %r12d
        movabs  $0x9090900000000bb8, %rbx
        lea     1f + 9(%rip), %rsp
        jmp     1f
1:      .fill   9, 1, 0x53
        mov     %r12d, %esp
        note    10
        done    1
guest_end smp_code_own

        .section .note.GNU-stack, "", @progbits
