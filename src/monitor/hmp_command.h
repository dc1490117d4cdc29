/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command is, as data, and what its handler works with. Everything here: configuration thread, no lock held.
 * The tables are in hmp.c; handlers of commands in hmp_*.c, of what "info" shows in info_*.c.
 */
#ifndef HDL_MONITOR_HMP_COMMAND_H
#define HDL_MONITOR_HMP_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "monitor/completion.h"
#include "monitor/line_editor.h"

struct machine;
struct monitor;
struct hmp_call;

/* Offers words for the last argument, of which `typed` is there. */
typedef void hmp_complete_fn(struct machine *machine, const char *typed, struct completion *completion);

struct hmp_command {
    const char *name;
    const char *alias;     /* or NULL */
    const char *arguments; /* for help: "ID", "[-f]", ... or "" */
    const char *help;
    void (*run)(struct hmp_call *call);
    hmp_complete_fn *complete; /* NULL: nothing is offered */
    bool needs_board;          /* refused by a machine "none", so machine_pc isn't NULL */
};

/* One run of a command. */
struct hmp_call {
    struct machine *machine;
    FILE *out;                        /* what it says, for people */
    char *format;                     /* what stood behind the command's name after a slash ("8xb"), or NULL */
    char *arguments;                  /* the rest of the line; the handler's to change */
    const struct line_editor *editor; /* of the session that it comes from, which stands still; or NULL */
};

/* The tables, each ending with a NULL name, in the order of help. */
extern const struct hmp_command hmp_commands[];
extern const struct hmp_command hmp_info_topics[];
/* By name or alias; NULL if there is none. */
const struct hmp_command *hmp_command_find(const struct hmp_command *table, const char *name);

/* hmp_run, for a session. */
char *hmp_run_for(struct monitor *monitor, const char *command_line, const struct line_editor *editor);
/* Offers words for the end of a line. The caller releases them. */
void hmp_complete(struct monitor *monitor, const char *before_cursor, struct completion *completion);

/* --- hmp_words.c: arguments ------------------------------------------------------------------------------------- */

/*
 * Takes the next word off *rest: blanks separate words, "double quotes" keep them together, a backslash in quotes takes
 * what follows for itself. NULL if there is none. The word is part of what *rest pointed to.
 */
char *hmp_next_word(char **rest);
/* The only argument, which must be there: NULL, having said so, if there is none or more than one. */
const char *hmp_only_word(struct hmp_call *call, const char *what);
/* Takes a flag ("-f") off the front of the arguments, if it is there. */
bool hmp_take_flag(struct hmp_call *call, const char *flag);
/* Says that there are arguments that the command doesn't take. False if there are none. */
bool hmp_has_excess(struct hmp_call *call);
/* Says an error and frees it. */
void hmp_say_error(struct hmp_call *call, struct error *err);
/* A size for people, "1.5 GiB", beside which its exact bytes should stand. */
void hmp_say_size(struct hmp_call *call, uint64_t bytes);

/* --- commands --------------------------------------------------------------------------------------------------- */

/* hmp_control.c */
void hmp_stop(struct hmp_call *call);
void hmp_cont(struct hmp_call *call);
void hmp_system_reset(struct hmp_call *call);
void hmp_system_powerdown(struct hmp_call *call);
void hmp_quit(struct hmp_call *call);
void hmp_nmi(struct hmp_call *call);
/* hmp_trace.c */
void hmp_trace_event(struct hmp_call *call);
void hmp_log(struct hmp_call *call);
void info_trace_events(struct hmp_call *call);
/* hmp_device.c */
void hmp_device_add(struct hmp_call *call);
void hmp_device_del(struct hmp_call *call);
void hmp_object_add(struct hmp_call *call);
void hmp_object_del(struct hmp_call *call);
void hmp_chardev_add(struct hmp_call *call);
void hmp_chardev_remove(struct hmp_call *call);
/* hmp_memory.c */
void hmp_xp(struct hmp_call *call);
void hmp_x(struct hmp_call *call);
void hmp_print(struct hmp_call *call);

/* info_machine.c */
void info_status(struct hmp_call *call);
void info_version(struct hmp_call *call);
void info_name(struct hmp_call *call);
void info_uuid(struct hmp_call *call);
void info_kvm(struct hmp_call *call);
void info_jobs(struct hmp_call *call);
void info_history(struct hmp_call *call);
/* info_cpus.c */
void info_cpus(struct hmp_call *call);
void info_registers(struct hmp_call *call);
/* info_pci.c, info_mtree.c, info_qtree.c */
void info_pci(struct hmp_call *call);
void info_mtree(struct hmp_call *call);
void info_qtree(struct hmp_call *call);
/* info_locks.c */
void info_locks(struct hmp_call *call);
void hmp_lock_stats(struct hmp_call *call);
/* info_backends.c */
void info_block(struct hmp_call *call);
void info_blockstats(struct hmp_call *call);
void info_chardev(struct hmp_call *call);
void info_iothreads(struct hmp_call *call);

/* --- hmp_complete.c: words for arguments ------------------------------------------------------------------------ */

hmp_complete_fn hmp_complete_commands;
hmp_complete_fn hmp_complete_info_topics;
hmp_complete_fn hmp_complete_devices;
hmp_complete_fn hmp_complete_device_types;
hmp_complete_fn hmp_complete_objects;
hmp_complete_fn hmp_complete_object_types;
hmp_complete_fn hmp_complete_chardevs;
hmp_complete_fn hmp_complete_chardev_types;
hmp_complete_fn hmp_complete_trace_points;

#endif
