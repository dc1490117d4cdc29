/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine: its state, CPUs, memory and threads; and which machines and CPUs there could be. */
#include <stdio.h>
#include <string.h>

#include "machine/machine_types.h"
#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"
#include "vcpu/cpu_model.h"
#include "vcpu/vcpu.h"

int qmp_run_query_status(struct qmp_call *call)
{
    enum machine_state state = machine_state(call->monitor->machine);

    call->result = json_object_new_object();
    json_put_string(call->result, "status", machine_state_name(state));
    json_put_bool(call->result, "singlestep", false);
    json_put_bool(call->result, "running", state == MACHINE_RUNNING);
    return 0;
}

/* Which socket, core and thread CPU n is: threads first (-smp). */
static struct json_object *cpu_place(const struct machine_config *config, unsigned n)
{
    struct json_object *place = json_object_new_object();

    json_put_uint(place, "socket-id", n / (config->cores * config->threads));
    json_put_uint(place, "die-id", 0);
    json_put_uint(place, "core-id", n / config->threads % config->cores);
    json_put_uint(place, "thread-id", n % config->threads);
    return place;
}

int qmp_run_query_cpus_fast(struct qmp_call *call)
{
    const struct machine_config *config = machine_config_of(call->monitor->machine);
    struct pc *pc = machine_pc(call->monitor->machine);

    call->result = json_object_new_array();
    for (unsigned i = 0; pc && i < config->cpus; i++) {
        struct json_object *entry = json_append_object(call->result);
        char path[40];

        snprintf(path, sizeof(path), "/machine/unattached/cpu[%u]", i);
        json_put_uint(entry, "cpu-index", i);
        json_put_string(entry, "qom-path", path);
        json_put_uint(entry, "thread-id",
                      (uint64_t)atomic_load_explicit(&pc->vm->vcpus[i]->thread.id, memory_order_relaxed));
        json_put(entry, "props", cpu_place(config, i));
        json_put_string(entry, "target", "x86_64");
    }
    return 0;
}

int qmp_run_query_iothreads(struct qmp_call *call)
{
    const struct backend_object *object = machine_backends(call->monitor->machine)->objects;

    call->result = json_object_new_array();
    for (; object; object = object->next) {
        if (object->loop && object->id) {
            struct json_object *entry = json_append_object(call->result);

            json_put_string(entry, "id", object->id);
            json_put_uint(entry, "thread-id", (uint64_t)event_loop_thread_id(object->loop));
            json_put_uint(entry, "poll-max-ns", 0);
            json_put_uint(entry, "poll-grow", 0);
            json_put_uint(entry, "poll-shrink", 0);
            json_put_uint(entry, "aio-max-batch", 0);
        }
    }
    return 0;
}

int qmp_run_query_memory_size_summary(struct qmp_call *call)
{
    call->result = json_object_new_object();
    json_put_uint(call->result, "base-memory", machine_config_of(call->monitor->machine)->ram_bytes);
    json_put_uint(call->result, "plugged-memory", 0);
    return 0;
}

int qmp_run_query_machines(struct qmp_call *call)
{
    call->result = json_object_new_array();
    for (const struct machine_type *type = machine_types; type->name; type++) {
        struct json_object *entry = json_append_object(call->result);

        json_put_bool(entry, "hotpluggable-cpus", false);
        json_put_string(entry, "name", type->name);
        json_put_bool(entry, "numa-mem-supported", false);
        if (type->is_default) {
            json_put_bool(entry, "is-default", true);
        }
        json_put_uint(entry, "cpu-max", type->cpu_max);
        json_put_bool(entry, "deprecated", false);
        if (type->alias) {
            json_put_string(entry, "alias", type->alias);
        }
        if (!type->is_none) {
            json_put_string(entry, "default-ram-id", "pc.ram");
        }
    }
    return 0;
}

/* A model that follows the host differs from host to host. */
static void cpu_list(const char *name, const char *description, void *opaque)
{
    struct json_object *entry = json_append_object(opaque);
    bool follows_host = strcmp(name, "host") == 0 || strcmp(name, "max") == 0;
    char type[80];

    snprintf(type, sizeof(type), "%s-x86_64-cpu", name);
    json_put_string(entry, "name", name);
    json_put_string(entry, "typename", type);
    json_put_bool(entry, "migration-safe", !follows_host);
    json_put_bool(entry, "static", false);
    json_put_bool(entry, "deprecated", false);
}

int qmp_run_query_cpu_definitions(struct qmp_call *call)
{
    call->result = json_object_new_array();
    cpu_model_list(cpu_list, call->result);
    return 0;
}
