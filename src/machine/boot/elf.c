/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads ELF executables (System V ABI, "Object Files"; AMD64 supplement). No relocation, no sections. No state.
 *
 * The file is hostile: headers are copied out field by field, counts are bounded by ELF_SEGMENTS_MAX, every range is
 * checked against the file before it is read and against loadable guest RAM before it is written.
 */
#include "machine/boot/elf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

enum {
    ELF_CLASS = 4,
    ELF_DATA = 5,
    ELF_TYPE = 16,
    ELF_MACHINE = 18,
    ELF_CLASS_32 = 1,
    ELF_CLASS_64 = 2,
    ELF_LITTLE_ENDIAN = 1,
    ELF_TYPE_EXEC = 2,
    ELF_TYPE_DYN = 3,
    ELF_MACHINE_386 = 3,
    ELF_MACHINE_X86_64 = 62,
    ELF_HEADER_32_BYTES = 52,
    ELF_HEADER_64_BYTES = 64,
    ELF_SEGMENT_32_BYTES = 32,
    ELF_SEGMENT_64_BYTES = 56,
};

bool elf_is_elf(const uint8_t *image, uint64_t len_bytes)
{
    return len_bytes >= 4 && memcmp(image, "\177ELF", 4) == 0;
}

static void elf_read_header(struct elf_file *elf)
{
    const uint8_t *image = elf->image;

    if (elf->is_64) {
        elf->entry = load_le64(image + 24);
        elf->segments_offset = load_le64(image + 32);
        elf->segment_entry_bytes = load_le16(image + 54);
        elf->segment_count = load_le16(image + 56);
    } else {
        elf->entry = load_le32(image + 24);
        elf->segments_offset = load_le32(image + 28);
        elf->segment_entry_bytes = load_le16(image + 42);
        elf->segment_count = load_le16(image + 44);
    }
}

static const char *elf_check(struct elf_file *elf)
{
    const uint8_t *image = elf->image;
    unsigned type, machine;

    if (elf->len_bytes < ELF_HEADER_32_BYTES) {
        return "the ELF file is truncated";
    }
    if ((image[ELF_CLASS] != ELF_CLASS_32 && image[ELF_CLASS] != ELF_CLASS_64) ||
        image[ELF_DATA] != ELF_LITTLE_ENDIAN) {
        return "the ELF file is not for x86";
    }
    elf->is_64 = image[ELF_CLASS] == ELF_CLASS_64;
    if (elf->is_64 && elf->len_bytes < ELF_HEADER_64_BYTES) {
        return "the ELF file is truncated";
    }
    type = load_le16(image + ELF_TYPE);
    machine = load_le16(image + ELF_MACHINE);
    if (machine != ELF_MACHINE_386 && machine != ELF_MACHINE_X86_64) {
        return "the ELF file is not for x86";
    }
    if (type != ELF_TYPE_EXEC && type != ELF_TYPE_DYN) {
        return "the ELF file is not an executable";
    }
    elf_read_header(elf);
    if (elf->segment_count == 0 || elf->segment_count > ELF_SEGMENTS_MAX ||
        elf->segment_entry_bytes < (elf->is_64 ? ELF_SEGMENT_64_BYTES : ELF_SEGMENT_32_BYTES)) {
        return "the ELF file has no usable program headers";
    }
    if (elf->segments_offset > elf->len_bytes ||
        (uint64_t)elf->segment_count * elf->segment_entry_bytes > elf->len_bytes - elf->segments_offset) {
        return "the ELF file is truncated";
    }
    return NULL;
}

int elf_open(struct elf_file *elf, const uint8_t *image, uint64_t len_bytes, const char **reason)
{
    struct elf_file file = {.image = image, .len_bytes = len_bytes};

    *reason = elf_check(&file);
    if (*reason) {
        return -ENOEXEC;
    }
    *elf = file;
    return 0;
}

static void elf_read_segment(const struct elf_file *elf, const uint8_t *at, struct elf_segment *segment)
{
    segment->type = load_le32(at);
    if (elf->is_64) {
        segment->offset = load_le64(at + 8);
        segment->virtual_address = load_le64(at + 16);
        segment->physical = load_le64(at + 24);
        segment->file_bytes = load_le64(at + 32);
        segment->memory_bytes = load_le64(at + 40);
    } else {
        segment->offset = load_le32(at + 4);
        segment->virtual_address = load_le32(at + 8);
        segment->physical = load_le32(at + 12);
        segment->file_bytes = load_le32(at + 16);
        segment->memory_bytes = load_le32(at + 20);
    }
}

