/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU's state between our form (vcpu/cpu_state.h) and KVM's. All on the vCPU's own thread, outside KVM_RUN.
 *
 * Order matters when setting: the APIC base before the local APIC, CR4 and XCR0 before the XSAVE area, control
 * registers before MSRs that depend on them, pending events last but for what the CPU is doing.
 */
#include <errno.h>
#include <string.h>

#include "vcpu/kvm/kvm_vm.h"

#define REGS_FAIL(ret, err, what) error_set(err, ret, "accelerator 'kvm': can't %s: %s", what, strerror(-(ret)))

/* --- MSRs ------------------------------------------------------------------------------------------------------- */

struct msr_field {
    uint32_t index;
    uint32_t offset; /* in struct cpu_state */
};

#define MSR_FIELD(number, field)                                                                                       \
    {                                                                                                                  \
        number, offsetof(struct cpu_state, msr.field)                                                                  \
    }

static const struct msr_field msr_fields[] = {
    MSR_FIELD(0x10, tsc),
    MSR_FIELD(0x3b, tsc_adjust),
    MSR_FIELD(0x174, sysenter_cs),
    MSR_FIELD(0x175, sysenter_esp),
    MSR_FIELD(0x176, sysenter_eip),
    MSR_FIELD(0x1a0, misc_enable),
    MSR_FIELD(0x277, pat),
    MSR_FIELD(0x2ff, mtrr_def_type),
    MSR_FIELD(0x6e0, tsc_deadline),
    MSR_FIELD(0xc0000081, star),
    MSR_FIELD(0xc0000082, lstar),
    MSR_FIELD(0xc0000083, cstar),
    MSR_FIELD(0xc0000084, fmask),
    MSR_FIELD(0xc0000102, kernel_gs_base),
    MSR_FIELD(0xc0000103, tsc_aux),
    MSR_FIELD(0x4b564d00, kvm_wall_clock),
    MSR_FIELD(0x4b564d01, kvm_system_time),
    MSR_FIELD(0x4b564d02, kvm_async_pf),
    MSR_FIELD(0x4b564d03, kvm_steal_time),
    MSR_FIELD(0x4b564d04, kvm_pv_eoi),
};

#define RFLAGS_IF      UINT64_C(0x200)
#define MSR_TSC        0x10
#define MSR_MTRR_DEF   0x2ff
#define MSR_LIST_BYTES 4096

/* Laid out as struct kvm_msrs, whose array has no size of its own. */
struct msr_list {
    uint32_t count, padding;
    struct kvm_msr_entry entries[ARRAY_SIZE(msr_fields)];
};
_Static_assert(offsetof(struct msr_list, entries) == offsetof(struct kvm_msrs, entries), "MSR list");

