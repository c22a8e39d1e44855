#!/usr/bin/env python3
"""Caches that travel: from one store to another by a registry, a directory and an image; to BuildKit and from it."""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import unittest
import urllib.error
import urllib.request

from own_registry import Upstream
from support import CLEAN, Case, Registry, Slipway, main, require, run, steps, stop, until

CONFIG = "application/vnd.buildkit.cacheconfig.v0"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

# every instruction that has BuildKit's own key here (docs/caching.md)
DOCKERFILE = """FROM {base} AS build
ARG X=1
ENV A=1 B=two
WORKDIR /work
COPY a.txt b.txt ./
COPY src /work/src
COPY *.md /docs/
RUN --mount=type=cache,target=/c --mount=type=cache,id=mine,target=/m,sharing=locked echo "hi <&>" >out && cat a.txt >>out
ENV A=3
RUN --mount=type=tmpfs,target=/t --mount=type=secret,id=s --network=none echo two
FROM {base}
COPY --from=build /work/out /out
COPY --from=build --chown=app:1001 --chmod=640 /work/src /s
COPY --from=build /docs/*.md /more/
COPY <<EOF <<OTHER /x/
hello
EOF
there
OTHER
COPY --link --chown=5:6 b.txt /linked
COPY . /all
USER app
WORKDIR /w2
RUN true
"""
FILES = {"a.txt": "a\n", "b.txt": "b\n", "src/sub/f": "s\n", "src/g": "g\n", "one.md": "1", "two.md": "2",
         "docs.md/inner": "i", ".dockerignore": "ignored\nsrc/hidden*\nDockerfile\n", "ignored": "x", "src/hidden1": "h"}


def setUpModule():
    require("docker-registry")


