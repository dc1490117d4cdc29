/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses micro-operations for an instruction. Whatever has none in the form at hand (LOCK, 16-bit addresses, segments
 * with limits, rare operations) becomes a call of its exec function, which knows every form: so this file may leave out
 * what it likes, and must get right what it doesn't.
 */
#include "vcpu/soft/lower.h"

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/operand.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/sse.h"
#include "vcpu/soft/system_insn.h"

#define OFFSET(reg) ((uint8_t)(8 * (reg)))
/* Of an address: a register, or a segment's base. */
#define WORD(reg) ((uint8_t)(reg))
#define WORD_BASE(segment_index)                                                                                       \
    ((uint8_t)((offsetof(struct soft_cpu, segment) + (segment_index) * sizeof(struct cpu_segment)) / 8))
_Static_assert(offsetof(struct soft_cpu, gpr) == 0 && offsetof(struct soft_cpu, segment) % 8 == 0 &&
                   offsetof(struct cpu_segment, base) == 0 && sizeof(struct cpu_segment) % 8 == 0 &&
                   offsetof(struct soft_cpu, segment[CPU_LDTR]) < 256 * 8,
               "segments' bases are words that micro-operations reach");

/* --- writing ------------------------------------------------------------------------------------------------------ */

static struct soft_op *lower_emit(struct soft_writer *writer, const struct soft_insn *insn, soft_op_fn *fn)
{
    struct soft_op *op = writer->at++;

    *op = (struct soft_op){.fn = fn,
                           .base = WORD(SOFT_REG_ZERO),
                           .index = WORD(SOFT_REG_ZERO),
                           .pc = writer->pc,
                           .length = insn ? insn->length : 0,
                           .begins = !writer->begun,
                           .elided = writer->elided};
    writer->begun = true;
    writer->elided = 0;
    return op;
}

static bool fits_32(int64_t value)
{
    return value == (int32_t)value;
}

/* A jump and its link, to `delta` from the block's start. True: to another page. */
static bool lower_jump(struct soft_writer *writer, const struct soft_insn *insn, int64_t delta)
{
    struct soft_op *jump = lower_emit(writer, insn, soft_op_jump);
    struct soft_op *link = lower_emit(writer, insn, soft_op_link);

    jump->disp = (int32_t)delta;
    jump->target = link;
    link->near = (writer->rip & SOFT_PAGE_MASK) == ((writer->rip + (uint64_t)delta) & SOFT_PAGE_MASK);
    if (!link->near) {
        jump->fn = soft_op_jump_far;
    }
    writer->ended = true;
    return !link->near;
}

/* Where a relative branch goes, from the block's start; false: the exec function has to do it. */
static bool branch_delta(const struct soft_writer *writer, const struct soft_insn *insn, int64_t *delta)
{
    uint64_t target = writer->rip + writer->pc + insn->length + insn->imm;

    if (!(writer->mode & SOFT_MODE_64)) {
        if (!(writer->mode & SOFT_MODE_FLAT) || insn->op_bytes != 4) {
            return false;
        }
        target = (uint32_t)target;
    }
    *delta = (int64_t)(target - writer->rip);
    return fits_32(*delta);
}

/* --- memory operands ---------------------------------------------------------------------------------------------- */

/*
 * Whether micro-operations can form the operand's address: 64-bit code, or flat 32-bit code. A code segment is flat,
 * too, but can't be written.
 */
static bool memory_is_plain(const struct soft_writer *writer, const struct soft_insn *insn)
{
    if (writer->mode & SOFT_MODE_64) {
        return !insn->rip_relative || fits_32((int64_t)insn->disp + writer->pc + insn->length);
    }
    return (writer->mode & SOFT_MODE_FLAT) && insn->addr_bytes == 4 && insn->segment != CPU_CS &&
           insn->segment != CPU_FS && insn->segment != CPU_GS;
}

struct memory_parts {
    uint8_t base, index, shift;
    int32_t disp;
    soft_op_fn *prepare; /* puts base, index and segment into SOFT_REG_EA first; NULL: base and index are all */
};

/* Without a segment. */
static struct memory_parts memory_offset(const struct soft_writer *writer, const struct soft_insn *insn)
{
    struct memory_parts parts = {.base = WORD(SOFT_REG_ZERO), .index = WORD(SOFT_REG_ZERO), .disp = insn->disp};

    if (insn->rip_relative) {
        parts.base = WORD(SOFT_REG_PC);
        parts.disp += writer->pc + insn->length;
    } else if (insn->base != SOFT_NO_REG) {
        parts.base = WORD(insn->base);
    }
    if (insn->index != SOFT_NO_REG) {
        parts.index = WORD(insn->index);
        parts.shift = insn->scale;
    }
    return parts;
}

