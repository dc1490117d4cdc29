/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: one lock, one reference count, one life-cycle state, and a queue of deferred work.
 *
 *                 realize                unplug                     last access and work left
 *      CREATED ------------> REALIZED ------------> LEAVING ------------------------------> GONE ---> freed at last put
 *         |                                   gates shut in order:                            ^
 *         +------------ realize failed ------------------------------------------------------+
 *
 * Three counts, with three meanings:
 *   access  who is in, or on the way into, a handler. Shut first: new dispatches find nothing (device_tryget fails)
 *   work    deferred work that is queued or running. Shut after the device's backends are quiet (device_submit fails)
 *   refs    who points at the memory
 */
#ifndef HDL_DEVICE_DEVICE_H
#define HDL_DEVICE_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/gate.h"
#include "base/rcu.h"
#include "base/refcount.h"
#include "device/device_lock.h"
#include "device/property.h"

struct device;
struct address_space;

enum device_state { DEVICE_CREATED, DEVICE_REALIZED, DEVICE_LEAVING, DEVICE_GONE };

/*
 * A kind of device: a driver in the sense of style.md. Constant. The machine's table of types says which exist.
 */
struct device_type {
    const char *name;  /* as in -device NAME */
    const char *alias; /* another spelling that QEMU accepts, or NULL */
    const char *description;
    const char *category;              /* a heading of -device help: "Storage", "Network", "Misc", ... */
    const char *bus;                   /* "PCI", "ISA", "virtio-serial-bus", ... or NULL: built by the machine only */
    size_t size_bytes;                 /* of the structure whose first member is a struct device */
    const struct property *properties; /* or NULL */
    bool user_creatable;               /* -device may name it */

    /* Configuration thread, no lock held. Allocates, connects, adds regions. On failure leaves nothing behind. */
    int (*realize)(struct device *device, struct error **err);
    /* Power-on state. Device lock held; the vCPUs stand still or the guest asked for it. May be NULL. */
    void (*reset)(struct device *device);
    /*
     * Whether a reset is complete: nothing that the device began before may still reach guest memory. Device lock held.
     * A type that has it calls device_went_idle when it becomes true. NULL: at once.
     */
    bool (*is_idle)(struct device *device);
    /*
     * Loop thread (RCU's if it has no loop), no lock held, after the last access has left: hides regions, stops
     * backends, waits for nothing; calls device_quiesced (once, from any thread) when no work can come any more. NULL:
     * at once.
     */
    void (*quiesce)(struct device *device);
    /* Frees what realize allocated. Loop thread, no lock held, after the last reference is gone. May be NULL. */
    void (*destroy)(struct device *device);
};

/*
 * Writes that somebody still holds back on their way to a device: what an accelerator coalesced (REGION_COALESCED).
 * flush hands over, in order, all that were made before it was called. Device lock held, inside the device.
 */
struct device_write_buffer {
    void (*flush)(struct device_write_buffer *buffer, struct device *device);
};

/*
 * Whoever keeps a device and is told of its end, once each, on whatever thread gets there last; no lock is held, and it
 * must not block. The device's own reference on itself is held during `gone`. After `destroyed` nothing of the device
 * is left but its memory, name and properties, which the owner gives back by device_free_memory. Outlives its devices.
 */
struct device_owner {
    void (*gone)(struct device *device, void *opaque);
    void (*destroyed)(struct device *device, void *opaque);
    void *opaque;
};

/*
 * write_buffer: set and cleared by the accelerator, under the memory map's lock; NULL unless a region is coalesced.
 * type, id, lock, loop, dma_space: immutable after creation or before realize. state: written by the configuration
 * thread, read by anybody. own_lock, gates and refs synchronise themselves.
 */
struct device {
    const struct device_type *type;
    char *id;                 /* what -device id= said, or a name made by the machine; owned */
    struct device_lock *lock; /* &own_lock, or the machine's legacy lock */
    struct device_lock own_lock;
    struct event_loop *loop;         /* where its timers, bottom halves and left-over work run */
    struct address_space *dma_space; /* where its DMA goes; NULL: it does none */
    struct gate access HDL_CACHE_ALIGNED;
    struct gate work;
    struct refcount refs;
    struct device_write_buffer *_Atomic write_buffer;
    _Atomic enum device_state state;
    _Atomic uint32_t leaving;   /* enum device_leaving, a futex: somebody may wait for the last access */
    struct rcu_head rcu;        /* the grace periods of leaving, one at a time */
    struct bh leave;            /* loop thread: quiesces once the last access has left */
    struct bh release;          /* loop thread: destroys once the last reference is gone */
    void (*idle)(void *opaque); /* see device_went_idle; set before realize, or NULL */
    void *idle_opaque;
    const struct device_owner *owner; /* set before realize, or NULL */
    _Atomic bool has_refused;         /* the guest didn't let go of it; the owner's */
    struct device *owner_next;        /* the owner's, once it was told */
};

