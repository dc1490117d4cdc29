/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See draft.h. Single-threaded. */
#include "draft.h"

#include <string.h>

#include "base/compiler.h"
#include "vcpu/soft/cpu.h"

enum { REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1 };

static bool is_64(const struct draft *draft)
{
    return draft->program->bits == 64;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static void draft_byte(struct draft *draft, unsigned byte)
{
    draft->program->code[draft->program->code_bytes++] = (uint8_t)byte;
}

static void draft_number(struct draft *draft, uint64_t value, unsigned size_bytes)
{
    memcpy(draft->program->code + draft->program->code_bytes, &value, size_bytes);
    draft->program->code_bytes += size_bytes;
}

static struct case_insn *draft_insn_begin(struct draft *draft, const struct soft_insn_def *def)
{
    struct case_program *program = draft->program;
    struct case_insn *insn = &program->insns[program->insn_count++];

    *insn = (struct case_insn){.def = def, .offset = (uint16_t)program->code_bytes, .joined = draft->joining};
    draft->joining = true;
    return insn;
}

static void draft_insn_end(struct draft *draft, struct case_insn *insn)
{
    insn->length = (uint8_t)(draft->program->code_bytes - insn->offset);
}

/* --- instructions that prepare ------------------------------------------------------------------------------------ */

void draft_set_register(struct draft *draft, unsigned reg, uint64_t value)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);
    bool wide = is_64(draft) && value > UINT32_MAX;

    if (wide || reg >= 8) {
        draft_byte(draft, 0x40 | (wide ? REX_W : 0) | (reg >= 8 ? REX_B : 0));
    }
    draft_byte(draft, 0xb8 | (reg & 7));
    draft_number(draft, value, wide ? 8 : 4);
    draft_insn_end(draft, insn);
}

void draft_push(struct draft *draft, uint64_t value)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);

    draft_byte(draft, 0x68);
    draft_number(draft, value, 4);
    draft_insn_end(draft, insn);
}

void draft_store(struct draft *draft, uint64_t address, uint64_t value)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);

    if (is_64(draft)) {
        draft_byte(draft, 0x40 | REX_W);
    }
    draft_byte(draft, 0xc7);
    draft_byte(draft, is_64(draft) ? 0x04 : 0x05);
    if (is_64(draft)) {
        draft_byte(draft, 0x25);
    }
    draft_number(draft, address, 4);
    draft_number(draft, value, 4);
    draft_insn_end(draft, insn);
}

void draft_set_cl(struct draft *draft, unsigned count)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);

    draft_byte(draft, 0xb1);
    draft_byte(draft, count);
    draft_insn_end(draft, insn);
}

void draft_compare_al(struct draft *draft)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);

    draft_byte(draft, 0x3c);
    draft_byte(draft, (unsigned)random_next(draft->random));
    draft_insn_end(draft, insn);
}

void draft_clear_c1(struct draft *draft)
{
    static const uint8_t codes[] = {0xf7, 0xf6};

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        struct case_insn *insn = draft_insn_begin(draft, NULL);

        draft_byte(draft, 0xd9);
        draft_byte(draft, codes[i]);
        draft_insn_end(draft, insn);
    }
}

void draft_break(struct draft *draft)
{
    struct case_insn *insn = draft_insn_begin(draft, NULL);

    draft_byte(draft, 0xcc);
    draft_insn_end(draft, insn);
}

/* --- prefixes and sizes ------------------------------------------------------------------------------------------- */

static void draft_choose_rep(struct draft *draft, const struct soft_insn_def *def, struct draft_insn *insn)
{
    if (def->prefix == SOFT_PREFIX_F2 || def->prefix == SOFT_PREFIX_F3) {
        insn->rep = def->prefix == SOFT_PREFIX_F2 ? 0xf2 : 0xf3;
    } else if (def->flags & SOFT_REP) {
        unsigned which = random_below(draft->random, 10);

        insn->rep = which < 4 ? 0xf3 : which < 6 ? 0xf2 : 0;
    } else if (def->kind == SOFT_KIND_RET && random_percent(draft->random, 5)) {
        insn->rep = 0xf3; /* says nothing; with other instructions the manual leaves it open (SDM 2, 2.1.1) */
    }
}

