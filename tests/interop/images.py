# SPDX-License-Identifier: Apache-2.0
"""For tests of disks between `virid disk` and the tools of others: images with random data, runs of the tools, contents compared by hash. Prints TAP."""
import atexit
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
CHUNK = 64 * KIB
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
build = os.path.abspath(sys.argv[1])
virid = os.path.join(build, "virid")
tmp = tempfile.mkdtemp(prefix="virid-interop-")
atexit.register(shutil.rmtree, tmp, ignore_errors=True)
results = []


class Skip(Exception):
    pass


def path(name):
    return os.path.join(tmp, name)


def run(*args, ok=True):
    p = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, text=True)
    if ok and p.returncode != 0:
        raise AssertionError(f"{' '.join(args)}: exit {p.returncode}: {p.stdout}{p.stderr}")
    return p


def need(tool):
    if shutil.which(tool) is None:
        raise Skip(f"{tool} is not installed")


def disk(*args, **kw):
    return run(virid, "disk", *args, **kw)


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got}, expected {want}")


def data_of(f):
    """The parts of an open file that are not holes: offset and length."""
    end = os.fstat(f.fileno()).st_size
    at = 0
    while at < end:
        try:
            start = os.lseek(f.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(f.fileno(), start, os.SEEK_HOLE)
        yield start // CHUNK * CHUNK, at


def digest(name, size):
    """Of what is not zero, and where, so that holes of any length take no time. Behind @size bytes there must be zeros only."""
    h = hashlib.blake2b()
    done = 0
    with open(name, "rb") as f:
        for start, end in data_of(f):
            for at in range(max(start, done), end, CHUNK):
                f.seek(at)
                chunk = f.read(CHUNK)
                if chunk.count(0) != len(chunk):
                    inside = max(size - at, 0)
                    if chunk[inside:].strip(b"\0"):
                        raise AssertionError(f"{name}: data behind {size} bytes")
                    h.update(f"{at} ".encode() + chunk[:inside].ljust(CHUNK, b"\0"))
                done = at + CHUNK
    return h.hexdigest()


def raw_image(name, size, seed, pieces=24):
    """Sparse, with runs of random data at random sectors, one of them at either end."""
    rnd = random.Random(seed)
    with open(path(name), "wb") as f:
        f.truncate(size)
        for i in range(pieces):
            length = 512 * rnd.choice([1, 3, 8, 100, 700])
            length = min(length, size)
            at = 0 if i == 0 else size - length if i == 1 else rnd.randrange((size - length) // 512 + 1) * 512
            f.seek(at)
            f.write(rnd.randbytes(length))
    return path(name)


def to_raw_by_virid(image, *args):
    out = path("virid.out.raw")
    if os.path.exists(out):
        os.remove(out)
    disk("convert", image, out, "--format", "raw", *args)
    return out


def to_raw_by_qemu(image, fmt=None):
    out = path("qemu.out.raw")
    run("qemu-img", "convert", "-f", fmt or qemu_format(image), "-O", "raw", image, out)
    return out


def remove(*names):
    for n in names:
        if os.path.exists(path(n)):
            os.remove(path(n))


def check_clean(image, warnings=False):
    """Others leave space unused, of which check warns."""
    p = disk("check", image, "--json")
    found = json.loads(p.stdout)
    if found["errors"] != 0 or (found["warnings"] != 0 and not warnings):
        raise AssertionError(f"virid disk check {image}: {p.stdout}")


def qemu_format(image):
    return "vhdx" if image.endswith("x") else "vpc"


def qemu_check(image):
    """qemu-img check knows VHDX only."""
    if qemu_format(image) == "vhdx":
        run("qemu-img", "check", "-f", "vhdx", image)


def case(name, fn, *args):
    start = time.monotonic()
    try:
        fn(*args)
        results.append(f"ok {len(results) + 1} - {name}")
    except Skip as e:
        results.append(f"ok {len(results) + 1} - {name} # SKIP {e}")
    except (AssertionError, KeyError, subprocess.TimeoutExpired) as e:
        for line in str(e).splitlines():
            print(f"# {line}")
        results.append(f"not ok {len(results) + 1} - {name}")
    print(f"# {time.monotonic() - start:.1f} s")
    print(results[-1], flush=True)


def finish():
    print(f"1..{len(results)}")
    sys.exit(any(line.startswith("not") for line in results))
