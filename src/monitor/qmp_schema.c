/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-qmp-schema, from the table of commands and the events below: what each command takes is exact, since the same
 * table checks it; what it gives is said no closer than "a list" or "an object" (any).
 */
#include <stdio.h>
#include <string.h>

#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

/* --- events ----------------------------------------------------------------------------------------------------- */

struct schema_event {
    const char *name;
    const struct qmp_argument *members; /* NULL: none */
};

static const struct qmp_argument reason_members[] = {
    {.name = "guest", .type = QMP_BOOLEAN}, {.name = "reason", .type = QMP_STRING}, {0}};
static const struct qmp_argument device_members[] = {
    {.name = "device", .type = QMP_STRING, .optional = true}, {.name = "path", .type = QMP_STRING}, {0}};
static const struct qmp_argument panic_members[] = {{.name = "action", .type = QMP_STRING}, {0}};

static const struct schema_event events[] = {
    {"DEVICE_DELETED", device_members}, {"DEVICE_UNPLUG_GUEST_ERROR", device_members},
    {"GUEST_PANICKED", panic_members},  {"POWERDOWN", NULL},
    {"RESET", reason_members},          {"RESUME", NULL},
    {"SHUTDOWN", reason_members},       {"STOP", NULL},
};

/* --- entities --------------------------------------------------------------------------------------------------- */

static struct json_object *schema_entity(struct json_object *schema, const char *name, const char *meta_type)
{
    struct json_object *entity = json_append_object(schema);

    json_put_string(entity, "name", name);
    json_put_string(entity, "meta-type", meta_type);
    return entity;
}

static bool schema_has(struct json_object *schema, const char *name)
{
    for (size_t i = 0; i < json_object_array_length(schema); i++) {
        struct json_object *entity = json_object_array_get_idx(schema, i);

        if (strcmp(json_object_get_string(json_object_object_get(entity, "name")), name) == 0) {
            return true;
        }
    }
    return false;
}

static void schema_add_enum(struct json_object *schema, const char *name, const char *const *words)
{
    struct json_object *entity, *members, *values;

    if (schema_has(schema, name)) {
        return;
    }
    entity = schema_entity(schema, name, "enum");
    members = json_put_array(entity, "members");
    values = json_put_array(entity, "values");
    for (; *words; words++) {
        json_put_string(json_append_object(members), "name", *words);
        json_object_array_add(values, json_object_new_string(*words));
    }
}

static void schema_add_array(struct json_object *schema, const char *element)
{
    char name[80];

    snprintf(name, sizeof(name), "[%s]", element);
    if (!schema_has(schema, name)) {
        json_put_string(schema_entity(schema, name, "array"), "element-type", element);
    }
}

/* The name of an argument's type, in buffer; makes sure that the schema has it. */
static void schema_type(struct json_object *schema, const struct qmp_argument *argument, char *buffer, size_t size)
{
    static const char *const names[] = {
        [QMP_STRING] = "str", [QMP_INTEGER] = "int", [QMP_BOOLEAN] = "bool",
        [QMP_OBJECT] = "any", [QMP_STRINGS] = "str", [QMP_ANY] = "any",
    };
    const char *name = argument->words ? argument->words_name : names[argument->type];

    if (argument->words) {
        schema_add_enum(schema, name, argument->words);
    }
    if (argument->type == QMP_STRINGS) {
        schema_add_array(schema, name);
        snprintf(buffer, size, "[%s]", name);
    } else {
        snprintf(buffer, size, "%s", name);
    }
}

static struct json_object *schema_add_object(struct json_object *schema, const char *name,
                                             const struct qmp_argument *arguments)
{
    struct json_object *members = json_object_new_array();
    struct json_object *entity;

    for (const struct qmp_argument *argument = arguments; argument && argument->name; argument++) {
        struct json_object *member = json_append_object(members);
        char type[80];

        schema_type(schema, argument, type, sizeof(type));
        json_put_string(member, "name", argument->name);
        if (argument->optional) {
            json_put(member, "default", NULL);
        }
        json_put_string(member, "type", type);
    }
    entity = schema_entity(schema, name, "object");
    json_put(entity, "members", members);
    return entity;
}

static void schema_add_variants(struct json_object *schema, struct json_object *entity,
                                const struct qmp_command *command)
{
    struct json_object *variants = json_put_array(entity, "variants");

    json_put_string(entity, "tag", command->tag);
    for (const struct qmp_variant *variant = command->variants; variant->tag_value; variant++) {
        struct json_object *entry = json_append_object(variants);
        char name[120];

        snprintf(name, sizeof(name), "%s-%s", command->name, variant->tag_value);
        json_put_string(entry, "case", variant->tag_value);
        json_put_string(entry, "type", name);
        schema_add_object(schema, name, variant->arguments);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

#define NO_MEMBERS "nothing"

static void schema_add_builtins(struct json_object *schema)
{
    static const char *const builtins[][2] = {{"str", "string"}, {"int", "int"}, {"bool", "boolean"}, {"any", "value"}};

    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
        json_put_string(schema_entity(schema, builtins[i][0], "builtin"), "json-type", builtins[i][1]);
    }
    schema_add_array(schema, "any");
    schema_add_object(schema, NO_MEMBERS, NULL);
}

/* The name of an object with those members, in buffer. */
static struct json_object *schema_add_arguments(struct json_object *schema, const char *owner,
                                                const struct qmp_argument *arguments, char *buffer, size_t size)
{
    if (!arguments) {
        snprintf(buffer, size, NO_MEMBERS);
        return NULL;
    }
    snprintf(buffer, size, "%s-arg", owner);
    return schema_add_object(schema, buffer, arguments);
}

static void schema_add_command(struct json_object *schema, const struct qmp_command *command)
{
    static const char *const results[] = {
        [QMP_RESULT_NOTHING] = NO_MEMBERS, [QMP_RESULT_OBJECT] = "any", [QMP_RESULT_LIST] = "[any]",
        [QMP_RESULT_TEXT] = "str",         [QMP_RESULT_ANY] = "any",
    };
    char arguments[80];
    struct json_object *object =
        schema_add_arguments(schema, command->name, command->arguments, arguments, sizeof(arguments));
    struct json_object *entity;

    if (object && command->variants) {
        schema_add_variants(schema, object, command);
    }
    entity = schema_entity(schema, command->name, "command");
    json_put_string(entity, "arg-type", arguments);
    json_put_string(entity, "ret-type", results[command->result]);
    if (command->allow_oob) {
        json_put_bool(entity, "allow-oob", true);
    }
    if (command->feature) {
        json_object_array_add(json_put_array(entity, "features"), json_object_new_string(command->feature));
    }
}

int qmp_run_query_qmp_schema(struct qmp_call *call)
{
    struct json_object *schema = json_object_new_array();

    schema_add_builtins(schema);
    for (const struct qmp_command *command = qmp_commands; command->name; command++) {
        schema_add_command(schema, command);
    }
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        char members[80];

        schema_add_arguments(schema, events[i].name, events[i].members, members, sizeof(members));
        json_put_string(schema_entity(schema, events[i].name, "event"), "arg-type", members);
    }
    call->result = schema;
    return 0;
}