/* FS or GS with a 64-bit address: its base takes a place that is free. */
static void memory_add_segment(const struct soft_writer *writer, const struct soft_insn *insn,
                               struct memory_parts *parts)
{
    int64_t address = (int64_t)(writer->rip + (uint64_t)(int64_t)parts->disp);

    if (insn->rip_relative && fits_32(address)) { /* the block's instruction pointer is always the same */
        parts->base = WORD_BASE(insn->segment);
        parts->disp = (int32_t)address;
    } else if (parts->base == WORD(SOFT_REG_ZERO)) {
        parts->base = WORD_BASE(insn->segment);
    } else if (insn->index == SOFT_NO_REG) {
        parts->index = WORD_BASE(insn->segment);
    } else {
        parts->prepare = soft_op_ea_segment;
    }
}

static struct memory_parts memory_parts(const struct soft_writer *writer, const struct soft_insn *insn)
{
    struct memory_parts parts = memory_offset(writer, insn);
    bool segment = insn->segment == CPU_FS || insn->segment == CPU_GS;

    if (insn->addr_bytes == 4) {
        parts.prepare = segment ? soft_op_ea32_segment : soft_op_ea32;
    } else if (segment) {
        memory_add_segment(writer, insn, &parts);
    }
    return parts;
}

static void memory_set(struct soft_op *op, const struct memory_parts *parts)
{
    op->base = parts->base;
    op->index = parts->index;
    op->shift = parts->shift;
    op->disp = parts->disp;
}

/*
 * Emits a micro-operation with a memory operand: fn takes base + disp; fn_x, if there is one, an index too. The caller
 * fills in registers.
 */
static struct soft_op *lower_memory(struct soft_writer *writer, const struct soft_insn *insn, soft_op_fn *fn,
                                    soft_op_fn *fn_x)
{
    struct memory_parts parts = memory_parts(writer, insn);
    struct soft_op *op;

    if (!parts.prepare && parts.index != WORD(SOFT_REG_ZERO)) {
        if (fn_x) {
            op = lower_emit(writer, insn, fn_x);
            memory_set(op, &parts);
            return op;
        }
        parts.prepare = soft_op_ea;
    }
    if (parts.prepare) {
        op = lower_emit(writer, insn, parts.prepare);
        memory_set(op, &parts);
        op->src = insn->segment;
        parts = (struct memory_parts){.base = WORD(SOFT_REG_EA), .index = WORD(SOFT_REG_ZERO)};
    }
    op = lower_emit(writer, insn, fn);
    memory_set(op, &parts);
    return op;
}

/* --- flags that nobody sees --------------------------------------------------------------------------------------- */

/* What an instruction in registers does with the arithmetic flags. Everything else shows them: it may fault or leave.
 */
enum flags_use {
    FLAGS_SHOWN,   /* read, or visible to whoever is called */
    FLAGS_IGNORED, /* neither read nor set */
    FLAGS_SET,     /* all of them set, none read */
    FLAGS_KEPT,    /* some set, the others stay */
};

static enum flags_use flags_use(const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind;

    if ((insn->is_memory && kind != SOFT_KIND_LEA && kind != SOFT_KIND_NOP) || insn->lock) {
        return FLAGS_SHOWN;
    }
    switch (kind) {
    case SOFT_KIND_ADD:
    case SOFT_KIND_OR:
    case SOFT_KIND_AND:
    case SOFT_KIND_SUB:
    case SOFT_KIND_XOR:
    case SOFT_KIND_CMP:
    case SOFT_KIND_TEST:
    case SOFT_KIND_NEG:
    case SOFT_KIND_IMUL2:
        return FLAGS_SET;
    case SOFT_KIND_SHL:
    case SOFT_KIND_SHR:
    case SOFT_KIND_SAR: /* a count of 0 sets none */
        return insn->def->form == SOFT_FORM_RM_1 || (insn->def->form == SOFT_FORM_RM_IMM && (insn->imm & 31))
                   ? FLAGS_SET
                   : FLAGS_SHOWN;
    case SOFT_KIND_ROL:
    case SOFT_KIND_ROR:
        return insn->def->form == SOFT_FORM_RM_1 || (insn->def->form == SOFT_FORM_RM_IMM && (insn->imm & 31))
                   ? FLAGS_KEPT
                   : FLAGS_SHOWN;
    case SOFT_KIND_INC:
    case SOFT_KIND_DEC:
        return FLAGS_KEPT;
    case SOFT_KIND_MOV:
        return insn->def->form == SOFT_FORM_A_MOFFS || insn->def->form == SOFT_FORM_MOFFS_A ? FLAGS_SHOWN
                                                                                            : FLAGS_IGNORED;
    case SOFT_KIND_MOVZX8 ... SOFT_KIND_LEA:
    case SOFT_KIND_NOT:
    case SOFT_KIND_XCHG:
    case SOFT_KIND_CDQ:
    case SOFT_KIND_CWDE:
    case SOFT_KIND_NOP:
        return FLAGS_IGNORED;
    default:
        return FLAGS_SHOWN;
    }
}

