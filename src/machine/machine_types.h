/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machines there are: one table for -machine, -machine help and whoever lists them for programs. Constant. */
#ifndef HDL_MACHINE_MACHINE_TYPES_H
#define HDL_MACHINE_MACHINE_TYPES_H

#include <stdbool.h>

struct machine_type {
    const char *name;  /* canonical: says which version of its design it is */
    const char *alias; /* or NULL */
    const char *description;
    unsigned cpu_max;
    bool is_default;
    bool is_none; /* no devices, CPUs or memory: only a monitor and what it can make */
};

/* Ends with a NULL name. Exactly one is the default. */
extern const struct machine_type machine_types[];

/* By name or alias; NULL if there is none. */
const struct machine_type *machine_type_find(const char *name);
const struct machine_type *machine_type_default(void);

#endif
