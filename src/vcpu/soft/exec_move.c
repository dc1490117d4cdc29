/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves, the stack, conditional moves and exchanges, the atomic ones among them (SDM 2). The vCPU's thread. Registers
 * are written after the last access that may fault.
 */
#include <string.h>

#include "vcpu/soft/exception.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

void soft_exec_nop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
}

void soft_exec_mov(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;

    switch (insn->def->form) {
    case SOFT_FORM_RM_R:
        soft_rm_write(cpu, insn, bytes, soft_reg_read(cpu, insn, insn->reg, bytes));
        break;
    case SOFT_FORM_R_RM:
        soft_reg_write(cpu, insn, insn->reg, bytes, soft_rm_read(cpu, insn, bytes));
        break;
    case SOFT_FORM_RM_IMM:
        soft_rm_write(cpu, insn, bytes, insn->imm);
        break;
    case SOFT_FORM_O_IMM:
        soft_reg_write(cpu, insn, insn->reg, bytes, insn->imm);
        break;
    case SOFT_FORM_A_MOFFS:
        soft_reg_write(cpu, insn, CPU_RAX, bytes,
                       soft_load(cpu, soft_linear(cpu, insn->segment, insn->imm, bytes, SOFT_READ), bytes));
        break;
    default: /* MOFFS_A */
        soft_store(cpu, soft_linear(cpu, insn->segment, insn->imm, bytes, SOFT_WRITE), bytes, cpu->gpr[CPU_RAX]);
    }
}

/* MOVZX, MOVSX, MOVSXD: the kind says from what. */
void soft_exec_extend(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind;
    unsigned from = kind == SOFT_KIND_MOVZX8 || kind == SOFT_KIND_MOVSX8 ? 1 : kind == SOFT_KIND_MOVSXD ? 4 : 2;
    uint64_t value = soft_rm_read(cpu, insn, MIN(from, (unsigned)insn->op_bytes));

    if (kind != SOFT_KIND_MOVZX8 && kind != SOFT_KIND_MOVZX16) {
        value = (uint64_t)soft_sign_extend(value, MIN(from, (unsigned)insn->op_bytes));
    }
    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, value);
}

void soft_exec_lea(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, soft_offset(cpu, insn));
}

/* With memory it locks, prefix or not. */
void soft_exec_xchg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned reg = insn->def->form == SOFT_FORM_O_A ? CPU_RAX : insn->reg, bytes = insn->op_bytes;
    uint64_t value = soft_reg_read(cpu, insn, reg, bytes);
    struct soft_modify modify;

    if (insn->def->form == SOFT_FORM_O_A && insn->reg == CPU_RAX) {
        return; /* 90: NOP, which leaves a 32-bit register's upper half alone */
    }
    if (insn->is_memory) {
        soft_modify_begin_at(cpu, insn, soft_ea(cpu, insn, bytes, SOFT_READ_WRITE), bytes, true, &modify);
        while (!soft_modify_end(cpu, insn, &modify, true, value)) {
        }
    } else {
        soft_modify_begin(cpu, insn, bytes, &modify);
        soft_modify_end(cpu, insn, &modify, false, value);
    }
    soft_reg_write(cpu, insn, reg, bytes, modify.old);
}

/* The source is read, and the upper half of a 32-bit destination cleared, whatever the condition. */
void soft_exec_cmov(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = soft_rm_read(cpu, insn, insn->op_bytes);

    if (!soft_condition(cpu, insn->opcode & 15)) {
        value = soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);
    }
    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, value);
}

void soft_exec_setcc(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_rm_write(cpu, insn, 1, soft_condition(cpu, insn->opcode & 15));
}

/* --- the stack ---------------------------------------------------------------------------------------------------- */

void soft_exec_push(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value;

    switch (insn->def->form) {
    case SOFT_FORM_O:
        value = soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);
        break;
    case SOFT_FORM_IMM:
        value = insn->imm;
        break;
    default:
        value = soft_rm_read(cpu, insn, insn->op_bytes);
    }
    soft_push(cpu, insn->op_bytes, value);
}

/* An address that counts from the stack pointer counts from it as it is afterwards. */
void soft_exec_pop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t before = cpu->gpr[CPU_RSP], after, value, linear;

    if (!insn->is_memory) {
        value = soft_pop(cpu, insn->op_bytes);
        soft_reg_write(cpu, insn, insn->rm, insn->op_bytes, value);
        return;
    }
    value = soft_pop(cpu, insn->op_bytes);
    after = cpu->gpr[CPU_RSP];
    linear = soft_offset(cpu, insn);
    cpu->gpr[CPU_RSP] = before;
    linear = soft_linear(cpu, insn->segment, linear, insn->op_bytes, SOFT_WRITE);
    soft_store(cpu, linear, insn->op_bytes, value);
    cpu->gpr[CPU_RSP] = after;
}

