/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder: bytes to struct soft_insn, driven by the tables of instructions (SDM 2, chapter 2 and appendix A). Pure;
 * it reads the bytes that it is given and nothing else, so a hostile guest can make it say "undefined", and no more.
 */
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"

enum {
    PREFIX_66 = 0x66,
    PREFIX_67 = 0x67,
    PREFIX_LOCK = 0xf0,
    PREFIX_REPNE = 0xf2,
    PREFIX_REP = 0xf3,
    REX_W = 8,
    REX_R = 4,
    REX_X = 2,
    REX_B = 1,
};

static const struct soft_insn_table *const soft_tables[] = {&soft_table_integer, &soft_table_system, &soft_table_x87,
                                                            &soft_table_sse};

/* For each opcode of each map, where its candidates begin in `candidates`, which ends each list with NULL. */
struct soft_decoder {
    const struct soft_insn_def **first[SOFT_MAP_COUNT][256];
    const struct soft_insn_def *candidates[];
};

void soft_insn_for_each(void (*fn)(const struct soft_insn_def *def, void *opaque), void *opaque)
{
    for (size_t t = 0; t < ARRAY_SIZE(soft_tables); t++) {
        for (size_t i = 0; i < soft_tables[t]->count; i++) {
            fn(&soft_tables[t]->defs[i], opaque);
        }
    }
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

static bool def_covers(const struct soft_insn_def *def, unsigned map, unsigned opcode)
{
    unsigned count = def->opcode_count ? def->opcode_count : 1;

    return def->map == map && opcode >= def->opcode && opcode < def->opcode + count;
}

/* Appends the definitions of one opcode; those for a certain prefix come before those for any. Returns how many. */
static size_t decoder_fill(const struct soft_insn_def **list, unsigned map, unsigned opcode)
{
    size_t count = 0;

    for (int any = 0; any < 2; any++) {
        for (size_t t = 0; t < ARRAY_SIZE(soft_tables); t++) {
            for (size_t i = 0; i < soft_tables[t]->count; i++) {
                const struct soft_insn_def *def = &soft_tables[t]->defs[i];

                if (def_covers(def, map, opcode) && (def->prefix == SOFT_PREFIX_ANY) == (any == 1)) {
                    if (list) {
                        list[count] = def;
                    }
                    count++;
                }
            }
        }
    }
    return count;
}

struct soft_decoder *soft_decoder_create(void)
{
    struct soft_decoder *decoder;
    size_t total = 0;

    for (unsigned map = 0; map < SOFT_MAP_COUNT; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            total += decoder_fill(NULL, map, opcode) + 1;
        }
    }
    decoder = calloc(1, sizeof(*decoder) + total * sizeof(decoder->candidates[0]));
    if (!decoder) {
        return NULL;
    }
    total = 0;
    for (unsigned map = 0; map < SOFT_MAP_COUNT; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            decoder->first[map][opcode] = &decoder->candidates[total];
            total += decoder_fill(&decoder->candidates[total], map, opcode) + 1;
        }
    }
    return decoder;
}

void soft_decoder_destroy(struct soft_decoder *decoder)
{
    free(decoder);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Where decoding stands. `at` may pass `len_bytes`: then the bytes ended. */
struct reader {
    const uint8_t *bytes;
    size_t at, len_bytes;
};

static uint64_t reader_take(struct reader *reader, unsigned size_bytes)
{
    uint64_t value = 0;

    if (reader->at + size_bytes <= reader->len_bytes) {
        memcpy(&value, reader->bytes + reader->at, size_bytes);
    }
    reader->at += size_bytes;
    return value;
}

static int64_t reader_take_signed(struct reader *reader, unsigned size_bytes)
{
    unsigned unused = 64 - 8 * size_bytes;

    return (int64_t)(reader_take(reader, size_bytes) << unused) >> unused;
}

static bool reader_ended(const struct reader *reader)
{
    return reader->at > reader->len_bytes;
}

/* What stood before the opcode. */
struct prefixes {
    bool has_66, has_67, lock;
    uint8_t rep, rex;
    uint8_t segment; /* SOFT_NO_REG: none */
};

/* One prefix byte; false if it is none. */
static bool prefix_take(struct prefixes *prefixes, uint8_t byte, uint32_t mode)
{
    bool is_64 = mode & SOFT_MODE_64;

    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        if (!is_64) { /* ES, CS, SS, DS: nothing in 64-bit mode */
            prefixes->segment = (byte >> 3) & 3;
        }
        return true;
    case 0x64:
    case 0x65:
        prefixes->segment = CPU_FS + (byte & 1);
        return true;
    case PREFIX_66:
        prefixes->has_66 = true;
        return true;
    case PREFIX_67:
        prefixes->has_67 = true;
        return true;
    case PREFIX_LOCK:
        prefixes->lock = true;
        return true;
    case PREFIX_REPNE:
    case PREFIX_REP:
        prefixes->rep = byte;
        return true;
    default:
        return false;
    }
}

