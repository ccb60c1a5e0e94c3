# SPDX-License-Identifier: Apache-2.0
"""The machine with VT-x: Bochs emulates one with nested paging, ten times as slowly as QEMU, and faithfully.

It has the disks at an IDE controller, and its four serial ports are what comes out of it. GRUB starts the kernel from a CD. What it gets wrong is about guests that
have interrupts off; the script heartbeat, which init starts there, says what, and helps.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

import machine

PROGRAM = "bochs"
MODULES = "ata_piix sd_mod overlay kvm-intel tun"
PORTS = ("console", "output", "result", "files")  # com1 to com4; nested/init knows the order
# Virtual seconds are instructions: more of them per second, and every timeout in there comes later.
INSTRUCTIONS_PER_SECOND = 40_000_000
SECTOR, TRACK, CYLINDER = 512, 63, 16 * 63
NEEDED = {"bochs": "bochs", "grub-mkrescue": "grub-common grub-pc-bin mtools", "xorriso": "xorriso"}


def complaint():
    """Why there can be no such machine; "": there can."""
    missing = [packages for program, packages in NEEDED.items() if not shutil.which(program)]
    return f"not installed: {' '.join(missing)}; tools/setup-debian kvm installs them" if missing else ""


def is_usable():
    return not complaint()


def whole_cylinders(path):
    """Bochs wants disks of whole cylinders."""
    unit = SECTOR * CYLINDER
    os.truncate(path, (os.path.getsize(path) + unit - 1) // unit * unit)


def disks(files, folder):
    """Copies of the system disk, which others use as well, and the work disk itself."""
    system = os.path.join(folder, "system.disk")
    subprocess.run(["cp", "--sparse=always", files["system"], system], check=True)
    for path in (system, files["work"]):
        whole_cylinders(path)
    return system, files["work"]


def boot_cd(folder, files, commands):
    """A CD whose GRUB runs @commands; @files of it by name."""
    top = os.path.join(folder, "cd")
    os.makedirs(os.path.join(top, "boot/grub"))
    for name, path in files.items():
        shutil.copy(path, os.path.join(top, name))
    with open(os.path.join(top, "boot/grub/grub.cfg"), "w", encoding="utf-8") as f:
        f.write(f"set timeout=0\nmenuentry nested {{\n{commands}\n}}\n")
    made = subprocess.run(["grub-mkrescue", "-o", top + ".iso", top], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if made.returncode:
        raise RuntimeError(f"grub-mkrescue: status {made.returncode}: {made.stderr.strip()[-400:]}")
    return top + ".iso"


def configuration(folder, mib, cd, more, instructions=INSTRUCTIONS_PER_SECOND):
    """The file that says what machine it is: one processor, a CD, and @more. @instructions: of which a second in there consists."""
    lines = [f"megs: {mib}",
             f"cpu: model=corei7_haswell_4770, count=1, ips={instructions}, reset_on_triple_fault=0",
             "romimage: file=/usr/share/bochs/BIOS-bochs-latest", "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
             "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14", "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15",
             f"ata1-master: type=cdrom, path={cd}, status=inserted", "boot: cdrom", "clock: sync=none", *more,
             f"log: {folder}/bochs.log", "panic: action=fatal", "speaker: enabled=0",
             "sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
             'display_library: rfb, options="timeout=0"']  # Debian's package has none without a display
    path = os.path.join(folder, "bochsrc")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return path


def start(folder, rc, output):
    commands = os.path.join(folder, "bochs.commands")
    with open(commands, "w", encoding="ascii") as f:
        f.write("c\n")  # Debian's build begins in its debugger
    return subprocess.Popen([PROGRAM, "-q", "-f", rc, "-rc", commands], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                            close_fds=False, preexec_fn=machine.die_with_us)


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)  # Debian's bochs is a script
    except ProcessLookupError:
        pass
    process.wait()


def run_alone(image, output, ended, seconds):
    """A multiboot @image by itself: what it writes to port E9h goes to the file @output, until that matches @ended."""
    with tempfile.TemporaryDirectory() as folder, open(output, "w", encoding="utf-8") as said, open(output, encoding="utf-8", errors="replace") as heard:
        cd = boot_cd(folder, {"image": image}, " multiboot /image")
        process = start(folder, configuration(folder, 64, cd, ["port_e9_hack: enabled=1"]), said)
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            heard.seek(0)
            if ended.search(heard.read()):
                break
        kill(process)


class Pipe:
    """The end of a pipe that is read as a socket is."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def recv(self, most):
        return os.read(self.fd, most)

    def close(self):
        os.close(self.fd)


class Machine:
    """Bochs, with a pipe for each of its serial ports. One processor, whatever was asked for: more would take turns."""

    def __init__(self, o, files, folder):
        self.sockets, theirs = {}, []
        for name in PORTS:
            ours, end = os.pipe()
            os.set_inheritable(end, True)
            theirs.append(end)
            self.sockets[name] = Pipe(ours)
        system, work = disks(files, folder)
        cd = boot_cd(folder, {"vmlinuz": files["kernel"], "initrd": files["initrd"]},
                     f" linux /vmlinuz {machine.kernel_line('iomem=relaxed ' + o.append)}\n initrd /initrd")
        rc = configuration(folder, min(o.memory, 2048), cd,
                           [f"ata0-master: type=disk, mode=flat, path={system}", f"ata0-slave: type=disk, mode=flat, path={work}",
                            *[f"com{n}: enabled=1, mode=file, dev=/proc/self/fd/{fd}" for n, fd in enumerate(theirs, 1)]],
                           o.mips * 1_000_000 if o.mips else INSTRUCTIONS_PER_SECOND)
        self.said = open(os.path.join(folder, "bochs.said"), "w+", encoding="utf-8", errors="replace")
        self.process = start(folder, rc, self.said)
        for end in theirs:
            os.close(end)

    def how_it_ended(self):
        status = self.process.wait(machine.LAST_WORDS_S)
        self.said.seek(0)
        return f"Bochs ended with status {status}: {self.said.read().strip()[-400:]}"

    def end(self):
        kill(self.process)
        self.said.close()
        for ours in self.sockets.values():
            ours.close()
