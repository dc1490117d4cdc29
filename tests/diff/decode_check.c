/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder against libzydis: random byte strings, biased towards prefixes and escapes, in 16-, 32- and 64-bit mode.
 * Both must agree whether it is an instruction, which one, how long, with which memory operand, immediate, operand and
 * address size, and which arithmetic flags it leaves undefined. Single-threaded; nothing is executed.
 *
 *   decode_check [--count N] [--seed N]       a string each; the status is 1 if any of them differs
 *
 * What libzydis takes from Intel's or AMD's manual alone is told apart in `is_excused`, each with its reason.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "random.h"
#include "vcpu/soft/cpu.h"
#include "zydis.h"

#define STRING_BYTES  16
#define REPORTS_MAX   1000
#define COUNT_DEFAULT 200000
#define ARITHMETIC                                                                                                     \
    (ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF)

/* A kind of difference, reported once. */
struct kind {
    const char *what;
    const struct soft_insn_def *def;
    ZydisMnemonic mnemonic;
};

struct check {
    struct kind kinds[REPORTS_MAX];
    unsigned kind_count;
    struct oracle oracle[3]; /* 16, 32, 64 bits */
    struct soft_decoder *decoder;
    struct soft_features features;
    struct random random;
    unsigned long differing, decoded;
};

/* One string in one mode, seen by both. */
struct comparison {
    const struct check *check;
    unsigned mode; /* 0..2 */
    uint8_t bytes[STRING_BYTES];
    enum soft_decode_result result;
    struct soft_insn insn;
    ZyanStatus status;
    struct oracle_insn theirs;
};

static const uint32_t check_modes[3] = {SOFT_MODE_PROTECTED, SOFT_MODE_PROTECTED | SOFT_MODE_32,
                                        SOFT_MODE_PROTECTED | SOFT_MODE_32 | SOFT_MODE_64};

/* --- strings ------------------------------------------------------------------------------------------------------ */

static void string_make(struct random *random, uint8_t bytes[STRING_BYTES])
{
    static const uint8_t prefixes[] = {0x66, 0xf3, 0xf2, 0x67, 0x66, 0xf3, 0xf2,
                                       0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned at = 0, count = random_percent(random, 60) ? random_below(random, 4) : 0;

    for (unsigned i = 0; i < STRING_BYTES; i += 8) {
        uint64_t value = random_next(random);

        memcpy(bytes + i, &value, 8);
    }
    if (random_percent(random, 1)) {
        count = random_below(random, 16); /* about as long as an instruction may be */
    }
    while (at < count) {
        bytes[at++] = prefixes[random_below(random, ARRAY_SIZE(prefixes))];
    }
    if (at < 12 && random_percent(random, 30)) {
        bytes[at++] = 0x40 | random_below(random, 16);
    }
    if (at < 12 && random_percent(random, 60)) {
        unsigned map = random_below(random, 10);

        bytes[at++] = 0x0f;
        if (map < 4) {
            bytes[at++] = map < 2 ? 0x38 : 0x3a;
        }
    }
}

/* --- differences -------------------------------------------------------------------------------------------------- */

/* Names under which libzydis has a definition's instruction, where it isn't the definition's name and more behind it.
 */
static const struct {
    const char *ours, *theirs;
} check_names[] = {
    {"cwde", "cbw"},
    {"cwde", "cdqe"},
    {"cdq", "cwd"},
    {"cdq", "cqo"},
    {"jcxz", "jecxz"},
    {"jcxz", "jrcxz"},
    {"cmpxchg8b", "cmpxchg16b"},
    {"xchg", "nop"},
    {"nop", "prefetcht0"},
    {"nop", "prefetcht1"},
    {"nop", "prefetcht2"},
    {"nop", "prefetchnta"},
    {"prefetchw", "prefetch"},
    {"prefetchw", "nop"},
    {"movd", "movq"},
    {"pextrd", "pextrq"},
    {"pinsrd", "pinsrq"},
    {"retf", "ret"},
};

static bool name_is_condition(const char *ours, const char *theirs)
{
    size_t stem = strlen(ours) - 2;

    return strlen(ours) > 2 && strcmp(ours + stem, "cc") == 0 && strncmp(ours, theirs, stem) == 0;
}

static bool name_matches(const char *ours, const char *theirs)
{
    for (size_t i = 0; i < ARRAY_SIZE(check_names); i++) {
        if (strcmp(check_names[i].ours, ours) == 0 && strcmp(check_names[i].theirs, theirs) == 0) {
            return true;
        }
    }
    return strncmp(ours, theirs, strlen(ours)) == 0 || name_is_condition(ours, theirs);
}

static uint8_t register_number(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE || reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP
               ? SOFT_NO_REG
               : (uint8_t)ZydisRegisterGetId(reg);
}

static const ZydisDecodedOperand *their_memory(const struct comparison *c)
{
    for (unsigned i = 0; i < c->theirs.insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &c->theirs.operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
            return operand;
        }
    }
    return NULL;
}

