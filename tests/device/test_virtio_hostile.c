/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hostile driver can put into a ring. Each case must end with DEVICE_NEEDS_RESET and a configuration interrupt,
 * with no request lost or leaked, and a reset must make the device work again. Run these under AddressSanitizer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "virtio_driver.h"
#include "virtio_echo.h"

#define BUFFER UINT64_C(0x8000) /* RAM below what the driver allocates */
#define TABLE  UINT64_C(0x9000)
#define HOLE   (MACHINE_RAM_BYTES + 0x100000)

enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL = 1 << 7, USED = 1 << 15 };

struct hostile {
    struct pci_machine machine;
    struct virtio_echo *echo;
    struct virtio_driver driver;
    struct driver_queue *queue;
};

static void hostile_open(struct hostile *test, uint64_t features)
{
    pci_machine_init(&test->machine, false);
    test->echo = (struct virtio_echo *)pci_machine_add(&test->machine, &virtio_echo_type, NULL);
    pci_machine_assign(&test->machine);
    virtio_driver_open(&test->driver, &test->machine, test->echo->proxy.pci.devfn);
    virtio_driver_start(&test->driver, features, 1, 16);
    test->queue = &test->driver.queues[0];
}

static void hostile_expect_works(struct hostile *test)
{
    struct driver_buffer pair[2] = {{BUFFER, 4, false}, {BUFFER + 16, 4, true}};
    uint32_t len_bytes;
    uint16_t id;

    assert_true(driver_queue_add(test->queue, pair, 2, false) >= 0);
    driver_queue_kick(test->queue, true);
    assert_true(driver_queue_get(test->queue, &id, &len_bytes));
    assert_int_equal(len_bytes, 4);
}

/* The device has failed, says so, does nothing more, and comes back. */
static void hostile_expect_broken(struct hostile *test)
{
    unsigned popped = test->echo->popped;
    uint32_t len_bytes;
    uint16_t id;

    assert_int_equal(virtio_driver_status(&test->driver) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(test->machine.msi.last.data, 0x100);
    assert_int_equal(machine_read(&test->machine, test->driver.isr, 1) & 2, 2);
    driver_queue_kick(test->queue, true);
    assert_false(driver_queue_get(test->queue, &id, &len_bytes));
    assert_int_equal(test->echo->popped, popped);
    if (test->echo->held_count > 0) {
        device_lock(&test->echo->proxy.pci.device);
        virtio_echo_release(test->echo, false);
        device_unlock(&test->echo->proxy.pci.device);
    }
    test->echo->hold = false;
    virtio_driver_start(&test->driver, test->driver.features, 1, 16);
    hostile_expect_works(test);
}

static void hostile_close(struct hostile *test)
{
    assert_int_equal(test->echo->proxy.virtio.in_flight, 0);
    pci_machine_remove(&test->machine, &test->echo->proxy.pci.device);
    pci_machine_destroy(&test->machine);
}

/* --- chains that are wrong in the same way in both rings --------------------------------------------------------- */

struct bad_chain {
    const char *name;
    struct driver_buffer buffers[3];
    unsigned count;
};

static const struct bad_chain bad_chains[] = {
    {"no bytes", {{BUFFER, 0, false}}, 1},
    {"no bytes behind some", {{BUFFER, 4, false}, {BUFFER, 0, true}}, 2},
    {"readable behind writable", {{BUFFER, 4, true}, {BUFFER, 4, false}}, 2},
    {"not RAM", {{HOLE, 4, false}}, 1},
    {"a device's registers", {{MACHINE_PCI_FIRST, 4, false}}, 1},
    {"config space", {{MACHINE_ECAM, 4, true}}, 1},
    {"end of RAM", {{MACHINE_RAM_BYTES - 2, 4, true}}, 1},
    {"end of the address space", {{UINT64_MAX - 1, 4, false}}, 1},
    {"wraps", {{UINT64_MAX - 1, 0xffffffff, true}}, 1},
    {"4 GiB", {{BUFFER, 0xffffffff, false}}, 1},
    {"good, then bad", {{BUFFER, 4, false}, {BUFFER, 4, true}, {HOLE, 4, true}}, 3},
};

static void test_bad_chains(void **state)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        for (unsigned i = 0; i < ARRAY_SIZE(bad_chains); i++) {
            struct hostile test;

            hostile_open(&test, (variant & 1 ? VIRTIO_F_RING_PACKED : 0) | VIRTIO_F_INDIRECT_DESC);
            hostile_expect_works(&test);
            driver_queue_add(test.queue, bad_chains[i].buffers, bad_chains[i].count, variant & 2);
            driver_queue_kick(test.queue, true);
            hostile_expect_broken(&test);
            hostile_close(&test);
        }
    }
}

