#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 6 GiB of memory: the guest finds those above the PCI hole at 4 GiB, and what it writes there is kept.
# timeout: 200
run_in_initrd 'grep ^100000000-.*RAM /proc/iomem && free -m && mount -t tmpfs -o size=4g mem /mnt &&
    head -c 268435456 /dev/zero >/mnt/zeros && sha256sum /mnt/zeros' -m 6G
said 'a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484'
total_mib=$(sed -n 's/^Mem: *\([0-9]*\).*/\1/p' console)
[ "$total_mib" -gt 5500 ] || fail "only $total_mib MiB"
