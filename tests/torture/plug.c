/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices come and go: any type that the table says can be made, with options that its own table of properties says
 * there are. Where the board offers no way to plug something in while the guest runs, it is put there nevertheless, as
 * before the start: a device that can leave at the end can leave earlier.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine/device_types.h"
#include "machine/user_devices.h"
#include "torture.h"

#define PLUG_DEVICES_MAX 24
#define PLUG_BRIDGES_MAX 3
#define PLUG_WAIT_S      60

static unsigned plug_count(struct manager *manager)
{
    const struct machine_device *entry;
    unsigned count = 0;

    for (size_t i = 0; (entry = machine_device_nth(manager->torture->machine, i)); i++) {
        count += entry->is_user;
    }
    return count;
}

/* The bus behind it; NULL if there is none, or if it is leaving. */
static struct pci_bus *plug_bus(const struct machine_device *entry)
{
    struct pci_device *pci = device_is_realized(entry->device) ? pci_device_try(entry->device) : NULL;

    return pci ? pci->secondary : NULL;
}

static bool plug_is_occupied(const struct machine_device *entry)
{
    struct pci_bus *bus = plug_bus(entry);

    for (unsigned devfn = 0; bus && devfn < PCI_FUNCTION_COUNT; devfn++) {
        if (pci_bus_function(bus, devfn)) {
            return true;
        }
    }
    return false;
}

/* Any of those that a person added; NULL if there is none. */
static const struct machine_device *plug_any(struct manager *manager)
{
    unsigned count = plug_count(manager);
    uint64_t skip = actor_below(&manager->actor, count ? count : 1);
    const struct machine_device *entry;

    for (size_t i = 0; (entry = machine_device_nth(manager->torture->machine, i)); i++) {
        if (entry->is_user && skip-- == 0) {
            return entry;
        }
    }
    return NULL;
}

/* --- options
 * ---------------------------------------------------------------------------------------------------------- */

static void plug_set_number(struct manager *manager, struct options *options, const struct property *property,
                            uint64_t type_max)
{
    uint64_t max = property->min || property->max ? property->max : type_max;
    char text[24];

    snprintf(text, sizeof(text), "%llu",
             (unsigned long long)(property->min +
                                  actor_below(&manager->actor, MIN(max - property->min, UINT64_C(300)) + 1)));
    options_set(options, property->name, text);
}

/* By its type alone. */
static void plug_set_any(struct manager *manager, struct options *options, const struct property *property)
{
    static const char *const words[] = {"off", "on", "auto"};
    char text[24];

    switch (property->type) {
    case PROPERTY_BOOL:
        options_set(options, property->name, words[actor_below(&manager->actor, 2)]);
        break;
    case PROPERTY_ON_OFF_AUTO:
        options_set(options, property->name, words[actor_below(&manager->actor, 3)]);
        break;
    case PROPERTY_U8:
        plug_set_number(manager, options, property, UINT8_MAX);
        break;
    case PROPERTY_U16:
        plug_set_number(manager, options, property, UINT16_MAX);
        break;
    case PROPERTY_U32:
    case PROPERTY_U64:
    case PROPERTY_SIZE:
        plug_set_number(manager, options, property, UINT32_MAX);
        break;
    case PROPERTY_PCI_ADDR:
        snprintf(text, sizeof(text), "%x.%x", (unsigned)actor_below(&manager->actor, 32),
                 (unsigned)(actor_chance(&manager->actor, 4) ? actor_below(&manager->actor, 8) : 0));
        options_set(options, property->name, text);
        break;
    case PROPERTY_STRING:
        break;
    }
}

/* What a device needs of the host's side is made for it. False: it couldn't be. */
static bool plug_set_backend(struct manager *manager, struct options *options, const struct device_type *type,
                             const struct property *property, bool plain)
{
    char name[32];
    bool made = true;

    if (strcmp(property->name, "drive") == 0) {
        made = backend_make_node(manager, name, sizeof(name));
    } else if (strcmp(property->name, "chardev") == 0) {
        made = backend_make_chardev(manager, plain ? type : NULL, name, sizeof(name));
    } else if (strcmp(property->name, "rng") == 0 && actor_chance(&manager->actor, 2)) {
        made = backend_make_object(manager, "rng-builtin", name, sizeof(name));
    } else if (strcmp(property->name, "iothread") == 0 && actor_chance(&manager->actor, 2)) {
        made = backend_make_object(manager, "iothread", name, sizeof(name));
    } else {
        return true;
    }
    if (made) {
        options_set(options, property->name, name);
    }
    return made;
}

static bool plug_set_options(struct manager *manager, struct options *options, const struct device_type *type,
                             bool plain)
{
    for (const struct property *property = type->properties; property && property->name; property++) {
        if (!plug_set_backend(manager, options, type, property, plain)) {
            return false;
        }
        if (!plain && !options_get(options, property->name) && actor_chance(&manager->actor, 6)) {
            plug_set_any(manager, options, property);
        }
    }
    return true;
}

/* --- adding
 * ------------------------------------------------------------------------------------------------------------ */

static int plug_add(struct manager *manager, struct config_device *config, struct error **err)
{
    struct machine *machine = manager->torture->machine;
    int ret = machine_device_add(machine, config, err);

    if (ret == -EOPNOTSUPP) {
        error_free(*err);
        *err = NULL;
        ret = user_device_add(machine_pc(machine), config, machine_backends(machine), false, err);
    }
    return ret;
}

