#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test_cli.py HEDDLE: the command line as a person meets it: what is refused, how it is said, and what is left behind.

Prints TAP. Tests that run a guest (a few instructions, made here) are skipped where there is no /dev/kvm.
"""
import bz2
import lzma
import os
import re
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.dont_write_bytecode = True
from multiboot import LOAD_ADDRESS, multiboot  # pylint: disable=wrong-import-position
from tap import Skip, WAIT_S, check, run_tests, test  # pylint: disable=wrong-import-position

HEDDLE = os.path.abspath(sys.argv[1])
# Sanitizers take the fatal signals for themselves, and end the process in their own way.
SANITIZED = any(word in Path(HEDDLE).read_bytes() for word in (b"__asan_init", b"__tsan_init"))
FATAL = () if SANITIZED else (signal.SIGSEGV, signal.SIGABRT)


def run(*args, prefix=(), **more):
    """Where KVM has no hardware behind it, heddle says in a line that the software CPU runs: that line is left out here."""
    done = subprocess.run([*prefix, HEDDLE, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=WAIT_S, **more)
    done.stderr = re.sub("^heddle: kvm: .*; using accelerator 'soft'\n", "", done.stderr, flags=re.M)
    return done


def refused(*args, says=(), prefix=()):
    """One line that has all the words, nothing on standard output, status 1, and an empty directory afterwards."""
    with tempfile.TemporaryDirectory() as empty:
        done = run(*args, prefix=prefix, cwd=empty)
        left = os.listdir(empty)
    check(done.returncode == 1, args, "status", done.returncode, done.stderr)
    check(done.stdout == "", args, "printed", done.stdout)
    check(done.stderr.count("\n") == 1 and done.stderr.startswith("heddle: "), args, "said", repr(done.stderr))
    for word in [says] if isinstance(says, str) else says:
        check(word in done.stderr, args, "doesn't say", word, "but", done.stderr)
    check(not left, args, "left", left)


# --- a guest of a few instructions ---------------------------------------------------------------------------------

EXIT_PORT = 0xf4


def out_byte(port, value):
    """mov dx, port; mov al, value; out dx, al (32-bit code)."""
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def pvh(code):
    """An ELF file with a note that names its 32-bit entry point, which is its only segment's beginning."""
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, LOAD_ADDRESS, 64, 0, 0, 64, 56,
                                                                  2, 0, 0, 0)
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen", LOAD_ADDRESS)
    offset = 64 + 2 * 56 + len(note)
    load = struct.pack("<IIQQQQQQ", 1, 7, offset, LOAD_ADDRESS, LOAD_ADDRESS, len(code), len(code), 4)
    notes = struct.pack("<IIQQQQQQ", 4, 4, offset - len(note), 0, 0, len(note), len(note), 4)
    return header + load + notes + note + code


def bzimage(payload, size):
    """A Linux bzImage (boot protocol 2.15) around a compressed kernel of that size; it can't unpack it itself."""
    image = bytearray(1024 + 0x280) + payload + struct.pack("<I", size)
    for at, form, value in [(0x1f1, "<B", 1), (0x1fe, "<H", 0xaa55), (0x201, "<B", 0x6a), (0x202, "<4s", b"HdrS"),
                            (0x206, "<H", 0x20f), (0x211, "<B", 1), (0x22c, "<I", 0x7fffffff), (0x230, "<I", 0x200000),
                            (0x234, "<B", 1), (0x236, "<H", 1), (0x238, "<I", 2047), (0x248, "<I", 0x280),
                            (0x24c, "<I", len(payload) + 4), (0x258, "<Q", 0x1000000), (0x260, "<I", 0x100000)]:
        struct.pack_into(form, image, at, value)
    return bytes(image)


def guest_code(text="", status=None):
    """Says text on COM1, then ends by isa-debug-exit with status, or stands still."""
    code = b"".join(out_byte(0x3f8, byte) for byte in text.encode())
    if status is not None:
        code += out_byte(EXIT_PORT, status)
    return code + b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp


def guest(folder, text="", status=None):
    path = Path(folder) / "guest"
    path.write_bytes(multiboot(guest_code(text, status)))
    return path


def need_kvm():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("no /dev/kvm")


BASE = ["-m", "16", "-display", "none", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]


