/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPU a guest sees: what this accelerator carries out, cut down to the chosen model. Only what is carried out is
 * ever shown. CPUID's leaves themselves are cpuid.c's.
 */
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "vcpu/soft/system.h"

/* Family 15, model 107: 64-bit, and old enough that kernels see no need of mitigations and have no errata to probe. */
#define DEFAULT_SIGNATURE UINT32_C(0x00060fb1)
#define DEFAULT_VENDOR    "AuthenticAMD"
#define DEFAULT_BRAND     "heddle Software CPU"

#define BIT(n) (UINT32_C(1) << (n))

struct feature_place {
    uint8_t word, bit; /* enum cpu_feature_word */
};

/* Instructions by the bit that announces them; BASE has none. */
static const struct feature_place feature_places[SOFT_FEATURE_COUNT] = {
    [SOFT_FEATURE_FPU] = {CPU_WORD_1_EDX, 0},
    [SOFT_FEATURE_TSC] = {CPU_WORD_1_EDX, 4},
    [SOFT_FEATURE_MSR] = {CPU_WORD_1_EDX, 5},
    [SOFT_FEATURE_CX8] = {CPU_WORD_1_EDX, 8},
    [SOFT_FEATURE_SEP] = {CPU_WORD_1_EDX, 11},
    [SOFT_FEATURE_CMOV] = {CPU_WORD_1_EDX, 15},
    [SOFT_FEATURE_CLFLUSH] = {CPU_WORD_1_EDX, 19},
    [SOFT_FEATURE_MMX] = {CPU_WORD_1_EDX, 23},
    [SOFT_FEATURE_FXSR] = {CPU_WORD_1_EDX, 24},
    [SOFT_FEATURE_SSE] = {CPU_WORD_1_EDX, 25},
    [SOFT_FEATURE_SSE2] = {CPU_WORD_1_EDX, 26},
    [SOFT_FEATURE_SSE3] = {CPU_WORD_1_ECX, 0},
    [SOFT_FEATURE_PCLMUL] = {CPU_WORD_1_ECX, 1},
    [SOFT_FEATURE_MONITOR] = {CPU_WORD_1_ECX, 3},
    [SOFT_FEATURE_SSSE3] = {CPU_WORD_1_ECX, 9},
    [SOFT_FEATURE_CX16] = {CPU_WORD_1_ECX, 13},
    [SOFT_FEATURE_SSE41] = {CPU_WORD_1_ECX, 19},
    [SOFT_FEATURE_SSE42] = {CPU_WORD_1_ECX, 20},
    [SOFT_FEATURE_MOVBE] = {CPU_WORD_1_ECX, 22},
    [SOFT_FEATURE_POPCNT] = {CPU_WORD_1_ECX, 23},
    [SOFT_FEATURE_AES] = {CPU_WORD_1_ECX, 25},
    [SOFT_FEATURE_XSAVE] = {CPU_WORD_1_ECX, 26},
    [SOFT_FEATURE_XSAVEOPT] = {CPU_WORD_D_1_EAX, 0},
    [SOFT_FEATURE_RDRAND] = {CPU_WORD_1_ECX, 30},
    [SOFT_FEATURE_RDSEED] = {CPU_WORD_7_0_EBX, 18},
    [SOFT_FEATURE_FSGSBASE] = {CPU_WORD_7_0_EBX, 0},
    [SOFT_FEATURE_BMI1] = {CPU_WORD_7_0_EBX, 3},
    [SOFT_FEATURE_BMI2] = {CPU_WORD_7_0_EBX, 8},
    [SOFT_FEATURE_ADX] = {CPU_WORD_7_0_EBX, 19},
    [SOFT_FEATURE_SMAP] = {CPU_WORD_7_0_EBX, 20},
    [SOFT_FEATURE_INVPCID] = {CPU_WORD_7_0_EBX, 10},
    [SOFT_FEATURE_CLFLUSHOPT] = {CPU_WORD_7_0_EBX, 23},
    [SOFT_FEATURE_CLWB] = {CPU_WORD_7_0_EBX, 24},
    [SOFT_FEATURE_SHA] = {CPU_WORD_7_0_EBX, 29},
    [SOFT_FEATURE_RDPID] = {CPU_WORD_7_0_ECX, 22},
    [SOFT_FEATURE_SYSCALL] = {CPU_WORD_80000001_EDX, 11},
    [SOFT_FEATURE_RDTSCP] = {CPU_WORD_80000001_EDX, 27},
    [SOFT_FEATURE_LM] = {CPU_WORD_80000001_EDX, 29},
    [SOFT_FEATURE_LAHF] = {CPU_WORD_80000001_ECX, 0},
    [SOFT_FEATURE_ABM] = {CPU_WORD_80000001_ECX, 5},
    [SOFT_FEATURE_PREFETCHW] = {CPU_WORD_80000001_ECX, 8},
};

