// Several layers become the one that one step would have left: what write_changes() says of the join is what it says of
// an upper directory with the same result.
#include "layer/join.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <random>

#include "layer/archive_testing.hpp"
#include "layer/random_tree_testing.hpp"

namespace slipway::layer {
namespace {

using testing::append_to;
using testing::Archive;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::members_of;
using testing::Root;
using testing::unpack_into;

constexpr Timestamp kOld{1'600'000'000, 0};
const Entry kFile{.mode = 0644, .mtime = kOld};
const Entry kDir{.mode = 0755, .mtime = kOld};

Root snapshot(const Archive& archive) {
  Root root;
  const auto unpacked = unpack_into(root.fd.get(), archive.done());
  EXPECT_TRUE(unpacked) << unpacked.error().message();
  return root;
}

std::vector<std::string> joined(const std::vector<const Root*>& layers, const std::vector<int>& lowers,
                                const ChangesOptions& options = {}) {
  Root into;
  std::vector<int> trees;
  for (const auto* layer : layers) trees.push_back(layer->fd.get());
  const Status status = join_changes(trees, into.fd.get(), Cancel());
  EXPECT_TRUE(status) << status.error().message();
  std::string bytes;
  const auto written = write_changes(into.fd.get(), lowers, append_to(bytes), options, Cancel());
  EXPECT_TRUE(written) << written.error().message();
  return members_of(bytes);
}

TEST(Join, LaterLayersWin) {
  const Root base = snapshot(Archive().file("f", "0", kFile));
  const Root one = snapshot(Archive().file("f", "1", kFile).dir("d", kDir).file("d/a", "1", kFile));
  const Root two =
      snapshot(Archive().dir("d", {.mode = 0700, .mtime = kOld}).file("d/a", "22", kFile).file("g", "2", kFile));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), ElementsAre("d/", "d/a", "f", "g"));
}

TEST(Join, WhatWasMadeAndRemovedIsNothing) {
  const Root base = snapshot(Archive().file("f", "0", kFile));
  const Root one = snapshot(Archive().file("tmp", "1", kFile));
  const Root two = snapshot(Archive().file(".wh.tmp", "", kFile));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), IsEmpty());
}

TEST(Join, WhatWasOfTheBaseStaysRemoved) {
  const Root base = snapshot(Archive().dir("d", kDir).file("d/a", "0", kFile).file("d/b", "0", kFile));
  const Root one = snapshot(Archive().dir("d", kDir).file("d/.wh.a", "", kFile));
  const Root two = snapshot(Archive().file("x", "2", kFile));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), ElementsAre("d/", "d/.wh.a", "x"));
}

TEST(Join, ADirectoryThatCameBackHidesTheOldOne) {
  const Root base = snapshot(Archive().dir("d", kDir).file("d/a", "0", kFile));
  const Root one = snapshot(Archive().file(".wh.d", "", kFile));
  const Root two = snapshot(Archive().dir("d", kDir).file("d/b", "2", kFile));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), ElementsAre("d/", "d/.wh..wh..opq", "d/b"));
}

TEST(Join, AnOpaqueDirectoryClearsWhatLayersBelowPutThere) {
  const Root base = snapshot(Archive().dir("d", kDir).file("d/a", "0", kFile));
  const Root one = snapshot(Archive().dir("d", kDir).file("d/b", "1", kFile));
  const Root two = snapshot(Archive().dir("d", kDir).file("d/.wh..wh..opq", "", kFile).file("d/c", "2", kFile));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), ElementsAre("d/", "d/.wh..wh..opq", "d/c"));
}

TEST(Join, TypesChange) {
  const Root base = snapshot(Archive().dir("d", kDir).file("d/a", "0", kFile));
  const Root one = snapshot(Archive().symlink("d", "elsewhere"));
  const Root two = snapshot(Archive().dir("d", kDir).file("d/new", "2", kFile));
  EXPECT_THAT(joined({&one}, {base.fd.get()}), ElementsAre("d -> elsewhere"));
  EXPECT_THAT(joined({&one, &two}, {base.fd.get()}), ElementsAre("d/", "d/.wh..wh..opq", "d/new"));
}

TEST(Join, TheLayersAreNotTouched) {
  const Root one = snapshot(Archive().dir("d", kDir).file("d/a", "1", kFile));
  const Root two = snapshot(Archive().file(".wh.d", "", kFile));
  EXPECT_THAT(joined({&one, &two}, {}), IsEmpty());
  struct stat info{};
  ASSERT_EQ(0, ::fstatat(one.fd.get(), "d/a", &info, 0));
  EXPECT_EQ(info.st_nlink, 1u);
}

TEST(Join, PathsThatAreIgnored) {
  const Root base = snapshot(Archive().dir("var", kDir).file("var/f", "0", kFile));
  const Root one = snapshot(Archive()
                                .dir("var", kDir)
                                .dir("var/cache", kDir)
                                .file("var/cache/x", "1", kFile)
                                .file("var/g", "1", kFile)
                                .file("tmp", "1", kFile));
  EXPECT_THAT(joined({&one}, {base.fd.get()}, {.ignored = {"var/cache", "tmp"}}), ElementsAre("var/", "var/g"));
  EXPECT_THAT(joined({&one}, {base.fd.get()}, {.ignored = {"var/cach", "mp"}}),
              ElementsAre("tmp", "var/", "var/cache/", "var/cache/x", "var/g"));
}

}  // namespace
}  // namespace slipway::layer
