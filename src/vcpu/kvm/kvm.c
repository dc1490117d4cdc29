/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM accelerator: the file descriptors, what of KVM is needed, the lives of a VM and of a vCPU, and the ops table.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/log.h"
#include "vcpu/kvm/kvm_vm.h"

#define KVM_DEVICE "/dev/kvm"

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
    int ret = ioctl(fd, request, argument);

    return ret < 0 ? -errno : ret;
}

int kvm_ioctl_value(int fd, unsigned long request, unsigned long argument)
{
    int ret = ioctl(fd, request, argument);

    return ret < 0 ? -errno : ret;
}

int kvm_capability(int fd, int capability)
{
    int value = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    return value < 0 ? 0 : value;
}

/* --- what is needed --------------------------------------------------------------------------------------------- */

struct kvm_need {
    int capability;
    const char *name;
};

static const struct kvm_need kvm_needs[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},   {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},       {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},   {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    {KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"}, {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
};

static int kvm_open(struct kvm_vm *kvm, struct error **err)
{
    int version;

    kvm->kvm_fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
    if (kvm->kvm_fd < 0) {
        return error_set(err, -errno, "accelerator 'kvm': can't open %s: %s", KVM_DEVICE, strerror(errno));
    }
    version = kvm_ioctl_value(kvm->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        return error_set(err, -ENOTSUP, "accelerator 'kvm': %s speaks version %d, not %d", KVM_DEVICE, version,
                         KVM_API_VERSION);
    }
    for (size_t i = 0; i < ARRAY_SIZE(kvm_needs); i++) {
        if (!kvm_capability(kvm->kvm_fd, kvm_needs[i].capability)) {
            return error_set(err, -ENOTSUP, "accelerator 'kvm': this host's KVM lacks %s", kvm_needs[i].name);
        }
    }
    return 0;
}

static int kvm_create_vm(struct kvm_vm *kvm, struct error **err)
{
    unsigned max = kvm_capability(kvm->kvm_fd, KVM_CAP_MAX_VCPUS);

    if (kvm->common.vcpu_max > max) {
        return error_set(err, -EINVAL, "-smp: this host's KVM can have %u CPUs, not %u", max, kvm->common.vcpu_max);
    }
    do {
        kvm->fd = kvm_ioctl_value(kvm->kvm_fd, KVM_CREATE_VM, 0);
    } while (kvm->fd == -EINTR);
    if (kvm->fd < 0) {
        return error_set(err, kvm->fd, "accelerator 'kvm': can't create a virtual machine: %s", strerror(-kvm->fd));
    }
    return 0;
}

/* Where KVM may put what some CPUs need to run real-mode code. */
static int kvm_reserve_addresses(struct kvm_vm *kvm, struct error **err)
{
    uint64_t identity = VM_RESERVED_START;
    int ret = 0;

    if (kvm_capability(kvm->fd, KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
        ret = kvm_ioctl(kvm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    }
    if (ret == 0 && kvm_capability(kvm->fd, KVM_CAP_SET_TSS_ADDR)) {
        ret = kvm_ioctl_value(kvm->fd, KVM_SET_TSS_ADDR, VM_RESERVED_START + 0x1000);
    }
    return ret < 0 ? error_set(err, ret, "accelerator 'kvm': can't reserve addresses: %s", strerror(-ret)) : 0;
}

static void kvm_look_at_capabilities(struct kvm_vm *kvm)
{
    kvm->coalesced_page = kvm_capability(kvm->fd, KVM_CAP_COALESCED_MMIO);
    kvm->has_coalesced_pio = kvm->coalesced_page && kvm_capability(kvm->fd, KVM_CAP_COALESCED_PIO);
    kvm->has_kvmclock_ctrl = kvm_capability(kvm->fd, KVM_CAP_KVMCLOCK_CTRL);
    kvm->has_any_length_ioeventfd = kvm_capability(kvm->fd, KVM_CAP_IOEVENTFD_ANY_LENGTH);
    kvm->run_bytes = kvm_ioctl_value(kvm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
}

/* --- a VM ------------------------------------------------------------------------------------------------------- */

static void kvm_close(struct kvm_vm *kvm)
{
    free(kvm->cpuid);
    if (kvm->fd >= 0) {
        close(kvm->fd);
    }
    if (kvm->kvm_fd >= 0) {
        close(kvm->kvm_fd);
    }
}

static int kvm_vm_init_host(struct kvm_vm *kvm, struct error **err)
{
    int ret = kvm_open(kvm, err);

    if (ret == 0) {
        ret = kvm_create_vm(kvm, err);
    }
    if (ret == 0) {
        ret = kvm_reserve_addresses(kvm, err);
    }
    if (ret == 0) {
        kvm_look_at_capabilities(kvm);
        ret = kvm_msrs_init(kvm, err);
    }
    return ret;
}

static int kvm_vm_init(struct vm *vm, struct error **err)
{
    struct kvm_vm *kvm = kvm_vm_of(vm);
    int ret;

    kvm->kvm_fd = -1;
    kvm->fd = -1;
    ret = kvm_vm_init_host(kvm, err);
    if (ret < 0) {
        goto fail;
    }
    ret = kvm_irqchip_init(kvm, err);
    if (ret < 0) {
        goto fail;
    }
    /* After the irqchip: what KVM offers depends on it. */
    ret = kvm_cpuid_init(kvm, err);
    if (ret < 0) {
        goto fail_irqchip;
    }
    kvm_coalesced_init(kvm);
    ret = kvm_memory_init(kvm, err);
    if (ret < 0) {
        goto fail_coalesced;
    }
    return 0;

fail_coalesced:
    kvm_coalesced_exit(kvm);
fail_irqchip:
    kvm_irqchip_exit(kvm);
fail:
    kvm_close(kvm);
    return ret;
}

static void kvm_vm_exit(struct vm *vm)
{
    struct kvm_vm *kvm = kvm_vm_of(vm);

    kvm_memory_exit(kvm);
    kvm_coalesced_exit(kvm);
    kvm_irqchip_exit(kvm);
    kvm_close(kvm);
}

static uint64_t kvm_tsc_khz(struct vm *vm)
{
    int khz = kvm_ioctl_value(kvm_vm_of(vm)->fd, KVM_GET_TSC_KHZ, 0);

    return khz > 0 ? khz : 0;
}

/* --- a vCPU ----------------------------------------------------------------------------------------------------- */

static int kvm_vcpu_open(struct kvm_vcpu *vcpu, struct error **err)
{
    struct kvm_vm *kvm = kvm_vm_of(vcpu->common.vm);

    vcpu->fd = kvm_ioctl_value(kvm->fd, KVM_CREATE_VCPU, vcpu->common.apic_id);
    if (vcpu->fd < 0) {
        return error_set(err, vcpu->fd, "accelerator 'kvm': can't create vCPU %u (APIC id %u): %s", vcpu->common.index,
                         vcpu->common.apic_id, strerror(-vcpu->fd));
    }
    vcpu->run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        vcpu->run = NULL;
        return error_set(err, -errno, "accelerator 'kvm': can't map vCPU %u: %s", vcpu->common.index, strerror(errno));
    }
    return 0;
}

static void kvm_vcpu_exit(struct vcpu *common)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);

    if (vcpu->run) {
        munmap(vcpu->run, kvm_vm_of(common->vm)->run_bytes);
    }
    if (vcpu->fd >= 0) {
        close(vcpu->fd);
    }
}

static int kvm_vcpu_init(struct vcpu *common, struct error **err)
{
    struct kvm_vcpu *vcpu = kvm_vcpu_of(common);
    struct kvm_vm *kvm = kvm_vm_of(common->vm);
    int ret;

    vcpu->fd = -1;
    kvm_kick_unblock();
    ret = kvm_vcpu_open(vcpu, err);
    if (ret == 0) {
        ret = kvm_cpuid_set(vcpu, err);
    }
    if (ret == 0 && common->vm->config.irqchip != VM_IRQCHIP_USER) {
        ret = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &vcpu->initial_lapic);
        if (ret < 0) {
            error_set(err, ret, "accelerator 'kvm': can't read vCPU %u's local APIC: %s", common->index,
                      strerror(-ret));
        }
    }
    if (ret == 0) {
        kvm_coalesced_set_ring(kvm, vcpu->fd);
        ret = kvm_reset_state(common, err);
    }
    if (ret < 0) {
        kvm_vcpu_exit(common);
    }
    return ret;
}

