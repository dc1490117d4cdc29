/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `heddle-teach`: a small PCI function to learn from. docs/device-author-guide.md walks through it.
 *
 * BAR 0 (memory, 32-bit registers, little-endian):
 *   +0x00 ID       RO  0x48444c01
 *   +0x04 LIVENESS RW  reads as the complement of what was written
 *   +0x08 FACT     RW  write n: n! (mod 2^32) is computed later; reads the result
 *   +0x0c STATUS   RO  bit 0: computing; bit 1: DMA under way; bit 2: the last DMA failed; bit 3: the alarm is set
 *   +0x10 IRQ      RW  reads the pending causes (1 factorial, 2 DMA, 4 alarm); writing ones clears them
 *   +0x14 IRQ_MASK RW  which causes drive the pin (INTA#)
 *   +0x18 DMA_ADDR RW  guest address
 *   +0x1c DMA_LEN  RW  1..buffer-bytes
 *   +0x20 DMA_CMD  WO  1: memory to buffer, 2: buffer to memory, 3: the host's random bytes to memory
 *   +0x24 ALARM_US WO  raises cause 4 that many microseconds from now; 0 takes it back
 * BAR 1 (memory):
 *   +0x00 TICKS    RO  microseconds of the guest's clock, read without a lock
 *
 * Wiring: teach_wire and pci_device_attach before realize; device.dma_space at device_create.
 */
#ifndef HDL_HW_MISC_TEACH_H
#define HDL_HW_MISC_TEACH_H

#include "event/event_loop.h"
#include "hw/pci/pci.h"
#include "memory/dma.h"
#include "memory/region.h"

#define TEACH_ID           0x48444c01u
#define TEACH_BUFFER_BYTES 256

/*
 * Property, clock, regions, works, noise_fd, is_set_up: immutable after realize. read, read_result: loop thread from
 * read_bh's schedule to read_work's submit. The rest: device lock; read_iov and mapping stay while is_reading.
 */
struct teach {
    struct pci_device pci; /* first */
    uint32_t buffer_bytes;
    struct clock *clock;
    struct region region, ticks_region;
    struct device_work factorial_work, dma_work, alarm_work, read_work;
    struct timer alarm;
    struct bh read_bh;
    int noise_fd;
    bool is_set_up;

    struct io_request read;
    int read_result;

    uint32_t liveness, factorial, status, causes, mask;
    uint32_t dma_address, dma_len_bytes, dma_command;
    uint64_t alarm_ns;          /* deadline; 0: none */
    bool is_reading;            /* the host is writing to `mapping`, whatever became of who asked for it */
    bool is_leaving;            /* quiesce has begun */
    struct dma_mapping mapping; /* where the read goes */
    struct iovec read_iov;
    uint8_t buffer[TEACH_BUFFER_BYTES];
};

extern const struct device_type teach_device_type;

/* clock: the guest's. Between creation and realize. */
void teach_wire(struct device *device, struct clock *clock);

#endif
