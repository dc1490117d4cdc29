/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x87 environment in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR (SDM 1, 8.1.10). Four formats: of 32 or 16 bits by
 * the operand size, and with pointers as selector and offset in protected mode (long mode too) or as linear addresses
 * in real and virtual-8086 mode. Seven words, then for the latter two the registers from ST(0) on.
 */
#include "vcpu/soft/x87.h"

enum { ENV_WORDS = 7, ENV_REGISTERS_BYTES = 80, ENV_BYTES_MAX = 4 * ENV_WORDS + ENV_REGISTERS_BYTES };

/* Indices of the words. */
enum { ENV_FCW, ENV_FSW, ENV_FTW, ENV_FIP, ENV_FCS, ENV_FDP, ENV_FDS };

/* A register's two tag bits: valid, zero, special, empty. */
static unsigned env_tag(const struct soft_fpu *fpu, unsigned physical)
{
    const union soft_st *st = &fpu->st[physical];
    unsigned exponent = st->exponent & 0x7fff;

    if (!(fpu->valid >> physical & 1)) {
        return 3;
    }
    if (exponent == 0 && st->mantissa == 0) {
        return 1;
    }
    return exponent == 0 || exponent == 0x7fff || !(st->mantissa >> 63) ? 2 : 0;
}

static uint16_t env_tags(const struct soft_fpu *fpu)
{
    unsigned tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        tags |= env_tag(fpu, i) << (2 * i);
    }
    return (uint16_t)tags;
}

static bool env_is_32(const struct soft_insn *insn)
{
    return insn->op_bytes != 2;
}

static unsigned env_bytes(const struct soft_insn *insn)
{
    return env_is_32(insn) ? 4 * ENV_WORDS : 2 * ENV_WORDS;
}

/* --- storing ------------------------------------------------------------------------------------------------------ */

static void env_pointers_protected(const struct soft_fpu *fpu, bool is_32, uint32_t words[ENV_WORDS])
{
    words[ENV_FIP] = (uint32_t)fpu->fip;
    words[ENV_FCS] = fpu->fcs | (is_32 ? (uint32_t)fpu->fop << 16 : 0);
    words[ENV_FDP] = (uint32_t)fpu->fdp;
    words[ENV_FDS] = fpu->fds | 0xffff0000u;
}

static void env_pointers_real(const struct soft_fpu *fpu, bool is_32, uint32_t words[ENV_WORDS])
{
    uint32_t ip = (uint32_t)fpu->fip + ((uint32_t)fpu->fcs << 4);
    uint32_t dp = (uint32_t)fpu->fdp + ((uint32_t)fpu->fds << 4);

    words[ENV_FIP] = (ip & 0xffff) | 0xffff0000u;
    words[ENV_FDP] = (dp & 0xffff) | 0xffff0000u;
    if (is_32) {
        words[ENV_FCS] = (ip >> 16) << 12 | fpu->fop;
        words[ENV_FDS] = (dp >> 16) << 12;
    } else {
        words[ENV_FCS] = ((ip >> 16) & 15) << 12 | fpu->fop;
        words[ENV_FDS] = ((dp >> 16) & 15) << 12;
    }
}

/* Returns the length of what it wrote. */
static unsigned env_write(const struct soft_cpu *cpu, const struct soft_insn *insn, uint8_t *buffer)
{
    const struct soft_fpu *fpu = &cpu->fpu;
    bool is_32 = env_is_32(insn);
    uint32_t words[ENV_WORDS];

    words[ENV_FCW] = fpu->fcw | 0xffff0000u;
    words[ENV_FSW] = soft_x87_status(fpu) | 0xffff0000u;
    words[ENV_FTW] = env_tags(fpu) | 0xffff0000u;
    if (soft_is_protected(cpu)) {
        env_pointers_protected(fpu, is_32, words);
    } else {
        env_pointers_real(fpu, is_32, words);
    }
    for (unsigned i = 0; i < ENV_WORDS; i++) {
        memcpy(buffer + (is_32 ? 4 : 2) * i, &words[i], is_32 ? 4 : 2);
    }
    return env_bytes(insn);
}

