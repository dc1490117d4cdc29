/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device lock is used for: how often it is taken, how often somebody had to wait, how long at most, and where in
 * the source that was. Off by default, and then free: the fast paths don't know of it.
 *
 * While it is on, the bit DEVICE_LOCK_TRACED stays set in the lock's word, so that the compare-and-swap of the fast
 * path fails and the slow path counts. A hold that began while it was on has DEVICE_LOCK_TIMED too, so that its unlock
 * takes the slow path even if it was switched off meanwhile; a hold without that bit isn't counted.
 *
 * Only the lock's holder writes, so counting needs no atomic read-modify-write; readers stop nobody.
 */
#ifndef HDL_DEVICE_LOCK_STATS_H
#define HDL_DEVICE_LOCK_STATS_H

#include <stdbool.h>
#include <stdint.h>

#define LOCK_STATS_SUBJECT_BYTES 24

struct device_lock;

/* A longest time, and whose. Places are "file:line"; NULL: there was none, or it isn't known. */
struct lock_stats_time {
    uint64_t ns;
    const char *where;                      /* who held it, or waited for it */
    char subject[LOCK_STATS_SUBJECT_BYTES]; /* for an access, its region's name, cut; or "" */
};

struct lock_stats {
    bool enabled;
    uint64_t acquisitions;
    uint64_t contended;          /* of those: the lock was held by another when it was asked for */
    uint64_t works;              /* deferred work that was run */
    struct lock_stats_time hold; /* the longest, deferred work at its end included */
    uint64_t hold_works;         /* how many works were run in it */
    struct lock_stats_time wait; /* the longest */
    const char *wait_for;        /* where the lock was taken that was waited for */
    const char *holder;          /* where the lock was taken that is held now; NULL: free, or taken uncounted */
};

/*
 * Any thread, at any time, under any lock. Counts go on where they were when it was last on; what was under way when
 * it was switched on isn't counted. 0 or -ENOMEM.
 */
int device_lock_stats_enable(struct device_lock *lock);
void device_lock_stats_disable(struct device_lock *lock);
/* Any thread, at any time, under any lock; waits for nobody. Times and their places belong together. */
void device_lock_stats_read(const struct device_lock *lock, struct lock_stats *stats);
/* Writes a line for the lock to the log if it was ever counted: what -trace locks shows at a lock's end. */
void device_lock_stats_trace(const struct device_lock *lock);

/* --- for device_lock.c alone -------------------------------------------------------------------------------------- */

/* Before a device's lock can be seen by others: on from the beginning if the trace point is. */
void lock_stats_init(struct device_lock *lock);
void lock_stats_destroy(struct device_lock *lock);
/* For lock_stats_took. 0 if the lock isn't counted. */
uint64_t lock_stats_now_ns(const struct device_lock *lock);
/* Where the lock that is waited for was taken. A constant, or NULL. */
const char *lock_stats_holder(const struct device_lock *lock);

/* One acquisition, as its slow path sees it. asked_ns: when the lock was found held; 0: it was free, or not counted. */
struct lock_stats_wait {
    uint64_t asked_ns;
    bool contended;
    const char *holder;
};

/* The holder, which has just got the lock while it is counted. subject: see device_lock_acquire_for. */
void lock_stats_took(struct device_lock *lock, const struct lock_stats_wait *wait, const char *where,
                     const char *const *subject);
/* The holder, whose hold is timed: works have been run. */
void lock_stats_ran(struct device_lock *lock, unsigned works);
/* The holder, whose hold is timed, before it tries to release the lock; again if that fails. */
void lock_stats_release(struct device_lock *lock);

#endif
