#!/usr/bin/env python3
"""The distribution specification's own conformance program against `slipway registry`."""
import re

from own_registry import OwnRegistry, go_program
from support import CLEAN, Case, main, run

MODULE = "github.com/opencontainers/distribution-spec/conformance@latest"
program = None


def setUpModule():
    global program
    program = go_program(MODULE, "conformance")


class ConformanceTest(Case):
    def judge(self, version):
        registry = self.closing(OwnRegistry(self.slipway))
        results = self.folder / f"results-{version}"
        done = run([program], check=False, cwd=self.folder, env=dict(
            CLEAN, OCI_REGISTRY=registry.host, OCI_TLS="disabled", OCI_REPO1="conformance/one", OCI_REPO2="conformance/two",
            OCI_RESULTS_DIR=str(results), OCI_VERSION=version, OCI_LOG="error"))
        text = done.out + done.err
        counts = {kind: int(number) for kind, number in re.findall(r"(?m)^  (\w+)\.+: +(\d+)$", text)}
        self.assertGreater(counts.get("Pass", 0), 800, text[-6000:])
        self.assertEqual([0, 0, 0], [counts.get(kind) for kind in ("FAIL", "Error", "Skip")], text[-6000:])
        self.slipway.assert_clean(self)

    def test_stable_version(self):
        self.judge("1.1")

    def test_what_the_next_version_asks_for(self):
        self.judge("dev")


if __name__ == "__main__":
    main()
