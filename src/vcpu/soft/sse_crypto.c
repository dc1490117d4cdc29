/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES, SHA, carry-less multiplication and CRC32. The host: sse.h. */
#include "vcpu/soft/sse.h"

SSE_OP(aesenc, 16)
SSE_OP(aesenclast, 16)
SSE_OP(aesdec, 16)
SSE_OP(aesdeclast, 16)
SSE_OP(aesimc, 16)
SSE_OP_IMM(aeskeygenassist, 16, 256)
SSE_OP_IMM(pclmulqdq, 16, 32)

SSE_OP(sha1nexte, 16)
SSE_OP(sha1msg1, 16)
SSE_OP(sha1msg2, 16)
SSE_OP(sha256msg1, 16)
SSE_OP(sha256msg2, 16)
SSE_OP_IMM(sha1rnds4, 16, 4)

SSE_EXEC(sha256rnds2)
{
    __m128i b = soft_sse_source(cpu, insn, 16);
    __m128i a = soft_xmm(cpu, insn->reg);
    register __m128i keys __asm__("xmm0") = soft_xmm(cpu, 0);

    __asm__("sha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "x"(keys));
    soft_set_xmm(cpu, insn->reg, a);
}

/* The sum is of 32 bits whatever the operand's size is. */
SSE_EXEC(crc32)
{
    uint64_t sum = (uint32_t)cpu->gpr[insn->reg];
    uint64_t source;

    if (insn->is_memory) {
        source = soft_sse_load(cpu, insn, insn->op_bytes);
    } else if (insn->op_bytes == 1 && !insn->rex && (insn->rm & 4)) {
        source = cpu->gpr[insn->rm & 3] >> 8; /* AH, CH, DH, BH */
    } else {
        source = cpu->gpr[insn->rm];
    }
    switch (insn->op_bytes) {
    case 1:
        __asm__("crc32b %b1, %k0" : "+r"(sum) : "q"(source));
        break;
    case 2:
        __asm__("crc32w %w1, %k0" : "+r"(sum) : "r"(source));
        break;
    case 4:
        __asm__("crc32l %k1, %k0" : "+r"(sum) : "r"(source));
        break;
    default:
        __asm__("crc32q %1, %0" : "+r"(sum) : "r"(source));
        break;
    }
    cpu->gpr[insn->reg] = sum;
}
