/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paging: from linear to guest-physical addresses, and filling the TLB (SDM 3, chapter 4). The vCPU's thread, but for
 * what says otherwise.
 */
#ifndef HDL_VCPU_SOFT_MMU_H
#define HDL_VCPU_SOFT_MMU_H

#include "vcpu/soft/cpu.h"

/* Bits of a page fault's error code (SDM 3, 4.7). */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

/* Forgets everything, global pages too: power-on, CR0.PG, CR4.PGE and the like, a changed memory map. */
void soft_tlb_flush_all(struct soft_cpu *cpu);
/* Forgets what isn't global in the present address space: O(1). */
void soft_tlb_flush_local(struct soft_cpu *cpu);
/* CR3 was written: the TLB follows. keep: CR3's bit 63, with CR4.PCIDE: what the PCID's number has is still true. */
void soft_tlb_load_cr3(struct soft_cpu *cpu, bool keep);
/* INVLPG: one page, global or not, in the present address space. Large pages go as a whole. */
void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t linear);
/* INVPCID, types 0 to 3 (SDM 2, INVPCID). */
void soft_tlb_invpcid(struct soft_cpu *cpu, unsigned type, uint16_t pcid, uint64_t linear);
/*
 * CPL, RFLAGS.AC, CR0, CR4 or EFER have changed: chooses the bank, and forgets what no longer holds. (It flushes all by
 * itself when paging bits have changed.) After reset too: it makes zeroed memory a TLB.
 */
void soft_tlb_select(struct soft_cpu *cpu);

/*
 * The entry for an access in one page, filled if need be; one of its words for it stands, fast or slow. bank: enum
 * soft_tlb_bank. linear is canonical, or below 2^32. Raises page faults. Good until the next access or quiet time.
 */
struct soft_tlb_entry *soft_tlb_find(struct soft_cpu *cpu, unsigned bank, uint64_t linear, bool write);
/* The present bank's entry that linear would have, renumbered if it is global. No fill, no fault. */
const struct soft_tlb_entry *soft_tlb_peek(struct soft_cpu *cpu, uint64_t linear);

/*
 * Where code at a linear address is: the host's address of the byte, valid to the end of the page while the code
 * generation stays; or NULL with *gpa when it isn't RAM. Raises page faults and SMEP's. Canonical addresses only.
 */
uint8_t *soft_code_at(struct soft_cpu *cpu, uint64_t linear, uint64_t *gpa);

/* The guest-physical address of a linear one without rights, faults or accessed bits: for debuggers. */
bool soft_translate(struct soft_cpu *cpu, uint64_t linear, uint64_t *gpa);

/* PAE paging loads four entries with CR3 (SDM 3, 4.4.1). False: one has a reserved bit set: #GP. */
bool soft_load_pdptes(struct soft_cpu *cpu, uint64_t cr3);

/* Physical address bits: 40, as CPUID 80000008 says. */
#define SOFT_PHYSICAL_BITS 40

#endif
