/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What query-version and the greeting say. */
#ifndef HDL_MONITOR_QMP_VERSION_H
#define HDL_MONITOR_QMP_VERSION_H

#include <json-c/json.h>

/* A new value. */
struct json_object *qmp_version(void);

#endif
