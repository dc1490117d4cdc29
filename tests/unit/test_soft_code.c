/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPUs' code map: who hears of writes to translated code, by this CPU, by others and by devices; the world
 * standing still; and RAM that comes and goes under running CPUs. tests/model/soft_code_mark.pml is the proof; here
 * threads do it.
 */
#include "soft_fixture.h"

#define LINEAR   UINT64_C(0x00007f1234567000)
#define CODE_GPA UINT64_C(0x300000)

/* A CPU that can write CODE_GPA's page, and the next one, at LINEAR. */
static struct soft_cpu *start(struct soft_machine *m, unsigned index)
{
    struct soft_cpu *cpu = soft_machine_start(m, index);

    *soft_map_entry(m, cpu, LINEAR, 12) = CODE_GPA | P | W | D | A;
    *soft_map_entry(m, cpu, LINEAR + 0x1000, 12) = (CODE_GPA + 0x8000) | P | W | D | A;
    return cpu;
}

/* What the run loop does between blocks. */
static void poll_requests(struct soft_cpu *cpu)
{
    if (atomic_load_explicit(&soft_common(cpu)->requests, memory_order_relaxed) & VCPU_REQUEST_ACCEL) {
        soft_serve_accel(cpu);
    }
}

static bool is_fast(struct soft_cpu *cpu, uint64_t linear)
{
    return soft_tlb_entry(cpu, linear)->write == soft_tlb_want(cpu, linear, 1);
}

/* --- one CPU ------------------------------------------------------------------------------------------------------ */

