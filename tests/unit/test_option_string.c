/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option strings: what both forms make of well-formed and malformed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/option_string.h"

/* What a text becomes, written as key=[value] pieces; NULL if it is refused. The caller frees. */
static char *parsed(const char *text, const char *implied)
{
    struct options options = {0};
    struct error *err = NULL;
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);

    if (option_string_parse(text, implied, "-test", &options, &err) < 0) {
        assert_non_null(err);
        assert_null(strchr(err->message, '\n'));
        assert_int_equal(strncmp(err->message, "-test: ", 7), 0);
        error_free(err);
        fclose(out);
        free(result);
        options_release(&options);
        return NULL;
    }
    for (size_t i = 0; i < options.count; i++) {
        fprintf(out, "%s%s=[%s]", i ? " " : "", options.items[i].key, options.items[i].value);
    }
    fclose(out);
    options_release(&options);
    return result;
}

static void assert_parses(const char *text, const char *implied, const char *expected)
{
    char *result = parsed(text, implied);

    assert_non_null(result);
    assert_string_equal(result, expected);
    free(result);
}

static void assert_refused(const char *text)
{
    char *result = parsed(text, NULL);

    assert_null(result);
}

static void test_pairs(void **state)
{
    assert_parses("a=1,b=2", NULL, "a=[1] b=[2]");
    assert_parses("raw,b=2", "driver", "driver=[raw] b=[2]");
    assert_parses("driver=raw", "driver", "driver=[raw]");
    assert_parses("a,,b", "path", "path=[a,b]");
    assert_parses("file=a,,b,,,x=1", NULL, "file=[a,b,] x=[1]");
    assert_parses("file=a=b", NULL, "file=[a=b]");
    assert_parses("a=,b", NULL, "a=[] b=[on]");
    assert_parses("server,wait=off", NULL, "server=[on] wait=[off]");
    assert_parses("a=1,a=2", NULL, "a=[2]");
    assert_parses("a=1,", NULL, "a=[1]");
    assert_refused("");
    assert_refused("=1");
    assert_refused(",");
}

static void test_json(void **state)
{
    assert_parses("{\"a\": 1, \"b\": true, \"c\": \"x,y\"}", NULL, "a=[1] b=[on] c=[x,y]");
    assert_parses("{'driver':'raw','file':{'driver':'file','filename':'d'}} ", "driver",
                  "driver=[raw] file.driver=[file] file.filename=[d]");
    assert_parses("{\"a\": [\"x\", {\"y\": false}]}", NULL, "a.0=[x] a.1.y=[off]");
    assert_parses("{\"a\": 18446744073709551615}", NULL, "a=[18446744073709551615]");
    assert_parses("{}", NULL, "");
    assert_parses("{\"a\":null,\"b\":{\"c\":null}}", NULL, "a=[] b.c=[]");
    assert_refused("{");
    assert_refused("{\"a\"}");
    assert_refused("{\"a\":1.5}");
    assert_refused("{\"a\":1}x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
