/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver=raw: the format that is none. Shows its child, or a window of it (offset=, size=), as it is. Its data are the
 * guest's; nothing in them is interpreted. Loop thread, no state of its own but the window.
 */
#include <errno.h>

#include "block/driver.h"

struct raw {
    struct block_node *file;
    uint64_t offset; /* of the window in the child */
};

struct raw_request {
    struct block_request child;
    struct block_request *parent;
};

static void raw_done(struct block_request *child, int result)
{
    block_complete(container_of(child, struct raw_request, child)->parent, result);
}

static void raw_start(struct block_node *node, struct block_request *request)
{
    const struct raw *raw = node->state;
    struct raw_request *state = request->state;

    state->parent = request;
    state->child = (struct block_request){
        .op = request->op,
        .flags = request->flags,
        .offset = request->op == BLOCK_FLUSH ? 0 : raw->offset + request->offset,
        .len_bytes = request->len_bytes,
        .iov = request->iov,
        .iov_count = request->iov_count,
        .done = raw_done,
    };
    block_submit_child(raw->file, &state->child);
}

static int raw_set_window(struct block_node *node, const struct options *options, struct error **err)
{
    const char *what = block_node_what(node);
    struct raw *raw = node->state;
    const struct block_info *file = block_node_info(raw->file);
    uint64_t size_bytes;
    int result = options_get_size(options, what, "offset", 1, &raw->offset, err);

    if (result == 0 && raw->offset > file->size_bytes) {
        result = error_set(err, -EINVAL, "%s: offset=%llu is beyond the end of its file (%llu bytes)", what,
                           (unsigned long long)raw->offset, (unsigned long long)file->size_bytes);
    }
    if (result < 0) {
        return result;
    }
    size_bytes = file->size_bytes - raw->offset;
    result = options_get_size(options, what, "size", 1, &size_bytes, err);
    if (result == 0 && size_bytes > file->size_bytes - raw->offset) {
        result = error_set(err, -EINVAL, "%s: offset=%llu and size=%llu go beyond the end of its file (%llu bytes)",
                           what, (unsigned long long)raw->offset, (unsigned long long)size_bytes,
                           (unsigned long long)file->size_bytes);
    }
    node->info.size_bytes = size_bytes;
    return result;
}

static int raw_open(struct block_node *node, const struct options *options, struct error **err)
{
    struct raw *raw = node->state;
    int result = block_open_child(node, options, "file", &raw->file, err);

    result = result ? result : raw_set_window(node, options, err);
    if (result < 0) {
        return result;
    }
    node->info.limits = block_node_info(raw->file)->limits;
    if (node->info.size_bytes % BLOCK_SECTOR_BYTES != 0) {
        return error_set(err, -EINVAL, "%s: its size is %llu bytes, not a multiple of %u", block_node_what(node),
                         (unsigned long long)node->info.size_bytes, BLOCK_SECTOR_BYTES);
    }
    if (((node->info.size_bytes | raw->offset) & (node->info.limits.request_alignment - 1)) != 0) {
        return error_set(err, -EINVAL, "%s: offset and size must be multiples of %u with cache.direct=on",
                         block_node_what(node), node->info.limits.request_alignment);
    }
    return 0;
}

static const char *const raw_keys[] = {"file", "file.*", "offset", "size", NULL};

const struct block_driver block_driver_raw = {
    .name = "raw",
    .description = "plain disk image, or a part of one",
    .node_bytes = sizeof(struct raw),
    .request_bytes = sizeof(struct raw_request),
    .keys = raw_keys,
    .open = raw_open,
    .start =
        {
            [BLOCK_READ] = raw_start,
            [BLOCK_WRITE] = raw_start,
            [BLOCK_FLUSH] = raw_start,
            [BLOCK_DISCARD] = raw_start,
            [BLOCK_WRITE_ZEROES] = raw_start,
        },
};
