/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dispatch: what reaches a handler and how. Sizes are tested as a matrix of what is valid, what is implemented, where
 * and how long, against a plain array of bytes.
 */
#include <sched.h>

#include "device/lock_stats.h"
#include "memory_fixture.h"

#define BYTES 24

struct test_device {
    struct device device;
    struct region region;
    struct memory_fixture *fixture;
    uint8_t bytes[BYTES];
    const struct access_sizes *impl; /* what calls are checked against; NULL: 1..4 aligned */
    unsigned calls;
    enum access_result answer;
    /* What the handler reaches for, and what it gets. */
    uint64_t reach_address;
    bool reaches, reach_by_write;
    unsigned waits;
    enum access_result reached;
};

static const struct device_type test_type = {.name = "test-device", .size_bytes = sizeof(struct test_device)};

static void check_call(const struct test_device *test, uint64_t offset, unsigned size)
{
    unsigned min = test->impl && test->impl->min ? test->impl->min : 1;
    unsigned max = test->impl && test->impl->max ? test->impl->max : 4;

    assert_true(size >= min && size <= max && (size & (size - 1)) == 0);
    assert_true(offset % size == 0 || (test->impl && test->impl->unaligned));
    assert_true(offset + size <= BYTES);
}

static void handler_reach(struct test_device *test)
{
    uint32_t word = 0;

    if (test->reaches) {
        test->reached = test->reach_by_write ? dma_write(&test->fixture->space, test->reach_address, &word, 4)
                                             : dma_read(&test->fixture->space, test->reach_address, &word, 4);
    }
}

static enum access_result handler_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct test_device *test = opaque;

    check_call(test, offset, size);
    test->calls++;
    memcpy(value, &test->bytes[offset], size);
    handler_reach(test);
    return test->answer;
}

static enum access_result handler_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct test_device *test = opaque;

    check_call(test, offset, size);
    assert_true(size == 8 || value >> (8 * size) == 0);
    test->calls++;
    if (test->answer == ACCESS_OK) {
        memcpy(&test->bytes[offset], &value, size);
    }
    handler_reach(test);
    return test->answer;
}

static const struct region_ops plain_ops = {.read = handler_read, .write = handler_write};

static struct test_device *test_device_plug(struct memory_fixture *fixture, const struct region_ops *ops,
                                            uint64_t address, unsigned flags, struct device_lock *legacy)
{
    struct device *device = device_create(&test_type, NULL, NULL, NULL, flags & REGION_LEGACY ? NULL : legacy);
    struct test_device *test = container_of(device, struct test_device, device);

    test->fixture = fixture;
    test->impl = &ops->impl;
    for (unsigned i = 0; i < BYTES; i++) {
        test->bytes[i] = (uint8_t)(0x40 + i);
    }
    assert_int_equal(device_realize(device, NULL), 0);
    region_init_io(&test->region, "test", device, ops, test, BYTES, flags, legacy);
    region_add(&fixture->map, &fixture->root, address, &test->region, 0);
    return test;
}

static void test_device_pull(struct test_device *test)
{
    device_unplug(&test->device);
    region_remove(&test->fixture->map, &test->region);
    hdl_rcu_synchronize();
    region_destroy(&test->region);
    device_put(&test->device);
}

/* --- sizes ------------------------------------------------------------------------------------------------------ */

static bool is_power(unsigned n)
{
    return (n & (n - 1)) == 0;
}

static bool valid_allows(const struct access_sizes *valid, unsigned offset, unsigned size)
{
    return size >= (valid->min ? valid->min : 1) && size <= (valid->max ? valid->max : 8) &&
           (valid->unaligned || offset % size == 0);
}

/* What an access of 3, 5, 6 or 7 bytes goes on with: an aligned power of two. */
static unsigned aligned_part(unsigned offset, unsigned len)
{
    unsigned part = 1;

    while (part * 2 <= len && offset % (part * 2) == 0) {
        part *= 2;
    }
    return part;
}

