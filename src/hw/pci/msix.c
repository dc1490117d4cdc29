/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X: the vector table and pending bits that a guest sees, and the sending of messages (PCI Local Bus 3.0, 6.8.2).
 *
 * A vector sends when MSI-X and bus mastering are on, and neither the function nor the vector is masked; otherwise a
 * notification makes it pending, and it is sent when the last obstacle goes away. All of this is under a lock of
 * MSI-X's own, so that any thread may notify; the interrupt controller's lock is inner to it.
 *
 * A vector that was unmasked once has a route and an eventfd attached to it, where the accelerator has those. They stay
 * while it is masked (nobody writes the eventfd then), and change with the message at the next unmask.
 *
 * The guest chooses addresses and data of messages freely: what isn't an interrupt is for the controller to refuse.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "hw/pci/pci_internal.h"

enum { MSIX_ENTRY_SIZE = 16, MSIX_ENTRY_MASKED = 1 };

struct msix_vector {
    struct msi_message message;
    bool masked;
    bool pending;
    bool route_is_stale; /* the message changed since the route was made */
    int route;           /* -1: none */
    int event_fd;        /* -1: none attached */
};

/*
 * target, device, capability, count, pba_offset: immutable. enabled: written under the lock, read by any thread.
 */
struct msix {
    struct msi_target *target;
    struct pci_device *pci;
    unsigned capability, bar_index, count;
    uint64_t pba_offset;
    struct region region;
    _Atomic bool enabled;
    struct hdl_mutex lock;           /* LOCK_RANK_IRQ_LINE */
    bool open HDL_GUARDED_BY(&lock); /* enabled, bus master, function not masked */
    struct msix_vector *vectors HDL_PT_GUARDED_BY(&lock);
};

bool msix_is_enabled(const struct pci_device *pci)
{
    return pci->msix && atomic_load_explicit(&pci->msix->enabled, memory_order_relaxed);
}

/* --- routes ----------------------------------------------------------------------------------------------------- */

static void msix_route_drop(struct msix *msix, struct msix_vector *vector)
{
    if (vector->event_fd >= 0) {
        msix->target->ops->irqfd_detach(msix->target, vector->route, vector->event_fd);
        close(vector->event_fd);
        vector->event_fd = -1;
    }
    if (vector->route >= 0) {
        msix->target->ops->route_remove(msix->target, vector->route);
        vector->route = -1;
    }
}

/* A route and an eventfd, or neither: messages are then sent by call. */
static void msix_route_make(struct msix *msix, struct msix_vector *vector)
{
    const struct msi_target_ops *ops = msix->target->ops;
    int event_fd;

    vector->route = ops->route_add ? ops->route_add(msix->target, vector->message) : -ENOTSUP;
    if (vector->route < 0) {
        vector->route = -1;
        return;
    }
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd >= 0 && ops->irqfd_attach(msix->target, vector->route, event_fd) == 0) {
        vector->event_fd = event_fd;
        return;
    }
    if (event_fd >= 0) {
        close(event_fd);
    }
    msix_route_drop(msix, vector);
}

