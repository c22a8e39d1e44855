#!/usr/bin/env python3
"""Exit 0 means stored (R5): full devices, closed pipes, folders that cannot be written."""
import os
import subprocess

from support import Case, main, run


class OutputTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context("FROM base\nRUN echo x >/x\n")

    def full(self, *arguments, stdout="/dev/full"):
        with open(stdout, "wb") as full:
            done = subprocess.run(self.slipway.command(*arguments), env=self.slipway.env, stdin=subprocess.DEVNULL,
                                  stdout=full, stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(1, done.returncode, done.stderr.decode())
        self.assertIn(b"no space left", done.stderr.lower())

    def test_every_command_that_prints(self):
        self.slipway.build(self.source, "-t", "x:1")
        for arguments in (["images"], ["inspect", "x:1"], ["history", "x:1"], ["df"], ["version"], ["save", "x:1"],
                          ["build", "-q", self.source], ["--help"], ["doctor"],
                          ["build", "-o", "type=tar,dest=-", self.source],
                          ["build", "-o", "type=oci,dest=-", self.source],
                          ["build", "-o", "type=docker,dest=-", self.source]):
            with self.subTest(arguments):
                self.full(*arguments)

    def test_files_on_a_full_device(self):
        for arguments in (["save", "-o", "/dev/full", "base:latest"],
                          ["build", "-o", "type=tar,dest=/dev/full", self.source],
                          ["build", "--iidfile", "/dev/full", self.source]):
            with self.subTest(arguments):
                done = self.slipway(*arguments, check=False)
                self.assertEqual(1, done.returncode)
                self.assertIn("/dev/full", done.err)

    def test_reader_that_goes_away(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as pipe:
            done = subprocess.run(self.slipway.command("save", "base:latest"), env=self.slipway.env, stdout=pipe,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120)
        self.assertNotEqual(0, done.returncode)

    def test_standard_output_closed(self):
        done = run(["sh", "-c", '"$@" >&-', "sh", *self.slipway.command("images")], env=self.slipway.env, check=False)
        self.assertEqual(1, done.returncode)

    def test_failed_save_leaves_no_file_and_keeps_an_old_one(self):
        target = self.folder / "old.tar"
        target.write_text("old")
        done = self.slipway("save", "-o", target, "not-there", check=False)
        self.assertEqual(1, done.returncode)
        self.assertEqual("old", target.read_text())

    def test_missing_folder_of_the_output(self):
        done = self.slipway("save", "-o", self.folder / "no/such/x.tar", "base:latest", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("no/such", done.err)

    def test_results_go_to_stdout_and_all_else_to_stderr(self):
        done = self.slipway.build(self.source, "-o", "type=tar,dest=-")
        self.assertEqual(b"ustar", done.stdout[257:262])
        self.assertIn("RUN", done.err)


if __name__ == "__main__":
    main()
