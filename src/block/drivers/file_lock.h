/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks on image files against other virtual machines. */
#ifndef HDL_BLOCK_DRIVERS_FILE_LOCK_H
#define HDL_BLOCK_DRIVERS_FILE_LOCK_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Says on the open file fd that we read it, and write it if `writes`, and that nobody else may write it; both until fd
 * is closed. -EBUSY, with an error that names path, if somebody else says what contradicts it. -ENOTSUP, without one,
 * where the file system has no such locks. Doesn't wait. Understood by QEMU and qemu-img, and the reverse.
 */
int file_lock(int fd, const char *path, bool writes, struct error **err);

#endif
