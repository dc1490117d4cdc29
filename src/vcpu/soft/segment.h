/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segmentation: effective addresses, loading segment registers, and far transfers (SDM 3, chapters 3, 5 and 7). */
#ifndef HDL_VCPU_SOFT_SEGMENT_H
#define HDL_VCPU_SOFT_SEGMENT_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"

enum soft_access { SOFT_READ = 1, SOFT_WRITE = 2, SOFT_READ_WRITE = 3 };

/* The effective address of a memory operand: offset within its segment, cut to the address size. cpu->next_rip is set.
 */
uint64_t soft_offset(const struct soft_cpu *cpu, const struct soft_insn *insn);

/*
 * The linear address of an access: the segment's rules are checked (null, limit, rights; canonical in 64-bit mode),
 * #GP(0) or #SS(0) otherwise. segment: enum cpu_segment_index.
 */
uint64_t soft_linear(struct soft_cpu *cpu, unsigned segment, uint64_t offset, unsigned size_bytes,
                     enum soft_access access);
/* Both for an instruction's memory operand. */
uint64_t soft_ea(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes, enum soft_access access);

static inline bool soft_is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* After anything that `mode` or the TLB bank depends on changed: CS, SS, DS, ES, CR0, EFER, RFLAGS.VM, CPL. */
void soft_update_mode(struct soft_cpu *cpu);
/* Sets the privilege level: the TLB's bank follows. */
void soft_set_cpl(struct soft_cpu *cpu, uint8_t cpl);

/* MOV, POP, LDS...: loads a data segment register or SS with all checks and faults (SDM 2, MOV). Not CS. */
void soft_load_segment(struct soft_cpu *cpu, unsigned index, uint16_t selector);

/* The stack: by SS and its size. Checked as any access. */
uint64_t soft_stack_pointer(const struct soft_cpu *cpu);           /* cut to the stack's size */
void soft_set_stack_pointer(struct soft_cpu *cpu, uint64_t value); /* only the bits of the stack's size */
void soft_push(struct soft_cpu *cpu, unsigned size_bytes, uint64_t value);
uint64_t soft_pop(struct soft_cpu *cpu, unsigned size_bytes); /* moves the pointer after the load */

#endif
