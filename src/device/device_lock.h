/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lock: a mutex that carries work.
 *
 * An event loop that has something for a device must not wait for a vCPU that holds the device, and must not lose the
 * work either. So work is *handed over*: it is queued on the lock; if the lock was free, the submitter takes it and
 * runs the work at once, otherwise whoever holds it runs the work before it unlocks. One atomic instruction decides
 * which of the two it is, so there is no window in which neither does.
 *
 * The lock is one word:
 *
 *   HELD     somebody owns the lock
 *   WAITERS  somebody may sleep in the kernel on this word
 *   WORK     work was queued since the holder last looked; WORK implies HELD
 *   TRACED   statistics are on (lock_stats.h): whoever takes the lock counts, in the slow paths. Set and cleared at any
 *            time by any thread; everybody else leaves it as it is
 *   TIMED    the present holder took it while TRACED was set; TIMED implies HELD. Set by the holder, gone with HELD
 *
 *   lock     0 -> HELD, by compare-and-swap; else spin a little, set WAITERS and sleep
 *   submit   queue the work, then fetch_or(HELD | WORK). HELD was clear: the lock is ours, run the queue, unlock.
 *            HELD was set: the holder can't leave without seeing WORK
 *   unlock   WORK set: clear it, run the queue (a bounded batch), look again. WORK clear: compare-and-swap to what is
 *            left of TRACED, wake a sleeper if WAITERS was set. A submit between the two makes the compare-and-swap
 * fail
 *
 * The fast paths know 0 and HELD only: any other bit makes their compare-and-swap fail, TRACED and TIMED too, which is
 * why statistics cost nothing while they are off.
 *
 * The batch is bounded so that a vCPU is never held hostage by a busy backend: what is left over goes to the lock's
 * event loop, which carries on by the same protocol and never waits for the lock either. Order is kept in all cases:
 * there is one queue, and only the lock's holder takes from it.
 *
 * tests/model/device_lock.pml is this protocol in Promela.
 */
#ifndef HDL_DEVICE_DEVICE_LOCK_H
#define HDL_DEVICE_DEVICE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/annotations.h"
#include "base/compiler.h"
#include "base/rank.h"
#include "device/context.h"
#include "event/event_loop.h"

struct lock_counters;
struct lock_work;

/*
 * word, incoming, counters: any thread, atomically. ready_*: the holder. loop, budget, name, debug: immutable after
 * init.
 */
struct HDL_CAPABILITY("device lock") device_lock {
    _Atomic uint32_t word;
    unsigned budget;                    /* works run at one unlock before the loop takes over */
    struct lock_work *_Atomic incoming; /* newest first */
    struct lock_work *ready_head;       /* oldest first */
    struct lock_work **ready_tail;
    struct event_loop *loop; /* NULL: no loop takes left-overs, the batch isn't bounded */
    struct bh continuation;
    const char *name;
    struct lock_counters *_Atomic counters; /* lock_stats.h; NULL until statistics are first on */
    struct lock_debug debug;
} HDL_CACHE_ALIGNED;

/* One queued piece of work. Embedded in its owner's structure; the lock's from queueing until run is called. */
struct lock_work {
    struct lock_work *next;
    /* Called once, with the lock held. The structure is its owner's again when it is called. */
    void (*run)(struct lock_work *work);
};

#define DEVICE_LOCK_BUDGET 16

/* name and loop (may be NULL) must outlive the lock. */
void device_lock_init(struct device_lock *lock, const char *name, struct event_loop *loop);
/* Loop thread (or the loop isn't running); the lock is free, its queue empty, and nobody can reach it any more. */
void device_lock_destroy(struct device_lock *lock);

/* The general forms; those that the fast paths inline are below. where, subject: for statistics only. */
void device_lock_slow(struct device_lock *lock, const char *where, const char *const *subject);
void device_unlock_slow(struct device_lock *lock);

#define DEVICE_LOCK_HELD    1u
#define DEVICE_LOCK_WAITERS 2u
#define DEVICE_LOCK_WORK    4u
#define DEVICE_LOCK_TRACED  8u
#define DEVICE_LOCK_TIMED   16u

/*
 * subject: where statistics find the name of what the lock is taken for (an access: its region's), or NULL. It is read
 * while the lock is held, and what it points to must live as long as that. `where` is a constant.
 */
static inline void device_lock_acquire_at(struct device_lock *lock, const char *where, const char *const *subject)
    HDL_ACQUIRE(lock) HDL_LOCK_PRIMITIVE
{
    uint32_t expected = 0;

    lock_debug_before(&lock->debug, where);
    /* Acquire: pairs with the release in device_lock_release and device_unlock_slow. */
    if (unlikely(!atomic_compare_exchange_strong_explicit(&lock->word, &expected, DEVICE_LOCK_HELD,
                                                          memory_order_acquire, memory_order_relaxed))) {
        device_lock_slow(lock, where, subject);
    }
    lock_debug_took(&lock->debug, where);
    device_context_enter();
}

/* Never from within a handler of another device: a thread holds at most one device lock. */
#define device_lock_acquire(lock)              device_lock_acquire_at((lock), HDL_WHERE, NULL)
#define device_lock_acquire_for(lock, subject) device_lock_acquire_at((lock), HDL_WHERE, (subject))

static inline void device_lock_release(struct device_lock *lock) HDL_RELEASE(lock) HDL_LOCK_PRIMITIVE
{
    uint32_t expected = DEVICE_LOCK_HELD;

    device_context_leave();
    /*
     * Release: pairs with the acquire of the next holder. Plain HELD means nobody waits, no work came, and nobody
     * counts. The checker
     * is told in the slow path only after the work has run, because the work runs under the lock.
     */
#ifndef HDL_LOCK_DEBUG
    if (likely(atomic_compare_exchange_strong_explicit(&lock->word, &expected, 0, memory_order_release,
                                                       memory_order_relaxed))) {
        return;
    }
#else
    (void)expected;
#endif
    device_unlock_slow(lock);
}

/*
 * Queues work and sees to it that it runs: here and now if the lock is free, else by its holder. Any thread; never
 * blocks. If the calling thread is inside another device (device/context.h), the lock's event loop runs it instead,
 * because a thread holds at most one device lock. The caller holds no lock of inner rank.
 */
void device_lock_submit(struct device_lock *lock, struct lock_work *work);

static inline void device_lock_assert_held_at(const struct device_lock *lock, const char *where)
    HDL_ASSERT_CAPABILITY(lock)
{
    lock_debug_assert(&lock->debug, true, where);
}
#define device_lock_assert_held(lock) device_lock_assert_held_at((lock), HDL_WHERE)

#endif
