/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The integer instructions' definitions (SDM 2, appendix A), in the order of the opcode maps. Data only.
 */
#include "base/compiler.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/insn.h"

#define ALL_BUT_CF (RFLAGS_ARITHMETIC & ~RFLAGS_CF)
#define BUT_CF_OF  (RFLAGS_ARITHMETIC & ~(RFLAGS_CF | RFLAGS_OF))
#define BUT_ZF     (RFLAGS_ARITHMETIC & ~RFLAGS_ZF)

/* Any encoding of the one-byte map, then of the 0F map. */
#define ONE(op, nm, kd, fm, fl, fn)                                                                                    \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = op, .ext = -1, .rm = -1, .kind = SOFT_KIND_##kd,                      \
        .form = SOFT_FORM_##fm, .flags = fl, .exec = fn                                                                \
    }
#define ONE_IMM(op, nm, kd, fm, im, fl, fn)                                                                            \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = op, .ext = -1, .rm = -1, .kind = SOFT_KIND_##kd,                      \
        .form = SOFT_FORM_##fm, .imm = SOFT_IMM_##im, .flags = fl, .exec = fn                                          \
    }
#define GROUP(op, ex, nm, kd, fm, im, fl, fn)                                                                          \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = op, .ext = ex, .rm = -1, .kind = SOFT_KIND_##kd,                      \
        .form = SOFT_FORM_##fm, .imm = SOFT_IMM_##im, .flags = SOFT_MODRM | (fl), .exec = fn                           \
    }
#define TWO(op, nm, kd, fm, fl, fn)                                                                                    \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_0F, .opcode = op, .ext = -1, .rm = -1, .kind = SOFT_KIND_##kd,                     \
        .form = SOFT_FORM_##fm, .flags = fl, .exec = fn                                                                \
    }

/* The six forms of an operation whose opcodes begin at `op`. */
#define ALU(op, nm, kd, locks, undefined)                                                                              \
    {.name = nm,                                                                                                       \
     .map = SOFT_MAP_1,                                                                                                \
     .opcode = op,                                                                                                     \
     .ext = -1,                                                                                                        \
     .rm = -1,                                                                                                         \
     .kind = SOFT_KIND_##kd,                                                                                           \
     .form = SOFT_FORM_RM_R,                                                                                           \
     .flags = SOFT_MODRM | SOFT_BYTE | (locks),                                                                        \
     .undefined_flags = undefined,                                                                                     \
     .exec = soft_exec_alu},                                                                                           \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = op + 1,                                                                                             \
         .ext = -1,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_R,                                                                                       \
         .flags = SOFT_MODRM | (locks),                                                                                \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = op + 2,                                                                                             \
         .ext = -1,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_R_RM,                                                                                       \
         .flags = SOFT_MODRM | SOFT_BYTE,                                                                              \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = op + 3,                                                                                             \
         .ext = -1,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_R_RM,                                                                                       \
         .flags = SOFT_MODRM,                                                                                          \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = op + 4,                                                                                             \
         .ext = -1,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_A_IMM,                                                                                      \
         .imm = SOFT_IMM_Z,                                                                                            \
         .flags = SOFT_BYTE,                                                                                           \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = op + 5, .ext = -1, .rm = -1, .kind = SOFT_KIND_##kd,                  \
        .form = SOFT_FORM_A_IMM, .imm = SOFT_IMM_Z, .undefined_flags = undefined, .exec = soft_exec_alu                \
    }