static void test_own_writes(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint8_t *host;

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    host = m.low->host + CODE_GPA;
    soft_store(cpu, LINEAR, 4, 1);
    assert_true(is_fast(cpu, LINEAR));
    assert_false(soft_code_page_is_marked(cpu, host));
    /* Two chunks, by a mark across their border. */
    soft_code_mark(cpu, host + 0x1f8, 16);
    assert_true(soft_code_page_is_marked(cpu, host + 0xfff));
    assert_false(is_fast(cpu, LINEAR));
    assert_null(soft_host_range(cpu, LINEAR, &(uint64_t){1}, true));
    assert_null(soft_lock_begin(cpu, LINEAR, 4));
    soft_lock_end(cpu);
    /* Other chunks are just written. */
    soft_store(cpu, LINEAR + 0x17f, 1, 5);
    soft_store(cpu, LINEAR + 0x280, 8, 5);
    assert_int_equal(host[0x17f], 5);
    assert_int_equal(stale_log.count, 0);
    /* These go, byte by byte, after they were written. */
    soft_store(cpu, LINEAR + 0x180, 1, 6);
    soft_store(cpu, LINEAR + 0x27f, 1, 6);
    soft_store(cpu, LINEAR + 0x17c, 8, 7);
    assert_int_equal(stale_log.count, 3);
    assert_ptr_equal(stale_log.host[0], host + 0x180);
    assert_int_equal(stale_log.len_bytes[0], 1);
    assert_ptr_equal(stale_log.host[1], host + 0x27f);
    assert_ptr_equal(stale_log.host[2], host + 0x17c);
    assert_int_equal(stale_log.len_bytes[2], 8);
    assert_int_equal(host[0x17c], 7);
    /* By bytes, across pages, and by a lock. */
    soft_code_mark(cpu, m.low->host + CODE_GPA + 0x8000, 1);
    soft_write_bytes(cpu, LINEAR + 0x1000 - 4, &(uint64_t){0}, 8);
    assert_int_equal(stale_log.count, 4);
    assert_ptr_equal(stale_log.host[3], m.low->host + CODE_GPA + 0x8000);
    assert_int_equal(stale_log.len_bytes[3], 4);
    assert_null(soft_lock_begin(cpu, LINEAR + 0x200, 4));
    soft_store_slow(cpu, LINEAR + 0x200, 4, 1);
    soft_lock_end(cpu);
    assert_int_equal(stale_log.count, 5);
    soft_or_system32(cpu, LINEAR + 0x200, 2, 0);
    assert_int_equal(stale_log.count, 6);
    assert_int_equal(host[0x200], 3);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* A page that is written to again and again is data: its blocks go as a whole, then stores are fast. */
static void test_marks_go(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint8_t *host;
    unsigned writes[2] = {0};

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    host = m.low->host + CODE_GPA;
    for (unsigned i = 0; i < 2; i++) {
        soft_code_mark(cpu, host, 1);
        assert_false(is_fast(cpu, LINEAR));
        for (stale_log.count = 0; !is_fast(cpu, LINEAR) && writes[i] < 1000; writes[i]++) {
            stale_log.count = 0;
            soft_store(cpu, LINEAR, 1, i);
            assert_int_equal(stale_log.count, 1);
        }
        assert_ptr_equal(stale_log.host[0], host);
        assert_int_equal(stale_log.len_bytes[0], SOFT_PAGE_BYTES);
        assert_false(soft_code_page_is_marked(cpu, host));
    }
    assert_in_range(writes[0], 2, 100);
    /* The second time, it takes longer. */
    assert_true(writes[1] > writes[0]);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* Setting accessed bits writes, too. */
static void test_code_in_page_tables(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t *entry;

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    entry = soft_map_entry(&m, cpu, LINEAR, 12);
    *entry = CODE_GPA | P | W;
    soft_code_mark(cpu, (uint8_t *)entry, 8);
    soft_load(cpu, LINEAR, 1);
    assert_int_equal(stale_log.count, 1);
    assert_ptr_equal(stale_log.host[0], entry);
    assert_int_equal(stale_log.len_bytes[0], 8);
    soft_load(cpu, LINEAR, 1);
    assert_int_equal(stale_log.count, 1);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

static void test_device_writes(void **state)
{
    struct dma_mapping mapping;
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint8_t *host, bytes[8192] = {0};

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    host = m.low->host + CODE_GPA;
    soft_code_mark(cpu, host + 0x200, 1);
    soft_code_mark(cpu, host + 0x1300, 1);
    /* Beside it. */
    dma_write(&m.fixture.space, CODE_GPA + 0x1ff, bytes, 1);
    dma_write(&m.fixture.space, CODE_GPA + 0x280, bytes, 0x1000);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 0);
    /* In it: known between blocks. */
    dma_write(&m.fixture.space, CODE_GPA + 0x210, bytes, 1);
    assert_int_equal(stale_log.count, 0);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 1);
    assert_true(stale_log.host[0] <= host + 0x210 && stale_log.host[0] + stale_log.len_bytes[0] > host + 0x210);
    /* Both pages, by one copy; by dispatch; by a mapping, when it ends. */
    dma_write(&m.fixture.space, CODE_GPA + 0x27f, bytes, 0x1100);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 3);
    address_space_write(&m.fixture.space, NULL, CODE_GPA + 0x27e, 4, 0);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 4);
    assert_int_equal(dma_map(&m.fixture.space, CODE_GPA, 0x1000, DMA_TO_GUEST, &mapping), ACCESS_OK);
    dma_unmap(&mapping, 0x200);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 4);
    assert_int_equal(dma_map(&m.fixture.space, CODE_GPA, 0x1000, DMA_TO_GUEST, &mapping), ACCESS_OK);
    dma_unmap(&mapping, 0x201);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 5);
    assert_int_equal(dma_map(&m.fixture.space, CODE_GPA, 0x1000, DMA_FROM_GUEST, &mapping), ACCESS_OK);
    dma_unmap(&mapping, 0x1000);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 5);
    /* A whole page loses its marks at once. */
    dma_write(&m.fixture.space, CODE_GPA, bytes, 0x1000);
    poll_requests(cpu);
    assert_int_equal(stale_log.count, 6);
    assert_int_equal(stale_log.len_bytes[5], SOFT_PAGE_BYTES);
    assert_false(soft_code_page_is_marked(cpu, host));
    /* A CPU that was outside hears of it when it enters; one that was out for long forgets all. */
    soft_guest_leave(cpu);
    dma_write(&m.fixture.space, CODE_GPA + 0x1300, bytes, 1);
    soft_guest_enter(cpu);
    assert_int_equal(stale_log.count, 7);
    assert_int_equal(stale_log.cleared, 0);
    soft_code_mark(cpu, host, 0x1000);
    soft_guest_leave(cpu);
    for (unsigned i = 0; i <= SOFT_NEWS_CELLS; i++) {
        if (i % 8 == 0) {
            soft_guest_enter(cpu);
            soft_code_mark(cpu, host, 0x1000);
            soft_guest_leave(cpu);
        }
        dma_write(&m.fixture.space, CODE_GPA + i % 0x1000, bytes, 1);
    }
    soft_guest_enter(cpu);
    assert_int_equal(stale_log.cleared, 0);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_news_overflow(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu[2];
    uint8_t zero = 0;
    unsigned count;

    soft_machine_init(&m, 2);
    cpu[0] = start(&m, 0);
    cpu[1] = start(&m, 1);
    soft_store(cpu[0], LINEAR, 1, 1);
    soft_guest_leave(cpu[0]);
    for (unsigned i = 0; i <= SOFT_NEWS_CELLS; i++) {
        soft_code_mark(cpu[1], m.low->host + CODE_GPA, 1);
        dma_write(&m.fixture.space, CODE_GPA, &zero, 1);
        poll_requests(cpu[1]);
    }
    count = stale_log.count;
    assert_int_equal(stale_log.cleared, 0);
    soft_guest_enter(cpu[0]);
    assert_int_equal(stale_log.cleared, 1);
    assert_int_equal(stale_log.count, count);
    assert_false(is_fast(cpu[0], LINEAR));
    soft_machine_end(cpu[0]);
    soft_machine_end(cpu[1]);
    soft_machine_destroy(&m);
}