/* What is carried out by the host's own instruction of the same kind needs a host that has it. */
static uint32_t supported_by_host(void)
{
    uint32_t bits = 0;

#if defined(__x86_64__)
    bits |= __builtin_cpu_supports("sse3") ? BIT(0) : 0;
    bits |= __builtin_cpu_supports("pclmul") ? BIT(1) : 0;
    bits |= __builtin_cpu_supports("ssse3") ? BIT(9) : 0;
    bits |= __builtin_cpu_supports("sse4.1") ? BIT(19) : 0;
    bits |= __builtin_cpu_supports("sse4.2") ? BIT(20) : 0;
    bits |= __builtin_cpu_supports("popcnt") ? BIT(23) : 0;
    bits |= __builtin_cpu_supports("aes") ? BIT(25) : 0;
#endif
    return bits;
}

static uint32_t supported_sha(void)
{
    uint32_t ebx = 0;

#if defined(__x86_64__)
    uint32_t eax, ecx, edx;

    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        ebx = 0;
    }
#endif
    return ebx & BIT(29);
}

void soft_supported_features(uint32_t words[CPU_WORD_COUNT])
{
    memset(words, 0, CPU_WORD_COUNT * sizeof(words[0]));
    /* fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 */
    words[CPU_WORD_1_EDX] = UINT32_C(0x078bfbff);
    /* cx16 pcid x2apic movbe tsc-deadline xsave rdrand hypervisor, and what the host lends */
    words[CPU_WORD_1_ECX] =
        BIT(13) | BIT(17) | BIT(21) | BIT(22) | BIT(24) | BIT(26) | BIT(30) | BIT(31) | supported_by_host();
    /* fsgsbase tsc-adjust smep erms invpcid rdseed adx smap clflushopt clwb */
    words[CPU_WORD_7_0_EBX] =
        BIT(0) | BIT(1) | BIT(7) | BIT(9) | BIT(10) | BIT(18) | BIT(19) | BIT(20) | BIT(23) | BIT(24) | supported_sha();
    /* umip rdpid */
    words[CPU_WORD_7_0_ECX] = BIT(2) | BIT(22);
    words[CPU_WORD_D_1_EAX] = BIT(0); /* xsaveopt */
    /* syscall nx pdpe1gb rdtscp lm */
    words[CPU_WORD_80000001_EDX] = BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29);
    /* lahf-lm cr8legacy abm 3dnowprefetch topoext */
    words[CPU_WORD_80000001_ECX] = BIT(0) | BIT(4) | BIT(5) | BIT(8) | BIT(22);
    /* invtsc */
    words[CPU_WORD_80000007_EDX] = BIT(8);
}

/* What makes no sense without something else that may have been switched off. */
static void features_drop_dependants(uint32_t words[CPU_WORD_COUNT])
{
    if (!(words[CPU_WORD_1_EDX] & BIT(9))) { /* apic */
        words[CPU_WORD_1_ECX] &= ~(BIT(21) | BIT(24));
    }
    if (!(words[CPU_WORD_80000001_EDX] & BIT(29))) { /* lm */
        words[CPU_WORD_1_ECX] &= ~(BIT(13) | BIT(17));
        words[CPU_WORD_80000001_EDX] &= ~BIT(26);
    }
    if (!(words[CPU_WORD_1_ECX] & BIT(26))) { /* xsave */
        words[CPU_WORD_D_1_EAX] = 0;
    }
}

int soft_features_init(struct soft_features *features, const struct cpu_model *model, struct error **err)
{
    struct cpu_identity *identity = &features->identity;
    uint32_t supported[CPU_WORD_COUNT];
    int ret;

    soft_supported_features(supported);
    ret = cpu_model_resolve(model, supported, identity, err);
    if (ret < 0) {
        return ret;
    }
    features_drop_dependants(identity->words);
    if (!identity->vendor[0]) {
        memcpy(identity->vendor, DEFAULT_VENDOR, sizeof(identity->vendor));
    }
    if (!identity->brand[0]) {
        memcpy(identity->brand, DEFAULT_BRAND, sizeof(DEFAULT_BRAND));
    }
    if (!identity->signature) {
        identity->signature = DEFAULT_SIGNATURE;
    }
    for (unsigned i = 0; i < SOFT_FEATURE_COUNT; i++) {
        const struct feature_place *place = &feature_places[i];

        features->has[i] = i == SOFT_FEATURE_BASE || (identity->words[place->word] >> place->bit & 1);
    }
    features->is_amd = memcmp(identity->vendor, "AuthenticAMD", 12) == 0;
    features->has_kvm = !model->hide_kvm && (identity->words[CPU_WORD_1_ECX] & BIT(31));
    return 0;
}
