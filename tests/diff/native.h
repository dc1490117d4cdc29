/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's CPU: runs cases in a child process, whose memory at the slots' addresses is shared with the parent.
 */
#ifndef HDL_TESTS_DIFF_NATIVE_H
#define HDL_TESTS_DIFF_NATIVE_H

#include "case.h"

struct native;

/* Starts the child. Call it before there are threads. NULL: it can't be had, and standard error says why. */
struct native *native_create(void);
void native_destroy(struct native *native);

/* A slot's backing, SLOT_BACKING_BYTES: written before a run, read after it. */
uint8_t *native_backing(struct native *native, unsigned slot);
/* Where a case's start goes, and how it ended. */
struct case_state *native_start(struct native *native, unsigned slot);
const struct case_state *native_end(struct native *native, unsigned slot);
/* The base of the child's FS, which its C library needs. */
uint64_t native_fs_base(const struct native *native);

/* Runs the cases in slots 0..count-1: begin returns at once. end: false if the child didn't come back. */
void native_begin(struct native *native, unsigned count);
bool native_finish(struct native *native);
/* The slot whose case runs, or -1: for whoever has to find out why the child doesn't come back. */
int native_running(const struct native *native);

#endif
