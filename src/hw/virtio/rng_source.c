/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sources of random numbers. rng-builtin is getrandom(2); rng-random a file of the host, such as /dev/hwrng, which may
 * take its time: its user reads it asynchronously. Nothing of a guest's gets here.
 */
#include "hw/virtio/rng_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool rng_source_is_type(const char *type)
{
    return strcmp(type, "rng-builtin") == 0 || strcmp(type, "rng-random") == 0;
}

int rng_source_open(struct rng_source *source, const char *type, const char *id, const struct options *options,
                    struct error **err)
{
    static const char *const builtin_keys[] = {NULL}, *const random_keys[] = {"filename", NULL};
    bool is_builtin = strcmp(type, "rng-builtin") == 0;
    const char *path = options_get(options, "filename");
    int result = options_check_keys(options, type, is_builtin ? builtin_keys : random_keys, err);
    int fd = -1;

    if (result < 0) {
        return result;
    }
    if (!is_builtin) {
        path = path ? path : "/dev/urandom";
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
            return error_set(err, -errno, "object '%s': could not open '%s': %s", id, path, strerror(errno));
        }
    }
    source->fd = fd;
    return 0;
}

void rng_source_close(struct rng_source *source)
{
    if (source->fd >= 0) {
        close(source->fd);
        source->fd = -1;
    }
}
