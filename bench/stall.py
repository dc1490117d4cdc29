# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest's read of a device takes while the monitor is busy with something else.

A flat guest (bench/guest/stall_loop.S) times every read; meanwhile this program does nothing, queries through two QMP
clients, adds and takes away another device, or asks for `info mtree`, as fast as it is answered. The vCPU's thread has
processor 0; everything else, this program included, has the others. So a read waits for a lock or for what the command
does to the vCPU, and not for a processor: unless somebody else's work takes it, which the maxima show. Nothing in the guest
ever halts, so the time that the vCPU's thread sleeps it waits for a lock, whoever else uses the machine.
"""
import os
import re
import socket
import statistics
import sys
import threading
import time

from qmp import Client, Machine, QmpError

QUERIES = ["query-status", "query-block", "query-pci", "query-cpus-fast", "query-chardev", "query-iothreads", "query-named-block-nodes",
           "query-blockstats", "query-name", "query-version"]
REGISTERS = {"counter": "HPET counter", "config": "HPET configuration"}
PERCENTILES = [50, 99, 99.9]


# --- loads: each does one piece of work, again and again -----------------------------------------------------------------

def query_all(client):
    for name in QUERIES:
        client.command(name)
    return len(QUERIES)


def plug_and_unplug(client):
    client.command("device_add", driver="virtio-rng-pci", id="hot")
    client.command("device_del", id="hot")
    client.wait_event("DEVICE_DELETED", device="hot")
    client.events.clear()
    return 1


def print_mtree(client):
    client.command("human-monitor-command", command_line="info mtree")
    return 1


# Name: what two clients do, or one.
PHASES = {"idle": (), "QMP queries, 2 clients": (query_all, query_all), "hot-plug cycles": (plug_and_unplug,),
          "info mtree": (print_mtree,)}


class Load(threading.Thread):
    """Work through one client until it is stopped."""

    def __init__(self, work, client):
        super().__init__(daemon=True)
        self.work, self.client = work, client
        self.stopping, self.count, self.error = False, 0, None

    def run(self):
        try:
            while not self.stopping:
                self.count += self.work(self.client)
        except (OSError, QmpError) as error:
            self.error = error

    def stop(self):
        self.stopping = True
        self.join()
        if self.error:
            raise self.error
        return self.count


# --- measuring -----------------------------------------------------------------------------------------------------------

def pin(machine):
    """The vCPU has processor 0, the rest has the others. The vCPU's thread."""
    vcpu = machine.command("query-cpus-fast")[0]["thread-id"]
    others = set(range(1, os.cpu_count()))
    for thread in os.listdir(f"/proc/{machine.process.pid}/task"):
        os.sched_setaffinity(int(thread), {0} if int(thread) == vcpu else others)
    os.sched_setaffinity(0, others)
    return f"/proc/{machine.process.pid}/task/{vcpu}/schedstat"


def schedule(schedstat):
    """The time, and how long a thread has run and how long it has waited for a processor, in ns, once it runs again."""
    before = None
    while True:  # what it waits at this moment is counted when it's over
        with open(schedstat, encoding="ascii") as file:
            ran, waited = (int(number) for number in file.read().split()[:2])
        if before not in (None, ran):
            return time.monotonic_ns(), ran + waited
        before = ran
        time.sleep(0.001)


