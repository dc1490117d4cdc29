/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of threads that each perform one blocking call at a time for event loops. A worker touches no device state
 * and takes no device lock; its result comes back to the loop that asked.
 */
#ifndef HDL_EVENT_WORKER_H
#define HDL_EVENT_WORKER_H

#include "event/event_loop.h"

struct worker_pool;

/* Embedded in its owner's structure; the pool's between submit and done. */
struct worker_job {
    void (*run)(struct worker_job *job);  /* on a worker, no lock held, may block */
    void (*done)(struct worker_job *job); /* on the loop's thread, exactly once, after run */
    struct bh completion;                 /* private */
    struct worker_job *next;              /* private */
};

/* name is copied. Threads are started as needed, up to max_threads (1..64), and end at destruction. */
struct worker_pool *worker_pool_create(const char *name, unsigned max_threads, struct error **err);
/* Waits for all jobs to have run (their done() calls may still be pending on their loops). No lock held. */
void worker_pool_destroy(struct worker_pool *pool);
/* Any thread. Jobs start in the order submitted. */
void worker_submit(struct worker_pool *pool, struct event_loop *loop, struct worker_job *job);

#endif
