/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lock's slow paths: waiting for it, and running the work that was handed to it. The protocol is described
 * in device_lock.h and modelled in tests/model/device_lock.pml; the names of steps there are those of the functions
 * here. A guest decides how often the lock is taken and how much work arrives, not in which order anything happens:
 * the batch limit keeps it from making one vCPU work for all others.
 */
#include "device/device_lock.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "device/context.h"
#include "device/lock_stats.h"

/* What stays in the word when the lock is released. */
#define WORD_KEPT DEVICE_LOCK_TRACED

/* A handler lasts well under a microsecond: worth waiting for before going to the kernel. */
#define SPIN_ROUNDS 200

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake_one(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool lock_try(struct device_lock *lock, uint32_t word, uint32_t flags)
{
    /* Acquire: pairs with the release that cleared HELD. */
    return !(word & DEVICE_LOCK_HELD) &&
           atomic_compare_exchange_strong_explicit(&lock->word, &word, word | DEVICE_LOCK_HELD | flags,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void lock_wait(struct device_lock *lock)
{
    for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
        if (lock_try(lock, atomic_load_explicit(&lock->word, memory_order_relaxed), 0)) {
            return;
        }
        hdl_cpu_relax();
    }
    for (;;) {
        uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

        /* Others may sleep too, and the one who woke us cleared WAITERS: keep it set for them. */
        if (lock_try(lock, word, DEVICE_LOCK_WAITERS)) {
            return;
        }
        if ((word & DEVICE_LOCK_HELD) &&
            ((word & DEVICE_LOCK_WAITERS) ||
             atomic_compare_exchange_strong_explicit(&lock->word, &word, word | DEVICE_LOCK_WAITERS,
                                                     memory_order_relaxed, memory_order_relaxed))) {
            /* Returns at once if the word has changed since; other bits coming and going just make us look again. */
            futex_wait(&lock->word, word | DEVICE_LOCK_WAITERS);
        }
    }
}

/* The holder, at the start of its hold. Not in one step with taking the lock: only the holder's own unlock looks. */
static void lock_count(struct device_lock *lock, const struct lock_stats_wait *wait, const char *where,
                       const char *const *subject)
{
    /* Acquire: pairs with the release in device_lock_stats_enable. */
    if (atomic_load_explicit(&lock->word, memory_order_acquire) & DEVICE_LOCK_TRACED) {
        lock_stats_took(lock, wait, where, subject);
        atomic_fetch_or_explicit(&lock->word, DEVICE_LOCK_TIMED, memory_order_relaxed);
    }
}

void device_lock_slow(struct device_lock *lock, const char *where, const char *const *subject)
{
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    struct lock_stats_wait wait = {.contended = word & DEVICE_LOCK_HELD};

    if (wait.contended && (word & DEVICE_LOCK_TRACED)) {
        wait.holder = lock_stats_holder(lock);
        wait.asked_ns = lock_stats_now_ns(lock);
    }
    lock_wait(lock);
    lock_count(lock, &wait, where, subject);
}

/* Appends what has come in, oldest first, to the holder's own list. */
static void work_collect(struct device_lock *lock)
{
    /* Acquire: pairs with the release in work_push. */
    struct lock_work *newest = atomic_exchange_explicit(&lock->incoming, NULL, memory_order_acquire);
    struct lock_work *oldest = NULL;
    struct lock_work **tail = newest ? &newest->next : NULL;

    while (newest) {
        struct lock_work *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest) {
        *lock->ready_tail = oldest;
        lock->ready_tail = tail;
    }
}

static struct lock_work *work_take(struct device_lock *lock)
{
    struct lock_work *work;

    if (!lock->ready_head) {
        work_collect(lock);
    }
    work = lock->ready_head;
    if (work) {
        lock->ready_head = work->next;
        if (!lock->ready_head) {
            lock->ready_tail = &lock->ready_head;
        }
    }
    return work;
}

/* Runs up to `budget` works; returns what is left of the budget. */
static unsigned work_run(struct device_lock *lock, unsigned budget)
{
    while (budget > 0) {
        struct lock_work *work = work_take(lock);

        if (!work) {
            break;
        }
        device_context_enter();
        work->run(work);
        device_context_leave();
        budget--;
    }
    return budget;
}

/* As work_run, and counts. */
static unsigned work_run_counted(struct device_lock *lock, unsigned budget)
{
    unsigned left = work_run(lock, budget);

    lock_stats_ran(lock, budget - left);
    return left;
}

static bool work_is_left(struct device_lock *lock)
{
    return lock->ready_head || atomic_load_explicit(&lock->incoming, memory_order_relaxed);
}

void device_unlock_slow(struct device_lock *lock)
{
    unsigned budget = lock->loop ? lock->budget : UINT_MAX;

    for (;;) {
        uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

        if (word & DEVICE_LOCK_WORK) {
            /* Clear it before looking into the queue: a submit after this sets it again. */
            atomic_fetch_and_explicit(&lock->word, ~DEVICE_LOCK_WORK, memory_order_acquire);
            budget = unlikely(word & DEVICE_LOCK_TIMED) ? work_run_counted(lock, budget) : work_run(lock, budget);
            /* What came after the last look into the queue isn't left over: its submitter sets WORK again. */
            if (budget == 0 && work_is_left(lock)) {
                /* While we still hold the lock: afterwards its device may be gone. */
                trace(DEVICE_HANDOVER, "batch used up, left to loop '%s'", event_loop_name(lock->loop));
                bh_schedule(&lock->continuation);
            }
            continue;
        }
        lock_debug_release(&lock->debug);
        if (unlikely(word & DEVICE_LOCK_TIMED)) {
            lock_stats_release(lock);
        }
        /* Release: pairs with the acquire of the next holder. */
        if (atomic_compare_exchange_strong_explicit(&lock->word, &word, word & WORD_KEPT, memory_order_release,
                                                    memory_order_relaxed)) {
            if (word & DEVICE_LOCK_WAITERS) {
                futex_wake_one(&lock->word);
            }
            return;
        }
        lock_debug_took(&lock->debug, "unlock");
    }
}

/* Newest first. Only work_collect takes from it, all at once, so there is no ABA. */
static void work_push(struct device_lock *lock, struct lock_work *work)
{
    struct lock_work *head = atomic_load_explicit(&lock->incoming, memory_order_relaxed);

    do {
        work->next = head;
        /* Release: pairs with the acquire in work_collect. */
    } while (!atomic_compare_exchange_weak_explicit(&lock->incoming, &head, work, memory_order_release,
                                                    memory_order_relaxed));
}

/* The queue isn't empty: see to it that somebody runs it. Never waits for the lock. */
static void lock_kick(struct device_lock *lock)
{
    uint32_t old = atomic_fetch_or_explicit(&lock->word, DEVICE_LOCK_HELD | DEVICE_LOCK_WORK, memory_order_acq_rel);

    if (!(old & DEVICE_LOCK_HELD)) {
        lock_debug_took(&lock->debug, HDL_WHERE);
        lock_count(lock, &(const struct lock_stats_wait){0}, "deferred work", NULL);
        device_unlock_slow(lock);
    }
}

/* As lock_kick, on a thread that must not take the lock because it is inside some device: maybe this one. */
static void lock_kick_from_inside(struct device_lock *lock)
{
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

    while (word & DEVICE_LOCK_HELD) {
        /* Release: the work is in the queue before its holder is told. */
        if (atomic_compare_exchange_weak_explicit(&lock->word, &word, word | DEVICE_LOCK_WORK, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            return;
        }
    }
    assert(lock->loop);
    bh_schedule(&lock->continuation);
}

void device_lock_submit(struct device_lock *lock, struct lock_work *work)
{
    work_push(lock, work);
    if (device_context_is_inside()) {
        lock_kick_from_inside(lock);
    } else {
        lock_kick(lock);
    }
}

/* On the lock's loop: what a holder left over, or what another device's handler submitted. */
static void lock_continue(void *opaque)
{
    lock_kick(opaque);
}

void device_lock_init(struct device_lock *lock, const char *name, struct event_loop *loop)
{
    atomic_init(&lock->word, 0);
    atomic_init(&lock->incoming, NULL);
    lock->budget = DEVICE_LOCK_BUDGET;
    lock->ready_head = NULL;
    lock->ready_tail = &lock->ready_head;
    lock->loop = loop;
    if (loop) {
        bh_init(&lock->continuation, loop, lock_continue, lock);
    }
    lock->name = name;
    lock_stats_init(lock);
    lock_debug_init(&lock->debug, name, LOCK_RANK_DEVICE);
}

void device_lock_destroy(struct device_lock *lock)
{
    assert((atomic_load_explicit(&lock->word, memory_order_acquire) & ~WORD_KEPT) == 0);
    assert(!work_is_left(lock));
    lock_stats_destroy(lock);
    if (lock->loop) {
        bh_destroy(&lock->continuation);
    }
}
