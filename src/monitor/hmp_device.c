/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, objects and character devices that come and go. What stands behind the command is what stands behind the
 * option of the same meaning (-device, -object, -chardev), in either of its forms.
 */
#include <stdlib.h>
#include <string.h>

#include "base/option_string.h"
#include "machine/device_types.h"
#include "machine/machine.h"
#include "monitor/hmp_command.h"

/*
 * Parses the arguments, and takes two keys out: what kind (`kind_key`, which may go without saying) and the id. False,
 * having said so, if there is no kind. The caller frees all three.
 */
static bool hmp_parse_options(struct hmp_call *call, const char *command, const char *kind_key, struct options *options,
                              char **kind, char **id)
{
    struct error *err = NULL;

    if (option_string_parse(call->arguments, kind_key, command, options, &err) < 0) {
        hmp_say_error(call, err);
        return false;
    }
    *kind = options_take(options, kind_key);
    *id = options_take(options, "id");
    if (!*kind) {
        fprintf(call->out, "Error: %s: '%s' is missing\n", command, kind_key);
    }
    return *kind != NULL;
}

/* --- devices ---------------------------------------------------------------------------------------------------- */

static bool hmp_wants_help(const char *kind, const struct options *options)
{
    return strcmp(kind, "help") == 0 || strcmp(kind, "?") == 0 || options_get(options, "help") ||
           options_get(options, "?");
}

static void hmp_list_properties(struct hmp_call *call, const struct device_type *type)
{
    fprintf(call->out, "%s options:\n", type->name);
    for (const struct property *property = type->properties; property && property->name; property++) {
        fprintf(call->out, "  %s=<%s>", property->name, property_type_name(property->type));
        if (property->description) {
            fprintf(call->out, " - %s", property->description);
        }
        if (property->default_value) {
            fprintf(call->out, " (default: %s)", property->default_value);
        }
        fputc('\n', call->out);
    }
}

static void hmp_list_device_types(struct hmp_call *call)
{
    for (size_t i = 0; device_types[i]; i++) {
        const struct device_type *type = device_types[i];

        if (type->user_creatable) {
            fprintf(call->out, "name \"%s\", bus %s", type->name, type->bus ? type->bus : "none");
            if (type->alias) {
                fprintf(call->out, ", alias \"%s\"", type->alias);
            }
            fprintf(call->out, ", desc \"%s\"\n", type->description);
        }
    }
}

static void hmp_device_help(struct hmp_call *call, const char *kind)
{
    const struct device_type *type = device_type_find(kind);

    if (type && type->user_creatable) {
        hmp_list_properties(call, type);
    } else {
        hmp_list_device_types(call);
    }
}

void hmp_device_add(struct hmp_call *call)
{
    struct config_device config = {0};
    struct error *err = NULL;

    if (hmp_parse_options(call, "device_add", "driver", &config.options, &config.type, &config.id)) {
        if (hmp_wants_help(config.type, &config.options)) {
            hmp_device_help(call, config.type);
        } else {
            machine_device_add(call->machine, &config, &err);
        }
    }
    hmp_say_error(call, err);
    free(config.type);
    free(config.id);
    options_release(&config.options);
}

void hmp_device_del(struct hmp_call *call)
{
    const char *id = hmp_only_word(call, "the device's id");
    struct error *err = NULL;

    if (id) {
        machine_device_del(call->machine, id, false, &err);
        hmp_say_error(call, err);
    }
}

/* --- objects ---------------------------------------------------------------------------------------------------- */

void hmp_object_add(struct hmp_call *call)
{
    struct config_object config = {0};
    struct error *err = NULL;

    if (hmp_parse_options(call, "object_add", "qom-type", &config.options, &config.type, &config.id)) {
        if (config.id) {
            machine_object_add(call->machine, &config, &err);
        } else {
            fprintf(call->out, "Error: object_add: 'id' is missing\n");
        }
    }
    hmp_say_error(call, err);
    free(config.type);
    free(config.id);
    options_release(&config.options);
}

void hmp_object_del(struct hmp_call *call)
{
    const char *id = hmp_only_word(call, "the object's id");
    struct error *err = NULL;

    if (id) {
        machine_object_del(call->machine, id, &err);
        hmp_say_error(call, err);
    }
}

/* --- character devices ------------------------------------------------------------------------------------------ */

void hmp_chardev_add(struct hmp_call *call)
{
    struct config_chardev config = {0};
    struct error *err = NULL;

    if (hmp_parse_options(call, "chardev-add", "backend", &config.options, &config.backend, &config.id)) {
        if (config.id) {
            machine_chardev_add(call->machine, &config, &err);
        } else {
            fprintf(call->out, "Error: chardev-add: 'id' is missing\n");
        }
    }
    hmp_say_error(call, err);
    free(config.backend);
    free(config.id);
    options_release(&config.options);
}

void hmp_chardev_remove(struct hmp_call *call)
{
    const char *id = hmp_only_word(call, "the character device's id");
    struct error *err = NULL;

    if (id) {
        machine_chardev_remove(call->machine, id, &err);
        hmp_say_error(call, err);
    }
}
