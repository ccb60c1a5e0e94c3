# SPDX-License-Identifier: Apache-2.0
"""Machines with unmodified guests, for tests: a console to wait on and to type on, and what is allowed in a guest's log."""
import os
import re
import select
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def tool(name, *args, **env):
    """What a script in tools/ prints on its last line; None and the reason when it cannot."""
    done = subprocess.run([os.path.join(TOP, "tools", name), *args], capture_output=True, text=True, env={**os.environ, **env})
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]
    return lines[-1], ""


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


class Machine:
    """virid run as a child. console: all that the guest has written, without carriage returns."""

    def __init__(self, build, args, seconds):
        self.errors = tempfile.TemporaryFile()
        self.deadline = time.monotonic() + seconds
        self.started = time.monotonic()
        self.console = ""
        self.seen = 0
        self.process = subprocess.Popen([os.path.join(build, "virid"), "run", *args, "--no-reboot", "--stats", "--timeout", str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def _read(self):
        """More of the console; False when there is no more."""
        if not select.select([self.process.stdout], [], [], max(0, self.deadline + 10 - time.monotonic()))[0]:
            self.process.kill()
        data = os.read(self.process.stdout.fileno(), 65536)
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
        self.process.stdin.close()
        self.process.stdout.close()
        self.seconds = time.monotonic() - self.started
        return status

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def cost(self):
        """Once it is over: what the run took."""
        found = re.search(r"instructions (\d+)", self.complaints())
        return f"{self.seconds:.1f} s, {int(found[1]) / 1e6 if found else 0:.0f} M instructions"

    def story(self, whole=False):
        """For the report of a failed test: the end, without the log that the guest repeats for us."""
        lines = self.console.splitlines()
        if not whole:
            lines = [line for line in lines if not line.startswith("virid-log:")][-35:]
        return "\n".join(lines + self.complaints().splitlines()[-20:])
