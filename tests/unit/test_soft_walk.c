/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's page-table walks: every paging mode, right, reserved bit and error code against what the manual's
 * tables say, which are written down here once more and in another way than the code's; accessed and dirty bits.
 */
#include "soft_fixture.h"

/* An address of each half, whose tables differ at every level. */
#define LINEAR      UINT64_C(0x00007f1234567000)
#define LINEAR_HIGH UINT64_C(0xffff888000200000)

static uint64_t load(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    return soft_load(cpu, linear, size_bytes);
}

static uint32_t unaligned32(const uint8_t *host)
{
    uint32_t value;

    memcpy(&value, host, sizeof(value));
    return value;
}

/* --- without paging ----------------------------------------------------------------------------------------------- */

static void test_unpaged(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    soft_set_control(cpu, CR0_PE, 0, 0);
    soft_store(cpu, 0x2345, 4, 0x11223344);
    assert_int_equal(unaligned32(m.low->host + 0x2345), 0x11223344);
    assert_int_equal(load(cpu, 0x2345, 4), 0x11223344);
    soft_store(cpu, 0x2ffe, 4, 0x55667788);
    assert_int_equal(unaligned32(m.low->host + 0x2ffe), 0x55667788);
    assert_int_equal(load(cpu, 0x2ffe, 4), 0x55667788);
    /* Addresses have 32 bits. */
    assert_int_equal(load(cpu, UINT64_C(0x100002345), 4), 0x11223344);
    m.low->host[0] = 0xaa;
    assert_int_equal(load(cpu, 0xffffffff, 2), 0xaaff);
    assert_int_equal(load(cpu, UINT64_C(0x100000000) - 1, 8) >> 8 & 0xff, 0xaa);
    /* Nothing is there. */
    assert_int_equal(load(cpu, HOLE_GPA, 4), 0xffffffff);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- the three formats -------------------------------------------------------------------------------------------- */

static void test_sizes_of_pages(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t directory, table;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *(uint64_t *)(m.low->host + 0x345678) = 0x1111;
    *(uint64_t *)(m.high->host + 0x5678) = 0x2222;

    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x345000 | P;
    assert_int_equal(load(cpu, LINEAR + 0x678, 8), 0x1111);
    *soft_map_entry(&m, cpu, LINEAR_HIGH, 21) = 0x200000 | P | PS;
    assert_int_equal(load(cpu, LINEAR_HIGH + 0x145678, 8), 0x1111);
    *soft_map_entry(&m, cpu, UINT64_C(0x8040000000), 30) = HIGH_GPA | P | PS;
    assert_int_equal(load(cpu, UINT64_C(0x8040005678), 8), 0x2222);

    /* The same with 32-bit paging: 4 KiB, then 4 MiB below and above 4 GiB. */
    cpu->cr3 = soft_new_table(&m);
    table = soft_new_table(&m);
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PSE, 0);
    *soft_entry32(&m, cpu->cr3, 0x3ff) = (uint32_t)table | P;
    *soft_entry32(&m, table, 0x155) = 0x345000 | P;
    assert_int_equal(load(cpu, 0xffc00000 + (0x155 << 12) + 0x678, 8), 0x1111);
    *soft_entry32(&m, cpu->cr3, 1) = P | PS;
    assert_int_equal(load(cpu, 0x400000 + 0x345678, 8), 0x1111);
    *soft_entry32(&m, cpu->cr3, 2) = (uint32_t)((HIGH_GPA & 0xffc00000) | (HIGH_GPA >> 32) << 13 | P | PS);
    assert_int_equal(load(cpu, 0x800000 + 0x5678, 8), 0x2222);

    /* PAE: 2 MiB, and 4 KiB above 4 GiB. */
    cpu->cr3 = soft_new_table(&m) + 0x20;
    directory = soft_new_table(&m);
    table = soft_new_table(&m);
    *soft_entry64(&m, cpu->cr3, 2) = directory | P;
    assert_true(soft_load_pdptes(cpu, cpu->cr3));
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PAE, 0);
    *soft_entry64(&m, directory, 7) = P | PS | 0x200000;
    assert_int_equal(load(cpu, 0x80000000 + 7 * 0x200000 + 0x145678, 8), 0x1111);
    *soft_entry64(&m, directory, 8) = table | P;
    *soft_entry64(&m, table, 1) = (HIGH_GPA + 0x5000) | P;
    assert_int_equal(load(cpu, 0x80000000 + 8 * 0x200000 + 0x1678, 8), 0x2222);
    assert_page_fault(cpu, TRY_LOAD, 0x40000123, 1, 0x40000123, 0);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_pdptes(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t table;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    table = soft_new_table(&m);
    for (unsigned bit = 1; bit < 64; bit++) {
        bool allowed = bit == 3 || bit == 4 || (bit >= 9 && bit < 40);

        *soft_entry64(&m, table, 3) = UINT64_C(1) << bit;
        cpu->pdpte[3] = 77;
        assert_true(soft_load_pdptes(cpu, table));
        assert_int_equal(cpu->pdpte[3], UINT64_C(1) << bit);
        *soft_entry64(&m, table, 3) |= P;
        assert_int_equal(soft_load_pdptes(cpu, table), allowed);
        assert_int_equal(cpu->pdpte[3], UINT64_C(1) << bit | (allowed ? P : 0));
    }
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- reserved bits ------------------------------------------------------------------------------------------------ */

#define RANGE(from, to) ((UINT64_MAX >> (63 - (to))) & (UINT64_MAX << (from)))

/* An entry on the way to `linear`, which bits must be 0 there, and which aren't tried. */
struct reserved {
    uint64_t linear;
    void *entry;
    bool wide; /* 8 bytes; else 4 */
    uint64_t must_be_0, skip;
};

static void reserved_set(const struct reserved *r, uint64_t value)
{
    if (r->wide) {
        *(uint64_t *)r->entry = value;
    } else {
        *(uint32_t *)r->entry = (uint32_t)value;
    }
}

static void check_reserved(struct soft_cpu *cpu, const struct reserved *r)
{
    uint64_t good = r->wide ? *(uint64_t *)r->entry : *(uint32_t *)r->entry;

    for (unsigned bit = 1; bit < (r->wide ? 64 : 32); bit++) {
        uint64_t mask = UINT64_C(1) << bit;

        if ((good | r->skip) & mask) {
            continue;
        }
        reserved_set(r, good | mask);
        soft_tlb_flush_all(cpu);
        if (r->must_be_0 & mask) {
            assert_page_fault(cpu, TRY_LOAD, r->linear, 1, r->linear, PF_PRESENT | PF_RESERVED);
            /* Not present: nothing else counts. */
            reserved_set(r, (good | mask) & ~P);
            assert_page_fault(cpu, TRY_LOAD, r->linear, 1, r->linear, 0);
        } else {
            load(cpu, r->linear, 1);
        }
    }
    reserved_set(r, good);
}

/* What a table's address is made of: other tables may be anything. */
#define TABLE RANGE(12, 39)

static void check_reserved_4level(struct soft_machine *m, struct soft_cpu *cpu, uint64_t high)
{
    uint64_t huge = UINT64_C(0x8040000000);

    *soft_map_entry(m, cpu, LINEAR, 12) = 0x300000 | P;
    check_reserved(cpu, &(struct reserved){LINEAR, soft_map_entry(m, cpu, LINEAR, 39), true, high | PS, TABLE});
    check_reserved(cpu, &(struct reserved){LINEAR, soft_map_entry(m, cpu, LINEAR, 30), true, high, TABLE | PS});
    check_reserved(cpu, &(struct reserved){LINEAR, soft_map_entry(m, cpu, LINEAR, 21), true, high, TABLE | PS});
    check_reserved(cpu, &(struct reserved){LINEAR, soft_map_entry(m, cpu, LINEAR, 12), true, high, 0});
    *soft_map_entry(m, cpu, LINEAR_HIGH, 21) = 0x200000 | P | PS;
    check_reserved(
        cpu, &(struct reserved){LINEAR_HIGH, soft_map_entry(m, cpu, LINEAR_HIGH, 21), true, high | RANGE(13, 20), 0});
    *soft_map_entry(m, cpu, huge, 30) = P | PS;
    check_reserved(cpu, &(struct reserved){huge, soft_map_entry(m, cpu, huge, 30), true, high | RANGE(13, 29), 0});
    cpu->features.identity.words[CPU_WORD_80000001_EDX] = 0;
    soft_tlb_flush_all(cpu);
    assert_page_fault(cpu, TRY_LOAD, huge, 1, huge, PF_PRESENT | PF_RESERVED);
    cpu->features.identity.words[CPU_WORD_80000001_EDX] = UINT32_C(1) << 26;
}

static void test_reserved_4level(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    check_reserved_4level(&m, cpu, RANGE(40, 51));
    soft_set_control(cpu, cpu->cr0, CR4_PAE, EFER_LME | EFER_LMA);
    check_reserved_4level(&m, cpu, RANGE(40, 51) | NX);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void check_reserved_pae(struct soft_machine *m, struct soft_cpu *cpu, uint64_t high)
{
    uint64_t directory = soft_new_table(m), table = soft_new_table(m);

    cpu->pdpte[0] = directory | P;
    *soft_entry64(m, directory, 0) = table | P;
    *soft_entry64(m, table, 5) = 0x5000 | P;
    check_reserved(cpu, &(struct reserved){0x5000, soft_entry64(m, directory, 0), true, high, TABLE | PS});
    check_reserved(cpu, &(struct reserved){0x5000, soft_entry64(m, table, 5), true, high, 0});
    *soft_entry64(m, directory, 1) = P | PS;
    check_reserved(cpu, &(struct reserved){0x200000, soft_entry64(m, directory, 1), true, high | RANGE(13, 20), 0});
}

static void test_reserved_legacy(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t table;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PAE, EFER_NXE);
    check_reserved_pae(&m, cpu, RANGE(40, 62));
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PAE, 0);
    check_reserved_pae(&m, cpu, RANGE(40, 63));

    cpu->cr3 = soft_new_table(&m);
    table = soft_new_table(&m);
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PSE, 0);
    *soft_entry32(&m, cpu->cr3, 0) = (uint32_t)table | P;
    *soft_entry32(&m, table, 2) = 0x5000 | P;
    check_reserved(cpu, &(struct reserved){0x2000, soft_entry32(&m, cpu->cr3, 0), false, 0, TABLE | PS});
    check_reserved(cpu, &(struct reserved){0x2000, soft_entry32(&m, table, 2), false, 0, 0});
    *soft_entry32(&m, cpu->cr3, 2) = P | PS;
    check_reserved(cpu, &(struct reserved){0x800000, soft_entry32(&m, cpu->cr3, 2), false, UINT64_C(1) << 21, 0});
    /* Without PSE the bit is ignored: the entry names a table. */
    soft_set_control(cpu, CR0_PE | CR0_PG, 0, 0);
    *soft_entry32(&m, cpu->cr3, 0) |= PS;
    load(cpu, 0x2000, 1);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

