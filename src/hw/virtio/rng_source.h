/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where random numbers come from: -object rng-builtin and -object rng-random. */
#ifndef HDL_HW_VIRTIO_RNG_SOURCE_H
#define HDL_HW_VIRTIO_RNG_SOURCE_H

#include "base/error.h"
#include "base/options.h"

/* Immutable after open. */
struct rng_source {
    int fd; /* -1: the host kernel's generator, which never blocks */
};

/*
 * Opens a source of a type that rng_source_is_type knows. options: filename= (rng-random; /dev/urandom unless given).
 * Configuration thread; may block. On failure *source is untouched.
 */
int rng_source_open(struct rng_source *source, const char *type, const char *id, const struct options *options,
                    struct error **err);
void rng_source_close(struct rng_source *source);
/* "rng-builtin", "rng-random". */
bool rng_source_is_type(const char *type);

#endif
