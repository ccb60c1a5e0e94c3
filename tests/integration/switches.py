# SPDX-License-Identifier: Apache-2.0
"""What tests of the switch process share: a network of their own, starting and ending the process, TAP lines."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from cable import Cable, Client

ROOT = os.geteuid() == 0
INSIDE = "VIRID_TEST_NETWORK"


def enter_network():
    """Root: this program goes on in a network and mount namespace of its own. Others stay where they are."""
    if not ROOT or INSIDE in os.environ:
        return
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-n", "-m", sys.executable, *sys.argv])


def own_network():
    """Why there is none, or None."""
    if not ROOT:
        return "needs root"
    return None if INSIDE in os.environ else "no network namespaces here"


class Tests:
    """Functions in order, each a TAP line."""

    def __init__(self):
        self.all = []

    def add(self, needs=None):
        def take(fn):
            self.all.append((fn, needs))
            return fn

        return take

    def run(self, finish):
        only = sys.argv[2:]
        chosen = [(fn, needs) for fn, needs in self.all if not only or fn.__name__ in only]
        failed = 0
        print(f"1..{len(chosen)}")
        for number, (fn, needs) in enumerate(chosen, 1):
            why = needs() if needs else None
            name = (fn.__doc__ or fn.__name__).strip().rstrip(".")
            if why:
                print(f"ok {number} - {name} # SKIP {why}", flush=True)
                continue
            try:
                fn()
                print(f"ok {number} - {name}", flush=True)
            except Exception as e:  # noqa: BLE001
                failed += 1
                line = e.__traceback__
                while line.tb_next and line.tb_next.tb_frame.f_code.co_filename == __import__("__main__").__file__:
                    line = line.tb_next
                print(f"# line {line.tb_lineno}: {type(e).__name__}: {e}")
                print(f"not ok {number} - {name}", flush=True)
                for cable in list(Cable.plugged):
                    cable.unplug()
        finish()
        sys.exit(failed != 0)


def expect(what, detail=""):
    if not what:
        raise AssertionError(detail)


def until(fn, timeout=60):
    """Waits for fn() to be true; its value."""
    end = time.monotonic() + timeout
    while not (value := fn()) and time.monotonic() < end:
        time.sleep(0.01)
    expect(value, "not in time")
    return value


def sh(*words, check=True):
    r = subprocess.run(words, capture_output=True, text=True)
    expect(not check or r.returncode == 0, f"{' '.join(words)}: {r.stderr}")
    return r.stdout


class Process:
    """A switch process with a socket and a list of its own."""

    def __init__(self, build, options=()):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="virid-switch-")
        os.chmod(self.folder, 0o700)
        self.path = os.path.join(self.folder, "socket")
        self.environment = dict(os.environ, MALLOC_PERTURB_="165", VIRID_VSWITCH_SOCKET=self.path,
                                VIRID_VSWITCH_CONFIG=os.path.join(self.folder, "switches.json"))
        self.options = list(options)
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.folder, "messages"), "ab")
        self.process = subprocess.Popen([os.path.join(self.build, "virid-vswitch"), *self.options], env=self.environment,
                                        stderr=self.log)
        until(self.answers)

    def answers(self):
        try:
            self.client = Client(self.path)
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def virid(self, *words):
        """The command; its result."""
        return subprocess.run([os.path.join(self.build, "virid"), "switch", *words], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def works(self, *words):
        r = self.virid(*words)
        expect(r.returncode == 0, f"{' '.join(words)}: {r.stderr}")
        return r.stdout

    def refuses(self, *words, says):
        r = self.virid(*words)
        expect(r.returncode != 0, f"{' '.join(words)}: not refused")
        expect(says in r.stderr, f"{' '.join(words)}: says {r.stderr!r}")

    def ask(self, verb, **members):
        return self.client.ask(verb, **members)

    def stats(self, switch, port):
        return self.ask("stats", switch=switch, port=port)["ports"][0]

    def holder(self):
        """Processes that have our lock, wherever they were started from."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if any(os.readlink(f"/proc/{pid}/fd/{fd}") == self.path + ".lock" for fd in os.listdir(f"/proc/{pid}/fd")):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def messages(self):
        with open(os.path.join(self.folder, "messages"), encoding="utf-8") as f:
            return f.read()

    def finish(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        for pid in self.holder():
            os.kill(pid, 15)
            until(lambda: not self.holder())
        shutil.rmtree(self.folder, ignore_errors=True)
