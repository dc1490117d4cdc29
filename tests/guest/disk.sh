#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest mounts its virtio-blk root, writes 64 MiB, reads them back from the disk, and leaves a file system without fault.
# timeout: 120
new_disk
run_in_guest 'head -c 67108864 /dev/urandom >/big && sha256sum /big >/sum && sync && echo 3 >/proc/sys/vm/drop_caches && sha256sum -c /sum'
said '/big: OK'
e2fsck -fn disk.img

# The same bytes after another boot.
run_in_guest 'sha256sum -c /sum'