/* Of a stack that is as wide as SS says: never 64 bits with PUSHA and POPA. */
static uint64_t stack_offset(const struct soft_cpu *cpu, int64_t distance)
{
    return (cpu->gpr[CPU_RSP] + (uint64_t)distance) & (cpu->mode & SOFT_MODE_STACK32 ? UINT32_MAX : UINT16_MAX);
}

void soft_exec_pusha(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t before = cpu->gpr[CPU_RSP];

    /* All eight are written, or none; the first that can't be is the fault. */
    for (int i = 1; i <= 8; i++) {
        uint64_t offset = stack_offset(cpu, -i * (int)bytes);

        soft_probe_write(cpu, soft_linear(cpu, CPU_SS, offset, bytes, SOFT_WRITE), bytes);
    }
    for (unsigned reg = CPU_RAX; reg <= CPU_RDI; reg++) {
        soft_push(cpu, bytes, reg == CPU_RSP ? before : cpu->gpr[reg]);
    }
}

void soft_exec_popa(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t values[8];

    for (unsigned i = 0; i < 8; i++) {
        values[i] = soft_load(cpu, soft_linear(cpu, CPU_SS, stack_offset(cpu, i * bytes), bytes, SOFT_READ), bytes);
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned reg = CPU_RDI - i;

        if (reg != CPU_RSP) {
            soft_reg_write(cpu, insn, reg, bytes, values[i]);
        }
    }
    soft_set_stack_pointer(cpu, stack_offset(cpu, 8 * bytes));
}

void soft_exec_leave(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value;
    uint64_t frame = (cpu->mode & SOFT_MODE_64)        ? cpu->gpr[CPU_RBP]
                     : (cpu->mode & SOFT_MODE_STACK32) ? (uint32_t)cpu->gpr[CPU_RBP]
                                                       : (uint16_t)cpu->gpr[CPU_RBP];

    value = soft_load(cpu, soft_linear(cpu, CPU_SS, frame, insn->op_bytes, SOFT_READ), insn->op_bytes);
    soft_set_stack_pointer(cpu, frame + insn->op_bytes);
    soft_reg_write(cpu, insn, CPU_RBP, insn->op_bytes, value);
}

/* --- within registers --------------------------------------------------------------------------------------------- */

void soft_exec_cdq(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    int64_t value = soft_sign_extend(cpu->gpr[CPU_RAX], insn->op_bytes);

    soft_reg_write(cpu, insn, CPU_RDX, insn->op_bytes, (uint64_t)(value >> 63));
}

void soft_exec_cwde(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_reg_write(cpu, insn, CPU_RAX, insn->op_bytes,
                   (uint64_t)soft_sign_extend(cpu->gpr[CPU_RAX], insn->op_bytes / 2));
}

static uint64_t swap_bytes(uint64_t value, unsigned bytes)
{
    return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

/* With 16-bit operands the manual leaves it undefined: zero, as CPUs do. */
void soft_exec_bswap(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t value = soft_reg_read(cpu, insn, insn->reg, insn->op_bytes);

    soft_reg_write(cpu, insn, insn->reg, insn->op_bytes, insn->op_bytes == 2 ? 0 : swap_bytes(value, insn->op_bytes));
}

void soft_exec_movbe(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;

    if (insn->def->form == SOFT_FORM_R_RM) {
        soft_reg_write(cpu, insn, insn->reg, bytes, swap_bytes(soft_rm_read(cpu, insn, bytes), bytes));
    } else {
        soft_rm_write(cpu, insn, bytes, swap_bytes(soft_reg_read(cpu, insn, insn->reg, bytes), bytes));
    }
}

void soft_exec_xlat(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t offset = (cpu->gpr[CPU_RBX] + (uint8_t)cpu->gpr[CPU_RAX]) & soft_mask(insn->addr_bytes);

    soft_reg_write(cpu, insn, CPU_RAX, 1, soft_load(cpu, soft_linear(cpu, insn->segment, offset, 1, SOFT_READ), 1));
}

/* CMC (F5), CLC (F8), STC (F9), CLD (FC), STD (FD). */
void soft_exec_flag(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    switch (insn->opcode) {
    case 0xf5:
        soft_set_arithmetic_flags(cpu, soft_arithmetic_flags(cpu) ^ RFLAGS_CF);
        break;
    case 0xf8:
        soft_set_arithmetic_flags(cpu, soft_arithmetic_flags(cpu) & ~(uint32_t)RFLAGS_CF);
        break;
    case 0xf9:
        soft_set_arithmetic_flags(cpu, soft_arithmetic_flags(cpu) | RFLAGS_CF);
        break;
    case 0xfc:
        cpu->rflags &= ~(uint64_t)RFLAGS_DF;
        break;
    default:
        cpu->rflags |= RFLAGS_DF;
    }
}

/* --- compare, exchange, add --------------------------------------------------------------------------------------- */

/* The destination is written in either case, with what it had if they differ. */
void soft_exec_cmpxchg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t expected = soft_reg_read(cpu, insn, CPU_RAX, bytes);
    uint64_t desired = soft_reg_read(cpu, insn, insn->reg, bytes);
    struct soft_modify modify;
    bool equal;

    soft_modify_begin(cpu, insn, bytes, &modify);
    do {
        equal = modify.old == expected;
    } while (!soft_modify_end(cpu, insn, &modify, insn->lock, equal ? desired : modify.old));
    soft_alu(cpu, SOFT_KIND_CMP, soft_log2(bytes), expected, modify.old);
    if (!equal) {
        soft_reg_write(cpu, insn, CPU_RAX, bytes, modify.old);
    }
}

