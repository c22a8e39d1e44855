#include "build/listing.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

namespace slipway::build {
namespace {

struct File {
  std::string path, content;
  std::uint32_t mode = S_IFREG | 0644, uid = 0, gid = 0;
};

std::string pack(const std::vector<File>& files) {
  ListingWriter writer;
  for (const auto& file : files) writer.add(file.path, file.mode, file.uid, file.gid, file.content);
  return writer.take();
}
std::vector<ListedFile> list(const std::vector<File>& files) { return *read_listing(pack(files)); }

TEST(Listing, WhatWasWrittenIsReadSorted) {
  const auto files =
      list({{"b/x", "1", S_IFREG | 0755, 5, 70000}, {"b/xy", "2"}, {"a", "", S_IFDIR | 0755}, {"", "3"}});
  ASSERT_EQ(files.size(), 4u);
  EXPECT_EQ(files[0].path, "");
  EXPECT_EQ(files[1].path, "a");
  EXPECT_TRUE(S_ISDIR(files[1].mode));
  EXPECT_EQ(files[2].path, "b/x");
  EXPECT_EQ(files[2].mode, S_IFREG | 0755u);
  EXPECT_EQ(files[2].gid, 70000u);
  EXPECT_EQ(files[3].path, "b/xy");
  EXPECT_EQ(files[3].gid, 0u);
  EXPECT_TRUE(list({}).empty());
}

TEST(Listing, NeighboursTakeFewBytes) {
  std::vector<File> files;
  for (int i = 0; i < 1000; ++i) files.push_back({fmt::format("node_modules/package/lib/file{:04}.js", i), "x"});
  EXPECT_LT(pack(files).size(), 1000u * 16);
}

TEST(Listing, TooMuchIsNothing) {
  ListingWriter writer;
  for (std::size_t i = 0; i <= kListedFiles; ++i) writer.add(std::to_string(i), S_IFREG, 0, 0, "");
  EXPECT_EQ(writer.take(), "");
  ListingWriter long_paths;
  for (std::size_t i = 0; i < 3000; ++i) long_paths.add(fmt::format("{:04000}", i), S_IFREG, 0, 0, "");
  EXPECT_EQ(long_paths.take(), "");
  EXPECT_EQ(pack({{std::string(5000, 'x'), ""}}), "");
}

TEST(Listing, TheFirstChangeIsTold) {
  using Kind = FileChange::Kind;
  const std::vector<File> old = {{"d", "", S_IFDIR | 0755}, {"d/a", "1"}, {"d/b", "2"}, {"e", "3"}};
  const auto change = [&](std::vector<File> now) { return first_change(list(old), list(now)); };
  EXPECT_FALSE(change(old));
  auto now = old;
  now[2].content = "other";
  now[3].mode = S_IFREG | 0755;
  auto told = *change(now);
  EXPECT_EQ(told.kind, Kind::kContent);
  EXPECT_EQ(told.path, "d/b");
  EXPECT_EQ(told.others, 1u);
  now = old;
  now[3].mode = S_IFREG | 0755;
  EXPECT_EQ(change(now)->kind, Kind::kMode);
  now[3].mode = S_IFLNK | 0777;
  EXPECT_EQ(change(now)->kind, Kind::kType);
  now = old;
  now[1].uid = 7;
  EXPECT_EQ(change(now)->kind, Kind::kOwner);
  now = old;
  now.insert(now.end(), {{"f", "", S_IFDIR | 0755}, {"f/x", "9"}});
  told = *change(now);
  EXPECT_EQ(told.kind, Kind::kAdded);
  EXPECT_EQ(told.path, "f/x") << "files come before their directories";
  EXPECT_EQ(told.others, 0u);
  now = {old[3]};
  told = *change(now);
  EXPECT_EQ(told.kind, Kind::kRemoved);
  EXPECT_EQ(told.path, "d/a");
  EXPECT_EQ(told.others, 1u);
  now = old;
  now[0].mode = S_IFDIR | 0700;
  told = *change(now);
  EXPECT_TRUE(told.directory);
  EXPECT_EQ(told.kind, Kind::kMode);
  EXPECT_EQ(first_change({}, list(old))->others, 2u);
}

TEST(Listing, HostileBytesAreRefusedOrHarmless) {
  const std::string good = pack({{"usr/bin/a", "1"}, {"usr/bin/b", "2", S_IFREG | 04755, 3, 4}, {"usr/lib", "3"}});
  for (std::size_t size = 0; size < good.size(); ++size) (void)read_listing(good.substr(0, size));
  EXPECT_FALSE(read_listing(""));
  EXPECT_FALSE(read_listing("\x02"));
  EXPECT_FALSE(read_listing(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(read_listing(std::string("\x01\x05", 2))) << "shares more than there was";
  EXPECT_FALSE(read_listing(std::string("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12)));
  EXPECT_FALSE(read_listing(std::string(3 << 20, '\x01')));
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string bad = good;
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    const auto read = read_listing(bad);
    if (read) (void)first_change(*read, *read_listing(good));
  }
}

TEST(Listing, PathsThatGrowByRepetitionAreBounded) {
  // One long path, and then thousands of entries that share all of it.
  Packer out;
  out.number(1);
  out.number(0);
  out.text(std::string(4096, 'x'));
  out.number(1);
  out.raw("12345678");
  for (int i = 0; i < 40'000; ++i) {
    out.number(4096);
    out.text("");
    out.number(1);
    out.raw("12345678");
  }
  EXPECT_FALSE(read_listing(out.take()));
}

}  // namespace
}  // namespace slipway::build
