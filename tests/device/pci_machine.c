/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of pci_machine.h. One thread sets it up; accesses may come from any registered thread. */
#include "pci_machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "leave.h"
#include "memory/dispatch.h"

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static struct test_msi *test_msi_from(struct msi_target *target)
{
    return container_of(target, struct test_msi, target);
}

static int test_msi_send(struct msi_target *target, struct msi_message message)
{
    struct test_msi *msi = test_msi_from(target);

    hdl_mutex_lock(&msi->lock);
    msi->last = message;
    msi->calls++;
    msi->sent++;
    hdl_mutex_unlock(&msi->lock);
    return 0;
}

static int test_msi_route_add(struct msi_target *target, struct msi_message message)
{
    struct test_msi *msi = test_msi_from(target);
    int route = -ENOSPC;

    if (!msi->with_routes) {
        return -ENOTSUP;
    }
    hdl_mutex_lock(&msi->lock);
    for (int i = 0; i < MACHINE_ROUTES && route < 0; i++) {
        if (!msi->route_used[i]) {
            msi->route_used[i] = true;
            msi->routes[i] = message;
            msi->route_fd[i] = -1;
            route = i;
        }
    }
    hdl_mutex_unlock(&msi->lock);
    return route;
}

static int test_msi_route_update(struct msi_target *target, int route, struct msi_message message)
{
    struct test_msi *msi = test_msi_from(target);

    hdl_mutex_lock(&msi->lock);
    assert_true(msi->route_used[route]);
    msi->routes[route] = message;
    hdl_mutex_unlock(&msi->lock);
    return 0;
}

static void test_msi_route_remove(struct msi_target *target, int route)
{
    struct test_msi *msi = test_msi_from(target);

    hdl_mutex_lock(&msi->lock);
    assert_true(msi->route_used[route]);
    assert_int_equal(msi->route_fd[route], -1);
    msi->route_used[route] = false;
    hdl_mutex_unlock(&msi->lock);
}

static int test_msi_attach(struct msi_target *target, int route, int event_fd)
{
    struct test_msi *msi = test_msi_from(target);

    hdl_mutex_lock(&msi->lock);
    msi->route_fd[route] = event_fd;
    hdl_mutex_unlock(&msi->lock);
    return 0;
}

/* What the eventfds have sent since the last look. */
static void test_msi_collect_one(struct test_msi *msi, int route)
{
    uint64_t count;

    if (msi->route_used[route] && msi->route_fd[route] >= 0 &&
        read(msi->route_fd[route], &count, sizeof(count)) == sizeof(count)) {
        msi->sent += (unsigned)count;
        msi->last = msi->routes[route];
    }
}

static void test_msi_detach(struct msi_target *target, int route, int event_fd)
{
    struct test_msi *msi = test_msi_from(target);

    hdl_mutex_lock(&msi->lock);
    test_msi_collect_one(msi, route);
    assert_int_equal(msi->route_fd[route], event_fd);
    msi->route_fd[route] = -1;
    hdl_mutex_unlock(&msi->lock);
}

static const struct msi_target_ops test_msi_ops = {
    .send = test_msi_send,
    .route_add = test_msi_route_add,
    .route_update = test_msi_route_update,
    .route_remove = test_msi_route_remove,
    .irqfd_attach = test_msi_attach,
    .irqfd_detach = test_msi_detach,
};

unsigned test_msi_count(struct test_msi *msi)
{
    unsigned sent;

    hdl_mutex_lock(&msi->lock);
    for (int i = 0; i < MACHINE_ROUTES; i++) {
        test_msi_collect_one(msi, i);
    }
    sent = msi->sent;
    hdl_mutex_unlock(&msi->lock);
    return sent;
}

static void machine_pirq_set(void *opaque, unsigned pin, bool level)
{
    struct pci_machine *machine = opaque;

    atomic_store(&machine->pirq[pin], level);
}

