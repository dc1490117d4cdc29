/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What "info" shows of the machine as a whole. */
#include <string.h>

#include "machine/machine.h"
#include "monitor/hmp_command.h"
#include "vcpu/vm.h"

void info_status(struct hmp_call *call)
{
    enum machine_state state = machine_state(call->machine);
    const char *name = machine_state_name(state);

    if (state == MACHINE_RUNNING || state == MACHINE_PAUSED) {
        fprintf(call->out, "VM status: %s\n", name);
    } else {
        fprintf(call->out, "VM status: paused (%s)\n", name);
    }
}

void info_version(struct hmp_call *call)
{
    fprintf(call->out, "heddle %s\n", HDL_VERSION);
}

void info_name(struct hmp_call *call)
{
    const char *name = machine_config_of(call->machine)->name;

    if (name) {
        fprintf(call->out, "%s\n", name);
    }
}

void info_uuid(struct hmp_call *call)
{
    const uint8_t *uuid = machine_config_of(call->machine)->uuid;

    for (unsigned i = 0; i < 16; i++) {
        fprintf(call->out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    }
    fputc('\n', call->out);
}

void info_kvm(struct hmp_call *call)
{
    const char *accelerator = vm_accelerator_name(machine_pc(call->machine)->vm);

    fprintf(call->out, "kvm support: %s\n", strcmp(accelerator, "kvm") == 0 ? "enabled" : "disabled");
}

void info_jobs(struct hmp_call *call)
{
    fprintf(call->out, "No active jobs\n");
}

void info_history(struct hmp_call *call)
{
    const char *line;

    for (size_t i = 0; call->editor && (line = line_editor_history(call->editor, i)); i++) {
        fprintf(call->out, "%zu: '%s'\n", i, line);
    }
}
