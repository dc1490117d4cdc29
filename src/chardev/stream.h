/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One or two host descriptors as the far side of a chardev: what stdio, file, pty and socket have in common.
 * Everything here: loop thread (or while the loop isn't running), no lock held.
 */
#ifndef HDL_CHARDEV_STREAM_H
#define HDL_CHARDEV_STREAM_H

#include "chardev/chardev_internal.h"
#include "chardev/telnet.h"

/* One direction. All of it: loop thread. */
struct stream_end {
    int fd;            /* -1: none */
    bool always_ready; /* epoll can't wait for it: a regular file */
    bool may_block;    /* the description is shared, so O_NONBLOCK isn't ours to set: ask poll first, write little */
};

struct stream {
    struct chardev *chardev;
    struct stream_end in, out; /* the same descriptor in both: one watch serves both */
    struct fd_watch *in_watch, *out_watch;
    bool in_wanted, out_wanted;
    bool in_ended;
    bool takes_fds;        /* a Unix socket: descriptors may come with the bytes (chardev_take_fd) */
    struct telnet *telnet; /* the owner's; NULL: bytes are what they are */
    struct bh read_bh;     /* for an always-ready input */
    /* The other side has gone (end of file, hang-up, write error); the owner may stop the stream in it. */
    void (*ended)(struct stream *stream);
};

/* before start; a stopped stream may be started again without. */
void stream_init(struct stream *stream, struct chardev *chardev, void (*ended)(struct stream *stream));
/* The descriptors become the stream's, also on failure. -1: none. They must be non-blocking, or `may_block`. */
int stream_start(struct stream *stream, struct stream_end in, struct stream_end out, struct error **err);
/* Writes what the out ring has for at most half a second, if `drain`; then closes both. */
void stream_stop(struct stream *stream, bool drain);
/* The kinds' flush and resume come here. */
void stream_flush(struct stream *stream);
void stream_resume(struct stream *stream);
void stream_destroy(struct stream *stream);

/*
 * A descriptor of our own for something that other processes share with us (standard input): a fresh, non-blocking
 * description of the same terminal, pipe or device where the kernel gives one, else a duplicate.
 */
int stream_end_from_shared(int fd, bool for_input, struct stream_end *end, struct error **err);

#endif
