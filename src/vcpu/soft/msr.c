/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers: what Linux, SeaBIOS and OVMF touch (SDM 4; AMD APM 2, appendix A; KVM's in Linux's
 * Documentation/virt/kvm/x86/msr.rst). Memory types are mtrr.c's.
 *
 * Plain registers stand in a table, with what their values must obey; those with effects in two switches. The local
 * APIC's belong to the interrupt source. Anything else is #GP, with a trace.
 */
#include "base/log.h"
#include "vcpu/soft/clock.h"
#include "vcpu/soft/mtrr.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/sysreg.h"
#include "vcpu/soft/system.h"

enum msr_index {
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_TSC_ADJUST = 0x3b,
    MSR_MICROCODE_UPDATE = 0x79,
    MSR_MICROCODE_LEVEL = 0x8b,
    MSR_PLATFORM_INFO = 0xce,
    MSR_MISC_FEATURES = 0x140,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MCG_CTL = 0x17b,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_PERF_STATUS = 0x198,
    MSR_PERF_CTL = 0x199,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800,
    MSR_X2APIC_LAST = 0x8ff,
    MSR_KVM_WALL_CLOCK = 0x4b564d00,
    MSR_KVM_SYSTEM_TIME = 0x4b564d01,
};
#define MSR_EFER           UINT32_C(0xc0000080)
#define MSR_STAR           UINT32_C(0xc0000081)
#define MSR_LSTAR          UINT32_C(0xc0000082)
#define MSR_CSTAR          UINT32_C(0xc0000083)
#define MSR_FMASK          UINT32_C(0xc0000084)
#define MSR_FS_BASE        UINT32_C(0xc0000100)
#define MSR_GS_BASE        UINT32_C(0xc0000101)
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)
#define MSR_TSC_AUX        UINT32_C(0xc0000103)

/* --- plain registers ---------------------------------------------------------------------------------------------- */

enum msr_rule {
    MSR_ANY,
    MSR_CANONICAL,
    MSR_32,       /* AMD cuts to 32 bits, Intel refuses more */
    MSR_CONSTANT, /* reads a fixed value; writes are dropped */
};

struct msr_plain {
    uint32_t index;
    uint8_t rule;
    uint16_t offset;   /* in struct soft_cpu; CONSTANT: unused */
    uint64_t constant; /* CONSTANT */
};

#define PLAIN(index, rule, field)                                                                                      \
    {                                                                                                                  \
        index, rule, offsetof(struct soft_cpu, field), 0                                                               \
    }
#define FIXED(index, value)                                                                                            \
    {                                                                                                                  \
        index, MSR_CONSTANT, 0, value                                                                                  \
    }

