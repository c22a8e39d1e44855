#!/usr/bin/env python3
"""Where a build's files come from: ADD of URLs and git, contexts of every kind, named contexts."""
import base64
import bz2
import email.utils
import gzip
import hashlib
import http.server
import io
import json
import lzma
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading

import rootless_suite
from support import CLEAN, MTIME, Case, add, main, make_certificate, processes_with, require, run, steps, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fuzz"))
import hostile_inputs  # noqa: E402

GIT = dict(CLEAN, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="e2e", GIT_AUTHOR_EMAIL="e2e@x",
           GIT_COMMITTER_NAME="e2e", GIT_COMMITTER_EMAIL="e2e@x", GIT_AUTHOR_DATE=f"{MTIME} +0000",
           GIT_COMMITTER_DATE=f"{MTIME} +0000")


def git(folder, *arguments, **keys):
    return run(["git", "-C", folder, *arguments], env=GIT, **keys).out.strip()


class Server:
    """HTTP on a free loopback port: `pages` maps paths to bytes or to a function of the handler; everything below
    /git/ goes to git http-backend with `repositories`. `seen` has (method, path, headers) of every request."""

    def __init__(self, certificate=None):
        self.pages, self.seen, self.repositories = {}, [], None
        self.scheme = "https" if certificate else "http"
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *unused):
                pass

            def do_GET(self):
                outer.answer(self)

            do_POST = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def requests(self, path):
        return [headers for _, seen, headers in self.seen if seen == path]

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.seen.append((handler.command, handler.path, dict(handler.headers)))
        if handler.path.startswith("/git/") and self.repositories:
            return self.backend(handler, body)
        page = self.pages.get(handler.path.split("?")[0])
        if page is None:
            return self.send(handler, 404, b"nothing here")
        if callable(page):
            return page(handler)
        etag = '"' + hashlib.sha256(page).hexdigest()[:16] + '"'
        headers = {"ETag": etag, "Last-Modified": email.utils.formatdate(MTIME, usegmt=True)}
        if handler.headers.get("If-None-Match") == etag:
            return self.send(handler, 304, b"", headers)
        self.send(handler, 200, page, headers)

    @staticmethod
    def send(handler, status, body, headers=None):
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def backend(self, handler, body):
        path, _, query = handler.path[len("/git"):].partition("?")
        env = dict(GIT, GIT_PROJECT_ROOT=str(self.repositories), GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
                   QUERY_STRING=query, REQUEST_METHOD=handler.command, REMOTE_ADDR="127.0.0.1",
                   CONTENT_TYPE=handler.headers.get("Content-Type", ""))
        for header, name in (("Content-Encoding", "HTTP_CONTENT_ENCODING"), ("Git-Protocol", "GIT_PROTOCOL")):
            if handler.headers.get(header):
                env[name] = handler.headers[header]
        done = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send(handler, int(headers.pop("Status", "200").split()[0]), content, headers)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def redirect(target, status=302):
    return lambda handler: Server.send(handler, status, b"", {"Location": target})


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            add(tar, name, data.encode() if isinstance(data, str) else data)
    return out.getvalue()


