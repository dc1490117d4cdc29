/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system instructions' definitions (insn.h; encodings: Intel SDM 2, appendix A). Other tables have the rest.
 *
 * What changes the mode, the segments that flatness depends on, IF towards taking interrupts, TF or the address space
 * ends its block; so does what leaves for a device, and what the manual calls serialising.
 */
#include "base/compiler.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/system_insn.h"

#define DEF(name_, map_, opcode_, prefix_, ext_, rm_, mod_, imm_, feature_, flags_, memory_, exec_)                    \
    {                                                                                                                  \
        .name = name_, .map = SOFT_MAP_##map_, .opcode = opcode_, .prefix = SOFT_PREFIX_##prefix_, .ext = ext_,        \
        .rm = rm_, .mod = SOFT_MOD_##mod_, .imm = SOFT_IMM_##imm_, .feature = SOFT_FEATURE_##feature_,                 \
        .kind = SOFT_KIND_EXEC, .flags = flags_, .memory_bytes = memory_, .exec = soft_exec_##exec_                    \
    }

/* name, map, opcode, prefix, modrm.reg, modrm.rm, modrm.mod, immediate, feature, flags, memory_bytes, exec */
static const struct soft_insn_def system_defs[] = {
    /* far transfers */
    DEF("call", 1, 0x9a, ANY, -1, -1, ANY, FAR, BASE, SOFT_NOT64 | SOFT_ENDS, 0, far_direct),
    DEF("jmp", 1, 0xea, ANY, -1, -1, ANY, FAR, BASE, SOFT_NOT64 | SOFT_ENDS, 0, far_direct),
    DEF("call", 1, 0xff, ANY, 3, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 10, far_indirect),
    DEF("jmp", 1, 0xff, ANY, 5, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 10, far_indirect),
    DEF("retf", 1, 0xca, ANY, -1, -1, ANY, 16, BASE, SOFT_ENDS, 0, retf),
    DEF("retf", 1, 0xcb, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, retf),
    DEF("int3", 1, 0xcc, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, int3),
    DEF("int", 1, 0xcd, ANY, -1, -1, ANY, 8U, BASE, SOFT_ENDS, 0, int),
    DEF("into", 1, 0xce, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64 | SOFT_ENDS, 0, into),
    DEF("iret", 1, 0xcf, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, iret),
    DEF("int1", 1, 0xf1, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, int1),
    DEF("bound", 1, 0x62, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_NOT64, 8, bound),
    DEF("enter", 1, 0xc8, ANY, -1, -1, ANY, ENTER, BASE, SOFT_D64, 0, enter),
    DEF("syscall", 0F, 0x05, ANY, -1, -1, ANY, NONE, SYSCALL, SOFT_ENDS, 0, syscall),
    DEF("sysret", 0F, 0x07, ANY, -1, -1, ANY, NONE, SYSCALL, SOFT_ENDS, 0, sysret),
    DEF("sysenter", 0F, 0x34, ANY, -1, -1, ANY, NONE, SEP, SOFT_ENDS, 0, sysenter),
    DEF("sysexit", 0F, 0x35, ANY, -1, -1, ANY, NONE, SEP, SOFT_ENDS, 0, sysexit),

    /* segment registers */
    DEF("mov", 1, 0x8c, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM, 2, mov_from_sreg),
    DEF("mov", 1, 0x8e, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 2, mov_to_sreg),
    DEF("push", 1, 0x06, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64, 0, push_sreg),
    DEF("push", 1, 0x0e, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64, 0, push_sreg),
    DEF("push", 1, 0x16, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64, 0, push_sreg),
    DEF("push", 1, 0x1e, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64, 0, push_sreg),
    DEF("pop", 1, 0x07, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64 | SOFT_ENDS, 0, pop_sreg),
    DEF("pop", 1, 0x17, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64 | SOFT_ENDS, 0, pop_sreg),
    DEF("pop", 1, 0x1f, ANY, -1, -1, ANY, NONE, BASE, SOFT_NOT64 | SOFT_ENDS, 0, pop_sreg),
    DEF("push", 0F, 0xa0, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64, 0, push_sreg),
    DEF("push", 0F, 0xa8, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64, 0, push_sreg),
    DEF("pop", 0F, 0xa1, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64, 0, pop_sreg),
    DEF("pop", 0F, 0xa9, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64, 0, pop_sreg),
    DEF("les", 1, 0xc4, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_NOT64 | SOFT_ENDS, 10, load_far_pointer),
    DEF("lds", 1, 0xc5, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_NOT64 | SOFT_ENDS, 10, load_far_pointer),
    DEF("lss", 0F, 0xb2, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 10, load_far_pointer),
    DEF("lfs", 0F, 0xb4, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM, 10, load_far_pointer),
    DEF("lgs", 0F, 0xb5, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM, 10, load_far_pointer),
    DEF("swapgs", 0F, 0x01, ANY, 7, 0, REGISTER, NONE, LM, SOFT_MODRM | SOFT_CPL0 | SOFT_ONLY64, 0, swapgs),
    DEF("rdfsbase", 0F, 0xae, F3, 0, -1, REGISTER, NONE, FSGSBASE, SOFT_MODRM | SOFT_ONLY64, 0, rdfsbase),
    DEF("rdgsbase", 0F, 0xae, F3, 1, -1, REGISTER, NONE, FSGSBASE, SOFT_MODRM | SOFT_ONLY64, 0, rdgsbase),
    DEF("wrfsbase", 0F, 0xae, F3, 2, -1, REGISTER, NONE, FSGSBASE, SOFT_MODRM | SOFT_ONLY64, 0, wrfsbase),
    DEF("wrgsbase", 0F, 0xae, F3, 3, -1, REGISTER, NONE, FSGSBASE, SOFT_MODRM | SOFT_ONLY64, 0, wrgsbase),

    /* descriptor tables */
    DEF("sldt", 0F, 0x00, ANY, 0, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, sldt),
    DEF("str", 0F, 0x00, ANY, 1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, str),
    DEF("lldt", 0F, 0x00, ANY, 2, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED | SOFT_CPL0, 2, lldt),
    DEF("ltr", 0F, 0x00, ANY, 3, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED | SOFT_CPL0 | SOFT_ENDS, 2, ltr),
    DEF("verr", 0F, 0x00, ANY, 4, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, verr),
    DEF("verw", 0F, 0x00, ANY, 5, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, verw),
    DEF("sgdt", 0F, 0x01, ANY, 0, -1, MEMORY, NONE, BASE, SOFT_MODRM, 10, sgdt),
    DEF("sidt", 0F, 0x01, ANY, 1, -1, MEMORY, NONE, BASE, SOFT_MODRM, 10, sidt),
    DEF("lgdt", 0F, 0x01, ANY, 2, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_CPL0 | SOFT_ENDS, 10, lgdt),
    DEF("lidt", 0F, 0x01, ANY, 3, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_CPL0 | SOFT_ENDS, 10, lidt),
    DEF("lar", 0F, 0x02, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, lar),
    DEF("lsl", 0F, 0x03, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED, 2, lsl),
    DEF("arpl", 1, 0x63, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_PROTECTED | SOFT_NOT64, 2, arpl),

    /* control and debug registers */
    DEF("smsw", 0F, 0x01, ANY, 4, -1, ANY, NONE, BASE, SOFT_MODRM, 2, smsw),
    DEF("lmsw", 0F, 0x01, ANY, 6, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_CPL0 | SOFT_ENDS, 2, lmsw),
    DEF("clts", 0F, 0x06, ANY, -1, -1, ANY, NONE, BASE, SOFT_CPL0 | SOFT_ENDS, 0, clts),
    DEF("mov", 0F, 0x20, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_RM_REGISTER | SOFT_CPL0 | SOFT_LOCKABLE, 0,
        mov_from_cr),
    DEF("mov", 0F, 0x22, ANY, -1, -1, ANY, NONE, BASE,
        SOFT_MODRM | SOFT_RM_REGISTER | SOFT_CPL0 | SOFT_LOCKABLE | SOFT_ENDS, 0, mov_to_cr),
    DEF("mov", 0F, 0x21, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_RM_REGISTER | SOFT_CPL0, 0, mov_from_dr),
    DEF("mov", 0F, 0x23, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM | SOFT_RM_REGISTER | SOFT_CPL0 | SOFT_ENDS, 0,
        mov_to_dr),
    DEF("xgetbv", 0F, 0x01, NONE, 2, 0, REGISTER, NONE, XSAVE, SOFT_MODRM, 0, xgetbv),
    DEF("xsetbv", 0F, 0x01, NONE, 2, 1, REGISTER, NONE, XSAVE, SOFT_MODRM | SOFT_ENDS, 0, xsetbv),

    /* TLB, caches, order */
    DEF("invlpg", 0F, 0x01, ANY, 7, -1, MEMORY, NONE, BASE, SOFT_MODRM | SOFT_CPL0 | SOFT_ENDS, 1, invlpg),
    DEF("invpcid", 0F38, 0x82, 66, -1, -1, MEMORY, NONE, INVPCID, SOFT_MODRM | SOFT_CPL0 | SOFT_ENDS, 16, invpcid),
    DEF("invd", 0F, 0x08, ANY, -1, -1, ANY, NONE, BASE, SOFT_CPL0 | SOFT_ENDS, 0, nop),
    DEF("wbinvd", 0F, 0x09, ANY, -1, -1, ANY, NONE, BASE, SOFT_CPL0 | SOFT_ENDS, 0, nop),
    DEF("clflush", 0F, 0xae, NONE, 7, -1, MEMORY, NONE, CLFLUSH, SOFT_MODRM, 1, clflush),
    DEF("clflushopt", 0F, 0xae, 66, 7, -1, MEMORY, NONE, CLFLUSHOPT, SOFT_MODRM, 1, clflush),
    DEF("clwb", 0F, 0xae, 66, 6, -1, MEMORY, NONE, CLWB, SOFT_MODRM, 1, clflush),
    DEF("lfence", 0F, 0xae, NONE, 5, -1, REGISTER, NONE, SSE2, SOFT_MODRM, 0, lfence),
    DEF("mfence", 0F, 0xae, NONE, 6, -1, REGISTER, NONE, SSE2, SOFT_MODRM, 0, mfence),
    DEF("sfence", 0F, 0xae, NONE, 7, -1, REGISTER, NONE, SSE, SOFT_MODRM, 0, lfence),
    DEF("prefetch", 0F, 0x0d, ANY, -1, -1, MEMORY, NONE, BASE, SOFT_MODRM, 1, nop),

    /* flags */
    DEF("pushf", 1, 0x9c, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64, 0, pushf),
    DEF("popf", 1, 0x9d, ANY, -1, -1, ANY, NONE, BASE, SOFT_D64 | SOFT_ENDS, 0, popf),
    DEF("sahf", 1, 0x9e, ANY, -1, -1, ANY, NONE, BASE, 0, 0, sahf),
    DEF("lahf", 1, 0x9f, ANY, -1, -1, ANY, NONE, BASE, 0, 0, lahf),
    DEF("cli", 1, 0xfa, ANY, -1, -1, ANY, NONE, BASE, 0, 0, cli),
    DEF("sti", 1, 0xfb, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, sti),
    DEF("clac", 0F, 0x01, NONE, 1, 2, REGISTER, NONE, SMAP, SOFT_MODRM, 0, clac),
    DEF("stac", 0F, 0x01, NONE, 1, 3, REGISTER, NONE, SMAP, SOFT_MODRM, 0, stac),

    /* ports */
    DEF("in", 1, 0xe4, ANY, -1, -1, ANY, 8U, BASE, SOFT_BYTE | SOFT_ENDS, 0, in),
    DEF("in", 1, 0xe5, ANY, -1, -1, ANY, 8U, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_ENDS, 0, in),
    DEF("out", 1, 0xe6, ANY, -1, -1, ANY, 8U, BASE, SOFT_BYTE | SOFT_ENDS, 0, out),
    DEF("out", 1, 0xe7, ANY, -1, -1, ANY, 8U, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_ENDS, 0, out),
    DEF("in", 1, 0xec, ANY, -1, -1, ANY, NONE, BASE, SOFT_BYTE | SOFT_ENDS, 0, in),
    DEF("in", 1, 0xed, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_ENDS, 0, in),
    DEF("out", 1, 0xee, ANY, -1, -1, ANY, NONE, BASE, SOFT_BYTE | SOFT_ENDS, 0, out),
    DEF("out", 1, 0xef, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_ENDS, 0, out),
    DEF("ins", 1, 0x6c, ANY, -1, -1, ANY, NONE, BASE, SOFT_BYTE | SOFT_REP | SOFT_ENDS, 0, ins),
    DEF("ins", 1, 0x6d, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_REP | SOFT_ENDS, 0, ins),
    DEF("outs", 1, 0x6e, ANY, -1, -1, ANY, NONE, BASE, SOFT_BYTE | SOFT_REP | SOFT_ENDS, 0, outs),
    DEF("outs", 1, 0x6f, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODE_DEPENDS_NOT_ON_REXW | SOFT_REP | SOFT_ENDS, 0, outs),

    /* identity, time, model-specific registers, random numbers */
    DEF("cpuid", 0F, 0xa2, ANY, -1, -1, ANY, NONE, BASE, SOFT_ENDS, 0, cpuid),
    DEF("rdtsc", 0F, 0x31, ANY, -1, -1, ANY, NONE, TSC, 0, 0, rdtsc),
    DEF("rdtscp", 0F, 0x01, ANY, 7, 1, REGISTER, NONE, RDTSCP, SOFT_MODRM, 0, rdtscp),
    DEF("rdpmc", 0F, 0x33, ANY, -1, -1, ANY, NONE, BASE, 0, 0, rdpmc),
    DEF("wrmsr", 0F, 0x30, ANY, -1, -1, ANY, NONE, MSR, SOFT_CPL0 | SOFT_ENDS, 0, wrmsr),
    DEF("rdmsr", 0F, 0x32, ANY, -1, -1, ANY, NONE, MSR, SOFT_CPL0, 0, rdmsr),
    DEF("rdpid", 0F, 0xc7, F3, 7, -1, REGISTER, NONE, RDPID, SOFT_MODRM, 0, rdpid),
    DEF("rdrand", 0F, 0xc7, NO_REP, 6, -1, REGISTER, NONE, RDRAND, SOFT_MODRM, 0, rdrand),
    DEF("rdseed", 0F, 0xc7, NO_REP, 7, -1, REGISTER, NONE, RDSEED, SOFT_MODRM, 0, rdrand),

    /* waiting and calling out */
    DEF("hlt", 1, 0xf4, ANY, -1, -1, ANY, NONE, BASE, SOFT_CPL0 | SOFT_ENDS, 0, hlt),
    DEF("monitor", 0F, 0x01, NONE, 1, 0, REGISTER, NONE, MONITOR, SOFT_MODRM, 0, monitor),
    DEF("mwait", 0F, 0x01, NONE, 1, 1, REGISTER, NONE, MONITOR, SOFT_MODRM | SOFT_ENDS, 0, mwait),
    DEF("vmcall", 0F, 0x01, NONE, 0, 1, REGISTER, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 0, hypercall),
    DEF("vmmcall", 0F, 0x01, NONE, 3, 1, REGISTER, NONE, BASE, SOFT_MODRM | SOFT_ENDS, 0, hypercall),
    DEF("ud2", 0F, 0x0b, ANY, -1, -1, ANY, NONE, BASE, 0, 0, ud),
    DEF("ud1", 0F, 0xb9, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM, 0, ud),
    DEF("ud0", 0F, 0xff, ANY, -1, -1, ANY, NONE, BASE, SOFT_MODRM, 0, ud),
    DEF("rsm", 0F, 0xaa, ANY, -1, -1, ANY, NONE, BASE, 0, 0, ud),
};

const struct soft_insn_table soft_table_system = {system_defs, ARRAY_SIZE(system_defs)};
