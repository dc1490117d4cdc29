/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk-pci: a disk over a block node (virtio 1.2, 5.2). Read, write, flush, discard, write zeroes and get-id, on
 * any number of queues; errors end in the request's status byte. No SCSI pass-through, secure erase, zones or lifetime.
 *
 * A request's way:
 *
 *   popped, parsed, checked        device lock, any thread
 *      |  \___ answered at once: get-id, refused
 *   to_submit list                 lock-free, so that no loop waits for a device
 *      |
 *   block_submit ... done          loop thread (the node's and the device's), no lock
 *      |  \___ write-through: once more as a flush
 *   completed list                 lock-free
 *      |
 *   pushed, guest told             device lock, deferred work
 *
 * When the thread that pops is the loop's, the first list is left out. A request belongs to one of these places at a
 * time, and ends exactly once, also when the device is reset or fails meanwhile: the core then writes nothing to rings.
 * Requests are the core's pool, allocated at realize.
 *
 * A hostile guest can make its requests fail and its device need a reset. Header and ranges are copied out of guest
 * memory once and the copies checked. Data may change while the disk reads it; that is the guest's own affair.
 */
#include "hw/virtio/virtio_blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "block/block.h"
#include "hw/virtio/virtio_blk_regs.h"
#include "hw/virtio/virtio_pci.h"

/* Pieces of data in one request without allocation; offered as seg_max. Header and status come on top. */
#define BLK_SEGMENTS 126
/* What one discard or write-zeroes request may cover: 2 GiB. */
#define BLK_RANGE_SECTORS (UINT32_C(1) << 22)
/* Requests under way in the block layer without allocation. */
#define BLK_RESERVE   256u
#define BLK_BLOCK_MAX 32768u

struct blk_request {
    struct virtqueue_element element; /* first */
    struct virtio_blk *blk;
    struct blk_request *next; /* on one of the lists */
    struct block_request block;
    bool flush_after; /* write-through */
    int result;
    struct iovec *pieces; /* own, or allocated for a request with more */
    struct iovec own[BLK_SEGMENTS + 2];
};

/*
 * Properties, graph, node, capacity, loop (the device's): immutable after realize. write_cache: device lock.
 * to_submit, completed: any thread, atomically, newest first.
 */
struct virtio_blk {
    struct virtio_pci proxy; /* first */
    char *drive, *serial, *iothread;
    uint16_t num_queues, queue_size;
    uint32_t boot_index;
    uint32_t logical_bytes, physical_bytes, discard_bytes, min_io_bytes, opt_io_bytes;
    enum on_off_auto write_cache_option;
    bool config_wce, offer_discard, offer_write_zeroes;

    struct block_graph *graph;
    struct block_node *node;
    uint64_t capacity_bytes;
    bool write_cache; /* the driver may switch it */

    struct blk_request *_Atomic to_submit;
    struct blk_request *_Atomic completed;
    struct bh submit_bh, complete_bh;
    struct device_work complete_work;
};

static struct virtio_blk *blk_of(struct virtio_device *virtio)
{
    return container_of(virtio, struct virtio_blk, proxy.virtio);
}

/* --- lists between threads ---------------------------------------------------------------------------------------- */

