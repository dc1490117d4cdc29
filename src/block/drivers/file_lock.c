/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image locks, by the convention of QEMU's file driver (as seen in /proc/locks): every lock is a shared lock of one
 * byte of the file, owned by the open file description (F_OFD_SETLK, fcntl(2)), so it ends with the descriptor even if
 * the process is killed. Two rows of bytes, one byte of each for every kind of use:
 *
 *   100 + use   "I do this"
 *   200 + use   "I don't let others do this"
 *
 * Shared locks never collide with each other. A holder states what it does and forbids, and then looks whether anybody
 * forbids what it does, or does what it forbids. Two who come at once may both give way, never both go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

#include "block/drivers/file_lock.h"

enum { BYTE_DOES = 100, BYTE_FORBIDS = 200 };
enum { USE_READ = 0, USE_WRITE = 1 };

static int set_lock(int fd, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 1 if somebody else holds the byte. */
static int is_locked(int fd, int byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        return -errno;
    }
    return lock.l_type != F_UNLCK;
}

static int state_ours(int fd, bool writes)
{
    int result = set_lock(fd, BYTE_DOES + USE_READ);

    if (result == 0 && writes) {
        result = set_lock(fd, BYTE_DOES + USE_WRITE);
    }
    return result == 0 ? set_lock(fd, BYTE_FORBIDS + USE_WRITE) : result;
}

static int refuse(const char *path, const char *does, struct error **err)
{
    return error_set(err, -EBUSY, "'%s' is in use: another process %s it (file.locking=off ignores that)", path, does);
}

int file_lock(int fd, const char *path, bool writes, struct error **err)
{
    int result = state_ours(fd, writes);
    int written, forbidden;

    if (result == -EAGAIN || result == -EACCES) {
        return refuse(path, "holds an exclusive lock on", err);
    }
    if (result < 0) {
        return -ENOTSUP;
    }
    written = is_locked(fd, BYTE_DOES + USE_WRITE);
    if (written > 0) {
        return refuse(path, "writes", err);
    }
    forbidden = is_locked(fd, BYTE_FORBIDS + USE_READ);
    if (forbidden == 0 && writes) {
        forbidden = is_locked(fd, BYTE_FORBIDS + USE_WRITE);
    }
    if (forbidden > 0) {
        return refuse(path, "has reserved", err);
    }
    return written < 0 || forbidden < 0 ? -ENOTSUP : 0;
}