/* Most segments are flat; FS is null, and so is GS outside 64-bit mode. */
static void draft_choose_segment(struct draft *draft, struct draft_insn *insn)
{
    static const uint8_t bytes[] = {0x26, 0x2e, 0x36, 0x3e};

    if (random_percent(draft->random, 5)) {
        insn->segment_byte = bytes[random_below(draft->random, 4)];
    } else if (random_percent(draft->random, is_64(draft) ? 5 : 1)) {
        insn->segment_byte = 0x65;
    }
}

/* SDM 1, table 3-4 and 3-5. */
static void draft_size(struct draft *draft, struct draft_insn *insn)
{
    uint32_t flags = insn->def->flags;
    bool has_66 = insn->has_66 && insn->def->prefix != SOFT_PREFIX_66;

    insn->addr_bytes = is_64(draft) ? (insn->has_67 ? 4 : 8) : (insn->has_67 ? 2 : 4);
    if (flags & SOFT_BYTE) {
        insn->op_bytes = 1;
    } else if (!is_64(draft)) {
        insn->op_bytes = has_66 ? 2 : 4;
    } else if ((flags & SOFT_F64) || ((insn->rex & REX_W) && !(flags & SOFT_MODE_DEPENDS_NOT_ON_REXW))) {
        insn->op_bytes = 8;
    } else {
        insn->op_bytes = has_66 ? 2 : flags & SOFT_D64 ? 8 : 4;
    }
}

/* Whether 66 only makes operands smaller. */
static bool draft_may_have_66(const struct draft *draft, const struct soft_insn_def *def)
{
    if (def->prefix != SOFT_PREFIX_ANY && def->prefix != SOFT_PREFIX_NO_REP) {
        return false;
    }
    /* A near branch: Intel's CPUs ignore it, AMD's cut RIP. Elsewhere it cuts EIP, too, and code isn't there. */
    return !(def->flags & SOFT_F64);
}

void draft_begin(struct draft *draft, const struct soft_insn_def *def, struct draft_insn *insn)
{
    struct random *random = draft->random;

    *insn = (struct draft_insn){.def = def, .opcode = def->opcode};
    insn->has_66 = def->prefix == SOFT_PREFIX_66 || (draft_may_have_66(draft, def) && random_percent(random, 18));
    insn->has_67 = random_percent(random, is_64(draft) ? 6 : 2);
    insn->lock = random_percent(random, def->flags & SOFT_LOCKABLE ? 25 : 1) && random_percent(random, 90);
    draft_choose_rep(draft, def, insn);
    draft_choose_segment(draft, insn);
    if (strncmp(def->name, "maskmov", 7) == 0) {
        insn->segment_byte = 0; /* they are RDI's, too */
        insn->has_67 = false;
    }
    if (def->opcode_count > 1) {
        insn->opcode += random_below(random, def->opcode_count);
        if (def->opcode_count == 8 && (insn->opcode & 7) == CPU_RSP && random_percent(random, 90)) {
            insn->opcode ^= 1; /* the stack's pointer is worth keeping */
        }
    }
    if (is_64(draft)) {
        /* With an x87 environment, CPUs differ in which of 66 and REX.W wins. */
        insn->rex = random_percent(random, 35) && !(insn->has_66 && (def->flags & SOFT_X87)) ? REX_W : 0;
        insn->rex |= random_percent(random, 5) ? 0x40 : 0;
    }
    if (strcmp(def->name, "bswap") == 0 || def->kind == SOFT_KIND_MOVSXD) {
        insn->has_66 = false; /* of 16 bits it is undefined; reads 16 bits on Intel's CPUs and 32 on AMD's */
    }
    if (def->opcode == 0x90 && def->map == SOFT_MAP_1 && insn->rep == 0xf3 && def->opcode_count == 8) {
        insn->rep = 0; /* PAUSE is another */
    }
    draft_size(draft, insn);
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

uint64_t draft_data_address(struct draft *draft, unsigned size_bytes)
{
    struct random *random = draft->random;
    uint64_t base = case_slot_base(draft->program), align = size_bytes >= 16 ? 16 : MAX(size_bytes, 1u);
    unsigned where = random_below(random, 100);
    uint64_t offset;

    if (where < 3) {
        offset = SLOT_DATA + PAGE_BYTES - random_below(random, 16); /* crosses to the second page */
    } else if (where < 6) {
        offset = SLOT_READ_ONLY - random_below(random, 32); /* to the one that can't be written */
    } else if (where < 8) {
        offset = SLOT_READ_ONLY + PAGE_BYTES - random_below(random, 32); /* to nothing */
    } else if (where < 9) {
        offset = SLOT_DATA - random_below(random, 16);
    } else if (where < 10) {
        offset = SLOT_CODE + random_below(random, SLOT_CODE_BYTES);
    } else {
        offset = SLOT_DATA + 256 + random_below(random, SLOT_DATA_BYTES - 512);
    }
    if (random_percent(random, size_bytes >= 16 ? 93 : 60)) {
        offset &= ~(align - 1);
    }
    return base + offset;
}

static unsigned draft_register(struct draft *draft)
{
    unsigned reg = random_below(draft->random, is_64(draft) ? 16 : 8);

    /* The stack's pointer is worth keeping. */
    return reg == CPU_RSP && random_percent(draft->random, 90) ? CPU_RAX : reg;
}

/* What a memory operand of the instruction may take for base and index: not what others of its operands are. */
static bool draft_is_free(const struct draft_insn *insn, unsigned reg)
{
    if (reg == CPU_RSP || (insn->def->form == SOFT_FORM_RM_CL && reg == CPU_RCX)) {
        return false;
    }
    return reg != CPU_RDX || (strcmp(insn->def->name, "div") != 0 && strcmp(insn->def->name, "idiv") != 0);
}

static unsigned draft_free_register(struct draft *draft, const struct draft_insn *insn)
{
    unsigned reg;

    do {
        reg = random_below(draft->random, is_64(draft) ? 16 : 8);
    } while (!draft_is_free(insn, reg));
    return reg;
}

static void draft_set_rm(struct draft_insn *insn, unsigned mod, unsigned rm)
{
    insn->modrm = (uint8_t)((insn->modrm & 0x38) | mod << 6 | (rm & 7));
    insn->rex |= rm >= 8 ? REX_B : 0;
}

static void draft_set_sib(struct draft_insn *insn, unsigned mod, unsigned base, unsigned index, unsigned scale)
{
    draft_set_rm(insn, mod, 4);
    insn->has_sib = true;
    insn->sib = (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7));
    insn->rex |= (base >= 8 ? REX_B : 0) | (index >= 8 ? REX_X : 0);
}

