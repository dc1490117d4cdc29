/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exec functions of the integer instructions: plain and complete, for any form, mode and segment. The tables name them;
 * hot forms have micro-operations as well (lower.h), which must mean the same. All are soft_exec_fn (insn.h).
 */
#ifndef HDL_VCPU_SOFT_EXEC_H
#define HDL_VCPU_SOFT_EXEC_H

#include "vcpu/soft/insn.h"

/* exec_alu.c: ADD..CMP, TEST, INC, DEC, NEG, NOT, shifts and rotates; the kind says which. */
soft_exec_fn soft_exec_alu, soft_exec_unary, soft_exec_shift, soft_exec_rcl, soft_exec_rcr, soft_exec_double_shift;
/* exec_move.c */
soft_exec_fn soft_exec_mov, soft_exec_extend, soft_exec_lea, soft_exec_xchg, soft_exec_cmov, soft_exec_setcc,
    soft_exec_push, soft_exec_pop, soft_exec_pusha, soft_exec_popa, soft_exec_leave, soft_exec_cdq, soft_exec_cwde,
    soft_exec_bswap, soft_exec_movbe, soft_exec_xlat, soft_exec_nop, soft_exec_cmpxchg, soft_exec_xadd,
    soft_exec_cmpxchg8b, soft_exec_flag;
/* exec_branch.c */
soft_exec_fn soft_exec_jcc, soft_exec_jmp, soft_exec_jmp_indirect, soft_exec_call, soft_exec_call_indirect,
    soft_exec_ret, soft_exec_loop, soft_exec_jcxz;
/* exec_arith.c */
soft_exec_fn soft_exec_mul, soft_exec_imul1, soft_exec_imul2, soft_exec_div, soft_exec_idiv, soft_exec_bcd,
    soft_exec_aam, soft_exec_aad;
/* exec_bits.c */
soft_exec_fn soft_exec_bt, soft_exec_bsf, soft_exec_bsr, soft_exec_tzcnt, soft_exec_lzcnt, soft_exec_popcnt,
    soft_exec_adx;
/* exec_string.c */
soft_exec_fn soft_exec_movs, soft_exec_stos, soft_exec_lods, soft_exec_cmps, soft_exec_scas;

/* --- what micro-operations share with them (exec_alu.c) ----------------------------------------------------------- */

/* The result of ADD..XOR, CMP or TEST, and the flags. Operands are zero-extended. */
uint64_t soft_alu(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes, uint64_t a, uint64_t b);
/* ROL, ROR, SHL, SHR or SAR by a count that was masked already. */
uint64_t soft_shift(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes, uint64_t value, unsigned count);

#endif
