/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain accesses, of any size and alignment, to whatever the flat views show: each range is as likely as any other, so
 * what a device shows is found without anybody saying where it is. And config space, by both ways there are.
 */
#include <string.h>

#include "hw/pci/pci_host.h"
#include "machine/pc_layout.h"
#include "torture.h"

/* A write there ends or resets the machine: a thousandth of them is plenty. */
#define ACCESS_RARE 3000

struct access_target {
    uint64_t address, len_bytes;
    bool is_ram, ends_machine;
};

static bool access_pick(struct driver *driver, struct address_space *space, struct access_target *target)
{
    const struct flat_range *range;
    const struct flat_view *view;
    bool found = false;

    hdl_rcu_read_lock();
    view = hdl_rcu_dereference(&space->view);
    if (view->count > 0) {
        range = &view->ranges[actor_below(&driver->actor, view->count)];
        found = range->region->kind != REGION_REDIRECT;
        *target = (struct access_target){
            .address = range->start,
            .len_bytes = range->last - range->start + 1,
            .is_ram = range->ram != NULL,
            .ends_machine = range->region->owner && strcmp(range->region->owner->type->name, "isa-debug-exit") == 0};
    }
    hdl_rcu_read_unlock();
    return found;
}

/* Mostly near the start of the range, where registers are. */
static uint64_t access_offset(struct driver *driver, const struct access_target *target)
{
    static const uint64_t spans[] = {0x10, 0x40, 0x100, 0x1000, UINT64_MAX};
    uint64_t span = MIN(spans[actor_below(&driver->actor, ARRAY_SIZE(spans))], target->len_bytes);

    if (target->is_ram) {
        span = MIN(target->len_bytes, TORTURE_ARENA);
    }
    return actor_below(&driver->actor, span ? span : 1);
}

/* Small numbers, single bits, and anything. */
static uint64_t access_value(struct driver *driver)
{
    switch (actor_below(&driver->actor, 4)) {
    case 0:
        return actor_below(&driver->actor, 16);
    case 1:
        return UINT64_C(1) << actor_below(&driver->actor, 64);
    case 2:
        return TORTURE_ARENA / 2 + actor_below(&driver->actor, 0x1000) * 16; /* an address, for DMA */
    default:
        return actor_random(&driver->actor);
    }
}

/* Mostly powers of two. */
static unsigned access_size(struct driver *driver)
{
    return actor_chance(&driver->actor, 8) ? 1 + (unsigned)actor_below(&driver->actor, 8)
                                           : 1u << actor_below(&driver->actor, 4);
}

/* Whether a port's write is one of those that end a run. */
static bool access_ends_machine(uint64_t port, unsigned size_bytes, uint64_t value)
{
    uint64_t last = port + size_bytes - 1;

    return (port <= PC_PORT_RESET && last >= PC_PORT_RESET) || (port <= PC_PORT_PM + 5 && last >= PC_PORT_PM + 4) ||
           (port <= PC_PORT_I8042 + 4 && last >= PC_PORT_I8042 + 4 &&
            (value >> (8 * (PC_PORT_I8042 + 4 - port)) & 0xf0) == 0xf0);
}

static void access_port(struct driver *driver)
{
    unsigned size_bytes = MIN(access_size(driver), 4u);
    struct access_target target;
    uint64_t value, port;

    if (!access_pick(driver, &machine_pc(driver->torture->machine)->io, &target)) {
        return;
    }
    port = target.address + access_offset(driver, &target);
    value = access_value(driver);
    if (actor_chance(&driver->actor, 2)) {
        (void)driver_in(driver, port, size_bytes);
    } else if (!(target.ends_machine || access_ends_machine(port, size_bytes, value)) ||
               actor_chance(&driver->actor, ACCESS_RARE)) {
        driver_out(driver, port, size_bytes, value);
    }
}

static void access_memory(struct driver *driver)
{
    unsigned size_bytes = access_size(driver);
    struct access_target target;
    uint64_t address;

    if (!access_pick(driver, &machine_pc(driver->torture->machine)->memory, &target)) {
        return;
    }
    address = target.address + access_offset(driver, &target);
    if (actor_chance(&driver->actor, 2)) {
        (void)driver_read(driver, address, size_bytes);
    } else {
        driver_write(driver, address, size_bytes, access_value(driver));
    }
}

void driver_act_access(void *who)
{
    struct driver *driver = who;

    for (unsigned i = 0; i < 16; i++) {
        if (actor_chance(&driver->actor, 2)) {
            access_port(driver);
        } else {
            access_memory(driver);
        }
    }
}

/* --- config space ---------------------------------------------------------------------------------------------------
 */

/* The two ports are everybody's: another driver may move CONFIG_ADDRESS in between. */
static void config_by_ports(struct driver *driver, uint64_t function, unsigned offset, unsigned size_bytes, bool write,
                            uint64_t value)
{
    driver_out(driver, PCI_HOST_PORT, 4, 0x80000000u | (function - PC_ECAM) >> 4 | (offset & 0xfc));
    if (write) {
        driver_out(driver, PCI_HOST_DATA_PORT + (offset & 3), size_bytes, value);
    } else {
        (void)driver_in(driver, PCI_HOST_DATA_PORT + (offset & 3), size_bytes);
    }
}

void driver_act_config(void *who)
{
    struct driver *driver = who;
    uint64_t function = driver_find_function(driver);

    for (unsigned i = 0; function && i < 8; i++) {
        unsigned size_bytes = 1u << actor_below(&driver->actor, 3);
        unsigned offset = (unsigned)actor_below(&driver->actor, actor_chance(&driver->actor, 8) ? 4096 : 256);
        bool write = actor_chance(&driver->actor, 3);
        uint64_t value = access_value(driver);

        offset &= ~(size_bytes - 1);
        if (actor_chance(&driver->actor, 3)) {
            config_by_ports(driver, function, offset & 0xff, size_bytes, write, value);
        } else if (write) {
            driver_write(driver, function + offset, size_bytes, value);
        } else {
            (void)driver_read(driver, function + offset, size_bytes);
        }
    }
}
