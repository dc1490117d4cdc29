/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver=file on real files, with io_uring and with worker threads. The event loop's reads and writes pass through this
 * test (linked with --wrap), which cuts them short or makes them fail when a case asks for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "block/driver.h"

#define IMAGE_BYTES (UINT64_C(4) << 20)

/* --- the host's misbehaviour ---------------------------------------------------------------------------------------
 */

/* One test at a time, on one thread. */
static struct {
    size_t max_bytes; /* 0: as much as asked */
    int fallocate_error;
    unsigned calls;
    struct iovec cut[4];
} host;

void __real_event_loop_readv(struct event_loop *, struct io_request *, int, const struct iovec *, int, uint64_t);
void __real_event_loop_writev(struct event_loop *, struct io_request *, int, const struct iovec *, int, uint64_t);
void __real_event_loop_fallocate(struct event_loop *, struct io_request *, int, int, uint64_t, uint64_t);
void __wrap_event_loop_readv(struct event_loop *, struct io_request *, int, const struct iovec *, int, uint64_t);
void __wrap_event_loop_writev(struct event_loop *, struct io_request *, int, const struct iovec *, int, uint64_t);
void __wrap_event_loop_fallocate(struct event_loop *, struct io_request *, int, int, uint64_t, uint64_t);

/* The first max_bytes of the pieces. */
static const struct iovec *cut_short(const struct iovec *iov, int *iov_count)
{
    size_t left = host.max_bytes;
    int count = 0;

    host.calls++;
    if (left == 0) {
        return iov;
    }
    for (; count < *iov_count && count < 4 && left > 0; count++) {
        host.cut[count] = iov[count];
        host.cut[count].iov_len = MIN(iov[count].iov_len, left);
        left -= host.cut[count].iov_len;
    }
    *iov_count = count;
    return host.cut;
}

void __wrap_event_loop_readv(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                             int iov_count, uint64_t offset)
{
    iov = cut_short(iov, &iov_count);
    __real_event_loop_readv(loop, request, fd, iov, iov_count, offset);
}

void __wrap_event_loop_writev(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                              int iov_count, uint64_t offset)
{
    iov = cut_short(iov, &iov_count);
    __real_event_loop_writev(loop, request, fd, iov, iov_count, offset);
}

void __wrap_event_loop_fallocate(struct event_loop *loop, struct io_request *request, int fd, int mode, uint64_t offset,
                                 uint64_t len_bytes)
{
    /* A descriptor that fallocate refuses with EBADF stands for other failures; a mode nobody has for EOPNOTSUPP. */
    if (host.fallocate_error == EOPNOTSUPP) {
        mode = 0x4000;
    } else if (host.fallocate_error == EBADF) {
        fd = -1;
    }
    __real_event_loop_fallocate(loop, request, fd, mode, offset, len_bytes);
}

/* --- fixture -------------------------------------------------------------------------------------------------------
 */

struct fixture {
    struct event_loop *loop;
    struct block_graph *graph;
    char folder[64], path[96];
};

static int setup_with(void **state, struct event_loop *loop)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fd;

    memset(&host, 0, sizeof(host));
    f->loop = loop;
    f->graph = block_graph_create();
    snprintf(f->folder, sizeof(f->folder), "/var/tmp/heddle-test-XXXXXX");
    if (!loop || !mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/image", f->folder);
    fd = open(f->path, O_CREAT | O_RDWR, 0600);
    *state = f;
    return ftruncate(fd, (off_t)IMAGE_BYTES) < 0 || close(fd) < 0 ? -1 : 0;
}

static int setup_any(void **state)
{
    return setup_with(state, event_loop_create("test", NULL));
}

