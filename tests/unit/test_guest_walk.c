/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's page tables as the monitor reads them: every mode of paging, and tables that lead nowhere. */
#include "memory_fixture.h"

#include <stdlib.h>

#include "monitor/guest_walk.h"

#define RAM_BYTES 0x100000

enum { PRESENT = 1, LARGE = 1 << 7 };
enum { PSE = 1 << 4, PAE = 1 << 5, LA57 = 1 << 12, LMA = 1 << 10 };

struct walk_rig {
    struct memory_fixture memory;
    struct ram_block *ram;
    struct region region;
    struct cpu_state state;
};

static int setup(void **state)
{
    struct walk_rig *rig = calloc(1, sizeof(*rig));

    memory_fixture_init(&rig->memory);
    rig->ram = ram_block_create("ram", RAM_BYTES, 0, NULL);
    region_init_ram(&rig->region, "ram", rig->ram, 0, RAM_BYTES, false);
    region_add(&rig->memory.map, &rig->memory.root, 0, &rig->region, 0);
    rig->state.cr0 = UINT64_C(1) << 31;
    rig->state.cr3 = 0x1000;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct walk_rig *rig = *state;

    region_remove(&rig->memory.map, &rig->region);
    region_destroy(&rig->region);
    ram_block_put(rig->ram);
    memory_fixture_destroy(&rig->memory);
    free(rig);
    return 0;
}

static void put(struct walk_rig *rig, uint64_t address, uint64_t entry, unsigned size_bytes)
{
    memcpy(rig->ram->host + address, &entry, size_bytes);
}

static void assert_leads(struct walk_rig *rig, uint64_t linear, uint64_t expected, uint64_t expected_left)
{
    uint64_t physical, left;

    assert_true(guest_walk(&rig->memory.space, &rig->state, linear, &physical, &left));
    assert_true(physical == expected);
    assert_true(left == expected_left);
}

static void assert_leads_nowhere(struct walk_rig *rig, uint64_t linear)
{
    uint64_t physical, left;

    assert_false(guest_walk(&rig->memory.space, &rig->state, linear, &physical, &left));
}

static void test_no_paging(void **state)
{
    struct walk_rig *rig = *state;

    rig->state.cr0 = 0;
    assert_leads(rig, 0x12345678, 0x12345678, 0x988);
    assert_leads(rig, UINT64_C(0x1ffffffff), 0xffffffff, 1);
}

static void test_32_bit(void **state)
{
    struct walk_rig *rig = *state;

    put(rig, 0x1000 + 4 * 0x300, 0x2000 | PRESENT, 4);
    put(rig, 0x2000 + 4 * 5, 0x7000 | PRESENT, 4);
    put(rig, 0x1000 + 4 * 1, 0x00c00000 | 3 << 13 | LARGE | PRESENT, 4);
    assert_leads(rig, 0xc0005123, 0x7123, 0xedd);
    assert_leads_nowhere(rig, 0xc0006123);
    assert_leads_nowhere(rig, 0x00800000);
    rig->state.cr4 = PSE;
    assert_leads(rig, 0x00400010, UINT64_C(0x300c00010), 0x3ffff0); /* PSE-36 */
}

static void test_pae(void **state)
{
    struct walk_rig *rig = *state;

    rig->state.cr4 = PAE;
    rig->state.cr3 = 0x1020; /* not at the beginning of a page */
    put(rig, 0x1020 + 8 * 2, 0x2000 | PRESENT, 8);
    put(rig, 0x2000 + 8 * 1, 0x3000 | PRESENT, 8);
    put(rig, 0x2000 + 8 * 2, UINT64_C(0x8000000140200000) | LARGE | PRESENT, 8);
    put(rig, 0x3000 + 8 * 4, UINT64_C(0x8000000100009000) | PRESENT, 8);
    assert_leads(rig, 0x80204008, UINT64_C(0x100009008), 0xff8);
    assert_leads(rig, 0x80400000, UINT64_C(0x140200000), 0x200000);
    assert_leads_nowhere(rig, 0);
}

static void test_long_mode(void **state)
{
    struct walk_rig *rig = *state;

    rig->state.cr4 = PAE;
    rig->state.efer = LMA;
    put(rig, 0x1000 + 8 * 511, 0x2000 | PRESENT, 8);
    put(rig, 0x2000 + 8 * 510, 0x3000 | PRESENT, 8);
    put(rig, 0x2000 + 8 * 0, 0x40000000 | LARGE | PRESENT, 8);
    put(rig, 0x3000 + 8 * 1, 0x4000 | PRESENT, 8);
    put(rig, 0x3000 + 8 * 2, 0x00600000 | LARGE | PRESENT, 8);
    put(rig, 0x4000 + 8 * 3, 0x5000 | PRESENT, 8);
    assert_leads(rig, UINT64_C(0xffffffff80203040), 0x5040, 0xfc0);
    assert_leads(rig, UINT64_C(0xffffffff80412345), 0x00612345, 0x1edcbb);
    assert_leads(rig, UINT64_C(0xffffff8000000001), 0x40000001, 0x3fffffff);
    rig->state.cr4 |= LA57;
    assert_leads_nowhere(rig, UINT64_C(0xffffffff80203040));
    rig->state.cr3 = 0x6000;
    put(rig, 0x6000 + 8 * 511, 0x1000 | PRESENT, 8);
    assert_leads(rig, UINT64_C(0xffffffff80203040), 0x5040, 0xfc0);
}

static void test_tables_outside_of_ram(void **state)
{
    struct walk_rig *rig = *state;

    rig->state.cr4 = PAE;
    rig->state.efer = LMA;
    rig->state.cr3 = RAM_BYTES;
    assert_leads_nowhere(rig, 0);
    rig->state.cr3 = UINT64_MAX;
    assert_leads_nowhere(rig, UINT64_MAX);
    rig->state.cr3 = 0x1000;
    put(rig, 0x1000, UINT64_MAX, 8);
    assert_leads_nowhere(rig, 0x1234);
}

static void test_reading(void **state)
{
    struct walk_rig *rig = *state;
    uint8_t bytes[16];

    put(rig, 0xffff8, UINT64_C(0x0807060504030201), 8);
    assert_true(guest_ram_read(&rig->memory.space, 0xffff9, bytes, 7));
    assert_memory_equal(bytes, "\2\3\4\5\6\7\10", 7);
    assert_false(guest_ram_read(&rig->memory.space, 0xffff9, bytes, 8)); /* past the end */
    assert_false(guest_ram_read(&rig->memory.space, UINT64_MAX - 3, bytes, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_paging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_32_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pae, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tables_outside_of_ram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
