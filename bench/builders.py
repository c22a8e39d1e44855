"""The builders that are compared, each behind the same few verbs: unable, start, version, give_base, build, stop.

All state lies below the work directory; daemons listen on sockets there and are stopped by the process that was
started, nothing else on the machine is touched.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

IMAGE = "bench-result"


def run(command, **keys):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **keys)
    if done.returncode != 0:
        text = done.stdout.decode("utf-8", "replace")
        raise SystemExit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{text[-3000:]}")
    return done.stdout.decode("utf-8", "replace")


class Builder:
    name = ""

    def __init__(self, work):
        self.work = pathlib.Path(work)
        self.state = self.work / "disk" / self.name
        self.bases = {}

    def unable(self):
        return None

    def start(self):
        pass

    def stop(self):
        pass

    def settle(self):
        """Between two measurements, untimed: what one left to write back must not slow the next one down."""
        os.sync()

    def reset_peak(self):
        pass

    def peak_kib(self):
        return 0


class Slipway(Builder):
    name = "slipway"

    def __init__(self, work, binary):
        super().__init__(work)
        self.binary = os.path.abspath(binary)
        self.peak = 0

    def call(self, *args):
        return run([self.binary, "--root", str(self.state), *map(str, args)])

    def start(self):
        self.state.mkdir(parents=True, exist_ok=True)

    def version(self):
        return self.call("version").splitlines()[0]

    def forget(self):
        """As on a machine that never built: an empty store, and nothing of any disk in memory."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.bases.clear()
        os.sync()
        try:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        except OSError:
            pass  # a container may not: then only the store is cold

    def forget_all(self):
        shutil.rmtree(self.state, ignore_errors=True)
        self.bases.clear()

    def give_base(self, name, image):
        if name not in self.bases:
            self.call("import", image.archive, name)
            self.bases[name] = image

    def build(self, context, no_cache):
        self.watched("build", "--progress", "plain", "-t", IMAGE, *(["--no-cache"] if no_cache else []), context)

    def build_job(self, context, tag, push):
        self.watched("build", "--progress", "plain", "-t", tag, *(["--push"] if push else []), context)

    def push(self, tag, context):
        self.watched("push", tag)

    def pull(self, image):
        self.watched("pull", image)

    def watched(self, *arguments):
        command = [self.binary, "--root", str(self.state), *map(str, arguments)]
        with open(self.work / "slipway.log", "wb") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"slipway {arguments[0]} failed:\n{(self.work / 'slipway.log').read_text()[-3000:]}")
        # The largest of the builder and of each process it waited for, the step's own included: an upper bound.
        self.peak = usage.ru_maxrss

    def peak_kib(self):
        return self.peak


class Floor(Builder):
    """No builder at all: the program of the one step that has to run again, alone in a chroot on the base and the
    context. No builder that runs it can be faster; it makes no layer, no image and no sandbox."""

    name = "floor"

    def __init__(self, work, command):
        super().__init__(work)
        self.command = command

    def version(self):
        return "-"

    def start(self):
        for folder in ("base", "root", "upper", "work", "app-upper", "app-work"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)

    def give_base(self, name, image):
        if name in self.bases:
            return
        blobs = image.layout / "blobs/sha256"
        manifest = json.loads((blobs / image.digest.split(":")[1]).read_text())
        for layer in manifest["layers"]:
            run(["tar", "-xf", str(blobs / layer["digest"].split(":")[1]), "-C", str(self.state / "base")])
        (self.state / "base/app").mkdir(exist_ok=True)
        self.bases[name] = image

    def mount(self, lower, upper, work, at):
        run(["mount", "-t", "overlay", "overlay", "-o",
             f"lowerdir={lower},upperdir={self.state / upper},workdir={self.state / work}", str(at)])

    def build(self, context, no_cache):
        root = self.state / "root"
        self.mount(self.state / "base", "upper", "work", root)
        try:
            self.mount(context, "app-upper", "app-work", root / "app")
            run(["chroot", str(root), "/bin/sh", "-c", f"cd /app && {self.command}"])
        finally:
            run(["umount", "-R", str(root)])