int kvm_msrs_init(struct kvm_vm *kvm, struct error **err)
{
    struct kvm_msr_list *list = calloc(1, MSR_LIST_BYTES);
    int ret;

    if (!list) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    list->nmsrs = (MSR_LIST_BYTES - sizeof(*list)) / sizeof(list->indices[0]);
    ret = kvm_ioctl(kvm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
    for (size_t i = 0; i < ARRAY_SIZE(msr_fields) && ret == 0; i++) {
        /* Not in KVM's list, because it always handles it. */
        bool known = msr_fields[i].index == MSR_MTRR_DEF;

        for (uint32_t j = 0; j < list->nmsrs && !known; j++) {
            known = list->indices[j] == msr_fields[i].index;
        }
        if (known) {
            kvm->msr_indices[kvm->msr_count++] = i;
        }
    }
    free(list);
    return ret < 0 ? REGS_FAIL(ret, err, "list its MSRs") : 0;
}

static uint64_t *msr_value(const struct cpu_state *state, size_t field)
{
    return (uint64_t *)((char *)(uintptr_t)state + msr_fields[field].offset);
}

/*
 * KVM stops at the first MSR that it can't read or write for this CPU: one that CPUID denies. It is left out then.
 */
static int msrs_transfer(struct kvm_vcpu *vcpu, unsigned long request, struct msr_list *list, size_t *fields)
{
    uint32_t start = 0;

    while (start < list->count) {
        struct msr_list part = {.count = list->count - start};
        int done;

        memcpy(part.entries, list->entries + start, part.count * sizeof(part.entries[0]));
        done = kvm_ioctl(vcpu->fd, request, &part);
        if (done < 0) {
            return done;
        }
        memcpy(list->entries + start, part.entries, done * sizeof(part.entries[0]));
        start += done;
        if (start < list->count) {
            fields[start++] = SIZE_MAX;
        }
    }
    return 0;
}

static int msrs_get(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_vm *kvm = kvm_vm_of(vcpu->common.vm);
    struct msr_list list = {.count = kvm->msr_count};
    size_t fields[ARRAY_SIZE(msr_fields)];
    int ret;

    for (unsigned i = 0; i < kvm->msr_count; i++) {
        fields[i] = kvm->msr_indices[i];
        list.entries[i].index = msr_fields[fields[i]].index;
    }
    ret = msrs_transfer(vcpu, KVM_GET_MSRS, &list, fields);
    for (unsigned i = 0; i < kvm->msr_count && ret == 0; i++) {
        if (fields[i] != SIZE_MAX) {
            *msr_value(state, fields[i]) = list.entries[i].data;
        }
    }
    return ret;
}

static int msrs_set(struct kvm_vcpu *vcpu, const struct cpu_state *state, bool with_tsc)
{
    struct kvm_vm *kvm = kvm_vm_of(vcpu->common.vm);
    struct msr_list list = {0};
    size_t fields[ARRAY_SIZE(msr_fields)];

    for (unsigned i = 0; i < kvm->msr_count; i++) {
        size_t field = kvm->msr_indices[i];

        if (msr_fields[field].index != MSR_TSC || with_tsc) {
            fields[list.count] = field;
            list.entries[list.count++] =
                (struct kvm_msr_entry){.index = msr_fields[field].index, .data = *msr_value(state, field)};
        }
    }
    return msrs_transfer(vcpu, KVM_SET_MSRS, &list, fields);
}

/* --- general and special registers ------------------------------------------------------------------------------ */

static void regs_from_kvm(struct cpu_state *state, const struct kvm_regs *regs)
{
    const uint64_t gpr[CPU_GPR_COUNT] = {regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp,
                                         regs->rsi, regs->rdi, regs->r8,  regs->r9,  regs->r10, regs->r11,
                                         regs->r12, regs->r13, regs->r14, regs->r15};

    memcpy(state->gpr, gpr, sizeof(gpr));
    state->rip = regs->rip;
    state->rflags = regs->rflags;
}

static void regs_to_kvm(struct kvm_regs *regs, const struct cpu_state *state)
{
    const uint64_t *gpr = state->gpr;

    *regs = (struct kvm_regs){.rax = gpr[CPU_RAX],
                              .rcx = gpr[CPU_RCX],
                              .rdx = gpr[CPU_RDX],
                              .rbx = gpr[CPU_RBX],
                              .rsp = gpr[CPU_RSP],
                              .rbp = gpr[CPU_RBP],
                              .rsi = gpr[CPU_RSI],
                              .rdi = gpr[CPU_RDI],
                              .r8 = gpr[CPU_R8],
                              .r9 = gpr[CPU_R9],
                              .r10 = gpr[CPU_R10],
                              .r11 = gpr[CPU_R11],
                              .r12 = gpr[CPU_R12],
                              .r13 = gpr[CPU_R13],
                              .r14 = gpr[CPU_R14],
                              .r15 = gpr[CPU_R15],
                              .rip = state->rip,
                              .rflags = state->rflags};
}

static struct cpu_segment segment_from_kvm(const struct kvm_segment *segment)
{
    return (struct cpu_segment){.base = segment->base,
                                .limit = segment->limit,
                                .selector = segment->selector,
                                .type = segment->type,
                                .dpl = segment->dpl,
                                .s = segment->s,
                                .present = segment->present,
                                .avl = segment->avl,
                                .l = segment->l,
                                .db = segment->db,
                                .g = segment->g,
                                .unusable = segment->unusable};
}

static struct kvm_segment segment_to_kvm(const struct cpu_segment *segment)
{
    return (struct kvm_segment){.base = segment->base,
                                .limit = segment->limit,
                                .selector = segment->selector,
                                .type = segment->type,
                                .dpl = segment->dpl,
                                .s = segment->s,
                                .present = segment->present,
                                .avl = segment->avl,
                                .l = segment->l,
                                .db = segment->db,
                                .g = segment->g,
                                .unusable = segment->unusable};
}

static struct kvm_segment *sregs_segment(struct kvm_sregs *sregs, unsigned index)
{
    struct kvm_segment *segments[CPU_SEGMENT_COUNT] = {&sregs->es, &sregs->cs, &sregs->ss,  &sregs->ds,
                                                       &sregs->fs, &sregs->gs, &sregs->ldt, &sregs->tr};

    return segments[index];
}

static void sregs_from_kvm(struct cpu_state *state, struct kvm_sregs *sregs)
{
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        state->segment[i] = segment_from_kvm(sregs_segment(sregs, i));
    }
    state->gdt = (struct cpu_table){sregs->gdt.base, sregs->gdt.limit};
    state->idt = (struct cpu_table){sregs->idt.base, sregs->idt.limit};
    state->cr0 = sregs->cr0;
    state->cr2 = sregs->cr2;
    state->cr3 = sregs->cr3;
    state->cr4 = sregs->cr4;
    state->cr8 = sregs->cr8;
    state->efer = sregs->efer;
    state->apic_base = sregs->apic_base;
}

