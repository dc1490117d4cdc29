/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What exists, as the tree of objects that clients walk:
 *
 *   /machine/peripheral/ID  /machine/peripheral-anon/device[N]  /machine/unattached/device[N], cpu[N]
 *   /objects/ID  /chardevs/ID
 *
 * It is made up for each question; nothing is kept. A device may also be named by its id alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"
#include "monitor/qom_types.h"

enum qom_kind { QOM_NONE, QOM_CONTAINER, QOM_MACHINE, QOM_DEVICE, QOM_CPU, QOM_OBJECT, QOM_CHARDEV };

/* A place in the tree. All borrowed. */
struct qom_node {
    enum qom_kind kind;
    const char *path; /* without a slash at its end */
    const char *type;
    const struct device *device;
};

/* --- finding ---------------------------------------------------------------------------------------------------- */

static bool path_below(const char *path, const char *parent, const char **rest)
{
    size_t len = strlen(parent);

    if (strncmp(path, parent, len) != 0 || path[len] != '/') {
        return false;
    }
    *rest = path + len + 1;
    return true;
}

static bool path_is_cpu(struct monitor *monitor, const char *path)
{
    struct pc *pc = machine_pc(monitor->machine);
    char name[48];
    bool found = false;

    for (unsigned i = 0; pc && i < machine_config_of(monitor->machine)->cpus; i++) {
        snprintf(name, sizeof(name), "/machine/unattached/cpu[%u]", i);
        found |= strcmp(path, name) == 0;
    }
    return found;
}

static struct qom_node qom_find_backend(struct monitor *monitor, const char *path)
{
    struct backends *backends = machine_backends(monitor->machine);
    const char *id;

    if (path_below(path, "/objects", &id)) {
        const struct backend_object *object = backends_find_object(backends, id);

        if (object) {
            return (struct qom_node){.kind = QOM_OBJECT, .path = path, .type = object->type};
        }
    } else if (path_below(path, "/chardevs", &id)) {
        const struct chardev *chardev = chardev_table_find(backends->chardevs, id);

        if (chardev) {
            return (struct qom_node){.kind = QOM_CHARDEV, .path = path, .type = chardev_type_of(chardev)->name};
        }
    }
    return (struct qom_node){.kind = QOM_NONE};
}

static struct qom_node qom_find(struct monitor *monitor, const char *path)
{
    static const char *const containers[] = {
        "", "/objects", "/chardevs", "/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached"};
    const struct machine_device *entry;

    path = strcmp(path, "/") == 0 ? "" : path;
    for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
        if (strcmp(path, containers[i]) == 0) {
            return (struct qom_node){.kind = QOM_CONTAINER, .path = path, .type = "container"};
        }
    }
    if (strcmp(path, "/machine") == 0) {
        return (struct qom_node){
            .kind = QOM_MACHINE, .path = path, .type = machine_config_of(monitor->machine)->machine_type};
    }
    entry = machine_device_find(monitor->machine, path);
    if (entry) {
        return (struct qom_node){
            .kind = QOM_DEVICE, .path = entry->path, .type = entry->device->type->name, .device = entry->device};
    }
    if (path_is_cpu(monitor, path)) {
        return (struct qom_node){.kind = QOM_CPU, .path = path, .type = "x86_64-cpu"};
    }
    return qom_find_backend(monitor, path);
}

/* The name of a type as an object's "type" says it: machines and chardevs have longer ones. */
static void qom_type_name(const struct qom_node *node, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s%s", node->kind == QOM_CHARDEV ? "chardev-" : "", node->type,
             node->kind == QOM_MACHINE ? "-machine" : "");
}

/* --- listing ---------------------------------------------------------------------------------------------------- */

static void list_add(struct json_object *array, const char *name, const char *type)
{
    struct json_object *entry = json_append_object(array);

    json_put_string(entry, "name", name);
    json_put_string(entry, "type", type);
}

static void list_add_child(struct json_object *array, const char *name, const char *prefix, const char *type)
{
    char text[128];

    snprintf(text, sizeof(text), "child<%s%s>", prefix, type);
    list_add(array, name, text);
}

