#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <random>

#include "layer/archive_testing.hpp"
#include "layer/random_tree_testing.hpp"
#include "layer/whiteout.hpp"
#include "sys/child.hpp"

namespace slipway::layer {
namespace {

using testing::append_to;
using testing::Archive;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::members_of;
using testing::Root;
using testing::tree_of;
using testing::unpack_into;

constexpr Timestamp kOld{1'600'000'000, 0};
const Entry kFile{.mode = 0644, .mtime = kOld};
const Entry kDir{.mode = 0755, .mtime = kOld};

/// A lower snapshot or an upper directory, made from an archive.
Root snapshot(const Archive& archive) {
  Root root;
  const auto unpacked = unpack_into(root.fd.get(), archive.done());
  EXPECT_TRUE(unpacked) << unpacked.error().message();
  return root;
}

std::string changes(const Root& upper, const std::vector<int>& lowers, ChangesOptions options = {}) {
  std::string bytes;
  const auto written = write_changes(upper.fd.get(), lowers, append_to(bytes), options, Cancel());
  EXPECT_TRUE(written) << written.error().message();
  if (!written) return std::string(1024, '\0');
  EXPECT_EQ(written->diff_id.digest, oci::Digest::of(bytes));
  EXPECT_EQ(written->entries, static_cast<std::int64_t>(members_of(bytes).size()));
  return bytes;
}

std::vector<std::string> changed(const Root& upper, const std::vector<int>& lowers, ChangesOptions options = {}) {
  return members_of(changes(upper, lowers, options));
}

TEST(Changes, NothingIsAnEmptyTar) {
  const Root lower = snapshot(Archive().file("f", "x", kFile));
  const Root upper;
  EXPECT_EQ(changes(upper, {lower.fd.get()}), std::string(1024, '\0'));
  EXPECT_EQ(changes(upper, {}), std::string(1024, '\0'));
}

TEST(Changes, WhatWasCopiedUpUnchangedIsLeftOut) {
  const Archive same =
      Archive()
          .dir("d", kDir)
          .file("d/f", "content", kFile)
          .add({.type = EntryType::kSymlink, .path = "d/s", .mode = 0777, .mtime = kOld, .link_target = "t"})
          .file("d/x", "y", {.mode = 0644, .mtime = kOld, .xattrs = {{"user.a", "1"}}});
  const Root lower = snapshot(same), upper = snapshot(same);
  EXPECT_THAT(changed(upper, {lower.fd.get()}), IsEmpty());
}

TEST(Changes, EveryDifferenceCounts) {
  const auto with = [](const std::string& content, const Entry& entry) {
    return Archive().dir("d", kDir).file("d/f", content, entry);
  };
  const Root lower = snapshot(with("content", kFile));
  for (const auto& [content, entry] : std::vector<std::pair<std::string, Entry>>{
           {"content", {.mode = 0600, .mtime = kOld}},
           {"content", {.mode = 0644, .uid = 1, .mtime = kOld}},
           {"content", {.mode = 0644, .gid = 1, .mtime = kOld}},
           {"content", {.mode = 0644, .mtime = {kOld.seconds + 1, 0}}},
           {"content", {.mode = 0644, .mtime = kOld, .xattrs = {{"user.a", "1"}}}},
           {"longer content", kFile},
           {"CONTENT", kFile}}) {  // same size and same second: only the bytes tell
    const Root upper = snapshot(with(content, entry));
    EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre("d/", "d/f"));
  }
  const Root link = snapshot(Archive().dir("d", kDir).symlink("d/f", "t"));
  EXPECT_THAT(changed(link, {lower.fd.get()}), ElementsAre("d/", "d/f -> t"));
  const Root directory = snapshot(Archive().dir("d", kDir).dir("d/f", kDir));
  EXPECT_THAT(changed(directory, {lower.fd.get()}), ElementsAre("d/", "d/f/"));
}

TEST(Changes, SecondsAreComparedBecauseLayersHoldSeconds) {
  const Root lower = snapshot(Archive().file("f", "x", {.mode = 0644, .mtime = {kOld.seconds, 5}}));
  const Root upper = snapshot(Archive().file("f", "x", {.mode = 0644, .mtime = {kOld.seconds, 999}}));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), IsEmpty());
}

