/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks and the block graph. Sizes and names don't change while a node is open; counters are read as they are. */
#include <stdio.h>
#include <string.h>

#include "hw/virtio/virtio_blk.h"
#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

/* --- a node ----------------------------------------------------------------------------------------------------- */

static struct json_object *node_image(const struct block_info *info)
{
    struct json_object *image = json_object_new_object();

    json_put_uint(image, "virtual-size", info->size_bytes);
    json_put_string(image, "filename", info->filename);
    json_put_string(image, "format", info->driver_name);
    return image;
}

static struct json_object *node_cache(const struct block_node *node)
{
    struct json_object *cache = json_object_new_object();

    json_put_bool(cache, "no-flush", block_node_ignores_flush(node));
    json_put_bool(cache, "direct", block_node_is_direct(node));
    json_put_bool(cache, "writeback", true);
    return cache;
}

static struct json_object *node_describe(const struct block_node *node)
{
    static const char *const limits[] = {"iops_rd", "iops_wr", "iops", "bps_rd", "bps_wr", "bps", "write_threshold"};
    const struct block_info *info = block_node_info(node);
    struct json_object *entry = json_object_new_object();

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        json_put_uint(entry, limits[i], 0); /* none */
    }
    json_put_string(entry, "detect_zeroes", "off");
    json_put(entry, "image", node_image(info));
    json_put_bool(entry, "ro", info->is_read_only);
    json_put_string(entry, "node-name", info->node_name);
    json_put_uint(entry, "backing_file_depth", 0);
    json_put_string(entry, "drv", info->driver_name);
    json_put_bool(entry, "encrypted", false);
    json_put(entry, "cache", node_cache(node));
    json_put_string(entry, "file", info->filename);
    return entry;
}

int qmp_run_query_named_block_nodes(struct qmp_call *call)
{
    struct block_graph *graph = machine_backends(call->monitor->machine)->graph;
    const struct block_node *node;

    call->result = json_object_new_array();
    for (unsigned i = 0; (node = block_graph_node(graph, i)); i++) {
        json_object_array_add(call->result, node_describe(node));
    }
    return 0;
}

static struct json_object *node_stats(const struct block_node *node)
{
    static const struct {
        enum block_op op;
        const char *requests, *bytes, *failed;
    } names[] = {
        {BLOCK_READ, "rd_operations", "rd_bytes", "failed_rd_operations"},
        {BLOCK_WRITE, "wr_operations", "wr_bytes", "failed_wr_operations"},
        {BLOCK_FLUSH, "flush_operations", NULL, "failed_flush_operations"},
        {BLOCK_DISCARD, "unmap_operations", "unmap_bytes", "failed_unmap_operations"},
    };
    static const char *const unknown[] = {
        "rd_total_time_ns",
        "wr_total_time_ns",
        "flush_total_time_ns",
        "unmap_total_time_ns",
        "rd_merged",
        "wr_merged",
        "unmap_merged",
        "invalid_rd_operations",
        "invalid_wr_operations",
        "invalid_flush_operations",
        "invalid_unmap_operations",
        "wr_highest_offset",
    };
    struct json_object *entry = json_object_new_object();
    struct block_stats stats;

    block_node_stats(node, &stats);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        json_put_uint(entry, names[i].requests, stats.requests[names[i].op]);
        json_put_uint(entry, names[i].failed, stats.failed[names[i].op]);
        if (names[i].bytes) {
            json_put_uint(entry, names[i].bytes, stats.bytes[names[i].op]);
        }
    }
    /* Members that clients insist on; heddle counts no times and merges nothing. */
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        json_put_uint(entry, unknown[i], 0);
    }
    json_put_bool(entry, "account_invalid", false);
    json_put_bool(entry, "account_failed", true);
    json_put_array(entry, "timed_stats");
    return entry;
}

/* --- disks ------------------------------------------------------------------------------------------------------ */

/* The node that a device's drive= names; NULL if it is no disk. */
static struct block_node *disk_node(struct monitor *monitor, const struct machine_device *entry)
{
    const struct device_type *type = entry->device->type;
    struct block_node *node = NULL;

    for (const struct property *property = type->properties; property && property->name; property++) {
        if (type == &virtio_blk_pci_type && strcmp(property->name, "drive") == 0) {
            HDL_AUTO_FREE char *name = property_get(entry->device, property);

            node = name ? block_graph_find(machine_backends(monitor->machine)->graph, name) : NULL;
        }
    }
    return node;
}

static void disk_put_names(struct json_object *object, const struct machine_device *entry)
{
    char qdev[512];

    snprintf(qdev, sizeof(qdev), "%s/virtio-backend", entry->path);
    json_put_string(object, "device", "");
    json_put_string(object, "qdev", qdev);
}

int qmp_run_query_block(struct qmp_call *call)
{
    const struct machine_device *entry;

    call->result = json_object_new_array();
    for (size_t i = 0; (entry = machine_device_nth(call->monitor->machine, i)); i++) {
        struct block_node *node = disk_node(call->monitor, entry);
        struct json_object *disk;

        if (!node) {
            continue;
        }
        disk = json_append_object(call->result);
        disk_put_names(disk, entry);
        json_put_string(disk, "io-status", "ok");
        json_put_bool(disk, "locked", false);
        json_put_bool(disk, "removable", false);
        json_put(disk, "inserted", node_describe(node));
        json_put_string(disk, "type", "unknown");
    }
    return 0;
}

static struct json_object *stats_of(const struct block_node *node)
{
    struct json_object *entry = json_object_new_object();
    struct block_node *file = block_node_child(node, "file");

    json_put_string(entry, "node-name", block_node_info(node)->node_name);
    json_put(entry, "stats", node_stats(node));
    if (file) {
        json_put(entry, "parent", stats_of(file)); /* QMP's word for what is below */
    }
    return entry;
}

int qmp_run_query_blockstats(struct qmp_call *call)
{
    struct block_graph *graph = machine_backends(call->monitor->machine)->graph;
    bool nodes = qmp_call_bool(call, "query-nodes", false);
    const struct machine_device *entry;
    struct block_node *node;

    call->result = json_object_new_array();
    for (unsigned i = 0; nodes && (node = block_graph_node(graph, i)); i++) {
        json_object_array_add(call->result, stats_of(node));
    }
    for (size_t i = 0; !nodes && (entry = machine_device_nth(call->monitor->machine, i)); i++) {
        node = disk_node(call->monitor, entry);
        if (node) {
            struct json_object *disk = stats_of(node);

            disk_put_names(disk, entry);
            json_object_array_add(call->result, disk);
        }
    }
    return 0;
}
