#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's cloud kernel comes up with 1, 2 and 4 vCPUs, from a bzImage and as an ELF file through PVH: one that was given
# as such, and one that heddle unpacks from the bzImage. On the software CPU it has nothing to warn of; elsewhere the
# host's CPU may give it cause, but not the machine around it. Debian's standard kernel, whose bzImage takes long to unpack in
# emulated KVM, comes up on the software CPU.
# timeout: 400
warnings=mtrr
[ "${ACCEL:-}" != soft ] || warnings=
for cpus in 1 2 4; do
    run_in_initrd "dmesg -r | grep '^<[0-4]>'; echo cpus=\$(nproc)" -smp $cpus
    said "cpus=$cpus"
    no_warnings "$warnings"
done
KERNEL=vmlinux run_in_initrd 'uname -a' -smp 2
said 'Debian'
run_in_initrd 'uname -a; cat /proc/cmdline' -smp 2 -M q35,kernel-payload=on
said 'Debian'
said 'console=ttyS0 panic=-1'
[ "${ACCEL:-}" = soft ] || exit 0
for cpus in 1 2 4; do
    FLAVOUR=amd64 APPEND=cryptomgr.notests run_in_initrd "dmesg -r | grep '^<[0-4]>'; uname -r; echo cpus=\$(nproc)" -smp $cpus
    said "cpus=$cpus"
    said "$(cat "$GUEST/kernel-amd64/release")"
    no_warnings
done
