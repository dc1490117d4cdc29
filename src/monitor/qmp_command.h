/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command is, as data: its name, what it takes, what it gives, and who runs it. The dispatcher checks arguments
 * by it, and query-qmp-schema is written from it, so neither can know a command that the other doesn't.
 */
#ifndef HDL_MONITOR_QMP_COMMAND_H
#define HDL_MONITOR_QMP_COMMAND_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct monitor;
struct qmp_call;

/* QMP's classes of errors, beside which the description is for people. */
enum qmp_error_class { QMP_GENERIC_ERROR, QMP_COMMAND_NOT_FOUND, QMP_DEVICE_NOT_FOUND, QMP_DEVICE_NOT_ACTIVE };

enum qmp_type { QMP_STRING, QMP_INTEGER, QMP_BOOLEAN, QMP_OBJECT, QMP_STRINGS, QMP_ANY };

/* An argument. A table of them ends with a NULL name. */
struct qmp_argument {
    const char *name;
    enum qmp_type type;
    bool optional;
    const char *const *words; /* a QMP_STRING or QMP_STRINGS of these only (NULL-terminated); NULL: any */
    const char *words_name;   /* what the schema calls that set */
};

/* A set of arguments that goes with one value of the argument `tag`. */
struct qmp_variant {
    const char *tag_value;
    const struct qmp_argument *arguments; /* all of them optional, or checked by the handler */
};

/* Who runs a command. */
enum qmp_where {
    QMP_CONFIGURATION_THREAD, /* one at a time, in the order in which a session sent them */
    QMP_MONITOR_THREAD,       /* it reads only what never changes, so it waits for nobody */
};

enum qmp_result { QMP_RESULT_NOTHING, QMP_RESULT_OBJECT, QMP_RESULT_LIST, QMP_RESULT_TEXT, QMP_RESULT_ANY };

struct qmp_command {
    const char *name;
    const struct qmp_argument *arguments; /* NULL: none */
    int (*run)(struct qmp_call *call);    /* see below */
    enum qmp_where where;
    enum qmp_result result;
    bool allow_oob;                     /* QMP_MONITOR_THREAD only: may overtake */
    bool takes_more;                    /* members beyond `arguments` are the handler's to check */
    const char *tag;                    /* the schema's: which argument the variants go with, or NULL */
    const struct qmp_variant *variants; /* ends with a NULL tag_value */
    const char *feature;                /* the schema's, or NULL */
};

/*
 * One call of a command. monitor, arguments: borrowed. result, err: the handler's to set; owned by the call.
 * A handler returns 0, or a negative errno with err set and, if it isn't a generic one, error_class. It holds no lock
 * when it is called, and returns holding none.
 */
struct qmp_call {
    struct monitor *monitor;
    struct json_object *arguments; /* an object, checked; never NULL */
    struct json_object *result;    /* NULL: {} */
    enum qmp_error_class error_class;
    struct error *err;
    bool is_deferred; /* the handler set it: the reply waits for qmp_call_finish, on the configuration thread */
};

/* Ends a call whose handler returned 0 with is_deferred set. Configuration thread. The call is gone afterwards. */
void qmp_call_finish(struct qmp_call *call);

/* Arguments that the table checked: NULL, or what `otherwise` says, if an optional one isn't there. */
const char *qmp_call_string(const struct qmp_call *call, const char *name);
bool qmp_call_bool(const struct qmp_call *call, const char *name, bool otherwise);
/* Sets a DeviceNotFound with the message. Returns -ENODEV. */
int qmp_call_not_found(struct qmp_call *call, const char *format, ...) HDL_PRINTF(2, 3);

#endif
