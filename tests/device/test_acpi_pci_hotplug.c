/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's hot-plug of the root bus, with the test as the DSDT: what came, what is to go, eject, refusal, what may not be
 * ejected, and reset.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "hotplug_board.h"

enum { SLOT = 4, BIT = 1 << SLOT, DEVFN = SLOT << 3 };

#define NOBODY UINT32_MAX

static struct toy *plug(struct hotplug_board *board, const char *addr, bool announce)
{
    struct toy *toy = toy_plug(&board->machine, hotplug_board_root(board), addr, NULL);

    hotplug_board_plug(&toy->pci, announce);
    return toy;
}

static uint32_t in(struct hotplug_board *board, uint16_t port)
{
    return (uint32_t)machine_in(&board->machine, port, 4);
}

static void out(struct hotplug_board *board, uint16_t port, uint32_t value)
{
    machine_out(&board->machine, port, 4, value);
}

static void test_plug_and_eject(void **state)
{
    struct hotplug_board board;

    hotplug_board_init(&board, false);
    hotplug_board_enable(&board);
    for (unsigned i = 0; i < 3; i++) {
        struct toy *toy = plug(&board, "4", true);
        unsigned calls;

        assert_true(board.sci);
        assert_true(hotplug_board_event(&board));
        assert_false(board.sci);
        assert_int_equal(in(&board, BOARD_UP), BIT);
        assert_int_equal(in(&board, BOARD_UP), 0);
        assert_int_equal(in(&board, BOARD_DOWN), 0);
        machine_config_write(&board.machine, DEVFN, PCI_BAR0, 4, 0xe0100000);
        machine_config_write(&board.machine, DEVFN, PCI_COMMAND, 2, 6);
        machine_write(&board.machine, 0xe0100000, 4, 0x33);
        assert_int_equal(toy->value[0], 0x33);

        assert_int_equal(hotplug_board_request(&toy->pci), 0);
        assert_true(hotplug_board_event(&board));
        assert_int_equal(in(&board, BOARD_DOWN), BIT);
        assert_int_equal(in(&board, BOARD_DOWN), BIT);
        assert_int_equal(hotplug_board_request(&toy->pci), 0);
        assert_true(hotplug_board_event(&board));
        calls = atomic_load(&toy->calls);
        out(&board, BOARD_EJECT, BIT);
        assert_int_equal(machine_read(&board.machine, 0xe0100000, 4), NOBODY);
        machine_write(&board.machine, 0xe0100000, 4, 1);
        assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), NOBODY);
        assert_int_equal(atomic_load(&toy->calls), calls);
        assert_int_equal(in(&board, BOARD_DOWN), 0);
        out(&board, BOARD_EJECT, BIT);
        hotplug_board_forget(&board, &toy->pci);
        out(&board, BOARD_EJECT, BIT);
        assert_false(hotplug_board_event(&board));
    }
    assert_int_equal(board.refused, 0);
    hotplug_board_destroy(&board);
}

static void test_what_stays(void **state)
{
    struct hotplug_board board;
    struct toy *toy;

    hotplug_board_init(&board, false);
    toy = plug(&board, "4", false);
    assert_false(hotplug_board_event(&board));
    assert_int_equal(in(&board, BOARD_UP), 0);
    /* The host bridge, and the port in slot 1. */
    assert_int_equal(in(&board, BOARD_REMOVABLE), 0xfffffffc);
    assert_int_equal(hotplug_board_request(&toy->pci), -ENOTCONN);
    hotplug_board_enable(&board);
    assert_int_equal(hotplug_board_request(&board.port->bridge.pci), -EBUSY);
    out(&board, BOARD_EJECT, 3);
    assert_int_equal(machine_config_read(&board.machine, BOARD_PORT_DEVFN, 0, 4), 0x000c1b36);
    assert_int_equal(machine_config_read(&board.machine, 0, 0, 4), 0x00081b36);
    /* Other buses have nothing. */
    out(&board, BOARD_SELECT, 1);
    assert_int_equal(in(&board, BOARD_SELECT), 1);
    out(&board, BOARD_EJECT, BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(in(&board, BOARD_REMOVABLE), 0);
    out(&board, BOARD_SELECT, 0);
    /* What isn't 32 bits wide isn't a register. */
    machine_out(&board.machine, BOARD_EJECT, 1, BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), 0x56781234);
    /* Unasked */
    out(&board, BOARD_EJECT, BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), NOBODY);
    hotplug_board_forget(&board, &toy->pci);
    hotplug_board_destroy(&board);
}

