#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's own drivers find virtio-rng, virtio-console, the RTC and the ACPI and HPET clocks, and they work.
# timeout: 200
run_in_initrd 'modprobe virtio-rng; head -c 16 /dev/hwrng | wc -c; echo to the console >/dev/hvc0; hwclock -u -r;
    cat /sys/devices/system/clocksource/clocksource0/available_clocksource' -smp 2 \
    -device virtio-rng-pci -device virtio-serial-pci -chardev file,id=out,path=out -device virtconsole,chardev=out
said '16'
said 'acpi_pm'
said 'hpet'
grep -q 'to the console' out || fail "nothing reached virtio-console"
