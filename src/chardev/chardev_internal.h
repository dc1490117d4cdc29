/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kinds of chardevs share with chardev.c, and nobody else sees. */
#ifndef HDL_CHARDEV_CHARDEV_INTERNAL_H
#define HDL_CHARDEV_CHARDEV_INTERNAL_H

#include "base/lock.h"
#include "chardev/byte_ring.h"
#include "chardev/chardev.h"

#define CHARDEV_FDS_MAX 16 /* descriptors that came and that nobody has taken yet */

/*
 * type, id, env, flush_bh, resume_bh: immutable after creation. mux, escape, log, log_*, where, interactive: immutable
 * after open.
 * opened: configuration thread. frontend: written on the loop thread under `lock`, so the loop may read it without.
 */
struct chardev {
    const struct chardev_type *type;
    char *id;
    struct chardev_env env;
    bool mux;       /* option */
    uint8_t escape; /* option */
    char *log_path; /* options; at most one of them and log_fd */
    char *log_fd;
    bool log_append;
    struct chardev_log *log; /* or NULL */
    bool interactive;        /* a person sits there: keys go before data */
    bool opened;
    char *where;
    struct hdl_mutex lock; /* LOCK_RANK_BACKEND */
    struct byte_ring in HDL_GUARDED_BY(&lock);
    struct byte_ring out HDL_GUARDED_BY(&lock);
    bool connected HDL_GUARDED_BY(&lock);           /* somebody is on the other side */
    bool want_writable HDL_GUARDED_BY(&lock);       /* a write was short */
    bool want_resume HDL_GUARDED_BY(&lock);         /* the producer stopped for want of room */
    int fds[CHARDEV_FDS_MAX] HDL_GUARDED_BY(&lock); /* the oldest first */
    unsigned fd_count HDL_GUARDED_BY(&lock);
    struct chardev_frontend *frontend;
    struct bh flush_bh, resume_bh;
};

extern const struct chardev_type chardev_stdio_type, chardev_file_type, chardev_null_type, chardev_pty_type,
    chardev_socket_type, chardev_ringbuf_type;

/* What chardev_create does, for a structure that the caller allocated (zeroed). 0 or -ENOMEM. */
int chardev_init(struct chardev *chardev, const struct chardev_type *type, const char *id,
                 const struct chardev_env *env);

/* --- log_file.c ------------------------------------------------------------------------------------------------- */

/* For chardev_open and chardev_destroy: the log that the options ask for, if any. Configuration thread. */
int chardev_log_open(struct chardev *chardev, struct error **err);
void chardev_log_close(struct chardev *chardev);
/* How much of so many bytes it can take; if not all, the front end is told once it can take more. Any thread. */
size_t chardev_log_room(struct chardev_log *log, size_t len_bytes);
void chardev_log_write(struct chardev_log *log, const void *buffer, size_t len_bytes);

/* Configuration thread. */
bool chardev_has_frontend(struct chardev *chardev);

/* --- for kinds: loop thread (or while the loop isn't running), no lock held ------------------------------------- */

/* Somebody came or went. Going drops what is in the out ring. Tells the front end if that is a change. */
void chardev_set_connected(struct chardev *chardev, bool connected);
void chardev_send_event(struct chardev *chardev, enum chardev_event event);
/* Room in the in ring; if there is none, `resume` will be called once there is. */
size_t chardev_in_room(struct chardev *chardev);
/* Puts bytes that arrived into the in ring (what doesn't fit is lost) and tells the front end. */
void chardev_feed(struct chardev *chardev, const void *bytes, size_t len_bytes);
/* Takes over descriptors that came with the bytes that are fed next. If there are too many, the oldest are closed. */
void chardev_feed_fds(struct chardev *chardev, const int *fds, size_t count);
/* The oldest bytes to be written; they stay until consumed. */
size_t chardev_out_peek(struct chardev *chardev, const uint8_t **bytes);
/* They were. Tells the front end if it waits for room. */
void chardev_out_consume(struct chardev *chardev, size_t len_bytes);
void chardev_tell_writable(struct chardev *chardev);

#endif
