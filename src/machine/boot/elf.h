/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Executable ELF files for x86, 32- and 64-bit: their headers, notes and loadable segments. */
#ifndef HDL_MACHINE_BOOT_ELF_H
#define HDL_MACHINE_BOOT_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/boot/loader.h"

#define ELF_SEGMENTS_MAX 128

/* A view of an ELF file whose header is sound. Points into the image. */
struct elf_file {
    const uint8_t *image;
    uint64_t len_bytes;
    bool is_64;
    uint64_t entry;
    uint64_t segments_offset;
    unsigned segment_count, segment_entry_bytes;
};

struct elf_segment {
    uint32_t type;
    uint64_t offset, file_bytes; /* inside the file */
    uint64_t physical, virtual_address, memory_bytes;
};

enum { ELF_SEGMENT_LOAD = 1, ELF_SEGMENT_NOTE = 4 };

/* Whether the file begins as an ELF does. */
bool elf_is_elf(const uint8_t *image, uint64_t len_bytes);
/* 0, or -ENOEXEC and a text of what is wrong in *reason: an x86 executable with sound headers is wanted. */
int elf_open(struct elf_file *elf, const uint8_t *image, uint64_t len_bytes, const char **reason);
/* Segment n (< segment_count). -ENOEXEC if it reaches beyond the file, or wraps. */
int elf_segment(const struct elf_file *elf, unsigned n, struct elf_segment *segment);
/* Copies the loadable segments to their physical addresses. *end: after the highest one. */
int elf_load(const struct elf_file *elf, const struct boot_request *request, uint64_t *end, struct error **err);
/* The entry's physical address: headers give it as a virtual one. */
uint64_t elf_entry_physical(const struct elf_file *elf);
/* Looks a note up by name and type. True, and where its contents are in the file, if there is a sound one. */
bool elf_find_note(const struct elf_file *elf, const char *name, uint32_t type, const uint8_t **data,
                   uint64_t *len_bytes);

#endif