/* Group 1: the same operations with an immediate. */
#define ALU_GROUP(ex, nm, kd, locks, undefined)                                                                        \
    {.name = nm,                                                                                                       \
     .map = SOFT_MAP_1,                                                                                                \
     .opcode = 0x80,                                                                                                   \
     .ext = ex,                                                                                                        \
     .rm = -1,                                                                                                         \
     .kind = SOFT_KIND_##kd,                                                                                           \
     .form = SOFT_FORM_RM_IMM,                                                                                         \
     .imm = SOFT_IMM_8,                                                                                                \
     .flags = SOFT_MODRM | SOFT_BYTE | (locks),                                                                        \
     .undefined_flags = undefined,                                                                                     \
     .exec = soft_exec_alu},                                                                                           \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0x81,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_IMM,                                                                                     \
         .imm = SOFT_IMM_Z,                                                                                            \
         .flags = SOFT_MODRM | (locks),                                                                                \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0x82,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_IMM,                                                                                     \
         .imm = SOFT_IMM_8,                                                                                            \
         .flags = SOFT_MODRM | SOFT_BYTE | SOFT_NOT64 | (locks),                                                       \
         .undefined_flags = undefined,                                                                                 \
         .exec = soft_exec_alu},                                                                                       \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = 0x83, .ext = ex, .rm = -1, .kind = SOFT_KIND_##kd,                    \
        .form = SOFT_FORM_RM_IMM, .imm = SOFT_IMM_8, .flags = SOFT_MODRM | (locks), .undefined_flags = undefined,      \
        .exec = soft_exec_alu                                                                                          \
    }

/* Group 2: shifts and rotates; OF is defined for counts of 1 only, AF never after a shift. */
#define SHIFT_GROUP(ex, nm, kd, fn, undefined)                                                                         \
    {.name = nm,                                                                                                       \
     .map = SOFT_MAP_1,                                                                                                \
     .opcode = 0xc0,                                                                                                   \
     .ext = ex,                                                                                                        \
     .rm = -1,                                                                                                         \
     .kind = SOFT_KIND_##kd,                                                                                           \
     .form = SOFT_FORM_RM_IMM,                                                                                         \
     .imm = SOFT_IMM_8U,                                                                                               \
     .flags = SOFT_MODRM | SOFT_BYTE,                                                                                  \
     .undefined_flags = (undefined) | RFLAGS_OF,                                                                       \
     .exec = fn},                                                                                                      \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0xc1,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_IMM,                                                                                     \
         .imm = SOFT_IMM_8U,                                                                                           \
         .flags = SOFT_MODRM,                                                                                          \
         .undefined_flags = (undefined) | RFLAGS_OF,                                                                   \
         .exec = fn},                                                                                                  \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0xd0,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_1,                                                                                       \
         .flags = SOFT_MODRM | SOFT_BYTE,                                                                              \
         .undefined_flags = undefined,                                                                                 \
         .exec = fn},                                                                                                  \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0xd1,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_1,                                                                                       \
         .flags = SOFT_MODRM,                                                                                          \
         .undefined_flags = undefined,                                                                                 \
         .exec = fn},                                                                                                  \
        {.name = nm,                                                                                                   \
         .map = SOFT_MAP_1,                                                                                            \
         .opcode = 0xd2,                                                                                               \
         .ext = ex,                                                                                                    \
         .rm = -1,                                                                                                     \
         .kind = SOFT_KIND_##kd,                                                                                       \
         .form = SOFT_FORM_RM_CL,                                                                                      \
         .flags = SOFT_MODRM | SOFT_BYTE,                                                                              \
         .undefined_flags = (undefined) | RFLAGS_OF,                                                                   \
         .exec = fn},                                                                                                  \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_1, .opcode = 0xd3, .ext = ex, .rm = -1, .kind = SOFT_KIND_##kd,                    \
        .form = SOFT_FORM_RM_CL, .flags = SOFT_MODRM, .undefined_flags = (undefined) | RFLAGS_OF, .exec = fn           \
    }

/* A string instruction of bytes at op, of words and more at op + 1. */
#define STRING(op, nm, fn) ONE(op, nm, EXEC, NONE, SOFT_BYTE | SOFT_REP, fn), ONE(op + 1, nm, EXEC, NONE, SOFT_REP, fn)

