/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page-table walks: 32-bit, PAE and 4-level paging as one loop over levels, which differ in what they shift and which
 * bits are reserved.
 *
 * Page tables are guest memory that other CPUs and devices change meanwhile. Each entry is read once, as one access.
 * When all rights are known, the accessed and dirty bits that lack are set by compare-and-swap on the entry that was
 * read: if it has changed, the walk starts over. Tables outside RAM are read as dispatch gives them, and stay as they
 * are. A hostile guest can make a walk start over only as often as it changes the entry.
 */
#include "vcpu/soft/walk.h"

#include "memory/dispatch.h"
#include "memory/dma.h"
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/memory.h"
#include "vcpu/soft/mmu.h"

#define PTE_P  UINT64_C(0x1)
#define PTE_RW UINT64_C(0x2)
#define PTE_US UINT64_C(0x4)
#define PTE_A  UINT64_C(0x20)
#define PTE_D  UINT64_C(0x40)
#define PTE_PS UINT64_C(0x80)
#define PTE_G  UINT64_C(0x100)
#define PTE_NX (UINT64_C(1) << 63)

/* Bits from..to, both included. */
#define BITS(from, to) ((UINT64_MAX >> (63 - (to))) & (UINT64_MAX << (from)))

#define PTE_ADDRESS BITS(12, SOFT_PHYSICAL_BITS - 1)
/* CPUID.80000001:EDX: pages of 1 GiB. */
#define FEATURE_PDPE1GB (UINT32_C(1) << 26)

enum walk_format { WALK_32, WALK_PAE, WALK_4LEVEL };

/* An entry that the walk went through. */
struct walk_step {
    uint8_t *host; /* NULL: can't be written */
    struct soft_slot *slot;
    uint64_t value;
};

struct walker {
    struct soft_cpu *cpu;
    const struct soft_walk_request *request;
    enum walk_format format;
    unsigned entry_bytes;
    unsigned count;
    unsigned shift; /* of the last step: the page's, if it is the leaf */
    struct walk_step steps[4];
    uint64_t rights; /* PTE_RW and PTE_US of all levels */
    uint64_t denied; /* PTE_NX of any level */
};

/* --- failing ------------------------------------------------------------------------------------------------------ */