class SourceCase(Case):
    def setUp(self):
        super().setUp()
        self.server = self.closing(Server())

    def files(self, dockerfile, *options, **keys):
        """Path → content of what FROM scratch gives."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        self.slipway.build(self.context(dockerfile, keys.pop("files", None)), "-o", out, *options, **keys)
        return {str(p.relative_to(out)): p.read_text(errors="replace") for p in out.rglob("*") if p.is_file()}

    def refused(self, dockerfile, *options, **keys):
        done = self.slipway.build(self.context(dockerfile, keys.pop("files", None)), *options, check=False, **keys)
        self.assertEqual(1, done.returncode, done.out + done.err)
        return done.err


class UrlTest(SourceCase):
    def test_mode_time_and_name(self):
        self.server.pages = {"/dir/name.bin": b"bin\n", "/": b"root\n", "/q": b"query\n"}
        source = self.context("FROM scratch\nADD %s /u/\nADD %s /u/\nADD %s /renamed\n" % (
            self.server.url("/dir/name.bin"), self.server.url("/"), self.server.url("/q?a=b")))
        tree = self.slipway.tree(source)
        self.assertEqual({"u", "u/name.bin", "u/__unnamed__", "renamed"}, set(tree))
        self.assertEqual((0o600, "0:0"), tree["u/name.bin"][1:3])
        done = self.slipway("build", "-o", "type=tar,dest=-", source)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            self.assertEqual(MTIME, {m.name.lstrip("./"): m.mtime for m in tar}["u/name.bin"])

    def test_content_disposition_names_what_the_path_does_not(self):
        self.server.pages["/"] = lambda h: Server.send(
            h, 200, b"x", {"Content-Disposition": 'attachment; filename="../../etc/given.txt"'})
        self.assertEqual({"d/given.txt": "x"}, self.files(f"FROM scratch\nADD {self.server.url('/')} /d/\n"))

    def test_many_sources_with_files_of_the_context(self):
        self.server.pages = {"/a": b"a", "/b": b"b"}
        files = self.files(f"FROM scratch\nADD {self.server.url('/a')} local d {self.server.url('/b')} /x/\n",
                           files={"local": "l", "d/in": "i", "d/deep/er": "e"})
        self.assertEqual({"x/a": "a", "x/b": "b", "x/local": "l", "x/in": "i", "x/deep/er": "e"}, files)

    def test_chown_and_chmod(self):
        self.server.pages = {"/a": b"a"}
        tree = self.slipway.tree(self.context(f"FROM scratch\nADD --chown=3:4 --chmod=755 {self.server.url('/a')} /x/\n"))
        self.assertEqual((0o755, "3:4"), tree["x/a"][1:3])

    def test_archives_stay_packed_unless_told(self):
        self.server.pages = {"/a.tgz": gzip.compress(tar_of({"in/tar": "t"}))}
        files = self.files(f"FROM scratch\nADD {self.server.url('/a.tgz')} /p/\n"
                           f"ADD --unpack=true {self.server.url('/a.tgz')} /u/\n")
        self.assertEqual({"p/a.tgz", "u/in/tar"}, set(files))

    def test_checksum(self):
        self.server.pages = {"/a": b"a"}
        good, bad = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
        self.assertEqual({"a": "a"}, self.files(f"FROM scratch\nADD --checksum=sha256:{good} {self.server.url('/a')} /a\n"))
        text = self.refused(f"FROM scratch\nADD --checksum=sha256:{bad} {self.server.url('/a')} /a\n")
        self.assertIn(f"digest mismatch sha256:{good}: sha256:{bad}", text)
        text = self.refused(f"FROM scratch\nADD --checksum=md5:1 {self.server.url('/a')} /a\n")
        self.assertIn("--checksum", text)

    def test_a_status_is_one_line_with_the_url(self):
        text = self.refused(f"FROM scratch\nADD {self.server.url('/nope')} /a\n")
        self.assertIn(f"invalid response status 404 from {self.server.url('/nope')}", text)
        self.assertIn(">>> ADD", text)

    def test_the_content_is_the_key_and_is_asked_for_again(self):
        self.server.pages = {"/a": b"one"}
        source = self.context(f"FROM scratch\nADD {self.server.url('/a')} /a\n")
        add_step = f"ADD {self.server.url('/a')} /a"
        self.assertEqual("ran", steps(self.slipway.build(source).err)[add_step])
        self.assertEqual("cached", steps(self.slipway.build(source).err)[add_step])
        self.assertIn("If-None-Match", self.server.requests("/a")[-1])
        self.server.pages = {"/a": b"two"}
        self.assertEqual("ran", steps(self.slipway.build(source).err)[add_step])
        self.server.pages = {"/a": lambda h: Server.send(h, 200, b"two")}  # no validators, the same bytes
        self.assertEqual("cached", steps(self.slipway.build(source).err)[add_step])

    def test_a_signed_url_is_in_no_record_and_no_log(self):
        self.server.pages = {"/a": b"one"}
        source = self.context(f"FROM scratch\nARG SIGNATURE\nADD {self.server.url('/a')}?sig=$SIGNATURE /a\n")
        for page in (b"one", None):
            if page is None:
                self.server.pages = {}
                (source / "Dockerfile").write_text((source / "Dockerfile").read_text() + "LABEL again=1\n")
            done = self.slipway.build(source, "--build-arg", "SIGNATURE=s1gnature55", check=False)
            self.assertEqual(page is None, done.returncode != 0)
            self.assertNotIn("s1gnature55", done.err)
        for file in pathlib.Path(self.slipway.root).glob("meta.db*"):
            self.assertNotIn(b"sig=s1gnature55", file.read_bytes(), file)

    def test_a_pinned_file_needs_no_server_twice(self):
        self.server.pages = {"/a": b"one"}
        digest = hashlib.sha256(b"one").hexdigest()
        dockerfile = f"FROM scratch\nADD --checksum=sha256:{digest} {self.server.url('/a')} /a\n"
        self.files(dockerfile)
        self.server.pages = {}
        self.assertEqual({"a": "one"}, self.files(dockerfile))

    def test_what_credentials_got_is_for_those_who_have_them(self):
        body = b"of another team\n"

        def page(handler):
            if handler.headers.get("Authorization") != "Bearer s3cret":
                return Server.send(handler, 401, b"")
            if handler.headers.get("If-None-Match") == '"1"':
                return Server.send(handler, 304, b"")
            Server.send(handler, 200, body, {"ETag": '"1"'})

        self.server.pages = {"/a": page}
        (self.folder / "good").write_text("s3cret")
        (self.folder / "bad").write_text("guess")
        secret = f"id=HTTP_AUTH_TOKEN_127.0.0.1,src={self.folder}"
        digest = hashlib.sha256(body).hexdigest()
        pinned = f"FROM scratch\nADD --checksum=sha256:{digest} {self.server.url('/a')} /a\n"
        self.assertEqual({"a": body.decode()}, self.files(pinned, "--secret", f"{secret}/good"))
        for dockerfile in (pinned, pinned + "COPY . /b\n", f"FROM scratch\nADD {self.server.url('/a')} /a\n"):
            for options in ([], ["--no-cache"], ["--secret", f"{secret}/bad"]):
                self.assertIn("invalid response status 401", self.refused(dockerfile, *options))
        before = len(self.server.seen)
        self.assertEqual({"a": body.decode()}, self.files(pinned, "--secret", f"{secret}/good"))
        self.assertEqual(['"1"'], [headers.get("If-None-Match") for _, _, headers in self.server.seen[before:]])

    def test_last_modified_of_this_second_is_not_trusted(self):
        state = {"body": b"one"}

        def page(handler):
            now = email.utils.formatdate(usegmt=True)
            if "If-Modified-Since" in handler.headers:
                return Server.send(handler, 304, b"")
            Server.send(handler, 200, state["body"], {"Last-Modified": now})

        self.server.pages = {"/a": page}
        dockerfile = f"FROM scratch\nADD {self.server.url('/a')} /a\n"
        self.assertEqual({"a": "one"}, self.files(dockerfile))
        state["body"] = b"two"
        self.assertEqual({"a": "two"}, self.files(dockerfile))

    def test_redirects(self):
        self.server.pages = {"/far": b"far", "/near": redirect("/far"), "/again": redirect("near", 308)}
        self.assertEqual({"x/again": "far"}, self.files(f"FROM scratch\nADD {self.server.url('/again')} /x/\n"))
        self.server.pages["/loop"] = redirect("/loop")
        self.assertIn("redirects more than 10 times", self.refused(f"FROM scratch\nADD {self.server.url('/loop')} /x\n"))
        self.server.pages["/file"] = redirect("file:///etc/passwd")
        self.assertIn("neither http nor https", self.refused(f"FROM scratch\nADD {self.server.url('/file')} /x\n"))

    def test_credentials_go_to_their_origin_only(self):
        other = self.closing(Server())
        other.pages = {"/far": b"far"}
        self.server.pages = {"/near": redirect("/mid"), "/mid": redirect(other.url("/far"))}
        secret = self.folder / "token"
        secret.write_text("s3cret\n")
        done = self.slipway.build(self.context(f"FROM scratch\nADD {self.server.url('/near')} /x\n"), "--secret",
                                  f"id=HTTP_AUTH_TOKEN_127.0.0.1,src={secret}")
        self.assertEqual("Bearer s3cret", self.server.requests("/near")[0].get("Authorization"))
        self.assertEqual("Bearer s3cret", self.server.requests("/mid")[0].get("Authorization"))
        self.assertNotIn("Authorization", other.requests("/far")[0])
        self.assertNotIn("s3cret", done.out + done.err)
        self.slipway.build(self.context(f"FROM scratch\nADD {other.url('/far')} /x\n"), "--secret",
                           f"id=HTTP_AUTH_HEADER_127.0.0.1:{other.port},src={secret}")
        self.assertEqual("s3cret", other.requests("/far")[-1].get("Authorization"))
        for path in self.slipway.root.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"s3cret", path.read_bytes(), path)

    def test_a_cut_answer_is_no_file(self):
        def page(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b"half")
            handler.close_connection = True

        self.server.pages = {"/a": page}
        self.assertIn("/a", self.refused(f"FROM scratch\nADD {self.server.url('/a')} /x\n"))
        self.slipway.assert_clean(self)

    def test_a_hanging_server_ends_with_the_build(self):
        reached, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def page(handler):
            reached.set()
            go_on.wait(60)
            handler.close_connection = True

        self.server.pages = {"/a": page}
        process = self.slipway.start("build", self.context(f"FROM scratch\nADD {self.server.url('/a')} /x\n"))
        self.assertTrue(reached.wait(60))
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(0, process.wait(60))
        process.stdout.close()

    def test_https_stays_https(self):
        certificate = make_certificate(self.folder / "tls")
        secure = self.closing(Server(certificate))
        self.server.pages = {"/a": b"a"}
        secure.pages = {"/a": b"secure", "/down": redirect(self.server.url("/a"))}
        env = {"SSL_CERT_FILE": str(certificate[0])}
        self.assertEqual({"a": "secure"}, self.files(f"FROM scratch\nADD {secure.url('/a')} /a\n", env=env))
        text = self.refused(f"FROM scratch\nADD {secure.url('/down')} /a\n", env=env)
        self.assertIn("redirects to plain http", text)
        self.assertEqual([], self.server.seen)
        self.refused(f"FROM scratch\nADD --checksum=sha256:{64 * '0'} {secure.url('/a')} /a\n")  # an unknown certificate

    def test_link(self):
        self.server.pages = {"/a": b"a"}
        self.assertEqual({"x/a": "a", "b": "b\n"}, self.files(
            f"FROM scratch\nCOPY <<EOF /b\nb\nEOF\nADD --link {self.server.url('/a')} /x/\n"))

    def test_refusals(self):
        for source, text in (("http://user:pw@127.0.0.1/x", "user information"), ("ftp://h/x", "not found")):
            self.assertIn(text, self.refused(f"FROM scratch\nADD {source} /x\n"))
        self.assertIn("checksum requires HTTP(S) or Git sources",
                      self.refused("FROM scratch\nADD --checksum=sha256:" + 64 * "0" + " a /x\n", files={"a": "a"}))


class GitCase(SourceCase):
    def setUp(self):
        super().setUp()
        require("git")
        if subprocess.run(["git", "http-backend"], env=GIT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 1:
            self.skipTest("git http-backend is missing")
        self.server.repositories = self.repositories = self.folder / "repositories"
        self.repositories.mkdir()
        self.work = self.repository("app", {"file": "one\n", "docs/page": "page\n", "run": "#!\n"})
        (self.work / "run").chmod(0o755)
        self.commit(self.work, "modes")
        git(self.work, "tag", "-a", "v1", "-m", "v1")
        self.first = git(self.work, "rev-parse", "HEAD")
        (self.work / "file").write_text("two\n")
        self.second = self.commit(self.work, "two")
        self.url = self.server.url("/git/app.git")

    def repository(self, name, files):
        """A work tree whose commits show at /git/NAME.git."""
        work = self.folder / f"work-{name}"
        work.mkdir()
        git(work, "init", "-q", "-b", "main")
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git(self.folder, "init", "-q", "--bare", "-b", "main", self.repositories / f"{name}.git")
        git(work, "remote", "add", "origin", self.repositories / f"{name}.git")
        self.commit(work, "first")
        return work

    def commit(self, work, message):
        git(work, "add", "-A")
        git(work, "commit", "-q", "--allow-empty", "-m", message)
        git(work, "push", "-q", "--tags", "origin", "main")
        return git(work, "rev-parse", "HEAD")


class GitTest(GitCase):
    def test_what_a_repository_may_take_is_bounded(self):
        (self.work / "much").write_bytes(b"the same again\n" * 600_000)  # some kilobytes in a pack
        self.commit(self.work, "small to send")
        self.server.pages = {}
        for limit, status in (("4MB", 1), ("64MB", 0)):
            done = self.slipway.build(self.context(f"FROM scratch\nADD {self.url} /a/\n"), check=False,
                                      env={"SLIPWAY_GIT_MAX_SIZE": limit})
            self.assertEqual(status, done.returncode, done.err)
            self.assertEqual(status == 1, "it takes more than 4" in done.err and "SLIPWAY_GIT_MAX_SIZE" in done.err, done.err)
        done = self.slipway("build", self.url, check=False, env={"SLIPWAY_GIT_MAX_SIZE": "4MB"})
        self.assertIn("it takes more than 4", done.err)
        self.slipway.assert_clean(self)

    def test_refs_and_folders(self):
        dockerfile = f"""FROM scratch
