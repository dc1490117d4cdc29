/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heddle-teach: one of everything that a device model needs, as small as it goes. docs/device-author-guide.md walks
 * through this file from top to bottom. It isn't a model of any hardware; the registers are in teach.h.
 *
 *     idle ---- FACT written ----> computing (work) ---- done ----> idle, cause 1
 *     idle ---- DMA_CMD -------> busy (work) ---- done or failed -> idle, cause 2
 *
 * All state is guarded by the device lock, except the clock, which needs none. The event loop's timer submits work and
 * touches nothing. A guest can make it compute for a microsecond, copy 256 bytes, and raise its interrupt.
 */
#include "hw/misc/teach.h"

#include <errno.h>

#include "memory/dma.h"

enum {
    REG_ID = 0x00,
    REG_LIVENESS = 0x04,
    REG_FACT = 0x08,
    REG_STATUS = 0x0c,
    REG_IRQ = 0x10,
    REG_IRQ_MASK = 0x14,
    REG_DMA_ADDR = 0x18,
    REG_DMA_LEN = 0x1c,
    REG_DMA_CMD = 0x20,
    REG_ALARM_US = 0x24,
    REG_TICKS = 0x28,
    TEACH_PORTS = 0x2c,
};

#define STATUS_COMPUTING  0x1u
#define STATUS_DMA        0x2u
#define STATUS_DMA_FAILED 0x4u
#define STATUS_ALARM      0x8u

#define CAUSE_FACTORIAL 0x1u
#define CAUSE_DMA       0x2u
#define CAUSE_ALARM     0x4u
#define CAUSES          (CAUSE_FACTORIAL | CAUSE_DMA | CAUSE_ALARM)

#define DMA_MEMORY_TO_BUFFER 1u
#define DMA_BUFFER_TO_MEMORY 2u

#define FACTORIAL_MAX 33 /* from 34! on, the low 32 bits are zero */

static struct teach *teach_from(struct device *device)
{
    return container_of(device, struct teach, isa.device);
}

/* The line is a function of the state; setting a line to the level that it has is harmless. */
static void teach_update_irq(struct teach *teach)
{
    irq_set(&teach->irq, (teach->causes & teach->mask) != 0);
}

static void teach_raise(struct teach *teach, uint32_t cause)
{
    teach->causes |= cause;
    teach_update_irq(teach);
}

/* --- deferred work: device lock held, on whichever thread is at hand -------------------------------------------- */

static void teach_factorial_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);
    uint32_t result = teach->factorial <= FACTORIAL_MAX;

    for (uint32_t i = 2; i <= teach->factorial && i <= FACTORIAL_MAX; i++) {
        result *= i;
    }
    teach->factorial = result;
    teach->status &= ~STATUS_COMPUTING;
    teach_raise(teach, CAUSE_FACTORIAL);
}

static void teach_dma_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);
    enum access_result result = ACCESS_REFUSED;

    if (!(teach->status & STATUS_DMA)) {
        return; /* reset meanwhile */
    }
    if (device->dma_space && teach->dma_command == DMA_MEMORY_TO_BUFFER) {
        result = dma_read(device->dma_space, teach->dma_address, teach->buffer, teach->dma_len_bytes);
    } else if (device->dma_space) {
        result = dma_write(device->dma_space, teach->dma_address, teach->buffer, teach->dma_len_bytes);
    }
    teach->status &= ~(STATUS_DMA | STATUS_DMA_FAILED);
    teach->status |= result == ACCESS_OK ? 0 : STATUS_DMA_FAILED;
    teach_raise(teach, CAUSE_DMA);
}

static void teach_alarm_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);

    /* The guest may have moved or cancelled the alarm between the timer and now: look at the state, not at the event.
     */
    if (teach->alarm_ns != 0 && clock_now_ns(teach->isa.isa->clock) >= teach->alarm_ns) {
        teach->alarm_ns = 0;
        teach->status &= ~STATUS_ALARM;
        teach_raise(teach, CAUSE_ALARM);
    }
}

/* Loop thread, no lock: hands over and is done. */
static void teach_alarm_fired(void *opaque)
{
    struct teach *teach = opaque;

    device_submit(&teach->isa.device, &teach->alarm_work);
}

/* --- registers: device lock held, on a vCPU's thread ------------------------------------------------------------ */

static void teach_write_fact(struct teach *teach, uint32_t value)
{
    if (!(teach->status & STATUS_COMPUTING)) {
        teach->factorial = value;
        teach->status |= STATUS_COMPUTING;
        device_submit(&teach->isa.device, &teach->factorial_work);
    }
}

/* Guest-chosen numbers are checked here, once, before anything uses them. */
static void teach_write_dma_cmd(struct teach *teach, uint32_t command)
{
    if (teach->status & STATUS_DMA) {
        return;
    }
    if ((command != DMA_MEMORY_TO_BUFFER && command != DMA_BUFFER_TO_MEMORY) || teach->dma_len_bytes == 0 ||
        teach->dma_len_bytes > TEACH_BUFFER_BYTES) {
        teach->status |= STATUS_DMA_FAILED;
        teach_raise(teach, CAUSE_DMA);
        return;
    }
    teach->dma_command = command;
    teach->status |= STATUS_DMA;
    device_submit(&teach->isa.device, &teach->dma_work);
}

static void teach_write_alarm(struct teach *teach, uint32_t delay_us)
{
    teach->status &= ~STATUS_ALARM;
    teach->alarm_ns = 0;
    timer_cancel(&teach->alarm);
    if (delay_us != 0) {
        teach->alarm_ns = clock_now_ns(teach->isa.isa->clock) + delay_us * NS_PER_US;
        teach->status |= STATUS_ALARM;
        timer_arm(&teach->alarm, teach->alarm_ns);
    }
}

