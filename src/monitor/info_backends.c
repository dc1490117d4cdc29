/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host sides of devices: block nodes, character devices, I/O threads. What is shown is configuration. */
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "machine/machine.h"
#include "monitor/hmp_command.h"

static void info_block_node(struct hmp_call *call, const struct block_node *node)
{
    const struct block_info *info = block_node_info(node);
    const struct block_node *child = block_node_child(node, "file");

    fprintf(call->out, "%s: %s (%s%s)\n", info->node_name, *info->filename ? info->filename : "[no file]",
            info->driver_name, info->is_read_only ? ", read-only" : "");
    if (*block_node_owner(node)) {
        fprintf(call->out, "    Attached to:      %s\n", block_node_owner(node));
    }
    fprintf(call->out, "    Size:             %" PRIu64 " bytes (", info->size_bytes);
    hmp_say_size(call, info->size_bytes);
    fprintf(call->out, ")\n    Cache mode:       writeback%s%s\n", block_node_is_direct(node) ? ", direct" : "",
            block_node_ignores_flush(node) ? ", ignore flushes" : "");
    if (child) {
        fprintf(call->out, "    Stands on:        %s\n", block_node_info(child)->node_name);
    }
}

void info_block(struct hmp_call *call)
{
    struct block_graph *graph = machine_backends(call->machine)->graph;
    const struct block_node *node;

    for (unsigned i = 0; (node = block_graph_node(graph, i)); i++) {
        if (i > 0) {
            fputc('\n', call->out);
        }
        info_block_node(call, node);
    }
}

void info_blockstats(struct hmp_call *call)
{
    struct block_graph *graph = machine_backends(call->machine)->graph;
    const struct block_node *node;

    for (unsigned i = 0; (node = block_graph_node(graph, i)); i++) {
        struct block_stats stats;

        block_node_stats(node, &stats);
        fprintf(call->out,
                "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64 " wr_operations=%" PRIu64
                " flush_operations=%" PRIu64 " unmap_operations=%" PRIu64 " failed_operations=%" PRIu64 "\n",
                block_node_info(node)->node_name, stats.bytes[BLOCK_READ],
                stats.bytes[BLOCK_WRITE] + stats.bytes[BLOCK_WRITE_ZEROES], stats.requests[BLOCK_READ],
                stats.requests[BLOCK_WRITE] + stats.requests[BLOCK_WRITE_ZEROES], stats.requests[BLOCK_FLUSH],
                stats.requests[BLOCK_DISCARD],
                stats.failed[BLOCK_READ] + stats.failed[BLOCK_WRITE] + stats.failed[BLOCK_WRITE_ZEROES] +
                    stats.failed[BLOCK_FLUSH] + stats.failed[BLOCK_DISCARD]);
    }
}

static void info_one_chardev(struct chardev *chardev, void *opaque)
{
    struct hmp_call *call = opaque;
    const char *where = chardev_where(chardev);

    fprintf(call->out, "%s: filename=%s%s%s\n", chardev_id(chardev), chardev_type_of(chardev)->name, *where ? ":" : "",
            where);
}

void info_chardev(struct hmp_call *call)
{
    chardev_table_foreach(machine_backends(call->machine)->chardevs, info_one_chardev, call);
}

void info_iothreads(struct hmp_call *call)
{
    const struct backends *backends = machine_backends(call->machine);

    for (const struct backend_object *object = backends->objects; object; object = object->next) {
        if (object->loop) {
            fprintf(call->out, "%s:\n  thread_id=%d\n  io=%s\n",
                    object->id ? object->id : event_loop_name(object->loop), event_loop_thread_id(object->loop),
                    event_loop_io_backend(object->loop));
        }
    }
}
