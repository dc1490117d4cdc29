/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything at once, for ThreadSanitizer and AddressSanitizer: threads dispatch and do DMA while the main thread plugs
 * and unplugs devices and RAM, and a device's own handler moves another region about. What is asserted: no handler of a
 * device runs once it is GONE, reads give the right device's answer or all-ones, and mappings stay good.
 */
#include "memory_fixture.h"

#define THREADS     3
#define SLOTS       3
#define PLUG_ROUNDS 120
#define RAM_BYTES   UINT64_C(4096)

#define MOVER_ADDRESS   UINT64_C(0x100000)
#define COUNTER_ADDRESS UINT64_C(0x200000)
#define RAM_ADDRESS     UINT64_C(0x400000)
#define SLOT_ADDRESS(i) (UINT64_C(0x1000) * ((i) + 1))
#define SLOT_ANSWER(i)  (UINT64_C(0x1000) + (i))
#define TARGET_ADDRESS  UINT64_C(0x300000)

struct torture;

struct torture_device {
    struct device device;
    struct region region;
    struct torture *torture;
    uint64_t answer;
    uint64_t count;  /* device lock */
    bool gone_heard; /* set before GONE is told, read by handlers: never both */
};

struct torture {
    struct memory_fixture fixture;
    struct device_owner owner; /* of its devices: counts those that are gone */
    struct torture_device *mover;
    struct region target; /* moved by the mover's handler */
    struct region counter;
    _Atomic uint64_t counter_value;
    _Atomic bool stop;
    struct hdl_mutex lock; /* leaf */
    struct hdl_cond changed;
    unsigned gone HDL_GUARDED_BY(&lock);
    _Atomic unsigned round;                        /* from 1 */
    unsigned answered_round HDL_GUARDED_BY(&lock); /* the latest in which a device answered */
};

/* cmocka's assertions belong to the thread that runs the test; on others a failure ends the process. */
#define torture_check(condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s: failed: %s\n", HDL_WHERE, #condition);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static const struct device_type torture_type = {.name = "torture", .size_bytes = sizeof(struct torture_device)};

static enum access_result torture_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct torture_device *self = opaque;

    torture_check(!(self->gone_heard));
    self->count++;
    *value = self->answer;
    return ACCESS_OK;
}

static enum access_result torture_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct torture_device *self = opaque;
    uint32_t word;

    torture_check(!(self->gone_heard));
    self->count++;
    /* From inside: RAM is within reach, I/O isn't; whatever is there now. */
    torture_check(dma_read(&self->torture->fixture.space, RAM_ADDRESS, &word, 4) != ACCESS_REENTRANT);
    return ACCESS_OK;
}

static enum access_result mover_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct torture_device *self = opaque;

    self->count++;
    region_set_address(&self->torture->fixture.map, &self->torture->target, TARGET_ADDRESS + value % 16 * 0x100);
    return ACCESS_OK;
}

static enum access_result counter_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct torture *torture = opaque;

    *value = atomic_fetch_add_explicit(&torture->counter_value, 1, memory_order_relaxed) & 0x7fffffff;
    return ACCESS_OK;
}

static enum access_result counter_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    return ACCESS_OK;
}

static const struct region_ops torture_ops = {.read = torture_read, .write = torture_write};
static const struct region_ops mover_ops = {.read = torture_read, .write = mover_write};
static const struct region_ops counter_ops = {.read = counter_read, .write = counter_write};

static struct torture_device *torture_plug(struct torture *torture, const struct region_ops *ops, uint64_t address,
                                           uint64_t answer)
{
    struct device *device = device_create(&torture_type, NULL, NULL, &torture->fixture.space, NULL);
    struct torture_device *self = container_of(device, struct torture_device, device);

    self->torture = torture;
    self->answer = answer;
    device->owner = &torture->owner;
    assert_int_equal(device_realize(device, NULL), 0);
    region_init_io(&self->region, "torture", device, ops, self, 0x100, 0, NULL);
    region_add(&torture->fixture.map, &torture->fixture.root, address, &self->region, 0);
    return self;
}

