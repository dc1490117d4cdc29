/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug console, `isa-debugcon`: a port (iobase=0xe9) whose written bytes go to a chardev and which reads as
 * readback=0xe9, so that a guest can see that it is there. Wired like a serial port (hw/char/serial.h).
 */
#ifndef HDL_HW_CHAR_DEBUGCON_H
#define HDL_HW_CHAR_DEBUGCON_H

#include "hw/isa.h"

/* All immutable after realize. */
struct debugcon {
    struct isa_device isa; /* first */
    char *chardev_id;
    uint32_t iobase, readback;
    struct chardev *chardev;
    struct chardev_frontend frontend;
    struct region region;
};

extern const struct device_type debugcon_device_type; /* "isa-debugcon" */

#endif
