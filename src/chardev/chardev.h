/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character backends: the host side of serial ports, consoles and debug ports.
 *
 *     host --- fd watch ---> in ring  --- chardev_read ----> device     the device pulls
 *     host <-- flush bh ---- out ring <-- chardev_write ---- device     bounded; short writes are retried by the device
 *
 * A chardev lives on an event loop: only that loop's thread touches the host's descriptors. Devices call read and write
 * from any thread, under their lock; both only move bytes between a buffer and a ring and never block.
 *
 * The chardev calls its front end (struct chardev_frontend) on the loop thread with no lock held. A front end submits
 * work to its device there, and does nothing else.
 */
#ifndef HDL_CHARDEV_CHARDEV_H
#define HDL_CHARDEV_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "device/property.h"
#include "device/requests.h"
#include "event/clock.h"
#include "event/event_loop.h"

struct chardev;

enum chardev_event {
    CHARDEV_OPENED,  /* somebody is on the other side now (also told at once by chardev_attach if that is so) */
    CHARDEV_CLOSED,  /* nobody is: writes are swallowed, reads find nothing */
    CHARDEV_BREAK,   /* a person asked for a line break (Ctrl-A b) */
    CHARDEV_FOCUSED, /* a mux's port: the keys go here from now on (Ctrl-A c) */
};

/* Embedded in the device. All of it immutable while attached; any function may be NULL. Loop thread, no lock held. */
struct chardev_frontend {
    void (*readable)(struct chardev_frontend *frontend); /* bytes came since the last chardev_read */
    void (*writable)(struct chardev_frontend *frontend); /* there is room again after a short chardev_write */
    void (*event)(struct chardev_frontend *frontend, enum chardev_event event);
};

/* What every chardev of a machine needs. clock: the host's. requests: may be NULL. Outlives the chardevs. */
struct chardev_env {
    struct event_loop *loop;
    struct clock *clock;
    const struct machine_requests *requests;
};

/* --- making one (configuration thread, no lock held) ------------------------------------------------------------ */

/* A kind of chardev. Constant. */
struct chardev_type {
    const char *name;  /* as in -chardev NAME */
    const char *alias; /* another spelling, or NULL */
    const char *description;
    size_t size_bytes;                 /* of the structure whose first member is a struct chardev */
    const struct property *properties; /* options beside id=, mux=, escape= and logfile=; NULL: none */

    /* Loop thread; the configuration thread waits for it. On failure leaves nothing behind. NULL: nothing to do. */
    int (*open)(struct chardev *chardev, struct error **err);
    /* Loop thread; only after open succeeded. Writes out what it can in bounded time. NULL: nothing to do. */
    void (*close)(struct chardev *chardev);
    /* Loop thread: the out ring has bytes. NULL if `write` is given, or if nobody is ever connected. */
    void (*flush)(struct chardev *chardev);
    /* Loop thread: the in ring has room again. May be NULL. */
    void (*resume)(struct chardev *chardev);
    /* Any thread: instead of the out ring. As chardev_write. May be NULL. */
    size_t (*write)(struct chardev *chardev, const void *buffer, size_t len_bytes);
};

/* NULL-terminated: stdio, file, null, pty, socket, ringbuf (alias memory). */
extern const struct chardev_type *const chardev_types[];
/* By name or alias; NULL and an error with the nearest valid name. */
const struct chardev_type *chardev_type_find(const char *name, struct error **err);

/* Closed, with default options. id is copied. NULL when out of memory. */
struct chardev *chardev_create(const struct chardev_type *type, const char *id, const struct chardev_env *env);
/* Sets one option of a chardev that isn't open yet, as typed: path, server, wait, append, signal, size, mux, ... */
int chardev_set_option(struct chardev *chardev, const char *name, const char *value, struct error **err);
/* On failure the chardev can only be destroyed. */
int chardev_open(struct chardev *chardev, struct error **err);
/* Writes what is still in the out ring if the host takes it within half a second, closes, frees. NULL is allowed. */
void chardev_destroy(struct chardev *chardev);

const char *chardev_id(const struct chardev *chardev);
const struct chardev_type *chardev_type_of(const struct chardev *chardev);
/* For people: "pty" -> "/dev/pts/3", "socket" -> "unix:/tmp/x,server"; "" if there is nothing to say. */
const char *chardev_where(const struct chardev *chardev);

