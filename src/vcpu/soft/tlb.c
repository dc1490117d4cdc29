/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TLB's life (tlb.h): choosing bank and number, filling, forgetting. Walking the page tables is in walk.c, the
 * accesses themselves in mem.c. The vCPU's thread only.
 *
 * What makes an entry void, and how it is found out:
 *
 *   address space changed     its number isn't the present one
 *   all flushed               likewise; a global one's epoch isn't the present one
 *   INVLPG, INVPCID           dropped at once
 *   rights changed            another bank, or (CR0.WP and the like) all flushed
 *   memory map changed        all flushed, before the next access (code_map.c)
 *   code translated there     its write word is complemented; in the second level, on its way back
 *
 * Code is looked up by a TLB of its own. What was linked by it elsewhere holds as long as cpu->code_generation stays:
 * the number, and above it a code epoch that changes with every flush that may have hit fetched code.
 */
#include "vcpu/soft/mmu.h"

#include <string.h>

#include "memory/dma.h"
#include "vcpu/soft/block.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/memory.h"
#include "vcpu/soft/walk.h"

/* With 4095 a complement could be 0. */
#define NUMBER_MAX 4094
#define EPOCH_MASK (UINT64_C(0xff) << SOFT_TLB_EPOCH_SHIFT)

/* --- filters ------------------------------------------------------------------------------------------------------ */

static void filter_add(uint64_t *filter, unsigned bits, uint64_t item)
{
    filter[item % bits / 64] |= UINT64_C(1) << item % 64;
}

static bool filter_has(const uint64_t *filter, unsigned bits, uint64_t item)
{
    return filter[item % bits / 64] >> item % 64 & 1;
}

static void tlb_note_large(struct soft_tlb *tlb, uint64_t linear, unsigned page_shift)
{
    if (page_shift == 21) {
        filter_add(tlb->large_filter, SOFT_TLB_LARGE_FILTER, linear >> 21);
    } else {
        filter_add(tlb->huge_filter, SOFT_TLB_HUGE_FILTER, linear >> 30);
    }
}

/* --- numbers and epochs ------------------------------------------------------------------------------------------- */

/* After a change of number or code epoch. The low half alone doesn't come again while blocks live. */
static void tlb_set_generation(struct soft_cpu *cpu)
{
    cpu->code_generation = (uint64_t)cpu->tlb_state.code_epoch << 12 | cpu->tlb_tag;
}

/* What code linear addresses show may have changed. */
static void tlb_renew_code(struct soft_cpu *cpu)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    tlb->code_epoch++;
    if (unlikely(tlb->code_epoch % (1 << 20) == 0)) {
        soft_cache_clear(cpu);
    }
    memset(tlb->code_filter, 0, sizeof(tlb->code_filter));
    for (unsigned i = 0; i < SOFT_TLB_CODE_ENTRIES; i++) {
        if (tlb->code[i].tag) {
            filter_add(tlb->code_filter, SOFT_TLB_CODE_FILTER, tlb->code[i].tag / SOFT_PAGE_BYTES);
        }
    }
    tlb_set_generation(cpu);
}

/* Numbers or epochs have run out. */
static void tlb_clear(struct soft_cpu *cpu)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    memset(tlb->bank, 0, sizeof(tlb->bank));
    memset(tlb->code, 0, sizeof(tlb->code));
    memset(tlb->large_filter, 0, sizeof(tlb->large_filter));
    memset(tlb->huge_filter, 0, sizeof(tlb->huge_filter));
    memset(tlb->number_of_pcid, 0, sizeof(tlb->number_of_pcid));
    tlb->second_generation++;
    tlb->last_number = tlb->floor = 0;
    tlb->epoch = 0;
    tlb_renew_code(cpu);
}

static uint16_t tlb_pcid(const struct soft_cpu *cpu)
{
    return cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
}

