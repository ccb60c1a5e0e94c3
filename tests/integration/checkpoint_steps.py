# SPDX-License-Identifier: Apache-2.0
"""For tests that end the service or a worker at exact steps: the order that end_at.c carries out, and what has to be true of a VM with checkpoints."""
import contextlib
import json
import mmap
import os
import re
import signal
import struct
import subprocess
import threading
import time

import consoles
import tiny

LIMIT = 120
NOBODY, SERVICE, WORKER = range(3)
WHO, HOLD, AT, COUNT, HELD, PID = range(6)


# Remembers the last small letter that it was sent, and says it when it is asked by '?'. Capital letters come back.
KEEP = (tiny.STACK + b"\xb3\x30"  # mov bl, '0'
        b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"  # again: in al, LSR; test al, 1; jz again
        b"\x66\xba\xf8\x03\xec\x3c\x3f\x74\x08"  # in al, RBR; cmp al, '?'; je tell
        b"\x3c\x5a\x76\x06"  # cmp al, 'Z'; jbe back
        b"\x88\xc3\xeb\xe6"  # mov bl, al; jmp again
        b"\x88\xd8\xee\xeb\xe1")  # tell: mov al, bl; back: out THR; jmp again


class Order:
    """Which step of whom is the last one; shared with all processes that load end_at.c."""

    def __init__(self, build, folder):
        path = os.path.join(folder, "order")
        with open(path, "wb") as f:
            f.write(bytes(4096))
        self.file = open(path, "r+b")
        self.words = mmap.mmap(self.file.fileno(), 4096)
        self.env = {"LD_PRELOAD": os.path.join(build, "tests", "integration", "libend_at.so"), "VIRID_END_AT": path}

    def set(self, word, value):
        self.words[word * 4:word * 4 + 4] = struct.pack("<I", value)

    def get(self, word):
        return struct.unpack("<I", self.words[word * 4:word * 4 + 4])[0]

    def give(self, who, step, hold):
        for word, value in ((WHO, NOBODY), (COUNT, 0), (HELD, 0), (PID, 0), (AT, step), (HOLD, hold), (WHO, who)):
            self.set(word, value)

    def withdraw(self):
        """Ends it; whoever stands at the step goes on. How many steps there were."""
        self.set(WHO, NOBODY)
        self.set(HELD, 0)
        return self.get(COUNT)


class Holder(threading.Thread):
    """Ends the process @pid as soon as another one stands at its step."""

    def __init__(self, order, pid):
        super().__init__(daemon=True)
        self.order, self.pid, self.over, self.done = order, pid, False, False

    def run(self):
        while not self.over:
            if self.order.get(HELD) == 1:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                while os.path.exists(f"/proc/{self.pid}") and state_of(self.pid) not in "ZX":
                    time.sleep(0.001)
                self.done = True
                self.order.set(HELD, 0)
                return
            time.sleep(0.001)

    def end(self):
        self.over = True
        self.join()
        return self.done