static enum access_result teach_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct teach *teach = opaque;

    switch (offset) {
    case REG_ID:
        *value = TEACH_ID;
        break;
    case REG_LIVENESS:
        *value = ~teach->liveness;
        break;
    case REG_FACT:
        *value = teach->factorial;
        break;
    case REG_STATUS:
        *value = teach->status;
        break;
    case REG_IRQ:
        *value = teach->causes;
        break;
    case REG_IRQ_MASK:
        *value = teach->mask;
        break;
    case REG_DMA_ADDR:
        *value = teach->dma_address;
        break;
    case REG_DMA_LEN:
        *value = teach->dma_len_bytes;
        break;
    default:
        *value = 0;
        break;
    }
    return ACCESS_OK;
}

static enum access_result teach_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct teach *teach = opaque;
    uint32_t word = (uint32_t)value;

    switch (offset) {
    case REG_LIVENESS:
        teach->liveness = word;
        break;
    case REG_FACT:
        teach_write_fact(teach, word);
        break;
    case REG_IRQ:
        teach->causes &= ~word;
        teach_update_irq(teach);
        break;
    case REG_IRQ_MASK:
        teach->mask = word & CAUSES;
        teach_update_irq(teach);
        break;
    case REG_DMA_ADDR:
    case REG_DMA_LEN:
        if (teach->status & STATUS_DMA) {
            break; /* in use */
        }
        *(offset == REG_DMA_ADDR ? &teach->dma_address : &teach->dma_len_bytes) = word;
        break;
    case REG_DMA_CMD:
        teach_write_dma_cmd(teach, word);
        break;
    case REG_ALARM_US:
        teach_write_alarm(teach, word);
        break;
    default:
        break;
    }
    return ACCESS_OK;
}

/* Lockless: any number of threads at once, so it may use nothing but what is safe to. */
static enum access_result teach_ticks_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct teach *teach = opaque;

    *value = (uint32_t)(clock_now_ns(teach->isa.isa->clock) / NS_PER_US);
    return ACCESS_OK;
}

static enum access_result teach_ticks_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    return ACCESS_OK;
}

#define WORD_SIZES .valid = {.min = 4, .max = 4}, .impl = {.min = 4, .max = 4}

static const struct region_ops teach_ops = {.read = teach_read, .write = teach_write, WORD_SIZES};
static const struct region_ops teach_ticks_ops = {.read = teach_ticks_read, .write = teach_ticks_write, WORD_SIZES};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void teach_reset(struct device *device)
{
    struct teach *teach = teach_from(device);

    teach->liveness = teach->factorial = teach->status = teach->causes = teach->mask = 0;
    teach->dma_address = teach->dma_len_bytes = teach->dma_command = 0;
    teach->alarm_ns = 0;
    timer_cancel(&teach->alarm);
    teach_update_irq(teach);
}

static int teach_realize(struct device *device, struct error **err)
{
    struct teach *teach = teach_from(device);
    const struct isa_bus *isa = teach->isa.isa;
    int ret = timer_init(&teach->alarm, device->loop, isa->clock, teach_alarm_fired, teach);

    if (ret != 0) {
        return error_set(err, ret, "the event loop watches too many clocks");
    }
    teach->alarm_ready = true;
    device_work_init(&teach->factorial_work, device, teach_factorial_work);
    device_work_init(&teach->dma_work, device, teach_dma_work);
    device_work_init(&teach->alarm_work, device, teach_alarm_work);
    teach->irq = isa_irq(isa, teach->irq_number);
    teach_reset(device);
    region_init_io(&teach->region, "teach", device, &teach_ops, teach, REG_TICKS, 0, NULL);
    region_init_io(&teach->ticks_region, "teach-ticks", device, &teach_ticks_ops, teach, TEACH_PORTS - REG_TICKS,
                   REGION_LOCKLESS, NULL);
    region_add(isa->map, isa->io_root, teach->iobase, &teach->region, 0);
    region_add(isa->map, isa->io_root, teach->iobase + REG_TICKS, &teach->ticks_region, 0);
    return 0;
}

static void teach_quiesce(struct device *device)
{
    struct teach *teach = teach_from(device);

    isa_region_hide(teach->isa.isa, &teach->region);
    isa_region_hide(teach->isa.isa, &teach->ticks_region);
    timer_cancel(&teach->alarm);
    device_quiesced(device);
}

static void teach_destroy(struct device *device)
{
    struct teach *teach = teach_from(device);

    if (teach->alarm_ready) {
        timer_destroy(&teach->alarm);
    }
    isa_region_destroy(&teach->region);
    isa_region_destroy(&teach->ticks_region);
}

static const struct property teach_properties[] = {
    {.name = "iobase",
     .type = PROPERTY_U32,
     .offset = offsetof(struct teach, iobase),
     .default_value = "0x3100",
     .min = 0,
     .max = 0xff00,
     .description = "first port"},
    {.name = "irq",
     .type = PROPERTY_U32,
     .offset = offsetof(struct teach, irq_number),
     .default_value = "10",
     .min = 0,
     .max = ISA_IRQ_COUNT - 1,
     .description = "interrupt number"},
    {0},
};

const struct device_type teach_device_type = {
    .name = "heddle-teach",
    .description = "a small device to learn from",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct teach),
    .properties = teach_properties,
    .user_creatable = true,
    .realize = teach_realize,
    .reset = teach_reset,
    .quiesce = teach_quiesce,
    .destroy = teach_destroy,
};