def wait_until(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        check(time.monotonic() < end, "waited too long for", what)
        time.sleep(0.01)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- help ------------------------------------------------------------------------------------------------------------


@test
def help_is_printed_and_nothing_is_made():
    for args, word in (("-help", "-kernel FILE"), ("-h", "usage:"), ("--help", "usage:"), ("-version", "heddle version"),
                       ("-M help", "pc-q35-7.2"), ("-M help", "none "), ("-machine help", "q35"), ("-accel help", "kvm"), ("-cpu help", "host"),
                       ("-device help", "isa-debug-exit"), ("-device virtio-blk-pci,help", "drive="),
                       ("-device isa-debug-exit,help", "iobase="), ("-device isa-debug-exit,?", "iobase="), ("-device ?", "isa-debug-exit"),
                       ("-M q35,?", "q35"), ("-cpu ?", "host"), ("-qmp-pretty none -monitor none -version", "heddle version"), ("-chardev help", "stdio"),
                       ("-blockdev help", "raw"), ("-object help", "iothread"), ("-trace help", "virtio_status"),
                       ("-d help", "guest_errors")):
        done = run(*args.split())
        check(done.returncode == 0 and word in done.stdout and not done.stderr, args, done)


# --- what is refused -------------------------------------------------------------------------------------------------


@test
def unknown_names_are_answered_with_the_nearest():
    refused("-kernal", "x", says=("'-kernal'", "'-kernel'"))
    refused("--nograhpic", says="'-nographic'")
    refused("-device", "virtio-bkl-pci", says=("'virtio-bkl-pci'", "'virtio-blk-pci'"))
    refused("-device", "virtio-blk-pci,drvie=x", "-kernel", "x", says=("'drvie'", "'drive'"))
    refused("-device", "isa-debug-exit,iobse=1", "-kernel", "x", says=("'iobse'", "'iobase'"))
    refused("-device", "no-such-thing,help", says="'no-such-thing'")
    refused("-device", '{"driver":"virtio-bkl-pci"}', says="'virtio-blk-pci'")
    refused("-drive", "flie=x", says=("'flie'", "'file'"))
    refused("-M", "q36", says=("'q36'", "'q35'"))
    refused("-accel", "kvmm", says=("'kvmm'", "'kvm'"))
    refused("-cpu", "hots", says=("'hots'", "'host'"))
    refused("-cpu", "host,+x2apci", says=("x2apci", "x2apic"))
    refused("-chardev", "stdoi,id=c", "-kernel", "x", says="stdio")
    refused("-object", "iothraed,id=i", "-kernel", "x", says="'iothread'")
    refused("-blockdev", "driver=rwa,node-name=d", "-kernel", "x", says="'raw'")
    refused("-smp", "2,coers=2", says="'cores'")
    refused("-trace", "no_such_*", "-kernel", "x", says="no_such_*")


@test
def bad_numbers():
    for size in ("0", "-1", "12Q", "", "99999999999999999999", "1e3", "0M", "128T"):
        refused("-m", size, "-kernel", "x", says="-m")
    for cpus in ("0", "9999", "-1", "x", "256", "4,sockets=3", "2,maxcpus=4", "cpus=0"):
        refused("-smp", cpus, "-kernel", "x", says="-smp")
    refused("-m", "1G,slots=2,maxmem=4G", says="can't be added later")
    refused("-uuid", "1234", says="-uuid")
    refused("-rtc", "base=yesterday", says="yesterday")


@test
def memory_backends():
    memfd = "memory-backend-memfd,id=mem"
    use = ["-machine", "memory-backend=mem", "-kernel", "x"]
    refused("-machine", "memory-backend=mem", "-kernel", "x", says="no memory backend 'mem'")
    refused("-object", "memory-backend-memdf,id=mem,size=64M", *use, says="'memory-backend-memfd'")
    refused("-object", f"{memfd},size=64M", "-machine", "memory-backend=men", "-kernel", "x", says=("'men'", "'mem'"))
    refused("-object", "iothread,id=mem", *use, says="no memory backend 'mem'")
    refused("-object", f"{memfd},size=64M", "-kernel", "x", says=("nothing uses it", "memory-backend=mem"))
    refused("-object", memfd, *use, says="'size' is missing")
    refused("-object", f"{memfd},size=64M", "-m", "65", *use, says=("67108864", "68157440"))
    refused("-object", f"{memfd},size=64M,hugetlbsize=2M", *use, says="hugetlb=on")
    refused("-object", f"{memfd},size=64M,hugetlb=on,hugetlbsize=3M", *use, says=("power of 2", "3M"))
    refused("-object", f"{memfd},size=63M,hugetlb=on,hugetlbsize=2M", *use, says="multiple")
    refused("-object", f"{memfd},size=64M,hugetbl=on", *use, says=("'hugetbl'", "'hugetlb'"))
    refused("-object", f"{memfd},size=64M,share=maybe", *use, says="share")
    refused("-object", "memory-backend-ram,id=mem,size=64M,hugetlb=on", *use, says="'hugetlb'")
    for size in ("0", "1", "4097k", "65T", "many"):
        refused("-object", f"{memfd},size={size}", *use, says=("memory-backend-memfd,id=mem", "size"))


@test
def the_machine_s_memory_is_a_backend_s():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder, "hello", 3)
        exit_device = ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]
        for args in ("-object memory-backend-memfd,id=mem,size=16M,prealloc=on -machine memory-backend=mem",
                     "-m 16 -mem-prealloc -machine memory-backend=mem,accel=kvm "
                     "-object memory-backend-ram,id=mem,size=16M,share=on,merge=off,dump=on"):
            done = run(*exit_device, *args.split(), "-display", "none", "-kernel", kernel, "-serial", "stdio")
            check(done.returncode == 7 and "hello" in done.stdout, args, done)
        # A page size that no x86-64 host has, and more of the others than there is: said at once, in a line.
        huge = "memory-backend-memfd,id=mem,hugetlb=on"
        use = ["-machine", "memory-backend=mem", "-kernel", kernel]
        refused("-object", f"{huge},hugetlbsize=128k,size=64M", *use, says="no huge pages of that size")
        refused("-object", f"{huge},hugetlbsize=2M,size=4T", *use, says="huge pages")


