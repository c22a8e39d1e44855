#!/usr/bin/env python3
"""docs/air-gapped.md: its commands as they stand there, on two machines made of namespaces. *Outside* has a registry that
answers as Docker Hub; *inside* has loopback and nothing else."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from support import (CLEAN, Case, Slipway, base_tar, binary, facts_of_tar, main, require, run, steps, stop, until, write_context)

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/air-gapped.md"
HUB = "registry-1.docker.io"
APP = "FROM debian:12\nCOPY hello /hello\nRUN head -c 16 /dev/urandom | sha256sum > /made\nRUN cat /hello /made\n"


def sections():
    """Heading → [(where, how, commands)] of the page's blocks. `how`: "" is the machine's own store, "client" an empty one
    of another user, "server" runs until it is stopped."""
    found, heading = {}, ""
    for line in re.finditer(r"^## ([^\n]*)$|^```sh (outside|inside)(?: (server|client))?\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        title, where, how, commands = line.groups()
        if title:
            heading = title
        else:
            found.setdefault(heading, []).append((where, how or "", commands))
    return found


class Machine:
    """A network with loopback only and an /etc/hosts of its own, until it is closed."""

    def __init__(self, folder, hosts):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        (self.folder / "hosts").write_text("127.0.0.1 localhost " + " ".join(hosts) + "\n")
        script = 'ip link set lo up && mount --bind "$1" /etc/hosts && echo ready && exec cat'
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                                         self.folder / "hosts"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=CLEAN)
        if self.process.stdout.readline() != b"ready\n":
            reason = self.process.stderr.read().decode().strip()
            self.close()
            raise unittest.SkipTest(f"no network namespace here: {reason}")

    def command(self, script, cwd):
        return ["nsenter", f"--target={self.process.pid}", "--net", "--mount", "sh", "-euc", 'cd "$1"; ' + script, "sh",
                str(cwd)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Hub:
    """Debian's docker-registry with TLS at the port and under the name of Docker Hub, on a machine."""

    def __init__(self, machine, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.certificate = self.folder / "cert.pem"
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HUB}", "-addext",
             f"subjectAltName=DNS:{HUB}", "-keyout", self.folder / "key.pem", "-out", self.certificate])
        config = {"version": "0.1", "log": {"level": "info"},
                  "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
                  "http": {"addr": "127.0.0.1:443", "secret": "e2e",
                           "tls": {"certificate": str(self.certificate), "key": str(self.folder / "key.pem")}}}
        (self.folder / "config.yml").write_text(json.dumps(config))
        log = self.folder / "log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen(machine.command("exec docker-registry serve config.yml", self.folder), stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=CLEAN)
        until(lambda: "listening on 127.0.0.1:443" in log.read_text() or self.process.poll() is not None, "the hub")
        if self.process.poll() is not None:
            raise AssertionError(log.read_text())

    def close(self):
        stop(self.process)


def setUpModule():
    require("docker-registry", "skopeo", "openssl", "unshare", "nsenter", "ip", root=True)


