/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: bottom halves, descriptors, pausing, calls from other threads. What is counted by loop threads in the
 * hammers is plain memory: ThreadSanitizer finds out if the loop's own synchronisation doesn't cover it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "base/thread.h"
#include "event/event_loop.h"

#define HAMMER_THREADS 3
#define HAMMER_ROUNDS  20000

static struct event_loop *make_loop(void)
{
    struct event_loop *loop = event_loop_create("test", NULL);

    assert_non_null(loop);
    return loop;
}

/* --- bottom halves ---------------------------------------------------------------------------------------------- */

struct recorder {
    struct bh bh;
    struct recorder *reschedule; /* schedule this one from within, or NULL */
    char **end;
    char letter;
};

static void record(void *opaque)
{
    struct recorder *recorder = opaque;

    *(*recorder->end)++ = recorder->letter;
    if (recorder->reschedule) {
        bh_schedule(&recorder->reschedule->bh);
        recorder->reschedule = NULL;
    }
}

static void test_bh_order_and_coalescing(void **state)
{
    struct event_loop *loop = make_loop();
    char text[16] = "";
    char *end = text;
    struct recorder recorders[4];

    for (unsigned i = 0; i < 4; i++) {
        recorders[i] = (struct recorder){.letter = (char)('a' + i), .end = &end};
        bh_init(&recorders[i].bh, loop, record, &recorders[i]);
    }
    recorders[0].reschedule = &recorders[1]; /* already queued: coalesces with this round's */
    recorders[2].reschedule = &recorders[0]; /* has run: next round */
    assert_false(event_loop_poll(loop, false));
    bh_schedule(&recorders[0].bh);
    bh_schedule(&recorders[3].bh);
    bh_schedule(&recorders[1].bh);
    bh_schedule(&recorders[2].bh);
    bh_schedule(&recorders[3].bh);
    assert_true(event_loop_poll(loop, true));
    assert_string_equal(text, "adbc");
    assert_true(event_loop_poll(loop, true));
    assert_string_equal(text, "adbca");
    assert_false(event_loop_poll(loop, false));
    event_loop_destroy(loop);
}

static void test_bh_cancel_and_destroy(void **state)
{
    struct event_loop *loop = make_loop();
    char text[16] = "";
    char *end = text;
    struct recorder *recorders[3];

    for (unsigned i = 0; i < 3; i++) {
        recorders[i] = calloc(1, sizeof(*recorders[i]));
        recorders[i]->letter = (char)('a' + i);
        recorders[i]->end = &end;
        bh_init(&recorders[i]->bh, loop, record, recorders[i]);
        bh_schedule(&recorders[i]->bh);
    }
    bh_cancel(&recorders[0]->bh);
    bh_destroy(&recorders[1]->bh);
    free(recorders[1]);
    event_loop_poll(loop, false);
    assert_string_equal(text, "c");
    /* Cancelled and scheduled again while still queued: runs once. */
    bh_schedule(&recorders[0]->bh);
    bh_cancel(&recorders[0]->bh);
    bh_schedule(&recorders[0]->bh);
    event_loop_poll(loop, false);
    assert_string_equal(text, "ca");
    /* The last of the queue destroyed, then another appended. */
    bh_schedule(&recorders[0]->bh);
    bh_schedule(&recorders[2]->bh);
    bh_destroy(&recorders[2]->bh);
    bh_schedule(&recorders[2]->bh);
    event_loop_poll(loop, false);
    assert_string_equal(text, "caac");
    free(recorders[0]);
    free(recorders[2]);
    event_loop_destroy(loop);
}

struct hammer {
    struct bh bh;
    uint64_t written; /* by the hammer's thread before it schedules, read by the loop */
    _Atomic uint64_t scheduled;
    uint64_t seen;
    uint64_t runs;
    struct hdl_thread thread;
};

static void hammer_bh(void *opaque)
{
    struct hammer *hammer = opaque;

    hammer->seen = atomic_load_explicit(&hammer->scheduled, memory_order_relaxed);
    hammer->runs++;
}

static void hammer_thread(void *opaque)
{
    struct hammer *hammer = opaque;

    for (uint64_t i = 1; i <= HAMMER_ROUNDS; i++) {
        atomic_store_explicit(&hammer->scheduled, i, memory_order_relaxed);
        bh_schedule(&hammer->bh);
    }
}

static void do_nothing(void *opaque)
{
}

