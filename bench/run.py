#!/usr/bin/env python3
"""Whole builds, Slipway against its peers, in turns on one machine. See bench/README.md.

    bench/run.py --slipway build/release/slipway [--peer NAME]... [--scenario NAME]... [--rounds N] [--record FILE]

Every round runs each builder once, one after the other (A B C A B C …), so that a slow minute of the machine hits
all of them. The table shows medians of wall seconds and Slipway's ratio to the best peer. Exit 1 when a bar is missed.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

import bases
import builders
import transfers

HERE = pathlib.Path(__file__).resolve().parent

NODE_DOCKERFILE = """\
FROM bench-node AS deps
WORKDIR /app
COPY package.json tools/install.js ./
RUN node install.js

FROM deps AS compiled
COPY . .
RUN node tools/bundle.js

FROM bench-node
ENV NODE_ENV=production
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY --from=compiled /app/dist ./dist
USER 1000
EXPOSE 8080
CMD ["node", "dist/main.js"]
"""

# Stands for `npm ci`: 10,000 module files of some kilobytes, without a network.
INSTALL_JS = """\
const fs = require('fs');
for (let m = 0; m < 500; m++) {
  const dir = `node_modules/module-${m}/lib`;
  fs.mkdirSync(dir, {recursive: true});
  for (let f = 0; f < 20; f++)
    fs.writeFileSync(`${dir}/file-${f}.js`, `module.exports = ${m * 20 + f};\\n` + `// module ${m} file ${f}\\n`.repeat(64));
}
"""

# Stands for a bundler: reads every source, writes one file.
BUNDLE_JS = """\
const fs = require('fs');
let out = '';
for (const dir of fs.readdirSync('src').sort())
  for (const file of fs.readdirSync(`src/${dir}`).sort()) out += fs.readFileSync(`src/${dir}/${file}`, 'utf8');
fs.mkdirSync('dist', {recursive: true});
fs.writeFileSync('dist/main.js', out);
"""


class Scenario:
    """One row of the table. `prepare` changes the context before a round; `bar` is the limit of Slipway's ratio."""

    base = "bench-busybox"
    floor = None  # the command of the one step that has to run again
    no_cache = False
    bar = None
    bar_seconds = None  # a limit of Slipway's own time
    alone = False  # peers are not measured: the limit is not about them
    cold = False  # every round begins with an empty store
    rounds = None

    def __init__(self, work):
        self.context = work / "contexts" / self.context_name

    def write(self):
        if not self.context.is_dir():
            fresh = self.context.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            self.fill(fresh)
            fresh.rename(self.context)

    def prepare(self, stamp):
        pass


class Node(Scenario):
    context_name = "node"
    base = "bench-node"

    def fill(self, folder):
        (folder / "tools").mkdir()
        (folder / "Dockerfile").write_text(NODE_DOCKERFILE)
        (folder / "package.json").write_text('{"name": "bench", "private": true}\n')
        (folder / "tools/install.js").write_text(INSTALL_JS)
        (folder / "tools/bundle.js").write_text(BUNDLE_JS)
        for number in range(1000):
            source = folder / f"src/part-{number // 50:02}/file-{number:04}.js"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(f"// source {number}\n" + f"exports.f{number} = (x) => x + {number};\n" * 40)


class NothingChanged(Node):
    name, title, bar = "unchanged", "Node-sized application, nothing changed", 0.3


class OneSource(Node):
    name, title, bar = "one-source", "Node-sized application, one source changed", 0.3
    floor = "node tools/bundle.js"

    def prepare(self, stamp):
        (self.context / "src/part-07/file-0350.js").write_text(f"exports.changed = '{stamp}';\n")


class NoCache(Node):
    name, title, bar, no_cache = "no-cache", "Node-sized application, `--no-cache`", 0.5, True
    rounds = 3


class FortyRuns(Scenario):
    name, title, bar, no_cache = "forty-runs", "40 × `RUN true`, uncached", 0.3, True
    context_name = "forty-runs"

    def fill(self, folder):
        (folder / "Dockerfile").write_text("FROM bench-busybox\n" + "RUN true\n" * 40)


class ManyFiles(Scenario):
    name, title, bar, no_cache = "many-files", "one-file `RUN` on an image of 200,000 files", 0.5, True
    context_name, base = "many-files", "bench-200k"

    def fill(self, folder):
        (folder / "Dockerfile").write_text(f"FROM {self.base}\nRUN echo one > /one\n")


class FewFiles(ManyFiles):
    name, title, bar = "few-files", "the same on an image of 2,000 files", None
    context_name, base = "few-files", "bench-2k"


