/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's TLB and memory accesses: what stays in the TLB and what mustn't, and accesses that cross pages,
 * wrap, or end in ROM and devices.
 */
#include "soft_fixture.h"

/* An address of each half, whose tables differ at every level. */
#define LINEAR      UINT64_C(0x00007f1234567000)
#define LINEAR_HIGH UINT64_C(0xffff888000200000)

static uint64_t load(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    return soft_load(cpu, linear, size_bytes);
}

/* --- what stays in the TLB ---------------------------------------------------------------------------------------- */

/* As far apart as pages are that have the same entry. */
#define ALIAS (SOFT_TLB_ENTRIES * SOFT_PAGE_BYTES)

/*
 * A machine with a page that shows 1, to be remapped to a page that shows 2 behind the TLB's back. `second`: another
 * page takes its entry each time, so that it lives in the TLB's second level.
 */
struct tlb_test {
    struct soft_machine m;
    struct soft_cpu *cpu;
    bool second;
};

static void tlb_setup(struct tlb_test *test, uint64_t cr4)
{
    test->second = false;
    soft_machine_init(&test->m, 1);
    test->cpu = soft_machine_start(&test->m, 0);
    soft_set_control(test->cpu, test->cpu->cr0, CR4_PAE | CR4_PGE | cr4, test->cpu->efer);
    test->m.low->host[0x300000] = 1;
    test->m.low->host[0x301000] = 2;
}

static void tlb_teardown(struct tlb_test *test)
{
    soft_machine_end(test->cpu);
    soft_machine_destroy(&test->m);
}

static void push_out(struct tlb_test *test, uint64_t linear)
{
    if (test->second) {
        *soft_map_entry(&test->m, test->cpu, linear ^ ALIAS, 12) = 0x302000 | P | W;
        load(test->cpu, linear ^ ALIAS, 1);
        assert_true(soft_tlb_entry(test->cpu, linear)->read == soft_tlb_want(test->cpu, linear ^ ALIAS, 1));
    }
}

/* 1 if the TLB still knows the page, 2 if it walks. For data, and for code. */
static void show_new(struct tlb_test *test, uint64_t linear, uint64_t flags)
{
    uint64_t gpa;

    *soft_map_entry(&test->m, test->cpu, linear, 12) = 0x300000 | flags;
    soft_tlb_flush_page(test->cpu, linear);
    assert_int_equal(load(test->cpu, linear, 1), 1);
    assert_int_equal(*soft_code_at(test->cpu, linear, &gpa), 1);
    push_out(test, linear);
    *soft_map_entry(&test->m, test->cpu, linear, 12) = 0x301000 | flags;
}

static unsigned what_shows(struct tlb_test *test, uint64_t linear)
{
    uint64_t gpa;
    unsigned data = (unsigned)load(test->cpu, linear, 1);

    assert_int_equal(*soft_code_at(test->cpu, linear, &gpa), data);
    push_out(test, linear);
    return data;
}

