/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is counted of a device lock, and what isn't: holds that began while statistics were off, or on a lock that
 * nobody looks at. The hammer switches them on and off and reads them under threads that take the lock and hand work
 * over: for ThreadSanitizer, and for exact counts while they stay on.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/thread.h"
#include "device/device_lock.h"
#include "device/lock_stats.h"

#define HOLD_NS 2000000

static struct lock_stats stats_of(const struct device_lock *lock)
{
    struct lock_stats stats;

    device_lock_stats_read(lock, &stats);
    return stats;
}

static void spend(uint64_t ns)
{
    struct timespec pause = {.tv_nsec = (long)ns};

    nanosleep(&pause, NULL);
}

static void test_off_counts_nothing(void **state)
{
    struct device_lock lock;
    struct lock_stats stats;

    device_lock_init(&lock, "test", NULL);
    device_lock_acquire(&lock);
    device_lock_release(&lock);
    stats = stats_of(&lock);
    assert_false(stats.enabled);
    assert_int_equal(stats.acquisitions, 0);
    assert_null(stats.hold.where);
    device_lock_destroy(&lock);
}

static void test_counts_while_on(void **state)
{
    struct device_lock lock;
    struct lock_stats stats;

    device_lock_init(&lock, "test", NULL);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(device_lock_stats_enable(&lock), 0);
        for (unsigned j = 0; j < 5; j++) {
            device_lock_acquire(&lock);
            device_lock_release(&lock);
        }
        device_lock_stats_disable(&lock);
        device_lock_acquire(&lock);
        device_lock_release(&lock);
    }
    stats = stats_of(&lock);
    assert_false(stats.enabled);
    assert_int_equal(stats.acquisitions, 10);
    assert_int_equal(stats.contended, 0);
    assert_true(stats.hold.ns > 0);
    assert_non_null(strstr(stats.hold.where, "test_lock_stats.c:"));
    assert_int_equal(stats.wait.ns, 0);
    device_lock_destroy(&lock);
}

static void test_on_while_held(void **state)
{
    struct device_lock lock;

    device_lock_init(&lock, "test", NULL);
    device_lock_acquire(&lock);
    device_lock_stats_enable(&lock);
    assert_null(stats_of(&lock).holder);
    device_lock_release(&lock);
    assert_int_equal(stats_of(&lock).acquisitions, 0);
    assert_null(stats_of(&lock).hold.where);
    device_lock_destroy(&lock);
}

static void test_off_while_held(void **state)
{
    struct device_lock lock;
    struct lock_stats stats;

    device_lock_init(&lock, "test", NULL);
    device_lock_stats_enable(&lock);
    device_lock_acquire(&lock);
    assert_non_null(strstr(stats_of(&lock).holder, "test_lock_stats.c:"));
    device_lock_stats_disable(&lock);
    device_lock_release(&lock);
    stats = stats_of(&lock);
    assert_null(stats.holder);
    assert_int_equal(stats.acquisitions, 1);
    assert_true(stats.hold.ns > 0);

    /* A hold that began while they were off isn't taken for the one before. */
    device_lock_acquire(&lock);
    spend(HOLD_NS);
    device_lock_stats_enable(&lock);
    device_lock_release(&lock);
    assert_int_equal(stats_of(&lock).hold.ns, stats.hold.ns);
    device_lock_destroy(&lock);
}

struct waiter {
    struct device_lock *lock;
    pthread_barrier_t barrier;
};

static void wait_for_lock(void *opaque)
{
    struct waiter *waiter = opaque;

    pthread_barrier_wait(&waiter->barrier);
    device_lock_acquire(waiter->lock);
    device_lock_release(waiter->lock);
}