static void sregs_to_kvm(struct kvm_sregs *sregs, const struct cpu_state *state)
{
    memset(sregs, 0, sizeof(*sregs));
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        *sregs_segment(sregs, i) = segment_to_kvm(&state->segment[i]);
    }
    sregs->gdt = (struct kvm_dtable){.base = state->gdt.base, .limit = state->gdt.limit};
    sregs->idt = (struct kvm_dtable){.base = state->idt.base, .limit = state->idt.limit};
    sregs->cr0 = state->cr0;
    sregs->cr2 = state->cr2;
    sregs->cr3 = state->cr3;
    sregs->cr4 = state->cr4;
    sregs->cr8 = state->cr8;
    sregs->efer = state->efer;
    sregs->apic_base = state->apic_base;
}

/* --- debug registers, XCR0, events, activity -------------------------------------------------------------------- */

static int debugregs_get(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_debugregs regs;
    int ret = kvm_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &regs);

    if (ret == 0) {
        for (int i = 0; i < 4; i++) {
            state->dr[i] = regs.db[i];
        }
        state->dr6 = regs.dr6;
        state->dr7 = regs.dr7;
    }
    return ret;
}

static int debugregs_set(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_debugregs regs = {.dr6 = state->dr6, .dr7 = state->dr7};

    for (int i = 0; i < 4; i++) {
        regs.db[i] = state->dr[i];
    }
    return kvm_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs);
}

static int xcr0_get(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_xcrs xcrs = {0};

    state->xcr0 = 1;
    if (kvm_ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs) == 0 && xcrs.nr_xcrs) {
        state->xcr0 = xcrs.xcrs[0].value;
    }
    return 0;
}

/* A host or a CPU model without XSAVE has no XCR0 to set. */
static int xcr0_set(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = state->xcr0}}};
    int ret = kvm_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs);

    return state->xcr0 == 1 ? 0 : ret;
}

static int events_get(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_vcpu_events events;
    int ret = kvm_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);

    if (ret < 0) {
        return ret;
    }
    state->events = (struct cpu_events){
        .exception_injected = events.exception.injected,
        .exception_pending = events.flags & KVM_VCPUEVENT_VALID_PAYLOAD ? events.exception.pending : false,
        .exception_has_error = events.exception.has_error_code,
        .exception_vector = events.exception.nr,
        .exception_error = events.exception.error_code,
        .interrupt_injected = events.interrupt.injected,
        .interrupt_is_soft = events.interrupt.soft,
        .interrupt_vector = events.interrupt.nr,
        .nmi_pending = events.nmi.pending,
        .nmi_injected = events.nmi.injected,
        .nmi_masked = events.nmi.masked,
        .interrupt_shadow = events.interrupt.shadow,
        .sipi_vector = events.sipi_vector};
    return 0;
}

static int events_set(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    const struct cpu_events *from = &state->events;
    struct kvm_vcpu_events events = {
        .exception = {.injected = from->exception_injected,
                      .nr = from->exception_vector,
                      .has_error_code = from->exception_has_error,
                      .error_code = from->exception_error},
        .interrupt = {.injected = from->interrupt_injected,
                      .nr = from->interrupt_vector,
                      .soft = from->interrupt_is_soft,
                      .shadow = from->interrupt_shadow},
        .nmi = {.injected = from->nmi_injected, .pending = from->nmi_pending, .masked = from->nmi_masked},
        .sipi_vector = from->sipi_vector,
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | KVM_VCPUEVENT_VALID_SHADOW};

    return kvm_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

static const uint32_t activity_to_kvm[] = {
    [CPU_RUNNABLE] = KVM_MP_STATE_RUNNABLE,           [CPU_HALTED] = KVM_MP_STATE_HALTED,
    [CPU_WAIT_FOR_INIT] = KVM_MP_STATE_UNINITIALIZED, [CPU_WAIT_FOR_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
    [CPU_SIPI_RECEIVED] = KVM_MP_STATE_SIPI_RECEIVED,
};

static int activity_get(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_mp_state mp;
    int ret = kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);

    state->activity = CPU_RUNNABLE;
    for (unsigned i = 0; i < ARRAY_SIZE(activity_to_kvm) && ret == 0; i++) {
        if (activity_to_kvm[i] == mp.mp_state) {
            state->activity = i;
        }
    }
    return ret;
}

/* Without a local APIC in KVM there is only one: the rest is the machine's. */
static int activity_set(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_mp_state mp = {.mp_state = activity_to_kvm[state->activity]};

    if (vcpu->common.vm->config.irqchip == VM_IRQCHIP_USER) {
        mp.mp_state = KVM_MP_STATE_RUNNABLE;
    }
    return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
}

/* --- all of it -------------------------------------------------------------------------------------------------- */

static int state_get_registers(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    int ret = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

    if (ret == 0) {
        ret = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
    }
    if (ret == 0) {
        regs_from_kvm(state, &regs);
        sregs_from_kvm(state, &sregs);
    }
    return ret;
}

int kvm_get_state(struct vcpu *common, struct cpu_state *state, struct error **err)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);
    int ret = state_get_registers(vcpu, state);

    if (ret == 0) {
        _Static_assert(sizeof(struct kvm_xsave) == CPU_XSAVE_BYTES, "XSAVE area");
        ret = kvm_ioctl(vcpu->fd, KVM_GET_XSAVE, state->xsave);
        state->xsave_len_bytes = CPU_XSAVE_BYTES;
    }
    if (ret == 0) {
        ret = xcr0_get(vcpu, state);
    }
    if (ret == 0) {
        ret = debugregs_get(vcpu, state);
    }
    if (ret == 0) {
        ret = msrs_get(vcpu, state);
    }
    if (ret == 0) {
        ret = events_get(vcpu, state);
    }
    if (ret == 0) {
        ret = activity_get(vcpu, state);
    }
    kvm_apic_get_cr8(common, state);
    return ret < 0 ? REGS_FAIL(ret, err, "read a vCPU's state") : 0;
}

