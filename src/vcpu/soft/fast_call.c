/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT: segments without descriptors (SDM 2; AMD APM 3).
 *
 * Where the two makers differ, the CPU's vendor decides: AMD has SYSCALL outside 64-bit mode and no SYSENTER in long
 * mode, and doesn't look at the address that SYSRET returns to (the fetch does, at level 3).
 */
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/far.h"
#include "vcpu/soft/flags.h"

static void fast_enter(struct soft_cpu *cpu, uint16_t selector, uint8_t level, enum cpu_flat_mode mode, uint64_t rip)
{
    struct cpu_segment code = cpu_segment_flat_code(selector, mode);

    code.dpl = level;
    soft_enter_code(cpu, &code, level, rip);
}

static void fast_set_stack(struct soft_cpu *cpu, uint16_t selector, uint8_t level)
{
    struct cpu_segment *ss = &cpu->segment[CPU_SS];

    *ss = cpu_segment_flat_data((selector & ~3) | level);
    ss->dpl = level;
}

/* --- SYSCALL ------------------------------------------------------------------------------------------------------ */

static void syscall_legacy(struct soft_cpu *cpu)
{
    uint16_t selector = cpu->msr.star >> 32 & 0xfffc;

    cpu->gpr[CPU_RCX] = (uint32_t)cpu->next_rip;
    cpu->rflags &= ~(uint64_t)(RFLAGS_IF | RFLAGS_VM | RFLAGS_RF);
    fast_set_stack(cpu, selector + 8, 0);
    fast_enter(cpu, selector, 0, CPU_FLAT_32, (uint32_t)cpu->msr.star);
}

void soft_syscall(struct soft_cpu *cpu)
{
    uint16_t selector = cpu->msr.star >> 32 & 0xfffc;
    uint64_t flags = soft_rflags(cpu) & ~(uint64_t)RFLAGS_RF;
    uint64_t target = soft_is_64(cpu) ? cpu->msr.lstar : cpu->msr.cstar;

    if (!(cpu->efer & EFER_SCE) || (!soft_is_64(cpu) && !cpu->features.is_amd)) {
        soft_raise(cpu, VECTOR_UD);
    }
    if (!soft_is_long(cpu)) {
        syscall_legacy(cpu);
        return;
    }
    cpu->gpr[CPU_RCX] = cpu->next_rip;
    cpu->gpr[CPU_R11] = flags;
    soft_set_rflags(cpu, flags & ~cpu->msr.fmask, UINT32_MAX & ~(uint32_t)RFLAGS_FIXED);
    fast_set_stack(cpu, selector + 8, 0);
    fast_enter(cpu, selector, 0, CPU_FLAT_64, target);
    cpu->no_step = !(cpu->rflags & RFLAGS_TF);
}

/* --- SYSRET ------------------------------------------------------------------------------------------------------- */

/* RF and VM can't come from R11. */
#define SYSRET_FLAGS                                                                                                   \
    (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC |         \
     RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

void soft_sysret(struct soft_cpu *cpu, unsigned size_bytes)
{
    uint16_t selector = cpu->msr.star >> 48 & 0xfffc;
    bool to_64 = size_bytes == 8;
    uint64_t rip = to_64 ? cpu->gpr[CPU_RCX] : (uint32_t)cpu->gpr[CPU_RCX];

    if (!(cpu->efer & EFER_SCE) || (!soft_is_64(cpu) && !cpu->features.is_amd)) {
        soft_raise(cpu, VECTOR_UD);
    }
    if (!soft_is_protected(cpu) || cpu->cpl != 0 || (!cpu->features.is_amd && to_64 && !soft_is_canonical(rip))) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    if (soft_is_long(cpu)) {
        soft_set_rflags(cpu, cpu->gpr[CPU_R11] & ~(uint64_t)RFLAGS_RF, SYSRET_FLAGS);
    } else {
        cpu->rflags |= RFLAGS_IF;
    }
    fast_set_stack(cpu, selector + 8, 3);
    fast_enter(cpu, to_64 ? selector + 16 : selector, 3, to_64 ? CPU_FLAT_64 : CPU_FLAT_32, rip);
}

/* --- SYSENTER and SYSEXIT ----------------------------------------------------------------------------------------- */

static void sysenter_check(struct soft_cpu *cpu)
{
    if (cpu->features.is_amd && soft_is_long(cpu)) {
        soft_raise(cpu, VECTOR_UD);
    }
    if (!(cpu->cr0 & CR0_PE) || !(cpu->msr.sysenter_cs & 0xfffc)) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
}

void soft_sysenter(struct soft_cpu *cpu)
{
    uint16_t selector = cpu->msr.sysenter_cs & 0xfffc;
    bool is_long = soft_is_long(cpu);

    sysenter_check(cpu);
    cpu->rflags &= ~(uint64_t)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    cpu->gpr[CPU_RSP] = is_long ? cpu->msr.sysenter_esp : (uint32_t)cpu->msr.sysenter_esp;
    fast_set_stack(cpu, selector + 8, 0);
    fast_enter(cpu, selector, 0, is_long ? CPU_FLAT_64 : CPU_FLAT_32,
               is_long ? cpu->msr.sysenter_eip : (uint32_t)cpu->msr.sysenter_eip);
}

void soft_sysexit(struct soft_cpu *cpu, unsigned size_bytes)
{
    uint16_t selector = cpu->msr.sysenter_cs & 0xfffc;
    bool to_64 = size_bytes == 8;
    uint64_t rip = cpu->gpr[CPU_RDX], rsp = cpu->gpr[CPU_RCX];

    sysenter_check(cpu);
    if (cpu->cpl != 0 || (to_64 && (!soft_is_canonical(rip) || !soft_is_canonical(rsp)))) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    cpu->gpr[CPU_RSP] = to_64 ? rsp : (uint32_t)rsp;
    fast_set_stack(cpu, selector + (to_64 ? 40 : 24), 3);
    fast_enter(cpu, selector + (to_64 ? 32 : 16), 3, to_64 ? CPU_FLAT_64 : CPU_FLAT_32, to_64 ? rip : (uint32_t)rip);
}
