/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases in which the software CPU once differed, made by hand: they come before the random ones. */
#ifndef HDL_TESTS_DIFF_REGRESSIONS_H
#define HDL_TESTS_DIFF_REGRESSIONS_H

#include "case.h"

unsigned regression_count(void);
const char *regression_name(unsigned index);
/* Fills *program, but for its slot, which is set. features: the guest's. */
void regression_make(const struct soft_decoder *decoder, const struct soft_features *features, unsigned index,
                     struct case_program *program);

#endif
