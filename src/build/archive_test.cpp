#include "build/archive.hpp"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "build/copy.hpp"
#include "build/room.hpp"
#include "layer/archive_testing.hpp"
#include "layer/codec.hpp"

namespace slipway::build {
namespace {

using layer::Entry;
using layer::EntryType;
using Tar = layer::testing::Archive;

std::string pack(oci::Compression compression, const std::string& bytes) {
  std::string out;
  const auto encoder = layer::encoder(compression, layer::testing::append_to(out));
  EXPECT_TRUE(encoder->write(bytes));
  EXPECT_TRUE(encoder->finish());
  return out;
}

std::string bzip2(std::string bytes) {
  std::string out(bytes.size() + 1024, '\0');
  unsigned size = static_cast<unsigned>(out.size());
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(out.data(), &size, bytes.data(), static_cast<unsigned>(bytes.size()), 9, 0, 0),
            BZ_OK);
  out.resize(size);
  return out;
}

std::string xz(const std::string& bytes) {
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                    bytes.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

const struct stat kNothing{};

struct ArchiveTest : testing::Test {
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "ownership can only be set by root";
    for (const auto* name : {"lower", "store/x"}) mkdir(name);
    upper.emplace(*store.draft_snapshot(lease));
  }
  std::string path(const std::string& name) const {
    return name.starts_with("upper") ? upper->fs() + name.substr(5) : dir.path() + "/" + name;
  }
  void mkdir(const std::string& name, mode_t mode = 0755) {
    ASSERT_TRUE(sys::make_directories(path(name), mode));
    ASSERT_EQ(chmod(path(name).c_str(), mode), 0);
  }
  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(sys::make_directories(path(name.substr(0, name.rfind('/'))), 0755));
    ASSERT_TRUE(sys::replace_file(path(name), content, 0644));
  }
  std::string read(const std::string& name) { return sys::read_file(path(name), 1 << 20).value_or("(missing)"); }
  struct stat info(const std::string& name) { return sys::lstat_at(AT_FDCWD, path(name))->value_or(kNothing); }
  sys::Fd file(const std::string& bytes) {
    EXPECT_TRUE(sys::replace_file(dir.path() + "/file", bytes, 0644));
    return *sys::open(dir.path() + "/file", O_RDONLY);
  }
  bool told(const std::string& bytes) { return *is_archive(file(bytes).get(), Cancel()); }
  Status add(const Tar& tar, const std::string& target, CopyOptions options = {}) {
    const sys::Fd fd = file(tar.done());
    const Archive archive = TRY(Archive::unpack(fd.get(), store, lease, {options.owner, options.mode}, Cancel()));
    Destination destination = TRY(Destination::open(upper->fs(), {path("lower")}));
    return destination.take_in(archive, target, options, Cancel());
  }
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-archive-");
  store::Store store = *store::Store::open(dir.path() + "/root", {});
  store::Lease lease = *store.lease("test");
  std::optional<store::SnapshotDraft> upper;
};

TEST_F(ArchiveTest, IsToldByContent) {
  const std::string tar = Tar().file("f", "x").done();
  for (const auto& bytes : {tar, pack(oci::Compression::kGzip, tar), pack(oci::Compression::kZstd, tar), bzip2(tar),
                            xz(tar), tar.substr(0, 512)})
    EXPECT_TRUE(told(bytes));
  const std::string text = "a file that is called x.tar.gz and holds text\n";
  for (const auto& bytes : {std::string(), text, std::string(10240, '\0'), pack(oci::Compression::kGzip, text),
                            bzip2(text), xz(text), "BZh9" + text, tar.substr(0, 511), xz(tar).substr(0, 20)})
    EXPECT_FALSE(told(bytes));
}

