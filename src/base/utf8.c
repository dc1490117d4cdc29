/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8, decoded. Control characters are characters here: whether they may stand somewhere is for others to say. */
#include "base/utf8.h"

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

int32_t utf8_decode(const char *text, size_t len_bytes, unsigned *length)
{
    static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *bytes = (const uint8_t *)text;
    unsigned count = utf8_sequence_bytes(bytes[0]);
    int32_t character;

    *length = 1;
    if (count == 1) {
        return bytes[0];
    }
    if (count == 0 || count > len_bytes) {
        return -1;
    }
    character = bytes[0] & (0x7f >> count);
    for (unsigned i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return -1;
        }
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < smallest[count] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) {
        return -1;
    }
    *length = count;
    return character;
}
