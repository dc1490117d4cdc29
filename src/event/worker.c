/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker pool: one queue, as many threads as were needed at once so far, up to the limit. A worker runs a job with
 * no lock held and schedules the job's bottom half on the loop that asked; from then on the job is its owner's again.
 *
 * Guests reach this through I/O requests, whose number their devices bound. If the host can't make even one thread, the
 * job runs where it was submitted: slow, but it ends.
 */
#include "event/worker.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/thread.h"

#define WORKER_THREADS_MAX 64

/* name, max_threads: immutable. threads[n]: who started it, then destroy. The rest: under `lock`. */
struct worker_pool {
    char name[16];
    unsigned max_threads;
    struct hdl_mutex lock; /* leaf */
    struct hdl_cond wake;  /* a job was queued, or `ending` was set */
    struct worker_job *first HDL_GUARDED_BY(&lock);
    struct worker_job **last HDL_GUARDED_BY(&lock);
    unsigned queued HDL_GUARDED_BY(&lock);
    unsigned idle HDL_GUARDED_BY(&lock);         /* threads that wait */
    unsigned thread_count HDL_GUARDED_BY(&lock); /* started, or being started */
    bool ending HDL_GUARDED_BY(&lock);
    bool slot_used[WORKER_THREADS_MAX] HDL_GUARDED_BY(&lock);
    struct hdl_thread threads[WORKER_THREADS_MAX];
};

struct worker_pool *worker_pool_create(const char *name, unsigned max_threads,
                                       struct error **err) HDL_LOCK_PRIMITIVE /* nobody else sees the pool yet */
{
    struct worker_pool *pool;

    assert(max_threads >= 1 && max_threads <= WORKER_THREADS_MAX);
    pool = calloc(1, sizeof(*pool));
    if (!pool) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    strncpy(pool->name, name, sizeof(pool->name) - 1);
    pool->max_threads = max_threads;
    hdl_mutex_init(&pool->lock, "worker pool", LOCK_RANK_LEAF);
    hdl_cond_init(&pool->wake);
    pool->last = &pool->first;
    return pool;
}

/* The oldest job; without one, waits for it if asked to. NULL: none, and the pool ends or the caller didn't wait. */
static struct worker_job *worker_take(struct worker_pool *pool, bool wait)
{
    struct worker_job *job;

    hdl_mutex_lock(&pool->lock);
    while (wait && !pool->first && !pool->ending) {
        pool->idle++;
        hdl_cond_wait(&pool->wake, &pool->lock);
        pool->idle--;
    }
    job = pool->first;
    if (job) {
        pool->first = job->next;
        pool->queued--;
        if (!pool->first) {
            pool->last = &pool->first;
        }
    }
    hdl_mutex_unlock(&pool->lock);
    return job;
}

static void worker_run_jobs(struct worker_pool *pool, bool wait)
{
    struct worker_job *job;

    while ((job = worker_take(pool, wait))) {
        job->run(job);
        bh_schedule(&job->completion);
    }
}

static void worker_run(void *opaque)
{
    worker_run_jobs(opaque, true);
}

static void worker_completion(void *opaque)
{
    struct worker_job *job = opaque;

    job->done(job);
}

/* A slot to start a thread in, if the idle ones don't suffice for what is queued; else -1. */
static int worker_reserve_slot(struct worker_pool *pool) HDL_REQUIRES(&pool->lock)
{
    if (pool->queued <= pool->idle || pool->thread_count == pool->max_threads) {
        return -1;
    }
    for (int slot = 0; slot < WORKER_THREADS_MAX; slot++) {
        if (!pool->slot_used[slot]) {
            pool->slot_used[slot] = true;
            pool->thread_count++;
            return slot;
        }
    }
    return -1;
}

static void worker_start(struct worker_pool *pool, int slot)
{
    bool alone;

    if (hdl_thread_start(&pool->threads[slot], pool->name, worker_run, pool, NULL) == 0) {
        return;
    }
    hdl_mutex_lock(&pool->lock);
    pool->slot_used[slot] = false;
    alone = --pool->thread_count == 0;
    hdl_mutex_unlock(&pool->lock);
    if (alone) {
        worker_run_jobs(pool, false);
    }
}

void worker_submit(struct worker_pool *pool, struct event_loop *loop, struct worker_job *job)
{
    int slot;

    bh_init(&job->completion, loop, worker_completion, job);
    job->next = NULL;
    hdl_mutex_lock(&pool->lock);
    assert(!pool->ending);
    *pool->last = job;
    pool->last = &job->next;
    pool->queued++;
    slot = worker_reserve_slot(pool);
    if (pool->idle > 0) {
        hdl_cond_signal(&pool->wake);
    }
    hdl_mutex_unlock(&pool->lock);
    if (slot >= 0) {
        worker_start(pool, slot);
    }
}

void worker_pool_destroy(struct worker_pool *pool) HDL_LOCK_PRIMITIVE
{
    if (!pool) {
        return;
    }
    hdl_mutex_lock(&pool->lock);
    pool->ending = true;
    hdl_cond_broadcast(&pool->wake);
    hdl_mutex_unlock(&pool->lock);
    /* Nobody submits any more, so the slots stand still. */
    for (unsigned slot = 0; slot < WORKER_THREADS_MAX; slot++) {
        if (pool->slot_used[slot]) {
            hdl_thread_join(&pool->threads[slot]);
        }
    }
    hdl_cond_destroy(&pool->wake);
    hdl_mutex_destroy(&pool->lock);
    free(pool);
}
