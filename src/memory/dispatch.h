/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dispatch: an access to guest addresses finds its way (architecture, invariant 2):
 * rcu_read_lock, look up, reference on the owner, rcu_read_unlock, device lock, handler, unlock, release.
 */
#ifndef HDL_MEMORY_DISPATCH_H
#define HDL_MEMORY_DISPATCH_H

#include "memory/address_space.h"

/*
 * One CPU access of 1..8 bytes (any size and alignment; it may cross ranges). A registered thread that holds no lock;
 * may wait for the target device's lock. A read sets *value always (all-ones, of that size, where nothing answered).
 * What crosses ranges is done piece by piece, all pieces, and the first failure is the result. A redirect leads to at
 * most one more look-up. Failures are counted in the map. cache may be NULL.
 */
enum access_result address_space_read(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                      unsigned size_bytes, uint64_t *value);
enum access_result address_space_write(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                       unsigned size_bytes, uint64_t value);

/*
 * A write that somebody held back (REGION_COALESCED) reaches its I/O region now: split, widened or refused as dispatch
 * does. region->lock is held and the thread is inside its owner (device/context.h).
 */
enum access_result region_write_locked(const struct region *region, uint64_t offset, unsigned size_bytes,
                                       uint64_t value);

#endif
