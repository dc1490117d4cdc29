/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operands for x87, MMX and SSE: NaNs, infinities, denormals, zeros, ties and limits are frequent. Seeded. */
#ifndef HDL_TESTS_SOFT_OPERANDS_H
#define HDL_TESTS_SOFT_OPERANDS_H

#include <stdint.h>

void random_seed(uint64_t seed);
uint64_t random_u64(void);
unsigned random_below(unsigned limit);
uint64_t random_integer(void);
void random_st(uint8_t bytes[10]);
void random_vector(uint8_t bytes[16]);

#endif
