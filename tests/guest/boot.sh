#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's cloud kernel comes up with 1, 2 and 4 vCPUs, from a bzImage and as an ELF file through PVH: one that was given
# as such, and one that heddle unpacks from the bzImage.
# timeout: 240
for cpus in 1 2 4; do
    run_in_initrd 'echo cpus=$(nproc)' -smp $cpus
    said "cpus=$cpus"
done
KERNEL=vmlinux run_in_initrd 'uname -a' -smp 2
said 'Debian'
run_in_initrd 'uname -a; cat /proc/cmdline' -smp 2 -M q35,kernel-payload=on
said 'Debian'
said 'console=ttyS0 panic=-1'
