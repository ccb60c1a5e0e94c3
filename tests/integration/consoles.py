# SPDX-License-Identifier: Apache-2.0
"""A machine's console through the management service."""
import socket


class Console:
    def __init__(self, service, vm):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(240)
        self.socket.connect(service.socket)
        self.socket.sendall(f"GET /api/v1/vms/{vm}/console HTTP/1.1\r\nHost: virid\r\nConnection: Upgrade\r\n"
                            "Upgrade: virid-console\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(65536)
            if not piece:
                break
            head += piece
        head, _, self.seen = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"the console of {vm} is refused: {head + self.seen}")

    def text(self):
        """All that came so far; it begins with the last 64 KiB from before."""
        return self.seen.decode(errors="replace").replace("\r", "")

    def more(self, seconds):
        """Waits for something."""
        self.socket.settimeout(max(seconds, 0.01))
        try:
            piece = self.socket.recv(65536)
        except TimeoutError:
            return
        if not piece:
            raise SystemExit(f"the console ended: {self.text()[-2000:]}")
        self.seen += piece

    def send(self, text):
        self.socket.sendall(text.encode())

    def close(self):
        self.socket.close()
