/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arithmetic as people type it where an address or a number is wanted. */
#ifndef HDL_MONITOR_HMP_EXPRESSION_H
#define HDL_MONITOR_HMP_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The value of "$name". False if there is no such register. */
typedef bool hmp_register_fn(void *opaque, const char *name, uint64_t *value);

/*
 * 64-bit unsigned arithmetic, which wraps: decimal, 0x and 0 (octal) numbers, 'c', $registers, ( ), unary + - ~, and
 * in C's order of precedence * / %, + -, << >>, &, ^, |. 0, or -EINVAL and an error that says where it stops making
 * sense. Pure but for registers.
 */
int hmp_expression_parse(const char *text, hmp_register_fn *registers, void *opaque, uint64_t *value,
                         struct error **err);

#endif