/*
 * A new device in CREATED, with default properties and one reference. id is copied (NULL: the type's name). legacy:
 * the lock that it shares instead of having its own, or NULL. NULL when out of memory.
 */
struct device *device_create(const struct device_type *type, const char *id, struct event_loop *loop,
                             struct address_space *dma_space, struct device_lock *legacy);
int device_realize(struct device *device, struct error **err);
static inline bool device_is_realized(const struct device *device)
{
    return atomic_load_explicit(&device->state, memory_order_acquire) == DEVICE_REALIZED;
}
/* Takes the device's lock and resets it. */
void device_reset(struct device *device);
/* Whether the last reset is complete. Takes the device's lock. */
bool device_is_idle(struct device *device);
/* From a type that has is_idle, device lock held, on any thread: tells whoever waits for the end of a reset. */
void device_went_idle(struct device *device);

/*
 * Takes the device away: shuts accesses, then quiesces, then shuts work, then is GONE and tells its owner. Returns at
 * once; holds a reference until then. False if the device was leaving already. Any thread that has a reference, under
 * any lock, also under the device's own (from its handler), which then is its last.
 * When this returns, no access that starts later reaches the device. In `gone` no handler and no work of it runs or
 * will run, and, if quiesce hid its regions, no look-up sees them. hdl_rcu_barrier waits for `gone` calls under way.
 */
bool device_unplug(struct device *device);
/*
 * Returns once no access is inside a device that is leaving, lockless handlers included: a grace period and the longest
 * handler later. Any thread with a reference that is inside no access and no read section, and holds no lock.
 */
void device_wait_left(struct device *device);
/* From a type's quiesce, see there. */
void device_quiesced(struct device *device);

/*
 * Memory only. get: the caller has a reference already. put: any thread, under any lock; the last one leaves the
 * freeing to the device's loop, whose owner polls it dry before destroying it. NULL is allowed.
 */
struct device *device_get(struct device *device);
void device_put(struct device *device);
/*
 * As device_put, for a device that was never realized, or failed to be, and its last reference: nothing of it is left
 * when this returns, unless its loop doesn't run yet. Configuration thread, no lock held, not on the device's loop.
 */
void device_drop(struct device *device);
/* From the owner, after `destroyed` or in it. Any thread. */
void device_free_memory(struct device *device);

/* The reference that dispatch takes, in an RCU read section: false once the device is leaving. */
static inline bool device_tryget(struct device *device)
{
    return gate_enter(&device->access);
}

static inline void device_release_access(struct device *device)
{
    gate_leave(&device->access);
}

/*
 * Makes the device see the writes that are held back. Device lock held. Dispatch does it before each access; a device
 * with coalesced regions does it itself before it looks, from a timer or deferred work, at what those writes change.
 */
static inline void device_flush_writes(struct device *device)
{
    struct device_write_buffer *buffer = atomic_load_explicit(&device->write_buffer, memory_order_acquire);

    if (unlikely(buffer)) {
        buffer->flush(buffer, device);
    }
}

#define device_lock(device)          device_lock_acquire((device)->lock)
#define device_unlock(device)        device_lock_release((device)->lock)
#define device_assert_locked(device) device_lock_assert_held((device)->lock)
/* For declarations: the caller holds the device's lock. */
#define HDL_REQUIRES_DEVICE(device) HDL_REQUIRES((device)->lock)

/*
 * Deferred work for a device. Embedded in its owner's structure. device, fn: immutable after init. queued: from a
 * submit to the start of the run.
 */
struct device_work {
    struct lock_work work;
    struct device *device;
    void (*fn)(struct device *device, struct device_work *work); /* device lock held */
    _Atomic bool queued;
};

void device_work_init(struct device_work *work, struct device *device,
                      void (*fn)(struct device *device, struct device_work *work));
/*
 * Has fn run once, under the device's lock, after this call began: at once if the lock is free, else by its holder.
 * Submitting work that is still queued changes nothing, since it will run after this call. Never blocks.
 * Any thread that holds no lock of device rank or inner, or is inside a handler (its own device's work then runs when
 * that handler unlocks; another device's on that device's loop). The caller's pointer must be valid: it holds a
 * reference, or the device can't go before its backend.
 * 0; or -ENODEV when the device takes no more work: fn won't run.
 */
int device_submit(struct device *device, struct device_work *work);

#endif
