/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info mtree": the memory map in words.
 *
 * Nobody is stopped for it. A guest that moves a BAR needs the map's lock, and printing takes long; so what is to be
 * printed is copied first, into an array: region trees under the map's lock, flat views (-f) in an RCU read section
 * with no lock at all. The copy is one moment's; regions may go, and their names with them, while it is printed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/rcu.h"
#include "device/device.h"
#include "machine/machine.h"
#include "memory/address_space.h"
#include "monitor/hmp_command.h"

#define NAME_BYTES 40

/* One line. Plain data: nothing in it points to the map. */
struct mtree_line {
    unsigned depth;
    uint64_t first, last;
    int priority;
    enum region_kind kind;
    bool read_only, disabled, lockless;
    char name[NAME_BYTES];
    char target[NAME_BYTES]; /* alias */
    uint64_t offset;         /* alias: in its target; a flat range: in its region */
    char owner[NAME_BYTES];  /* the device's id, or "" */
};

struct mtree_copy {
    struct mtree_line *lines;
    size_t count, capacity;
    bool failed;
};

static void mtree_copy_name(char *to, const char *name)
{
    snprintf(to, NAME_BYTES, "%s", name ? name : "");
}

static struct mtree_line *mtree_append(struct mtree_copy *copy)
{
    if (copy->count == copy->capacity) {
        size_t capacity = copy->capacity ? 2 * copy->capacity : 128;
        struct mtree_line *lines = realloc(copy->lines, capacity * sizeof(*lines));

        if (!lines) {
            copy->failed = true;
            return NULL;
        }
        copy->lines = lines;
        copy->capacity = capacity;
    }
    copy->lines[copy->count] = (struct mtree_line){0};
    return &copy->lines[copy->count++];
}

/* In the read section or under the lock that the region was found in. */
static void mtree_copy_region(struct mtree_line *line, const struct region *region)
{
    line->kind = region->kind;
    line->read_only = region->read_only;
    line->lockless = region->kind == REGION_IO && (region->flags & REGION_LOCKLESS);
    mtree_copy_name(line->name, region->name);
    mtree_copy_name(line->owner, region->owner ? region->owner->id : NULL);
}

/* Depth is what configuration made; a guest can't nest regions. base: where the parent begins. */
static void mtree_copy_tree_locked(struct mtree_copy *copy, const struct region *region, uint64_t base, unsigned depth)
{
    struct mtree_line *line = mtree_append(copy);
    struct region *child;

    if (!line) {
        return;
    }
    mtree_copy_region(line, region);
    line->depth = depth;
    line->first = base + region->address;
    line->last = line->first + (region->size_bytes - 1);
    line->priority = region->priority;
    line->disabled = !region->enabled;
    if (region->kind == REGION_ALIAS) {
        mtree_copy_name(line->target, region->alias_target->name);
        line->offset = region->alias_offset;
    }
    base = line->first;
    cds_list_for_each_entry(child, &region->children, link)
    {
        mtree_copy_tree_locked(copy, child, base, depth + 1);
    }
}

static void mtree_copy_view(struct mtree_copy *copy, struct address_space *space)
{
    const struct flat_view *view;

    hdl_rcu_read_lock();
    view = hdl_rcu_dereference(&space->view);
    for (unsigned i = 0; i < view->count; i++) {
        const struct flat_range *range = &view->ranges[i];
        struct mtree_line *line = mtree_append(copy);

        if (!line) {
            break;
        }
        mtree_copy_region(line, range->region);
        line->read_only = range->read_only;
        line->first = range->start;
        line->last = range->last;
        line->offset = range->region_offset;
    }
    hdl_rcu_read_unlock();
}

/* --- printing: of the copy, with no lock ------------------------------------------------------------------------ */

static const char *mtree_kind(const struct mtree_line *line)
{
    static const char *const kinds[] = {[REGION_CONTAINER] = "container",
                                        [REGION_RAM] = "ram",
                                        [REGION_IO] = "i/o",
                                        [REGION_ALIAS] = "alias",
                                        [REGION_REDIRECT] = "redirect"};

    return line->kind == REGION_RAM && line->read_only ? "rom" : kinds[line->kind];
}

static void mtree_print_range(struct hmp_call *call, const struct mtree_line *line)
{
    fprintf(call->out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", (int)(2 * (line->depth + 1)), "",
            line->first, line->last, line->priority, mtree_kind(line));
}

static void mtree_print_owner(struct hmp_call *call, const struct mtree_line *line)
{
    if (line->owner[0]) {
        fprintf(call->out, " owner:%s", line->owner);
    }
    fprintf(call->out, "%s%s\n", line->lockless ? " [lockless]" : "", line->disabled ? " [disabled]" : "");
}

static void mtree_print_tree(struct hmp_call *call, const struct mtree_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++) {
        const struct mtree_line *line = &copy->lines[i];

        mtree_print_range(call, line);
        if (line->kind == REGION_ALIAS) {
            fprintf(call->out, "alias %s @%s %016" PRIx64 "-%016" PRIx64, line->name, line->target, line->offset,
                    line->offset + (line->last - line->first));
        } else {
            fprintf(call->out, "%s", line->name);
        }
        mtree_print_owner(call, line);
    }
}

static void mtree_print_view(struct hmp_call *call, const struct mtree_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++) {
        const struct mtree_line *line = &copy->lines[i];

        mtree_print_range(call, line);
        fprintf(call->out, "%s", line->name);
        if (line->offset > 0) {
            fprintf(call->out, " @%016" PRIx64, line->offset);
        }
        mtree_print_owner(call, line);
    }
}

static void mtree_show(struct hmp_call *call, struct address_space *space, bool flat, unsigned number)
{
    struct mtree_copy copy = {0};

    if (flat) {
        mtree_copy_view(&copy, space);
        fprintf(call->out, "FlatView #%u\n AS \"%s\", root: %s\n", number, space->name, space->root->name);
        mtree_print_view(call, &copy);
    } else {
        hdl_mutex_lock(&space->map->lock);
        mtree_copy_tree_locked(&copy, space->root, 0, 0);
        hdl_mutex_unlock(&space->map->lock);
        fprintf(call->out, "address-space: %s\n", space->name);
        mtree_print_tree(call, &copy);
    }
    if (copy.failed) {
        fprintf(call->out, "Error: out of memory, not all is shown\n");
    }
    fputc('\n', call->out);
    free(copy.lines);
}

/* The three spaces that a PC has. */
void info_mtree(struct hmp_call *call)
{
    struct pc *pc = machine_pc(call->machine);
    bool flat = hmp_take_flag(call, "-f");

    if (!hmp_has_excess(call)) {
        mtree_show(call, &pc->memory, flat, 0);
        mtree_show(call, &pc->io, flat, 1);
        mtree_show(call, &pc->pci.bus.config_space, flat, 2);
    }
}
