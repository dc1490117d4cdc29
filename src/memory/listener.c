/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling listeners how a space changed: two sorted views are walked side by side, and what stands in only one of them
 * is mentioned. Pure functions of two views that the caller (who holds the map's lock) keeps alive.
 */
#include "memory/render.h"

/* Whether range is in view. *at moves on with rising ranges. */
static bool view_has_range(const struct flat_view *view, unsigned *at, const struct flat_range *range)
{
    while (view && *at < view->count && view->ranges[*at].start < range->start) {
        (*at)++;
    }
    return view && *at < view->count && flat_range_equal(&view->ranges[*at], range);
}

static bool view_has_ioeventfd(const struct flat_view *view, unsigned *at, const struct ioeventfd *event)
{
    while (view && *at < view->ioeventfd_count && ioeventfd_compare(&view->ioeventfds[*at], event) < 0) {
        (*at)++;
    }
    return view && *at < view->ioeventfd_count && ioeventfd_compare(&view->ioeventfds[*at], event) == 0;
}

/* Calls fn for each range of view that other lacks. */
static void tell_ranges(struct memory_listener *listener, const struct flat_view *view, const struct flat_view *other,
                        void (*fn)(struct memory_listener *listener, const struct flat_range *range))
{
    unsigned at = 0;

    for (unsigned i = 0; view && fn && i < view->count; i++) {
        if (!view_has_range(other, &at, &view->ranges[i])) {
            fn(listener, &view->ranges[i]);
        }
    }
}

static void tell_ioeventfds(struct memory_listener *listener, const struct flat_view *view,
                            const struct flat_view *other,
                            void (*fn)(struct memory_listener *listener, const struct ioeventfd *event))
{
    unsigned at = 0;

    for (unsigned i = 0; view && fn && i < view->ioeventfd_count; i++) {
        if (!view_has_ioeventfd(other, &at, &view->ioeventfds[i])) {
            fn(listener, &view->ioeventfds[i]);
        }
    }
}

void listener_tell_removals(struct memory_listener *listener, const struct flat_view *old_view,
                            const struct flat_view *new_view)
{
    tell_ioeventfds(listener, old_view, new_view, listener->ioeventfd_del);
    tell_ranges(listener, old_view, new_view, listener->range_del);
}

void listener_tell_additions(struct memory_listener *listener, const struct flat_view *old_view,
                             const struct flat_view *new_view)
{
    tell_ranges(listener, new_view, old_view, listener->range_add);
    tell_ioeventfds(listener, new_view, old_view, listener->ioeventfd_add);
    if (listener->committed) {
        listener->committed(listener);
    }
}
