/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of QMP's commands. What isn't in it doesn't exist. docs/qmp.md describes what differs from QEMU's. */
#include "monitor/commands.h"
#include "monitor/monitor_internal.h"
#include "monitor/qmp_dispatch.h"

static const char *const object_words[] = {"iothread", "rng-builtin", "rng-random", "secret", NULL};
static const char *const discard_words[] = {"ignore", "unmap", NULL};

static const struct qmp_argument id_arguments[] = {{.name = "id", .type = QMP_STRING}, {0}};
static const struct qmp_argument typename_arguments[] = {{.name = "typename", .type = QMP_STRING}, {0}};
static const struct qmp_argument path_arguments[] = {{.name = "path", .type = QMP_STRING}, {0}};
static const struct qmp_argument qom_get_arguments[] = {
    {.name = "path", .type = QMP_STRING}, {.name = "property", .type = QMP_STRING}, {0}};
static const struct qmp_argument list_types_arguments[] = {
    {.name = "implements", .type = QMP_STRING, .optional = true},
    {.name = "abstract", .type = QMP_BOOLEAN, .optional = true},
    {0},
};
static const struct qmp_argument option_arguments[] = {{.name = "option", .type = QMP_STRING, .optional = true}, {0}};
static const struct qmp_argument blockstats_arguments[] = {
    {.name = "query-nodes", .type = QMP_BOOLEAN, .optional = true}, {0}};
static const struct qmp_argument named_nodes_arguments[] = {{.name = "flat", .type = QMP_BOOLEAN, .optional = true},
                                                            {0}};
static const struct qmp_argument hmp_arguments[] = {
    {.name = "command-line", .type = QMP_STRING},
    {.name = "cpu-index", .type = QMP_INTEGER, .optional = true},
    {0},
};
static const struct qmp_argument device_add_arguments[] = {
    {.name = "driver", .type = QMP_STRING},
    {.name = "bus", .type = QMP_STRING, .optional = true},
    {.name = "id", .type = QMP_STRING, .optional = true},
    {0},
};
static const struct qmp_argument migrate_capabilities_arguments[] = {{.name = "capabilities", .type = QMP_ANY}, {0}};
static const struct qmp_argument device_del_arguments[] = {
    {.name = "id", .type = QMP_STRING}, {.name = "force", .type = QMP_BOOLEAN, .optional = true}, {0}};
static const struct qmp_argument chardev_add_arguments[] = {
    {.name = "id", .type = QMP_STRING}, {.name = "backend", .type = QMP_OBJECT}, {0}};

static const struct qmp_argument object_add_arguments[] = {
    {.name = "qom-type", .type = QMP_STRING, .words = object_words, .words_name = "ObjectType"},
    {.name = "id", .type = QMP_STRING},
    {0},
};
static const struct qmp_argument rng_random_arguments[] = {{.name = "filename", .type = QMP_STRING, .optional = true},
                                                           {0}};
static const struct qmp_argument secret_arguments[] = {
    {.name = "data", .type = QMP_STRING, .optional = true},
    {.name = "file", .type = QMP_STRING, .optional = true},
    {.name = "format", .type = QMP_STRING, .optional = true},
    {0},
};
static const struct qmp_variant object_add_variants[] = {
    {"rng-random", rng_random_arguments}, {"secret", secret_arguments}, {0}};

static const struct qmp_argument blockdev_add_arguments[] = {
    {.name = "driver", .type = QMP_STRING},
    {.name = "node-name", .type = QMP_STRING, .optional = true},
    {.name = "discard",
     .type = QMP_STRING,
     .optional = true,
     .words = discard_words,
     .words_name = "BlockdevDiscardOptions"},
    {.name = "cache", .type = QMP_OBJECT, .optional = true},
    {.name = "read-only", .type = QMP_BOOLEAN, .optional = true},
    {0},
};
static const struct qmp_argument blockdev_file_arguments[] = {
    {.name = "filename", .type = QMP_STRING},
    {.name = "aio", .type = QMP_STRING, .optional = true},
    {.name = "locking", .type = QMP_STRING, .optional = true},
    {0},
};
static const struct qmp_argument blockdev_raw_arguments[] = {
    {.name = "file", .type = QMP_ANY},
    {.name = "offset", .type = QMP_INTEGER, .optional = true},
    {.name = "size", .type = QMP_INTEGER, .optional = true},
    {0},
};
static const struct qmp_variant blockdev_add_variants[] = {
    {"file", blockdev_file_arguments}, {"host_device", blockdev_file_arguments}, {"raw", blockdev_raw_arguments}, {0}};
static const struct qmp_argument blockdev_del_arguments[] = {{.name = "node-name", .type = QMP_STRING}, {0}};

/* What the monitor's thread answers by itself, and therefore also out of band. */
#define AT_ONCE .where = QMP_MONITOR_THREAD, .allow_oob = true