/*
 * An entry that is in the TLB's second level while code is translated from its page: on its way back it is slow,
 * though nobody walks.
 */
static void test_marks_in_the_second_level(void **state)
{
    uint64_t other = LINEAR + SOFT_TLB_ENTRIES * SOFT_PAGE_BYTES;
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint8_t *host;

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    *soft_map_entry(&m, cpu, other, 12) = (CODE_GPA + 0x9000) | P | W | D | A;
    host = m.low->host + CODE_GPA;
    soft_store(cpu, LINEAR, 1, 1);
    soft_store(cpu, other, 1, 1);
    assert_true(is_fast(cpu, other));
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0;
    soft_code_mark(cpu, host + 0x100, 1);
    soft_store(cpu, LINEAR, 1, 2); /* not to the code */
    assert_int_equal(host[0], 2);
    assert_false(is_fast(cpu, LINEAR));
    stale_log.count = 0;
    soft_store(cpu, other, 1, 2);
    soft_store(cpu, LINEAR + 0x100, 1, 3);
    assert_int_equal(stale_log.count, 1);
    assert_ptr_equal(stale_log.host[0], host + 0x100);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- several CPUs, of which one thread plays all ------------------------------------------------------------------ */

static void test_others_forget(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu[3];
    uint8_t *host;

    soft_machine_init(&m, 3);
    for (unsigned i = 0; i < 3; i++) {
        cpu[i] = start(&m, i);
        soft_store(cpu[i], LINEAR, 1, 1);
        soft_store(cpu[i], LINEAR + 0x1000, 1, 1);
    }
    host = m.low->host + CODE_GPA;
    /* Quiet CPUs aren't waited for. They know when they are back. */
    soft_quiet_begin(cpu[1]);
    soft_guest_leave(cpu[2]);
    soft_code_mark(cpu[0], host, 1);
    assert_true(is_fast(cpu[1], LINEAR));
    soft_quiet_end(cpu[1]);
    soft_guest_enter(cpu[2]);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(is_fast(cpu[i], LINEAR));
        assert_true(is_fast(cpu[i], LINEAR + 0x1000));
    }
    /* A write to it is heard of by all; the writer's own blocks go at once. */
    stale_log.count = 0;
    soft_store(cpu[1], LINEAR, 1, 2);
    assert_int_equal(stale_log.count, 1);
    poll_requests(cpu[0]);
    assert_int_equal(stale_log.count, 2);
    poll_requests(cpu[2]);
    assert_int_equal(stale_log.count, 3);
    poll_requests(cpu[1]);
    /* The writer reads its own news as well. */
    assert_true(stale_log.count <= 4);
    /* Nobody has it writable: a further mark waits for nobody, though they are in the guest. */
    soft_code_mark(cpu[2], host + 0x800, 1);
    for (unsigned i = 0; i < 3; i++) {
        soft_machine_end(cpu[i]);
    }
    soft_machine_destroy(&m);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

#define WRITERS 3 /* the last is a device */
/* Of the translator, after something was written. A sanitizer's threads are slow to meet. */
#ifdef HDL_TSAN
#define CHECKS 300
#else
#define CHECKS 2000
#endif
#define LOCK_ADDS 20000
#define CHUNK(i)  ((i)*0x200)

struct crowd;
struct worker {
    struct crowd *crowd;
    unsigned index;
    struct hdl_thread thread;
    struct soft_cpu *cpu;
    void (*run)(struct worker *worker);
    unsigned failures, checks;
};

struct crowd {
    struct soft_machine m;
    pthread_barrier_t start;
    struct worker worker[SOFT_VCPUS_MAX];
    _Atomic uint64_t published[WRITERS];
    atomic_bool enough;
};

static void worker_run(void *opaque)
{
    struct worker *worker = opaque;

    pthread_barrier_wait(&worker->crowd->start);
    worker->run(worker);
}

/* All at once. */
static void crowd_run(struct crowd *crowd, unsigned count, void (*run)(struct worker *worker))
{
    assert_int_equal(pthread_barrier_init(&crowd->start, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        crowd->worker[i].run = run;
        assert_int_equal(hdl_thread_start(&crowd->worker[i].thread, "worker", worker_run, &crowd->worker[i], NULL), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        hdl_thread_join(&crowd->worker[i].thread);
    }
    pthread_barrier_destroy(&crowd->start);
}

/* CPUs 0..vcpus-1, outside, each for the worker of its index. */
static struct crowd *crowd_create(unsigned vcpus)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    assert_non_null(crowd);
    soft_machine_init(&crowd->m, vcpus);
    for (unsigned i = 0; i < SOFT_VCPUS_MAX; i++) {
        crowd->worker[i] = (struct worker){.crowd = crowd, .index = i};
        if (i < vcpus) {
            crowd->worker[i].cpu = start(&crowd->m, i);
            soft_guest_leave(crowd->worker[i].cpu);
        }
    }
    return crowd;
}

static void crowd_destroy(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->m.vm.common.vcpu_max; i++) {
        soft_memory_detach(crowd->worker[i].cpu);
    }
    soft_machine_destroy(&crowd->m);
    free(crowd);
}

static void write_and_publish(struct worker *worker, unsigned writer)
{
    struct crowd *crowd = worker->crowd;

    for (uint64_t value = 1; !atomic_load_explicit(&crowd->enough, memory_order_relaxed); value++) {
        if (worker->cpu) {
            soft_store(worker->cpu, LINEAR + CHUNK(writer), 8, value);
        } else {
            dma_write(&crowd->m.fixture.space, CODE_GPA + CHUNK(writer), &value, 8);
        }
        atomic_store_explicit(&crowd->published[writer], value, memory_order_release);
        if (!worker->cpu) {
            continue;
        }
        /* A block is a few stores. */
        if (value % 8 == 0) {
            poll_requests(worker->cpu);
        }
        if (value % 64 == writer) {
            soft_quiet_begin(worker->cpu);
            soft_quiet_end(worker->cpu);
        }
    }
}

/* The host's bytes, as an instruction fetch reads them. */
static SOFT_GUEST_ACCESS uint64_t fetch(const uint8_t *host)
{
    return *(const soft_guest_u64 *)host;
}

/* A block of the bytes that one of the writers writes. */
struct block {
    const uint8_t *host;
    uint64_t bytes;
    bool good;
};

/* Whether this thread's CPU was told to drop it since the log was last emptied. */
static bool block_was_dropped(const struct block *block)
{
    if (stale_log.cleared || stale_log.count > STALE_MAX) {
        return true;
    }
    for (unsigned i = 0; i < stale_log.count; i++) {
        if (stale_log.host[i] < block->host + 8 && block->host < stale_log.host[i] + stale_log.len_bytes[i]) {
            return true;
        }
    }
    return false;
}

static void blocks_drop(struct block *blocks)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        blocks[i].good = blocks[i].good && !block_was_dropped(&blocks[i]);
    }
    memset(&stale_log, 0, sizeof(stale_log));
}

