/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compressed kernel that a bzImage carries, unpacked here instead of by the guest: what takes the guest some
 * thousand million instructions takes the host a second at most.
 */
#ifndef HDL_MACHINE_BOOT_PAYLOAD_H
#define HDL_MACHINE_BOOT_PAYLOAD_H

#include <stdint.h>

#include "machine/boot/loader.h"

/* The most that is ever unpacked: Linux's own bound for x86-64 (KERNEL_IMAGE_SIZE). */
#define PAYLOAD_MAX_BYTES (UINT64_C(1) << 30)

/*
 * Unpacks len_bytes at `payload`, a part of the request's kernel: a gzip, xz, lzma, lz4 or zstd stream, and behind it
 * (for gzip: as its end) the unpacked size in 4 bytes, as Linux's build puts it there (scripts/Makefile.lib,
 * size_append).
 *
 * 0, and *unpacked is the caller's to free; or an error that names the file, and -ENOTSUP: not a format known here;
 * -ENOSPC: it unpacks to more than low RAM; -ENOEXEC: it is damaged; -ENOMEM. Any thread; takes up to some seconds.
 */
int payload_unpack(const struct boot_request *request, const uint8_t *payload, uint64_t len_bytes, uint8_t **unpacked,
                   uint64_t *unpacked_bytes, struct error **err);

#endif
