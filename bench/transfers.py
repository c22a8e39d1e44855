"""Scenarios that move images: pulls, pushes and whole CI jobs against one registry on loopback (Debian's docker-registry).

What is timed is a job: a list of verbs that every builder has (forget, start, build, push, pull). A builder that lacks
one of a scenario's verbs is left out of it.
"""
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

import bases

MIB = 1 << 20
MANIFESTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
             "application/vnd.docker.distribution.manifest.v2+json")


class Registry:
    """docker-registry with its files below the work directory; gone with stop()."""

    def __init__(self, work, slipway=None):
        """`slipway`: the program whose own registry is the one; Debian's docker-registry without it."""
        self.slipway = slipway
        self.folder = work / "disk/registry"
        self.log = work / "registry.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"

    def unable(self):
        needed = ("skopeo",) if self.slipway else ("docker-registry", "skopeo")
        missing = [p for p in needed if not shutil.which(p)]
        return f"{missing[0]} is missing" if missing else None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder.parent / "registry.yml"
        config.write_text("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {self.folder}}}, delete: {{enabled: true}}}}\n"
                          f"http: {{addr: {self.host}}}\n")
        command = ["docker-registry", "serve", config]
        if self.slipway:
            command = [self.slipway, "--root", self.folder, "registry", "--listen", self.host]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the registry does not start; see {self.log}")
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def layer_bytes(self, tag):
        """Of the image, as its manifest says; of the first one when it is an index."""
        repository, _, name = tag.removeprefix(f"{self.host}/").rpartition(":")
        while True:
            request = urllib.request.Request(f"http://{self.host}/v2/{repository}/manifests/{name}",
                                             headers={"Accept": ", ".join(MANIFESTS)})
            with urllib.request.urlopen(request) as reply:
                manifest = json.load(reply)
            if "layers" in manifest:
                return sum(layer["size"] for layer in manifest["layers"])
            name = manifest["manifests"][0]["digest"]

    def give_node(self, work, log):
        """The base of the jobs, its layer compressed as those of public images are."""
        image = bases.make(work, "bench-node", log)
        subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image.layout}",
                        f"docker://{self.host}/bench/node:1"], check=True)


