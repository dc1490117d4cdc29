/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files to boot from, the memory map, and random damage to every kind of image. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "boot_fixture.h"
#include "machine/pc_layout.h"

static int open_error(const char *kernel, const char *initrd, char *message)
{
    struct boot_images images;
    struct error *err = NULL;
    int ret = boot_images_open(&images, kernel, initrd, "", &err);

    snprintf(message, 256, "%s", err ? err->message : "");
    error_free(err);
    if (ret == 0) {
        boot_images_close(&images);
    }
    return ret;
}

static void make_file(char *path, const void *data, size_t len_bytes)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len_bytes), (ssize_t)len_bytes);
    close(fd);
}

static void bad_files_are_named(void **state)
{
    char empty[] = "/tmp/heddle-boot-XXXXXX", text[] = "/tmp/heddle-boot-XXXXXX", fifo[] = "/tmp/heddle-boot-XXXXXX";
    char message[256];

    assert_int_equal(open_error("/nonexistent/kernel", NULL, message), -ENOENT);
    assert_string_equal(message, "-kernel '/nonexistent/kernel': No such file or directory");
    assert_int_equal(open_error("/tmp", NULL, message), -EISDIR);
    assert_non_null(strstr(message, "is a directory"));
    make_file(empty, "", 0);
    assert_int_equal(open_error(empty, NULL, message), -EINVAL);
    assert_non_null(strstr(message, "is empty"));
    make_file(text, "#!/bin/sh\n", 10);
    assert_int_equal(open_error(text, NULL, message), -ENOEXEC);
    assert_non_null(strstr(message, "is not a kernel"));
    assert_int_equal(open_error(text, empty, message), -EINVAL);
    assert_non_null(strstr(message, "-initrd"));
    make_file(fifo, "", 0);
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(open_error(fifo, NULL, message), -EINVAL);
    unlink(fifo);
    unlink(empty);
    unlink(text);
}

static void images_load_twice(void **state)
{
    char path[] = "/tmp/heddle-boot-XXXXXX";
    struct boot_fixture *fixture = malloc(sizeof(*fixture));
    struct boot_images images;
    struct boot_entry entry;

    boot_fixture_init(fixture);
    make_file(path, fixture->image, boot_fixture_make_bzimage(fixture));
    assert_int_equal(boot_images_open(&images, path, path, "quiet", NULL), 0);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        memset(fixture->ram.low, 0, BOOT_FIXTURE_RAM_BYTES);
        assert_int_equal(boot_images_load(&images, BOOT_UNPACK_GUEST, &fixture->ram, &fixture->map, 0, &entry, NULL),
                         0);
        assert_int_equal(entry.rip, 0x1000200);
        assert_int_equal(fixture->ram.low[0x1000200], 0x90);
    }
    boot_images_close(&images);
    boot_images_close(&images);
    boot_fixture_destroy(fixture);
    free(fixture);
}

static void memory_map_has_the_pci_hole(void **state)
{
    struct guest_memory_map map;
    uint64_t last = 0, ram = 0;

    guest_memory_map_build(&map, PC_RAM_LOW_MAX, UINT64_C(3) << 30);
    for (unsigned i = 0; i < map.count; i++) {
        const struct memory_map_entry *entry = &map.entries[i];

        assert_true(entry->start >= last);
        last = entry->start + entry->size_bytes;
        if (entry->type == MEMORY_RAM) {
            ram += entry->size_bytes;
            assert_true(last <= PC_RAM_LOW_MAX || entry->start >= PC_RAM_HIGH);
        }
    }
    assert_int_equal(ram, (UINT64_C(6) << 30) - (PC_RAM_EXTENDED - PC_EBDA));
    guest_memory_map_build(&map, 64 << 20, 0);
    assert_true(map.entries[map.count - 1].type == MEMORY_RESERVED);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Interesting numbers at random places of the headers. */
static void damage(uint8_t *image, uint64_t len_bytes, uint64_t *seed)
{
    static const uint64_t values[] = {0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
    unsigned times = 1 + random_next(seed) % 4;

    while (times-- > 0) {
        uint64_t reach = random_next(seed) % 4 ? MIN(len_bytes, UINT64_C(0x280)) : len_bytes;
        uint64_t at = random_next(seed) % (reach - 8);
        uint64_t value = random_next(seed) % 2 ? values[random_next(seed) % ARRAY_SIZE(values)] : random_next(seed);

        memcpy(image + at, &value, (size_t)1 << random_next(seed) % 4);
    }
}

static void damaged_images_are_survived(void **state)
{
    uint64_t (*const make[])(struct boot_fixture *) = {
        boot_fixture_make_bzimage, boot_fixture_make_pvh, boot_fixture_make_multiboot_elf32,
        boot_fixture_make_multiboot_elf64, boot_fixture_make_multiboot_flat};
    struct boot_fixture *fixture = malloc(sizeof(*fixture));
    uint64_t seed = 0x9E3779B97F4A7C15;
    unsigned refused = 0;

    boot_fixture_init(fixture);
    fixture->ram.low_bytes = 6 << 20;
    for (unsigned i = 0; i < 5000; i++) {
        fixture->request.kernel_bytes = make[i % ARRAY_SIZE(make)](fixture);
        damage(fixture->image, fixture->request.kernel_bytes, &seed);
        refused += boot_fixture_load(fixture, NULL) < 0;
        /* Whatever was loaded, memory that the guest is told not to use is untouched. */
        assert_int_equal(fixture->ram.low[PC_ACPI], 0xCC);
        assert_int_equal(fixture->ram.low[fixture->ram.low_bytes], 0xCC);
    }
    assert_in_range(refused, 100, 4900);
    boot_fixture_destroy(fixture);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(images_load_twice),
        cmocka_unit_test(memory_map_has_the_pci_hole),
        cmocka_unit_test(damaged_images_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
