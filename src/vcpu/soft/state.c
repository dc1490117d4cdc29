/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU's state between our form and that of cpu_state.h; power-on. The vCPU's thread, outside the run.
 *
 * A state comes from a machine's boot code, from a saved guest, or from another accelerator: it is checked as a whole
 * before anything is set, and one that no CPU can be in is refused.
 *
 * The time-stamp counter: setting it moves the whole VM's clock, and only while that stands still; so a paused VM whose
 * CPUs are all set has the counters that it was given, and a running one is not disturbed (INIT).
 */
#include <errno.h>
#include <string.h>

#include "vcpu/soft/clock.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/sysreg.h"
#include "vcpu/soft/system.h"

#define MSR_APIC_BASE  0x1b
#define RFLAGS_DEFINED UINT64_C(0x3f7fd7)

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool state_control_is_valid(const struct soft_cpu *cpu, const struct cpu_state *state)
{
    bool paging = state->cr0 & CR0_PG;
    bool is_long = state->efer & EFER_LMA;

    if (!soft_cr0_is_valid(state->cr0) || (state->cr4 & ~soft_cr4_defined(&cpu->features)) ||
        (state->efer & ~soft_efer_defined(&cpu->features)) || state->cr8 > 15) {
        return false;
    }
    if (is_long != (paging && (state->efer & EFER_LME)) || (is_long && !(state->cr4 & CR4_PAE))) {
        return false;
    }
    if ((state->cr4 & CR4_PCIDE) && !is_long) {
        return false;
    }
    return !((is_long ? state->cr3 >> SOFT_PHYSICAL_BITS : state->cr3 >> 32));
}

static bool state_flags_are_valid(const struct cpu_state *state)
{
    if ((state->rflags & ~RFLAGS_DEFINED) || !(state->rflags & RFLAGS_FIXED)) {
        return false;
    }
    return !(state->rflags & RFLAGS_VM) || ((state->cr0 & CR0_PE) && !(state->efer & EFER_LMA));
}

static bool state_segments_are_valid(const struct cpu_state *state)
{
    bool is_long = state->efer & EFER_LMA;
    bool is_64 = is_long && state->segment[CPU_CS].l;

    if (is_64 && (state->segment[CPU_CS].db || !soft_is_canonical(state->rip))) {
        return false;
    }
    if (!is_64 && state->rip >> 32) {
        return false;
    }
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        const struct cpu_segment *segment = &state->segment[i];
        bool wide = i == CPU_FS || i == CPU_GS || i == CPU_LDTR || i == CPU_TR;

        if (segment->type > 15 || segment->dpl > 3 || !soft_is_canonical(segment->base) ||
            (!wide && !segment->unusable && segment->base >> 32)) {
            return false;
        }
    }
    return soft_is_canonical(state->gdt.base) && soft_is_canonical(state->idt.base);
}

static bool state_msrs_are_valid(const struct cpu_state *state)
{
    const struct cpu_msrs *msr = &state->msr;

    return soft_pat_is_valid(msr->pat) && soft_mtrr_def_type_is_valid(msr->mtrr_def_type) &&
           soft_is_canonical(msr->lstar) && soft_is_canonical(msr->cstar) && soft_is_canonical(msr->kernel_gs_base) &&
           soft_is_canonical(msr->sysenter_eip) && soft_is_canonical(msr->sysenter_esp) && !(msr->tsc_aux >> 32) &&
           !(state->dr6 >> 32) && !(state->dr7 >> 32) && (state->xcr0 & 1) && !(state->xcr0 & ~SOFT_XCR0_DEFINED);
}

/* Names what is wrong; NULL: nothing. */
static const char *state_complaint(const struct soft_cpu *cpu, const struct cpu_state *state)
{
    if (!state_control_is_valid(cpu, state)) {
        return "control registers that exclude each other, or that this CPU model doesn't have";
    }
    if (!state_flags_are_valid(state)) {
        return "impossible flags";
    }
    if (!state_segments_are_valid(state)) {
        return "an impossible segment or instruction pointer";
    }
    if (!state_msrs_are_valid(state)) {
        return "a model-specific, debug or extended control register with an impossible value";
    }
    if (state->events.exception_injected || (state->events.interrupt_injected && state->events.interrupt_is_soft)) {
        return "an exception half delivered";
    }
    if (state->xsave_len_bytes < 512 + 64 || state->xsave_len_bytes > CPU_XSAVE_BYTES) {
        return "an XSAVE area of a wrong size";
    }
    return NULL;
}

/* --- setting ------------------------------------------------------------------------------------------------------ */

/* The stack segment's level is the CPU's, also where CS has another RPL: right after a switch of modes. */
static uint8_t state_cpl(const struct cpu_state *state)
{
    if (!(state->cr0 & CR0_PE)) {
        return 0;
    }
    return state->rflags & RFLAGS_VM ? 3 : state->segment[CPU_SS].dpl;
}

static void state_apply_msrs(struct soft_cpu *cpu, const struct cpu_state *state)
{
    cpu->msr = state->msr;
    for (int i = 0; i < 4; i++) {
        cpu->dr[i] = state->dr[i];
    }
    cpu->dr6 = state->dr6 | DR6_FIXED;
    cpu->dr7 = state->dr7 | DR7_FIXED;
    cpu->fpu.xcr0 = state->xcr0;
}

static void state_apply_events(struct soft_cpu *cpu, const struct cpu_state *state)
{
    cpu->shadow = state->events.interrupt_shadow & 2 ? 2 : state->events.interrupt_shadow & 1;
    cpu->nmi_masked = state->events.nmi_masked;
    cpu->nmi_pending = state->events.nmi_pending || state->events.nmi_injected;
    /* The controller has handed it over already: it can only be delivered. */
    cpu->interrupt_injected = state->events.interrupt_injected;
    cpu->interrupt_vector = state->events.interrupt_vector;
    cpu->window_wanted = false;
    cpu->leave = false;
    cpu->delivering = false;
    cpu->debug_hits = 0;
    cpu->no_step = false;
}