class BigLayer(Scenario):
    name, title, no_cache, rounds = "big-layer", "`RUN` that writes one file of 2 GiB", True, 1
    context_name = "big-layer"

    def fill(self, folder):
        (folder / "Dockerfile").write_text(
            "FROM bench-busybox\nRUN dd if=/dev/urandom of=/big bs=65536 count=32768 2>/dev/null\n")


IGNORED = """\
**/*.log **/*.o **/node_modules .git *.md !README.md d1* !d1*/f500.txt **/f9??.txt d2?0 d3*/f1* target/ build/**/out tmp
**/.cache **/*.swp **/dist coverage docs/**/*.png *.zip d40[0-4] d5*/f[0-4]* !d500/f123.txt **/__pycache__ vendor/*/test
**/.DS_Store .env .idea d77? *.tmp
""".split()  # thirty


class LargeContext(Scenario):
    """Directories of 1,000 files behind an ignore file of 30 lines."""

    name, title, bar_seconds, alone = "large-context", "three files of a context of {files:,} files, nothing changed", 0.3, True
    base, files = None, 100_000
    sources = ("d000/f001.txt", "d060/f600.txt", "d099/f777.txt")

    @property
    def context_name(self):
        return f"large-{self.files}"

    def fill(self, folder):
        for number in range(self.files // 1000):
            below = folder / f"d{number:03}"
            below.mkdir()
            for name in range(1000):
                (below / f"f{name:03}.txt").touch()
        (folder / ".dockerignore").write_text("\n".join(IGNORED) + "\n")
        copies = "".join(f"COPY {source} /{i}\n" for i, source in enumerate(self.sources))
        (folder / "Dockerfile").write_text("FROM scratch\n" + copies)


class LargeContextCold(LargeContext):
    name, title, bar_seconds, cold = "large-context-cold", "the same, empty store and cold disk", 2.0, True


class MostlyIgnored(LargeContext):
    name, title, bar_seconds = "mostly-ignored", "all of such a context that the ignore file leaves, some thousand files", None

    @property
    def context_name(self):
        return f"mostly-ignored-{self.files}"

    def fill(self, folder):
        super().fill(folder)
        (folder / ".dockerignore").write_text("\n".join(IGNORED + ["d*/*", "!d00?/f00*"]) + "\n")
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /c/\n")


class Stages(Scenario):
    name, title, bar_seconds, alone = "stages", "last of 10,000 stages, each FROM the one before", 1.0, True
    context_name, base = "stages", None

    def fill(self, folder):
        (folder / "a").touch()
        (folder / "Dockerfile").write_text("FROM scratch AS s0\nCOPY a /a\n" + "".join(
            f"FROM s{i - 1} AS s{i}\nENV K{i % 7}=v{i}\n" for i in range(1, 10_000)))


class IgnoreLines(Scenario):
    name, title, bar_seconds, alone = "ignore-lines", "an ignore file of 100,000 lines", 1.0, True
    context_name, base = "ignore-lines", None

    def fill(self, folder):
        (folder / "a").touch()
        (folder / ".dockerignore").write_text("".join(
            (f"dir{i}/**/*.log\n", f"!dir{i}/keep\n", f"f{i}*\n")[i % 3] for i in range(100_000)))
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")


class CacheMount(Scenario):
    """The whole build of a step that does nothing, with the cache mounted."""

    name, title, bar_seconds, alone = "cache-mount", "`RUN --mount=type=cache true`, 100,000 files in the cache", 0.1, True
    context_name = "cache-mount"

    def fill(self, folder):
        (folder / "Dockerfile").write_text(
            "FROM bench-busybox\nRUN --mount=type=cache,target=/c for d in $(seq 100); do mkdir -p /c/$d && cd /c/$d && "
            "touch $(seq 1000); done\n")

    def prepare(self, stamp):
        text = (self.context / "Dockerfile").read_text().splitlines()[:2]
        (self.context / "Dockerfile").write_text("\n".join(text) + f"\nRUN --mount=type=cache,target=/c true {stamp}\n")


SCENARIOS = {s.name: s for s in (NothingChanged, OneSource, NoCache, FortyRuns, ManyFiles, FewFiles, BigLayer, LargeContext,
                                 LargeContextCold, MostlyIgnored, Stages, IgnoreLines, CacheMount, *transfers.ALL)}
MEMORY_BAR_MIB = 64
VERSION_BAR_MS = 10


def measure(scenario, builder_list, rounds, log):
    """Seconds per builder. A first untimed build makes every cache warm in the same way."""
    samples = {b.name: [] for b in builder_list}
    peaks = {b.name: 0 for b in builder_list}
    if not isinstance(scenario, BigLayer):
        for builder in builder_list:
            builder.build(scenario.context, no_cache=False)
    for number in range(rounds):
        stamp = f"{time.time_ns()}"
        scenario.prepare(stamp)
        for builder in builder_list:
            if scenario.cold:
                builder.forget()
            builder.reset_peak()
            begin = time.monotonic()
            builder.build(scenario.context, no_cache=scenario.no_cache)
            samples[builder.name].append(time.monotonic() - begin)
            peaks[builder.name] = max(peaks[builder.name], builder.peak_kib())
            builder.settle()
        log(f"  {scenario.name} round {number + 1}/{rounds}: "
            + "  ".join(f"{name} {times[-1]:.3f}" for name, times in samples.items()))
    return samples, peaks


def measure_version(binary, rounds=50):
    times = []
    for _ in range(rounds):
        begin = time.monotonic()
        subprocess.run([binary, "version"], stdout=subprocess.DEVNULL, check=True)
        times.append((time.monotonic() - begin) * 1000)
    return times


class Disk:
    """Where the builders keep their state: WORK/disk, a fresh journaled ext4 in a sparse file, the same for all.

    On an ext4 without a journal, as some virtual machines have, a new file's inode is looked for among all that were
    deleted in the last minutes: then whoever builds after somebody deleted ten thousand files is measured for that."""

    def __init__(self, work, plain):
        self.point = work / "disk"
        self.image = work / "disk.img"
        self.plain = plain

    def __enter__(self):
        shutil.rmtree(self.point, ignore_errors=True)
        self.point.mkdir()
        if not self.plain:
            with open(self.image, "wb") as file:
                file.truncate(64 << 30)
            subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
            subprocess.run(["mount", "-o", "loop,noatime", self.image, self.point], check=True)
        return self

    def __exit__(self, *_):
        if not self.plain:
            subprocess.run(["umount", "-R", self.point], check=False)
            self.image.unlink(missing_ok=True)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"processor": model, "processors": os.cpu_count(), "memory_gib": round(pages / 2**30, 1),
            "kernel": platform.release()}