static void machine_reset_write(void *opaque, uint8_t value)
{
    struct pci_machine *machine = opaque;

    atomic_fetch_add(&machine->reset_writes, 1);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void machine_ram_init(struct pci_machine *machine)
{
    machine->ram = ram_block_create("ram", MACHINE_RAM_BYTES, 0, NULL);
    machine->high = ram_block_create("high", MACHINE_HIGH_BYTES, 0, NULL);
    assert_non_null(machine->ram);
    assert_non_null(machine->high);
    region_init_ram(&machine->ram_region, "ram", machine->ram, 0, MACHINE_RAM_BYTES, false);
    region_init_ram(&machine->high_region, "high", machine->high, 0, MACHINE_HIGH_BYTES, false);
    region_add(&machine->map, &machine->memory_root, 0, &machine->ram_region, 0);
    region_add(&machine->map, &machine->memory_root, MACHINE_HIGH_RAM, &machine->high_region, 0);
    machine->next_gpa = 0x10000;
}

void pci_machine_init(struct pci_machine *machine, bool msi_routes)
{
    struct irq_line pirq[PCI_PIRQ_COUNT];
    struct pci_reset_control reset_control = {.write = machine_reset_write, .opaque = machine};

    memset(machine, 0, sizeof(*machine));
    memory_map_init(&machine->map);
    region_init_container(&machine->memory_root, "memory", 0);
    region_init_container(&machine->io_root, "io", 0x10000);
    region_init_container(&machine->pci_memory, "pci", 0);
    address_space_init(&machine->memory, &machine->map, &machine->memory_root, "memory");
    address_space_init(&machine->io, &machine->map, &machine->io_root, "io");
    machine_ram_init(machine);
    region_add(&machine->map, &machine->memory_root, 0, &machine->pci_memory, -1);
    machine->msi.target.ops = &test_msi_ops;
    machine->msi.with_routes = msi_routes;
    hdl_mutex_init(&machine->msi.lock, "test-msi", LOCK_RANK_INTC);
    for (unsigned i = 0; i < PCI_PIRQ_COUNT; i++) {
        pirq[i] = (struct irq_line){.set = machine_pirq_set, .opaque = machine, .pin = i};
    }
    pci_host_init(&machine->host, &machine->map, &machine->pci_memory, &machine->io_root, pirq, &machine->msi.target,
                  reset_control);
    region_add(&machine->map, &machine->io_root, PCI_HOST_PORT, &machine->host.address_port, 0);
    region_add(&machine->map, &machine->io_root, PCI_HOST_DATA_PORT, &machine->host.data_port, 0);
    region_add(&machine->map, &machine->memory_root, MACHINE_ECAM, &machine->host.ecam, 0);
    machine->loop = event_loop_create("test", NULL);
    assert_non_null(machine->loop);
    machine->bridge = pci_machine_add(machine, &pci_host_bridge_type, NULL);
}

void pci_machine_destroy(struct pci_machine *machine)
{
    pci_machine_remove(machine, machine->bridge);
    region_remove(&machine->map, &machine->host.ecam);
    region_remove(&machine->map, &machine->host.data_port);
    region_remove(&machine->map, &machine->host.address_port);
    region_remove(&machine->map, &machine->pci_memory);
    region_remove(&machine->map, &machine->ram_region);
    region_remove(&machine->map, &machine->high_region);
    pci_host_destroy(&machine->host);
    region_destroy(&machine->ram_region);
    region_destroy(&machine->high_region);
    address_space_destroy(&machine->memory);
    address_space_destroy(&machine->io);
    memory_map_destroy(&machine->map);
    ram_block_put(machine->ram);
    ram_block_put(machine->high);
    hdl_mutex_destroy(&machine->msi.lock);
    event_loop_destroy(machine->loop);
}

struct device *pci_machine_add(struct pci_machine *machine, const struct device_type *type, struct event_loop *loop)
{
    struct device *device = device_create(type, NULL, loop ? loop : machine->loop, &machine->memory, NULL);
    struct error *err = NULL;

    assert_non_null(device);
    pci_device_attach(pci_device_of(device), &machine->host.bus);
    assert_int_equal(device_realize(device, &err), 0);
    return device;
}

void pci_machine_remove(struct pci_machine *machine, struct device *device)
{
    devices_unplug(machine->loop, &device, 1);
    devices_put(machine->loop, &device, 1);
}

void pci_machine_assign(struct pci_machine *machine)
{
    struct pci_window memory = {.first = MACHINE_PCI_FIRST, .last = MACHINE_PCI_LAST};
    struct pci_window none = {.first = 1, .last = 0};
    struct pci_window io = {.first = 0xc000, .last = 0xffff};

    assert_int_equal(pci_bus_assign(&machine->host.bus, memory, none, io), 0);
}

struct ioeventfd_count {
    struct memory_listener listener;
    unsigned count;
};

static void machine_count_range(struct memory_listener *listener, const struct flat_range *range)
{
}

static void machine_count_ioeventfd(struct memory_listener *listener, const struct ioeventfd *event)
{
    container_of(listener, struct ioeventfd_count, listener)->count++;
}

unsigned pci_machine_ioeventfds(struct pci_machine *machine)
{
    struct ioeventfd_count count = {.listener = {.range_add = machine_count_range,
                                                 .range_del = machine_count_range,
                                                 .ioeventfd_add = machine_count_ioeventfd}};

    address_space_add_listener(&machine->memory, &count.listener);
    address_space_remove_listener(&machine->memory, &count.listener);
    return count.count;
}

void pci_machine_poll(struct pci_machine *machine)
{
    while (event_loop_poll(machine->loop, false)) {
    }
}

/* --- accesses --------------------------------------------------------------------------------------------------- */

uint64_t machine_read(struct pci_machine *machine, uint64_t gpa, unsigned size_bytes)
{
    uint64_t value = 0;

    (void)address_space_read(&machine->memory, NULL, gpa, size_bytes, &value);
    return value;
}

void machine_write(struct pci_machine *machine, uint64_t gpa, unsigned size_bytes, uint64_t value)
{
    (void)address_space_write(&machine->memory, NULL, gpa, size_bytes, value);
}

uint64_t machine_in(struct pci_machine *machine, uint16_t port, unsigned size_bytes)
{
    uint64_t value = 0;

    (void)address_space_read(&machine->io, NULL, port, size_bytes, &value);
    return value;
}

void machine_out(struct pci_machine *machine, uint16_t port, unsigned size_bytes, uint64_t value)
{
    (void)address_space_write(&machine->io, NULL, port, size_bytes, value);
}

uint32_t machine_config_read(struct pci_machine *machine, unsigned devfn, unsigned offset, unsigned size_bytes)
{
    return (uint32_t)machine_read(machine, MACHINE_ECAM + ((uint64_t)devfn << 12) + offset, size_bytes);
}

void machine_config_write(struct pci_machine *machine, unsigned devfn, unsigned offset, unsigned size_bytes,
                          uint32_t value)
{
    machine_write(machine, MACHINE_ECAM + ((uint64_t)devfn << 12) + offset, size_bytes, value);
}

unsigned machine_capability(struct pci_machine *machine, unsigned devfn, uint8_t id, unsigned after)
{
    unsigned offset = machine_config_read(machine, devfn, after ? after + 1 : PCI_CAPABILITIES, 1);

    while (offset && machine_config_read(machine, devfn, offset, 1) != id) {
        offset = machine_config_read(machine, devfn, offset + 1, 1);
    }
    return offset;
}

uint64_t machine_alloc(struct pci_machine *machine, uint64_t len_bytes, uint64_t align)
{
    uint64_t gpa = ALIGN_UP(machine->next_gpa, align);

    assert_true(gpa + len_bytes <= MACHINE_RAM_BYTES);
    machine->next_gpa = gpa + len_bytes;
    memset(machine->ram->host + gpa, 0, len_bytes);
    return gpa;
}

void *machine_host(struct pci_machine *machine, uint64_t gpa)
{
    return gpa >= MACHINE_HIGH_RAM ? machine->high->host + (gpa - MACHINE_HIGH_RAM) : machine->ram->host + gpa;
}
