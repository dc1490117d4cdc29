/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line becomes: configurations, from lines of options. Nothing is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

#define ARGS_MAX 64

/* Words are separated by blanks. */
static int parse_line(struct cli *cli, const char *line, struct error **err)
{
    char *argv[ARGS_MAX] = {(char *)"heddle"};
    char *copy = strdup(line);
    char *rest = copy;
    char *word;
    int argc = 1;
    int ret;

    while ((word = strsep(&rest, " ")) && argc < ARGS_MAX) {
        if (*word) {
            argv[argc++] = word;
        }
    }
    ret = cli_parse(cli, argc, argv, err);
    free(copy);
    return ret;
}

static struct cli parsed(const char *line)
{
    struct cli cli;
    struct error *err = NULL;

    if (parse_line(&cli, line, &err) != 0) {
        fail_msg("%s: %s", line, err ? err->message : "?");
    }
    return cli;
}

static void refused(const char *line, const char *says)
{
    struct cli cli;
    struct error *err = NULL;

    assert_true(parse_line(&cli, line, &err) < 0);
    assert_non_null(err);
    if (!strstr(err->message, says)) {
        fail_msg("%s: doesn't say '%s' but '%s'", line, says, err->message);
    }
    error_free(err);
    cli_release(&cli);
}

static const struct config_chardev *chardev_of(const struct cli *cli, const char *id)
{
    for (size_t i = 0; i < cli->config.chardev_count; i++) {
        if (strcmp(cli->config.chardevs[i].id, id) == 0) {
            return &cli->config.chardevs[i];
        }
    }
    fail_msg("no chardev %s", id);
    return NULL;
}

static void assert_option(const struct config_chardev *chardev, const char *key, const char *value)
{
    const char *found = options_get(&chardev->options, key);

    if (!value) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, value);
    }
}

static void assert_monitor(const struct cli *cli, size_t index, const char *chardev, bool control, bool pretty)
{
    assert_true(index < cli->config.monitor_count);
    assert_string_equal(cli->config.monitors[index].chardev, chardev);
    assert_int_equal(cli->config.monitors[index].control, control);
    assert_int_equal(cli->config.monitors[index].pretty, pretty);
}

/* --- chardevs --------------------------------------------------------------------------------------------------- */

static void test_chardevs(void **state)
{
    struct cli cli =
        parsed("-M none -chardev socket,id=a,path=/p,server,nowait -chardev socket,host=h,port=1,id=b,delay=off "
               "-chardev socket,id=c,port=1,telnet=on,reconnect=3,ipv4=on -chardev stdio,id=d,nosignal "
               "-chardev {\"backend\":\"socket\",\"id\":\"e\",\"fd\":2,\"server\":true,\"wait\":false}");

    assert_option(chardev_of(&cli, "a"), "server", "on");
    assert_option(chardev_of(&cli, "a"), "wait", "off");
    assert_option(chardev_of(&cli, "b"), "nodelay", "on");
    assert_option(chardev_of(&cli, "c"), "reconnect", "3");
    assert_option(chardev_of(&cli, "d"), "signal", "off");
    assert_option(chardev_of(&cli, "e"), "fd", "2");
    assert_option(chardev_of(&cli, "e"), "wait", "off");
    cli_release(&cli);
    refused("-M none -chardev socket,id=a,fd=9999", "fd='9999'");
    refused("-M none -chardev socket,id=a,fd=two", "fd='two'");
    refused("-M none -chardev socket,id=a,fd=2 -chardev socket,id=b,fd=2", "used by 'a'");
    refused("-M none -chardev socket,id=a,path=/p,server=maybe", "server");
    refused("-M none -chardev socket,id=a,path=/p,nowiat", "'wait'");
}

static void test_short_chardevs(void **state)
{
    struct cli cli = parsed("-kernel k -serial telnet:localhost:4,server,nowait -serial tcp:[::1]:5,nodelay "
                            "-serial mon:telnet::6,server=on,wait=off -serial unix:/a,,b");

    assert_option(chardev_of(&cli, "serial0"), "telnet", "on");
    assert_option(chardev_of(&cli, "serial0"), "host", "localhost");
    assert_option(chardev_of(&cli, "serial0"), "port", "4");
    assert_option(chardev_of(&cli, "serial0"), "wait", "off");
    assert_option(chardev_of(&cli, "serial1"), "host", "::1");
    assert_option(chardev_of(&cli, "serial1"), "nodelay", "on");
    assert_option(chardev_of(&cli, "serial1"), "telnet", NULL);
    assert_option(chardev_of(&cli, "serial2"), "mux", "on");
    assert_option(chardev_of(&cli, "serial2"), "host", "");
    assert_option(chardev_of(&cli, "serial3"), "path", "/a,b");
    cli_release(&cli);
    refused("-kernel k -serial telnet:4", "telnet:HOST:PORT");
    refused("-kernel k -serial mon:stdoi", "'stdoi'");
    refused("-kernel k -serial /dev/ttyS0", "'/dev/ttyS0'");
}

