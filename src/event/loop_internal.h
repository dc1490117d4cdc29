/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of src/event share: the event loop's structure, and the calls between its parts. Private. */
#ifndef HDL_EVENT_LOOP_INTERNAL_H
#define HDL_EVENT_LOOP_INTERNAL_H

#include <sys/epoll.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "event/event_loop.h"
#include "event/worker.h"

#define LOOP_CLOCKS_MAX   8
#define LOOP_EVENTS_MAX   64
#define LOOP_IO_THREADS   16
#define LOOP_NO_TIMEOUT   UINT64_MAX
#define LOOP_RING_ENTRIES 128

struct io_ring;

/* Timers of one clock: a binary heap by (deadline, order). All under the loop's timer lock. */
struct timer_heap {
    struct clock *clock;
    struct timer **slots;
    unsigned armed;    /* used slots */
    unsigned capacity; /* room for every timer that was initialised on the clock, so that arming can't fail */
    unsigned timers;
};

/* Bottom halves in the order in which they will run. */
struct bh_list {
    struct bh *head;
    struct bh **tail;
};

/* A call that another thread waits for. On that thread's stack. */
struct loop_call {
    void (*fn)(void *opaque);
    void *opaque;
    struct loop_call *next;
    bool finished;
};

/*
 * name, descriptors, ring, io_pool: immutable after creation. Fields of the loop thread: no tag; only that thread
 * touches them. The rest as tagged.
 */
struct event_loop {
    char name[16];
    int epoll_fd;
    int wake_fd;          /* eventfd: written by whoever wakes a sleeping loop */
    struct io_ring *ring; /* NULL: io_pool makes the system calls */
    struct worker_pool *io_pool;

    bool stop;
    bool paused;
    bool in_round;
    uint64_t round;
    struct fd_watch *watches;       /* all that exist */
    struct fd_watch *dead_watches;  /* removed in this round */
    unsigned always_ready_count;    /* watches of descriptors that epoll refuses, with events != 0 */
    struct bh_list bh_running;      /* of this round */
    struct bh_list bh_pending;      /* of the next one */
    struct io_request *io_finished; /* by workers, while the loop was paused */
    struct io_request **io_finished_tail;
    struct bh stop_bh, pause_bh, call_bh;

    /* Any thread, atomically. */
    struct bh *_Atomic bh_incoming HDL_CACHE_ALIGNED; /* newest first */
    _Atomic bool woken;                               /* asked to go round; see event_loop_wake */
    _Atomic bool sleeping;                            /* about to wait, or waiting */
    _Atomic int pause_level;
    _Atomic(pthread_t) owner; /* the thread that runs the loop, or 0 */

    struct hdl_mutex timer_lock HDL_CACHE_ALIGNED; /* leaf */
    struct timer_heap heaps[LOOP_CLOCKS_MAX] HDL_GUARDED_BY(&timer_lock);
    unsigned heap_count HDL_GUARDED_BY(&timer_lock);
    struct timer **expired HDL_GUARDED_BY(&timer_lock); /* taken from the heaps, to be fired in this order */
    unsigned expired_capacity HDL_GUARDED_BY(&timer_lock);
    unsigned expired_count HDL_GUARDED_BY(&timer_lock);
    unsigned expired_next HDL_GUARDED_BY(&timer_lock);
    uint64_t timer_order HDL_GUARDED_BY(&timer_lock);

    struct hdl_mutex call_lock; /* leaf */
    struct hdl_cond call_cond;  /* some call has finished */
    bool running HDL_GUARDED_BY(&call_lock);
    struct loop_call *calls HDL_GUARDED_BY(&call_lock);

    struct hdl_thread thread; /* start_thread's and stop_thread's caller */
    bool thread_started;
};

/* --- fd_watch.c: loop thread ------------------------------------------------------------------------------------ */

/* Calls the handlers of epoll's answer, then those of the descriptors that are always ready. Whether any ran. */
bool loop_watches_dispatch(struct event_loop *loop, const struct epoll_event *events, int count);
/* Frees the watches that were removed in this round. */
void loop_watches_reap(struct event_loop *loop);
void loop_watches_destroy(struct event_loop *loop);

/* --- bh.c: loop thread ------------------------------------------------------------------------------------------ */

void loop_bh_init(struct event_loop *loop);
/* What was scheduled so far becomes this round's. */
void loop_bh_begin_round(struct event_loop *loop);
bool loop_bh_run(struct event_loop *loop);

/* --- timer.c: loop thread --------------------------------------------------------------------------------------- */

void loop_timers_init(struct event_loop *loop);
void loop_timers_destroy(struct event_loop *loop);
/* ns until the first timer, LOOP_NO_TIMEOUT if there is none that host time alone can make due. */
uint64_t loop_timers_wait_ns(struct event_loop *loop);
bool loop_timers_run(struct event_loop *loop);

/* --- io_uring.c: loop thread ------------------------------------------------------------------------------------ */

/* NULL when the kernel refuses io_uring or lacks an operation. */
struct io_ring *io_ring_create(void);
void io_ring_destroy(struct io_ring *ring);
int io_ring_fd(const struct io_ring *ring);
void io_ring_queue(struct io_ring *ring, struct io_request *request);
/* Gives queued requests to the kernel. False if some are left for which nothing will wake the loop. */
bool io_ring_submit(struct io_ring *ring);
/* Whether io_ring_reap has something to do. */
bool io_ring_has_completions(const struct io_ring *ring);
/* Ends requests whose completion was there when it began. Stops early if the loop is paused. */
bool io_ring_reap(struct io_ring *ring, const bool *paused);

/* --- io_request.c ----------------------------------------------------------------------------------------------- */

enum io_op { IO_OP_READV, IO_OP_WRITEV, IO_OP_FDATASYNC, IO_OP_FALLOCATE };

/* The link of a request that waits in a list. */
static inline struct io_request **io_request_next(struct io_request *request)
{
    return (struct io_request **)&request->loop_private[0];
}

/* Ends the requests that workers finished while the loop was paused. Loop thread. */
bool loop_io_finished_run(struct event_loop *loop);

#endif
