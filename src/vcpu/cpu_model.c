/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models and features by name. Pure tables and text; what an accelerator can do is its own business.
 *
 * Bits are those of CPUID (Intel SDM 2, CPUID; AMD APM 3, appendix E). Names are QEMU's, because that is what people
 * have in their scripts.
 */
#include "vcpu/cpu_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/spelling.h"

struct cpu_feature {
    const char *name;
    uint8_t word; /* enum cpu_feature_word */
    uint8_t bit;
};

static const struct cpu_feature cpu_features[] = {
    {"fpu", CPU_WORD_1_EDX, 0},
    {"vme", CPU_WORD_1_EDX, 1},
    {"de", CPU_WORD_1_EDX, 2},
    {"pse", CPU_WORD_1_EDX, 3},
    {"tsc", CPU_WORD_1_EDX, 4},
    {"msr", CPU_WORD_1_EDX, 5},
    {"pae", CPU_WORD_1_EDX, 6},
    {"mce", CPU_WORD_1_EDX, 7},
    {"cx8", CPU_WORD_1_EDX, 8},
    {"apic", CPU_WORD_1_EDX, 9},
    {"sep", CPU_WORD_1_EDX, 11},
    {"mtrr", CPU_WORD_1_EDX, 12},
    {"pge", CPU_WORD_1_EDX, 13},
    {"mca", CPU_WORD_1_EDX, 14},
    {"cmov", CPU_WORD_1_EDX, 15},
    {"pat", CPU_WORD_1_EDX, 16},
    {"pse36", CPU_WORD_1_EDX, 17},
    {"clflush", CPU_WORD_1_EDX, 19},
    {"mmx", CPU_WORD_1_EDX, 23},
    {"fxsr", CPU_WORD_1_EDX, 24},
    {"sse", CPU_WORD_1_EDX, 25},
    {"sse2", CPU_WORD_1_EDX, 26},
    {"ss", CPU_WORD_1_EDX, 27},
    {"ht", CPU_WORD_1_EDX, 28},
    {"pni", CPU_WORD_1_ECX, 0},
    {"sse3", CPU_WORD_1_ECX, 0},
    {"pclmulqdq", CPU_WORD_1_ECX, 1},
    {"monitor", CPU_WORD_1_ECX, 3},
    {"vmx", CPU_WORD_1_ECX, 5},
    {"ssse3", CPU_WORD_1_ECX, 9},
    {"fma", CPU_WORD_1_ECX, 12},
    {"cx16", CPU_WORD_1_ECX, 13},
    {"pcid", CPU_WORD_1_ECX, 17},
    {"sse4.1", CPU_WORD_1_ECX, 19},
    {"sse4.2", CPU_WORD_1_ECX, 20},
    {"x2apic", CPU_WORD_1_ECX, 21},
    {"movbe", CPU_WORD_1_ECX, 22},
    {"popcnt", CPU_WORD_1_ECX, 23},
    {"tsc-deadline", CPU_WORD_1_ECX, 24},
    {"aes", CPU_WORD_1_ECX, 25},
    {"xsave", CPU_WORD_1_ECX, 26},
    {"avx", CPU_WORD_1_ECX, 28},
    {"f16c", CPU_WORD_1_ECX, 29},
    {"rdrand", CPU_WORD_1_ECX, 30},
    {"hypervisor", CPU_WORD_1_ECX, 31},
    {"fsgsbase", CPU_WORD_7_0_EBX, 0},
    {"tsc-adjust", CPU_WORD_7_0_EBX, 1},
    {"bmi1", CPU_WORD_7_0_EBX, 3},
    {"hle", CPU_WORD_7_0_EBX, 4},
    {"avx2", CPU_WORD_7_0_EBX, 5},
    {"smep", CPU_WORD_7_0_EBX, 7},
    {"bmi2", CPU_WORD_7_0_EBX, 8},
    {"erms", CPU_WORD_7_0_EBX, 9},
    {"invpcid", CPU_WORD_7_0_EBX, 10},
    {"rtm", CPU_WORD_7_0_EBX, 11},
    {"avx512f", CPU_WORD_7_0_EBX, 16},
    {"avx512dq", CPU_WORD_7_0_EBX, 17},
    {"rdseed", CPU_WORD_7_0_EBX, 18},
    {"adx", CPU_WORD_7_0_EBX, 19},
    {"smap", CPU_WORD_7_0_EBX, 20},
    {"clflushopt", CPU_WORD_7_0_EBX, 23},
    {"clwb", CPU_WORD_7_0_EBX, 24},
    {"avx512cd", CPU_WORD_7_0_EBX, 28},
    {"sha-ni", CPU_WORD_7_0_EBX, 29},
    {"avx512bw", CPU_WORD_7_0_EBX, 30},
    {"avx512vl", CPU_WORD_7_0_EBX, 31},
    {"avx512vbmi", CPU_WORD_7_0_ECX, 1},
    {"umip", CPU_WORD_7_0_ECX, 2},
    {"pku", CPU_WORD_7_0_ECX, 3},
    {"gfni", CPU_WORD_7_0_ECX, 8},
    {"vaes", CPU_WORD_7_0_ECX, 9},
    {"vpclmulqdq", CPU_WORD_7_0_ECX, 10},
    {"la57", CPU_WORD_7_0_ECX, 16},
    {"rdpid", CPU_WORD_7_0_ECX, 22},
    {"fsrm", CPU_WORD_7_0_EDX, 4},
    {"md-clear", CPU_WORD_7_0_EDX, 10},
    {"serialize", CPU_WORD_7_0_EDX, 14},
    {"spec-ctrl", CPU_WORD_7_0_EDX, 26},
    {"stibp", CPU_WORD_7_0_EDX, 27},
    {"arch-capabilities", CPU_WORD_7_0_EDX, 29},
    {"ssbd", CPU_WORD_7_0_EDX, 31},
    {"avx-vnni", CPU_WORD_7_1_EAX, 4},
    {"avx512-bf16", CPU_WORD_7_1_EAX, 5},
    {"xsaveopt", CPU_WORD_D_1_EAX, 0},
    {"xsavec", CPU_WORD_D_1_EAX, 1},
    {"xgetbv1", CPU_WORD_D_1_EAX, 2},
    {"xsaves", CPU_WORD_D_1_EAX, 3},
    {"syscall", CPU_WORD_80000001_EDX, 11},
    {"nx", CPU_WORD_80000001_EDX, 20},
    {"mmxext", CPU_WORD_80000001_EDX, 22},
    {"fxsr-opt", CPU_WORD_80000001_EDX, 25},
    {"pdpe1gb", CPU_WORD_80000001_EDX, 26},
    {"rdtscp", CPU_WORD_80000001_EDX, 27},
    {"lm", CPU_WORD_80000001_EDX, 29},
    {"lahf-lm", CPU_WORD_80000001_ECX, 0},
    {"cmp-legacy", CPU_WORD_80000001_ECX, 1},
    {"svm", CPU_WORD_80000001_ECX, 2},
    {"cr8legacy", CPU_WORD_80000001_ECX, 4},
    {"abm", CPU_WORD_80000001_ECX, 5},
    {"sse4a", CPU_WORD_80000001_ECX, 6},
    {"misalignsse", CPU_WORD_80000001_ECX, 7},
    {"3dnowprefetch", CPU_WORD_80000001_ECX, 8},
    {"osvw", CPU_WORD_80000001_ECX, 9},
    {"topoext", CPU_WORD_80000001_ECX, 22},
    {"perfctr-core", CPU_WORD_80000001_ECX, 23},
    {"invtsc", CPU_WORD_80000007_EDX, 8},
    {"clzero", CPU_WORD_80000008_EBX, 0},
    {"xsaveerptr", CPU_WORD_80000008_EBX, 2},
    {"wbnoinvd", CPU_WORD_80000008_EBX, 9},
    {"ibpb", CPU_WORD_80000008_EBX, 12},
};

