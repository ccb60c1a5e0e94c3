# SPDX-License-Identifier: Apache-2.0
"""How often guests left the processor, and why: KVM's own counters and trace points, so that all peers are counted by the same hand."""
import os
import re
import subprocess

STATISTICS = "/sys/kernel/debug/kvm"
EVENTS = "/sys/kernel/tracing/events/kvm"
COUNTERS = ("exits", "io_exits", "mmio_exits", "halt_exits", "irq_exits", "irq_window_exits", "signal_exits", "pf_taken", "insn_emulation", "irq_injections")
# Trace point: what is counted by.
KINDS = {"kvm_exit": "exit_reason.hex", "kvm_userspace_exit": "reason", "kvm_pio": "port.hex,rw", "kvm_mmio": "gpa.hex,type", "kvm_msr": "ecx.hex,write",
         "kvm_cpuid": "function.hex"}


def mount():
    """False: this kernel does not show them."""
    for kind, path, probe in (("debugfs", "/sys/kernel/debug", STATISTICS), ("tracefs", "/sys/kernel/tracing", EVENTS)):
        if not os.path.isdir(probe):
            subprocess.run(["mount", "-t", kind, kind, path], check=False, capture_output=True)
    return os.path.isdir(STATISTICS)


def counters():
    """{name: count} of all guests that run now."""
    found = {}
    for name in COUNTERS:
        try:
            with open(os.path.join(STATISTICS, name), encoding="ascii") as f:
                found[name] = int(f.read())
        except FileNotFoundError:
            pass
    return found


class Trace:
    """Counts by kind while it is open: it costs time, so nothing is timed meanwhile."""

    def __init__(self):
        self.set = {}

    def __enter__(self):
        for event, key in KINDS.items():
            self.set[event] = f"hist:keys={key}:size=4096:sort=hitcount.descending"
            self.write(event, self.set[event])
        return self

    def __exit__(self, *_):
        for event, text in self.set.items():
            self.write(event, "!" + text)

    @staticmethod
    def write(event, text):
        with open(os.path.join(EVENTS, event, "trigger"), "w", encoding="ascii") as f:
            f.write(text + "\n")

    def counts(self):
        """{trace point: {what: count}}, the most frequent first."""
        found = {}
        for event in self.set:
            with open(os.path.join(EVENTS, event, "hist"), encoding="ascii") as f:
                rows = re.findall(r"^\{ (.*?) *\} hitcount: +(\d+)", f.read(), re.M)
            found[event] = {re.sub(r"\s+", " ", what): int(count) for what, count in rows}
        return found
