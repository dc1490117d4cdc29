/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: a binary heap for each clock that the loop watches, under one leaf lock, because any thread may arm.
 *
 *                      arm                 due in a round              fired
 *   IDLE (index -1) ---------> IN A HEAP ----------------> EXPIRED ---------------> IDLE, then fn
 *       ^                      (index >= 0)                (index <= -2)
 *       +------------- cancel, from either ---------------------+
 *
 * All that are due when a round begins are taken out of the heaps first, and fired after that, so one that is armed
 * again from within its own function, even for a time in the past, waits for the next round. Room for every timer is
 * made when it is initialised: arming never allocates and never fails, however often a guest makes a device arm.
 */
#include "event/loop_internal.h"

#include <assert.h>
#include <errno.h>

#define TIMER_IDLE (-1)

void loop_timers_init(struct event_loop *loop)
{
    hdl_mutex_init(&loop->timer_lock, "event loop timers", LOCK_RANK_LEAF);
}

void loop_timers_destroy(struct event_loop *loop) HDL_LOCK_PRIMITIVE /* the loop is its destroyer's alone */
{
    for (unsigned i = 0; i < loop->heap_count; i++) {
        assert(loop->heaps[i].armed == 0);
        clock_unwatch(loop->heaps[i].clock, loop);
        free(loop->heaps[i].slots);
    }
    free(loop->expired);
    hdl_mutex_destroy(&loop->timer_lock);
}

/* --- the heap --------------------------------------------------------------------------------------------------- */

