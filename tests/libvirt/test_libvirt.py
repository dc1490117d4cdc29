#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test_libvirt.py [EMULATOR]: Debian's libvirtd and virsh drive heddle (or another emulator) through a domain's life.

Prints a line a check. Everything happens in mount and network namespaces of its own, with empty folders where libvirt keeps
its state, so that no other libvirtd notices; libvirtd and the guest are ended in any case. Needs root; it skips without, and
without libvirt.
"""
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUEST = os.environ.get("HEDDLE_GUEST_DIR", os.path.join(ROOT, "build", "guest"))
STATE_FOLDERS = ["/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/etc/libvirt"]
BOOT_S = 60     # a guest, on the software CPU of a busy machine
COMMAND_S = 60  # virsh gives up long before that

QEMU_CONF = """
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
namespaces = []
cgroup_controllers = []
remember_owner = 0
"""
LIBVIRTD_CONF = """
listen_tls = 0
auth_unix_rw = "none"
"""
DOMAIN = """
<domain type='qemu'>
  <name>loom</name>
  <memory unit='MiB'>256</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{guest}/kernel-cloud/vmlinuz</kernel>
    <initrd>{guest}/kernel-cloud/initrd</initrd>
    <cmdline>console=ttyS0 quiet cryptomgr.notests panic=-1</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{folder}/vda.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
    <console type='pty'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Failure(Exception):
    """A check's reason to fail."""


