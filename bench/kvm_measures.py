# SPDX-License-Identifier: Apache-2.0
"""What bench/kvm measures, each part on all peers in turn."""
import contextlib
import os
import re
import statistics
import subprocess
import time

import kvm_exits
import kvm_machines
import peers
from kvm_machines import Wanted

COMMAND_LINE = "console=ttyS0 quiet panic=-1"
KERNELS = {"vmlinuz": "packed kernel", "vmlinux": "unpacked kernel"}
REQUESTS = (("read", 1, 1000), ("read", 32, 4000), ("write", 1, 1000), ("write", 32, 4000))
DISK_MIB = 64
WAYS_SECONDS = 90
SERVER = "192.0.2.1"  # this host, for guests behind address translation
HOST_TAP, GUEST_TAP = "10.9.0.1", "10.9.0.2"
HYSTART = "/sys/module/tcp_cubic/parameters/hystart"
NET_BEGIN_S, NET_BEGIN_BYTES = 1, 100000  # until a transfer is what it will be


class Rows:
    """What was measured: {row: {peer: [numbers]}}"""

    def __init__(self):
        self.values = {}

    def add(self, row, peer, value):
        self.values.setdefault(row, {}).setdefault(peer, []).append(value)
        print(f"  {peer:<8} {row:<44} {value:12.2f}", flush=True)

    def summary(self):
        rows = {}
        for row, by_peer in self.values.items():
            rows[row] = {p: {"median": statistics.median(v), "least": min(v), "most": max(v)} for p, v in by_peer.items()}
            ours = rows[row].get("virid", {}).get("median")
            for peer in [p for p in by_peer if p != "virid"] if ours is not None else []:
                theirs = rows[row][peer]["median"]
                rows[row][f"virid/{peer}"] = ours / theirs if theirs else None
        return rows


# ---- Boot ----


def boot_wanted(o, kernel):
    return Wanted(os.path.join(o.folder, kernel), os.path.join(o.folder, "boot.cpio"), COMMAND_LINE)


def read_once(o):
    """A boot of each that does not count: files come from a disk then."""
    for kernel in KERNELS:
        for peer in kvm_machines.all_machines(o.build):
            with peer.start(boot_wanted(o, kernel)) as machine:
                machine.wait("bench: userspace")


def boot(o, rows):
    """From the start of the process to the first process of the guest. What is counted is counted with the packed kernel, the quickest way of all peers."""
    read_once(o)
    for number in range(o.rounds):
        for kernel, name in KERNELS.items() if number == 0 else [("vmlinuz", KERNELS["vmlinuz"])]:
            for peer in kvm_machines.all_machines(o.build):
                with peer.start(boot_wanted(o, kernel)) as machine:
                    _, seconds = machine.wait("bench: userspace")
                    counted = kvm_exits.counters()
                    rows.add(f"boot, {name}, s", peer.name, seconds)
                    if kernel == "vmlinux":
                        continue
                    rows.add("boot: processor s", peer.name, machine.cpu_seconds())
                    for what, count in counted.items():
                        rows.add(f"boot: {what}", peer.name, count)
                    rows.add("memory beside the guest's, MiB", peer.name, machine.memory_beside_guest() / 2**20)


def profile(o):
    """What makes guests exit while they boot, by kind, and their logs, which say when."""
    found = {}
    for peer in kvm_machines.all_machines(o.build):
        with kvm_exits.Trace() as trace, peer.start(boot_wanted(o, "vmlinuz")) as machine:
            machine.wait("bench: userspace")
            found[peer.name] = {"counters": kvm_exits.counters(), **trace.counts()}
        with peer.start(boot_wanted(o, "vmlinuz")) as machine:
            _, seconds = machine.wait("bench: userspace")
            machine.type("x\n")
            machine.wait("log: begin\n")
            machine.wait("log: end")
        print(f"\n==== {peer.name}: {seconds:.2f} s")
        for event, counts in found[peer.name].items():
            print(f"\n-- {event}: {sum(counts.values())}")
            for what, count in list(counts.items())[:40]:
                print(f"{count:8}  {what}")
        print(machine.before, flush=True)
    return found


# ---- Ways out of the guest, interrupts, timers ----


