/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MMX registers are the low halves of the x87 registers, by their physical number. Every MMX instruction but EMMS makes
 * all of them valid and sets TOP to 0; one that writes a register sets the rest of it to ones (SDM 3, 12.2).
 */
#ifndef HDL_VCPU_SOFT_MMX_H
#define HDL_VCPU_SOFT_MMX_H

#include "vcpu/soft/x87.h"

static inline void soft_mmx_transition(struct soft_fpu *fpu)
{
    fpu->top = 0;
    fpu->valid = 0xff;
}

static inline void soft_mmx_set(struct soft_fpu *fpu, unsigned n, uint64_t value)
{
    fpu->st[n & 7].mmx = value;
    fpu->st[n & 7].exponent = 0xffff;
}

#endif
