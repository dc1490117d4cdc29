/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How devices and backends reach guest memory. Any registered thread, under any lock down to LEAF when the target is
 * RAM. Reaching an I/O region from inside a handler or deferred work is refused (ACCESS_REENTRANT), counted, and logged
 * at most once a second; from elsewhere it dispatches as a CPU's access would.
 */
#ifndef HDL_MEMORY_DMA_H
#define HDL_MEMORY_DMA_H

#include "memory/address_space.h"

/*
 * Copies. Ranges may cross regions and wrap checks are made here: a range that passes 2^64 is refused. On failure a
 * read's remaining bytes are all-ones, and earlier parts may have been copied. RAM is accessed with relaxed byte-wise
 * semantics, aligned 1/2/4/8-byte copies as one access.
 */
enum access_result dma_read(struct address_space *space, uint64_t address, void *buffer, uint64_t len_bytes);
enum access_result dma_write(struct address_space *space, uint64_t address, const void *buffer, uint64_t len_bytes);

enum dma_direction { DMA_FROM_GUEST /* the device reads memory */, DMA_TO_GUEST /* the device writes memory */ };

/* A piece of guest RAM in the host's hands. block is a reference: the memory stays until dma_unmap. */
struct dma_mapping {
    void *host; /* NULL: not mapped */
    uint64_t len_bytes;
    struct ram_block *block;
    uint64_t block_offset;
    enum dma_direction direction;
};

/*
 * Maps the RAM at address: as much of len_bytes as is contiguous in one RAM range (at least 1 byte), which
 * mapping->len_bytes tells. ACCESS_REFUSED for ROM when writing and for I/O regions (use dma_read/dma_write);
 * ACCESS_UNASSIGNED for nothing, or an empty or wrapping range. On failure *mapping is untouched.
 */
enum access_result dma_map(struct address_space *space, uint64_t address, uint64_t len_bytes,
                           enum dma_direction direction, struct dma_mapping *mapping);
/*
 * used_bytes: how much was really written (DMA_TO_GUEST): for the dirty log, and for who watches the block
 * (ram_block.h). Idempotent: clears the mapping.
 */
void dma_unmap(struct dma_mapping *mapping, uint64_t used_bytes);

#endif