static int setup_threads(void **state)
{
    return setup_with(state, event_loop_create_with_threads("test", NULL));
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    block_graph_destroy(f->graph);
    event_loop_destroy(f->loop);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* Opens the image as raw over file; extra is like "cache.direct=on,file.locking=off". */
static int try_open(struct fixture *f, const char *name, const char *extra, struct block_node **node,
                    struct error **err)
{
    struct options options = {0};
    char *copy = strdup(extra), *rest = copy, *item;
    int result;

    options_set(&options, "driver", "raw");
    options_set(&options, "file.driver", "file");
    options_set(&options, "file.filename", f->path);
    while ((item = strsep(&rest, ",")) != NULL && *item) {
        char *value = strchr(item, '=');

        *value++ = 0;
        options_set(&options, item, value);
    }
    result = block_open(f->graph, name, &options, f->loop, node, err);
    options_release(&options);
    free(copy);
    return result;
}

static struct block_node *open_image(struct fixture *f, const char *name, const char *extra)
{
    struct block_node *node = NULL;
    struct error *err = NULL;

    if (try_open(f, name, extra, &node, &err) < 0) {
        print_message("%s\n", err ? err->message : "(no message)");
        error_free(err);
        fail();
    }
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

static int run(struct fixture *f, struct block_node *node, struct block_request request)
{
    struct tried tried = {.request = request};

    tried.request.done = tried_done;
    block_submit(node, &tried.request);
    while (tried.done_count == 0) {
        event_loop_poll(f->loop, true);
    }
    assert_int_equal(tried.done_count, 1);
    return tried.result;
}

static int run_iov(struct fixture *f, struct block_node *node, enum block_op op, uint64_t offset, struct iovec *iov,
                   int count)
{
    uint64_t len_bytes = 0;

    for (int i = 0; i < count; i++) {
        len_bytes += iov[i].iov_len;
    }
    return run(
        f, node,
        (struct block_request){.op = op, .offset = offset, .len_bytes = len_bytes, .iov = iov, .iov_count = count});
}

static int run_buffer(struct fixture *f, struct block_node *node, enum block_op op, uint64_t offset, void *buffer,
                      size_t len_bytes)
{
    struct iovec iov = {buffer, len_bytes};

    return run_iov(f, node, op, offset, &iov, 1);
}

static int run_range(struct fixture *f, struct block_node *node, enum block_op op, unsigned flags, uint64_t offset,
                     uint64_t len_bytes)
{
    return run(f, node, (struct block_request){.op = op, .flags = flags, .offset = offset, .len_bytes = len_bytes});
}

/* What really is in the file. */
static void assert_on_disk(struct fixture *f, uint64_t offset, const void *expected, size_t len_bytes)
{
    uint8_t *found = malloc(len_bytes);
    int fd = open(f->path, O_RDONLY);

    assert_int_equal(pread(fd, found, len_bytes, (off_t)offset), len_bytes);
    assert_memory_equal(found, expected, len_bytes);
    close(fd);
    free(found);
}

static uint8_t *pattern(size_t len_bytes)
{
    uint8_t *data = malloc(len_bytes);

    for (size_t i = 0; i < len_bytes; i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    return data;
}

/* --- transfers -----------------------------------------------------------------------------------------------------
 */

static void write_and_read_back(struct fixture *f, struct block_node *node, size_t skew)
{
    const size_t len_bytes = 3 * 1024 * 1024 / 2;
    uint8_t *data = pattern(len_bytes), *copy = calloc(1, len_bytes + 4096);
    struct iovec out[3] = {{data, 512}, {data + 512, 65536}, {data + 66048, len_bytes - 66048}};
    struct iovec in[2] = {{copy + skew, 4096 * 3}, {copy + skew + 4096 * 3, len_bytes - 4096 * 3}};

    assert_int_equal(run_iov(f, node, BLOCK_WRITE, 8192, out, 3), 0);
    assert_int_equal(run_buffer(f, node, BLOCK_FLUSH, 0, NULL, 0), 0);
    assert_on_disk(f, 8192, data, len_bytes);
    assert_int_equal(run_iov(f, node, BLOCK_READ, 8192, in, 2), 0);
    assert_memory_equal(copy + skew, data, len_bytes);
    free(copy);
    free(data);
}

static void test_write_and_read(void **state)
{
    write_and_read_back(*state, open_image(*state, "x", ""), 0);
}

/* Short counts: the rest is asked for until all is there. */
static void test_short_counts(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "");

    host.max_bytes = 100 * 1000 + 1;
    write_and_read_back(f, node, 0);
    assert_true(host.calls >= 32);
}

static void test_direct_with_unaligned_buffers(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = NULL;
    struct error *err = NULL;

    if (try_open(f, "x", "cache.direct=on", &node, &err) == -EINVAL) {
        error_free(err);
        skip(); /* the file system of /var/tmp has no O_DIRECT */
    }
    assert_null(err);
    assert_true(block_node_info(node)->limits.request_alignment >= 512);
    write_and_read_back(f, node, 3);
}

/* The image shrinks behind our back: an error, not somebody's idea of what stood there. */
static void test_shrunk_image_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "");
    char buffer[4096];

    assert_int_equal(truncate(f->path, 2048), 0);
    assert_int_equal(run_buffer(f, node, BLOCK_READ, 0, buffer, 4096), -EIO);
    assert_int_equal(run_buffer(f, node, BLOCK_READ, 0, buffer, 2048), 0);
}

