#!/usr/bin/env python3
"""kaniko's command line: a GitLab job that was written for it, and what its flags mean (docs/migrating-from-kaniko.md)."""
import base64
import hashlib
import hmac
import http.client
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import threading
import urllib.parse

import sources_suite
from support import (CLEAN, Case, Registry, Slipway, TokenServer, base_tar, binary, facts_of_tar, htpasswd, main,
                     make_certificate, mounts_below, require, run, write_context)

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "pa55/word+of the test"


def setUpModule():
    require("docker-registry", "skopeo")


def documented_job():
    """The script of the GitLab job in the documentation, an entry per line of the list."""
    text = (REPOSITORY / "docs/migrating-from-kaniko.md").read_text()
    job = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
    script = re.search(r"  script:\n(.*?)\n  rules:", job, re.S).group(1)
    entries = []
    for line in script.splitlines():
        if line.startswith("    - "):
            entries.append("" if line == "    - >-" else line[6:])
        else:
            entries[-1] = f"{entries[-1]} {line.strip()}".strip()
    return entries


class Kaniko(Case):
    """A registry with a base image, and the program under the name `executor`."""

    DOCKERFILE = "FROM {base}\nARG V=1\nENV A=b\nCOPY f /f\nRUN echo $V > /made && echo said && echo complained >&2\n"

    def setUp(self):
        super().setUp()
        self.registry = self.closing(Registry(self.folder / "registry"))
        self.base = self.give(self.registry)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/executor").symlink_to(binary())
        (self.folder / "bin/warmer").symlink_to(binary())

    def give(self, registry, env=None):
        """The base image in the registry; gives its name."""
        name = f"{registry.host}/base:1"
        other = Slipway(self.folder / "giver")
        other("import", "-", name, input=base_tar())
        other("push", name, env=env)
        return name

    def executor(self, *arguments, check=True, env=None, root=None, name="executor", **keys):
        environment = dict(self.slipway.env, **(env or {}))
        if root:
            environment["SLIPWAY_ROOT"] = str(self.folder / root)
        return run([self.folder / "bin" / name, "--log-format=text", *arguments], check=check, env=environment, **keys)

    def context(self, dockerfile=None, files=None, name="context"):
        text = (dockerfile or self.DOCKERFILE).replace("{base}", self.base)
        return write_context(self.folder / name, text, {"f": "data\n"} if files is None else files)

    def name(self, text="app:1"):
        return f"{self.registry.host}/{text}"

    def manifest(self, name):
        return json.loads(run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]).out)

    def config(self, name):
        return json.loads(run(["skopeo", "inspect", "--config", "--tls-verify=false", f"docker://{name}"]).out)

    def digest(self, name):
        return run(["skopeo", "inspect", "--format", "{{.Digest}}", "--tls-verify=false", f"docker://{name}"]).out.strip()

    def tree(self, name):
        """The files of an image in the registry, as another store unpacks them."""
        other = Slipway(self.folder / "reader")
        context = write_context(self.folder / "reading", f"FROM {name}\n")
        done = other("build", "--pull", "-o", "type=tar,dest=-", context)
        return facts_of_tar(done.stdout)


