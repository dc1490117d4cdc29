/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 and SSE state as a whole: resetting it, its layout in FXSAVE's and XSAVE's areas, and handing the modes of
 * rounding to the host's units while guest code runs.
 */
#include <string.h>

#include "base/compiler.h"
#include "vcpu/soft/fpu_area.h"
#include "vcpu/soft/sse_state.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/x87.h"

/* --- initial states ----------------------------------------------------------------------------------------------- */

void soft_fpu_init_x87(struct soft_fpu *fpu)
{
    soft_x87_init(fpu);
    memset(fpu->st, 0, sizeof(fpu->st));
}

void soft_fpu_init_xmm(struct soft_fpu *fpu, unsigned xmm_count)
{
    memset(fpu->xmm, 0, xmm_count * sizeof(fpu->xmm[0]));
}

/* Power-on (SDM 3, table 10-1) isn't FNINIT's state: nothing is masked, and the registers hold zeros. */
void soft_fpu_reset(struct soft_fpu *fpu)
{
    soft_fpu_init_x87(fpu);
    fpu->fcw = X87_FCW_FIXED;
    fpu->valid = 0xff;
    soft_fpu_init_xmm(fpu, 16);
    fpu->mxcsr = MXCSR_INIT;
    fpu->xcr0 = XSTATE_X87;
}

static bool fpu_x87_in_use(const struct soft_fpu *fpu)
{
    uint64_t any = fpu->fsw | fpu->top | fpu->valid | fpu->fop | fpu->fcs | fpu->fds | fpu->fip | fpu->fdp;

    for (unsigned i = 0; i < 8; i++) {
        any |= fpu->st[i].mantissa | fpu->st[i].exponent;
    }
    return any != 0 || fpu->fcw != X87_FCW_INIT;
}

static bool fpu_xmm_in_use(const struct soft_fpu *fpu)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < 16; i++) {
        any |= fpu->xmm[i].u64[0] | fpu->xmm[i].u64[1];
    }
    return any != 0;
}

uint64_t soft_fpu_in_use(const struct soft_fpu *fpu)
{
    return (fpu_x87_in_use(fpu) ? XSTATE_X87 : 0) | (fpu_xmm_in_use(fpu) || fpu->mxcsr != MXCSR_INIT ? XSTATE_SSE : 0);
}

/* --- areas -------------------------------------------------------------------------------------------------------- */

void soft_area_put_x87(struct soft_area *area, const struct soft_fpu *fpu, bool wide)
{
    area->fcw = fpu->fcw;
    area->fsw = soft_x87_status(fpu);
    area->ftw = fpu->valid;
    area->reserved = 0;
    area->fop = fpu->fop;
    area->fip = wide ? fpu->fip : (uint32_t)fpu->fip | (uint64_t)fpu->fcs << 32;
    area->fdp = wide ? fpu->fdp : (uint32_t)fpu->fdp | (uint64_t)fpu->fds << 32;
    memset(area->st, 0, sizeof(area->st));
    for (unsigned i = 0; i < 8; i++) {
        memcpy(area->st[i], &fpu->st[(fpu->top + i) & 7], 10);
    }
}

void soft_area_get_x87(const struct soft_area *area, struct soft_fpu *fpu, bool wide)
{
    soft_x87_set_control(fpu, area->fcw);
    soft_x87_set_status(fpu, area->fsw);
    fpu->valid = area->ftw;
    fpu->fop = area->fop & 0x7ff;
    fpu->fip = wide ? area->fip : (uint32_t)area->fip;
    fpu->fdp = wide ? area->fdp : (uint32_t)area->fdp;
    fpu->fcs = wide ? 0 : (uint16_t)(area->fip >> 32);
    fpu->fds = wide ? 0 : (uint16_t)(area->fdp >> 32);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&fpu->st[(fpu->top + i) & 7], area->st[i], 10);
    }
}

void soft_area_put_mxcsr(struct soft_area *area, const struct soft_fpu *fpu)
{
    area->mxcsr = fpu->mxcsr;
    area->mxcsr_mask = MXCSR_VALID;
}

void soft_area_put_xmm(struct soft_area *area, const struct soft_fpu *fpu, unsigned xmm_count)
{
    memcpy(area->xmm, fpu->xmm, xmm_count * sizeof(area->xmm[0]));
}

void soft_area_get_xmm(const struct soft_area *area, struct soft_fpu *fpu, unsigned xmm_count)
{
    memcpy(fpu->xmm, area->xmm, xmm_count * sizeof(area->xmm[0]));
}

void soft_fpu_to_xsave(const struct soft_fpu *fpu, uint8_t *area, uint32_t *len_bytes)
{
    struct soft_area image = {0};

    soft_area_put_x87(&image, fpu, true);
    soft_area_put_mxcsr(&image, fpu);
    soft_area_put_xmm(&image, fpu, 16);
    image.xstate_bv = XSTATE_ALL;
    memcpy(area, &image, sizeof(image));
    *len_bytes = sizeof(image);
}

/* An area of 512 bytes is FXSAVE's; a shorter one says nothing. What it comes from isn't trusted. */
void soft_fpu_from_xsave(struct soft_fpu *fpu, const uint8_t *area, uint32_t len_bytes)
{
    struct soft_area image = {.xstate_bv = XSTATE_ALL};

    soft_fpu_init_x87(fpu);
    soft_fpu_init_xmm(fpu, 16);
    fpu->mxcsr = MXCSR_INIT;
    if (len_bytes < SOFT_FXSAVE_BYTES) {
        return;
    }
    memcpy(&image, area, len_bytes < sizeof(image) ? SOFT_FXSAVE_BYTES : sizeof(image));
    if (image.xstate_bv & XSTATE_X87) {
        soft_area_get_x87(&image, fpu, true);
    }
    if (image.xstate_bv & XSTATE_SSE) {
        soft_area_get_xmm(&image, fpu, 16);
    }
    fpu->mxcsr = image.mxcsr & MXCSR_VALID;
}

/* --- the host's units --------------------------------------------------------------------------------------------- */

void soft_fpu_enter(struct soft_cpu *cpu)
{
    soft_x87_host_load(&cpu->fpu);
    soft_host_set_mxcsr(cpu->fpu.mxcsr | MXCSR_MASKS);
}

/* x87's flags were taken over after each instruction. */
void soft_fpu_leave(struct soft_cpu *cpu)
{
    cpu->fpu.mxcsr = soft_sse_mxcsr(cpu);
    soft_host_set_mxcsr(MXCSR_INIT);
    soft_x87_host_clear();
    soft_x87_host_control(X87_FCW_INIT);
}
