/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI tables: found from the root pointer as a guest finds them, sound, and saying what the machine is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "machine/acpi/tables.h"
#include "machine/pc_layout.h"

enum { AREA_BYTES = PC_ACPI_END - PC_ACPI };

static uint8_t *area_at(uint8_t *area, uint64_t gpa, uint64_t len_bytes)
{
    assert_true(gpa >= PC_ACPI && gpa + len_bytes <= PC_ACPI_END);
    return area + (gpa - PC_ACPI);
}

static void assert_sums_to_zero(const uint8_t *bytes, size_t len_bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        sum += bytes[i];
    }
    assert_int_equal(sum, 0);
}

static uint8_t *checked_table(uint8_t *area, uint64_t gpa)
{
    uint8_t *table = area_at(area, gpa, 36);

    assert_sums_to_zero(area_at(area, gpa, load_le32(table + 4)), load_le32(table + 4));
    return table;
}

static uint8_t *find_table(uint8_t *area, uint64_t rsdp_gpa, const char *signature)
{
    uint8_t *rsdp = area_at(area, rsdp_gpa, 36), *xsdt;

    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(rsdp_gpa % 16, 0);
    assert_sums_to_zero(rsdp, 20);
    assert_sums_to_zero(rsdp, 36);
    xsdt = checked_table(area, load_le64(rsdp + 24));
    for (uint32_t at = 36; at < load_le32(xsdt + 4); at += 8) {
        uint8_t *table = checked_table(area, load_le64(xsdt + at));

        if (memcmp(table, signature, 4) == 0) {
            return table;
        }
    }
    return NULL;
}

static int write_tables(uint8_t *area, unsigned cpus, uint64_t *rsdp_gpa)
{
    uint32_t *ids = calloc(cpus, sizeof(*ids));
    struct acpi_config config = {.apic_ids = ids,
                                 .cpu_count = cpus,
                                 .has_hpet = true,
                                 .serial_mask = 1,
                                 .window64_start = 0x800000000,
                                 .window64_size_bytes = 0x800000000};
    int ret;

    for (unsigned i = 0; i < cpus; i++) {
        ids[i] = i;
    }
    ret = acpi_tables_write(area, &config, rsdp_gpa, NULL);
    free(ids);
    return ret;
}

static void tables_are_found_and_sound(void **state)
{
    uint8_t *area = malloc(AREA_BYTES), *fadt, *dsdt;
    uint64_t rsdp_gpa;

    memset(area, 0xCC, AREA_BYTES);
    assert_int_equal(write_tables(area, 4, &rsdp_gpa), 0);
    fadt = find_table(area, rsdp_gpa, "FACP");
    assert_non_null(fadt);
    assert_int_equal(load_le32(fadt + 56), PC_PORT_PM);
    assert_int_equal(load_le64(fadt + 120), PC_PORT_RESET);
    dsdt = checked_table(area, load_le64(fadt + 140));
    assert_memory_equal(dsdt, "DSDT", 4);
    assert_int_equal(load_le32(fadt + 40), load_le64(fadt + 140));
    assert_memory_equal(area_at(area, load_le32(fadt + 36), 64), "FACS", 4);
    assert_int_equal(load_le32(fadt + 36) % 64, 0);
    assert_non_null(find_table(area, rsdp_gpa, "HPET"));
    assert_int_equal(load_le64(find_table(area, rsdp_gpa, "MCFG") + 44), PC_ECAM);
    assert_int_equal(load_le64(area_at(area, PC_ACPI_PARAMS, 32) + 8), 0xFFFFFFFFF);
    free(area);
}

/* Entries of a type in the MADT, walked as a guest walks them. */
static unsigned count_entries(const uint8_t *madt, uint8_t type)
{
    unsigned count = 0;
    uint32_t at = 44;

    while (at < load_le32(madt + 4)) {
        assert_true(madt[at + 1] >= 6);
        count += madt[at] == type;
        at += madt[at + 1];
    }
    assert_int_equal(at, load_le32(madt + 4));
    return count;
}

static void every_cpu_is_in_the_madt(void **state)
{
    static const unsigned cpus[] = {1, 2, 255, 256, 300, 1024};
    uint8_t *area = malloc(AREA_BYTES), *madt;
    uint64_t rsdp_gpa;

    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        assert_int_equal(write_tables(area, cpus[i], &rsdp_gpa), 0);
        madt = find_table(area, rsdp_gpa, "APIC");
        assert_int_equal(count_entries(madt, 0), MIN(cpus[i], 255u));
        assert_int_equal(count_entries(madt, 9), cpus[i] - MIN(cpus[i], 255u));
        assert_int_equal(count_entries(madt, 1), 1);
        assert_int_equal(count_entries(madt, 2), 2);
    }
    free(area);
}

static void too_many_cpus_are_refused(void **state)
{
    uint8_t *area = malloc(AREA_BYTES);
    uint64_t rsdp_gpa = 1;

    assert_int_equal(write_tables(area, 8190, &rsdp_gpa), -ENOSPC);
    assert_int_equal(write_tables(area, 100000, &rsdp_gpa), -ENOSPC);
    assert_int_equal(rsdp_gpa, 1);
    free(area);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found_and_sound),
        cmocka_unit_test(every_cpu_is_in_the_madt),
        cmocka_unit_test(too_many_cpus_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