class Counting:
    """A proxy before a registry: counts the bytes of blobs by direction, and what is asked."""

    def __init__(self, target):
        self.target, self.asked, self.down, self.up = target, [], 0, 0
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,),
                       {"protocol_version": "HTTP/1.1", "log_message": lambda *a: None,
                        **{f"do_{m}": lambda h, m=m: self.pass_on(h, m)
                           for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, handler, method):
        if handler.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(handler.rfile.readline().split(b";")[0], 16):
                body += handler.rfile.read(size)
                handler.rfile.readline()
            handler.rfile.readline()
        else:
            body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
        upstream = http.client.HTTPConnection(self.target, timeout=60)
        upstream.request(method, handler.path, body or None, headers)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        path = handler.path.split("?")[0]
        self.asked.append((method, path))
        if "/blobs/" in path:
            self.up += len(body)
            if method == "GET":
                self.down += len(data)
        handler.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                handler.send_header(key, value)
        length = answer.getheader("Content-Length") if method == "HEAD" else str(len(data))
        handler.send_header("Content-Length", length or "0")
        handler.end_headers()
        if method != "HEAD":
            handler.wfile.write(data)

    def forget(self):
        self.asked, self.down, self.up = [], 0, 0

    def close(self):
        self.server.daemon_threads = True
        self.server.shutdown()
        self.server.server_close()


def get(host, repository, reference, kind="manifests"):
    request = urllib.request.Request(f"http://{host}/v2/{repository}/{kind}/{reference}",
                                     headers={"Accept": f"{MANIFEST}, {INDEX}, {LIST}"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def put(host, repository, reference, document, media_type):
    request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{reference}", method="PUT",
                                     data=document, headers={"Content-Type": media_type})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def put_blob(host, repository, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    with urllib.request.urlopen(urllib.request.Request(f"http://{host}/v2/{repository}/blobs/uploads/", method="POST",
                                                       data=b"")) as answer:
        place = answer.headers["Location"]
    if place.startswith("/"):
        place = f"http://{host}{place}"
    mark = "&" if "?" in place else "?"
    with urllib.request.urlopen(urllib.request.Request(f"{place}{mark}digest={digest}", method="PUT", data=data,
                                                       headers={"Content-Type": "application/octet-stream"})):
        return digest


class CacheCase(Case):
    def setUp(self):
        super().setUp()
        self.registry = self.closing(Registry(self.folder / "registry"))
        self.base = f"{self.registry.host}/base:1"
        self.give_base(name=self.base)
        self.slipway("push", self.base)
        (self.folder / "secret").write_text("hush")

    def other(self, name="other"):
        return Slipway(self.folder / name)

    def source(self, host=None, name="context", files=None):
        return self.context(DOCKERFILE.format(base=self.base.replace(self.registry.host, host or self.registry.host)),
                            dict(FILES, **(files or {})), name)

    def build(self, slipway, source, *options, **keys):
        return slipway.build(source, "--secret", f"id=s,src={self.folder}/secret", *options, **keys)

    def ran(self, done):
        return [step for step, how in steps(done.err).items() if how == "ran"]

    def assert_all_cached(self, done):
        self.assertEqual([], self.ran(done), done.err)
        self.assertIn("cached", steps(done.err).values())

    def cache_documents(self, repository, tag):
        manifest = json.loads(get(self.registry.host, repository, tag))
        digest = manifest["config"]["digest"] if "config" in manifest else next(
            m["digest"] for m in manifest["manifests"] if m["mediaType"] == CONFIG)
        return manifest, json.loads(get(self.registry.host, repository, digest, "blobs"))


class RegistryTest(CacheCase):
    def test_an_empty_store_downloads_no_layer(self):
        proxy = self.closing(Counting(self.registry.host))
        source = self.source(proxy.host)
        cache, image = f"{proxy.host}/cache:1", f"{proxy.host}/app:1"
        self.build(self.slipway, source, "--cache-to", f"type=registry,ref={cache},mode=max", "-t", image, "--push")
        first = get(self.registry.host, "app", "1")
        other = self.other()
        proxy.forget()
        done = self.build(other, source, "--cache-from", cache, "-t", f"{proxy.host}/app:2", "--push")
        self.assert_all_cached(done)
        layers = {layer["digest"] for layer in json.loads(first)["layers"]}
        fetched = [path for method, path in proxy.asked if method == "GET" and path.split("/")[-1] in layers]
        self.assertEqual([], fetched, "bytes of layers")
        sent = [path for method, path in proxy.asked if method in ("PUT", "PATCH") and "/blobs/" in path]
        self.assertEqual([], sent, "all is there, the config too")
        self.assertEqual(first, get(self.registry.host, "app", "2"), "the same image to the byte")
        other.assert_clean(self)

    def test_an_unchanged_cache_is_not_written(self):
        proxy = self.closing(Counting(self.registry.host))
        source = self.source(proxy.host)
        to = f"type=registry,ref={proxy.host}/cache:1,mode=max"
        self.build(self.slipway, source, "--cache-to", to)
        for what, slipway, options in (("the same store", self.slipway, []),
                                       ("an empty store", self.other(), ["--cache-from", f"{proxy.host}/cache:1"])):
            proxy.forget()
            self.assert_all_cached(self.build(slipway, source, "--cache-to", to, *options))
            self.assertEqual(0, proxy.up, what)
            self.assertEqual([], [asked for asked in proxy.asked if asked[0] not in ("GET", "HEAD")], what)

    def test_what_changed_runs_on_layers_that_come_when_needed(self):
        source = self.source()
        cache = f"{self.registry.host}/cache:1"
        self.build(self.slipway, source, "--cache-to", f"type=registry,ref={cache},mode=max")
        other = self.other()
        (source / "one.md").write_text("changed")
        done = self.build(other, source, "--cache-from", cache)
        how = steps(done.err)
        self.assertEqual("cached", how["COPY src /work/src"])
        self.assertEqual("ran", how["COPY *.md /docs/"])
        plain = self.other("plain")
        self.assertEqual(plain.tree(source, "--secret", f"id=s,src={self.folder}/secret"),
                         other.tree(source, "--secret", f"id=s,src={self.folder}/secret", "--cache-from", cache))
        other.assert_clean(self)

    def test_min_has_what_the_image_has(self):
        source = self.source()
        for mode in ("min", "max"):
            self.build(self.slipway, source, "--cache-to", f"type=registry,ref={self.registry.host}/cache:{mode},mode={mode}")
        least, most = (self.cache_documents("cache", mode)[1] for mode in ("min", "max"))
        self.assertLess(len(least["layers"]), len(most["layers"]))
        done = self.build(self.other(), source, "--cache-from", f"{self.registry.host}/cache:min")
        self.assert_all_cached(done)
        only = self.context(DOCKERFILE.format(base=self.base).replace("RUN true", "RUN false || true"), FILES)
        done = self.build(self.other("third"), only, "--cache-from", f"{self.registry.host}/cache:min")
        self.assertEqual(["RUN false || true"], self.ran(done))

    def test_forms_and_compression(self):
        source = self.source()
        host = self.registry.host
        for tag, keys, kind, layer in (
                ("index", "image-manifest=false", INDEX, "tar+gzip"),
                ("docker", "oci-mediatypes=false", LIST, "tar.gzip"),
                ("zstd", "compression=zstd,force-compression=true", MANIFEST, "tar+zstd")):
            with self.subTest(tag):
                self.build(self.slipway, source, "--cache-to", f"type=registry,ref={host}/cache:{tag},mode=max,{keys}")
                manifest, _ = self.cache_documents("cache", tag)
                self.assertEqual(kind, manifest["mediaType"])
                layers = manifest.get("layers") or [m for m in manifest["manifests"] if m["mediaType"] != CONFIG]
                self.assertEqual([], [m for m in layers if not m["mediaType"].endswith(layer)])
                other = self.other(tag)
                self.assert_all_cached(self.build(other, source, "--cache-from", f"{host}/cache:{tag}"))
                (source / "last").write_text(tag)  # now the layers are needed
                self.build(other, source, "--cache-from", f"{host}/cache:{tag}")
                other.assert_clean(self)

    def test_an_image_without_its_layers(self):
        source, host = self.source(), self.registry.host
        cache = f"{host}/cache:1"
        self.build(self.slipway, source, "--cache-to", f"type=registry,ref={cache},mode=max")
        second = self.closing(Registry(self.folder / "second"))
        for number, use in enumerate((
                lambda s: (s("tag", "app:1", f"{host}/elsewhere:1"), s("push", f"{host}/elsewhere:1")),
                lambda s: (s("tag", "app:1", f"{second.host}/app:1"), s("push", f"{second.host}/app:1")),
                lambda s: s("save", "-o", self.folder / "app.tar", "app:1"),
                lambda s: s.build(self.context("FROM app:1\nUSER root\nRUN cat /all/a.txt\n", name="from"), "-t", "x"))):
            other = self.other(f"use{number}")
            self.assert_all_cached(self.build(other, source, "--cache-from", cache, "-t", "app:1"))
            use(other)
            other.assert_clean(self)
        self.other("last")("pull", f"{second.host}/app:1")

    def test_a_cache_that_is_not_there_is_a_warning(self):
        source = self.source()
        done = self.build(self.slipway, source, "--cache-from", f"{self.registry.host}/cache:none", "--cache-from",
                          "127.0.0.1:1/x:1")
        self.assertEqual(2, done.err.count("is not used"), done.err)
        self.slipway.assert_clean(self)

    def test_a_cache_that_can_not_be_written(self):
        source = self.source()
        to = "type=registry,ref=127.0.0.1:1/x:1"
        done = self.build(self.slipway, source, "--cache-to", to, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("while writing the cache type=registry,ref=127.0.0.1:1/x:1", done.err)
        done = self.build(self.slipway, source, "--cache-to", to + ",ignore-error=true")
        self.assertIn("WARNING: the cache type=registry,ref=127.0.0.1:1/x:1 is not written", done.err)

    def test_a_layer_that_the_registry_lost(self):
        source = self.source()
        self.build(self.slipway, source, "--cache-to", f"type=registry,ref={self.registry.host}/cache:1,mode=max")
        manifest, _ = self.cache_documents("cache", "1")
        top = min(manifest["layers"], key=lambda layer: layer["size"])["digest"]
        request = urllib.request.Request(f"http://{self.registry.host}/v2/cache/blobs/{top}", method="DELETE")
        urllib.request.urlopen(request).close()
        done = self.build(self.other(), source, "--cache-from", f"{self.registry.host}/cache:1")
        self.assertIn("a cached result is not used", done.err)


class PlacesTest(CacheCase):
    def test_inline(self):
        source = self.source()
        image = f"{self.registry.host}/app:1"
        for way in (["--cache-to", "type=inline"], ["--build-arg", "BUILDKIT_INLINE_CACHE=1"]):
            self.build(self.slipway, source, *way, "-t", image, "--push")
            manifest = json.loads(get(self.registry.host, "app", "1"))
            config = json.loads(get(self.registry.host, "app", manifest["config"]["digest"], "blobs"))
            records = json.loads(base64.b64decode(config["moby.buildkit.cache.v0"]))
            self.assertTrue(any(record.get("layers") for record in records))
            other = self.other(way[1][-8:])
            self.assert_all_cached(self.build(other, source, "--cache-from", image))
        self.build(self.slipway, source, "-t", image, "--push")
        done = self.build(self.other("without"), source, "--cache-from", image)
        self.assertIn("it holds no build cache", done.err)

    def test_directory(self):
        source = self.source()
        place = self.folder / "cache"
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},mode=max")
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},tag=min")
        index = json.loads((place / "index.json").read_text())["manifests"]
        self.assertEqual({"latest", "min"}, {m["annotations"]["org.opencontainers.image.ref.name"] for m in index})
        before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},mode=max")
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in place.rglob("*")}, "nothing was written")
        digest = next(m["digest"] for m in index if m["annotations"]["org.opencontainers.image.ref.name"] == "latest")
        for number, option in enumerate(("", ",tag=min", f",digest={digest}")):
            other = self.other(str(number))
            done = self.build(other, source, "--cache-from", f"type=local,src={place}{option}", "-t", "app:1")
            self.assert_all_cached(done)
        shutil.rmtree(place)  # a directory may go: what the image needs of it is in the store
        archive = self.folder / "app.tar"
        other("save", "-o", archive, "app:1")
        self.assertGreater(archive.stat().st_size, 1 << 20)

    def test_a_broken_directory(self):
        source = self.source()
        place = self.folder / "cache"
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},mode=max")
        manifest = next(json.loads(p.read_text()) for p in (place / "blobs/sha256").iterdir()
                        if p.read_bytes().startswith(b'{"schemaVersion"'))
        for layer in manifest["layers"]:
            blob = place / "blobs/sha256" / layer["digest"].split(":")[1]
            data = blob.read_bytes()
            blob.chmod(0o644)
            blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        done = self.build(self.other(), source, "--cache-from", f"type=local,src={place}")
        self.assertIn("a cached result is not used", done.err)
        self.other().assert_clean(self)


