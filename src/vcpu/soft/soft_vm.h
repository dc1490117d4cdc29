/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the software CPUs of one VM share. Only src/vcpu/soft knows it. */
#ifndef HDL_VCPU_SOFT_SOFT_VM_H
#define HDL_VCPU_SOFT_SOFT_VM_H

#include "memory/address_space.h"
#include "vcpu/soft/clock.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/vm.h"

struct soft_memory; /* memory.h */
struct soft_decoder;

/* Immutable after init, but for memory and clock, which synchronise themselves. */
struct soft_vm {
    struct vm common;
    struct soft_decoder *decoder;
    struct soft_memory *memory;
    struct soft_features features;
    uint64_t tsc_khz;
    struct soft_clock clock;
};

static inline struct soft_vm *soft_vm_of(struct vm *vm)
{
    return container_of(vm, struct soft_vm, common);
}

static inline struct soft_vm *soft_vm_of_cpu(struct soft_cpu *cpu)
{
    return soft_vm_of(soft_common(cpu)->vm);
}

/* memory.c: listens to the memory space. Configuration thread. */
int soft_memory_init(struct soft_vm *vm, struct error **err);
void soft_memory_exit(struct soft_vm *vm);
/*
 * A vCPU comes and goes: before its first run, and after its last. Its own thread, no lock held; detaching waits for a
 * grace period.
 */
void soft_memory_attach(struct soft_cpu *cpu);
void soft_memory_detach(struct soft_cpu *cpu);

#endif
