/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Telnet protocol (RFC 854, 856, 857, 858), as much as puts a telnet client into character mode: commands in what
 * comes are taken out, a data byte 255 that goes is doubled. Loop thread.
 */
#ifndef HDL_CHARDEV_TELNET_H
#define HDL_CHARDEV_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum telnet_state { TELNET_DATA, TELNET_COMMAND, TELNET_OPTION, TELNET_SUB, TELNET_SUB_COMMAND };

/* All zero: nothing has come yet. */
struct telnet {
    enum telnet_state state;
    bool half_sent; /* the first of two bytes 255 has gone */
};

/* For a new connection: asks the other side not to echo or to wait for lines, and to send all bytes as they are. */
void telnet_greet(struct telnet *telnet, int fd);
/* Takes the commands out of what came, in place. Returns how many bytes of data are left. *breaks: BREAKs are added. */
size_t telnet_filter(struct telnet *telnet, uint8_t *bytes, size_t len_bytes, unsigned *breaks);
/* As send(2), without blocking. Returns how many of the data bytes have gone; -1 and errno: none. */
ssize_t telnet_send(struct telnet *telnet, int fd, const uint8_t *bytes, size_t len_bytes);

#endif
