/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asynchronous system calls on both back ends, and the worker pool. Files live in memory and leave nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "event/event_loop.h"
#include "event/worker.h"

#define MANY 1000 /* more than either ring holds */

typedef struct event_loop *make_loop_fn(const char *name, struct error **err);

struct test_request {
    struct io_request request;
    int result;
    bool done;
    unsigned *left;
};

static void request_done(struct io_request *request, int result)
{
    struct test_request *test = container_of(request, struct test_request, request);

    assert_false(test->done);
    test->done = true;
    test->result = result;
    if (test->left) {
        --*test->left;
    }
}

static void wait_for(struct event_loop *loop, struct test_request *test)
{
    assert_false(test->done); /* never from within the submitting call */
    while (!test->done) {
        event_loop_poll(loop, true);
    }
    test->done = false;
}

static void check_io(make_loop_fn *make_loop, const char *backend)
{
    struct event_loop *loop = make_loop("test", NULL);
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct test_request test = {.request = {.done = request_done}};
    char data[] = "warp and weft";
    char back[16] = "";
    struct iovec out[2] = {{data, 4}, {data + 4, 9}};
    struct iovec in = {back, sizeof(back)};
    struct stat st;

    assert_string_equal(event_loop_io_backend(loop), backend);
    event_loop_writev(loop, &test.request, fd, out, 2, 100);
    wait_for(loop, &test);
    assert_int_equal(test.result, 13);
    event_loop_readv(loop, &test.request, fd, &in, 1, 100);
    wait_for(loop, &test);
    assert_int_equal(test.result, 13);
    assert_memory_equal(back, data, 13);
    event_loop_fdatasync(loop, &test.request, fd);
    wait_for(loop, &test);
    assert_int_equal(test.result, 0);
    event_loop_fallocate(loop, &test.request, fd, 0, 0, 8192);
    wait_for(loop, &test);
    assert_int_equal(test.result, 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 8192);
    event_loop_fallocate(loop, &test.request, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
    wait_for(loop, &test);
    assert_int_equal(test.result, 0);
    event_loop_readv(loop, &test.request, fd, &in, 1, 100);
    wait_for(loop, &test);
    assert_int_equal(test.result, 16);
    assert_int_equal(back[0], 0);
    event_loop_readv(loop, &test.request, -1, &in, 1, 0);
    wait_for(loop, &test);
    assert_int_equal(test.result, -EBADF);
    close(fd);
    event_loop_destroy(loop);
}

/* Far more at once than the rings hold; each ends once. */
static void check_many(make_loop_fn *make_loop)
{
    struct event_loop *loop = make_loop("test", NULL);
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct test_request *tests = calloc(MANY, sizeof(*tests));
    uint32_t *words = calloc(MANY, sizeof(*words));
    struct iovec *iov = calloc(MANY, sizeof(*iov));
    unsigned left = MANY;

    for (unsigned i = 0; i < MANY; i++) {
        words[i] = i;
        iov[i] = (struct iovec){&words[i], sizeof(words[i])};
        tests[i] = (struct test_request){.request.done = request_done, .left = &left};
        event_loop_writev(loop, &tests[i].request, fd, &iov[i], 1, i * sizeof(*words));
    }
    while (left > 0) {
        event_loop_poll(loop, true);
    }
    for (unsigned i = 0; i < MANY; i++) {
        uint32_t word = 0;

        assert_int_equal(tests[i].result, sizeof(word));
        assert_int_equal(pread(fd, &word, sizeof(word), (off_t)(i * sizeof(word))), sizeof(word));
        assert_int_equal(word, i);
    }
    free(iov);
    free(words);
    free(tests);
    close(fd);
    event_loop_destroy(loop);
}

/* A paused loop ends no request; a resumed one ends it. */
static void check_paused(make_loop_fn *make_loop)
{
    struct event_loop *loop = make_loop("test", NULL);
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct test_request test = {.request = {.done = request_done}};

    event_loop_pause(loop);
    event_loop_poll(loop, false);
    event_loop_fdatasync(loop, &test.request, fd);
    for (unsigned i = 0; i < 10; i++) {
        event_loop_poll(loop, false);
    }
    assert_false(test.done);
    event_loop_resume(loop);
    wait_for(loop, &test);
    assert_int_equal(test.result, 0);
    close(fd);
    event_loop_destroy(loop);
}

static bool io_uring_is_refused(void)
{
    struct event_loop *loop = event_loop_create("probe", NULL);
    bool refused = strcmp(event_loop_io_backend(loop), "io_uring") != 0;

    event_loop_destroy(loop);
    return refused;
}

static void test_io_uring(void **state)
{
    if (io_uring_is_refused()) {
        print_message("the kernel refuses io_uring\n");
        skip();
    }
    check_io(event_loop_create, "io_uring");
    check_many(event_loop_create);
    check_paused(event_loop_create);
}

static void test_io_threads(void **state)
{
    check_io(event_loop_create_with_threads, "threads");
    check_many(event_loop_create_with_threads);
    check_paused(event_loop_create_with_threads);
}

/* --- worker pool ------------------------------------------------------------------------------------------------ */

struct test_job {
    struct worker_job job;
    unsigned number;
    unsigned square;    /* written by the worker, read by the loop */
    unsigned *finished; /* loop thread */
};

static void job_run(struct worker_job *job)
{
    struct test_job *test = container_of(job, struct test_job, job);

    test->square = test->number * test->number;
}

static void job_done(struct worker_job *job)
{
    struct test_job *test = container_of(job, struct test_job, job);

    assert_int_equal(test->square, test->number * test->number);
    ++*test->finished;
    free(test);
}

static void test_worker_pool(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    struct worker_pool *pool = worker_pool_create("pool", 3, NULL);
    unsigned finished = 0;

    for (unsigned i = 0; i < MANY; i++) {
        struct test_job *test = calloc(1, sizeof(*test));

        test->job.run = job_run;
        test->job.done = job_done;
        test->number = i;
        test->finished = &finished;
        worker_submit(pool, loop, &test->job);
    }
    while (finished < MANY / 2) {
        event_loop_poll(loop, true);
    }
    worker_pool_destroy(pool); /* all have run; what isn't told yet comes */
    while (finished < MANY) {
        assert_true(event_loop_poll(loop, false));
    }
    event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_uring),
        cmocka_unit_test(test_io_threads),
        cmocka_unit_test(test_worker_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
