/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RCU, from liburcu (memb flavour), and the one place where ThreadSanitizer is told what it can't see.
 *
 * liburcu orders readers against grace periods with inline assembly and membarrier(2), which ThreadSanitizer doesn't
 * follow: it would call "reader reads, grace period, writer frees" a race. The edge that really exists is: everything
 * a reader did before rcu_read_unlock happens before what follows the grace period. That edge, and no other, is
 * announced here with the sanitizer's own acquire/release hooks. No suppression is needed.
 *
 * Every thread that reads must have been made with hdl_thread_start, which registers it.
 */
#ifndef HDL_BASE_RCU_H
#define HDL_BASE_RCU_H

#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define HDL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HDL_TSAN 1
#endif
#endif

/*
 * The read side inline; heddle's licence is compatible. Not for ThreadSanitizer: it would judge liburcu's own words,
 * which readers and writers share by design, without seeing what orders them.
 */
#if !defined(_LGPL_SOURCE) && !defined(HDL_TSAN)
#define _LGPL_SOURCE
#endif
#define RCU_MEMBARRIER
#include <urcu.h>

#include "base/compiler.h"

#ifdef HDL_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
/* The address that stands for "a grace period" to the sanitizer. */
extern char hdl_rcu_grace_period;
#endif

static inline void hdl_rcu_read_lock(void)
{
    rcu_read_lock();
}

static inline void hdl_rcu_read_unlock(void)
{
#ifdef HDL_TSAN
    __tsan_release(&hdl_rcu_grace_period);
#endif
    rcu_read_unlock();
}

/* Waits for every read section that is running now. Never inside a read section, nor with any lock held. */
void hdl_rcu_synchronize(void);

/* Runs fn(head) after a grace period, on liburcu's own thread. Never blocks. */
void hdl_rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *head));

/* Waits until all callbacks queued so far have run. Never inside a read section, nor with any lock held. */
void hdl_rcu_barrier(void);

/*
 * Pointers published to readers. `slot` is a `T *_Atomic` field; C11 atomics carry the order (and are seen by the
 * sanitizer). Publish pairs with dereference.
 */
#define hdl_rcu_publish(slot, value) atomic_store_explicit((slot), (value), memory_order_release)
#define hdl_rcu_dereference(slot)    atomic_load_explicit((slot), memory_order_acquire)

#endif