def ways(o, rows):
    """A guest without an operating system measures them itself. QEMU has KVM's Hyper-V interface answer what concerns it."""
    for _ in range(o.rounds):
        for peer in kvm_machines.all_machines(o.build):
            with peer.start(Wanted(os.path.join(o.build, "bench", "kvm_guest"), processors=2, hyperv=True)) as machine:
                machine.wait(r"results: end|failed:.*\n", WAYS_SECONDS)
                for name, ns in re.findall(r"result: (.*) = (\d+)", machine.before):
                    rows.add(f"{name}, us", peer.name, int(ns) / 1000)


# ---- Disk and network: a Linux guest that takes commands ----


class Worker:
    """A machine whose guest runs bench/kvm-work."""

    def __init__(self, o, peer, **wanted):
        self.machine = peer.start(Wanted(os.path.join(o.folder, "vmlinuz"), os.path.join(o.folder, "work.cpio"), COMMAND_LINE, **wanted))

    def __enter__(self):
        try:
            self.machine.wait("bench: userspace")
            self.machine.type("go\n")
            self.machine.wait("work: done")
        except BaseException:
            self.machine.end()
            raise
        return self

    def __exit__(self, *_):
        self.machine.end()

    def run(self, command):
        self.machine.type(command + "\n")
        self.machine.wait("work: done")
        return self.machine.before


def count_requests(worker, peer, rows, job):
    what, depth, count = job
    machine = worker.machine
    machine.type(f"/requests {worker.disk} {what} {depth} {count}\n")
    machine.wait("requests: begin")
    time.sleep(0.3)  # what it printed has been written
    before = kvm_exits.counters()
    machine.type("\n")
    found, _ = machine.wait(r"requests: end ([\d.]+)\n")
    after = kvm_exits.counters()
    machine.type("\n")
    machine.wait("work: done")
    name = f"{what}, depth {depth}"
    rows.add(f"{name}: us per request", peer.name, float(found[1]) * 1e6 / count)
    for counter in ("exits", "mmio_exits", "io_exits", "irq_injections"):
        if counter in after:
            rows.add(f"{name}: {counter} per request", peer.name, (after[counter] - before[counter]) / count)


def disk(o, rows):
    for _ in range(o.rounds):
        for peer in kvm_machines.all_machines(o.build):
            image = os.path.join(o.folder, "disk.raw")
            with open(image, "wb") as f:
                f.write(os.urandom(DISK_MIB << 20))
            with Worker(o, peer, disk=image) as worker:
                said = worker.run("prepare_disk")
                found = re.search(r"disk (/dev/\S+)", said)
                if not found:
                    raise kvm_machines.Failed(f"no disk on {peer.name}: {said}")
                worker.disk = found[1]
                for job in REQUESTS:
                    count_requests(worker, peer, rows, job)
                for what, depth, _ in REQUESTS:
                    said = worker.run(f"job rand{what} {depth} {o.seconds}")
                    found = re.search(r"fio: ([\d.]+)", said)
                    if not found:
                        raise kvm_machines.Failed(f"fio on {peer.name}: {said}")
                    rows.add(f"fio rand{what}, depth {depth}: requests/s", peer.name, float(found[1]))
            os.unlink(image)


