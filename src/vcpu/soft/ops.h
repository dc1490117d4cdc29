/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations there are, by what they do: tables for lower.c. Sizes are indexed by their logarithm (0..3: 1, 2, 4
 * and 8 bytes), operations by their kind counted from the table's first. Operands: dst, src: registers' offsets; memory
 * is at base + disp, or with an X at base + (index << shift) + disp; imm: an immediate, cut to the size.
 */
#ifndef HDL_VCPU_SOFT_OPS_H
#define HDL_VCPU_SOFT_OPS_H

#include "vcpu/soft/insn.h"
#include "vcpu/soft/op.h"

/* --- ops_alu.c: ADD..TEST ----------------------------------------------------------------------------------------- */
#define SOFT_ALU_KINDS (SOFT_KIND_TEST - SOFT_KIND_ADD + 1)
extern soft_op_fn *const soft_op_alu_rr[SOFT_ALU_KINDS][4]; /* dst, src */
extern soft_op_fn *const soft_op_alu_ri[SOFT_ALU_KINDS][4]; /* dst, imm */
extern soft_op_fn *const soft_op_alu_rm[SOFT_ALU_KINDS][4]; /* dst, memory */
extern soft_op_fn *const soft_op_alu_mr[SOFT_ALU_KINDS][4]; /* memory, src */
extern soft_op_fn *const soft_op_alu_mi[SOFT_ALU_KINDS][4]; /* memory, imm */
/* INC, DEC, NEG, NOT: dst, or memory. */
extern soft_op_fn *const soft_op_unary_r[4][4];
extern soft_op_fn *const soft_op_unary_m[4][4];
/* ROL, ROR, SHL, SHR, SAR: dst by imm (masked, not 0), or by CL. */
extern soft_op_fn *const soft_op_shift_ri[5][4];
extern soft_op_fn *const soft_op_shift_rc[5][4];
/* Those of them that leave the flags alone, for when nobody will see them; NULL: there is none. */
extern soft_op_fn *const soft_op_alu_quiet_rr[SOFT_ALU_KINDS][4], *const soft_op_alu_quiet_ri[SOFT_ALU_KINDS][4];
extern soft_op_fn *const soft_op_unary_quiet_r[4][4], *const soft_op_shift_quiet_ri[5][4];
/* IMUL: dst by src; dst = src by imm; dst by memory. 2, 4 and 8 bytes. */
extern soft_op_fn *const soft_op_imul_rr[4];
extern soft_op_fn *const soft_op_imul_rri[4];
extern soft_op_fn *const soft_op_imul_rm[4];

/* --- ops_move.c --------------------------------------------------------------------------------------------------- */
extern soft_op_fn *const soft_op_mov_rr[4], *const soft_op_mov_ri[4];
extern soft_op_fn *const soft_op_load[4], *const soft_op_load_x[4];
extern soft_op_fn *const soft_op_store[4], *const soft_op_store_x[4], *const soft_op_store_imm[4];
/* MOVZX8, MOVZX16, MOVSX8, MOVSX16, MOVSXD, to 2, 4 or 8 bytes. */
extern soft_op_fn *const soft_op_extend_rr[5][4], *const soft_op_extend_rm[5][4], *const soft_op_extend_rx[5][4];
extern soft_op_fn *const soft_op_lea[4], *const soft_op_lea_x[4];
/* The address of the following micro-operation to SOFT_REG_EA: src is a segment (FS or GS), 64 bits; or cut to 32 bits.
 */
soft_op_fn soft_op_ea_segment, soft_op_ea, soft_op_ea32, soft_op_ea32_segment;
/* PUSH dst, or imm; POP dst: of flat 32-bit code, and of 64-bit code. The others: 64-bit code's only. */
extern soft_op_fn *const soft_op_push[2], *const soft_op_push_imm[2], *const soft_op_pop[2];
/*
 * So many PUSHes, or POPs, of registers other than RSP in 64-bit code: the first one's; the others follow, and are
 * passed over when all can be done at once.
 */