/* The form that leaves flags alone of what an instruction became, in one micro-operation; NULL: there is none. */
static soft_op_fn *flags_quiet_fn(const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind, log2_bytes = soft_log2(insn->op_bytes), form = insn->def->form;

    switch (kind) {
    case SOFT_KIND_ADD ... SOFT_KIND_TEST:
        return form == SOFT_FORM_RM_IMM || form == SOFT_FORM_A_IMM
                   ? soft_op_alu_quiet_ri[kind - SOFT_KIND_ADD][log2_bytes]
                   : soft_op_alu_quiet_rr[kind - SOFT_KIND_ADD][log2_bytes];
    case SOFT_KIND_INC ... SOFT_KIND_NEG:
        return soft_op_unary_quiet_r[kind - SOFT_KIND_INC][log2_bytes];
    case SOFT_KIND_ROL ... SOFT_KIND_SAR:
        return soft_op_shift_quiet_ri[kind - SOFT_KIND_ROL][log2_bytes];
    default:
        return NULL;
    }
}

/* After an instruction was lowered to what begins at `first`. */
static void lower_flags(struct soft_writer *writer, const struct soft_insn *insn, struct soft_op *first)
{
    enum flags_use use = flags_use(insn);
    soft_op_fn *quiet;

    if (use == FLAGS_IGNORED) {
        return;
    }
    for (unsigned i = 0; use == FLAGS_SET && i < writer->unseen_count; i++) {
        writer->unseen[i]->fn = writer->unseen_quiet[i];
    }
    if (use != FLAGS_KEPT) {
        writer->unseen_count = 0;
    }
    quiet = use == FLAGS_SHOWN ? NULL : flags_quiet_fn(insn);
    if (quiet && writer->unseen_count < SOFT_FLAGS_UNSEEN) {
        writer->unseen[writer->unseen_count] = first;
        writer->unseen_quiet[writer->unseen_count++] = quiet;
    }
}

/* --- kinds -------------------------------------------------------------------------------------------------------- */

static uint8_t reg_offset(const struct soft_insn *insn, unsigned reg)
{
    return soft_reg_offset(reg, insn->op_bytes, insn->rex);
}

/* What `op` and a conditional jump behind it become; SOFT_FUSED_COUNT: they stay two. */
static void lower_note_fused(struct soft_writer *writer, struct soft_op *op, const struct soft_insn *insn,
                             enum soft_fused fused)
{
    if (fused != SOFT_FUSED_COUNT && insn->op_bytes != 2) {
        writer->comparison = op;
        writer->fused = fused;
        writer->fused_log2 = (uint8_t)soft_log2(insn->op_bytes);
    }
}

static enum soft_fused fused_comparison(const struct soft_insn *insn, enum soft_fused cmp, enum soft_fused test)
{
    return insn->def->kind == SOFT_KIND_CMP ? cmp : insn->def->kind == SOFT_KIND_TEST ? test : SOFT_FUSED_COUNT;
}

static enum soft_fused fused_immediate(const struct soft_insn *insn)
{
    switch (insn->def->kind) {
    case SOFT_KIND_AND:
        return SOFT_FUSED_AND_RI;
    case SOFT_KIND_SUB:
        return SOFT_FUSED_SUB_RI;
    default:
        return fused_comparison(insn, SOFT_FUSED_CMP_RI, SOFT_FUSED_TEST_RI);
    }
}