def ip(*words):
    done = subprocess.run(["ip", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode and "File exists" not in done.stderr:
        raise kvm_machines.Failed(f"ip {' '.join(words)}: {done.stderr.strip()}")


def virid_switch(o, *words):
    """What is wrong; "": nothing."""
    done = subprocess.run([os.path.join(o.build, "virid"), "switch", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stderr or f"status {done.returncode}" if done.returncode else ""


@contextlib.contextmanager
def tap_of_host(o, peer):
    """The name of a network that the guest shares with this host at HOST_TAP."""
    if peer.name == "virid":
        wrong = virid_switch(o, "create", "bench", "--type", "internal", "--interface", "bench-tap", "--address", HOST_TAP + "/24")
        if wrong:
            raise kvm_machines.Failed(f"virid switch create: {wrong}")
        try:
            yield "bench"
        finally:  # the switch hears a moment later that the machine is gone
            peers.wait_for("virid switch remove", lambda: not virid_switch(o, "remove", "bench"))
    else:
        ip("tuntap", "add", "bench-tap", "mode", "tap", "vnet_hdr")
        try:
            ip("addr", "add", HOST_TAP + "/24", "dev", "bench-tap")
            ip("link", "set", "bench-tap", "up")
            yield "bench-tap"
        finally:
            ip("link", "del", "bench-tap")


class Flow:
    """What a network interface of this host has carried, and how often the guests left the processor meanwhile."""

    def __init__(self, interface):
        self.interface = interface

    def carried(self):
        with open(f"/sys/class/net/{self.interface}/statistics/rx_bytes", encoding="ascii") as received, \
                open(f"/sys/class/net/{self.interface}/statistics/tx_bytes", encoding="ascii") as sent:
            return max(int(received.read()), int(sent.read()))

    def begins(self, worker):
        """Waits until what was typed to @worker has carried NET_BEGIN_BYTES, and a moment longer."""
        goal, end = self.carried() + NET_BEGIN_BYTES, time.monotonic() + kvm_machines.LIMIT
        while self.carried() < goal:
            said = worker.machine.listen(0.05)
            if "work: done" in worker.machine.console or time.monotonic() > end or (not said and worker.machine.process.poll() is not None):
                raise kvm_machines.Failed(f"nothing goes through {self.interface}: {worker.machine.console}")
        time.sleep(NET_BEGIN_S)

    def exits_per_mib(self, seconds):
        """While a transfer goes on; None: this kernel does not count them, or nothing was carried."""
        before, carried = kvm_exits.counters(), self.carried()
        time.sleep(seconds)
        after, carried = kvm_exits.counters(), self.carried() - carried
        return (after["exits"] - before["exits"]) / (carried / 2**20) if "exits" in after and carried else None


def measure_net(o, worker, peer, rows, network):
    """Megabits a second in both directions, the time of a ping, and exits for each mebibyte. The guest tells when it is over: a console has exits of its own."""
    name, target, interface = network
    for what, extra in (("guest to host", ""), ("host to guest", "-R")):
        flow = Flow(interface)
        worker.machine.type(f"transfer -c {target} -O {NET_BEGIN_S} -t {o.net_seconds} -i 0 -f m {extra}\n")
        flow.begins(worker)
        exits = flow.exits_per_mib(o.net_seconds * 0.8)
        worker.machine.wait("work: done")
        found = re.findall(r"([\d.]+) Mbits/sec.*receiver", worker.machine.before)
        if not found:
            raise kvm_machines.Failed(f"iperf3 on {peer.name}, {name}: {worker.machine.before}")
        rows.add(f"iperf3, {name}, {what}, Mbit/s", peer.name, float(found[-1]))
        if exits is not None:
            rows.add(f"iperf3, {name}, {what}: exits per MiB", peer.name, exits)
    if name == "TAP":
        found = re.search(r"= [\d.]+/([\d.]+)/", worker.run(f"ping -c 50 -i 0.02 -q {target}"))
        rows.add("ping, TAP, ms", peer.name, float(found[1]) if found else float("nan"))


def by_nat(o, peer, rows):
    with Worker(o, peer, net="nat") as worker:
        worker.run("up dhcp")
        measure_net(o, worker, peer, rows, ("NAT", SERVER, "lo"))


def by_tap(o, peer, rows):
    with tap_of_host(o, peer) as name, Worker(o, peer, net=name) as worker:
        worker.run(f"up {GUEST_TAP}/24")
        measure_net(o, worker, peer, rows, ("TAP", HOST_TAP, "bench-tap"))


@contextlib.contextmanager
def steady_slow_start():
    """
    HyStart takes the jitter of a busy or emulated machine for a path that is full, and ends slow start at random: then it is luck that is measured.
    Guests switch it off, too (bench/kvm-work).
    """
    with open(HYSTART, "r+", encoding="ascii") as f:
        before = f.read()
        f.seek(0)
        f.write("0")
    try:
        yield
    finally:
        with open(HYSTART, "w", encoding="ascii") as f:
            f.write(before)


def net(o, rows):
    if os.geteuid() != 0:
        print("bench/kvm: network: skipped: needs root, for an address and a TAP interface")
        return
    ip("link", "set", "lo", "up")
    ip("addr", "add", SERVER + "/32", "dev", "lo")
    subprocess.run(["modprobe", "vhost_net"], check=False, capture_output=True)
    os.environ["VIRID_VSWITCH_SOCKET"] = os.path.join(o.folder, "switch.sock")
    os.environ["VIRID_VSWITCH_CONFIG"] = os.path.join(o.folder, "switches.json")
    server = subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with steady_slow_start():
            for _ in range(o.rounds):
                for peer in kvm_machines.all_machines(o.build):
                    by_nat(o, peer, rows)
                    by_tap(o, peer, rows)
    finally:
        server.terminate()
        server.wait()
        ip("addr", "del", SERVER + "/32", "dev", "lo")


PARTS = {"boot": boot, "ways": ways, "disk": disk, "net": net}
