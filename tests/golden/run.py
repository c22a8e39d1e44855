#!/usr/bin/env python3
"""Runs the golden cases; tests/golden/README.md has the rules."""
import concurrent.futures
import difflib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ACCEPT = os.environ.get("SLIPWAY_ACCEPT") == "1"
TIMEOUT = 120
CONTROL = ("cmd", "expect")


class Case:
    def __init__(self, folder):
        self.folder = folder
        self.name = f"{folder.parent.name}/{folder.name}"
        self.text = (folder / "cmd").read_text()
        self.musts = re.findall(r"^# must: (.*)$", self.text, re.M)
        self.base = re.search(r"^# base$", self.text, re.M) is not None
        expect = folder / "expect"
        self.expect = expect.read_text() if expect.exists() else None


def busybox():
    return next((p for p in ("/usr/bin/busybox", "/bin/busybox") if os.path.exists(p)), None)


def base_tar():
    """A root file system with a shell: enough for cases that run something."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, kind, mode, data=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, len(data), link, 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
        for folder in ("bin", "etc", "dev", "proc", "sys", "tmp"):
            add(folder, tarfile.DIRTYPE, 0o755)
        add("bin/busybox", tarfile.REGTYPE, 0o755, pathlib.Path(busybox()).read_bytes())
        for applet in ("sh", "cat", "echo", "true", "false", "ls", "mkdir", "touch", "sleep"):
            add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\napp:x:1001:\n")
    return out.getvalue()


def normalise(text, work):
    text = text.replace(str(work), "$WORK")
    text = re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text)
    text = re.sub(r"\b\d+(\.\d+)?m?s\b", "TIME", text)
    return re.sub(r"(?m)^(#\d+ )?\d+\.\d{3} ", r"\1TIME ", text)


def run(case, binary):
    """What the case prints, in the shape of `expect`."""
    with tempfile.TemporaryDirectory(prefix="slipway-golden-") as scratch:
        work = pathlib.Path(scratch).resolve()
        (work / "bin").mkdir()
        (work / "bin/slipway").symlink_to(binary)
        (work / "home").mkdir()
        shutil.copytree(case.folder, work / "case", symlinks=True, ignore=shutil.ignore_patterns("expect"))
        keep = {k: v for k, v in os.environ.items()
                if not k.startswith(("SLIPWAY", "DOCKER", "BUILDKIT", "XDG")) and k.lower() not in (
                    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "source_date_epoch", "no_color")}
        env = dict(keep, PATH=f"{work}/bin:{os.environ['PATH']}", HOME=f"{work}/home", SLIPWAY_ROOT=f"{work}/store",
                   LC_ALL="C.UTF-8", SLIPWAY_REGISTRY_CONFIG="", DOCKER_CONFIG=f"{work}/home/.docker")
        if case.base:
            done = subprocess.run([binary, "import", "-", "base"], input=base_tar(), env=env, capture_output=True)
            if done.returncode:
                return "cannot import the base image:\n" + done.stderr.decode("utf-8", "replace")
        try:
            done = subprocess.run(["bash", "cmd"], cwd=work / "case", env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"timeout after {TIMEOUT} s\n"
        out = f"exit {done.returncode}\n"
        for name, data in (("stdout", done.stdout), ("stderr", done.stderr)):
            text = normalise(data.decode("utf-8", "backslashreplace"), work)
            if text:
                out += f"--- {name}\n{text}" + ("" if text.endswith("\n") else "\n\\ no newline\n")
        return out


def judge(case, got):
    """Lines that say what is wrong; empty when the case passes."""
    wrong = [f"lacks: {must}" for must in case.musts if must not in got]
    if ACCEPT and not wrong:
        (case.folder / "expect").write_text(got)
    elif case.expect is None:
        wrong += ["no expect file yet; this came out:", *got.splitlines()]
    elif got != case.expect:
        wrong += difflib.unified_diff(case.expect.splitlines(), got.splitlines(), "expected", "got", lineterm="")
    return wrong or []


def select(arguments):
    cases = [Case(cmd.parent) for cmd in sorted(HERE.glob("*/*/cmd"))]
    if not arguments:
        return cases
    wanted = [a.rstrip("/") for a in arguments]
    chosen = [c for c in cases if c.name in wanted or c.folder.parent.name in wanted]
    if not chosen:
        sys.exit(f"no such case: {' '.join(arguments)}")
    return chosen


def main():
    binary = os.environ.get("SLIPWAY")
    if not binary or not os.access(binary, os.X_OK):
        sys.exit("set SLIPWAY to the program under test")
    binary = os.path.abspath(binary)
    cases = select(sys.argv[1:])
    skipped = [c for c in cases if c.base and not busybox()]
    for case in skipped:
        print(f"SKIP {case.name}: busybox-static is missing")
    cases = [c for c in cases if c not in skipped]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, got in zip(cases, pool.map(lambda c: run(c, binary), cases)):
            wrong = judge(case, got)
            if wrong:
                failed += 1
                print(f"FAIL {case.name}", *("    " + line for line in wrong), sep="\n")
    verb = "accepted" if ACCEPT else "passed"
    print(f"{len(cases) - failed} {verb}, {failed} failed, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
