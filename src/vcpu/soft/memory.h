/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the vCPUs of a VM share about guest memory: which RAM there is, where code was translated from, and how they
 * keep out of each other's way. Private to src/vcpu/soft (memory.c, code_map.c, and who reaches memory).
 *
 * RAM that a vCPU has found stays until the vCPU is between two blocks, or outside a run: a slot holds a reference on
 * the block, and one that is shown no more is freed only when every vCPU has been there since (map_seen). So host
 * addresses in TLBs and in the hands of an instruction under way are always good, and no vCPU holds an RCU read section
 * while guest code runs.
 */
#ifndef HDL_VCPU_SOFT_MEMORY_H
#define HDL_VCPU_SOFT_MEMORY_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/rcu.h"
#include "memory/address_space.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/soft/soft_vm.h"

/* --- slots -------------------------------------------------------------------------------------------------------- */

/*
 * A RAM block that the memory space shows, or has shown. memory, block, host, len_bytes, pages, hits: immutable. What
 * pages and hits point to: any thread, atomically (code_map.c). shown, retired_at: under the memory's lock.
 */
struct soft_slot {
    struct ram_write_watch watch;
    struct soft_memory *memory;
    struct ram_block *block; /* a reference */
    uint8_t *host;
    uint64_t len_bytes;
    _Atomic uint64_t *pages; /* a word a page: code_map.c */
    _Atomic uint16_t *hits;  /* a page's writes to code: code_map.c */
    unsigned shown;          /* how many ranges show part of it */
    uint64_t retired_at;     /* the map generation since which none does; 0: one does */
    struct rcu_head rcu;
};

/* Immutable once published. */
struct soft_slots {
    struct rcu_head rcu;
    unsigned count;
    struct soft_slot *slot[];
};

/* --- news for vCPUs ----------------------------------------------------------------------------------------------- */

/* A ring that all vCPUs read to its end. Each cell is one word, so it is never seen half-written. */
#define SOFT_NEWS_CELLS 4096

/* A map_seen that stands for "in no run": it has found nothing that it could still use. */
#define SOFT_MAP_OUTSIDE UINT64_MAX

/* A range of whole pages of RAM that a vCPU has found: good for as long as its TLB's entries are. */
struct soft_window {
    uint64_t start, len_bytes; /* len_bytes 0: none */
    uint8_t *host;
    struct soft_slot *slot;
    bool read_only;
};
#define SOFT_WINDOWS 2

/*
 * A vCPU among the others. vcpu: set and cleared by its thread, read under RCU. map_seen, news_seen: written by its
 * thread, read by any. event, waiters: any thread. The rest: its thread.
 */
struct soft_member {
    HDL_CACHE_ALIGNED struct vcpu *_Atomic vcpu;
    _Atomic uint64_t map_seen;  /* the map generation whose retired slots it has let go */
    _Atomic uint64_t news_seen; /* all news before this one has been acted upon */
    _Atomic uint32_t event;     /* futex: changes when a waiter should look again */
    _Atomic uint32_t waiters;
    unsigned index;
    uint64_t map_flushed;                    /* the map generation that its TLB knows */
    uint64_t map_let_go;                     /* the last one that map_seen was set to, within a run */
    uint64_t changes;                        /* counts news that code changed */
    struct soft_slot *slot;                  /* where it found something last; NULL: nowhere yet */
    struct soft_window window[SOFT_WINDOWS]; /* below and above 4 GiB, where RAM is in two parts */
};

/*
 * space, members: immutable, what members point to see above. slots: written under lock, read under RCU. news,
 * news_head, map_generation, last_retired, stopper, stop_waiters, retired: any thread, atomically.
 */
struct soft_memory {
    struct address_space *space;
    struct memory_listener listener;
    bool changed;          /* by the transaction under way: memory map's lock */
    struct hdl_mutex lock; /* leaf: which slots there are */
    struct soft_slots *_Atomic slots;
    _Atomic uint32_t retired; /* how many slots wait to be freed */
    struct soft_member *members;
    unsigned member_count;
    /* What every vCPU looks at when it enters the guest: one line. */
    HDL_CACHE_ALIGNED _Atomic uint64_t news_head;
    _Atomic uint64_t map_generation;
    _Atomic uint64_t last_retired; /* the generation in which a slot was last retired */
    _Atomic uint32_t stopper;      /* futex: index + 1 of the vCPU for which the world stands still; 0: it moves */
    _Atomic uint32_t stop_waiters;
    HDL_CACHE_ALIGNED _Atomic uint64_t news[SOFT_NEWS_CELLS];
};

/* --- finding RAM -------------------------------------------------------------------------------------------------- */

/* soft_ram_find's slow way. */
const struct soft_window *soft_ram_find_slow(struct soft_cpu *cpu, uint64_t gpa);

/*
 * The window that the page of gpa lies in, all of it. NULL: there is no RAM, or less than a page; dispatch knows more.
 * The vCPU's thread, in a run; good until the next call.
 */
static inline const struct soft_window *soft_ram_find(struct soft_cpu *cpu, uint64_t gpa)
{
    const struct soft_window *window = &cpu->member->window[gpa >> 32 ? 1 : 0];

    return likely(gpa - window->start < window->len_bytes) ? window : soft_ram_find_slow(cpu, gpa);
}

static inline uint8_t *soft_window_host(const struct soft_window *window, uint64_t gpa)
{
    return window->host + (gpa - window->start);
}

/* The windows show a map that is no more. */
void soft_ram_forget(struct soft_member *member);
/* The slot that host lies in; one that soft_ram_find found is found as long as the instruction lasts. Likewise. */
struct soft_slot *soft_slot_find(struct soft_cpu *cpu, const uint8_t *host);

/* The lowest map generation that no vCPU needs slots from before has risen: frees what can be. Any thread. */
void soft_memory_reap(struct soft_memory *memory);

static inline _Atomic uint64_t *soft_slot_page(const struct soft_slot *slot, const uint8_t *host)
{
    return &slot->pages[(uint64_t)(host - slot->host) / SOFT_PAGE_BYTES];
}

/* --- code_map.c, for those who know the slot ---------------------------------------------------------------------- */

/* As soft_code_written. */
void soft_code_stored(struct soft_cpu *cpu, struct soft_slot *slot, const uint8_t *host, unsigned len_bytes);
/*
 * This vCPU is about to make the page writable in its TLB. False: it must not, the page has code. True: it must do so
 * without looking elsewhere in between.
 */
bool soft_code_let_write(struct soft_slot *slot, const uint8_t *host);
/* A slot's watch: a device has written. */
void soft_code_watch(struct ram_write_watch *watch, const uint8_t *host, uint64_t len_bytes);
/* Makes all vCPUs that run look at the memory map at their next block. Any thread; doesn't wait. */
void soft_members_ask(struct soft_memory *memory);

/* tlb.c: the page isn't written by the fast path any more. */
void soft_tlb_protect(struct soft_cpu *cpu, const uint8_t *host_page);

#endif