/* Release pairs with the acquire in list_take. */
static void list_push(struct blk_request *_Atomic *list, struct blk_request *request)
{
    request->next = atomic_load_explicit(list, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(list, &request->next, request, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

/* All of it, oldest first. */
static struct blk_request *list_take(struct blk_request *_Atomic *list)
{
    struct blk_request *newest = atomic_exchange_explicit(list, NULL, memory_order_acquire);
    struct blk_request *oldest = NULL;

    while (newest) {
        struct blk_request *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static uint8_t status_of(int result)
{
    if (result == 0) {
        return VIRTIO_BLK_S_OK;
    }
    return result == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* Device lock. The status is the last byte that the device may write, so all of them count as written. */
static void finish(struct blk_request *request, uint8_t status)
{
    struct virtqueue_element *element = &request->element;

    if (request->pieces != request->own) {
        free(request->pieces);
    }
    request->pieces = NULL;
    virtqueue_element_write(element, element->in_bytes - 1, &status, sizeof(status));
    virtqueue_push(element, (uint32_t)element->in_bytes);
}

static void notify_queues(struct virtio_blk *blk)
{
    for (unsigned i = 0; i < blk->proxy.virtio.queue_count; i++) {
        virtqueue_notify(blk->proxy.virtio.queues[i]);
    }
}

/* Deferred work: device lock. */
static void complete_all(struct device *device, struct device_work *work)
{
    struct virtio_blk *blk = container_of(work, struct virtio_blk, complete_work);
    struct blk_request *request = list_take(&blk->completed);

    while (request) {
        struct blk_request *next = request->next;

        finish(request, status_of(request->result));
        request = next;
    }
    notify_queues(blk);
}

/* Loop thread, once for all that completed in one round. */
static void submit_complete_work(void *opaque)
{
    struct virtio_blk *blk = opaque;

    /* It can't be refused: the device takes work until its last element is completed. */
    (void)device_submit(&blk->proxy.pci.device, &blk->complete_work);
}

/* Loop thread. */
static void block_done(struct block_request *block, int result)
{
    struct blk_request *request = container_of(block, struct blk_request, block);
    struct virtio_blk *blk = request->blk;

    if (result == 0 && request->flush_after) {
        request->flush_after = false;
        block->op = BLOCK_FLUSH;
        block_submit(blk->node, block);
        return;
    }
    request->result = result;
    list_push(&blk->completed, request);
    bh_schedule(&blk->complete_bh);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

/* Loop thread, no lock. */
static void submit_all(void *opaque)
{
    struct virtio_blk *blk = opaque;
    struct blk_request *request = list_take(&blk->to_submit);

    while (request) {
        struct blk_request *next = request->next;

        block_submit(blk->node, &request->block);
        request = next;
    }
}

/* Device lock, any thread. Submitting doesn't block, so on the loop thread it happens here. */
static void hand_over(struct blk_request *request)
{
    struct virtio_blk *blk = request->blk;

    request->block.done = block_done;
    if (event_loop_is_current(blk->proxy.pci.device.loop)) {
        block_submit(blk->node, &request->block);
    } else {
        list_push(&blk->to_submit, request);
        bh_schedule(&blk->submit_bh);
    }
}

static bool range_is_valid(const struct virtio_blk *blk, uint64_t sector, uint64_t len_bytes)
{
    uint64_t mask = blk->logical_bytes - 1;

    return sector <= blk->capacity_bytes / BLOCK_SECTOR_BYTES &&
           len_bytes <= blk->capacity_bytes - sector * BLOCK_SECTOR_BYTES &&
           ((sector * BLOCK_SECTOR_BYTES | len_bytes) & mask) == 0;
}

/* The data's pieces: [offset, offset + len) of one part of the element. */
static int slice_data(struct blk_request *request, const struct iovec *part, unsigned count, uint64_t offset,
                      uint64_t len_bytes)
{
    unsigned room = ARRAY_SIZE(request->own);

    if (count > room) {
        struct iovec *pieces = malloc(count * sizeof(*pieces));

        if (!pieces) {
            return -ENOMEM;
        }
        request->pieces = pieces;
        room = count;
    }
    return virtqueue_iov_slice(part, count, offset, len_bytes, request->pieces, room);
}

/* Each of these returns the status to answer with at once, or -1: handed over. */
enum { HANDED_OVER = -1 };

static int begin_data(struct blk_request *request, enum block_op op, uint64_t sector)
{
    const struct virtqueue_element *element = &request->element;
    struct virtio_blk *blk = request->blk;
    bool is_read = op == BLOCK_READ;
    uint64_t len_bytes = is_read ? element->in_bytes - 1 : element->out_bytes - VIRTIO_BLK_HEADER_BYTES;
    int count;

    if (len_bytes > BLOCK_MAX_TRANSFER_BYTES || !range_is_valid(blk, sector, len_bytes)) {
        return VIRTIO_BLK_S_IOERR;
    }
    count = is_read ? slice_data(request, element->in, element->in_count, 0, len_bytes)
                    : slice_data(request, element->out, element->out_count, VIRTIO_BLK_HEADER_BYTES, len_bytes);
    if (count < 0) {
        return VIRTIO_BLK_S_IOERR;
    }
    request->flush_after = !is_read && !blk->write_cache;
    request->block = (struct block_request){
        .op = op,
        .offset = sector * BLOCK_SECTOR_BYTES,
        .len_bytes = len_bytes,
        .iov = request->pieces,
        .iov_count = count,
    };
    hand_over(request);
    return HANDED_OVER;
}

static int begin_flush(struct blk_request *request)
{
    request->block = (struct block_request){.op = BLOCK_FLUSH};
    hand_over(request);
    return HANDED_OVER;
}

/* One range a request, as max_discard_seg and max_write_zeroes_seg say. */
static int begin_range(struct blk_request *request, enum block_op op)
{
    const struct virtqueue_element *element = &request->element;
    struct virtio_blk *blk = request->blk;
    uint8_t range[VIRTIO_BLK_RANGE_BYTES];
    uint64_t sector;
    uint32_t sectors, flags;

    if (element->out_bytes != VIRTIO_BLK_HEADER_BYTES + sizeof(range)) {
        return element->out_bytes > VIRTIO_BLK_HEADER_BYTES + sizeof(range) ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
    }
    virtqueue_element_read(element, VIRTIO_BLK_HEADER_BYTES, range, sizeof(range));
    sector = load_le64(&range[VIRTIO_BLK_RANGE_SECTOR]);
    sectors = load_le32(&range[VIRTIO_BLK_RANGE_NUM_SECTORS]);
    flags = load_le32(&range[VIRTIO_BLK_RANGE_FLAGS]);
    if ((flags & ~(op == BLOCK_DISCARD ? 0u : (uint32_t)VIRTIO_BLK_RANGE_FLAG_UNMAP)) != 0) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (sectors > BLK_RANGE_SECTORS || !range_is_valid(blk, sector, (uint64_t)sectors * BLOCK_SECTOR_BYTES)) {
        return VIRTIO_BLK_S_IOERR;
    }
    request->flush_after = op == BLOCK_WRITE_ZEROES && !blk->write_cache;
    request->block = (struct block_request){
        .op = op,
        .flags = flags & (uint32_t)VIRTIO_BLK_RANGE_FLAG_UNMAP ? BLOCK_MAY_UNMAP : 0,
        .offset = sector * BLOCK_SECTOR_BYTES,
        .len_bytes = (uint64_t)sectors * BLOCK_SECTOR_BYTES,
    };
    hand_over(request);
    return HANDED_OVER;
}

static int answer_id(struct blk_request *request)
{
    const struct virtqueue_element *element = &request->element;
    const struct virtio_blk *blk = request->blk;
    char id[VIRTIO_BLK_ID_BYTES] = {0};
    const char *serial = blk->serial ? blk->serial : "";

    memcpy(id, serial, MIN(strlen(serial), sizeof(id)));
    virtqueue_element_write(element, 0, id, MIN(sizeof(id), element->in_bytes - 1));
    return VIRTIO_BLK_S_OK;
}

static int begin(struct blk_request *request, uint32_t type, uint64_t sector)
{
    const struct virtio_device *virtio = &request->blk->proxy.virtio;

    switch (type) {
    case VIRTIO_BLK_T_IN:
        return begin_data(request, BLOCK_READ, sector);
    case VIRTIO_BLK_T_OUT:
        return begin_data(request, BLOCK_WRITE, sector);
    case VIRTIO_BLK_T_FLUSH:
        return begin_flush(request);
    case VIRTIO_BLK_T_GET_ID:
        return answer_id(request);
    case VIRTIO_BLK_T_DISCARD:
        return virtio_has_feature(virtio, VIRTIO_BLK_F_DISCARD) ? begin_range(request, BLOCK_DISCARD)
                                                                : VIRTIO_BLK_S_UNSUPP;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return virtio_has_feature(virtio, VIRTIO_BLK_F_WRITE_ZEROES) ? begin_range(request, BLOCK_WRITE_ZEROES)
                                                                     : VIRTIO_BLK_S_UNSUPP;
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* False: the device has failed. */
static bool begin_element(struct virtio_blk *blk, struct virtqueue_element *element)
{
    struct blk_request *request = container_of(element, struct blk_request, element);
    uint8_t header[VIRTIO_BLK_HEADER_BYTES];
    int status;

    if (element->out_bytes < sizeof(header) || element->in_bytes == 0) {
        virtio_fail(&blk->proxy.virtio, "request without %s", element->in_bytes == 0 ? "status byte" : "header");
        virtqueue_drop(element);
        return false;
    }
    virtqueue_element_read(element, 0, header, sizeof(header));
    request->blk = blk;
    request->pieces = request->own;
    request->flush_after = false;
    status = begin(request, load_le32(&header[VIRTIO_BLK_HEADER_TYPE]), load_le64(&header[VIRTIO_BLK_HEADER_SECTOR]));
    if (status != HANDED_OVER) {
        finish(request, (uint8_t)status);
    }
    return true;
}

static void blk_queue_notify(struct virtio_device *virtio, struct virtqueue *queue)
{
    struct virtqueue_element *element;

    while ((element = virtqueue_pop(queue)) != NULL) {
        if (!begin_element(blk_of(virtio), element)) {
            break;
        }
    }
    virtqueue_notify(queue); /* what was answered at once */
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

static void blk_config_read(struct virtio_device *virtio, void *config)
{
    const struct virtio_blk *blk = blk_of(virtio);
    uint8_t *fields = config;

    memset(fields, 0, VIRTIO_BLK_CONFIG_BYTES);
    store_le64(&fields[VIRTIO_BLK_CONFIG_CAPACITY], blk->capacity_bytes / BLOCK_SECTOR_BYTES);
    store_le32(&fields[VIRTIO_BLK_CONFIG_SEG_MAX], BLK_SEGMENTS);
    store_le32(&fields[VIRTIO_BLK_CONFIG_BLK_SIZE], blk->logical_bytes);
    fields[VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP] = (uint8_t)__builtin_ctz(blk->physical_bytes / blk->logical_bytes);
    store_le16(&fields[VIRTIO_BLK_CONFIG_MIN_IO_SIZE], (uint16_t)(blk->min_io_bytes / blk->logical_bytes));
    store_le32(&fields[VIRTIO_BLK_CONFIG_OPT_IO_SIZE], blk->opt_io_bytes / blk->logical_bytes);
    fields[VIRTIO_BLK_CONFIG_WRITEBACK] = blk->write_cache;
    store_le16(&fields[VIRTIO_BLK_CONFIG_NUM_QUEUES], blk->num_queues);
    store_le32(&fields[VIRTIO_BLK_CONFIG_MAX_DISCARD_SECTORS], BLK_RANGE_SECTORS);
    store_le32(&fields[VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG], 1);
    store_le32(&fields[VIRTIO_BLK_CONFIG_DISCARD_SECTOR_ALIGNMENT], blk->discard_bytes / BLOCK_SECTOR_BYTES);
    store_le32(&fields[VIRTIO_BLK_CONFIG_MAX_WRITE_ZEROES_SECTORS], BLK_RANGE_SECTORS);
    store_le32(&fields[VIRTIO_BLK_CONFIG_MAX_WRITE_ZEROES_SEG], 1);
    fields[VIRTIO_BLK_CONFIG_WRITE_ZEROES_MAY_UNMAP] = 1;
}

static void blk_config_write(struct virtio_device *virtio, const void *config, unsigned offset, unsigned len_bytes)
{
    const unsigned wce = VIRTIO_BLK_CONFIG_WRITEBACK;

    if (virtio_has_feature(virtio, VIRTIO_BLK_F_CONFIG_WCE) && offset <= wce && wce < offset + len_bytes) {
        blk_of(virtio)->write_cache = ((const uint8_t *)config)[wce] & 1;
    }
}

/* A driver that can't flush gets write-through (virtio 1.2, 5.2.6.2). */
static bool blk_features_ok(struct virtio_device *virtio, uint64_t features)
{
    if (!(features & (VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE))) {
        blk_of(virtio)->write_cache = false;
    }
    return true;
}

static void blk_reset(struct virtio_device *virtio)
{
    struct virtio_blk *blk = blk_of(virtio);

    /* Requests under way end by themselves. */
    blk->write_cache = blk->write_cache_option != OPT_OFF;
}

static const struct virtio_class blk_class = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .features = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
                VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |
                VIRTIO_BLK_F_WRITE_ZEROES,
    .config_size_bytes = VIRTIO_BLK_CONFIG_BYTES,
    .queue_notify = blk_queue_notify,
    .config_read = blk_config_read,
    .config_write = blk_config_write,
    .features_ok = blk_features_ok,
    .reset = blk_reset,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static int check_block_size(const char *id, const char *name, uint32_t value, uint32_t min, struct error **err)
{
    if (is_power_of_two(value) && value >= min && value <= BLK_BLOCK_MAX) {
        return 0;
    }
    return error_set(err, -EINVAL, "device '%s': %s=%u must be a power of 2 from %u to %u", id, name, value, min,
                     BLK_BLOCK_MAX);
}

static int check_properties(struct virtio_blk *blk, struct error **err)
{
    const char *id = blk->proxy.pci.device.id;

    if (!is_power_of_two(blk->queue_size)) {
        return error_set(err, -EINVAL, "device '%s': queue-size=%u must be a power of 2 up to %u", id, blk->queue_size,
                         VIRTQUEUE_SIZE_MAX);
    }
    if (blk->serial && strlen(blk->serial) > VIRTIO_BLK_ID_BYTES) {
        return error_set(err, -EINVAL, "device '%s': serial='%s' is longer than %u bytes", id, blk->serial,
                         VIRTIO_BLK_ID_BYTES);
    }
    return check_block_size(id, "logical_block_size", blk->logical_bytes, BLOCK_SECTOR_BYTES, err);
}

/* Borrowed from the graph. */
static struct block_node *find_node(struct virtio_blk *blk, struct error **err)
{
    const char *id = blk->proxy.pci.device.id;
    struct block_node *node;

    if (!blk->drive || !*blk->drive) {
        error_set(err, -EINVAL, "device '%s': 'drive' is missing: the name of a -blockdev or -drive", id);
        return NULL;
    }
    node = blk->graph ? block_graph_find(blk->graph, blk->drive) : NULL;
    if (!node) {
        error_set(err, -ENOENT, "device '%s': there is no drive '%s'", id, blk->drive);
    }
    return node;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

/* Sizes that nobody gave are the node's, as far as they go with the logical block size. */
static int choose_sizes(struct virtio_blk *blk, const struct block_info *info, struct error **err)
{
    const char *id = blk->proxy.pci.device.id;

    blk->capacity_bytes = info->size_bytes;
    blk->physical_bytes = or_default(blk->physical_bytes, MAX(info->limits.physical_bytes, blk->logical_bytes));
    blk->discard_bytes = or_default(blk->discard_bytes, MAX(info->limits.discard_alignment, blk->logical_bytes));
    if (blk->logical_bytes < info->limits.request_alignment) {
        return error_set(err, -EINVAL,
                         "device '%s': drive '%s' takes requests of %u bytes only; add "
                         "logical_block_size=%u",
                         id, blk->drive, info->limits.request_alignment, info->limits.request_alignment);
    }
    if (blk->capacity_bytes % blk->logical_bytes != 0) {
        return error_set(err, -EINVAL,
                         "device '%s': the size of drive '%s', %llu bytes, is not a multiple of "
                         "logical_block_size=%u",
                         id, blk->drive, (unsigned long long)blk->capacity_bytes, blk->logical_bytes);
    }
    return check_block_size(id, "physical_block_size", blk->physical_bytes, blk->logical_bytes, err);
}

static void choose_features(struct virtio_blk *blk)
{
    const struct block_info *info = block_node_info(blk->node);
    struct virtio_device *virtio = &blk->proxy.virtio;
    uint64_t without = 0;

    without |= info->is_read_only ? VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_RO;
    without |= blk->offer_discard ? 0 : VIRTIO_BLK_F_DISCARD;
    without |= blk->offer_write_zeroes ? 0 : VIRTIO_BLK_F_WRITE_ZEROES;
    without |= blk->num_queues > 1 ? 0 : VIRTIO_BLK_F_MQ;
    without |= blk->config_wce ? 0 : VIRTIO_BLK_F_CONFIG_WCE;
    without |= blk->config_wce || blk->write_cache_option != OPT_OFF ? 0 : VIRTIO_BLK_F_FLUSH;
    virtio->host_features &= ~without;
}

static int add_queues(struct virtio_blk *blk, struct error **err)
{
    for (unsigned i = 0; i < blk->num_queues; i++) {
        if (!virtio_queue_add(&blk->proxy.virtio, blk->queue_size, BLK_SEGMENTS + 2, sizeof(struct blk_request),
                              NULL)) {
            return error_set(err, -ENOMEM, "device '%s': no memory for %u queues of %u requests",
                             blk->proxy.pci.device.id, blk->num_queues, blk->queue_size);
        }
    }
    return block_node_reserve(blk->node, MIN((unsigned)blk->num_queues * blk->queue_size, BLK_RESERVE));
}

/* On failure nothing of it is left. */
static int realize_virtio(struct virtio_blk *blk, struct error **err)
{
    int result;

    virtio_pci_init(&blk->proxy, &blk_class);
    choose_features(blk);
    blk->write_cache = blk->write_cache_option != OPT_OFF;
    result = add_queues(blk, err);
    result = result ? result : virtio_pci_realize(&blk->proxy, VIRTIO_PCI_CLASS_STORAGE, err);
    if (result < 0) {
        virtio_pci_destroy(&blk->proxy.pci.device);
    }
    return result;
}

/* Loop thread. */
static void release_node(void *opaque)
{
    struct virtio_blk *blk = opaque;

    bh_destroy(&blk->submit_bh);
    bh_destroy(&blk->complete_bh);
    block_node_detach(blk->node);
    block_node_put(blk->node);
    blk->node = NULL;
}

static int attach_node(struct virtio_blk *blk, struct block_node *node, struct error **err)
{
    struct device *device = &blk->proxy.pci.device;
    int result = block_node_attach(node, device->id, device->loop, !block_node_info(node)->is_read_only, err);

    if (result == 0) {
        blk->node = block_node_get(node);
        bh_init(&blk->submit_bh, device->loop, submit_all, blk);
        bh_init(&blk->complete_bh, device->loop, submit_complete_work, blk);
        device_work_init(&blk->complete_work, device, complete_all);
    }
    return result;
}

static int blk_realize(struct device *device, struct error **err)
{
    struct virtio_blk *blk = (struct virtio_blk *)device;
    struct block_node *node = find_node(blk, err);
    int result = node ? check_properties(blk, err) : -ENOENT;

    result = result ? result : choose_sizes(blk, block_node_info(node), err);
    result = result ? result : attach_node(blk, node, err);
    if (result < 0) {
        return result;
    }
    result = realize_virtio(blk, err);
    if (result < 0) {
        event_loop_call(device->loop, release_node, blk);
    }
    return result;
}

/* Loop thread: no element is left, so nothing is on any list. Also of a device that was never realized. */
static void blk_destroy(struct device *device)
{
    struct virtio_blk *blk = (struct virtio_blk *)device;

    virtio_pci_destroy(device);
    if (blk->node) {
        release_node(blk);
    }
}

void virtio_blk_wire(struct device *device, struct block_graph *graph)
{
    ((struct virtio_blk *)device)->graph = graph;
}

#define BLK_PROPERTY(name_, type_, field, default_, ...)                                                               \
    {                                                                                                                  \
        .name = name_, .type = type_, .offset = offsetof(struct virtio_blk, field), .default_value = default_,         \
        __VA_ARGS__                                                                                                    \
    }

static const struct property blk_properties[] = {
    BLK_PROPERTY("drive", PROPERTY_STRING, drive, NULL, .description = "Node of the block graph: the disk"),
    BLK_PROPERTY("serial", PROPERTY_STRING, serial, NULL, .description = "What the disk calls itself, 20 bytes"),
    BLK_PROPERTY("bootindex", PROPERTY_U32, boot_index, NULL,
                 .description = "Its place among those that firmware tries to boot (there is no firmware yet)"),
    BLK_PROPERTY("iothread", PROPERTY_STRING, iothread, NULL, .description = "I/O thread that serves the disk"),
    BLK_PROPERTY("num-queues", PROPERTY_U16, num_queues, "1", .min = 1, .max = VIRTIO_QUEUE_MAX,
                 .description = "Number of request queues"),
    BLK_PROPERTY("queue-size", PROPERTY_U16, queue_size, "256", .min = 2, .max = VIRTQUEUE_SIZE_MAX,
                 .description = "Entries of each queue, a power of 2"),
    BLK_PROPERTY("logical_block_size", PROPERTY_U32, logical_bytes, "512",
                 .description = "Smallest unit of requests in bytes"),
    BLK_PROPERTY("physical_block_size", PROPERTY_U32, physical_bytes, "0",
                 .description = "Unit of the storage in bytes (0: what the host says)"),
    BLK_PROPERTY("min_io_size", PROPERTY_U32, min_io_bytes, "0", .description = "Smallest good request in bytes"),
    BLK_PROPERTY("opt_io_size", PROPERTY_U32, opt_io_bytes, "0", .description = "Best request size in bytes"),
    BLK_PROPERTY("discard_granularity", PROPERTY_U32, discard_bytes, "0",
                 .description = "Unit of discards in bytes (0: what the host says)"),
    BLK_PROPERTY("discard", PROPERTY_BOOL, offer_discard, "on", .description = "Offer discard"),
    BLK_PROPERTY("write-zeroes", PROPERTY_BOOL, offer_write_zeroes, "on", .description = "Offer write-zeroes"),
    BLK_PROPERTY("config-wce", PROPERTY_BOOL, config_wce, "on", .description = "Let the guest switch the write cache"),
    BLK_PROPERTY("write-cache", PROPERTY_ON_OFF_AUTO, write_cache_option, "auto",
                 .description = "Whether the write cache is on at first"),
    VIRTIO_PCI_PROPERTIES(struct virtio_blk, proxy),
    {0},
};

const struct device_type virtio_blk_pci_type = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .description = "Virtio disk",
    .category = "Storage",
    .bus = "PCI",
    .size_bytes = sizeof(struct virtio_blk),
    .properties = blk_properties,
    .user_creatable = true,
    .realize = blk_realize,
    .reset = virtio_pci_reset,
    .is_idle = virtio_pci_is_idle,
    .quiesce = virtio_pci_quiesce,
    .destroy = blk_destroy,
};
