/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The software CPU's system registers, identity, time and state. */
#include <errno.h>
#include <time.h>

#include "soft_system_fixture.h"

#include "vcpu/soft/clock.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/sysreg.h"

#define BIT(n) (UINT32_C(1) << (n))

/* --- control registers -------------------------------------------------------------------------------------------- */

static void test_cr0(void **state)
{
    fixture_protected(0);
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PG));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE | CR0_NW));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE | UINT64_C(1) << 32));
    OK(soft_write_cr(CPU, 0, CR0_PE));
    assert_int_equal(CPU->cr0, CR0_PE | CR0_ET);
    fix.flushes_all = 0;
    OK(soft_write_cr(CPU, 0, CR0_PE | CR0_PG));
    assert_int_equal(fix.flushes_all, 1);
    OK(soft_write_cr(CPU, 0, 0));
    assert_false(CPU->mode & SOFT_MODE_PROTECTED);
}

static void test_into_and_out_of_long_mode(void **state)
{
    fixture_protected(0);
    assert_true(soft_write_efer(CPU, EFER_LME | EFER_LMA)); /* LMA isn't software's */
    assert_int_equal(CPU->efer, EFER_LME);
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE | CR0_PG)); /* without PAE */
    OK(soft_write_cr(CPU, 4, CR4_PAE));
    OK(soft_write_cr(CPU, 0, CR0_PE | CR0_PG));
    assert_int_equal(CPU->efer, EFER_LME | EFER_LMA);
    assert_false(CPU->mode & SOFT_MODE_64);
    assert_false(soft_write_efer(CPU, 0));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 4, 0));
    OK(soft_write_cr(CPU, 4, CR4_PAE | CR4_PCIDE));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE)); /* not with PCIDE */
    OK(soft_write_cr(CPU, 4, CR4_PAE));
    OK(soft_write_cr(CPU, 0, CR0_PE));
    assert_int_equal(CPU->efer, EFER_LME);
    fixture_long(0);
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE)); /* from 64-bit code */
}

static void test_cr3_cr4_cr8(void **state)
{
    fixture_long(0);
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 3, UINT64_C(1) << SOFT_PHYSICAL_BITS));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 3, UINT64_C(1) << 63));
    OK(soft_write_cr(CPU, 3, 0x5001));
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 4, CR4_PAE | CR4_PCIDE)); /* a PCID is there */
    OK(soft_write_cr(CPU, 3, 0x5000));
    OK(soft_write_cr(CPU, 4, CR4_PAE | CR4_PCIDE));
    fix.flushes_local = 0;
    OK(soft_write_cr(CPU, 3, UINT64_C(1) << 63 | 0x6001));
    assert_int_equal(CPU->cr3, 0x6001);
    assert_int_equal(fix.flushes_local, 0);
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 4, CR4_PAE | UINT64_C(1) << 22)); /* not announced */
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 8, 16));
    OK(soft_write_cr(CPU, 8, 9));
    assert_int_equal(fix.tpr, 0x90);
    assert_int_equal(soft_read_cr8(CPU), 9);
    RAISES(VECTOR_UD, soft_write_cr(CPU, 1, 0));

    fixture_protected(0);
    OK(soft_write_cr(CPU, 4, CR4_PAE));
    fix.pdptes_bad = true;
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 0, CR0_PE | CR0_PG));
    fix.pdptes_bad = false;
    OK(soft_write_cr(CPU, 0, CR0_PE | CR0_PG));
    fix.pdptes_bad = true;
    REFUSES(VECTOR_GP, 0, soft_write_cr(CPU, 3, 0x1000));
}

static void test_lmsw(void **state)
{
    struct soft_insn insn = {.rm = CPU_RAX, .op_bytes = 2};

    fixture_protected(0);
    CPU->gpr[CPU_RAX] = 0xe;
    OK(fixture_exec(soft_exec_lmsw, &insn));
    assert_int_equal(CPU->cr0 & 0xf, 0xf); /* PE stays */
    CPU->gpr[CPU_RAX] = 1;
    OK(fixture_exec(soft_exec_lmsw, &insn));
    assert_int_equal(CPU->cr0 & 0xf, 1);
}