int plug_device(struct manager *manager, const struct device_type *type, bool plain)
{
    struct config_device config = {.type = (char *)type->name};
    struct error *err = NULL;
    char id[32];
    int ret = -EIO;

    snprintf(id, sizeof(id), "d%u", manager->next_name++);
    config.id = plain || !actor_chance(&manager->actor, 4) ? id : NULL;
    if (plug_set_options(manager, &config.options, type, plain)) {
        ret = plug_add(manager, &config, &err);
    }
    if (ret == 0) {
        manager->added++;
    } else {
        manager->adds_failed++;
        if (manager->torture->verbose) {
            fprintf(stderr, "torture: %s: %s\n", type->name, err ? err->message : "no backend");
        }
    }
    error_free(err);
    options_release(&config.options);
    return ret;
}

bool plug_first_devices(struct manager *manager)
{
    for (size_t i = 0; device_types[i]; i++) {
        if (device_types[i]->user_creatable && plug_device(manager, device_types[i], true) < 0) {
            fprintf(stderr, "torture: '%s' can't be made\n", device_types[i]->name);
            return false;
        }
    }
    return true;
}

/* Any type of the table. */
static const struct device_type *plug_choose(struct manager *manager)
{
    const struct device_type *type;
    size_t count = 0;

    while (device_types[count]) {
        count++;
    }
    do {
        type = device_types[actor_below(&manager->actor, count)];
    } while (!type->user_creatable);
    return type;
}

/* Bridges stay until the end of the run: a few are enough. */
static bool plug_has_room(struct manager *manager, const struct device_type *type)
{
    const struct machine_device *entry;
    unsigned count = 0;

    for (size_t i = 0; (entry = machine_device_nth(manager->torture->machine, i)); i++) {
        count += plug_bus(entry) && entry->device->type == type;
    }
    return count < PLUG_BRIDGES_MAX;
}

void manager_act_plug(void *who)
{
    struct manager *manager = who;

    const struct device_type *type = plug_choose(manager);

    if (plug_count(manager) < PLUG_DEVICES_MAX && plug_has_room(manager, type)) {
        (void)plug_device(manager, type, actor_chance(&manager->actor, 2));
    } else {
        manager_act_unplug(manager);
    }
}

/* --- taking away
 * --------------------------------------------------------------------------------------------------------- */

static void plug_take_away(struct manager *manager, const struct machine_device *entry, bool force)
{
    const char *name = entry->has_id && actor_chance(&manager->actor, 2) ? entry->device->id : entry->path;

    bool may_unplug = !plug_bus(entry) || manager->is_ended;

    if (!plug_is_occupied(entry) && machine_device_del(manager->torture->machine, name, force, NULL) == -EOPNOTSUPP &&
        may_unplug) {
        device_unplug(entry->device);
    }
}

void manager_act_unplug(void *who)
{
    struct manager *manager = who;
    const struct machine_device *entry = plug_any(manager);

    for (unsigned i = 0; entry && i <= actor_below(&manager->actor, 3); i++) {
        plug_take_away(manager, entry, actor_chance(&manager->actor, 3));
    }
}

/* Whatever a person can get wrong. */
void manager_act_plug_wrong(void *who)
{
    struct manager *manager = who;
    struct machine *machine = manager->torture->machine;
    const struct machine_device *entry = plug_any(manager);
    struct config_device config = {.type = (char *)plug_choose(manager)->name, .id = (char *)"wrong"};
    int ret;

    switch (actor_below(&manager->actor, 5)) {
    case 0:
        config.type = (char *)"no-such-type";
        break;
    case 1:
        options_set(&config.options, "bus", "no-such-bus");
        break;
    case 2:
        options_set(&config.options, "no-such-option", "1");
        break;
    case 3:
        options_set(&config.options, "iothread", "no-such-thread");
        break;
    default:
        config.id = entry && entry->has_id ? entry->device->id : (char *)"wrong";
        options_set(&config.options, "addr", "0");
        break;
    }
    ret = machine_device_add(machine, &config, NULL);
    manager->added += ret == 0;
    options_release(&config.options);
    (void)machine_device_del(machine, "no-such-device", actor_chance(&manager->actor, 2), NULL);
}

bool unplug_everything(struct manager *manager)
{
    struct event_loop *loop = machine_loop(manager->torture->machine);
    uint64_t deadline_ns = clock_now_ns(&manager->clock) + PLUG_WAIT_S * NS_PER_SEC;
    const struct machine_device *entry;

    while (plug_count(manager) > 0 && clock_now_ns(&manager->clock) < deadline_ns) {
        for (size_t i = 0; (entry = machine_device_nth(manager->torture->machine, i)); i++) {
            if (entry->is_user && device_is_realized(entry->device)) {
                plug_take_away(manager, entry, true);
            }
        }
        if (!event_loop_poll(loop, false)) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    for (size_t i = 0; (entry = machine_device_nth(manager->torture->machine, i)); i++) {
        if (entry->is_user) {
            fprintf(stderr, "torture: %s '%s' (%s) is still there, in state %d\n", entry->device->type->name,
                    entry->device->id, entry->path, (int)atomic_load(&entry->device->state));
        }
    }
    return plug_count(manager) == 0;
}
