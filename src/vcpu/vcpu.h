/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU: one thread that runs guest code and dispatches what the guest touches, holding nothing in between.
 *
 *               create                     resume                    pause, and the access is done
 *      (thread)---------> PAUSED -------------------> RUNNING ------------------------------------> PAUSED
 *                          ^  |                         |
 *                 reset,   |  | destroy                 | triple fault, failure: posts an event
 *                 set_state|  v                         v
 *                          |  ENDED                   PARKED (paused until reset or given a state)
 *                          +----------------------------+
 *
 * Others talk to it by request bits: set the bit, then kick. A kick makes the vCPU leave the guest, or not enter it, at
 * least once after the bit was set; the bits are looked at after every exit caused by a kick, and before every entry
 * (tests/model/vcpu_kick.pml).
 */
#ifndef HDL_VCPU_VCPU_H
#define HDL_VCPU_VCPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread.h"
#include "memory/flat_view.h"
#include "vcpu/cpu_state.h"
#include "vcpu/vm.h"

enum vcpu_state { VCPU_STARTING, VCPU_PAUSED, VCPU_RUNNING, VCPU_PARKED, VCPU_ENDED };

/* Where the thread is, for those who kick. */
enum vcpu_place {
    VCPU_IN_HOST,  /* will look at the requests before it enters the guest */
    VCPU_IN_GUEST, /* from before the last look at the requests to after the exit */
    VCPU_ASLEEP,   /* halted: waits for the requests word to change */
};

/* Request bits. */
enum vcpu_request {
    VCPU_REQUEST_KICK = 1 << 0,      /* leave the guest once, for its own sake */
    VCPU_REQUEST_PAUSE = 1 << 1,     /* look whether the VM should stand still */
    VCPU_REQUEST_JOB = 1 << 2,       /* run_on */
    VCPU_REQUEST_NMI = 1 << 3,       /* inject one */
    VCPU_REQUEST_INTERRUPT = 1 << 4, /* ask the interrupt source */
    VCPU_REQUEST_END = 1 << 5,       /* the thread is to end */
    VCPU_REQUEST_INIT = 1 << 6,      /* USER: take an INIT */
    VCPU_REQUEST_SIPI = 1 << 7,      /* USER: take a start-up message, if it is waited for */
    /*
     * The accelerator has something for its vCPU to do: vcpu_run clears the bit itself, before it runs the guest. A
     * halted vCPU sleeps on: it isn't in the guest, and won't be before it has looked.
     */
    VCPU_REQUEST_ACCEL = 1 << 8,
};

struct vcpu_job;

/*
 * vm, index, apic_id, bootstrap: immutable; signature too, once vcpu_init has set it. requests, sipi_vector, place,
 * state, exits: any thread, atomically. jobs, posted*, has_posted: under vm->lock. memory_cache, io_cache, halted,
 * waits_for_sipi, start_*: the vCPU's thread.
 */
struct vcpu {
    struct vm *vm;
    unsigned index;
    uint32_t apic_id;
    bool bootstrap;
    uint32_t signature; /* CPUID.1:EAX, which EDX holds after reset and INIT */
    struct hdl_thread thread;
    _Atomic uint32_t requests;
    _Atomic uint8_t sipi_vector; /* of the last one asked for */
    _Atomic enum vcpu_place place;
    _Atomic enum vcpu_state state;
    _Atomic uint64_t exits; /* for people */
    struct flat_cache memory_cache, io_cache;
    bool halted;
    bool waits_for_sipi; /* USER: power-on or INIT, but for the bootstrap processor; sleeps as if halted */
    int start_result;    /* read by vcpu_create once the state isn't STARTING */
    struct error *start_error;
    struct vcpu_job *jobs; /* vm->lock, as the next two: an attribute can name siblings only */
    struct vcpu_job **jobs_tail;
    bool parked;
    struct bh post;
    struct vm_event posted;
    char posted_what[192];
    char *posted_report; /* owned */
    bool has_posted;     /* posted is for `post` to tell; not if the vCPU was unparked meanwhile */
};

/*
 * Starts the thread, which makes the accelerator's vCPU in power-on state and waits. index < the topology's count.
 * Configuration thread, no lock held; the VM is paused. NULL and an error.
 */
struct vcpu *vcpu_create(struct vm *vm, unsigned index, struct error **err);
/* vm_destroy does it. Ends the thread and frees. The VM is paused, no lock held; loop thread, or the loop is stopped.
 */
void vcpu_destroy(struct vcpu *vcpu);

/* Makes the vCPU leave the guest once. Any thread, under any lock, never blocks; async-signal-unsafe. */
void vcpu_kick(struct vcpu *vcpu);
/* Injects a non-maskable interrupt. As vcpu_kick. */
void vcpu_nmi(struct vcpu *vcpu);
/* The answer of the interrupt source may have changed: wakes a halted vCPU and makes a running one ask. As vcpu_kick.
 */
void vcpu_interrupt(struct vcpu *vcpu);
/*
 * USER: INIT, and the start-up message of Intel SDM 3, 9.4 ("multiple-processor initialization"). The vCPU's own thread
 * takes them between two instructions: INIT gives its registers their INIT state and makes it wait for a start-up
 * message (the bootstrap processor starts at the reset vector); the message makes one that waits start in real mode at
 * vector << 12, and is dropped by one that doesn't. An INIT overrides a message sent before it. As vcpu_kick.
 */
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_sipi(struct vcpu *vcpu, uint8_t vector);

/*
 * Runs fn(vcpu, opaque) on the vCPU's thread, outside the guest and outside dispatch, with complete state and no lock
 * held, and returns when it has run; at once on the vCPU's own thread outside dispatch. Works paused and running. Jobs
 * run in order. Any thread that isn't another vCPU and holds no lock; blocks.
 */
void vcpu_run_on(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *opaque), void *opaque);

/* Complete state, through vcpu_run_on. The VM should be paused, or the answer is old when it comes. */
int vcpu_get_state(struct vcpu *vcpu, struct cpu_state *state, struct error **err);
/* Unparks. state must be one that a CPU can be in: the accelerator may refuse others with -EINVAL. */
int vcpu_set_state(struct vcpu *vcpu, const struct cpu_state *state, struct error **err);
/* Power-on state, the accelerator's local APIC included. NMIs, INITs and start-up messages sent before are dropped.
 * Unparks. */
int vcpu_reset(struct vcpu *vcpu, struct error **err);

/*
 * The guest's time-stamp counter now; 0 if the accelerator doesn't tell (KVM, which then doesn't offer TSC-deadline
 * timers with USER). The vCPU's own thread, no lock needed, doesn't block.
 */
uint64_t vcpu_tsc(struct vcpu *vcpu);

/* The vCPU that the calling thread is, or NULL. */
struct vcpu *vcpu_current(void);

#endif
