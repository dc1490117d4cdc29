/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words that could stand where somebody pressed Tab. Plain data: whoever holds it owns it. */
#ifndef HDL_MONITOR_COMPLETION_H
#define HDL_MONITOR_COMPLETION_H

#include <stddef.h>

#define COMPLETION_MAX_WORDS 512

/* All zero has no words. */
struct completion {
    char **words;       /* owned; each begins with what was typed */
    size_t count;       /* at most COMPLETION_MAX_WORDS */
    size_t typed_bytes; /* how many bytes before the cursor the words stand for */
    const char *after;  /* what follows if there is only one word: " ", "=", or NULL; static */
};

/* Offers a word for `typed`, which is copied if it begins so and isn't there yet. Without memory it is left out. */
void completion_offer(struct completion *completion, const char *typed, const char *word);
/* How many bytes all words have in common; 0 if there is none. */
size_t completion_common_bytes(const struct completion *completion);
void completion_release(struct completion *completion);

#endif
