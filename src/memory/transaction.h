/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to src/memory: how a single change becomes a transaction of its own, or part of its thread's. */
#ifndef HDL_MEMORY_TRANSACTION_H
#define HDL_MEMORY_TRANSACTION_H

#include "memory/address_space.h"

/*
 * Takes the map's lock, unless the calling thread has it already because it is inside a transaction. True if it took
 * it. To the analysis the lock is taken in either case: a caller can't tell, and needn't.
 */
bool memory_transaction_join(struct memory_map *map) HDL_ACQUIRE(&map->lock);
/* own: what join returned. If true the change is published and the lock released. */
void memory_transaction_leave(struct memory_map *map, bool own) HDL_RELEASE(&map->lock);

#endif
