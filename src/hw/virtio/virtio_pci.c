/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio transport over PCI (virtio 1.2, 4.1): capabilities, the registers that they point at, interrupts, and
 * what hears the driver's notifications.
 *
 * One BAR, four pages: common configuration, ISR, device configuration, notification (one 32-bit place a queue). All
 * registers are under the device lock. Where the accelerator has ioeventfds, a notification never reaches the handler:
 * it signals the queue's eventfd, and the queue's loop submits the model's work. Otherwise the vCPU submits it.
 *
 * The guest may access anything in any size: registers are read and written whole, what doesn't exist reads as zero.
 */
#include "hw/virtio/virtio_pci.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"

#define VIRTIO_PCI_VENDOR     0x1af4
#define VIRTIO_PCI_DEVICE(id) (0x1040 + (id))

enum { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY, PAGE_COUNT };
enum { PAGE_BYTES = 0x1000, NOTIFY_MULTIPLIER = 4, REGISTER_BAR = 4, MSIX_BAR = 1 };

/* 4.1.4: struct virtio_pci_cap and its kinds. */
enum virtio_pci_cap_type { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI = 5 };
enum virtio_pci_cap_offset { CAP_LEN = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_EXTRA = 16 };
enum { CAP_SIZE = 16, CAP_SIZE_EXTRA = 20 };

/* 4.1.4.3: struct virtio_pci_common_cfg. */
enum virtio_pci_common {
    COMMON_DEVICE_FEATURE_SELECT = 0x00,
    COMMON_DEVICE_FEATURE = 0x04,
    COMMON_DRIVER_FEATURE_SELECT = 0x08,
    COMMON_DRIVER_FEATURE = 0x0c,
    COMMON_CONFIG_VECTOR = 0x10, /* 16 bits; queue count above it */
    COMMON_STATUS = 0x14,        /* 8 bits; generation, queue select above it */
    COMMON_QUEUE_SELECT = 0x16,
    COMMON_QUEUE_SIZE = 0x18, /* 16 bits; vector above it */
    COMMON_QUEUE_VECTOR = 0x1a,
    COMMON_QUEUE_ENABLE = 0x1c, /* 16 bits; notification offset above it */
    COMMON_QUEUE_DESC = 0x20,
    COMMON_QUEUE_DRIVER = 0x28,
    COMMON_QUEUE_DEVICE = 0x30,
    COMMON_SIZE = 0x38,
};

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

static struct virtio_pci *virtio_pci_from(struct virtio_device *virtio)
{
    return container_of(virtio, struct virtio_pci, virtio);
}

