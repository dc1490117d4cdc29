/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exec functions of the system instructions (insn.h says how they are called), by file. table_system.c refers to them;
 * nobody else.
 */
#ifndef HDL_VCPU_SOFT_SYSTEM_INSN_H
#define HDL_VCPU_SOFT_SYSTEM_INSN_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"

/* Writes a general register as an operand of 2, 4 or 8 bytes does. */
static inline void soft_set_gpr(struct soft_cpu *cpu, unsigned reg, unsigned size_bytes, uint64_t value)
{
    if (size_bytes == 2) {
        value = (cpu->gpr[reg] & ~UINT64_C(0xffff)) | (uint16_t)value;
    } else if (size_bytes == 4) {
        value = (uint32_t)value;
    }
    cpu->gpr[reg] = value;
}

/* The segment register in modrm.reg, where REX.R doesn't count: 0..7. */
static inline unsigned soft_insn_segment_reg(const struct soft_insn *insn)
{
    return insn->modrm >> 3 & 7;
}

/* system_insn.c */
soft_exec_fn soft_exec_ud, soft_exec_hlt, soft_exec_clts, soft_exec_mov_from_cr, soft_exec_mov_to_cr,
    soft_exec_mov_from_dr, soft_exec_mov_to_dr, soft_exec_smsw, soft_exec_lmsw, soft_exec_invlpg, soft_exec_invpcid,
    soft_exec_clflush, soft_exec_lfence, soft_exec_mfence, soft_exec_cpuid, soft_exec_rdtsc, soft_exec_rdtscp,
    soft_exec_rdpmc, soft_exec_rdmsr, soft_exec_wrmsr, soft_exec_rdpid, soft_exec_rdrand, soft_exec_monitor,
    soft_exec_mwait, soft_exec_xgetbv, soft_exec_xsetbv, soft_exec_hypercall;

/* flag_insn.c */
soft_exec_fn soft_exec_cli, soft_exec_sti, soft_exec_pushf, soft_exec_popf, soft_exec_lahf, soft_exec_sahf,
    soft_exec_stac, soft_exec_clac;

/* segment_insn.c */
soft_exec_fn soft_exec_mov_from_sreg, soft_exec_mov_to_sreg, soft_exec_push_sreg, soft_exec_pop_sreg,
    soft_exec_load_far_pointer, soft_exec_lgdt, soft_exec_lidt, soft_exec_sgdt, soft_exec_sidt, soft_exec_lldt,
    soft_exec_ltr, soft_exec_sldt, soft_exec_str, soft_exec_verr, soft_exec_verw, soft_exec_lar, soft_exec_lsl,
    soft_exec_arpl, soft_exec_swapgs, soft_exec_rdfsbase, soft_exec_rdgsbase, soft_exec_wrfsbase, soft_exec_wrgsbase;

/* far_insn.c */
soft_exec_fn soft_exec_far_direct, soft_exec_far_indirect, soft_exec_retf, soft_exec_iret, soft_exec_int,
    soft_exec_int3, soft_exec_into, soft_exec_int1, soft_exec_bound, soft_exec_enter, soft_exec_syscall,
    soft_exec_sysret, soft_exec_sysenter, soft_exec_sysexit;

/* port_insn.c */
soft_exec_fn soft_exec_in, soft_exec_out, soft_exec_ins, soft_exec_outs;

#endif
