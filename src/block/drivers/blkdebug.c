/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver=blkdebug: a filter that makes requests fail, for testing what is above it (guests, devices, drivers).
 *
 *   image=NODE or image.driver=...      what it stands on
 *   inject-error.N.iotype=  read, write, flush, discard or write-zeroes      (N: 0, 1, ... 15)
 *   inject-error.N.errno=   5 (EIO) unless given
 *   inject-error.N.sector=  only requests that touch this sector
 *   inject-error.N.once=    on: only the first such request
 *
 * Rules are looked at in order; the first that fits decides. The loop thread owns what changes in them.
 */
#include <errno.h>
#include <stdio.h>

#include "block/driver.h"

#define RULES_MAX 16

struct rule {
    bool is_active;
    enum block_op op;
    int error;
    bool has_sector;
    uint64_t sector;
    bool once;
};

struct blkdebug {
    struct block_node *image;
    struct rule rules[RULES_MAX];
};

struct blkdebug_request {
    struct block_request child;
    struct block_request *parent;
};

static const char *const op_words[] = {"read", "write", "flush", "discard", "write-zeroes", NULL};

static bool rule_fits(const struct rule *rule, const struct block_request *request)
{
    uint64_t first = request->offset / BLOCK_SECTOR_BYTES;
    uint64_t last = (request->offset + request->len_bytes - 1) / BLOCK_SECTOR_BYTES;

    if (!rule->is_active || rule->op != request->op) {
        return false;
    }
    return !rule->has_sector ||
           (request->op != BLOCK_FLUSH && request->len_bytes > 0 && rule->sector >= first && rule->sector <= last);
}

static int find_error(struct blkdebug *blkdebug, const struct block_request *request)
{
    for (unsigned i = 0; i < RULES_MAX; i++) {
        struct rule *rule = &blkdebug->rules[i];

        if (rule_fits(rule, request)) {
            rule->is_active = !rule->once;
            return -rule->error;
        }
    }
    return 0;
}

static void blkdebug_done(struct block_request *child, int result)
{
    block_complete(container_of(child, struct blkdebug_request, child)->parent, result);
}

static void blkdebug_start(struct block_node *node, struct block_request *request)
{
    struct blkdebug *blkdebug = node->state;
    struct blkdebug_request *state = request->state;
    int error = find_error(blkdebug, request);

    if (error < 0) {
        block_complete_later(request, error);
        return;
    }
    state->parent = request;
    state->child = (struct block_request){
        .op = request->op,
        .flags = request->flags,
        .offset = request->offset,
        .len_bytes = request->len_bytes,
        .iov = request->iov,
        .iov_count = request->iov_count,
        .done = blkdebug_done,
    };
    block_submit_child(blkdebug->image, &state->child);
}

static int read_rule(const struct options *options, const char *what, unsigned n, struct rule *rule, struct error **err)
{
    char type_key[48], errno_key[48], sector_key[48], once_key[48];
    uint64_t error = EIO;
    unsigned op = 0;
    int result;

    snprintf(type_key, sizeof(type_key), "inject-error.%u.iotype", n);
    snprintf(errno_key, sizeof(errno_key), "inject-error.%u.errno", n);
    snprintf(sector_key, sizeof(sector_key), "inject-error.%u.sector", n);
    snprintf(once_key, sizeof(once_key), "inject-error.%u.once", n);
    if (!options_get(options, type_key)) {
        return 0;
    }
    result = options_get_choice(options, what, type_key, op_words, &op, err);
    result = result ? result : options_get_uint(options, what, errno_key, 1, 4095, &error, err);
    result = result ? result : options_get_uint(options, what, sector_key, 0, UINT64_MAX, &rule->sector, err);
    result = result ? result : options_get_bool(options, what, once_key, &rule->once, err);
    rule->op = (enum block_op)op;
    rule->error = (int)error;
    rule->has_sector = options_get(options, sector_key) != NULL;
    rule->is_active = true;
    return result;
}

static int blkdebug_open(struct block_node *node, const struct options *options, struct error **err)
{
    struct blkdebug *blkdebug = node->state;
    int result = block_open_child(node, options, "image", &blkdebug->image, err);

    for (unsigned i = 0; i < RULES_MAX && result == 0; i++) {
        result = read_rule(options, block_node_what(node), i, &blkdebug->rules[i], err);
    }
    if (result == 0) {
        node->info.size_bytes = block_node_info(blkdebug->image)->size_bytes;
        node->info.limits = block_node_info(blkdebug->image)->limits;
    }
    return result;
}

static const char *const blkdebug_keys[] = {"image", "image.*", "inject-error.*", NULL};

const struct block_driver block_driver_blkdebug = {
    .name = "blkdebug",
    .description = "filter that makes requests fail, for tests",
    .node_bytes = sizeof(struct blkdebug),
    .request_bytes = sizeof(struct blkdebug_request),
    .keys = blkdebug_keys,
    .open = blkdebug_open,
    .start =
        {
            [BLOCK_READ] = blkdebug_start,
            [BLOCK_WRITE] = blkdebug_start,
            [BLOCK_FLUSH] = blkdebug_start,
            [BLOCK_DISCARD] = blkdebug_start,
            [BLOCK_WRITE_ZEROES] = blkdebug_start,
        },
};
