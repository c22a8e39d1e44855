#!/usr/bin/env python3
"""The law of src/: a folder may include what stands in an earlier tier, never its own tier's neighbours or a later one.

Run by every build (target `tiers`) and as a test. Exit 1 with one line per violation."""
import pathlib
import re
import sys

TIERS = [
    ["base"],
    ["sys", "oci", "dockerfile"],
    ["layer", "http", "httpd", "solver", "network", "ssh", "buildcache"],
    ["store"],
    ["registry", "sandbox"],
    ["image"],
    ["build", "distribution"],
    ["cli"],
]
ONLY = {"init": {"base", "sys", "init"}}  # the static helper stands apart

tier_of = {folder: number for number, tier in enumerate(TIERS) for folder in tier}
src = pathlib.Path(sys.argv[1])
bad = []
for path in sorted(src.rglob("*")):
    if path.suffix not in (".hpp", ".cpp"):
        continue
    folder = path.relative_to(src).parts[0]
    if folder not in tier_of and folder not in ONLY:
        bad.append(f"{path}: folder {folder}/ has no tier; name it in cmake/check_tiers.py")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([a-z_]+)/', line)
        if not found:
            continue
        used = found.group(1)
        if used == folder or (folder in ONLY and used in ONLY[folder]):
            continue
        # the orders that cross to the helper are declared beside it: plain values, no code
        if used == "init" and line.split('"')[1] == "init/orders.hpp" and folder == "sandbox":
            continue
        if folder in ONLY or used not in tier_of or tier_of[used] >= tier_of[folder]:
            bad.append(f"{path}:{number}: {folder}/ may not include {used}/")
print("\n".join(bad) if bad else "tiers: ok")
sys.exit(1 if bad else 0)
