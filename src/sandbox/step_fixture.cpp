#include "sandbox/step_fixture.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace slipway::sandbox {

void StepTest::SetUp() {
  if (access("/bin/busybox", X_OK) < 0) GTEST_SKIP() << "needs /bin/busybox (package busybox-static)";
  if (geteuid() != 0) GTEST_SKIP() << "needs root (rootless_test covers ordinary users)";
  dir_ = *sys::TempDir::make("/tmp", "slipway-sandbox-test-");
  root_ = dir_->path();
  ASSERT_TRUE(sys::make_directories(root_ + "/snapshots", 0700));
  ASSERT_TRUE(sys::make_directories(root_ + "/work/lease", 0700));
  auto box = Sandbox::make({root_, "overlay"});
  ASSERT_TRUE(box) << box.error().message() << "; " << box.error().hint();
  box_ = *std::move(box);
}

std::string StepTest::snapshot(const std::string& name) {
  const std::string path = root_ + "/snapshots/" + name + "/fs";
  EXPECT_TRUE(sys::make_directories(path, 0755));
  return path;
}

std::string StepTest::base() {
  const std::string path = root_ + "/snapshots/base/fs";
  if (std::filesystem::exists(path)) return path;
  EXPECT_TRUE(sys::make_directories(path + "/bin", 0755));
  EXPECT_TRUE(sys::make_directories(path + "/tmp", 0755));
  EXPECT_EQ(chmod((path + "/tmp").c_str(), 01777), 0);
  std::filesystem::copy_file("/bin/busybox", path + "/bin/busybox");
  std::filesystem::copy_file(SLIPWAY_TEST_PROBE, path + "/bin/probe");
  for (const char* applet :
       {"sh",    "cat",   "ls",       "id",       "true", "sleep", "ps",   "stat",  "mkdir",  "rm",    "ln",   "touch",
        "chmod", "chown", "hostname", "readlink", "yes",  "head",  "dd",   "mount", "umount", "test",  "echo", "ulimit",
        "env",   "wc",    "setsid",   "kill",     "mv",   "mknod", "grep", "su",    "ip",     "nproc", "find", "nc"})
    std::filesystem::create_symlink("busybox", path + "/bin/" + applet);
  return path;
}

Spec StepTest::spec(std::vector<std::string> lowers) {
  const std::string draft = root_ + "/work/lease/" + std::to_string(drafts_++);
  EXPECT_TRUE(sys::make_directories(draft + "/fs", 0755));
  EXPECT_TRUE(sys::make_directories(draft + "/work", 0700));
  Spec out;
  out.lowers = std::move(lowers);
  out.upper = draft + "/fs";
  out.work = draft + "/work";
  out.environment = {"PATH=/bin"};
  out.network = NetworkMode::kNone;
  return out;
}

Ran StepTest::run(Spec spec, const Cancel& cancel) {
  Ran ran;
  ran.upper = spec.upper;
  ran.status = box_->run(
      spec, [&](int stream, std::string_view bytes) { (stream == 1 ? ran.out : ran.err).append(bytes); }, cancel);
  return ran;
}

Ran StepTest::sh(const std::string& script) {
  Spec wanted = spec({base()});
  wanted.argv = {"sh", "-c", script};
  Ran ran = run(wanted);
  EXPECT_TRUE(ran.status) << ran.status.error().message();
  return ran;
}

std::vector<std::string> StepTest::tree(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::string path = entry.path().string().substr(directory.size() + 1);
    out.push_back(entry.is_directory() && !entry.is_symlink() ? path + "/" : path);
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace slipway::sandbox
