/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors as values: a message on the heap, owned by whoever holds the pointer. No shared state. */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

static char *error_format(const char *format, va_list args)
{
    char *text = NULL;

    return vasprintf(&text, format, args) < 0 ? NULL : text;
}

int error_set(struct error **err, int code, const char *format, ...)
{
    va_list args;

    if (!err) {
        return code;
    }
    assert(!*err);
    *err = calloc(1, sizeof(**err));
    if (*err) {
        va_start(args, format);
        (*err)->message = error_format(format, args);
        va_end(args);
    }
    return code;
}

void error_prefix(struct error **err, const char *format, ...)
{
    char *prefix;
    char *text;
    va_list args;

    if (!err || !*err) {
        return;
    }
    va_start(args, format);
    prefix = error_format(format, args);
    va_end(args);
    if (prefix && asprintf(&text, "%s: %s", prefix, (*err)->message) >= 0) {
        free((*err)->message);
        (*err)->message = text;
    }
    free(prefix);
}

void error_propagate(struct error **dst, struct error *src)
{
    if (!src) {
        return;
    }
    if (dst && !*dst) {
        *dst = src;
    } else {
        error_free(src);
    }
}

void error_report(struct error *err)
{
    char stamp[LOG_STAMP_BYTES];

    if (err) {
        log_stamp(stamp);
        fprintf(stderr, "%sheddle: %s\n", stamp, err->message ? err->message : "out of memory");
        error_free(err);
    }
}

void error_free(struct error *err)
{
    if (err) {
        free(err->message);
        free(err);
    }
}
