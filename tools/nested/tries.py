# SPDX-License-Identifier: Apache-2.0
"""What the pieces in an emulated machine report, and the new tries of those that die of what QEMU's processor gets wrong at random."""
import re

TRIES = 3


class Heard:
    """
    What one piece has reported. Results are passed on as they come, up to the first that failed: that one and those behind it wait until it is known
    whether the piece is to run again. A new try passes on what no earlier one did.
    """

    def __init__(self, tap):
        self.tap, self.passed_on = tap, 0
        self.forget()

    def forget(self):
        """Another try: what was said counts no more, but for what is passed on."""
        self.count, self.held = 0, []
        self.begun = self.ended = self.lost_rip = False

    def result(self, *result):
        self.count += 1
        if self.held or not result[0]:
            self.held.append(result)
        elif self.count > self.passed_on:
            self.tap.result(*result)
            self.passed_on = self.count

    def died_of_qemu(self):
        """
        QEMU's VMRUN: where it pushes the frame of an event and the guest's stack is not in the nested page tables, it saves its own RIP as the guest's,
        and that ends in a triple fault or in nothing at all. The same happens to QEMU's own guests there.
        """
        return not self.ended or (self.lost_rip and bool(self.held))

    def pass_on_held(self):
        for result in self.held:
            self.tap.result(*result)
        self.held = []


class Listener:
    """The TAP of emulated machines: the results of the pieces of @group; notes are passed on at once."""

    def __init__(self, tap, group):
        self.tap, self.heard, self.running = tap, {piece.name: Heard(tap) for piece in group}, None

    def line(self, line):
        result = re.match(r"(not ok|ok) \d+ - (.*?)(?: # SKIP (.*))?$", line)
        begin, end = re.match(r"# (\S+) begins$", line), re.match(r"# (\S+) ends after", line)
        if begin and begin[1] in self.heard:
            self.running = self.heard[begin[1]]
            self.running.begun = True
        if result and self.running:
            self.running.result(result[1] == "ok", result[2], result[3])
            return
        # Where kvm-amd meets a triple fault it resets the processor: this is where every one of them seems to be.
        if self.running and re.search(r"triple fault\b.* (f000:)?0xfff0\b", line):
            self.running.lost_rip = True
        if not re.match(r"1\.\.\d+$|# skipped: |# \d+ passed", line):
            self.tap.note(line[2:] if line.startswith("# ") else line)
        if end and self.running:
            self.ends()

    def ends(self):
        self.running.ended = True
        if not self.running.died_of_qemu():
            self.running.pass_on_held()
        self.running = None

    def close(self, name, when):
        """There will be no other try: what still waits is passed on. @when: by when the piece should have come to its end."""
        piece = self.heard[name]
        piece.pass_on_held()
        if not piece.ended:
            self.tap.result(False, f"{name}: comes to its end {when}; it {'was running' if piece.begun else 'had not begun'}")


def with_new_tries(tap, group, run, is_time):
    """
    Runs the pieces of @group in one machine, and those again, in another machine, that died of QEMU's processor; it says so. @run(group, listener): one
    machine; returns by when its pieces were to come to their ends. @is_time(): whether there is time for another.
    """
    listener = Listener(tap, group)
    for tries_left in range(TRIES - 1, -1, -1):
        when = run(group, listener)
        listener.running = None
        again = []
        for piece in group:
            if tries_left and piece.emulator() == "qemu" and is_time() and listener.heard[piece.name].died_of_qemu():
                again.append(piece)
            else:
                listener.close(piece.name, when)
        if not again:
            return
        tap.note(f"again, in another machine, as QEMU's VMRUN may have lost the guest's RIP: {' '.join(p.name for p in again)}")
        for piece in again:
            listener.heard[piece.name].forget()
        group = again
