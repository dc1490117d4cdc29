/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `socket`: a Unix (path=) or TCP (host=, port=) socket, or one that this process was started with (fd=); a server
 * (server=on; wait=off doesn't wait for the first client) or a client. telnet=on speaks Telnet on it.
 *
 *     server: listening ----- accept -----> connected ----- the client goes -----> listening
 *     client:                               connected ----- the server goes -----> disconnected, for good
 *     client with reconnect=S:
 *             waiting (S seconds) --> connecting --> connected -- the server goes --> waiting
 *                ^------- refused -------+
 *
 * A client that reconnects doesn't wait for the first connection either, and looks names up once. One client of a
 * server at a time: the others wait in the kernel's backlog. While nobody is connected, output is dropped. A client is
 * as trusted as one who sits at the terminal; it can do nothing but send bytes, and descriptors over a Unix socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "chardev/socket_address.h"
#include "chardev/stream.h"

/* options, addresses, unlink_path: immutable after open. The rest: loop thread. */
struct chardev_socket {
    struct chardev chardev; /* first */
    char *path, *host, *port, *fd;
    bool server, wait, nodelay, telnet_on, is_abstract, is_tight;
    uint32_t reconnect_s;
    enum on_off_auto ipv4, ipv6;
    struct socket_addresses addresses;
    char *unlink_path; /* absolute: what a server made, or NULL */
    int listen_fd;     /* -1: a client */
    struct fd_watch *listen_watch;
    int connect_fd; /* -1: none is on its way */
    struct fd_watch *connect_watch;
    size_t connect_next; /* which address is tried next */
    struct timer retry;  /* reconnect_s > 0 */
    struct telnet telnet;
    struct stream stream;
};

static const struct property socket_properties[] = {
    {.name = "path",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, path),
     .description = "a Unix socket's name"},
    {.name = "abstract",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, is_abstract),
     .description = "the name is in Linux's own space of names, not a file's"},
    {.name = "tight",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, is_tight),
     .default_value = "on",
     .description = "such a name is no longer than it looks"},
    {.name = "host",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, host),
     .description = "a TCP host name or address"},
    {.name = "port",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, port),
     .description = "a TCP port number or service name"},
    {.name = "ipv4",
     .type = PROPERTY_ON_OFF_AUTO,
     .offset = offsetof(struct chardev_socket, ipv4),
     .default_value = "auto",
     .description = "TCP: only IPv4, or none of it"},
    {.name = "ipv6",
     .type = PROPERTY_ON_OFF_AUTO,
     .offset = offsetof(struct chardev_socket, ipv6),
     .default_value = "auto",
     .description = "TCP: only IPv6, or none of it"},
    {.name = "fd",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, fd),
     .description = "the number of a socket that heddle was started with"},
    {.name = "server",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, server),
     .description = "listen, rather than connect"},
    {.name = "wait",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, wait),
     .default_value = "on",
     .description = "a server waits for its first client before the machine starts"},
    {.name = "reconnect",
     .type = PROPERTY_U32,
     .offset = offsetof(struct chardev_socket, reconnect_s),
     .default_value = "0",
     .description = "a client tries again after so many seconds; 0: never"},
    {.name = "telnet",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, telnet_on),
     .description = "speak Telnet"},
    {.name = "nodelay",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, nodelay),
     .description = "TCP: send small packets at once"},
    {0},
};

/* fd becomes the stream's. */
static int socket_connected(struct chardev_socket *sock, int fd, struct error **err)
{
    struct stream_end end = {.fd = fd};
    struct sockaddr_storage address;
    socklen_t len_bytes = sizeof(address);
    int on = 1;
    int ret;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        ret = error_set(err, -errno, "can't make the socket non-blocking: %s", strerror(errno));
        close(fd);
        return ret;
    }
    if (sock->nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    sock->stream.takes_fds =
        getsockname(fd, (struct sockaddr *)&address, &len_bytes) == 0 && address.ss_family == AF_UNIX;
    if (sock->telnet_on) {
        sock->stream.telnet = &sock->telnet;
        telnet_greet(&sock->telnet, fd);
    }
    ret = stream_start(&sock->stream, end, end, err);
    if (ret == 0) {
        chardev_set_connected(&sock->chardev, true);
    }
    return ret;
}

/* --- servers ---------------------------------------------------------------------------------------------------- */

static void socket_accept(void *opaque, uint32_t events);

static void socket_listen_again(struct chardev_socket *sock)
{
    sock->listen_watch = event_loop_add_fd(sock->chardev.env.loop, sock->listen_fd, EPOLLIN, socket_accept, sock, NULL);
    if (!sock->listen_watch) {
        log_warn("chardev '%s': can't listen any more", sock->chardev.id);
    }
}

