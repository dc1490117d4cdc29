/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chardevs. A client describes one as a union, {"type": "socket", "data": {"addr": {...}}}; the names in it are mapped
 * to the options that -chardev has. What isn't in the map isn't known.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/json_options.h"
#include "monitor/monitor_internal.h"

/* --- coming and going ------------------------------------------------------------------------------------------- */

/* A member of a type's data, by its dotted path, and the option that it is. option NULL: it says nothing. */
struct chardev_member {
    const char *type, *path, *option;
};

static const struct chardev_member members[] = {
    {"file", "out", "path"},
    {"file", "append", "append"},
    {"stdio", "signal", "signal"},
    {"ringbuf", "size", "size"},
    {"memory", "size", "size"},
    {"socket", "addr.type", NULL},
    {"socket", "addr.data.path", "path"},
    {"socket", "addr.data.abstract", "abstract"},
    {"socket", "addr.data.tight", "tight"},
    {"socket", "addr.data.host", "host"},
    {"socket", "addr.data.port", "port"},
    {"socket", "addr.data.ipv4", "ipv4"},
    {"socket", "addr.data.ipv6", "ipv6"},
    {"socket", "addr.data.str", "fd"},
    {"socket", "server", "server"},
    {"socket", "wait", "wait"},
    {"socket", "nodelay", "nodelay"},
    {"socket", "telnet", "telnet"},
    {"socket", "reconnect", "reconnect"},
};

static const struct chardev_member *member_find(const char *type, const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (strcmp(members[i].type, type) == 0 && strcmp(members[i].path, path) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

static int chardev_take_data(struct json_object *data, const char *type, struct options *options, struct error **err)
{
    static const char *const none[] = {NULL};
    struct options flat = {0};
    int ret = json_options_add(data, none, &flat, err);

    for (size_t i = 0; ret == 0 && i < flat.count; i++) {
        const struct chardev_member *member = member_find(type, flat.items[i].key);

        if (!member) {
            ret = error_set(err, -EINVAL, "Parameter 'backend.data.%s' is unexpected", flat.items[i].key);
        } else if (member->option) {
            ret = options_set(options, member->option, flat.items[i].value);
        }
    }
    options_release(&flat);
    return ret;
}

/* The backend's type and data; *data is NULL if there are none. */
static int chardev_take_backend(struct json_object *backend, const char **type, struct json_object **data,
                                struct error **err)
{
    struct json_object *value;

    if (!json_object_object_get_ex(backend, "type", &value)) {
        return error_set(err, -EINVAL, "Parameter 'backend.type' is missing");
    }
    if (!json_object_is_type(value, json_type_string)) {
        return error_set(err, -EINVAL, "Invalid parameter type for 'backend.type', expected: string");
    }
    *type = json_object_get_string(value);
    *data = NULL;
    json_object_object_get_ex(backend, "data", data);
    if (*data && !json_object_is_type(*data, json_type_object)) {
        return error_set(err, -EINVAL, "Invalid parameter type for 'backend.data', expected: object");
    }
    return 0;
}

/* {"pty": PATH} if it is one, else {}. */
static struct json_object *chardev_result(struct monitor *monitor, const char *id)
{
    const struct chardev *chardev = chardev_table_find(machine_backends(monitor->machine)->chardevs, id);
    struct json_object *result = json_object_new_object();

    if (chardev && strcmp(chardev_type_of(chardev)->name, "pty") == 0) {
        json_put_string(result, "pty", chardev_where(chardev));
    }
    return result;
}

int qmp_run_chardev_add(struct qmp_call *call)
{
    struct config_chardev config = {.id = (char *)qmp_call_string(call, "id")};
    const char *type = NULL;
    struct json_object *data = NULL;
    int ret = json_options_check_id("id", config.id, &call->err);

    ret = ret < 0 ? ret
                  : chardev_take_backend(json_object_object_get(call->arguments, "backend"), &type, &data, &call->err);
    config.backend = (char *)type;
    if (ret == 0 && data) {
        ret = chardev_take_data(data, type, &config.options, &call->err);
    }
    ret = ret < 0 ? ret : machine_chardev_add(call->monitor->machine, &config, &call->err);
    options_release(&config.options);
    if (ret == 0) {
        call->result = chardev_result(call->monitor, config.id);
    }
    return ret;
}

int qmp_run_chardev_remove(struct qmp_call *call)
{
    return machine_chardev_remove(call->monitor->machine, qmp_call_string(call, "id"), &call->err);
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

struct chardev_listing {
    struct json_object *array;
    struct chardev_table *table;
};

static void chardev_list(struct chardev *chardev, void *opaque)
{
    struct chardev_listing *listing = opaque;
    struct json_object *entry = json_append_object(listing->array);
    const char *type = chardev_type_of(chardev)->name;
    const char *where = chardev_where(chardev);
    char filename[512];

    snprintf(filename, sizeof(filename), "%s%s", strcmp(type, "pty") == 0 ? "pty:" : "", *where ? where : type);
    json_put_string(entry, "label", chardev_id(chardev));
    json_put_string(entry, "filename", filename);
    json_put_bool(entry, "frontend-open", chardev_table_is_used(listing->table, chardev_id(chardev)));
}

int qmp_run_query_chardev(struct qmp_call *call)
{
    struct chardev_table *table = machine_backends(call->monitor->machine)->chardevs;
    struct chardev_listing listing = {.array = json_object_new_array(), .table = table};

    chardev_table_foreach(table, chardev_list, &listing);
    call->result = listing.array;
    return 0;
}
