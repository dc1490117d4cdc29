#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux drives a disk through packed virtqueues, one a CPU: it says itself that it negotiated them (feature bit 34 is the
# 35th character of the line), what it writes is there when it reads it back, and when a boot with split ones does.
# only: soft
# timeout: 240
new_disk
# disk_guest DEVICE-OPTIONS COMMAND
disk_guest() {
    APPEND="root=/dev/vda rw quiet -- run \"$2\"" boot -smp 2 -drive file=disk.img,format=raw,if=none,id=disk \
        -device "virtio-blk-pci,drive=disk,$1"
    said 'init: status 0'
}
packed='echo packed=$(cut -c 35 /sys/bus/virtio/devices/virtio0/features) queues=$(ls /sys/block/vda/mq | wc -l)'

disk_guest packed=on,num-queues=2 "$packed; head -c 67108864 /dev/urandom >/big && sha256sum /big >/sum && sync &&
    echo 3 >/proc/sys/vm/drop_caches && sha256sum -c /sum"
said 'packed=1 queues=2'
said '/big: OK'
e2fsck -fn disk.img

disk_guest packed=off "$packed; sha256sum -c /sum"
said 'packed=0'
said '/big: OK'

disk_guest packed=on,event_idx=off "$packed; rm /sum && sha256sum /big && sync"
said 'packed=1'
e2fsck -fn disk.img
