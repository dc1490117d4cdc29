/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block graph without any file: requests, drains, options, injected errors. A driver of the test's own holds
 * requests until it is told to let them go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "block/driver.h"

/* --- a driver that holds ------------------------------------------------------------------------------------------ */

struct holder {
    struct block_request *held[16];
    unsigned count;
};

static void holder_start(struct block_node *node, struct block_request *request)
{
    struct holder *holder = node->state;

    assert_true(holder->count < 16);
    holder->held[holder->count++] = request;
}

static int holder_open(struct block_node *node, const struct options *options, struct error **err)
{
    node->info.size_bytes = 1 << 20;
    return 0;
}

static const struct block_driver holder_driver = {
    .name = "holder",
    .description = "holds requests",
    .node_bytes = sizeof(struct holder),
    .open = holder_open,
    .start = {[BLOCK_READ] = holder_start, [BLOCK_WRITE] = holder_start, [BLOCK_FLUSH] = holder_start},
};

/* Lets the nth held request go. */
static void release(struct block_node *node, unsigned n, int result)
{
    struct holder *holder = node->state;
    struct block_request *request = holder->held[n];

    assert_true(n < holder->count);
    holder->count--;
    memmove(&holder->held[n], &holder->held[n + 1], (holder->count - n) * sizeof(holder->held[0]));
    block_complete(request, result);
}

/* --- fixture ------------------------------------------------------------------------------------------------------ */

struct fixture {
    struct event_loop *loop;
    struct block_graph *graph;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->loop = event_loop_create("test", NULL);
    f->graph = block_graph_create();
    *state = f;
    return f->loop && f->graph ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    block_graph_destroy(f->graph);
    event_loop_destroy(f->loop);
    free(f);
    return 0;
}

/* "a=1,b=2" */
static struct options parse(const char *text)
{
    struct options options = {0};
    char *copy = strdup(text), *rest = copy, *item;

    while ((item = strsep(&rest, ",")) != NULL) {
        char *value = strchr(item, '=');

        if (value) {
            *value++ = 0;
            assert_int_equal(options_set(&options, item, value), 0);
        }
    }
    free(copy);
    return options;
}

static int try_open(struct fixture *f, const char *text, struct block_node **node, struct error **err)
{
    struct options options = parse(text);
    int result = block_open(f->graph, NULL, &options, f->loop, node, err);

    options_release(&options);
    return result;
}

static struct block_node *open_node(struct fixture *f, const char *text)
{
    struct error *err = NULL;
    struct block_node *node = NULL;

    if (try_open(f, text, &node, &err) < 0) {
        print_message("%s: %s\n", text, err ? err->message : "(no message)");
        error_free(err);
        fail();
    }
    return node;
}

static struct block_node *open_holder(struct fixture *f, const char *name)
{
    struct options options = {0};
    struct block_node *node = NULL;

    assert_int_equal(block_open_driver(f->graph, &holder_driver, name, &options, f->loop, &node, NULL), 0);
    return node;
}

struct tried {
    struct block_request request;
    unsigned done_count;
    int result;
};

static void tried_done(struct block_request *request, int result)
{
    struct tried *tried = container_of(request, struct tried, request);

    tried->done_count++;
    tried->result = result;
}

static void submit(struct block_node *node, struct tried *tried, enum block_op op, uint64_t offset, void *buffer,
                   uint64_t len_bytes)
{
    static struct iovec iov; /* the drivers here don't look at it later */

    iov = (struct iovec){buffer, len_bytes};
    *tried = (struct tried){.request = {.op = op,
                                        .offset = offset,
                                        .len_bytes = len_bytes,
                                        .iov = &iov,
                                        .iov_count = op == BLOCK_READ || op == BLOCK_WRITE,
                                        .done = tried_done}};
    block_submit(node, &tried->request);
}

static void settle(struct fixture *f)
{
    while (event_loop_poll(f->loop, false)) {
    }
}