static void list_add_chardev(struct chardev *chardev, void *opaque)
{
    list_add_child(opaque, chardev_id(chardev), "chardev-", chardev_type_of(chardev)->name);
}

static void list_devices_below(struct monitor *monitor, const char *path, struct json_object *array)
{
    const struct machine_device *entry;
    const char *name;

    for (size_t i = 0; (entry = machine_device_nth(monitor->machine, i)); i++) {
        if (path_below(entry->path, path, &name)) {
            list_add_child(array, name, "", entry->device->type->name);
        }
    }
}

static void list_cpus(struct monitor *monitor, struct json_object *array)
{
    struct pc *pc = machine_pc(monitor->machine);
    char name[24];

    for (unsigned i = 0; pc && i < machine_config_of(monitor->machine)->cpus; i++) {
        snprintf(name, sizeof(name), "cpu[%u]", i);
        list_add_child(array, name, "", "x86_64-cpu");
    }
}

static void list_container(struct monitor *monitor, const char *path, struct json_object *array)
{
    struct backends *backends = machine_backends(monitor->machine);

    if (strcmp(path, "") == 0) {
        list_add_child(array, "machine", machine_config_of(monitor->machine)->machine_type, "-machine");
        list_add_child(array, "objects", "", "container");
        list_add_child(array, "chardevs", "", "container");
    } else if (strcmp(path, "/machine") == 0) {
        list_add_child(array, "peripheral", "", "container");
        list_add_child(array, "peripheral-anon", "", "container");
        list_add_child(array, "unattached", "", "container");
    } else if (strcmp(path, "/chardevs") == 0) {
        chardev_table_foreach(backends->chardevs, list_add_chardev, array);
    } else if (strcmp(path, "/objects") == 0) {
        for (const struct backend_object *object = backends->objects; object; object = object->next) {
            if (object->id) {
                list_add_child(array, object->id, "", object->type);
            }
        }
    } else {
        list_devices_below(monitor, path, array);
        if (strcmp(path, "/machine/unattached") == 0) {
            list_cpus(monitor, array);
        }
    }
}

int qmp_run_qom_list(struct qmp_call *call)
{
    const char *path = qmp_call_string(call, "path");
    struct qom_node node = qom_find(call->monitor, path);

    if (node.kind == QOM_NONE) {
        return qmp_call_not_found(call, "Device '%s' not found", path);
    }
    call->result = json_object_new_array();
    list_add(call->result, "type", "string");
    if (node.kind == QOM_CONTAINER || node.kind == QOM_MACHINE) {
        list_container(call->monitor, node.path, call->result);
    }
    if (node.kind == QOM_DEVICE) {
        const struct property *property = node.device->type->properties;

        list_add(call->result, "realized", "bool");
        for (; property && property->name; property++) {
            list_add(call->result, property->name, qom_property_type(property));
        }
    }
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static struct json_object *device_value(const struct device *device, const char *name)
{
    const struct property *property = device->type->properties;

    if (strcmp(name, "realized") == 0) {
        return json_object_new_boolean(device_is_realized(device));
    }
    for (; property && property->name; property++) {
        if (strcmp(property->name, name) == 0) {
            HDL_AUTO_FREE char *text = property_get(device, property);

            return text ? qom_property_value(property, text) : NULL;
        }
    }
    return NULL;
}

int qmp_run_qom_get(struct qmp_call *call)
{
    const char *path = qmp_call_string(call, "path");
    const char *name = qmp_call_string(call, "property");
    struct qom_node node = qom_find(call->monitor, path);
    char type[128];

    if (node.kind == QOM_NONE) {
        return qmp_call_not_found(call, "Device '%s' not found", path);
    }
    qom_type_name(&node, type, sizeof(type));
    if (strcmp(name, "type") == 0) {
        call->result = json_object_new_string(type);
    } else if (node.kind == QOM_DEVICE) {
        call->result = device_value(node.device, name);
    }
    return call->result ? 0 : error_set(&call->err, -ENOENT, "Property '%s.%s' not found", type, name);
}