@test
def things_that_heddle_has_not():
    refused("-drive", "file=x,if=ide", says=("'ide'", "virtio"))
    refused("-drive", "file=x,format=qcow2", says="raw")
    refused("-drive", "file=x,snapshot=on", says="snapshot")
    refused("-drive", "file=x,media=cdrom", says="cdrom")
    refused("-drive", "file=x,cache=fast", says="writeback")
    refused("-drive", "if=none,id=d", says="'file'")
    refused("-drive", "file=x,unit=first", says="'unit'")
    refused("-drive", "file=x,copy-on-read=on", says="copy-on-read")
    refused("-vga", "std", says="-vga")
    refused("-nic", "user", says="-nic")
    refused("-netdev", "tap,fd=30,id=n", says="-netdev")
    refused("-incoming", "defer", says="-incoming")
    refused("-audiodev", "pa,id=a", says="-audiodev")
    refused("-object", "secret,id=s,file=/no/such/file", "-kernel", "x", says=("secret,id=s", "/no/such/file"))
    refused("-global", "hpet.msi=on", "-kernel", "x", says="hpet")
    refused("-display", "gtk", says="-display")
    refused("-machine", "q35,usb=on", says="usb=on")
    refused("-machine", "q35,kernel-payload=yes", says=("kernel-payload", "auto"))
    refused("disk.img", says="-drive file=disk.img")
    refused("-m", says="needs an argument")
    refused("-kernel", "x", "-daemonize", "-nographic", says="-daemonize")
    refused("-append", "x", says="-kernel")
    refused("-m", "64", says="-kernel is missing")


@test
def ids_and_references():
    refused("-kernel", "x", "-device", "virtio-blk-pci,drive=d0", says="'d0'")
    refused("-kernel", "x", "-device", "isa-serial,chardev=c0", says="'c0'")
    refused("-kernel", "x", "-serial", "chardev:c0", says="'c0'")
    refused("-kernel", "x", "-object", "iothread,id=a", "-object", "iothread,id=a", says="'a'")
    refused("-kernel", "x", "-drive", "file=x,if=none,id=a", "-drive", "file=x,if=none,id=a", says="'a'")
    refused("-kernel", "x", "-object", "iothread,id=1", says="'1'")
    refused("-kernel", "x", "-object", "iothread", says="'id'")
    refused("-kernel", "x", "-serial", "stdio", "-serial", "stdio", says="twice")
    refused("-kernel", "x", "-serial", "stdoi", says="'stdoi'")
    refused("-kernel", "x", "-mon", "chardev=c0,mode=control", says=("-mon", "'c0'"))
    refused("-kernel", "x", "-chardev", "socket,id=c,fd=77,server=on", says="fd='77'")
    refused("-kernel", "x", "-device", "isa-debug-exit,bus=usb.0", says="usb.0")


