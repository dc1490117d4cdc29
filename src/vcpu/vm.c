/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's life, and the calls that go straight through to its accelerator. Also the one table of accelerators.
 */
#include "vcpu/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "vcpu/accel.h"

static const struct accel_ops *const accel_ops_table[] = {&accel_kvm_ops, &accel_soft_ops, NULL};

const struct accel_ops *const *accel_table(void)
{
    return accel_ops_table;
}

const struct accel_ops *accel_find(const char *name)
{
    for (const struct accel_ops *const *ops = accel_ops_table; *ops; ops++) {
        if (strcmp((*ops)->name, name) == 0) {
            return *ops;
        }
    }
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static HDL_UNSHARED struct vm *vm_alloc(const struct accel_ops *ops, const struct vm_config *config)
{
    struct vm *vm = calloc(1, ops->vm_size_bytes);

    if (!vm) {
        return NULL;
    }
    vm->ops = ops;
    vm->config = *config;
    if (!ops->has_irqchip) {
        vm->config.irqchip = VM_IRQCHIP_USER;
    }
    if (vm->config.irqchip == VM_IRQCHIP_KERNEL) {
        vm->config.interrupts = (struct vm_interrupt_source){0};
    } else {
        vm->config.pit = false;
    }
    vm->vcpu_max = cpu_topology_count(&config->topology);
    vm->vcpus = calloc(vm->vcpu_max, sizeof(struct vcpu *));
    if (!vm->vcpus) {
        free(vm);
        return NULL;
    }
    hdl_mutex_init(&vm->lock, "vm", LOCK_RANK_LEAF);
    hdl_cond_init(&vm->changed);
    hdl_cond_init(&vm->resumed);
    vm->pause_count = 1;
    return vm;
}

static void vm_free(struct vm *vm)
{
    hdl_cond_destroy(&vm->resumed);
    hdl_cond_destroy(&vm->changed);
    hdl_mutex_destroy(&vm->lock);
    free(vm->vcpus);
    free(vm);
}

/* Whether an accelerator is to be passed over, as another follows that does better: it can't run an operating system.
 */
static bool vm_pass_over(const struct accel_ops *ops, struct error **err)
{
    struct accel_probe probe = {0};

    ops->probe(&probe);
    if (!probe.full_speed) {
        error_set(err, -ENODEV, "%s", probe.summary);
    }
    return !probe.full_speed;
}

static struct vm *vm_create_one(const char *name, bool is_last, const struct vm_config *config, struct error **err)
{
    const struct accel_ops *ops = accel_find(name);
    struct vm *vm;

    if (!ops) {
        error_set(err, -EINVAL, "there is no accelerator '%s'", name);
        return NULL;
    }
    if (!is_last && vm_pass_over(ops, err)) {
        return NULL;
    }
    vm = vm_alloc(ops, config);
    if (!vm) {
        error_set(err, -ENOMEM, "out of memory for a virtual machine");
        return NULL;
    }
    if (ops->vm_init(vm, err) < 0) {
        vm_free(vm);
        return NULL;
    }
    return vm;
}

struct vm *vm_create(const char *const *names, size_t count, const struct vm_config *config, struct error **err)
{
    struct error *last = NULL;

    for (size_t i = 0; i < count; i++) {
        struct error *next = NULL;
        struct vm *vm = vm_create_one(names[i], i + 1 == count, config, &next);

        if (vm) {
            if (last) {
                snprintf(vm->passed_over, sizeof(vm->passed_over), "%s", last->message);
            }
            error_free(last);
            return vm;
        }
        error_free(last);
        last = next;
    }
    error_propagate(err, last);
    return NULL;
}

void vm_destroy(struct vm *vm)
{
    if (!vm) {
        return;
    }
    for (unsigned i = 0; i < vm->vcpu_max; i++) {
        vcpu_destroy(vm->vcpus[i]);
    }
    vm->ops->vm_exit(vm);
    vm_free(vm);
}

const char *vm_accelerator_name(const struct vm *vm)
{
    return vm->ops->name;
}

bool vm_is_interpreted(const struct vm *vm)
{
    return vm->ops->is_interpreter;
}

const char *vm_passed_over(const struct vm *vm)
{
    return vm->passed_over;
}

enum vm_irqchip vm_irqchip(const struct vm *vm)
{
    return vm->config.irqchip;
}

/* --- reset and state -------------------------------------------------------------------------------------------- */

int vm_reset(struct vm *vm, struct error **err)
{
    int ret = vm->ops->vm_reset(vm, err);

    for (unsigned i = 0; i < vm->vcpu_max && ret == 0; i++) {
        if (vm->vcpus[i]) {
            ret = vcpu_reset(vm->vcpus[i], err);
        }
    }
    if (ret == 0) {
        vm_clear_failure(vm);
    }
    return ret;
}

/* A call about a vCPU's state on its way to the vCPU's thread. */
struct state_call {
    struct cpu_state *out;
    const struct cpu_state *in;
    struct error **err;
    int result;
};

static void vcpu_get_state_job(struct vcpu *vcpu, void *opaque)
{
    struct state_call *call = opaque;

    call->result = vcpu->vm->ops->vcpu_get_state(vcpu, call->out, call->err);
    call->out->keep_tsc = false;
    if (call->result == 0 && vcpu->waits_for_sipi) {
        call->out->activity = CPU_WAIT_FOR_SIPI;
    } else if (call->result == 0 && vcpu->halted) {
        call->out->activity = CPU_HALTED;
    }
}

static void vcpu_set_state_job(struct vcpu *vcpu, void *opaque)
{
    struct state_call *call = opaque;

    call->result = vcpu->vm->ops->vcpu_set_state(vcpu, call->in, call->err);
    if (call->result == 0) {
        bool user = vcpu->vm->config.irqchip == VM_IRQCHIP_USER;

        vcpu->halted = user && call->in->activity == CPU_HALTED;
        vcpu->waits_for_sipi =
            user && (call->in->activity == CPU_WAIT_FOR_SIPI || call->in->activity == CPU_WAIT_FOR_INIT);
        vcpu_set_parked(vcpu, false);
    }
}

static void vcpu_reset_job(struct vcpu *vcpu, void *opaque)
{
    struct state_call *call = opaque;

    call->result = vcpu->vm->ops->vcpu_reset(vcpu, call->err);
    if (call->result == 0) {
        /* What others asked of the CPU that was reset. */
        atomic_fetch_and_explicit(&vcpu->requests,
                                  ~(uint32_t)(VCPU_REQUEST_NMI | VCPU_REQUEST_INIT | VCPU_REQUEST_SIPI),
                                  memory_order_relaxed);
        vcpu->halted = false;
        vcpu->waits_for_sipi = vcpu->vm->config.irqchip == VM_IRQCHIP_USER && !vcpu->bootstrap;
        vcpu_set_parked(vcpu, false);
    }
}

int vcpu_get_state(struct vcpu *vcpu, struct cpu_state *state, struct error **err)
{
    struct state_call call = {.out = state, .err = err};

    vcpu_run_on(vcpu, vcpu_get_state_job, &call);
    return call.result;
}

int vcpu_set_state(struct vcpu *vcpu, const struct cpu_state *state, struct error **err)
{
    struct state_call call = {.in = state, .err = err};

    vcpu_run_on(vcpu, vcpu_set_state_job, &call);
    return call.result;
}

int vcpu_reset(struct vcpu *vcpu, struct error **err)
{
    struct state_call call = {.err = err};

    vcpu_run_on(vcpu, vcpu_reset_job, &call);
    return call.result;
}

/* --- straight through ------------------------------------------------------------------------------------------- */

struct irq_line vm_irq_line(struct vm *vm, unsigned gsi)
{
    return vm->ops->irq_line(vm, gsi);
}

int vm_irqfd_attach(struct vm *vm, unsigned gsi, int event_fd, int resample_fd)
{
    return vm->ops->irqfd_attach(vm, gsi, event_fd, resample_fd);
}

void vm_irqfd_detach(struct vm *vm, unsigned gsi, int event_fd)
{
    vm->ops->irqfd_detach(vm, gsi, event_fd);
}

struct msi_target *vm_msi_target(struct vm *vm)
{
    return vm->ops->msi_target(vm);
}

void vm_flush_coalesced(struct vm *vm)
{
    vm->ops->flush_coalesced(vm);
}

uint64_t vcpu_tsc(struct vcpu *vcpu)
{
    return vcpu->vm->ops->vcpu_tsc ? vcpu->vm->ops->vcpu_tsc(vcpu) : 0;
}

uint64_t vm_tsc_khz(struct vm *vm)
{
    return vm->ops->tsc_khz(vm);
}

bool vm_tells_tsc(const struct vm *vm)
{
    return vm->ops->vcpu_tsc;
}

bool vm_is_full_speed(const struct vm *vm, char *summary, size_t len_bytes)
{
    struct accel_probe probe = {0};

    vm->ops->probe(&probe);
    snprintf(summary, len_bytes, "%s", probe.summary);
    return probe.full_speed;
}