static uint64_t draft_segment_base(const struct draft *draft, const struct draft_insn *insn)
{
    return insn->segment_byte == 0x65 && is_64(draft) ? CASE_GS_BASE : 0;
}

/* No base: an address in the instruction, or the distance from it. */
static void memory_absolute(struct draft *draft, struct draft_insn *insn, uint64_t address)
{
    insn->disp = address;
    insn->disp_bytes = 4;
    if (is_64(draft) && random_percent(draft->random, 60)) {
        draft_set_rm(insn, 0, 5);
        insn->rip_relative = true;
    } else if (is_64(draft)) {
        draft_set_sib(insn, 0, 5, 4, random_below(draft->random, 4));
    } else {
        draft_set_rm(insn, 0, 5);
    }
}

/* A base that is made to fit, perhaps with an index. */
static void memory_prepared(struct draft *draft, struct draft_insn *insn, uint64_t address)
{
    struct random *random = draft->random;
    unsigned base = draft_free_register(draft, insn), index = draft_free_register(draft, insn);
    unsigned mod = random_below(random, 3), scale = random_below(random, 4);
    bool has_index = index != base && random_percent(random, 40);
    uint64_t disp = (uint64_t)(int64_t)(int8_t)random_next(random);

    if (mod == 0 && (base & 7) == 5) {
        mod = 1;
    }
    disp = mod == 0 ? 0 : mod == 1 ? disp : (uint64_t)(int64_t)(int32_t)random_next(random);
    address -= disp;
    if (has_index) {
        uint64_t value = random_below(random, 64);

        draft_set_register(draft, index, value);
        address -= value << scale;
    }
    draft_set_register(draft, base, insn->addr_bytes == 8 ? address : (uint32_t)address);
    if (has_index || (base & 7) == 4) {
        draft_set_sib(insn, mod, base, has_index ? index : 4, scale);
    } else {
        draft_set_rm(insn, mod, base);
    }
    insn->disp = disp;
    insn->disp_bytes = mod == 0 ? 0 : mod == 1 ? 1 : 4;
}

static void memory_on_stack(struct draft *draft, struct draft_insn *insn)
{
    draft_set_sib(insn, 1, CPU_RSP, 4, random_below(draft->random, 4));
    insn->disp = random_next(draft->random) & 0xf8;
    insn->disp_bytes = 1;
}

