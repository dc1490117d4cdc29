/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands know of the monitor that they are called for. */
#ifndef HDL_MONITOR_MONITOR_INTERNAL_H
#define HDL_MONITOR_MONITOR_INTERNAL_H

#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "monitor/qmp_server.h"

/* machine, server, hmp_sessions: immutable once created. quits: configuration thread. */
struct monitor {
    struct machine *machine;
    struct qmp_server *server; /* NULL: there are no monitors */
    struct hmp_session **hmp_sessions;
    size_t hmp_session_count;
    struct qmp_call **quits; /* wait for the machine to say that it ends; as many as there are monitors at most */
    size_t quit_count;
    bool migration_events; /* a client asked for them; configuration thread */
    struct machine_listener listener;
};

/* The table of all commands; ends with a NULL name. */
extern const struct qmp_command qmp_commands[];

/* Tells clients what the machine tells. Configuration thread. */
void monitor_machine_event(struct monitor *monitor, const struct machine_event *event);
/* Answers those that asked the machine to quit. Configuration thread. */
void monitor_finish_quits(struct monitor *monitor);

#endif
