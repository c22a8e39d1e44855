#!/usr/bin/env python3
"""RUN --mount from outside: bind, cache, secret."""
import os

from support import Case, main


class MountsTest(Case):
    def setUp(self):
        super().setUp()
        self.give_base()
        self.out = self.folder / "out"

    def build(self, dockerfile, *options, files=None, check=True):
        source = self.context(dockerfile, files)
        return self.slipway.build(source, *options, "-o", f"type=local,dest={self.out}", check=check)

    def read(self, name):
        return (self.out / name).read_text()

    def test_a_cache_grows_with_each_build_and_never_lands_in_a_layer(self):
        for number in range(1, 20):  # more often than a cache has layers
            self.build(f"FROM base\nRUN --mount=type=cache,target=/c ls /c | wc -l >/before; touch /c/{number}\n")
            self.assertEqual(number - 1, int(self.read("before")))
        self.assertEqual([], list((self.out / "c").glob("*")) if (self.out / "c").exists() else [])
        self.build("FROM base\nRUN --mount=type=cache,target=/c rm /c/7 && mkdir /c/d && touch /c/d/x\n")
        self.build("FROM base\nRUN --mount=type=cache,target=/c ls /c >/list; ls /c/d >>/list\n")
        self.assertEqual({str(n) for n in range(1, 20) if n != 7} | {"d", "x"}, set(self.read("list").split()))
        self.slipway.assert_clean(self)
        self.slipway("gc", "--all")
        self.build("FROM base\nRUN --mount=type=cache,target=/c ls /c | wc -l >/gone\n")
        self.assertEqual(0, int(self.read("gone")))

    def test_a_failed_step_leaves_nothing_in_a_cache(self):
        self.assertEqual(1, self.build("FROM base\nRUN --mount=type=cache,target=/c touch /c/bad; false\n",
                                       check=False).returncode)
        self.build("FROM base\nRUN --mount=type=cache,target=/c ls /c | wc -l >/n\n")
        self.assertEqual(0, int(self.read("n")))
        self.slipway.assert_clean(self)

    def test_caches_are_told_apart_by_id_and_namespace(self):
        self.build("FROM base\nRUN --mount=type=cache,id=../../etc,target=/c touch /c/one\n")
        other = "FROM base\nRUN --mount=type=cache,id={},target=/elsewhere ls /elsewhere | wc -l >/n\n"
        for name, options, count in (("../../etc", (), 1), ("etc", (), 0),
                                     ("../../etc", ("--build-arg", "BUILDKIT_CACHE_MOUNT_NS=x"), 0)):
            self.build(other.format(name), "--no-cache", *options)
            self.assertEqual(count, int(self.read("n")), name)

    def test_a_new_cache_has_the_owner_mode_and_content_that_were_asked_for(self):
        self.build("FROM base AS s\nRUN mkdir /seed && echo seed >/seed/f\nFROM base\n"
                   "RUN --mount=type=cache,target=/c,uid=3,gid=4,mode=0710,from=s,source=/seed"
                   " stat -c '%u:%g %a' /c >/r; cat /c/f >>/r\n")
        self.assertEqual("3:4 710\nseed\n", self.read("r"))

    def test_two_builds_at_once_both_leave_their_files(self):
        source = self.context("FROM base\nARG N\nRUN --mount=type=cache,target=/c touch /c/$N; sleep 0.1\n")
        running = [self.slipway.start("build", "--progress", "plain", "--build-arg", f"N={n}", source) for n in range(4)]
        for process in running:
            output, _ = process.communicate(timeout=120)
            self.assertEqual(0, process.returncode, output)
        self.build("FROM base\nRUN --mount=type=cache,target=/c ls /c | wc -l >/n\n")
        self.assertEqual(4, int(self.read("n")))

    def test_locked_caches_in_two_orders_and_twice_in_one_step(self):
        mount = "--mount=type=cache,sharing=locked,id={},target=/{}"
        orders = [" ".join(mount.format(name, name) for name in names) for names in ("ab", "ba")]
        running = []
        for number in range(4):
            source = self.context(f"FROM base\nRUN {orders[number % 2]} {mount.format('a', 'again')} touch /a/{number}\n",
                                  name=f"context{number}")
            running.append(self.slipway.start("build", "--progress", "plain", source))
        for process in running:
            output, _ = process.communicate(timeout=120)
            self.assertEqual(0, process.returncode, output)
        self.build("FROM base\nRUN --mount=type=cache,id=a,target=/a ls /a | wc -l >/n\n")
        self.assertEqual(4, int(self.read("n")))
        df = self.slipway("df", "--format", "{{.Type}} {{.TotalCount}}").out
        self.assertRegex(df, r"Build Cache [1-9]")

    def test_gc_tells_when_the_cap_can_not_be_kept(self):
        self.assertEqual(1, self.slipway("gc", "--max-size", "1kB", check=False).returncode)
        self.assertEqual(0, self.slipway("gc", "--max-size", "1GB").returncode)

    def test_a_secret_is_seen_by_the_step_and_by_nobody_else(self):
        secret = self.folder / "token"
        secret.write_text("hush-7461\n")
        source = self.context("FROM base\nRUN --mount=type=secret,id=tok --mount=type=secret,id=var,env=V"
                              " wc -c </run/secrets/tok >/n; stat -c %a /run/secrets/tok >>/n; echo ${#V} >>/n\n")
        options = ("--secret", f"id=tok,src={secret}", "--secret", "id=var,env=SECRET_OF_TEST")
        done = self.slipway("build", "--progress", "plain", *options, "-t", "made:1", "-o",
                            f"type=local,dest={self.out}", source, env={"SECRET_OF_TEST": "hush-9310"})
        self.assertEqual("10\n400\n9\n", self.read("n"))
        self.assertFalse((self.out / "run/secrets").exists())
        self.assertNotIn("hush", done.err + self.slipway("history", "--no-trunc", "made:1").out)
        for folder, _, names in os.walk(self.slipway.root):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(b"hush-", file.read(), f"{folder}/{name}")
        secret.write_text("other\n")
        again = self.slipway("build", "--progress", "plain", *options, source, env={"SECRET_OF_TEST": "z"})
        self.assertIn("CACHED", again.err)

    def test_a_required_secret_that_is_missing_is_named_with_the_option(self):
        done = self.build("FROM base\nRUN --mount=type=secret,id=tok,required true\n", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("secret tok: not found", done.err)
        self.assertIn("--secret id=tok", done.err)

    def test_a_bind_mount_shows_the_context_behind_its_ignore_file(self):
        self.build("FROM base\nRUN --mount=target=/ctx ls -A /ctx >/list; stat -c %u /ctx/a >>/list;"
                   " touch /ctx/new 2>/dev/null || echo read-only >>/list\n",
                   files={"a": "a\n", "hidden": "h\n", ".dockerignore": "hidden\nDockerfile\n.dockerignore\n"})
        self.assertEqual(["a", "0", "read-only"], self.read("list").split())


if __name__ == "__main__":
    main()