/* --- model-specific registers ------------------------------------------------------------------------------------- */

static uint64_t msr(uint32_t index)
{
    uint64_t value = 0;

    assert_true(soft_msr_read(CPU, index, &value));
    return value;
}

static void test_msrs(void **state)
{
    static const uint32_t canonical[] = {0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102};
    uint64_t value;

    fixture_long(0);
    for (size_t i = 0; i < ARRAY_SIZE(canonical); i++) {
        assert_false(soft_msr_write(CPU, canonical[i], UINT64_C(0x800000000000)));
        assert_true(soft_msr_write(CPU, canonical[i], UINT64_C(0xffff800000000000)));
        assert_int_equal(msr(canonical[i]), UINT64_C(0xffff800000000000));
    }
    assert_int_equal(CPU->segment[CPU_GS].base, UINT64_C(0xffff800000000000));
    assert_true(soft_msr_write(CPU, 0xc0000103, UINT64_C(0x100000002)));
    assert_int_equal(msr(0xc0000103), 2); /* AMD ignores the rest */
    CPU->features.is_amd = false;
    assert_false(soft_msr_write(CPU, 0xc0000103, UINT64_C(0x100000002)));
    assert_false(soft_msr_read(CPU, 0x12345, &value));
    assert_false(soft_msr_write(CPU, 0x12345, 0));
    assert_false(soft_msr_write(CPU, 0xc0000080, EFER_LME | UINT64_C(1) << 12)); /* SVME */
    assert_int_equal(msr(0x8b), 0);
    assert_true(soft_msr_write(CPU, 0x8b, 0));
    assert_int_equal(msr(0xc0010015), 1 << 24);
}

static void test_memory_types(void **state)
{
    fixture_long(0);
    assert_int_equal(msr(0x277), UINT64_C(0x0007040600070406));
    assert_true(soft_msr_write(CPU, 0x277, UINT64_C(0x0407050600070106)));
    assert_false(soft_msr_write(CPU, 0x277, UINT64_C(0x0407050600070206)));
    assert_false(soft_msr_write(CPU, 0x277, UINT64_C(0x0807050600070106)));
    assert_int_equal(msr(0x277), UINT64_C(0x0407050600070106));
    assert_int_equal(msr(0xfe), 0x508);
    assert_true(soft_msr_write(CPU, 0x2ff, 0xc06));
    assert_false(soft_msr_write(CPU, 0x2ff, 0xc07));
    assert_false(soft_msr_write(CPU, 0x2ff, 0x1006));
    assert_true(soft_msr_write(CPU, 0x20e, 0x80000006));
    assert_true(soft_msr_write(CPU, 0x20f, UINT64_C(0xff80000800)));
    assert_false(soft_msr_write(CPU, 0x20f, UINT64_C(0x1ff80000800)));
    assert_false(soft_msr_write(CPU, 0x210, 6));
    assert_true(soft_msr_write(CPU, 0x26f, UINT64_C(0x0605040100060504)));
    assert_false(soft_msr_write(CPU, 0x26f, 7));
    assert_int_equal(msr(0x26f), UINT64_C(0x0605040100060504));
    assert_int_equal(msr(0x250), 0);
}

static void test_apic_msrs(void **state)
{
    uint64_t value;

    fixture_long(0);
    assert_int_equal(msr(0x1b), UINT64_C(0xfee00900));
    assert_true(soft_msr_write(CPU, 0x6e0, 1234));
    assert_int_equal(fix.deadline, 1234);
    fixture_reset("max,-x2apic,-tsc-deadline");
    assert_false(soft_msr_write(CPU, 0x6e0, 1234));
    assert_false(soft_msr_write(CPU, 0x1b, UINT64_C(0xfee00d00)));
    assert_false(soft_msr_read(CPU, 0x802, &value));
}