/* Until all are good: making one may wait, and be told to drop another. */
static void blocks_make(struct worker *worker, struct block *blocks)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        while (!blocks[i].good) {
            soft_code_mark(worker->cpu, blocks[i].host, 8);
            blocks_drop(blocks);
            blocks[i].bytes = fetch(blocks[i].host);
            blocks[i].good = true;
            i = 0;
        }
    }
}

/* The next write to the page takes its marks, as if there had been many. */
static void take_marks_soon(struct worker *worker)
{
    struct soft_slot *slot = soft_slot_find(worker->cpu, worker->crowd->m.low->host);

    atomic_store_explicit(&slot->hits[CODE_GPA / SOFT_PAGE_BYTES], 16, memory_order_relaxed);
}

/* Makes blocks, keeps each until it is told to drop it, and says when one is older than it may be. */
static void translate_and_check(struct worker *worker)
{
    struct block blocks[WRITERS] = {0};
    uint64_t last = 0;

    for (unsigned i = 0; i < WRITERS; i++) {
        blocks[i].host = worker->crowd->m.low->host + CODE_GPA + CHUNK(i);
    }
    while (worker->checks < CHECKS) {
        uint64_t published[WRITERS], sum = 0;

        for (unsigned i = 0; i < WRITERS; i++) {
            published[i] = atomic_load_explicit(&worker->crowd->published[i], memory_order_acquire);
            sum += published[i];
        }
        poll_requests(worker->cpu);
        blocks_drop(blocks);
        blocks_make(worker, blocks);
        take_marks_soon(worker);
        for (unsigned i = 0; i < WRITERS; i++) {
            worker->failures += blocks[i].bytes < published[i];
        }
        worker->checks += sum != last;
        last = sum;
    }
    atomic_store(&worker->crowd->enough, true);
}