enum use { USE_READ, USE_WRITE, USE_FETCH, USES };

/* Everything that a right depends on. */
struct rights {
    uint64_t upper, leaf; /* W, U, NX */
    unsigned cpl;
    bool wp, smep, smap, ac, nxe;
    bool has_nx; /* the format has */
    enum use use;
    bool implicit;
};

/* SDM 3, 4.6 and 4.7, sentence by sentence. The error code, or -1. */
static int expected_error(const struct rights *r)
{
    bool user_address = (r->upper & U) && (r->leaf & U);
    bool writable = (r->upper & W) && (r->leaf & W);
    bool no_execute = r->nxe && ((r->upper | r->leaf) & NX);
    bool user_mode = r->cpl == 3 && !r->implicit;
    bool allowed = true;
    int error = PF_PRESENT;

    if (!user_mode) {
        if (r->use != USE_FETCH && user_address && r->smap && (r->implicit || !r->ac)) {
            allowed = false;
        }
        if (r->use == USE_WRITE && r->wp && !writable) {
            allowed = false;
        }
        if (r->use == USE_FETCH && user_address && r->smep) {
            allowed = false;
        }
    } else {
        if (!user_address) {
            allowed = false;
        }
        if (r->use == USE_WRITE && !writable) {
            allowed = false;
        }
    }
    if (r->use == USE_FETCH && no_execute) {
        allowed = false;
    }
    if (allowed) {
        return -1;
    }
    error |= r->use == USE_WRITE ? PF_WRITE : 0;
    error |= user_mode ? PF_USER : 0;
    error |= r->use == USE_FETCH && (r->smep || (r->has_nx && r->nxe)) ? PF_FETCH : 0;
    return error;
}