class FlagsTest(Kaniko):
    def test_build_and_push(self):
        done = self.executor("--context", self.context(), "-d", self.name(), f"--destination={self.name('app:2')}",
                             "--label", "l=1", "--build-arg", "V=7", "--digest-file", self.folder / "made/digest",
                             "--image-name-with-digest-file", self.folder / "names",
                             "--image-name-tag-with-digest-file", self.folder / "tags")
        digest = self.digest(self.name())
        self.assertEqual(digest, self.digest(self.name("app:2")))
        self.assertEqual(digest, (self.folder / "made/digest").read_text())
        self.assertEqual("".join(f"{self.name('app')}@{digest}\n" for _ in range(2)),
                         (self.folder / "names").read_text())
        self.assertEqual(f"{self.name()}@{digest}\n{self.name('app:2')}@{digest}\n",
                         (self.folder / "tags").read_text())
        self.assertEqual({"l": "1"}, self.config(self.name())["config"]["Labels"])
        self.assertEqual(hashlib.sha256(b"7\n").hexdigest(), self.tree(self.name())["made"][3])
        self.assertEqual("said\n", done.out)
        self.assertIn("\ncomplained\n", done.err)
        for line in (f'level=info msg="Retrieving image manifest {self.base}"', 'level=info msg="COPY f /f"',
                     f'level=info msg="Pushing image to {self.name()}"',
                     f'level=info msg="Pushed {self.name("app")}@{digest}"'):
            self.assertIn(line, done.err)
        self.slipway.assert_clean(self)

    def test_the_exit_code_is_that_of_the_step(self):
        context = self.context("FROM {base}\nRUN exit 42\n")
        done = self.executor("-c", context, "--no-push", check=False)
        self.assertEqual(42, done.returncode)
        self.assertRegex(done.err, "error building image: .*exit code: 42")

    def test_json_lines(self):
        done = run([self.folder / "bin/executor", "-c", self.context("FROM {base}\nLABEL a=b\n"), "--no-push",
                    "--log-format", "json", "-v", "debug"], env=self.slipway.env)
        lines = [json.loads(line) for line in done.err.splitlines()]
        self.assertTrue(all(set(line) == {"level", "msg", "time"} for line in lines))
        self.assertIn("Skipping push to container registry due to --no-push flag", [line["msg"] for line in lines])

    def test_wrong_usage_is_one(self):
        for words in (["-c", "."], ["--no-such-flag"], ["--no-push", "-c", "nowhere"], ["frobnicate"]):
            done = self.executor(*words, check=False)
            self.assertEqual(1, done.returncode, words)
            self.assertNotEqual("", done.err)

    def test_archive_and_layout(self):
        tar, layout = self.folder / "app.tar", self.folder / "layout"
        for _ in range(2):  # a second time in the same places
            self.executor("-c", self.context(), "--no-push", "--tarPath", tar, "--oci-layout-path", layout)
        self.assertEqual(["docker.io/unset-repo/unset-image-name:latest"],
                         [t if "docker.io" in t else "docker.io/" + t
                          for t in run(["skopeo", "inspect", f"docker-archive:{tar}"]).out and
                          json.loads(tarfile.open(tar).extractfile("manifest.json").read())[0]["RepoTags"]])
        self.assertEqual(1, len(json.loads((layout / "index.json").read_text())["manifests"]))
        run(["skopeo", "inspect", f"oci:{layout}"])
        for path, name in ((tar, "t:1"), (layout, "l:1")):
            self.executor("push", path, "-d", self.name(name))
            self.assertEqual(self.tree(self.name(name))["f"][3], hashlib.sha256(b"data\n").hexdigest())

    def test_formats(self):
        context = self.context("FROM scratch\nCOPY f /f\n")
        self.executor("-c", context, "-d", self.name("a:1"))
        self.assertIn("docker", self.manifest(self.name("a:1"))["mediaType"])
        self.executor("-c", context, "-d", self.name("a:2"), "--image-format=oci", "--annotation", "k.example/x=v")
        manifest = self.manifest(self.name("a:2"))
        self.assertIn("oci", manifest["mediaType"])
        self.assertEqual({"k.example/x": "v"}, manifest["annotations"])
        self.executor("-c", context, "-d", self.name("a:3"), "--compression", "zstd")
        self.assertTrue(self.manifest(self.name("a:3"))["layers"][0]["mediaType"].endswith("zstd"))
        self.executor("-c", self.context("FROM {base}\nCOPY f /f\n"), "-d", self.name("a:4"))
        self.assertIn("oci", self.manifest(self.name("a:4"))["mediaType"], "as the base image")

    def test_reproducible(self):
        context = self.context()
        for number in (1, 2):
            self.executor("-c", context, "-d", self.name(f"r:{number}"), "--reproducible", root=f"root{number}")
        self.assertEqual(self.digest(self.name("r:1")), self.digest(self.name("r:2")))
        self.assertTrue(all(h["created"].startswith("1970-01-01") for h in self.config(self.name("r:1"))["history"][1:]))

    def test_single_snapshot_is_one_layer_with_the_same_files(self):
        context = self.context("FROM {base}\nRUN mkdir /d && echo 1 > /d/a && rm /data/old\nCOPY f /d/f\n"
                               "RUN rm -r /d && mkdir /d && echo 2 > /d/b && rm -r /data && mkdir /data && ln -s b /d/c\n"
                               "ENV X=y\n")
        self.executor("-c", context, "-d", self.name("s:0"))
        self.executor("-c", context, "-d", self.name("s:1"), "--single-snapshot")
        base = len(self.manifest(self.base)["layers"])
        self.assertEqual(base + 3, len(self.manifest(self.name("s:0"))["layers"]))
        self.assertEqual(base + 1, len(self.manifest(self.name("s:1"))["layers"]))
        config = self.config(self.name("s:1"))
        self.assertEqual(base + 1, sum(not h.get("empty_layer") for h in config["history"]))
        several, one = self.tree(self.name("s:0")), self.tree(self.name("s:1"))
        self.assertEqual(several, one)
        self.assertIn("d/b", one)
        self.assertNotIn("d/a", one)
        self.assertNotIn("data/old", one)
        self.slipway.assert_clean(self)

    def test_ignored_paths_are_seen_by_steps_and_in_no_layer(self):
        context = self.context("FROM {base}\nRUN mkdir -p /opt/x && echo 1 > /opt/x/cache && echo 1 > /opt/kept\n"
                               "RUN cat /opt/x/cache > /copied\n")
        self.executor("-c", context, "-d", self.name("i:1"), "--ignore-path", "/opt/x", "--ignore-path=/nowhere")
        tree = self.tree(self.name("i:1"))
        self.assertIn("copied", tree)
        self.assertIn("opt/kept", tree)
        self.assertNotIn("opt/x", tree)

    def test_targets(self):
        context = self.context("FROM {base} AS one\nRUN echo first\nFROM {base} AS two\nRUN echo second\n"
                               "FROM {base}\nRUN exit 1\n")
        done = self.executor("-c", context, "-d", self.name(), "--target=one,two")
        self.assertEqual({"first", "second"}, set(done.out.split()))
        self.assertIn("RUN", self.config(self.name())["history"][-1]["created_by"])
        self.assertIn("first", self.config(self.name())["history"][-1]["created_by"])

    def test_secrets(self):
        context = self.context("FROM {base}\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c\n"
                               "RUN --mount=type=secret,id=e,env=E test \"$E\" = hidden\n")
        (self.folder / "secret").write_text("12345")
        done = self.executor("-c", context, "--no-push", "--secret", f"id=s,src={self.folder}/secret", "--secret",
                             "id=e,env=FROM_ENV", env={"FROM_ENV": "hidden"})
        self.assertEqual("5", done.out.strip())

    def test_a_dry_run_builds_nothing(self):
        self.executor("-c", self.context("FROM {base}\nARG V=1\nRUN exit 1\n"), "-d", self.name(), "--dryrun")
        self.assertFalse([r for r in self.registry.requests() if r[0] in ("POST", "PUT") and "/app/" in r[1]])

    def test_login_keeps_credentials(self):
        self.executor("login", "registry.example:5000", "-u", "joe", "--password-stdin", input=b"pw\n")
        config = json.loads((self.slipway.home / ".docker/config.json").read_text())
        self.assertEqual(base64.b64encode(b"joe:pw").decode(), config["auths"]["registry.example:5000"]["auth"])

    def test_slipway_executor_is_the_same(self):
        done = self.slipway("executor", "-c", self.context(), "--no-push", "--log-format=text")
        self.assertIn("Skipping push", done.err)


