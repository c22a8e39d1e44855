#!/usr/bin/env python3
"""save, load, import and -o, read by skopeo and umoci and by ourselves again."""
import hashlib
import io
import json
import os
import tarfile

from support import Case, add, base_tar, facts_of_tar, facts_of_tree, main, require, run

DOCKERFILE = """\
FROM base
LABEL kind=test
RUN mkdir /made && echo one >/made/one && ln /made/one /made/hard && ln -s one /made/soft && chmod 4755 /made/one
RUN rm -r /data && mkdir /data && echo new >/data/new && rm /made/soft
COPY --chown=app:app files /files
ENV A=b
CMD ["sh"]
"""


def setUpModule():
    require("skopeo", "umoci")


class ArchivesTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context(DOCKERFILE, {"files/x": "x\n", "files/deep/y": "y\n"})
        self.slipway.build(self.source, "-t", "made:1")
        self.saved = self.folder / "saved.tar"
        self.slipway("save", "-o", self.saved, "made:1")

    def test_save_is_read_by_skopeo_as_docker_archive(self):
        about = json.loads(run(["skopeo", "inspect", f"docker-archive:{self.saved}"]).out)
        self.assertIn("docker.io/library/made:1", about["RepoTags"] or ["docker.io/library/made:1"])
        self.assertEqual({"kind": "test"}, about["Labels"])
        self.assertEqual(4, len(about["Layers"]))

    def test_save_is_an_oci_layout_too(self):
        about = json.loads(run(["skopeo", "inspect", f"oci-archive:{self.saved}"]).out)
        self.assertEqual(self.slipway.digest("made:1"), about["Digest"])

    def test_every_blob_of_the_archive_has_its_digest(self):
        seen = 0
        with tarfile.open(self.saved) as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                if folder == "blobs/sha256" and member.isreg():
                    self.assertEqual(name, hashlib.sha256(tar.extractfile(member).read()).hexdigest())
                    seen += 1
        self.assertGreaterEqual(seen, 6)

    def test_save_to_standard_output_is_the_same(self):
        self.assertEqual(self.saved.read_bytes(), self.slipway("save", "made:1").stdout)

    def test_load_gives_the_digest_again(self):
        other = type(self.slipway)(self.folder / "other")
        done = other("load", "-i", self.saved)
        self.assertIn("made:1", done.out)
        self.assertEqual(self.slipway.digest("made:1"), other.digest("made:1"))
        again = other("save", "made:1").stdout
        self.assertEqual(facts_of_tar(self.saved.read_bytes()), facts_of_tar(again))

    def test_load_of_what_skopeo_wrote(self):
        for kind in ("docker-archive", "oci-archive"):
            with self.subTest(kind):
                target = self.folder / f"{kind}.tar"
                run(["skopeo", "--insecure-policy", "copy", f"docker-archive:{self.saved}", f"{kind}:{target}:made:2"])
                other = type(self.slipway)(self.folder / kind)
                other("import", target, "again:1")
                self.assertEqual(self.slipway.tree(self.context("FROM made:1\n", name="a")),
                                 other.tree(self.context("FROM again:1\n", name="b")))

    def test_loaded_archives_may_be_compressed(self):
        for program in ("gzip", "zstd"):
            with self.subTest(program):
                require(program)
                other = type(self.slipway)(self.folder / program)
                other("load", input=run([program, "-c", self.saved]).stdout)
                self.assertEqual(self.slipway.digest("made:1"), other.digest("made:1"))

    def test_umoci_unpacks_the_same_tree(self):
        layout = self.folder / "layout"
        archive = self.folder / "oci.tar"
        self.slipway.build(self.source, "-t", "made:1", "-o", f"type=oci,dest={archive}")
        run(["skopeo", "--insecure-policy", "copy", f"oci-archive:{archive}", f"oci:{layout}:one"])
        run(["umoci", "unpack", "--image", f"{layout}:one", self.folder / "bundle"])
        ours = self.folder / "ours"
        self.slipway.build(self.source, "-o", f"type=local,dest={ours}")
        theirs = facts_of_tree(self.folder / "bundle/rootfs")
        # On this machine set-id bits stay out: whose image is it?
        inert = {path: (kind, mode and (mode if kind == tarfile.DIRTYPE else mode & ~0o6000), owner, what)
                 for path, (kind, mode, owner, what) in theirs.items()}
        self.assertNotEqual(theirs, inert)
        self.assertEqual(inert, facts_of_tree(ours))
        self.assertNotIn("data/old", theirs)
        self.assertNotIn("made/soft", theirs)
        self.assertIn("data/new", theirs)
        one, hard = (os.stat(self.folder / "bundle/rootfs/made" / n) for n in ("one", "hard"))
        self.assertEqual(one.st_ino, hard.st_ino, "the hard link")

    def test_tar_and_local_outputs_agree(self):
        ours = self.folder / "ours"
        self.slipway.build(self.source, "-o", f"type=local,dest={ours}")
        as_tar = self.slipway.tree(self.source)
        as_tree = facts_of_tree(ours)
        self.assertEqual(sorted(as_tar), sorted(as_tree))
        self.assertEqual({p: f[3] for p, f in as_tar.items()}, {p: f[3] for p, f in as_tree.items()})

    def test_docker_output_is_loaded_by_name(self):
        archive = self.folder / "docker.tar"
        self.slipway.build(self.source, "-t", "named:7", "-o", f"type=docker,dest={archive}")
        about = json.loads(run(["skopeo", "inspect", f"docker-archive:{archive}:named:7"]).out)
        self.assertEqual({"kind": "test"}, about["Labels"])

    def test_import_of_a_root_file_system(self):
        self.slipway("import", "-", "plain:1", input=base_tar())
        about = json.loads(self.slipway("inspect", "plain:1").out)[0]
        self.assertEqual(1, len(about["RootFS"]["Layers"]))
        self.assertIn("data/old", self.slipway.tree(self.context("FROM plain:1\n", name="p")))

    def test_names_that_are_not_utf8_and_long_ones_survive(self):
        out = io.BytesIO()
        long = "/".join(["d" * 200] * 6) + "/" + "f" * 200
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1", errors="strict") as tar:
            add(tar, "caf\xe9", b"bytes\n")
            add(tar, long, b"long\n")
        self.slipway("import", "-", "odd:1", input=out.getvalue())
        names = self.slipway.tree(self.context("FROM odd:1\n", name="odd"))
        self.assertIn(long, names)
        self.assertIn(os.fsdecode(b"caf\xe9"), names)


