#!/usr/bin/env python3
"""What -o writes, read by others: skopeo, umoci, Debian's registry, tar. Formats, annotations, names, metadata."""
import hashlib
import json
import os
import subprocess
import tarfile
import unittest

from support import Case, Dockerd, Registry, Slipway, facts_of_tree, main, make_certificate, require, run

OCI = "application/vnd.oci.image.layer.v1.tar"
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
MAGIC = {"uncompressed": b"", "gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def setUpModule():
    require("skopeo", "umoci")


class Layout:
    """An OCI layout directory, every blob of which is what its name says."""

    def __init__(self, folder):
        self.folder = folder
        for blob in (folder / "blobs/sha256").iterdir():
            if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
                raise AssertionError(f"{blob.name} is broken")

    def entries(self):
        return json.loads((self.folder / "index.json").read_text())["manifests"]

    def tags(self):
        return {e.get("annotations", {}).get("org.opencontainers.image.ref.name"): e["digest"] for e in self.entries()}

    def blob(self, digest):
        return (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()

    def manifest(self, entry=0):
        return json.loads(self.blob(self.entries()[entry]["digest"]))


class ExportTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context("FROM base\nRUN mkdir /d && seq 20000 >/d/numbers\nCOPY x /x\n", {"x": "x\n"})

    def raw(self, place):
        return json.loads(run(["skopeo", "inspect", "--tls-verify=false", "--raw", place]).out)

    def unpack(self, archive):
        folder = self.folder / (archive.name + ".d")
        folder.mkdir()
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)
        return Layout(folder)

    def layout(self, *keys, name="layout", options=()):
        folder = self.folder / name
        self.slipway.build(self.source, *options, "-o", ",".join(["type=oci,tar=false", f"dest={folder}", *keys]))
        return Layout(folder)


class LayoutTest(ExportTest):
    def test_umoci_unpacks_the_layout(self):
        require("umoci", root=True)
        self.layout(options=["-t", "app:1"])
        run(["umoci", "unpack", "--image", f"{self.folder}/layout:1", self.folder / "bundle"])
        self.assertEqual(self.slipway.tree(self.source), facts_of_tree(self.folder / "bundle/rootfs"))

    def test_directory_and_archive_hold_the_same_image(self):
        directory = self.layout(options=["-t", "app:1"])
        archive = self.folder / "a.tar"
        self.slipway.build(self.source, "-t", "app:1", "-o", f"type=oci,dest={archive}")
        self.assertEqual(directory.entries(), self.unpack(archive).entries())

    def test_images_gather_in_one_directory(self):
        one = self.layout(options=["-t", "app:1"]).tags()
        self.source = self.context("FROM base\nRUN true\n", name="two")
        two = self.layout(options=["-t", "app:2"])
        self.assertEqual(one["1"], two.tags()["1"])
        self.assertEqual({"1", "2"}, set(two.tags()))
        self.assertNotEqual(two.tags()["1"], two.tags()["2"])
        run(["skopeo", "inspect", f"oci:{self.folder}/layout:1"])
        other = Slipway(self.folder / "other")
        other.build(self.context("FROM app\n", name="from"), "--build-context", f"app=oci-layout://{self.folder}/layout:2")

    def test_a_name_of_the_output_is_a_name_of_the_archive(self):
        self.assertEqual({"1", "extra"}, set(self.layout('"name=other:extra"', options=["-t", "app:1"]).tags()))


class FormatTest(ExportTest):
    def check(self, layout, form, base=None, family=OCI):
        """New layers are of `form`, the base's of `base`."""
        layers = layout.manifest()["layers"]
        for layer, expected in zip(layers, [base or form] + [form] * (len(layers) - 1)):
            suffix = {"uncompressed": "", "gzip": "gzip", "zstd": "zstd"}[expected]
            self.assertEqual(family + suffix and family + ({OCI: "+", DOCKER: "."}[family] + suffix if suffix else ""),
                             layer["mediaType"])
            data = layout.blob(layer["digest"])
            self.assertEqual(layer["size"], len(data))
            if suffix:
                self.assertEqual(MAGIC[expected], data[:len(MAGIC[expected])])
            else:
                self.assertEqual(b"ustar", data[257:262])
        config = json.loads(layout.blob(layout.manifest()["config"]["digest"]))
        plain = [hashlib.sha256(self.plain(layout.blob(layer["digest"]))).hexdigest() for layer in layers]
        self.assertEqual([d.removeprefix("sha256:") for d in config["rootfs"]["diff_ids"]], plain)

    def plain(self, data):
        if data.startswith(MAGIC["gzip"]):
            return run(["gzip", "-dc"], input=data).stdout
        if data.startswith(MAGIC["zstd"]):
            require("zstd")
            return run(["zstd", "-dc"], input=data).stdout
        return data

    def test_new_layers_in_each_compression(self):
        for form in MAGIC:
            with self.subTest(form):
                self.check(self.layout(f"compression={form}", name=form), form, base="gzip")

    def test_all_layers_by_force(self):
        for form in MAGIC:
            with self.subTest(form):
                self.check(self.layout(f"compression={form}", "force-compression=true", name=form, options=["-t", form]), form)
        self.slipway.assert_clean(self)

    def test_levels(self):
        self.source = self.context("FROM base\nRUN cp /bin/busybox /copy\n", name="binary")
        sizes = {}
        for keys in ("compression=gzip,compression-level=1", "compression=gzip,compression-level=9",
                     "compression=zstd,compression-level=1", "compression=zstd,compression-level=19"):
            name = keys.replace(",", " ")
            layout = self.layout(keys, name=name)
            sizes[keys] = layout.manifest()["layers"][1]["size"]
            self.check(layout, keys.split(",")[0].split("=")[1], base="gzip")
            again = self.layout(keys, name=name + " again")
            self.assertEqual(layout.manifest(), again.manifest())
        sizes = list(sizes.values())
        self.assertGreater(sizes[0], sizes[1])
        self.assertGreater(sizes[2], sizes[3])

    def test_two_outputs_of_one_build_with_different_compression(self):
        zstd, plain, docker = self.folder / "z.tar", self.folder / "p.tar", self.folder / "d.tar"
        self.slipway.build(self.source, "-t", "app:1", "-o", f"type=oci,dest={zstd},compression=zstd", "-o",
                           f"type=oci,dest={plain},compression=uncompressed,force-compression=true", "-o",
                           f"type=docker,dest={docker},oci-mediatypes=false", "-o", f"type=local,dest={self.folder}/out")
        z, p, d = map(self.unpack, (zstd, plain, docker))
        self.check(z, "zstd", base="gzip")
        self.check(p, "uncompressed")
        self.check(d, "gzip", family=DOCKER)
        self.assertEqual(z.manifest()["config"]["digest"], p.manifest()["config"]["digest"])
        self.assertEqual("x\n", (self.folder / "out/x").read_text())
        self.assertEqual(z.entries()[0]["digest"], self.slipway.digest("app:1"), "the first output names the image")

    def test_nothing_that_fits_is_written_again(self):
        first = self.layout().manifest()["layers"]
        again = self.layout("compression=gzip", "force-compression=true", name="again").manifest()["layers"]
        self.assertEqual(first, again)
        self.layout("compression=zstd", name="z1")
        # The second time they are found: the blobs that they would be made of are out of the way.
        for layer in first[1:]:
            os.rename(self.slipway.root / "blobs/sha256" / layer["digest"][7:], self.folder / layer["digest"][7:])
        self.layout("compression=zstd", name="z2")

    def test_docker_types_are_read_by_skopeo(self):
        # skopeo's oci: passes over docker's types in a layout; from a registry it reads them.
        manifest = self.layout("oci-mediatypes=false", options=["-t", "app:1"]).manifest()
        self.assertEqual("application/vnd.docker.distribution.manifest.v2+json", manifest["mediaType"])
        self.assertEqual("application/vnd.docker.container.image.v1+json", manifest["config"]["mediaType"])
        self.assertEqual({DOCKER + ".gzip"}, {layer["mediaType"] for layer in manifest["layers"]})
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/app:1"
        self.slipway.build(self.source, "-o", f"type=registry,name={name},oci-mediatypes=false")
        self.assertEqual(manifest, self.raw(f"docker://{name}"))
        run(["skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}", f"dir:{self.folder}/copy"])

    def test_a_zstd_image_is_a_base_again(self):
        archive = self.folder / "z.tar"
        self.slipway.build(self.source, "-t", "z:1", "-o", f"type=oci,dest={archive},compression=zstd,force-compression=1")
        other = Slipway(self.folder / "other")
        other("load", "-i", archive)
        self.assertEqual(self.slipway.tree(self.source), other.tree(self.context("FROM z:1\n", name="from")))
        docker = self.folder / "d"
        other.build(self.folder / "from", "-o", f"type=oci,tar=false,dest={docker},oci-mediatypes=false")
        self.check(Layout(docker), "gzip", family=DOCKER)
        other.assert_clean(self)

    def test_no_compression_asked_is_as_before(self):
        self.check(self.layout(), "gzip")


class AnnotationTest(ExportTest):
    def test_where_they_stand(self):
        layout = self.layout("annotation.out=put", "annotation-manifest-descriptor.e=f", options=[
            "-t", "app:1", "--annotation", "a.b=c=d", "--annotation", "manifest,manifest-descriptor:both=<&>"])
        manifest = self.raw(f"oci:{self.folder}/layout:1")
        self.assertEqual({"a.b": "c=d", "both": "<&>", "out": "put"}, manifest["annotations"])
        entry = layout.entries()[0]["annotations"]
        self.assertEqual(("<&>", "f"), (entry["both"], entry["e"]))
        self.assertNotIn("a.b", entry)

    def test_for_a_platform(self):
        machine = "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        self.layout(options=["-t", "app:1", "--annotation", f"manifest[{machine}]:a=b"])
        self.assertEqual({"a": "b"}, self.raw(f"oci:{self.folder}/layout:1")["annotations"])
        done = self.slipway.build(self.source, "--annotation", "manifest[windows/amd64]:a=b", check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn("windows/amd64", done.err)

    def test_one_platform_has_no_index_to_annotate(self):
        for option in (["--annotation", "index:a=b"], ["-o", "type=image,annotation-index.a=b"]):
            done = self.slipway.build(self.source, *option, check=False)
            self.assertEqual(2, done.returncode)
            self.assertIn("index", done.err)
            self.assertNotIn("#1", done.err, "told before any step")

    def test_an_annotated_image_is_pushed_as_it_is(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/app:1"
        self.slipway.build(self.source, "-t", name, "--annotation", "a=b", "--push")
        self.assertEqual({"a": "b"}, self.raw(f"docker://{name}")["annotations"])


class NamesTest(ExportTest):
    def images(self):
        return {line.split()[0] + ":" + line.split()[1] for line in self.slipway("images").out.splitlines()[1:]} - {"base:latest"}

    def test_names_of_the_output(self):
        self.slipway.build(self.source, "-t", "a:1", "-o", 'type=image,"name=b:2,c",name-canonical=true')
        self.assertLessEqual({"a:1", "b:2", "c:latest"}, self.images())
        digest = self.slipway.digest("a:1")
        self.assertIn(digest, self.slipway("inspect", f"b@{digest}").out)

    def test_store_false_cacheonly_and_dangling_prefix(self):
        self.slipway.build(self.source, "-t", "a:1", "-o", "type=image,store=false")
        self.assertEqual(set(), self.images())
        self.slipway.build(self.source, "-t", "a:1", "-o", "type=cacheonly")
        self.assertEqual(set(), self.images())
        self.assertIn("CACHED", self.slipway.build(self.source).err)
        done = self.slipway("build", "-q", "-o", "type=image,dangling-name-prefix=team/nameless", self.source)
        self.assertIn(done.out.strip(), self.slipway("inspect", f"team/nameless@{done.out.strip()}").out)

    def test_load_is_the_store(self):
        self.slipway.build(self.source, "-t", "a:1", "--load", "-o", "type=cacheonly")
        self.assertEqual({"a:1"}, self.images())


class PushTest(ExportTest):
    def setUp(self):
        super().setUp()
        require("docker-registry")

    def tags(self, registry, repository):
        done = run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{registry.host}/{repository}"], check=False)
        return json.loads(done.out)["Tags"] or [] if done.returncode == 0 else []

    def test_by_digest(self):
        registry = self.closing(Registry(self.folder / "registry"))
        metadata = self.folder / "m.json"
        for option in (["-t", f"{registry.host}/app", "-o", "type=image,push-by-digest=true,push=true"],
                       ["-o", f"type=registry,name={registry.host}/named,push-by-digest=true,name-canonical=true"]):
            self.slipway.build(self.source, *option, "--metadata-file", metadata)
            told = json.loads(metadata.read_text())
            repository = option[-1].split("named")[0] != option[-1] and "named" or "app"
            self.assertEqual([], self.tags(registry, repository))
            found = self.raw(f"docker://{registry.host}/{repository}@{told['containerimage.digest']}")
            self.assertEqual(told["containerimage.config.digest"], found["config"]["digest"])
            self.assertIn(f"{registry.host}/{repository}", told["image.name"].split(","))

    def test_several_registries_in_several_formats(self):
        one, two = (self.closing(Registry(self.folder / name)) for name in ("r1", "r2"))
        self.slipway.build(self.source, "-o", f"type=registry,name={one.host}/app:z,compression=zstd", "-o",
                           f"type=image,name={two.host}/app:d,push=true,oci-mediatypes=false")
        zstd, docker = self.raw(f"docker://{one.host}/app:z"), self.raw(f"docker://{two.host}/app:d")
        self.assertEqual(OCI + "+zstd", zstd["layers"][1]["mediaType"])
        self.assertEqual(DOCKER + ".gzip", docker["layers"][1]["mediaType"])

    def test_insecure_registry(self):
        certificate = make_certificate(self.folder / "keys")
        registry = self.closing(Registry(self.folder / "registry", certificate=certificate))
        name = f"{registry.host}/app:1"
        refused = self.slipway.build(self.source, "-o", f"type=registry,name={name}", check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("certificate", refused.err)
        self.slipway.build(self.source, "-o", f"type=registry,name={name},registry.insecure=true")
        self.assertEqual(["1"], self.tags(registry, "app"))

    def test_a_base_that_was_never_unpacked(self):
        """Only the documents of the base are here: its layers are fetched when their bytes are asked for."""
        registry = self.closing(Registry(self.folder / "registry"))
        self.slipway.build(self.source, "-t", f"{registry.host}/lazy:1", "--push")
        other = Slipway(self.folder / "other")
        lazy = self.context(f"FROM {registry.host}/lazy:1\nLABEL a=b\n", name="lazy")
        other.build(lazy, "-o", f"type=oci,tar=false,dest={self.folder}/copy")
        Layout(self.folder / "copy").manifest()
        third = Slipway(self.folder / "third")
        third.build(lazy, "-o", f"type=oci,tar=false,dest={self.folder}/z,compression=zstd,force-compression=true")
        self.assertEqual({OCI + "+zstd"}, {x["mediaType"] for x in Layout(self.folder / "z").manifest()["layers"]})


class MetadataTest(ExportTest):
    def test_what_it_tells(self):
        file, iid = self.folder / "m.json", self.folder / "iid"
        self.slipway.build(self.source, "-t", "a:1", "-t", "b", "--metadata-file", file, "--iidfile", iid,
                           env={"BUILDX_METADATA_PROVENANCE": "max"})
        told = json.loads(file.read_text())
        self.assertEqual(iid.read_text(), told["containerimage.digest"])
        self.assertEqual("docker.io/library/a:1,docker.io/library/b:latest", told["image.name"])
        about = told["containerimage.descriptor"]
        self.assertEqual(told["containerimage.digest"], about["digest"])
        raw = (self.slipway.root / "blobs/sha256" / about["digest"][7:]).read_bytes()
        self.assertEqual(len(raw), about["size"])
        self.assertEqual(json.loads(raw)["config"]["digest"], told["containerimage.config.digest"])
        self.assertEqual(json.loads(raw)["mediaType"], about["mediaType"])
        self.assertRegex(told["buildx.build.ref"], r"\Aslipway/slipway/[a-z0-9]{25}\Z")

    def test_an_old_one_does_not_outlive_a_failed_build(self):
        file = self.folder / "m.json"
        file.write_text("old")
        self.assertEqual(1, self.slipway.build(self.context("FROM base\nRUN exit 3\n", name="bad"), "--metadata-file", file,
                                               check=False).returncode)
        self.assertFalse(file.exists())
        self.slipway.build(self.source, "--metadata-file", file, "-q")
        self.assertNotIn("image.name", json.loads(file.read_text()))

    def test_full_device_and_missing_folder(self):
        for target in ("/dev/full", self.folder / "no/such/m.json"):
            done = self.slipway.build(self.source, "--metadata-file", target, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn(str(target), done.err)


class FailingOutputTest(ExportTest):
    def test_full_device(self):
        for form in ("type=oci,compression=zstd,", "type=docker,oci-mediatypes=false,", "type=tar,"):
            done = self.slipway.build(self.source, "-t", "never:1", "-o", f"{form}dest=/dev/full", check=False)
            self.assertEqual(1, done.returncode, form)
            self.assertIn("/dev/full", done.err)
            self.assertNotIn("never", self.slipway("images").out, "what could not be written is not named")

    def test_a_layout_in_the_way(self):
        folder = self.folder / "taken"
        folder.mkdir()
        (folder / "index.json").write_text("mine")
        done = self.slipway.build(self.source, "-o", f"type=oci,tar=false,dest={folder}", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("index.json", done.err)
        self.assertEqual("mine", (folder / "index.json").read_text())

    @unittest.skipIf(os.geteuid() == 0, "root writes everywhere")
    def test_folder_that_cannot_be_written(self):
        done = self.slipway.build(self.source, "-o", "type=oci,tar=false,dest=/proc/x", check=False)
        self.assertEqual(1, done.returncode)


class ReproducibleTest(ExportTest):
    def build(self, name, *options):
        slipway = Slipway(self.folder / name)
        self.give_base_of(slipway)
        return slipway("build", "-q", *options, self.source, env={"SOURCE_DATE_EPOCH": "1700000001"}).out.strip()

    def give_base_of(self, slipway):
        if not (self.folder / "base.tar").exists():
            self.slipway("save", "-o", self.folder / "base.tar", "base:latest")
        slipway("load", "-i", self.folder / "base.tar")

    def test_one_digest_on_two_roots(self):
        digests = {self.build(f"root{i}", "-o", f"type=oci,rewrite-timestamp=true,dest={self.folder}/{i}.tar")
                   for i in range(2)}
        self.assertEqual(1, len(digests))
        self.assertEqual((self.folder / "0.tar").read_bytes(), (self.folder / "1.tar").read_bytes())

    def test_false_keeps_the_times_of_files(self):
        out = self.folder / "out"
        slipway = Slipway(self.folder / "kept")
        self.give_base_of(slipway)
        os.utime(self.source / "x", (1_800_000_000, 1_800_000_000))
        env = {"SOURCE_DATE_EPOCH": "1700000001"}
        slipway.build(self.source, "-o", f"type=local,dest={out},rewrite-timestamp=false", env=env)
        self.assertEqual(1_800_000_000, int((out / "x").stat().st_mtime))
        slipway.build(self.source, "-o", f"type=local,dest={out}2,rewrite-timestamp=true", env=env)
        self.assertEqual(1_700_000_001, int((self.folder / "out2/x").stat().st_mtime))


class CacheFilterTest(ExportTest):
    def test_only_the_named_stages_run_again(self):
        source = self.context("FROM base AS one\nRUN echo 1 >/1\nFROM base AS two\nRUN echo 2 >/2\nFROM base\n"
                              "COPY --from=one /1 /\nCOPY --from=two /2 /\n", name="stages")
        self.slipway.build(source)
        self.assertNotIn("DONE", self.again(source))
        for option in (["--no-cache-filter", "ONE"], ["--no-cache-filter=one,nothing"]):
            text = self.again(source, *option)
            self.assertEqual((1, 1), (text.count("DONE"), text.count("CACHED")), text)
        self.assertEqual(2, self.again(source, "--no-cache-filter", "one", "--no-cache-filter", "two").count("DONE"))

    def again(self, source, *options):
        """The RUN steps' lines of a second build."""
        err = self.slipway.build(source, *options).err
        numbers = [line.split()[0] for line in err.splitlines() if "RUN echo" in line]
        return "\n".join(line for line in err.splitlines() if line.split(" ")[0] in numbers)


class ProxyTest(ExportTest):
    SOURCE = "FROM base\nRUN echo \"$HTTP_PROXY $http_proxy $no_proxy\" >/p\n"

    def proxies(self, *options, env=None):
        out = self.folder / "out"
        self.slipway.build(self.context(self.SOURCE, name="proxy"), "--no-cache", "-t", "p:1", *options, "-o",
                           f"type=local,dest={out}", "--load", env=env)
        return (out / "p").read_text().strip()

    def configure(self, proxies):
        (self.slipway.home / ".docker").mkdir(exist_ok=True)
        (self.slipway.home / ".docker/config.json").write_text(json.dumps({"proxies": proxies}))

    def test_of_config_json(self):
        self.configure({"default": {"httpProxy": "http://c:1", "noProxy": "n"}, "tcp://d:1": {"httpProxy": "http://d:1"}})
        self.assertEqual("http://c:1 http://c:1 n", self.proxies())
        self.assertEqual("http://c:1 http://c:1 n", self.proxies(env={"HTTP_PROXY": "http://e:1"}))
        self.assertEqual("http://d:1 http://d:1", self.proxies(env={"DOCKER_HOST": "tcp://d:1"}))
        self.assertTrue(self.proxies("--build-arg", "HTTP_PROXY=http://a:1").startswith("http://a:1 "))
        self.assertNotIn("http://", self.slipway("inspect", "p:1").out + self.slipway("history", "--no-trunc", "p:1").out)

    def test_they_are_not_in_the_key(self):
        source = self.context(self.SOURCE, name="proxy")
        self.slipway.build(source)
        self.configure({"default": {"httpProxy": "http://c:1"}})
        self.assertIn("CACHED", self.slipway.build(source).err)

    def test_a_broken_file_is_named(self):
        (self.slipway.home / ".docker").mkdir()
        (self.slipway.home / ".docker/config.json").write_text("{")
        done = self.slipway.build(self.source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("config.json", done.err)


class DockerTest(ExportTest):
    """Debian's Docker loads the archives in every form that it reads."""

    def test_docker_loads_them(self):
        require("/usr/sbin/dockerd", "/usr/bin/docker", root=True)
        dockerd = self.closing(Dockerd(self.folder / "dockerd"))
        for keys in ("oci-mediatypes=false", "compression=uncompressed,force-compression=true", "compression-level=9"):
            archive = self.folder / "d.tar"
            self.slipway.build(self.source, "-t", "made:1", "-o", f"type=docker,dest={archive},{keys}")
            self.assertIn("made:1", dockerd("load", "-i", archive).out)
            config = json.loads(self.unpack(archive).folder.joinpath("manifest.json").read_text())[0]["Config"]
            self.assertEqual("sha256:" + config.split("/")[-1], dockerd("inspect", "-f", "{{.Id}}", "made:1").out.strip())
            dockerd("rmi", "-f", "made:1")
            subprocess.run(["rm", "-rf", f"{archive}.d"], check=True)


if __name__ == "__main__":
    main()
