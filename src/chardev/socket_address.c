/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of Unix and TCP sockets, and sockets made from them or inherited. No state. What goes in was typed by an
 * operator or set up by the process that started this one.
 */
#include "chardev/socket_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/options.h"

#define SOCKET_BACKLOG 1 /* one client is served at a time */

/* --- addresses -------------------------------------------------------------------------------------------------- */

/* unix(7): an abstract name begins with a zero byte, and all of its length counts. */
static int socket_find_unix(struct socket_addresses *addresses, const struct socket_place *place, struct error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len_bytes = strlen(place->path);
    size_t lead = place->is_abstract ? 1 : 0;

    if (len_bytes + 1 > sizeof(address.sun_path)) {
        return error_set(err, -ENAMETOOLONG, "socket path '%s' is longer than %zu bytes", place->path,
                         sizeof(address.sun_path) - 1);
    }
    addresses->items = calloc(1, sizeof(*addresses->items));
    if (!addresses->items) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    memcpy(address.sun_path + lead, place->path, len_bytes);
    memcpy(&addresses->items[0].bytes, &address, sizeof(address));
    addresses->items[0].len_bytes =
        (socklen_t)(place->is_abstract && place->is_tight ? offsetof(struct sockaddr_un, sun_path) + lead + len_bytes
                                                          : sizeof(address));
    addresses->count = 1;
    return 0;
}

/* Both or neither: what there is. One alone, or the other refused: that one. */
static int socket_family(const struct socket_place *place)
{
    bool v4 = place->ipv4 == OPT_ON || (place->ipv4 == OPT_AUTO && place->ipv6 != OPT_ON);
    bool v6 = place->ipv6 == OPT_ON || (place->ipv6 == OPT_AUTO && place->ipv4 != OPT_ON);

    return v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
}

static int socket_find_tcp(struct socket_addresses *addresses, const struct socket_place *place, struct error **err)
{
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_family = socket_family(place), .ai_flags = place->for_server ? AI_PASSIVE : 0};
    const char *host = place->host && *place->host ? place->host : NULL;
    struct addrinfo *list;
    int ret = getaddrinfo(host, place->port, &hints, &list);

    if (ret != 0) {
        return error_set(err, -EINVAL, "can't look up '%s:%s': %s", host ? host : "", place->port, gai_strerror(ret));
    }
    for (struct addrinfo *info = list; info; info = info->ai_next) {
        addresses->count++;
    }
    addresses->items = calloc(addresses->count, sizeof(*addresses->items));
    if (!addresses->items) {
        addresses->count = 0;
        freeaddrinfo(list);
        return error_set(err, -ENOMEM, "out of memory");
    }
    addresses->count = 0;
    for (struct addrinfo *info = list; info; info = info->ai_next) {
        struct socket_address *address = &addresses->items[addresses->count++];

        memcpy(&address->bytes, info->ai_addr, info->ai_addrlen);
        address->len_bytes = info->ai_addrlen;
    }
    freeaddrinfo(list);
    return 0;
}

int socket_addresses_find(struct socket_addresses *addresses, const struct socket_place *place, struct error **err)
{
    *addresses = (struct socket_addresses){0};
    return place->path ? socket_find_unix(addresses, place, err) : socket_find_tcp(addresses, place, err);
}

void socket_addresses_release(struct socket_addresses *addresses)
{
    free(addresses->items);
    *addresses = (struct socket_addresses){0};
}

/* --- sockets ---------------------------------------------------------------------------------------------------- */

static int socket_new(const struct socket_address *address, int flags)
{
    int fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    return fd < 0 ? -errno : fd;
}

/* What an earlier run left behind is a socket that nobody listens on; anything else isn't ours to remove. */
static void socket_clear_path(const struct socket_address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->bytes;
    struct stat st;

    if (name->sun_family == AF_UNIX && name->sun_path[0] != '\0' && lstat(name->sun_path, &st) == 0 &&
        S_ISSOCK(st.st_mode)) {
        unlink(name->sun_path);
    }
}

