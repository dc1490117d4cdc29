/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a device, from creation to its last reference, and deferred work on top of the device lock.
 *
 * Nothing here waits. Each step of leaving is started by whoever finished the one before: a grace period after the last
 * access has left, the device's loop quiesces it; the device says when it is quiet; a grace period after its last work
 * has run it is GONE; the last reference has it freed on its loop. The first grace period is for lockless handlers,
 * which hold no reference, the second for readers of flat views that still show its regions. A guest can delay a step
 * only by the length of one handler.
 */
#include "device/device.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Values of device->leaving. */
enum device_leaving {
    DEVICE_STAYS,
    DEVICE_LEAVES,
    DEVICE_LEAVES_AWAITED, /* somebody sleeps until it is LEFT */
    DEVICE_LEFT,           /* no access is inside */
};

static void device_leave(void *opaque);
static void device_destroy(void *opaque);

struct device *device_create(const struct device_type *type, const char *id, struct event_loop *loop,
                             struct address_space *dma_space, struct device_lock *legacy)
{
    size_t size_bytes = ALIGN_UP(type->size_bytes, HDL_CACHE_LINE);
    struct device *device = aligned_alloc(HDL_CACHE_LINE, size_bytes);

    if (!device) {
        return NULL;
    }
    memset(device, 0, size_bytes);
    device->type = type;
    device->id = strdup(id ? id : type->name);
    if (!device->id) {
        free(device);
        return NULL;
    }
    device_lock_init(&device->own_lock, device->id, loop);
    device->lock = legacy ? legacy : &device->own_lock;
    device->loop = loop;
    device->dma_space = dma_space;
    gate_init(&device->access);
    gate_init(&device->work);
    refcount_init(&device->refs);
    atomic_init(&device->state, DEVICE_CREATED);
    atomic_init(&device->leaving, DEVICE_STAYS);
    if (loop) {
        bh_init(&device->leave, loop, device_leave, device);
        bh_init(&device->release, loop, device_destroy, device);
    }
    if (type->properties) {
        property_set_defaults(device, type->properties);
    }
    return device;
}

static void device_set_state(struct device *device, enum device_state state)
{
    trace(DEVICE_LIFE, "%s: state %d", device->id, (int)state);
    atomic_store_explicit(&device->state, state, memory_order_release);
}

int device_realize(struct device *device, struct error **err)
{
    int ret = device->type->realize ? device->type->realize(device, err) : 0;

    device_set_state(device, ret == 0 ? DEVICE_REALIZED : DEVICE_GONE);
    return ret;
}

void device_reset(struct device *device)
{
    if (device->type->reset) {
        device_lock(device);
        device->type->reset(device);
        device_unlock(device);
    }
}

bool device_is_idle(struct device *device)
{
    bool is_idle = true;

    if (device->type->is_idle) {
        device_lock(device);
        is_idle = device->type->is_idle(device);
        device_unlock(device);
    }
    return is_idle;
}

void device_went_idle(struct device *device)
{
    device_assert_locked(device);
    if (device->idle) {
        device->idle(device->idle_opaque);
    }
}

/* After a grace period: no reader of an old flat view looks at the device any more. */
static void device_is_gone(struct rcu_head *head)
{
    struct device *device = container_of(head, struct device, rcu);

    device_set_state(device, DEVICE_GONE);
    if (device->owner && device->owner->gone) {
        device->owner->gone(device, device->owner->opaque);
    }
    device_put(device); /* device_unplug's */
}

static void device_work_drained(struct gate *gate)
{
    hdl_rcu_call(&container_of(gate, struct device, work)->rcu, device_is_gone);
}

void device_quiesced(struct device *device)
{
    gate_shut(&device->work, device_work_drained);
}

static void device_leave(void *opaque)
{
    struct device *device = opaque;

    if (device->type->quiesce) {
        device->type->quiesce(device);
    } else {
        device_quiesced(device);
    }
}

