/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that make the machine run, stand still, start anew and end. Stopping returns when all CPUs stand still;
 * resetting, the power button and quitting are requests, which are served after the command.
 */
#include "machine/machine.h"
#include "monitor/hmp_command.h"

void hmp_stop(struct hmp_call *call)
{
    machine_stop(call->machine);
}

void hmp_cont(struct hmp_call *call)
{
    struct error *err = NULL;

    machine_cont(call->machine, &err);
    hmp_say_error(call, err);
}

void hmp_system_reset(struct hmp_call *call)
{
    machine_ask_reset(call->machine);
}

void hmp_system_powerdown(struct hmp_call *call)
{
    machine_ask_power_button(call->machine);
}

void hmp_quit(struct hmp_call *call)
{
    machine_ask_quit(call->machine, "host-qmp-quit");
}

void hmp_nmi(struct hmp_call *call)
{
    struct error *err = NULL;

    machine_inject_nmi(call->machine, &err);
    hmp_say_error(call, err);
}