class AirGapped(Case):
    """Two machines for all tests of a class; stores and what travels are each test's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="slipway-gap-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.machines = {}
        for name, hosts in (("outside", [HUB]), ("inside", [])):
            cls.machines[name] = Machine(cls.shared / name, hosts)
            cls.addClassCleanup(cls.machines[name].close)
        cls.hub = Hub(cls.machines["outside"], cls.shared / "hub")
        cls.addClassCleanup(cls.hub.close)
        (cls.shared / "bin").mkdir()
        (cls.shared / "bin/slipway").symlink_to(binary())
        cls.fill_the_hub()

    @classmethod
    def fill_the_hub(cls):
        """debian:12 is an index of two platforms, as there; alpine:3.20 one image."""
        giver = Slipway(cls.shared / "giver")
        context = write_context(cls.shared / "giving", "FROM scratch\nADD base.tar /\nARG TARGETARCH\nENV ARCH=$TARGETARCH\n",
                                {"base.tar": base_tar()})
        giver.build(context, "--platform", "linux/amd64,linux/arm64", "-t", "debian:12")
        giver.build(write_context(cls.shared / "other", "FROM debian:12\nCOPY f /f\n", {"f": "alpine\n"}), "-t", "alpine:3.20")
        script = " && ".join(f"'{binary()}' push {name}" for name in ("debian:12", "alpine:3.20"))
        run(cls.machines["outside"].command(script, cls.shared), env=dict(giver.env, SSL_CERT_FILE=str(cls.hub.certificate)))

    def setUp(self):
        super().setUp()
        self.servers = {"outside": None, "inside": None}
        self.addCleanup(self.stop_servers)
        self.clients = 0
        for name in self.machines:
            folder = self.folder / name
            (folder / "carry").mkdir(parents=True)
            write_context(folder / "app", APP, {"hello": "hello\n"})
        self.sections = sections()

    def environment(self, where, root="store"):
        home = self.folder / where / "home"
        home.mkdir(exist_ok=True)
        env = dict(CLEAN, HOME=str(home), SLIPWAY_ROOT=str(self.folder / where / root), SLIPWAY_REGISTRY_CONFIG="",
                   LC_ALL="C.UTF-8", BUILDKIT_PROGRESS="plain", PATH=f"{self.shared / 'bin'}:{CLEAN['PATH']}")
        return dict(env, SSL_CERT_FILE=str(self.hub.certificate)) if where == "outside" else env

    def on(self, where, script, check=True, root="store"):
        return run(self.machines[where].command(script, self.folder / where), check=check, env=self.environment(where, root))

    def slipway_inside(self, root="store"):
        """Its store, seen from here."""
        return Slipway(self.folder / "inside", self.folder / "inside" / root)

    def serve(self, where, commands):
        self.stop_server(where)
        log = open(self.folder / f"{where}.log", "wb")
        with log:
            process = subprocess.Popen(self.machines[where].command("exec " + commands.strip(), self.folder / where),
                                       stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
                                       env=self.environment(where))
        self.servers[where] = process
        line = process.stdout.readline().decode()
        self.assertEqual("listening on http://127.0.0.1:5000\n", line, (self.folder / f"{where}.log").read_text())

    def log(self, where):
        return (self.folder / f"{where}.log").read_text()

    def stop_server(self, where):
        if process := self.servers[where]:
            stop(process)
            process.stdout.close()
            self.servers[where] = None
            self.assertEqual(0, process.returncode)

    def stop_servers(self):
        for where in self.servers:
            with contextlib.suppress(AssertionError):
                self.stop_server(where)

    def carry(self):
        """What was put into carry/ outside since then is inside."""
        self.stop_server("outside")
        outside = self.folder / "outside/carry"
        run(["cp", "-a", f"{outside}/.", self.folder / "inside/carry"])
        shutil.rmtree(outside)
        outside.mkdir()

    def follow(self, heading, until_block=None):
        """Runs the blocks of a section, all or the first few; gives what each said."""
        done = []
        for where, how, commands in self.sections[heading][:until_block]:
            if where == "inside":
                self.carry()
            if how == "server":
                self.serve(where, commands)
                continue
            root = "store"
            if how == "client":
                self.clients += 1
                root = f"client{self.clients}"
            done.append(self.on(where, commands, root=root))
        return done

    def names(self, root="store"):
        lines = self.slipway_inside(root)("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
        return sorted(lines)

    def made(self, where, name, root="store"):
        """The random line that a step of the app left in the image."""
        (self.folder / where / "reading").mkdir(exist_ok=True)
        (self.folder / where / "reading/Dockerfile").write_text(f"FROM {name}\n")
        done = self.on(where, "slipway build -q -o type=tar,dest=- reading", root=root)
        return facts_of_tar(done.stdout)["made"][3]


class PageTest(AirGapped):
    def test_every_section_with_commands_has_a_test(self):
        self.assertEqual({"Images in an archive", "Images in OCI layouts", "A registry inside",
                          "A mirror that loses its upstream", "Results of steps that need the internet"}, set(self.sections))

    def test_inside_has_loopback_only(self):
        links = json.loads(self.on("inside", "ip -j link").out)
        self.assertEqual(["lo"], [link["ifname"] for link in links])

    def test_archive(self):
        *_, built = self.follow("Images in an archive")
        self.assertIn("#3 [2/4] COPY hello /hello", built.err)
        self.assertEqual(["alpine:3.20", "debian:12", "team/app:1"], self.names())
        self.slipway_inside().assert_clean(self)

    def test_layouts(self):
        self.follow("Images in OCI layouts")
        self.assertEqual(["alpine:3.20", "debian:12", "team/app:1", "team/tool:1"], self.names())
        self.assertEqual("alpine\n", self.on("inside", "mkdir f && printf 'FROM alpine:3.20\\n' > f/Dockerfile && "
                                                       "slipway build -q -o out f && cat out/f").out.splitlines(True)[-1])
        self.slipway_inside().assert_clean(self)

    def test_registry(self):
        self.follow("Images in an archive")
        *_, client = self.follow("A registry inside")
        self.assertIn("pushed 127.0.0.1:5000/team/app:1@sha256:", client.err)
        self.assertRegex(self.log("inside"), r"GET /v2/hub/library/debian/manifests/12 200 ")
        self.assertRegex(self.log("inside"), r"PUT /v2/team/app/manifests/1 201 ")
        self.assertEqual(["127.0.0.1:5000/team/app:1", "debian:12"], self.names("client1"))
        self.stop_server("inside")
        self.slipway_inside().assert_clean(self)

    def test_mirror(self):
        self.follow("Images in an archive", 1)
        mirror = "A mirror that loses its upstream"
        done = self.follow(mirror)
        self.assertEqual(["debian:12", "team/app:2"], self.names("client1"))
        self.assertIn("Loaded image: debian:12", done[-1].out)
        self.assertIn("GET /v2/library/debian/manifests/12 200 ", self.log("inside"))
        ask = "slipway pull --registry-mirror http://127.0.0.1:5000 "
        said = self.on("inside", ask + "missing:1", check=False, root="asking")
        self.assertEqual(1, said.returncode)
        self.assertIn("after the mirror 127.0.0.1:5000 had it not", said.err)
        self.assertIn("GET /v2/library/missing/manifests/1 404 ", self.log("inside"))
        other = self.on("inside", ask + "--platform linux/arm64 debian:12", check=False, root="asking")
        self.assertEqual(1, other.returncode, "that platform did not pass the mirror")
        self.assertIn("had it not", other.err)
        # without --offline it asks, in vain, and serves what it has
        self.serve("inside", "slipway --root carry/mirror registry --mirror-of docker.io")
        self.on("inside", ask + "alpine:3.20", root="asking")
        said = self.on("inside", ask + "missing:1", check=False, root="asking")
        self.assertEqual(1, said.returncode)
        self.assertIn("GET /v2/library/missing/manifests/1 503 ", self.log("inside"))
        self.stop_server("inside")
        self.slipway_inside("carry/mirror").assert_clean(self)

    def test_cache(self):
        self.on("outside", "slipway pull debian:12 && slipway save -o carry/bases.tar debian:12")
        self.carry()
        self.on("inside", "slipway load -i carry/bases.tar")
        done = self.follow("Results of steps that need the internet")
        self.assertEqual({"cached"}, set(steps(done[-1].err).values()), done[-1].err)
        self.assertEqual(self.made("outside", "team/app:3"), self.made("inside", "team/app:3"))
        (self.folder / "inside/app/Dockerfile").write_text(APP + "RUN echo later > /later\n")
        changed = self.on("inside", "slipway build --cache-from type=local,src=carry/cache -t team/app:4 app")
        self.assertEqual(["cached"] * 4 + ["ran"], list(steps(changed.err).values()), changed.err)
        self.assertEqual(self.made("outside", "team/app:3"), self.made("inside", "team/app:4"))


class QuestionsTest(AirGapped):
    """The table of what asks, row by row."""

    def says(self, script, *texts, check_status=True):
        page = PAGE.read_text()
        done = self.on("inside", script, check=False)
        if check_status:
            self.assertEqual(1, done.returncode, done.out + done.err)
        for text in texts:
            self.assertIn(f"`{text}`", page)
            self.assertIn(text, done.err)
        return done

    def dockerfile(self, text):
        write_context(self.folder / "inside/c", text)
        return "slipway build c"

    def setUp(self):
        super().setUp()
        self.follow("Images in an archive")

    def test_images(self):
        texts = (f"cannot find the host {HUB}", "while resolving docker.io/library/missing:1")
        self.says(self.dockerfile("FROM missing:1\n"), *texts)
        self.says(self.dockerfile("FROM debian:12\nCOPY --from=missing:1 /a /b\n"), *texts)
        self.says(self.dockerfile("FROM debian:12\nRUN --mount=from=missing:1,target=/m true\n"), *texts)
        self.says(self.dockerfile("FROM debian:12\n") + " --pull", texts[0])
        self.says("slipway pull missing:1", texts[0], "while pulling missing:1")
        self.says(self.dockerfile("FROM debian:12\n") + " --platform linux/arm64", texts[0])

    def test_sources(self):
        self.says(self.dockerfile("FROM debian:12\nADD https://files.example/f /f\n"), "cannot find the host files.example",
                  "while fetching https://files.example/f")
        self.says("slipway build https://git.example/app.git", "cannot fetch https://git.example/app.git")
        self.says(self.dockerfile("FROM debian:12\nADD https://git.example/app.git /f\n"),
                  "cannot fetch https://git.example/app.git")

    def test_registries(self):
        self.on("inside", "slipway tag debian:12 registry.example/d:12")
        self.says("slipway push registry.example/d:12", "cannot find the host registry.example")
        self.says("echo p | slipway login -u u --password-stdin registry.example", "cannot find the host registry.example")
        self.says("slipway build --push -t registry.example/a:1 app", "cannot find the host registry.example")
        self.dockerfile("FROM debian:12\nRUN true\n")
        done = self.says("slipway build --cache-from type=registry,ref=registry.example/cache c",
                         "WARNING: the cache type=registry,ref=registry.example/cache is not used", check_status=False)
        self.assertEqual(0, done.returncode)

    def test_run(self):
        done = self.says(self.dockerfile("FROM debian:12\nRUN nc -w 2 registry.example 80 || echo as it is\n"),
                         "WARNING: no network in steps: this machine has no default route", check_status=False)
        self.assertEqual(0, done.returncode)
        quiet = self.on("inside", "slipway build --no-cache --network none c")
        self.assertNotIn("WARNING", quiet.err)

    def test_a_syntax_line_asks_nobody(self):
        self.on("inside", self.dockerfile("# syntax=docker/dockerfile:1\nFROM debian:12\nRUN true\n"))


class JourneyTest(AirGapped):
    """What the journey damaged is refused, by name, and leaves nothing."""

    def refused(self, script):
        done = self.on("inside", script, check=False)
        self.assertEqual(1, done.returncode, done.out + done.err)
        self.assertEqual([], self.names())
        self.slipway_inside().assert_clean(self)
        return done.err

    def test_layout(self):
        self.on("outside", self.sections["Images in OCI layouts"][0][2])
        self.carry()
        blobs = self.folder / "inside/carry/layout/blobs/sha256"
        largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
        whole = largest.read_bytes()
        largest.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
        self.assertIn(largest.name, self.refused("slipway load -i carry/layout"))
        largest.write_bytes(whole[:-1])
        self.assertIn(largest.name, self.refused("slipway load -i carry/layout"))
        largest.unlink()
        self.assertIn(largest.name, self.refused("slipway load -i carry/layout"))
        self.assertIn("no OCI layout", self.refused("slipway load -i carry"))
        self.assertIn("DIRECTORY:TAG", self.refused("slipway import carry/layout some:1"))
        self.assertIn('no image called "3.21"', self.refused("slipway import carry/layout:3.21 some:1"))

    def test_archive(self):
        self.on("outside", self.sections["Images in an archive"][0][2])
        self.carry()
        path = self.folder / "inside/carry/bases.tar"
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
        self.refused("slipway load -i carry/bases.tar")
        path.write_bytes(whole[:middle])
        self.refused("slipway load -i carry/bases.tar")


if __name__ == "__main__":
    main()
