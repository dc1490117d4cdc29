/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs. Listing them looks at words that any thread may read; their registers are asked for, one CPU at a time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "machine/machine.h"
#include "monitor/hmp_command.h"
#include "vcpu/vcpu.h"

static const char *info_cpu_state(struct vcpu *vcpu)
{
    switch (atomic_load_explicit(&vcpu->state, memory_order_relaxed)) {
    case VCPU_STARTING:
        return "starting";
    case VCPU_PAUSED:
        return "paused";
    case VCPU_RUNNING:
        return atomic_load_explicit(&vcpu->place, memory_order_relaxed) == VCPU_ASLEEP ? "halted" : "running";
    case VCPU_PARKED:
        return "parked";
    default:
        return "ended";
    }
}

static unsigned info_cpu_count(struct hmp_call *call)
{
    return machine_config_of(call->machine)->cpus;
}

void info_cpus(struct hmp_call *call)
{
    struct vm *vm = machine_pc(call->machine)->vm;

    for (unsigned i = 0; i < info_cpu_count(call); i++) {
        struct vcpu *vcpu = vm->vcpus[i];

        fprintf(call->out, "%c CPU #%u: thread_id=%d (%s, %" PRIu64 " exits)\n", i == 0 ? '*' : ' ', i,
                (int)atomic_load_explicit(&vcpu->thread.id, memory_order_relaxed), info_cpu_state(vcpu),
                (uint64_t)atomic_load_explicit(&vcpu->exits, memory_order_relaxed));
    }
}

static void info_cpu_registers(struct hmp_call *call, unsigned index)
{
    HDL_AUTO_FREE struct cpu_state *state = calloc(1, sizeof(*state));
    HDL_AUTO_FREE char *text = NULL;
    struct error *err = NULL;
    int len;

    if (!state || vcpu_get_state(machine_pc(call->machine)->vm->vcpus[index], state, &err) < 0) {
        hmp_say_error(call, err);
        return;
    }
    len = cpu_state_format(state, NULL, 0);
    text = malloc((size_t)len + 1);
    if (text) {
        cpu_state_format(state, text, (size_t)len + 1);
        fprintf(call->out, "\nCPU#%u\n%s%s", index, text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
    }
}

void info_registers(struct hmp_call *call)
{
    bool all = hmp_take_flag(call, "-a");
    const char *word = hmp_next_word(&call->arguments);
    uint64_t first = 0;

    if (word && (parse_uint(word, &first) < 0 || first >= info_cpu_count(call))) {
        fprintf(call->out, "Error: there is no CPU '%s'\n", word);
        return;
    }
    if (hmp_has_excess(call)) {
        return;
    }
    for (unsigned i = all ? 0 : (unsigned)first; i < (all ? info_cpu_count(call) : first + 1); i++) {
        info_cpu_registers(call, i);
    }
}