/* A new number for the present address space: what it had under the old one is forgotten. */
static void tlb_renumber(struct soft_cpu *cpu)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    if (unlikely(tlb->last_number == NUMBER_MAX)) {
        tlb_clear(cpu);
    }
    cpu->tlb_tag = ++tlb->last_number;
    tlb->number_of_pcid[tlb_pcid(cpu)] = tlb->last_number;
    tlb_set_generation(cpu);
}

/* --- the second level --------------------------------------------------------------------------------------------- */

/* An entry's page and number. Its words are 0, or have the page's index bits, or have them complemented. */
static uint64_t entry_word(const struct soft_tlb_entry *entry, unsigned index)
{
    return soft_tlb_index(entry->read) == index ? entry->read : ~entry->read;
}

static uint64_t entry_page(const struct soft_tlb_entry *entry, unsigned index)
{
    return entry_word(entry, index) & SOFT_PAGE_MASK;
}

/* Of a global page, with a number that isn't the present one: gives it that. */
static bool entry_renew(const struct soft_cpu *cpu, uint64_t linear, struct soft_tlb_entry *entry)
{
    uint64_t epoch = (uint64_t)cpu->tlb_state.epoch << SOFT_TLB_EPOCH_SHIFT;
    uint64_t change;

    if (!(entry->gpa & SOFT_TLB_GLOBAL) || (entry->gpa & EPOCH_MASK) != epoch ||
        entry_page(entry, soft_tlb_index(linear)) != (linear & SOFT_PAGE_MASK)) {
        return false;
    }
    change = entry_word(entry, soft_tlb_index(linear)) % SOFT_PAGE_BYTES ^ cpu->tlb_tag;
    /* Complements change in the same bits. */
    entry->read ^= change;
    entry->write ^= entry->write ? change : 0;
    return true;
}

static struct soft_tlb_second *second_set(struct soft_tlb *tlb, unsigned bank, uint64_t page)
{
    uint64_t number = page / SOFT_PAGE_BYTES;

    return tlb->second[bank][(number ^ number >> 9 ^ number >> 18) % SOFT_TLB_SECOND_SETS];
}

/* Where a page is; NULL: it isn't. */
static struct soft_tlb_second *second_find(struct soft_tlb *tlb, unsigned bank, uint64_t page)
{
    struct soft_tlb_second *set = second_set(tlb, bank, page);

    for (unsigned way = 0; way < SOFT_TLB_SECOND_WAYS; way++) {
        if (set[way].page == page && set[way].generation == tlb->second_generation) {
            return &set[way];
        }
    }
    return NULL;
}

/* Where a page can be put: in its own place, an empty one, or that of whose turn it is. */
static struct soft_tlb_second *second_place(struct soft_tlb *tlb, unsigned bank, uint64_t page)
{
    struct soft_tlb_second *set = second_set(tlb, bank, page), *place = second_find(tlb, bank, page);

    for (unsigned way = 0; way < SOFT_TLB_SECOND_WAYS && !place; way++) {
        place = set[way].generation != tlb->second_generation ? &set[way] : NULL;
    }
    return place ? place : &set[tlb->second_next++ % SOFT_TLB_SECOND_WAYS];
}

/* Whether an entry may be of use again: others needn't be kept. */
static bool entry_lives(const struct soft_cpu *cpu, const struct soft_tlb_entry *entry, unsigned index)
{
    const struct soft_tlb *tlb = &cpu->tlb_state;
    uint64_t number = entry_word(entry, index) % SOFT_PAGE_BYTES;

    if (!entry->read) {
        return false;
    }
    return number == cpu->tlb_tag || ((cpu->cr4 & CR4_PCIDE) && number > tlb->floor) ||
           ((entry->gpa & SOFT_TLB_GLOBAL) && (entry->gpa & EPOCH_MASK) == (uint64_t)tlb->epoch
                                                                               << SOFT_TLB_EPOCH_SHIFT);
}

