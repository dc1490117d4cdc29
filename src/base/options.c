/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of options, and the forms that their values take. Lists are short, so they are searched from the start. What is
 * in them was typed by an operator; a guest never reaches them.
 */
#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/spelling.h"

/* --- the list --------------------------------------------------------------------------------------------------- */

static struct option *options_find(const struct options *options, const char *key)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->items[i].key, key) == 0) {
            return &options->items[i];
        }
    }
    return NULL;
}

static int options_append(struct options *options, const char *key, char *value)
{
    struct option *items = reallocarray(options->items, options->count + 1, sizeof(*items));
    char *copy = strdup(key);

    if (items) {
        options->items = items;
    }
    if (!items || !copy) {
        free(copy);
        return -ENOMEM;
    }
    items[options->count++] = (struct option){.key = copy, .value = value};
    return 0;
}

int options_set(struct options *options, const char *key, const char *value)
{
    struct option *found = options_find(options, key);
    char *copy = strdup(value);
    int ret = 0;

    if (!copy) {
        return -ENOMEM;
    }
    if (found) {
        free(found->value);
        found->value = copy;
    } else {
        ret = options_append(options, key, copy);
        if (ret < 0) {
            free(copy);
        }
    }
    return ret;
}

const char *options_get(const struct options *options, const char *key)
{
    const struct option *found = options_find(options, key);

    return found ? found->value : NULL;
}

char *options_take(struct options *options, const char *key)
{
    struct option *found = options_find(options, key);
    char *value;

    if (!found) {
        return NULL;
    }
    value = found->value;
    free(found->key);
    options->count--;
    memmove(found, found + 1, (size_t)(options->items + options->count - found) * sizeof(*found));
    return value;
}

void options_release(struct options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        free(options->items[i].key);
        free(options->items[i].value);
    }
    free(options->items);
    *options = (struct options){0};
}

/* --- typed reads ------------------------------------------------------------------------------------------------ */

int options_get_bool(const struct options *options, const char *what, const char *key, bool *value, struct error **err)
{
    const char *text = options_get(options, key);

    if (text && parse_bool(text, value) < 0) {
        return error_set(err, -EINVAL, "%s: '%s' takes 'on' or 'off', not '%s'", what, key, text);
    }
    return 0;
}

int options_get_uint(const struct options *options, const char *what, const char *key, uint64_t min, uint64_t max,
                     uint64_t *value, struct error **err)
{
    const char *text = options_get(options, key);
    uint64_t parsed;

    if (!text) {
        return 0;
    }
    if (parse_uint(text, &parsed) < 0) {
        return error_set(err, -EINVAL, "%s: '%s' takes a number, not '%s'", what, key, text);
    }
    if (parsed < min || parsed > max) {
        return error_set(err, -EINVAL, "%s: '%s' must be within %" PRIu64 " and %" PRIu64 ", not '%s'", what, key, min,
                         max, text);
    }
    *value = parsed;
    return 0;
}

int options_get_size(const struct options *options, const char *what, const char *key, uint64_t default_unit,
                     uint64_t *value, struct error **err)
{
    const char *text = options_get(options, key);

    if (text && parse_size(text, default_unit, value) < 0) {
        return error_set(err, -EINVAL, "%s: '%s' takes a size such as 512M or 2G, not '%s'", what, key, text);
    }
    return 0;
}

static void words_join(const char *const *words, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (; *words && used + strlen(*words) + 3 < size; words++) {
        if (used > 0) {
            memcpy(buffer + used, ", ", 2);
            used += 2;
        }
        memcpy(buffer + used, *words, strlen(*words) + 1);
        used += strlen(*words);
    }
}

int options_get_choice(const struct options *options, const char *what, const char *key, const char *const *words,
                       unsigned *value, struct error **err)
{
    const char *text = options_get(options, key);
    char valid[256];

    if (!text) {
        return 0;
    }
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return 0;
        }
    }
    words_join(words, valid, sizeof(valid));
    return error_set(err, -EINVAL, "%s: '%s' can't be '%s'; valid are: %s", what, key, text, valid);
}