static const struct msr_plain msr_plains[] = {
    PLAIN(MSR_SYSENTER_CS, MSR_32, msr.sysenter_cs), PLAIN(MSR_SYSENTER_ESP, MSR_CANONICAL, msr.sysenter_esp),
    PLAIN(MSR_SYSENTER_EIP, MSR_CANONICAL, msr.sysenter_eip), PLAIN(MSR_MISC_ENABLE, MSR_ANY, msr.misc_enable),
    PLAIN(MSR_STAR, MSR_ANY, msr.star), PLAIN(MSR_LSTAR, MSR_CANONICAL, msr.lstar),
    PLAIN(MSR_CSTAR, MSR_CANONICAL, msr.cstar), PLAIN(MSR_FMASK, MSR_32, msr.fmask),
    PLAIN(MSR_FS_BASE, MSR_CANONICAL, segment[CPU_FS].base), PLAIN(MSR_GS_BASE, MSR_CANONICAL, segment[CPU_GS].base),
    PLAIN(MSR_KERNEL_GS_BASE, MSR_CANONICAL, msr.kernel_gs_base), PLAIN(MSR_TSC_AUX, MSR_32, msr.tsc_aux),

    FIXED(0x0, 0), /* P5_MC_ADDR */
    FIXED(0x1, 0), /* P5_MC_TYPE */
    FIXED(MSR_PLATFORM_ID, 0), FIXED(MSR_MICROCODE_UPDATE, 0), FIXED(MSR_MICROCODE_LEVEL, 0),
    FIXED(MSR_PLATFORM_INFO, 0), FIXED(MSR_MISC_FEATURES, 0),
    /* No banks: a software CPU has no machine checks. */
    FIXED(MSR_MCG_CAP, 0), FIXED(MSR_MCG_STATUS, 0), FIXED(MSR_MCG_CTL, 0), FIXED(MSR_PERF_STATUS, 0),
    FIXED(MSR_PERF_CTL, 0), FIXED(MSR_DEBUGCTL, 0),

    /* AMD's, that firmware and kernels look at by the CPU's family. */
    FIXED(0xc0010000, 0), /* performance counters: there are none, and CPUID says nothing about these */
    FIXED(0xc0010001, 0), FIXED(0xc0010002, 0), FIXED(0xc0010003, 0), FIXED(0xc0010004, 0), FIXED(0xc0010005, 0),
    FIXED(0xc0010006, 0), FIXED(0xc0010007, 0), FIXED(0xc0010010, 0), /* SYSCFG */
    FIXED(0xc0010015, UINT64_C(0x01000000)),       /* HWCR: the TSC counts at the nominal frequency */
    FIXED(0xc001001a, 0),                          /* TOP_MEM */
    FIXED(0xc001001d, 0),                          /* TOP_MEM2 */
    FIXED(0xc001001f, 0),                          /* NB_CFG */
    FIXED(0xc0010020, 0),                          /* microcode loader */
    FIXED(0xc0010055, 0),                          /* interrupt pending: no C1E */
    FIXED(0xc0010058, 0),                          /* MMIO configuration space */
    FIXED(0xc0010112, 0),                          /* SMM's memory */
    FIXED(0xc0010113, 0), FIXED(0xc0010114, 0x10), /* VM_CR: SVM is disabled */
    FIXED(0xc0010140, 0),                          /* OSVW: no known errata */
    FIXED(0xc0010141, 0), FIXED(0xc0011020, 0),    /* LS_CFG */
    FIXED(0xc0011021, 0),                          /* IC_CFG */
    FIXED(0xc0011022, 0),                          /* DC_CFG */
    FIXED(0xc0011023, 0),                          /* BU_CFG */
    FIXED(0xc0011029, 2),                          /* DE_CFG: LFENCE serialises */
    FIXED(0xc001102a, 0),                          /* BU_CFG2 */
};

static const struct msr_plain *msr_find_plain(uint32_t index)
{
    for (size_t i = 0; i < ARRAY_SIZE(msr_plains); i++) {
        if (msr_plains[i].index == index) {
            return &msr_plains[i];
        }
    }
    return NULL;
}

static uint64_t *msr_field(struct soft_cpu *cpu, const struct msr_plain *plain)
{
    return (uint64_t *)((char *)cpu + plain->offset);
}

static bool msr_write_plain(struct soft_cpu *cpu, const struct msr_plain *plain, uint64_t value)
{
    switch (plain->rule) {
    case MSR_CONSTANT:
        return true;
    case MSR_CANONICAL:
        if (!soft_is_canonical(value)) {
            return false;
        }
        break;
    case MSR_32:
        if (value >> 32 && !cpu->features.is_amd) {
            return false;
        }
        value = (uint32_t)value;
        break;
    }
    *msr_field(cpu, plain) = value;
    return true;
}

/* --- the local APIC's --------------------------------------------------------------------------------------------- */

static bool msr_is_apic(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE || (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST);
}

static bool msr_has_bit(const struct soft_cpu *cpu, enum cpu_feature_word word, unsigned bit)
{
    return cpu->features.identity.words[word] >> bit & 1;
}

/* Whether CPUID shows what the register belongs to. */
static bool msr_apic_is_shown(const struct soft_cpu *cpu, uint32_t msr)
{
    switch (msr) {
    case MSR_APIC_BASE:
        return msr_has_bit(cpu, CPU_WORD_1_EDX, 9);
    case MSR_TSC_DEADLINE:
        return msr_has_bit(cpu, CPU_WORD_1_ECX, 24);
    default:
        return msr_has_bit(cpu, CPU_WORD_1_ECX, 21);
    }
}

static bool msr_read_apic(struct soft_cpu *cpu, uint32_t msr, uint64_t *value)
{
    const struct vm_interrupt_source *source = &soft_common(cpu)->vm->config.interrupts;

    if (!msr_apic_is_shown(cpu, msr)) {
        return false;
    }
    if (source->msr_read) {
        return source->msr_read(source->opaque, soft_common(cpu)->index, msr, value);
    }
    *value = cpu->apic_base;
    return msr == MSR_APIC_BASE;
}

