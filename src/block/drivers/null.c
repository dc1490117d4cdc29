/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver=null-co: storage that forgets everything at once, for measuring all that isn't storage; and the smallest whole
 * driver, to be copied for a new one.
 *
 *   size=        bytes, 1 GiB unless given
 *   read-zeroes= off: what is read is whatever was in the buffer before; on: zeroes
 *
 * It has no state but its options. Every request is complete when it starts, and says so in the loop's next round.
 */
#include <string.h>

#include "block/driver.h"

struct null {
    bool read_zeroes;
};

static void null_start(struct block_node *node, struct block_request *request)
{
    block_complete_later(request, 0);
}

static void null_read(struct block_node *node, struct block_request *request)
{
    const struct null *null = node->state;

    for (int i = 0; null->read_zeroes && i < request->iov_count; i++) {
        memset(request->iov[i].iov_base, 0, request->iov[i].iov_len);
    }
    block_complete_later(request, 0);
}

static int null_open(struct block_node *node, const struct options *options, struct error **err)
{
    struct null *null = node->state;
    int result = options_get_bool(options, block_node_what(node), "read-zeroes", &null->read_zeroes, err);

    node->info.size_bytes = UINT64_C(1) << 30;
    return result ? result : options_get_size(options, block_node_what(node), "size", 1, &node->info.size_bytes, err);
}

static const char *const null_keys[] = {"size", "read-zeroes", NULL};

const struct block_driver block_driver_null = {
    .name = "null-co",
    .description = "forgets what is written, for measurements",
    .node_bytes = sizeof(struct null),
    .keys = null_keys,
    .open = null_open,
    .start =
        {
            [BLOCK_READ] = null_read,
            [BLOCK_WRITE] = null_start,
            [BLOCK_FLUSH] = null_start,
            [BLOCK_DISCARD] = null_start,
            [BLOCK_WRITE_ZEROES] = null_start,
        },
};
