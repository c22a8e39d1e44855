#!/usr/bin/env python3
"""Registries that are not the plain one: mirrors, insecure ones, credential helpers, proxies, manifest lists, platforms;
and what a pull of something that is here costs."""
import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import select
import shutil
import socket
import socketserver
import sqlite3
import ssl
import tarfile
import threading

from own_registry import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OwnRegistry, Upstream
from support import Case, Registry, Slipway, base_tar, htpasswd, main, make_certificate, require, run, steps

PASSWORD = "pa55-word-of-the-test"


def setUpModule():
    require("docker-registry", "skopeo", "openssl", "htpasswd")


class RemotesCase(Case):
    def registry(self, name="registry", **keys):
        return self.closing(Registry(self.folder / name, **keys))

    def other(self, name="other"):
        return Slipway(self.folder / name)

    def image(self, name, text="x", *options):
        """Builds an image of one file, without a base, and pushes it."""
        context = self.context("FROM scratch\nCOPY f /f\n", {"f": text}, name=f"c-{abs(hash((name, text)))}")
        self.slipway.build(context, "-t", name, "--push", *options)
        return self.slipway.digest(name)

    def docker_auth(self, *registries):
        auth = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        return {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {r: {"auth": auth} for r in registries}})}


class MirrorTest(RemotesCase):
    def test_of_docker_hub_by_option_variable_and_file(self):
        mirror = self.registry()
        digest = self.image(f"{mirror.host}/library/app:1")
        file = self.folder / "daemon.json"
        file.write_text(json.dumps({"registry-mirrors": [f"http://{mirror.host}"], "debug": True}))
        for name, options, env in (("option", ["--registry-mirror", f"http://{mirror.host}"], {}),
                                   ("variable", [], {"SLIPWAY_REGISTRY_MIRROR": f"http://{mirror.host}"}),
                                   ("file", [], {"SLIPWAY_REGISTRY_CONFIG": str(file)})):
            with self.subTest(name):
                other = self.other(name)
                other("pull", *options, "app:1", env=env)
                self.assertEqual(digest, other.digest("app:1"))
                other.build(self.context("FROM app:1\nCOPY --from=app:1 /f /g\n", name="child"), *options, "--pull",
                            env=env)

    def test_below_a_prefix_by_digest_and_of_any_registry(self):
        mirror = self.registry()
        digest = self.image(f"{mirror.host}/hub/library/app:1")
        self.image(f"{mirror.host}/team/app:1")
        other = self.other()
        other("pull", "--registry-mirror", f"http://{mirror.host}/hub", f"app@{digest}")
        other("pull", "--registry-mirror", f"registry.invalid=http://{mirror.host}", "registry.invalid/team/app:1")
        self.assertIn("registry.invalid/team/app", other("images").out)

    def test_origin_when_the_mirror_has_it_not_is_away_or_lies(self):
        origin = self.registry("origin")
        name = f"{origin.host}/team/app:1"
        digest = self.image(name, "x" * 100_000)
        empty = self.registry("empty")
        lying = self.registry("lying")
        run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy",
             f"docker://{name}", f"docker://{lying.host}/team/app:1"])
        for file in lying.blob_files():
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
        dead = socket.socket()
        dead.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        self.addCleanup(dead.close)
        for kind, url in (("empty", empty.host), ("lying", lying.host),
                          ("dead", f"127.0.0.1:{dead.getsockname()[1]}")):
            with self.subTest(kind):
                other = self.other(kind)
                done = other("pull", "--registry-mirror", f"{origin.host}=http://{url}", name)
                self.assertEqual(digest, other.digest(name))
                self.assertEqual(kind != "empty", url in done.err or "mirror" in done.err, done.err)
                other.assert_clean(self)

    def test_credentials_of_the_origin_are_not_the_mirrors(self):
        auth = htpasswd(self.folder / "h", "user", PASSWORD)
        mirror = self.registry("mirror", auth=auth)
        origin = self.registry("origin")
        name = f"{origin.host}/team/app:1"
        self.image(name)
        other = self.other()
        other("pull", "--registry-mirror", f"{origin.host}=http://{mirror.host}", name,
              env=self.docker_auth(origin.host))
        self.assertTrue(mirror.requests())
        self.assertNotIn("auth.user.name", mirror.log.read_text())

    def test_bad_values_are_told(self):
        for options in (["--registry-mirror", "ftp://x"], ["--registry-mirror", f"https://joe:{PASSWORD}@x"],
                        ["--insecure-registry", "10.0.0.0/99"]):
            done = self.slipway("pull", *options, "app:1", check=False)
            self.assertEqual(2, done.returncode, done.err)
            self.assertNotIn(PASSWORD, done.err)
        done = self.slipway("pull", "app:1", check=False, env={"SLIPWAY_REGISTRY_MIRROR": "::"})
        self.assertIn("SLIPWAY_REGISTRY_MIRROR", done.err)


class InsecureTest(RemotesCase):
    def test_any_certificate(self):
        registry = self.registry(certificate=make_certificate(self.folder / "tls"))
        name = f"{registry.host}/team/app:1"
        self.give_base()
        self.slipway("tag", "base:latest", name)
        self.assertIn("certificate", self.slipway("push", name, check=False).err)
        self.slipway("push", "--insecure-registry", "127.0.0.0/8", name)
        self.slipway("push", name, env={"SLIPWAY_INSECURE_REGISTRY": registry.host})
        self.assertIn("certificate", self.other()("pull", name, check=False).err)
        self.other()("pull", "--insecure-registry", registry.host, name)
        self.slipway("manifest", "inspect", "--insecure", name)


class HelperTest(RemotesCase):
    def install(self, name="kept"):
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / f"docker-credential-{name}"
        program.write_text('#!/bin/sh\ncd "$KEEP" || exit 9\necho "$1" >>calls\ncase $1 in\n'
                           'store) cat >stored ;;\n'
                           'get) [ -s stored ] || { echo "credentials not found in native keychain"; exit 1; }; '
                           'cat stored ;;\nerase) rm -f stored ;;\nesac\n')
        program.chmod(0o755)
        keep = self.folder / "keep"
        keep.mkdir(exist_ok=True)
        self.slipway.env.update(PATH=f"{folder}:{os.environ['PATH']}", KEEP=str(keep))
        return keep

    def configure(self, config):
        (self.slipway.home / ".docker").mkdir(exist_ok=True)
        (self.slipway.home / ".docker/config.json").write_text(json.dumps(config))

    def test_login_push_logout(self):
        registry = self.registry(auth=htpasswd(self.folder / "h", "user", PASSWORD))
        name = f"{registry.host}/team/app:1"
        keep = self.install()
        for config in ({"credsStore": "kept"}, {"credHelpers": {registry.host: "kept"}}):
            with self.subTest(config=config):
                self.configure(config)
                self.give_base()
                self.slipway("tag", "base:latest", name)
                self.assertEqual(1, self.slipway("push", name, check=False).returncode)
                done = self.slipway("login", "-u", "user", "--password-stdin", registry.host, input=PASSWORD.encode())
                self.assertNotIn("unencrypted", done.err)
                self.assertIn(PASSWORD, (keep / "stored").read_text())
                text = (self.slipway.home / ".docker/config.json").read_text()
                self.assertNotIn(base64.b64encode(f"user:{PASSWORD}".encode()).decode(), text)
                self.assertEqual({}, json.loads(text)["auths"][registry.host])
                done = self.slipway("--debug", "push", name)
                self.assertNotIn(PASSWORD, done.out + done.err)
                self.slipway("logout", registry.host)
                self.assertFalse((keep / "stored").exists())
                self.assertEqual(1, self.slipway("push", name, check=False).returncode)

    def test_a_missing_helper_is_named_and_an_evil_name_runs_nothing(self):
        registry = self.registry(auth=htpasswd(self.folder / "h", "user", PASSWORD))
        name = f"{registry.host}/team/app:1"
        self.configure({"credsStore": "nowhere"})
        self.assertIn("docker-credential-nowhere", self.slipway("pull", name, check=False).err)
        evil = self.folder / "evil"
        evil.write_text(f"#!/bin/sh\ntouch {self.folder}/ran\n")
        evil.chmod(0o755)
        self.configure({"credHelpers": {registry.host: f"../../../../../../..{evil}"}})
        done = self.slipway("pull", name, check=False)
        self.assertIn("no name of a credential helper", done.err)
        self.assertFalse((self.folder / "ran").exists())

    def test_public_registries_need_no_helper(self):
        registry = self.registry()
        name = f"{registry.host}/team/app:1"
        self.configure({"credsStore": "nowhere"})
        self.image(name)
        self.other()("pull", name)