def table(record):
    names = record["builders"]
    peers = [n for n in names if n != "slipway"]
    lines = ["| scenario | " + " | ".join(names) + " | ratio to the best peer | bar |",
             "|---|" + "---:|" * (len(names) + 2)]
    for row in record["scenarios"]:
        cells = [f"{row['median'][n]:.3f} s" if n in row["median"] else "–" for n in names]
        ratio = f"{row['ratio']:.2f} ({row['best_peer']})" if row.get("ratio") is not None else "–"
        bar = f"≤ {row['bar']}" if row.get("bar") else "–"
        bar = f"≤ {row['bar_seconds']} s" if row.get("bar_seconds") else bar
        lines.append(f"| {row['title']} | " + " | ".join(cells) + f" | {ratio} | {bar} |")
    for row in record["scenarios"]:
        if row["name"] == "big-layer":
            cells = [f"{row['peak_mib'][n]} MiB" if row["peak_mib"].get(n) else "–" for n in names]
            lines.append("| peak memory of the builder with that layer | " + " | ".join(cells)
                         + f" | – | ≤ {MEMORY_BAR_MIB} MiB |")
    if "version_ms" in record:
        lines.append(f"| `slipway version` | {record['version_ms']:.1f} ms |" + " |" * (len(peers) + 1)
                     + f" ≤ {VERSION_BAR_MS} ms |")
    return "\n".join(lines)


def misses(record):
    out = []
    for row in record["scenarios"]:
        if row.get("bar") and row.get("ratio") is not None and row["ratio"] > row["bar"]:
            out.append(f"{row['name']}: ratio {row['ratio']:.2f}, bar {row['bar']}")
        if row.get("bar_seconds") and row["median"].get("slipway", 0) > row["bar_seconds"]:
            out.append(f"{row['name']}: {row['median']['slipway']:.3f} s, bar {row['bar_seconds']} s")
        if row["name"] == "big-layer" and row["peak_mib"].get("slipway", 0) > MEMORY_BAR_MIB:
            out.append(f"big-layer: {row['peak_mib']['slipway']} MiB, bar {MEMORY_BAR_MIB} MiB")
    if record.get("version_ms", 0) > VERSION_BAR_MS:
        out.append(f"version: {record['version_ms']:.1f} ms, bar {VERSION_BAR_MS} ms")
    return out


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slipway", help="the binary; without it only the peers are measured")
    parser.add_argument("--peer", action="append", choices=list(builders.PEERS), help="default: all that can run here")
    parser.add_argument("--no-peers", action="store_true", help="Slipway alone")
    parser.add_argument("--floor", action="store_true",
                        help="also the step's own program without any builder, where a scenario has one step to run")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default=os.path.join(os.environ.get("TMPDIR", "/var/tmp"), "slipway-bench"))
    parser.add_argument("--files", type=int, default=LargeContext.files,
                        help="of large-context and mostly-ignored; a million is what the bars are meant for")
    parser.add_argument("--own-registry", action="store_true",
                        help="transfers go to and from `slipway registry` instead of docker-registry")
    parser.add_argument("--plain-disk", action="store_true", help="state on the work directory's own file system")
    parser.add_argument("--record", help="JSON file (default: WORK/record.json)")
    parser.add_argument("--table", help="print the table of a JSON record and stop")
    parser.add_argument("--clean", action="store_true", help="remove the work directory and stop")
    return parser.parse_args()