/* --- models ----------------------------------------------------------------------------------------------------- */

struct cpu_model_definition {
    const char *name, *description;
    char vendor[13];
    uint32_t signature; /* CPUID.1:EAX */
    const char *brand;
    uint32_t words[CPU_WORD_COUNT];
};

/* What every 64-bit CPU has, then what the psABI's levels add. */
#define EDX_BASE     UINT32_C(0x078bfbff)
#define EXT_EDX_BASE UINT32_C(0x20100800) /* syscall, nx, lm */
#define ECX_HYPER    (UINT32_C(1) << 31 | UINT32_C(1) << 21)
#define ECX_V2       (UINT32_C(1) << 0 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23)
#define ECX_V3       (UINT32_C(1) << 12 | 1 << 22 | 1 << 26 | 1 << 28 | 1 << 29)
#define EBX_V3       (UINT32_C(1) << 3 | 1 << 5 | 1 << 8)
#define EXT_ECX_LAHF UINT32_C(1)
#define EXT_ECX_ABM  (UINT32_C(1) << 5)

static const struct cpu_model_definition cpu_models[] = {
    {.name = "qemu64",
     .description = "a plain 64-bit CPU with SSE3",
     .vendor = "AuthenticAMD",
     .signature = 0x000f0610 | 0xb << 4 | 1,
     .brand = "heddle Virtual CPU",
     .words = {[CPU_WORD_1_EDX] = EDX_BASE,
               [CPU_WORD_1_ECX] = ECX_HYPER | 1 | 1 << 13,
               [CPU_WORD_80000001_EDX] = EXT_EDX_BASE,
               [CPU_WORD_80000001_ECX] = EXT_ECX_LAHF}},
    {.name = "x86-64-v2",
     .description = "SSE4.2, POPCNT, CMPXCHG16B (psABI level 2)",
     .vendor = "AuthenticAMD",
     .signature = 0x000f0611,
     .brand = "heddle Virtual CPU v2",
     .words = {[CPU_WORD_1_EDX] = EDX_BASE,
               [CPU_WORD_1_ECX] = ECX_HYPER | ECX_V2,
               [CPU_WORD_80000001_EDX] = EXT_EDX_BASE,
               [CPU_WORD_80000001_ECX] = EXT_ECX_LAHF}},
    {.name = "x86-64-v3",
     .description = "AVX2, BMI, FMA, MOVBE, XSAVE (psABI level 3)",
     .vendor = "AuthenticAMD",
     .signature = 0x000f0611,
     .brand = "heddle Virtual CPU v3",
     .words = {[CPU_WORD_1_EDX] = EDX_BASE,
               [CPU_WORD_1_ECX] = ECX_HYPER | ECX_V2 | ECX_V3,
               [CPU_WORD_7_0_EBX] = EBX_V3,
               [CPU_WORD_80000001_EDX] = EXT_EDX_BASE,
               [CPU_WORD_80000001_ECX] = EXT_ECX_LAHF | EXT_ECX_ABM}},
    {.name = "EPYC",
     .description = "AMD EPYC (Zen)",
     .vendor = "AuthenticAMD",
     .signature = 0x00800f12,
     .brand = "AMD EPYC Processor",
     .words = {[CPU_WORD_1_EDX] = EDX_BASE,
               [CPU_WORD_1_ECX] = ECX_HYPER | ECX_V2 | ECX_V3 | 1 << 1 | 1 << 25 | 1 << 30,
               [CPU_WORD_7_0_EBX] = EBX_V3 | 1 << 0 | 1 << 7 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 23 | 1 << 29,
               [CPU_WORD_D_1_EAX] = 7,
               [CPU_WORD_80000001_EDX] = EXT_EDX_BASE | 1 << 22 | 1 << 25 | 1 << 26 | 1 << 27,
               [CPU_WORD_80000001_ECX] =
                   EXT_ECX_LAHF | EXT_ECX_ABM | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 22}},
    {.name = "Haswell",
     .description = "Intel Core (Haswell)",
     .vendor = "GenuineIntel",
     .signature = 0x000306c4,
     .brand = "Intel Core Processor (Haswell)",
     .words = {[CPU_WORD_1_EDX] = EDX_BASE,
               [CPU_WORD_1_ECX] = ECX_HYPER | ECX_V2 | ECX_V3 | 1 << 1 | 1 << 17 | 1 << 24 | 1 << 25 | 1 << 30,
               [CPU_WORD_7_0_EBX] = EBX_V3 | 1 << 0 | 1 << 7 | 1 << 9 | 1 << 10,
               [CPU_WORD_D_1_EAX] = 1,
               [CPU_WORD_80000001_EDX] = EXT_EDX_BASE | 1 << 27,
               [CPU_WORD_80000001_ECX] = EXT_ECX_LAHF | EXT_ECX_ABM}},
};

