/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multiplication, division, and decimal adjustment (SDM 2). The vCPU's thread. */
#include "vcpu/soft/exception.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

/* Writes a double-width product or {quotient, remainder}: AX for bytes, else rDX:rAX. */
static void write_pair(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t low, uint64_t high)
{
    if (insn->op_bytes == 1) {
        soft_reg_write(cpu, insn, CPU_RAX, 2, (low & 0xff) | high << 8);
    } else {
        soft_reg_write(cpu, insn, CPU_RAX, insn->op_bytes, low);
        soft_reg_write(cpu, insn, CPU_RDX, insn->op_bytes, high);
    }
}

static void multiply_set_flags(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t low, bool wide)
{
    cpu->cc_op = SOFT_CC(CC_MUL, soft_log2(insn->op_bytes));
    cpu->cc_dst = low & soft_mask(insn->op_bytes);
    cpu->cc_src = wide;
}

void soft_exec_mul(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bits = 8u * insn->op_bytes;
    unsigned __int128 product = soft_reg_read(cpu, insn, CPU_RAX, insn->op_bytes);
    uint64_t low, high;

    product *= soft_rm_read(cpu, insn, insn->op_bytes);
    low = (uint64_t)product & soft_mask(insn->op_bytes);
    high = (uint64_t)(product >> bits);
    write_pair(cpu, insn, low, high);
    multiply_set_flags(cpu, insn, low, high != 0);
}

static __int128 multiply_signed(uint64_t a, uint64_t b, unsigned bytes)
{
    return (__int128)soft_sign_extend(a, bytes) * soft_sign_extend(b, bytes);
}

void soft_exec_imul1(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    __int128 product = multiply_signed(soft_reg_read(cpu, insn, CPU_RAX, bytes), soft_rm_read(cpu, insn, bytes), bytes);
    uint64_t low = (uint64_t)product & soft_mask(bytes);

    write_pair(cpu, insn, low, (uint64_t)(product >> (8 * bytes)) & soft_mask(bytes));
    multiply_set_flags(cpu, insn, low, product != soft_sign_extend(low, bytes));
}

void soft_exec_imul2(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t a = soft_rm_read(cpu, insn, bytes);
    uint64_t b = insn->def->form == SOFT_FORM_R_RM_IMM ? insn->imm : soft_reg_read(cpu, insn, insn->reg, bytes);
    __int128 product = multiply_signed(a, b, bytes);
    uint64_t low = (uint64_t)product & soft_mask(bytes);

    soft_reg_write(cpu, insn, insn->reg, bytes, low);
    multiply_set_flags(cpu, insn, low, product != soft_sign_extend(low, bytes));
}

static unsigned __int128 dividend(const struct soft_cpu *cpu, unsigned bytes)
{
    uint64_t mask = soft_mask(bytes);

    if (bytes == 1) {
        return cpu->gpr[CPU_RAX] & 0xffff;
    }
    return (unsigned __int128)(cpu->gpr[CPU_RDX] & mask) << (8 * bytes) | (cpu->gpr[CPU_RAX] & mask);
}

/* Flags are undefined after a division: they stay. */
void soft_exec_div(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned __int128 value = dividend(cpu, insn->op_bytes), quotient;
    uint64_t divisor = soft_rm_read(cpu, insn, insn->op_bytes);

    if (divisor == 0) {
        soft_raise(cpu, VECTOR_DE);
    }
    if ((uint64_t)(value >> 64) == 0) {
        quotient = (uint64_t)value / divisor; /* the host's 64-bit division is much faster than the library's */
        value = (uint64_t)value % divisor;
    } else {
        quotient = value / divisor;
        value %= divisor;
    }
    if (quotient > soft_mask(insn->op_bytes)) {
        soft_raise(cpu, VECTOR_DE);
    }
    write_pair(cpu, insn, (uint64_t)quotient, (uint64_t)value);
}