TEST(Changes, BytesDecideAlsoAtTheEndOfLargeFiles) {
  std::string big(1'000'000, 'x');
  const Root lower = snapshot(Archive().file("f", big, kFile)), same = snapshot(Archive().file("f", big, kFile));
  EXPECT_THAT(changed(same, {lower.fd.get()}), IsEmpty());
  big.back() = 'y';
  const Root upper = snapshot(Archive().file("f", big, kFile));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre("f"));
}

TEST(Changes, SortedBytewiseWithParents) {
  Archive archive;
  archive.dir("a", kDir)
      .file("a/b", "1", kFile)
      .file("a.b", "2", kFile)
      .file("a-b", "3", kFile)
      .dir("a/c", kDir)
      .file("a/c/d", "4", kFile)
      .file("a/c.d", "5", kFile);
  EXPECT_THAT(changed(snapshot(archive), {}), ElementsAre("a/", "a-b", "a.b", "a/b", "a/c/", "a/c.d", "a/c/d"));
}

TEST(Changes, UnchangedParentsComeAlongOnlyWithAChange) {
  const Archive base = Archive().dir("a", kDir).dir("a/b", kDir).dir("a/b/c", kDir).dir("z", kDir);
  const Root lower = snapshot(base);
  Archive more = base;
  const Root upper = snapshot(more.file("a/b/new", "x", kFile));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre("a/", "a/b/", "a/b/new"));
}

TEST(Changes, HardLinksBelongToTheFirstName) {
  const Root upper = snapshot(Archive().file("m", "content", kFile).link("a", "m").link("z", "m"));
  const std::string bytes = changes(upper, {});
  EXPECT_THAT(members_of(bytes), ElementsAre("a", "m -> a", "z -> a"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), bytes));
  EXPECT_EQ(tree_of(copy.path), tree_of(upper.path));
  // A name that did not change is not in the layer and can not hold the data.
  const Root lower = snapshot(Archive().file("a", "content", kFile));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre("m", "z -> m"));
}

TEST(Changes, WhiteoutsBothWays) {
  const Root lower = snapshot(Archive().dir("d", kDir).file("d/gone", "x", kFile).file("top", "x", kFile));
  const Root upper =
      snapshot(Archive().dir("d", kDir).file("d/.wh.gone", "").file("d/.wh.never", "").file(".wh.top", ""));
  const std::string bytes = changes(upper, {lower.fd.get()});
  EXPECT_THAT(members_of(bytes), ElementsAre(".wh.top", "d/", "d/.wh.gone"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), bytes));
  EXPECT_TRUE(is_whiteout(**sys::lstat_at(copy.fd.get(), "d/gone")));
}

TEST(Changes, AWhiteoutOfSomethingAlreadyGoneIsLeftOut) {
  const Root bottom = snapshot(Archive().dir("d", kDir).file("d/f", "x", kFile));
  const Root middle = snapshot(Archive().dir("d", kDir).file("d/.wh.f", ""));
  const Root upper = snapshot(Archive().dir("d", kDir).file("d/.wh.f", ""));
  EXPECT_THAT(changed(upper, {middle.fd.get(), bottom.fd.get()}), IsEmpty());
  EXPECT_THAT(changed(upper, {bottom.fd.get()}), ElementsAre("d/", "d/.wh.f"));
}

TEST(Changes, LowersHideEachOther) {
  const Root bottom = snapshot(Archive()
                                   .dir("d", kDir)
                                   .file("d/f", "old", kFile)
                                   .dir("o", kDir)
                                   .file("o/f", "x", kFile)
                                   .dir("t", kDir)
                                   .file("t/f", "x", kFile));
  const Root middle = snapshot(Archive()
                                   .dir("d", kDir)
                                   .file("d/f", "new", kFile)
                                   .dir("o", kDir)
                                   .file("o/.wh..wh..opq", "")
                                   .file("t", "now a file", kFile));
  const std::vector<int> lowers = {middle.fd.get(), bottom.fd.get()};
  // Back to what the bottom has: that is a change, since the middle hid it.
  const Root upper = snapshot(Archive()
                                  .dir("d", kDir)
                                  .file("d/f", "old", kFile)
                                  .dir("o", kDir)
                                  .file("o/f", "x", kFile)
                                  .dir("t", kDir)
                                  .file("t/f", "x", kFile));
  EXPECT_THAT(changed(upper, lowers), ElementsAre("d/", "d/f", "o/", "o/f", "t/", "t/f"));
  const Root same = snapshot(Archive().dir("d", kDir).file("d/f", "new", kFile).file("t", "now a file", kFile));
  EXPECT_THAT(changed(same, lowers), IsEmpty());
  // What lies only at the bottom is found through the middle's directory.
  const Root third = snapshot(Archive().dir("d", kDir).file("d/only", "x", kFile));
  EXPECT_THAT(changed(third, {middle.fd.get(), third.fd.get()}), IsEmpty());
}

