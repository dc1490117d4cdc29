/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks: reading them, and telling the loops that wait for one when it jumps. They hold no timers.
 *
 * A virtual clock is two words, "stopped" and "offset", that must be read together. Writers serialise on the lock and
 * make the sequence odd meanwhile; readers take no lock and try again if it was odd or has changed. A writer is in
 * there for a few instructions, so a reader is never held up for longer than that. Guests read clocks through timers'
 * counter registers, and can do nothing to them but that.
 */
#include "event/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/compiler.h"
#include "event/event_loop.h"

static void clock_init(struct clock *clock, enum clock_kind kind, struct clock *base, bool stopped,
                       uint64_t offset_ns) HDL_LOCK_PRIMITIVE /* nobody else sees the clock yet */
{
    clock->kind = kind;
    clock->base = base;
    hdl_mutex_init(&clock->lock, "clock", LOCK_RANK_LEAF);
    atomic_init(&clock->sequence, 0);
    atomic_init(&clock->stopped, stopped);
    atomic_init(&clock->offset_ns, offset_ns);
    clock->watchers = NULL;
    clock->watcher_count = 0;
}

void clock_init_host(struct clock *clock)
{
    clock_init(clock, CLOCK_KIND_HOST, NULL, false, 0);
}

void clock_init_virtual(struct clock *clock, struct clock *base)
{
    clock_init(clock, CLOCK_KIND_VIRTUAL, base, true, 0);
}

void clock_init_fake(struct clock *clock, uint64_t now_ns)
{
    clock_init(clock, CLOCK_KIND_FAKE, NULL, false, now_ns);
}

void clock_destroy(struct clock *clock) HDL_LOCK_PRIMITIVE
{
    assert(clock->watcher_count == 0);
    free(clock->watchers);
    hdl_mutex_destroy(&clock->lock);
}

static uint64_t clock_host_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* One consistent reading. Whether the clock runs is told beside its time. */
static uint64_t clock_virtual_read(struct clock *clock, bool *running)
{
    for (;;) {
        /* Acquire: pairs with the release in clock_write_end. */
        uint32_t before = atomic_load_explicit(&clock->sequence, memory_order_acquire);
        /* Acquire: whoever sees a writer's word sees its odd sequence below; pairs with the releases in clock_write. */
        bool stopped = atomic_load_explicit(&clock->stopped, memory_order_acquire);
        uint64_t offset_ns = atomic_load_explicit(&clock->offset_ns, memory_order_acquire);
        uint64_t now_ns = stopped ? offset_ns : clock_now_ns(clock->base) - offset_ns;

        if (!(before & 1) && atomic_load_explicit(&clock->sequence, memory_order_acquire) == before) {
            *running = !stopped;
            return now_ns;
        }
        hdl_cpu_relax();
    }
}

uint64_t clock_now_ns(struct clock *clock)
{
    bool running;

    switch (clock->kind) {
    case CLOCK_KIND_HOST:
        return clock_host_now_ns();
    case CLOCK_KIND_VIRTUAL:
        return clock_virtual_read(clock, &running);
    case CLOCK_KIND_FAKE:
        break;
    }
    return atomic_load_explicit(&clock->offset_ns, memory_order_acquire);
}

bool clock_is_running(struct clock *clock)
{
    bool running = true;

    if (clock->kind == CLOCK_KIND_VIRTUAL) {
        clock_virtual_read(clock, &running);
    }
    return running;
}

bool clock_follows_host(const struct clock *clock)
{
    return clock->base ? clock_follows_host(clock->base) : clock->kind == CLOCK_KIND_HOST;
}

/* Sequentially consistent: the odd sequence is out before the base clock is read for the new offset. */
static void clock_write_begin(struct clock *clock) HDL_REQUIRES(&clock->lock)
{
    atomic_fetch_add(&clock->sequence, 1);
}

static void clock_write(struct clock *clock, bool stopped, uint64_t offset_ns) HDL_REQUIRES(&clock->lock)
{
    atomic_store_explicit(&clock->stopped, stopped, memory_order_release);
    atomic_store_explicit(&clock->offset_ns, offset_ns, memory_order_release);
}

