/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block graph, as its drivers see it. A driver is a constant table; drivers/null.c is the smallest whole one.
 *
 * open and close run on the configuration thread with nothing under way; everything else on the loop thread.
 */
#ifndef HDL_BLOCK_DRIVER_H
#define HDL_BLOCK_DRIVER_H

#include "base/refcount.h"
#include "block/block.h"

struct block_driver {
    const char *name; /* as in driver=NAME */
    const char *description;
    size_t node_bytes;       /* of its state for a node, zeroed before open */
    size_t request_bytes;    /* of its state for a request; not zeroed */
    const char *const *keys; /* option names that it knows beside those of every node; NULL-terminated */
    /*
     * Reads options, opens children, fills node->info (size_bytes; limits if it has any). On failure leaves nothing
     * behind: close isn't called, children are closed by the caller.
     */
    int (*open)(struct block_node *node, const struct options *options, struct error **err);
    void (*close)(struct block_node *node); /* may be NULL */
    /*
     * Starts a request that has been checked. Exactly one block_complete or block_complete_later follows; the former
     * never from within start. NULL: flush and discard end with 0, write zeroes with -ENOTSUP.
     */
    void (*start[BLOCK_OP_COUNT])(struct block_node *node, struct block_request *request);
};

#define BLOCK_MAX_CHILDREN 4

/* A child's role is the option's name. The edge holds a reference. Immutable after open. */
struct block_edge {
    const char *role;
    struct block_node *node;
};

/* Written on the loop thread, read by anybody. */
struct block_counters {
    _Atomic uint64_t requests[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT], failed[BLOCK_OP_COUNT];
};

struct block_parent {
    struct block_node *node; /* no reference: it holds one on us */
    struct block_parent *next;
};

/*
 * driver, state, info, name, children, discard_unmap, no_flush, direct, auto_read_only: immutable after open.
 * loop, owner: configuration thread with nothing under way. parents: as loop. is_owned: set by it, cleared on the loop
 * thread, which leaves the name to the configuration thread, that may be looking at it. refs: any thread.
 * counters: any thread. The rest: loop thread.
 */
struct block_node {
    const struct block_driver *driver;
    void *state; /* the driver's */
    struct block_info info;
    char *name, *what, *filename;
    struct block_graph *graph; /* while it is opened, for its children; then NULL */
    struct block_edge children[BLOCK_MAX_CHILDREN];
    unsigned child_count;
    bool discard_unmap;  /* discard=unmap */
    bool no_flush;       /* cache.no-flush=on */
    bool direct;         /* cache.direct=on */
    bool auto_read_only; /* auto-read-only=on: read-only if the host allows no more */
    struct block_counters counters;
    struct refcount refs; /* parents, devices, the graph, each user's request under way */

    struct event_loop *loop;
    char *owner;           /* the device that attached it; outdated unless is_owned */
    _Atomic bool is_owned; /* a device has it attached */
    struct block_parent *parents;

    uint64_t user_in_flight; /* requests from block_submit that started and whose done() hasn't returned */
    uint64_t in_flight;      /* those and internal ones, for checking */
    unsigned drain_count;    /* drains that this node is part of */
    struct block_drain *drains;
    struct block_node *candidate; /* drain.c, during one check */
    struct block_request *parked_head, **parked_tail;
    struct block_request *completed_head, **completed_tail; /* block_complete_later's */
    struct bh completion;
    void *free_states; /* request states, linked through their first word */
    unsigned visit;    /* marks of a walk that is going on (walk.c) */
};

/* --- for start -------------------------------------------------------------------------------------------------- */

/* Ends a request. Loop thread, from a callback, not from within start. */
void block_complete(struct block_request *request, int result);
/* Ends a request in the loop's next round. Also from within start. */
void block_complete_later(struct block_request *request, int result);
/* Passes a request to a child; as block_submit, but part of the request that the driver is serving. */
void block_submit_child(struct block_node *child, struct block_request *request);

/* --- for open --------------------------------------------------------------------------------------------------- */

/*
 * Opens or looks up the child that the options describe under `role` and adds the edge. -EINVAL if there is none.
 * *child is borrowed: the edge holds it.
 */
int block_open_child(struct block_node *node, const struct options *options, const char *role,
                     struct block_node **child, struct error **err);
/* What messages call the node while it is opened: "node 'disk0'". */
const char *block_node_what(const struct block_node *node);

/* Like block_open, for a driver that isn't in the table: tests. */
int block_open_driver(struct block_graph *graph, const struct block_driver *driver, const char *node_name,
                      const struct options *options, struct event_loop *loop, struct block_node **node,
                      struct error **err);

extern const struct block_driver block_driver_raw;
extern const struct block_driver block_driver_file;
extern const struct block_driver block_driver_host_device;
extern const struct block_driver block_driver_null;
extern const struct block_driver block_driver_blkdebug;

#endif
