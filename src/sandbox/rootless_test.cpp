// Steps of an ordinary user. Each case runs in a child that sees, in a mount namespace of its own, an /etc/passwd,
// /etc/subuid and /etc/subgid with one more user, and becomes that user: the machine's own files are not touched.
#include <gmock/gmock.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "sandbox/sandbox.hpp"
#include "sandbox/step_fixture.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kUser = 54321;
constexpr std::uint32_t kFirst = 3'000'000'000U;

class RootlessTest : public StepTest {
 protected:
  void SetUp() override {
    if (access("/usr/bin/newuidmap", X_OK) < 0) GTEST_SKIP() << "needs newuidmap (package uidmap)";
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer has a thread of its own: its process can make no user namespace";
#endif
    StepTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    box_.reset();
    (void)base();
  }

  static void cover(const std::string& file, const std::string& more, const std::string& where) {
    const std::string text = sys::read_file(file, 1 << 20).value_or("");
    const sys::Fd copy = *sys::open(where, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!sys::write_all(copy.get(), text + more) || fchmod(copy.get(), 0644) < 0 ||
        mount(where.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) < 0)
      _exit(40);
  }

  /// What `body` gives, run as the ordinary user with `subids` for its entries.
  std::string as_user(const std::string& subids, const std::function<std::string()>& body) {
    const Spec wanted = spec({});  // a draft, made before the store changes hands
    draft_ = wanted.upper.substr(0, wanted.upper.rfind('/'));
    std::filesystem::create_directory(root_ + "/etc");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_))
      (void)lchown(entry.path().c_str(), kUser, kUser);
    EXPECT_EQ(chown(root_.c_str(), kUser, kUser), 0);
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      if (unshare(CLONE_NEWNS) < 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) _exit(41);
      cover("/etc/passwd", "slipway-test:x:54321:54321::/:/bin/sh\n", root_ + "/etc/passwd");
      cover("/etc/subuid", subids, root_ + "/etc/subuid");
      cover("/etc/subgid", subids, root_ + "/etc/subgid");
      if (setgroups(0, nullptr) < 0 || setresgid(kUser, kUser, kUser) < 0 || setresuid(kUser, kUser, kUser) < 0)
        _exit(42);
      (void)sys::write_all(ends[1], body());
      _exit(0);
    }
    close(ends[1]);
    const sys::Fd from(ends[0]);
    std::string out = sys::read_all(from.get(), 1 << 20).value_or("");
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return out;
  }

  static std::string entries() { return "slipway-test:" + std::to_string(kFirst) + ":65536\n"; }

  /// enter_rootless, make, run `script` in the draft.
  std::string run_rootless(const std::string& script, NetworkMode network = NetworkMode::kNone) {
    if (const auto entered = enter_rootless(); !entered)
      return entered.error().message() + "; " + entered.error().hint();
    auto box = Sandbox::make({root_, "overlay"});
    if (!box) return box.error().message() + "; " + box.error().hint();
    Spec wanted;
    wanted.lowers = {root_ + "/snapshots/base/fs"};
    wanted.upper = draft_ + "/fs";
    wanted.work = draft_ + "/work";
    wanted.environment = {"PATH=/bin"};
    wanted.network = network;
    wanted.argv = {"sh", "-c", script};
    std::string out;
    const auto status = box->run(wanted, [&](int, std::string_view bytes) { out.append(bytes); }, {});
    return box->description() + "\n" + box->network_note() + "\n" + out +
           (status ? status->text() : status.error().message());
  }

  std::string draft_;
};

TEST_F(RootlessTest, RunsWithTheUsersRanges) {
  const std::string out = as_user(entries(), [&] {
    return run_rootless(
        "id -u; cat /proc/self/uid_map; touch /root-made; touch /user-made; chown 1000:1000 /user-made; ls -ln "
        "/user-made;"
        "cat /proc/self/status; probe trace 1; echo x > /dev/stdout; mount -t tmpfs x /tmp");
  });
  EXPECT_THAT(out, HasSubstr("isolation: overlay (user namespace 0, 1..65536)")) << out;
  EXPECT_THAT(out, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(out, HasSubstr("1 13 13 13 13 13\nx\n"));
  struct stat info{};
  ASSERT_EQ(stat((draft_ + "/fs/root-made").c_str(), &info), 0) << out;
  EXPECT_EQ(info.st_uid, kUser);
  ASSERT_EQ(stat((draft_ + "/fs/user-made").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kFirst + 999);
  EXPECT_FALSE(std::filesystem::exists(draft_ + "/fs/etc"));
}

TEST_F(RootlessTest, RunsWithOneIdAndNamesTheKnobWithoutRanges) {
  const std::string script = "id -u; cat /proc/self/uid_map; touch /made; chown 1 /made || echo refused";
  const std::string out = as_user("", [&] {
    const std::string ran = run_rootless(script);
    return ran + "\n" + one_id_knob();
  });
  EXPECT_THAT(out, HasSubstr("isolation: overlay (user namespace 0)")) << out;
  EXPECT_THAT(out, HasSubstr("\n0\n"));
  EXPECT_THAT(out, HasSubstr("refused"));
  EXPECT_THAT(out, HasSubstr("usermod --add-subuids"));
  EXPECT_THAT(as_user(entries(), [&] { return "knob: " + (enter_rootless() ? one_id_knob() : "-") + "!"; }),
              HasSubstr("knob: !"));
}

TEST_F(RootlessTest, AsksForNetworkAndSaysWhyThereIsNone) {
  if (access("/dev/net/tun", F_OK) == 0) {
    struct stat info{};
    ASSERT_EQ(stat("/dev/net/tun", &info), 0);
    if ((info.st_mode & 0006) != 0) GTEST_SKIP() << "/dev/net/tun is open to everyone here";
  }
  const std::string out = as_user(entries(), [&] { return run_rootless("ls /sys/class/net", NetworkMode::kDefault); });
  EXPECT_THAT(out, HasSubstr("no network in steps: ")) << out;
  EXPECT_THAT(out, HasSubstr("\nlo\n"));
}

TEST_F(RootlessTest, ProbesAsAnOrdinaryUser) {
  const std::string out = as_user(entries(), [&] {
    std::string text;
    for (const auto& probe : probe_machine({root_, ""})) text += probe.name + (probe.ok ? ": ok\n" : ": no\n");
    return text;
  });
  EXPECT_THAT(out, HasSubstr("user namespaces: ok\n"));
  EXPECT_THAT(out, HasSubstr("overlay in a user namespace: ok\n"));
}

}  // namespace
}  // namespace slipway::sandbox