/* 0: translates; 1: translates, then writes; 2: writes; 3: the device. */
static void mixed_worker(struct worker *worker)
{
    if (worker->cpu) {
        soft_guest_enter(worker->cpu);
    }
    if (worker->index == 0) {
        translate_and_check(worker);
    } else {
        write_and_publish(worker, worker->index - 1);
    }
    if (worker->cpu) {
        soft_guest_leave(worker->cpu);
    }
}

static void test_no_write_is_unnoticed(void **state)
{
    struct crowd *crowd = crowd_create(3);

    crowd_run(crowd, 4, mixed_worker);
    assert_int_equal(crowd->worker[0].failures, 0);
    crowd_destroy(crowd);
}

/* All of them translate, wait for each other, and write. */
static void marking_worker(struct worker *worker)
{
    uint8_t *host = worker->crowd->m.low->host + CODE_GPA;

    soft_guest_enter(worker->cpu);
    for (unsigned i = 0; i < 5000; i++) {
        unsigned page = (i + worker->index) % 2;

        soft_store(worker->cpu, LINEAR + page * 0x1000 + CHUNK(worker->index), 8, i);
        poll_requests(worker->cpu);
        soft_code_mark(worker->cpu, host + page * 0x8000, 8);
        /* While this CPU says nothing, nobody has the page writable. */
        worker->failures += is_fast(worker->cpu, LINEAR + page * 0x1000);
        poll_requests(worker->cpu);
        soft_store(worker->cpu, LINEAR + page * 0x1000, 8, i);
    }
    soft_guest_leave(worker->cpu);
}

