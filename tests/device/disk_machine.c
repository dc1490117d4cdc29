/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine and driver of disk_machine.h. */
#include "disk_machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STATUS_UNTOUCHED 0xaa

/* --- the node -------------------------------------------------------------------------------------------------------
 */

static void memory_copy(struct memory_disk *disk, const struct block_request *request)
{
    uint64_t offset = request->offset;

    for (int i = 0; i < request->iov_count; i++) {
        if (request->op == BLOCK_READ) {
            memcpy(request->iov[i].iov_base, disk->data + offset, request->iov[i].iov_len);
        } else {
            memcpy(disk->data + offset, request->iov[i].iov_base, request->iov[i].iov_len);
        }
        offset += request->iov[i].iov_len;
    }
}

static int memory_perform(struct memory_disk *disk, const struct block_request *request)
{
    if (request->op == BLOCK_FLUSH) {
        disk->flushes++;
    } else if (disk->error) {
        return disk->error;
    } else if (request->op == BLOCK_READ || request->op == BLOCK_WRITE) {
        memory_copy(disk, request);
    } else {
        memset(disk->data + request->offset, request->op == BLOCK_DISCARD ? 0xdd : 0, request->len_bytes);
    }
    return 0;
}

static void memory_start(struct block_node *node, struct block_request *request)
{
    struct memory_disk *disk = node->state;

    disk->started++;
    if (disk->hold) {
        assert_true(disk->held_count < DISK_HELD_MAX);
        disk->held[disk->held_count++] = request;
    } else {
        block_complete_later(request, memory_perform(disk, request));
    }
}

static int memory_open(struct block_node *node, const struct options *options, struct error **err)
{
    node->info.size_bytes = DISK_BYTES;
    return 0;
}

const struct block_driver memory_disk_driver = {
    .name = "memory",
    .description = "memory of a test",
    .node_bytes = sizeof(struct memory_disk),
    .open = memory_open,
    .start =
        {
            [BLOCK_READ] = memory_start,
            [BLOCK_WRITE] = memory_start,
            [BLOCK_FLUSH] = memory_start,
            [BLOCK_DISCARD] = memory_start,
            [BLOCK_WRITE_ZEROES] = memory_start,
        },
};

void disk_release(struct disk_machine *m)
{
    struct memory_disk *disk = m->disk;

    while (disk->held_count > 0) {
        struct block_request *request = disk->held[0];

        memmove(&disk->held[0], &disk->held[1], --disk->held_count * sizeof(disk->held[0]));
        block_complete(request, memory_perform(disk, request));
    }
}

/* --- the machine ----------------------------------------------------------------------------------------------------
 */

static void each_option(const char *text, void (*fn)(void *opaque, const char *key, const char *value), void *opaque)
{
    char *copy = strdup(text ? text : ""), *rest = copy, *item;

    while ((item = strsep(&rest, ",")) != NULL) {
        char *value = strchr(item, '=');

        if (value) {
            *value++ = 0;
            fn(opaque, item, value);
        }
    }
    free(copy);
}

static void set_property(void *opaque, const char *key, const char *value)
{
    struct device *device = opaque;

    assert_int_equal(property_set(device, device->type->properties, key, value, NULL), 0);
}

static void set_option(void *opaque, const char *key, const char *value)
{
    assert_int_equal(options_set(opaque, key, value), 0);
}

int disk_try_device(struct disk_machine *m, const char *options, struct event_loop *loop, struct device **device,
                    struct error **err)
{
    struct device *made =
        device_create(&virtio_blk_pci_type, "disk", loop ? loop : m->machine.loop, &m->machine.memory, NULL);
    int result;

    assert_non_null(made);
    pci_device_attach(pci_device_of(made), &m->machine.host.bus);
    virtio_blk_wire(made, m->graph);
    each_option(options, set_property, made);
    result = device_realize(made, err);
    if (result < 0) {
        device_put(made);
        pci_machine_poll(&m->machine);
        return result;
    }
    *device = made;
    return 0;
}

