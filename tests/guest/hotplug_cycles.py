#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hotplug_cycles.py HEDDLE GUEST DEVICE CYCLES [BUS]: devices come and go under a Linux guest's load.

Four CPUs use whatever disk, random source and console port there is while DEVICE (virtio-blk-pci, virtio-rng-pci or
virtio-serial-pci) is added and taken away CYCLES times. Every device_del must be answered by its event; the monitor must
have no more descriptors and threads afterwards than after half of them, and hardly more memory (what it keeps of translated
guest code still grows a little); and the guest's log must hold nothing but the I/O errors of disks that went while they were
read.
"""
import os
import re
import statistics
import sys
import tempfile
import time

from qmp import Machine

# One line for the guest's shell: loops on every CPU until told to end, then what the kernel logged as a warning or worse.
LOAD = ("for n in 1 2 3 4; do (while [ ! -e /tmp/end ]; do for d in /dev/vd?; do [ -b $d ] && "
        "dd if=$d of=/dev/null bs=64k count=8; [ $n = 1 ] && [ -b $d ] && dd if=/dev/zero of=$d bs=64k count=4; done; "
        "[ -c /dev/hwrng ] && dd if=/dev/hwrng of=/dev/null bs=64 count=4; usleep 2000; done >/dev/null 2>&1) & done; "
        "modprobe virtio_rng; mkdir -p /tmp; echo load $((4 - 3)); read line; touch /tmp/end; wait; dmesg -r | grep '^<[0-4]>' >/tmp/log; "
        "echo log $((1 + 1)); cat /tmp/log; echo log $((1 + 2))")
GROWTH_KIB = 4096
# The second is of a disk's node that was opened just after the disk went, the third of a host that is busy.
EXPECTED_LOG = re.compile(r"I/O error|block device autoloading|hrtimer: interrupt took")


class Footprint:
    """What a process holds, in a form that growth can be seen in. Guest RAM is shared memory and doesn't count."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            text = status.read()
        self.anonymous_kib = int(re.search(r"RssAnon:\s+(\d+)", text)[1])
        self.threads = int(re.search(r"Threads:\s+(\d+)", text)[1])
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))

    def __str__(self):
        return f"{self.anonymous_kib} KiB, {self.threads} threads, {self.descriptors} descriptors"


def reads(machine):
    """How often the guest has read the disk, all its lives together."""
    stats = machine.command("query-blockstats", query_nodes=True)
    return sum(entry["stats"]["rd_operations"] for entry in stats)


def is_driven(machine, device, reads_before):
    """Whether the guest's driver works with the device. A disk is read; the others have a driver."""
    if device == "virtio-blk-pci":
        return reads(machine) > reads_before
    status = machine.command("x-query-virtio-status", path="/machine/peripheral/hot")
    return "VIRTIO_CONFIG_S_DRIVER_OK" in status["status"]["statuses"]


def cycle(machine, device, bus):
    """One device comes, is used and goes. Seconds from device_add to use, and from device_del to its event."""
    extra = {"drive": "hot-node"} if device == "virtio-blk-pci" else {}
    before = reads(machine) if extra else 0
    begin = time.monotonic()
    machine.command("device_add", driver=device, id="hot", **({"bus": bus} if bus else {}), **extra)
    while not is_driven(machine, device, before):
        time.sleep(0.001)
    used = time.monotonic()
    machine.command("device_del", id="hot")
    machine.wait_event("DEVICE_DELETED", device="hot")
    return used - begin, time.monotonic() - used


def main():
    heddle, guest, device, cycles = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    bus = sys.argv[5] if len(sys.argv) > 5 else None
    command = [heddle, "-accel", "soft", "-nodefaults", "-display", "none", "-no-reboot", "-m", "512", "-smp", "4",
               "-kernel", f"{guest}/kernel-cloud/vmlinuz", "-initrd", f"{guest}/kernel-cloud/initrd", "-append",
               f"console=ttyS0 panic=-1 cryptomgr.notests -- \"{LOAD.replace(chr(34), '')}\""]
    if bus:
        command += ["-device", f"pcie-root-port,id={bus},chassis=1"]
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(command, folder)
        try:
            run(machine, device, cycles, bus)
        finally:
            machine.close()


def run(machine, device, cycles, bus):
    if device == "virtio-blk-pci":
        machine.command("blockdev-add", driver="null-co", node_name="hot-node", size=1 << 26)
    machine.wait_console("load 1")
    times, first = [], None
    for number in range(cycles):
        times.append(cycle(machine, device, bus))
        machine.read_console()
        machine.read_console()
        if number == cycles // 2:
            first = Footprint(machine.process.pid)
    last = Footprint(machine.process.pid)
    machine.type("end")
    machine.wait_console("log 2")
    log = [line for line in machine.wait_console("log 3").split("\n") if line.strip()]
    print(f"{cycles} cycles of {device}: device_add to use {statistics.median(t[0] for t in times) * 1000:.1f} ms, "
          f"device_del to DEVICE_DELETED {statistics.median(t[1] for t in times) * 1000:.1f} ms (medians)")
    print(f"after half: {first}; at the end: {last}")
    bad = [line for line in log if not EXPECTED_LOG.search(line)]
    print(f"{len(log)} lines of the guest's log are warnings or worse, {len(bad)} of them unexpected")
    print("\n".join(bad[:20]))
    if bad or last.threads > first.threads or last.descriptors > first.descriptors:
        sys.exit("the guest or the monitor is not as it was")
    if last.anonymous_kib > first.anonymous_kib + GROWTH_KIB:
        sys.exit("the monitor's memory grows")


if __name__ == "__main__":
    main()
