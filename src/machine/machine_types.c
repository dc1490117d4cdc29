/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of machines. Programs that drive heddle tell from the name pc-q35-... that there is PCI Express, and keep
 * the canonical name with a guest's description, so a name once given out stays.
 */
#include "machine/machine_types.h"

#include <stddef.h>
#include <string.h>

#include "machine/config.h"

const struct machine_type machine_types[] = {
    {.name = "pc-q35-7.2",
     .alias = "q35",
     .description = "PC with PCI Express, ACPI and virtio",
     .cpu_max = MACHINE_CPUS_MAX,
     .is_default = true},
    {.name = "none", .description = "nothing but a monitor", .cpu_max = 1, .is_none = true},
    {.name = NULL},
};

const struct machine_type *machine_type_find(const char *name)
{
    for (const struct machine_type *type = machine_types; type->name; type++) {
        if (strcmp(type->name, name) == 0 || (type->alias && strcmp(type->alias, name) == 0)) {
            return type;
        }
    }
    return NULL;
}

const struct machine_type *machine_type_default(void)
{
    const struct machine_type *type = machine_types;

    while (!type->is_default) {
        type++;
    }
    return type;
}
