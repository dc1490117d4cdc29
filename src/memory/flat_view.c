/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flat views: rendering a tree, and looking addresses up.
 *
 * Rendering walks the tree from what wins to what loses and lets each leaf fill only what is still empty. A *window* is
 * a part of a region, in the region's own offsets, and the address at which it is seen; going down to a child or
 * through an alias cuts the window and moves it. Bounds are inclusive, so 2^64 is never written down and nothing
 * overflows, wherever a guest moves a region.
 *
 * A view is built by one thread, under the map's lock; once published it is read by any thread in an RCU read section.
 * Its size depends on how many regions there are, which a guest can't choose; memory for it is required.
 */
#include "memory/flat_view.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "memory/render.h"

/* Deeper than any real tree: an alias that leads to itself ends here. */
#define RENDER_DEPTH_MAX 64

struct flat_builder {
    struct flat_range *ranges; /* sorted, disjoint */
    unsigned count, capacity;
};

/* The offsets first..last of a region, seen from address on. */
struct flat_window {
    uint64_t first, last;
    uint64_t address;
    bool read_only;
};

static void *flat_alloc(void *old, size_t size_bytes)
{
    void *memory = realloc(old, size_bytes);

    if (!memory) {
        log_warn("out of memory for the memory map");
        abort();
    }
    return memory;
}

static void builder_insert(struct flat_builder *builder, unsigned index, const struct flat_range *range)
{
    if (builder->count == builder->capacity) {
        builder->capacity = builder->capacity ? builder->capacity * 2 : 32;
        builder->ranges = flat_alloc(builder->ranges, builder->capacity * sizeof(*range));
    }
    memmove(&builder->ranges[index + 1], &builder->ranges[index], (builder->count - index) * sizeof(*range));
    builder->ranges[index] = *range;
    builder->count++;
}

/* Part of whole, from..to. */
static struct flat_range range_cut(const struct flat_range *whole, uint64_t from, uint64_t to)
{
    struct flat_range part = *whole;

    part.start = from;
    part.last = to;
    part.region_offset += from - whole->start;
    part.ram_offset += from - whole->start;
    return part;
}

/* The index of the first range that ends at or after address. */
static unsigned ranges_search(const struct flat_range *ranges, unsigned count, uint64_t address)
{
    unsigned low = 0;

    while (count > 0) {
        unsigned half = count / 2;

        if (ranges[low + half].last < address) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

/* Puts the range wherever nothing is yet. */
static void builder_fill(struct flat_builder *builder, const struct flat_range *range)
{
    uint64_t from = range->start;
    unsigned i = ranges_search(builder->ranges, builder->count, from);

    for (; i < builder->count && builder->ranges[i].start <= range->last; i++) {
        if (builder->ranges[i].start > from) {
            struct flat_range part = range_cut(range, from, builder->ranges[i].start - 1);

            builder_insert(builder, i++, &part);
        }
        if (builder->ranges[i].last >= range->last) {
            return;
        }
        from = builder->ranges[i].last + 1;
    }
    struct flat_range rest = range_cut(range, from, range->last);

    builder_insert(builder, i, &rest);
}

static uint64_t region_last_offset(const struct region *region)
{
    return region->size_bytes - 1; /* 0 stands for 2^64 */
}

static void render(struct flat_builder *builder, struct region *region, struct flat_window window, unsigned depth);

static void render_leaf(struct flat_builder *builder, struct region *region, const struct flat_window *window)
{
    struct flat_range range = {
        .start = window->address,
        .last = window->address + (window->last - window->first),
        .region = region,
        .region_offset = window->first,
        .ram = region->ram,
        .ram_offset = region->ram ? region->ram_offset + window->first : 0,
        .read_only = window->read_only,
    };

    builder_fill(builder, &range);
}

static void render_children(struct flat_builder *builder, struct region *region, const struct flat_window *window,
                            unsigned depth)
{
    struct region *child;

    cds_list_for_each_entry(child, &region->children, link)
    {
        uint64_t first = MAX(window->first, child->address);

        if (first > window->last) {
            continue;
        }
        render(builder, child,
               (struct flat_window){
                   .first = first - child->address,
                   .last = window->last - child->address,
                   .address = window->address + (first - window->first),
                   .read_only = window->read_only,
               },
               depth + 1);
    }
}

/* The window in the target's offsets; what would lie past 2^64 is cut off. */
static void render_alias(struct flat_builder *builder, struct region *region, const struct flat_window *window,
                         unsigned depth)
{
    if (window->first > UINT64_MAX - region->alias_offset) {
        return;
    }
    render(
        builder, region->alias_target,
        (struct flat_window){
            .first = window->first + region->alias_offset,
            .last = window->last > UINT64_MAX - region->alias_offset ? UINT64_MAX : window->last + region->alias_offset,
            .address = window->address,
            .read_only = window->read_only,
        },
        depth + 1);
}

/* window may reach past the region's end. */
static void render(struct flat_builder *builder, struct region *region, struct flat_window window, unsigned depth)
{
    assert(depth < RENDER_DEPTH_MAX);
    if (!region->enabled || window.first > region_last_offset(region)) {
        return;
    }
    window.last = MIN(window.last, region_last_offset(region));
    window.read_only |= region->read_only;
    switch (region->kind) {
    case REGION_CONTAINER:
        render_children(builder, region, &window, depth);
        break;
    case REGION_ALIAS:
        render_alias(builder, region, &window, depth);
        break;
    case REGION_RAM:
    case REGION_IO:
    case REGION_REDIRECT:
        render_leaf(builder, region, &window);
        break;
    }
}

static bool range_continues(const struct flat_range *a, const struct flat_range *b)
{
    uint64_t length = a->last - a->start + 1;

    return a->last + 1 == b->start && a->region == b->region && a->region_offset + length == b->region_offset &&
           a->read_only == b->read_only;
}

/* Neighbours that are one piece of one region (seen through two aliases) become one range. */
static void builder_merge(struct flat_builder *builder)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < builder->count; i++) {
        if (kept > 0 && range_continues(&builder->ranges[kept - 1], &builder->ranges[i])) {
            builder->ranges[kept - 1].last = builder->ranges[i].last;
        } else {
            builder->ranges[kept++] = builder->ranges[i];
        }
    }
    builder->count = kept;
}

