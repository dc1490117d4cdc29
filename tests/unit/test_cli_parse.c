/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line becomes: configurations, from lines of options. Nothing is made of them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    cli =
        parsed("-kernel k -device virtio-rng-pci,id=pci.1 -device virtio-rng-pci,bus=pci.1"); /* the machine's to say */
    cli_release(&cli);
    refused("-kernel k -device virtio-rng-pci,bus=pci.1", "'pci.1'");
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

/* --- the rest --------------------------------------------------------------------------------------------------- */

/* What libvirt starts a guest with, but for the devices, which aren't the command line's. */
static void test_libvirt_start(void **state)
{
    char path[] = "/tmp/heddle-secret-XXXXXX";
    int fd = mkstemp(path);
    char line[2048];
    struct cli cli;

    assert_int_equal(write(fd, "\0key\xff", 5), 5);
    snprintf(
        line, sizeof(line),
        "-name guest=g,debug-threads=on -S -object "
        "{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\",\"file\":\"%s\"} "
        "-machine pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram -accel kvm -cpu qemu64 -m 256 "
        "-object memory-backend-ram,id=pc.ram,size=268435456 -overcommit mem-lock=off "
        "-smp 2,sockets=2,cores=1,threads=1 -uuid 550e8400-e29b-41d4-a716-446655440000 -display none "
        "-no-user-config -nodefaults -chardev socket,id=charmonitor,fd=%d,server=on,wait=off "
        "-mon chardev=charmonitor,id=monitor,mode=control -rtc base=utc -no-shutdown -boot strict=on "
        "-kernel /k -append x -blockdev "
        "{\"driver\":\"file\",\"filename\":\"/d\",\"node-name\":\"libvirt-1-storage\",\"auto-read-only\":true,"
        "\"discard\":\"unmap\"} -blockdev "
        "{\"node-name\":\"libvirt-1-format\",\"read-only\":false,\"driver\":\"raw\",\"file\":\"libvirt-1-storage\"} "
        "-device virtio-blk-pci,addr=0x3,drive=libvirt-1-format,id=virtio-disk0 "
        "-chardev pty,id=charserial0 -device isa-serial,chardev=charserial0,id=serial0,index=0 "
        "-audiodev {\"id\":\"audio1\",\"driver\":\"none\"} "
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -msg timestamp=on",
        path, fd);
    cli = parsed(line);
    assert_string_equal(cli.config.name, "g");
    assert_int_equal(cli.config.secret_count, 1);
    assert_string_equal(cli.config.secrets[0].id, "masterKey0");
    assert_int_equal(cli.config.secrets[0].len_bytes, 5);
    assert_memory_equal(cli.config.secrets[0].bytes, "\0key\xff", 5);
    assert_int_equal(cli.config.object_count, 0);
    assert_true(cli.config.ram_bytes == UINT64_C(256) << 20);
    assert_true(cli.dump_no_guest);
    assert_true(cli.log_timestamps);
    assert_false(cli.lock_memory);
    assert_monitor(&cli, 0, "charmonitor", true, false);
    assert_string_equal(cli.config.monitors[0].id, "monitor");
    assert_int_equal(cli.config.on_shutdown, CONFIG_ACTION_PAUSE);
    cli_release(&cli);
    close(fd);
    unlink(path);
}

static void test_secrets(void **state)
{
    struct cli cli =
        parsed("-M none -object secret,id=a,data=pass,,word -object secret,id=b,format=base64,data=aGVkZGxl "
               "-object secret,id=c,format=base64,data=aGVkZGw= -object secret,id=d,format=base64,data=aA== "
               "-object secret,id=e,format=base64,data=");
    static const char *const expected[] = {"pass,word", "heddle", "heddl", "h", ""};

    assert_int_equal(cli.config.secret_count, 5);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(cli.config.secrets[i].len_bytes, strlen(expected[i]));
        assert_string_equal((char *)cli.config.secrets[i].bytes, expected[i]);
    }
    cli_release(&cli);
    refused("-M none -object secret,id=a", "either 'file' or 'data'");
    refused("-M none -object secret,id=a,data=x,file=/y", "either 'file' or 'data'");
    refused("-M none -object secret,id=a,file=/no/such/file", "/no/such/file");
    refused("-M none -object secret,id=a,file=/dev/zero", "larger");
    refused("-M none -object secret,id=a,data=x,format=hex", "base64");
    refused("-M none -object secret,id=a,data=x,keyid=b,iv=c", "keyid");
    refused("-M none -object secret,id=a,data=aGVkZGw,format=base64", "isn't base64");
    refused("-M none -object secret,id=a,data=a=Vk,format=base64", "isn't base64");
    refused("-M none -object secret,id=a,data=a,format=base64", "isn't base64");
    refused("-M none -object secret,id=a,data=x -object iothread,id=a", "'a'");
}