static void lower_alu_memory(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned row = insn->def->kind - SOFT_KIND_ADD, log2_bytes = soft_log2(insn->op_bytes);
    struct soft_op *op;

    switch (insn->def->form) {
    case SOFT_FORM_R_RM:
        op = lower_memory(writer, insn, soft_op_alu_rm[row][log2_bytes], NULL);
        op->dst = reg_offset(insn, insn->reg);
        lower_note_fused(writer, op, insn, fused_comparison(insn, SOFT_FUSED_CMP_RM, SOFT_FUSED_COUNT));
        break;
    case SOFT_FORM_RM_R:
        op = lower_memory(writer, insn, soft_op_alu_mr[row][log2_bytes], NULL);
        op->src = reg_offset(insn, insn->reg);
        lower_note_fused(writer, op, insn, fused_comparison(insn, SOFT_FUSED_CMP_MR, SOFT_FUSED_COUNT));
        break;
    default:
        op = lower_memory(writer, insn, soft_op_alu_mi[row][log2_bytes], NULL);
        op->imm = insn->imm & soft_mask(insn->op_bytes);
        lower_note_fused(writer, op, insn, fused_comparison(insn, SOFT_FUSED_CMP_MI, SOFT_FUSED_TEST_MI));
    }
}

static bool lower_alu(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned row = insn->def->kind - SOFT_KIND_ADD, log2_bytes = soft_log2(insn->op_bytes), form = insn->def->form;
    struct soft_op *op;

    if (insn->is_memory) {
        if (!memory_is_plain(writer, insn)) {
            return false;
        }
        lower_alu_memory(writer, insn);
        return true;
    }
    if (form == SOFT_FORM_RM_IMM || form == SOFT_FORM_A_IMM) {
        op = lower_emit(writer, insn, soft_op_alu_ri[row][log2_bytes]);
        op->dst = form == SOFT_FORM_A_IMM ? OFFSET(CPU_RAX) : reg_offset(insn, insn->rm);
        op->imm = insn->imm & soft_mask(insn->op_bytes);
        lower_note_fused(writer, op, insn, fused_immediate(insn));
        return true;
    }
    op = lower_emit(writer, insn, soft_op_alu_rr[row][log2_bytes]);
    op->dst = reg_offset(insn, form == SOFT_FORM_RM_R ? insn->rm : insn->reg);
    op->src = reg_offset(insn, form == SOFT_FORM_RM_R ? insn->reg : insn->rm);
    lower_note_fused(writer, op, insn, fused_comparison(insn, SOFT_FUSED_CMP_RR, SOFT_FUSED_TEST_RR));
    return true;
}

static bool lower_mov(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned log2_bytes = soft_log2(insn->op_bytes), form = insn->def->form;
    struct soft_op *op;

    if (form == SOFT_FORM_A_MOFFS || form == SOFT_FORM_MOFFS_A || (insn->is_memory && !memory_is_plain(writer, insn))) {
        return false;
    }
    if (form == SOFT_FORM_O_IMM || (form == SOFT_FORM_RM_IMM && !insn->is_memory)) {
        op = lower_emit(writer, insn, soft_op_mov_ri[log2_bytes]);
        op->dst = reg_offset(insn, form == SOFT_FORM_O_IMM ? insn->reg : insn->rm);
        op->imm = insn->imm;
    } else if (form == SOFT_FORM_RM_IMM) {
        op = lower_memory(writer, insn, soft_op_store_imm[log2_bytes], NULL);
        op->imm = insn->imm;
    } else if (!insn->is_memory) {
        op = lower_emit(writer, insn, soft_op_mov_rr[log2_bytes]);
        op->dst = reg_offset(insn, form == SOFT_FORM_RM_R ? insn->rm : insn->reg);
        op->src = reg_offset(insn, form == SOFT_FORM_RM_R ? insn->reg : insn->rm);
    } else if (form == SOFT_FORM_RM_R) {
        op = lower_memory(writer, insn, soft_op_store[log2_bytes], soft_op_store_x[log2_bytes]);
        op->src = reg_offset(insn, insn->reg);
    } else {
        op = lower_memory(writer, insn, soft_op_load[log2_bytes], soft_op_load_x[log2_bytes]);
        op->dst = reg_offset(insn, insn->reg);
    }
    return true;
}

static bool lower_extend(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind, row = kind - SOFT_KIND_MOVZX8, log2_bytes = soft_log2(insn->op_bytes);
    unsigned from = kind == SOFT_KIND_MOVZX8 || kind == SOFT_KIND_MOVSX8 ? 1 : kind == SOFT_KIND_MOVSXD ? 4 : 2;
    struct soft_op *op;

    if (!soft_op_extend_rr[row][log2_bytes] || (insn->is_memory && !memory_is_plain(writer, insn))) {
        return false;
    }
    if (insn->is_memory) {
        op = lower_memory(writer, insn, soft_op_extend_rm[row][log2_bytes], soft_op_extend_rx[row][log2_bytes]);
    } else {
        op = lower_emit(writer, insn, soft_op_extend_rr[row][log2_bytes]);
        op->src = soft_reg_offset(insn->rm, from, insn->rex);
    }
    op->dst = OFFSET(insn->reg);
    return true;
}

