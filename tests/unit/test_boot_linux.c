/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Linux loader: placement, zero page, initrd, command line, and headers that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "boot_fixture.h"
#include "machine/boot/cpu_tables.h"
#include "machine/pc_layout.h"

static int setup(void **state)
{
    struct boot_fixture *fixture = malloc(sizeof(*fixture));

    boot_fixture_init(fixture);
    fixture->request.kernel_bytes = boot_fixture_make_bzimage(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    boot_fixture_destroy(*state);
    free(*state);
    return 0;
}

static void loads_at_the_preferred_address(void **state)
{
    struct boot_fixture *fixture = *state;

    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.mode, BOOT_LONG);
    assert_int_equal(fixture->entry.rip, 0x1000200);
    assert_int_equal(fixture->entry.rsi, PC_BOOT_PARAMS);
    assert_int_equal(fixture->ram.low[0x1000000], 0x90);
    assert_int_equal(fixture->ram.low[0x1000FFF], 0x90);
    assert_int_equal(fixture->ram.low[0x1001000], 0xCC);
}

static void moves_where_there_is_room(void **state)
{
    struct boot_fixture *fixture = *state;

    fixture->ram.low_bytes = 8 << 20;
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.rip, 0x200200);
    fixture->image[0x234] = 0; /* no longer relocatable */
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOSPC);
}

static void zero_page_is_complete(void **state)
{
    struct boot_fixture *fixture = *state;
    uint8_t *zero = fixture->ram.low + PC_BOOT_PARAMS;

    fixture->request.cmdline = "console=ttyS0";
    boot_fixture_add_initrd(fixture, 5000);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(load_le32(zero + 0x202), 0x53726448);
    assert_int_equal(zero[0x210], 0xFF);
    assert_int_equal(load_le64(zero + 0x70), 0xE0000);
    assert_int_equal(load_le32(zero + 0x228), PC_BOOT_CMDLINE);
    assert_string_equal((char *)fixture->ram.low + PC_BOOT_CMDLINE, "console=ttyS0");
    assert_int_equal(load_le32(zero + 0x218), (BOOT_FIXTURE_RAM_BYTES - 5000) & ~4095);
    assert_int_equal(load_le32(zero + 0x21C), 5000);
    assert_int_equal(fixture->ram.low[load_le32(zero + 0x218) + 4999], 4999 & 0xFF);
    assert_int_equal(zero[0x1E8], fixture->map.count);
    assert_int_equal(load_le64(zero + 0x2D0 + 8), PC_EBDA);
    assert_int_equal(load_le32(zero + 0x2D0 + 16), MEMORY_RAM);
    /* What lies beyond the header in the file isn't copied into the zero page. */
    assert_int_equal(zero[0x26C], 0);
}

static void page_tables_map_four_gigabytes(void **state)
{
    struct boot_fixture *fixture = *state;
    uint8_t *low = fixture->ram.low;
    uint64_t level3, level2;

    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    level3 = load_le64(low + PC_BOOT_TABLES) & ~UINT64_C(0xFFF);
    for (uint64_t gib = 0; gib < 4; gib++) {
        level2 = load_le64(low + level3 + 8 * gib) & ~UINT64_C(0xFFF);
        assert_int_equal(load_le64(low + level2), gib << 30 | 0x83);
        assert_int_equal(load_le64(low + level2 + 8 * 511), (gib << 30) + (UINT64_C(511) << 21) + 0x83);
    }
    assert_int_equal(load_le64(low + PC_BOOT_GDT + BOOT_CS64), BOOT_GDT_CODE64);
}

static void initrd_stays_below_its_limit(void **state)
{
    struct boot_fixture *fixture = *state;

    boot_fixture_add_initrd(fixture, 5000);
    store_le32(fixture->image + 0x22C, 0x17FFFFF);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(load_le32(fixture->ram.low + PC_BOOT_PARAMS + 0x218), (0x1800000 - 5000) & ~4095);
}

static void initrd_that_does_not_fit_is_refused(void **state)
{
    struct boot_fixture *fixture = *state;
    char message[256];

    boot_fixture_add_initrd(fixture, 13 << 20);
    assert_int_equal(boot_fixture_load(fixture, message), -ENOSPC);
    assert_non_null(strstr(message, "-initrd 'initrd'"));
}

static void initrd_that_became_shorter_is_refused(void **state)
{
    struct boot_fixture *fixture = *state;

    boot_fixture_add_initrd(fixture, 5000);
    assert_int_equal(ftruncate(fixture->initrd.fd, 100), 0);
    assert_int_equal(boot_fixture_load(fixture, NULL), -EIO);
}

static void long_command_line_is_refused(void **state)
{
    struct boot_fixture *fixture = *state;
    char line[2049], message[256];

    memset(line, 'x', sizeof(line));
    line[2048] = 0;
    fixture->request.cmdline = line;
    assert_int_equal(boot_fixture_load(fixture, message), -E2BIG);
    assert_non_null(strstr(message, "-append"));
    line[2047] = 0;
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
}

static void old_or_32_bit_kernels_are_refused(void **state)
{
    struct boot_fixture *fixture = *state;
    char message[256];

    store_le16(fixture->image + 0x236, 0);
    assert_int_equal(boot_fixture_load(fixture, message), -ENOEXEC);
    assert_non_null(strstr(message, "64-bit"));
    store_le16(fixture->image + 0x206, 0x0204);
    assert_int_equal(boot_fixture_load(fixture, message), -ENOEXEC);
    assert_non_null(strstr(message, "2.04"));
}

static void truncated_at_any_length_is_refused(void **state)
{
    struct boot_fixture *fixture = *state;
    uint64_t whole = fixture->request.kernel_bytes;

    for (uint64_t len = 0; len + 16 < whole; len += len < 1100 ? 1 : 100) {
        fixture->request.kernel_bytes = len;
        assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
    }
}

static void impossible_headers_are_refused(void **state)
{
    struct boot_fixture *fixture = *state;

    fixture->image[0x201] = 0xFF; /* beyond the zero page's header */
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
    fixture->image[0x201] = 1;
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
    fixture->image[0x201] = 0x6A;
    store_le32(fixture->image + 0x230, 0x300000); /* not a power of two */
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
    store_le32(fixture->image + 0x230, 0x200000);
    store_le32(fixture->image + 0x260, 0xFFFFFFFF);
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOSPC);
    store_le32(fixture->image + 0x260, 0x400000);
    store_le64(fixture->image + 0x258, UINT64_MAX - 0x1000); /* wraps: goes elsewhere */
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.rip, 0x200200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loads_at_the_preferred_address),
        TEST(moves_where_there_is_room),
        TEST(zero_page_is_complete),
        TEST(page_tables_map_four_gigabytes),
        TEST(initrd_stays_below_its_limit),
        TEST(initrd_that_does_not_fit_is_refused),
        TEST(initrd_that_became_shorter_is_refused),
        TEST(long_command_line_is_refused),
        TEST(old_or_32_bit_kernels_are_refused),
        TEST(truncated_at_any_length_is_refused),
        TEST(impossible_headers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
