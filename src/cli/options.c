/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of options, and the walk over the command line. A parser notes what its option says; nothing is created
 * before the whole line has been understood and checked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/option_string.h"
#include "base/spelling.h"
#include "cli/cli.h"
#include "machine/machine_types.h"

/* --- options that are a line each ------------------------------------------------------------------------------- */

static int parse_help(struct cli *cli, const char *arg, struct error **err)
{
    help_usage();
    return CLI_DONE;
}

static int parse_version(struct cli *cli, const char *arg, struct error **err)
{
    help_version();
    return CLI_DONE;
}

static int parse_kernel(struct cli *cli, const char *arg, struct error **err)
{
    return cli_set_string(&cli->config.kernel, arg, err);
}

static int parse_initrd(struct cli *cli, const char *arg, struct error **err)
{
    cli->kernel_options = true;
    return cli_set_string(&cli->config.initrd, arg, err);
}

static int parse_append(struct cli *cli, const char *arg, struct error **err)
{
    cli->kernel_options = true;
    return cli_set_string(&cli->config.append, arg, err);
}

static int parse_nographic(struct cli *cli, const char *arg, struct error **err)
{
    cli->nographic = true;
    return 0;
}

static int parse_nodefaults(struct cli *cli, const char *arg, struct error **err)
{
    cli->config.no_defaults = true;
    return 0;
}

static int parse_no_reboot(struct cli *cli, const char *arg, struct error **err)
{
    cli->config.on_reboot = CONFIG_ACTION_EXIT;
    return 0;
}

static int parse_no_shutdown(struct cli *cli, const char *arg, struct error **err)
{
    cli->config.on_shutdown = CONFIG_ACTION_PAUSE;
    return 0;
}

static int parse_paused(struct cli *cli, const char *arg, struct error **err)
{
    cli->config.start_paused = true;
    return 0;
}

static int parse_daemonize(struct cli *cli, const char *arg, struct error **err)
{
    cli->daemonize = true;
    return 0;
}

static int parse_pidfile(struct cli *cli, const char *arg, struct error **err)
{
    return cli_set_string(&cli->pidfile, arg, err);
}

static int parse_log_path(struct cli *cli, const char *arg, struct error **err)
{
    return cli_set_string(&cli->log_path, arg, err);
}

static int parse_nothing(struct cli *cli, const char *arg, struct error **err)
{
    return 0;
}

static int parse_display(struct cli *cli, const char *arg, struct error **err)
{
    return strcmp(arg, "none") == 0 ? 0 : error_set(err, -EINVAL, "-display: there are no displays yet; valid: none");
}

/* -k, -L: keyboards of displays, and folders of firmware: there is nothing that they could change. */
static int parse_ignored(struct cli *cli, const char *arg, struct error **err)
{
    return 0;
}

/* -smbios: the guest gets none of it, which it can live with; whoever asked should know. */
static int parse_smbios(struct cli *cli, const char *arg, struct error **err)
{
    log_warn("-smbios %s is left out: there are no SMBIOS tables yet", arg);
    return 0;
}

/* --- tracing ---------------------------------------------------------------------------------------------------- */

/* -trace [enable=]PATTERN. */
static int parse_trace(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"enable", "file", NULL};
    struct options options = {0};
    int ret;

    if (cli_asks_for_help(arg)) {
        help_traces();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "enable", "-trace", &options, err);
    if (ret == 0) {
        ret = options_check_keys(&options, "-trace", keys, err);
    }
    if (ret == 0 && options_get(&options, "file")) {
        ret = cli_set_string(&cli->log_path, options_get(&options, "file"), err);
    }
    if (ret == 0 && options_get(&options, "enable")) {
        ret = string_list_add(&cli->trace_patterns, options_get(&options, "enable"), err);
    }
    options_release(&options);
    return ret;
}

/* One word of -d. QEMU's names where there is one; "trace:PATTERN", or a trace point as it is called here. */
static int debug_item(struct cli *cli, const char *item, struct error **err)
{
    static const char *const names[][2] = {
        {"guest_errors", "guest_error"}, {"unimp", "memory_unassigned"}, {"int", "irq_route"}, {"exec", "vcpu_exit"}};

    if (strncmp(item, "trace:", 6) == 0) {
        return string_list_add(&cli->trace_patterns, item + 6, err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(item, names[i][0]) == 0) {
            item = names[i][1];
            break;
        }
    }
    return string_list_add(&cli->trace_patterns, item, err);
}