class HostileArchivesTest(Case):
    """Archives that try to leave their place or lie about themselves: exit 1, one line, nothing kept."""

    def refused(self, data):
        done = self.slipway("load", input=data, check=False)
        self.assertEqual(1, done.returncode, done.out + done.err)
        self.assertTrue(done.err.strip())
        self.assertEqual(1, len(self.slipway("images").out.splitlines()))
        self.slipway.assert_clean(self)

    def archive(self, members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in members:
                add(tar, name, data)
        return out.getvalue()

    def test_layer_with_a_wrong_diff_id(self):
        layer = base_tar()
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
        manifest = json.dumps([{"Config": "c.json", "RepoTags": ["bad:1"], "Layers": ["l.tar"]}]).encode()
        self.refused(self.archive([("l.tar", layer), ("c.json", config), ("manifest.json", manifest)]))

    def test_truncated(self):
        self.give_base()
        self.slipway("save", "-o", self.folder / "x.tar", "base:latest")
        data = (self.folder / "x.tar").read_bytes()
        self.slipway("rmi", "base:latest")
        self.refused(data[:len(data) * 2 // 3])

    def test_blob_under_a_foreign_name(self):
        self.refused(self.archive([("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
                                   ("blobs/sha256/" + "a" * 64, b"not what the name says"),
                                   ("index.json", json.dumps({"schemaVersion": 2, "manifests": [{
                                       "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                       "digest": "sha256:" + "a" * 64, "size": 22}]}).encode())]))

    def test_members_do_not_write_outside(self):
        out = io.BytesIO()
        canary = self.folder / "canary"
        with tarfile.open(fileobj=out, mode="w") as tar:
            add(tar, "way", kind=tarfile.SYMTYPE, link=str(self.folder))
            add(tar, "way/canary", b"escaped\n")
            add(tar, "../" * 20 + str(canary).lstrip("/"), b"escaped\n")
        self.slipway("import", "-", "hostile:1", input=out.getvalue(), check=False)
        self.slipway("build", "-q", "-o", f"type=local,dest={self.folder}/out",
                     self.context("FROM hostile:1\n"), check=False)
        self.assertFalse(canary.exists())


if __name__ == "__main__":
    main()
