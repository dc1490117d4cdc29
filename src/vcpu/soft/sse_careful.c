/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SSE arithmetic when the guest has floating-point exceptions unmasked (SDM 1, 11.5): executed with all masked and the
 * flags clear, then looked at. What hardware does differently without the mask:
 *
 * - After an unmasked invalid operation, denormal operand or division by zero in any element nothing is computed, so
 *   no flag of overflow, underflow or precision is set.
 * - An unmasked underflow is a tiny result, exact or not; masked, only an inexact one. Flush-to-zero shows it: it flags
 *   every tiny result.
 *
 * Two things aren't told apart. Hardware rounds an over- or underflow's result without limits to the exponent, and may
 * find that exact; here the precision flag is set as with the mask. And DPPS and DPPD stop after their multiplications
 * if those raise something; here the additions' flags are there as well.
 */
#include "vcpu/soft/sse.h"

#define MXCSR_BEFORE (MXCSR_IE | MXCSR_DE | MXCSR_ZE)

struct careful_run {
    soft_sse_kernel *kernel;
    __m128i a, b;
    unsigned imm;
};

/* Returns the flags. */
static uint32_t careful_execute(const struct careful_run *run, uint32_t mxcsr, __m128i *result)
{
    soft_host_set_mxcsr((mxcsr | MXCSR_MASKS) & ~(uint32_t)MXCSR_FLAGS);
    *result = run->kernel(run->a, run->b, run->imm);
    return soft_host_mxcsr() & MXCSR_FLAGS;
}

static uint32_t careful_flags(const struct careful_run *run, uint32_t mxcsr, __m128i *result)
{
    uint32_t unmasked = ~mxcsr >> 7 & MXCSR_FLAGS;
    uint32_t flags;
    __m128i flushed;

    if (unmasked & MXCSR_UE) {
        mxcsr &= ~(uint32_t)MXCSR_FTZ; /* which counts only while underflow is masked */
    }
    flags = careful_execute(run, mxcsr, result);
    if (flags & unmasked & MXCSR_BEFORE) {
        return flags & MXCSR_BEFORE;
    }
    if ((unmasked & MXCSR_UE) && !(flags & MXCSR_UE)) {
        flags |= careful_execute(run, mxcsr | MXCSR_FTZ, &flushed) & MXCSR_UE;
    }
    return flags;
}

__m128i soft_sse_careful(struct soft_cpu *cpu, soft_sse_kernel *kernel, __m128i a, __m128i b, unsigned imm)
{
    struct careful_run run = {kernel, a, b, imm};
    uint32_t mxcsr = soft_sse_mxcsr(cpu);
    __m128i result;
    uint32_t flags = careful_flags(&run, mxcsr, &result);

    soft_sse_set_mxcsr(cpu, mxcsr | flags);
    if (flags & ~mxcsr >> 7 & MXCSR_FLAGS) {
        soft_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? VECTOR_XM : VECTOR_UD);
    }
    return result;
}