struct flat_view *flat_view_render(struct region *root, struct cds_list_head *ioeventfds)
{
    struct flat_builder builder = {0};
    struct flat_view *view;

    render(&builder, root, (struct flat_window){.last = UINT64_MAX}, 0);
    builder_merge(&builder);
    view = flat_alloc(NULL, sizeof(*view) + builder.count * sizeof(view->ranges[0]));
    *view = (struct flat_view){.count = builder.count};
    for (unsigned i = 0; i < builder.count; i++) {
        view->ranges[i] = builder.ranges[i];
        if (view->ranges[i].ram) {
            ram_block_get(view->ranges[i].ram);
        }
    }
    free(builder.ranges);
    ioeventfd_resolve(view, ioeventfds);
    return view;
}

void flat_view_free(struct flat_view *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        ram_block_put(view->ranges[i].ram);
    }
    free(view->ioeventfds);
    free(view);
}

bool flat_range_equal(const struct flat_range *a, const struct flat_range *b)
{
    return a->start == b->start && a->last == b->last && a->region == b->region &&
           a->region_offset == b->region_offset && a->ram == b->ram && a->ram_offset == b->ram_offset &&
           a->read_only == b->read_only;
}

bool flat_view_equal(const struct flat_view *a, const struct flat_view *b)
{
    if (a->count != b->count || a->ioeventfd_count != b->ioeventfd_count) {
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!flat_range_equal(&a->ranges[i], &b->ranges[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < a->ioeventfd_count; i++) {
        if (ioeventfd_compare(&a->ioeventfds[i], &b->ioeventfds[i]) != 0) {
            return false;
        }
    }
    return true;
}

const struct flat_range *flat_view_find_slow(const struct flat_view *view, struct flat_cache *cache, uint64_t address)
{
    unsigned index = ranges_search(view->ranges, view->count, address);

    if (index == view->count || view->ranges[index].start > address) {
        return NULL;
    }
    if (cache) {
        cache->generation = view->generation;
        cache->index = index;
    }
    return &view->ranges[index];
}

uint64_t flat_view_hole_bytes(const struct flat_view *view, uint64_t address, uint64_t len_bytes)
{
    unsigned next = ranges_search(view->ranges, view->count, address);

    return next == view->count ? len_bytes : MIN(len_bytes, view->ranges[next].start - address);
}