/* Prefixes up to the opcode. A REX that something else follows means nothing. */
static void prefixes_read(struct reader *reader, struct prefixes *prefixes, uint32_t mode)
{
    prefixes->segment = SOFT_NO_REG;
    while (reader->at < reader->len_bytes) {
        uint8_t byte = reader->bytes[reader->at];

        if (prefix_take(prefixes, byte, mode)) {
            prefixes->rex = 0;
        } else if ((mode & SOFT_MODE_64) && (byte & 0xf0) == 0x40) {
            prefixes->rex = byte;
        } else {
            return;
        }
        reader->at++;
    }
}

static enum soft_map opcode_read(struct reader *reader, uint8_t *opcode)
{
    uint8_t escape;

    *opcode = reader_take(reader, 1);
    if (*opcode != 0x0f) {
        return SOFT_MAP_1;
    }
    *opcode = escape = reader_take(reader, 1);
    if (escape != 0x38 && escape != 0x3a) {
        return SOFT_MAP_0F;
    }
    *opcode = reader_take(reader, 1);
    return escape == 0x38 ? SOFT_MAP_0F38 : SOFT_MAP_0F3A;
}

/* --- choosing ----------------------------------------------------------------------------------------------------- */

static bool def_matches_prefix(const struct soft_insn_def *def, const struct prefixes *prefixes)
{
    switch (def->prefix) {
    case SOFT_PREFIX_NONE:
        return !prefixes->has_66 && !prefixes->rep;
    case SOFT_PREFIX_66:
        return prefixes->has_66 && !prefixes->rep;
    case SOFT_PREFIX_F3:
        return prefixes->rep == PREFIX_REP;
    case SOFT_PREFIX_F2:
        return prefixes->rep == PREFIX_REPNE;
    case SOFT_PREFIX_NO_REP:
        return !prefixes->rep;
    default:
        return true;
    }
}

static bool def_matches_modrm(const struct soft_insn_def *def, uint8_t modrm)
{
    bool is_register = modrm >= 0xc0;

    return (def->ext < 0 || def->ext == ((modrm >> 3) & 7)) && (def->rm < 0 || def->rm == (modrm & 7)) &&
           (def->mod == SOFT_MOD_ANY || (def->mod == SOFT_MOD_REGISTER) == is_register);
}

static bool def_matches_mode(const struct soft_insn_def *def, uint32_t mode)
{
    return !(def->flags & ((mode & SOFT_MODE_64) ? SOFT_NOT64 : SOFT_ONLY64)) &&
           (!(def->flags & SOFT_PROTECTED) || (mode & SOFT_MODE_PROTECTED));
}

