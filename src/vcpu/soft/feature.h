/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a software CPU's CPUID shows, and which of it instructions need. An instruction whose feature isn't shown raises
 * #UD, as it does on hardware.
 */
#ifndef HDL_VCPU_SOFT_FEATURE_H
#define HDL_VCPU_SOFT_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "vcpu/cpu_model.h"

/* What an instruction needs. One name a CPUID bit that adds instructions. */
enum soft_feature {
    SOFT_FEATURE_BASE, /* always there */
    SOFT_FEATURE_FPU,
    SOFT_FEATURE_TSC,
    SOFT_FEATURE_MSR,
    SOFT_FEATURE_CX8,
    SOFT_FEATURE_SEP,
    SOFT_FEATURE_CMOV,
    SOFT_FEATURE_CLFLUSH,
    SOFT_FEATURE_MMX,
    SOFT_FEATURE_FXSR,
    SOFT_FEATURE_SSE,
    SOFT_FEATURE_SSE2,
    SOFT_FEATURE_SSE3,
    SOFT_FEATURE_PCLMUL,
    SOFT_FEATURE_MONITOR,
    SOFT_FEATURE_SSSE3,
    SOFT_FEATURE_CX16,
    SOFT_FEATURE_SSE41,
    SOFT_FEATURE_SSE42,
    SOFT_FEATURE_MOVBE,
    SOFT_FEATURE_POPCNT,
    SOFT_FEATURE_AES,
    SOFT_FEATURE_XSAVE,
    SOFT_FEATURE_XSAVEOPT,
    SOFT_FEATURE_RDRAND,
    SOFT_FEATURE_RDSEED,
    SOFT_FEATURE_FSGSBASE,
    SOFT_FEATURE_BMI1,
    SOFT_FEATURE_BMI2,
    SOFT_FEATURE_ADX,
    SOFT_FEATURE_SMAP,
    SOFT_FEATURE_INVPCID,
    SOFT_FEATURE_CLFLUSHOPT,
    SOFT_FEATURE_CLWB,
    SOFT_FEATURE_SHA,
    SOFT_FEATURE_RDPID,
    SOFT_FEATURE_SYSCALL,
    SOFT_FEATURE_RDTSCP,
    SOFT_FEATURE_LM,
    SOFT_FEATURE_LAHF,
    SOFT_FEATURE_ABM, /* LZCNT */
    SOFT_FEATURE_PREFETCHW,
    SOFT_FEATURE_COUNT
};

struct soft_features {
    struct cpu_identity identity;
    bool has[SOFT_FEATURE_COUNT];
    bool has_kvm; /* KVM's leaves (0x40000000..) and model-specific registers are shown */
    bool is_amd;  /* where AMD and Intel differ: AMD's way */
};

#endif