const struct qmp_command qmp_commands[] = {
    {.name = qmp_negotiate_name, .arguments = qmp_negotiate_arguments, .where = QMP_MONITOR_THREAD},

    {.name = "query-version", .run = qmp_run_query_version, .result = QMP_RESULT_OBJECT, AT_ONCE},
    {.name = "query-commands", .run = qmp_run_query_commands, .result = QMP_RESULT_LIST, AT_ONCE},
    {.name = "query-qmp-schema", .run = qmp_run_query_qmp_schema, .result = QMP_RESULT_LIST, AT_ONCE},
    {.name = "query-name", .run = qmp_run_query_name, .result = QMP_RESULT_OBJECT, AT_ONCE},
    {.name = "query-uuid", .run = qmp_run_query_uuid, .result = QMP_RESULT_OBJECT, AT_ONCE},
    {.name = "query-kvm", .run = qmp_run_query_kvm, .result = QMP_RESULT_OBJECT, AT_ONCE},
    {.name = "query-target", .run = qmp_run_query_target, .result = QMP_RESULT_OBJECT, AT_ONCE},
    {.name = "query-jobs", .run = qmp_run_query_nothing, .result = QMP_RESULT_LIST, AT_ONCE},
    {.name = "query-command-line-options",
     .arguments = option_arguments,
     .run = qmp_run_query_command_line_options,
     .result = QMP_RESULT_LIST,
     AT_ONCE},
    {.name = "query-machines", .run = qmp_run_query_machines, .result = QMP_RESULT_LIST, AT_ONCE},
    {.name = "query-cpu-definitions", .run = qmp_run_query_cpu_definitions, .result = QMP_RESULT_LIST, AT_ONCE},
    {.name = "qom-list-types",
     .arguments = list_types_arguments,
     .run = qmp_run_qom_list_types,
     .result = QMP_RESULT_LIST,
     AT_ONCE},
    {.name = "qom-list-properties",
     .arguments = typename_arguments,
     .run = qmp_run_qom_list_properties,
     .result = QMP_RESULT_LIST,
     AT_ONCE},
    {.name = "device-list-properties",
     .arguments = typename_arguments,
     .run = qmp_run_device_list_properties,
     .result = QMP_RESULT_LIST,
     AT_ONCE},

    {.name = "query-migrate-capabilities", .run = qmp_run_query_migrate_capabilities, .result = QMP_RESULT_LIST},
    {.name = "migrate-set-capabilities",
     .arguments = migrate_capabilities_arguments,
     .run = qmp_run_migrate_set_capabilities},
    {.name = "query-status", .run = qmp_run_query_status, .result = QMP_RESULT_OBJECT},
    {.name = "query-cpus-fast", .run = qmp_run_query_cpus_fast, .result = QMP_RESULT_LIST},
    {.name = "query-iothreads", .run = qmp_run_query_iothreads, .result = QMP_RESULT_LIST},
    {.name = "query-memory-size-summary", .run = qmp_run_query_memory_size_summary, .result = QMP_RESULT_OBJECT},
    {.name = "query-block", .run = qmp_run_query_block, .result = QMP_RESULT_LIST},
    {.name = "query-named-block-nodes",
     .arguments = named_nodes_arguments,
     .run = qmp_run_query_named_block_nodes,
     .result = QMP_RESULT_LIST},
    {.name = "query-blockstats",
     .arguments = blockstats_arguments,
     .run = qmp_run_query_blockstats,
     .result = QMP_RESULT_LIST},
    {.name = "query-chardev", .run = qmp_run_query_chardev, .result = QMP_RESULT_LIST},
    {.name = "query-pci", .run = qmp_run_query_pci, .result = QMP_RESULT_LIST},
    {.name = "x-query-virtio-status",
     .arguments = path_arguments,
     .run = qmp_run_query_virtio_status,
     .result = QMP_RESULT_OBJECT},
    {.name = "qom-list", .arguments = path_arguments, .run = qmp_run_qom_list, .result = QMP_RESULT_LIST},
    {.name = "qom-get", .arguments = qom_get_arguments, .run = qmp_run_qom_get, .result = QMP_RESULT_ANY},

    {.name = "stop", .run = qmp_run_stop},
    {.name = "cont", .run = qmp_run_cont},
    {.name = "quit", .run = qmp_run_quit},
    {.name = "system_reset", .run = qmp_run_system_reset},
    {.name = "system_powerdown", .run = qmp_run_system_powerdown},
    {.name = "inject-nmi", .run = qmp_run_inject_nmi},
    {.name = "human-monitor-command",
     .arguments = hmp_arguments,
     .run = qmp_run_human_monitor_command,
     .result = QMP_RESULT_TEXT},

    {.name = "device_add",
     .arguments = device_add_arguments,
     .run = qmp_run_device_add,
     .takes_more = true,
     .feature = "json-cli-hotplug"},
    {.name = "device_del", .arguments = device_del_arguments, .run = qmp_run_device_del},
    {.name = "object-add",
     .arguments = object_add_arguments,
     .run = qmp_run_object_add,
     .takes_more = true,
     .tag = "qom-type",
     .variants = object_add_variants},
    {.name = "object-del", .arguments = id_arguments, .run = qmp_run_object_del},
    {.name = "chardev-add",
     .arguments = chardev_add_arguments,
     .run = qmp_run_chardev_add,
     .result = QMP_RESULT_OBJECT},
    {.name = "chardev-remove", .arguments = id_arguments, .run = qmp_run_chardev_remove},
    {.name = "blockdev-add",
     .arguments = blockdev_add_arguments,
     .run = qmp_run_blockdev_add,
     .takes_more = true,
     .tag = "driver",
     .variants = blockdev_add_variants},
    {.name = "blockdev-del", .arguments = blockdev_del_arguments, .run = qmp_run_blockdev_del},
    {.name = NULL},
};
