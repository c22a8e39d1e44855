#!/usr/bin/env python3
"""Several platforms: what other readers see of an index, later builds upon it, and steps of a foreign architecture."""
import io
import json
import os
import pathlib
import shutil
import tarfile
import unittest

from support import Case, Registry, Slipway, base_tar, busybox, facts_of_tar, main, require, run, write_context

CROSS = """\
FROM --platform=$BUILDPLATFORM base AS build
RUN echo built-once > /common
ARG TARGETARCH
RUN echo for-$TARGETARCH > /arch
FROM scratch
COPY --from=build /common /arch /
COPY --from=build /bin /bin
COPY --from=build /etc /etc
"""
BOTH = "linux/amd64,linux/arm64"
HOST = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
INDEX = "application/vnd.oci.image.index.v1+json"


def setUpModule():
    if HOST is None:
        raise unittest.SkipTest("the cases build for amd64 and arm64, on one of them")


class PlatformsTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context(CROSS)

    def build(self, *options, source=None, **keys):
        return self.slipway.build(source or self.source, "--platform", BOTH, *options, **keys)

    def text_of(self, name, path, platform):
        """The content of a file of one platform's image, through a build that stands on it."""
        source = self.context(f"FROM {name}\n", name="reader")
        done = self.slipway("build", "-q", "--platform", platform, "-o", "type=tar,dest=-", source)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            return tar.extractfile(path).read().decode()