/* --- identity ----------------------------------------------------------------------------------------------------- */

static uint32_t cpuid(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    uint32_t r[4];

    soft_cpuid(CPU, leaf, subleaf, r);
    return r[reg];
}

static void test_cpuid_words(void **state)
{
    uint32_t supported[CPU_WORD_COUNT];
    uint32_t r[4];

    soft_supported_features(supported);
    fixture_reset("max");
    assert_int_equal(cpuid(7, 0, 1), supported[CPU_WORD_7_0_EBX]);
    assert_int_equal(cpuid(0x80000001, 0, 2), supported[CPU_WORD_80000001_ECX] | 2);
    assert_int_equal(cpuid(0x80000007, 0, 3), BIT(8));
    assert_int_equal(cpuid(1, 0, 2), supported[CPU_WORD_1_ECX]);
    assert_int_equal(cpuid(1, 0, 3), supported[CPU_WORD_1_EDX] | BIT(28));
    soft_cpuid(CPU, 0, 0, r);
    assert_memory_equal(&r[1], "Auth", 4);
    assert_memory_equal(&r[3], "enti", 4);
    assert_memory_equal(&r[2], "cAMD", 4);
    CPU->cr4 |= CR4_OSXSAVE;
    assert_true(cpuid(1, 0, 2) & BIT(27));
    fix.apic_base &= ~UINT64_C(0x800);
    assert_false(cpuid(1, 0, 3) & BIT(9));
    assert_int_equal(cpuid(0x80000008, 0, 0) & 0xff, SOFT_PHYSICAL_BITS);
    assert_int_equal(cpuid(0xd, 0, 0), 3);
    assert_int_equal(cpuid(0xd, 0, 1), 576);
    assert_int_equal(cpuid(0x16, 0, 0), 0);
    fixture_reset("max,-avx,-xsave");
    assert_int_equal(cpuid(0xd, 0, 0), 0);
    assert_false(CPU->features.has[SOFT_FEATURE_XSAVE]);
    assert_true(CPU->features.has[SOFT_FEATURE_SSE2]);
    assert_false(CPU->features.has[SOFT_FEATURE_BMI1]);
}

/* Each instruction's feature can be switched off, and CR4 follows CPUID. */
static void test_cpuid_switched_off(void **state)
{
    fixture_reset("max,-smep,-smap,-pcid,-umip,-fsgsbase,-vme");
    assert_int_equal(
        soft_cr4_defined(&CPU->features) & (CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_UMIP | CR4_FSGSBASE | CR4_VME), 0);
    fixture_reset("qemu64,-nx");
    assert_int_equal(soft_efer_defined(&CPU->features), EFER_SCE | EFER_LME | EFER_LMA);
}

static void test_cpuid_topology(void **state)
{
    fixture_reset("max");
    fix.vcpu.common.index = 3;
    fix.vcpu.common.apic_id = 3;
    assert_int_equal(cpuid(1, 0, 1) >> 24, 3);
    assert_int_equal(cpuid(1, 0, 1) >> 16 & 0xff, 4);
    assert_int_equal(cpuid(0xb, 0, 0), 1);
    assert_int_equal(cpuid(0xb, 0, 1), 2);
    assert_int_equal(cpuid(0xb, 0, 2), 0x100);
    assert_int_equal(cpuid(0xb, 1, 0), 2);
    assert_int_equal(cpuid(0xb, 1, 1), 4);
    assert_int_equal(cpuid(0xb, 1, 2), 0x201);
    assert_int_equal(cpuid(0xb, 2, 1), 0);
    assert_int_equal(cpuid(0xb, 2, 3), 3);
    assert_int_equal(cpuid(0x8000001e, 0, 1), 0x101);
    assert_int_equal(cpuid(0x80000008, 0, 2), 2 << 12 | 3);
    assert_int_equal(cpuid(4, 0, 0) >> 14 & 0xfff, 1); /* two threads share L1 */
    assert_int_equal(cpuid(4, 3, 0) >> 14 & 0xfff, 3);
    assert_int_equal(cpuid(4, 0, 0) >> 26, 1);
    assert_int_equal(cpuid(4, 4, 0), 0);
}

