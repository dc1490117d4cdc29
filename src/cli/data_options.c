/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options that bring data: -object secret and -fw_cfg. Secrets are overwritten before their memory is freed where they
 * pass through here; what the configuration keeps is its owner's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/option_string.h"
#include "cli/cli.h"

#define SECRET_MAX_BYTES (64u << 10)
#define FW_CFG_MAX_BYTES (16u << 20)

/* --- -object secret --------------------------------------------------------------------------------------------- */

static int base64_value(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* RFC 4648, 4, in place; line ends are skipped. */
static int base64_decode(uint8_t *bytes, size_t *len_bytes)
{
    uint32_t bits = 0;
    unsigned digits = 0;
    unsigned padding = 0;
    size_t used = 0;

    for (size_t i = 0; i < *len_bytes; i++) {
        int value = base64_value(bytes[i]);

        if (bytes[i] == '\n' || bytes[i] == '\r') {
            continue;
        }
        if (bytes[i] == '=') {
            padding++;
            continue;
        }
        if (value < 0 || padding > 0) {
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t)value;
        if (digits++ % 4 > 0) {
            bytes[used] = (uint8_t)(bits >> (6 - 2 * ((digits - 1) % 4)));
            used++;
        }
    }
    if (digits % 4 == 1 || (digits + padding) % 4 != 0 || padding > 2) {
        return -EINVAL;
    }
    bytes[used] = 0;
    *len_bytes = used;
    return 0;
}

static int secret_load(const struct options *options, uint8_t **bytes, size_t *len_bytes, struct error **err)
{
    const char *data = options_get(options, "data");
    const char *file = options_get(options, "file");

    if (!data == !file) {
        return error_set(err, -EINVAL, "it needs either 'file' or 'data'");
    }
    if (file) {
        return cli_read_file(file, SECRET_MAX_BYTES, bytes, len_bytes, err);
    }
    *bytes = (uint8_t *)strdup(data);
    *len_bytes = strlen(data);
    return *bytes ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int secret_make(struct machine_config *config, const struct config_object *object, struct error **err)
{
    static const char *const formats[] = {"raw", "base64", NULL};
    struct config_secret *secrets;
    uint8_t *bytes = NULL;
    size_t len_bytes = 0;
    unsigned format = 0;
    int ret = options_get_choice(&object->options, "secret", "format", formats, &format, err);

    if (ret == 0 && (options_get(&object->options, "keyid") || options_get(&object->options, "iv"))) {
        ret = error_set(err, -EINVAL, "secrets that are encrypted with another ('keyid') aren't supported");
    }
    if (ret == 0) {
        ret = secret_load(&object->options, &bytes, &len_bytes, err);
    }
    if (ret == 0 && format == 1 && base64_decode(bytes, &len_bytes) < 0) {
        ret = error_set(err, -EINVAL, "it isn't base64, as 'format' says");
    }
    secrets = ret == 0 ? cli_append(config->secrets, &config->secret_count, sizeof(*secrets)) : NULL;
    if (!secrets) {
        free(bytes);
        return ret < 0 ? ret : error_set(err, -ENOMEM, "out of memory");
    }
    config->secrets = secrets;
    secrets[config->secret_count - 1].bytes = bytes;
    secrets[config->secret_count - 1].len_bytes = len_bytes;
    return cli_set_string(&secrets[config->secret_count - 1].id, object->id, err);
}

int cli_finish_secrets(struct cli *cli, struct error **err)
{
    struct machine_config *config = &cli->config;
    size_t i = 0;

    while (i < config->object_count) {
        int ret = 0;

        if (strcmp(config->objects[i].type, "secret") != 0) {
            i++;
            continue;
        }
        ret = secret_make(config, &config->objects[i], err);
        if (ret < 0) {
            error_prefix(err, "-object secret,id=%s", config->objects[i].id);
            return ret;
        }
        config_object_remove(config, &config->objects[i]);
    }
    return 0;
}

/* --- -fw_cfg ---------------------------------------------------------------------------------------------------- */

static int fw_cfg_load(const struct options *options, struct config_fw_cfg *item, struct error **err)
{
    const char *file = options_get(options, "file");
    const char *string = options_get(options, "string");

    if (!file == !string) {
        return error_set(err, -EINVAL, "it needs either 'file' or 'string'");
    }
    if (file) {
        return cli_read_file(file, FW_CFG_MAX_BYTES, &item->bytes, &item->len_bytes, err);
    }
    item->bytes = (uint8_t *)strdup(string);
    item->len_bytes = strlen(string); /* without the final zero, as firmware expects it */
    return item->bytes ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int fw_cfg_take(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const keys[] = {"name", "file", "string", NULL};
    struct machine_config *config = &cli->config;
    const char *name = options_get(options, "name");
    struct config_fw_cfg *items;
    int ret = options_check_keys(options, "-fw_cfg", keys, err);

    if (ret == 0 && !name) {
        ret = error_set(err, -EINVAL, "-fw_cfg: 'name' is missing");
    }
    if (ret < 0) {
        return ret;
    }
    items = cli_append(config->fw_cfgs, &config->fw_cfg_count, sizeof(*items));
    if (!items) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->fw_cfgs = items;
    ret = fw_cfg_load(options, &items[config->fw_cfg_count - 1], err);
    if (ret < 0) {
        error_prefix(err, "-fw_cfg %s", name);
        return ret;
    }
    return cli_set_string(&items[config->fw_cfg_count - 1].name, name, err);
}

int cli_parse_fw_cfg(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, "name", "-fw_cfg", &options, err);

    if (ret == 0) {
        ret = fw_cfg_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}
