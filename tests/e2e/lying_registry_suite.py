#!/usr/bin/env python3
"""Registries, token servers and web servers that lie (issue "Hostile answers", docs/security-tests.md).

Each case is an honest image on an honest little registry, and one lie. Whatever the lie is, the command ends with one
clear line, within bounded memory, without a control character for the terminal, with no credential shown to anybody
but the registry, and with nothing in the store under a name or a digest that it does not deserve.
"""
import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading

from support import Case, Slipway, add, main, measured, require

MEMORY_MIB = 256
USER, PASSWORD = "joe", "pa55-of-the-lying-suite"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b\u202e\r\nERROR: forged\x00\x7f"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            add(tar, name, data)
    return out.getvalue()


def as_json(value):
    return json.dumps(value).encode()


class Image:
    """A manifest with its blobs. `layers` are (plain bytes, compressed bytes, media type)."""

    def __init__(self, layers=None, config=None, platform=(("architecture", ARCH), ("os", "linux"))):
        if layers is None:
            plain = tar_of({"file": b"content\n" * 1000, "big": os.urandom(200_000)})
            layers = [(plain, gzip.compress(plain, 1, mtime=0), LAYER + "+gzip")]
        self.layers = layers
        self.config = {**dict(platform), "config": {"Env": ["PATH=/bin"]},
                       "rootfs": {"type": "layers", "diff_ids": [digest(p) for p, _, _ in layers]},
                       "history": [{"created_by": "test"} for _ in layers]}
        self.config.update(config or {})
        self.blobs = {digest(c): c for _, c, _ in layers}
        self.finish()

    def finish(self):
        self.config_bytes = as_json(self.config)
        self.blobs[digest(self.config_bytes)] = self.config_bytes
        self.manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                         "config": {"mediaType": CONFIG, "digest": digest(self.config_bytes), "size": len(self.config_bytes)},
                         "layers": [{"mediaType": t, "digest": digest(c), "size": len(c)} for _, c, t in self.layers]}
        return self

    @property
    def layer(self):
        return digest(self.layers[0][1])


