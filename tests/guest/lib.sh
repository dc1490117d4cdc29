#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What guest tests share; tests/guest/run reads it before each. A test starts in an empty folder of its own, with
# $HEDDLE (the binary) and $GUEST (what scripts/guest-assets made: kernel-cloud/{vmlinuz,vmlinux,initrd}, kernel-amd64 with
# the same, root.img, tools.img).

fail() {
    echo "FAIL: $*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# new_disk [FILE]: a root disk to write on, disk.img by default.
new_disk() {
    # Holes are found in memory at once, but not through the emulated machine's shared folder: keep a copy there.
    local base=/run/heddle-root.img
    [ -e "$base" ] || cp --sparse=always "$GUEST/root.img" "$base"
    cp --sparse=always "$base" "${1:-disk.img}"
}

# boot ARG…: run heddle with a kernel, an initrd, no default devices but a serial line, and ARGs; its output, the serial
# line's included, goes to the file "console" and its status is boot's. Words for the guest's kernel are in $APPEND; it is
# Debian's for clouds, or FLAVOUR=amd64, as KERNEL=vmlinuz or vmlinux. A guest that reboots ends heddle, but with NO_REBOOT=
# (empty) it starts again. $ACCEL is the accelerator (default: heddle's own).
boot() {
    local status=0 kernel="$GUEST/kernel-${FLAVOUR:-cloud}"
    "$HEDDLE" ${ACCEL:+-accel "$ACCEL"} -nodefaults -display none -serial stdio ${NO_REBOOT--no-reboot} -m 512 \
        -kernel "$kernel/${KERNEL:-vmlinuz}" -initrd "$kernel/initrd" -append "console=ttyS0 panic=-1 ${APPEND:-}" "$@" >console 2>&1 || status=$?
    tail -n 40 console
    return $status
}

# run_in_guest COMMAND ARG…: boot from disk.img, run COMMAND there and power off; it fails if COMMAND or heddle does.
run_in_guest() {
    local command=$1
    shift
    APPEND="root=/dev/vda rw quiet ${APPEND:-} -- run \"$command\"" boot -drive "file=disk.img,format=raw,if=virtio" "$@"
    said 'init: status 0'
}

# run_in_initrd COMMAND ARG…: boot without a disk and run COMMAND with busybox's shell, then power off.
run_in_initrd() {
    local command=$1
    shift
    APPEND="quiet ${APPEND:-} -- \"$command\"" boot "$@"
    said 'initrd: status 0'
}

# said TEXT: the console must have had a line with TEXT in it.
said() {
    grep -qF -- "$1" console || fail "the console never said: $1"
}

# no_warnings [PATTERN]: the console must have none of the kernel's, as dmesg -r shows them, with PATTERN in it. A busy host
# disturbs a guest's sense of time; what the guest says of that is no fault of the machine's.
no_warnings() {
    ! grep -aE '^<[0-4]>' console | grep -vE 'hrtimer|clock|tsc:|APIC calibration|on the kernel command line' |
        grep -E "${1:-.}" || fail 'the kernel warns'
}