static struct virtqueue *virtio_pci_selected(struct virtio_pci *proxy)
{
    return proxy->queue_select < proxy->virtio.queue_count ? proxy->virtio.queues[proxy->queue_select] : NULL;
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static void virtio_pci_notify(struct virtio_device *virtio, struct virtqueue *queue)
{
    struct virtio_pci *proxy = virtio_pci_from(virtio);

    if (!queue) {
        proxy->isr |= ISR_CONFIG;
    }
    if (msix_is_enabled(&proxy->pci)) {
        msix_notify(&proxy->pci, queue ? queue->vector : proxy->config_vector);
        return;
    }
    if (queue) {
        proxy->isr |= ISR_QUEUE;
    }
    pci_intx_set(&proxy->pci, true);
}

static uint8_t virtio_pci_isr_read(struct virtio_pci *proxy)
{
    uint8_t isr = proxy->isr;

    proxy->isr = 0;
    pci_intx_set(&proxy->pci, false);
    return isr;
}

static void virtio_pci_reset_done(struct virtio_device *virtio)
{
    struct virtio_pci *proxy = virtio_pci_from(virtio);

    proxy->device_feature_select = 0;
    proxy->driver_feature_select = 0;
    proxy->queue_select = 0;
    proxy->config_vector = VIRTIO_NO_VECTOR;
    (void)virtio_pci_isr_read(proxy);
    device_went_idle(virtio->device);
}

static const struct virtio_transport_ops virtio_pci_transport = {
    .notify = virtio_pci_notify,
    .reset_done = virtio_pci_reset_done,
};

/* --- common configuration --------------------------------------------------------------------------------------- */

static uint32_t virtio_pci_queue_read(const struct virtqueue *queue, unsigned offset)
{
    if (!queue) {
        return 0;
    }
    switch (offset) {
    case COMMON_QUEUE_SIZE:
        return queue->size | (uint32_t)queue->vector << 16;
    case COMMON_QUEUE_ENABLE:
        return queue->enabled | queue->index << 16;
    case COMMON_QUEUE_DESC:
        return (uint32_t)queue->desc_gpa;
    case COMMON_QUEUE_DESC + 4:
        return (uint32_t)(queue->desc_gpa >> 32);
    case COMMON_QUEUE_DRIVER:
        return (uint32_t)queue->driver_gpa;
    case COMMON_QUEUE_DRIVER + 4:
        return (uint32_t)(queue->driver_gpa >> 32);
    case COMMON_QUEUE_DEVICE:
        return (uint32_t)queue->device_gpa;
    case COMMON_QUEUE_DEVICE + 4:
        return (uint32_t)(queue->device_gpa >> 32);
    default:
        return 0;
    }
}

/* The aligned 32-bit word at an offset, of whatever registers it is made. */
static uint32_t virtio_pci_common_read(struct virtio_pci *proxy, unsigned offset)
{
    struct virtio_device *virtio = &proxy->virtio;

    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT:
        return proxy->device_feature_select;
    case COMMON_DEVICE_FEATURE:
        return proxy->device_feature_select > 1
                   ? 0
                   : (uint32_t)(virtio_features_offered(virtio) >> (32 * proxy->device_feature_select));
    case COMMON_DRIVER_FEATURE_SELECT:
        return proxy->driver_feature_select;
    case COMMON_DRIVER_FEATURE:
        return proxy->driver_feature_select > 1
                   ? 0
                   : (uint32_t)(virtio->guest_features >> (32 * proxy->driver_feature_select));
    case COMMON_CONFIG_VECTOR:
        return proxy->config_vector | virtio->queue_count << 16;
    case COMMON_STATUS:
        return virtio->status | (uint32_t)virtio->config_generation << 8 | (uint32_t)proxy->queue_select << 16;
    default:
        return virtio_pci_queue_read(virtio_pci_selected(proxy), offset);
    }
}

