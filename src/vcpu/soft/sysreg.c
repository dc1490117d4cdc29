/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control registers: what may be in them, and what follows from a change (SDM 3, 2.5; 4.10.4 for the TLB). */
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/sysreg.h"
#include "vcpu/soft/system.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR3_KEEP    (UINT64_C(1) << 63)
#define CR3_PCID    UINT64_C(0xfff)
/* Bits that change what the TLB's entries mean. */
#define CR4_PAGING       (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP)
#define CR4_LOADS_PDPTES (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP)

static void cr_require(struct soft_cpu *cpu, bool condition)
{
    if (!condition) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
}

static bool features_show(const struct soft_features *features, enum cpu_feature_word word, unsigned bit)
{
    return features->identity.words[word] >> bit & 1;
}

/* --- what may be in them ------------------------------------------------------------------------------------------ */

bool soft_cr0_is_valid(uint64_t value)
{
    if (value & ~CR0_DEFINED) {
        return false;
    }
    return !((value & CR0_PG) && !(value & CR0_PE)) && !((value & CR0_NW) && !(value & CR0_CD));
}

uint64_t soft_cr4_defined(const struct soft_features *features)
{
    static const struct {
        uint64_t bits;
        uint8_t word, bit;
    } table[] = {
        {CR4_VME | CR4_PVI, CPU_WORD_1_EDX, 1},
        {CR4_TSD, CPU_WORD_1_EDX, 4},
        {CR4_DE, CPU_WORD_1_EDX, 2},
        {CR4_PSE, CPU_WORD_1_EDX, 3},
        {CR4_PAE, CPU_WORD_1_EDX, 6},
        {CR4_MCE, CPU_WORD_1_EDX, 7},
        {CR4_PGE, CPU_WORD_1_EDX, 13},
        {CR4_OSFXSR, CPU_WORD_1_EDX, 24},
        {CR4_OSXMMEXCPT, CPU_WORD_1_EDX, 25},
        {CR4_UMIP, CPU_WORD_7_0_ECX, 2},
        {CR4_FSGSBASE, CPU_WORD_7_0_EBX, 0},
        {CR4_PCIDE, CPU_WORD_1_ECX, 17},
        {CR4_OSXSAVE, CPU_WORD_1_ECX, 26},
        {CR4_SMEP, CPU_WORD_7_0_EBX, 7},
        {CR4_SMAP, CPU_WORD_7_0_EBX, 20},
    };
    uint64_t bits = CR4_PCE;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        bits |= features_show(features, table[i].word, table[i].bit) ? table[i].bits : 0;
    }
    return bits;
}

uint64_t soft_efer_defined(const struct soft_features *features)
{
    uint64_t bits = 0;

    bits |= features_show(features, CPU_WORD_80000001_EDX, 11) ? EFER_SCE : 0;
    bits |= features_show(features, CPU_WORD_80000001_EDX, 20) ? EFER_NXE : 0;
    bits |= features_show(features, CPU_WORD_80000001_EDX, 29) ? EFER_LME | EFER_LMA : 0;
    return bits;
}

/* --- CR0 ---------------------------------------------------------------------------------------------------------- */

static void cr0_check_paging(struct soft_cpu *cpu, uint64_t value)
{
    bool on = (value & CR0_PG) && !(cpu->cr0 & CR0_PG);
    bool off = !(value & CR0_PG) && (cpu->cr0 & CR0_PG);

    if (off) {
        cr_require(cpu, !soft_is_64(cpu) && !(cpu->cr4 & CR4_PCIDE));
    } else if (on && (cpu->efer & EFER_LME)) {
        cr_require(cpu, (cpu->cr4 & CR4_PAE) && !cpu->segment[CPU_CS].l);
    } else if (on && (cpu->cr4 & CR4_PAE)) {
        cr_require(cpu, soft_load_pdptes(cpu, cpu->cr3));
    }
}