TEST_F(ArchiveTest, MergesWithWhatIsThere) {
  write("lower/keep/a", "old");
  write("lower/keep/b", "b");
  mkdir("lower/keep", 0750);
  ASSERT_TRUE(add(Tar().file("a", "new", {.mode = 0600, .uid = 7, .gid = 8}).dir("fresh", {.mode = 0700}), "/keep"));
  EXPECT_EQ(read("upper/keep/a"), "new");
  EXPECT_EQ(info("upper/keep/a").st_uid, 7U);
  EXPECT_EQ(info("upper/keep/a").st_mode & 07777, 0600U);
  EXPECT_EQ(info("upper/keep/fresh").st_mode & 07777, 0700U);
  EXPECT_EQ(info("upper/keep").st_mode & 07777, 0750U);
  EXPECT_EQ(read("upper/keep/b"), "(missing)");  // the layer has only what came
}

TEST_F(ArchiveTest, ADirectoryThatIsNamedGetsTheArchivesMetadata) {
  mkdir("lower/etc", 0750);
  mkdir("lower/usr", 0711);
  ASSERT_TRUE(add(
      Tar().dir("./", {.mode = 0700, .uid = 3}).dir("etc", {.mode = 0755, .mtime = {5, 0}}).file("usr/f", "x"), "/"));
  EXPECT_EQ(info("upper/etc").st_mode & 07777, 0755U);
  EXPECT_EQ(info("upper/etc").st_mtim.tv_sec, 5);
  EXPECT_EQ(info("upper/usr").st_mode & 07777, 0711U);
  EXPECT_EQ(info("upper").st_uid, 3U);
}

TEST_F(ArchiveTest, EntriesReplaceOtherKinds) {
  write("lower/dir/inner", "x");
  write("lower/file", "x");
  ASSERT_EQ(symlink("/etc", path("lower/link").c_str()), 0);
  ASSERT_TRUE(
      add(Tar().file("dir", "now a file").dir("file").file("file/f", "F").dir("link").file("link/f", "L"), "/"));
  EXPECT_EQ(read("upper/dir") + read("upper/file/f") + read("upper/link/f"), "now a fileFL");
  EXPECT_TRUE(S_ISDIR(info("upper/link").st_mode));
  // What once hid a directory of the lowers goes on hiding it.
  ASSERT_TRUE(add(Tar().dir("dir").file("dir/g", "G"), "/"));
  EXPECT_EQ(read("upper/dir/g"), "G");
  const Tree view = *Destination::open(upper->fs(), {path("lower")})->view();
  EXPECT_FALSE(view.resolve("dir/inner", FollowLast::kNo)->found);
}

TEST_F(ArchiveTest, LinksOfTheImageLeadOnInsideTheImage) {
  mkdir("lower/data");
  ASSERT_EQ(symlink("/data", path("lower/to").c_str()), 0);
  ASSERT_EQ(symlink("../../../../../../../../../../etc", path("lower/out").c_str()), 0);
  ASSERT_TRUE(add(Tar().file("to/f", "F").file("out/slipway-archive-test", "O"), "/"));
  EXPECT_EQ(read("upper/data/f"), "F");
  EXPECT_EQ(read("upper/etc/slipway-archive-test"), "O");
  EXPECT_NE(access("/etc/slipway-archive-test", F_OK), 0);
}

TEST_F(ArchiveTest, HostileMembersStayInside) {
  ASSERT_TRUE(add(Tar().symlink("l", "/tmp").file("l/slipway-archive-test", "x"), "/o"));
  EXPECT_NE(access("/tmp/slipway-archive-test", F_OK), 0);
  EXPECT_EQ(read("upper/o/tmp/slipway-archive-test"), "x");
  EXPECT_EQ(add(Tar().file("../escaped", "x"), "/o").error().code(), Code::kInvalidArgument);
  EXPECT_FALSE(add(Tar().link("h", "/etc/passwd"), "/o"));
  EXPECT_FALSE(add(Tar().symlink("s", "/etc/passwd").link("h", "../../etc/passwd"), "/o"));
}

TEST_F(ArchiveTest, WhiteoutsAreOnlyNames) {
  write("lower/gone", "still here");
  ASSERT_TRUE(add(Tar().device(EntryType::kCharDevice, "gone"), "/"));
  EXPECT_FALSE(S_ISCHR(info("upper/gone").st_mode) && info("upper/gone").st_rdev == 0);
}

