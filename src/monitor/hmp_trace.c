/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace points, switched on and off while the machine runs. They write to heddle's log, not to the monitor. */
#include <string.h>

#include "base/log.h"
#include "monitor/hmp_command.h"

void hmp_trace_event(struct hmp_call *call)
{
    const char *name = hmp_next_word(&call->arguments);
    const char *value = name ? hmp_next_word(&call->arguments) : NULL;
    struct error *err = NULL;

    if (!value || (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)) {
        fprintf(call->out, "Error: trace-event takes a name and 'on' or 'off'\n");
        return;
    }
    if (hmp_has_excess(call)) {
        return;
    }
    if (strcmp(value, "on") == 0) {
        trace_enable(name, &err);
    } else {
        trace_disable(name, &err);
    }
    hmp_say_error(call, err);
}

void hmp_log(struct hmp_call *call)
{
    char *names = hmp_next_word(&call->arguments);
    char *name;

    if (!names) {
        fprintf(call->out, "Error: the names of trace points are missing; 'info trace-events' lists them\n");
        return;
    }
    if (hmp_has_excess(call)) {
        return;
    }
    trace_disable("*", NULL);
    if (strcmp(names, "none") == 0) {
        return;
    }
    while ((name = strsep(&names, ","))) {
        struct error *err = NULL;

        trace_enable(name, &err);
        hmp_say_error(call, err);
    }
}

struct trace_listing {
    FILE *out;
    unsigned point; /* the next one's number */
};

static void info_trace_event(const char *name, void *opaque)
{
    struct trace_listing *listing = opaque;

    fprintf(listing->out, "%s : state %d\n", name, trace_is_enabled((enum trace_point)listing->point++));
}

void info_trace_events(struct hmp_call *call)
{
    struct trace_listing listing = {.out = call->out};

    trace_list(info_trace_event, &listing);
}
