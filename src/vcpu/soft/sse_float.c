/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE floating point: arithmetic, comparisons, rounding. The host computes: sse.h. */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/sse.h"

#define SSE_FP_ALL(name)                                                                                               \
    SSE_FP(name##ps, 16)                                                                                               \
    SSE_FP(name##pd, 16)                                                                                               \
    SSE_FP(name##ss, 4)                                                                                                \
    SSE_FP(name##sd, 8)

SSE_FP_ALL(add)
SSE_FP_ALL(sub)
SSE_FP_ALL(mul)
SSE_FP_ALL(div)
SSE_FP_ALL(min)
SSE_FP_ALL(max)
SSE_FP_ALL(sqrt)

SSE_FP(addsubps, 16)
SSE_FP(addsubpd, 16)
SSE_FP(haddps, 16)
SSE_FP(haddpd, 16)
SSE_FP(hsubps, 16)
SSE_FP(hsubpd, 16)

/* Approximations raise nothing. */
SSE_OP(rsqrtps, 16)
SSE_OP(rsqrtss, 4)
SSE_OP(rcpps, 16)
SSE_OP(rcpss, 4)

SSE_OP(andps, 16)
SSE_OP(andpd, 16)
SSE_OP(andnps, 16)
SSE_OP(andnpd, 16)
SSE_OP(orps, 16)
SSE_OP(orpd, 16)
SSE_OP(xorps, 16)
SSE_OP(xorpd, 16)

/* Only three bits of the predicate count, and four of the rounding mode. */
SSE_FP_IMM(cmpps, 16, 8)
SSE_FP_IMM(cmppd, 16, 8)
SSE_FP_IMM(cmpss, 4, 8)
SSE_FP_IMM(cmpsd, 8, 8)
SSE_FP_IMM(roundps, 16, 16)
SSE_FP_IMM(roundpd, 16, 16)
SSE_FP_IMM(roundss, 4, 16)
SSE_FP_IMM(roundsd, 8, 16)
SSE_FP_IMM(dpps, 16, 256)
SSE_FP_IMM(dppd, 16, 256)

/* --- to EFLAGS ---------------------------------------------------------------------------------------------------- */

/* The result is RFLAGS_ARITHMETIC bits. */
#define SSE_COMPARE(name, bytes)                                                                                       \
    static inline __m128i sse_##name(__m128i a, __m128i b, unsigned imm HDL_UNUSED)                                    \
    {                                                                                                                  \
        bool zero, parity, carry;                                                                                      \
                                                                                                                       \
        __asm__ volatile(#name " %[b], %[a]"                                                                           \
                         : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)                                              \
                         : [a] "x"(a), [b] "x"(b));                                                                    \
        return _mm_cvtsi32_si128((zero ? RFLAGS_ZF : 0) | (parity ? RFLAGS_PF : 0) | (carry ? RFLAGS_CF : 0));         \
    }                                                                                                                  \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes);                                                                 \
        __m128i flags = soft_sse_run(cpu, sse_##name, soft_xmm(cpu, insn->reg), b, 0);                                 \
                                                                                                                       \
        soft_set_arithmetic_flags(cpu, (uint32_t)_mm_cvtsi128_si32(flags));                                            \
    }

SSE_COMPARE(comiss, 4)
SSE_COMPARE(comisd, 8)
SSE_COMPARE(ucomiss, 4)
SSE_COMPARE(ucomisd, 8)
