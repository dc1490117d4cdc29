/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map (all trees and their lock) and address spaces (a tree rendered and published for look-ups).
 */
#ifndef HDL_MEMORY_ADDRESS_SPACE_H
#define HDL_MEMORY_ADDRESS_SPACE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/log.h"
#include "memory/flat_view.h"
#include "memory/region.h"

/*
 * Hears of changes of one address space, at commit, under the map's lock: first all removals (ioeventfds, then ranges),
 * then all additions (ranges, then ioeventfds), each by rising address; what didn't change isn't mentioned. The new
 * view is published between the two. Must not change the map, nor take a lock of the map's rank or outer. add may fail
 * for want of slots: it says so in the log. A range's region says more: region->flags & REGION_COALESCED,
 * region->owner. The range itself is the listener's only during the call.
 */
struct memory_listener {
    void (*range_add)(struct memory_listener *listener, const struct flat_range *range);
    void (*range_del)(struct memory_listener *listener, const struct flat_range *range);
    void (*committed)(struct memory_listener *listener); /* may be NULL; last */
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
    /* Who holds the lock for a transaction; 0: nobody. Any thread may compare it with itself. */
    _Atomic pthread_t transaction_owner;
    uint64_t next_generation HDL_GUARDED_BY(&lock);
    /* Counters for people (any thread, relaxed). */
    _Atomic uint64_t unassigned_accesses, refused_accesses, reentrant_accesses;
    struct log_limit reentrant_limit; /* synchronises itself */
};

void memory_map_init(struct memory_map *map);
/* All spaces are destroyed. Waits for old views to be freed: no lock held. */
void memory_map_destroy(struct memory_map *map);

/*
 * Batches changes: the map's lock is held from begin to commit, then every space that changed is published once.
 * Doesn't nest. Any thread, under locks outer to the map's.
 */
void memory_transaction_begin(struct memory_map *map) HDL_ACQUIRE(&map->lock);
void memory_transaction_commit(struct memory_map *map) HDL_RELEASE(&map->lock);

/* name, map, root: immutable. */
struct address_space {
    const char *name;
    struct memory_map *map;
    struct region *root;
    struct flat_view *_Atomic view; /* written under the map's lock, read under RCU; never NULL */
    struct cds_list_head listeners; /* map lock */
    struct cds_list_head link;      /* map lock */
};

/* root: a container of the space's whole size; map and root must outlive the space. name too. */
void address_space_init(struct address_space *space, struct memory_map *map, struct region *root, const char *name);
/* No look-up may be under way or come. Waits for a grace period: no lock held. */
void address_space_destroy(struct address_space *space);
/* The listener hears of all that is there now, then of changes. Any thread that holds no map lock. */
void address_space_add_listener(struct address_space *space, struct memory_listener *listener);
/* It hears of nothing more, not even of removals. */
void address_space_remove_listener(struct address_space *space, struct memory_listener *listener);

/*
 * A write of `size_bytes` (0: any) at an offset of an I/O region that signals event_fd instead of calling the handler,
 * where the accelerator can. data: only writes of that value if match. Any thread, under device locks. Its own
 * transaction unless inside one. It follows the region wherever it is shown, and must be removed before event_fd is
 * closed or the region destroyed.
 */
void region_add_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                          bool match, uint64_t data, int event_fd);
void region_remove_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                             bool match, uint64_t data, int event_fd);

#endif
