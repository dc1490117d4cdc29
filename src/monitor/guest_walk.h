/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest's linear address leads by its page tables, as a debugger sees it: permissions don't matter. */
#ifndef HDL_MONITOR_GUEST_WALK_H
#define HDL_MONITOR_GUEST_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/address_space.h"
#include "vcpu/cpu_state.h"

/*
 * Reads guest RAM or ROM, whatever guests write to it meanwhile, and never a device. An aligned entry of 4 or 8 bytes
 * is read at once. False if not all of it is there. Any registered thread, no lock held.
 */
bool guest_ram_read(struct address_space *memory, uint64_t address, void *buffer, uint64_t len_bytes);

/*
 * The physical address behind a linear one, and how many bytes from there on are in the same page. Reads page tables in
 * RAM, and marks nothing in them. False if nothing is mapped. Any registered thread, no lock held.
 */
bool guest_walk(struct address_space *memory, const struct cpu_state *state, uint64_t linear, uint64_t *physical,
                uint64_t *bytes_left);

#endif