static void test_cpuid_hypervisor(void **state)
{
    uint32_t r[4];

    fixture_reset("max");
    soft_cpuid(CPU, 0x40000000, 0, r);
    assert_memory_equal(&r[1], "KVMKVMKVM\0\0\0", 12);
    assert_int_equal(cpuid(0x40000001, 0, 0), BIT(1) | BIT(3) | BIT(24));
    assert_int_equal(cpuid(0x40000010, 0, 0), 2500000);
    assert_int_equal((uint64_t)cpuid(0x15, 0, 2) * cpuid(0x15, 0, 1) / cpuid(0x15, 0, 0), UINT64_C(2500000000));
    fixture_reset("max,kvm=off");
    assert_int_equal(cpuid(0x40000000, 0, 0), 0);
    assert_true(cpuid(1, 0, 2) & BIT(31));
    assert_false(soft_msr_write(CPU, 0x4b564d01, 0x7001));
    fixture_reset("max,-hypervisor");
    assert_int_equal(cpuid(0x40000000, 0, 0), 0);
    RAISES(VECTOR_UD, fixture_exec(soft_exec_hypercall, &(struct soft_insn){0}));
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* How far the counter comes over a stop that lasts `ticks` of the host's. */
static uint64_t clock_over_stop(uint64_t ticks)
{
    uint64_t start = __builtin_ia32_rdtsc();
    uint64_t before;

    soft_clock_stopped(CPU);
    before = soft_tsc(CPU);
    while (__builtin_ia32_rdtsc() - start < ticks) {
        assert_int_equal(soft_tsc(CPU), before);
    }
    soft_clock_resumed(CPU);
    return soft_tsc(CPU) - before;
}

static void test_clock(void **state)
{
    const uint64_t stop = 50000000;
    uint64_t before;
    bool stood = false;

    fixture_long(0);
    assert_int_equal(soft_tsc(CPU), 0); /* stands still */
    soft_clock_set(CPU, 1000);
    assert_int_equal(soft_tsc(CPU), 1000);
    soft_clock_resumed(CPU);
    soft_clock_resumed(CPU);
    before = soft_tsc(CPU);
    assert_true(before >= 1000 && before < UINT64_C(1) << 40);
    soft_clock_set(CPU, UINT64_C(1) << 50); /* refused: it runs */
    assert_true(soft_tsc(CPU) >= before && soft_tsc(CPU) < UINT64_C(1) << 50);
    /* This thread may be held up where the clock runs, but not every time. */
    for (int i = 0; i < 10 && !stood; i++) {
        stood = clock_over_stop(stop) < stop;
    }
    assert_true(stood);
    soft_clock_stopped(CPU);
}

static void test_tsc_adjust(void **state)
{
    fixture_long(0);
    fix.deadline = 77;
    assert_true(soft_msr_write(CPU, 0x10, 5000));
    assert_int_equal(msr(0x10), 5000);
    assert_int_equal(msr(0x3b), 5000);
    assert_true(soft_msr_write(CPU, 0x3b, -UINT64_C(10)));
    assert_int_equal(msr(0x10), -UINT64_C(10));
    assert_int_equal(fix.deadline, 77);
    assert_int_equal(fix.deadline_writes, 2); /* the timer has to look again */
    fix.deadline = 0;
    assert_true(soft_msr_write(CPU, 0x3b, -UINT64_C(10)));
    assert_int_equal(fix.deadline_writes, 2);
    CPU->cr4 |= CR4_TSD;
    OK(fixture_exec(soft_exec_rdtscp, &(struct soft_insn){0}));
    assert_int_equal(CPU->gpr[CPU_RDX], UINT32_MAX);
    CPU->cpl = 3;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_rdtsc, &(struct soft_insn){0}));
}

