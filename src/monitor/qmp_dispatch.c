/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message's members first, then which command it is and whether it may be run now, then the command's arguments. The
 * first thing that is wrong is told, in the words that clients know.
 */
#include "monitor/qmp_dispatch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "monitor/qmp_arguments.h"

const char qmp_negotiate_name[] = "qmp_capabilities";

static const char *const capability_words[] = {"oob", NULL};

const struct qmp_argument qmp_negotiate_arguments[] = {
    {.name = "enable", .type = QMP_STRINGS, .optional = true, .words = capability_words, .words_name = "QMPCapability"},
    {0},
};

/* --- the message's own members ---------------------------------------------------------------------------------- */

bool qmp_message_is_oob(struct json_object *message)
{
    return json_object_is_type(message, json_type_object) && json_object_object_get_ex(message, "exec-oob", NULL) &&
           !json_object_object_get_ex(message, "execute", NULL);
}

/* *verb: "execute" or "exec-oob", once one was seen. */
static int member_check(const char *name, struct json_object *member, struct qmp_capabilities capabilities,
                        const char **verb, struct error **err)
{
    if (strcmp(name, "execute") == 0 || (strcmp(name, "exec-oob") == 0 && capabilities.oob)) {
        if (!json_object_is_type(member, json_type_string)) {
            return error_set(err, -EINVAL, "QMP input member '%s' must be a string", name);
        }
        if (*verb) {
            return error_set(err, -EINVAL, "QMP input member '%s' clashes with '%s'", name, *verb);
        }
        *verb = name;
    } else if (strcmp(name, "arguments") == 0) {
        if (!json_object_is_type(member, json_type_object)) {
            return error_set(err, -EINVAL, "QMP input member 'arguments' must be an object");
        }
    } else if (strcmp(name, "id") != 0) {
        return error_set(err, -EINVAL, "QMP input member '%s' is unexpected", name);
    }
    return 0;
}

static int members_check(struct json_object *message, struct qmp_capabilities capabilities, const char **verb,
                         struct error **err)
{
    int ret = 0;

    if (!json_object_is_type(message, json_type_object)) {
        return error_set(err, -EINVAL, "QMP input must be a JSON object");
    }
    json_object_object_foreach(message, name, member)
    {
        ret = ret < 0 ? ret : member_check(name, member, capabilities, verb, err);
    }
    if (ret == 0 && !*verb) {
        ret = error_set(err, -EINVAL, "QMP input lacks member 'execute'");
    }
    return ret;
}

/* --- the command ------------------------------------------------------------------------------------------------ */

static const struct qmp_command *command_find(const char *name, const struct qmp_command *commands,
                                              struct qmp_capabilities capabilities, struct qmp_call *call)
{
    bool negotiates = strcmp(name, qmp_negotiate_name) == 0;

    call->error_class = QMP_COMMAND_NOT_FOUND;
    if (!capabilities.negotiated && !negotiates) {
        error_set(&call->err, -ENOENT, "Expecting capabilities negotiation with '%s'", qmp_negotiate_name);
        return NULL;
    }
    if (capabilities.negotiated && negotiates) {
        error_set(&call->err, -EALREADY, "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    for (const struct qmp_command *command = commands; command->name; command++) {
        if (strcmp(command->name, name) == 0) {
            call->error_class = QMP_GENERIC_ERROR;
            return command;
        }
    }
    error_set(&call->err, -ENOENT, "The command %s has not been found", name);
    return NULL;
}

const struct qmp_command *qmp_message_check(struct json_object *message, const struct qmp_command *commands,
                                            struct qmp_capabilities capabilities, struct qmp_call *call)
{
    const struct qmp_command *command;
    const char *verb = NULL;
    struct json_object *arguments = NULL;

    if (members_check(message, capabilities, &verb, &call->err) < 0) {
        return NULL;
    }
    command = command_find(json_object_get_string(json_object_object_get(message, verb)), commands, capabilities, call);
    if (!command) {
        return NULL;
    }
    if (strcmp(verb, "exec-oob") == 0 && !command->allow_oob) {
        error_set(&call->err, -EINVAL, "The command %s does not support OOB", command->name);
        return NULL;
    }
    if (json_object_object_get_ex(message, "arguments", &arguments)) {
        call->arguments = json_object_get(arguments);
    } else {
        call->arguments = json_object_new_object();
    }
    if (!call->arguments || qmp_arguments_check(call->arguments, command, &call->err) < 0) {
        return NULL;
    }
    return command;
}

int qmp_negotiate(struct qmp_call *call, struct qmp_capabilities *capabilities)
{
    struct json_object *enable = json_object_object_get(call->arguments, "enable");
    size_t count = enable ? json_object_array_length(enable) : 0;

    capabilities->oob = count > 0; /* the only word there is */
    capabilities->negotiated = true;
    return 0;
}

/* --- what a call gives ------------------------------------------------------------------------------------------ */

static struct json_object *error_object(const struct qmp_call *call)
{
    static const char *const names[] = {
        [QMP_GENERIC_ERROR] = "GenericError",
        [QMP_COMMAND_NOT_FOUND] = "CommandNotFound",
        [QMP_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [QMP_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
    };
    struct json_object *error = json_object_new_object();

    json_object_object_add(error, "class", json_object_new_string(names[call->error_class]));
    json_object_object_add(error, "desc", json_object_new_string(call->err->message));
    return error;
}

struct json_object *qmp_reply(struct json_object *message, const struct qmp_call *call)
{
    struct json_object *reply = json_object_new_object();
    struct json_object *id;

    if (call->err) {
        json_object_object_add(reply, "error", error_object(call));
    } else {
        json_object_object_add(reply, "return",
                               call->result ? json_object_get(call->result) : json_object_new_object());
    }
    if (json_object_is_type(message, json_type_object) && json_object_object_get_ex(message, "id", &id)) {
        json_object_object_add(reply, "id", json_object_get(id));
    }
    return reply;
}

void qmp_call_release(struct qmp_call *call)
{
    json_object_put(call->arguments);
    json_object_put(call->result);
    error_free(call->err);
    *call = (struct qmp_call){0};
}

int qmp_call_not_found(struct qmp_call *call, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    call->error_class = QMP_DEVICE_NOT_FOUND;
    return error_set(&call->err, -ENODEV, "%s", text);
}