static void socket_accept(void *opaque, uint32_t events)
{
    struct chardev_socket *sock = opaque;
    int fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        return;
    }
    fd_watch_remove(sock->listen_watch);
    sock->listen_watch = NULL;
    if (socket_connected(sock, fd, NULL) != 0) {
        socket_listen_again(sock);
    }
}

/* The configuration thread waits here, for as long as it takes. */
static int socket_wait_first(struct chardev_socket *sock, struct error **err)
{
    struct pollfd first = {.fd = sock->listen_fd, .events = POLLIN};
    int client;

    log_info("chardev '%s' waits for a connection to %s", sock->chardev.id, chardev_where(&sock->chardev));
    do {
        client = poll(&first, 1, -1) > 0 ? accept4(first.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    } while (client < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED));
    if (client < 0) {
        return error_set(err, -errno, "can't accept a connection: %s", strerror(errno));
    }
    return socket_connected(sock, client, err);
}

static int socket_serve(struct chardev_socket *sock, struct error **err)
{
    int ret;

    if (sock->path && !sock->is_abstract) {
        sock->unlink_path = path_absolute(sock->path);
    }
    fcntl(sock->listen_fd, F_SETFL, O_NONBLOCK);
    if (!sock->wait) {
        socket_listen_again(sock);
        return 0;
    }
    ret = socket_wait_first(sock, err);
    if (ret != 0 && sock->unlink_path) {
        unlink(sock->unlink_path);
    }
    return ret;
}

/* --- clients that try again ------------------------------------------------------------------------------------- */

static void socket_retry_later(struct chardev_socket *sock)
{
    timer_arm(&sock->retry, clock_now_ns(sock->chardev.env.clock) + sock->reconnect_s * NS_PER_SEC);
}

static void socket_connect_ended(void *opaque, uint32_t events)
{
    struct chardev_socket *sock = opaque;
    int fd = sock->connect_fd;
    int code = 0;
    socklen_t len_bytes = sizeof(code);

    fd_watch_remove(sock->connect_watch);
    sock->connect_watch = NULL;
    sock->connect_fd = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len_bytes) != 0 || code != 0) {
        trace(CHARDEV_IO, "%s: can't connect: %s", sock->chardev.id, strerror(code));
        close(fd);
        socket_retry_later(sock);
    } else if (socket_connected(sock, fd, NULL) != 0) {
        socket_retry_later(sock);
    }
}

