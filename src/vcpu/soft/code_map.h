/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which guest memory holds code that some vCPU has translated, so that whoever changes it is noticed: another vCPU, the
 * same one, or a device's DMA; and how vCPUs wait for each other. Shared by all vCPUs; lock-free on the paths that run.
 *
 * RAM is known in slots, by the host's address. A page has a mask, a bit for each 128 bytes that hold code, set by
 * whoever translates.
 *
 * Translating: the vCPU marks the chunks (soft_code_mark). If that is news, other vCPUs may have the page writable in
 * their TLBs, and would write without looking: so they are asked to forget it, and the marking vCPU waits until each
 * has done so or is outside guest code, being itself outside meanwhile. Then it reads the code. Writing: a store that
 * misses the TLB's writable entry looks at the mask; if it hits a marked chunk, it stores, makes its own blocks stale
 * at once, and has every other vCPU do so at its next block (VCPU_REQUEST_ACCEL). A page that is written to again and
 * again loses its marks, and all vCPUs their blocks from it: it holds data now.
 */
#ifndef HDL_VCPU_SOFT_CODE_MAP_H
#define HDL_VCPU_SOFT_CODE_MAP_H

#include "vcpu/soft/cpu.h"

/* What marks are made of; they begin and end at its multiples. */
#define SOFT_CODE_CHUNK_BYTES 128

/*
 * Any vCPU's thread, in a run, not inside an access. Marks len_bytes from host on (in one page), which the caller reads
 * afterwards. May wait, and so do what soft_quiet_end does: if soft_blocks_invalidate or soft_cache_clear comes in
 * between, earlier marks for the same block are void.
 */
void soft_code_mark(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes);
/* Whether stores to the page go the slow way: it has a marked chunk. */
bool soft_code_page_is_marked(struct soft_cpu *cpu, const uint8_t *host);
/* This vCPU has stored to len_bytes from host on (in one page). */
void soft_code_written(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes);

/*
 * A run begins and ends. In between, others may wait for this vCPU, but for quiet times. `place` is set by these four
 * only. Entering does all that soft_serve_accel does; nothing found in an earlier run may be used.
 */
void soft_guest_enter(struct soft_cpu *cpu);
void soft_guest_leave(struct soft_cpu *cpu);
/*
 * Outside guest code for a while: before anything that may wait (a device's access). Others don't wait for this vCPU in
 * between; afterwards it has served what they asked for: blocks may have gone stale and TLB entries, so what was found
 * out by soft_host_range or soft_lock_begin has to be found out anew.
 */
void soft_quiet_begin(struct soft_cpu *cpu);
void soft_quiet_end(struct soft_cpu *cpu);
/*
 * Between blocks, when VCPU_REQUEST_ACCEL was set, which it clears: does what other threads asked for (blocks gone
 * stale, pages no longer writable, a changed memory map, the world standing still).
 */
void soft_serve_accel(struct soft_cpu *cpu);

/*
 * Every other vCPU is outside guest code, and stays there. The world moves on by soft_world_go. In a run; waits. Until
 * then this vCPU must not end its instruction.
 */
void soft_world_stop(struct soft_cpu *cpu);
void soft_world_go(struct soft_cpu *cpu);

#endif
