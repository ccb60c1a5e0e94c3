# SPDX-License-Identifier: Apache-2.0
"""Looks at what passes a network device with the kernel's own record beside each frame of what is left to be done (virtio_net_hdr), and checks that the
two fit: lengths, where a checksum goes, what stands there meanwhile, sizes of segments. Frames that are complete, and those that it completes as
a network card would, go to a pcap file for tcpdump to check."""
import socket
import struct
import threading
import time

PACKET_VNET_HDR, SO_RCVBUFFORCE, SOL_PACKET = 15, 33, 263
NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCP4, GSO_UDP, GSO_TCP6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80
TCP, UDP = 6, 17
MTU = 1500


def sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(frame, at, protocol, length):
    """Sum of the pseudo header of the IP header at @at."""
    addresses = frame[at + 12:at + 20] if frame[at] >> 4 == 4 else frame[at + 8:at + 40]
    return sum16(addresses + struct.pack(">II", length, protocol))


class Bad(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Bad(what)


class Packet:
    """Where the parts of an IP packet in a frame are."""

    def __init__(self, frame):
        self.frame = frame
        self.ip = 18 if frame[12:14] == b"\x81\0" else 14
        version = frame[self.ip] >> 4
        if version == 4:
            self.l4 = self.ip + (frame[self.ip] & 15) * 4
            self.protocol = frame[self.ip + 9]
            self.bytes = struct.unpack_from(">H", frame, self.ip + 2)[0]
            self.fragment = struct.unpack_from(">H", frame, self.ip + 6)[0] & 0x3FFF
            need(sum16(frame[self.ip:self.l4]) == 0xFFFF, "the sum of the IPv4 header is wrong")
        else:
            self.l4 = self.ip + 40
            self.protocol = frame[self.ip + 6]
            self.bytes = 40 + struct.unpack_from(">H", frame, self.ip + 4)[0]
            self.fragment = 0
        self.end = self.ip + self.bytes

    def payload(self):
        """Offset of what TCP or UDP carries."""
        return self.l4 + (8 if self.protocol == UDP else (self.frame[self.l4 + 12] >> 4) * 4)


def check_sum(frame, p, flags, start, offset):
    """The checksum is right, or is to be filled in where it belongs and has the pseudo header's sum. The complete frame."""
    length = p.end - p.l4
    if not flags & NEEDS_CSUM:
        if p.protocol == UDP and frame[p.l4 + 6:p.l4 + 8] == b"\0\0":
            return frame
        need((pseudo(frame, p.ip, p.protocol, length) + sum16(frame[p.l4:p.end])) % 0xFFFF == 0, "a wrong checksum")
        return frame
    need(start == p.l4, f"the checksum starts at {start}, the header at {p.l4}")
    need(offset == (6 if p.protocol == UDP else 16), f"the checksum goes to {offset} of protocol {p.protocol}")
    at = start + offset
    partial = struct.unpack_from(">H", frame, at)[0]
    need(partial % 0xFFFF == pseudo(frame, p.ip, p.protocol, length) % 0xFFFF, f"{partial:#x} is not the sum of the pseudo header")
    value = sum16(frame[p.l4:p.end]) ^ 0xFFFF or 0xFFFF
    return frame[:at] + struct.pack(">H", value) + frame[at + 2:]


def check_size(frame, p, gso, size, header, flags):
    kind = gso & ~GSO_ECN
    if kind == GSO_NONE:
        need(p.bytes <= MTU, f"{p.bytes} bytes are no large segment")
        return
    need(flags & NEEDS_CSUM, "a large segment without a checksum to be filled in")
    need(kind in (GSO_TCP4, GSO_TCP6, GSO_UDP_L4), f"segments of kind {kind}")
    need((kind == GSO_TCP4) == (p.protocol == TCP and frame[p.ip] >> 4 == 4), "the kind of segment is not the packet's")
    need(0 < size <= MTU - (p.payload() - p.ip), f"segments of {size} bytes after {p.payload() - p.ip} of headers")
    need(p.end - p.payload() > size, f"segments of {size} bytes of {p.end - p.payload()}")
    need(header == 0 or header <= len(frame), f"{header} bytes of headers")


class Watcher:
    """Between enter and exit. wrong: what did not fit; frames, partial, large_in, large_out: how many it saw."""

    def __init__(self, device, pcap):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.bind((device, 3))
        self.socket.settimeout(0.2)
        self.pcap = open(pcap, "wb")
        self.pcap.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        self.wrong = []
        self.frames = self.partial = self.large_in = self.large_out = 0
        self.over = False
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()
        self.pcap.close()

    def watch(self):
        while True:
            try:
                data, where = self.socket.recvfrom(1 << 18)
            except TimeoutError:
                if self.over:
                    return
                continue
            self.look(data[:10], data[10:], where[2] == socket.PACKET_OUTGOING)

    def look(self, header, frame, outgoing):
        flags, gso, header_bytes, size, start, offset = struct.unpack("<BBHHHH", header)
        self.frames += 1
        if frame[12:14] not in (b"\x08\0", b"\x86\xdd", b"\x81\0"):
            return
        try:
            p = Packet(frame)
            need(p.end <= len(frame) and (p.end == len(frame) or len(frame) <= 60), f"{p.bytes} bytes of IP in a frame of {len(frame)}")
            if p.protocol in (TCP, UDP) and not p.fragment:
                frame = check_sum(frame, p, flags, start, offset)
                check_size(frame, p, gso, size, header_bytes, flags)
            else:
                need(not flags & NEEDS_CSUM and gso == GSO_NONE, "offloads of a packet that has none")
                need(p.bytes <= MTU, f"{p.bytes} bytes are too many")
        except (Bad, IndexError, struct.error) as e:
            self.wrong.append(f"{'to' if outgoing else 'from'} the guest: {e}: {header.hex()} {frame[:80].hex()}")
        self.partial += flags & NEEDS_CSUM
        self.large_in += gso != GSO_NONE and not outgoing
        self.large_out += gso != GSO_NONE and outgoing
        now = time.time()
        self.pcap.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)