static void test_bh_hammer(void **state)
{
    struct event_loop *loop = make_loop();
    static struct hammer hammers[HAMMER_THREADS];

    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    for (unsigned i = 0; i < HAMMER_THREADS; i++) {
        bh_init(&hammers[i].bh, loop, hammer_bh, &hammers[i]);
        assert_int_equal(hdl_thread_start(&hammers[i].thread, "hammer", hammer_thread, &hammers[i], NULL), 0);
    }
    for (unsigned i = 0; i < HAMMER_THREADS; i++) {
        hdl_thread_join(&hammers[i].thread);
    }
    event_loop_call(loop, do_nothing, NULL); /* is queued behind all of them */
    event_loop_stop_thread(loop);
    for (unsigned i = 0; i < HAMMER_THREADS; i++) {
        assert_int_equal(hammers[i].seen, HAMMER_ROUNDS);
        assert_in_range(hammers[i].runs, 1, HAMMER_ROUNDS);
    }
    event_loop_destroy(loop);
}

/* A bottom half that bounces between two loops, so that both sleep and wake each other at every turn. */
struct bouncer {
    struct bh bhs[2];
    unsigned left; /* plain: whoever runs has it */
    struct event_loop *main;
};

static void bounce(struct bouncer *bouncer, unsigned to)
{
    if (bouncer->left == 0) {
        event_loop_stop(bouncer->main);
    } else {
        bouncer->left--;
        bh_schedule(&bouncer->bhs[to]);
    }
}

static void bounce_to_0(void *opaque)
{
    bounce(opaque, 0);
}

static void bounce_to_1(void *opaque)
{
    bounce(opaque, 1);
}

