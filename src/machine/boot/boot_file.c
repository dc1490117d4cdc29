/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and reading boot files, with messages for people. Knows nothing of formats. Configuration thread. */
#include "machine/boot/boot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int boot_file_check(const char *option, const char *path, int fd, uint64_t *size_bytes, struct error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return error_set(err, -errno, "%s '%s': %s", option, path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return error_set(err, -EISDIR, "%s '%s': is a directory, not a file", option, path);
    }
    if (!S_ISREG(st.st_mode)) {
        return error_set(err, -EINVAL, "%s '%s': is not a regular file", option, path);
    }
    if (st.st_size == 0) {
        return error_set(err, -EINVAL, "%s '%s': the file is empty", option, path);
    }
    if ((uint64_t)st.st_size > BOOT_FILE_MAX_BYTES) {
        return error_set(err, -EFBIG, "%s '%s': %lld bytes is more than the 2 GiB that can be loaded", option, path,
                         (long long)st.st_size);
    }
    *size_bytes = (uint64_t)st.st_size;
    return 0;
}

int boot_file_open(struct boot_file *file, const char *option, const char *path, struct error **err)
{
    uint64_t size_bytes = 0;
    char *copy;
    int fd, ret;

    /* O_NONBLOCK: a FIFO without a writer must not hang us before it is refused. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return error_set(err, -errno, "%s '%s': %s", option, path, strerror(errno));
    }
    ret = boot_file_check(option, path, fd, &size_bytes, err);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    copy = strdup(path);
    if (!copy) {
        close(fd);
        return error_set(err, -ENOMEM, "%s '%s': out of memory", option, path);
    }
    *file = (struct boot_file){.option = option, .path = copy, .fd = fd, .size_bytes = size_bytes};
    return 0;
}

void boot_file_close(struct boot_file *file)
{
    if (file->path) {
        close(file->fd);
        free(file->path);
    }
    *file = (struct boot_file){.fd = -1};
}

int boot_file_read(const struct boot_file *file, uint64_t offset, void *buffer, uint64_t len_bytes, struct error **err)
{
    uint8_t *at = buffer;

    while (len_bytes > 0) {
        ssize_t got = pread(file->fd, at, len_bytes, (off_t)offset);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return error_set(err, -EIO, "%s '%s': %s", file->option, file->path,
                             got < 0 ? strerror(errno) : "the file became shorter while it was read");
        }
        at += got;
        offset += (uint64_t)got;
        len_bytes -= (uint64_t)got;
    }
    return 0;
}