static void test_globals(void **state)
{
    struct cli cli = parsed("-kernel k -global isa-debug-exit.iobase=0x100 -global isa-debug-exit.iobase=0x200 "
                            "-global driver=isa-debug-exit,property=iosize,value=2 -global ICH9-LPC.disable_s3=1 "
                            "-global kvm-pit.lost_tick_policy=delay -global virtio-rng.max-bytes=4096 "
                            "-device isa-debug-exit -device isa-debug-exit,iobase=0x300");

    assert_int_equal(cli.config.global_count, 4);
    assert_string_equal(cli.config.globals[3].driver, "virtio-rng-pci");
    assert_string_equal(options_get(&cli.config.devices[0].options, "iobase"), "0x200");
    assert_string_equal(options_get(&cli.config.devices[0].options, "iosize"), "2");
    assert_string_equal(options_get(&cli.config.devices[1].options, "iobase"), "0x300");
    cli_release(&cli);
    refused("-kernel k -global isa-debug-exti.iobase=1", "'isa-debug-exit'");
    refused("-kernel k -global isa-debug-exit.iobsae=1", "'iobase'");
    refused("-kernel k -global isa-debug-exit.iobase=much", "much");
    refused("-kernel k -global hpet.msi=on", "part of the machine");
    refused("-kernel k -global ICH9-LPC.disable_s3=0", "ICH9-LPC");
    refused("-kernel k -global isa-debug-exit", "DRIVER.PROPERTY=VALUE");
    refused("-kernel k -global driver=isa-debug-exit,property=iobase", "'value'");
}

static void test_add_fd(void **state)
{
    char path[] = "/tmp/heddle-fdset-XXXXXX";
    char line[512], expected[32];
    int fd = mkstemp(path);
    int reader = open(path, O_RDONLY);
    struct cli cli;

    unlink(path);
    snprintf(
        line, sizeof(line),
        "-kernel k -add-fd fd=%d,set=4 -add-fd fd=%d,set=5,opaque=log -chardev file,id=c,path=/dev/fdset/5,append=on "
        "-chardev file,id=d,path=/dev/fdset/5 "
        "-chardev pty,id=e,logfile=/dev/fdset/5,logappend=on -blockdev driver=file,filename=/dev/fdset/4,node-name=n",
        reader, fd);
    cli = parsed(line);
    snprintf(expected, sizeof(expected), "%d", fd);
    assert_option(chardev_of(&cli, "c"), "fd", expected);
    assert_option(chardev_of(&cli, "c"), "path", NULL);
    assert_option(chardev_of(&cli, "d"), "fd", expected);
    assert_option(chardev_of(&cli, "e"), "logfd", expected);
    assert_option(chardev_of(&cli, "e"), "logfile", NULL);
    snprintf(expected, sizeof(expected), "/proc/self/fd/%d", reader);
    assert_string_equal(options_get(&cli.config.nodes[0].options, "filename"), expected);
    assert_int_equal(cli.config.fd_count, 2);
    assert_true(cli.config.fds[1].set == 5);
    assert_string_equal(cli.config.fds[1].opaque, "log");
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cli_release(&cli);
    snprintf(line, sizeof(line), "-kernel k -add-fd fd=%d,set=4 -chardev file,id=c,path=/dev/fdset/4", reader);
    refused(line, "open for writing");
    refused("-kernel k -chardev file,id=c,path=/dev/fdset/1", "/dev/fdset/1");
    refused("-kernel k -add-fd fd=9999,set=1", "9999");
    refused("-kernel k -add-fd fd=1,set=1", "fd");
    refused("-kernel k -add-fd fd=5", "'set'");
    close(fd);
    close(reader);
}

