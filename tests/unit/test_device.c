/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lock's hand-over and the life of a device: who runs a piece of work, in which order, how many at once, and
 * what happens to it when its device goes. The hammer at the end is for ThreadSanitizer: what it counts is guarded by
 * the device lock alone.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/thread.h"
#include "device/device.h"
#include "device/irq.h"

#define WORKS 40

struct test_work {
    struct device_work work;
    unsigned runs;
    pthread_t ran_on;
};

struct test_device {
    struct device device;
    unsigned order[WORKS];
    unsigned run_count;
    bool quiesced, destroyed_flag_set;
    bool *destroyed;
    _Atomic bool access_ended;
    bool left_seen;
    struct test_work works[WORKS];
};

static void test_device_quiesce(struct device *device)
{
    container_of(device, struct test_device, device)->quiesced = true;
    /* The test says when: device_quiesced is called by it. */
}

static void test_device_destroy(struct device *device)
{
    *container_of(device, struct test_device, device)->destroyed = true;
}

static const struct device_type test_type = {
    .name = "test-device",
    .size_bytes = sizeof(struct test_device),
    .quiesce = test_device_quiesce,
    .destroy = test_device_destroy,
};

static void test_work_run(struct device *device, struct device_work *work)
{
    struct test_device *test = container_of(device, struct test_device, device);
    struct test_work *self = container_of(work, struct test_work, work);

    device_assert_locked(device);
    self->runs++;
    self->ran_on = pthread_self();
    if (test->run_count < WORKS) {
        test->order[test->run_count] = (unsigned)(self - test->works);
    }
    test->run_count++;
}

static struct test_device *test_device_new(struct event_loop *loop, struct device_lock *legacy, bool *destroyed)
{
    struct device *device = device_create(&test_type, NULL, loop, NULL, legacy);
    struct test_device *test = container_of(device, struct test_device, device);

    assert_non_null(device);
    *destroyed = false;
    test->destroyed = destroyed;
    for (unsigned i = 0; i < WORKS; i++) {
        device_work_init(&test->works[i].work, device, test_work_run);
    }
    assert_int_equal(device_realize(device, NULL), 0);
    return test;
}

/* With what waits for a grace period. */
static void poll_dry(struct event_loop *loop)
{
    hdl_rcu_barrier();
    while (event_loop_poll(loop, false)) {
    }
}

static void test_device_drop(struct test_device *test, struct event_loop *loop, const bool *destroyed)
{
    device_put(&test->device);
    poll_dry(loop);
    assert_true(*destroyed);
}

static void test_runs_at_once_when_free(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool destroyed;
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    assert_int_equal(device_submit(&test->device, &test->works[0].work), 0);
    assert_int_equal(test->works[0].runs, 1);
    assert_int_equal(device_submit(&test->device, &test->works[0].work), 0);
    assert_int_equal(test->works[0].runs, 2);
    test_device_drop(test, loop, &destroyed);
    event_loop_destroy(loop);
}

struct submit_many {
    struct test_device *test;
    unsigned count;
};

static void submit_many_run(void *opaque)
{
    struct submit_many *many = opaque;

    for (unsigned i = 0; i < many->count; i++) {
        device_submit(&many->test->device, &many->test->works[i].work);
    }
}

static void submit_from_thread(struct test_device *test, unsigned count)
{
    struct submit_many many = {.test = test, .count = count};
    struct hdl_thread thread;

    assert_int_equal(hdl_thread_start(&thread, "submit", submit_many_run, &many, NULL), 0);
    pthread_join(thread.thread,
                 NULL); /* not hdl_thread_join: the caller holds the device, which submitters must not mind */
}

static void test_holder_runs_at_unlock_in_order(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool destroyed;
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    device_lock(&test->device);
    submit_from_thread(test, 5); /* it ends: submitting doesn't wait for the lock */
    assert_int_equal(test->run_count, 0);
    device_unlock(&test->device);
    assert_int_equal(test->run_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(test->order[i], i);
        assert_true(pthread_equal(test->works[i].ran_on, pthread_self()));
    }
    test_device_drop(test, loop, &destroyed);
    event_loop_destroy(loop);
}

