#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With the I/O APIC, the 8259s and the interval timer in heddle (kernel-irqchip=split), Linux boots, level-triggered
# interrupts of a disk without MSI-X go on coming, it reboots with them, and it powers off.
# timeout: 500
# only: kvm
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

# A reboot finds the controllers as at power-on, and the disk's level-triggered interrupts come again after it.
NO_REBOOT='' APPEND='root=/dev/vda rw quiet pci=nomsi -- run "dd if=/dev/vda of=/dev/null bs=64k count=200; test -e /again && exit 0; touch /again; sync; reboot -f"' \
    boot -M q35,kernel-irqchip=split -smp 2 -drive file=disk.img,format=raw,if=virtio
[ "$(grep -c 'initrd: up' console)" = 2 ] || fail 'it did not start twice'
[ "$(grep -cF '200+0 records in' console)" = 2 ] || fail 'it did not read its disk twice'
said 'init: status 0'
e2fsck -fn disk.img