/* An entry is about to become another page's: what it has goes to the second level. */
static void second_keep(struct soft_cpu *cpu, unsigned bank, uint64_t linear, const struct soft_tlb_entry *entry)
{
    struct soft_tlb *tlb = &cpu->tlb_state;
    unsigned index = soft_tlb_index(linear);
    uint64_t page = entry_page(entry, index);

    if (page != (linear & SOFT_PAGE_MASK) && entry_lives(cpu, entry, index)) {
        *second_place(tlb, bank, page) =
            (struct soft_tlb_second){.entry = *entry, .page = page, .generation = tlb->second_generation};
    }
}

/* On the way back: whether writes may still be fast. */
static void entry_check_write(struct soft_cpu *cpu, uint64_t linear, struct soft_tlb_entry *entry)
{
    const uint8_t *host = (const uint8_t *)((linear & SOFT_PAGE_MASK) + entry->addend);
    struct soft_slot *slot;

    if (!entry->write || soft_tlb_index(entry->write) != soft_tlb_index(linear)) {
        return;
    }
    slot = soft_slot_find(cpu, host);
    if (unlikely(!slot || !soft_code_let_write(slot, host))) {
        entry->write = ~entry->write;
    }
}

/* The second level's entry for linear changes places with what `entry` has. False: it has none for this space. */
static bool second_swap(struct soft_cpu *cpu, unsigned bank, uint64_t linear, struct soft_tlb_entry *entry)
{
    struct soft_tlb_second *second = second_find(&cpu->tlb_state, bank, linear & SOFT_PAGE_MASK);
    struct soft_tlb_entry found;

    if (!second) {
        return false;
    }
    found = second->entry;
    if (entry_word(&found, soft_tlb_index(linear)) % SOFT_PAGE_BYTES != cpu->tlb_tag &&
        !entry_renew(cpu, linear, &found)) {
        return false;
    }
    second->generation = 0;
    second_keep(cpu, bank, linear, entry);
    entry_check_write(cpu, linear, &found);
    *entry = found;
    return true;
}

static void second_drop(struct soft_tlb *tlb, unsigned bank, uint64_t linear)
{
    struct soft_tlb_second *second = second_find(tlb, bank, linear & SOFT_PAGE_MASK);

    if (second) {
        second->generation = 0;
    }
}

/* --- forgetting --------------------------------------------------------------------------------------------------- */

void soft_tlb_flush_all(struct soft_cpu *cpu)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    tlb->floor = tlb->last_number;
    if (unlikely(++tlb->epoch == 0)) {
        tlb_clear(cpu);
    }
    tlb_renew_code(cpu);
    tlb_renumber(cpu);
}

void soft_tlb_flush_local(struct soft_cpu *cpu)
{
    tlb_renumber(cpu);
}

void soft_tlb_load_cr3(struct soft_cpu *cpu, bool keep)
{
    struct soft_tlb *tlb = &cpu->tlb_state;
    uint16_t number = tlb->number_of_pcid[tlb_pcid(cpu)];

    if (keep && number > tlb->floor) {
        cpu->tlb_tag = number;
        tlb_set_generation(cpu);
    } else {
        tlb_renumber(cpu);
    }
}

/* Drops all pieces of large pages in the naturally aligned 2^shift bytes around linear; and all of the second level. */
static void tlb_flush_large(struct soft_cpu *cpu, uint64_t linear, unsigned shift)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    for (unsigned bank = 0; bank < SOFT_TLB_BANKS; bank++) {
        for (unsigned i = 0; i < SOFT_TLB_ENTRIES; i++) {
            struct soft_tlb_entry *entry = &tlb->bank[bank][i];

            if ((entry->gpa & SOFT_TLB_LARGE) && (entry_page(entry, i) ^ linear) >> shift == 0) {
                *entry = (struct soft_tlb_entry){0};
            }
        }
    }
    for (unsigned i = 0; i < SOFT_TLB_CODE_ENTRIES; i++) {
        if (tlb->code[i].large && (tlb->code[i].tag ^ linear) >> shift == 0) {
            tlb->code[i] = (struct soft_tlb_code_entry){0};
        }
    }
    tlb->second_generation++;
    tlb_renew_code(cpu);
}