@test
def malformed_strings():
    refused("-device", "{", says="JSON")
    refused("-device", '{"driver":"isa-serial"} x', says="JSON")
    refused("-device", '{"driver":null}', says="driver")
    refused("-device", '{"id":"x"}', says="'driver'")
    refused("-device", "isa-serial,=3", says="without a name")
    refused("-blockdev", '{"driver":"raw"}', says="node-name")
    refused("-device", "isa-debug-exit,iobase=banana", "-kernel", "x", says="banana")


@test
def bad_kernels():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "empty").write_bytes(b"")
        (path / "text").write_text("I am not a kernel\n" * 1000)
        (path / "short-elf").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(20))
        header = bytearray(4096)
        header[0x1f1] = 30  # setup_sects: more than there is
        header[0x1fe:0x200] = b"\x55\xaa"
        header[0x202:0x206] = b"HdrS"
        header[0x206:0x208] = struct.pack("<H", 0x20c)
        (path / "short-bzimage").write_bytes(header)
        for name in ("missing", "empty", "text", "short-elf", "short-bzimage", "."):
            refused("-m", "64", "-kernel", path / name, says=str(path / name))
        kernel = guest(folder)
        refused("-m", "64", "-kernel", kernel, "-initrd", path / "no-initrd", says="no-initrd")


@test
def bad_disks():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        kernel = guest(folder)
        (path / "odd").write_bytes(bytes(1000))
        (path / "read-only").write_bytes(bytes(4096))
        (path / "read-only").chmod(0o444)
        for name in ("missing", "odd", "."):
            for options in ("", ",if=none,id=d"):
                device = ["-device", "virtio-blk-pci,drive=d"] if options else []
                refused("-m", "64", "-kernel", kernel, "-drive", f"file={path / name}{options}", *device)
        # Root may write to everything, by a capability that it can do without.
        prefix = ("setpriv", "--bounding-set", "-dac_override", "--") if os.geteuid() == 0 else ()
        refused("-m", "64", "-kernel", kernel, "-drive", f"file={path / 'read-only'}", says="read-only", prefix=prefix)
        check(sorted(os.listdir(folder)) == ["guest", "odd", "read-only"], os.listdir(folder))


@test
def outputs_that_can_not_be_written():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder)
        refused("-kernel", kernel, "-pidfile", "/no/such/dir/pid", says="/no/such/dir/pid")
        refused("-kernel", kernel, "-D", "/no/such/dir/log", says="/no/such/dir/log")
        refused("-kernel", kernel, "-serial", "file:/no/such/dir/out", says="/no/such/dir/out")


# --- what runs -------------------------------------------------------------------------------------------------------


@test
def a_guest_speaks_and_ends():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder, "hello\n", 3)
        done = run(*BASE, "-kernel", kernel, "-serial", "stdio")
        check(done.returncode == 3 * 2 + 1 and "hello" in done.stdout, done)
        out = Path(folder) / "out"
        done = run(*BASE, "-kernel", kernel, "-serial", f"file:{out}", "-name", "x", "-uuid",
                   "550e8400-e29b-41d4-a716-446655440000", "-rtc", "base=utc", "-M", "q35,accel=kvm", "-smp", "2",
                   "-monitor", "none", "-parallel", "none", "-vga", "none", "-nic", "none", "-boot", "order=c",
                   "-no-reboot", "-enable-kvm")
        check(done.returncode == 7 and out.read_text() == "hello\n", done)
        done = run(*BASE, "-nodefaults", "-kernel", kernel, "-chardev", '{"backend":"stdio","id":"c"}', "-device",
                   '{"driver":"isa-serial","chardev":"c"}')
        check(done.returncode == 7 and "hello" in done.stdout, done)