static void test_batch_is_bounded(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool destroyed;
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    device_lock(&test->device);
    submit_from_thread(test, WORKS);
    device_unlock(&test->device);
    assert_int_equal(test->run_count, DEVICE_LOCK_BUDGET);
    poll_dry(loop);
    assert_int_equal(test->run_count, WORKS);
    for (unsigned i = 0; i < WORKS; i++) {
        assert_int_equal(test->order[i], i);
        assert_int_equal(test->works[i].runs, 1);
    }
    test_device_drop(test, loop, &destroyed);
    event_loop_destroy(loop);
}

static void test_queued_work_coalesces(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool destroyed;
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    device_lock(&test->device);
    device_submit(&test->device, &test->works[0].work);
    device_submit(&test->device, &test->works[0].work);
    device_unlock(&test->device);
    assert_int_equal(test->works[0].runs, 1);
    test_device_drop(test, loop, &destroyed);
    event_loop_destroy(loop);
}

static void test_other_devices_work_goes_to_its_loop(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool a_destroyed, b_destroyed;
    struct test_device *a = test_device_new(loop, NULL, &a_destroyed);
    struct test_device *b = test_device_new(loop, NULL, &b_destroyed);

    device_lock(&a->device);
    assert_int_equal(device_submit(&b->device, &b->works[0].work), 0);
    assert_int_equal(b->run_count, 0);
    device_unlock(&a->device);
    assert_int_equal(b->run_count, 0);
    poll_dry(loop);
    assert_int_equal(b->run_count, 1);
    test_device_drop(a, loop, &a_destroyed);
    test_device_drop(b, loop, &b_destroyed);
    event_loop_destroy(loop);
}

/* Keeps what it was told. */
struct test_owner {
    struct device_owner owner;
    bool gone, destroyed; /* read after a barrier only */
};

static void owner_gone(struct device *device, void *opaque)
{
    ((struct test_owner *)opaque)->gone = true;
}

static void owner_destroyed(struct device *device, void *opaque)
{
    ((struct test_owner *)opaque)->destroyed = true;
}

static void test_unplug_goes_step_by_step(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    bool destroyed;
    struct test_owner owner = {
        .owner = {.gone = owner_gone, .destroyed = owner_destroyed, .opaque = &owner},
    };
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    assert_true(device_tryget(&test->device));
    test->device.owner = &owner.owner;
    assert_true(device_unplug(&test->device));
    assert_false(device_unplug(&test->device));
    assert_false(device_tryget(&test->device));
    poll_dry(loop);
    assert_false(test->quiesced); /* one access is still inside */
    device_release_access(&test->device);
    poll_dry(loop);
    assert_true(test->quiesced);

    /* The backend's last completion still runs, and holds GONE back while it is queued. */
    device_lock(&test->device);
    assert_int_equal(device_submit(&test->device, &test->works[0].work), 0);
    device_quiesced(&test->device);
    assert_false(owner.gone);
    device_unlock(&test->device);
    assert_int_equal(test->works[0].runs, 1);
    hdl_rcu_barrier();
    assert_true(owner.gone);
    assert_false(owner.destroyed);
    assert_int_equal(device_submit(&test->device, &test->works[0].work), -ENODEV);
    assert_int_equal(test->works[0].runs, 1);
    test_device_drop(test, loop, &destroyed);
    assert_true(owner.destroyed);
    device_free_memory(&test->device); /* it was the owner's */
    event_loop_destroy(loop);
}

static void wait_left(void *opaque)
{
    struct test_device *test = opaque;

    device_wait_left(&test->device);
    test->left_seen = atomic_load(&test->access_ended);
}

static void wait_left_quietly(void *opaque)
{
    device_wait_left(&((struct test_device *)opaque)->device);
}

