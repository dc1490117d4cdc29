/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the sessions that the configuration asks for, connects them with the machine, and ends them. */
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>

#include "monitor/monitor_internal.h"

struct machine *monitor_machine(struct monitor *monitor)
{
    return monitor->machine;
}

static void monitor_hears(void *opaque, const struct machine_event *event)
{
    monitor_machine_event(opaque, event);
}

static int monitor_add_session(struct monitor *monitor, const struct config_monitor *config, struct error **err)
{
    struct chardev *chardev = chardev_table_claim(machine_backends(monitor->machine)->chardevs, config->chardev, err);
    struct hmp_session *session;

    if (!chardev) {
        return -EBUSY;
    }
    if (config->control) {
        return qmp_server_add(monitor->server, chardev, config->pretty, err);
    }
    session = hmp_session_create(monitor, chardev, qmp_server_loop(monitor->server), err);
    if (!session) {
        return -EBUSY;
    }
    monitor->hmp_sessions[monitor->hmp_session_count++] = session;
    return 0;
}

static int monitor_add_sessions(struct monitor *monitor, struct error **err)
{
    const struct machine_config *config = machine_config_of(monitor->machine);
    int ret = 0;

    if (config->monitor_count == 0) {
        return 0;
    }
    monitor->quits = calloc(config->monitor_count, sizeof(struct qmp_call *));
    monitor->hmp_sessions = calloc(config->monitor_count, sizeof(struct hmp_session *));
    if (!monitor->quits || !monitor->hmp_sessions) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    monitor->server = qmp_server_create(machine_loop(monitor->machine), qmp_commands, monitor, err);
    if (!monitor->server) {
        return -ENOMEM;
    }
    machine_set_listener(monitor->machine, &monitor->listener);
    for (size_t i = 0; ret == 0 && i < config->monitor_count; i++) {
        ret = monitor_add_session(monitor, &config->monitors[i], err);
        if (ret < 0) {
            error_prefix(err, "-mon");
        }
    }
    return ret < 0 ? ret : qmp_server_start(monitor->server, err);
}

struct monitor *monitor_create(struct machine *machine, struct error **err)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));

    if (!monitor) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    monitor->machine = machine;
    monitor->listener = (struct machine_listener){.event = monitor_hears, .opaque = monitor};
    if (monitor_add_sessions(monitor, err) < 0) {
        monitor_destroy(monitor);
        return NULL;
    }
    return monitor;
}

void monitor_destroy(struct monitor *monitor)
{
    if (!monitor) {
        return;
    }
    if (monitor->server) {
        machine_set_listener(monitor->machine, NULL);
        monitor_finish_quits(monitor);
    }
    while (monitor->hmp_session_count > 0) {
        hmp_session_destroy(monitor->hmp_sessions[--monitor->hmp_session_count]);
    }
    qmp_server_destroy(monitor->server);
    free(monitor->hmp_sessions);
    free(monitor->quits);
    free(monitor);
}
