/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The re-entrancy guard's memory: one counter a thread, read and written by that thread alone. */
#include "device/context.h"

_Thread_local unsigned device_context_depth;
