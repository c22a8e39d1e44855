#!/usr/bin/env python3
"""Pull and push over networks that cut connections, crawl and let tokens run out: the real registry behind a proxy that
does so (issue part "Tests"). Everything ends with the right digest, whole, on both sides."""
import contextlib
import hashlib
import json
import os
import re
import resource
import socket
import struct
import subprocess
import threading
import time

from support import Case, Registry, Slipway, TokenServer, main, make_certificate, require

PASSWORD = "pa55-of-the-bad-network"


class Proxy:
    """Passes TCP on to `target`. Each connection is cut after `limit` bytes in all when it is among those that
    `cuts(number)` names (numbers from 1), with a reset or an end. `rate`: bytes a second towards the target."""

    def __init__(self, target, limit=None, cuts=lambda number: True, reset=True, rate=None):
        host, port = target.rsplit(":", 1)
        self.target, self.limit, self.cuts, self.reset, self.rate = (host, int(port)), limit, cuts, reset, rate
        self.connections = self.cut = self.passed = 0
        self.lock, self.open, self.closed = threading.Lock(), set(), False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self.serve, args=(client, number), daemon=True).start()

    def serve(self, client, number):
        server = socket.create_connection(self.target)
        if self.rate:  # or the kernel would take megabytes at once
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        budget = [self.limit if self.limit is not None and self.cuts(number) else None]
        with self.lock:
            self.open |= {client, server}
        threads = [threading.Thread(target=self.pump, args=(a, b, budget, rate), daemon=True)
                   for a, b, rate in ((client, server, self.rate), (server, client, None))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self.lock:
            self.open -= {client, server}
        client.close()
        server.close()

    def pump(self, source, sink, budget, rate):
        with contextlib.suppress(OSError):
            while data := source.recv(4096 if rate else 65536):
                with self.lock:
                    allowed = len(data) if budget[0] is None else min(len(data), budget[0])
                    if budget[0] is not None:
                        budget[0] -= allowed
                    self.passed += allowed
                sink.sendall(data[:allowed])
                if budget[0] is not None and budget[0] == 0:
                    with self.lock:
                        self.cut += 1
                    if self.reset:
                        for end in (source, sink):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                if rate:
                    time.sleep(allowed / rate)  # what makes it slow; nothing waits for it to be over
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for end in self.open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def setUpModule():
    require("docker-registry", "openssl", "skopeo")


class NetworkCase(Case):
    def setUp(self):
        super().setUp()
        self.fresh_stores = 0

    def behind(self, registry, **how):
        return self.closing(Proxy(registry.host, **how))

    def build(self, name, *sizes):
        """An image whose layers have so many random bytes."""
        files = {f"f{i}": os.urandom(size) for i, size in enumerate(sizes)}
        lines = "".join(f"COPY {file} /{file}\n" for file in files)
        self.slipway.build(self.context("FROM scratch\n" + lines, files), "-t", name)
        return self.slipway.digest(name)

    def pull_elsewhere(self, name, **keys):
        self.fresh_stores += 1
        other = Slipway(self.folder / f"other{self.fresh_stores}")
        other.env["HOME"] = self.slipway.env["HOME"]
        other("pull", name, **keys)
        digest = other.digest(name)
        other.assert_clean(self)
        return digest

    def assert_whole(self, registry):
        """What the registry holds has the digests that it is called by."""
        for file in registry.blob_files():
            with open(file, "rb") as data:
                self.assertEqual(file.parent.name, hashlib.file_digest(data, "sha256").hexdigest())

    def tag(self, name, proxy, target="app:1"):
        there = f"{proxy.host}/team/{target}"
        self.slipway("tag", name, there)
        return there


class CutTest(NetworkCase):
    def setUp(self):
        super().setUp()
        self.registry = self.closing(Registry(self.folder / "registry"))

    def test_pull_when_every_connection_is_cut(self):
        name = f"{self.registry.host}/team/app:1"
        digest = self.build(name, 3_000_000, 700_000, 10)
        self.slipway("push", name)
        for limit in (30_011, 100_003, 1_000_003):
            for reset in (True, False):
                with self.subTest(limit=limit, reset=reset):
                    proxy = self.behind(self.registry, limit=limit, reset=reset)
                    self.assertEqual(digest, self.pull_elsewhere(f"{proxy.host}/team/app:1"))
                    self.assertGreaterEqual(proxy.cut, 3_700_000 // limit)
                    self.assertLess(proxy.passed, 2 * 3_700_000 + 64 * 4096, "what was here is not transferred again")

    def test_push_when_every_connection_is_cut(self):
        for limit in (60_013, 300_007, 1_000_003):
            for reset in (True, False):
                with self.subTest(limit=limit, reset=reset):
                    digest = self.build("image:latest", 3_000_000, 700_000, 10)
                    proxy = self.behind(self.registry, limit=limit, reset=reset)
                    self.slipway("push", self.tag("image:latest", proxy, f"app:{limit}-{int(reset)}"))
                    self.assertGreaterEqual(proxy.cut, 1)
                    self.assertEqual(digest, self.pull_elsewhere(f"{self.registry.host}/team/app:{limit}-{int(reset)}"))
                    self.assert_whole(self.registry)

    def test_one_cut_anywhere(self):
        """Every other connection cut after its Nth byte, N = 1, 98, …, beyond what any of them carries."""
        name = f"{self.registry.host}/team/app:1"
        digest = self.build(name, 9000, 4000)
        self.slipway("push", name)
        for direction in ("pull", "push"):
            limit, cut = 1, 0
            while limit < 40_000:
                with self.subTest(direction, limit=limit):
                    proxy = self.behind(self.registry, limit=limit, cuts=lambda number: number % 2 == 0)  # the first one asks for TLS
                    if direction == "pull":
                        self.assertEqual(digest, self.pull_elsewhere(f"{proxy.host}/team/app:1"))
                    else:
                        target = f"app{limit}:1"
                        self.slipway("push", self.tag(name, proxy, target))
                        self.assertEqual(digest, self.pull_elsewhere(f"{self.registry.host}/team/{target}"))
                    cut += proxy.cut
                limit += max(97, limit // 3)
            self.assertGreater(cut, 5)
        self.assert_whole(self.registry)

    def test_build_from_and_push_behind_one(self):
        name = f"{self.registry.host}/team/base:1"
        self.build(name, 2_000_000)
        self.slipway("push", name)
        proxy = self.behind(self.registry, limit=250_007)
        other = Slipway(self.folder / "builder")
        target = f"{proxy.host}/team/child:1"
        other.build(self.context(f"FROM {proxy.host}/team/base:1\nCOPY big /big\n", {"big": os.urandom(1_500_000)}, name="child"), "-t", target, "--push")
        self.assertEqual(other.digest(target), self.pull_elsewhere(f"{self.registry.host}/team/child:1"))
        self.assertGreater(proxy.cut, 5)


class TlsTest(NetworkCase):
    def test_cuts_inside_tls(self):
        certificate = make_certificate(self.folder / "tls")
        registry = self.closing(Registry(self.folder / "registry", certificate=certificate))
        trust = {"SSL_CERT_FILE": str(certificate[0])}
        digest = self.build("image:latest", 2_000_000, 10)
        for limit in (100_003, 700_001):
            with self.subTest(limit=limit):
                proxy = self.behind(registry, limit=limit)
                name = self.tag("image:latest", proxy, f"app:{limit}")
                refused = self.slipway("push", name, check=False)
                self.assertEqual(1, refused.returncode)
                self.assertIn("cannot trust", refused.err)
                self.slipway("push", name, env=trust)
                self.assertEqual(digest, self.pull_elsewhere(name, env=trust))
                self.assertGreater(proxy.cut, 2)
        self.assert_whole(registry)

    def test_a_cut_of_the_first_handshake_is_not_taken_for_plain_http(self):
        certificate = make_certificate(self.folder / "tls")
        registry = self.closing(Registry(self.folder / "registry", certificate=certificate))
        trust = {"SSL_CERT_FILE": str(certificate[0])}
        digest = self.build("image:latest", 1000)
        for limit in (1, 100, 400, 1000):
            for reset in (True, False):
                with self.subTest(limit=limit, reset=reset):
                    proxy = self.behind(registry, limit=limit, cuts=lambda number: number == 1, reset=reset)
                    self.slipway("push", self.tag("image:latest", proxy, f"app:{limit}-{int(reset)}"), env=trust)
                    self.assertEqual(digest, self.pull_elsewhere(f"{proxy.host}/team/app:{limit}-{int(reset)}", env=trust))


class ShortTokens(TokenServer):
    """Tokens that live `seconds` (the registry forgives a minute), and say that they live `claim`."""

    def __init__(self, folder, seconds, claim):
        self.seconds, self.claim = seconds, claim
        super().__init__(folder, "user", PASSWORD)

    def expiry(self, now):
        return now + self.seconds - 60

    def lifetime(self):
        return self.claim


class TokenTest(NetworkCase):
    def test_a_token_of_five_seconds_and_an_upload_of_twenty(self):
        for claim in (5, 300):
            with self.subTest(f"said to live {claim} s"):
                folder = self.folder / f"claim{claim}"
                tokens = self.closing(ShortTokens(folder / "tokens", 5, claim))
                registry = self.closing(Registry(folder / "registry", auth=tokens.configuration()))
                # 4 MB at 200 kB/s, and a connection that lasts for a fifth of it.
                proxy = self.behind(registry, limit=800_000, rate=200_000)
                digest = self.build("image:latest", 4_000_000)
                self.slipway("login", "-u", "user", "--password-stdin", proxy.host, input=PASSWORD.encode())
                began = time.monotonic()
                self.slipway("push", self.tag("image:latest", proxy))
                self.assertGreater(time.monotonic() - began, 15, "the proxy made it slow")
                pushes = [t for t in tokens.seen if t["scopes"] == ["repository:team/app:pull,push"]]
                self.assertGreaterEqual(len(pushes), 3, "renewed in the middle")
                self.assert_whole(registry)
                self.slipway("login", "-u", "user", "--password-stdin", registry.host, input=PASSWORD.encode())
                self.assertEqual(digest, self.pull_elsewhere(f"{registry.host}/team/app:1"))


if __name__ == "__main__":
    main()
