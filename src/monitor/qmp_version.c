/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is speaking. The number is that of the QMP which is spoken, since clients decide by it what to expect; heddle's
 * own name and version are in `package`.
 */
#include "monitor/qmp_version.h"

#include "monitor/qmp_internal.h"

struct json_object *qmp_version(void)
{
    struct json_object *version = json_object_new_object();
    struct json_object *number = json_object_new_object();

    json_object_object_add(number, "micro", json_object_new_int(0));
    json_object_object_add(number, "minor", json_object_new_int(2));
    json_object_object_add(number, "major", json_object_new_int(7));
    json_object_object_add(version, "qemu", number);
    json_object_object_add(version, "package", json_object_new_string("heddle " HDL_VERSION));
    return version;
}

struct json_object *qmp_greeting(void)
{
    struct json_object *greeting = json_object_new_object();
    struct json_object *qmp = json_object_new_object();
    struct json_object *capabilities = json_object_new_array();

    json_object_array_add(capabilities, json_object_new_string("oob"));
    json_object_object_add(qmp, "version", qmp_version());
    json_object_object_add(qmp, "capabilities", capabilities);
    json_object_object_add(greeting, "QMP", qmp);
    return greeting;
}
