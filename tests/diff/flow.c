/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See flow.h. Pure. */
#include "flow.h"

#include "vcpu/soft/cpu.h"

#define COUNT_UNKNOWN 256u

static bool is_shift(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        return true;
    default:
        return false;
    }
}

/* A shift's count, masked as the CPU does: the immediate, or what MOV CL just before put there. */
static unsigned shift_count(const struct case_program *program, unsigned index, const struct oracle_insn *decoded)
{
    const struct case_insn *insn = &program->insns[index], *before = insn - 1;
    unsigned mask = decoded->insn.operand_width == 64 ? 63 : 31;

    if (insn->def->form == SOFT_FORM_RM_1) {
        return 1;
    }
    if (insn->def->form == SOFT_FORM_RM_IMM) {
        return program->code[insn->offset + insn->length - 1] & mask;
    }
    if (index > 0 && insn->joined && before->length == 2 && program->code[before->offset] == 0xb1) {
        return program->code[before->offset + 1] & mask;
    }
    return COUNT_UNKNOWN;
}

/* SDM 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD": which flags a shift by that count leaves undefined. */
static uint32_t shift_undefined(const struct soft_insn_def *def, const struct oracle_insn *decoded, unsigned count)
{
    bool loses_carry = decoded->insn.mnemonic == ZYDIS_MNEMONIC_SHL || decoded->insn.mnemonic == ZYDIS_MNEMONIC_SHR;
    uint32_t undefined = def->undefined_flags;

    if (count == 0) {
        return 0;
    }
    if (count == 1) {
        return undefined & ~(uint32_t)RFLAGS_OF;
    }
    return undefined | (loses_carry && count >= decoded->insn.operand_width ? RFLAGS_CF : 0);
}

/* The result itself is: of 16 bits by more than 16. */
static bool shift_is_undefined(const struct case_program *program, unsigned index, const struct oracle_insn *decoded)
{
    bool is_double = decoded->insn.mnemonic == ZYDIS_MNEMONIC_SHLD || decoded->insn.mnemonic == ZYDIS_MNEMONIC_SHRD;

    return is_double && decoded->insn.operand_width == 16 && shift_count(program, index, decoded) > 16;
}

static bool is_repeated(const struct oracle_insn *decoded)
{
    return decoded->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/* What becomes of the undefined flags in one instruction. */
static uint32_t step_undefined(const struct case_program *program, unsigned index, const struct oracle_insn *decoded,
                               uint32_t undefined)
{
    const struct soft_insn_def *def = program->insns[index].def;
    const ZydisAccessedFlags *flags = decoded->insn.cpu_flags;
    uint32_t written = flags ? flags->modified | flags->set_0 | flags->set_1 : 0;

    if (!def || !flags) {
        return undefined & ~written;
    }
    if (is_shift(decoded->insn.mnemonic)) {
        unsigned count = shift_count(program, index, decoded);

        if (count == 0 || count == COUNT_UNKNOWN) {
            written = 0; /* maybe nothing */
        }
        return (undefined & ~written) | shift_undefined(def, decoded, count);
    }
    if (is_repeated(decoded)) {
        return undefined; /* maybe never */
    }
    return (undefined & ~written) | def->undefined_flags;
}

/* A relative jump: its target's flags are what they were here. */
static void step_jump(struct flow *flow, const struct case_program *program, unsigned index,
                      const struct oracle_insn *decoded)
{
    const struct case_insn *insn = &program->insns[index];
    unsigned target;

    if (!decoded->insn.raw.imm[0].is_relative) {
        return;
    }
    target = case_insn_at(program, case_code_base(program) + insn->offset + insn->length +
                                       (uint64_t)decoded->insn.raw.imm[0].value.s);
    if (target < program->insn_count) {
        flow->arriving[target] |= flow->undefined;
    }
}

bool flow_step(struct flow *flow, const struct oracle *oracle, struct case_program *program, unsigned index)
{
    struct case_insn *insn = &program->insns[index];
    struct oracle_insn decoded;

    flow->undefined |= flow->arriving[index];
    insn->undefined_before = flow->undefined;
    if (ZYAN_FAILED(oracle_decode(oracle, program->code + insn->offset, insn->length, &decoded))) {
        return true; /* it will be an exception, and nothing more */
    }
    if (decoded.insn.cpu_flags && (decoded.insn.cpu_flags->tested & flow->undefined)) {
        return false;
    }
    if (insn->def && shift_is_undefined(program, index, &decoded)) {
        return false;
    }
    step_jump(flow, program, index, &decoded);
    flow->undefined = step_undefined(program, index, &decoded, flow->undefined);
    return true;
}

bool flow_run(const struct oracle *oracle, struct case_program *program)
{
    struct flow flow = {0};

    for (unsigned i = 0; i < program->insn_count; i++) {
        if (!flow_step(&flow, oracle, program, i)) {
            return false;
        }
    }
    return true;
}
