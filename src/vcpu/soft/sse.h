/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the SSE and MMX instructions (sse_*.c, mmx_*.c) share. The host executes: an exec function fetches its operands,
 * runs the host's own instruction on them, and stores the result, so NaNs, rounding and denormals are the host's.
 *
 * One line of table_sse.def and one line of these macros define an instruction:
 *
 *   SSE_OP(name, bytes)    xmm = name(xmm, xmm or memory of that many bytes), no floating point
 *   SSE_FP(name, bytes)    the same, where floating-point exceptions may occur
 *   SSE_OP_IMM, SSE_FP_IMM the same with an immediate byte, of which `mask` counts
 *
 * The host masks all floating-point exceptions. When the guest doesn't, soft_sse_careful runs the instruction with
 * cleared flags, looks at them, and raises #XM before anything is stored.
 */
#ifndef HDL_VCPU_SOFT_SSE_H
#define HDL_VCPU_SOFT_SSE_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/sse_state.h"
#include "vcpu/soft/vector_mem.h"

/* Declares the exec functions, soft_<exec>. */
#define SSE(name, exec, ...) soft_exec_fn soft_##exec;
#include "vcpu/soft/table_sse.def"
#undef SSE

/* --- operands ----------------------------------------------------------------------------------------------------- */

static inline bool soft_rex_w(const struct soft_insn *insn)
{
    return insn->rex & 8;
}

static inline __m128i soft_xmm(const struct soft_cpu *cpu, unsigned n)
{
    return _mm_load_si128((const __m128i *)&cpu->fpu.xmm[n]);
}

static inline void soft_set_xmm(struct soft_cpu *cpu, unsigned n, __m128i value)
{
    _mm_store_si128((__m128i *)&cpu->fpu.xmm[n], value);
}

/* The address of a 16-byte operand that has to be aligned. */
static inline uint64_t soft_sse_aligned(struct soft_cpu *cpu, const struct soft_insn *insn, enum soft_access access)
{
    uint64_t linear = soft_vector_ea(cpu, insn, 16, access);

    if (unlikely(linear & 15)) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    return linear;
}

/* A scalar in memory. */
static inline uint64_t soft_sse_load(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes)
{
    return soft_load(cpu, soft_vector_ea(cpu, insn, bytes, SOFT_READ), bytes);
}

/* The xmm/m operand: 16 bytes aligned, or fewer with zeros above. */
static inline __m128i soft_sse_source(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned bytes)
{
    if (!insn->is_memory) {
        return soft_xmm(cpu, insn->rm);
    }
    if (bytes == 16) {
        return soft_load128(cpu, soft_sse_aligned(cpu, insn, SOFT_READ));
    }
    return _mm_cvtsi64_si128((int64_t)soft_sse_load(cpu, insn, bytes));
}

/* Writes a general register, 8 bytes of it with REX.W, else 4. */
static inline void soft_sse_set_gpr(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned n, uint64_t value)
{
    cpu->gpr[n] = soft_rex_w(insn) ? value : (uint32_t)value;
}

/* The r/m operand of 4 bytes, or 8 with REX.W. */
static inline uint64_t soft_sse_gpr_source(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = soft_rex_w(insn) ? 8 : 4;

    if (insn->is_memory) {
        return soft_sse_load(cpu, insn, bytes);
    }
    return bytes == 8 ? cpu->gpr[insn->rm] : (uint32_t)cpu->gpr[insn->rm];
}

/* --- floating-point exceptions ------------------------------------------------------------------------------------ */

/* What the host's instruction makes of destination, source and immediate. */
typedef __m128i soft_sse_kernel(__m128i a, __m128i b, unsigned imm);

/* sse_careful.c. May not return: #XM, or #UD if CR4.OSXMMEXCPT is clear. */
__m128i soft_sse_careful(struct soft_cpu *cpu, soft_sse_kernel *kernel, __m128i a, __m128i b, unsigned imm);