/* With mod 0 and a SIB byte whose base is 101 there is none, REX.B or not (SDM 2, table 2-3); libzydis 4.0 says R13D.
 */
static ZydisRegister memory_base(const struct comparison *c, const ZydisDecodedOperand *operand)
{
    bool has_none = c->insn.addr_bytes == 4 && c->insn.modrm >> 6 == 0 && (c->insn.modrm & 7) == 4 &&
                    operand->mem.base == ZYDIS_REGISTER_R13D;

    return has_none ? ZYDIS_REGISTER_NONE : operand->mem.base;
}

static const char *memory_difference(const struct comparison *c)
{
    const ZydisDecodedOperand *operand = their_memory(c);
    const struct soft_insn *insn = &c->insn;
    int64_t mask = insn->addr_bytes == 2 ? 0xffff : -1;

    if (!operand) {
        return NULL; /* a no-operation's */
    }
    if (!insn->is_memory) {
        return "memory or not";
    }
    if (insn->base != register_number(memory_base(c, operand)) || insn->index != register_number(operand->mem.index)) {
        return "base or index";
    }
    if (insn->index != SOFT_NO_REG && 1u << insn->scale != operand->mem.scale) {
        return "scale";
    }
    if ((insn->disp & mask) != (c->theirs.insn.raw.disp.value & mask)) {
        return "displacement";
    }
    if (insn->rip_relative != (operand->mem.base == ZYDIS_REGISTER_RIP || operand->mem.base == ZYDIS_REGISTER_EIP)) {
        return "RIP-relative";
    }
    /* An address without memory (LEA, INVLPG) has no segment. */
    if (operand->mem.type == ZYDIS_MEMOP_TYPE_MEM && insn->segment != ZydisRegisterGetId(operand->mem.segment)) {
        return "segment";
    }
    return NULL;
}

static const char *immediate_difference(const struct comparison *c)
{
    const struct soft_insn *insn = &c->insn;
    uint64_t theirs = c->theirs.insn.raw.imm[0].value.u;
    unsigned bits = c->theirs.insn.raw.imm[0].size;

    if (bits == 0) {
        return insn->def->imm == SOFT_IMM_NONE || insn->def->imm == SOFT_IMM_ADDRESS ? NULL : "immediate or not";
    }
    if (insn->def->imm == SOFT_IMM_FAR || insn->def->imm == SOFT_IMM_ENTER) {
        return insn->imm2 == (uint16_t)c->theirs.insn.raw.imm[1].value.u ? NULL : "second immediate";
    }
    return bits == 64 || !((insn->imm ^ theirs) & ((UINT64_C(1) << bits) - 1)) ? NULL : "immediate";
}

/* The arithmetic ones, which have the same bits as ours. */
static uint32_t their_undefined_flags(const struct comparison *c)
{
    return ZYAN_SUCCESS(c->status) && c->theirs.insn.cpu_flags ? c->theirs.insn.cpu_flags->undefined & ARITHMETIC : 0;
}

static const char *flags_difference(const struct comparison *c)
{
    uint32_t theirs = their_undefined_flags(c);

    if (c->insn.def->form == SOFT_FORM_RM_1) {
        theirs &= ~(uint32_t)ZYDIS_CPUFLAG_OF; /* theirs are those of any count */
    }
    if (c->theirs.insn.mnemonic == ZYDIS_MNEMONIC_SBB) {
        theirs = 0; /* both manuals: AF is set according to the result */
    }
    return theirs == c->insn.def->undefined_flags ? NULL : "undefined flags";
}

/* Only of instructions whose operands it is the size of: ours has its own idea for the rest, as libzydis has. */
static bool size_is_compared(const struct comparison *c)
{
    if (c->insn.def->kind == SOFT_KIND_NOP || c->theirs.insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        return false;
    }
    switch (c->theirs.insn.meta.category) {
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_X87_ALU:
    case ZYDIS_CATEGORY_FCMOV:
        return false;
    default:
        return c->theirs.insn.mnemonic != ZYDIS_MNEMONIC_XLAT;
    }
}

static const char *size_difference(const struct comparison *c)
{
    const struct soft_insn *insn = &c->insn;

    if (insn->addr_bytes * 8 != c->theirs.insn.address_width) {
        return "address size";
    }
    if (size_is_compared(c) && insn->op_bytes * 8 != c->theirs.insn.operand_width) {
        return "operand size";
    }
    return NULL;
}

static const char *decoded_difference(const struct comparison *c)
{
    const char *what;

    if (c->insn.length != c->theirs.insn.length) {
        return "length";
    }
    if (!name_matches(c->insn.def->name, ZydisMnemonicGetString(c->theirs.insn.mnemonic))) {
        return "name";
    }
    what = memory_difference(c);
    what = what ? what : immediate_difference(c);
    what = what ? what : size_difference(c);
    return what ? what : flags_difference(c);
}

