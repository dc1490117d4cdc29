/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small language helpers that C lacks: container_of, array lengths, branch hints, cleanup attributes. */
#ifndef HDL_BASE_COMPILER_H
#define HDL_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The structure of which *ptr is the given member. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                                                                                      \
    __extension__({                                                                                                    \
        __typeof__(a) min_a_ = (a);                                                                                    \
        __typeof__(b) min_b_ = (b);                                                                                    \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                                             \
    })
#define MAX(a, b)                                                                                                      \
    __extension__({                                                                                                    \
        __typeof__(a) max_a_ = (a);                                                                                    \
        __typeof__(b) max_b_ = (b);                                                                                    \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                                             \
    })

/* Align to a power of two. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)

#define HDL_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define HDL_NORETURN                      __attribute__((noreturn))
#define HDL_UNUSED                        __attribute__((unused))
#define HDL_MUST_CHECK                    __attribute__((warn_unused_result))
#define HDL_CLEANUP(fn)                   __attribute__((cleanup(fn)))

/* Reserve a cache line of one's own for a field that many threads write. */
#define HDL_CACHE_LINE    64
#define HDL_CACHE_ALIGNED __attribute__((aligned(HDL_CACHE_LINE)))

#define HDL_STRINGIFY_(x) #x
#define HDL_STRINGIFY(x)  HDL_STRINGIFY_(x)
/* "file:line" of the place where the macro stands, as a string literal. */
#define HDL_WHERE __FILE__ ":" HDL_STRINGIFY(__LINE__)

static inline void hdl_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void hdl_cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* A pointer that is freed, or a descriptor that is closed (if not negative), when its scope ends. */
#define HDL_AUTO_FREE HDL_CLEANUP(hdl_cleanup_free)
#define HDL_AUTO_FD   HDL_CLEANUP(hdl_cleanup_fd)

static inline void hdl_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
