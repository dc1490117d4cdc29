/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heddle-teach: one of everything that a device model needs, as small as it goes. docs/device-author-guide.md walks
 * through this file. It isn't a model of any hardware; the registers are in teach.h.
 *
 *     idle ---- FACT written ---> computing (work) ---- done ----------------> idle, cause 1
 *     idle ---- DMA_CMD 1, 2 ---> busy (work) --------- done or failed ------> idle, cause 2
 *     idle ---- DMA_CMD 3 ------> busy (work) -- mapped --> reading (loop) --> the same
 *                                                   |  reset
 *                                                   +--> reading for nobody -> idle
 *
 * All state is guarded by the device lock, except the clock, which needs none. The loop's timer and the end of a read
 * submit work and touch nothing. A read goes straight into guest memory, so neither a reset nor the device's leaving is
 * complete before it has ended. A guest can make it compute for a microsecond, copy 256 bytes, have the host read as
 * many, and raise its interrupt.
 */
#include "hw/misc/teach.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "event/clock.h"

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
};

#define BAR_BYTES 4096

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
#define DMA_NOISE_TO_MEMORY  3u

#define FACTORIAL_MAX 33 /* from 34! on, the low 32 bits are zero */

static struct teach *teach_from(struct device *device)
{
    return container_of(device, struct teach, pci.device);
}

/* The pin is a function of the state; setting it to the level that it has is harmless. */
static void teach_update_irq(struct teach *teach)
{
    pci_intx_set(&teach->pci, (teach->causes & teach->mask) != 0);
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

static void teach_dma_ended(struct teach *teach, bool ok)
{
    teach->status &= ~(STATUS_DMA | STATUS_DMA_FAILED);
    teach->status |= ok ? 0 : STATUS_DMA_FAILED;
    teach_raise(teach, CAUSE_DMA);
}

/* From here on the host writes to guest memory: the mapping keeps the memory, is_reading keeps the device. */
static enum access_result teach_read_begin(struct teach *teach)
{
    struct address_space *space = teach->pci.device.dma_space;
    enum access_result result = dma_map(space, teach->dma_address, teach->dma_len_bytes, DMA_TO_GUEST, &teach->mapping);

    if (result == ACCESS_OK && teach->mapping.len_bytes < teach->dma_len_bytes) {
        dma_unmap(&teach->mapping, 0); /* it goes on elsewhere, or nowhere */
        result = ACCESS_REFUSED;
    }
    if (result == ACCESS_OK) {
        teach->read_iov = (struct iovec){teach->mapping.host, teach->mapping.len_bytes};
        teach->is_reading = true;
        bh_schedule(&teach->read_bh);
    }
    return result;
}

static void teach_dma_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);
    enum access_result result = ACCESS_REFUSED;

    if (!(teach->status & STATUS_DMA)) {
        return; /* reset meanwhile */
    }
    if (!pci_device_is_master(&teach->pci)) {
        result = ACCESS_REFUSED;
    } else if (teach->dma_command == DMA_MEMORY_TO_BUFFER) {
        result = dma_read(device->dma_space, teach->dma_address, teach->buffer, teach->dma_len_bytes);
    } else if (teach->dma_command == DMA_BUFFER_TO_MEMORY) {
        result = dma_write(device->dma_space, teach->dma_address, teach->buffer, teach->dma_len_bytes);
    } else {
        result = teach_read_begin(teach);
    }
    if (!teach->is_reading) {
        teach_dma_ended(teach, result == ACCESS_OK);
    }
}

/* Once a read, also for one that a reset has taken the asker of. */
static void teach_read_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);
    uint64_t got_bytes = (uint64_t)MAX(teach->read_result, 0);

    teach->is_reading = false;
    dma_unmap(&teach->mapping, got_bytes);
    if (teach->status & STATUS_DMA) {
        teach_dma_ended(teach, got_bytes == teach->dma_len_bytes);
    } else {
        device_went_idle(device);
    }
    if (teach->is_leaving) {
        device_quiesced(device);
    }
}

static void teach_alarm_work(struct device *device, struct device_work *work)
{
    struct teach *teach = teach_from(device);

    /* Moved or taken back since the timer fired? Look at the state, not at the event. */
    if (teach->alarm_ns != 0 && clock_now_ns(teach->clock) >= teach->alarm_ns) {
        teach->alarm_ns = 0;
        teach->status &= ~STATUS_ALARM;
        teach_raise(teach, CAUSE_ALARM);
    }
}

/* --- the loop's thread, no lock: hands over and is done ----------------------------------------------------------- */

static void teach_alarm_fired(void *opaque)
{
    struct teach *teach = opaque;

    (void)device_submit(&teach->pci.device, &teach->alarm_work);
}

static void teach_read_done(struct io_request *request, int result)
{
    struct teach *teach = container_of(request, struct teach, read);

    teach->read_result = result;
    /* Never refused: the device isn't quiesced before. */
    (void)device_submit(&teach->pci.device, &teach->read_work);
}

static void teach_read_start(void *opaque)
{
    struct teach *teach = opaque;

    teach->read.done = teach_read_done;
    event_loop_readv(teach->pci.device.loop, &teach->read, teach->noise_fd, &teach->read_iov, 1, 0);
}

/* --- registers: device lock held, on a vCPU's thread ------------------------------------------------------------ */

static void teach_write_fact(struct teach *teach, uint32_t value)
{
    if (!(teach->status & STATUS_COMPUTING)) {
        teach->factorial = value;
        teach->status |= STATUS_COMPUTING;
        (void)device_submit(&teach->pci.device, &teach->factorial_work);
    }
}

/* A read that nobody waits for any more still uses the mapping. */
static bool teach_is_busy(const struct teach *teach)
{
    return (teach->status & STATUS_DMA) || teach->is_reading;
}