def bucket_ticks(bucket):
    """The least number of ticks that falls into a bucket, and the number behind the last."""
    shift = max(bucket // 32 - 1, 0)
    low = (32 + bucket % 32) << shift if bucket >= 64 else bucket
    return low, low + (1 << shift)


class Times:
    """One register's reads in one phase."""

    def __init__(self, text, name, ns_a_tick):
        pairs = re.findall(rf"^{name} (\w{{8}}) (\w{{8}}) ", text, re.M)
        self.ns_a_tick = ns_a_tick
        self.buckets = [(sum(bucket_ticks(int(bucket, 16))) / 2 * ns_a_tick, int(count, 16)) for bucket, count in pairs]
        self.reads = sum(count for _, count in self.buckets)
        self.max_ns = int(re.search(rf"^{name}-max (\w{{8}})", text, re.M)[1], 16) * ns_a_tick

    def percentile(self, percent):
        below = 0
        for ns, count in self.buckets:
            below += count
            if below >= self.reads * percent / 100:
                return ns
        return self.max_ns


def phase_once(machine, clients, works, seconds, vcpu):
    """What the guest printed, pieces of work a second, and for which part of the time the vCPU's thread slept."""
    machine.type("z")
    begin, ready = schedule(vcpu)
    loads = [Load(work, client) for work, client in zip(works, clients)]
    for load in loads:
        load.start()
    time.sleep(seconds)
    end, ready_later = schedule(vcpu)
    machine.type("p")  # while the load goes on: its end is no part of the phase
    text = machine.wait_console("done\n")
    pieces = sum(load.stop() for load in loads) * 1e9 / (time.monotonic_ns() - begin)
    return text, pieces, max(1 - (ready_later - ready) / (end - begin), 0)


def measure_monitor(command, folder, seconds):
    """By phase: percentiles of each register, in ns."""
    path = os.path.join(folder, f"second{time.monotonic_ns()}.sock")
    machine = Machine([*command, "-qmp", f"unix:{path},server=on,wait=off"], folder)
    results = {}
    try:
        machine.wait_console("ready\n")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            clients = [machine, Client(connection)]
            vcpu = pin(machine)
            idle = {}
            for phase, works in PHASES.items():
                text, pieces, asleep = phase_once(machine, clients, works, seconds, vcpu)
                ticks, period, tsc_low, tsc_high = (int(number, 16) for number in re.search(
                    r"clock (\w{8}) (\w{8}) (\w{8}) (\w{8})", text).groups())
                ns_a_tick = ticks * period / 1e6 / (tsc_high << 32 | tsc_low)
                for register in REGISTERS:
                    times = Times(text, register, ns_a_tick)
                    idle.setdefault(register, times)
                    results.setdefault(phase, {})[register] = {
                        "percentiles": [times.percentile(percent) for percent in PERCENTILES], "max": times.max_ns,
                        "ratio": times.percentile(PERCENTILES[-1]) / idle[register].percentile(PERCENTILES[-1]),
                        "asleep": asleep, "pieces": pieces}
    finally:
        os.sched_setaffinity(0, range(os.cpu_count()))
        machine.close()
    return results


def monitors(heddle, elf, accel):
    """QEMU's machine is the one whose root bus has ACPI hot-plug, as heddle's has."""
    common = ["-m", "64", "-kernel", elf, "-display", "none", "-nodefaults", "-object", "iothread,id=thread",
              "-blockdev", f"null-co,node-name=disk,size={1 << 26}", "-device", "virtio-blk-pci,drive=disk"]
    tcg = accel == "soft"
    return {f"heddle {accel}": [heddle, "-accel", accel, *common],
            f"QEMU {'TCG' if tcg else accel}": ["qemu-system-x86_64", "-accel", "tcg,thread=multi" if tcg else accel, "-M", "pc",
                                                "-cpu", "max" if tcg else "host", *common]}


def measure(commands, folder, seconds, repeats):
    """By monitor: results of each repeat."""
    results = {}
    for _ in range(repeats):
        for name, command in commands.items():
            print(f"stall: {name}", file=sys.stderr, flush=True)
            results.setdefault(name, []).append(measure_monitor(command, folder, seconds))
    return results


# --- printing ------------------------------------------------------------------------------------------------------------

def ns_text(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def print_table(results):
    print("\n| a read takes: medians of the repeats | | meanwhile | p50 | p99 | p99.9 | max | p99.9 to idle's | "
          "vCPU's thread asleep | pieces of work a second |\n|" + " --- |" * 10)
    for register, label in REGISTERS.items():
        for name, repeats in results.items():
            for phase in PHASES:
                runs = [repeat[phase][register] for repeat in repeats]
                middle = {key: statistics.median(run[key] for run in runs) for key in ("max", "ratio", "asleep", "pieces")}
                columns = [statistics.median(column) for column in zip(*(run["percentiles"] for run in runs))]
                cells = [ns_text(ns) for ns in [*columns, middle["max"]]]
                cells += [f"{middle['ratio']:.2f}", f"{middle['asleep'] * 100:.1f} %", f"{middle['pieces']:.0f}"]
                print(f"| {label} | {name} | {phase} | {' | '.join(cells)} |")
