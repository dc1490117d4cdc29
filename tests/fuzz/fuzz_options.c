/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option strings and the forms of values, on any text. The whole command line isn't here: its help would print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/option_string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const valid[] = {"driver", "file.*", "size", NULL};
    struct options options = {0};
    struct error *err = NULL;
    char *text = strndup((const char *)data, size);
    uint64_t bytes = 0;

    if (text && option_string_parse(text, size % 2 ? "driver" : NULL, "-fuzz", &options, &err) == 0) {
        options_check_keys(&options, "-fuzz", valid, &err);
        options_get_size(&options, "-fuzz", "size", 1, &bytes, NULL);
    }
    error_free(err);
    options_release(&options);
    free(text);
    return 0;
}
