/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices of a machine: who is there, under which name, and how one goes, whoever began it (a command, a guest's
 * eject on a vCPU, the machine's end):
 *
 *   device_unplug, anywhere   ...   GONE       gone(device): whoever points at it lets go; the set's reference is
 * dropped
 *                             ...   destroyed  its loop gave everything back; removed(device): the id is free again
 *                                   memory freed
 *
 * Everything: configuration thread, no lock held, unless it says otherwise.
 */
#ifndef HDL_MACHINE_DEVICE_SET_H
#define HDL_MACHINE_DEVICE_SET_H

#include "device/device.h"

/* One device. path: its name in the object tree that QMP shows; owned. The rest is what was given to device_set_add. */
struct machine_device {
    struct device *device; /* with a reference until it is GONE */
    char *path;
    bool is_user;                /* asked for by -device or device_add, not soldered on */
    bool has_id;                 /* device->id is what a person said */
    bool is_leaving;             /* it is GONE, but not all is given back */
    struct event_loop *own_loop; /* an I/O thread made for it alone, or NULL */
};

/* What the set tells its machine. Both may be NULL. */
struct device_set_listener {
    /* The device is GONE: no handler and no work of it runs any more. Lets go of it and of what hangs on it. */
    void (*gone)(void *opaque, const struct machine_device *entry);
    /* Nothing is left of it but memory, name, path and properties, which go when this returns. */
    void (*removed)(void *opaque, const struct machine_device *entry);
    void *opaque;
};

/*
 * loop, listener, owner: immutable. gone, destroyed: any thread, atomically; lists through device->owner_next. The
 * rest: configuration thread.
 */
struct device_set {
    struct event_loop *loop;
    struct device_set_listener listener;
    struct device_owner owner;
    struct device *_Atomic gone, *_Atomic destroyed;
    struct bh changed;
    struct machine_device *entries;
    size_t count, capacity;
    unsigned next_user, next_board; /* numbers for those without an id */
};

/* loop: the configuration thread's. */
void device_set_init(struct device_set *set, struct event_loop *loop, const struct device_set_listener *listener);
/* The set is empty. */
void device_set_destroy(struct device_set *set);

/*
 * Realizes the device and keeps it; entry->device, is_user, has_id and own_loop are the caller's, the path is made. The
 * reference passes to the set, also on failure, when it is dropped, and nothing of the device is left.
 */
int device_set_add(struct device_set *set, const struct machine_device *entry, struct error **err);
/* By id (of those who have one) or path; NULL if there is none. Devices that are leaving are there until the end. */
const struct machine_device *device_set_find(const struct device_set *set, const char *id_or_path);
/* Nth in order of creation, or NULL. */
const struct machine_device *device_set_nth(const struct device_set *set, size_t n);
/*
 * Unplugs those that match (all if NULL), and returns when nothing is left of any of them. Polls the loop meanwhile;
 * the devices' own loops must be running.
 */
void device_set_remove(struct device_set *set, bool (*matches)(struct device *device));

#endif
