/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `pc-testdev`, as flat x86 test kernels expect it: scratch ports 0xe0-0xe3 and 0xe8-0xeb, a page-unmapping port 0xe4,
 * interrupt lines at ports 0x2000-0x2017, 64 KiB of MMIO scratch memory at 0xff000000.
 * Wiring: isa.isa before realize; device.dma_space at device_create (for port 0xe4).
 */
#ifndef HDL_HW_MISC_PC_TESTDEV_H
#define HDL_HW_MISC_PC_TESTDEV_H

#include "hw/isa.h"

#define PC_TESTDEV_MMIO_BYTES 0x10000

/* Regions: immutable after realize. scratch, mmio: device lock. */
struct pc_testdev {
    struct isa_device isa; /* first */
    struct region ioport, ioport_byte, flush, irq, iomem;
    uint32_t scratch;
    uint8_t mmio[PC_TESTDEV_MMIO_BYTES];
};

extern const struct device_type pc_testdev_device_type;

#endif
