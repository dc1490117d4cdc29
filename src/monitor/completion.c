/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list of words without doubles. They come from tables, and from ids that people chose: both are short lists. */
#include "monitor/completion.h"

#include <stdlib.h>
#include <string.h>

void completion_offer(struct completion *completion, const char *typed, const char *word)
{
    char **words;

    if (strncmp(word, typed, strlen(typed)) != 0 || completion->count == COMPLETION_MAX_WORDS) {
        return;
    }
    for (size_t i = 0; i < completion->count; i++) {
        if (strcmp(completion->words[i], word) == 0) {
            return;
        }
    }
    words = realloc(completion->words, (completion->count + 1) * sizeof(*words));
    if (!words) {
        return;
    }
    completion->words = words;
    words[completion->count] = strdup(word);
    completion->count += words[completion->count] != NULL;
}

size_t completion_common_bytes(const struct completion *completion)
{
    size_t common = completion->count > 0 ? strlen(completion->words[0]) : 0;

    for (size_t i = 1; i < completion->count; i++) {
        size_t same = 0;

        while (same < common && completion->words[i][same] == completion->words[0][same]) {
            same++;
        }
        common = same;
    }
    return common;
}

void completion_release(struct completion *completion)
{
    for (size_t i = 0; i < completion->count; i++) {
        free(completion->words[i]);
    }
    free(completion->words);
    *completion = (struct completion){0};
}