static bool timer_is_before(const struct timer *a, const struct timer *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

static void heap_put(struct timer_heap *heap, unsigned index, struct timer *timer)
{
    heap->slots[index] = timer;
    timer->heap_index = (int)index;
}

/* Puts the timer at index or above. */
static void heap_sift_up(struct timer_heap *heap, unsigned index, struct timer *timer)
{
    while (index > 0) {
        unsigned parent = (index - 1) / 2;

        if (!timer_is_before(timer, heap->slots[parent])) {
            break;
        }
        heap_put(heap, index, heap->slots[parent]);
        index = parent;
    }
    heap_put(heap, index, timer);
}

/* Puts the timer at index or below. */
static void heap_sift_down(struct timer_heap *heap, unsigned index, struct timer *timer)
{
    for (;;) {
        unsigned child = index * 2 + 1;

        if (child + 1 < heap->armed && timer_is_before(heap->slots[child + 1], heap->slots[child])) {
            child++;
        }
        if (child >= heap->armed || !timer_is_before(heap->slots[child], timer)) {
            break;
        }
        heap_put(heap, index, heap->slots[child]);
        index = child;
    }
    heap_put(heap, index, timer);
}

static void heap_insert(struct timer_heap *heap, struct timer *timer)
{
    assert(heap->armed < heap->capacity);
    heap_sift_up(heap, heap->armed++, timer);
}

static void heap_remove(struct timer_heap *heap, struct timer *timer)
{
    unsigned index = (unsigned)timer->heap_index;
    struct timer *last = heap->slots[--heap->armed];

    timer->heap_index = TIMER_IDLE;
    if (last == timer) {
        return;
    }
    if (index > 0 && timer_is_before(last, heap->slots[(index - 1) / 2])) {
        heap_sift_up(heap, index, last);
    } else {
        heap_sift_down(heap, index, last);
    }
}

/* --- a loop's heaps --------------------------------------------------------------------------------------------- */

static struct timer_heap *timer_heap_find(struct event_loop *loop, const struct clock *clock)
    HDL_REQUIRES(&loop->timer_lock)
{
    for (unsigned i = 0; i < loop->heap_count; i++) {
        if (loop->heaps[i].clock == clock) {
            return &loop->heaps[i];
        }
    }
    return NULL;
}

static int timer_heap_grow(struct timer_heap *heap)
{
    unsigned capacity = heap->capacity ? heap->capacity * 2 : 8;
    struct timer **slots = reallocarray(heap->slots, capacity, sizeof(struct timer *));

    if (!slots) {
        return -ENOMEM;
    }
    heap->slots = slots;
    heap->capacity = capacity;
    return 0;
}

static int timer_expired_grow(struct event_loop *loop) HDL_REQUIRES(&loop->timer_lock)
{
    unsigned needed = 0;
    struct timer **expired;

    for (unsigned i = 0; i < loop->heap_count; i++) {
        needed += loop->heaps[i].capacity;
    }
    if (needed <= loop->expired_capacity) {
        return 0;
    }
    expired = reallocarray(loop->expired, needed, sizeof(struct timer *));
    if (!expired) {
        return -ENOMEM;
    }
    loop->expired = expired;
    loop->expired_capacity = needed;
    return 0;
}

/* Room for one more timer of the clock. */
static int timer_reserve(struct event_loop *loop, struct clock *clock) HDL_REQUIRES(&loop->timer_lock)
{
    struct timer_heap *heap = timer_heap_find(loop, clock);
    int ret = 0;

    assert(heap);
    if (heap->timers == heap->capacity) {
        ret = timer_heap_grow(heap);
    }
    if (ret == 0) {
        ret = timer_expired_grow(loop);
    }
    if (ret == 0) {
        heap->timers++;
    }
    return ret;
}

/*
 * A heap for a clock that the loop didn't watch so far. The clock is told outside the lock, as its own is a leaf, too;
 * another thread may have added the heap meanwhile.
 */
static int timer_clock_add(struct event_loop *loop, struct clock *clock)
{
    bool known;
    int ret;

    ret = clock_watch(clock, loop);
    if (ret < 0) {
        return ret;
    }
    hdl_mutex_lock(&loop->timer_lock);
    known = timer_heap_find(loop, clock) != NULL;
    if (!known && loop->heap_count == LOOP_CLOCKS_MAX) {
        ret = -ENOSPC;
    } else if (!known) {
        loop->heaps[loop->heap_count++] = (struct timer_heap){.clock = clock};
    }
    hdl_mutex_unlock(&loop->timer_lock);
    if (known || ret < 0) {
        clock_unwatch(clock, loop);
    }
    return ret;
}

int timer_init(struct timer *timer, struct event_loop *loop, struct clock *clock, void (*fn)(void *opaque),
               void *opaque)
{
    bool known;
    int ret = 0;

    *timer = (struct timer){.loop = loop, .clock = clock, .fn = fn, .opaque = opaque, .heap_index = TIMER_IDLE};
    hdl_mutex_lock(&loop->timer_lock);
    known = timer_heap_find(loop, clock) != NULL;
    hdl_mutex_unlock(&loop->timer_lock);
    if (!known) {
        ret = timer_clock_add(loop, clock);
    }
    if (ret == 0) {
        hdl_mutex_lock(&loop->timer_lock);
        ret = timer_reserve(loop, clock);
        hdl_mutex_unlock(&loop->timer_lock);
    }
    if (ret < 0) {
        timer->loop = NULL;
    }
    return ret;
}

/* --- arming ----------------------------------------------------------------------------------------------------- */

/* Position in the list of expired timers, from and to heap_index. */
static int timer_expired_index(int position)
{
    return -2 - position;
}

/* Out of its heap or of the list of expired timers, if it is in one. */
static void timer_unlink(struct event_loop *loop, struct timer *timer, struct timer_heap *heap)
    HDL_REQUIRES(&loop->timer_lock)
{
    if (timer->heap_index >= 0) {
        heap_remove(heap, timer);
    } else if (timer->heap_index != TIMER_IDLE) {
        loop->expired[timer_expired_index(timer->heap_index)] = NULL;
        timer->heap_index = TIMER_IDLE;
    }
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
    struct event_loop *loop = timer->loop;
    struct timer_heap *heap;
    bool first;

    hdl_mutex_lock(&loop->timer_lock);
    heap = timer_heap_find(loop, timer->clock);
    assert(heap);
    timer_unlink(loop, timer, heap);
    timer->deadline_ns = deadline_ns;
    timer->order = loop->timer_order++;
    heap_insert(heap, timer);
    first = timer->heap_index == 0;
    hdl_mutex_unlock(&loop->timer_lock);
    if (first && !event_loop_is_current(loop)) {
        event_loop_wake(loop); /* its wait ends earlier now; the loop thread itself looks again before it waits */
    }
}

void timer_cancel(struct timer *timer)
{
    struct event_loop *loop = timer->loop;

    hdl_mutex_lock(&loop->timer_lock);
    timer_unlink(loop, timer, timer_heap_find(loop, timer->clock));
    hdl_mutex_unlock(&loop->timer_lock);
}

bool timer_is_armed(struct timer *timer)
{
    bool armed;

    hdl_mutex_lock(&timer->loop->timer_lock);
    armed = timer->heap_index != TIMER_IDLE;
    hdl_mutex_unlock(&timer->loop->timer_lock);
    return armed;
}

void timer_destroy(struct timer *timer)
{
    struct event_loop *loop = timer->loop;
    struct timer_heap *heap;

    if (!loop) {
        return; /* never initialised */
    }
    hdl_mutex_lock(&loop->timer_lock);
    heap = timer_heap_find(loop, timer->clock);
    timer_unlink(loop, timer, heap);
    heap->timers--;
    hdl_mutex_unlock(&loop->timer_lock);
    timer->loop = NULL;
}

/* --- the loop's side -------------------------------------------------------------------------------------------- */

uint64_t loop_timers_wait_ns(struct event_loop *loop)
{
    uint64_t wait_ns = LOOP_NO_TIMEOUT;

    hdl_mutex_lock(&loop->timer_lock);
    if (loop->expired_next < loop->expired_count) {
        wait_ns = 0; /* left over when the loop was paused */
    }
    for (unsigned i = 0; i < loop->heap_count; i++) {
        struct timer_heap *heap = &loop->heaps[i];
        uint64_t now_ns;

        if (heap->armed == 0 || !clock_is_running(heap->clock)) {
            continue;
        }
        now_ns = clock_now_ns(heap->clock);
        if (heap->slots[0]->deadline_ns <= now_ns) {
            wait_ns = 0;
        } else if (clock_follows_host(heap->clock)) {
            wait_ns = MIN(wait_ns, heap->slots[0]->deadline_ns - now_ns);
        }
    }
    hdl_mutex_unlock(&loop->timer_lock);
    return wait_ns;
}

static void timer_heap_expire(struct event_loop *loop, struct timer_heap *heap) HDL_REQUIRES(&loop->timer_lock)
{
    uint64_t now_ns;

    if (heap->armed == 0 || !clock_is_running(heap->clock)) {
        return;
    }
    now_ns = clock_now_ns(heap->clock);
    while (heap->armed > 0 && heap->slots[0]->deadline_ns <= now_ns) {
        struct timer *timer = heap->slots[0];

        heap_remove(heap, timer);
        assert(loop->expired_count < loop->expired_capacity);
        timer->heap_index = timer_expired_index((int)loop->expired_count);
        loop->expired[loop->expired_count++] = timer;
    }
}

/* The next one to fire, idle now; NULL at the end. */
static struct timer *timer_expired_take(struct event_loop *loop)
{
    struct timer *timer = NULL;

    hdl_mutex_lock(&loop->timer_lock);
    while (!timer && loop->expired_next < loop->expired_count) {
        timer = loop->expired[loop->expired_next++];
        if (timer && !clock_is_running(timer->clock)) {
            /* Stopped since the round began: it goes back, and keeps its place. */
            heap_insert(timer_heap_find(loop, timer->clock), timer);
            timer = NULL;
        }
    }
    if (timer) {
        timer->heap_index = TIMER_IDLE;
    }
    hdl_mutex_unlock(&loop->timer_lock);
    return timer;
}

bool loop_timers_run(struct event_loop *loop)
{
    struct timer *timer;
    bool ran = false;

    hdl_mutex_lock(&loop->timer_lock);
    if (loop->expired_next == loop->expired_count) {
        loop->expired_next = 0;
        loop->expired_count = 0;
        for (unsigned i = 0; i < loop->heap_count; i++) {
            timer_heap_expire(loop, &loop->heaps[i]);
        }
    }
    hdl_mutex_unlock(&loop->timer_lock);
    while (!loop->paused && (timer = timer_expired_take(loop))) {
        timer->fn(timer->opaque);
        ran = true;
    }
    return ran;
}
