/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Pure. */
#ifndef HDL_BASE_UTF8_H
#define HDL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX_BYTES 4

/* How many bytes a character has that begins with this one; 0: none does. */
unsigned utf8_sequence_bytes(uint8_t first);
/* The character that the len_bytes (at least 1) begin with, and its length. -1, and a length of 1, if it is none. */
int32_t utf8_decode(const char *text, size_t len_bytes, unsigned *length);

#endif
