/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words for Tab. Which ones fit is decided by the command; how much of the line they stand for, here. Completion runs
 * on the configuration thread, as commands do, because that is who knows which devices there are.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "machine/device_types.h"
#include "machine/machine.h"
#include "monitor/hmp.h"
#include "monitor/hmp_command.h"

static void hmp_offer_table(const struct hmp_command *table, const char *typed, struct completion *completion)
{
    for (const struct hmp_command *command = table; command->name; command++) {
        completion_offer(completion, typed, command->name);
    }
}

void hmp_complete_commands(struct machine *machine, const char *typed, struct completion *completion)
{
    hmp_offer_table(hmp_commands, typed, completion);
}

void hmp_complete_info_topics(struct machine *machine, const char *typed, struct completion *completion)
{
    hmp_offer_table(hmp_info_topics, typed, completion);
}

void hmp_complete_devices(struct machine *machine, const char *typed, struct completion *completion)
{
    const struct machine_device *entry;

    for (size_t i = 0; (entry = machine_device_nth(machine, i)); i++) {
        if (entry->is_user && entry->has_id && !entry->is_leaving) {
            completion_offer(completion, typed, entry->device->id);
        }
    }
}

/* Behind a comma: the properties of the type at the front, and "id". */
static void hmp_offer_properties(const char *typed, struct completion *completion)
{
    const char *last = strrchr(typed, ',') + 1;
    HDL_AUTO_FREE char *name = strndup(typed, strcspn(typed, ","));
    const struct device_type *type = name ? device_type_find(name) : NULL;

    completion->typed_bytes = strlen(last);
    completion->after = "=";
    if (!type || !type->user_creatable) {
        return;
    }
    completion_offer(completion, last, "id");
    for (const struct property *property = type->properties; property && property->name; property++) {
        completion_offer(completion, last, property->name);
    }
}

void hmp_complete_device_types(struct machine *machine, const char *typed, struct completion *completion)
{
    if (strchr(typed, ',')) {
        hmp_offer_properties(typed, completion);
        return;
    }
    completion->after = ",";
    for (size_t i = 0; device_types[i]; i++) {
        if (device_types[i]->user_creatable) {
            completion_offer(completion, typed, device_types[i]->name);
        }
    }
}

void hmp_complete_objects(struct machine *machine, const char *typed, struct completion *completion)
{
    for (const struct backend_object *object = machine_backends(machine)->objects; object; object = object->next) {
        if (object->id) {
            completion_offer(completion, typed, object->id);
        }
    }
}

void hmp_complete_object_types(struct machine *machine, const char *typed, struct completion *completion)
{
    static const char *const types[] = {"iothread", "rng-builtin", "rng-random", "secret"};

    completion->after = ",id=";
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        completion_offer(completion, typed, types[i]);
    }
}

struct hmp_offering {
    const char *typed;
    struct completion *completion;
};

static void hmp_offer_chardev(struct chardev *chardev, void *opaque)
{
    struct hmp_offering *offering = opaque;

    completion_offer(offering->completion, offering->typed, chardev_id(chardev));
}

void hmp_complete_chardevs(struct machine *machine, const char *typed, struct completion *completion)
{
    struct hmp_offering offering = {typed, completion};

    chardev_table_foreach(machine_backends(machine)->chardevs, hmp_offer_chardev, &offering);
}

void hmp_complete_chardev_types(struct machine *machine, const char *typed, struct completion *completion)
{
    completion->after = ",id=";
    for (const struct chardev_type *const *type = chardev_types; *type; type++) {
        completion_offer(completion, typed, (*type)->name);
    }
}

static void hmp_offer_trace_point(const char *name, void *opaque)
{
    struct hmp_offering *offering = opaque;

    completion_offer(offering->completion, offering->typed, name);
}

void hmp_complete_trace_points(struct machine *machine, const char *typed, struct completion *completion)
{
    struct hmp_offering offering = {typed, completion};

    trace_list(hmp_offer_trace_point, &offering);
}

/* What completes the word behind `line`, whose words are all there. NULL: nothing does. */
static hmp_complete_fn *hmp_completer(char *line)
{
    char *name = hmp_next_word(&line);
    const struct hmp_command *command = name ? hmp_command_find(hmp_commands, name) : NULL;
    char *first;

    if (!name) {
        return hmp_complete_commands;
    }
    first = hmp_next_word(&line);
    if (command && first && strcmp(command->name, "help") == 0) {
        return strcmp(first, "info") == 0 && !hmp_next_word(&line) ? hmp_complete_info_topics : NULL;
    }
    return command && !first ? command->complete : NULL;
}

void hmp_complete(struct monitor *monitor, const char *before_cursor, struct completion *completion)
{
    const char *blank = strrchr(before_cursor, ' ');
    const char *typed = blank ? blank + 1 : before_cursor + strspn(before_cursor, " ");
    HDL_AUTO_FREE char *line = strndup(before_cursor, (size_t)(typed - before_cursor));
    hmp_complete_fn *complete = line ? hmp_completer(line) : NULL;

    *completion = (struct completion){.typed_bytes = strlen(typed), .after = " "};
    if (complete) {
        complete(monitor_machine(monitor), typed, completion);
    }
}
