#!/usr/bin/env python3
"""What a Dockerfile, an ignore file or a context can bring to make the builder grow or hang (docs/security-tests.md)."""
import ctypes
import os
import shutil
import subprocess
import threading

from support import Case, main, require

MEMORY_MIB = 400  # far above what is needed, far below what growth with the square would take


class GrowthTest(Case):
    def measured(self, *arguments):
        """Exit status, peak memory in MiB, standard error."""
        process = subprocess.Popen(self.slipway.command("build", *arguments), env=self.slipway.env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        text = process.stderr.read()
        process.stderr.close()
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        return process.returncode, usage.ru_maxrss // 1024, text

    def check(self, dockerfile, files=None):
        status, memory, text = self.measured(self.context(dockerfile, files))
        self.assertEqual(0, status, text[-2000:])
        self.assertLess(memory, MEMORY_MIB)

    def test_ten_thousand_stages(self):
        self.check("".join(f"FROM scratch AS s{i}\nCOPY a /a\n" for i in range(10_000)), {"a": "a"})

    def test_ten_thousand_stages_upon_each_other(self):
        self.check("FROM scratch AS s0\nCOPY a /a\n"
                   + "".join(f"FROM s{i - 1} AS s{i}\nENV K{i % 7}=v\n" for i in range(1, 10_000)), {"a": "a"})

    def test_what_stages_inherit_is_bounded(self):
        chain = "FROM scratch AS s0\n" + "".join(f"FROM s{i - 1} AS s{i}\nENV K{i}=v\n" for i in range(1, 10_000))
        status, memory, text = self.measured(self.context(chain))
        self.assertEqual(1, status)
        self.assertIn("of all stages take more than", text)
        self.assertLess(memory, MEMORY_MIB)

    def test_twenty_thousand_variables(self):
        self.check("FROM scratch\n" + "".join(f"ENV K{i}=v\n" for i in range(20_000)))

    def test_lines_that_are_short_and_mean_much(self):
        for lines, text in (("EXPOSE 1-65535\n" * 400, "the history is larger than"),
                            ("MAINTAINER " + "m" * 500_000 + "\n" + "LABEL a=b\n" * 10_000, "the history is larger than"),
                            ("ENV A=" + "a" * 900_000 + "\n" + "RUN true\n" * 2_000, "the variables of all RUN steps"),
                            ("ENV A=" + "a" * 60_000 + "\n" + "ENV A=$A$A\n" * 30, "larger than")):
            status, memory, said = self.measured(self.context("FROM scratch\n" + lines))
            self.assertEqual(1, status, said[-300:])
            self.assertIn(text, said)
            self.assertLess(memory, 2 * MEMORY_MIB)

    def test_a_hundred_thousand_ignore_lines(self):
        lines = "".join((f"dir{i}/**/*.log\n", f"!dir{i}/keep\n", f"f{i}*\n")[i % 3] for i in range(100_000))
        self.check("FROM scratch\nCOPY . /\n", {".dockerignore": lines, "a": "a", "dir1/keep": "k"})


class StepTest(Case):
    """What the words of a Dockerfile ask of a step. Nothing of the host is reached, also where the words name it."""

    def setUp(self):
        super().setUp()
        require(root=True)
        self.give_base()
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("of the host\n")

    def files(self, dockerfile, files=None, check=True, prepare=None):
        """Standard error, and path → content of what was built."""
        source, out = self.context(dockerfile, files), self.folder / "out"
        if prepare:
            prepare(source)
        subprocess.run(["rm", "-rf", out], check=True)
        done = self.slipway.build(source, "-o", out, check=check)
        found = {str(p.relative_to(out)): p.read_text(errors="replace") for p in out.rglob("*")
                 if p.is_file() and not p.is_symlink()} if out.exists() else {}
        self.assertEqual(["secret"], sorted(p.name for p in self.outside.iterdir()))
        self.assertNotIn("of the host", "".join(found.values()) + done.err)
        return done.err, found

    def test_a_working_directory_among_open_files(self):
        for number in (3, 7, 8, 20):
            text, _ = self.files(f"FROM base\nWORKDIR /proc/self/fd/{number}\nRUN cat ../../../../{self.outside}/secret || true\n",
                                 check=False)
            self.assertNotIn("exit code", text)

    def test_dev_proc_and_sys_that_are_links(self):
        for name in ("dev", "proc", "sys"):
            text, _ = self.files(f"FROM base\nRUN rm -rf /{name} && ln -s {self.outside} /{name}\nRUN echo x >/{name}/made\n", check=False)
            self.assertTrue(f"/{name}" in text or "busy" in text, text)
        for name in ("dev", "proc", "sys"):
            text, _ = self.files("FROM scratch\nCOPY links/ /\nCOPY --from=base /bin /bin\nRUN echo x >/dev/made\n", check=False,
                                 prepare=lambda s, n=name: (shutil.rmtree(s / "links", True), (s / "links").mkdir(),
                                                            (s / "links" / n).symlink_to(self.outside)))
            self.assertIn(f"/{name}", text.rsplit("ERROR: failed to solve", 1)[-1])

    def test_mounts_whose_source_is_a_link(self):
        evil = f"FROM base AS evil\nRUN ln -s / /root-link && ln -s {self.outside} /link && ln -s ../../../../..{self.outside} /up\n"
        for kind in ("bind", "cache"):
            for link in ("root-link", "link", "up"):
                _, found = self.files(evil + f"FROM base AS run\nRUN --mount=type={kind},from=evil,source=/{link},target=/m "
                                      f"find /m -maxdepth 3 -name secret >/found; cat /m/secret /m{self.outside}/secret >>/found 2>/dev/null; true\n"
                                      "FROM scratch\nCOPY --from=run /found /found\n", check=False)
                self.assertEqual("", found.get("found", ""))
        _, found = self.files("FROM base AS run\nRUN --mount=source=link,target=/m cat /m/secret >/found; true\n"
                              "FROM scratch\nCOPY --from=run /found /found\n", check=False,
                              prepare=lambda s: (s / "link").symlink_to(self.outside))
        self.assertEqual("", found.get("found", ""))

    def test_ids_of_caches_and_secrets_are_no_paths(self):
        for text in (f"type=cache,id=../../../../../..{self.outside},target=/m", f"type=cache,id={self.outside},target=/m,source=../..",
                     f"type=secret,id=../../../..{self.outside}/secret,target=/m/s", "type=cache,id=.,target=/m", "type=cache,id=a/../b,target=/m"):
            self.files(f"FROM base\nRUN --mount={text} touch /m/made 2>/dev/null; cat /m/* 2>/dev/null; true\n", check=False)
        self.slipway.assert_clean(self)

    def test_accounts_that_are_links_fifos_or_huge(self):
        spoilers = {"a link": f"ln -s {self.outside}/secret /etc/passwd", "an absolute link": "ln -s /etc/shadow /etc/passwd",
                    "a fifo": "mkfifo /etc/passwd", "a device": "mknod /etc/passwd c 1 5", "a directory": "mkdir /etc/passwd",
                    "a terabyte": "truncate -s 32M /etc/passwd"}
        for name, command in spoilers.items():
            with self.subTest(name):
                text, _ = self.files(f"FROM base AS b\nRUN rm /etc/passwd && {command} || true\nFROM b\nCOPY --chown=app a /a\n",
                                     {"a": "a"}, check=False)
                self.assertIn("ERROR", text)
                text, _ = self.files(f"FROM base AS b\nRUN rm /etc/passwd && {command} || true\nFROM b\nUSER nobody\nRUN true\n", check=False)
                self.assertIn("ERROR", text)

    def test_options_of_mounts_that_are_none(self):
        for option in ("bind-propagation=rshared", "propagation=shared", "options=suid", "rprivate", "relabel=shared", "type=overlay",
                       "type=proc", "source=/proc/1,type=none"):
            text, _ = self.files(f"FROM base\nRUN --mount=type=bind,source=.,target=/m,{option} true\n", check=False)
            self.assertRegex(text, "unexpected key|unsupported mount type|must be a key=value pair", option)

    def test_a_stub_is_not_removed_through_another_path(self):
        for parent in (self.outside, self.outside.parent):
            self.files(f"FROM base\nRUN --mount=type=tmpfs,target=/s/secret mv /s /t; ln -s {parent} /s\n", check=False)
            self.files(f"FROM base\nRUN --mount=type=cache,target=/s/outside rm -rf /s; ln -s {parent} /s; true\n", check=False)

    def test_entitlements_are_not_taken_by_words(self):
        for flag in ("--network=host", "--security=insecure"):
            text, _ = self.files(f"FROM base\nRUN {flag} true\n", check=False)
            self.assertIn("ERROR", text)

    def test_frontends_of_strangers_are_not_run(self):
        for line in ("# syntax=evil.example/frontend:1", "# syntax=docker/dockerfile-evil:1", "# syntax=127.0.0.1:9/docker/dockerfile:1"):
            text, _ = self.files(f"{line}\nFROM base\n", check=False)
            self.assertIn("is not known", text)


class RaceTest(Case):
    def test_a_directory_that_is_exchanged_for_a_link(self):
        """Resolve, then use: between the two the folder may have become a link to the host's."""
        outside = self.folder / "outside"
        source = self.context("FROM scratch\nCOPY d /d\nCOPY d/secret /one\n", {"d/secret": "of the context\n"})
        outside.mkdir()
        (outside / "secret").write_text("of the host\n")
        (source / "link").symlink_to(outside)
        libc, over = ctypes.CDLL(None, use_errno=True), threading.Event()

        def exchange():
            a, b = os.fsencode(source / "d"), os.fsencode(source / "link")
            while not over.is_set():
                libc.renameat2(-100, a, -100, b, 2)  # RENAME_EXCHANGE

        thread = threading.Thread(target=exchange)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        ends = set()
        for _ in range(25):
            done = self.slipway("build", "--progress", "plain", "-o", "type=tar,dest=-", source, check=False)
            ends.add(done.returncode)
            self.assertNotIn(b"of the host", done.stdout)
        self.assertLessEqual(ends, {0, 1})


if __name__ == "__main__":
    main()
