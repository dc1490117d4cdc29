/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -chardev, and the short forms of -serial and -debugcon, which stand for a chardev and a port that uses it:
 *
 *   none  null  pty  stdio  file:PATH  unix:PATH[,server][,nowait]  tcp:HOST:PORT[,...]  telnet:HOST:PORT[,...]
 *   mon:ANY OF THEM, with Ctrl-A keys and a monitor beside the port   chardev:ID
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/option_string.h"
#include "cli/cli.h"

/* Takes over id, which is owned, and the options. */
static int chardev_add(struct cli *cli, char *id, const char *backend, struct options *options, struct error **err)
{
    struct machine_config *config = &cli->config;
    struct config_chardev *chardevs = cli_append(config->chardevs, &config->chardev_count, sizeof(*chardevs));
    struct config_chardev *chardev;

    if (!chardevs) {
        free(id);
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->chardevs = chardevs;
    chardev = &chardevs[config->chardev_count - 1];
    chardev->id = id;
    chardev->options = *options;
    *options = (struct options){0};
    return cli_set_string(&chardev->backend, backend, err);
}

/* Older spellings: "nowait" is wait=off, and "delay" is the opposite of the one that there is. */
static int chardev_modernize(struct options *options, const char *what, struct error **err)
{
    static const char *const negated[][2] = {{"nowait", "wait"},     {"noserver", "server"}, {"notelnet", "telnet"},
                                             {"nosignal", "signal"}, {"nomux", "mux"},       {"delay", "nodelay"}};

    for (size_t i = 0; i < ARRAY_SIZE(negated); i++) {
        HDL_AUTO_FREE char *value = NULL;
        bool on = false;
        int ret = options_get_bool(options, what, negated[i][0], &on, err);

        if (ret < 0) {
            return ret;
        }
        value = options_take(options, negated[i][0]);
        if (value && options_set(options, negated[i][1], on ? "off" : "on") < 0) {
            return error_set(err, -ENOMEM, "out of memory");
        }
    }
    return 0;
}

int cli_parse_chardev(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    HDL_AUTO_FREE char *backend = NULL;
    char *id = NULL;
    int ret;

    if (cli_asks_for_help(arg)) {
        help_chardevs();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "backend", "-chardev", &options, err);
    if (ret == 0) {
        backend = options_take(&options, "backend");
        id = options_take(&options, "id");
        if (!backend) {
            ret = error_set(err, -EINVAL, "-chardev: 'backend' is missing; '-chardev help' lists what there is");
        } else if (!id) {
            ret = error_set(err, -EINVAL, "-chardev %s: 'id' is missing", backend);
        } else {
            ret = cli_check_id("-chardev", id, err);
        }
        if (ret == 0) {
            ret = chardev_modernize(&options, "-chardev", err);
        }
        if (ret == 0) {
            ret = chardev_add(cli, id, backend, &options, err);
            id = NULL;
        }
    }
    free(id);
    options_release(&options);
    return ret;
}

/* --- short forms ------------------------------------------------------------------------------------------------ */

static int short_unix(const char *rest, const char *what, struct options *options, struct error **err)
{
    int ret = option_string_parse(rest, "path", what, options, err);

    return ret < 0 ? ret : chardev_modernize(options, what, err);
}

/* HOST:PORT; no host is every address of this machine. An IPv6 address may be in brackets. name: "tcp" or "telnet". */
static int short_tcp(const char *name, const char *rest, const char *what, struct options *options, struct error **err)
{
    HDL_AUTO_FREE char *address = NULL;
    const char *host;
    char *colon;
    int ret = option_string_parse(rest, "address", what, options, err);

    if (ret < 0) {
        return ret;
    }
    address = options_take(options, "address");
    colon = address ? strrchr(address, ':') : NULL;
    if (!colon) {
        return error_set(err, -EINVAL, "%s: '%s:%s' isn't of the form %s:HOST:PORT", what, name, rest, name);
    }
    *colon = '\0';
    host = address;
    if (host[0] == '[' && colon > address + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    if (options_set(options, "host", host) < 0 || options_set(options, "port", colon + 1) < 0 ||
        (strcmp(name, "telnet") == 0 && options_set(options, "telnet", "on") < 0)) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    return chardev_modernize(options, what, err);
}

static bool text_begins(const char *text, const char *prefix, const char **rest)
{
    size_t len = strlen(prefix);

    *rest = text + len;
    return strncmp(text, prefix, len) == 0;
}

/* The backend that a short form names, its options added; NULL and an error if it is none. */
static const char *short_parse(const char *text, const char *what, struct options *options, struct error **err)
{
    static const char *const plain[] = {"null", "pty", "stdio", "ringbuf"};
    const char *rest;
    int ret = 0;

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        if (strcmp(text, plain[i]) == 0) {
            return plain[i];
        }
    }
    if (text_begins(text, "file:", &rest)) {
        ret = options_set(options, "path", rest);
        return ret < 0 ? NULL : "file";
    }
    if (text_begins(text, "unix:", &rest)) {
        return short_unix(rest, what, options, err) < 0 ? NULL : "socket";
    }
    if (text_begins(text, "tcp:", &rest)) {
        return short_tcp("tcp", rest, what, options, err) < 0 ? NULL : "socket";
    }
    if (text_begins(text, "telnet:", &rest)) {
        return short_tcp("telnet", rest, what, options, err) < 0 ? NULL : "socket";
    }
    error_set(err, -EINVAL,
              "%s: '%s' isn't none, null, pty, stdio, mon:stdio, file:PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT "
              "or chardev:ID",
              what, text);
    return NULL;
}

/* Whether there is such a chardev already, made by another port that shares it. */
static bool chardev_exists(const struct cli *cli, const char *id)
{
    for (size_t i = 0; i < cli->config.chardev_count; i++) {
        if (strcmp(cli->config.chardevs[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

bool cli_short_is_none(const char *text)
{
    return strcmp(text, "none") == 0 || strcmp(text, "vc") == 0 || strncmp(text, "vc:", 3) == 0;
}

int cli_make_chardev(struct cli *cli, const char *text, const char *what, const char *stem, unsigned number, char **id,
                     bool *is_mux, struct error **err)
{
    struct options options = {0};
    const char *backend;
    const char *rest;
    char *copy;
    int ret = 0;

    if (text_begins(text, "chardev:", &rest)) {
        return cli_set_string(id, rest, err);
    }
    if (asprintf(id, "%s%u", stem, number) < 0) {
        *id = NULL;
        return error_set(err, -ENOMEM, "out of memory");
    }
    if (chardev_exists(cli, *id)) {
        return error_set(err, -EEXIST, "%s: there is a chardev '%s' already; use chardev:%s", what, *id, *id);
    }
    if (text_begins(text, "mon:", &rest)) {
        text = rest;
        if (is_mux) {
            *is_mux = true;
        }
        ret = options_set(&options, "mux", "on");
        if (ret == 0 && strcmp(text, "stdio") == 0) {
            ret = options_set(&options, "signal", "off");
        }
    }
    backend = ret == 0 ? short_parse(text, what, &options, err) : NULL;
    copy = backend ? strdup(*id) : NULL;
    if (copy) {
        ret = chardev_add(cli, copy, backend, &options, err);
    } else {
        ret = backend || ret < 0 ? error_set(err, -ENOMEM, "out of memory") : -EINVAL;
    }
    options_release(&options);
    return ret;
}

int cli_parse_serial(struct cli *cli, const char *arg, struct error **err)
{
    if (cli->serials.count == MACHINE_SERIALS_MAX) {
        return error_set(err, -EINVAL, "-serial: there are at most %d serial ports", MACHINE_SERIALS_MAX);
    }
    return string_list_add(&cli->serials, arg, err);
}

/* A device that is a serial port itself: then none is implied. */
static bool serial_device_given(const struct cli *cli)
{
    for (size_t i = 0; i < cli->config.device_count; i++) {
        if (strcmp(cli->config.devices[i].type, "isa-serial") == 0) {
            return true;
        }
    }
    return false;
}

/* With -nographic, what nobody said where to put is on the terminal: serial port and monitor share it. */
static int serials_imply(struct cli *cli, struct error **err)
{
    bool defaults = !cli->config.no_defaults;
    bool serial = defaults && cli->serials.count == 0 && !serial_device_given(cli) && !cli->config.machine_none;
    bool monitor = defaults && !cli->monitor_given && cli->nographic;
    int ret = 0;

    if (serial) {
        ret = string_list_add(&cli->serials, !cli->nographic ? "null" : monitor ? "mon:stdio" : "stdio", err);
    } else if (monitor) {
        ret = cli_make_monitor(cli, "-nographic", "stdio", MONITOR_READLINE, err);
    }
    return ret;
}

static int serial_make(struct cli *cli, unsigned index, struct error **err)
{
    const char *where = cli->serials.items[index];
    bool is_mux = false;
    int ret;

    if (cli_short_is_none(where)) {
        return 0;
    }
    ret = cli_make_chardev(cli, where, "-serial", "serial", index, &cli->config.serials[index], &is_mux, err);
    return ret == 0 && is_mux ? cli_add_monitor(cli, cli->config.serials[index], MONITOR_READLINE, err) : ret;
}

int cli_finish_serials(struct cli *cli, struct error **err)
{
    int ret = serials_imply(cli, err);

    for (unsigned i = 0; ret == 0 && i < cli->serials.count; i++) {
        ret = serial_make(cli, i, err);
    }
    return ret;
}

int cli_parse_debugcon(struct cli *cli, const char *arg, struct error **err)
{
    HDL_AUTO_FREE char *id = NULL;
    struct config_device *device;
    int ret = cli_make_chardev(cli, arg, "-debugcon", "debugcon", cli->debugcon_count++, &id, NULL, err);

    if (ret < 0) {
        return ret;
    }
    device = cli_add_device(cli, "isa-debugcon");
    if (!device || options_set(&device->options, "chardev", id) < 0) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}
