/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps devices and sees them off. A device's end is told on other threads (RCU's, its loop's), which only put it on a
 * list and wake the configuration thread. A device is on at most one of the two lists: it isn't destroyed before the
 * set, having taken it from the first one, has given up its reference.
 *
 * A guest decides when its devices go, but each goes once: the lists are no longer than the set.
 */
#include "machine/device_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any thread. */
static void device_list_push(struct device *_Atomic *list, struct device *device)
{
    device->owner_next = atomic_load_explicit(list, memory_order_relaxed);
    /* Release: pairs with device_list_take; what was done to the device before is seen there. */
    while (!atomic_compare_exchange_weak_explicit(list, &device->owner_next, device, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

/* All of it, first come first. */
static struct device *device_list_take(struct device *_Atomic *list)
{
    struct device *newest = atomic_exchange_explicit(list, NULL, memory_order_acquire);
    struct device *oldest = NULL;

    while (newest) {
        struct device *next = newest->owner_next;

        newest->owner_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* RCU's thread. */
static void device_set_hears_gone(struct device *device, void *opaque)
{
    struct device_set *set = opaque;

    device_list_push(&set->gone, device);
    bh_schedule(&set->changed);
}

/* The device's loop. */
static void device_set_hears_destroyed(struct device *device, void *opaque)
{
    struct device_set *set = opaque;

    device_list_push(&set->destroyed, device);
    bh_schedule(&set->changed);
}

static struct machine_device *device_set_entry(struct device_set *set, const struct device *device)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].device == device) {
            return &set->entries[i];
        }
    }
    return NULL;
}

static void device_set_let_go(struct device_set *set, struct device *device)
{
    struct machine_device *entry = device_set_entry(set, device);

    entry->is_leaving = true;
    if (set->listener.gone) {
        set->listener.gone(set->listener.opaque, entry);
    }
    device_put(device);
}

static void device_set_forget(struct device_set *set, struct device *device)
{
    struct machine_device *entry = device_set_entry(set, device);
    struct machine_device removed = *entry;

    set->count--;
    memmove(entry, entry + 1, (size_t)(&set->entries[set->count] - entry) * sizeof(*entry));
    if (set->listener.removed) {
        set->listener.removed(set->listener.opaque, &removed);
    }
    free(removed.path);
    device_free_memory(device);
}

/* Configuration thread's loop. */
static void device_set_changed(void *opaque)
{
    struct device_set *set = opaque;
    struct device *device, *next;

    for (device = device_list_take(&set->gone); device; device = next) {
        next = device->owner_next;
        device_set_let_go(set, device);
    }
    for (device = device_list_take(&set->destroyed); device; device = next) {
        next = device->owner_next;
        device_set_forget(set, device);
    }
}

void device_set_init(struct device_set *set, struct event_loop *loop, const struct device_set_listener *listener)
{
    *set = (struct device_set){
        .loop = loop,
        .listener = *listener,
        .owner = {.gone = device_set_hears_gone, .destroyed = device_set_hears_destroyed, .opaque = set},
    };
    bh_init(&set->changed, loop, device_set_changed, set);
}

void device_set_destroy(struct device_set *set)
{
    bh_destroy(&set->changed);
    free(set->entries);
}

/* --- adding ----------------------------------------------------------------------------------------------------- */

static char *device_set_make_path(struct device_set *set, const struct machine_device *entry)
{
    char *path;
    int len;

    if (entry->has_id) {
        len = asprintf(&path, "/machine/peripheral/%s", entry->device->id);
    } else if (entry->is_user) {
        len = asprintf(&path, "/machine/peripheral-anon/device[%u]", set->next_user++);
    } else {
        len = asprintf(&path, "/machine/unattached/device[%u]", set->next_board++);
    }
    return len < 0 ? NULL : path;
}

static int device_set_grow(struct device_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 32;
    struct machine_device *entries;

    if (set->count < set->capacity) {
        return 0;
    }
    entries = reallocarray(set->entries, capacity, sizeof(*entries));
    if (!entries) {
        return -ENOMEM;
    }
    set->entries = entries;
    set->capacity = capacity;
    return 0;
}

int device_set_add(struct device_set *set, const struct machine_device *entry, struct error **err)
{
    struct machine_device added = *entry;
    int ret;

    added.path = device_set_make_path(set, entry);
    if (!added.path || device_set_grow(set) < 0) {
        free(added.path);
        device_drop(entry->device);
        return error_set(err, -ENOMEM, "out of memory");
    }
    entry->device->owner = &set->owner;
    ret = device_realize(entry->device, err);
    if (ret < 0) {
        free(added.path);
        device_drop(entry->device);
        return ret;
    }
    set->entries[set->count++] = added;
    return 0;
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

const struct machine_device *device_set_find(const struct device_set *set, const char *id_or_path)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct machine_device *entry = &set->entries[i];

        if (strcmp(entry->path, id_or_path) == 0 || (entry->has_id && strcmp(entry->device->id, id_or_path) == 0)) {
            return entry;
        }
    }
    return NULL;
}

const struct machine_device *device_set_nth(const struct device_set *set, size_t n)
{
    return n < set->count ? &set->entries[n] : NULL;
}

/* --- removing many ---------------------------------------------------------------------------------------------- */

static bool device_set_has(const struct device_set *set, bool (*matches)(struct device *device))
{
    for (size_t i = 0; i < set->count; i++) {
        if (!matches || matches(set->entries[i].device)) {
            return true;
        }
    }
    return false;
}

void device_set_remove(struct device_set *set, bool (*matches)(struct device *device))
{
    for (size_t i = set->count; i-- > 0;) {
        if (!matches || matches(set->entries[i].device)) {
            device_unplug(set->entries[i].device);
        }
    }
    while (device_set_has(set, matches)) {
        event_loop_poll(set->loop, true);
    }
}