TEST(Changes, OpaqueDirectories) {
  const Root lower = snapshot(Archive()
                                  .dir("d", kDir)
                                  .file("d/old", "x", kFile)
                                  .file("d/same", "x", kFile)
                                  .dir("empty", kDir)
                                  .file("was-file", "x", kFile));
  const Root upper = snapshot(Archive()
                                  .dir("d", kDir)
                                  .file("d/.wh..wh..opq", "")
                                  .file("d/same", "x", kFile)
                                  .dir("empty", kDir)
                                  .file("empty/.wh..wh..opq", "")
                                  .dir("new", kDir)
                                  .file("new/.wh..wh..opq", "")
                                  .dir("was-file", kDir)
                                  .file("was-file/.wh..wh..opq", ""));
  const std::string bytes = changes(upper, {lower.fd.get()});
  // Behind the marker everything of the directory is there again; where nothing was hidden there is no marker.
  EXPECT_THAT(members_of(bytes), ElementsAre("d/", "d/.wh..wh..opq", "d/same", "new/", "was-file/"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), bytes));
  EXPECT_EQ(testing::xattr_of(copy.path + "/d", "user.overlay.opaque"), "y");
}

TEST(Changes, TheRootsOwnMetadata) {
  const Root lower = snapshot(Archive().dir("./", kDir));
  const Root touched = snapshot(Archive().dir("./", {.mode = 0755, .mtime = {5, 0}}));
  EXPECT_THAT(changed(touched, {lower.fd.get()}), IsEmpty());
  const Root upper = snapshot(Archive().dir("./", {.mode = 0700, .mtime = kOld}).file("a", "x", kFile));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre("./", "a"));
}

TEST(Changes, OverlaysAttributesStayHome) {
  const Root upper = snapshot(Archive().dir("d", kDir).file("d/f", "x", kFile));
  for (const auto* name : {"user.overlay.origin", "user.overlay.impure", "user.overlay.nlink", "user.slipway.anything",
                           "trusted.overlay.origin", "trusted.other"}) {
    ASSERT_EQ(::setxattr((upper.path + "/d/f").c_str(), name, "x", 1, 0), 0) << name;
    ASSERT_EQ(::setxattr((upper.path + "/d").c_str(), name, "y", 1, 0), 0) << name;
  }
  ASSERT_EQ(::setxattr((upper.path + "/d/f").c_str(), "user.mine", "x", 1, 0), 0);
  const std::string bytes = changes(upper, {});
  EXPECT_THAT(bytes, HasSubstr("SCHILY.xattr.user.mine=x"));
  for (const auto* name : {"overlay", "slipway", "trusted"}) EXPECT_THAT(bytes, ::testing::Not(HasSubstr(name)));
}

TEST(Changes, RedirectsAndMetacopiesAreErrors) {
  for (const auto* name : {"user.overlay.redirect", "user.overlay.metacopy"}) {
    const Root upper = snapshot(Archive().dir("d", kDir).file("d/f", "x", kFile));
    ASSERT_EQ(::setxattr((upper.path + "/d/f").c_str(), name, "x", 1, 0), 0);
    const auto written = write_changes(upper.fd.get(), {}, [](std::string_view) -> Status { return {}; }, {}, Cancel());
    EXPECT_EQ(written.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(written.error().message(), HasSubstr("d/f"));
  }
}

TEST(Changes, CapabilitiesAreVersion2) {
  const std::string v2("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20),
      v3("\1\0\0\3\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x27\0\0", 24);
  const Root upper = snapshot(Archive().file("f", "x", kFile));
  if (::setxattr((upper.path + "/f").c_str(), "security.capability", v3.data(), v3.size(), 0) < 0)
    GTEST_SKIP() << "CAP_SETFCAP is missing";
  EXPECT_THAT(changes(upper, {}), HasSubstr("SCHILY.xattr.security.capability=" + v2 + "\n"));
  const Root lower =
      snapshot(Archive().file("f", "x", {.mode = 0644, .mtime = kOld, .xattrs = {{"security.capability", v2}}}));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), IsEmpty());
}

