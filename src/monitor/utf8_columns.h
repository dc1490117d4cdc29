/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8 (base/utf8.h) as a terminal sees it: characters, and how many columns each takes. Pure functions. They don't
 * ask the process's locale (wcwidth(3) does), since the terminal is at the other end of a stream and has its own.
 */
#ifndef HDL_MONITOR_UTF8_COLUMNS_H
#define HDL_MONITOR_UTF8_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * As utf8_decode, but to a terminal control characters are none: they give -1 and length 1, like bytes that aren't
 * UTF-8.
 */
int32_t utf8_decode_printable(const char *bytes, size_t len_bytes, unsigned *sequence_bytes);
/* Columns that a character takes: 0 (it combines with the one before), 1 or 2. */
unsigned utf8_columns(int32_t character);
/* The same for text that is valid. */
size_t utf8_text_columns(const char *bytes, size_t len_bytes);
/*
 * Where the character after (before) that at `offset` begins, combining characters counted with their base. In valid
 * text of len_bytes; stays at the end (beginning).
 */
size_t utf8_next(const char *bytes, size_t len_bytes, size_t offset);
size_t utf8_previous(const char *bytes, size_t offset);

#endif
