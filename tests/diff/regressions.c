/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See regressions.h. A case is some bytes of code, and registers that matter; the rest is any. Single-threaded. */
#include "regressions.h"

#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "random.h"
#include "vcpu/soft/cpu.h"

#define NON_CANONICAL UINT64_C(0x0002000000000000)
/* Where data and the stack are in a slot, for registers that are relative to it. */
#define DATA  SLOT_DATA
#define STACK SLOT_STACK

struct regression_register {
    uint8_t reg;
    bool in_slot; /* value is an offset in the slot */
    uint64_t value;
};

struct regression {
    const char *name;
    unsigned bits;
    uint64_t rflags; /* set besides */
    unsigned code_bytes;
    const char *code;
    struct regression_register registers[3];
    unsigned register_count;
};

#define CODE(text)   .code = text, .code_bytes = sizeof(text) - 1
#define REGISTERS(n) .register_count = n, .registers =
#define IN_SLOT(r, at)                                                                                                 \
    {                                                                                                                  \
        CPU_##r, true, at                                                                                              \
    }
#define VALUE(r, value)                                                                                                \
    {                                                                                                                  \
        CPU_##r, false, value                                                                                          \
    }

static const struct regression regressions[] = {
    {.name = "a code segment can't be written, flat or not",
     .bits = 32,
     CODE("\x2e\x81\x0b\x01\x00\x00\x00"), /* or dword ptr cs:[ebx], 1 */
     REGISTERS(1){IN_SLOT(RBX, DATA)}},
    {.name = "RBP's memory outside the canonical range is a stack fault",
     .bits = 64,
     CODE("\x42\x80\x65\xab\x01"), /* and byte ptr [rbp-0x55], 1 */
     REGISTERS(1){VALUE(RBP, NON_CANONICAL)}},
    {.name = "LEAVE outside the canonical range is a stack fault",
     .bits = 64,
     CODE("\xc9"),
     REGISTERS(1){VALUE(RBP, NON_CANONICAL)}},
    {.name = "PUSH outside the canonical range is a stack fault",
     .bits = 64,
     CODE("\x50"),
     REGISTERS(1){VALUE(RSP, NON_CANONICAL)}},
    {.name = "a flat segment ends at 4 GiB",
     .bits = 32,
     CODE("\x81\x0b\x01\x00\x00\x00"), /* or dword ptr [ebx], 1 */
     REGISTERS(1){VALUE(RBX, 0xfffffffe)}},
    {.name = "a flat stack ends at 4 GiB", .bits = 32, CODE("\x50"), REGISTERS(1){VALUE(RSP, 2)}},
    {.name = "PUSHA faults at the first element that can't be written",
     .bits = 32,
     CODE("\x60"),
     REGISTERS(1){IN_SLOT(RSP, STACK)}},
    {.name = "PUSHA wraps below 0", .bits = 32, CODE("\x60"), REGISTERS(1){VALUE(RSP, 0)}},
    {.name = "ENTER's outer frame past 4 GiB is a stack fault",
     .bits = 32,
     CODE("\xc8\x00\x00\x03"), /* enter 0, 3 */
     REGISTERS(1){VALUE(RBP, 1)}},
    {.name = "REP MOVSQ over itself, three bytes on",
     .bits = 64,
     CODE("\xf3\x48\xa5"),
     REGISTERS(3){IN_SLOT(RSI, DATA + 0xff7), IN_SLOT(RDI, DATA + 0xffa), VALUE(RCX, 100)}},
    {.name = "an unaligned CMPXCHG16B is no stack fault",
     .bits = 64,
     CODE("\x48\x0f\xc7\x4d\x02"), /* cmpxchg16b [rbp+2] */
     REGISTERS(1){VALUE(RBP, NON_CANONICAL)}},
    {.name = "MOVBE behind F3 is none", .bits = 64, CODE("\xf3\x0f\x38\xf0\x03"), REGISTERS(1){IN_SLOT(RBX, DATA)}},
    {.name = "there is no CR1, whoever asks", .bits = 64, CODE("\x0f\x20\xc8")},
    {.name = "MOV from CR0 has no memory operand", .bits = 64, CODE("\x0f\x20\x04")},
    {.name = "a single step that clears TF is still one",
     .bits = 64,
     /* push 2; push 0x102; popfq; popfq; nop */
     CODE("\x68\x02\x00\x00\x00\x68\x02\x01\x00\x00\x9d\x9d\x90")},
    {.name = "a single step of REP LODSB is one element",
     .bits = 64,
     CODE("\x68\x02\x01\x00\x00\x9d\xf3\xac"), /* push 0x102; popfq; rep lodsb */
     REGISTERS(2){IN_SLOT(RSI, DATA), VALUE(RCX, 10)}},
    {.name = "MOVSD from the stack's segment past 4 GiB, unaligned, is a stack fault",
     .bits = 32,
     .rflags = RFLAGS_AC,
     CODE("\x36\xa5"), /* movs dword ptr es:[edi], ss:[esi] */
     REGISTERS(2){VALUE(RSI, 0xfffffffe), IN_SLOT(RDI, DATA)}},
    {.name = "FENI doesn't wait",
     .bits = 64,
     /* fninit; push 0x340; fldcw [rsp]; fldz; fldz; fdivp; feni */
     CODE("\xdb\xe3\x68\x40\x03\x00\x00\xd9\x2c\x24\xd9\xee\xd9\xee\xde\xf9\xdb\xe0")},
    {.name = "80 bits are aligned to 8 bytes",
     .bits = 64,
     .rflags = RFLAGS_AC,
     CODE("\xdb\x3b"), /* fstp tbyte ptr [rbx] */
     REGISTERS(1){IN_SLOT(RBX, DATA + 4)}},
    {.name = "FBSTP, aligned",
     .bits = 64,
     .rflags = RFLAGS_AC,
     CODE("\xdb\xe3\xd9\xee\xdf\x33"), /* fninit; fldz; fbstp [rbx] */
     REGISTERS(1){IN_SLOT(RBX, DATA + 16)}},
    {.name = "an address that isn't canonical is that before it is unaligned",
     .bits = 64,
     .rflags = RFLAGS_AC,
     CODE("\x48\x8b\x03"), /* mov rax, [rbx] */
     REGISTERS(1){VALUE(RBX, NON_CANONICAL + 1)}},
    {.name = "the third PUSH in a row faults",
     .bits = 64,
     CODE("\x50\x41\x51\x53\x57\x41\x50\x56\x55"), /* push rax, r9, rbx, rdi, r8, rsi, rbp */
     REGISTERS(1){IN_SLOT(RSP, STACK + 16)}},
    {.name = "PUSHes in a row, RSP among them, into another page",
     .bits = 64,
     CODE("\x50\x41\x51\x53\x54\x41\x50\x56\x55"), /* push rax, r9, rbx, rsp, r8, rsi, rbp */
     REGISTERS(1){IN_SLOT(RSP, DATA + 0x1014)}},
    {.name = "the third POP in a row faults",
     .bits = 64,
     CODE("\x58\x41\x59\x5b\x5f\x41\x58\x5e\x5d"), /* pop rax, r9, rbx, rdi, r8, rsi, rbp */
     REGISTERS(1){IN_SLOT(RSP, SLOT_READ_ONLY + 0xff0)}},
    {.name = "POPs in a row, RSP among them, from another page",
     .bits = 64,
     CODE("\x58\x41\x59\x5b\x5c\x41\x58\x5e\x5d"), /* pop rax, r9, rbx, rsp, r8, rsi, rbp */
     REGISTERS(1){IN_SLOT(RSP, DATA + 0xff4)}},
};

