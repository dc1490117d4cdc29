/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, objects and block nodes that come and go. Arguments become the same plain data that the command line makes,
 * and the machine checks what they mean.
 */
#include <errno.h>

#include "block/block.h"
#include "machine/device_types.h"
#include "monitor/commands.h"
#include "monitor/json_options.h"
#include "monitor/monitor_internal.h"

/* --- devices ---------------------------------------------------------------------------------------------------- */

int qmp_run_device_add(struct qmp_call *call)
{
    static const char *const own[] = {"driver", "id", NULL};
    const char *driver = qmp_call_string(call, "driver");
    const char *id = qmp_call_string(call, "id");
    const struct device_type *type = device_type_find(driver);
    struct config_device config = {.type = (char *)(type ? type->name : driver), .id = (char *)id};
    int ret = id ? json_options_check_id("id", id, &call->err) : 0;

    ret = ret < 0 ? ret : json_options_add(call->arguments, own, &config.options, &call->err);
    ret = ret < 0 ? ret : machine_device_add(call->monitor->machine, &config, &call->err);
    options_release(&config.options);
    return ret;
}

int qmp_run_device_del(struct qmp_call *call)
{
    int ret = machine_device_del(call->monitor->machine, qmp_call_string(call, "id"),
                                 qmp_call_bool(call, "force", false), &call->err);

    if (ret == -ENODEV) {
        call->error_class = QMP_DEVICE_NOT_FOUND;
    }
    return ret;
}

/* --- objects ---------------------------------------------------------------------------------------------------- */

int qmp_run_object_add(struct qmp_call *call)
{
    static const char *const own[] = {"qom-type", "id", NULL};
    const char *id = qmp_call_string(call, "id");
    struct config_object config = {.type = (char *)qmp_call_string(call, "qom-type"), .id = (char *)id};
    int ret = json_options_check_id("id", id, &call->err);

    ret = ret < 0 ? ret : json_options_add(call->arguments, own, &config.options, &call->err);
    ret = ret < 0 ? ret : machine_object_add(call->monitor->machine, &config, &call->err);
    options_release(&config.options);
    return ret;
}

int qmp_run_object_del(struct qmp_call *call)
{
    return machine_object_del(call->monitor->machine, qmp_call_string(call, "id"), &call->err);
}

/* --- block nodes ------------------------------------------------------------------------------------------------ */

int qmp_run_blockdev_add(struct qmp_call *call)
{
    static const char *const own[] = {"node-name", NULL};
    const char *name = qmp_call_string(call, "node-name");
    struct config_node config = {.name = (char *)name};
    int ret;

    if (!name) {
        return error_set(&call->err, -EINVAL, "'node-name' must be specified for the root node");
    }
    ret = json_options_check_id("node-name", name, &call->err);
    ret = ret < 0 ? ret : json_options_add(call->arguments, own, &config.options, &call->err);
    if (ret == 0) {
        block_options_tidy(&config.options);
        ret = machine_blockdev_add(call->monitor->machine, &config, &call->err);
    }
    options_release(&config.options);
    return ret;
}

int qmp_run_blockdev_del(struct qmp_call *call)
{
    return machine_blockdev_del(call->monitor->machine, qmp_call_string(call, "node-name"), &call->err);
}
