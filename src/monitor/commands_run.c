/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's life. stop and cont are done when they are answered, and their events come first. quit is answered once
 * the machine has said that it ends, for the same reason; so it waits for that without anybody waiting.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/commands.h"
#include "monitor/monitor_internal.h"

int qmp_run_stop(struct qmp_call *call)
{
    machine_stop(call->monitor->machine);
    return 0;
}

int qmp_run_cont(struct qmp_call *call)
{
    return machine_cont(call->monitor->machine, &call->err);
}

int qmp_run_quit(struct qmp_call *call)
{
    struct monitor *monitor = call->monitor;

    /* Beyond one a monitor there are only those of clients that have gone, and don't hear the answer. */
    if (monitor->quit_count < machine_config_of(monitor->machine)->monitor_count) {
        call->is_deferred = true;
        monitor->quits[monitor->quit_count++] = call;
    }
    machine_ask_quit(monitor->machine, "host-qmp-quit");
    return 0;
}

void monitor_finish_quits(struct monitor *monitor)
{
    while (monitor->quit_count > 0) {
        qmp_call_finish(monitor->quits[--monitor->quit_count]);
    }
}

int qmp_run_system_reset(struct qmp_call *call)
{
    machine_ask_reset(call->monitor->machine);
    return 0;
}

int qmp_run_system_powerdown(struct qmp_call *call)
{
    machine_ask_power_button(call->monitor->machine);
    return 0;
}

int qmp_run_inject_nmi(struct qmp_call *call)
{
    return machine_inject_nmi(call->monitor->machine, &call->err);
}

/* What people see has "\n"; over QMP it always had "\r\n". */
static char *text_with_crlf(const char *text)
{
    char *out = malloc(2 * strlen(text) + 1);
    size_t used = 0;

    for (; out && *text; text++) {
        if (*text == '\n') {
            out[used++] = '\r';
        }
        out[used++] = *text;
    }
    if (out) {
        out[used] = '\0';
    }
    return out;
}

int qmp_run_human_monitor_command(struct qmp_call *call)
{
    char *text = hmp_run(call->monitor, qmp_call_string(call, "command-line"));
    char *crlf = text ? text_with_crlf(text) : NULL;

    call->result = json_object_new_string(crlf ? crlf : "");
    free(crlf);
    free(text);
    return 0;
}
