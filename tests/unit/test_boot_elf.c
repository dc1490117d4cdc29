/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PVH and Multiboot kernels: what they find in memory, and files that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "boot_fixture.h"
#include "machine/pc_layout.h"

static int setup(void **state)
{
    *state = malloc(sizeof(struct boot_fixture));
    boot_fixture_init(*state);
    return 0;
}

static int teardown(void **state)
{
    boot_fixture_destroy(*state);
    free(*state);
    return 0;
}

static void pvh_start_info_is_complete(void **state)
{
    struct boot_fixture *fixture = *state;
    uint8_t *low = fixture->ram.low, *info = low + PC_BOOT_INFO;

    fixture->request.kernel_bytes = boot_fixture_make_pvh(fixture);
    fixture->request.cmdline = "panic=1";
    boot_fixture_add_initrd(fixture, 100);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.mode, BOOT_PROTECTED);
    assert_int_equal(fixture->entry.rip, 0x1000100);
    assert_int_equal(fixture->entry.rbx, PC_BOOT_INFO);
    assert_int_equal(load_le32(info), 0x336EC578);
    assert_int_equal(load_le32(info + 12), 1);
    assert_string_equal((char *)low + load_le64(info + 24), "panic=1");
    assert_int_equal(load_le64(info + 32), 0xE0000);
    assert_int_equal(load_le32(info + 48), fixture->map.count);
    assert_int_equal(load_le64(low + load_le64(info + 40) + 8), PC_EBDA);
    assert_int_equal(load_le64(low + load_le64(info + 16) + 8), 100);
    assert_int_equal(low[load_le64(low + load_le64(info + 16)) + 99], 99);
    assert_int_equal(low[0x1000FFF], 0x90);
    assert_int_equal(low[0x1001000], 0); /* bss */
    assert_int_equal(low[0x1002FFF], 0);
    assert_int_equal(low[0x1003000], 0xCC);
}

static void check_multiboot_info(struct boot_fixture *fixture)
{
    uint8_t *low = fixture->ram.low, *info = low + PC_BOOT_INFO;
    uint8_t *mmap = low + load_le32(info + 48);
    uint8_t *module = low + load_le32(info + 24);

    assert_int_equal(fixture->entry.mode, BOOT_PROTECTED);
    assert_int_equal(fixture->entry.rax, 0x2BADB002);
    assert_int_equal(fixture->entry.rbx, PC_BOOT_INFO);
    assert_int_equal(load_le32(info + 4), 639);
    assert_int_equal(load_le32(info + 8), BOOT_FIXTURE_RAM_BYTES / 1024 - 1024);
    assert_string_equal((char *)low + load_le32(info + 16), "kernel a b");
    assert_int_equal(load_le32(info + 20), 1);
    assert_int_equal(load_le32(module + 4) - load_le32(module), 100);
    assert_string_equal((char *)low + load_le32(module + 8), "initrd");
    assert_int_equal(load_le32(info + 44), 24 * fixture->map.count);
    assert_int_equal(load_le32(mmap), 20);
    assert_int_equal(load_le64(mmap + 12), PC_EBDA);
}

static void multiboot_info_is_complete(void **state)
{
    struct boot_fixture *fixture = *state;

    fixture->request.cmdline = "a b";
    boot_fixture_add_initrd(fixture, 100);
    fixture->request.kernel_bytes = boot_fixture_make_multiboot_elf32(fixture);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.rip, 0x400010);
    check_multiboot_info(fixture);
    fixture->request.kernel_bytes = boot_fixture_make_multiboot_elf64(fixture);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.rip, 0x400010);
    check_multiboot_info(fixture);
}