static void flushes(bool second)
{
    struct tlb_test test;
    struct soft_cpu *cpu;
    uint64_t cr3, generation;

    tlb_setup(&test, 0);
    test.second = second;
    cpu = test.cpu;
    show_new(&test, LINEAR, P | W);
    assert_int_equal(what_shows(&test, LINEAR), 1);
    show_new(&test, LINEAR_HIGH, P | W | G);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 1);
    /* CR3: global pages stay, by renumbering, for writes and code too. */
    generation = cpu->code_generation;
    soft_tlb_load_cr3(cpu, false);
    assert_true(cpu->code_generation != generation);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 1);
    soft_store(cpu, LINEAR_HIGH, 1, 3);
    assert_int_equal(test.m.low->host[0x300000], 1); /* not dirty yet: it walked, and found the new one */
    assert_int_equal(test.m.low->host[0x301000], 3);
    test.m.low->host[0x301000] = 2;
    show_new(&test, LINEAR_HIGH, P | W | G | D | A);
    soft_store(cpu, LINEAR_HIGH, 1, 1);
    for (unsigned i = 0; i < 3; i++) {
        soft_tlb_load_cr3(cpu, false);
        soft_store(cpu, LINEAR_HIGH, 1, 1);
        assert_int_equal(what_shows(&test, LINEAR_HIGH), 1);
    }
    /* INVLPG takes global pages, and only the one. */
    show_new(&test, LINEAR, P | W);
    soft_tlb_flush_page(cpu, LINEAR_HIGH + 0x800);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 2);
    assert_int_equal(what_shows(&test, LINEAR), 1);
    /* A flush of all takes all; so does a change of what global means. */
    show_new(&test, LINEAR_HIGH, P | W | G);
    soft_tlb_flush_all(cpu);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 2);
    show_new(&test, LINEAR_HIGH, P | W | G);
    soft_set_control(cpu, cpu->cr0, cpu->cr4 & ~CR4_PGE, cpu->efer);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 2);
    /* Without PGE nothing is global. */
    show_new(&test, LINEAR_HIGH, P | W | G);
    soft_tlb_load_cr3(cpu, false);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 2);
    /* Another address space altogether. */
    show_new(&test, LINEAR, P | W);
    cr3 = cpu->cr3;
    cpu->cr3 = soft_new_table(&test.m);
    soft_tlb_load_cr3(cpu, false);
    assert_page_fault(cpu, TRY_LOAD, LINEAR, 1, LINEAR, 0);
    cpu->cr3 = cr3;
    soft_tlb_load_cr3(cpu, false);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    tlb_teardown(&test);
}

static void test_flushes(void **state)
{
    flushes(false);
    flushes(true);
}

static void load_pcid(struct tlb_test *test, uint64_t pcid, bool keep)
{
    test->cpu->cr3 = (test->cpu->cr3 & ~UINT64_C(0xfff)) | pcid;
    soft_tlb_load_cr3(test->cpu, keep);
}

static void pcids(bool second)
{
    struct tlb_test test;
    uint64_t generation;

    tlb_setup(&test, CR4_PCIDE);
    test.second = second;
    load_pcid(&test, 5, false);
    show_new(&test, LINEAR, P | W);
    generation = test.cpu->code_generation;
    load_pcid(&test, 6, true);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    load_pcid(&test, 5, true);
    /* The same space again: what it had is there (but the one entry that the other's took). */
    assert_int_equal(test.cpu->code_generation, generation);
    show_new(&test, LINEAR, P | W);
    load_pcid(&test, 6, true);
    load_pcid(&test, 5, true);
    assert_int_equal(what_shows(&test, LINEAR), 1);
    load_pcid(&test, 6, true);
    load_pcid(&test, 5, false);
    assert_int_equal(what_shows(&test, LINEAR), 2);

    /* INVPCID 0: an address; 1: a space; 3: all spaces; 2: all. Global pages only by the last, or by their address. */
    show_new(&test, LINEAR, P | W);
    load_pcid(&test, 6, true);
    soft_tlb_invpcid(test.cpu, 0, 5, LINEAR);
    load_pcid(&test, 5, true);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    show_new(&test, LINEAR, P | W);
    soft_tlb_invpcid(test.cpu, 1, 6, 0);
    assert_int_equal(what_shows(&test, LINEAR), 1);
    load_pcid(&test, 6, true);
    soft_tlb_invpcid(test.cpu, 1, 5, 0);
    load_pcid(&test, 5, true);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    show_new(&test, LINEAR, P | W);
    show_new(&test, LINEAR_HIGH, P | W | G);
    soft_tlb_invpcid(test.cpu, 1, 5, 0);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 1);
    show_new(&test, LINEAR, P | W);
    load_pcid(&test, 6, true);
    soft_tlb_invpcid(test.cpu, 3, 0, 0);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 1);
    load_pcid(&test, 5, true);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    soft_tlb_invpcid(test.cpu, 2, 0, 0);
    assert_int_equal(what_shows(&test, LINEAR_HIGH), 2);
    /* All means other spaces, too. */
    show_new(&test, LINEAR, P | W);
    load_pcid(&test, 6, true);
    soft_tlb_flush_all(test.cpu);
    load_pcid(&test, 5, true);
    assert_int_equal(what_shows(&test, LINEAR), 2);
    tlb_teardown(&test);
}

static void test_pcids(void **state)
{
    pcids(false);
    pcids(true);
}