void soft_exec_idiv(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes, unused = 128 - 16 * bytes;
    __int128 value = (__int128)(dividend(cpu, bytes) << unused) >> unused, quotient;
    int64_t divisor = soft_sign_extend(soft_rm_read(cpu, insn, bytes), bytes);
    unsigned __int128 magnitude = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;

    /* The most negative dividend has no quotient that fits, whatever the divisor; and the host can't negate it. */
    if (divisor == 0 || magnitude >> 127) {
        soft_raise(cpu, VECTOR_DE);
    }
    if (value == (int64_t)value && value != INT64_MIN) {
        quotient = (int64_t)value / divisor;
        value = (int64_t)value % divisor;
    } else {
        quotient = value / divisor;
        value %= divisor;
    }
    if (quotient != soft_sign_extend((uint64_t)quotient, bytes)) {
        soft_raise(cpu, VECTOR_DE);
    }
    write_pair(cpu, insn, (uint64_t)quotient & soft_mask(bytes), (uint64_t)value & soft_mask(bytes));
}

/* --- decimal: not in 64-bit mode ---------------------------------------------------------------------------------- */

static void bcd_finish(struct soft_cpu *cpu, uint8_t al, bool carry, bool adjust)
{
    uint32_t flags = (carry ? RFLAGS_CF : 0) | (adjust ? RFLAGS_AF : 0);

    flags |= (al == 0 ? RFLAGS_ZF : 0) | (al & 0x80 ? RFLAGS_SF : 0) | (__builtin_parity(al) ? 0 : RFLAGS_PF);
    soft_set_arithmetic_flags(cpu, flags);
}

/* DAA (27), DAS (2F). */
static void bcd_packed(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t flags = soft_arithmetic_flags(cpu);
    uint8_t old = (uint8_t)cpu->gpr[CPU_RAX], al = old;
    bool subtract = insn->opcode == 0x2f, carry = flags & RFLAGS_CF, adjust, out = false;

    adjust = (old & 0xf) > 9 || (flags & RFLAGS_AF);
    if (adjust) {
        out = carry || (subtract ? old < 6 : old > 0xf9);
        al = subtract ? al - 6 : al + 6;
    }
    if (old > 0x99 || carry) {
        al = subtract ? al - 0x60 : al + 0x60;
        out = true;
    } else if (!subtract) {
        out = false;
    }
    soft_reg_write_at(cpu, 0, 1, al);
    bcd_finish(cpu, al, out, adjust);
}

/* AAA (37), AAS (3F). */
static void bcd_unpacked(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t ax = (uint16_t)cpu->gpr[CPU_RAX];
    bool adjust = (ax & 0xf) > 9 || (soft_arithmetic_flags(cpu) & RFLAGS_AF);

    if (adjust) {
        ax = insn->opcode == 0x37 ? ax + 0x106 : (uint16_t)(ax - 6) - 0x100;
    }
    ax &= 0xff0f;
    soft_reg_write_at(cpu, 0, 2, ax);
    bcd_finish(cpu, (uint8_t)ax, adjust, adjust);
}

void soft_exec_bcd(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (insn->opcode & 0x10) {
        bcd_unpacked(cpu, insn);
    } else {
        bcd_packed(cpu, insn);
    }
}

void soft_exec_aam(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t al = (uint8_t)cpu->gpr[CPU_RAX], base = (uint8_t)insn->imm;

    if (base == 0) {
        soft_raise(cpu, VECTOR_DE);
    }
    soft_reg_write_at(cpu, 0, 2, (uint16_t)(al / base) << 8 | al % base);
    bcd_finish(cpu, al % base, false, false);
}

void soft_exec_aad(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t ax = (uint16_t)cpu->gpr[CPU_RAX];
    uint8_t al = (uint8_t)(ax + (ax >> 8) * (uint8_t)insn->imm);

    soft_reg_write_at(cpu, 0, 2, al);
    bcd_finish(cpu, al, false, false);
}
