/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the smallest images that each loader accepts. The images are heap copies of exactly their length when loaded,
 * so that ASan sees a loader reading past the end.
 */
#include "boot_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

void boot_fixture_init(struct boot_fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->ram.low = malloc(BOOT_FIXTURE_RAM_BYTES);
    assert(fixture->ram.low);
    memset(fixture->ram.low, 0xCC, BOOT_FIXTURE_RAM_BYTES);
    fixture->ram.low_bytes = BOOT_FIXTURE_RAM_BYTES;
    guest_memory_map_build(&fixture->map, fixture->ram.low_bytes, 0);
    fixture->request = (struct boot_request){
        .kernel_path = "kernel", .cmdline = "", .ram = &fixture->ram, .map = &fixture->map, .rsdp_gpa = 0xE0000};
    fixture->initrd.fd = -1;
}

void boot_fixture_destroy(struct boot_fixture *fixture)
{
    free(fixture->ram.low);
    boot_file_close(&fixture->initrd);
}

void boot_fixture_add_initrd(struct boot_fixture *fixture, uint64_t len_bytes)
{
    int fd = memfd_create("initrd", MFD_CLOEXEC);

    assert(fd >= 0);
    for (uint64_t i = 0; i < len_bytes; i++) {
        uint8_t byte = (uint8_t)i;

        if (i < 512 || i + 512 > len_bytes) {
            ssize_t n = pwrite(fd, &byte, 1, (off_t)i);
            assert(n == 1);
        }
    }
    fixture->initrd =
        (struct boot_file){.option = "-initrd", .path = strdup("initrd"), .fd = fd, .size_bytes = len_bytes};
    fixture->request.initrd = &fixture->initrd;
}

uint64_t boot_fixture_make_bzimage(struct boot_fixture *fixture)
{
    uint8_t *image = fixture->image;

    memset(image, 0, sizeof(fixture->image));
    image[0x1F1] = 1;                       /* setup_sects */
    store_le32(image + 0x1F4, 0x1000 / 16); /* syssize */
    store_le16(image + 0x1FE, 0xAA55);
    image[0x201] = 0x6A; /* the header ends at 0x26C */
    store_le32(image + 0x202, 0x53726448);
    store_le16(image + 0x206, 0x020F);
    image[0x211] = 1;
    store_le32(image + 0x22C, 0x7FFFFFFF);
    store_le32(image + 0x230, 0x200000);
    image[0x234] = 1;
    store_le16(image + 0x236, 1);
    store_le32(image + 0x238, 2047);
    store_le64(image + 0x258, 0x1000000);
    store_le32(image + 0x260, 0x400000);
    memset(image + 1024, 0x90, 0x1000);
    return 1024 + 0x1000;
}

static void elf64_header(uint8_t *image, uint64_t entry, unsigned segments)
{
    memcpy(image, "\177ELF\2\1\1", 7);
    store_le16(image + 16, 2);
    store_le16(image + 18, 62);
    store_le64(image + 24, entry);
    store_le64(image + 32, 64);
    store_le16(image + 54, 56);
    store_le16(image + 56, (uint16_t)segments);
}

static void elf64_segment(uint8_t *at, uint32_t type, uint64_t offset, uint64_t vaddr, uint64_t paddr,
                          uint64_t file_bytes, uint64_t memory_bytes)
{
    store_le32(at, type);
    store_le64(at + 8, offset);
    store_le64(at + 16, vaddr);
    store_le64(at + 24, paddr);
    store_le64(at + 32, file_bytes);
    store_le64(at + 40, memory_bytes);
}

uint64_t boot_fixture_make_pvh(struct boot_fixture *fixture)
{
    uint8_t *image = fixture->image;

    memset(image, 0, sizeof(fixture->image));
    elf64_header(image, 0xFFFFFFFF81000000, 2);
    elf64_segment(image + 64, 1, 0x1000, 0xFFFFFFFF81000000, 0x1000000, 0x1000, 0x3000);
    elf64_segment(image + 120, 4, 0x200, 0, 0, 40, 40);
    /* A note of somebody else's, then ours. */
    store_le32(image + 0x200, 4);
    store_le32(image + 0x204, 4);
    store_le32(image + 0x208, 18);
    memcpy(image + 0x20C, "GNU", 4);
    store_le32(image + 0x214, 4);
    store_le32(image + 0x218, 4);
    store_le32(image + 0x21C, 18);
    memcpy(image + 0x220, "Xen", 4);
    store_le32(image + 0x224, 0x1000100);
    memset(image + 0x1000, 0x90, 0x1000);
    return 0x2000;
}

static void multiboot_header(uint8_t *at, uint32_t flags)
{
    store_le32(at, 0x1BADB002);
    store_le32(at + 4, flags);
    store_le32(at + 8, -(0x1BADB002 + flags));
}

uint64_t boot_fixture_make_multiboot_elf32(struct boot_fixture *fixture)
{
    uint8_t *image = fixture->image;

    memset(image, 0, sizeof(fixture->image));
    memcpy(image, "\177ELF\1\1\1", 7);
    store_le16(image + 16, 2);
    store_le16(image + 18, 3);
    store_le32(image + 24, 0x400010);
    store_le32(image + 28, 52);
    store_le16(image + 42, 32);
    store_le16(image + 44, 1);
    store_le32(image + 52, 1);
    store_le32(image + 56, 0x1000);
    store_le32(image + 60, 0x400000);
    store_le32(image + 64, 0x400000);
    store_le32(image + 68, 0x1000);
    store_le32(image + 72, 0x2000);
    memset(image + 0x1000, 0x90, 0x1000);
    multiboot_header(image + 0x1000, 3);
    return 0x2000;
}

uint64_t boot_fixture_make_multiboot_elf64(struct boot_fixture *fixture)
{
    uint8_t *image = fixture->image;

    memset(image, 0, sizeof(fixture->image));
    elf64_header(image, 0x400010, 1);
    elf64_segment(image + 64, 1, 0x1000, 0x400000, 0x400000, 0x1000, 0x2000);
    memset(image + 0x1000, 0x90, 0x1000);
    multiboot_header(image + 0x1000, 3);
    return 0x2000;
}

uint64_t boot_fixture_make_multiboot_flat(struct boot_fixture *fixture)
{
    uint8_t *image = fixture->image;

    memset(image, 0x90, sizeof(fixture->image));
    multiboot_header(image + 0x40, 0x10003);
    store_le32(image + 0x4C, 0x200040); /* header */
    store_le32(image + 0x50, 0x200000); /* load */
    store_le32(image + 0x54, 0x200800); /* load end */
    store_le32(image + 0x58, 0x202000); /* bss end */
    store_le32(image + 0x5C, 0x200060); /* entry */
    return 0x1000;
}

int boot_fixture_load(struct boot_fixture *fixture, char *message)
{
    uint8_t *exact = malloc(fixture->request.kernel_bytes ? fixture->request.kernel_bytes : 1);
    struct error *err = NULL;
    int ret;

    assert(exact);
    memcpy(exact, fixture->image, fixture->request.kernel_bytes);
    fixture->request.kernel = exact;
    ret = boot_load(&fixture->request, &fixture->entry, &err);
    /* An error exactly when it failed, of one line. */
    assert((ret < 0) == (err != NULL));
    assert(!err || !strchr(err->message, '\n'));
    if (message) {
        snprintf(message, 256, "%s", err ? err->message : "");
    }
    error_free(err);
    free(exact);
    return ret;
}
