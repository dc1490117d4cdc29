/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process's log: lines on standard error or in the file that -D names, and trace points that -trace or -d switch
 * on. Any thread may call anything here; a line is written whole, and no lock is held around the write.
 */
#ifndef HDL_BASE_LOG_H
#define HDL_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

/* Sends the log to a file (created or truncated) from now on. Before any other thread exists. */
int log_open(const char *path, struct error **err);

/* Every line, and every error that is reported, begins with the time (UTC, to the microsecond). As log_open. */
void log_set_timestamps(bool on);
#define LOG_STAMP_BYTES 32
/* "2026-07-17T16:01:21.123456Z ", or "" if that isn't wanted. Returns its length. */
size_t log_stamp(char stamp[LOG_STAMP_BYTES]);

/* "heddle: warning: ..." with a newline added. For what its operator must know; never once a guest access. */
void log_warn(const char *format, ...) HDL_PRINTF(1, 2);
/* "heddle: ..." with a newline added. */
void log_info(const char *format, ...) HDL_PRINTF(1, 2);

/* At most one line a second of one kind; how many were left out is said with the next. Zero-initialised. */
struct log_limit {
    _Atomic uint64_t next_ns;
    _Atomic uint64_t suppressed;
};
void log_warn_limited(struct log_limit *limit, const char *format, ...) HDL_PRINTF(2, 3);

/*
 * Trace points. Each stands in the table below once; `trace(NAME, format, ...)` costs one relaxed load when off.
 */
#define TRACE_POINTS(X)                                                                                                \
    X(MEMORY_UNASSIGNED, "memory_unassigned")                                                                          \
    X(MEMORY_COMMIT, "memory_commit")                                                                                  \
    X(MEMORY_REENTRY, "memory_reentry")                                                                                \
    X(DEVICE_LIFE, "device_life")                                                                                      \
    X(DEVICE_HANDOVER, "device_handover")                                                                              \
    X(LOCKS, "locks")                                                                                                  \
    X(VCPU_EXIT, "vcpu_exit")                                                                                          \
    X(VCPU_KICK, "vcpu_kick")                                                                                          \
    X(VCPU_PAUSE, "vcpu_pause")                                                                                        \
    X(IRQ_ROUTE, "irq_route")                                                                                          \
    X(PCI_CONFIG, "pci_config")                                                                                        \
    X(PCI_BAR, "pci_bar")                                                                                              \
    X(VIRTIO_NOTIFY, "virtio_notify")                                                                                  \
    X(VIRTIO_STATUS, "virtio_status")                                                                                  \
    X(VIRTIO_BROKEN, "virtio_broken")                                                                                  \
    X(BLOCK_REQUEST, "block_request")                                                                                  \
    X(CHARDEV_IO, "chardev_io")                                                                                        \
    X(MACHINE_STATE, "machine_state")                                                                                  \
    X(MACHINE_BOOT, "machine_boot")                                                                                    \
    X(GUEST_ERROR, "guest_error")

enum trace_point {
#define TRACE_POINT_ENUM(id, name) TRACE_##id,
    TRACE_POINTS(TRACE_POINT_ENUM)
#undef TRACE_POINT_ENUM
        TRACE_COUNT,
};

extern _Atomic uint64_t trace_enabled_mask;

static inline bool trace_is_enabled(enum trace_point point)
{
    return unlikely(atomic_load_explicit(&trace_enabled_mask, memory_order_relaxed) >> point & 1);
}

/* Writes "thread name: text" to the log. Called through trace() only. */
void trace_write(enum trace_point point, const char *format, ...) HDL_PRINTF(2, 3);

#define trace(point, ...)                                                                                              \
    do {                                                                                                               \
        if (trace_is_enabled(TRACE_##point)) {                                                                         \
            trace_write(TRACE_##point, __VA_ARGS__);                                                                   \
        }                                                                                                              \
    } while (0)

/* Enables every trace point that a glob pattern matches ("virtio_*"). -EINVAL and an error if none does. */
int trace_enable(const char *pattern, struct error **err);
/* The opposite. */
int trace_disable(const char *pattern, struct error **err);
/* Calls fn for each trace point's name, in the table's order. */
void trace_list(void (*fn)(const char *name, void *opaque), void *opaque);

#endif
