/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `isa-debug-exit`: writing a value to its ports (iobase=0x501, iosize=2) ends the process with status value << 1 | 1.
 * Wiring: isa.isa before realize (requests->exit).
 */
#ifndef HDL_HW_MISC_ISA_DEBUG_EXIT_H
#define HDL_HW_MISC_ISA_DEBUG_EXIT_H

#include "hw/isa.h"

/* All immutable after realize. */
struct isa_debug_exit {
    struct isa_device isa; /* first */
    uint32_t iobase, iosize;
    struct region region;
};

extern const struct device_type isa_debug_exit_device_type;

#endif
