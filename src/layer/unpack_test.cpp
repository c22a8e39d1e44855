// The archive side of docs/security.md, invariants 1-3: each row of its table that a tar can express is a test here.
#include <gmock/gmock.h>
#include <sys/sysmacros.h>

#include "layer/archive_testing.hpp"
#include "layer/codec.hpp"
#include "layer/whiteout.hpp"

namespace slipway::layer {
namespace {

using testing::Archive;
using testing::content_of;
using ::testing::HasSubstr;
using testing::RawHeader;
using testing::Root;
using testing::source_of;
using testing::tree_of;
using testing::unpack_into;
using testing::xattr_of;

std::optional<struct stat> lstat_of(const std::string& path) { return *sys::lstat_at(AT_FDCWD, path); }

mode_t type_of(const std::string& path) {
  const auto info = lstat_of(path);
  return info ? info->st_mode & S_IFMT : 0;
}

/// Unpacks; whatever comes of it, nothing beside the root was touched.
Result<Unpacked> unpack_safely(const Root& root, const std::string& archive, UnpackOptions options = {}) {
  const auto before = lstat_of(root.outside());
  auto result = unpack_into(root.fd.get(), archive, std::move(options));
  const auto after = lstat_of(root.outside());
  EXPECT_EQ(content_of(root.outside()), "outside");
  EXPECT_EQ(before->st_mode, after->st_mode);
  EXPECT_EQ(before->st_uid, after->st_uid);
  EXPECT_EQ(before->st_nlink, after->st_nlink);
  EXPECT_EQ(before->st_mtim.tv_sec, after->st_mtim.tv_sec);
  const auto dir = *sys::open(root.dir.path(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(sys::list_directory(dir.get(), "")->size(), 2U);  // the root and "outside"
  return result;
}

void expect_good(const Result<Unpacked>& result) { EXPECT_TRUE(result) << result.error().message(); }

constexpr Timestamp kOld{1'600'000'000, 123'456'789};

// --- what it makes ---

TEST(Unpack, MakesEveryKindWithItsMetadata) {
  const Root root;
  Archive archive;
  archive.dir("d", {.mode = 01750, .uid = 5, .gid = 6, .mtime = kOld, .xattrs = {{"user.k", "v"}}});
  archive.file("d/f", "content",
               {.mode = 04711, .uid = 7, .gid = 8, .mtime = kOld, .xattrs = {{"user.a", std::string("\0b", 2)}}});
  archive.add({.type = EntryType::kSymlink,
               .path = "d/s",
               .mode = 0777,
               .uid = 9,
               .gid = 10,
               .mtime = kOld,
               .link_target = "../../../outside"});
  archive.link("h", "d/f")
      .device(EntryType::kFifo, "p")
      .device(EntryType::kCharDevice, "c", 1, 3)
      .device(EntryType::kBlockDevice, "b", 7, 300);
  const auto result = unpack_safely(root, archive.done());
  expect_good(result);
  EXPECT_EQ(result->entries, 7);
  EXPECT_EQ(result->tree_bytes, 7);
  EXPECT_EQ(result->diff_id.digest, oci::Digest::of(archive.done()));
  EXPECT_EQ(result->plain_bytes, static_cast<std::int64_t>(archive.done().size()));
  EXPECT_FALSE(result->empty);

  const auto dir = *lstat_of(root.path + "/d");
  EXPECT_EQ(dir.st_mode, S_IFDIR | 01750U);
  EXPECT_EQ(dir.st_uid, 5U);
  EXPECT_EQ(dir.st_gid, 6U);
  EXPECT_EQ(dir.st_mtim.tv_sec, kOld.seconds);  // although members were made in it later
  EXPECT_EQ(dir.st_mtim.tv_nsec, kOld.nanoseconds);
  EXPECT_EQ(xattr_of(root.path + "/d", "user.k"), "v");
  const auto file = *lstat_of(root.path + "/d/f");
  EXPECT_EQ(file.st_mode, S_IFREG | 04711U);
  EXPECT_EQ(file.st_uid, 7U);
  EXPECT_EQ(file.st_nlink, 2U);
  EXPECT_EQ(file.st_mtim.tv_nsec, kOld.nanoseconds);
  EXPECT_EQ(content_of(root.path + "/h"), "content");
  EXPECT_EQ(xattr_of(root.path + "/h", "user.a"), std::string("\0b", 2));
  const auto link = *lstat_of(root.path + "/d/s");
  EXPECT_EQ(link.st_gid, 10U);
  EXPECT_EQ(link.st_mtim.tv_sec, kOld.seconds);
  EXPECT_EQ(*sys::readlink_at(AT_FDCWD, root.path + "/d/s"), "../../../outside");
  EXPECT_EQ(lstat_of(root.path + "/p")->st_mode, S_IFIFO | 0620U);
  EXPECT_EQ(lstat_of(root.path + "/b")->st_rdev, makedev(7, 300));
}

TEST(Unpack, TheRootKeepsItsPlaceAndTakesMetadata) {
  const Root root;
  expect_good(unpack_safely(root, Archive().dir("./", {.mode = 0711, .uid = 3, .mtime = kOld}).file("f", "x").done()));
  const auto info = *lstat_of(root.path);
  EXPECT_EQ(info.st_mode & 07777U, 0711U);
  EXPECT_EQ(info.st_uid, 3U);
  EXPECT_EQ(info.st_mtim.tv_sec, kOld.seconds);
}

TEST(Unpack, EmptyArchivesAreToldAsSuch) {
  for (const auto& bytes : {std::string(1024, '\0'), std::string()}) {
    const Root root;
    const auto result = unpack_safely(root, bytes);
    expect_good(result);
    EXPECT_TRUE(result->empty);
    EXPECT_EQ(result->diff_id.digest, oci::Digest::of(bytes));
  }
}

TEST(Unpack, DiffIdCoversWhatFollowsTheArchive) {
  const Root root;
  const std::string bytes = Archive().file("f", "x").done() + std::string(100'000, 'z');
  const auto result = unpack_safely(root, bytes);
  expect_good(result);
  EXPECT_EQ(result->diff_id.digest, oci::Digest::of(bytes));
}

TEST(Unpack, EveryCompressionGivesTheSameTree) {
  const std::string bytes =
      Archive().dir("d").file("d/f", std::string(2'000'000, 'x'), {.mode = 0600, .mtime = kOld}).done();
  for (const auto compression : {oci::Compression::kNone, oci::Compression::kGzip, oci::Compression::kZstd}) {
    std::string packed;
    const auto encode = encoder(compression, testing::append_to(packed));
    ASSERT_TRUE(encode->write(bytes));
    ASSERT_TRUE(encode->finish());
    const Root root;
    const auto result = unpack_safely(root, packed);
    expect_good(result);
    EXPECT_EQ(result->diff_id.digest, oci::Digest::of(bytes));
    EXPECT_EQ(lstat_of(root.path + "/d/f")->st_size, 2'000'000);
  }
}

TEST(Unpack, SparseFilesKeepTheirHoles) {
  const Root root;
  const std::string records = "40 GNU.sparse.map=4194304,3,104857600,0\n", size = "29 GNU.sparse.size=104857600\n";
  const std::string all = records + size;
  const std::string bytes = Archive()
                                .raw(RawHeader('x', "x", static_cast<std::int64_t>(all.size())).block(), all)
                                .raw(RawHeader('0', "f", 3).block(), "abc")
                                .done();
  const auto result = unpack_safely(root, bytes);
  expect_good(result);
  EXPECT_EQ(result->tree_bytes, 104857600);
  const auto info = *lstat_of(root.path + "/f");
  EXPECT_EQ(info.st_size, 104857600);
  EXPECT_LT(info.st_blocks, 1000);
}

TEST(Unpack, MissingParentsAreMade0755WithoutMovingTimes) {
  const Root root;
  expect_good(unpack_safely(root, Archive().dir("a", {.mode = 0700, .mtime = kOld}).file("a/b/c/f", "x").done()));
  EXPECT_EQ(lstat_of(root.path + "/a/b/c")->st_mode, S_IFDIR | 0755U);
  EXPECT_EQ(lstat_of(root.path + "/a/b")->st_mtim.tv_sec, 0);
  EXPECT_EQ(lstat_of(root.path + "/a")->st_mtim.tv_sec, kOld.seconds);
}

TEST(Unpack, DirectoryTimesHoldInAnyOrder) {
  const Root root;
  Archive archive;
  archive.file("a/f", "x").dir("a", {.mode = 0755, .mtime = kOld});  // the directory after its member
  for (int i = 0; i < 100; ++i) archive.dir(fmt::format("d{}", i), {.mode = 0755, .mtime = {1000 + i, 5}});
  for (int i = 0; i < 100; ++i) archive.file(fmt::format("d{}/f", i * 37 % 100), "x");
  archive.symlink("alias", "a").file("alias/g", "x").file("a/h", "x").file("d0/f", "again");
  expect_good(unpack_safely(root, archive.done()));
  EXPECT_EQ(lstat_of(root.path + "/a")->st_mtim.tv_sec, kOld.seconds);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(lstat_of(root.path + fmt::format("/d{}", i))->st_mtim.tv_sec, 1000 + i);
}

TEST(Unpack, OwnerOptionAndIgnoredOwnership) {
  const Root root;
  const std::string bytes = Archive().file("p/f", "x", {.mode = 06755, .uid = 1, .gid = 2}).done();
  expect_good(unpack_safely(root, bytes, {.owner = std::pair(77U, 88U)}));
  for (const auto* path : {"/p", "/p/f"}) EXPECT_EQ(lstat_of(root.path + path)->st_uid, 77U) << path;
  EXPECT_EQ(lstat_of(root.path + "/p/f")->st_mode & 07777U, 06755U);
  const Root plain;
  expect_good(unpack_safely(plain, bytes, {.ownership = Ownership::kIgnored}));
  EXPECT_EQ(lstat_of(plain.path + "/p/f")->st_uid, ::geteuid());
  EXPECT_EQ(lstat_of(plain.path + "/p/f")->st_mode & 07777U, 0755U);  // set-id bits would be the caller's now
}

TEST(Unpack, CapabilitiesSurviveTheOwnerAndLoseANamespace) {
  const Root root;
  const std::string v2("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  const std::string v3("\1\0\0\3\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x27\0\0", 24);
  const auto result =
      unpack_safely(root, Archive()
                              .file("a", "x", {.mode = 0755, .uid = 5, .xattrs = {{"security.capability", v2}}})
                              .file("b", "x", {.mode = 0755, .xattrs = {{"security.capability", v3}}})
                              .done());
  if (!result && result.error().sys_errno() == EPERM) GTEST_SKIP() << "CAP_SETFCAP is missing";
  expect_good(result);
  EXPECT_EQ(xattr_of(root.path + "/a", "security.capability"), v2);
  EXPECT_EQ(xattr_of(root.path + "/b", "security.capability"), v2);
}

TEST(Unpack, ControlAttributesAreDropped) {
  const Root root;
  const Xattrs hostile = {
      {"security.selinux", "label"}, {"trusted.overlay.opaque", "y"},   {"user.keep", "1"},
      {"user.overlay.opaque", "y"},  {"user.overlay.redirect", "/etc"}, {"user.slipway.device", "c:1:3:0666"}};
  expect_good(unpack_safely(
      root,
      Archive().dir("d", {.mode = 0755, .xattrs = hostile}).file("f", "", {.mode = 0, .xattrs = hostile}).done()));
  for (const auto* path : {"/d", "/f"}) {
    EXPECT_EQ(xattr_of(root.path + path, "user.keep"), "1");
    for (const auto* name :
         {"user.overlay.opaque", "user.overlay.redirect", "trusted.overlay.opaque", "user.slipway.device"})
      EXPECT_EQ(xattr_of(root.path + path, name), "(none)") << path << name;
  }
}

// --- what hostile archives try ---

TEST(UnpackHostile, PathsThatLeaveAreRefused) {
  for (const auto* path : {"../outside", "a/../../outside", "/../outside", "./../outside", ".."}) {
    const Root root;
    const auto result = unpack_safely(root, Archive().file(path, "evil").done());
    EXPECT_EQ(result.error().code(), Code::kInvalidArgument) << path;
    EXPECT_THAT(result.error().message(), HasSubstr("outside")) << path;
  }
}

TEST(UnpackHostile, AbsolutePathsLandInside) {
  const Root root;
  expect_good(unpack_safely(root, Archive().file("/etc/passwd", "inside").done()));
  EXPECT_EQ(content_of(root.path + "/etc/passwd"), "inside");
}

TEST(UnpackHostile, TheRootIsNeverReplaced) {
  for (const auto* path : {".", "./", "/", "a/..", ""}) {
    const Root root;
    EXPECT_EQ(
        unpack_safely(
            root,
            Archive().raw(RawHeader('2', path).put(tar_field::kLink, "..").block()).file("outside", "evil").done())
            .error()
            .code(),
        Code::kInvalidArgument)
        << path;
    EXPECT_EQ(unpack_safely(root, Archive().file(path, "evil").done()).error().code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(type_of(root.path), static_cast<mode_t>(S_IFDIR));
  }
}

TEST(UnpackHostile, ParentSymlinksAreResolvedInside) {
  for (const auto* target : {"..", "/", "../..", "/../..", "/proc/self/root", "/proc/self/cwd/.."}) {
    const Root root;
    expect_good(unpack_safely(root, Archive().symlink("l", target).file("l/outside", "evil").done()));
  }
}

TEST(UnpackHostile, AbsoluteLinksToTheRealPathStayInside) {
  const Root root;
  expect_good(unpack_safely(root, Archive().symlink("l", root.dir.path()).file("l/outside", "evil").done()));
  EXPECT_EQ(content_of(root.path + root.dir.path() + "/outside"), "evil");
}

TEST(UnpackHostile, LinkChainsStayInside) {
  const Root root;  // moby/go-archive PR 24: each hop passes a check of strings
  Archive archive;
  archive.dir("a")
      .dir("a/b")
      .symlink("a/b/up", "../..")
      .symlink("up2", "a/b/up/..")
      .symlink("up3", "up2/..")
      .file("up3/outside", "evil")
      .file("a/b/up/up2/up3/outside", "evil");
  expect_good(unpack_safely(root, archive.done()));
}

TEST(UnpackHostile, LinkLoopsEnd) {
  const Root root;
  EXPECT_FALSE(unpack_safely(root, Archive().symlink("a", "b").symlink("b", "a").file("a/f", "x").done()));
  const Root other;
  EXPECT_FALSE(unpack_safely(other, Archive().symlink("a", "a/a/missing").file("a/f", "x").done()));
}

TEST(UnpackHostile, FilesNeverWriteThroughALink) {
  const Root root;
  expect_good(unpack_safely(root, Archive().symlink("f", "../outside").file("f", "evil").done()));
  EXPECT_EQ(type_of(root.path + "/f"), static_cast<mode_t>(S_IFREG));
  EXPECT_EQ(content_of(root.path + "/f"), "evil");
}

TEST(UnpackHostile, DirectoryEntryReplacesASymlink) {
  const Root root;  // CVE-2026-33056, CVE-2021-32760: chmod and chown reached what the link points to
  expect_good(unpack_safely(root, Archive()
                                      .dir("real")
                                      .symlink("l", "../outside")
                                      .dir("l", {.mode = 0777, .uid = 5})
                                      .symlink("m", "real")
                                      .dir("m", {.mode = 0777})
                                      .done()));
  EXPECT_EQ(type_of(root.path + "/l"), static_cast<mode_t>(S_IFDIR));
  EXPECT_EQ(lstat_of(root.path + "/real")->st_mode & 07777U, 0755U);
}

TEST(UnpackHostile, HardLinksStayInside) {
  for (const auto* target : {"../outside", "/../outside", "a/../../outside"}) {
    const Root root;
    EXPECT_FALSE(unpack_safely(root, Archive().link("h", target).done())) << target;
  }
  const Root root;
  EXPECT_FALSE(
      unpack_safely(root, Archive().link("h", root.outside()).done()));  // absolute: below the root, where it is not
}

TEST(UnpackHostile, HardLinksNeverFollowASymlink) {
  const Root root;
  expect_good(unpack_safely(root, Archive().symlink("s", "../outside").link("h", "s").file("h", "evil").done()));
  EXPECT_EQ(type_of(root.path + "/s"), static_cast<mode_t>(S_IFLNK));
  EXPECT_EQ(content_of(root.path + "/h"), "evil");
  const Root other;
  EXPECT_FALSE(unpack_safely(other, Archive().symlink("up", "..").link("h", "up/outside").done()));
}

TEST(UnpackHostile, HardLinksThatCanNotBe) {
  const auto refused = [](Archive archive) {
    const Root root;
    const auto result = unpack_safely(root, archive.done());
    EXPECT_FALSE(result);
    return result ? Code::kInternal : result.error().code();
  };
  EXPECT_EQ(refused(Archive().link("h", "missing")), Code::kInvalidArgument);
  EXPECT_EQ(refused(Archive().dir("d").link("h", "d")), Code::kInvalidArgument);
  EXPECT_EQ(refused(Archive().link("h", ".")), Code::kInvalidArgument);
  EXPECT_EQ(refused(Archive().file(".wh.gone", "").link("h", "gone")),
            Code::kInvalidArgument);  // would be a second whiteout
}

TEST(UnpackHostile, HardLinkToItselfIsNothing) {
  const Root root;
  expect_good(unpack_safely(root, Archive().file("f", "x").link("f", "f").link("./f", "/f").done()));
  EXPECT_EQ(content_of(root.path + "/f"), "x");
}

TEST(UnpackHostile, FilesOverLinkedNamesDoNotChangeTheOthers) {
  const Root root;
  expect_good(unpack_safely(root, Archive().file("a", "first").link("b", "a").file("b", "second").done()));
  EXPECT_EQ(content_of(root.path + "/a"), "first");
  EXPECT_EQ(content_of(root.path + "/b"), "second");
}

TEST(UnpackHostile, DevicesAndFifosAreReplacedNotOpened) {
  const Root root;  // CVE-2024-9676: a fifo that a writer opens hangs
  expect_good(unpack_safely(root, Archive()
                                      .device(EntryType::kFifo, "p")
                                      .file("p", "x")
                                      .device(EntryType::kCharDevice, "c", 1, 5)
                                      .file("c", "y")
                                      .file("f", "z")
                                      .device(EntryType::kFifo, "f")
                                      .done()));
  EXPECT_EQ(content_of(root.path + "/p"), "x");
  EXPECT_EQ(content_of(root.path + "/c"), "y");
  EXPECT_EQ(type_of(root.path + "/f"), static_cast<mode_t>(S_IFIFO));
}

TEST(UnpackHostile, ParentsThatAreNoDirectories) {
  for (const auto& archive :
       {Archive().file("a", "x").file("a/b", "y"), Archive().device(EntryType::kFifo, "a").file("a/b", "y")}) {
    const Root root;
    EXPECT_EQ(unpack_safely(root, archive.done()).error().code(), Code::kInvalidArgument);
  }
}

TEST(UnpackHostile, ReplacedDirectoriesAreForgotten) {
  const Root root;  // a kept descriptor of "d" must not be used after "d" became something else
  expect_good(unpack_safely(
      root, Archive().dir("d").file("d/a", "1").dir("e").symlink("d", "e").file("d/b", "2").file("d/c", "3").done()));
  EXPECT_EQ(content_of(root.path + "/e/b"), "2");
  const Root other;
  expect_good(unpack_safely(other, Archive().symlink("s", ".").file("s/a", "1").dir("s/s").file("s/b", "2").done()));
  EXPECT_EQ(content_of(other.path + "/a"), "1");
  EXPECT_EQ(content_of(other.path + "/s/b"), "2");
}

TEST(UnpackHostile, ADeepTreeIsReplacedWithoutHarm) {
  const Root root;
  std::string deep = "d";
  while (deep.size() < 1400) deep += "/d";
  expect_good(unpack_safely(root, Archive().dir(deep).file("d", "x").done()));
  EXPECT_EQ(content_of(root.path + "/d"), "x");
}

TEST(UnpackHostile, LimitsHoldBeforeAnythingIsWritten) {
  const auto refused = [](const std::string& archive, Limits limits) {
    const Root root;
    const auto result = unpack_safely(root, archive, {.limits = limits});
    EXPECT_FALSE(result);
    return result ? Code::kInternal : result.error().code();
  };
  EXPECT_EQ(refused(Archive().file("a", "").file("b", "").file("c", "").done(), {.entries = 2}), Code::kOutOfRange);
  EXPECT_EQ(refused(Archive().file("a", std::string(1000, 'x')).file("b", std::string(1000, 'x')).done(),
                    {.unpacked_bytes = 1999}),
            Code::kOutOfRange);
  EXPECT_EQ(refused(Archive().file(std::string(256, 'n'), "").done(), {}), Code::kOutOfRange);
  EXPECT_EQ(
      refused(Archive().file(std::string(200, 'n') + "/" + std::string(200, 'n'), "").done(), {.path_bytes = 400}),
      Code::kOutOfRange);
  EXPECT_EQ(refused(Archive().symlink("l", std::string(5000, 't')).done(), {}), Code::kOutOfRange);
  // A header that claims more than is allowed fails before its data is there.
  const Root root;
  EXPECT_EQ(
      unpack_safely(root, Archive().raw(RawHeader('0', "big").put(tar_field::kSize, "777777777777").block()).open(),
                    {.limits = {.unpacked_bytes = 1 << 20}})
          .error()
          .code(),
      Code::kOutOfRange);
  EXPECT_EQ(type_of(root.path + "/big"), 0U);
}

TEST(UnpackHostile, BombsEndAtTheLimit) {
  for (const auto compression : {oci::Compression::kGzip, oci::Compression::kZstd}) {
    std::string packed;
    const auto encode = encoder(compression, testing::append_to(packed));
    ASSERT_TRUE(
        encode->write(Archive().raw(RawHeader('0', "zeros").put(tar_field::kSize, "777777777777").block()).open()));
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 64; ++i) ASSERT_TRUE(encode->write(zeros));
    ASSERT_TRUE(encode->finish());
    const Root root;
    EXPECT_EQ(unpack_safely(root, packed, {.limits = {.unpacked_bytes = 10 << 20}}).error().code(), Code::kOutOfRange);
    // The same behind the archive's end, where no member is.
    packed.clear();
    const auto again = encoder(compression, testing::append_to(packed));
    for (int i = 0; i < 64; ++i) ASSERT_TRUE(again->write(zeros));
    ASSERT_TRUE(again->finish());
    const auto result = unpack_safely(root, packed, {.limits = {.unpacked_bytes = 10 << 20}});
    EXPECT_EQ(result.error().code(), Code::kOutOfRange);
    const auto trailing = unpack_safely(root, packed, {.limits = {.trailing_bytes = 10 << 20}});
    EXPECT_NE(trailing.error().message().find("follow the end of the tar archive"), std::string::npos);
    const auto ratio = unpack_safely(root, packed, {.limits = {.bomb_bytes = 10 << 20}});
    EXPECT_NE(ratio.error().message().find("200 times its first"), std::string::npos) << ratio.error().message();
    EXPECT_TRUE(unpack_safely(root, packed, {.limits = {.bomb_bytes = 64 << 20}}))
        << "small ones may be as empty as they like";
  }
}

TEST(UnpackHostile, BrokenStreamsAreDataLoss) {
  std::string packed;
  const auto encode = encoder(oci::Compression::kGzip, testing::append_to(packed));
  ASSERT_TRUE(encode->write(Archive().file("f", std::string(700'000, 'x')).done()));
  ASSERT_TRUE(encode->finish());
  const Root root;
  EXPECT_EQ(unpack_safely(root, packed.substr(0, packed.size() / 2)).error().code(), Code::kDataLoss);
  packed[packed.size() - 6] ^= 1;
  EXPECT_EQ(unpack_safely(root, packed).error().code(), Code::kDataLoss);
}

TEST(UnpackHostile, SourcesErrorAndCancelAreTold) {
  const Root root;
  const Source broken = [](char*, std::size_t) -> Result<std::size_t> { return fail(Code::kUnavailable, "gone"); };
  EXPECT_EQ(unpack(broken, root.fd.get(), {}, Cancel()).error().code(), Code::kUnavailable);
  const Source thrower = [](char*, std::size_t) -> Result<std::size_t> { throw std::runtime_error("bug"); };
  EXPECT_EQ(unpack(thrower, root.fd.get(), {}, Cancel()).error().code(), Code::kInternal);
  CancelSource source;
  // An endless archive: only the cancel ends it.
  const std::string member = Archive().file("f", std::string(100'000, 'x')).open();
  std::int64_t given = 0;
  const Source endless = [&](char* to, std::size_t size) -> Result<std::size_t> {
    const auto at = static_cast<std::size_t>(given) % member.size();
    const auto take = std::min(size, member.size() - at);
    std::copy_n(member.data() + at, take, to);
    given += static_cast<std::int64_t>(take);
    if (given > 10'000'000) source.fire("enough");
    return take;
  };
  EXPECT_EQ(unpack(endless, root.fd.get(), {}, source.cancel()).error().code(), Code::kCancelled);
}

// --- whiteouts ---

TEST(UnpackWhiteouts, BecomeOverlaysForm) {
  const Root root;
  expect_good(unpack_safely(root, Archive()
                                      .file("d/.wh.gone", "")
                                      .file(".wh.x", "ignored content")
                                      .file("o/.wh..wh..opq", "")
                                      .dir("o", {.mode = 0700})
                                      .done()));
  EXPECT_TRUE(is_whiteout(*lstat_of(root.path + "/d/gone")));
  EXPECT_TRUE(is_whiteout(*lstat_of(root.path + "/x")));
  EXPECT_EQ(xattr_of(root.path + "/o", "user.overlay.opaque"), "y");
  EXPECT_EQ(lstat_of(root.path + "/o")->st_mode & 07777U, 0700U);
  EXPECT_EQ(type_of(root.path + "/o/.wh..wh..opq"), 0U);
}

TEST(UnpackWhiteouts, NamesThatCanNotBeMeant) {
  for (const auto* name : {".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh."}) {
    for (const auto whiteouts : {Whiteouts::kOverlay, Whiteouts::kApply}) {
      const Root root;
      EXPECT_EQ(unpack_safely(root, Archive().dir("d").file(name, "").done(), {.whiteouts = whiteouts}).error().code(),
                Code::kInvalidArgument)
          << name;
      EXPECT_EQ(type_of(root.path), static_cast<mode_t>(S_IFDIR));
    }
  }
  const Root root;
  EXPECT_EQ(unpack_safely(root, Archive().file(".wh.d/f", "").done()).error().code(), Code::kInvalidArgument);
}

TEST(UnpackWhiteouts, AufsFilesAreSkipped) {
  const Root root;
  expect_good(unpack_safely(root, Archive()
                                      .dir(".wh..wh.plnk")
                                      .file(".wh..wh.plnk/1.2", "x")
                                      .file(".wh..wh.aufs", "")
                                      .file("d/.wh..wh.orph/x", "")
                                      .done()));
  EXPECT_TRUE(tree_of(root.path).empty());
}

TEST(UnpackWhiteouts, TogetherWithAnEntryOfTheName) {
  const Root root;
  Archive archive;
  archive.file(".wh.a", "").file("a", "new").file("b", "new").file(".wh.b", "");                    // the file stays
  archive.file(".wh.c", "").dir("c").file("c/f", "x").dir("d").file("d/f", "x").file(".wh.d", "");  // the directory is
                                                                                                    // new
  archive.file(".wh.e", "").file("e/f", "x");  // also one that is only implied
  archive.file(".wh.s", "").symlink("s", "t");
  expect_good(unpack_safely(root, archive.done()));
  EXPECT_EQ(content_of(root.path + "/a"), "new");
  EXPECT_EQ(content_of(root.path + "/b"), "new");
  for (const auto* path : {"/c", "/d", "/e"}) {
    EXPECT_EQ(xattr_of(root.path + path, "user.overlay.opaque"), "y") << path;
    EXPECT_EQ(content_of(root.path + path + "/f"), "x") << path;
  }
  EXPECT_EQ(type_of(root.path + "/s"), static_cast<mode_t>(S_IFLNK));
}

TEST(UnpackWhiteouts, ADeviceCanNotPoseAsOne) {
  const Root root;
  expect_good(unpack_safely(root, Archive().device(EntryType::kCharDevice, "c", 0, 0).done()));
  EXPECT_EQ(type_of(root.path + "/c"), static_cast<mode_t>(S_IFREG));
  EXPECT_EQ(xattr_of(root.path + "/c", "user.slipway.device"), "c:0:0:0620:0:0");
}

TEST(UnpackWhiteouts, LiteralOnesAreNames) {
  const Root root;
  expect_good(unpack_safely(root, Archive().file(".wh.a", "x").file(".wh..wh..opq", "y").done(),
                            {.whiteouts = Whiteouts::kLiteral}));
  EXPECT_EQ(content_of(root.path + "/.wh.a"), "x");
  EXPECT_EQ(content_of(root.path + "/.wh..wh..opq"), "y");
}

TEST(UnpackWhiteouts, AppliedToATree) {
  const UnpackOptions apply{.whiteouts = Whiteouts::kApply};
  const Root root;
  expect_good(unpack_safely(root,
                            Archive()
                                .file("a", "1")
                                .dir("d")
                                .file("d/x", "1")
                                .dir("d/sub")
                                .file("d/sub/y", "1")
                                .dir("o")
                                .file("o/old", "1")
                                .dir("o/both")
                                .file("o/both/old", "1")
                                .file("same", "1")
                                .dir("tree")
                                .file("tree/old", "1")
                                .done(),
                            apply));
  Archive second;
  second.file(".wh.a", "").file("d/.wh.sub", "").file("missing/.wh.x", "").file(".wh.nothing", "");
  second.file("o/new", "2").dir("o/both").file("o/both/new", "2").file("o/.wh..wh..opq", "");
  second.file("same", "2").file(".wh.same", "").dir("tree").file("tree/new", "2").file(".wh.tree", "");
  expect_good(unpack_safely(root, second.done(), apply));
  std::vector<std::string> paths;
  for (const auto& [path, text] : tree_of(root.path)) paths.push_back(path);
  EXPECT_THAT(paths,
              ::testing::ElementsAre("d", "d/x", "o", "o/both", "o/both/new", "o/new", "same", "tree", "tree/new"));
  EXPECT_EQ(content_of(root.path + "/same"), "2");
}

TEST(UnpackWhiteouts, ApplyNeverLeaves) {
  const UnpackOptions apply{.whiteouts = Whiteouts::kApply};
  const Root root;
  expect_good(unpack_safely(
      root, Archive().symlink("up", "..").file("up/.wh.outside", "").file("up/.wh..wh..opq", "").done(), apply));
  EXPECT_FALSE(unpack_safely(root, Archive().file("../.wh.outside", "").done(), apply));
}

TEST(Unpack, SymlinkedDirectoriesOfALayerAreWrittenThrough) {
  const Root root;  // lib -> usr/lib, and usr/lib is in a lower layer only
  expect_good(unpack_safely(
      root,
      Archive().symlink("lib", "usr/lib").file("lib/x", "1").symlink("run", "/var/run").file("run/y", "2").done()));
  EXPECT_EQ(content_of(root.path + "/usr/lib/x"), "1");
  EXPECT_EQ(content_of(root.path + "/var/run/y"), "2");
  EXPECT_EQ(type_of(root.path + "/lib"), static_cast<mode_t>(S_IFLNK));
}

}  // namespace
}  // namespace slipway::layer
