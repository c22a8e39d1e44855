#!/usr/bin/env python3
"""Debian's Docker loads, pulls and runs what Slipway built, and the other way round."""
import json
import tempfile
import unittest

from support import Case, Dockerd, Registry, base_tar, facts_of_tar, main, require

dockerd = None


def setUpModule():
    global dockerd
    require("/usr/sbin/dockerd", "/usr/bin/docker", "runc", root=True)
    folder = tempfile.TemporaryDirectory(prefix="slipway-e2e-dockerd-", dir="/var/tmp")
    unittest.addModuleCleanup(folder.cleanup)
    dockerd = Dockerd(folder.name)
    unittest.addModuleCleanup(dockerd.close)


DOCKERFILE = """\
FROM base
RUN mkdir /app && echo 'echo "hello $1 as $(id -u) in $PWD with $A"' >/app/start && rm /data/old
COPY --chown=app x /app/x
WORKDIR /app
ENV A=b
USER app
ENTRYPOINT ["sh", "/app/start"]
CMD ["world"]
"""


class DockerTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.source = self.context(DOCKERFILE, {"x": "x\n"})

    def docker_run(self, *arguments):
        return dockerd("run", "--rm", "--network", "none", *arguments).out

    def test_load_and_run(self):
        self.slipway.build(self.source, "-t", "made:1")
        self.slipway("save", "-o", self.folder / "made.tar", "made:1")
        self.assertIn("made:1", dockerd("load", "-i", self.folder / "made.tar").out)
        self.addCleanup(dockerd, "rmi", "-f", "made:1")
        self.assertEqual("hello world as 1000 in /app with b\n", self.docker_run("made:1"))
        self.assertEqual("5:6\n", self.docker_run("--entrypoint", "stat", "made:1", "-c", "%u:%g", "/data/linked"))
        theirs = json.loads(dockerd("inspect", "made:1").out)[0]
        ours = json.loads(self.slipway("inspect", "made:1").out)[0]
        self.assertEqual(theirs["RootFS"]["Layers"], ours["RootFS"]["Layers"])
        for field in ("Env", "Cmd", "Entrypoint", "User", "WorkingDir"):
            self.assertEqual(theirs["Config"][field], ours["Config"][field], field)

    def test_docker_output_streams_into_docker_load(self):
        done = self.slipway("build", "--progress", "plain", "-t", "piped:1", "-o", "type=docker,dest=-", self.source)
        dockerd("load", input=done.stdout)
        self.addCleanup(dockerd, "rmi", "-f", "piped:1")
        self.assertEqual("hello you as 1000 in /app with b\n", self.docker_run("piped:1", "you"))

    def test_what_docker_saves_is_loaded(self):
        dockerd("import", "-c", "ENV FROM=docker", "-", "theirs:1", input=base_tar())
        self.addCleanup(dockerd, "rmi", "-f", "theirs:1")
        dockerd("save", "-o", self.folder / "theirs.tar", "theirs:1")
        self.slipway("load", "-i", self.folder / "theirs.tar")
        ours = json.loads(self.slipway("inspect", "theirs:1").out)[0]
        self.assertIn("FROM=docker", ours["Config"]["Env"])
        self.assertEqual(json.loads(dockerd("inspect", "theirs:1").out)[0]["Id"], ours["Id"])

    def test_same_dockerfile_same_files(self):
        dockerd("import", "-", "base:latest", input=base_tar())
        self.addCleanup(dockerd, "rmi", "-f", "base:latest")
        dockerd("build", "--network", "none", "-t", "theirs:2", self.source,
                env=dict(self.slipway.env, DOCKER_BUILDKIT="1"))
        self.addCleanup(dockerd, "rmi", "-f", "theirs:2")
        container = dockerd("create", "theirs:2").out.strip()
        self.addCleanup(dockerd, "rm", "-f", container)
        theirs = facts_of_tar(dockerd("export", container).stdout)
        ours = self.slipway.tree(self.source)
        # what Docker lays into every container
        made = {"dev", "dev/console", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf",
                "proc", "sys", ".dockerenv"}
        strip = lambda facts: {p: f for p, f in facts.items() if p not in made}
        self.assertEqual(strip(theirs), strip(ours))

    def test_pull_from_a_registry_that_slipway_pushed_to(self):
        require("docker-registry")
        registry = self.closing(Registry(self.folder / "registry"))
        name = f"{registry.host}/team/app:1"
        self.slipway.build(self.source, "-t", name, "--push")
        dockerd("pull", name)
        self.addCleanup(dockerd, "rmi", "-f", name)
        self.assertIn(self.slipway.digest(name), dockerd("images", "--digests").out)
        self.assertEqual("hello world as 1000 in /app with b\n", self.docker_run(name))


if __name__ == "__main__":
    main()
