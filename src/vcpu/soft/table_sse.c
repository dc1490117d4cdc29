/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The definitions of the MMX and SSE instructions, made from table_sse.def. */
#include "vcpu/soft/sse.h"

#include "base/compiler.h"

/* An ext of -2: there is no modrm. */
#define SSE(insn_name, function, in_map, opcode_byte, mandatory, modrm_reg, modrm_mod, immediate, needs, more_flags,   \
            bytes)                                                                                                     \
    {                                                                                                                  \
        .name = (insn_name),                                                                                           \
        .map = SOFT_MAP_##in_map,                                                                                      \
        .opcode = (opcode_byte),                                                                                       \
        .prefix = SOFT_PREFIX_##mandatory,                                                                             \
        .ext = (modrm_reg) < 0 ? -1 : (modrm_reg),                                                                     \
        .rm = -1,                                                                                                      \
        .mod = SOFT_MOD_##modrm_mod,                                                                                   \
        .imm = SOFT_IMM_##immediate,                                                                                   \
        .feature = SOFT_FEATURE_##needs,                                                                               \
        .flags = (more_flags) | ((modrm_reg) > -2 ? SOFT_MODRM : 0),                                                   \
        .memory_bytes = (bytes),                                                                                       \
        .exec = soft_##function,                                                                                       \
    },

static const struct soft_insn_def sse_defs[] = {
#include "vcpu/soft/table_sse.def"
};

const struct soft_insn_table soft_table_sse = {sse_defs, ARRAY_SIZE(sse_defs)};
