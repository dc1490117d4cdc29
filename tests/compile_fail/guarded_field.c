/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Must not compile under clang's analysis with BREAK defined: each number breaks one rule. Without it, must compile.
 * It proves that the annotations in base/annotations.h, base/lock.h and device/device_lock.h are alive.
 */
#include "base/lock.h"
#include "device/device.h"

#ifndef BREAK
#define BREAK 0
#endif

struct guarded {
    struct hdl_mutex lock;
    int value HDL_GUARDED_BY(&lock);
};

struct model {
    struct device device;
    int reg;
};

int guarded_field_locked(struct guarded *guarded);
int guarded_field_unlocked(struct guarded *guarded);
int guarded_field_forgotten(struct guarded *guarded);
int guarded_field_reg_locked(struct model *model) HDL_REQUIRES_DEVICE(&model->device);
int guarded_field_device(struct model *model);
void guarded_field_required(struct guarded *guarded) HDL_REQUIRES(&guarded->lock);
void guarded_field_caller(struct guarded *guarded);

int guarded_field_locked(struct guarded *guarded)
{
    int value;

    hdl_mutex_lock(&guarded->lock);
    value = guarded->value;
    hdl_mutex_unlock(&guarded->lock);
    return value;
}

int guarded_field_unlocked(struct guarded *guarded)
{
#if BREAK == 1
    return guarded->value;
#else
    return 0;
#endif
}

int guarded_field_forgotten(struct guarded *guarded)
{
    hdl_mutex_lock(&guarded->lock);
#if BREAK != 2
    hdl_mutex_unlock(&guarded->lock);
#endif
    return 0;
}

int guarded_field_reg_locked(struct model *model)
{
    return model->reg;
}

int guarded_field_device(struct model *model)
{
    int reg;

#if BREAK != 3
    device_lock(&model->device);
#endif
    reg = guarded_field_reg_locked(model);
#if BREAK != 3
    device_unlock(&model->device);
#endif
    return reg;
}

void guarded_field_required(struct guarded *guarded)
{
    guarded->value = 1;
}

void guarded_field_caller(struct guarded *guarded)
{
#if BREAK != 4
    hdl_mutex_lock(&guarded->lock);
#endif
    guarded_field_required(guarded);
#if BREAK != 4
    hdl_mutex_unlock(&guarded->lock);
#endif
}
