/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src/base: what ends the process is run in a child; what threads share is plain memory, for ThreadSanitizer to judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/gate.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/options.h"
#include "base/rcu.h"
#include "base/refcount.h"
#include "base/spelling.h"
#include "base/thread.h"

/* --- the rank checker ------------------------------------------------------------------------------------------- */

#ifdef HDL_LOCK_DEBUG

/* Runs fn in a child with its standard error in `text`; the child's wait status. */
static int run_dying(void (*fn)(void), char *text, size_t size)
{
    int fds[2];
    int status = 0;
    ssize_t got;
    size_t used = 0;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(fds[1]);
    while ((got = read(fds[0], text + used, size - 1 - used)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_died_saying(void (*fn)(void), const char *const *words)
{
    char text[2048];
    int status = run_dying(fn, text, sizeof(text));

    for (; *words; words++) {
        if (!strstr(text, *words)) {
            fail_msg("'%s' isn't in: %s", *words, text);
        }
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* These break the rules on purpose: the analysis must look away, the checker must not. */
static void take_in_wrong_order(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex inner;
    struct hdl_mutex outer;

    hdl_mutex_init(&inner, "the inner one", LOCK_RANK_LEAF);
    hdl_mutex_init(&outer, "the outer one", LOCK_RANK_BACKEND);
    hdl_mutex_lock_at(&inner, "first.c:11");
    hdl_mutex_lock_at(&outer, "second.c:22");
}

static void take_equal(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex a;
    struct hdl_mutex b;

    hdl_mutex_init(&a, "a", LOCK_RANK_DEVICE);
    hdl_mutex_init(&b, "b", LOCK_RANK_DEVICE);
    hdl_mutex_lock(&a);
    if (hdl_mutex_trylock(&b)) {
        _exit(1);
    }
}

static void take_twice(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex lock;

    hdl_mutex_init(&lock, "lock", LOCK_RANK_LEAF);
    hdl_mutex_lock(&lock);
    hdl_mutex_lock(&lock);
}

static void release_free(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex lock;

    hdl_mutex_init(&lock, "lock", LOCK_RANK_LEAF);
    hdl_mutex_unlock(&lock);
}

static void assert_held_of_free(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex lock;

    hdl_mutex_init(&lock, "lock", LOCK_RANK_LEAF);
    hdl_assert_held(&lock);
}

static void wait_with_lock_held(void) HDL_LOCK_PRIMITIVE
{
    struct hdl_mutex outer;

    hdl_mutex_init(&outer, "outer", LOCK_RANK_CONFIG);
    hdl_mutex_lock(&outer);
    hdl_rcu_synchronize();
}

static void test_rank_checker(void **state)
{
    pthread_setname_np(pthread_self(), "offender");
    assert_died_saying(take_in_wrong_order, (const char *const[]){"the inner one", "the outer one", "first.c:11",
                                                                  "second.c:22", "offender", NULL});
    assert_died_saying(take_equal, (const char *const[]){"'a'", "'b'", "test_base.c:", NULL});
    assert_died_saying(take_twice, (const char *const[]){"taken twice", NULL});
    assert_died_saying(release_free, (const char *const[]){"not held", NULL});
    assert_died_saying(assert_held_of_free, (const char *const[]){"must be held", NULL});
    assert_died_saying(wait_with_lock_held, (const char *const[]){"no lock may be held", "'outer'", NULL});
}

/* --- what a watchdog sees ----------------------------------------------------------------------------------------- */

struct stuck {
    struct hdl_mutex outer, inner;
    pthread_barrier_t begun, end;
};

/* What rank_dump_all writes now, to be freed. */
static char *dump_text(void)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);

    assert_non_null(file);
    rank_dump_all(file);
    fclose(file);
    return text;
}

static void hold_both(void *opaque)
{
    struct stuck *stuck = opaque;

    hdl_mutex_lock_at(&stuck->outer, "first.c:11");
    hdl_mutex_lock_at(&stuck->inner, "second.c:22");
    pthread_barrier_wait(&stuck->begun);
    pthread_barrier_wait(&stuck->end);
    hdl_mutex_unlock(&stuck->outer); /* not the last one first */
    hdl_mutex_unlock(&stuck->inner);
}

static void want_outer(void *opaque)
{
    struct stuck *stuck = opaque;

    hdl_mutex_lock_at(&stuck->outer, "third.c:33");
    hdl_mutex_unlock(&stuck->outer);
}

static void test_dump_names_locks(void **state)
{
    const char *const wants = "thread 'waits': holds nothing; wants 'outer lock' (rank 10) at third.c:33\n";
    struct hdl_thread holder, waiter;
    struct stuck stuck;
    char *text;

    hdl_mutex_init(&stuck.outer, "outer lock", LOCK_RANK_CONFIG);
    hdl_mutex_init(&stuck.inner, "inner lock", LOCK_RANK_DEVICE);
    pthread_barrier_init(&stuck.begun, NULL, 2);
    pthread_barrier_init(&stuck.end, NULL, 2);
    assert_int_equal(hdl_thread_start(&holder, "holds", hold_both, &stuck, NULL), 0);
    pthread_barrier_wait(&stuck.begun);
    assert_int_equal(hdl_thread_start(&waiter, "waits", want_outer, &stuck, NULL), 0);
    for (text = dump_text(); !strstr(text, wants); text = dump_text()) {
        free(text);
    }
    assert_non_null(strstr(text,
                           "thread 'holds': holds 'outer lock' (rank 10) at first.c:11, 'inner lock' (rank 20) at "
                           "second.c:22\n"));
    free(text);
    pthread_barrier_wait(&stuck.end);
    hdl_thread_join(&holder);
    hdl_thread_join(&waiter);
    text = dump_text();
    assert_null(strstr(text, "'holds'"));
    assert_null(strstr(text, "'waits'"));
    free(text);
}

#define DUMP_ROUNDS 300

/* Locks come and go with their names, and so do threads. */
static void take_and_release(void *opaque)
{
    for (unsigned i = 0; i < 100; i++) {
        char *name = strdup(i & 1 ? "an odd lock" : "even");
        struct hdl_mutex lock;

        assert_non_null(name);
        hdl_mutex_init(&lock, name, LOCK_RANK_LEAF);
        hdl_mutex_lock_at(&lock, i & 1 ? "odd.c:1" : "even.c:2");
        hdl_mutex_unlock(&lock);
        hdl_mutex_destroy(&lock);
        memset(name, 'x', strlen(name));
        free(name);
    }
}

static void start_threads(void *opaque)
{
    _Atomic bool *stop = opaque;

    while (!atomic_load(stop)) {
        struct hdl_thread threads[2];

        for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
            assert_int_equal(hdl_thread_start(&threads[i], "short", take_and_release, NULL, NULL), 0);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
            hdl_thread_join(&threads[i]);
        }
    }
}

static void test_dump_while_all_moves(void **state)
{
    static const char *const lines[] = {
        "thread 'starter': holds nothing",
        "thread 'short': holds nothing",
        "thread 'short': takes and releases locks",
        "thread 'short': holds 'an odd lock' (rank 60) at odd.c:1",
        "thread 'short': holds 'even' (rank 60) at even.c:2",
        "thread 'short': holds nothing; wants 'an odd lock' (rank 60) at odd.c:1",
        "thread 'short': holds nothing; wants 'even' (rank 60) at even.c:2",
    };
    _Atomic bool stop = false;
    struct hdl_thread starter;

    assert_int_equal(hdl_thread_start(&starter, "starter", start_threads, &stop, NULL), 0);
    for (unsigned round = 0; round < DUMP_ROUNDS; round++) {
        char *text = dump_text();
        char *rest = text;
        char *line;

        while ((line = strsep(&rest, "\n")) && *line) {
            unsigned i = 0;

            while (i < ARRAY_SIZE(lines) && strcmp(line, lines[i]) != 0) {
                i++;
            }
            if (i == ARRAY_SIZE(lines)) {
                fail_msg("a line that was never true: %s", line);
            }
        }
        free(text);
    }
    atomic_store(&stop, true);
    hdl_thread_join(&starter);
}

#else
static void test_rank_checker(void **state)
{
    print_message("built without the rank checker\n");
    skip();
}
static void test_dump_names_locks(void **state)
{
    skip();
}
static void test_dump_while_all_moves(void **state)
{
    skip();
}
#endif

static void test_right_order(void **state)
{
    struct hdl_mutex outer;
    struct hdl_mutex inner;

    hdl_mutex_init(&outer, "outer", LOCK_RANK_CONFIG);
    hdl_mutex_init(&inner, "inner", LOCK_RANK_LEAF);
    hdl_mutex_lock(&outer);
    hdl_mutex_lock(&inner);
    hdl_assert_held(&outer);
    hdl_mutex_unlock(&outer); /* any order of release is legal */
    hdl_mutex_unlock(&inner);
    hdl_assert_unlocked();
    hdl_mutex_destroy(&outer);
    hdl_mutex_destroy(&inner);
}

/* --- gate and reference count ----------------------------------------------------------------------------------- */

struct drained {
    struct gate gate;
    unsigned count;     /* written by whoever drains, read after all threads ended */
    uint64_t inside[3]; /* each by its own thread, read by whoever drains */
    uint64_t total;
};

static void gate_drained(struct gate *gate)
{
    struct drained *drained = container_of(gate, struct drained, gate);

    drained->count++;
    drained->total = drained->inside[0] + drained->inside[1] + drained->inside[2];
}

static void test_gate(void **state)
{
    struct drained drained = {0};

    gate_init(&drained.gate);
    assert_true(gate_enter(&drained.gate));
    assert_true(gate_enter(&drained.gate));
    gate_leave(&drained.gate);
    assert_false(gate_is_shut(&drained.gate));
    gate_shut(&drained.gate, gate_drained);
    assert_int_equal(drained.count, 0);
    assert_false(gate_enter(&drained.gate));
    gate_leave(&drained.gate);
    assert_int_equal(drained.count, 1);
    gate_init(&drained.gate);
    gate_shut(&drained.gate, gate_drained);
    assert_int_equal(drained.count, 2);
    assert_true(gate_is_shut(&drained.gate));
}

struct gate_user {
    struct drained *drained;
    unsigned number;
    struct hdl_thread thread;
};

static void gate_user_run(void *opaque)
{
    struct gate_user *user = opaque;

    while (gate_enter(&user->drained->gate)) {
        user->drained->inside[user->number]++;
        gate_leave(&user->drained->gate);
    }
}

static void test_gate_hammer(void **state)
{
    for (unsigned round = 0; round < 100; round++) {
        struct drained drained = {0};
        struct gate_user users[3];

        gate_init(&drained.gate);
        for (unsigned i = 0; i < 3; i++) {
            users[i].drained = &drained;
            users[i].number = i;
            assert_int_equal(hdl_thread_start(&users[i].thread, "user", gate_user_run, &users[i], NULL), 0);
        }
        gate_shut(&drained.gate, gate_drained);
        for (unsigned i = 0; i < 3; i++) {
            hdl_thread_join(&users[i].thread);
        }
        assert_int_equal(drained.count, 1);
        assert_int_equal(drained.total, drained.inside[0] + drained.inside[1] + drained.inside[2]);
    }
}

static void test_refcount(void **state)
{
    struct refcount refs;

    refcount_init(&refs);
    refcount_get(&refs);
    assert_true(refcount_tryget(&refs));
    assert_false(refcount_put(&refs));
    assert_false(refcount_put(&refs));
    assert_true(refcount_put(&refs));
    assert_false(refcount_tryget(&refs));
}

/* --- errors and logs -------------------------------------------------------------------------------------------- */

static void test_error(void **state)
{
    struct error *err = NULL;
    struct error *other = NULL;

    assert_int_equal(error_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
    error_prefix(&err, "nothing");
    assert_null(err);
    assert_int_equal(error_set(&err, -ENOENT, "no %s", "disk"), -ENOENT);
    error_prefix(&err, "-drive %d", 3);
    assert_string_equal(err->message, "-drive 3: no disk");
    error_propagate(&other, err);
    assert_ptr_equal(other, err);
    err = NULL;
    error_set(&err, -EINVAL, "second");
    error_propagate(&other, err); /* the first one stays */
    assert_string_equal(other->message, "-drive 3: no disk");
    error_propagate(NULL, other);
    error_propagate(&err, NULL);
}

static char *read_log(const char *path)
{
    char *text = calloc(1, 65536);
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_true(read(fd, text, 65535) >= 0);
    close(fd);
    return text;
}

static unsigned count_lines(const char *text, const char *containing)
{
    unsigned count = 0;

    while ((text = strstr(text, containing))) {
        count++;
        text++;
    }
    return count;
}

static void note_name(const char *name, void *opaque)
{
    if (strcmp(name, "virtio_status") == 0) {
        ++*(unsigned *)opaque;
    }
}

static void test_log_and_trace(void **state)
{
    char path[] = "/tmp/heddle-test-log-XXXXXX";
    int fd = mkstemp(path);
    struct log_limit limit = {0};
    struct error *err = NULL;
    unsigned names = 0;
    char *text;

    assert_true(fd >= 0);
    close(fd);
    assert_true(log_open("/nonexistent/log", &err) < 0);
    assert_non_null(strstr(err->message, "/nonexistent/log"));
    error_free(err);
    assert_int_equal(log_open(path, NULL), 0);
    for (unsigned i = 0; i < 1000; i++) {
        log_warn_limited(&limit, "flood %u", i);
    }
    trace(VIRTIO_STATUS, "not yet");
    assert_int_equal(trace_enable("virtio_*", NULL), 0);
    assert_true(trace_is_enabled(TRACE_VIRTIO_STATUS));
    assert_false(trace_is_enabled(TRACE_PCI_BAR));
    trace(VIRTIO_STATUS, "seen %d", 7);
    trace(PCI_BAR, "not seen");
    err = NULL;
    assert_int_equal(trace_enable("no_such_*", &err), -EINVAL);
    assert_non_null(strstr(err->message, "no_such_*"));
    error_free(err);
    trace_list(note_name, &names);
    assert_int_equal(names, 1);
    text = read_log(path);
    /* One a second: a slow machine may see a few, but not a thousand. */
    assert_in_range(count_lines(text, "flood"), 1, 100);
    assert_int_equal(count_lines(text, "virtio_status: seen 7\n"), 1);
    assert_int_equal(count_lines(text, "not "), 0);
    free(text);
    unlink(path);
}

/* --- options and spelling --------------------------------------------------------------------------------------- */

static void test_spelling(void **state)
{
    static const char *const words[] = {"virtio-blk-pci", "virtio-rng-pci", "isa-serial", NULL};

    assert_string_equal(spelling_nearest_in("virtio-bkl-pci", words), "virtio-blk-pci");
    assert_string_equal(spelling_nearest_in("virtio-rng", words), "virtio-rng-pci");
    assert_string_equal(spelling_nearest_in("isaserial", words), "isa-serial");
    assert_non_null(spelling_nearest_in("quux", words));
    assert_null(spelling_nearest_in("quux", (const char *const[]){NULL}));
}

static void test_forms(void **state)
{
    uint64_t value = 1;
    bool on = false;

    assert_int_equal(parse_size("512", 1 << 20, &value), 0);
    assert_int_equal(value, UINT64_C(512) << 20);
    assert_int_equal(parse_size("1.5G", 1, &value), 0);
    assert_int_equal(value, UINT64_C(3) << 29);
    assert_int_equal(parse_size("4k", 1, &value), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(parse_size("0x10", 1, &value), 0);
    assert_int_equal(value, 16);
    assert_int_equal(parse_size("", 1, &value), -EINVAL);
    assert_int_equal(parse_size("-1", 1, &value), -EINVAL);
    assert_int_equal(parse_size("1X", 1, &value), -EINVAL);
    assert_int_equal(parse_size("1GB", 1, &value), -EINVAL);
    assert_int_equal(parse_size("99999999999T", 1, &value), -EINVAL);
    assert_int_equal(parse_size("18446744073709551616", 1, &value), -EINVAL);
    assert_int_equal(parse_uint("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(parse_uint("12x", &value), -EINVAL);
    assert_int_equal(parse_uint(" 1", &value), -EINVAL);
    assert_int_equal(parse_bool("on", &on), 0);
    assert_true(on);
    assert_int_equal(parse_bool("false", &on), 0);
    assert_false(on);
    assert_int_equal(parse_bool("maybe", &on), -EINVAL);
}

static void test_options(void **state)
{
    static const char *const valid[] = {"driver", "filename", "file.*", NULL};
    struct options options = {0};
    struct error *err = NULL;
    unsigned choice = 9;
    char *taken;

    assert_int_equal(options_set(&options, "driver", "raw"), 0);
    assert_int_equal(options_set(&options, "file.aio", "native"), 0);
    assert_int_equal(options_set(&options, "driver", "file"), 0);
    assert_string_equal(options_get(&options, "driver"), "file");
    assert_int_equal(options_check_keys(&options, "-x", valid, NULL), 0);
    assert_int_equal(
        options_get_choice(&options, "-x", "file.aio", (const char *const[]){"threads", "native", NULL}, &choice, NULL),
        0);
    assert_int_equal(choice, 1);
    assert_true(options_get_choice(&options, "-x", "driver", (const char *const[]){"raw", NULL}, &choice, &err) < 0);
    assert_string_equal(err->message, "-x: 'driver' can't be 'file'; valid are: raw");
    error_free(err);
    err = NULL;
    assert_int_equal(options_set(&options, "filenmae", "x"), 0);
    assert_true(options_check_keys(&options, "-x", valid, &err) < 0);
    assert_string_equal(err->message, "-x: unknown option 'filenmae'; did you mean 'filename'?");
    error_free(err);
    taken = options_take(&options, "driver");
    assert_string_equal(taken, "file");
    free(taken);
    assert_null(options_take(&options, "driver"));
    assert_int_equal(options.count, 2);
    options_release(&options);
    options_release(&options);
}

/* --- RCU -------------------------------------------------------------------------------------------------------- */

struct rcu_thing {
    struct rcu_head head;
    unsigned value;
    _Atomic unsigned *freed;
};

struct rcu_test {
    struct rcu_thing *_Atomic slot;
    _Atomic bool end;
    struct hdl_thread threads[2];
};

static struct rcu_thing *rcu_thing_new(unsigned value, _Atomic unsigned *freed)
{
    struct rcu_thing *thing = calloc(1, sizeof(*thing));

    thing->value = value;
    thing->freed = freed;
    return thing;
}

static void rcu_thing_free(struct rcu_head *head)
{
    struct rcu_thing *thing = container_of(head, struct rcu_thing, head);

    thing->value = 0; /* a write that races with any reader that is still inside */
    atomic_fetch_add(thing->freed, 1);
    free(thing);
}

static void read_things(void *opaque)
{
    struct rcu_test *test = opaque;
    unsigned last = 0;

    while (!atomic_load(&test->end)) {
        struct rcu_thing *thing;

        hdl_rcu_read_lock();
        thing = hdl_rcu_dereference(&test->slot);
        if (thing->value < last) {
            fail_msg("an older object after a newer one");
        }
        last = thing->value;
        hdl_rcu_read_unlock();
    }
}

static void test_rcu(void **state)
{
    struct rcu_test test = {0};
    _Atomic unsigned freed = 0;

    atomic_store(&test.slot, rcu_thing_new(1, &freed));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hdl_thread_start(&test.threads[i], "reader", read_things, &test, NULL), 0);
    }
    for (unsigned i = 2; i < 1000; i++) {
        struct rcu_thing *old = atomic_load(&test.slot);

        hdl_rcu_publish(&test.slot, rcu_thing_new(i, &freed));
        if (i % 50 == 0) {
            hdl_rcu_synchronize();
            rcu_thing_free(&old->head);
        } else {
            hdl_rcu_call(&old->head, rcu_thing_free);
        }
    }
    atomic_store(&test.end, true);
    for (unsigned i = 0; i < 2; i++) {
        hdl_thread_join(&test.threads[i]);
    }
    hdl_rcu_barrier();
    assert_int_equal(atomic_load(&freed), 998);
    free(atomic_load(&test.slot));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank_checker), /* first: it forks, and no thread may exist yet */
        cmocka_unit_test(test_dump_names_locks),
        cmocka_unit_test(test_dump_while_all_moves),
        cmocka_unit_test(test_right_order),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_gate_hammer),
        cmocka_unit_test(test_refcount),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_log_and_trace),
        cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_rcu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
