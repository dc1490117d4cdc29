/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset control register, port 0xCF9 (Intel ICH9 data sheet, 13.7.5): a rising edge of bit 2 resets the machine.
 * It lies inside CONFIG_ADDRESS's four bytes, above it for one-byte accesses only.
 *
 * Wiring: isa.isa before realize.
 */
#ifndef HDL_HW_MISC_RESET_CF9_H
#define HDL_HW_MISC_RESET_CF9_H

#include "hw/isa.h"

#define RESET_CF9_PORT 0xcf9

/* region: immutable after realize. value: device lock. */
struct reset_cf9 {
    struct isa_device isa; /* first */
    struct region region;
    uint8_t value;
};

extern const struct device_type reset_cf9_device_type;

#endif