static void test_all_mark(void **state)
{
    struct crowd *crowd = crowd_create(4);

    crowd_run(crowd, 4, marking_worker);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(crowd->worker[i].failures, 0);
    }
    crowd_destroy(crowd);
}

/* Wants something of the others, and is done when it has it. */
static void asking_worker(struct worker *worker)
{
    soft_guest_enter(worker->cpu);
    if (worker->index == 0) {
        soft_code_mark(worker->cpu, worker->crowd->m.low->host + CODE_GPA, 8);
    } else {
        soft_world_stop(worker->cpu);
        soft_world_go(worker->cpu);
    }
    atomic_store(&worker->crowd->enough, true);
    soft_guest_leave(worker->cpu);
}

/* CPU 2 is in the guest, and waited for; until it serves, or is quiet. */
static void check_waits(unsigned asker, void (*serve)(struct soft_cpu *cpu))
{
    struct crowd *crowd = crowd_create(3);
    struct worker *worker = &crowd->worker[asker];
    struct soft_cpu *cpu = crowd->worker[2].cpu;

    soft_guest_enter(cpu);
    worker->run = asking_worker;
    assert_int_equal(pthread_barrier_init(&crowd->start, NULL, 1), 0);
    assert_int_equal(hdl_thread_start(&worker->thread, "asker", worker_run, worker, NULL), 0);
    while (!atomic_load(&cpu->member->waiters)) {
        assert_false(atomic_load(&crowd->enough));
    }
    assert_true(atomic_load(&soft_common(cpu)->requests) & VCPU_REQUEST_ACCEL);
    assert_false(atomic_load(&crowd->enough));
    serve(cpu);
    hdl_thread_join(&worker->thread);
    pthread_barrier_destroy(&crowd->start);
    soft_guest_leave(cpu);
    crowd_destroy(crowd);
}

static void test_waits(void **state)
{
    for (unsigned asker = 0; asker < 2; asker++) {
        check_waits(asker, soft_serve_accel);
        check_waits(asker, soft_quiet_begin);
        check_waits(asker, soft_guest_leave);
    }
}

static void lock_increment(struct soft_cpu *cpu, uint64_t linear)
{
    void *host = soft_lock_begin(cpu, linear, 4);

    if (host) {
        __asm__ __volatile__("lock incl %0" : "+m"(*(soft_guest_u32 *)host) : : "memory");
        return;
    }
    soft_store_slow(cpu, linear, 4, soft_load_slow(cpu, linear, 4) + 1);
    soft_lock_end(cpu);
}

static void locking_worker(struct worker *worker)
{
    struct soft_cpu *cpu = worker->cpu;

    soft_guest_enter(cpu);
    for (unsigned i = 0; i < LOCK_ADDS; i++) {
        /* Across pages by two accesses, as CMPXCHG16B does it; and the half in the second page alone. */
        if (i % 2) {
            worker->failures += soft_lock_begin(cpu, LINEAR + 0xffc, 8) != NULL;
            uint64_t value = soft_load_slow(cpu, LINEAR + 0xffc, 4) | soft_load_slow(cpu, LINEAR + 0x1000, 4) << 32;

            value++;
            for (unsigned n = 0; n < 50; n++) {
                hdl_cpu_relax();
            }
            soft_store_slow(cpu, LINEAR + 0x1000, 4, value >> 32);
            soft_store_slow(cpu, LINEAR + 0xffc, 4, value);
            soft_lock_end(cpu);
        } else {
            lock_increment(cpu, LINEAR + 0x1000);
        }
        poll_requests(cpu);
        if (i % 32 == 0) {
            soft_code_mark(cpu, worker->crowd->m.low->host + CODE_GPA + 0x8000, 8);
        }
    }
    soft_guest_leave(cpu);
}

