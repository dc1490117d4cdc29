/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio functions, driven: found through config space, negotiated, rings set up in the driver's own part of RAM,
 * filled with requests that are mostly right, kicked, reset in the middle, spoilt. Nothing is ever waited for. Several
 * drivers use one function at a time and don't know of each other, as no two real ones would: what the function sees
 * then is one driver that changes its mind.
 *
 * Numbers: virtio 1.2, 2.7 (split), 2.8 (packed), 4.1.4 (PCI), 5.2, 5.3, 5.4.
 */
#include "hw/pci/pci_regs.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/virtio_blk_regs.h"
#include "hw/virtio/vring.h"
#include "machine/pc_layout.h"
#include "torture.h"

enum { VIRTIO_VENDOR = 0x1af4, VIRTIO_DEVICE_FIRST = 0x1040 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, QUEUE_BARS = 6 };
/* A cell: rings, then what both sides look into, then data. */
enum {
    CELL_BYTES = 0x10000,
    RING_BYTES = 0x1000,
    RING_AVAIL = 0x400,
    RING_USED = 0x800,
    CELL_META = TORTURE_QUEUES * RING_BYTES,
    CELL_DATA = 0x8000,
};
enum { PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };
/* Registers of the common configuration. */
enum {
    COMMON_FEATURE_SELECT = 0x00,
    COMMON_FEATURE = 0x04,
    COMMON_DRIVER_SELECT = 0x08,
    COMMON_DRIVER_FEATURE = 0x0c,
    COMMON_CONFIG_VECTOR = 0x10,
    COMMON_QUEUE_COUNT = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_SELECT = 0x16,
    COMMON_SIZE = 0x18,
    COMMON_VECTOR = 0x1a,
    COMMON_ENABLE = 0x1c,
    COMMON_NOTIFY = 0x1e,
    COMMON_DESC = 0x20,
    COMMON_DRIVER = 0x28,
    COMMON_DEVICE = 0x30,
};

struct queue_buffer {
    uint64_t gpa;
    uint32_t len_bytes;
    bool writable;
};

