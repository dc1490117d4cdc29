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
#define WORD(n)  (*((const uint64_t *)cpu + (n)))
#define AT(op)   (WORD((op)->base) + (uint64_t)(int64_t)(op)->disp)
#define AT_X(op) (AT(op) + (WORD((op)->index) << (op)->shift))

/* A micro-operation, and the slow half of one: for TLB misses, devices and faults. */
#define OP(name) static SOFT_GUEST_ACCESS const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)
#define SLOW_OP(name)                                                                                                  \
    static __attribute__((noinline, cold)) const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/*
 * One that loads: `body` has `value`, and then it goes on as `next` says. The hit path calls nothing, so it needs no
 * stack.
 */
#define LOADING_OP(name, bits, address, body, next)                                                                    \
    SLOW_OP(name##_slow)                                                                                               \
    {                                                                                                                  \
        uint64_t value = soft_load##bits(cpu, op, address);                                                            \
        body;                                                                                                          \
        next;                                                                                                          \
    }                                                                                                                  \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        const soft_guest_u##bits *host = soft_reach_read##bits(cpu, address);                                          \
        uint64_t value;                                                                                                \
        if (unlikely(!host)) {                                                                                         \
            return name##_slow(cpu, op);                                                                               \
        }                                                                                                              \
        value = *host;                                                                                                 \
        body;                                                                                                          \
        next;                                                                                                          \
    }

/* One that stores `expression`; `after` follows. */
#define STORING_OP(name, bits, address, expression, after, next)                                                       \
    SLOW_OP(name##_slow)                                                                                               \
    {                                                                                                                  \
        soft_store##bits(cpu, op, address, (uint##bits##_t)(expression));                                              \
        after;                                                                                                         \
        next;                                                                                                          \
    }                                                                                                                  \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        soft_guest_u##bits *host = soft_reach_write##bits(cpu, address);                                               \
        if (unlikely(!host)) {                                                                                         \
            return name##_slow(cpu, op);                                                                               \
        }                                                                                                              \
        *host = (uint##bits##_t)(expression);                                                                          \
        after;                                                                                                         \
        next;                                                                                                          \
    }

/* One that reads and writes the same place: `body` turns `value` into a new one; slow(cpu, op) does all of it
 * otherwise. */
#define MODIFYING_OP(name, bits, address, body, slow)                                                                  \
    SLOW_OP(name##_slow)                                                                                               \
    {                                                                                                                  \
        slow;                                                                                                          \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        soft_guest_u##bits *host = soft_reach_write##bits(cpu, address);                                               \
        uint64_t value;                                                                                                \
        if (unlikely(!host)) {                                                                                         \
            return name##_slow(cpu, op);                                                                               \
        }                                                                                                              \
        value = *host;                                                                                                 \
        *host = (uint##bits##_t)(body);                                                                                \
        SOFT_NEXT(cpu, op);                                                                                            \
    }

#define NEXT SOFT_NEXT(cpu, op)

/* Neither x87, nor MMX, nor SSE instructions are refused by the control registers. */
static inline bool soft_has_fpu(const struct soft_cpu *cpu)
{
    return likely(!(cpu->cr0 & (CR0_EM | CR0_TS)) && (cpu->cr4 & CR4_OSFXSR));
}

/*
 * The end of a conditional jump: the jump that follows is the taken one; it has a link behind it, so the other is the
 * third from here. Two jumps of the host's, not one with a selected target: each is predicted by itself.
 */
#define BRANCH(taken)                                                                                                  \
    do {                                                                                                               \
        if (taken) {                                                                                                   \
            SOFT_JUMP(cpu, op + 1);                                                                                    \
        }                                                                                                              \
        __asm__("" ::: "memory"); /* keeps the compiler from making one of them again */                               \
        SOFT_JUMP(cpu, op + 3);                                                                                        \
    } while (0)

#endif
