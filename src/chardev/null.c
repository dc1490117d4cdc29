/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `null`: swallows what is written, says nothing. Nobody is ever connected, which is all there is to it: the smallest
 * kind of chardev, and the one to copy when writing another.
 */
#include "chardev/chardev_internal.h"

const struct chardev_type chardev_null_type = {
    .name = "null",
    .description = "nothing: output is swallowed",
    .size_bytes = sizeof(struct chardev),
};
