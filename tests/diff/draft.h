/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encoding: one instruction of a definition, with operands chosen at random, into a case's code. The reverse of the
 * decoder, and on purpose not made of its parts.
 */
#ifndef HDL_TESTS_DIFF_DRAFT_H
#define HDL_TESTS_DIFF_DRAFT_H

#include "case.h"
#include "random.h"

struct draft {
    struct random *random;
    struct case_program *program;
    bool joining; /* the next instruction belongs to the one before it */
};

/* An instruction in the making. */
struct draft_insn {
    const struct soft_insn_def *def;
    bool has_66, has_67, lock;
    uint8_t rep;          /* 0: none */
    uint8_t segment_byte; /* 0: none */
    uint8_t rex;
    uint8_t opcode;
    uint8_t op_bytes, addr_bytes;
    uint8_t modrm, sib;
    bool has_sib, rip_relative;
    uint8_t disp_bytes;
    uint64_t disp; /* rip_relative: the address meant */
    uint64_t aim;  /* where the memory operand has to be; 0: anywhere */
};

/* Chooses prefixes, opcode and sizes. */
void draft_begin(struct draft *draft, const struct soft_insn_def *def, struct draft_insn *insn);
/* Chooses ModRM and what follows, after instructions that prepare the registers. */
void draft_choose_operands(struct draft *draft, struct draft_insn *insn);
/* The same with modrm.rm a register, or memory at an address. */
void draft_use_register(struct draft *draft, struct draft_insn *insn, unsigned reg);
void draft_use_memory(struct draft *draft, struct draft_insn *insn, uint64_t address);
unsigned draft_immediate_bytes(const struct draft_insn *insn);
/* Adds it to the case. */
void draft_emit(struct draft *draft, const struct draft_insn *insn);

/* An address in the slot's data, good for an operand of that size in most cases. */
uint64_t draft_data_address(struct draft *draft, unsigned size_bytes);

/* Instructions that prepare others; all end with a value of four bytes (SET_REGISTER: if it fits), or one. */
void draft_set_register(struct draft *draft, unsigned reg, uint64_t value);
void draft_push(struct draft *draft, uint64_t value);
/* MOV to memory below 2 GiB, of a pointer's size. */
void draft_store(struct draft *draft, uint64_t address, uint64_t value);
void draft_set_cl(struct draft *draft, unsigned count);
void draft_compare_al(struct draft *draft);
/* FINCSTP, FDECSTP: FCOMI and its like clear C1 by Intel's manual, and don't touch it by AMD's. */
void draft_clear_c1(struct draft *draft);
void draft_break(struct draft *draft);

#endif