static int state_set(struct kvm_vcpu *vcpu, const struct cpu_state *state, bool with_tsc, struct error **err)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    int ret;

    /* What KVM_RUN said when it last came back: of other registers. */
    vcpu->run->ready_for_interrupt_injection =
        (state->rflags & RFLAGS_IF) && !state->events.interrupt_shadow && !state->events.interrupt_injected;
    sregs_to_kvm(&sregs, state);
    ret = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
    if (ret < 0) {
        return REGS_FAIL(ret, err, "set a vCPU's control registers and segments");
    }
    regs_to_kvm(&regs, state);
    ret = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
    if (ret == 0) {
        ret = xcr0_set(vcpu, state);
    }
    if (ret == 0) {
        ret = kvm_ioctl(vcpu->fd, KVM_SET_XSAVE, (void *)(uintptr_t)state->xsave);
    }
    if (ret == 0) {
        ret = debugregs_set(vcpu, state);
    }
    if (ret == 0) {
        ret = msrs_set(vcpu, state, with_tsc);
    }
    if (ret == 0) {
        ret = activity_set(vcpu, state);
    }
    if (ret == 0) {
        ret = events_set(vcpu, state);
    }
    return ret < 0 ? REGS_FAIL(ret, err, "set a vCPU's state") : 0;
}

int kvm_set_state(struct vcpu *common, const struct cpu_state *state, struct error **err)
{
    kvm_apic_set_cr8(common, state);
    return state_set(kvm_vcpu_of(common), state, !state->keep_tsc, err);
}

/*
 * Makes KVM set its page tables up anew. After a shutdown with paging off, KVM on AMD forgets to: it clears the
 * processor's control block and keeps its own idea that nothing changed, and the guest never fetches an instruction
 * again. CR3 means nothing while paging is off, but changing it makes KVM start over.
 */
static int regs_renew_paging(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_sregs sregs;

    sregs_to_kvm(&sregs, state);
    sregs.cr3 ^= 0x1000;
    return kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

/* The time-stamp counter goes on, as it does on hardware that is reset while its clock runs. */
int kvm_reset_state(struct vcpu *common, struct error **err)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);
    HDL_AUTO_FREE struct cpu_state *state = malloc(sizeof(*state));
    int ret;

    if (!state) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    cpu_state_reset(state, common->bootstrap);
    state->gpr[CPU_RDX] = common->signature;
    ret = regs_renew_paging(vcpu, state);
    if (ret < 0) {
        return REGS_FAIL(ret, err, "reset a vCPU");
    }
    ret = state_set(vcpu, state, false, err);
    if (ret < 0) {
        return ret;
    }
    if (common->vm->config.irqchip != VM_IRQCHIP_USER) {
        ret = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &vcpu->initial_lapic);
    }
    return ret < 0 ? REGS_FAIL(ret, err, "reset a vCPU's local APIC") : 0;
}

bool kvm_translate(struct vcpu *common, uint64_t linear, uint64_t *gpa)
{
    struct kvm_translation translation = {.linear_address = linear};

    if (kvm_ioctl(kvm_vcpu_of(common)->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid) {
        return false;
    }
    *gpa = translation.physical_address;
    return true;
}
