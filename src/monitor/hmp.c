/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which commands there are, and how a line becomes one. Names, arguments and the shape of the output are those of
 * QEMU's human monitor, which people know by heart and scripts take apart; the words are our own.
 *
 * A line is an operator's or a program's, of any bytes. Nothing here waits for a guest; what a command does to the
 * machine is the machine's (machine.h).
 */
#include "monitor/hmp.h"

#include <stdlib.h>
#include <string.h>

#include "base/spelling.h"
#include "machine/machine.h"
#include "monitor/hmp_command.h"

static void hmp_help(struct hmp_call *call);
static void hmp_info(struct hmp_call *call);

const struct hmp_command hmp_commands[] = {
    {"help", "?", "[COMMAND]", "say what commands there are, or what one does", hmp_help, hmp_complete_commands, false},
    {"info", NULL, "[TOPIC]", "show the state of something; alone, what there is to show", hmp_info,
     hmp_complete_info_topics, false},
    {"quit", "q", "", "end heddle", hmp_quit, NULL, false},

    {"stop", "s", "", "make the guest stand still", hmp_stop, NULL, false},
    {"cont", "c", "", "let the guest go on", hmp_cont, NULL, false},
    {"system_reset", NULL, "", "reset the machine", hmp_system_reset, NULL, true},
    {"system_powerdown", NULL, "", "press the power button", hmp_system_powerdown, NULL, true},
    {"nmi", NULL, "", "send each CPU a non-maskable interrupt", hmp_nmi, NULL, true},

    {"device_add", NULL, "TYPE[,PROPERTY=VALUE][,...]", "add a device; TYPE,help lists its properties", hmp_device_add,
     hmp_complete_device_types, true},
    {"device_del", NULL, "ID", "ask the guest to let go of a device, then remove it", hmp_device_del,
     hmp_complete_devices, true},
    {"object_add", NULL, "TYPE,id=ID[,PROPERTY=VALUE][,...]", "add an object: an I/O thread, a source of randomness",
     hmp_object_add, hmp_complete_object_types, false},
    {"object_del", NULL, "ID", "remove an object that nothing uses", hmp_object_del, hmp_complete_objects, false},
    {"chardev-add", NULL, "BACKEND,id=ID[,OPTION=VALUE][,...]", "add a character device", hmp_chardev_add,
     hmp_complete_chardev_types, false},
    {"chardev-remove", NULL, "ID", "remove a character device that nothing uses", hmp_chardev_remove,
     hmp_complete_chardevs, false},

    {"xp", NULL, "/[COUNT][xduoc][bhwg] ADDRESS", "show memory at a physical address", hmp_xp, NULL, true},
    {"x", NULL, "/[COUNT][xduoc][bhwg] ADDRESS", "show memory at an address as CPU 0 sees it", hmp_x, NULL, true},
    {"print", "p", "/[xduoc] EXPRESSION", "calculate; $rip, $rax, ... are CPU 0's registers", hmp_print, NULL, false},
    {"lock-stats", NULL, "on|off", "count how the locks of devices are used, for 'info locks'", hmp_lock_stats, NULL,
     true},
    {"trace-event", NULL, "NAME on|off", "switch trace points on or off; NAME may be a pattern", hmp_trace_event,
     hmp_complete_trace_points, false},
    {"log", NULL, "NAME[,NAME...]|none", "log these trace points, or none", hmp_log, hmp_complete_trace_points, false},
    {0},
};

const struct hmp_command hmp_info_topics[] = {
    {"block", NULL, "", "block nodes, and which devices use them", info_block, NULL, false},
    {"blockstats", NULL, "", "what was asked of block nodes", info_blockstats, NULL, false},
    {"chardev", NULL, "", "character devices", info_chardev, NULL, false},
    {"cpus", NULL, "", "CPUs and what each is doing", info_cpus, NULL, true},
    {"history", NULL, "", "what was typed", info_history, NULL, false},
    {"iothreads", NULL, "", "I/O threads", info_iothreads, NULL, false},
    {"jobs", NULL, "", "jobs in the background", info_jobs, NULL, false},
    {"kvm", NULL, "", "whether KVM runs the guest", info_kvm, NULL, true},
    {"locks", NULL, "", "how the locks of devices are used, and who waits for whom", info_locks, NULL, true},
    {"mtree", NULL, "[-f]", "the memory map: regions as they were put together, or (-f) as the guest sees them",
     info_mtree, NULL, true},
    {"name", NULL, "", "the machine's name", info_name, NULL, false},
    {"pci", NULL, "", "PCI functions", info_pci, NULL, true},
    {"qtree", NULL, "", "devices, their buses and properties", info_qtree, NULL, true},
    {"registers", NULL, "[-a|CPU]", "registers of all CPUs, or one; it leaves the guest for a moment", info_registers,
     NULL, true},
    {"status", NULL, "", "whether the guest runs", info_status, NULL, false},
    {"trace-events", NULL, "", "trace points, and which are on", info_trace_events, NULL, false},
    {"uuid", NULL, "", "the machine's UUID", info_uuid, NULL, false},
    {"version", NULL, "", "heddle's version", info_version, NULL, false},
    {0},
};

