/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log. What is process-wide here is so by nature: one descriptor and whether lines have the time, set before other
 * threads exist, and one atomic mask of enabled trace points. A line is formatted on the caller's stack and written
 * with one write(2), so lines of different threads don't mix. A guest can fill it only as fast as trace points that an
 * operator enabled, or one rate-limited line a second.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOG_LINE_MAX 1024

_Static_assert(TRACE_COUNT <= 64, "trace points must fit the mask");

_Atomic uint64_t trace_enabled_mask;
static int log_fd = STDERR_FILENO;
static bool log_timestamps; /* set before other threads exist */

static const char *const trace_names[] = {
#define TRACE_POINT_NAME(id, name) name,
    TRACE_POINTS(TRACE_POINT_NAME)
#undef TRACE_POINT_NAME
};

int log_open(const char *path, struct error **err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0) {
        int code = errno;

        return error_set(err, -code, "can't open log file '%s': %s", path, strerror(code));
    }
    log_fd = fd;
    return 0;
}

void log_set_timestamps(bool on)
{
    log_timestamps = on;
}

size_t log_stamp(char stamp[LOG_STAMP_BYTES])
{
    struct timespec now;
    struct tm date;
    size_t used;

    stamp[0] = '\0';
    if (!log_timestamps) {
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &date);
    used = strftime(stamp, LOG_STAMP_BYTES, "%Y-%m-%dT%H:%M:%S", &date);
    return used + (size_t)snprintf(stamp + used, LOG_STAMP_BYTES - used, ".%06uZ ", (unsigned)(now.tv_nsec / 1000));
}

static void log_write(const char *prefix, const char *format, va_list args)
{
    char line[LOG_LINE_MAX];
    size_t stamp_bytes = log_stamp(line);
    size_t used = stamp_bytes + strnlen(prefix, 64);
    int added;

    memcpy(line + stamp_bytes, prefix, used - stamp_bytes);
    added = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
    if (added < 0) {
        return;
    }
    used = MIN(used + (size_t)added, sizeof(line) - 2);
    line[used++] = '\n';
    if (write(log_fd, line, used) < 0) {
        return; /* nobody to tell */
    }
}

void log_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_write("heddle: warning: ", format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_write("heddle: ", format, args);
    va_end(args);
}

static uint64_t log_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void log_warn_limited(struct log_limit *limit, const char *format, ...)
{
    uint64_t now_ns = log_now_ns();
    uint64_t next_ns = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    uint64_t left_out;
    va_list args;

    if (now_ns < next_ns || !atomic_compare_exchange_strong_explicit(&limit->next_ns, &next_ns, now_ns + 1000000000u,
                                                                     memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
        return;
    }
    left_out = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
    va_start(args, format);
    log_write("heddle: warning: ", format, args);
    va_end(args);
    if (left_out > 0) {
        log_warn("(%" PRIu64 " more like this were left out)", left_out);
    }
}

void trace_write(enum trace_point point, const char *format, ...)
{
    char thread[16] = "?";
    char prefix[64];
    va_list args;

    pthread_getname_np(pthread_self(), thread, sizeof(thread));
    snprintf(prefix, sizeof(prefix), "%s %s: ", thread, trace_names[point]);
    va_start(args, format);
    log_write(prefix, format, args);
    va_end(args);
}

/* The bits of all trace points that a pattern matches. */
static int trace_match(const char *pattern, uint64_t *mask, struct error **err)
{
    *mask = 0;
    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        if (fnmatch(pattern, trace_names[i], 0) == 0) {
            *mask |= UINT64_C(1) << i;
        }
    }
    if (!*mask) {
        return error_set(err, -EINVAL, "no trace point matches '%s'; '-trace help' lists them", pattern);
    }
    return 0;
}

int trace_enable(const char *pattern, struct error **err)
{
    uint64_t mask;
    int ret = trace_match(pattern, &mask, err);

    if (ret == 0) {
        atomic_fetch_or_explicit(&trace_enabled_mask, mask, memory_order_relaxed);
    }
    return ret;
}

int trace_disable(const char *pattern, struct error **err)
{
    uint64_t mask;
    int ret = trace_match(pattern, &mask, err);

    if (ret == 0) {
        atomic_fetch_and_explicit(&trace_enabled_mask, ~mask, memory_order_relaxed);
    }
    return ret;
}

void trace_list(void (*fn)(const char *name, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        fn(trace_names[i], opaque);
    }
}
