/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board of rig.h. Everything on the test's own thread unless a test starts others. */
#include "rig.h"

#include <stdlib.h>

#include "base/rcu.h"
#include "base/thread.h"
#include "leave.h"

static void rig_irq_set(void *opaque, unsigned pin, bool level)
{
    struct rig *rig = opaque;
    bool old = atomic_exchange(&rig->irqs[pin].level, level);

    if (level && !old) {
        atomic_fetch_add(&rig->irqs[pin].rises, 1);
    }
}

static int rig_msi_send(struct msi_target *target, struct msi_message message)
{
    struct rig_msi *msi = (struct rig_msi *)target;

    msi->last = message;
    msi->count++;
    return 0;
}

static const struct msi_target_ops rig_msi_ops = {.send = rig_msi_send};

static void rig_reset(void *opaque)
{
    ((struct rig *)opaque)->resets++;
}

static void rig_quit(void *opaque)
{
    ((struct rig *)opaque)->quits++;
}

static void rig_exit(void *opaque, int status)
{
    struct rig *rig = opaque;

    rig->exits++;
    rig->exit_status = status;
}

static void rig_build_memory(struct rig *rig)
{
    memory_map_init(&rig->map);
    region_init_container(&rig->io_root, "io", 0x10000);
    region_init_container(&rig->mem_root, "memory", UINT64_C(1) << 40);
    rig->ram = ram_block_create("ram", RIG_RAM_BYTES, 0, NULL);
    assert_non_null(rig->ram);
    region_init_ram(&rig->ram_region, "ram", rig->ram, 0, RIG_RAM_BYTES, false);
    region_add(&rig->map, &rig->mem_root, 0, &rig->ram_region, 0);
    address_space_init(&rig->io, &rig->map, &rig->io_root, "io");
    address_space_init(&rig->mem, &rig->map, &rig->mem_root, "memory");
}

int rig_setup(void **state)
{
    struct rig *rig = aligned_alloc(HDL_CACHE_LINE, ALIGN_UP(sizeof(*rig), (size_t)HDL_CACHE_LINE));

    *rig = (struct rig){0};
    rig_build_memory(rig);
    clock_init_fake(&rig->clock, NS_PER_SEC);
    rig->loop = event_loop_create("rig", NULL);
    assert_non_null(rig->loop);
    device_lock_init(&rig->legacy, "legacy", rig->loop);
    rig->requests = (struct machine_requests){.reset = rig_reset, .quit = rig_quit, .exit = rig_exit, .opaque = rig};
    rig->msi.target.ops = &rig_msi_ops;
    rig->env = (struct chardev_env){.loop = rig->loop, .clock = &rig->clock, .requests = &rig->requests};
    rig->isa = (struct isa_bus){
        .map = &rig->map,
        .io_root = &rig->io_root,
        .mem_root = &rig->mem_root,
        .clock = &rig->clock,
        .msi = &rig->msi.target,
        .legacy_lock = &rig->legacy,
        .requests = &rig->requests,
        .chardevs = chardev_table_create(),
    };
    for (unsigned i = 0; i < ISA_IRQ_COUNT; i++) {
        rig->isa.irqs[i] = (struct irq_line){.set = rig_irq_set, .opaque = rig, .pin = i};
    }
    *state = rig;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;

    rig_settle(rig);
    chardev_table_destroy(rig->isa.chardevs);
    region_remove(&rig->map, &rig->ram_region);
    address_space_destroy(&rig->io);
    address_space_destroy(&rig->mem);
    region_destroy(&rig->ram_region);
    region_destroy(&rig->io_root);
    region_destroy(&rig->mem_root);
    ram_block_put(rig->ram);
    device_lock_destroy(&rig->legacy);
    event_loop_destroy(rig->loop);
    clock_destroy(&rig->clock);
    hdl_rcu_barrier();
    memory_map_destroy(&rig->map);
    free(rig);
    return 0;
}

void *rig_create(struct rig *rig, const struct device_type *type)
{
    struct device *device = device_create(type, NULL, rig->loop, &rig->mem, NULL);

    assert_non_null(device);
    isa_device_from(device)->isa = &rig->isa;
    return device;
}

void rig_realize(struct device *device)
{
    struct error *err = NULL;

    if (device_realize(device, &err) != 0) {
        fail_msg("%s: %s", device->type->name, err ? err->message : "?");
    }
}

void rig_remove(struct rig *rig, struct device *device)
{
    devices_unplug(rig->loop, &device, 1);
    devices_put(rig->loop, &device, 1);
}

struct chardev *rig_ringbuf(struct rig *rig, const char *id)
{
    struct chardev *chardev = chardev_create(chardev_type_find("ringbuf", NULL), id, &rig->env);

    assert_int_equal(chardev_open(chardev, NULL), 0);
    assert_int_equal(chardev_table_add(rig->isa.chardevs, chardev, NULL), 0);
    return chardev;
}

void rig_settle(struct rig *rig)
{
    while (event_loop_poll(rig->loop, false)) {
    }
}

void rig_advance_ns(struct rig *rig, uint64_t ns)
{
    clock_advance_ns(&rig->clock, ns);
    rig_settle(rig);
}

uint64_t rig_in(struct rig *rig, uint16_t port, unsigned size_bytes)
{
    uint64_t value = 0;

    address_space_read(&rig->io, NULL, port, size_bytes, &value);
    return value;
}

void rig_out(struct rig *rig, uint16_t port, unsigned size_bytes, uint64_t value)
{
    address_space_write(&rig->io, NULL, port, size_bytes, value);
}

uint64_t rig_mmio_read(struct rig *rig, uint64_t address, unsigned size_bytes)
{
    uint64_t value = 0;

    address_space_read(&rig->mem, NULL, address, size_bytes, &value);
    return value;
}

void rig_mmio_write(struct rig *rig, uint64_t address, unsigned size_bytes, uint64_t value)
{
    address_space_write(&rig->mem, NULL, address, size_bytes, value);
}

int rig_main(const struct CMUnitTest *tests, size_t count)
{
    int failed;

    hdl_thread_register_main();
    failed = _cmocka_run_group_tests("device", tests, count, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
