/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks and timers. Nothing here waits for real time but the one test of the host clock, which asserts a lower bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "event/event_loop.h"

#define TIMERS 100

struct fixture {
    struct event_loop *loop;
    struct clock fake;
    char text[256];
    char *end;
};

struct test_timer {
    struct timer timer;
    struct fixture *fixture;
    char letter;
    struct test_timer *cancels; /* from within, or NULL */
    uint64_t rearm_ns;          /* from within, or 0 */
};

static void setup(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->loop = event_loop_create("test", NULL);
    assert_non_null(fixture->loop);
    clock_init_fake(&fixture->fake, 1000);
    fixture->end = fixture->text;
}

static void teardown(struct fixture *fixture)
{
    event_loop_destroy(fixture->loop);
    clock_destroy(&fixture->fake);
}

static void fired(void *opaque)
{
    struct test_timer *timer = opaque;

    assert_false(timer_is_armed(&timer->timer));
    *timer->fixture->end++ = timer->letter;
    if (timer->cancels) {
        timer_cancel(&timer->cancels->timer);
    }
    if (timer->rearm_ns) {
        uint64_t rearm_ns = timer->rearm_ns;

        timer->rearm_ns = 0;
        timer_arm(&timer->timer, rearm_ns);
    }
}

static void make_timer(struct fixture *fixture, struct test_timer *timer, char letter, struct clock *clock)
{
    *timer = (struct test_timer){.fixture = fixture, .letter = letter};
    assert_int_equal(timer_init(&timer->timer, fixture->loop, clock, fired, timer), 0);
}

static void test_order_by_deadline_then_arming(void **state)
{
    struct fixture fixture;
    struct test_timer timers[4];

    setup(&fixture);
    for (unsigned i = 0; i < 4; i++) {
        make_timer(&fixture, &timers[i], (char)('a' + i), &fixture.fake);
    }
    timer_arm(&timers[0].timer, 1300);
    timer_arm(&timers[1].timer, 1200);
    timer_arm(&timers[2].timer, 1200);
    timer_arm(&timers[3].timer, 1500);
    assert_false(event_loop_poll(fixture.loop, false));
    clock_advance_ns(&fixture.fake, 199);
    assert_false(event_loop_poll(fixture.loop, false));
    clock_advance_ns(&fixture.fake, 101);
    assert_true(event_loop_poll(fixture.loop, false));
    assert_string_equal(fixture.text, "bca");
    timer_arm(&timers[3].timer, 1250); /* replaced by an earlier one, in the past */
    assert_true(event_loop_poll(fixture.loop, true));
    assert_string_equal(fixture.text, "bcad");
    for (unsigned i = 0; i < 4; i++) {
        timer_destroy(&timers[i].timer);
    }
    teardown(&fixture);
}

static void test_rearm_waits_and_cancel_within(void **state)
{
    struct fixture fixture;
    struct test_timer timers[3];

    setup(&fixture);
    for (unsigned i = 0; i < 3; i++) {
        make_timer(&fixture, &timers[i], (char)('a' + i), &fixture.fake);
        timer_arm(&timers[i].timer, 10 + i);
    }
    timers[0].rearm_ns = 1; /* long due: but not in this round, and not before the others */
    timers[0].cancels = &timers[1];
    assert_true(event_loop_poll(fixture.loop, false));
    assert_string_equal(fixture.text, "ac");
    assert_false(timer_is_armed(&timers[1].timer));
    assert_true(event_loop_poll(fixture.loop, false));
    assert_string_equal(fixture.text, "aca");
    assert_false(event_loop_poll(fixture.loop, false));
    for (unsigned i = 0; i < 3; i++) {
        timer_destroy(&timers[i].timer);
    }
    teardown(&fixture);
}

/* Many timers, armed, re-armed and cancelled by a fixed pseudo-random sequence: they fire in order, exactly once. */
struct ordered {
    struct timer timer;
    uint64_t deadline_ns;
    uint64_t *last_ns;
    unsigned *fired;
};

static void ordered_fired(void *opaque)
{
    struct ordered *ordered = opaque;

    assert_true(ordered->deadline_ns >= *ordered->last_ns);
    *ordered->last_ns = ordered->deadline_ns;
    ++*ordered->fired;
}

