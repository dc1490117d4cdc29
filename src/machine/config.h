/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine that somebody asked for, as plain data: what src/cli makes of the command line, and what src/machine
 * builds. Everything in it has the right form and names only types, properties and ids that exist; whether the host can
 * do it (files, memory, KVM) is found out when the machine is created.
 *
 * Made by one thread, immutable afterwards. Whoever made it owns it and all it points to, and keeps it while the
 * machine exists (machine_config_release).
 */
#ifndef HDL_MACHINE_CONFIG_H
#define HDL_MACHINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/options.h"

#define MACHINE_CPUS_MAX    255
#define MACHINE_SERIALS_MAX 4

enum config_irqchip { CONFIG_IRQCHIP_ON, CONFIG_IRQCHIP_SPLIT, CONFIG_IRQCHIP_OFF };
/* Whether heddle unpacks a bzImage's kernel. AUTO: if the guest's code is interpreted, and it can. */
enum config_kernel_payload { CONFIG_KERNEL_PAYLOAD_AUTO, CONFIG_KERNEL_PAYLOAD_ON, CONFIG_KERNEL_PAYLOAD_OFF };
enum config_rtc_base { CONFIG_RTC_UTC, CONFIG_RTC_LOCALTIME, CONFIG_RTC_DATE };
/* What a guest's reset request, or its power-off, or an emulation failure leads to. */
enum config_action { CONFIG_ACTION_DEFAULT, CONFIG_ACTION_EXIT, CONFIG_ACTION_PAUSE };

/* -device: type is the type's own name (aliases resolved). id may be NULL. options: the rest, "bus" among them. */
struct config_device {
    char *type;
    char *id;
    struct options options;
};

/*
 * One node of the block graph, in the order given, children before parents unless nested with dotted keys.
 *   -blockdev driver=raw,node-name=d0,file.driver=file,file.filename=PATH
 * -drive is translated to the same: node-name is its id (or "drive0", ...), keys driver, read-only, discard,
 * cache.direct, cache.no-flush, file.driver, file.filename, file.aio.
 */
struct config_node {
    char *name;
    struct options options; /* "driver" among them, "node-name" not */
};

/*
 * -chardev, and what -serial, -debugcon and -nographic imply. backend: "stdio", "null", "file", "pty", "socket", ...
 * options: the rest: "path", "mux" (on: Ctrl-A keys), "signal" (on: Ctrl-C ends heddle), ...
 */
struct config_chardev {
    char *id;
    char *backend;
    struct options options;
};

/*
 * -mon, -qmp, -qmp-pretty, -monitor, and what -nographic and "mon:" imply. Several may have the same chardev, and share
 * it with devices, if that has mux=on. The input is the first user's then, so devices come before monitors.
 */
struct config_monitor {
    char *id;      /* -mon id=, or NULL */
    char *chardev; /* the id of a chardev */
    bool control;  /* QMP; else a monitor for people */
    bool pretty;   /* QMP's replies are indented */
};

/* -object: "iothread", "rng-random", ... */
struct config_object {
    char *type;
    char *id;
    struct options options;
};

/* -object secret, its data read and decoded; nothing uses secrets yet. bytes: len_bytes of them, then a zero. */
struct config_secret {
    char *id;
    uint8_t *bytes;
    size_t len_bytes;
};

/* -fw_cfg: what guests and firmware find under a name. */
struct config_fw_cfg {
    char *name;
    uint8_t *bytes;
    size_t len_bytes;
};

/* -global: for devices that are made later; those of the command line have it among their options. */
struct config_global {
    char *driver; /* the type's own name */
    char *property;
    char *value;
};

/* -add-fd: a descriptor that this process was started with, by the number of its set ("/dev/fdset/1"). */
struct config_fd {
    uint64_t set;
    int fd;
    char *opaque; /* or NULL */
};

struct machine_config {
    char *name;              /* -name, or NULL */
    bool name_debug_threads; /* -name debug-threads=on */
    uint8_t uuid[16];        /* -uuid, big-endian text order; all zero if none */
    bool has_uuid;

    char *machine_type; /* as machine_types.h names it; aliases are resolved */
    bool machine_none;  /* -machine none: a monitor and its backends, but no devices, CPUs or memory */
    enum config_irqchip irqchip;
    enum config_kernel_payload kernel_payload;
    char **accels; /* in order of preference: "kvm"; never empty */
    size_t accel_count;

    char *cpu;     /* -cpu, as cpu_model_parse takes it: "host,+x2apic"; NULL: the machine's default */
    unsigned cpus; /* 1..MACHINE_CPUS_MAX; 0: machine_none */
    unsigned sockets, cores, threads;

    /* -m and -mem-prealloc, or the memory backend that -machine memory-backend= names. */
    uint64_t ram_bytes; /* > 0, a multiple of 4096; 0: machine_none */
    bool ram_prealloc;
    bool ram_huge_pages;
    uint64_t ram_huge_page_bytes; /* a power of 2; 0: the host's default */

    char *kernel; /* paths, or NULL */
    char *initrd;
    char *append; /* "" if none */

    enum config_rtc_base rtc_base;
    time_t rtc_date;     /* CONFIG_RTC_DATE: seconds since 1970 */
    bool rtc_host_clock; /* clock=host: goes on while the machine is paused */

    bool no_defaults;
    bool start_paused;              /* -S */
    enum config_action on_reboot;   /* EXIT: -no-reboot */
    enum config_action on_shutdown; /* PAUSE: -no-shutdown */
    enum config_action on_panic;    /* emulation failure: default exit with failure; PAUSE: stay */

    struct config_device *devices;
    size_t device_count;
    struct config_node *nodes;
    size_t node_count;
    struct config_chardev *chardevs;
    size_t chardev_count;
    struct config_object *objects;
    size_t object_count;
    struct config_monitor *monitors;
    size_t monitor_count;
    struct config_secret *secrets;
    size_t secret_count;
    struct config_fw_cfg *fw_cfgs;
    size_t fw_cfg_count;
    struct config_global *globals;
    size_t global_count;
    struct config_fd *fds;
    size_t fd_count;

    /* COM1..COM4: the id of a chardev, or NULL where there is no port. */
    char *serials[MACHINE_SERIALS_MAX];
};

#endif
