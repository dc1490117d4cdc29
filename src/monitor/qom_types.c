/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types: what could exist. heddle has no tree of classes; parents are those by which clients pick what they look for
 * (all devices, all PCI devices, all machines, ...).
 */
#include "monitor/qom_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "chardev/chardev.h"
#include "machine/device_types.h"
#include "machine/machine_types.h"
#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "vcpu/cpu_model.h"

/* --- properties ------------------------------------------------------------------------------------------------- */

const char *qom_property_type(const struct property *property)
{
    return property->type == PROPERTY_PCI_ADDR ? "str" : property_type_name(property->type);
}

struct json_object *qom_property_value(const struct property *property, const char *text)
{
    uint64_t number;
    bool flag;

    switch (property->type) {
    case PROPERTY_BOOL:
        return json_object_new_boolean(parse_bool(text, &flag) == 0 && flag);
    case PROPERTY_U8:
    case PROPERTY_U16:
    case PROPERTY_U32:
    case PROPERTY_U64:
        return json_object_new_uint64(parse_uint(text, &number) == 0 ? number : 0);
    case PROPERTY_SIZE:
        return json_object_new_uint64(parse_size(text, 1, &number) == 0 ? number : 0);
    default:
        return json_object_new_string(text);
    }
}

static struct json_object *type_properties(const struct property *table)
{
    struct json_object *array = json_object_new_array();

    for (const struct property *property = table; property && property->name; property++) {
        struct json_object *entry = json_append_object(array);

        if (property->default_value) {
            json_put(entry, "default-value", qom_property_value(property, property->default_value));
        }
        json_put_string(entry, "name", property->name);
        if (property->description) {
            json_put_string(entry, "description", property->description);
        }
        json_put_string(entry, "type", qom_property_type(property));
    }
    return array;
}

int qmp_run_device_list_properties(struct qmp_call *call)
{
    const char *name = qmp_call_string(call, "typename");
    const struct device_type *type = device_type_find(name);

    if (!type) {
        return qmp_call_not_found(call, "Device '%s' not found", name);
    }
    call->result = type_properties(type->properties);
    return 0;
}

/* --- the list of types ------------------------------------------------------------------------------------------ */

/* A type that isn't a device of the table. */
struct qom_type {
    const char *name, *parent;
    bool is_abstract;
};

static const struct qom_type classes[] = {
    {"object", NULL, true},
    {"device", "object", true},
    {"pci-device", "device", true},
    {"isa-device", "device", true},
    {"sys-bus-device", "device", true},
    {"virtio-serial-port", "device", true},
    {"cpu", "device", true},
    {"x86_64-cpu", "cpu", true},
    {"machine", "object", true},
    {"pc-machine", "machine", true},
    {"chardev", "object", true},
    {"container", "object", false},
    {"rng-backend", "object", true},
    {"memory-backend", "object", true},
    {"accel", "object", true},
    {"kvm-accel", "accel", false},
    {"soft-accel", "accel", false},
    {"tcg-accel", "accel", false}, /* another name of soft, by which libvirt knows that it needs no KVM */
    {"iothread", "object", false},
    {"secret", "object", false},
    {"rng-builtin", "rng-backend", false},
    {"rng-random", "rng-backend", false},
    {"memory-backend-ram", "memory-backend", false},
    {"memory-backend-memfd", "memory-backend", false},
};

static const struct qom_type *class_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (strcmp(classes[i].name, name) == 0) {
            return &classes[i];
        }
    }
    return NULL;
}

static const char *device_parent(const struct device_type *type)
{
    if (!type->bus) {
        return "sys-bus-device";
    }
    return strcmp(type->bus, "PCI") == 0                 ? "pci-device"
           : strcmp(type->bus, "ISA") == 0               ? "isa-device"
           : strcmp(type->bus, "virtio-serial-bus") == 0 ? "virtio-serial-port"
                                                         : "device";
}

