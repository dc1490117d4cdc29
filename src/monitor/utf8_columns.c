/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The width of characters. The ranges are coarse (whole blocks of Unicode 15's wide and combining
 * characters): a wrong guess puts a cursor one column off, and the next key that draws puts it right.
 */
#include "monitor/utf8_columns.h"

#include "base/compiler.h"
#include "base/utf8.h"

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

int32_t utf8_decode_printable(const char *bytes, size_t len_bytes, unsigned *sequence_bytes)
{
    int32_t character = utf8_decode(bytes, len_bytes, sequence_bytes);

    /* C0, DEL and C1: a terminal would act on them. */
    if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
        *sequence_bytes = 1;
        return -1;
    }
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
        columns += utf8_columns(utf8_decode_printable(bytes + i, len_bytes - i, &count));
    }
    return columns;
}

size_t utf8_next(const char *bytes, size_t len_bytes, size_t offset)
{
    unsigned count;

    if (offset >= len_bytes) {
        return len_bytes;
    }
    utf8_decode_printable(bytes + offset, len_bytes - offset, &count);
    offset += count;
    while (offset < len_bytes && utf8_columns(utf8_decode_printable(bytes + offset, len_bytes - offset, &count)) == 0) {
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
        if (utf8_columns(utf8_decode_printable(bytes + offset, end - offset, &count)) > 0) {
            break;
        }
        end = offset;
    }
    return offset;
}
