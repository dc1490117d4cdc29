/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop itself: its life, its rounds, and how other threads reach it. Sources of events have their own files.
 *
 *   round:  wait -> completions and descriptors -> timers -> bottom halves -> free what was removed -> submit I/O
 *
 * Waking. A wake costs a system call only if the loop sleeps or is about to. Both sides write one word and then read
 * the other's, all sequentially consistent, so at least one of them sees the other (Dekker):
 *
 *   event_loop_wake    woken = true      then reads sleeping; true: writes the eventfd
 *   loop_wait          sleeping = true   then reads woken; true: doesn't wait
 *
 * A loop that isn't run by anybody may be used by any one thread as if that were the loop thread. Guests don't reach
 * this file; how often they can make a loop go round is bounded by what its devices do a round.
 */
#include "event/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

/* When the kernel is short of memory for I/O requests, the loop tries again after this long. */
#define LOOP_IO_AGAIN_NS NS_PER_MS

/* --- waking ----------------------------------------------------------------------------------------------------- */

void event_loop_wake(struct event_loop *loop)
{
    uint64_t one = 1;
    int saved_errno = errno;

    /*
     * If it was set already, whoever set it reads `sleeping`, and the loop hasn't looked since: it will, and it then
     * sees what this thread did before.
     */
    if (atomic_exchange(&loop->woken, true)) {
        return;
    }
    /* Sequentially consistent, as the exchange above: pairs with loop_wait. */
    if (atomic_load(&loop->sleeping)) {
        /* It can only fail when the counter is full, and then the loop wakes anyway. */
        if (write(loop->wake_fd, &one, sizeof(one)) < 0) {
            errno = saved_errno;
        }
    }
}

static void loop_drain_wake_fd(struct event_loop *loop)
{
    uint64_t count;

    if (read(loop->wake_fd, &count, sizeof(count)) < 0) {
        return; /* nobody had written */
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void loop_stop_bh(void *opaque)
{
    struct event_loop *loop = opaque;

    loop->stop = true;
}

static void loop_pause_bh(void *opaque)
{
    struct event_loop *loop = opaque;

    loop->paused = atomic_load_explicit(&loop->pause_level, memory_order_acquire) > 0;
}

static void loop_call_bh(void *opaque);

static int loop_open_descriptors(struct event_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        return -errno;
    }
    return 0;
}

static int loop_open_io(struct event_loop *loop, bool may_use_ring, struct error **err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    loop->ring = may_use_ring ? io_ring_create() : NULL;
    if (!loop->ring) {
        loop->io_pool = worker_pool_create(loop->name, LOOP_IO_THREADS, err);
        return loop->io_pool ? 0 : -ENOMEM;
    }
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, io_ring_fd(loop->ring), &event) < 0) {
        return error_set(err, -errno, "event loop '%s': can't poll an io_uring: %s", loop->name, strerror(errno));
    }
    return 0;
}

static struct event_loop *loop_allocate(const char *name)
{
    struct event_loop *loop = aligned_alloc(HDL_CACHE_LINE, ALIGN_UP(sizeof(*loop), HDL_CACHE_LINE));

    if (!loop) {
        return NULL;
    }
    memset(loop, 0, sizeof(*loop));
    strncpy(loop->name, name, sizeof(loop->name) - 1);
    loop->epoll_fd = -1;
    loop->wake_fd = -1;
    loop->io_finished_tail = &loop->io_finished;
    loop_bh_init(loop);
    loop_timers_init(loop);
    bh_init(&loop->stop_bh, loop, loop_stop_bh, loop);
    bh_init(&loop->pause_bh, loop, loop_pause_bh, loop);
    bh_init(&loop->call_bh, loop, loop_call_bh, loop);
    hdl_mutex_init(&loop->call_lock, "event loop calls", LOCK_RANK_LEAF);
    hdl_cond_init(&loop->call_cond);
    return loop;
}

static struct event_loop *loop_create(const char *name, bool may_use_ring, struct error **err)
{
    struct event_loop *loop = loop_allocate(name);
    int ret;

    if (!loop) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    ret = loop_open_descriptors(loop);
    if (ret < 0) {
        error_set(err, ret, "can't create event loop '%s': %s", name, strerror(-ret));
    } else {
        ret = loop_open_io(loop, may_use_ring, err);
    }
    if (ret < 0) {
        event_loop_destroy(loop);
        return NULL;
    }
    return loop;
}

