/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on control, debug and model-specific registers, the TLB and caches, time, identity and random numbers
 * (SDM 2). What the registers mean is in sysreg.c, msr.c, cpuid.c and debug.c.
 *
 * SOFT_CPL0 and the like were checked before an exec function is called.
 */
#include <stdatomic.h>
#include <sys/random.h>

#include "vcpu/soft/exception.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/sysreg.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/system_insn.h"

#define KVM_RESULT_ENOSYS UINT64_C(1000)
#define KVM_RESULT_EPERM  UINT64_C(1)

void soft_exec_ud(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_raise(cpu, VECTOR_UD);
}

void soft_exec_hlt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    *cpu->exit = (struct vcpu_exit){.kind = VCPU_EXIT_HLT};
    cpu->leave = true;
}

static void system_require(struct soft_cpu *cpu, bool allowed)
{
    if (!allowed) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
}

/* A pair of 32-bit results; the upper halves are cleared, also outside 64-bit mode, where nobody sees them. */
static void system_set_edx_eax(struct soft_cpu *cpu, uint64_t value)
{
    cpu->gpr[CPU_RAX] = (uint32_t)value;
    cpu->gpr[CPU_RDX] = value >> 32;
}

static uint64_t system_get_edx_eax(const struct soft_cpu *cpu)
{
    return (uint64_t)(uint32_t)cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];
}

/* --- control and debug registers ---------------------------------------------------------------------------------- */

/* Operands are as wide as the mode, whatever the prefixes. */
static unsigned system_native_bytes(const struct soft_cpu *cpu)
{
    return soft_is_64(cpu) ? 8 : 4;
}

/* LOCK MOV CR0 is MOV CR8: a way to it from 32-bit code (AMD APM 2, CR8). */
static unsigned system_cr_number(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    bool is_cr8 = insn->lock && insn->reg == 0;

    if (insn->lock && !is_cr8) {
        soft_raise(cpu, VECTOR_UD);
    }
    return is_cr8 ? 8 : insn->reg;
}

void soft_exec_mov_from_cr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value;

    switch (system_cr_number(cpu, insn)) {
    case 0:
        value = cpu->cr0;
        break;
    case 2:
        value = cpu->cr2;
        break;
    case 3:
        value = cpu->cr3;
        break;
    case 4:
        value = cpu->cr4;
        break;
    case 8:
        value = soft_read_cr8(cpu);
        break;
    default:
        soft_raise(cpu, VECTOR_UD);
    }
    soft_set_gpr(cpu, insn->rm, system_native_bytes(cpu), value);
}

void soft_exec_mov_to_cr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned n = system_cr_number(cpu, insn);
    uint64_t value = soft_is_64(cpu) ? cpu->gpr[insn->rm] : (uint32_t)cpu->gpr[insn->rm];

    if (n == 2) {
        cpu->cr2 = value;
    } else {
        soft_write_cr(cpu, n, value);
    }
}

void soft_exec_mov_from_dr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (insn->reg > 7) {
        soft_raise(cpu, VECTOR_UD);
    }
    soft_set_gpr(cpu, insn->rm, system_native_bytes(cpu), soft_read_dr(cpu, insn->reg));
}

void soft_exec_mov_to_dr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (insn->reg > 7) {
        soft_raise(cpu, VECTOR_UD);
    }
    soft_write_dr(cpu, insn->reg, soft_is_64(cpu) ? cpu->gpr[insn->rm] : (uint32_t)cpu->gpr[insn->rm]);
}

void soft_exec_clts(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->cr0 &= ~CR0_TS;
}

void soft_exec_smsw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require(cpu, !(cpu->cr4 & CR4_UMIP) || cpu->cpl == 0);
    if (insn->is_memory) {
        soft_store(cpu, soft_ea(cpu, insn, 2, SOFT_WRITE), 2, (uint16_t)cpu->cr0);
    } else {
        soft_set_gpr(cpu, insn->rm, insn->op_bytes, cpu->cr0);
    }
}

/* PE can be set with it, but not cleared. */
void soft_exec_lmsw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    const uint64_t all = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    uint64_t value =
        insn->is_memory ? soft_load(cpu, soft_ea(cpu, insn, 2, SOFT_READ), 2) : (uint16_t)cpu->gpr[insn->rm];

    soft_write_cr(cpu, 0, (cpu->cr0 & ~(all & ~CR0_PE)) | (value & all));
}

/* --- TLB and caches ----------------------------------------------------------------------------------------------- */

/* Only the address counts: neither limits nor rights; one that isn't canonical names no page. */
void soft_exec_invlpg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t linear = soft_offset(cpu, insn);

    if (!soft_is_64(cpu)) {
        linear = (uint32_t)(linear + cpu->segment[insn->segment].base);
    } else if (insn->segment == CPU_FS || insn->segment == CPU_GS) {
        linear += cpu->segment[insn->segment].base;
    }
    if (soft_is_canonical(linear)) {
        soft_tlb_flush_page(cpu, linear);
    }
}

