/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions of the monitor for people: what they come to, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "monitor/hmp_expression.h"

static bool a_register(void *opaque, const char *name, uint64_t *value)
{
    if (strcmp(name, "rip") != 0) {
        return false;
    }
    *value = 0x1000;
    return true;
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"0", 0},
        {"0x10", 16},
        {"010", 8},
        {" 1 + 2 * 3 ", 7},
        {"(1+2)*3", 9},
        {"10-2-3", 5},
        {"-1", UINT64_MAX},
        {"~0 >> 60", 15},
        {"1<<4|1", 17},
        {"6&3^1", 3},
        {"7%4/2", 1},
        {"1<<64", 0},
        {"$rip+0x20", 0x1020},
        {"'A'", 65},
        {"- -+2", 2},
        {"0xffffffffffffffff + 1", 0},
        {"((((1))))", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 12345;

        assert_int_equal(hmp_expression_parse(cases[i].text, a_register, NULL, &value, NULL), 0);
        assert_true(value == cases[i].value);
    }
}

static void test_refusals(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "1+",
                                        "(1",
                                        "1)",
                                        "x",
                                        "1 2",
                                        "1//2",
                                        "$",
                                        "$x",
                                        "'",
                                        "''",
                                        "'ab'",
                                        "1<2",
                                        "0x",
                                        "12ab",
                                        "5/0",
                                        "5%(1-1)",
                                        "()",
                                        "*3",
                                        "1+*2",
                                        "$rip$rip",
                                        "0x10000000000000000",
                                        "$aaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct error *err = NULL;
        uint64_t value = 7;

        if (hmp_expression_parse(texts[i], a_register, NULL, &value, &err) == 0) {
            fail_msg("'%s' is taken", texts[i]);
        }
        assert_non_null(err);
        assert_true(value == 7);
        error_free(err);
        assert_true(hmp_expression_parse(texts[i], NULL, NULL, &value, NULL) < 0);
    }
}

/* Nesting is bounded, whatever it is made of. */
static void test_depth(void **state)
{
    static const char *const pieces[] = {"(", "-", "~(", "1+("};

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        size_t len = strlen(pieces[i]);
        char *text = calloc(100000, len + 1);
        uint64_t value;

        for (size_t n = 0; n < 100000; n++) {
            memcpy(text + n * len, pieces[i], len);
        }
        assert_true(hmp_expression_parse(text, NULL, NULL, &value, NULL) < 0);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
