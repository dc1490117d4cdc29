/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices that somebody asked for: -device and -serial. */
#ifndef HDL_MACHINE_USER_DEVICES_H
#define HDL_MACHINE_USER_DEVICES_H

#include "machine/backends.h"
#include "machine/config.h"
#include "machine/pc.h"

/*
 * Adds COM ports, then the devices in the configuration's order. On failure those that were added stay the board's.
 * Configuration thread, no lock held.
 */
int user_devices_add(struct pc *pc, const struct machine_config *config, struct backends *backends, struct error **err);

#endif
