/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions, defined and decoded. The definitions (table_*.c) are the one list of what the CPU knows: decoder,
 * interpreter, tests and fuzzer all read it. Encodings: Intel SDM 2, appendix A.
 */
#ifndef HDL_VCPU_SOFT_INSN_H
#define HDL_VCPU_SOFT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vcpu/cpu_state.h"
#include "vcpu/soft/feature.h"

#define SOFT_INSN_BYTES_MAX 15

struct soft_cpu;
struct soft_insn;

/* Opcode maps: one byte, and behind 0F, 0F 38, 0F 3A. */
enum soft_map { SOFT_MAP_1, SOFT_MAP_0F, SOFT_MAP_0F38, SOFT_MAP_0F3A, SOFT_MAP_COUNT };

/*
 * Which mandatory prefix a definition is for. ANY: 66 is the operand size, F2 and F3 are repetition. NO_REP: 66 is the
 * operand size, and F2 or F3 make it another instruction, or none.
 */
enum soft_prefix {
    SOFT_PREFIX_ANY,
    SOFT_PREFIX_NONE,
    SOFT_PREFIX_66,
    SOFT_PREFIX_F3,
    SOFT_PREFIX_F2,
    SOFT_PREFIX_NO_REP
};

/* The immediate that follows. Z: 2 bytes with 16-bit operands, else 4, sign-extended. */
enum soft_imm {
    SOFT_IMM_NONE,
    SOFT_IMM_8,  /* sign-extended */
    SOFT_IMM_8U, /* zero-extended */
    SOFT_IMM_16, /* zero-extended */
    SOFT_IMM_Z,
    SOFT_IMM_V,       /* of the operand size, 8 bytes too (MOV r64, imm64) */
    SOFT_IMM_ADDRESS, /* of the address size (MOV AL, moffs) */
    SOFT_IMM_FAR,     /* offset of the operand size (16 or 32) in imm, selector in imm2 */
    SOFT_IMM_ENTER,   /* 16 bits in imm, 8 bits in imm2 */
};

/* Which modrm.mod a definition is for. */
enum soft_mod { SOFT_MOD_ANY, SOFT_MOD_MEMORY, SOFT_MOD_REGISTER };

enum soft_insn_flags {
    SOFT_MODRM = 1 << 0,
    SOFT_BYTE = 1 << 1,      /* operands are bytes */
    SOFT_D64 = 1 << 2,       /* in 64-bit mode operands are 64 bits, or 16 with 66 (PUSH, POP) */
    SOFT_F64 = 1 << 3,       /* in 64-bit mode operands are 64 bits whatever is before it (near branches) */
    SOFT_NOT64 = 1 << 4,     /* #UD in 64-bit mode */
    SOFT_ONLY64 = 1 << 5,    /* #UD elsewhere */
    SOFT_LOCKABLE = 1 << 6,  /* LOCK is allowed with a memory destination; else #UD */
    SOFT_ENDS = 1 << 7,      /* the block ends: a branch, or what changes how the next instruction is decoded or run */
    SOFT_CPL0 = 1 << 8,      /* #GP(0) unless CPL is 0 */
    SOFT_PROTECTED = 1 << 9, /* #UD in real and virtual-8086 mode */
    SOFT_REP = 1 << 10,      /* a string instruction: F3 and F2 repeat it */
    SOFT_X87 = 1 << 11,      /* #NM if CR0.EM or CR0.TS; pending x87 exceptions are exec's matter */
    SOFT_MMX = 1 << 12,      /* #UD if CR0.EM, #NM if CR0.TS */
    SOFT_SSE = 1 << 13,      /* #UD if CR0.EM or not CR4.OSFXSR, #NM if CR0.TS */
    SOFT_MODE_DEPENDS_NOT_ON_REXW = 1 << 14, /* REX.W doesn't make operands 64 bits */
    /* modrm.mod doesn't count: rm is a register (MOV CR, MOV DR). With SOFT_LOCKABLE, LOCK is allowed all the same. */
    SOFT_RM_REGISTER = 1 << 16,
};

/* Carries out one instruction. The vCPU's thread; cpu->rip and next_rip are set; may not return (soft_raise). */
typedef void soft_exec_fn(struct soft_cpu *cpu, const struct soft_insn *insn);

/*
 * Hot instructions have an `op` for which lower.c knows micro-operations; all others an exec function.
 */
enum soft_kind {
    SOFT_KIND_EXEC,
    /* In the order of their encoding in 00..3F and of group 1. */
    SOFT_KIND_ADD,
    SOFT_KIND_OR,
    SOFT_KIND_ADC,
    SOFT_KIND_SBB,
    SOFT_KIND_AND,
    SOFT_KIND_SUB,
    SOFT_KIND_XOR,
    SOFT_KIND_CMP,
    SOFT_KIND_TEST,
    SOFT_KIND_MOV,
    SOFT_KIND_MOVZX8,
    SOFT_KIND_MOVZX16,
    SOFT_KIND_MOVSX8,
    SOFT_KIND_MOVSX16,
    SOFT_KIND_MOVSXD,
    SOFT_KIND_LEA,
    SOFT_KIND_INC,
    SOFT_KIND_DEC,
    SOFT_KIND_NEG,
    SOFT_KIND_NOT,
    SOFT_KIND_ROL,
    SOFT_KIND_ROR,
    SOFT_KIND_SHL,
    SOFT_KIND_SHR,
    SOFT_KIND_SAR,
    SOFT_KIND_IMUL2, /* two and three operands */
    SOFT_KIND_PUSH,
    SOFT_KIND_POP,
    SOFT_KIND_XCHG,
    SOFT_KIND_CMOV,
    SOFT_KIND_SETCC,
    SOFT_KIND_JCC,
    SOFT_KIND_JMP,
    SOFT_KIND_JMP_INDIRECT,
    SOFT_KIND_CALL,
    SOFT_KIND_CALL_INDIRECT,
    SOFT_KIND_RET,
    SOFT_KIND_NOP,
    SOFT_KIND_LEAVE,
    SOFT_KIND_CDQ,  /* 99: CWD, CDQ, CQO */
    SOFT_KIND_CWDE, /* 98: CBW, CWDE, CDQE */
    SOFT_KIND_CMPXCHG,
    SOFT_KIND_XADD,
    SOFT_KIND_COUNT
};

