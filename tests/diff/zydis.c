/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See zydis.h. Pure. Encodings that libzydis knows and no CPU of ours advertises are sorted out by their set. */
#include "zydis.h"

#include <stdio.h>

void oracle_init(struct oracle *oracle, unsigned bits)
{
    ZydisMachineMode mode = bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                         : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisStackWidth stack = bits == 64   ? ZYDIS_STACK_WIDTH_64
                            : bits == 32 ? ZYDIS_STACK_WIDTH_32
                                         : ZYDIS_STACK_WIDTH_16;

    ZydisDecoderInit(&oracle->decoder, mode, stack);
    /* Extensions that turn no-operations into something else; our CPUs have none of them. */
    ZydisDecoderEnableMode(&oracle->decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(&oracle->decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(&oracle->decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    ZydisFormatterInit(&oracle->formatter, ZYDIS_FORMATTER_STYLE_INTEL);
}

ZyanStatus oracle_decode(const struct oracle *oracle, const uint8_t *bytes, size_t len_bytes,
                         struct oracle_insn *decoded)
{
    return ZydisDecoderDecodeFull(&oracle->decoder, bytes, len_bytes, &decoded->insn, decoded->operands);
}

void oracle_format(const struct oracle *oracle, const uint8_t *bytes, size_t len_bytes, uint64_t address, char *text,
                   size_t text_bytes)
{
    struct oracle_insn decoded;

    if (ZYAN_FAILED(oracle_decode(oracle, bytes, len_bytes, &decoded)) ||
        ZYAN_FAILED(ZydisFormatterFormatInstruction(&oracle->formatter, &decoded.insn, decoded.operands,
                                                    decoded.insn.operand_count_visible, text, text_bytes, address,
                                                    NULL))) {
        snprintf(text, text_bytes, "?");
    }
}

bool oracle_is_known(const struct oracle_insn *decoded)
{
    if (decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return false;
    }
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL: /* outside 64-bit mode libzydis has it as AMD's */
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_VMCALL: /* of hypervisors' interfaces, of either vendor */
    case ZYDIS_MNEMONIC_VMMCALL:
        return true;
    default:
        break;
    }
    switch (decoded->insn.meta.isa_set) {
    case ZYDIS_ISA_SET_ADOX_ADCX:
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_CLFLUSHOPT:
    case ZYDIS_ISA_SET_CLFSH:
    case ZYDIS_ISA_SET_CLWB:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_FXSAVE:
    case ZYDIS_ISA_SET_FXSAVE64:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_INVPCID:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_MONITOR:
    case ZYDIS_ISA_SET_MOVBE:
    case ZYDIS_ISA_SET_PAUSE:
    case ZYDIS_ISA_SET_PCLMULQDQ:
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_PREFETCHWT1: /* of the same opcode as PREFETCHW, and never undefined */
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_RDPID:
    case ZYDIS_ISA_SET_RDPMC:
    case ZYDIS_ISA_SET_RDRAND:
    case ZYDIS_ISA_SET_RDSEED:
    case ZYDIS_ISA_SET_RDTSCP:
    case ZYDIS_ISA_SET_RDWRFSGS:
    case ZYDIS_ISA_SET_SHA:
    case ZYDIS_ISA_SET_SMAP:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
    case ZYDIS_ISA_SET_SSE4:
    case ZYDIS_ISA_SET_SSE42:
    case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_SSE_PREFETCH:
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_XSAVE:
    case ZYDIS_ISA_SET_XSAVEOPT:
        return true;
    default:
        return false;
    }
}
