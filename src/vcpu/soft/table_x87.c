/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The definitions of the x87 instructions, made from table_x87.def. */
#include "vcpu/soft/x87.h"

#include "base/compiler.h"

/* FWAIT, the only one whose ext is -1, has no modrm. */
#define X87(insn_name, function, opcode_byte, modrm_reg, modrm_rm, modrm_mod, bytes, needs, more_flags)                \
    {                                                                                                                  \
        .name = (insn_name),                                                                                           \
        .map = SOFT_MAP_1,                                                                                             \
        .opcode = (opcode_byte),                                                                                       \
        .prefix = SOFT_PREFIX_ANY,                                                                                     \
        .ext = (modrm_reg),                                                                                            \
        .rm = (modrm_rm),                                                                                              \
        .mod = SOFT_MOD_##modrm_mod,                                                                                   \
        .feature = SOFT_FEATURE_##needs,                                                                               \
        .flags = (more_flags) | SOFT_MODE_DEPENDS_NOT_ON_REXW | ((modrm_reg) >= 0 ? SOFT_MODRM : 0),                   \
        .memory_bytes = (bytes),                                                                                       \
        .exec = soft_x87_##function,                                                                                   \
    },

static const struct soft_insn_def x87_defs[] = {
#include "vcpu/soft/table_x87.def"
};

const struct soft_insn_table soft_table_x87 = {x87_defs, ARRAY_SIZE(x87_defs)};
