/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM blocks: host memory that guests see, shared (memfd), counted by reference. */
#ifndef HDL_MEMORY_RAM_BLOCK_H
#define HDL_MEMORY_RAM_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rcu.h"
#include "base/refcount.h"

/*
 * Hears of writes to a block that devices make through src/memory (DMA, mappings, dispatch), after they were made. In
 * an RCU read section, on any thread, under any lock: it must not block. Guest code's own writes aren't told.
 */
struct ram_write_watch {
    void (*fn)(struct ram_write_watch *watch, const uint8_t *host, uint64_t len_bytes);
};

/* All but refs and watch: immutable after creation. watch: set by one, read by any thread under RCU. */
struct ram_block {
    struct refcount refs;
    struct ram_write_watch *_Atomic watch; /* NULL: nobody */
    char *name;
    int fd;              /* memfd */
    uint8_t *host;       /* MAP_SHARED, page-aligned, size_bytes long, followed and preceded by nothing mapped by us */
    uint64_t size_bytes; /* multiple of the page size */
    uint64_t page_bytes; /* 4096, or the size of the huge pages that back it */
    void *reservation;   /* address space around host: inaccessible pages before and after it */
    uint64_t reservation_bytes;
};

enum {
    RAM_HUGE_PAGES = 1, /* hugetlb memfd, its pages reserved, or an error; of the host's default size */
    RAM_PREALLOC = 2,
    RAM_THP = 4,             /* madvise only */
    RAM_HUGE_SIZE_SHIFT = 8, /* with RAM_HUGE_PAGES: log2 of another size; 0: the default */
};

/* The flags for huge pages of a size, which is a power of 2; 0: of the host's default size. */
static inline unsigned ram_huge_pages(uint64_t page_bytes)
{
    return RAM_HUGE_PAGES | (page_bytes ? (unsigned)__builtin_ctzll(page_bytes) << RAM_HUGE_SIZE_SHIFT : 0);
}

/*
 * One reference, the caller's. Zero-filled. size_bytes: a multiple of the page size. NULL and an error naming the block
 * and the size on failure. Configuration thread, no lock held; RAM_PREALLOC may take long.
 */
struct ram_block *ram_block_create(const char *name, uint64_t size_bytes, unsigned flags, struct error **err);
struct ram_block *ram_block_get(struct ram_block *block);
/* The last put unmaps and closes. Any thread; NULL is allowed. */
void ram_block_put(struct ram_block *block);

/*
 * At most one watch a block; NULL: none. Until a grace period has passed, the old one may still be called. Any thread
 * that holds a reference; two don't set it at once.
 */
void ram_block_set_write_watch(struct ram_block *block, struct ram_write_watch *watch);

/* A device has written to len_bytes from host on, in the block. In an RCU read section. */
static inline void ram_block_written(struct ram_block *block, const uint8_t *host, uint64_t len_bytes)
{
    struct ram_write_watch *watch = hdl_rcu_dereference(&block->watch);

    if (unlikely(watch != NULL) && len_bytes > 0) {
        watch->fn(watch, host, len_bytes);
    }
}

#endif