/* Underscores and dashes are the same in feature names. */
static bool feature_name_equals(const char *typed, const char *name)
{
    for (; *typed && *name; typed++, name++) {
        char c = *typed == '_' ? '-' : *typed;

        if (c != *name && !(c == '-' && *name == '.')) {
            return false;
        }
    }
    return *typed == *name;
}

static int cpu_unknown(const char *kind, const char *name, const struct spelling *spelling, struct error **err)
{
    const char *nearest = spelling_nearest(spelling);

    if (nearest) {
        return error_set(err, -EINVAL, "there is no CPU %s '%s': did you mean '%s'? (-cpu help lists them)", kind, name,
                         nearest);
    }
    return error_set(err, -EINVAL, "there is no CPU %s '%s' (-cpu help lists them)", kind, name);
}

int cpu_model_init(struct cpu_model *model, const char *name, struct error **err)
{
    struct spelling spelling;

    if (strcmp(name, "host") == 0 || strcmp(name, "max") == 0) {
        *model = (struct cpu_model){.name = *name == 'h' ? "host" : "max"};
        return 0;
    }
    spelling_begin(&spelling, name);
    spelling_offer(&spelling, "host");
    spelling_offer(&spelling, "max");
    for (size_t i = 0; i < ARRAY_SIZE(cpu_models); i++) {
        if (strcmp(name, cpu_models[i].name) == 0) {
            *model = (struct cpu_model){.definition = &cpu_models[i], .name = cpu_models[i].name};
            return 0;
        }
        spelling_offer(&spelling, cpu_models[i].name);
    }
    return cpu_unknown("model", name, &spelling, err);
}