class Daemon(Builder):
    """A builder with a daemon: `daemon_command` and a `ready` probe."""

    process = None

    def start(self):
        self.state.mkdir(parents=True, exist_ok=True)
        self.log = open(self.work / f"{self.name}.log", "wb")
        self.process = subprocess.Popen(self.daemon_command(), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} does not start; see {self.work / (self.name + '.log')}")
            time.sleep(0.1)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def forget_all(self):
        self.stop()
        self.process = None
        subprocess.run(["umount", "-R", str(self.state)], capture_output=True)  # an old dockerd keeps its root mounted
        shutil.rmtree(self.state, ignore_errors=True)
        self.bases.clear()

    def settle(self):
        """Daemons clean up after they answered; that must not run beside the next one's build."""
        super().settle()
        if self.process is None:
            return
        deadline = time.monotonic() + 10
        before = None
        while time.monotonic() < deadline:
            now = self.processor_time()
            if now == before:
                return
            before = now
            time.sleep(0.3)

    def processor_time(self):
        """Of the daemon and all it started (one session), in ticks."""
        total = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[3] == str(self.process.pid):
                total += int(fields[11]) + int(fields[12])
        return total

    def reset_peak(self):
        if self.process is None:
            return
        try:
            pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            pass  # then the peak counts from the daemon's start

    def peak_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        return 0


