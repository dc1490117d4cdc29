/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks: runs of guest instructions as micro-operations, in a cache private to their vCPU.
 *
 * A block is found by the host's address of its first byte (so that two mappings of the same RAM are one), its
 * instruction pointer, and the mode. Its code may be changed by this CPU, by another, or by a device: code_map.h says
 * when. It is then stale: its micro-operations are overwritten with ones that leave for the look-up, so whoever is in
 * it, or jumps to it, ends there at the next instruction. Its memory is reused only when the whole cache is emptied.
 */
#ifndef HDL_VCPU_SOFT_BLOCK_H
#define HDL_VCPU_SOFT_BLOCK_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/op.h"

struct soft_decoder;

/* NULL: out of memory. */
struct soft_cache *soft_cache_create(const struct soft_decoder *decoder);
void soft_cache_destroy(struct soft_cache *cache);

/* Its table of jumps (op.h), for cpu->jumps. */
struct soft_jump_entry *soft_cache_jumps(struct soft_cache *cache);

/* The block at cpu->rip, decoded if need be; gpr[SOFT_REG_PC] is set. May raise (a fetch's page fault, #UD, #GP). */
const struct soft_op *soft_block_find(struct soft_cpu *cpu);
/*
 * Whether what soft_block_find has just returned may be remembered. Not: an instruction that crosses a page, one
 * outside RAM, or one alone (SOFT_MODE_ONE).
 */
bool soft_block_is_lasting(const struct soft_cpu *cpu);
/* Changes when the cache is emptied: micro-operations found before are gone. */
uint64_t soft_cache_generation(const struct soft_cpu *cpu);
/* All blocks go, at the next look-up, which comes before the next block runs. Any time on the vCPU's thread. */
void soft_cache_clear(struct soft_cpu *cpu);
/*
 * Makes this vCPU's blocks stale that have code in len_bytes from host on (within one page). Any time on the vCPU's
 * thread. An instruction under way finishes.
 */
void soft_blocks_invalidate(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes);

#endif