/* The error code (SDM 3, 4.7). bits: PF_PRESENT, PF_RESERVED. */
static uint32_t walk_error(const struct walker *walker, uint32_t bits)
{
    const struct soft_cpu *cpu = walker->cpu;
    bool tells_fetch = (cpu->cr4 & CR4_SMEP) || ((cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE));

    bits |= walker->request->access & (PF_WRITE | PF_USER);
    return (walker->request->access & PF_FETCH) && tells_fetch ? bits | PF_FETCH : bits;
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static uint64_t walk_load_debug(const struct walker *walker, uint64_t gpa)
{
    uint64_t value = 0;

    if (dma_read(soft_common(walker->cpu)->vm->config.memory, gpa, &value, walker->entry_bytes) != ACCESS_OK) {
        return 0;
    }
    return value;
}

static uint64_t walk_load_dispatched(const struct walker *walker, uint64_t gpa)
{
    struct vcpu *vcpu = soft_common(walker->cpu);
    uint64_t value;

    soft_quiet_begin(walker->cpu);
    address_space_read(vcpu->vm->config.memory, &vcpu->memory_cache, gpa, walker->entry_bytes, &value);
    soft_quiet_end(walker->cpu);
    return value;
}

static uint64_t walk_load(struct walker *walker, uint64_t gpa, struct walk_step *step)
{
    const struct soft_window *window;
    uint8_t *host;

    step->host = NULL;
    if (unlikely(walker->request->debug)) {
        return walk_load_debug(walker, gpa);
    }
    window = soft_ram_find(walker->cpu, gpa);
    if (unlikely(!window)) {
        return walk_load_dispatched(walker, gpa);
    }
    host = soft_window_host(window, gpa);
    if (!window->read_only) {
        step->host = host;
        step->slot = window->slot;
    }
    return walker->entry_bytes == 8 ? atomic_load_explicit((_Atomic uint64_t *)host, memory_order_relaxed)
                                    : atomic_load_explicit((_Atomic uint32_t *)host, memory_order_relaxed);
}

/* False: the entry isn't what it was. */
static bool walk_set_bits(const struct walker *walker, const struct walk_step *step, uint64_t bits)
{
    bool done;

    if (!step->host || (step->value & bits) == bits) {
        return true;
    }
    if (walker->entry_bytes == 8) {
        uint64_t expected = step->value;

        done = atomic_compare_exchange_strong((_Atomic uint64_t *)step->host, &expected, expected | bits);
    } else {
        uint32_t expected = (uint32_t)step->value;

        done = atomic_compare_exchange_strong((_Atomic uint32_t *)step->host, &expected, expected | (uint32_t)bits);
    }
    if (done) {
        soft_code_stored(walker->cpu, step->slot, step->host, walker->entry_bytes);
    }
    return done;
}

/* Accessed bits from the root on, the dirty bit in the leaf with its accessed bit. */
static bool walk_touch(const struct walker *walker)
{
    uint64_t leaf_bits = PTE_A | (walker->request->access & PF_WRITE ? PTE_D : 0);

    for (unsigned i = 0; i < walker->count; i++) {
        if (!walk_set_bits(walker, &walker->steps[i], i + 1 == walker->count ? leaf_bits : PTE_A)) {
            return false;
        }
    }
    return true;
}

/* --- levels ------------------------------------------------------------------------------------------------------- */

/* Whether an entry of that level may name a page instead of a table. */
static bool walk_has_large(const struct walker *walker, unsigned shift)
{
    const struct soft_cpu *cpu = walker->cpu;

    switch (shift) {
    case 21:
        return true;
    case 22:
        return cpu->cr4 & CR4_PSE;
    case 30:
        return cpu->features.identity.words[CPU_WORD_80000001_EDX] & FEATURE_PDPE1GB;
    default:
        return false;
    }
}

/* Which bits have to be 0 (SDM 3, tables 4-4 to 4-20). */
static uint64_t walk_reserved(const struct walker *walker, unsigned shift, bool leaf)
{
    uint64_t reserved;

    if (walker->format == WALK_32) {
        /* The address of a 4 MiB page has its bits 39:32 in 20:13 (PSE-36). */
        return leaf && shift == 22 ? BITS(21, 21) : 0;
    }
    reserved = walker->format == WALK_PAE ? BITS(SOFT_PHYSICAL_BITS, 62) : BITS(SOFT_PHYSICAL_BITS, 51);
    if (!(walker->cpu->efer & EFER_NXE)) {
        reserved |= PTE_NX;
    }
    if (leaf && shift > 12) {
        reserved |= BITS(13, shift - 1);
    } else if (shift > 21) {
        reserved |= PTE_PS;
    }
    return reserved;
}

/* Steps from table on until a page is named. False: *bits say why not. */
static bool walk_down(struct walker *walker, uint64_t table, unsigned shift, uint32_t *bits)
{
    unsigned index_bits = walker->format == WALK_32 ? 10 : 9;

    walker->rights = PTE_RW | PTE_US;
    walker->denied = 0;
    for (walker->count = 0;; shift -= index_bits) {
        struct walk_step *step = &walker->steps[walker->count++];
        uint64_t index = walker->request->linear >> shift & ((1u << index_bits) - 1);
        uint64_t value = walk_load(walker, table + index * walker->entry_bytes, step);
        bool leaf = shift == 12 || ((value & PTE_PS) && walk_has_large(walker, shift));

        step->value = value;
        if (!(value & PTE_P)) {
            *bits = 0;
            return false;
        }
        if (unlikely(value & walk_reserved(walker, shift, leaf))) {
            *bits = PF_PRESENT | PF_RESERVED;
            return false;
        }
        walker->rights &= value;
        walker->denied |= value & PTE_NX;
        if (leaf) {
            walker->shift = shift;
            return true;
        }
        table = value & PTE_ADDRESS;
    }
}

/* From CR3. */
static bool walk_begin(struct walker *walker, uint32_t *bits)
{
    const struct soft_cpu *cpu = walker->cpu;
    uint64_t pdpte;

    switch (walker->format) {
    case WALK_4LEVEL:
        return walk_down(walker, cpu->cr3 & PTE_ADDRESS, 39, bits);
    case WALK_PAE:
        pdpte = cpu->pdpte[walker->request->linear >> 30 & 3];
        if (!(pdpte & PTE_P)) {
            *bits = 0;
            return false;
        }
        return walk_down(walker, pdpte & PTE_ADDRESS, 21, bits);
    default:
        return walk_down(walker, cpu->cr3 & BITS(12, 31), 22, bits);
    }
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

/* SDM 3, 4.6.1. */
static bool walk_is_allowed(const struct walker *walker)
{
    const struct soft_cpu *cpu = walker->cpu;
    unsigned access = walker->request->access;
    bool user_page = walker->rights & PTE_US;

    if (access & PF_FETCH) {
        if (walker->denied || (access & PF_USER ? !user_page : user_page && (cpu->cr4 & CR4_SMEP))) {
            return false;
        }
    } else if (access & PF_USER ? !user_page : user_page && walker->request->refuse_user) {
        return false;
    }
    return !(access & PF_WRITE) || (walker->rights & PTE_RW) || (!(access & PF_USER) && !(cpu->cr0 & CR0_WP));
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static void walk_result(const struct walker *walker, struct soft_walk *walk)
{
    const struct walk_step *leaf = &walker->steps[walker->count - 1];
    uint64_t offset_mask = (UINT64_C(1) << walker->shift) - 1;
    uint64_t frame = leaf->value & PTE_ADDRESS;

    if (walker->format == WALK_32) {
        frame &= UINT32_MAX;
        if (walker->shift == 22) {
            frame = (leaf->value & BITS(22, 31)) | (leaf->value & BITS(13, 20)) << (32 - 13);
        }
    }
    *walk = (struct soft_walk){
        .gpa = (frame & ~offset_mask) | (walker->request->linear & offset_mask),
        .page_shift = (uint8_t)walker->shift,
        .user = walker->rights & PTE_US,
        .writable = walker->rights & PTE_RW,
        .no_execute = walker->denied,
        .global = (leaf->value & PTE_G) && (walker->cpu->cr4 & CR4_PGE),
        .dirty = !leaf->host || (leaf->value & PTE_D) || (walker->request->access & PF_WRITE),
    };
}

bool soft_walk(struct soft_cpu *cpu, const struct soft_walk_request *request, struct soft_walk *walk)
{
    struct walker walker;
    uint32_t bits;

    if (!(cpu->cr0 & CR0_PG)) {
        *walk =
            (struct soft_walk){.gpa = request->linear, .page_shift = 12, .user = true, .writable = true, .dirty = true};
        return true;
    }
    walker.cpu = cpu;
    walker.request = request;
    walker.format = soft_is_long(cpu) ? WALK_4LEVEL : cpu->cr4 & CR4_PAE ? WALK_PAE : WALK_32;
    walker.entry_bytes = walker.format == WALK_32 ? 4 : 8;
    do {
        if (!walk_begin(&walker, &bits)) {
            walk->error = walk_error(&walker, bits);
            return false;
        }
        if (request->debug) {
            break;
        }
        if (!walk_is_allowed(&walker)) {
            walk->error = walk_error(&walker, PF_PRESENT);
            return false;
        }
    } while (!walk_touch(&walker));
    walk_result(&walker, walk);
    return true;
}
