/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one thread hands to another's event loop to be done there, in the order in which it was handed over. The monitor
 * has two such queues: commands for the configuration thread, replies and events for the monitor's thread. So an event
 * that a command causes is written before the command's reply.
 */
#ifndef HDL_MONITOR_ERRAND_H
#define HDL_MONITOR_ERRAND_H

#include <stdbool.h>

#include "base/lock.h"
#include "event/event_loop.h"

/* Embedded in its owner's structure, which is the queue's until fn begins. */
struct errand {
    void (*fn)(struct errand *errand); /* loop thread, no lock held; may free the structure */
    struct errand *next;
};

/* one_a_round, bh: immutable after init. */
struct errand_queue {
    struct hdl_mutex lock; /* leaf */
    struct errand *first HDL_GUARDED_BY(&lock);
    struct errand **last HDL_GUARDED_BY(&lock);
    bool one_a_round; /* so that whatever else the loop serves isn't held up by a long queue */
    struct bh bh;
};

void errand_queue_init(struct errand_queue *queue, struct event_loop *loop, bool one_a_round);
/* Loop thread, or the loop doesn't run. The queue must be empty (errand_take). */
void errand_queue_destroy(struct errand_queue *queue);
/* Any thread, under any lock but a leaf. */
void errand_post(struct errand_queue *queue, struct errand *errand);
/* The oldest errand, which the queue then forgets; NULL if there is none. Any thread. */
struct errand *errand_take(struct errand_queue *queue);

#endif
