"""`slipway registry` for the suites, programs made of Go modules, an upstream that misbehaves on demand."""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from support import DEADLINE, stop

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


class OwnRegistry:
    """A running `slipway registry` on a free loopback port, on the store of `slipway`."""

    def __init__(self, slipway, *options, env=None):
        self.slipway = slipway
        fd, name = tempfile.mkstemp(prefix="registry-log-", dir=slipway.folder)
        os.close(fd)
        self.log = pathlib.Path(name)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                slipway.command("registry", "--listen", "127.0.0.1:0", *options), stdout=subprocess.PIPE, stderr=log,
                stdin=subprocess.DEVNULL, env=dict(slipway.env, **(env or {})))
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (https?)://(127\.0\.0\.1:(\d+))\n", line)
        if not found:
            self.close()
            raise AssertionError(f"the registry did not start: {line!r}\n{self.log.read_text()}")
        self.scheme, self.host, self.port = found.group(1), found.group(2), int(found.group(3))

    def lines(self):
        """Access lines: (method, target, status)."""
        return re.findall(r" (GET|HEAD|POST|PATCH|PUT|DELETE) (\S+) (\d+) ", self.log.read_text())

    def ask(self, method, target, body=None, headers=None, status=None):
        """(status, headers, body) of one plain request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if status is not None and answer.status != status:
            raise AssertionError(f"{method} {target}: {answer.status}, not {status}: {data[:500]!r}\n"
                                 f"{self.log.read_text()[-1500:]}")
        return answer.status, answer.headers, data

    def push_blob(self, repository, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, status=201)
        return digest

    def push_image(self, repository, tag, layers=(b"layer",), subject=None):
        """A small image; gives the manifest's digest and bytes."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "tag": tag, "rootfs": {
            "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in layers]}}).encode()
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                    "config": {"mediaType": OCI_CONFIG, "digest": self.push_blob(repository, config), "size": len(config)},
                    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(one),
                                "digest": self.push_blob(repository, one)} for one in layers]}
        if subject:
            document["subject"] = subject
        body = json.dumps(document).encode()
        _, headers, _ = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": OCI_MANIFEST}, 201)
        return headers["Docker-Content-Digest"], body

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        stop(self.process)
        self.process.stdout.close()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def go_program(module, name):
    """The path of a program made of a Go module's newest version; kept between runs. Skips, with the reason, where there
    is no Go or no module. Its module is no part of Slipway's sources: `go` fetches and checks it."""
    if shutil.which(name):
        return shutil.which(name)
    folder = pathlib.Path(os.environ.get("SLIPWAY_GO_PROGRAMS") or pathlib.Path(tempfile.gettempdir(), f"slipway-go-{os.geteuid()}"))
    program = folder / name
    if program.exists() and folder.stat().st_uid == os.geteuid():
        return str(program)
    if not shutil.which("go"):
        raise unittest.SkipTest(f"no go in PATH to build {name} of {module} (1.21 or later)")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise unittest.SkipTest(f"{folder} belongs to somebody else; set SLIPWAY_GO_PROGRAMS")
    done = subprocess.run(["go", "install", module], env=dict(os.environ, GOBIN=str(folder)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise unittest.SkipTest(f"go install {module} fails: {done.stdout.strip().splitlines()[-1:]}")
    return str(program)


class Upstream:
    """A registry for mirrors to ask: serves documents and blobs from memory, counts, and misbehaves on demand."""

    def __init__(self, port=0):
        self.blobs, self.manifests, self.tags = {}, {}, {}
        self.kinds = {}         # media types of manifests that are none of OCI's
        self.seen = []
        self.fail = 0           # a status for everything
        self.retry_after = ""   # and the header to it
        self.lie = set()        # digests that are served with other bytes
        self.empty = set()      # blobs that are told to be empty
        self.head_gate = threading.Event()  # every HEAD of a blob waits for it
        self.head_gate.set()
        self.gate = threading.Event()  # half of every blob waits for it
        self.gate.set()
        self.lock = threading.Lock()
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,),
                       {"protocol_version": "HTTP/1.1", "do_GET": lambda h: self.answer(h, True),
                        "do_HEAD": lambda h: self.answer(h, False), "log_message": lambda *a: None})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add_image(self, repository, tag, layers):
        def blob(data):
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            self.blobs[digest] = data
            return digest

        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                           "config": {"mediaType": OCI_CONFIG, "digest": blob(config), "size": len(config)},
                           "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(one),
                                       "digest": blob(one)} for one in layers]}).encode()
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self.manifests[digest] = body
        self.tags[(repository, tag)] = digest
        return digest, [blob(one) for one in layers]

    def count(self, method, part):
        with self.lock:
            return sum(1 for m, path in self.seen if m == method and part in path)

    def answer(self, handler, with_body):
        with self.lock:
            self.seen.append((handler.command, handler.path))
        if self.fail:
            return self.send(handler, self.fail, b"", "text/plain", True)
        if handler.path == "/v2/":
            return self.send(handler, 200, b"{}", "application/json", with_body)
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", handler.path)
        if not found:
            return self.send(handler, 404, b"", "text/plain", with_body)
        repository, kind, name = found.groups()
        if kind == "manifests":
            digest = self.tags.get((repository, name), name)
            data = self.manifests.get(digest)
            if data is None:
                return self.send(handler, 404, b"", "text/plain", with_body)
            return self.send(handler, 200, data, self.kinds.get(digest, OCI_MANIFEST), with_body, digest)
        data = self.blobs.get(name)
        if data is None:
            return self.send(handler, 404, b"", "text/plain", with_body)
        if name in self.empty:
            data = b""
        if not with_body:
            self.head_gate.wait(DEADLINE)
        if name in self.lie:
            data = b"X" + data[1:]
        return self.send(handler, 200, data, "application/octet-stream", with_body, name)

    def send(self, handler, status, data, kind, with_body, digest=None):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        if status == self.fail and self.retry_after:
            handler.send_header("Retry-After", self.retry_after)
        if digest:
            handler.send_header("Docker-Content-Digest", digest)
        handler.end_headers()
        if not with_body:
            return
        half = len(data) // 2
        handler.wfile.write(data[:half])
        handler.wfile.flush()
        if kind == "application/octet-stream":
            self.gate.wait(DEADLINE)
        handler.wfile.write(data[half:])

    def close(self):
        self.gate.set()
        self.head_gate.set()
        self.server.shutdown()
        self.server.server_close()