static uint64_t queue_cell(const struct driver *driver)
{
    uint64_t cell = (driver->virtio.config - PC_ECAM) / 4096 % (TORTURE_ARENA_BYTES / CELL_BYTES);

    return TORTURE_ARENA + driver->index * TORTURE_ARENA_BYTES + cell * CELL_BYTES;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

/* Where a capability's BAR is now; 0: nowhere. */
static uint64_t queue_bar_address(struct driver *driver, uint64_t config, unsigned bar)
{
    uint64_t low = driver_read(driver, config + PCI_BAR0 + 4 * (bar % QUEUE_BARS), 4);

    if (low & PCI_BAR_64BIT && bar < QUEUE_BARS - 1) {
        low |= driver_read(driver, config + PCI_BAR0 + 4 * (bar + 1), 4) << 32;
    }
    return low & PCI_BAR_IO_SPACE ? 0 : low & ~UINT64_C(15);
}

static void queue_read_capability(struct driver *driver, uint64_t config, unsigned at)
{
    struct driver_virtio *virtio = &driver->virtio;
    unsigned kind = (unsigned)driver_read(driver, config + at + 3, 1);
    uint64_t base;

    if (kind != CAP_COMMON && kind != CAP_NOTIFY) {
        return;
    }
    base = queue_bar_address(driver, config, (unsigned)driver_read(driver, config + at + 4, 1));
    base += base ? driver_read(driver, config + at + 8, 4) : 0;
    if (kind == CAP_COMMON) {
        virtio->common = base;
    } else {
        virtio->notify = base;
        virtio->multiplier = (uint32_t)driver_read(driver, config + at + 16, 4);
    }
}

/* Some virtio function, if chance finds one. */
static bool queue_find(struct driver *driver)
{
    uint64_t config = 0;
    uint64_t identity = 0;
    unsigned at;

    for (unsigned i = 0; i < 8 && (identity & 0xffff) != VIRTIO_VENDOR; i++) {
        config = driver_find_function(driver);
        identity = config ? driver_read(driver, config, 4) : 0;
    }
    if ((identity & 0xffff) != VIRTIO_VENDOR || identity >> 16 <= VIRTIO_DEVICE_FIRST) {
        return false;
    }
    driver->virtio = (struct driver_virtio){.config = config, .id = (unsigned)(identity >> 16) - VIRTIO_DEVICE_FIRST};
    at = (unsigned)driver_read(driver, config + PCI_CAPABILITIES, 1);
    for (unsigned i = 0; i < 16 && at >= 0x40 && at < 0xff; i++) {
        if (driver_read(driver, config + at, 1) == PCI_CAPABILITY_VENDOR) {
            queue_read_capability(driver, config, at);
        }
        at = (unsigned)driver_read(driver, config + at + 1, 1);
    }
    return driver->virtio.common && driver->virtio.notify;
}

/* --- setting up ----------------------------------------------------------------------------------------------------
 */

static void common_write(struct driver *driver, unsigned offset, unsigned size_bytes, uint64_t value)
{
    driver_write(driver, driver->virtio.common + offset, size_bytes, value);
}

static uint64_t common_read(struct driver *driver, unsigned offset, unsigned size_bytes)
{
    return driver_read(driver, driver->virtio.common + offset, size_bytes);
}

static void queue_negotiate(struct driver *driver)
{
    uint64_t wanted = actor_random(&driver->actor) | VIRTIO_F_VERSION_1;
    uint64_t offered = 0;

    common_write(driver, COMMON_STATUS, 1, 0);
    common_write(driver, COMMON_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    common_write(driver, COMMON_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned half = 0; half < 2; half++) {
        common_write(driver, COMMON_FEATURE_SELECT, 4, half);
        offered |= common_read(driver, COMMON_FEATURE, 4) << (32 * half);
        common_write(driver, COMMON_DRIVER_SELECT, 4, half);
        common_write(driver, COMMON_DRIVER_FEATURE, 4, (wanted & offered) >> (32 * half) & UINT32_MAX);
    }
    driver->virtio.packed = wanted & offered & VIRTIO_F_RING_PACKED;
    common_write(driver, COMMON_STATUS, 1,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
}

static void queue_address(struct driver *driver, unsigned offset, uint64_t gpa)
{
    common_write(driver, offset, 4, gpa & UINT32_MAX);
    common_write(driver, offset + 4, 4, gpa >> 32);
}

static void queue_set_up(struct driver *driver, unsigned index)
{
    struct driver_ring *ring = &driver->virtio.rings[driver->virtio.ring_count];
    unsigned max;

    common_write(driver, COMMON_SELECT, 2, index);
    max = (unsigned)common_read(driver, COMMON_SIZE, 2);
    if (max == 0 || max == 0xffff) {
        return;
    }
    *ring = (struct driver_ring){
        .index = index,
        .size = MIN(max, 1u << (3 + actor_below(&driver->actor, 4))),
        .desc = queue_cell(driver) + driver->virtio.ring_count * RING_BYTES,
        .wrap = true,
    };
    ring->avail = ring->desc + RING_AVAIL;
    ring->used = ring->desc + RING_USED;
    for (unsigned i = 0; driver->virtio.packed && i < ring->size; i++) {
        driver_write(driver, ring->desc + 16 * i + 8, 8, 0);
    }
    driver_write(driver, ring->avail, 4, 0);
    driver_write(driver, ring->used, 4, 0);
    common_write(driver, COMMON_SIZE, 2, ring->size);
    common_write(driver, COMMON_VECTOR, 2, actor_below(&driver->actor, 4));
    queue_address(driver, COMMON_DESC, ring->desc);
    queue_address(driver, COMMON_DRIVER, ring->avail);
    queue_address(driver, COMMON_DEVICE, ring->used);
    ring->notify = driver->virtio.notify + common_read(driver, COMMON_NOTIFY, 2) * driver->virtio.multiplier;
    common_write(driver, COMMON_ENABLE, 2, 1);
    driver->virtio.ring_count++;
}

/* MSI-X on, with table entries that name CPU 0, or off: INTx. */
static void queue_interrupts(struct driver *driver)
{
    uint64_t config = driver->virtio.config;
    unsigned at = (unsigned)driver_read(driver, config + PCI_CAPABILITIES, 1);

    for (unsigned i = 0; i < 16 && at >= 0x40 && at < 0xff; i++) {
        if (driver_read(driver, config + at, 1) == PCI_CAPABILITY_MSIX) {
            uint64_t table = driver_read(driver, config + at + MSIX_TABLE, 4);
            uint64_t base = queue_bar_address(driver, config, table & 7);

            for (unsigned vector = 0; base && vector < 4; vector++) {
                uint64_t entry = base + (table & ~UINT64_C(7)) + 16 * vector;

                driver_write(driver, entry, 4, 0xfee00000);
                driver_write(driver, entry + 4, 4, 0);
                driver_write(driver, entry + 8, 4, 0x30 + vector);
                driver_write(driver, entry + 12, 4, actor_chance(&driver->actor, 4));
            }
            driver_write(driver, config + at + MSIX_CONTROL, 2,
                         actor_chance(&driver->actor, 2) ? MSIX_CONTROL_ENABLE : 0);
            return;
        }
        at = (unsigned)driver_read(driver, config + at + 1, 1);
    }
}

void driver_act_queue_open(void *who)
{
    struct driver *driver = who;
    unsigned count;

    if (!queue_find(driver)) {
        driver->virtio.is_open = false;
        return;
    }
    driver_write(driver, driver->virtio.config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    queue_interrupts(driver);
    queue_negotiate(driver);
    count = (unsigned)common_read(driver, COMMON_QUEUE_COUNT, 2);
    for (unsigned i = 0; i < MIN(count, (unsigned)TORTURE_QUEUES); i++) {
        queue_set_up(driver, i);
    }
    common_write(driver, COMMON_STATUS, 1,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                     VIRTIO_STATUS_DRIVER_OK);
    driver->virtio.is_open = driver->virtio.ring_count > 0;
}

/* --- requests --------------------------------------------------------------------------------------------------------
 */

/* Fresh bytes of an area, until they have all been used once. */
static uint64_t queue_take(uint64_t *next, uint64_t first, uint64_t end, uint32_t len_bytes)
{
    uint64_t gpa = *next >= first && *next + len_bytes <= end ? *next : first;

    *next = ALIGN_UP(gpa + len_bytes, UINT64_C(16));
    return gpa;
}

/* What the driver writes and the device reads, or the other way round: headers, messages, states. */
static uint64_t queue_meta(struct driver *driver, uint32_t len_bytes)
{
    uint64_t cell = queue_cell(driver);

    return queue_take(&driver->next_meta, cell + CELL_META, cell + CELL_DATA, len_bytes);
}

/*
 * What only backends read and write, with plain accesses or system calls: no driver touches it, and it comes round
 * late.
 */
static uint64_t queue_data(struct driver *driver, uint32_t len_bytes)
{
    uint64_t cell = queue_cell(driver);

    return queue_take(&driver->next_data, cell + CELL_DATA, cell + CELL_BYTES, len_bytes);
}

static unsigned queue_disk_request(struct driver *driver, struct queue_buffer *buffers)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,          VIRTIO_BLK_T_IN,
                                     VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_FLUSH,        VIRTIO_BLK_T_GET_ID,
                                     VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, 77};
    uint32_t type = types[actor_below(&driver->actor, ARRAY_SIZE(types))];
    uint64_t header = queue_meta(driver, VIRTIO_BLK_HEADER_BYTES);
    unsigned count = 0;

    driver_write(driver, header + VIRTIO_BLK_HEADER_TYPE, 4, type);
    driver_write(driver, header + VIRTIO_BLK_HEADER_SECTOR, 8, actor_below(&driver->actor, 2100));
    buffers[count++] = (struct queue_buffer){header, VIRTIO_BLK_HEADER_BYTES, false};
    if (type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES) {
        uint64_t range = queue_meta(driver, VIRTIO_BLK_RANGE_BYTES);

        driver_write(driver, range, 8, actor_below(&driver->actor, 2100));
        driver_write(driver, range + 8, 8, actor_below(&driver->actor, 64) | actor_below(&driver->actor, 2) << 32);
        buffers[count++] = (struct queue_buffer){range, VIRTIO_BLK_RANGE_BYTES, false};
    } else if (type != VIRTIO_BLK_T_FLUSH) {
        unsigned segments = 1 + (unsigned)actor_below(&driver->actor, 3);
        uint32_t len_bytes = type == VIRTIO_BLK_T_GET_ID ? 20 : 512 << actor_below(&driver->actor, 3);

        for (unsigned i = 0; i < segments; i++) {
            /* The name comes from the device, not from its backend. */
            uint64_t gpa = (type == VIRTIO_BLK_T_GET_ID ? queue_meta : queue_data)(driver, len_bytes);

            buffers[count++] = (struct queue_buffer){gpa, len_bytes, type != VIRTIO_BLK_T_OUT};
        }
    }
    buffers[count++] = (struct queue_buffer){queue_meta(driver, 1), 1, true};
    return count;
}

/* Queues come in pairs, the device's first; the second pair is for control. */
static unsigned queue_console_request(struct driver *driver, const struct driver_ring *ring,
                                      struct queue_buffer *buffers)
{
    uint32_t len_bytes = 1 + (uint32_t)actor_below(&driver->actor, 200);
    uint64_t gpa = ring->index == 3 ? queue_meta(driver, 8) : queue_data(driver, len_bytes);

    if (ring->index == 3) {
        static const uint16_t events[] = {0, 3, 6, 6, 5};

        driver_write(driver, gpa, 4, actor_below(&driver->actor, 4));
        driver_write(driver, gpa + 4, 2, events[actor_below(&driver->actor, ARRAY_SIZE(events))]);
        driver_write(driver, gpa + 6, 2, actor_below(&driver->actor, 8) != 0);
        len_bytes = 8;
    }
    buffers[0] = (struct queue_buffer){gpa, len_bytes, ring->index % 2 == 0};
    return 1;
}

/* Whatever kind of device that is, in whatever direction. */
static unsigned queue_any_request(struct driver *driver, struct queue_buffer *buffers)
{
    unsigned count = 1 + (unsigned)actor_below(&driver->actor, 4);
    unsigned writable = (unsigned)actor_below(&driver->actor, count + 1);

    for (unsigned i = 0; i < count; i++) {
        uint32_t len_bytes = 1 + (uint32_t)actor_below(&driver->actor, 4096);

        buffers[i] = (struct queue_buffer){queue_data(driver, len_bytes), len_bytes, i >= writable};
    }
    return count;
}

/* One that leads out of RAM, or to a device. */
static void queue_spoil_buffer(struct driver *driver, struct queue_buffer *buffer)
{
    static const uint64_t places[] = {
        TORTURE_RAM_BYTES - 8, TORTURE_RAM_BYTES, UINT64_MAX - 4, 0xe0000000, 0xfed00000, 0xc0000000, UINT64_MAX / 2};

    switch (actor_below(&driver->actor, 3)) {
    case 0:
        buffer->gpa = places[actor_below(&driver->actor, ARRAY_SIZE(places))];
        break;
    case 1:
        buffer->len_bytes = actor_chance(&driver->actor, 2) ? 0 : UINT32_MAX;
        break;
    default:
        buffer->writable = !buffer->writable;
        break;
    }
}

/* --- rings
 * ------------------------------------------------------------------------------------------------------------ */

enum { CHAIN_MAX = 5 }; /* descriptors of the longest request */

/* Whether another chain finds its descriptors given back. A ring that the device forgot about stays full. */
static bool split_has_room(struct driver *driver, const struct driver_ring *ring)
{
    uint16_t used = (uint16_t)driver_read(driver, ring->used + 2, 2);

    return (unsigned)(uint16_t)(ring->next - used) + 1 <= ring->size / CHAIN_MAX;
}

static void split_add(struct driver *driver, struct driver_ring *ring, const struct queue_buffer *buffers,
                      unsigned count)
{
    unsigned head = ring->next_desc;

    for (unsigned i = 0; i < count; i++) {
        uint64_t at = ring->desc + 16 * ((head + i) % ring->size);
        uint64_t flags = (i + 1 < count ? VRING_DESC_NEXT : 0) | (buffers[i].writable ? VRING_DESC_WRITE : 0);

        driver_write(driver, at, 8, buffers[i].gpa);
        driver_write(driver, at + 8, 8,
                     buffers[i].len_bytes | flags << 32 | (uint64_t)((head + i + 1) % ring->size) << 48);
    }
    ring->next_desc = (uint16_t)((head + count) % ring->size);
    driver_write(driver, ring->avail + 4 + 2 * (ring->next % ring->size), 2, head);
    ring->next++;
    driver_write(driver, ring->avail + 2, 2, ring->next);
}

/* Whether the next descriptors are the driver's: never used, or given back. */
static bool packed_has_room(struct driver *driver, const struct driver_ring *ring, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned position = (ring->next + i) % ring->size;
        uint64_t flags = driver_read(driver, ring->desc + 16 * position + 14, 2);

        if (!(flags & PACKED_AVAIL) != !(flags & PACKED_USED)) {
            return false;
        }
    }
    return true;
}

static void packed_add(struct driver *driver, struct driver_ring *ring, const struct queue_buffer *buffers,
                       unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        unsigned position = (ring->next + i) % ring->size;
        bool wrap = ring->next + i >= ring->size ? !ring->wrap : ring->wrap;
        uint64_t flags = (i + 1 < count ? VRING_DESC_NEXT : 0) | (buffers[i].writable ? VRING_DESC_WRITE : 0) |
                         (wrap ? PACKED_AVAIL : PACKED_USED);

        driver_write(driver, ring->desc + 16 * position, 8, buffers[i].gpa);
        driver_write(driver, ring->desc + 16 * position + 8, 8,
                     buffers[i].len_bytes | (uint64_t)ring->next << 32 | flags << 48);
    }
    ring->wrap = ring->next + count >= ring->size ? !ring->wrap : ring->wrap;
    ring->next = (uint16_t)((ring->next + count) % ring->size);
}

