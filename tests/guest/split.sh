#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With the I/O APIC, the 8259s and the interval timer in heddle (kernel-irqchip=split), Linux boots, level-triggered
# interrupts of a disk without MSI-X go on coming, and it powers off.
# timeout: 400
run_in_initrd 'cat /proc/interrupts; echo cpus=$(nproc)' -M q35,kernel-irqchip=split -smp 2
said 'cpus=2'
said 'IO-APIC'
new_disk
run_in_guest 'cat /proc/interrupts; dd if=/dev/vda of=/dev/null bs=64k count=200' -M q35,kernel-irqchip=split -smp 2
said '200+0 records in'
APPEND=pci=nomsi run_in_guest 'cat /proc/interrupts; dd if=/dev/vda of=/dev/null bs=64k count=200' \
    -M q35,kernel-irqchip=split -smp 2
said '200+0 records in'
said 'fasteoi   virtio'