/* A vector that the function doesn't have reads back as none (4.1.5.1.2.1). */
static uint16_t virtio_pci_vector(const struct virtio_pci *proxy, uint32_t value)
{
    return value < proxy->vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void virtio_pci_half_set(uint64_t *gpa, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;

    *gpa = (*gpa & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

static void virtio_pci_queue_write(struct virtio_pci *proxy, struct virtqueue *queue, unsigned offset, uint32_t value)
{
    if (!queue || !virtio_queue_is_configurable(queue)) {
        return;
    }
    switch (offset) {
    case COMMON_QUEUE_SIZE:
        queue->size = value <= queue->size_max ? (uint16_t)value : 0;
        break;
    case COMMON_QUEUE_VECTOR:
        queue->vector = virtio_pci_vector(proxy, value);
        break;
    case COMMON_QUEUE_ENABLE:
        if (value == 1) {
            virtio_queue_enable(queue);
        }
        break;
    case COMMON_QUEUE_DESC:
    case COMMON_QUEUE_DESC + 4:
        virtio_pci_half_set(&queue->desc_gpa, offset & 4, value);
        break;
    case COMMON_QUEUE_DRIVER:
    case COMMON_QUEUE_DRIVER + 4:
        virtio_pci_half_set(&queue->driver_gpa, offset & 4, value);
        break;
    case COMMON_QUEUE_DEVICE:
    case COMMON_QUEUE_DEVICE + 4:
        virtio_pci_half_set(&queue->device_gpa, offset & 4, value);
        break;
    default:
        break;
    }
}

/* offset is where a register begins: drivers access each with its own width (4.1.3.1), others are dropped. */
static void virtio_pci_common_write(struct virtio_pci *proxy, unsigned offset, uint32_t value)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT:
        proxy->device_feature_select = value;
        break;
    case COMMON_DRIVER_FEATURE_SELECT:
        proxy->driver_feature_select = value;
        break;
    case COMMON_DRIVER_FEATURE:
        virtio_features_accept(&proxy->virtio, proxy->driver_feature_select, value);
        break;
    case COMMON_CONFIG_VECTOR:
        proxy->config_vector = virtio_pci_vector(proxy, value);
        break;
    case COMMON_STATUS:
        virtio_status_write(&proxy->virtio, (uint8_t)value);
        break;
    case COMMON_QUEUE_SELECT:
        proxy->queue_select = (uint16_t)value;
        break;
    default:
        virtio_pci_queue_write(proxy, virtio_pci_selected(proxy), offset, value);
    }
}

/* --- the BAR ---------------------------------------------------------------------------------------------------- */

static uint32_t virtio_pci_register_read(struct virtio_pci *proxy, uint64_t offset, unsigned size_bytes)
{
    unsigned in_page = offset % PAGE_BYTES;

    switch (offset / PAGE_BYTES) {
    case PAGE_COMMON:
        return virtio_pci_common_read(proxy, in_page & ~3u) >> (8 * (in_page & 3));
    case PAGE_ISR:
        return in_page == 0 ? virtio_pci_isr_read(proxy) : 0;
    case PAGE_DEVICE:
        return virtio_config_read(&proxy->virtio, in_page, size_bytes);
    default:
        return 0;
    }
}

static void virtio_pci_register_write(struct virtio_pci *proxy, uint64_t offset, unsigned size_bytes, uint32_t value)
{
    unsigned in_page = offset % PAGE_BYTES;

    switch (offset / PAGE_BYTES) {
    case PAGE_COMMON:
        virtio_pci_common_write(proxy, in_page, value);
        break;
    case PAGE_DEVICE:
        virtio_config_write(&proxy->virtio, in_page, size_bytes, value);
        break;
    case PAGE_NOTIFY:
        if (in_page / NOTIFY_MULTIPLIER < proxy->virtio.queue_count) {
            virtio_queue_kick(proxy->virtio.queues[in_page / NOTIFY_MULTIPLIER]);
        }
        break;
    default:
        break;
    }
}

static enum access_result virtio_pci_bar_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = virtio_pci_register_read(opaque, offset, size_bytes) & (UINT32_MAX >> (32 - 8 * size_bytes));
    return ACCESS_OK;
}

static enum access_result virtio_pci_bar_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    virtio_pci_register_write(opaque, offset, size_bytes, (uint32_t)value);
    return ACCESS_OK;
}

static const struct region_ops virtio_pci_bar_ops = {
    .read = virtio_pci_bar_read,
    .write = virtio_pci_bar_write,
    .valid = {.min = 1, .max = 8, .unaligned = true},
    .impl = {.min = 1, .max = 4},
};

/* --- the window from config space (4.1.4.9) ---------------------------------------------------------------------- */

/* Whether the driver's window names a register access of ours; then where and how wide. */
static bool virtio_pci_window(const struct virtio_pci *proxy, unsigned offset, unsigned len_bytes, uint32_t *where,
                              uint32_t *width)
{
    unsigned cap = proxy->window_capability;

    if (offset + len_bytes <= cap + CAP_EXTRA || offset >= cap + CAP_EXTRA + 4) {
        return false;
    }
    *where = pci_config_get32(&proxy->pci, cap + CAP_OFFSET);
    *width = pci_config_get32(&proxy->pci, cap + CAP_LENGTH);
    return proxy->pci.config[cap + CAP_BAR] == REGISTER_BAR && (*width == 1 || *width == 2 || *width == 4) &&
           *where % *width == 0 && *where < PAGE_COUNT * PAGE_BYTES;
}

