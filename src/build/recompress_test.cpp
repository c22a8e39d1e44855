// layers_in: which layers are written again, as what, and that the others are left alone.
#include "build/recompress.hpp"

#include <gtest/gtest.h>

#include "image/image_fixture.hpp"

namespace slipway::build {
namespace {

using image::testing::compress;
using image::testing::tar_of;
using oci::Compression;

class Recompress : public ::testing::Test {
 protected:
  /// A layer whose blob is in the store; one of a base image has no time.
  std::shared_ptr<Layer> layer(const std::string& content, Compression compression, bool base = false,
                               oci::Family family = oci::Family::kOci) {
    const std::string tar = tar_of({{"file", content}}), bytes = compress(tar, compression);
    EXPECT_TRUE(place_.store.put_blob(place_.lease, bytes));
    LayerFacts facts{.diff = {oci::Digest::of(tar)},
                     .chain = oci::ChainId::first({oci::Digest::of(tar)}),
                     .blob = image::testing::describe(bytes, oci::media_type::layer(family, compression)),
                     .tree_bytes = std::ssize(content),
                     .created = base ? std::nullopt : std::optional(Timestamp{1, 0})};
    return std::make_shared<Layer>(std::move(facts), nullptr);
  }
  Result<std::vector<oci::Descriptor>> in(const ImageFormat& format, std::vector<std::shared_ptr<Layer>> layers) {
    const Workshop shop{place_.store, place_.lease, place_.images(), place_, "default"};
    return layers_in(format, shop, Stack(std::move(layers)), 1, {});
  }
  std::string plain(const oci::Descriptor& blob) {
    const std::string bytes = *place_.store.read_blob(blob.digest, 1 << 24);
    EXPECT_EQ(std::ssize(bytes), blob.size);
    const auto source =
        *layer::decoder([&, at = std::size_t{0}](char* to, std::size_t size) mutable -> Result<std::size_t> {
          const auto count = bytes.copy(to, size, at);
          at += count;
          return count;
        });
    std::string out, buffer(1 << 16, '\0');
    while (const std::size_t got = *source(buffer.data(), buffer.size())) out.append(buffer, 0, got);
    return out;
  }

  image::testing::Workplace place_;
  const std::string text_ = std::string(300'000, 'x') + "end";
};

TEST_F(Recompress, WithoutWishesEverythingStays) {
  const auto gzip = layer("a", Compression::kGzip), zstd = layer("b", Compression::kZstd, true);
  const auto out = in({}, {gzip, zstd});
  ASSERT_TRUE(out);
  EXPECT_EQ((*out)[0], gzip->facts()->blob);
  EXPECT_EQ((*out)[1], zstd->facts()->blob);
}

TEST_F(Recompress, NewLayersBecomeWhatIsAskedForAndBaseLayersOnlyByForce) {
  const auto base = layer(text_, Compression::kGzip, true), mine = layer(text_ + "2", Compression::kGzip);
  for (const bool force : {false, true}) {
    const auto out = in({.compression = Compression::kZstd, .force = force}, {base, mine});
    ASSERT_TRUE(out) << out.error().message();
    EXPECT_EQ((*out)[0].digest == base->facts()->blob.digest, !force);
    EXPECT_EQ((*out)[0].media_type, force ? oci::media_type::kOciLayerZstd : oci::media_type::kOciLayerGzip);
    EXPECT_EQ((*out)[1].media_type, oci::media_type::kOciLayerZstd);
    EXPECT_EQ(plain((*out)[1]), tar_of({{"file", text_ + "2"}}));
  }
  const auto unpacked = in({.compression = Compression::kNone}, {mine});
  EXPECT_EQ((*unpacked)[0].digest, mine->facts()->diff.digest);
  EXPECT_EQ((*unpacked)[0].media_type, oci::media_type::kOciLayer);
}

TEST_F(Recompress, WhatFitsIsNotTouched) {
  const auto gzip = layer(text_, Compression::kGzip);
  EXPECT_EQ((*in({.compression = Compression::kGzip, .force = true}, {gzip}))[0], gzip->facts()->blob);
  // Known to the store already: found, not made.
  const auto first = in({.compression = Compression::kZstd}, {gzip});
  ASSERT_TRUE(first);
  ASSERT_EQ(::unlink((place_.store.root() + "/blobs/sha256/" + gzip->facts()->blob.digest.hex()).c_str()), 0);
  const auto again = in({.compression = Compression::kZstd}, {gzip});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*first, *again);
}

TEST_F(Recompress, LevelsAreForNewLayersAndRemembered) {
  const auto base = layer(text_, Compression::kGzip, true), mine = layer(text_ + "2", Compression::kGzip);
  const ImageFormat best{.compression = Compression::kGzip, .level = 9, .force = true};
  const auto out = in(best, {base, mine});
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ((*out)[0], base->facts()->blob) << "it is gzip, as asked";
  EXPECT_NE((*out)[1].digest, mine->facts()->blob.digest);
  EXPECT_EQ(plain((*out)[1]), tar_of({{"file", text_ + "2"}}));
  ASSERT_EQ(::unlink((place_.store.root() + "/blobs/sha256/" + mine->facts()->blob.digest.hex()).c_str()), 0);
  EXPECT_EQ(*in(best, {base, mine}), *out);
}

TEST_F(Recompress, AMemoryThatNamesAnotherLayerIsNotBelieved) {
  const auto one = layer(text_ + "1", Compression::kGzip), two = layer(text_ + "2", Compression::kGzip);
  const ImageFormat format{.compression = Compression::kGzip, .level = 3};
  const auto first = in(format, {one});
  ASSERT_TRUE(first);
  // As a broken meta.db may have it: the memory of `two` tells of the bytes of `one`.
  const std::string memory = two->facts()->diff.digest.text() + " gzip 3";
  ASSERT_TRUE(place_.store.remember("encoded layer", memory, (*first)[0].digest.text()));
  const auto second = in(format, {two});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(plain((*second)[0]), tar_of({{"file", text_ + "2"}}));
}

TEST_F(Recompress, DockersTypesHaveNoZstd) {
  const auto base = layer(text_, Compression::kZstd, true), mine = layer("m", Compression::kGzip);
  const auto out = in({.family = oci::Family::kDocker}, {base, mine});
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ((*out)[0].media_type, oci::media_type::kDockerLayerGzip);
  EXPECT_EQ((*out)[1].media_type, oci::media_type::kDockerLayerGzip);
  EXPECT_EQ((*out)[1].digest, mine->facts()->blob.digest);
}

TEST_F(Recompress, BytesThatAreNotTheLayerAreRefused) {
  const auto honest = layer(text_, Compression::kGzip);
  LayerFacts facts = *honest->facts();
  facts.diff = {oci::Digest::of("something else")};
  const auto out = in({.compression = Compression::kZstd}, {std::make_shared<Layer>(facts, nullptr)});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kDataLoss);
  EXPECT_FALSE(in(
      {.compression = Compression::kZstd},
      {std::make_shared<Layer>(LayerFacts{.diff = facts.diff,
                                          .chain = facts.chain,
                                          .blob = image::testing::describe("not here", oci::media_type::kOciLayerGzip),
                                          .created = Timestamp{1, 0}},
                               nullptr)}));
}

}  // namespace
}  // namespace slipway::build
