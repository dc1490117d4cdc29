/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses a loader and feeds it. The table of loaders is here; a format that looks like two of them is the first one's.
 * No state of its own. The kernel file is hostile; each loader says how it copes.
 */
#include "machine/boot/boot.h"

#include <errno.h>
#include <stdlib.h>

#include "machine/boot/elf.h"
#include "machine/boot/linux_bzimage.h"
#include "machine/boot/multiboot.h"
#include "machine/boot/pvh.h"

static const struct boot_loader *const boot_loaders[] = {
    &linux_bzimage_loader,
    &multiboot_loader,
    &pvh_loader,
};

/* The loader for the request's kernel, or NULL and an error that says what is missing. */
static const struct boot_loader *boot_find_loader(const struct boot_request *request, struct error **err)
{
    struct elf_file elf;
    const char *reason = "the ELF file has neither a PVH entry point nor a Multiboot header";

    for (size_t i = 0; i < ARRAY_SIZE(boot_loaders); i++) {
        if (boot_loaders[i]->probe(request->kernel, request->kernel_bytes) == BOOT_MINE) {
            return boot_loaders[i];
        }
    }
    if (elf_is_elf(request->kernel, request->kernel_bytes)) {
        (void)elf_open(&elf, request->kernel, request->kernel_bytes, &reason);
        boot_error(request, err, -ENOEXEC, "%s",
                   reason ? reason : "the ELF file has neither a PVH entry point nor a Multiboot header");
    } else {
        boot_error(request, err, -ENOEXEC,
                   "is not a kernel: neither a Linux bzImage, nor an ELF with PVH entry, nor Multiboot");
    }
    return NULL;
}

int boot_load(const struct boot_request *request, struct boot_entry *entry, struct error **err)
{
    const struct boot_loader *loader = boot_find_loader(request, err);

    if (!loader) {
        return -ENOEXEC;
    }
    if (request->ram->low_bytes < BOOT_RAM_MIN_BYTES) {
        return boot_error(request, err, -ENOSPC, "too little guest memory to boot in (-m)");
    }
    return loader->load(request, entry, err);
}

static int boot_read_kernel(const struct boot_file *file, uint8_t **image, struct error **err)
{
    uint8_t *buffer = malloc(file->size_bytes);
    int ret;

    if (!buffer) {
        return error_set(err, -ENOMEM, "%s '%s': out of memory", file->option, file->path);
    }
    ret = boot_file_read(file, 0, buffer, file->size_bytes, err);
    if (ret < 0) {
        free(buffer);
        return ret;
    }
    *image = buffer;
    return 0;
}

static int boot_images_check(struct boot_images *images, struct error **err)
{
    struct boot_request request = {.kernel_path = images->kernel.path, .kernel_bytes = images->kernel.size_bytes};
    uint8_t *image HDL_AUTO_FREE = NULL;
    int ret;

    ret = boot_read_kernel(&images->kernel, &image, err);
    if (ret < 0) {
        return ret;
    }
    request.kernel = image;
    images->loader = boot_find_loader(&request, err);
    return images->loader ? 0 : -ENOEXEC;
}

int boot_images_open(struct boot_images *images, const char *kernel, const char *initrd, const char *cmdline,
                     struct error **err)
{
    struct boot_images opened = {.kernel.fd = -1, .initrd.fd = -1, .cmdline = cmdline, .has_initrd = initrd};
    int ret;

    ret = boot_file_open(&opened.kernel, "-kernel", kernel, err);
    if (ret == 0 && initrd) {
        ret = boot_file_open(&opened.initrd, "-initrd", initrd, err);
    }
    if (ret == 0) {
        ret = boot_images_check(&opened, err);
    }
    if (ret < 0) {
        boot_images_close(&opened);
        return ret;
    }
    *images = opened;
    return 0;
}

void boot_images_close(struct boot_images *images)
{
    boot_file_close(&images->kernel);
    boot_file_close(&images->initrd);
}

int boot_images_load(const struct boot_images *images, enum boot_unpack unpack, const struct boot_ram *ram,
                     const struct guest_memory_map *map, uint64_t rsdp_gpa, struct boot_entry *entry,
                     struct error **err)
{
    struct boot_request request = {
        .kernel_path = images->kernel.path,
        .kernel_bytes = images->kernel.size_bytes,
        .unpack = unpack,
        .initrd = images->has_initrd ? &images->initrd : NULL,
        .cmdline = images->cmdline,
        .ram = ram,
        .map = map,
        .rsdp_gpa = rsdp_gpa,
    };
    uint8_t *image HDL_AUTO_FREE = NULL;
    int ret;

    ret = boot_read_kernel(&images->kernel, &image, err);
    if (ret < 0) {
        return ret;
    }
    request.kernel = image;
    return boot_load(&request, entry, err);
}