class Peer(http.server.BaseHTTPRequestHandler):
    """One request at a time; answers are written as bytes, so that they can be wrong."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        with contextlib.suppress(OSError):
            return super().handle_one_request()
        self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def raw(self, data, close=True):
        self.wfile.write(data if isinstance(data, bytes) else data.encode("latin-1", "replace"))
        self.wfile.flush()
        self.close_connection = close

    def reply(self, status, headers=(), body=b"", length=None):
        """`headers` as they are: also twice, also with control characters."""
        lines = [f"HTTP/1.1 {status} X"] + [f"{k}: {v}" for k, v in dict(headers).items()]
        if length != "none":
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        self.raw(head + (b"" if self.command == "HEAD" else body), close=length is not None)

    def endless(self, head, piece=b"x" * 65536, most=1 << 40):
        """Until the peer has had enough."""
        self.close_connection = True
        self.raw(head)
        for _ in range(most // max(1, len(piece))):
            self.wfile.write(piece)

    def answer(self):
        owner = self.server.owner
        owner.seen.append((self.command, self.path, dict(self.headers)))
        owner.answer(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


class Server:
    """A server on a port of its own that does what `answer` says and remembers what it was asked."""

    def __init__(self, answer=None):
        self.seen = []
        if answer:
            self.answer = answer
        handler = type("Handler", (Peer,), {})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, peer):
        peer.reply(404)

    def shown(self):
        """Credentials that came here."""
        return [h for _, path, headers in self.seen for k, h in headers.items()
                if k.lower() == "authorization" or PASSWORD in path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Liar(Server):
    """An honest registry for one image, but for its rules: (method, part of a path, what to do instead)."""

    def __init__(self, image):
        self.rules, self.image, self.uploads, self.received = [], image, {}, {}
        self.locks = True
        super().__init__()

    def lie(self, method, part, action):
        self.rules.append((method, part, action))

    def answer(self, peer):
        if self.locks and peer.headers.get("Authorization") != BASIC:
            peer.body()
            return peer.reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
        for method, part, action in self.rules:
            if peer.command in method.split("|") and part in peer.path:
                return action(peer)
        self.honest(peer)

    def honest(self, peer):
        path, image = peer.path.split("?")[0], self.image
        body = peer.body()
        if path == "/v2/":
            return peer.reply(200)
        kind, _, name = path.rpartition("/")
        if kind == "/v2/app/manifests" and peer.command in ("GET", "HEAD"):
            data = image.manifest if isinstance(image.manifest, bytes) else as_json(image.manifest)
            if name != "1" and name != digest(data):
                return peer.reply(404)
            return peer.reply(200, {"Content-Type": getattr(image, "type", MANIFEST), "Docker-Content-Digest": digest(data)}, data)
        if kind == "/v2/app/blobs" and peer.command in ("GET", "HEAD"):
            if name not in image.blobs:
                return peer.reply(404)
            return peer.reply(200, {"Content-Type": "application/octet-stream"}, image.blobs[name])
        if peer.command == "POST":
            return peer.reply(202, {"Location": "/v2/app/blobs/uploads/1", "Range": "0-0"})
        if peer.command == "PUT":
            return peer.reply(201, {"Location": path})
        peer.reply(404)


class LyingCase(Case):
    def setUp(self):
        super().setUp()
        self.image = Image()
        self.liar = self.closing(Liar(self.image))
        self.elsewhere = self.closing(Server())
        self.name = f"{self.liar.host}/app:1"
        self.login(self.liar.host)

    def login(self, *hosts):
        folder = self.slipway.home / ".docker"
        folder.mkdir(exist_ok=True)
        entry = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        (folder / "config.json").write_text(json.dumps({"auths": {host: entry for host in hosts}}))

    def run_measured(self, *arguments, data=None):
        """(status, peak MiB, everything it said)."""
        done, memory = measured(self.slipway.command(*arguments), self.slipway.env, data)
        return done.returncode, memory, done.stdout

    def check(self, said, memory):
        self.assertLess(memory, MEMORY_MIB, "MiB of memory")
        text = said.decode("utf-8")  # it is, whatever came
        for bad in re.findall("[^\n\x20-\x7e\u00a0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]", text):
            self.fail(f"{bad!r} for the terminal in {text!r}")
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn(BASIC[6:], text)
        self.assertEqual([], self.elsewhere.shown(), "credentials went elsewhere")
        return text

    def fresh(self):
        """An empty store: what one case left behind does not help the next."""
        if self.slipway.root.exists():
            shutil.rmtree(self.slipway.root)

    def refused(self, why, *arguments, data=None, absent=()):
        """The command fails with one line that says `why`, and the store has learnt nothing."""
        self.fresh()
        status, memory, said = self.run_measured(*arguments, data=data)
        text = self.check(said, memory)
        self.assertEqual(1, status, text)
        errors = [line for line in text.splitlines() if line.startswith("ERROR: ")]
        self.assertEqual(1, len(errors), text)
        self.assertLess(len(errors[0]), 1500, "one clear line")
        self.assertRegex(text[text.index(errors[0]):], why)
        self.assertEqual(0, self.slipway("fsck", check=False).returncode)
        self.assertNotIn(self.liar.host, self.slipway("images", "-a").out)
        for name in absent:
            self.assertFalse(list(self.slipway.root.glob(f"blobs/**/*{name.split(':')[-1]}*")), name)
        return text

    def pull_and_from(self, why, absent=()):
        """The same lie for `pull` and for FROM."""
        text = self.refused(why, "pull", self.name, absent=absent)
        self.refused(why, "build", "--progress", "plain", "-t", "built", self.context(f"FROM {self.name}\nCOPY --from={self.name} /file /x\n"),
                     absent=absent)
        return text

    def table(self, cases, run):
        for label, *rest in cases:
            with self.subTest(label):
                self.liar.rules.clear()
                run(*rest)

    def serve_layer(self, action):
        self.liar.lie("GET", f"/blobs/{self.image.layer}", action)


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


class HonestTest(LyingCase):
    def test_the_registry_is_honest_where_no_lie_is_told(self):
        status, _, said = self.run_measured("pull", self.name)
        self.assertEqual(0, status, said)
        self.slipway.build(self.context(f"FROM {self.name}\nCOPY --from={self.name} /file /x\n"), "-t", self.name)
        status, _, said = self.run_measured("push", self.name)
        self.assertEqual(0, status, said)
        self.assertNotIn(BASIC, self.elsewhere.shown())


class BodyTest(LyingCase):
    """Bytes that are not what was promised."""

    def test_bodies_of_blobs(self):
        good = self.image.blobs[self.image.layer]
        size, flipped = len(good), good[:-1] + bytes([good[-1] ^ 1])
        longer, shorter = good + b"x", good[:-1]
        self.table((
            ("another digest", lambda p: p.reply(200, {}, flipped), "digest"),
            ("zeros", lambda p: p.reply(200, {}, bytes(size)), "digest"),
            ("too short", lambda p: p.reply(200, {}, shorter), f"announced with {size - 1} bytes, it should have {size}"),
            ("too long", lambda p: p.reply(200, {}, longer), f"announced with {size + 1} bytes, it should have {size}"),
            ("short in pieces", lambda p: p.raw(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(shorter)), f"ends after {size - 1} bytes"),
            ("long in pieces", lambda p: p.raw(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(longer)), f"more than the {size} bytes"),
            ("without end", lambda p: p.endless(HEAD + "\r\n"), f"more than the {size} bytes"),
            ("without end in pieces", lambda p: p.endless(HEAD + "Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"), f"more than the {size} bytes"),
            ("empty", lambda p: p.reply(200, {}, b""), f"announced with 0 bytes, it should have {size}"),
            ("a negative length", lambda p: p.raw(HEAD.encode() + b"Content-Length: -5\r\n\r\n" + good), "failed|announced"),
            ("an absurd length", lambda p: p.reply(200, {}, good, length=10**18), "announced with 1000000000000000000 bytes"),
            ("a length beyond numbers", lambda p: p.reply(200, {}, good, length="9" * 40), "failed|announced"),
            ("a length of words", lambda p: p.reply(200, {}, good, length="many"), "failed|announced"),
            ("two lengths", lambda p: p.raw(HEAD.encode() + f"Content-Length: {size}\r\nContent-Length: 3\r\n\r\n".encode() + good), "failed|ends after 3 bytes"),
            ("a gzip of the blob as its encoding", lambda p: p.reply(200, {"Content-Encoding": "gzip"}, gzip.compress(good)), "announced with"),
            ("a range that was not asked for", lambda p: p.reply(206, {"Content-Range": f"bytes 0-{size - 1}/{size}"}, good), "with the range"),
            ("a range of escapes", lambda p: p.reply(206, {"Content-Range": "bytes \x1b[31m\x07-9/" + "9" * 5000}, good), "with the range"),
            ("nothing is there", lambda p: p.reply(404), "does not have"),
            ("an error page without end", lambda p: p.endless("HTTP/1.1 404 X\r\n\r\n"), "does not have"),
            ("an encoding nobody knows", lambda p: p.reply(200, {"Transfer-Encoding": "bzip2"}, good, length="none"), "failed"),
        ), lambda action, why: (self.serve_layer(action), self.pull_and_from(why, [self.image.layer, digest(flipped), digest(longer), digest(shorter)])))

    def test_bodies_of_configs(self):
        good = self.image.config_bytes
        name = digest(good)
        evil = good.replace(b"PATH=/bin", b"PATH=/bad")
        self.table((
            ("another digest", lambda p: p.reply(200, {}, evil), "digest"),
            ("short", lambda p: p.reply(200, {}, good[:-1]), "it should have"),
            ("without end", lambda p: p.endless(HEAD + "\r\n"), "more than the"),
        ), lambda action, why: (self.liar.lie("GET", f"/blobs/{name}", action), self.pull_and_from(why, [name, digest(evil)])))

    def test_bodies_of_manifests(self):
        good = as_json(self.image.manifest)
        kind = {"Content-Type": MANIFEST}
        self.table((
            ("64 MiB", lambda p: p.reply(200, kind, good[:-1] + b" " * (64 << 20) + b"}"), "more than 8388608 bytes"),
            ("without end", lambda p: p.endless(f"HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}\r\n\r\n", b" " * 65536), "more than 8388608 bytes"),
            ("8 MiB of brackets", lambda p: p.reply(200, kind, b"[" * (8 << 20)), "deeper than"),
            ("8 MiB of values", lambda p: p.reply(200, kind, b"[" + b"0," * ((4 << 20) - 8) + b"0]"), "holds more than 262144 values"),
            ("8 MiB of names", lambda p: p.reply(200, kind, b"{" + b",".join(b'"%07d":0' % i for i in range(700_000)) + b"}"), "more than"),
            ("another digest in the header", lambda p: p.reply(200, {**kind, "Docker-Content-Digest": digest(b"x")}, good), "it should be"),
            ("not JSON", lambda p: p.reply(200, kind, b"<html>hello</html>"), "not valid JSON at byte 1"),
            ("cut", lambda p: p.reply(200, kind, good[:-10]), "not valid JSON"),
            ("bytes that are no text", lambda p: p.reply(200, kind, b"\xff\xfe\x00\x1b" * 100), "not valid JSON"),
            ("twice a name", lambda p: p.reply(200, kind, good[:-1] + b',"config":{}}'), "twice in one object"),
            ("a manifest that is an index too", lambda p: p.reply(200, kind, good[:-1] + b',"manifests":[]}'), "manifests"),
            ("an index with layers", lambda p: p.reply(200, {"Content-Type": INDEX}, as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "layers": []})), "layers"),
            ("a type that is not its own", lambda p: p.reply(200, {"Content-Type": INDEX}, good), "calls itself"),
            ("schema 1", lambda p: p.reply(200, {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, b'{"schemaVersion":1,"fsLayers":[]}'), "Docker schema 1"),
            ("nothing", lambda p: p.reply(200, kind, b""), "not valid JSON"),
            ("no content", lambda p: p.raw("HTTP/1.1 204 X\r\n\r\n", close=False), "status 204"),
            ("not modified", lambda p: p.raw("HTTP/1.1 304 X\r\n\r\n", close=False), "status 304"),
            ("a status beyond statuses", lambda p: p.raw("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", close=False), "status 999|failed"),
        ), lambda action, why: (self.liar.lie("GET", "/manifests/1", action), self.pull_and_from(why)))

    def test_manifests_asked_for_by_digest(self):
        good = as_json(self.image.manifest)
        evil = good.replace(b"schemaVersion", b"schemaVersioN")
        self.liar.lie("GET", f"/manifests/{digest(good)}", lambda p: p.reply(200, {"Content-Type": MANIFEST, "Docker-Content-Digest": digest(good)}, evil))
        self.name = f"{self.liar.host}/app@{digest(good)}"
        self.refused("it should be", "pull", self.name, absent=[digest(good), digest(evil)])


class DocumentTest(LyingCase):
    """Documents whose digests are right and whose content is not."""

    def serve(self, manifest=None, kind=MANIFEST):
        if manifest is not None:
            self.image.manifest = manifest
        self.image.type = kind

    def test_sizes(self):
        honest = json.dumps(self.image.manifest)
        for size, why in (("-1", "size"), ("1.5", "size"), ("1e3", "size"), ('"5"', "size"), ("null", "size|announced"), ("true", "size"), ("9223372036854775808", "size"),
                          ("18446744073709551616", "size"), ("1" + "0" * 400, "not valid JSON"), ("9223372036854775807", "free|announced"), ("0", "announced|more than"),
                          (str(1 << 50), "free|announced")):
            for part in ("config", "layers"):
                with self.subTest(f"{part} {size}"):
                    manifest = json.loads(honest)
                    (manifest[part] if part == "config" else manifest[part][0])["size"] = "SIZE"
                    self.serve(json.dumps(manifest).replace('"SIZE"', size).encode())
                    self.pull_and_from(why if part == "layers" or len(size) > 99 else "size|bytes", [self.image.layer] if part == "layers" else [])

    def test_an_absurd_size_is_refused_before_a_byte_is_asked_for(self):
        self.image.manifest["layers"][0]["size"] = 1 << 60
        self.pull_and_from("disk has")
        self.assertEqual([], [s for s in self.liar.seen if self.image.layer in s[1]])

    def test_digests(self):
        for text in ("sha256:../../../../etc/passwd", "sha256:" + "g" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 32, "", "sha256:", "a" * 64, "SHA256:" + "a" * 64,
                     "sha256:" + "A" * 64, ESCAPES, "sha256:" + "a" * 64 + "\n"):
            for part in ("config", "layers"):
                with self.subTest(f"{part} {text!r}"):
                    image = Image(self.image.layers)
                    (image.manifest[part] if part == "config" else image.manifest[part][0])["digest"] = text
                    self.serve(image.manifest)
                    self.pull_and_from("digest")

    def test_ten_thousand_layers(self):
        self.image.manifest["layers"] *= 10_000
        self.pull_and_from("10000 layers; at most 1000")
        image = Image(self.image.layers, {"rootfs": {"type": "layers", "diff_ids": self.image.config["rootfs"]["diff_ids"] * 10_000}})
        self.image.blobs.update(image.blobs)
        self.serve(image.manifest)
        self.pull_and_from("10000 layers; at most 1000")

    def test_layers_that_do_not_fit_the_config(self):
        other = Image([(tar_of({"a": b"a"}),) * 2 + (LAYER,)])
        self.image.manifest["config"] = other.manifest["config"]
        self.image.blobs.update(other.blobs)
        self.pull_and_from("plain bytes have the digest")
        self.image.manifest["layers"] = self.image.manifest["layers"] * 2
        self.pull_and_from("2 layers and its config 1")

    def test_indexes(self):
        entry = {"mediaType": MANIFEST, "digest": digest(as_json(self.image.manifest)), "size": len(as_json(self.image.manifest)),
                 "platform": {"architecture": ARCH, "os": "linux"}}
        manifest = as_json(self.image.manifest)
        documents = {}
        self.liar.lie("GET", "/manifests/sha256:", lambda p: p.reply(200, {"Content-Type": documents[p.path.rpartition("/")[2]][0]}, documents[p.path.rpartition("/")[2]][1])
                      if p.path.rpartition("/")[2] in documents else p.reply(404))

        def index(entries, **more):
            return as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **more})

        with self.subTest("nested"):
            inner = entry
            for _ in range(9):
                data = index([inner])
                documents[digest(data)] = (INDEX, data)
                inner = {"mediaType": INDEX, "digest": digest(data), "size": len(data), "platform": entry["platform"]}
            self.serve(data, INDEX)
            self.pull_and_from("nested more than")
        with self.subTest("names itself"):
            loop = {"mediaType": INDEX, "digest": digest(b"loop"), "size": 1000, "platform": entry["platform"]}
            documents[digest(b"loop")] = (INDEX, index([loop]))
            self.serve(index([loop]), INDEX)
            self.pull_and_from("it should be", [digest(b"loop")])
        for label, entries, why in (("of another size", [{**entry, "size": entry["size"] + 1}], "its index says"),
                                    ("of an absurd size", [{**entry, "size": 1 << 62}], "at most 8388608"),
                                    ("of a negative size", [{**entry, "size": -1}], "size"),
                                    ("20,000 entries", [entry] * 20_000, "20000 (entries|manifests)|at most 10000"),
                                    ("nobody's platform", [{**entry, "platform": {"architecture": ESCAPES, "os": ESCAPES}}], "no image for linux"),
                                    ("no entries", [], "no image for linux"),
                                    ("null", None, "no image for linux|manifests")):
            with self.subTest(label):
                documents[entry["digest"]] = (MANIFEST, manifest)
                self.serve(index(entries), INDEX)
                self.pull_and_from(why)
        with self.subTest("an entry's type is not the document's"):
            documents[entry["digest"]] = (MANIFEST, manifest)
            self.serve(index([{**entry, "mediaType": INDEX}]), INDEX)
            self.pull_and_from("calls itself")

    def test_foreign_urls_are_never_asked(self):
        for kind in (LAYER + "+gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"):
            with self.subTest(kind):
                image = Image(self.image.layers)
                image.manifest["layers"][0].update(urls=[f"{self.elsewhere.url}/layer", "file:///etc/passwd", "http://169.254.169.254/"], mediaType=kind)
                self.serve(image.manifest)
                self.serve_layer(lambda p: p.reply(404))
                self.pull_and_from("does not have")
                self.assertEqual([], self.elsewhere.seen)

    def test_what_is_no_image(self):
        self.table((
            ("a chart", {"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "not a container image"),
            ("a layer of escapes", {"layers": {"mediaType": ESCAPES}}, "no file system layer|no media type"),
            ("a config of escapes", {"config": {"mediaType": ESCAPES}}, "no media type"),
        ), self.changed)

    def changed(self, changes, why):
        image = Image(self.image.layers)
        for part, change in changes.items():
            (image.manifest[part] if part == "config" else image.manifest[part][0]).update(change)
        self.serve(image.manifest)
        self.pull_and_from(why)

    def test_configs(self):
        for label, change, why in (("no object", b"[]", "not an object"), ("numbers for words", {"architecture": 5}, "architecture is a number"),
                                   ("words for lists", {"config": {"Env": "PATH"}}, "not an array of strings"), ("deep", b'{"a":' * 5000 + b"1" + b"}" * 5000, "deeper than 64"),
                                   ("ports without end", {"config": {"ExposedPorts": {f"{i}/tcp": {} for i in range(300_000)}}}, "more than 262144 values"),
                                   ("a history of its own", {"history": [{"created_by": "x"}] * 200_000}, "more than 262144 values")):
            with self.subTest(label):
                image = Image(self.image.layers, change if isinstance(change, dict) else None)
                if isinstance(change, bytes):
                    image.blobs[digest(change)] = change
                    image.manifest["config"].update(digest=digest(change), size=len(change))
                self.image.blobs.update(image.blobs)
                self.serve(image.manifest)
                self.pull_and_from(why)


class HopTest(LyingCase):
    """Where answers send us, and what goes along."""

    def send(self, target, status=307, **headers):
        return lambda p: p.reply(status, {"Location": target, **headers})

    def test_redirects_of_blobs(self):
        absent = [self.image.layer]
        self.table((
            ("a file", self.send("file:///etc/passwd"), "neither http nor https"),
            ("another scheme", self.send("gopher://127.0.0.1:1/x"), "neither http nor https"),
            ("a script", self.send("javascript:alert(1)"), "not a URL|neither"),
            ("user information", self.send(f"http://joe:pw@{self.elsewhere.host}/"), "user information"),
            ("escapes", self.send("http://h/\x1b[31m\x07"), "may not have|no valid host"),
            ("no host", self.send("http:///x"), "no valid host"),
            ("a number for a host", self.send("http://2130706433/x"), "no valid host"),
            ("a port beyond ports", self.send("http://h:99999/"), "is not 1..65535"),
            ("the cloud's metadata", self.send("http://169.254.169.254/latest/meta-data"), "not for it to name"),
            ("nowhere", self.send(""), "redirects more than 10 times|status 307"),
            ("no Location", lambda p: p.reply(307), "status 307"),
            ("a mebibyte", self.send("/" + "a" * 60_000), "too long|headers"),
            ("in a circle", lambda p: p.reply(302, {"Location": p.path + "x"}), "redirects more than 10 times"),
            ("a host that wants credentials", self.send(self.elsewhere.url + "/want"), f"{self.elsewhere.host} wants credentials"),
            ("a host that has it not", self.send(self.elsewhere.url + "/none"), "does not have"),
            ("other bytes", self.send(self.elsewhere.url + "/bytes"), "announced with 5 bytes"),
        ), lambda action, why: (self.serve_layer(action), self.pull_and_from(why, absent)))
        self.assertTrue(self.elsewhere.seen)

    def setUp(self):
        super().setUp()
        self.elsewhere.answer = self.other_host
        self.login(self.liar.host, self.elsewhere.host)  # its own credentials are no reason either: it is not a registry that was named

    def other_host(self, peer):
        peer.body()
        if peer.path.startswith("/bytes"):
            return peer.reply(200, {}, b"bytes")
        if peer.path.startswith("/layer"):
            return peer.reply(200, {}, self.image.blobs[self.image.layer])
        if peer.path.startswith("/back"):
            return peer.reply(307, {"Location": f"{self.liar.url}/v2/app/blobs/{self.image.layer}?back"})
        if peer.path.startswith("/want"):
            return peer.reply(401, {"WWW-Authenticate": 'Basic realm="give"'})
        peer.reply(404)

    def test_an_honest_redirect_and_one_that_comes_back(self):
        self.serve_layer(self.send(self.elsewhere.url + "/layer"))
        status, memory, said = self.run_measured("pull", self.name)
        self.assertEqual(0, status, said)
        self.check(said, memory)
        self.liar.rules.clear()
        self.serve_layer(lambda p: self.send(self.elsewhere.url + "/back")(p) if "?back" not in p.path else self.liar.honest(p))
        self.refused("wants credentials", "pull", self.name)  # they were lost on the way and are not taken up again
        self.assertEqual([], [h for m, p, h in self.liar.seen if "?back" in p and "Authorization" in h])

    def test_redirects_of_manifests_do_not_take_the_login_along(self):
        self.liar.lie("GET", "/manifests/1", self.send(self.elsewhere.url + "/want"))
        self.pull_and_from(f"{self.elsewhere.host} wants credentials")

    def test_realms(self):
        tokens = self.closing(Server())
        self.liar.locks = False
        long = "a" * 20_000

        def wants(realm, scheme="Bearer"):
            return lambda p: p.reply(401, {"WWW-Authenticate": f'{scheme} realm="{realm}",service="s"'})

        def token(body, status=200):
            def answer(peer):
                peer.reply(status, {"Content-Type": "application/json"}, body)
            return answer

        here = f"{tokens.url}/token"
        for label, challenge, answer, why in (
                ("a file", wants("file:///etc/passwd"), None, "token realm"), ("another scheme", wants("ftp://127.0.0.1/"), None, "token realm"),
                ("plain http elsewhere", wants("http://registry.example/token"), None, "no credentials go there"),
                ("user information", wants("http://joe@127.0.0.1/"), None, "token realm"), ("nothing", wants(""), None, "token realm"),
                ("words", wants("the token server"), None, "token realm"), ("escapes", wants("http://h/\x1b[31m\x07"), None, "token realm"),
                ("20,000 letters", wants("https://h/" + long), None, "token realm|too long"),
                ("a scheme nobody speaks", wants(here, "Negotiate"), None, "wants credentials|does not accept"),
                ("garbage", lambda p: p.reply(401, {"WWW-Authenticate": '"=,=Bearer,\x1b[31m realm'}), None, "wants credentials|does not accept"),
                ("no challenge", lambda p: p.reply(401), None, "wants credentials|does not accept"),
                ("a token that breaks lines", wants(here), token(b'{"token": "a\\r\\nX-Evil: 1"}'), "no usable token"),
                ("a token of escapes", wants(here), token(b'{"token": "\\u001b[31m"}'), "no usable token"),
                ("a token of a mebibyte", wants(here), token(as_json({"token": "x" * (1 << 20)})), "more than 262144 bytes"),
                ("a token without end", wants(here), lambda p: p.endless("HTTP/1.1 200 X\r\n\r\n"), "more than 262144 bytes"),
                ("a number", wants(here), token(b'{"token": 5}'), "token"), ("not JSON", wants(here), token(b"<html>"), "JSON"),
                ("a lifetime before its birth", wants(here), token(b'{"token": "t", "expires_in": -1}'), "expires_in"),
                ("an error of escapes", wants(here), token(as_json({"details": ESCAPES}), 403), "the token server"),
                ("an error without end", wants(here), lambda p: p.endless("HTTP/1.1 403 X\r\n\r\n"), "the token server"),
                ("a redirect", wants(here), lambda p: p.reply(307, {"Location": self.elsewhere.url}), "the token server"),
                ("a token that is never right", wants(here), token(b'{"token": "t"}'), "does not accept the credentials|wants credentials")):
            with self.subTest(label):
                self.liar.rules.clear()
                self.liar.lie("GET|HEAD", "/", challenge)
                tokens.answer = answer or (lambda p: p.reply(404))
                tokens.seen.clear()
                self.pull_and_from(why)
                if answer is None:
                    self.assertEqual([], tokens.seen)
        self.assertEqual([], [h for _, p, h in self.liar.seen if h.get("Authorization") == BASIC], "a registry that wants tokens is not shown the password")

    def test_refusals(self):
        """Statuses and their texts."""
        def error(status, message=ESCAPES, **headers):
            return lambda p: p.reply(status, headers, as_json({"errors": [{"code": ESCAPES, "message": message, "detail": ESCAPES}]}))
        self.table((
            ("404", error(404), "does not have"), ("403", error(403), "does not allow"), ("400", error(400), "status 400"), ("418", error(418), "status 418"),
            ("a long message", error(404, "m" * 60_000), "does not have"), ("a message of a number", error(404, 5), "does not have"),
            ("429 for an hour", error(429, **{"Retry-After": "3600"}), "too many requests"),
            ("429 for ever", error(429, **{"Retry-After": "9" * 30}), "too many requests"),
            ("503 until a day that is far", error(503, **{"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}), "failed to serve"),
            ("a status line of escapes", lambda p: p.raw("HTTP/1.1 404 \x1b[31m\x07red\r\nContent-Length: 0\r\n\r\n", close=False), "status 404"),
            ("not HTTP", lambda p: p.raw("\x1b[31m SSH-2.0-OpenSSH\r\n\r\n"), "failed"),
            ("headers without end", lambda p: p.endless("HTTP/1.1 200 X\r\n", b"X: " + b"x" * 1000 + b"\r\n"), "65536 bytes of headers"),
            ("one header without end", lambda p: p.endless("HTTP/1.1 200 X\r\nX: "), "headers|failed"),
            ("100 without end", lambda p: p.endless("", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "65536 bytes of headers|failed"),
            ("a type of escapes", lambda p: p.reply(200, {"Content-Type": "\x1b[31m\x07\x9b"}, b"{}"), "config|JSON|schema|missing"),
            ("a digest of escapes", lambda p: p.reply(200, {"Docker-Content-Digest": "sha256:\x1b[31m"}, b"{}"), "config|JSON|schema|missing"),
        ), lambda action, why: (self.liar.lie("GET", "/manifests/1", action), self.pull_and_from(why)))
        self.liar.rules.clear()
        self.liar.lie("GET", "/manifests/1", error(429, **{"Retry-After": "3600"}))
        self.assertIn("it asks to come back in 3600 s", self.refused("too many", "pull", self.name))

    def test_urls_of_add(self):
        self.elsewhere.close()
        out = self.folder / "out"
        web = self.closing(Server())
        self.table((
            ("a file", self.send("file:///etc/passwd"), "neither http nor https"), ("in a circle", lambda p: p.reply(302, {"Location": p.path + "x"}), "redirects more than"),
            ("user information", self.send("http://joe:pw@127.0.0.1/"), "user information"),
            ("headers without end", lambda p: p.endless("HTTP/1.1 200 X\r\n", b"X: " + b"x" * 1000 + b"\r\n"), "65536 bytes of headers"),
            ("an absurd length", lambda p: p.endless("HTTP/1.1 200 X\r\nContent-Length: 1000000000000000000\r\n\r\n"), "at most 17179869184"),
            ("a negative length", lambda p: p.raw("HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\nx"), "failed|Content-Length"),
            ("escapes", lambda p: p.reply(404, {"X": "\x1b[31m"}, ESCAPES.encode()), "404"),
            ("a wrong digest", lambda p: p.reply(200, {}, b"x"), "digest mismatch"),
        ), lambda action, why: (setattr(web, "answer", action), self.refused(why, "build", "--progress", "plain", "-o", out, self.context(
            f"FROM scratch\nADD --checksum={digest(b'y')} {web.url}/a /\n"))))


class BombTest(LyingCase):
    """What is small on the line and large here."""

    def serve(self, *layers):
        self.image = self.liar.image = Image(list(layers))

    def bomb(self, size, name="zeros"):
        """The beginning of a tar whose one member claims `size` bytes, and some of its zeros."""
        info = tarfile.TarInfo(name)
        info.size = size
        return info.tobuf(tarfile.GNU_FORMAT)

    def free(self):
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize

    def test_members_that_claim_more_than_there_is(self):
        for label, pack, kind in (("gzip", lambda d: gzip.compress(d, 1), "+gzip"), ("zstd", lambda d: zstd(d), "+zstd"), ("plain", lambda d: d, "")):
            for size in (self.free() + (1 << 30), 1 << 62):
                with self.subTest(f"{label} {size}"):
                    plain = self.bomb(size) + bytes(10 << 20)
                    self.serve((plain, pack(plain), LAYER + kind))
                    self.pull_and_from("have more than")

    def test_zeros_behind_the_end(self):
        """2 GiB of zeros, a member of gzip each 64 MiB: 2 MB on the line, all of it padding."""
        member = gzip.compress(bytes(64 << 20), 9)
        plain = tar_of({"a": b"a"})
        packed = gzip.compress(plain, 1) + member * 32
        self.serve((plain, packed, LAYER + "+gzip"))
        self.pull_and_from("follow the end of the tar archive")

    def test_large_windows_of_zstd_many_at_once(self):
        layers = []
        for i in range(6):
            plain = tar_of({f"f{i}": bytes([i]) * (140 << 20)})
            layers.append((plain, zstd(plain, "--long=27", "-1", "--no-check"), LAYER + "+zstd"))
        self.serve(*layers)
        status, memory, said = self.run_measured("pull", self.name)
        self.assertEqual(0, status, said)
        self.check(said, memory)

    def test_windows_beyond_all(self):
        plain = tar_of({"f": os.urandom(1000)})
        # magic, descriptor without content size and single segment, window of 2^41 bytes: RFC 8878, 3.1.1
        packed = b"\x28\xb5\x2f\xfd\x00" + bytes([0xFF]) + zstd(plain)[6:]
        self.serve((plain, packed, LAYER + "+zstd"))
        self.pull_and_from("zstd stream is corrupt")

    def test_a_million_names(self):
        """Every name is a file: entries are bounded by what they say, not by memory."""
        out = io.BytesIO()
        block = tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT)
        out.write(block * 100_000)
        out.write(bytes(1024))
        plain = out.getvalue()
        self.serve((plain, gzip.compress(plain, 1), LAYER + "+gzip"))
        status, memory, said = self.run_measured("pull", self.name)
        self.assertEqual(0, status, said)
        self.check(said, memory)

    def test_names_that_lead_out_or_write_on_the_terminal(self):
        for label, name in (("up", "../../../../evil"), ("absolute", "/../evil"), ("escapes", "\x1b[31m\x07" + "n" * 300)):
            with self.subTest(label):
                plain = tar_of({"ok": b"ok", name: b"evil"})
                self.serve((plain, gzip.compress(plain, 1), LAYER + "+gzip"))
                self.fresh()
                status, memory, said = self.run_measured("pull", self.name)
                self.check(said, memory)
                self.assertIn(status, (0, 1))
                self.assertEqual([], list(self.folder.rglob("../evil")) + [p for p in self.folder.glob("evil")])


def zstd(data, *options):
    require("zstd")
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


class PatienceTest(LyingCase):
    """Peers that never end, at once, because a command's patience is 90 s."""

    def trickle(self, head, piece, every):
        def action(peer):
            peer.raw(head)
            while not self.over.wait(every):
                peer.wfile.write(piece)
        return action

    def test_peers_that_never_end(self):
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        body = "HTTP/1.1 200 OK\r\nContent-Type: x\r\n"
        size = len(self.image.blobs[self.image.layer])
        half = self.image.blobs[self.image.layer][:size // 2]
        lies = {
            "headers that trickle": ("/manifests/1", self.trickle("HTTP/1.1 200 OK\r\n", b"X: y\r\n", 1)),
            "a body that trickles": (f"/blobs/{self.image.layer}", self.trickle(body + f"Content-Length: {size}\r\n\r\n", half[:100], 1)),
            "100 and again 100": ("/manifests/1", self.trickle("", b"HTTP/1.1 100 Continue\r\n\r\n", 1)),
            "nothing at all": ("/manifests/1", self.trickle("", b"", 1)),
            "503 for ever": ("/manifests/1", lambda p: p.reply(503, {"Retry-After": "40"})),
            "the same half": (f"/blobs/{self.image.layer}", lambda p: (p.raw(body + f"Content-Length: {size}\r\n\r\n"), p.wfile.write(half))),
        }
        ends, threads = {}, []
        for number, (label, (part, action)) in enumerate(lies.items()):
            liar = self.closing(Liar(self.image))
            liar.locks = False
            liar.lie("GET", part, action)
            slipway = Slipway(self.folder / f"patient{number}")
            threads.append(threading.Thread(target=lambda s=slipway, l=liar, name=label: ends.update({name: (s, l, *measured(s.command("pull", f"{l.host}/app:1"), s.env))})))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for label in lies:
            with self.subTest(label):
                slipway, _, done, memory = ends[label]  # measured() has a deadline of its own
                text = self.check(done.stdout, memory)
                self.assertEqual(1, done.returncode, text)
                self.assertEqual(1, len([l for l in text.splitlines() if l.startswith("ERROR: ")]), text)
                self.assertRegex(text[text.index("\nERROR: "):], "nothing was transferred for 90 s|ends after|failed|no byte moved|status 503")
                slipway.assert_clean(self)


class TerminalTest(LyingCase):
    """An image whose every word is hostile is pulled, shown and built upon; a terminal sees none of it."""

    def test_what_is_shown_of_an_image(self):
        words = {"author": ESCAPES, "created": "2020-01-01T00:00:00Z", "history": [{"created_by": ESCAPES, "comment": ESCAPES, "author": ESCAPES}],
                 "config": {"Env": ["PATH=/bin", "X=" + ESCAPES.replace("\x00", "")], "Labels": {ESCAPES: ESCAPES}, "Cmd": [ESCAPES], "User": ESCAPES, "WorkingDir": "/" + ESCAPES.replace("\x00", ""),
                            "Entrypoint": [ESCAPES], "Volumes": {"/" + ESCAPES: {}}}}
        self.image = self.liar.image = Image(self.image.layers, words)
        self.image.manifest["annotations"] = {ESCAPES: ESCAPES}
        status, memory, said = self.run_measured("pull", self.name)
        self.check(said, memory)
        self.assertEqual(0, status, said)
        for command in (("images",), ("images", "--digests", "-a"), ("history", self.name), ("history", "--no-trunc", self.name), ("inspect", self.name), ("fsck",)):
            status, memory, said = self.run_measured(*command)
            self.check(said, memory)
            self.assertEqual(0, status, said)
        status, memory, said = self.run_measured("build", "--progress", "plain", self.context(f"FROM {self.name}\nCOPY --from={self.name} /file /x\nLABEL a=b\n"))
        self.check(said, memory)


class PushTest(LyingCase):
    """Registries that lie to a push."""

    def setUp(self):
        super().setUp()
        self.elsewhere.answer = lambda p: (p.body(), p.reply(201))
        self.give_base()
        self.slipway.build(self.context("FROM scratch\nCOPY a /a\n", {"a": os.urandom(300_000)}), "-t", self.name)

    def fresh(self):
        pass  # what is pushed has to be here

    def refused_push(self, why):
        status, memory, said = self.run_measured("push", self.name)
        text = self.check(said, memory)
        self.assertEqual(1, status, text)
        errors = [line for line in text.splitlines() if line.startswith("ERROR: ")]
        self.assertEqual(1, len(errors), text)
        self.assertLess(len(errors[0]), 1500)
        self.assertRegex(errors[0], why)
        self.assertEqual(0, self.slipway("fsck", check=False).returncode)

    def test_places_of_uploads(self):
        def place(location):
            return lambda p: (p.body(), p.reply(202, {"Location": location}))
        self.table((
            ("a file", place("file:///tmp/x"), "neither http nor https"), ("another scheme", place("ftp://h/x"), "neither http nor https"),
            ("user information", place(f"http://joe:pw@{self.elsewhere.host}/"), "user information"), ("escapes", place("http://h/\x1b[31m"), "may not have|no valid host"),
            ("the cloud's metadata", place("http://169.254.169.254/x"), "not for it to name"), ("none", lambda p: (p.body(), p.reply(202)), "names no place"),
            ("too long", place("/" + "x" * 60_000), "too long|headers"), ("a redirect instead", lambda p: (p.body(), p.reply(307, {"Location": self.elsewhere.url + "/x"})), "status 307"),
            ("200 instead", lambda p: (p.body(), p.reply(200)), "status 200"), ("created though nothing was mounted", lambda p: (p.body(), p.reply(201, {"Location": "/x"})), "status 201"),
        ), lambda action, why: (self.liar.lie("POST", "/blobs/uploads/", action), self.refused_push(why)))
        self.assertEqual([], self.elsewhere.seen)

    def test_a_place_elsewhere_gets_bytes_and_no_credentials(self):
        self.liar.lie("POST", "/blobs/uploads/", lambda p: (p.body(), p.reply(202, {"Location": self.elsewhere.url + "/place"})))
        status, memory, said = self.run_measured("push", self.name)
        self.assertEqual(0, status, said)
        self.check(said, memory)
        self.assertTrue(self.elsewhere.seen)

    def test_answers_to_uploads(self):
        other = digest(b"other")
        self.table((
            ("another digest", lambda p: (p.body(), p.reply(201, {"Docker-Content-Digest": other})), f"as {other}"),
            ("a digest of escapes and a refusal", lambda p: (p.body(), p.reply(400, {"Docker-Content-Digest": "\x1b"}, as_json({"errors": [{"message": ESCAPES}]}))), "status 400"),
            ("200 instead", lambda p: (p.body(), p.reply(200)), "status 200"),
            ("an answer without end", lambda p: (p.body(), p.endless("HTTP/1.1 201 X\r\n\r\n")), "more than 65536 bytes"),
            ("a refusal without end", lambda p: (p.body(), p.endless("HTTP/1.1 403 X\r\n\r\n")), "does not allow"),
            ("a redirect", lambda p: (p.body(), p.reply(307, {"Location": self.elsewhere.url + "/x"})), "status 307"),
            ("headers without end", lambda p: (p.body(), p.endless("HTTP/1.1 201 X\r\n", b"X: " + b"x" * 1000 + b"\r\n")), "65536 bytes of headers"),
            ("401 for ever", lambda p: (p.body(), p.reply(401, {"WWW-Authenticate": "Basic realm=x"})), "does not accept"),
            ("too large", lambda p: (p.body(), p.reply(413)), "status 413"),
        ), lambda action, why: (self.liar.lie("PUT", "/blobs/uploads/", action), self.refused_push(why)))
        self.assertEqual([], self.elsewhere.seen)

    def test_answers_to_manifests(self):
        other = digest(b"other")
        self.table((
            ("another digest", lambda p: (p.body(), p.reply(201, {"Docker-Content-Digest": other})), f"as {other}"),
            ("a redirect", lambda p: (p.body(), p.reply(307, {"Location": self.elsewhere.url + "/x"})), "status 307"),
            ("refused with escapes", lambda p: (p.body(), p.reply(400, {}, as_json({"errors": [{"code": ESCAPES, "message": ESCAPES}]}))), "status 400"),
        ), lambda action, why: (self.liar.lie("PUT", "/manifests/", action), self.refused_push(why)))
        self.assertEqual([], self.elsewhere.seen)

    def test_answers_to_head(self):
        self.table((
            ("a redirect in a circle", lambda p: p.reply(307, {"Location": p.path + "x"}), "redirects more than 10"),
            ("a redirect elsewhere that says no", lambda p: p.reply(307, {"Location": "http://169.254.169.254/"}), "not for it to name"),
            ("403", lambda p: p.reply(403), "does not allow"),
        ), lambda action, why: (self.liar.lie("HEAD", "/blobs/", action), self.refused_push(why)))


class LoginTest(LyingCase):
    def test_a_registry_that_lies_to_a_login_is_not_remembered(self):
        config = self.slipway.home / ".docker/config.json"
        for label, action in (("escapes", lambda p: p.reply(403, {}, as_json({"errors": [{"message": ESCAPES}]}))), ("a realm elsewhere", lambda p: p.reply(401, {"WWW-Authenticate": 'Bearer realm="http://evil.example/"'})),
                              ("a redirect", lambda p: p.reply(307, {"Location": self.elsewhere.url})), ("without end", lambda p: p.endless("HTTP/1.1 403 X\r\n\r\n"))):
            with self.subTest(label):
                config.write_text("{}")
                self.liar.locks = False
                self.liar.rules.clear()
                self.liar.lie("GET", "/v2/", action)
                self.refused(".", "login", "-u", USER, "--password-stdin", self.liar.host, data=PASSWORD.encode())
                self.assertNotIn(self.liar.host, config.read_text())
                self.assertEqual([], self.elsewhere.shown())


if __name__ == "__main__":
    main()
