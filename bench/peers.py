# SPDX-License-Identifier: Apache-2.0
"""What bench/vmms measures beside: QEMU that saves its states in a qcow2 image. And what any process takes of the host."""
import json
import os
import re
import signal
import socket
import subprocess
import time

LIMIT = 240
TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


def wait_for(what, fn, seconds=LIMIT):
    end = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.005)


def cpu_seconds(pid):
    """Of the process and of those of its children that ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(int(n) for n in fields[11:15]) / TICK


def mappings(pid):
    """(start, end, {field: KiB}, flags) of each."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head:
                found.append((int(head[1], 16), int(head[2], 16), {}, set()))
                continue
            name, _, value = line.partition(":")
            if name == "VmFlags":
                found[-1][3].update(value.split())
            elif value.strip().endswith("kB"):
                found[-1][2][name] = int(value.split()[0])
    return found


def memory_beside_guest(pid, guest_bytes):
    """{"Rss": bytes, "Pss": bytes} of all but the guest's memory, which is the one large area that asks for large pages."""
    areas = []
    for start, end, sizes, flags in mappings(pid):
        if areas and areas[-1]["end"] == start and "hg" in flags and areas[-1]["hg"]:
            areas[-1]["end"] = end
            areas[-1]["sizes"].append(sizes)
        else:
            areas.append({"start": start, "end": end, "hg": "hg" in flags, "sizes": [sizes]})
    rest = [a for a in areas if not (a["hg"] and a["end"] - a["start"] >= guest_bytes)]
    return {what: sum(s.get(what, 0) for a in rest for s in a["sizes"]) << 10 for what in ("Rss", "Pss")}


class Qemu:
    """TCG. @state: begins with that one instead of booting."""

    def __init__(self, boot, disk, folder, state=None):
        self.path, self.console = os.path.join(folder, "qmp"), os.path.join(folder, "qemu.log")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-m", "1G", "-display", "none", "-nodefaults", "-no-user-config", "-serial", f"file:{self.console}",
             "-kernel", boot["kernel"], "-initrd", boot["initrd"], "-append", boot["cmdline"], "-drive", f"file={disk},format=qcow2,if=virtio",
             "-qmp", f"unix:{self.path},server=on,wait=off", *(["-loadvm", state] if state else [])], stdin=subprocess.DEVNULL)
        self.socket = None
        try:
            wait_for("QEMU", self.connect)
            self.command("qmp_capabilities")
            wait_for("QEMU's guest", lambda: self.command("query-status")["running"])
        except BaseException:
            self.kill()
            raise

    def connect(self):
        if self.process.poll() is not None:
            raise Failed(f"QEMU ended with {self.process.returncode}")
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(self.path)
        except OSError:
            s.close()
            return False
        s.settimeout(LIMIT)
        self.socket, self.file = s, s.makefile("rw", encoding="utf-8")
        self.file.readline()
        return True

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise Failed(f"QEMU ended in {name}")
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"QEMU: {name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        """Seconds that it takes."""
        begun = time.monotonic()
        said = self.command("human-monitor-command", **{"command-line": line})
        if said:
            raise Failed(f"QEMU: {line}: {said}")
        return time.monotonic() - begun

    def says(self, text):
        with open(self.console, encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def quit(self):
        self.command("quit")
        self.process.wait(60)
        self.socket.close()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.socket is not None:
            self.socket.close()