static void queue_add(struct driver *driver, struct driver_ring *ring)
{
    struct queue_buffer buffers[8];
    unsigned count;

    if (driver->virtio.id == VIRTIO_ID_BLOCK) {
        count = queue_disk_request(driver, buffers);
    } else if (driver->virtio.id == VIRTIO_ID_CONSOLE) {
        count = queue_console_request(driver, ring, buffers);
    } else if (driver->virtio.id == VIRTIO_ID_RNG) {
        buffers[0] = (struct queue_buffer){queue_data(driver, 64), 64, true};
        count = 1;
    } else {
        count = queue_any_request(driver, buffers);
    }
    if (actor_chance(&driver->actor, 200)) {
        queue_spoil_buffer(driver, &buffers[actor_below(&driver->actor, count)]);
    }
    if (driver->virtio.packed && count <= ring->size && packed_has_room(driver, ring, count)) {
        packed_add(driver, ring, buffers, count);
    } else if (!driver->virtio.packed && split_has_room(driver, ring)) {
        split_add(driver, ring, buffers, count);
    }
}

void driver_act_queue_kick(void *who)
{
    struct driver *driver = who;
    struct driver_ring *ring;
    unsigned count;

    if (!driver->virtio.is_open) {
        return;
    }
    ring = &driver->virtio.rings[actor_below(&driver->actor, driver->virtio.ring_count)];
    count = 1 + (unsigned)actor_below(&driver->actor, MAX(MIN(ring->size / 4, 4u), 1u));
    for (unsigned i = 0; i < count; i++) {
        queue_add(driver, ring);
    }
    driver_write(driver, ring->notify, 2, ring->index);
    if (actor_chance(&driver->actor, 4)) {
        (void)common_read(driver, COMMON_STATUS, 1);
        (void)driver_read(driver, ring->used, 4);
    }
    if (actor_chance(&driver->actor, 16)) {
        driver_act_queue_reset(who);
    }
}