static int result_of(struct fixture *f, struct block_node *node, enum block_op op, uint64_t offset, uint64_t len_bytes)
{
    static char buffer[65536];
    struct tried tried;

    submit(node, &tried, op, offset, buffer, len_bytes);
    assert_int_equal(tried.done_count, 0); /* never from within submit */
    settle(f);
    assert_int_equal(tried.done_count, 1);
    return tried.result;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void test_null_takes_everything(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=null-co,node-name=n,size=1M,discard=unmap,read-zeroes=on");

    assert_int_equal(block_node_info(node)->size_bytes, 1 << 20);
    assert_int_equal(result_of(f, node, BLOCK_READ, 0, 4096), 0);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, (1 << 20) - 512, 512), 0);
    assert_int_equal(result_of(f, node, BLOCK_FLUSH, 0, 0), 0);
    assert_int_equal(result_of(f, node, BLOCK_DISCARD, 0, 1 << 20), 0);
    assert_int_equal(result_of(f, node, BLOCK_WRITE_ZEROES, 0, 1 << 20), 0);
}

static void test_bad_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=null-co,node-name=n,size=1M");
    struct block_node *ro = open_node(f, "driver=null-co,node-name=ro,size=1M,read-only=on");
    struct iovec iov = {(char[512]){0}, 512};
    struct tried tried = {.request = {.op = BLOCK_READ, .len_bytes = 1024, .iov = &iov, .iov_count = 1}};

    assert_int_equal(result_of(f, node, BLOCK_READ, 1 << 20, 512), -EINVAL);
    assert_int_equal(result_of(f, node, BLOCK_READ, (1 << 20) - 256, 512), -EINVAL);
    assert_int_equal(result_of(f, node, BLOCK_DISCARD, UINT64_MAX - 511, 1024), -EINVAL);
    assert_int_equal(result_of(f, node, BLOCK_WRITE_ZEROES, 512, UINT64_MAX - 511), -EINVAL);
    assert_int_equal(result_of(f, ro, BLOCK_WRITE, 0, 512), -EROFS);
    assert_int_equal(result_of(f, ro, BLOCK_DISCARD, 0, 512), -EROFS);
    assert_int_equal(result_of(f, ro, BLOCK_FLUSH, 0, 0), 0);

    tried.request.done = tried_done; /* pieces that don't add up */
    block_submit(node, &tried.request);
    settle(f);
    assert_int_equal(tried.result, -EINVAL);
    tried.request.iov_count = BLOCK_MAX_IOV + 1;
    block_submit(node, &tried.request);
    settle(f);
    assert_int_equal(tried.result, -EINVAL);
}

static void test_injected_errors(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=blkdebug,node-name=d,image.driver=null-co,image.size=1M,"
                                           "inject-error.0.iotype=write,inject-error.0.errno=28,"
                                           "inject-error.0.sector=3,inject-error.1.iotype=read,"
                                           "inject-error.1.once=on,inject-error.2.iotype=flush");

    assert_int_equal(result_of(f, node, BLOCK_WRITE, 0, 1536), 0);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, 0, 2048), -ENOSPC);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, 1536, 512), -ENOSPC);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, 2048, 512), 0);
    assert_int_equal(result_of(f, node, BLOCK_READ, 0, 512), -EIO);
    assert_int_equal(result_of(f, node, BLOCK_READ, 0, 512), 0);
    assert_int_equal(result_of(f, node, BLOCK_FLUSH, 0, 0), -EIO);
}

static void test_requests_are_counted(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=blkdebug,node-name=d,image.driver=null-co,image.size=1M,"
                                           "inject-error.0.iotype=write,inject-error.0.sector=3");
    struct block_node *image = block_node_child(node, "image");
    struct block_stats stats;

    assert_int_equal(result_of(f, node, BLOCK_READ, 0, 4096), 0);
    assert_int_equal(result_of(f, node, BLOCK_READ, 4096, 512), 0);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, 0, 512), 0);
    assert_int_equal(result_of(f, node, BLOCK_WRITE, 1536, 512), -EIO);
    assert_int_equal(result_of(f, node, BLOCK_READ, 2 << 20, 512), -EINVAL);
    assert_int_equal(result_of(f, node, BLOCK_FLUSH, 0, 0), 0);
    block_node_stats(node, &stats);
    assert_int_equal(stats.requests[BLOCK_READ], 2);
    assert_int_equal(stats.bytes[BLOCK_READ], 4608);
    assert_int_equal(stats.failed[BLOCK_READ], 1);
    assert_int_equal(stats.requests[BLOCK_WRITE], 1);
    assert_int_equal(stats.bytes[BLOCK_WRITE], 512);
    assert_int_equal(stats.failed[BLOCK_WRITE], 1);
    assert_int_equal(stats.requests[BLOCK_FLUSH], 1);
    assert_int_equal(stats.bytes[BLOCK_FLUSH], 0);
    assert_non_null(image);
    assert_null(block_node_child(node, "file"));
    assert_string_equal(block_node_info(node)->filename, "");
}

