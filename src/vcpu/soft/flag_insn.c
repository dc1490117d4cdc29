/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on RFLAGS as a whole, IF and AC (SDM 2; SDM 3, 20.3, 20.4 for the virtual interrupt flag).
 *
 * CLI doesn't end a block: interrupts are taken between blocks only, and there are then more of those that can't be.
 */
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/system_insn.h"

#define FLAGS_ANY  (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
#define FLAGS_HIGH (RFLAGS_AC | RFLAGS_ID)

static HDL_NORETURN void flag_refuse(struct soft_cpu *cpu)
{
    soft_raise_error(cpu, VECTOR_GP, 0);
}

/* --- IF ----------------------------------------------------------------------------------------------------------- */

static bool flag_may_change_if(const struct soft_cpu *cpu)
{
    return !(cpu->cr0 & CR0_PE) || cpu->cpl <= soft_iopl(cpu);
}

/* At level 3 with a low IOPL: VME in virtual-8086 mode and PVI elsewhere give VIF for IF. */
static bool flag_has_virtual_if(const struct soft_cpu *cpu)
{
    return cpu->cpl == 3 && (cpu->cr4 & (soft_is_vm86(cpu) ? CR4_VME : CR4_PVI));
}

void soft_exec_cli(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (flag_may_change_if(cpu)) {
        cpu->rflags &= ~(uint64_t)RFLAGS_IF;
    } else if (flag_has_virtual_if(cpu)) {
        cpu->rflags &= ~(uint64_t)RFLAGS_VIF;
    } else {
        flag_refuse(cpu);
    }
}

void soft_exec_sti(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (flag_may_change_if(cpu)) {
        if (!(cpu->rflags & RFLAGS_IF)) {
            cpu->rflags |= RFLAGS_IF;
            cpu->shadow = 1;
            soft_update_mode(cpu);
        }
    } else if (flag_has_virtual_if(cpu) && !(cpu->rflags & RFLAGS_VIP)) {
        cpu->rflags |= RFLAGS_VIF;
    } else {
        flag_refuse(cpu);
    }
}

/* --- PUSHF and POPF ----------------------------------------------------------------------------------------------- */

/* With a low IOPL virtual-8086 mode has only the 16-bit forms, and only with VME. */
static void flag_require_vm86(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (soft_iopl(cpu) < 3 && (!(cpu->cr4 & CR4_VME) || insn->op_bytes != 2)) {
        flag_refuse(cpu);
    }
}

void soft_exec_pushf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t flags = soft_rflags(cpu) & ~(uint64_t)(RFLAGS_VM | RFLAGS_RF);

    if (soft_is_vm86(cpu)) {
        flag_require_vm86(cpu, insn);
        if (soft_iopl(cpu) < 3) {
            flags = (flags & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL | (flags & RFLAGS_VIF ? RFLAGS_IF : 0);
        }
    }
    soft_push(cpu, insn->op_bytes, flags);
}

static uint64_t flag_popf_mask(const struct soft_cpu *cpu, unsigned size_bytes)
{
    uint64_t mask = FLAGS_ANY | RFLAGS_RF | (size_bytes > 2 ? FLAGS_HIGH : 0);

    if (flag_may_change_if(cpu)) {
        mask |= RFLAGS_IF;
    }
    if (cpu->cpl == 0) {
        mask |= RFLAGS_IOPL;
    }
    return mask;
}

void soft_exec_popf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    bool virtual_if = soft_is_vm86(cpu) && soft_iopl(cpu) < 3;
    uint64_t mask = flag_popf_mask(cpu, insn->op_bytes);
    uint64_t before = cpu->gpr[CPU_RSP];
    uint64_t flags;

    if (soft_is_vm86(cpu)) {
        flag_require_vm86(cpu, insn);
    }
    flags = soft_pop(cpu, insn->op_bytes) & ~(uint64_t)RFLAGS_RF;
    if (virtual_if) {
        if ((flags & RFLAGS_TF) || ((flags & RFLAGS_IF) && (cpu->rflags & RFLAGS_VIP))) {
            cpu->gpr[CPU_RSP] = before;
            flag_refuse(cpu);
        }
        mask |= RFLAGS_VIF;
        flags = (flags & ~(uint64_t)RFLAGS_VIF) | (flags & RFLAGS_IF ? RFLAGS_VIF : 0);
    }
    soft_set_rflags(cpu, flags, mask);
    soft_update_mode(cpu);
}

/* --- AH ----------------------------------------------------------------------------------------------------------- */

#define FLAGS_AH (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

/* Outside 64-bit mode they are always there. */
static void flag_require_lahf(struct soft_cpu *cpu)
{
    if (soft_is_64(cpu) && !cpu->features.has[SOFT_FEATURE_LAHF]) {
        soft_raise(cpu, VECTOR_UD);
    }
}

void soft_exec_lahf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t ah;

    flag_require_lahf(cpu);
    ah = (soft_arithmetic_flags(cpu) & FLAGS_AH) | RFLAGS_FIXED;
    cpu->gpr[CPU_RAX] = (cpu->gpr[CPU_RAX] & ~UINT64_C(0xff00)) | ah << 8;
}

void soft_exec_sahf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    flag_require_lahf(cpu);
    soft_set_rflags(cpu, cpu->gpr[CPU_RAX] >> 8 & 0xff, FLAGS_AH);
}

/* --- AC ----------------------------------------------------------------------------------------------------------- */

static void flag_set_ac(struct soft_cpu *cpu, bool on)
{
    if (cpu->cpl != 0) {
        soft_raise(cpu, VECTOR_UD);
    }
    cpu->rflags = on ? cpu->rflags | RFLAGS_AC : cpu->rflags & ~(uint64_t)RFLAGS_AC;
    soft_tlb_select(cpu);
}

void soft_exec_stac(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    flag_set_ac(cpu, true);
}

void soft_exec_clac(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    flag_set_ac(cpu, false);
}
