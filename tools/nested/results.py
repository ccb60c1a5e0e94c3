# SPDX-License-Identifier: Apache-2.0
"""Results of check-kvm: TAP lines, those of other programs among them, and what the emulated processor itself gets wrong."""
import re


class Tap:
    def __init__(self):
        self.count = self.failed = self.skipped = 0
        self.skips = []

    def result(self, ok, name, reason=None):
        self.count += 1
        self.failed += not ok
        self.skipped += reason is not None
        if reason is not None:
            self.skips.append(f"{name}: {reason}")
        print(f"{'' if ok else 'not '}ok {self.count} - {name}" + (f" # SKIP {reason}" if reason else ""), flush=True)

    def note(self, text):
        for line in text.splitlines():
            print("#", line, flush=True)

    def end(self, seconds):
        print(f"1..{self.count}")
        for skip in self.skips:
            print(f"# skipped: {skip}")
        print(f"# {self.count - self.failed - self.skipped} passed, {self.failed} failed, {self.skipped} skipped; {seconds:.0f} s")
        return 1 if self.failed else 0


def complaints(output, exact=True):
    """What a small guest says about a check that failed: "test: check: got .., want ..", by test; not @exact: without what it got."""
    found = {}
    for line in output.splitlines():
        m = re.match(r"# ([^:]*(?::[^:]+)*?): (.*: got \S+, want \S+)$", line)
        if m:
            found.setdefault(m[1].split(":")[0], set()).add(line if exact else re.sub(r": got \S+,", ":", line))
    return found


def one_line(tap, name, word, text, ours, theirs):
    reason = text.split("# SKIP ", 1)[1] if "# SKIP " in text else None
    test = text.split(" # SKIP")[0]
    mine = ours.get(test.split(":")[0], set())
    if word == "not ok" and mine and mine <= theirs.get(test.split(":")[0], set()):
        tap.result(True, f"{name}: {test}", f"the emulated processor itself fails {len(mine)} of its checks")
        return
    tap.result(word == "ok", f"{name}: {test}", reason)
    if word != "ok":
        tap.note("\n".join(sorted(mine)))


def pass_on(tap, name, status, output, excused=None, exact=True):
    """The TAP lines of a program as ours; its status alone when it prints none. status None: it did not end in time. @excused: complaints that the processor itself makes; not @exact: in other numbers."""
    lines = re.findall(r"(?m)^(not ok|ok)\b[ \d-]*(.*)$", output)
    skipped = re.search(r"(?m)^1\.\.0 # SKIP (.*)|^skipped: (.*)", output)
    if skipped and not lines and status in (0, 77):
        tap.result(True, name, skipped[1] or skipped[2])
        return
    ours, theirs, failed = complaints(output, exact), complaints(excused or "", exact), tap.failed
    for word, text in lines:
        one_line(tap, name, word, text, ours, theirs)
    torn = status is None or "Bail out!" in output or (status != 0 and all(word == "ok" for word, _ in lines))
    if not lines or torn:
        tap.result(not torn, f"{name}: comes to its end" + ("" if status is not None else " in time"))
    if tap.failed != failed:
        tap.note("\n".join(output.splitlines()[-80:]))
