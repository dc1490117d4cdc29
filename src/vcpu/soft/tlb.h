/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's translations of linear addresses, private to its thread. The look-up is inline in mem.h; filling is in
 * tlb.c.
 *
 * An entry's read and write words are the page's linear address with the address space's number (1..4094) in the low 12
 * bits, when an access may go straight to host memory at (linear + addend). They are the complement of that when the
 * translation holds but the access has to take the slow path: a device's page, a write to ROM or to a page that code
 * was translated from, anything while alignment is checked. 0: nothing known. (A complement can't be mistaken for
 * another page of the same entry, as its index bits differ.) The write word stands only if the guest's page table has
 * the page as dirty.
 *
 * A new CR3 is a new number, so nothing is cleared: O(1). A global page's entry whose number is old is renumbered when
 * it is met, unless a flush of all came in between: then its epoch is old, too. Numbers run out after 4,094 changes,
 * epochs after 255 flushes; then everything is cleared once.
 *
 * Behind the entries that the look-up sees is a second level, larger and associative: what one entry's pages push out
 * of each other's way. It is known to soft_tlb_find only, which swaps. Its entries go by the same rules, with one
 * difference: nobody complements a write word there when code is translated from the page, so that has to be asked
 * again on the way back.
 *
 * INVLPG drops a page from all banks whatever number it has there. For large pages, of which the TLB knows pieces of
 * 4 KiB only, and for code, which blocks elsewhere may be linked by, filters tell whether there can be more to drop.
 */
#ifndef HDL_VCPU_SOFT_TLB_H
#define HDL_VCPU_SOFT_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/flat_view.h"

#define SOFT_PAGE_BYTES  UINT64_C(4096)
#define SOFT_PAGE_MASK   (~(SOFT_PAGE_BYTES - 1))
#define SOFT_TLB_ENTRIES 4096

/* Which rules of protection hold: one bank of entries each. */
enum soft_tlb_bank {
    SOFT_TLB_USER,          /* CPL 3 */
    SOFT_TLB_SUPERVISOR,    /* CPL 0..2, user pages refused (CR4.SMAP with EFLAGS.AC clear) */
    SOFT_TLB_SUPERVISOR_AC, /* CPL 0..2, user pages allowed */
    SOFT_TLB_USER_ALIGNED,  /* CPL 3 with alignment checked (CR0.AM, EFLAGS.AC): every access takes the slow path */
    SOFT_TLB_BANKS
};

/* Low bits of soft_tlb_entry.gpa. */
enum soft_tlb_flags {
    SOFT_TLB_GLOBAL = 1 << 0,
    SOFT_TLB_LARGE = 1 << 1,  /* of a 2 MiB, 4 MiB or 1 GiB page */
    SOFT_TLB_DEVICE = 1 << 2, /* no RAM there, or less than a page */
    SOFT_TLB_ROM = 1 << 3,    /* writes are dispatched */
    SOFT_TLB_EPOCH_SHIFT = 4, /* eight bits: the epoch that a global entry is of */
};

struct soft_tlb_entry {
    uint64_t read, write;
    uintptr_t addend;
    uint64_t gpa; /* of the page, and enum soft_tlb_flags */
};

/* The second level: sets of ways, by a mixture of the page number's bits. A bank of it has a page once. */
#define SOFT_TLB_SECOND_SETS 512
#define SOFT_TLB_SECOND_WAYS 4
struct soft_tlb_second {
    struct soft_tlb_entry entry;
    uint64_t page;       /* its linear address */
    uint64_t generation; /* empty, unless it is the present one */
};

/* Where code is fetched from: direct-mapped by page number, tags as above. */
#define SOFT_TLB_CODE_ENTRIES 256
struct soft_tlb_code_entry {
    uint64_t tag;
    uint8_t *host; /* of the page */
    bool user, global, large;
    uint8_t epoch;
};

/* Bits of the filters, one for each of so many pages in turn. */
#define SOFT_TLB_LARGE_FILTER 4096  /* by 2 MiB: pieces of 2 MiB pages are in the TLB */
#define SOFT_TLB_HUGE_FILTER  256   /* by 1 GiB: pieces of 4 MiB and 1 GiB pages are */
#define SOFT_TLB_CODE_FILTER  16384 /* by page: code was fetched in this code epoch */

/* Zeroed memory is a valid empty one, after soft_tlb_select. */
struct soft_tlb {
    struct soft_tlb_entry bank[SOFT_TLB_BANKS][SOFT_TLB_ENTRIES];
    struct soft_tlb_second second[SOFT_TLB_BANKS][SOFT_TLB_SECOND_SETS][SOFT_TLB_SECOND_WAYS];
    uint64_t second_generation;
    unsigned second_next; /* the way to be given up next */
    struct soft_tlb_code_entry code[SOFT_TLB_CODE_ENTRIES];
    uint64_t large_filter[SOFT_TLB_LARGE_FILTER / 64];
    uint64_t huge_filter[SOFT_TLB_HUGE_FILTER / 64];
    uint64_t code_filter[SOFT_TLB_CODE_FILTER / 64];
    uint16_t number_of_pcid[4096]; /* none, if not above floor */
    uint16_t last_number, floor;
    uint8_t epoch;
    uint8_t current; /* the present bank */
    uint32_t code_epoch;
    uint32_t rules; /* the control bits that the entries were made under */
    struct flat_cache walk_cache;
};

static inline unsigned soft_tlb_index(uint64_t linear)
{
    return (linear / SOFT_PAGE_BYTES) % SOFT_TLB_ENTRIES;
}

#endif
