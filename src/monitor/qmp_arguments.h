/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command's arguments against its table. Pure. */
#ifndef HDL_MONITOR_QMP_ARGUMENTS_H
#define HDL_MONITOR_QMP_ARGUMENTS_H

#include "monitor/qmp_command.h"

/* 0, or -EINVAL and QMP's message about the first argument that is missing, unknown or of the wrong type. */
int qmp_arguments_check(struct json_object *arguments, const struct qmp_command *command, struct error **err);

#endif