static int parse_debug(struct cli *cli, const char *arg, struct error **err)
{
    HDL_AUTO_FREE char *copy = strdup(arg);
    char *rest = copy;
    char *item;
    int ret = 0;

    if (!copy) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    if (cli_asks_for_help(arg)) {
        printf("guest_errors, unimp, int, exec, trace:PATTERN, or one of:\n");
        help_traces();
        return CLI_DONE;
    }
    while (ret == 0 && (item = strsep(&rest, ","))) {
        ret = debug_item(cli, item, err);
    }
    return ret;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

const struct cli_option cli_options[] = {
    {"machine", "[type=]NAME[,...]", cli_parse_machine, "kind of machine, and its options (-M help)"},
    {"M", "NAME", cli_parse_machine, "the same"},
    {"accel", "NAME[,...]", cli_parse_accel, "what runs the guest (-accel help)"},
    {"enable-kvm", NULL, cli_parse_enable_kvm, "the same as -accel kvm"},
    {"cpu", "MODEL[,+FLAG][,-FLAG]", cli_parse_cpu, "kind of CPU (-cpu help)"},
    {"smp", "[cpus=]N[,cores=N][,...]", cli_parse_smp, "number of CPUs, and how they sit in sockets"},
    {"m", "SIZE", cli_parse_memory, "memory, in MiB or with a suffix: 512, 512M, 6G"},
    {"mem-prealloc", NULL, cli_parse_mem_prealloc, "take all of the guest's memory at the start"},
    {"name", "NAME", cli_parse_name, "the guest's name"},
    {"uuid", "UUID", cli_parse_uuid, "the guest's UUID"},
    {"rtc", "base=utc|localtime|DATE,clock=host|vm", cli_parse_rtc, "what the real-time clock says at the start"},
    {"kernel", "FILE", parse_kernel, "Linux bzImage, PVH or ELF vmlinux, or Multiboot kernel to boot"},
    {"initrd", "FILE", parse_initrd, "initial RAM disk"},
    {"append", "TEXT", parse_append, "the kernel's command line"},
    {"drive", "file=FILE[,if=virtio|none][,id=ID][,...]", cli_parse_drive, "a disk image (raw)"},
    {"blockdev", "driver=NAME,node-name=ID[,...]", cli_parse_blockdev, "a node of the block graph; also as JSON"},
    {"device", "NAME[,KEY=VALUE][,...]", cli_parse_device, "a device (-device help; -device NAME,help); also as JSON"},
    {"object", "NAME,id=ID[,...]", cli_parse_object, "an object for devices to use (-object help)"},
    {"chardev", "NAME,id=ID[,...]", cli_parse_chardev, "a character backend (-chardev help)"},
    {"serial", "WHERE", cli_parse_serial,
     "a serial port: none, null, pty, stdio, mon:stdio, file:PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, "
     "chardev:ID"},
    {"mon", "[chardev=]ID[,mode=readline|control][,...]", cli_parse_mon,
     "a monitor for people, or one for programs (QMP: mode=control), on a chardev"},
    {"monitor", "WHERE", cli_parse_monitor, "a monitor for people; as -serial"},
    {"qmp", "WHERE", cli_parse_qmp, "a monitor for programs; as -serial"},
    {"qmp-pretty", "WHERE", cli_parse_qmp_pretty, "the same, with indented answers"},
    {"debugcon", "WHERE", cli_parse_debugcon, "a debug console at port 0xe9; as -serial"},
    {"nographic", NULL, parse_nographic, "the first serial port on the terminal, with Ctrl-A keys"},
    {"display", "none", parse_display, "no display: the only kind so far"},
    {"nodefaults", NULL, parse_nodefaults, "no device that wasn't asked for"},
    {"no-reboot", NULL, parse_no_reboot, "end when the guest reboots"},
    {"no-shutdown", NULL, parse_no_shutdown, "pause when the guest powers off"},
    {"action", "EVENT=ACTION[,...]", cli_parse_action, "what reboot, shutdown and panic lead to"},
    {"S", NULL, parse_paused, "don't run the guest at the start"},
    {"daemonize", NULL, parse_daemonize, "go to the background once the machine is made"},
    {"pidfile", "FILE", parse_pidfile, "write the process id here; removed at the end"},
    {"D", "FILE", parse_log_path, "write the log here"},
    {"d", "ITEM[,...]", parse_debug, "log these (-d help)"},
    {"trace", "[enable=]PATTERN", parse_trace, "log these trace points (-trace help)"},
    {"boot", "[order=]LETTERS", cli_parse_boot, "accepted: the kernel is always booted directly"},
    {"smbios", "TYPE,...", parse_smbios, NULL},
    {"no-user-config", NULL, parse_nothing, NULL},
    {"no-fd-bootchk", NULL, parse_nothing, NULL},
    {"global", "DRIVER.PROPERTY=VALUE", cli_parse_global, "a property of all devices of a type"},
    {"fw_cfg", "[name=]NAME,file=FILE|string=TEXT", cli_parse_fw_cfg, "data that the guest finds under that name"},
    {"add-fd", "fd=N,set=M[,opaque=TEXT]", cli_parse_add_fd, "an open descriptor, for names such as /dev/fdset/M"},
    {"overcommit", "mem-lock=on|off", cli_parse_overcommit, "keep all of heddle's memory in the host's"},
    {"msg", "timestamp=on|off", cli_parse_msg, "begin each line that heddle says with the time"},
    {"sandbox", "on|off[,...]", cli_parse_sandbox, NULL},
    {"audiodev", "none,id=ID", cli_parse_audiodev, NULL},
    {"k", "LAYOUT", parse_ignored, NULL},
    {"L", "FOLDER", parse_ignored, NULL},
    {"version", NULL, parse_version, "print the version"},
    {"help", NULL, parse_help, "print this"},
    {"h", NULL, parse_help, NULL},
    {NULL, NULL, NULL, NULL},
};

/* --- the walk --------------------------------------------------------------------------------------------------- */

static const struct cli_option *option_find(const char *name)
{
    for (const struct cli_option *option = cli_options; option->name; option++) {
        if (strcmp(option->name, name) == 0) {
            return option;
        }
    }
    return NULL;
}

static int option_unknown(const char *typed, const char *name, struct error **err)
{
    struct spelling spelling;

    spelling_begin(&spelling, name);
    for (const struct cli_option *option = cli_options; option->name; option++) {
        spelling_offer(&spelling, option->name);
    }
    if (spelling_nearest(&spelling)) {
        return error_set(err, -EINVAL, "unknown option '%s'; did you mean '-%s'?", typed, spelling_nearest(&spelling));
    }
    return error_set(err, -EINVAL, "unknown option '%s'; '-help' lists what there is", typed);
}

/* An option that heddle hasn't got; one of its arguments may ask for nothing. arg: NULL if there is none. */
static int option_missing(const struct missing_option *option, const char *arg, struct error **err)
{
    if (option->allowed && arg && strcmp(arg, option->allowed) == 0) {
        return 0;
    }
    return error_set(err, -EINVAL, "-%s: %s%s%s", option->name, option->why, option->allowed ? "; valid: " : "",
                     option->allowed ? option->allowed : "");
}

static int parse_one(struct cli *cli, char **argv, int argc, int *index, struct error **err)
{
    const char *typed = argv[*index];
    const struct missing_option *missing;
    const struct cli_option *option;
    const char *arg = NULL;
    const char *name;

    if (typed[0] != '-' || typed[1] == '\0') {
        return error_set(err, -EINVAL, "'%s' isn't an option; a disk is given as '-drive file=%s'", typed, typed);
    }
    name = typed[1] == '-' ? typed + 2 : typed + 1;
    missing = missing_option_find(name);
    if (missing) {
        return option_missing(missing, *index + 1 < argc ? argv[++*index] : NULL, err);
    }
    option = option_find(name);
    if (!option) {
        return option_unknown(typed, name, err);
    }
    if (option->arg) {
        if (*index + 1 == argc) {
            return error_set(err, -EINVAL, "'-%s' needs an argument: -%s %s", name, name, option->arg);
        }
        arg = argv[++*index];
    }
    return option->parse(cli, arg, err);
}

/* What is so if nobody said otherwise. */
static int set_defaults(struct cli *cli, struct error **err)
{
    struct machine_config *config = &cli->config;
    int ret;

    memset(cli, 0, sizeof(*cli));
    config->ram_bytes = UINT64_C(128) << 20;
    config->cpus = config->sockets = config->cores = config->threads = 1;
    config->rtc_host_clock = true;
    ret = cli_set_string(&config->machine_type, machine_type_default()->name, err);
    return ret < 0 ? ret : cli_set_string(&config->append, "", err);
}

/* -machine none has neither what was asked for nor the defaults. */
static void leave_out_machine(struct machine_config *config)
{
    config->cpus = config->sockets = config->cores = config->threads = 0;
    config->ram_bytes = 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct error **err)
{
    int ret = set_defaults(cli, err);

    for (int i = 1; ret == 0 && i < argc; i++) {
        ret = parse_one(cli, argv, argc, &i, err);
    }
    if (ret == 0 && cli->config.accel_count == 0) {
        ret = cli_default_accel(cli, err);
    }
    if (ret == 0) {
        ret = cli_finish_serials(cli, err);
    }
    if (ret == 0) {
        ret = cli_finish_globals(cli, err);
    }
    if (ret == 0) {
        ret = cli_finish_fds(cli, err);
    }
    if (ret == 0) {
        ret = cli_check(cli, err);
    }
    if (ret == 0) {
        ret = cli_finish_memory(cli, err);
    }
    if (ret == 0) {
        ret = cli_finish_secrets(cli, err);
    }
    if (ret == 0 && cli->config.machine_none) {
        leave_out_machine(&cli->config);
    }
    return ret;
}
