/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map (all trees and their lock) and address spaces (a tree rendered and published for look-ups).
 */
#ifndef HDL_MEMORY_ADDRESS_SPACE_H
#define HDL_MEMORY_ADDRESS_SPACE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "memory/flat_view.h"
#include "memory/region.h"

/*
 * Hears of changes of one address space, at commit, under the map's lock: first all removals, then all additions; what
 * didn't change isn't mentioned. Must not change the map. add may fail for want of slots: it says so in the log.
 */
struct memory_listener {
    void (*range_add)(struct memory_listener *listener, const struct flat_range *range);
    void (*range_del)(struct memory_listener *listener, const struct flat_range *range);
    void (*committed)(struct memory_listener *listener); /* may be NULL; after the new view is published */
    /* ioeventfds, with the absolute address; may be NULL (writes then reach the region's handler). */
    void (*ioeventfd_add)(struct memory_listener *listener, const struct ioeventfd *event);
    void (*ioeventfd_del)(struct memory_listener *listener, const struct ioeventfd *event);
    struct cds_list_head link;
};

/* All trees of a machine: one lock over configuration, none over look-ups. */
struct memory_map {
    struct hdl_mutex lock; /* LOCK_RANK_MAP */
    struct cds_list_head spaces HDL_GUARDED_BY(&lock);
    struct cds_list_head ioeventfds HDL_GUARDED_BY(&lock);
    bool in_transaction HDL_GUARDED_BY(&lock);
    pthread_t transaction_owner;
    _Atomic uint64_t next_generation;
    /* Counters for people (any thread, relaxed). */
    _Atomic uint64_t unassigned_accesses, refused_accesses, reentrant_accesses;
};

void memory_map_init(struct memory_map *map);
void memory_map_destroy(struct memory_map *map);

struct address_space {
    const char *name;
    struct memory_map *map;
    struct region *root;
    struct flat_view *_Atomic view; /* RCU */
    struct cds_list_head listeners; /* map lock */
    struct cds_list_head link;      /* map lock */
};

/* root: a container of the space's whole size; both must outlive the space. */
void address_space_init(struct address_space *space, struct memory_map *map, struct region *root, const char *name);
/* No look-up may be under way or come. Waits for a grace period: no lock held. */
void address_space_destroy(struct address_space *space);
/* The listener hears of all that is there now, then of changes. Any thread that holds no map lock. */
void address_space_add_listener(struct address_space *space, struct memory_listener *listener);
void address_space_remove_listener(struct address_space *space, struct memory_listener *listener);

/*
 * A write of `size_bytes` (0: any) at an offset of an I/O region that signals event_fd instead of calling the handler,
 * where the accelerator can. data: only writes of that value if match. Any thread, under device locks.
 */
void region_add_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                          bool match, uint64_t data, int event_fd);
void region_remove_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                             bool match, uint64_t data, int event_fd);

#endif
