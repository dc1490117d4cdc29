/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors that a person caused and will read. Functions that can fail because of what somebody typed take a
 * `struct error **err` (NULL: not interested) beside their negative errno. The message names the option or object,
 * what is wrong, and what would be right; it starts in lower case, has no full stop, and is printed once, at the top.
 */
#ifndef HDL_BASE_ERROR_H
#define HDL_BASE_ERROR_H

#include "base/compiler.h"

struct error {
    char *message; /* owned */
};

/* Sets *err (which must be NULL) unless err is NULL. Returns code, a negative errno, so that it can be returned. */
int error_set(struct error **err, int code, const char *format, ...) HDL_PRINTF(3, 4);
/* Puts "prefix: " before the message of *err, if there is one. */
void error_prefix(struct error **err, const char *format, ...) HDL_PRINTF(2, 3);
/* Moves src (may be NULL) to *dst, or frees it if dst is NULL. */
void error_propagate(struct error **dst, struct error *src);
/* Prints "heddle: message" to standard error and frees the error. NULL is allowed. */
void error_report(struct error *err);
/* NULL is allowed. */
void error_free(struct error *err);

#endif