void disk_open(struct disk_machine *m, const char *options, const char *node_options, struct event_loop *loop)
{
    struct options parsed = {0};
    struct error *err = NULL;
    char with_drive[256];

    pci_machine_init(&m->machine, true);
    m->graph = block_graph_create();
    each_option(node_options, set_option, &parsed);
    assert_int_equal(block_open_driver(m->graph, &memory_disk_driver, "d", &parsed, m->machine.loop, &m->node, NULL),
                     0);
    options_release(&parsed);
    m->disk = m->node->state;
    snprintf(with_drive, sizeof(with_drive), "drive=d,packed=on%s%s", *options ? "," : "", options);
    if (disk_try_device(m, with_drive, loop, &m->device, &err) < 0) {
        print_message("%s\n", err->message);
        fail();
    }
    pci_machine_assign(&m->machine);
    virtio_driver_open(&m->driver, &m->machine, pci_device_of(m->device)->devfn);
}

void disk_close(struct disk_machine *m)
{
    if (m->device) {
        pci_machine_remove(&m->machine, m->device);
    }
    block_graph_destroy(m->graph);
    pci_machine_destroy(&m->machine);
}

/* --- requests -------------------------------------------------------------------------------------------------------
 */

void disk_request_init(struct disk_machine *m, struct disk_request *request, uint32_t type, uint64_t sector,
                       uint32_t data_bytes, bool device_writes)
{
    uint8_t *header;

    request->header_gpa = machine_alloc(&m->machine, VIRTIO_BLK_HEADER_BYTES, 16);
    request->data_gpa = machine_alloc(&m->machine, data_bytes, 512);
    request->status_gpa = machine_alloc(&m->machine, 1, 1);
    request->data_bytes = data_bytes;
    request->device_writes = device_writes;
    header = machine_host(&m->machine, request->header_gpa);
    memcpy(header + VIRTIO_BLK_HEADER_TYPE, &type, sizeof(type));
    memcpy(header + VIRTIO_BLK_HEADER_SECTOR, &sector, sizeof(sector));
    *(uint8_t *)machine_host(&m->machine, request->status_gpa) = STATUS_UNTOUCHED;
}

void disk_range_init(struct disk_machine *m, struct disk_request *request, uint32_t type, uint64_t sector,
                     uint32_t sectors, uint32_t flags)
{
    uint8_t *range;

    disk_request_init(m, request, type, 0, VIRTIO_BLK_RANGE_BYTES, false);
    range = disk_request_data(m, request);
    memcpy(range + VIRTIO_BLK_RANGE_SECTOR, &sector, sizeof(sector));
    memcpy(range + VIRTIO_BLK_RANGE_NUM_SECTORS, &sectors, sizeof(sectors));
    memcpy(range + VIRTIO_BLK_RANGE_FLAGS, &flags, sizeof(flags));
}

void disk_request_add(struct driver_queue *queue, struct disk_request *request, bool indirect)
{
    struct driver_buffer buffers[5] = {{request->header_gpa, VIRTIO_BLK_HEADER_BYTES, false}};
    uint64_t gpa = request->data_gpa;
    uint32_t left = request->data_bytes;
    unsigned count = 1;

    while (left > 0) {
        uint32_t piece = count < 3 && left > 1000 ? left / 3 : left;

        buffers[count++] = (struct driver_buffer){gpa, piece, request->device_writes};
        gpa += piece;
        left -= piece;
    }
    buffers[count++] = (struct driver_buffer){request->status_gpa, 1, true};
    request->id = driver_queue_add(queue, buffers, count, indirect);
    assert_true(request->id >= 0);
}

uint8_t disk_request_status(struct disk_machine *m, const struct disk_request *request)
{
    return *(uint8_t *)machine_host(&m->machine, request->status_gpa);
}

void *disk_request_data(struct disk_machine *m, const struct disk_request *request)
{
    return machine_host(&m->machine, request->data_gpa);
}

uint8_t disk_run(struct disk_machine *m, struct disk_request *request, bool indirect)
{
    struct driver_queue *queue = &m->driver.queues[0];
    uint32_t len_bytes;
    uint16_t id;

    disk_request_add(queue, request, indirect);
    driver_queue_kick(queue, false);
    pci_machine_poll(&m->machine);
    assert_true(driver_queue_get(queue, &id, &len_bytes));
    assert_int_equal(id, request->id);
    assert_int_equal(len_bytes, 1 + (request->device_writes ? request->data_bytes : 0));
    return disk_request_status(m, request);
}