static void test_refusal(void **state)
{
    struct hotplug_board board;
    struct toy *toy;

    hotplug_board_init(&board, false);
    hotplug_board_enable(&board);
    toy = plug(&board, "4", false);
    out(&board, BOARD_REFUSE, BIT);
    assert_int_equal(board.refused, 0);
    assert_int_equal(hotplug_board_request(&toy->pci), 0);
    out(&board, BOARD_REFUSE, BIT);
    assert_int_equal(board.refused, 1);
    assert_ptr_equal(board.who, &toy->pci.device);
    assert_int_equal(in(&board, BOARD_DOWN), 0);
    out(&board, BOARD_REFUSE, BIT);
    assert_int_equal(board.refused, 1);
    assert_int_equal(hotplug_board_request(&toy->pci), 0);
    out(&board, BOARD_EJECT, BIT);
    assert_true(atomic_load(&toy->pci.device.state) >= DEVICE_LEAVING);
    hotplug_board_forget(&board, &toy->pci);
    hotplug_board_destroy(&board);
}

static void test_pending_at_reset(void **state)
{
    struct hotplug_board board;
    struct toy *toy, *other;

    hotplug_board_init(&board, false);
    hotplug_board_enable(&board);
    toy = plug(&board, "4", true);
    other = plug(&board, "5", true);
    assert_int_equal(hotplug_board_request(&toy->pci), 0);
    device_reset(&board.acpi->isa.device);
    assert_true(atomic_load(&toy->pci.device.state) >= DEVICE_LEAVING);
    assert_int_equal(atomic_load(&other->pci.device.state), DEVICE_REALIZED);
    assert_true(in(&board, BOARD_UP) == 0 && in(&board, BOARD_DOWN) == 0);
    hotplug_board_forget(&board, &toy->pci);
    hotplug_board_forget(&board, &other->pci);
    hotplug_board_destroy(&board);
}

/* All functions of a slot go together; one comes to a slot whose last one hasn't been forgotten yet. */
static void test_functions(void **state)
{
    struct hotplug_board board;
    struct toy *first, *second, *next;

    hotplug_board_init(&board, false);
    hotplug_board_enable(&board);
    second = plug(&board, "4.2", true);
    assert_false(hotplug_board_event(&board));
    first = plug(&board, "4.0", true);
    assert_true(hotplug_board_event(&board));
    assert_int_equal(in(&board, BOARD_UP), BIT);
    out(&board, BOARD_EJECT, BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN + 2, 0, 4), NOBODY);
    while (pci_bus_function(hotplug_board_root(&board), DEVFN)) {
        hdl_rcu_barrier();
        pci_machine_poll(&board.machine);
    }
    next = plug(&board, "4", true);
    assert_int_equal(hotplug_board_request(&next->pci), 0);
    hotplug_board_forget(&board, &first->pci);
    assert_int_equal(in(&board, BOARD_DOWN), BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), 0x56781234);
    hotplug_board_forget(&board, &second->pci);
    out(&board, BOARD_EJECT, BIT);
    assert_int_equal(machine_config_read(&board.machine, DEVFN, 0, 4), NOBODY);
    hotplug_board_forget(&board, &next->pci);
    hotplug_board_destroy(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plug_and_eject),   cmocka_unit_test(test_what_stays), cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_pending_at_reset), cmocka_unit_test(test_functions),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
