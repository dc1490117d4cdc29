/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event loop: one thread's poller for file descriptors, timers, bottom halves and io_uring completions.
 *
 * The thread that runs the loop is its owner. "Loop thread" below means that thread, or any thread while the loop
 * isn't running yet. Callbacks run on the loop thread with no lock held. Anything may be added or removed from within
 * any callback; a removed handler is never called again, and its memory is freed after the current round.
 *
 * Order within one round: io_uring completions and descriptors, expired timers by deadline, bottom halves in the order
 * in which they were scheduled. What is scheduled during a round runs in the next one: no source can starve another.
 */
#ifndef HDL_EVENT_EVENT_LOOP_H
#define HDL_EVENT_EVENT_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "event/clock.h"

struct event_loop;

/* --- life ------------------------------------------------------------------------------------------------------- */

/* name is copied. NULL and an error when the host has no descriptors or memory left. */
struct event_loop *event_loop_create(const char *name, struct error **err);
/* As event_loop_create, but with the worker pool even where the kernel has io_uring ("aio=threads", and tests). */
struct event_loop *event_loop_create_with_threads(const char *name, struct error **err);
/* The loop must not be running. Watches that still exist are removed; pending bottom halves are dropped. */
void event_loop_destroy(struct event_loop *loop);
const char *event_loop_name(const struct event_loop *loop);

/* Runs the loop on the calling thread until event_loop_stop. */
void event_loop_run(struct event_loop *loop);
/* One round: waits for something to do if `wait`, handles all that is ready. Returns whether anything was handled. */
bool event_loop_poll(struct event_loop *loop, bool wait);
/* Starts a thread of the loop's name that runs it. event_loop_stop_thread stops it and waits for it (no lock held). */
int event_loop_start_thread(struct event_loop *loop, struct error **err);
void event_loop_stop_thread(struct event_loop *loop);
/* The thread that start_thread made, by the number that the host's tools know; 0 if there is none. Any thread. */
int event_loop_thread_id(struct event_loop *loop);

/* Any thread. Each is an ordinary event that is handled in order with bottom halves. */
void event_loop_stop(struct event_loop *loop);
/*
 * Paused, a loop handles only bottom halves (so that it can be resumed, and answers); descriptors, timers and
 * completions wait. Nests: as many resumes as pauses.
 */
void event_loop_pause(struct event_loop *loop);
void event_loop_resume(struct event_loop *loop);
/* Whether the calling thread is the one that runs the loop now. */
bool event_loop_is_current(const struct event_loop *loop);
/* Makes a waiting loop go round. Any thread, lockless, async-signal-safe. */
void event_loop_wake(struct event_loop *loop);
/*
 * Runs fn(opaque) on the loop thread and returns when it has run; at once if called on the loop thread or if the loop
 * doesn't run. Blocks: no lock may be held, and never from a vCPU in dispatch.
 */
void event_loop_call(struct event_loop *loop, void (*fn)(void *opaque), void *opaque);

/* --- file descriptors ------------------------------------------------------------------------------------------- */

struct fd_watch;
/* events: EPOLLIN, EPOLLOUT, ... as got from epoll(7); level-triggered. */
typedef void fd_watch_fn(void *opaque, uint32_t events);

/*
 * Loop thread. The descriptor stays the caller's, who removes the watch before closing it. Descriptors that epoll
 * refuses because they never block (regular files, /dev/null) are always ready for reading and writing. One watch a
 * descriptor. NULL on failure.
 */
struct fd_watch *event_loop_add_fd(struct event_loop *loop, int fd, uint32_t events, fd_watch_fn *fn, void *opaque,
                                   struct error **err);
/* Loop thread. events may be 0 to keep the watch but hear nothing. */
void fd_watch_set_events(struct fd_watch *watch, uint32_t events);
/* Loop thread. *watch is invalid afterwards; the callback isn't called again. NULL is allowed. */
void fd_watch_remove(struct fd_watch *watch);

/* --- bottom halves ---------------------------------------------------------------------------------------------- */

/*
 * A function to be run once on the loop thread. Embedded in its owner's structure. Scheduling one that is already
 * scheduled changes nothing: it will run after this call. loop, fn, opaque: immutable after init.
 */
struct bh {
    struct event_loop *loop;
    void (*fn)(void *opaque);
    void *opaque;
    struct bh *next;        /* the loop's queue */
    _Atomic uint32_t state; /* BH_* in bh.c */
};

void bh_init(struct bh *bh, struct event_loop *loop, void (*fn)(void *opaque), void *opaque);
/* Any thread, lock-free. What the caller wrote before is seen by fn. */
void bh_schedule(struct bh *bh);
/* Loop thread: after this fn isn't called unless scheduled again. The memory may be freed after the next round, or at
 * once by bh_destroy. */
void bh_cancel(struct bh *bh);
/* Loop thread: cancels and takes the bottom half out of the queue, so that its memory may be freed. */
void bh_destroy(struct bh *bh);

/* --- timers ----------------------------------------------------------------------------------------------------- */

/*
 * A one-shot timer. Embedded in its owner's structure. loop, clock, fn, opaque: immutable after init; the rest is
 * guarded by the loop's timer lock (leaf).
 */
struct timer {
    struct event_loop *loop;
    struct clock *clock;
    void (*fn)(void *opaque);
    void *opaque;
    uint64_t deadline_ns;
    uint64_t order; /* breaks ties: first armed, first fired */
    int heap_index; /* -1: not armed */
};

/* Any thread, no lock held (a loop watches at most 8 clocks). -ENOSPC beyond, -ENOMEM. */
int timer_init(struct timer *timer, struct event_loop *loop, struct clock *clock, void (*fn)(void *opaque),
               void *opaque);
/* Any thread, under any lock but a leaf. Replaces an earlier deadline. Absolute ns of the timer's clock. */
void timer_arm(struct timer *timer, uint64_t deadline_ns);
/*
 * Any thread, as timer_arm. On the loop thread fn isn't called afterwards; on another thread a call that has begun
 * may still be running: its owner must recheck under its own lock.
 */
void timer_cancel(struct timer *timer);
bool timer_is_armed(struct timer *timer);
/* Loop thread, or through event_loop_call: the memory may be freed afterwards. */
void timer_destroy(struct timer *timer);

/* --- io_uring --------------------------------------------------------------------------------------------------- */

/* How an asynchronous system call ends: its return value, or a negative errno. Loop thread. */
struct io_request {
    void (*done)(struct io_request *request, int result);
    /* private to the loop: immutable while the request is under way */
    int op, fd, iov_count, mode;
    const struct iovec *iov;
    uint64_t offset, len_bytes;
    int result;
    void *loop_private[8];
};

/*
 * Loop thread. The request, its iovec and its buffers stay the caller's until done() is called, exactly once, from the
 * loop (never from within the submitting call). Submissions of one round go to the kernel together. Where the kernel
 * refuses io_uring, the loop's worker pool makes the same system calls.
 */
void event_loop_readv(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                      int iov_count, uint64_t offset);
void event_loop_writev(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                       int iov_count, uint64_t offset);
/* fdatasync(2). */
void event_loop_fdatasync(struct event_loop *loop, struct io_request *request, int fd);
/* fallocate(2) with its mode. */
void event_loop_fallocate(struct event_loop *loop, struct io_request *request, int fd, int mode, uint64_t offset,
                          uint64_t len_bytes);
/* Whether the loop uses io_uring ("io_uring") or workers ("threads"). */
const char *event_loop_io_backend(const struct event_loop *loop);

#endif
