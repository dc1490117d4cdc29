/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HPET's main counter: read by any number of threads without a lock, written by one at a time.
 *
 *                 | read                                   | start, stop, set
 *   read          | independent                            | retries until the sequence is even and unchanged
 *   start/stop/set|                                        | serialised by `lock`
 */
#ifndef HDL_HW_TIMER_HPET_COUNTER_H
#define HDL_HW_TIMER_HPET_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "event/clock.h"

/* clock: immutable after init. The rest is written under `lock` (a leaf) and read by the sequence protocol. */
struct hpet_counter {
    struct clock *clock;
    struct hdl_mutex lock;
    _Atomic uint32_t sequence; /* even: stable */
    _Atomic bool running;
    _Atomic uint64_t value; /* halted: the counter; running: the counter at start_ns */
    _Atomic uint64_t start_ns;
};

/* Halted, at 0. */
void hpet_counter_init(struct hpet_counter *counter, struct clock *clock);
void hpet_counter_destroy(struct hpet_counter *counter);

/* Any thread, lockless. */
uint64_t hpet_counter_read(struct hpet_counter *counter);
bool hpet_counter_is_running(struct hpet_counter *counter);
/* Any thread, no leaf lock held. Starting a running counter and stopping a halted one changes nothing. */
void hpet_counter_start(struct hpet_counter *counter);
void hpet_counter_stop(struct hpet_counter *counter);
/* The bits of `mask` become those of `value`. Ignored while running, as the specification leaves it open (2.3.7). */
void hpet_counter_set(struct hpet_counter *counter, uint64_t value, uint64_t mask);
/* Halted, at 0. */
void hpet_counter_reset(struct hpet_counter *counter);
/* When the running counter reaches `ticks`, in ns of the clock; UINT64_MAX if that is beyond its range. */
uint64_t hpet_counter_deadline_ns(struct hpet_counter *counter, uint64_t ticks);

#endif
