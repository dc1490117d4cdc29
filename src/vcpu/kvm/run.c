/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering the guest through KVM_RUN, what its exits mean, and the kick.
 *
 * The kick. KVM_RUN comes back with EINTR if immediate_exit is set when it starts, or when a signal is pending at any
 * time in it. Who kicks has set a request bit; then:
 *
 *   kicker   request |= bit; if place is IN_GUEST: immediate_exit = 1, send the signal
 *   vCPU     place = IN_GUEST; if request: immediate_exit = 1; KVM_RUN; place = IN_HOST; immediate_exit = 0
 *
 * If the kicker finds another place, the vCPU will see the bit. If it finds IN_GUEST, then either KVM_RUN hasn't begun
 * and sees immediate_exit (the store comes before the signal, which the handler, doing nothing, may swallow), or it has
 * and the signal ends it. A kick that comes too late costs one empty turn. tests/model/vcpu_kick.pml is this protocol.
 *
 * Completing accesses. After a PIO or MMIO exit KVM finishes the instruction at the next KVM_RUN, even if
 * immediate_exit is set. Only EINTR says that nothing is under way, so that's the only answer that becomes
 * VCPU_EXIT_INTERRUPTED.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "vcpu/kvm/kvm_vm.h"

#define KICK_SIGNAL   SIGUSR1
#define MSR_APIC_BASE 0x1bu

static void kvm_kick_handler(int signal_number)
{
}

void kvm_kick_unblock(void)
{
    struct sigaction action = {.sa_handler = kvm_kick_handler};
    sigset_t set;

    /* No SA_RESTART: the signal is there to interrupt. The same for every vCPU, so setting it again does no harm. */
    sigaction(KICK_SIGNAL, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void kvm_set_immediate_exit(struct kvm_vcpu *vcpu, uint8_t value)
{
    __atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void kvm_kick(struct vcpu *common)
{
    kvm_set_immediate_exit(kvm_vcpu_of(common), 1);
    pthread_kill(common->thread.thread, KICK_SIGNAL);
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

int kvm_inject_nmi(struct vcpu *common)
{
    return kvm_ioctl_value(kvm_vcpu_of(common)->fd, KVM_NMI, 0);
}

bool kvm_interrupt_window(struct vcpu *common)
{
    struct kvm_run *run = kvm_vcpu_of(common)->run;
    bool open = run->ready_for_interrupt_injection;

    run->request_interrupt_window = !open;
    return open;
}

/*
 * USER: KVM has CR8 and IA32_APIC_BASE, and the machine has the local APIC that they are registers of. They change in
 * the guest, by MOV to CR8 and WRMSR, and in the machine, by writes of the APIC's page; both on this thread, so each
 * side's change is carried over when the guest is entered or left.
 */
static void kvm_apic_to_guest(struct kvm_vcpu *vcpu)
{
    const struct vm_interrupt_source *source = &vcpu->common.vm->config.interrupts;

    if (source->get_tpr) {
        vcpu->run->cr8 = source->get_tpr(source->opaque, vcpu->common.index) >> 4;
        vcpu->entry_cr8 = (uint8_t)vcpu->run->cr8;
    }
}

static void kvm_apic_from_guest(struct kvm_vcpu *vcpu)
{
    const struct vm_interrupt_source *source = &vcpu->common.vm->config.interrupts;
    uint64_t base;

    if (source->set_tpr && vcpu->run->cr8 != vcpu->entry_cr8) {
        source->set_tpr(source->opaque, vcpu->common.index, (uint8_t)(vcpu->run->cr8 << 4));
    }
    if (source->msr_write && source->msr_read(source->opaque, vcpu->common.index, MSR_APIC_BASE, &base) &&
        base != vcpu->run->apic_base) {
        source->msr_write(source->opaque, vcpu->common.index, MSR_APIC_BASE, vcpu->run->apic_base);
    }
}

void kvm_apic_get_cr8(struct vcpu *common, struct cpu_state *state)
{
    const struct vm_interrupt_source *source = &common->vm->config.interrupts;

    if (common->vm->config.irqchip == VM_IRQCHIP_USER && source->get_tpr) {
        state->cr8 = source->get_tpr(source->opaque, common->index) >> 4;
    }
}

void kvm_apic_set_cr8(struct vcpu *common, const struct cpu_state *state)
{
    const struct vm_interrupt_source *source = &common->vm->config.interrupts;

    if (common->vm->config.irqchip == VM_IRQCHIP_USER && source->set_tpr &&
        source->get_tpr(source->opaque, common->index) >> 4 != (state->cr8 & 0xf)) {
        source->set_tpr(source->opaque, common->index, (uint8_t)(state->cr8 << 4));
    }
}

int kvm_inject_interrupt(struct vcpu *common, uint8_t vector)
{
    struct kvm_interrupt interrupt = {.irq = vector};
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);

    vcpu->run->ready_for_interrupt_injection = 0; /* until KVM says so again */
    return kvm_ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt);
}

void kvm_resumed(struct vcpu *common)
{
    /* Tells the guest's watchdogs that it was the host who stood still. -EINVAL: the guest uses no kvmclock. */
    if (kvm_vm_of(common->vm)->has_kvmclock_ctrl) {
        kvm_ioctl_value(kvm_vcpu_of(common)->fd, KVM_KVMCLOCK_CTRL, 0);
    }
}

/* --- exits ------------------------------------------------------------------------------------------------------ */

static const char *kvm_internal_error_name(uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "KVM couldn't emulate an instruction";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "KVM met an exception while delivering another";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "KVM couldn't deliver an event";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "KVM met an exit that it doesn't know";
    default:
        return "KVM had an internal error";
    }
}

static void kvm_exit_internal_error(const struct kvm_run *run, struct vcpu_exit *exit)
{
    int used = snprintf(exit->failure, sizeof(exit->failure), "%s (suberror %u",
                        kvm_internal_error_name(run->internal.suberror), run->internal.suberror);
    uint32_t count = MIN(run->internal.ndata, 4u);

    exit->kind = VCPU_EXIT_FAILED;
    for (uint32_t i = 0; i < count; i++) {
        used += snprintf(exit->failure + used, sizeof(exit->failure) - used, ", %#llx",
                         (unsigned long long)run->internal.data[i]);
    }
    snprintf(exit->failure + used, sizeof(exit->failure) - used, ")");
}

static void kvm_exit_system_event(const struct kvm_run *run, struct vcpu_exit *exit)
{
    exit->kind = VCPU_EXIT_SYSTEM_EVENT;
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        exit->system_event = VM_EVENT_GUEST_SHUTDOWN;
        break;
    case KVM_SYSTEM_EVENT_RESET:
        exit->system_event = VM_EVENT_GUEST_RESET;
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        exit->system_event = VM_EVENT_GUEST_CRASH;
        break;
    default:
        exit->kind = VCPU_EXIT_AGAIN;
    }
}

