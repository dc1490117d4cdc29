/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walking the guest's page tables (SDM 3, chapter 4). The vCPU's thread; nothing is remembered here. */
#ifndef HDL_VCPU_SOFT_WALK_H
#define HDL_VCPU_SOFT_WALK_H

#include "vcpu/soft/cpu.h"

/* What a walk is for. */
struct soft_walk_request {
    uint64_t linear;
    unsigned access;  /* PF_WRITE, PF_USER, PF_FETCH: as the page fault would say */
    bool refuse_user; /* supervisor access to data of user pages faults (CR4.SMAP) */
    bool debug;       /* no rights, no accessed bits; any thread that the vCPU stands still for */
};

/* What it found. The rights are those of all levels together. */
struct soft_walk {
    uint64_t gpa;       /* of the very byte */
    uint8_t page_shift; /* 12, 21, 22, 30 */
    bool user, writable, no_execute, global;
    bool dirty;     /* writes need no further bit in the page table */
    uint32_t error; /* if it failed: the page fault's error code */
};

/*
 * Walks, checks rights, and then sets accessed and dirty bits of all levels: none are set by a walk that fails. False:
 * a page fault, with walk->error. Without paging, linear is physical. In a run (but for debug), not under RCU.
 */
bool soft_walk(struct soft_cpu *cpu, const struct soft_walk_request *request, struct soft_walk *walk);

#endif
