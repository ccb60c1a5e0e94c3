# SPDX-License-Identifier: Apache-2.0
"""Machines whose saved states are kept in golden/, and the one that is made or restored."""
import os
import select
import subprocess
import time

# What `virid run` is given, but --kernel and --restore. They hold for ever, as the states were made with them.
DEVICES = ["--memory", "16M", "--processors", "2", "--disk", "a.vhdx,lun=0", "--dvd", ",lun=1", "--net", "none,mac=00:15:5d:00:00:01", "--control", "socket"]

# What a guest that can measure its APIC timer finds for ever: the rate where its state was made.
APIC_MHZ = {"devices-3.vmrs": 200, "devices-4.vmrs": 1000}


class Machine:
    """The guest that uses its devices (tests/guest/image/devices.c) in `virid run`; what it says is in .text."""

    def __init__(self, build, options, *more):
        self.virid = os.path.join(build, "virid")
        self.process = subprocess.Popen([self.virid, "run", "--kernel", os.path.join(build, "tests/guest/guest-devices"), *options, *more],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.text = b""

    def says(self, wanted, seconds=60):
        end = time.monotonic() + seconds
        while wanted not in self.text and time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                data = os.read(self.process.stdout.fileno(), 4096)
                if not data:
                    break
                self.text += data
        return wanted in self.text

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def answers(self, typed, wanted):
        self.text = b""
        self.type(typed)
        return self.says(wanted)

    def control(self, *words):
        return subprocess.run([self.virid, "control", "socket", *words], check=True, capture_output=True, text=True, timeout=60).stdout
