// What only shows with processes of their own: failing system calls, kills at every call and at random moments, many
// processes on one root, full file systems. SLIPWAY_STORE_ROUNDS=N makes the loops N times as long (and complete).
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>

#include "store/sqlite.hpp"
#include "store/test_image.hpp"
#include "sys/child.hpp"

namespace slipway::store {
namespace {

using testing::kScope;

std::uint64_t factor() {
  const char* text = std::getenv("SLIPWAY_STORE_ROUNDS");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

struct Fault {
  std::string mode, error;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.mode << " " << fault.error; }

struct ProcessTest : ::testing::Test {
  sys::TempDir dir = *sys::TempDir::make(testing::fast_directory(), "slipway-store-test-");
  std::string root = dir.path() + "/root";
  std::string count_file = dir.path() + "/count";

  Store open() {
    auto store = Store::open(root, {});
    EXPECT_TRUE(store) << store.error().message();
    return *std::move(store);
  }

  [[nodiscard]] sys::ChildOptions worker(std::vector<std::string> words,
                                         std::vector<std::string> environment = {}) const {
    sys::ChildOptions options;
    options.argv = {SLIPWAY_STORE_WORKER, root};
    options.argv.insert(options.argv.end(), words.begin(), words.end());
    options.environment = std::move(environment);
    // The library comes before the sanitizer's; a killed process leaks.
    options.environment.emplace_back("ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0");
    return options;
  }
  [[nodiscard]] sys::Output run(std::vector<std::string> words, std::vector<std::string> environment = {}) const {
    return *sys::run(worker(std::move(words), std::move(environment)), "", Cancel(), 120'000);
  }
  /// Runs with the nth call failing; false when the program does not make that many.
  bool run_with_fault(const std::vector<std::string>& words, const Fault& fault, std::uint64_t nth,
                      sys::Output& output) {
    (void)::unlink(count_file.c_str());
    output = run(words, {"LD_PRELOAD=" SLIPWAY_FAULTS, fmt::format("SLIPWAY_FAULT_NTH={}", nth),
                         "SLIPWAY_FAULT_MODE=" + fault.mode, "SLIPWAY_FAULT_ERRNO=" + fault.error,
                         "SLIPWAY_FAULT_COUNT_FILE=" + count_file});
    if (output.status.signal == SIGKILL) return true;
    EXPECT_EQ(output.status.signal, 0) << output.status.text() << output.err;
    return std::strtoull(sys::read_file(count_file, 100)->c_str(), nullptr, 10) >= nth;
  }

  static std::string problems(Store& store) {
    std::string text;
    const auto found = store.fsck(false, Cancel());
    if (!found) return "error: " + found.error().message();
    for (const auto& finding : *found) text += finding.object + " " + finding.problem + "\n";
    return text;
  }
  void expect_nothing_left() {
    Store store = open();
    ASSERT_TRUE(store.gc({}, Cancel()));
    for (const auto* place : {"/work", "/work/.trash"}) {
      const sys::Fd fd = *sys::open(root + place, O_RDONLY | O_DIRECTORY);
      EXPECT_EQ(sys::list_directory(fd.get(), place)->size(), place == std::string("/work") ? 1U : 0U) << place;
    }
    Connection db = *Connection::open(root + "/meta.db", OpenMode::kExisting);
    EXPECT_EQ(**db.number("SELECT (SELECT count(*) FROM leases) + (SELECT count(*) FROM lease_needs)"), 0);
  }
};

// --- every Nth call fails

const std::vector<Fault> kFaults = {{"once", "EIO"},  {"after", "ENOSPC"}, {"once", "ENOSPC"},
                                    {"after", "EIO"}, {"short", "EIO"},    {"kill", "EIO"}};
struct FaultTest : ProcessTest, ::testing::WithParamInterface<Fault> {
  /// Every call with EIO once, with ENOSPC from then on and with a kill; a third of them with the rest, unless asked
  /// for all.
  [[nodiscard]] static std::uint64_t stride() {
    const std::string which = GetParam().mode + GetParam().error;
    const bool all = factor() > 1 || which == "onceEIO" || which == "afterENOSPC" || which == "killEIO";
    return all ? 1 : 3;
  }
};

/// R3: earlier images stay readable and equal, fsck is clean without repair, and the same command works afterwards.
TEST_P(FaultTest, ABuildThatFailsAnywhereHurtsNothing) {
  {
    Store store = open();
    ASSERT_TRUE(testing::build_seed(store, 0));
  }
  bool reached = true;
  for (std::uint64_t nth = 1; reached && !HasFailure(); nth += stride()) {
    SCOPED_TRACE(fmt::format("call {}", nth));
    const std::uint64_t seed = 100 + nth;
    sys::Output output;
    reached = run_with_fault({"build", std::to_string(seed)}, GetParam(), nth, output);
    Store store = open();
    if (output.status.ok()) {  // R2, R5: "ok" means stored
      EXPECT_TRUE(testing::verify_seed(store, seed));
    }
    EXPECT_EQ(problems(store), "");
    EXPECT_TRUE(testing::verify_seed(store, 0));
    const Status again = testing::build_seed(store, seed);
    EXPECT_TRUE(again) << again.error().message();
    EXPECT_TRUE(testing::verify_seed(store, seed));
    EXPECT_TRUE(store.remove_name(kScope, testing::seed_name(seed), Durable::kNo));
    EXPECT_TRUE(store.remove_record(kScope, testing::seed_key(seed)));
    if (nth % 8 != 0) continue;
    EXPECT_TRUE(store.gc({}, Cancel()));
  }
  expect_nothing_left();
}

TEST_P(FaultTest, AGcThatFailsAnywhereTakesNothingThatIsNeeded) {
  {
    Store store = open();
    ASSERT_TRUE(testing::build_seed(store, 0));
  }
  bool reached = true;
  for (std::uint64_t nth = 1; reached && !HasFailure(); nth += stride()) {
    SCOPED_TRACE(fmt::format("call {}", nth));
    {
      Store store = open();
      ASSERT_TRUE(testing::build_seed(store, 1));
      EXPECT_TRUE(store.remove_name(kScope, testing::seed_name(1), Durable::kNo));
    }
    sys::Output output;
    reached = run_with_fault({"gc", "0"}, GetParam(), nth, output);
    Store store = open();
    EXPECT_EQ(problems(store), "");
    EXPECT_TRUE(testing::verify_seed(store, 0));
    EXPECT_TRUE(store.gc({}, Cancel()));
    EXPECT_EQ(problems(store), "");
  }
  expect_nothing_left();
}

TEST_P(FaultTest, ARootIsMadeOrMadeLater) {
  bool reached = true;
  for (std::uint64_t nth = 1; reached && !HasFailure(); nth += 3 * stride()) {
    SCOPED_TRACE(fmt::format("call {}", nth));
    ASSERT_TRUE(sys::remove_tree(AT_FDCWD, root));
    sys::Output output;
    reached = run_with_fault({"build", "1"}, GetParam(), nth, output);
    Store store = open();
    EXPECT_EQ(problems(store), "");
    const Status again = testing::build_seed(store, 1);
    EXPECT_TRUE(again) << again.error().message();
    EXPECT_TRUE(testing::verify_seed(store, 1));
  }
}

/// A fault during the recovery from one.
TEST_P(FaultTest, ARebuildThatFailsAnywhereIsDoneByTheNext) {
  oci::Digest manifest = oci::Digest::of("");
  {
    Store store = open();
    ASSERT_TRUE(testing::build_seed(store, 1));
    manifest = (*store.find_name(kScope, testing::seed_name(1)))->target;
  }
  bool reached = true;
  for (std::uint64_t nth = 1; reached && !HasFailure(); nth += 3 * stride()) {
    SCOPED_TRACE(fmt::format("call {}", nth));
    ASSERT_TRUE(sys::replace_file(root + "/meta.db", std::string(8192, 'g'), 0600));
    sys::Output output;
    reached = run_with_fault({"gc"}, GetParam(), nth, output);
    Store store = open();
    EXPECT_EQ(problems(store), "");
    EXPECT_EQ(store.usage()->blob_count, 4);
    EXPECT_EQ(store.list_names(kScope)->front().target, manifest);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest, ::testing::ValuesIn(kFaults),
                         [](const auto& tested) { return tested.param.mode + tested.param.error; });

// --- many processes

/// A worker whose steps are told by dots.
struct Looper {
  sys::Child child;
  sys::Fd dots;
  sys::Fd errors;
};

struct CrowdTest : ProcessTest {
  Looper start(std::uint64_t seed) {
    sys::Pipe out = *sys::make_pipe();
    sys::Pipe err = *sys::make_pipe();
    sys::ChildOptions options = worker({"loop", std::to_string(seed), "1000000"});
    options.descriptors = {{out.write.get(), 1}, {err.write.get(), 2}};
    return Looper{*sys::Child::start(options), std::move(out.read), std::move(err.read)};
  }
  /// Waits for `steps` more steps; a worker that stops by itself has failed.
  static bool wait_for_steps(Looper& looper, int steps) {
    char dot = 0;
    for (int i = 0; i < steps; ++i) {
      if (*sys::read_some(looper.dots.get(), &dot, 1) == 1) continue;
      ADD_FAILURE() << "a worker stopped: " << *sys::read_all(looper.errors.get(), 1 << 20);
      return false;
    }
    return true;
  }
};

/// R9, R10, R4: eight processes that build, read, use, forget and collect on one root, killed at random.
TEST_F(CrowdTest, KilledAtRandomNothingIsWrongOrLeft) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  std::vector<Looper> loopers;
  for (int i = 0; i < 8; ++i) loopers.push_back(start(random()));
  for (std::uint64_t round = 0; round < 12 * factor() && !HasFailure(); ++round) {
    // Reading one worker's steps lets an unknown time pass for all of them.
    if (!wait_for_steps(loopers[random() % loopers.size()], 1 + static_cast<int>(random() % 5))) break;
    for (int kills = 0; kills < 3; ++kills) {
      Looper& victim = loopers[random() % loopers.size()];
      ASSERT_TRUE(victim.child.signal(SIGKILL));
      const auto status = *victim.child.wait(Cancel());
      // Dead of something else before: it says why.
      EXPECT_EQ(status.signal, SIGKILL) << status.text() << *sys::read_all(victim.errors.get(), 1 << 20);
      victim = start(random());
    }
    if (round % 4 != 3) continue;
    Store store = open();
    EXPECT_EQ(problems(store), "");
  }
  for (auto& looper : loopers) {
    (void)looper.child.signal(SIGKILL);
    (void)looper.child.wait(Cancel());
  }
  Store store = open();
  EXPECT_EQ(problems(store), "");
  for (std::uint64_t i = 0; i < 12; ++i) {
    const Status verified = testing::verify_seed(store, i);
    EXPECT_TRUE(verified || verified.error().code() == Code::kNotFound) << verified.error().message();
  }
  expect_nothing_left();
}

TEST_F(CrowdTest, ALeaseEndsWithItsProcess) {
  Looper looper = start(1);
  ASSERT_TRUE(wait_for_steps(looper, 3));
  ASSERT_TRUE(looper.child.signal(SIGKILL));
  ASSERT_TRUE(looper.child.wait(Cancel()));
  expect_nothing_left();
}

// --- full file systems

struct FullTest : ProcessTest {
  bool mounted = false;
  std::string mount_point = dir.path() + "/mount";
  std::string filler = mount_point + "/filler";
  int fillers = 0;
  bool fill_inodes = false;

  /// Mounts in a namespace of this process: whatever happens, nothing stays mounted.
  std::string own_namespace() {
    if (::unshare(CLONE_NEWNS) < 0) return "no mount namespace: " + std::string(std::strerror(errno));
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return "mounts can not be made private";
    EXPECT_EQ(::mkdir(mount_point.c_str(), 0755), 0);
    root = mount_point + "/root";
    return "";
  }
  std::string mount_tmpfs(const char* options) {
    if (auto why = own_namespace(); !why.empty()) return why;
    if (::mount("none", mount_point.c_str(), "tmpfs", 0, options) < 0) return "no tmpfs can be mounted";
    mounted = true;
    return "";
  }
  std::string mount_ext4(std::int64_t bytes, const std::string& mkfs_option) {
    if (auto why = own_namespace(); !why.empty()) return why;
    const std::string image = dir.path() + "/ext4";
    const sys::Fd file = *sys::open(image, O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(::ftruncate(file.get(), bytes), 0);
    const auto run_tool = [&](std::vector<std::string> argv) {
      sys::ChildOptions options;
      options.argv = std::move(argv);
      options.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      const auto done = sys::run(options, "", Cancel(), 60'000);
      return done && done->status.ok();
    };
    if (!run_tool({"mkfs.ext4", "-q", "-F", mkfs_option, "-m0", image})) return "no mkfs.ext4";
    if (!run_tool({"mount", "-o", "loop", image, mount_point})) return "no loop device can be mounted";
    mounted = true;
    return "";
  }
  void TearDown() override {
    if (mounted) (void)::umount2(mount_point.c_str(), MNT_DETACH);
  }
  /// Not a byte more; with `inodes`, not a file more.
  void fill() {
    const std::string block(64 * 1024, 'f');
    for (bool wrote = true; wrote;) {
      const auto file = sys::open(fmt::format("{}-{}", filler, fillers++), O_WRONLY | O_CREAT | O_APPEND, 0600);
      if (!file) return;
      wrote = fill_inodes;
      for (std::size_t size = fill_inodes ? 0 : block.size(); size > 0;) {
        if (sys::write_all(file->get(), std::string_view(block).substr(0, size))) {
          wrote = true;
        } else {
          size /= 2;
        }
      }
    }
  }
  void unfill() {
    for (int i = 0; i <= fillers; ++i) (void)::unlink(fmt::format("{}-{}", filler, i).c_str());
  }

  void expect_recovery_from_zero_bytes() {
    {
      Store store = open();
      for (std::uint64_t seed = 1; seed <= 3; ++seed) ASSERT_TRUE(testing::build_seed(store, seed));
    }
    for (int round = 0; round < 3 && !HasFailure(); ++round) {
      // Others take what the reserve gave, again and again.
      fill();
      Store store = open();
      fill();
      EXPECT_EQ(store.list_names(kScope)->size(), 3U);
      EXPECT_EQ(problems(store), "");
    }
    ASSERT_FALSE(HasFailure());
    {
      Store store = open();
      const auto full = testing::build_seed(store, 9);
      ASSERT_FALSE(full);
      EXPECT_EQ(full.error().code(), Code::kResourceExhausted) << full.error().message();
      EXPECT_NE(full.error().hint().find("`slipway gc`"), std::string::npos) << full.error().message();
    }
    fill();
    Store store = open();
    const auto collected = store.gc({.max_size = 0, .all = true}, Cancel());
    ASSERT_TRUE(collected) << collected.error().message();
    EXPECT_GT(collected->freed_bytes, 0);  // records, and snapshots that only names need
    EXPECT_EQ(problems(store), "");
    for (std::uint64_t seed = 1; seed <= 3; ++seed) EXPECT_TRUE(testing::verify_seed(store, seed));
    unfill();
    EXPECT_TRUE(testing::build_seed(store, 9));
    EXPECT_EQ(problems(store), "");
  }
};

TEST_F(FullTest, TmpfsWithZeroBytesFree) {
  if (const auto why = mount_tmpfs("size=16m"); !why.empty()) GTEST_SKIP() << why;
  expect_recovery_from_zero_bytes();
}

TEST_F(FullTest, Ext4WithZeroBytesFree) {
  if (const auto why = mount_ext4(std::int64_t{96} << 20, "-b4096"); !why.empty()) GTEST_SKIP() << why;
  expect_recovery_from_zero_bytes();
}

TEST_F(FullTest, Ext4WithoutInodes) {
  if (const auto why = mount_ext4(std::int64_t{96} << 20, "-N160"); !why.empty()) GTEST_SKIP() << why;
  fill_inodes = true;
  expect_recovery_from_zero_bytes();
}

TEST_F(FullTest, ASmallFileSystemThatFillsUpKeepsWhatItHas) {
  if (const auto why = mount_ext4(std::int64_t{96} << 20, "-b4096"); !why.empty()) GTEST_SKIP() << why;
  Store store = open();
  ASSERT_TRUE(testing::build_seed(store, 1));
  std::optional<Error> full;
  {
    const Lease lease = *store.lease("fill");
    for (std::uint64_t i = 0; !full && i < 1000; ++i) {
      const auto put = store.put_blob(lease, testing::text_of(i, 1 << 20));
      if (!put) full = put.error();
    }
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(full->code(), Code::kResourceExhausted) << full->message();
  // Even where there is no room for a lease: what has a name is read without one.
  const auto name = *store.find_name(kScope, testing::seed_name(1));
  EXPECT_TRUE(store.read_blob(name->target, 1 << 20));
  EXPECT_EQ(problems(store), "");
  EXPECT_GT(store.gc({}, Cancel())->freed_bytes, std::int64_t{40} << 20);
  EXPECT_TRUE(testing::verify_seed(store, 1));
  EXPECT_TRUE(testing::build_seed(store, 2));
  EXPECT_EQ(problems(store), "");
}

TEST_F(FullTest, AReadOnlyFileSystemIsReadOrRefusedWithItsName) {
  if (const auto why = mount_tmpfs("size=16m"); !why.empty()) GTEST_SKIP() << why;
  {
    Store store = open();
    ASSERT_TRUE(testing::build_seed(store, 1));
  }
  ASSERT_EQ(::mount("none", mount_point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const auto store = Store::open(root, {});
  if (store) {
    EXPECT_EQ(store->list_names(kScope)->size(), 1U);
  } else {
    EXPECT_EQ(store.error().code(), Code::kPermissionDenied) << store.error().message();
  }
}

}  // namespace
}  // namespace slipway::store