ADD {self.url} /head/
ADD {self.url}#v1 /tag/
ADD {self.url}#{self.first} /commit
ADD {self.url}#main:docs /docs/
ADD {self.url}?tag=v1&subdir=docs /query/
ADD --exclude=docs {self.url}#main /less/
"""
        files = self.files(dockerfile)
        self.assertEqual("two\n", files["head/file"])
        self.assertEqual("one\n", files["tag/file"])
        self.assertEqual("one\n", files["commit/file"])
        self.assertEqual({"docs/page": "page\n", "query/page": "page\n"},
                         {k: v for k, v in files.items() if k.startswith(("docs/", "query/"))})
        self.assertNotIn("less/docs/page", files)
        self.assertFalse([p for p in files if "/.git/" in p])

    def test_modes_times_and_owner_do_not_depend_on_the_machine(self):
        source = self.context(f"FROM scratch\nADD {self.url} /a/\n")
        mask = os.umask(0o077)
        try:
            done = self.slipway("build", "-o", "type=tar,dest=-", source)
        finally:
            os.umask(mask)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            facts = {m.name.lstrip("./"): (m.mode & 0o7777, m.uid, m.mtime) for m in tar}
        self.assertEqual((0o755, 0, MTIME), facts["a/run"])
        self.assertEqual((0o644, 0, MTIME), facts["a/file"])
        self.assertEqual((0o755, 0, MTIME), facts["a/docs"])

    def test_git_dir_is_kept_on_demand(self):
        files = self.files(f"FROM scratch\nADD --keep-git-dir=true {self.url} /a/\nADD {self.url}?keep-git-dir=true /b/\n")
        self.assertIn("a/.git/HEAD", files)
        self.assertIn("b/.git/HEAD", files)
        self.assertEqual(self.second, files["a/.git/HEAD"].strip())

    def test_the_commit_is_the_key(self):
        source = self.context(f"FROM scratch\nADD {self.url} /a/\n")
        step = f"ADD {self.url} /a/"
        self.assertEqual("ran", steps(self.slipway.build(source).err)[step])
        again = self.slipway.build(source).err
        self.assertEqual("cached", steps(again)[step])
        self.assertNotIn("[internal] fetch", again)
        (self.work / "file").write_text("three\n")
        self.commit(self.work, "three")
        self.assertEqual("ran", steps(self.slipway.build(source).err)[step])

    def test_checksum(self):
        files = self.files(f"FROM scratch\nADD --checksum={self.first} {self.url}#v1 /a/\n"
                           f"ADD {self.url}?commit={self.second} /b/\n")
        self.assertEqual(("one\n", "two\n"), (files["a/file"], files["b/file"]))
        text = self.refused(f"FROM scratch\nADD --checksum={self.first} {self.url}#main /a/\n")
        self.assertIn(f"expected checksum to match {self.first}, got {self.second}", text)

    def test_submodules(self):
        inner = self.repository("inner", {"in": "inner\n"})
        outer = self.repository("outer", {"out": "outer\n"})
        git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", self.repositories / "inner.git", "sub")
        git(outer, "config", "-f", ".gitmodules", "submodule.sub.url", "../inner.git")
        self.commit(outer, "sub")
        url = self.server.url("/git/outer.git")
        files = self.files(f"FROM scratch\nADD {url} /a/\nADD {url}?submodules=false /b/\n")
        self.assertEqual("inner\n", files["a/sub/in"])
        self.assertNotIn("b/sub/in", files)
        self.assertFalse([p for p in files if ".git" in pathlib.PurePath(p).parts])
        git(outer, "config", "-f", ".gitmodules", "submodule.sub.url", f"file://{self.repositories}/inner.git")
        self.commit(outer, "a submodule on the host")
        self.assertIn("submodules", self.refused(f"FROM scratch\nADD {url} /c/\n"))

    def test_hostile_names(self):
        marker = self.folder / "marker"
        for source in (f"{self.url}#--upload-pack=touch {marker}", f"{self.url}#--output={marker}",
                       "ssh://-oProxyCommand=touch%20x/a.git", f"{self.url}?ref=-q", f"{self.url}#a..b",
                       f"{self.url}#refs/heads/*:refs/heads/x"):
            text = self.refused(f'FROM scratch\nADD ["{source}", "/a/"]\n')
            self.assertNotIn("panic", text)
        self.assertFalse(marker.exists())
        self.assertIn("has no branch or tag", self.refused(f"FROM scratch\nADD {self.url}#nope /a/\n"))

    def test_hostile_trees(self):
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret\n")
        os.symlink(outside, self.work / "escape")
        os.symlink("/etc", self.work / "etc")
        self.commit(self.work, "links")
        self.assertIn("has no folder", self.refused(f"FROM scratch\nADD {self.url}#main:escape /a/\n"))
        files = self.files(f"FROM scratch\nADD {self.url}#main:../../../../docs /a/\n")
        self.assertEqual({"a/page": "page\n"}, files)
        self.assertIn("not found", self.refused("FROM scratch\nCOPY --from=c escape/secret /x\n", "--build-context",
                                                f"c={self.url}"))

    def test_no_hook_filter_or_configuration_of_the_user_runs(self):
        marker = self.folder / "marker"
        (self.slipway.home / ".gitconfig").write_text(
            f'[core]\n\thooksPath = {self.folder}/hooks\n[filter "evil"]\n\tsmudge = touch {marker}; cat\n')
        hooks = self.folder / "hooks"
        hooks.mkdir()
        (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / "post-checkout").chmod(0o755)
        (self.work / ".gitattributes").write_text("file filter=evil\n")
        self.commit(self.work, "attributes")
        self.assertEqual("two\n", self.files(f"FROM scratch\nADD {self.url} /a/\n")["a/file"])
        self.assertFalse(marker.exists())

    def test_a_token_goes_to_the_repository_only(self):
        secret = self.folder / "token"
        secret.write_text("gh_token\n")
        done = self.slipway.build(self.context(f"FROM scratch\nADD {self.url} /a/\n"), "--secret",
                                  f"id=GIT_AUTH_TOKEN,src={secret}")
        self.assertTrue(self.server.seen[0][2]["Authorization"].startswith("basic "))
        self.assertNotIn("gh_token", done.out + done.err)

    def test_what_a_token_got_is_for_those_who_have_it(self):
        backend, allowed = self.server.backend, "basic " + base64.b64encode(b"x-access-token:gh_token").decode()

        def guarded(handler, body):
            if handler.headers.get("Authorization") != allowed:
                return Server.send(handler, 401, b"", {"WWW-Authenticate": "Basic"})
            return backend(handler, body)

        pinned = f"FROM scratch\nADD {self.url}#{self.first} /a/\n"
        self.assertEqual("one\n", self.files(pinned)["a/file"])
        before = len(self.server.seen)
        self.files(pinned)
        self.assertEqual(before, len(self.server.seen), "what is public is not asked for again")
        private = f"FROM scratch\nADD {self.url}#{self.second} /a/\n"
        self.server.backend = guarded
        (self.folder / "good").write_text("gh_token")
        (self.folder / "bad").write_text("guess")
        secret = f"id=GIT_AUTH_TOKEN,src={self.folder}"
        for _ in range(2):
            self.assertEqual("two\n", self.files(private, "--secret", f"{secret}/good")["a/file"])
        for options in ([], ["--no-cache"], ["--secret", f"{secret}/bad"]):
            self.assertIn("cannot fetch", self.refused(private, *options))

    def test_git_as_context(self):
        (self.work / "docker").mkdir()
        (self.work / "docker/Dockerfile").write_text("FROM scratch\nCOPY . /c/\n")
        (self.work / "Dockerfile").write_text("FROM scratch\nCOPY . /all/\n")
        (self.work / ".dockerignore").write_text("docs\n")
        self.commit(self.work, "dockerfiles")
        out = self.folder / "o"
        self.slipway.build(self.url, "-o", out)
        self.assertEqual("two\n", (out / "all/file").read_text())
        self.assertFalse((out / "all/docs").exists())
        self.assertFalse((out / "all/.git").exists())
        self.slipway.build(self.url + "#main:docker", "-o", self.folder / "o2")
        self.assertEqual(["Dockerfile"], os.listdir(self.folder / "o2/c"))
        self.slipway.build(self.url, "-f", "docker/Dockerfile", "--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", "-o",
                           self.folder / "o3")
        self.assertTrue((self.folder / "o3/c/.git/HEAD").exists())
        done = self.slipway.build(self.url, "-f", "../../../etc/passwd", check=False)
        self.assertIn("it is not there", done.err)
        self.slipway.assert_clean(self)

    def test_a_dockerfile_or_ignore_file_that_leads_out(self):
        secret = self.folder / "secret"
        secret.write_text("TOPSECRET [\n")
        for name in ("Dockerfile", ".dockerignore"):
            work = self.repository(f"evil{name[-3:]}".lower(), {"Dockerfile": "FROM scratch\nCOPY . /\n"})
            (work / name).unlink(missing_ok=True)
            os.symlink(secret, work / name)
            self.commit(work, "evil")
            done = self.slipway.build(self.server.url(f"/git/evil{name[-3:]}.git".lower()), check=False)
            self.assertNotIn("TOPSECRET", done.out + done.err)

    def test_git_ends_with_the_build(self):
        reached, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def page(handler):
            reached.set()
            go_on.wait(60)
            handler.close_connection = True

        slow = self.closing(Server())
        slow.pages = {"/git/a.git/info/refs": page}
        process = self.slipway.start("build", self.context(f"FROM scratch\nADD {slow.url('/git/a.git')} /x\n"))
        self.assertTrue(reached.wait(60))
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(0, process.wait(60))
        process.stdout.close()
        until(lambda: not processes_with(slow.url("/git/a.git")), "git and its helpers to end")

    def test_without_git(self):
        empty = self.folder / "empty"
        empty.mkdir()
        done = self.slipway.build(self.context(f"FROM scratch\nADD {self.url} /a/\n"), check=False,
                                  env={"PATH": str(empty)})
        self.assertIn("the git program is not there", done.err)


class ContextTest(SourceCase):
    FILES = {"Dockerfile": "FROM scratch\nCOPY . /c/\n", "a": "a", "sub/b": "b", ".dockerignore": "sub/no\n", "sub/no": "n",
             "other/Containerfile": "FROM scratch\nCOPY a /other\n"}

    def built(self, *options, **keys):
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        self.slipway("build", "--progress", "plain", "-o", out, *options, **keys)
        return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}

    def test_tar_on_standard_input(self):
        plain = tar_of(self.FILES)
        expected = {"c/Dockerfile", "c/a", "c/sub/b", "c/.dockerignore", "c/other/Containerfile"}
        packed = [plain, gzip.compress(plain), bz2.compress(plain), lzma.compress(plain)]
        if shutil.which("zstd"):
            packed.append(subprocess.run(["zstd", "-c"], input=plain, stdout=subprocess.PIPE, check=True,
                                         stderr=subprocess.DEVNULL).stdout)
        for data in packed:
            self.assertEqual(expected, self.built("-", input=data), data[:6])
        self.assertEqual({"other"}, self.built("-f", "other/Containerfile", "-", input=plain))
        self.slipway.assert_clean(self)

    def test_dockerfile_on_standard_input(self):
        self.assertEqual({"made"}, self.built("-", input=b"FROM scratch\nCOPY <<EOF /made\nx\nEOF\n"))
        done = self.slipway("build", "-", input=b"FROM scratch\nCOPY a /a\n", check=False)
        self.assertIn('"/a": not found', done.err)
        done = self.slipway("build", "-f", "-", "-", input=b"FROM scratch\n", check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn("can't use stdin for both", done.err)

    def test_a_dockerfile_on_standard_input_uses_the_root_ignore_file_only(self):
        source = self.context("unused\n", {"a": "a", "b": "b", ".dockerignore": "b\n", "-.dockerignore": "a\n"})
        self.assertEqual({"c/a", "c/Dockerfile", "c/.dockerignore", "c/-.dockerignore"},
                         self.built("-f", "-", source, input=b"FROM scratch\nCOPY . /c/\n", cwd=source))

    def test_url(self):
        self.server.pages = {"/context.tgz": gzip.compress(tar_of(self.FILES)),
                             "/Dockerfile": b"FROM scratch\nCOPY <<EOF /made\nx\nEOF\n"}
        self.assertIn("c/sub/b", self.built(self.server.url("/context.tgz")))
        self.assertEqual({"other"}, self.built("-f", "other/Containerfile", self.server.url("/context.tgz")))
        self.assertEqual({"made"}, self.built(self.server.url("/Dockerfile")))
        self.assertEqual({"made"}, self.built("-f", self.server.url("/Dockerfile"), self.context("unused\n")))
        done = self.slipway.build(self.server.url("/none"), check=False)
        self.assertIn("404", done.err)

    def test_hostile_archives(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            add(tar, "../../escaped", b"x")
            add(tar, "link", kind=tarfile.SYMTYPE, link=str(self.folder))
            add(tar, "link/escaped", b"x")
            add(tar, "Dockerfile", b"FROM scratch\nCOPY . /c/\n")
        self.slipway("build", "-", input=out.getvalue(), check=False)
        self.assertFalse((self.folder / "escaped").exists())
        for data in (gzip.compress(b"no tar"), tar_of(self.FILES)[:700], b"\x1f\x8b\x08 rubbish"):
            done = self.slipway("build", "-", input=data, check=False)
            self.assertEqual(1, done.returncode, done.err)
        self.slipway.assert_clean(self)

    def test_an_archive_that_claims_or_unpacks_to_too_much(self):
        padded = gzip.compress(tar_of(self.FILES) + bytes(40 << 20))[:-100]  # an error for who reads all of the zeros
        self.slipway("build", "-", input=padded)
        done = self.slipway("build", "-", check=False, input=hostile_inputs.sparse_header(1 << 42) + tar_of(self.FILES))
        self.assertEqual(1, done.returncode)
        self.assertIn("the store's disk has", done.err)
        self.slipway.assert_clean(self)

    def test_special_files(self):
        source = self.context("FROM scratch\nCOPY . /c/\n", {"a": "a"})
        os.mkfifo(source / "fifo")
        tree = self.slipway.tree(source)
        self.assertEqual(tarfile.FIFOTYPE, tree["c/fifo"][0])
        os.mkfifo(source / "Dockerfile.fifo")
        done = self.slipway.build(source, "-f", source / "Dockerfile.fifo", check=False)
        self.assertIn("is not a file", done.err)
        (source / "fifo").unlink()
        os.mkfifo(source / ".dockerignore")
        done = self.slipway.build(source, check=False)
        self.assertIn("is not a file", done.err)

    def test_a_sparse_terabyte(self):
        source = self.context("FROM scratch\nCOPY big /\n")
        with open(source / "big", "wb") as big:
            big.truncate(1 << 40)
        free = shutil.disk_usage(self.folder).free
        if free > 1 << 40:
            self.skipTest("there is room for it")
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("big", done.err)
        self.assertIn("free", done.err)


class NamedTest(SourceCase):
    def setUp(self):
        super().setUp()
        self.other = self.folder / "other"
        (self.other / "sub").mkdir(parents=True)
        (self.other / "sub/x").write_text("x\n")
        (self.other / "no").write_text("n\n")
        (self.other / ".dockerignore").write_text("no\n")

    def test_folder(self):
        option = ("--build-context", f"other={self.other}")
        self.assertEqual({"x": "x\n"}, self.files("FROM scratch\nCOPY --from=other sub/x /x\n", *option))
        self.assertEqual({"sub/x", ".dockerignore"}, set(self.files("FROM other\n", *option)))
        self.assertIn("not found", self.refused("FROM scratch\nCOPY --from=other no /x\n", *option))
        done = self.slipway.build(self.context("FROM scratch\n"), "--build-context", "other=nowhere", check=False)
        self.assertIn("path \"nowhere\" not found", done.err)

    def test_folder_as_mount(self):
        self.give_base()
        self.assertEqual("x\n", self.files(
            "FROM base AS b\nRUN --mount=from=other,target=/m cp /m/sub/x /y\nFROM scratch\nCOPY --from=b /y /y\n",
            "--build-context", f"other={self.other}")["y"])

    def test_a_mount_reads_only_what_it_shows(self):
        self.give_base()
        with open(self.other / "huge", "wb") as huge:
            huge.truncate(1 << 42)  # no disk has room for it
        for option, source in (("source=sub", "/m/x"), ("source=sub/x", "/m"), ("source=/sub/../sub", "/m/x")):
            self.assertEqual("x\n", self.files(
                f"FROM base AS b\nRUN --mount=from=other,{option},target=/m cp {source} /y\nFROM scratch\nCOPY --from=b /y /y\n",
                "--build-context", f"other={self.other}")["y"])
        text = self.refused("FROM base\nRUN --mount=from=other,source=nowhere,target=/m true\n", "--build-context", f"other={self.other}")
        self.assertIn("not found", text)

    def test_it_comes_before_stages_and_images(self):
        dockerfile = "FROM scratch AS mid\nCOPY <<EOF /stage\ns\nEOF\nFROM busybox AS unpulled\nFROM scratch\nCOPY --from=mid / /m/\nCOPY --from=busybox / /b/\n"
        files = self.files(dockerfile, "--build-context", f"mid={self.other}", "--build-context",
                           f"docker.io/library/busybox:latest={self.other}")
        self.assertEqual({"m/sub/x", "m/.dockerignore", "b/sub/x", "b/.dockerignore"}, set(files))
        self.assertEqual({"sub/x", ".dockerignore"}, set(self.files("FROM scratch AS mid\nCOPY a /\n", "--build-context",
                                                                    f"MID={self.other}", files={"a": "a"})))

    def test_image_and_layout(self):
        self.give_base()
        self.assertIn("p", self.files("FROM scratch\nCOPY --from=img /etc/passwd /p\n", "--build-context",
                                      "img=docker-image://base"))
        made = self.context("FROM base\nENV A=b\nCOPY <<EOF /made\nm\nEOF\n", name="made")
        layout = self.folder / "layout.tar"
        self.slipway.build(made, "-t", "made:1", "-o", f"type=oci,dest={layout}")
        with tarfile.open(layout) as tar:
            tar.extractall(self.folder / "layout")
        digest = json.loads((self.folder / "layout/index.json").read_text())["manifests"][0]["digest"]
        fresh = type(self.slipway)(self.folder / "fresh")
        for address in (f"{self.folder}/layout", f"{self.folder}/layout@{digest}"):
            out = self.folder / "o"
            shutil.rmtree(out, ignore_errors=True)
            fresh.build(self.context("FROM lay\nARG A\nRUN echo $A >/env\n"), "--build-context",
                        f"lay=oci-layout://{address}", "-o", out)
            self.assertEqual("m\n", (out / "made").read_text())
            self.assertEqual("b\n", (out / "env").read_text())
        text = fresh.build(self.context("FROM lay\n"), "--build-context", f"lay=oci-layout://{self.folder}/layout:nope",
                           check=False).err
        self.assertIn("has no image called", text)
        fresh.assert_clean(self)

    def test_remote(self):
        self.server.pages = {"/c.tar": tar_of({"in": "i"}), "/plain": b"p"}
        files = self.files("FROM scratch\nCOPY --from=t in /t\nCOPY --from=p context /p\n", "--build-context",
                           f"t={self.server.url('/c.tar')}", "--build-context", f"p={self.server.url('/plain')}")
        self.assertEqual({"t": "i", "p": "p"}, files)

    def test_stage(self):
        dockerfile = "FROM scratch AS one\nCOPY <<EOF /one\n1\nEOF\nFROM alias\nCOPY --from=alias /one /two\n"
        self.assertEqual({"one", "two"}, set(self.files(dockerfile, "--build-context", "alias=target:one")))
        self.assertIn("is not defined before", self.refused("FROM x AS y\n", "--build-context", "x=target:y"))

    def test_reserved(self):
        self.assertIn("reserved", self.refused("FROM scratch\nCOPY --from=context a /a\n", files={"a": "a"}))
        for text in ("context=x", "scratch=x", "=x", "x", "x=", "../x=y"):
            done = self.slipway.build(self.context("FROM scratch\n"), "--build-context", text, check=False)
            self.assertEqual(2, done.returncode, text)


class UserTest(GitCase):
    """As an ordinary user, as far as that makes a difference."""

    def setUp(self):
        super().setUp()
        rootless_suite.setUpModule()
        if subprocess.run(["unshare", "--user", "--map-root-user", "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("this machine makes no user namespaces")
        self.slipway = rootless_suite.UserSlipway(self.folder / "user")

    def test_tar_and_git_contexts(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            add(tar, "Dockerfile", f"FROM scratch\nCOPY s /s\nADD {self.url} /a/\n".encode())
            add(tar, "s", b"s", mode=0o4755, uid=1234567, gid=7654321)
        done = self.slipway("build", "-o", "type=tar,dest=-", "-", input=out.getvalue())
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            facts = {m.name.lstrip("./"): (m.mode & 0o7777, m.uid, m.gid) for m in tar}
        self.assertEqual((0o4755, 0, 0), facts["s"])
        self.assertEqual((0o644, 0, 0), facts["a/file"])

    def test_an_unreadable_file_is_named(self):
        source = self.context("FROM scratch\nCOPY . /\n", {"closed/secret": "s"})
        os.chmod(source / "closed/secret", 0)
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("secret", done.err)
        self.assertIn("ermission denied", done.err)
        os.chmod(source / "closed", 0)
        done = self.slipway.build(source, check=False)
        self.assertIn("closed", done.err)


if __name__ == "__main__":
    main()