static void test_a_wait_names_both(void **state)
{
    struct device_lock lock;
    struct waiter waiter = {.lock = &lock};
    struct hdl_thread thread;
    struct lock_stats stats;

    device_lock_init(&lock, "test", NULL);
    device_lock_stats_enable(&lock);
    pthread_barrier_init(&waiter.barrier, NULL, 2);
    assert_int_equal(hdl_thread_start(&thread, "waiter", wait_for_lock, &waiter, NULL), 0);
    device_lock_acquire(&lock);
    pthread_barrier_wait(&waiter.barrier);
    /* Until it sleeps for the lock: on a busy host, it may take its time. */
    while (!(atomic_load(&lock.word) & DEVICE_LOCK_WAITERS)) {
        spend(HOLD_NS);
    }
    spend(HOLD_NS);
    device_lock_release(&lock);
    hdl_thread_join(&thread);
    stats = stats_of(&lock);
    assert_int_equal(stats.acquisitions, 2);
    assert_int_equal(stats.contended, 1);
    assert_true(stats.wait.ns >= HOLD_NS);
    assert_true(stats.hold.ns >= HOLD_NS);
    assert_non_null(stats.wait.where);
    assert_non_null(stats.wait_for);
    assert_string_not_equal(stats.wait.where, stats.wait_for);
    assert_string_equal(stats.wait_for, stats.hold.where);
    pthread_barrier_destroy(&waiter.barrier);
    device_lock_destroy(&lock);
}

static void nothing_run(struct lock_work *work)
{
}

static void test_works_are_part_of_the_hold(void **state)
{
    struct lock_work works[] = {{.run = nothing_run}, {.run = nothing_run}, {.run = nothing_run}};
    struct device_lock lock;
    struct lock_stats stats;

    device_lock_init(&lock, "test", NULL);
    device_lock_stats_enable(&lock);
    device_lock_acquire(&lock);
    device_lock_submit(&lock, &works[0]);
    device_lock_submit(&lock, &works[1]);
    spend(HOLD_NS);
    device_lock_release(&lock);
    device_lock_submit(&lock, &works[2]); /* takes the free lock */
    stats = stats_of(&lock);
    assert_int_equal(stats.acquisitions, 2);
    assert_int_equal(stats.works, 3);
    assert_int_equal(stats.hold_works, 2);
    device_lock_destroy(&lock);
}

static void test_subject_is_copied(void **state)
{
    char name[] = "a region with a name that is too long for it";
    const char *subject = name;
    struct device_lock lock;

    device_lock_init(&lock, "test", NULL);
    device_lock_stats_enable(&lock);
    device_lock_acquire_for(&lock, &subject);
    device_lock_release(&lock);
    memset(name, 'x', sizeof(name) - 1);
    assert_string_equal(stats_of(&lock).hold.subject, "a region with a name th");
    device_lock_destroy(&lock);
}

/* --- the hammer --------------------------------------------------------------------------------------------------- */

#define HAMMER_LOCKERS    2
#define HAMMER_SUBMITTERS 2
#define HAMMER_ROUNDS     50000

struct hammer {
    struct device_lock lock;
    unsigned long under_lock; /* lock */
    _Atomic bool stop;
    bool switching;
};

static void hammer_lock(void *opaque)
{
    static const char name[] = "region";
    const char *subject = name;
    struct hammer *hammer = opaque;

    for (unsigned i = 0; i < HAMMER_ROUNDS; i++) {
        device_lock_acquire_for(&hammer->lock, &subject);
        hammer->under_lock++;
        device_lock_release(&hammer->lock);
    }
}

struct hammer_work {
    struct lock_work work;
    struct hammer *hammer;
};

static void hammer_work_run(struct lock_work *lock_work)
{
    container_of(lock_work, struct hammer_work, work)->hammer->under_lock++;
}

static void hammer_submit(void *opaque)
{
    struct hammer *hammer = opaque;
    struct hammer_work *works = calloc(HAMMER_ROUNDS, sizeof(*works));
    unsigned long lock_last;

    assert_non_null(works);
    for (unsigned i = 0; i < HAMMER_ROUNDS; i++) {
        works[i] = (struct hammer_work){.work.run = hammer_work_run, .hammer = hammer};
        device_lock_submit(&hammer->lock, &works[i].work);
    }
    /* No loop takes what is left over: who holds the lock after all submits has run them when it unlocks. */
    device_lock_acquire(&hammer->lock);
    device_lock_release(&hammer->lock);
    device_lock_acquire(&hammer->lock);
    lock_last = hammer->under_lock;
    device_lock_release(&hammer->lock);
    assert_true(lock_last >= HAMMER_ROUNDS);
    free(works);
}

