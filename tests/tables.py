#!/usr/bin/env python3
"""Checks that every test which a table of the documentation names exists: docs/security-tests.md, golden/RULES.md."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent


def exists(name):
    """`golden AREA/CASE`, `fuzz NAME`, `FILE`, `FILE Suite.Name`; None for what names no test."""
    kind, _, rest = name.partition(" ")
    if kind == "golden":
        return (TESTS / "golden" / rest / "cmd").exists()
    if kind == "fuzz":
        return (TESTS / f"fuzz/{rest}_fuzz.cpp").exists()
    if not re.fullmatch(r"(src|tests)/[\w/]+\.(cpp|py)", kind):
        return None
    if not (ROOT / kind).exists():
        return False
    text = (ROOT / kind).read_text()
    if not rest:
        return True
    suite, _, test = rest.partition(".")
    if kind.endswith(".cpp"):
        return re.search(rf"TEST(_F|_P)?\({suite},\s*{test}\)", text) is not None
    body = re.search(rf"^class {suite}\b.*?(?=^class |\Z)", text, re.M | re.S)
    return body is not None and f"def {test}(" in body.group(0)


def main():
    wrong = 0
    for table in ("docs/security-tests.md", "tests/golden/RULES.md"):
        known = 0
        for number, line in enumerate((ROOT / table).read_text().splitlines(), 1):
            cells = line.split(" | ")
            if not line.startswith("| ") or len(cells) < 2 or cells[0] in ("| what went wrong elsewhere", "| rule"):
                continue
            found = [(name, exists(name)) for name in re.findall(r"`([^`]+)`", cells[-1])]
            held = [name for name, there in found if there is not None]
            known += len(held)
            for name in [n for n, there in found if there is False] + ([] if held or "|" == cells[-1].strip() else ["nothing"]):
                print(f"{table}:{number}: {name} does not exist")
                wrong += 1
        print(f"{table}: {known} tests named")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
