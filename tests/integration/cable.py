# SPDX-License-Identifier: Apache-2.0
"""A worker's end of a cable to the switch process, for tests: src/vswitchd/include/vswitchd/client.h and src/vswitch/include/vswitch/wire.h in Python."""
import array
import json
import mmap
import os
import select
import socket
import struct
import time

MAGIC = 0x3145524957445256
PAGE = 4096
SKIP = 0xFFFFFFFF
NO_TAG = 0xFFFFFFFF
RECORD = struct.Struct("<IIBBHHHH6x")
DESCRIPTORS = 80


class Refused(Exception):
    """The switch process said no."""


class Client:
    """One connection."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)  # waits when many connect at once
        self.socket.settimeout(timeout)

    def send(self, data, fds=()):
        """Bytes as they are."""
        socket.send_fds(self.socket, [data], list(fds))

    def receive(self):
        """The answer and its descriptors."""
        data, fds, _, _ = socket.recv_fds(self.socket, 1 << 17, DESCRIPTORS)
        if not data:
            raise ConnectionResetError("the switch hung up")
        answer = json.loads(data)
        if "long" in answer:
            with os.fdopen(fds.pop(), "rb") as f:
                f.seek(0)
                answer = json.loads(f.read())
        return answer, fds

    def ask(self, verb, fds=(), **members):
        """A request; its answer, or Refused."""
        request = {"do": verb}
        request.update({k.replace("_", "-"): v for k, v in members.items()})
        self.send(json.dumps(request).encode(), fds)
        answer, got = self.receive()
        if "error" in answer:
            raise Refused(answer["error"])
        self.fds = got
        return answer

    def close(self):
        self.socket.close()


class Cable:
    """An adapter plugged in."""

    plugged = []  # all that are, so that a test that failed can be tidied up after

    def __init__(self, path, switch, port, mac, queues=1, **options):
        self.client = Client(path)
        self.mac = mac
        self.request = dict(switch=switch, port=port, mac=mac_text(mac), queues=queues, **options)
        self.news = []  # that came without having been asked for
        answer = self.client.ask("plug", **self.request)
        self.answer = answer
        fds = self.client.fds
        self.memory_fd, self.switch_bell, self.worker_bells = fds[0], fds[1], fds[2:]
        self.memory = mmap.mmap(self.memory_fd, os.fstat(self.memory_fd).st_size)
        self.words = memoryview(self.memory).cast("Q")  # stored and loaded whole: struct writes bytes one by one
        magic, self.queues, self.ring_bytes = struct.unpack_from("<QII", self.memory, 0)
        assert magic == MAGIC and self.queues == queues == len(self.worker_bells)
        self.heads = [0] * queues
        self.tails = [0] * queues
        Cable.plugged.append(self)

    def ring(self, queue, to_worker):
        return 2 * PAGE + (queue * 2 + to_worker) * (PAGE + self.ring_bytes)

    def get64(self, at):
        return self.words[at // 8]

    def put64(self, at, value):
        self.words[at // 8] = value & (1 << 64) - 1

    def link(self):
        """Has the network behind the cable a link?"""
        return struct.unpack_from("<I", self.memory, 16)[0] == 0

    def told(self, timeout=60):
        """Did the switch ring the bell of queue 0?"""
        ready, _, _ = select.select(self.worker_bells[:1], [], [], timeout)
        if ready:
            os.read(self.worker_bells[0], 8)
        return bool(ready)

    def bell(self):
        os.write(self.switch_bell, struct.pack("<Q", 1))

    def send(self, frame, tag=NO_TAG, queue=0, offload=(0, 0, 0, 0, 0, 0)):
        """False: the ring is full."""
        base = self.ring(queue, 0)
        head, tail = self.heads[queue], self.get64(base + 64)
        need = RECORD.size + len(frame) + 7 & ~7
        offset = head % self.ring_bytes
        skip = self.ring_bytes - offset if offset + need > self.ring_bytes else 0
        if skip + need > self.ring_bytes - (head - tail):
            return False
        if skip:
            struct.pack_into("<I", self.memory, base + PAGE + offset, SKIP)
            offset = 0
        RECORD.pack_into(self.memory, base + PAGE + offset, len(frame), tag, *offload)
        at = base + PAGE + offset + RECORD.size
        self.memory[at : at + len(frame)] = frame
        self.heads[queue] = head + skip + need
        self.put64(base, self.heads[queue])
        if struct.unpack_from("<I", self.memory, base + 128)[0]:
            self.bell()
        return True

    def take(self, queue=0):
        """One frame with its tag and offload, or None."""
        base = self.ring(queue, 1)
        tail = self.tails[queue]
        if self.get64(base) == tail:
            return None
        offset = tail % self.ring_bytes
        length = struct.unpack_from("<I", self.memory, base + PAGE + offset)[0]
        if length == SKIP:
            tail += self.ring_bytes - offset
            offset = 0
        record = RECORD.unpack_from(self.memory, base + PAGE + offset)
        at = base + PAGE + offset + RECORD.size
        frame = bytes(self.memory[at : at + record[0]])
        self.tails[queue] = tail + (RECORD.size + record[0] + 7 & ~7)
        self.put64(base + 64, self.tails[queue])
        return frame, record[1], record[2:]

    def receive(self, timeout=60, want=lambda frame: True):
        """The next frame that is wanted, or None when there is none in time."""
        end = time.monotonic() + timeout
        while True:
            for queue in range(self.queues):
                while got := self.take(queue):
                    if want(got[0]):
                        self.tag, self.offload, self.queue = got[1], got[2], queue
                        return got[0]
            for queue in range(self.queues):
                struct.pack_into("<I", self.memory, self.ring(queue, 1) + 128, 1)
            left = end - time.monotonic()
            if left <= 0:
                return None
            # Short: this side has no fence between its flag and its look, so a bell may be missed.
            ready, _, _ = select.select(self.worker_bells, [], [], min(left, 0.01))
            for fd in ready:
                os.read(fd, 8)

    def hung_up(self, timeout=60):
        """Has the switch closed the port?"""
        ready, _, _ = select.select([self.client.socket], [], [], timeout)
        while ready and (news := self.client.socket.recv(1 << 17)):
            self.news.append(json.loads(news.split(b" ", 1)[1]))  # behind the seal
            ready, _, _ = select.select([self.client.socket], [], [], timeout)
        return bool(ready)

    def again(self):
        """How the switch says that this adapter is to be plugged in again; what it was plugged in with when it did not say."""
        self.hung_up(0)
        return self.news[-1] if self.news else self.request

    def unplug(self):
        Cable.plugged.remove(self)
        self.client.close()
        self.words.release()
        self.memory.close()
        for fd in [self.memory_fd, self.switch_bell, *self.worker_bells]:
            os.close(fd)


def mac_text(mac):
    return ":".join(f"{b:02x}" for b in mac)


def mac_of(n):
    return bytes([2, 0, 0, 0, n >> 8, n & 255])


BROADCAST = b"\xff" * 6
TEST_TYPE = 0x88B5  # for local experiments


def frame(to, source, payload=b"", ethertype=TEST_TYPE):
    return (to + source + struct.pack(">H", ethertype) + payload).ljust(60, b"\0")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    words = array.array("H", data)
    words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(text):
    return socket.inet_aton(text)


def ipv4(source, to, protocol, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source, to)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(source, to, source_port, to_port, data):
    """An IPv4 packet."""
    length = 8 + len(data)
    head = struct.pack(">HHHH", source_port, to_port, length, 0)
    pseudo = source + to + struct.pack(">BBH", 0, 17, length)
    total = checksum(pseudo + head + data) or 0xFFFF
    return ipv4(source, to, 17, head[:6] + struct.pack(">H", total) + data)


def arp(operation, mac, source, target_mac, target):
    return struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac, source, target_mac, target)
