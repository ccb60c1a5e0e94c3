# SPDX-License-Identifier: Apache-2.0
"""The QEMU that emulates machines with AMD-V."""
import functools
import os
import re
import shutil
import signal
import socket
import subprocess

import machine

PROGRAM = "qemu-system-x86_64"
# All there is. Its string instructions with a byte at a time are slow: it does not announce that they are fast.
CPU = "max,+svm,-erms,-fsrm"
MODULES = "crc32c-intel crc32c_generic ext4 virtio_pci virtio_blk virtio_console overlay kvm-amd tun"
RIGHT = (9, 1)  # before, emulated AMD-V loses interrupts and takes privileged accesses for the user's


@functools.cache
def version():
    """(major, minor); None: there is none."""
    if not shutil.which(PROGRAM):
        return None
    done = subprocess.run([PROGRAM, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def is_usable():
    return version() is not None


def is_right():
    return version() is not None and version() >= RIGHT


def complaint():
    """Why it is of little or no use; "": it is right."""
    if version() is None:
        return f"{PROGRAM} is not installed; tools/setup-debian kvm installs it"
    if not is_right():
        return f"{PROGRAM} is of version {version()[0]}.{version()[1]}, whose AMD-V has faults; expected {RIGHT[0]}.{RIGHT[1]} or newer; tools/setup-debian kvm installs it"
    return ""


class Machine:
    """QEMU, with a socket for each of the console, the command's output, the files that come back and the result."""

    def __init__(self, o, files, _folder):
        self.sockets = {}
        theirs = []
        line = [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "pc,hpet=off,usb=off",
                "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", str(o.cpus), "-m", f"{o.memory}M", "-kernel", files["kernel"],
                "-initrd", files["initrd"], "-append", machine.kernel_line(o.append)]
        if o.prealloc:
            line += ["-object", f"memory-backend-ram,id=ram,size={o.memory}M,prealloc=on,prealloc-threads={o.cpus}", "-M", "memory-backend=ram"]
        for disk in ("system", "work"):
            line += ["-drive", f"file={files[disk]},format=raw,if=none,id={disk},readonly=on,cache=unsafe,file.locking=off",
                     "-device", f"virtio-blk-pci,drive={disk},disable-legacy=on"]
        line += ["-device", "virtio-serial-pci,disable-legacy=on"]
        for name in ("console", "output", "files", "result"):
            ours, end = socket.socketpair()
            os.set_inheritable(end.fileno(), True)
            theirs.append(end)
            self.sockets[name] = ours
            line += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
            if name == "console":
                line += ["-serial", "chardev:console"]
            elif name == "output" and o.interactive:
                line += ["-device", "virtconsole,chardev=output"]
            else:
                line += ["-device", f"virtserialport,chardev={name},name={name}"]
        self.process = subprocess.Popen(line + o.qemu, stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=machine.die_with_us)
        for end in theirs:
            end.close()

    def how_it_ended(self):
        status = self.process.wait(machine.LAST_WORDS_S)
        return "QEMU ended " + (f"by signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"with status {status}")

    def end(self):
        self.process.kill()
        self.process.wait()
        for ours in self.sockets.values():
            ours.close()
