/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options that concern the process rather than the machine. What programs say of habit and what heddle has no part of
 * is taken in exactly those forms that promise nothing it doesn't do.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/option_string.h"
#include "cli/cli.h"

#define FDSET_PREFIX "/dev/fdset/"

int cli_parse_msg(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"timestamp", "guest-name", NULL};
    struct options options = {0};
    bool guest_name = false;
    int ret = option_string_parse(arg, NULL, "-msg", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-msg", keys, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-msg", "timestamp", &cli->log_timestamps, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-msg", "guest-name", &guest_name, err);
    }
    if (ret == 0 && guest_name) {
        ret = error_set(err, -EINVAL, "-msg: 'guest-name=on' isn't supported; valid: off");
    }
    options_release(&options);
    return ret;
}

int cli_parse_overcommit(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"mem-lock", "cpu-pm", NULL};
    struct options options = {0};
    bool cpu_pm = false;
    int ret = option_string_parse(arg, NULL, "-overcommit", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-overcommit", keys, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-overcommit", "mem-lock", &cli->lock_memory, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-overcommit", "cpu-pm", &cpu_pm, err);
    }
    if (ret == 0 && cpu_pm) {
        ret = error_set(err, -EINVAL, "-overcommit: guests can't put the host's CPUs to sleep; valid: cpu-pm=off");
    }
    options_release(&options);
    return ret;
}

/* heddle has no sandbox of its own yet; libvirt asks for one whenever it starts a guest, and must be able to. */
int cli_parse_sandbox(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol", NULL};
    static const char *const words[] = {"allow", "deny", NULL};
    static const char *const privileges[] = {"allow", "deny", "children", NULL};
    struct options options = {0};
    bool enable;
    unsigned choice;
    int ret = option_string_parse(arg, "enable", "-sandbox", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-sandbox", keys, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-sandbox", "enable", &enable, err);
    }
    for (unsigned i = 1; ret == 0 && keys[i]; i++) {
        ret = options_get_choice(&options, "-sandbox", keys[i],
                                 strcmp(keys[i], "elevateprivileges") == 0 ? privileges : words, &choice, err);
    }
    options_release(&options);
    return ret;
}

int cli_parse_audiodev(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"driver", "id", "in.*", "out.*", "timer-period", NULL};
    struct options options = {0};
    const char *driver;
    int ret = option_string_parse(arg, "driver", "-audiodev", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-audiodev", keys, err);
    }
    driver = options_get(&options, "driver");
    if (ret == 0 && (!driver || strcmp(driver, "none") != 0)) {
        ret = error_set(err, -EINVAL, "-audiodev: there are no sound cards yet; valid: driver=none");
    } else if (ret == 0 && !options_get(&options, "id")) {
        ret = error_set(err, -EINVAL, "-audiodev %s: 'id' is missing", driver);
    }
    options_release(&options);
    return ret;
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

static int fd_add(struct cli *cli, const struct options *options, struct error **err)
{
    struct machine_config *config = &cli->config;
    const char *opaque = options_get(options, "opaque");
    uint64_t fd = 0;
    uint64_t set = 0;
    struct config_fd *fds;
    int ret = options_get_uint(options, "-add-fd", "fd", 3, INT_MAX, &fd, err);

    if (ret == 0) {
        ret = options_get_uint(options, "-add-fd", "set", 0, INT64_MAX, &set, err);
    }
    if (ret == 0 && (!options_get(options, "fd") || !options_get(options, "set"))) {
        ret = error_set(err, -EINVAL, "-add-fd: 'fd' and 'set' are needed");
    }
    if (ret == 0 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
        ret = error_set(err, -EBADF, "-add-fd: fd=%" PRIu64 " isn't open", fd);
    }
    if (ret < 0) {
        return ret;
    }
    fds = cli_append(config->fds, &config->fd_count, sizeof(*fds));
    if (!fds) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->fds = fds;
    fds[config->fd_count - 1].set = set;
    fds[config->fd_count - 1].fd = (int)fd;
    return opaque ? cli_set_string(&fds[config->fd_count - 1].opaque, opaque, err) : 0;
}

