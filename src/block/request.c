/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request's way through a node: checked, perhaps parked by a drain, started by the driver, ended once.
 *
 *                 drained                      done() has returned
 *   submit ---> [PARKED] ---> started ---> completed ------------> gone
 *      |                         ^              ^
 *      +-------------------------+              |
 *      +--- refused, or nothing to do ----------+   (next round)
 *
 * Everything here is the loop thread's. A request holds a reference on its node from submit until done() has returned,
 * so done() may drop its owner's. A request of a user counts in user_in_flight of the node it was submitted to; those
 * that drivers make to serve it (block_submit_child) live within it and are counted for checking only.
 *
 * What a guest asks for reaches this file as offsets and lengths: they are checked here against the node's size once
 * more, whatever the device model did.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "block/internal.h"

static bool op_changes(enum block_op op)
{
    return op == BLOCK_WRITE || op == BLOCK_DISCARD || op == BLOCK_WRITE_ZEROES;
}

static bool op_has_data(enum block_op op)
{
    return op == BLOCK_READ || op == BLOCK_WRITE;
}

/* --- request states: a pool a node, grown to the most that were ever under way at once ---------------------------- */

static size_t state_bytes(const struct block_node *node)
{
    return MAX(node->driver->request_bytes, sizeof(void *));
}

static void state_give(struct block_node *node, void *state)
{
    *(void **)state = node->free_states;
    node->free_states = state;
}

static void *state_take(struct block_node *node)
{
    void *state = node->free_states;

    if (!state) {
        return malloc(state_bytes(node));
    }
    node->free_states = *(void **)state;
    return state;
}

struct reserve {
    unsigned count;
    int result;
};

static void reserve_states(struct block_node *node, void *opaque)
{
    struct reserve *reserve = opaque;

    for (unsigned i = 0; i < reserve->count && node->driver->request_bytes != 0; i++) {
        void *state = malloc(state_bytes(node));

        if (!state) {
            reserve->result = -ENOMEM;
            return;
        }
        state_give(node, state);
    }
}

struct reserve_call {
    struct block_node *node;
    struct reserve reserve;
};

static void reserve_on_loop(void *opaque)
{
    struct reserve_call *call = opaque;

    block_walk(call->node, BLOCK_WALK_DOWN, reserve_states, &call->reserve);
}

int block_node_reserve(struct block_node *node, unsigned count)
{
    struct reserve_call call = {node, {count, 0}};

    event_loop_call(node->loop, reserve_on_loop, &call);
    return call.reserve.result;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* Only this thread writes, so nothing is lost between the load and the store. */
static void counter_add(_Atomic uint64_t *counter, uint64_t count)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count, memory_order_relaxed);
}

static void count_request(struct block_counters *counters, const struct block_request *request, int result)
{
    if (result < 0) {
        counter_add(&counters->failed[request->op], 1);
        return;
    }
    counter_add(&counters->requests[request->op], 1);
    counter_add(&counters->bytes[request->op], request->op == BLOCK_FLUSH ? 0 : request->len_bytes);
}

void block_node_stats(const struct block_node *node, struct block_stats *stats)
{
    for (unsigned op = 0; op < BLOCK_OP_COUNT; op++) {
        stats->requests[op] = atomic_load_explicit(&node->counters.requests[op], memory_order_relaxed);
        stats->bytes[op] = atomic_load_explicit(&node->counters.bytes[op], memory_order_relaxed);
        stats->failed[op] = atomic_load_explicit(&node->counters.failed[op], memory_order_relaxed);
    }
}

void block_complete(struct block_request *request, int result)
{
    struct block_node *node = request->node;
    bool is_internal = request->is_internal;

    trace(BLOCK_REQUEST, "%s: op %d offset %llu length %llu: %d", node->name, (int)request->op,
          (unsigned long long)request->offset, (unsigned long long)request->len_bytes, result);
    if (!is_internal) {
        count_request(&node->counters, request, result);
    }
    if (request->state) {
        state_give(node, request->state);
        request->state = NULL;
    }
    request->node = NULL;
    request->done(request, result);

    assert(node->in_flight > 0);
    node->in_flight--;
    if (!is_internal) {
        node->user_in_flight--;
        if (node->drain_count > 0 && node->user_in_flight == 0) {
            block_drain_check(node);
        }
    }
    block_node_put(node);
}

