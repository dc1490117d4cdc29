/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From decoded instructions to micro-operations. Pure but for what the writer names. */
#ifndef HDL_VCPU_SOFT_LOWER_H
#define HDL_VCPU_SOFT_LOWER_H

#include "vcpu/soft/insn.h"
#include "vcpu/soft/op.h"

/* The most that one instruction becomes, and what ends a block. */
#define SOFT_OPS_PER_INSN 8

/* How many instructions whose flags nobody has seen yet are remembered. */
#define SOFT_FLAGS_UNSEEN 6

/* Where the next micro-operations of a block go. The caller sees to the room. */
struct soft_writer {
    struct soft_op *at;
    uint32_t mode;
    uint64_t rip;    /* of the block's start */
    uint16_t pc;     /* of the instruction, from there */
    uint16_t elided; /* bytes right before it that became nothing */
    bool begun;      /* the instruction has a micro-operation already */
    bool ended;      /* the last one goes elsewhere by itself */
    /* The instruction before sets flags, all in this micro-operation: a conditional jump may join it. */
    struct soft_op *comparison, *last_comparison;
    struct soft_op *sti; /* the last instruction is STI */
    /* A run of PUSHes or POPs: its first, how many there are, and what the first becomes with so many. */
    struct soft_op *run;
    soft_op_fn *const *run_fns;
    unsigned run_count;
    /* Those that set flags since these were last shown or all set anew: what to make of them if another sets them all.
     */
    struct soft_op *unseen[SOFT_FLAGS_UNSEEN];
    soft_op_fn *unseen_quiet[SOFT_FLAGS_UNSEEN];
    uint8_t unseen_count;
    uint8_t fused; /* enum soft_fused */
    uint8_t fused_log2;
};

/* insn stays valid as long as the block. The writer's pc is the instruction's; it is moved on. */
void soft_lower(struct soft_writer *writer, const struct soft_insn *insn);
/* Ends a block that none of its instructions ends: on to what follows. */
void soft_lower_end(struct soft_writer *writer);
/* An instruction that raises: #UD, or #GP(0). Ends the block. */
void soft_lower_raise(struct soft_writer *writer, unsigned vector, bool with_error);

#endif