static void check_size(struct test_device *test, const struct region_ops *ops, unsigned offset, unsigned len)
{
    uint8_t before[BYTES], after[BYTES];
    uint8_t sent[8] = {0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x17, 0x28};
    enum access_result expected = ACCESS_OK;
    uint64_t want = 0, got = 0, value;

    memcpy(before, test->bytes, BYTES);
    memcpy(after, before, BYTES);
    memcpy(&value, sent, 8);
    for (unsigned done = 0; done < len;) {
        unsigned part = is_power(len) ? len : aligned_part(offset + done, len - done);
        bool allowed = valid_allows(&ops->valid, offset + done, part);

        for (unsigned i = done; i < done + part; i++) {
            want |= (uint64_t)(allowed ? before[offset + i] : 0xff) << (8 * i);
            after[offset + i] = allowed ? sent[i] : before[offset + i];
        }
        expected = allowed ? expected : ACCESS_REFUSED;
        done += part;
    }
    assert_int_equal(test_read(test->fixture, 0x1000 + offset, len, &got), expected);
    assert_true(got == want);
    assert_int_equal(test_write(test->fixture, 0x1000 + offset, len, value), expected);
    assert_memory_equal(test->bytes, after, BYTES);
}

static void check_sizes(struct memory_fixture *fixture, const struct region_ops *ops)
{
    struct test_device *test = test_device_plug(fixture, ops, 0x1000, 0, NULL);

    for (unsigned len = 1; len <= 8; len++) {
        for (unsigned offset = 0; offset + len <= BYTES; offset++) {
            check_size(test, ops, offset, len);
        }
    }
    test_device_pull(test);
}

static void test_size_matrix(void **state)
{
    struct memory_fixture fixture;
    unsigned combinations = 0;

    memory_fixture_init(&fixture);
    /* One digit a field: log2 of valid.min, valid.max, impl.min, impl.max; then the two `unaligned`. */
    for (unsigned n = 0; n < 4 * 4 * 4 * 4 * 4; n++) {
        const unsigned char valid_min = 1 << (n & 3), valid_max = 1 << (n >> 2 & 3), impl_min = 1 << (n >> 4 & 3),
                            impl_max = 1 << (n >> 6 & 3);
        const struct region_ops ops = {
            .read = handler_read,
            .write = handler_write,
            .valid = {.min = valid_min, .max = valid_max, .unaligned = n >> 8 & 1},
            .impl = {.min = impl_min, .max = impl_max, .unaligned = n >> 9 & 1},
        };

        if (valid_min <= valid_max && impl_min <= impl_max) {
            check_sizes(&fixture, &ops);
            combinations++;
        }
    }
    assert_int_equal(combinations, 400);
    check_sizes(&fixture, &plain_ops);
    memory_fixture_destroy(&fixture);
}

/* One access of 8 bytes to a device that implements 4 is two calls, not more; a direct one is one. */
static void test_calls_are_few(void **state)
{
    static const struct region_ops wide = {.read = handler_read, .write = handler_write, .impl = {.min = 4, .max = 4}};
    struct memory_fixture fixture;
    struct test_device *test;
    uint64_t value;

    memory_fixture_init(&fixture);
    test = test_device_plug(&fixture, &wide, 0x1000, 0, NULL);
    test_read(&fixture, 0x1000, 8, &value);
    assert_int_equal(test->calls, 2);
    test_read(&fixture, 0x1000, 4, &value);
    assert_int_equal(test->calls, 3);
    test_read(&fixture, 0x1001, 1, &value);
    assert_int_equal(test->calls, 4);
    assert_int_equal(value, 0x41);
    /* Narrower than what is implemented: the unit is read, changed, and written. */
    test_write(&fixture, 0x1002, 2, 0xbeef);
    assert_int_equal(test->calls, 6);
    test_read(&fixture, 0x1000, 4, &value);
    assert_int_equal(value, 0xbeef4140);
    test_device_pull(test);
    memory_fixture_destroy(&fixture);
}

/* --- where it goes ---------------------------------------------------------------------------------------------- */

static void test_nothing_there(void **state)
{
    struct memory_fixture fixture;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    assert_int_equal(test_read(&fixture, 0x1234, 2, &value), ACCESS_UNASSIGNED);
    assert_int_equal(value, 0xffff);
    assert_int_equal(test_write(&fixture, UINT64_MAX, 8, 0), ACCESS_UNASSIGNED);
    assert_int_equal(test_read(&fixture, UINT64_MAX - 2, 8, &value), ACCESS_UNASSIGNED);
    assert_true(value == UINT64_MAX);
    assert_int_equal(atomic_load(&fixture.map.unassigned_accesses), 3);
    memory_fixture_destroy(&fixture);
}

