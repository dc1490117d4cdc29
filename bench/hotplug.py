# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a Linux guest takes to use a device that comes, and to let go of one that shall go.

A virtio-rng-pci comes: the time is from device_add until the guest's driver has said DRIVER_OK. It goes: from device_del
until DEVICE_DELETED. Through ACPI both are measured, a device after another. Through a PCIe port only the coming is, each
device at a port of its own: before one goes Linux gives people 5 seconds to press the button again.
"""
import statistics
import time

from qmp import Machine

ACPI_CYCLES = 15
PORTS = 15
MARKER = "bench: the guest waits"
POLL_S = 0.001
STATUS = {"heddle": "/machine/peripheral/{}", "QEMU": "/machine/peripheral/{}/virtio-backend"}


def command(program, machine_type, guest, ports):
    """The same kernel, initrd and devices; the software's processor in both."""
    accel = ["-accel", "tcg,thread=multi", "-M", machine_type, "-cpu", "max"] if machine_type else ["-accel", "soft"]
    shell = f"modprobe virtio_rng; echo {MARKER[:6]}$((7 - 7)){MARKER[6:]}; while :; do sleep 1000; done"
    if machine_type == "q35":  # its ports are ACPI's otherwise, and not PCIe's own
        accel += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    ports = [arg for n in range(ports) for arg in ("-device", f"pcie-root-port,id=port{n},chassis={n + 1}")]
    return [program, *accel, "-nodefaults", "-display", "none", "-no-reboot", "-m", "512M", "-smp", "2",
            "-kernel", f"{guest}/kernel-cloud/vmlinuz", "-initrd", f"{guest}/kernel-cloud/initrd", "-append",
            f"console=ttyS0 quiet cryptomgr.notests no_timer_check panic=-1 -- \"{shell}\"", *ports]


def comes(machine, device, status_path, **options):
    """Milliseconds until the guest's driver has it."""
    begin = time.monotonic()
    machine.command("device_add", driver="virtio-rng-pci", id=device, **options)
    while True:
        status = machine.command("x-query-virtio-status", path=status_path.format(device))["status"]["statuses"]
        if any("DRIVER_OK" in text for text in status):
            return (time.monotonic() - begin) * 1000
        time.sleep(POLL_S)


def goes(machine, device):
    begin = time.monotonic()
    machine.command("device_del", id=device)
    machine.wait_event("DEVICE_DELETED", device=device)
    return (time.monotonic() - begin) * 1000


def run(name, words, folder, ports):
    """By what happens: milliseconds."""
    path = next(path for monitor, path in STATUS.items() if name.startswith(monitor))
    machine = Machine(words, folder)
    times = {}
    try:
        machine.wait_console(MARKER[:6] + "0" + MARKER[6:])
        for port in range(ports):
            times.setdefault("pcie comes", []).append(comes(machine, f"hot{port}", path, bus=f"port{port}"))
        for _ in range(0 if ports else ACPI_CYCLES):
            times.setdefault("acpi comes", []).append(comes(machine, "hot", path))
            times.setdefault("acpi goes", []).append(goes(machine, "hot"))
    finally:
        machine.close()
    return times


def measure(heddle, guest, folder, repeats):
    """By what happens, then by monitor: milliseconds."""
    commands = [("heddle soft", command(heddle, None, guest, 0), 0),
                ("QEMU TCG", command("qemu-system-x86_64", "pc", guest, 0), 0),
                ("heddle soft", command(heddle, None, guest, PORTS), PORTS),
                ("QEMU TCG", command("qemu-system-x86_64", "q35", guest, PORTS), PORTS)]
    results = {}
    for _ in range(repeats):
        for name, words, ports in commands:
            for what, times in run(name, words, folder, ports).items():
                results.setdefault(what, {}).setdefault(name, []).extend(times)
    return results


def print_table(results):
    labels = {"acpi comes": "ACPI: device_add to DRIVER_OK", "acpi goes": "ACPI: device_del to DEVICE_DELETED",
              "pcie comes": "PCIe port: device_add to DRIVER_OK"}
    names = list(next(iter(results.values())))
    print(f"\n| ms: median (10th–90th percentile) | {' | '.join(names)} |\n|" + " --- |" * (1 + len(names)))
    for what, monitors in results.items():
        cells = []
        for name in names:
            tenths = statistics.quantiles(monitors[name], n=10)
            cells.append(f"{statistics.median(monitors[name]):.1f} ({tenths[0]:.1f}–{tenths[-1]:.1f}; {len(monitors[name])} times)")
        print(f"| {labels[what]} | {' | '.join(cells)} |")
