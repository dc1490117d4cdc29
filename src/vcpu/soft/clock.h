/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's clock: one counter for all its CPUs, the host's time-stamp counter and an offset. It stands still while no
 * vCPU of the VM runs, so a paused guest's clocks stop and its CPUs stay synchronised. What a guest adds on one CPU
 * (WRMSR to TSC or TSC_ADJUST) is that CPU's msr.tsc_adjust.
 *
 * KVM's paravirtual clock counts from the same zero, so its parameters never change (kvm_clock.c).
 */
#ifndef HDL_VCPU_SOFT_CLOCK_H
#define HDL_VCPU_SOFT_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct soft_cpu;

/*
 * lock: leaf. running: vCPUs that have resumed and not stopped. offset: changes only while running is 0, so a running
 * vCPU's thread reads it without the lock.
 */
struct soft_clock {
    struct hdl_mutex lock;
    unsigned running HDL_GUARDED_BY(&lock);
    uint64_t stopped_at HDL_GUARDED_BY(&lock); /* the host's counter when running became 0 */
    _Atomic uint64_t offset;                   /* the VM's counter less the host's */
};

/* The VM's counter begins at 0 and stands still. Configuration thread. */
void soft_clock_init(struct soft_clock *clock);
void soft_clock_exit(struct soft_clock *clock);

/*
 * The vCPU's thread, no lock held: it is going to run guest code after standing still, or to stand still. The clock
 * runs from the first of one to the last of the other. Idempotent.
 */
void soft_clock_resumed(struct soft_cpu *cpu);
void soft_clock_stopped(struct soft_cpu *cpu);
/* The VM's counter. The vCPU's thread. */
uint64_t soft_clock_read(struct soft_cpu *cpu);
/* Sets the VM's counter if it stands still, and does nothing if it runs: other CPUs would see it jump. */
void soft_clock_set(struct soft_cpu *cpu, uint64_t value);

/* The host's counter's frequency: what its CPUID says, else measured for some milliseconds. Any thread. */
uint64_t soft_tsc_khz_measure(void);

/* kvm_clock.c: writes what the guest asked for by KVM's model-specific registers into its memory. The vCPU's thread. */
void soft_kvm_clock_publish(struct soft_cpu *cpu);
void soft_kvm_wall_clock_publish(struct soft_cpu *cpu);

/* Nanoseconds are (ticks << shift) * multiplier >> 32; a negative shift is one to the right. Pure. */
void soft_kvm_clock_scale(uint64_t tsc_khz, uint32_t *multiplier, int8_t *shift);
uint64_t soft_kvm_clock_ns(uint64_t ticks, uint32_t multiplier, int8_t shift);

#endif
