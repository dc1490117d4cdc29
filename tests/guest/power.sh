#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest powers off and reboots through ACPI: heddle ends with status 0 when it is off, starts it again when it reboots.
# timeout: 240
new_disk
run_in_guest true
said 'reboot: Power down'

NO_REBOOT='' APPEND='root=/dev/vda rw -- run "test -e /again && exit 0; touch /again; sync; reboot -f"' \
    boot -drive file=disk.img,format=raw,if=virtio
said 'reboot: machine restart'
said 'init: status 0'
[ "$(grep -c 'initrd: up' console)" = 2 ] || fail 'it did not start twice'

# With -no-reboot that is the end.
run_reboot() { APPEND='quiet -- "reboot -f"' boot; }
run_reboot || fail "status $?"
[ "$(grep -c 'initrd: up' console)" = 1 ] || fail 'it started again'
e2fsck -fn disk.img
