/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Actors: what they do next, from a seed; and which types of device they reached. */
#include <string.h>

#include "machine/device_types.h"
#include "torture.h"

/* splitmix64, by Sebastiano Vigna, who put it in the public domain. */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void actor_init(struct actor *actor, const char *name, uint64_t seed, unsigned number)
{
    uint64_t state = seed + number;

    actor->name = name;
    actor->seed = mix(&state);
    actor->random = actor->seed;
    atomic_store(&actor->doing, "nothing yet");
}

void actor_step(struct actor *actor)
{
    uint64_t step = atomic_load_explicit(&actor->step, memory_order_relaxed) + 1;
    uint64_t state = actor->seed ^ step;

    actor->random = mix(&state);
    atomic_store_explicit(&actor->step, step, memory_order_relaxed);
}

void actor_does(struct actor *actor, const char *what)
{
    atomic_store_explicit(&actor->doing, what, memory_order_relaxed);
}

uint64_t actor_random(struct actor *actor)
{
    return mix(&actor->random);
}

uint64_t actor_below(struct actor *actor, uint64_t below)
{
    return actor_random(actor) % below;
}

static bool act_is_allowed(const struct torture *torture, const struct torture_act *act)
{
    return !torture->only || strstr(torture->only, act->name);
}

void torture_act_any(struct torture *torture, struct actor *actor, const struct torture_act *acts, void *who)
{
    uint64_t sum = 0, chosen;

    for (const struct torture_act *act = acts; act->name; act++) {
        sum += act_is_allowed(torture, act) ? act->weight : 0;
    }
    chosen = actor_below(actor, sum ? sum : 1);
    for (const struct torture_act *act = acts; sum && act->name; act++) {
        unsigned weight = act_is_allowed(torture, act) ? act->weight : 0;

        if (chosen < weight) {
            actor_does(actor, act->name);
            act->fn(who);
            return;
        }
        chosen -= weight;
    }
}

/* --- reached ------------------------------------------------------------------------------------------------------ */

static _Atomic uint64_t *reached_slot(struct reached *reached, const struct device_type *type)
{
    for (unsigned i = 0; i < TORTURE_TYPES_MAX; i++) {
        const struct device_type *there = atomic_load_explicit(&reached->types[i], memory_order_relaxed);

        if (!there && atomic_compare_exchange_strong(&reached->types[i], &there, type)) {
            there = type;
        }
        if (there == type) {
            return &reached->counts[i];
        }
    }
    return NULL;
}

void reached_count(struct reached *reached, const struct device_type *type, uint64_t times)
{
    _Atomic uint64_t *slot = reached_slot(reached, type);

    if (slot) {
        atomic_fetch_add_explicit(slot, times, memory_order_relaxed);
    }
}

uint64_t reached_times(struct reached *reached, const struct device_type *type)
{
    _Atomic uint64_t *slot = reached_slot(reached, type);

    return slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
}

const struct device_type *reached_missing(struct reached *reached)
{
    for (size_t i = 0; device_types[i]; i++) {
        if (reached_times(reached, device_types[i]) == 0) {
            return device_types[i];
        }
    }
    return NULL;
}