static void test_discard_needs_unmap(void **state)
{
    struct fixture *f = *state;
    const char *text = "driver=blkdebug,node-name=%s,discard=%s,image.driver=null-co,inject-error.0.iotype=discard";
    char options[200];

    snprintf(options, sizeof(options), text, "a", "ignore");
    assert_int_equal(result_of(f, open_node(f, options), BLOCK_DISCARD, 0, 512), 0);
    snprintf(options, sizeof(options), text, "b", "unmap");
    assert_int_equal(result_of(f, open_node(f, options), BLOCK_DISCARD, 0, 512), -EIO);
}

static void test_reserved_requests_allocate_nothing_twice(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=blkdebug,node-name=d,image.driver=null-co");
    void *first;

    assert_int_equal(block_node_reserve(node, 1), 0);
    first = node->free_states;
    assert_non_null(first);
    assert_int_equal(result_of(f, node, BLOCK_READ, 0, 512), 0);
    assert_ptr_equal(node->free_states, first);
}

/* --- drain -------------------------------------------------------------------------------------------------------- */

struct tested_drain {
    struct block_drain drain;
    unsigned drained_count;
};

static void on_drained(struct block_drain *drain)
{
    container_of(drain, struct tested_drain, drain)->drained_count++;
}

static void test_drain_waits_for_the_last_and_parks_the_next(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_holder(f, "h");
    struct tested_drain drain = {0};
    struct tried a, b, c;
    char buffer[512];

    submit(node, &a, BLOCK_READ, 0, buffer, 512);
    submit(node, &b, BLOCK_WRITE, 0, buffer, 512);
    block_drain_begin(&drain.drain, node, on_drained);
    submit(node, &c, BLOCK_FLUSH, 0, NULL, 0);
    assert_int_equal(((struct holder *)node->state)->count, 2);
    release(node, 1, 0);
    assert_int_equal(drain.drained_count, 0);
    release(node, 0, 0);
    assert_int_equal(drain.drained_count, 1);
    assert_int_equal(a.done_count + b.done_count, 2);
    settle(f);
    assert_int_equal(((struct holder *)node->state)->count, 0);
    assert_int_equal(c.done_count, 0);
    block_drain_end(&drain.drain);
    release(node, 0, 0);
    assert_int_equal(c.done_count, 1);
    assert_int_equal(drain.drained_count, 1);
}

static void test_drain_of_a_still_node_is_at_once(void **state)
{
    struct fixture *f = *state;
    struct tested_drain drain = {0};

    block_drain_begin(&drain.drain, open_holder(f, "h"), on_drained);
    assert_int_equal(drain.drained_count, 1);
    block_drain_end(&drain.drain);
}

/*
 *   left   right   other        The drain of left concerns base, and so right; it doesn't concern other.
 *      \   /         |
 *      base        base2
 */
static void test_drain_stops_what_stands_above_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct block_node *base = open_holder(f, "base"), *base2 = open_holder(f, "base2");
    struct block_node *left = open_node(f, "driver=raw,node-name=left,file=base,size=512k");
    struct block_node *right = open_node(f, "driver=raw,node-name=right,file=base,offset=512k");
    struct block_node *other = open_node(f, "driver=raw,node-name=other,file=base2");
    struct tested_drain drain = {0};
    struct tried a, b, c, d;
    char buffer[512];

    submit(right, &a, BLOCK_READ, 0, buffer, 512);
    block_drain_begin(&drain.drain, left, on_drained);
    assert_int_equal(drain.drained_count, 0); /* right's request is under way on base */
    submit(right, &b, BLOCK_READ, 0, buffer, 512);
    submit(left, &c, BLOCK_READ, 0, buffer, 512);
    submit(other, &d, BLOCK_READ, 0, buffer, 512);
    release(base2, 0, 0);
    assert_int_equal(d.done_count, 1);
    release(base, 0, 0);
    assert_int_equal(a.done_count, 1);
    assert_int_equal(drain.drained_count, 1);
    assert_int_equal(base->in_flight, 0);
    block_drain_end(&drain.drain);
    assert_int_equal(base->in_flight, 2);
    release(base, 0, 0);
    release(base, 0, 0);
    assert_int_equal(b.done_count + c.done_count, 2);
}