/* Bit test with a register, and in group 8 with an immediate. */
#define BIT_TEST(op, ex, nm, locks)                                                                                    \
    {.name = nm,                                                                                                       \
     .map = SOFT_MAP_0F,                                                                                               \
     .opcode = op,                                                                                                     \
     .ext = -1,                                                                                                        \
     .rm = -1,                                                                                                         \
     .form = SOFT_FORM_RM_R,                                                                                           \
     .flags = SOFT_MODRM | (locks),                                                                                    \
     .undefined_flags = ALL_BUT_CF & ~RFLAGS_ZF,                                                                       \
     .exec = soft_exec_bt},                                                                                            \
    {                                                                                                                  \
        .name = nm, .map = SOFT_MAP_0F, .opcode = 0xba, .ext = ex, .rm = -1, .form = SOFT_FORM_RM_IMM,                 \
        .imm = SOFT_IMM_8U, .flags = SOFT_MODRM | (locks), .undefined_flags = ALL_BUT_CF & ~RFLAGS_ZF,                 \
        .exec = soft_exec_bt                                                                                           \
    }

#define TEST(op, ex, fm, im, fl)                                                                                       \
    {                                                                                                                  \
        .name = "test", .map = SOFT_MAP_1, .opcode = op, .ext = ex, .rm = -1, .kind = SOFT_KIND_TEST,                  \
        .form = SOFT_FORM_##fm, .imm = SOFT_IMM_##im, .flags = fl, .undefined_flags = RFLAGS_AF, .exec = soft_exec_alu \
    }

