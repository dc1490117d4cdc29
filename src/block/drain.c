/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drains: standing still, exactly.
 *
 * A drain of a node concerns the node, all below it, and all that stand above any of these, since their requests would
 * come through. At each of them users' requests are parked from begin to end; requests that drivers make to serve a
 * request under way pass, so what has begun can end. Hence the sum of users' requests under way over these nodes only
 * falls, and when it is zero nothing at all is under way. The completion that makes it zero says so: nobody polls.
 *
 *   begin ---> WAITING ---> drained() called ---> end
 *                 +-------------------------------> end
 *
 * Everything here is the loop thread's. Because parking happens only at entry, drains that overlap can't wait for each
 * other, in whatever order they begin and end.
 */
#include <assert.h>

#include "block/internal.h"

static void add_in_flight(struct block_node *node, void *opaque)
{
    *(uint64_t *)opaque += node->user_in_flight;
}

static bool is_still(struct block_node *node)
{
    uint64_t in_flight = 0;

    block_walk(node, BLOCK_WALK_DRAIN, add_in_flight, &in_flight);
    return in_flight == 0;
}

static void tell(struct block_drain *drain)
{
    drain->is_waiting = false;
    drain->drained(drain);
}

static void count_up(struct block_node *node, void *opaque)
{
    node->drain_count++;
}

static void count_down(struct block_node *node, void *opaque)
{
    assert(node->drain_count > 0);
    node->drain_count--;
}

static void start_parked(struct block_node *node, void *opaque)
{
    block_start_parked(node);
}

void block_drain_begin(struct block_drain *drain, struct block_node *node, void (*drained)(struct block_drain *drain))
{
    drain->node = block_node_get(node);
    drain->drained = drained;
    drain->is_waiting = true;
    drain->next = node->drains;
    node->drains = drain;
    block_walk(node, BLOCK_WALK_DRAIN, count_up, NULL);
    if (is_still(node)) {
        tell(drain);
    }
}

void block_drain_end(struct block_drain *drain)
{
    struct block_node *node = drain->node;
    struct block_drain **link = &node->drains;

    while (*link != drain) {
        link = &(*link)->next;
    }
    *link = drain->next;
    drain->is_waiting = false;
    drain->node = NULL;
    block_walk(node, BLOCK_WALK_DRAIN, count_down, NULL);
    block_walk(node, BLOCK_WALK_DRAIN, start_parked, NULL);
    block_node_put(node);
}

/* Nodes of a component that somebody waits for, linked by `candidate` for the length of one check. */
static void collect_waited_for(struct block_node *node, void *opaque)
{
    struct block_node **list = opaque;

    for (struct block_drain *drain = node->drains; drain; drain = drain->next) {
        if (drain->is_waiting) {
            node->candidate = *list;
            *list = node;
            return;
        }
    }
}

static struct block_drain *find_finished(struct block_node *node)
{
    struct block_node *list = NULL;

    block_walk(node, BLOCK_WALK_ALL, collect_waited_for, &list);
    while (list && !is_still(list)) {
        list = list->candidate;
    }
    for (struct block_drain *drain = list ? list->drains : NULL; drain; drain = drain->next) {
        if (drain->is_waiting) {
            return drain;
        }
    }
    return NULL;
}

void block_drain_check(struct block_node *node)
{
    struct block_drain *drain;

    /* Anything may begin or end in a callback, so each look starts afresh. */
    while ((drain = find_finished(node)) != NULL) {
        tell(drain);
    }
}
