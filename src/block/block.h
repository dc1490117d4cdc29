/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block graph, as its users see it: named nodes that take asynchronous requests.
 *
 *   device ---> raw ---> file ---> host
 *               format   protocol
 *
 * A node belongs to one event loop, together with everything that is connected to it. "Loop thread" below means the
 * thread that runs this loop, or any thread while the loop isn't running. Requests, completions and drains happen on
 * the loop thread and need no lock; opening, naming and attaching are configuration, one thread, no lock held.
 */
#ifndef HDL_BLOCK_BLOCK_H
#define HDL_BLOCK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/options.h"
#include "event/event_loop.h"

#define BLOCK_SECTOR_BYTES 512u
/* Pieces of one request at most: what one preadv(2) takes. */
#define BLOCK_MAX_IOV 1024
/* Length of one read or write at most, so that sums of lengths never come near overflow. */
#define BLOCK_MAX_TRANSFER_BYTES (UINT64_C(1) << 31)

struct block_node;
struct block_graph;

/* --- requests --------------------------------------------------------------------------------------------------- */

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES, BLOCK_OP_COUNT };

enum block_request_flags {
    BLOCK_MAY_UNMAP = 1, /* write zeroes: the storage may be given back instead, if it reads as zeroes then */
};

/*
 * One request. Embedded in its owner's structure; it, its iovec and its buffers are the node's from block_submit until
 * done() is called. All on the loop thread.
 */
struct block_request {
    enum block_op op;
    unsigned flags;                                          /* enum block_request_flags */
    uint64_t offset, len_bytes;                              /* flush: ignored */
    const struct iovec *iov;                                 /* read, write: its lengths add up to len_bytes */
    int iov_count;                                           /* 0..BLOCK_MAX_IOV */
    void (*done)(struct block_request *request, int result); /* 0 or a negative errno */

    /* private to src/block while the request is under way */
    struct block_node *node;
    struct block_request *next;
    void *state; /* the driver's, of its request_bytes */
    int result;
    bool is_internal;
};

/*
 * Starts a request. done() is called exactly once, on the loop thread, never from within this call; in it the request
 * may be submitted again. Requests may complete in any order; none waits for another. While the node is drained the
 * request waits for the end of the drain.
 * A request that the node can't take ends with -EINVAL (out of range, not aligned to limits.request_alignment, too
 * many pieces), -EROFS (a change of a read-only node) or -ENOMEM. A discard that the node ignores ends with 0.
 * Nothing is allocated if no more than block_node_reserve's number are under way.
 */
void block_submit(struct block_node *node, struct block_request *request);

/* --- nodes ------------------------------------------------------------------------------------------------------ */

/* What a node's requests must look like, and what suits it. Immutable after open. */
struct block_limits {
    uint32_t request_alignment; /* offset and length of every request are multiples of this; power of two */
    uint32_t discard_alignment; /* bytes; smaller discards do nothing. At least request_alignment */
    uint32_t physical_bytes;    /* the size that the storage writes at once: a hint for guests */
};

/* Immutable after open. */
struct block_info {
    const char *node_name;   /* never NULL: made up ("#block0") if nobody gave one */
    const char *driver_name; /* "raw", "file", ... */
    const char *filename;    /* of the file that the data are in, here or below; "" if there is none */
    uint64_t size_bytes;
    bool is_read_only;
    bool can_discard; /* discards do something */
    struct block_limits limits;
};

const struct block_info *block_node_info(const struct block_node *node);

/* What a node's users have asked of it since it was opened, by op; refused and failed requests apart. */
struct block_stats {
    uint64_t requests[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT], failed[BLOCK_OP_COUNT];
};
/* Any thread that has a reference. Each number is of some moment during the call. */
void block_node_stats(const struct block_node *node, struct block_stats *stats);
/* Who attached it ("" if nobody did), and how its host caches. Configuration thread. */
const char *block_node_owner(const struct block_node *node);
bool block_node_is_direct(const struct block_node *node);
bool block_node_ignores_flush(const struct block_node *node);
/* The node below that the option `role` ("file") named or described; NULL if there is none. Immutable. */
struct block_node *block_node_child(const struct block_node *node, const char *role);

