/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How guest instructions reach memory. The vCPU's thread.
 *
 * Addresses are linear; segments were applied before (segment.h). The inline functions hit the TLB; everything else
 * (misses, page crossings, devices, pages with code) is in mem.c, tlb.c and walk.c. Accesses to RAM are the host's own
 * plain accesses, so the guest sees the host's memory order (TSO), and its races are its own: the functions that touch
 * RAM are exempt from ThreadSanitizer, which would judge the guest's program.
 *
 * A fault doesn't return: soft_raise_page_fault jumps to the run loop. So what an instruction changes must wait for its
 * last access.
 */
#ifndef HDL_VCPU_SOFT_MEM_H
#define HDL_VCPU_SOFT_MEM_H

#include <string.h>

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/op.h"

/* See the file's comment. Guest accesses are unaligned as well. */
#define SOFT_GUEST_ACCESS __attribute__((no_sanitize("thread", "alignment")))

/* --- in exec functions and slow paths: cpu->rip is set ----------------------------------------------------------- */

/*
 * size_bytes: 1, 2, 4, 8. May cross pages. Atomic if aligned and RAM. What isn't canonical in long mode raises #GP(0):
 * segment.h knows better for SS, and asks first. Without long mode addresses wrap at 4 GiB. Misaligned ones raise #AC
 * when that is checked; so do probes and locks, but not the functions for bytes, nor the CPU's own accesses.
 */
uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes);
void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value);
/* Any length up to 4096: all of it is checked before any of it is done. For 16-byte operands, FXSAVE, frames. */
void soft_read_bytes(struct soft_cpu *cpu, uint64_t linear, void *buffer, unsigned len_bytes);
void soft_write_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buffer, unsigned len_bytes);
/* Raises what a write of size_bytes would raise, and writes nothing. */
void soft_probe_write(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes);
void soft_probe_read(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes);
/*
 * The CPU's own accesses to descriptor tables and task state segments: with supervisor rights whatever the CPL (SDM 3,
 * 4.6.1 "implicit supervisor-mode accesses").
 */
uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes);
void soft_store_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value);
/* Sets or clears bits of a 32-bit word atomically, likewise: a descriptor's busy or accessed bit. */
void soft_or_system32(struct soft_cpu *cpu, uint64_t linear, uint32_t set, uint32_t clear);

/*
 * The host's address of guest memory, for block copies: of `linear` for reading (write = false) or writing, and in
 * *len_bytes how much of the given length lies in the same page. NULL: it has to be done with loads and stores (a
 * device, a page with code, nothing mapped yet) for at least one element. Raises no fault. Good until the next access
 * by any other function here: that may be a device's, and other vCPUs may translate code from the page meanwhile.
 */
uint8_t *soft_host_range(struct soft_cpu *cpu, uint64_t linear, uint64_t *len_bytes, bool write);

/*
 * Read-modify-write under LOCK: gives the host's address if one host instruction can do it: RAM, within a page, no code
 * there; to be used at once. Otherwise NULL, and the world stands still: every other vCPU is outside guest code until
 * soft_lock_end; in between, soft_load_slow and soft_store_slow do it, any part of it, and no other access is allowed.
 * Raises what a write would raise, before that; the two never do.
 */
void *soft_lock_begin(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes);
/* Only after NULL. */
void soft_lock_end(struct soft_cpu *cpu);

/* --- inline: from micro-operations ------------------------------------------------------------------------------- */

/* Copies guest bytes that others may write meanwhile: each is read once. */
static inline SOFT_GUEST_ACCESS void soft_copy_out(uint8_t *buffer, const uint8_t *host, unsigned len_bytes)
{
    for (unsigned i = 0; i < len_bytes; i++) {
        buffer[i] = __atomic_load_n(host + i, __ATOMIC_RELAXED);
    }
}

static inline struct soft_tlb_entry *soft_tlb_entry(struct soft_cpu *cpu, uint64_t linear)
{
    return &cpu->tlb[soft_tlb_index(linear)];
}

/* The word that an entry has if an access of that size lies in its page and may go ahead. */
static inline uint64_t soft_tlb_want(const struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    /* A crossing access has the following page's number, which another entry's index belongs to: no hit. */
    return ((linear + (size_bytes - 1)) & SOFT_PAGE_MASK) + cpu->tlb_tag;
}

