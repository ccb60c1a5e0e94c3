# SPDX-License-Identifier: Apache-2.0
"""The management service and its clients, for tests: HTTP on its socket or over TLS, with every answer held against the description that the service itself
gives (OpenAPI)."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

PREFIX = "/api/v1"


# ---- JSON Schema, as much as the description uses ----

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KEYWORDS = {"type", "required", "properties", "additionalProperties", "items", "enum", "$ref", "allOf", "anyOf", "pattern", "minimum", "maximum",
            "minLength", "maxLength", "maxItems", "multipleOf", "description"}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def faults(schema, value, document, at="answer"):
    """What is wrong with @value, as sentences."""
    unknown = set(schema) - KEYWORDS
    if unknown:
        yield f"{at}: this test knows no {unknown}"
    if "$ref" in schema:
        target = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        yield from faults(target, value, document, at)
    for one in schema.get("allOf", []):
        yield from faults(one, value, document, at)
    if "anyOf" in schema and not any(not list(faults(one, value, document, at)) for one in schema["anyOf"]):
        yield f"{at}: {value!r} fits none of {schema['anyOf']}"
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, t) for t in types):
        yield f"{at}: {value!r} is not of type {types}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str):
        yield from text_faults(schema, value, at)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value) or value % schema.get("multipleOf", 1):
            yield f"{at}: {value!r} is out of range"
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from faults(schema.get("items", {}), one, document, f"{at}[{i}]")
    elif isinstance(value, dict):
        yield from object_faults(schema, value, document, at)


def text_faults(schema, value, at):
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not fit {schema['pattern']}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{at}: {value!r} has {len(value)} characters"


def object_faults(schema, value, document, at):
    for name in schema.get("required", []):
        if name not in value:
            yield f"{at}: has no {name!r}"
    for name, one in value.items():
        if name in schema.get("properties", {}):
            yield from faults(schema["properties"][name], one, document, f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}: {name!r} is not described"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from faults(schema["additionalProperties"], one, document, f"{at}.{name}")


class Description:
    """The service's OpenAPI document, and what answers have to look like."""

    def __init__(self, document):
        self.document = document
        self.seen = set()

    def operation(self, method, path):
        """The described path that @path is, with the fewest parameters."""
        best = None
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if method.lower() in methods and re.fullmatch(pattern, path) and (best is None or template.count("{") < best.count("{")):
                best = template
        return best

    def check(self, method, path, status, body):
        template = self.operation(method, path)
        if template is None:
            assert status in (404, 405, 400, 403, 401), f"{method} {path} is not described, and was answered with {status}"
            schema = {"$ref": "#/components/schemas/Error"}
        else:
            self.seen.add((method, template))
            responses = self.document["paths"][template][method.lower()]["responses"]
            found = responses.get(str(status)) or responses.get(f"{status // 100}XX")
            assert found, f"{method} {template}: the status {status} is not described"
            if "content" not in found:
                assert body is None, f"{method} {template}: {status} has no body, found {body!r}"
                return
            schema = found["content"].get("application/json", {}).get("schema")
            if schema is None:
                return
        wrong = list(faults(schema, body, self.document))
        assert not wrong, f"{method} {path}: {status}: {wrong[:3]}"


# ---- Clients ----

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=240)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(240)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self):
        return (self.body or {}).get("error", {}).get("code")

    @property
    def message(self):
        return (self.body or {}).get("error", {}).get("message", "")

    def __repr__(self):
        return f"{self.status} {self.body!r}"


def quote(text):
    return urllib.parse.quote(text, safe="")


