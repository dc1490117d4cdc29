/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's thread: start, the run loop, requests and kicks, and the end. What exits mean is in exit.c, standing still
 * and jobs in pause.c, entering the guest in the accelerator.
 *
 * The loop holds nothing while the guest runs nor while an exit is decoded; dispatch takes the one device's lock.
 * Requests are bits that others set. The thread looks at them in two places only: before it enters the guest (the
 * accelerator, after it has said that it is about to), and after an exit that a kick caused, when an access that was
 * under way is complete. So whoever waits for a request to be served sees a CPU between two instructions.
 *
 * A hostile guest can make the loop go round as often as it likes, and nothing else.
 */
#include "vcpu/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "vcpu/accel.h"

static _Thread_local struct vcpu *vcpu_of_thread;

struct vcpu *vcpu_current(void)
{
    return vcpu_of_thread;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

void vcpu_request(struct vcpu *vcpu, uint32_t bits)
{
    /*
     * Sequentially consistent, as is the load of `place`; they pair with the store to `place` and the load of the
     * requests in vcpu_run and vcpu_sleep: either we see that the vCPU went in, or it sees the request.
     */
    atomic_fetch_or_explicit(&vcpu->requests, bits, memory_order_seq_cst);
    switch (atomic_load_explicit(&vcpu->place, memory_order_seq_cst)) {
    case VCPU_IN_HOST:
        break;
    case VCPU_IN_GUEST:
        trace(VCPU_KICK, "vcpu %u: kicked for %#x", vcpu->index, bits);
        vcpu->vm->ops->vcpu_kick(vcpu);
        break;
    case VCPU_ASLEEP:
        syscall(SYS_futex, &vcpu->requests, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        break;
    }
}

void vcpu_kick(struct vcpu *vcpu)
{
    vcpu_request(vcpu, VCPU_REQUEST_KICK);
}

void vcpu_nmi(struct vcpu *vcpu)
{
    vcpu_request(vcpu, VCPU_REQUEST_NMI);
}

void vcpu_interrupt(struct vcpu *vcpu)
{
    vcpu_request(vcpu, VCPU_REQUEST_INTERRUPT);
}

void vcpu_init_signal(struct vcpu *vcpu)
{
    atomic_fetch_and_explicit(&vcpu->requests, ~(uint32_t)VCPU_REQUEST_SIPI, memory_order_seq_cst);
    vcpu_request(vcpu, VCPU_REQUEST_INIT);
}

void vcpu_sipi(struct vcpu *vcpu, uint8_t vector)
{
    /* The request publishes it: pairs with the fetch_and in vcpu_serve_requests. */
    atomic_store_explicit(&vcpu->sipi_vector, vector, memory_order_relaxed);
    vcpu_request(vcpu, VCPU_REQUEST_SIPI);
}

/* Nothing but a start-up message or another INIT reaches a CPU that waits for one. */
static void vcpu_take_nmi(struct vcpu *vcpu)
{
    int ret = vcpu->waits_for_sipi ? 0 : vcpu->vm->ops->vcpu_inject_nmi(vcpu);

    vcpu->halted = false;
    if (ret < 0) {
        log_warn("vCPU %u: can't inject an NMI: %s", vcpu->index, strerror(-ret));
    }
}

static int vcpu_change_for_init(struct vcpu *vcpu, struct cpu_state *state, struct error **err)
{
    const struct vm_interrupt_source *source = &vcpu->vm->config.interrupts;

    cpu_state_init(state, vcpu->bootstrap, vcpu->signature);
    vcpu->waits_for_sipi = !vcpu->bootstrap;
    vcpu->halted = false;
    if (source->init) {
        source->init(source->opaque, vcpu->index);
    }
    return vcpu->vm->ops->vcpu_set_state(vcpu, state, err);
}

/* INIT first: the sender of one takes back a start-up message that came before it. */
static void vcpu_take_init(struct vcpu *vcpu, uint32_t bits)
{
    HDL_AUTO_FREE struct cpu_state *state = calloc(1, sizeof(*state));
    struct error *err = NULL;
    int ret = state ? vcpu->vm->ops->vcpu_get_state(vcpu, state, &err) : error_set(&err, -ENOMEM, "out of memory");

    if (ret == 0 && (bits & VCPU_REQUEST_INIT)) {
        ret = vcpu_change_for_init(vcpu, state, &err);
    }
    if (ret == 0 && (bits & VCPU_REQUEST_SIPI) && vcpu->waits_for_sipi) {
        cpu_state_start_up(state, atomic_load_explicit(&vcpu->sipi_vector, memory_order_relaxed));
        ret = vcpu->vm->ops->vcpu_set_state(vcpu, state, &err);
        vcpu->waits_for_sipi = ret < 0;
    }
    if (ret < 0) {
        log_warn("vCPU %u: can't be started anew: %s", vcpu->index, err->message);
        error_free(err);
    }
}

/* Serves all requests there are. False when the thread is to end. */
static bool vcpu_serve_requests(struct vcpu *vcpu)
{
    /* The end stays requested: it isn't served but obeyed. What is the accelerator's stays its own. */
    uint32_t bits =
        atomic_fetch_and_explicit(&vcpu->requests, VCPU_REQUEST_END | VCPU_REQUEST_ACCEL, memory_order_seq_cst);

    if (bits & VCPU_REQUEST_NMI) {
        vcpu_take_nmi(vcpu);
    }
    if (bits & VCPU_REQUEST_INIT || (bits & VCPU_REQUEST_SIPI && vcpu->waits_for_sipi)) {
        vcpu_take_init(vcpu, bits);
    }
    if (bits & (VCPU_REQUEST_PAUSE | VCPU_REQUEST_JOB | VCPU_REQUEST_END)) {
        return vcpu_stand_still(vcpu);
    }
    return true;
}

/* --- interrupts that the machine's own controller delivers ------------------------------------------------------ */

static void vcpu_offer_interrupt(struct vcpu *vcpu)
{
    const struct vm_interrupt_source *source = &vcpu->vm->config.interrupts;
    int vector;

    /* The question that the request asks for is asked now; who sets it again from here on gets another turn. */
    if (atomic_load_explicit(&vcpu->requests, memory_order_relaxed) & VCPU_REQUEST_INTERRUPT) {
        atomic_fetch_and_explicit(&vcpu->requests, ~(uint32_t)VCPU_REQUEST_INTERRUPT, memory_order_seq_cst);
    }
    if (!source->pending || !source->pending(source->opaque, vcpu->index) ||
        !vcpu->vm->ops->vcpu_interrupt_window(vcpu)) {
        return;
    }
    vector = source->acknowledge(source->opaque, vcpu->index);
    if (vector >= 0) {
        vcpu->vm->ops->vcpu_inject_interrupt(vcpu, vector);
        vcpu->halted = false;
    }
}

/* Halted, or not started, with nothing to do: until somebody sets a request that is for us and not the accelerator. */
static void vcpu_sleep(struct vcpu *vcpu)
{
    uint32_t requests;

    atomic_store_explicit(&vcpu->place, VCPU_ASLEEP, memory_order_seq_cst);
    /* The kernel compares again under its own lock, so a request that comes in between isn't missed. */
    requests = atomic_load_explicit(&vcpu->requests, memory_order_seq_cst);
    if ((requests & ~(uint32_t)VCPU_REQUEST_ACCEL) == 0) {
        syscall(SYS_futex, &vcpu->requests, FUTEX_WAIT_PRIVATE, requests, NULL, NULL, 0);
    }
    atomic_store_explicit(&vcpu->place, VCPU_IN_HOST, memory_order_seq_cst);
}

/* --- the thread ------------------------------------------------------------------------------------------------- */

/* One turn: into the guest and back, or asleep. False when the thread is to end. */
static bool vcpu_turn(struct vcpu *vcpu)
{
    struct vcpu_exit exit;

    if (!vcpu->waits_for_sipi) {
        vcpu_offer_interrupt(vcpu);
    }
    if (vcpu->halted || vcpu->waits_for_sipi) {
        vcpu_sleep(vcpu);
        return vcpu_serve_requests(vcpu);
    }
    hdl_assert_unlocked();
    vcpu->vm->ops->vcpu_run(vcpu, &exit);
    if (exit.kind == VCPU_EXIT_INTERRUPTED) {
        return vcpu_serve_requests(vcpu);
    }
    atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
    vcpu_handle_exit(vcpu, &exit);
    return true;
}

static void vcpu_set_started(struct vcpu *vcpu, enum vcpu_state state)
{
    struct vm *vm = vcpu->vm;

    hdl_mutex_lock(&vm->lock);
    atomic_store_explicit(&vcpu->state, state, memory_order_release);
    hdl_cond_broadcast(&vm->changed);
    hdl_mutex_unlock(&vm->lock);
}

static void vcpu_thread(void *opaque)
{
    struct vcpu *vcpu = opaque;

    vcpu_of_thread = vcpu;
    vcpu->start_result = vcpu->vm->ops->vcpu_init(vcpu, &vcpu->start_error);
    if (vcpu->start_result < 0) {
        vcpu_set_started(vcpu, VCPU_ENDED);
        return;
    }
    vcpu->waits_for_sipi = vcpu->vm->config.irqchip == VM_IRQCHIP_USER && !vcpu->bootstrap;
    vcpu_set_started(vcpu, VCPU_PAUSED);
    if (vcpu_stand_still(vcpu)) {
        while (vcpu_turn(vcpu)) {
        }
    }
    vcpu->vm->ops->vcpu_exit(vcpu);
    vcpu_set_started(vcpu, VCPU_ENDED);
}

/* Waits for the thread to have an accelerator's vCPU, or none. */
static int vcpu_start(struct vcpu *vcpu, struct error **err)
{
    struct vm *vm = vcpu->vm;
    char name[16];
    int ret;

    snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
    ret = hdl_thread_start(&vcpu->thread, name, vcpu_thread, vcpu, err);
    if (ret < 0) {
        return ret;
    }
    hdl_mutex_lock(&vm->lock);
    while (atomic_load_explicit(&vcpu->state, memory_order_acquire) == VCPU_STARTING) {
        hdl_cond_wait(&vm->changed, &vm->lock);
    }
    hdl_mutex_unlock(&vm->lock);
    if (vcpu->start_result < 0) {
        hdl_thread_join(&vcpu->thread);
        error_propagate(err, vcpu->start_error);
        return vcpu->start_result;
    }
    return 0;
}

static HDL_UNSHARED void vcpu_init_common(struct vcpu *vcpu, struct vm *vm, unsigned index)
{
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->apic_id = cpu_topology_apic_id(&vm->config.topology, index);
    vcpu->bootstrap = index == 0;
    vcpu->jobs_tail = &vcpu->jobs;
    bh_init(&vcpu->post, vm->config.loop, vcpu_post_run, vcpu);
}

struct vcpu *vcpu_create(struct vm *vm, unsigned index, struct error **err)
{
    struct vcpu *vcpu;

    assert(index < vm->vcpu_max && !vm->vcpus[index]);
    vcpu = calloc(1, vm->ops->vcpu_size_bytes);
    if (!vcpu) {
        error_set(err, -ENOMEM, "out of memory for vCPU %u", index);
        return NULL;
    }
    vcpu_init_common(vcpu, vm, index);
    if (vcpu_start(vcpu, err) < 0) {
        bh_destroy(&vcpu->post);
        free(vcpu);
        return NULL;
    }
    hdl_mutex_lock(&vm->lock);
    vm->vcpus[index] = vcpu;
    hdl_mutex_unlock(&vm->lock);
    return vcpu;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    struct vm *vm;

    if (!vcpu) {
        return;
    }
    vm = vcpu->vm;
    vcpu_request(vcpu, VCPU_REQUEST_END);
    hdl_mutex_lock(&vm->lock);
    hdl_cond_broadcast(&vm->resumed);
    hdl_mutex_unlock(&vm->lock);
    hdl_thread_join(&vcpu->thread);
    hdl_mutex_lock(&vm->lock);
    vm->vcpus[vcpu->index] = NULL;
    hdl_mutex_unlock(&vm->lock);
    bh_destroy(&vcpu->post);
    free(vcpu->posted_report);
    free(vcpu);
}