static void test_frequency(void **state)
{
    uint64_t khz = soft_tsc_khz_measure();

    assert_true(khz > 100000 && khz < 20000000);
}

static void check_scale(uint64_t khz)
{
    uint64_t ticks = khz * 1000 * 86400 * 100; /* a hundred days */
    uint64_t expected = UINT64_C(86400) * 100 * 1000000000;
    uint32_t multiplier;
    int8_t shift;
    uint64_t ns;

    soft_kvm_clock_scale(khz, &multiplier, &shift);
    assert_true(multiplier >> 31);
    ns = soft_kvm_clock_ns(ticks, multiplier, shift);
    assert_true(ns <= expected && expected - ns <= expected >> 30);
}

static void test_kvm_clock(void **state)
{
    fixture_long(0);
    check_scale(2500000);
    check_scale(999999);
    check_scale(1000000);
    check_scale(100000);
    check_scale(5000001);
    poke(0x7000, 4, 6);
    assert_true(soft_msr_write(CPU, 0x4b564d01, 0x7001));
    assert_int_equal(peek(0x7000, 4), 8); /* the version, even again */
    assert_int_equal(peek(0x7008, 8), 0);
    assert_int_equal(peek(0x7010, 8), 0);
    assert_int_equal(peek(0x701d, 1), 1); /* stable */
    /* 0.4 ns a tick. */
    assert_int_equal(soft_kvm_clock_ns(2500000000, (uint32_t)peek(0x7018, 4), (int8_t)peek(0x701c, 1)) / 10, 99999999);
    assert_true(soft_msr_write(CPU, 0x10, 500));
    assert_int_equal(peek(0x7008, 8), 500);
    assert_true(soft_msr_write(CPU, 0x4b564d00, 0x7100));
    assert_true(peek(0x7104, 4) + 2 > (uint64_t)time(NULL) && peek(0x7104, 4) <= (uint64_t)time(NULL));
    assert_false(peek(0x7100, 4) & 1);
    assert_false(soft_msr_write(CPU, 0x4b564d00, 0x7102));
}

/* --- state -------------------------------------------------------------------------------------------------------- */

static void test_reset(void **state)
{
    static struct cpu_state got;

    fixture_reset("max");
    assert_int_equal(soft_get_state(&fix.vcpu.common, &got, NULL), 0);
    assert_int_equal(got.rip, 0xfff0);
    assert_int_equal(got.segment[CPU_CS].base, 0xffff0000);
    assert_int_equal(got.cr0, 0x60000010);
    assert_int_equal(got.rflags, 2);
    assert_int_equal(got.gpr[CPU_RDX], CPU->features.identity.signature);
    assert_int_equal(got.dr6, 0xffff0ff0);
    assert_int_equal(got.xcr0, 1);
    assert_int_equal(got.apic_base, UINT64_C(0xfee00900));
    assert_int_equal(CPU->mode, 0);
}

static void test_state_round_trip(void **state)
{
    static struct cpu_state first, second;

    fixture_long(3);
    CPU->gpr[CPU_R15] = 0x1515;
    CPU->msr.lstar = UINT64_C(0xffffffff81000000);
    CPU->msr.tsc_adjust = 50;
    CPU->nmi_masked = true;
    CPU->shadow = 1;
    CPU->interrupt_injected = true; /* taken from the controller, not yet delivered */
    CPU->interrupt_vector = 0x41;
    CPU->dr[2] = 0x22;
    fix.tpr = 0x30;
    soft_clock_set(CPU, 1000000);
    soft_set_arithmetic_flags(CPU, RFLAGS_CF | RFLAGS_OF);
    assert_int_equal(soft_get_state(&fix.vcpu.common, &first, NULL), 0);
    assert_int_equal(first.msr.tsc, 1000050);
    fixture_reset("max");
    assert_int_equal(soft_set_state(&fix.vcpu.common, &first, NULL), 0);
    assert_int_equal(soft_get_state(&fix.vcpu.common, &second, NULL), 0);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(CPU->interrupt_vector, 0x41);
    assert_int_equal(fix.tpr, 0x30);
    assert_true(CPU->mode & SOFT_MODE_64 && CPU->mode & SOFT_MODE_ONE);
    assert_int_equal(soft_tsc(CPU), 1000050);
    second.keep_tsc = true;
    second.msr.tsc = 5;
    assert_int_equal(soft_set_state(&fix.vcpu.common, &second, NULL), 0);
    assert_int_equal(soft_tsc(CPU), 1000050);
    soft_cpu_reset(CPU, true);
    assert_false(CPU->interrupt_injected);
    assert_int_equal(soft_tsc(CPU), 1000000);
}

