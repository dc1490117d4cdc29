/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit tests, scans and counts; ADCX and ADOX (SDM 2). The vCPU's thread. */
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

static void bits_set_flag(struct soft_cpu *cpu, uint32_t flag, bool on)
{
    soft_set_arithmetic_flags(cpu, (soft_arithmetic_flags(cpu) & ~flag) | (on ? flag : 0));
}

/* What a bit test does: bits 3 and 4 of the opcode (0F A3, AB, B3, BB), or modrm.reg in 0F BA. */
enum bit_action { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static enum bit_action bit_action(const struct soft_insn *insn)
{
    return insn->opcode == 0xba ? insn->reg & 3 : (insn->opcode >> 3) & 3;
}

static uint64_t bit_apply(enum bit_action action, uint64_t value, uint64_t bit)
{
    switch (action) {
    case BIT_SET:
        return value | bit;
    case BIT_RESET:
        return value & ~bit;
    case BIT_COMPLEMENT:
        return value ^ bit;
    default:
        return value;
    }
}

/*
 * A register's bit offset is signed and reaches beyond the operand in memory: the word that holds the bit is what
 * counts (SDM 2, BT).
 */
static uint64_t bit_linear(struct soft_cpu *cpu, const struct soft_insn *insn, enum soft_access access)
{
    uint64_t offset = soft_offset(cpu, insn);

    if (insn->def->form == SOFT_FORM_RM_R) {
        int64_t index = soft_sign_extend(soft_reg_read(cpu, insn, insn->reg, insn->op_bytes), insn->op_bytes);
        int64_t words = index >> (3 + soft_log2(insn->op_bytes));

        offset = (offset + (uint64_t)words * insn->op_bytes) & soft_mask(insn->addr_bytes);
    }
    return soft_linear(cpu, insn->segment, offset, insn->op_bytes, access);
}

void soft_exec_bt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bits = 8u * insn->op_bytes;
    uint64_t index = insn->def->form == SOFT_FORM_RM_R ? cpu->gpr[insn->reg] : insn->imm;
    uint64_t bit = UINT64_C(1) << (index % bits);
    enum bit_action action = bit_action(insn);
    struct soft_modify modify;

    if (action == BIT_TEST) {
        uint64_t value = insn->is_memory ? soft_load(cpu, bit_linear(cpu, insn, SOFT_READ), insn->op_bytes)
                                         : soft_reg_read(cpu, insn, insn->rm, insn->op_bytes);

        bits_set_flag(cpu, RFLAGS_CF, value & bit);
        return;
    }
    if (insn->is_memory) {
        uint64_t linear = bit_linear(cpu, insn, SOFT_READ_WRITE);

        soft_modify_begin_at(cpu, insn, linear, insn->op_bytes, insn->lock, &modify);
    } else {
        soft_modify_begin(cpu, insn, insn->op_bytes, &modify);
    }
    while (!soft_modify_end(cpu, insn, &modify, insn->lock, bit_apply(action, modify.old, bit))) {
    }
    bits_set_flag(cpu, RFLAGS_CF, modify.old & bit);
}

/* With a zero source the destination stays as it is, as AMD documents; but a 32-bit one's upper half is cleared. */
static void exec_scan(struct soft_cpu *cpu, const struct soft_insn *insn, bool reverse)
{
    uint64_t value = soft_rm_read(cpu, insn, insn->op_bytes);

    cpu->cc_op = SOFT_CC(CC_LOGIC, soft_log2(insn->op_bytes));
    cpu->cc_dst = value;
    if (value) {
        soft_reg_write(cpu, insn, insn->reg, insn->op_bytes,
                       reverse ? 63 - (unsigned)__builtin_clzll(value) : (unsigned)__builtin_ctzll(value));
    }
}

void soft_exec_bsf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    exec_scan(cpu, insn, false);
}

void soft_exec_bsr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    exec_scan(cpu, insn, true);
}

static void count_finish(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t source, uint64_t count)
{
    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, count);
    soft_set_arithmetic_flags(cpu, (source == 0 ? RFLAGS_CF : 0) | (count == 0 ? RFLAGS_ZF : 0));
}

void soft_exec_tzcnt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = soft_rm_read(cpu, insn, insn->op_bytes);

    count_finish(cpu, insn, value, value ? (unsigned)__builtin_ctzll(value) : 8u * insn->op_bytes);
}

void soft_exec_lzcnt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = soft_rm_read(cpu, insn, insn->op_bytes);
    unsigned bits = 8u * insn->op_bytes;

    count_finish(cpu, insn, value, value ? (unsigned)__builtin_clzll(value) - (64 - bits) : bits);
}

void soft_exec_popcnt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = soft_rm_read(cpu, insn, insn->op_bytes);

    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, (unsigned)__builtin_popcountll(value));
    soft_set_arithmetic_flags(cpu, value == 0 ? RFLAGS_ZF : 0);
}

/* ADCX (66): with CF alone; ADOX (F3): with OF alone. */
void soft_exec_adx(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t flag = insn->def->prefix == SOFT_PREFIX_F3 ? RFLAGS_OF : RFLAGS_CF;
    unsigned bits = 8u * insn->op_bytes;
    unsigned __int128 sum = soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);

    sum += soft_rm_read(cpu, insn, insn->op_bytes);
    sum += (soft_arithmetic_flags(cpu) & flag) != 0;
    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, (uint64_t)sum);
    bits_set_flag(cpu, flag, (uint64_t)(sum >> bits) & 1);
}
