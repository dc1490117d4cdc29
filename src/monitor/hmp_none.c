/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No monitor for people: what stands where one would be. */
#include <errno.h>
#include <string.h>

#include "monitor/hmp.h"

char *hmp_run(struct monitor *monitor, const char *command_line)
{
    return strdup("there is no monitor for people\n");
}

struct hmp_session *hmp_session_create(struct monitor *monitor, struct chardev *chardev,
                                       struct event_loop *monitor_loop, struct error **err)
{
    error_set(err, -ENOTSUP, "there is no monitor for people, only QMP (mode=control)");
    return NULL;
}

void hmp_session_destroy(struct hmp_session *session)
{
}
