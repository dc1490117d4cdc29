/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clang's thread-safety analysis is told about locks ("Thread Safety Analysis" in the Clang documentation).
 * Compilers without it (gcc, clang before 19, which can't parse guards on fields) see nothing.
 */
#ifndef HDL_BASE_ANNOTATIONS_H
#define HDL_BASE_ANNOTATIONS_H

#ifdef HDL_THREAD_SAFETY
#define HDL_ATTRIBUTE(x) __attribute__((x))
#else
#define HDL_ATTRIBUTE(x)
#endif

#define HDL_CAPABILITY(name)     HDL_ATTRIBUTE(capability(name))
#define HDL_GUARDED_BY(lock)     HDL_ATTRIBUTE(guarded_by(lock))
#define HDL_PT_GUARDED_BY(lock)  HDL_ATTRIBUTE(pt_guarded_by(lock))
#define HDL_REQUIRES(...)        HDL_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define HDL_EXCLUDES(...)        HDL_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define HDL_ACQUIRE(...)         HDL_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define HDL_RELEASE(...)         HDL_ATTRIBUTE(release_capability(__VA_ARGS__))
#define HDL_TRY_ACQUIRE(ok, ...) HDL_ATTRIBUTE(try_acquire_capability(ok, __VA_ARGS__))
#define HDL_ASSERT_CAPABILITY(x) HDL_ATTRIBUTE(assert_capability(x))
#define HDL_RETURN_CAPABILITY(x) HDL_ATTRIBUTE(lock_returned(x))
/* Only for the bodies of lock primitives, which implement what the analysis assumes. */
#define HDL_LOCK_PRIMITIVE HDL_ATTRIBUTE(no_thread_safety_analysis)
/* Only for functions that set up or take down an object which no other thread can see. */
#define HDL_UNSHARED HDL_ATTRIBUTE(no_thread_safety_analysis)

#endif
