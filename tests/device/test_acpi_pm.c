/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI fixed hardware: button, timer status, system control interrupt, power-off. */
#include "rig.h"

#include "hw/acpi/pm.h"
#include "hw/timer/pmtimer.h"

enum { BASE = 0x600, STATUS = BASE, ENABLE = BASE + 2, CONTROL = BASE + 4, GPE = 0x620, BUTTON = 1 << 8, TIMER = 1 };

static struct acpi_pm *plug(struct rig *rig)
{
    struct acpi_pm *pm = rig_create(rig, &acpi_pm_device_type);

    pm->base = BASE;
    pm->gpe_base = GPE;
    rig_realize(&pm->isa.device);
    device_reset(&pm->isa.device);
    return pm;
}

static void test_power_button(void **state)
{
    struct rig *rig = *state;
    struct acpi_pm *pm = plug(rig);

    acpi_pm_press_power_button(pm);
    rig_settle(rig);
    assert_int_equal(rig_in(rig, STATUS, 2), BUTTON);
    assert_false(rig->irqs[9].level);
    rig_out(rig, ENABLE, 2, BUTTON);
    assert_true(rig->irqs[9].level);
    rig_out(rig, STATUS, 2, TIMER); /* clears another bit */
    assert_true(rig->irqs[9].level);
    rig_out(rig, STATUS, 2, BUTTON);
    assert_false(rig->irqs[9].level);
    assert_int_equal(rig_in(rig, STATUS, 2), 0);
    acpi_pm_press_power_button(pm);
    rig_settle(rig);
    assert_true(rig->irqs[9].level);
    device_reset(&pm->isa.device);
    assert_false(rig->irqs[9].level);
    assert_int_equal(rig_in(rig, ENABLE, 2), 0);
    rig_remove(rig, &pm->isa.device);
}

static void test_timer_status(void **state)
{
    /* A little more than half of the 32-bit timer's period, 600 seconds. */
    const uint64_t half_ns = (UINT64_C(1) << 31) * NS_PER_SEC / PMTIMER_HZ + NS_PER_SEC;
    struct rig *rig = *state;
    struct acpi_pm *pm = plug(rig);

    assert_int_equal(rig_in(rig, STATUS, 2), 0);
    rig_advance_ns(rig, half_ns);
    assert_int_equal(rig_in(rig, STATUS, 2), TIMER);
    assert_false(rig->irqs[9].level);
    rig_out(rig, STATUS, 2, TIMER);
    assert_int_equal(rig_in(rig, STATUS, 2), 0);
    rig_out(rig, ENABLE, 2, TIMER);
    rig_advance_ns(rig, half_ns / 2);
    assert_false(rig->irqs[9].level);
    rig_advance_ns(rig, half_ns / 2);
    assert_true(rig->irqs[9].level);
    rig_out(rig, STATUS, 2, TIMER);
    assert_false(rig->irqs[9].level);
    rig_remove(rig, &pm->isa.device);
}

static void count_shutdown(void *opaque)
{
    (*(unsigned *)opaque)++;
}

static void test_power_off(void **state)
{
    struct rig *rig = *state;
    struct acpi_pm *pm = plug(rig);
    unsigned shutdowns = 0;

    rig->requests = (struct machine_requests){.shutdown = count_shutdown, .opaque = &shutdowns};
    assert_int_equal(rig_in(rig, CONTROL, 2), 1); /* SCI_EN */
    rig_out(rig, CONTROL, 2, ACPI_PM_SLEEP_TYPE_S5 << 10);
    rig_out(rig, CONTROL, 2, 3 << 10 | 1 << 13); /* another state */
    assert_int_equal(shutdowns, 0);
    assert_int_equal(rig_in(rig, CONTROL, 2), 3 << 10 | 1);
    rig_out(rig, CONTROL, 2, ACPI_PM_SLEEP_TYPE_S5 << 10 | 1 << 13);
    assert_int_equal(shutdowns, 1);
    rig_remove(rig, &pm->isa.device);
}

static void test_general_purpose_events(void **state)
{
    struct rig *rig = *state;
    struct acpi_pm *pm = plug(rig);

    rig_outb(rig, GPE + 3, 0x12);
    rig_outb(rig, GPE + 2, 0x34);
    assert_int_equal(rig_in(rig, GPE + 2, 2), 0x1234);
    assert_int_equal(rig_in(rig, GPE, 4), 0x12340000);
    assert_false(rig->irqs[9].level);
    assert_true(acpi_pm_gpe_is_enabled(pm, 2) && !acpi_pm_gpe_is_enabled(pm, 0));
    acpi_pm_raise_gpe(pm, 0);
    assert_int_equal(rig_in(rig, GPE, 2), 1);
    assert_false(rig->irqs[9].level);
    /* From inside another device, or its own lock's holder: as soon as it can. */
    device_lock(&pm->isa.device);
    acpi_pm_raise_gpe(pm, 2);
    acpi_pm_raise_gpe(pm, 15);
    device_unlock(&pm->isa.device);
    rig_settle(rig);
    assert_int_equal(rig_in(rig, GPE, 2), 0x8005);
    assert_true(rig->irqs[9].level);
    rig_outb(rig, GPE, 4);
    assert_int_equal(rig_in(rig, GPE, 2), 0x8001);
    rig_remove(rig, &pm->isa.device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_power_button, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_timer_status, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_power_off, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_general_purpose_events, rig_setup, rig_teardown),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
