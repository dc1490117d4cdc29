/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plain reference count: it keeps memory, and says nothing about whether the object is still in use (see gate.h). */
#ifndef HDL_BASE_REFCOUNT_H
#define HDL_BASE_REFCOUNT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct refcount {
    _Atomic uint32_t count;
};

/* Starts at one: the creator's. */
static inline void refcount_init(struct refcount *refs)
{
    atomic_init(&refs->count, 1);
}

/* The caller already holds a reference. */
static inline void refcount_get(struct refcount *refs)
{
    uint32_t old = atomic_fetch_add_explicit(&refs->count, 1, memory_order_relaxed);

    assert(old != 0 && old < UINT32_MAX / 2);
    (void)old;
}

/* For look-ups under RCU: false once the last reference is gone. */
static inline bool refcount_tryget(struct refcount *refs)
{
    uint32_t old = atomic_load_explicit(&refs->count, memory_order_relaxed);

    do {
        if (old == 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&refs->count, &old, old + 1, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

/* True for the one caller that dropped the last reference, who now owns the object alone. */
static inline bool refcount_put(struct refcount *refs)
{
    uint32_t old = atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel);

    assert(old != 0);
    return old == 1;
}

#endif