static void cpu_model_set_bit(struct cpu_model *model, unsigned word, uint32_t mask, bool on)
{
    model->plus[word] = on ? model->plus[word] | mask : model->plus[word] & ~mask;
    model->minus[word] = on ? model->minus[word] & ~mask : model->minus[word] | mask;
}

int cpu_model_set_feature(struct cpu_model *model, const char *name, bool on, struct error **err)
{
    struct spelling spelling;

    if (strcmp(name, "kvm") == 0) {
        model->hide_kvm = !on;
        return 0;
    }
    spelling_begin(&spelling, name);
    spelling_offer(&spelling, "kvm");
    for (size_t i = 0; i < ARRAY_SIZE(cpu_features); i++) {
        const struct cpu_feature *feature = &cpu_features[i];
        if (feature_name_equals(name, feature->name)) {
            cpu_model_set_bit(model, feature->word, UINT32_C(1) << feature->bit, on);
            model->hide_hypervisor = model->minus[CPU_WORD_1_ECX] >> 31;
            return 0;
        }
        spelling_offer(&spelling, feature->name);
    }
    return cpu_unknown("feature", name, &spelling, err);
}

/* One item behind the model's name: "+x", "-x", "x=on", "x=off", or "x", which means on. */
static int cpu_model_parse_item(struct cpu_model *model, char *item, struct error **err)
{
    char *value = strchr(item, '=');
    bool on = true;

    if (*item == '+' || *item == '-') {
        on = *item++ == '+';
    } else if (value) {
        *value++ = '\0';
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
            return error_set(err, -EINVAL, "-cpu: feature '%s' can be 'on' or 'off', not '%s'", item, value);
        }
        on = value[1] == 'n';
    }
    return cpu_model_set_feature(model, item, on, err);
}

int cpu_model_parse(struct cpu_model *model, const char *text, struct error **err)
{
    HDL_AUTO_FREE char *copy = strdup(text);
    struct cpu_model parsed;
    char *rest = copy;
    char *item;
    int ret;

    if (!copy) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = cpu_model_init(&parsed, strsep(&rest, ","), err);
    while (ret == 0 && (item = strsep(&rest, ","))) {
        ret = cpu_model_parse_item(&parsed, item, err);
    }
    if (ret == 0) {
        *model = parsed;
    }
    return ret;
}

