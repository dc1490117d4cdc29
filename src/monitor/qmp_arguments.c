/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types first, in the table's order, then what the table doesn't have. Values are the handlers' to judge. */
#include "monitor/qmp_arguments.h"

#include <errno.h>
#include <string.h>

static bool type_fits(struct json_object *value, enum qmp_type type)
{
    static const enum json_type types[] = {
        [QMP_STRING] = json_type_string, [QMP_INTEGER] = json_type_int,   [QMP_BOOLEAN] = json_type_boolean,
        [QMP_OBJECT] = json_type_object, [QMP_STRINGS] = json_type_array,
    };

    return type == QMP_ANY || json_object_is_type(value, types[type]);
}

static int type_error(const char *name, enum qmp_type type, struct error **err)
{
    static const char *const names[] = {
        [QMP_STRING] = "string", [QMP_INTEGER] = "integer", [QMP_BOOLEAN] = "boolean",
        [QMP_OBJECT] = "object", [QMP_STRINGS] = "array",   [QMP_ANY] = "value",
    };

    return error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", name, names[type]);
}

static int word_check(const struct qmp_argument *argument, struct json_object *value, struct error **err)
{
    const char *text = json_object_get_string(value);

    for (const char *const *word = argument->words; word && *word; word++) {
        if (strcmp(*word, text) == 0) {
            return 0;
        }
    }
    return argument->words ? error_set(err, -EINVAL, "Parameter '%s' does not accept value '%s'", argument->name, text)
                           : 0;
}

static int argument_check(const struct qmp_argument *argument, struct json_object *arguments, struct error **err)
{
    struct json_object *value;
    int ret = 0;

    if (!json_object_object_get_ex(arguments, argument->name, &value)) {
        return argument->optional ? 0 : error_set(err, -EINVAL, "Parameter '%s' is missing", argument->name);
    }
    if (!type_fits(value, argument->type)) {
        return type_error(argument->name, argument->type, err);
    }
    if (argument->type == QMP_STRING) {
        return word_check(argument, value, err);
    }
    for (size_t i = 0; ret == 0 && argument->type == QMP_STRINGS && i < json_object_array_length(value); i++) {
        struct json_object *element = json_object_array_get_idx(value, i);

        ret = json_object_is_type(element, json_type_string) ? word_check(argument, element, err)
                                                             : type_error(argument->name, QMP_STRING, err);
    }
    return ret;
}

static bool argument_is_known(const struct qmp_argument *arguments, const char *name)
{
    for (const struct qmp_argument *argument = arguments; argument && argument->name; argument++) {
        if (strcmp(argument->name, name) == 0) {
            return true;
        }
    }
    return false;
}

int qmp_arguments_check(struct json_object *arguments, const struct qmp_command *command, struct error **err)
{
    int ret = 0;

    for (const struct qmp_argument *argument = command->arguments; ret == 0 && argument && argument->name; argument++) {
        ret = argument_check(argument, arguments, err);
    }
    if (ret < 0 || command->takes_more) {
        return ret;
    }
    json_object_object_foreach(arguments, name, value)
    {
        (void)value;
        if (ret == 0 && !argument_is_known(command->arguments, name)) {
            ret = error_set(err, -EINVAL, "Parameter '%s' is unexpected", name);
        }
    }
    return ret;
}

const char *qmp_call_string(const struct qmp_call *call, const char *name)
{
    struct json_object *value;

    return json_object_object_get_ex(call->arguments, name, &value) ? json_object_get_string(value) : NULL;
}

bool qmp_call_bool(const struct qmp_call *call, const char *name, bool otherwise)
{
    struct json_object *value;

    return json_object_object_get_ex(call->arguments, name, &value) ? (bool)json_object_get_boolean(value) : otherwise;
}
