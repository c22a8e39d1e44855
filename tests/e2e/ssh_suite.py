#!/usr/bin/env python3
"""RUN --mount=type=ssh and --ssh, with the real ssh-agent outside and the real ssh-add inside of steps."""
import base64
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

from support import CLEAN, Case, main, require, run, stop, until


def setUpModule():
    require("ssh-agent", "ssh-add", "ssh-keygen", "ldd")


def with_libraries(program):
    """Path below / → bytes: the program and what it is linked with."""
    program = shutil.which(program)
    files = {program.lstrip("/"): pathlib.Path(program).read_bytes()}
    for path in re.findall(r"(/\S+) \(0x", run(["ldd", program]).out):
        files[path.lstrip("/")] = pathlib.Path(path).read_bytes()
    return files


class SshTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.out = self.folder / "out"
        source = self.context("FROM base\nCOPY --chmod=755 . /\n", {f"root/{p}": d for p, d in with_libraries("ssh-add").items()},
                              name="with-ssh")
        (source / "Dockerfile").rename(self.folder / "Dockerfile.ssh")
        self.slipway.build(source / "root", "-f", self.folder / "Dockerfile.ssh", "-t", "ssh-base:1")

    def key(self, name, kind="ed25519"):
        path = self.folder / name
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{name}@test", "-f", path])
        return path

    def agent(self, *keys):
        """A running agent with these keys; gives its environment."""
        socket = self.folder / "agent.sock"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL, env=CLEAN)
        self.addCleanup(stop, process)
        until(socket.exists, "the agent's socket")
        env = {"SSH_AUTH_SOCK": str(socket)}
        for key in keys:
            run(["ssh-add", "-q", key], env=dict(CLEAN, **env))
        return env

    def build(self, dockerfile, *options, check=True, env=None, files=None):
        source = self.context(dockerfile, files)
        return self.slipway.build(source, *options, "-o", f"type=local,dest={self.out}", check=check, env=env)

    @staticmethod
    def seed(key):
        """The 32 secret bytes of an ed25519 key, which stand before the last copy of the public ones."""
        whole = base64.b64decode("".join(key.read_text().splitlines()[1:-1]))
        public = base64.b64decode(key.with_suffix(".pub").read_text().split()[1])[-32:]
        end = whole.rindex(public)
        return whole[end - 32:end]

    def fingerprint(self, key):
        return run(["ssh-keygen", "-l", "-f", key]).out.split()[1]

    def read(self, name):
        return (self.out / name).read_text()

    def test_the_users_agent_is_lent_and_can_not_be_changed(self):
        key, other = self.key("id"), self.key("other")
        env = self.agent(key)
        done = self.build(
            "FROM ssh-base:1\nCOPY id.pub other /\n"
            "RUN --mount=type=ssh chmod 600 /other; ssh-add -l >/list 2>&1; ssh-add -T /id.pub >/sign 2>&1; echo $? >>/sign;"
            " ssh-add -D >/log 2>&1; echo $? >/delete; ssh-add -d /id.pub >>/log 2>&1; echo $? >/one;"
            " ssh-add /other >>/log 2>&1; echo $? >/add; ssh-add -l >/after; echo $SSH_AUTH_SOCK >/where\n",
            "--ssh", "default", env=env, files={"id.pub": key.with_suffix(".pub").read_bytes(), "other": other.read_bytes()})
        self.assertIn(self.fingerprint(key), self.read("list"))
        self.assertTrue(self.read("sign").endswith("0\n"), self.read("sign"))
        for name in ("delete", "one", "add"):
            self.assertNotEqual("0", self.read(name).strip(), self.read("log"))
        self.assertEqual(self.read("list"), self.read("after"))
        self.assertEqual("/run/buildkit/ssh_agent.0\n", self.read("where"))
        self.assertFalse((self.out / "run/buildkit").exists())
        kept = run(["ssh-add", "-l"], env=dict(CLEAN, **env)).out
        self.assertEqual([self.fingerprint(key)], [line.split()[1] for line in kept.splitlines()])
        self.assertNotIn("id@test", done.err)
        self.assert_nothing_left()

    def test_key_files_are_an_agent_and_nowhere_in_the_store(self):
        keys = [self.key("ed"), self.key("rsa", "rsa"), self.key("ec", "ecdsa")]
        publics = {key.with_suffix(".pub").name: key.with_suffix(".pub").read_bytes() for key in keys}
        dockerfile = ("FROM ssh-base:1\nCOPY *.pub /\nRUN --mount=type=ssh,id=deploy,target=/agent,uid=1000,gid=1001,mode=0660 "
                      "ssh-add -l >/list; for k in ed rsa ec; do ssh-add -T /$k.pub && echo $k >>/good; done;"
                      " stat -c '%a %u:%g' /agent >/stat\n")
        option = "deploy=" + ",".join(map(str, keys))
        done = self.build(dockerfile, "--ssh", option, "-t", "made:1", files=publics)
        for key in keys:
            self.assertIn(self.fingerprint(key), self.read("list"))
        self.assertEqual("ed\nrsa\nec\n", self.read("good"))
        self.assertEqual("660 1000:1001\n", self.read("stat"))
        seen = b"".join(publics.values())  # a private key's file holds the public one too
        secrets = [line.encode() for key in keys for line in key.read_text().splitlines()
                   if len(line) > 40 and line.encode() not in seen]
        secrets.append(self.seed(keys[0]))
        shown = (done.err + self.slipway("history", "--no-trunc", "made:1").out).encode()
        self.assertFalse([s for s in secrets if s in shown])
        for folder, _, names in os.walk(self.slipway.root):
            for name in names:
                data = pathlib.Path(folder, name).read_bytes()
                self.assertFalse([s for s in secrets if s in data], f"{folder}/{name}")
        again = self.build(dockerfile, "--ssh", f"deploy={self.key('new')}", files=publics)
        self.assertRegex(again.err, r"(?m)CACHED")
        without = self.build(dockerfile, files=publics)
        self.assertRegex(without.err, r"(?m)CACHED")
        self.assert_nothing_left()

    def test_without_an_agent_the_step_runs_unless_it_is_required(self):
        self.build("FROM base\nRUN --mount=type=ssh test -e $SSH_AUTH_SOCK; echo $? >/there\n")
        self.assertEqual("1\n", self.read("there"))
        done = self.build("FROM base\nRUN --mount=type=ssh,required true\n", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn('no SSH key "default" forwarded from the client', done.err)
        self.assertIn("--ssh default", done.err)

    def test_what_is_no_key_or_needs_a_passphrase_is_said_at_once(self):
        locked = self.folder / "locked"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "word", "-f", locked])
        for path, text in ((locked, "protected by a passphrase"), (f"{locked}.pub", "holds no private key"),
                           (self.folder / "none", "No such file")):
            done = self.build("FROM base\nRUN true\n", "--ssh", f"default={path}", check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn(text, done.err)
            self.assertIn(str(path), done.err)

    def test_a_cancelled_build_leaves_no_socket_and_no_process(self):
        source = self.context("FROM base\nRUN --mount=type=ssh echo up; sleep 1000\n")
        process = self.slipway.start("build", "--progress", "plain", "--ssh", f"default={self.key('id')}", source)
        lines = []
        until(lambda: "up" in (lines.append(process.stdout.readline().decode()) or lines[-1].split()), "the step")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(130, process.returncode)
        self.assertNotIn(b"sleep\x001000", b"".join(self.command_lines()))
        self.assert_nothing_left()

    def test_git_gets_the_agent_default_and_no_key_file_of_the_user(self):
        require("git")
        repository = self.folder / "repository"
        repository.mkdir()
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", repository]
        run([*git, "init", "-q", "-b", "main"])
        (repository / "file").write_text("from git\n")
        (repository / "Dockerfile").write_text("FROM base\nCOPY file /copied\n")
        run([*git, "add", "file", "Dockerfile"])
        run([*git, "commit", "-q", "-m", "one"])
        tools = self.folder / "tools"
        tools.mkdir()
        # What ssh would do, on this machine; notes which keys it was lent.
        (tools / "ssh").write_text(f'#!/bin/sh\necho "$@" >>{self.folder}/asked\nssh-add -l >{self.folder}/lent 2>&1\n'
                                   f'ssh-add -D >>{self.folder}/lent 2>&1\nexec git-upload-pack {repository}\n')
        (tools / "ssh").chmod(0o755)
        key = self.key("id")
        env = {"PATH": f"{tools}:/usr/lib/git-core:{CLEAN['PATH']}"}
        dockerfile = "FROM base\nADD git@example.invalid:team/x.git /x\n"
        self.build(dockerfile, "--ssh", f"default={key}", env=env)
        self.assertEqual("from git\n", self.read("x/file"))
        lent = (self.folder / "lent").read_text()
        self.assertIn(self.fingerprint(key), lent)
        self.assertNotIn("All identities removed", lent)
        self.assertIn("IdentityFile=none", (self.folder / "asked").read_text())
        (self.folder / "lent").unlink()
        self.slipway.build("git@example.invalid:team/x.git", "--ssh", f"default={key}", "-o", f"type=local,dest={self.out}",
                           env=env)
        self.assertEqual("from git\n", self.read("copied"))
        self.assertIn(self.fingerprint(key), (self.folder / "lent").read_text())
        (self.folder / "lent").unlink()
        self.build(dockerfile, "--no-cache", env=env)
        self.assertNotIn(self.fingerprint(key), (self.folder / "lent").read_text())
        self.assert_nothing_left()

    @staticmethod
    def command_lines():
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield path.read_bytes()
            except OSError:
                pass

    def assert_nothing_left(self):
        self.slipway.assert_clean(self)
        sockets = [p for p in self.slipway.root.rglob("*") if stat.S_ISSOCK(p.lstat().st_mode)]
        self.assertEqual([], sockets)


if __name__ == "__main__":
    main()
