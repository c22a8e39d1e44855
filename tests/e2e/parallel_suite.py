#!/usr/bin/env python3
"""Many processes on one root (R9, R10): builds and gc side by side, equal steps once, gc between pull and first use."""
import os
import threading

from support import DEADLINE, Case, Registry, main, require

ROUNDS = int(os.environ.get("SLIPWAY_ROUNDS", "25"))


class ParallelTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()

    def finish(self, processes):
        texts = []
        for process in processes:
            out, _ = process.communicate(timeout=DEADLINE)
            texts.append(out.decode("utf-8", "replace"))
            self.assertEqual(0, process.returncode, texts[-1])
        return texts

    def test_eight_builds_and_gc(self):
        stop = threading.Event()
        trouble = []

        def collect():
            while not stop.is_set():
                done = self.slipway("gc", check=False)
                if done.returncode:
                    trouble.append(done.err)
                    return

        collector = threading.Thread(target=collect)
        collector.start()
        try:
            for number in range(3):
                processes = []
                for build in range(8):
                    source = self.context(
                        f"FROM base\nRUN echo shared-{number} >/shared\nRUN echo own-{build}-{number} >/own\nCOPY f /f\n",
                        {"f": f"{build}"}, name=f"c{build}")
                    processes.append(self.slipway.start("build", "--progress", "plain", "-t", f"b:{build}", source))
                self.finish(processes)
        finally:
            stop.set()
            collector.join()
        self.assertEqual([], trouble)
        for build in range(8):
            tree = self.slipway.tree(self.context(f"FROM b:{build}\n", name="look"))
            self.assertTrue({"shared", "own", "f"} <= set(tree))
        self.slipway.assert_clean(self)

    def test_equal_steps_run_once_across_processes(self):
        marks = set()
        sources = [self.context("FROM base\nRUN cat /proc/sys/kernel/random/uuid >/mark; sleep 0.3\nCOPY f /f\n",
                                {"f": f"{n}"}, name=f"e{n}") for n in range(6)]
        outs = [self.folder / f"out{n}" for n in range(6)]
        self.finish([self.slipway.start("build", "--progress", "plain", "-o", f"type=local,dest={out}", source)
                     for source, out in zip(sources, outs)])
        marks = {(out / "mark").read_text() for out in outs}
        self.assertEqual(1, len(marks), "an equal step ran more than once")

    def test_one_download_per_blob(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/p/app:1"
        self.slipway.build(self.context("FROM base\nRUN head -c 5000000 /dev/urandom >/r\n", name="p"), "-t", name,
                           "--push")
        other = type(self.slipway)(self.folder / "other")
        other("images")
        before = len(registry.requests())
        self.finish([other.start("pull", name) for _ in range(6)])
        blobs = [path for verb, path in registry.requests()[before:] if verb == "GET" and "/blobs/" in path]
        self.assertEqual(sorted(set(blobs)), sorted(blobs), "a blob was downloaded twice")

    def test_gc_between_pull_and_first_use(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/p/app:1"
        self.slipway("tag", "base:latest", name)
        self.slipway("push", name)
        other = type(self.slipway)(self.folder / "other")
        source = self.context(f"FROM {name}\nRUN true\n", name="use")
        stop = threading.Event()

        def collect():
            while not stop.is_set():
                other("gc", "--max-size", "1", check=False)

        collector = threading.Thread(target=collect)
        other("images")
        collector.start()
        try:
            for number in range(ROUNDS):
                other("rmi", name, check=False)
                done = other.build(source, check=False)
                self.assertEqual(0, done.returncode, f"round {number}: {done.err}")
        finally:
            stop.set()
            collector.join()
        other.assert_clean(self)

    def test_one_of_many_killed_does_not_stop_the_others(self):
        source = self.context("FROM base\nRUN echo one; sleep 0.5; echo x >/x\n")
        processes = [self.slipway.start("build", "--progress", "plain", source) for _ in range(4)]
        processes[0].kill()
        processes[0].wait()
        processes[0].stdout.close()
        self.finish(processes[1:])
        self.slipway.assert_clean(self)

    def test_names_set_side_by_side_are_all_there(self):
        self.finish([self.slipway.start("tag", "base:latest", f"name:{n}") for n in range(16)])
        tags = {line.split()[1] for line in self.slipway("images").out.splitlines() if line.startswith("name ")}
        self.assertEqual({str(n) for n in range(16)}, tags)


if __name__ == "__main__":
    main()