static bool lower_lea(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned log2_bytes = soft_log2(insn->op_bytes);
    struct memory_parts parts;
    struct soft_op *op;

    /* A result no wider than the address needs no cut. */
    if (insn->addr_bytes == 2 || insn->op_bytes > insn->addr_bytes ||
        (insn->rip_relative && !fits_32((int64_t)insn->disp + writer->pc + insn->length))) {
        return false;
    }
    parts = memory_offset(writer, insn);
    op = lower_emit(writer, insn, insn->index == SOFT_NO_REG ? soft_op_lea[log2_bytes] : soft_op_lea_x[log2_bytes]);
    memory_set(op, &parts);
    op->dst = OFFSET(insn->reg);
    return true;
}

static bool lower_unary(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned row = insn->def->kind - SOFT_KIND_INC, log2_bytes = soft_log2(insn->op_bytes);

    if (!insn->is_memory) {
        lower_emit(writer, insn, soft_op_unary_r[row][log2_bytes])->dst = reg_offset(insn, insn->rm);
        return true;
    }
    if (!memory_is_plain(writer, insn)) {
        return false;
    }
    lower_memory(writer, insn, soft_op_unary_m[row][log2_bytes], NULL);
    return true;
}

static bool lower_shift(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned row = insn->def->kind - SOFT_KIND_ROL, log2_bytes = soft_log2(insn->op_bytes);
    unsigned count = (insn->def->form == SOFT_FORM_RM_1 ? 1 : insn->imm) & (insn->op_bytes == 8 ? 63 : 31);
    struct soft_op *op;

    if (insn->is_memory) {
        return false;
    }
    if (insn->def->form == SOFT_FORM_RM_CL) {
        op = lower_emit(writer, insn, soft_op_shift_rc[row][log2_bytes]);
    } else if (count) {
        op = lower_emit(writer, insn, soft_op_shift_ri[row][log2_bytes]);
        op->imm = count;
    } else { /* nothing but a 32-bit register's upper half */
        op = lower_emit(writer, insn, soft_op_mov_rr[log2_bytes]);
        op->src = reg_offset(insn, insn->rm);
    }
    op->dst = reg_offset(insn, insn->rm);
    return true;
}

static bool lower_imul(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned log2_bytes = soft_log2(insn->op_bytes);
    bool has_imm = insn->def->form == SOFT_FORM_R_RM_IMM;
    struct soft_op *op;

    if (insn->is_memory && (has_imm || !memory_is_plain(writer, insn))) {
        return false;
    }
    if (insn->is_memory) {
        op = lower_memory(writer, insn, soft_op_imul_rm[log2_bytes], NULL);
    } else {
        op = lower_emit(writer, insn, has_imm ? soft_op_imul_rri[log2_bytes] : soft_op_imul_rr[log2_bytes]);
        op->src = OFFSET(insn->rm);
        op->imm = insn->imm;
    }
    op->dst = OFFSET(insn->reg);
    return true;
}

/* The stack's width if micro-operations can use it: 8, 4, or 0. */
static unsigned stack_bytes(const struct soft_writer *writer, const struct soft_insn *insn)
{
    if (writer->mode & SOFT_MODE_64) {
        return insn->op_bytes == 8 ? 8 : 0;
    }
    return (writer->mode & SOFT_MODE_FLAT) && (writer->mode & SOFT_MODE_STACK32) && insn->op_bytes == 4 ? 4 : 0;
}

/* `op` is a PUSH or POP of 64-bit code: if those before it were too, the first of them does it as well. */
static void lower_run(struct soft_writer *writer, struct soft_op *op, soft_op_fn *const *run)
{
    bool goes_on = writer->run_fns == run && writer->run + writer->run_count == op && writer->run_count < SOFT_RUN_MAX;

    if (op->dst == OFFSET(CPU_RSP)) {
        writer->run_fns = NULL;
        return;
    }
    if (!goes_on) {
        writer->run = op;
        writer->run_count = 0;
        writer->run_fns = run;
    }
    writer->run->fn = run[++writer->run_count];
}

