/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE conversions between floating point and integers, in xmm, mm, and general registers. The host converts: sse.h. */
#include "vcpu/soft/mmx.h"
#include "vcpu/soft/sse.h"

SSE_FP(cvtps2pd, 8)
SSE_FP(cvtpd2ps, 16)
SSE_FP(cvtss2sd, 4)
SSE_FP(cvtsd2ss, 8)
SSE_FP(cvtdq2ps, 16)
SSE_FP(cvtps2dq, 16)
SSE_FP(cvttps2dq, 16)
SSE_FP(cvtpd2dq, 16)
SSE_FP(cvttpd2dq, 16)
SSE_OP(cvtdq2pd, 8)

/* --- general registers -------------------------------------------------------------------------------------------- */

/* With an integer of 4 bytes, or 8 with REX.W. */
#define SSE_FROM_INTEGER(name)                                                                                         \
    static inline __m128i sse_##name##l(__m128i a, __m128i b, unsigned imm HDL_UNUSED)                                 \
    {                                                                                                                  \
        __asm__ volatile(#name "l %1, %0" : "+x"(a) : "r"(_mm_cvtsi128_si32(b)));                                      \
        return a;                                                                                                      \
    }                                                                                                                  \
    static inline __m128i sse_##name##q(__m128i a, __m128i b, unsigned imm HDL_UNUSED)                                 \
    {                                                                                                                  \
        __asm__ volatile(#name "q %1, %0" : "+x"(a) : "r"(_mm_cvtsi128_si64(b)));                                      \
        return a;                                                                                                      \
    }                                                                                                                  \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = _mm_cvtsi64_si128((int64_t)soft_sse_gpr_source(cpu, insn));                                        \
        __m128i a = soft_xmm(cpu, insn->reg);                                                                          \
                                                                                                                       \
        a = soft_rex_w(insn) ? soft_sse_run(cpu, sse_##name##q, a, b, 0) : soft_sse_run(cpu, sse_##name##l, a, b, 0);  \
        soft_set_xmm(cpu, insn->reg, a);                                                                               \
    }

SSE_FROM_INTEGER(cvtsi2ss)
SSE_FROM_INTEGER(cvtsi2sd)

#define SSE_TO_INTEGER(name, bytes)                                                                                    \
    static inline __m128i sse_##name##l(__m128i a HDL_UNUSED, __m128i b, unsigned imm HDL_UNUSED)                      \
    {                                                                                                                  \
        uint32_t result;                                                                                               \
                                                                                                                       \
        __asm__ volatile(#name " %1, %0" : "=r"(result) : "x"(b));                                                     \
        return _mm_cvtsi64_si128(result);                                                                              \
    }                                                                                                                  \
    static inline __m128i sse_##name##q(__m128i a HDL_UNUSED, __m128i b, unsigned imm HDL_UNUSED)                      \
    {                                                                                                                  \
        int64_t result;                                                                                                \
                                                                                                                       \
        __asm__ volatile(#name " %1, %0" : "=r"(result) : "x"(b));                                                     \
        return _mm_cvtsi64_si128(result);                                                                              \
    }                                                                                                                  \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes), result;                                                         \
                                                                                                                       \
        result =                                                                                                       \
            soft_rex_w(insn) ? soft_sse_run(cpu, sse_##name##q, b, b, 0) : soft_sse_run(cpu, sse_##name##l, b, b, 0);  \
        cpu->gpr[insn->reg] = (uint64_t)_mm_cvtsi128_si64(result);                                                     \
    }

SSE_TO_INTEGER(cvttss2si, 4)
SSE_TO_INTEGER(cvttsd2si, 8)
SSE_TO_INTEGER(cvtss2si, 4)
SSE_TO_INTEGER(cvtsd2si, 8)

/* --- mm registers: cvtdq2ps and the like do the same with 128 bits ------------------------------------------------ */

/* From memory there is no transition to MMX. */
static inline __m128i sse_mm_source(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value;

    if (insn->is_memory) {
        value = soft_sse_load(cpu, insn, 8);
    } else {
        soft_x87_wait(cpu);
        value = cpu->fpu.st[insn->rm & 7].mmx;
    }
    return _mm_cvtsi64_si128((int64_t)value);
}

SSE_EXEC(cvtpi2ps)
{
    __m128i b = sse_mm_source(cpu, insn);
    __m128i result = soft_sse_run(cpu, sse_cvtdq2ps, b, b, 0);

    if (!insn->is_memory) {
        soft_mmx_transition(&cpu->fpu);
    }
    cpu->fpu.xmm[insn->reg].u64[0] = (uint64_t)_mm_cvtsi128_si64(result);
}

/* Exact, so without exceptions. */
SSE_EXEC(cvtpi2pd)
{
    __m128i b = sse_mm_source(cpu, insn);

    if (!insn->is_memory) {
        soft_mmx_transition(&cpu->fpu);
    }
    soft_set_xmm(cpu, insn->reg, _mm_castpd_si128(_mm_cvtepi32_pd(b)));
}

/* The low half of the source, with zeros in the other, which raise nothing. */
#define SSE_TO_MM(name, packed, bytes)                                                                                 \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b, result;                                                                                             \
                                                                                                                       \
        soft_x87_wait(cpu);                                                                                            \
        b = soft_sse_source(cpu, insn, bytes);                                                                         \
        result = soft_sse_run(cpu, sse_##packed, b, (bytes) == 8 ? _mm_move_epi64(b) : b, 0);                          \
        soft_mmx_transition(&cpu->fpu);                                                                                \
        soft_mmx_set(&cpu->fpu, insn->reg, (uint64_t)_mm_cvtsi128_si64(result));                                       \
    }

SSE_TO_MM(cvtps2pi, cvtps2dq, 8)
SSE_TO_MM(cvttps2pi, cvttps2dq, 8)
SSE_TO_MM(cvtpd2pi, cvtpd2dq, 16)
SSE_TO_MM(cvttpd2pi, cvttpd2dq, 16)

SSE_EXEC(movq2dq)
{
    soft_x87_wait(cpu);
    soft_mmx_transition(&cpu->fpu);
    soft_set_xmm(cpu, insn->reg, _mm_cvtsi64_si128((int64_t)cpu->fpu.st[insn->rm & 7].mmx));
}

SSE_EXEC(movdq2q)
{
    soft_x87_wait(cpu);
    soft_mmx_transition(&cpu->fpu);
    soft_mmx_set(&cpu->fpu, insn->reg, cpu->fpu.xmm[insn->rm].u64[0]);
}
