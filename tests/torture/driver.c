/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver: a thread that dispatches as a vCPU does, one act after another, each of them through the turnstile. It
 * counts which type of device answered: the owner is looked up before the access, so one that has just gone may get a
 * count too much.
 */
#include <inttypes.h>

#include "hw/pci/pci_regs.h"
#include "machine/pc_layout.h"
#include "memory/dispatch.h"
#include "torture.h"

static const struct torture_act driver_acts[] = {
    {"access", 40, driver_act_access},
    {"config", 12, driver_act_config},
    {"bars", 8, driver_act_bars},
    {"decode", 8, driver_act_decode},
    {"queue-open", 8, driver_act_queue_open},
    {"queue-kick", 40, driver_act_queue_kick},
    {"queue-reset", 3, driver_act_queue_reset},
    {"queue-spoil", 6, driver_act_queue_spoil},
    {"eject", 6, driver_act_eject},
    {"ask", 1, driver_act_ask},
    {NULL, 0, NULL},
};

void driver_run(void *opaque)
{
    struct driver *driver = opaque;

    while (!atomic_load_explicit(&driver->torture->over, memory_order_relaxed)) {
        actor_step(&driver->actor);
        if (turnstile_enter(driver)) {
            torture_act_any(driver->torture, &driver->actor, driver_acts, driver);
            turnstile_leave(driver);
        }
    }
    atomic_store(&driver->actor.is_waiting, true);
}

/* --- accesses ----------------------------------------------------------------------------------------------------- */

static const struct device_type *driver_owner_type(struct address_space *space, struct flat_cache *cache,
                                                   uint64_t address)
{
    const struct device_type *type = NULL;
    const struct flat_range *range;

    hdl_rcu_read_lock();
    range = flat_view_find(hdl_rcu_dereference(&space->view), cache, address);
    if (range && range->region->kind == REGION_IO && range->region->owner) {
        type = range->region->owner->type;
    }
    hdl_rcu_read_unlock();
    return type;
}

static void driver_count(struct driver *driver, const struct device_type *type, enum access_result result)
{
    atomic_fetch_add_explicit(&driver->torture->accesses, 1, memory_order_relaxed);
    if (result == ACCESS_OK) {
        atomic_fetch_add_explicit(&driver->torture->answered, 1, memory_order_relaxed);
        if (type) {
            reached_count(&driver->torture->reached, type, 1);
        }
    }
}

static uint64_t space_read(struct driver *driver, struct address_space *space, struct flat_cache *cache,
                           uint64_t address, unsigned size_bytes)
{
    const struct device_type *type = driver_owner_type(space, cache, address);
    uint64_t value;

    driver_count(driver, type, address_space_read(space, cache, address, size_bytes, &value));
    return value;
}

static void space_write(struct driver *driver, struct address_space *space, struct flat_cache *cache, uint64_t address,
                        unsigned size_bytes, uint64_t value)
{
    const struct device_type *type = driver_owner_type(space, cache, address);

    driver_count(driver, type, address_space_write(space, cache, address, size_bytes, value));
}

uint64_t driver_read(struct driver *driver, uint64_t address, unsigned size_bytes)
{
    return space_read(driver, &machine_pc(driver->torture->machine)->memory, &driver->memory_cache, address,
                      size_bytes);
}

void driver_write(struct driver *driver, uint64_t address, unsigned size_bytes, uint64_t value)
{
    space_write(driver, &machine_pc(driver->torture->machine)->memory, &driver->memory_cache, address, size_bytes,
                value);
}

uint64_t driver_in(struct driver *driver, uint64_t port, unsigned size_bytes)
{
    return space_read(driver, &machine_pc(driver->torture->machine)->io, &driver->io_cache, port, size_bytes);
}

void driver_out(struct driver *driver, uint64_t port, unsigned size_bytes, uint64_t value)
{
    space_write(driver, &machine_pc(driver->torture->machine)->io, &driver->io_cache, port, size_bytes, value);
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

/* Any range of ECAM that is some function's: bridges decide where those are. */
uint64_t driver_find_function(struct driver *driver)
{
    struct address_space *space = &machine_pc(driver->torture->machine)->memory;
    uint64_t address = 0;
    uint64_t skip;
    const struct flat_view *view;
    unsigned count = 0;

    hdl_rcu_read_lock();
    view = hdl_rcu_dereference(&space->view);
    for (unsigned i = 0; i < view->count; i++) {
        count += view->ranges[i].start >= PC_ECAM && view->ranges[i].start <= PC_ECAM_LAST;
    }
    skip = actor_below(&driver->actor, count ? count : 1);
    for (unsigned i = 0; count && i < view->count; i++) {
        if (view->ranges[i].start >= PC_ECAM && view->ranges[i].start <= PC_ECAM_LAST && skip-- == 0) {
            address = ALIGN_DOWN(view->ranges[i].start, UINT64_C(4096));
            break;
        }
    }
    hdl_rcu_read_unlock();
    return address;
}