def virsh(*words, may_fail=False):
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=COMMAND_S)
    if done.returncode != 0 and not may_fail:
        raise Failure(f"virsh {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def expect(what, condition):
    if not condition:
        raise Failure(what)


def wait_for(what, condition, seconds):
    """Until condition() is true: something that another process does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        expect(f"{what}: not within {seconds} s", time.monotonic() < end)
        time.sleep(0.1)


class Libvirtd:
    """A libvirtd that this test started."""

    def __init__(self, log):
        self.log = log
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for("libvirtd answers", lambda: virsh("version", may_fail=True), 30)

    def stop(self):
        """Guests stay, as they do when a package is upgraded."""
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None


class Console:
    """The guest's serial line: a shell sits there."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.text = ""

    def close(self):
        os.close(self.fd)

    def wait_for(self, text, seconds=BOOT_S):
        end = time.monotonic() + seconds
        while text not in self.text:
            left = end - time.monotonic()
            expect(f"the console never said {text!r}; it ends with {self.text[-600:]!r}", left > 0)
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:  # nobody at the other end (yet)
                    time.sleep(0.1)
        self.text = self.text.split(text, 1)[1]

    def run(self, command, answer, seconds=BOOT_S):
        """Types a command until it gives the answer. Each try's marks differ from what is typed, which is echoed."""
        os.write(self.fd, f"\nfor i in $(seq 300); do x=$( {command}); [ \"$x\" = \"{answer}\" ] && break; usleep 200000; done;"
                          f" echo \"got:${{x}}:\"\n".encode())
        self.wait_for(f"got:{answer}:", seconds)


class Domain:
    """One guest, and what is checked about it, in this order."""

    def __init__(self, emulator, folder, libvirtd):
        self.emulator, self.folder, self.libvirtd = emulator, folder, libvirtd
        self.console = None

    def write_files(self):
        for name in ("vda.img", "vdb.img"):
            with open(os.path.join(self.folder, name), "wb") as disk:
                disk.truncate(16 << 20 if name == "vda.img" else 24 << 20)
        with open(os.path.join(self.folder, "loom.xml"), "w", encoding="ascii") as xml:
            xml.write(DOMAIN.format(guest=GUEST, emulator=self.emulator, folder=self.folder))

    def define(self):
        self.write_files()
        virsh("define", os.path.join(self.folder, "loom.xml"))
        expect("it is shut off", virsh("domstate", "loom") == "shut off")

    def start(self):
        virsh("start", "loom")
        expect("it is listed", re.search(r"loom\s+running", virsh("list")))

    def ttyconsole(self):
        self.console = Console(virsh("ttyconsole", "loom"))
        self.console.wait_for("initrd: up")
        self.console.run("cat /sys/block/vda/size", "32768")

    def queries(self):
        expect("vda is its disk", re.search(rf"vda\s+{self.folder}/vda.img", virsh("domblklist", "loom")))
        stats = virsh("domstats", "loom")
        for line in ("state.state=1", "vcpu.current=2", "vcpu.1.state=1", "block.count=1", "block.0.capacity=16777216"):
            expect(f"domstats has {line}: {stats}", line in stats)

    def suspend_resume(self):
        virsh("suspend", "loom")
        expect("it is paused", virsh("domstate", "loom") == "paused")
        virsh("resume", "loom")
        expect("it runs", virsh("domstate", "loom") == "running")
        self.console.run("echo $((6 * 7))", "42")

    def attach_disk(self):
        virsh("attach-disk", "loom", os.path.join(self.folder, "vdb.img"), "vdb", "--driver", "qemu", "--subdriver", "raw")
        expect("it is listed", "vdb.img" in virsh("domblklist", "loom"))
        self.console.run("cat /sys/block/vdb/size", "49152")
        self.console.run("echo woven > /dev/vdb; dd if=/dev/vdb bs=5 count=1 2>/dev/null", "woven")

    def daemon_restart(self):
        self.libvirtd.stop()
        self.libvirtd.start()
        expect("it still runs", virsh("domstate", "loom") == "running")
        expect("its disks are known", "vdb.img" in virsh("domblklist", "loom"))
        self.console.run("echo $((7 * 9))", "63")

    def detach_disk(self):
        virsh("detach-disk", "loom", "vdb")
        wait_for("the disk is gone", lambda: "vdb.img" not in virsh("domblklist", "loom"), BOOT_S)
        self.console.run("ls /sys/block | grep -c vdb", "0")

    def reset(self):
        virsh("reset", "loom")
        self.console.wait_for("initrd: up")
        self.console.run("cat /sys/block/vda/size", "32768")

    def shutdown(self):
        """The guest has no daemon for the power button: a shell waits for its event."""
        self.console.run("for e in /dev/input/event*; do (dd if=$e bs=24 count=1; poweroff -f) >/dev/null 2>&1 & done;"
                         " echo ready", "ready")
        virsh("shutdown", "loom")
        wait_for("it is off", lambda: virsh("domstate", "loom") == "shut off", BOOT_S)
        self.console.close()

    def destroy(self):
        virsh("start", "loom", "--paused")
        expect("it is paused", virsh("domstate", "loom") == "paused")
        virsh("destroy", "loom")
        expect("it is off", virsh("domstate", "loom") == "shut off")
        virsh("undefine", "loom")
        expect("it isn't known any more", "loom" not in virsh("list", "--all"))


def check_all(emulator, folder):
    with open(os.path.join(folder, "libvirtd.log"), "wb") as log:
        libvirtd = Libvirtd(log)
        domain = Domain(emulator, folder, libvirtd)
        failed = False
        try:
            libvirtd.start()
            for check in (domain.define, domain.start, domain.ttyconsole, domain.queries, domain.suspend_resume,
                          domain.attach_disk, domain.daemon_restart, domain.detach_disk, domain.reset, domain.shutdown,
                          domain.destroy):
                failed = not run_check(f"libvirt {check.__name__}", check)
                if failed:
                    break
        finally:
            virsh("destroy", "loom", may_fail=True)
            libvirtd.stop()
    if failed:
        show_logs(folder)
    return failed


def run_check(name, check):
    try:
        check()
    except (Failure, OSError, subprocess.SubprocessError) as why:
        print(f"not ok {name}\n    {why}", flush=True)
        return False
    print(f"ok {name}", flush=True)
    return True


def show_logs(folder):
    for path in (os.path.join(folder, "libvirtd.log"), "/var/log/libvirt/qemu/loom.log"):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as log:
                print("\n".join("    " + line[:400] for line in log.read().split("\n")[-40:]), flush=True)


def prepare_namespaces():
    """Empty state folders, configuration of its own, and a loopback."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for path in STATE_FOLDERS:
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
    for name, text in (("qemu.conf", QEMU_CONF), ("libvirtd.conf", LIBVIRTD_CONF)):
        with open(os.path.join("/etc/libvirt", name), "w", encoding="ascii") as conf:
            conf.write(text)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def main():
    emulator = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "heddle"))
    if os.geteuid() != 0 or not shutil.which("libvirtd") or not shutil.which("virsh"):
        print("skip libvirt # needs root, libvirtd and virsh")
        return 0
    if os.environ.get("HEDDLE_IN_NAMESPACE") != "1":
        return subprocess.run(["unshare", "-m", "-n", "--", sys.executable, os.path.abspath(__file__), emulator],
                              env={**os.environ, "HEDDLE_IN_NAMESPACE": "1"}).returncode
    prepare_namespaces()
    with tempfile.TemporaryDirectory() as folder:
        return check_all(emulator, folder)


if __name__ == "__main__":
    sys.exit(main())