@test
def disks_in_all_spellings():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder, "", 1)
        disk = Path(folder) / "disk,1"
        disk.write_bytes(bytes(1 << 20))
        name = str(disk).replace(",", ",,")
        for args in (["-drive", f"file={name},if=virtio,format=raw,cache=none,aio=io_uring,discard=unmap"],
                     ["-drive", f"file={name},cache=unsafe,aio=threads,readonly=on"],
                     ["-drive", f"file={name},cache=writethrough,index=0,unit=1,bus=0,media=disk,werror=report"],
                     ["-drive", f"file={name},if=none,id=d,format=raw", "-device", "virtio-blk-pci,drive=d,id=b"],
                     ["-blockdev", f'{{"driver":"raw","node-name":"d","file":{{"driver":"file","filename":"{disk}"}}}}',
                      "-object", "iothread,id=i", "-device", "virtio-blk-pci,drive=d,iothread=i"]):
            done = run(*BASE, "-kernel", kernel, *args)
            check(done.returncode == 3 and not done.stderr, args, done)


DEBUG_PORT = 0xe9


@test
def a_debug_console_s_writes_are_coalesced_and_all_come_out():
    need_kvm()
    text = "".join(f"line {n}\n" for n in range(20)).encode()
    with tempfile.TemporaryDirectory() as folder:
        out, log, kernel = Path(folder) / "out", Path(folder) / "log", Path(folder) / "guest"
        says = b"".join(out_byte(DEBUG_PORT, byte) for byte in text)
        # What was written just before the end isn't lost; the writes didn't each leave the guest.
        kernel.write_bytes(multiboot(says + out_byte(EXIT_PORT, 3) + b"\xfa\xf4\xeb\xfd"))
        done = run(*BASE, "-accel", "kvm", "-kernel", kernel, "-debugcon", f"file:{out}", "-trace", "vcpu_exit", "-D", log)
        check(done.returncode == 7 and out.read_bytes() == text, done, out.read_bytes())
        exits = log.read_text().count("reason 2 ")
        check(0 < exits < len(text) / 2, exits, "exits for", len(text), "writes")
        # Nor is it held back for long by a guest that then does nothing.
        out.unlink()
        kernel.write_bytes(multiboot(says + b"\xfa\xf4\xeb\xfd"))
        process = start(*BASE, "-kernel", kernel, "-debugcon", f"file:{out}", stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: out.exists() and out.read_bytes() == text, "all of the text")
        finally:
            process.terminate()
        check(process.wait(WAIT_S) == 0, process.returncode)


@test
def devices_with_what_they_refer_to():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder, "", 1)
        for args in ("-object rng-random,filename=/dev/urandom,id=r -device virtio-rng-pci,rng=r",
                     "-device virtio-rng,addr=7",
                     "-chardev null,id=c -device virtio-serial-pci -device virtconsole,chardev=c",
                     "-chardev null,id=c -device virtio-serial-pci,id=vs -device virtserialport,chardev=c,bus=vs.0",
                     "-debugcon null -serial null -serial none -serial pty",
                     f"-chardev socket,id=c,path={folder}/socket,server=on,wait=off -serial chardev:c"):
            done = run(*BASE, "-kernel", kernel, *args.split())
            check(done.returncode == 3, args, done)
        check(os.listdir(folder) == ["guest"], "left", os.listdir(folder))
        refused(*BASE, "-kernel", kernel, "-device", "virtio-rng-pci,addr=1f", "-device", "virtio-rng-pci,addr=5",
                "-device", "virtio-rng-pci,addr=5", says="virtio-rng-pci")


@test
def a_socket_that_it_was_started_with():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel, path = guest(folder, "hello", 3), f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(path)
            listener.listen(5)
            client.connect(path)  # the guest begins when this one is accepted
            done = run(*BASE, "-kernel", kernel, "-chardev", f"socket,id=c,fd={listener.fileno()},server=on", "-serial",
                       "chardev:c", pass_fds=[listener.fileno()])
            check(done.returncode == 7 and client.recv(100) == b"hello", done)
            check(os.path.exists(path), "somebody else's name is gone")
            refused("-kernel", kernel, "-chardev", "socket,id=c,fd=0", "-serial", "chardev:c", says=("'c'", "fd=0"))
        ours, its = socket.socketpair()
        with ours, its:
            done = run(*BASE, "-kernel", kernel, "-chardev", f"socket,id=c,fd={its.fileno()}", "-serial", "chardev:c",
                       pass_fds=[its.fileno()])
            check(done.returncode == 7 and ours.recv(100) == b"hello", done)