/* Two threads wait for the end of an access that is inside; one comes when it is over. */
static void test_waiting_until_left(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    struct hdl_thread waiters[2];
    bool destroyed;
    struct test_device *test = test_device_new(loop, NULL, &destroyed);

    assert_true(device_tryget(&test->device));
    assert_true(device_unplug(&test->device));
    for (unsigned i = 0; i < ARRAY_SIZE(waiters); i++) {
        assert_int_equal(hdl_thread_start(&waiters[i], "wait", i ? wait_left_quietly : wait_left, test, NULL), 0);
    }
    atomic_store(&test->access_ended, true);
    device_release_access(&test->device);
    for (unsigned i = 0; i < ARRAY_SIZE(waiters); i++) {
        hdl_thread_join(&waiters[i]);
    }
    assert_true(test->left_seen);
    device_wait_left(&test->device);
    poll_dry(loop);
    device_quiesced(&test->device);
    hdl_rcu_barrier();
    test_device_drop(test, loop, &destroyed);
    event_loop_destroy(loop);
}

static void test_legacy_devices_share_one_lock(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    struct device_lock legacy;
    bool a_destroyed, b_destroyed;
    struct test_device *a, *b;

    device_lock_init(&legacy, "legacy", loop);
    a = test_device_new(loop, &legacy, &a_destroyed);
    b = test_device_new(loop, &legacy, &b_destroyed);
    device_lock(&a->device);
    device_assert_locked(&b->device);
    submit_from_thread(b, 1);
    assert_int_equal(b->run_count, 0);
    device_unlock(&a->device);
    assert_int_equal(b->run_count, 1);
    test_device_drop(a, loop, &a_destroyed);
    test_device_drop(b, loop, &b_destroyed);
    device_lock_destroy(&legacy);
    event_loop_destroy(loop);
}

#ifdef HDL_LOCK_DEBUG
static void test_two_device_locks_abort(void **state)
{
    int pipe_fds[2];
    char text[512] = "";
    size_t text_len = 0;
    ssize_t length;
    int status;
    pid_t child;

    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    if (child == 0) {
        struct device_lock a, b;

        dup2(pipe_fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        device_lock_init(&a, "device-a", NULL);
        device_lock_init(&b, "device-b", NULL);
        device_lock_acquire(&a);
        device_lock_acquire(&b);
        _exit(0);
    }
    close(pipe_fds[1]);
    /* The message may come in several pieces; the child's end closes the pipe. */
    do {
        length = read(pipe_fds[0], text + text_len, sizeof(text) - 1 - text_len);
        text_len += length > 0 ? (size_t)length : 0;
    } while (length > 0);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "device-a"));
    assert_non_null(strstr(text, "device-b"));
    assert_non_null(strstr(text, "test_device.c:"));
}
#endif

static void record_level(void *opaque, unsigned pin, bool level)
{
    int *calls = opaque;

    calls[level]++;
}

static void test_wired_or(void **state)
{
    int calls[2] = {0, 0};
    struct irq_or wire;
    struct irq_line a, b;

    irq_or_init(&wire, (struct irq_line){.set = record_level, .opaque = calls});
    a = irq_or_input(&wire, 0);
    b = irq_or_input(&wire, 1);
    irq_raise(&a);
    irq_raise(&a);
    irq_raise(&b);
    irq_lower(&a);
    assert_int_equal(calls[1], 1);
    assert_int_equal(calls[0], 0);
    irq_lower(&b);
    assert_int_equal(calls[0], 1);
}

/* --- the hammer ----------------------------------------------------------------------------------------------------
 */

#define HAMMER_LOCKERS    3
#define HAMMER_SUBMITTERS 3
#define HAMMER_ROUNDS     20000

struct hammer {
    struct test_device *test;
    unsigned long under_lock; /* device lock */
    unsigned long works_run;  /* device lock */
};

struct hammer_work {
    struct lock_work work; /* not coalescing: each must run exactly once */
    struct hammer *hammer;
    unsigned sequence;
    unsigned *last_sequence; /* device lock; this submitter's */
};

static void hammer_work_run(struct lock_work *lock_work)
{
    struct hammer_work *work = container_of(lock_work, struct hammer_work, work);

    assert_int_equal(work->sequence, *work->last_sequence + 1);
    *work->last_sequence = work->sequence;
    work->hammer->works_run++;
    free(work);
}

static void hammer_lock(void *opaque)
{
    struct hammer *hammer = opaque;

    for (unsigned i = 0; i < HAMMER_ROUNDS; i++) {
        device_lock(&hammer->test->device);
        hammer->under_lock++;
        device_unlock(&hammer->test->device);
    }
}