void cpu_model_list(void (*fn)(const char *name, const char *description, void *opaque), void *opaque)
{
    fn("host", "all that the accelerator can do on this host", opaque);
    fn("max", "the same", opaque);
    for (size_t i = 0; i < ARRAY_SIZE(cpu_models); i++) {
        fn(cpu_models[i].name, cpu_models[i].description, opaque);
    }
}

void cpu_feature_list(void (*fn)(const char *name, void *opaque), void *opaque)
{
    for (size_t i = 0; i < ARRAY_SIZE(cpu_features); i++) {
        fn(cpu_features[i].name, opaque);
    }
}

/* --- what becomes of a model ------------------------------------------------------------------------------------ */

/* The names of the bits in `missing`, with commas between them. */
static void cpu_missing_names(const uint32_t missing[CPU_WORD_COUNT], char *text, size_t len_bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(cpu_features); i++) {
        const struct cpu_feature *feature = &cpu_features[i];

        if ((missing[feature->word] >> feature->bit & 1) && used + 24 < len_bytes) {
            used += snprintf(text + used, len_bytes - used, "%s%s", used ? ", " : "", feature->name);
        }
    }
}

static int cpu_model_check_plus(const struct cpu_model *model, const uint32_t *supported, struct error **err)
{
    uint32_t missing[CPU_WORD_COUNT];
    uint32_t any = 0;
    char names[256];

    for (int i = 0; i < CPU_WORD_COUNT; i++) {
        missing[i] = model->plus[i] & ~supported[i];
        any |= missing[i];
    }
    if (!any) {
        return 0;
    }
    cpu_missing_names(missing, names, sizeof(names));
    return error_set(err, -ENOTSUP, "-cpu %s: this host's accelerator can't provide: %s", model->name, names);
}

static void cpu_model_warn_missing(const struct cpu_model *model, const uint32_t *supported)
{
    uint32_t missing[CPU_WORD_COUNT];
    char names[512];

    for (int i = 0; i < CPU_WORD_COUNT; i++) {
        missing[i] = model->definition->words[i] & ~supported[i] & ~model->minus[i];
    }
    cpu_missing_names(missing, names, sizeof(names));
    if (names[0]) {
        log_warn("-cpu %s: left out what this host's accelerator can't provide: %s", model->name, names);
    }
}

int cpu_model_resolve(const struct cpu_model *model, const uint32_t supported[CPU_WORD_COUNT],
                      struct cpu_identity *identity, struct error **err)
{
    const struct cpu_model_definition *definition = model->definition;
    int ret = cpu_model_check_plus(model, supported, err);

    if (ret < 0) {
        return ret;
    }
    memset(identity, 0, sizeof(*identity));
    if (definition) {
        cpu_model_warn_missing(model, supported);
        memcpy(identity->vendor, definition->vendor, sizeof(identity->vendor));
        snprintf(identity->brand, sizeof(identity->brand), "%s", definition->brand);
        identity->signature = definition->signature;
    }
    for (int i = 0; i < CPU_WORD_COUNT; i++) {
        uint32_t wanted = (definition ? definition->words[i] : UINT32_MAX) | model->plus[i];

        identity->words[i] = wanted & ~model->minus[i] & supported[i];
    }
    return 0;
}

/* --- topology --------------------------------------------------------------------------------------------------- */

/* Bits that hold 0 .. count - 1. */
static unsigned topology_bits(unsigned count)
{
    return count <= 1 ? 0 : 32 - __builtin_clz(count - 1);
}

unsigned cpu_topology_core_shift(const struct cpu_topology *topology)
{
    return topology_bits(topology->threads);
}

unsigned cpu_topology_socket_shift(const struct cpu_topology *topology)
{
    return cpu_topology_core_shift(topology) + topology_bits(topology->cores);
}

uint32_t cpu_topology_apic_id(const struct cpu_topology *topology, unsigned index)
{
    unsigned thread = index % topology->threads;
    unsigned core = index / topology->threads % topology->cores;
    unsigned socket = index / topology->threads / topology->cores;

    return thread | core << cpu_topology_core_shift(topology) | socket << cpu_topology_socket_shift(topology);
}
