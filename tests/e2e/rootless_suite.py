#!/usr/bin/env python3
"""An ordinary user, with /etc/subuid and without, builds, pushes and saves.

The user exists only in a mount namespace of each command: copies of /etc/passwd, /etc/group, /etc/subuid and /etc/subgid
with one line more lie over the real ones there. The machine is not changed.
"""
import io
import json
import os
import pathlib
import re
import tarfile

from support import CLEAN, Case, Registry, Slipway, base_tar, main, require, run

UID = 54321
NAME = "slipway-e2e"


def setUpModule():
    require("unshare", "setpriv", "newuidmap", "newgidmap", root=True)


class UserSlipway(Slipway):
    """Slipway called as the ordinary user."""

    subid = f"{NAME}:1200000:65536\n"

    def __init__(self, folder):
        super().__init__(folder)
        self.etc = self.folder / "etc"
        self.etc.mkdir(exist_ok=True)
        os.chown(self.folder, UID, UID)
        os.chown(self.home, UID, UID)
        self.env["PATH"] = CLEAN.get("PATH", "/usr/bin:/bin")
        self.env["USER"] = NAME

    def command(self, *arguments):
        extra = {"passwd": f"{NAME}:x:{UID}:{UID}::{self.home}:/bin/sh\n", "group": f"{NAME}:x:{UID}:\n",
                 "subuid": self.subid, "subgid": self.subid}
        script = "set -e\n"
        for name, line in extra.items():
            real = pathlib.Path("/etc", name)
            keep = real.read_text() if real.exists() and not name.startswith("sub") else ""
            (self.etc / name).write_text(keep + line)
            script += f'[ -e /etc/{name} ] && mount --bind "{self.etc}/{name}" /etc/{name}\n'
        script += f'exec setpriv --reuid {UID} --regid {UID} --clear-groups --inh-caps=-all -- "$@"\n'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                *super().command(*arguments)]