/* One address a time, so that each gets its turn. */
static void socket_try(void *opaque)
{
    struct chardev_socket *sock = opaque;
    bool is_pending;
    int fd = socket_connect_begin(&sock->addresses.items[sock->connect_next], &is_pending);

    sock->connect_next = (sock->connect_next + 1) % sock->addresses.count;
    if (fd >= 0 && is_pending) {
        sock->connect_fd = fd;
        sock->connect_watch = event_loop_add_fd(sock->chardev.env.loop, fd, EPOLLOUT, socket_connect_ended, sock, NULL);
        if (sock->connect_watch) {
            return;
        }
        sock->connect_fd = -1;
        close(fd);
        fd = -EMFILE;
    }
    if (fd < 0 || socket_connected(sock, fd, NULL) != 0) {
        socket_retry_later(sock);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void socket_ended(struct stream *stream)
{
    struct chardev_socket *sock = container_of(stream, struct chardev_socket, stream);

    stream_stop(stream, false);
    chardev_set_connected(&sock->chardev, false);
    if (sock->listen_fd >= 0) {
        socket_listen_again(sock);
    } else if (sock->reconnect_s > 0) {
        socket_retry_later(sock);
    }
}

static int socket_check_options(const struct chardev_socket *sock, struct error **err)
{
    if (!!sock->path + !!sock->port + !!sock->fd != 1) {
        return error_set(err, -EINVAL, "backend 'socket' needs one of path=, port= and fd=");
    }
    if (sock->reconnect_s > 0 && (sock->server || sock->fd)) {
        return error_set(err, -EINVAL, "reconnect= is for a client with path= or port=");
    }
    if (sock->is_abstract && !sock->path) {
        return error_set(err, -EINVAL, "abstract= is for path=");
    }
    return 0;
}

/* A socket that listens, or is connected; -1: it will be. */
static int socket_make(struct chardev_socket *sock, int *fd, struct error **err)
{
    struct socket_place place = {.path = sock->path,
                                 .host = sock->host,
                                 .port = sock->port,
                                 .ipv4 = sock->ipv4,
                                 .ipv6 = sock->ipv6,
                                 .is_abstract = sock->is_abstract,
                                 .is_tight = sock->is_tight,
                                 .for_server = sock->server};
    int ret;

    *fd = -1;
    if (sock->fd) {
        *fd = socket_inherit(sock->fd, sock->server, err);
        return *fd < 0 ? *fd : 0;
    }
    ret = socket_addresses_find(&sock->addresses, &place, err);
    if (ret < 0 || sock->reconnect_s > 0) {
        return ret;
    }
    *fd = sock->server ? socket_listen_at(&sock->addresses) : socket_connect_to(&sock->addresses);
    if (*fd >= 0) {
        return 0;
    }
    ret = *fd;
    return error_set(err, ret, "can't %s '%s%s%s': %s", sock->server ? "bind to" : "connect to",
                     sock->path   ? sock->path
                     : sock->host ? sock->host
                                  : "",
                     sock->path ? "" : ":", sock->path ? "" : sock->port, strerror(-ret));
}

/* What people are told: where it listens, or what it is connected to. */
static char *socket_where(const struct chardev_socket *sock, int fd)
{
    const char *tcp_name = sock->telnet_on ? "telnet" : "tcp";
    HDL_AUTO_FREE char *place = fd >= 0 ? socket_describe(fd, !sock->server, tcp_name) : NULL;
    char *where;
    int ret;

    if (place) {
        ret = asprintf(&where, "%s%s", place, sock->server ? ",server=on" : "");
    } else if (sock->path) {
        ret = asprintf(&where, "unix:%s", sock->path);
    } else {
        ret = asprintf(&where, "%s:%s:%s", tcp_name, sock->host ? sock->host : "", sock->port ? sock->port : "");
    }
    return ret < 0 ? NULL : where;
}

static int socket_begin(struct chardev_socket *sock, int fd, struct error **err)
{
    int ret;

    sock->chardev.where = socket_where(sock, fd);
    if (sock->server) {
        sock->listen_fd = fd;
        ret = socket_serve(sock, err);
        if (ret != 0) {
            sock->listen_fd = -1;
            close(fd);
        }
        return ret;
    }
    if (sock->reconnect_s == 0) {
        return socket_connected(sock, fd, err);
    }
    if (timer_init(&sock->retry, sock->chardev.env.loop, sock->chardev.env.clock, socket_try, sock) != 0) {
        return error_set(err, -ENOSPC, "the event loop watches too many clocks");
    }
    socket_try(sock);
    return 0;
}

static int socket_open(struct chardev *chardev, struct error **err)
{
    struct chardev_socket *sock = container_of(chardev, struct chardev_socket, chardev);
    int fd;
    int ret = socket_check_options(sock, err);

    sock->listen_fd = sock->connect_fd = -1;
    stream_init(&sock->stream, chardev, socket_ended);
    if (ret == 0) {
        ret = socket_make(sock, &fd, err);
    }
    if (ret == 0) {
        ret = socket_begin(sock, fd, err);
    }
    if (ret != 0) {
        socket_addresses_release(&sock->addresses);
        free(sock->unlink_path);
        sock->unlink_path = NULL;
    }
    return ret;
}

static void socket_close(struct chardev *chardev)
{
    struct chardev_socket *sock = container_of(chardev, struct chardev_socket, chardev);

    fd_watch_remove(sock->listen_watch);
    fd_watch_remove(sock->connect_watch);
    if (sock->reconnect_s > 0) {
        timer_destroy(&sock->retry);
    }
    stream_destroy(&sock->stream);
    if (sock->connect_fd >= 0) {
        close(sock->connect_fd);
    }
    if (sock->listen_fd >= 0) {
        close(sock->listen_fd);
    }
    if (sock->unlink_path) {
        unlink(sock->unlink_path);
    }
    free(sock->unlink_path);
    socket_addresses_release(&sock->addresses);
}

static void socket_flush(struct chardev *chardev)
{
    stream_flush(&container_of(chardev, struct chardev_socket, chardev)->stream);
}

static void socket_resume(struct chardev *chardev)
{
    stream_resume(&container_of(chardev, struct chardev_socket, chardev)->stream);
}

const struct chardev_type chardev_socket_type = {
    .name = "socket",
    .description = "a Unix or TCP socket, made here or inherited",
    .size_bytes = sizeof(struct chardev_socket),
    .properties = socket_properties,
    .open = socket_open,
    .close = socket_close,
    .flush = socket_flush,
    .resume = socket_resume,
};
