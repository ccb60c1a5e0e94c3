# SPDX-License-Identifier: Apache-2.0
"""The machines of bench/kvm: Virid and QEMU with KVM, each in its best configuration for the same guest."""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time

import peers

LIMIT = 240
MEMORY_MIB = 512
ROMS = ("qboot.rom", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin", "bios-256k.bin", "bios.bin", "bios-microvm.bin")


Failed = peers.Failed  # a machine did not do what it was started for: what it said


class Wanted:
    """What a guest gets. kernel, initrd: files; disk: a raw file; net: "nat", or the name of a TAP interface or internal switch; hyperv: the peers offer
    what they have of Hyper-V's interface."""

    def __init__(self, kernel, initrd=None, cmdline="", processors=1, disk=None, net=None, hyperv=False):
        self.kernel, self.initrd, self.cmdline, self.processors = kernel, initrd, cmdline, processors
        self.disk, self.net, self.hyperv = disk, net, hyperv


class Machine:
    """A running guest with a console. Its processes are this one and what it started."""

    def __init__(self, command, env=None):
        self.errors = tempfile.TemporaryFile()
        self.console = self.before = ""
        self.begun = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **(env or {})})

    def wait(self, text, seconds=LIMIT):
        """
        Until the console has @text (a regular expression that is quickly seen not to be there) behind what was found last. The match and the seconds
        since the start; what came before it is self.before.
        """
        end = time.monotonic() + seconds
        while True:
            found = re.search(text, self.console)
            if found:
                self.before, self.console = self.console[:found.start()], self.console[found.end():]
                return found, time.monotonic() - self.begun
            if not self.listen(end - time.monotonic()):
                late = f" in {seconds} s" if time.monotonic() >= end else ""
                raise Failed(f"no '{text}' from the guest{late}:\n{self.console[-2000:]}\n{self.complaint()}")

    def listen(self, seconds):
        """Until the guest says something, @seconds at most. False: it did not."""
        ready = select.select([self.process.stdout], [], [], max(0, seconds))[0]
        data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        self.console += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def complaint(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-1000:]

    def processes(self):
        found, new = [], [self.process.pid]
        while new:
            pid = new.pop()
            found.append(pid)
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                new += [int(child) for child in f.read().split()]
        return found

    def memory_beside_guest(self):
        """Bytes (Pss) of all its processes without the guest's own memory."""
        return sum(peers.memory_beside_guest(pid, MEMORY_MIB << 20)["Pss"] for pid in self.processes())

    def cpu_seconds(self):
        return sum(peers.cpu_seconds(pid) for pid in self.processes())

    def end(self):
        for pid in reversed(self.processes()) if self.process.poll() is None else []:
            os.kill(pid, 9)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Virid:
    name = "virid"

    def __init__(self, build):
        self.program = os.path.join(build, "virid")

    def start(self, w):
        words = [self.program, "run", "--engine", "kvm", "--cpu", "host", "--kernel", w.kernel, "--cmdline", w.cmdline, "--memory", f"{MEMORY_MIB}M",
                 "--processors", str(w.processors), "--no-legacy"]
        words += ["--initrd", w.initrd] if w.initrd else []
        words += ["--disk", w.disk + ",raw"] if w.disk else []
        words += ["--net", "default" if w.net == "nat" else w.net] if w.net else []
        return Machine(words)


class Qemu:
    """Common to both kinds of machine. The guest sees KVM's own interface (clock, end of interrupt, spinlocks)."""
    machine, bus, firmware = "", "", []
    hyperv = ",hv-relaxed,hv-vapic,hv-vpindex,hv-runtime,hv-time,hv-frequencies,hv-synic,hv-stimer,hv-stimer-direct,hv-tlbflush,hv-ipi"

    def start(self, w):
        words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "kvm", "-m", f"{MEMORY_MIB}M",
                 "-M", self.machine, *self.firmware, "-cpu", "host" + (self.hyperv if w.hyperv else ""), "-smp", str(w.processors), "-serial", "stdio", "-kernel", w.kernel,
                 "-append", w.cmdline]
        words += ["-initrd", w.initrd] if w.initrd else []
        if w.disk:
            words += ["-object", "iothread,id=io", "-drive", f"file={w.disk},format=raw,if=none,id=disk,aio=io_uring", "-device",
                      f"virtio-blk-{self.bus},drive=disk,iothread=io"]
        if w.net:
            vhost = "on" if os.path.exists("/dev/vhost-net") else "off"
            user = "user,id=net" if w.net == "nat" else f"tap,id=net,ifname={w.net},script=no,downscript=no,vhost={vhost}"
            words += ["-netdev", user, "-device", f"virtio-net-{self.bus},netdev=net" + (",romfile=" if self.bus == "pci" else "")]
        return Machine(words)


class Microvm(Qemu):
    """Its smallest form that this guest's kernel gets on with: without an RTC the kernel reads its ports 20,000 times."""
    name = "microvm"
    machine = "microvm,x-option-roms=off,pit=off,pic=off,rtc=on,isa-serial=on"
    bus = "device"
    firmware = ["-bios", "qboot.rom"]


class Q35(Qemu):
    name = "q35"
    machine = "q35,usb=off,hpet=off,sata=off,smbus=off"
    bus = "pci"


def roms(qemu):
    """The files that these machines of QEMU load, wherever this one looks for them."""
    folders = subprocess.run([qemu, "-L", "help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout.split()
    return [path for path in (os.path.join(folder, rom) for folder in folders for rom in ROMS) if os.path.exists(path)]


def all_machines(build):
    return [Virid(build)] + ([Microvm(), Q35()] if shutil.which("qemu-system-x86_64") else [])