static void test_locks(void **state)
{
    struct crowd *crowd = crowd_create(4);
    uint64_t adds = 4 * LOCK_ADDS / 2;

    /* So that adding carries over. */
    soft_guest_enter(crowd->worker[0].cpu);
    soft_store(crowd->worker[0].cpu, LINEAR + 0xffc, 8, 0xffffff00);
    soft_guest_leave(crowd->worker[0].cpu);
    crowd_run(crowd, 4, locking_worker);
    assert_int_equal(crowd->worker[0].failures, 0);
    soft_guest_enter(crowd->worker[0].cpu);
    assert_int_equal(soft_load(crowd->worker[0].cpu, LINEAR + 0xffc, 8), 0xffffff00 + adds + (adds << 32));
    soft_guest_leave(crowd->worker[0].cpu);
    crowd_destroy(crowd);
}

/* --- the memory map ----------------------------------------------------------------------------------------------- */

static uint32_t references(const struct ram_block *block)
{
    hdl_rcu_barrier();
    return atomic_load(&block->refs.count);
}

static void test_memory_goes_and_comes(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu[2];
    uint32_t all, least = 2; /* the test's and the region's */

    soft_machine_init(&m, 2);
    cpu[0] = start(&m, 0);
    cpu[1] = start(&m, 1);
    *soft_map_entry(&m, cpu[0], LINEAR + 0x5000, 12) = HIGH_GPA | P | W;
    soft_store(cpu[0], LINEAR + 0x5000, 8, 0x1234);
    all = references(m.high);
    assert_int_equal(all, least + 2);
    /* CPU 0 takes it away by a device's access: it may have addresses in hand, so they stay good for now. */
    soft_quiet_begin(cpu[0]);
    region_remove(&m.fixture.map, &m.high_region);
    soft_quiet_end(cpu[0]);
    assert_int_equal(references(m.high), least + 1);
    assert_int_equal(soft_load(cpu[0], LINEAR + 0x5000, 8), UINT64_MAX);
    poll_requests(cpu[1]);
    assert_int_equal(stale_log.cleared, 1);
    assert_int_equal(references(m.high), least + 1);
    /* The last one lets go, between blocks. */
    poll_requests(cpu[0]);
    assert_int_equal(stale_log.cleared, 2);
    assert_int_equal(references(m.high), least);
    /* It comes back; who was outside knows, too. */
    soft_guest_leave(cpu[1]);
    region_add(&m.fixture.map, &m.fixture.root, HIGH_GPA, &m.high_region, 0);
    assert_int_equal(references(m.high), all);
    poll_requests(cpu[0]);
    assert_int_equal(soft_load(cpu[0], LINEAR + 0x5000, 8), 0x1234);
    assert_true(soft_tlb_entry(cpu[0], LINEAR + 0x5000)->read == soft_tlb_want(cpu[0], LINEAR + 0x5000, 1));
    /* Nobody is inside: it goes at once, and blocks go when a CPU enters, though it has nothing to let go any more. */
    soft_guest_leave(cpu[0]);
    region_remove(&m.fixture.map, &m.high_region);
    assert_int_equal(references(m.high), least);
    stale_log.cleared = 0;
    soft_guest_enter(cpu[0]);
    soft_guest_enter(cpu[1]);
    assert_int_equal(stale_log.cleared, 2);
    assert_int_equal(soft_load(cpu[0], LINEAR + 0x5000, 8), UINT64_MAX);
    /* Moved in one transaction, it isn't gone. */
    region_add(&m.fixture.map, &m.fixture.root, HIGH_GPA, &m.high_region, 0);
    poll_requests(cpu[0]);
    poll_requests(cpu[1]);
    stale_log.cleared = 0;
    region_set_address(&m.fixture.map, &m.high_region, HIGH_GPA + HIGH_BYTES);
    poll_requests(cpu[0]);
    poll_requests(cpu[1]);
    assert_int_equal(stale_log.cleared, 0);
    assert_int_equal(references(m.high), all);
    assert_int_equal(soft_load(cpu[0], LINEAR + 0x5000, 8), UINT64_MAX);
    soft_machine_end(cpu[0]);
    soft_machine_end(cpu[1]);
    soft_machine_destroy(&m);
}

