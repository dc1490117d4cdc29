/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SSE4.2 string comparisons. The host compares: sse.h. All flags are defined; lengths of the explicit forms are in EAX
 * and EDX, or RAX and RDX with REX.W.
 */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/sse.h"

struct string_result {
    __m128i mask;
    uint32_t index, flags;
};

struct string_operands {
    __m128i a, b;
    uint64_t a_length, b_length;
};

/* Memory needn't be aligned. */
static inline struct string_operands string_operands(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_operands operands = {
        .a = soft_xmm(cpu, insn->reg), .a_length = cpu->gpr[CPU_RAX], .b_length = cpu->gpr[CPU_RDX]};

    operands.b =
        insn->is_memory ? soft_load128(cpu, soft_vector_ea(cpu, insn, 16, SOFT_READ)) : soft_xmm(cpu, insn->rm);
    return operands;
}

/* Saturated to 32 bits: only the magnitude up to 16 counts. */
static uint64_t string_length(const struct soft_insn *insn, uint64_t length)
{
    int64_t value = soft_rex_w(insn) ? (int64_t)length : (int32_t)length;

    return (uint64_t)(value > 16 || value < -16 ? 16 : value);
}

/* name: the one for an index and a mask; both have the same flags. */
#define STRING_COMPARE(name, count)                                                                                    \
    static __attribute__((noinline)) struct string_result string_##name(const struct string_operands *operands,        \
                                                                        unsigned imm)                                  \
    {                                                                                                                  \
        uint64_t offset = (uint64_t)(imm & ((count)-1)) * 16, slot;                                                    \
        register __m128i mask __asm__("xmm0") = _mm_setzero_si128();                                                   \
        uint64_t index = operands->a_length;                                                                           \
        bool carry, zero, sign, overflow;                                                                              \
                                                                                                                       \
        __asm__ volatile(SSE_BY_IMM(name, count)                                                                       \
                         : "+x"(mask), [slot] "=&r"(slot), "=@ccc"(carry), "=@ccz"(zero), "=@ccs"(sign),               \
                           "=@cco"(overflow), "=c"(index)                                                              \
                         : [a] "x"(operands->a), [b] "x"(operands->b), [offset] "r"(offset), "a"(operands->a_length),  \
                           "d"(operands->b_length));                                                                   \
        return (struct string_result){mask, (uint32_t)index,                                                           \
                                      (carry ? RFLAGS_CF : 0) | (zero ? RFLAGS_ZF : 0) | (sign ? RFLAGS_SF : 0) |      \
                                          (overflow ? RFLAGS_OF : 0)};                                                 \
    }

STRING_COMPARE(pcmpestri, 128)
STRING_COMPARE(pcmpestrm, 128)
STRING_COMPARE(pcmpistri, 128)
STRING_COMPARE(pcmpistrm, 128)

#define STRING_EXEC(name, is_explicit, has_index)                                                                      \
    SSE_EXEC(name)                                                                                                     \
    {                                                                                                                  \
        struct string_operands operands = string_operands(cpu, insn);                                                  \
        struct string_result result;                                                                                   \
                                                                                                                       \
        if (is_explicit) {                                                                                             \
            operands.a_length = string_length(insn, operands.a_length);                                                \
            operands.b_length = string_length(insn, operands.b_length);                                                \
        }                                                                                                              \
        result = string_##name(&operands, (unsigned)insn->imm);                                                        \
        if (has_index) {                                                                                               \
            cpu->gpr[CPU_RCX] = result.index;                                                                          \
        } else {                                                                                                       \
            soft_set_xmm(cpu, 0, result.mask);                                                                         \
        }                                                                                                              \
        soft_set_arithmetic_flags(cpu, result.flags);                                                                  \
    }

STRING_EXEC(pcmpestri, true, true)
STRING_EXEC(pcmpestrm, true, false)
STRING_EXEC(pcmpistri, false, true)
STRING_EXEC(pcmpistrm, false, false)