/* Afterwards all exceptions are masked. */
void soft_x87_fnstenv(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t buffer[ENV_BYTES_MAX];
    unsigned len_bytes = env_write(cpu, insn, buffer);

    soft_write_bytes(cpu, soft_ea(cpu, insn, len_bytes, SOFT_WRITE), buffer, len_bytes);
    cpu->fpu.fcw |= X87_EXCEPTIONS;
    soft_x87_update_summary(&cpu->fpu);
}

/* Afterwards the unit is as FNINIT leaves it. */
void soft_x87_fnsave(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t buffer[ENV_BYTES_MAX];
    unsigned len_bytes = env_write(cpu, insn, buffer);

    for (unsigned i = 0; i < 8; i++) {
        memcpy(buffer + len_bytes, soft_x87_st(&cpu->fpu, i), 10);
        len_bytes += 10;
    }
    soft_write_bytes(cpu, soft_ea(cpu, insn, len_bytes, SOFT_WRITE), buffer, len_bytes);
    soft_x87_fninit(cpu, insn);
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

static void env_read_pointers(struct soft_cpu *cpu, bool is_32, const uint32_t words[ENV_WORDS])
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint32_t high_mask = is_32 ? 0xffff : 15;

    fpu->fip = words[ENV_FIP];
    fpu->fdp = words[ENV_FDP];
    if (soft_is_protected(cpu)) {
        fpu->fcs = (uint16_t)words[ENV_FCS];
        fpu->fds = (uint16_t)words[ENV_FDS];
        fpu->fop = is_32 ? words[ENV_FCS] >> 16 & 0x7ff : 0;
        return;
    }
    fpu->fip = (words[ENV_FIP] & 0xffff) | (words[ENV_FCS] >> 12 & high_mask) << 16;
    fpu->fdp = (words[ENV_FDP] & 0xffff) | (words[ENV_FDS] >> 12 & high_mask) << 16;
    fpu->fop = words[ENV_FCS] & 0x7ff;
    fpu->fcs = fpu->fds = 0;
}

static void env_read(struct soft_cpu *cpu, const struct soft_insn *insn, const uint8_t *buffer)
{
    struct soft_fpu *fpu = &cpu->fpu;
    bool is_32 = env_is_32(insn);
    uint32_t words[ENV_WORDS] = {0};

    for (unsigned i = 0; i < ENV_WORDS; i++) {
        memcpy(&words[i], buffer + (is_32 ? 4 : 2) * i, is_32 ? 4 : 2);
    }
    soft_x87_set_control(fpu, (uint16_t)words[ENV_FCW]);
    soft_x87_set_status(fpu, (uint16_t)words[ENV_FSW]);
    fpu->valid = 0;
    for (unsigned i = 0; i < 8; i++) {
        fpu->valid |= (uint8_t)((words[ENV_FTW] >> (2 * i) & 3) != 3) << i;
    }
    env_read_pointers(cpu, is_32, words);
    soft_x87_host_load(fpu);
}

void soft_x87_fldenv(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t buffer[ENV_BYTES_MAX];
    unsigned len_bytes = env_bytes(insn);

    soft_x87_wait(cpu);
    soft_read_bytes(cpu, soft_ea(cpu, insn, len_bytes, SOFT_READ), buffer, len_bytes);
    env_read(cpu, insn, buffer);
}

void soft_x87_frstor(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t buffer[ENV_BYTES_MAX];
    unsigned len_bytes = env_bytes(insn);

    soft_x87_wait(cpu);
    soft_read_bytes(cpu, soft_ea(cpu, insn, len_bytes + ENV_REGISTERS_BYTES, SOFT_READ), buffer,
                    len_bytes + ENV_REGISTERS_BYTES);
    env_read(cpu, insn, buffer);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(soft_x87_st(&cpu->fpu, i), buffer + len_bytes, 10);
        len_bytes += 10;
    }
}
