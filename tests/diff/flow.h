/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which arithmetic flags nobody can know at each instruction of a case: those that an instruction before it left
 * undefined, by its definition and by both manuals (SDM 2 and AMD's APM 3), on any way that leads there. Jumps go
 * forward only, so one pass is enough. Which flags an instruction reads and writes is libzydis's word.
 */
#ifndef HDL_TESTS_DIFF_FLOW_H
#define HDL_TESTS_DIFF_FLOW_H

#include "case.h"
#include "zydis.h"

struct flow {
    uint32_t undefined;                /* before the next instruction, coming from the one before */
    uint32_t arriving[CASE_INSNS_MAX]; /* the same, coming by a jump */
};

/*
 * The next instruction, program->insns[index]: fills its undefined_before. False: it reads a flag that is undefined, so
 * that the case says nothing about what follows.
 */
bool flow_step(struct flow *flow, const struct oracle *oracle, struct case_program *program, unsigned index);
/* All of them. */
bool flow_run(const struct oracle *oracle, struct case_program *program);

#endif
