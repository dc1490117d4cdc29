/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ioeventfds: which writes signal a descriptor instead of reaching a handler. They are asked for relative to a region
 * and resolved to absolute addresses each time that a view is rendered, wherever the region is seen whole at that
 * place; the accelerator hears of them as a listener. Those that it can't have just reach the handler.
 *
 * The list is guarded by the map's lock. A guest can only move the region.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "memory/render.h"
#include "memory/transaction.h"

int ioeventfd_compare(const struct ioeventfd *a, const struct ioeventfd *b)
{
    if (a->address != b->address) {
        return a->address < b->address ? -1 : 1;
    }
    if (a->size_bytes != b->size_bytes) {
        return a->size_bytes < b->size_bytes ? -1 : 1;
    }
    if (a->match != b->match) {
        return a->match ? 1 : -1;
    }
    if (a->data != b->data) {
        return a->data < b->data ? -1 : 1;
    }
    return (a->event_fd > b->event_fd) - (a->event_fd < b->event_fd);
}

static int ioeventfd_compare_void(const void *a, const void *b)
{
    return ioeventfd_compare(a, b);
}

static bool ioeventfd_is_in(const struct region_ioeventfd *entry, const struct flat_range *range)
{
    uint64_t last_offset = range->region_offset + (range->last - range->start);
    uint64_t width = entry->event.size_bytes ? entry->event.size_bytes : 1;

    return range->region == entry->region && entry->event.address >= range->region_offset &&
           entry->event.address <= last_offset && last_offset - entry->event.address >= width - 1;
}

static void *ioeventfd_alloc(void *old, size_t size_bytes)
{
    void *memory = realloc(old, size_bytes);

    if (!memory) {
        log_warn("out of memory for ioeventfds");
        abort();
    }
    return memory;
}

static void ioeventfd_append(struct flat_view *view, unsigned *capacity, const struct ioeventfd *event)
{
    if (view->ioeventfd_count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        view->ioeventfds = ioeventfd_alloc(view->ioeventfds, *capacity * sizeof(*event));
    }
    view->ioeventfds[view->ioeventfd_count++] = *event;
}

void ioeventfd_resolve(struct flat_view *view, struct cds_list_head *ioeventfds)
{
    struct region_ioeventfd *entry;
    unsigned capacity = 0;

    cds_list_for_each_entry(entry, ioeventfds, link)
    {
        for (unsigned i = 0; i < view->count; i++) {
            if (ioeventfd_is_in(entry, &view->ranges[i])) {
                struct ioeventfd event = entry->event;

                event.address += view->ranges[i].start - view->ranges[i].region_offset;
                ioeventfd_append(view, &capacity, &event);
            }
        }
    }
    if (view->ioeventfd_count > 1) {
        qsort(view->ioeventfds, view->ioeventfd_count, sizeof(view->ioeventfds[0]), ioeventfd_compare_void);
    }
}

void region_add_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                          bool match, uint64_t data, int event_fd)
{
    struct region_ioeventfd *entry = ioeventfd_alloc(NULL, sizeof(*entry));
    bool own;

    *entry = (struct region_ioeventfd){
        .region = region,
        .event = {.address = offset, .size_bytes = size_bytes, .match = match, .data = data, .event_fd = event_fd},
    };
    own = memory_transaction_join(map);
    cds_list_add_tail(&entry->link, &map->ioeventfds);
    memory_transaction_leave(map, own);
}

void region_remove_ioeventfd(struct memory_map *map, struct region *region, uint64_t offset, unsigned size_bytes,
                             bool match, uint64_t data, int event_fd)
{
    const struct ioeventfd wanted = {
        .address = offset, .size_bytes = size_bytes, .match = match, .data = data, .event_fd = event_fd};
    bool own = memory_transaction_join(map);
    struct region_ioeventfd *entry;
    struct region_ioeventfd *found = NULL;

    cds_list_for_each_entry(entry, &map->ioeventfds, link)
    {
        if (entry->region == region && ioeventfd_compare(&entry->event, &wanted) == 0) {
            found = entry;
            break;
        }
    }
    assert(found);
    cds_list_del(&found->link);
    memory_transaction_leave(map, own);
    free(found);
}