/* --- nodes, devices and objects as JSON ------------------------------------------------------------------------- */

static void test_json(void **state)
{
    struct cli cli = parsed(
        "-kernel k -blockdev {\"driver\":\"file\",\"filename\":\"/d\",\"node-name\":\"s\",\"read-only\":false} "
        "-blockdev "
        "{\"node-name\":\"f\",\"driver\":\"raw\",\"file\":\"s\",\"cache\":{\"direct\":true},\"backing\":null} "
        "-object {\"qom-type\":\"iothread\",\"id\":\"io\"} "
        "-device {\"driver\":\"virtio-blk-pci\",\"drive\":\"f\",\"iothread\":\"io\",\"id\":\"v\",\"addr\":\"0x3\"}");

    assert_int_equal(cli.config.node_count, 2);
    assert_string_equal(options_get(&cli.config.nodes[0].options, "read-only"), "off");
    assert_string_equal(options_get(&cli.config.nodes[1].options, "file"), "s");
    assert_string_equal(options_get(&cli.config.nodes[1].options, "cache.direct"), "on");
    assert_null(options_get(&cli.config.nodes[1].options, "backing"));
    assert_string_equal(cli.config.objects[0].id, "io");
    assert_string_equal(cli.config.devices[0].id, "v");
    assert_string_equal(options_get(&cli.config.devices[0].options, "addr"), "0x3");
    cli_release(&cli);
    refused("-kernel k -device {\"driver\":null}", "'driver'");
    refused("-kernel k -object {\"qom-type\":\"iothread\"}", "'id'");
}

/* --- monitors --------------------------------------------------------------------------------------------------- */

static void test_mon(void **state)
{
    struct cli cli = parsed("-M none -chardev null,id=a -chardev null,id=b -mon chardev=a,mode=control,pretty=on,id=m "
                            "-mon b -mon chardev=a,mode=control -mon chardev=b,mode=readline,pretty=off");

    assert_int_equal(cli.config.monitor_count, 4);
    assert_monitor(&cli, 0, "a", true, true);
    assert_string_equal(cli.config.monitors[0].id, "m");
    assert_monitor(&cli, 1, "b", false, false);
    assert_null(cli.config.monitors[1].id);
    assert_monitor(&cli, 2, "a", true, false);
    assert_monitor(&cli, 3, "b", false, false);
    cli_release(&cli);
    refused("-M none -mon mode=control", "'chardev' is missing");
    refused("-M none -chardev null,id=char -mon chra", "'char'");
    refused("-M none -chardev null,id=c -mon c,mode=contrl", "control");
    refused("-M none -chardev null,id=c -mon c,pretty=on", "mode=control");
    refused("-M none -chardev null,id=c -mon c,id=m -mon c,id=m", "'m'");
    refused("-M none -chardev null,id=c -mon c,id=1", "'1'");
    refused("-M none -chardev null,id=c -mon c,mdoe=control", "'mode'");
}

static void test_short_monitors(void **state)
{
    struct cli cli = parsed("-M none -qmp unix:/p,server=on,wait=off -qmp-pretty tcp::4444,server,nowait -monitor pty "
                            "-qmp null -monitor none -monitor vc -chardev null,id=c -monitor chardev:c");

    assert_int_equal(cli.config.monitor_count, 5);
    assert_monitor(&cli, 0, "compat_monitor0", true, false);
    assert_string_equal(chardev_of(&cli, "compat_monitor0")->backend, "socket");
    assert_option(chardev_of(&cli, "compat_monitor0"), "path", "/p");
    assert_option(chardev_of(&cli, "compat_monitor0"), "wait", "off");
    assert_monitor(&cli, 1, "compat_monitor1", true, true);
    assert_option(chardev_of(&cli, "compat_monitor1"), "port", "4444");
    assert_option(chardev_of(&cli, "compat_monitor1"), "server", "on");
    assert_option(chardev_of(&cli, "compat_monitor1"), "wait", "off");
    assert_option(chardev_of(&cli, "compat_monitor1"), "nowait", NULL);
    assert_monitor(&cli, 2, "compat_monitor2", false, false);
    assert_string_equal(chardev_of(&cli, "compat_monitor2")->backend, "pty");
    assert_monitor(&cli, 3, "compat_monitor3", true, false);
    assert_monitor(&cli, 4, "c", false, false);
    cli_release(&cli);
    refused("-M none -monitor stdoi", "'stdoi'");
    refused("-M none -qmp chardev:c", "'c'");
    refused("-M none -qmp stdio -monitor stdio", "twice");
}

