/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an access to a device costs, and whether devices get into each other's way: N threads, each with a device of its
 * own (as vCPUs have queues of their own), once with a lock a device, once with the same devices under legacy_lock, and
 * once reading a lockless counter. Between them and the handlers is all of dispatch: look-up in a view as large as a
 * PC's, reference, lock, unlock, release.
 *
 * Not a test: it asserts nothing. All threads of a round begin at one time and stop at another, spinning before and
 * counting meanwhile, so that none runs alone. Rounds are short and kinds are interleaved, so that whatever else the
 * host does hits all alike; medians, least and most are printed as a Markdown table. Usage: bench_dispatch [REPEATS]
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "device/device.h"
#include "memory/dispatch.h"

#define THREADS_MAX 2
#define OTHERS      60 /* regions that are there, but aren't touched */
#define REPEATS     201
#define REPEATS_MAX 2000
#define BATCH       256    /* accesses between two looks at the clock */
#define LEAD_NS     200000 /* for all threads to be awake when the round begins */
#define ROUND_NS    2000000
#define LATE_NS     20000
#define TRIES       20

#define DEVICE_ADDRESS(kind, i) (UINT64_C(0xfe000000) + (uint64_t)(kind)*0x100000 + (uint64_t)(i)*0x1000)

enum bench_kind { BENCH_OWN_LOCKS, BENCH_LEGACY_LOCK, BENCH_LOCKLESS, BENCH_SEARCH, BENCH_KINDS };

static const char *const bench_names[] = {
    [BENCH_OWN_LOCKS] = "a lock a device",
    [BENCH_LEGACY_LOCK] = "the same under `legacy_lock`",
    [BENCH_LOCKLESS] = "a lockless counter, shared",
    [BENCH_SEARCH] = "a lock a device, look-up cache missed",
};

/* A register that counts its reads, under the device's lock. */
struct bench_device {
    struct device device;
    struct region region;
    struct region second; /* the same again, elsewhere: to miss the cache */
    uint64_t reads;
};

struct bench;

/* ns_per_access, late: written by the thread, read after the second barrier. */
struct bench_thread {
    struct hdl_thread thread;
    struct bench *bench;
    unsigned index;
    struct flat_cache cache;
    double ns_per_access;
    bool late;
} HDL_CACHE_ALIGNED;

/* kind, active, start_ns, quit: written between rounds; the barriers publish them. */
struct bench {
    struct memory_map map;
    struct address_space space;
    struct region root;
    struct region others[OTHERS];
    struct region counter;
    struct device_lock legacy;
    struct bench_device *devices[2][THREADS_MAX];
    struct bench_thread threads[THREADS_MAX];
    pthread_barrier_t barrier;
    enum bench_kind kind;
    unsigned active;
    uint64_t start_ns;
    bool quit;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum access_result register_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct bench_device *self = opaque;

    *value = ++self->reads & 0xffffffff;
    return ACCESS_OK;
}

static enum access_result counter_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = 42;
    return ACCESS_OK;
}

static const struct region_ops register_ops = {.read = register_read};
static const struct region_ops counter_ops = {.read = counter_read};
static const struct device_type bench_type = {.name = "bench", .size_bytes = sizeof(struct bench_device)};

static struct bench_device *bench_plug(struct bench *bench, struct device_lock *legacy, uint64_t address)
{
    struct device *device = device_create(&bench_type, NULL, NULL, NULL, legacy);
    struct bench_device *self;

    if (!device) {
        abort();
    }
    self = container_of(device, struct bench_device, device);
    region_init_io(&self->region, "bench", device, &register_ops, self, 0x1000, 0, NULL);
    region_init_io(&self->second, "bench", device, &register_ops, self, 0x1000, 0, NULL);
    region_add(&bench->map, &bench->root, address, &self->region, 0);
    region_add(&bench->map, &bench->root, address + 0x80000, &self->second, 0);
    return self;
}

static void bench_unplug(struct bench *bench, struct bench_device *self)
{
    device_unplug(&self->device);
    region_remove(&bench->map, &self->region);
    region_remove(&bench->map, &self->second);
    hdl_rcu_synchronize();
    device_put(&self->device);
}

static void bench_setup(struct bench *bench)
{
    memory_map_init(&bench->map);
    region_init_container(&bench->root, "root", 0);
    address_space_init(&bench->space, &bench->map, &bench->root, "bench");
    device_lock_init(&bench->legacy, "legacy", NULL);
    memory_transaction_begin(&bench->map);
    for (unsigned i = 0; i < OTHERS; i++) {
        region_init_io(&bench->others[i], "other", NULL, &counter_ops, NULL, 0x1000, REGION_LOCKLESS, NULL);
        region_add(&bench->map, &bench->root, (uint64_t)i * 0x6000000, &bench->others[i], 0);
    }
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        bench->devices[0][i] = bench_plug(bench, NULL, DEVICE_ADDRESS(BENCH_OWN_LOCKS, i));
        bench->devices[1][i] = bench_plug(bench, &bench->legacy, DEVICE_ADDRESS(BENCH_LEGACY_LOCK, i));
    }
    region_init_io(&bench->counter, "counter", NULL, &counter_ops, NULL, 0x1000, REGION_LOCKLESS, NULL);
    region_add(&bench->map, &bench->root, DEVICE_ADDRESS(BENCH_LOCKLESS, 0), &bench->counter, 0);
    memory_transaction_commit(&bench->map);
}

