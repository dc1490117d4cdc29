/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations that move 16 bytes between memory and an XMM register: most of what memcpy and its like are made of
 * (ops.h). Whatever isn't the common case (a miss, misalignment, CR0.TS) is the exec function's. The vCPU's thread.
 */
#include <emmintrin.h>

#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

/* `aligned`: what isn't at a multiple of 16 faults. */
#define VECTOR_LOAD(name, aligned)                                                                                     \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        uint64_t linear = AT_X(op);                                                                                    \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        if (unlikely(entry->read != soft_tlb_want(cpu, linear, 16) || ((aligned) && (linear & 15)) ||                  \
                     !soft_has_fpu(cpu))) {                                                                            \
            return soft_op_exec(cpu, op);                                                                              \
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
            return soft_op_exec(cpu, op);                                                                              \
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
