/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System instructions through the decoder: that bytes lead to the function that is meant, in the modes that have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/system_insn.h"

#define MODE_REAL 0u
#define MODE_32   (SOFT_MODE_32 | SOFT_MODE_STACK32 | SOFT_MODE_PROTECTED | SOFT_MODE_FLAT)
#define MODE_64   (SOFT_MODE_64 | SOFT_MODE_PROTECTED | SOFT_MODE_FLAT)

struct expected {
    const char *bytes;
    uint8_t len_bytes;
    uint32_t mode;
    soft_exec_fn *exec; /* NULL: undefined */
    uint8_t op_bytes;   /* 0: doesn't matter */
};

#define IS(bytes, mode, exec, op_bytes)                                                                                \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1, mode, exec, op_bytes                                                                 \
    }

static const struct expected expectations[] = {
    IS("\x0f\x05", MODE_64, soft_exec_syscall, 0),
    IS("\x48\x0f\x07", MODE_64, soft_exec_sysret, 8),
    IS("\x0f\x07", MODE_64, soft_exec_sysret, 4),
    IS("\x48\xcf", MODE_64, soft_exec_iret, 8),
    IS("\xcf", MODE_32, soft_exec_iret, 4),
    IS("\xcf", MODE_REAL, soft_exec_iret, 2),
    IS("\x66\xcf", MODE_REAL, soft_exec_iret, 4),
    IS("\xcc", MODE_64, soft_exec_int3, 0),
    IS("\xcd\x80", MODE_64, soft_exec_int, 0),
    IS("\xce", MODE_64, NULL, 0),
    IS("\xce", MODE_32, soft_exec_into, 0),
    IS("\xf1", MODE_64, soft_exec_int1, 0),
    IS("\xea\x78\x56\x34\x12\x08\x00", MODE_32, soft_exec_far_direct, 4),
    IS("\xea\x34\x12\x08\x00", MODE_REAL, soft_exec_far_direct, 2),
    IS("\x9a\x78\x56\x34\x12\x08\x00", MODE_64, NULL, 0),
    IS("\x48\xff\x28", MODE_64, soft_exec_far_indirect, 8),
    IS("\xff\xe8", MODE_64, NULL, 0), /* no far jump to a register */
    IS("\x48\xcb", MODE_64, soft_exec_retf, 8),
    IS("\xca\x08\x00", MODE_32, soft_exec_retf, 4),
    IS("\xc8\x10\x00\x01", MODE_64, soft_exec_enter, 8),
    IS("\x62\x03", MODE_32, soft_exec_bound, 4),
    IS("\x63\xc3", MODE_32, soft_exec_arpl, 0),
    IS("\x63\xc3", MODE_REAL, NULL, 0),
    IS("\x8e\xd8", MODE_64, soft_exec_mov_to_sreg, 0),
    IS("\x8c\xd8", MODE_64, soft_exec_mov_from_sreg, 4),
    IS("\x1e", MODE_32, soft_exec_push_sreg, 4),
    IS("\x1f", MODE_64, NULL, 0),
    IS("\x0f\xa0", MODE_64, soft_exec_push_sreg, 8),
    IS("\x0f\xa9", MODE_64, soft_exec_pop_sreg, 8),
    IS("\xc5\x03", MODE_32, soft_exec_load_far_pointer, 4),
    IS("\x0f\xb2\x03", MODE_64, soft_exec_load_far_pointer, 4),
    IS("\x0f\x01\xf8", MODE_64, soft_exec_swapgs, 0),
    IS("\x0f\x01\xf8", MODE_32, NULL, 0),
    IS("\x0f\x01\xf9", MODE_64, soft_exec_rdtscp, 0),
    IS("\x0f\x01\x38", MODE_64, soft_exec_invlpg, 0),
    IS("\x66\x0f\x38\x82\x08", MODE_64, soft_exec_invpcid, 0),
    IS("\xf3\x0f\xae\xc3", MODE_64, soft_exec_rdfsbase, 4),
    IS("\xf3\x48\x0f\xae\xd3", MODE_64, soft_exec_wrfsbase, 8),
    IS("\x0f\x00\xd8", MODE_64, soft_exec_ltr, 0),
    IS("\x0f\x00\xd8", MODE_REAL, NULL, 0),
    IS("\x0f\x01\x10", MODE_64, soft_exec_lgdt, 0),
    IS("\x0f\x01\x18", MODE_REAL, soft_exec_lidt, 2),
    IS("\x0f\x01\x00", MODE_64, soft_exec_sgdt, 0),
    IS("\x0f\x01\xe0", MODE_64, soft_exec_smsw, 4),
    IS("\x0f\x01\xf0", MODE_32, soft_exec_lmsw, 0),
    IS("\x0f\x01\xd0", MODE_64, soft_exec_xgetbv, 0),
    IS("\x0f\x01\xd1", MODE_64, soft_exec_xsetbv, 0),
    IS("\x0f\x01\xca", MODE_64, soft_exec_clac, 0),
    IS("\x0f\x01\xcb", MODE_64, soft_exec_stac, 0),
    IS("\x0f\x01\xc1", MODE_64, soft_exec_hypercall, 0),
    IS("\x0f\x01\xd9", MODE_64, soft_exec_hypercall, 0),
    IS("\x0f\x01\xc8", MODE_64, NULL, 0), /* MONITOR isn't announced */
    IS("\x0f\x01\xc2", MODE_64, NULL, 0), /* VMLAUNCH */
    IS("\x0f\x20\xd8", MODE_64, soft_exec_mov_from_cr, 0),
    IS("\x0f\x22\x1d", MODE_64, soft_exec_mov_to_cr, 0), /* as if mod were 3 */
    IS("\xf0\x0f\x20\xc0", MODE_32, soft_exec_mov_from_cr, 0),
    IS("\x0f\x23\xf8", MODE_64, soft_exec_mov_to_dr, 0),
    IS("\x0f\xae\xe8", MODE_64, soft_exec_lfence, 0),
    IS("\x0f\xae\xf0", MODE_64, soft_exec_mfence, 0),
    IS("\x0f\xae\x38", MODE_64, soft_exec_clflush, 0),
    IS("\x66\x0f\xae\x38", MODE_64, soft_exec_clflush, 0),
    IS("\x66\x0f\xae\x30", MODE_64, soft_exec_clflush, 0),
    IS("\x9c", MODE_64, soft_exec_pushf, 8),
    IS("\x66\x9d", MODE_64, soft_exec_popf, 2),
    IS("\xfa", MODE_64, soft_exec_cli, 0),
    IS("\xfb", MODE_64, soft_exec_sti, 0),
    IS("\xf4", MODE_64, soft_exec_hlt, 0),
    IS("\xe4\x60", MODE_64, soft_exec_in, 1),
    IS("\x48\xed", MODE_64, soft_exec_in, 4),
    IS("\x66\xef", MODE_64, soft_exec_out, 2),
    IS("\xf3\x6d", MODE_64, soft_exec_ins, 4),
    IS("\xf3\x6e", MODE_64, soft_exec_outs, 1),
    IS("\x0f\xa2", MODE_64, soft_exec_cpuid, 0),
    IS("\x0f\x31", MODE_64, soft_exec_rdtsc, 0),
    IS("\x0f\x30", MODE_64, soft_exec_wrmsr, 0),
    IS("\x0f\x32", MODE_64, soft_exec_rdmsr, 0),
    IS("\x48\x0f\xc7\xf0", MODE_64, soft_exec_rdrand, 8),
    IS("\x66\x0f\xc7\xf8", MODE_64, soft_exec_rdrand, 2),
    IS("\xf3\x0f\xc7\xf8", MODE_64, soft_exec_rdpid, 0),
    IS("\x0f\x0b", MODE_64, soft_exec_ud, 0),
    IS("\xf0\xfb", MODE_64, NULL, 0), /* LOCK STI */
};