static void test_zeroes_by_every_way(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "discard=unmap");
    uint8_t *data = pattern(IMAGE_BYTES), *zeroes = calloc(1, IMAGE_BYTES);
    const unsigned flags[2] = {0, BLOCK_MAY_UNMAP};

    for (unsigned i = 0; i < 4; i++) {
        host.fallocate_error = i < 2 ? 0 : EOPNOTSUPP; /* the second half: nothing but writing helps */
        assert_int_equal(run_buffer(f, node, BLOCK_WRITE, 0, data, IMAGE_BYTES), 0);
        host.max_bytes = i < 3 ? 0 : 300 * 1000;
        assert_int_equal(run_range(f, node, BLOCK_WRITE_ZEROES, flags[i % 2], 4096, 2 << 20), 0);
        host.max_bytes = 0;
        assert_on_disk(f, 0, data, 4096);
        assert_on_disk(f, 4096, zeroes, 2 << 20);
        assert_on_disk(f, 4096 + (2 << 20), data + 4096 + (2 << 20), 4096);
    }
    free(data);
    free(zeroes);
}

static uint64_t allocated_bytes(struct fixture *f)
{
    struct stat status;

    assert_int_equal(stat(f->path, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void test_discard_gives_space_back(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "discard=unmap");
    uint8_t *data = pattern(1 << 20);
    uint64_t before;

    assert_true(block_node_info(node)->can_discard);
    assert_int_equal(run_buffer(f, node, BLOCK_WRITE, 0, data, 1 << 20), 0);
    assert_int_equal(run_buffer(f, node, BLOCK_FLUSH, 0, NULL, 0), 0);
    before = allocated_bytes(f);
    assert_int_equal(run_range(f, node, BLOCK_DISCARD, 0, 0, 1 << 20), 0);
    assert_true(allocated_bytes(f) < before);
    host.fallocate_error = EOPNOTSUPP; /* a discard is advice */
    assert_int_equal(run_range(f, node, BLOCK_DISCARD, 0, 0, 1 << 20), 0);
    host.fallocate_error = 0;
    free(data);
}

static void test_failures_are_passed_on(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "discard=unmap");

    host.fallocate_error = EBADF;
    assert_int_equal(run_range(f, node, BLOCK_DISCARD, 0, 0, 4096), -EBADF);
    assert_int_equal(run_range(f, node, BLOCK_WRITE_ZEROES, BLOCK_MAY_UNMAP, 0, 4096), -EBADF);
}

/* Many at once, with a drain in the middle. */
static void on_drained(struct block_drain *drain)
{
}

static void test_drain_with_real_requests(void **state)
{
    struct fixture *f = *state;
    struct block_node *node = open_image(f, "x", "");
    static uint8_t buffers[64][4096];
    static struct iovec iov[64];
    static struct tried tried[64];
    struct block_drain drain;
    unsigned done = 0;

    for (unsigned i = 0; i < 64; i++) {
        iov[i] = (struct iovec){buffers[i], 4096};
        tried[i] = (struct tried){.request = {.op = BLOCK_WRITE,
                                              .offset = i * 4096,
                                              .len_bytes = 4096,
                                              .iov = &iov[i],
                                              .iov_count = 1,
                                              .done = tried_done}};
        if (i == 32) {
            block_drain_begin(&drain, node, on_drained);
        }
        block_submit(node, &tried[i].request);
    }
    while (drain.is_waiting) {
        event_loop_poll(f->loop, true);
    }
    for (unsigned i = 0; i < 64; i++) {
        done += tried[i].done_count;
    }
    assert_int_equal(done, 32);
    assert_int_equal(node->in_flight, 0);
    block_drain_end(&drain);
    while (node->user_in_flight > 0) {
        event_loop_poll(f->loop, true);
    }
    assert_int_equal(tried[63].done_count, 1);
}

/* --- opening -------------------------------------------------------------------------------------------------------
 */

static void assert_error(struct fixture *f, const char *extra, const char *part)
{
    struct error *err = NULL;
    int result = try_open(f, "bad", extra, NULL, &err);

    assert_true(result < 0);
    assert_non_null(err);
    if (!strstr(err->message, part) || strchr(err->message, '\n')) {
        print_message("'%s' lacks '%s'\n", err->message, part);
        fail();
    }
    error_free(err);
    assert_null(block_graph_find(f->graph, "bad"));
}

static void test_bad_images_are_one_line_errors(void **state)
{
    struct fixture *f = *state;

    assert_error(f, "file.filename=/nonexistent/disk.img", "'/nonexistent/disk.img': No such file or directory");
    assert_error(f, "file.filename=/tmp", "is a directory");
    assert_error(f, "file.filename=/dev/null", "neither a regular file nor a block device");
    assert_error(f, "file.lockin=off", "locking");
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_error(f, "", "read-only=on");
    open_image(f, "ro", "read-only=on");
    open_image(f, "auto", "auto-read-only=on");
    assert_true(block_node_info(block_graph_find(f->graph, "auto"))->is_read_only);
    assert_int_equal(chmod(f->path, 0644), 0);
    assert_int_equal(truncate(f->path, 1000), 0);
    assert_error(f, "file.locking=off", "1000 bytes, not a multiple of 512");
}

static void test_one_writer_at_a_time(void **state)
{
    struct fixture *f = *state;

    open_image(f, "first", "");
    assert_error(f, "", "in use");
    assert_error(f, "read-only=on", "in use");
    open_image(f, "careless", "file.locking=off");
    assert_int_equal(block_close(f->graph, "first", NULL), 0);
    open_image(f, "reader", "read-only=on");
    open_image(f, "reader2", "read-only=on");
    assert_error(f, "", "in use");
    assert_int_equal(block_close(f->graph, "reader", NULL), 0);
    assert_int_equal(block_close(f->graph, "reader2", NULL), 0);
    open_image(f, "second", "");
}

#define BOTH(test)                                                                                                     \
    {#test " (loop's choice)", test, setup_any, teardown, NULL},                                                       \
    {                                                                                                                  \
#test " (threads)", test, setup_threads, teardown, NULL                                                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_write_and_read),
        BOTH(test_short_counts),
        BOTH(test_direct_with_unaligned_buffers),
        BOTH(test_shrunk_image_is_an_error),
        BOTH(test_zeroes_by_every_way),
        BOTH(test_discard_gives_space_back),
        BOTH(test_failures_are_passed_on),
        BOTH(test_drain_with_real_requests),
        cmocka_unit_test_setup_teardown(test_bad_images_are_one_line_errors, setup_any, teardown),
        cmocka_unit_test_setup_teardown(test_one_writer_at_a_time, setup_any, teardown),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