class ContextTest(Kaniko):
    def archive(self, prefix=""):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            tar.add(self.context(), arcname=f"./{prefix}")
        return out.getvalue()

    def elsewhere(self):
        """A directory without a Dockerfile: kaniko takes one that is here first."""
        folder = self.folder / "elsewhere"
        folder.mkdir(exist_ok=True)
        return folder

    def assert_built(self, name):
        self.assertEqual(hashlib.sha256(b"data\n").hexdigest(), self.tree(self.name(name))["f"][3])

    def test_archives(self):
        self.executor("-c", "tar://stdin", "-d", self.name("t:1"), input=self.archive(), cwd=self.elsewhere())
        self.assert_built("t:1")
        path = self.folder / "c.tar.gz"
        path.write_bytes(self.archive("deep/er"))
        self.executor("-c", f"tar://{path}", "--context-sub-path", "deep/er", "-d", self.name("t:2"),
                      cwd=self.elsewhere())
        self.assert_built("t:2")
        done = self.executor("-c", f"tar://{path}", "--context-sub-path", "../../etc", "--no-push", check=False,
                             cwd=self.elsewhere())
        self.assertEqual(1, done.returncode)
        self.assertIn("no directory", done.err)

    def test_a_link_in_the_sub_path_does_not_lead_out(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(info)
        done = self.executor("-c", "tar://stdin", "--context-sub-path=link", "--no-push", input=out.getvalue(),
                             check=False, cwd=self.elsewhere())
        self.assertEqual(1, done.returncode)

    def test_directories(self):
        context = self.context(name="whole/part")
        self.executor("-c", f"dir://{context.parent}", "--context-sub-path=part", "-d", self.name("d:1"),
                      cwd=self.elsewhere())
        self.assert_built("d:1")
        # a Dockerfile elsewhere, as seen from here
        (self.elsewhere() / "Other").write_text(f"FROM {self.base}\nCOPY f /f\n")
        self.executor("-c", context, "-f", "Other", "-d", self.name("d:2"), cwd=self.elsewhere())
        self.assert_built("d:2")
        done = self.executor("-c", context, "-f", "Missing", "--no-push", check=False)
        self.assertIn("please provide a valid path to a Dockerfile", done.err)

    def test_s3(self):
        bucket = self.closing(Bucket(self.archive()))
        env = {"AWS_ACCESS_KEY_ID": bucket.key, "AWS_SECRET_ACCESS_KEY": bucket.secret, "AWS_REGION": "eu-test-1",
               "S3_ENDPOINT": bucket.url, "S3_FORCE_PATH_STYLE": "true"}
        self.executor("-c", "s3://my-bucket/some dir/c.tar.gz", "-d", self.name("s3:1"), env=env, cwd=self.elsewhere())
        self.assert_built("s3:1")
        done = self.executor("-c", "s3://my-bucket/some dir/c.tar.gz", "--no-push", check=False,
                             env=dict(env, AWS_SECRET_ACCESS_KEY="wrong"), cwd=self.elsewhere())
        self.assertEqual(1, done.returncode)
        self.assertIn("403", done.err)
        self.assertNotIn("Signature", done.err)


class Bucket:
    """A server that gives one file to whoever signs as S3 has it (written from Amazon's description, not ours)."""

    key, secret = "AKIDTEST", "secret/of+the bucket"

    def __init__(self, content):
        self.content = content
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,),
                       {"do_GET": lambda h: self.answer(h), "log_message": lambda *a: None})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        given = query.pop("X-Amz-Signature", "")
        canonical = "\n".join([
            "GET", parts.path,
            "&".join(f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}"
                     for k, v in sorted(query.items())),
            f"host:{handler.headers['Host']}", "", "host", "UNSIGNED-PAYLOAD"])
        scope = query.get("X-Amz-Credential", "//").split("/", 1)[1]
        to_sign = "\n".join(["AWS4-HMAC-SHA256", query.get("X-Amz-Date", ""), scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        right = hmac.new(key, to_sign.encode(), "sha256").hexdigest() == given
        right = right and parts.path == "/my-bucket/some%20dir/c.tar.gz"
        handler.send_response(200 if right else 403)
        body = self.content if right else b""
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class GitContextTest(sources_suite.GitCase):
    def executor(self, context, *arguments, check=True, **env):
        folder = self.folder / "elsewhere"
        folder.mkdir(exist_ok=True)
        tar = self.folder / "out.tar"
        done = run([binary(), "executor", "-c", context, "--no-push", "--tar-path", tar, "--log-format=text",
                    *arguments], check=check, cwd=folder, env=dict(self.slipway.env, GIT_PULL_METHOD="http", **env))
        if done.returncode:
            return done
        layer = json.loads(tarfile.open(tar).extractfile("manifest.json").read())[0]["Layers"][-1]
        with tarfile.open(fileobj=io.BytesIO(tarfile.open(tar).extractfile(layer).read())) as files:
            return {m.name: files.extractfile(m).read() for m in files if m.isreg()}

    def test_refs_branches_and_commits(self):
        (self.work / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        third = self.commit(self.work, "dockerfile")
        address = self.url.replace("http://", "git://")
        files = self.executor(address)
        self.assertEqual(b"two\n", files["file"])
        self.assertIn(".git/HEAD", files, "as kaniko: the clone is the context")
        (self.work / "file").write_text("four\n")
        self.commit(self.work, "four")
        self.assertEqual(b"four\n", self.executor(f"{address}#refs/heads/main")["file"])
        self.assertEqual(b"four\n", self.executor(address, "--git", "branch=main,single-branch=true,depth=1")["file"])
        self.assertEqual(b"two\n", self.executor(f"{address}#refs/heads/main#{third}")["file"])
        done = self.executor(f"{address}#refs/heads/none", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("has no branch or tag", done.err)

    def test_credentials_go_to_the_origin(self):
        (self.work / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        self.commit(self.work, "dockerfile")
        address = self.url.replace("http://", "git://")
        for expected, context, env in ((b"joe:pw", address.replace("git://", "git://joe:pw@"), {}),
                                       (b"tok:", address, {"GIT_TOKEN": "tok"})):
            self.server.seen.clear()
            self.executor(context, **env)
            want = "Basic " + base64.b64encode(expected).decode()
            given = {dict((k.lower(), v) for k, v in dict(s[2]).items()).get("authorization") for s in self.server.seen}
            self.assertEqual({want}, given)


class Proxy:
    """Before a registry: `refuse(method, path)` may give a status and a body in place of its answer."""

    def __init__(self, host, refuse):
        self.host, self.refuse, self.seen = host, refuse, []
        methods = {f"do_{m}": (lambda h: self.answer(h)) for m in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")}
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,),
                       dict(methods, log_message=lambda *a: None, protocol_version="HTTP/1.1"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.name = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        chunks = b""
        if handler.headers.get("Transfer-Encoding", "") == "chunked":
            while size := int(handler.rfile.readline().split(b";")[0], 16):
                chunks += handler.rfile.read(size)
                handler.rfile.readline()
            handler.rfile.readline()
        body = chunks or handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.seen.append((handler.command, handler.path))
        refused = self.refuse(handler.command, handler.path)
        if refused:
            status, headers, data = refused[0], {"Content-Type": "application/json"}, refused[1]
        else:
            connection = http.client.HTTPConnection(self.host)
            keep = {k: v for k, v in handler.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
            connection.request(handler.command, handler.path, body, keep)
            answer = connection.getresponse()
            data, status = answer.read(), answer.status
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("content-length", "transfer-encoding")}
            if handler.command == "HEAD" and answer.getheader("Content-Length"):
                headers["Content-Length"] = answer.getheader("Content-Length")
            connection.close()
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        if "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class RegistryTest(Kaniko):
    def test_permission_is_asked_for_before_any_work(self):
        secured = self.closing(Registry(self.folder / "s", auth=htpasswd(self.folder / "h", "user", PASSWORD)))
        context = self.context("FROM {base}\nRUN echo ran\n")
        done = self.executor("-c", context, "-d", f"{secured.host}/app:1", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("error checking push permissions", done.err)
        self.assertNotIn("ran", done.out)
        done = self.executor("-c", context, "-d", f"{secured.host}/app:1", "--skip-push-permission-check", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("ran", done.out)
        self.assertIn("error pushing image: failed to push to destination", done.err)
        # what was asked for is taken back: no upload is left open
        self.executor("-c", context, "-d", self.name())
        asked = next(i for i, r in enumerate(self.registry.requests()) if r == ("POST", "/v2/app/blobs/uploads/"))
        self.assertIn("DELETE", [r[0] for r in self.registry.requests()[asked:]])

    def test_retries(self):
        failures = [503] * 0 + [400, 400]
        proxy = self.closing(Proxy(self.registry.host, lambda method, path: (failures.pop(), b"{}")
                                   if method == "PUT" and "/manifests/" in path and failures else None))
        done = self.executor("-c", self.context(), "-d", f"{proxy.name}/app:1", "--push-retry", "2")
        self.assertEqual(2, done.err.count("Retrying operation after"))
        self.assertIn("Pushed ", done.err)
        failures.append(400)
        done = self.executor("-c", self.context(), "-d", f"{proxy.name}/app:2", check=False)
        self.assertEqual(1, done.returncode)

    def test_a_tag_that_stays(self):
        body = json.dumps({"errors": [{"code": "TAG_INVALID", "message":
                                       "The image tag '1' already exists and cannot be overwritten because the tag is "
                                       "immutable."}]}).encode()
        proxy = self.closing(Proxy(self.registry.host, lambda method, path: (400, body)
                                   if method == "PUT" and "/manifests/" in path else None))
        words = ["-c", self.context(), "-d", f"{proxy.name}/app:1"]
        self.assertEqual(1, self.executor(*words, check=False).returncode)
        done = self.executor(*words, "--push-ignore-immutable-tag-errors")
        self.assertIn("Immutable tag error ignored for", done.err)

    def test_mirrors(self):
        context = self.context("FROM nowhere.example/base:1\nCOPY f /f\n")
        words = ["-c", context, "-d", self.name("m:1")]
        self.executor(*words, f"--registry-map=nowhere.example={self.registry.host}")
        self.executor(*words, env={"KANIKO_REGISTRY_MAP": f"other.example=x;nowhere.example={self.registry.host}"},
                      root="second")
        # Docker Hub's short names, a path at the mirror
        self.slipway("pull", self.base)
        self.slipway("tag", self.base, self.name("cache/library/base:1"))
        self.slipway("push", self.name("cache/library/base:1"))
        self.executor("-c", self.context("FROM base:1\nCOPY f /f\n"), "-d", self.name("m:2"),
                      f"--registry-mirror={self.registry.host}/cache", "--skip-default-registry-fallback", root="third")
        done = self.executor("-c", self.context("FROM absent:1\n"), "--no-push", "--registry-mirror",
                             f"{self.registry.host}/cache", "--skip-default-registry-fallback", check=False)
        self.assertEqual(1, done.returncode)

    def test_certificates(self):
        certificate, key = make_certificate(self.folder / "tls")
        secure = self.closing(Registry(self.folder / "t", certificate=(certificate, key)))
        base = self.give(secure, env={"SSL_CERT_FILE": str(certificate)})
        context = write_context(self.folder / "tls-context", f"FROM {base}\nCOPY f /f\n", {"f": "x"})
        words = ["-c", context, "-d", f"{secure.host}/app:1"]
        done = self.executor(*words, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("certificate", done.err)
        self.executor(*words, f"--registry-certificate={secure.host}={certificate}")
        self.executor(*words, f"--skip-tls-verify-registry={secure.host}")
        self.executor(*words, "--skip-tls-verify")
        self.executor(*words, "--insecure-registry", secure.host)
        # kaniko's image: every certificate in SSL_CERT_DIR is believed, whatever its file is called
        folder = self.folder / "certs"
        folder.mkdir()
        (folder / "ca-certificates.crt").write_text("")
        shutil.copy(certificate, folder / "added.crt")
        self.executor(*words, env={"SSL_CERT_DIR": str(folder)})
        # pulls and pushes are told apart
        done = self.executor("-c", self.context(), "-d", f"{secure.host}/app:1", "--skip-tls-verify-pull", check=False)
        self.assertEqual(1, done.returncode)


class GitLabTest(Kaniko):
    """The documented job, word for word, in the image that packaging/executor makes."""

    def setUp(self):
        super().setUp()
        require("unshare", "pivot_root", root=True)
        gathered = self.folder / "gathered"
        run([REPOSITORY / "packaging/executor/gather", binary(), gathered])
        recipe = REPOSITORY / "packaging/executor/Dockerfile"
        self.root = self.folder / "root"
        self.slipway("build", "-f", recipe, "-t", "executor:1", "-o", f"type=local,dest={self.root}", "-o", "type=image",
                     gathered)
        shutil.rmtree(gathered)
        config = json.loads(self.slipway("inspect", "executor:1").out)[0]["Config"]
        self.image_env = dict(e.split("=", 1) for e in config["Env"])
        self.assertEqual(["/kaniko/executor"], config["Entrypoint"])

    def job(self, script, env):
        """Runs the script as GitLab runs a job: in the image's root, by its shell, with the project's variables."""
        enter = ('set -e; mount --make-rprivate /; mount --bind "$1" "$1"; cd "$1"; mkdir -p .old; '
                 "mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys; pivot_root . .old; shift; "
                 "/busybox/umount -l /.old; exec /busybox/env -i \"$@\"")
        pairs = [f"{k}={v}" for k, v in dict(self.image_env, **env).items()]
        return run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", enter, "sh", self.root, *pairs, "/busybox/sh",
                    "-ec", "\n".join(script)], check=False)

    def variables(self, host):
        project = self.root / "builds/team/app"
        write_context(project, f"FROM {host}/base:1\nCOPY f /f\nRUN echo built > /made\n", {"f": "data\n"})
        return {"CI_PROJECT_DIR": "/builds/team/app", "CI_REGISTRY": host, "CI_REGISTRY_IMAGE": f"{host}/team/app",
                "CI_REGISTRY_USER": "user", "CI_REGISTRY_PASSWORD": PASSWORD, "CI_COMMIT_TAG": "v1.2.3"}

    def check_job(self, registry):
        auth = {"auths": {registry.host: {"auth": base64.b64encode(f"user:{PASSWORD}".encode()).decode()}}}
        self.give(registry, env={"DOCKER_AUTH_CONFIG": json.dumps(auth)})
        env = self.variables(registry.host)
        done = self.job(documented_job(), env)
        self.assertEqual(0, done.returncode, done.out + done.err)
        self.assertIn(f"Pushed {registry.host}/team/app@sha256:", done.err)
        other = Slipway(self.folder / "reader")
        context = write_context(self.folder / "reading", f"FROM {registry.host}/team/app:v1.2.3\n")
        done = other("build", "-o", "type=tar,dest=-", context, env={"DOCKER_AUTH_CONFIG": json.dumps(auth)})
        facts = facts_of_tar(done.stdout)
        self.assertEqual(hashlib.sha256(b"built\n").hexdigest(), facts["made"][3])
        self.assertFalse([path for path in facts if path.split("/")[0] in ("kaniko", "busybox", "builds", "workspace")],
                         "nothing of the job is in the image")
        return env

    def test_with_a_password(self):
        registry = self.closing(Registry(self.folder / "p", auth=htpasswd(self.folder / "h", "user", PASSWORD)))
        env = self.check_job(registry)
        done = self.job(documented_job(), dict(env, CI_REGISTRY_PASSWORD="wrong"))
        self.assertEqual(1, done.returncode)
        self.assertIn("error checking push permissions", done.err)
        self.assertNotIn(PASSWORD, done.out + done.err)

    def test_with_a_token_server(self):
        tokens = self.closing(TokenServer(self.folder / "t", "user", PASSWORD))
        self.check_job(self.closing(Registry(self.folder / "p", auth=tokens.configuration())))


class CacheTest(Kaniko):
    DOCKERFILE = ("FROM {base} AS one\nARG V=1\nENV E=e\nCOPY f d /in/\nRUN echo one $V >> /log && cat /in/f >> /log\n"
                  "FROM {base}\nCOPY --from=one /log /log\nRUN echo two >> /log\n")

    def build(self, context, *arguments, root="fresh", **keys):
        """With a store that knows nothing; which RUN steps ran, by what they say of themselves in the log."""
        shutil.rmtree(self.folder / root, ignore_errors=True)
        done = self.executor("-c", context, "--cache", "-d", self.name(), *arguments, root=root, **keys)
        done.hits = re.findall(r'msg="Using caching version of cmd: (.*?)"', done.err)
        done.pushed = re.findall(r'msg="Pushing layer (\S+) to cache now"', done.err)
        return done

    def context(self, dockerfile=None, files=None, name="context"):
        return super().context(dockerfile, files or {"f": "data\n", "d/x": "1\n", "d/y": "2\n"}, name)

    def log(self):
        return self.tree(self.name())["log"][3]

    def test_a_repository_is_filled_and_used(self):
        context = self.context()
        first = self.build(context)
        self.assertEqual(([], 2), (first.hits, len(first.pushed)))
        self.assertTrue(all(p.startswith(self.name("app/cache:").replace(":1/", "/")) for p in first.pushed), first.pushed)
        log = self.log()
        second = self.build(context)
        self.assertEqual((2, 0), (len(second.hits), len(second.pushed)), second.err)
        self.assertEqual(log, self.log())
        # a cached layer is an image that anybody reads
        entry = self.manifest(first.pushed[0])
        self.assertEqual(1, len(entry["layers"]))
        self.assertEqual("kaniko", self.config(first.pushed[0])["history"][0]["author"])
        # a change is a miss, and everything behind it in the stage
        (context / "f").write_text("other\n")
        third = self.build(context)
        self.assertEqual(([], 2), (third.hits, len(third.pushed)))
        self.assertEqual(1, len(self.build(context, "--build-arg", "V=2").pushed) - 1)
        Slipway(self.folder, root=self.folder / "fresh").assert_clean(self)

    def test_a_file_that_was_only_renamed_is_no_hit(self):
        """kaniko's keys do not know names; ours are told apart."""
        context = self.context()
        self.build(context)
        (context / "d/x").rename(context / "d/a")
        done = self.build(context)
        self.assertNotIn("RUN echo one $V >> /log && cat /in/f >> /log", done.hits)
        self.assertEqual(1, len(done.pushed), "what it leaves for the next stage is the same")

    def test_options(self):
        context = self.context()
        repository = self.name("elsewhere/c")
        self.assertEqual(2, len(self.build(context, "--cache-repo", repository, "--no-push").pushed))
        self.assertEqual(2, len(self.build(context, "--cache-repo", repository).hits))
        self.assertEqual(0, len(self.build(context, "--cache-repo", repository, "--cache-ttl=0s").hits))
        self.assertEqual(0, len(self.build(context, "--cache-repo", repository, "--cache-run-layers=false").hits))
        copies = self.build(context, "--cache-repo", repository, "--cache-copy-layers")
        self.assertEqual((0, 4), (len(copies.hits), len(copies.pushed)), "a miss ends the asking in its stage")
        self.assertEqual(4, len(self.build(context, "--cache-repo", repository, "--cache-copy-layers").hits))
        other = self.name("other/c")
        self.assertEqual(0, len(self.build(context, "--cache-repo", other, "--no-push-cache").pushed))
        done = self.executor("-c", context, "--cache", "--cache-repo", "a b", "--no-push", check=False)
        self.assertEqual(1, done.returncode)

    def test_layouts(self):
        context = self.context()
        place = f"oci:{self.folder}/layouts/c"
        self.assertEqual(2, len(self.build(context, "--cache-repo", place).pushed))
        self.assertEqual(2, len(list((self.folder / "layouts").glob("c:*/index.json"))))
        self.assertEqual(2, len(self.build(context, "--cache-repo", place).hits))

    def test_a_cache_that_lies(self):
        context = self.context()
        place = self.folder / "layouts"
        self.build(context, "--cache-repo", f"oci:{place}/c")
        log = self.log()
        for entry in place.glob("c:*"):
            for blob in (entry / "blobs/sha256").iterdir():
                data = blob.read_bytes()
                if data[:2] == b"\x1f\x8b":  # the layer
                    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        done = self.build(context, "--cache-repo", f"oci:{place}/c")
        self.assertEqual([], done.hits)
        self.assertIn("is not used", done.err)
        self.assertEqual(log, self.log())
        for entry in place.glob("c:*"):
            (entry / "index.json").write_text("{")
        self.assertEqual([], self.build(context, "--cache-repo", f"oci:{place}/c").hits)

    def test_a_cache_that_names_what_it_has_not(self):
        """The layers are in the store, from elsewhere: that is no proof for the cache."""
        context = self.context()
        place = self.folder / "layouts"
        self.build(context, "--cache-repo", f"oci:{place}/c")
        shutil.copytree(place, self.folder / "whole")
        for entry in place.glob("c:*"):
            for blob in (entry / "blobs/sha256").iterdir():
                if blob.read_bytes()[:2] == b"\x1f\x8b":  # the layer
                    blob.unlink()
        for where, hits in ((place, 0), (self.folder / "whole", 2)):
            shutil.rmtree(self.folder / "fresh")
            store = Slipway(self.folder, root=self.folder / "fresh")
            store("pull", self.name())
            done = self.executor("-c", context, "--cache", "-d", self.name("again:1"), "--cache-repo", f"oci:{where}/c",
                                 "--no-push-cache", root="fresh")
            self.assertEqual(hits, done.err.count("Using caching version"), done.err)
            self.assertEqual(hits == 0, "is not used" in done.err, done.err)
            store.assert_clean(self)

    def test_without_cache_everything_runs_and_nothing_is_kept(self):
        context = self.context()
        for _ in range(2):
            done = self.executor("-c", context, "-d", self.name())
            self.assertEqual(2, done.err.count('msg="RUN echo'))
        self.assertEqual([], [r for r in self.registry.requests() if "/cache/" in r[1]])

    def test_base_images_of_the_warmer(self):
        context = self.context("FROM {base}\nCOPY f /f\n")
        cache = self.folder / "warm"
        self.executor("--dockerfile", context / "Dockerfile", "--cache-dir", cache, name="warmer", root="warmer")
        entry = next(cache.iterdir())
        self.assertTrue((entry / "index.json").exists())
        again = self.executor("-i", self.base, "--cache-dir", cache, name="warmer", root="warmer")
        self.assertIn("Image already in cache", again.err)
        blob = lambda: sum(r[0] == "GET" and "/v2/base/blobs/" in r[1] for r in self.registry.requests())
        before = blob()
        done = self.build(context, "--cache-dir", cache, "--no-push-cache")
        self.assertIn("in local cache", done.err)
        self.assertLessEqual(blob() - before, 1, "at most the config")
        # what is broken is a warning
        for file in (entry / "blobs/sha256").iterdir():
            file.write_bytes(b"broken")
        self.assertIn("is not used", self.build(context, "--cache-dir", cache, "--no-push-cache").err)
        self.assertEqual(1, self.executor("-i", self.name("absent:1"), "--cache-dir", cache, name="warmer", root="warmer",
                                          check=False).returncode)


if __name__ == "__main__":
    main()
