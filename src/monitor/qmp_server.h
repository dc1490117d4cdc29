/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP: clients on chardevs, commands from a table, events to everybody.
 *
 *    chardev's loop          monitor's thread                          configuration thread
 *
 *    front end  --- bh --->  session: who is connected
 *                              connection: bytes -> message -> queue
 *                                head of the queue  --- errand --->    runs the command
 *                                reply, events      <--- errand ---    result; events in order
 *    out ring  <-- bytes --    buffer
 *
 * A session has at most one command on the configuration thread, so sessions take turns there. A vCPU or a device's
 * loop takes no part in any of this.
 *
 * What a client can use up is bounded. It may have QMP_QUEUE_MAX commands waiting, of QMP_QUEUE_BYTES together, beyond
 * which its input isn't read. While it has more than QMP_OUT_BYTES unread, its input isn't read either, none of its
 * waiting commands is begun, and events for it are dropped and counted; other sessions go on. So it holds at most
 * QMP_OUT_BYTES and one reply. Commands of a client that has gone are still run, since it may have been a script that
 * didn't stay to hear; their replies go nowhere.
 */
#ifndef HDL_MONITOR_QMP_SERVER_H
#define HDL_MONITOR_QMP_SERVER_H

#include "chardev/chardev.h"
#include "event/event_loop.h"
#include "monitor/qmp_command.h"

#define QMP_QUEUE_MAX   8u
#define QMP_QUEUE_BYTES (1u << 20)
#define QMP_OUT_BYTES   (1u << 20)

struct qmp_server;

/*
 * commands (ends with a NULL name) and monitor are for calls; config_loop is the configuration thread's. Outlived by
 * all of them. NULL and an error. All functions: configuration thread, no lock held, unless they say otherwise.
 */
struct qmp_server *qmp_server_create(struct event_loop *config_loop, const struct qmp_command *commands,
                                     struct monitor *monitor, struct error **err);
/* Speaks on a chardev, as its front end. Before start. pretty: replies on several lines. */
int qmp_server_add(struct qmp_server *server, struct chardev *chardev, bool pretty, struct error **err);
/* Starts the monitor's thread. (A test polls qmp_server_loop itself instead.) */
int qmp_server_start(struct qmp_server *server, struct error **err);
struct event_loop *qmp_server_loop(struct qmp_server *server);
/*
 * Sends an event to all clients that have negotiated, with the time of now. data: passes to the server; NULL: none.
 * Any thread.
 */
void qmp_server_event(struct qmp_server *server, const char *name, struct json_object *data);
/*
 * config_loop doesn't run any more. Ends the thread, gives clients up to half a second to take what they haven't yet,
 * lets go of the chardevs. Commands that weren't begun are dropped. NULL is allowed.
 */
void qmp_server_destroy(struct qmp_server *server);

/* Events that were dropped because clients didn't read, since the start. Any thread. */
uint64_t qmp_server_dropped(const struct qmp_server *server);

#endif