/* A descriptor that is wrong by itself. Split: made available as head 0; packed: as the next one. */
static void bad_desc_run(uint64_t features, uint64_t gpa, uint32_t len_bytes, uint16_t flags, uint16_t next)
{
    struct hostile test;

    hostile_open(&test, features);
    if (features & VIRTIO_F_RING_PACKED) {
        driver_desc_set(test.queue, 0, gpa, len_bytes, flags | AVAIL, 0);
    } else {
        driver_desc_set(test.queue, 0, gpa, len_bytes, flags, next);
        driver_avail_raw(test.queue, 0);
    }
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

static void test_bad_indirect(void **state)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        uint64_t ring = packed ? VIRTIO_F_RING_PACKED : 0;
        uint64_t both = ring | VIRTIO_F_INDIRECT_DESC;

        bad_desc_run(ring, TABLE, 16, INDIRECT, 0);             /* not negotiated */
        bad_desc_run(both, TABLE, 16, INDIRECT | NEXT, 1);      /* goes on */
        bad_desc_run(both, TABLE, 0, INDIRECT, 0);              /* empty */
        bad_desc_run(both, TABLE, 24, INDIRECT, 0);             /* half a descriptor */
        bad_desc_run(both, TABLE, 1025 * 16, INDIRECT, 0);      /* too many */
        bad_desc_run(both, TABLE, 0xfffffff0, INDIRECT, 0);     /* far too many */
        bad_desc_run(both, HOLE, 16, INDIRECT, 0);              /* nowhere */
        bad_desc_run(both, MACHINE_PCI_FIRST, 16, INDIRECT, 0); /* in registers */
        bad_desc_run(both, UINT64_MAX - 7, 16, INDIRECT, 0);    /* wraps */
    }
}

