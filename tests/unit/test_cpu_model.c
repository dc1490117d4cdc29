/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU models and features by name, what becomes of them on a host that can less, APIC ids, and a register dump. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/accel.h"
#include "vcpu/cpu_model.h"
#include "vcpu/cpu_state.h"

#define BIT(n) (UINT32_C(1) << (n))

static void check_error(const char *text, const char *needle)
{
    struct cpu_model model = {.name = "untouched"};
    struct error *err = NULL;

    assert_int_equal(cpu_model_parse(&model, text, &err), -EINVAL);
    assert_non_null(err);
    if (!strstr(err->message, needle)) {
        fail_msg("'%s' isn't in: %s", needle, err->message);
    }
    assert_string_equal(model.name, "untouched");
    error_free(err);
}

static void test_parse(void **state)
{
    struct cpu_model model;

    assert_int_equal(cpu_model_parse(&model, "host", NULL), 0);
    assert_null(model.definition);
    assert_int_equal(cpu_model_parse(&model, "EPYC,+svm,-avx2,smep=off,rdseed=on,x2apic", NULL), 0);
    assert_string_equal(model.name, "EPYC");
    assert_int_equal(model.plus[CPU_WORD_80000001_ECX], BIT(2));
    assert_int_equal(model.minus[CPU_WORD_7_0_EBX], BIT(5) | BIT(7));
    assert_int_equal(model.plus[CPU_WORD_7_0_EBX], BIT(18));
    assert_int_equal(model.plus[CPU_WORD_1_ECX], BIT(21));
    /* The last word counts; underscores, dashes and dots are the same. */
    assert_int_equal(cpu_model_parse(&model, "max,+avx,-avx,sse4_2=off,+lahf_lm", NULL), 0);
    assert_int_equal(model.plus[CPU_WORD_1_ECX], 0);
    assert_int_equal(model.minus[CPU_WORD_1_ECX], BIT(28) | BIT(20));
    assert_int_equal(cpu_model_parse(&model, "host,kvm=off,-hypervisor", NULL), 0);
    assert_true(model.hide_kvm && model.hide_hypervisor);
}

static void test_parse_errors(void **state)
{
    check_error("EPYK", "did you mean 'EPYC'");
    check_error("hots", "did you mean 'host'");
    check_error("", "no CPU model ''");
    check_error("host,+avx22", "did you mean 'avx2'");
    check_error("host,avx2=maybe", "'on' or 'off', not 'maybe'");
    check_error("host,", "no CPU feature ''");
}

static void test_resolve(void **state)
{
    uint32_t supported[CPU_WORD_COUNT] = {[CPU_WORD_1_EDX] = 0x078bfbff, [CPU_WORD_1_ECX] = BIT(0) | BIT(31)};
    struct cpu_identity identity;
    struct cpu_model model;
    struct error *err = NULL;

    assert_int_equal(cpu_model_parse(&model, "host,-sse2", NULL), 0);
    assert_int_equal(cpu_model_resolve(&model, supported, &identity, NULL), 0);
    assert_int_equal(identity.words[CPU_WORD_1_EDX], 0x078bfbff & ~BIT(26));
    assert_int_equal(identity.words[CPU_WORD_1_ECX], BIT(0) | BIT(31));
    assert_int_equal(identity.vendor[0], 0);

    /* A named model loses what the host lacks; what somebody asked for by name is an error. */
    assert_int_equal(cpu_model_parse(&model, "qemu64", NULL), 0);
    assert_int_equal(cpu_model_resolve(&model, supported, &identity, NULL), 0);
    assert_int_equal(identity.words[CPU_WORD_1_ECX], BIT(0) | BIT(31));
    assert_string_equal(identity.vendor, "AuthenticAMD");
    assert_int_equal(cpu_model_parse(&model, "qemu64,+avx,+sse3", NULL), 0);
    assert_int_equal(cpu_model_resolve(&model, supported, &identity, &err), -ENOTSUP);
    assert_non_null(strstr(err->message, "avx"));
    assert_null(strstr(err->message, "sse3"));
    error_free(err);
}

static void test_topology(void **state)
{
    const struct cpu_topology flat = {4, 1, 1};
    const struct cpu_topology odd = {2, 3, 2};
    const uint32_t ids[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13};

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(cpu_topology_apic_id(&flat, i), i);
    }
    /* Three cores take two bits, so the second socket starts at 8. */
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(cpu_topology_apic_id(&odd, i), ids[i]);
    }
    assert_int_equal(cpu_topology_core_shift(&odd), 1);
    assert_int_equal(cpu_topology_socket_shift(&odd), 3);
}

static void test_reset_state(void **state)
{
    struct cpu_state cpu;
    char small[64];
    char text[4096];
    int len;

    cpu_state_reset(&cpu, true);
    assert_int_equal(cpu.segment[CPU_CS].base + cpu.rip, 0xfffffff0);
    assert_int_equal(cpu.activity, CPU_RUNNABLE);
    len = cpu_state_format(&cpu, text, sizeof(text));
    assert_int_equal(len, strlen(text));
    assert_non_null(strstr(text, "CS =f000 base=00000000ffff0000"));
    /* As snprintf: cut off, but the whole length is told. */
    assert_int_equal(cpu_state_format(&cpu, small, sizeof(small)), len);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_memory_equal(small, text, sizeof(small) - 1);
    cpu_state_reset(&cpu, false);
    assert_int_equal(cpu.activity, CPU_WAIT_FOR_INIT);
}

/* What INIT keeps and what it doesn't, and where a start-up message starts. */
static void test_init_state(void **state)
{
    struct cpu_state cpu;

    cpu_state_reset(&cpu, false);
    cpu.cr0 = 0x80000011; /* caching on */
    cpu.gpr[CPU_RBX] = 5;
    cpu.efer = 0xd01;
    cpu.xcr0 = 7;
    cpu.msr.lstar = 0x1234;
    cpu.apic_base = 0xfee00c00;
    cpu.xsave[100] = 0x5a;
    cpu.events.nmi_pending = true;
    cpu_state_init(&cpu, false, 0x806e9);
    assert_int_equal(cpu.cr0, 0x10);
    assert_int_equal(cpu.gpr[CPU_RBX], 0);
    assert_int_equal(cpu.gpr[CPU_RDX], 0x806e9);
    assert_int_equal(cpu.efer, 0);
    assert_int_equal(cpu.xcr0, 7);
    assert_int_equal(cpu.msr.lstar, 0x1234);
    assert_int_equal(cpu.apic_base, 0xfee00c00);
    assert_int_equal(cpu.xsave[100], 0x5a);
    assert_false(cpu.events.nmi_pending);
    assert_true(cpu.keep_tsc);
    assert_int_equal(cpu.activity, CPU_WAIT_FOR_SIPI);
    cpu_state_start_up(&cpu, 0x9f);
    assert_int_equal(cpu.segment[CPU_CS].selector, 0x9f00);
    assert_int_equal(cpu.segment[CPU_CS].base + cpu.rip, 0x9f000);
    assert_int_equal(cpu.activity, CPU_RUNNABLE);
    cpu_state_init(&cpu, true, 0);
    assert_int_equal(cpu.activity, CPU_RUNNABLE);
    assert_int_equal(cpu.segment[CPU_CS].base + cpu.rip, 0xfffffff0);
}

static void test_accelerators_by_name(void **state)
{
    assert_ptr_equal(accel_find("kvm"), &accel_kvm_ops);
    assert_null(accel_find("tcg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_topology),
        cmocka_unit_test(test_reset_state),
        cmocka_unit_test(test_init_state),
        cmocka_unit_test(test_accelerators_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
