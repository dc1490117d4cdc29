/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heddle's main function: parse everything, check everything, make the machine, run it. Each step begins only when the
 * one before has succeeded; whatever goes wrong is said in one line, and the process exits with status 1 and leaves
 * nothing behind. What the guest makes of its machine is the exit status that machine_run returns.
 */
#include "base/log.h"
#include "base/thread.h"
#include "chardev/terminal.h"
#include "cli/cli.h"
#include "cli/process.h"
#include "machine/machine.h"
#include "monitor/monitor.h"

/* The log and the trace points, which the command line may have asked for. */
static int open_logs(const struct cli *cli, struct error **err)
{
    int ret = cli->log_path ? log_open(cli->log_path, err) : 0;

    for (size_t i = 0; ret == 0 && i < cli->trace_patterns.count; i++) {
        ret = trace_enable(cli->trace_patterns.items[i], err);
    }
    return ret;
}

/* Makes and runs the machine. The exit status is in *status. */
static int run_machine(const struct cli *cli, struct signal_watch *watch, struct pidfile *pidfile, int ready_fd,
                       int *status, struct error **err)
{
    struct machine *machine = machine_create(&cli->config, err);
    struct monitor *monitor = machine ? monitor_create(machine, err) : NULL;
    int ret = monitor ? 0 : -1;

    if (ret == 0) {
        signal_watch_set_machine(watch, machine);
    }
    if (ret == 0 && cli->pidfile) {
        ret = pidfile_create(pidfile, cli->pidfile, err);
    }
    if (ret == 0) {
        ret = process_detach(ready_fd, err);
    }
    if (ret == 0) {
        *status = machine_run(machine);
    }
    signal_watch_stop(watch);
    monitor_destroy(monitor);
    machine_destroy(machine);
    return ret;
}

static int run(const struct cli *cli, struct error **err)
{
    struct pidfile pidfile = {.fd = -1};
    struct signal_watch watch;
    int ready_fd = -1;
    int status = 1;
    int ret = open_logs(cli, err);

    if (ret == 0 && cli->daemonize) {
        ret = process_daemonize(&ready_fd, err);
    }
    if (ret == 0 && cli->dump_no_guest) {
        process_dump_no_guest();
    }
    if (ret == 0 && cli->lock_memory) {
        ret = process_lock_memory(err); /* a child doesn't inherit it */
    }
    if (ret < 0) {
        return 1;
    }
    hdl_thread_register_main();
    terminal_catch_signals();
    ret = signal_watch_start(&watch, err);
    if (ret == 0) {
        ret = run_machine(cli, &watch, &pidfile, ready_fd, &status, err);
    }
    pidfile_remove(&pidfile);
    terminal_restore();
    hdl_thread_unregister_main();
    return ret < 0 ? 1 : status;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    struct cli cli;
    int ret = cli_parse(&cli, argc, argv, &err);
    int status;

    log_set_timestamps(cli.log_timestamps);
    status = ret == 0 ? run(&cli, &err) : ret == CLI_DONE ? 0 : 1;

    if (ret < 0 && !err) {
        error_set(&err, ret, "out of memory");
    }
    error_report(err);
    cli_release(&cli);
    return status;
}
