/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic and logic, shifts and rotates (SDM 2; flags: SDM 1, appendix A). The vCPU's thread. Flags are set after
 * the last access that may fault.
 */
#include "vcpu/soft/alu.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

/* --- two operands ------------------------------------------------------------------------------------------------- */

uint64_t soft_alu(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes, uint64_t a, uint64_t b)
{
    return soft_alu_inline(cpu, kind, log2_bytes, a, b);
}

/* The second operand, and for forms whose first is a register, that register's number. */
static uint64_t alu_source(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    switch (insn->def->form) {
    case SOFT_FORM_RM_R:
        return soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);
    case SOFT_FORM_R_RM:
        return soft_rm_read(cpu, insn, insn->op_bytes);
    default:
        return insn->imm & soft_mask(insn->op_bytes);
    }
}

void soft_exec_alu(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind, log2_bytes = soft_log2(insn->op_bytes);
    bool stores = kind != SOFT_KIND_CMP && kind != SOFT_KIND_TEST;
    bool to_register = insn->def->form == SOFT_FORM_R_RM || insn->def->form == SOFT_FORM_A_IMM;
    unsigned reg = insn->def->form == SOFT_FORM_R_RM ? insn->reg : CPU_RAX;
    uint64_t source = alu_source(cpu, insn), result;
    struct soft_modify modify;

    if (to_register) {
        result = soft_alu(cpu, kind, log2_bytes, soft_reg_read(cpu, insn, reg, insn->op_bytes), source);
        if (stores) {
            soft_reg_write(cpu, insn, reg, insn->op_bytes, result);
        }
        return;
    }
    if (!stores) {
        soft_alu(cpu, kind, log2_bytes, soft_rm_read(cpu, insn, insn->op_bytes), source);
        return;
    }
    soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    for (;;) {
        /* A second try needs the carry that the instruction began with. */
        uint32_t cc_op = cpu->cc_op;
        uint64_t dst = cpu->cc_dst, src = cpu->cc_src, aux = cpu->cc_aux;

        result = soft_alu(cpu, kind, log2_bytes, modify.old, source);
        if (soft_modify_end(cpu, insn, &modify, insn->lock, result)) {
            return;
        }
        cpu->cc_op = cc_op;
        cpu->cc_dst = dst;
        cpu->cc_src = src;
        cpu->cc_aux = aux;
    }
}

/* --- one operand -------------------------------------------------------------------------------------------------- */

static uint64_t unary_result(unsigned kind, uint64_t value)
{
    switch (kind) {
    case SOFT_KIND_INC:
        return value + 1;
    case SOFT_KIND_DEC:
        return value - 1;
    case SOFT_KIND_NEG:
        return -value;
    default:
        return ~value;
    }
}

static void unary_set_flags(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes, uint64_t old, uint64_t result)
{
    switch (kind) {
    case SOFT_KIND_INC:
    case SOFT_KIND_DEC: {
        bool carry = soft_carry(cpu);

        soft_cc_set(cpu, SOFT_CC(kind == SOFT_KIND_INC ? CC_INC : CC_DEC, log2_bytes), result, carry);
        break;
    }
    case SOFT_KIND_NEG:
        soft_cc_set(cpu, SOFT_CC(CC_SUB, log2_bytes), result, old);
        break;
    default: /* NOT: none */
        break;
    }
}

void soft_exec_unary(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind;
    struct soft_modify modify;
    uint64_t result;

    soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    do {
        result = unary_result(kind, modify.old) & soft_mask(insn->op_bytes);
    } while (!soft_modify_end(cpu, insn, &modify, insn->lock, result));
    unary_set_flags(cpu, kind, soft_log2(insn->op_bytes), modify.old, result);
}

/* --- shifts and rotates ------------------------------------------------------------------------------------------- */

static void rotate_set_flags(struct soft_cpu *cpu, bool carry, bool overflow)
{
    uint32_t flags = soft_arithmetic_flags(cpu) & ~(uint32_t)(RFLAGS_CF | RFLAGS_OF);

    soft_set_arithmetic_flags(cpu, flags | (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0));
}

static uint64_t shift_rotate(struct soft_cpu *cpu, bool left, unsigned bits, uint64_t value, unsigned count)
{
    uint64_t mask = soft_mask(bits / 8), result = value;
    unsigned by = count % bits;

    if (by) {
        result = left ? value << by | value >> (bits - by) : value >> by | value << (bits - by);
        result &= mask;
    }
    if (left) {
        rotate_set_flags(cpu, result & 1, (result & 1) ^ (result >> (bits - 1) & 1));
    } else {
        rotate_set_flags(cpu, result >> (bits - 1) & 1, (result >> (bits - 1) ^ result >> (bits - 2)) & 1);
    }
    return result;
}

