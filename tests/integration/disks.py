# SPDX-License-Identifier: Apache-2.0
"""For tests of `virid disk`: a folder to work in, runs of the command with what they must print, and fingers in files of either format. Prints TAP."""
import atexit
import contextlib
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import uuid

import guests

virid = os.path.join(os.path.abspath(sys.argv[1]), "virid")
TOP = guests.TOP
MIB = 1 << 20
tap = guests.Tap(os.path.basename(sys.argv[0]))
check, skip, finish = tap.check, tap.skip, tap.done
have_qemu = shutil.which("qemu-img") is not None and shutil.which("qemu-io") is not None


def enter(prefix, in_memory=False):
    """Makes a folder, removed at the end, and works in it. @in_memory: what is written need not reach a disk, if the host has the memory."""
    where = None
    with contextlib.suppress(OSError):
        where = "/dev/shm" if in_memory and shutil.disk_usage("/dev/shm").free > 1 << 30 else None
    folder = tempfile.mkdtemp(prefix=prefix, dir=where)
    os.chmod(folder, 0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chdir(folder)
    return folder


def disk(*args, **kw):
    return subprocess.run([virid, "disk", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **kw)


def works(name, *args, **kw):
    """Status 0 and not a word on standard error; the result."""
    r = disk(*args, **kw)
    check(name, r.returncode == 0 and r.stderr == "", f"status {r.returncode}, stderr {r.stderr}")
    return r


def refuses(name, status, words, *args, **kw):
    """@status and one line that has all @words; the folder is as it was."""
    before = sorted(os.listdir("."))
    r = disk(*args, **kw)
    lines = r.stderr.splitlines()
    ok = r.returncode == status and len(lines) == 1 and all(str(w) in lines[0] for w in words) and sorted(os.listdir(".")) == before
    check(f"refused: {name}", ok, f"status {r.returncode}, stderr {lines}, expected {status} and {words}; files {sorted(os.listdir('.'))}")


def parsed(name, *args):
    """The JSON that a command prints; {} after a failure was noted."""
    r = disk(*args, "--json")
    with contextlib.suppress(ValueError):
        value = json.loads(r.stdout)
        check(name, r.returncode == 0 and r.stderr == "", f"status {r.returncode}, stderr {r.stderr}")
        return value
    check(name, False, f"status {r.returncode}, no JSON: {r.stdout!r} {r.stderr}")
    return {}


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def shown(path):
    """The hash of what a disk shows, by way of a raw copy."""
    with contextlib.suppress(FileNotFoundError):
        os.remove("shown.raw")
    r = disk("convert", path, "shown.raw")
    if r.returncode != 0:
        return r.stderr
    digest = sha256("shown.raw")
    os.remove("shown.raw")
    return digest


def remove(*paths):
    for p in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(p)


# ---- Reaching into VHDX files ----

HEADERS = (64 << 10, 128 << 10)
REGIONS = (192 << 10, 256 << 10)
BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le


def peek(path, offset, count):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(count)


def poke(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def region(path, guid):
    table = peek(path, REGIONS[0], 4096)
    at = table.index(guid, 16)
    return struct.unpack_from("<Q", table, at + 16)[0]


def entry_offset(path, index):
    return region(path, BAT) + 8 * index


def change_headers(path, change):
    """Both headers become what @change makes of the current one."""
    pages = [bytearray(peek(path, at, 4096)) for at in HEADERS]
    page = max(pages, key=lambda p: struct.unpack_from("<Q", p, 8))
    change(page)
    struct.pack_into("<I", page, 4, 0)
    struct.pack_into("<I", page, 4, crc32c(page))
    for at in HEADERS:
        poke(path, at, page)


def add_block(path, index, data):
    """Gives a VHDX the payload block @index, as if a guest had written all of it."""
    offset = (os.path.getsize(path) + MIB - 1) // MIB * MIB
    poke(path, offset, data)
    poke(path, entry_offset(path, index), struct.pack("<Q", offset | 6))


def pattern(seed, count):
    return hashlib.shake_128(str(seed).encode()).digest(count)


# ---- Reaching into VHD files ----

FOOTER = 512


def vhd_seal(data, field):
    """With the checksum of a footer or header, which lies at @field."""
    data = bytearray(data)
    struct.pack_into(">I", data, field, 0)
    struct.pack_into(">I", data, field, ~sum(data) & 0xFFFFFFFF)
    return bytes(data)


def vhd_change(path, offset, data):
    """Writes @data at @offset of the footer, in both places (a dynamic disk's)."""
    footer = bytearray(peek(path, 0, FOOTER))
    footer[offset:offset + len(data)] = data
    footer = vhd_seal(footer, 64)
    poke(path, 0, footer)
    poke(path, os.path.getsize(path) - FOOTER, footer)


def vhd_entry(path, index):
    return struct.unpack(">Q", peek(path, 512 + 16, 8))[0] + 4 * index


def vhd_add_block(path, index, data):
    """Gives a dynamic VHD the block @index, as if a guest had written all of it."""
    footer = peek(path, 0, FOOTER)
    at = os.path.getsize(path) - FOOTER
    bitmap = b"\xff" * (len(data) // 512 // 8)
    bitmap += bytes(-len(bitmap) % 512)
    poke(path, at, bitmap + data + footer)
    poke(path, vhd_entry(path, index), struct.pack(">I", at // 512))
