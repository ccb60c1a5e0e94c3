# SPDX-License-Identifier: Apache-2.0
"""The disks and the initramfs of tools/nested-kvm. No root is needed.

system: programs of this Debian, their libraries and the kernel's modules; kept in the cache until a package changes.
work: the build folder's programs, the source tree, guest kernels and the command; made for each run.
"""
import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
# What our tests and tools call; a package that this host does not have is left out.
PACKAGES = """base-files base-passwd bash binutils busybox-static coreutils cpio dash debianutils diffutils e2fsprogs fdisk findutils gawk grep gzip
hostname iproute2 iputils-ping kmod libc-bin login mawk mount ncurses-base ncurses-bin procps python3-minimal qemu-utils sed strace tar util-linux
util-linux-extra xorriso xz-utils iperf3 fio libcurl3-gnutls libnewt0.52""".split()
PYTHON = re.compile(r"(lib)?python3\.\d+-(minimal|stdlib)")
LEFT_OUT = re.compile(r"/usr/share/(doc|man|locale|info|lintian|bash-completion|zoneinfo|bug)/|/usr/lib/modules|^/etc/(init\.d|cron|systemd)")
SPARE_MIB = 24


class Failed(Exception):
    """What could not be made, and why."""


def cache():
    return os.path.abspath(os.environ.get("VIRID_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache"), "virid"))


