/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -mon, and -qmp, -qmp-pretty and -monitor, which stand for a chardev and a monitor on it. What they say becomes
 * config_monitor; whether the chardev exists is checked when all of the command line is known.
 */
#include <errno.h>
#include <string.h>

#include "base/option_string.h"
#include "cli/cli.h"

int cli_add_monitor(struct cli *cli, const char *chardev, enum monitor_kind kind, struct error **err)
{
    struct machine_config *config = &cli->config;
    struct config_monitor *monitors = cli_append(config->monitors, &config->monitor_count, sizeof(*monitors));
    struct config_monitor *monitor;

    if (!monitors) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->monitors = monitors;
    monitor = &monitors[config->monitor_count - 1];
    monitor->control = kind != MONITOR_READLINE;
    monitor->pretty = kind == MONITOR_QMP_PRETTY;
    return cli_set_string(&monitor->chardev, chardev, err);
}

static int monitor_take(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const keys[] = {"chardev", "mode", "pretty", "id", NULL};
    static const char *const modes[] = {"readline", "control", NULL};
    const char *chardev = options_get(options, "chardev");
    const char *id = options_get(options, "id");
    unsigned mode = 0;
    bool pretty = false;
    int ret = options_check_keys(options, "-mon", keys, err);

    if (ret == 0) {
        ret = options_get_choice(options, "-mon", "mode", modes, &mode, err);
    }
    if (ret == 0) {
        ret = options_get_bool(options, "-mon", "pretty", &pretty, err);
    }
    if (ret == 0 && !chardev) {
        ret = error_set(err, -EINVAL, "-mon: 'chardev' is missing");
    }
    if (ret == 0 && pretty && mode == 0) {
        ret = error_set(err, -EINVAL, "-mon: 'pretty=on' needs mode=control");
    }
    if (ret == 0 && id) {
        ret = cli_check_id("-mon", id, err);
    }
    if (ret == 0) {
        ret = cli_add_monitor(cli, chardev,
                              mode == 0 ? MONITOR_READLINE
                              : pretty  ? MONITOR_QMP_PRETTY
                                        : MONITOR_QMP,
                              err);
    }
    return ret == 0 && id ? cli_set_string(&cli->config.monitors[cli->config.monitor_count - 1].id, id, err) : ret;
}

int cli_parse_mon(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, "chardev", "-mon", &options, err);

    if (ret == 0) {
        ret = monitor_take(cli, &options, err);
    }
    options_release(&options);
    cli->monitor_given = true;
    return ret;
}

int cli_make_monitor(struct cli *cli, const char *what, const char *where, enum monitor_kind kind, struct error **err)
{
    HDL_AUTO_FREE char *id = NULL;
    int ret;

    cli->monitor_given = true;
    if (cli_short_is_none(where)) {
        return 0;
    }
    ret = cli_make_chardev(cli, where, what, "compat_monitor", cli->compat_monitor_count++, &id, NULL, err);
    return ret < 0 ? ret : cli_add_monitor(cli, id, kind, err);
}

int cli_parse_monitor(struct cli *cli, const char *arg, struct error **err)
{
    return cli_make_monitor(cli, "-monitor", arg, MONITOR_READLINE, err);
}

int cli_parse_qmp(struct cli *cli, const char *arg, struct error **err)
{
    return cli_make_monitor(cli, "-qmp", arg, MONITOR_QMP, err);
}

int cli_parse_qmp_pretty(struct cli *cli, const char *arg, struct error **err)
{
    return cli_make_monitor(cli, "-qmp-pretty", arg, MONITOR_QMP_PRETTY, err);
}