class LocalTest(PlatformsTest):
    def test_each_platform_has_its_own_files(self):
        self.build("-t", "app:1")
        for arch in ("amd64", "arm64"):
            self.assertEqual(f"for-{arch}\n", self.text_of("app:1", "arch", f"linux/{arch}"))
            self.assertEqual("built-once\n", self.text_of("app:1", "common", f"linux/{arch}"))
            self.assertEqual(f"{arch}\n", self.slipway("inspect", "--platform", f"linux/{arch}", "-f",
                                                       "{{.Architecture}}", "app:1").out)
        self.slipway.assert_clean(self)

    def test_common_steps_are_one(self):
        names = [line.split(" ", 1)[1] for line in self.build("--no-cache").err.splitlines()
                 if line.startswith("#") and "] " in line and "RUN" in line]
        self.assertEqual(1, len({n for n in names if "built-once" in n}), names)
        away = {"amd64": "arm64", "arm64": "amd64"}[HOST]
        self.assertEqual({f"[linux/{HOST} build 3/3] RUN echo for-$TARGETARCH > /arch",
                          f"[linux/{HOST}->{away} build 3/3] RUN echo for-$TARGETARCH > /arch"},
                         {n for n in names if "for-" in n})

    def test_second_build_is_cached_and_equal(self):
        self.build("-t", "app:1")
        first = self.slipway.digest("app:1")
        done = self.build("-t", "app:2")
        self.assertNotIn("DONE", "\n".join(l for l in done.err.splitlines() if "RUN" in l))
        self.assertEqual(first, self.slipway.digest("app:2"))

    def test_a_later_build_stands_on_each_platform(self):
        self.build("-t", "app:1")
        source = self.context("FROM app:1\nCOPY more /more\nWORKDIR /made\nCOPY --chown=app more /owned\n",
                              {"more": "more\n"}, name="upon")
        self.build("-t", "upon:1", source=source)
        self.assertEqual("for-arm64\n", self.text_of("upon:1", "arch", "linux/arm64"))
        self.assertEqual("for-amd64\n", self.text_of("upon:1", "arch", "linux/amd64"))
        done = self.slipway("build", "-q", "--platform", "linux/arm64", "-o", "-", self.context("FROM upon:1\n", name="x"))
        self.assertEqual("1000:1001", facts_of_tar(done.stdout)["owned"][2])  # the foreign image's own passwd

    def test_no_platform_that_there_is_not(self):
        self.build("-t", "127.0.0.1:1/app:1")
        source = self.context("FROM 127.0.0.1:1/app:1\n", name="upon")
        done = self.slipway.build(source, "--platform", "linux/s390x", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("no image for linux/s390x in the index; it has linux/amd64, linux/arm64", done.err)

    def test_store_commands(self):
        first = {"amd64": "arm64", "arm64": "amd64"}[HOST]  # none of this machine
        self.slipway.build(self.source, "--platform", f"linux/{first},linux/riscv64", "-t", "far:1")
        target = self.slipway.digest("far:1")
        self.assertIn("far", self.slipway("images").out)
        self.assertNotIn("WARNING", self.slipway("images").err)
        about = json.loads(self.slipway("inspect", "far:1").out)[0]
        self.assertEqual(first, about["Architecture"])
        other = json.loads(self.slipway("inspect", "--platform", "linux/riscv64", "far:1").out)[0]
        self.assertEqual("riscv64", other["Architecture"])
        self.assertIn("COPY", self.slipway("history", "--platform", "linux/riscv64", "far:1").out)
        self.slipway("tag", other["Id"], "by-id:1")
        self.assertEqual(target, self.slipway.digest("by-id:1"))
        self.slipway("gc")
        self.slipway.assert_clean(self)
        self.assertEqual("for-riscv64\n", self.text_of("far:1", "arch", "linux/riscv64"))
        archive = self.folder / "far.tar"
        self.slipway("save", "-o", archive, "far:1")
        fresh = Slipway(self.folder / "fresh")
        fresh("load", "-i", archive)
        self.assertEqual(target, fresh.digest("far:1"))
        fresh.assert_clean(self)
        self.slipway("rmi", "far:1", "by-id:1")
        self.assertNotIn("far", self.slipway("images").out)
        self.slipway.assert_clean(self)

    def test_outputs(self):
        out = self.folder / "out"
        self.build("-o", out)
        for arch in ("amd64", "arm64"):
            self.assertEqual(f"for-{arch}\n", (out / f"linux_{arch}" / "arch").read_text())
        paths = facts_of_tar(self.build("-o", "type=tar,dest=-").stdout)
        self.assertLessEqual({"linux_amd64/arch", "linux_arm64/arch", "linux_arm64/bin/busybox"}, set(paths))
        done = self.build("-o", f"type=docker,dest={self.folder}/d.tar", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("docker exporter does not currently support exporting manifest lists", done.err)
        self.assertNotIn("RUN", done.err)  # before any step

    def test_result_files(self):
        iid = self.folder / "iid"
        done = self.build("-q", "-t", "app:1", "--iidfile", iid)
        self.assertEqual(self.slipway.digest("app:1"), iid.read_text())
        self.assertEqual(iid.read_text(), done.out.strip())

    def test_default_platform_of_the_environment(self):
        done = self.slipway.build(self.source, "-t", "env:1", env={"DOCKER_DEFAULT_PLATFORM": "linux/arm64"})
        self.assertNotIn("manifest list", done.err)
        self.assertEqual("arm64\n", self.slipway("inspect", "-f", "{{.Architecture}}", "env:1").out)


class ReaderTest(PlatformsTest):
    """skopeo reads what was written."""

    def setUp(self):
        require("skopeo")
        super().setUp()

    def check_index(self, raw, expected=("amd64", "arm64")):
        index = json.loads(raw)
        self.assertEqual(INDEX, index["mediaType"])
        self.assertEqual([{"architecture": a, "os": "linux"} for a in expected],
                         [m["platform"] for m in index["manifests"]])

    def test_registry(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/team/app:1"
        self.build("-t", name, "--push")
        look = ["skopeo", "inspect", "--tls-verify=false"]
        self.check_index(run([*look, "--raw", f"docker://{name}"]).stdout)
        for arch in ("amd64", "arm64"):
            about = json.loads(run([*look, "--override-arch", arch, f"docker://{name}"]).out)
            self.assertEqual(arch, about["Architecture"])
        copied = self.folder / "copied"
        run(["skopeo", "copy", "--all", "--src-tls-verify=false", "--insecure-policy", f"docker://{name}",
             f"oci:{copied}:app"])
        fresh = Slipway(self.folder / "fresh")  # another machine: builds upon what it pulls of each platform
        source = self.context(f"FROM {name}\nCOPY more /more\n", {"more": "x"}, name="upon")
        fresh.build(source, "--platform", BOTH, "-t", f"{registry.host}/team/upon:1", "--push")
        self.check_index(run([*look, "--raw", f"docker://{registry.host}/team/upon:1"]).stdout)
        fresh.assert_clean(self)

    def test_layout(self):
        archive = self.folder / "app.tar"
        self.build("-t", "app:1", "-o", f"type=oci,dest={archive}")
        look = ["skopeo", "inspect"]
        self.check_index(run([*look, "--raw", f"oci-archive:{archive}"]).stdout)
        for arch in ("amd64", "arm64"):
            about = json.loads(run([*look, "--override-arch", arch, f"oci-archive:{archive}"]).out)
            self.assertEqual(arch, about["Architecture"])
        fresh = Slipway(self.folder / "fresh")
        fresh("load", "-i", archive)
        self.assertEqual(self.slipway.digest("app:1"), fresh.digest("app:1"))

    def test_layout_as_named_context(self):
        layout = self.folder / "layout"
        self.build("-t", "app:1", "-o", f"type=oci,dest={self.folder}/app.tar")
        layout.mkdir()
        run(["tar", "-xf", self.folder / "app.tar", "-C", layout])
        source = self.context("FROM dep\nCOPY Dockerfile /upon\n", name="upon")
        fresh = Slipway(self.folder / "fresh")
        fresh.build(source, "--platform", BOTH, "--build-context", f"dep=oci-layout://{layout}", "-o", self.folder / "o")
        self.assertEqual("for-arm64\n", (self.folder / "o/linux_arm64/arch").read_text())

    def test_annotations_types_and_metadata(self):
        archive, metadata = self.folder / "app.tar", self.folder / "metadata.json"
        self.build("-t", "app:1", "-o", f"type=oci,dest={archive}", "--metadata-file", metadata, "--annotation",
                   "index:i=1", "--annotation", "manifest[linux/arm64]:m=2", "--annotation",
                   "manifest-descriptor[linux/arm64]:d=3")
        index = json.loads(run(["skopeo", "inspect", "--raw", f"oci-archive:{archive}"]).out)
        self.assertEqual({"i": "1"}, index["annotations"])
        self.assertEqual([None, {"d": "3"}], [m.get("annotations") for m in index["manifests"]])
        told = json.loads(metadata.read_text())
        self.assertEqual(self.slipway.digest("app:1"), told["containerimage.digest"])
        self.assertEqual(INDEX, told["containerimage.descriptor"]["mediaType"])
        self.assertNotIn("containerimage.config.digest", told)
        wrong = self.build("--annotation", "manifest[linux/s390x]:m=2", check=False)
        self.assertEqual(2, wrong.returncode)
        self.assertIn("the image is built for linux/amd64, linux/arm64", wrong.err)

        self.build("-t", "docker:1", "-o", "type=image,oci-mediatypes=false")
        about = json.loads(self.slipway("inspect", "docker:1").out)[0]
        self.assertEqual("application/vnd.docker.distribution.manifest.list.v2+json", about["Descriptor"]["mediaType"])

    def test_an_index_of_one(self):
        archive = self.folder / "one.tar"
        self.slipway.build(self.source, "--platform", "linux/arm64", "--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "-t",
                           "one:1", "-o", f"type=oci,dest={archive}")
        self.check_index(run(["skopeo", "inspect", "--raw", f"oci-archive:{archive}"]).stdout, ("arm64",))


class EmulationTest(PlatformsTest):
    """A handler of binfmt_misc for a made-up need: its interpreter is a program that ends well whatever it is given."""
    FOREIGN = "arm64" if os.uname().machine == "x86_64" else "riscv64"
    MACHINE = {"arm64": "\\xb7\\x00", "riscv64": "\\xf3\\x00"}[FOREIGN]
    TABLE = "/proc/sys/fs/binfmt_misc"

    def setUp(self):
        require("unshare", root=True)
        super().setUp()
        self.interpreter = self.folder / "true"  # busybox goes by the name it is called by
        shutil.copy(busybox(), self.interpreter)
        self.slipway("import", "--platform", f"linux/{self.FOREIGN}", "-", "foreign", input=base_tar())
        if self.inside("true", flags="F").returncode == 9:
            self.skipTest("binfmt_misc can not be mounted here")
        if "no emulator" not in self.plain("-t", "probe").err:
            self.skipTest(f"this machine runs {self.FOREIGN} programs")

    def inside(self, script, flags):
        """Runs `script` where the kernel hands foreign programs to the interpreter; the handler ends with it."""
        magic = "\\x7fELF\\x02\\x01\\x01" + "\\x00" * 9 + "\\x02\\x00" + self.MACHINE
        mask = "\\xff" * 7 + "\\x00" + "\\xff" * 8 + "\\xfe\\xff\\xff\\xff"
        whole = f"""
mount -t binfmt_misc none {self.TABLE} || exit 9
trap 'echo -1 > {self.TABLE}/slipway-e2e; umount {self.TABLE}' EXIT
printf '%s' ':slipway-e2e:M::{magic}:{mask}:{self.interpreter}:{flags}' > {self.TABLE}/register || exit 9
{script}
"""
        return run(["unshare", "-m", "bash", "-c", whole], check=False, env=self.slipway.env)

    def source_of(self, text):
        return write_context(self.folder / "steps", text)

    def plain(self, *options, text="FROM foreign\nRUN anything\n"):
        return self.slipway.build(self.source_of(text), "--platform", f"linux/{self.FOREIGN}", *options, check=False)

    def emulated(self, text="FROM foreign\nRUN anything\n", flags="F"):
        command = self.slipway.command("build", "--progress", "plain", "--platform", f"linux/{self.FOREIGN}", "-t", "e",
                                       self.source_of(text))
        # a shell that is a foreign program: the busybox in the image is marked as one
        return self.inside(" ".join(map(str, command)), flags)

    def foreign_base(self):
        """A base whose /bin/sh is a program of the foreign architecture: the header is all that counts here."""
        head = bytearray(pathlib.Path(busybox()).read_bytes())
        head[18] = {"arm64": 0xB7, "riscv64": 0xF3}[self.FOREIGN]
        context = self.context("FROM scratch\nCOPY --chmod=755 sh /bin/sh\n", {"sh": bytes(head)}, name="sh")
        self.slipway.build(context, "--platform", f"linux/{self.FOREIGN}", "-t", "foreign")

    def test_with_and_without(self):
        self.foreign_base()
        refused = self.plain()
        self.assertEqual(1, refused.returncode)
        self.assertIn("[2/2] RUN anything can not run", refused.err)
        self.assertIn("install an emulator", refused.err)
        self.assertIn("Dockerfile:2", refused.err)

        no_flag = self.emulated(flags="OC")
        self.assertEqual(1, no_flag.returncode, no_flag.err)
        self.assertIn("has no flag F", no_flag.err)

        works = self.emulated()
        self.assertEqual(0, works.returncode, works.err)
        self.assertEqual(1, works.err.count("are emulated by"), works.err)
        self.assertIn(str(self.interpreter), works.err)

        cached = self.plain("-t", "again")
        self.assertEqual(0, cached.returncode, cached.err)
        self.assertNotIn("emulated", cached.err)

        further = self.plain(text="FROM foreign\nRUN anything\nRUN more\n")
        self.assertEqual(1, further.returncode)
        self.assertIn("[3/3] RUN more can not run", further.err)
        self.assertEqual(1, self.plain("--no-cache").returncode)

    def test_refused_before_any_step(self):
        done = self.plain(text="FROM --platform=$BUILDPLATFORM base AS native\nRUN echo native > /x\n"
                               "FROM foreign\nCOPY --from=native /x /x\nRUN anything\n")
        self.assertEqual(1, done.returncode)
        self.assertIn("[stage-1 3/3] RUN anything can not run", done.err)
        self.assertNotIn("RUN echo native", done.err.split("Dockerfile:")[0])

    def test_a_mislabelled_image_is_explained(self):
        self.foreign_base()
        archive = self.folder / "files.tar"
        self.slipway.build(self.context("FROM foreign\n", name="f"), "--platform", f"linux/{self.FOREIGN}", "-o",
                           f"type=tar,dest={archive}")
        self.slipway("import", archive, "mislabelled")
        done = self.slipway.build(self.source_of("FROM mislabelled\nRUN anything\n"), check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("exec format error", done.err)
        self.assertIn(f"/bin/sh is a program for {self.FOREIGN}", done.err)

    def test_doctor_names_the_interpreter(self):
        done = self.inside(" ".join(map(str, self.slipway.command("doctor"))), "F")
        self.assertIn(f"{self.FOREIGN} by {self.interpreter}", done.out)
        done = self.inside(" ".join(map(str, self.slipway.command("doctor"))), "OC")
        self.assertIn("has no flag F", done.out)


if __name__ == "__main__":
    main()