/* Whether `name`, whose parent that is, is `wanted` or below it. */
static bool type_implements(const char *name, const char *parent, const char *wanted)
{
    while (name && strcmp(name, wanted) != 0) {
        const struct qom_type *above = parent ? class_find(parent) : NULL;

        name = parent;
        parent = above ? above->parent : NULL;
    }
    return name != NULL;
}

struct type_listing {
    struct json_object *array;
    const char *implements; /* or NULL */
    bool with_abstract;
};

static void type_list(struct type_listing *listing, const char *name, const char *parent, bool is_abstract)
{
    struct json_object *entry;

    if ((is_abstract && !listing->with_abstract) ||
        (listing->implements && !type_implements(name, parent, listing->implements))) {
        return;
    }
    entry = json_append_object(listing->array);
    json_put_string(entry, "name", name);
    if (is_abstract) {
        json_put_bool(entry, "abstract", true);
    }
    if (parent) {
        json_put_string(entry, "parent", parent);
    }
}

static void type_list_devices(struct type_listing *listing)
{
    for (size_t i = 0; device_types[i]; i++) {
        const struct device_type *type = device_types[i];
        char name[80];

        type_list(listing, type->name, device_parent(type), false);
        if (device_type_has_non_transitional(type)) {
            snprintf(name, sizeof(name), "%s" DEVICE_NON_TRANSITIONAL, type->name);
            type_list(listing, name, device_parent(type), false);
        }
    }
}

static void type_list_cpu(const char *name, const char *description, void *opaque)
{
    char type[80];

    snprintf(type, sizeof(type), "%s-x86_64-cpu", name);
    type_list(opaque, type, "x86_64-cpu", false);
}

int qmp_run_qom_list_types(struct qmp_call *call)
{
    struct type_listing listing = {
        .array = json_object_new_array(),
        .implements = qmp_call_string(call, "implements"),
        .with_abstract = qmp_call_bool(call, "abstract", false),
    };
    char name[80];

    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        type_list(&listing, classes[i].name, classes[i].parent, classes[i].is_abstract);
    }
    type_list_devices(&listing);
    for (const struct machine_type *type = machine_types; type->name; type++) {
        snprintf(name, sizeof(name), "%s-machine", type->name);
        type_list(&listing, name, type->is_none ? "machine" : "pc-machine", false);
    }
    for (const struct chardev_type *const *type = chardev_types; *type; type++) {
        snprintf(name, sizeof(name), "chardev-%s", (*type)->name);
        type_list(&listing, name, "chardev", false);
    }
    cpu_model_list(type_list_cpu, &listing);
    call->result = listing.array;
    return 0;
}

/* --- one type --------------------------------------------------------------------------------------------------- */

static void type_match(const char *name, const char *description, void *opaque)
{
    const char **wanted = opaque;
    size_t len = strlen(name);

    if (*wanted && strncmp(*wanted, name, len) == 0 && strcmp(*wanted + len, "-x86_64-cpu") == 0) {
        *wanted = NULL;
    }
}

/* Whether there is such a type, that isn't a device. */
static bool type_exists(const char *name)
{
    const char *wanted = name;
    char full[80];

    for (const struct machine_type *type = machine_types; type->name; type++) {
        snprintf(full, sizeof(full), "%s-machine", type->name);
        wanted = wanted && strcmp(full, wanted) == 0 ? NULL : wanted;
    }
    for (const struct chardev_type *const *type = chardev_types; *type; type++) {
        snprintf(full, sizeof(full), "chardev-%s", (*type)->name);
        wanted = wanted && strcmp(full, wanted) == 0 ? NULL : wanted;
    }
    cpu_model_list(type_match, &wanted);
    return !wanted || class_find(name);
}

int qmp_run_qom_list_properties(struct qmp_call *call)
{
    const char *name = qmp_call_string(call, "typename");
    const struct device_type *type = device_type_find(name);

    /* A client that reads no list of types first breaks if it isn't known. There is nothing to set on it. */
    if (!type && !type_exists(name) && strcmp(name, "memory-backend-file") != 0) {
        return qmp_call_not_found(call, "Class '%s' not found", name);
    }
    call->result = type_properties(type ? type->properties : NULL);
    return 0;
}
