/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where sockets are and how they are made, for the kind `socket`. Configuration thread, unless it says otherwise. */
#ifndef HDL_CHARDEV_SOCKET_ADDRESS_H
#define HDL_CHARDEV_SOCKET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"
#include "device/property.h"

struct socket_address {
    struct sockaddr_storage bytes;
    socklen_t len_bytes;
};

/* In the order in which they are tried. All zero is none. */
struct socket_addresses {
    struct socket_address *items;
    size_t count;
};

/* path is "unix"'s; else host (NULL or "": any) and port are TCP's. ipv4, ipv6: as QEMU's options of these names. */
struct socket_place {
    const char *path, *host, *port;
    enum on_off_auto ipv4, ipv6;
    bool is_abstract; /* the path is a name that no file stands for */
    bool is_tight;    /* ... and is as long as it says, not padded to the longest that there can be */
    bool for_server;
};

/* May ask name servers. */
int socket_addresses_find(struct socket_addresses *addresses, const struct socket_place *place, struct error **err);
void socket_addresses_release(struct socket_addresses *addresses);

/* A socket that listens at the first of the addresses that can be had; or a negative errno, without a message. */
int socket_listen_at(const struct socket_addresses *addresses);
/* A socket that is connected to the first that answers; or a negative errno, without a message. Blocks. */
int socket_connect_to(const struct socket_addresses *addresses);
/*
 * Any thread. A non-blocking socket that is connected, or on its way if *is_pending (it is writable when that has
 * ended, and SO_ERROR says how); or a negative errno.
 */
int socket_connect_begin(const struct socket_address *address, bool *is_pending);
/*
 * The descriptor of that number, which whoever started this process left open: a stream socket, listening if
 * for_server (a bound one is made to), else connected. It is the caller's from then on. Or a negative errno.
 */
int socket_inherit(const char *number, bool for_server, struct error **err);
/* "unix:/tmp/x" or "tcp:127.0.0.1:4444": where a socket is, or, if of_peer, what it is connected to. Owned; or NULL. */
char *socket_describe(int fd, bool of_peer, const char *tcp_name);

#endif
