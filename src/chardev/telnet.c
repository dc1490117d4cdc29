/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telnet on a stream of bytes.
 *
 *     DATA -- IAC --> COMMAND -- WILL/WONT/DO/DONT --> OPTION -- any --> DATA
 *      ^                 |  \-- SB --> SUB -- IAC --> SUB_COMMAND -- SE --> DATA
 *      +-- IAC, others --+              ^----- others -----+
 *
 * Answers to our requests are not looked at: a client that refuses them still works, a line at a time. What a client
 * sends changes nothing but these states.
 */
#include "chardev/telnet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 854, "Telnet command structure". */
enum {
    TELNET_SE = 240,
    TELNET_BREAK = 243,
    TELNET_SB = 250,
    TELNET_WILL = 251,
    TELNET_DO = 253,
    TELNET_DONT = 254,
    TELNET_IAC = 255,
};
enum { TELNET_OPTION_BINARY = 0, TELNET_OPTION_ECHO = 1, TELNET_OPTION_SUPPRESS_GO_AHEAD = 3 };

void telnet_greet(struct telnet *telnet, int fd)
{
    static const uint8_t greeting[] = {
        TELNET_IAC, TELNET_WILL, TELNET_OPTION_ECHO,   TELNET_IAC, TELNET_WILL, TELNET_OPTION_SUPPRESS_GO_AHEAD,
        TELNET_IAC, TELNET_WILL, TELNET_OPTION_BINARY, TELNET_IAC, TELNET_DO,   TELNET_OPTION_BINARY,
    };

    *telnet = (struct telnet){.state = TELNET_DATA};
    /* The first bytes of a connection find room; if they didn't, a client would be in line mode. */
    (void)!send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The byte after IAC. True if it is a byte of data. */
static bool telnet_command(struct telnet *telnet, uint8_t byte, unsigned *breaks)
{
    telnet->state = TELNET_DATA;
    if (byte >= TELNET_WILL && byte <= TELNET_DONT) {
        telnet->state = TELNET_OPTION;
    } else if (byte == TELNET_SB) {
        telnet->state = TELNET_SUB;
    } else if (byte == TELNET_BREAK) {
        ++*breaks;
    }
    return byte == TELNET_IAC;
}

/* True if it is a byte of data. */
static bool telnet_byte(struct telnet *telnet, uint8_t byte, unsigned *breaks)
{
    switch (telnet->state) {
    case TELNET_COMMAND:
        return telnet_command(telnet, byte, breaks);
    case TELNET_OPTION:
        telnet->state = TELNET_DATA;
        return false;
    case TELNET_SUB:
        telnet->state = byte == TELNET_IAC ? TELNET_SUB_COMMAND : TELNET_SUB;
        return false;
    case TELNET_SUB_COMMAND:
        telnet->state = byte == TELNET_SE ? TELNET_DATA : TELNET_SUB;
        return false;
    default:
        telnet->state = byte == TELNET_IAC ? TELNET_COMMAND : TELNET_DATA;
        return byte != TELNET_IAC;
    }
}

size_t telnet_filter(struct telnet *telnet, uint8_t *bytes, size_t len_bytes, unsigned *breaks)
{
    size_t kept = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        if (telnet_byte(telnet, bytes[i], breaks)) {
            bytes[kept++] = bytes[i];
        }
    }
    return kept;
}

ssize_t telnet_send(struct telnet *telnet, int fd, const uint8_t *bytes, size_t len_bytes)
{
    static const uint8_t doubled[] = {TELNET_IAC, TELNET_IAC};
    const uint8_t *iac = memchr(bytes, TELNET_IAC, len_bytes);
    ssize_t put;

    if (iac != bytes) {
        return send(fd, bytes, iac ? (size_t)(iac - bytes) : len_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    put = send(fd, doubled, telnet->half_sent ? 1 : 2, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put == 1 && !telnet->half_sent) {
        telnet->half_sent = true;
        errno = EAGAIN;
        return -1;
    }
    if (put > 0) {
        telnet->half_sent = false;
    }
    return put > 0 ? 1 : put;
}
