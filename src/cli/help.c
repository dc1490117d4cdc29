/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -help, -version and "help" as an argument print, on standard output, from the same tables that parsing uses. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "machine/device_types.h"
#include "machine/machine_types.h"
#include "vcpu/cpu_model.h"

void help_version(void)
{
    printf("heddle version %s\n", HDL_VERSION);
}

/* Two columns; a long left one has a line of its own. */
static void help_columns(const char *left, const char *right)
{
    const int width = 30;

    if (strlen(left) > (size_t)width) {
        printf("  %s\n  %-*s %s\n", left, width, "", right);
    } else {
        printf("  %-*s %s\n", width, left, right);
    }
}

void help_usage(void)
{
    printf("heddle %s: runs a PC guest under KVM, with no global lock\n"
           "usage: heddle -kernel FILE [options]\n\n",
           HDL_VERSION);
    for (const struct cli_option *option = cli_options; option->name; option++) {
        if (option->help) {
            char left[80];

            snprintf(left, sizeof(left), "-%s%s%s", option->name, option->arg ? " " : "",
                     option->arg ? option->arg : "");
            help_columns(left, option->help);
        }
    }
    printf("\nOn a console that shares the terminal, Ctrl-A h lists its keys; Ctrl-A x ends heddle.\n");
}

/* --- devices ---------------------------------------------------------------------------------------------------- */

static void help_device_line(const struct device_type *type)
{
    printf("name \"%s\"", type->name);
    if (type->bus) {
        printf(", bus %s", type->bus);
    }
    if (type->alias) {
        printf(", alias \"%s\"", type->alias);
    }
    if (type->description) {
        printf(", desc \"%s\"", type->description);
    }
    printf("\n");
}

/* Whether an earlier type has the same category. */
static bool help_category_was_shown(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (device_types[i]->user_creatable && strcmp(device_types[i]->category, device_types[index]->category) == 0) {
            return true;
        }
    }
    return false;
}

void help_devices(void)
{
    bool first = true;

    for (size_t i = 0; device_types[i]; i++) {
        if (!device_types[i]->user_creatable || help_category_was_shown(i)) {
            continue;
        }
        printf("%s%s devices:\n", first ? "" : "\n", device_types[i]->category);
        first = false;
        for (size_t j = i; device_types[j]; j++) {
            if (device_types[j]->user_creatable && strcmp(device_types[j]->category, device_types[i]->category) == 0) {
                help_device_line(device_types[j]);
            }
        }
    }
}

int help_device(const char *name, struct error **err)
{
    const struct device_type *type = check_device_type("-device", name, err);

    if (!type) {
        return -1;
    }
    printf("%s options:\n", type->name);
    for (const struct property *property = type->properties; property && property->name; property++) {
        char left[64];

        snprintf(left, sizeof(left), "%s=<%s>", property->name, property_type_name(property->type));
        printf("  %-30s %s%s", left, property->description ? "- " : "",
               property->description ? property->description : "");
        if (property->default_value) {
            printf(" (default: %s)", property->default_value);
        }
        printf("\n");
    }
    return CLI_DONE;
}

/* --- the others ------------------------------------------------------------------------------------------------- */

void help_machines(void)
{
    printf("Supported machines are:\n");
    for (const struct machine_type *type = machine_types; type->name; type++) {
        if (type->alias) {
            printf("%-20s %s (alias of %s)\n", type->alias, type->description, type->name);
        }
        printf("%-20s %s%s\n", type->name, type->description, type->is_default ? " (default)" : "");
    }
    printf(
        "Their options are:\n"
        "kernel-irqchip=on|split|off  where interrupt controllers are: in KVM, or all but local APICs, or all in "
        "heddle\n"
        "kernel-payload=auto|on|off   who unpacks the kernel in a Linux bzImage: on: heddle, which then enters it by\n"
        "                             PVH; off: the guest; auto: heddle, if the guest's CPUs are software\n");
}

void help_accels(void)
{
    printf("Accelerators supported:\nkvm    the host's processor\nsoft   a software CPU, where there is no usable KVM "
           "(alias: tcg)\n");
}

static void help_cpu(const char *name, const char *description, void *opaque)
{
    printf("  %-20s %s\n", name, description ? description : "");
}

static void help_cpu_feature(const char *name, void *opaque)
{
    unsigned *column = opaque;

    if (*column + strlen(name) + 1 > 76) {
        printf("\n ");
        *column = 1;
    }
    printf(" %s", name);
    *column += (unsigned)strlen(name) + 1;
}

void help_cpus(void)
{
    unsigned column = 1;

    printf("Available CPUs:\n");
    cpu_model_list(help_cpu, NULL);
    printf("\nRecognized features, as +NAME or -NAME:\n ");
    cpu_feature_list(help_cpu_feature, &column);
    printf("\n");
}

void help_chardevs(void)
{
    printf("Available chardev backends:\n");
    for (size_t i = 0; chardev_types[i]; i++) {
        printf("  %-10s %s\n", chardev_types[i]->name, chardev_types[i]->description);
    }
}

static void help_block_driver(const char *name, const char *description, void *opaque)
{
    printf("  %-10s %s\n", name, description ? description : "");
}

void help_block_drivers(void)
{
    printf("Available block drivers:\n");
    block_driver_list(help_block_driver, NULL);
}

void help_objects(void)
{
    printf("Available objects:\n");
    for (const struct object_type *type = object_types; type->name; type++) {
        printf("  %-20s %s\n", type->name, type->description);
    }
}

static void help_trace(const char *name, void *opaque)
{
    printf("%s\n", name);
}

void help_traces(void)
{
    trace_list(help_trace, NULL);
}