static void torture_gone(struct device *device, void *opaque)
{
    struct torture *torture = opaque;

    container_of(device, struct torture_device, device)->gone_heard = true;
    hdl_mutex_lock(&torture->lock);
    torture->gone++;
    hdl_cond_broadcast(&torture->changed);
    hdl_mutex_unlock(&torture->lock);
}

static void torture_wait_gone(struct torture *torture, unsigned count)
{
    hdl_mutex_lock(&torture->lock);
    while (torture->gone < count) {
        hdl_cond_wait(&torture->changed, &torture->lock);
    }
    hdl_mutex_unlock(&torture->lock);
}

/* A round is worth something only if a device was reached in it. */
static void torture_wait_answered(struct torture *torture, unsigned round)
{
    hdl_mutex_lock(&torture->lock);
    while (torture->answered_round < round) {
        hdl_cond_wait(&torture->changed, &torture->lock);
    }
    hdl_mutex_unlock(&torture->lock);
}

/* The unplug may overtake the removal or not: both orders are legal. */
static void torture_unplug(struct torture *torture, struct torture_device **devices, unsigned count, bool hide_first,
                           unsigned gone_before)
{
    for (unsigned i = 0; i < count; i++) {
        if (hide_first) {
            region_remove(&torture->fixture.map, &devices[i]->region);
        }
        device_unplug(&devices[i]->device);
        if (!hide_first) {
            region_remove(&torture->fixture.map, &devices[i]->region);
        }
    }
    torture_wait_gone(torture, gone_before + count);
    hdl_rcu_synchronize();
    for (unsigned i = 0; i < count; i++) {
        region_destroy(&devices[i]->region);
        device_put(&devices[i]->device);
    }
}

struct torture_thread {
    struct hdl_thread thread;
    struct torture *torture;
    struct flat_cache cache;
    uint64_t random;
    unsigned answered_round;
};

static void torture_tell_answered(struct torture_thread *self)
{
    unsigned round = atomic_load(&self->torture->round);

    if (self->answered_round < round) {
        self->answered_round = round;
        hdl_mutex_lock(&self->torture->lock);
        self->torture->answered_round = MAX(self->torture->answered_round, round);
        hdl_cond_broadcast(&self->torture->changed);
        hdl_mutex_unlock(&self->torture->lock);
    }
}

static void torture_access_slot(struct torture_thread *self)
{
    struct address_space *space = &self->torture->fixture.space;
    unsigned slot = (unsigned)test_random_below(&self->random, SLOTS);
    uint64_t value = 0;
    enum access_result result;

    if (test_random_below(&self->random, 2)) {
        result = address_space_write(space, &self->cache, SLOT_ADDRESS(slot), 4, 1);
        torture_check(result == ACCESS_OK || result == ACCESS_UNASSIGNED);
        return;
    }
    result = address_space_read(space, &self->cache, SLOT_ADDRESS(slot), 4, &value);
    if (result == ACCESS_OK) {
        torture_check(value == SLOT_ANSWER(slot));
        torture_tell_answered(self);
    } else {
        torture_check(result == ACCESS_UNASSIGNED);
        torture_check(value == 0xffffffff);
    }
}

static void torture_use_ram(struct torture_thread *self)
{
    struct address_space *space = &self->torture->fixture.space;
    uint64_t offset = test_random_below(&self->random, RAM_BYTES / 8) * 8;
    struct dma_mapping mapping;
    uint64_t word = UINT64_C(0x1234567812345678);

    /* All writers write the same word, so nobody may see anything but it and zero. */
    dma_write(space, RAM_ADDRESS + offset, &word, 8);
    if (dma_read(space, RAM_ADDRESS + offset, &word, 8) == ACCESS_OK) {
        torture_check(word == 0 || word == UINT64_C(0x1234567812345678));
    }
    if (dma_map(space, RAM_ADDRESS + offset, 64, DMA_FROM_GUEST, &mapping) == ACCESS_OK) {
        torture_check(mapping.len_bytes == MIN(UINT64_C(64), RAM_BYTES - offset));
        word = atomic_load_explicit((_Atomic uint64_t *)mapping.host, memory_order_relaxed);
        torture_check(word == 0 || word == UINT64_C(0x1234567812345678));
        dma_unmap(&mapping, 0);
    }
}

