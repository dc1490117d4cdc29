/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MMX instructions. The host executes them in its own MM0 (its x87 stack is empty between instructions, and EMMS
 * restores that), so their narrower shuffles and packs need no thought. mmx.h has the rules about the registers.
 */
#include "vcpu/soft/mmx.h"

#include "vcpu/soft/sse.h"

#define MMX_EXEC(name) void soft_mmx_##name(struct soft_cpu *cpu, const struct soft_insn *insn)

static inline uint64_t mmx_source(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes)
{
    return insn->is_memory ? soft_sse_load(cpu, insn, bytes) : cpu->fpu.st[insn->rm & 7].mmx;
}

/* a = name(a, b), both 64-bit variables. */
#define MMX_ASM(name, a, b)                                                                                            \
    __asm__("movq %0, %%mm0\n\t" #name " %1, %%mm0\n\tmovq %%mm0, %0\n\temms"                                          \
            : "+m"(a)                                                                                                  \
            : "m"(b)                                                                                                   \
            : "mm0", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)")

#define MMX_OP(name, bytes)                                                                                            \
    MMX_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        struct soft_fpu *fpu = &cpu->fpu;                                                                              \
        uint64_t a, b;                                                                                                 \
                                                                                                                       \
        soft_x87_wait(cpu);                                                                                            \
        b = mmx_source(cpu, insn, bytes);                                                                              \
        a = fpu->st[insn->reg & 7].mmx;                                                                                \
        MMX_ASM(name, a, b);                                                                                           \
        soft_mmx_transition(fpu);                                                                                      \
        soft_mmx_set(fpu, insn->reg, a);                                                                               \
    }

/* --- MMX ---------------------------------------------------------------------------------------------------------- */

MMX_OP(paddb, 8)
MMX_OP(paddw, 8)
MMX_OP(paddd, 8)
MMX_OP(paddq, 8)
MMX_OP(paddsb, 8)
MMX_OP(paddsw, 8)
MMX_OP(paddusb, 8)
MMX_OP(paddusw, 8)
MMX_OP(psubb, 8)
MMX_OP(psubw, 8)
MMX_OP(psubd, 8)
MMX_OP(psubq, 8)
MMX_OP(psubsb, 8)
MMX_OP(psubsw, 8)
MMX_OP(psubusb, 8)
MMX_OP(psubusw, 8)
MMX_OP(pmullw, 8)
MMX_OP(pmulhw, 8)
MMX_OP(pmulhuw, 8)
MMX_OP(pmuludq, 8)
MMX_OP(pmaddwd, 8)
MMX_OP(psadbw, 8)
MMX_OP(pavgb, 8)
MMX_OP(pavgw, 8)
MMX_OP(pminub, 8)
MMX_OP(pminsw, 8)
MMX_OP(pmaxub, 8)
MMX_OP(pmaxsw, 8)
MMX_OP(pcmpeqb, 8)
MMX_OP(pcmpeqw, 8)
MMX_OP(pcmpeqd, 8)
MMX_OP(pcmpgtb, 8)
MMX_OP(pcmpgtw, 8)
MMX_OP(pcmpgtd, 8)
MMX_OP(pand, 8)
MMX_OP(pandn, 8)
MMX_OP(por, 8)
MMX_OP(pxor, 8)
MMX_OP(packsswb, 8)
MMX_OP(packssdw, 8)
MMX_OP(packuswb, 8)
MMX_OP(punpckhbw, 8)
MMX_OP(punpckhwd, 8)
MMX_OP(punpckhdq, 8)
MMX_OP(psrlw, 8)
MMX_OP(psrld, 8)
MMX_OP(psrlq, 8)
MMX_OP(psraw, 8)
MMX_OP(psrad, 8)
MMX_OP(psllw, 8)
MMX_OP(pslld, 8)
MMX_OP(psllq, 8)
MMX_OP(pshufb, 8)
MMX_OP(phaddw, 8)
MMX_OP(phaddd, 8)
MMX_OP(phaddsw, 8)
MMX_OP(phsubw, 8)
MMX_OP(phsubd, 8)
MMX_OP(phsubsw, 8)
MMX_OP(pmaddubsw, 8)
MMX_OP(psignb, 8)
MMX_OP(psignw, 8)
MMX_OP(psignd, 8)
MMX_OP(pmulhrsw, 8)
MMX_OP(pabsb, 8)
MMX_OP(pabsw, 8)
MMX_OP(pabsd, 8)
MMX_OP(punpcklbw, 4)
MMX_OP(punpcklwd, 4)
MMX_OP(punpckldq, 4)

/* --- shifts by an immediate: as by a register that holds it ------------------------------------------------------- */

