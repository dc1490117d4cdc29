/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks. A clock says what time it is and nothing else; timers (event/timer.h) wait for one.
 *
 *   host clock     CLOCK_MONOTONIC
 *   virtual clock  the guest's: host time minus all the time that the machine stood still
 *   fake clock     for tests: moves only when told to
 *
 * Reading is lockless on any thread, also inside RCU read sections and lockless regions.
 */
#ifndef HDL_EVENT_CLOCK_H
#define HDL_EVENT_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_US  UINT64_C(1000)

enum clock_kind { CLOCK_KIND_HOST, CLOCK_KIND_VIRTUAL, CLOCK_KIND_FAKE };

struct event_loop;

/*
 * kind, base: immutable after init. sequence, stopped, offset_ns: written under `lock`, read by anybody by the
 * sequence protocol (even: stable). watchers: under `lock`; the loops to wake when the clock jumps or (re)starts.
 */
struct clock {
    enum clock_kind kind;
    struct clock *base;    /* virtual: the clock it follows */
    struct hdl_mutex lock; /* leaf */
    _Atomic uint32_t sequence;
    _Atomic bool stopped;
    _Atomic uint64_t offset_ns;                         /* virtual: base - now (running), or now (stopped); fake: now */
    struct event_loop **watchers HDL_GUARDED_BY(&lock); /* owned array */
    unsigned watcher_count HDL_GUARDED_BY(&lock);
};

void clock_init_host(struct clock *clock);
/* Starts stopped, at 0. base must outlive it. */
void clock_init_virtual(struct clock *clock, struct clock *base);
void clock_init_fake(struct clock *clock, uint64_t now_ns);
void clock_destroy(struct clock *clock);

/* ns since the clock's own epoch. Never goes back. Any thread, lockless. */
uint64_t clock_now_ns(struct clock *clock);
/* Whether time passes. A timer of a stopped clock doesn't fire, even if its deadline is in the past. */
bool clock_is_running(struct clock *clock);

/* Whether the clock moves by itself while it runs: false for fake clocks and those that follow one. */
bool clock_follows_host(const struct clock *clock);

/* Virtual clocks. Idempotent. Any thread, no leaf lock held; watching loops are woken. */
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);
/* Virtual, stopped: sets the time (restore). */
void clock_set_ns(struct clock *clock, uint64_t now_ns);
/* Fake clocks: moves time forward. */
void clock_advance_ns(struct clock *clock, uint64_t delta_ns);

/* Event loops only: be woken when the clock, or the one that it follows, starts, stops or jumps. 0 or -ENOMEM. */
int clock_watch(struct clock *clock, struct event_loop *loop);
void clock_unwatch(struct clock *clock, struct event_loop *loop);

#endif
