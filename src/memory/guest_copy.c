/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies to and from guest RAM as relaxed atomic accesses. No states, no locks. What a guest writes while it is read is
 * seen old or new, word by word: whoever needs a consistent picture copies once and validates the copy.
 */
#include "memory/guest_copy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* One access of size_bytes (1, 2, 4 or 8; guest aligned to it). */
static inline void load_one(uint8_t *buffer, uint8_t *guest, unsigned size_bytes)
{
    switch (size_bytes) {
    case 1: {
        *buffer = atomic_load_explicit((_Atomic uint8_t *)guest, memory_order_relaxed);
        break;
    }
    case 2: {
        uint16_t value = atomic_load_explicit((_Atomic uint16_t *)guest, memory_order_relaxed);

        memcpy(buffer, &value, sizeof(value));
        break;
    }
    case 4: {
        uint32_t value = atomic_load_explicit((_Atomic uint32_t *)guest, memory_order_relaxed);

        memcpy(buffer, &value, sizeof(value));
        break;
    }
    default: {
        uint64_t value = atomic_load_explicit((_Atomic uint64_t *)guest, memory_order_relaxed);

        memcpy(buffer, &value, sizeof(value));
        break;
    }
    }
}

static inline void store_one(uint8_t *guest, const uint8_t *buffer, unsigned size_bytes)
{
    switch (size_bytes) {
    case 1: {
        atomic_store_explicit((_Atomic uint8_t *)guest, *buffer, memory_order_relaxed);
        break;
    }
    case 2: {
        uint16_t value;

        memcpy(&value, buffer, sizeof(value));
        atomic_store_explicit((_Atomic uint16_t *)guest, value, memory_order_relaxed);
        break;
    }
    case 4: {
        uint32_t value;

        memcpy(&value, buffer, sizeof(value));
        atomic_store_explicit((_Atomic uint32_t *)guest, value, memory_order_relaxed);
        break;
    }
    default: {
        uint64_t value;

        memcpy(&value, buffer, sizeof(value));
        atomic_store_explicit((_Atomic uint64_t *)guest, value, memory_order_relaxed);
        break;
    }
    }
}

/* The access to make next: all of it if that is one aligned power of two, words where they fit, else a byte. */
static inline unsigned next_size(const uint8_t *guest, uint64_t len_bytes)
{
    uintptr_t address = (uintptr_t)guest;

    if (len_bytes >= 8 && address % 8 == 0) {
        return 8;
    }
    if ((len_bytes == 4 || len_bytes == 2) && address % len_bytes == 0) {
        return (unsigned)len_bytes;
    }
    return 1;
}

void guest_copy_from(void *buffer, uint8_t *guest, uint64_t len_bytes)
{
    uint8_t *to = buffer;

    while (len_bytes > 0) {
        unsigned size_bytes = next_size(guest, len_bytes);

        load_one(to, guest, size_bytes);
        to += size_bytes;
        guest += size_bytes;
        len_bytes -= size_bytes;
    }
}

void guest_copy_to(uint8_t *guest, const void *buffer, uint64_t len_bytes)
{
    const uint8_t *from = buffer;

    while (len_bytes > 0) {
        unsigned size_bytes = next_size(guest, len_bytes);

        store_one(guest, from, size_bytes);
        from += size_bytes;
        guest += size_bytes;
        len_bytes -= size_bytes;
    }
}
