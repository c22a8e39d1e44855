#include "layer/codec.hpp"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lzma.h>

#include "layer/archive_testing.hpp"
#include "sys/child.hpp"

namespace slipway::layer {
namespace {

using oci::Compression;
using testing::append_to;
using testing::source_of;

/// Compressible and not: text, noise, zeros.
std::string sample(std::size_t size) {
  std::string out;
  std::uint64_t state = 1;
  while (out.size() < size) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    if (out.size() / 100'000 % 3 == 0) {
      out += "the quick brown fox ";
    } else if (out.size() / 100'000 % 3 == 1) {
      out += static_cast<char>(state >> 56);
    } else {
      out += std::string(100, '\0');
    }
  }
  out.resize(size);
  return out;
}

std::string compress(Compression compression, std::string_view bytes, std::size_t step = SIZE_MAX) {
  std::string out;
  const auto encode = encoder(compression, append_to(out));
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
    EXPECT_TRUE(encode->write(bytes.substr(0, step)));
  EXPECT_TRUE(encode->finish());
  return out;
}

Result<std::string> decompress(const std::string& bytes, std::size_t step = SIZE_MAX, std::size_t room = 100'000) {
  const Source source = TRY(decoder(source_of(bytes, step)));
  std::string out;
  std::string buffer(room, '\0');
  while (const std::size_t got = TRY(source(buffer.data(), buffer.size()))) out.append(buffer, 0, got);
  return out;
}

class Codec : public ::testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(All, Codec, ::testing::Values(Compression::kNone, Compression::kGzip, Compression::kZstd),
                         [](const auto& test) { return std::to_string(static_cast<int>(test.param)); });

TEST_P(Codec, RoundTripsInAnySteps) {
  for (const std::size_t size : {0UL, 1UL, 3UL, 511UL, 256UL * 1024, 1'000'003UL}) {
    const std::string bytes = sample(size);
    const std::string packed = compress(GetParam(), bytes);
    EXPECT_EQ(*decompress(packed), bytes) << size;
    EXPECT_EQ(*decompress(packed, 7, 1000), bytes) << size;
    if (size < 1000) {
      EXPECT_EQ(*decompress(packed, 1, 1), bytes) << size;
    }
  }
}

TEST_P(Codec, OutputDoesNotDependOnTheCallersSteps) {
  const std::string bytes = sample(700'000);
  EXPECT_EQ(compress(GetParam(), bytes), compress(GetParam(), bytes, 777));
}

TEST_P(Codec, TargetsErrorIsPassedOn) {
  const auto encode =
      encoder(GetParam(), [](std::string_view) -> Status { return fail(Code::kResourceExhausted, "full"); });
  Status status = encode->write(sample(1'000'000));
  if (status) status = encode->finish();
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
}

TEST_P(Codec, SourcesErrorIsPassedOn) {
  const std::string packed = compress(GetParam(), sample(100'000));
  bool first = true;
  const auto source = decoder([&](char* to, std::size_t) -> Result<std::size_t> {
    if (!std::exchange(first, false)) return fail(Code::kUnavailable, "gone");
    std::copy_n(packed.data(), 10, to);
    return 10;
  });
  ASSERT_TRUE(source);
  std::string buffer(100'000, '\0');
  Result<std::size_t> got = 1;
  while (got && *got > 0) got = (*source)(buffer.data(), buffer.size());
  EXPECT_EQ(got.error().code(), Code::kUnavailable);
}

class Packed : public ::testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(All, Packed, ::testing::Values(Compression::kGzip, Compression::kZstd),
                         [](const auto& test) { return std::to_string(static_cast<int>(test.param)); });

TEST_P(Packed, ReadsManyMembers) {
  const std::string a = compress(GetParam(), "first,");
  const std::string b = compress(GetParam(), "");
  const std::string c = compress(GetParam(), sample(300'000));
  for (const std::size_t step : {1UL, 5UL, 1000UL, SIZE_MAX})
    EXPECT_EQ(*decompress(a + b + c + a, step), "first," + sample(300'000) + "first,");
}

TEST_P(Packed, EveryCutIsDataLoss) {
  const std::string packed = compress(GetParam(), sample(150'000));
  const std::string twice = compress(GetParam(), "x");
  for (std::size_t size = 4; size < packed.size(); size += size < 100 || size > packed.size() - 30 ? 1 : 997)
    EXPECT_EQ(decompress(packed.substr(0, size)).error().code(), Code::kDataLoss) << size;
  for (std::size_t size = 1; size < twice.size(); ++size)
    EXPECT_EQ(decompress(twice + twice.substr(0, size)).error().code(), Code::kDataLoss) << size;
}

TEST_P(Packed, GarbageBehindIsDataLoss) {
  const std::string packed = compress(GetParam(), "content");
  for (const auto& tail : {std::string(1, '\0'), std::string(512, '\0'), std::string("garbage"), std::string("\x1f")})
    EXPECT_EQ(decompress(packed + tail).error().code(), Code::kDataLoss);
}

TEST_P(Packed, EveryFlippedByteOfContentOrTrailerIsDataLoss) {
  const std::string bytes = sample(5000);
  const std::string packed = compress(GetParam(), bytes);
  for (std::size_t i = 10; i < packed.size(); ++i) {
    std::string broken = packed;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    const auto result = decompress(broken);
    EXPECT_TRUE(!result || *result == bytes) << i;  // some bits of a frame mean nothing
    if (!result) {
      EXPECT_EQ(result.error().code(), Code::kDataLoss) << i;
    }
    if (i >= packed.size() - 4) {
      EXPECT_FALSE(result) << i;  // size or checksum
    }
  }
}

TEST_P(Packed, AgreesWithTheSystemsPrograms) {
  const std::string program = GetParam() == Compression::kGzip ? "gzip" : "zstd";
  const std::string bytes = sample(900'000);
  const auto unpacked = sys::run({.argv = {program, "-dc"}, .environment = {"PATH=/usr/bin:/bin"}},
                                 compress(GetParam(), bytes), Cancel(), 60'000, 1 << 22);
  if (!unpacked) GTEST_SKIP() << unpacked.error().message();
  EXPECT_EQ(unpacked->out, bytes);
  const auto packed =
      sys::run({.argv = {program, "-9c"}, .environment = {"PATH=/usr/bin:/bin"}}, bytes, Cancel(), 60'000, 1 << 22);
  ASSERT_TRUE(packed);
  EXPECT_EQ(*decompress(packed->out), bytes);
}

// --- what only archives of users may be

std::string bzip2(const std::string& bytes) {
  std::string out(bytes.size() + bytes.size() / 50 + 1024, '\0');
  auto size = static_cast<unsigned>(out.size());
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                                     static_cast<unsigned>(bytes.size()), 1, 0, 0),
            BZ_OK);
  return out.substr(0, size);
}

std::string xz(const std::string& bytes, std::uint32_t dictionary = 1 << 20) {
  lzma_options_lzma options;
  EXPECT_FALSE(lzma_lzma_preset(&options, 6));
  options.dict_size = dictionary;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(
      lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                bytes.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
      LZMA_OK);
  return out.substr(0, size);
}

Result<std::string> read_all(Result<Source> source, std::size_t room = 100'000) {
  if (!source) return std::unexpected(source.error());
  std::string out;
  std::string buffer(room, '\0');
  while (const std::size_t got = TRY((*source)(buffer.data(), buffer.size()))) out.append(buffer, 0, got);
  return out;
}
Result<std::string> unpack_archive(const std::string& bytes, std::size_t step = SIZE_MAX, std::size_t room = 100'000) {
  return read_all(archive_decoder(source_of(bytes, step)), room);
}

using Packer = std::string (*)(const std::string&);
class ArchiveCodec : public ::testing::TestWithParam<Packer> {};
INSTANTIATE_TEST_SUITE_P(All, ArchiveCodec,
                         ::testing::Values(Packer(&bzip2), Packer([](const std::string& bytes) { return xz(bytes); })),
                         [](const auto& test) { return test.index == 0 ? "bzip2" : "xz"; });

TEST_P(ArchiveCodec, ReadsInAnySteps) {
  for (const std::size_t size : {0UL, 1UL, 511UL, 400'003UL}) {
    const std::string bytes = sample(size);
    const std::string packed = GetParam()(bytes);
    EXPECT_EQ(*unpack_archive(packed), bytes) << size;
    EXPECT_EQ(*unpack_archive(packed, 7, 1000), bytes) << size;
    if (size < 1000) {
      EXPECT_EQ(*unpack_archive(packed, 1, 1), bytes) << size;
    }
  }
}

TEST_P(ArchiveCodec, ReadsManyStreams) {
  const std::string packed = GetParam()("first,") + GetParam()("") + GetParam()(sample(50'000));
  for (const std::size_t step : {1UL, 1000UL, SIZE_MAX})
    EXPECT_EQ(*unpack_archive(packed, step), "first," + sample(50'000));
}

TEST_P(ArchiveCodec, CutsGarbageAndFlipsAreDataLoss) {
  const std::string packed = GetParam()(sample(3000));
  for (std::size_t size = 6; size < packed.size(); size += size < 100 ? 1 : 17)
    EXPECT_EQ(unpack_archive(packed.substr(0, size)).error().code(), Code::kDataLoss) << size;
  EXPECT_EQ(unpack_archive(packed + "garbage").error().code(), Code::kDataLoss);
  for (std::size_t i = 12; i < packed.size(); i += 7) {
    std::string broken = packed;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    const auto result = unpack_archive(broken);
    EXPECT_TRUE(!result || *result == sample(3000)) << i;
  }
}

TEST_P(ArchiveCodec, LayersAreNeverThese) {
  const std::string packed = GetParam()("content");
  EXPECT_EQ(*decompress(packed), packed);  // plain bytes: no tar, then
}

TEST(ArchiveDecoder, ReadsWhatLayersAreToo) {
  for (const auto compression : {Compression::kNone, Compression::kGzip, Compression::kZstd})
    EXPECT_EQ(*unpack_archive(compress(compression, "content"), 1), "content");
}

TEST(Xz, LargeDictionariesAreRefused) {
  // The header says it; nothing of that size is needed for the little that is packed.
  EXPECT_EQ(*unpack_archive(xz("x", 128 << 20)), "x");
  EXPECT_EQ(unpack_archive(xz("x", 256 << 20)).error().code(), Code::kOutOfRange);
}

TEST(Detect, LooksAtTheFirstBytes) {
  EXPECT_EQ(detect("\x1f\x8b\x08"), Compression::kGzip);
  EXPECT_EQ(detect("\x28\xb5\x2f\xfd"), Compression::kZstd);
  EXPECT_EQ(detect("\x51\x2a\x4d\x18"), Compression::kZstd);
  EXPECT_EQ(detect("\x28\xb5\x2f"), Compression::kNone);
  EXPECT_EQ(detect("usr/"), Compression::kNone);
  EXPECT_EQ(detect(""), Compression::kNone);
}

TEST(Gzip, HeaderHasNoNameAndNoTime) {
  const std::string packed = compress(Compression::kGzip, "x");
  EXPECT_EQ(packed.substr(0, 8), std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
}

TEST(Gzip, HeaderFieldsAreSkipped) {
  const std::string plain = compress(Compression::kGzip, "content");
  // FEXTRA, FNAME, FCOMMENT
  const std::string header = std::string("\x1f\x8b\x08\x1c\0\0\0\0\0\xff", 10) + std::string("\x03\0abc", 5) +
                             std::string("name\0", 5) + std::string("comment\0", 8);
  EXPECT_EQ(*decompress(header + plain.substr(10)), "content");
  EXPECT_EQ(*decompress(header + plain.substr(10), 1), "content");
}

TEST(Zstd, LargeWindowsAreRefused) {
  // Frame header: no single segment, window descriptor 0xb0 = 2^(10+22) = 4 GiB; then an empty last raw block.
  EXPECT_EQ(decompress(std::string("\x28\xb5\x2f\xfd\x00\xb0\x01\x00\x00", 9)).error().code(), Code::kDataLoss);
}

TEST(Zstd, FramesHoldToTheSizeTheySay) {
  // Single segment of 256 bytes, and no content: libzstd sees it or not, as the input is cut.
  const std::string frame("\x28\xb5\x2f\xfd\x60\x00\x00\x01\x00\x00", 10);
  for (const std::size_t step : {1UL, 3UL, 100UL}) EXPECT_EQ(decompress(frame, step).error().code(), Code::kDataLoss);
}

TEST(Zstd, SkippableFramesAreSkipped) {
  const std::string skip("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_EQ(*decompress(skip + compress(Compression::kZstd, "a") + skip), "a");
}

std::string compress_at(Compression compression, int level, const std::string& bytes) {
  std::string out;
  const auto encode = encoder(compression, append_to(out), level);
  EXPECT_TRUE(encode->write(bytes));
  EXPECT_TRUE(encode->finish());
  return out;
}

TEST(CodecLevels, EveryOneIsReadBackAndIsTheSameAgain) {
  const std::string bytes = sample(700'001);
  for (int level = 0; level <= 9; ++level) {
    const std::string packed = compress_at(Compression::kGzip, level, bytes);
    EXPECT_EQ(*decompress(packed), bytes) << level;
    EXPECT_EQ(packed, compress_at(Compression::kGzip, level, bytes)) << level;
  }
  for (const int level : {1, 3, 9, 19})
    EXPECT_EQ(*decompress(compress_at(Compression::kZstd, level, bytes)), bytes) << level;
  EXPECT_EQ(*decompress(compress_at(Compression::kGzip, 9, "")), "");
}

TEST(CodecLevels, HigherIsSmaller) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "line " + std::to_string(i * i % 9973) + " of a text\n";
  EXPECT_GT(compress_at(Compression::kGzip, 0, text).size(), text.size()) << "stored";
  EXPECT_GT(compress_at(Compression::kGzip, 1, text).size(), compress_at(Compression::kGzip, 9, text).size());
  EXPECT_GT(compress_at(Compression::kZstd, 1, text).size(), compress_at(Compression::kZstd, 19, text).size());
}

TEST(Codec, LargeWindowsAreAskedFor) {
  // Level 22 has a window of 128 MiB, the usual one of 2 MiB; a frame that is small needs no more than itself.
  const auto asked_for = [](int level, std::size_t size) {
    std::string packed;
    const auto encode = encoder(oci::Compression::kZstd, testing::append_to(packed), level);
    const std::string zeros(1 << 20, '\0');
    for (std::size_t i = 0; i < size; i += zeros.size()) EXPECT_TRUE(encode->write(zeros));
    EXPECT_TRUE(encode->finish());
    std::size_t asked = 0;
    auto token = std::make_shared<int>(0);
    const std::weak_ptr<int> watch = token;
    {
      auto plain = decoder(
          [&packed, at = std::size_t{0}](char* to, std::size_t room) mutable -> Result<std::size_t> {
            const std::size_t got = packed.copy(to, room, at);
            at += got;
            return got;
          },
          [&](std::size_t bytes) -> Result<std::shared_ptr<void>> {
            asked = bytes;
            return std::exchange(token, nullptr);
          });
      EXPECT_TRUE(plain);
      std::string buffer(1 << 16, '\0');
      std::size_t total = 0;
      for (std::size_t got = 1; got > 0; total += got) got = (*plain)(buffer.data(), buffer.size()).value();
      EXPECT_EQ(total, size);
      EXPECT_EQ(watch.expired(), false) << "kept while the stream lives";
    }
    token.reset();
    EXPECT_TRUE(watch.expired());
    return asked;
  };
  EXPECT_EQ(asked_for(22, 20 << 20), std::size_t{128} << 20);
  EXPECT_EQ(asked_for(3, 20 << 20), 0U);
}

}  // namespace
}  // namespace slipway::layer
