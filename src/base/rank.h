/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock order, and the checker that enforces it at run time (docs/locking.md).
 *
 * Every lock carries a rank. A thread may take a lock only if its rank is strictly inner to (numerically above) that
 * of every lock the thread holds. With HDL_LOCK_DEBUG a violation aborts the process and names both locks, both places
 * and the thread; without it, everything here compiles to nothing.
 *
 * For a watchdog, every thread also shows which locks it holds and which it wants (rank_dump_all).
 */
#ifndef HDL_BASE_RANK_H
#define HDL_BASE_RANK_H

#include <stdbool.h>
#include <stdio.h>

/* Outermost first. */
enum lock_rank {
    LOCK_RANK_CONFIG = 10,   /* machine configuration: which devices and backends exist */
    LOCK_RANK_DEVICE = 20,   /* a device's lock, or legacy_lock */
    LOCK_RANK_BACKEND = 30,  /* block node, net backend, chardev, display */
    LOCK_RANK_MAP = 40,      /* region trees; publishing flat views and telling the accelerator */
    LOCK_RANK_IRQ_LINE = 48, /* a wired-OR line, held around setting the controller's input */
    LOCK_RANK_INTC = 50,     /* interrupt controller, routing table */
    LOCK_RANK_LEAF = 60,     /* nothing is taken inside: timer heaps, loop queues, logs */
};

/* Identity of one lock in the checker. Immutable after init. Empty without HDL_LOCK_DEBUG. */
struct lock_debug {
#ifdef HDL_LOCK_DEBUG
    const char *name;
    enum lock_rank rank;
#else
    char empty[0];
#endif
};

#ifdef HDL_LOCK_DEBUG

void lock_debug_init(struct lock_debug *lock, const char *name, enum lock_rank rank);
/* Before blocking on the lock: aborts if the calling thread holds a lock of equal or inner rank. */
void lock_debug_before(const struct lock_debug *lock, const char *where);
/* The calling thread holds the lock now. Aborts on a violated order too, for locks got by trying. */
void lock_debug_took(const struct lock_debug *lock, const char *where);
/* The calling thread is about to release the lock. Aborts if it doesn't hold it. */
void lock_debug_release(const struct lock_debug *lock);
bool lock_debug_is_held(const struct lock_debug *lock);
/* Aborts unless the calling thread holds the lock (held = true) or doesn't (held = false). */
void lock_debug_assert(const struct lock_debug *lock, bool held, const char *where);
/* Aborts if the calling thread holds any lock: for calls that may block, and for entering the guest. */
void lock_debug_assert_none(const char *where);

/* For base/thread.c: the calling thread appears in rank_dump_all from here to there. The name is copied. */
void rank_thread_register(const char *name);
void rank_thread_unregister(void);
/*
 * A line for each registered thread: the locks it holds, outermost first, and the one it is about to take or waits for.
 * Any thread, at any time, whatever it holds itself. Each line is true of some moment during the call. Threads that
 * start or end wait meanwhile.
 */
void rank_dump_all(FILE *file);

#else

static inline void lock_debug_init(struct lock_debug *lock, const char *name, enum lock_rank rank)
{
}
static inline void lock_debug_before(const struct lock_debug *lock, const char *where)
{
}
static inline void lock_debug_took(const struct lock_debug *lock, const char *where)
{
}
static inline void lock_debug_release(const struct lock_debug *lock)
{
}
static inline void lock_debug_assert(const struct lock_debug *lock, bool held, const char *where)
{
}
static inline void lock_debug_assert_none(const char *where)
{
}
static inline void rank_thread_register(const char *name)
{
}
static inline void rank_thread_unregister(void)
{
}
static inline void rank_dump_all(FILE *file)
{
}

#endif

/* The calling thread must hold no ranked lock here. */
#define hdl_assert_unlocked() lock_debug_assert_none(HDL_WHERE)

#endif