static void test_drains_overlap(void **state)
{
    struct fixture *f = *state;
    struct block_node *base = open_holder(f, "base");
    struct block_node *top = open_node(f, "driver=raw,node-name=top,file=base");
    struct tested_drain low = {0}, high = {0};
    struct tried a, b;
    char buffer[512];

    submit(top, &a, BLOCK_READ, 0, buffer, 512);
    block_drain_begin(&low.drain, base, on_drained);
    block_drain_begin(&high.drain, top, on_drained);
    submit(top, &b, BLOCK_READ, 0, buffer, 512);
    release(base, 0, 0);
    assert_int_equal(low.drained_count, 1);
    assert_int_equal(high.drained_count, 1);
    block_drain_end(&low.drain);
    assert_int_equal(base->in_flight, 0);
    block_drain_end(&high.drain);
    release(base, 0, 0);
    assert_int_equal(b.done_count, 1);
}

/* A request may be submitted again from its own done(); a drain that begins meanwhile still ends. */
struct again {
    struct block_request request;
    struct block_node *node;
    unsigned left;
};

static void again_done(struct block_request *request, int result)
{
    struct again *again = container_of(request, struct again, request);

    if (again->left-- > 0) {
        block_submit(again->node, request);
    }
}

static void test_drain_stops_a_request_that_repeats_itself(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_holder(f, "h");
    struct again again = {.request = {.op = BLOCK_FLUSH, .done = again_done}, .node = node, .left = 2};
    struct tested_drain drain = {0};

    block_submit(node, &again.request);
    release(node, 0, 0);
    block_drain_begin(&drain.drain, node, on_drained);
    release(node, 0, 0);
    assert_int_equal(drain.drained_count, 1);
    assert_int_equal(((struct holder *)node->state)->count, 0);
    block_drain_end(&drain.drain);
    release(node, 0, 0);
    assert_int_equal(again.left, UINT32_MAX);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static void assert_error(struct fixture *f, const char *text, int code, const char *part)
{
    struct error *err = NULL;

    assert_int_equal(try_open(f, text, NULL, &err), code);
    assert_non_null(err);
    if (!strstr(err->message, part) || strchr(err->message, '\n')) {
        print_message("%s: '%s' lacks '%s'\n", text, err->message, part);
        fail();
    }
    error_free(err);
    assert_null(block_graph_node(f->graph, 0)); /* nothing left behind */
}

static void test_bad_options_are_named(void **state)
{
    struct fixture *f = *state;

    assert_error(f, "node-name=x", -EINVAL, "'driver' is missing");
    assert_error(f, "driver=rwa,node-name=x", -EINVAL, "raw");
    assert_error(f, "driver=null-co,node-name=x,sise=1M", -EINVAL, "size");
    assert_error(f, "driver=null-co,node-name=x,detect-zeroes=on", -EINVAL, "detect-zeroes");
    assert_error(f, "driver=raw,node-name=x", -EINVAL, "'file'");
    assert_error(f, "driver=raw,node-name=x,file=nowhere", -ENOENT, "nowhere");
    assert_error(f, "driver=raw,node-name=x,file.driver=null-co,file.size=1000", -EINVAL, "multiple of 512");
    assert_error(f, "driver=raw,node-name=x,offset=2M,file.driver=null-co,file.size=1M", -EINVAL, "beyond");
    assert_error(f, "driver=raw,node-name=x,file.driver=file", -EINVAL, "filename");
}

static void test_names_are_unique_and_found(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=null-co,node-name=x");
    struct error *err = NULL;

    assert_ptr_equal(block_graph_find(f->graph, "x"), node);
    assert_int_equal(try_open(f, "driver=null-co,node-name=x", NULL, &err), -EEXIST);
    error_free(err);
    assert_null(block_graph_find(f->graph, "y"));
}

static void test_close_takes_nested_nodes_along(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_node(f, "driver=raw,node-name=x,file.driver=null-co");
    struct error *err = NULL;

    assert_int_equal(block_node_attach(node, "disk", f->loop, true, NULL), 0);
    assert_int_equal(block_close(f->graph, "x", &err), -EBUSY);
    assert_non_null(strstr(err->message, "disk"));
    error_free(err);
    block_node_detach(node);
    assert_int_equal(block_close(f->graph, "x", NULL), 0);
    assert_null(block_graph_node(f->graph, 0));
    assert_int_equal(block_close(f->graph, "x", NULL), -ENOENT);
}

static void test_one_device_a_node(void **state)
{
    struct fixture *f = *state;
    struct event_loop *elsewhere = event_loop_create("elsewhere", NULL);
    struct block_node *node = open_node(f, "driver=raw,node-name=x,file.driver=null-co");
    struct block_node *ro = open_node(f, "driver=null-co,node-name=ro,read-only=on");
    const char *owner;

    assert_int_equal(block_node_attach(node, "a", elsewhere, true, NULL), 0);
    owner = block_node_owner(node);
    assert_ptr_equal(node->loop, elsewhere);
    assert_ptr_equal(node->children[0].node->loop, elsewhere); /* all of it moves */
    assert_int_equal(block_node_attach(node, "b", f->loop, true, NULL), -EBUSY);
    assert_int_equal(block_node_attach(node->children[0].node, "b", f->loop, true, NULL), -EBUSY);
    block_node_detach(node); /* its loop does that, while somebody may be looking at who it was */
    assert_string_equal(owner, "a");
    assert_string_equal(block_node_owner(node), "");
    assert_int_equal(block_node_attach(node, "b", f->loop, true, NULL), 0);
    assert_int_equal(block_node_attach(ro, "c", f->loop, true, NULL), -EROFS);
    assert_int_equal(block_node_attach(ro, "c", f->loop, false, NULL), 0);
    event_loop_destroy(elsewhere);
}

/* --- a node whose loop runs elsewhere ------------------------------------------------------------------------------
 */

struct remote {
    struct bh bh;
    struct block_node *node;
    struct block_request request;
    unsigned left;
    _Atomic bool finished;
};

static void remote_done(struct block_request *request, int result)
{
    struct remote *remote = container_of(request, struct remote, request);

    if (--remote->left > 0) {
        block_submit(remote->node, request);
    } else {
        remote->finished = true;
    }
}

static void remote_start(void *opaque)
{
    struct remote *remote = opaque;

    remote->request = (struct block_request){.op = BLOCK_FLUSH, .done = remote_done};
    block_submit(remote->node, &remote->request);
}

static void nothing(void *opaque)
{
}

static void detach(void *opaque)
{
    block_node_detach(opaque);
}

static void test_a_loop_thread_serves_and_closes(void **state)
{
    struct fixture *f = *state;
    struct event_loop *loop = event_loop_create("iothread", NULL);
    struct remote remote = {.left = 1000};

    remote.node = open_node(f, "driver=raw,node-name=x,file.driver=null-co");
    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    assert_int_equal(block_node_attach(remote.node, "a", loop, true, NULL), 0);
    assert_int_equal(block_node_reserve(remote.node, 4), 0);
    bh_init(&remote.bh, loop, remote_start, &remote);
    bh_schedule(&remote.bh);
    while (!remote.finished) {
        event_loop_call(loop, nothing, NULL);
    }
    event_loop_call(loop, detach, remote.node);
    assert_int_equal(block_close(f->graph, "x", NULL), 0);
    event_loop_stop_thread(loop);
    event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_null_takes_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_injected_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_discard_needs_unmap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserved_requests_allocate_nothing_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_waits_for_the_last_and_parks_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_of_a_still_node_is_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_stops_what_stands_above_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drains_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_stops_a_request_that_repeats_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_options_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_unique_and_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_takes_nested_nodes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_device_a_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_loop_thread_serves_and_closes, setup, teardown),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