void soft_exec_xadd(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t source = soft_reg_read(cpu, insn, insn->reg, bytes);
    struct soft_modify modify;
    uint64_t old, sum;

    soft_modify_begin(cpu, insn, bytes, &modify);
    if (!insn->is_memory) {
        sum = soft_alu(cpu, SOFT_KIND_ADD, soft_log2(bytes), modify.old, source);
        soft_reg_write(cpu, insn, insn->reg, bytes, modify.old);
        soft_reg_write(cpu, insn, insn->rm, bytes, sum);
        return;
    }
    do {
        old = modify.old;
    } while (!soft_modify_end(cpu, insn, &modify, insn->lock, (old + source) & soft_mask(bytes)));
    soft_alu(cpu, SOFT_KIND_ADD, soft_log2(bytes), old, source);
    soft_reg_write(cpu, insn, insn->reg, bytes, old);
}

/* The two halves of a double-width operand, low first. */
struct wide {
    uint64_t low, high;
};

static bool host_exchange_16(void *host, struct wide *expected, struct wide desired)
{
    bool done;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*(struct wide *)host), "+a"(expected->low), "+d"(expected->high)
                     : "b"(desired.low), "c"(desired.high)
                     : "memory");
    return done;
}

/* Atomic, like its little sister, with LOCK or without: that is allowed. True: they were equal. */
static bool cmpxchg16b(struct soft_cpu *cpu, uint64_t linear, struct wide *expected, struct wide desired)
{
    void *host = soft_lock_begin(cpu, linear, 16);
    struct wide now;
    bool equal;

    if (host) {
        return host_exchange_16(host, expected, desired);
    }
    now.low = soft_load_slow(cpu, linear, 8);
    now.high = soft_load_slow(cpu, linear + 8, 8);
    equal = now.low == expected->low && now.high == expected->high;
    if (equal) {
        now = desired;
    }
    soft_store_slow(cpu, linear, 8, now.low);
    soft_store_slow(cpu, linear + 8, 8, now.high);
    soft_lock_end(cpu);
    if (!equal) {
        *expected = now;
    }
    return equal;
}

static bool cmpxchg8b(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t linear, struct wide *expected,
                      struct wide desired)
{
    uint64_t want = expected->low | expected->high << 32;
    struct soft_modify modify;
    bool equal;

    soft_modify_begin_at(cpu, insn, linear, 8, true, &modify);
    do {
        equal = modify.old == want;
    } while (!soft_modify_end(cpu, insn, &modify, true, equal ? desired.low | desired.high << 32 : modify.old));
    if (!equal) {
        *expected = (struct wide){(uint32_t)modify.old, modify.old >> 32};
    }
    return equal;
}

/* Sixteen bytes are aligned: that is checked first, and #GP(0) on the stack, too. */
static uint64_t cmpxchg8b_linear(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned half)
{
    if (half == 8) {
        uint64_t base = insn->segment >= CPU_FS ? cpu->segment[insn->segment].base : 0;

        if (!cpu->features.has[SOFT_FEATURE_CX16]) {
            soft_raise(cpu, VECTOR_UD);
        }
        if ((soft_offset(cpu, insn) + base) & 15) {
            soft_raise_error(cpu, VECTOR_GP, 0);
        }
    }
    return soft_ea(cpu, insn, 2 * half, SOFT_READ_WRITE);
}

/* CMPXCHG8B, and CMPXCHG16B with REX.W. */
void soft_exec_cmpxchg8b(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned half = insn->op_bytes == 8 ? 8 : 4;
    uint64_t linear = cmpxchg8b_linear(cpu, insn, half), mask = soft_mask(half);
    struct wide expected = {cpu->gpr[CPU_RAX] & mask, cpu->gpr[CPU_RDX] & mask};
    struct wide desired = {cpu->gpr[CPU_RBX] & mask, cpu->gpr[CPU_RCX] & mask};
    uint32_t flags;
    bool equal;

    if (half == 8) {
        equal = cmpxchg16b(cpu, linear, &expected, desired);
    } else {
        equal = cmpxchg8b(cpu, insn, linear, &expected, desired);
    }
    flags = soft_arithmetic_flags(cpu) & ~(uint32_t)RFLAGS_ZF;
    soft_set_arithmetic_flags(cpu, flags | (equal ? RFLAGS_ZF : 0));
    if (!equal) {
        soft_reg_write(cpu, insn, CPU_RAX, half, expected.low);
        soft_reg_write(cpu, insn, CPU_RDX, half, expected.high);
    }
}
