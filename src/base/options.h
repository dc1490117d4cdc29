/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options as data: a list of key=value texts, as -device, -blockdev, -chardev and -object take them. JSON and dotted
 * keys mean the same: {"file": {"driver": "file"}} is file.driver=file. Later settings of one key replace earlier ones.
 * Plain data: whoever holds the structure owns it; no locks.
 */
#ifndef HDL_BASE_OPTIONS_H
#define HDL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* key, value: owned. */
struct option {
    char *key;
    char *value;
};

/* All zero is an empty list. */
struct options {
    struct option *items;
    size_t count;
};

/* Copies both texts; replaces an earlier value. 0 or -ENOMEM. */
int options_set(struct options *options, const char *key, const char *value);
/* The value, the list's own; NULL if the key isn't there. */
const char *options_get(const struct options *options, const char *key);
/* Takes the key out; its value is the caller's to free. NULL if it isn't there. */
char *options_take(struct options *options, const char *key);
/* Frees what the list owns and makes it empty. */
void options_release(struct options *options);

/*
 * Typed reads. `what` names the object in messages ("-drive"). *value is left alone if the key isn't there or is bad.
 * 0, or -EINVAL with an error that names `what`, the key and the value. The key may be missing: that is 0.
 */
int options_get_bool(const struct options *options, const char *what, const char *key, bool *value, struct error **err);
int options_get_uint(const struct options *options, const char *what, const char *key, uint64_t min, uint64_t max,
                     uint64_t *value, struct error **err);
/* Bytes, with a suffix of k, M, G or T; without one the number is multiplied by default_unit. */
int options_get_size(const struct options *options, const char *what, const char *key, uint64_t default_unit,
                     uint64_t *value, struct error **err);
/* Index of the value in the NULL-terminated list of valid words. */
int options_get_choice(const struct options *options, const char *what, const char *key, const char *const *words,
                       unsigned *value, struct error **err);
/*
 * -EINVAL if a key isn't one of the NULL-terminated valid names; the error names it and the nearest valid spelling.
 * A valid name that ends in ".*" stands for all keys that begin so.
 */
int options_check_keys(const struct options *options, const char *what, const char *const *valid, struct error **err);

/* Whether the text is a name for ids: a letter, then letters, digits, "-", "." and "_". */
bool option_id_is_valid(const char *id);

/* The forms themselves, for a single text. -EINVAL, without a message, if the text isn't one. */
int parse_bool(const char *text, bool *value);
/* Decimal, or hexadecimal with 0x; nothing may follow. */
int parse_uint(const char *text, uint64_t *value);
/* Bytes, as options_get_size. A fraction ("1.5G") is allowed with a suffix. */
int parse_size(const char *text, uint64_t default_unit, uint64_t *value);

#endif