const struct accel_ops accel_kvm_ops = {
    .name = "kvm",
    .vm_size_bytes = sizeof(struct kvm_vm),
    .vcpu_size_bytes = sizeof(struct kvm_vcpu),
    .has_irqchip = true,
    .probe = kvm_probe,
    .vm_init = kvm_vm_init,
    .vm_exit = kvm_vm_exit,
    .vm_reset = kvm_irqchip_reset,
    .irq_line = kvm_irq_line,
    .irqfd_attach = kvm_irqfd_attach,
    .irqfd_detach = kvm_irqfd_detach,
    .msi_target = kvm_msi_target,
    .flush_coalesced = kvm_coalesced_flush_all,
    .tsc_khz = kvm_tsc_khz,
    .vcpu_init = kvm_vcpu_init,
    .vcpu_exit = kvm_vcpu_exit,
    .vcpu_run = kvm_run,
    .vcpu_kick = kvm_kick,
    .vcpu_resumed = kvm_resumed,
    .vcpu_inject_nmi = kvm_inject_nmi,
    .vcpu_interrupt_window = kvm_interrupt_window,
    .vcpu_inject_interrupt = kvm_inject_interrupt,
    .vcpu_reset = kvm_reset_state,
    .vcpu_get_state = kvm_get_state,
    .vcpu_set_state = kvm_set_state,
    .vcpu_translate = kvm_translate,
};
