/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM blocks. Each is a memfd mapped shared (so that another process can have it too), in the middle of a reservation
 * of inaccessible address space: an overrun by our own code faults instead of hitting something else. The address is
 * aligned for the largest pages that might back it.
 *
 * A block's memory goes when its last reference does: regions, flat views and DMA mappings each hold one. A guest
 * decides nothing here: sizes come from the command line.
 */
#include "memory/ram_block.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "base/compiler.h"

#define RAM_PAGE_BYTES UINT64_C(4096)
#define RAM_HUGE_BYTES (UINT64_C(2) << 20)
/* More than any guest-physical address space (52 bits) has room for. */
#define RAM_SIZE_MAX (UINT64_C(1) << 52)

static int ram_block_fail(const struct ram_block *block, struct error **err, const char *what)
{
    int code = errno;

    return error_set(err, -code, "RAM '%s' of %" PRIu64 " bytes: %s: %s", block->name, block->size_bytes, what,
                     strerror(code));
}

/* What memfd_create said about huge pages, for the person who asked for them. */
static const char *ram_block_no_huge_pages(unsigned flags)
{
    return flags >> RAM_HUGE_SIZE_SHIFT ? "this host has no huge pages of that size" : "no huge pages on this host";
}

static int ram_block_open(struct ram_block *block, unsigned flags, struct error **err)
{
    unsigned memfd_flags = MFD_CLOEXEC;
    struct statfs fs;
    char label[64];

    if (flags & RAM_HUGE_PAGES) {
        memfd_flags |= MFD_HUGETLB | flags >> RAM_HUGE_SIZE_SHIFT << MFD_HUGE_SHIFT;
    }
    snprintf(label, sizeof(label), "heddle:%.50s", block->name);
    block->fd = memfd_create(label, memfd_flags);
    if (block->fd < 0) {
        return ram_block_fail(block, err, flags & RAM_HUGE_PAGES ? ram_block_no_huge_pages(flags) : "memfd_create");
    }
    if (flags & RAM_HUGE_PAGES) {
        if (fstatfs(block->fd, &fs) < 0) {
            return ram_block_fail(block, err, "can't tell the size of its pages");
        }
        block->page_bytes = (uint64_t)fs.f_bsize;
    }
    return 0;
}

/* The size must be a multiple of the page's. */
static int ram_block_size(struct ram_block *block, struct error **err)
{
    if (block->size_bytes == 0 || block->size_bytes > RAM_SIZE_MAX || block->size_bytes % block->page_bytes != 0) {
        return error_set(err, -EINVAL,
                         "RAM '%s' of %" PRIu64 " bytes: the size must be a multiple of %" PRIu64 ", up to 2^52",
                         block->name, block->size_bytes, block->page_bytes);
    }
    return ftruncate(block->fd, (off_t)block->size_bytes) < 0 ? ram_block_fail(block, err, "can't size it") : 0;
}

/* Reserves room for the block, its alignment, and a page on either side; maps the block inside. */
static int ram_block_map(struct ram_block *block, unsigned flags, struct error **err)
{
    uint64_t align = MAX(block->page_bytes, block->size_bytes >= RAM_HUGE_BYTES ? RAM_HUGE_BYTES : RAM_PAGE_BYTES);
    int map_flags = MAP_SHARED | MAP_FIXED;
    uint64_t reservation_bytes = block->size_bytes + 2 * align + RAM_PAGE_BYTES;
    uint8_t *base = mmap(NULL, reservation_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *host;

    if (base == MAP_FAILED) {
        return ram_block_fail(block, err, "no address space");
    }
    block->reservation = base;
    block->reservation_bytes = reservation_bytes;
    host = (uint8_t *)ALIGN_UP((uintptr_t)base + RAM_PAGE_BYTES, align);
    /* Huge pages are reserved: the guest that touched one that isn't there would kill us. */
    map_flags |= flags & RAM_HUGE_PAGES ? 0 : MAP_NORESERVE;
    host = mmap(host, block->size_bytes, PROT_READ | PROT_WRITE, map_flags, block->fd, 0);
    if (host == MAP_FAILED) {
        return ram_block_fail(block, err, flags & RAM_HUGE_PAGES ? "not enough free huge pages" : "can't map it");
    }
    block->host = host;
    return 0;
}

static int ram_block_populate(struct ram_block *block, unsigned flags, struct error **err)
{
    /* Advice: a host without it is merely slower. */
    if (flags & RAM_THP) {
        madvise(block->host, block->size_bytes, MADV_HUGEPAGE);
    }
    if (flags & RAM_PREALLOC) {
        /* Allocates now or fails now; touching the pages would be killed later instead. */
        if (fallocate(block->fd, 0, 0, (off_t)block->size_bytes) < 0) {
            return ram_block_fail(block, err, "not enough memory to allocate it all");
        }
#ifdef MADV_POPULATE_WRITE
        madvise(block->host, block->size_bytes, MADV_POPULATE_WRITE);
#endif
    }
    return 0;
}

static void ram_block_free(struct ram_block *block)
{
    if (block->reservation) {
        munmap(block->reservation, block->reservation_bytes);
    }
    if (block->fd >= 0) {
        close(block->fd);
    }
    free(block->name);
    free(block);
}

struct ram_block *ram_block_create(const char *name, uint64_t size_bytes, unsigned flags, struct error **err)
{
    struct ram_block *block = calloc(1, sizeof(*block));

    if (!block || !(block->name = strdup(name))) {
        free(block);
        error_set(err, -ENOMEM, "RAM '%s' of %" PRIu64 " bytes: out of memory", name, size_bytes);
        return NULL;
    }
    refcount_init(&block->refs);
    block->size_bytes = size_bytes;
    block->page_bytes = RAM_PAGE_BYTES;
    block->fd = -1;
    if (ram_block_open(block, flags, err) < 0 || ram_block_size(block, err) < 0 ||
        ram_block_map(block, flags, err) < 0 || ram_block_populate(block, flags, err) < 0) {
        ram_block_free(block);
        return NULL;
    }
    return block;
}

struct ram_block *ram_block_get(struct ram_block *block)
{
    refcount_get(&block->refs);
    return block;
}

void ram_block_put(struct ram_block *block)
{
    if (block && refcount_put(&block->refs)) {
        ram_block_free(block);
    }
}

void ram_block_set_write_watch(struct ram_block *block, struct ram_write_watch *watch)
{
    assert(!watch || !atomic_load_explicit(&block->watch, memory_order_relaxed));
    hdl_rcu_publish(&block->watch, watch);
}