/* INVLPG on one address of a large page takes all of it: 2 MiB, 1 GiB, 4 MiB. */
static void large_pages_go_whole(bool second)
{
    struct tlb_test test;
    struct soft_cpu *cpu;
    uint64_t linear = UINT64_C(0xffff888040000000), gpa, generation, *entry;

    tlb_setup(&test, 0);
    test.second = second;
    cpu = test.cpu;
    entry = soft_map_entry(&test.m, cpu, linear, 21);
    *entry = 0x200000 | P | W | PS | G;
    load(cpu, linear + 0x100000, 1);
    push_out(&test, linear + 0x100000);
    assert_ptr_equal(soft_code_at(cpu, linear + 0x101000, &gpa), test.m.low->host + 0x301000);
    *entry = 0x400000 | P | W | PS | G;
    generation = cpu->code_generation;
    soft_tlb_flush_page(cpu, linear + 0x1f0000);
    assert_true(cpu->code_generation != generation);
    test.m.low->host[0x500000] = 9;
    assert_int_equal(load(cpu, linear + 0x100000, 1), 9);
    assert_ptr_equal(soft_code_at(cpu, linear + 0x101000, &gpa), test.m.low->host + 0x501000);
    /* Not its neighbour. */
    *soft_map_entry(&test.m, cpu, linear + 0x200000, 21) = 0x200000 | P | W | PS;
    load(cpu, linear + 0x300000, 1);
    *soft_map_entry(&test.m, cpu, linear + 0x200000, 21) = 0x400000 | P | W | PS;
    soft_tlb_flush_page(cpu, linear + 0x1f0000);
    assert_int_equal(load(cpu, linear + 0x300000, 1), 1);

    linear = UINT64_C(0x8040000000);
    entry = soft_map_entry(&test.m, cpu, linear, 30);
    *entry = P | W | PS;
    assert_int_equal(load(cpu, linear + 0x300000, 1), 1);
    *entry = UINT64_C(0x4000000000) | P | W | PS;
    soft_tlb_flush_page(cpu, linear + 0x3ff00000);
    assert_int_equal(load(cpu, linear + 0x300000, 1), 0xff);

    cpu->cr3 = soft_new_table(&test.m);
    soft_set_control(cpu, CR0_PE | CR0_PG, CR4_PSE, 0);
    *soft_entry32(&test.m, cpu->cr3, 1) = P | W | PS;
    assert_int_equal(load(cpu, 0x400000 + 0x300000, 1), 1);
    *soft_entry32(&test.m, cpu->cr3, 1) = 0x400000 | P | W | PS;
    soft_tlb_flush_page(cpu, 0x400000);
    assert_int_equal(load(cpu, 0x400000 + 0x100000, 1), 9);
    tlb_teardown(&test);
}

static void test_large_pages_go_whole(void **state)
{
    large_pages_go_whole(false);
    large_pages_go_whole(true);
}

/* The second level keeps what one entry's pages push out, for reading and writing, of all banks and pages. */
static void test_second_level(void **state)
{
    struct tlb_test test;
    struct soft_cpu *cpu;

    tlb_setup(&test, 0);
    cpu = test.cpu;
    for (unsigned i = 0; i < 4; i++) {
        *soft_map_entry(&test.m, cpu, LINEAR + i * ALIAS, 12) = (0x300000 + i * 0x1000) | P | W | U;
        soft_store(cpu, LINEAR + i * ALIAS, 1, i + 1);
    }
    /* From here on nobody walks: what the tables say now would fault. */
    for (unsigned i = 0; i < 4; i++) {
        *soft_map_entry(&test.m, cpu, LINEAR + i * ALIAS, 12) = 0;
    }
    for (unsigned i = 0; i < 100; i++) {
        uint64_t linear = LINEAR + (i * 7 % 4) * ALIAS;

        assert_int_equal(load(cpu, linear, 1), i * 7 % 4 + 1);
        soft_store(cpu, linear, 1, i * 7 % 4 + 1);
        assert_int_equal(soft_tlb_entry(cpu, linear)->write, soft_tlb_want(cpu, linear, 1));
    }
    /* Another privilege has its own. */
    soft_set_privilege(cpu, 3, false);
    assert_page_fault(cpu, TRY_LOAD, LINEAR, 1, LINEAR, PF_USER);
    soft_set_privilege(cpu, 0, false);
    /* INVLPG takes the one page, wherever it is. */
    soft_tlb_flush_page(cpu, LINEAR + ALIAS);
    assert_page_fault(cpu, TRY_LOAD, LINEAR + ALIAS, 1, LINEAR + ALIAS, 0);
    assert_int_equal(load(cpu, LINEAR, 1), 1);
    assert_int_equal(load(cpu, LINEAR + 2 * ALIAS, 1), 3);
    /* A page that was read only walks for its first write; what the walk finds is what counts. */
    *soft_map_entry(&test.m, cpu, LINEAR, 12) = 0x300000 | P | W;
    soft_tlb_flush_page(cpu, LINEAR);
    load(cpu, LINEAR, 1);
    load(cpu, LINEAR + 2 * ALIAS, 1);
    *soft_map_entry(&test.m, cpu, LINEAR, 12) = 0x301000 | P | W;
    soft_store(cpu, LINEAR, 1, 9);
    assert_int_equal(test.m.low->host[0x301000], 9);
    load(cpu, LINEAR + 2 * ALIAS, 1);
    assert_int_equal(load(cpu, LINEAR, 1), 9);
    tlb_teardown(&test);
}