static const struct soft_insn_def *def_choose(const struct soft_insn_def **candidates, const struct prefixes *prefixes,
                                              uint8_t modrm, uint32_t mode, const struct soft_features *features)
{
    for (; *candidates; candidates++) {
        const struct soft_insn_def *def = *candidates;

        if (def_matches_prefix(def, prefixes) && def_matches_mode(def, mode) && features->has[def->feature] &&
            (!(def->flags & SOFT_MODRM) || def_matches_modrm(def, modrm))) {
            return def;
        }
    }
    return NULL;
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

static uint8_t operand_bytes(const struct soft_insn_def *def, const struct prefixes *prefixes, uint32_t mode)
{
    bool has_66 = prefixes->has_66 && def->prefix != SOFT_PREFIX_66;

    if (def->flags & SOFT_BYTE) {
        return 1;
    }
    if (mode & SOFT_MODE_64) {
        if (def->flags & SOFT_F64) {
            return 8;
        }
        if ((prefixes->rex & REX_W) && !(def->flags & SOFT_MODE_DEPENDS_NOT_ON_REXW)) {
            return 8;
        }
        return has_66 ? 2 : (def->flags & SOFT_D64) ? 8 : 4;
    }
    return has_66 == !(mode & SOFT_MODE_32) ? 4 : 2;
}

static uint8_t address_bytes(const struct prefixes *prefixes, uint32_t mode)
{
    if (mode & SOFT_MODE_64) {
        return prefixes->has_67 ? 4 : 8;
    }
    return prefixes->has_67 == !(mode & SOFT_MODE_32) ? 4 : 2;
}

/* 16-bit addressing (SDM 2, table 2-1). */
static void memory_read_16(struct reader *reader, struct soft_insn *insn)
{
    static const uint8_t bases[8] = {CPU_RBX, CPU_RBX, CPU_RBP, CPU_RBP, CPU_RSI, CPU_RDI, CPU_RBP, CPU_RBX};
    static const uint8_t indices[4] = {CPU_RSI, CPU_RDI, CPU_RSI, CPU_RDI};
    unsigned mod = insn->modrm >> 6, rm = insn->modrm & 7;

    if (mod == 0 && rm == 6) {
        insn->disp = (uint16_t)reader_take(reader, 2);
        return;
    }
    insn->base = bases[rm];
    insn->index = rm < 4 ? indices[rm] : SOFT_NO_REG;
    if (mod != 0) {
        insn->disp = (int32_t)reader_take_signed(reader, mod == 1 ? 1 : 2);
    }
}

/* 32- and 64-bit addressing (SDM 2, tables 2-2 and 2-3). */
static void memory_read_32(struct reader *reader, struct soft_insn *insn, uint8_t rex, bool is_64)
{
    unsigned mod = insn->modrm >> 6, rm = insn->modrm & 7;
    bool no_base = mod == 0 && rm == 5;

    insn->base = rm | (rex & REX_B ? 8 : 0);
    if (rm == 4) {
        uint8_t sib = reader_take(reader, 1);

        insn->base = (sib & 7) | (rex & REX_B ? 8 : 0);
        insn->index = ((sib >> 3) & 7) | (rex & REX_X ? 8 : 0);
        insn->scale = sib >> 6;
        if (insn->index == CPU_RSP) {
            insn->index = SOFT_NO_REG;
        }
        no_base = mod == 0 && (sib & 7) == 5;
    } else if (no_base && is_64) {
        insn->rip_relative = true;
    }
    if (no_base) {
        insn->base = SOFT_NO_REG;
    }
    if (no_base || mod == 2) {
        insn->disp = (int32_t)reader_take(reader, 4);
    } else if (mod == 1) {
        insn->disp = (int32_t)reader_take_signed(reader, 1);
    }
}

static void modrm_read(struct reader *reader, struct soft_insn *insn, const struct prefixes *prefixes, uint32_t mode)
{
    insn->modrm = reader_take(reader, 1);
    insn->reg = ((insn->modrm >> 3) & 7) | (prefixes->rex & REX_R ? 8 : 0);
    insn->rm = (insn->modrm & 7) | (prefixes->rex & REX_B ? 8 : 0);
    insn->is_memory = insn->modrm < 0xc0 && !(insn->def->flags & SOFT_RM_REGISTER);
    if (!insn->is_memory) {
        return;
    }
    if (insn->addr_bytes == 2) {
        memory_read_16(reader, insn);
    } else {
        memory_read_32(reader, insn, prefixes->rex, mode & SOFT_MODE_64);
    }
}

static void immediate_read(struct reader *reader, struct soft_insn *insn)
{
    unsigned small = insn->op_bytes == 2 ? 2 : 4;

    switch (insn->def->imm) {
    case SOFT_IMM_8:
        insn->imm = reader_take_signed(reader, 1);
        break;
    case SOFT_IMM_8U:
        insn->imm = reader_take(reader, 1);
        break;
    case SOFT_IMM_16:
        insn->imm = reader_take(reader, 2);
        break;
    case SOFT_IMM_Z:
        insn->imm = reader_take_signed(reader, insn->op_bytes == 1 ? 1 : small);
        break;
    case SOFT_IMM_V:
        insn->imm = reader_take_signed(reader, insn->op_bytes);
        break;
    case SOFT_IMM_ADDRESS:
        insn->imm = reader_take(reader, insn->addr_bytes);
        break;
    case SOFT_IMM_FAR:
        insn->imm = reader_take(reader, small);
        insn->imm2 = reader_take(reader, 2);
        break;
    case SOFT_IMM_ENTER:
        insn->imm = reader_take(reader, 2);
        insn->imm2 = reader_take(reader, 1);
        break;
    default:
        break;
    }
}

static uint8_t segment_of(const struct soft_insn *insn, const struct prefixes *prefixes)
{
    bool on_stack = (insn->base == CPU_RBP || insn->base == CPU_RSP) && insn->is_memory;

    if (prefixes->segment != SOFT_NO_REG) {
        return prefixes->segment;
    }
    return on_stack ? CPU_SS : CPU_DS;
}

/*
 * MOV to and from a control or debug register: that there is none is #UD, before the privilege is looked at. LOCK
 * stands for CR8 with CR0, where the definition allows it (APM 3, "MOV CRn").
 */
static bool control_register_exists(const struct soft_insn *insn)
{
    static const uint16_t control = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8;

    if (insn->opcode & 1) {
        return insn->reg < 8 && !insn->lock;
    }
    return (control >> insn->reg & 1) && (!insn->lock || (insn->reg == 0 && (insn->def->flags & SOFT_LOCKABLE)));
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

/* Decodes what is there, which may be less than the instruction: the reader says so. False: undefined. */
static bool decode_all(const struct soft_decoder *decoder, struct reader *reader, uint32_t mode,
                       const struct soft_features *features, struct soft_insn *insn)
{
    struct prefixes prefixes = {0};
    enum soft_map map;
    size_t after_opcode;

    prefixes_read(reader, &prefixes, mode);
    map = opcode_read(reader, &insn->opcode);
    if (reader_ended(reader)) {
        return true;
    }
    after_opcode = reader->at;
    insn->addr_bytes = address_bytes(&prefixes, mode);
    insn->rex = prefixes.rex;
    insn->rep = prefixes.rep;
    insn->has_66 = prefixes.has_66;
    insn->lock = prefixes.lock;
    insn->segment_override = prefixes.segment != SOFT_NO_REG;
    insn->base = insn->index = SOFT_NO_REG;
    insn->def = def_choose(decoder->first[map][insn->opcode], &prefixes,
                           after_opcode < reader->len_bytes ? reader->bytes[after_opcode] : 0, mode, features);
    if (!insn->def) {
        /* Which instruction it is may depend on a byte that isn't there yet. */
        reader->at += after_opcode == reader->len_bytes && *decoder->first[map][insn->opcode];
        return false;
    }
    insn->op_bytes = operand_bytes(insn->def, &prefixes, mode);
    if (insn->def->flags & SOFT_MODRM) {
        modrm_read(reader, insn, &prefixes, mode);
    } else if (insn->def->opcode_count == 8) {
        insn->reg = insn->rm = (insn->opcode & 7) | (prefixes.rex & REX_B ? 8 : 0);
    }
    insn->segment = segment_of(insn, &prefixes);
    immediate_read(reader, insn);
    if (insn->def->flags & SOFT_RM_REGISTER) {
        return control_register_exists(insn);
    }
    return !insn->lock || ((insn->def->flags & SOFT_LOCKABLE) && insn->is_memory);
}

enum soft_decode_result soft_decode(const struct soft_decoder *decoder, const uint8_t *bytes, size_t len_bytes,
                                    uint32_t mode, const struct soft_features *features, struct soft_insn *insn)
{
    struct reader reader = {.bytes = bytes, .len_bytes = MIN(len_bytes, (size_t)SOFT_INSN_BYTES_MAX)};
    bool defined;

    *insn = (struct soft_insn){0};
    defined = decode_all(decoder, &reader, mode, features, insn);
    if (reader_ended(&reader)) {
        return len_bytes < SOFT_INSN_BYTES_MAX ? SOFT_DECODE_SHORT : SOFT_DECODE_TOO_LONG;
    }
    insn->length = (uint8_t)reader.at;
    return defined ? SOFT_DECODED : SOFT_DECODE_UNDEFINED;
}
