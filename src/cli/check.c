/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks a complete configuration against what heddle knows: types, properties and their values, ids and who refers to
 * whom. Nothing of the host is touched, and only inherited descriptors are asked for. Values are tried on a scratch
 * object of the type's size, with the same function that will set them in earnest. No state.
 */
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/spelling.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "cli/cli.h"
#include "machine/device_types.h"

static const char *const iothread_keys[] = {NULL};
static const char *const rng_random_keys[] = {"filename", NULL};
static const char *const memory_ram_keys[] = {"size", "prealloc", "share", "merge", "dump", NULL};
static const char *const memory_memfd_keys[] = {"size",  "prealloc", "hugetlb", "hugetlbsize",
                                                "share", "merge",    "dump",    NULL};

static const char *const secret_keys[] = {"data", "file", "format", "keyid", "iv", NULL};

const struct object_type object_types[] = {
    {"iothread", "an event loop on a thread of its own, for devices with iothread=ID", iothread_keys},
    {"memory-backend-memfd",
     "the guest's memory, for -machine memory-backend=ID (size=, prealloc=, hugetlb=, hugetlbsize=)",
     memory_memfd_keys},
    {"memory-backend-ram", "the same, of the host's ordinary pages", memory_ram_keys},
    {"rng-random", "randomness from a file of the host (filename=/dev/urandom)", rng_random_keys},
    {"rng-builtin", "randomness from the host's kernel", iothread_keys},
    {"secret", "a password or key (file=, or data=; format=raw|base64); kept, but nothing uses it yet", secret_keys},
    {NULL, NULL, NULL},
};

/* --- types and properties --------------------------------------------------------------------------------------- */

const struct device_type *check_device_type(const char *what, const char *name, struct error **err)
{
    const struct device_type *type = device_type_find(name);
    struct spelling spelling;

    if (type && type->user_creatable) {
        return type;
    }
    if (type) {
        error_set(err, -EINVAL, "-device: '%s' is a part of the machine and can't be added", name);
        return NULL;
    }
    spelling_begin(&spelling, name);
    for (size_t i = 0; device_types[i]; i++) {
        if (device_types[i]->user_creatable) {
            spelling_offer(&spelling, device_types[i]->name);
            if (device_types[i]->alias) {
                spelling_offer(&spelling, device_types[i]->alias);
            }
        }
    }
    if (spelling_nearest(&spelling)) {
        error_set(err, -EINVAL, "%s: there is no device '%s'; did you mean '%s'?", what, name,
                  spelling_nearest(&spelling));
    } else {
        error_set(err, -EINVAL, "%s: there is no device '%s'; '-device help' lists what there is", what, name);
    }
    return NULL;
}

int check_properties(const struct property *table, size_t object_bytes, const struct options *options,
                     const char *const *skip, struct error **err)
{
    static const struct property none[] = {{.name = NULL}};
    void *scratch = calloc(1, object_bytes);
    int ret = 0;

    if (!scratch) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    if (!table) {
        table = none;
    }
    for (size_t i = 0; ret == 0 && i < options->count; i++) {
        const char *const *skipped = skip;

        while (*skipped && strcmp(*skipped, options->items[i].key) != 0) {
            skipped++;
        }
        if (!*skipped) {
            ret = property_set(scratch, table, options->items[i].key, options->items[i].value, err);
        }
    }
    property_release(scratch, table);
    free(scratch);
    return ret;
}

/* --- ids -------------------------------------------------------------------------------------------------------- */

/* The id of the n-th of something, or NULL after the last. May be "" where there is none. */
typedef const char *id_of_fn(const struct machine_config *config, size_t n);

static const char *device_id_of(const struct machine_config *config, size_t n)
{
    return n < config->device_count ? config->devices[n].id ? config->devices[n].id : "" : NULL;
}

static const char *node_id_of(const struct machine_config *config, size_t n)
{
    return n < config->node_count ? config->nodes[n].name : NULL;
}

