/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See host_features.h: CPUID in user mode (SDM 2, CPUID). What every 64-bit CPU has isn't asked for. */
#include "host_features.h"

#include <cpuid.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum host_register { HOST_EBX, HOST_ECX, HOST_EDX, HOST_EAX };

static const struct {
    uint8_t feature; /* enum soft_feature */
    uint8_t reg;     /* enum host_register */
    uint8_t bit;
    uint32_t leaf, subleaf;
} host_features[] = {
    {SOFT_FEATURE_SSE3, HOST_ECX, 0, 1, 0},
    {SOFT_FEATURE_PCLMUL, HOST_ECX, 1, 1, 0},
    {SOFT_FEATURE_MONITOR, HOST_ECX, 3, 1, 0},
    {SOFT_FEATURE_SSSE3, HOST_ECX, 9, 1, 0},
    {SOFT_FEATURE_CX16, HOST_ECX, 13, 1, 0},
    {SOFT_FEATURE_SSE41, HOST_ECX, 19, 1, 0},
    {SOFT_FEATURE_SSE42, HOST_ECX, 20, 1, 0},
    {SOFT_FEATURE_MOVBE, HOST_ECX, 22, 1, 0},
    {SOFT_FEATURE_POPCNT, HOST_ECX, 23, 1, 0},
    {SOFT_FEATURE_AES, HOST_ECX, 25, 1, 0},
    {SOFT_FEATURE_XSAVE, HOST_ECX, 27, 1, 0},
    {SOFT_FEATURE_RDRAND, HOST_ECX, 30, 1, 0},
    {SOFT_FEATURE_FSGSBASE, HOST_EBX, 0, 7, 0},
    {SOFT_FEATURE_BMI1, HOST_EBX, 3, 7, 0},
    {SOFT_FEATURE_BMI2, HOST_EBX, 8, 7, 0},
    {SOFT_FEATURE_RDSEED, HOST_EBX, 18, 7, 0},
    {SOFT_FEATURE_ADX, HOST_EBX, 19, 7, 0},
    {SOFT_FEATURE_CLFLUSHOPT, HOST_EBX, 23, 7, 0},
    {SOFT_FEATURE_CLWB, HOST_EBX, 24, 7, 0},
    {SOFT_FEATURE_SHA, HOST_EBX, 29, 7, 0},
    {SOFT_FEATURE_RDPID, HOST_ECX, 22, 7, 0},
    {SOFT_FEATURE_XSAVEOPT, HOST_EAX, 0, 0xd, 1},
    {SOFT_FEATURE_LAHF, HOST_ECX, 0, 0x80000001, 0},
    {SOFT_FEATURE_ABM, HOST_ECX, 5, 0x80000001, 0},
    {SOFT_FEATURE_PREFETCHW, HOST_ECX, 8, 0x80000001, 0},
    {SOFT_FEATURE_RDTSCP, HOST_EDX, 27, 0x80000001, 0},
};

bool host_has_feature(enum soft_feature feature)
{
    for (size_t i = 0; i < ARRAY_SIZE(host_features); i++) {
        uint32_t regs[4];

        if (host_features[i].feature == feature) {
            return __get_cpuid_count(host_features[i].leaf, host_features[i].subleaf, &regs[HOST_EAX], &regs[HOST_EBX],
                                     &regs[HOST_ECX], &regs[HOST_EDX]) &&
                   (regs[host_features[i].reg] >> host_features[i].bit & 1);
        }
    }
    return true;
}
