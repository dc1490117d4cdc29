/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM blocks: host memory that guests see, shared (memfd), counted by reference. */
#ifndef HDL_MEMORY_RAM_BLOCK_H
#define HDL_MEMORY_RAM_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/refcount.h"

/* All but refs: immutable after creation. */
struct ram_block {
    struct refcount refs;
    char *name;
    int fd;              /* memfd */
    uint8_t *host;       /* MAP_SHARED, page-aligned, size_bytes long, followed and preceded by nothing mapped by us */
    uint64_t size_bytes; /* multiple of the page size */
    uint64_t page_bytes; /* 4096, or the huge page size */
    void *reservation;   /* address space around host: inaccessible pages before and after it */
    uint64_t reservation_bytes;
};

enum { RAM_HUGE_PAGES = 1 /* hugetlb memfd, or an error */, RAM_PREALLOC = 2, RAM_THP = 4 /* madvise only */ };

/*
 * One reference, the caller's. Zero-filled. NULL and an error naming the block and the size on failure. Configuration
 * thread, no lock held; RAM_PREALLOC may take long.
 */
struct ram_block *ram_block_create(const char *name, uint64_t size_bytes, unsigned flags, struct error **err);
struct ram_block *ram_block_get(struct ram_block *block);
/* The last put unmaps and closes. Any thread; NULL is allowed. */
void ram_block_put(struct ram_block *block);

#endif