void soft_exec_invpcid(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t type = soft_is_64(cpu) ? cpu->gpr[insn->reg] : (uint32_t)cpu->gpr[insn->reg];
    uint64_t descriptor[2];
    uint64_t pcid;

    soft_read_bytes(cpu, soft_ea(cpu, insn, sizeof(descriptor), SOFT_READ), descriptor, sizeof(descriptor));
    pcid = descriptor[0];
    system_require(cpu, type <= 3);
    system_require(cpu, !(pcid >> 12));
    system_require(cpu, type >= 2 || pcid == 0 || (cpu->cr4 & CR4_PCIDE));
    system_require(cpu, type != 0 || soft_is_canonical(descriptor[1]));
    soft_tlb_invpcid(cpu, (unsigned)type, pcid & 0xfff, descriptor[1]);
}

/* There are no caches; but the address has to be one that can be read. */
void soft_exec_clflush(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_probe_read(cpu, soft_ea(cpu, insn, 1, SOFT_READ), 1);
}

/*
 * Guest accesses are the host's own, in its order. Only a load may pass an older store, and that is what MFENCE is for;
 * in the compiler's eyes both are fences.
 */
void soft_exec_lfence(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    atomic_signal_fence(memory_order_seq_cst);
}

void soft_exec_mfence(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* --- identity, time, model-specific registers --------------------------------------------------------------------- */

void soft_exec_cpuid(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t r[4];

    soft_cpuid(cpu, (uint32_t)cpu->gpr[CPU_RAX], (uint32_t)cpu->gpr[CPU_RCX], r);
    cpu->gpr[CPU_RAX] = r[0];
    cpu->gpr[CPU_RBX] = r[1];
    cpu->gpr[CPU_RCX] = r[2];
    cpu->gpr[CPU_RDX] = r[3];
}

void soft_exec_rdtsc(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require(cpu, !(cpu->cr4 & CR4_TSD) || cpu->cpl == 0);
    system_set_edx_eax(cpu, soft_tsc(cpu));
}

void soft_exec_rdtscp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_exec_rdtsc(cpu, insn);
    cpu->gpr[CPU_RCX] = (uint32_t)cpu->msr.tsc_aux;
}

void soft_exec_rdpid(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_set_gpr(cpu, insn->rm, system_native_bytes(cpu), (uint32_t)cpu->msr.tsc_aux);
}

/* There are no counters. */
void soft_exec_rdpmc(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require(cpu, false);
}

void soft_exec_rdmsr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = 0;

    system_require(cpu, soft_msr_read(cpu, (uint32_t)cpu->gpr[CPU_RCX], &value));
    system_set_edx_eax(cpu, value);
}

void soft_exec_wrmsr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require(cpu, soft_msr_write(cpu, (uint32_t)cpu->gpr[CPU_RCX], system_get_edx_eax(cpu)));
}

/* RDRAND and RDSEED. CF says whether there was a number; a guest tries again if not. */
void soft_exec_rdrand(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = 0;
    bool ok = getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);

    soft_set_gpr(cpu, insn->rm, insn->op_bytes, ok ? value : 0);
    soft_set_arithmetic_flags(cpu, ok ? RFLAGS_CF : 0);
}

/* --- extended control registers ----------------------------------------------------------------------------------- */

static void system_require_osxsave(struct soft_cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        soft_raise(cpu, VECTOR_UD);
    }
}

void soft_exec_xgetbv(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require_osxsave(cpu);
    system_require(cpu, (uint32_t)cpu->gpr[CPU_RCX] == 0);
    system_set_edx_eax(cpu, cpu->fpu.xcr0);
}

void soft_exec_xsetbv(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = system_get_edx_eax(cpu);

    system_require_osxsave(cpu);
    system_require(cpu, cpu->cpl == 0 && (uint32_t)cpu->gpr[CPU_RCX] == 0);
    system_require(cpu, (value & 1) && !(value & ~SOFT_XCR0_DEFINED));
    cpu->fpu.xcr0 = value;
}

/* --- waiting and calling out -------------------------------------------------------------------------------------- */

static void system_require_level_0(struct soft_cpu *cpu)
{
    if (cpu->cpl != 0) {
        soft_raise(cpu, VECTOR_UD);
    }
}

void soft_exec_monitor(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t mask = insn->addr_bytes == 2 ? 0xffff : insn->addr_bytes == 4 ? UINT32_MAX : UINT64_MAX;

    system_require_level_0(cpu);
    system_require(cpu, (uint32_t)cpu->gpr[CPU_RCX] == 0);
    soft_probe_read(cpu, soft_linear(cpu, insn->segment, cpu->gpr[CPU_RAX] & mask, 1, SOFT_READ), 1);
}

/* Nothing is monitored, so the wait is over at once; that is allowed. */
void soft_exec_mwait(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    system_require_level_0(cpu);
    system_require(cpu, (uint32_t)cpu->gpr[CPU_RCX] <= 1);
}

/* VMCALL and VMMCALL: KVM's interface, none of whose calls exist. */
void soft_exec_hypercall(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t result = -(cpu->cpl ? KVM_RESULT_EPERM : KVM_RESULT_ENOSYS);

    if (!cpu->features.has_kvm) {
        soft_raise(cpu, VECTOR_UD);
    }
    cpu->gpr[CPU_RAX] = soft_is_64(cpu) ? result : (uint32_t)result;
}