uint64_t soft_shift(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes, uint64_t value, unsigned count)
{
    unsigned bits = 8u << log2_bytes;
    uint64_t mask = soft_mask(1u << log2_bytes), before, result;

    if (count == 0) {
        return value;
    }
    switch (kind) {
    case SOFT_KIND_ROL:
    case SOFT_KIND_ROR:
        return shift_rotate(cpu, kind == SOFT_KIND_ROL, bits, value, count);
    case SOFT_KIND_SHL:
        before = count - 1 < bits ? (value << (count - 1)) & mask : 0;
        result = (before << 1) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_SHL, log2_bytes), result, before);
        return result;
    case SOFT_KIND_SHR:
        before = count - 1 < bits ? value >> (count - 1) : 0;
        result = before >> 1;
        soft_cc_set(cpu, SOFT_CC(CC_SHR, log2_bytes), result, before);
        cpu->cc_aux = value >> (bits - 1) & 1;
        return result;
    default: { /* SAR */
        int64_t sign = soft_sign_extend(value, 1u << log2_bytes);

        before = (uint64_t)(sign >> MIN(count - 1, 63u));
        result = (uint64_t)((int64_t)before >> 1) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_SHR, log2_bytes), result, before & mask);
        cpu->cc_aux = 0;
        return result;
    }
    }
}

static unsigned shift_count(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned mask = insn->op_bytes == 8 ? 63 : 31;

    switch (insn->def->form) {
    case SOFT_FORM_RM_1:
        return 1;
    case SOFT_FORM_RM_CL:
        return cpu->gpr[CPU_RCX] & mask;
    default:
        return insn->imm & mask;
    }
}

void soft_exec_shift(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned log2_bytes = soft_log2(insn->op_bytes), count = shift_count(cpu, insn);
    struct soft_modify modify;
    uint64_t result;

    soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    if (count == 0) {
        /* A 32-bit register's upper half is cleared all the same; no flag changes. */
        soft_modify_end(cpu, insn, &modify, false, modify.old);
        return;
    }
    result = soft_shift(cpu, insn->def->kind, log2_bytes, modify.old, count);
    soft_modify_end(cpu, insn, &modify, false, result);
}

/* One step a bit: counts are below 64, and these are rare. */
static void exec_rotate_carry(struct soft_cpu *cpu, const struct soft_insn *insn, bool left)
{
    unsigned bits = 8u * insn->op_bytes, count = shift_count(cpu, insn) % (insn->op_bytes < 4 ? bits + 1 : 64);
    uint64_t mask = soft_mask(insn->op_bytes), value, top = UINT64_C(1) << (bits - 1);
    bool carry = soft_carry(cpu);
    struct soft_modify modify;

    soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    value = modify.old;
    for (unsigned i = 0; i < count; i++) {
        bool out = left ? (value & top) != 0 : value & 1;

        value = left ? (value << 1 | carry) & mask : value >> 1 | (carry ? top : 0);
        carry = out;
    }
    soft_modify_end(cpu, insn, &modify, false, value);
    if (count) {
        rotate_set_flags(cpu, carry,
                         left ? carry ^ ((value & top) != 0) : (value >> (bits - 1) ^ value >> (bits - 2)) & 1);
    }
}

void soft_exec_rcl(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    exec_rotate_carry(cpu, insn, true);
}

void soft_exec_rcr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    exec_rotate_carry(cpu, insn, false);
}

/* `value` shifted by count (0..bits), filled from `other`. */
static uint64_t double_shift(uint64_t value, uint64_t other, unsigned count, unsigned bits, bool left)
{
    uint64_t mask = soft_mask(bits / 8);

    if (count == 0) {
        return value;
    }
    if (count == bits) {
        return other;
    }
    return (left ? value << count | other >> (bits - count) : value >> count | other << (bits - count)) & mask;
}

/* SHLD (0F A4, A5), SHRD (0F AC, AD): bit 3 of the opcode tells. The immediate's forms are even. */
void soft_exec_double_shift(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bits = 8u * insn->op_bytes, log2_bytes = soft_log2(insn->op_bytes);
    unsigned count = (insn->opcode & 1 ? cpu->gpr[CPU_RCX] : insn->imm) & (bits == 64 ? 63 : 31);
    uint64_t other = soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);
    bool left = !(insn->opcode & 8);
    struct soft_modify modify;
    uint64_t before, result;

    soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    if (count == 0) {
        soft_modify_end(cpu, insn, &modify, false, modify.old);
        return;
    }
    if (count > bits) { /* 16-bit operands only; the manual leaves it undefined: the operands go round */
        uint64_t value = modify.old;

        modify.old = other;
        other = value;
        count -= bits;
    }
    before = double_shift(modify.old, other, count - 1, bits, left);
    result = double_shift(modify.old, other, count, bits, left);
    soft_modify_end(cpu, insn, &modify, false, result);
    soft_cc_set(cpu, SOFT_CC(left ? CC_SHL : CC_SHR, log2_bytes), result, before);
    cpu->cc_aux = (before ^ result) >> (bits - 1) & 1;
}
