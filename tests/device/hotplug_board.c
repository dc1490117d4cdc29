/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board of hotplug_board.h. */
#include "hotplug_board.h"

#include "leave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void board_refused(void *opaque, struct device *device)
{
    struct hotplug_board *board = opaque;

    atomic_fetch_add(&board->refused, 1);
    atomic_store(&board->who, device);
}

static void board_sci(void *opaque, unsigned pin, bool level)
{
    atomic_store(&((struct hotplug_board *)opaque)->sci, level);
}

static void *board_create_isa(struct hotplug_board *board, const struct device_type *type)
{
    struct device *device = device_create(type, NULL, board->machine.loop, NULL, NULL);

    assert_non_null(device);
    isa_device_from(device)->isa = &board->isa;
    return device;
}

static void board_add_acpi(struct hotplug_board *board)
{
    board->isa = (struct isa_bus){
        .map = &board->machine.map,
        .io_root = &board->machine.io_root,
        .mem_root = &board->machine.memory_root,
        .clock = &board->clock,
    };
    board->isa.irqs[9] = (struct irq_line){.set = board_sci, .opaque = board};
    board->pm = board_create_isa(board, &acpi_pm_device_type);
    board->pm->base = BOARD_PM;
    board->pm->gpe_base = BOARD_GPE;
    assert_int_equal(device_realize(&board->pm->isa.device, NULL), 0);
    board->acpi = board_create_isa(board, &acpi_pci_hotplug_type);
    board->acpi->base = BOARD_HOTPLUG;
    board->acpi->pm = board->pm;
    board->listener = (struct pci_hotplug_listener){.refused = board_refused, .opaque = board};
    board->acpi->hotplug.listener = &board->listener;
    assert_int_equal(device_realize(&board->acpi->isa.device, NULL), 0);
    board->machine.host.bus.hotplug = &board->acpi->hotplug;
}

static void board_add_port(struct hotplug_board *board)
{
    struct device *device =
        device_create(&pcie_root_port_type, "p1", board->machine.loop, &board->machine.memory, NULL);

    assert_int_equal(property_set(device, device->type->properties, "addr", "1", NULL), 0);
    pci_device_attach(pci_device_of(device), hotplug_board_root(board));
    assert_int_equal(device_realize(device, NULL), 0);
    board->port = (struct pcie_port *)device;
    assert_ptr_equal(board->port->hotplug.listener, &board->listener);
    hotplug_board_plug(&board->port->bridge.pci, false);
    board->express = machine_capability(&board->machine, BOARD_PORT_DEVFN, PCI_CAPABILITY_EXPRESS, 0);
}

void hotplug_board_init(struct hotplug_board *board, bool msi_routes)
{
    *board = (struct hotplug_board){0};
    pci_machine_init(&board->machine, msi_routes);
    clock_init_host(&board->clock);
    board_add_acpi(board);
    board_add_port(board);
}

void hotplug_board_destroy(struct hotplug_board *board)
{
    hotplug_board_forget(board, &board->port->bridge.pci);
    pci_machine_remove(&board->machine, &board->acpi->isa.device);
    pci_machine_remove(&board->machine, &board->pm->isa.device);
    pci_machine_destroy(&board->machine);
    clock_destroy(&board->clock);
}

void hotplug_board_plug(struct pci_device *pci, bool announce)
{
    pci->bus->hotplug->ops->plugged(pci->bus->hotplug, pci, announce);
}

int hotplug_board_request(struct pci_device *pci)
{
    return pci->bus->hotplug->ops->request_unplug(pci->bus->hotplug, pci);
}

void hotplug_board_forget(struct hotplug_board *board, struct pci_device *pci)
{
    struct device *device = &pci->device;
    struct pci_hotplug *hotplug = pci->bus->hotplug;

    devices_unplug(board->machine.loop, &device, 1);
    hotplug->ops->unplugged(hotplug, pci);
    devices_put(board->machine.loop, &device, 1);
}

void hotplug_board_enable(struct hotplug_board *board)
{
    machine_out(&board->machine, BOARD_GPE + 2, 1, 1 << ACPI_PCI_HOTPLUG_EVENT);
}

bool hotplug_board_event(struct hotplug_board *board)
{
    bool event = machine_in(&board->machine, BOARD_GPE, 1) & 1 << ACPI_PCI_HOTPLUG_EVENT;

    machine_out(&board->machine, BOARD_GPE, 1, 1 << ACPI_PCI_HOTPLUG_EVENT);
    return event;
}

uint32_t hotplug_board_port_read(struct hotplug_board *board, unsigned offset, unsigned size_bytes)
{
    return machine_config_read(&board->machine, BOARD_PORT_DEVFN, board->express + offset, size_bytes);
}

void hotplug_board_port_write(struct hotplug_board *board, unsigned offset, unsigned size_bytes, uint32_t value)
{
    machine_config_write(&board->machine, BOARD_PORT_DEVFN, board->express + offset, size_bytes, value);
}
