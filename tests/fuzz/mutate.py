#!/usr/bin/env python3
"""Builds hundreds of mutated Dockerfiles, ignore files, archives and contexts with the real program.

    SLIPWAY=build/release/slipway tests/fuzz/mutate.py [--seed N] [--only KIND[:NUMBER]] [--times N] [-v]

Each must end in time with 0, or with 1 and one line that says why; its memory stays below a bound, nothing reaches the
terminal that steers it, and afterwards the store is whole and holds nothing unfinished: no mount, process or draft. A
case is made from the seed, its kind and its number alone, so that a find is run again by name.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import hostile_inputs  # noqa: E402
import support  # noqa: E402

DEADLINE = 30  # seconds; a case takes some hundredths
MEMORY_MIB = 256
STORE_MIB = 4096
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BROKEN = re.compile(r"Sanitizer|runtime error:|terminate called|std::|Assertion|internal error", re.I)


class Worker:
    """One store, one case at a time."""

    def __init__(self, folder):
        self.slipway = support.Slipway(folder)
        self.slipway("import", "-", "base", input=support.base_tar())
        # No server is asked: what a mutated name may mean is refused at once. No program is found, so neither is git.
        self.env = dict(self.slipway.env, PATH=str(folder), http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9",
                        HTTP_PROXY="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
        self.input = folder / "input"

    def run(self, kind, number, seed, bound):
        """Lines that say what is wrong, the exit status, the last line."""
        make, _ = hostile_inputs.CASES[kind]
        folder = self.slipway.folder / "case"
        remove(folder)
        folder.mkdir()
        arguments, data = make(random.Random(f"{seed} {kind} {number}"), folder)
        self.input.write_bytes(data or b"")
        status, memory, text = self.build(arguments)
        remove(folder)
        return judge(status, memory, bound, text, "--check" in arguments), status, text

    def build(self, arguments):
        out = self.slipway.folder / "output"
        with open(self.input, "rb") as source, open(out, "wb") as sink:
            command = self.slipway.command("build", "--progress", "plain", "--network", "none", *arguments)
            process = subprocess.Popen(command, stdin=source, stdout=sink, stderr=sink, env=self.env,
                                       start_new_session=True)
            timer = threading.Timer(DEADLINE, lambda: os.killpg(process.pid, signal.SIGKILL))
            timer.start()
            _, code, usage = os.wait4(process.pid, 0)
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(code)
        return process.returncode, usage.ru_maxrss // 1024, out.read_bytes().decode("utf-8", "surrogateescape")

    def close(self):
        """What is wrong with the store and the machine after all cases."""
        wrong = []
        done = self.slipway("fsck", check=False)
        if done.returncode:
            wrong.append(f"fsck: {done.out}{done.err}")
        self.slipway("gc")
        wrong += [f"left after gc: {name}" for name in self.slipway.unfinished()]
        wrong += [f"mount left: {point}" for point in support.mounts_below(self.slipway.folder)]
        wrong += [f"process left: {pid}" for pid in support.processes_with(str(self.slipway.folder))]
        used = int(subprocess.run(["du", "-sm", self.slipway.root], stdout=subprocess.PIPE, text=True).stdout.split()[0])
        if used > STORE_MIB:
            wrong.append(f"the store grew to {used} MiB")
        return wrong


def remove(folder):
    """Also what is deeper than a path may be long."""
    if folder.exists():
        subprocess.run(["rm", "-rf", "--", folder], check=True)


def judge(status, memory, bound, text, findings):
    """`findings`: what a check found is a result, and ends with 1 too."""
    wrong = []
    if status not in (0, 1):
        wrong.append("no end within the time" if status == -signal.SIGKILL else f"exit {status}")
    failures = [line for line in text.splitlines() if re.match(r"(ERROR|error): ", line)]
    if status == 1 and len(failures) != 1 and not (findings and text and not failures):
        wrong.append(f"{len(failures)} lines say why")
    if status == 0 and failures:
        wrong.append("exit 0 with an error")
    if CONTROL.search(text.replace("\t", " ")):
        wrong.append("control characters reach the terminal")
    if any(0xDC80 <= ord(c) <= 0xDCFF for c in text):
        wrong.append("bytes that are no UTF-8 reach the terminal")
    if BROKEN.search("\n".join(failures)):
        wrong.append("an internal text reaches the user")
    if 0 < bound < memory:
        wrong.append(f"{memory} MiB of memory")
    return wrong


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", help="a kind, or KIND:NUMBER for one case")
    parser.add_argument("--times", type=int, default=1, help="that many times as many cases")
    parser.add_argument("--memory", type=int, default=MEMORY_MIB, help="MiB of a build, 0: no bound (sanitizers)")
    parser.add_argument("-v", "--verbose", action="store_true", help="what each case printed")
    return parser.parse_args()


def main():
    args = parse()
    support.binary()
    kind, _, number = (args.only or "").partition(":")
    cases = [(k, n) for k, (_, count) in hostile_inputs.CASES.items() for n in range(count * args.times)
             if (not kind or k == kind) and (not number or n == int(number))]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-mutate-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    queue, lock = collections.deque(cases), threading.Lock()
    finds, ends, begin = [], collections.Counter(), time.monotonic()

    def work(name):
        (folder / name).mkdir()
        worker = Worker(folder / name)
        while True:
            with lock:
                if not queue:
                    break
                case = queue.popleft()
            wrong, status, text = worker.run(*case, args.seed, args.memory)
            with lock:
                ends[case[0], status] += 1
                if wrong or args.verbose:
                    print(f"{case[0]}:{case[1]} exit {status}, {time.monotonic() - begin:.1f} s {', '.join(wrong)}")
                    print("    " + ascii(text[-3000:] if args.verbose else text[-300:]), flush=True)
                if wrong:
                    finds.append(case)
        for line in worker.close():
            print(f"{name}: {line}")
            finds.append((name, line))

    try:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(work, [f"w{i}" for i in range(min(os.cpu_count(), 4))]))
    finally:
        remove(folder)
    for (which, status), count in sorted(ends.items()):
        print(f"{which:10} exit {status}: {count}")
    print(f"{len(cases)} cases, {len(finds)} finds, {time.monotonic() - begin:.0f} s")
    return 1 if finds else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        sys.exit(77)
