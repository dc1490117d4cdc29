#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest mounts its virtio-blk root, writes 64 MiB, reads them back from the disk, and leaves a file system without fault;
# the bytes are there after another boot, through a disk with its own I/O thread.
# timeout: 240
new_disk
run_in_guest 'head -c 67108864 /dev/urandom >/big && sha256sum /big >/sum && sync &&
    echo 3 >/proc/sys/vm/drop_caches && sha256sum -c /sum' -smp 2
said '/big: OK'
e2fsck -fn disk.img

APPEND='root=/dev/vda rw quiet -- run "sha256sum -c /sum"' boot -smp 2 -object iothread,id=thread \
    -drive file=disk.img,format=raw,if=none,id=disk -device virtio-blk-pci,drive=disk,iothread=thread
said '/big: OK'
said 'init: status 0'
e2fsck -fn disk.img
