/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The manager: what people and their programs ask of a machine, by a timer on the configuration thread's loop. Here:
 * stopping, continuing, resetting, and questions about everything, as monitors ask them.
 */
#include "hw/pci/pci.h"
#include "machine/machine_internal.h"
#include "torture.h"

/* --- running and standing still -------------------------------------------------------------------------------------
 */

static void manager_go_on(struct manager *manager)
{
    struct machine *machine = manager->torture->machine;

    if (machine_cont(machine, NULL) < 0) {
        machine_ask_reset(machine);
        machine_ask_resume(machine);
    }
}

void manager_act_pause(void *who)
{
    struct manager *manager = who;

    if (machine_state(manager->torture->machine) != MACHINE_RUNNING) {
        manager_go_on(manager);
        return;
    }
    machine_stop(manager->torture->machine);
    if (!actor_chance(&manager->actor, 4)) {
        manager_act_query(manager);
        manager_go_on(manager);
    }
}

void manager_act_reset(void *who)
{
    struct manager *manager = who;

    machine_ask_reset(manager->torture->machine);
    if (actor_chance(&manager->actor, 4)) {
        machine_ask_pause(manager->torture->machine);
    }
}

/* --- questions
 * -------------------------------------------------------------------------------------------------------- */

static void query_bus(struct pci_bus *bus)
{
    struct pci_function_info info;

    (void)pci_bus_number(bus);
    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_bus_function(bus, devfn);

        if (pci) {
            pci_device_get_info(pci, &info);
            if (pci->secondary) {
                query_bus(pci->secondary);
            }
        }
    }
}

static void query_chardev(struct chardev *chardev, void *opaque)
{
    (void)chardev_where(chardev);
    (void)chardev_is_readable(chardev);
}

void manager_act_query(void *who)
{
    struct manager *manager = who;
    struct machine *machine = manager->torture->machine;
    struct backends *backends = machine_backends(machine);
    const struct machine_device *entry;
    struct block_node *node;

    query_bus(&machine_pc(machine)->pci.bus);
    for (size_t i = 0; (entry = machine_device_nth(machine, i)); i++) {
        (void)machine_device_find(machine, entry->path);
        if (!entry->is_leaving) {
            (void)device_is_idle(entry->device);
        }
    }
    for (unsigned i = 0; (node = block_graph_node(backends->graph, i)); i++) {
        (void)block_graph_find(backends->graph, block_node_info(node)->node_name);
    }
    chardev_table_foreach(backends->chardevs, query_chardev, NULL);
    if (actor_chance(&manager->actor, 100)) {
        (void)machine_inject_nmi(machine, NULL);
    }
}

/* --- steps
 * ------------------------------------------------------------------------------------------------------------ */

static const struct torture_act manager_acts[] = {
    {"plug", 12, manager_act_plug},      {"unplug", 12, manager_act_unplug}, {"plug-wrong", 4, manager_act_plug_wrong},
    {"backend", 6, manager_act_backend}, {"feed", 8, manager_act_feed},      {"pause", 6, manager_act_pause},
    {"reset", 1, manager_act_reset},     {"query", 6, manager_act_query},    {NULL, 0, NULL},
};

static bool manager_is_late(struct manager *manager)
{
    uint64_t now_ns = clock_now_ns(&manager->clock);

    return now_ns >= manager->late_ns || (now_ns >= manager->end_ns && !reached_missing(&manager->torture->reached));
}

static void manager_fires(void *opaque)
{
    struct manager *manager = opaque;

    if (manager_is_late(manager)) {
        manager->is_ended = true;
        machine_ask_quit(manager->torture->machine, "host-signal");
        return;
    }
    actor_step(&manager->actor);
    torture_act_any(manager->torture, &manager->actor, manager_acts, manager);
    if (machine_state(manager->torture->machine) != MACHINE_RUNNING && actor_chance(&manager->actor, 4)) {
        manager_go_on(manager);
    }
    actor_does(&manager->actor, "the machine's loop");
    timer_arm(&manager->timer, clock_now_ns(&manager->clock) + actor_below(&manager->actor, 2000) * NS_PER_US);
}

static void manager_hears(void *opaque, const struct machine_event *event)
{
    struct manager *manager = opaque;

    if (event->kind == MACHINE_EVENT_DEVICE_DELETED) {
        *(event->device->has_id && event->device->device->id[0] == 'q' ? &manager->storms_deleted
                                                                       : &manager->deleted) += 1;
    }
    manager->refused += event->kind == MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR;
    if (manager->monitors.event) {
        manager->monitors.event(manager->monitors.opaque, event);
    }
}

bool manager_init(struct manager *manager, struct torture *torture)
{
    struct machine_listener listener = {.event = manager_hears, .opaque = manager};

    manager->torture = torture;
    manager->monitors = torture->machine->listener;
    actor_init(&manager->actor, "manager", torture->seed, TORTURE_DRIVERS);
    clock_init_host(&manager->clock);
    machine_set_listener(torture->machine, &listener);
    return timer_init(&manager->timer, machine_loop(torture->machine), &manager->clock, manager_fires, manager) == 0;
}

void manager_start(struct manager *manager)
{
    manager->end_ns = clock_now_ns(&manager->clock) + manager->torture->seconds * NS_PER_SEC;
    manager->late_ns = manager->end_ns + (60 + 3 * manager->torture->seconds) * NS_PER_SEC;
    timer_arm(&manager->timer, 0);
}

void manager_stop(struct manager *manager)
{
    timer_destroy(&manager->timer);
}

void manager_destroy(struct manager *manager)
{
    clock_destroy(&manager->clock);
}
