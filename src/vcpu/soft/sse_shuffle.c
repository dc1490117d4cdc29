/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE instructions that move elements about: unpack, shuffle, blend, insert, extract. The host: sse.h. */
#include "vcpu/soft/sse.h"

SSE_OP(punpcklbw, 16)
SSE_OP(punpcklwd, 16)
SSE_OP(punpckldq, 16)
SSE_OP(punpcklqdq, 16)
SSE_OP(punpckhbw, 16)
SSE_OP(punpckhwd, 16)
SSE_OP(punpckhdq, 16)
SSE_OP(punpckhqdq, 16)
SSE_OP(unpcklps, 16)
SSE_OP(unpcklpd, 16)
SSE_OP(unpckhps, 16)
SSE_OP(unpckhpd, 16)

SSE_OP_IMM(shufps, 16, 256)
SSE_OP_IMM(shufpd, 16, 4)
SSE_OP_IMM(pshufd, 16, 256)
SSE_OP_IMM(pshufhw, 16, 256)
SSE_OP_IMM(pshuflw, 16, 256)
SSE_OP_IMM(palignr, 16, 256)
SSE_OP_IMM(pblendw, 16, 256)
SSE_OP_IMM(blendps, 16, 16)
SSE_OP_IMM(blendpd, 16, 4)
SSE_OP_IMM(mpsadbw, 16, 8)

/* --- by the sign bits of XMM0 ------------------------------------------------------------------------------------- */

#define SSE_BLEND_BY_XMM0(name)                                                                                        \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, 16);                                                                    \
        __m128i a = soft_xmm(cpu, insn->reg);                                                                          \
        register __m128i mask __asm__("xmm0") = soft_xmm(cpu, 0);                                                      \
                                                                                                                       \
        __asm__(#name " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "x"(mask));                                                \
        soft_set_xmm(cpu, insn->reg, a);                                                                               \
    }

SSE_BLEND_BY_XMM0(pblendvb)
SSE_BLEND_BY_XMM0(blendvps)
SSE_BLEND_BY_XMM0(blendvpd)

/* --- single elements ---------------------------------------------------------------------------------------------- */

static inline uint64_t sse_element_source(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes)
{
    return insn->is_memory ? soft_sse_load(cpu, insn, bytes) : cpu->gpr[insn->rm];
}

SSE_EXEC(pinsrb)
{
    cpu->fpu.xmm[insn->reg].u8[insn->imm & 15] = (uint8_t)sse_element_source(cpu, insn, 1);
}

SSE_EXEC(pinsrw)
{
    cpu->fpu.xmm[insn->reg].u16[insn->imm & 7] = (uint16_t)sse_element_source(cpu, insn, 2);
}

/* PINSRD, and PINSRQ with REX.W. */
SSE_EXEC(pinsrd)
{
    uint64_t value = soft_sse_gpr_source(cpu, insn);

    if (soft_rex_w(insn)) {
        cpu->fpu.xmm[insn->reg].u64[insn->imm & 1] = value;
    } else {
        cpu->fpu.xmm[insn->reg].u32[insn->imm & 3] = (uint32_t)value;
    }
}

/* Bits 7:6 choose the source's element (memory has one), 5:4 the destination's, 3:0 are elements to clear. */
SSE_EXEC(insertps)
{
    union soft_xmm *dst = &cpu->fpu.xmm[insn->reg];
    uint32_t value =
        insn->is_memory ? (uint32_t)soft_sse_load(cpu, insn, 4) : cpu->fpu.xmm[insn->rm].u32[insn->imm >> 6 & 3];

    dst->u32[insn->imm >> 4 & 3] = value;
    for (unsigned i = 0; i < 4; i++) {
        if (insn->imm >> i & 1) {
            dst->u32[i] = 0;
        }
    }
}

/* Memory gets the element, a register its zero extension. */
static inline void sse_extract(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes, uint64_t value)
{
    if (insn->is_memory) {
        soft_store(cpu, soft_vector_ea(cpu, insn, bytes, SOFT_WRITE), bytes, value);
    } else {
        cpu->gpr[insn->rm] = value;
    }
}

SSE_EXEC(pextrb)
{
    sse_extract(cpu, insn, 1, cpu->fpu.xmm[insn->reg].u8[insn->imm & 15]);
}

SSE_EXEC(pextrw)
{
    sse_extract(cpu, insn, 2, cpu->fpu.xmm[insn->reg].u16[insn->imm & 7]);
}

/* PEXTRD, and PEXTRQ with REX.W. */
SSE_EXEC(pextrd)
{
    if (soft_rex_w(insn)) {
        sse_extract(cpu, insn, 8, cpu->fpu.xmm[insn->reg].u64[insn->imm & 1]);
    } else {
        sse_extract(cpu, insn, 4, cpu->fpu.xmm[insn->reg].u32[insn->imm & 3]);
    }
}

SSE_EXEC(extractps)
{
    sse_extract(cpu, insn, 4, cpu->fpu.xmm[insn->reg].u32[insn->imm & 3]);
}

/* 0F C5: modrm.reg is the general register. */
SSE_EXEC(pextrw_gpr)
{
    cpu->gpr[insn->reg] = cpu->fpu.xmm[insn->rm].u16[insn->imm & 7];
}