/* --- using one -------------------------------------------------------------------------------------------------- */

/*
 * Connects the one front end of a chardev. -EBUSY and an error if it has one already. detach: no callback runs after
 * it returned. Both wait for the loop's present round: configuration thread, no lock held.
 */
int chardev_attach(struct chardev *chardev, struct chardev_frontend *frontend, struct error **err);
void chardev_detach(struct chardev *chardev, struct chardev_frontend *frontend);

/*
 * Takes up to len_bytes that have arrived; returns how many. Any thread, under a device lock. A device that stops
 * before it got 0 carries on by itself when it has room again; it isn't told twice of the same bytes.
 */
size_t chardev_read(struct chardev *chardev, void *buffer, size_t len_bytes);
/* Whether chardev_read would find something. Any thread. */
bool chardev_is_readable(struct chardev *chardev);
/*
 * Queues up to len_bytes; returns how many (all of them when nobody is on the other side: they are dropped). After a
 * short write the front end's `writable` is called once there is room. Any thread, under a device lock.
 */
size_t chardev_write(struct chardev *chardev, const void *buffer, size_t len_bytes);

/*
 * The oldest descriptor that came over a Unix socket with the bytes read so far, or with later ones (SCM_RIGHTS, as
 * QMP's getfd wants it); the caller closes it. -1: there is none. What nobody takes is closed when the client goes.
 * Any thread, under a device lock.
 */
int chardev_take_fd(struct chardev *chardev);

/* --- several front ends on one: the mux (mux.c) ----------------------------------------------------------------- */

/*
 * Puts a multiplexer on an opened chardev that has no front end, and owns it from then on. Keys after the escape
 * (Ctrl-A unless the chardev's escape= option said otherwise): x quits, h helps, b sends a break, c goes to the next
 * port, t toggles time stamps, s commits snapshots (none here), escape twice sends it.
 */
struct chardev_mux;
struct chardev_mux *chardev_mux_create(struct chardev *lower, const struct chardev_env *env, struct error **err);
/* A new port (at most 4): a chardev of its own, owned by the mux. The first port has the input. NULL beyond. */
struct chardev *chardev_mux_add_port(struct chardev_mux *mux, const char *id, struct error **err);
/* Whether a port has a front end. Configuration thread. */
bool chardev_mux_is_used(struct chardev_mux *mux);
/* Whether a chardev is a port of a mux: what is typed may be for others, and what is written stands among theirs. */
bool chardev_is_mux_port(const struct chardev *chardev);
/* No port may have a front end. Destroys the ports and the lower chardev. NULL is allowed. */
void chardev_mux_destroy(struct chardev_mux *mux);

/* --- all chardevs of a machine, by id --------------------------------------------------------------------------- */

/* Configuration thread only. */
struct chardev_table;
struct chardev_table *chardev_table_create(void);
/* No chardev may have a front end. Destroys them all. NULL is allowed. */
void chardev_table_destroy(struct chardev_table *table);
/* Takes ownership of an opened chardev (also on failure: it is destroyed). With mux=on it gets its multiplexer. */
int chardev_table_add(struct chardev_table *table, struct chardev *chardev, struct error **err);
/* The chardev of that id itself, also if a mux is on it; NULL if there is none. Borrowed. */
struct chardev *chardev_table_find(const struct chardev_table *table, const char *id);
/* Whether a device or a monitor is its front end, or that of a port of its mux. */
bool chardev_table_is_used(const struct chardev_table *table, const char *id);
/* Destroys the one of that id. -ENOENT; -EBUSY and an error while it, or a port of its mux, has a front end. */
int chardev_table_remove(struct chardev_table *table, const char *id, struct error **err);
/*
 * What a device with chardev=ID attaches to: the chardev itself, or a free port of its mux. The table keeps owning it.
 * The caller attaches before anybody claims again. NULL and an error if there is none of that id, or it is taken.
 */
struct chardev *chardev_table_claim(struct chardev_table *table, const char *id, struct error **err);
/* Calls fn for each, in order of creation. */
void chardev_table_foreach(struct chardev_table *table, void (*fn)(struct chardev *chardev, void *opaque),
                           void *opaque);

#endif
