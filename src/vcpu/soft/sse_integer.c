/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE integer instructions with two operands: arithmetic, comparisons, logic, packing, shifts. The host: sse.h. */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/sse.h"

/* --- SSE2 --------------------------------------------------------------------------------------------------------- */

SSE_OP(paddb, 16)
SSE_OP(paddw, 16)
SSE_OP(paddd, 16)
SSE_OP(paddq, 16)
SSE_OP(paddsb, 16)
SSE_OP(paddsw, 16)
SSE_OP(paddusb, 16)
SSE_OP(paddusw, 16)
SSE_OP(psubb, 16)
SSE_OP(psubw, 16)
SSE_OP(psubd, 16)
SSE_OP(psubq, 16)
SSE_OP(psubsb, 16)
SSE_OP(psubsw, 16)
SSE_OP(psubusb, 16)
SSE_OP(psubusw, 16)
SSE_OP(pmullw, 16)
SSE_OP(pmulhw, 16)
SSE_OP(pmulhuw, 16)
SSE_OP(pmuludq, 16)
SSE_OP(pmaddwd, 16)
SSE_OP(psadbw, 16)
SSE_OP(pavgb, 16)
SSE_OP(pavgw, 16)
SSE_OP(pminub, 16)
SSE_OP(pminsw, 16)
SSE_OP(pmaxub, 16)
SSE_OP(pmaxsw, 16)
SSE_OP(pcmpeqb, 16)
SSE_OP(pcmpeqw, 16)
SSE_OP(pcmpeqd, 16)
SSE_OP(pcmpgtb, 16)
SSE_OP(pcmpgtw, 16)
SSE_OP(pcmpgtd, 16)
SSE_OP(pand, 16)
SSE_OP(pandn, 16)
SSE_OP(por, 16)
SSE_OP(pxor, 16)
SSE_OP(packsswb, 16)
SSE_OP(packssdw, 16)
SSE_OP(packuswb, 16)
SSE_OP(psrlw, 16)
SSE_OP(psrld, 16)
SSE_OP(psrlq, 16)
SSE_OP(psraw, 16)
SSE_OP(psrad, 16)
SSE_OP(psllw, 16)
SSE_OP(pslld, 16)
SSE_OP(psllq, 16)

/* --- SSSE3, SSE4 -------------------------------------------------------------------------------------------------- */

SSE_OP(pshufb, 16)
SSE_OP(phaddw, 16)
SSE_OP(phaddd, 16)
SSE_OP(phaddsw, 16)
SSE_OP(phsubw, 16)
SSE_OP(phsubd, 16)
SSE_OP(phsubsw, 16)
SSE_OP(pmaddubsw, 16)
SSE_OP(psignb, 16)
SSE_OP(psignw, 16)
SSE_OP(psignd, 16)
SSE_OP(pmulhrsw, 16)
SSE_OP(pabsb, 16)
SSE_OP(pabsw, 16)
SSE_OP(pabsd, 16)
SSE_OP(pmuldq, 16)
SSE_OP(pmulld, 16)
SSE_OP(pcmpeqq, 16)
SSE_OP(pcmpgtq, 16)
SSE_OP(packusdw, 16)
SSE_OP(pminsb, 16)
SSE_OP(pminsd, 16)
SSE_OP(pminuw, 16)
SSE_OP(pminud, 16)
SSE_OP(pmaxsb, 16)
SSE_OP(pmaxsd, 16)
SSE_OP(pmaxuw, 16)
SSE_OP(pmaxud, 16)
SSE_OP(phminposuw, 16)
SSE_OP(pmovsxbw, 8)
SSE_OP(pmovsxbd, 4)
SSE_OP(pmovsxbq, 2)
SSE_OP(pmovsxwd, 8)
SSE_OP(pmovsxwq, 4)
SSE_OP(pmovsxdq, 8)
SSE_OP(pmovzxbw, 8)
SSE_OP(pmovzxbd, 4)
SSE_OP(pmovzxbq, 2)
SSE_OP(pmovzxwd, 8)
SSE_OP(pmovzxwq, 4)
SSE_OP(pmovzxdq, 8)

SSE_EXEC(ptest)
{
    __m128i b = soft_sse_source(cpu, insn, 16);
    bool zero, carry;

    __asm__("ptest %[b], %[a]" : "=@ccz"(zero), "=@ccc"(carry) : [a] "x"(soft_xmm(cpu, insn->reg)), [b] "x"(b));
    soft_set_arithmetic_flags(cpu, (zero ? RFLAGS_ZF : 0) | (carry ? RFLAGS_CF : 0));
}

/* --- shifts by an immediate: as by a register that holds it --------------------------------------------------------
 */

#define SSE_SHIFT_IMM(name)                                                                                            \
    SSE_EXEC(name##_imm)                                                                                               \
    {                                                                                                                  \
        __m128i a = soft_xmm(cpu, insn->rm);                                                                           \
                                                                                                                       \
        __asm__(#name " %1, %0" : "+x"(a) : "x"(_mm_cvtsi64_si128((int64_t)insn->imm)));                               \
        soft_set_xmm(cpu, insn->rm, a);                                                                                \
    }

SSE_SHIFT_IMM(psrlw)
SSE_SHIFT_IMM(psrld)
SSE_SHIFT_IMM(psrlq)
SSE_SHIFT_IMM(psraw)
SSE_SHIFT_IMM(psrad)
SSE_SHIFT_IMM(psllw)
SSE_SHIFT_IMM(pslld)
SSE_SHIFT_IMM(psllq)

/* Whole bytes: through a window over the value and zeros. */
SSE_EXEC(psrldq_imm)
{
    uint8_t window[32] = {0};
    unsigned by = insn->imm < 16 ? (unsigned)insn->imm : 16;

    _mm_storeu_si128((__m128i *)window, soft_xmm(cpu, insn->rm));
    soft_set_xmm(cpu, insn->rm, _mm_loadu_si128((const __m128i *)(window + by)));
}

SSE_EXEC(pslldq_imm)
{
    uint8_t window[32] = {0};
    unsigned by = insn->imm < 16 ? (unsigned)insn->imm : 16;

    _mm_storeu_si128((__m128i *)(window + 16), soft_xmm(cpu, insn->rm));
    soft_set_xmm(cpu, insn->rm, _mm_loadu_si128((const __m128i *)(window + 16 - by)));
}
