#!/usr/bin/env python3
"""What is a hit, what must be a miss. A wrong hit is the worst bug a builder can have."""
import os
import shutil
import socket
import threading

from support import Case, main

DOCKERFILE = "FROM base\nCOPY src /src\nRUN cat /src/file >/got && cat /proc/sys/kernel/random/uuid >/mark\n"


class CacheTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context(DOCKERFILE, {"src/file": "one", "src/other": "o\n", "ignored.md": "i\n",
                                                ".dockerignore": "*.md\n"})
        self.file = self.source / "src/file"
        os.utime(self.file, (1, 1))
        self.count = 0
        self.mark, self.got = self.build()

    def build(self, *options, source=None):
        self.count += 1
        out = self.folder / f"out-{self.count}"
        self.slipway.build(source or self.source, "-o", f"type=local,dest={out}", *options)
        mark, got = (out / "mark").read_text(), (out / "got").read_text()
        shutil.rmtree(out)
        return mark, got

    def hit(self, *options, **keys):
        mark, _ = self.build(*options, **keys)
        self.assertEqual(self.mark, mark, "must be a hit")

    def miss(self, *options, **keys):
        mark, got = self.build(*options, **keys)
        self.assertNotEqual(self.mark, mark, "must be a miss")
        self.mark = mark
        return got

    def test_same_size_and_time_other_byte(self):
        for number, text in enumerate(["two", "six", "ten", "one"] * 5):
            with self.subTest(number):
                self.file.write_text(text)
                os.utime(self.file, (1, 1))
                # "one" was built before, so its record may be found again; what counts is the content
                self.assertEqual(text, self.build()[1])

    def test_other_byte_by_memory_map_with_time_set_back(self):
        import mmap
        before = os.stat(self.file)
        with open(self.file, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[0:1] = b"O"
        os.utime(self.file, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual("One", self.build()[1])

    def test_replaced_by_rename_with_same_size_and_time(self):
        fresh = self.source / "src/.fresh"
        fresh.write_text("own")
        os.utime(fresh, (1, 1))
        os.rename(fresh, self.file)
        self.assertEqual("own", self.miss())

    def test_time_only(self):
        os.utime(self.file, (5, 5))
        self.hit()

    def test_fresh_copy_of_the_context(self):
        copy = self.folder / "copy"
        shutil.copytree(self.source, copy)
        self.hit(source=copy)

    def test_ignored_file(self):
        (self.source / "ignored.md").write_text("changed\n")
        self.hit()

    def test_mode(self):
        self.file.chmod(0o600)
        self.miss()

    def test_added_removed_renamed(self):
        (self.source / "src/added").write_text("a")
        self.miss()
        (self.source / "src/added").rename(self.source / "src/renamed")
        self.miss()
        (self.source / "src/renamed").unlink()
        self.assertEqual("one", self.build()[1])

    def test_instruction_text_comment_and_label(self):
        dockerfile = self.source / "Dockerfile"
        dockerfile.write_text("# a comment\n" + DOCKERFILE.replace("COPY", "LABEL x=y\nCOPY"))
        self.hit()
        dockerfile.write_text(DOCKERFILE.replace("cat /src/file", "cat  /src/file"))
        self.miss()

    def test_build_argument_only_from_its_use(self):
        dockerfile = self.source / "Dockerfile"
        dockerfile.write_text(DOCKERFILE.replace("FROM base\n", "ARG GLOBAL\nFROM base\n"))
        self.hit("--build-arg", "GLOBAL=1")
        dockerfile.write_text(DOCKERFILE.replace("RUN", "ARG A\nRUN"))
        self.miss("--build-arg", "A=1")
        self.miss("--build-arg", "A=2")

    def test_no_cache_and_back(self):
        self.miss("--no-cache")

    def test_another_base_of_the_same_name(self):
        (self.folder / "nb").mkdir()
        (self.folder / "nb/Dockerfile").write_text("FROM base\nRUN touch /new-base\n")
        self.slipway.build(self.folder / "nb", "-t", "base:latest")
        self.miss()

    def test_copy_from_a_stage_with_equal_result(self):
        text = ("FROM base AS one\nRUN echo {0} >/dev/null; echo same >/r\nFROM base\nCOPY --from=one /r /got\n"
                "RUN cat /proc/sys/kernel/random/uuid >/mark\n")
        (self.source / "Dockerfile").write_text(text.format(1))
        self.miss()
        (self.source / "Dockerfile").write_text(text.format(2))
        self.hit()

    def test_failed_step_is_not_kept(self):
        (self.source / "Dockerfile").write_text("FROM base\nRUN exit 4\n")
        for _ in range(2):
            done = self.slipway.build(self.source, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn("exit code: 4", done.err)

    def test_edits_while_builds_run(self):
        """Builds race with an editor: each result is one of the texts that were there, and nothing is remembered under
        the wrong one."""
        done = threading.Event()

        def edit():
            for text in ["aaa", "bbb", "ccc"] * 30:
                if done.is_set():
                    return
                fresh = self.source.parent / "fresh"
                fresh.write_text(text)
                os.utime(fresh, (1, 1))
                os.rename(fresh, self.file)

        editor = threading.Thread(target=edit)
        editor.start()
        try:
            for number in range(5):
                out = self.folder / f"raced-{number}"
                self.slipway.build(self.source, "-o", f"type=local,dest={out}")
                self.assertIn((out / "got").read_text(), ("one", "aaa", "bbb", "ccc"))
        finally:
            done.set()
            editor.join()
        for text in ("aaa", "bbb", "ccc", "one", "end"):
            self.file.write_text(text)
            self.assertEqual(text, self.build()[1])

    def test_saved_between_the_first_look_and_the_copy(self):
        """The context was looked at for the keys; a step runs; meanwhile files are saved, made and removed. The build
        takes what is there when it copies, and remembers that under no key."""
        for number, change in enumerate((lambda: self.save("new"), lambda: self.save("one"),
                                         lambda: (self.source / "src/more").write_text("m\n"),
                                         lambda: (self.source / "src/other").unlink())):
            with self.subTest(number):
                self.save("one")
                (self.source / "src/other").write_text("o\n")
                (self.source / "src/more").unlink(missing_ok=True)
                with socket.create_server(("127.0.0.1", 0)) as server:
                    (self.source / "Dockerfile").write_text(
                        f"FROM base\nRUN echo {number} && nc 127.0.0.1 {server.getsockname()[1]}\n"
                        "COPY src /src\nRUN cat /src/file >/got && cat /src/other >>/got; ls /src >/mark\n")
                    out = self.folder / f"saved-{number}"
                    done = []
                    build = threading.Thread(target=lambda: done.append(self.slipway.build(
                        self.source, "--network", "host", "-o", f"type=local,dest={out}", check=False)))
                    build.start()
                    server.settimeout(60)
                    peer, _ = server.accept()  # the step runs: all keys of the context are made
                    change()
                    peer.close()
                    build.join()
                self.assertEqual(0, done[0].returncode, done[0].err)
                seen = ((out / "got").read_text(), (out / "mark").read_text())
                names = sorted(path.name for path in (self.source / "src").iterdir())
                texts = [self.source / "src" / name for name in ("file", "other")]
                self.assertEqual("".join(path.read_text() for path in texts if path.exists()), seen[0])
                self.assertEqual("".join(f"{name}\n" for name in names), seen[1])
                # what the keys were made of is there again: nothing else may be found for it
                self.save("one")
                (self.source / "src/other").write_text("o\n")
                (self.source / "src/more").unlink(missing_ok=True)
                (self.source / "Dockerfile").write_text(
                    "FROM base\nCOPY src /src\nRUN cat /src/file >/got && cat /src/other >>/got; ls /src >/mark\n")
                self.assertEqual(("file\nother\n", "oneo\n"), self.build())

    def save(self, text):
        """As editors do: another file takes the name."""
        fresh = self.source.parent / "fresh"
        fresh.write_text(text)
        os.rename(fresh, self.file)


if __name__ == "__main__":
    main()
