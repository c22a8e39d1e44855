#!/usr/bin/env python3
"""Disks that are small, full or wrong (R3, R6, R7, R8): 96 MiB file systems, zero bytes free, flipped bits, lost
meta.db. Each is followed by: the earlier image is there, fsck agrees, the same command works once there is room."""
import contextlib
import os
import random
import subprocess
import unittest

from support import Case, Slipway, main, require, run

SIZE_MIB = 96


def setUpModule():
    require("mount", "umount", root=True)


class SmallDisk:
    """A file system of its own: ext4 in a file, or tmpfs where there are no loop devices."""

    def __init__(self, folder, kind):
        self.point = folder / f"disk-{kind}"
        self.point.mkdir()
        if kind == "ext4":
            require("mkfs.ext4")
            image = folder / "disk.img"
            with open(image, "wb") as file:
                file.truncate(SIZE_MIB << 20)
            run(["mkfs.ext4", "-q", "-m", "0", image])
            done = run(["mount", "-o", "loop", image, self.point], check=False)
        else:
            done = run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "none", self.point], check=False)
        if done.returncode:
            raise unittest.SkipTest(f"cannot mount {kind} here: {done.err.strip()}")

    def fill(self):
        """Takes every free byte."""
        path = self.point / "ballast"
        with open(path, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass

    def relieve(self):
        (self.point / "ballast").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", self.point], check=False)


class DiskTest(Case):
    kind = "ext4"

    def setUp(self):
        super().setUp()
        self.disk = SmallDisk(self.folder, self.kind)
        self.addCleanup(self.disk.close)
        self.slipway = Slipway(self.folder, root=self.disk.point / "store")
        self.give_base()
        self.kept = self.slipway.digest("base:latest")
        self.saved = self.slipway("save", "base:latest").stdout

    def assert_kept(self):
        self.assertEqual(self.kept, self.slipway.digest("base:latest"))
        done = self.slipway("fsck", check=False)
        self.assertEqual(0, done.returncode, done.out + done.err)

    def test_build_that_does_not_fit(self):
        source = self.context("FROM base\nRUN head -c 200000000 /dev/urandom >/big\n")
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assert_kept()
        self.slipway("gc")
        self.slipway.build(self.context("FROM base\nRUN head -c 1000000 /dev/urandom >/small\n", name="s"))
        self.slipway.assert_clean(self)
        self.assertEqual(self.saved, self.slipway("save", "base:latest").stdout)

    def test_load_that_does_not_fit(self):
        other = Slipway(self.folder / "other")
        self.give_base(other)
        other.build(self.context("FROM base\nRUN head -c 120000000 /dev/urandom >/big\n"), "-t", "big:1")
        other("save", "-o", self.folder / "big.tar", "big:1")
        done = self.slipway("load", "-i", self.folder / "big.tar", check=False)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.err, "(?i)no space|full")
        self.assert_kept()
        self.slipway.assert_clean(self)

    def test_zero_bytes_free(self):
        self.slipway.build(self.context("FROM base\nRUN head -c 5000000 /dev/urandom >/r\n"), "-t", "r:1")
        self.slipway("rmi", "r:1")
        self.disk.fill()
        self.assertIn("base", self.slipway("images").out)
        self.assertEqual(0, self.slipway("fsck", check=False).returncode)
        done = self.slipway("gc", check=False)
        self.assertEqual(0, done.returncode, f"gc must work on a full disk: {done.err}")
        self.disk.relieve()
        self.assert_kept()

    def test_build_on_a_full_disk_fails_and_works_later(self):
        source = self.context("FROM base\nRUN echo x >/x\n")
        self.disk.fill()
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertEqual("", self.slipway("images").err)
        self.disk.relieve()
        self.slipway.build(source, "-t", "x:1")
        self.assert_kept()
        self.slipway.assert_clean(self)


class TmpfsTest(DiskTest):
    kind = "tmpfs"


class SizeLimitTest(Case):
    def test_gc_reaches_its_cap(self):
        self.give_base()
        for number in range(4):
            self.slipway.build(self.context(f"FROM base\nRUN echo {number}; head -c 8000000 /dev/urandom >/r\n"), "-t", "r:1")
        self.slipway("rmi", "r:1")
        self.slipway("gc", "--max-size", "12MB")
        total = sum(os.lstat(os.path.join(folder, file)).st_size
                    for part in ("blobs", "snapshots") for folder, _, files in os.walk(self.slipway.root / part)
                    for file in files)
        self.assertLessEqual(total, 12_000_000)
        self.assertIn("base", self.slipway("images").out)
        self.slipway.assert_clean(self)


class DamageTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context("FROM base\nRUN head -c 100000 /dev/urandom >/r; mkdir /d; echo x >/d/x; ln -s x /d/l\n")
        self.slipway.build(self.source, "-t", "made:1")
        self.random = random.Random(7)

    def files(self, part):
        return sorted(os.path.join(folder, file) for folder, _, files in os.walk(self.slipway.root / part)
                      for file in files if os.path.isfile(os.path.join(folder, file))
                      and not os.path.islink(os.path.join(folder, file))
                      and os.path.getsize(os.path.join(folder, file)))

    def found_and_repaired(self, hint):
        done = self.slipway("fsck", check=False)
        self.assertEqual(1, done.returncode, f"fsck did not find the damage: {hint}")
        self.assertIn(hint, done.out + done.err)
        done = self.slipway("fsck", "--repair", check=False)
        self.assertEqual(0, done.returncode, done.out + done.err)
        self.assertEqual(0, self.slipway("fsck", check=False).returncode)
        self.give_base()
        self.slipway.build(self.source, "-t", "made:1")
        self.slipway("save", "-o", self.folder / "again.tar", "made:1")
        self.slipway.assert_clean(self)

    def test_flipped_bit_in_every_blob(self):
        for number in range(len(self.files("blobs"))):
            blobs = self.files("blobs")
            path = blobs[number % len(blobs)]
            with self.subTest(os.path.basename(path)):
                os.chmod(path, 0o644)
                with open(path, "r+b") as file:
                    at = self.random.randrange(os.path.getsize(path))
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ (1 << self.random.randrange(8))]))
                self.found_and_repaired(os.path.basename(path))

    def test_truncated_and_missing_blob(self):
        for damage in (lambda p: os.truncate(p, os.path.getsize(p) - 1), os.unlink):
            path = max(self.files("blobs"), key=os.path.getsize)
            damage(path)
            self.found_and_repaired(os.path.basename(path))

    def test_foreign_file_among_the_blobs(self):
        (self.slipway.root / "blobs/sha256/not-a-digest").write_text("foreign")
        self.found_and_repaired("not-a-digest")

    def test_damaged_trees(self):
        def flip(path):
            with open(path, "r+b") as file:
                byte = file.read(1)[0]
                file.seek(0)
                file.write(bytes([byte ^ 1]))

        for what, damage in (("flip", flip), ("remove", os.unlink), ("mode", lambda p: os.chmod(p, 0o4777)),
                             ("owner", lambda p: os.chown(p, 1234, 1234)),
                             ("add", lambda p: open(p + ".foreign", "w").close())):
            with self.subTest(what):
                damage(next(p for p in self.files("snapshots") if p.endswith("/r")))
                done = self.slipway("fsck", check=False)
                self.assertEqual(1, done.returncode, "fsck did not find it")
                self.assertEqual(0, self.slipway("fsck", "--repair", check=False).returncode)
                self.slipway.build(self.source, "-t", "made:1")
                self.assertEqual(0, self.slipway("fsck", check=False).returncode)

    def test_lost_database(self):
        before = {os.path.basename(p) for p in self.files("blobs")}
        for damage in ("unlink", "truncate", "garbage"):
            with self.subTest(damage):
                path = self.slipway.root / "meta.db"
                for extra in ("-wal", "-shm"):
                    (self.slipway.root / f"meta.db{extra}").unlink(missing_ok=True)
                if damage == "unlink":
                    path.unlink()
                elif damage == "truncate":
                    os.truncate(path, 100)
                else:
                    path.write_bytes(b"this is no database" * 1000)
                done = self.slipway("images", check=False)
                self.assertEqual(0, done.returncode, done.err)
                self.assertEqual(0, self.slipway("fsck", check=False).returncode)
                self.assertTrue(before <= {os.path.basename(p) for p in self.files("blobs")}, "bytes were lost")
        self.give_base()
        self.slipway.build(self.source, "-t", "made:1")

    def test_read_only_store(self):
        require("mount", root=True)
        run(["mount", "--bind", self.slipway.root, self.slipway.root])
        self.addCleanup(subprocess.run, ["umount", self.slipway.root])
        run(["mount", "-o", "remount,bind,ro", self.slipway.root])
        done = self.slipway.build(self.source, "--no-cache", check=False)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.err, "(?i)read-only")


if __name__ == "__main__":
    main()
