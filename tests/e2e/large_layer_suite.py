#!/usr/bin/env python3
"""Peak memory of a 2 GiB layer through pull and push: at most 64 MiB. Other compressions by a quarter of that.

SLIPWAY_LARGE_MIB: another size of the layer, for a look in passing."""
import contextlib
import gzip
import hashlib
import http.server
import json
import os
import subprocess
import tarfile
import threading

from support import Case, main, measured, require

MEMORY_MIB = 64
SIZE_MIB = int(os.environ.get("SLIPWAY_LARGE_MIB", "2048"))
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Stream:
    """A blob of pieces, each repeated: nobody holds it whole."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.size = sum(len(data) * times for data, times in pieces)
        summed = hashlib.sha256()
        for data in self:
            summed.update(data)
        self.digest = "sha256:" + summed.hexdigest()

    def __iter__(self):
        for data, times in self.pieces:
            for _ in range(times):
                yield data


def layer(pack, mib):
    """(plain, packed) tar of one file: a piece that does not compress, again and again."""
    info = tarfile.TarInfo("large")
    info.size = mib << 20
    block = os.urandom(1 << 20)
    plain = ((info.tobuf(tarfile.GNU_FORMAT), 1), (block, mib), (bytes(1024), 1))
    return Stream(*plain), Stream(*((pack(data), times) for data, times in plain))


class Server:
    """Gives one image and takes whatever is pushed, checking its digest."""

    def __init__(self, plain, packed, kind):
        config = json.dumps({"architecture": ARCH, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [plain.digest]}}).encode()
        self.blobs = {digest(config): Stream((config, 1)), packed.digest: packed}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar" + kind, "digest": packed.digest, "size": packed.size}]}).encode()
        self.taken = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=(), size=0, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(size))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for data in body if self.command != "HEAD" else ():
                        self.wfile.write(data)

            def do_GET(self):
                name = self.path.rpartition("/")[2]
                if "/manifests/" in self.path:
                    return self.reply(200, [outer.manifest], len(outer.manifest), Content_Type=MANIFEST)
                if name in outer.blobs and "/new/" not in self.path:
                    return self.reply(200, outer.blobs[name], outer.blobs[name].size)
                self.reply(200 if self.path == "/v2/" else 404)

            do_HEAD = do_GET

            def do_POST(self):
                self.reply(202, Location=self.path + "1")

            def do_PUT(self):
                left, summed = int(self.headers["Content-Length"]), hashlib.sha256()
                while left:
                    data = self.rfile.read(min(left, 1 << 20))
                    left -= len(data)
                    summed.update(data)
                outer.taken.add("sha256:" + summed.hexdigest())
                self.reply(201)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class LargeLayerTest(Case):
    def check(self, pack, kind, mib):
        free = os.statvfs(self.folder)
        if free.f_bavail * free.f_frsize < 3 * (mib << 20):
            self.skipTest("not enough room on the disk")
        plain, packed = layer(pack, mib)
        server = self.closing(Server(plain, packed, kind))
        name, target = f"{server.host}/app:1", f"{server.host}/new/app:1"
        peaks = {}
        for command in (("pull", name), ("push", target)):
            if command[0] == "push":
                self.slipway("tag", name, target)
            done, peaks[command[0]] = measured(self.slipway.command(*command), self.slipway.env)
            self.assertEqual(0, done.returncode, done.stdout)
        print("peak in MiB:", peaks, flush=True)
        self.assertIn(packed.digest, server.taken)
        self.assertLessEqual(max(peaks.values()), MEMORY_MIB)

    def test_plain(self):
        self.check(lambda data: data, "", SIZE_MIB // 4)

    def test_gzip(self):
        self.check(lambda data: gzip.compress(data, 1, mtime=0), "+gzip", SIZE_MIB)

    def test_zstd(self):
        require("zstd")
        self.check(lambda data: subprocess.run(["zstd", "-q", "-c", "-3"], input=data, stdout=subprocess.PIPE, check=True).stdout, "+zstd",
                   SIZE_MIB // 4)


if __name__ == "__main__":
    main()
