# SPDX-License-Identifier: Apache-2.0
"""What all emulated machines have in common."""
import ctypes
import os
import signal

LAST_WORDS_S = 20
TIMEOUT = 124  # nested-kvm's status when the time is over
PR_SET_PDEATHSIG = 1


def die_with_us():
    """For preexec_fn: the emulator ends when we do, however that happens, and a Ctrl-C is ours to answer."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)


def kernel_line(more):
    """The command line of the machine's own kernel."""
    return ("console=ttyS0 loglevel=4 panic=-1 no_timer_check tsc=reliable random.trust_cpu=on mitigations=off audit=0 apparmor=0 "
            f"cryptomgr.notests nokaslr {more}").strip()
