/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8: decoding, and the width of characters. The ranges are coarse (whole blocks of Unicode 15's wide and combining
 * characters): a wrong guess puts a cursor one column off, and the next key that draws puts it right.
 */
#include "monitor/utf8.h"

#include "base/compiler.h"

struct utf8_range {
    int32_t first, last;
};

static const struct utf8_range combining[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489},   {0x0591, 0x05bd},   {0x064b, 0x065f}, {0x200b, 0x200f},
    {0x20d0, 0x20f0}, {0x302a, 0x302d},   {0x3099, 0x309a},   {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
    {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef},
};
static const struct utf8_range wide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool utf8_is_in(int32_t character, const struct utf8_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

unsigned utf8_sequence_bytes(uint8_t first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The character of a sequence of the right length, or -1. */
static int32_t utf8_assemble(const uint8_t *bytes, unsigned count)
{
    static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    int32_t character = bytes[0] & (0x7f >> count);

    for (unsigned i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return -1;
        }
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < smallest[count] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) {
        return -1;
    }
    return character;
}

int32_t utf8_decode(const char *bytes, size_t len_bytes, unsigned *sequence_bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    unsigned count = utf8_sequence_bytes(at[0]);
    int32_t character = -1;

    if (count == 1) {
        character = at[0];
    } else if (count > 1 && count <= len_bytes) {
        character = utf8_assemble(at, count);
    }
    /* C0, DEL and C1: a terminal would act on them. */
    if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
        character = -1;
    }
    *sequence_bytes = character < 0 ? 1 : count;
    return character;
}

unsigned utf8_columns(int32_t character)
{
    if (character < 0x300) {
        return 1;
    }
    if (utf8_is_in(character, combining, ARRAY_SIZE(combining))) {
        return 0;
    }
    return utf8_is_in(character, wide, ARRAY_SIZE(wide)) ? 2 : 1;
}

size_t utf8_text_columns(const char *bytes, size_t len_bytes)
{
    size_t columns = 0;
    unsigned count;

    for (size_t i = 0; i < len_bytes; i += count) {
        columns += utf8_columns(utf8_decode(bytes + i, len_bytes - i, &count));
    }
    return columns;
}

size_t utf8_next(const char *bytes, size_t len_bytes, size_t offset)
{
    unsigned count;

    if (offset >= len_bytes) {
        return len_bytes;
    }
    utf8_decode(bytes + offset, len_bytes - offset, &count);
    offset += count;
    while (offset < len_bytes && utf8_columns(utf8_decode(bytes + offset, len_bytes - offset, &count)) == 0) {
        offset += count;
    }
    return offset;
}

size_t utf8_previous(const char *bytes, size_t offset)
{
    size_t end = offset;
    unsigned count;

    while (offset > 0) {
        do {
            offset--;
        } while (offset > 0 && ((uint8_t)bytes[offset] & 0xc0) == 0x80);
        if (utf8_columns(utf8_decode(bytes + offset, end - offset, &count)) > 0) {
            break;
        }
        end = offset;
    }
    return offset;
}
