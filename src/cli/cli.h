/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of src/cli share: the command line as it is being understood. Private. One thread. */
#ifndef HDL_CLI_CLI_H
#define HDL_CLI_CLI_H

#include "base/error.h"
#include "machine/config.h"

/* What a parser returns when it has printed help, so that nothing is left to do. */
#define CLI_DONE 1

struct string_list {
    char **items; /* owned */
    size_t count;
};

struct cli {
    struct machine_config config;

    /* What the process does, beside running the machine. Paths and patterns are owned. */
    bool daemonize;
    char *pidfile;
    char *log_path;
    bool log_timestamps; /* -msg timestamp=on */
    bool lock_memory;    /* -overcommit mem-lock=on */
    bool dump_no_guest;  /* -machine dump-guest-core=off */
    struct string_list trace_patterns;

    /* Options that mean something only together with all others; cli_finish resolves them. */
    bool nographic;
    bool kernel_options; /* -append or -initrd was given */
    bool memory_size_given;
    char *memory_backend; /* -machine memory-backend=, or NULL; owned */
    struct string_list serials;
    bool monitor_given; /* also -monitor none: nothing is implied */
    unsigned drive_count;
    unsigned compat_monitor_count;
    unsigned debugcon_count;
};

/* One option of the command line. */
struct cli_option {
    const char *name; /* without the dash */
    const char *arg;  /* how help writes its argument; NULL: it takes none */
    /* 0, CLI_DONE, or a negative errno with an error. arg: NULL if there is none. */
    int (*parse)(struct cli *cli, const char *arg, struct error **err);
    const char *help; /* NULL: accepted, but not worth a line */
};

/* All options; ends with a NULL name. (options.c) */
extern const struct cli_option cli_options[];

/* An option of QEMU's that isn't there. (missing_options.c) */
struct missing_option {
    const char *name;
    const char *why;
    const char *allowed; /* an argument that asks for nothing, or NULL */
};

/* NULL if it isn't one of them. */
const struct missing_option *missing_option_find(const char *name);

/* argv: as main got it. 0, CLI_DONE, or a negative errno with an error. cli is released by cli_release in any case. */
int cli_parse(struct cli *cli, int argc, char **argv, struct error **err);
void cli_release(struct cli *cli);

/* A new zeroed element at the end of the array; NULL: out of memory. */
void *cli_append(void *items, size_t *count, size_t element_bytes);
/* Takes an object that became something else out of the configuration, and frees it. */
void config_object_remove(struct machine_config *config, struct config_object *object);
/* The whole file, with a zero after it that isn't counted. *bytes is the caller's. The error names the path. */
int cli_read_file(const char *path, size_t max_bytes, uint8_t **bytes, size_t *len_bytes, struct error **err);
int string_list_add(struct string_list *list, const char *text, struct error **err);
/* Replaces an owned text. */
int cli_set_string(char **slot, const char *text, struct error **err);
/* -EINVAL and an error unless it is a name for ids (option_id_is_valid). */
int cli_check_id(const char *what, const char *id, struct error **err);
bool cli_asks_for_help(const char *text);
/* Frees what the object owns, not the object. */
void config_object_release(struct config_object *object);

/* --- machine_options.c: -machine, -accel, -cpu, -smp, -rtc, ... ------------------------------------------------- */

int cli_parse_machine(struct cli *cli, const char *arg, struct error **err);
int cli_parse_accel(struct cli *cli, const char *arg, struct error **err);
/* What runs the guest if nobody says: KVM where it has hardware behind it, else the software CPU. */
int cli_default_accel(struct cli *cli, struct error **err);
int cli_parse_enable_kvm(struct cli *cli, const char *arg, struct error **err);
int cli_parse_cpu(struct cli *cli, const char *arg, struct error **err);
int cli_parse_smp(struct cli *cli, const char *arg, struct error **err);
int cli_parse_rtc(struct cli *cli, const char *arg, struct error **err);
int cli_parse_name(struct cli *cli, const char *arg, struct error **err);
int cli_parse_uuid(struct cli *cli, const char *arg, struct error **err);
int cli_parse_boot(struct cli *cli, const char *arg, struct error **err);
int cli_parse_action(struct cli *cli, const char *arg, struct error **err);

/* --- memory_options.c: -m, -mem-prealloc, memory backends ------------------------------------------------------- */

int cli_parse_memory(struct cli *cli, const char *arg, struct error **err);
int cli_parse_mem_prealloc(struct cli *cli, const char *arg, struct error **err);
/* Turns the machine's memory backend into what the configuration says about memory. After cli_check. */
int cli_finish_memory(struct cli *cli, struct error **err);