int cli_parse_add_fd(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"fd", "set", "opaque", NULL};
    struct options options = {0};
    int ret = option_string_parse(arg, NULL, "-add-fd", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-add-fd", keys, err);
    }
    if (ret == 0) {
        ret = fd_add(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

/* The first of the set's that is open for writing as wanted, or -1. */
static int fdset_find(const struct machine_config *config, uint64_t set, bool for_writing)
{
    for (size_t i = 0; i < config->fd_count; i++) {
        int mode = config->fds[i].set == set ? fcntl(config->fds[i].fd, F_GETFL) & O_ACCMODE : -1;

        if (mode == O_RDWR || (mode >= 0 && (mode == O_WRONLY) == for_writing)) {
            return config->fds[i].fd;
        }
    }
    return -1;
}

/* -1 and an error if the name begins as those of sets do, but is none. */
static int fdset_resolve(const struct cli *cli, const char *name, bool for_writing, int *fd, struct error **err)
{
    uint64_t set;

    *fd = -1;
    if (!name || strncmp(name, FDSET_PREFIX, strlen(FDSET_PREFIX)) != 0) {
        return 0;
    }
    if (parse_uint(name + strlen(FDSET_PREFIX), &set) == 0) {
        *fd = fdset_find(&cli->config, set, for_writing);
    }
    return *fd >= 0 ? 0
                    : error_set(err, -ENOENT, "'%s': there is no -add-fd with that set that is open for %s", name,
                                for_writing ? "writing" : "reading");
}

/* A file that output goes to is used as it is: it may be a pipe that only its maker could open again. */
static int fds_finish_output(struct cli *cli, struct config_chardev *chardev, const char *path_key, const char *fd_key,
                             struct error **err)
{
    HDL_AUTO_FREE char *number = NULL;
    int fd;
    int ret = fdset_resolve(cli, options_get(&chardev->options, path_key), true, &fd, err);

    if (ret < 0 || fd < 0) {
        error_prefix(err, "-chardev %s,id=%s", chardev->backend, chardev->id);
        return ret;
    }
    free(options_take(&chardev->options, path_key));
    if (asprintf(&number, "%d", fd) < 0) {
        number = NULL;
    }
    return number && options_set(&chardev->options, fd_key, number) == 0 ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int fds_finish_chardev(struct cli *cli, struct config_chardev *chardev, struct error **err)
{
    int ret = fds_finish_output(cli, chardev, "logfile", "logfd", err);

    if (ret < 0 || strcmp(chardev->backend, "file") != 0) {
        return ret;
    }
    return fds_finish_output(cli, chardev, "path", "fd", err);
}

/* A disk's file is opened again by the descriptor's name, with what heddle may do. */
static int fds_finish_node(struct cli *cli, struct config_node *node, struct error **err)
{
    static const char suffix[] = "filename";

    for (size_t i = 0; i < node->options.count; i++) {
        struct option *option = &node->options.items[i];
        size_t len = strlen(option->key);
        int fd;
        char *path;
        int ret;

        if (len < strlen(suffix) || strcmp(option->key + len - strlen(suffix), suffix) != 0) {
            continue;
        }
        ret = fdset_resolve(cli, option->value, false, &fd, err);
        if (ret < 0) {
            error_prefix(err, "-blockdev %s", node->name);
            return ret;
        }
        if (fd >= 0) {
            if (asprintf(&path, "/proc/self/fd/%d", fd) < 0) {
                return error_set(err, -ENOMEM, "out of memory");
            }
            free(option->value);
            option->value = path;
        }
    }
    return 0;
}

int cli_finish_fds(struct cli *cli, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < cli->config.chardev_count; i++) {
        ret = fds_finish_chardev(cli, &cli->config.chardevs[i], err);
    }
    for (size_t i = 0; ret == 0 && i < cli->config.node_count; i++) {
        ret = fds_finish_node(cli, &cli->config.nodes[i], err);
    }
    return ret;
}