static void hammer_submit(void *opaque)
{
    struct hammer *hammer = opaque;
    unsigned *last = calloc(1, sizeof(*last));

    for (unsigned i = 0; i < HAMMER_ROUNDS; i++) {
        struct hammer_work *work = malloc(sizeof(*work));

        *work = (struct hammer_work){
            .work.run = hammer_work_run, .hammer = hammer, .sequence = i + 1, .last_sequence = last};
        device_lock_submit(hammer->test->device.lock, &work->work);
    }
    /* All of this thread's works have been queued, not all have run: the last one's owner is the lock. */
    for (;;) {
        unsigned reached;

        device_lock(&hammer->test->device);
        reached = *last;
        device_unlock(&hammer->test->device);
        if (reached == HAMMER_ROUNDS) {
            break;
        }
    }
    free(last);
}

static void hammer_run(struct event_loop *loop)
{
    struct hdl_thread threads[HAMMER_LOCKERS + HAMMER_SUBMITTERS];
    struct hammer hammer = {0};
    bool destroyed;

    hammer.test = test_device_new(loop, NULL, &destroyed);
    if (loop) {
        assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(
            hdl_thread_start(&threads[i], "hammer", i < HAMMER_LOCKERS ? hammer_lock : hammer_submit, &hammer, NULL),
            0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        hdl_thread_join(&threads[i]);
    }
    if (loop) {
        event_loop_stop_thread(loop);
    }
    assert_int_equal(hammer.under_lock, HAMMER_LOCKERS * HAMMER_ROUNDS);
    assert_int_equal(hammer.works_run, HAMMER_SUBMITTERS * HAMMER_ROUNDS);
    device_put(&hammer.test->device);
    if (loop) {
        poll_dry(loop);
    }
    assert_true(destroyed);
}

static void test_hammer(void **state)
{
    struct event_loop *loop = event_loop_create("hammer", NULL);

    hammer_run(loop);
    event_loop_destroy(loop);
}

/* Whoever holds the lock runs everything: there is nobody to leave it to. */
static void test_hammer_without_loop(void **state)
{
    hammer_run(NULL);
}

/* --- properties ------------------------------------------------------------------------------------------------- */

struct named_device {
    struct device device;
    char *text;
};

static const struct property named_properties[] = {
    {.name = "text", .type = PROPERTY_STRING, .offset = offsetof(struct named_device, text)}, {0}};
static const struct device_type named_type = {
    .name = "named-device", .size_bytes = sizeof(struct named_device), .properties = named_properties};

static void named_destroyed(struct device *device, void *opaque)
{
    *(struct device **)opaque = device;
}

/* Its owner may be asked about it until it gives the memory back. */
static void test_properties_stay_until_the_memory_goes(void **state)
{
    struct event_loop *loop = event_loop_create("test", NULL);
    struct device *destroyed = NULL;
    struct device_owner owner = {.destroyed = named_destroyed, .opaque = &destroyed};
    struct device *device = device_create(&named_type, "it", loop, NULL, NULL);

    device->owner = &owner;
    assert_int_equal(property_set(device, named_properties, "text", "still here", NULL), 0);
    device_put(device);
    poll_dry(loop);
    assert_ptr_equal(destroyed, device);
    assert_string_equal(container_of(device, struct named_device, device)->text, "still here");
    assert_string_equal(device->id, "it");
    device_free_memory(device);
    event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_at_once_when_free),
        cmocka_unit_test(test_holder_runs_at_unlock_in_order),
        cmocka_unit_test(test_batch_is_bounded),
        cmocka_unit_test(test_queued_work_coalesces),
        cmocka_unit_test(test_other_devices_work_goes_to_its_loop),
        cmocka_unit_test(test_unplug_goes_step_by_step),
        cmocka_unit_test(test_waiting_until_left),
        cmocka_unit_test(test_legacy_devices_share_one_lock),
        cmocka_unit_test(test_properties_stay_until_the_memory_goes),
#ifdef HDL_LOCK_DEBUG
        cmocka_unit_test(test_two_device_locks_abort),
#endif
        cmocka_unit_test(test_wired_or),
        cmocka_unit_test(test_hammer),
        cmocka_unit_test(test_hammer_without_loop),
    };

    hdl_thread_register_main();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
