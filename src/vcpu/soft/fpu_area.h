/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout of FXSAVE's and XSAVE's areas (SDM 1, 10.5.1 and 13.4), and the state's way into and out of it. Pure. */
#ifndef HDL_VCPU_SOFT_FPU_AREA_H
#define HDL_VCPU_SOFT_FPU_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "vcpu/soft/fpu.h"

/* Components: bits of XCR0 and of XSTATE_BV. */
#define XSTATE_X87 UINT64_C(1)
#define XSTATE_SSE UINT64_C(2)
#define XSTATE_ALL (XSTATE_X87 | XSTATE_SSE)

struct soft_area {
    uint16_t fcw, fsw;
    uint8_t ftw; /* a bit a physical register: not empty */
    uint8_t reserved;
    uint16_t fop;
    uint64_t fip, fdp; /* of 64 bits; or 32 bits and a selector above them */
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16]; /* from ST(0) on */
    uint8_t xmm[16][16];
    uint8_t unused[96];
    /* XSAVE's header */
    uint64_t xstate_bv, xcomp_bv;
    uint64_t header_reserved[6];
};
_Static_assert(sizeof(struct soft_area) == 576, "an XSAVE area without extended components");

#define SOFT_FXSAVE_BYTES 512

/* wide: pointers of 64 bits, as with REX.W. */
void soft_area_put_x87(struct soft_area *area, const struct soft_fpu *fpu, bool wide);
void soft_area_get_x87(const struct soft_area *area, struct soft_fpu *fpu, bool wide);
/* MXCSR apart from the registers, as XSAVE has it. xmm_count: 8 or 16. */
void soft_area_put_mxcsr(struct soft_area *area, const struct soft_fpu *fpu);
void soft_area_put_xmm(struct soft_area *area, const struct soft_fpu *fpu, unsigned xmm_count);
void soft_area_get_xmm(const struct soft_area *area, struct soft_fpu *fpu, unsigned xmm_count);

/* A component's initial state (SDM 1, 13.6). */
void soft_fpu_init_x87(struct soft_fpu *fpu);
void soft_fpu_init_xmm(struct soft_fpu *fpu, unsigned xmm_count);
/* XINUSE: the components that aren't in it. */
uint64_t soft_fpu_in_use(const struct soft_fpu *fpu);

#endif