static void virtio_pci_config_read(struct pci_device *pci, unsigned offset, unsigned len_bytes)
{
    struct virtio_pci *proxy = container_of(pci, struct virtio_pci, pci);
    uint32_t where;
    uint32_t width;

    if (virtio_pci_window(proxy, offset, len_bytes, &where, &width)) {
        uint32_t value = virtio_pci_register_read(proxy, where, width) & (UINT32_MAX >> (32 - 8 * width));

        pci_config_set32(pci, proxy->window_capability + CAP_EXTRA, value);
    }
}

static void virtio_pci_config_write(struct pci_device *pci, unsigned offset, unsigned len_bytes)
{
    struct virtio_pci *proxy = container_of(pci, struct virtio_pci, pci);
    uint32_t where;
    uint32_t width;

    virtio_set_dma_allowed(&proxy->virtio, pci_device_is_master(pci));
    if (virtio_pci_window(proxy, offset, len_bytes, &where, &width)) {
        uint32_t value = pci_config_get32(pci, proxy->window_capability + CAP_EXTRA);

        virtio_pci_register_write(proxy, where, width, value & (UINT32_MAX >> (32 - 8 * width)));
    }
}

/* --- capabilities ----------------------------------------------------------------------------------------------- */

/* A vendor capability that points at a page of the BAR. Its offset in config space, or a negative errno. */
static int virtio_pci_cap_add(struct virtio_pci *proxy, enum virtio_pci_cap_type type, unsigned size, unsigned page,
                              uint32_t len_bytes)
{
    int cap = pci_capability_add(&proxy->pci, PCI_CAPABILITY_VENDOR, size);

    if (cap < 0) {
        return cap;
    }
    proxy->pci.config[cap + CAP_LEN] = (uint8_t)size;
    proxy->pci.config[cap + CAP_TYPE] = (uint8_t)type;
    proxy->pci.config[cap + CAP_BAR] = type == CAP_PCI ? 0 : REGISTER_BAR;
    pci_config_set32(&proxy->pci, (unsigned)cap + CAP_OFFSET, page * PAGE_BYTES);
    pci_config_set32(&proxy->pci, (unsigned)cap + CAP_LENGTH, len_bytes);
    return cap;
}

static int virtio_pci_caps_add(struct virtio_pci *proxy)
{
    struct virtio_device *virtio = &proxy->virtio;
    int notify;
    int window;

    if (virtio_pci_cap_add(proxy, CAP_COMMON, CAP_SIZE, PAGE_COMMON, COMMON_SIZE) < 0 ||
        virtio_pci_cap_add(proxy, CAP_ISR, CAP_SIZE, PAGE_ISR, 1) < 0 ||
        (virtio->class->config_size_bytes &&
         virtio_pci_cap_add(proxy, CAP_DEVICE, CAP_SIZE, PAGE_DEVICE, virtio->class->config_size_bytes) < 0)) {
        return -ENOSPC;
    }
    notify = virtio_pci_cap_add(proxy, CAP_NOTIFY, CAP_SIZE_EXTRA, PAGE_NOTIFY,
                                NOTIFY_MULTIPLIER * MAX(virtio->queue_count, 1u));
    window = virtio_pci_cap_add(proxy, CAP_PCI, CAP_SIZE_EXTRA, 0, 0);
    if (notify < 0 || window < 0) {
        return -ENOSPC;
    }
    pci_config_set32(&proxy->pci, (unsigned)notify + CAP_EXTRA, NOTIFY_MULTIPLIER);
    proxy->window_capability = (unsigned)window;
    proxy->pci.wmask[window + CAP_BAR] = 0xff;
    memset(&proxy->pci.wmask[window + CAP_OFFSET], 0xff, CAP_SIZE_EXTRA - CAP_OFFSET);
    return 0;
}

/* --- notifications by eventfd ----------------------------------------------------------------------------------- */

/* Loop thread. */
static void virtio_pci_heard(void *opaque, uint32_t events)
{
    struct virtqueue *queue = opaque;
    uint64_t count;

    if (read(queue->event_fd, &count, sizeof(count)) == sizeof(count)) {
        virtio_queue_kick(queue);
    }
}

