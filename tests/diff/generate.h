/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random cases from the instructions' definitions: every definition that user mode may run and whose outcome is the
 * same everywhere, with all its prefixes, operand and address sizes, and forms of addressing. Most memory operands are
 * made to hit the slot's data, by an instruction before that loads a register; the rest go anywhere.
 */
#ifndef HDL_TESTS_DIFF_GENERATE_H
#define HDL_TESTS_DIFF_GENERATE_H

#include "case.h"
#include "flow.h"
#include "random.h"
#include "zydis.h"

#define GENERATE_DEFS_MAX 4096u

/* Definitions that may be used, for one mode. */
struct generator_defs {
    const struct soft_insn_def *all[GENERATE_DEFS_MAX];
    unsigned count;
    const struct soft_insn_def *hot[GENERATE_DEFS_MAX]; /* those with micro-operations of their own */
    unsigned hot_count;
    const struct soft_insn_def *jcc[4];
    unsigned jcc_count;
};

struct generator {
    struct oracle oracle[2]; /* 32, 64 bits */
    struct generator_defs defs[2];
    const char *only; /* a name: only its definitions, and what prepares them; NULL: all */
};

/* features: what the guest's CPU shows. Definitions that the host's CPU lacks are left out, too. */
void generator_init(struct generator *generator, const struct soft_features *features, const char *only);
const struct oracle *generator_oracle(const struct generator *generator, unsigned bits);
/* Fills *program, but for its slot, which is set. The same seed gives the same case. */
void generator_make(const struct generator *generator, uint64_t seed, struct case_program *program);

#endif