/* After a grace period: lockless handlers that had begun when the gate was shut have ended. */
static void device_accesses_ended(struct rcu_head *head)
{
    struct device *device = container_of(head, struct device, rcu);

    /* Release: pairs with device_wait_left; whoever waited sees what the last handlers did. */
    if (atomic_exchange_explicit(&device->leaving, DEVICE_LEFT, memory_order_acq_rel) == DEVICE_LEAVES_AWAITED) {
        syscall(SYS_futex, &device->leaving, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
    if (device->loop) {
        bh_schedule(&device->leave);
    } else {
        device_leave(device);
    }
}

static void device_access_drained(struct gate *gate)
{
    hdl_rcu_call(&container_of(gate, struct device, access)->rcu, device_accesses_ended);
}

bool device_unplug(struct device *device)
{
    uint32_t stays = DEVICE_STAYS;

    if (!atomic_compare_exchange_strong(&device->leaving, &stays, DEVICE_LEAVES)) {
        return false;
    }
    device_get(device);
    device_set_state(device, DEVICE_LEAVING);
    gate_shut(&device->access, device_access_drained);
    return true;
}

void device_wait_left(struct device *device)
{
    uint32_t leaving = DEVICE_LEAVES;

    hdl_assert_unlocked();
    atomic_compare_exchange_strong(&device->leaving, &leaving, DEVICE_LEAVES_AWAITED);
    /* Acquire: pairs with device_accesses_ended. */
    while (atomic_load_explicit(&device->leaving, memory_order_acquire) != DEVICE_LEFT) {
        syscall(SYS_futex, &device->leaving, FUTEX_WAIT_PRIVATE, DEVICE_LEAVES_AWAITED, NULL, NULL, 0);
    }
}

struct device *device_get(struct device *device)
{
    refcount_get(&device->refs);
    return device;
}

/* Loop thread: the last reference is gone. */
static void device_destroy(void *opaque)
{
    struct device *device = opaque;

    if (device->type->destroy) {
        device->type->destroy(device);
    }
    if (device->loop) {
        bh_destroy(&device->leave);
        bh_destroy(&device->release);
    }
    device_lock_destroy(&device->own_lock);
    if (device->owner && device->owner->destroyed) {
        device->owner->destroyed(device, device->owner->opaque);
    } else {
        device_free_memory(device);
    }
}

void device_free_memory(struct device *device)
{
    if (device->type->properties) {
        property_release(device, device->type->properties);
    }
    free(device->id);
    free(device);
}

void device_put(struct device *device)
{
    if (!device || !refcount_put(&device->refs)) {
        return;
    }
    if (device->loop) {
        bh_schedule(&device->release);
    } else {
        device_destroy(device);
    }
}

static void device_loop_has_turned(void *opaque)
{
}

void device_drop(struct device *device)
{
    struct event_loop *loop = device->loop;

    hdl_assert_unlocked();
    device->owner = NULL;
    device_put(device);
    if (loop) {
        event_loop_call(loop, device_loop_has_turned, NULL);
    }
}

static void device_work_run(struct lock_work *lock_work)
{
    struct device_work *work = container_of(lock_work, struct device_work, work);
    struct device *device = work->device; /* fn may free the work */

    /* Acquire: pairs with the exchange in device_submit: what was written before a submit that changed nothing. */
    atomic_exchange_explicit(&work->queued, false, memory_order_acq_rel);
    work->fn(device, work);
    gate_leave(&device->work);
}

void device_work_init(struct device_work *work, struct device *device,
                      void (*fn)(struct device *device, struct device_work *work))
{
    work->work.next = NULL;
    work->work.run = device_work_run;
    work->device = device;
    work->fn = fn;
    atomic_init(&work->queued, false);
}

int device_submit(struct device *device, struct device_work *work)
{
    if (!gate_enter(&device->work)) {
        return -ENODEV;
    }
    if (atomic_exchange_explicit(&work->queued, true, memory_order_acq_rel)) {
        gate_leave(&device->work);
        return 0;
    }
    device_lock_submit(device->lock, &work->work);
    return 0;
}