/* Tables whose contents are wrong. */
static void bad_table_run(uint64_t features, const struct vring_desc *table, unsigned count)
{
    struct hostile test;

    hostile_open(&test, features | VIRTIO_F_INDIRECT_DESC);
    memcpy(machine_host(&test.machine, TABLE), table, count * sizeof(*table));
    driver_desc_set(test.queue, 0, TABLE, 16 * count, INDIRECT | (features & VIRTIO_F_RING_PACKED ? AVAIL : 0), 0);
    if (!(features & VIRTIO_F_RING_PACKED)) {
        driver_avail_raw(test.queue, 0);
    }
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

static void test_bad_tables(void **state)
{
    const struct vring_desc loop[2] = {{BUFFER, 4, NEXT, 1}, {BUFFER, 4, NEXT, 0}};
    const struct vring_desc self[1] = {{BUFFER, 4, NEXT, 0}};
    const struct vring_desc beyond[1] = {{BUFFER, 4, NEXT, 1}};
    const struct vring_desc nested[1] = {{TABLE, 16, INDIRECT, 0}};
    const struct vring_desc packed_nested[1] = {{TABLE, 16, 0, INDIRECT}};
    const struct vring_desc packed_order[2] = {{BUFFER, 4, 0, WRITE}, {BUFFER, 4, 0, 0}};

    bad_table_run(0, loop, 2);
    bad_table_run(0, self, 1);
    bad_table_run(0, beyond, 1);
    bad_table_run(0, nested, 1);
    bad_table_run(VIRTIO_F_RING_PACKED, packed_nested, 1);
    bad_table_run(VIRTIO_F_RING_PACKED, packed_order, 2);
}

/* --- rings that lie --------------------------------------------------------------------------------------------- */

static void test_split_loop(void **state)
{
    struct hostile test;

    hostile_open(&test, 0);
    driver_desc_set(test.queue, 0, BUFFER, 4, NEXT, 1);
    driver_desc_set(test.queue, 1, BUFFER, 4, NEXT, 0);
    driver_avail_raw(test.queue, 0);
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
    bad_desc_run(0, BUFFER, 4, NEXT, 16);
    bad_desc_run(0, BUFFER, 4, NEXT, 0xffff);
}

/* One past the table, where the avail ring begins: made to look like a descriptor there, and still refused. */
static void test_split_past_table(void **state)
{
    struct hostile test;

    hostile_open(&test, 0);
    assert_int_equal(test.queue->driver_gpa, test.queue->desc_gpa + 16 * 16);
    driver_desc_set(test.queue, 0, BUFFER, 4, NEXT, 16);
    /* Bits 16 to 31 of the address are the avail index. */
    driver_desc_set(test.queue, 16, 0x10000 + BUFFER, 4, WRITE, 0);
    driver_queue_kick(test.queue, true);
    assert_int_equal(test.echo->popped, 0);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

static void test_split_heads(void **state)
{
    struct hostile test;

    hostile_open(&test, 0);
    driver_avail_raw(test.queue, 16);
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    driver_avail_raw(test.queue, 0xffff);
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    /* idx says more than the ring holds. */
    atomic_store(&test.queue->avail[1], 1000);
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    /* ... or less than it said before. */
    atomic_store(&test.queue->avail[1], (uint16_t)-1);
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

/* The same head again and again, none of them completed: no more requests than the ring has entries. */
static void test_split_same_head(void **state)
{
    struct hostile test;

    hostile_open(&test, 0);
    test.echo->hold = true;
    driver_desc_set(test.queue, 0, BUFFER, 4, WRITE, 0);
    for (unsigned i = 0; i < 16; i++) {
        driver_avail_raw(test.queue, 0);
    }
    driver_queue_kick(test.queue, true);
    assert_int_equal(test.echo->held_count, 16);
    driver_avail_raw(test.queue, 0);
    driver_queue_kick(test.queue, true);
    assert_int_equal(test.echo->held_count, 16);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

/* A packed chain that never ends, and one that laps what is in flight. */
static void test_packed_laps(void **state)
{
    struct driver_buffer one = {BUFFER, 4, true};
    struct hostile test;

    hostile_open(&test, VIRTIO_F_RING_PACKED);
    for (unsigned i = 0; i < 16; i++) {
        driver_desc_set(test.queue, i, BUFFER, 4, NEXT | AVAIL, 0);
    }
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);

    test.echo->hold = true;
    for (unsigned i = 0; i < 16; i++) {
        driver_queue_add(test.queue, &one, 1, false);
    }
    driver_queue_kick(test.queue, true);
    test.echo->hold = true;
    /* hostile_expect_works used two: the next position is 2, the wrap counter still the first. */
    for (unsigned i = 0; i < 16; i++) {
        driver_desc_set(test.queue, i, BUFFER, 4, WRITE | USED, 0);
    }
    driver_queue_kick(test.queue, true);
    for (unsigned i = 0; i < 16; i++) {
        driver_desc_set(test.queue, i, BUFFER, 4, WRITE | AVAIL, 0);
    }
    driver_queue_kick(test.queue, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

/* Ids mean nothing to the device: it gives back what it got. */
static void test_packed_any_id(void **state)
{
    struct hostile test;
    uint64_t word;

    hostile_open(&test, VIRTIO_F_RING_PACKED);
    driver_desc_set(test.queue, 0, BUFFER, 4, WRITE | AVAIL, 0xfffe);
    driver_queue_kick(test.queue, true);
    word = atomic_load(&test.queue->desc[0].word);
    assert_int_equal((uint16_t)(word >> 32), 0xfffe);
    assert_int_equal(word >> 48 & (AVAIL | USED), AVAIL | USED);
    hostile_close(&test);
}

/* --- registers -------------------------------------------------------------------------------------------------- */

static void bad_ring_run(uint64_t features, unsigned size, uint64_t desc, uint64_t driver, uint64_t device)
{
    struct pci_machine *machine;
    struct hostile test;
    uint64_t common;

    hostile_open(&test, features);
    machine = &test.machine;
    common = test.driver.common;
    virtio_driver_negotiate(&test.driver, features);
    machine_write(machine, common + 0x10, 2, 0);
    machine_write(machine, common + 0x16, 2, 0);
    machine_write(machine, common + 0x18, 2, size);
    machine_write(machine, common + 0x20, 8, desc);
    machine_write(machine, common + 0x28, 8, driver);
    machine_write(machine, common + 0x30, 8, device);
    machine_write(machine, common + 0x1c, 2, 1);
    assert_int_equal(machine_read(machine, common + 0x1c, 2), 0);
    assert_int_equal(test_msi_count(&machine->msi), 0);
    virtio_driver_ok(&test.driver);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

static void test_bad_rings(void **state)
{
    const uint64_t ram = 0x20000;

    for (unsigned packed = 0; packed < 2; packed++) {
        uint64_t features = packed ? VIRTIO_F_RING_PACKED : 0;

        bad_ring_run(features, 0, ram, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 512, ram, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 0xffff, ram, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 16, ram + 8, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 16, ram, ram + 0x1001, ram + 0x2000);
        bad_ring_run(features, 16, ram, ram + 0x1000, ram + 0x2002);
        bad_ring_run(features, 16, HOLE, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 16, ram, MACHINE_ECAM, ram + 0x2000);
        bad_ring_run(features, 16, ram, ram + 0x1000, MACHINE_PCI_FIRST);
        bad_ring_run(features, 16, MACHINE_RAM_BYTES - 16, ram + 0x1000, ram + 0x2000);
        bad_ring_run(features, 16, UINT64_MAX - 15, ram + 0x1000, ram + 0x2000);
    }
    bad_ring_run(0, 12, ram, ram + 0x1000, ram + 0x2000);
}

/* Registers of a queue that is enabled, or that doesn't exist, and vectors that don't. */
static void test_registers(void **state)
{
    struct hostile test;
    uint64_t common;

    hostile_open(&test, 0);
    common = test.driver.common;
    machine_write(&test.machine, common + 0x16, 2, 0);
    machine_write(&test.machine, common + 0x20, 8, HOLE);
    machine_write(&test.machine, common + 0x18, 2, 1);
    machine_write(&test.machine, common + 0x1c, 2, 0);
    assert_int_equal(machine_read(&test.machine, common + 0x18, 2), 16);
    hostile_expect_works(&test);
    machine_write(&test.machine, common + 0x16, 2, 1);
    machine_write(&test.machine, common + 0x1a, 2, 3);
    assert_int_equal(machine_read(&test.machine, common + 0x1a, 2), VIRTIO_NO_VECTOR);
    machine_write(&test.machine, common + 0x16, 2, 0xffff);
    machine_write(&test.machine, common + 0x1c, 2, 1);
    assert_int_equal(machine_read(&test.machine, common + 0x18, 2), 0);
    assert_int_equal(machine_read(&test.machine, common + 0x30, 8), 0);
    machine_write(&test.machine, test.driver.notify + 4 * 1000, 4, 0xffffffff);
    hostile_expect_works(&test);
    hostile_close(&test);
}

/* Every offset and size of the BAR and of config space, written and read. Nothing to see but that it survives. */
static void test_every_register(void **state)
{
    struct hostile test;
    uint64_t common;

    hostile_open(&test, VIRTIO_F_RING_PACKED);
    common = test.driver.common;
    for (unsigned offset = 0; offset < 0x4000; offset += offset % 0x1000 < 0x48 ? 1 : 0xfb8) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            machine_write(&test.machine, common + offset, size, UINT64_C(0x8182838485868788) * (offset + 1));
            (void)machine_read(&test.machine, common + offset, size);
        }
    }
    for (unsigned offset = PCI_HEADER_END; offset < 0x110; offset++) {
        machine_config_write(&test.machine, test.driver.devfn, offset, 4, 0x81028304u * offset);
        (void)machine_config_read(&test.machine, test.driver.devfn, offset, 4);
    }
    hostile_close(&test);
}

/* A ring whose memory the guest hides (a BAR over it would be the same): still mapped, still harmless. */
static void test_ring_hidden(void **state)
{
    struct hostile test;

    hostile_open(&test, 0);
    region_set_enabled(&test.machine.map, &test.machine.ram_region, false);
    machine_write(&test.machine, test.queue->notify_gpa, 2, 0);
    driver_avail_raw(test.queue, 0);
    machine_write(&test.machine, test.queue->notify_gpa, 2, 0);
    region_set_enabled(&test.machine.map, &test.machine.ram_region, true);
    hostile_expect_broken(&test);
    hostile_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_chains),      cmocka_unit_test(test_bad_indirect),
        cmocka_unit_test(test_bad_tables),      cmocka_unit_test(test_split_loop),
        cmocka_unit_test(test_split_heads),     cmocka_unit_test(test_split_past_table),
        cmocka_unit_test(test_split_same_head), cmocka_unit_test(test_packed_laps),
        cmocka_unit_test(test_packed_any_id),   cmocka_unit_test(test_bad_rings),
        cmocka_unit_test(test_registers),       cmocka_unit_test(test_every_register),
        cmocka_unit_test(test_ring_hidden),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