/* With requests under way, mostly. Not always does it wait for the end, which the device may not have reached. */
void driver_act_queue_reset(void *who)
{
    struct driver *driver = who;

    if (!driver->virtio.is_open) {
        return;
    }
    common_write(driver, COMMON_STATUS, 1, 0);
    for (unsigned i = 0; i < 64 && actor_chance(&driver->actor, 2); i++) {
        if (common_read(driver, COMMON_STATUS, 1) == 0) {
            break;
        }
    }
    driver->virtio.is_open = false;
}

/* A register that isn't due now, or bytes of a ring that make no sense. */
void driver_act_queue_spoil(void *who)
{
    struct driver *driver = who;
    const struct driver_ring *ring;

    if (!driver->virtio.is_open) {
        return;
    }
    ring = &driver->virtio.rings[actor_below(&driver->actor, driver->virtio.ring_count)];
    switch (actor_below(&driver->actor, 5)) {
    case 0:
        common_write(driver, COMMON_STATUS, 1, actor_random(&driver->actor));
        break;
    case 1:
        common_write(driver, COMMON_SELECT, 2, actor_below(&driver->actor, 8));
        common_write(driver, COMMON_ENABLE, 2, actor_below(&driver->actor, 2));
        break;
    case 2:
        driver_write(driver, ring->avail + actor_below(&driver->actor, 8), 4, actor_random(&driver->actor));
        break;
    case 3:
        /* Anything but an address, which would be another device's buffer sooner or later. */
        driver_write(driver, ring->desc + 16 * actor_below(&driver->actor, ring->size) + 8, 8,
                     actor_random(&driver->actor));
        break;
    default:
        common_write(driver, (unsigned)actor_below(&driver->actor, 0x38), 4, actor_random(&driver->actor));
        break;
    }
    driver_write(driver, ring->notify, 2, ring->index);
}