/* Whether libzydis knows more, or less, for a reason. */
static bool is_excused(const struct comparison *c)
{
    if (c->result == SOFT_DECODED) {
        /* LOCK MOV CR0 is CR8 on some of AMD's CPUs. */
        if (c->insn.lock && (c->insn.def->flags & SOFT_RM_REGISTER)) {
            return true;
        }
        /* A register that there isn't (CS as a destination, CR1): for us that is the instruction's own matter. */
        return c->status == ZYDIS_STATUS_BAD_REGISTER;
    }
    if (ZYAN_FAILED(c->status)) {
        return false;
    }
    if (c->theirs.insn.mnemonic == ZYDIS_MNEMONIC_VMMCALL) {
        return true; /* behind a repetition prefix; the manuals don't say */
    }
    /* SALC is in neither manual; 0F 0D with a register is no-operation by Intel's and undefined on AMD's CPUs. */
    return c->theirs.insn.mnemonic == ZYDIS_MNEMONIC_SALC ||
           (c->theirs.insn.opcode_map == ZYDIS_OPCODE_MAP_0F && c->theirs.insn.opcode == 0x0d &&
            c->theirs.insn.mnemonic == ZYDIS_MNEMONIC_NOP);
}

/* NULL: they agree. */
static const char *difference(const struct comparison *c)
{
    bool theirs = ZYAN_SUCCESS(c->status) && oracle_is_known(&c->theirs);

    if (c->status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || c->result == SOFT_DECODE_TOO_LONG) {
        /* A prefix more, and nobody can tell: what is undefined may be too long as well. */
        return c->result == SOFT_DECODED || theirs ? "too long or not" : NULL;
    }
    if ((c->result == SOFT_DECODED) != theirs) {
        return is_excused(c) ? NULL : theirs ? "undefined" : "defined";
    }
    return theirs ? decoded_difference(c) : NULL;
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static void report(const struct comparison *c, const char *what)
{
    char text[128];

    oracle_format(&c->check->oracle[c->mode], c->bytes, STRING_BYTES, 0, text, sizeof(text));
    printf("%u bits:", 16u << c->mode);
    for (unsigned i = 0; i < STRING_BYTES; i++) {
        printf(" %02x", c->bytes[i]);
    }
    printf("\n    %s: %s, %u bytes, flags %x (libzydis: %s, %u bytes, flags %x)\n", what,
           c->result == SOFT_DECODED ? c->insn.def->name : "undefined", c->insn.length,
           c->result == SOFT_DECODED ? c->insn.def->undefined_flags : 0, text, c->theirs.insn.length,
           their_undefined_flags(c));
}

/* Whether this kind is new, and there is room for it. */
static bool kind_is_new(struct check *check, const struct comparison *c, const char *what)
{
    struct kind kind = {what, c->result == SOFT_DECODED ? c->insn.def : NULL,
                        ZYAN_SUCCESS(c->status) ? c->theirs.insn.mnemonic : ZYDIS_MNEMONIC_INVALID};

    for (unsigned i = 0; i < check->kind_count; i++) {
        const struct kind *old = &check->kinds[i];

        if (old->what == kind.what && old->def == kind.def && old->mnemonic == kind.mnemonic) {
            return false;
        }
    }
    if (check->kind_count == REPORTS_MAX) {
        return false;
    }
    check->kinds[check->kind_count++] = kind;
    return true;
}

static void check_one(struct check *check, struct comparison *c)
{
    const char *what;

    c->result = soft_decode(check->decoder, c->bytes, STRING_BYTES, check_modes[c->mode], &check->features, &c->insn);
    c->status = oracle_decode(&check->oracle[c->mode], c->bytes, STRING_BYTES, &c->theirs);
    check->decoded += c->result == SOFT_DECODED;
    what = difference(c);
    check->differing += what != NULL;
    if (what && kind_is_new(check, c, what)) {
        report(c, what);
    }
}

static void check_run(struct check *check, unsigned long count)
{
    struct comparison c = {.check = check};

    for (unsigned long i = 0; i < count; i++) {
        string_make(&check->random, c.bytes);
        c.mode = random_below(&check->random, 3);
        check_one(check, &c);
    }
}

int main(int argc, char **argv)
{
    static struct check check = {.random = {1}};
    unsigned long count = COUNT_DEFAULT;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--count") == 0) {
            count = strtoul(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            check.random.state = strtoull(argv[i + 1], NULL, 0);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        oracle_init(&check.oracle[i], 16u << i);
    }
    memset(check.features.has, true, sizeof(check.features.has));
    check.decoder = soft_decoder_create();
    if (!check.decoder) {
        return 1;
    }
    check_run(&check, count);
    soft_decoder_destroy(check.decoder);
    printf("%lu strings, %lu instructions, %lu differ\n", count, check.decoded, check.differing);
    return check.differing != 0;
}