static void test_handler_refuses(void **state)
{
    static const struct region_ops none = {.read = NULL, .write = NULL};
    struct memory_fixture fixture;
    struct test_device *test;
    struct region deaf;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    test = test_device_plug(&fixture, &plain_ops, 0x1000, 0, NULL);
    test->answer = ACCESS_REFUSED;
    assert_int_equal(test_read(&fixture, 0x1000, 4, &value), ACCESS_REFUSED);
    assert_int_equal(value, 0xffffffff);
    assert_int_equal(test_write(&fixture, 0x1000, 8, 0), ACCESS_REFUSED);
    assert_int_equal(test->bytes[0], 0x40);
    region_init_io(&deaf, "deaf", &test->device, &none, NULL, 16, 0, NULL);
    region_add(&fixture.map, &fixture.root, 0x2000, &deaf, 0);
    assert_int_equal(test_read(&fixture, 0x2000, 4, &value), ACCESS_REFUSED);
    assert_int_equal(value, 0xffffffff);
    assert_int_equal(test_write(&fixture, 0x2000, 4, 0), ACCESS_REFUSED);
    assert_int_equal(atomic_load(&fixture.map.refused_accesses), 4);
    region_remove(&fixture.map, &deaf);
    test_device_pull(test);
    memory_fixture_destroy(&fixture);
}

/* RAM, then a device, then nothing, in one access. */
static void test_across_ranges(void **state)
{
    struct ram_block *block = ram_block_create("ram", 4096, 0, NULL);
    struct memory_fixture fixture;
    struct test_device *test;
    struct region ram, rom;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    region_init_ram(&ram, "ram", block, 0, 4096, false);
    region_add(&fixture.map, &fixture.root, 0, &ram, 0);
    test = test_device_plug(&fixture, &plain_ops, 4096, 0, NULL);
    assert_int_equal(test_write(&fixture, 4096 - 3, 8, UINT64_C(0x1122334455667788)), ACCESS_OK);
    assert_memory_equal(&block->host[4093], "\x88\x77\x66", 3);
    assert_memory_equal(test->bytes, "\x55\x44\x33\x22\x11\x45", 6);
    assert_int_equal(test_read(&fixture, 4096 - 3, 8, &value), ACCESS_OK);
    assert_true(value == UINT64_C(0x1122334455667788));
    /* The device's last byte, and what follows. */
    assert_int_equal(test_read(&fixture, 4096 + BYTES - 1, 4, &value), ACCESS_UNASSIGNED);
    assert_int_equal(value, 0xffffff00 | (0x40 + BYTES - 1));

    /* ROM: read as RAM, writes dropped and told. */
    region_init_ram(&rom, "rom", block, 0, 4096, true);
    region_add(&fixture.map, &fixture.root, 0x10000, &rom, 0);
    assert_int_equal(test_read(&fixture, 0x10000 + 4093, 2, &value), ACCESS_OK);
    assert_int_equal(value, 0x7788);
    assert_int_equal(test_write(&fixture, 0x10000 + 4093, 2, 0), ACCESS_REFUSED);
    assert_int_equal(block->host[4093], 0x88);
    assert_int_equal(atomic_load(&fixture.map.refused_accesses), 1);

    region_remove(&fixture.map, &ram);
    region_remove(&fixture.map, &rom);
    test_device_pull(test);
    region_destroy(&ram);
    region_destroy(&rom);
    ram_block_put(block);
    memory_fixture_destroy(&fixture);
}

struct redirect_plan {
    struct address_space *space;
    uint64_t address;
    bool nowhere;
};

static bool redirect_by_plan(void *opaque, uint64_t offset, struct address_space **space, uint64_t *address)
{
    const struct redirect_plan *plan = opaque;

    *space = plan->space;
    *address = plan->address + offset;
    return !plan->nowhere;
}