#define MMX_SHIFT_IMM(name)                                                                                            \
    MMX_EXEC(name##_imm)                                                                                               \
    {                                                                                                                  \
        struct soft_fpu *fpu = &cpu->fpu;                                                                              \
        uint64_t a, count = insn->imm;                                                                                 \
                                                                                                                       \
        soft_x87_wait(cpu);                                                                                            \
        a = fpu->st[insn->rm & 7].mmx;                                                                                 \
        MMX_ASM(name, a, count);                                                                                       \
        soft_mmx_transition(fpu);                                                                                      \
        soft_mmx_set(fpu, insn->rm, a);                                                                                \
    }

MMX_SHIFT_IMM(psrlw)
MMX_SHIFT_IMM(psrld)
MMX_SHIFT_IMM(psrlq)
MMX_SHIFT_IMM(psraw)
MMX_SHIFT_IMM(psrad)
MMX_SHIFT_IMM(psllw)
MMX_SHIFT_IMM(pslld)
MMX_SHIFT_IMM(psllq)

/* --- elements ----------------------------------------------------------------------------------------------------- */

MMX_EXEC(pshufw)
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint64_t b, result = 0;

    soft_x87_wait(cpu);
    b = mmx_source(cpu, insn, 8);
    for (unsigned i = 0; i < 4; i++) {
        result |= (b >> 16 * (insn->imm >> 2 * i & 3) & 0xffff) << 16 * i;
    }
    soft_mmx_transition(fpu);
    soft_mmx_set(fpu, insn->reg, result);
}

/* Source below, destination above, shifted right by whole bytes. */
MMX_EXEC(palignr)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned bits = 8 * (insn->imm < 16 ? (unsigned)insn->imm : 16);
    uint64_t low, high;

    soft_x87_wait(cpu);
    low = mmx_source(cpu, insn, 8);
    high = fpu->st[insn->reg & 7].mmx;
    if (bits >= 64) {
        low = bits < 128 ? high >> (bits - 64) : 0;
    } else if (bits > 0) {
        low = low >> bits | high << (64 - bits);
    }
    soft_mmx_transition(fpu);
    soft_mmx_set(fpu, insn->reg, low);
}

MMX_EXEC(pinsrw)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned shift = 16 * (insn->imm & 3);
    uint64_t value;

    soft_x87_wait(cpu);
    value = insn->is_memory ? soft_sse_load(cpu, insn, 2) : cpu->gpr[insn->rm] & 0xffff;
    value = (fpu->st[insn->reg & 7].mmx & ~(UINT64_C(0xffff) << shift)) | value << shift;
    soft_mmx_transition(fpu);
    soft_mmx_set(fpu, insn->reg, value);
}

MMX_EXEC(pextrw)
{
    soft_x87_wait(cpu);
    soft_mmx_transition(&cpu->fpu);
    cpu->gpr[insn->reg] = cpu->fpu.st[insn->rm & 7].mmx >> 16 * (insn->imm & 3) & 0xffff;
}

MMX_EXEC(pmovmskb)
{
    soft_x87_wait(cpu);
    soft_mmx_transition(&cpu->fpu);
    cpu->gpr[insn->reg] = (uint32_t)_mm_movemask_epi8(_mm_cvtsi64_si128((int64_t)cpu->fpu.st[insn->rm & 7].mmx));
}

/* --- moves -------------------------------------------------------------------------------------------------------- */

MMX_EXEC(movd_from_gpr)
{
    uint64_t value;

    soft_x87_wait(cpu);
    value = soft_sse_gpr_source(cpu, insn);
    soft_mmx_transition(&cpu->fpu);
    soft_mmx_set(&cpu->fpu, insn->reg, value);
}

MMX_EXEC(movd_to_gpr)
{
    unsigned bytes = soft_rex_w(insn) ? 8 : 4;
    uint64_t value = cpu->fpu.st[insn->reg & 7].mmx;

    soft_x87_wait(cpu);
    if (insn->is_memory) {
        soft_store(cpu, soft_vector_ea(cpu, insn, bytes, SOFT_WRITE), bytes, value);
    } else {
        soft_sse_set_gpr(cpu, insn, insn->rm, value);
    }
    soft_mmx_transition(&cpu->fpu);
}

MMX_EXEC(movq_load)
{
    uint64_t value;

    soft_x87_wait(cpu);
    value = mmx_source(cpu, insn, 8);
    soft_mmx_transition(&cpu->fpu);
    soft_mmx_set(&cpu->fpu, insn->reg, value);
}

MMX_EXEC(movq_store)
{
    uint64_t value = cpu->fpu.st[insn->reg & 7].mmx;

    soft_x87_wait(cpu);
    if (insn->is_memory) {
        soft_store(cpu, soft_vector_ea(cpu, insn, 8, SOFT_WRITE), 8, value);
        soft_mmx_transition(&cpu->fpu);
    } else {
        soft_mmx_transition(&cpu->fpu);
        soft_mmx_set(&cpu->fpu, insn->rm, value);
    }
}

MMX_EXEC(emms)
{
    soft_x87_wait(cpu);
    cpu->fpu.top = 0;
    cpu->fpu.valid = 0;
}
