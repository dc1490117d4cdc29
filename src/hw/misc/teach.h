/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `heddle-teach`: a small device to learn from. docs/device-author-guide.md walks through it.
 *
 * Registers (32 bits, little-endian, at iobase):
 *   +0x00 ID       RO  0x48444c01
 *   +0x04 LIVENESS RW  reads as the complement of what was written
 *   +0x08 FACT     RW  write n: n! (mod 2^32) is computed later; reads the result
 *   +0x0c STATUS   RO  bit 0: computing; bit 1: DMA under way; bit 2: the last DMA failed; bit 3: the alarm is set
 *   +0x10 IRQ      RW  reads the pending causes (1 factorial, 2 DMA, 4 alarm); writing ones clears them
 *   +0x14 IRQ_MASK RW  which causes drive the line
 *   +0x18 DMA_ADDR RW  guest address
 *   +0x1c DMA_LEN  RW  1..256 bytes
 *   +0x20 DMA_CMD  WO  1: memory to buffer, 2: buffer to memory
 *   +0x24 ALARM_US WO  raises cause 4 that many microseconds from now; 0 takes it back
 *   +0x28 TICKS    RO  microseconds of the guest's clock, read without a lock
 *
 * Wiring: isa.isa before realize; device.dma_space at device_create.
 */
#ifndef HDL_HW_MISC_TEACH_H
#define HDL_HW_MISC_TEACH_H

#include "hw/isa.h"

#define TEACH_ID           0x48444c01u
#define TEACH_BUFFER_BYTES 256

/* Properties, regions, irq, works: immutable after realize. The rest: device lock. */
struct teach {
    struct isa_device isa; /* first */
    uint32_t iobase, irq_number;
    struct region region, ticks_region;
    struct irq_line irq;
    struct device_work factorial_work, dma_work, alarm_work;
    struct timer alarm;
    bool alarm_ready;

    uint32_t liveness, factorial, status, causes, mask;
    uint32_t dma_address, dma_len_bytes, dma_command;
    uint64_t alarm_ns; /* deadline; 0: none */
    uint8_t buffer[TEACH_BUFFER_BYTES];
};

extern const struct device_type teach_device_type;

#endif
