/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What migration would be capable of. There is none yet, so there is one capability, "events": a client that starts a
 * guest asks for them before anything migrates, and gets none because nothing does. Configuration thread.
 */
#include <errno.h>
#include <string.h>

#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

int qmp_run_query_migrate_capabilities(struct qmp_call *call)
{
    struct json_object *events;

    call->result = json_object_new_array();
    events = json_append_object(call->result);
    json_put_string(events, "capability", "events");
    json_put_bool(events, "state", call->monitor->migration_events);
    return 0;
}

/* One {"capability": ..., "state": ...}. */
static int capability_check(const struct json_object *item, struct error **err)
{
    struct json_object *name = json_object_object_get(item, "capability");
    struct json_object *state = json_object_object_get(item, "state");

    if (!json_object_is_type(name, json_type_string)) {
        return error_set(err, -EINVAL, "Invalid parameter type for 'capabilities.capability', expected: string");
    }
    if (!json_object_is_type(state, json_type_boolean)) {
        return error_set(err, -EINVAL, "Invalid parameter type for 'capabilities.state', expected: boolean");
    }
    if (strcmp(json_object_get_string(name), "events") != 0) {
        return error_set(err, -EINVAL, "Parameter 'capability' does not accept value '%s'",
                         json_object_get_string(name));
    }
    return 0;
}

int qmp_run_migrate_set_capabilities(struct qmp_call *call)
{
    struct json_object *list = json_object_object_get(call->arguments, "capabilities");
    bool events = call->monitor->migration_events;

    if (!json_object_is_type(list, json_type_array)) {
        return error_set(&call->err, -EINVAL, "Invalid parameter type for 'capabilities', expected: array");
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        int ret = capability_check(item, &call->err);

        if (ret < 0) {
            return ret;
        }
        events = json_object_get_boolean(json_object_object_get(item, "state"));
    }
    call->monitor->migration_events = events;
    return 0;
}
