/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A board without a CPU: port and memory spaces, 1 MiB of RAM at 0, interrupt lines that remember, a fake clock and one
 * event loop that the test turns by hand. The test plays the driver.
 */
#ifndef HDL_TESTS_DEVICE_RIG_H
#define HDL_TESTS_DEVICE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chardev/chardev.h"
#include "chardev/ringbuf.h"
#include "hw/isa.h"
#include "memory/dispatch.h"
#include "memory/dma.h"

#define RIG_RAM_BYTES (UINT64_C(1) << 20)

struct rig_irq {
    _Atomic bool level;
    _Atomic unsigned rises;
};

struct rig_msi {
    struct msi_target target; /* first */
    struct msi_message last;
    unsigned count;
};

struct rig {
    struct memory_map map;
    struct region io_root, mem_root, ram_region;
    struct address_space io, mem;
    struct ram_block *ram;
    struct event_loop *loop;
    struct clock clock;
    struct device_lock legacy;
    struct machine_requests requests;
    struct rig_irq irqs[ISA_IRQ_COUNT];
    struct rig_msi msi;
    unsigned resets, quits, exits;
    int exit_status;
    struct chardev_env env;
    struct isa_bus isa;
};

/* cmocka's set-up and tear-down: *state is a struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A device whose type begins with a struct isa_device, wired but not realized. */
void *rig_create(struct rig *rig, const struct device_type *type);
void rig_realize(struct device *device);
/* Unplugs it, waits until it is gone, and frees it. */
void rig_remove(struct rig *rig, struct device *device);
/* An open ringbuf chardev: what a device writes can be taken, what it reads can be put. */
struct chardev *rig_ringbuf(struct rig *rig, const char *id);

/* Turns the loop until nothing is left to do. */
void rig_settle(struct rig *rig);
void rig_advance_ns(struct rig *rig, uint64_t ns);

uint64_t rig_in(struct rig *rig, uint16_t port, unsigned size_bytes);
void rig_out(struct rig *rig, uint16_t port, unsigned size_bytes, uint64_t value);
uint64_t rig_mmio_read(struct rig *rig, uint64_t address, unsigned size_bytes);
void rig_mmio_write(struct rig *rig, uint64_t address, unsigned size_bytes, uint64_t value);

static inline uint8_t rig_inb(struct rig *rig, uint16_t port)
{
    return (uint8_t)rig_in(rig, port, 1);
}

static inline void rig_outb(struct rig *rig, uint16_t port, uint8_t value)
{
    rig_out(rig, port, 1, value);
}

int rig_main(const struct CMUnitTest *tests, size_t count);

#endif