static void kvm_exit_failed(struct vcpu_exit *exit, const char *what, uint64_t number)
{
    exit->kind = VCPU_EXIT_FAILED;
    snprintf(exit->failure, sizeof(exit->failure), "%s (%#llx)", what, (unsigned long long)number);
}

static void kvm_decode_pio(struct kvm_run *run, struct vcpu_exit *exit)
{
    exit->kind = VCPU_EXIT_PIO;
    exit->pio.port = run->io.port;
    exit->pio.size_bytes = run->io.size;
    exit->pio.count = run->io.count;
    exit->pio.is_write = run->io.direction == KVM_EXIT_IO_OUT;
    exit->pio.data = (uint8_t *)run + run->io.data_offset;
}

static void kvm_decode_mmio(struct kvm_run *run, struct vcpu_exit *exit)
{
    exit->kind = VCPU_EXIT_MMIO;
    exit->mmio.gpa = run->mmio.phys_addr;
    exit->mmio.size_bytes = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));
    exit->mmio.is_write = run->mmio.is_write;
    exit->mmio.data = run->mmio.data;
}

/*
 * HLT comes out only when the machine has the interrupt controllers. An NMI that KVM already holds, because it came
 * while an earlier one was being handled, ends the halt at once; nobody else would.
 */
static bool kvm_halt_is_over(struct kvm_vcpu *vcpu)
{
    struct kvm_vcpu_events events;

    return kvm_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) == 0 && !events.nmi.masked &&
           (events.nmi.pending || events.nmi.injected);
}

