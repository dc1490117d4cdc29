/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA: copies and mappings, in whatever pieces the view has. RAM is copied inside short RCU read sections; anything
 * else goes through dispatch, where the re-entrancy guard stands. A mapping takes its own reference on the RAM block,
 * so it outlives the region, the view and the device.
 *
 * Addresses and lengths come from the guest: sums are checked, a copy ends at the first piece that fails (so that a
 * range over nothing costs nothing), and the length of a copy is bounded by the caller's own buffer.
 */
#include "memory/dma.h"

#include <string.h>

#include "memory/dispatch.h"
#include "memory/guest_copy.h"

/* How much is copied in one read section, so that a long copy doesn't hold up those who wait for readers. */
#define DMA_SECTION_BYTES (UINT64_C(1) << 20)

struct dma_piece {
    uint8_t *host; /* NULL: not RAM */
    uint64_t len_bytes;
    const struct flat_range *range;
};

static bool dma_range_wraps(uint64_t address, uint64_t len_bytes)
{
    return len_bytes > 0 && address + (len_bytes - 1) < address;
}

/* The largest access that one may make there: 8, or what the region's author allows; of what is left, aligned. */
static unsigned dma_access_size(const struct flat_range *range, uint64_t address, uint64_t len_bytes)
{
    unsigned max = 8;

    if (range && range->region->kind == REGION_IO && range->region->ops->valid.max) {
        max = range->region->ops->valid.max;
    } else if (range && range->region->kind == REGION_REDIRECT) {
        max = 4;
    }
    while (max > len_bytes || address % max != 0) {
        max /= 2;
    }
    return max;
}

/* In a read section. len_bytes > 0. */
static struct dma_piece dma_find(struct address_space *space, uint64_t address, uint64_t len_bytes)
{
    const struct flat_range *range = flat_view_find(hdl_rcu_dereference(&space->view), NULL, address);
    struct dma_piece piece = {.range = range};

    if (range && range->ram) {
        piece.host = range->ram->host + range->ram_offset + (address - range->start);
        piece.len_bytes = MIN(range->last - address, len_bytes - 1) + 1;
    } else {
        piece.len_bytes = dma_access_size(range, address, len_bytes);
    }
    return piece;
}

enum access_result dma_read(struct address_space *space, uint64_t address, void *buffer, uint64_t len_bytes)
{
    uint8_t *to = buffer;
    enum access_result result = dma_range_wraps(address, len_bytes) ? ACCESS_REFUSED : ACCESS_OK;

    while (len_bytes > 0 && result == ACCESS_OK) {
        struct dma_piece piece;
        uint64_t value;

        hdl_rcu_read_lock();
        piece = dma_find(space, address, MIN(len_bytes, DMA_SECTION_BYTES));
        if (piece.host) {
            guest_copy_from(to, piece.host, piece.len_bytes);
        }
        hdl_rcu_read_unlock();
        if (!piece.host) {
            result = address_space_read(space, NULL, address, (unsigned)piece.len_bytes, &value);
            memcpy(to, &value, piece.len_bytes);
        }
        to += piece.len_bytes;
        address += piece.len_bytes;
        len_bytes -= piece.len_bytes;
    }
    if (len_bytes > 0) {
        memset(to, 0xff, len_bytes);
    }
    return result;
}

enum access_result dma_write(struct address_space *space, uint64_t address, const void *buffer, uint64_t len_bytes)
{
    const uint8_t *from = buffer;
    enum access_result result = dma_range_wraps(address, len_bytes) ? ACCESS_REFUSED : ACCESS_OK;

    while (len_bytes > 0 && result == ACCESS_OK) {
        struct dma_piece piece;
        bool writable;
        uint64_t value = 0;

        hdl_rcu_read_lock();
        piece = dma_find(space, address, MIN(len_bytes, DMA_SECTION_BYTES));
        writable = piece.host && !piece.range->read_only;
        if (writable) {
            guest_copy_to(piece.host, from, piece.len_bytes);
            ram_block_written(piece.range->ram, piece.host, piece.len_bytes);
        }
        hdl_rcu_read_unlock();
        if (!writable) {
            piece.len_bytes = MIN(piece.len_bytes, (uint64_t)8);
            memcpy(&value, from, piece.len_bytes);
            result = address_space_write(space, NULL, address, (unsigned)piece.len_bytes, value);
        }
        from += piece.len_bytes;
        address += piece.len_bytes;
        len_bytes -= piece.len_bytes;
    }
    return result;
}

/* In a read section. Why there can be no mapping, or ACCESS_OK. */
static enum access_result dma_check_map(const struct dma_piece *piece, enum dma_direction direction)
{
    if (!piece->range) {
        return ACCESS_UNASSIGNED;
    }
    return !piece->host || (piece->range->read_only && direction == DMA_TO_GUEST) ? ACCESS_REFUSED : ACCESS_OK;
}

enum access_result dma_map(struct address_space *space, uint64_t address, uint64_t len_bytes,
                           enum dma_direction direction, struct dma_mapping *mapping)
{
    enum access_result result;
    struct dma_piece piece;

    if (len_bytes == 0 || dma_range_wraps(address, len_bytes)) {
        return ACCESS_UNASSIGNED;
    }
    hdl_rcu_read_lock();
    piece = dma_find(space, address, len_bytes);
    result = dma_check_map(&piece, direction);
    if (result == ACCESS_OK) {
        /* The view holds a reference as long as the read section lasts. */
        *mapping = (struct dma_mapping){
            .host = piece.host,
            .len_bytes = piece.len_bytes,
            .block = ram_block_get(piece.range->ram),
            .block_offset = (uint64_t)(piece.host - piece.range->ram->host),
            .direction = direction,
        };
    }
    hdl_rcu_read_unlock();
    return result;
}

/* The one place that knows that a device is done with guest memory, and how much of it changed. */
void dma_unmap(struct dma_mapping *mapping, uint64_t used_bytes)
{
    if (!mapping->host) {
        return;
    }
    if (mapping->direction == DMA_TO_GUEST && used_bytes > 0) {
        hdl_rcu_read_lock();
        ram_block_written(mapping->block, mapping->host, MIN(used_bytes, mapping->len_bytes));
        hdl_rcu_read_unlock();
    }
    ram_block_put(mapping->block);
    *mapping = (struct dma_mapping){0};
}
