# SPDX-License-Identifier: GPL-2.0-or-later
"""How many reads of a device all vCPUs make together (bench/guest/dispatch_loop.S): UARTs, the HPET's counter, the PM timer.

By the software CPU a read takes some 100 ns: rounds are a millisecond, so that in some of them nobody else had the
processors. In an emulated machine with KVM one takes a hundred microseconds: rounds are a second.
"""
import os
import re
import statistics
import subprocess
import sys

CPUS = [cpus for cpus in (1, 2, 4) if cpus <= max(2, os.cpu_count())]
CHUNK = 250  # reads, as in the guest
REPEATS = {"soft": 7, "kvm": 1}  # processes each; every process makes 50 rounds, or 3
LABELS = {"own-uart": "each its own UART (PIO)", "one-uart": "all the same UART (PIO)", "hpet": "all the HPET's counter (MMIO)",
          "pm-timer": "all the PM timer (PIO)", "ram": "no device: a word of memory"}


def monitors(heddle, elf, accel, cpus):
    common = ["-m", "64", "-smp", str(cpus), "-kernel", elf, "-append", f"{'s' if accel == 'kvm' else ''}{cpus}",
              "-display", "none", "-nodefaults", "-serial", "stdio", "-serial", "null", "-serial", "null", "-serial", "null",
              "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    qemu = {"soft": ["-accel", "tcg,thread=multi", "-cpu", "max"], "kvm": ["-accel", "kvm", "-cpu", "host"]}[accel]
    return {f"heddle {accel}": [heddle, "-accel", accel, *common],
            f"QEMU {'TCG' if accel == 'soft' else accel}": ["qemu-system-x86_64", *qemu, "-M", "q35", *common]}


def run(command):
    """By what is read: million reads a second of all CPUs together, a figure a round."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=180)
    if "done" not in done.stdout:
        raise RuntimeError(f"{command[0]}: {done.stdout[-500:]} {done.stderr}")
    rates = {}
    for what, *numbers in re.findall(rf"({'|'.join(LABELS)}) (\w{{8}}) (\w{{8}}) (\w{{8}})", done.stdout):
        chunks, ticks, period = (int(number, 16) for number in numbers)
        rates.setdefault(what, []).append(chunks * CHUNK * 1e9 / (ticks * period))
    return rates


def measure(heddle, elf, accel):
    """By what is read, by monitor, by CPUs (as text): a rate a round."""
    results = {what: {} for what in LABELS}
    for _ in range(REPEATS[accel]):
        for cpus in CPUS:
            for name, command in monitors(heddle, elf, accel, cpus).items():
                print(f"counters: {name}, {cpus} vCPUs", file=sys.stderr, flush=True)
                for what, rates in run(command).items():
                    results[what].setdefault(name, {}).setdefault(str(cpus), []).extend(rates)
    return results


def print_table(results, accel):
    """Of short rounds the 98th percentile is of those in which nobody else had the processors."""
    some = next(iter(results["hpet"].values()))
    if accel == "soft":
        unit, kind, factor = "million", "98th percentile (median)", 1
    else:
        unit, kind, factor = "thousand", "median (range)", 1000
    heads = [f"{cpus} vCPU{'s' * (cpus != '1')}" for cpus in some]
    print(f"\n| {unit} reads a second of all vCPUs: {kind} | | {' | '.join(heads)} | 2 to 1 |\n|" + " --- |" * (3 + len(some)))
    for what, by_monitor in results.items():
        if what == "ram" and accel == "kvm":
            continue  # the clock that CPU 0 looks at every CHUNK reads is most of what it does
        for name, by_cpus in by_monitor.items():
            middle = {cpus: statistics.median(rates) * factor for cpus, rates in by_cpus.items()}
            if accel == "soft":
                best = {cpus: statistics.quantiles(rates, n=50)[48] for cpus, rates in by_cpus.items()}
                cells = [f"{best[cpus]:.1f} ({middle[cpus]:.1f})" for cpus in some]
            else:
                best = middle
                cells = [f"{middle[cpus]:.1f} ({min(by_cpus[cpus]) * factor:.1f}–{max(by_cpus[cpus]) * factor:.1f})" for cpus in some]
            print(f"| {LABELS[what]} | {name} | {' | '.join(cells)} | {best['2'] / best['1']:.2f} |")