static struct soft_tlb_code_entry *tlb_code_entry(struct soft_tlb *tlb, uint64_t linear)
{
    return &tlb->code[linear / SOFT_PAGE_BYTES % SOFT_TLB_CODE_ENTRIES];
}

void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t linear)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    for (unsigned bank = 0; bank < SOFT_TLB_BANKS; bank++) {
        struct soft_tlb_entry *entry = &tlb->bank[bank][soft_tlb_index(linear)];

        if (entry_page(entry, soft_tlb_index(linear)) == (linear & SOFT_PAGE_MASK)) {
            *entry = (struct soft_tlb_entry){0};
        }
        second_drop(tlb, bank, linear);
    }
    if (filter_has(tlb->code_filter, SOFT_TLB_CODE_FILTER, linear / SOFT_PAGE_BYTES)) {
        *tlb_code_entry(tlb, linear) = (struct soft_tlb_code_entry){0};
        tlb_renew_code(cpu);
    }
    if (filter_has(tlb->large_filter, SOFT_TLB_LARGE_FILTER, linear >> 21)) {
        tlb_flush_large(cpu, linear, 21);
    }
    if (filter_has(tlb->huge_filter, SOFT_TLB_HUGE_FILTER, linear >> 30)) {
        tlb_flush_large(cpu, linear, 30);
    }
}

void soft_tlb_invpcid(struct soft_cpu *cpu, unsigned type, uint16_t pcid, uint64_t linear)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    switch (type) {
    case 0: /* an address: dropped from every address space, which is more than asked for */
        soft_tlb_flush_page(cpu, linear);
        break;
    case 1: /* an address space, but for global pages */
        tlb->number_of_pcid[pcid & 0xfff] = 0;
        if (pcid == tlb_pcid(cpu)) {
            tlb_renumber(cpu);
        }
        break;
    case 2: /* all */
        soft_tlb_flush_all(cpu);
        break;
    default: /* all, but for global pages */
        tlb->floor = tlb->last_number;
        tlb_renumber(cpu);
    }
}

void soft_tlb_protect(struct soft_cpu *cpu, const uint8_t *host_page)
{
    struct soft_tlb *tlb = &cpu->tlb_state;

    /* In SOFT_TLB_USER_ALIGNED, the last, nothing is fast. */
    for (unsigned bank = 0; bank < SOFT_TLB_USER_ALIGNED; bank++) {
        for (unsigned i = 0; i < SOFT_TLB_ENTRIES; i++) {
            struct soft_tlb_entry *entry = &tlb->bank[bank][i];

            if ((entry->write & SOFT_PAGE_MASK) + entry->addend == (uintptr_t)host_page &&
                soft_tlb_index(entry->write) == i && entry->write) {
                entry->write = ~entry->write;
            }
        }
    }
}

/* --- which rules hold --------------------------------------------------------------------------------------------- */

/* Control bits that entries depend on. No two registers have one at the same place. */
static uint32_t tlb_rules(const struct soft_cpu *cpu)
{
    return (uint32_t)((cpu->cr0 & (CR0_PG | CR0_WP)) |
                      (cpu->cr4 & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP)) |
                      (cpu->efer & (EFER_LMA | EFER_NXE)));
}

static enum soft_tlb_bank tlb_bank(const struct soft_cpu *cpu)
{
    if (cpu->cpl == 3) {
        return (cpu->cr0 & CR0_AM) && (cpu->rflags & RFLAGS_AC) ? SOFT_TLB_USER_ALIGNED : SOFT_TLB_USER;
    }
    return (cpu->cr4 & CR4_SMAP) && !(cpu->rflags & RFLAGS_AC) ? SOFT_TLB_SUPERVISOR : SOFT_TLB_SUPERVISOR_AC;
}

