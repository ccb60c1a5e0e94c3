# SPDX-License-Identifier: Apache-2.0
"""Machines with unmodified guests, for tests: a console to wait on and to type on, and what is allowed in a guest's log."""
import hashlib
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
os.environ["PATH"] += ":/usr/sbin:/sbin"  # mke2fs and the like, which others than root do not have there


def tool(name, *args, **env):
    """What a script in tools/ prints on its last line; None and the reason when it cannot."""
    done = subprocess.run([os.path.join(TOP, "tools", name), *args], capture_output=True, text=True, env={**os.environ, **env})
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]
    return lines[-1], ""


def run(*args, **kw):
    """The finished process; its output is text, messages among it."""
    return subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **kw)


def must(*args):
    """What a program prints that has to work."""
    done = run(*args)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def sha256(file):
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def initramfs(kernel, init, output, modules, *extra):
    must("env", "MODULES=" + modules, os.path.join(TOP, "tools/make-initramfs"), kernel, os.path.join(HERE, init), output, *extra)


def children(pid):
    """Processes that @pid has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def file_system(image, mib, fill):
    """A raw image @image with ext4 that holds what @fill puts into a folder."""
    folder = image + ".d"
    os.mkdir(folder)
    fill(folder)
    must("mke2fs", "-q", "-t", "ext4", "-d", folder, image, f"{mib}M")
    shutil.rmtree(folder)
    return image


def programs(names):
    """For file_system: programs of this host with the libraries they need, for `use_tools` of storage-init."""
    def fill(folder):
        for d in ("dev", "proc", "sys", "tmp"):
            os.mkdir(os.path.join(folder, d))
        wanted = {}
        for program in names:
            where = shutil.which(program)
            wanted[os.path.join("bin", program)] = where
            for lib in re.findall(r"(/\S+) \(0x", must("ldd", where)):
                wanted[lib.lstrip("/")] = lib
        for target, source in wanted.items():
            os.makedirs(os.path.dirname(os.path.join(folder, target)), exist_ok=True)
            shutil.copy(os.path.realpath(source), os.path.join(folder, target))
    return fill


def known_log_lines():
    known = []
    with open(os.path.join(HERE, "known-log-lines.txt"), encoding="utf-8") as f:
        for line in f:
            line = line.rstrip("\n")
            if line and not line.startswith("#") and not line.startswith("\t"):
                known.append(re.compile(line))
    return known


def unexplained(lines):
    known = known_log_lines()
    return [line for line in lines if not any(k.search(line) for k in known)]


class Tap:
    def __init__(self, prefix):
        self.prefix = prefix
        self.count = self.failed = 0

    def check(self, name, ok, detail=""):
        self.count += 1
        self.failed += not ok
        print(f"{'' if ok else 'not '}ok {self.count} - {self.prefix}: {name}", flush=True)
        if not ok:
            for line in str(detail).splitlines()[-60:]:
                print("#", line, flush=True)

    def note(self, text):
        print("#", text, flush=True)

    def skip(self, name, reason):
        self.count += 1
        print(f"ok {self.count} - {self.prefix}: {name} # SKIP {reason}", flush=True)

    def done(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


SLOW = 4  # times: so much slower than the machine that the limits were written for may this one be


class Machine:
    """virid run as a child, for @seconds at most, or SLOW times as long where that is needed. console: all that the guest has written, without carriage
    returns; the file @log gets it too. @become: called in the child."""

    def __init__(self, build, args, seconds, log=os.devnull, become=None):
        seconds *= SLOW
        self.errors = tempfile.TemporaryFile()
        self.log = open(log, "wb")
        self.deadline = time.monotonic() + seconds
        self.started = time.monotonic()
        self.console = ""
        self.seen = 0
        self.process = subprocess.Popen([os.path.join(build, "virid"), "run", *args, "--no-reboot", "--stats", "--timeout", str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=become)

    def _read(self):
        """More of the console; False when there is no more."""
        if not select.select([self.process.stdout], [], [], max(0, self.deadline + 10 - time.monotonic()))[0]:
            self.process.kill()
        data = os.read(self.process.stdout.fileno(), 65536)
        self.log.write(data)
        self.log.flush()
        self.console += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def wait(self, pattern):
        """The next match of @pattern on the console, or None when the machine ends without one."""
        while True:
            found = re.compile(pattern).search(self.console, self.seen)
            if found:
                self.seen = found.end()
                return found
            if not self._read():
                return None

    def send(self, text):
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it is over; the next wait says so

    def finish(self):
        """Waits for the end; the exit status."""
        while self._read():
            pass
        status = self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it was over before it had read all
        self.process.stdout.close()
        self.log.close()
        self.seconds = time.monotonic() - self.started
        return status

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def cost(self):
        """Once it is over: what the run took."""
        found = re.search(r"instructions (\d+)", self.complaints())
        return f"{self.seconds:.1f} s, {int(found[1]) / 1e6 if found else 0:.0f} M instructions"

    def story(self):
        """For the report of a failed test: the end, without the log that the guest repeats for us."""
        lines = [line for line in self.console.splitlines() if not line.startswith("virid-log:")]
        return "\n".join(lines[-35:] + self.complaints().splitlines()[-20:])


class Gone(Exception):
    """The machine ended, or says nothing more; why is in the text."""


class Shell:
    """A shell on the console of @machine that does not echo."""

    def __init__(self, machine):
        self.machine = machine
        self.number = 0

    def log_in(self):
        """As root on the prompt of a whole system."""
        if not self.machine.wait(r"\blogin: "):
            return False
        self.machine.send("root\n")
        if not self.machine.wait(r":~# "):
            return False
        self.machine.send("exec env TERM=dumb PS1='in sh: ' sh\n")
        if not self.machine.wait(r"[^']in sh: "):
            return False
        self.machine.send("stty -echo; dmesg -n 1; PS1=; echo r''eady\n")
        return self.machine.wait(r"\bready\n") is not None

    def run(self, command):
        """(status, output) of one line, which may end with & to go on in the background."""
        self.number += 1
        start = self.machine.seen
        stop = "" if command.endswith("&") else ";"
        self.machine.send(f"{{ {command}{stop} }} 2>&1 </dev/null; echo \"@end {self.number} $?\"\n")
        end = self.machine.wait(rf"@end {self.number} (\d+)\n")
        if not end:
            raise Gone(f"{command}\n{self.machine.story()}")
        return int(end[1]), self.machine.console[start:end.start()]
