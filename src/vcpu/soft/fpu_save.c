/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FXSAVE, FXRSTOR, XSAVE, XSAVEOPT and XRSTOR (SDM 1, 10.5 and 13.7 to 13.9) of x87 and SSE state. Everything that can
 * fault does so before anything changes. XSAVEOPT is XSAVE: it may leave out what didn't change, and needn't.
 */
#include "vcpu/soft/exception.h"
#include "vcpu/soft/fpu_area.h"
#include "vcpu/soft/sse.h"
#include "vcpu/soft/x87.h"

static bool save_is_wide(const struct soft_insn *insn)
{
    return insn->rex & 8;
}

/* XMM8 to XMM15 exist in 64-bit mode only. */
static unsigned save_xmm_count(const struct soft_cpu *cpu)
{
    return soft_is_64(cpu) ? 16 : 8;
}

static uint64_t save_address(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned len_bytes, unsigned align,
                             enum soft_access access)
{
    uint64_t linear = soft_ea(cpu, insn, len_bytes, access);

    if (linear & (align - 1)) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    return linear;
}

/* --- FXSAVE, FXRSTOR ---------------------------------------------------------------------------------------------- */

/* The bytes behind the last register are left alone. */
void soft_sse_fxsave(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t linear = save_address(cpu, insn, SOFT_FXSAVE_BYTES, 16, SOFT_WRITE);
    struct soft_area area = {0};

    cpu->fpu.mxcsr = soft_sse_mxcsr(cpu);
    soft_area_put_x87(&area, &cpu->fpu, save_is_wide(insn));
    soft_area_put_mxcsr(&area, &cpu->fpu);
    soft_area_put_xmm(&area, &cpu->fpu, 16);
    soft_write_bytes(cpu, linear, &area, (unsigned)offsetof(struct soft_area, xmm) + 16 * save_xmm_count(cpu));
}

void soft_sse_fxrstor(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t linear = save_address(cpu, insn, SOFT_FXSAVE_BYTES, 16, SOFT_READ);
    struct soft_area area;

    soft_read_bytes(cpu, linear, &area, SOFT_FXSAVE_BYTES);
    if (area.mxcsr & ~(uint32_t)MXCSR_VALID) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    soft_area_get_x87(&area, &cpu->fpu, save_is_wide(insn));
    soft_x87_host_load(&cpu->fpu);
    soft_area_get_xmm(&area, &cpu->fpu, save_xmm_count(cpu));
    soft_sse_set_mxcsr(cpu, area.mxcsr);
}

/* --- XSAVE, XRSTOR ------------------------------------------------------------------------------------------------ */

/* Of #NM, only CR0.TS matters here. Returns which components the instruction is about. */
static uint64_t xsave_begin(struct soft_cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        soft_raise(cpu, VECTOR_UD);
    }
    if (cpu->cr0 & CR0_TS) {
        soft_raise(cpu, VECTOR_NM);
    }
    return ((uint32_t)cpu->gpr[CPU_RAX] | cpu->gpr[CPU_RDX] << 32) & cpu->fpu.xcr0 & XSTATE_ALL;
}

static void xsave_part(struct soft_cpu *cpu, uint64_t linear, const struct soft_area *area, size_t from, size_t to)
{
    soft_write_bytes(cpu, linear + from, (const uint8_t *)area + from, (unsigned)(to - from));
}

void soft_sse_xsave(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t components = xsave_begin(cpu);
    uint64_t linear = save_address(cpu, insn, sizeof(struct soft_area), 64, SOFT_WRITE);
    struct soft_area area;
    uint64_t xstate_bv;

    soft_probe_write(cpu, linear, sizeof(area));
    xstate_bv = soft_load(cpu, linear + offsetof(struct soft_area, xstate_bv), 8);
    cpu->fpu.mxcsr = soft_sse_mxcsr(cpu);
    if (components & XSTATE_X87) {
        soft_area_put_x87(&area, &cpu->fpu, save_is_wide(insn));
        xsave_part(cpu, linear, &area, 0, offsetof(struct soft_area, mxcsr));
        xsave_part(cpu, linear, &area, offsetof(struct soft_area, st), offsetof(struct soft_area, xmm));
    }
    if (components & XSTATE_SSE) {
        size_t xmm = offsetof(struct soft_area, xmm);

        soft_area_put_mxcsr(&area, &cpu->fpu);
        soft_area_put_xmm(&area, &cpu->fpu, 16);
        xsave_part(cpu, linear, &area, offsetof(struct soft_area, mxcsr), offsetof(struct soft_area, st));
        xsave_part(cpu, linear, &area, xmm, xmm + 16 * save_xmm_count(cpu));
    }
    xstate_bv = (xstate_bv & ~components) | (soft_fpu_in_use(&cpu->fpu) & components);
    soft_store(cpu, linear + offsetof(struct soft_area, xstate_bv), 8, xstate_bv);
}

/* What XRSTOR refuses in the standard form (SDM 1, 13.8). */
static bool xrstor_is_valid(const struct soft_cpu *cpu, const struct soft_area *area, uint64_t components)
{
    bool mxcsr_valid = !(components & XSTATE_SSE) || !(area->mxcsr & ~(uint32_t)MXCSR_VALID);

    return mxcsr_valid && !(area->xstate_bv & ~cpu->fpu.xcr0) && area->xcomp_bv == 0 && area->header_reserved[0] == 0;
}

void soft_sse_xrstor(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t components = xsave_begin(cpu);
    uint64_t linear = save_address(cpu, insn, sizeof(struct soft_area), 64, SOFT_READ);
    struct soft_area area;

    soft_read_bytes(cpu, linear, &area, sizeof(area));
    if (!xrstor_is_valid(cpu, &area, components)) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    if (components & XSTATE_X87) {
        if (area.xstate_bv & XSTATE_X87) {
            soft_area_get_x87(&area, &cpu->fpu, save_is_wide(insn));
        } else {
            soft_fpu_init_x87(&cpu->fpu);
        }
        soft_x87_host_load(&cpu->fpu);
    }
    if (components & XSTATE_SSE) {
        if (area.xstate_bv & XSTATE_SSE) {
            soft_area_get_xmm(&area, &cpu->fpu, save_xmm_count(cpu));
        } else {
            soft_fpu_init_xmm(&cpu->fpu, save_xmm_count(cpu));
        }
        soft_sse_set_mxcsr(cpu, area.mxcsr);
    }
}
