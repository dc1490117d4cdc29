/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments of a command line, one word after the other, and how errors are said. Pure but for what is said. */
#include <inttypes.h>
#include <string.h>

#include "monitor/hmp_command.h"

static const char blanks[] = " \t";

/* Takes quotes and backslashes off what *from holds, up to the closing quote, behind which it leaves *from. */
static char *hmp_unquote(char **from, char *to)
{
    char *at = *from;

    while (*at && *at != '"') {
        at += at[0] == '\\' && at[1] != '\0';
        *to++ = *at++;
    }
    *from = *at ? at + 1 : at;
    return to;
}

char *hmp_next_word(char **rest)
{
    char *at = *rest + strspn(*rest, blanks);
    char *word = at;
    char *end = at;

    if (*at == '\0') {
        *rest = at;
        return NULL;
    }
    while (*at && !strchr(blanks, *at)) {
        if (*at == '"') {
            at++;
            end = hmp_unquote(&at, end);
        } else {
            *end++ = *at++;
        }
    }
    *rest = *at ? at + 1 : at;
    *end = '\0';
    return word;
}

const char *hmp_only_word(struct hmp_call *call, const char *what)
{
    const char *word = hmp_next_word(&call->arguments);

    if (!word) {
        fprintf(call->out, "Error: %s is missing\n", what);
        return NULL;
    }
    return hmp_has_excess(call) ? NULL : word;
}

bool hmp_take_flag(struct hmp_call *call, const char *flag)
{
    char *at = call->arguments + strspn(call->arguments, blanks);
    size_t len = strlen(flag);

    if (strncmp(at, flag, len) != 0 || (at[len] != '\0' && !strchr(blanks, at[len]))) {
        return false;
    }
    call->arguments = at + len;
    return true;
}

bool hmp_has_excess(struct hmp_call *call)
{
    const char *word = hmp_next_word(&call->arguments);

    if (word) {
        fprintf(call->out, "Error: there is an argument too many: '%s'\n", word);
    }
    return word != NULL;
}

void hmp_say_error(struct hmp_call *call, struct error *err)
{
    if (err) {
        fprintf(call->out, "Error: %s\n", err->message);
    }
    error_free(err);
}

void hmp_say_size(struct hmp_call *call, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t tenths = 0;

    while (bytes >= 1024) {
        tenths = bytes % 1024 * 10 / 1024;
        bytes /= 1024;
        unit++;
    }
    if (tenths > 0) {
        fprintf(call->out, "%" PRIu64 ".%" PRIu64 " %s", bytes, tenths, units[unit]);
    } else {
        fprintf(call->out, "%" PRIu64 " %s", bytes, units[unit]);
    }
}
