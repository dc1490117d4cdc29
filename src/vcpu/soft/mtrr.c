/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory type range registers and the page attribute table: values are checked, kept, and have no effect.
 *
 * soft_cpu.mtrr: eight pairs of variable ranges, then the eleven fixed ones in the order of their numbers.
 */
#include "vcpu/soft/mtrr.h"

#include "vcpu/soft/mmu.h"
#include "vcpu/soft/sysreg.h"

#define MSR_MTRR_CAP      0xfe
#define MSR_MTRR_VARIABLE 0x200
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_PAT           0x277
#define MTRR_VARIABLE     8     /* pairs */
#define MTRR_CAP          0x508 /* eight pairs, fixed ranges, write-combining */

static const uint16_t mtrr_fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
_Static_assert(2 * MTRR_VARIABLE + sizeof(mtrr_fixed) / sizeof(mtrr_fixed[0]) <= 32, "soft_cpu.mtrr");

static bool mtrr_type_is_valid(unsigned type)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

bool soft_pat_is_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = value >> 8 * i & 0xff;

        if (!mtrr_type_is_valid(type) && type != 7) {
            return false;
        }
    }
    return true;
}

bool soft_mtrr_def_type_is_valid(uint64_t value)
{
    return !(value & ~UINT64_C(0xcff)) && mtrr_type_is_valid(value & 0xff);
}

static bool mtrr_fixed_is_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!mtrr_type_is_valid(value >> 8 * i & 0xff)) {
            return false;
        }
    }
    return true;
}

/* Even numbers are bases, with a type; odd ones masks, with a valid bit. */
static bool mtrr_variable_is_valid(unsigned number, uint64_t value)
{
    if (value >> SOFT_PHYSICAL_BITS) {
        return false;
    }
    return number & 1 ? !(value & 0x7ff) : !(value & 0xf00) && mtrr_type_is_valid(value & 0xff);
}

/* Its place in soft_cpu.mtrr, or -1. */
static int mtrr_place(uint32_t msr)
{
    if (msr >= MSR_MTRR_VARIABLE && msr < MSR_MTRR_VARIABLE + 2 * MTRR_VARIABLE) {
        return (int)(msr - MSR_MTRR_VARIABLE);
    }
    for (size_t i = 0; i < ARRAY_SIZE(mtrr_fixed); i++) {
        if (mtrr_fixed[i] == msr) {
            return (int)(2 * MTRR_VARIABLE + i);
        }
    }
    return -1;
}

bool soft_mtrr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *value)
{
    int place = mtrr_place(msr);

    if (msr == MSR_PAT) {
        *value = cpu->msr.pat;
    } else if (msr == MSR_MTRR_CAP) {
        *value = MTRR_CAP;
    } else if (msr == MSR_MTRR_DEF_TYPE) {
        *value = cpu->msr.mtrr_def_type;
    } else if (place >= 0) {
        *value = cpu->mtrr[place];
    } else {
        return false;
    }
    return true;
}

bool soft_mtrr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    int place = mtrr_place(msr);
    uint64_t *field;
    bool ok;

    if (msr == MSR_PAT) {
        ok = soft_pat_is_valid(value);
        field = &cpu->msr.pat;
    } else if (msr == MSR_MTRR_DEF_TYPE) {
        ok = soft_mtrr_def_type_is_valid(value);
        field = &cpu->msr.mtrr_def_type;
    } else if (place >= 0) {
        ok = place < 2 * MTRR_VARIABLE ? mtrr_variable_is_valid((unsigned)place, value) : mtrr_fixed_is_valid(value);
        field = &cpu->mtrr[place];
    } else {
        return false;
    }
    if (ok) {
        *field = value;
    }
    return ok;
}