static int socket_listen_try(const struct socket_address *address)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->bytes;
    int fd = socket_new(address, 0);
    int on = 1;
    int ret;

    if (fd < 0) {
        return fd;
    }
    if (name->sa_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    socket_clear_path(address);
    if (bind(fd, name, address->len_bytes) == 0 && listen(fd, SOCKET_BACKLOG) == 0) {
        return fd;
    }
    ret = -errno;
    close(fd);
    return ret;
}

int socket_listen_at(const struct socket_addresses *addresses)
{
    int ret = -EADDRNOTAVAIL;

    for (size_t i = 0; i < addresses->count && ret < 0; i++) {
        ret = socket_listen_try(&addresses->items[i]);
    }
    return ret;
}

int socket_connect_begin(const struct socket_address *address, bool *is_pending)
{
    int fd = socket_new(address, SOCK_NONBLOCK);
    int ret = 0;

    *is_pending = false;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->bytes, address->len_bytes) != 0) {
        ret = -errno;
        *is_pending = ret == -EINPROGRESS;
        if (!*is_pending) {
            close(fd);
            return ret;
        }
    }
    return fd;
}

int socket_connect_to(const struct socket_addresses *addresses)
{
    int ret = -EADDRNOTAVAIL;

    for (size_t i = 0; i < addresses->count && ret < 0; i++) {
        const struct socket_address *address = &addresses->items[i];
        int fd = socket_new(address, 0);

        ret = fd;
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->bytes, address->len_bytes) != 0) {
            ret = -errno;
            close(fd);
        }
    }
    return ret;
}

int socket_inherit(const char *number, bool for_server, struct error **err)
{
    uint64_t value;
    int type, listens;
    socklen_t len_bytes = sizeof(int);
    int fd;

    if (parse_uint(number, &value) < 0 || value > INT32_MAX) {
        return error_set(err, -EINVAL, "fd='%s' isn't the number of an open descriptor", number);
    }
    fd = (int)value;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len_bytes) != 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len_bytes) != 0) {
        return error_set(err, -ENOTSOCK, "fd=%d isn't an open stream socket", fd);
    }
    if (for_server && !listens && listen(fd, SOCKET_BACKLOG) != 0) {
        return error_set(err, -errno, "fd=%d doesn't listen, and can't be made to: %s", fd, strerror(errno));
    }
    if (!for_server && listens) {
        return error_set(err, -EINVAL, "fd=%d is a listening socket: that needs server=on", fd);
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* --- for people ------------------------------------------------------------------------------------------------- */

static char *socket_describe_unix(const struct sockaddr_un *address, socklen_t len_bytes)
{
    size_t path_bytes = len_bytes > offsetof(struct sockaddr_un, sun_path)
                            ? (size_t)len_bytes - offsetof(struct sockaddr_un, sun_path)
                            : 0;
    bool is_abstract = path_bytes > 0 && address->sun_path[0] == '\0';
    char *text;

    if (is_abstract) {
        path_bytes = strnlen(address->sun_path + 1, path_bytes - 1);
    }
    return asprintf(&text, "unix:%.*s%s", (int)path_bytes, address->sun_path + (is_abstract ? 1 : 0),
                    is_abstract ? ",abstract=on" : "") < 0
               ? NULL
               : text;
}

char *socket_describe(int fd, bool of_peer, const char *tcp_name)
{
    struct sockaddr_storage address = {0};
    struct sockaddr *name = (struct sockaddr *)&address;
    socklen_t len_bytes = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    char *text;

    if ((of_peer ? getpeername(fd, name, &len_bytes) : getsockname(fd, name, &len_bytes)) != 0) {
        return NULL;
    }
    if (name->sa_family == AF_UNIX) {
        return socket_describe_unix((struct sockaddr_un *)&address, len_bytes);
    }
    if (getnameinfo(name, len_bytes, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return NULL;
    }
    return asprintf(&text, name->sa_family == AF_INET6 ? "%s:[%s]:%s" : "%s:%s:%s", tcp_name, host, port) < 0 ? NULL
                                                                                                              : text;
}
