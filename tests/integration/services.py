# SPDX-License-Identifier: Apache-2.0
"""The management service as a child, and requests to it."""
import http.client
import json
import os
import signal
import socket
import subprocess
import time


class Unanswered(Exception):
    """The service was not there, or went away."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("virid", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.headers, self.text = status, headers, body.decode()
        try:
            self.body = json.loads(self.text) if self.text else None
        except ValueError:
            self.body = None

    @property
    def code(self):
        """Of an error; None: it is none."""
        return self.body.get("error", {}).get("code") if self.status >= 400 and isinstance(self.body, dict) else None

    def __repr__(self):
        return f"{self.status} {self.text}"


class Service:
    """virid-vmms on a state folder of its own."""

    def __init__(self, build, folder, state="state"):
        self.program = os.path.join(build, "virid-vmms")
        self.folder = folder
        self.state = os.path.join(folder, state)
        self.runtime = os.path.join(folder, state + "-run")
        self.socket = os.path.join(self.runtime, "virid.sock")
        self.log = os.path.join(folder, state + ".log")
        self.process = None
        self.env = {}  # besides this process's
        self.options = []
        self.become = None  # called in the new process, before it is the service

    def start(self, expect=0):
        """Waits until it answers; its exit status when it ends instead, which must be @expect."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program, "--state", self.state, "--runtime", self.runtime, *self.options],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.env}, preexec_fn=self.become)
        while self.process.poll() is None:
            try:
                self.request("GET", "/host")
                return None
            except Unanswered:
                time.sleep(0.02)
        if self.process.returncode != expect:
            raise SystemExit(f"virid-vmms ended with {self.process.returncode}: {self.messages()}")
        return self.process.returncode

    def messages(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """As systemd would; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def request(self, method, path, body=None, headers=None, timeout=100):
        c = _Connection(self.socket, timeout)
        try:
            text = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
            c.request(method, "/api/v1" + path, text, {**({"Content-Type": "application/json"} if text is not None else {}), **(headers or {})})
            r = c.getresponse()
            return Answer(r.status, r.read(), r.headers)
        except (OSError, http.client.HTTPException) as e:
            raise Unanswered(repr(e)) from e
        finally:
            c.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body=None):
        return self.request("POST", path, body)

    def patch(self, path, body, headers=None):
        return self.request("PATCH", path, body, headers)

    def delete(self, path):
        return self.request("DELETE", path)

    def wait(self, answer):
        """Of an answer that is a job, the job when it has ended; else what it says."""
        if answer.status != 202:
            return answer.body
        while True:
            job = self.get(f"/jobs/{answer.body['id']}?wait=60").body
            if job["state"] != "running":
                return job

    def do(self, vm, word, body=None):
        """The ended job of a state change, or the error."""
        return self.wait(self.post(f"/vms/{vm}/{word}", body))

    def vm(self, vm):
        return self.get(f"/vms/{vm}").body

    def until(self, vm, *states, seconds=60):
        """The VM, when it is in one of @states; else as it is in the end."""
        end = time.monotonic() + seconds
        while True:
            found = self.vm(vm)
            if found.get("state") in states or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def record(self, vm_id):
        """state.json of a VM."""
        with open(os.path.join(self.state, "vms", vm_id, "state.json"), encoding="utf-8") as f:
            return json.load(f)

    def pid(self, vm_id):
        """Of its worker; None: it has none."""
        return (self.record(vm_id)["worker"] or {}).get("pid")

    def end_all(self):
        """Nothing of it is left."""
        if self.process is not None and self.process.poll() is None:
            try:
                for vm in self.get("/vms").body["vms"]:
                    if vm["state"] not in ("off", "saved"):
                        self.do(vm["id"], "stop")
            except Unanswered:
                pass
            self.kill()
        self.kill_all()

    def kill_all(self):
        """The same, the hard way."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for vm_id in os.listdir(os.path.join(self.state, "vms")) if os.path.isdir(os.path.join(self.state, "vms")) else []:
            try:
                pid = self.pid(vm_id)
                if pid and "virid-vmwp" in os.readlink(f"/proc/{pid}/exe"):
                    os.kill(pid, signal.SIGKILL)
            except (OSError, ValueError, KeyError):
                pass
