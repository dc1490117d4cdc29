/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Standing still: pausing and resuming all vCPUs, jobs on a vCPU's thread, parking.
 *
 * vm->lock guards the counts and the job queues. It is a leaf: nobody waits for a vCPU while holding anything, a vCPU
 * takes it only outside dispatch, and it isn't touched at all while nobody pauses. So a pause takes as long as the
 * handlers that are under way, whatever they wait for, provided that no handler waits for a pause; and that is refused
 * (vm_pause aborts on a vCPU's thread). tests/model/vcpu_pause.pml is this protocol.
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "vcpu/accel.h"

/* Somebody else's function to be run on a vCPU's thread: on its maker's stack. Under vm->lock. */
struct vcpu_job {
    void (*fn)(struct vcpu *vcpu, void *opaque);
    void *opaque;
    bool done;
    struct vcpu_job *next;
};

/* --- on the vCPU's thread --------------------------------------------------------------------------------------- */

static void vcpu_run_jobs_locked(struct vcpu *vcpu) HDL_REQUIRES(&vcpu->vm->lock)
{
    struct vcpu_job *job;

    while ((job = vcpu->jobs)) {
        vcpu->jobs = job->next;
        if (!vcpu->jobs) {
            vcpu->jobs_tail = &vcpu->jobs;
        }
        hdl_mutex_unlock(&vcpu->vm->lock);
        job->fn(vcpu, job->opaque);
        hdl_mutex_lock(&vcpu->vm->lock);
        job->done = true; /* it is its maker's again: not to be touched after the unlock */
        hdl_cond_broadcast(&vcpu->vm->changed);
    }
}

static bool vcpu_must_stand_locked(struct vcpu *vcpu) HDL_REQUIRES(&vcpu->vm->lock)
{
    return vcpu->vm->pause_count || vcpu->parked || atomic_load_explicit(&vcpu->vm->failed, memory_order_relaxed);
}

static bool vcpu_is_ending(struct vcpu *vcpu)
{
    return atomic_load_explicit(&vcpu->requests, memory_order_relaxed) & VCPU_REQUEST_END;
}

static void vcpu_set_state_locked(struct vcpu *vcpu, enum vcpu_state state) HDL_REQUIRES(&vcpu->vm->lock)
{
    if (atomic_load_explicit(&vcpu->state, memory_order_relaxed) != state) {
        trace(VCPU_PAUSE, "vcpu %u: state %d", vcpu->index, state);
        atomic_store_explicit(&vcpu->state, state, memory_order_release);
        hdl_cond_broadcast(&vcpu->vm->changed);
    }
}

/* The accelerator's clocks stop before others can see that the vCPU stands still. */
static void vcpu_tell_stopped_locked(struct vcpu *vcpu) HDL_REQUIRES(&vcpu->vm->lock)
{
    if (vcpu->vm->ops->vcpu_stopped) {
        hdl_mutex_unlock(&vcpu->vm->lock);
        vcpu->vm->ops->vcpu_stopped(vcpu);
        hdl_mutex_lock(&vcpu->vm->lock);
    }
}

bool vcpu_stand_still(struct vcpu *vcpu)
{
    bool stood = false;

    hdl_mutex_lock(&vcpu->vm->lock);
    for (;;) {
        vcpu_run_jobs_locked(vcpu);
        if (vcpu_is_ending(vcpu) || !vcpu_must_stand_locked(vcpu)) {
            break;
        }
        if (!stood) {
            stood = true;
            vcpu_tell_stopped_locked(vcpu);
            continue; /* the lock was free meanwhile */
        }
        vcpu_set_state_locked(vcpu, vcpu->parked ? VCPU_PARKED : VCPU_PAUSED);
        hdl_cond_wait(&vcpu->vm->resumed, &vcpu->vm->lock);
    }
    if (vcpu_is_ending(vcpu)) {
        hdl_mutex_unlock(&vcpu->vm->lock);
        return false;
    }
    vcpu_set_state_locked(vcpu, VCPU_RUNNING);
    hdl_mutex_unlock(&vcpu->vm->lock);
    if (stood && vcpu->vm->ops->vcpu_resumed) {
        vcpu->vm->ops->vcpu_resumed(vcpu);
    }
    return true;
}

/* --- from other threads ----------------------------------------------------------------------------------------- */

static struct vcpu *vm_vcpu(struct vm *vm, unsigned index)
{
    struct vcpu *vcpu;

    hdl_mutex_lock(&vm->lock);
    vcpu = vm->vcpus[index];
    hdl_mutex_unlock(&vm->lock);
    return vcpu;
}

static void vm_request_all(struct vm *vm, uint32_t bits)
{
    for (unsigned i = 0; i < vm->vcpu_max; i++) {
        struct vcpu *vcpu = vm_vcpu(vm, i);

        if (vcpu) {
            vcpu_request(vcpu, bits);
        }
    }
}

void vm_request_pause(struct vm *vm)
{
    hdl_mutex_lock(&vm->lock);
    vm->pause_count++;
    hdl_mutex_unlock(&vm->lock);
    vm_request_all(vm, VCPU_REQUEST_PAUSE);
}

static bool vm_is_still_locked(struct vm *vm) HDL_REQUIRES(&vm->lock)
{
    for (unsigned i = 0; i < vm->vcpu_max; i++) {
        if (vm->vcpus[i] && atomic_load_explicit(&vm->vcpus[i]->state, memory_order_acquire) == VCPU_RUNNING) {
            return false;
        }
    }
    return true;
}

void vm_pause(struct vm *vm)
{
    assert(!vcpu_current());
    hdl_assert_unlocked();
    vm_request_pause(vm);
    hdl_mutex_lock(&vm->lock);
    while (!vm_is_still_locked(vm)) {
        hdl_cond_wait(&vm->changed, &vm->lock);
    }
    hdl_mutex_unlock(&vm->lock);
}

void vm_resume(struct vm *vm)
{
    hdl_mutex_lock(&vm->lock);
    assert(vm->pause_count > 0);
    vm->pause_count--;
    hdl_cond_broadcast(&vm->resumed);
    hdl_mutex_unlock(&vm->lock);
}

bool vm_is_paused(struct vm *vm)
{
    bool paused;

    hdl_mutex_lock(&vm->lock);
    paused = vm->pause_count > 0;
    hdl_mutex_unlock(&vm->lock);
    return paused;
}

void vm_fail(struct vm *vm)
{
    atomic_store_explicit(&vm->failed, true, memory_order_relaxed);
    vm_request_all(vm, VCPU_REQUEST_PAUSE);
}

void vm_clear_failure(struct vm *vm)
{
    hdl_mutex_lock(&vm->lock);
    atomic_store_explicit(&vm->failed, false, memory_order_relaxed);
    hdl_cond_broadcast(&vm->resumed);
    hdl_mutex_unlock(&vm->lock);
}

void vcpu_set_parked(struct vcpu *vcpu, bool parked)
{
    struct vm *vm = vcpu->vm;

    hdl_mutex_lock(&vm->lock);
    vcpu->parked = parked;
    vcpu->has_posted = vcpu->has_posted && parked;
    hdl_cond_broadcast(&vm->resumed);
    hdl_mutex_unlock(&vm->lock);
}

void vcpu_run_on(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *opaque), void *opaque)
{
    struct vcpu_job job = {.fn = fn, .opaque = opaque};
    struct vm *vm = vcpu->vm;

    hdl_assert_unlocked();
    if (vcpu_current() == vcpu) {
        fn(vcpu, opaque);
        return;
    }
    assert(!vcpu_current()); /* two vCPUs could wait for each other */
    hdl_mutex_lock(&vm->lock);
    *vcpu->jobs_tail = &job;
    vcpu->jobs_tail = &job.next;
    hdl_cond_broadcast(&vm->resumed);
    hdl_mutex_unlock(&vm->lock);
    vcpu_request(vcpu, VCPU_REQUEST_JOB);
    hdl_mutex_lock(&vm->lock);
    while (!job.done) {
        hdl_cond_wait(&vm->changed, &vm->lock);
    }
    hdl_mutex_unlock(&vm->lock);
}
