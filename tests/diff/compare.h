/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a case ended on two CPUs, held against each other. Pure, but for printing. */
#ifndef HDL_TESTS_DIFF_COMPARE_H
#define HDL_TESTS_DIFF_COMPARE_H

#include <stdio.h>

#include "case.h"

/* How a case ended: its registers, and its slot's memory. */
struct outcome {
    const struct case_state *state;
    const uint8_t *backing;
};

/* Whether they agree in everything that the manuals define. out: NULL, or where differences are printed. */
bool compare_outcomes(const struct case_program *program, const struct outcome *host, const struct outcome *soft,
                      FILE *out);
/* The instruction at which the host stopped: how many were run is about that. insn_count: somewhere else. */
unsigned compare_stop(const struct case_program *program, const struct case_state *host);

#endif