static void test_redirect(void **state)
{
    struct memory_fixture fixture;
    struct test_device *test;
    struct redirect_plan plan = {.address = 0x1004};
    struct redirect_plan loop = {.address = 0x2000};
    struct region port, again;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    plan.space = &fixture.space;
    loop.space = &fixture.space;
    test = test_device_plug(&fixture, &plain_ops, 0x1000, 0, NULL);
    region_init_redirect(&port, "port", redirect_by_plan, &plan, 4);
    region_init_redirect(&again, "again", redirect_by_plan, &loop, 4);
    region_add(&fixture.map, &fixture.root, 0x2000, &port, 0);
    region_add(&fixture.map, &fixture.root, 0x3000, &again, 0);
    assert_int_equal(test_read(&fixture, 0x2002, 2, &value), ACCESS_OK);
    assert_int_equal(value, 0x4746);
    assert_int_equal(test_write(&fixture, 0x2000, 4, 0x01020304), ACCESS_OK);
    assert_memory_equal(&test->bytes[4], "\x04\x03\x02\x01", 4);
    assert_int_equal(test_read(&fixture, 0x3000, 4, &value), ACCESS_UNASSIGNED);
    assert_int_equal(value, 0xffffffff);
    plan.nowhere = true;
    assert_int_equal(test_read(&fixture, 0x2000, 4, &value), ACCESS_UNASSIGNED);
    assert_int_equal(value, 0xffffffff);
    region_remove(&fixture.map, &port);
    region_remove(&fixture.map, &again);
    test_device_pull(test);
    memory_fixture_destroy(&fixture);
}

/* --- life and locks --------------------------------------------------------------------------------------------- */

static void test_leaving_device_is_not_there(void **state)
{
    struct memory_fixture fixture;
    struct test_device *locked;
    struct test_device *lockless;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    locked = test_device_plug(&fixture, &plain_ops, 0x1000, 0, NULL);
    lockless = test_device_plug(&fixture, &plain_ops, 0x2000, REGION_LOCKLESS, NULL);
    assert_int_equal(test_read(&fixture, 0x1000, 1, &value), ACCESS_OK);
    assert_int_equal(test_read(&fixture, 0x2000, 1, &value), ACCESS_OK);
    device_unplug(&locked->device);
    device_unplug(&lockless->device);
    /* Still in the view; no longer answering. */
    assert_int_equal(test_read(&fixture, 0x1000, 1, &value), ACCESS_UNASSIGNED);
    assert_int_equal(value, 0xff);
    assert_int_equal(test_write(&fixture, 0x2000, 1, 5), ACCESS_UNASSIGNED);
    assert_int_equal(lockless->bytes[0], 0x40);
    region_remove(&fixture.map, &locked->region);
    region_remove(&fixture.map, &lockless->region);
    hdl_rcu_synchronize();
    device_put(&locked->device);
    device_put(&lockless->device);
    memory_fixture_destroy(&fixture);
}

/* --- an access that waits after its handler --------------------------------------------------------------------- */

static void handler_wait(void *opaque)
{
    struct test_device *test = opaque;

    hdl_assert_unlocked();
    assert_false(device_context_is_inside());
    test->waits++;
}

/* Four bytes are four calls here; only the second one asks for a wait, the last one refuses. */
static enum access_result handler_write_waiting(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct test_device *test = opaque;

    test->calls++;
    return offset == 1 ? ACCESS_WAIT : offset == 3 ? ACCESS_REFUSED : ACCESS_OK;
}

static enum access_result handler_read_waiting(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = 0x5a;
    return ACCESS_WAIT;
}

static void test_access_waits_after_its_handler(void **state)
{
    static const struct region_ops ops = {.read = handler_read_waiting,
                                          .write = handler_write_waiting,
                                          .wait = handler_wait,
                                          .impl = {.min = 1, .max = 1}};
    struct memory_fixture fixture;
    struct test_device *test;
    uint64_t value = 0;

    memory_fixture_init(&fixture);
    test = test_device_plug(&fixture, &ops, 0x1000, 0, NULL);
    assert_int_equal(test_read(&fixture, 0x1000, 1, &value), ACCESS_OK);
    assert_int_equal(value, 0x5a);
    assert_int_equal(test->waits, 1);
    assert_int_equal(test_write(&fixture, 0x1000, 1, 0), ACCESS_OK);
    assert_int_equal(test->waits, 1);
    /* Once for the whole access, whatever its other parts said. */
    assert_int_equal(test_write(&fixture, 0x1000, 4, 0), ACCESS_OK);
    assert_int_equal(test->calls, 5);
    assert_int_equal(test->waits, 2);
    test_device_pull(test);
    memory_fixture_destroy(&fixture);
}

