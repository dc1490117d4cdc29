/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device, -blockdev, -drive and -object. Whether types, properties and ids exist is checked when all of the command
 * line is known (check.c); here -drive becomes what it stands for, a block node and perhaps a device.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/option_string.h"
#include "block/block.h"
#include "cli/cli.h"

struct config_device *cli_add_device(struct cli *cli, const char *type)
{
    struct machine_config *config = &cli->config;
    struct config_device *devices = cli_append(config->devices, &config->device_count, sizeof(*devices));
    struct config_device *device;

    if (!devices) {
        return NULL;
    }
    config->devices = devices;
    device = &devices[config->device_count - 1];
    device->type = strdup(type);
    return device->type ? device : NULL;
}

/* --- -device, -object, -blockdev -------------------------------------------------------------------------------- */

static int device_add(struct cli *cli, struct options *options, struct error **err)
{
    HDL_AUTO_FREE char *type = options_take(options, "driver");
    struct config_device *device = type && *type ? cli_add_device(cli, type) : NULL;

    if (!type || !*type) {
        return error_set(err, -EINVAL, "-device: 'driver' is missing; '-device help' lists what there is");
    }
    if (!device) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    device->id = options_take(options, "id");
    device->options = *options;
    *options = (struct options){0};
    return device->id ? cli_check_id("-device", device->id, err) : 0;
}