const struct hmp_command *hmp_command_find(const struct hmp_command *table, const char *name)
{
    for (const struct hmp_command *command = table; command->name; command++) {
        if (strcmp(command->name, name) == 0 || (command->alias && strcmp(command->alias, name) == 0)) {
            return command;
        }
    }
    return NULL;
}

/* --- help ------------------------------------------------------------------------------------------------------- */

static void hmp_help_line(struct hmp_call *call, const char *prefix, const struct hmp_command *command)
{
    fprintf(call->out, "%s%s%s%s%s%s -- %s\n", prefix, command->name, command->alias ? "|" : "",
            command->alias ? command->alias : "", command->arguments[0] ? " " : "", command->arguments, command->help);
}

static void hmp_help_table(struct hmp_call *call, const char *prefix, const struct hmp_command *table)
{
    for (const struct hmp_command *command = table; command->name; command++) {
        hmp_help_line(call, prefix, command);
    }
}

static void hmp_say_unknown(struct hmp_call *call, const char *what, const struct hmp_command *table, const char *name)
{
    struct spelling spelling;

    spelling_begin(&spelling, name);
    for (const struct hmp_command *command = table; command->name; command++) {
        spelling_offer(&spelling, command->name);
    }
    fprintf(call->out, "unknown %s: '%s'; did you mean '%s'?\n", what, name, spelling_nearest(&spelling));
}

static void hmp_help(struct hmp_call *call)
{
    const char *name = hmp_next_word(&call->arguments);
    const char *topic = hmp_next_word(&call->arguments);
    const struct hmp_command *command;

    if (!name) {
        hmp_help_table(call, "", hmp_commands);
        return;
    }
    command = hmp_command_find(hmp_commands, name);
    if (!command) {
        hmp_say_unknown(call, "command", hmp_commands, name);
    } else if (command->run != hmp_info) {
        hmp_help_line(call, "", command);
    } else if (!topic) {
        hmp_help_table(call, "info ", hmp_info_topics);
    } else if ((command = hmp_command_find(hmp_info_topics, topic))) {
        hmp_help_line(call, "info ", command);
    } else {
        hmp_say_unknown(call, "topic", hmp_info_topics, topic);
    }
}

/* --- running ---------------------------------------------------------------------------------------------------- */

static void hmp_run_command(struct hmp_call *call, const struct hmp_command *command)
{
    if (command->needs_board && !machine_pc(call->machine)) {
        fprintf(call->out, "Error: this machine has no devices, CPUs or memory\n");
    } else if (command->arguments[0] != '\0' || !hmp_has_excess(call)) {
        command->run(call);
    }
}

static void hmp_info(struct hmp_call *call)
{
    const char *topic = hmp_next_word(&call->arguments);
    const struct hmp_command *command;

    if (!topic) {
        hmp_help_table(call, "info ", hmp_info_topics);
        return;
    }
    command = hmp_command_find(hmp_info_topics, topic);
    if (command) {
        hmp_run_command(call, command);
    } else {
        hmp_say_unknown(call, "topic", hmp_info_topics, topic);
    }
}

/* A name, perhaps a slash and a format ("xp/4xw 0", "xp /4xw 0"), and the rest. line: without blanks at its front. */
static void hmp_run_line(struct hmp_call *call, char *line)
{
    size_t len = strcspn(line, " \t/");
    char *rest = line + len + strspn(line + len, " \t");
    HDL_AUTO_FREE char *name = strndup(line, len);
    const struct hmp_command *command;

    if (!name) {
        return;
    }
    command = hmp_command_find(hmp_commands, name);
    if (!command) {
        hmp_say_unknown(call, "command", hmp_commands, name);
        return;
    }
    if (rest[0] == '/' && command->arguments[0] == '/') {
        call->format = rest + 1;
        rest += strcspn(rest, " \t");
        if (*rest) {
            *rest++ = '\0';
        }
    }
    call->arguments = rest;
    hmp_run_command(call, command);
}

char *hmp_run_for(struct monitor *monitor, const char *command_line, const struct line_editor *editor)
{
    struct hmp_call call = {.machine = monitor_machine(monitor), .editor = editor};
    HDL_AUTO_FREE char *line = strdup(command_line + strspn(command_line, " \t\r\n"));
    char *text = NULL;
    size_t len_bytes;

    if (!line) {
        return NULL;
    }
    for (size_t end = strlen(line); end > 0 && strchr(" \t\r\n", line[end - 1]); end--) {
        line[end - 1] = '\0';
    }
    call.out = open_memstream(&text, &len_bytes);
    if (!call.out) {
        return NULL;
    }
    if (line[0] != '\0' && line[0] != '#') {
        hmp_run_line(&call, line);
    }
    if (fclose(call.out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

char *hmp_run(struct monitor *monitor, const char *command_line)
{
    return hmp_run_for(monitor, command_line, NULL);
}