static bool lower_push(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned bytes = stack_bytes(writer, insn);
    struct soft_op *op;

    if (bytes == 0 || (insn->is_memory && (bytes != 8 || !memory_is_plain(writer, insn)))) {
        return false;
    }
    if (insn->is_memory) {
        lower_memory(writer, insn, soft_op_push64_mem, NULL);
    } else if (insn->def->form == SOFT_FORM_IMM) {
        op = lower_emit(writer, insn, soft_op_push_imm[bytes == 8]);
        op->imm = insn->imm;
    } else {
        op = lower_emit(writer, insn, soft_op_push[bytes == 8]);
        op->dst = OFFSET(insn->rm);
        if (bytes == 8) {
            lower_run(writer, op, soft_op_push64_run);
        }
    }
    return true;
}

static bool lower_pop(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned bytes = stack_bytes(writer, insn);
    struct soft_op *op;

    if (bytes == 0 || insn->is_memory) {
        return false;
    }
    op = lower_emit(writer, insn, soft_op_pop[bytes == 8]);
    op->dst = OFFSET(insn->rm);
    if (bytes == 8) {
        lower_run(writer, op, soft_op_pop64_run);
    }
    return true;
}

static bool lower_leave(struct soft_writer *writer, const struct soft_insn *insn)
{
    if (stack_bytes(writer, insn) != 8) {
        return false;
    }
    lower_emit(writer, insn, soft_op_leave64);
    return true;
}

/* Nothing. What comes next stands for its bytes, too, should they change. */
static bool lower_nop(struct soft_writer *writer, const struct soft_insn *insn)
{
    writer->elided += insn->length;
    return true;
}

static bool lower_xchg(struct soft_writer *writer, const struct soft_insn *insn)
{
    struct soft_op *op;

    if (insn->def->form == SOFT_FORM_O_A && insn->reg == CPU_RAX) { /* 90: NOP, also for the upper half */
        return lower_nop(writer, insn);
    }
    op = lower_emit(writer, insn, soft_op_xchg_rr[soft_log2(insn->op_bytes)]);
    op->dst = reg_offset(insn, insn->rm);
    op->src = insn->def->form == SOFT_FORM_O_A ? OFFSET(CPU_RAX) : reg_offset(insn, insn->reg);
    return true;
}

static bool lower_cmov(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned condition = insn->opcode & 15, log2_bytes = soft_log2(insn->op_bytes);
    struct soft_op *op;

    if (insn->is_memory && !memory_is_plain(writer, insn)) {
        return false;
    }
    if (insn->is_memory) {
        op = lower_memory(writer, insn, soft_op_cmov_rm[condition][log2_bytes], NULL);
    } else {
        op = lower_emit(writer, insn, soft_op_cmov_rr[condition][log2_bytes]);
        op->src = OFFSET(insn->rm);
    }
    op->dst = OFFSET(insn->reg);
    return true;
}

static bool lower_setcc(struct soft_writer *writer, const struct soft_insn *insn)
{
    if (insn->is_memory) {
        return false;
    }
    lower_emit(writer, insn, soft_op_setcc_r[insn->opcode & 15])->dst = reg_offset(insn, insn->rm);
    return true;
}

/* MOVUPS, MOVAPS, MOVDQU, MOVDQA and their like with memory, known by their exec functions. */
static bool lower_vector_move(struct soft_writer *writer, const struct soft_insn *insn)
{
    soft_exec_fn *exec = insn->def->exec;
    bool aligned = exec == soft_sse_load_aligned || exec == soft_sse_store_aligned;
    bool loads = exec == soft_sse_load_aligned || exec == soft_sse_load_unaligned;
    bool stores = exec == soft_sse_store_aligned || exec == soft_sse_store_unaligned;
    struct memory_parts parts;
    struct soft_op *op;

    if (!(loads || stores) || !insn->is_memory || !(writer->mode & SOFT_MODE_64) || !memory_is_plain(writer, insn)) {
        return false;
    }
    parts = memory_parts(writer, insn);
    if (parts.prepare) {
        return false;
    }
    op = lower_emit(writer, insn, loads ? soft_op_vector_load[aligned] : soft_op_vector_store[aligned]);
    memory_set(op, &parts);
    op->dst = insn->reg;
    op->insn = insn;
    return true;
}

/* --- system instructions, known by their exec functions ----------------------------------------------------------- */

static bool lower_system(struct soft_writer *writer, const struct soft_insn *insn)
{
    soft_exec_fn *exec = insn->def->exec;
    soft_op_fn *fn = exec == soft_exec_cli                                       ? soft_op_cli
                     : exec == soft_exec_sti                                     ? soft_op_sti
                     : exec == soft_exec_swapgs                                  ? soft_op_swapgs
                     : exec == soft_exec_pushf && stack_bytes(writer, insn) == 8 ? soft_op_pushf64
                                                                                 : NULL;
    struct soft_op *op;

    if (!fn) {
        return false;
    }
    op = lower_emit(writer, insn, fn);
    op->insn = insn;
    writer->sti = fn == soft_op_sti ? op : NULL;
    return true;
}

