# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with a QMP client and a serial line, for tests and measurements that steer guests."""
import json
import os
import select
import socket
import subprocess
import time

WAIT_S = 120  # for what takes far less on an idle host


class QmpError(Exception):
    """A command's error."""


class Client:
    """One end of a QMP connection."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(WAIT_S)
        self.replies = self.socket.makefile("rb")
        self.events = []
        self.receive()
        self.command("qmp_capabilities")

    def last_words(self):
        """What is known of the other side when it has gone."""
        return ""

    def receive(self):
        line = self.replies.readline()
        if not line:
            raise QmpError(f"the other side has gone{self.last_words()}")
        return json.loads(line)

    def command(self, name, **arguments):
        """The command's return value. Events that come meanwhile are kept."""
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while "event" in (reply := self.receive()):
            self.events.append(reply)
        if "error" in reply:
            raise QmpError(f"{name}: {reply['error']}")
        return reply["return"]

    def wait_event(self, name, **data):
        """Until an event of that name with these members has come; others stay."""
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return event
            message = self.receive()
            if "event" in message:
                self.events.append(message)


class Machine(Client):
    """A monitor process that this program started: heddle, or another that speaks QMP. Ended by close()."""

    def __init__(self, command, folder):
        path = os.path.join(folder, f"qmp{time.monotonic_ns()}.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(WAIT_S)
            self.process = subprocess.Popen([*command, "-chardev", f"socket,id=qmp,path={path}", "-mon",
                                             "chardev=qmp,mode=control", "-serial", "stdio"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            connection, _ = listener.accept()
        self.console = ""
        super().__init__(connection)

    def last_words(self):
        return f"; the console ends with {self.console[-2000:]!r}"

    def read_console(self, wait_s=0):
        """What the guest has said by now; waits up to wait_s for more."""
        while select.select([self.process.stdout], [], [], wait_s)[0]:
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                break
            self.console += chunk.decode(errors="replace")
            wait_s = 0
        return self.console

    def wait_console(self, text, seconds=WAIT_S):
        """Until the console has said text; everything up to it is taken off and returned."""
        end = time.monotonic() + seconds
        while text not in self.console:
            if time.monotonic() > end or self.process.poll() is not None:
                raise QmpError(f"the console never said {text!r}; it ends with {self.console[-2000:]!r}")
            self.read_console(0.5)
        before, self.console = self.console.split(text, 1)
        return before

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def close(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=WAIT_S)