def main():
    args = parse()
    work = pathlib.Path(args.work)
    if args.table:
        print(table(json.loads(pathlib.Path(args.table).read_text())))
        return 0
    if args.clean:
        shutil.rmtree(work, ignore_errors=True)
        return 0
    if os.geteuid() != 0:
        sys.exit("bench/run.py: the peers need root")
    work.mkdir(parents=True, exist_ok=True)
    LargeContext.files = args.files
    log = lambda text: print(text, file=sys.stderr, flush=True)
    # Stopped from outside is stopped in order: the daemons must not outlive the run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [SCENARIOS[n](work) for n in args.scenario or SCENARIOS]
    wanted = [] if args.no_peers else args.peer or list(builders.PEERS)
    group = [builders.Slipway(work, args.slipway)] if args.slipway else []
    for name in wanted:
        peer = builders.PEERS[name](work)
        reason = peer.unable()
        if reason:
            log(f"skipped {name}: {reason}")
        else:
            group.append(peer)
    if args.floor:
        group.append(builders.Floor(work, next((s.floor for s in chosen if s.floor), None)))
    if not group:
        sys.exit("nothing to measure")
    target = pathlib.Path(args.record) if args.record else work / "record.json"
    record = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "machine": machine(),
              "builders": [b.name for b in group], "versions": {}, "rounds": args.rounds, "scenarios": []}
    with Disk(work, args.plain_disk):
        registry = None
        try:
            for builder in group:
                builder.start()
                record["versions"][builder.name] = builder.version()
            for scenario in chosen:
                moving = isinstance(scenario, transfers.Transfer)
                if moving and registry is None:
                    candidate = transfers.Registry(work, args.slipway if args.own_registry else None)
                    if reason := candidate.unable():
                        log(f"skipped {scenario.name}: {reason}")
                        continue
                    candidate.start()
                    registry = candidate
                    registry.give_node(work, log)
                if moving:
                    scenario.write(registry)
                else:
                    scenario.write()
                compared = [b for b in group if b.name == "slipway"] if scenario.alone else group
                if scenario.floor is None:
                    compared = [b for b in compared if b.name != "floor"]
                if moving:
                    compared = [b for b in compared if scenario.fits(b)]
                if not compared:
                    continue
                if scenario.base:
                    image = bases.make(work, scenario.base, log)
                    for builder in compared:
                        builder.give_base(scenario.base, image)
                rounds = min(args.rounds, scenario.rounds or args.rounds)
                samples, peaks = (transfers.measure if moving else measure)(scenario, compared, rounds, log)
                title = scenario.title.format(files=LargeContext.files)
                row = {"name": scenario.name, "title": title, "bar": scenario.bar, "bar_seconds": scenario.bar_seconds,
                       "samples": samples,
                       "median": {n: statistics.median(t) for n, t in samples.items()},
                       "peak_mib": {n: round(k / 1024) for n, k in peaks.items() if k}}
                others = {n: m for n, m in row["median"].items() if n not in ("slipway", "floor")}
                if others and "slipway" in row["median"]:
                    row["best_peer"] = min(others, key=others.get)
                    row["ratio"] = row["median"]["slipway"] / others[row["best_peer"]]
                record["scenarios"].append(row)
                # What was measured stays when the rest is stopped.
                target.write_text(json.dumps(record, indent=1) + "\n")
            if args.slipway:
                record["version_ms"] = statistics.median(measure_version(args.slipway))
        finally:
            for builder in group:
                builder.stop()
            if registry is not None:
                registry.stop()
    target.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))
    log(f"record: {target}")
    bad = misses(record)
    for line in bad:
        log(f"bar missed: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
