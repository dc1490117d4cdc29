/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list under a lock, and a bottom half that works it off. Those who post bound how much they have under way. */
#include "monitor/errand.h"

static void errand_run(void *opaque)
{
    struct errand_queue *queue = opaque;
    struct errand *errand = errand_take(queue);

    while (errand) {
        errand->fn(errand);
        if (queue->one_a_round) {
            bh_schedule(&queue->bh); /* once more than needed, at the end of the queue */
            return;
        }
        errand = errand_take(queue);
    }
}

void errand_queue_init(struct errand_queue *queue, struct event_loop *loop, bool one_a_round)
{
    hdl_mutex_init(&queue->lock, "monitor errands", LOCK_RANK_LEAF);
    hdl_mutex_lock(&queue->lock);
    queue->first = NULL;
    queue->last = &queue->first;
    hdl_mutex_unlock(&queue->lock);
    queue->one_a_round = one_a_round;
    bh_init(&queue->bh, loop, errand_run, queue);
}

void errand_queue_destroy(struct errand_queue *queue)
{
    bh_destroy(&queue->bh);
    hdl_mutex_destroy(&queue->lock);
}

void errand_post(struct errand_queue *queue, struct errand *errand)
{
    errand->next = NULL;
    hdl_mutex_lock(&queue->lock);
    *queue->last = errand;
    queue->last = &errand->next;
    hdl_mutex_unlock(&queue->lock);
    bh_schedule(&queue->bh);
}

struct errand *errand_take(struct errand_queue *queue)
{
    struct errand *errand;

    hdl_mutex_lock(&queue->lock);
    errand = queue->first;
    if (errand) {
        queue->first = errand->next;
        if (!queue->first) {
            queue->last = &queue->first;
        }
    }
    hdl_mutex_unlock(&queue->lock);
    return errand;
}
