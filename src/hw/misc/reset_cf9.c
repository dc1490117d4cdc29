/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port 0xCF9: a byte that resets the machine when bit 2 rises. All a guest can do is reset itself. */
#include "hw/misc/reset_cf9.h"

#define CF9_RESET_CPU 0x04 /* bits 1 and 3 say how hard; every reset here is a hard one */

void reset_cf9_init(struct reset_cf9 *cf9, const struct machine_requests *requests)
{
    cf9->requests = requests;
    atomic_store_explicit(&cf9->value, 0, memory_order_relaxed);
}

void reset_cf9_write(void *opaque, uint8_t value)
{
    struct reset_cf9 *cf9 = opaque;
    uint8_t old = atomic_exchange_explicit(&cf9->value, value, memory_order_relaxed);

    if (!(old & CF9_RESET_CPU) && (value & CF9_RESET_CPU)) {
        machine_request_reset(cf9->requests);
    }
}