static void test_fw_cfg(void **state)
{
    struct cli cli = parsed("-kernel k -fw_cfg name=opt/org.test/a,string=hello,,you -fw_cfg opt/b,file=/dev/null");

    assert_int_equal(cli.config.fw_cfg_count, 2);
    assert_string_equal(cli.config.fw_cfgs[0].name, "opt/org.test/a");
    assert_int_equal(cli.config.fw_cfgs[0].len_bytes, 9);
    assert_memory_equal(cli.config.fw_cfgs[0].bytes, "hello,you", 9);
    assert_int_equal(cli.config.fw_cfgs[1].len_bytes, 0);
    cli_release(&cli);
    refused("-kernel k -fw_cfg opt/a", "either 'file' or 'string'");
    refused("-kernel k -fw_cfg string=x", "'name'");
    refused("-kernel k -fw_cfg opt/a,file=/no/such/file", "/no/such/file");
}

/* Taken, because they ask for what is so anyway; and the nearest that do not. */
static void test_taken_and_refused(void **state)
{
    static const char *const taken[] = {
        "-machine usb=off,vmport=off,smm=off,hpet=on,dump-guest-core=on,mem-merge=off,nvdimm=off",
        "-boot strict=on,menu=off,order=cdn,once=d,reboot-timeout=-1",
        "-boot c",
        "-overcommit mem-lock=on,cpu-pm=off",
        "-msg timestamp=off,guest-name=off",
        "-sandbox off",
        "-sandbox on,elevateprivileges=children",
        "-audiodev none,id=a",
        "-nic none -net none -vga none -parallel none -display none -vnc none -gdb none -audio none",
        "-k de -L /usr/share/qemu -no-user-config",
        "-rtc base=utc,driftfix=none",
        "--no-user-config --display none",
    };
    static const char *const not_taken[][2] = {
        {"-machine usb=on", "usb=on"},
        {"-machine pflash0=x", "firmware"},
        {"-machine dump-guest-core=maybe", "dump-guest-core"},
        {"-boot menu=on", "menu"},
        {"-boot order=xyz", "xyz"},
        {"-boot strict=perhaps", "strict"},
        {"-overcommit mem-lock=some", "mem-lock"},
        {"-overcommit cpu-pm=on", "cpu-pm"},
        {"-msg timestmap=on", "'timestamp'"},
        {"-msg guest-name=on", "guest-name"},
        {"-sandbox maybe", "enable"},
        {"-sandbox on,spawn=some", "spawn"},
        {"-audiodev pa,id=a", "sound"},
        {"-audiodev {\"driver\":\"none\"}", "'id'"},
        {"-netdev tap,fd=30,id=hostnet0", "there are no network cards yet"},
        {"-netdev {\"type\":\"tap\",\"id\":\"n\"}", "there are no network cards yet"},
        {"-nic user", "there are no network cards yet"},
        {"-net user", "there are no network cards yet"},
        {"-incoming defer", "migration"},
        {"-bios x", "firmware"},
        {"-usb", "USB"},
        {"-hda x", "-drive file="},
        {"-snapshot", "snapshots"},
        {"-fsdev local,id=f", "folders"},
        {"-numa node", "node"},
        {"-s", "debuggers"},
        {"-s -usb", "-s:"},
        {"-gdb tcp::1", "valid: none"},
        {"--incoming", "migration"},
    };
    char line[256];

    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        struct cli cli;

        snprintf(line, sizeof(line), "-kernel k %s", taken[i]);
        cli = parsed(line);
        assert_int_equal(cli.config.device_count, 0);
        cli_release(&cli);
    }
    for (size_t i = 0; i < ARRAY_SIZE(not_taken); i++) {
        snprintf(line, sizeof(line), "-kernel k %s", not_taken[i][0]);
        refused(line, not_taken[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chardevs), cmocka_unit_test(test_short_chardevs),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_mon),      cmocka_unit_test(test_short_monitors),    cmocka_unit_test(test_nographic),
        cmocka_unit_test(test_machines), cmocka_unit_test(test_machine_none),      cmocka_unit_test(test_libvirt_start),
        cmocka_unit_test(test_secrets),  cmocka_unit_test(test_globals),           cmocka_unit_test(test_add_fd),
        cmocka_unit_test(test_fw_cfg),   cmocka_unit_test(test_taken_and_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