unsigned regression_count(void)
{
    return ARRAY_SIZE(regressions);
}

const char *regression_name(unsigned index)
{
    return regressions[index].name;
}

static void regression_add(struct case_program *program, const struct soft_insn_def *def, unsigned length)
{
    unsigned offset = 0;

    if (program->insn_count > 0) {
        const struct case_insn *last = &program->insns[program->insn_count - 1];

        offset = last->offset + last->length;
    }
    program->insns[program->insn_count++] =
        (struct case_insn){.def = def, .offset = (uint16_t)offset, .length = (uint8_t)length};
}

/* Where its instructions begin: the host has the last word on what they are. */
static void regression_split(const struct soft_decoder *decoder, const struct soft_features *features,
                             struct case_program *program, unsigned code_bytes)
{
    uint32_t mode = SOFT_MODE_PROTECTED | SOFT_MODE_32 | (program->bits == 64 ? SOFT_MODE_64 : 0);
    struct soft_insn insn;

    for (unsigned at = 0; at < code_bytes; at += insn.length) {
        enum soft_decode_result result =
            soft_decode(decoder, program->code + at, code_bytes - at, mode, features, &insn);

        if (result != SOFT_DECODED) {
            insn.length = (uint8_t)(code_bytes - at);
        }
        regression_add(program, result == SOFT_DECODED ? insn.def : NULL, insn.length);
    }
}

void regression_make(const struct soft_decoder *decoder, const struct soft_features *features, unsigned index,
                     struct case_program *program)
{
    const struct regression *regression = &regressions[index];
    struct random random = {index};

    assert(regression->code_bytes + 8 < CASE_CODE_MAX);
    *program = (struct case_program){.bits = regression->bits, .slot = program->slot};
    case_make_state(&random, program);
    for (unsigned i = 0; i < regression->register_count; i++) {
        const struct regression_register *reg = &regression->registers[i];

        program->start.gpr[reg->reg] = (reg->in_slot ? case_slot_base(program) : 0) + reg->value;
    }
    program->start.rflags = (program->start.rflags & ~(uint64_t)(RFLAGS_AC | RFLAGS_DF)) | regression->rflags;
    memcpy(program->code, regression->code, regression->code_bytes);
    regression_split(decoder, features, program, regression->code_bytes);
    regression_add(program, NULL, 1);
    program->code_bytes = regression->code_bytes;
    do {
        program->code[program->code_bytes++] = 0xcc;
    } while (program->code_bytes % 8 != 0);
}