def must(*args, **kw):
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **kw.pop("env", {})}
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=env, **kw)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, args[:6]))}: status {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def guest_kernel(name):
    return must(os.path.join(TOP, "tools/guest-kernels"), name).strip().splitlines()[-1]


def place(source, root, path=None):
    """@source is in the tree @root as @path: a hard link where that works, else a copy."""
    target = os.path.join(root, (path or source).lstrip("/"))
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def is_elf(path):
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


def is_program(path):
    """An executable ELF file or a script, not an object or an archive."""
    info = os.lstat(path)
    return stat.S_ISREG(info.st_mode) and info.st_mode & 0o100 != 0


def make_disk(root, output):
    """An ext4 file system @output with the tree @root."""
    size = files = 0
    for folder, folders, names in os.walk(root):
        files += len(names) + len(folders)
        size += sum((os.lstat(os.path.join(folder, n)).st_size + 4095) // 4096 * 4 for n in names)
    mib = size // 1024 + size // 16384 + SPARE_MIB
    must("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-E", "root_owner=0:0,lazy_itable_init=1", "-m", "0", "-N", files + 2048,
         "-d", root, output, f"{mib}M")


# The system disk


def package_files():
    known = must("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n").splitlines()
    installed = [line.split()[1] for line in known if line.startswith("installed ")]
    listed = must("dpkg-query", "-L", *[p for p in installed if p in PACKAGES or PYTHON.fullmatch(p)]).splitlines()
    return sorted({f for f in listed if f.startswith("/") and not LEFT_OUT.search(f) and (os.path.islink(f) or os.path.isfile(f))})


def versions():
    return must("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n")


def needed(programs):
    """The names of the libraries that @programs (ELF files) ask for."""
    text = ""
    for start in range(0, len(programs), 500):
        text += must("readelf", "-d", *programs[start:start + 500])
    return set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", text))


def libraries(programs):
    """The shared libraries that @programs need, and the dynamic linker."""
    places = {}
    for name, kind, path in re.findall(r"^\s+(\S+) \((.*)\) => (\S+)", must("/sbin/ldconfig", "-p"), re.M):
        if "x86-64" in kind:
            places.setdefault(name, path)
    found, asked, new = {"/lib64/ld-linux-x86-64.so.2"}, set(), sorted(programs)
    while new:
        names = needed(new) - asked
        asked |= names
        new = sorted({places[n] for n in names if n in places} - found)
        found.update(new)
    return found


def real_place(path):
    """Debian's /lib is a link to /usr/lib: the name below /usr."""
    head = re.match(r"/(bin|sbin|lib|lib64|lib32)/", path)
    return "/usr" + path if head else path


def put(path, root):
    """@path with the links that lead to it."""
    while os.path.islink(path):
        place(path, root, real_place(path))
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    if not os.path.isdir(path):
        place(path, root, real_place(path))


def put_passwd(root):
    os.makedirs(os.path.join(root, "etc"), exist_ok=True)
    for name in ("passwd", "group", "nsswitch.conf", "protocols", "services", "os-release", "debian_version"):
        if os.path.exists("/etc/" + name) and not os.path.lexists(os.path.join(root, "etc", name)):
            shutil.copy("/etc/" + name, os.path.join(root, "etc", name))
    for name in ("resolv.conf", "hosts"):  # not this host's: there is no network; tests put theirs over it
        with open(os.path.join(root, "etc", name), "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n" if name == "hosts" else "")


def make_system(kernel, output):
    work = tempfile.mkdtemp(prefix=".system-", dir=os.path.dirname(output))
    try:
        root = os.path.join(work, "root")
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/lib32", "proc", "sys", "dev", "run", "tmp", "root", "var/tmp", "mnt"):
            os.makedirs(os.path.join(root, folder))
        for name in ("bin", "sbin", "lib", "lib64", "lib32"):
            os.symlink("usr/" + name, os.path.join(root, name))
        files = package_files()
        for path in files:
            put(path, root)
        programs = [f for f in files if not os.path.islink(f) and is_elf(f) and not f.endswith((".a", ".o"))]
        for library in libraries(programs):
            put(library, root)
        if not os.path.lexists(os.path.join(root, "usr/bin/awk")):
            os.symlink("mawk", os.path.join(root, "usr/bin/awk"))
        put_passwd(root)
        shutil.copytree(os.path.join(kernel, "lib/modules"), os.path.join(root, "usr/lib/modules"))
        must("depmod", "-b", root, os.listdir(os.path.join(kernel, "lib/modules"))[0])
        make_disk(root, output + ".part")
        os.replace(output + ".part", output)
    finally:
        shutil.rmtree(work)


def remove_old(folder):
    """What no run has used for a day; a younger one may be starting right now."""
    for old in os.scandir(folder):
        if old.name != ".lock" and old.stat().st_mtime < time.time() - 86400:
            shutil.rmtree(old.path) if old.is_dir() else os.unlink(old.path)


def system_files(kernel, modules):
    """(initramfs with @modules, system disk), made when they are not there or something they are made of has changed."""
    folder = os.path.join(cache(), "nested")
    os.makedirs(folder, exist_ok=True)
    key = hashlib.sha256(versions().encode() + os.path.realpath(kernel).encode())
    for name in ("image.py", "boot"):
        with open(os.path.join(HERE, name), "rb") as f:
            key.update(f.read())
    disk = os.path.join(folder, key.hexdigest()[:16] + ".ext4")
    key.update(modules.encode())
    initrd = os.path.join(folder, key.hexdigest()[:16] + ".cpio")
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_old(folder)
        if not os.path.exists(initrd):
            must(os.path.join(TOP, "tools/make-initramfs"), kernel, os.path.join(HERE, "boot"), initrd + ".part", env={"MODULES": modules})
            os.replace(initrd + ".part", initrd)
        if not os.path.exists(disk):
            make_system(kernel, disk)
        for path in (initrd, disk):
            os.utime(path)
    return initrd, disk


# The work disk


def put_tree(top, root, wanted):
    """All of the folder @top for which wanted(path) is true; build folders and version control below it stay out."""
    for folder, folders, names in os.walk(top):
        folders[:] = [d for d in folders if d not in (".git", "__pycache__") and not d.startswith(".nested-") and
                      (folder == top or not os.path.exists(os.path.join(folder, d, "build.ninja"))) and
                      not (folder == top and os.path.exists(os.path.join(folder, d, "build.ninja")))]
        for name in names:
            path = os.path.join(folder, name)
            if wanted(path):
                place(path, root)


def put_path(path, root):
    if os.path.isdir(path):
        put_tree(path, root, lambda p: True)
    elif os.path.exists(path):
        place(path, root)
    else:
        raise Failed(f"{path}: not there; expected a file or folder to take along")


def put_build(build, root):
    """Programs of the build with their libraries."""
    programs = []
    left_out = tuple(os.path.join(build, d) + "/" for d in ("fuzz", "bench"))

    def wanted(path):
        if not is_program(path) or path.startswith(left_out):
            return False
        if is_elf(path):
            programs.append(path)
        return True
    put_tree(build, root, wanted)
    for library in libraries(programs):
        put(library, root)


def make_work(o, root, command, settings):
    put_build(o.build, root)
    put_tree(TOP, root, lambda path: not path.startswith(os.path.join(TOP, "fuzz") + "/"))
    for name in o.kernel:
        folder = guest_kernel(name)
        put_tree(folder, root, lambda path: True)
    for path in o.add:
        put_path(os.path.abspath(path), root)
    programs = [path for path in o.add if os.path.isfile(path) and is_program(path) and is_elf(path)]
    for library in libraries(programs) if programs else ():
        put(library, root)
    there = os.path.join(root, "run/nested")
    os.makedirs(there)
    for name in ("init", "heartbeat"):
        shutil.copy(os.path.join(HERE, name), there)
    for name, text in (("command", command), ("settings", settings)):
        with open(os.path.join(there, name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(there, name), 0o755)


def prepare(o, folder, command, settings):
    """The files of one run: those in @folder are its own."""
    kernel = guest_kernel(o.machine)
    initrd, system = system_files(kernel, o.emulator.MODULES)
    root, disk = os.path.join(folder, "root"), os.path.join(folder, "work.ext4")
    os.mkdir(root)
    make_work(o, root, command, settings)
    make_disk(root, disk)
    shutil.rmtree(root)
    return {"kernel": os.path.join(kernel, "vmlinuz"), "initrd": initrd, "system": system, "work": disk}