@test
def a_telnet_client_gets_the_console():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        process = start(*BASE, "-kernel", guest(folder, "hello", 3), "-serial", "telnet:127.0.0.1:0,server", stderr=subprocess.PIPE,
                        stdin=subprocess.DEVNULL, text=True)
        line = process.stderr.readline()
        while "waits for a connection" not in line:
            check(line, "no such line")
            line = process.stderr.readline()
        port = int(re.search(r"telnet:127.0.0.1:(\d+)", line)[1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            text = b""
            while piece := client.recv(100):
                text += piece
        check(text.startswith(b"\xff\xfb\x01") and text.endswith(b"hello"), text)
        check(process.wait(WAIT_S) == 7, process.returncode)
        process.stderr.close()


def start(*args, **more):
    return subprocess.Popen([HEDDLE, *map(str, args)], **more)


@test
def what_concerns_the_process():
    need_kvm()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z heddle: "
    done = run("-msg", "timestamp=on", "-kernel", "/no/such/kernel")
    check(done.returncode == 1 and re.fullmatch(stamp + ".*no/such/kernel.*\n", done.stderr), done)
    with tempfile.TemporaryDirectory() as folder:
        kernel, pidfile = guest(folder, "hello", 3), Path(folder) / "pid"
        done = run(*BASE, "-kernel", kernel, "-overcommit", "mem-lock=on", "-msg", "timestamp=on", "-serial", "pty")
        check(done.returncode == 7 and re.search(stamp + "char device redirected", done.stderr), done)
        done = run(*BASE, "-kernel", kernel, "-overcommit", "mem-lock=on",
                   prefix=("prlimit", "--memlock=65536", "setpriv", "--bounding-set", "-ipc_lock", "--") if os.geteuid() == 0
                   else ("prlimit", "--memlock=65536"))
        if not SANITIZED:  # for them it would be too much, so they make nothing of it
            check(done.returncode == 1 and "mem-lock=on" in done.stderr and done.stderr.count("\n") == 1, done)
        # A file and a pipe that somebody else opened: neither is truncated or opened again.
        out, (read_end, write_end) = Path(folder) / "out", os.pipe()
        with open(out, "ab") as log, os.fdopen(read_end, "rb") as reader:
            log.write(b"before ")
            log.flush()
            done = run(*BASE, "-kernel", kernel, "-add-fd", f"fd={log.fileno()},set=7,opaque=console", "-add-fd",
                       f"fd={write_end},set=8", "-chardev", "file,id=a,path=/dev/fdset/7,append=on", "-chardev",
                       "file,id=b,path=/dev/fdset/8", "-serial", "chardev:a", "-serial", "chardev:b",
                       pass_fds=[log.fileno(), write_end])
            os.close(write_end)
            check(done.returncode == 7 and out.read_bytes() == b"before hello" and reader.read() == b"", done)
        disk = Path(folder) / "disk"
        disk.write_bytes(bytes(1 << 16))
        with open(disk, "r+b") as file:
            done = run(*BASE, "-kernel", kernel, "-add-fd", f"fd={file.fileno()},set=1", "-drive", "file=/dev/fdset/1",
                       pass_fds=[file.fileno()])
            check(done.returncode == 7, done)
        done = run(*BASE, "-kernel", kernel, "-fw_cfg", "opt/org.test/a,string=x", "-global", "isa-debug-exit.iosize=4")
        check(done.returncode == 7, done)
        refused(*BASE, "-kernel", kernel, "-fw_cfg", f"opt/{'a' * 60},string=x", says="opt/aaaa")
        process = start(*BASE, "-S", "-kernel", kernel, "-machine", "dump-guest-core=off", "-pidfile", pidfile,
                        stdin=subprocess.DEVNULL)
        wait_until(pidfile.exists, "the pid file")
        check(int(Path(f"/proc/{process.pid}/coredump_filter").read_text(), 16) & 0x42 == 0, "the guest would be dumped")
        process.terminate()
        check(process.wait(WAIT_S) == 0, process.returncode)


@test
def signals_end_it_and_the_pid_file_goes():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder)
        pidfile = Path(folder) / "pid"
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for paused in ([], ["-S"]):
                process = start(*BASE, *paused, "-kernel", kernel, "-pidfile", pidfile, stdin=subprocess.DEVNULL)
                wait_until(lambda: pidfile.exists() and pidfile.read_text().endswith("\n"), "the pid file")
                check(int(pidfile.read_text()) == process.pid, pidfile.read_text())
                process.send_signal(number)
                check(process.wait(WAIT_S) == 0, number, paused, process.returncode)
                check(not pidfile.exists(), "the pid file is left")


@test
def a_kernel_is_unpacked_from_its_bzimage():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel, path = pvh(guest_code("unpacked\n", 3)), Path(folder) / "bzImage"
        path.write_bytes(bzimage(lzma.compress(kernel), len(kernel)))
        done = run(*BASE, "-kernel", path, "-serial", "stdio", "-M", "kernel-payload=on")
        check(done.returncode == 7 and done.stdout == "unpacked\n", done)
        path.write_bytes(bzimage(bz2.compress(kernel), len(kernel)))
        refused(*BASE, "-kernel", path, "-M", "kernel-payload=on", says=(str(path), "bzip2"))
        path.write_bytes(bzimage(lzma.compress(kernel)[:-40], len(kernel)))
        refused(*BASE, "-kernel", path, "-M", "kernel-payload=on", says=(str(path), "xz", "damaged"))


@test
def it_goes_to_the_background_when_the_machine_is_made():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder)
        pidfile = Path(folder) / "pid"
        done = run(*BASE, "-kernel", kernel, "-daemonize", "-pidfile", "pid", cwd=folder)
        check(done.returncode == 0, done)
        pid = int(pidfile.read_text())
        check(is_alive(pid) and os.getsid(pid) == pid, "no session of its own")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pidfile.exists(), "the pid file to go")
        # When it returns, whoever wants to talk to it can; names from where it was started are removed from there.
        done = run(*BASE, "-kernel", kernel, "-S", "-qmp", "unix:qmp,server=on,wait=off", "-daemonize", "-pidfile", "pid",
                   cwd=folder)
        check(done.returncode == 0, done)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{folder}/qmp")
            os.kill(int(pidfile.read_text()), signal.SIGTERM)
            wait_until(lambda: not pidfile.exists(), "the pid file to go")
        wait_until(lambda: not os.path.exists(f"{folder}/qmp"), "the socket to go")
        refused("-daemonize", "-kernel", Path(folder) / "missing", says="missing")