static void kvm_decode(struct kvm_vcpu *vcpu, struct vcpu_exit *exit)
{
    struct kvm_run *run = vcpu->run;

    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        kvm_decode_pio(run, exit);
        break;
    case KVM_EXIT_MMIO:
        kvm_decode_mmio(run, exit);
        break;
    case KVM_EXIT_HLT:
        exit->kind = kvm_halt_is_over(vcpu) ? VCPU_EXIT_AGAIN : VCPU_EXIT_HLT;
        break;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        exit->kind = VCPU_EXIT_IRQ_WINDOW;
        break;
    case KVM_EXIT_IOAPIC_EOI:
        exit->kind = VCPU_EXIT_EOI;
        exit->eoi_vector = run->eoi.vector;
        break;
    case KVM_EXIT_SHUTDOWN:
        exit->kind = VCPU_EXIT_TRIPLE_FAULT;
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        kvm_exit_system_event(run, exit);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        kvm_exit_internal_error(run, exit);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        kvm_exit_failed(exit, "the CPU refused to enter the guest: its reason",
                        run->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_UNKNOWN:
        kvm_exit_failed(exit, "KVM doesn't know why the guest stopped: hardware reason", run->hw.hardware_exit_reason);
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_SET_TPR:
        exit->kind = VCPU_EXIT_AGAIN;
        break;
    default:
        kvm_exit_failed(exit, "KVM stopped the guest for a reason that heddle doesn't know", run->exit_reason);
    }
}

/* KVM_RUN failed. */
static void kvm_decode_error(int error, struct vcpu_exit *exit)
{
    switch (error) {
    case EINTR:
        exit->kind = VCPU_EXIT_INTERRUPTED;
        break;
    case EAGAIN: /* a CPU that waits for its start was woken; the next turn looks at the requests */
        exit->kind = VCPU_EXIT_AGAIN;
        break;
    default:
        exit->kind = VCPU_EXIT_FAILED;
        snprintf(exit->failure, sizeof(exit->failure), "KVM_RUN failed: %s", strerror(error));
    }
}

/*
 * While memory slots are being exchanged, a guest may fetch an instruction where there is none for a moment. KVM leaves
 * the CPU as it was, so the instruction is tried again once the exchange is done.
 */
static bool kvm_failed_for_slots(struct kvm_vm *kvm, const struct kvm_run *run, uint64_t begun_before)
{
    return run->exit_reason == KVM_EXIT_INTERNAL_ERROR && run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
           (atomic_load_explicit(&kvm->slots_begun, memory_order_acquire) != begun_before ||
            atomic_load_explicit(&kvm->slots_done, memory_order_acquire) != begun_before);
}

void kvm_run(struct vcpu *common, struct vcpu_exit *exit)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);
    struct kvm_vm *kvm = kvm_vm_of(common->vm);
    uint64_t begun = atomic_load_explicit(&kvm->slots_begun, memory_order_acquire);
    bool user = common->vm->config.irqchip == VM_IRQCHIP_USER;
    int error = 0;

    if (user) {
        kvm_apic_to_guest(vcpu);
    }
    /* Pairs with vcpu_request, see above. */
    atomic_store_explicit(&common->place, VCPU_IN_GUEST, memory_order_seq_cst);
    if (atomic_load_explicit(&common->requests, memory_order_seq_cst)) {
        kvm_set_immediate_exit(vcpu, 1);
    }
    if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
        error = errno;
    }
    atomic_store_explicit(&common->place, VCPU_IN_HOST, memory_order_seq_cst);
    kvm_set_immediate_exit(vcpu, 0);
    vcpu->run->request_interrupt_window = 0; /* asked for anew while an interrupt is pending */
    if (user) {
        kvm_apic_from_guest(vcpu);
    }

    if (error) {
        kvm_decode_error(error, exit);
    } else if (unlikely(kvm_failed_for_slots(kvm, vcpu->run, begun))) {
        exit->kind = VCPU_EXIT_AGAIN;
    } else {
        kvm_decode(vcpu, exit);
    }
    trace(VCPU_EXIT, "vcpu %u: reason %u error %d", common->index, vcpu->run->exit_reason, error);
}
