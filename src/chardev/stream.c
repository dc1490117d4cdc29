/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host descriptors under a chardev. A watch exists only while something is wanted of it: the kernel reports hang-ups
 * even to those who want nothing, and a paused stream must not spin.
 *
 * O_NONBLOCK belongs to the open file description, which standard input shares with the shell that started us: setting
 * it there would outlive us and break the shell. So a new description is opened through /proc where that is possible.
 *
 * A guest decides only what bytes are written.
 */
#include "chardev/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define STREAM_CHUNK_BYTES      1024
#define STREAM_CHUNK_MAY_BLOCK  256
#define STREAM_DRAIN_TIMEOUT_MS 500

int stream_end_from_shared(int fd, bool for_input, struct stream_end *end, struct error **err)
{
    char path[32];
    struct stat st;
    int own;

    if (fstat(fd, &st) != 0) {
        return error_set(err, -errno, "standard %s is closed", for_input ? "input" : "output");
    }
    if (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        own = open(path, (for_input ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (own >= 0) {
            *end = (struct stream_end){.fd = own};
            return 0;
        }
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) {
        return error_set(err, -errno, "can't duplicate standard %s: %s", for_input ? "input" : "output",
                         strerror(errno));
    }
    *end = (struct stream_end){.fd = own, .may_block = !S_ISREG(st.st_mode)};
    return 0;
}

static void stream_in_event(void *opaque, uint32_t events);
static void stream_out_event(void *opaque, uint32_t events);
static void stream_read(struct stream *stream);

static bool is_one_fd(const struct stream *stream)
{
    return stream->in.fd >= 0 && stream->in.fd == stream->out.fd;
}

/* Makes *watch hear exactly `events`; 0 removes it. False if epoll can't wait for the descriptor. */
static bool stream_watch(struct stream *stream, struct fd_watch **watch, int fd, uint32_t events, fd_watch_fn *fn)
{
    if (*watch && events != 0) {
        fd_watch_set_events(*watch, events);
    } else if (*watch) {
        fd_watch_remove(*watch);
        *watch = NULL;
    } else if (events != 0) {
        *watch = event_loop_add_fd(stream->chardev->env.loop, fd, events, fn, stream, NULL);
        return *watch != NULL;
    }
    return true;
}

static void stream_update(struct stream *stream)
{
    bool in = stream->in_wanted && !stream->in_ended && stream->in.fd >= 0;
    bool out = stream->out_wanted && stream->out.fd >= 0;

    if (is_one_fd(stream)) {
        stream_watch(stream, &stream->in_watch, stream->in.fd, (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u),
                     stream_in_event);
        return;
    }
    if (in && stream->in.always_ready) {
        bh_schedule(&stream->read_bh);
    } else if (stream->in.fd >= 0 && !stream->in.always_ready &&
               !stream_watch(stream, &stream->in_watch, stream->in.fd, in ? EPOLLIN : 0, stream_in_event)) {
        stream->in.always_ready = true;
        bh_schedule(&stream->read_bh);
    }
    if (stream->out.fd >= 0 && !stream->out.always_ready) {
        stream_watch(stream, &stream->out_watch, stream->out.fd, out ? EPOLLOUT : 0, stream_out_event);
    }
}

static void stream_end_reached(struct stream *stream)
{
    stream->in_ended = true;
    stream_update(stream);
    if (stream->ended) {
        stream->ended(stream);
    }
}

/* read(2); descriptors that come along are the chardev's then. */
static ssize_t stream_read_some(struct stream *stream, uint8_t *buffer, size_t len_bytes)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = len_bytes};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * CHARDEV_FDS_MAX)];
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t got;

    if (!stream->takes_fds) {
        return read(stream->in.fd, buffer, len_bytes);
    }
    got = recvmsg(stream->in.fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0) {
        return got;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            int fds[CHARDEV_FDS_MAX];
            size_t fds_bytes = MIN(header->cmsg_len - CMSG_LEN(0), sizeof(fds));

            memcpy(fds, CMSG_DATA(header), fds_bytes);
            chardev_feed_fds(stream->chardev, fds, fds_bytes / sizeof(int));
        }
    }
    return got;
}

static void stream_feed(struct stream *stream, uint8_t *bytes, size_t len_bytes)
{
    unsigned breaks = 0;

    if (stream->telnet) {
        len_bytes = telnet_filter(stream->telnet, bytes, len_bytes, &breaks);
    }
    if (len_bytes > 0) {
        chardev_feed(stream->chardev, bytes, len_bytes);
    }
    for (; breaks > 0; breaks--) {
        chardev_send_event(stream->chardev, CHARDEV_BREAK);
    }
}

