/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Base addresses that move while others use what is behind them: to another place of the window, over each other, over
 * RAM, config space and the board's own devices, and to nowhere. And command registers that switch decoding off and on.
 */
#include "hw/pci/pci.h"
#include "machine/pc_layout.h"
#include "torture.h"

static uint64_t bar_place(struct driver *driver, bool is_io, uint64_t old)
{
    switch (actor_below(&driver->actor, 8)) {
    case 0:
        return is_io ? actor_below(&driver->actor, 0x10000) : actor_random(&driver->actor);
    case 1:
        return 0;
    case 2: /* over RAM, or over what the board has */
        return is_io ? PC_PORT_PM : actor_below(&driver->actor, TORTURE_RAM_BYTES);
    case 3:
        return is_io ? PC_PORT_PCI_IO : PC_HPET;
    case 4:
        return old;
    default:
        return is_io ? PC_PORT_PCI_IO + actor_below(&driver->actor, PC_PORT_PCI_IO_SIZE)
                     : PC_PCI_MMIO32 + actor_below(&driver->actor, 256) * 0x10000;
    }
}

void driver_act_bars(void *who)
{
    struct driver *driver = who;
    uint64_t function = driver_find_function(driver);
    uint64_t bar = function + PCI_BAR0 + 4 * actor_below(&driver->actor, PCI_BAR_COUNT);
    uint64_t old;
    bool is_io;

    if (!function) {
        return;
    }
    old = driver_read(driver, bar, 4);
    is_io = old & PCI_BAR_IO_SPACE;
    if (actor_chance(&driver->actor, 2)) {
        driver_write(driver, bar, 4, UINT32_MAX); /* asks for its size */
        (void)driver_read(driver, bar, 4);
    }
    driver_write(driver, bar, 4, bar_place(driver, is_io, old));
    for (unsigned i = 0; i < 4; i++) {
        uint64_t now = driver_read(driver, bar, 4);

        if (is_io) {
            (void)driver_in(driver, now & 0xfffc, 4);
        } else {
            (void)driver_read(driver, now & ~UINT64_C(15), 4);
        }
    }
    if (actor_chance(&driver->actor, 2)) {
        driver_write(driver, bar, 4, old);
    }
}

/* Mostly on again at once: what isn't decoded isn't reached. */
void driver_act_decode(void *who)
{
    struct driver *driver = who;
    uint64_t function = driver_find_function(driver);
    unsigned all = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

    if (!function) {
        return;
    }
    driver_write(driver, function + PCI_COMMAND, 2, actor_random(&driver->actor) & (all | PCI_COMMAND_INTX_DISABLE));
    (void)driver_read(driver, function + PCI_STATUS, 2);
    if (!actor_chance(&driver->actor, 8)) {
        driver_write(driver, function + PCI_COMMAND, 2, all);
    }
}