static const char *chardev_id_of(const struct machine_config *config, size_t n)
{
    return n < config->chardev_count ? config->chardevs[n].id : NULL;
}

static const char *object_id_of(const struct machine_config *config, size_t n)
{
    return n < config->object_count ? config->objects[n].id : NULL;
}

static int check_unique(const struct machine_config *config, const char *what, id_of_fn *id_of, struct error **err)
{
    const char *id;

    for (size_t i = 0; (id = id_of(config, i)); i++) {
        for (size_t j = 0; j < i; j++) {
            if (id[0] && strcmp(id_of(config, j), id) == 0) {
                return error_set(err, -EEXIST, "%s: the id '%s' is given twice", what, id);
            }
        }
    }
    return 0;
}

/* The id must be one of those that exist. kind: for the message. */
static int check_reference(const struct machine_config *config, const char *kind, id_of_fn *id_of, const char *id,
                           struct error **err)
{
    struct spelling spelling;
    const char *known;

    spelling_begin(&spelling, id);
    for (size_t i = 0; (known = id_of(config, i)); i++) {
        if (strcmp(known, id) == 0) {
            return 0;
        }
        spelling_offer(&spelling, known);
    }
    if (spelling_nearest(&spelling)) {
        return error_set(err, -ENOENT, "there is no %s '%s'; did you mean '%s'?", kind, id,
                         spelling_nearest(&spelling));
    }
    return error_set(err, -ENOENT, "there is no %s '%s'", kind, id);
}

/* --- devices ---------------------------------------------------------------------------------------------------- */

/* Properties by which a device names something else on the command line. */
struct reference {
    const char *property;
    const char *kind;
    id_of_fn *id_of;
};

static const struct reference references[] = {
    {"drive", "block node", node_id_of},
    {"chardev", "chardev", chardev_id_of},
    {"iothread", "object", object_id_of},
    {"rng", "object", object_id_of},
};

/* A device's id: whether it has a bus is its machine's to know. */
static bool bus_fits(const struct machine_config *config, const struct device_type *type, const char *bus)
{
    if (!type->bus) {
        return false;
    }
    for (size_t i = 0; i < config->device_count; i++) {
        if (config->devices[i].id && strcmp(config->devices[i].id, bus) == 0) {
            return true;
        }
    }
    if (strcmp(type->bus, "PCI") == 0) {
        return strcmp(bus, "pcie.0") == 0 || strcmp(bus, "pci.0") == 0;
    }
    if (strcmp(type->bus, "ISA") == 0) {
        return strcmp(bus, "isa.0") == 0;
    }
    return true; /* a bus that a device brings: its name is known when that device is */
}

static int check_device_options(const struct machine_config *config, const struct device_type *type,
                                const struct options *options, struct error **err)
{
    static const char *const skip[] = {"bus", NULL};
    const char *bus = options_get(options, "bus");
    int ret = check_properties(type->properties, type->size_bytes, options, skip, err);

    if (ret == 0 && bus && !bus_fits(config, type, bus)) {
        ret = error_set(err, -EINVAL, "it can't be plugged into a bus '%s'; valid: %s", bus,
                        strcmp(type->bus ? type->bus : "", "ISA") == 0 ? "isa.0" : "pcie.0, a pcie-root-port's id");
    }
    for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(references); i++) {
        const char *id = options_get(options, references[i].property);

        if (id) {
            ret = check_reference(config, references[i].kind, references[i].id_of, id, err);
        }
    }
    return ret;
}

