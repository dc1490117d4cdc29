#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux finds functions behind root ports and on the root bus without a complaint, and ejects them: a port's by its native
# hot-plug driver, the root bus's by ACPI.
# only: soft
# timeout: 200
run_in_initrd 'cd /sys/bus/pci; echo found $(ls devices); dmesg | grep -i pci | grep -v echo;
    for at in 0000:01:00 0000:00:05; do
        power=$(dirname $(grep -l $at slots/*/address))/power; echo $at before $(cat $power);
        echo 0 >$power; echo $at after $(cat $power) $(ls devices | grep -c $at);
    done' -smp 2 \
    -device pcie-root-port,id=p1,chassis=1,port=8,multifunction=on,addr=1 \
    -device pcie-root-port,id=p2,chassis=2,port=9,addr=1.1 \
    -device virtio-rng-pci,bus=p1 -device virtio-rng-pci,addr=5
said 'found 0000:00:00.0 0000:00:01.0 0000:00:01.1 0000:00:05.0 0000:01:00.0'
said 'OS now controls [PCIeHotplug'
said '0000:01:00 before 1'
said '0000:01:00 after 0 0'
said '0000:00:05 before 1'
said '0000:00:05 after 0 0'
! grep -iE "pci.*(can't|failed to|invalid|no space|conflict)" console || fail "Linux complains"
