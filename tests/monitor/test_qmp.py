#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test_qmp.py HEDDLE: QMP as a program meets it: every command, what is refused, and who waits for whom.

Prints TAP. Machines have the software CPU and either no guest that runs (-S) or one that halts, so nothing is needed of the host.
"""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.dont_write_bytecode = True
from multiboot import multiboot  # pylint: disable=wrong-import-position
from tap import WAIT_S, check, check_equal, run_tests, test  # pylint: disable=wrong-import-position

HEDDLE = os.path.abspath(sys.argv[1])


# --- a client --------------------------------------------------------------------------------------------------------


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.kind, self.desc = error["class"], error["desc"]


class Client:
    """One connection. Events that come meanwhile are kept in self.events, in order."""

    def __init__(self, path, negotiate=True, capabilities=()):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # one that may block waits for its turn
        self.socket.settimeout(WAIT_S)
        self.file = self.socket.makefile("rb")
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            self("qmp_capabilities", **({"enable": list(capabilities)} if capabilities else {}))

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def receive(self):
        line = self.file.readline()
        check(line.endswith(b"\r\n"), "no whole line but", line)
        return json.loads(line)

    def reply(self):
        """The next message that is no event."""
        while "event" in (message := self.receive()):
            self.events.append(message)
        return message

    def __call__(self, command, _key="execute", _id=None, **arguments):
        message = {_key: command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        if _id is not None:
            message["id"] = _id
        self.send(json.dumps(message))
        reply = self.reply()
        check_equal(reply.get("id"), _id, "id")
        if "error" in reply:
            raise QmpError(reply["error"])
        return reply["return"]

    def refuses(self, command, says, kind="GenericError", **arguments):
        try:
            got = self(command, **arguments)
        except QmpError as error:
            check(error.kind == kind and says in error.desc, command, arguments, "says", error)
        else:
            check(False, command, arguments, "gave", got)

    def event(self, name):
        """The next event of that name; others before it are forgotten."""
        while True:
            message = self.events.pop(0) if self.events else self.receive()
            check("event" in message, "no event but", message)
            check(0 <= message["timestamp"]["microseconds"] < 1000000 and message["timestamp"]["seconds"] > 1e9, message)
            if message["event"] == name:
                return message.get("data")

    def ends(self):
        """What comes until the other side closes."""
        return [json.loads(line) for line in self.file.read().splitlines()]

    def close(self):
        self.file.close()
        self.socket.close()


# --- a machine -------------------------------------------------------------------------------------------------------

HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp


class Machine:
    def __init__(self, folder, *args, monitors=1, none=False, code=HALT):
        self.folder = Path(folder)
        self.paths = [self.folder / f"qmp{n}" for n in range(monitors)]
        self.disk = self.folder / "disk.img"
        self.disk.write_bytes(bytes(1 << 20))
        kernel = self.folder / "guest"
        kernel.write_bytes(multiboot(code))
        self.args = [HEDDLE, "-nodefaults", "-display", "none"]
        self.args += ["-machine", "none"] if none else ["-accel", "soft", "-m", "16", "-kernel", kernel]
        for path in self.paths:
            self.args += ["-qmp", f"unix:{path},server=on,wait=off"]
        self.args += args
        self.process = subprocess.Popen(list(map(str, self.args)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + WAIT_S
        while not all(path.exists() for path in self.paths):
            check(self.process.poll() is None, "heddle ended:", self.process.poll() is not None and self.process.stderr.read())
            check(time.monotonic() < end, "no sockets")
            time.sleep(0.01)

    def client(self, n=0, **more):
        return Client(self.paths[n], **more)

    def end(self):
        return self.process.wait(WAIT_S)


@contextlib.contextmanager
def machine(*args, **more):
    with tempfile.TemporaryDirectory() as folder:
        made = Machine(folder, *args, **more)
        try:
            yield made
            if made.process.poll() is None:
                made.process.terminate()
            status = made.process.wait(WAIT_S)
            said = made.process.stderr.read()
            check(status == 0, "status", status, said)
        finally:
            made.process.kill()
            made.process.wait()
            made.process.stderr.close()


PORTS = ["-device", "pcie-root-port,id=port1,bus=pcie.0,chassis=1,addr=2",
         "-device", "pcie-root-port,id=port2,bus=pcie.0,chassis=2,addr=3"]

# --- the protocol ----------------------------------------------------------------------------------------------------


@test
def greeting_and_negotiation():
    with machine(none=True) as vm:
        client = vm.client(negotiate=False)
        version = client.greeting["QMP"]["version"]
        check((version["qemu"]["major"], version["qemu"]["minor"]) >= (4, 2), version)
        check(version["package"].startswith("heddle "), version)
        check_equal(client.greeting["QMP"]["capabilities"], ["oob"])
        client.refuses("query-status", "Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound")
        check_equal(client("qmp_capabilities", _id=[1, {"a": None}]), {})
        client.refuses("qmp_capabilities", "already complete", "CommandNotFound")
        client.refuses("no-such-command", "The command no-such-command has not been found", "CommandNotFound")
        check_equal(client("query-version"), version)
        client.close()
        check("QMP" in vm.client(negotiate=False).greeting, "a second client")


@test
def what_is_wrong_is_named():
    with machine(none=True) as vm:
        client = vm.client()
        for text, says in (("{'execute':'query-status','arguments':{'x':1}}", "Parameter 'x' is unexpected"),
                           ("{'execute':'query-status','extra':1}", "QMP input member 'extra' is unexpected"),
                           ("{'execute':'qom-list'}", "Parameter 'path' is missing"),
                           ("{'execute':'qom-list','arguments':{'path':1}}",
                            "Invalid parameter type for 'path', expected: string"),
                           ("{'execute':'object-add','arguments':{'qom-type':'wheel','id':'x'}}",
                            "Parameter 'qom-type' does not accept value 'wheel'"),
                           ("{'arguments':{}}", "QMP input lacks member 'execute'"),
                           ("[1]", "QMP input must be a JSON object"),
                           ("{'execute':\n", "JSON parse error"),
                           ("}\n", "JSON parse error"),
                           (b"\xff", "JSON parse error"),
                           ("[" * 1000000 + "\n", "JSON parse error")):
            client.send(text if text != "{'execute':\n" else "{'execute':\n]\n")
            reply = client.reply()
            check_equal(reply.get("error", {}).get("class"), "GenericError", text[:40], reply)
            check(says in reply["error"]["desc"] and "id" not in reply, text[:40], reply)
        check_equal(client("query-status", _id="still here")["running"], False)


@test
def several_clients_take_turns_and_a_silent_one_holds_up_nobody():
    with machine("-S", monitors=3) as vm:
        silent, one, two = (vm.client(n) for n in range(3))
        silent.socket.setblocking(False)
        ask = b'{"execute":"query-qmp-schema"}'
        with contextlib.suppress(BlockingIOError):
            for _ in range(100000):  # until nothing is taken any more
                silent.socket.send(ask)
        for number in range(50):
            for client in (one, two):
                check_equal(client("query-status", _id=number)["status"], "prelaunch")
        one("cont")
        one("stop")
        check_equal(two.event("RESUME"), None)
        two.event("STOP")


@test
def a_client_may_leave_at_once():
    with machine("-S") as vm:
        for _ in range(20):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(vm.paths[0]))
            client.send(b'{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":')
            client.close()
        check_equal(vm.client()("query-status")["status"], "prelaunch")


@test
def out_of_band():
    with machine("-S") as vm:
        client = vm.client()
        client.send('{"exec-oob":"query-version"}')
        check("'exec-oob' is unexpected" in client.reply()["error"]["desc"], "without negotiation")
        client.close()
        client = vm.client(capabilities=["oob"])
        client("query-version", _key="exec-oob", _id=1)
        client.send('{"exec-oob":"query-status","id":2}')
        check_equal(client.reply(), {"error": {"class": "GenericError",
                                               "desc": "The command query-status does not support OOB"}, "id": 2})


# --- what there is -------------------------------------------------------------------------------------------------


@test
def a_probe_finds_what_it_needs():
    with machine(none=True) as vm:
        client = vm.client()
        names = {entry["name"] for entry in client("query-commands")}
        for name in ("qmp_capabilities query-version query-target query-qmp-schema query-commands query-kvm qom-list-types "
                     "device-list-properties qom-list-properties query-machines query-command-line-options "
                     "query-migrate-capabilities query-cpu-definitions").split():
            check(name in names, name)
        check_equal(client("query-target"), {"arch": "x86_64"})
        check_equal(set(client("query-kvm")), {"enabled", "present"})
        machines = {entry["name"]: entry for entry in client("query-machines")}
        check(machines["pc-q35-7.2"]["alias"] == "q35" and machines["pc-q35-7.2"]["is-default"], machines)
        check("none" in machines, machines)
        check("host" in [entry["name"] for entry in client("query-cpu-definitions")], "CPU models")
        for name in ("memory-backend-file", "none-machine", "pc-q35-7.2-machine", "memory-backend-ram"):
            check_equal(client("qom-list-properties", typename=name), [], name)
        properties = {entry["name"]: entry["type"] for entry in client("device-list-properties", typename="virtio-blk-pci")}
        check_equal((properties["drive"], properties["addr"], properties["num-queues"]), ("str", "str", "uint16"))
        check_equal(client("qom-list-properties", typename="virtio-blk-pci"),
                    client("device-list-properties", typename="virtio-blk-pci-non-transitional"))
        client.refuses("device-list-properties", "not found", "DeviceNotFound", typename="e1000")
        client.refuses("qom-list-properties", "Class 'wheel' not found", "DeviceNotFound", typename="wheel")
        options = {entry["option"] for entry in client("query-command-line-options")}
        check({"machine", "smp-opts", "chardev"} <= options, options)
        check_equal(len(client("query-command-line-options", option="machine")), 1)
        client.refuses("query-command-line-options", "invalid option name", option="wheel")
        check_equal(client("query-migrate-capabilities"), [{"capability": "events", "state": False}])
        client("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        check_equal(client("query-migrate-capabilities"), [{"capability": "events", "state": True}])
        for wrong in ("x", [1], [{"capability": "wheel", "state": True}], [{"capability": "events"}], [{"state": True}]):
            client.refuses("migrate-set-capabilities", "arameter", capabilities=wrong)
        check_equal(client("query-jobs"), [])


@test
def types_are_listed_by_what_they_are():
    with machine(none=True) as vm:
        client = vm.client()
        all_types = {entry["name"]: entry for entry in client("qom-list-types")}
        for name in ("virtio-blk-pci virtio-blk-pci-non-transitional pcie-root-port isa-serial memory-backend-memfd iothread "
                     "rng-random secret chardev-socket none-machine pc-q35-7.2-machine host-x86_64-cpu").split():
            check(name in all_types, name)
        check("pci-device" not in all_types, "abstract types are listed")
        check("pci-device" in {entry["name"] for entry in client("qom-list-types", abstract=True)}, "abstract types aren't")
        machines = {entry["name"] for entry in client("qom-list-types", implements="machine")}
        check_equal(machines, {"none-machine", "pc-q35-7.2-machine"})
        pci = {entry["name"] for entry in client("qom-list-types", implements="pci-device")}
        check("virtio-rng-pci" in pci and "isa-serial" not in pci and "iothread" not in pci, pci)
        check_equal(client("qom-list-types", implements="wheel"), [])


@test
def the_schema_is_whole_and_says_what_is_checked():
    with machine(none=True) as vm:
        client = vm.client()
        entities = client("query-qmp-schema")
        schema = {entity["name"]: entity for entity in entities}
        check_equal(len(schema), len(entities), "names")
        commands = {entity["name"] for entity in entities if entity["meta-type"] == "command"}
        check_equal(commands, {entry["name"] for entry in client("query-commands")})
        for entity in entities:
            used = [entity.get("arg-type"), entity.get("ret-type"), entity.get("element-type")]
            used += [member["type"] for member in entity.get("members", ()) if entity["meta-type"] == "object"]
            used += [variant["type"] for variant in entity.get("variants", ())]
            for name in filter(None, used):
                check(name in schema, entity, "uses", name)
        check_equal(schema["device_add"]["features"], ["json-cli-hotplug"])
        check("netdev_add" not in schema, "netdev_add")
        members = {member["name"]: member["type"] for member in schema[schema["object-add"]["arg-type"]]["members"]}
        check("secret" in schema[members["qom-type"]]["values"], members)
        for name in "RESET POWERDOWN SHUTDOWN STOP RESUME DEVICE_DELETED DEVICE_UNPLUG_GUEST_ERROR GUEST_PANICKED".split():
            check_equal(schema[name]["meta-type"], "event", name)
        # Every command refuses an argument that isn't in its schema, and lacks one that is.
        for name in commands - {"qmp_capabilities"}:
            entity = schema[schema[name]["arg-type"]]
            mandatory = [member["name"] for member in entity["members"] if "default" not in member]
            if mandatory:
                client.refuses(name, f"Parameter '{mandatory[0]}' is missing")
            elif not entity.get("variants"):
                client.refuses(name, "Parameter 'wheel' is unexpected", wheel=1)


# --- the machine ---------------------------------------------------------------------------------------------------


@test
def what_a_machine_is():
    uuid = "12345678-1234-1234-1234-123456789abc"
    with machine("-S", "-smp", "4,sockets=2,cores=1,threads=2", "-name", "guest=me", "-uuid", uuid, "-object",
                 "iothread,id=io1", *PORTS) as vm:
        client = vm.client()
        check_equal(client("query-name"), {"name": "me"})
        check_equal(client("query-uuid"), {"UUID": uuid})
        check_equal(client("query-memory-size-summary"), {"base-memory": 16 << 20, "plugged-memory": 0})
        check_equal(client("query-kvm")["enabled"], False)
        cpus = client("query-cpus-fast")
        check_equal([(cpu["props"]["socket-id"], cpu["props"]["core-id"], cpu["props"]["thread-id"]) for cpu in cpus],
                    [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)])
        iothread, = client("query-iothreads")
        check_equal(iothread["id"], "io1")
        threads = [cpu["thread-id"] for cpu in cpus] + [iothread["thread-id"]]
        check_equal(len(set(threads)), 5)
        for thread in threads:
            check(os.path.exists(f"/proc/{vm.process.pid}/task/{thread}"), "thread", thread)
        check_equal([entry["name"] for entry in client("qom-list", path=cpus[0]["qom-path"])], ["type"])
        bus, = client("query-pci")
        port, = [entry for entry in bus["devices"] if entry["qdev_id"] == "port1"]
        check_equal((port["slot"], port["class_info"]["class"], port["pci_bridge"]["devices"]), (2, 0x0604, []))
        check(port["pci_bridge"]["bus"]["secondary"] > 0, port)


@test
def a_machine_runs_stops_and_ends():
    with machine("-S", monitors=2) as vm:
        client, other = vm.client(0), vm.client(1)
        check_equal(client("query-status"), {"status": "prelaunch", "singlestep": False, "running": False})
        client("cont")
        check_equal([event["event"] for event in client.events], ["RESUME"])  # before the reply
        check_equal(client("query-status")["status"], "running")
        client("stop")
        check_equal([event["event"] for event in client.events], ["RESUME", "STOP"])
        client("stop")
        check_equal(client("query-status")["status"], "paused")
        client("cont")
        client("system_powerdown")
        client.event("POWERDOWN")
        client("system_reset")
        check_equal(client.event("RESET"), {"guest": False, "reason": "host-qmp-system-reset"})
        client.events.clear()
        client("quit", _id="last")
        check_equal([(event["event"], event.get("data")) for event in client.events],
                    [("SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"})])
        check_equal(client.ends(), [])
        check_equal([event["event"] for event in other.ends()],
                    ["RESUME", "STOP", "RESUME", "POWERDOWN", "RESET", "SHUTDOWN"])
        check_equal(vm.end(), 0)


@test
def an_nmi_is_injected():
    with machine() as vm:
        client = vm.client()
        client("inject-nmi")  # for which it has no handler
        check_equal(client.event("RESET"), {"guest": True, "reason": "guest-reset"})


@test
def a_signal_ends_it_with_an_event():
    with machine("-S") as vm:
        client = vm.client()
        vm.process.send_signal(signal.SIGTERM)
        check_equal(client.event("SHUTDOWN"), {"guest": False, "reason": "host-signal"})
        check_equal(vm.end(), 0)


@test
def a_guest_that_resets_or_ends_is_told():
    reset = b"\xb0\x06\x66\xba\xf9\x0c\xee" + HALT  # mov al, 6; mov dx, 0xcf9; out dx, al
    with machine("-S", code=reset) as vm:
        client = vm.client()
        client("cont")
        check_equal(client.event("RESET"), {"guest": True, "reason": "guest-reset"})
        client("stop")
    with machine("-S", "-no-reboot", "-no-shutdown", code=reset) as vm:
        client = vm.client()
        client("cont")
        check_equal(client.event("SHUTDOWN"), {"guest": True, "reason": "guest-reset"})
        client.event("STOP")
        check_equal(client("query-status")["status"], "shutdown")
        client.refuses("cont", "Resetting the Virtual Machine is required")


@test
def a_machine_that_is_none():
    with machine(none=True) as vm:
        client = vm.client()
        for command in ("query-cpus-fast", "query-pci", "query-block", "query-blockstats", "query-iothreads"):
            check_equal(client(command), [], command)
        client.refuses("cont", "no CPU")
        client.refuses("device_add", "", driver="virtio-rng-pci")
        client.refuses("inject-nmi", "")
        for command in ("system_reset", "system_powerdown", "stop"):
            client(command)
        check_equal(client("query-status")["running"], False)


# --- coming and going ----------------------------------------------------------------------------------------------


@test
def a_disk_comes_and_goes():
    with machine("-S", *PORTS) as vm:
        client = vm.client()
        client("blockdev-add", driver="file", filename=str(vm.disk), node_name="storage", discard="unmap",
               auto_read_only=True)
        client("blockdev-add", driver="raw", node_name="format", file="storage", backing=None, read_only=False)
        client.refuses("blockdev-add", "already a node", driver="raw", node_name="format", file="storage")
        client.refuses("blockdev-add", "'node-name' must be specified", driver="raw", file="storage")
        client.refuses("blockdev-add", "expects an identifier", driver="raw", file="storage", node_name="1:x")
        client.refuses("blockdev-add", "wheel", driver="wheel", node_name="x")
        client.refuses("blockdev-del", "no block node 'x'", node_name="x")
        nodes = {node["node-name"]: node for node in client("query-named-block-nodes")}
        check_equal((nodes["format"]["drv"], nodes["format"]["file"], nodes["format"]["image"]["virtual-size"]),
                    ("raw", str(vm.disk), 1 << 20))
        check_equal(client("query-block"), [])
        client("device_add", driver="virtio-blk-pci", bus="port1", addr="0x0", drive="format", id="disk", bootindex=1)
        client.refuses("device_add", "disk", driver="virtio-rng-pci", bus="port2", id="disk")
        client.refuses("device_add", "slot", driver="virtio-rng-pci", bus="port1", addr="0x1")
        client.refuses("blockdev-del", "", node_name="format")
        block, = client("query-block")
        check_equal((block["qdev"], block["inserted"]["node-name"], block["inserted"]["cache"]["direct"]),
                    ("/machine/peripheral/disk/virtio-backend", "format", False))
        stats, = client("query-blockstats")
        check_equal((stats["node-name"], stats["stats"]["rd_bytes"], stats["parent"]["node-name"]), ("format", 0, "storage"))
        check_equal(len(client("query-blockstats", query_nodes=True)), 2)
        bridge, = [entry["pci_bridge"] for entry in client("query-pci")[0]["devices"] if entry["qdev_id"] == "port1"]
        check_equal([(entry["qdev_id"], entry["class_info"]["class"]) for entry in bridge["devices"]], [("disk", 0x0100)])
        client.events.clear()
        client("device_del", id="disk")
        check_equal(client.event("DEVICE_DELETED"), {"path": "/machine/peripheral/disk/virtio-backend"})
        check_equal(client.event("DEVICE_DELETED"), {"device": "disk", "path": "/machine/peripheral/disk"})
        client.refuses("device_del", "Device 'disk' not found", "DeviceNotFound", id="disk")
        client("blockdev-del", node_name="format")
        client("blockdev-del", node_name="storage")
        check_equal(client("query-named-block-nodes"), [])


@test
def devices_that_are_refused():
    with machine("-S", *PORTS) as vm:
        client = vm.client()
        client.refuses("device_add", "'wheel' is not a valid device model name", driver="wheel")
        client.refuses("device_add", "Bus 'wheel' not found", driver="virtio-rng-pci", bus="wheel")
        client.refuses("device_add", "wheel", driver="virtio-rng-pci", bus="port1", wheel="x")
        client.refuses("device_add", "expects an identifier", driver="virtio-rng-pci", bus="port1", id="a/b")
        client.refuses("device_add", "hotplug", driver="isa-debug-exit")
        client.refuses("device_del", "not found", "DeviceNotFound", id="wheel")
        client.refuses("device_del", "does not support hotplugging", id="/machine/unattached/device[0]")
        client.refuses("device_del", "Invalid parameter type for 'force', expected: boolean", id="x", force="yes")
        check_equal([entry["name"] for entry in client("qom-list", path="/machine/peripheral")], ["type", "port1", "port2"])


@test
def a_device_without_an_id_has_a_path():
    with machine("-S", *PORTS) as vm:
        client = vm.client()
        client("device_add", driver="virtio-rng-pci-non-transitional", bus="port1")
        path = "/machine/peripheral-anon/device[0]"
        check_equal(client("qom-get", path=path, property="type"), "virtio-rng-pci")
        client("device_del", id=path, force=True)
        client.event("DEVICE_DELETED")
        check_equal(client.event("DEVICE_DELETED"), {"path": path})


@test
def a_running_guest_that_doesnt_listen_loses_its_device():
    with machine(*PORTS) as vm:
        client = vm.client()
        client("device_add", driver="virtio-rng-pci", bus="port1", id="rng")
        client("device_del", id="rng", force=True)
        client.event("DEVICE_DELETED")
        check_equal(client.event("DEVICE_DELETED")["device"], "rng")


@test
def objects_come_and_go():
    with machine("-S", *PORTS) as vm:
        client = vm.client()
        client("object-add", qom_type="iothread", id="io1")
        client("object-add", qom_type="rng-random", id="rng1", filename="/dev/urandom")
        client("object-add", qom_type="secret", id="key", data="x")
        client.refuses("object-add", "io1", qom_type="iothread", id="io1")
        client.refuses("object-add", "expects an identifier", qom_type="iothread", id="")
        client.refuses("object-add", "/no/such", qom_type="rng-random", id="x", filename="/no/such")
        client.refuses("object-add", "wheel", qom_type="rng-builtin", id="x", wheel=1)
        client("device_add", driver="virtio-rng-pci", bus="port1", id="rng", rng="rng1")
        client.refuses("object-del", "in use", id="rng1")
        client.refuses("object-del", "'wheel' not found", id="wheel")
        check_equal({entry["name"]: entry["type"] for entry in client("qom-list", path="/objects")},
                    {"type": "string", "io1": "child<iothread>", "rng1": "child<rng-random>", "key": "child<secret>"})
        check_equal(client("qom-get", path="/objects/io1", property="type"), "iothread")
        client("device_del", id="rng")
        client.event("DEVICE_DELETED")
        client.event("DEVICE_DELETED")
        for name in ("rng1", "io1", "key"):
            client("object-del", id=name)
        check_equal(client("query-iothreads"), [])


@test
def chardevs_come_and_go():
    with machine("-S") as vm:
        client = vm.client()
        monitor, = client("query-chardev")
        check(monitor["frontend-open"] and monitor["filename"].startswith(f"unix:{vm.paths[0]}"), monitor)
        pty = client("chardev-add", id="term", backend={"type": "pty", "data": {}})["pty"]
        check(pty.startswith("/dev/pts/"), pty)
        client("chardev-add", id="log", backend={"type": "file", "data": {"out": str(vm.folder / "log"), "append": True}})
        client("chardev-add", id="none", backend={"type": "null", "data": {}})
        client("chardev-add", id="ring", backend={"type": "ringbuf", "data": {"size": 4096}})
        client("chardev-add", id="sock", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": str(vm.folder / "sock")}}, "server": True, "wait": False}})
        check((vm.folder / "sock").exists(), "no socket")
        chardevs = {entry["label"]: entry for entry in client("query-chardev")}
        check_equal((chardevs["term"]["filename"], chardevs["term"]["frontend-open"]), (f"pty:{pty}", False))
        check_equal(client("qom-get", path="/chardevs/sock", property="type"), "chardev-socket")
        client.refuses("chardev-add", "already exists", id="none", backend={"type": "null"})
        client.refuses("chardev-add", "wheel", id="x", backend={"type": "wheel", "data": {}})
        client.refuses("chardev-add", "'backend.data.wheel' is unexpected", id="x", backend={"type": "null", "data": {"wheel": 1}})
        client.refuses("chardev-add", "'backend.type' is missing", id="x", backend={})
        client.refuses("chardev-add", "expected: object", id="x", backend={"type": "null", "data": 1})
        client.refuses("chardev-remove", "is busy", id=monitor["label"])
        client.refuses("chardev-remove", "not found", id="wheel")
        for name in ("term", "log", "none", "ring", "sock"):
            client("chardev-remove", id=name)
        check_equal(len(client("query-chardev")), 1)
        check(not (vm.folder / "sock").exists(), "the socket is left")


@test
def the_tree_of_objects():
    with machine("-S", *PORTS) as vm:
        client = vm.client()
        check_equal({entry["name"] for entry in client("qom-list", path="/")}, {"type", "machine", "objects", "chardevs"})
        check_equal({entry["name"] for entry in client("qom-list", path="/machine")},
                    {"type", "peripheral", "peripheral-anon", "unattached"})
        check_equal(client("qom-get", path="/machine", property="type"), "pc-q35-7.2-machine")
        properties = {entry["name"]: entry["type"] for entry in client("qom-list", path="port1")}
        check_equal((properties["realized"], properties["addr"], properties["type"]), ("bool", "str", "string"))
        check_equal(client("qom-get", path="/machine/peripheral/port1", property="realized"), True)
        check_equal(client("qom-get", path="port1", property="addr"), "02.0")
        for entry in client("qom-list", path="/machine/peripheral/port1"):
            client("qom-get", path="/machine/peripheral/port1", property=entry["name"])
        client.refuses("qom-get", "Property 'pcie-root-port.wheel' not found", path="port1", property="wheel")
        client.refuses("qom-get", "Device '/machine/wheel' not found", "DeviceNotFound", path="/machine/wheel", property="type")
        client.refuses("qom-list", "not found", "DeviceNotFound", path="/objects/wheel")


@test
def commands_for_people_have_text():
    with machine("-S") as vm:
        client = vm.client()
        text = client("human-monitor-command", command_line="info status")
        check("paused" in text and text.endswith("\r\n"), repr(text))
        check("wheel" in client("human-monitor-command", command_line="wheel"), "an unknown command")
        client.refuses("human-monitor-command", "Parameter 'command-line' is missing")


@test
def pretty_replies():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qmp"
        process = subprocess.Popen([HEDDLE, "-nodefaults", "-display", "none", "-machine", "none", "-qmp-pretty",
                                    f"unix:{path},server=on,wait=off"], stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + WAIT_S
            while not path.exists():
                check(time.monotonic() < end, "no socket")
                time.sleep(0.01)
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(WAIT_S)
            client.connect(str(path))
            client.sendall(b'{"execute":"qmp_capabilities"}{"execute":"query-target"}{"execute":"quit"}')
            said = b"".join(iter(lambda: client.recv(65536), b"")).decode()
            check('{\n    "return": {\n        "arch": "x86_64"\n    }\n}\r\n' in said, said)
            client.close()
            check_equal(process.wait(WAIT_S), 0)
        finally:
            process.kill()
            process.wait()


# Switches the hot-plug event on and says so at 0x5000; refuses the first request to let go of a device, ejects at all others.
REFUSES_ONCE = (b"\x66\xba\x22\x06\x66\xb8\x02\x00\x66\xef"           # mov dx, GPE0 enable; mov ax, 2; out dx, ax
                b"\xc7\x05\x00\x50\x00\x00\x01\x00\x00\x00"           # mov dword [0x5000], 1
                b"\x66\xba\x04\xae\xed\x85\xc0\x74\xf7"               # 1: mov dx, down; in eax, dx; test eax, eax; jz 1b
                b"\x66\xba\x18\xae\xef"                               # mov dx, refuse; out dx, eax
                b"\x66\xba\x04\xae\xed\x85\xc0\x74\xf7"               # 2: mov dx, down; in eax, dx; test eax, eax; jz 2b
                b"\x66\xba\x08\xae\xef\xeb\xf0")                      # mov dx, eject; out dx, eax; jmp 2b


@test
def a_guest_that_refuses_may_be_asked_again():
    with machine("-device", "virtio-rng-pci,id=rng", code=REFUSES_ONCE) as vm:
        client = vm.client()
        end = time.monotonic() + WAIT_S
        while "0x00000001" not in client("human-monitor-command", command_line="xp /1wx 0x5000"):
            check(time.monotonic() < end, "the guest doesn't listen")
        client("device_del", id="rng")
        refused = client.event("DEVICE_UNPLUG_GUEST_ERROR")
        check_equal((refused["device"], refused["path"]), ("rng", "/machine/peripheral/rng"))
        check_equal(client("qom-get", path="/machine/peripheral/rng", property="realized"), True)
        client("device_del", id="rng")
        while "device" not in (gone := client.event("DEVICE_DELETED")):
            check_equal(gone["path"], "/machine/peripheral/rng/virtio-backend")
        check_equal(gone["device"], "rng")
        client.refuses("device_del", "not found", "DeviceNotFound", id="rng")


run_tests(sys.argv[2] if len(sys.argv) > 2 else "")
