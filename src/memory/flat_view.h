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

/* Immutable once published. Holds a reference on every RAM block that it shows. */
struct flat_view {
    uint64_t generation; /* unique in the map's life: never reused, so a cached index can be checked against it */
    unsigned count;
    unsigned ioeventfd_count;
    struct ioeventfd *ioeventfds;
    struct rcu_head rcu;
    struct flat_range ranges[]; /* sorted, disjoint */
};

/* A vCPU's (or device's) memory of its last look-up. Zero-initialised. One thread's own. */
struct flat_cache {
    uint64_t generation;
    unsigned index;
};

/* In an RCU read section. NULL when nothing is there. O(log n); O(1) when the cache (may be NULL) hits. */
const struct flat_range *flat_view_find(const struct flat_view *view, struct flat_cache *cache, uint64_t address);

#endif