static int check_devices(const struct machine_config *config, struct error **err)
{
    for (size_t i = 0; i < config->device_count; i++) {
        struct config_device *device = &config->devices[i];
        const struct device_type *type = check_device_type("-device", device->type, err);
        int ret;

        if (!type) {
            return -EINVAL;
        }
        ret = check_device_options(config, type, &device->options, err);
        if (ret == 0 && strcmp(device->type, type->name) != 0) {
            ret = cli_set_string(&device->type, type->name, err); /* an alias */
        } else if (ret < 0) {
            error_prefix(err, "-device %s%s%s", device->type, device->id ? ",id=" : "", device->id ? device->id : "");
        }
        if (ret < 0) {
            return ret;
        }
    }
    return check_unique(config, "-device", device_id_of, err);
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

/*
 * Descriptors that this process was started with: a socket can have one user, and all must be there before heddle opens
 * anything of its own, which would have the number else.
 */
static int check_inherited(const struct machine_config *config, struct error **err)
{
    for (size_t i = 0; i < config->chardev_count; i++) {
        const char *fd = options_get(&config->chardevs[i].options, "fd");
        uint64_t number;

        if (!fd) {
            continue;
        }
        if (parse_uint(fd, &number) < 0 || number > INT_MAX || fcntl((int)number, F_GETFD) < 0) {
            return error_set(err, -EBADF, "-chardev %s,id=%s: fd='%s' isn't the number of an open descriptor",
                             config->chardevs[i].backend, config->chardevs[i].id, fd);
        }
        for (size_t j = 0; j < i; j++) {
            const char *other = options_get(&config->chardevs[j].options, "fd");

            if (other && strcmp(other, fd) == 0 &&
                (strcmp(config->chardevs[i].backend, "socket") == 0 ||
                 strcmp(config->chardevs[j].backend, "socket") == 0)) {
                return error_set(err, -EBUSY, "-chardev %s,id=%s: fd=%s is used by '%s'", config->chardevs[i].backend,
                                 config->chardevs[i].id, fd, config->chardevs[j].id);
            }
        }
    }
    return 0;
}

static int check_chardevs(const struct machine_config *config, struct error **err)
{
    static const char *const skip[] = {"mux", "escape", "logfile", "logfd", "logappend", NULL};
    unsigned stdio_count = 0;
    int ret;

    for (size_t i = 0; i < config->chardev_count; i++) {
        const struct config_chardev *chardev = &config->chardevs[i];
        const struct chardev_type *type = chardev_type_find(chardev->backend, err);
        bool mux = false;
        bool append = false;

        if (!type) {
            error_prefix(err, "-chardev");
            return -EINVAL;
        }
        ret = options_get_bool(&chardev->options, "-chardev", "mux", &mux, err);
        if (ret == 0) {
            ret = options_get_bool(&chardev->options, "-chardev", "logappend", &append, err);
        }
        if (ret == 0) {
            ret = check_properties(type->properties, type->size_bytes, &chardev->options, skip, err);
        }
        if (ret == 0 && strcmp(type->name, "stdio") == 0 && ++stdio_count > 1) {
            ret = error_set(err, -EBUSY, "standard input and output are used twice; share one with mux=on");
        }
        if (ret < 0) {
            error_prefix(err, "-chardev %s,id=%s", chardev->backend, chardev->id);
            return ret;
        }
    }
    ret = check_inherited(config, err);
    return ret < 0 ? ret : check_unique(config, "-chardev", chardev_id_of, err);
}

/* In the background there is no terminal. */
static int check_background(const struct cli *cli, struct error **err)
{
    for (size_t i = 0; cli->daemonize && i < cli->config.chardev_count; i++) {
        if (strcmp(cli->config.chardevs[i].backend, "stdio") == 0) {
            return error_set(err, -EINVAL,
                             "-daemonize: nothing can be on standard input and output then; give '%s' "
                             "another place, such as file:PATH",
                             cli->config.chardevs[i].id);
        }
    }
    return 0;
}

static const char *monitor_id_of(const struct machine_config *config, size_t n)
{
    return n < config->monitor_count ? config->monitors[n].id ? config->monitors[n].id : "" : NULL;
}

static int check_monitors(const struct machine_config *config, struct error **err)
{
    for (size_t i = 0; i < config->monitor_count; i++) {
        int ret = check_reference(config, "chardev", chardev_id_of, config->monitors[i].chardev, err);

        if (ret < 0) {
            error_prefix(err, "-mon");
            return ret;
        }
    }
    return check_unique(config, "-mon", monitor_id_of, err);
}

static int check_serials(const struct machine_config *config, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < MACHINE_SERIALS_MAX; i++) {
        if (config->serials[i]) {
            ret = check_reference(config, "chardev", chardev_id_of, config->serials[i], err);
            if (ret < 0) {
                error_prefix(err, "-serial");
            }
        }
    }
    return ret;
}