struct virtio_pci_listen_call {
    struct virtqueue *queue;
    struct error *err;
};

static void virtio_pci_listen(void *opaque)
{
    struct virtio_pci_listen_call *call = opaque;
    struct virtqueue *queue = call->queue;

    queue->watch = event_loop_add_fd(queue->loop, queue->event_fd, EPOLLIN, virtio_pci_heard, queue, &call->err);
}

static void virtio_pci_ioeventfd(struct virtio_pci *proxy, const struct virtqueue *queue, bool add)
{
    uint64_t offset = PAGE_NOTIFY * PAGE_BYTES + (uint64_t)NOTIFY_MULTIPLIER * queue->index;

    (add ? region_add_ioeventfd : region_remove_ioeventfd)(proxy->pci.bus->map, &proxy->bar, offset, 0, false, 0,
                                                           queue->event_fd);
}

/* Loop thread. */
static void virtio_pci_deafen(struct virtqueue *queue)
{
    fd_watch_remove(queue->watch);
    queue->watch = NULL;
    close(queue->event_fd);
    queue->event_fd = -1;
}

static void virtio_pci_left(struct virtio_pci *proxy)
{
    /* Acquire and release: the last one sees what all others did. */
    if (atomic_fetch_sub_explicit(&proxy->leaving, 1, memory_order_acq_rel) == 1) {
        device_quiesced(&proxy->pci.device);
    }
}

/* Loop thread. */
static void virtio_pci_ear_leave(void *opaque)
{
    struct virtio_pci_ear *ear = opaque;

    virtio_pci_deafen(ear->queue);
    virtio_pci_left(virtio_pci_from(ear->queue->virtio));
}

static int virtio_pci_ear_add(struct virtio_pci *proxy, struct virtqueue *queue, struct error **err)
{
    struct virtio_pci_listen_call call = {.queue = queue};
    struct virtio_pci_ear *ear = &proxy->ears[queue->index];

    queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->event_fd < 0) {
        return error_set(err, -errno, "device '%s': no eventfd: %s", proxy->pci.device.id, strerror(errno));
    }
    event_loop_call(queue->loop, virtio_pci_listen, &call);
    if (!queue->watch) {
        close(queue->event_fd);
        queue->event_fd = -1;
        error_propagate(err, call.err);
        return -EMFILE;
    }
    ear->queue = queue;
    bh_init(&ear->leave, queue->loop, virtio_pci_ear_leave, ear);
    virtio_pci_ioeventfd(proxy, queue, true);
    proxy->ear_count++;
    return 0;
}

static void virtio_pci_deafen_call(void *opaque)
{
    virtio_pci_deafen(opaque);
}