struct event_loop *event_loop_create(const char *name, struct error **err)
{
    return loop_create(name, true, err);
}

struct event_loop *event_loop_create_with_threads(const char *name, struct error **err)
{
    return loop_create(name, false, err);
}

void event_loop_destroy(struct event_loop *loop)
{
    if (!loop) {
        return;
    }
    assert(!loop->thread_started && !loop->in_round);
    worker_pool_destroy(loop->io_pool);
    io_ring_destroy(loop->ring);
    if (loop->epoll_fd >= 0) {
        loop_watches_destroy(loop);
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    loop_timers_destroy(loop);
    hdl_cond_destroy(&loop->call_cond);
    hdl_mutex_destroy(&loop->call_lock);
    free(loop);
}

const char *event_loop_name(const struct event_loop *loop)
{
    return loop->name;
}

/* --- rounds ----------------------------------------------------------------------------------------------------- */

/* How long the loop may sleep, by what the loop thread knows. */
static uint64_t loop_wait_limit_ns(struct event_loop *loop, bool wait)
{
    if (!wait) {
        return 0;
    }
    if (loop->paused) {
        return LOOP_NO_TIMEOUT;
    }
    if (loop->always_ready_count > 0 || loop->io_finished) {
        return 0;
    }
    if (loop->ring && !io_ring_submit(loop->ring)) {
        return MIN(loop_timers_wait_ns(loop), LOOP_IO_AGAIN_NS);
    }
    if (loop->ring && io_ring_has_completions(loop->ring)) {
        return 0;
    }
    return loop_timers_wait_ns(loop);
}

/* Waits for descriptors; paused, only for a wake. How many events there are. */
static int loop_wait_descriptors(struct event_loop *loop, struct epoll_event *events, uint64_t limit_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(limit_ns / NS_PER_SEC), .tv_nsec = (long)(limit_ns % NS_PER_SEC)};
    const struct timespec *limit = limit_ns == LOOP_NO_TIMEOUT ? NULL : &timeout;
    struct pollfd wake = {.fd = loop->wake_fd, .events = POLLIN};
    int count;

    if (loop->paused) {
        ppoll(&wake, 1, limit, NULL);
        return 0;
    }
    count = epoll_pwait2(loop->epoll_fd, events, LOOP_EVENTS_MAX, limit, NULL);
    return MAX(count, 0); /* EINTR: a signal handler may have woken the loop */
}

static int loop_wait(struct event_loop *loop, struct epoll_event *events, bool wait)
{
    uint64_t limit_ns;
    int count;

    /* Sequentially consistent, both: pairs with event_loop_wake. Timers are looked at after it for the same reason. */
    atomic_store(&loop->sleeping, true);
    if (atomic_exchange(&loop->woken, false)) {
        wait = false;
    }
    limit_ns = loop_wait_limit_ns(loop, wait);
    count = loop_wait_descriptors(loop, events, limit_ns);
    atomic_store(&loop->sleeping, false);
    loop_drain_wake_fd(loop);
    /* What was asked until here is done in this round. */
    atomic_exchange(&loop->woken, false);
    return count;
}

static bool loop_round(struct event_loop *loop, bool wait)
{
    struct epoll_event events[LOOP_EVENTS_MAX];
    bool ran = false;
    int count;

    assert(!loop->in_round);
    count = loop_wait(loop, events, wait);
    loop->in_round = true;
    loop->round++;
    loop_bh_begin_round(loop);
    if (!loop->paused) {
        ran |= loop_io_finished_run(loop);
        if (loop->ring) {
            ran |= io_ring_reap(loop->ring, &loop->paused);
        }
        ran |= loop_watches_dispatch(loop, events, count);
        ran |= loop_timers_run(loop);
    }
    ran |= loop_bh_run(loop);
    loop->in_round = false;
    loop_watches_reap(loop);
    if (loop->ring && !loop->paused) {
        io_ring_submit(loop->ring);
    }
    return ran;
}

/* From here to loop_leave somebody runs the loop, or is about to, and calls are left to it. */
static void loop_claim(struct event_loop *loop)
{
    hdl_mutex_lock(&loop->call_lock);
    assert(!loop->running);
    loop->running = true;
    hdl_mutex_unlock(&loop->call_lock);
}

/* The calling thread runs the loop now, which it or its starter has claimed. */
static void loop_enter(struct event_loop *loop)
{
    atomic_store_explicit(&loop->owner, pthread_self(), memory_order_release);
}