static void msix_route_refresh(struct msix *msix, struct msix_vector *vector)
{
    if (!vector->route_is_stale) {
        return;
    }
    vector->route_is_stale = false;
    if (vector->route < 0) {
        msix_route_make(msix, vector);
    } else if (msix->target->ops->route_update(msix->target, vector->route, vector->message) < 0) {
        msix_route_drop(msix, vector);
    }
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void msix_send(struct msix *msix, struct msix_vector *vector)
{
    static const uint64_t one = 1;

    if (!msix->target) {
        return;
    }
    msix_route_refresh(msix, vector);
    if (vector->event_fd < 0) {
        (void)msix->target->ops->send(msix->target, vector->message);
    } else if (write(vector->event_fd, &one, sizeof(one)) != sizeof(one)) {
        /* Only when 2^64 - 2 signals are unread: the interrupt is on its way then. */
        return;
    }
}

static void msix_vector_notify_locked(struct msix *msix, struct msix_vector *vector, bool raise)
    HDL_REQUIRES(&msix->lock)
{
    bool pending = vector->pending || raise;

    vector->pending = pending && (!msix->open || vector->masked);
    if (pending && !vector->pending) {
        msix_send(msix, vector);
    }
}

void msix_notify(struct pci_device *pci, unsigned vector)
{
    struct msix *msix = pci->msix;

    if (!msix || vector >= msix->count || !msix_is_enabled(pci)) {
        return;
    }
    hdl_mutex_lock(&msix->lock);
    msix_vector_notify_locked(msix, &msix->vectors[vector], true);
    hdl_mutex_unlock(&msix->lock);
}

void msix_config_changed(struct pci_device *pci)
{
    struct msix *msix = pci->msix;
    uint16_t control;
    bool enabled;
    bool open;

    if (!msix) {
        return;
    }
    control = pci_config_get16(pci, msix->capability + MSIX_CONTROL);
    enabled = pci->exposed && (control & MSIX_CONTROL_ENABLE);
    open = enabled && !(control & MSIX_CONTROL_FUNCTION_MASK) && pci_device_is_master(pci);
    hdl_mutex_lock(&msix->lock);
    atomic_store_explicit(&msix->enabled, enabled, memory_order_relaxed);
    if (open && !msix->open) {
        msix->open = true;
        for (unsigned i = 0; i < msix->count; i++) {
            msix_vector_notify_locked(msix, &msix->vectors[i], false);
        }
    }
    msix->open = open;
    hdl_mutex_unlock(&msix->lock);
}

/* --- the table and the pending bits ----------------------------------------------------------------------------- */

static uint32_t msix_table_read_locked(struct msix *msix, uint64_t offset) HDL_REQUIRES(&msix->lock)
{
    const struct msix_vector *vector = &msix->vectors[offset / MSIX_ENTRY_SIZE];

    switch (offset % MSIX_ENTRY_SIZE) {
    case 0:
        return (uint32_t)vector->message.address;
    case 4:
        return (uint32_t)(vector->message.address >> 32);
    case 8:
        return vector->message.data;
    default:
        return vector->masked ? MSIX_ENTRY_MASKED : 0;
    }
}

static uint32_t msix_pending_read_locked(struct msix *msix, uint64_t offset) HDL_REQUIRES(&msix->lock)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < 32; i++) {
        uint64_t vector = offset * 8 + i;

        if (vector < msix->count && msix->vectors[vector].pending) {
            bits |= UINT32_C(1) << i;
        }
    }
    return bits;
}

static enum access_result msix_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct msix *msix = opaque;

    *value = 0;
    hdl_mutex_lock(&msix->lock);
    if (offset < (uint64_t)msix->count * MSIX_ENTRY_SIZE) {
        *value = msix_table_read_locked(msix, offset);
    } else if (offset >= msix->pba_offset) {
        *value = msix_pending_read_locked(msix, offset - msix->pba_offset);
    }
    hdl_mutex_unlock(&msix->lock);
    return ACCESS_OK;
}

static void msix_table_write_locked(struct msix *msix, uint64_t offset, uint32_t value) HDL_REQUIRES(&msix->lock)
{
    struct msix_vector *vector = &msix->vectors[offset / MSIX_ENTRY_SIZE];
    struct msi_message *message = &vector->message;

    switch (offset % MSIX_ENTRY_SIZE) {
    case 0:
        message->address = (message->address & ~UINT64_C(0xffffffff)) | (value & ~3u);
        break;
    case 4:
        message->address = (message->address & UINT64_C(0xffffffff)) | (uint64_t)value << 32;
        break;
    case 8:
        message->data = value;
        break;
    default:
        vector->masked = value & MSIX_ENTRY_MASKED;
        msix_vector_notify_locked(msix, vector, false);
        return;
    }
    vector->route_is_stale = true;
}

static enum access_result msix_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct msix *msix = opaque;

    hdl_mutex_lock(&msix->lock);
    if (offset < (uint64_t)msix->count * MSIX_ENTRY_SIZE) {
        msix_table_write_locked(msix, offset, (uint32_t)value);
    }
    hdl_mutex_unlock(&msix->lock);
    return ACCESS_OK;
}