/* --- LOCK --------------------------------------------------------------------------------------------------------- */

/* The micro-operation of an instruction that changes memory in one go; NULL: there is none. */
static soft_op_fn *lock_fn(const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind, log2_bytes = soft_log2(insn->op_bytes);

    switch (kind) {
    case SOFT_KIND_XCHG:
        return soft_op_xchg_m[log2_bytes];
    case SOFT_KIND_CMPXCHG:
        return soft_op_cmpxchg_m[insn->lock][log2_bytes];
    case SOFT_KIND_XADD:
        return soft_op_lock_xadd[log2_bytes];
    case SOFT_KIND_INC ... SOFT_KIND_NOT:
        return soft_op_lock_unary[kind - SOFT_KIND_INC][log2_bytes];
    case SOFT_KIND_ADD ... SOFT_KIND_TEST:
        return insn->def->form == SOFT_FORM_RM_R ? soft_op_lock_mr[kind - SOFT_KIND_ADD][log2_bytes]
                                                 : soft_op_lock_mi[kind - SOFT_KIND_ADD][log2_bytes];
    default:
        return NULL;
    }
}

/* With memory: LOCKed, or XCHG, or CMPXCHG; others have no micro-operation here. */
static bool lower_lock(struct soft_writer *writer, const struct soft_insn *insn)
{
    soft_op_fn *fn = lock_fn(insn);
    struct soft_op *op;

    if (!fn || !insn->is_memory || !memory_is_plain(writer, insn)) {
        return false;
    }
    op = lower_memory(writer, insn, fn, NULL);
    op->src = reg_offset(insn, insn->reg);
    op->insn = insn;
    return true;
}

/* --- branches ----------------------------------------------------------------------------------------------------- */

static bool lower_jcc(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned condition = insn->opcode & 15;
    soft_op_fn *fused = NULL;
    int64_t delta;

    if (!branch_delta(writer, insn, &delta)) {
        return false;
    }
    if (writer->last_comparison) {
        fused = soft_op_fused[writer->fused][writer->fused_log2][condition];
    }
    if (fused) {
        writer->last_comparison->fn = fused;
        writer->begun = true; /* the comparison's micro-operation is this instruction's, too */
    } else {
        lower_emit(writer, insn, soft_op_jcc[condition]);
    }
    lower_jump(writer, insn, delta);
    lower_jump(writer, insn, writer->pc + insn->length);
    return true;
}

static bool lower_jmp(struct soft_writer *writer, const struct soft_insn *insn)
{
    int64_t delta;

    if (!branch_delta(writer, insn, &delta)) {
        return false;
    }
    lower_jump(writer, insn, delta);
    return true;
}

static bool lower_call(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned bytes = stack_bytes(writer, insn);
    struct soft_op *call;
    int64_t delta;

    if (bytes == 0 || !branch_delta(writer, insn, &delta)) {
        return false;
    }
    call = lower_emit(writer, insn, soft_op_call[bytes == 8]);
    call->imm = writer->pc + insn->length;
    if (lower_jump(writer, insn, delta) && bytes == 8) {
        call->fn = soft_op_call64_far;
    }
    return true;
}

static bool lower_ret(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned bytes = stack_bytes(writer, insn);

    if (bytes == 0) {
        return false;
    }
    lower_emit(writer, insn, soft_op_ret[bytes == 8])->imm = insn->imm;
    writer->ended = true;
    return true;
}

static bool lower_indirect(struct soft_writer *writer, const struct soft_insn *insn, bool call)
{
    struct soft_op *op;

    if (!(writer->mode & SOFT_MODE_64) || (insn->is_memory && !memory_is_plain(writer, insn))) {
        return false;
    }
    if (insn->is_memory) {
        op = lower_memory(writer, insn, call ? soft_op_call_mem : soft_op_jump_mem, NULL);
    } else {
        op = lower_emit(writer, insn, call ? soft_op_call_reg : soft_op_jump_reg);
        op->dst = OFFSET(insn->rm);
    }
    op->imm = writer->pc + insn->length;
    writer->ended = true;
    return true;
}

/* --- the choice --------------------------------------------------------------------------------------------------- */

