/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x87 and SSE state of a software CPU (SDM 1, chapters 8 and 10). The vCPU's thread owns it. */
#ifndef HDL_VCPU_SOFT_FPU_H
#define HDL_VCPU_SOFT_FPU_H

#include <stdbool.h>
#include <stdint.h>

union soft_xmm {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
    int8_t s8[16];
    int16_t s16[8];
    int32_t s32[4];
    int64_t s64[2];
    float f32[4];
    double f64[2];
} __attribute__((aligned(16)));

/* An x87 register: 80 bits, little-endian; the rest is padding. MMX is its low half. */
union soft_st {
    long double value;
    struct {
        uint64_t mantissa;
        uint16_t exponent;
    };
    uint64_t mmx;
    uint8_t bytes[16];
} __attribute__((aligned(16)));

struct soft_fpu {
    union soft_xmm xmm[16];
    union soft_st st[8]; /* physical registers: ST(i) is st[(top + i) & 7] */
    uint8_t top;
    uint8_t valid; /* a bit a physical register: not empty */
    uint16_t fcw;
    uint16_t fsw; /* without TOP */
    uint16_t fop, fcs, fds;
    uint64_t fip, fdp;
    uint32_t mxcsr;
    uint64_t xcr0;
};

#endif
