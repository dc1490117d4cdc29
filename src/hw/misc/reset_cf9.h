/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset control register, port 0xCF9 (Intel ICH9 data sheet, 13.7.5): a rising edge of bit 2 resets the machine.
 *
 * The port lies inside CONFIG_ADDRESS's four bytes, so it has no region and isn't a device: the PCI host bridge passes
 * one-byte writes on (struct pci_reset_control: write = reset_cf9_write, opaque = the structure).
 */
#ifndef HDL_HW_MISC_RESET_CF9_H
#define HDL_HW_MISC_RESET_CF9_H

#include <stdatomic.h>
#include <stdint.h>

#include "device/requests.h"

/* requests: immutable. value: any thread, atomically. */
struct reset_cf9 {
    const struct machine_requests *requests; /* may be NULL */
    _Atomic uint8_t value;
};

/* requests must outlive it. Also its power-on state, when the machine is reset. */
void reset_cf9_init(struct reset_cf9 *cf9, const struct machine_requests *requests);
/* A guest's write. Any thread, no lock needed, in an RCU read section or not; doesn't wait. */
void reset_cf9_write(void *cf9, uint8_t value);

#endif