@test
def a_pid_file_has_one_owner():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder)
        pidfile = Path(folder) / "pid"
        process = start(*BASE, "-kernel", kernel, "-pidfile", pidfile, stdin=subprocess.DEVNULL)
        wait_until(lambda: pidfile.exists() and pidfile.read_text().endswith("\n"), "the pid file")
        refused("-kernel", kernel, "-pidfile", pidfile, says=str(pidfile))
        check(pidfile.read_text() == f"{process.pid}\n", "the loser wrote to it")
        process.terminate()
        process.wait(WAIT_S)


class Terminal:
    """heddle on a terminal of its own."""

    def __init__(self, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = b""
        self.process = start(*args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True)

    def wait_for(self, word):
        end = time.monotonic() + WAIT_S
        while word not in self.text:
            check(time.monotonic() < end, "no", word, "in", self.text)
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096)

    def wait_raw(self):
        wait_until(lambda: not termios.tcgetattr(self.slave)[3] & termios.ICANON, "a raw terminal")

    def end(self):
        status = self.process.wait(WAIT_S)
        check(termios.tcgetattr(self.slave) == self.before, "the terminal isn't as it was")
        os.close(self.master)
        os.close(self.slave)
        return status


@test
def the_terminal_is_restored():
    need_kvm()
    with tempfile.TemporaryDirectory() as folder:
        kernel = guest(folder, "ready")
        for end in ("key", signal.SIGTERM, signal.SIGHUP, *FATAL):
            terminal = Terminal(*BASE, "-kernel", kernel, "-nographic")
            terminal.wait_for(b"ready")
            terminal.wait_raw()
            if end == "key":
                os.write(terminal.master, b"\x01h")
                terminal.wait_for(b"C-a x")
                os.write(terminal.master, b"\x01x")
                check(terminal.end() == 0, "Ctrl-A x")
            else:
                terminal.process.send_signal(end)
                status = terminal.end()
                check(status == (0 if end in (signal.SIGTERM, signal.SIGHUP) else -end), end, status)
        terminal = Terminal(*BASE, "-kernel", guest(folder, "bye", 0), "-nographic")
        terminal.wait_for(b"bye")
        check(terminal.end() == 1, "isa-debug-exit")


run_tests(sys.argv[2] if len(sys.argv) > 2 else "")
