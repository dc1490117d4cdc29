/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Properties: what was set is read back in a form that could be set again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "device/property.h"

struct thing {
    bool flag;
    uint8_t small;
    uint16_t medium;
    uint32_t large;
    uint64_t huge, size_bytes;
    char *text;
    enum on_off_auto choice;
    int32_t addr;
};

#define THING(name_, type_, field)                                                                                     \
    {                                                                                                                  \
        .name = name_, .type = type_, .offset = offsetof(struct thing, field)                                          \
    }

static const struct property properties[] = {
    THING("flag", PROPERTY_BOOL, flag),     THING("small", PROPERTY_U8, small),
    THING("medium", PROPERTY_U16, medium),  THING("large", PROPERTY_U32, large),
    THING("huge", PROPERTY_U64, huge),      THING("size", PROPERTY_SIZE, size_bytes),
    THING("text", PROPERTY_STRING, text),   THING("choice", PROPERTY_ON_OFF_AUTO, choice),
    THING("addr", PROPERTY_PCI_ADDR, addr), {0},
};

static void assert_reads(const struct thing *thing, const char *const *texts)
{
    for (size_t i = 0; properties[i].name; i++) {
        char *text = property_get(thing, &properties[i]);

        assert_non_null(text);
        assert_string_equal(text, texts[i]);
        free(text);
    }
}

static void test_get(void **state)
{
    static const char *const defaults[] = {"off", "0", "0", "0", "0", "0", "", "auto", ""};
    static const char *const typed[] = {"yes", "0xff", "65535", "4294967295", "18446744073709551615",
                                        "64k", "a,b",  "off",   "1f.7"};
    static const char *const read[] = {"on",    "255", "65535", "4294967295", "18446744073709551615",
                                       "65536", "a,b", "off",   "1f.7"};
    struct thing thing = {0};

    property_set_defaults(&thing, properties);
    assert_reads(&thing, defaults);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; properties[i].name; i++) {
            assert_int_equal(
                property_set(&thing, properties, properties[i].name, round == 0 ? typed[i] : read[i], NULL), 0);
        }
        assert_reads(&thing, read);
    }
    property_release(&thing, properties);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_get)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