/* Code generations change when a link may be wrong, and not when it can't be. */
static void test_code_generation(void **state)
{
    struct tlb_test test;
    struct soft_cpu *cpu;
    uint64_t generation, gpa;

    tlb_setup(&test, 0);
    cpu = test.cpu;
    *soft_map_entry(&test.m, cpu, LINEAR, 12) = 0x300000 | P;
    *soft_map_entry(&test.m, cpu, LINEAR + 0x5000, 12) = 0x300000 | P;
    soft_code_at(cpu, LINEAR, &gpa);
    load(cpu, LINEAR + 0x5000, 1);
    generation = cpu->code_generation;
    soft_tlb_flush_page(cpu, LINEAR + 0x5000);
    assert_int_equal(cpu->code_generation, generation);
    /* Even if the code TLB's own entry has been taken meanwhile. */
    *soft_map_entry(&test.m, cpu, LINEAR + 256 * 0x1000, 12) = 0x300000 | P;
    soft_code_at(cpu, LINEAR + 256 * 0x1000, &gpa);
    soft_tlb_flush_page(cpu, LINEAR);
    assert_true(cpu->code_generation != generation);
    generation = cpu->code_generation;
    soft_tlb_flush_page(cpu, LINEAR);
    assert_int_equal(cpu->code_generation, generation);
    soft_tlb_flush_all(cpu);
    assert_true(cpu->code_generation != generation);
    /* What isn't RAM is told by its address. */
    *soft_map_entry(&test.m, cpu, LINEAR, 12) = IO_GPA | P;
    assert_null(soft_code_at(cpu, LINEAR + 0x123, &gpa));
    assert_int_equal(gpa, IO_GPA + 0x123);
    tlb_teardown(&test);
}

/* Numbers and epochs run out and begin anew; nothing old comes back. */
static void test_numbers_run_out(void **state)
{
    struct tlb_test test;
    uint64_t generation = 0, tag = 0;

    tlb_setup(&test, CR4_PCIDE);
    test.second = true;
    for (unsigned i = 0; i < 3 * 4096; i++) {
        uint64_t page = i & 1 ? 0x301000 : 0x300000;

        *soft_map_entry(&test.m, test.cpu, LINEAR, 12) = page | P;
        soft_tlb_load_cr3(test.cpu, false);
        assert_int_equal(load(test.cpu, LINEAR, 1), i & 1 ? 2 : 1);
        /* In the second level, where nothing else comes by until its number comes again. */
        if (i == 4000) {
            show_new(&test, LINEAR + 0x3000, P | W);
            tag = test.cpu->tlb_tag;
        } else if (i > 4000 && test.cpu->tlb_tag == tag) {
            assert_int_equal(load(test.cpu, LINEAR + 0x3000, 1), 2);
        }
        assert_true(test.cpu->code_generation != generation);
        generation = test.cpu->code_generation;
        assert_in_range(test.cpu->tlb_tag, 1, 4094);
    }
    for (unsigned i = 0; i < 3 * 256; i++) {
        uint64_t page = i & 1 ? 0x301000 : 0x300000;

        *soft_map_entry(&test.m, test.cpu, LINEAR_HIGH, 12) = page | P | G;
        soft_tlb_flush_all(test.cpu);
        assert_int_equal(load(test.cpu, LINEAR_HIGH, 1), i & 1 ? 2 : 1);
    }
    tlb_teardown(&test);
}