class RootlessTest(Case):
    def setUp(self):
        super().setUp()
        for name in ("passwd", "group", "subuid", "subgid"):
            if not os.path.exists(f"/etc/{name}"):
                self.skipTest(f"/etc/{name} does not exist here")
        self.slipway = UserSlipway(self.folder / "user")
        done = run(["unshare", "--user", "--map-root-user", "true"], check=False)
        if done.returncode:
            self.skipTest("this machine makes no user namespaces: " + done.err.strip())

    def test_build_as_an_ordinary_user(self):
        self.give_base()
        source = self.context("FROM base\nRUN id -u >/uid; chown 7:8 /uid; mkdir /d; chown app:app /d\n"
                              "COPY --chown=app:app x /d/x\nUSER app\nRUN id -u >/tmp/uid\n", {"x": "x\n"})
        tree = self.slipway.tree(source)
        self.assertEqual("7:8", tree["uid"][2])
        self.assertEqual("1000:1001", tree["d/x"][2])
        self.assertEqual("1000:1001", tree["tmp/uid"][2])
        self.assertEqual("5:6", tree["data/old"][2])
        self.slipway.assert_clean(self)

    def test_what_steps_are_lent_and_may(self):
        require("ssh-keygen")
        self.give_base()
        key = self.slipway.home / "key"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        os.chown(key, UID, UID)
        out = self.folder / "user/out"
        self.slipway.build(
            self.context("FROM base\nRUN --mount=type=ssh,uid=1000 --mount=type=secret,id=s"
                         " stat -c '%a %u %F' $SSH_AUTH_SOCK >/r; cat /run/secrets/s >>/r\n"
                         "RUN --security=insecure (mount -t tmpfs x /tmp && echo mounted >>/r); cat /proc/self/uid_map >>/r\n"
                         "RUN --device=v.com/d=zero head -c 3 /dev/mine | wc -c >>/r\n"),
            "--ssh", f"default={key}", "--secret", "id=s,env=SECRET", "--allow", "security.insecure", "--allow", "device",
            "--cdi-spec-dir", self.cdi(), "-o", f"type=local,dest={out}", env={"SECRET": "hush\n"})
        lines = (out / "r").read_text().splitlines()
        self.assertEqual(["600 1000 socket", "hush", "mounted"], lines[:3])
        self.assertEqual("3", lines[-1])
        self.slipway.assert_clean(self)

    def cdi(self):
        folder = self.folder / "cdi"
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "d.yaml").write_text("cdiVersion: 0.6.0\nkind: v.com/d\ndevices:\n- name: zero\n  containerEdits:\n"
                                       "    deviceNodes: [{path: /dev/mine, hostPath: /dev/zero}]\n")
        return folder

    def test_a_builder_with_secrets_is_not_dumpable(self):
        self.give_base()
        owners = {}
        for options in ((), ("--secret", "id=s,env=SECRET")):
            process = self.slipway.start("build", "--progress", "plain", "--no-cache", *options,
                                         self.context("FROM base\nRUN echo up; sleep 1000\n"), env={"SECRET": "hush"})
            self.addCleanup(process.kill)
            while not re.search(rb"^#\d+ [\d.]+ up$", process.stdout.readline()):
                self.assertIsNone(process.poll())
            owners[options] = os.stat(f"/proc/{process.pid}/mem").st_uid  # the kernel's own sign (man 5 proc)
            process.terminate()
            process.communicate(timeout=60)
        self.assertEqual([UID, 0], list(owners.values()))

    def test_same_image_as_root_builds(self):
        dockerfile = "FROM base\nRUN mkdir /d && echo x >/d/x && chown app /d/x && rm /data/old\n"
        self.give_base()
        root = Slipway(self.folder / "root")
        self.give_base(root)
        source = self.context(dockerfile)
        self.assertEqual(root.tree(source), self.slipway.tree(source))

    def test_push_pull_and_save(self):
        require("docker-registry")
        self.give_base()
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/user/app:1"
        self.slipway.build(self.context("FROM base\nRUN echo x >/x\n"), "-t", name, "--push")
        other = UserSlipway(self.folder / "other")
        other("pull", name)
        self.assertEqual(self.slipway.digest(name), other.digest(name))
        self.assertEqual(self.slipway("save", name).stdout, other("save", name).stdout)

    def test_local_output_belongs_to_the_user(self):
        self.give_base()
        out = self.folder / "user/out"
        self.slipway.build(self.context("FROM base\nRUN echo x >/x\nCOPY --chown=7:8 Dockerfile /d\n"), "-o", f"type=local,dest={out}")
        self.assertTrue((out / "x").exists())
        self.assertEqual(UID, out.stat().st_uid)

    def test_store_of_somebody_else_is_refused(self):
        root = Slipway(self.folder / "root")
        self.give_base(root)
        root.root.chmod(0o755)
        done = self.slipway("--root", root.root, "images", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(str(root.root), done.err)


class OneIdTest(RootlessTest):
    """No line in /etc/subuid: the tests of ordinary users that need no second id in a step, and what is different."""

    def setUp(self):
        super().setUp()
        self.slipway.subid = ""

    test_build_as_an_ordinary_user = test_what_steps_are_lent_and_may = test_same_image_as_root_builds = None

    def test_owners_are_recorded_and_written_into_layers(self):
        self.give_base()
        dockerfile = ("FROM base AS made\nCOPY --chown=33:44 tree /t/\nCOPY --chown=5:6 a.tar /\nADD a.tar /un/\n"
                      "RUN mv /t/f /t/renamed; echo more >>/data/old; ln /t/g /t/hard\n"
                      "FROM base\nCOPY --from=made /t /copied\nCOPY --from=made /un /un\nWORKDIR /w\n"
                      "RUN --mount=type=cache,target=/c,uid=7,gid=8 echo x >/c/x; id -u >/uid; id -G >/groups\n")
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for name, kind in (("dir", tarfile.DIRTYPE), ("dir/file", tarfile.REGTYPE), ("dir/link", tarfile.SYMTYPE),
                               ("dir/fifo", tarfile.FIFOTYPE)):
                member = tarfile.TarInfo(name)
                member.type, member.uid, member.gid, member.mode, member.linkname = kind, 70, 80, 0o755, "file"
                archive.addfile(member)
        source = self.context(dockerfile, {"tree/f": "f", "tree/g": "g", "a.tar": tar.getvalue()})
        os.symlink("f", source / "tree/link")
        mine = self.slipway.tree(source)
        for path in ("copied/renamed", "copied/g", "copied/hard"):
            self.assertEqual("33:44", mine[path][2], path)
        for path in ("un/dir", "un/dir/file", "un/dir/link", "un/dir/fifo"):
            self.assertEqual("70:80", mine[path][2], path)
        self.assertEqual("5:6", mine["data/old"][2])
        root = Slipway(self.folder / "root")
        self.give_base(root)
        theirs = root.tree(source)
        self.assertEqual("33:44", theirs["copied/link"][2])
        self.assertEqual(theirs, mine)
        made = self.slipway.tree(source, "--target", "made")
        self.assertEqual(root.tree(source, "--target", "made"), made)
        self.assertEqual("5:6", made["data/old"][2])
        self.assertEqual("33:44", made["t/link"][2])
        self.assertEqual([], self.slipway("fsck").out.split())
        self.slipway.assert_clean(self)

    def test_what_needs_more_ids_names_the_knob(self):
        self.give_base()
        knob = "usermod --add-subuids"
        done = self.slipway.build(self.context("FROM base\nUSER app\nRUN id\n"), check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("the step runs as uid 1000, and there is one id only", done.err)
        self.assertIn(knob, done.err)
        done = self.slipway.build(self.context("FROM base\nRUN chown 7 /data\n"), check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(knob, done.err)
        doctor = self.slipway("doctor", check=False)
        self.assertIn("1 ids are mapped", doctor.out + doctor.err)

    def test_a_range_that_comes_later_is_used_and_one_that_goes_is_missed(self):
        self.give_base()
        source = self.context("FROM base\nCOPY --chown=app x /x\nUSER app\nRUN cat /x >/tmp/y\n", {"x": "x"})
        self.slipway.build(source, check=False)
        self.slipway.subid = UserSlipway.subid
        tree = self.slipway.tree(source)
        self.assertEqual("1000:1001", tree["tmp/y"][2])
        self.assertEqual([], self.slipway("fsck").out.split())
        self.slipway.subid = ""
        done = self.slipway("images", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("has files of ids that this user no longer has", done.err)


class SameBytesTest(RootlessTest):
    """SOURCE_DATE_EPOCH: one digest whoever builds, on whatever root."""

    test_build_as_an_ordinary_user = test_what_steps_are_lent_and_may = test_same_image_as_root_builds = None
    test_a_builder_with_secrets_is_not_dumpable = test_push_pull_and_save = None
    test_local_output_belongs_to_the_user = test_store_of_somebody_else_is_refused = None

    def test_one_digest_on_any_root(self):
        dockerfile = ("FROM base AS made\nRUN mkdir /out && date >/dev/null && echo x >/out/x && ln -s x /out/l\n"
                      "FROM base\nLABEL a=b\nCOPY --chown=33:44 src /src/\nCOPY --from=made /out /out\n"
                      "WORKDIR /work\nRUN touch late && mv /src/b /work/\nADD a.tar /un/\n")
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            member = tarfile.TarInfo("file")
            member.uid, member.gid, member.mtime = 70, 80, 1_500_000_000
            archive.addfile(member)
        maker = Slipway(self.folder / "maker")
        self.give_base(maker)
        base = maker("save", "base").stdout
        digests, layers = {}, {}
        for who, slipway in (("root", Slipway(self.folder / "one")), ("root again", Slipway(self.folder / "two")),
                             ("ranges", self.slipway), ("one id", UserSlipway(self.folder / "alone"))):
            if who == "one id":
                slipway.subid = ""
            slipway("load", input=base)
            source = self.folder / who.replace(" ", "-")
            source.mkdir()
            for name, data in {"Dockerfile": dockerfile, "src/a": "a", "src/b": "b"}.items():
                (source / name).parent.mkdir(exist_ok=True)
                (source / name).write_text(data)
            (source / "a.tar").write_bytes(tar.getvalue())
            slipway.build(source, "-t", "same:1", "--no-cache", env={"SOURCE_DATE_EPOCH": "1600000000"})
            digests[who] = slipway.digest("same:1")
            layers[who] = json.loads(slipway("inspect", "same:1").out)[0]["RootFS"]["Layers"]
            imported = json.loads(slipway("inspect", "base").out)[0]["RootFS"]["Layers"]
            self.assertEqual(imported[0], layers[who][0])  # base layers are untouched
        self.assertEqual([layers["root"]] * 4, list(layers.values()))
        self.assertEqual(1, len(set(digests.values())), digests)


if __name__ == "__main__":
    main()