int elf_segment(const struct elf_file *elf, unsigned n, struct elf_segment *segment)
{
    const uint8_t *at = elf->image + elf->segments_offset + (uint64_t)n * elf->segment_entry_bytes;
    struct elf_segment found;

    elf_read_segment(elf, at, &found);
    if (found.offset > elf->len_bytes || found.file_bytes > elf->len_bytes - found.offset ||
        found.physical + found.memory_bytes < found.physical ||
        found.virtual_address + found.memory_bytes < found.virtual_address) {
        return -ENOEXEC;
    }
    *segment = found;
    return 0;
}

static int elf_load_segment(const struct elf_file *elf, const struct boot_request *request,
                            const struct elf_segment *segment, struct error **err)
{
    if (segment->memory_bytes < segment->file_bytes) {
        return boot_error(request, err, -ENOEXEC, "an ELF segment is larger in the file than in memory");
    }
    if (!boot_ram_is_loadable(request->ram, segment->physical, segment->memory_bytes)) {
        return boot_error(request, err, -ENOSPC,
                          "an ELF segment of %" PRIu64 " bytes at 0x%" PRIx64 " does not lie in free guest memory (-m)",
                          segment->memory_bytes, segment->physical);
    }
    boot_ram_write(request->ram, segment->physical, elf->image + segment->offset, segment->file_bytes);
    boot_ram_zero(request->ram, segment->physical + segment->file_bytes, segment->memory_bytes - segment->file_bytes);
    return 0;
}

int elf_load(const struct elf_file *elf, const struct boot_request *request, uint64_t *end, struct error **err)
{
    struct elf_segment segment;
    uint64_t highest = 0;
    int ret;

    for (unsigned i = 0; i < elf->segment_count; i++) {
        if (elf_segment(elf, i, &segment) < 0) {
            return boot_error(request, err, -ENOEXEC, "the ELF file is truncated");
        }
        if (segment.type != ELF_SEGMENT_LOAD || segment.memory_bytes == 0) {
            continue;
        }
        ret = elf_load_segment(elf, request, &segment, err);
        if (ret < 0) {
            return ret;
        }
        highest = MAX(highest, segment.physical + segment.memory_bytes);
    }
    if (highest == 0) {
        return boot_error(request, err, -ENOEXEC, "the ELF file has nothing to load");
    }
    *end = highest;
    return 0;
}

uint64_t elf_entry_physical(const struct elf_file *elf)
{
    struct elf_segment segment;

    for (unsigned i = 0; i < elf->segment_count; i++) {
        if (elf_segment(elf, i, &segment) == 0 && segment.type == ELF_SEGMENT_LOAD &&
            elf->entry >= segment.virtual_address && elf->entry - segment.virtual_address < segment.memory_bytes) {
            return elf->entry - segment.virtual_address + segment.physical;
        }
    }
    return elf->entry;
}

/* Notes: name size, contents size, type; name and contents each padded to 4 bytes. */
static bool elf_find_in_notes(const uint8_t *notes, uint64_t notes_bytes, const char *name, uint32_t type,
                              const uint8_t **data, uint64_t *len_bytes)
{
    uint64_t at = 0;

    while (notes_bytes - at >= 12) {
        uint64_t name_bytes = load_le32(notes + at), data_bytes = load_le32(notes + at + 4);
        uint64_t data_at = at + 12 + ALIGN_UP(name_bytes, UINT64_C(4));
        uint64_t next = data_at + ALIGN_UP(data_bytes, UINT64_C(4));

        if (data_at > notes_bytes || data_bytes > notes_bytes - data_at) {
            return false;
        }
        if (load_le32(notes + at + 8) == type && name_bytes == strlen(name) + 1 &&
            memcmp(notes + at + 12, name, name_bytes) == 0) {
            *data = notes + data_at;
            *len_bytes = data_bytes;
            return true;
        }
        if (next > notes_bytes) {
            return false;
        }
        at = next;
    }
    return false;
}

bool elf_find_note(const struct elf_file *elf, const char *name, uint32_t type, const uint8_t **data,
                   uint64_t *len_bytes)
{
    struct elf_segment segment;

    for (unsigned i = 0; i < elf->segment_count; i++) {
        if (elf_segment(elf, i, &segment) == 0 && segment.type == ELF_SEGMENT_NOTE &&
            elf_find_in_notes(elf->image + segment.offset, segment.file_bytes, name, type, data, len_bytes)) {
            return true;
        }
    }
    return false;
}
