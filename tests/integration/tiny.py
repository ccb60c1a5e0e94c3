# SPDX-License-Identifier: Apache-2.0
"""Tiny multiboot guests: raw 32-bit machine code, entered in protected mode, for tests of the worker and the command line."""
import struct

LOAD = 0x100000
HEADER_BYTES = 32


def image(code: bytes) -> bytes:
    """A multiboot 1 image with address fields (no ELF) whose entry is the first byte of @code."""
    magic, flags = 0x1BADB002, 0x10000
    end = LOAD + HEADER_BYTES + len(code)
    header = struct.pack("<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, LOAD, LOAD, end, end, LOAD + HEADER_BYTES)
    return header + code


def out8(port: int, value: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def out16(port: int, value: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\x66\xb8" + struct.pack("<H", value) + b"\x66\xef"


def text(line: str) -> bytes:
    return b"".join(out8(0x3F8, c) for c in line.encode())


def wrmsr(index: int, value: int) -> bytes:
    return (b"\xb9" + struct.pack("<I", index) + b"\xb8" + struct.pack("<I", value & 0xFFFFFFFF) + b"\xba" +
            struct.pack("<I", value >> 32) + b"\x0f\x30")


HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp -3
SPIN = b"\xeb\xfe"
POWER_OFF = out16(0x404, 0x2000) + HALT
RESET = out8(0x433, 1) + HALT
# lidt of an empty table, then int3: no handler, no double fault handler
TRIPLE_FAULT = b"\x68\x00\x00\x00\x00\x68\x00\x00\x00\x00\x0f\x01\x1c\x24\xcc" + HALT
STACK = b"\xbc" + struct.pack("<I", LOAD + 0x10000)
CRASH = (b"".join(wrmsr(0x40000100 + i, 0x1111 * (i + 1)) for i in range(5)) + wrmsr(0x40000105, 1 << 63) + HALT)
# Echo: wait for a byte on COM1, send it back plus one; 'q' powers off.
ECHO = (b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"  # again: in al, LSR; test al, 1; jz again
        b"\x66\xba\xf8\x03\xec\x3c\x71\x74\x05"  # in al, RBR; cmp al, 'q'; je off
        b"\xfe\xc0\xee\xeb\xe9" + POWER_OFF)  # inc al; out THR; jmp again
