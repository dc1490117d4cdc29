/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs one x86-64 instruction on the host with chosen registers: what a software CPU is compared with. */
#ifndef HDL_TESTS_SOFT_NATIVE_H
#define HDL_TESTS_SOFT_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* Registers before and after. gpr[4] (RSP) is the host's own: not set, not compared. */
struct native_state {
    uint64_t gpr[16];
    uint64_t rflags;
    uint64_t unused;
    uint8_t fx[512]; /* as FXSAVE64 has it */
} __attribute__((aligned(16)));

#define NATIVE_NO_FAULT -1

/* Before the rest, in each test. Catches SIGFPE, SIGSEGV, SIGBUS and SIGILL, which the test's framework does too. */
void native_init(void);
/* Returns the vector of the exception that the instruction raised, or NATIVE_NO_FAULT. One thread. */
int native_run(struct native_state *state, const uint8_t *code, size_t len_bytes);

#endif
