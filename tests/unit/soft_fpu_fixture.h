/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A software CPU without its decoder, MMU, segments and exceptions: for tests of exec functions alone. Linear addresses
 * are the host's, and faults end the execution with their vector.
 */
#ifndef HDL_TESTS_SOFT_FPU_FIXTURE_H
#define HDL_TESTS_SOFT_FPU_FIXTURE_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"

#define FIXTURE_MEMORY_BYTES 1024
#define FIXTURE_NO_FAULT     -1

extern struct soft_cpu fixture_cpu;
/* Page-aligned. */
extern uint8_t fixture_memory[FIXTURE_MEMORY_BYTES];

/* 64-bit mode, everything enabled, FNINIT's state. in_tlb: whether accesses to the memory hit the TLB. */
void fixture_reset(bool in_tlb);
/* Returns the vector that was raised, or FIXTURE_NO_FAULT. */
int fixture_execute(const struct soft_insn *insn);
/* The first definition of that name, with memory at RSI or with register 0. */
struct soft_insn fixture_insn(const char *name);

#endif
