#!/usr/bin/env python3
"""Credentials: basic, token server on another port, TLS; and where they must not show up (invariant 5)."""
import base64
import json
import os
import shutil

from support import Case, Registry, Slipway, TokenServer, htpasswd, main, make_certificate, require, run

PASSWORD = "pa55-word-of-the-test"


def setUpModule():
    require("docker-registry", "openssl", "htpasswd")


class AuthTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()

    def push(self, registry, check=True, **keys):
        name = f"{registry.host}/team/app:1"
        self.slipway("tag", "base:latest", name)
        return name, self.slipway("push", name, check=check, **keys)

    def assert_secret_is_nowhere(self):
        """Not in the store; in the home only in the file that login wrote, readable by its owner alone."""
        encoded = base64.b64encode(f"user:{PASSWORD}".encode())
        for folder, _, files in os.walk(self.slipway.root):
            for file in files:
                path = os.path.join(folder, file)
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                with open(path, "rb") as opened:
                    data = opened.read()
                self.assertNotIn(PASSWORD.encode(), data, path)
                self.assertNotIn(encoded, data, path)
        config = self.slipway.home / ".docker/config.json"
        if config.exists():
            self.assertEqual(0o600, config.stat().st_mode & 0o777)

    def login(self, registry, password=PASSWORD, check=True):
        return self.slipway("login", "-u", "user", "--password-stdin", registry.host, input=password.encode(),
                            check=check)

    def test_basic(self):
        registry = self.closing(Registry(self.folder / "r", auth=htpasswd(self.folder / "h", "user", PASSWORD)))
        name, done = self.push(registry, check=False)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.err, "(?i)log ?in|unauthorized")
        wrong = self.login(registry, "wrong", check=False)
        self.assertEqual(1, wrong.returncode)
        self.login(registry)
        done = self.slipway("push", name)
        self.assertNotIn(PASSWORD, done.out + done.err)
        self.assert_secret_is_nowhere()
        self.slipway("logout", registry.host)
        self.assertEqual(1, Slipway(self.folder / "other")("pull", name, check=False).returncode)

    def test_docker_config_and_docker_auth_config(self):
        registry = self.closing(Registry(self.folder / "r", auth=htpasswd(self.folder / "h", "user", PASSWORD)))
        config = {"auths": {registry.host: {"auth": base64.b64encode(f"user:{PASSWORD}".encode()).decode()}}}
        folder = self.folder / "config"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        name, _ = self.push(registry, env={"DOCKER_CONFIG": str(folder)})
        other = Slipway(self.folder / "other")
        other("pull", name, env={"DOCKER_AUTH_CONFIG": json.dumps(config)})
        self.assertEqual(self.slipway.digest(name), other.digest(name))

    def test_token_server_on_another_port(self):
        tokens = self.closing(TokenServer(self.folder / "t", "user", PASSWORD, anonymous=True))
        registry = self.closing(Registry(self.folder / "r", auth=tokens.configuration()))
        name, done = self.push(registry, check=False)
        self.assertEqual(1, done.returncode, "an anonymous push must fail")
        self.login(registry)
        self.slipway("push", name)
        anonymous = Slipway(self.folder / "other")
        anonymous("pull", name)
        self.assertEqual(self.slipway.digest(name), anonymous.digest(name))
        for request in tokens.seen:
            for scope in " ".join(request["scopes"]).split():
                self.assertIn(scope.split(":")[1], ("team/app",), "a token for more than the work needs")
        pulls = [r for r in tokens.seen if r["scopes"] == ["repository:team/app:pull"]]
        self.assertTrue(pulls and not pulls[-1]["credentials"])
        self.assert_secret_is_nowhere()

    def test_build_with_a_private_base_and_push(self):
        tokens = self.closing(TokenServer(self.folder / "t", "user", PASSWORD))
        registry = self.closing(Registry(self.folder / "r", auth=tokens.configuration()))
        self.login(registry)
        name, _ = self.push(registry)
        other = Slipway(self.folder / "other")
        other.env["HOME"] = self.slipway.env["HOME"]
        target = f"{registry.host}/team/app:child"
        other.build(self.context(f"FROM {name}\nRUN env >/env; echo ok >/ok\n"), "-t", target, "--push")
        tree = other("build", "-q", "-o", f"type=local,dest={self.folder}/out", self.folder / "context")
        self.assertNotIn(PASSWORD, (self.folder / "out/env").read_text())

    def test_tls_with_ssl_cert_file(self):
        certificate = make_certificate(self.folder / "tls")
        registry = self.closing(Registry(self.folder / "r", certificate=certificate))
        name, done = self.push(registry, check=False)
        self.assertEqual(1, done.returncode, "an unknown certificate must be refused")
        self.assertRegex(done.err, "(?i)certificate")
        self.push(registry, env={"SSL_CERT_FILE": str(certificate[0])})

    def test_tls_with_certs_d(self):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            self.skipTest("needs root, to lay a folder over /etc/docker in a mount namespace of its own")
        certificate = make_certificate(self.folder / "tls")
        registry = self.closing(Registry(self.folder / "r", certificate=certificate))
        name = f"{registry.host}/team/app:1"
        self.slipway("tag", "base:latest", name)
        script = ('set -e; [ -d /etc/docker ] || exit 77; mount -t tmpfs none /etc/docker; '
                  f'mkdir -p "/etc/docker/certs.d/{registry.host}"; '
                  f'cp "{certificate[0]}" "/etc/docker/certs.d/{registry.host}/ca.crt"; exec "$@"')
        done = run(["unshare", "--mount", "sh", "-c", script, "sh", *self.slipway.command("push", name)],
                   env=self.slipway.env, check=False)
        if done.returncode == 77:
            self.skipTest("/etc/docker does not exist here")
        self.assertEqual(0, done.returncode, done.err)


if __name__ == "__main__":
    main()
