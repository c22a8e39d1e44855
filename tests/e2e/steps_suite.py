#!/usr/bin/env python3
"""What a RUN step may do and how long: --security, --network host, devices, time and log limits, control groups."""
import http.server
import json
import os
import pathlib
import re
import threading
import unittest

from support import Case, main


def processes_with(text):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"):
                found.append(path.parent.name)
        except OSError:
            pass
    return found


class StepsTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.out = self.folder / "out"

    def build(self, dockerfile, *options, check=True, files=None):
        source = self.context(dockerfile, files)
        return self.slipway.build(source, *options, "-o", f"type=local,dest={self.out}", check=check)

    def read(self, name):
        return (self.out / name).read_text()

    # What insecure changes, and what it does not: one script, run both ways.
    PROBE = ("grep CapEff /proc/self/status | cut -f2; (mount -t tmpfs x /tmp && echo mounted || echo refused) 2>/dev/null;"
             " (mount --bind /bin /tmp && ls /tmp/sh || echo no bind) 2>/dev/null; grep -c ' /proc/' /proc/mounts;"
             " (mknod /null c 1 3 && echo made || echo no device) 2>/dev/null;"
             " (mount -o remount,bind,rw /ctx && touch /ctx/x || echo still read-only) 2>/dev/null;"
             " (cat /proc/kcore >/dev/null || echo no memory) 2>/dev/null; (echo h >/proc/sysrq-trigger || echo no sysrq) 2>/dev/null;"
             " wc -l </proc/self/uid_map; readlink /proc/self/ns/net | wc -l")

    def probe(self, flag, *options):
        self.build(f"FROM base\nRUN --mount=target=/ctx {flag} sh /ctx/probe >/result\n", *options,
                   files={"probe": self.PROBE + "\n"})
        return self.read("result").splitlines()

    def test_insecure_has_all_capabilities_inside_and_nothing_outside(self):
        plain, insecure = self.probe(""), self.probe("--security=insecure", "--allow", "security.insecure")
        self.assertEqual(["00000000a80425fb", "refused", "no bind"], plain[:3])
        self.assertRegex(insecure[0], r"^0+[0-9a-f]?f{8,}$")
        self.assertEqual(["mounted", "/tmp/sh", "0"], insecure[1:4])
        self.assertNotEqual("0", plain[3])
        self.assertEqual(["no device", "still read-only", "no memory", "no sysrq"], plain[4:8])
        self.assertEqual(plain[4:], insecure[4:])
        self.assertFalse((self.folder / "context/x").exists())
        self.slipway.assert_clean(self)

    def test_insecure_needs_its_entitlement_also_in_onbuild_and_is_part_of_the_key(self):
        done = self.build("FROM base\n\nRUN --security=insecure true\n", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("security.insecure is not allowed", done.err)
        self.assertIn("Dockerfile:3", done.err)
        self.slipway.build(self.context("FROM base\nONBUILD RUN --security=insecure true\n", name="parent"), "-t", "parent:1")
        self.assertIn("security.insecure is not allowed", self.build("FROM parent:1\n", check=False).err)
        # An unneeded stage asks for nothing.
        self.build("FROM base AS x\nRUN --security=insecure true\nFROM base\nRUN true\n")

    def test_network_host_by_entitlement(self):
        dockerfile = "FROM base\nRUN --network=host readlink /proc/self/ns/net >/net\n"
        self.assertIn("network.host is not allowed", self.build(dockerfile, check=False).err)
        for options in (("--allow", "network.host"), ("--network", "host")):
            self.build(dockerfile, "--no-cache", *options)
            self.assertEqual(os.readlink("/proc/self/ns/net") + "\n", self.read("net"))

    def test_a_step_past_its_time_leaves_no_process(self):
        number = os.getpid() + 1_000_000
        done = self.build(f"FROM base\nRUN (trap '' TERM INT HUP; setsid sleep {number}) & sleep {number}\n",
                          "--step-timeout", "500ms", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("did not end within 500ms and was killed", done.err)
        self.assertIn("--step-timeout", done.err)
        self.assertIn("Dockerfile:2", done.err)
        self.assertEqual([], processes_with(f"sleep {number}"))
        self.slipway.assert_clean(self)
        self.build("FROM base\nRUN true\n", "--step-timeout", "1h")

    def test_output_past_the_limit_is_cut(self):
        done = self.build("FROM base\nRUN seq 1 500000; echo done >/end\n")
        self.assertIn("[output clipped, log limit 2MiB reached]", done.err)
        self.assertEqual(1, done.err.count("output clipped"))
        self.assertNotIn(" 500000\n", done.err)
        self.assertEqual("done\n", self.read("end"))
        done = self.build("FROM base\nRUN seq 1 500000\n", "--step-log-limit", "0")
        self.assertIn(" 500000\n", done.err)
        done = self.build("FROM base\nRUN seq 1 500000; echo the reason >&2; false\n", check=False)
        self.assertIn("the reason", done.err)

    def test_devices_of_a_specification(self):
        cdi = self.folder / "cdi"
        cdi.mkdir()
        (self.folder / "library").write_text("of the machine\n")
        (cdi / "dev.json").write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "vendor.com/dev", "devices": [
            {"name": "zero", "containerEdits": {
                "env": ["DEV=zero"], "deviceNodes": [{"path": "/dev/mine", "hostPath": "/dev/zero"}],
                "mounts": [{"hostPath": str(self.folder / "library"), "containerPath": "/opt/library", "options": ["ro"]}]}}]}))
        dockerfile = ("FROM base\nRUN --device={} head -c 4 /dev/mine | wc -c >/r; echo $DEV >>/r; cat /opt/library >>/r;"
                      " ls /dev/mine >>/r\n")
        options = ("--cdi-spec-dir", cdi)
        self.assertIn("device vendor.com/dev=zero is requested by the build but not allowed",
                      self.build(dockerfile.format("vendor.com/dev=zero"), *options, check=False).err)
        for name, allow in (("vendor.com/dev=zero,required", "device"), ("vendor.com/dev", "device=vendor.com/dev=zero"),
                            ("gpu", "device=vendor.com/dev=zero,alias=gpu")):
            self.build(dockerfile.format(name), *options, "--allow", allow)
            self.assertEqual("4\nzero\nof the machine\n/dev/mine\n", self.read("r"))
            self.assertFalse((self.out / "dev/mine").exists() or (self.out / "opt").exists())
        self.build("FROM base\nRUN --device=vendor.com/dev=none ls /dev >/r\n", *options)
        self.assertNotIn("mine", self.read("r"))
        done = self.build("FROM base\nRUN --device=vendor.com/dev=none,required true\n", *options, check=False)
        self.assertIn('required device "vendor.com/dev=none" is not registered', done.err)

    def test_host_gateway_reaches_this_machine_and_nothing_does_without(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        # By address: a static busybox resolves no names.
        ask = ("(echo 'GET / HTTP/1.0'; echo; sleep 0.2) | "
               f"nc $(grep me /etc/hosts | cut -f1) {server.server_port} | grep -q 'HTTP/1.0 200'")
        self.build(f"FROM base\nRUN {ask} && grep me /etc/hosts >/hosts\n", "--add-host", "me:host-gateway", "--network", "host")
        self.assertEqual("127.0.0.1\tme\n", self.read("hosts"))
        done = self.build("FROM base\nRUN true\n", "--add-host", "me:host-gateway", "--network", "none", check=False)
        self.assertIn("with --network none no step reaches this machine", done.err)
        self.build("FROM base\nRUN --network=none grep me /etc/hosts || touch /none\n", "--add-host", "me:host-gateway")
        self.assertTrue((self.out / "none").exists())
        done = self.build(f"FROM base\nRUN grep me /etc/hosts && {ask}\n", "--add-host", "me:host-gateway", check=False)
        if "host-gateway has no address in this step: no network in steps" in done.err:
            raise unittest.SkipTest("steps have no network here")
        self.assertEqual(0, done.returncode, done.err)

    def test_a_step_below_a_control_group(self):
        parents = [p for p in pathlib.Path("/sys/fs/cgroup").glob("*") if (p / "cgroup.procs").exists()]
        if pathlib.Path("/sys/fs/cgroup/cgroup.procs").exists():
            parents = [pathlib.Path("/sys/fs/cgroup")]
        name = f"slipway-e2e-{os.getpid()}"
        made = []
        for parent in parents:
            try:
                (parent / name).mkdir()
                made.append(parent / name)
                self.addCleanup(lambda path=parent / name: path.rmdir() if path.exists() else None)
            except OSError:
                pass
        if not made:
            raise unittest.SkipTest("no control group can be made here")
        process = self.slipway.start("build", "--progress", "plain", "--cgroup-parent", name,
                                     self.context("FROM base\nRUN echo up; sleep 1000\n"))
        self.addCleanup(process.kill)
        while not re.search(rb"^#\d+ [\d.]+ up$", process.stdout.readline()):
            self.assertIsNone(process.poll())
        inside = [p for path in made for p in path.glob("slipway-*/cgroup.procs") if p.read_text().split()]
        process.terminate()
        process.communicate(timeout=60)
        self.assertTrue(inside, "no process is below the group")
        self.assertEqual([], [p for path in made for p in path.glob("slipway-*")])
        done = self.build("FROM base\nRUN true\n", "--cgroup-parent", "/not/there", check=False)
        self.assertIn('there is no control group "/not/there"', done.err)
        self.assertIn("--cgroup-parent /not/there", done.err)

    def test_shared_memory_has_the_size_that_was_asked_for(self):
        self.build("FROM base\nRUN df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 >/size\n", "--shm-size", "3m")
        self.assertEqual("3072\n", self.read("size"))


if __name__ == "__main__":
    main()