static bool lower_table(struct soft_writer *writer, const struct soft_insn *insn, soft_op_fn *fn)
{
    if (!fn) {
        return false;
    }
    lower_emit(writer, insn, fn);
    return true;
}

/* False: it has no micro-operations of its own in this form; nothing was written. */
static bool lower_hot(struct soft_writer *writer, const struct soft_insn *insn)
{
    unsigned kind = insn->def->kind;

    if (insn->lock || (kind == SOFT_KIND_XCHG && insn->is_memory)) {
        return lower_lock(writer, insn);
    }
    switch (kind) {
    case SOFT_KIND_ADD ... SOFT_KIND_TEST:
        return lower_alu(writer, insn);
    case SOFT_KIND_MOV:
        return lower_mov(writer, insn);
    case SOFT_KIND_MOVZX8 ... SOFT_KIND_MOVSXD:
        return lower_extend(writer, insn);
    case SOFT_KIND_LEA:
        return lower_lea(writer, insn);
    case SOFT_KIND_INC ... SOFT_KIND_NOT:
        return lower_unary(writer, insn);
    case SOFT_KIND_ROL ... SOFT_KIND_SAR:
        return lower_shift(writer, insn);
    case SOFT_KIND_IMUL2:
        return lower_imul(writer, insn);
    case SOFT_KIND_PUSH:
        return lower_push(writer, insn);
    case SOFT_KIND_POP:
        return lower_pop(writer, insn);
    case SOFT_KIND_XCHG:
        return lower_xchg(writer, insn);
    case SOFT_KIND_CMOV:
        return lower_cmov(writer, insn);
    case SOFT_KIND_SETCC:
        return lower_setcc(writer, insn);
    case SOFT_KIND_JCC:
        return lower_jcc(writer, insn);
    case SOFT_KIND_JMP:
        return lower_jmp(writer, insn);
    case SOFT_KIND_JMP_INDIRECT:
        return lower_indirect(writer, insn, false);
    case SOFT_KIND_CALL:
        return lower_call(writer, insn);
    case SOFT_KIND_CALL_INDIRECT:
        return lower_indirect(writer, insn, true);
    case SOFT_KIND_RET:
        return lower_ret(writer, insn);
    case SOFT_KIND_NOP:
        return lower_nop(writer, insn);
    case SOFT_KIND_LEAVE:
        return lower_leave(writer, insn);
    case SOFT_KIND_CDQ:
        return lower_table(writer, insn, soft_op_cdq[soft_log2(insn->op_bytes)]);
    case SOFT_KIND_CWDE:
        return lower_table(writer, insn, soft_op_cwde[soft_log2(insn->op_bytes)]);
    case SOFT_KIND_CMPXCHG:
        return lower_lock(writer, insn);
    default:
        return lower_system(writer, insn) || lower_vector_move(writer, insn);
    }
}

static void lower_exec(struct soft_writer *writer, const struct soft_insn *insn)
{
    bool ends = insn->def->flags & SOFT_ENDS;
    bool repeats = (insn->def->flags & SOFT_REP) && insn->rep;
    struct soft_op *op = lower_emit(writer, insn,
                                    ends      ? soft_op_exec_end
                                    : repeats ? soft_op_exec_repeat
                                              : soft_op_exec);

    op->insn = insn;
    writer->ended = ends;
}

void soft_lower(struct soft_writer *writer, const struct soft_insn *insn)
{
    struct soft_op *first = writer->at;

    writer->begun = false;
    writer->sti = NULL;
    writer->last_comparison = writer->comparison;
    writer->comparison = NULL;
    /* One instruction at a time: exec functions come back to the run loop after each. */
    if ((writer->mode & SOFT_MODE_ONE) || !lower_hot(writer, insn)) {
        lower_exec(writer, insn);
    }
    lower_flags(writer, insn, first);
    writer->pc += insn->length;
}

void soft_lower_end(struct soft_writer *writer)
{
    if (writer->ended) {
        return;
    }
    if (writer->sti) {
        writer->sti->fn = soft_op_exec_end;
    }
    writer->begun = !writer->elided; /* else the jump stands for what became nothing */
    if (writer->mode & SOFT_MODE_ONE) {
        lower_emit(writer, NULL, soft_op_one_done)->imm = writer->pc;
    } else {
        lower_jump(writer, NULL, writer->pc);
    }
}

void soft_lower_raise(struct soft_writer *writer, unsigned vector, bool with_error)
{
    struct soft_op *op;

    writer->begun = false;
    op = lower_emit(writer, NULL, soft_op_raise);
    op->imm = vector;
    op->disp = with_error;
    writer->ended = true;
}
