/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting what device locks do. The memory for it comes with the first time it is switched on and goes with the lock.
 *
 * Every field has one writer at a time, the lock's holder, and any number of readers. Counters stand alone: each is a
 * relaxed atomic. A longest time and its place belong together, so they are written under a sequence count and read
 * again if it moved; a region's name is copied, since the region may be gone when somebody reads.
 */
#include "device/lock_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "device/device_lock.h"

#define SUBJECT_WORDS (LOCK_STATS_SUBJECT_BYTES / sizeof(uint64_t))

_Static_assert(LOCK_STATS_SUBJECT_BYTES % sizeof(uint64_t) == 0, "a subject is whole words");

/* Holder writes, any thread reads; all but ns under the sequence count. */
struct time_record {
    _Atomic uint64_t ns;
    const char *_Atomic where;
    const char *_Atomic holder; /* of a wait */
    _Atomic uint64_t works;     /* of a hold */
    _Atomic uint64_t subject[SUBJECT_WORDS];
};

/* Holder writes; fields that are atomic are read by any thread. */
struct lock_counters {
    _Atomic uint64_t acquisitions;
    _Atomic uint64_t contended;
    _Atomic uint64_t works;
    _Atomic uint32_t sequence; /* of hold and wait; odd while they change */
    struct time_record hold, wait;
    const char *_Atomic holder; /* where the present or the last timed hold began */
    const char *hold_subject;   /* its region's name, which lives as long as the hold */
    uint64_t hold_begin_ns;
    uint64_t hold_begin_works;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Acquire: pairs with the release in device_lock_stats_enable. */
static struct lock_counters *counters_of(const struct device_lock *lock)
{
    return atomic_load_explicit(&lock->counters, memory_order_acquire);
}

static void count_up(_Atomic uint64_t *counter, uint64_t by)
{
    /* Not an atomic addition: only the holder writes. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* --- switching ---------------------------------------------------------------------------------------------------- */

int device_lock_stats_enable(struct device_lock *lock)
{
    if (!counters_of(lock)) {
        struct lock_counters *fresh = calloc(1, sizeof(*fresh));
        struct lock_counters *none = NULL;

        if (!fresh) {
            return -ENOMEM;
        }
        /* Release: pairs with the acquire in counters_of. Another thread may have been faster. */
        if (!atomic_compare_exchange_strong_explicit(&lock->counters, &none, fresh, memory_order_release,
                                                     memory_order_relaxed)) {
            free(fresh);
        }
    }
    /* Release: whoever takes the lock with this bit set sees the counters. */
    atomic_fetch_or_explicit(&lock->word, DEVICE_LOCK_TRACED, memory_order_release);
    return 0;
}

void device_lock_stats_disable(struct device_lock *lock)
{
    atomic_fetch_and_explicit(&lock->word, ~DEVICE_LOCK_TRACED, memory_order_relaxed);
}

void lock_stats_init(struct device_lock *lock)
{
    atomic_init(&lock->counters, NULL);
    if (trace_is_enabled(TRACE_LOCKS)) {
        device_lock_stats_enable(lock); /* without memory, it isn't counted */
    }
}

void lock_stats_destroy(struct device_lock *lock)
{
    device_lock_stats_trace(lock);
    free(counters_of(lock));
}

/* --- counting ----------------------------------------------------------------------------------------------------- */

uint64_t lock_stats_now_ns(const struct device_lock *lock)
{
    return counters_of(lock) ? now_ns() : 0;
}

const char *lock_stats_holder(const struct device_lock *lock)
{
    struct lock_counters *counters = counters_of(lock);

    if (!counters || !(atomic_load_explicit(&lock->word, memory_order_relaxed) & DEVICE_LOCK_TIMED)) {
        return NULL;
    }
    return atomic_load_explicit(&counters->holder, memory_order_relaxed);
}

/*
 * Releases, of each field: whoever sees one of these sees the odd sequence too; pair with the acquires in record_read.
 */
static void record_write(struct lock_counters *counters, struct time_record *record, const struct time_record *values)
{
    uint32_t sequence = atomic_load_explicit(&counters->sequence, memory_order_relaxed);

    atomic_store_explicit(&counters->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&record->ns, values->ns, memory_order_release);
    atomic_store_explicit(&record->where, values->where, memory_order_release);
    atomic_store_explicit(&record->holder, values->holder, memory_order_release);
    atomic_store_explicit(&record->works, values->works, memory_order_release);
    for (unsigned i = 0; i < SUBJECT_WORDS; i++) {
        atomic_store_explicit(&record->subject[i], values->subject[i], memory_order_release);
    }
    /* Release: pairs with the acquire of the first look at the sequence in record_read. */
    atomic_store_explicit(&counters->sequence, sequence + 2, memory_order_release);
}

/* Keeps a time if there was no longer one. */
static void record_longest(struct lock_counters *counters, struct time_record *record, struct time_record *values,
                           const char *subject)
{
    char text[LOCK_STATS_SUBJECT_BYTES] = "";

    if (values->ns <= atomic_load_explicit(&record->ns, memory_order_relaxed)) {
        return;
    }
    if (subject) {
        strncpy(text, subject, sizeof(text) - 1);
    }
    memcpy(values->subject, text, sizeof(text));
    record_write(counters, record, values);
}

void lock_stats_took(struct device_lock *lock, const struct lock_stats_wait *wait, const char *where,
                     const char *const *subject)
{
    struct lock_counters *counters = counters_of(lock);

    count_up(&counters->acquisitions, 1);
    counters->hold_begin_ns = now_ns();
    counters->hold_begin_works = atomic_load_explicit(&counters->works, memory_order_relaxed);
    counters->hold_subject = subject ? *subject : NULL;
    if (wait->contended) {
        count_up(&counters->contended, 1);
        if (wait->asked_ns != 0) {
            struct time_record values = {
                .ns = counters->hold_begin_ns - wait->asked_ns, .where = where, .holder = wait->holder};

            record_longest(counters, &counters->wait, &values, counters->hold_subject);
        }
    }
    atomic_store_explicit(&counters->holder, where, memory_order_relaxed);
}

void lock_stats_ran(struct device_lock *lock, unsigned works)
{
    count_up(&counters_of(lock)->works, works);
}

void lock_stats_release(struct device_lock *lock)
{
    struct lock_counters *counters = counters_of(lock);
    struct time_record values = {.ns = now_ns() - counters->hold_begin_ns,
                                 .where = atomic_load_explicit(&counters->holder, memory_order_relaxed),
                                 .works = atomic_load_explicit(&counters->works, memory_order_relaxed) -
                                          counters->hold_begin_works};

    record_longest(counters, &counters->hold, &values, counters->hold_subject);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* One look at a record: maybe while it changes. Acquires: pair with the releases in record_write. */
static void record_read(struct time_record *record, struct lock_stats_time *time, const char **holder, uint64_t *works)
{
    uint64_t subject[SUBJECT_WORDS];

    time->ns = atomic_load_explicit(&record->ns, memory_order_acquire);
    time->where = atomic_load_explicit(&record->where, memory_order_acquire);
    *holder = atomic_load_explicit(&record->holder, memory_order_acquire);
    *works = atomic_load_explicit(&record->works, memory_order_acquire);
    for (unsigned i = 0; i < SUBJECT_WORDS; i++) {
        subject[i] = atomic_load_explicit(&record->subject[i], memory_order_acquire);
    }
    memcpy(time->subject, subject, sizeof(subject));
}

void device_lock_stats_read(const struct device_lock *lock, struct lock_stats *stats)
{
    struct lock_counters *counters = counters_of(lock);
    const char *no_holder;
    uint64_t no_works;
    uint32_t before;

    memset(stats, 0, sizeof(*stats));
    stats->enabled = atomic_load_explicit(&lock->word, memory_order_relaxed) & DEVICE_LOCK_TRACED;
    if (!counters) {
        return;
    }
    stats->acquisitions = atomic_load_explicit(&counters->acquisitions, memory_order_relaxed);
    stats->contended = atomic_load_explicit(&counters->contended, memory_order_relaxed);
    stats->works = atomic_load_explicit(&counters->works, memory_order_relaxed);
    stats->holder = lock_stats_holder(lock);
    do {
        /* Acquire: pairs with the release at the end of record_write. */
        before = atomic_load_explicit(&counters->sequence, memory_order_acquire);
        record_read(&counters->hold, &stats->hold, &no_holder, &stats->hold_works);
        record_read(&counters->wait, &stats->wait, &stats->wait_for, &no_works);
    } while ((before & 1) || atomic_load_explicit(&counters->sequence, memory_order_relaxed) != before);
}

/* "1234 ns at file:line (region)" */
static void time_print(char *text, size_t size_bytes, const struct lock_stats_time *time)
{
    snprintf(text, size_bytes, "%" PRIu64 " ns at %s%s%s%s", time->ns, time->where ? time->where : "-",
             time->subject[0] ? " (" : "", time->subject, time->subject[0] ? ")" : "");
}

void device_lock_stats_trace(const struct device_lock *lock)
{
    struct lock_stats stats;
    char hold[128];
    char wait[128];

    device_lock_stats_read(lock, &stats);
    if (stats.acquisitions == 0) {
        return;
    }
    time_print(hold, sizeof(hold), &stats.hold);
    time_print(wait, sizeof(wait), &stats.wait);
    trace(LOCKS,
          "%s: taken %" PRIu64 ", contended %" PRIu64 ", works %" PRIu64 "; longest hold %s with %" PRIu64
          " works; longest wait %s for %s",
          lock->name, stats.acquisitions, stats.contended, stats.works, hold, stats.hold_works, wait,
          stats.wait_for ? stats.wait_for : "-");
}
