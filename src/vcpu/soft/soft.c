/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator "soft": a software x86-64 CPU for hosts without usable KVM. Here is its table of operations and the
 * life of its VMs and vCPUs; how they run is in run.c. Interrupt controllers are the machine's (VM_IRQCHIP_USER).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vcpu/soft/block.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/run.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/soft_vm.h"
#include "vcpu/soft/system.h"

static void soft_probe(struct accel_probe *probe)
{
    *probe = (struct accel_probe){.usable = true, .full_speed = true};
    snprintf(probe->summary, sizeof(probe->summary), "soft: a software CPU");
}

/* --- a VM --------------------------------------------------------------------------------------------------------- */

static int soft_vm_init(struct vm *common, struct error **err)
{
    struct soft_vm *vm = soft_vm_of(common);
    int ret = soft_features_init(&vm->features, &common->config.cpu, err);

    if (ret < 0) {
        return ret;
    }
    vm->tsc_khz = soft_tsc_khz_measure();
    soft_clock_init(&vm->clock);
    vm->decoder = soft_decoder_create();
    if (!vm->decoder) {
        soft_clock_exit(&vm->clock);
        return error_set(err, -ENOMEM, "accelerator 'soft': out of memory");
    }
    ret = soft_memory_init(vm, err);
    if (ret < 0) {
        soft_clock_exit(&vm->clock);
        soft_decoder_destroy(vm->decoder);
    }
    return ret;
}

static void soft_vm_exit(struct vm *common)
{
    struct soft_vm *vm = soft_vm_of(common);

    soft_memory_exit(vm);
    soft_clock_exit(&vm->clock);
    soft_decoder_destroy(vm->decoder);
}

static int soft_vm_reset(struct vm *common, struct error **err)
{
    return 0; /* it has nothing but vCPUs */
}

static struct irq_line soft_irq_line(struct vm *vm, unsigned gsi)
{
    return (struct irq_line){0};
}

static int soft_irqfd_attach(struct vm *vm, unsigned gsi, int event_fd, int resample_fd)
{
    return -ENOTSUP;
}

static void soft_irqfd_detach(struct vm *vm, unsigned gsi, int event_fd)
{
}

static struct msi_target *soft_msi_target(struct vm *vm)
{
    return NULL;
}

static void soft_flush_coalesced(struct vm *vm)
{
}

static uint64_t soft_vm_tsc_khz(struct vm *vm)
{
    return soft_vm_of(vm)->tsc_khz;
}

/* --- a vCPU ------------------------------------------------------------------------------------------------------- */

static int soft_vcpu_init(struct vcpu *common, struct error **err)
{
    struct soft_cpu *cpu = &soft_vcpu_of(common)->cpu;
    struct soft_vm *vm = soft_vm_of(common->vm);

    cpu->cache = soft_cache_create(vm->decoder);
    if (!cpu->cache) {
        return error_set(err, -ENOMEM, "accelerator 'soft': out of memory for vCPU %u", common->index);
    }
    cpu->jumps = soft_cache_jumps(cpu->cache);
    cpu->features = vm->features;
    soft_memory_attach(cpu);
    common->signature = vm->features.identity.signature;
    soft_cpu_reset(cpu, common->bootstrap);
    return 0;
}

static void soft_vcpu_exit(struct vcpu *common)
{
    soft_memory_detach(&soft_vcpu_of(common)->cpu);
    soft_cache_destroy(soft_vcpu_of(common)->cpu.cache);
}

static int soft_vcpu_reset(struct vcpu *common, struct error **err)
{
    struct soft_cpu *cpu = &soft_vcpu_of(common)->cpu;

    soft_cpu_reset(cpu, common->bootstrap);
    soft_cache_clear(cpu);
    return 0;
}

static uint64_t soft_vcpu_tsc(struct vcpu *common)
{
    return soft_tsc(&soft_vcpu_of(common)->cpu);
}

static void soft_vcpu_resumed(struct vcpu *common)
{
    soft_clock_resumed(&soft_vcpu_of(common)->cpu);
}

static void soft_vcpu_stopped(struct vcpu *common)
{
    soft_clock_stopped(&soft_vcpu_of(common)->cpu);
}

static bool soft_vcpu_translate(struct vcpu *common, uint64_t linear, uint64_t *gpa)
{
    return soft_translate(&soft_vcpu_of(common)->cpu, linear, gpa);
}

const struct accel_ops accel_soft_ops = {
    .name = "soft",
    .vm_size_bytes = sizeof(struct soft_vm),
    .vcpu_size_bytes = sizeof(struct soft_vcpu),
    .is_interpreter = true,
    .probe = soft_probe,
    .vm_init = soft_vm_init,
    .vm_exit = soft_vm_exit,
    .vm_reset = soft_vm_reset,
    .irq_line = soft_irq_line,
    .irqfd_attach = soft_irqfd_attach,
    .irqfd_detach = soft_irqfd_detach,
    .msi_target = soft_msi_target,
    .flush_coalesced = soft_flush_coalesced,
    .tsc_khz = soft_vm_tsc_khz,
    .vcpu_init = soft_vcpu_init,
    .vcpu_exit = soft_vcpu_exit,
    .vcpu_run = soft_run,
    .vcpu_kick = soft_kick,
    .vcpu_resumed = soft_vcpu_resumed,
    .vcpu_stopped = soft_vcpu_stopped,
    .vcpu_inject_nmi = soft_inject_nmi,
    .vcpu_interrupt_window = soft_interrupt_window,
    .vcpu_inject_interrupt = soft_inject_interrupt,
    .vcpu_reset = soft_vcpu_reset,
    .vcpu_get_state = soft_get_state,
    .vcpu_set_state = soft_set_state,
    .vcpu_tsc = soft_vcpu_tsc,
    .vcpu_translate = soft_vcpu_translate,
};
