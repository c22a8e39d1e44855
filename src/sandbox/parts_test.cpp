// The parts that need no privilege: id ranges, control groups, orders.
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/id_range.hpp"
#include "sandbox/init_process.hpp"
#include "sandbox/pids_cgroup.hpp"
#include "sandbox/step_orders.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(IdRange, ReadsEntriesByNameAndNumberAndSkipsBrokenOnes) {
  const char* text = "ann:100000:65536\nbob:200000:10\n1000:300000:65536\nann:x:1\nann:4294967295:5\nann:1:0\nann\n";
  EXPECT_THAT(parse_sub_ranges(text, "ann", 1000), ElementsAre(SubRange{100000, 65536}, SubRange{300000, 65536}));
  EXPECT_THAT(parse_sub_ranges(text, "eve", 7), IsEmpty());
}

TEST(IdRange, ProposesIdsThatNobodyHas) {
  EXPECT_EQ(free_sub_range("", ""), 100000U);
  EXPECT_EQ(free_sub_range("ann:100000:65536\n", "bob:165536:65536\n"), 231072U);
  EXPECT_EQ(free_sub_range("ann:4294901760:65535\nbob:x:y\n", ""), 100000U);
}

TEST(IdRange, RootfulBaseComesFromTheSlipwayEntry) {
  EXPECT_EQ(rootful_base("ann:1:65536\n"), 0x70000000U);
  EXPECT_EQ(rootful_base("slipway:500000:65536\n"), 500000U);
  EXPECT_EQ(rootful_base("slipway:500000:100\n"), 0x70000000U);  // too few
  EXPECT_EQ(rootful_base("slipway:0:65536\n"), 0x70000000U);     // never the machine's own root
}

TEST(IdRange, KnowsTheInitialMap) {
  EXPECT_TRUE(is_initial(*parse_id_map("         0          0 4294967295\n")));
  const auto nested = *parse_id_map("0 1000 1\n1 100000 65536\n");
  EXPECT_FALSE(is_initial(nested));
  EXPECT_EQ(identity(nested)[1].outside, 1U);
  EXPECT_FALSE(parse_id_map("0 0\n"));
}

TEST(PidsGroup, FindsItsOwnGroupInBothVersions) {
  EXPECT_EQ(own_pids_directory("8:pids:/docker/abc\n0::/x\n",
                               "36 35 0:30 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"),
            "/sys/fs/cgroup/pids");
  EXPECT_EQ(own_pids_directory("8:cpu,pids:/\n", "36 35 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,cpu,pids\n"),
            "/sys/fs/cgroup/pids");
  EXPECT_EQ(
      own_pids_directory("0::/user.slice/session-1.scope\n", "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
      "/sys/fs/cgroup/user.slice/session-1.scope");
  EXPECT_EQ(own_pids_directory("1:cpu:/\n", "36 35 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), "");
}

TEST(PidsGroup, SweepsWhatNobodyHoldsAndNothingElse) {
  const auto dir = *sys::TempDir::make("/tmp", "slipway-pids-test-");
  for (const auto* name : {"/slipway-dead", "/slipway-held", "/other"})
    ASSERT_EQ(mkdir((dir.path() + name).c_str(), 0755), 0);
  const sys::Fd held = *sys::open(dir.path() + "/slipway-held", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(held.get(), LOCK_EX), 0);
  (void)probe_pids_parent(dir.path());
  EXPECT_NE(access((dir.path() + "/slipway-dead").c_str(), F_OK), 0);
  EXPECT_EQ(access((dir.path() + "/slipway-held").c_str(), F_OK), 0);
  EXPECT_EQ(access((dir.path() + "/other").c_str(), F_OK), 0);
}

TEST(PidsGroup, IsNotAvailableWhereTheControllerIsNotHandedDown) {
  const auto dir = *sys::TempDir::make("/tmp", "slipway-pids-test-");
  const PidsParent parent = probe_pids_parent(dir.path());  // a plain directory: no pids.max appears
  EXPECT_EQ(parent.directory, "");
  EXPECT_THAT(parent.reason, HasSubstr("pids.max"));
  const auto opened = *sys::open(dir.path(), O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(*sys::list_directory(opened.get(), dir.path()), IsEmpty());
}

Spec valid() {
  Spec spec;
  spec.lowers = {"/store/snapshots/b/fs", "/elsewhere/fs"};
  spec.upper = "/store/work/l/d/fs";
  spec.work = "/store/work/l/d/work";
  spec.argv = {"true"};
  return spec;
}
Surroundings around() {
  Surroundings out;
  out.store_root = "/store";
  out.stub_layer = "/store/work/s/stub";
  out.id_mapped = true;
  out.uid_map = out.gid_map = {{0, 1000000, 65536}};
  return out;
}

TEST(Orders, SnapshotsShareOneClone) {
  const auto plan = plan_step(valid(), around());
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_THAT(plan->orders.bases, SizeIs(4));  // draft, snapshots, elsewhere, stub
  EXPECT_EQ(plan->orders.bases[1].path, "/store/snapshots");
  EXPECT_EQ(plan->orders.lowers[0].path, "b/fs");
  EXPECT_EQ(plan->orders.lowers.back().path, "");
  EXPECT_EQ(plan->orders.output_uid, 1000000U);
}

TEST(Orders, RefuseWhatCanNotBe) {
  const auto error = [](auto change) {
    Spec spec = valid();
    change(spec);
    const auto plan = plan_step(spec, around());
    return plan ? std::string() : plan.error().what();
  };
  EXPECT_THAT(error([](Spec& s) { s.uid = 70000; }), HasSubstr("uid 70000 does not exist in steps"));
  EXPECT_THAT(error([](Spec& s) { s.argv.clear(); }), HasSubstr("empty"));
  EXPECT_THAT(error([](Spec& s) { s.argv = {std::string("a\0b", 3)}; }), HasSubstr("NUL"));
  EXPECT_THAT(error([](Spec& s) { s.working_directory = "x"; }), HasSubstr("not absolute"));
  EXPECT_THAT(error([](Spec& s) { s.hostname = "a b"; }), HasSubstr("no host name"));
  EXPECT_THAT(error([](Spec& s) { s.lowers = {"/store/snapshots/../x"}; }), HasSubstr("no directory of the store"));
  EXPECT_THAT(error([](Spec& s) { s.ulimits = {{"nofile", 2, 1}}; }), HasSubstr("above the hard limit"));
  EXPECT_THAT(error([](Spec& s) { s.tmpfs = {{"/a/../..", 0}}; }), HasSubstr("is the root"));
  EXPECT_THAT(error([](Spec& s) { s.tmpfs.assign(200, {"/a", 0}); }), HasSubstr("more than 100 mounts"));
}

TEST(Orders, MountsAreSortedByDepth) {
  Spec spec = valid();
  spec.tmpfs = {{"/a/b/c", 0}, {"/a", 0}};
  const auto plan = plan_step(spec, around());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->orders.mounts.front().target, "/a");
  EXPECT_EQ(plan->orders.mounts.back().target, "/a/b/c");
}

}  // namespace
}  // namespace slipway::sandbox
