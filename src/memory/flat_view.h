/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flat views: the immutable, sorted rendering of a region tree. Published by RCU, replaced whole, never edited. */
#ifndef HDL_MEMORY_FLAT_VIEW_H
#define HDL_MEMORY_FLAT_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rcu.h"
#include "memory/region.h"

/* Part of one RAM, I/O or redirect region, at an address. `last` is inclusive so that a range may end at 2^64. */
struct flat_range {
    uint64_t start, last;
    struct region *region;
    uint64_t region_offset; /* of start within region */
    struct ram_block *ram;  /* RAM and ROM: the view's reference; NULL for others */
    uint64_t ram_offset;    /* of start within ram */
    bool read_only;
};

/* An ioeventfd at its absolute address. */
struct ioeventfd {
    uint64_t address;
    unsigned size_bytes;
    bool match;
    uint64_t data;
    int event_fd;
};

/* Immutable once published. Holds a reference on every RAM block that it shows; freeing it touches no region. */
struct flat_view {
    uint64_t
        generation; /* unique in the map's life: never reused, so a cached index can be checked against it; not 0 */
    unsigned count;
    unsigned ioeventfd_count;
    struct ioeventfd *ioeventfds; /* sorted by address */
    struct rcu_head rcu;
    struct flat_range ranges[]; /* sorted, disjoint */
};

/* A vCPU's (or device's) memory of its last look-up. Zero-initialised. One thread's own. */
struct flat_cache {
    uint64_t generation;
    unsigned index;
};

/* The look-up by bisection; remembers what it found. */
const struct flat_range *flat_view_find_slow(const struct flat_view *view, struct flat_cache *cache, uint64_t address);

/* How many of len_bytes from address on lead nowhere (at least 1). Nothing is at address. In an RCU read section. */
uint64_t flat_view_hole_bytes(const struct flat_view *view, uint64_t address, uint64_t len_bytes);

/* In an RCU read section. NULL when nothing is there. O(log n); O(1) when the cache (may be NULL) hits. */
static inline const struct flat_range *flat_view_find(const struct flat_view *view, struct flat_cache *cache,
                                                      uint64_t address)
{
    if (likely(cache && cache->generation == view->generation)) {
        const struct flat_range *range = &view->ranges[cache->index];

        if (likely(address >= range->start && address <= range->last)) {
            return range;
        }
    }
    return flat_view_find_slow(view, cache, address);
}

#endif
