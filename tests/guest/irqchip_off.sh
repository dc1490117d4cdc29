#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With all interrupt controllers in heddle (kernel-irqchip=off), Linux boots with 1 and 2 vCPUs, takes interrupts of a disk
# by messages and by level-triggered lines, and powers off. CPUs interrupt each other, and the local APIC's timer runs.
# timeout: 600
# only: kvm
for cpus in 1 2; do
    run_in_initrd 'cat /proc/interrupts; echo cpus=$(nproc)' -M q35,kernel-irqchip=off -smp $cpus
    said "cpus=$cpus"
    said 'IO-APIC'
    grep -q 'LOC: *[1-9]' console || fail 'no timer interrupts'
done
grep -q 'RES:\|CAL:' console || fail 'no interrupts between CPUs'
# A CPU that went offline is started anew.
run_in_initrd 'cd /sys/devices/system/cpu/cpu1; echo 0 >online; nproc; echo 1 >online; echo again=$(nproc)' \
    -M q35,kernel-irqchip=off -smp 2
said 'again=2'
new_disk
for cpus in 1 2; do
    run_in_guest 'cat /proc/interrupts; dd if=/dev/vda of=/dev/null bs=64k count=200' -M q35,kernel-irqchip=off -smp $cpus
    said '200+0 records in'
done
APPEND=pci=nomsi run_in_guest 'cat /proc/interrupts; dd if=/dev/vda of=/dev/null bs=64k count=200' \
    -M q35,kernel-irqchip=off -smp 2
said '200+0 records in'
said 'fasteoi   virtio'
