/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Region trees: making regions and putting them together. Nothing here looks an address up, and nothing here is seen by
 * the vCPUs before the transaction commits (address_space.c).
 *
 * Children hang on their parent in the order in which they win: higher priority first, of equals the newest first, so
 * rendering is a walk. Tree fields are guarded by the map's lock; what dispatch reads of a region (kind, ops, owner,
 * lock, sizes) is written once, before the region is in any tree.
 *
 * A guest moves, enables and disables regions (PCI BARs), to any address: what doesn't fit is cut off or hidden when
 * the tree is rendered. It can't make, nest or free them.
 */
#include "memory/region.h"

#include <assert.h>
#include <string.h>

#include "device/device.h"
#include "memory/transaction.h"

static void region_init(struct region *region, const char *name, enum region_kind kind, uint64_t size_bytes)
{
    memset(region, 0, sizeof(*region));
    region->name = name;
    region->kind = kind;
    region->size_bytes = size_bytes;
    region->enabled = true;
    CDS_INIT_LIST_HEAD(&region->children);
}

void region_init_container(struct region *region, const char *name, uint64_t size_bytes)
{
    region_init(region, name, REGION_CONTAINER, size_bytes);
}

void region_init_ram(struct region *region, const char *name, struct ram_block *block, uint64_t ram_offset,
                     uint64_t size_bytes, bool read_only)
{
    assert(size_bytes > 0 && ram_offset <= block->size_bytes && size_bytes <= block->size_bytes - ram_offset);
    region_init(region, name, REGION_RAM, size_bytes);
    region->ram = ram_block_get(block);
    region->ram_offset = ram_offset;
    region->read_only = read_only;
}

static bool region_size_fits(const struct access_sizes *sizes, unsigned default_max, unsigned size_bytes)
{
    return size_bytes >= (sizes->min ? sizes->min : 1) && size_bytes <= (sizes->max ? sizes->max : default_max);
}

static bool region_sizes_are_sane(const struct access_sizes *sizes, unsigned default_max)
{
    unsigned min = sizes->min ? sizes->min : 1;
    unsigned max = sizes->max ? sizes->max : default_max;

    return min <= max && max <= 8 && (min & (min - 1)) == 0 && (max & (max - 1)) == 0;
}

void region_init_io(struct region *region, const char *name, struct device *owner, const struct region_ops *ops,
                    void *opaque, uint64_t size_bytes, unsigned flags, struct device_lock *legacy_lock)
{
    assert(owner || (flags & REGION_LOCKLESS));
    assert(!(flags & REGION_LOCKLESS) || !(flags & REGION_LEGACY));
    assert(legacy_lock || !(flags & REGION_LEGACY));
    assert(region_sizes_are_sane(&ops->valid, 8) && region_sizes_are_sane(&ops->impl, 4));
    /* A widened access must not reach past the end: handlers needn't check for it. */
    assert(ops->impl.min <= 1 || size_bytes % ops->impl.min == 0);

    region_init(region, name, REGION_IO, size_bytes);
    region->ops = ops;
    region->opaque = opaque;
    region->owner = owner;
    region->flags = flags;
    if (flags & REGION_LEGACY) {
        region->lock = legacy_lock;
    } else if (!(flags & REGION_LOCKLESS)) {
        region->lock = owner->lock;
    }
    for (unsigned size = 1; size <= 8; size *= 2) {
        if (region_size_fits(&ops->valid, 8, size) && region_size_fits(&ops->impl, 4, size)) {
            region->direct_sizes |= size;
        }
    }
}

void region_init_alias(struct region *region, const char *name, struct region *target, uint64_t offset,
                       uint64_t size_bytes)
{
    region_init(region, name, REGION_ALIAS, size_bytes);
    region->alias_target = target;
    region->alias_offset = offset;
}

void region_init_redirect(struct region *region, const char *name, region_redirect_fn *redirect, void *opaque,
                          uint64_t size_bytes)
{
    region_init(region, name, REGION_REDIRECT, size_bytes);
    region->redirect = redirect;
    region->opaque = opaque;
}

void region_destroy(struct region *region)
{
    assert(!region->parent && cds_list_empty(&region->children));
    ram_block_put(region->ram);
}

/* Puts the child where it wins over those of its own and lower priorities. */
static void region_link_locked(struct region *parent, struct region *child)
{
    struct cds_list_head *before = parent->children.next;

    while (before != &parent->children && cds_list_entry(before, struct region, link)->priority > child->priority) {
        before = before->next;
    }
    cds_list_add_tail(&child->link, before);
    child->parent = parent;
}

void region_add(struct memory_map *map, struct region *parent, uint64_t address, struct region *child, int priority)
{
    bool own = memory_transaction_join(map);

    assert(parent->kind == REGION_CONTAINER && !child->parent && child != parent);
    child->address = address;
    child->priority = priority;
    child->enabled = true;
    region_link_locked(parent, child);
    memory_transaction_leave(map, own);
}

void region_remove(struct memory_map *map, struct region *child)
{
    bool own = memory_transaction_join(map);

    assert(child->parent);
    cds_list_del(&child->link);
    child->parent = NULL;
    memory_transaction_leave(map, own);
}

void region_set_address(struct memory_map *map, struct region *region, uint64_t address)
{
    bool own = memory_transaction_join(map);

    region->address = address;
    memory_transaction_leave(map, own);
}

void region_set_enabled(struct memory_map *map, struct region *region, bool enabled)
{
    bool own = memory_transaction_join(map);

    region->enabled = enabled;
    memory_transaction_leave(map, own);
}
