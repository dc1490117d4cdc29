/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instruction is copied to an executable page, followed by a jump back. native_enter loads all registers but RSP and
 * jumps there; native_leave stores them. A fault's signal handler records the vector and continues at native_leave: the
 * kernel has saved and restores the registers in between, x87's and SSE's with them.
 */
#include "soft_native.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/compiler.h"

#define NATIVE_PAGE_BYTES 4096

static uint8_t *native_page;
static _Atomic int native_vector;

/* For the assembly below. */
void native_enter(struct native_state *state);
void native_leave(void);
HDL_UNUSED struct native_state *native_current;
HDL_UNUSED uint64_t native_rsp, native_rdi;
HDL_UNUSED void *native_code;

__asm__(".text\n"
        ".globl native_enter, native_leave\n"
        "native_enter:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, native_rsp(%rip)\n"
        "    mov %rdi, native_current(%rip)\n"
        "    fxrstor64 144(%rdi)\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    mov 0(%rdi), %rax\n"
        "    mov 8(%rdi), %rcx\n"
        "    mov 16(%rdi), %rdx\n"
        "    mov 24(%rdi), %rbx\n"
        "    mov 40(%rdi), %rbp\n"
        "    mov 48(%rdi), %rsi\n"
        "    mov 64(%rdi), %r8\n"
        "    mov 72(%rdi), %r9\n"
        "    mov 80(%rdi), %r10\n"
        "    mov 88(%rdi), %r11\n"
        "    mov 96(%rdi), %r12\n"
        "    mov 104(%rdi), %r13\n"
        "    mov 112(%rdi), %r14\n"
        "    mov 120(%rdi), %r15\n"
        "    mov 56(%rdi), %rdi\n"
        "    jmp *native_code(%rip)\n"
        "native_leave:\n"
        "    mov %rdi, native_rdi(%rip)\n"
        "    mov native_current(%rip), %rdi\n"
        "    mov %rax, 0(%rdi)\n"
        "    mov %rcx, 8(%rdi)\n"
        "    mov %rdx, 16(%rdi)\n"
        "    mov %rbx, 24(%rdi)\n"
        "    mov %rbp, 40(%rdi)\n"
        "    mov %rsi, 48(%rdi)\n"
        "    mov %r8, 64(%rdi)\n"
        "    mov %r9, 72(%rdi)\n"
        "    mov %r10, 80(%rdi)\n"
        "    mov %r11, 88(%rdi)\n"
        "    mov %r12, 96(%rdi)\n"
        "    mov %r13, 104(%rdi)\n"
        "    mov %r14, 112(%rdi)\n"
        "    mov %r15, 120(%rdi)\n"
        "    pushfq\n"
        "    popq 128(%rdi)\n"
        "    fxsave64 144(%rdi)\n"
        "    mov native_rdi(%rip), %rax\n"
        "    mov %rax, 56(%rdi)\n"
        "    fninit\n"
        "    pushq $0x1f80\n"
        "    ldmxcsr (%rsp)\n"
        "    mov native_rsp(%rip), %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n");

_Static_assert(offsetof(struct native_state, rflags) == 128 && offsetof(struct native_state, fx) == 144,
               "what the assembly counts on");

static void native_signal(int number, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    uintptr_t rip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];

    if (rip - (uintptr_t)native_page >= NATIVE_PAGE_BYTES) {
        signal(number, SIG_DFL); /* not the instruction's: it happens again, and ends the test */
        return;
    }
    native_vector = (int)context->uc_mcontext.gregs[REG_TRAPNO];
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)native_leave;
}

void native_init(void)
{
    struct sigaction action = {.sa_sigaction = native_signal, .sa_flags = SA_SIGINFO};
    static const int signals[] = {SIGFPE, SIGSEGV, SIGBUS, SIGILL};

    if (!native_page) {
        native_page =
            mmap(NULL, NATIVE_PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (native_page == MAP_FAILED) {
        abort();
    }
    native_code = native_page;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

int native_run(struct native_state *state, const uint8_t *code, size_t len_bytes)
{
    static const uint8_t jump_indirect[] = {0xff, 0x25, 0, 0, 0, 0}; /* to the address behind it */
    void (*leave)(void) = native_leave;

    memcpy(native_page, code, len_bytes);
    memcpy(native_page + len_bytes, jump_indirect, sizeof(jump_indirect));
    memcpy(native_page + len_bytes + sizeof(jump_indirect), &leave, sizeof(leave));
    native_vector = NATIVE_NO_FAULT;
    native_enter(state);
    return native_vector;
}
