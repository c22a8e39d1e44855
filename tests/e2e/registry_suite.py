#!/usr/bin/env python3
"""`slipway registry`: Docker, skopeo, crane and Slipway push and pull; passwords, TLS, restarts, kills, a full disk;
a mirror whose upstream is slow, wrong or away."""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import signal
import socket
import sqlite3
import ssl
import threading

from own_registry import OCI_INDEX, OCI_MANIFEST, OwnRegistry, Upstream, basic, go_program
from support import CLEAN, DEADLINE, Case, Dockerd, Slipway, htpasswd, main, make_certificate, require, run, until


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class RegistryCase(Case):
    def registry(self, *options, slipway=None, env=None):
        return self.closing(OwnRegistry(slipway or self.slipway, *options, env=env))

    def elsewhere(self, name="elsewhere"):
        folder = self.folder / name
        folder.mkdir()
        return Slipway(folder)

    def password_file(self, user="alice", password="s3cret", cost=5):
        return htpasswd(self.folder / "auth", user, password, cost)["htpasswd"]["path"]


class ClientsTest(RegistryCase):
    """Other programs as they are."""

    def archive(self):
        self.give_base()
        path = self.folder / "base.tar"
        self.slipway("save", "-o", path, "base")
        return path

    def test_skopeo(self):
        require("skopeo")
        registry = self.registry()
        path = self.archive()
        name = f"docker://{registry.host}/team/app:1"
        for source in (f"docker-archive:{path}", name):
            run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source,
                 name if source != name else f"docker://{registry.host}/other/app:2"])
        seen = json.loads(run(["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/other/app:2"]).out)
        self.assertEqual(["2"], seen["RepoTags"])
        run(["skopeo", "copy", "--src-tls-verify=false", name, f"dir:{self.folder}/out"])
        run(["skopeo", "delete", "--tls-verify=false", name])
        gone = run(["skopeo", "inspect", "--tls-verify=false", name], check=False)
        self.assertNotEqual(0, gone.returncode)
        self.slipway.assert_clean(self)

    def test_crane(self):
        crane = go_program("github.com/google/go-containerregistry/cmd/crane@v0.20.2", "crane")
        registry = self.registry()
        name = f"{registry.host}/crane/app:1"
        run([crane, "push", self.archive(), name])
        run([crane, "copy", name, f"{registry.host}/crane/copy:2"])
        self.assertEqual(run([crane, "digest", name]).out, run([crane, "digest", f"{registry.host}/crane/copy:2"]).out)
        self.assertEqual(["crane/app", "crane/copy"], run([crane, "catalog", registry.host]).out.split())
        self.assertEqual(["1"], run([crane, "ls", f"{registry.host}/crane/app"]).out.split())
        run([crane, "validate", "--remote", name])
        run([crane, "pull", name, self.folder / "pulled.tar"])
        run([crane, "delete", f"{registry.host}/crane/app@{run([crane, 'digest', name]).out.strip()}"])
        self.assertEqual("", run([crane, "ls", f"{registry.host}/crane/app"]).out)

    def test_slipway(self):
        registry = self.registry()
        self.give_base()
        context = self.context("FROM base\nRUN echo made >/made\n")
        name = f"{registry.host}/own/app:1"
        self.slipway.build(context, "-t", name, "--push")
        other = self.elsewhere()
        other("pull", name)
        self.assertEqual(self.slipway.digest(name), other.digest(name))
        self.slipway.assert_clean(self)
        other("pull", name)  # after gc
        other.assert_clean(self)

    def test_docker(self):
        require("/usr/sbin/dockerd", "/usr/bin/docker", "runc", root=True)
        registry = self.registry()
        path = self.archive()
        dockerd = self.closing(Dockerd(self.folder / "docker"))
        name = f"{registry.host}/docker/app:1"
        loaded = dockerd("load", "-i", path).out
        self.assertIn("base", loaded)
        dockerd("tag", "base", name)
        dockerd("push", name)
        dockerd("rmi", "base", name)
        dockerd("pull", name)
        self.assertEqual("hi\n", dockerd("run", "--rm", "--network", "none", name, "/bin/busybox", "echo", "hi").out)
        self.assertIn("Layer already exists", dockerd("push", name).out)

    def test_docker_with_a_password(self):
        require("/usr/sbin/dockerd", "/usr/bin/docker", "runc", root=True)
        registry = self.registry("--htpasswd", self.password_file())
        path = self.archive()
        dockerd = self.closing(Dockerd(self.folder / "docker"))
        env = dict(CLEAN, HOME=str(self.folder), DOCKER_CONFIG=str(self.folder / "docker-config"))
        dockerd("load", "-i", path)
        name = f"{registry.host}/docker/app:1"
        dockerd("tag", "base", name)
        refused = dockerd("push", name, check=False, env=env)
        self.assertNotEqual(0, refused.returncode)
        wrong = dockerd("login", "-u", "alice", "--password-stdin", registry.host, check=False, env=env, input=b"wrong")
        self.assertNotEqual(0, wrong.returncode)
        dockerd("login", "-u", "alice", "--password-stdin", registry.host, env=env, input=b"s3cret")
        dockerd("push", name, env=env)
        dockerd("rmi", name)
        dockerd("pull", name, env=env)
        self.assertIn(" alice PUT ", registry.log.read_text())

    def test_tls_and_a_password(self):
        require("skopeo")
        certificate, key = make_certificate(self.folder / "tls")
        registry = self.registry("--tls-cert", certificate, "--tls-key", key, "--htpasswd", self.password_file())
        self.assertEqual("https", registry.scheme)
        path = self.archive()
        authority = self.folder / "authority"
        authority.mkdir()
        (authority / "ca.crt").write_bytes(certificate.read_bytes())
        name = f"docker://{registry.host}/tls/app:1"
        nobody = run(["skopeo", "copy", "--dest-cert-dir", authority, f"docker-archive:{path}", name], check=False)
        self.assertNotEqual(0, nobody.returncode)
        run(["skopeo", "copy", "--dest-cert-dir", authority, "--dest-creds", "alice:s3cret", f"docker-archive:{path}", name])
        other = self.elsewhere()
        other("login", "-u", "alice", "--password-stdin", registry.host, input=b"s3cret\n",
              env={"SSL_CERT_FILE": str(certificate)})
        other("pull", f"{registry.host}/tls/app:1", env={"SSL_CERT_FILE": str(certificate)})
        other.assert_clean(self)

    def test_a_renewed_certificate_is_taken(self):
        certificate, key = make_certificate(self.folder / "tls")
        registry = self.registry("--tls-cert", certificate, "--tls-key", key)
        fresh, fresh_key = make_certificate(self.folder / "renewed")

        def shown():
            pem = ssl.get_server_certificate(("127.0.0.1", registry.port))
            return "".join(pem.split())

        self.assertEqual("".join(certificate.read_text().split()), shown())
        os.replace(fresh_key, key)
        wanted = "".join(fresh.read_text().split())
        os.replace(fresh, certificate)
        until(lambda: shown() == wanted, "the renewed certificate")