static void refuse_state(const struct cpu_state *changed)
{
    struct error *err = NULL;
    struct fixture_registers before = fixture_registers(), after;

    assert_int_equal(soft_set_state(&fix.vcpu.common, changed, &err), -EINVAL);
    assert_non_null(err);
    error_free(err);
    after = fixture_registers();
    assert_memory_equal(&before, &after, sizeof(before));
}

#define REFUSE_STATE(field, value)                                                                                     \
    do {                                                                                                               \
        changed = good;                                                                                                \
        changed.field = value;                                                                                         \
        refuse_state(&changed);                                                                                        \
    } while (0)

static void test_impossible_states(void **state)
{
    static struct cpu_state good, changed;

    fixture_long(0);
    assert_int_equal(soft_get_state(&fix.vcpu.common, &good, NULL), 0);
    REFUSE_STATE(cr0, CR0_PG);
    REFUSE_STATE(cr0, CR0_PE | CR0_PG | CR0_NW);
    REFUSE_STATE(cr4, CR4_PAE | UINT64_C(1) << 13);
    REFUSE_STATE(cr4, 0);
    REFUSE_STATE(cr8, 16);
    REFUSE_STATE(efer, EFER_LME);
    REFUSE_STATE(efer, good.efer | UINT64_C(1) << 12);
    REFUSE_STATE(cr3, UINT64_C(1) << SOFT_PHYSICAL_BITS);
    REFUSE_STATE(rflags, RFLAGS_VM | 2);
    REFUSE_STATE(rflags, 0);
    REFUSE_STATE(rip, UINT64_C(1) << 48);
    REFUSE_STATE(segment[CPU_CS].db, true);
    REFUSE_STATE(segment[CPU_GS].base, UINT64_C(1) << 48);
    REFUSE_STATE(segment[CPU_DS].base, UINT64_C(1) << 32);
    REFUSE_STATE(msr.pat, 2);
    REFUSE_STATE(msr.lstar, UINT64_C(1) << 48);
    REFUSE_STATE(xcr0, 0);
    REFUSE_STATE(xcr0, 7);
    REFUSE_STATE(events.exception_injected, true);
    REFUSE_STATE(xsave_len_bytes, 512);
    assert_int_equal(soft_set_state(&fix.vcpu.common, &good, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cr0),
        cmocka_unit_test(test_into_and_out_of_long_mode),
        cmocka_unit_test(test_cr3_cr4_cr8),
        cmocka_unit_test(test_lmsw),
        cmocka_unit_test(test_msrs),
        cmocka_unit_test(test_memory_types),
        cmocka_unit_test(test_apic_msrs),
        cmocka_unit_test(test_cpuid_words),
        cmocka_unit_test(test_cpuid_switched_off),
        cmocka_unit_test(test_cpuid_topology),
        cmocka_unit_test(test_cpuid_hypervisor),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_tsc_adjust),
        cmocka_unit_test(test_frequency),
        cmocka_unit_test(test_kvm_clock),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_state_round_trip),
        cmocka_unit_test(test_impossible_states),
    };

    return cmocka_run_group_tests_name("soft_system", tests, NULL, NULL);
}