static void check_reach(struct test_device *from, uint64_t from_address, uint64_t to, enum access_result expected)
{
    uint64_t value;

    from->reaches = true;
    from->reach_address = to;
    for (unsigned by_write = 0; by_write <= 1; by_write++) {
        from->reach_by_write = by_write;
        from->reached = ACCESS_REFUSED;
        assert_int_equal(test_read(from->fixture, from_address, 4, &value), ACCESS_OK);
        assert_int_equal(from->reached, expected);
        from->reached = ACCESS_REFUSED;
        assert_int_equal(test_write(from->fixture, from_address + 8, 4, 0), ACCESS_OK);
        assert_int_equal(from->reached, expected);
    }
    from->reaches = false;
}

/* From inside a handler, I/O is out of reach: one's own, another's, lockless or not. RAM is not. */
static void test_reentry_is_refused(void **state)
{
    static const unsigned kinds[] = {0, REGION_LOCKLESS, REGION_LEGACY};
    struct ram_block *block = ram_block_create("ram", 4096, 0, NULL);
    struct memory_fixture fixture;
    struct test_device *devices[ARRAY_SIZE(kinds)];
    struct device_lock legacy;
    struct region ram;
    uint64_t value;

    memory_fixture_init(&fixture);
    device_lock_init(&legacy, "legacy", NULL);
    region_init_ram(&ram, "ram", block, 0, 4096, false);
    region_add(&fixture.map, &fixture.root, 0x10000, &ram, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        devices[i] =
            test_device_plug(&fixture, &plain_ops, 0x1000 * i, kinds[i], kinds[i] == REGION_LEGACY ? &legacy : NULL);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
            uint64_t before = atomic_load(&fixture.map.reentrant_accesses);

            check_reach(devices[i], 0x1000 * i, 0x1000 * k, ACCESS_REENTRANT);
            assert_int_equal(atomic_load(&fixture.map.reentrant_accesses), before + 4);
        }
        check_reach(devices[i], 0x1000 * i, 0x10000, ACCESS_OK);
        check_reach(devices[i], 0x1000 * i, 0x90000, ACCESS_UNASSIGNED);
    }
    /* The guard is gone with the handler. */
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        assert_int_equal(test_read(&fixture, 0x1000 * i, 4, &value), ACCESS_OK);
        assert_int_equal(dma_read(&fixture.space, 0x1000 * i, &value, 4), ACCESS_OK);
        test_device_pull(devices[i]);
    }
    region_remove(&fixture.map, &ram);
    region_destroy(&ram);
    ram_block_put(block);
    device_lock_destroy(&legacy);
    memory_fixture_destroy(&fixture);
}

static void test_lock_stats_name_the_region(void **state)
{
    struct memory_fixture fixture;
    struct test_device *device;
    struct lock_stats stats;
    uint64_t value;

    memory_fixture_init(&fixture);
    device = test_device_plug(&fixture, &plain_ops, 0, 0, NULL);
    assert_int_equal(device_lock_stats_enable(device->device.lock), 0);
    assert_int_equal(test_read(&fixture, 0, 4, &value), ACCESS_OK);
    device_lock_stats_read(device->device.lock, &stats);
    assert_int_equal(stats.acquisitions, 1);
    assert_non_null(strstr(stats.hold.where, "dispatch.c:"));
    assert_string_equal(stats.hold.subject, device->region.name);
    test_device_pull(device);
    memory_fixture_destroy(&fixture);
}

/* --- legacy_lock ------------------------------------------------------------------------------------------------ */

#define LEGACY_TURNS 200 /* how often the writers must have alternated */

/* Two legacy devices (one by its own lock, one by its region's flag) and one that is not. */
struct legacy_test {
    struct memory_fixture fixture;
    struct device *devices[3];
    struct region regions[3];
    uint64_t legacy_last, legacy_total; /* guarded by the legacy lock alone: ThreadSanitizer sees a race */
    _Atomic unsigned turns;
    _Atomic unsigned inside;   /* legacy handlers that run now */
    _Atomic unsigned overlaps; /* how often that was more than one */
    _Atomic bool meet;         /* handlers wait for each other */
    _Atomic bool legacy_is_in, own_is_in, gave_up;
};

