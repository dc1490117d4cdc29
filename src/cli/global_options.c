/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -global: a property of all devices of a type. It becomes an option of those devices of the command line that don't
 * say it themselves, and stays in the configuration for devices that are made later.
 */
#include <errno.h>
#include <string.h>

#include "base/option_string.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "machine/device_types.h"
#include "machine/user_devices.h"

/* What programs say of parts of a PC that heddle hasn't got, with the values that say so. */
static const char *const harmless[][3] = {
    {"ICH9-LPC", "disable_s3", "1"}, /* there are no sleep states but off */
    {"ICH9-LPC", "disable_s4", "1"}, {"PIIX4_PM", "disable_s3", "1"},
    {"PIIX4_PM", "disable_s4", "1"}, {"kvm-pit", "lost_tick_policy", "delay"}, /* what KVM's does */
};

/* "DRIVER.PROPERTY=VALUE", in which the value is all the rest; or the three as options. */
static int global_split(const char *arg, struct options *options, struct error **err)
{
    size_t driver_len = strcspn(arg, ".=,");
    const char *property = arg + driver_len + 1;
    size_t property_len = arg[driver_len] == '.' ? strcspn(property, "=") : 0;
    HDL_AUTO_FREE char *driver = NULL;
    HDL_AUTO_FREE char *name = NULL;

    if (!strchr(arg, '=')) {
        return error_set(err, -EINVAL, "-global: '%s' isn't of the form DRIVER.PROPERTY=VALUE", arg);
    }
    if (property_len == 0 || property[property_len] != '=') {
        return option_string_parse(arg, NULL, "-global", options, err);
    }
    driver = strndup(arg, driver_len);
    name = strndup(property, property_len);
    if (!driver || !name || options_set(options, "driver", driver) < 0 || options_set(options, "property", name) < 0 ||
        options_set(options, "value", property + property_len + 1) < 0) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static bool global_is_harmless(const char *driver, const char *property, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
        if (strcmp(driver, harmless[i][0]) == 0 && strcmp(property, harmless[i][1]) == 0) {
            return strcmp(value, harmless[i][2]) == 0 || (strcmp(value, "on") == 0 && harmless[i][2][0] == '1');
        }
    }
    return false;
}

static const struct device_type *global_type(const char *driver, struct error **err)
{
    const struct device_type *type = device_type_find(driver);

    if (type && !type->user_creatable) {
        error_set(err, -EINVAL, "-global: '%s' is a part of the machine, of which nothing can be set", driver);
        return NULL;
    }
    return check_device_type("-global", driver, err);
}

static int global_try(const struct device_type *type, const char *property, const char *value, struct error **err)
{
    static const char *const skip[] = {NULL};
    struct options options = {0};
    int ret = options_set(&options, property, value);

    ret = ret < 0 ? error_set(err, ret, "out of memory")
                  : check_properties(type->properties, type->size_bytes, &options, skip, err);
    if (ret < 0) {
        error_prefix(err, "-global %s", type->name);
    }
    options_release(&options);
    return ret;
}

static int global_take(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const keys[] = {"driver", "property", "value", NULL};
    struct machine_config *config = &cli->config;
    const char *texts[3];
    const struct device_type *type;
    struct config_global *globals;
    int ret = options_check_keys(options, "-global", keys, err);

    for (unsigned i = 0; ret == 0 && i < 3; i++) {
        texts[i] = options_get(options, keys[i]);
        if (!texts[i]) {
            ret = error_set(err, -EINVAL, "-global: '%s' is missing; it is DRIVER.PROPERTY=VALUE", keys[i]);
        }
    }
    if (ret < 0 || global_is_harmless(texts[0], texts[1], texts[2])) {
        return ret;
    }
    type = global_type(texts[0], err);
    ret = type ? global_try(type, texts[1], texts[2], err) : -EINVAL;
    if (ret < 0) {
        return ret;
    }
    globals = cli_append(config->globals, &config->global_count, sizeof(*globals));
    if (!globals) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->globals = globals;
    globals = &globals[config->global_count - 1];
    ret = cli_set_string(&globals->driver, type->name, err);
    if (ret == 0) {
        ret = cli_set_string(&globals->property, texts[1], err);
    }
    return ret < 0 ? ret : cli_set_string(&globals->value, texts[2], err);
}

int cli_parse_global(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = global_split(arg, &options, err);

    if (ret == 0) {
        ret = global_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

int cli_finish_globals(struct cli *cli, struct error **err)
{
    struct machine_config *config = &cli->config;
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < config->device_count; i++) {
        ret = user_device_apply_globals(config, &config->devices[i], err);
    }
    return ret;
}