static void test_decode(void **state)
{
    static struct soft_features features;
    struct soft_decoder *decoder = soft_decoder_create();
    struct cpu_model model;

    assert_non_null(decoder);
    assert_int_equal(cpu_model_parse(&model, "max", NULL), 0);
    assert_int_equal(soft_features_init(&features, &model, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
        const struct expected *want = &expectations[i];
        uint8_t bytes[SOFT_INSN_BYTES_MAX] = {0};
        struct soft_insn insn;
        enum soft_decode_result result;

        memcpy(bytes, want->bytes, want->len_bytes);
        result = soft_decode(decoder, bytes, sizeof(bytes), want->mode, &features, &insn);
        if (result != (want->exec ? SOFT_DECODED : SOFT_DECODE_UNDEFINED)) {
            fail_msg("line %zu of the list: result %d", i + 1, result);
        }
        if (want->exec && (insn.def->exec != want->exec || insn.length != want->len_bytes ||
                           (want->op_bytes && insn.op_bytes != want->op_bytes))) {
            fail_msg("line %zu of the list: %s, %u bytes long, operands of %u", i + 1, insn.def->name, insn.length,
                     insn.op_bytes);
        }
    }
    soft_decoder_destroy(decoder);
}

/* What CPUID doesn't show is undefined. */
static void test_denied(void **state)
{
    static const struct {
        const char *model;
        const char bytes[5];
    } denied[] = {
        {"max,-rdrand", "\x0f\xc7\xf0"},  {"max,-rdseed", "\x0f\xc7\xf8"},       {"max,-smap", "\x0f\x01\xcb"},
        {"max,-rdtscp", "\x0f\x01\xf9"},  {"max,-fsgsbase", "\xf3\x0f\xae\xc3"}, {"max,-invpcid", "\x66\x0f\x38\x82"},
        {"max,-xsave", "\x0f\x01\xd0"},   {"max,-syscall", "\x0f\x05"},          {"max,-sep", "\x0f\x34"},
        {"max,-clwb", "\x66\x0f\xae\x30"}};
    struct soft_decoder *decoder = soft_decoder_create();

    for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
        uint8_t bytes[SOFT_INSN_BYTES_MAX] = {0};
        static struct soft_features features;
        struct cpu_model model;
        struct soft_insn insn;

        memcpy(bytes, denied[i].bytes, 4);
        assert_int_equal(cpu_model_parse(&model, "max", NULL), 0);
        assert_int_equal(soft_features_init(&features, &model, NULL), 0);
        assert_int_equal(soft_decode(decoder, bytes, sizeof(bytes), MODE_64, &features, &insn), SOFT_DECODED);
        assert_int_equal(cpu_model_parse(&model, denied[i].model, NULL), 0);
        assert_int_equal(soft_features_init(&features, &model, NULL), 0);
        assert_int_equal(soft_decode(decoder, bytes, sizeof(bytes), MODE_64, &features, &insn), SOFT_DECODE_UNDEFINED);
    }
    soft_decoder_destroy(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_denied)};

    return cmocka_run_group_tests_name("soft_system_decode", tests, NULL, NULL);
}
