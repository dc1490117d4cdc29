/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regions: ranges of guest addresses with a behaviour, in a tree. The tree is what people configure; nobody looks
 * addresses up in it. Rendering it gives a flat view (flat_view.h), which is what runs.
 *
 *   container  only its children matter; holes show what lies below it in its parent
 *   ram        backed by a RAM block; read-only makes it ROM (writes are dropped and counted)
 *   io         backed by an ops table and owned by one device
 *   alias      a window onto part of another region
 *   redirect   every access is looked up again elsewhere (PCI's CONFIG_DATA port)
 *
 * Among overlapping siblings the higher priority wins; of equals, the one added last. The tree is guarded by the memory
 * map's lock (LOCK_RANK_MAP), which the functions below take by themselves: they may be called from a device's handler
 * (a BAR moves) as well as from configuration. Changes are published when the outermost transaction commits, at once.
 */
#ifndef HDL_MEMORY_REGION_H
#define HDL_MEMORY_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include <urcu/list.h>

#include "base/lock.h"
#include "memory/ram_block.h"

struct device;
struct device_lock;
struct address_space;
struct region;

/* How an access ended. */
enum access_result {
    ACCESS_OK = 0,
    ACCESS_UNASSIGNED, /* nothing there, or its device is going: reads gave all-ones, writes were dropped */
    ACCESS_REFUSED,    /* size or alignment not valid there, ROM, or the handler said no */
    ACCESS_REENTRANT,  /* a device reached an I/O region from inside its handler */
    /*
     * From a handler that runs under a device lock only: done, but the guest's instruction is not to end before
     * ops->wait has returned. To everybody else it is ACCESS_OK.
     */
    ACCESS_WAIT,
};

/* Sizes in bytes, powers of two, 1..8. Zero min/max: 1..8 for valid, 1..4 for impl. */
struct access_sizes {
    uint8_t min, max;
    bool unaligned;
};

/*
 * What an I/O region does. Called with the owner's device lock held (the legacy lock for REGION_LEGACY; none for
 * REGION_LOCKLESS, in an RCU read section, on any number of threads at once). offset is within the region and aligned
 * to size_bytes unless impl.unaligned; size_bytes is one that impl allows. Values are little-endian numbers,
 * zero-extended. A handler returns ACCESS_OK, ACCESS_REFUSED or ACCESS_WAIT. A NULL handler refuses.
 *
 * wait: on the accessing thread, after the handler that returned ACCESS_WAIT, with the owner's reference and no lock;
 * it may block, but not for longer than other devices' handlers take (an eject that waits until the device is left).
 *
 * An access that valid allows but impl doesn't becomes several, or a wider one, under one hold of the lock. A write
 * narrower than impl.min becomes a read of the unit around it and a write: a device whose reads or other bits have side
 * effects says so with valid.min. A guest's access of 3, 5, 6 or 7 bytes (one that crosses a page or a range) is taken
 * as several aligned ones.
 */
struct region_ops {
    enum access_result (*read)(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value);
    enum access_result (*write)(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value);
    void (*wait)(void *opaque); /* NULL: no handler returns ACCESS_WAIT */
    struct access_sizes valid;  /* what the guest may use: others are refused */
    struct access_sizes impl;   /* what read and write are written for: accesses are split or widened to fit */
};

enum region_flags {
    REGION_LOCKLESS = 1,  /* the author promises that the handlers are safe on any number of threads */
    REGION_LEGACY = 2,    /* dispatched under the machine's legacy lock, whatever its owner's own lock is */
    REGION_COALESCED = 4, /* writes may be buffered by the accelerator; flushed before the owner's next access */
};

enum region_kind { REGION_CONTAINER, REGION_RAM, REGION_IO, REGION_ALIAS, REGION_REDIRECT };

/*
 * Where a redirected access really goes. In an RCU read section, no lock. False: nowhere (all-ones).
 */
typedef bool region_redirect_fn(void *opaque, uint64_t offset, struct address_space **space, uint64_t *address);

/* Embedded in its owner's structure, or static in a machine. Tree fields: memory map lock. Others: immutable after
 * init. */
struct region {
    const char *name; /* must outlive it */
    enum region_kind kind;
    uint64_t size_bytes; /* 0 stands for 2^64 */
    const struct region_ops *ops;
    void *opaque;
    struct device *owner;     /* io: not NULL unless lockless */
    struct device_lock *lock; /* io: the owner's, or the legacy lock; NULL: lockless */
    unsigned flags;
    uint8_t direct_sizes;  /* io: the sizes (1|2|4|8) that reach the handler as they are, when aligned */
    struct ram_block *ram; /* ram: a reference is held */
    uint64_t ram_offset;
    bool read_only;
    struct region *alias_target;
    uint64_t alias_offset;
    region_redirect_fn *redirect;

    struct region *parent;
    uint64_t address; /* in the parent */
    int priority;
    bool enabled;
    struct cds_list_head children;
    struct cds_list_head link;
};

void region_init_container(struct region *region, const char *name, uint64_t size_bytes);
/* Takes its own reference on block; dropped by region_destroy. */
void region_init_ram(struct region *region, const char *name, struct ram_block *block, uint64_t ram_offset,
                     uint64_t size_bytes, bool read_only);
/*
 * owner may be NULL only with REGION_LOCKLESS. legacy_lock is used with REGION_LEGACY only. size_bytes is a multiple of
 * impl.min.
 */
void region_init_io(struct region *region, const char *name, struct device *owner, const struct region_ops *ops,
                    void *opaque, uint64_t size_bytes, unsigned flags, struct device_lock *legacy_lock);
void region_init_alias(struct region *region, const char *name, struct region *target, uint64_t offset,
                       uint64_t size_bytes);
void region_init_redirect(struct region *region, const char *name, region_redirect_fn *redirect, void *opaque,
                          uint64_t size_bytes);
/*
 * The region must not be in a tree, nor the target of an alias that is. Any thread. Views that readers still use may
 * show it, so its fields stay as they are, and the memory that holds it stays until its owner is GONE and one grace
 * period has passed (no owner: a grace period after region_remove). A handler that was entered before region_remove may
 * still run after it; the owner's access gate says when the last one has left.
 */
void region_destroy(struct region *region);

/*
 * Changing the tree. Each is its own transaction unless inside one of the calling thread's (address_space.h). Any
 * thread, under locks outer to the map's. Children start enabled; a disabled region isn't there at all, nor through
 * aliases of it. Parents are containers. What reaches past its parent's end, or past 2^64, is cut off.
 */
struct memory_map;
void region_add(struct memory_map *map, struct region *parent, uint64_t address, struct region *child, int priority);
void region_remove(struct memory_map *map, struct region *child);
void region_set_address(struct memory_map *map, struct region *region, uint64_t address);
void region_set_enabled(struct memory_map *map, struct region *region, bool enabled);

#endif