TEST_F(ArchiveTest, HardLinksStayLinks) {
  ASSERT_TRUE(add(Tar().file("d/a", "A").link("d/b", "d/a"), "/"));
  EXPECT_EQ(info("upper/d/a").st_ino, info("upper/d/b").st_ino);
  EXPECT_EQ(info("upper/d/a").st_nlink, 2U);
}

TEST_F(ArchiveTest, FlagsHoldForEveryEntry) {
  ASSERT_TRUE(add(Tar().dir("d", {.mode = 0700, .uid = 9}).file("d/f", "x", {.mode = 0644, .uid = 9}).symlink("l", "d"),
                  "/new/", {.owner = Owner{5, 6}, .mode = *ModeChange::parse("u=rwX,go=")}));
  for (const auto* name : {"upper/new", "upper/new/d", "upper/new/d/f", "upper/new/l"}) {
    EXPECT_EQ(info(name).st_uid, 5U) << name;
    EXPECT_EQ(info(name).st_gid, 6U) << name;
  }
  EXPECT_EQ(info("upper/new/d").st_mode & 07777, 0700U);
  EXPECT_EQ(info("upper/new/d/f").st_mode & 07777, 0600U);
}

TEST_F(ArchiveTest, AFileInTheWayOfTheTargetIsAnError) {
  write("lower/file", "x");
  EXPECT_EQ(add(Tar().file("f", "x"), "/file").error().what(), "cannot copy to non-directory: /file");
}

TEST_F(ArchiveTest, LeavesNothingBehind) {
  ASSERT_TRUE(add(Tar().file("f", "x"), "/"));
  EXPECT_FALSE(add(Tar().file("f", "x").file("../g", "x"), "/"));
  EXPECT_EQ(sys::list_directory(sys::open(dir.path() + "/root/snapshots", O_RDONLY)->get(), "")->size(), 1U);
}

TEST_F(ArchiveTest, PaddingBehindTheEndIsNotReadForHours) {
  std::string bytes = pack(oci::Compression::kGzip, Tar().file("f", "x").done() + std::string(40 << 20, '\0'));
  bytes.resize(bytes.size() - 100);  // an error for who comes that far
  const sys::Fd fd = file(bytes);
  const auto archive = Archive::unpack(fd.get(), store, lease, {}, Cancel());
  ASSERT_TRUE(archive) << archive.error().what();
  EXPECT_EQ(sys::read_file(archive->directory() + "/f", 10).value(), "x");
}

TEST_F(ArchiveTest, WhatClaimsMoreThanTheDiskHasIsRefused) {
  // An old GNU sparse file: one block, no data, a size of 2^41 bytes.
  std::string head(512, '\0');
  head.replace(0, 4, "huge");
  head.replace(100, 7, "0000644");
  head.replace(124, 11, "00000000000");
  head[156] = 'S';
  head.replace(257, 8, "ustar  \0", 8);
  head.replace(483, 12, std::string("\x80\0\0\0\0\0\x02\0\0\0\0\0", 12));
  head.replace(148, 8, "        ");
  int sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  head.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  const sys::Fd fd = file(head + std::string(1024, '\0'));
  const auto archive = Archive::unpack(fd.get(), store, lease, {}, Cancel());
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().code(), Code::kResourceExhausted) << archive.error().what();
  EXPECT_TRUE(archive.error().what().contains("\"huge\" has ")) << archive.error().what();
}

TEST(Room, IsTakenByManyTogether) {
  Room room("/");
  EXPECT_EQ(room.take(std::int64_t{1} << 62, "a").error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(room.take(1, "b"));
  struct statvfs info{};
  ASSERT_EQ(::statvfs("/", &info), 0);
  const auto most_of_it = static_cast<std::int64_t>(info.f_bavail * info.f_frsize) / 4 * 3;
  EXPECT_TRUE(room.take(most_of_it, "c"));
  EXPECT_FALSE(room.take(most_of_it, "d"));
}

}  // namespace
}  // namespace slipway::build