/* All but x87, SSE, the interrupt source and the clock. */
static void state_apply(struct soft_cpu *cpu, const struct cpu_state *state)
{
    memcpy(cpu->gpr, state->gpr, sizeof(state->gpr));
    cpu->gpr[SOFT_REG_ZERO] = 0;
    cpu->rip = cpu->next_rip = state->rip;
    cpu->rflags = state->rflags & ~(uint64_t)RFLAGS_ARITHMETIC;
    soft_set_arithmetic_flags(cpu, (uint32_t)state->rflags);
    memcpy(cpu->segment, state->segment, sizeof(state->segment));
    cpu->gdt = state->gdt;
    cpu->idt = state->idt;
    cpu->cr0 = state->cr0 | CR0_ET;
    cpu->cr2 = state->cr2;
    cpu->cr3 = state->cr3;
    cpu->cr4 = state->cr4;
    cpu->efer = state->efer;
    cpu->cpl = state_cpl(state);
    state_apply_msrs(cpu, state);
    state_apply_events(cpu, state);
}

static void state_settle(struct soft_cpu *cpu)
{
    bool pae = (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !(cpu->efer & EFER_LMA);

    soft_update_mode(cpu);
    soft_tlb_flush_all(cpu);
    soft_tlb_load_cr3(cpu, false);
    if (pae) {
        soft_load_pdptes(cpu, cpu->cr3);
    }
}

/* The base only if it differs: a reset of the source itself comes from elsewhere. */
static void state_apply_interrupts(struct soft_cpu *cpu, const struct cpu_state *state)
{
    uint64_t base;

    if (soft_msr_read(cpu, MSR_APIC_BASE, &base) && base != state->apic_base) {
        soft_msr_write(cpu, MSR_APIC_BASE, state->apic_base);
    }
    soft_write_cr(cpu, 8, state->cr8);
}

void soft_cpu_reset(struct soft_cpu *cpu, bool bootstrap)
{
    struct cpu_state state;

    cpu_state_reset(&state, bootstrap);
    state.gpr[CPU_RDX] = cpu->features.identity.signature;
    state_apply(cpu, &state);
    memset(cpu->mtrr, 0, sizeof(cpu->mtrr));
    cpu->apic_base = state.apic_base;
    soft_fpu_reset(&cpu->fpu);
    cpu->fpu.xcr0 = state.xcr0;
    state_settle(cpu);
}

int soft_set_state(struct vcpu *vcpu, const struct cpu_state *state, struct error **err)
{
    struct soft_cpu *cpu = &soft_vcpu_of(vcpu)->cpu;
    const char *complaint = state_complaint(cpu, state);

    if (complaint) {
        return error_set(err, -EINVAL, "accelerator 'soft': a vCPU can't have %s", complaint);
    }
    state_apply(cpu, state);
    soft_fpu_from_xsave(&cpu->fpu, state->xsave, state->xsave_len_bytes);
    cpu->fpu.xcr0 = state->xcr0;
    if (!state->keep_tsc) {
        soft_clock_set(cpu, state->msr.tsc - state->msr.tsc_adjust);
    }
    state_settle(cpu);
    state_apply_interrupts(cpu, state);
    soft_kvm_clock_publish(cpu);
    return 0;
}

/* --- getting ------------------------------------------------------------------------------------------------------ */

static void state_get_msrs(struct soft_cpu *cpu, struct cpu_state *state)
{
    uint64_t deadline = 0;

    state->msr = cpu->msr;
    state->msr.tsc = soft_tsc(cpu);
    if (soft_msr_read(cpu, 0x6e0, &deadline)) {
        state->msr.tsc_deadline = deadline;
    }
    if (!soft_msr_read(cpu, MSR_APIC_BASE, &state->apic_base)) {
        state->apic_base = cpu->apic_base;
    }
    for (int i = 0; i < 4; i++) {
        state->dr[i] = cpu->dr[i];
    }
    state->dr6 = cpu->dr6;
    state->dr7 = cpu->dr7;
    state->xcr0 = cpu->fpu.xcr0;
}

int soft_get_state(struct vcpu *vcpu, struct cpu_state *state, struct error **err)
{
    struct soft_cpu *cpu = &soft_vcpu_of(vcpu)->cpu;

    memset(state, 0, sizeof(*state));
    memcpy(state->gpr, cpu->gpr, sizeof(state->gpr));
    state->rip = cpu->rip;
    state->rflags = soft_rflags(cpu);
    memcpy(state->segment, cpu->segment, sizeof(state->segment));
    state->gdt = cpu->gdt;
    state->idt = cpu->idt;
    state->cr0 = cpu->cr0;
    state->cr2 = cpu->cr2;
    state->cr3 = cpu->cr3;
    state->cr4 = cpu->cr4;
    state->cr8 = soft_read_cr8(cpu);
    state->efer = cpu->efer;
    state_get_msrs(cpu, state);
    state->events = (struct cpu_events){.nmi_pending = cpu->nmi_pending,
                                        .nmi_masked = cpu->nmi_masked,
                                        .interrupt_shadow = cpu->shadow,
                                        .interrupt_injected = cpu->interrupt_injected,
                                        .interrupt_vector = cpu->interrupt_injected ? cpu->interrupt_vector : 0};
    state->activity = CPU_RUNNABLE;
    soft_fpu_to_xsave(&cpu->fpu, state->xsave, &state->xsave_len_bytes);
    return 0;
}
