/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU: runs cases in a guest, whose monitor (monitor.S) enters them in user mode with the slots' linear
 * addresses mapped as the host has them. Through the interface that machines use, and nothing of the CPU's inside.
 */
#ifndef HDL_TESTS_DIFF_SOFT_SIDE_H
#define HDL_TESTS_DIFF_SOFT_SIDE_H

#include "case.h"

struct soft_side;

/* fs_base: what FS has on the host. NULL: it can't be had, and standard error says why. The main thread. */
struct soft_side *soft_side_create(uint64_t fs_base);
void soft_side_destroy(struct soft_side *side);

/* A slot's backing. The code in it is the guest's to write: soft_side_load. */
uint8_t *soft_side_backing(struct soft_side *side, unsigned slot);
/* Gives a case's code and start to the monitor. */
void soft_side_load(struct soft_side *side, const struct case_program *program);
const struct case_state *soft_side_end(struct soft_side *side, unsigned slot);

/* Runs the cases in slots 0..count-1: begin returns at once. finish: false if the guest didn't come back. */
void soft_side_begin(struct soft_side *side, unsigned count);
bool soft_side_finish(struct soft_side *side);

#endif
