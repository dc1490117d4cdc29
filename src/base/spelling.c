/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nearest valid word, by the number of letters to insert, delete, replace or swap with their neighbour (optimal
 * string alignment distance). Words longer than a line of the table are compared by their beginnings. No state.
 */
#include "base/spelling.h"

#include <ctype.h>
#include <string.h>

#include "base/compiler.h"

#define SPELLING_MAX 48

/* Whether the last two letters of both are the same two, swapped. */
static int spelling_is_swap(const char *a, const char *b, size_t i, size_t j)
{
    return i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
}

static unsigned spelling_distance(const char *a, const char *b)
{
    unsigned rows[3][SPELLING_MAX + 1];
    size_t a_len = strnlen(a, SPELLING_MAX);
    size_t b_len = strnlen(b, SPELLING_MAX);

    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);

            row[j] = MIN(above[j], row[j - 1]) + 1;
            row[j] = MIN(row[j], above[j - 1] + !same);
            if (spelling_is_swap(a, b, i, j)) {
                row[j] = MIN(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void spelling_begin(struct spelling *spelling, const char *typed)
{
    spelling->typed = typed;
    spelling->best = NULL;
    spelling->best_distance = 0;
}

void spelling_offer(struct spelling *spelling, const char *word)
{
    unsigned distance = spelling_distance(spelling->typed, word);

    /* A word whose beginning was typed in full ("virtio-blk" for "virtio-blk-pci") is as good as one slip. */
    if (spelling->typed[0] && strncmp(word, spelling->typed, strlen(spelling->typed)) == 0) {
        distance = MIN(distance, 1u);
    }
    if (!spelling->best || distance < spelling->best_distance) {
        spelling->best = word;
        spelling->best_distance = distance;
    }
}

const char *spelling_nearest(const struct spelling *spelling)
{
    return spelling->best;
}

const char *spelling_nearest_in(const char *typed, const char *const *words)
{
    struct spelling spelling;

    spelling_begin(&spelling, typed);
    for (; *words; words++) {
        spelling_offer(&spelling, *words);
    }
    return spelling_nearest(&spelling);
}