class ConnectProxy(socketserver.ThreadingTCPServer):
    """CONNECT for one user; every name is 127.0.0.1. `seen` holds the targets."""

    daemon_threads = True

    def __init__(self, user=None):
        self.seen, self.refused = [], 0
        self.wanted = user and "Basic " + base64.b64encode(user.encode()).decode()
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            target = self.rfile.readline().decode().split()[1]
            headers = dict(iter(lambda: tuple(p.strip() for p in self.rfile.readline().decode().partition(":")[::2]),
                                ("", "")))
            if self.server.wanted and headers.get("Proxy-Authorization") != self.server.wanted:
                self.server.refused += 1
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            self.server.seen.append(target)
            relay(self.connection, int(target.rpartition(":")[2]), b"HTTP/1.1 200 OK\r\n\r\n")

    def handle_error(self, request, client_address):
        """A client that hangs up, or trusts nobody here, is what some tests are about."""

    def close(self):
        self.shutdown()
        self.server_close()


def relay(near, port, answer):
    """Connects `near` with a port of this host, after `answer`, until one of the two ends."""
    with contextlib.suppress(ConnectionError, ssl.SSLError), socket.create_connection(("127.0.0.1", port)) as far:
        near.sendall(answer)
        ends = {near: far, far: near}
        while True:
            # What TLS has decrypted already makes no descriptor readable.
            waiting = near.pending() if isinstance(near, ssl.SSLSocket) else 0
            for end in [near] if waiting else select.select(list(ends), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


class TlsProxy(ConnectProxy):
    """The same behind TLS of its own: an "https" proxy."""

    def __init__(self, certificate, user=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        super().__init__(user)

    def get_request(self):
        connection, address = self.socket.accept()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class SocksProxy(ConnectProxy):
    """SOCKS 5 with a name and password (RFC 1928, 1929), or 4a; every name is 127.0.0.1. `seen` as above; by address it
    is one of `addresses`."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            version = self.rfile.read(1)[0]
            target = self.socks5() if version == 5 else self.socks4()
            if target is None:
                return
            host, port = target
            self.server.seen.append(f"{host}:{port}")
            granted = b"\x05\0\0\x01\0\0\0\0\0\0" if version == 5 else b"\0\x5a\0\0\0\0\0\0"
            relay(self.connection, port, granted)

        def counted(self):
            return self.rfile.read(self.rfile.read(1)[0])

        def socks5(self):
            way = 2 if self.server.wanted else 0
            if way not in self.counted():
                self.server.refused += 1
                self.wfile.write(b"\x05\xff")
                return None
            self.wfile.write(bytes([5, way]))
            if way == 2:
                self.rfile.read(1)
                given = self.counted() + b":" + self.counted()
                right = self.server.wanted == "Basic " + base64.b64encode(given).decode()
                self.wfile.write(b"\x01" + (b"\0" if right else b"\x01"))
                if not right:
                    self.server.refused += 1
                    return None
            kind = self.rfile.read(4)[3]
            host = self.counted().decode() if kind == 3 else socket.inet_ntoa(self.rfile.read(4))
            return host, int.from_bytes(self.rfile.read(2), "big")

        def socks4(self):
            self.rfile.read(1)
            port = int.from_bytes(self.rfile.read(2), "big")
            self.rfile.read(4)
            text = lambda: b"".join(iter(lambda: self.rfile.read(1), b"\0"))
            text()
            return text().decode(), port


class ProxyTest(RemotesCase):
    def setUp(self):
        super().setUp()
        folder = self.folder / "tls"
        folder.mkdir()
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry.test",
             "-addext", "subjectAltName=DNS:registry.test,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"])
        self.certificate = (folder / "cert.pem", folder / "key.pem")
        self.server = self.registry(certificate=self.certificate)
        self.port = self.server.host.rpartition(":")[2]
        self.name = f"registry.test:{self.port}/team/app:1"
        self.trust = {"SSL_CERT_FILE": str(folder / "cert.pem")}
        self.give_base()
        self.slipway("tag", "base:latest", self.name)

    def push(self, check=True, **env):
        return self.slipway("push", self.name, env=dict(self.trust, **env), check=check)

    def test_through_a_proxy_with_a_password(self):
        proxy = self.closing(ConnectProxy(f"joe:{PASSWORD}"))
        url = f"http://joe:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}"
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            proxy.seen.clear()
            done = self.push(**{variable: url})
            self.assertEqual({f"registry.test:{self.port}"}, set(proxy.seen))
            self.assertNotIn(PASSWORD, done.out + done.err)
        self.other()("pull", self.name, env=dict(self.trust, HTTPS_PROXY=url))

    def test_passwords_are_in_no_error(self):
        proxy = self.closing(ConnectProxy("joe:another"))
        for url in (f"http://joe:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}", f"http://joe:{PASSWORD}@127.0.0.1:1",
                    f"http://joe:{PASSWORD}@no-such-host.invalid:1", f"ftp://joe:{PASSWORD}@127.0.0.1:1",
                    f"http://joe:{PASSWORD}@:x:"):
            done = self.push(check=False, HTTPS_PROXY=url)
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn(PASSWORD, done.out + done.err)
            self.assertNotIn(base64.b64encode(f"joe:{PASSWORD}".encode()).decode(), done.out + done.err)
        self.assertTrue(proxy.refused)

    def test_through_a_proxy_that_speaks_tls(self):
        proxy = self.closing(TlsProxy(self.certificate, f"joe:{PASSWORD}"))
        self.push(HTTPS_PROXY=f"https://joe:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}")
        self.assertEqual({f"registry.test:{self.port}"}, set(proxy.seen))
        # Whether an insecure registry speaks TLS is asked through it as well.
        stranger = self.registry("stranger", certificate=make_certificate(self.folder / "stranger"))
        name = f"stranger.test:{stranger.host.rpartition(':')[2]}/team/app:1"
        self.slipway("tag", self.name, name)
        env = dict(self.trust, HTTPS_PROXY=f"https://joe:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}")
        self.assertIn("cannot trust https://stranger.test", self.slipway("push", name, env=env, check=False).err)
        self.slipway("push", "--insecure-registry", name.split("/")[0], name, env=env)

    def test_a_proxy_that_nobody_vouches_for_gets_no_password(self):
        """Nor is it believed because a registry behind it may have any certificate."""
        proxy = self.closing(TlsProxy(make_certificate(self.folder / "other"), f"joe:{PASSWORD}"))
        url = f"https://joe:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}"
        for options in ([], ["--insecure-registry", f"registry.test:{self.port}"]):
            done = self.slipway("push", *options, self.name, env=dict(self.trust, HTTPS_PROXY=url), check=False)
            self.assertEqual(1, done.returncode, done.err)
            self.assertIn(f"cannot trust the proxy https://127.0.0.1:{proxy.server_address[1]}", done.err)
            self.assertIn("certificate", done.err)
            self.assertNotIn("certs.d", done.err)
            self.assertEqual(([], 0), (proxy.seen, proxy.refused))

    def test_through_socks(self):
        proxy = self.closing(SocksProxy())
        port = proxy.server_address[1]
        for scheme in ("socks5h", "socks4a"):
            proxy.seen.clear()
            self.push(HTTPS_PROXY=f"{scheme}://127.0.0.1:{port}")
            self.assertEqual({f"registry.test:{self.port}"}, set(proxy.seen), scheme)
        guarded = self.closing(SocksProxy(f"joe:{PASSWORD}"))
        self.push(ALL_PROXY=f"socks5h://joe:{PASSWORD}@127.0.0.1:{guarded.server_address[1]}")
        self.assertEqual({f"registry.test:{self.port}"}, set(guarded.seen))
        for user in ("joe:wrong", ""):
            done = self.push(check=False, ALL_PROXY=f"socks5h://{user}@127.0.0.1:{guarded.server_address[1]}")
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn("wrong", done.err)
        self.assertTrue(guarded.refused)

    def test_a_proxy_that_is_away_or_refuses_is_what_the_message_names(self):
        guarded = self.closing(ConnectProxy(f"joe:{PASSWORD}"))
        socks = self.closing(SocksProxy(f"joe:{PASSWORD}"))
        away = socket.socket()
        away.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        self.addCleanup(away.close)
        port = guarded.server_address[1]
        for url, words in ((f"http://127.0.0.1:{port}", "wants a user and a password"),
                           (f"socks5h://127.0.0.1:{socks.server_address[1]}", "no way through the proxy socks5h://"),
                           (f"http://127.0.0.1:{away.getsockname()[1]}", "cannot connect to the proxy http://127"),
                           ("http://nowhere.invalid:1", "cannot find the proxy http://nowhere.invalid")):
            for options in ([], ["--insecure-registry", f"registry.test:{self.port}"]):
                done = self.slipway("pull", *options, self.name, env=dict(self.trust, HTTPS_PROXY=url), check=False)
                self.assertEqual(1, done.returncode, done.err)
                self.assertIn(words, done.err)
                self.assertIn(f"registry.test:{self.port}", done.err)
                for wrong in ("does not speak TLS", "is the registry running"):
                    self.assertNotIn(wrong, done.err)

    def test_no_proxy(self):
        proxy = self.closing(ConnectProxy())
        url = f"http://127.0.0.1:{proxy.server_address[1]}"
        for value in ("registry.test", "TEST", "*", f"registry.test:{self.port}"):
            self.assertEqual(1, self.push(check=False, HTTPS_PROXY=url, NO_PROXY=value).returncode, value)
        self.assertEqual([], proxy.seen)
        self.push(HTTPS_PROXY=url, NO_PROXY="other.test,10.0.0.0/8,registry.test:1")
        self.assertTrue(proxy.seen)


def as_example(host):
    return f"registry.example=http://{host}"


class ProofTest(RemotesCase):
    """A pull of what is here costs one HEAD with own credentials, and is refused without. registry.example stands for a
    registry that is not on loopback; a mirror serves for it."""

    def setUp(self):
        super().setUp()
        self.server = self.registry(auth=htpasswd(self.folder / "h", "user", PASSWORD))
        self.near = f"{self.server.host}/team/app:1"
        self.name = "registry.example/team/app:1"
        self.auth = dict(self.docker_auth(self.server.host), SLIPWAY_REGISTRY_MIRROR=as_example(self.server.host))
        self.give_base()
        self.slipway("tag", "base:latest", self.near)
        self.slipway("push", self.near, env=self.auth)
        self.reader = self.other()
        self.reader("pull", self.name, env=self.auth)

    def requests_of(self, *arguments, **keys):
        before = len(self.server.requests())
        done = self.reader(*arguments, **keys)
        return done, self.server.requests()[before:]

    def test_one_head(self):
        digest = self.reader.digest(self.name)
        child = self.context(f"FROM {self.name}\nRUN true\n", name="child")
        self.reader.build(child)
        for arguments in (["pull", self.name], ["pull", f"registry.example/team/app@{digest}"],
                          ["build", "--pull", child]):
            with self.subTest(arguments):
                _, requests = self.requests_of(*arguments, env=self.auth)
                work = [r for r in requests if r[1] != "/v2/"]
                self.assertEqual(["HEAD"], [r[0] for r in work if "/manifests/" in r[1]], requests)
                self.assertEqual(len(work), 1, requests)
        self.reader("rmi", self.name)
        _, requests = self.requests_of("build", child, env=self.auth)
        self.assertEqual([], [r for r in requests if r[0] == "GET" and r[1] != "/v2/"], requests)

    def test_a_record_costs_the_layers_of_its_base_when_nothing_says_whose_they_are(self):
        child = self.context(f"FROM {self.name}\nRUN true\n", name="child")
        self.reader.build(child)

        def build_after(*statements):
            with contextlib.closing(sqlite3.connect(self.reader.root / "meta.db")) as database:
                for statement in statements:
                    database.execute(statement)
                database.commit()
            done, requests = self.requests_of("build", "--progress", "plain", "--pull", child, env=self.auth)
            self.assertEqual("cached", steps(done.err)["RUN true"], done.err)
            return sorted(method for method, path in requests if "/blobs/" in path)

        self.assertEqual([], build_after())
        self.assertEqual(["GET", "GET"], build_after("DELETE FROM origin_links"), "the config and the one layer")
        self.assertEqual([], build_after("DELETE FROM facts"))
        half_a_day = "UPDATE origin_links SET noted = noted - 12 * 3600 - 60"
        self.assertEqual(["HEAD", "HEAD"], build_after(half_a_day), "are they there still?")
        self.assertEqual([], build_after())
        build_after(half_a_day)
        with contextlib.closing(sqlite3.connect(self.reader.root / "meta.db")) as database:
            database.execute("UPDATE origin_links SET noted = 0")
            database.commit()
        _, requests = self.requests_of("build", child)
        self.assertEqual([], requests, "a name that is here keeps what it has")

    def test_refused_without_credentials(self):
        self.reader("pull", self.near, env=self.auth)
        for arguments in (["pull", self.near], ["build", "--pull", self.context(f"FROM {self.near}\n", name="c")]):
            done, _ = self.requests_of(*arguments, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn("slipway login", done.err)
        self.reader("rmi", self.near)
        done, _ = self.requests_of("build", self.context(f"FROM {self.near}\n", name="c"), check=False)
        self.assertEqual(1, done.returncode, "the name is gone, the bytes are here: no proof")


class ForeignTest(RemotesCase):
    """Somebody else's registry names what is here by its digest: the bytes are that one's business, not ours."""

    def setUp(self):
        super().setUp()
        self.server = self.registry(auth=htpasswd(self.folder / "h", "user", PASSWORD))
        self.name = f"{self.server.host}/team/private:1"
        self.auth = self.docker_auth(self.server.host)
        self.give_base()
        source = self.context("FROM base\nCOPY secret /secret\n", {"secret": "of another team\n"}, name="private")
        self.slipway.build(source, "-t", self.name, "--push", env=self.auth)
        self.digest = self.slipway.digest(self.name)
        self.manifest = json.loads(self.blob(self.digest))
        self.layers = [layer["digest"] for layer in self.manifest["layers"]]
        self.thief = self.closing(Upstream())
        self.theirs = f"{self.thief.host}/team/app:1"
        self.serve(self.blob(self.digest), self.blob(self.manifest["config"]["digest"]))
        self.reader = self.other()

    def blob(self, digest):
        return (self.slipway.root / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    def serve(self, manifest, *blobs):
        """The thief's image: a manifest, and what of it the thief has."""
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        self.thief.manifests[digest] = manifest
        self.thief.tags[("team/app", "1")] = digest
        for data in blobs:
            self.thief.blobs["sha256:" + hashlib.sha256(data).hexdigest()] = data

    def pull_the_private_one(self):
        self.reader("pull", self.name, env=self.auth)

    def assert_refused(self, done):
        self.assertEqual(1, done.returncode, done.out + done.err)
        self.assertNotIn("another team", done.out + done.err)
        told = [line for line in done.err.splitlines() if line.startswith("ERROR: ")]
        self.assertEqual(1, len(told), done.err)
        self.assertTrue(any(layer in told[0] for layer in self.layers), done.err)
        self.assertIn("does not have", told[0])

    def trees(self):
        return sorted(p.name for p in (self.reader.root / "snapshots").iterdir())

    def test_a_layer_that_is_here_and_not_there(self):
        self.pull_the_private_one()
        before = self.trees()
        run_it = self.context(f"FROM {self.theirs}\nRUN cat /secret\n", name="run")
        copy = self.context(f"FROM scratch\nCOPY --from={self.theirs} /secret /\n", name="copy")
        plain = self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain")
        archive = self.folder / "out.tar"
        for arguments in (["pull", self.theirs], ["build", run_it], ["build", "--pull", run_it], ["build", copy],
                          ["build", "-o", f"type=tar,dest={archive}", plain],
                          ["build", "-o", f"type=oci,dest={archive}", plain],
                          ["build", "-o", "type=image,compression=zstd,force-compression=true", plain],
                          ["build", "--cache-to", f"type=local,dest={self.folder}/cache,mode=max", run_it]):
            with self.subTest(arguments):
                self.assert_refused(self.reader(*arguments, check=False))
                self.assertFalse(archive.exists())
        self.assertEqual(before, self.trees())
        self.reader.assert_clean(self)

    def test_nor_by_a_name_that_stayed(self):
        """No step has needed the bytes, so the thief's name is there; and names that the user gave it."""
        self.pull_the_private_one()
        plain = self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain")
        target = self.registry("target")
        self.reader.build(plain, "-t", "mine:1")
        self.reader("tag", self.theirs, "mine:2")
        self.reader("tag", "mine:1", f"{target.host}/mine:1")
        for name in (self.theirs, "mine:1", "mine:2", f"{target.host}/mine:1"):
            source = self.context(f"FROM {name}\nRUN cat /secret\n", name="again")
            for arguments in (["build", source], ["save", "-o", str(self.folder / "s.tar"), name]):
                with self.subTest(arguments=arguments, name=name):
                    done = self.reader(*arguments, check=False)
                    self.assertEqual(1, done.returncode, done.out + done.err)
                    self.assertNotIn("another team", done.out + done.err)
        self.assertEqual(1, self.reader("push", f"{target.host}/mine:1", check=False).returncode)
        done = self.reader.build(plain, "--push", "-t", f"{target.host}/pushed:1", check=False)
        self.assertEqual(1, done.returncode, done.err)
        secret = self.layers[-1].removeprefix("sha256:")
        self.assertFalse([path for path in target.blob_files() if path.parent.name == secret])
        self.reader.assert_clean(self)

    def serve_a_config_of_its_own(self):
        """The thief knows digests, sizes and diff IDs of the private layers, and nothing else."""
        private = json.loads(self.blob(self.manifest["config"]["digest"]))
        config = json.dumps({"architecture": private["architecture"], "os": "linux", "config": {"Env": ["PATH=/bin"]},
                             "rootfs": private["rootfs"]}).encode()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": self.manifest["layers"],
                               "config": {"mediaType": OCI_CONFIG, "size": len(config),
                                          "digest": "sha256:" + hashlib.sha256(config).hexdigest()}}).encode()
        self.serve(manifest, config)
        return manifest, config

    def test_nor_does_a_push_have_the_registry_mount_it(self):
        """The registry of the private image has the layer, and who pushes may read it there."""
        self.pull_the_private_one()
        self.serve_a_config_of_its_own()
        plain = self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain")
        copied = self.context(f"FROM {self.theirs}\nCOPY f /f\n", {"f": "x"}, name="copied")
        public, cache = f"{self.server.host}/team/public:1", f"{self.server.host}/team/cache:1"
        self.assert_refused(self.reader.build(plain, "--push", "-t", public, check=False, env=self.auth))
        self.reader.build(plain, "-t", "mine:1")
        for name in ("mine:1", self.theirs):
            self.reader("tag", name, public)
            self.assert_refused(self.reader("push", public, check=False, env=self.auth))
        self.reader.build(copied, "--cache-to", f"type=registry,ref={cache},mode=max", check=False, env=self.auth)
        asked = self.server.requests()
        self.assertFalse([path for method, path in asked if method == "POST" and "from=team%2Fprivate" in path], asked)
        self.assertFalse([path for method, path in asked if method == "PUT" and "/team/public/manifests/" in path])
        linked = [str(path) for path in (self.folder / "registry").rglob("_layers/sha256/*")]
        for layer in self.layers:
            self.assertTrue(any(layer.removeprefix("sha256:") in path for path in linked))
            self.assertFalse([path for path in linked if layer.removeprefix("sha256:") in path and "private" not in path])
        self.reader.assert_clean(self)

    def test_what_comes_from_the_registry_itself_is_mounted(self):
        """A base image of one repository, pushed to another one: no byte of it comes or goes."""
        for number, step in enumerate(("ENV A=b", "RUN true")):
            with self.subTest(step):
                reader = self.other(f"mounting{number}")
                source = self.context(f"FROM {self.name}\n{step}\n", name=f"child{number}")
                reader.build(source, "-t", "mine:1", env=self.auth)
                before = len(self.server.requests())
                reader.build(source, "--push", "-t", f"{self.server.host}/built/app{number}:1", env=self.auth)
                reader("tag", "mine:1", f"{self.server.host}/tagged/app{number}:1")
                reader("push", f"{self.server.host}/tagged/app{number}:1", env=self.auth)
                requests = self.server.requests()[before:]
                mounts = [path for method, path in requests if method == "POST" and "mount=" in path]
                for layer in self.layers:
                    self.assertFalse([r for r in requests if r[0] == "GET" and layer in r[1]])
                    self.assertEqual(2, sum(layer.removeprefix("sha256:") in path for path in mounts), requests)
                fresh = self.other(f"fresh{number}")
                fresh("pull", f"{self.server.host}/built/app{number}:1", env=self.auth)

    def in_archive(self, *arguments):
        """What an archive that is saved holds, as digests."""
        path = self.folder / "saved.tar"
        self.reader("save", "-o", path, *arguments)
        with tarfile.open(path) as archive:
            return {"sha256:" + name.rpartition("/")[2] for name in archive.getnames() if name.startswith("blobs/sha256/")}

    def assert_not_saved(self, *arguments):
        path = self.folder / "refused.tar"
        done = self.reader("save", "-o", path, *arguments, check=False)
        self.assertEqual(1, done.returncode, arguments)
        self.assertFalse(path.exists())
        return done

    def test_nor_by_an_id_of_what_has_such_a_name(self):
        self.pull_the_private_one()
        manifest, config = self.serve_a_config_of_its_own()
        self.reader.build(self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain"))
        digest, identity = (hashlib.sha256(data).hexdigest() for data in (manifest, config))
        for text in (self.theirs, self.theirs.replace(":1", f"@sha256:{digest}"), digest, digest[:12], "sha256:" + identity,
                     identity[:12]):
            with self.subTest(text):
                self.assert_refused(self.assert_not_saved(text))
        private = self.manifest["config"]["digest"]
        self.assertLessEqual({self.digest, private, *self.layers}, self.in_archive(private))

    def test_an_id_is_saved_under_that_name_which_has_the_layers(self):
        self.reader.build(self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain"))
        self.assert_refused(self.assert_not_saved(self.digest))
        self.pull_the_private_one()
        for text in (self.digest, self.digest[7:19], self.name):
            self.assertLessEqual(set(self.layers), self.in_archive(text))
        self.assert_refused(self.assert_not_saved(self.theirs))

    def test_what_never_had_a_name_is_saved_when_all_of_it_was_here(self):
        def built(source):
            self.reader.build(source, env=self.auth)
            return (set(self.reader("images", "-q", "--no-trunc", "-f", "dangling=true").out.split()) - before).pop()
        self.give_base(self.reader)
        before = set()
        made = built(self.context("FROM base\nENV B=c\n", name="made"))
        self.assertIn(made, self.in_archive(made))
        before = {made}
        lazy = built(self.context(f"FROM {self.name}\nENV B=c\n", name="lazy"))
        self.assertIn("slipway tag", self.assert_not_saved(lazy).err)
        self.pull_the_private_one()
        self.assertIn("not known to belong", self.assert_not_saved(lazy).err)
        self.reader("tag", lazy, "mine:1")
        self.reader("save", "-o", self.folder / "named.tar", "mine:1", env=self.auth)
        self.reader.assert_clean(self)

    def test_nor_through_an_index_that_names_the_private_image(self):
        """As an image for another platform, or as an attestation, which nobody pulls."""
        plain = base_tar()
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
            "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]}}).encode()

        def entry(data, kind, **more):
            return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data), **more}
        own = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry(config, OCI_CONFIG),
                          "layers": [entry(plain, "application/vnd.oci.image.layer.v1.tar")]}).encode()
        first = entry(own, OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"})
        private = self.blob(self.digest)
        for name, second in (("s390x", {"platform": {"os": "linux", "architecture": "s390x"}}),
                             ("attestation", {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": {
                                 "vnd.docker.reference.type": "attestation-manifest",
                                 "vnd.docker.reference.digest": first["digest"]}})):
            for loaded in (True, False):
                with self.subTest(name, loaded=loaded):
                    self.reader = self.other(f"{name}-{loaded}")
                    if loaded:
                        self.slipway("save", "-o", self.folder / "p.tar", self.name)
                        self.reader("load", "-i", self.folder / "p.tar")
                    else:
                        self.pull_the_private_one()
                    self.serve(own, config, plain)
                    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX,
                                        "manifests": [first, entry(private, OCI_MANIFEST, **second)]}).encode()
                    digest = "sha256:" + hashlib.sha256(index).hexdigest()
                    self.thief.kinds[digest] = OCI_INDEX
                    self.serve(index)
                    self.reader("pull", "--platform", "linux/amd64", self.theirs)
                    want = {digest, first["digest"], *(entry(data, "")["digest"] for data in (config, plain))}
                    for text in (self.theirs, self.theirs.replace(":1", "@" + digest), digest, digest[7:19]):
                        self.assertEqual(want, self.in_archive(text), text)
                    done = self.reader("inspect", "--platform", "linux/s390x", self.theirs, check=False)
                    self.assertEqual(1, done.returncode, done.out)
                    self.assertNotIn(self.manifest["config"]["digest"], done.out + self.reader("images", "--no-trunc",
                                                                                               self.theirs).out)
                    self.assertIn(self.layers[-1], self.in_archive(self.name))
                    self.reader.assert_clean(self)

    def test_an_index_that_tells_a_wrong_size_is_named(self):
        entries = [{"mediaType": OCI_MANIFEST, "digest": self.digest, "size": len(self.blob(self.digest)),
                    "platform": {"os": "linux", "architecture": architecture}} for architecture in ("amd64", "s390x")]
        entries[1]["size"] += 1
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        digest = "sha256:" + hashlib.sha256(index).hexdigest()
        self.thief.kinds[digest] = OCI_INDEX
        self.serve(index, *(self.blob(layer) for layer in self.layers))
        self.reader("pull", "--platform", "linux/amd64", self.theirs)
        said = self.assert_not_saved(self.theirs).err
        self.assertIn(f"the index {digest} says {entries[1]['size']}", said)
        self.assertNotIn("fsck", said)
        self.reader.assert_clean(self)

    def test_nor_when_the_bytes_come_later(self):
        plain = self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain")
        self.reader.build(plain, "-t", "mine:1")
        private = self.context(f"FROM {self.name}\nENV A=b C=d\n", name="of-the-private-one")
        self.reader.build(private, "-t", "other:1", env=self.auth)
        self.pull_the_private_one()
        for name in ("mine:1", self.theirs):
            done = self.reader.build(self.context(f"FROM {name}\nRUN cat /secret\n", name="run"), check=False,
                                     env=self.auth)
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn("another team", done.err)
        self.reader.assert_clean(self)

    def test_nor_through_a_mirror_of_what_is_here(self):
        self.pull_the_private_one()
        self.reader.build(self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain"))
        for host, name, status in ((self.thief.host, "team/app", 404), (self.server.host, "team/private", 200)):
            mirror = self.closing(OwnRegistry(self.reader, "--mirror-of", f"http://{host}", "--offline"))
            mirror.ask("GET", f"/v2/{name}/manifests/1", status=200)
            for layer in self.layers:
                mirror.ask("GET", f"/v2/{name}/blobs/{layer}", status=status)

    def test_nor_by_a_directory_where_another_lay(self):
        layout = self.folder / "ws/layout"
        take = self.context("FROM base\nRUN true\n", name="ok")
        thieving = self.context("FROM base\nRUN cat /secret\n", name="thieving")
        named = ["--build-context", f"base=oci-layout://{layout}"]
        self.slipway("save", "-o", self.folder / "p.tar", self.name)

        def unpack():
            layout.mkdir(parents=True)
            with tarfile.open(self.folder / "p.tar") as tar:
                tar.extractall(layout)

        unpack()
        self.reader.build(take, *named)
        entries = {"schemaVersion": 2, "manifests": [{"mediaType": OCI_MANIFEST, "digest": self.digest,
                                                      "size": len(self.blob(self.digest))}]}
        for has in ([], [self.digest, self.manifest["config"]["digest"]]):
            shutil.rmtree(layout)
            (layout / "blobs/sha256").mkdir(parents=True)
            (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
            (layout / "index.json").write_text(json.dumps(entries))
            for digest in has:
                (layout / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(self.blob(digest))
            for source in (thieving, take):
                done = self.reader.build(source, *named, check=False)
                self.assertEqual(1, done.returncode, done.err)
                self.assertIn("the layout lacks blob", done.err)
                self.assertNotIn("another team", done.err)
        shutil.rmtree(layout)
        unpack()
        self.assertIn("another team", self.reader.build(thieving, *named).err, "who has the bytes may say so")
        self.assertEqual({"cached"}, set(steps(self.reader.build(take, *named).err).values()))
        self.reader.assert_clean(self)

    def test_layers_that_nothing_needed_yet_are_fetched_for_what_is_built_upon_them(self):
        other = f"{self.server.host}/team/child:1"
        self.reader.build(self.context(f"FROM {self.name}\nENV A=b\n", name="child"), "-t", "mine:1", env=self.auth)
        self.reader("tag", "mine:1", other)
        self.reader.build(self.context(f"FROM {other}\nENV C=d\n", name="grandchild"), "-t", "mine:2")
        before = len(self.server.requests())
        run_it = self.context("FROM mine:2\nRUN cat /secret\n", name="run")
        for _ in range(2):
            self.reader.build(run_it, env=self.auth)
        requests = self.server.requests()[before:]
        for layer in self.layers:
            self.assertEqual(1, sum(method == "GET" and path.endswith(layer) for method, path in requests), requests)
        self.reader("push", other, env=self.auth)
        self.slipway("pull", other, env=self.auth)
        self.reader.assert_clean(self)

    def test_what_the_other_one_has_is_transferred_once(self):
        self.pull_the_private_one()
        before = self.trees()
        for layer in self.layers:
            self.thief.blobs[layer] = self.blob(layer)
        theirs, env = "registry.example/team/app:1", {"SLIPWAY_REGISTRY_MIRROR": as_example(self.thief.host)}
        source = self.context(f"FROM {theirs}\nRUN cat /secret\n", name="run")
        for times in range(2):
            self.reader("pull", theirs, env=env)
            self.reader.build(source, "--pull", env=env)
            for layer in self.layers:
                self.assertEqual(1, self.thief.count("GET", layer), times)
        self.assertTrue(set(before) <= set(self.trees()))
        self.assertEqual(len(before) + 1, len(self.trees()), "the step's tree, and no layer unpacked again")
        self.reader.assert_clean(self)

    def test_another_repository_of_the_registry_costs_a_head(self):
        self.auth["SLIPWAY_REGISTRY_MIRROR"] = as_example(self.server.host)
        self.reader("pull", "registry.example/team/private:1", env=self.auth)
        near, copy = f"{self.server.host}/other/copy:1", "registry.example/other/copy:1"
        self.slipway("tag", self.name, near)
        self.slipway("push", near, env=self.auth)
        for asked in ([("HEAD", layer) for layer in [self.manifest["config"]["digest"], *self.layers]], []):
            before = len(self.server.requests())
            self.reader("pull", copy, env=self.auth)
            requests = self.server.requests()[before:]
            blobs = [(method, path.rpartition("/")[2]) for method, path in requests if "/blobs/" in path]
            self.assertEqual(sorted(asked), sorted(blobs), requests)
        self.assertEqual(1, self.reader("pull", copy, check=False).returncode, "without credentials")

    def test_nor_what_was_made_here(self):
        """The thief has the manifest and the config of an image that is here under a name of its own as well."""
        self.slipway("save", "-o", self.folder / "p.tar", self.name)
        plain = self.context(f"FROM {self.theirs}\nENV A=b\n", name="plain")
        for number, options in enumerate(([], ["--insecure-registry", self.thief.host])):
            reader = self.other(f"with{number}")
            reader("load", "-i", self.folder / "p.tar")
            reader.build(plain, *options)
            reader("tag", self.theirs, "mine:9")
            reader("tag", "mine:9", "mine:10")
            for name in (self.theirs, "mine:9", "mine:10"):
                source = self.context(f"FROM {name}\nRUN cat /secret\n", name="run")
                for arguments in (["build", source], ["save", "-o", str(self.folder / "s.tar"), name]):
                    with self.subTest(arguments=arguments, name=name, options=options):
                        done = reader(*arguments, check=False)
                        self.assertEqual(1, done.returncode, done.out + done.err)
                        self.assertNotIn("another team", done.out + done.err)
            reader("load", "-i", self.folder / "p.tar")
            reader.build(self.context(f"FROM {self.name}\nRUN cat /secret\n", name="own"))
            reader.assert_clean(self)

    def test_what_was_loaded_is_no_registrys(self):
        self.slipway("save", "-o", self.folder / "p.tar", self.name)
        self.reader("load", "-i", self.folder / "p.tar")
        self.assert_refused(self.reader("pull", self.theirs, check=False))
        source = self.context(f"FROM {self.name}\nRUN cat /secret\n", name="run")
        before = len(self.server.requests())
        self.reader.build(source)
        self.reader("tag", self.name, "mine:1")
        self.reader.build(self.context("FROM mine:1\nRUN cat /secret && true\n", name="run2"))
        self.reader("save", "-o", self.folder / "q.tar", "mine:1")
        self.assertEqual([], self.server.requests()[before:], "names that are here need no question")

    def test_a_twin_in_one_build_gets_nothing_of_the_image_that_it_claims_to_be(self):
        """Its config names the private diff IDs. Whichever comes first, the honest stage works and the thief is asked."""
        evil = json.loads(self.blob(self.manifest["config"]["digest"]))
        evil["config"] = {"Env": ["PATH=/bin", "EVIL=1"]}
        config = json.dumps(evil).encode()
        manifest = json.loads(self.blob(self.digest))
        manifest["config"].update(size=len(config), digest="sha256:" + hashlib.sha256(config).hexdigest())
        archive = self.folder / "out.tar"
        for number, (served, text) in enumerate((
                ([config], f"FROM {self.name} AS a\nRUN cp /bin/busybox /x\nFROM {self.theirs}\nCOPY --from=a /x /y\n"),
                ([config], f"FROM {self.name} AS a\nRUN ls /secret\nFROM {self.theirs}\nRUN ls /secret\n"
                           "COPY --from=a /bin/busybox /y\n"),
                ([config], f"FROM {self.theirs} AS e\nFROM {self.name} AS a\nRUN cp /bin/busybox /x\nFROM e\n"
                           "COPY --from=a /x /y\n"),
                (None, f"FROM scratch\nCOPY --from={self.name} /bin/busybox /x\nCOPY --from={self.theirs} /secret /y\n"),
                (None, f"FROM {self.name} AS a\nRUN cp /bin/busybox /x\nFROM {self.theirs}\nCOPY --from=a /x /y\n"))):
            with self.subTest(text):
                if served:
                    self.serve(json.dumps(manifest).encode(), config)
                else:  # one manifest under two names
                    self.serve(self.blob(self.digest), self.blob(self.manifest["config"]["digest"]))
                fresh = self.other(f"fresh{number}")
                done = fresh.build(self.context(text, name=f"twin{number}"), "-o", f"type=tar,dest={archive}",
                                   env=self.auth, check=False)
                self.assert_refused(done)
                self.assertFalse(archive.exists())
        honest = (f"FROM {self.theirs} AS e\nRUN ls /secret\nFROM {self.name} AS a\nRUN ls /secret\n"
                  "FROM scratch\nCOPY --from=a /secret /found\n")
        self.serve(json.dumps(manifest).encode(), config)
        self.other("honest").build(self.context(honest, name="honest"), "-o", f"type=tar,dest={archive}", env=self.auth)
        self.assertTrue(archive.exists())

    def test_a_config_that_claims_the_layers_of_another_gets_no_record(self):
        """The key of a step is made of what the config says of the base's layers."""
        self.pull_the_private_one()
        victim = self.context(f"FROM {self.name}\nRUN cp /secret /found\n", name="victim")
        self.reader.build(victim, env=self.auth)
        manifest = json.loads(self.blob(self.digest))
        own = base_tar()
        manifest["layers"] = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(own),
                               "digest": "sha256:" + hashlib.sha256(own).hexdigest()}] * len(self.layers)
        self.serve(json.dumps(manifest).encode(), own, self.blob(self.manifest["config"]["digest"]))
        self.assertEqual(OCI_MANIFEST, manifest["mediaType"])
        for text in (f"FROM {self.theirs}\nRUN cp /secret /found\n",
                     f"FROM {self.theirs} AS a\nRUN cp /secret /found\nFROM scratch\nCOPY --from=a /found /\n"):
            done = self.reader.build(self.context(text, name="thieving"), "-o", "type=tar,dest=-", check=False)
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn("cached", steps(done.err).values(), done.err)
            self.assertNotIn("another team", done.out)
        self.reader.build(victim, env=self.auth)
        self.reader.assert_clean(self)


class RebuildTest(RemotesCase):
    """meta.db is broken where everybody writes: what was pushed may be lost, and that is told."""

    def test_it_is_told_and_caches_have_a_day(self):
        own = self.closing(OwnRegistry(self.slipway))
        own.push_image("team/app", "1")
        source = self.context("FROM scratch\nCOPY f /f\n", {"f": "x"}, name="cc")
        self.other().build(source, "--cache-to", f"type=registry,ref={own.host}/c:1,mode=max,image-manifest=false")
        own.close()
        with contextlib.closing(sqlite3.connect(self.slipway.root / "meta.db")) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pushed = [row[0].hex() for row in db.execute("SELECT digest FROM repository_links")]
        with open(self.slipway.root / "meta.db", "r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 40)
        told = self.slipway("images").err
        self.assertEqual(1, told.count("WARNING: the store's database was broken or lost"), told)
        aside = [path for path in self.slipway.root.iterdir()
                 if path.name.startswith("meta.db.broken-") and not path.name.endswith(("-wal", "-shm"))]
        self.assertEqual(1, len(aside))
        self.assertIn(str(aside[0]), told)
        self.assertNotIn("WARNING: the store's database", self.slipway("images").err, "once")
        for arguments in (["registry", "ls"], ["fsck"]):
            self.assertIn(f"{aside[0]} was set aside", self.slipway(*arguments).err, arguments)
        self.slipway("gc")
        for digest in pushed:
            self.assertTrue((self.slipway.root / "blobs/sha256" / digest).exists(), digest)
        aside[0].unlink()
        self.assertIn("the store is clean", self.slipway("fsck").err)
        self.assertNotIn("set aside", self.slipway("registry", "ls").err)


class WithoutMounts(http.server.ThreadingHTTPServer):
    """Before a registry: forgets the query of a POST, so that nothing is mounted. `posts` counts them."""

    daemon_threads = True

    def __init__(self, registry):
        far, outer = registry.host, self
        outer.posts = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def relay(self):
                path = self.path
                if self.command == "POST":
                    path, outer.posts = path.partition("?")[0], outer.posts + 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection(far)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                connection.request(self.command, path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "date"):
                        self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)
                connection.close()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = relay
            log_message = lambda *a: None

        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class ManifestTest(RemotesCase):
    def setUp(self):
        super().setUp()
        self.server = self.registry()
        self.list = f"{self.server.host}/team/app:1"
        self.members = {}
        for arch in ("amd64", "arm64"):
            name = f"{self.server.host}/build/{arch}:1"
            self.image(name, arch, "--platform", f"linux/{arch}")
            self.members[arch] = name

    def inspect(self, name, *options):
        return json.loads(run(["skopeo", "inspect", "--tls-verify=false", *options, f"docker://{name}"]).out)

    def test_create_annotate_inspect_push(self):
        amd64, arm64 = self.members["amd64"], self.members["arm64"]
        done = self.slipway("manifest", "create", self.list, amd64)
        self.assertEqual(f"Created manifest list {self.list}\n", done.out)
        done = self.slipway("manifest", "create", self.list, arm64, check=False)
        self.assertIn("--amend", done.err)
        self.slipway("manifest", "create", "-a", self.list, arm64)
        self.slipway("manifest", "annotate", "--variant", "v8", "--os-features", "a,b", "--os-version", "1.2", self.list,
                     arm64)
        done = self.slipway("manifest", "annotate", "--os", "x y", self.list, arm64, check=False)
        self.assertEqual(2, done.returncode)
        self.slipway("gc", "--max-size", "0", check=False)  # the list is named, and so holds its manifests
        local = json.loads(self.slipway("manifest", "inspect", self.list).out)
        digest = self.slipway("manifest", "push", self.list).out.strip()
        there = self.inspect(self.list, "--raw")
        self.assertEqual(local, there)
        platforms = [entry["platform"] for entry in there["manifests"]]
        self.assertEqual([{"architecture": "amd64", "os": "linux"},
                          {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1.2",
                           "os.features": ["a", "b"]}], platforms)
        self.assertEqual(digest, self.inspect(self.list)["Digest"])
        self.assertNotIn("annotations", json.dumps(there))
        verbose = json.loads(self.slipway("manifest", "inspect", "-v", self.list).out)
        self.assertEqual([p["digest"] for p in there["manifests"]], [v["Descriptor"]["digest"] for v in verbose])
        self.assertEqual(json.loads(base64.b64decode(verbose[0]["Raw"])), verbose[0]["OCIManifest"])
        self.assertEqual(verbose[0]["OCIManifest"],
                         json.loads(self.slipway("manifest", "inspect", self.list, amd64).out))
        other = self.other()
        there_too = json.loads(other("manifest", "inspect", "-v", self.list).out)  # as the registry has it
        self.assertEqual([v["OCIManifest"] for v in verbose], [v["OCIManifest"] for v in there_too])
        other("pull", "--platform", "linux/amd64", self.list)
        self.assertEqual(there, json.loads(other("manifest", "inspect", self.list).out))

    def test_images_of_other_repositories_are_mounted_or_copied(self):
        self.slipway("manifest", "create", self.list, *self.members.values())
        before = len(self.server.requests())
        self.slipway("manifest", "push", "--purge", self.list)
        requests = self.server.requests()[before:]
        self.assertTrue([r for r in requests if r[0] == "POST" and "mount=" in r[1]])
        self.assertEqual([], [r for r in requests if r[0] in ("PUT", "PATCH") and "/blobs/" in r[1]])
        self.assertIn("no manifest list", self.slipway("manifest", "push", self.list, check=False).err)

    def test_copied_where_the_registry_does_not_mount(self):
        front = self.closing(WithoutMounts(self.server))
        other = self.other()
        target = f"{front.host}/copied/app:1"
        other("manifest", "create", target, f"{front.host}/build/amd64:1", f"{front.host}/build/arm64:1")
        other("manifest", "push", target)
        self.assertTrue(front.posts)
        for arch in ("amd64", "arm64"):
            run(["skopeo", "copy", "--src-tls-verify=false", "--insecure-policy", "--override-arch", arch,
                 f"docker://{self.server.host}/copied/app:1", f"dir:{self.folder}/dir-{arch}"])
        other.assert_clean(self)

    def test_rm_and_what_is_refused(self):
        self.slipway("manifest", "create", self.list, self.members["amd64"])
        self.slipway("manifest", "rm", self.list)
        self.assertEqual(1, self.slipway("manifest", "rm", self.list, check=False).returncode)
        done = self.slipway("manifest", "create", self.list, "127.0.0.1:1/other/app:1", check=False)
        self.assertIn("another registry", done.err)
        done = self.slipway("manifest", "create", self.list, f"{self.server.host}/none/such:1", check=False)
        self.assertEqual(1, done.returncode)
        self.slipway("manifest", "create", self.list, *self.members.values())
        self.slipway("manifest", "push", self.list)
        done = self.slipway("manifest", "create", f"{self.server.host}/a/b:1", self.list, check=False)
        self.assertIn("manifest list itself", done.err)
        for words in (["manifest", "make", self.list], ["manifest", "push", "--amend", self.list], ["manifest", "push"]):
            self.assertEqual(2, self.slipway(*words, check=False).returncode, words)
        self.slipway.assert_clean(self)


class PlatformTest(RemotesCase):
    def test_variants_fall_back_and_what_is_missing_is_listed(self):
        server = self.registry()
        names = []
        for platform in ("linux/arm/v6", "linux/arm64", "linux/s390x"):
            names.append(f"{server.host}/p/{platform.replace('/', '-')}:1")
            self.image(names[-1], platform, "--platform", platform)
        index = f"{server.host}/p/all:1"
        self.slipway("manifest", "create", index, *names)
        self.slipway("manifest", "push", index)
        for wanted, given in (("linux/arm/v7", "linux/arm/v6"), ("linux/arm/v6", "linux/arm/v6"),
                              ("linux/arm64/v8", "linux/arm64"), ("linux/arm64", "linux/arm64")):
            with self.subTest(wanted):
                other = self.other(wanted.replace("/", "-"))
                other("pull", "--platform", wanted, index)
                tree = other.tree(self.context(f"FROM {index}\n", name="c"), "--platform", wanted)
                expected = run(["sha256sum"], input=given.encode()).out.split()[0]
                self.assertEqual(expected, tree["f"][3])
        done = self.slipway("pull", "--platform", "linux/riscv64", index, check=False)
        self.assertEqual(1, done.returncode)
        for platform in ("linux/arm/v6", "linux/arm64", "linux/s390x"):
            self.assertIn(platform, done.err)

    def test_attestations_are_no_images(self):
        server = self.registry()
        name = f"{server.host}/p/app:1"
        digest = self.image(name, "x", "--platform", "linux/s390x")
        raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]).out
        kind = json.loads(raw)["mediaType"]
        entries = [{"mediaType": kind, "digest": digest, "size": len(raw),
                    "platform": {"os": "unknown", "architecture": "unknown"},
                    "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}]
        self.put(server, "p/app", "att", entries)
        done = self.other()("pull", f"{server.host}/p/app:att", check=False)
        self.assertEqual(1, done.returncode, "only an attestation is there")
        entries.append({"mediaType": kind, "digest": digest, "size": len(raw),
                        "platform": {"os": "linux", "architecture": "s390x"}})
        self.put(server, "p/app", "att", entries)
        self.other()("pull", "--platform", "linux/s390x", f"{server.host}/p/app:att")
        # an image with its attestation beside it is one image for a list
        self.slipway("manifest", "create", f"{server.host}/p/list:1", f"{server.host}/p/app:att")

    def put(self, server, repository, tag, entries):
        index = "application/vnd.oci.image.index.v1+json"
        connection = http.client.HTTPConnection(server.host)
        connection.request("PUT", f"/v2/{repository}/manifests/{tag}",
                           json.dumps({"schemaVersion": 2, "mediaType": index, "manifests": entries}),
                           {"Content-Type": index})
        self.assertEqual(201, connection.getresponse().status)
        connection.close()


class AllTagsTest(RemotesCase):
    def test_push_all_tags(self):
        server = self.registry()
        self.give_base()
        for tag in ("1", "2", "latest"):
            self.slipway("tag", "base:latest", f"{server.host}/team/app:{tag}")
        self.slipway("tag", "base:latest", f"{server.host}/team/application:3")
        self.slipway("push", "-a", f"{server.host}/team/app")
        tags = json.loads(run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{server.host}/team/app"]).out)
        self.assertEqual(["1", "2", "latest"], sorted(tags["Tags"]))
        self.assertEqual(2, self.slipway("push", "-a", f"{server.host}/team/app:1", check=False).returncode)
        self.assertEqual(1, self.slipway("push", "-a", f"{server.host}/team/none", check=False).returncode)


if __name__ == "__main__":
    main()