/* Drivers use 4 or 8 bytes; anything else is undefined (6.8.2) and refused. */
static const struct region_ops msix_ops = {
    .read = msix_read,
    .write = msix_write,
    .valid = {.min = 4, .max = 8},
    .impl = {.min = 4, .max = 4},
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void msix_vectors_reset_locked(struct msix *msix) HDL_REQUIRES(&msix->lock)
{
    for (unsigned i = 0; i < msix->count; i++) {
        struct msix_vector *vector = &msix->vectors[i];

        msix_route_drop(msix, vector);
        *vector = (struct msix_vector){.masked = true, .route_is_stale = true, .route = -1, .event_fd = -1};
    }
}

void msix_reset(struct pci_device *pci)
{
    struct msix *msix = pci->msix;

    if (!msix) {
        return;
    }
    msix_config_changed(pci);
    hdl_mutex_lock(&msix->lock);
    msix_vectors_reset_locked(msix);
    hdl_mutex_unlock(&msix->lock);
}

static void msix_capability_fill(struct pci_device *pci, const struct msix *msix)
{
    pci_config_set16(pci, msix->capability + MSIX_CONTROL, (uint16_t)(msix->count - 1));
    pci_config_set32(pci, msix->capability + MSIX_TABLE, msix->bar_index);
    pci_config_set32(pci, msix->capability + MSIX_PBA, (uint32_t)msix->pba_offset | msix->bar_index);
    pci->wmask[msix->capability + MSIX_CONTROL + 1] = (MSIX_CONTROL_ENABLE | MSIX_CONTROL_FUNCTION_MASK) >> 8;
}

static struct msix *msix_alloc(struct pci_device *pci, unsigned count) HDL_UNSHARED
{
    struct msix *msix = calloc(1, sizeof(*msix));

    if (!msix) {
        return NULL;
    }
    msix->vectors = calloc(count, sizeof(*msix->vectors));
    if (!msix->vectors) {
        free(msix);
        return NULL;
    }
    msix->pci = pci;
    msix->target = pci->bus->msi;
    msix->count = count;
    for (unsigned i = 0; i < count; i++) {
        msix->vectors[i] = (struct msix_vector){.masked = true, .route_is_stale = true, .route = -1, .event_fd = -1};
    }
    hdl_mutex_init(&msix->lock, "msix", LOCK_RANK_IRQ_LINE);
    return msix;
}

static uint64_t msix_table_room(unsigned count)
{
    uint64_t room = 2048;

    while (room < (uint64_t)count * MSIX_ENTRY_SIZE) {
        room *= 2;
    }
    return room;
}

int msix_init(struct pci_device *pci, unsigned bar, unsigned count, struct error **err)
{
    int capability;
    struct msix *msix;

    if (count < 1 || count > MSIX_VECTOR_MAX) {
        return error_set(err, -EINVAL, "device '%s': %u MSI-X vectors: 1 to %d are possible", pci->device.id, count,
                         MSIX_VECTOR_MAX);
    }
    msix = msix_alloc(pci, count);
    if (!msix) {
        return error_set(err, -ENOMEM, "device '%s': out of memory", pci->device.id);
    }
    capability = pci_capability_add(pci, PCI_CAPABILITY_MSIX, MSIX_CAPABILITY_SIZE);
    pci->msix = msix;
    if (capability < 0) {
        msix_destroy(pci);
        return error_set(err, capability, "device '%s': no room for the MSI-X capability", pci->device.id);
    }
    msix->capability = (unsigned)capability;
    msix->bar_index = bar;
    msix->pba_offset = msix_table_room(count);
    msix_capability_fill(pci, msix);
    region_init_io(&msix->region, "msix", &pci->device, &msix_ops, msix, 2 * msix->pba_offset, 0, NULL);
    pci_bar_register(pci, bar, PCI_BAR_MEM32, false, &msix->region);
    return 0;
}

void msix_destroy(struct pci_device *pci)
{
    struct msix *msix = pci->msix;

    if (!msix) {
        return;
    }
    pci->msix = NULL;
    hdl_mutex_lock(&msix->lock);
    msix_vectors_reset_locked(msix);
    hdl_mutex_unlock(&msix->lock);
    hdl_mutex_destroy(&msix->lock);
    free(msix->vectors);
    free(msix);
}
