/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that a machine boots from. Kept open for as long as the machine lives, because a reset loads them again: a file
 * that is replaced meanwhile doesn't change what this machine boots.
 */
#ifndef HDL_MACHINE_BOOT_BOOT_FILE_H
#define HDL_MACHINE_BOOT_BOOT_FILE_H

#include <stdint.h>

#include "base/error.h"

/* Immutable once open. fd -1: not open. */
struct boot_file {
    const char *option; /* "-kernel": names it in messages */
    char *path;         /* owned */
    int fd;
    uint64_t size_bytes;
};

#define BOOT_FILE_MAX_BYTES (UINT64_C(2) << 30)

/* A regular, readable, non-empty file of at most BOOT_FILE_MAX_BYTES; or a negative errno and a one-line error. */
int boot_file_open(struct boot_file *file, const char *option, const char *path, struct error **err);
/* Idempotent. */
void boot_file_close(struct boot_file *file);
/* Reads exactly that many bytes; -EIO and an error if the file has become shorter. May block. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *buffer, uint64_t len_bytes, struct error **err);

#endif