static void clock_write_end(struct clock *clock) HDL_REQUIRES(&clock->lock)
{
    atomic_fetch_add_explicit(&clock->sequence, 1, memory_order_release);
}

/* Waking a loop is lockless, so it is legal under the leaf lock, which keeps the loops from going away. */
static void clock_wake_watchers(struct clock *clock) HDL_REQUIRES(&clock->lock)
{
    for (unsigned i = 0; i < clock->watcher_count; i++) {
        event_loop_wake(clock->watchers[i]);
    }
}

void clock_start(struct clock *clock)
{
    assert(clock->kind == CLOCK_KIND_VIRTUAL);
    hdl_mutex_lock(&clock->lock);
    if (atomic_load_explicit(&clock->stopped, memory_order_relaxed)) {
        uint64_t frozen_ns = atomic_load_explicit(&clock->offset_ns, memory_order_relaxed);

        clock_write_begin(clock);
        clock_write(clock, false, clock_now_ns(clock->base) - frozen_ns);
        clock_write_end(clock);
        clock_wake_watchers(clock);
    }
    hdl_mutex_unlock(&clock->lock);
}

void clock_stop(struct clock *clock)
{
    assert(clock->kind == CLOCK_KIND_VIRTUAL);
    hdl_mutex_lock(&clock->lock);
    if (!atomic_load_explicit(&clock->stopped, memory_order_relaxed)) {
        uint64_t offset_ns = atomic_load_explicit(&clock->offset_ns, memory_order_relaxed);

        clock_write_begin(clock);
        clock_write(clock, true, clock_now_ns(clock->base) - offset_ns);
        clock_write_end(clock);
        clock_wake_watchers(clock);
    }
    hdl_mutex_unlock(&clock->lock);
}

void clock_set_ns(struct clock *clock, uint64_t now_ns)
{
    assert(clock->kind == CLOCK_KIND_VIRTUAL);
    hdl_mutex_lock(&clock->lock);
    assert(atomic_load_explicit(&clock->stopped, memory_order_relaxed));
    clock_write_begin(clock);
    clock_write(clock, true, now_ns);
    clock_write_end(clock);
    clock_wake_watchers(clock);
    hdl_mutex_unlock(&clock->lock);
}

void clock_advance_ns(struct clock *clock, uint64_t delta_ns)
{
    assert(clock->kind == CLOCK_KIND_FAKE);
    hdl_mutex_lock(&clock->lock);
    atomic_fetch_add_explicit(&clock->offset_ns, delta_ns, memory_order_release);
    clock_wake_watchers(clock);
    hdl_mutex_unlock(&clock->lock);
}

static int clock_watch_one(struct clock *clock, struct event_loop *loop)
{
    struct event_loop **grown;
    int ret = -ENOMEM;

    hdl_mutex_lock(&clock->lock);
    grown = reallocarray(clock->watchers, clock->watcher_count + 1, sizeof(struct event_loop *));
    if (grown) {
        clock->watchers = grown;
        clock->watchers[clock->watcher_count++] = loop;
        ret = 0;
    }
    hdl_mutex_unlock(&clock->lock);
    return ret;
}

static void clock_unwatch_one(struct clock *clock, struct event_loop *loop)
{
    hdl_mutex_lock(&clock->lock);
    for (unsigned i = 0; i < clock->watcher_count; i++) {
        if (clock->watchers[i] == loop) {
            clock->watchers[i] = clock->watchers[--clock->watcher_count];
            break;
        }
    }
    hdl_mutex_unlock(&clock->lock);
}

/* A virtual clock also jumps when the clock that it follows does. */
int clock_watch(struct clock *clock, struct event_loop *loop)
{
    int ret = clock_watch_one(clock, loop);

    if (ret == 0 && clock->base) {
        ret = clock_watch(clock->base, loop);
        if (ret < 0) {
            clock_unwatch_one(clock, loop);
        }
    }
    return ret;
}

void clock_unwatch(struct clock *clock, struct event_loop *loop)
{
    clock_unwatch_one(clock, loop);
    if (clock->base) {
        clock_unwatch(clock->base, loop);
    }
}
