/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to kvm/: what its files share. The only headers and sources that know linux/kvm.h are here. */
#ifndef HDL_VCPU_KVM_KVM_VM_H
#define HDL_VCPU_KVM_KVM_VM_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/lock.h"
#include "device/device.h"
#include "vcpu/accel.h"

/* Interrupt inputs of the PC: routes 0..23 (see irqchip.c), message routes behind them. */
#define KVM_GSI_PINS   24
#define KVM_ROUTES_MAX 1024
#define KVM_CPUID_MAX  256
#define KVM_MSRS_MAX   64
#define KVM_ZONES_MAX  64

/* A memory slot in use. Under the memory map's lock. */
struct kvm_slot {
    bool used, read_only;
    uint64_t start, len_bytes;
    uint8_t *host;
};

/* A coalesced range: writes to it go to the ring. Under kvm_coalesced.lock; work synchronises itself. */
struct kvm_zone {
    bool used, pio;
    uint64_t start, last;
    const struct region *region;
    uint64_t region_offset;
    struct device *device;
    struct device_work work; /* flushes a device that nobody accesses */
};

/*
 * ring: set once, under lock, when the first vCPU shows it. The lock is a leaf: held while entries are copied out of
 * the ring, never around a handler.
 */
struct kvm_coalesced {
    struct device_write_buffer buffer;
    struct hdl_mutex lock;
    struct kvm_coalesced_mmio_ring *ring HDL_GUARDED_BY(&lock);
    unsigned ring_entries HDL_GUARDED_BY(&lock);
    struct kvm_zone zones[KVM_ZONES_MAX] HDL_GUARDED_BY(&lock);
    unsigned zone_count HDL_GUARDED_BY(&lock);
};

/* The routing table as KVM was told. */
struct kvm_routes {
    struct hdl_mutex lock; /* LOCK_RANK_INTC */
    unsigned max;          /* immutable */
    uint32_t used[KVM_ROUTES_MAX / 32] HDL_GUARDED_BY(&lock);
    struct msi_message messages[KVM_ROUTES_MAX] HDL_GUARDED_BY(&lock);
    struct kvm_irq_routing *table HDL_GUARDED_BY(&lock); /* built anew for each change */
};

/* Immutable after kvm_vm_init, unless said otherwise. */
struct kvm_vm {
    struct vm common;
    int kvm_fd, fd;
    int run_bytes;      /* of a vCPU's shared area */
    int coalesced_page; /* its ring's page there; 0: KVM has none */
    bool has_coalesced_pio, has_kvmclock_ctrl, has_any_length_ioeventfd;
    struct kvm_cpuid2 *cpuid; /* for every vCPU, before its own ids are filled in */
    uint32_t msr_indices[KVM_MSRS_MAX];
    unsigned msr_count;

    struct memory_listener memory_listener, io_listener;
    struct kvm_slot *slots; /* under the map's lock */
    unsigned slot_count;
    _Atomic uint64_t slots_begun, slots_done; /* transactions that changed slots: written under the map's lock */
    bool slots_changing;                      /* under the map's lock */

    struct msi_target msi;
    struct kvm_routes routes;
    struct kvm_irqchip initial_chips[3]; /* PIC master, PIC slave, IOAPIC */
    struct kvm_pit_state2 initial_pit;
    struct kvm_coalesced coalesced;
};

/* run: shared with the kernel; its immediate_exit is written by any thread. The rest: the vCPU's thread. */
struct kvm_vcpu {
    struct vcpu common;
    int fd;
    struct kvm_run *run;
    struct kvm_lapic_state initial_lapic;
    uint8_t entry_cr8; /* USER: as the guest was entered with it */
};

static inline struct kvm_vm *kvm_vm_of(struct vm *vm)
{
    return container_of(vm, struct kvm_vm, common);
}

static inline struct kvm_vcpu *kvm_vcpu_of(struct vcpu *vcpu)
{
    return container_of(vcpu, struct kvm_vcpu, common);
}

/* ioctl(2) that returns a negative errno instead of setting one. */
int kvm_ioctl(int fd, unsigned long request, void *argument);
int kvm_ioctl_value(int fd, unsigned long request, unsigned long argument);
/* The value of a capability; 0 if KVM lacks it. */
int kvm_capability(int fd, int capability);

/* probe.c */
void kvm_probe(struct accel_probe *probe);

/* memory_slots.c. Configuration thread. */
int kvm_memory_init(struct kvm_vm *kvm, struct error **err);
void kvm_memory_exit(struct kvm_vm *kvm);

/* ioeventfd.c: the listeners' part. */
void kvm_ioeventfd_set(struct kvm_vm *kvm, const struct ioeventfd *event, bool pio, bool on);

/* irqchip.c */
int kvm_irqchip_init(struct kvm_vm *kvm, struct error **err);
void kvm_irqchip_exit(struct kvm_vm *kvm);
int kvm_irqchip_reset(struct vm *vm, struct error **err);
struct irq_line kvm_irq_line(struct vm *vm, unsigned gsi);
int kvm_irqfd_attach(struct vm *vm, unsigned gsi, int event_fd, int resample_fd);
void kvm_irqfd_detach(struct vm *vm, unsigned gsi, int event_fd);
struct msi_target *kvm_msi_target(struct vm *vm);

/* cpuid.c */
int kvm_cpuid_init(struct kvm_vm *kvm, struct error **err);
int kvm_cpuid_set(struct kvm_vcpu *vcpu, struct error **err);

/* regs.c */
int kvm_msrs_init(struct kvm_vm *kvm, struct error **err);
int kvm_get_state(struct vcpu *vcpu, struct cpu_state *state, struct error **err);
int kvm_set_state(struct vcpu *vcpu, const struct cpu_state *state, struct error **err);
int kvm_reset_state(struct vcpu *vcpu, struct error **err);
bool kvm_translate(struct vcpu *vcpu, uint64_t linear, uint64_t *gpa);

/* run.c */
void kvm_run(struct vcpu *vcpu, struct vcpu_exit *exit);
void kvm_kick(struct vcpu *vcpu);
void kvm_kick_unblock(void);
int kvm_inject_nmi(struct vcpu *vcpu);
bool kvm_interrupt_window(struct vcpu *vcpu);
int kvm_inject_interrupt(struct vcpu *vcpu, uint8_t vector);
void kvm_resumed(struct vcpu *vcpu);
/* USER: CR8 of a state is the machine's local APIC's. Otherwise nothing. */
void kvm_apic_get_cr8(struct vcpu *vcpu, struct cpu_state *state);
void kvm_apic_set_cr8(struct vcpu *vcpu, const struct cpu_state *state);

/* coalesced.c. Zones: under the map's lock. */
void kvm_coalesced_init(struct kvm_vm *kvm);
void kvm_coalesced_exit(struct kvm_vm *kvm);
/* The first vCPU's thread. */
void kvm_coalesced_set_ring(struct kvm_vm *kvm, int vcpu_fd);
void kvm_coalesced_add(struct kvm_vm *kvm, const struct flat_range *range, bool pio);
void kvm_coalesced_del(struct kvm_vm *kvm, const struct flat_range *range, bool pio);
void kvm_coalesced_flush_all(struct vm *vm);

#endif