static bool options_key_matches(const char *key, const char *pattern)
{
    size_t len = strlen(pattern);

    if (len > 2 && strcmp(pattern + len - 2, ".*") == 0) {
        return strncmp(key, pattern, len - 1) == 0;
    }
    return strcmp(key, pattern) == 0;
}

int options_check_keys(const struct options *options, const char *what, const char *const *valid, struct error **err)
{
    for (size_t i = 0; i < options->count; i++) {
        const char *key = options->items[i].key;
        const char *nearest;
        const char *const *word = valid;

        while (*word && !options_key_matches(key, *word)) {
            word++;
        }
        if (*word) {
            continue;
        }
        nearest = spelling_nearest_in(key, valid);
        if (nearest) {
            return error_set(err, -EINVAL, "%s: unknown option '%s'; did you mean '%s'?", what, key, nearest);
        }
        return error_set(err, -EINVAL, "%s: unknown option '%s'", what, key);
    }
    return 0;
}

/* --- the forms -------------------------------------------------------------------------------------------------- */

bool option_id_is_valid(const char *id)
{
    bool good = isalpha((unsigned char)id[0]);

    for (const char *c = id; good && *c; c++) {
        good = isalnum((unsigned char)*c) || strchr("-._", *c);
    }
    return good;
}

int parse_bool(const char *text, bool *value)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i & 1;
            return 0;
        }
    }
    return -EINVAL;
}

/* A number at the start of text; *end is what follows it. */
static int parse_digits(const char *text, uint64_t *value, const char **end)
{
    char *stop;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

    if (text[0] < '0' || text[0] > '9') {
        return -EINVAL; /* strtoull would take blanks and signs */
    }
    errno = 0;
    *value = strtoull(text, &stop, hex ? 16 : 10);
    *end = stop;
    return errno == 0 ? 0 : -EINVAL;
}

int parse_uint(const char *text, uint64_t *value)
{
    uint64_t parsed;
    const char *end;

    if (parse_digits(text, &parsed, &end) < 0 || *end != '\0') {
        return -EINVAL;
    }
    *value = parsed;
    return 0;
}

/* The factor that a suffix stands for; 0 if it is none. */
static uint64_t parse_unit(const char *suffix, uint64_t default_unit)
{
    static const char letters[] = "bkmgt";
    const char *letter;

    if (suffix[0] == '\0') {
        return default_unit;
    }
    letter = strchr(letters, suffix[0] | 0x20);
    return letter && *letter && suffix[1] == '\0' ? UINT64_C(1) << ((letter - letters) * 10) : 0;
}

/* The digits after a decimal point, in billionths. *text moves past them. */
static uint64_t parse_fraction(const char **text)
{
    uint64_t billionths = 0;
    uint64_t weight = 100000000;

    for (; **text >= '0' && **text <= '9'; (*text)++) {
        billionths += weight * (uint64_t)(**text - '0');
        weight /= 10;
    }
    return billionths;
}

int parse_size(const char *text, uint64_t default_unit, uint64_t *value)
{
    uint64_t whole;
    uint64_t billionths = 0;
    uint64_t unit;
    uint64_t bytes;
    uint64_t part;
    const char *end;

    if (parse_digits(text, &whole, &end) < 0) {
        return -EINVAL;
    }
    if (*end == '.') {
        end++;
        billionths = parse_fraction(&end);
    }
    unit = parse_unit(end, default_unit);
    if (unit == 0 || __builtin_mul_overflow(whole, unit, &bytes)) {
        return -EINVAL;
    }
    part = (uint64_t)((__uint128_t)billionths * unit / 1000000000u);
    if (__builtin_add_overflow(bytes, part, &bytes)) {
        return -EINVAL;
    }
    *value = bytes;
    return 0;
}