static const struct soft_insn_def defs[] = {
    ALU(0x00, "add", ADD, SOFT_LOCKABLE, 0),
    ALU(0x08, "or", OR, SOFT_LOCKABLE, RFLAGS_AF),
    ALU(0x10, "adc", ADC, SOFT_LOCKABLE, 0),
    ALU(0x18, "sbb", SBB, SOFT_LOCKABLE, 0),
    ALU(0x20, "and", AND, SOFT_LOCKABLE, RFLAGS_AF),
    ALU(0x28, "sub", SUB, SOFT_LOCKABLE, 0),
    ALU(0x30, "xor", XOR, SOFT_LOCKABLE, RFLAGS_AF),
    ALU(0x38, "cmp", CMP, 0, 0),
    ALU_GROUP(0, "add", ADD, SOFT_LOCKABLE, 0),
    ALU_GROUP(1, "or", OR, SOFT_LOCKABLE, RFLAGS_AF),
    ALU_GROUP(2, "adc", ADC, SOFT_LOCKABLE, 0),
    ALU_GROUP(3, "sbb", SBB, SOFT_LOCKABLE, 0),
    ALU_GROUP(4, "and", AND, SOFT_LOCKABLE, RFLAGS_AF),
    ALU_GROUP(5, "sub", SUB, SOFT_LOCKABLE, 0),
    ALU_GROUP(6, "xor", XOR, SOFT_LOCKABLE, RFLAGS_AF),
    ALU_GROUP(7, "cmp", CMP, 0, 0),

    {.name = "daa",
     .map = SOFT_MAP_1,
     .opcode = 0x27,
     .ext = -1,
     .rm = -1,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF,
     .exec = soft_exec_bcd},
    {.name = "das",
     .map = SOFT_MAP_1,
     .opcode = 0x2f,
     .ext = -1,
     .rm = -1,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF,
     .exec = soft_exec_bcd},
    {.name = "aaa",
     .map = SOFT_MAP_1,
     .opcode = 0x37,
     .ext = -1,
     .rm = -1,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF,
     .exec = soft_exec_bcd},
    {.name = "aas",
     .map = SOFT_MAP_1,
     .opcode = 0x3f,
     .ext = -1,
     .rm = -1,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF,
     .exec = soft_exec_bcd},
    {.name = "aam",
     .map = SOFT_MAP_1,
     .opcode = 0xd4,
     .ext = -1,
     .rm = -1,
     .imm = SOFT_IMM_8U,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF | RFLAGS_AF | RFLAGS_CF,
     .exec = soft_exec_aam},
    {.name = "aad",
     .map = SOFT_MAP_1,
     .opcode = 0xd5,
     .ext = -1,
     .rm = -1,
     .imm = SOFT_IMM_8U,
     .flags = SOFT_NOT64,
     .undefined_flags = RFLAGS_OF | RFLAGS_AF | RFLAGS_CF,
     .exec = soft_exec_aad},

    /* 40..4F: INC and DEC of a register; REX prefixes in 64-bit mode. */
    {.name = "inc",
     .map = SOFT_MAP_1,
     .opcode = 0x40,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_INC,
     .form = SOFT_FORM_O,
     .flags = SOFT_NOT64,
     .exec = soft_exec_unary},
    {.name = "dec",
     .map = SOFT_MAP_1,
     .opcode = 0x48,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_DEC,
     .form = SOFT_FORM_O,
     .flags = SOFT_NOT64,
     .exec = soft_exec_unary},
    {.name = "push",
     .map = SOFT_MAP_1,
     .opcode = 0x50,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_PUSH,
     .form = SOFT_FORM_O,
     .flags = SOFT_D64,
     .exec = soft_exec_push},
    {.name = "pop",
     .map = SOFT_MAP_1,
     .opcode = 0x58,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_POP,
     .form = SOFT_FORM_O,
     .flags = SOFT_D64,
     .exec = soft_exec_pop},
    ONE(0x60, "pusha", EXEC, NONE, SOFT_NOT64, soft_exec_pusha),
    ONE(0x61, "popa", EXEC, NONE, SOFT_NOT64, soft_exec_popa),
    ONE(0x63, "movsxd", MOVSXD, R_RM, SOFT_MODRM | SOFT_ONLY64, soft_exec_extend),
    ONE_IMM(0x68, "push", PUSH, IMM, Z, SOFT_D64, soft_exec_push),
    {.name = "imul",
     .map = SOFT_MAP_1,
     .opcode = 0x69,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_IMUL2,
     .form = SOFT_FORM_R_RM_IMM,
     .imm = SOFT_IMM_Z,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_imul2},
    ONE_IMM(0x6a, "push", PUSH, IMM, 8, SOFT_D64, soft_exec_push),
    {.name = "imul",
     .map = SOFT_MAP_1,
     .opcode = 0x6b,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_IMUL2,
     .form = SOFT_FORM_R_RM_IMM,
     .imm = SOFT_IMM_8,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_imul2},
    {.name = "jcc",
     .map = SOFT_MAP_1,
     .opcode = 0x70,
     .opcode_count = 16,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_JCC,
     .imm = SOFT_IMM_8,
     .flags = SOFT_F64 | SOFT_ENDS,
     .exec = soft_exec_jcc},

    TEST(0x84, -1, RM_R, NONE, SOFT_MODRM | SOFT_BYTE),
    TEST(0x85, -1, RM_R, NONE, SOFT_MODRM),
    ONE(0x86, "xchg", XCHG, RM_R, SOFT_MODRM | SOFT_BYTE | SOFT_LOCKABLE, soft_exec_xchg),
    ONE(0x87, "xchg", XCHG, RM_R, SOFT_MODRM | SOFT_LOCKABLE, soft_exec_xchg),
    ONE(0x88, "mov", MOV, RM_R, SOFT_MODRM | SOFT_BYTE, soft_exec_mov),
    ONE(0x89, "mov", MOV, RM_R, SOFT_MODRM, soft_exec_mov),
    ONE(0x8a, "mov", MOV, R_RM, SOFT_MODRM | SOFT_BYTE, soft_exec_mov),
    ONE(0x8b, "mov", MOV, R_RM, SOFT_MODRM, soft_exec_mov),
    {.name = "lea",
     .map = SOFT_MAP_1,
     .opcode = 0x8d,
     .ext = -1,
     .rm = -1,
     .mod = SOFT_MOD_MEMORY,
     .kind = SOFT_KIND_LEA,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_lea},
    GROUP(0x8f, 0, "pop", POP, RM, NONE, SOFT_D64, soft_exec_pop),

    {.name = "xchg",
     .map = SOFT_MAP_1,
     .opcode = 0x90,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_XCHG,
     .form = SOFT_FORM_O_A,
     .exec = soft_exec_xchg},
    {.name = "pause",
     .map = SOFT_MAP_1,
     .opcode = 0x90,
     .prefix = SOFT_PREFIX_F3,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_NOP,
     .exec = soft_exec_nop},
    ONE(0x98, "cwde", CWDE, NONE, 0, soft_exec_cwde),
    ONE(0x99, "cdq", CDQ, NONE, 0, soft_exec_cdq),
    ONE_IMM(0xa0, "mov", MOV, A_MOFFS, ADDRESS, SOFT_BYTE, soft_exec_mov),
    ONE_IMM(0xa1, "mov", MOV, A_MOFFS, ADDRESS, 0, soft_exec_mov),
    ONE_IMM(0xa2, "mov", MOV, MOFFS_A, ADDRESS, SOFT_BYTE, soft_exec_mov),
    ONE_IMM(0xa3, "mov", MOV, MOFFS_A, ADDRESS, 0, soft_exec_mov),
    STRING(0xa4, "movs", soft_exec_movs),
    STRING(0xa6, "cmps", soft_exec_cmps),
    TEST(0xa8, -1, A_IMM, Z, SOFT_BYTE),
    TEST(0xa9, -1, A_IMM, Z, 0),
    STRING(0xaa, "stos", soft_exec_stos),
    STRING(0xac, "lods", soft_exec_lods),
    STRING(0xae, "scas", soft_exec_scas),
    {.name = "mov",
     .map = SOFT_MAP_1,
     .opcode = 0xb0,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_MOV,
     .form = SOFT_FORM_O_IMM,
     .imm = SOFT_IMM_8U,
     .flags = SOFT_BYTE,
     .exec = soft_exec_mov},
    {.name = "mov",
     .map = SOFT_MAP_1,
     .opcode = 0xb8,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_MOV,
     .form = SOFT_FORM_O_IMM,
     .imm = SOFT_IMM_V,
     .exec = soft_exec_mov},

    SHIFT_GROUP(0, "rol", ROL, soft_exec_shift, 0),
    SHIFT_GROUP(1, "ror", ROR, soft_exec_shift, 0),
    SHIFT_GROUP(2, "rcl", EXEC, soft_exec_rcl, 0),
    SHIFT_GROUP(3, "rcr", EXEC, soft_exec_rcr, 0),
    SHIFT_GROUP(4, "shl", SHL, soft_exec_shift, RFLAGS_AF),
    SHIFT_GROUP(5, "shr", SHR, soft_exec_shift, RFLAGS_AF),
    SHIFT_GROUP(6, "shl", SHL, soft_exec_shift, RFLAGS_AF),
    SHIFT_GROUP(7, "sar", SAR, soft_exec_shift, RFLAGS_AF),
    ONE_IMM(0xc2, "ret", RET, NONE, 16, SOFT_F64 | SOFT_ENDS, soft_exec_ret),
    ONE(0xc3, "ret", RET, NONE, SOFT_F64 | SOFT_ENDS, soft_exec_ret),
    GROUP(0xc6, 0, "mov", MOV, RM_IMM, 8, SOFT_BYTE, soft_exec_mov),
    GROUP(0xc7, 0, "mov", MOV, RM_IMM, Z, 0, soft_exec_mov),
    ONE(0xc9, "leave", LEAVE, NONE, SOFT_D64, soft_exec_leave),
    ONE(0xd7, "xlat", EXEC, NONE, SOFT_BYTE, soft_exec_xlat),
    ONE_IMM(0xe0, "loopne", EXEC, NONE, 8, SOFT_F64 | SOFT_ENDS, soft_exec_loop),
    ONE_IMM(0xe1, "loope", EXEC, NONE, 8, SOFT_F64 | SOFT_ENDS, soft_exec_loop),
    ONE_IMM(0xe2, "loop", EXEC, NONE, 8, SOFT_F64 | SOFT_ENDS, soft_exec_loop),
    ONE_IMM(0xe3, "jcxz", EXEC, NONE, 8, SOFT_F64 | SOFT_ENDS, soft_exec_jcxz),
    ONE_IMM(0xe8, "call", CALL, NONE, Z, SOFT_F64 | SOFT_ENDS, soft_exec_call),
    ONE_IMM(0xe9, "jmp", JMP, NONE, Z, SOFT_F64 | SOFT_ENDS, soft_exec_jmp),
    ONE_IMM(0xeb, "jmp", JMP, NONE, 8, SOFT_F64 | SOFT_ENDS, soft_exec_jmp),
    ONE(0xf5, "cmc", EXEC, NONE, 0, soft_exec_flag),
    ONE(0xf8, "clc", EXEC, NONE, 0, soft_exec_flag),
    ONE(0xf9, "stc", EXEC, NONE, 0, soft_exec_flag),
    ONE(0xfc, "cld", EXEC, NONE, 0, soft_exec_flag),
    ONE(0xfd, "std", EXEC, NONE, 0, soft_exec_flag),

    /* Groups 3, 4 and 5. */
    TEST(0xf6, 0, RM_IMM, 8, SOFT_MODRM | SOFT_BYTE),
    TEST(0xf6, 1, RM_IMM, 8, SOFT_MODRM | SOFT_BYTE),
    GROUP(0xf6, 2, "not", NOT, RM, NONE, SOFT_BYTE | SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xf6, 3, "neg", NEG, RM, NONE, SOFT_BYTE | SOFT_LOCKABLE, soft_exec_unary),
    {.name = "mul",
     .map = SOFT_MAP_1,
     .opcode = 0xf6,
     .ext = 4,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_BYTE,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_mul},
    {.name = "imul",
     .map = SOFT_MAP_1,
     .opcode = 0xf6,
     .ext = 5,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_BYTE,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_imul1},
    {.name = "div",
     .map = SOFT_MAP_1,
     .opcode = 0xf6,
     .ext = 6,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_BYTE,
     .undefined_flags = RFLAGS_ARITHMETIC,
     .exec = soft_exec_div},
    {.name = "idiv",
     .map = SOFT_MAP_1,
     .opcode = 0xf6,
     .ext = 7,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_BYTE,
     .undefined_flags = RFLAGS_ARITHMETIC,
     .exec = soft_exec_idiv},
    TEST(0xf7, 0, RM_IMM, Z, SOFT_MODRM),
    TEST(0xf7, 1, RM_IMM, Z, SOFT_MODRM),
    GROUP(0xf7, 2, "not", NOT, RM, NONE, SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xf7, 3, "neg", NEG, RM, NONE, SOFT_LOCKABLE, soft_exec_unary),
    {.name = "mul",
     .map = SOFT_MAP_1,
     .opcode = 0xf7,
     .ext = 4,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_mul},
    {.name = "imul",
     .map = SOFT_MAP_1,
     .opcode = 0xf7,
     .ext = 5,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_imul1},
    {.name = "div",
     .map = SOFT_MAP_1,
     .opcode = 0xf7,
     .ext = 6,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_ARITHMETIC,
     .exec = soft_exec_div},
    {.name = "idiv",
     .map = SOFT_MAP_1,
     .opcode = 0xf7,
     .ext = 7,
     .rm = -1,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_ARITHMETIC,
     .exec = soft_exec_idiv},
    GROUP(0xfe, 0, "inc", INC, RM, NONE, SOFT_BYTE | SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xfe, 1, "dec", DEC, RM, NONE, SOFT_BYTE | SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xff, 0, "inc", INC, RM, NONE, SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xff, 1, "dec", DEC, RM, NONE, SOFT_LOCKABLE, soft_exec_unary),
    GROUP(0xff, 2, "call", CALL_INDIRECT, RM, NONE, SOFT_F64 | SOFT_ENDS, soft_exec_call_indirect),
    GROUP(0xff, 4, "jmp", JMP_INDIRECT, RM, NONE, SOFT_F64 | SOFT_ENDS, soft_exec_jmp_indirect),
    GROUP(0xff, 6, "push", PUSH, RM, NONE, SOFT_D64, soft_exec_push),

    /* --- 0F --- */
    {.name = "prefetchw", /* with a register, #UD on AMD's CPUs and undocumented on Intel's */
     .map = SOFT_MAP_0F,
     .opcode = 0x0d,
     .ext = -1,
     .rm = -1,
     .mod = SOFT_MOD_MEMORY,
     .kind = SOFT_KIND_NOP,
     .flags = SOFT_MODRM,
     .exec = soft_exec_nop},
    {.name = "nop",
     .map = SOFT_MAP_0F,
     .opcode = 0x18,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_NOP,
     .flags = SOFT_MODRM,
     .exec = soft_exec_nop},
    {.name = "cmovcc",
     .map = SOFT_MAP_0F,
     .opcode = 0x40,
     .opcode_count = 16,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_CMOV,
     .kind = SOFT_KIND_CMOV,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_cmov},
    {.name = "jcc",
     .map = SOFT_MAP_0F,
     .opcode = 0x80,
     .opcode_count = 16,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_JCC,
     .imm = SOFT_IMM_Z,
     .flags = SOFT_F64 | SOFT_ENDS,
     .exec = soft_exec_jcc},
    {.name = "setcc",
     .map = SOFT_MAP_0F,
     .opcode = 0x90,
     .opcode_count = 16,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_SETCC,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_BYTE,
     .exec = soft_exec_setcc},
    BIT_TEST(0xa3, 4, "bt", 0),
    BIT_TEST(0xab, 5, "bts", SOFT_LOCKABLE),
    BIT_TEST(0xb3, 6, "btr", SOFT_LOCKABLE),
    BIT_TEST(0xbb, 7, "btc", SOFT_LOCKABLE),
    {.name = "shld",
     .map = SOFT_MAP_0F,
     .opcode = 0xa4,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_RM_IMM,
     .imm = SOFT_IMM_8U,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_AF | RFLAGS_OF,
     .exec = soft_exec_double_shift},
    {.name = "shld",
     .map = SOFT_MAP_0F,
     .opcode = 0xa5,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_RM_CL,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_AF | RFLAGS_OF,
     .exec = soft_exec_double_shift},
    {.name = "shrd",
     .map = SOFT_MAP_0F,
     .opcode = 0xac,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_RM_IMM,
     .imm = SOFT_IMM_8U,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_AF | RFLAGS_OF,
     .exec = soft_exec_double_shift},
    {.name = "shrd",
     .map = SOFT_MAP_0F,
     .opcode = 0xad,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_RM_CL,
     .flags = SOFT_MODRM,
     .undefined_flags = RFLAGS_AF | RFLAGS_OF,
     .exec = soft_exec_double_shift},
    {.name = "imul",
     .map = SOFT_MAP_0F,
     .opcode = 0xaf,
     .ext = -1,
     .rm = -1,
     .kind = SOFT_KIND_IMUL2,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_CF_OF,
     .exec = soft_exec_imul2},
    TWO(0xb0, "cmpxchg", CMPXCHG, RM_R, SOFT_MODRM | SOFT_BYTE | SOFT_LOCKABLE, soft_exec_cmpxchg),
    TWO(0xb1, "cmpxchg", CMPXCHG, RM_R, SOFT_MODRM | SOFT_LOCKABLE, soft_exec_cmpxchg),
    TWO(0xb6, "movzx", MOVZX8, R_RM, SOFT_MODRM, soft_exec_extend),
    TWO(0xb7, "movzx", MOVZX16, R_RM, SOFT_MODRM, soft_exec_extend),
    TWO(0xbe, "movsx", MOVSX8, R_RM, SOFT_MODRM, soft_exec_extend),
    TWO(0xbf, "movsx", MOVSX16, R_RM, SOFT_MODRM, soft_exec_extend),
    {.name = "popcnt",
     .map = SOFT_MAP_0F,
     .opcode = 0xb8,
     .prefix = SOFT_PREFIX_F3,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_POPCNT,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_popcnt},
    {.name = "bsf",
     .map = SOFT_MAP_0F,
     .opcode = 0xbc,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_ZF,
     .exec = soft_exec_bsf},
    {.name = "tzcnt",
     .map = SOFT_MAP_0F,
     .opcode = 0xbc,
     .prefix = SOFT_PREFIX_F3,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_BMI1,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_ZF & ~RFLAGS_CF,
     .exec = soft_exec_tzcnt},
    {.name = "bsr",
     .map = SOFT_MAP_0F,
     .opcode = 0xbd,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_ZF,
     .exec = soft_exec_bsr},
    {.name = "lzcnt",
     .map = SOFT_MAP_0F,
     .opcode = 0xbd,
     .prefix = SOFT_PREFIX_F3,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_ABM,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .undefined_flags = BUT_ZF & ~RFLAGS_CF,
     .exec = soft_exec_lzcnt},
    TWO(0xc0, "xadd", XADD, RM_R, SOFT_MODRM | SOFT_BYTE | SOFT_LOCKABLE, soft_exec_xadd),
    TWO(0xc1, "xadd", XADD, RM_R, SOFT_MODRM | SOFT_LOCKABLE, soft_exec_xadd),
    {.name = "cmpxchg8b",
     .map = SOFT_MAP_0F,
     .opcode = 0xc7,
     .ext = 1,
     .rm = -1,
     .mod = SOFT_MOD_MEMORY,
     .feature = SOFT_FEATURE_CX8,
     .form = SOFT_FORM_RM,
     .flags = SOFT_MODRM | SOFT_LOCKABLE,
     .exec = soft_exec_cmpxchg8b},
    {.name = "bswap",
     .map = SOFT_MAP_0F,
     .opcode = 0xc8,
     .opcode_count = 8,
     .ext = -1,
     .rm = -1,
     .form = SOFT_FORM_O,
     .exec = soft_exec_bswap},

    /* --- 0F 38 --- */
    {.name = "movbe",
     .map = SOFT_MAP_0F38,
     .opcode = 0xf0,
     .prefix = SOFT_PREFIX_NO_REP,
     .ext = -1,
     .rm = -1,
     .mod = SOFT_MOD_MEMORY,
     .feature = SOFT_FEATURE_MOVBE,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_movbe},
    {.name = "movbe",
     .map = SOFT_MAP_0F38,
     .opcode = 0xf1,
     .prefix = SOFT_PREFIX_NO_REP,
     .ext = -1,
     .rm = -1,
     .mod = SOFT_MOD_MEMORY,
     .feature = SOFT_FEATURE_MOVBE,
     .form = SOFT_FORM_RM_R,
     .flags = SOFT_MODRM,
     .exec = soft_exec_movbe},
    {.name = "adcx",
     .map = SOFT_MAP_0F38,
     .opcode = 0xf6,
     .prefix = SOFT_PREFIX_66,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_ADX,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_adx},
    {.name = "adox",
     .map = SOFT_MAP_0F38,
     .opcode = 0xf6,
     .prefix = SOFT_PREFIX_F3,
     .ext = -1,
     .rm = -1,
     .feature = SOFT_FEATURE_ADX,
     .form = SOFT_FORM_R_RM,
     .flags = SOFT_MODRM,
     .exec = soft_exec_adx},
};

const struct soft_insn_table soft_table_integer = {.defs = defs, .count = ARRAY_SIZE(defs)};