/* A region that isn't whole pages is reached by dispatch. */
static void test_odd_memory(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    struct region odd;
    uint64_t gpa;

    soft_machine_init(&m, 1);
    cpu = start(&m, 0);
    region_init_ram(&odd, "odd", m.high, 0x800, 0x2000, false);
    region_add(&m.fixture.map, &m.fixture.root, HOLE_GPA, &odd, 0);
    poll_requests(cpu);
    *soft_map_entry(&m, cpu, LINEAR + 0x5000, 12) = HOLE_GPA | P | W;
    soft_store(cpu, LINEAR + 0x5004, 4, 0x12345678);
    assert_int_equal(*(uint32_t *)(m.high->host + 0x804), 0x12345678);
    assert_int_equal(soft_load(cpu, LINEAR + 0x5004, 4), 0x12345678);
    assert_null(soft_code_at(cpu, LINEAR + 0x5000, &gpa));
    assert_int_equal(gpa, HOLE_GPA);
    region_remove(&m.fixture.map, &odd);
    region_destroy(&odd);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

struct remover {
    struct hdl_thread thread;
    struct crowd *crowd;
};

/* Another thread changes the map while CPUs use what it shows. */
static void remover_run(void *opaque)
{
    struct remover *remover = opaque;
    struct soft_machine *m = &remover->crowd->m;

    for (unsigned i = 0; i < 300; i++) {
        region_remove(&m->fixture.map, &m->high_region);
        region_add(&m->fixture.map, &m->fixture.root, HIGH_GPA, &m->high_region, 0);
    }
    atomic_store(&remover->crowd->enough, true);
}

static void using_worker(struct worker *worker)
{
    struct soft_cpu *cpu = worker->cpu;

    soft_guest_enter(cpu);
    for (unsigned i = 0; !atomic_load(&worker->crowd->enough); i++) {
        uint64_t value;

        soft_store(cpu, LINEAR + 0x5000 + 8 * worker->index, 8, i);
        value = soft_load(cpu, LINEAR + 0x5000 + 8 * worker->index, 8);
        /* What was written, or written before, or nothing there. */
        worker->failures += value > i && value != UINT64_MAX;
        poll_requests(cpu);
        if (i % 100 == 0) {
            soft_guest_leave(cpu);
            soft_guest_enter(cpu);
        }
    }
    soft_guest_leave(cpu);
}

static void test_map_changes_under_use(void **state)
{
    struct crowd *crowd = crowd_create(2);
    struct remover remover = {.crowd = crowd};

    for (unsigned i = 0; i < 2; i++) {
        *soft_map_entry(&crowd->m, crowd->worker[i].cpu, LINEAR + 0x5000, 12) = HIGH_GPA | P | W;
    }
    assert_int_equal(hdl_thread_start(&remover.thread, "remover", remover_run, &remover, NULL), 0);
    crowd_run(crowd, 2, using_worker);
    hdl_thread_join(&remover.thread);
    assert_int_equal(crowd->worker[0].failures + crowd->worker[1].failures, 0);
    assert_int_equal(references(crowd->m.high), 4);
    crowd_destroy(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_writes),
        cmocka_unit_test(test_marks_go),
        cmocka_unit_test(test_code_in_page_tables),
        cmocka_unit_test(test_device_writes),
        cmocka_unit_test(test_news_overflow),
        cmocka_unit_test(test_marks_in_the_second_level),
        cmocka_unit_test(test_others_forget),
        cmocka_unit_test(test_no_write_is_unnoticed),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_all_mark),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_memory_goes_and_comes),
        cmocka_unit_test(test_odd_memory),
        cmocka_unit_test(test_map_changes_under_use),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
