/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the instructions that the software CPU may have the host's own CPU has. Pure. */
#ifndef HDL_TESTS_DIFF_HOST_FEATURES_H
#define HDL_TESTS_DIFF_HOST_FEATURES_H

#include <stdbool.h>

#include "vcpu/soft/feature.h"

bool host_has_feature(enum soft_feature feature);

#endif