static enum soft_use rights_use(const struct rights *r)
{
    switch (r->use) {
    case USE_FETCH:
        return TRY_FETCH;
    case USE_WRITE:
        return r->implicit ? TRY_STORE_SYSTEM : TRY_STORE;
    default:
        return r->implicit ? TRY_LOAD_SYSTEM : TRY_LOAD;
    }
}

static void check_rights(struct soft_cpu *cpu, const struct rights *r, uint64_t linear)
{
    int error = expected_error(r);
    unsigned vector = soft_try(cpu, rights_use(r), linear, 8, 0x77);

    if ((error < 0) != (vector == NO_FAULT) || (error >= 0 && cpu->fault.error != (uint32_t)error)) {
        fail_msg("upper %" PRIx64 " leaf %" PRIx64 " cpl %u wp %d smep %d smap %d ac %d nxe %d use %d implicit %d: "
                 "vector %u error %x, not %d",
                 r->upper, r->leaf, r->cpl, r->wp, r->smep, r->smap, r->ac, r->nxe, r->use, r->implicit, vector,
                 cpu->fault.error, error);
    }
    if (error >= 0) {
        assert_int_equal(cpu->cr2, linear);
    }
}

/* All uses by all privileges, in turn by the same TLB, then each by an empty one. */
static void check_all_uses(struct soft_cpu *cpu, struct rights r, uint64_t linear)
{
    for (unsigned i = 0; i < 2 * 2 * 2 * USES; i++) {
        r.cpl = i & 1 ? 3 : 0;
        r.ac = i & 2;
        r.implicit = i & 4;
        r.use = (enum use)(i / 8);
        if (r.implicit && r.use == USE_FETCH) {
            continue;
        }
        soft_set_privilege(cpu, (uint8_t)r.cpl, r.ac);
        check_rights(cpu, &r, linear);
        check_rights(cpu, &r, linear);
        soft_tlb_flush_all(cpu);
        check_rights(cpu, &r, linear);
    }
}

