"""What the end-to-end suites share: the program under test, a base image, a registry, a Docker daemon, probes.

Standard library only. Everything made lies in a folder of the test and is gone afterwards; servers listen on free
loopback ports or on sockets in that folder and are stopped by their process ids.
"""
import base64
import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import urllib.parse

MTIME = 1_700_000_000
DEADLINE = 120  # seconds before a command that hangs is a failure; nothing is measured against it
# Not the process's environment: a proxy, a login or a colour setting of the person who runs the tests is not a test's.
CLEAN = {k: v for k, v in os.environ.items()
         if not k.startswith(("SLIPWAY", "DOCKER", "BUILDKIT", "REGISTRY", "XDG")) and k.lower() not in (
             "http_proxy", "https_proxy", "no_proxy", "all_proxy", "source_date_epoch", "no_color")}


def binary():
    path = os.environ.get("SLIPWAY")
    if not path or not os.access(path, os.X_OK):
        sys.exit("set SLIPWAY to the program under test")
    return os.path.abspath(path)


def require(*programs, root=False):
    """Skips the suite, with the reason, when it cannot run here."""
    if root and os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is missing (packaging/install test)")


def until(condition, what, seconds=DEADLINE):
    """Polls; fails loudly instead of sleeping for a guessed time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def run(command, check=True, **keys):
    keys.setdefault("stdin", subprocess.DEVNULL) if "input" not in keys else None
    keys.setdefault("env", CLEAN)
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE,
                          **keys)
    done.out, done.err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if check and done.returncode:
        raise AssertionError(f"exit {done.returncode}: {' '.join(map(str, command))}\n{done.out[-2000:]}\n{done.err[-4000:]}")
    return done


# A process begins with the peak of the one that started it: a small one has to stand between.
MEASURE = ("import resource, subprocess, sys; status = subprocess.call(sys.argv[2:]);"
           "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)); sys.exit(status)")


def measured(command, env, data=None):
    """The finished process, standard error among its output, and its peak of memory in MiB."""
    with tempfile.NamedTemporaryFile("r") as peak:
        done = subprocess.run([sys.executable, "-S", "-E", "-c", MEASURE, peak.name, *command], env=env, input=data or b"",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE)
        return done, int(peak.read())


# ---------------------------------------------------------------- the program under test
class Slipway:
    """The program on one root. Calls return the finished process with .out and .err as text."""

    def __init__(self, folder, root=None):
        self.folder = pathlib.Path(folder)
        self.root = pathlib.Path(root) if root else self.folder / "store"
        self.home = self.folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        # no daemon.json of this machine: its mirrors are not a test's
        self.env = dict(CLEAN, HOME=str(self.home), SLIPWAY_ROOT=str(self.root), LC_ALL="C.UTF-8",
                        SLIPWAY_REGISTRY_CONFIG="")

    def command(self, *arguments):
        return [binary(), *map(str, arguments)]

    def __call__(self, *arguments, check=True, env=None, **keys):
        return run(self.command(*arguments), check=check, env=dict(self.env, **(env or {})), **keys)

    def start(self, *arguments, env=None, **keys):
        keys.setdefault("stdout", subprocess.PIPE)
        keys.setdefault("stderr", subprocess.STDOUT)
        return subprocess.Popen(self.command(*arguments), env=dict(self.env, **(env or {})), stdin=subprocess.DEVNULL,
                                start_new_session=True, **keys)

    def build(self, context, *options, check=True, **keys):
        return self("build", "--progress", "plain", *options, context, check=check, **keys)

    def digest(self, name):
        """What `name` points at, as the store says."""
        repository, _, tag = name.rpartition(":")
        for line in self("images", "--digests").out.splitlines()[1:]:
            words = line.split()
            if words[:2] == [repository, tag]:
                return words[2]
        raise AssertionError(f"{name} is not among the images of {self.root}")

    def tree(self, context, *options):
        """The files of the image that `context` builds, as facts (see facts_of_tar)."""
        done = self("build", "--progress", "plain", "-o", "type=tar,dest=-", *options, context)
        return facts_of_tar(done.stdout)

    def assert_clean(self, test):
        """fsck finds nothing, and after a gc nothing unfinished is left (R3, R4)."""
        done = self("fsck", check=False)
        test.assertEqual(0, done.returncode, f"fsck: {done.out}{done.err}")
        self("gc")
        test.assertEqual([], self.unfinished(), "work/ after gc")

    def unfinished(self):
        """What lies in work/, and in its trash; snapshots without a row."""
        with contextlib.closing(sqlite3.connect(f"file:{self.root}/meta.db?mode=ro", uri=True)) as database:
            named = {row[0] for row in database.execute("SELECT directory FROM snapshots"
                                                            " UNION SELECT directory FROM cache_layers")}
        drafts = sorted(f"snapshots/{p.name}" for p in (self.root / "snapshots").glob("*") if p.name not in named)
        return drafts + sorted(str(p.relative_to(self.root)) for folder in ("work", "work/.trash")
                      for p in (self.root / folder).glob("*") if p.name != ".trash")


def steps(progress):
    """Plain progress text → {step name without its number: 'cached' | 'ran'} in order."""
    names, how = {}, {}
    for line in progress.splitlines():
        found = re.match(r"#(\d+) (.*)", line)
        if not found:
            continue
        number, rest = found.groups()
        if rest.startswith("[") and number not in names:
            names[number] = rest
        elif rest == "CACHED":
            how[number] = "cached"
        elif rest.startswith("DONE"):
            how.setdefault(number, "ran")
    return {re.sub(r"^\[[^\]]*\] ", "", names[n]): how.get(n, "?") for n in names if not names[n].startswith("[internal]")}


# ---------------------------------------------------------------- images and trees
def busybox():
    found = next((p for p in ("/usr/bin/busybox", "/bin/busybox") if os.path.exists(p)), None)
    if not found:
        raise unittest.SkipTest("busybox-static is missing")
    return found


def add(tar, name, data=b"", kind=tarfile.REGTYPE, mode=0o644, uid=0, gid=0, link="", xattrs=None):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname, info.mtime = kind, mode, uid, gid, link, MTIME
    info.size = len(data)
    info.pax_headers = {"SCHILY.xattr." + k: v for k, v in (xattrs or {}).items()}
    tar.addfile(info, io.BytesIO(data))


@functools.cache
def base_tar():
    """A root file system with a busybox shell, users root and app."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("dev", 0o755),
                           ("proc", 0o755), ("sys", 0o755), ("run", 0o755), ("usr", 0o755), ("data", 0o755)):
            add(tar, name, kind=tarfile.DIRTYPE, mode=mode)
        add(tar, "bin/busybox", pathlib.Path(busybox()).read_bytes(), mode=0o755)
        applets = subprocess.run([busybox(), "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        for applet in sorted(set(applets) - {"busybox"}):
            add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, mode=0o777, link="busybox")
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/:/bin/sh\n")
        add(tar, "etc/group", b"root:x:0:\napp:x:1001:\n")
        add(tar, "data/old", b"old\n", mode=0o640, uid=5, gid=6)
        add(tar, "data/linked", kind=tarfile.LNKTYPE, link="data/old", mode=0o640, uid=5, gid=6)
    return out.getvalue()


def write_context(folder, dockerfile, files=None):
    """A build context; `files` maps paths to text or bytes. Gives the folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    for name, data in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def facts_of_tar(data):
    """Path → (type, mode, owner, content hash or link target) of every member."""
    facts = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            path = os.path.normpath(member.name)
            if path == ".":
                continue
            if member.isreg():
                what = hashlib.sha256(tar.extractfile(member).read()).hexdigest()
            elif member.islnk():
                what, member.type = facts[os.path.normpath(member.linkname)][3], tarfile.REGTYPE
            else:
                what = member.linkname if member.issym() else ""
            mode = None if member.issym() else member.mode & 0o7777  # some writers add the file type
            facts[path] = (member.type, mode, f"{member.uid}:{member.gid}", what)
    return facts


def facts_of_tree(root):
    """The same of a directory on disk."""
    facts = {}
    root = pathlib.Path(root)
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = pathlib.Path(folder, name)
            about = path.lstat()
            if path.is_symlink():
                kind, mode, what = tarfile.SYMTYPE, None, os.readlink(path)
            elif path.is_dir():
                kind, mode, what = tarfile.DIRTYPE, about.st_mode & 0o7777, ""
            elif path.is_file():
                kind, mode, what = tarfile.REGTYPE, about.st_mode & 0o7777, hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                kind, mode, what = b"?", about.st_mode & 0o7777, ""
            facts[str(path.relative_to(root))] = (kind, mode, f"{about.st_uid}:{about.st_gid}", what)
    return facts


# ---------------------------------------------------------------- servers
def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Registry:
    """Debian's docker-registry on a free loopback port. `auth` is a piece of its configuration."""

    def __init__(self, folder, auth=None, certificate=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        http_part = {"addr": "127.0.0.1:0", "secret": "e2e"}
        if certificate:
            http_part["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
        config = {"version": "0.1", "log": {"level": "info"}, "http": http_part,
                  "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}}}
        if auth:
            config["auth"] = auth
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(self.folder / "config.yml")], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=CLEAN)
        found = until(lambda: self.died() or re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log.read_text()),
                      "the registry's port")
        self.host = f"127.0.0.1:{found.group(1)}"

    def died(self):
        if self.process.poll() is not None:
            raise AssertionError(f"docker-registry stopped:\n{self.log.read_text()}")
        return False

    def requests(self):
        """Method and path of every request so far."""
        return re.findall(r'"(GET|HEAD|POST|PATCH|PUT|DELETE) (\S+) HTTP', self.log.read_text())

    def blob_files(self):
        return sorted(self.data.glob("docker/registry/v2/blobs/sha256/*/*/data"))

    def close(self):
        stop(self.process)


def htpasswd(folder, user, password, cost=5):
    """The configuration of basic authentication with one user. A check of the password takes time as 2 to the power of `cost`."""
    require("htpasswd")
    path = pathlib.Path(folder) / "htpasswd"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(run(["htpasswd", "-Bbn", "-C", str(cost), user, password]).out)
    return {"htpasswd": {"realm": "e2e", "path": str(path)}}


def make_certificate(folder, name="127.0.0.1"):
    """A self-signed certificate for a loopback address: (certificate, key)."""
    require("openssl")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         f"subjectAltName=IP:{name}", "-keyout", key, "-out", certificate])
    return certificate, key


