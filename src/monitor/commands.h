/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handlers of QMP's commands (qmp_command.h says what a handler is), by file. What each takes and gives stands in
 * the table, qmp_commands.c.
 */
#ifndef HDL_MONITOR_COMMANDS_H
#define HDL_MONITOR_COMMANDS_H

#include "monitor/qmp_command.h"

/* commands_run.c: the machine's life */
int qmp_run_stop(struct qmp_call *call);
int qmp_run_cont(struct qmp_call *call);
int qmp_run_quit(struct qmp_call *call);
int qmp_run_system_reset(struct qmp_call *call);
int qmp_run_system_powerdown(struct qmp_call *call);
int qmp_run_inject_nmi(struct qmp_call *call);
int qmp_run_human_monitor_command(struct qmp_call *call);

/* commands_devices.c: devices and what stands behind them, coming and going */
int qmp_run_device_add(struct qmp_call *call);
int qmp_run_device_del(struct qmp_call *call);
int qmp_run_object_add(struct qmp_call *call);
int qmp_run_object_del(struct qmp_call *call);
int qmp_run_blockdev_add(struct qmp_call *call);
int qmp_run_blockdev_del(struct qmp_call *call);

/* commands_chardev.c */
int qmp_run_chardev_add(struct qmp_call *call);
int qmp_run_chardev_remove(struct qmp_call *call);
int qmp_run_query_chardev(struct qmp_call *call);

/* query_protocol.c: what never changes; monitor thread */
int qmp_run_query_version(struct qmp_call *call);
int qmp_run_query_commands(struct qmp_call *call);
int qmp_run_query_name(struct qmp_call *call);
int qmp_run_query_uuid(struct qmp_call *call);
int qmp_run_query_kvm(struct qmp_call *call);
int qmp_run_query_target(struct qmp_call *call);
int qmp_run_query_nothing(struct qmp_call *call); /* an empty list: what heddle has none of */
int qmp_run_query_command_line_options(struct qmp_call *call);

/* qmp_schema.c; monitor thread */
int qmp_run_query_qmp_schema(struct qmp_call *call);

/* query_machine.c */
int qmp_run_query_status(struct qmp_call *call);
int qmp_run_query_cpus_fast(struct qmp_call *call);
int qmp_run_query_iothreads(struct qmp_call *call);
int qmp_run_query_memory_size_summary(struct qmp_call *call);
int qmp_run_query_machines(struct qmp_call *call);
int qmp_run_query_cpu_definitions(struct qmp_call *call);

/* query_block.c */
int qmp_run_query_block(struct qmp_call *call);
int qmp_run_query_blockstats(struct qmp_call *call);
int qmp_run_query_named_block_nodes(struct qmp_call *call);

/* migrate_capabilities.c */
int qmp_run_query_migrate_capabilities(struct qmp_call *call);
int qmp_run_migrate_set_capabilities(struct qmp_call *call);

/* query_virtio.c */
int qmp_run_query_virtio_status(struct qmp_call *call);

/* query_pci.c */
int qmp_run_query_pci(struct qmp_call *call);

/* qom_tree.c: what exists, as a tree */
int qmp_run_qom_list(struct qmp_call *call);
int qmp_run_qom_get(struct qmp_call *call);

/* qom_types.c: what could exist */
int qmp_run_qom_list_types(struct qmp_call *call);
int qmp_run_qom_list_properties(struct qmp_call *call);
int qmp_run_device_list_properties(struct qmp_call *call);

#endif