static uint64_t rights_bits(unsigned i, bool has_nx)
{
    return (i & 1 ? W : 0) | (i & 2 ? U : 0) | (has_nx && i & 4 ? NX : 0);
}

/* set(upper, leaf) writes the two entries. */
static void check_format(struct soft_machine *m, struct soft_cpu *cpu, uint64_t linear, uint64_t *upper, uint64_t *leaf,
                         bool wide, uint64_t cr4, uint64_t efer)
{
    uint64_t upper_base = wide ? *upper & ~(W | U | NX) : *(uint32_t *)upper & ~(W | U);
    uint64_t leaf_base = wide ? *leaf & ~(W | U | NX) : *(uint32_t *)leaf & ~(W | U);

    for (unsigned i = 0; i < 16 * 8 * 8; i++) {
        struct rights r = {.upper = rights_bits(i / 16 % 8, wide),
                           .leaf = rights_bits(i / 128, wide),
                           .wp = i & 1,
                           .smep = i & 2,
                           .smap = i & 4,
                           .nxe = i & 8,
                           .has_nx = wide};

        if ((r.upper | r.leaf) & NX && !r.nxe) {
            continue; /* a reserved bit: tested elsewhere */
        }
        if (wide) {
            *upper = upper_base | r.upper;
            *leaf = leaf_base | r.leaf;
        } else {
            *(uint32_t *)upper = (uint32_t)(upper_base | r.upper);
            *(uint32_t *)leaf = (uint32_t)(leaf_base | r.leaf);
        }
        soft_tlb_flush_all(cpu);
        soft_set_control(cpu, CR0_PE | CR0_PG | (r.wp ? CR0_WP : 0),
                         cr4 | (r.smep ? CR4_SMEP : 0) | (r.smap ? CR4_SMAP : 0), efer | (r.nxe ? EFER_NXE : 0));
        check_all_uses(cpu, r, linear);
    }
}