static void test_heap(void **state)
{
    struct fixture fixture;
    static struct ordered timers[TIMERS];
    uint64_t last_ns = 0;
    unsigned count = 0;
    unsigned armed = 0;
    uint32_t seed = 1;

    setup(&fixture);
    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i] = (struct ordered){.last_ns = &last_ns, .fired = &count};
        assert_int_equal(timer_init(&timers[i].timer, fixture.loop, &fixture.fake, ordered_fired, &timers[i]), 0);
    }
    for (unsigned i = 0; i < TIMERS * 20; i++) {
        struct ordered *timer = &timers[(seed >> 8) % TIMERS];

        seed = seed * 1664525u + 1013904223u;
        if (seed >> 30 == 0) {
            timer_cancel(&timer->timer);
        } else {
            timer->deadline_ns = 1001 + (seed >> 12) % 997;
            timer_arm(&timer->timer, timer->deadline_ns);
        }
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        armed += timer_is_armed(&timers[i].timer);
    }
    assert_in_range(armed, TIMERS / 4, TIMERS);
    for (unsigned i = 0; i < 100; i++) {
        clock_advance_ns(&fixture.fake, 10);
        event_loop_poll(fixture.loop, false);
    }
    assert_int_equal(count, armed);
    for (unsigned i = 0; i < TIMERS; i++) {
        timer_destroy(&timers[i].timer);
    }
    teardown(&fixture);
}

static void test_virtual_clock(void **state)
{
    struct fixture fixture;
    struct clock virtual;
    struct test_timer timer;

    setup(&fixture);
    clock_init_virtual(&virtual, &fixture.fake);
    make_timer(&fixture, &timer, 'v', &virtual);
    assert_int_equal(clock_now_ns(&virtual), 0);
    assert_false(clock_is_running(&virtual));
    clock_advance_ns(&fixture.fake, 50);
    assert_int_equal(clock_now_ns(&virtual), 0);
    timer_arm(&timer.timer, 0);
    assert_false(event_loop_poll(fixture.loop, false)); /* due, but time stands still */
    clock_set_ns(&virtual, 7);
    clock_start(&virtual);
    clock_start(&virtual);
    assert_int_equal(clock_now_ns(&virtual), 7);
    assert_true(event_loop_poll(fixture.loop, true));
    timer_arm(&timer.timer, 20);
    clock_advance_ns(&fixture.fake, 10);
    assert_int_equal(clock_now_ns(&virtual), 17);
    clock_stop(&virtual);
    clock_stop(&virtual);
    clock_advance_ns(&fixture.fake, 1000);
    assert_int_equal(clock_now_ns(&virtual), 17);
    assert_false(event_loop_poll(fixture.loop, false));
    clock_start(&virtual);
    assert_false(event_loop_poll(fixture.loop, false));
    clock_advance_ns(&fixture.fake, 3);
    assert_true(event_loop_poll(fixture.loop, true));
    assert_string_equal(fixture.text, "vv");
    timer_destroy(&timer.timer);
    teardown(&fixture);
    clock_destroy(&virtual);
}

struct stopper {
    struct timer timer;
    struct clock *clock;
    unsigned fired;
};

static void stopper_fired(void *opaque)
{
    struct stopper *stopper = opaque;

    stopper->fired++;
    clock_stop(stopper->clock);
}

/* The first of two due timers stops their clock: the second waits until time passes again. */
static void test_clock_stopped_in_round(void **state)
{
    struct fixture fixture;
    struct clock virtual;
    struct stopper stoppers[2];

    setup(&fixture);
    clock_init_virtual(&virtual, &fixture.fake);
    clock_start(&virtual);
    for (unsigned i = 0; i < 2; i++) {
        stoppers[i] = (struct stopper){.clock = &virtual};
        assert_int_equal(timer_init(&stoppers[i].timer, fixture.loop, &virtual, stopper_fired, &stoppers[i]), 0);
        timer_arm(&stoppers[i].timer, 0);
    }
    assert_true(event_loop_poll(fixture.loop, false));
    assert_int_equal(stoppers[1].fired, 0);
    assert_true(timer_is_armed(&stoppers[1].timer));
    assert_false(event_loop_poll(fixture.loop, false));
    clock_start(&virtual);
    assert_true(event_loop_poll(fixture.loop, false));
    assert_int_equal(stoppers[0].fired, 1);
    assert_int_equal(stoppers[1].fired, 1);
    timer_destroy(&stoppers[0].timer);
    timer_destroy(&stoppers[1].timer);
    teardown(&fixture);
    clock_destroy(&virtual);
}

static void test_paused_timers_wait(void **state)
{
    struct fixture fixture;
    struct test_timer timer;

    setup(&fixture);
    make_timer(&fixture, &timer, 't', &fixture.fake);
    event_loop_pause(fixture.loop);
    event_loop_poll(fixture.loop, false);
    timer_arm(&timer.timer, 0);
    assert_false(event_loop_poll(fixture.loop, false));
    event_loop_resume(fixture.loop);
    event_loop_poll(fixture.loop, false);
    event_loop_poll(fixture.loop, false);
    assert_string_equal(fixture.text, "t");
    timer_destroy(&timer.timer);
    teardown(&fixture);
}