/* Any addressing with whatever the registers hold. */
static void memory_wild(struct draft *draft, struct draft_insn *insn)
{
    unsigned mod = random_below(draft->random, 3), rm = random_below(draft->random, 8);

    if (insn->addr_bytes == 2) {
        draft_set_rm(insn, mod, rm);
        insn->disp_bytes = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
    } else {
        insn->rex |= is_64(draft) ? random_below(draft->random, 4) : 0;
        draft_set_rm(insn, mod, rm);
        insn->has_sib = rm == 4;
        insn->sib = (uint8_t)random_next(draft->random);
        insn->disp_bytes = mod == 1 ? 1 : mod == 2 || rm == 5 || (rm == 4 && (insn->sib & 7) == 5) ? 4 : 0;
    }
    insn->disp = random_next(draft->random);
}

static void draft_choose_memory(struct draft *draft, struct draft_insn *insn)
{
    unsigned size_bytes = insn->def->memory_bytes ? insn->def->memory_bytes : insn->op_bytes;
    uint64_t address = insn->aim ? insn->aim : draft_data_address(draft, size_bytes);
    unsigned which = insn->aim ? 14 + random_below(draft->random, 86) : random_below(draft->random, 100);

    address -= draft_segment_base(draft, insn);
    if (insn->addr_bytes == 2 || which < 8) {
        memory_wild(draft, insn);
    } else if (which < 14) {
        memory_on_stack(draft, insn);
    } else if (which < 28) {
        memory_absolute(draft, insn, address);
    } else {
        memory_prepared(draft, insn, address);
    }
}

/* BT and its like: a register's bit offset reaches far, so mostly it is made small. */
static void draft_prepare_bit(struct draft *draft, const struct draft_insn *insn)
{
    unsigned reg = ((insn->modrm >> 3) & 7) | (insn->rex & REX_R ? 8 : 0);

    if (insn->def->name[0] == 'b' && insn->def->name[1] == 't' && insn->def->form == SOFT_FORM_RM_R && reg != CPU_RSP &&
        random_percent(draft->random, 80)) {
        draft_set_register(draft, reg, random_below(draft->random, 300) - (uint64_t)100);
    }
}

/*
 * CMPXCHG of 32 bits with a register that isn't equal: Intel's manual has the register written back, and so its upper
 * half cleared; by AMD's it isn't written.
 */
static bool draft_needs_memory(const struct draft *draft, const struct draft_insn *insn)
{
    return insn->def->mod == SOFT_MOD_MEMORY ||
           (strcmp(insn->def->name, "cmpxchg") == 0 && insn->op_bytes == 4 && is_64(draft));
}

static void draft_choose_modrm(struct draft *draft, struct draft_insn *insn)
{
    const struct soft_insn_def *def = insn->def;
    bool may_be_memory = def->mod == SOFT_MOD_ANY && def->rm < 0;
    bool memory = draft_needs_memory(draft, insn) || (may_be_memory && random_percent(draft->random, 50));
    unsigned reg = def->ext >= 0 ? (unsigned)def->ext : draft_register(draft);

    insn->modrm = (uint8_t)((reg & 7) << 3);
    insn->rex |= reg >= 8 ? REX_R : 0;
    if (def->flags & SOFT_RM_REGISTER) {
        draft_set_rm(insn, random_below(draft->random, 4), draft_register(draft));
        insn->lock = false; /* CR8 on some of AMD's CPUs */
        return;
    }
    if (!memory) {
        draft_set_rm(insn, 3, def->rm >= 0 ? (unsigned)def->rm : draft_register(draft));
        return;
    }
    if (def->feature == SOFT_FEATURE_SHA) {
        /* Unaligned, they fault by Intel's manual, and not on AMD's CPUs. */
        insn->aim = (draft_data_address(draft, 16) & ~UINT64_C(15));
    }
    draft_prepare_bit(draft, insn);
    draft_choose_memory(draft, insn);
}

void draft_choose_operands(struct draft *draft, struct draft_insn *insn)
{
    if (insn->def->flags & SOFT_MODRM) {
        draft_choose_modrm(draft, insn);
        if (insn->modrm >= 0xc0 && random_percent(draft->random, 95)) {
            insn->lock = false; /* it would be undefined */
        }
    } else if (insn->def->opcode_count == 8 && is_64(draft) && random_percent(draft->random, 50)) {
        insn->rex |= REX_B;
    }
}

