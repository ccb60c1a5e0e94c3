# SPDX-License-Identifier: Apache-2.0
"""What tests of guests on networks share: a network of the host's own, a switch process of its own, guests with a shell, programs for them."""
import ctypes
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import struct
import tempfile
import threading

import guests
from guests import must, run

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MODULES = "hv_vmbus hv_netvsc hv_utils af_packet"
SERVER = "192.0.2.1"  # an address of the host
NAME = "server.virid.test"
DATA = hashlib.sha256(b"virid").digest() * (2 << 15)  # 2 MiB
HASH = hashlib.sha256(DATA).hexdigest()


def new_namespaces():
    """Why this process may not have its own, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS):
        return os.strerror(ctypes.get_errno())
    for command in (["mount", "--make-rprivate", "/"], ["mount", "-t", "sysfs", "sysfs", "/sys"], ["ip", "link", "set", "lo", "up"],
                    ["ip", "address", "add", SERVER + "/32", "dev", "lo"]):
        done = run(*command)
        if done.returncode:
            return done.stdout.strip()
    return None


# ---- Servers on the host ----


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def serve_http():
    """DATA for everybody; the port."""
    server = http.server.ThreadingHTTPServer((SERVER, 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def serve_names():
    """A name server that knows one name, which is the host's one."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    wanted = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split(".")) + b"\0"

    def loop():
        while True:
            query, peer = s.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            name, kind = query[12:end - 4], struct.unpack(">H", query[end - 4:end - 2])[0]
            known = name.lower() == wanted
            answers = 1 if known and kind == 1 else 0
            flags = 0x8180 if known else 0x8183
            answer = query[:2] + struct.pack(">HHHHH", flags, 1, answers, 0, 0) + query[12:end]
            if answers:
                answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(SERVER)
            s.sendto(answer, peer)

    threading.Thread(target=loop, daemon=True).start()


# ---- What guests get ----


def closure(*names):
    """make-initramfs arguments for the host's programs with their libraries, in /usr/bin; None if one is missing."""
    args = set()
    for name in names:
        path = shutil.which(name)
        if not path:
            return None
        args.add(f"{os.path.realpath(path)}=/usr/bin/{name}")
        for lib in re.findall(r"(/\S+) \(0x", must("ldd", path)):
            args.add(f"{os.path.realpath(lib)}={lib}")
    return sorted(args)


class Place:
    """A folder, a network of the host's own, a switch process of its own. Use it in a with statement; skips the whole test where it cannot be had."""

    def __init__(self, tap, build, flavour="cloud"):
        self.tap = tap
        self.build = os.path.abspath(build)
        self.virid = os.path.join(self.build, "virid")
        self.kernel, why = guests.tool("guest-kernels", flavour)
        self.folder = self.sockets = None
        self.guests = []
        if not self.kernel:
            tap.skip("all", why)
            tap.done()
        if why := new_namespaces():
            tap.skip("all", f"no namespaces: {why}")
            tap.done()

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="network-")
        self.sockets = self.folder
        os.environ["VIRID_VSWITCH_SOCKET"] = self.path("vswitch.sock")
        os.environ["VIRID_VSWITCH_CONFIG"] = self.path("switches.json")
        return self

    def __exit__(self, kind, what, trace):
        for g in self.guests:
            g.machine.process.kill()
        for p in self.switch_processes():
            os.kill(p, signal.SIGKILL)
        shutil.rmtree(self.folder)
        if kind is guests.Gone:
            self.tap.check("every guest stays to the end", False, what)
            return True
        return False

    def path(self, name):
        return os.path.join(self.folder, name)

    def resolve(self):
        """The host's resolver is serve_names."""
        with open(self.path("resolv.conf"), "w", encoding="utf-8") as f:
            f.write("nameserver 127.0.0.1\n")
        os.chmod(self.path("resolv.conf"), 0o644)
        must("mount", "--bind", self.path("resolv.conf"), os.path.realpath("/etc/resolv.conf"))
        serve_names()

    def initramfs(self, *extra, modules=MODULES):
        guests.initramfs(self.kernel, "network-init", self.path("net.cpio"), modules, *extra)

    def switch(self, *words):
        return must(self.virid, "switch", *words)

    def stats(self, switch):
        """{port: statistics}"""
        return {p["name"]: p for p in json.loads(self.switch("stats", switch, "--json"))}

    def switch_processes(self):
        """Ours."""
        found = []
        for p in run("pgrep", "-f", "virid-vswitch").stdout.split():
            try:
                with open(f"/proc/{p}/environ", errors="replace", encoding="utf-8") as f:
                    if self.folder in f.read():
                        found.append(int(p))
            except OSError:
                pass  # it has just ended
        return found

    def kill_switch(self):
        """As a crash would; who has adapters there starts it again."""
        pids = self.switch_processes()
        for p in pids:
            os.kill(p, signal.SIGKILL)
        return len(pids) == 1

    def control(self, guest, *words):
        """A request to a running guest; its output when it failed."""
        done = run(self.virid, "control", guest.socket, *words)
        return done.stdout or "failed" if done.returncode else ""


class Guest:
    """A guest whose console obeys: network-init."""

    def __init__(self, place, name, *nets, processors=1, memory="256M", limit=240, ready=True, become=None):
        self.place, self.tap, self.name = place, place.tap, name
        self.socket = os.path.join(place.sockets, name + ".control")
        args = ["--kernel", place.kernel + "/vmlinuz", "--initrd", place.path("net.cpio"), "--cmdline", "console=ttyS0 quiet panic=-1", "--name", name,
                "--processors", str(processors), "--memory", memory, "--control", self.socket]
        for net in nets:
            args += ["--net", net]
        self.machine = guests.Machine(place.build, args, limit, become=become)
        self.shell = guests.Shell(self.machine)
        place.guests.append(self)
        if ready:
            self.ready()

    def ready(self):
        ok = self.machine.wait(r"virid-test: ready") is not None
        self.tap.check(f"{self.name} boots", ok, self.machine.story())
        if not ok:
            raise guests.Gone(self.name)

    def run(self, command):
        """What @command prints, whatever its status."""
        return self.shell.run(command)[1]

    def check(self, name, command, pattern=None):
        """@command succeeds, and what it prints matches @pattern; what it prints."""
        status, output = self.shell.run(command)
        self.tap.check(f"{self.name}: {name}", status == 0 and (pattern is None or re.search(pattern, output)), f"{command}: status {status}\n{output}")
        return output

    def end(self):
        self.place.guests.remove(self)
        self.machine.send("break\n")
        status = self.machine.finish()
        lines = re.findall(r"virid-log: \d+ (.*)", self.machine.console)
        self.tap.check(f"{self.name} powers off", status == 0, f"status {status}\n{self.machine.story()}")
        self.tap.check(f"{self.name}: a clean kernel log", not guests.unexplained(lines), "\n".join(guests.unexplained(lines)))