/* Guest-chosen numbers are checked here, once, before anything uses them. */
static void teach_write_dma_cmd(struct teach *teach, uint32_t command)
{
    if (teach_is_busy(teach)) {
        return;
    }
    if (command < DMA_MEMORY_TO_BUFFER || command > DMA_NOISE_TO_MEMORY || teach->dma_len_bytes == 0 ||
        teach->dma_len_bytes > teach->buffer_bytes) {
        teach_dma_ended(teach, false);
        return;
    }
    teach->dma_command = command;
    teach->status |= STATUS_DMA;
    (void)device_submit(&teach->pci.device, &teach->dma_work);
}

static void teach_write_alarm(struct teach *teach, uint32_t delay_us)
{
    teach->status &= ~STATUS_ALARM;
    teach->alarm_ns = 0;
    timer_cancel(&teach->alarm);
    if (delay_us != 0) {
        teach->alarm_ns = clock_now_ns(teach->clock) + delay_us * NS_PER_US;
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
        *value = teach->status | (teach->is_reading ? STATUS_DMA : 0);
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
        if (teach_is_busy(teach)) {
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

    *value = (uint32_t)(clock_now_ns(teach->clock) / NS_PER_US);
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

/* Everything that the guest has set up or asked for. Work that is queued finds nothing to do. */
static void teach_forget(struct teach *teach)
{
    teach->liveness = teach->factorial = teach->status = teach->causes = teach->mask = 0;
    teach->dma_address = teach->dma_len_bytes = teach->dma_command = 0;
    teach->alarm_ns = 0;
    timer_cancel(&teach->alarm);
    teach_update_irq(teach);
}

static void teach_reset(struct device *device)
{
    struct teach *teach = teach_from(device);

    device_assert_locked(device);
    teach_forget(teach);
    pci_device_reset(&teach->pci);
}

static bool teach_is_idle(struct device *device)
{
    return !teach_from(device)->is_reading;
}

/* What destroy gives back. Others can't see the device yet. */
static int teach_set_up(struct teach *teach, struct error **err)
{
    struct device *device = &teach->pci.device;
    int ret;

    teach->noise_fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (teach->noise_fd < 0) {
        return error_set(err, -errno, "device '%s': no random numbers on this host", device->id);
    }
    ret = timer_init(&teach->alarm, device->loop, teach->clock, teach_alarm_fired, teach);
    if (ret < 0) {
        close(teach->noise_fd);
        return error_set(err, ret, "device '%s': no timer left on its loop", device->id);
    }
    bh_init(&teach->read_bh, device->loop, teach_read_start, teach);
    device_work_init(&teach->factorial_work, device, teach_factorial_work);
    device_work_init(&teach->dma_work, device, teach_dma_work);
    device_work_init(&teach->alarm_work, device, teach_alarm_work);
    device_work_init(&teach->read_work, device, teach_read_work);
    region_init_io(&teach->region, "teach", device, &teach_ops, teach, BAR_BYTES, 0, NULL);
    region_init_io(&teach->ticks_region, "teach-ticks", device, &teach_ticks_ops, teach, BAR_BYTES, REGION_LOCKLESS,
                   NULL);
    teach->is_set_up = true;
    return 0;
}

static int teach_realize(struct device *device, struct error **err)
{
    static const struct pci_identity identity = {
        .vendor = 0x1234, .device = 0x7465, .class_code = 0xff0000, .interrupt_pin = true};
    struct teach *teach = teach_from(device);
    int ret = teach_set_up(teach, err);

    ret = ret < 0 ? ret : pci_device_init(&teach->pci, &identity, err);
    if (ret < 0) {
        return ret; /* destroy frees what there is */
    }
    pci_bar_register(&teach->pci, 0, PCI_BAR_MEM32, false, &teach->region);
    pci_bar_register(&teach->pci, 1, PCI_BAR_MEM32, false, &teach->ticks_region);
    pci_device_expose(&teach->pci);
    return 0;
}

static void teach_quiesce(struct device *device)
{
    struct teach *teach = teach_from(device);
    bool is_reading;

    pci_device_hide(&teach->pci);
    device_lock(device);
    teach_forget(teach);
    teach->is_leaving = true;
    is_reading = teach->is_reading;
    device_unlock(device);
    if (!is_reading) {
        device_quiesced(device);
    }
}

static void teach_destroy(struct device *device)
{
    struct teach *teach = teach_from(device);

    pci_device_release(&teach->pci);
    if (teach->is_set_up) {
        timer_destroy(&teach->alarm);
        bh_destroy(&teach->read_bh);
        close(teach->noise_fd);
        region_destroy(&teach->region);
        region_destroy(&teach->ticks_region);
    }
}

void teach_wire(struct device *device, struct clock *clock)
{
    teach_from(device)->clock = clock;
}

static const struct property teach_properties[] = {
    {.name = "buffer-bytes",
     .type = PROPERTY_U32,
     .offset = offsetof(struct teach, buffer_bytes),
     .default_value = "256",
     .min = 1,
     .max = TEACH_BUFFER_BYTES,
     .description = "Bytes that one DMA moves at most"},
    PCI_DEVICE_PROPERTIES(struct teach, pci),
    {0},
};

const struct device_type teach_device_type = {
    .name = "heddle-teach",
    .description = "a small device to learn from",
    .category = "Misc",
    .bus = "PCI",
    .size_bytes = sizeof(struct teach),
    .properties = teach_properties,
    .user_creatable = true,
    .realize = teach_realize,
    .reset = teach_reset,
    .is_idle = teach_is_idle,
    .quiesce = teach_quiesce,
    .destroy = teach_destroy,
};