void draft_use_register(struct draft *draft, struct draft_insn *insn, unsigned reg)
{
    insn->modrm = (uint8_t)(insn->def->ext << 3);
    draft_set_rm(insn, 3, reg);
}

void draft_use_memory(struct draft *draft, struct draft_insn *insn, uint64_t address)
{
    insn->modrm = (uint8_t)(insn->def->ext << 3);
    insn->aim = address;
    if (!is_64(draft)) {
        insn->segment_byte = 0;
        insn->has_67 = false;
        draft_size(draft, insn);
    }
    draft_choose_memory(draft, insn);
}

/* --- immediates --------------------------------------------------------------------------------------------------- */

unsigned draft_immediate_bytes(const struct draft_insn *insn)
{
    switch (insn->def->imm) {
    case SOFT_IMM_8:
    case SOFT_IMM_8U:
        return 1;
    case SOFT_IMM_16:
        return 2;
    case SOFT_IMM_Z:
        return insn->op_bytes == 8 ? 4 : insn->op_bytes;
    case SOFT_IMM_V:
        return insn->op_bytes;
    case SOFT_IMM_ADDRESS:
        return insn->addr_bytes;
    case SOFT_IMM_ENTER:
        return 3;
    default:
        return 0;
    }
}

static uint64_t draft_immediate(struct draft *draft, const struct draft_insn *insn)
{
    uint64_t value = case_value(draft->random, draft->program);

    switch (insn->def->imm) {
    case SOFT_IMM_ADDRESS:
        return draft_data_address(draft, insn->op_bytes) - draft_segment_base(draft, insn);
    case SOFT_IMM_ENTER:
        return (value & 0xf8) | (uint64_t)random_below(draft->random, random_percent(draft->random, 90) ? 4 : 256)
                                    << 16;
    case SOFT_IMM_16:
        return random_percent(draft->random, 90) ? value & 0x18 : value; /* RET's */
    default:
        break;
    }
    if (insn->def->map == SOFT_MAP_0F && (insn->def->opcode & 0xf7) == 0xa4 && insn->op_bytes == 2) {
        return random_below(draft->random, 17); /* SHLD, SHRD: more is undefined */
    }
    return value;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void draft_emit_prefixes(struct draft *draft, const struct draft_insn *insn)
{
    uint8_t bytes[5];
    unsigned count = 0, turn;

    if (insn->has_66) {
        bytes[count++] = 0x66;
    }
    if (insn->has_67) {
        bytes[count++] = 0x67;
    }
    if (insn->lock) {
        bytes[count++] = 0xf0;
    }
    if (insn->rep) {
        bytes[count++] = insn->rep;
    }
    if (insn->segment_byte) {
        bytes[count++] = insn->segment_byte;
    }
    turn = random_below(draft->random, MAX(count, 1u)); /* their order says nothing */
    for (unsigned i = 0; i < count; i++) {
        draft_byte(draft, bytes[(i + turn) % count]);
    }
    if (insn->rex) {
        draft_byte(draft, 0x40 | insn->rex);
    }
}

static void draft_emit_opcode(struct draft *draft, const struct draft_insn *insn)
{
    if (insn->def->map != SOFT_MAP_1) {
        draft_byte(draft, 0x0f);
    }
    if (insn->def->map == SOFT_MAP_0F38 || insn->def->map == SOFT_MAP_0F3A) {
        draft_byte(draft, insn->def->map == SOFT_MAP_0F38 ? 0x38 : 0x3a);
    }
    draft_byte(draft, insn->opcode);
}

void draft_emit(struct draft *draft, const struct draft_insn *insn)
{
    unsigned imm_bytes = draft_immediate_bytes(insn);
    struct case_insn *made = draft_insn_begin(draft, insn->def);
    uint64_t disp = insn->disp;

    draft_emit_prefixes(draft, insn);
    draft_emit_opcode(draft, insn);
    if (insn->def->flags & SOFT_MODRM) {
        draft_byte(draft, insn->modrm);
        if (insn->has_sib) {
            draft_byte(draft, insn->sib);
        }
        if (insn->rip_relative) {
            disp -= case_code_base(draft->program) + draft->program->code_bytes + 4 + imm_bytes;
        }
        draft_number(draft, disp, insn->disp_bytes);
    }
    draft_number(draft, draft_immediate(draft, insn), imm_bytes);
    draft_insn_end(draft, made);
}
