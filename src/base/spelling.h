/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": the nearest valid word to one that isn't. Pure functions; they never allocate. */
#ifndef HDL_BASE_SPELLING_H
#define HDL_BASE_SPELLING_H

#include <stddef.h>

/* A search in progress: offer it every valid word, then ask. Words must stay valid until then. */
struct spelling {
    const char *typed;
    const char *best; /* NULL: no word was offered */
    unsigned best_distance;
};

void spelling_begin(struct spelling *spelling, const char *typed);
void spelling_offer(struct spelling *spelling, const char *word);
/* The nearest word, however far; NULL if none was offered. */
const char *spelling_nearest(const struct spelling *spelling);

/* The same for a NULL-terminated list. */
const char *spelling_nearest_in(const char *typed, const char *const *words);

#endif