class Buildkitd(Daemon):
    """Standalone buildkitd of the newest release, built from its Go module in a module of the benchmark's own."""

    name = "buildkitd"

    def __init__(self, work):
        super().__init__(work)
        self.programs = self.work / "buildkit-module"
        self.socket = self.work / "buildkitd.sock"

    def unable(self):
        if not shutil.which("runc"):
            return "runc is missing"
        if (self.programs / "buildkitd").exists() and (self.programs / "buildctl").exists():
            return None
        if not shutil.which("go"):
            return "no go in PATH to build it (a Go that can fetch newer toolchains: 1.21 or later)"
        return self.compile()

    def compile(self):
        self.programs.mkdir(parents=True, exist_ok=True)
        module = "github.com/moby/buildkit/cmd/"
        steps = [] if (self.programs / "go.mod").exists() else [["go", "mod", "init", "bench/buildkit"]]
        steps += [["go", "get", module + "buildkitd@latest", module + "buildctl@latest"],
                  ["go", "build", "-o", "buildkitd", module + "buildkitd"],
                  ["go", "build", "-o", "buildctl", module + "buildctl"]]
        for step in steps:
            done = subprocess.run(step, cwd=self.programs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                return f"{' '.join(step)}: {done.stdout.strip().splitlines()[-1:]}"
        return None

    def daemon_command(self):
        return [str(self.programs / "buildkitd"), "--addr", f"unix://{self.socket}", "--root", str(self.state),
                "--containerd-worker=false", "--oci-worker-snapshotter=overlayfs", "--oci-worker-binary", "runc"]

    def buildctl(self, *args):
        return [str(self.programs / "buildctl"), "--addr", f"unix://{self.socket}", *args]

    def ready(self):
        return subprocess.run(self.buildctl("debug", "workers"), capture_output=True).returncode == 0

    def version(self):
        listed = run(["go", "list", "-m", "github.com/moby/buildkit"], cwd=self.programs) if shutil.which("go") else "?"
        return listed.strip()

    def give_base(self, name, image):
        self.bases[name] = image

    def build(self, context, no_cache):
        command = self.buildctl("build", "--progress", "plain", "--frontend", "dockerfile.v0", "--local",
                                f"context={context}", "--local", f"dockerfile={context}", "--output",
                                f"type=image,name={IMAGE},compression=uncompressed")
        for name, image in self.bases.items():
            command += ["--oci-layout", f"{name}={image.layout}", "--opt",
                        f"context:{name}=oci-layout:{name}@{image.digest}"]
        run(command + (["--no-cache"] if no_cache else []))

    def build_job(self, context, tag, push):
        # Without an output a build leaves its layers as snapshots. An image exported as "uncompressed", which is
        # quicker, would make its push one of uncompressed layers: another image than the others push.
        output = ["--output", f"type=image,name={tag},push=true"] if push else []
        run(self.buildctl("build", "--progress", "plain", "--frontend", "dockerfile.v0", "--local", f"context={context}",
                          "--local", f"dockerfile={context}", *output))

    def push(self, tag, context):
        # It has no push of its own. Everything is cached by now, and compressed here, as with docker.
        self.build_job(context, tag, push=True)


class DockerBuildkit(Daemon):
    """Debian's docker.io with its embedded BuildKit; network of steps is the host's, as the daemon has no bridge."""

    name = "docker"
    client = "/usr/bin/docker"  # Debian's, of the daemon's age, wherever PATH leads

    def __init__(self, work):
        super().__init__(work)
        self.socket = self.work / "docker.sock"

    def unable(self):
        missing = [p for p in (self.client, "/usr/sbin/dockerd") if not os.path.exists(p)]
        return f"{missing[0]} is missing" if missing else None

    def daemon_command(self):
        return ["/usr/sbin/dockerd", "--data-root", str(self.state), "--exec-root", str(self.work / "docker-exec"),
                "--host", f"unix://{self.socket}", "--pidfile", str(self.work / "docker.pid"), "--iptables=false",
                "--ip-masq=false", "--bridge=none", "--storage-driver=overlay2", "--config-file",
                str(self.empty_config())]

    def empty_config(self):
        path = self.work / "docker.json"
        path.write_text("{}\n")
        return path

    def call(self, *args, **keys):
        return run([self.client, "-H", f"unix://{self.socket}", *map(str, args)], **keys)

    def ready(self):
        return subprocess.run([self.client, "-H", f"unix://{self.socket}", "version"], capture_output=True).returncode == 0

    def version(self):
        return self.call("version", "--format", "docker {{.Server.Version}}").strip()

    def give_base(self, name, image):
        if name not in self.bases:
            self.call("load", "-q", "-i", image.archive)
            self.bases[name] = image

    def build(self, context, no_cache):
        self.call("build", "--progress", "plain", "--network", "host", "-t", IMAGE,
                  *(["--no-cache"] if no_cache else []), context, env=dict(os.environ, DOCKER_BUILDKIT="1"))

    def build_job(self, context, tag, push):
        self.call("build", "--progress", "plain", "--network", "host", "-t", tag, context,
                  env=dict(os.environ, DOCKER_BUILDKIT="1"))
        if push:
            self.push(tag, context)

    def push(self, tag, context):
        self.call("push", "-q", tag)

    def pull(self, image):
        self.call("pull", "-q", image)


class Buildah(Builder):
    """buildah with runc (crun refuses hybrid cgroups) and the overlay driver."""

    name = "buildah"

    def unable(self):
        return None if shutil.which("buildah") else "buildah is missing"

    def command(self, *args):
        return ["buildah", "--root", str(self.state / "storage"), "--runroot", str(self.state / "run"),
                "--storage-driver", "overlay", *map(str, args)]

    def start(self):
        self.state.mkdir(parents=True, exist_ok=True)

    def version(self):
        return run(["buildah", "--version"]).strip()

    def give_base(self, name, image):
        if name not in self.bases:
            run(self.command("pull", "-q", f"docker-archive:{image.archive}"))
            self.bases[name] = image

    def build(self, context, no_cache):
        run(self.command("bud", "--runtime", "runc", "--layers", "--network", "host", "--pull-never", "-t", IMAGE,
                         *(["--no-cache"] if no_cache else []), context))

    def forget_all(self):
        shutil.rmtree(self.state, ignore_errors=True)
        self.bases.clear()

    def build_job(self, context, tag, push):
        run(self.command("bud", "--runtime", "runc", "--layers", "--network", "host", "--tls-verify=false", "-t", tag,
                         context))
        if push:
            self.push(tag, context)

    def push(self, tag, context):
        run(self.command("push", "-q", "--tls-verify=false", tag))

    def pull(self, image):
        run(self.command("pull", "-q", "--tls-verify=false", image))


PEERS = {p.name: p for p in (Buildkitd, DockerBuildkit, Buildah)}
