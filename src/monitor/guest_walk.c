/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk (Intel SDM 3, 4.3 to 4.5): one loop over levels for all of paging's modes, which differ in how wide an entry
 * is, how many levels there are, and at which a page may end the walk. A guest may put anything into its tables; a
 * table that isn't in RAM ends the walk, so no device is read by it.
 */
#include "monitor/guest_walk.h"

#include <string.h>

#include "memory/dma.h"

#define CR0_PG          (UINT64_C(1) << 31)
#define CR4_PSE         (1u << 4)
#define CR4_PAE         (1u << 5)
#define CR4_LA57        (1u << 12)
#define EFER_LMA        (1u << 10)
#define ENTRY_PRESENT   1u
#define ENTRY_LARGE     (1u << 7)
#define ENTRY_ADDRESS   UINT64_C(0x000ffffffffff000)
#define PAGE_SHIFT      12
#define PAE_CR3_ADDRESS UINT64_C(0xffffffe0)

struct walk_mode {
    unsigned levels;     /* of tables; 0: no paging */
    unsigned index_bits; /* of each level but PAE's first, which has two */
    unsigned entry_bytes;
    unsigned large_levels; /* how many of the last levels but one may end in a large page */
};

static struct walk_mode guest_walk_mode(const struct cpu_state *state)
{
    if (!(state->cr0 & CR0_PG)) {
        return (struct walk_mode){0};
    }
    if (!(state->cr4 & CR4_PAE)) {
        return (struct walk_mode){2, 10, 4, state->cr4 & CR4_PSE ? 1 : 0};
    }
    if (state->efer & EFER_LMA) {
        return (struct walk_mode){state->cr4 & CR4_LA57 ? 5 : 4, 9, 8, 2};
    }
    return (struct walk_mode){3, 9, 8, 1};
}

/* Guests write meanwhile, so each piece is one atomic load. */
static void guest_ram_copy(const uint8_t *host, uint8_t *buffer, uint64_t len_bytes)
{
    if (len_bytes == 8 && (uintptr_t)host % 8 == 0) {
        uint64_t value = __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED);

        memcpy(buffer, &value, sizeof(value));
    } else if (len_bytes == 4 && (uintptr_t)host % 4 == 0) {
        uint32_t value = __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);

        memcpy(buffer, &value, sizeof(value));
    } else {
        for (uint64_t i = 0; i < len_bytes; i++) {
            buffer[i] = __atomic_load_n(host + i, __ATOMIC_RELAXED);
        }
    }
}

bool guest_ram_read(struct address_space *memory, uint64_t address, void *buffer, uint64_t len_bytes)
{
    uint8_t *to = buffer;

    while (len_bytes > 0) {
        struct dma_mapping mapping = {0};
        uint64_t piece;

        if (dma_map(memory, address, len_bytes, DMA_FROM_GUEST, &mapping) != ACCESS_OK) {
            return false;
        }
        piece = mapping.len_bytes;
        guest_ram_copy(mapping.host, to, piece);
        dma_unmap(&mapping, 0);
        address += piece;
        to += piece;
        len_bytes -= piece;
    }
    return true;
}

static bool guest_walk_read(struct address_space *memory, uint64_t address, unsigned entry_bytes, uint64_t *entry)
{
    *entry = 0;
    return guest_ram_read(memory, address, entry, entry_bytes) && (*entry & ENTRY_PRESENT);
}

/* The page that an entry of a level (0: the last) names. With PSE, 4-MiB pages have address bits 39:32 in 20:13. */
static uint64_t guest_walk_page(const struct walk_mode *mode, uint64_t entry, unsigned level, uint64_t page_bytes)
{
    uint64_t address = entry & ENTRY_ADDRESS & ~(page_bytes - 1);

    if (mode->entry_bytes == 4 && level > 0) {
        address |= (entry >> 13 & 0xff) << 32;
    }
    return address;
}

bool guest_walk(struct address_space *memory, const struct cpu_state *state, uint64_t linear, uint64_t *physical,
                uint64_t *bytes_left)
{
    struct walk_mode mode = guest_walk_mode(state);
    uint64_t table = state->cr3 & (mode.levels == 3 ? PAE_CR3_ADDRESS : ENTRY_ADDRESS);
    uint64_t page_bytes = UINT64_C(1) << PAGE_SHIFT;
    unsigned level = mode.levels;
    uint64_t page = linear & ~(page_bytes - 1);

    if (!(state->efer & EFER_LMA)) {
        linear = (uint32_t)linear;
        page = (uint32_t)page;
    }
    while (level-- > 0) {
        unsigned shift = PAGE_SHIFT + level * mode.index_bits;
        uint64_t index = linear >> shift & ((1u << mode.index_bits) - 1);
        uint64_t entry;

        if (!guest_walk_read(memory, table + index * mode.entry_bytes, mode.entry_bytes, &entry)) {
            return false;
        }
        if (level == 0 || (level <= mode.large_levels && (entry & ENTRY_LARGE))) {
            page_bytes = UINT64_C(1) << shift;
            page = guest_walk_page(&mode, entry, level, page_bytes);
            break;
        }
        table = entry & ENTRY_ADDRESS;
    }
    *physical = page + (linear & (page_bytes - 1));
    *bytes_left = page_bytes - (linear & (page_bytes - 1));
    return true;
}