#define SOFT_RUN_MAX 6
extern soft_op_fn *const soft_op_push64_run[SOFT_RUN_MAX + 1], *const soft_op_pop64_run[SOFT_RUN_MAX + 1];
extern soft_op_fn *const soft_op_push64_mem, *const soft_op_leave64;
extern soft_op_fn *const soft_op_xchg_rr[4];
extern soft_op_fn *const soft_op_cmov_rr[16][4], *const soft_op_cmov_rm[16][4];
extern soft_op_fn *const soft_op_setcc_r[16];
extern soft_op_fn *const soft_op_cdq[4], *const soft_op_cwde[4];

/*
 * --- ops_lock.c: with memory at base + disp; the instruction is `insn`, for all that isn't done in one go ---
 *
 * LOCKed: ADD, OR, AND, SUB, XOR of src, or of the instruction's immediate; INC, DEC; XADD of src. NULL: there is none.
 */
extern soft_op_fn *const soft_op_lock_mr[SOFT_ALU_KINDS][4], *const soft_op_lock_mi[SOFT_ALU_KINDS][4];
extern soft_op_fn *const soft_op_lock_unary[4][4], *const soft_op_lock_xadd[4];
/* With src, LOCKed or not: XCHG, which always is, and CMPXCHG, [1] LOCKed. */
extern soft_op_fn *const soft_op_xchg_m[4], *const soft_op_cmpxchg_m[2][4];

/* --- ops_system.c: the instruction is `insn`. STI isn't a block's last. PUSHF: 64-bit code's ------------------------
 */
soft_op_fn soft_op_cli, soft_op_sti, soft_op_swapgs;
extern soft_op_fn *const soft_op_pushf64;

/* --- ops_vector.c: 16 bytes between memory and XMM register `dst`, with an index; [1] faults where it isn't aligned
 * --- */
extern soft_op_fn *const soft_op_vector_load[2], *const soft_op_vector_store[2];

/* --- ops_branch.c ------------------------------------------------------------------------------------------------- */
soft_op_fn soft_op_jump, soft_op_jump_far; /* disp; its link follows; far: it goes to another page */
soft_op_fn soft_op_link;                   /* a link that isn't known yet */
extern soft_op_fn *const soft_op_jcc[16];  /* taken: the jump that follows; else the one behind it */
/* CALL: pushes pc + imm, then the jump that follows; RET: pops imm more bytes. Indexed as soft_op_push. */
extern soft_op_fn *const soft_op_call[2], *const soft_op_ret[2];
extern soft_op_fn *const soft_op_call64_far; /* the jump goes to another page */
/* 64-bit code: to dst, or where memory says; CALL pushes pc + imm. */
extern soft_op_fn *const soft_op_jump_reg, *const soft_op_jump_mem, *const soft_op_call_reg, *const soft_op_call_mem;
/* Exec functions: goes on; a string instruction that may come again; ends the block. */
soft_op_fn soft_op_exec, soft_op_exec_repeat, soft_op_exec_end;
/* Raises: imm is the vector, with error code 0 if disp is 1. */
soft_op_fn soft_op_raise;
/* A block of one instruction is done: leaves at pc + imm. */
soft_op_fn soft_op_one_done;
/* What a stale block's instructions become. */
soft_op_fn soft_op_stale;

/* --- ops_fused.c: what sets flags and the conditional jump behind it; then as soft_op_jcc --------------------------
 */
enum soft_fused {
    SOFT_FUSED_CMP_RR,
    SOFT_FUSED_CMP_RI,
    SOFT_FUSED_CMP_RM,
    SOFT_FUSED_CMP_MR,
    SOFT_FUSED_CMP_MI,
    SOFT_FUSED_TEST_RR,
    SOFT_FUSED_TEST_RI,
    SOFT_FUSED_TEST_MI,
    SOFT_FUSED_AND_RI,
    SOFT_FUSED_SUB_RI,
    SOFT_FUSED_COUNT
};
extern soft_op_fn *const soft_op_fused[SOFT_FUSED_COUNT][4][16]; /* NULL: there is none for 16 bits */

#endif