/* --- device_options.c: -device, -drive, -blockdev, -object ------------------------------------------------------ */

int cli_parse_device(struct cli *cli, const char *arg, struct error **err);
int cli_parse_drive(struct cli *cli, const char *arg, struct error **err);
int cli_parse_blockdev(struct cli *cli, const char *arg, struct error **err);
int cli_parse_object(struct cli *cli, const char *arg, struct error **err);
/* A device that another option implies. Its options are filled in by the caller. NULL: out of memory. */
struct config_device *cli_add_device(struct cli *cli, const char *type);

/* --- chardev_options.c: -chardev, -serial, -debugcon, and the short forms of chardevs --------------------------- */

int cli_parse_chardev(struct cli *cli, const char *arg, struct error **err);
int cli_parse_serial(struct cli *cli, const char *arg, struct error **err);
int cli_parse_debugcon(struct cli *cli, const char *arg, struct error **err);
/* Turns the -serial options and -nographic into chardevs, ports and a monitor. */
int cli_finish_serials(struct cli *cli, struct error **err);
/* Whether a short form stands for nothing: "none", or the console of a window that there isn't. */
bool cli_short_is_none(const char *text);
/*
 * Makes the chardev that a short form ("unix:PATH,server=on", ...) stands for; "chardev:ID" makes none. *id is its id,
 * owned by the caller: stem and number if it is new. *is_mux (NULL: not interested): it was "mon:", so that a monitor
 * shares it. what: the option, for messages.
 */
int cli_make_chardev(struct cli *cli, const char *text, const char *what, const char *stem, unsigned number, char **id,
                     bool *is_mux, struct error **err);

/* --- monitor_options.c: -mon, -monitor, -qmp, -qmp-pretty ------------------------------------------------------- */

enum monitor_kind { MONITOR_READLINE, MONITOR_QMP, MONITOR_QMP_PRETTY };

int cli_parse_mon(struct cli *cli, const char *arg, struct error **err);
int cli_parse_monitor(struct cli *cli, const char *arg, struct error **err);
int cli_parse_qmp(struct cli *cli, const char *arg, struct error **err);
int cli_parse_qmp_pretty(struct cli *cli, const char *arg, struct error **err);
/* A monitor on that chardev, which need not exist yet. */
int cli_add_monitor(struct cli *cli, const char *chardev, enum monitor_kind kind, struct error **err);
/* A monitor on the chardev that a short form stands for. */
int cli_make_monitor(struct cli *cli, const char *what, const char *where, enum monitor_kind kind, struct error **err);

/* --- host_options.c: what concerns the process: -msg, -overcommit, -sandbox, -audiodev, -add-fd ----------------- */

int cli_parse_msg(struct cli *cli, const char *arg, struct error **err);
int cli_parse_overcommit(struct cli *cli, const char *arg, struct error **err);
int cli_parse_sandbox(struct cli *cli, const char *arg, struct error **err);
int cli_parse_audiodev(struct cli *cli, const char *arg, struct error **err);
int cli_parse_add_fd(struct cli *cli, const char *arg, struct error **err);
/* Puts descriptors where "/dev/fdset/N" stands. Before cli_check. */
int cli_finish_fds(struct cli *cli, struct error **err);

/* --- data_options.c: -object secret, -fw_cfg -------------------------------------------------------------------- */

int cli_parse_fw_cfg(struct cli *cli, const char *arg, struct error **err);
/* Reads what secrets are made of. After cli_check. */
int cli_finish_secrets(struct cli *cli, struct error **err);

/* --- global_options.c: -global ---------------------------------------------------------------------------------- */

int cli_parse_global(struct cli *cli, const char *arg, struct error **err);
/* Gives the devices what -global says and they don't. Before cli_check. */
int cli_finish_globals(struct cli *cli, struct error **err);

/* --- help.c ----------------------------------------------------------------------------------------------------- */

void help_usage(void);
void help_version(void);
void help_devices(void);
/* CLI_DONE; an unknown name is an error with the nearest one. */
int help_device(const char *name, struct error **err);
void help_machines(void);
void help_accels(void);
void help_cpus(void);
void help_chardevs(void);
void help_block_drivers(void);
void help_objects(void);
void help_traces(void);

/* --- check.c ---------------------------------------------------------------------------------------------------- */

/* Everything that can be known to be wrong without touching the host. */
int cli_check(const struct cli *cli, struct error **err);

#endif
