# SPDX-License-Identifier: Apache-2.0
"""What tests of saved machines share: a guest that checks itself, and goes on in another process."""
import os
import re
import time

import guests

HERE = os.path.dirname(os.path.abspath(__file__))


def steady(build, flavour):
    """The program that checks what a guest must not notice; None: not for this kernel's architecture here."""
    return None if flavour == "686-pae" else os.path.join(os.path.abspath(build), "tests/integration/steady")


def words(text):
    """NAME=NUMBER words."""
    return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", text)}


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