#define SOFT_DEFINE_ACCESS(bits, bytes)                                                                                \
    typedef uint##bits##_t __attribute__((aligned(1), may_alias)) soft_guest_u##bits;                                  \
    static inline SOFT_GUEST_ACCESS uint##bits##_t soft_load##bits(struct soft_cpu *cpu, const struct soft_op *op,     \
                                                                   uint64_t linear)                                    \
    {                                                                                                                  \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        if (likely(entry->read == soft_tlb_want(cpu, linear, bytes))) {                                                \
            return *(const soft_guest_u##bits *)(linear + entry->addend);                                              \
        }                                                                                                              \
        cpu->rip = soft_op_rip(cpu, op);                                                                               \
        return (uint##bits##_t)soft_load_slow(cpu, linear, bytes);                                                     \
    }                                                                                                                  \
    static inline SOFT_GUEST_ACCESS void soft_store##bits(struct soft_cpu *cpu, const struct soft_op *op,              \
                                                          uint64_t linear, uint##bits##_t value)                       \
    {                                                                                                                  \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        if (likely(entry->write == soft_tlb_want(cpu, linear, bytes))) {                                               \
            *(soft_guest_u##bits *)(linear + entry->addend) = value;                                                   \
            return;                                                                                                    \
        }                                                                                                              \
        cpu->rip = soft_op_rip(cpu, op);                                                                               \
        soft_store_slow(cpu, linear, bytes, value);                                                                    \
    }                                                                                                                  \
    /* The host's address for a read, a write, or both (not LOCKed) of the same place; NULL: the slow way. */          \
    static inline const soft_guest_u##bits *soft_reach_read##bits(struct soft_cpu *cpu, uint64_t linear)               \
    {                                                                                                                  \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        return likely(entry->read == soft_tlb_want(cpu, linear, bytes))                                                \
                   ? (const soft_guest_u##bits *)(linear + entry->addend)                                              \
                   : NULL;                                                                                             \
    }                                                                                                                  \
    static inline soft_guest_u##bits *soft_reach_write##bits(struct soft_cpu *cpu, uint64_t linear)                    \
    {                                                                                                                  \
        const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);                                              \
        return likely(entry->write == soft_tlb_want(cpu, linear, bytes))                                               \
                   ? (soft_guest_u##bits *)(linear + entry->addend)                                                    \
                   : NULL;                                                                                             \
    }

SOFT_DEFINE_ACCESS(8, 1)
SOFT_DEFINE_ACCESS(16, 2)
SOFT_DEFINE_ACCESS(32, 4)
SOFT_DEFINE_ACCESS(64, 8)

/* The host's address of `count` words in a row, all of which may be written, or read; NULL: one by one. */
static inline soft_guest_u64 *soft_reach_write_run(struct soft_cpu *cpu, uint64_t linear, unsigned count)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    return likely(entry->write == soft_tlb_want(cpu, linear, 8 * count)) ? (soft_guest_u64 *)(linear + entry->addend)
                                                                         : NULL;
}

static inline const soft_guest_u64 *soft_reach_read_run(struct soft_cpu *cpu, uint64_t linear, unsigned count)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    return likely(entry->read == soft_tlb_want(cpu, linear, 8 * count))
               ? (const soft_guest_u64 *)(linear + entry->addend)
               : NULL;
}

/* The host's address if both a read and a write of any size would hit; NULL: soft_lock_begin, or the slow ways. */
static inline void *soft_reach_modify(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);
    uint64_t want = soft_tlb_want(cpu, linear, size_bytes);

    return likely(entry->write == want && entry->read == want) ? (void *)(linear + entry->addend) : NULL;
}

/* --- for exec functions: the operand of an instruction ------------------------------------------------------------ */

/* Guest RAM at a host address: 1, 2, 4 or 8 bytes, in one access if aligned. */
static inline SOFT_GUEST_ACCESS uint64_t soft_host_load(const void *host, unsigned size_bytes)
{
    switch (size_bytes) {
    case 1:
        return *(const soft_guest_u8 *)host;
    case 2:
        return *(const soft_guest_u16 *)host;
    case 4:
        return *(const soft_guest_u32 *)host;
    default:
        return *(const soft_guest_u64 *)host;
    }
}

static inline SOFT_GUEST_ACCESS void soft_host_store(void *host, unsigned size_bytes, uint64_t value)
{
    switch (size_bytes) {
    case 1:
        *(soft_guest_u8 *)host = (uint8_t)value;
        break;
    case 2:
        *(soft_guest_u16 *)host = (uint16_t)value;
        break;
    case 4:
        *(soft_guest_u32 *)host = (uint32_t)value;
        break;
    default:
        *(soft_guest_u64 *)host = value;
    }
}

/* The hit path for any size, with cpu->rip set already. */
static inline uint64_t soft_load(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->read == soft_tlb_want(cpu, linear, size_bytes))) {
        return soft_host_load((const void *)(linear + entry->addend), size_bytes);
    }
    return soft_load_slow(cpu, linear, size_bytes);
}

static inline void soft_store(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->write == soft_tlb_want(cpu, linear, size_bytes))) {
        soft_host_store((void *)(linear + entry->addend), size_bytes, value);
        return;
    }
    soft_store_slow(cpu, linear, size_bytes, value);
}

#endif
