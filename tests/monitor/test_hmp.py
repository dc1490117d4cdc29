#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test_hmp.py HEDDLE: the monitor for people, as a person or a script meets it on a socket and on a terminal.

Prints TAP. The guest is a few instructions, made here, on the software CPU: it says a word and then counts in memory.
"""
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.dont_write_bytecode = True
from multiboot import LOAD_ADDRESS, multiboot  # pylint: disable=wrong-import-position
from tap import WAIT_S, check, run_tests, test  # pylint: disable=wrong-import-position

HEDDLE = os.path.abspath(sys.argv[1])
COUNTER = 0x180000
PROMPT = "(heddle) "


def guest(folder):
    """mov dx, 0x3f8; mov al, byte; out dx, al; ...; again: inc dword [COUNTER]; pause; jmp again (32-bit code)."""
    said = b"".join(b"\x66\xba\xf8\x03\xb0" + bytes([byte]) + b"\xee" for byte in b"ready")
    count = b"\xff\x05" + struct.pack("<I", COUNTER) + b"\xf3\x90"
    path = Path(folder) / "guest"
    path.write_bytes(multiboot(said + count + b"\xeb" + struct.pack("b", -len(count) - 2)))
    return path


class Heddle:
    """A process with a monitor on a Unix socket, and this end of it."""

    def __init__(self, *args, machine=True):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "mon")
        board = ["-accel", "soft", "-m", "16", "-kernel", guest(self.folder.name)] if machine else ["-machine", "none"]
        self.process = subprocess.Popen([HEDDLE, *map(str, board), "-display", "none", "-nodefaults", "-monitor",
                                         f"unix:{self.path},server,nowait", *map(str, args)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.socket = self.connect()
        self.text = ""
        self.wait_for(PROMPT)
        self.greeting, self.text = self.text, ""

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.socket.close()
        self.process.kill()
        self.process.communicate()
        self.folder.cleanup()

    def connect(self):
        end = time.monotonic() + WAIT_S
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(self.path)
                return client
            except OSError:
                client.close()
                check(self.process.poll() is None, "ended:", self.process.poll(), self.process.stderr)
                check(time.monotonic() < end, "no socket")
                time.sleep(0.01)

    def wait_for(self, word):
        end = time.monotonic() + WAIT_S
        while word not in self.text:
            check(time.monotonic() < end, "no", repr(word), "in", repr(self.text))
            if select.select([self.socket], [], [], 0.1)[0]:
                got = self.socket.recv(65536).decode()
                check(got, "closed; so far", repr(self.text))
                self.text += got

    def type(self, keys):
        self.socket.sendall(keys.encode())

    def run(self, line):
        """What a line says, without its echo. A space and a newline of each line are as they came."""
        self.text = ""
        self.type(line + "\n")
        self.wait_for("\r\n" + PROMPT if line else PROMPT)
        echo, _, said = self.text.partition("\r\n")
        check(line.endswith(echo[-20:].strip()) or "\r" in echo, "echo", repr(echo), "of", repr(line))
        check(said.endswith(PROMPT), repr(said))
        return said[:-len(PROMPT)].replace("\r\n", "\n")

    def says(self, line, *words):
        said = self.run(line)
        for word in words:
            check(re.search(word, said, re.M), repr(line), "doesn't say", repr(word), "but", repr(said))
        return said

    def end(self):
        return self.process.wait(WAIT_S)


# --- lines -----------------------------------------------------------------------------------------------------------


@test
def greeting_help_and_what_is_misspelt():
    with Heddle("-S") as heddle:
        check(re.fullmatch(r"heddle \S+ monitor - type 'help' for more information\r\n\(heddle\) ", heddle.greeting),
              repr(heddle.greeting))
        said = heddle.says("help", r"^info \[TOPIC\] -- ", r"^stop\|s -- ", r"^device_add TYPE", r"^quit\|q -- ")
        check(said == heddle.run("?"), "? isn't help")
        heddle.says("help info", "^info status -- ", "^info mtree")
        heddle.says("help info mtree", r"\Ainfo mtree \[-f\] -- .*\n\Z")
        heddle.says("help stop", r"\Astop\|s -- .*\n\Z")
        check(heddle.run("info") == heddle.run("help info"), "info alone")
        heddle.says("inof status", r"\Aunknown command: 'inof'; did you mean 'info'\?\n\Z")
        heddle.says("info stats", "did you mean 'status'")
        heddle.says("stop now", "argument too many: 'now'")
        check(heddle.run("   ") == "" and heddle.run("# a remark") == "", "a blank line says something")


@test
def info_about_the_machine():
    with Heddle("-S", "-name", "ada", "-uuid", "550e8400-e29b-41d4-a716-446655440000", "-smp", "2", "-object",
                "iothread,id=io1", "-chardev", "null,id=nix") as heddle:
        heddle.says("info version", r"\Aheddle \d+\.\d+\.\d+\n\Z")
        check(heddle.run("info name") == "ada\n", "name")
        check(heddle.run("info uuid") == "550e8400-e29b-41d4-a716-446655440000\n", "uuid")
        check(heddle.run("info kvm") == "kvm support: disabled\n", "kvm")
        check(heddle.run("info jobs") == "No active jobs\n", "jobs")
        heddle.says("info cpus", r"^\* CPU #0: thread_id=\d+ \(paused", "^  CPU #1: ")
        heddle.says("info chardev", "^nix: filename=null$", "^compat_monitor0: filename=.*mon")
        heddle.says("info iothreads", "^io1:$")
        heddle.says("info registers", r"^CPU#0$", "(?i)rip *=")
        heddle.says("info registers -a", r"^CPU#0$", "^CPU#1$")
        heddle.says("info registers 1", r"\A\nCPU#1$")
        heddle.says("info registers 2", "there is no CPU '2'")


@test
def stop_and_cont():
    with Heddle("-S") as heddle:
        def counter():
            return heddle.says(f"xp/1xw {COUNTER:#x}", r"\A[0-9a-f]{16}: 0x[0-9a-f]{8}\n\Z")

        def counts():
            first = counter()
            end = time.monotonic() + WAIT_S
            while counter() == first:
                check(time.monotonic() < end, "the guest stands still")
        check(heddle.run("info status") == "VM status: paused (prelaunch)\n", "prelaunch")
        check(heddle.run("cont") == "", "cont")
        check(heddle.run("info status") == "VM status: running\n", "running")
        counts()
        check(heddle.run("stop") == "", "stop")
        check(heddle.run("info status") == "VM status: paused\n", "paused")
        check(counter() == counter(), "a paused guest counts")
        heddle.run("c")
        counts()
        heddle.run("s")
        check(heddle.run("system_reset") == "", "reset")
        check(heddle.run("nmi") == "", "nmi")
        check(heddle.run("system_powerdown") == "", "powerdown")
        heddle.type("quit\n")
        check(heddle.end() == 0, "quit")


@test
def memory_and_expressions():
    with Heddle("-S") as heddle:
        check(heddle.run("print 1+2*3") == "0x7\n", "print")
        check(heddle.run("p/d 0-5") == "-5\n", "p/d")
        check(heddle.run("p /u ~0") == "18446744073709551615\n", "p /u")
        check(heddle.run("p/c 0x41") == "'A'\n", "p/c")
        check(heddle.run("p $rip") == f"{LOAD_ADDRESS + 32:#x}\n", heddle.run("p $rip"))
        heddle.says("p 1/0", "Error: .*zero")
        heddle.says("p $rop", "Error: .*no such register at '\\$rop'")
        check(heddle.run(f"xp/2xw {LOAD_ADDRESS:#x}") == f"{LOAD_ADDRESS:016x}: 0x1badb002 0x00010000\n", "xp/2xw")
        check(heddle.run(f"xp /5xb {LOAD_ADDRESS:#x}") == f"{LOAD_ADDRESS:016x}: 0x02 0xb0 0xad 0x1b 0x00\n", "xp /5xb")
        check(heddle.run("x/1xh $rip") == f"{LOAD_ADDRESS + 32:016x}: 0xba66\n", "x/1xh")
        lines = heddle.run(f"xp/40xb {LOAD_ADDRESS:#x}").splitlines()
        check([line[:17] for line in lines] == [f"{LOAD_ADDRESS + 16 * i:016x}:" for i in range(3)], lines)
        heddle.says("xp 0xfee00000", r"\ACannot access memory at address 0xfee00000\n\Z")
        heddle.says("xp/99999999x 0", "too many")
        heddle.says("xp/4z 0", "'z' is no format")
        heddle.says("xp", "Error: a number is missing")


@test
def the_memory_map():
    with Heddle("-S") as heddle:
        tree = heddle.says("info mtree", "^address-space: memory$", "^address-space: io$",
                           r"^    0000000000000000-0000000000ffffff \(prio 0, ram\): ram-below-4g$", "i/o.*owner:")
        flat = heddle.says("info mtree -f", "^FlatView #0$", '^ AS "memory", root: memory$',
                           r"^  0000000000000000-0000000000ffffff \(prio 0, ram\): ram-below-4g$")
        check("alias" in tree and "alias" not in flat and "container" not in flat, flat)
        ranges = [(int(a, 16), int(b, 16)) for a, b in re.findall("^  (\\w{16})-(\\w{16})", flat.split("FlatView #1")[0], re.M)]
        check(all(a[1] < b[0] for a, b in zip(ranges, ranges[1:])), ranges)
        heddle.says("info mtree -g", "argument too many: '-g'")


# --- devices ---------------------------------------------------------------------------------------------------------


@test
def devices_are_listed():
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        with Heddle("-S", "-drive", f"if=none,id=d0,file={disk.name},format=raw,readonly=on", "-device",
                    "virtio-blk-pci,drive=d0,id=vda,addr=5", "-device", "virtio-rng-pci,id=rng") as heddle:
            heddle.says("info pci", r"^  Bus  0, device   0, function 0:\n    Host bridge: PCI device \w{4}:\w{4}$",
                        r"^  Bus  0, device   5, function 0:\n    SCSI controller: PCI device 1af4:\w{4}\n",
                        '^      id "vda"$', r"^      BAR\d: ")
            heddle.says("info qtree", "^bus: main-system-bus$", "^  bus: pcie.0$",
                        '^    dev: virtio-blk-pci, id "vda"$', "^      addr = 05.0$", '^      drive = "d0"$',
                        '^    dev: virtio-rng-pci, id "rng"$')
            heddle.says("info block", f"^d0: {disk.name} .raw, read-only.$", "^    Attached to: +vda$",
                        "^    Size: +1048576 bytes .1 MiB.$", "^    Stands on: ")
            heddle.says("info blockstats", "^d0: rd_bytes=0 wr_bytes=0 ")


@test
def devices_come_and_go():
    with Heddle("-S", "-device", "pcie-root-port,id=rp0,chassis=1") as heddle:
        heddle.says("info pci", "^    PCI bridge: ", "^      secondary bus ")
        check(heddle.run("device_add virtio-rng-pci,id=r1,bus=rp0") == "", "device_add")
        heddle.says("info qtree", '^    dev: pcie-root-port, id "rp0"$', "^      bus: rp0$",
                    '^        dev: virtio-rng-pci, id "r1"$')
        heddle.says("info pci", '^      id "r1"$')
        heddle.says("device_add virtio-rng-pci,id=r1,bus=rp0", "^Error: ")
        heddle.says('device_add {"driver":"virtio-rng-pci","id":"r2","bus":"nowhere"}', "^Error: .*nowhere")
        check(heddle.run("device_del r1") == "", "device_del")
        end = time.monotonic() + WAIT_S
        while '"r1"' in heddle.run("info qtree"):
            check(time.monotonic() < end, "r1 doesn't go")


@test
def locks_are_counted():
    with Heddle("-S", "-serial", "null") as heddle:
        heddle.says("info locks", "^No lock is counted")
        heddle.says("lock-stats maybe", "^Error: ")
        check(heddle.run("lock-stats on") == "", "on")
        heddle.run("cont")
        end = time.monotonic() + WAIT_S
        while not re.search("^isa-serial: taken [1-9]", heddle.run("info locks"), re.M):
            check(time.monotonic() < end, "no access is counted", heddle.run("info locks"))
        heddle.says("info locks", "^isa-serial: taken \\d+, waited for \\d+, .*\n  longest hold: .* at .*dispatch.c:")
        check(heddle.run("lock-stats off") == "", "off")
        heddle.says("info locks", "^isa-serial: .*not counting")


@test
def objects_come_and_go():
    with Heddle("-S") as heddle:
        check(heddle.run("object_add iothread,id=io7") == "", "object_add")
        heddle.says("info iothreads", "^io7:$")
        heddle.says("object_add iothread,id=io7", "^Error: .*io7")
        heddle.says("object_add iothread", "'id' is missing")
        heddle.says("object_add", "^Error: ")
        check(heddle.run("object_del io7") == "", "object_del")
        heddle.says("object_del io7", "^Error: .*io7")
        check(heddle.run("chardev-add ringbuf,id=rb,size=4096") == "", "chardev-add")
        heddle.says("info chardev", "^rb: filename=ringbuf$")
        heddle.says("chardev-remove compat_monitor0", "^Error: ")
        check(heddle.run("chardev-remove rb") == "", "chardev-remove")
        check("rb:" not in heddle.run("info chardev"), "rb is still there")
        heddle.says("device_add help", '^name "virtio-blk-pci"')
        heddle.says("device_add virtio-blk-pci,help", "^virtio-blk-pci options:", "^  drive=<str>")
        heddle.says("device_add virtio-bkl-pci", "^Error: .*virtio-bkl-pci")
        heddle.says("device_del nobody", "^Error: .*nobody")


@test
def a_machine_of_nothing():
    with Heddle(machine=False) as heddle:
        heddle.says("info pci", "this machine has no devices")
        heddle.says("xp 0", "this machine has no devices")
        heddle.says("print 6*7", "^0x2a$")
        heddle.says("info status", "^VM status: ")
        heddle.type("q\n")
        check(heddle.end() == 0, "quit")


@test
def trace_points():
    with Heddle("-S") as heddle:
        heddle.says("info trace-events", "^vcpu_exit : state 0$")
        check(heddle.run("trace-event vcpu_* on") == "", "on")
        heddle.says("info trace-events", "^vcpu_exit : state 1$", "^vcpu_kick : state 1$", "^pci_bar : state 0$")
        check(heddle.run("trace-event vcpu_exit off") == "", "off")
        heddle.says("info trace-events", "^vcpu_exit : state 0$", "^vcpu_kick : state 1$")
        heddle.says("trace-event nothing on", "^Error: .*'nothing'")
        heddle.says("trace-event vcpu_exit maybe", "^Error: ")
        heddle.run("log none")
        check("state 1" not in heddle.run("info trace-events"), "log none")


# --- the terminal ----------------------------------------------------------------------------------------------------


@test
def keys_completion_and_history():
    with Heddle("-S", "-device", "virtio-rng-pci,id=randomness") as heddle:
        heddle.type("info stat\t\n")
        heddle.wait_for("VM status: ")
        heddle.wait_for("\r\n" + PROMPT)
        heddle.text = ""
        heddle.type("system_\t\t")
        heddle.wait_for("system_reset")
        heddle.wait_for("system_powerdown")
        heddle.type("\x03device_del ran\t")
        heddle.wait_for("randomness ")
        heddle.type("\x15device_add virtio-bl\tdri\t")
        heddle.wait_for("virtio-blk-pci,drive=")
        heddle.type("\x15info history\n")
        heddle.wait_for("0: 'info status '")
        heddle.text = ""
        heddle.type("\x1b[A\x1b[A\n")  # up, up
        heddle.wait_for("VM status: paused (prelaunch)")


@test
def clients_come_and_go():
    with Heddle("-S") as heddle:
        heddle.type("half a li")
        heddle.socket.close()
        heddle.socket = heddle.connect()
        heddle.text = ""
        heddle.wait_for(PROMPT)
        said = heddle.run("info status")
        check(said.startswith("VM status"), "the second client got", repr(said))
        heddle.socket.sendall(os.urandom(20000).replace(b"q", b"w"))  # whatever it is, it isn't "quit"
        heddle.socket.close()
        heddle.socket = heddle.connect()
        heddle.socket.sendall(b"quit\n")  # and doesn't stay to hear
        heddle.socket.close()
        check(heddle.end() == 0, "quit")


@test
def behind_the_console():
    with tempfile.TemporaryDirectory() as folder:
        master, slave = pty.openpty()
        process = subprocess.Popen([HEDDLE, "-accel", "soft", "-m", "16", "-kernel", str(guest(folder)), "-nographic"],
                                   stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
        text = ""

        def wait_for(word):
            nonlocal text
            end = time.monotonic() + WAIT_S
            while word not in text:
                check(time.monotonic() < end, "no", repr(word), "in", repr(text))
                if select.select([master], [], [], 0.1)[0]:
                    text += os.read(master, 4096).decode(errors="replace")
        try:
            wait_for("ready")
            check(PROMPT not in text, "a prompt in the guest's console", repr(text))
            os.write(master, b"\x01c")
            wait_for(PROMPT)
            os.write(master, b"info status\r")
            wait_for("VM status: running")
            wait_for(PROMPT)
            os.write(master, b"quit\r")
            check(process.wait(WAIT_S) == 0, "quit")
        finally:
            process.kill()
            process.wait()
            os.close(master)
            os.close(slave)


@test
def by_way_of_qmp():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "qmp")
        with Heddle("-S", "-qmp", f"unix:{path},server=on,wait=off") as heddle:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            client.settimeout(WAIT_S)
            stream = client.makefile("rw")
            check("QMP" in json.loads(stream.readline()), "greeting")

            def execute(command, **arguments):
                stream.write(json.dumps({"execute": command, "arguments": arguments}))
                stream.flush()
                while True:
                    reply = json.loads(stream.readline())
                    if "event" not in reply:
                        return reply
            execute("qmp_capabilities")
            reply = execute("human-monitor-command", **{"command-line": "info status"})
            check(reply["return"].strip() == "VM status: paused (prelaunch)", reply)
            reply = execute("human-monitor-command", **{"command-line": "nonsense"})
            check("unknown command" in reply["return"], reply)
            client.close()


run_tests(sys.argv[2] if len(sys.argv) > 2 else "")