/* Both sides come here while the other's handler runs; a monitor that serialises them gives up in the end. */
static void legacy_meet(struct legacy_test *test, _Atomic bool *mine, _Atomic bool *other)
{
    if (!atomic_load(&test->meet)) {
        return;
    }
    atomic_store(mine, true);
    for (unsigned i = 0; !atomic_load(other); i++) {
        if (i == 5000000) {
            atomic_store(&test->gave_up, true);
            return;
        }
        sched_yield();
    }
}

static enum access_result legacy_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct legacy_test *test = opaque;

    if (atomic_fetch_add(&test->inside, 1) != 0) {
        atomic_fetch_add(&test->overlaps, 1);
    }
    test->legacy_total++;
    if (test->legacy_last != value) {
        test->legacy_last = value;
        atomic_fetch_add(&test->turns, 1);
    }
    for (unsigned i = 0; i < 100; i++) {
        hdl_cpu_relax(); /* long enough to be met in */
    }
    legacy_meet(test, &test->legacy_is_in, &test->own_is_in);
    atomic_fetch_sub(&test->inside, 1);
    return ACCESS_OK;
}

static enum access_result own_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct legacy_test *test = opaque;

    legacy_meet(test, &test->own_is_in, &test->legacy_is_in);
    return ACCESS_OK;
}

static const struct region_ops legacy_ops = {.write = legacy_write};
static const struct region_ops own_ops = {.write = own_write};

struct legacy_writer {
    struct legacy_test *test;
    struct hdl_thread thread;
    uint64_t address, done;
};

static void legacy_writer_run(void *opaque)
{
    struct legacy_writer *writer = opaque;

    do {
        test_write(&writer->test->fixture, writer->address, 4, writer->address);
        writer->done++;
    } while (atomic_load(&writer->test->turns) < LEGACY_TURNS);
}

/* Two writers, until they have alternated often. Returns how much they wrote. */
static uint64_t legacy_run_pair(struct legacy_test *test, uint64_t first, uint64_t second)
{
    struct legacy_writer writers[2] = {{.test = test, .address = first}, {.test = test, .address = second}};

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hdl_thread_start(&writers[i].thread, "writer", legacy_writer_run, &writers[i], NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        hdl_thread_join(&writers[i].thread);
    }
    return writers[0].done + writers[1].done;
}

static void test_legacy_devices_take_turns(void **state)
{
    static struct legacy_test test;
    struct device_lock legacy;
    uint64_t written;

    memset(&test, 0, sizeof(test));
    memory_fixture_init(&test.fixture);
    device_lock_init(&legacy, "legacy", NULL);
    for (unsigned i = 0; i < 3; i++) {
        test.devices[i] = device_create(&test_type, NULL, NULL, NULL, i == 0 ? &legacy : NULL);
        region_init_io(&test.regions[i], "legacy", test.devices[i], i == 2 ? &own_ops : &legacy_ops, &test, 16,
                       i == 1 ? REGION_LEGACY : 0, &legacy);
        region_add(&test.fixture.map, &test.fixture.root, 0x1000 * i, &test.regions[i], 0);
    }
    written = legacy_run_pair(&test, 0x0000, 0x1000);
    assert_int_equal(atomic_load(&test.overlaps), 0);
    assert_int_equal(test.legacy_total, written);

    /* A legacy handler and an ordinary one run at once: each waits inside for the other. */
    atomic_store(&test.meet, true);
    legacy_run_pair(&test, 0x0000, 0x2000);
    assert_false(atomic_load(&test.gave_up));

    for (unsigned i = 0; i < 3; i++) {
        device_unplug(test.devices[i]);
        region_remove(&test.fixture.map, &test.regions[i]);
    }
    hdl_rcu_synchronize();
    for (unsigned i = 0; i < 3; i++) {
        device_put(test.devices[i]);
    }
    device_lock_destroy(&legacy);
    memory_fixture_destroy(&test.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_matrix),
        cmocka_unit_test(test_calls_are_few),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_handler_refuses),
        cmocka_unit_test(test_across_ranges),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_leaving_device_is_not_there),
        cmocka_unit_test(test_access_waits_after_its_handler),
        cmocka_unit_test(test_reentry_is_refused),
        cmocka_unit_test(test_lock_stats_name_the_region),
        cmocka_unit_test(test_legacy_devices_take_turns),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