def state_of(pid):
    """The letter of a process's state; X: there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


class Folder:
    """A VM's folder, looked at while nobody writes it."""

    clean = set()  # files that have been checked: place, size and time

    def __init__(self, path, disk, data):
        self.path, self.disk, self.data = path, disk, data
        self.seen = {}
        self.config = self.load("vm.json")
        self.checkpoints = {}
        for name in os.listdir(os.path.join(path, "checkpoints")):
            if name.endswith(".json"):
                record = self.load(os.path.join("checkpoints", name))
                self.checkpoints[record["id"]] = record

    def load(self, name):
        with open(os.path.join(self.path, name), encoding="utf-8") as f:
            return json.load(f)

    def absolute(self, path):
        return os.path.join(self.path, path)

    def files(self):
        return self.config.get("checkpoints", {}).get("files", [])

    def paths(self, config):
        return [d["path"] for d in config["disks"]]

    def sums(self, config):
        """What the disks of a configuration show, one text each."""
        paths = [p for c in [self.config, config, *(r["configuration"] for r in self.checkpoints.values())] for p in self.paths(c)]
        if any(p not in self.seen for p in self.paths(config)):
            r = subprocess.run([self.data, "show", *map(self.absolute, paths)], check=True, capture_output=True, text=True)
            self.seen = dict(zip(paths, r.stdout.splitlines(), strict=True))
        return [self.seen[p] for p in self.paths(config)]

    def wrong_chains(self):
        """Files that are not clean. One that has been checked and is the same is not checked again."""
        wrong = []
        for name in sorted(os.listdir(os.path.join(self.path, "disks"))):
            path = os.path.join(self.path, "disks", name)
            key = (name, os.stat(path).st_size, os.stat(path).st_mtime_ns)
            if key not in Folder.clean and (r := self.disk("check", path)).returncode != 0:
                wrong.append(f"{name}: {r.stdout}{r.stderr}")
            else:
                Folder.clean.add(key)
        return wrong

    def leftovers(self, saved):
        """Files that nobody should find."""
        listed = {f["path"] for f in self.files()} | set(self.paths(self.config))
        wanted = {*listed, "vm.json", "state.json"} | ({"saved.vmrs"} if saved and not self.config.get("restore_from") else set())
        for i, record in self.checkpoints.items():
            wanted |= {f"checkpoints/{i}.json"} | ({f"checkpoints/{i}.vmrs"} if record["with_memory"] else set())
        there = {os.path.relpath(os.path.join(where, name), self.path) for where, _, names in os.walk(self.path) for name in names}
        return sorted(there ^ wanted)

    def untidy(self, clones=False):
        """Files that should have been removed, or merged into what is below them."""
        used = {f["path"] for f in self.files() if clones and f.get("cloned")} | {p for c in [self.config, *(r["configuration"] for r in self.checkpoints.values())] for p in self.paths(c)}
        found = []
        for f in self.files():
            above = [g for g in self.files() if g["parent"] == f["path"]]
            if f["path"] not in used and ((not above and f["made"]) or (len(above) == 1 and above[0]["made"])):
                found.append(f["path"])
        return found


class Machine:
    """The VM, by the service."""

    def __init__(self, service, vm, disk, data):
        self.service, self.vm, self.disk, self.data = service, vm, disk, data
        self.folder = os.path.join(service.state, "vms", vm)
        self.asked = 0

    def do(self, word, body=None):
        job = self.service.do(self.vm, word, body)
        if job.get("state") != "completed":
            raise SystemExit(f"{word}: {job}\n{self.service.messages()}")

    def state(self):
        return self.service.vm(self.vm)["state"]

    def settle(self):
        """When no operation goes on, and none begins by itself."""
        end = time.monotonic() + LIMIT
        quiet = 0
        while quiet < 3:
            vm = self.service.vm(self.vm)
            quiet = quiet + 1 if vm["job"] is None and vm["state"] in ("running", "off", "saved", "paused") else 0
            if time.monotonic() > end:
                raise SystemExit(f"the VM does not settle: {vm}\n{self.service.messages()}")
            time.sleep(0.01)
        return vm

    def keep(self, letter):
        if self.ask(letter) != letter:
            raise SystemExit(f"the guest does not keep {letter}")

    def ask(self, before=""):
        """What its memory has, after it was told @before. A new console begins with what was said to others: our question has a mark in front."""
        self.asked += 1
        mark = "".join(chr(ord("A") + self.asked // 26**i % 26) for i in range(4))
        console = consoles.Console(self.service, self.vm)
        console.send(f"{before}X{mark}X?")
        end = time.monotonic() + LIMIT
        while not (found := re.search(f"X{mark}X(.)", console.text())) and time.monotonic() < end:
            console.more(1)
        console.close()
        return found[1] if found else f"nothing: {console.text()}"

    def look(self):
        return Folder(self.folder, self.disk, self.data)

    def write(self, number):
        """A block of its own in each disk's file that is written now."""
        look = self.look()
        for path in look.paths(look.config):
            r = subprocess.run([self.data, "write", look.absolute(path), str(number), f"data {number}"], capture_output=True, text=True)
            if r.returncode != 0:
                raise SystemExit(r.stderr)

    def checkpoint(self, name):
        job = self.service.wait(self.service.post(f"/vms/{self.vm}/checkpoints", {"name": name}))
        if job.get("state") != "completed":
            raise SystemExit(f"checkpoint: {job}\n{self.service.messages()}")
        return job["result"]["id"]

    def apply(self, checkpoint):
        job = self.service.wait(self.service.post(f"/vms/{self.vm}/checkpoints/{checkpoint}/apply", {}))
        if job.get("state") != "completed":
            raise SystemExit(f"apply: {job}\n{self.service.messages()}")