/*
 * Changes of rights that come with flushes as the manual demands, in any order, on few pages that share entries; after
 * each, every page is what its tables say.
 */
static void test_random_changes(void **state)
{
    static const uint64_t flags[] = {P, P | W, P | G, P | W | G, 0};
    struct tlb_test test;
    uint64_t seed = 4711;

    tlb_setup(&test, CR4_PCIDE);
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t linear = LINEAR_HIGH + test_random_below(&seed, 4) * ALIAS + (test_random_below(&seed, 2) << 12);
        unsigned frame = (unsigned)test_random_below(&seed, 2);
        uint64_t entry = (0x300000 + frame * 0x1000) | flags[test_random_below(&seed, 5)];
        unsigned vector;

        *soft_map_entry(&test.m, test.cpu, linear, 12) = entry;
        switch (test_random_below(&seed, 5)) {
        case 0:
            soft_tlb_flush_all(test.cpu);
            break;
        case 1:
            soft_tlb_load_cr3(test.cpu, true);
            soft_tlb_invpcid(test.cpu, 0, 0, linear);
            break;
        case 2:
            load_pcid(&test, test_random_below(&seed, 3), true);
            soft_tlb_flush_page(test.cpu, linear);
            break;
        default:
            soft_tlb_flush_page(test.cpu, linear);
        }
        vector = soft_try(test.cpu, TRY_STORE, linear, 1, frame + 1);
        if (!(entry & P)) {
            assert_int_equal(vector, VECTOR_PF);
            assert_int_equal(test.cpu->fault.error, PF_WRITE);
        } else if (!(entry & W)) {
            assert_int_equal(vector, VECTOR_PF);
            assert_int_equal(test.cpu->fault.error, PF_PRESENT | PF_WRITE);
        } else {
            assert_int_equal(vector, NO_FAULT);
        }
        if (entry & P) {
            assert_int_equal(load(test.cpu, linear, 1), frame + 1);
        }
    }
    tlb_teardown(&test);
}

/* --- accesses ----------------------------------------------------------------------------------------------------- */