def half_random(folder, count, size):
    """Files that compress to about the half, as programs do; the same in every run."""
    for number in range(count):
        with open(folder / f"part-{number:02}", "wb") as file:
            for block in range(size // MIB):
                seed = hashlib.sha256(f"{number} {block}".encode()).digest()
                noise = hashlib.shake_256(seed).digest(MIB // 2)
                for at in range(0, MIB // 2, 4096):
                    file.write(noise[at:at + 4096] + seed * 128)


class Transfer:
    """`job(builder, stamp)` is timed; `before` is not. `{host}` in files is the registry."""

    base = None
    bar = bar_seconds = None
    alone = cold = no_cache = False
    floor = rounds = None
    verbs = ("build",)

    def __init__(self, work):
        self.work = work
        self.context = work / "contexts" / self.name

    def write(self, registry):
        self.registry = registry
        if not self.context.is_dir():
            fresh = self.context.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            self.fill(fresh)
            fresh.rename(self.context)
        # The port is another one in each run.
        template = self.context / "Dockerfile.in"
        if template.exists():
            (self.context / "Dockerfile").write_text(template.read_text().replace("{host}", registry.host))

    def fits(self, builder):
        return all(hasattr(builder, verb) for verb in self.verbs)

    def tag(self, builder, stamp):
        return f"{self.registry.host}/{builder.name}/{self.name}:{stamp}"


NODE_JOB = """\
FROM {host}/bench/node:1 AS compiled
WORKDIR /app
COPY package.json tools/install.js ./
RUN node install.js
COPY . .
RUN node tools/bundle.js

FROM {host}/bench/node:1
WORKDIR /app
COPY --from=compiled /app/node_modules ./node_modules
COPY --from=compiled /app/dist ./dist
CMD ["node", "dist/main.js"]
"""


def fill_node(folder, dockerfile):
    from run import Node  # the same application as the other scenarios build
    Node.fill(None, folder)
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile.in").write_text(dockerfile)
    (folder / ".dockerignore").write_text("Dockerfile*\n")


class PullAndBuild(Transfer):
    name, title, bar, rounds = "pull-build", "empty store: pull a base of 270 MB and build on it", 0.5, 3
    verbs = ("forget_all", "build_job")

    def fill(self, folder):
        (folder / "Dockerfile.in").write_text("FROM {host}/bench/node:1\nRUN node --version >/version\nCOPY a /a\n")
        (folder / "a").write_text("a\n")

    def before(self, builder, stamp):
        builder.forget_all()
        builder.start()

    def job(self, builder, stamp):
        builder.build_job(self.context, self.tag(builder, stamp), push=False)


class ColdJob(Transfer):
    name, title, bar, rounds = "ci-cold", "CI job, cold: start, build the application, push", 0.55, 3
    verbs = ("forget_all", "build_job")

    def fill(self, folder):
        fill_node(folder, NODE_JOB)

    def before(self, builder, stamp):
        builder.forget_all()

    def job(self, builder, stamp):
        builder.start()
        builder.build_job(self.context, self.tag(builder, stamp), push=True)


class WarmJob(ColdJob):
    name, title, bar, rounds = "ci-warm", "CI job, warm: one source changed, build, push", 0.4, 5
    verbs = ("build_job",)

    def warm(self, builder):
        builder.build_job(self.context, self.tag(builder, "warm"), push=True)

    def before(self, builder, stamp):
        (self.context / "src/part-07/file-0350.js").write_text(f"exports.changed = '{stamp}';\n")

    def job(self, builder, stamp):
        builder.build_job(self.context, self.tag(builder, stamp), push=True)


class PushFresh(Transfer):
    name, title, bar, rounds = "push-1g", "push of freshly built layers, 1 GB", 0.3, 3
    verbs = ("build_job", "push")

    def fill(self, folder):
        half_random(folder, 8, 128 * MIB)
        (folder / "Dockerfile.in").write_text("FROM scratch\nCOPY stamp /stamp\n" + "".join(
            f"COPY part-{n:02} /part-{n:02}-{{stamp}}\n" for n in range(8)))

    def renew(self, builder, stamp):
        (self.context / "stamp").write_text(stamp)
        template = (self.context / "Dockerfile.in").read_text()
        (self.context / "Dockerfile").write_text(template.replace("{stamp}", stamp))
        self.made = self.tag(builder, stamp)

    def before(self, builder, stamp):
        self.renew(builder, stamp)
        builder.build_job(self.context, self.made, push=False)
        os.sync()

    def job(self, builder, stamp):
        builder.push(self.made, self.context)

    def after(self, builder, stamp):
        """Who pushes another image than the others, an uncompressed one, has not done their work."""
        sent = self.registry.layer_bytes(self.made)
        if not 400 * MIB < sent < 700 * MIB:
            raise SystemExit(f"{builder.name} pushed {sent} bytes of layers, not 1 GB compressed to the half")


class BuildAndPushFresh(PushFresh):
    name, title, bar, rounds = "build-push-1g", "the same, built and pushed", None, 3

    @property
    def verbs(self):
        return ("build_job",)

    def before(self, builder, stamp):
        self.renew(builder, stamp)

    def job(self, builder, stamp):
        builder.build_job(self.context, self.made, push=True)


class PullLarge(Transfer):
    name, title, bar, rounds = "pull-1g", "pull and unpack 1 GB in eight layers, empty store", 0.5, 3
    verbs = ("forget_all", "pull")

    def fill(self, folder):
        half_random(folder, 8, 128 * MIB)
        (folder / "Dockerfile.in").write_text(
            "FROM scratch\n" + "".join(f"COPY part-{n:02} /part-{n:02}\n" for n in range(8)))

    def seed(self, builder):
        """The image that is pulled, made by whoever is first."""
        self.image = f"{self.registry.host}/bench/large:1"
        builder.build_job(self.context, self.image, push=True)

    def before(self, builder, stamp):
        builder.forget_all()
        builder.start()

    def job(self, builder, stamp):
        builder.pull(self.image)


ALL = (PullAndBuild, ColdJob, WarmJob, PushFresh, BuildAndPushFresh, PullLarge)


def measure(scenario, builder_list, rounds, log):
    """As run.measure(): seconds and peaks per builder, in turns."""
    samples = {b.name: [] for b in builder_list}
    peaks = {b.name: 0 for b in builder_list}
    if hasattr(scenario, "seed"):
        scenario.seed(builder_list[0])
    if hasattr(scenario, "warm"):
        for builder in builder_list:
            scenario.warm(builder)
    for number in range(rounds):
        for builder in builder_list:
            stamp = f"r{time.time_ns()}"
            scenario.before(builder, stamp)
            builder.settle()
            builder.reset_peak()
            begin = time.monotonic()
            scenario.job(builder, stamp)
            samples[builder.name].append(time.monotonic() - begin)
            if hasattr(scenario, "after"):
                scenario.after(builder, stamp)
            peaks[builder.name] = max(peaks[builder.name], builder.peak_kib())
            builder.settle()
        log(f"  {scenario.name} round {number + 1}/{rounds}: "
            + "  ".join(f"{name} {times[-1]:.3f}" for name, times in samples.items()))
    return samples, peaks