static void test_too_many_clocks(void **state)
{
    struct fixture fixture;
    struct clock clocks[9];
    struct test_timer timer = {.letter = 'x'};
    int ret = 0;

    setup(&fixture);
    for (unsigned i = 0; i < 9; i++) {
        clock_init_fake(&clocks[i], 0);
        ret = timer_init(&timer.timer, fixture.loop, &clocks[i], fired, &timer);
        assert_true(i < 8 ? ret == 0 : ret < 0);
        timer_destroy(&timer.timer);
    }
    event_loop_destroy(fixture.loop);
    for (unsigned i = 0; i < 9; i++) {
        clock_destroy(&clocks[i]);
    }
    clock_destroy(&fixture.fake);
}

struct host_wait {
    struct timer timer;
    struct event_loop *loop;
};

static void host_fired(void *opaque)
{
    event_loop_stop(((struct host_wait *)opaque)->loop);
}

static void arm_soon(void *opaque)
{
    struct host_wait *wait = opaque;

    timer_arm(&wait->timer, clock_now_ns(wait->timer.clock) + NS_PER_MS);
}

/* Armed by another thread while the loop sleeps with no timeout at all. */
static void test_host_clock_and_foreign_arming(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    struct clock host;
    struct host_wait wait = {.loop = loop};
    struct hdl_thread thread;
    uint64_t start_ns;

    clock_init_host(&host);
    start_ns = clock_now_ns(&host);
    assert_int_equal(timer_init(&wait.timer, loop, &host, host_fired, &wait), 0);
    assert_int_equal(hdl_thread_start(&thread, "arm", arm_soon, &wait, NULL), 0);
    event_loop_run(loop);
    assert_true(clock_now_ns(&host) - start_ns >= NS_PER_MS);
    hdl_thread_join(&thread);
    timer_destroy(&wait.timer);
    event_loop_destroy(loop);
    clock_destroy(&host);
}

struct reader {
    struct clock *clock;
    _Atomic bool *end;
    struct hdl_thread thread;
};

static void read_clock(void *opaque)
{
    struct reader *reader = opaque;
    uint64_t last_ns = 0;

    while (!atomic_load(reader->end)) {
        uint64_t now_ns = clock_now_ns(reader->clock);

        if (now_ns < last_ns) {
            fail_msg("time went back");
        }
        last_ns = now_ns;
    }
}

static void test_virtual_clock_never_goes_back(void **state)
{
    struct clock host;
    struct clock virtual;
    _Atomic bool end = false;
    struct reader reader = {.clock = &virtual, .end = &end};

    clock_init_host(&host);
    clock_init_virtual(&virtual, &host);
    assert_int_equal(hdl_thread_start(&reader.thread, "reader", read_clock, &reader, NULL), 0);
    for (unsigned i = 0; i < 20000; i++) {
        clock_start(&virtual);
        clock_stop(&virtual);
    }
    atomic_store(&end, true);
    hdl_thread_join(&reader.thread);
    clock_destroy(&virtual);
    clock_destroy(&host);
}

/* Any thread arms and cancels while the loop fires. */
struct shared_timer {
    struct timer timer;
    uint64_t fired; /* loop thread */
};

static void shared_fired(void *opaque)
{
    ((struct shared_timer *)opaque)->fired++;
}

static void arm_often(void *opaque)
{
    struct shared_timer *timer = opaque;

    for (unsigned i = 0; i < 20000; i++) {
        timer_arm(&timer->timer, 0);
        if (i % 3 == 0) {
            timer_cancel(&timer->timer);
        }
    }
}

static void test_arming_hammer(void **state)
{
    struct fixture fixture;
    struct shared_timer timers[3];
    struct hdl_thread threads[3];

    setup(&fixture);
    for (unsigned i = 0; i < 3; i++) {
        timers[i].fired = 0;
        assert_int_equal(timer_init(&timers[i].timer, fixture.loop, &fixture.fake, shared_fired, &timers[i]), 0);
    }
    assert_int_equal(event_loop_start_thread(fixture.loop, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hdl_thread_start(&threads[i], "arm", arm_often, &timers[i], NULL), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        hdl_thread_join(&threads[i]);
    }
    event_loop_stop_thread(fixture.loop);
    event_loop_poll(fixture.loop, false);
    for (unsigned i = 0; i < 3; i++) {
        assert_in_range(timers[i].fired, 1, 20000);
        assert_false(timer_is_armed(&timers[i].timer));
        timer_destroy(&timers[i].timer);
    }
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_by_deadline_then_arming),
        cmocka_unit_test(test_rearm_waits_and_cancel_within),
        cmocka_unit_test(test_heap),
        cmocka_unit_test(test_virtual_clock),
        cmocka_unit_test(test_clock_stopped_in_round),
        cmocka_unit_test(test_paused_timers_wait),
        cmocka_unit_test(test_too_many_clocks),
        cmocka_unit_test(test_host_clock_and_foreign_arming),
        cmocka_unit_test(test_virtual_clock_never_goes_back),
        cmocka_unit_test(test_arming_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