static void torture_thread_run(void *opaque)
{
    struct torture_thread *self = opaque;
    struct address_space *space = &self->torture->fixture.space;
    uint64_t value;

    while (!atomic_load_explicit(&self->torture->stop, memory_order_relaxed)) {
        torture_access_slot(self);
        torture_use_ram(self);
        switch (test_random_below(&self->random, 16)) {
        case 0:
            torture_check(address_space_write(space, &self->cache, MOVER_ADDRESS, 4, test_random(&self->random)) ==
                          ACCESS_OK);
            break;
        case 1:
            address_space_read(space, &self->cache, TARGET_ADDRESS + test_random_below(&self->random, 16) * 0x100, 8,
                               &value);
            break;
        default:
            torture_check(address_space_read(space, &self->cache, COUNTER_ADDRESS, 4, &value) == ACCESS_OK);
            break;
        }
    }
}

static void torture_setup(struct torture *torture)
{
    memset(torture, 0, sizeof(*torture));
    torture->owner = (struct device_owner){.gone = torture_gone, .opaque = torture};
    memory_fixture_init(&torture->fixture);
    hdl_mutex_init(&torture->lock, "torture", LOCK_RANK_LEAF);
    hdl_cond_init(&torture->changed);
    torture->mover = torture_plug(torture, &mover_ops, MOVER_ADDRESS, 0);
    region_init_io(&torture->target, "target", NULL, &counter_ops, torture, 0x100, REGION_LOCKLESS, NULL);
    region_init_io(&torture->counter, "counter", NULL, &counter_ops, torture, 0x100, REGION_LOCKLESS, NULL);
    region_add(&torture->fixture.map, &torture->fixture.root, TARGET_ADDRESS, &torture->target, 0);
    region_add(&torture->fixture.map, &torture->fixture.root, COUNTER_ADDRESS, &torture->counter, 0);
}

static void torture_teardown(struct torture *torture)
{
    torture_unplug(torture, &torture->mover, 1, true, PLUG_ROUNDS * SLOTS);
    region_remove(&torture->fixture.map, &torture->target);
    region_remove(&torture->fixture.map, &torture->counter);
    hdl_cond_destroy(&torture->changed);
    hdl_mutex_destroy(&torture->lock);
    memory_fixture_destroy(&torture->fixture);
}

/* One round: RAM and devices come, are used, and go. */
static void torture_round(struct torture *torture, unsigned round)
{
    struct ram_block *block = ram_block_create("torture", RAM_BYTES, 0, NULL);
    struct torture_device *devices[SLOTS];
    struct region ram;

    assert_non_null(block);
    region_init_ram(&ram, "ram", block, 0, RAM_BYTES, false);
    ram_block_put(block);
    region_add(&torture->fixture.map, &torture->fixture.root, RAM_ADDRESS, &ram, 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        devices[i] = torture_plug(torture, &torture_ops, SLOT_ADDRESS(i), SLOT_ANSWER(i));
    }
    atomic_store(&torture->round, round + 1);
    torture_wait_answered(torture, round + 1);
    region_remove(&torture->fixture.map, &ram);
    torture_unplug(torture, devices, SLOTS, round % 2, round * SLOTS);
    region_destroy(&ram); /* a grace period has passed in torture_unplug */
}

static void test_torture(void **state)
{
    static struct torture torture;
    static struct torture_thread threads[THREADS];

    torture_setup(&torture);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct torture_thread){.torture = &torture, .random = 77 + i};
        assert_int_equal(hdl_thread_start(&threads[i].thread, "torture", torture_thread_run, &threads[i], NULL), 0);
    }
    for (unsigned round = 0; round < PLUG_ROUNDS; round++) {
        torture_round(&torture, round);
    }
    atomic_store(&torture.stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        hdl_thread_join(&threads[i].thread);
    }
    assert_int_equal(atomic_load(&torture.fixture.map.reentrant_accesses), 0);
    torture_teardown(&torture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torture),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
