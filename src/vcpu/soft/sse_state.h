/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MXCSR while guest code runs: the host's register holds the guest's flags and modes, with all exceptions masked; the
 * guest's masks are in soft_fpu.mxcsr, whose flags may be older than the host's. The vCPU's thread, between
 * soft_fpu_enter and soft_fpu_leave.
 */
#ifndef HDL_VCPU_SOFT_SSE_STATE_H
#define HDL_VCPU_SOFT_SSE_STATE_H

#include "vcpu/soft/cpu.h"

/* Bits of MXCSR (SDM 1, 10.2.3). The masks are the flags, 7 bits up. */
enum {
    MXCSR_IE = 1 << 0,
    MXCSR_DE = 1 << 1,
    MXCSR_ZE = 1 << 2,
    MXCSR_OE = 1 << 3,
    MXCSR_UE = 1 << 4,
    MXCSR_PE = 1 << 5,
    MXCSR_FTZ = 1 << 15,
    MXCSR_FLAGS = 0x3f,
    MXCSR_MASKS = 0x3f << 7,
    MXCSR_INIT = 0x1f80,
    MXCSR_VALID = 0xffff, /* what MXCSR_MASK says: DAZ is there, nothing above */
};

static inline uint32_t soft_host_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static inline void soft_host_set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

/* The guest's MXCSR now. */
static inline uint32_t soft_sse_mxcsr(const struct soft_cpu *cpu)
{
    return cpu->fpu.mxcsr | (soft_host_mxcsr() & MXCSR_FLAGS);
}

/* value: valid bits only. */
static inline void soft_sse_set_mxcsr(struct soft_cpu *cpu, uint32_t value)
{
    cpu->fpu.mxcsr = value;
    soft_host_set_mxcsr(value | MXCSR_MASKS);
}

#endif