static void multiboot_flat_loads_what_the_header_says(void **state)
{
    struct boot_fixture *fixture = *state;
    uint8_t *low = fixture->ram.low;

    fixture->request.kernel_bytes = boot_fixture_make_multiboot_flat(fixture);
    assert_int_equal(boot_fixture_load(fixture, NULL), 0);
    assert_int_equal(fixture->entry.rip, 0x200060);
    assert_int_equal(load_le32(low + 0x200040), 0x1BADB002);
    assert_int_equal(low[0x2007FF], 0x90);
    assert_int_equal(low[0x200800], 0);
    assert_int_equal(low[0x201FFF], 0);
    assert_int_equal(low[0x202000], 0xCC);
    store_le32(fixture->image + 0x54, 0x202000); /* load end beyond the file */
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
    store_le32(fixture->image + 0x54, 0);
    store_le32(fixture->image + 0x58, 0xFFFFF000);
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOSPC);
}

static void what_is_no_kernel_is_named(void **state)
{
    struct boot_fixture *fixture = *state;
    char message[256];

    memset(fixture->image, 'x', 1000);
    fixture->request.kernel_bytes = 1000;
    assert_int_equal(boot_fixture_load(fixture, message), -ENOEXEC);
    assert_non_null(strstr(message, "-kernel 'kernel': is not a kernel"));
    boot_fixture_make_pvh(fixture);
    store_le32(fixture->image + 0x21C, 17); /* another note */
    fixture->request.kernel_bytes = 0x2000;
    assert_int_equal(boot_fixture_load(fixture, message), -ENOEXEC);
    assert_non_null(strstr(message, "neither a PVH entry point nor a Multiboot header"));
    store_le16(fixture->image + 18, 183); /* for arm64 */
    assert_int_equal(boot_fixture_load(fixture, message), -ENOEXEC);
    assert_non_null(strstr(message, "not for x86"));
}

static void segments_outside_free_memory_are_refused(void **state)
{
    static const uint64_t bad[] = {0,           PC_BOOT_TABLES,     0x9F000, PC_ACPI, BOOT_FIXTURE_RAM_BYTES - 0x1000,
                                   PC_RAM_HIGH, UINT64_MAX - 0x2FFF};
    struct boot_fixture *fixture = *state;

    fixture->request.kernel_bytes = boot_fixture_make_pvh(fixture);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        store_le64(fixture->image + 64 + 24, bad[i]);
        assert_true(boot_fixture_load(fixture, NULL) < 0);
    }
}

static void hostile_notes_are_survived(void **state)
{
    static const uint32_t sizes[] = {0, 3, 0x7FFFFFFF, 0xFFFFFFFC, 0xFFFFFFFF};
    struct boot_fixture *fixture = *state;

    fixture->request.kernel_bytes = boot_fixture_make_pvh(fixture);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (size_t field = 0x200; field <= 0x218; field += 4) {
            boot_fixture_make_pvh(fixture);
            store_le32(fixture->image + field, sizes[i]);
            (void)boot_fixture_load(fixture, NULL);
        }
    }
    boot_fixture_make_pvh(fixture);
    store_le64(fixture->image + 120 + 8, 0x1FFF); /* the notes reach beyond the file */
    assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
}

static void truncated_at_any_length_is_refused(void **state)
{
    struct boot_fixture *fixture = *state;
    uint64_t (*const make[])(struct boot_fixture *) = {boot_fixture_make_pvh, boot_fixture_make_multiboot_elf32,
                                                       boot_fixture_make_multiboot_elf64};

    for (size_t kind = 0; kind < ARRAY_SIZE(make); kind++) {
        uint64_t whole = make[kind](fixture);

        for (uint64_t len = 0; len < whole; len += len < 0x300 ? 1 : 97) {
            fixture->request.kernel_bytes = len;
            assert_int_equal(boot_fixture_load(fixture, NULL), -ENOEXEC);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pvh_start_info_is_complete),
        TEST(multiboot_info_is_complete),
        TEST(multiboot_flat_loads_what_the_header_says),
        TEST(what_is_no_kernel_is_named),
        TEST(segments_outside_free_memory_are_refused),
        TEST(hostile_notes_are_survived),
        TEST(truncated_at_any_length_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
