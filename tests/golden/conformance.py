#!/usr/bin/env python3
"""Dockerfile cases recorded from BuildKit, run when they lie beside the repository (../shared/conformance/dockerfile).

Only the cases of conformance.passing are run: one name a line. A case is added with the change that makes it pass, and
none leaves. `--all` runs every case and prints which pass that are not listed yet. Exit 77: cannot run here.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE.parents[1].parent / "shared/conformance/dockerfile"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def main():
    binary = os.environ.get("SLIPWAY") or sys.exit("set SLIPWAY to the program under test")
    listed = [line for line in (HERE / "conformance.passing").read_text().split("\n") if line and line[0] != "#"]
    if not (CASES / "run.py").exists():
        skip(f"no cases at {CASES}")
    if os.geteuid() != 0:
        skip("the driver needs root")
    if not listed and "--all" not in sys.argv:
        skip("no case is listed yet")
    with tempfile.TemporaryDirectory(prefix="slipway-conformance-", dir="/var/tmp") as work:
        report = pathlib.Path(work, "report.json")
        command = [sys.executable, "-B", str(CASES / "run.py"), "--tool", "slipway", "--bin", os.path.abspath(binary),
                   "--work", work, "--json", str(report)]
        # One run of all cases: the driver takes one glob, and what is not listed yet costs little.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        results = verdicts(report)
        if not results:
            print(done.stdout[-4000:])
        if "--all" in sys.argv:
            print(done.stdout)
    bad = [n for n in listed if not results.get(n, (False, ["did not run"]))[0]]
    for name in bad:
        print(f"FAIL {name}", *("    " + str(line) for line in results.get(name, (0, ["did not run"]))[1]), sep="\n")
    if "--all" in sys.argv:
        print("pass and not listed:", *sorted(n for n, (ok, _) in results.items() if ok and n not in listed), sep="\n")
    print(f"{len(listed) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


def verdicts(report):
    """Case → (passed, what was wrong)."""
    if not report.exists():
        return {}
    return {r["case"]: (not r["bad"], r["bad"]) for r in json.loads(report.read_text())}


if __name__ == "__main__":
    sys.exit(main())
