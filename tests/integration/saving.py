# SPDX-License-Identifier: Apache-2.0
"""What tests of saved machines share: a guest that checks itself, and goes on in another process."""
import os
import re
import time

import guests

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD_MODULES = "hv_vmbus hv_storvsc hv_utils sd_mod sr_mod crc32c_generic crc32c_intel"  # for storage-init


def steady(build, flavour):
    """The program that checks what a guest must not notice; None: not for this kernel's architecture here."""
    return None if flavour == "686-pae" else os.path.join(os.path.abspath(build), "tests/integration/steady")


def words(text):
    """NAME=NUMBER words."""
    return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", text)}


def status(guest):
    """What the program in the guest has counted."""
    return words(guest.shell.run("cat /tmp/status")[1])


def goes_on(guest, before):
    """All that it counts is more than @before, and nothing is wrong."""
    counted = [n for n, value in before.items() if not n.startswith("bad_") and value != 0]
    for _ in range(300):
        now = status(guest)
        if any(value != 0 for n, value in now.items() if n.startswith("bad_")):
            return False, now
        if all(now.get(n, 0) > before[n] for n in counted):
            return True, now
        time.sleep(0.1)
    return False, now


def start_load(guest, processors, checked):
    """@checked: the program that `steady` builds is in the guest; else a shell does a little of it."""
    if checked:
        guest.shell.run(f"/steady watch {processors} /dev/$(disk 64) /tmp/status &")
    else:
        guest.shell.run("sum=$(head -c 300000 /bin/busybox | md5sum); i=0; b=0; (while :; do [ \"$(head -c 300000 /bin/busybox | md5sum)\" = \"$sum\" ] || b=1; "
                        "i=$((i + 1)); echo hashes=$i bad_hash=$b >/tmp/status.new; mv /tmp/status.new /tmp/status; done) &")
    guest.shell.run("until_true 60 '[ -e /tmp/status ]'")


class Saved:
    """A machine that can be saved and goes on. @options: all of `virid run` but --control and --restore."""

    def __init__(self, tap, build, folder, name, options, limit):
        self.tap, self.build, self.limit = tap, build, limit
        self.virid = os.path.join(build, "virid")
        self.options = [*options, "--name", name, "--control", os.path.join(folder, name + ".sock")]
        self.socket = os.path.join(folder, name + ".sock")
        self.state = os.path.join(folder, name + ".vmrs")
        self.log = os.path.join(folder, name + ".log")
        self.machine = None
        self.shell = None
        self.said = []  # consoles of earlier lives

    def start(self, *more):
        number = self.shell.number if self.shell else 0
        self.machine = guests.Machine(self.build, [*self.options, *more], self.limit, self.log)
        self.shell = guests.Shell(self.machine)
        self.shell.number = number

    def control(self, *request):
        return guests.run(self.virid, "control", self.socket, *request, timeout=480)

    def save(self):
        """Seconds it took; the process is gone then. Raises when it failed."""
        begun = time.monotonic()
        done = self.control("save", self.state)
        took = time.monotonic() - begun
        status = self.machine.finish()
        if done.returncode or status != 5:
            raise guests.Gone(f"save: {done.stdout}\nstatus {status}\n{self.machine.story()}")
        self.said.append(self.machine.console)
        return took

    def restore(self, *more):
        self.start("--restore", self.state, *more)

    def kernel_log(self):
        """What the kernel has said that nobody explains."""
        text = self.shell.run("dmesg -r | sed -n 's/^<\\([0-9]*\\)>\\(.*\\)$/virid-log: \\1 \\2/p'")[1]
        lines = [line for level, line in re.findall(r"virid-log: (\d+) (.*)", text) if int(level) % 8 <= 4]
        return guests.unexplained(lines)

    def end(self):
        """Powers off from inside."""
        self.machine.send("poweroff -f\n")
        return self.machine.finish()

    def kill(self):
        if self.machine and self.machine.process.poll() is None:
            self.machine.process.kill()
            self.machine.process.wait()


def host_children(pid):
    """Processes below @pid, by /proc."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{t}/children", encoding="ascii") as f:
                    children = [int(c) for c in f.read().split()]
                found += children
                todo += children
        except OSError:
            pass  # it has just ended
    return found


def alive(pid):
    """Is there such a process? One that nobody waits for is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True

