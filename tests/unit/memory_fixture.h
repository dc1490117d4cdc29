/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of src/memory share: a map with one space, and reproducible random numbers. One thread's own. */
#ifndef HDL_TESTS_MEMORY_FIXTURE_H
#define HDL_TESTS_MEMORY_FIXTURE_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "device/device.h"
#include "memory/address_space.h"
#include "memory/dispatch.h"
#include "memory/dma.h"

struct memory_fixture {
    struct memory_map map;
    struct region root; /* 2^64 bytes */
    struct address_space space;
};

static inline void memory_fixture_init(struct memory_fixture *fixture)
{
    memory_map_init(&fixture->map);
    region_init_container(&fixture->root, "root", 0);
    address_space_init(&fixture->space, &fixture->map, &fixture->root, "test");
}

/* The root is empty again. */
static inline void memory_fixture_destroy(struct memory_fixture *fixture)
{
    address_space_destroy(&fixture->space);
    region_destroy(&fixture->root);
    memory_map_destroy(&fixture->map);
}

static inline enum access_result test_read(struct memory_fixture *fixture, uint64_t address, unsigned size,
                                           uint64_t *value)
{
    return address_space_read(&fixture->space, NULL, address, size, value);
}

static inline enum access_result test_write(struct memory_fixture *fixture, uint64_t address, unsigned size,
                                            uint64_t value)
{
    return address_space_write(&fixture->space, NULL, address, size, value);
}

/* Marsaglia's xorshift64*; state is not 0. */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t test_random_below(uint64_t *state, uint64_t bound)
{
    return (test_random(state) >> 16) % bound;
}

#endif