static int virtio_pci_ears_add(struct virtio_pci *proxy, struct error **err)
{
    proxy->ears = calloc(MAX(proxy->virtio.queue_count, 1u), sizeof(*proxy->ears));
    if (!proxy->ears) {
        return error_set(err, -ENOMEM, "device '%s': out of memory", proxy->pci.device.id);
    }
    for (unsigned i = 0; i < proxy->virtio.queue_count; i++) {
        struct virtqueue *queue = proxy->virtio.queues[i];
        int ret = queue->loop ? virtio_pci_ear_add(proxy, queue, err) : 0;

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

void virtio_pci_init(struct virtio_pci *proxy, const struct virtio_class *class)
{
    virtio_device_init(&proxy->virtio, &proxy->pci.device, class, &proxy->options);
    proxy->virtio.transport = &virtio_pci_transport;
    proxy->config_vector = VIRTIO_NO_VECTOR;
}

static int virtio_pci_function_init(struct virtio_pci *proxy, uint32_t class_code, struct error **err)
{
    const struct pci_identity identity = {
        .vendor = VIRTIO_PCI_VENDOR,
        .device = (uint16_t)VIRTIO_PCI_DEVICE(proxy->virtio.class->id),
        .subsystem_vendor = VIRTIO_PCI_VENDOR,
        .subsystem = 0x1100,
        .class_code = class_code,
        .revision = 1,
        .interrupt_pin = true,
    };
    int ret = pci_device_init(&proxy->pci, &identity, err);

    if (ret < 0) {
        return ret;
    }
    if (proxy->vectors == 0) {
        proxy->vectors = proxy->virtio.queue_count + 1;
    }
    ret = msix_init(&proxy->pci, MSIX_BAR, proxy->vectors, err);
    if (ret < 0) {
        return ret;
    }
    ret = virtio_pci_caps_add(proxy);
    if (ret < 0) {
        return error_set(err, ret, "device '%s': no room for its capabilities", proxy->pci.device.id);
    }
    return 0;
}

int virtio_pci_realize(struct virtio_pci *proxy, uint32_t class_code, struct error **err)
{
    int ret = virtio_pci_function_init(proxy, class_code, err);

    if (ret < 0) {
        return ret;
    }
    region_init_io(&proxy->bar, "virtio-pci", &proxy->pci.device, &virtio_pci_bar_ops, proxy, PAGE_COUNT * PAGE_BYTES,
                   0, NULL);
    pci_bar_register(&proxy->pci, REGISTER_BAR, PCI_BAR_MEM64, true, &proxy->bar);
    proxy->pci.config_read = virtio_pci_config_read;
    proxy->pci.config_write = virtio_pci_config_write;
    ret = virtio_pci_ears_add(proxy, err);
    if (ret < 0) {
        return ret;
    }
    pci_device_expose(&proxy->pci);
    return 0;
}

void virtio_pci_reset(struct device *device)
{
    struct virtio_pci *proxy = virtio_pci_of(device);

    device_assert_locked(device);
    virtio_reset(&proxy->virtio);
    pci_device_reset(&proxy->pci);
    virtio_set_dma_allowed(&proxy->virtio, false);
}

bool virtio_pci_is_idle(struct device *device)
{
    device_assert_locked(device);
    return virtio_pci_of(device)->virtio.phase != VIRTIO_RESETTING;
}

static void virtio_pci_stopped(struct virtio_device *virtio)
{
    virtio_pci_left(virtio_pci_from(virtio));
}

static void virtio_pci_stop(struct device *device, struct device_work *work)
{
    struct virtio_pci *proxy = virtio_pci_of(device);

    proxy->virtio.stopped = virtio_pci_stopped;
    virtio_stop(&proxy->virtio);
}

void virtio_pci_quiesce(struct device *device)
{
    struct virtio_pci *proxy = virtio_pci_of(device);
    unsigned ears = proxy->ear_count;

    pci_device_hide(&proxy->pci);
    atomic_store_explicit(&proxy->leaving, ears + 1, memory_order_relaxed);
    for (unsigned i = 0; i < proxy->virtio.queue_count; i++) {
        if (proxy->virtio.queues[i]->watch) {
            virtio_pci_ioeventfd(proxy, proxy->virtio.queues[i], false);
        }
    }
    proxy->ear_count = 0;
    for (unsigned i = 0; i < proxy->virtio.queue_count && ears > 0; i++) {
        if (proxy->ears[i].queue) {
            bh_schedule(&proxy->ears[i].leave);
        }
    }
    device_work_init(&proxy->stop, device, virtio_pci_stop);
    (void)device_submit(device, &proxy->stop);
}

void virtio_pci_destroy(struct device *device)
{
    struct virtio_pci *proxy = virtio_pci_of(device);

    /* Ears are left only by a realize that failed. */
    for (unsigned i = 0; proxy->ear_count > 0 && i < proxy->virtio.queue_count; i++) {
        struct virtqueue *queue = proxy->virtio.queues[i];

        if (queue->watch) {
            virtio_pci_ioeventfd(proxy, queue, false);
            event_loop_call(queue->loop, virtio_pci_deafen_call, queue);
        }
    }
    proxy->ear_count = 0;
    pci_device_release(&proxy->pci);
    virtio_device_destroy(&proxy->virtio);
    free(proxy->ears);
    proxy->ears = NULL;
}
