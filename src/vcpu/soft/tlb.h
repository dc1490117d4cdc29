/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's translations of linear addresses, private to its thread. The look-up is inline in mem.h; filling is mmu.c.
 *
 * An entry's read and write words are the page's linear address with the address space's number (1..4095) in the low 12
 * bits, when an access may go straight to host memory at (linear + addend). They are the complement of that when the
 * translation holds but the access has to take the slow path: a device's page, or one that code was translated from. 0:
 * nothing known. (A complement can't be mistaken for another page of the same entry, as its index bits differ.)
 *
 * A new CR3 is a new number, so nothing is cleared: O(1). A global page's entry whose number is old is renumbered when
 * it is met. Numbers run out after 4,095 changes; then everything is cleared once.
 */
#ifndef HDL_VCPU_SOFT_TLB_H
#define HDL_VCPU_SOFT_TLB_H

#include <stdbool.h>
#include <stdint.h>

#define SOFT_PAGE_BYTES  UINT64_C(4096)
#define SOFT_PAGE_MASK   (~(SOFT_PAGE_BYTES - 1))
#define SOFT_TLB_ENTRIES 1024

/* Which rules of protection hold: one bank of entries each. */
enum soft_tlb_bank {
    SOFT_TLB_USER,          /* CPL 3 */
    SOFT_TLB_SUPERVISOR,    /* CPL 0..2, user pages refused (CR4.SMAP with EFLAGS.AC clear) */
    SOFT_TLB_SUPERVISOR_AC, /* CPL 0..2, user pages allowed */
    SOFT_TLB_BANKS
};

/* Low bits of soft_tlb_entry.gpa. */
enum soft_tlb_flags {
    SOFT_TLB_GLOBAL = 1 << 0,
    SOFT_TLB_LARGE = 1 << 1,  /* of a 2 MiB, 4 MiB or 1 GiB page */
    SOFT_TLB_DEVICE = 1 << 2, /* no RAM there */
};

struct soft_tlb_entry {
    uint64_t read, write;
    uintptr_t addend;
    uint64_t gpa; /* of the page, and enum soft_tlb_flags */
};

/* Where code is fetched from: direct-mapped by page number, tags as above. */
#define SOFT_TLB_CODE_ENTRIES 256
struct soft_tlb_code_entry {
    uint64_t tag;
    uint8_t *host; /* of the page */
    bool user, global;
};

struct soft_tlb {
    struct soft_tlb_entry bank[SOFT_TLB_BANKS][SOFT_TLB_ENTRIES];
    struct soft_tlb_code_entry code[SOFT_TLB_CODE_ENTRIES];
    uint16_t number_of_pcid[4096]; /* 0: none yet */
    uint16_t last_number;
    uint64_t large_base,
        large_mask; /* all large pages in the TLB lie in the one range that these describe; mask 0: none */
};

static inline unsigned soft_tlb_index(uint64_t linear)
{
    return (linear / SOFT_PAGE_BYTES) % SOFT_TLB_ENTRIES;
}

#endif
