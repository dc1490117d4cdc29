/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations that move 16 bytes between memory and an XMM register: most of what memcpy and its like are made of
 * (ops.h). Whatever isn't the common case (misalignment, CR0.TS, what isn't RAM within a page) is the exec function's.
 * The vCPU's thread.
 */
#include <emmintrin.h>

#include "vcpu/soft/mem.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"
#include "vcpu/soft/segment.h"

/*
 * Not at once: fills the TLB, if that is all there is to do, and `op` is to be begun anew; else it is the exec
 * function's.
 */
static __attribute__((noinline, cold)) const struct soft_op *vector_slow(struct soft_cpu *cpu, const struct soft_op *op,
                                                                         bool aligned, bool write)
{
    uint64_t linear = AT_X(op), want = soft_tlb_want(cpu, linear, 16);
    const struct soft_tlb_entry *entry;

    if (soft_has_fpu(cpu) && !(aligned && (linear & 15)) && linear % SOFT_PAGE_BYTES <= SOFT_PAGE_BYTES - 16 &&
        soft_is_canonical(linear) && cpu->tlb_state.current != SOFT_TLB_USER_ALIGNED) {
        cpu->rip = soft_op_rip(cpu, op);
        entry = soft_tlb_find(cpu, cpu->tlb_state.current, linear, write);
        if (likely((write ? entry->write : entry->read) == want)) {
            SOFT_GO(cpu, op);
        }
    }
    return soft_op_exec(cpu, op);
}

/* `aligned`: what isn't at a multiple of 16 faults. */
#define VECTOR_LOAD(name, aligned)                                                                                     \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        uint64_t linear = AT_X(op);                                                                                    \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        if (unlikely(entry->read != soft_tlb_want(cpu, linear, 16) || ((aligned) && (linear & 15)) ||                  \
                     !soft_has_fpu(cpu))) {                                                                            \
            return vector_slow(cpu, op, aligned, false);                                                               \
        }                                                                                                              \
        _mm_store_si128((__m128i *)&cpu->fpu.xmm[op->dst],                                                             \
                        _mm_loadu_si128((const __m128i *)(linear + entry->addend)));                                   \
        NEXT;                                                                                                          \
    }
#define VECTOR_STORE(name, aligned)                                                                                    \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        uint64_t linear = AT_X(op);                                                                                    \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        if (unlikely(entry->write != soft_tlb_want(cpu, linear, 16) || ((aligned) && (linear & 15)) ||                 \
                     !soft_has_fpu(cpu))) {                                                                            \
            return vector_slow(cpu, op, aligned, true);                                                                \
        }                                                                                                              \
        _mm_storeu_si128((__m128i *)(linear + entry->addend),                                                          \
                         _mm_load_si128((const __m128i *)&cpu->fpu.xmm[op->dst]));                                     \
        NEXT;                                                                                                          \
    }

VECTOR_LOAD(load, false)
VECTOR_LOAD(load_aligned, true)
VECTOR_STORE(store, false)
VECTOR_STORE(store_aligned, true)

soft_op_fn *const soft_op_vector_load[2] = {load, load_aligned};
soft_op_fn *const soft_op_vector_store[2] = {store, store_aligned};
