/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LOCKed instructions of the host on guest memory, at an address that mem.h gave: inline. Any alignment: the host's CPU
 * is the guest's kind, so LOCK on any alignment is LOCK on any alignment. In assembly, as the compiler's own atomics
 * promise nothing for what isn't aligned, and ThreadSanitizer would judge the guest's program.
 */
#ifndef HDL_VCPU_SOFT_HOST_LOCK_H
#define HDL_VCPU_SOFT_HOST_LOCK_H

#include "vcpu/soft/mem.h"

/*
 * exchange: stores `desired` if *expected is there; else false, and *expected is what is there. swap: stores, and gives
 * what was there. add: adds, and gives what was there. Values are zero-extended.
 */
#define SOFT_DEFINE_LOCKED(bits)                                                                                       \
    static inline bool soft_host_exchange##bits(soft_guest_u##bits *host, uint64_t *expected, uint64_t desired)        \
    {                                                                                                                  \
        uint##bits##_t old = (uint##bits##_t) * expected;                                                              \
        bool done;                                                                                                     \
                                                                                                                       \
        __asm__ volatile("lock cmpxchg %3, %1"                                                                         \
                         : "=@ccz"(done), "+m"(*host), "+a"(old)                                                       \
                         : "r"((uint##bits##_t)desired)                                                                \
                         : "memory");                                                                                  \
        *expected = old;                                                                                               \
        return done;                                                                                                   \
    }                                                                                                                  \
    static inline uint64_t soft_host_swap##bits(soft_guest_u##bits *host, uint64_t desired)                            \
    {                                                                                                                  \
        uint##bits##_t value = (uint##bits##_t)desired;                                                                \
                                                                                                                       \
        __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*host) : : "memory");                                       \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline uint64_t soft_host_add##bits(soft_guest_u##bits *host, uint64_t addend)                              \
    {                                                                                                                  \
        uint##bits##_t value = (uint##bits##_t)addend;                                                                 \
                                                                                                                       \
        __asm__ volatile("lock xadd %0, %1" : "+r"(value), "+m"(*host) : : "cc", "memory");                            \
        return value;                                                                                                  \
    }

SOFT_DEFINE_LOCKED(8)
SOFT_DEFINE_LOCKED(16)
SOFT_DEFINE_LOCKED(32)
SOFT_DEFINE_LOCKED(64)

#endif