/* Where an integer instruction's operands are: destination first. */
enum soft_form {
    SOFT_FORM_NONE,
    SOFT_FORM_RM_R,   /* modrm.rm, modrm.reg */
    SOFT_FORM_R_RM,   /* modrm.reg, modrm.rm */
    SOFT_FORM_RM_IMM, /* modrm.rm, immediate */
    SOFT_FORM_RM,     /* modrm.rm */
    SOFT_FORM_RM_1,   /* modrm.rm, 1 */
    SOFT_FORM_RM_CL,  /* modrm.rm, CL */
    SOFT_FORM_A_IMM,  /* accumulator, immediate */
    SOFT_FORM_O,      /* the opcode's low three bits and REX.B */
    SOFT_FORM_O_IMM,
    SOFT_FORM_O_A, /* XCHG r, rAX */
    SOFT_FORM_A_MOFFS,
    SOFT_FORM_MOFFS_A,
    SOFT_FORM_R_RM_IMM, /* IMUL r, r/m, imm */
    SOFT_FORM_IMM,
};

struct soft_insn_def {
    const char *name; /* as Intel spells it, lower case; not unique */
    uint8_t map;      /* enum soft_map */
    uint8_t opcode;
    uint8_t opcode_count;     /* 0 or 1: one; 8: opcode..opcode+7 with a register in the low bits; 16: conditions */
    uint8_t prefix;           /* enum soft_prefix */
    int8_t ext;               /* modrm.reg as part of the opcode, or -1 */
    int8_t rm;                /* with mod 3: modrm.rm as part of the opcode, or -1 */
    uint8_t mod;              /* enum soft_mod */
    uint8_t imm;              /* enum soft_imm */
    uint8_t feature;          /* enum soft_feature */
    uint8_t kind;             /* enum soft_kind */
    uint8_t form;             /* enum soft_form */
    uint32_t flags;           /* enum soft_insn_flags */
    uint16_t undefined_flags; /* arithmetic flags that the manual leaves undefined (RFLAGS_ARITHMETIC bits) */
    uint8_t memory_bytes;     /* of a memory operand; 0: the operand size */
    soft_exec_fn *exec;       /* also of hot kinds, for forms that lower.c leaves alone; NULL: there are none */
};

#define SOFT_NO_REG 0xff

/* One instruction, decoded. Immutable. */
struct soft_insn {
    const struct soft_insn_def *def;
    uint64_t imm;
    int32_t disp;
    uint16_t imm2;
    uint8_t length;
    uint8_t opcode, modrm; /* the bytes; modrm 0 if there is none */
    uint8_t op_bytes;      /* operand size: 1, 2, 4, 8 */
    uint8_t addr_bytes;    /* address size: 2, 4, 8 */
    uint8_t reg;           /* modrm.reg with REX.R; for opcode_count 8, the opcode's low bits with REX.B */
    uint8_t rm;            /* modrm.rm with REX.B: a register if not is_memory */
    uint8_t base, index;   /* general registers, or SOFT_NO_REG */
    uint8_t scale;         /* 0..3: a shift */
    uint8_t segment;       /* of the memory operand: enum cpu_segment_index, overrides applied */
    uint8_t rep;           /* 0, 0xf2 or 0xf3: the last one there */
    uint8_t rex;           /* 0: none */
    bool has_66;
    bool lock;
    bool is_memory;    /* modrm names memory */
    bool rip_relative; /* disp counts from the following instruction */
    bool segment_override;
};

/* --- tables ------------------------------------------------------------------------------------------------------- */

struct soft_insn_table {
    const struct soft_insn_def *defs;
    size_t count;
};

extern const struct soft_insn_table soft_table_integer; /* table_integer.c */
extern const struct soft_insn_table soft_table_system;  /* table_system.c */
extern const struct soft_insn_table soft_table_x87;     /* table_x87.c */
extern const struct soft_insn_table soft_table_sse;     /* table_sse.c: MMX too */

/* --- decoder ------------------------------------------------------------------------------------------------------ */

struct soft_decoder;

/* The index over all tables. Immutable; any thread. NULL: out of memory. */
struct soft_decoder *soft_decoder_create(void);
void soft_decoder_destroy(struct soft_decoder *decoder);

enum soft_decode_result {
    SOFT_DECODED,
    SOFT_DECODE_SHORT,     /* the bytes end before the instruction does */
    SOFT_DECODE_UNDEFINED, /* #UD */
    SOFT_DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) */
};

/*
 * Decodes what bytes begin with. mode: enum soft_mode. Everything that depends on the bytes, the mode and the features
 * is checked (LOCK, 64-bit mode, features); what depends on other state (CPL, CR0) isn't. *insn is complete only with
 * SOFT_DECODED. Pure.
 */
enum soft_decode_result soft_decode(const struct soft_decoder *decoder, const uint8_t *bytes, size_t len_bytes,
                                    uint32_t mode, const struct soft_features *features, struct soft_insn *insn);

/* Calls fn for every definition of every table. */
void soft_insn_for_each(void (*fn)(const struct soft_insn_def *def, void *opaque), void *opaque);

#endif
