/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine as its accelerator sees it: guest memory and ports, interrupt inputs, and its vCPUs together.
 *
 * The machine creates one, then its vCPUs (vcpu.h), all paused; sets their state; and resumes. What happens to the
 * guest as a whole (it shut down, crashed, or the accelerator can't go on) comes back as events on the machine's event
 * loop: a vCPU thread posts and parks, it never waits for anybody.
 */
#ifndef HDL_VCPU_VM_H
#define HDL_VCPU_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/lock.h"
#include "device/irq.h"
#include "event/event_loop.h"
#include "memory/address_space.h"
#include "vcpu/cpu_model.h"

struct accel_ops;
struct vcpu;

/*
 * Guest addresses that the accelerator may keep for itself (KVM's identity map and task state on Intel): no RAM and no
 * device may be there, and the guest's memory map has to call them reserved.
 */
#define VM_RESERVED_START UINT64_C(0xfeffc000)
#define VM_RESERVED_BYTES UINT64_C(0x4000)

/* Where interrupt controllers live (-M kernel-irqchip=). */
enum vm_irqchip {
    VM_IRQCHIP_KERNEL, /* on: local APICs, IOAPIC and PIC in the accelerator */
    VM_IRQCHIP_SPLIT,  /* local APICs in the accelerator, IOAPIC and PIC in the machine */
    VM_IRQCHIP_USER,   /* off: all in the machine */
};

enum vm_event_kind {
    VM_EVENT_TRIPLE_FAULT, /* the CPU shut itself down: reset or exit, as the user asked */
    VM_EVENT_GUEST_RESET,  /* asked for through the accelerator */
    VM_EVENT_GUEST_SHUTDOWN,
    VM_EVENT_GUEST_CRASH,
    VM_EVENT_FAILED, /* the accelerator can't go on; all vCPUs have been told to stand still */
};

/* Valid during the callback. */
struct vm_event {
    enum vm_event_kind kind;
    unsigned vcpu_index;
    const char *what;   /* one line: what happened */
    const char *report; /* FAILED and TRIPLE_FAULT: registers and code bytes, several lines; may be NULL */
};

/*
 * An interrupt controller in the machine that a vCPU asks when the accelerator has none (USER), or for the PIC's
 * ExtINT (SPLIT, CPU 0 only). Called on the vCPU's thread with no lock held; may take a lock of INTC rank, but doesn't
 * block; never before the vCPUs are first reset or run. Whenever the answer of `pending` may have become true, the
 * controller calls vcpu_interrupt(); also when it was the vCPU itself that changed something, by one of these functions
 * or by an access to the controller's registers.
 */
struct vm_interrupt_source {
    bool (*pending)(void *opaque, unsigned vcpu_index);
    /* The vector, now acknowledged; or -1 if there is none any more. */
    int (*acknowledge)(void *opaque, unsigned vcpu_index);
    /* SPLIT: the guest ended a level-triggered interrupt of this vector. May be NULL. */
    void (*end_of_interrupt)(void *opaque, uint8_t vector);

    /* USER only, from here on. */

    /*
     * The local APIC's model-specific registers: IA32_APIC_BASE (0x1b), IA32_TSC_DEADLINE (0x6e0), x2APIC
     * (0x800..0x8ff). False: the guest gets #GP. An accelerator whose CPUID denies x2APIC or the TSC deadline refuses
     * them itself. One whose time-stamp counter jumps (WRMSR) reads the deadline before that and writes it after.
     */
    bool (*msr_read)(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t *value);
    bool (*msr_write)(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t value);
    /* The task-priority register, 8 bits; CR8 is its upper four. */
    uint8_t (*get_tpr)(void *opaque, unsigned vcpu_index);
    void (*set_tpr)(void *opaque, unsigned vcpu_index, uint8_t tpr);
    /* The vCPU takes an INIT: the local APIC goes to its INIT state. Called by vcpu.c only, not by accelerators. */
    void (*init)(void *opaque, unsigned vcpu_index);
    void *opaque;
};

struct vm_config {
    struct address_space *memory, *io; /* must outlive the VM */
    struct cpu_model cpu;
    struct cpu_topology topology;
    enum vm_irqchip irqchip; /* as asked for: an accelerator that has none makes it USER (vm_irqchip) */
    bool pit;                /* KERNEL: an 8254 with port 0x61 in the accelerator, too */
    struct event_loop *loop; /* where `event` is called */
    /*
     * Loop thread, no lock held. May pause, reset and resume. The vCPU that it came from stands still until it is
     * reset, or set_state or destroyed.
     */
    void (*event)(void *opaque, const struct vm_event *event);
    void *event_opaque;
    /*
     * The accelerator begins to hold back writes (it got the first coalesced range), or has no such range any more:
     * vm_flush_coalesced is to be called from time to time meanwhile. Any thread, under the memory map's lock, during
     * vm_create and vm_destroy too. May be NULL.
     */
    void (*coalescing)(void *opaque, bool on);
    void *coalescing_opaque;
    struct vm_interrupt_source interrupts; /* not used with KERNEL, as pit isn't but with KERNEL */
};

/*
 * ops, passed_over, config: immutable. vcpus: each slot written once by vcpu_create on the configuration thread, before
 * it is resumed; read by anybody afterwards. failed: any thread. The rest: under `lock`.
 */
struct vm {
    const struct accel_ops *ops;
    char passed_over[200];
    struct vm_config config;
    unsigned vcpu_max;
    struct vcpu **vcpus;
    struct hdl_mutex lock;   /* leaf: pausing and run-on; never held around a call out of vcpu/ */
    struct hdl_cond changed; /* a vCPU started, paused or finished a job: others wait for it */
    struct hdl_cond resumed; /* there may be something to do: vCPUs that stand still wait for it */
    unsigned pause_count HDL_GUARDED_BY(&lock);
    _Atomic bool failed; /* no vCPU enters the guest until vm_reset */
};

/*
 * names: accelerators to be tried in order ("kvm", "soft"); one that can't run an operating system here is passed over
 * if another follows (vm_passed_over). The last error is reported if none works. Adds listeners to both spaces. The VM
 * is paused, with no vCPU. Configuration thread, no lock held. NULL and an error that says what is missing.
 */
struct vm *vm_create(const char *const *names, size_t count, const struct vm_config *config, struct error **err);
/* Ends the vCPUs' threads and removes the listeners. Configuration thread, no lock held; loop thread or loop stopped.
 */
void vm_destroy(struct vm *vm);
/*
 * Whether the VM's accelerator can run an operating system on this host; if not, *summary (len_bytes long) says why in
 * one line. Takes some milliseconds. Any thread, no lock held.
 */
bool vm_is_full_speed(const struct vm *vm, char *summary, size_t len_bytes);
/* "kvm" or "soft". */
const char *vm_accelerator_name(const struct vm *vm);
/*
 * Whether guest code costs many times what the host's own does: what the machine can do in the guest's stead before it
 * starts, it should.
 */
bool vm_is_interpreted(const struct vm *vm);
/* Why the accelerators before it weren't taken: one line about the last of them, or "". */
const char *vm_passed_over(const struct vm *vm);
/* Where the interrupt controllers are: what was asked for, or USER if the accelerator has none. */
enum vm_irqchip vm_irqchip(const struct vm *vm);

/*
 * Pausing. A paused VM's vCPUs are outside the guest and outside dispatch, and their state is complete (no access half
 * done). Nests: it runs when every pause has been resumed. vm_pause returns when all stand still: this takes as long as
 * the handlers that are under way, since a vCPU in dispatch finishes it first, and dispatch never waits for a pause.
 * Any thread that isn't a vCPU and holds no lock. A vCPU thread (a handler that wants the VM stopped) posts to the loop
 * instead, or uses vm_request_pause.
 */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* As vm_pause, but doesn't wait. Any thread, under device locks too. */
void vm_request_pause(struct vm *vm);
bool vm_is_paused(struct vm *vm);

/*
 * Power-on state of all vCPUs and of the accelerator's interrupt controllers; clears a failure. The VM is paused. Any
 * thread that isn't a vCPU and holds no lock.
 */
int vm_reset(struct vm *vm, struct error **err);

/*
 * The interrupt input `gsi`: 0..15 are the ISA interrupts (PIC and IOAPIC pin of the same number, but 0 is IOAPIC pin
 * 2), 16..23 IOAPIC pins. KERNEL only: otherwise the line is connected to nothing. Setting it takes no lock of ours.
 */
struct irq_line vm_irq_line(struct vm *vm, unsigned gsi);
/*
 * Each write to event_fd raises gsi: as an edge, or (resample_fd >= 0) as a level that the guest's end-of-interrupt
 * lowers and reports on resample_fd. 0, -ENOTSUP, or another negative errno. Any thread, under device locks.
 */
int vm_irqfd_attach(struct vm *vm, unsigned gsi, int event_fd, int resample_fd);
void vm_irqfd_detach(struct vm *vm, unsigned gsi, int event_fd);
/* Where message-signalled interrupts go; lives as long as the VM. NULL with USER. */
struct msi_target *vm_msi_target(struct vm *vm);

/*
 * Writes that the accelerator still holds back for coalesced regions of devices that nobody accesses: hands them to
 * their devices as deferred work. The machine calls it from a timer, 10 to 60 times a second while vm_config.coalescing
 * said on, and when it has paused: in a paused VM nothing is held back afterwards, unless a device's lock is held
 * elsewhere. Any thread that holds no lock; doesn't wait for device locks.
 */
void vm_flush_coalesced(struct vm *vm);

/* The guest's time-stamp counter's frequency; 0 if unknown. */
uint64_t vm_tsc_khz(struct vm *vm);
/* Whether vcpu_tsc (vcpu.h) works. */
bool vm_tells_tsc(const struct vm *vm);

#endif