TEST(Changes, StandInsAreDevices) {
  Root upper;
  ASSERT_TRUE(testing::write_file(upper.path + "/null", ""));
  const std::string null = upper.path + "/null", device = "c:1:3:0666:7:8";
  ASSERT_EQ(::setxattr(null.c_str(), "user.slipway.device", device.data(), device.size(), 0), 0);
  const auto is_device = [&](mode_t mode, uid_t owner) {
    EXPECT_EQ(::chown(null.c_str(), owner, 0), 0);
    EXPECT_EQ(::chmod(null.c_str(), mode), 0);
    const std::string written = changes(upper, {});
    TarReader claims(testing::chunks_of(written), {});
    Entry claimed;
    EXPECT_TRUE(*claims.next(claimed));
    return claimed.type != EntryType::kFile;
  };
  if (::geteuid() == 0) EXPECT_FALSE(is_device(0, 1000));  // a user of a step who may not make one
  EXPECT_FALSE(is_device(0666, ::geteuid()));
  if (::geteuid() != 0) GTEST_SKIP() << "only root's file is one";
  EXPECT_TRUE(is_device(0, 0));
  const std::string bytes = changes(upper, {});
  TarReader reader(testing::chunks_of(bytes), {});
  Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.type, EntryType::kCharDevice);
  EXPECT_EQ(entry.mode, 0666U);
  EXPECT_EQ(entry.dev_minor, 3U);
  EXPECT_EQ(entry.uid, 7U);
  EXPECT_EQ(entry.gid, 8U);
  EXPECT_THAT(entry.xattrs, IsEmpty());
  ASSERT_EQ(::setxattr(null.c_str(), "user.slipway.device", "c:1:x:0666", 10, 0), 0);
  EXPECT_FALSE(write_changes(upper.fd.get(), {}, append_to(*std::make_unique<std::string>()), {}, Cancel()));
}

