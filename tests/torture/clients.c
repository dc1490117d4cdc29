/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of the chardevs' sockets: somebody who calls, talks, listens a little and hangs up, whenever he likes.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

void torture_socket_path(const struct torture *torture, unsigned n, char *path, size_t len_bytes)
{
    snprintf(path, len_bytes, "%s/socket%u", torture->folder, n);
}

int torture_call(const struct torture *torture, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int client_call(const struct torture *torture, unsigned n)
{
    char path[80];

    torture_socket_path(torture, n, path, sizeof(path));
    return torture_call(torture, path);
}

static void client_talk(struct clients *clients, int fd)
{
    uint8_t bytes[256];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)actor_random(&clients->actor);
    }
    if (actor_chance(&clients->actor, 2)) {
        (void)send(fd, bytes, 1 + actor_below(&clients->actor, sizeof(bytes)), MSG_NOSIGNAL);
    }
    if (actor_chance(&clients->actor, 2)) {
        (void)recv(fd, bytes, sizeof(bytes), 0);
    }
}

void clients_run(void *opaque)
{
    struct clients *clients = opaque;
    int fds[TORTURE_SOCKETS] = {-1, -1, -1, -1};

    while (!atomic_load(&clients->torture->over)) {
        unsigned n;

        actor_step(&clients->actor);
        actor_does(&clients->actor, "sockets");
        n = (unsigned)actor_below(&clients->actor, TORTURE_SOCKETS);
        if (fds[n] < 0) {
            fds[n] = client_call(clients->torture, n);
        } else if (actor_chance(&clients->actor, 16)) {
            close(fds[n]);
            fds[n] = -1;
        } else {
            client_talk(clients, fds[n]);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (unsigned i = 0; i < TORTURE_SOCKETS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    atomic_store(&clients->actor.is_waiting, true);
}