static void cr0_write(struct soft_cpu *cpu, uint64_t value)
{
    uint64_t changed;

    cr_require(cpu, soft_cr0_is_valid(value));
    cr0_check_paging(cpu, value);
    value |= CR0_ET;
    changed = cpu->cr0 ^ value;
    cpu->cr0 = value;
    cpu->efer &= ~EFER_LMA;
    if ((cpu->efer & EFER_LME) && (value & CR0_PG)) {
        cpu->efer |= EFER_LMA;
    }
    if (changed & (CR0_PG | CR0_WP)) {
        soft_tlb_flush_all(cpu);
    }
    soft_update_mode(cpu);
}

/* --- CR3 ---------------------------------------------------------------------------------------------------------- */

static void cr3_write(struct soft_cpu *cpu, uint64_t value)
{
    bool keep = false;

    if (cpu->cr4 & CR4_PCIDE) {
        keep = value & CR3_KEEP;
        value &= ~CR3_KEEP;
    }
    if (soft_is_long(cpu)) {
        cr_require(cpu, !(value >> SOFT_PHYSICAL_BITS));
    } else if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE)) {
        cr_require(cpu, soft_load_pdptes(cpu, value));
    }
    cpu->cr3 = value;
    soft_tlb_load_cr3(cpu, keep);
}

/* --- CR4 ---------------------------------------------------------------------------------------------------------- */

static void cr4_check(struct soft_cpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->cr4 ^ value;
    bool pae_paging = (cpu->cr0 & CR0_PG) && !soft_is_long(cpu) && (value & CR4_PAE);

    cr_require(cpu, !(value & ~soft_cr4_defined(&cpu->features)));
    cr_require(cpu, !soft_is_long(cpu) || (value & CR4_PAE));
    if (changed & value & CR4_PCIDE) {
        cr_require(cpu, soft_is_long(cpu) && !(cpu->cr3 & CR3_PCID));
    }
    if (pae_paging && (changed & CR4_LOADS_PDPTES)) {
        cr_require(cpu, soft_load_pdptes(cpu, cpu->cr3));
    }
}

static void cr4_write(struct soft_cpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->cr4 ^ value;

    cr4_check(cpu, value);
    cpu->cr4 = value;
    if (changed & (CR4_PAGING | CR4_PCIDE)) {
        soft_tlb_flush_all(cpu);
    }
    soft_update_mode(cpu);
}

/* --- CR8, and all ------------------------------------------------------------------------------------------------- */

static void cr8_write(struct soft_cpu *cpu, uint64_t value)
{
    const struct vm_interrupt_source *source = &soft_common(cpu)->vm->config.interrupts;

    cr_require(cpu, value <= 15);
    if (source->set_tpr) {
        source->set_tpr(source->opaque, soft_common(cpu)->index, (uint8_t)(value << 4));
    }
}

uint64_t soft_read_cr8(struct soft_cpu *cpu)
{
    const struct vm_interrupt_source *source = &soft_common(cpu)->vm->config.interrupts;

    return source->get_tpr ? source->get_tpr(source->opaque, soft_common(cpu)->index) >> 4 : 0;
}

void soft_write_cr(struct soft_cpu *cpu, unsigned n, uint64_t value)
{
    switch (n) {
    case 0:
        cr0_write(cpu, value);
        break;
    case 3:
        cr3_write(cpu, value);
        break;
    case 4:
        cr4_write(cpu, value);
        break;
    case 8:
        cr8_write(cpu, value);
        break;
    default:
        soft_raise(cpu, VECTOR_UD);
    }
}

/* --- EFER --------------------------------------------------------------------------------------------------------- */

bool soft_write_efer(struct soft_cpu *cpu, uint64_t value)
{
    uint64_t changed;

    if (value & ~soft_efer_defined(&cpu->features)) {
        return false;
    }
    /* LMA follows CR0.PG and LME, whatever is written. */
    value = (value & ~EFER_LMA) | (cpu->efer & EFER_LMA);
    changed = cpu->efer ^ value;
    if ((changed & EFER_LME) && (cpu->cr0 & CR0_PG)) {
        return false;
    }
    cpu->efer = value;
    if (changed & EFER_NXE) {
        soft_tlb_flush_all(cpu);
    }
    soft_update_mode(cpu);
    return true;
}