TEST(Changes, SocketsAreLeftOut) {
  const Root upper = snapshot(Archive().file("f", "x", kFile));
  const sys::Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  (upper.path + "/s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(changed(upper, {}), ElementsAre("f"));
  const Root lower = snapshot(Archive().file("s", "was a file", kFile).file("f", "x", kFile));
  EXPECT_THAT(changed(upper, {lower.fd.get()}), ElementsAre(".wh.s"));
}

TEST(Changes, NamesOfWhiteoutsAreRefused) {
  const Root upper = snapshot(Archive().file("f", "x", kFile));
  ASSERT_TRUE(testing::write_file(upper.path + "/.wh.f", ""));
  const auto written = write_changes(upper.fd.get(), {}, [](std::string_view) -> Status { return {}; }, {}, Cancel());
  EXPECT_EQ(written.error().code(), Code::kInvalidArgument);
}

TEST(Changes, LaterTimesAreClamped) {
  const Root upper =
      snapshot(Archive().file("late", "x", {.mode = 0644, .mtime = {2'000'000'000, 0}}).file("old", "x", kFile));
  const std::string bytes = changes(upper, {}, {.clamp_mtime = 1'700'000'000});
  TarReader reader(testing::chunks_of(bytes), {});
  Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.mtime.seconds, 1'700'000'000);
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.mtime.seconds, kOld.seconds);
  // Whether a lower was unpacked (clamped) or built here (not) makes no difference.
  for (const std::int64_t time : {1'700'000'000, 1'900'000'000}) {
    const Root lower =
        snapshot(Archive().file("late", "x", {.mode = 0644, .mtime = {time, 0}}).file("old", "x", kFile));
    EXPECT_THAT(changed(upper, {lower.fd.get()}, {.clamp_mtime = 1'700'000'000}), IsEmpty());
  }
}

/// Makes `count` directories, each in the one before, without ever needing their path.
void make_deep(int root, const std::string& name, int count) {
  sys::Fd at = *sys::duplicate(root);
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at = *sys::open_at(at.get(), name, O_RDONLY | O_DIRECTORY);
  }
}

TEST(Changes, DeepTreesCostNoDescriptors) {
  const Root upper;
  make_deep(upper.fd.get(), "d", 700);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit few{.rlim_cur = 100, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const std::string bytes = changes(upper, {});
  std::string merged;
  EXPECT_TRUE(write_merged({upper.fd.get()}, append_to(merged), Cancel()));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(members_of(bytes).size(), 700U);
  EXPECT_EQ(merged, bytes);
}

TEST(Changes, PathsLongerThanAPathMayBeAreAnError) {
  const Root upper;
  make_deep(upper.fd.get(), std::string(200, 'd'), 25);
  EXPECT_FALSE(write_changes(upper.fd.get(), {}, [](std::string_view) -> Status { return {}; }, {}, Cancel()));
  EXPECT_FALSE(write_merged({upper.fd.get()}, [](std::string_view) -> Status { return {}; }, Cancel()));
}

TEST(Changes, TargetsErrorAndCancelAreTold) {
  const Root upper = snapshot(Archive().file("big", std::string(5'000'000, 'x'), kFile).file("small", "x", kFile));
  for (const std::int64_t good : {0, 1'000'000, 4'999'999}) {
    std::int64_t taken = 0;
    const Target full = [&](std::string_view bytes) -> Status {
      taken += static_cast<std::int64_t>(bytes.size());
      if (taken > good) return fail(Code::kResourceExhausted, "full");
      return {};
    };
    EXPECT_EQ(write_changes(upper.fd.get(), {}, full, {}, Cancel()).error().code(), Code::kResourceExhausted);
  }
  CancelSource source;
  source.fire("stop");
  EXPECT_EQ(write_changes(
                upper.fd.get(), {}, [](std::string_view) -> Status { return {}; }, {}, source.cancel())
                .error()
                .code(),
            Code::kCancelled);
  EXPECT_EQ(write_merged(
                {upper.fd.get()}, [](std::string_view) -> Status { return {}; }, source.cancel())
                .error()
                .code(),
            Code::kCancelled);
}

// --- the merged tree ---

TEST(Merged, ShowsWhatOverlayWouldShow) {
  const Root bottom = snapshot(Archive()
                                   .dir("d", kDir)
                                   .file("d/gone", "x", kFile)
                                   .file("d/old", "x", kFile)
                                   .dir("o", kDir)
                                   .file("o/hidden", "x", kFile)
                                   .file("f", "bottom", kFile)
                                   .dir("t", kDir)
                                   .file("t/x", "1", kFile));
  const Root middle = snapshot(Archive()
                                   .dir("d", {.mode = 0700, .mtime = kOld})
                                   .file("d/.wh.gone", "")
                                   .file("d/mid", "x", kFile)
                                   .dir("o", kDir)
                                   .file("o/.wh..wh..opq", "")
                                   .file("o/new", "x", kFile)
                                   .file("t", "a file", kFile));
  const Root top = snapshot(
      Archive().file("f", "top", kFile).file("f.x", "", kFile).link("g", "f").dir("t", kDir).file("t/y", "2", kFile));
  std::string bytes;
  const auto written = write_merged({top.fd.get(), middle.fd.get(), bottom.fd.get()}, append_to(bytes), Cancel());
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(written->diff_id.digest, oci::Digest::of(bytes));
  EXPECT_THAT(members_of(bytes), ElementsAre("d/", "d/mid", "d/old", "f", "f.x", "g -> f", "o/", "o/new", "t/", "t/y"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), bytes));
  EXPECT_EQ(testing::content_of(copy.path + "/f"), "top");
  EXPECT_EQ((*sys::lstat_at(copy.fd.get(), "d"))->st_mode & 07777U, 0700U);
}

Result<std::string> trees(const std::vector<NamedTree>& list) {
  std::string bytes;
  TRY(write_trees(list, append_to(bytes), Cancel()));
  return bytes;
}

TEST(Merged, TreesOfSeveralPlatformsHaveDirectoriesOfTheirOwn) {
  const Root one = snapshot(Archive().dir("d", kDir).file("d/f", "1", kFile).link("d/g", "d/f"));
  const Root two = snapshot(Archive().file("f", "2", kFile).link("z", "f"));
  const auto bytes = trees({{"linux/one", "one", {one.fd.get()}}, {"linux/two", "two", {two.fd.get()}}});
  ASSERT_TRUE(bytes);
  EXPECT_THAT(members_of(*bytes),
              ElementsAre("one/", "one/d/", "one/d/f", "one/d/g -> one/d/f", "two/", "two/f", "two/z -> two/f"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), *bytes));
  EXPECT_EQ(testing::content_of(copy.path + "/two/z"), "2");
  EXPECT_THAT(members_of(trees({{"linux/empty", "empty", {}}}).value()), ElementsAre("empty/"));
}

TEST(Merged, TreesThatBecomeOneShareDirectoriesOnly) {
  const Root one = snapshot(Archive().dir("d", {.mode = 0700, .mtime = kOld}).file("d/a", "1", kFile));
  const Root two = snapshot(Archive().dir("d", kDir).file("d/b", "2", kFile).file("e", "2", kFile));
  const auto bytes = trees({{"linux/one", "", {one.fd.get()}}, {"linux/two", "", {two.fd.get()}}});
  ASSERT_TRUE(bytes);
  EXPECT_THAT(members_of(*bytes), ElementsAre("d/", "d/a", "d/b", "e"));
  const Root copy;
  ASSERT_TRUE(unpack_into(copy.fd.get(), *bytes));
  EXPECT_EQ((*sys::lstat_at(copy.fd.get(), "d"))->st_mode & 07777U, 0700U);  // the first one's
  const auto clash = trees({{"linux/one", "", {one.fd.get()}}, {"linux/two", "", {one.fd.get()}}});
  ASSERT_FALSE(clash);
  EXPECT_EQ(clash.error().what(), "cannot overwrite d/a from linux/one with linux/two when split option is disabled");
  const Root file = snapshot(Archive().file("d", "a file", kFile));
  EXPECT_FALSE(trees({{"linux/one", "", {one.fd.get()}}, {"linux/two", "", {file.fd.get()}}}));
  EXPECT_FALSE(trees({{"linux/two", "", {file.fd.get()}}, {"linux/one", "", {one.fd.get()}}}));
}

// --- a real overlay ---

/// Mounts lowers (topmost first) and an upper in a mount namespace of its own, runs `script` in the mounted tree, then
/// gives a tar of what the kernel shows. `userxattr` means redirect_dir=nofollow,metacopy=off; the kernel refuses
/// "redirect_dir=off" beside it. Nothing when this place allows no overlay.
std::optional<std::string> in_overlay(const std::vector<const Root*>& lowers, const Root& upper,
                                      const std::string& script) {
  std::string lowerdir;
  for (const auto* lower : lowers) lowerdir += (lowerdir.empty() ? "" : ":") + lower->path;
  const std::string work = upper.dir.path() + "/work", mnt = upper.dir.path() + "/mnt";
  EXPECT_TRUE(sys::make_directories(work, 0755));
  EXPECT_TRUE(sys::make_directories(mnt, 0755));
  const std::string all = fmt::format(
      "mount -t overlay overlay -o "
      "userxattr,index=off,lowerdir={},upperdir={},workdir={} {} || exit 77\ncd {} || "
      "exit 77\n{}\n"
      "cd / && tar --format=gnu --numeric-owner --sort=name -cf - -C {} .",
      lowerdir, upper.path, work, mnt, mnt, script, mnt);
  const auto output = sys::run({.argv = {"unshare", "-m", "--propagation", "private", "sh", "-c", all},
                                .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}},
                               "", Cancel(), 60'000, 1 << 26);
  if (!output || output->status.exit_code == 77 || output->out.empty()) return std::nullopt;
  EXPECT_EQ(output->err, "");
  return output->out;
}

/// The law: lower + write_changes(upper) shows what the kernel shows of lower + upper.
void expect_same_as_kernel(const std::vector<const Root*>& lowers, const Root& upper, const std::string& kernel_tar) {
  std::vector<int> below;
  for (const auto* lower : lowers) below.push_back(lower->fd.get());
  const std::string layer = changes(upper, below);
  const Root next;
  const auto unpacked = unpack_into(next.fd.get(), layer);
  ASSERT_TRUE(unpacked) << unpacked.error().message();
  std::vector<int> upper_view = {upper.fd.get()}, layer_view = {next.fd.get()};
  upper_view.insert(upper_view.end(), below.begin(), below.end());
  layer_view.insert(layer_view.end(), below.begin(), below.end());
  const auto tree_of_view = [](const std::vector<int>& view) {
    std::string merged;
    EXPECT_TRUE(write_merged(view, append_to(merged), Cancel()));
    const Root root;
    EXPECT_TRUE(unpack_into(root.fd.get(), merged, {.whiteouts = Whiteouts::kLiteral}));
    return tree_of(root.path);
  };
  const Root kernel;
  const auto seen = unpack_into(kernel.fd.get(), kernel_tar, {.whiteouts = Whiteouts::kLiteral});
  ASSERT_TRUE(seen) << seen.error().message();
  const auto expected = tree_of(kernel.path);
  EXPECT_EQ(tree_of_view(upper_view), expected);
  auto by_layer = tree_of_view(layer_view);
  EXPECT_EQ(by_layer, expected);
  // And the layer is minimal in itself: unpacked, it has nothing left to say about the same lowers.
  EXPECT_EQ(changes(next, below), layer);
}

TEST(ChangesOfOverlay, WhatStepsDo) {
  const Root bottom = snapshot(Archive()
                                   .dir("etc", kDir)
                                   .file("etc/a", "1", kFile)
                                   .file("etc/b", "2", kFile)
                                   .dir("var", kDir)
                                   .dir("var/cache", kDir)
                                   .file("var/cache/x", "x", kFile)
                                   .dir("keep", kDir)
                                   .file("keep/f", "x", kFile));
  const Root top =
      snapshot(Archive().dir("opt", kDir).file("opt/y", "y", kFile).dir("etc", kDir).file("etc/.wh.b", ""));
  const Root upper;
  const auto kernel = in_overlay({&top, &bottom}, upper, R"(
    chmod 600 etc/a && chmod 644 etc/a
    rm -r var/cache && mkdir var/cache && echo new > var/cache/n
    rm opt/y
    mkdir -p usr/lib && echo lib > usr/lib/l && ln -s usr/lib lib && ln usr/lib/l usr/lib/m
    echo b > etc/b
    touch -d @1600000000 keep/f
    mkfifo pipe
    mv keep kept
  )");
  if (!kernel) GTEST_SKIP() << "no overlay mount with userxattr here";
  expect_same_as_kernel({&top, &bottom}, upper, *kernel);
  EXPECT_THAT(changed(upper, {top.fd.get(), bottom.fd.get()}),
              ElementsAre(".wh.keep", "etc/", "etc/b", "kept/", "kept/f", "lib -> usr/lib", "opt/", "opt/.wh.y", "pipe",
                          "usr/", "usr/lib/", "usr/lib/l", "usr/lib/m -> usr/lib/l", "var/", "var/cache/",
                          "var/cache/.wh..wh..opq", "var/cache/n"));
}

class RandomChanges : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomChanges, ::testing::Range(1U, 7U));

TEST_P(RandomChanges, AgreeWithTheKernel) {
  std::mt19937 random(GetParam());
  const auto pick = [&](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
  const auto path = [&] {
    std::string text(1, static_cast<char>('a' + pick(4)));
    for (int depth = pick(3); depth > 0; --depth) text += fmt::format("/{}", static_cast<char>('a' + pick(4)));
    return text;
  };
  const auto script = [&](int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      lines += "{ ";
      switch (pick(8)) {
        case 0:
          lines += fmt::format("rm -rf {}", path());
          break;
        case 1:
        case 2:
          lines += fmt::format("mkdir -p {}", path());
          break;
        case 3:
        case 4:
          lines += fmt::format("echo {} > {}", i, path());
          break;
        case 5:
          lines += fmt::format("ln -s {} {}", path(), path());
          break;
        case 6:
          lines += fmt::format("chmod 7{}{} {}", pick(8), pick(8), path());
          break;
        default:
          lines += fmt::format("ln {} {}", path(), path());
      }
      lines += "; } 2>/dev/null\n";  // many can not work, and that is as good
    }
    // Times that do not depend on when the test runs; links could be followed, so only what is no link.
    return lines +
           "find . -depth ! -type l -exec touch -d @1600000000 {} +\nfind . -depth -type l -exec touch -h -d "
           "@1600000000 {} +\n";
  };
  // Three layers, each made on top of the earlier ones by the kernel.
  std::vector<std::unique_ptr<Root>> layers;
  layers.push_back(std::make_unique<Root>());
  std::vector<const Root*> lowers = {layers.back().get()};
  for (int round = 0; round < 3; ++round) {
    auto upper = std::make_unique<Root>();
    const auto kernel = in_overlay(lowers, *upper, script(40));
    if (!kernel) GTEST_SKIP() << "no overlay mount with userxattr here";
    expect_same_as_kernel(lowers, *upper, *kernel);
    lowers.insert(lowers.begin(), upper.get());
    layers.push_back(std::move(upper));
  }
}

}  // namespace
}  // namespace slipway::layer