static void bench_teardown(struct bench *bench)
{
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        bench_unplug(bench, bench->devices[0][i]);
        bench_unplug(bench, bench->devices[1][i]);
    }
    region_remove(&bench->map, &bench->counter);
    for (unsigned i = 0; i < OTHERS; i++) {
        region_remove(&bench->map, &bench->others[i]);
    }
    device_lock_destroy(&bench->legacy);
    address_space_destroy(&bench->space);
    memory_map_destroy(&bench->map);
}

static void bench_accesses(struct bench_thread *self)
{
    struct bench *bench = self->bench;
    uint64_t stride = bench->kind == BENCH_SEARCH ? 0x80000 : 0;
    uint64_t address = DEVICE_ADDRESS(BENCH_LOCKLESS, 0);
    uint64_t accesses = 0;
    uint64_t begin_ns;
    uint64_t value;

    if (bench->kind != BENCH_LOCKLESS) {
        address = DEVICE_ADDRESS(bench->kind == BENCH_LEGACY_LOCK ? BENCH_LEGACY_LOCK : BENCH_OWN_LOCKS, self->index);
    }
    do {
        hdl_cpu_relax();
        begin_ns = now_ns();
    } while (begin_ns < bench->start_ns);
    self->late = begin_ns > bench->start_ns + LATE_NS;
    for (uint64_t elapsed_ns = 0; elapsed_ns < ROUND_NS; elapsed_ns = now_ns() - begin_ns) {
        for (unsigned i = 0; i < BATCH; i++) {
            if (address_space_read(&bench->space, &self->cache, address + (i & 1) * stride, 4, &value) != ACCESS_OK) {
                abort();
            }
        }
        accesses += BATCH;
    }
    self->ns_per_access = (double)(now_ns() - begin_ns) / (double)accesses;
}

static void bench_thread_run(void *opaque)
{
    struct bench_thread *self = opaque;
    cpu_set_t cpu;

    /* One a core, if there are as many. */
    CPU_ZERO(&cpu);
    CPU_SET(self->index, &cpu);
    pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
    for (;;) {
        pthread_barrier_wait(&self->bench->barrier);
        if (self->bench->quit) {
            return;
        }
        if (self->index < self->bench->active) {
            bench_accesses(self);
        }
        pthread_barrier_wait(&self->bench->barrier);
    }
}

static bool bench_try_round(struct bench *bench)
{
    bool late = false;

    bench->start_ns = now_ns() + LEAD_NS;
    pthread_barrier_wait(&bench->barrier);
    pthread_barrier_wait(&bench->barrier);
    for (unsigned i = 0; i < bench->active; i++) {
        late |= bench->threads[i].late;
    }
    return !late;
}

/* Accesses a ns of all threads together. */
static double bench_round(struct bench *bench, enum bench_kind kind, unsigned threads)
{
    double throughput = 0;

    bench->kind = kind;
    bench->active = threads;
    for (unsigned tries = 1; !bench_try_round(bench) && tries < TRIES; tries++) {
    }
    for (unsigned i = 0; i < threads; i++) {
        throughput += 1 / bench->threads[i].ns_per_access;
    }
    return throughput;
}

static int compare_double(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void print_spread(double *values, unsigned count, int digits)
{
    qsort(values, count, sizeof(*values), compare_double);
    printf(" %.*f (%.*f–%.*f) |", digits, values[count / 2], digits, values[count / 10], digits,
           values[count - 1 - count / 10]);
}

static void bench_report(double throughput[BENCH_KINDS][THREADS_MAX][REPEATS_MAX], unsigned repeats)
{
    static double scaling[REPEATS_MAX];

    printf("| dispatch of a 4-byte read: median (10th–90th percentile) | 1 thread, ns an access | 2 threads, ns an "
           "access of each | "
           "throughput of 2 to 1 |\n| --- | --- | --- | --- |\n");
    for (unsigned kind = 0; kind < BENCH_KINDS; kind++) {
        printf("| %s |", bench_names[kind]);
        for (unsigned i = 0; i < repeats; i++) {
            scaling[i] = throughput[kind][1][i] / throughput[kind][0][i];
            for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
                throughput[kind][threads - 1][i] = threads / throughput[kind][threads - 1][i]; /* ns from here on */
            }
        }
        print_spread(throughput[kind][0], repeats, 1);
        print_spread(throughput[kind][1], repeats, 1);
        print_spread(scaling, repeats, 2);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    static double throughput[BENCH_KINDS][THREADS_MAX][REPEATS_MAX];
    static struct bench bench;
    unsigned repeats = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : REPEATS;

    if (repeats < 1 || repeats > REPEATS_MAX) {
        fprintf(stderr, "usage: bench_dispatch [REPEATS], up to %d repeats\n", REPEATS_MAX);
        return 1;
    }
    hdl_thread_register_main();
    bench_setup(&bench);
    pthread_barrier_init(&bench.barrier, NULL, THREADS_MAX + 1);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        bench.threads[i].bench = &bench;
        bench.threads[i].index = i;
        if (hdl_thread_start(&bench.threads[i].thread, "bench", bench_thread_run, &bench.threads[i], NULL) < 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < repeats; i++) {
        for (unsigned kind = 0; kind < BENCH_KINDS; kind++) {
            for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
                throughput[kind][threads - 1][i] = bench_round(&bench, kind, threads);
            }
        }
    }
    bench.quit = true;
    pthread_barrier_wait(&bench.barrier);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        hdl_thread_join(&bench.threads[i].thread);
    }
    bench_report(throughput, repeats);
    bench_teardown(&bench);
    hdl_thread_unregister_main();
    return 0;
}