static bool msr_write_apic(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    const struct vm_interrupt_source *source = &soft_common(cpu)->vm->config.interrupts;

    if (!msr_apic_is_shown(cpu, msr)) {
        return false;
    }
    if (msr == MSR_APIC_BASE && (value & 0x400) && !msr_has_bit(cpu, CPU_WORD_1_ECX, 21)) {
        return false;
    }
    if (source->msr_write) {
        return source->msr_write(source->opaque, soft_common(cpu)->index, msr, value);
    }
    if (msr != MSR_APIC_BASE || (value & 0xff) || value >> 40) {
        return false;
    }
    cpu->apic_base = value;
    return true;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* The counter jumps by a change of TSC_ADJUST. A deadline stays at its count, so it has to be set anew. */
static void msr_set_tsc_adjust(struct soft_cpu *cpu, uint64_t adjust)
{
    uint64_t deadline = 0;
    bool has_deadline = msr_read_apic(cpu, MSR_TSC_DEADLINE, &deadline) && deadline;

    cpu->msr.tsc_adjust = adjust;
    if (has_deadline) {
        msr_write_apic(cpu, MSR_TSC_DEADLINE, deadline);
    }
    soft_kvm_clock_publish(cpu);
}

/* Bit 0 enables; the record is 4-byte aligned. */
static bool msr_write_kvm(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    if (!cpu->features.has_kvm || (value & (msr == MSR_KVM_SYSTEM_TIME ? 2 : 3))) {
        return false;
    }
    if (msr == MSR_KVM_SYSTEM_TIME) {
        cpu->msr.kvm_system_time = value;
        soft_kvm_clock_publish(cpu);
    } else {
        cpu->msr.kvm_wall_clock = value;
        soft_kvm_wall_clock_publish(cpu);
    }
    return true;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static bool msr_read_other(struct soft_cpu *cpu, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_TSC:
        *value = soft_tsc(cpu);
        return true;
    case MSR_TSC_ADJUST:
        *value = cpu->msr.tsc_adjust;
        return msr_has_bit(cpu, CPU_WORD_7_0_EBX, 1);
    case MSR_EFER:
        *value = cpu->efer;
        return true;
    case MSR_KVM_WALL_CLOCK:
        *value = cpu->msr.kvm_wall_clock;
        return cpu->features.has_kvm;
    case MSR_KVM_SYSTEM_TIME:
        *value = cpu->msr.kvm_system_time;
        return cpu->features.has_kvm;
    default:
        return soft_mtrr_read(cpu, msr, value);
    }
}

static bool msr_write_other(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_TSC:
        msr_set_tsc_adjust(cpu, value - soft_clock_read(cpu));
        return true;
    case MSR_TSC_ADJUST:
        if (!msr_has_bit(cpu, CPU_WORD_7_0_EBX, 1)) {
            return false;
        }
        msr_set_tsc_adjust(cpu, value);
        return true;
    case MSR_EFER:
        return soft_write_efer(cpu, value);
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_SYSTEM_TIME:
        return msr_write_kvm(cpu, msr, value);
    default:
        return soft_mtrr_write(cpu, msr, value);
    }
}

bool soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *value)
{
    const struct msr_plain *plain = msr_is_apic(msr) ? NULL : msr_find_plain(msr);
    bool ok;

    if (plain) {
        *value = plain->rule == MSR_CONSTANT ? plain->constant : *msr_field(cpu, plain);
        return true;
    }
    ok = msr_is_apic(msr) ? msr_read_apic(cpu, msr, value) : msr_read_other(cpu, msr, value);
    if (!ok) {
        trace(GUEST_ERROR, "vcpu %u: RDMSR of unknown %#x", soft_common(cpu)->index, msr);
    }
    return ok;
}

bool soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    const struct msr_plain *plain = msr_is_apic(msr) ? NULL : msr_find_plain(msr);
    bool ok;

    if (plain) {
        ok = msr_write_plain(cpu, plain, value);
    } else {
        ok = msr_is_apic(msr) ? msr_write_apic(cpu, msr, value) : msr_write_other(cpu, msr, value);
    }
    if (!ok) {
        trace(GUEST_ERROR, "vcpu %u: WRMSR of %#llx to %#x refused", soft_common(cpu)->index, (unsigned long long)value,
              msr);
    }
    return ok;
}