void soft_tlb_select(struct soft_cpu *cpu)
{
    struct soft_tlb *tlb = &cpu->tlb_state;
    uint32_t rules = tlb_rules(cpu);

    if (unlikely(rules != tlb->rules || !cpu->tlb_tag)) {
        tlb->rules = rules;
        tlb->second_generation++; /* it is never 0: that is an empty place's */
        soft_tlb_flush_all(cpu);
    }
    tlb->current = tlb_bank(cpu);
    cpu->tlb = tlb->bank[tlb->current];
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

static bool bank_is_user(enum soft_tlb_bank bank)
{
    return bank == SOFT_TLB_USER || bank == SOFT_TLB_USER_ALIGNED;
}

static bool bank_may_write(const struct soft_cpu *cpu, enum soft_tlb_bank bank, const struct soft_walk *walk)
{
    return walk->writable || (!bank_is_user(bank) && !(cpu->cr0 & CR0_WP));
}

/* What a walk found, as an entry. */
static void entry_fill(struct soft_cpu *cpu, enum soft_tlb_bank bank, uint64_t linear, const struct soft_walk *walk,
                       struct soft_tlb_entry *entry)
{
    uint64_t word = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag;
    uint64_t slow = bank == SOFT_TLB_USER_ALIGNED || unlikely(soft_data_breakpoint_page(cpu, linear)) ? UINT64_MAX : 0;
    bool may_write = walk->dirty && bank_may_write(cpu, bank, walk);
    const struct soft_window *window = soft_ram_find(cpu, walk->gpa);
    uint8_t *host;

    entry->gpa = (walk->gpa & SOFT_PAGE_MASK) | (walk->global ? SOFT_TLB_GLOBAL : 0) |
                 (walk->page_shift > 12 ? SOFT_TLB_LARGE : 0) | (uint64_t)cpu->tlb_state.epoch << SOFT_TLB_EPOCH_SHIFT;
    if (unlikely(walk->page_shift > 12)) {
        tlb_note_large(&cpu->tlb_state, linear, walk->page_shift);
    }
    if (unlikely(!window)) {
        entry->gpa |= SOFT_TLB_DEVICE;
        entry->addend = 0;
        entry->read = ~word;
        entry->write = may_write ? ~word : 0;
        return;
    }
    host = soft_window_host(window, walk->gpa);
    entry->addend = (uintptr_t)host - linear;
    entry->read = word ^ slow;
    entry->write = 0;
    if (may_write && unlikely(window->read_only)) {
        entry->gpa |= SOFT_TLB_ROM;
        entry->write = ~word;
    } else if (may_write) {
        entry->write = likely(!slow && soft_code_let_write(window->slot, host)) ? word : ~word;
    }
}

static bool entry_has(const struct soft_tlb_entry *entry, uint64_t want, bool write)
{
    uint64_t word = write ? entry->write : entry->read;

    return word == want || word == ~want;
}

struct soft_tlb_entry *soft_tlb_find(struct soft_cpu *cpu, unsigned bank, uint64_t linear, bool write)
{
    struct soft_tlb_entry *entry = &cpu->tlb_state.bank[bank][soft_tlb_index(linear)];
    uint64_t want = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag;
    struct soft_walk_request request;
    struct soft_walk walk;

    if (entry_has(entry, want, write) || (entry_renew(cpu, linear, entry) && entry_has(entry, want, write)) ||
        (second_swap(cpu, bank, linear, entry) && entry_has(entry, want, write))) {
        return entry;
    }
    request = (struct soft_walk_request){.linear = linear,
                                         .access = (write ? PF_WRITE : 0) | (bank_is_user(bank) ? PF_USER : 0),
                                         .refuse_user = bank == SOFT_TLB_SUPERVISOR};
    if (unlikely(!soft_walk(cpu, &request, &walk))) {
        soft_raise_page_fault(cpu, linear, walk.error);
    }
    second_keep(cpu, bank, linear, entry);
    entry_fill(cpu, bank, linear, &walk, entry);
    return entry;
}

const struct soft_tlb_entry *soft_tlb_peek(struct soft_cpu *cpu, uint64_t linear)
{
    struct soft_tlb_entry *entry = &cpu->tlb[soft_tlb_index(linear)];

    entry_renew(cpu, linear, entry);
    return entry;
}

/* --- code --------------------------------------------------------------------------------------------------------- */

static bool code_is_allowed(const struct soft_cpu *cpu, const struct soft_tlb_code_entry *entry)
{
    return cpu->cpl == 3 ? entry->user : !(entry->user && (cpu->cr4 & CR4_SMEP));
}

static uint8_t *code_fill(struct soft_cpu *cpu, uint64_t linear, struct soft_tlb_code_entry *entry, uint64_t *gpa)
{
    struct soft_walk_request request = {.linear = linear, .access = PF_FETCH | (cpu->cpl == 3 ? PF_USER : 0)};
    struct soft_tlb *tlb = &cpu->tlb_state;
    const struct soft_window *window;
    struct soft_walk walk;

    if (!soft_walk(cpu, &request, &walk)) {
        soft_raise_page_fault(cpu, linear, walk.error);
    }
    *gpa = walk.gpa;
    window = soft_ram_find(cpu, walk.gpa);
    if (!window) {
        return NULL;
    }
    if (walk.page_shift > 12) {
        tlb_note_large(tlb, linear, walk.page_shift);
    }
    filter_add(tlb->code_filter, SOFT_TLB_CODE_FILTER, linear / SOFT_PAGE_BYTES);
    *entry = (struct soft_tlb_code_entry){.tag = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag,
                                          .host = soft_window_host(window, walk.gpa & SOFT_PAGE_MASK),
                                          .user = walk.user,
                                          .global = walk.global,
                                          .large = walk.page_shift > 12,
                                          .epoch = tlb->epoch};
    return entry->host + linear % SOFT_PAGE_BYTES;
}

uint8_t *soft_code_at(struct soft_cpu *cpu, uint64_t linear, uint64_t *gpa)
{
    struct soft_tlb_code_entry *entry = tlb_code_entry(&cpu->tlb_state, linear);
    uint64_t want = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag;

    if (unlikely(entry->tag != want) && entry->global && entry->epoch == cpu->tlb_state.epoch &&
        (entry->tag ^ want) < SOFT_PAGE_BYTES) {
        entry->tag = want;
    }
    if (likely(entry->tag == want && code_is_allowed(cpu, entry))) {
        return entry->host + linear % SOFT_PAGE_BYTES;
    }
    return code_fill(cpu, linear, entry, gpa);
}

/* --- without a TLB ------------------------------------------------------------------------------------------------ */

bool soft_translate(struct soft_cpu *cpu, uint64_t linear, uint64_t *gpa)
{
    struct soft_walk_request request = {.linear = linear, .debug = true};
    struct soft_walk walk;

    if (!soft_walk(cpu, &request, &walk)) {
        return false;
    }
    *gpa = walk.gpa;
    return true;
}

bool soft_load_pdptes(struct soft_cpu *cpu, uint64_t cr3)
{
    /* Present; PWT, PCD, ignored bits, address. */
    uint64_t allowed = 1 | 0x18 | 0xe00 | (((UINT64_C(1) << SOFT_PHYSICAL_BITS) - 1) & SOFT_PAGE_MASK);
    uint64_t pdpte[4] = {0};

    if (dma_read(soft_common(cpu)->vm->config.memory, cr3 & UINT64_C(0xffffffe0), pdpte, sizeof(pdpte)) != ACCESS_OK) {
        memset(pdpte, 0, sizeof(pdpte));
    }
    for (unsigned i = 0; i < 4; i++) {
        if ((pdpte[i] & 1) && (pdpte[i] & ~allowed)) {
            return false;
        }
    }
    memcpy(cpu->pdpte, pdpte, sizeof(pdpte));
    return true;
}
