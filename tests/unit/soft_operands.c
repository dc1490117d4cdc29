/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands with many edge cases: soft_operands.h. */
#include "soft_operands.h"

#include <string.h>

#include "base/compiler.h"

static uint64_t random_state;

void random_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t random_u64(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

unsigned random_below(unsigned limit)
{
    return (unsigned)(random_u64() % limit);
}

uint64_t random_integer(void)
{
    static const uint64_t edges[] = {
        0,          1,          2,         0x7f,       0x80,       0xff, 0x7fff, 0x8000,          0xffff, 0x7fffffff,
        0x80000000, 0xffffffff, INT64_MAX, 1ULL << 63, UINT64_MAX, 16,   17,     UINT64_MAX - 15, 5,      63};

    switch (random_below(4)) {
    case 0:
        return edges[random_below(ARRAY_SIZE(edges))];
    case 1:
        return random_below(40);
    default:
        return random_u64();
    }
}

static uint32_t random_float(void)
{
    static const uint32_t edges[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
                                     0x7fc00000, 0x7f800001, 0xffa00000, 0x00000001, 0x807fffff, 0x00800000,
                                     0x7f7fffff, 0x3f000000, 0x3fc00000, 0x40200000, 0x4f000000, 0xcf000000,
                                     0x5f000000, 0x4effffff, 0x34000000};

    switch (random_below(3)) {
    case 0:
        return edges[random_below(ARRAY_SIZE(edges))];
    case 1: /* of a like magnitude as others */
        return (uint32_t)(random_u64() & 0x807fffff) | (0x3c + random_below(8)) << 24;
    default:
        return (uint32_t)random_u64();
    }
}

static uint64_t random_double(void)
{
    static const uint64_t edges[] = {0,
                                     0x8000000000000000,
                                     0x3ff0000000000000,
                                     0xbff0000000000000,
                                     0x7ff0000000000000,
                                     0xfff0000000000000,
                                     0x7ff8000000000000,
                                     0x7ff0000000000001,
                                     0xfff4000000000000,
                                     0x0000000000000001,
                                     0x800fffffffffffff,
                                     0x0010000000000000,
                                     0x7fefffffffffffff,
                                     0x3fe0000000000000,
                                     0x3ff8000000000000,
                                     0x4004000000000000,
                                     0x41e0000000000000,
                                     0xc1e0000000000000,
                                     0x43e0000000000000,
                                     0x41dfffffffc00000,
                                     0x47efffffffffffff,
                                     0x380fffffffffffff,
                                     0x3690000000000000};

    switch (random_below(3)) {
    case 0:
        return edges[random_below(ARRAY_SIZE(edges))];
    case 1:
        return (random_u64() & 0x800fffffffffffff) | (uint64_t)(0x3f8 + random_below(24)) << 52;
    default:
        return random_u64();
    }
}

/* 80 bits, with all the encodings that no processor since the 387 produces. */
void random_st(uint8_t bytes[10])
{
    static const struct {
        uint64_t mantissa;
        uint16_t exponent;
    } edges[] = {
        {0, 0},
        {0, 0x8000},
        {1ULL << 63, 0x3fff},
        {1ULL << 63, 0xbfff},
        {1ULL << 63, 0x7fff},
        {1ULL << 63, 0xffff},
        {3ULL << 62, 0xffff},
        {0x8000000000000001, 0x7fff},
        {0xa000000000000000, 0xffff},
        {1, 0},
        {0x7fffffffffffffff, 0x8000},
        {1ULL << 63, 0},
        {0x4000000000000000, 0x3fff},
        {0, 0x7fff},
        {0x1234, 0x7fff},
        {UINT64_MAX, 0x7ffe},
        {1ULL << 63, 1},
        {0xc90fdaa22168c235, 0x4000},
        {0xc90fdaa22168c235, 0x3ffe},
        {1ULL << 63, 0x403e},
        {1ULL << 63, 0xc03e},
        {1ULL << 63, 0xc01e},
        {1ULL << 63, 0x400e},
        {0xc000000000000000, 0x3fff},
        {0xa000000000000000, 0x4000},
        {1ULL << 63, 0x3ffe},
        {0xfffffffffffffc00, 0x43fe},
        {0xffffff8000000000, 0x407e},
        {1ULL << 63, 0x3c00},
        {0xde0b6b3a763ffff0, 0x403a},
    };
    uint64_t mantissa = random_u64();
    uint16_t exponent = (uint16_t)random_u64();
    unsigned edge = random_below(ARRAY_SIZE(edges));

    switch (random_below(4)) {
    case 0:
        mantissa = edges[edge].mantissa;
        exponent = edges[edge].exponent;
        break;
    case 1:
        exponent = (uint16_t)((exponent & 0x8000) | (0x3fff - 8 + random_below(80)));
        mantissa |= 1ULL << 63;
        break;
    case 2:
        exponent = (uint16_t)((exponent & 0x8000) | (0x3fff - 4 + random_below(8)));
        mantissa |= 1ULL << 63;
        mantissa &= random_below(2) ? UINT64_MAX << 40 : UINT64_MAX << 11;
        break;
    default:
        mantissa |= random_below(4) ? 1ULL << 63 : 0;
        break;
    }
    memcpy(bytes, &mantissa, 8);
    memcpy(bytes + 8, &exponent, 2);
}

/* Sixteen bytes: floats, doubles, integers of all widths, text. */
void random_vector(uint8_t bytes[16])
{
    unsigned kind = random_below(6);
    uint64_t value;
    uint32_t single;

    for (unsigned i = 0; i < 16; i += 4) {
        single = kind == 1 ? (uint32_t)random_integer() : random_float();
        memcpy(bytes + i, &single, 4);
    }
    for (unsigned i = 0; i < 16 && kind >= 2; i += 8) {
        value = kind == 2 ? random_integer() : kind == 3 ? random_u64() : random_double();
        memcpy(bytes + i, &value, 8);
    }
    for (unsigned i = 0; i < 16 && kind == 5; i++) {
        bytes[i] = random_below(8) ? (uint8_t)('a' + random_below(4)) : 0;
    }
}
