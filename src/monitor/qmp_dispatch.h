/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a JSON value that a client sent to a command that may be run. Pure; messages are QMP's. */
#ifndef HDL_MONITOR_QMP_DISPATCH_H
#define HDL_MONITOR_QMP_DISPATCH_H

#include "monitor/qmp_command.h"

/* What a client negotiated. */
struct qmp_capabilities {
    bool negotiated; /* qmp_capabilities was answered */
    bool oob;
};

/* Whether the message asks to overtake: it has exec-oob, and no execute. */
bool qmp_message_is_oob(struct json_object *message);
/*
 * Finds the command that a message names, and checks its arguments. The message stays the caller's, and what the call
 * borrows of it. commands: ends with a NULL name. NULL, with the call's error set, if it can't be run.
 */
const struct qmp_command *qmp_message_check(struct json_object *message, const struct qmp_command *commands,
                                            struct qmp_capabilities capabilities, struct qmp_call *call);
/* The reply to a call that has ended, with the message's id: a new value. message: NULL if it had no form. */
struct json_object *qmp_reply(struct json_object *message, const struct qmp_call *call);
/* Frees what a call owns. */
void qmp_call_release(struct qmp_call *call);

/* qmp_capabilities itself: what it asks for, into *capabilities. As a handler. */
int qmp_negotiate(struct qmp_call *call, struct qmp_capabilities *capabilities);
extern const char qmp_negotiate_name[];
extern const struct qmp_argument qmp_negotiate_arguments[];

#endif
