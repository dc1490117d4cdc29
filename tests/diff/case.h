/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A case: a few user-mode instructions, the state that they start from, and what may be said about the state that they
 * end in. The same case is run by the host's CPU (native.h) and by the software CPU (soft_side.h), at the same linear
 * addresses, in memory with the same rights and contents.
 *
 * Cases run in batches; each has a slot of linear addresses of its own:
 *
 *   0000  nothing      4000  data, two pages       7000  nothing
 *   1000  code         6000  data, read-only       8000  stack
 *   3000  nothing                                  9000  nothing
 *
 * Data and stack can't be executed. A case ends with INT3 after its last instruction, or with a fault before.
 */
#ifndef HDL_TESTS_DIFF_CASE_H
#define HDL_TESTS_DIFF_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vcpu/cpu_state.h"
#include "vcpu/soft/insn.h"

#define SLOT_COUNT      64u
#define SLOT_BYTES      UINT64_C(0x10000)
#define SLOT_BASE       UINT64_C(0x10000000)
#define SLOT_CODE       0x1000u
#define SLOT_CODE_BYTES 0x2000u
#define SLOT_DATA       0x4000u
#define SLOT_DATA_BYTES 0x2000u /* that can be written */
#define SLOT_READ_ONLY  0x6000u
#define SLOT_STACK      0x8000u
#define PAGE_BYTES      0x1000u

/* What backs a slot: its pages one after the other, in the order of their addresses. */
#define SLOT_BACKING_BYTES 0x6000u
#define BACKING_CODE       0x0000u
#define BACKING_DATA       0x2000u /* the read-only page behind it */
#define BACKING_STACK      0x5000u

#define CASE_INSNS_MAX 64u
#define CASE_CODE_MAX  512u

/* Selectors are Linux's, as instructions can read them. */
#define SELECTOR_USER32 0x23
#define SELECTOR_DATA   0x2b
#define SELECTOR_USER64 0x33
/* Base of GS; FS is null. */
#define CASE_GS_BASE UINT64_C(0x7654000)

/* Where the guest's monitor (monitor.S) finds it: fields have fixed places. */
struct case_state {
    uint64_t gpr[CPU_GPR_COUNT];
    uint64_t rip, rflags, cs, ss;
    uint64_t vector, error, cr2; /* of how it ended */
    uint64_t unused;
    uint8_t fx[512]; /* as FXSAVE64 stores it */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct case_state) == 704 && offsetof(struct case_state, fx) == 192, "monitor.S knows");

struct case_insn {
    const struct soft_insn_def *def; /* NULL: it prepares the next one */
    uint16_t offset;                 /* in code */
    uint8_t length;
    bool joined;               /* to the one before: no jump comes here */
    uint32_t undefined_before; /* arithmetic flags that nobody can know when it starts */
};

struct case_program {
    unsigned bits; /* 64, or 32: compatibility mode */
    unsigned slot;
    uint64_t seed;
    unsigned code_offset; /* from SLOT_CODE */
    unsigned insn_count;  /* the INT3 at the end included */
    struct case_insn insns[CASE_INSNS_MAX];
    unsigned code_bytes; /* a multiple of 8: INT3 behind the last */
    uint8_t code[CASE_CODE_MAX];
    struct case_state start;
    unsigned pool_offset; /* of the memory's first contents in the pool: pool.h */
};

static inline uint64_t case_slot_base(const struct case_program *program)
{
    return SLOT_BASE + program->slot * SLOT_BYTES;
}

static inline uint64_t case_code_base(const struct case_program *program)
{
    return case_slot_base(program) + SLOT_CODE + program->code_offset;
}

/* The instruction at an address, or insn_count if none begins there. */
unsigned case_insn_at(const struct case_program *program, uint64_t rip);

/* Contents of a run's memory: made from the run's seed; a case's memory begins somewhere in it. Immutable once made. */
#define POOL_BYTES 0x20000u
void case_pool_make(uint64_t seed);
/* Fills a slot's backing (SLOT_BACKING_BYTES), but for its code; puts the code there. What is about it stays. */
void case_fill_data(const struct case_program *program, uint8_t *backing);
void case_fill_code(const struct case_program *program, uint8_t *backing);

/* A number worth trying: an edge, a small one, an address of the slot's data, or any. */
struct random;
uint64_t case_value(struct random *random, const struct case_program *program);
/* Fills program->start. */
void case_make_state(struct random *random, struct case_program *program);

#endif
