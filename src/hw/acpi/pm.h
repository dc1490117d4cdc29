/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware (ACPI 6.4, 4.8.3 and 4.8.4), `acpi-pm`: the PM1 event and control registers with the power
 * button, the system control interrupt, and a general-purpose event block. The timer's counter is acpi-pm-timer's
 * (hw/timer/pmtimer.h); its status bit is here.
 *
 * Wiring: isa.isa, base and gpe_base before realize. The guest finds the ports in the FADT.
 */
#ifndef HDL_HW_ACPI_PM_H
#define HDL_HW_ACPI_PM_H

#include <stdatomic.h>

#include "hw/isa.h"

#define ACPI_PM_SLEEP_TYPE_S5 5 /* what \_S5 says */

/* Wiring and regions: immutable after realize. The rest: device lock. */
struct acpi_pm {
    struct isa_device isa; /* first */
    uint16_t base;         /* PM1a_EVT_BLK, 4 ports; PM1a_CNT_BLK, 2 ports, follows */
    uint16_t gpe_base;     /* GPE0_BLK, 4 ports */
    struct region event_region, control_region, gpe_region;
    struct irq_line sci;
    struct device_work button_work, timer_work, gpe_work;
    _Atomic uint16_t gpe_raised; /* any thread: general-purpose events that gpe_work is to set */
    struct timer overflow_timer; /* armed while the guest wants the timer's interrupt */
    bool timer_ready;

    uint16_t pm1_status; /* but for TMR_STS, which is computed */
    uint16_t pm1_enable;
    uint16_t pm1_control;
    uint16_t gpe_status, gpe_enable;
    uint64_t half_seen; /* the timer's half period in which the guest last cleared TMR_STS */
};

extern const struct device_type acpi_pm_device_type;

/* A person presses the power button. Any thread that holds no lock of device rank or inner. */
void acpi_pm_press_power_button(struct acpi_pm *pm);
/* A general-purpose event (0 to 15) happens. Threads as device_submit's. */
void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned bit);
/* Whether the guest listens to it. Takes the device's lock. */
bool acpi_pm_gpe_is_enabled(struct acpi_pm *pm, unsigned bit);

#endif