class TokenServer:
    """A token server (distribution's token authentication) on a port of its own: user and password, or nobody for
    pulls when `anonymous`. `seen` holds what each request asked and whether it carried credentials."""

    def __init__(self, folder, user, password, anonymous=False):
        self.user, self.password, self.anonymous = user, password, anonymous
        self.certificate, self.key = make_certificate(folder)
        self.seen = []
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,),
                       {"do_GET": lambda h: self.answer(h), "log_message": lambda *a: None})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def configuration(self):
        return {"token": {"realm": self.realm, "service": "e2e-registry", "issuer": "e2e-issuer",
                          "rootcertbundle": str(self.certificate)}}

    def answer(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        given = handler.headers.get("Authorization", "")
        expected = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        scopes = query.get("scope", [])
        self.seen.append({"scopes": scopes, "service": query.get("service"), "credentials": bool(given)})
        known = given == expected
        if not known and (given or not self.anonymous):
            handler.send_response(401)
            handler.end_headers()
            return
        access = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.split(":", 2)
            allowed = [a for a in actions.split(",") if known or a == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        body = json.dumps({"token": self.token(access), "expires_in": self.lifetime()}).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def expiry(self, now):
        return now + 300

    def lifetime(self):
        """What it says of that."""
        return 60

    def token(self, access):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        chain = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", self.certificate.read_text(), re.S).group(1)
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(chain.split())]}
        claims = {"iss": "e2e-issuer", "sub": self.user, "aud": "e2e-registry", "exp": self.expiry(now), "nbf": now - 300,
                  "iat": now, "jti": os.urandom(8).hex(), "access": access}
        signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(claims).encode())
        signature = run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed).stdout
        return (signed + b"." + part(signature)).decode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Dockerd:
    """Debian's dockerd with all its state in `folder`. No bridge, no change to the host's tables."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "docker.sock"
        (self.folder / "empty.json").write_text("{}\n")
        self.log = self.folder / "log"
        for driver in ("overlay2", "vfs"):
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    ["/usr/sbin/dockerd", "--config-file", str(self.folder / "empty.json"), "--data-root",
                     str(self.folder / "data"), "--exec-root", str(self.folder / "exec"), "--host",
                     f"unix://{self.socket}", "--pidfile", str(self.folder / "pid"), "--iptables=false",
                     "--ip-masq=false", "--bridge=none", f"--storage-driver={driver}"],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=CLEAN)
            if until(lambda: self.process.poll() is not None or self.answers(), "dockerd", 60) and self.answers():
                return
        raise unittest.SkipTest("dockerd does not start here: " + self.log.read_text()[-300:].replace("\n", " | "))

    def answers(self):
        return self("version", check=False).returncode == 0

    def __call__(self, *arguments, check=True, **keys):
        return run(["/usr/bin/docker", "-H", f"unix://{self.socket}", *arguments], check=check, **keys)

    def close(self):
        stop(self.process)
        # Some drivers leave mounts of their own below the data root when the daemon was killed.
        for mount in mounts_below(self.folder):
            subprocess.run(["umount", "-l", mount], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# ---------------------------------------------------------------- what is left on the machine
def mounts_below(folder):
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p == str(folder) or p.startswith(f"{folder}/")), reverse=True)


def processes_with(text):
    """Pids whose command line or environment-independent root mentions `text`, ourselves apart."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


# ---------------------------------------------------------------- cases
class Case(unittest.TestCase):
    """A test with a folder of its own and Slipway on an empty root in it."""

    maxDiff = 4000

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-e2e-", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.folder.chmod(0o755)  # an ordinary user's program must reach its folder in here
        self.addCleanup(self.remove)
        self.slipway = Slipway(self.folder)

    def remove(self):
        left = mounts_below(self.folder)
        for mount in left:
            subprocess.run(["umount", "-l", mount], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual([], left, "mounts were left behind")

    def closing(self, thing):
        self.addCleanup(thing.close)
        return thing

    def give_base(self, slipway=None, name="base"):
        (slipway or self.slipway)("import", "-", name, input=base_tar())

    def context(self, dockerfile, files=None, name="context"):
        return write_context(self.folder / name, dockerfile, files)


def main():
    """unittest.main for ctest: exit 77 when everything was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    ran = result.testsRun
    for _, reason in result.skipped:
        print(f"skipped: {reason}", file=sys.stderr)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped and len(result.skipped) >= ran else 0)