void block_complete_later(struct block_request *request, int result)
{
    struct block_node *node = request->node;

    request->result = result;
    request->next = NULL;
    *node->completed_tail = request;
    node->completed_tail = &request->next;
    bh_schedule(&node->completion);
}

/* Ends what had been put off when it began: what is put off meanwhile has scheduled the next round. */
static void run_completions(void *opaque)
{
    struct block_node *node = opaque;
    struct block_request *request = node->completed_head;

    node->completed_head = NULL;
    node->completed_tail = &node->completed_head;
    block_node_get(node);
    while (request) {
        struct block_request *next = request->next;

        block_complete(request, request->result);
        request = next;
    }
    block_node_put(node);
}

/* --- the beginning ----------------------------------------------------------------------------------------------- */

static int check_data(const struct block_request *request)
{
    uint64_t sum = 0;

    if (request->iov_count < 0 || request->iov_count > BLOCK_MAX_IOV || request->len_bytes > BLOCK_MAX_TRANSFER_BYTES) {
        return -EINVAL;
    }
    for (int i = 0; i < request->iov_count; i++) {
        if (request->iov[i].iov_len > request->len_bytes - sum) {
            return -EINVAL;
        }
        sum += request->iov[i].iov_len;
    }
    return sum == request->len_bytes ? 0 : -EINVAL;
}

static int check_request(const struct block_node *node, const struct block_request *request)
{
    uint64_t mask = node->info.limits.request_alignment - 1;

    if (op_changes(request->op) && node->info.is_read_only) {
        return -EROFS;
    }
    if (request->op == BLOCK_FLUSH) {
        return 0;
    }
    if (request->offset > node->info.size_bytes || request->len_bytes > node->info.size_bytes - request->offset ||
        ((request->offset | request->len_bytes) & mask) != 0) {
        return -EINVAL;
    }
    return op_has_data(request->op) ? check_data(request) : 0;
}

/* Whether there is nothing to do for a request that is in order. */
static bool is_no_op(const struct block_node *node, const struct block_request *request)
{
    if (request->op == BLOCK_FLUSH) {
        return node->no_flush || node->info.is_read_only;
    }
    return request->len_bytes == 0 || (request->op == BLOCK_DISCARD && !node->discard_unmap);
}

static void start(struct block_node *node, struct block_request *request)
{
    int result = check_request(node, request);

    if (result < 0 || is_no_op(node, request)) {
        block_complete_later(request, result);
        return;
    }
    if (!node->driver->start[request->op]) {
        block_complete_later(request, request->op == BLOCK_WRITE_ZEROES ? -ENOTSUP : 0);
        return;
    }
    if (!node->discard_unmap) {
        request->flags &= ~(unsigned)BLOCK_MAY_UNMAP;
    }
    if (node->driver->request_bytes != 0) {
        request->state = state_take(node);
        if (!request->state) {
            block_complete_later(request, -ENOMEM);
            return;
        }
    }
    node->driver->start[request->op](node, request);
}

static void enter(struct block_node *node, struct block_request *request, bool is_internal)
{
    request->node = block_node_get(node);
    request->state = NULL;
    request->is_internal = is_internal;
}

void block_submit(struct block_node *node, struct block_request *request)
{
    enter(node, request, false);
    if (node->drain_count > 0) {
        request->next = NULL;
        *node->parked_tail = request;
        node->parked_tail = &request->next;
        return;
    }
    node->in_flight++;
    node->user_in_flight++;
    start(node, request);
}

void block_submit_child(struct block_node *child, struct block_request *request)
{
    enter(child, request, true);
    child->in_flight++;
    start(child, request);
}

void block_start_parked(struct block_node *node)
{
    while (node->drain_count == 0 && node->parked_head) {
        struct block_request *request = node->parked_head;

        node->parked_head = request->next;
        if (!node->parked_head) {
            node->parked_tail = &node->parked_head;
        }
        node->in_flight++;
        node->user_in_flight++;
        start(node, request);
    }
}

/* --- a node's part ------------------------------------------------------------------------------------------------ */

void block_requests_init(struct block_node *node)
{
    node->parked_tail = &node->parked_head;
    node->completed_tail = &node->completed_head;
    bh_init(&node->completion, node->loop, run_completions, node);
}

void block_requests_release(struct block_node *node)
{
    assert(node->in_flight == 0 && !node->parked_head && !node->completed_head);
    bh_destroy(&node->completion);
    while (node->free_states) {
        void *state = node->free_states;

        node->free_states = *(void **)state;
        free(state);
    }
}
