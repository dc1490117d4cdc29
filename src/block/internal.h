/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of src/block tell each other and nobody else. */
#ifndef HDL_BLOCK_INTERNAL_H
#define HDL_BLOCK_INTERNAL_H

#include "block/driver.h"

/*
 * The nodes in the order of opening. Configuration thread.
 */
struct block_graph {
    struct block_node **nodes; /* a reference each */
    unsigned count, capacity;
    unsigned next_auto_name;
};

/* Whether a device has the node attached. Configuration thread, or the node's loop. */
static inline bool block_node_is_owned(const struct block_node *node)
{
    /* Acquire: pairs with the release in block_node_detach. */
    return atomic_load_explicit(&node->is_owned, memory_order_acquire);
}

/* request.c */
void block_requests_init(struct block_node *node);
/* Frees the pool of request states. Nothing is under way. */
void block_requests_release(struct block_node *node);
/* Starts what waited at the node for the end of drains. Loop thread. */
void block_start_parked(struct block_node *node);

/* drain.c: a user's request at a drained node has ended. Loop thread. */
void block_drain_check(struct block_node *node);

/*
 * walk.c: calls fn for each node of a set, each once. Loop thread. fn must not walk.
 *   DOWN   the node and all below it
 *   DRAIN  those and all that stand above any of them: whose requests can reach the set
 *   ALL    everything connected to it
 */
enum block_walk { BLOCK_WALK_DOWN, BLOCK_WALK_DRAIN, BLOCK_WALK_ALL };
void block_walk(struct block_node *node, enum block_walk set, void (*fn)(struct block_node *node, void *opaque),
                void *opaque);

/* graph.c: takes over the caller's reference. 0 or -ENOMEM. */
int block_graph_add(struct block_graph *graph, struct block_node *node);
/* graph.c: closes made-up nodes that nothing stands above any more. */
void block_graph_drop_orphans(struct block_graph *graph);

#endif
