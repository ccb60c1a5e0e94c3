# SPDX-License-Identifier: Apache-2.0
"""The pieces of check-kvm: what each runs, which selections have it, how long it may take on an emulated processor, which guest kernels it needs.

Pieces of the same group share one emulated machine. All programs run with VIRID_ENGINE=kvm.
"""
import glob
import json
import os
import signal
import subprocess

import results

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAST_WORDS_S = 20
SMOKE, QUICK, FULL = 0, 1, 2  # each has all of those before
ALONE = ("faults", "paging", "system", "debug", "legacy", "smc")  # one processor, nothing asked of host.c
MACHINES = {"oracle": "amd64"}  # kernels of groups' machines: the cloud kernel has no 16-bit segments for programs
# Of groups in Bochs, where a timer's period has to be more instructions than it takes to serve it: with the APIC in the core the default starves a guest of 200 us.
MIPS = {"vtx-core": 100}
NOT_HERE = {
    "clock": ("tests/guest clock", "KVM counts no instructions"),
    "conformance": ("tests/conformance", "the core on an engine that plays a script; the guest \"hyperv\" holds the same rows against this engine"),
}


def run(words, seconds, **env):
    """(status, output); status None: the time was over. What it started ends with it."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               env={**os.environ, "VIRID_ENGINE": "kvm", **env}, start_new_session=True)
    try:
        output = process.communicate(timeout=seconds)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return None, process.communicate(timeout=LAST_WORDS_S)[0]
    except subprocess.TimeoutExpired as over:  # something of it cannot be killed: a thread that hangs inside KVM
        process.stdout.close()
        return None, over.stdout.decode(errors="replace") if over.stdout else ""


class Piece:
    """@kernels: guest kernels that it needs; @adds: files of the build folder or the source tree that emulated machines do not have by themselves;
    @needs_right_qemu: older ones hang in it, or end."""

    def __init__(self, name, group, selection, seconds, work, kernels=(), adds=(), needs_right_qemu=False):
        self.name, self.group, self.selection, self.seconds, self.work, self.kernels, self.adds = name, group, selection, seconds, work, kernels, adds
        self.needs_right_qemu = needs_right_qemu

    def emulator(self):
        """Whose machine is to run it, as nested-kvm calls it."""
        return "bochs" if self.group in VTX_GROUPS else "qemu"

    def again(self):
        """The same as another piece, on another kind of processor: not for hosts that have one kind."""
        return self.name.startswith("vtx-")


class Place:
    """Where pieces run: a build folder, what an emulated processor says alone (a folder), and whose that is (None on a real one)."""

    def __init__(self, build, excused, emulator):
        self.build, self.excused, self.in_qemu = build, excused, emulator == "qemu"

    def path(self, name):
        return os.path.join(self.build, name)

    def excuse(self, guest):
        if not self.excused or guest not in ALONE:
            return ""
        with open(os.path.join(self.excused, guest), encoding="utf-8", errors="replace") as f:
            return f.read()


# What pieces do: each returns a function of (tap, place, piece).


def program(path, *arguments):
    """A program of the build folder."""
    def work(tap, place, piece):
        status, output = run([place.path(path), *arguments], piece.seconds)
        results.pass_on(tap, piece.name, status, output)
    return work


def script(path, *arguments, engine="kvm"):
    """A test of the source tree, which takes the build folder as its first argument."""
    def work(tap, place, piece):
        status, output = run([os.path.join(TOP, "tests", path), place.build, *arguments], piece.seconds, VIRID_ENGINE=engine)
        results.pass_on(tap, piece.name, status, output)
    return work


def left_out(what, why):
    return lambda tap, place, piece: tap.result(True, what, why)


def probe(tap, place, piece):
    status, output = run([place.path("virid"), "engine", "probe", "--json", "--again"], piece.seconds)
    answer = json.loads(output) if status == 0 else {}
    tap.result(answer.get("engine") == "kvm", "virid engine probe finds KVM faster than the software engine")
    tap.note(answer.get("reason", output))


LIFE = "kvm_life_test"  # a piece by itself


def unit_tests(tap, place, piece):
    for program in [place.path("src/engines/engines_test")] + sorted(glob.glob(place.path("src/cpu/kvm/*_test"))):
        if os.path.basename(program) != LIFE:
            status, output = run([program], piece.seconds)
            results.pass_on(tap, os.path.basename(program), status, output)


def small_guest(guest, *options):
    def work(tap, place, piece):
        lax = ["--lax"] if place.in_qemu else []
        status, output = run([place.path("tests/guest/guest_host"), "--engine", "kvm", *lax, *options, place.path("tests/guest/guest-" + guest)], piece.seconds)
        results.pass_on(tap, piece.name, status, output, place.excuse(guest))
    return work


def several_processors(tap, place, piece):
    """What the emulated processors get wrong among themselves, a program there shows without KVM."""
    alone = run([place.path("tests/guest/cross_modify")], 100)[1] if place.in_qemu else ""
    status, output = run([place.path("tests/guest/guest_host"), "--engine", "kvm", "--cpus", "4", place.path("tests/guest/guest-smp")], piece.seconds)
    results.pass_on(tap, piece.name, status, output, alone, exact=False)


# The targets that have an engine, and their corpora: any guest, and any saved state of a partition.
FUZZ = ("fuzz/engine/fuzz_engine_kvm", "fuzz/engine/corpus/run", "fuzz/state/fuzz_state_partition_kvm", "fuzz/state/corpus/partition")


def fuzz(changed):
    """All inputs, and so many changed ones."""
    def work(tap, place, piece):
        lax = ["--below-qemu"] if place.in_qemu else []
        guests, guest_corpus, states, state_corpus = FUZZ
        status, output = run([place.path(states), os.path.join(TOP, state_corpus)], piece.seconds)
        results.pass_on(tap, f"{piece.name} states", status, output)
        status, output = run([place.path(guests), *lax, "--runs", changed, os.path.join(TOP, guest_corpus)], piece.seconds)
        results.pass_on(tap, f"{piece.name} guests", status, output)
        tap.note("\n".join(line[2:] for line in output.splitlines()[-8:] if line.startswith("# ")))
    return work


def oracle(mode, cases):
    def work(tap, place, piece):
        lax = ["--below-qemu"] if place.in_qemu else []
        program("tests/engine/oracle", *lax, "--mode", mode, "--cases", cases)(tap, place, piece)
    return work


def by_itself(tap, place, piece):
    """Nobody says which engine: where KVM is of use, tests and users get it. (What runs here is right on QEMU's processor, too: nothing is excused.)"""
    for words, sign, what in (
            (["tools/check-kvm", "--only", "hyperv-x1", place.build], "# this host: KVM runs", "check-kvm: on this host's KVM"),
            (["tests/integration/boot", place.build, "cloud", "1"], "# engine kvm,", "a guest of make check: on KVM")):
        status, output = run([os.path.join(TOP, words[0]), *words[1:]], piece.seconds, VIRID_ENGINE="")
        right = status == 0 and sign in output and "the machine for" not in output
        tap.result(right, what)
        if not right:
            tap.note(output)


CORE = "kvm,apic=core"  # the local APIC in our core instead of KVM


def engine_pieces():
    return [
        Piece("probe", "engine", SMOKE, 120, probe),
        Piece("unit", "engine", SMOKE, 200, unit_tests),
        *[Piece("guest-" + g, "engine", SMOKE if g in ("faults", "paging", "system") else QUICK, 330, small_guest(g)) for g in ALONE],
        Piece("guest-smp", "engine", QUICK, 330, several_processors),
        *[Piece(name, "engine", SMOKE, 1, left_out(*why)) for name, why in NOT_HERE.items()],
        Piece("hyperv-x1", "engine", SMOKE, 200, script("guest/hyperv", "1")),
        Piece("hyperv-x2", "engine", QUICK, 200, script("guest/hyperv", "2")),
        Piece("hyperv-x4", "engine", FULL, 300, script("guest/hyperv", "4")),
        Piece("processors", "engine", FULL, 300, script("integration/processors")),
        *[Piece("oracle-" + mode, "oracle", QUICK, 200, oracle(mode, "8000"), needs_right_qemu=True) for mode in ("64", "32", "16")],
        Piece("fuzz", "fuzz", FULL, 400, fuzz("4000"), adds=FUZZ, needs_right_qemu=True),
        Piece("life", "life", FULL, 400, program("src/cpu/kvm/kvm_life_test", "1000", "kvm"), needs_right_qemu=True),
        Piece("kills", "life", FULL, 400, script("integration/kills", "kvm", "15")),
        Piece("hyperv-x2-core", "core", FULL, 200, script("guest/hyperv", "2", engine=CORE)),
        Piece("hyperv-x4-core", "core", FULL, 300, script("guest/hyperv", "4", engine=CORE)),
    ]


def boot(flavour, processors, selection=FULL, engine="kvm", group=None, suffix="", seconds=300):
    return Piece(f"boot-{flavour}-x{processors}{suffix}", group or "boots-" + flavour, selection, seconds,
                 script("integration/boot", flavour, processors, engine=engine), (flavour,))


def boot_pae(processors):
    """QEMU's processor sets the accessed bit in PAE's page directory pointers, where KVM finds a reserved one and refuses the guest's next write of CR4;
    Bochs' does not."""
    return boot("686-pae", processors, group="vtx-pae", seconds=700)


VTX_GROUPS = ("vtx", "vtx-core", "vtx-fuzz", "vtx-pae", "vtx-boot")


def vtx_pieces():
    """On VT-x with nested paging."""
    return [
        Piece("vtx-probe", "vtx", FULL, 60, probe),
        Piece("vtx-unit", "vtx", FULL, 200, unit_tests),
        *[Piece("vtx-guest-" + g, "vtx", FULL, 120, small_guest(g)) for g in ALONE],
        Piece("vtx-hyperv-x1", "vtx", FULL, 120, script("guest/hyperv", "1")),
        Piece("vtx-hyperv-x2", "vtx", FULL, 120, script("guest/hyperv", "2")),
        Piece("vtx-hyperv-x2-core", "vtx-core", FULL, 120, script("guest/hyperv", "2", engine=CORE)),
        Piece("vtx-fuzz", "vtx-fuzz", FULL, 1500, fuzz("300"), adds=FUZZ),
        Piece("vtx-boot-cloud-x1", "vtx-boot", FULL, 300, script("integration/boot", "cloud", "1"), ("cloud",)),
    ]


def system_pieces():
    """Whole systems."""
    cloud = ("cloud",)
    return [
        Piece("by-itself", "engine", FULL, 400, by_itself, cloud),
        boot("cloud", "1"), boot("cloud", "2", QUICK), boot("cloud", "4"), boot("cloud", "2", engine=CORE, group="core", suffix="-core"),
        *[boot_pae(n) for n in ("1", "2", "4")],
        *[boot(flavour, n) for flavour in ("amd64", "rt") for n in ("1", "2", "4")],
        Piece("reboot", "boots-cloud", FULL, 500, script("integration/reboot", "cloud", "2"), cloud),
        Piece("storage", "devices", FULL, 500, script("integration/storage", "cloud", "2"), cloud),
        Piece("storage-changes", "devices", FULL, 500, script("integration/storage-changes", "cloud"), cloud),
        Piece("network-user", "networks", FULL, 200, script("integration/network-user"), cloud),
        Piece("network-iperf3", "networks", FULL, 400, script("integration/network-iperf3", "2"), cloud),
        Piece("network", "networks", FULL, 400, script("integration/network-kernel", "amd64"), ("cloud", "amd64")),
        Piece("save-restore", "saves", FULL, 1800, script("integration/save-restore", "cloud", "2", "100", "--memory=128M"), cloud),
        Piece("engine-changes", "changes", FULL, 600, script("integration/engine-changes", "3"), cloud),
        Piece("service-guest", "service", FULL, 500, script("integration/vmms-guest", "cloud"), cloud),
        Piece("service-saves", "service", FULL, 600, script("integration/vmms-saves", "5"), cloud),
        Piece("service-engine", "service", FULL, 300, script("integration/vmms-engine"), cloud),
        Piece("service-processors", "service", FULL, 300, script("integration/vmms-processors"), cloud),
    ]


def table():
    return engine_pieces() + system_pieces() + vtx_pieces()
