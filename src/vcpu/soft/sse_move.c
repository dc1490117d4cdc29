/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE moves: registers, memory, general registers; MXCSR's own. */
#include "vcpu/soft/sse.h"

/* --- 16 bytes ----------------------------------------------------------------------------------------------------- */

SSE_EXEC(load_aligned)
{
    soft_set_xmm(cpu, insn->reg, soft_sse_source(cpu, insn, 16));
}

SSE_EXEC(load_unaligned)
{
    __m128i value =
        insn->is_memory ? soft_load128(cpu, soft_vector_ea(cpu, insn, 16, SOFT_READ)) : soft_xmm(cpu, insn->rm);

    soft_set_xmm(cpu, insn->reg, value);
}

SSE_EXEC(store_aligned)
{
    if (insn->is_memory) {
        soft_store128(cpu, soft_sse_aligned(cpu, insn, SOFT_WRITE), soft_xmm(cpu, insn->reg));
    } else {
        soft_set_xmm(cpu, insn->rm, soft_xmm(cpu, insn->reg));
    }
}

SSE_EXEC(store_unaligned)
{
    if (insn->is_memory) {
        soft_store128(cpu, soft_vector_ea(cpu, insn, 16, SOFT_WRITE), soft_xmm(cpu, insn->reg));
    } else {
        soft_set_xmm(cpu, insn->rm, soft_xmm(cpu, insn->reg));
    }
}

/* --- 4 and 8 bytes ------------------------------------------------------------------------------------------------ */

static inline void sse_store_u64(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes, uint64_t value)
{
    soft_store(cpu, soft_vector_ea(cpu, insn, bytes, SOFT_WRITE), bytes, value);
}

/* MOVSS, MOVSD, MOVQ from memory: zeros above. */
SSE_EXEC(load_scalar32)
{
    soft_set_xmm(cpu, insn->reg, _mm_cvtsi64_si128((int64_t)soft_sse_load(cpu, insn, 4)));
}

SSE_EXEC(load_scalar64)
{
    soft_set_xmm(cpu, insn->reg, _mm_cvtsi64_si128((int64_t)soft_sse_load(cpu, insn, 8)));
}

SSE_EXEC(store_scalar32)
{
    sse_store_u64(cpu, insn, 4, cpu->fpu.xmm[insn->reg].u32[0]);
}

SSE_EXEC(store_scalar64)
{
    sse_store_u64(cpu, insn, 8, cpu->fpu.xmm[insn->reg].u64[0]);
}

SSE_EXEC(store_high)
{
    sse_store_u64(cpu, insn, 8, cpu->fpu.xmm[insn->reg].u64[1]);
}

/* Between registers MOVSS and MOVSD leave what is above. */
SSE_EXEC(movss_from_rm)
{
    cpu->fpu.xmm[insn->reg].u32[0] = cpu->fpu.xmm[insn->rm].u32[0];
}

SSE_EXEC(movss_to_rm)
{
    cpu->fpu.xmm[insn->rm].u32[0] = cpu->fpu.xmm[insn->reg].u32[0];
}

SSE_EXEC(movsd_from_rm)
{
    cpu->fpu.xmm[insn->reg].u64[0] = cpu->fpu.xmm[insn->rm].u64[0];
}

SSE_EXEC(movsd_to_rm)
{
    cpu->fpu.xmm[insn->rm].u64[0] = cpu->fpu.xmm[insn->reg].u64[0];
}

SSE_EXEC(load_low)
{
    cpu->fpu.xmm[insn->reg].u64[0] = soft_sse_load(cpu, insn, 8);
}

SSE_EXEC(load_high)
{
    cpu->fpu.xmm[insn->reg].u64[1] = soft_sse_load(cpu, insn, 8);
}

SSE_EXEC(movhlps)
{
    cpu->fpu.xmm[insn->reg].u64[0] = cpu->fpu.xmm[insn->rm].u64[1];
}

SSE_EXEC(movlhps)
{
    cpu->fpu.xmm[insn->reg].u64[1] = cpu->fpu.xmm[insn->rm].u64[0];
}

SSE_EXEC(movq_load)
{
    soft_set_xmm(cpu, insn->reg, _mm_move_epi64(soft_sse_source(cpu, insn, 8)));
}

SSE_EXEC(movq_store)
{
    if (insn->is_memory) {
        sse_store_u64(cpu, insn, 8, cpu->fpu.xmm[insn->reg].u64[0]);
    } else {
        soft_set_xmm(cpu, insn->rm, _mm_move_epi64(soft_xmm(cpu, insn->reg)));
    }
}

SSE_OP(movddup, 8)
SSE_OP(movsldup, 16)
SSE_OP(movshdup, 16)

/* --- general registers -------------------------------------------------------------------------------------------- */

SSE_EXEC(movd_from_gpr)
{
    soft_set_xmm(cpu, insn->reg, _mm_cvtsi64_si128((int64_t)soft_sse_gpr_source(cpu, insn)));
}

SSE_EXEC(movd_to_gpr)
{
    uint64_t value = cpu->fpu.xmm[insn->reg].u64[0];

    if (insn->is_memory) {
        sse_store_u64(cpu, insn, soft_rex_w(insn) ? 8 : 4, value);
    } else {
        soft_sse_set_gpr(cpu, insn, insn->rm, value);
    }
}

SSE_EXEC(movmskps)
{
    cpu->gpr[insn->reg] = (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(soft_xmm(cpu, insn->rm)));
}

SSE_EXEC(movmskpd)
{
    cpu->gpr[insn->reg] = (uint32_t)_mm_movemask_pd(_mm_castsi128_pd(soft_xmm(cpu, insn->rm)));
}

SSE_EXEC(pmovmskb)
{
    cpu->gpr[insn->reg] = (uint32_t)_mm_movemask_epi8(soft_xmm(cpu, insn->rm));
}

SSE_EXEC(movnti)
{
    sse_store_u64(cpu, insn, soft_rex_w(insn) ? 8 : 4, cpu->gpr[insn->reg]);
}

/* --- MXCSR -------------------------------------------------------------------------------------------------------- */

SSE_EXEC(ldmxcsr)
{
    uint32_t value = (uint32_t)soft_sse_load(cpu, insn, 4);

    if (value & ~(uint32_t)MXCSR_VALID) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    soft_sse_set_mxcsr(cpu, value);
}

SSE_EXEC(stmxcsr)
{
    sse_store_u64(cpu, insn, 4, soft_sse_mxcsr(cpu));
}