static inline __m128i soft_sse_run(struct soft_cpu *cpu, soft_sse_kernel *kernel, __m128i a, __m128i b, unsigned imm)
{
    if (likely((cpu->fpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS)) {
        return kernel(a, b, imm);
    }
    return soft_sse_careful(cpu, kernel, a, b, imm);
}

/* --- one instruction a line --------------------------------------------------------------------------------------- */

#define SSE_EXEC(name) void soft_sse_##name(struct soft_cpu *cpu, const struct soft_insn *insn)

#define SSE_OP(name, bytes)                                                                                            \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes);                                                                 \
        __m128i a = soft_xmm(cpu, insn->reg);                                                                          \
                                                                                                                       \
        __asm__(#name " %1, %0" : "+x"(a) : "x"(b));                                                                   \
        soft_set_xmm(cpu, insn->reg, a);                                                                               \
    }

#define SSE_KERNEL(name, text)                                                                                         \
    static inline __m128i sse_##name(__m128i a, __m128i b, unsigned imm HDL_UNUSED)                                    \
    {                                                                                                                  \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "x"(b));                                                           \
        return a;                                                                                                      \
    }

#define SSE_FP(name, bytes)                                                                                            \
    SSE_KERNEL(name, #name)                                                                                            \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes);                                                                 \
                                                                                                                       \
        soft_set_xmm(cpu, insn->reg, soft_sse_run(cpu, sse_##name, soft_xmm(cpu, insn->reg), b, 0));                   \
    }

/*
 * An immediate is part of the host's instruction: all `count` (a power of two) variants are there, in slots of 16
 * bytes, and the right one is jumped to.
 */
#define SSE_BY_IMM(name, count)                                                                                        \
    "lea 1f(%%rip), %[slot]\n\t"                                                                                       \
    "add %[offset], %[slot]\n\t"                                                                                       \
    "jmp *%[slot]\n\t"                                                                                                 \
    ".p2align 4\n"                                                                                                     \
    "1:\n\t"                                                                                                           \
    ".set .Lsoft_imm, 0\n\t"                                                                                           \
    ".rept " #count "\n\t"                                                                                             \
    ".p2align 4\n\t" #name " $.Lsoft_imm, %[b], %[a]\n\t"                                                              \
    "jmp 2f\n\t"                                                                                                       \
    ".set .Lsoft_imm, .Lsoft_imm + 1\n\t"                                                                              \
    ".endr\n"                                                                                                          \
    "2:"

#define SSE_KERNEL_IMM(name, count)                                                                                    \
    static inline __m128i sse_##name(__m128i a, __m128i b, unsigned imm)                                               \
    {                                                                                                                  \
        uint64_t offset = (uint64_t)(imm & ((count)-1)) * 16, slot;                                                    \
                                                                                                                       \
        __asm__ volatile(SSE_BY_IMM(name, count)                                                                       \
                         : [a] "+x"(a), [slot] "=&r"(slot)                                                             \
                         : [b] "x"(b), [offset] "r"(offset)                                                            \
                         : "cc");                                                                                      \
        return a;                                                                                                      \
    }

#define SSE_OP_IMM(name, bytes, count)                                                                                 \
    SSE_KERNEL_IMM(name, count)                                                                                        \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes);                                                                 \
                                                                                                                       \
        soft_set_xmm(cpu, insn->reg, sse_##name(soft_xmm(cpu, insn->reg), b, (unsigned)insn->imm));                    \
    }

/* Noinline, as the table of variants would be there twice. */
#define SSE_FP_IMM(name, bytes, count)                                                                                 \
    SSE_KERNEL_IMM(name, count)                                                                                        \
    static __attribute__((noinline)) __m128i sse_##name##_kernel(__m128i a, __m128i b, unsigned imm)                   \
    {                                                                                                                  \
        return sse_##name(a, b, imm);                                                                                  \
    }                                                                                                                  \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        __m128i b = soft_sse_source(cpu, insn, bytes);                                                                 \
        __m128i a = soft_xmm(cpu, insn->reg);                                                                          \
                                                                                                                       \
        soft_set_xmm(cpu, insn->reg, soft_sse_run(cpu, sse_##name##_kernel, a, b, (unsigned)insn->imm));               \
    }

#endif
