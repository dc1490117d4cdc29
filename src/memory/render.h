/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to src/memory: making and freeing flat views, and telling listeners how two of them differ. */
#ifndef HDL_MEMORY_RENDER_H
#define HDL_MEMORY_RENDER_H

#include "memory/address_space.h"

/* An ioeventfd as it was asked for: relative to its region. In the map's list, under its lock. */
struct region_ioeventfd {
    struct region *region;
    struct ioeventfd event; /* address: the offset in the region */
    struct cds_list_head link;
};

/*
 * Renders the tree below root, with the ioeventfds of the list (struct region_ioeventfd). The caller holds the map's
 * lock and owns the view, which has no generation yet.
 */
struct flat_view *flat_view_render(struct region *root, struct cds_list_head *ioeventfds);
/* Drops the view's references. No reader may have it. */
void flat_view_free(struct flat_view *view);
/* Whether two views show the same. */
bool flat_view_equal(const struct flat_view *a, const struct flat_view *b);
bool flat_range_equal(const struct flat_range *a, const struct flat_range *b);

/* Fills view->ioeventfds from the list, by the view's ranges. */
void ioeventfd_resolve(struct flat_view *view, struct cds_list_head *ioeventfds);
/* A total order, by address first: < 0, 0, > 0. */
int ioeventfd_compare(const struct ioeventfd *a, const struct ioeventfd *b);

/* What is in old_view but not in new_view goes. Either may be NULL: nothing. Map lock held. */
void listener_tell_removals(struct memory_listener *listener, const struct flat_view *old_view,
                            const struct flat_view *new_view);
/* What is in new_view but not in old_view comes. */
void listener_tell_additions(struct memory_listener *listener, const struct flat_view *old_view,
                             const struct flat_view *new_view);

#endif
