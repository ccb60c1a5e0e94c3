# SPDX-License-Identifier: Apache-2.0
"""What small guests of tests/guest report on the emulated processors themselves, without KVM: what they complain of there is not ours."""
import os
import re

import bochs
import pieces
import qemu

ENDED = re.compile(r"(?m)^1\.\.\d+\s*$|^Bail out")
SECONDS = 120


def on_qemu(image, output):
    pieces.run([qemu.PROGRAM, "-nodefaults", "-accel", "tcg", "-cpu", qemu.CPU, "-m", "64", "-display", "none", "-no-reboot", "-kernel", image,
                "-debugcon", "file:" + output, "-device", "isa-debug-exit,iobase=0xf4"], SECONDS)


def on_bochs(image, output):
    bochs.run_alone(image, output, ENDED, SECONDS)


EMULATORS = {"qemu": ("guest-", on_qemu), "bochs": ("vtx-guest-", on_bochs)}


def place(folder, emulator):
    """Where the reports of @emulator's processor are, by guest, in the folder of the run."""
    return os.path.join(folder, emulator)


def report_all(build, folder, chosen):
    for emulator, (prefix, report) in EMULATORS.items():
        os.makedirs(place(folder, emulator))
        for guest in pieces.ALONE:
            if not any(p.name == prefix + guest for p in chosen):
                continue
            output = os.path.join(place(folder, emulator), guest)
            report(os.path.join(build, "tests/guest/guest-" + guest), output)
            with open(output, encoding="utf-8", errors="replace") as f:
                if not ENDED.search(f.read()):
                    print(f"# guest {guest} on {emulator} alone: does not come to its end", flush=True)
