#!/usr/bin/env python3
"""kill -9 and Ctrl-C at random moments, many rounds on one root (R2, R3, R4).

SLIPWAY_SEED repeats a run; SLIPWAY_ROUNDS changes how many rounds there are.
"""
import os
import random
import select
import signal
import time

from support import DEADLINE, Case, Registry, main, mounts_below, processes_with, require, until

SEED = int(os.environ.get("SLIPWAY_SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = int(os.environ.get("SLIPWAY_ROUNDS", "25"))


def setUpModule():
    print(f"SLIPWAY_SEED={SEED}", flush=True)


class KillTest(Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.give_base()
        self.slipway.build(self.context("FROM base\nRUN echo keep >/keep\n", name="keep"), "-t", "keep:1")
        self.kept = self.slipway.digest("keep:1")
        self.saved = self.slipway("save", "keep:1").stdout

    def interrupt_somewhere(self, process, how):
        """Lets the program run to a random line of its output and a random bit further, then `how(process)`."""
        lines = self.random.randrange(0, 14)
        pause = self.random.choice([0, 0, self.random.random() * 0.05, self.random.random() * 0.3])
        end = time.monotonic() + DEADLINE
        descriptor = process.stdout.fileno()
        seen = b""
        while seen.count(b"\n") < lines and time.monotonic() < end:
            if not select.select([descriptor], [], [], 1)[0]:
                continue
            block = os.read(descriptor, 65536)
            if not block:
                break
            seen += block
        select.select([], [], [], pause)
        how(process)
        process.stdout.close()
        return process.wait(DEADLINE)

    def assert_survived(self):
        done = self.slipway("fsck", check=False)
        self.assertEqual(0, done.returncode, f"seed {SEED}: {done.out}{done.err}")
        self.assertEqual(self.kept, self.slipway.digest("keep:1"))

    def assert_nothing_left(self):
        self.slipway("gc")
        self.assertEqual([], self.slipway.unfinished(), f"seed {SEED}")
        self.assertEqual([], mounts_below(self.folder))
        until(lambda: not processes_with(str(self.folder)), "every process to be gone", 20)
        self.assertEqual(self.saved, self.slipway("save", "keep:1").stdout)

    def test_build_killed_at_random_moments(self):
        for number in range(ROUNDS):
            source = self.context(
                f"FROM base\nCOPY big /big\nRUN echo {number}-{SEED}; cat /big >/copy; sleep 0.05\nRUN rm /big; echo done\n"
                f"FROM base\nRUN echo b{number}-{SEED} && head -c 2000000 /dev/urandom >/r\nCOPY --from=0 /copy /c\n",
                {"big": self.random.randbytes(500_000)}, name="killed")
            process = self.slipway.start("build", "--progress", "plain", "-t", f"killed:{number}", source)
            whole_group = self.random.random() < 0.5
            self.interrupt_somewhere(process, lambda p: os.killpg(p.pid, signal.SIGKILL) if whole_group else p.kill())
            self.assert_survived()
        # the last one again, to its end
        self.slipway.build(source, "-t", "whole:1")
        self.assertEqual((source / "big").read_bytes(), self.file_of("whole:1", "c"))
        self.assert_nothing_left()

    def file_of(self, name, path):
        out = self.folder / "file-of"
        self.slipway.build(self.context(f"FROM {name}\n", name="f"), "-o", f"type=local,dest={out}")
        return (out / path).read_bytes()

    def test_other_commands_killed_at_random_moments(self):
        archive = self.folder / "a.tar"
        self.slipway.build(self.context("FROM base\nRUN head -c 3000000 /dev/urandom >/r\n", name="o"), "-t", "o:1")
        self.slipway("save", "-o", archive, "o:1")
        want = self.slipway.digest("o:1")
        for number in range(ROUNDS):
            command = self.random.choice([["load", "-i", archive], ["import", archive, "o:1"], ["gc"],
                                          ["rmi", "o:1"], ["fsck", "--repair"], ["tag", "keep:1", f"t:{number}"]])
            process = self.slipway.start(*command)
            self.interrupt_somewhere(process, lambda p: p.kill())
            self.assert_survived()
        self.slipway("load", "-i", archive)
        self.assertEqual(want, self.slipway.digest("o:1"))
        self.assert_nothing_left()

    def test_pull_and_push_killed(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/k/app:1"
        self.slipway.build(self.context("FROM base\nRUN head -c 4000000 /dev/urandom >/r\nRUN head -c 4000000 /dev/urandom >/s\n",
                                        name="p"), "-t", name)
        want = self.slipway.digest(name)
        for number in range(ROUNDS // 3 + 1):
            self.interrupt_somewhere(self.slipway.start("push", name), lambda p: p.kill())
            self.assert_survived()
        self.slipway("push", name)
        for number in range(ROUNDS // 3 + 1):
            self.slipway("rmi", name)
            self.slipway("gc")
            self.interrupt_somewhere(self.slipway.start("pull", name), lambda p: p.kill())
            self.assert_survived()
            self.slipway("pull", name)
            self.assertEqual(want, self.slipway.digest(name))
        registry.close()
        self.assert_nothing_left()

    def test_killed_builder_leaves_no_process_of_a_step(self):
        source = self.context("FROM base\nRUN echo started; (setsid sleep 86322 &); sleep 86323\n", name="sleeper")
        process = self.slipway.start("build", "--progress", "plain", source)
        self.wait_for(process, b" started")
        self.assertTrue(processes_with("86323"))
        process.kill()
        process.wait()
        until(lambda: not processes_with("\x0086322\x00") and not processes_with("\x0086323\x00"),
              "the step's processes to die with the builder", 20)
        process.stdout.close()
        self.assert_survived()
        self.assert_nothing_left()

    def test_interrupt_and_terminate(self):
        for name, number in (("INT", signal.SIGINT), ("TERM", signal.SIGTERM)):
            with self.subTest(name):
                source = self.context(f"FROM base\nRUN echo {name}; echo started; (setsid sleep 86324 &); sleep 86325\n",
                                      name="sleeper")
                process = self.slipway.start("build", "--progress", "plain", "-t", "never:1", source)
                self.wait_for(process, b" started")
                process.send_signal(number)
                self.assertNotEqual(0, process.wait(20))
                process.stdout.close()
                self.assertEqual([], processes_with("\x0086324\x00") + processes_with("\x0086325\x00"))
                self.assertEqual([], self.slipway.unfinished(), "an interrupt cleans up by itself")
                self.assertNotIn("never", self.slipway("images").out)
                self.assert_survived()
        self.assert_nothing_left()

    def test_cancelled_step_leaves_no_record(self):
        source = self.context("FROM base\nRUN echo started; cat /proc/sys/kernel/random/uuid >/mark; sleep 86326\n",
                              name="c")
        process = self.slipway.start("build", "--progress", "plain", source)
        self.wait_for(process, b" started")
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()
        again = self.slipway.start("build", "--progress", "plain", source)
        self.wait_for(again, b" started")  # it runs: no hit on what was cancelled
        again.send_signal(signal.SIGINT)
        again.wait(20)
        again.stdout.close()

    def wait_for(self, process, text):
        seen = b""
        end = time.monotonic() + DEADLINE
        while text not in seen.replace(b"RUN echo started", b""):
            if not select.select([process.stdout], [], [], 1)[0]:
                self.assertLess(time.monotonic(), end, seen)
                continue
            block = os.read(process.stdout.fileno(), 65536)
            self.assertTrue(block, f"ended early: {seen.decode('utf-8', 'replace')}")
            seen += block


if __name__ == "__main__":
    main()
