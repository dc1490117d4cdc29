/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disassembler that the software CPU is held against: libzydis, in the three modes of an x86-64 CPU. */
#ifndef HDL_TESTS_DIFF_ZYDIS_H
#define HDL_TESTS_DIFF_ZYDIS_H

#include <stddef.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

#include "vcpu/soft/insn.h"

struct oracle {
    ZydisDecoder decoder;
    ZydisFormatter formatter;
};

struct oracle_insn {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* bits: 16, 32 or 64. */
void oracle_init(struct oracle *oracle, unsigned bits);
ZyanStatus oracle_decode(const struct oracle *oracle, const uint8_t *bytes, size_t len_bytes,
                         struct oracle_insn *decoded);
/* One instruction as Intel writes it; "?" if it is none. */
void oracle_format(const struct oracle *oracle, const uint8_t *bytes, size_t len_bytes, uint64_t address, char *text,
                   size_t text_bytes);

/* Whether a software CPU with every feature has the instruction: none with VEX, EVEX or XOP, nor a vendor's own. */
bool oracle_is_known(const struct oracle_insn *decoded);

#endif