class HostileTest(CacheCase):
    """What the owner of a cache's place can write."""

    def poison(self, change, tag="evil"):
        """The good cache with its config changed, under another tag."""
        manifest, config = self.cache_documents("cache", "good")
        change(manifest, config)
        blob = config if isinstance(config, bytes) else json.dumps(config).encode()
        manifest["config"] = {"mediaType": CONFIG, "size": len(blob), "digest": put_blob(self.registry.host, "cache", blob)}
        put(self.registry.host, "cache", tag, json.dumps(manifest).encode(), MANIFEST)
        return f"{self.registry.host}/cache:{tag}"

    def setUp(self):
        super().setUp()
        self.plain = self.context(f"FROM {self.base}\nRUN echo good >/x\nRUN echo more >/y\n", name="plain")
        self.slipway.build(self.plain, "--cache-to", f"type=registry,ref={self.registry.host}/cache:good,mode=max")

    def swap(self, manifest, config):
        """The result of the last step for all: a step gets what it did not make."""
        def depth(layer):
            parent = config["layers"][layer].get("parent", 0)
            return 0 if parent == -1 else 1 + depth(parent)

        top = max((record["layers"][0]["layer"] for record in config["records"] if "layers" in record), key=depth)
        for record in config["records"]:
            if "layers" in record:
                record["layers"][0]["layer"] = top

    def test_what_was_poisoned_is_forgotten_with_the_cache(self):
        evil = self.evil_tree()
        other = self.other()
        built = other.tree(self.plain, "--cache-from", evil)
        self.assertIn("evil", built, "the user chose to trust it")
        again = self.context(f"FROM {self.base}\nRUN echo good >/x\nRUN echo more >/y\nRUN echo on top >/z\n", name="top")
        self.assertIn("evil", other.tree(again, "--cache-from", evil))
        for source in (self.plain, again):
            self.assertNotIn("evil", other.tree(source), "without the cache nothing of it is left")
        other.assert_clean(self)

    def evil_tree(self):
        """A cache in which the first step's layer holds another file."""
        evil = self.context(f"FROM {self.base}\nRUN echo evil >/evil\nRUN echo more >/y\n", name="evil")
        store = Slipway(self.folder / "evil-store")
        store.build(evil, "--cache-to", f"type=registry,ref={self.registry.host}/cache:theirs,mode=max")
        manifest, theirs = self.cache_documents("cache", "theirs")
        _, good = self.cache_documents("cache", "good")
        by_depth = {}
        for record in theirs["records"]:
            if "layers" in record:
                layer, depth = record["layers"][0]["layer"], 0
                at = layer
                while theirs["layers"][at].get("parent", 0) != -1:
                    at, depth = theirs["layers"][at].get("parent", 0), depth + 1
                by_depth[depth] = layer
        for record in good["records"]:
            if "layers" in record:
                at, depth = record["layers"][0]["layer"], 0
                while good["layers"][at].get("parent", 0) != -1:
                    at, depth = good["layers"][at].get("parent", 0), depth + 1
                record["layers"][0]["layer"] = by_depth[depth]
        good["layers"] = theirs["layers"]
        blob = json.dumps(good).encode()
        manifest["config"] = {"mediaType": CONFIG, "size": len(blob), "digest": put_blob(self.registry.host, "cache", blob)}
        put(self.registry.host, "cache", "evil", json.dumps(manifest).encode(), MANIFEST)
        return f"{self.registry.host}/cache:evil"

    def test_a_cache_that_names_a_layer_that_is_here_and_not_there(self):
        """Somebody else's layer as the result of a step: its digest is no secret."""
        private = self.context(f"FROM {self.base}\nRUN echo of another team >/secret\n", name="private")
        name = f"{self.registry.host}/private:1"
        self.slipway.build(private, "-t", name, "--push")
        hidden = json.loads(get(self.registry.host, "private", "1"))
        secret = hidden["layers"][-1]
        diff = json.loads(get(self.registry.host, "private", hidden["config"]["digest"], "blobs"))["rootfs"]["diff_ids"][-1]
        manifest, config = self.cache_documents("cache", "good")
        thief = self.closing(Upstream())
        # the first step's layer: the one above the base's
        first = next(l["blob"] for l in config["layers"] if config["layers"][l.get("parent", 0)].get("parent", 0) == -1
                     and l.get("parent", 0) != -1)
        for layer in manifest["layers"]:
            if layer["digest"] == first:
                layer.update(digest=secret["digest"], size=secret["size"])
                layer["annotations"]["containerd.io/uncompressed"] = diff
            else:
                thief.blobs[layer["digest"]] = get(self.registry.host, "cache", layer["digest"], "blobs")
        blob = json.dumps(config).replace(first, secret["digest"]).encode()
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        thief.blobs[digest] = blob
        manifest["config"] = {"mediaType": CONFIG, "size": len(blob), "digest": digest}
        body = json.dumps(manifest).encode()
        name_of_it = "sha256:" + hashlib.sha256(body).hexdigest()
        thief.manifests[name_of_it], thief.tags[("cache", "1")] = body, name_of_it
        for with_bytes in (False, True):
            with self.subTest(with_bytes):
                other = self.other(f"other-{with_bytes}")
                other("pull", name)
                if with_bytes:
                    thief.blobs[secret["digest"]] = get(self.registry.host, "private", secret["digest"], "blobs")
                tree = self.folder / f"tree-{with_bytes}"
                done = other.build(self.plain, "--cache-from", f"{thief.host}/cache:1", "-o", f"type=local,dest={tree}")
                self.assertEqual(not with_bytes, "a cached result is not used" in done.err, done.err)
                self.assertEqual(with_bytes, (tree / "secret").exists(), "who has the bytes may say so: it was chosen")
                self.assertEqual(not with_bytes, (tree / "x").exists())
                self.assertEqual(int(with_bytes), thief.count("GET", secret["digest"]))
                other.assert_clean(self)

    def test_what_was_recorded_of_a_cache_needs_the_cache(self):
        """A result that is in the store by now: its cache says so each time, believed as it is now, or it does not count."""
        proxy = self.closing(Counting(self.registry.host))
        source = self.context(f"FROM {self.base}\nRUN echo first >/x\n", name="plain")
        place = f"{proxy.host}/kept:1"
        self.slipway.build(source, "--cache-to", f"type=registry,ref={place},mode=max")
        other = self.other("needs")
        other("pull", self.base)
        way = ["--cache-from", f"type=registry,ref={place}"]
        insecure = ["--cache-from", f"type=registry,ref={place},registry.insecure=true"]
        tree = self.folder / "tree"
        first = other.build(source, *insecure, "-o", f"type=local,dest={tree}")
        self.assert_all_cached(first)
        proxy.forget()
        self.assert_all_cached(other.build(source, *insecure))
        self.assertEqual([("GET", "/v2/kept/manifests/1")], [one for one in proxy.asked if one[1] != "/v2/"], "no blob")
        proxy.close()
        for option in (way, insecure):
            done = other.build(source, *option)
            self.assertNotIn("cached", {how for step, how in steps(done.err).items() if "RUN" in step}, done.err)
            self.assertEqual(1, done.err.count("is not used"), done.err)
            other("gc", "--all")
        other.assert_clean(self)

    def test_what_was_recorded_of_a_directory_needs_the_directory(self):
        source = self.context(f"FROM {self.base}\nRUN echo first >/x\n", name="plain")
        place, aside = self.folder / "cache", self.folder / "aside"
        self.slipway.build(source, "--cache-to", f"type=local,dest={place},mode=max")
        shutil.copytree(place, aside)
        layers = json.loads(next(p.read_bytes() for p in (aside / "blobs/sha256").iterdir()
                                 if p.read_bytes().startswith(b'{"schemaVersion"')))["layers"]
        way = ["--cache-from", f"type=local,src={place}"]

        def empty():
            shutil.rmtree(place)
            place.mkdir()

        def without_layers():
            shutil.rmtree(place)
            shutil.copytree(aside, place)
            for layer in layers:
                (place / "blobs/sha256" / layer["digest"].split(":")[1]).unlink()

        for number, change in enumerate((empty, without_layers)):
            with self.subTest(change.__name__):
                other = self.other(f"needs-{number}")
                shutil.rmtree(place)
                shutil.copytree(aside, place)
                other("pull", self.base)
                other.build(source, *way, "-o", f"type=local,dest={self.folder}/tree-{number}")
                self.assert_all_cached(other.build(source, *way))
                change()
                done = other.build(source, *way)
                self.assertNotIn("cached", {how for step, how in steps(done.err).items() if "RUN" in step}, done.err)
                self.assertIn("is not used", done.err)
                other.assert_clean(self)

    def test_results_of_another_depth_are_not_taken(self):
        first = self.context(f"FROM {self.base}\nRUN echo good >/x\n", name="first")
        done = self.other().build(first, "--cache-from", self.poison(self.swap))
        self.assertEqual("ran", steps(done.err)["RUN echo good >/x"])

    def test_another_base_is_not_taken(self):
        def change(manifest, config):
            for layer in manifest["layers"]:
                layer["annotations"]["containerd.io/uncompressed"] = "sha256:" + "a" * 64
        done = self.other().build(self.plain, "--cache-from", self.poison(change))
        self.assertEqual({"ran"}, {how for step, how in steps(done.err).items() if step.startswith("RUN")})

    def test_a_diff_id_that_lies_is_found_when_the_layer_is_needed(self):
        def change(manifest, config):
            small = min(manifest["layers"], key=lambda layer: layer["size"])
            small["annotations"]["containerd.io/uncompressed"] = "sha256:" + "a" * 64
        cache = self.poison(change)
        other = self.other()
        source = self.context(f"FROM {self.base}\nRUN echo good >/x\nRUN echo more >/y\nRUN cat /x\n", name="longer")
        done = other.build(source, "--cache-from", cache, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("its plain bytes have the digest", done.err)
        other.assert_clean(self)
        self.assertEqual(0, other.build(source).returncode)

    def folder_of(self, repository, tag):
        """What a registry has under a tag as a layout of the same tag."""
        place = self.folder / f"layout-{tag}"
        blobs = place / "blobs/sha256"
        blobs.mkdir(parents=True)
        document = get(self.registry.host, repository, tag)
        manifest = json.loads(document)
        for blob in manifest["layers"] + [manifest["config"]]:
            data = get(self.registry.host, repository, blob["digest"], "blobs")
            (blobs / blob["digest"].split(":")[1]).write_bytes(data)
        digest = hashlib.sha256(document).hexdigest()
        (blobs / digest).write_bytes(document)
        entry = {"mediaType": MANIFEST, "size": len(document), "digest": f"sha256:{digest}",
                 "annotations": {"org.opencontainers.image.ref.name": tag}}
        (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return place

    def test_a_diff_id_does_not_lead_to_the_tree_of_another_image(self):
        other = self.other()
        private = self.context(f"FROM {self.base}\nCOPY key /key\nRUN true\n", {"key": "private"}, name="private")
        other.build(private, "-t", "private")
        diffs = json.loads(other("inspect", "private").out)[0]["RootFS"]["Layers"]

        def change(manifest, config):
            for layer in manifest["layers"]:
                diff = layer["annotations"]["containerd.io/uncompressed"]
                if diff not in diffs:
                    layer["annotations"]["containerd.io/uncompressed"] = diffs[-2]
        cache = self.poison(change)
        source = self.context(f"FROM {self.base}\nRUN echo good >/x\nRUN ls / >/listed; cat /key >>/listed || true\n", name="ask")
        for place in (cache, f"type=local,src={self.folder_of('cache', 'evil')},tag=evil"):
            with self.subTest(place):
                out = self.folder / "out"
                done = other.build(source, "--cache-from", place, "-o", f"type=local,dest={out}", check=False)
                if place == cache:
                    self.assertEqual(1, done.returncode, "its bytes are not what it says")
                    self.assertFalse(out.exists())
                else:  # they are there to be looked at before they are used
                    self.assertIn("a cached result is not used", done.err)
                    self.assertNotIn("private", (out / "listed").read_text())
                    self.assertFalse((out / "key").exists())
        other.assert_clean(self)

    def test_a_diff_id_that_lies_is_in_no_image_that_is_written(self):
        def change(manifest, config):
            small = min(manifest["layers"], key=lambda layer: layer["size"])
            small["annotations"]["containerd.io/uncompressed"] = "sha256:" + "a" * 64
        cache = self.poison(change)
        target = self.closing(Registry(self.folder / "target"))
        name = f"{target.host}/app:1"
        for number, output in enumerate((f"type=oci,dest={self.folder}/out.tar", f"type=docker,dest={self.folder}/out.tar",
                                         f"type=image,name={name},push=true")):
            with self.subTest(output):
                other = self.other(str(number))
                done = other.build(self.plain, "--cache-from", cache, "-o", output, check=False)
                self.assertEqual(1, done.returncode)
                self.assertIn("not what the config says", done.err)
                self.assertFalse((self.folder / "out.tar").exists())
                with self.assertRaises(urllib.error.HTTPError):
                    get(target.host, "app", "1")
        place = self.folder_of("cache", "evil")
        other = self.other("local")
        done = other.build(self.plain, "--cache-from", f"type=local,src={place},tag=evil", "-o",
                           f"type=oci,dest={self.folder}/out.tar")
        self.assertIn("a cached result is not used", done.err)
        other("load", "-i", self.folder / "out.tar")
        saved = self.other("saved")
        saved.build(self.plain, "--cache-from", cache, "-t", "app")
        done = saved("save", "-o", self.folder / "saved.tar", "app", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("not what the config says", done.err)
        self.assertFalse((self.folder / "saved.tar").exists())

    def test_absurd_documents_are_one_warning(self):
        def circle(manifest, config):
            config["records"][0]["inputs"] = [[{"link": 0}]]

        def layer_circle(manifest, config):
            config["layers"][0]["parent"] = 0

        def nowhere(manifest, config):
            config["records"][0]["layers"] = [{"layer": 10 ** 9}]

        def many(manifest, config):
            config["records"] = config["records"] * 60000

        def text(manifest, config):
            config.clear()
            config["records"] = "\x1b[2J"

        for change in (circle, layer_circle, nowhere, many, text):
            with self.subTest(change.__name__):
                cache = self.poison(change)
                done = self.other(change.__name__).build(self.plain, "--cache-from", cache)
                self.assertEqual(1, done.err.count("is not used"), done.err)
                self.assertNotIn("\x1b", done.err)

    def test_a_config_larger_than_said(self):
        manifest, _ = self.cache_documents("cache", "good")
        for size in (9 << 20, 17):
            manifest["config"] = dict(manifest["config"], size=size)
            put(self.registry.host, "cache", "size", json.dumps(manifest).encode(), MANIFEST)
            done = self.other(str(size)).build(self.plain, "--cache-from", f"{self.registry.host}/cache:size")
            self.assertEqual(1, done.err.count("is not used"), done.err)

    def test_no_secret_is_in_a_cache(self):
        source = self.context(f"FROM {self.base}\nRUN --mount=type=secret,id=s,env=S true\n", name="secretive")
        (self.folder / "secret").write_text("hush-hush")
        place = self.folder / "cache"
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},mode=max")
        first = {p.name for p in (place / "blobs/sha256").iterdir()}
        for path in place.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"hush", path.read_bytes())
        (self.folder / "secret").write_text("another")
        self.build(self.slipway, source, "--cache-to", f"type=local,dest={place},mode=max")
        self.assertEqual(first, {p.name for p in (place / "blobs/sha256").iterdir()}, "a secret is in no key")


class Buildkitd:
    """buildkitd as the benchmark builds it from its Go module, kept between runs in SLIPWAY_BUILDKIT when that is set."""

    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs
        self.socket = folder / "bk.sock"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [str(programs / "buildkitd"), "--addr", f"unix://{self.socket}", "--root", str(folder / "state"),
             "--containerd-worker=false", "--oci-worker-snapshotter=overlayfs", "--oci-worker-binary", "runc"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=CLEAN, start_new_session=True)
        until(lambda: self.died() or self.ctl("debug", "workers", check=False).returncode == 0, "buildkitd")

    def died(self):
        if self.process.poll() is not None:
            raise unittest.SkipTest("buildkitd does not start here: " + (self.folder / "log").read_text()[-300:])
        return False

    def ctl(self, *arguments, check=True):
        return run([self.programs / "buildctl", "--addr", f"unix://{self.socket}", *arguments], check=check)

    def build(self, source, secret, *options):
        return self.ctl("build", "--progress", "plain", "--frontend", "dockerfile.v0", "--local", f"context={source}",
                        "--local", f"dockerfile={source}", "--secret", f"id=s,src={secret}", *options)

    def close(self):
        stop(self.process)
        self.log.close()


def buildkit_programs():
    place = os.environ.get("SLIPWAY_BUILDKIT")
    if not place:
        raise unittest.SkipTest("SLIPWAY_BUILDKIT names no folder for buildkitd and buildctl (tests/e2e/README.md)")
    programs = pathlib.Path(place)
    if not (programs / "buildkitd").exists() or not (programs / "buildctl").exists():
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
        from builders import Buildkitd as Bench
        bench = Bench(programs)
        bench.programs = programs
        reason = bench.unable()
        if reason:
            raise unittest.SkipTest(reason)
    return programs


class BuildkitTest(CacheCase):
    @classmethod
    def setUpClass(cls):
        require("runc", root=True)
        cls.programs = buildkit_programs()

    def setUp(self):
        super().setUp()
        self.buildkit = self.closing(Buildkitd(self.folder / "buildkit", self.programs))
        self.secret = self.folder / "secret"

    def ran_there(self, done):
        """Steps that buildkitd ran."""
        text = done.out + done.err
        names, cached = {}, set()
        for line in text.splitlines():
            number, _, rest = line.partition(" ")
            if rest.startswith("[") and not rest.startswith("[internal]"):
                names.setdefault(number, rest)
            # what is fetched was found; whether CACHED is shown beside it depends on when
            if rest == "CACHED" or rest.startswith("extracting sha256:"):
                cached.add(number)
        return sorted(name for number, name in names.items() if number not in cached and "FROM " not in name)

    def test_buildkit_finds_what_slipway_wrote(self):
        source, host = self.source(), self.registry.host
        self.build(self.slipway, source, "--cache-to", f"type=registry,ref={host}/cache:max,mode=max", "--cache-to",
                   f"type=registry,ref={host}/cache:index,mode=max,image-manifest=false", "--cache-to",
                   f"type=local,dest={self.folder}/cache,mode=max", "--cache-to", "type=inline", "-t", f"{host}/app:1",
                   "--push")
        digest = json.loads((self.folder / "cache/index.json").read_text())["manifests"][0]["digest"]
        for cache in (f"type=registry,ref={host}/cache:max", f"type=registry,ref={host}/cache:index",
                      f"type=local,src={self.folder}/cache,digest={digest}", f"type=registry,ref={host}/app:1"):
            with self.subTest(cache):
                self.buildkit.ctl("prune", "--all")
                out = self.folder / "out.tar"
                done = self.buildkit.build(source, self.secret, "--import-cache", cache, "--output",
                                           f"type=tar,dest={out}")
                self.assertEqual([], self.ran_there(done), done.out + done.err)
                self.assertGreater(out.stat().st_size, 1 << 20, "and the layers are whole")

    def test_slipway_finds_what_buildkit_wrote(self):
        source, host = self.source(), self.registry.host
        self.buildkit.build(source, self.secret, "--output", f"type=image,name={host}/app:1,push=true", "--export-cache",
                            f"type=registry,ref={host}/cache:max,mode=max", "--export-cache",
                            f"type=registry,ref={host}/cache:index,mode=max,image-manifest=false", "--export-cache",
                            f"type=local,dest={self.folder}/cache,mode=max", "--export-cache", "type=inline")
        for number, cache in enumerate((f"type=registry,ref={host}/cache:max", f"type=registry,ref={host}/cache:index",
                                        f"type=local,src={self.folder}/cache", f"type=registry,ref={host}/app:1")):
            with self.subTest(cache):
                other = self.other(str(number))
                self.assert_all_cached(self.build(other, source, "--cache-from", cache))
        mine = self.other("mine").tree(source, "--secret", f"id=s,src={self.secret}")
        theirs = other.tree(source, "--secret", f"id=s,src={self.secret}", "--cache-from", cache)
        self.assertEqual(mine, theirs)
        other.assert_clean(self)

    def test_a_change_costs_the_same_steps(self):
        source, host = self.source(), self.registry.host
        cache = f"type=registry,ref={host}/cache:1"
        self.build(self.slipway, source, "--cache-to", cache + ",mode=max")
        (source / "src/g").write_text("changed\n")
        there = self.ran_there(self.buildkit.build(source, self.secret, "--import-cache", cache))
        here = self.ran(self.build(self.other(), source, "--cache-from", cache))
        self.assertLessEqual(set(here), {step.split("] ")[-1] for step in there})
        for kept in ("WORKDIR /work", "COPY a.txt b.txt ./"):
            self.assertNotIn(kept, [step.split("] ")[-1] for step in there])
            self.assertNotIn(kept, here)


if __name__ == "__main__":
    main()
