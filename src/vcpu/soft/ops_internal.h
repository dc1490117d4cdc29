/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the micro-operations' files share: registers by offset and size, and addresses. Only ops_*.c includes it. */
#ifndef HDL_VCPU_SOFT_OPS_INTERNAL_H
#define HDL_VCPU_SOFT_OPS_INTERNAL_H

/* A register of `bits`, zero-extended. `cpu` is the enclosing function's. */
#define GET(bits, offset)    ((uint64_t)(*(const uint##bits##_t *)((const char *)cpu + (offset))))
#define PUT8(offset, value)  (*(uint8_t *)((char *)cpu + (offset)) = (uint8_t)(value))
#define PUT16(offset, value) (*(uint16_t *)((char *)cpu + (offset)) = (uint16_t)(value))
/* A 32-bit result clears the upper half. */
#define PUT32(offset, value) (*(uint64_t *)((char *)cpu + (offset)) = (uint32_t)(value))
#define PUT64(offset, value) (*(uint64_t *)((char *)cpu + (offset)) = (uint64_t)(value))

/* The address of a memory operand. */
#define AT(op)   (GET(64, (op)->base) + (uint64_t)(int64_t)(op)->disp)
#define AT_X(op) (AT(op) + (GET(64, (op)->index) << (op)->shift))

#endif
