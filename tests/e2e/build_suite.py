#!/usr/bin/env python3
"""`slipway build` from outside: what lands in the image, in its config, on the terminal."""
import json
import os
import re
import socket

from support import Case, main, processes_with, run, steps


class BuildTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()

    def inspect(self, name):
        return json.loads(self.slipway("inspect", name).out)[0]

    def test_multi_stage_takes_only_what_is_copied(self):
        source = self.context("""\
FROM base AS one
RUN mkdir /out && echo made >/out/file && chmod 750 /out/file && chown 7:8 /out/file
FROM base AS unneeded
RUN exit 1
FROM base
COPY --from=one /out /out
""")
        tree = self.slipway.tree(source)
        self.assertEqual((0o750, "7:8"), tree["out/file"][1:3])

    def test_the_root_may_be_named_by_any_path(self):
        source = self.context("FROM base\nCOPY . /c\nRUN echo made >/file\n")
        crooked = f"{self.slipway.root}/../{self.slipway.root.name}//."
        self.slipway("--root", crooked, "build", "-q", source)
        self.slipway("--root", self.slipway.root.name, "build", "-q", "--no-cache", source, cwd=self.slipway.root.parent)

    def test_target_stops_there(self):
        source = self.context("FROM base AS a\nRUN echo a >/stage\nFROM a AS b\nRUN exit 1\n")
        self.assertIn("stage", self.slipway.tree(source, "--target", "a"))
        self.assertEqual(1, self.slipway.build(source, check=False).returncode)

    def test_config_and_history(self):
        source = self.context("""\
FROM base
ARG V=1
ENV A=b C="d e"
LABEL l=m
WORKDIR /w
USER app
EXPOSE 80 81/udp
VOLUME /v
STOPSIGNAL SIGUSR1
ENTRYPOINT ["e"]
CMD ["c", "d"]
RUN true
""")
        self.slipway.build(source, "-t", "cfg:1", "--build-arg", "V=2")
        config = self.inspect("cfg:1")["Config"]
        self.assertEqual(["A=b", "C=d e"], [e for e in config["Env"] if not e.startswith("PATH=")])
        self.assertEqual({"80/tcp": {}, "81/udp": {}}, config["ExposedPorts"])
        self.assertEqual(("/w", "app", "SIGUSR1"), (config["WorkingDir"], config["User"], config["StopSignal"]))
        self.assertEqual((["e"], ["c", "d"]), (config["Entrypoint"], config["Cmd"]))
        history = self.slipway("history", "--no-trunc", "--format", "{{.CreatedBy}}", "cfg:1").out
        self.assertIn("RUN |1 V=2 /bin/sh -c true # buildkit", history)

    def test_a_step_sees_only_what_it_should(self):
        source = self.context("""\
FROM base
RUN ls /proc/self/fd | wc -l >/descriptors && env | sort >/environment && id -u >/uid && hostname >/host && \\
    ls /dev | sort | tr '\\n' ' ' >/devices && cat /proc/1/cmdline | tr '\\0' ' ' >/one && (mount -t tmpfs x /tmp || true) && \\
    (echo x >/proc/sys/kernel/hostname || echo refused >/sysctl) && grep -h Seccomp: /proc/self/status >/seccomp
""")
        secret = {"SECRET_OF_THE_CALLER": "do not show"}
        out = self.folder / "out"
        self.slipway.build(source, "-o", f"type=local,dest={out}", env=secret)
        read = lambda name: (out / name).read_text().strip()
        # 0, 1, 2 and the descriptor by which ls reads the folder
        self.assertEqual("4", read("descriptors"))
        self.assertNotIn("SECRET_OF_THE_CALLER", read("environment"))
        self.assertEqual("0", read("uid"))
        self.assertEqual("refused", read("sysctl"))
        self.assertRegex(read("seccomp"), r"Seccomp:\s+2")
        self.assertNotIn("sda", read("devices"))
        self.assertFalse((out / "etc/resolv.conf").exists(), "set-up files are no part of a layer")

    def test_processes_of_a_step_die_with_it(self):
        source = self.context("FROM base\nRUN (sleep 86321 >/dev/null 2>&1 &) ; true\n")
        self.slipway.build(source)
        self.assertEqual([], processes_with("\x0086321\x00"))

    def test_stop_at_the_first_error_with_place_and_exit_status(self):
        source = self.context("FROM base\nRUN echo before\nRUN echo to-stderr >&2; exit 7\n")
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("Dockerfile:3", done.err)
        self.assertIn("exit code: 7", done.err)
        self.assertIn("to-stderr", done.err)
        self.assertEqual("", done.out)

    def test_output_of_a_step_is_escaped(self):
        source = self.context("FROM base\nRUN printf '\\033]0;title\\007\\033[31mred'; exit 1\n")
        done = self.slipway.build(source, check=False)
        self.assertNotIn("\x1b]0", done.out + done.err)

    def test_quiet_prints_the_digest_only(self):
        source = self.context("FROM base\nRUN true\n")
        done = self.slipway("build", "-q", source)
        self.assertRegex(done.out, r"\Asha256:[0-9a-f]{64}\n\Z")
        self.assertEqual("", done.err)

    def test_iidfile_and_many_tags(self):
        source = self.context("FROM base\nRUN true\n")
        file = self.folder / "iid"
        self.slipway.build(source, "-t", "a:1", "-t", "b:2", "--iidfile", file)
        self.assertRegex(file.read_text(), r"\Asha256:[0-9a-f]{64}\Z")
        self.assertEqual(self.slipway.digest("a:1"), self.slipway.digest("b:2"))

    def test_dockerfile_from_standard_input_and_elsewhere(self):
        source = self.context("not a Dockerfile\n", {"x": "x\n"})
        done = self.slipway("build", "-q", "-f", "-", "-t", "s:1", source, input=b"FROM base\nCOPY x /x\n")
        self.assertEqual(0, done.returncode)
        (self.folder / "Other").write_text("FROM base\nCOPY x /y\n")
        self.assertIn("y", self.slipway.tree(source, "-f", self.folder / "Other"))

    def test_dockerignore(self):
        source = self.context("FROM base\nCOPY . /c\n", {".dockerignore": "*\n!keep\nkeep/not\n", "keep/a": "a\n",
                                                          "keep/not": "n\n", "drop": "d\n"})
        tree = self.slipway.tree(source)
        self.assertEqual(["c", "c/keep", "c/keep/a"], sorted(p for p in tree if p == "c" or p.startswith("c/")))

    def test_rawjson_is_json_lines(self):
        done = self.slipway("build", "--progress", "rawjson", self.context("FROM base\nRUN echo hello\n"))
        lines = [json.loads(line) for line in done.err.splitlines() if line.strip()]
        self.assertTrue(lines)

    def test_ulimit_and_network_none(self):
        source = self.context("FROM base\nRUN ulimit -n >/n; ls /sys/class/net | tr '\\n' ' ' >/net\n")
        out = self.folder / "out"
        self.slipway.build(source, "--ulimit", "nofile=123:456", "--network", "none", "-o", f"type=local,dest={out}")
        self.assertEqual("123", (out / "n").read_text().strip())
        self.assertEqual("lo", (out / "net").read_text().strip())

    def test_source_date_epoch_clamps_times_and_is_in_the_key(self):
        source = self.context("FROM base\nCOPY x /x\nRUN echo made >/y\n", {"x": "x\n"})
        plain = self.slipway.tree(source)
        twice = [self.slipway.tree(source, "--build-arg", "SOURCE_DATE_EPOCH=1000000") for _ in range(2)]
        self.assertEqual(twice[0], twice[1])
        digests = {self.slipway("build", "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000", source).out
                   for _ in range(2)}
        self.assertEqual(1, len(digests), "two builds with one epoch")
        self.assertNotIn("1000000", self.slipway("build", "-q", source).out)
        self.assertEqual(plain, self.slipway.tree(source), "a plain build takes nothing of those")
        out = self.folder / "out"
        self.slipway.build(source, "--build-arg", "SOURCE_DATE_EPOCH=1000000", "-o", f"type=local,dest={out}")
        self.assertEqual([1000000, 1000000], [int((out / name).stat().st_mtime) for name in ("x", "y")])

    def test_hard_links_that_are_overwritten_in_the_same_copy(self):
        source = self.context("FROM base\nCOPY a/ b/ /app/\n", {"a/config": "BASE\n", "b/config": "OVERRIDE\n"})
        (source / "b/default").hardlink_to(source / "a/config")
        out = self.folder / "out"
        self.slipway.build(source, "-o", f"type=local,dest={out}")
        self.assertEqual("BASE\n", (out / "app/default").read_text())
        self.assertEqual("OVERRIDE\n", (out / "app/config").read_text())

    def test_an_image_without_path_gets_the_usual_one(self):
        source = self.context("FROM base\nENV PATH=/opt/x:$PATH\nRUN echo $PATH >/path\n")
        out = self.folder / "out"
        self.slipway.build(source, "-o", f"type=local,dest={out}")
        self.assertEqual("/opt/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
                         (out / "path").read_text())

    def test_a_fifo_as_dockerfile_is_refused_at_once(self):
        source = self.context("FROM base\n")
        (source / "Dockerfile").unlink()
        os.mkfifo(source / "Dockerfile")
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("is not a file", done.err)

    def test_a_dockerfile_that_is_a_link_out_of_the_context_shows_nothing(self):
        (self.folder / "host").write_text("secret-of-host\n")
        for name in ("Dockerfile", ".dockerignore"):
            source = self.context("FROM base\nCOPY . /c\n", {"a": "a\n"})
            (source / name).unlink(missing_ok=True)
            (source / name).symlink_to(self.folder / "host")
            done = self.slipway.build(source, check=False)
            self.assertNotIn("secret-of-host", done.err + done.out)
            (source / name).unlink()
        source = self.context("FROM base\n", {"sub/Real": "FROM base\nRUN true\n"})
        (source / "Dockerfile").unlink()
        (source / "Dockerfile").symlink_to("sub/Real")
        self.slipway.build(source)

    def test_a_device_that_means_a_whiteout_is_refused(self):
        source = self.context("FROM base\nCOPY d /data/\n", {"d/x": "x\n"})
        os.mknod(source / "d/old", 0o020600, os.makedev(0, 0))
        done = self.slipway.build(source, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("character device 0:0", done.err)

    def test_local_output_has_no_devices_and_no_set_uid_programs(self):
        source = self.context("FROM base\nRUN cp /bin/busybox /su && chmod 4755 /su\n")
        out = self.folder / "out"
        self.slipway.build(source, "-o", f"type=local,dest={out}")
        self.assertEqual(0o755, (out / "su").stat().st_mode & 0o7777)

    def test_doctor_before_anything_else_leaves_a_usable_root(self):
        fresh = self.folder / "fresh"
        self.slipway("--root", fresh, "doctor", check=False)
        self.slipway("--root", fresh, "images")

    def test_without_an_uplink_one_line_says_why(self):
        source = self.context("FROM base\nRUN true\nRUN echo\n")
        command = ["unshare", "--net", *self.slipway.command("build", "--progress", "plain", source)]
        done = run(command, env=self.slipway.env)
        self.assertEqual(1, done.err.count("no network in steps: this machine has no default route"), done.err)

    def test_a_step_cannot_reach_the_hosts_loopback(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        source = self.context(f"FROM base\nRUN nc -w 2 127.0.0.1 {port} </dev/null && echo reached >/r || echo no >/r\n")
        out = self.folder / "out"
        self.slipway.build(source, "-o", f"type=local,dest={out}")
        self.assertEqual("no", (out / "r").read_text().strip())

    def test_doctor_tells_every_probe(self):
        done = self.slipway("doctor", check=False)
        self.assertGreater(len(done.out.splitlines()), 4)

    def test_progress_counts_steps_like_docker(self):
        done = self.slipway.build(self.context("FROM base AS a\nRUN true\nFROM base\nCOPY --from=a /bin /b\n"))
        self.assertTrue(re.search(r"^#\d+ \[a 2/2\] RUN true$", done.err, re.M), done.err)
        self.assertIn("RUN true", steps(done.err))


if __name__ == "__main__":
    main()