int cli_parse_device(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret;

    if (cli_asks_for_help(arg)) {
        help_devices();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "driver", "-device", &options, err);
    if (ret == 0 && (options_get(&options, "help") || options_get(&options, "?")) && options_get(&options, "driver")) {
        ret = help_device(options_get(&options, "driver"), err);
    } else if (ret == 0) {
        ret = device_add(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

static int object_add(struct cli *cli, struct options *options, struct error **err)
{
    struct machine_config *config = &cli->config;
    struct config_object *objects = cli_append(config->objects, &config->object_count, sizeof(*objects));
    struct config_object *object;

    if (!objects) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->objects = objects;
    object = &objects[config->object_count - 1];
    object->type = options_take(options, "qom-type");
    object->id = options_take(options, "id");
    object->options = *options;
    *options = (struct options){0};
    if (!object->type) {
        return error_set(err, -EINVAL, "-object: 'qom-type' is missing; '-object help' lists what there is");
    }
    if (!object->id) {
        return error_set(err, -EINVAL, "-object %s: 'id' is missing", object->type);
    }
    return cli_check_id("-object", object->id, err);
}

int cli_parse_object(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret;

    if (cli_asks_for_help(arg)) {
        help_objects();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "qom-type", "-object", &options, err);
    if (ret == 0) {
        ret = object_add(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

/* Takes over the options. name: owned from here on; may be NULL. */
static int node_add(struct cli *cli, char *name, struct options *options, struct error **err)
{
    struct machine_config *config = &cli->config;
    struct config_node *nodes = cli_append(config->nodes, &config->node_count, sizeof(*nodes));

    if (!nodes) {
        free(name);
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->nodes = nodes;
    nodes[config->node_count - 1] = (struct config_node){.name = name, .options = *options};
    *options = (struct options){0};
    return 0;
}

int cli_parse_blockdev(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    char *name = NULL;
    int ret;

    if (cli_asks_for_help(arg)) {
        help_block_drivers();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "driver", "-blockdev", &options, err);
    if (ret == 0) {
        name = options_take(&options, "node-name");
        if (!name) {
            ret = error_set(err, -EINVAL, "-blockdev: 'node-name' is missing");
        } else if (!options_get(&options, "driver")) {
            ret = error_set(err, -EINVAL, "-blockdev %s: 'driver' is missing; '-blockdev help' lists what there is",
                            name);
        } else {
            ret = cli_check_id("-blockdev", name, err);
        }
        if (ret == 0) {
            block_options_tidy(&options);
            ret = node_add(cli, name, &options, err);
            name = NULL;
        }
    }
    free(name);
    options_release(&options);
    return ret;
}

/* --- -drive ----------------------------------------------------------------------------------------------------- */

static const char *const drive_keys[] = {
    "file",   "file.*",  "if",        "id",       "format", "driver",  "readonly",      "read-only",
    "cache",  "cache.*", "aio",       "media",    "index",  "discard", "detect-zeroes", "werror",
    "rerror", "locking", "node-name", "snapshot", "unit",   "bus",     "copy-on-read",  NULL};

/* What -drive's cache= means, by name (QEMU's documentation of -drive). */
struct drive_cache {
    const char *name;
    bool direct, no_flush, write_through;
};

static const struct drive_cache drive_caches[] = {
    {"none", true, false, false},      {"writeback", false, false, false},   {"unsafe", false, true, false},
    {"directsync", true, false, true}, {"writethrough", false, false, true},
};

/* Which place a disk has: they have them in the order in which they are given, but a place must be a number. */
static int drive_check_place(const struct options *options, struct error **err)
{
    static const char *const keys[] = {"index", "unit", "bus"};
    uint64_t place;
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(keys); i++) {
        ret = options_get_uint(options, "-drive", keys[i], 0, 255, &place, err);
    }
    return ret;
}

/* Keys with which heddle has only one thing to do. */
static int drive_refuse(const struct options *options, struct error **err)
{
    static const char *const refused[][3] = {
        {"snapshot", "off", "temporary snapshots aren't supported"},
        {"media", "disk", "only disks are supported"},
        {"format", "raw", "only raw images are supported"},
        {"driver", "raw", "only raw images are supported"},
        {"detect-zeroes", "off", "detecting zeroes isn't supported"},
        {"copy-on-read", "off", "copying what is read isn't supported"},
        {"rerror", "report", "errors are reported to the guest"},
        {"werror", "report", "errors are reported to the guest"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *value = options_get(options, refused[i][0]);

        if (value && strcmp(value, refused[i][1]) != 0) {
            return error_set(err, -EINVAL, "-drive: '%s=%s': %s; valid: %s", refused[i][0], value, refused[i][2],
                             refused[i][1]);
        }
    }
    return 0;
}

static int drive_set(struct options *node, const char *key, const char *value, struct error **err)
{
    return options_set(node, key, value) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* Copies the value of `from` in the drive's options, if there is one, to `to` in the node's. */
static int drive_carry(const struct options *drive, const char *from, struct options *node, const char *to,
                       struct error **err)
{
    const char *value = options_get(drive, from);

    return value ? drive_set(node, to, value, err) : 0;
}

static int drive_cache_apply(const struct options *drive, struct options *node, bool *write_through, struct error **err)
{
    const char *name = options_get(drive, "cache");
    int ret;

    if (!name) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(drive_caches); i++) {
        const struct drive_cache *cache = &drive_caches[i];

        if (strcmp(cache->name, name) == 0) {
            *write_through = cache->write_through;
            ret = drive_set(node, "cache.direct", cache->direct ? "on" : "off", err);
            return ret < 0 ? ret : drive_set(node, "cache.no-flush", cache->no_flush ? "on" : "off", err);
        }
    }
    return error_set(err, -EINVAL,
                     "-drive: 'cache' can't be '%s'; valid are: none, writeback, unsafe, directsync, writethrough",
                     name);
}

/* Keys that the node takes as they are. */
static int drive_carry_dotted(const struct options *drive, struct options *node, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < drive->count; i++) {
        const char *key = drive->items[i].key;

        if (strncmp(key, "file.", 5) == 0 || strncmp(key, "cache.", 6) == 0) {
            ret = drive_set(node, key, drive->items[i].value, err);
        }
    }
    return ret;
}

static int drive_make_node(const struct options *drive, struct options *node, bool *write_through, struct error **err)
{
    static const char *const carried[][2] = {
        {"readonly", "read-only"}, {"read-only", "read-only"},  {"discard", "discard"},
        {"aio", "file.aio"},       {"locking", "file.locking"}, {"file", "file.filename"},
    };
    int ret = drive_set(node, "driver", "raw", err);

    if (ret == 0) {
        ret = drive_set(node, "file.driver", "file", err);
    }
    for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(carried); i++) {
        ret = drive_carry(drive, carried[i][0], node, carried[i][1], err);
    }
    if (ret == 0) {
        ret = drive_cache_apply(drive, node, write_through, err);
    }
    if (ret == 0) {
        ret = drive_carry_dotted(drive, node, err);
    }
    if (ret == 0 && !options_get(node, "file.filename")) {
        ret = error_set(err, -EINVAL, "-drive: 'file' is missing");
    }
    return ret;
}

/* if=virtio: the disk that goes with it. */
static int drive_make_device(struct cli *cli, const char *name, bool write_through, struct error **err)
{
    struct config_device *device = cli_add_device(cli, "virtio-blk-pci");
    int ret = device ? options_set(&device->options, "drive", name) : -ENOMEM;

    if (ret == 0 && write_through) {
        ret = options_set(&device->options, "write-cache", "off");
    }
    return ret < 0 ? error_set(err, ret, "out of memory") : 0;
}

static int drive_name(struct cli *cli, const struct options *options, char **name, struct error **err)
{
    const char *id = options_get(options, "id");

    if (!id) {
        id = options_get(options, "node-name");
    }
    if (!id) {
        return asprintf(name, "drive%u", cli->drive_count) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
    }
    *name = strdup(id);
    return *name ? cli_check_id("-drive", id, err) : error_set(err, -ENOMEM, "out of memory");
}

static int drive_add(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const interfaces[] = {"virtio", "none", NULL};
    struct options node = {0};
    HDL_AUTO_FREE char *name = NULL;
    bool write_through = false;
    unsigned interface = 0;
    int ret = drive_name(cli, options, &name, err);

    if (ret == 0) {
        ret = options_get_choice(options, "-drive", "if", interfaces, &interface, err);
    }
    if (ret == 0) {
        ret = drive_make_node(options, &node, &write_through, err);
    }
    if (ret == 0 && write_through && interface == 1) {
        ret = error_set(err, -EINVAL, "-drive %s: with if=none, write-through is the device's: write-cache=off", name);
    }
    if (ret == 0 && interface == 0) {
        ret = drive_make_device(cli, name, write_through, err);
    }
    if (ret == 0) {
        ret = node_add(cli, name, &node, err);
        name = NULL;
        cli->drive_count++;
    }
    options_release(&node);
    return ret;
}

int cli_parse_drive(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, NULL, "-drive", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-drive", drive_keys, err);
    }
    if (ret == 0) {
        ret = drive_check_place(&options, err);
    }
    if (ret == 0) {
        ret = drive_refuse(&options, err);
    }
    if (ret == 0) {
        ret = drive_add(cli, &options, err);
    }
    options_release(&options);
    return ret;
}