static void test_crossing(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint8_t bytes[40], back[40];

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W;
    *soft_map_entry(&m, cpu, LINEAR + 0x1000, 12) = 0x308000 | P | W;
    for (unsigned i = 1; i < 8; i++) {
        soft_store(cpu, LINEAR + 0x1000 - i, 8, UINT64_C(0x8877665544332211));
        assert_int_equal(load(cpu, LINEAR + 0x1000 - i, 8), UINT64_C(0x8877665544332211));
        assert_int_equal(m.low->host[0x301000 - i], 0x11);
        assert_int_equal(m.low->host[0x308000 + 7 - i], 0x88);
    }
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i + 100);
    }
    soft_write_bytes(cpu, LINEAR + 0x1000 - 13, bytes, sizeof(bytes));
    soft_read_bytes(cpu, LINEAR + 0x1000 - 13, back, sizeof(back));
    assert_memory_equal(bytes, back, sizeof(bytes));
    assert_memory_equal(bytes + 13, m.low->host + 0x308000, sizeof(bytes) - 13);

    /* Neither page is written if one faults; the address is the faulting page's first. */
    *soft_map_entry(&m, cpu, LINEAR + 0x1000, 12) = 0x308000 | P;
    soft_tlb_flush_page(cpu, LINEAR + 0x1000);
    memset(m.low->host + 0x300ff0, 0, 16);
    assert_page_fault(cpu, TRY_STORE, LINEAR + 0xffd, 4, LINEAR + 0x1000, PF_PRESENT | PF_WRITE);
    assert_page_fault(cpu, TRY_WRITE_BYTES, LINEAR + 0xff8, 16, LINEAR + 0x1000, PF_PRESENT | PF_WRITE);
    assert_page_fault(cpu, TRY_PROBE_WRITE, LINEAR + 0xffd, 4, LINEAR + 0x1000, PF_PRESENT | PF_WRITE);
    assert_page_fault(cpu, TRY_LOCK, LINEAR + 0xffd, 4, LINEAR + 0x1000, PF_PRESENT | PF_WRITE);
    soft_probe_read(cpu, LINEAR + 0xffd, 4);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(m.low->host[0x300ff0 + i], 0);
    }
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0;
    soft_tlb_flush_page(cpu, LINEAR);
    assert_page_fault(cpu, TRY_STORE, LINEAR + 0xffd, 4, LINEAR + 0xffd, PF_WRITE);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_canonical(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t last = UINT64_C(0x00007ffffffff000);

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, last, 12) = 0x300000 | P | W;
    *soft_map_entry(&m, cpu, UINT64_MAX & SOFT_PAGE_MASK, 12) = 0x301000 | P | W;
    *soft_map_entry(&m, cpu, 0, 12) = 0x302000 | P | W;
    /* The instruction that does it tells #GP from #SS: MOV RAX, [RDI] at address 0. */
    memcpy(m.low->host + 0x302000, "\x48\x8b\x07", 3);
    load(cpu, last + 0xff8, 8);
    assert_int_equal(soft_try(cpu, TRY_LOAD, last + 0xff9, 8, 0), VECTOR_GP);
    assert_int_equal(cpu->fault.error, 0);
    assert_int_equal(soft_try(cpu, TRY_LOAD, last + 0x1000, 1, 0), VECTOR_GP);
    assert_int_equal(soft_try(cpu, TRY_STORE, UINT64_C(0x8000000000000000), 1, 0), VECTOR_GP);
    assert_int_equal(soft_try(cpu, TRY_LOAD, UINT64_C(0xffff7fffffffffff), 2, 0), VECTOR_GP);
    assert_int_equal(soft_try(cpu, TRY_LOCK, UINT64_C(0x800000000000), 4, 0), VECTOR_GP);
    memcpy(m.low->host + 0x302000, "\x48\x8b\x04\x24", 4); /* MOV RAX, [RSP] */
    assert_int_equal(soft_try(cpu, TRY_LOAD, last + 0x1000, 1, 0), VECTOR_SS);
    assert_null(soft_host_range(cpu, UINT64_C(0x800000000000), &(uint64_t){8}, false));
    /* The top and the bottom are neighbours. */
    soft_store(cpu, UINT64_MAX - 1, 4, 0x44332211);
    assert_int_equal(m.low->host[0x301fff], 0x22);
    assert_int_equal(m.low->host[0x302001], 0x44);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_rom(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t gpa, refused;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = ROM_GPA | P | W;
    m.low->host[ROM_OFFSET + 8] = 0x42;
    assert_int_equal(load(cpu, LINEAR + 8, 1), 0x42);
    refused = atomic_load(&m.fixture.map.refused_accesses);
    soft_store(cpu, LINEAR + 8, 1, 0x43);
    soft_store(cpu, LINEAR + 8, 8, 0x43);
    assert_int_equal(atomic_load(&m.fixture.map.refused_accesses), refused + 2);
    assert_int_equal(load(cpu, LINEAR + 8, 1), 0x42);
    assert_null(soft_host_range(cpu, LINEAR, &(uint64_t){8}, true));
    assert_non_null(soft_host_range(cpu, LINEAR, &(uint64_t){8}, false));
    assert_ptr_equal(soft_code_at(cpu, LINEAR + 8, &gpa), m.low->host + ROM_OFFSET + 8);
    assert_null(soft_lock_begin(cpu, LINEAR + 8, 4));
    assert_int_equal(soft_load_slow(cpu, LINEAR + 8, 4), 0x42);
    soft_store_slow(cpu, LINEAR + 8, 4, 1);
    soft_lock_end(cpu);
    assert_int_equal(load(cpu, LINEAR + 8, 1), 0x42);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void check_io(const struct soft_machine *m, unsigned index, uint64_t offset, unsigned size_bytes, bool is_write,
                     uint64_t value)
{
    assert_true(index < m->io_count);
    assert_int_equal(m->io_log[index].offset, offset);
    assert_int_equal(m->io_log[index].size_bytes, size_bytes);
    assert_int_equal(m->io_log[index].is_write, is_write);
    assert_int_equal(m->io_log[index].value, value);
}

static void test_device(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W;
    *soft_map_entry(&m, cpu, LINEAR + 0x1000, 12) = IO_GPA | P | W;
    for (unsigned i = 0; i < 64; i++) {
        m.io_bytes[i] = (uint8_t)(0xa0 + i);
    }
    /* Each aligned size as it is. */
    for (unsigned size_bytes = 1; size_bytes <= 8; size_bytes *= 2) {
        m.io_count = 0;
        assert_int_equal(load(cpu, LINEAR + 0x1008, size_bytes),
                         UINT64_C(0xafaeadacabaaa9a8) & (UINT64_MAX >> (64 - 8 * size_bytes)));
        soft_store(cpu, LINEAR + 0x1010, size_bytes, 0x11);
        assert_int_equal(m.io_count, 2);
        check_io(&m, 0, 8, size_bytes, false, UINT64_C(0xafaeadacabaaa9a8) & (UINT64_MAX >> (64 - 8 * size_bytes)));
        check_io(&m, 1, 16, size_bytes, true, 0x11);
    }
    /* Unaligned ones in aligned pieces, rising. */
    m.io_count = 0;
    assert_int_equal(load(cpu, LINEAR + 0x1003, 8), UINT64_C(0xaaa9a8a7a6a5a4a3));
    assert_int_equal(m.io_count, 4);
    check_io(&m, 0, 3, 1, false, 0xa3);
    check_io(&m, 1, 4, 4, false, 0xa7a6a5a4);
    check_io(&m, 2, 8, 2, false, 0xa9a8);
    check_io(&m, 3, 10, 1, false, 0xaa);
    /* Half in RAM. */
    m.io_count = 0;
    soft_store(cpu, LINEAR + 0xffe, 4, 0x44332211);
    assert_int_equal(m.io_count, 1);
    check_io(&m, 0, 0, 2, true, 0x4433);
    assert_int_equal(*(uint16_t *)(m.low->host + 0x300ffe), 0x2211);
    assert_int_equal(load(cpu, LINEAR + 0xffe, 4), 0xa1a02211);
    /* A locked access is a load and a store. */
    m.io_count = 0;
    assert_null(soft_lock_begin(cpu, LINEAR + 0x1020, 4));
    assert_int_equal(soft_load_slow(cpu, LINEAR + 0x1020, 4), 0xc3c2c1c0);
    soft_store_slow(cpu, LINEAR + 0x1020, 4, 7);
    soft_lock_end(cpu);
    check_io(&m, 0, 0x20, 4, false, 0xc3c2c1c0);
    check_io(&m, 1, 0x20, 4, true, 7);
    assert_null(soft_host_range(cpu, LINEAR + 0x1000, &(uint64_t){8}, false));
    /* The vCPU was quiet meanwhile, and isn't any more. */
    assert_int_equal(atomic_load(&m.vcpus[0]->place), VCPU_IN_GUEST);
    assert_int_equal(atomic_load(&m.vcpus[0]->exits), 16);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_alignment_check(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W | U;
    for (unsigned i = 0; i < 8; i++) {
        bool checks = i == 7;

        soft_set_control(cpu, CR0_PE | CR0_PG | CR0_WP | (i & 1 ? CR0_AM : 0), cpu->cr4, cpu->efer);
        soft_set_privilege(cpu, i & 2 ? 3 : 0, i & 4);
        for (unsigned size_bytes = 1; size_bytes <= 8; size_bytes *= 2) {
            for (unsigned at = 0; at < 9; at++) {
                unsigned vector = checks && at % size_bytes ? VECTOR_AC : NO_FAULT;

                assert_int_equal(soft_try(cpu, TRY_LOAD, LINEAR + at, size_bytes, 0), vector);
                assert_int_equal(soft_try(cpu, TRY_STORE, LINEAR + at, size_bytes, at), vector);
                assert_int_equal(soft_try(cpu, TRY_PROBE_WRITE, LINEAR + at, size_bytes, 0), vector);
                if (vector == NO_FAULT) {
                    assert_int_equal(load(cpu, LINEAR + at, size_bytes), at);
                } else {
                    assert_int_equal(cpu->fault.error, 0);
                }
                soft_load_system(cpu, LINEAR + at, size_bytes);
            }
        }
    }
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

static void test_ranges_and_locks(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    uint64_t len_bytes = 10000;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W | G;
    soft_set_control(cpu, cpu->cr0, CR4_PAE | CR4_PGE, cpu->efer);
    assert_null(soft_host_range(cpu, LINEAR + 0x10, &len_bytes, true));
    load(cpu, LINEAR, 1);
    assert_null(soft_host_range(cpu, LINEAR + 0x10, &len_bytes, true)); /* not dirty */
    assert_ptr_equal(soft_host_range(cpu, LINEAR + 0x10, &len_bytes, false), m.low->host + 0x300010);
    assert_int_equal(len_bytes, 0xff0);
    soft_store(cpu, LINEAR, 1, 1);
    len_bytes = 5;
    soft_tlb_load_cr3(cpu, false);
    assert_ptr_equal(soft_host_range(cpu, LINEAR + 0x10, &len_bytes, true), m.low->host + 0x300010);
    assert_int_equal(len_bytes, 5);

    assert_ptr_equal(soft_lock_begin(cpu, LINEAR + 0x123, 8), m.low->host + 0x300123);
    soft_tlb_flush_all(cpu);
    assert_ptr_equal(soft_lock_begin(cpu, LINEAR + 0x120, 16), m.low->host + 0x300120);
    /* Bits of descriptors, wherever they lie. */
    *soft_map_entry(&m, cpu, LINEAR + 0x1000, 12) = 0x308000 | P | W;
    for (unsigned at = 0xffa; at < 0x1002; at++) {
        soft_store(cpu, LINEAR + at, 4, 0x00ff00f0);
        soft_set_privilege(cpu, 3, false);
        soft_or_system32(cpu, LINEAR + at, 0x01000001, 0x00100000);
        soft_set_privilege(cpu, 0, false);
        assert_int_equal(load(cpu, LINEAR + at, 4), 0x01ef00f1);
    }
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

/* An entry as the micro-operations see it, for each kind of page. */
static void test_fast_words(void **state)
{
    struct soft_machine m;
    struct soft_cpu *cpu;
    struct soft_tlb_entry *entry;
    uint64_t want;

    soft_machine_init(&m, 1);
    cpu = soft_machine_start(&m, 0);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P | W;
    entry = soft_tlb_entry(cpu, LINEAR);
    want = soft_tlb_want(cpu, LINEAR, 1);
    load(cpu, LINEAR, 1);
    assert_int_equal(entry->read, want);
    assert_int_equal(entry->write, 0);
    soft_store(cpu, LINEAR, 1, 1);
    assert_int_equal(entry->write, want);
    assert_ptr_equal(LINEAR + entry->addend, m.low->host + 0x300000);
    assert_true(soft_tlb_want(cpu, LINEAR + 0xffd, 4) != want);
    *soft_map_entry(&m, cpu, LINEAR, 12) = ROM_GPA | P | W | D;
    soft_tlb_flush_page(cpu, LINEAR);
    load(cpu, LINEAR, 1);
    assert_int_equal(entry->read, want);
    assert_int_equal(entry->write, ~want);
    *soft_map_entry(&m, cpu, LINEAR, 12) = IO_GPA | P | W | D;
    soft_tlb_flush_page(cpu, LINEAR);
    load(cpu, LINEAR, 1);
    assert_int_equal(entry->read, ~want);
    assert_int_equal(entry->write, ~want);
    *soft_map_entry(&m, cpu, LINEAR, 12) = 0x300000 | P;
    soft_tlb_flush_page(cpu, LINEAR);
    load(cpu, LINEAR, 1);
    assert_int_equal(entry->write, 0);
    soft_machine_end(cpu);
    soft_machine_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flushes),
        cmocka_unit_test(test_pcids),
        cmocka_unit_test(test_large_pages_go_whole),
        cmocka_unit_test(test_second_level),
        cmocka_unit_test(test_code_generation),
        cmocka_unit_test(test_numbers_run_out),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_rom),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_ranges_and_locks),
        cmocka_unit_test(test_fast_words),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
