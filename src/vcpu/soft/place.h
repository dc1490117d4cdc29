/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where accesses end: pieces of guest memory, found and allowed. Private to its vCPU's thread; good until the
 * instruction ends, even if the memory map or the page tables change meanwhile (memory.h says why).
 */
#ifndef HDL_VCPU_SOFT_PLACE_H
#define HDL_VCPU_SOFT_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct soft_place {
    uint8_t *host; /* NULL: to be dispatched */
    uint64_t gpa;
    unsigned len_bytes;
    bool may_be_code; /* a write there has to be told to code_map.h */
};

/* An access of up to a page: in one page, or in two. */
struct soft_span {
    struct soft_place piece[2]; /* the second's len_bytes may be 0 */
};

/* What soft_lock_begin found, while the world stands still. */
struct soft_locked {
    bool active;
    uint64_t linear;
    struct soft_span span;
};

#endif
