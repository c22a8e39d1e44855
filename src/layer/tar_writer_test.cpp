#include "layer/tar_writer.hpp"

#include <gtest/gtest.h>

#include "layer/archive_testing.hpp"

namespace slipway::layer {
namespace {

std::string repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

std::string header_of(const Entry& entry) {
  std::string bytes;
  TarWriter writer(testing::append_to(bytes));
  const Status status = writer.add(entry);
  EXPECT_TRUE(status) << status.error().message();
  return bytes;
}

constexpr Timestamp kTime{1'700'000'000, 0};

/// The sums are those of Go 1.19's archive/tar for the same header with Format: FormatPAX.
TEST(TarWriter, WritesGoArchiveTarsBytes) {
  using enum EntryType;
  const std::string split = repeat("d", 80) + "/" + repeat("f", 90);
  const struct {
    const char* what;
    Entry entry;
    std::size_t size;
    const char* sum;
  } kCases[] = {
      {"file",
       {kFile, "a/b.txt", 0644, 1000, 100, kTime, 5},
       512,
       "a1dcade74b8725016eb71af70dfd723c71b8e7519a3a2f69c791f02d2bbee264"},
      {"directory",
       {kDirectory, "a", 01777, 0, 0, kTime},
       512,
       "585299ae1e9fff41ae947507f3c40d7554219e0e65f3d2be533227517300f784"},
      {"root",
       {kDirectory, "", 0700, 0, 0, kTime},
       512,
       "ec76c06de8cf984f250f2adb0a5e746ddfed2993fbb10e9d365edc9599209e25"},
      {"symlink",
       {kSymlink, "l", 0777, 0, 0, kTime, 0, "../x"},
       512,
       "e06f68f091a480d9ced46e5c7068deacb945fe3e7009e37cea26785db59fdbfe"},
      {"hard link",
       {kHardLink, "h", 0644, 0, 0, kTime, 0, "a/b.txt"},
       512,
       "812745b44d8959f724df52fd0d0004caaa10720ee2a3f21772dfc5105ffe5ee4"},
      {"device",
       {kBlockDevice, "sda", 0660, 0, 6, kTime, 0, "", 8, 1048575},
       512,
       "71d5a3a1482af02358fab1d6068e26f3992668103c29e98a325cd6a0f77ec3e9"},
      {"fifo",
       {kFifo, "p", 0600, 0, 0, kTime},
       512,
       "cc36ebe389d90e420c865b1526e60fa8d450ebf7abd3abd207d114a94fbdb09d"},
      {"splittable",
       {kFile, split, 0644, 0, 0, kTime},
       512,
       "1ad1f98f03415c668e7ac69b514fc8badd45c861d1047a07127aee12ec2ef44b"},
      {"splittable directory",
       {kDirectory, split, 0755, 0, 0, kTime},
       512,
       "90a79aa7467fedd673a94ddf0dc8b9ebcc828da991c00298e0e153476911c606"},
      {"long name",
       {kFile, repeat("n", 150), 0644, 0, 0, kTime},
       1536,
       "cadeb5be28fd5fa1277071dc6d7b6532e2c827740b0e1140bc14d4325d11c083"},
      {"long directory",
       {kDirectory, repeat("d/", 99) + repeat("e", 120), 0755, 0, 0, kTime},
       1536,
       "67d0ae65c4a4c3855d442b8e1c99af8f2945aa6a0590a5cb3f13c2681c0f331d"},
      {"slash at the edge",
       {kDirectory, repeat("n", 99) + "/" + repeat("m", 200), 0755, 0, 0, kTime},
       1536,
       "9a91c0d494809d6e8f6d815b66a85e72239fff8c20f68e63889b4e45a319d513"},
      {"utf-8",
       {kFile, "\u00fcber/stra\u00dfe", 0644, 0, 0, kTime},
       1536,
       "b3bcc50c1c3532ecc79c5811a78d3bdbd3b758f86cac7a85f5def3442a6e8a52"},
      {"not utf-8",
       {kFile, "lat\xefn", 0644, 0, 0, kTime},
       1536,
       "13b226df0bc6f26b8f09f0642efda2e61c34e564ab057d1c9369ccf3f81dffb7"},
      {"long target",
       {kSymlink, "l", 0777, 0, 0, kTime, 0, repeat("t", 101)},
       1536,
       "eb9ff4a188e315ae6abf9276a6fd3a389176c13db0f873da96e650142fe72104"},
      {"utf-8 target",
       {kSymlink, "l", 0777, 0, 0, kTime, 0, "\u00fc"},
       1536,
       "013b4692bd3716cdf926db84a21da293467e1e6c703da4c2b1522ba8349c278b"},
      {"8 GiB",
       {kFile, "big", 0644, 0, 0, kTime, std::int64_t{1} << 33},
       1536,
       "7e951718aac628a5ccc10cc04abe86b7c0fd2f8e5b98ec289fb9caeca1d46068"},
      {"large ids",
       {kFile, "ids", 0644, 2097152, 4294967294, kTime},
       1536,
       "584d931c6940496ba173b70bbeac32d73b28e43df62d07649938042a7748d66b"},
      {"before the epoch",
       {kFile, "old", 0644, 0, 0, {-1, 0}},
       1536,
       "eee8fa66b664dae922bde6e95eed2e5425da890a977f6d6f9a2c4e7707b54dfc"},
      {"nanoseconds",
       {kFile, "ns", 0644, 0, 0, {1'700'000'000, 123'456'000}},
       1536,
       "93e698fe3bc5b9fbd49d98a078addc55a4d0d94bf2bb72adeac764eb29721a4a"},
      {"before the epoch with nanoseconds",
       {kFile, "ns", 0644, 0, 0, {-2, 500'000'000}},
       1536,
       "af6ae05d48012156316f535bc5bc5098bfc57f18852509426731cdde72b0ec2b"},
      {"attributes",
       {kFile,
        "x",
        0755,
        0,
        0,
        kTime,
        0,
        "",
        0,
        0,
        {{"security.capability", std::string("\1\0\0\2\0", 5)}, {"user.b", "two\n"}}},
       1536,
       "b4ffcca63a228d44366eb049a7c749dd8f446197a8678cd4d2e0dd1eff3e0798"},
      {"attributes on a splittable name",
       {kFile, split, 0644, 0, 0, kTime, 0, "", 0, 0, {{"user.a", repeat("v", 82)}}},
       1536,
       "979736d6b53983414d1d20ade0dcc866f9aebf135da59fcf7fc880290f3da8ca"},
      {"whiteout", {kFile, "d/.wh.gone"}, 512, "efee79f3525fea2a03f0180a7eac5364399ff519559ecb56375026eaab5ce702"},
  };
  for (const auto& test : kCases) {
    const std::string bytes = header_of(test.entry);
    EXPECT_EQ(bytes.size(), test.size) << test.what;
    EXPECT_EQ(oci::Digest::of(bytes).hex(), test.sum) << test.what;
  }
}

TEST(TarWriter, EndsWithTwoZeroBlocks) {
  std::string bytes;
  TarWriter writer(testing::append_to(bytes));
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(bytes, std::string(1024, '\0'));
}

TEST(TarWriter, RefusesWhatATarCanNotHold) {
  TarWriter writer([](std::string_view) -> Status { return {}; });
  EXPECT_FALSE(writer.add({.path = std::string("a\0b", 3)}));
  EXPECT_FALSE(writer.add({.type = EntryType::kCharDevice, .path = "d", .dev_major = 1 << 21}));
  EXPECT_FALSE(writer.add({.path = "x", .xattrs = {{"user.a=b", "v"}}}));
}

TEST(TarWriter, HoldsContentToTheHeadersSize) {
  TarWriter writer([](std::string_view) -> Status { return {}; });
  EXPECT_TRUE(writer.add({.path = "f", .size = 3}));
  EXPECT_EQ(writer.write("1234").error().code(), Code::kInternal);
  EXPECT_TRUE(writer.write("12"));
  EXPECT_EQ(writer.finish().error().code(), Code::kInternal);
}

TEST(TarWriter, PassesTheTargetsErrorOn) {
  TarWriter writer([](std::string_view) -> Status { return fail(Code::kResourceExhausted, "full"); });
  EXPECT_EQ(writer.add({.path = "f"}).error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace slipway::layer