static void hammer_switch(void *opaque)
{
    struct hammer *hammer = opaque;

    while (!atomic_load(&hammer->stop)) {
        if (hammer->switching) {
            device_lock_stats_disable(&hammer->lock);
            device_lock_stats_enable(&hammer->lock);
        }
    }
}

/* Whatever is read belongs together. */
static void hammer_read(void *opaque)
{
    struct hammer *hammer = opaque;
    uint64_t longest = 0;

    while (!atomic_load(&hammer->stop)) {
        struct lock_stats stats = stats_of(&hammer->lock);

        assert_true(stats.hold.ns >= longest);
        longest = stats.hold.ns;
        assert_int_equal(stats.hold.ns != 0, stats.hold.where != NULL);
        if (stats.hold.where && strcmp(stats.hold.where, "deferred work") == 0) {
            assert_string_equal(stats.hold.subject, "");
        }
        if (stats.hold.subject[0]) {
            assert_string_equal(stats.hold.subject, "region");
        }
    }
}

static struct lock_stats hammer_run(bool switching, bool submitting)
{
    struct hdl_thread threads[HAMMER_LOCKERS + HAMMER_SUBMITTERS];
    struct hammer hammer = {.switching = switching};
    unsigned count = HAMMER_LOCKERS + (submitting ? HAMMER_SUBMITTERS : 0);
    struct hdl_thread switcher, reader;
    struct lock_stats stats;

    device_lock_init(&hammer.lock, "hammer", NULL);
    device_lock_stats_enable(&hammer.lock);
    assert_int_equal(hdl_thread_start(&switcher, "switch", hammer_switch, &hammer, NULL), 0);
    assert_int_equal(hdl_thread_start(&reader, "read", hammer_read, &hammer, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        void (*run)(void *opaque) = i < HAMMER_LOCKERS ? hammer_lock : hammer_submit;

        assert_int_equal(hdl_thread_start(&threads[i], "hammer", run, &hammer, NULL), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        hdl_thread_join(&threads[i]);
    }
    atomic_store(&hammer.stop, true);
    hdl_thread_join(&switcher);
    hdl_thread_join(&reader);
    assert_int_equal(hammer.under_lock, count * HAMMER_ROUNDS);
    stats = stats_of(&hammer.lock);
    assert_true(stats.enabled);
    assert_true(stats.contended <= stats.acquisitions);
    device_lock_destroy(&hammer.lock);
    return stats;
}

static void test_hammer_counts_all(void **state)
{
    struct lock_stats stats = hammer_run(false, false);

    assert_int_equal(stats.acquisitions, HAMMER_LOCKERS * HAMMER_ROUNDS);
    assert_int_equal(stats.works, 0);
    stats = hammer_run(false, true);
    assert_true(stats.acquisitions >= HAMMER_LOCKERS * HAMMER_ROUNDS);
    assert_int_equal(stats.works, HAMMER_SUBMITTERS * HAMMER_ROUNDS);
}

static void test_hammer_switching(void **state)
{
    struct lock_stats stats = hammer_run(true, true);

    assert_true(stats.works <= HAMMER_SUBMITTERS * HAMMER_ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_counts_nothing), cmocka_unit_test(test_counts_while_on),
        cmocka_unit_test(test_on_while_held),      cmocka_unit_test(test_off_while_held),
        cmocka_unit_test(test_a_wait_names_both),  cmocka_unit_test(test_works_are_part_of_the_hold),
        cmocka_unit_test(test_subject_is_copied),  cmocka_unit_test(test_hammer_counts_all),
        cmocka_unit_test(test_hammer_switching),
    };

    hdl_thread_register_main();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
