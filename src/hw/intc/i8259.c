/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two 8259As on a PC's board: their ports, their cascade and INTR. What a chip does is in i8259_chip.c.
 *
 * Everything is under one lock of INTC rank. Devices take it to set a line, CPU 0's thread to acknowledge, and the
 * handlers of the ports too: the regions are lockless, so that nobody needs the device lock, and a vCPU at the ports
 * waits only for the few instructions that somebody else spends in the chips. After each change the second chip's
 * output is carried to the first's input, and that one's to INTR.
 *
 * A hostile guest can confuse its own chips; every access is a bounded amount of work.
 */
#include "hw/intc/i8259.h"

#define CASCADE_PIN 2
#define CASCADE_BIT (1 << CASCADE_PIN)

/* Timer, keyboard and cascade; clock and coprocessor: always edges (Intel ICH9 data sheet, 13.4.8). */
#define ELCR_MASK_MASTER 0xf8
#define ELCR_MASK_SLAVE  0xde

static void i8259_update_locked(struct i8259 *pic) HDL_REQUIRES(&pic->lock)
{
    bool intr;

    i8259_chip_set(&pic->chips[0], CASCADE_PIN, i8259_chip_request(&pic->chips[1]) >= 0);
    intr = i8259_chip_request(&pic->chips[0]) >= 0;
    if (intr != atomic_load_explicit(&pic->intr, memory_order_relaxed)) {
        atomic_store_explicit(&pic->intr, intr, memory_order_release);
        irq_set(&pic->output, intr);
    }
}

static void i8259_set(void *opaque, unsigned pin, bool level)
{
    struct i8259 *pic = opaque;

    hdl_mutex_lock(&pic->lock);
    i8259_chip_set(&pic->chips[pin / 8], pin % 8, level);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
}

struct irq_line i8259_input(struct i8259 *pic, unsigned pin)
{
    struct irq_line none = {0};

    return pin == CASCADE_PIN ? none : (struct irq_line){.set = i8259_set, .opaque = pic, .pin = pin};
}

bool i8259_is_pending(struct i8259 *pic)
{
    return atomic_load_explicit(&pic->intr, memory_order_acquire);
}

static int i8259_acknowledge_locked(struct i8259 *pic) HDL_REQUIRES(&pic->lock)
{
    struct i8259_chip *chip = &pic->chips[0];
    int pin = i8259_chip_request(chip);

    if (pin < 0) {
        return -1;
    }
    i8259_chip_acknowledge(chip, (unsigned)pin);
    if (pin == CASCADE_PIN) {
        chip = &pic->chips[1];
        pin = i8259_chip_request(chip); /* there is one: the cascade's level is nothing else */
        if (pin < 0) {
            pin = 7;
        } else {
            i8259_chip_acknowledge(chip, (unsigned)pin);
        }
    }
    return chip->vector_base + pin;
}

int i8259_acknowledge(struct i8259 *pic)
{
    int vector;

    hdl_mutex_lock(&pic->lock);
    vector = i8259_acknowledge_locked(pic);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
    return vector;
}

/* --- ports: any thread ------------------------------------------------------------------------------------------ */

static uint8_t i8259_read_port(struct i8259 *pic, unsigned chip, unsigned port)
{
    uint8_t value;

    hdl_mutex_lock(&pic->lock);
    value = i8259_chip_read(&pic->chips[chip], port);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
    return value;
}

static void i8259_write_port(struct i8259 *pic, unsigned chip, unsigned port, uint8_t value)
{
    hdl_mutex_lock(&pic->lock);
    i8259_chip_write(&pic->chips[chip], port, value);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
}

static enum access_result master_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = i8259_read_port(opaque, 0, (unsigned)offset);
    return ACCESS_OK;
}

static enum access_result master_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    i8259_write_port(opaque, 0, (unsigned)offset, (uint8_t)value);
    return ACCESS_OK;
}

static enum access_result slave_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = i8259_read_port(opaque, 1, (unsigned)offset);
    return ACCESS_OK;
}

