/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `socket`: a Unix (path=) or TCP (host=, port=) socket, as a server (server=on; wait=off doesn't wait for the first
 * client) or as a client.
 *
 *     server: listening ----- accept -----> connected ----- the client goes -----> listening
 *     client:                               connected ----- the server goes -----> disconnected, for good
 *
 * One client at a time: the others wait in the kernel's backlog. While nobody is connected, output is dropped. A client
 * is as trusted as one who sits at the terminal; it can do nothing but send bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "chardev/stream.h"

/* options: immutable after open. The rest: loop thread. */
struct chardev_socket {
    struct chardev chardev; /* first */
    char *path, *host, *port;
    bool server, wait, nodelay;
    int listen_fd; /* -1: a client */
    struct fd_watch *listen_watch;
    struct stream stream;
};

static const struct property socket_properties[] = {
    {.name = "path",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, path),
     .description = "a Unix socket's name"},
    {.name = "host",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, host),
     .description = "a TCP host name or address"},
    {.name = "port",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_socket, port),
     .description = "a TCP port number or service name"},
    {.name = "server",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, server),
     .description = "listen, rather than connect"},
    {.name = "wait",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, wait),
     .default_value = "on",
     .description = "a server waits for its first client before the machine starts"},
    {.name = "nodelay",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_socket, nodelay),
     .description = "TCP: send small packets at once"},
    {0},
};

static int socket_unix(struct chardev_socket *sock, struct error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int fd, ret;

    if (strlen(sock->path) >= sizeof(address.sun_path)) {
        return error_set(err, -ENAMETOOLONG, "socket path '%s' is longer than %zu bytes", sock->path,
                         sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, sock->path, strlen(sock->path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
    }
    /* What an earlier run left behind is a socket that nobody listens on; anything else isn't ours to remove. */
    if (sock->server && lstat(sock->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(sock->path);
    }
    ret = sock->server ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                       : connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (ret != 0) {
        ret = error_set(err, -errno, "can't %s '%s': %s", sock->server ? "bind to" : "connect to", sock->path,
                        strerror(errno));
        close(fd);
        return ret;
    }
    return fd;
}

static int socket_tcp_try(struct chardev_socket *sock, const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ret;

    if (fd < 0) {
        return -errno;
    }
    if (sock->server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        ret = bind(fd, info->ai_addr, info->ai_addrlen);
    } else {
        ret = connect(fd, info->ai_addr, info->ai_addrlen);
    }
    if (ret != 0) {
        ret = -errno;
        close(fd);
        return ret;
    }
    return fd;
}

static int socket_tcp(struct chardev_socket *sock, struct error **err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = sock->server ? AI_PASSIVE : 0};
    const char *host = sock->host && *sock->host ? sock->host : NULL;
    struct addrinfo *list;
    int ret = getaddrinfo(host, sock->port, &hints, &list);

    if (ret != 0) {
        return error_set(err, -EINVAL, "can't look up '%s:%s': %s", host ? host : "", sock->port, gai_strerror(ret));
    }
    ret = -EADDRNOTAVAIL;
    for (struct addrinfo *info = list; info && ret < 0; info = info->ai_next) {
        ret = socket_tcp_try(sock, info);
    }
    freeaddrinfo(list);
    if (ret < 0) {
        error_set(err, ret, "can't %s '%s:%s': %s", sock->server ? "bind to" : "connect to", host ? host : "",
                  sock->port, strerror(-ret));
    }
    return ret;
}

static void socket_accept(void *opaque, uint32_t events);

static void socket_listen_again(struct chardev_socket *sock)
{
    sock->listen_watch = event_loop_add_fd(sock->chardev.env.loop, sock->listen_fd, EPOLLIN, socket_accept, sock, NULL);
    if (!sock->listen_watch) {
        log_warn("chardev '%s': can't listen any more", sock->chardev.id);
    }
}

/* fd becomes the stream's. */
static int socket_connected(struct chardev_socket *sock, int fd, struct error **err)
{
    struct stream_end end = {.fd = fd};
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
    ret = stream_start(&sock->stream, end, end, err);
    if (ret == 0) {
        chardev_set_connected(&sock->chardev, true);
    }
    return ret;
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

static void socket_ended(struct stream *stream)
{
    struct chardev_socket *sock = container_of(stream, struct chardev_socket, stream);

    stream_stop(stream, false);
    chardev_set_connected(&sock->chardev, false);
    if (sock->listen_fd >= 0) {
        socket_listen_again(sock);
    }
}

static int socket_serve(struct chardev_socket *sock, int fd, struct error **err)
{
    struct pollfd first = {.fd = fd, .events = POLLIN};
    int client;

    if (listen(fd, 1) != 0) {
        return error_set(err, -errno, "can't listen: %s", strerror(errno));
    }
    sock->listen_fd = fd;
    if (!sock->wait) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        socket_listen_again(sock);
        return 0;
    }
    log_info("chardev '%s' waits for a connection to %s", sock->chardev.id, chardev_where(&sock->chardev));
    do {
        client = poll(&first, 1, -1) > 0 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    } while (client < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED));
    if (client < 0) {
        sock->listen_fd = -1;
        return error_set(err, -errno, "can't accept a connection: %s", strerror(errno));
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return socket_connected(sock, client, err);
}

static int socket_open(struct chardev *chardev, struct error **err)
{
    struct chardev_socket *sock = container_of(chardev, struct chardev_socket, chardev);
    int fd, ret;

    sock->listen_fd = -1;
    if (!sock->path == !sock->port) {
        return error_set(err, -EINVAL, "backend 'socket' needs either path= or port=");
    }
    fd = sock->path ? socket_unix(sock, err) : socket_tcp(sock, err);
    if (fd < 0) {
        return fd;
    }
    if (asprintf(&chardev->where, "%s:%s%s%s%s", sock->path ? "unix" : "tcp",
                 sock->path ? sock->path : (sock->host ? sock->host : ""), sock->path ? "" : ":",
                 sock->path ? "" : sock->port, sock->server ? ",server=on" : "") < 0) {
        chardev->where = NULL;
    }
    stream_init(&sock->stream, chardev, socket_ended);
    if (!sock->server) {
        return socket_connected(sock, fd, err);
    }
    ret = socket_serve(sock, fd, err);
    if (ret != 0) {
        close(fd);
    }
    return ret;
}

static void socket_close(struct chardev *chardev)
{
    struct chardev_socket *sock = container_of(chardev, struct chardev_socket, chardev);

    fd_watch_remove(sock->listen_watch);
    stream_destroy(&sock->stream);
    if (sock->listen_fd >= 0) {
        close(sock->listen_fd);
        if (sock->path) {
            unlink(sock->path);
        }
    }
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
    .description = "a Unix or TCP socket",
    .size_bytes = sizeof(struct chardev_socket),
    .properties = socket_properties,
    .open = socket_open,
    .close = socket_close,
    .flush = socket_flush,
    .resume = socket_resume,
};