static void test_bh_bounce(void **state)
{
    struct event_loop *a = make_loop();
    struct event_loop *b = make_loop();
    struct bouncer bouncer = {.left = HAMMER_ROUNDS, .main = a};

    bh_init(&bouncer.bhs[0], a, bounce_to_1, &bouncer);
    bh_init(&bouncer.bhs[1], b, bounce_to_0, &bouncer);
    bh_schedule(&bouncer.bhs[0]);
    assert_int_equal(event_loop_start_thread(b, NULL), 0);
    event_loop_run(a);
    event_loop_stop_thread(b);
    assert_int_equal(bouncer.left, 0);
    event_loop_destroy(a);
    event_loop_destroy(b);
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

struct watched {
    struct event_loop *loop;
    int fds[2];
    struct fd_watch *watch;
    struct fd_watch *victim; /* removed by the handler */
    unsigned calls;
    uint32_t events;
};

static void watched_ready(void *opaque, uint32_t events)
{
    struct watched *watched = opaque;

    watched->calls++;
    watched->events = events;
    if (watched->victim) {
        struct fd_watch *victim = watched->victim;

        watched->victim = NULL;
        fd_watch_remove(victim);
    }
}

static void watched_init(struct watched *watched, struct event_loop *loop)
{
    *watched = (struct watched){.loop = loop};
    assert_int_equal(pipe2(watched->fds, O_CLOEXEC | O_NONBLOCK), 0);
    watched->watch = event_loop_add_fd(loop, watched->fds[0], EPOLLIN, watched_ready, watched, NULL);
    assert_non_null(watched->watch);
}

static void watched_close(struct watched *watched)
{
    close(watched->fds[0]);
    close(watched->fds[1]);
}

static void test_fd_level_and_silence(void **state)
{
    struct event_loop *loop = make_loop();
    struct watched watched;

    watched_init(&watched, loop);
    assert_false(event_loop_poll(loop, false));
    assert_int_equal(write(watched.fds[1], "x", 1), 1);
    assert_true(event_loop_poll(loop, true));
    assert_true(event_loop_poll(loop, true));
    assert_int_equal(watched.calls, 2);
    assert_int_equal(watched.events, EPOLLIN);
    fd_watch_set_events(watched.watch, 0);
    assert_false(event_loop_poll(loop, false));
    /* Even a hang-up isn't heard. */
    close(watched.fds[1]);
    watched.fds[1] = -1;
    assert_false(event_loop_poll(loop, false));
    fd_watch_set_events(watched.watch, EPOLLIN);
    assert_true(event_loop_poll(loop, true));
    assert_int_equal(watched.events, EPOLLIN | EPOLLHUP);
    fd_watch_remove(watched.watch);
    close(watched.fds[0]);
    event_loop_destroy(loop);
}

/* Each of two ready handlers removes the other: whichever comes first, the other is never called. */
static void test_fd_remove_other(void **state)
{
    struct event_loop *loop = make_loop();
    struct watched a;
    struct watched b;

    watched_init(&a, loop);
    watched_init(&b, loop);
    a.victim = b.watch;
    b.victim = a.watch;
    assert_int_equal(write(a.fds[1], "x", 1), 1);
    assert_int_equal(write(b.fds[1], "x", 1), 1);
    assert_true(event_loop_poll(loop, true));
    assert_int_equal(a.calls + b.calls, 1);
    assert_true(event_loop_poll(loop, true));
    assert_true(a.calls == 2 || b.calls == 2);
    watched_close(&a);
    watched_close(&b);
    event_loop_destroy(loop);
}

static void test_fd_remove_itself(void **state)
{
    struct event_loop *loop = make_loop();
    struct watched a;

    watched_init(&a, loop);
    a.victim = a.watch;
    assert_int_equal(write(a.fds[1], "x", 1), 1);
    assert_true(event_loop_poll(loop, true));
    assert_false(event_loop_poll(loop, false));
    assert_int_equal(a.calls, 1);
    watched_close(&a);
    event_loop_destroy(loop);
}

static void test_fd_that_epoll_refuses(void **state)
{
    struct event_loop *loop = make_loop();
    struct watched a = {.loop = loop};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    a.watch = event_loop_add_fd(loop, fd, EPOLLIN, watched_ready, &a, NULL);
    assert_non_null(a.watch);
    assert_true(event_loop_poll(loop, true));
    assert_int_equal(a.events, EPOLLIN);
    fd_watch_set_events(a.watch, 0);
    assert_false(event_loop_poll(loop, false));
    fd_watch_set_events(a.watch, EPOLLIN);
    a.victim = a.watch;
    assert_true(event_loop_poll(loop, true));
    assert_false(event_loop_poll(loop, false));
    close(fd);
    event_loop_destroy(loop);
}

static void test_fd_bad(void **state)
{
    struct event_loop *loop = make_loop();
    struct error *err = NULL;

    assert_null(event_loop_add_fd(loop, -1, EPOLLIN, watched_ready, NULL, &err));
    assert_non_null(err);
    error_free(err);
    event_loop_destroy(loop);
}

/* --- pause, stop, call ------------------------------------------------------------------------------------------ */

static void test_pause_nests(void **state)
{
    struct event_loop *loop = make_loop();
    struct watched watched;
    char text[8] = "";
    char *end = text;
    struct recorder recorder = {.letter = 'x', .end = &end};

    watched_init(&watched, loop);
    bh_init(&recorder.bh, loop, record, &recorder);
    assert_int_equal(write(watched.fds[1], "x", 1), 1);
    event_loop_pause(loop);
    event_loop_pause(loop);
    event_loop_poll(loop, false); /* takes note; what is ready in this round still counts */
    watched.calls = 0;
    bh_schedule(&recorder.bh);
    assert_true(event_loop_poll(loop, true));
    assert_string_equal(text, "x");
    assert_int_equal(watched.calls, 0);
    event_loop_resume(loop);
    event_loop_poll(loop, false);
    event_loop_poll(loop, false);
    assert_int_equal(watched.calls, 0);
    event_loop_resume(loop);
    event_loop_poll(loop, true);
    event_loop_poll(loop, true);
    assert_true(watched.calls > 0);
    fd_watch_remove(watched.watch);
    watched_close(&watched);
    event_loop_destroy(loop);
}

static void add_one(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void call_thread(void *opaque)
{
    struct event_loop *loop = ((void **)opaque)[0];

    for (unsigned i = 0; i < 1000; i++) {
        event_loop_call(loop, add_one, ((void **)opaque)[1]);
    }
}

/* Calls race with the start of the loop's thread: they happen all the same, one after the other. */
static void test_call_from_threads(void **state)
{
    struct event_loop *loop = make_loop();
    unsigned count = 0;
    void *args[2] = {loop, &count};
    struct hdl_thread threads[2];

    event_loop_call(loop, add_one, &count); /* not running: here and now */
    assert_int_equal(count, 1);
    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hdl_thread_start(&threads[i], "caller", call_thread, args, NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        hdl_thread_join(&threads[i]);
    }
    event_loop_stop_thread(loop);
    assert_int_equal(count, 2001);
    event_loop_destroy(loop);
}

static void check_current(void *opaque)
{
    assert_true(event_loop_is_current(opaque));
}

static void test_stop_before_run(void **state)
{
    struct event_loop *loop = make_loop();
    struct bh bh;

    bh_init(&bh, loop, check_current, loop);
    bh_schedule(&bh);
    event_loop_stop(loop);
    event_loop_run(loop);
    assert_false(event_loop_is_current(loop));
    /* And once more: a stop counts for one run. */
    event_loop_stop(loop);
    event_loop_run(loop);
    event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bh_order_and_coalescing),
        cmocka_unit_test(test_bh_cancel_and_destroy),
        cmocka_unit_test(test_bh_hammer),
        cmocka_unit_test(test_bh_bounce),
        cmocka_unit_test(test_fd_level_and_silence),
        cmocka_unit_test(test_fd_remove_other),
        cmocka_unit_test(test_fd_remove_itself),
        cmocka_unit_test(test_fd_that_epoll_refuses),
        cmocka_unit_test(test_fd_bad),
        cmocka_unit_test(test_pause_nests),
        cmocka_unit_test(test_call_from_threads),
        cmocka_unit_test(test_stop_before_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