/* Who is on the terminal: docs of -nographic, and what "mon:" says. */
static void test_nographic(void **state)
{
    struct cli cli = parsed("-kernel k -nographic");

    assert_string_equal(cli.config.serials[0], "serial0");
    assert_option(chardev_of(&cli, "serial0"), "mux", "on");
    assert_option(chardev_of(&cli, "serial0"), "signal", "off");
    assert_int_equal(cli.config.monitor_count, 1);
    assert_monitor(&cli, 0, "serial0", false, false);
    cli_release(&cli);

    cli = parsed("-kernel k -serial mon:unix:/p,server=on,wait=off"); /* the same without it, and elsewhere */
    assert_option(chardev_of(&cli, "serial0"), "mux", "on");
    assert_option(chardev_of(&cli, "serial0"), "path", "/p");
    assert_monitor(&cli, 0, "serial0", false, false);
    cli_release(&cli);

    cli = parsed("-kernel k -nographic -monitor none"); /* nothing to share with */
    assert_string_equal(chardev_of(&cli, "serial0")->backend, "stdio");
    assert_option(chardev_of(&cli, "serial0"), "mux", NULL);
    assert_int_equal(cli.config.monitor_count, 0);
    cli_release(&cli);

    cli = parsed("-kernel k -nographic -serial null");
    assert_string_equal(chardev_of(&cli, "serial0")->backend, "null");
    assert_monitor(&cli, 0, "compat_monitor0", false, false);
    assert_string_equal(chardev_of(&cli, "compat_monitor0")->backend, "stdio");
    cli_release(&cli);

    cli = parsed("-kernel k -nographic -nodefaults");
    assert_int_equal(cli.config.chardev_count, 0);
    assert_int_equal(cli.config.monitor_count, 0);
    assert_null(cli.config.serials[0]);
    cli_release(&cli);

    cli = parsed("-kernel k -chardev stdio,id=c -device isa-serial,chardev=c"); /* that is COM1 */
    assert_null(cli.config.serials[0]);
    assert_int_equal(cli.config.chardev_count, 1);
    cli_release(&cli);
    refused("-kernel k -nographic -daemonize", "-daemonize");
}

/* --- machines --------------------------------------------------------------------------------------------------- */

static void test_machines(void **state)
{
    static const char *const q35[] = {"-kernel k",
                                      "-kernel k -M q35",
                                      "-kernel k -M pc-q35-7.2",
                                      "-kernel k -M pc",
                                      "-kernel k -M none -machine q35",
                                      "-kernel k -M pc-q35-9.0,accel=kvm"};

    for (size_t i = 0; i < ARRAY_SIZE(q35); i++) {
        struct cli cli = parsed(q35[i]);

        assert_string_equal(cli.config.machine_type, "pc-q35-7.2");
        assert_false(cli.config.machine_none);
        assert_true(cli.config.cpus == 1 && cli.config.ram_bytes > 0);
        cli_release(&cli);
    }
    refused("-M nnoe", "'none'");
    refused("-M isapc -kernel k", "there is no machine");
}

/* What libvirt starts to ask what there is. */
static void test_machine_none(void **state)
{
    struct cli cli = parsed("-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg "
                            "-qmp unix:/run/q,server=on,wait=off -pidfile /run/p -daemonize");

    assert_true(cli.config.machine_none);
    assert_string_equal(cli.config.machine_type, "none");
    assert_true(cli.config.start_paused);
    assert_true(cli.daemonize);
    assert_string_equal(cli.pidfile, "/run/p");
    assert_int_equal(cli.config.cpus, 0);
    assert_true(cli.config.ram_bytes == 0);
    assert_int_equal(cli.config.device_count, 0);
    assert_int_equal(cli.config.chardev_count, 1);
    assert_int_equal(cli.config.monitor_count, 1);
    assert_monitor(&cli, 0, "compat_monitor0", true, false);
    cli_release(&cli);

    cli = parsed("-M none"); /* no defaults either */
    assert_int_equal(cli.config.chardev_count, 0);
    cli_release(&cli);
    refused("-M none -kernel k", "-kernel");
    refused("-M none -device isa-debug-exit", "-device");
    refused("-M none -serial null", "-serial");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chardevs), cmocka_unit_test(test_short_chardevs), cmocka_unit_test(test_json),
        cmocka_unit_test(test_mon),      cmocka_unit_test(test_short_monitors), cmocka_unit_test(test_nographic),
        cmocka_unit_test(test_machines), cmocka_unit_test(test_machine_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