static void stream_read(struct stream *stream)
{
    uint8_t buffer[STREAM_CHUNK_BYTES];
    size_t room = chardev_in_room(stream->chardev);
    ssize_t got;

    if (stream->in_ended || stream->in.fd < 0) {
        return;
    }
    if (room == 0) {
        stream->in_wanted = false;
        stream_update(stream);
        return;
    }
    got = stream_read_some(stream, buffer, MIN(room, sizeof(buffer)));
    if (got > 0) {
        stream_feed(stream, buffer, (size_t)got);
        if (stream->in.always_ready) {
            bh_schedule(&stream->read_bh);
        }
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        stream_end_reached(stream);
    }
}

static void stream_read_bh(void *opaque)
{
    stream_read(opaque);
}

static void stream_in_event(void *opaque, uint32_t events)
{
    struct stream *stream = opaque;

    if (is_one_fd(stream) && (events & EPOLLOUT)) {
        stream_flush(stream);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        stream_read(stream);
    }
}

static void stream_out_event(void *opaque, uint32_t events)
{
    stream_flush(opaque);
}

static ssize_t stream_write_some(struct stream *stream, const uint8_t *bytes, size_t count)
{
    struct pollfd ready = {.fd = stream->out.fd, .events = POLLOUT};
    ssize_t put;

    if (stream->out.may_block) {
        count = MIN(count, (size_t)STREAM_CHUNK_MAY_BLOCK);
        if (poll(&ready, 1, 0) == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    if (stream->telnet) {
        return telnet_send(stream->telnet, stream->out.fd, bytes, count);
    }
    put = send(stream->out.fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == ENOTSOCK) {
        put = write(stream->out.fd, bytes, count);
    }
    return put;
}

void stream_flush(struct stream *stream)
{
    const uint8_t *bytes;
    size_t count;
    ssize_t put = 0;

    if (stream->out.fd < 0) {
        return;
    }
    while ((count = chardev_out_peek(stream->chardev, &bytes)) > 0) {
        put = stream_write_some(stream, bytes, count);
        if (put <= 0) {
            break;
        }
        chardev_out_consume(stream->chardev, (size_t)put);
    }
    if (count > 0 && put < 0 && errno != EAGAIN && errno != EINTR) {
        if (errno != EPIPE && errno != ECONNRESET) { /* the other side has gone: that is no failure */
            log_warn("chardev '%s': can't write: %s", stream->chardev->id, strerror(errno));
        }
        chardev_set_connected(stream->chardev, false);
        if (stream->ended) {
            stream->ended(stream);
        }
        return;
    }
    stream->out_wanted = count > 0;
    stream_update(stream);
}

void stream_resume(struct stream *stream)
{
    stream->in_wanted = true;
    stream_update(stream);
}

void stream_init(struct stream *stream, struct chardev *chardev, void (*ended)(struct stream *stream))
{
    *stream = (struct stream){.chardev = chardev, .in.fd = -1, .out.fd = -1, .ended = ended};
    bh_init(&stream->read_bh, chardev->env.loop, stream_read_bh, stream);
}

int stream_start(struct stream *stream, struct stream_end in, struct stream_end out, struct error **err)
{
    stream->in = in;
    stream->out = out;
    stream->in_ended = false;
    stream->in_wanted = in.fd >= 0;
    stream->out_wanted = false;
    stream_update(stream);
    if (is_one_fd(stream) && !stream->in_watch) {
        stream_stop(stream, false);
        return error_set(err, -EMFILE, "the event loop can't watch it");
    }
    return 0;
}

/* At the end of a chardev's life only: the loop is given up for at most STREAM_DRAIN_TIMEOUT_MS. */
static void stream_drain(struct stream *stream)
{
    struct pollfd ready = {.fd = stream->out.fd, .events = POLLOUT};
    const uint8_t *bytes;

    stream_flush(stream);
    while (stream->out.fd >= 0 && chardev_out_peek(stream->chardev, &bytes) > 0) {
        if (poll(&ready, 1, STREAM_DRAIN_TIMEOUT_MS) <= 0) {
            return;
        }
        stream_flush(stream);
    }
}

void stream_stop(struct stream *stream, bool drain)
{
    if (drain && stream->out.fd >= 0) {
        stream->ended = NULL;
        stream_drain(stream);
    }
    fd_watch_remove(stream->in_watch);
    fd_watch_remove(stream->out_watch);
    stream->in_watch = stream->out_watch = NULL;
    bh_cancel(&stream->read_bh);
    if (stream->out.fd >= 0 && stream->out.fd != stream->in.fd) {
        close(stream->out.fd);
    }
    if (stream->in.fd >= 0) {
        close(stream->in.fd);
    }
    stream->in.fd = stream->out.fd = -1;
}

void stream_destroy(struct stream *stream)
{
    stream_stop(stream, true);
    bh_destroy(&stream->read_bh);
}
