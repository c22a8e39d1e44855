#!/usr/bin/env python3
"""pull and push against Debian's docker-registry, with skopeo as second reader and writer."""
import json
import os

from support import Case, Registry, Slipway, main, require, run

COPY = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy"]


def setUpModule():
    require("docker-registry", "skopeo")


class PullPushTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.registry = self.closing(Registry(self.folder / "registry"))
        self.name = f"{self.registry.host}/team/app:1"
        self.source = self.context("FROM base\nRUN head -c 3000000 /dev/urandom >/random\nRUN echo x >/x\nLABEL a=b\n")

    def inspect(self, name, *options):
        return json.loads(run(["skopeo", "inspect", "--tls-verify=false", *options, f"docker://{name}"]).out)

    def other(self, name="other"):
        return Slipway(self.folder / name)

    def test_build_push_pull_compare(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        digest = self.slipway.digest(self.name)
        about = self.inspect(self.name)
        self.assertEqual(digest, about["Digest"])
        self.assertEqual({"a": "b"}, about["Labels"])
        other = self.other()
        done = other("pull", self.name)
        self.assertIn(digest, done.out + done.err)
        self.assertEqual(digest, other.digest(self.name))
        self.assertEqual(self.slipway.tree(self.source), other.tree(self.context(f"FROM {self.name}\n", name="o")))
        other.assert_clean(self)

    def test_second_push_transfers_nothing(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        before = len(self.registry.requests())
        self.slipway("push", self.name)
        later = self.registry.requests()[before:]
        self.assertEqual([], [r for r in later if r[0] in ("POST", "PATCH") or (r[0] == "PUT" and "/blobs/" in r[1])])

    def test_second_pull_transfers_no_blob(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        other = self.other()
        other("pull", self.name)
        before = len(self.registry.requests())
        other("pull", self.name)
        self.assertEqual([("HEAD", "/v2/team/app/manifests/1")],
                         [one[:2] for one in self.registry.requests()[before:] if one[1] != "/v2/"])

    def test_layer_shared_with_another_repository_is_mounted_or_found(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        again = f"{self.registry.host}/team/other:1"
        self.slipway("tag", self.name, again)
        self.slipway("push", again)
        self.assertEqual(self.slipway.digest(self.name), self.inspect(again)["Digest"])

    def test_docker_schema_and_zstd_written_by_skopeo(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        want = self.slipway.tree(self.source)
        for tag, options in (("v2s2", ["--format", "v2s2"]), ("oci", ["--format", "oci"]),
                             ("zstd", ["--format", "oci", "--dest-compress-format", "zstd"])):
            with self.subTest(tag):
                name = f"{self.registry.host}/team/{tag}:1"
                run(COPY + options + [f"docker://{self.name}", f"docker://{name}"])
                other = self.other(tag)
                other("pull", name)
                self.assertEqual(self.inspect(name)["Digest"], other.digest(name))
                self.assertEqual(want, other.tree(self.context(f"FROM {name}\n", name=f"c-{tag}")))

    def test_what_was_pulled_is_pushed_with_the_same_digest(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        name = f"{self.registry.host}/team/v2s2:1"
        run(COPY + ["--format", "v2s2", f"docker://{self.name}", f"docker://{name}"])
        other = self.other()
        other("pull", name)
        copy = f"{self.registry.host}/copied/app:9"
        other("tag", name, copy)
        other("push", copy)
        self.assertEqual(self.inspect(name)["Digest"], self.inspect(copy)["Digest"])

    def test_pull_by_digest(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        digest = self.slipway.digest(self.name)
        other = self.other()
        other("pull", f"{self.registry.host}/team/app@{digest}")
        self.assertIn(digest, other("images", "--digests").out)

    def test_from_takes_the_local_name_first_and_pull_asks_again(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        other = self.other()
        child = self.context(f"FROM {self.name}\nRUN true\n", name="child")
        other.build(child)  # asks, as it is missing
        self.slipway.build(self.context("FROM base\nRUN touch /second\n", name="s"), "-t", self.name, "--push")
        self.assertNotIn("second", other.tree(child))
        self.assertIn("second", other.tree(child, "--pull"))

    def test_unknown_image_and_dead_registry(self):
        done = self.slipway("pull", f"{self.registry.host}/none/such:1", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("none/such", done.err)
        self.registry.close()
        done = self.slipway("pull", self.name, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(self.registry.host, done.err)
        self.slipway.assert_clean(self)

    def test_flipped_byte_in_a_blob_is_refused(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        for file in self.registry.blob_files():
            if file.stat().st_size > 1_000_000:
                with open(file, "r+b") as data:
                    data.seek(file.stat().st_size // 2)
                    byte = data.read(1)
                    data.seek(-1, os.SEEK_CUR)
                    data.write(bytes([byte[0] ^ 1]))
        other = self.other()
        done = other("pull", self.name, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("digest", done.err)
        self.assertEqual(1, len(other("images").out.splitlines()))
        other.assert_clean(self)

    def test_truncated_blob_is_refused(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        for file in self.registry.blob_files():
            if file.stat().st_size > 1_000_000:
                os.truncate(file, file.stat().st_size - 1000)
        other = self.other()
        self.assertEqual(1, other("pull", self.name, check=False).returncode)
        other.assert_clean(self)

    def test_copy_from_an_image_of_the_registry(self):
        self.slipway.build(self.source, "-t", self.name, "--push")
        self.slipway("rmi", self.name)
        tree = self.slipway.tree(self.context(f"FROM scratch\nCOPY --from={self.name} /x /x\n", name="cf"))
        self.assertEqual(["x"], sorted(tree))

    def test_failed_push_of_a_build_is_a_failed_build(self):
        self.registry.close()
        done = self.slipway.build(self.source, "-t", self.name, "--push", check=False)
        self.assertEqual(1, done.returncode)


if __name__ == "__main__":
    main()
