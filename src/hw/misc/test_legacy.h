/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `test-legacy`: proof that the legacy lock works. Two of these share one lock when created with the machine's
 * legacy_lock (device_create's last argument); a device of its own lock may still have its second region under it.
 *
 * Registers (32 bits, at iobase): +0 counter: a read gives it and adds one, not atomically; +4 the same for a counter
 * that all test-legacy devices of a bus share and that nothing but the legacy lock guards.
 * Wiring: isa.isa and shared_counter before realize.
 */
#ifndef HDL_HW_MISC_TEST_LEGACY_H
#define HDL_HW_MISC_TEST_LEGACY_H

#include "hw/isa.h"

/* iobase, shared_counter (the pointer): immutable after realize. */
struct test_legacy {
    struct isa_device isa; /* first */
    uint32_t iobase;
    uint64_t *shared_counter;    /* legacy lock; NULL: it has only its own */
    uint64_t counter;            /* device lock */
    struct region region;        /* +0: device lock */
    struct region legacy_region; /* +4: legacy lock, by REGION_LEGACY */
};

extern const struct device_type test_legacy_device_type;

#endif