class Client:
    """@connect makes a connection; it is kept between requests."""

    def __init__(self, connect, description=None):
        self.make, self.description, self.connection = connect, description, None

    def ask(self, method, path, body=None, **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        r, text = self.exchange(method, path, data, fields)
        if r.will_close:
            self.close()
        is_json = r.headers.get("Content-Type", "").startswith("application/json")
        answer = Answer(r.status, r.headers, json.loads(text) if is_json and text else text.decode() if text else None)
        if self.description and method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            self.description.check(method, path.split("?")[0], r.status, answer.body)
        return answer

    def exchange(self, method, path, data, fields):
        """Once more on a new connection when one that was kept has been closed meanwhile."""
        kept = self.connection is not None
        self.connection = self.connection or self.make()
        try:
            self.connection.request(method, PREFIX + path, data, fields)
            r = self.connection.getresponse()
            return r, r.read()
        except (OSError, http.client.HTTPException):
            self.close()
            if kept:
                return self.exchange(method, path, data, fields)
            raise

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.ask("POST", path, body, **headers)

    def put(self, path, body=None, **headers):
        return self.ask("PUT", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)

    def job(self, answer):
        """The job that @answer began, when it has ended."""
        assert answer.status == 202, answer
        job = answer.body
        while job["state"] == "running":
            job = self.get(f"/jobs/{job['id']}?wait=20").body
        return job

    def done(self, answer):
        """The result of the job that @answer began, which must have gone well."""
        job = self.job(answer)
        assert job["state"] == "completed", job
        return job["result"]

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


def as_user(uid, groups, fn):
    """What @fn() returns in a process of another user (root only)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            os.setgroups(groups[1:])
            os.setresgid(groups[0], groups[0], groups[0])
            os.setresuid(uid, uid, uid)
            with os.fdopen(write, "w") as f:
                try:
                    json.dump({"value": fn()}, f)
                except Exception as e:  # noqa: BLE001
                    json.dump({"error": f"{type(e).__name__}: {e}"}, f)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as f:
        result = json.load(f)
    os.waitpid(pid, 0)
    assert "value" in result, result["error"]
    return result["value"]


# ---- The service ----

class Service:
    """virid-vmms on a state folder. Switches it knows are in the folder, too."""

    def __init__(self, build, folder, host=None, options=(), **env):
        self.build, self.folder, self.options = build, folder, options
        self.state = os.path.join(folder, "state")
        self.socket = os.path.join(folder, "socket")
        self.log = os.path.join(folder, "log")
        self.env = {**os.environ, "VIRID_VSWITCH_SOCKET": os.path.join(folder, "vswitch.sock"),
                    "VIRID_VSWITCH_CONFIG": os.path.join(folder, "switches.json"), **env}
        self.process = self.description = None
        if host is not None:
            os.makedirs(self.state, mode=0o700, exist_ok=True)
            with open(os.path.join(self.state, "host.json"), "w", encoding="utf-8") as f:
                json.dump({"format": 1, **host}, f)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.build, "virid-vmms"), "--state", self.state, "--runtime", os.path.join(self.folder, "run"), "--socket", self.socket, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        end = time.monotonic() + 240
        while time.monotonic() < end:
            assert self.process.poll() is None, self.words()
            try:
                self.connect().connect()
                break
            except OSError:
                time.sleep(0.02)
        if self.description is None:
            self.description = Description(Client(self.connect).get("/openapi.json").body)
        return self

    def connect(self):
        return UnixConnection(self.socket)

    def client(self):
        return Client(self.connect, self.description)

    def words(self):
        with open(self.log, errors="replace", encoding="utf-8") as f:
            return f.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Its status; machines run on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=240)

    def over_tls(self, port, ca, certificate=None, key=None, authorization=None):
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            context.load_cert_chain(certificate, key)
        client = Client(lambda: http.client.HTTPSConnection("localhost", port, timeout=240, context=context), self.description)
        if authorization:
            plain = client.ask
            client.ask = lambda method, path, body=None, **headers: plain(method, path, body, Authorization=authorization, **headers)
        return client


class Events:
    """GET /events: reads one event after another."""

    def __init__(self, service, query="", last=None):
        self.connection = service.connect()
        self.connection.request("GET", PREFIX + "/events" + query, headers={} if last is None else {"Last-Event-ID": str(last)})
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def next(self):
        """(id, type, data), None at the stream's end; comments go by."""
        fields = {}
        while True:
            line = self.response.readline().decode()
            if line == "":
                return None
            line = line.rstrip("\n")
            if line == "" and "data" in fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value

    def until(self, kind, **members):
        """The next event of a kind that has @members."""
        while (event := self.next()) is not None:
            if event[1] == kind and all(event[2].get(k) == v for k, v in members.items()):
                return event
        raise AssertionError(f"the stream ended before {kind} {members}")

    def close(self):
        self.connection.close()
