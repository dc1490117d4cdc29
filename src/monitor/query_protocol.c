/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What never changes while heddle runs: answered on the monitor's thread, so also while a command takes its time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"
#include "monitor/qmp_version.h"

int qmp_run_query_version(struct qmp_call *call)
{
    call->result = qmp_version();
    return 0;
}

int qmp_run_query_commands(struct qmp_call *call)
{
    call->result = json_object_new_array();
    for (const struct qmp_command *command = qmp_commands; command->name; command++) {
        json_put_string(json_append_object(call->result), "name", command->name);
    }
    return 0;
}

int qmp_run_query_name(struct qmp_call *call)
{
    const struct machine_config *config = machine_config_of(call->monitor->machine);

    call->result = json_object_new_object();
    if (config->name) {
        json_put_string(call->result, "name", config->name);
    }
    return 0;
}

int qmp_run_query_uuid(struct qmp_call *call)
{
    const uint8_t *uuid = machine_config_of(call->monitor->machine)->uuid;
    char text[37];
    size_t used = 0;

    for (unsigned i = 0; i < 16; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    }
    call->result = json_object_new_object();
    json_put_string(call->result, "UUID", text);
    return 0;
}

int qmp_run_query_kvm(struct qmp_call *call)
{
    struct pc *pc = machine_pc(call->monitor->machine);
    bool present = access("/dev/kvm", R_OK | W_OK) == 0;
    const char *name = pc ? vm_accelerator_name(pc->vm) : machine_config_of(call->monitor->machine)->accels[0];

    call->result = json_object_new_object();
    json_put_bool(call->result, "enabled", strcmp(name, "kvm") == 0 && (pc || present));
    json_put_bool(call->result, "present", present);
    return 0;
}

int qmp_run_query_target(struct qmp_call *call)
{
    call->result = json_object_new_object();
    json_put_string(call->result, "arch", "x86_64");
    return 0;
}

int qmp_run_query_nothing(struct qmp_call *call)
{
    call->result = json_object_new_array();
    return 0;
}

/* --- command-line options --------------------------------------------------------------------------------------- */

struct command_line_parameter {
    const char *name, *type;
};

struct command_line_option {
    const char *name;
    struct command_line_parameter parameters[12];
};

/* Those by which programs decide what to say. The command line's own help has all. */
static const struct command_line_option command_line_options[] = {
    {"machine",
     {{"type", "string"},
      {"accel", "string"},
      {"kernel-irqchip", "string"},
      {"kernel-payload", "string"},
      {"memory-backend", "string"},
      {"usb", "boolean"},
      {"dump-guest-core", "boolean"}}},
    {"smp-opts",
     {{"cpus", "number"}, {"sockets", "number"}, {"cores", "number"}, {"threads", "number"}, {"maxcpus", "number"}}},
    {"chardev",
     {{"backend", "string"},
      {"id", "string"},
      {"path", "string"},
      {"host", "string"},
      {"port", "string"},
      {"server", "boolean"},
      {"wait", "boolean"},
      {"mux", "boolean"},
      {"append", "boolean"},
      {"size", "size"}}},
    {"mon", {{"chardev", "string"}, {"mode", "string"}, {"pretty", "boolean"}, {"id", "string"}}},
    {"device", {{"driver", "string"}, {"id", "string"}}},
    {"object", {{"qom-type", "string"}, {"id", "string"}}},
    {"name", {{"guest", "string"}, {"debug-threads", "boolean"}}},
    {"rtc", {{"base", "string"}, {"clock", "string"}}},
};

static void option_list(struct json_object *array, const struct command_line_option *option)
{
    struct json_object *entry = json_append_object(array);
    struct json_object *parameters;

    json_put_string(entry, "option", option->name);
    parameters = json_put_array(entry, "parameters");
    for (size_t i = 0; i < ARRAY_SIZE(option->parameters) && option->parameters[i].name; i++) {
        struct json_object *parameter = json_append_object(parameters);

        json_put_string(parameter, "name", option->parameters[i].name);
        json_put_string(parameter, "type", option->parameters[i].type);
    }
}

int qmp_run_query_command_line_options(struct qmp_call *call)
{
    const char *name = qmp_call_string(call, "option");

    call->result = json_object_new_array();
    for (size_t i = 0; i < ARRAY_SIZE(command_line_options); i++) {
        if (!name || strcmp(name, command_line_options[i].name) == 0) {
            option_list(call->result, &command_line_options[i]);
        }
    }
    if (name && json_object_array_length(call->result) == 0) {
        return error_set(&call->err, -ENOENT, "invalid option name: %s", name);
    }
    return 0;
}
