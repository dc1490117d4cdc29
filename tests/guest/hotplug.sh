#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices come and go under a Linux guest's load, on four CPUs: a disk, a random source and a console on the root bus, and a
# disk behind a PCI Express port, of which Linux lets go after five seconds. The long form is
# hotplug_cycles.py HEDDLE GUEST DEVICE 1000.
# only: soft
# timeout: 400
for device in virtio-blk-pci virtio-rng-pci virtio-serial-pci; do
    python3 "$TESTS/hotplug_cycles.py" "$HEDDLE" "$GUEST" $device 25
done
python3 "$TESTS/hotplug_cycles.py" "$HEDDLE" "$GUEST" virtio-blk-pci 2 port1