class ProtocolTest(RegistryCase):
    def test_a_blob_is_served_where_it_was_pushed_and_nowhere_else(self):
        registry = self.registry()
        self.give_base()  # a builder's blobs
        built = next((self.slipway.root / "blobs/sha256").iterdir())
        registry.ask("GET", f"/v2/app/blobs/sha256:{built.name}", status=404)
        registry.ask("POST", f"/v2/app/blobs/uploads/?mount=sha256:{built.name}&from=app", status=202)
        registry.ask("POST", f"/v2/app/blobs/uploads/?mount=sha256:{built.name}", status=202)
        digest = registry.push_blob("one", b"bytes")
        registry.ask("GET", f"/v2/two/blobs/{digest}", status=404)
        registry.ask("POST", f"/v2/two/blobs/uploads/?mount={digest}&from=three", status=202)
        registry.ask("POST", f"/v2/two/blobs/uploads/?mount={digest}&from=one", status=201)
        self.assertEqual(b"bytes", registry.ask("GET", f"/v2/two/blobs/{digest}", status=200)[2])

    def test_manifests_need_their_blobs(self):
        registry = self.registry()
        missing = sha(b"missing")
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
                    "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": missing, "size": 2}}
        _, _, body = registry.ask("PUT", "/v2/app/manifests/1", json.dumps(document), {"Content-Type": OCI_MANIFEST}, 400)
        self.assertEqual([("MANIFEST_BLOB_UNKNOWN", missing)],
                         [(e["code"], e["detail"]["digest"]) for e in json.loads(body)["errors"]])
        for bad in (b"", b"{}", b"not json", b'{"schemaVersion":2}', b"[" * 100_000,
                    json.dumps(dict(document, manifests=[])).encode()):
            registry.ask("PUT", "/v2/app/manifests/1", bad, {"Content-Type": OCI_MANIFEST}, 400)
        registry.ask("PUT", "/v2/app/manifests/1", b" " * (8 << 20) + b"{}", {"Content-Type": OCI_MANIFEST}, 413)

    def test_an_index_of_thousands_that_are_missing_is_answered_shortly(self):
        registry = self.registry()
        entries = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{number % 5000:064x}", "size": 1} for number in range(10_000)]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        _, _, body = registry.ask("PUT", "/v2/app/manifests/1", json.dumps(document), {"Content-Type": OCI_INDEX}, 400)
        errors = json.loads(body)["errors"]
        self.assertEqual([entry["digest"] for entry in entries[:100]], [error["detail"]["digest"] for error in errors])
        self.assertIn("and 4999 more that the manifest names", errors[0]["message"])

    def test_a_manifest_of_more_than_four_megabytes(self):
        registry = self.registry()
        config = registry.push_blob("app", b"{}")
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": {"x": "y" * (5 << 20)},
                           "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}}).encode()
        registry.ask("PUT", "/v2/app/manifests/1", body, {"Content-Type": OCI_MANIFEST}, 201)
        self.assertEqual(body, registry.ask("GET", "/v2/app/manifests/1", status=200)[2])

    def test_descriptors_that_lie_about_sizes(self):
        registry = self.registry()
        config, layer = registry.push_blob("app", b"{}"), registry.push_blob("app", b"layer")
        manifest, body = registry.push_image("app", "1")
        kind = "application/vnd.oci.image.layer.v1.tar"

        def image(config_size, layer_size):
            return OCI_MANIFEST, {"config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": config_size},
                                  "layers": [{"mediaType": kind, "digest": layer, "size": layer_size}]}

        def index(size):
            return OCI_INDEX, {"manifests": [{"mediaType": OCI_MANIFEST, "digest": manifest, "size": size}]}

        for (media_type, document), status in ((image(2, 5), 201), (image(3, 5), 400), (image(2, 4), 400),
                                               (index(len(body)), 201), (index(len(body) + 1), 400)):
            document = dict(document, schemaVersion=2, mediaType=media_type)
            _, _, answer = registry.ask("PUT", "/v2/app/manifests/2", json.dumps(document), {"Content-Type": media_type}, status)
            if status == 400:
                self.assertEqual("MANIFEST_INVALID", json.loads(answer)["errors"][0]["code"])

    def test_referrers_with_large_annotations_come_in_pages(self):
        registry = self.registry()
        subject, body = registry.push_image("app", "1")
        config = registry.push_blob("app", b"{}")
        pushed = set()
        for number in range(9):
            document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": {"x": str(number) * (1 << 20)},
                        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": len(body)},
                        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}}
            document = json.dumps(document).encode()
            registry.ask("PUT", f"/v2/app/manifests/{sha(document)}", document, {"Content-Type": OCI_MANIFEST}, 201)
            pushed.add(sha(document))
        seen, pages, target = [], 0, f"/v2/app/referrers/{subject}"
        while target:
            _, headers, page = registry.ask("GET", target, status=200)
            self.assertLess(len(page), 5 << 20)
            seen += [entry["digest"] for entry in json.loads(page)["manifests"]]
            pages += 1
            link = headers["Link"]
            target = link[link.index("<") + 1:link.index(">")] if link else None
        self.assertEqual((9, pushed, 3), (len(seen), set(seen), pages))

    def test_more_bytes_than_a_piece_announced_end_the_upload(self):
        registry = self.registry()
        for method, query in (("PATCH", ""), ("PUT", f"?digest={sha(b'0123456789')}")):
            _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
            where = headers["Location"]
            with socket.create_connection(("127.0.0.1", registry.port)) as peer:
                peer.sendall(f"{method} {where}{query} HTTP/1.1\r\nHost: x\r\nContent-Range: 0-9\r\nTransfer-Encoding: chunked\r\n"
                             "Connection: close\r\n\r\ne\r\n0123456789abcd\r\n0\r\n\r\n".encode())
                answer = b""
                while piece := peer.recv(4096):
                    answer += piece
            self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer)
            registry.ask("GET", where, status=404)
        self.slipway.assert_clean(self)

    def test_a_piece_that_ends_where_no_file_can_is_no_range(self):
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        registry.ask("PATCH", headers["Location"], b"x", {"Content-Range": f"0-{2 ** 63 - 1}"}, 416)
        registry.ask("GET", headers["Location"], status=204)

    def test_names_that_are_none(self):
        registry = self.registry()
        for target in ("/v2/App/manifests/1", "/v2/../../etc/passwd", "/v2/%2e%2e/%2e%2e/etc/manifests/passwd",
                       "/v2/a/../b/manifests/1", "/v2/a/blobs/sha256:../../meta.db", "/v2/a/blobs/uploads/..%2f..%2fmeta.db",
                       "/v2/a/manifests/%0a", "/v2/a/referrers/x", "/v2//blobs/x", "/"):
            status, _, _ = registry.ask("GET", target)
            self.assertIn(status, (400, 404), target)
        self.assertNotIn("\x0a\x0a", registry.log.read_text())

    def test_an_upload_goes_on_after_a_restart_and_after_a_kill(self):
        data = os.urandom(3 << 20)
        third = len(data) // 3
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        for number, end in enumerate((OwnRegistry.close, OwnRegistry.kill)):
            first, last = number * third, (number + 1) * third - 1
            registry.ask("PATCH", location, data[first:last + 1], {"Content-Range": f"{first}-{last}"}, 202)
            end(registry)
            registry = self.registry()
            _, headers, _ = registry.ask("GET", location, status=204)
            self.assertEqual(f"0-{last}", headers["Range"])
        registry.ask("PATCH", location, b"x", {"Content-Range": "7-7"}, 416)
        registry.ask("PUT", f"{location}?digest={sha(data)}", data[2 * third:], status=201)
        self.assertEqual(data, registry.ask("GET", f"/v2/app/blobs/{sha(data)}", status=200)[2])
        registry.ask("GET", location, status=404)
        self.slipway.assert_clean(self)

    def test_a_kill_in_the_middle_of_uploads_leaves_a_clean_store(self):
        for number in range(8):
            registry = self.registry()
            blobs = [os.urandom((1 << 20) + number) for _ in range(6)]
            done = []

            def push(data):
                try:
                    done.append(registry.push_blob("app", data))
                except (OSError, AssertionError, http.client.HTTPException):
                    pass

            threads = [threading.Thread(target=push, args=(data,)) for data in blobs]
            for thread in threads:
                thread.start()
            until(lambda: len(done) >= number % 4 or not any(t.is_alive() for t in threads), "some pushes")
            registry.kill()
            for thread in threads:
                thread.join()
            self.assertEqual(0, self.slipway("fsck", check=False).returncode)
            registry = self.registry()
            for digest in done:  # what was answered for is there
                _, _, data = registry.ask("GET", f"/v2/app/blobs/{digest}", status=200)
                self.assertEqual(digest, sha(data))
            registry.close()
        self.slipway.assert_clean(self)

    def test_a_client_that_breaks_off_keeps_its_session(self):
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        with socket.create_connection(("127.0.0.1", registry.port)) as peer:
            peer.sendall(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + b"a" * 400)
        until(lambda: registry.ask("GET", location)[1]["Range"] == "0-399", "the bytes that came")
        registry.ask("PUT", f"{location}?digest={sha(b'a' * 400 + b'b')}", b"b", status=201)

    def test_a_full_store_says_so(self):
        registry = self.registry(env={"SLIPWAY_MAX_SIZE": "4MiB"})
        digest = registry.push_blob("app", b"fits")
        data = os.urandom(6 << 20)
        status, _, body = registry.ask("POST", f"/v2/app/blobs/uploads/?digest={sha(data)}", data)
        self.assertEqual(507, status, body)
        self.assertIn("full", json.loads(body)["errors"][0]["message"])
        self.assertEqual(b"fits", registry.ask("GET", f"/v2/app/blobs/{digest}", status=200)[2])
        registry.push_blob("app", b"fits too")
        # In pieces: the session goes with what did not fit, which would keep everybody else out.
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        registry.ask("PATCH", location, data[:2 << 20], {"Content-Range": f"0-{(2 << 20) - 1}"}, 202)
        registry.ask("PUT", f"{location}?digest={sha(data)}", data[2 << 20:], status=507)
        registry.ask("GET", location, status=404)
        registry.push_blob("app", os.urandom(3 << 20))
        self.slipway.assert_clean(self)

    def test_what_a_push_left_behind_is_seen_and_freed(self):
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        registry.ask("PATCH", location, os.urandom(3 << 20), {"Content-Range": f"0-{(3 << 20) - 1}"}, 202)
        size = lambda: self.slipway("df", "--format", "{{.Type}} {{.Size}}").out.split("\n")
        self.assertIn("Repositories 3.15MB", size())
        self.assertIn("Reclaimed space: 0B".lower(), self.slipway("gc", "--all").out.lower())  # it may still go on
        registry.close()
        (file,) = (self.slipway.root / "uploads").iterdir()
        with contextlib.closing(sqlite3.connect(self.slipway.root / "meta.db")) as db, db:
            db.execute("UPDATE uploads SET touched = touched - 61")
        os.utime(file, (file.stat().st_mtime - 61,) * 2)
        self.slipway("gc")
        self.assertTrue(file.exists())
        self.assertIn("3.1", self.slipway("gc", "--all").out)
        self.assertFalse(file.exists())
        self.assertIn("Repositories 0B", size())

    def test_an_index_of_blobs_as_build_caches_are(self):
        registry = self.registry()
        layer, config = b"layer", b"{}"
        entries = [{"mediaType": kind, "digest": sha(data), "size": len(data)} for kind, data in (
            ("application/vnd.oci.image.layer.v1.tar+gzip", layer), ("application/vnd.buildkit.cacheconfig.v0", config))]
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        push = lambda: registry.ask("PUT", "/v2/app/manifests/cache", index, {"Content-Type": OCI_INDEX})
        registry.push_blob("app", layer)
        status, _, body = push()
        self.assertEqual(400, status)
        self.assertIn(f"does not have {sha(config)}", json.loads(body)["errors"][0]["message"])
        registry.push_blob("app", config)
        self.assertEqual(201, push()[0])
        with contextlib.closing(sqlite3.connect(self.slipway.root / "meta.db")) as db, db:
            db.execute("UPDATE repository_links SET linked = 1")
        self.slipway("gc", "--all")
        for data in (layer, config):
            self.assertEqual(data, registry.ask("GET", f"/v2/app/blobs/{sha(data)}", status=200)[2])
        self.slipway.assert_clean(self)

    def test_an_empty_tag_is_not_the_whole_repository(self):
        registry = self.registry()
        registry.push_image("team/app", "1", (b"layer",))
        for name in ("team/app:", "team/app@", "team/app:1@"):
            done = self.slipway("registry", "rm", name, check=False)
            self.assertNotEqual(0, done.returncode)
            self.assertIn("names no tag and no digest", done.err)
        registry.ask("GET", "/v2/team/app/manifests/1", status=200)

    def test_an_upload_that_a_kill_took_on_its_way_to_a_blob_is_over(self):
        for method, query, status in (("GET", "", 404), ("PUT", "?digest=" + sha(b"acknowledged"), 404), ("DELETE", "", 204)):
            registry = self.registry()
            _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
            location = headers["Location"]
            registry.ask("PATCH", location, b"acknowledged", status=202)
            registry.kill()
            (file,) = (self.slipway.root / "uploads").iterdir()
            file.rename(self.folder / "on-its-way")  # as between the rename and the row
            registry = self.registry()
            registry.ask(method, location + query, b"" if query else None, status=status)
            for again in ("GET", "DELETE"):
                registry.ask(again, location, status=404)
            self.assertFalse(file.exists())
            registry.close()
        self.slipway.assert_clean(self)

    def test_an_upload_can_be_given_up_while_another_request_writes_it(self):
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        with socket.create_connection(("127.0.0.1", registry.port), timeout=DEADLINE) as writer:
            writer.sendall(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345".encode())
            until(lambda: [f.stat().st_size for f in (self.slipway.root / "uploads").iterdir()] == [5], "the first bytes")
            registry.ask("DELETE", location, status=204)
            writer.sendall(b"67890")
            self.assertEqual(b"HTTP/1.1 ", writer.recv(9))
        for method in ("GET", "PATCH", "DELETE"):
            registry.ask(method, location, b"x" if method == "PATCH" else None, status=404)
        self.assertEqual([], list((self.slipway.root / "uploads").iterdir()))
        self.slipway.assert_clean(self)

    def test_guessers_do_not_stop_who_is_known(self):
        registry = self.registry("--htpasswd", self.password_file(cost=11))  # a guess takes far longer than to send them all
        known = basic("alice", "s3cret")
        registry.ask("GET", "/v2/", headers=known, status=200)
        with contextlib.ExitStack() as peers:
            guessers = [peers.enter_context(socket.create_connection(("127.0.0.1", registry.port), timeout=DEADLINE))
                        for _ in range(100)]
            for number, guesser in enumerate(guessers):
                secret = basic("alice", f"guess{number}")["Authorization"]
                guesser.sendall(f"GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n".encode())
            for _ in range(20):
                registry.ask("GET", "/v2/", headers=known, status=200)
            self.assertEqual({b"HTTP/1.1 401", b"HTTP/1.1 503"}, {guesser.recv(12) for guesser in guessers})

    def guess(self, registry, peers, user):
        """A hundred guesses at once, of five addresses; gives who made them when some have been refused for want of a place."""
        guessers = []
        for number in range(100):
            guesser = peers.enter_context(socket.create_connection(("127.0.0.1", registry.port), timeout=DEADLINE,
                                                                   source_address=(f"127.0.0.{10 + number % 5}", 0)))
            secret = basic(user.format(number), f"guess{number}")["Authorization"]
            guesser.sendall(f"GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n".encode())
            guessers.append(guesser)
        until(lambda: len(select.select(guessers, [], [], 0)[0]) >= 60, "refusals")
        return guessers

    def test_guessers_of_several_addresses_do_not_lock_out_who_is_new(self):
        registry = self.registry("--htpasswd", self.password_file(cost=12))
        with contextlib.ExitStack() as peers:
            guessers = self.guess(registry, peers, "mallory{}")
            registry.ask("GET", "/v2/", headers=basic("alice", "s3cret"), status=200)
            self.assertEqual({b"HTTP/1.1 401", b"HTTP/1.1 503"}, {guesser.recv(12) for guesser in guessers})

    def test_who_is_known_stays_so_when_others_are_added_to_the_file(self):
        users = self.password_file(cost=12)
        registry = self.registry("--htpasswd", users)
        alice, bob = basic("alice", "s3cret"), basic("bob", "s3cret")
        registry.ask("GET", "/v2/", headers=alice, status=200)
        other = htpasswd(self.folder / "other", "bob", "s3cret", 12)["htpasswd"]["path"]
        with open(users, "a") as file:
            file.write("\n" + pathlib.Path(other).read_text())
        until(lambda: registry.ask("GET", "/v2/", headers=bob)[0] == 200, "the new user")
        with contextlib.ExitStack() as peers:
            guessers = self.guess(registry, peers, "alice")  # those that are kept for her are taken as well
            for _ in range(20):
                registry.ask("GET", "/v2/", headers=alice, status=200)
            self.assertEqual({b"HTTP/1.1 401", b"HTTP/1.1 503"}, {guesser.recv(12) for guesser in guessers})

    def test_slow_peers_with_large_manifests_do_not_fill_the_memory(self):
        registry = self.registry()
        config = registry.push_blob("app", b"{}")
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": {"x": "x" * (7 << 20)},
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}}
        body = json.dumps(document).encode()
        registry.ask("PUT", "/v2/app/manifests/1", body, {"Content-Type": OCI_MANIFEST}, 201)
        head = f"PUT /v2/app/manifests/2 HTTP/1.1\r\nHost: x\r\nContent-Type: {OCI_MANIFEST}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.ExitStack() as peers:
            refused = 0
            for number in range(60):
                peer = peers.enter_context(socket.create_connection(("127.0.0.1", registry.port), timeout=DEADLINE))
                if number % 2:
                    peer.sendall(b"GET /v2/app/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n")
                    refused += peer.recv(12) == b"HTTP/1.1 503"
                else:
                    peer.sendall(head.encode())
                    with contextlib.suppress(ConnectionError):
                        peer.sendall(body[:-1])  # and the last byte never comes
            self.assertGreater(refused, 10)
            registry.push_image("small", "1", (b"layer",))
            registry.ask("GET", "/v2/small/manifests/1", status=200)
            status = pathlib.Path(f"/proc/{registry.process.pid}/status").read_text()
            self.assertLess(int(re.search(r"VmHWM:\s+(\d+)", status)[1]), 256 * 1024)

    def test_a_mirror_of_itself_does_not_start(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        done = self.slipway("registry", "--listen", f"127.0.0.1:{port}", "--mirror-of", f"http://127.0.0.1:{port}", check=False)
        self.assertEqual(2, done.returncode, done.err)
        self.assertIn("is this registry itself", done.err)

    def test_every_write_that_fails_is_told_and_leaves_a_clean_store(self):
        faults = pathlib.Path(os.environ["SLIPWAY"]).resolve().parent / "tests/support/libslipway_faults.so"
        if not faults.exists():
            self.skipTest(f"{faults} was not built")
        told = 0
        for nth in range(1, 200, 3):
            registry = self.registry()  # makes the store, and is the one that is asked afterwards
            registry.close()
            count = self.folder / "count"
            broken = self.registry(env={"LD_PRELOAD": str(faults), "SLIPWAY_FAULT_NTH": str(nth), "SLIPWAY_FAULT_ERRNO": "ENOSPC",
                                        "SLIPWAY_FAULT_COUNT_FILE": str(count)})
            layer = f"layer {nth}".encode()
            try:
                broken.push_image("app", f"t{nth}", (layer,))
            except AssertionError as failure:
                self.assertRegex(str(failure), r": (500|503|507), not 201")
                told += 1
            broken.close()
            self.assertEqual(0, self.slipway("fsck", check=False).returncode, f"call {nth}")
            registry = self.registry()
            registry.push_image("app", f"t{nth}", (layer,))  # the same push works now
            registry.ask("GET", f"/v2/app/blobs/{sha(layer)}", status=200)
            registry.close()
            if count.exists() and int(count.read_text()) < nth:
                break
        self.assertGreater(told, 3)
        self.slipway.assert_clean(self)

    def test_gc_keeps_what_was_pushed(self):
        registry = self.registry()
        digest, _ = registry.push_image("app", "1", (b"one", b"two"))
        registry.ask("DELETE", "/v2/app/manifests/1", status=202)  # the tag; the manifest stays
        unnamed = registry.push_blob("app", b"on its way")
        self.slipway("gc", "--all")
        for path in (f"manifests/{digest}", f"blobs/{sha(b'one')}", f"blobs/{sha(b'two')}", f"blobs/{unnamed}"):
            registry.ask("GET", f"/v2/app/{path}", status=200)
        registry.ask("DELETE", f"/v2/app/manifests/{digest}", status=202)
        registry.ask("GET", f"/v2/app/manifests/{digest}", status=404)
        self.slipway.assert_clean(self)

    def test_gc_keeps_what_was_found_a_moment_ago(self):
        registry = self.registry()
        found, forgotten = registry.push_blob("app", b"found"), registry.push_blob("app", b"forgotten")
        with sqlite3.connect(self.slipway.root / "meta.db") as database:
            database.execute("UPDATE repository_links SET linked = 1000000000")
        database.close()
        registry.ask("HEAD", f"/v2/app/blobs/{found}", status=200)
        self.slipway("gc", "--all")
        registry.ask("GET", f"/v2/app/blobs/{found}", status=200)
        registry.ask("GET", f"/v2/app/blobs/{forgotten}", status=404)

    def test_an_upload_goes_on_at_another_process(self):
        one, other = self.registry(), self.registry()
        pieces = [os.urandom(300_000) for _ in range(6)]
        _, headers, _ = one.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location, size = headers["Location"], 0
        for index, piece in enumerate(pieces):
            there = (one, other)[index % 2]
            at = there.ask("GET", location, status=204)[1]["Range"]
            self.assertEqual(f"0-{max(size, 1) - 1}", at)
            _, headers, _ = there.ask("PATCH", location, piece, {"Content-Range": f"{size}-{size + len(piece) - 1}"}, 202)
            size += len(piece)
            self.assertEqual(f"0-{size - 1}", headers["Range"])
        data = b"".join(pieces)
        one.ask("PUT", f"{location}?digest={sha(data)}", status=201)
        other.ask("GET", location, status=404)
        other.ask("PATCH", location, b"more", status=404)
        self.assertEqual(data, other.ask("GET", f"/v2/app/blobs/{sha(data)}", status=200)[2])
        self.slipway.assert_clean(self)

    def test_a_piece_that_still_comes_at_another_process_is_waited_for(self):
        one, other = self.registry(), self.registry()
        _, headers, _ = one.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        with socket.create_connection(("127.0.0.1", one.port)) as peer:
            peer.sendall(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + b"a" * 400)
            upload = self.slipway.root / "uploads" / location.rpartition("/")[2]
            until(lambda: upload.stat().st_size == 400, "the first bytes")
            asked = []
            waiting = threading.Thread(target=lambda: asked.append(other.ask("PATCH", location, b"b" * 10, status=202)[1]["Range"]))
            waiting.start()
            peer.sendall(b"a" * 600)
            waiting.join()
        self.assertEqual(["0-1009"], asked)
        other.ask("PUT", f"{location}?digest={sha(b'a' * 1000 + b'b' * 10)}", status=201)

    def listed(self, *arguments):
        return [json.loads(line) for line in self.slipway("registry", "ls", "--format", "json", *arguments).stdout.splitlines()]

    def test_ls_and_rm_beside_the_server(self):
        registry = self.registry()
        shared, single = os.urandom(50_000), os.urandom(100_000)
        first, _ = registry.push_image("team/app", "1.0", (shared, single))
        registry.push_image("team/app", "1.1", (shared,))
        registry.push_image("other", "latest", (b"x",))
        _, headers, _ = registry.ask("POST", "/v2/other/blobs/uploads/", status=202)
        upload = headers["Location"]
        registry.ask("PATCH", upload, b"half", status=202)
        self.assertEqual([("other", "pushed", 1), ("team/app", "pushed", 2)],
                         [(one["Repository"], one["Kind"], one["Tags"]) for one in self.listed()])
        rows = self.listed("team/app")
        self.assertEqual([("1.0", first), "1.1"], [(rows[0]["Tag"], rows[0]["Digest"]), rows[1]["Tag"]])
        self.assertGreater(rows[0]["Bytes"], 150_000)
        self.assertRegex(self.slipway("registry", "ls").stdout.decode(), r"(?m)^team/app +pushed +2 +2 +1[56]\d(\.\d+)?kB +.* ago$")
        self.assertRegex(self.slipway("registry", "ls", "team/app", "--format", "text").stdout.decode(), rf"(?m)^1\.0 +{first} +image +pushed ")

        wrong = self.slipway("registry", "rm", "team/ap", "team/app:1.2", "app", check=False)
        self.assertEqual(1, wrong.returncode)
        for part in ('no repository "team/ap"; did you mean team/app?', 'team/app has no tag "1.2"; did you mean 1.', 'no repository "app"; did you mean team/app?'):
            self.assertIn(part, wrong.stderr.decode())
        gone = self.slipway("registry", "rm", "team/app:1.0").stdout.decode()
        self.assertIn(f"Untagged: team/app:1.0\nDeleted: team/app@{first}\n'slipway gc' frees 10", gone)
        registry.ask("GET", "/v2/team/app/manifests/1.0", status=404)
        registry.ask("GET", f"/v2/team/app/blobs/{sha(single)}", status=404)
        registry.ask("GET", f"/v2/team/app/blobs/{sha(shared)}", status=200)
        self.assertIn(b"reclaimed space: 10", self.slipway("gc").stdout)

        self.assertIn(b"Deleted: other\n", self.slipway("registry", "rm", "other").stdout)
        registry.ask("GET", "/v2/other/tags/list", status=404)
        self.assertEqual(["team/app"], json.loads(registry.ask("GET", "/v2/_catalog", status=200)[2])["repositories"])
        for method, target in (("GET", upload), ("PATCH", upload), ("PUT", f"{upload}?digest={sha(b'half')}")):
            _, _, body = registry.ask(method, target, b"", status=404)
        self.assertEqual("BLOB_UPLOAD_UNKNOWN", json.loads(body)["errors"][0]["code"])
        registry.push_image("other", "latest", (b"x",))
        self.slipway("registry", "rm", "other:latest", f"team/app@{rows[1]['Digest']}")
        self.assertEqual([], self.listed())
        self.slipway("gc")
        self.assertEqual([], list((self.slipway.root / "blobs/sha256").iterdir()))
        self.slipway.assert_clean(self)

    def test_rm_while_the_last_piece_comes(self):
        registry = self.registry()
        _, headers, _ = registry.ask("POST", "/v2/app/blobs/uploads/", status=202)
        location = headers["Location"]
        with socket.create_connection(("127.0.0.1", registry.port)) as peer:
            peer.sendall(f"PUT {location}?digest={sha(b'a' * 1000)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + b"a" * 400)
            upload = self.slipway.root / "uploads" / location.rpartition("/")[2]
            until(lambda: upload.stat().st_size == 400, "the first bytes")
            self.slipway("registry", "rm", "app")
            peer.sendall(b"a" * 600)
            answer = peer.recv(4096)
        self.assertIn(b"HTTP/1.1 404 ", answer)
        self.assertEqual([], self.listed())
        self.slipway.assert_clean(self)

    def test_each_end_is_told_of_the_other_protocol(self):
        registry = self.registry()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", registry.port)) as peer:
            with self.assertRaises(ssl.SSLError):
                context.wrap_socket(peer)
        until(lambda: "a TLS handshake came, and this port speaks plain HTTP" in registry.log.read_text(), "the line in the log")
        certificate, key = make_certificate(self.folder)
        registry = self.registry("--tls-cert", str(certificate), "--tls-key", str(key))
        status, _, body = registry.ask("GET", "/v2/")
        self.assertEqual((400, b"this port speaks TLS; use https://\n"), (status, body))
        told = self.slipway("pull", "--registry-mirror", f"registry.invalid=http://{registry.host}", "registry.invalid/app:1", check=False).stderr.decode()
        self.assertIn("this port speaks TLS; use https://", told)

    def test_read_only(self):
        writable = self.registry()
        digest, _ = writable.push_image("app", "1")
        registry = self.registry("--read-only")
        registry.ask("GET", "/v2/app/manifests/1", status=200)
        for method, target in (("POST", "/v2/app/blobs/uploads/"), ("PUT", "/v2/app/manifests/2"),
                               ("DELETE", f"/v2/app/manifests/{digest}"), ("DELETE", f"/v2/app/blobs/{sha(b'layer')}")):
            _, _, body = registry.ask(method, target, b"{}" if method == "PUT" else None, status=405)
            self.assertEqual("UNSUPPORTED", json.loads(body)["errors"][0]["code"])

    def test_passwords(self):
        registry = self.registry("--htpasswd", self.password_file())
        status, headers, body = registry.ask("GET", "/v2/")
        self.assertEqual((401, "UNAUTHORIZED"), (status, json.loads(body)["errors"][0]["code"]))
        self.assertTrue(headers["WWW-Authenticate"].startswith("Basic realm="))
        for who in (basic("alice", "wrong"), basic("bob", "s3cret"), {"Authorization": "Basic !!!"}, {"Authorization": "Bearer x"}):
            registry.ask("GET", "/v2/nothing/tags/list", headers=who, status=401)
        registry.ask("GET", "/v2/", headers=basic("alice", "s3cret"), status=200)
        self.assertNotIn("s3cret", registry.log.read_text())
        self.password_file("bob", "other")
        until(lambda: registry.ask("GET", "/v2/", headers=basic("bob", "other"))[0] == 200, "the new password file")
        registry.ask("GET", "/v2/", headers=basic("alice", "s3cret"), status=401)

    def test_a_thousand_idle_and_slow_peers_do_not_stop_others(self):
        registry = self.registry()
        registry.push_image("app", "1")
        peers = []
        self.addCleanup(lambda: [peer.close() for peer in peers])
        for number in range(1000):
            try:
                peer = socket.create_connection(("127.0.0.1", registry.port))
            except OSError:
                break  # out of this process's descriptors
            if number % 2:
                peer.sendall(b"GET /v2/ HTTP/1.1\r\nHo")
            peers.append(peer)
        self.assertGreater(len(peers), 500)
        for _ in range(20):
            registry.ask("GET", "/v2/app/manifests/1", status=200)

    def test_sigterm_lets_a_push_end(self):
        registry = self.registry()
        data = b"x" * 1000
        with socket.create_connection(("127.0.0.1", registry.port)) as peer:
            peer.sendall(f"POST /v2/app/blobs/uploads/?digest={sha(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
                         f"Expect: 100-continue\r\n\r\n".encode())
            self.assertIn(b"100 Continue", peer.recv(1000))
            peer.sendall(data[:500])
            registry.process.send_signal(signal.SIGTERM)

            def refused():
                try:
                    socket.create_connection(("127.0.0.1", registry.port)).close()
                except OSError:
                    return True
                return False

            until(refused, "the listener to go")
            peer.sendall(data[500:])
            answer = b""
            while piece := peer.recv(4096):
                answer += piece
        self.assertIn(b" 201 Created", answer)
        self.assertEqual(0, registry.process.wait(DEADLINE))
        self.slipway.assert_clean(self)

    def test_where_it_does_not_listen(self):
        for address in ("0.0.0.0:0", ":0", "[::]:0"):
            done = self.slipway("registry", "--listen", address, check=False)
            self.assertEqual(2, done.returncode, done.err)
            self.assertIn("--htpasswd", done.err)
        for options in (("--tls-cert", "x"), ("--offline",), ("--listen", "nonsense"), ("--mirror-of", "ftp://x"),
                        ("--mirror-of", "https://host/path")):
            done = self.slipway("registry", *options, check=False)
            self.assertEqual(2, done.returncode, f"{options} {done.err}")
        busy = self.registry()
        done = self.slipway("registry", "--listen", busy.host, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("cannot listen on", done.err)

    def test_tags_in_pages(self):
        registry = self.registry()
        for tag in ("b", "a", "C", "d"):
            registry.push_image("app", tag)
        seen, target = [], "/v2/app/tags/list?n=3"
        while target:
            _, headers, body = registry.ask("GET", target, status=200)
            seen.append(json.loads(body)["tags"])
            link = headers["Link"]
            target = link[link.index("<") + 1:link.index(">")] if link else None
        self.assertEqual([["C", "a", "b"], ["d"]], seen)
        _, headers, body = registry.ask("GET", "/v2/app/tags/list?n=0", status=200)
        self.assertEqual(([], None), (json.loads(body)["tags"], headers["Link"]))

    def test_ranges(self):
        registry = self.registry()
        data = os.urandom(100_000)
        digest = registry.push_blob("app", data)
        for asked, first, last in (("bytes=0-9", 0, 9), ("bytes=-10", 99_990, 99_999), ("bytes=500-", 500, 99_999)):
            _, headers, body = registry.ask("GET", f"/v2/app/blobs/{digest}", headers={"Range": asked}, status=206)
            self.assertEqual((f"bytes {first}-{last}/100000", data[first:last + 1]), (headers["Content-Range"], body))
        registry.ask("GET", f"/v2/app/blobs/{digest}", headers={"Range": "bytes=100000-"}, status=416)
        registry.ask("GET", f"/v2/app/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'}, status=304)


class Relay:
    """Another name of a registry: passes on what it is asked, and keeps the Via headers of questions for images."""

    def __init__(self):
        self.via, self.target, outer = [], 0, self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def relay(self):
                if self.path != "/v2/":
                    outer.via.append(self.headers["Via"])
                there = http.client.HTTPConnection("127.0.0.1", outer.target, timeout=DEADLINE)
                there.request(self.command, self.path, headers=dict(self.headers))
                answer = there.getresponse()
                data = answer.read()
                there.close()
                self.send_response(answer.status, answer.reason)
                for key, value in answer.getheaders():
                    if key.lower() not in ("connection", "date", "server"):
                        self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = relay
            log_message = lambda *a: None

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class MirrorTest(RegistryCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.closing(Upstream())
        self.layer = os.urandom(2 << 20)
        self.digest, (self.blob,) = self.upstream.add_image("team/app", "1", [self.layer])

    def mirror(self, *options, **keys):
        return self.registry("--mirror-of", f"http://{self.upstream.host}", *options, **keys)

    def test_everything_is_fetched_once(self):
        mirror = self.mirror()
        for _ in range(3):
            _, headers, _ = mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
            self.assertEqual((self.digest, None), (headers["Docker-Content-Digest"], headers["Warning"]))
            self.assertEqual(self.layer, mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)[2])
        mirror.ask("GET", f"/v2/team/app/manifests/{self.digest}", status=200)
        self.assertEqual((1, 1), (self.upstream.count("GET", "/manifests/"), self.upstream.count("GET", "/blobs/")))
        mirror.ask("GET", "/v2/team/app/manifests/2", status=404)
        mirror.ask("GET", f"/v2/team/app/blobs/{sha(b'nothing')}", status=404)
        self.slipway.assert_clean(self)

    def test_one_download_for_many_clients_while_it_comes(self):
        mirror = self.mirror()
        self.upstream.gate.clear()
        got, begun = [], []

        def pull():
            with socket.create_connection(("127.0.0.1", mirror.port)) as peer:
                peer.sendall(f"GET /v2/team/app/blobs/{self.blob} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                data = peer.recv(4096)
                while len(data) < 300_000:  # of a half that is there: it is passed on before the rest has come
                    data += peer.recv(1 << 16)
                begun.append(1)
                while piece := peer.recv(1 << 16):
                    data += piece
                got.append(data.partition(b"\r\n\r\n")[2])

        threads = [threading.Thread(target=pull) for _ in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: len(begun) == 12, "all clients to have something")
        self.upstream.gate.set()
        for thread in threads:
            thread.join()
        self.assertEqual([True] * 12, [data == self.layer for data in got])
        self.assertEqual(1, self.upstream.count("GET", "/blobs/"))

    def test_wrong_bytes_never_make_a_whole_body(self):
        mirror = self.mirror()
        self.upstream.lie.add(self.blob)
        with socket.create_connection(("127.0.0.1", mirror.port)) as peer:
            peer.sendall(f"GET /v2/team/app/blobs/{self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            try:
                while piece := peer.recv(1 << 16):
                    data += piece
            except ConnectionResetError:
                pass
        head, _, body = data.partition(b"\r\n\r\n")
        # The reset that cuts it may take what had come with it.
        self.assertTrue(not head or b"200 OK" in head, head)
        self.assertLess(len(body), len(self.layer))
        self.assertFalse((self.slipway.root / "blobs/sha256" / self.blob[7:]).exists())
        self.upstream.lie.clear()

        def healed():
            status, _, answer = mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}")
            return status == 200 and answer == self.layer

        until(healed, "the right bytes after the wrong ones")
        self.slipway.assert_clean(self)

    def test_hundreds_of_clients_of_one_blob(self):
        mirror = self.mirror()
        other, (small,) = self.upstream.add_image("team/other", "1", [b"small"])
        mirror.ask("GET", f"/v2/team/other/blobs/{small}", status=200)
        self.upstream.head_gate.clear()
        self.upstream.gate.clear()
        peers = []
        for _ in range(300):
            peer = socket.create_connection(("127.0.0.1", mirror.port))
            self.addCleanup(peer.close)
            peer.settimeout(DEADLINE)
            peer.sendall(f"GET /v2/team/app/blobs/{self.blob} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            peers.append(peer)
        until(lambda: self.upstream.count("HEAD", self.blob) == 1, "the first question")
        self.assertEqual(b"small", mirror.ask("GET", f"/v2/team/other/blobs/{small}", status=200)[2])
        self.upstream.head_gate.set()
        heads = [peer.recv(12) for peer in peers]
        self.assertEqual({b"HTTP/1.1 200"}, set(heads))
        self.assertEqual(b"small", mirror.ask("GET", f"/v2/team/other/blobs/{small}", status=200)[2])
        self.upstream.gate.set()
        for peer in peers:
            size = 0
            while piece := peer.recv(1 << 20):
                size += len(piece)
            self.assertGreater(size, len(self.layer))
        self.assertEqual(1, self.upstream.count("HEAD", self.blob))

    def test_downloads_that_nobody_waits_for_are_few_and_end(self):
        mirror = self.mirror()
        layers = [os.urandom(600_000) for _ in range(70)]
        _, blobs = self.upstream.add_image("team/many", "1", layers)
        self.upstream.gate.clear()

        def begin(blob):
            with socket.create_connection(("127.0.0.1", mirror.port)) as peer:
                peer.settimeout(DEADLINE)
                peer.sendall(f"GET /v2/team/many/blobs/{blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                return peer.recv(600)[9:12]

        statuses = [begin(blob) for blob in blobs]
        self.assertEqual([b"200"] * 64, statuses[:64])
        self.assertIn(b"503", statuses)
        # The upstream stays silent; the next question ends what nobody waits for any more.
        until(lambda: begin(blobs[-1]) == b"200", "room for another download")

    def test_an_upstream_that_is_not_to_be_trusted_is_told(self):
        certificate = make_certificate(self.folder / "tls")
        stranger = self.closing(OwnRegistry(Slipway(self.folder / "stranger"), "--tls-cert", str(certificate[0]), "--tls-key",
                                            str(certificate[1])))
        mirror = self.closing(OwnRegistry(self.slipway, "--mirror-of", f"https://127.0.0.1:{stranger.port}"))
        status, _, body = mirror.ask("GET", "/v2/team/app/manifests/1")
        self.assertEqual(502, status, body)
        self.assertIn("certificate", json.loads(body)["errors"][0]["message"])
        self.assertIn("certificate", mirror.log.read_text())

    def test_an_upstream_that_tells_another_size_of_what_is_here(self):
        own = self.registry()
        digest = own.push_blob("private/app", self.layer)
        self.assertEqual(self.blob, digest)
        honest = self.upstream.blobs[self.blob]
        lies = (honest[:5], honest + b"x")
        for self.upstream.blobs[self.blob] in lies:  # it never came from there: it has to, and is wrong
            with self.assertRaises((ConnectionError, http.client.HTTPException)):
                self.mirror().ask("GET", f"/v2/team/app/blobs/{self.blob}")
        self.upstream.blobs[self.blob] = honest
        self.assertEqual(self.layer, self.mirror().ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)[2])
        for self.upstream.blobs[self.blob] in lies:
            status, _, body = self.mirror().ask("GET", f"/v2/team/copy/blobs/{self.blob}")
            self.assertEqual(502, status, body[:200])

    def test_a_head_of_the_upstream_gives_nothing_that_never_came_from_it(self):
        digest = self.registry().push_blob("private/app", b"not of the upstream")
        self.upstream.blobs[digest] = b"?" * len(b"not of the upstream")
        mirror = self.mirror()
        mirror.ask("HEAD", f"/v2/any/blobs/{digest}", status=200)
        for _ in range(2):
            with self.assertRaises((ConnectionError, http.client.HTTPException)):
                mirror.ask("GET", f"/v2/any/blobs/{digest}")

    def test_a_full_store_of_a_mirror_says_so_before_the_body(self):
        mirror = self.mirror(env={"SLIPWAY_MAX_SIZE": "1MiB"})
        status, _, body = mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}")
        self.assertEqual((507, 0), (status, self.upstream.count("GET", "/blobs/")), body)
        mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
        self.slipway.assert_clean(self)

    def test_a_blob_that_is_told_to_be_empty(self):
        mirror = self.mirror()
        self.upstream.empty.add(self.blob)
        for method in ("GET", "HEAD"):
            mirror.ask(method, f"/v2/team/app/blobs/{self.blob}", status=502)
        empty, (blob,) = self.upstream.add_image("team/empty", "1", [b""])
        self.assertEqual(b"", mirror.ask("GET", f"/v2/team/empty/blobs/{blob}", status=200)[2])

    def test_a_half_closed_client_has_its_answer(self):
        mirror = self.mirror()
        self.upstream.head_gate.clear()
        with socket.create_connection(("127.0.0.1", mirror.port)) as peer:
            peer.sendall(f"GET /v2/team/app/blobs/{self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until(lambda: self.upstream.count("HEAD", self.blob) == 1, "the question")
            peer.shutdown(socket.SHUT_WR)
            mirror.ask("GET", "/v2/", status=200)  # the end has been seen
            self.upstream.head_gate.set()
            data = b""
            while piece := peer.recv(1 << 20):
                data += piece
        self.assertEqual(self.layer, data.partition(b"\r\n\r\n")[2])

    def test_an_upstream_in_trouble_is_left_alone_for_digests_too(self):
        mirror = self.mirror()
        self.upstream.fail = 500
        mirror.ask("GET", "/v2/team/app/manifests/1", status=503)
        asked = len(self.upstream.seen)
        _, headers, _ = mirror.ask("GET", f"/v2/team/app/manifests/{self.digest}", status=503)
        self.assertEqual(asked, len(self.upstream.seen))
        self.assertIn(int(headers["Retry-After"]), range(1, 11))

    def test_an_upstream_that_says_for_how_long_is_left_alone_so_long(self):
        mirror = self.mirror()
        mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
        self.upstream.fail, self.upstream.retry_after = 429, "1800"
        mirror.ask("GET", "/v2/team/app/manifests/2", status=503)
        asked = len(self.upstream.seen)
        _, headers, body = mirror.ask("GET", f"/v2/team/other/manifests/{self.digest}", status=503)
        self.assertEqual(asked, len(self.upstream.seen))
        self.assertIn(int(headers["Retry-After"]), range(1700, 1801))
        self.assertIn(b"it is asked again in", body)
        self.upstream.fail = 0  # it counts manifests: blobs may be had
        self.assertEqual(self.layer, mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)[2])

    def test_stale_when_the_upstream_is_in_trouble(self):
        for status in (429, 500, 503):
            slipway = self.elsewhere(f"store-{status}")
            mirror = self.mirror(slipway=slipway)
            mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
            mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
            mirror.close()
            self.age(slipway)
            self.upstream.fail = status
            mirror = self.mirror(slipway=slipway)
            _, headers, _ = mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
            self.assertIn("110", headers["Warning"])
            self.assertIn("serving team/app:1 as it was", mirror.log.read_text())
            mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
            _, _, body = mirror.ask("GET", "/v2/team/app/manifests/none", status=503)
            self.upstream.fail = 0

    def test_mirrors_in_a_loop_say_so(self):
        for between in (0, 1):
            relay = self.closing(Relay())
            mirror = self.registry("--mirror-of", f"http://{relay.host}", slipway=self.elsewhere(f"mirror-{between}"))
            last = self.registry("--mirror-of", f"http://{mirror.host}", slipway=self.elsewhere("second")) if between else mirror
            relay.target = last.port  # its own address, under another name
            for method, what in (("GET", "manifests/1"), ("HEAD", "manifests/1"), ("GET", f"manifests/{self.digest}"),
                                 ("HEAD", f"blobs/{self.blob}"), ("GET", f"blobs/{self.blob}")):
                status, _, body = mirror.ask(method, f"/v2/team/app/{what}")
                self.assertIn(status, (503, 508))
                if method == "GET":
                    message = json.loads(body)["errors"][0]["message"]
                    self.assertIn(f"a loop of mirrors stands behind the upstream {relay.host}", message)
            self.assertTrue(relay.via)
            for via in relay.via:  # and nothing else about the machine
                self.assertRegex(via, r"\A1\.1 slipway-[0-9a-f]{32}\Z")
            mirror.ask("GET", "/v2/", status=200)

    def test_what_a_mirror_says_of_itself_is_new_for_each_process(self):
        relay = self.closing(Relay())
        relay.target = self.upstream.port
        for number in range(2):
            mirror = self.registry("--mirror-of", f"http://{relay.host}", slipway=self.elsewhere(f"mirror-{number}"))
            heard = {"Via": "1.1 proxy.corp.example, 1.1 slipway-" + "a" * 32}
            mirror.ask("GET", "/v2/team/app/manifests/1", headers=heard, status=200)
            self.assertEqual(self.layer, mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", headers=heard, status=200)[2])
            mirror.ask("GET", f"/v2/team/app/manifests/{self.digest}", headers={
                "Via": ", ".join("1.1 slipway-%032x" % i for i in range(17))}, status=508)
        self.assertEqual(2, len(set(relay.via)), relay.via)
        for via in relay.via:
            self.assertRegex(via, "\\A1\\.1 slipway-a{32}, 1\\.1 slipway-[0-9a-f]{32}\\Z")

    def foreign_image(self):
        """A private image of the upstream, and a manifest of another repository there that names its layers only."""
        self.give_base()
        source = self.context("FROM base\nCOPY secret /secret\n", {"secret": "of another team\n"}, name="private")
        self.slipway.build(source, "-t", "private")
        upstream, digest = self.upstream, self.slipway.digest("private:latest")
        blob = lambda one: (self.slipway.root / "blobs/sha256" / one.removeprefix("sha256:")).read_bytes()
        manifest = json.loads(blob(digest))
        layers = [layer["digest"] for layer in manifest["layers"]]
        upstream.blobs.update((one, blob(one)) for one in [manifest["config"]["digest"], *layers])
        upstream.manifests[digest] = blob(digest)
        upstream.tags[("team/private", "1")] = upstream.tags[("team/thief", "1")] = digest
        honest = upstream.answer
        status = {"of layers": 404}

        def answer(handler, with_body):
            if "/team/thief/blobs/" in handler.path and handler.path.rpartition("/")[2] in layers:
                return upstream.send(handler, status["of layers"], b"", "text/plain", with_body)
            return honest(handler, with_body)

        upstream.answer = answer
        return layers, status

    def test_in_trouble_a_mirror_gives_nothing_of_another_repository(self):
        layers, status = self.foreign_image()
        mirror = self.mirror(slipway=self.elsewhere("mirror"))
        reader = self.elsewhere("reader")
        through = ("--registry-mirror", f"{self.upstream.host}=http://{mirror.host}")
        reader("pull", *through, f"{self.upstream.host}/team/private:1")
        run_it = self.context(f"FROM {self.upstream.host}/team/thief:1\nRUN cat /secret\n", name="run")
        for status["of layers"] in (404, 429, 500, 429):
            done = reader.build(run_it, *through, check=False)
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn("another team", done.err)
        for method in ("HEAD", "GET"):  # left alone just now, and asked
            mirror.ask(method, f"/v2/team/thief/blobs/{layers[-1]}", status=503)
        mirror.ask("GET", f"/v2/team/private/blobs/{layers[-1]}", status=200)
        reader.assert_clean(self)

    def test_what_an_offline_mirror_gives_of_another_repository_is_no_proof(self):
        layers, _ = self.foreign_image()
        mirror = self.mirror()
        for name in ("team/private", "team/thief"):
            _, _, body = mirror.ask("GET", f"/v2/{name}/manifests/1", status=200)
            mirror.ask("GET", f"/v2/{name}/blobs/{json.loads(body)['config']['digest']}", status=200)
        for layer in layers:
            mirror.ask("GET", f"/v2/team/private/blobs/{layer}", status=200)
        mirror.close()
        mirror, reader = self.mirror("--offline"), self.elsewhere("reader")
        through = ("--registry-mirror", f"{self.upstream.host}=http://{mirror.host}")
        _, headers, _ = mirror.ask("GET", f"/v2/team/thief/blobs/{layers[-1]}", status=200)
        self.assertIn("112", headers["Warning"])
        reader("pull", *through, f"{self.upstream.host}/team/private:1")
        name = f"{self.upstream.host}/team/thief:1"
        done = reader.build(self.context(f"FROM {name}\nRUN cat /secret\n", name="run"), *through)
        self.assertIn("another team", done.err)
        for text in (f"FROM {name}\nRUN cat /secret\n", f"FROM {name}\nRUN cat /secret && true\n"):
            done = reader.build(self.context(text, name="again"), check=False)
            self.assertEqual(1, done.returncode, done.err)
            self.assertNotIn("another team", done.err)
        reader.assert_clean(self)

    def test_what_the_upstream_has_shown_is_served_when_it_is_away(self):
        mirror = self.mirror()
        mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
        mirror.ask("HEAD", f"/v2/team/copy/blobs/{self.blob}", status=200)  # of a client that has it already
        honest = self.upstream.blobs[self.blob]
        self.upstream.blobs[self.blob] = honest[:5]
        mirror.ask("HEAD", f"/v2/team/lying/blobs/{self.blob}", status=200)
        self.upstream.fail = 503
        _, headers, body = mirror.ask("GET", f"/v2/team/copy/blobs/{self.blob}", status=200)
        self.assertEqual((self.layer, None), (body, headers["Warning"]))
        for repository in ("team/lying", "team/other"):
            mirror.ask("GET", f"/v2/{repository}/blobs/{self.blob}", status=503)

    def test_a_mirror_of_a_mirror_passes_its_warning_on(self):
        mirror = self.mirror()
        mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
        mirror.close()
        mirror = self.mirror("--offline")
        outer = self.registry("--mirror-of", f"http://{mirror.host}", slipway=self.elsewhere("outer"))
        for method in ("HEAD", "GET", "HEAD", "GET"):
            _, headers, body = outer.ask(method, f"/v2/team/copy/blobs/{self.blob}", status=200)
            self.assertIn("110", headers["Warning"])
            self.assertEqual(self.layer if method == "GET" else b"", body)
        for _ in range(2):
            self.assertIsNone(outer.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)[1]["Warning"])

    def age(self, slipway):
        """As if the tags had been looked at long ago."""
        with sqlite3.connect(slipway.root / "meta.db") as database:
            database.execute("UPDATE repository_tags SET checked = 1000000000")
        database.close()

    def pull(self, mirror, repository, tag, blob, layer):
        mirror.ask("GET", f"/v2/{repository}/manifests/{tag}", status=200)
        self.assertEqual(layer, mirror.ask("GET", f"/v2/{repository}/blobs/{blob}", status=200)[2])

    def test_gc_takes_what_was_served_least_recently_and_the_mirror_fetches_it_again(self):
        pushes, mirror = self.registry(), self.mirror()
        kept, _ = pushes.push_image("team/app", "1", (b"pushed here",))
        other_layer = os.urandom(1 << 20)
        _, (other,) = self.upstream.add_image("team/other", "1", [other_layer])
        self.pull(mirror, "team/app", "1", self.blob, self.layer)
        self.pull(mirror, "team/other", "1", other, other_layer)
        with sqlite3.connect(self.slipway.root / "meta.db") as database:
            database.execute("UPDATE repository_links SET used = 1000000000")
        database.close()
        mirror.ask("HEAD", "/v2/team/app/manifests/1", status=200)  # served, and fresh: the upstream is not asked
        self.assertEqual(["1", "0"], [line.split()[2] for line in self.df() if line.startswith(("Mirrored", "Repositories"))])
        self.assertIn(b"1 mirrored images", self.slipway("gc", "--max-size", "2500kB").stdout)
        held = self.slipway("registry", "ls", "--mirrored", "--format", "{{.Repository}} {{.Kind}}").stdout.decode()
        self.assertEqual(f"{self.upstream.host}/team/app mirrored\n", held)
        self.pull(mirror, "team/app", "1", self.blob, self.layer)
        self.assertEqual(1, self.upstream.count("GET", self.blob))
        self.pull(mirror, "team/other", "1", other, other_layer)
        self.assertEqual(2, self.upstream.count("GET", other))
        pushes.ask("GET", f"/v2/team/app/manifests/{kept}", status=200)
        self.slipway.assert_clean(self)
        self.slipway("gc", "--all")
        self.assertEqual(b"", self.slipway("registry", "ls", "--mirrored", "--format", "{{.Repository}}").stdout)
        pushes.ask("GET", f"/v2/team/app/blobs/{sha(b'pushed here')}", status=200)
        self.pull(mirror, "team/app", "1", self.blob, self.layer)
        self.slipway.assert_clean(self)

    def df(self):
        return self.slipway("df").stdout.decode().splitlines()

    def test_gc_leaves_what_is_sent_or_downloaded_just_then(self):
        mirror = self.mirror()
        self.pull(mirror, "team/app", "1", self.blob, self.layer)
        large = os.urandom(32 << 20)
        _, (slow,) = self.upstream.add_image("team/slow", "1", [large])
        self.pull(mirror, "team/slow", "1", slow, large)
        coming_layer = os.urandom(2 << 20)
        _, (coming,) = self.upstream.add_image("team/coming", "1", [coming_layer])

        def begin(repository, blob):
            peer = socket.create_connection(("127.0.0.1", mirror.port))
            self.addCleanup(peer.close)
            peer.settimeout(DEADLINE)
            peer.sendall(f"GET /v2/{repository}/blobs/{blob} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return peer, peer.recv(1000)

        def end(peer, data):
            while piece := peer.recv(1 << 20):
                data += piece
            return data.partition(b"\r\n\r\n")[2]

        sent = begin("team/slow", slow)  # more than the sockets hold: it goes on
        self.upstream.gate.clear()
        downloaded = begin("team/coming", coming)
        self.slipway("gc", "--all")
        self.assertTrue((self.slipway.root / "blobs/sha256" / slow[7:]).exists())
        self.assertFalse((self.slipway.root / "blobs/sha256" / self.blob[7:]).exists())
        self.upstream.gate.set()
        self.assertEqual(coming_layer, end(*downloaded))
        self.assertEqual(large, end(*sent))
        self.slipway("gc", "--all")
        for blob in (slow, coming):
            self.assertFalse((self.slipway.root / "blobs/sha256" / blob[7:]).exists())
        self.slipway.assert_clean(self)

    def test_gc_in_the_middle_of_many_pulls(self):
        mirror = self.mirror()
        images = []
        for number in range(6):
            layer = os.urandom(200_000)
            _, (blob,) = self.upstream.add_image(f"team/app{number}", "1", [layer])
            images.append((f"team/app{number}", blob, layer))
        over, failed = threading.Event(), []

        def puller(repository, blob, layer):
            while not over.is_set():
                try:
                    self.pull(mirror, repository, "1", blob, layer)
                except Exception as failure:  # pylint: disable=broad-exception-caught
                    failed.append(failure)
                    return

        threads = [threading.Thread(target=puller, args=image) for image in images]
        for thread in threads:
            thread.start()
        for _ in range(12):
            self.slipway("gc", "--all")

        def something_was_taken():
            self.slipway("gc", "--all")
            return failed or self.upstream.count("GET", "/blobs/") > len(images)

        until(something_was_taken, "a blob that gc took and the mirror fetched again")
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)
        self.slipway.assert_clean(self)

    def test_a_mirror_with_a_limit_makes_room_for_what_is_asked_for(self):
        mirror = self.mirror(env={"SLIPWAY_MAX_SIZE": "5MiB"})
        for number in range(5):
            layer = os.urandom(2 << 20)
            _, (blob,) = self.upstream.add_image(f"team/app{number}", "1", [layer])
            self.pull(mirror, f"team/app{number}", "1", blob, layer)
        self.assertLessEqual(sum(path.stat().st_size for path in (self.slipway.root / "blobs/sha256").iterdir()), 5 << 20)
        self.slipway.assert_clean(self)

    def test_the_answer_names_the_upstream_and_why(self):
        self.upstream.fail = 500
        mirror = self.mirror()
        for method in ("GET", "GET", "HEAD"):
            connection = http.client.HTTPConnection("127.0.0.1", mirror.port, timeout=DEADLINE)
            connection.request(method, "/v2/team/app/manifests/1")
            answer = connection.getresponse()
            why = f"the upstream {self.upstream.host} can not be asked: {self.upstream.host} failed to serve"
            self.assertIn(why, answer.reason)
            self.assertEqual(503, answer.status)
            if method == "GET":
                self.assertIn(why, json.loads(answer.read())["errors"][0]["message"])
            connection.close()
        self.upstream.fail = 401
        mirror = self.mirror()
        _, _, body = mirror.ask("GET", "/v2/team/app/manifests/1", status=403)
        self.assertIn(f"the upstream {self.upstream.host} wants other credentials", json.loads(body)["errors"][0]["message"])
        self.upstream.fail = 0
        self.upstream.close()
        mirror = self.mirror()
        told = self.slipway("pull", f"{mirror.host}/team/app:1", check=False).stderr.decode()
        self.assertIn(f"the upstream {self.upstream.host} can not be asked: cannot connect to {self.upstream.host}: Connection refused", told)
        proxied = self.registry("--mirror-of", "http://registry.invalid", env={"HTTP_PROXY": "http://joe:s3cret@127.0.0.1:9", "http_proxy": "http://joe:s3cret@127.0.0.1:9"})
        _, headers, body = proxied.ask("GET", "/v2/team/app/manifests/1", status=503)
        self.assertIn(b"the upstream registry.invalid can not be asked", body)
        for secret in ("s3cret", "joe"):
            self.assertNotIn(secret, body.decode() + str(headers) + proxied.log.read_text())

    def test_docker_and_skopeo_show_why(self):
        require("/usr/sbin/dockerd", "/usr/bin/docker", "runc", "skopeo", root=True)
        self.upstream.fail = 500
        mirror = self.mirror()
        dockerd = self.closing(Dockerd(self.folder / "docker"))
        for shown in (dockerd("pull", f"{mirror.host}/team/app:1", check=False),
                      run(["skopeo", "inspect", "--tls-verify=false", f"docker://{mirror.host}/team/app:1"], check=False)):
            self.assertNotEqual(0, shown.returncode)
            self.assertIn(f"the upstream {self.upstream.host} can not be asked", (shown.stdout + shown.stderr).decode())

    def test_a_tag_that_moved_or_went(self):
        mirror = self.mirror()
        mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
        moved, _ = self.upstream.add_image("team/app", "1", [b"other"])
        mirror.close()
        self.age(self.slipway)
        mirror = self.mirror()
        _, headers, _ = mirror.ask("HEAD", "/v2/team/app/manifests/1", status=200)
        self.assertEqual(moved, headers["Docker-Content-Digest"])
        mirror.close()
        self.age(self.slipway)
        del self.upstream.tags[("team/app", "1")]
        mirror = self.mirror()
        mirror.ask("GET", "/v2/team/app/manifests/1", status=404)
        self.upstream.fail = 503
        status, _, _ = mirror.ask("GET", "/v2/team/app/manifests/1")
        self.assertNotEqual(200, status)

    def test_pushes_are_refused_and_other_registries_not_here(self):
        mirror = self.mirror()
        _, _, body = mirror.ask("POST", "/v2/team/app/blobs/uploads/", status=405)
        self.assertEqual("UNSUPPORTED", json.loads(body)["errors"][0]["code"])
        mirror.ask("PUT", "/v2/team/app/manifests/1", b"{}", status=405)
        _, headers, _ = mirror.ask("GET", f"/v2/team/app/manifests/1?ns={self.upstream.host}", status=200)
        self.assertEqual(self.upstream.host, headers["OCI-Namespace"])
        mirror.ask("GET", "/v2/team/app/manifests/1?ns=quay.io", status=404)

    def test_offline_serves_what_is_here(self):
        mirror = self.mirror()
        mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
        mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
        mirror.close()
        asked = len(self.upstream.seen)
        mirror = self.mirror("--offline")
        _, headers, _ = mirror.ask("GET", "/v2/team/app/manifests/1", status=200)
        self.assertIn("112", headers["Warning"])
        mirror.ask("GET", f"/v2/team/app/blobs/{self.blob}", status=200)
        mirror.ask("GET", "/v2/team/app/manifests/2", status=404)
        self.assertEqual(asked, len(self.upstream.seen))

    def test_offline_serves_images_of_the_store(self):
        self.give_base(name="docker.io/library/base:7")
        self.slipway("tag", "docker.io/library/base:7", "quay.io/other/base:7")
        mirror = self.registry("--mirror-of", "https://registry-1.docker.io", "--offline")
        for repository in ("library/base", "base"):
            _, headers, body = mirror.ask("GET", f"/v2/{repository}/manifests/7?ns=docker.io", status=200)
            for layer in json.loads(body)["layers"]:
                self.assertEqual(layer["digest"], sha(mirror.ask("GET", f"/v2/{repository}/blobs/{layer['digest']}", status=200)[2]))
        mirror.ask("GET", f"/v2/library/base/manifests/{headers['Docker-Content-Digest']}", status=200)
        mirror.ask("GET", "/v2/other/base/manifests/7", status=404)
        self.slipway.assert_clean(self)

    def test_a_builders_bytes_are_no_proof(self):
        other = self.upstream
        private, (secret,) = other.add_image("private/app", "1", [b"secret layer"])
        self.slipway("pull", "-q", f"{other.host}/private/app:1", check=False)
        del other.tags[("private/app", "1")]
        removed = {d: other.blobs.pop(d) for d in [secret]}
        mirror = self.mirror()
        mirror.ask("GET", f"/v2/private/app/blobs/{secret}", status=404)  # whatever lies in the store
        self.assertTrue(removed)

    def test_docker_pulls_through_it(self):
        require("/usr/sbin/dockerd", "/usr/bin/docker", "runc", root=True)
        self.give_base()
        store = self.elsewhere("origin")
        origin = self.registry(slipway=store)
        self.slipway("tag", "base", f"{origin.host}/library/base:1")
        self.slipway("push", f"{origin.host}/library/base:1")
        mirror = self.registry("--mirror-of", f"http://{origin.host}", slipway=self.elsewhere("mirror"))
        dockerd = self.closing(Dockerd(self.folder / "docker"))
        dockerd("pull", f"{mirror.host}/library/base:1")
        origin.close()
        dockerd("rmi", f"{mirror.host}/library/base:1")
        dockerd("pull", f"{mirror.host}/library/base:1")


if __name__ == "__main__":
    main()
