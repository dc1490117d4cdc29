/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an accelerator implements, so that the run loop (vcpu.c) and everything above know only one kind. Two exist in
 * the design: KVM (kvm/) and a software CPU (soft/). Machines use vm.h and vcpu.h; only vcpu/ calls these ops.
 */
#ifndef HDL_VCPU_ACCEL_H
#define HDL_VCPU_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vcpu/cpu_state.h"
#include "vcpu/vcpu.h"
#include "vcpu/vm.h"

/* What an accelerator can do on this host. */
struct accel_probe {
    bool usable;       /* guests can be created */
    bool full_speed;   /* it can run an operating system: KVM with hardware behind it, or a software CPU */
    char summary[160]; /* one line that says so, and why not */
};

/* Why a vCPU came back. Data pointers are the accelerator's, valid until the next run. */
enum vcpu_exit_kind {
    VCPU_EXIT_INTERRUPTED, /* kicked; any access under way is complete */
    VCPU_EXIT_AGAIN,       /* handled by the accelerator: run again */
    VCPU_EXIT_PIO,
    VCPU_EXIT_MMIO,
    VCPU_EXIT_HLT,        /* with no interrupt controller in the accelerator */
    VCPU_EXIT_IRQ_WINDOW, /* the guest can take an interrupt now */
    VCPU_EXIT_EOI,        /* SPLIT: for the machine's IOAPIC */
    VCPU_EXIT_TRIPLE_FAULT,
    VCPU_EXIT_SYSTEM_EVENT,
    VCPU_EXIT_FAILED,
};

struct vcpu_exit {
    enum vcpu_exit_kind kind;
    union {
        struct {
            uint16_t port;
            uint8_t size_bytes; /* 1, 2 or 4 */
            uint32_t count;     /* repetitions, all at the same port */
            bool is_write;
            uint8_t *data; /* count elements, little-endian; a read fills them */
        } pio;
        struct {
            uint64_t gpa;
            uint8_t size_bytes; /* 1..8 */
            bool is_write;
            uint8_t *data; /* little-endian; a read fills it */
        } mmio;
        uint8_t eoi_vector;
        enum vm_event_kind system_event;
        char failure[192]; /* one line, no full stop */
    };
};

struct accel_ops {
    const char *name;                      /* as in -accel NAME */
    size_t vm_size_bytes, vcpu_size_bytes; /* of the structures whose first member is struct vm, struct vcpu */
    bool is_interpreter; /* guest code costs many times what the host's own does (vm_is_interpreted) */
    bool has_irqchip;    /* it can have interrupt controllers: KERNEL and SPLIT exist */

    /* Any thread, no lock held. May take some milliseconds. */
    void (*probe)(struct accel_probe *probe);

    /* Configuration thread. vm is zeroed but for its common part. On failure nothing is left. */
    int (*vm_init)(struct vm *vm, struct error **err);
    void (*vm_exit)(struct vm *vm);
    /* Power-on state of interrupt controllers and timers in the accelerator. The VM is paused. */
    int (*vm_reset)(struct vm *vm, struct error **err);

    /* See vm.h. */
    struct irq_line (*irq_line)(struct vm *vm, unsigned gsi);
    int (*irqfd_attach)(struct vm *vm, unsigned gsi, int event_fd, int resample_fd);
    void (*irqfd_detach)(struct vm *vm, unsigned gsi, int event_fd);
    struct msi_target *(*msi_target)(struct vm *vm);
    void (*flush_coalesced)(struct vm *vm);
    uint64_t (*tsc_khz)(struct vm *vm);

    /* The vCPU's own thread, no lock held, for all that follow, but for kick. */
    int (*vcpu_init)(struct vcpu *vcpu, struct error **err); /* sets signature */
    void (*vcpu_exit)(struct vcpu *vcpu);
    /*
     * Enters the guest and returns why it came back. Sets place to VCPU_IN_GUEST, then looks at requests: if any is
     * set, it completes an access that is under way and returns VCPU_EXIT_INTERRUPTED without running the guest;
     * VCPU_REQUEST_ACCEL is its own, which it clears. place is VCPU_IN_HOST again when it returns.
     */
    void (*vcpu_run)(struct vcpu *vcpu, struct vcpu_exit *exit);
    /*
     * Any thread, under any lock: a request bit was set before the call. Makes a vCPU that is in the guest come out;
     * nothing need be done for one that isn't.
     */
    void (*vcpu_kick)(struct vcpu *vcpu);
    /* The guest will run again after a pause: its clocks may say so. May be NULL. */
    void (*vcpu_resumed)(struct vcpu *vcpu);
    /* The guest stands still from here on, and its clocks should. May be NULL. */
    void (*vcpu_stopped)(struct vcpu *vcpu);
    int (*vcpu_inject_nmi)(struct vcpu *vcpu);
    /* Whether the guest can take an external interrupt at its next instruction; if not, asks for VCPU_EXIT_IRQ_WINDOW.
     */
    bool (*vcpu_interrupt_window)(struct vcpu *vcpu);
    int (*vcpu_inject_interrupt)(struct vcpu *vcpu, uint8_t vector);
    int (*vcpu_reset)(struct vcpu *vcpu, struct error **err);
    int (*vcpu_get_state)(struct vcpu *vcpu, struct cpu_state *state, struct error **err);
    int (*vcpu_set_state)(struct vcpu *vcpu, const struct cpu_state *state, struct error **err);
    /* See vcpu.h. May be NULL: the guest is offered no TSC deadline with USER. */
    uint64_t (*vcpu_tsc)(struct vcpu *vcpu);
    /* The guest-physical address of a linear one, by the CPU's present paging. False: not mapped. */
    bool (*vcpu_translate)(struct vcpu *vcpu, uint64_t linear, uint64_t *gpa);
};

/* Every accelerator built in, in the order of preference; ends with NULL. */
const struct accel_ops *const *accel_table(void);
/* NULL if there is none of that name. */
const struct accel_ops *accel_find(const char *name);

extern const struct accel_ops accel_kvm_ops;  /* kvm/kvm.c */
extern const struct accel_ops accel_soft_ops; /* soft/soft.c */

/* --- what the parts of vcpu/ share (vcpu.c, pause.c, exit.c) ------------------------------------------------------ */

/* Sets request bits and makes the vCPU look at them. Any thread, under any lock, never blocks. */
void vcpu_request(struct vcpu *vcpu, uint32_t bits);
/* Own thread, outside dispatch: jobs, pauses, the end. Returns false when the thread is to end. */
bool vcpu_stand_still(struct vcpu *vcpu);
/* Own thread: does what an exit asks for. */
void vcpu_handle_exit(struct vcpu *vcpu, const struct vcpu_exit *exit);
/* Own thread: parks the vCPU and tells the machine. what is copied. */
void vcpu_post_event(struct vcpu *vcpu, enum vm_event_kind kind, const char *what, bool with_report);
/* The bottom half of it: loop thread. */
void vcpu_post_run(void *opaque);
/* Any thread but under vm->lock. A parked vCPU stands still whether the VM is paused or not. */
void vcpu_set_parked(struct vcpu *vcpu, bool parked);
/* No vCPU enters the guest until the failure is cleared. Doesn't wait. Any thread. */
void vm_fail(struct vm *vm);
void vm_clear_failure(struct vm *vm);

#endif