static void loop_leave(struct event_loop *loop)
{
    bool calls_left;

    do {
        loop_call_bh(loop);
        hdl_mutex_lock(&loop->call_lock);
        calls_left = loop->calls != NULL;
        if (!calls_left) {
            loop->running = false;
            atomic_store_explicit(&loop->owner, 0, memory_order_release);
        }
        hdl_mutex_unlock(&loop->call_lock);
    } while (calls_left);
}

bool event_loop_poll(struct event_loop *loop, bool wait)
{
    bool ran;

    hdl_assert_unlocked();
    loop_claim(loop);
    loop_enter(loop);
    ran = loop_round(loop, wait);
    loop_leave(loop);
    return ran;
}

static void loop_run_claimed(struct event_loop *loop)
{
    loop_enter(loop);
    while (!loop->stop) {
        hdl_assert_unlocked();
        loop_round(loop, true);
    }
    loop->stop = false;
    loop_leave(loop);
}

void event_loop_run(struct event_loop *loop)
{
    loop_claim(loop);
    loop_run_claimed(loop);
}

static void loop_thread(void *opaque)
{
    loop_run_claimed(opaque);
}

int event_loop_start_thread(struct event_loop *loop, struct error **err)
{
    int ret;

    assert(!loop->thread_started);
    loop_claim(loop);
    ret = hdl_thread_start(&loop->thread, loop->name, loop_thread, loop, err);
    loop->thread_started = ret == 0;
    if (ret < 0) {
        loop_leave(loop);
    }
    return ret;
}

void event_loop_stop_thread(struct event_loop *loop)
{
    if (loop->thread_started) {
        event_loop_stop(loop);
        hdl_thread_join(&loop->thread);
        loop->thread_started = false;
    }
}

int event_loop_thread_id(struct event_loop *loop)
{
    return (int)atomic_load_explicit(&loop->thread.id, memory_order_relaxed);
}

/* --- from other threads ----------------------------------------------------------------------------------------- */

void event_loop_stop(struct event_loop *loop)
{
    bh_schedule(&loop->stop_bh);
}

/* The loop thread itself needn't wait for the bottom half. */
static void loop_pause_changed(struct event_loop *loop)
{
    if (event_loop_is_current(loop)) {
        loop_pause_bh(loop);
    }
    bh_schedule(&loop->pause_bh);
}

void event_loop_pause(struct event_loop *loop)
{
    atomic_fetch_add_explicit(&loop->pause_level, 1, memory_order_release);
    loop_pause_changed(loop);
}

void event_loop_resume(struct event_loop *loop)
{
    int old = atomic_fetch_sub_explicit(&loop->pause_level, 1, memory_order_release);

    assert(old > 0);
    (void)old;
    loop_pause_changed(loop);
}

bool event_loop_is_current(const struct event_loop *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_acquire) == pthread_self();
}

/* Makes the calls that other threads wait for. */
static void loop_call_bh(void *opaque)
{
    struct event_loop *loop = opaque;
    struct loop_call *call;

    hdl_mutex_lock(&loop->call_lock);
    call = loop->calls;
    loop->calls = NULL;
    hdl_mutex_unlock(&loop->call_lock);
    while (call) {
        struct loop_call *next = call->next; /* the caller takes its structure away once it is finished */

        call->fn(call->opaque);
        hdl_mutex_lock(&loop->call_lock);
        call->finished = true;
        hdl_cond_broadcast(&loop->call_cond);
        hdl_mutex_unlock(&loop->call_lock);
        call = next;
    }
}

void event_loop_call(struct event_loop *loop, void (*fn)(void *opaque), void *opaque)
{
    struct loop_call call = {.fn = fn, .opaque = opaque};
    struct loop_call **link;

    hdl_assert_unlocked();
    if (event_loop_is_current(loop)) {
        fn(opaque);
        return;
    }
    hdl_mutex_lock(&loop->call_lock);
    if (!loop->running) {
        hdl_mutex_unlock(&loop->call_lock);
        fn(opaque);
        return;
    }
    link = &loop->calls;
    while (*link) {
        link = &(*link)->next;
    }
    *link = &call;
    bh_schedule(&loop->call_bh);
    while (!call.finished) {
        hdl_cond_wait(&loop->call_cond, &loop->call_lock);
    }
    hdl_mutex_unlock(&loop->call_lock);
}
