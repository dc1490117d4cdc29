/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest that runs cases: 64-bit code with CPL 0, copied to MONITOR_CODE and run at MONITOR_LINEAR. It asks the port
 * for a batch, copies the code of all its cases into place, and runs one after the other in user mode: loads its
 * registers, IRETs; whatever exception ends it comes back by the IDT and is stored. It has no other memory than fixed
 * addresses, as all registers are the cases'.
 */
#include "monitor.h"

#define AT(physical) ((physical) + MONITOR_LINEAR)

        .section .rodata
        .global monitor_begin, monitor_end, monitor_vectors
        .code64

monitor_begin:
batch:
        mov     $MONITOR_PORT, %edx
        out     %al, %dx
        cld
        /* All cases' code to its place, as one may read another's. */
        xor     %ebx, %ebx
1:      imul    $MONITOR_CASE_BYTES, %rbx, %rsi
        add     $AT(MONITOR_CASES), %rsi
        imul    $MONITOR_BACKING_BYTES, %rbx, %rdi
        add     $AT(MONITOR_SLOTS), %rdi
        mov     (%rsi), %eax
        add     %rax, %rdi
        mov     4(%rsi), %ecx
        add     $MONITOR_CASE_CODE, %rsi
        rep movsq
        inc     %rbx
        cmp     AT(MONITOR_COUNT), %rbx
        jb      1b
        movq    $0, AT(MONITOR_INDEX)
next:
        mov     AT(MONITOR_INDEX), %rbx
        cmp     AT(MONITOR_COUNT), %rbx
        jae     batch

        imul    $MONITOR_STATE_BYTES, %rbx, %rbx
        add     $AT(MONITOR_START), %rbx
        fxrstor64 STATE_FX(%rbx)
        pushq   STATE_SS(%rbx)
        pushq   4 * 8(%rbx)
        pushq   STATE_RFLAGS(%rbx)
        pushq   STATE_CS(%rbx)
        pushq   STATE_RIP(%rbx)
        mov     0 * 8(%rbx), %rax
        mov     1 * 8(%rbx), %rcx
        mov     2 * 8(%rbx), %rdx
        mov     5 * 8(%rbx), %rbp
        mov     6 * 8(%rbx), %rsi
        mov     7 * 8(%rbx), %rdi
        mov     8 * 8(%rbx), %r8
        mov     9 * 8(%rbx), %r9
        mov     10 * 8(%rbx), %r10
        mov     11 * 8(%rbx), %r11
        mov     12 * 8(%rbx), %r12
        mov     13 * 8(%rbx), %r13
        mov     14 * 8(%rbx), %r14
        mov     15 * 8(%rbx), %r15
        mov     3 * 8(%rbx), %rbx
        iretq

        /* On the stack: vector, error code, and what the exception pushed. */
ended:
        cld
        mov     %rbx, AT(MONITOR_SAVED)
        mov     AT(MONITOR_INDEX), %rbx
        imul    $MONITOR_STATE_BYTES, %rbx, %rbx
        add     $AT(MONITOR_END), %rbx
        mov     %rax, 0 * 8(%rbx)
        mov     %rcx, 1 * 8(%rbx)
        mov     %rdx, 2 * 8(%rbx)
        mov     AT(MONITOR_SAVED), %rax
        mov     %rax, 3 * 8(%rbx)
        mov     %rbp, 5 * 8(%rbx)
        mov     %rsi, 6 * 8(%rbx)
        mov     %rdi, 7 * 8(%rbx)
        mov     %r8, 8 * 8(%rbx)
        mov     %r9, 9 * 8(%rbx)
        mov     %r10, 10 * 8(%rbx)
        mov     %r11, 11 * 8(%rbx)
        mov     %r12, 12 * 8(%rbx)
        mov     %r13, 13 * 8(%rbx)
        mov     %r14, 14 * 8(%rbx)
        mov     %r15, 15 * 8(%rbx)
        popq    STATE_VECTOR(%rbx)
        popq    STATE_ERROR(%rbx)
        popq    STATE_RIP(%rbx)
        popq    STATE_CS(%rbx)
        popq    STATE_RFLAGS(%rbx)
        popq    4 * 8(%rbx)
        popq    STATE_SS(%rbx)
        mov     %cr2, %rax
        mov     %rax, STATE_CR2(%rbx)
        fxsave64 STATE_FX(%rbx)
        incq    AT(MONITOR_INDEX)
        jmp     next

        /* Sixteen bytes each. Vectors 8, 10 to 14 and 17 have an error code; the others get one. */
        .balign 16
monitor_vectors:
        .set    vector, 0
        .rept   32
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        pushq   $0
        .endif
        pushq   $vector
        jmp     ended
        .set    vector, vector + 1
        .endr
monitor_end:

        .section .note.GNU-stack, "", @progbits