/* Any thread that has a reference. */
struct block_node *block_node_get(struct block_node *node);
/*
 * The last put closes the node, and blocks while it does: no lock held, and not a vCPU in dispatch. NULL is allowed.
 * Requests under way keep the node alive.
 */
void block_node_put(struct block_node *node);

/*
 * Makes `owner` (a device's id, for messages; copied) the one user of the node, whose requests will come from `loop`:
 * the node and all below it move there. Configuration thread; nothing may be under way.
 * -EBUSY if another device uses it, or another loop uses something below it. -EINVAL if its size isn't a multiple of
 * 512. -EROFS if `writes` and the node is read-only.
 */
int block_node_attach(struct block_node *node, const char *owner, struct event_loop *loop, bool writes,
                      struct error **err);
/* The user is gone. Loop thread; none of its requests are under way. */
void block_node_detach(struct block_node *node);
/*
 * Moves every node of the graph that is on `from` to `to`, since `from` is about to go. No device is attached to any of
 * them. Configuration thread; both loops are running, or run by the calling thread.
 */
void block_graph_leave_loop(struct block_graph *graph, struct event_loop *from, struct event_loop *to);
/* Allocates what `count` requests under way at a time need, here and below. Configuration thread, after attach. */
int block_node_reserve(struct block_node *node, unsigned count);

/* --- drain ------------------------------------------------------------------------------------------------------ */

/*
 * Between `drained` and block_drain_end no request is under way on the node or any node below it, and none starts.
 * Requests submitted meanwhile wait, in order, at the node they were submitted to; this includes other nodes that
 * stand above any of these, because their requests would go through them. Nodes elsewhere in the graph go on.
 * Drains nest and overlap freely. Embedded in its owner's structure.
 */
struct block_drain {
    struct block_node *node;
    void (*drained)(struct block_drain *drain); /* once, on the loop thread; perhaps from within begin */
    bool is_waiting;                            /* private */
    struct block_drain *next;                   /* private */
};

/* Loop thread. Polls nothing: `drained` is called by the completion of the last request. */
void block_drain_begin(struct block_drain *drain, struct block_node *node, void (*drained)(struct block_drain *drain));
/* Loop thread; at any time after begin (before `drained`: it won't be called). Starts what waited. */
void block_drain_end(struct block_drain *drain);

/* --- the graph -------------------------------------------------------------------------------------------------- */

/* The named nodes. Configuration thread. */
struct block_graph *block_graph_create(void);
/* Drops its references, newest node first. Devices must be gone, or hold their own. NULL is allowed. */
void block_graph_destroy(struct block_graph *graph);
/* A borrowed pointer, valid while the graph holds the name; NULL if there is none. */
struct block_node *block_graph_find(struct block_graph *graph, const char *node_name);
/* Nth node in the order of opening, or NULL. */
struct block_node *block_graph_node(struct block_graph *graph, unsigned n);

/*
 * Opens a node, and the children that its options describe, on `loop` until a device attaches it. May block (it opens
 * files). The graph keeps it; the pointer in *node (may be NULL) is borrowed.
 *
 *   driver=raw,file.driver=file,file.filename=disk.img      children nested with dotted keys, or by name: file=NODE
 *   node-name=       unless given as node_name (may be NULL: then options or a made-up one)
 *   read-only=off  discard=ignore|unmap  cache.direct=off  cache.no-flush=off  detect-zeroes=off (only that)
 *   auto-read-only=off                                      on: read-only where the host, or a child, allows no more
 *
 * Children inherit read-only, auto-read-only and the cache options and respect discards. Errors are one line that names
 * the node (or file), what is wrong and what would be right.
 */
int block_open(struct block_graph *graph, const char *node_name, const struct options *options, struct event_loop *loop,
               struct block_node **node, struct error **err);
/* Takes out what goes without saying: that nothing is behind a node ("backing" without a value) where nothing can be.
 */
void block_options_tidy(struct options *options);
/* Closes a node by name: -ENOENT if there is none, -EBUSY if a device or another node uses it. */
int block_close(struct block_graph *graph, const char *node_name, struct error **err);

/* Calls fn for each driver's name and description. */
void block_driver_list(void (*fn)(const char *name, const char *description, void *opaque), void *opaque);

#endif
