/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine tells, as QMP's events. Configuration thread. */
#include <stdio.h>
#include <string.h>

#include "machine/device_types.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

static struct json_object *event_reason(const struct machine_event *event)
{
    struct json_object *data = json_object_new_object();

    json_put_bool(data, "guest", event->by_guest);
    json_put_string(data, "reason", event->reason);
    return data;
}

static struct json_object *event_device(const struct machine_device *entry)
{
    struct json_object *data = json_object_new_object();

    if (entry->has_id) {
        json_put_string(data, "device", entry->device->id);
    }
    json_put_string(data, "path", entry->path);
    return data;
}

/* A virtio function is two objects to clients: it, and the device behind it, which goes first. */
static void event_deleted(struct monitor *monitor, const struct machine_device *entry)
{
    if (device_type_has_non_transitional(entry->device->type)) {
        struct json_object *data = json_object_new_object();
        char path[512];

        snprintf(path, sizeof(path), "%s/virtio-backend", entry->path);
        json_put_string(data, "path", path);
        qmp_server_event(monitor->server, "DEVICE_DELETED", data);
    }
    qmp_server_event(monitor->server, "DEVICE_DELETED", event_device(entry));
}

static void event_panicked(struct monitor *monitor, const struct machine_event *event)
{
    struct json_object *data = json_object_new_object();

    json_put_string(data, "action", event->reason);
    qmp_server_event(monitor->server, "GUEST_PANICKED", data);
}

void monitor_machine_event(struct monitor *monitor, const struct machine_event *event)
{
    switch (event->kind) {
    case MACHINE_EVENT_STOP:
        qmp_server_event(monitor->server, "STOP", NULL);
        break;
    case MACHINE_EVENT_RESUME:
        qmp_server_event(monitor->server, "RESUME", NULL);
        break;
    case MACHINE_EVENT_RESET:
        qmp_server_event(monitor->server, "RESET", event_reason(event));
        break;
    case MACHINE_EVENT_SHUTDOWN:
        qmp_server_event(monitor->server, "SHUTDOWN", event_reason(event));
        monitor_finish_quits(monitor);
        break;
    case MACHINE_EVENT_POWERDOWN:
        qmp_server_event(monitor->server, "POWERDOWN", NULL);
        break;
    case MACHINE_EVENT_GUEST_PANICKED:
        event_panicked(monitor, event);
        break;
    case MACHINE_EVENT_DEVICE_DELETED:
        event_deleted(monitor, event->device);
        break;
    case MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR:
        qmp_server_event(monitor->server, "DEVICE_UNPLUG_GUEST_ERROR", event_device(event->device));
        break;
    }
}