static int check_object(const struct config_object *object, struct error **err)
{
    struct spelling spelling;

    spelling_begin(&spelling, object->type);
    for (const struct object_type *type = object_types; type->name; type++) {
        if (strcmp(type->name, object->type) == 0) {
            return options_check_keys(&object->options, "-object", type->keys, err);
        }
        spelling_offer(&spelling, type->name);
    }
    if (spelling_nearest(&spelling)) {
        return error_set(err, -EINVAL, "-object: there is no object '%s'; did you mean '%s'?", object->type,
                         spelling_nearest(&spelling));
    }
    return error_set(err, -EINVAL, "-object: there is no object '%s'; '-object help' lists what there is",
                     object->type);
}

static int check_objects(const struct machine_config *config, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < config->object_count; i++) {
        ret = check_object(&config->objects[i], err);
    }
    return ret < 0 ? ret : check_unique(config, "-object", object_id_of, err);
}

struct driver_search {
    struct spelling spelling;
    bool found;
};

static void driver_offer(const char *name, const char *description, void *opaque)
{
    struct driver_search *search = opaque;

    search->found |= strcmp(name, search->spelling.typed) == 0;
    spelling_offer(&search->spelling, name);
}

static int check_nodes(const struct machine_config *config, struct error **err)
{
    for (size_t i = 0; i < config->node_count; i++) {
        struct driver_search search = {.found = false};
        const char *driver = options_get(&config->nodes[i].options, "driver");

        spelling_begin(&search.spelling, driver);
        block_driver_list(driver_offer, &search);
        if (!search.found) {
            const char *nearest = spelling_nearest(&search.spelling);

            return error_set(err, -EINVAL, "-blockdev %s: there is no driver '%s'%s%s%s", config->nodes[i].name, driver,
                             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        }
    }
    return check_unique(config, "-blockdev", node_id_of, err);
}

/* -machine none: there is nothing to put these into. */
static int check_none(const struct machine_config *config, struct error **err)
{
    const char *what = config->device_count > 0 ? "-device" : config->kernel ? "-kernel" : NULL;

    for (size_t i = 0; i < MACHINE_SERIALS_MAX; i++) {
        what = config->serials[i] ? "-serial" : what;
    }
    return what ? error_set(err, -EINVAL, "%s: -machine none has no devices, CPUs or memory", what) : 0;
}

static int check_boot(const struct cli *cli, struct error **err)
{
    if (cli->config.machine_none) {
        return check_none(&cli->config, err);
    }
    if (!cli->config.kernel && cli->kernel_options) {
        return error_set(err, -EINVAL, "-append and -initrd need -kernel");
    }
    if (!cli->config.kernel) {
        return error_set(err, -EINVAL, "nothing to boot: -kernel is missing");
    }
    return 0;
}

int cli_check(const struct cli *cli, struct error **err)
{
    int ret = check_devices(&cli->config, err);

    if (ret == 0) {
        ret = check_nodes(&cli->config, err);
    }
    if (ret == 0) {
        ret = check_chardevs(&cli->config, err);
    }
    if (ret == 0) {
        ret = check_serials(&cli->config, err);
    }
    if (ret == 0) {
        ret = check_monitors(&cli->config, err);
    }
    if (ret == 0) {
        ret = check_objects(&cli->config, err);
    }
    if (ret == 0) {
        ret = check_background(cli, err);
    }
    return ret < 0 ? ret : check_boot(cli, err);
}
