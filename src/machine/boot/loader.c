/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of loading that every format needs: the command line and the initrd. Knows no format. A file can at worst
 * make it say no.
 */
#include "machine/boot/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "machine/pc_layout.h"

int boot_error(const struct boot_request *request, struct error **err, int code, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(err, code, "-kernel '%s': %s", request->kernel_path, text);
}

int boot_load_cmdline(const struct boot_request *request, const char *cmdline, uint64_t limit_bytes, struct error **err)
{
    size_t len_bytes = strlen(cmdline);

    if (limit_bytes > BOOT_CMDLINE_MAX_BYTES - 1) {
        limit_bytes = BOOT_CMDLINE_MAX_BYTES - 1;
    }
    if (len_bytes > limit_bytes) {
        return error_set(err, -E2BIG, "-append: %zu characters is more than the %" PRIu64 " that this kernel takes",
                         len_bytes, limit_bytes);
    }
    if (!boot_ram_write(request->ram, PC_BOOT_CMDLINE, cmdline, len_bytes + 1)) {
        return boot_error(request, err, -ENOSPC, "too little guest memory to boot in (-m)");
    }
    return 0;
}

int boot_load_initrd(const struct boot_request *request, uint64_t above, uint64_t last, uint64_t *gpa,
                     uint64_t *len_bytes, struct error **err)
{
    const struct boot_file *file = request->initrd;
    uint64_t end, start;
    int ret;

    if (!file) {
        *gpa = 0;
        *len_bytes = 0;
        return 0;
    }
    above = MAX(above, (uint64_t)PC_RAM_EXTENDED);
    end = request->ram->low_bytes;
    if (last < end) {
        end = last + 1;
    }
    start = end < file->size_bytes ? 0 : ALIGN_DOWN(end - file->size_bytes, UINT64_C(4096));
    if (start < above) {
        return error_set(err, -ENOSPC, "-initrd '%s': %" PRIu64 " KiB does not fit into guest memory beside the kernel",
                         file->path, file->size_bytes / 1024);
    }
    ret = boot_file_read(file, 0, boot_ram_at(request->ram, start, file->size_bytes), file->size_bytes, err);
    if (ret < 0) {
        return ret;
    }
    *gpa = start;
    *len_bytes = file->size_bytes;
    return 0;
}
