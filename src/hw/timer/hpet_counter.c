/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HPET's main counter as a sequence-locked record. Every field is atomic, so a torn read is impossible as well as
 * detected; the fields' release stores and acquire loads stand in for fences, which thread sanitizers don't follow.
 *
 * A guest can stop, set and start it at will, from one CPU while others read: a read gives what was true before or
 * after.
 */
#include "hw/timer/hpet_counter.h"

#include "hw/timer/hpet.h"

struct counter_record {
    bool running;
    uint64_t value, start_ns;
};

static struct counter_record counter_fields(struct hpet_counter *counter)
{
    return (struct counter_record){
        /* Acquire: pair with the release stores in counter_commit, so that the sequence read later isn't older. */
        .running = atomic_load_explicit(&counter->running, memory_order_acquire),
        .value = atomic_load_explicit(&counter->value, memory_order_acquire),
        .start_ns = atomic_load_explicit(&counter->start_ns, memory_order_acquire),
    };
}

static uint64_t record_ticks(const struct counter_record *record, struct clock *clock)
{
    return record->running ? record->value + (clock_now_ns(clock) - record->start_ns) / HPET_PERIOD_NS : record->value;
}

/* The record and what it says now. The clock is read before the sequence is checked: the record was in force then. */
static struct counter_record counter_load(struct hpet_counter *counter, uint64_t *ticks)
{
    struct counter_record record;
    uint32_t before, after;

    do {
        /* Acquire: pairs with the last release in counter_commit_locked. */
        before = atomic_load_explicit(&counter->sequence, memory_order_acquire);
        record = counter_fields(counter);
        *ticks = record_ticks(&record, counter->clock);
        after = atomic_load_explicit(&counter->sequence, memory_order_seq_cst);
    } while ((before & 1) || before != after);
    return record;
}

/*
 * A change begins before it reads the clock: a reader that finds the sequence still even has read the clock no later
 * than the change does, so no reader is ahead of what the counter is stopped at. Sequentially consistent: the store
 * must be seen before the clock is read.
 */
static struct counter_record counter_begin_locked(struct hpet_counter *counter) HDL_REQUIRES(&counter->lock)
{
    atomic_fetch_add_explicit(&counter->sequence, 1, memory_order_seq_cst);
    return counter_fields(counter);
}

static void counter_commit_locked(struct hpet_counter *counter, const struct counter_record *record)
    HDL_REQUIRES(&counter->lock)
{
    /* Release: whoever sees a new field sees the odd sequence. */
    atomic_store_explicit(&counter->running, record->running, memory_order_release);
    atomic_store_explicit(&counter->value, record->value, memory_order_release);
    atomic_store_explicit(&counter->start_ns, record->start_ns, memory_order_release);
    atomic_fetch_add_explicit(&counter->sequence, 1, memory_order_release);
}

void hpet_counter_init(struct hpet_counter *counter, struct clock *clock)
{
    counter->clock = clock;
    hdl_mutex_init(&counter->lock, "hpet counter", LOCK_RANK_LEAF);
    atomic_init(&counter->sequence, 0);
    atomic_init(&counter->running, false);
    atomic_init(&counter->value, 0);
    atomic_init(&counter->start_ns, 0);
}

void hpet_counter_destroy(struct hpet_counter *counter)
{
    hdl_mutex_destroy(&counter->lock);
}

uint64_t hpet_counter_read(struct hpet_counter *counter)
{
    uint64_t ticks;

    counter_load(counter, &ticks);
    return ticks;
}

bool hpet_counter_is_running(struct hpet_counter *counter)
{
    return atomic_load_explicit(&counter->running, memory_order_acquire);
}

void hpet_counter_start(struct hpet_counter *counter)
{
    struct counter_record record;

    hdl_mutex_lock(&counter->lock);
    record = counter_begin_locked(counter);
    if (!record.running) {
        record.running = true;
        record.start_ns = clock_now_ns(counter->clock);
    }
    counter_commit_locked(counter, &record);
    hdl_mutex_unlock(&counter->lock);
}

void hpet_counter_stop(struct hpet_counter *counter)
{
    struct counter_record record;

    hdl_mutex_lock(&counter->lock);
    record = counter_begin_locked(counter);
    record.value = record_ticks(&record, counter->clock);
    record.running = false;
    counter_commit_locked(counter, &record);
    hdl_mutex_unlock(&counter->lock);
}

void hpet_counter_set(struct hpet_counter *counter, uint64_t value, uint64_t mask)
{
    struct counter_record record;

    hdl_mutex_lock(&counter->lock);
    record = counter_begin_locked(counter);
    if (!record.running) {
        record.value = (record.value & ~mask) | (value & mask);
    }
    counter_commit_locked(counter, &record);
    hdl_mutex_unlock(&counter->lock);
}

void hpet_counter_reset(struct hpet_counter *counter)
{
    struct counter_record record = {0};

    hdl_mutex_lock(&counter->lock);
    counter_begin_locked(counter);
    counter_commit_locked(counter, &record);
    hdl_mutex_unlock(&counter->lock);
}

uint64_t hpet_counter_deadline_ns(struct hpet_counter *counter, uint64_t ticks)
{
    uint64_t now, delta_ns, deadline_ns;
    struct counter_record record = counter_load(counter, &now);

    if (__builtin_mul_overflow(ticks - record.value, (uint64_t)HPET_PERIOD_NS, &delta_ns) ||
        __builtin_add_overflow(record.start_ns, delta_ns, &deadline_ns)) {
        return UINT64_MAX;
    }
    return deadline_ns;
}