static void test_rights(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t directory, table;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P;
    for (unsigned shift = 21; shift <= 39; shift += 9) {
        check_format(&m, cpu, LINEAR, soft_map_entry(&m, cpu, LINEAR, shift), soft_map_entry(&m, cpu, LINEAR, 12), true,
                     CR4_PAE, EFER_LME | EFER_LMA);
        *soft_map_entry(&m, cpu, LINEAR, shift) |= W | U;
        *soft_map_entry(&m, cpu, LINEAR, shift) &= ~NX;
    }
    directory = soft_new_table(&m);
    table = soft_new_table(&m);
    cpu->pdpte[0] = directory | P;
    *soft_entry64(&m, directory, 3) = table | P;
    *soft_entry64(&m, table, 0) = 0x300000 | P;
    check_format(&m, cpu, 0x600000, soft_entry64(&m, directory, 3), soft_entry64(&m, table, 0), true, CR4_PAE, 0);
    cpu->cr3 = soft_new_table(&m);
    *soft_entry32(&m, cpu->cr3, 3) = (uint32_t)(table | P);
    *soft_entry64(&m, table, 0) = 0;
    *soft_entry32(&m, table, 4) = 0x300000 | P;
    check_format(&m, cpu, 0xc04000, (uint64_t *)soft_entry32(&m, cpu->cr3, 3), (uint64_t *)soft_entry32(&m, table, 4),
                 false, 0, 0);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_not_present(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | U;
    for (unsigned shift = 12; shift <= 39; shift += 9) {
        uint64_t *entry = soft_map_entry(&m, cpu, LINEAR, shift), good = *entry;

        /* Whatever else the entry has. */
        *entry = ~P;
        soft_set_privilege(cpu, 0, false);
        soft_tlb_flush_all(cpu);
        assert_page_fault(cpu, TRY_LOAD, LINEAR + 5, 1, LINEAR + 5, 0);
        assert_page_fault(cpu, TRY_STORE, LINEAR + 5, 1, LINEAR + 5, PF_WRITE);
        assert_page_fault(cpu, TRY_FETCH, LINEAR + 5, 1, LINEAR + 5, PF_FETCH);
        soft_set_privilege(cpu, 3, false);
        assert_page_fault(cpu, TRY_STORE, LINEAR + 5, 1, LINEAR + 5, PF_WRITE | PF_USER);
        assert_page_fault(cpu, TRY_LOAD_SYSTEM, LINEAR + 5, 1, LINEAR + 5, 0);
        assert_int_equal(*entry, ~P);
        *entry = good;
    }
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* --- accessed and dirty bits -------------------------------------------------------------------------------------- */

static void test_accessed_and_dirty(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t *entry[4], gpa;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | U;
    for (unsigned i = 0; i < 4; i++) {
        entry[i] = soft_map_entry(&m, cpu, LINEAR, 39 - 9 * i);
    }
    /* A walk that faults sets nothing. */
    soft_set_privilege(cpu, 3, false);
    assert_page_fault(cpu, TRY_STORE, LINEAR, 1, LINEAR, PF_PRESENT | PF_WRITE | PF_USER);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(*entry[i] & (A | D));
    }
    /* Looking without touching sets nothing. */
    assert_true(soft_translate(cpu, LINEAR + 7, &gpa));
    assert_int_equal(gpa, 0x300007);
    assert_false(*entry[3] & A);
    load(cpu, LINEAR, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(*entry[i] & A);
        assert_false(*entry[i] & D);
    }
    /* The page is in the TLB; the first write still marks it. */
    *entry[3] |= W;
    soft_tlb_flush_page(cpu, LINEAR);
    load(cpu, LINEAR, 1);
    assert_false(*entry[3] & D);
    soft_store(cpu, LINEAR, 1, 5);
    assert_true(*entry[3] & D);
    assert_false((*entry[0] | *entry[1] | *entry[2]) & D);
    /* What a guest cleared without a flush stays clear; after a flush it is set again. */
    *entry[3] &= ~(A | D);
    soft_store(cpu, LINEAR, 1, 6);
    assert_false(*entry[3] & (A | D));
    soft_tlb_flush_page(cpu, LINEAR);
    soft_store(cpu, LINEAR, 1, 6);
    assert_int_equal(*entry[3] & (A | D), A | D);
    /* A fetch accesses. */
    *entry[3] &= ~A;
    assert_ptr_equal(soft_code_at(cpu, LINEAR + 3, &gpa), m.low->host + 0x300003);
    assert_true(*entry[3] & A);
    /* A page that is accessed first by writing is both at once. */
    *soft_map_entry(&m, cpu, LINEAR + 0x1000, 12) = 0x301000 | P | W | U;
    soft_store(cpu, LINEAR + 0x1000, 1, 5);
    assert_int_equal(*soft_map_entry(&m, cpu, LINEAR + 0x1000, 12), 0x301000 | P | W | U | A | D);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_tables_outside_ram(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t *rom, value;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    m.low->host[0x300000] = 0x5a;
    /* In a device: read as it gives them. */
    value = 0x300000 | P | W | U;
    memcpy(&m.io_bytes[0x1000 + 8 * (LINEAR >> 12 & 511)], &value, sizeof(value));
    *soft_map_entry(&m, cpu, LINEAR, 21) = (IO_GPA + 0x1000) | P | W | U;
    assert_int_equal(load(cpu, LINEAR, 1), 0x5a);
    assert_int_equal(m.io_count, 1);
    assert_int_equal(m.io_log[0].offset, 0x1000 + 8 * (LINEAR >> 12 & 511));
    assert_int_equal(m.io_log[0].size_bytes, 8);
    soft_store(cpu, LINEAR, 1, 0x5b);
    assert_int_equal(m.low->host[0x300000], 0x5b);
    for (unsigned i = 0; i < m.io_count && i < IO_LOG_MAX; i++) {
        assert_false(m.io_log[i].is_write);
    }
    /* In ROM: they stay as they are. */
    rom = (uint64_t *)(m.low->host + ROM_OFFSET + 0x1000) + (LINEAR >> 12 & 511);
    *rom = value;
    *soft_map_entry(&m, cpu, LINEAR, 21) = (ROM_GPA + 0x1000) | P | W | U;
    soft_tlb_flush_all(cpu);
    soft_store(cpu, LINEAR, 1, 0x5c);
    assert_int_equal(m.low->host[0x300000], 0x5c);
    assert_int_equal(*rom, value);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* Another CPU changes the entries all the time: nobody's bits get lost. */
struct flipper {
    struct hdl_thread thread;
    _Atomic uint64_t *entry;
    atomic_bool stop;
    uint64_t flips;
};

/* Counts in the bits that paging ignores. */
static void flipper_run(void *opaque)
{
    struct flipper *flipper = opaque;

    while (!atomic_load(&flipper->stop)) {
        uint64_t old = atomic_load(flipper->entry);

        while (!atomic_compare_exchange_weak(flipper->entry, &old,
                                             ((old & ~RANGE(52, 61)) | ((old + (UINT64_C(1) << 52)) & RANGE(52, 61))) &
                                                 ~(A | D))) {
        }
        flipper->flips++;
    }
}

static void test_accessed_races(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    struct flipper flipper = {0};

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W;
    flipper.entry = (_Atomic uint64_t *)soft_map_entry(&m, cpu, LINEAR, 12);
    assert_int_equal(hdl_thread_start(&flipper.thread, "flipper", flipper_run, &flipper, NULL), 0);
    for (unsigned i = 0; i < 20000; i++) {
        soft_tlb_flush_page(cpu, LINEAR);
        soft_store(cpu, LINEAR, 1, i);
    }
    atomic_store(&flipper.stop, true);
    hdl_thread_join(&flipper.thread);
    assert_int_equal(atomic_load(flipper.entry) >> 52 & 0x3ff, flipper.flips & 0x3ff);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpaged),
        cmocka_unit_test(test_sizes_of_pages),
        cmocka_unit_test(test_pdptes),
        cmocka_unit_test(test_reserved_4level),
        cmocka_unit_test(test_reserved_legacy),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_not_present),
        cmocka_unit_test(test_accessed_and_dirty),
        cmocka_unit_test(test_tables_outside_ram),
        cmocka_unit_test(test_accessed_races),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