static enum access_result slave_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    i8259_write_port(opaque, 1, (unsigned)offset, (uint8_t)value);
    return ACCESS_OK;
}

static enum access_result elcr_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8259 *pic = opaque;

    hdl_mutex_lock(&pic->lock);
    *value = pic->chips[offset].elcr;
    hdl_mutex_unlock(&pic->lock);
    return ACCESS_OK;
}

static enum access_result elcr_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8259 *pic = opaque;

    hdl_mutex_lock(&pic->lock);
    i8259_chip_write_elcr(&pic->chips[offset], (uint8_t)value);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
    return ACCESS_OK;
}

#define BYTE_SIZES .valid = {.min = 1, .max = 2, .unaligned = true}, .impl = {.min = 1, .max = 1}

static const struct region_ops master_ops = {.read = master_read, .write = master_write, BYTE_SIZES};
static const struct region_ops slave_ops = {.read = slave_read, .write = slave_write, BYTE_SIZES};
static const struct region_ops elcr_ops = {.read = elcr_read, .write = elcr_write, BYTE_SIZES};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void i8259_reset(struct device *device)
{
    struct i8259 *pic = container_of(device, struct i8259, isa.device);

    hdl_mutex_lock(&pic->lock);
    i8259_chip_reset(&pic->chips[0]);
    i8259_chip_reset(&pic->chips[1]);
    i8259_update_locked(pic);
    hdl_mutex_unlock(&pic->lock);
}

static HDL_UNSHARED int i8259_realize(struct device *device, struct error **err)
{
    struct i8259 *pic = container_of(device, struct i8259, isa.device);
    const struct isa_bus *isa = pic->isa.isa;

    hdl_mutex_init(&pic->lock, "i8259", LOCK_RANK_INTC);
    pic->chips[0] = (struct i8259_chip){.cascade_mask = CASCADE_BIT, .elcr_mask = ELCR_MASK_MASTER};
    pic->chips[1] = (struct i8259_chip){.elcr_mask = ELCR_MASK_SLAVE};
    i8259_chip_reset(&pic->chips[0]);
    i8259_chip_reset(&pic->chips[1]);
    region_init_io(&pic->master_region, "pic-master", device, &master_ops, pic, 2, REGION_LOCKLESS, NULL);
    region_init_io(&pic->slave_region, "pic-slave", device, &slave_ops, pic, 2, REGION_LOCKLESS, NULL);
    region_init_io(&pic->elcr_region, "pic-elcr", device, &elcr_ops, pic, 2, REGION_LOCKLESS, NULL);
    region_add(isa->map, isa->io_root, I8259_PORT_MASTER, &pic->master_region, 0);
    region_add(isa->map, isa->io_root, I8259_PORT_SLAVE, &pic->slave_region, 0);
    region_add(isa->map, isa->io_root, I8259_PORT_ELCR, &pic->elcr_region, 0);
    return 0;
}

static void i8259_quiesce(struct device *device)
{
    struct i8259 *pic = container_of(device, struct i8259, isa.device);

    isa_region_hide(pic->isa.isa, &pic->master_region);
    isa_region_hide(pic->isa.isa, &pic->slave_region);
    isa_region_hide(pic->isa.isa, &pic->elcr_region);
    device_quiesced(device);
}

static void i8259_destroy(struct device *device)
{
    struct i8259 *pic = container_of(device, struct i8259, isa.device);

    if (pic->master_region.name) { /* it was realized */
        hdl_mutex_destroy(&pic->lock);
    }
    isa_region_destroy(&pic->master_region);
    isa_region_destroy(&pic->slave_region);
    isa_region_destroy(&pic->elcr_region);
}

const struct device_type i8259_device_type = {
    .name = "isa-pic",
    .description = "pair of 8259A interrupt controllers",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct i8259),
    .realize = i8259_realize,
    .reset = i8259_reset,
    .quiesce = i8259_quiesce,
    .destroy = i8259_destroy,
};
