#include <gtest/gtest.h>

#include "image/image.hpp"
#include "image/proofs.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

class DetailsTest : public testing::Test {
 protected:
  sys::TempDir directory_ = sys::TempDir::make(testing::TempDir(), "details").value();
  store::Store store_ = store::Store::open(directory_.path() + "/root", {}).value();
  store::Lease lease_ = store_.lease("test").value();

  struct Made {
    oci::Descriptor manifest;
    oci::Digest id;
  };
  /// An image without layers; `author` makes it another one.
  Made make(const std::string& author, const oci::Platform& platform = oci::Platform::host()) {
    oci::ImageConfigView view;
    view.author = author;
    view.platform = platform;
    const auto config = oci::ImageConfig::make(view);
    const auto blob = store_.put_blob(lease_, config.raw()).value();
    const auto manifest = oci::Manifest::make(
        oci::Family::kOci,
        {.media_type = std::string(oci::media_type::kOciConfig), .digest = blob.digest, .size = blob.size}, {});
    EXPECT_TRUE(store_.put_blob(lease_, manifest.raw()));
    EXPECT_TRUE(note_own_blobs(store::Origins(store_), manifest));
    return {manifest.descriptor(), config.digest()};
  }
  /// An index that was made here, of images that were.
  oci::Index index_of(const std::vector<oci::Descriptor>& entries) {
    auto index = oci::Index::make(oci::Family::kOci, entries);
    EXPECT_TRUE(store_.put_blob(lease_, index.raw()));
    for (const auto& entry : entries)
      EXPECT_TRUE(store::Origins(store_).note(store::Origin::image(index.digest()), entry.digest));
    return index;
  }
  void name(const std::string& text, const oci::Digest& target,
            std::string_view media_type = oci::media_type::kOciManifest) {
    ASSERT_TRUE(store_.set_name("default", oci::Reference::parse(text).value(), target, media_type, store::Durable::kNo,
                                kOwnWord));
  }
  std::string found(const std::string& text) {
    const auto result = find(store_, "default", text);
    return result ? result->target.text() : "error: " + result.error().what();
  }
};

TEST_F(DetailsTest, FindsByNameIdAndDigest) {
  const auto one = make("one"), two = make("two");
  name("app:1", one.manifest.digest);
  name("app:one", one.manifest.digest);
  name("registry.example/team/web", two.manifest.digest);
  const std::string target = one.manifest.digest.text();
  EXPECT_EQ(found("app:1"), target);
  EXPECT_EQ(found("docker.io/library/app:1"), target);
  EXPECT_EQ(found(one.id.text()), target);
  EXPECT_EQ(found(one.id.hex()), target);
  EXPECT_EQ(found(one.id.short_hex()), target);
  EXPECT_EQ(found(one.manifest.digest.short_hex()), target);
  EXPECT_EQ(found("app@" + target), target);
  EXPECT_EQ(found("registry.example/team/web"), two.manifest.digest.text());
  EXPECT_EQ(find(store_, "default", "app:1")->references,
            (std::vector<std::string>{"docker.io/library/app:1", "docker.io/library/app:one"}));
  EXPECT_EQ(found("app"), "error: no such image: \"app\"");
  EXPECT_EQ(found("other@" + target), "error: no such image: \"other@" + target + "\"");
  EXPECT_EQ(found("sha256:" + std::string(64, '0')), "error: no such image: \"sha256:" + std::string(64, '0') + "\"");
  EXPECT_TRUE(found("NO GOOD").starts_with("error: "));
}

TEST_F(DetailsTest, AnIndexIsShownByThePlatformThatIsHere) {
  const oci::Platform arm = oci::Platform::parse("linux/arm64").value(),
                      riscv = oci::Platform::parse("linux/riscv64").value(),
                      other = oci::Platform::parse("linux/s390x").value();
  const auto one = make("arm", arm), two = make("riscv", riscv);
  auto absent = one.manifest;
  absent.digest = oci::Digest::of("not pulled");
  absent.platform = other;
  std::vector<oci::Descriptor> entries{absent, two.manifest, one.manifest};
  entries[1].platform = riscv;
  entries[2].platform = arm;
  auto provenance = two.manifest;
  provenance.annotations = {{"vnd.docker.reference.type", "attestation-manifest"}};
  entries.push_back(provenance);
  const auto index = index_of(entries);
  const std::string type = index.media_type();

  const auto here = present_images(store_, Holder({}), index.digest(), type);
  ASSERT_TRUE(here);
  ASSERT_EQ(here->size(), 2U);
  EXPECT_EQ((*here)[0].descriptor.platform, riscv);
  EXPECT_EQ((*here)[1].manifest.digest(), one.manifest.digest);

  const bool own = oci::Platform::host().accepts(arm);
  EXPECT_EQ(details(store_, Holder({}), index.digest(), type, std::nullopt)->config.view().author,
            own ? "arm" : "riscv");
  EXPECT_EQ(details(store_, Holder({}), index.digest(), type, arm)->config.view().author, "arm");
  EXPECT_EQ(details(store_, Holder({}), index.digest(), type, other).error().code(), Code::kNotFound);

  name("app:1", index.digest(), type);
  EXPECT_EQ(found(one.id.text()), index.digest().text());  // by the id of any of its platforms
  EXPECT_EQ(found(two.id.short_hex()), index.digest().text());
}

TEST_F(DetailsTest, ANameCountsBeforeTheBeginningOfAnId) {
  const auto one = make("one"), two = make("two");
  name("app:1", one.manifest.digest);
  name(one.id.hex().substr(0, 8), two.manifest.digest);  // a repository named like an id
  EXPECT_EQ(found(one.id.hex().substr(0, 8)), two.manifest.digest.text());
  EXPECT_EQ(found(one.id.hex().substr(0, 9)), one.manifest.digest.text());
}

TEST_F(DetailsTest, AnAmbiguousIdIsAnError) {
  std::map<char, int> seen;
  char shared = 0;
  for (int i = 0; shared == 0; ++i) {  // sixteen first digits: soon two images have the same
    const auto made = make(std::to_string(i));
    name("app:" + std::to_string(i), made.manifest.digest);
    if (++seen[made.id.hex()[0]] == 2) shared = made.id.hex()[0];
  }
  EXPECT_TRUE(found(std::string(1, shared)).contains("ambiguous"));
}

TEST_F(DetailsTest, AnIndexGivesThePlatformsImage) {
  const auto host = oci::Platform::host();
  oci::Platform other = host;
  other.architecture = host.architecture == "s390x" ? "amd64" : "s390x";
  auto here = make("here", host).manifest, there = make("there", other).manifest;
  here.platform = host;
  there.platform = other;
  const auto index = index_of({there, here});
  const auto mine = details(store_, Holder({}), index.digest(), index.media_type(), host);
  ASSERT_TRUE(mine) << mine.error().message();
  EXPECT_EQ(mine->config.view().author, "here");
  EXPECT_EQ(mine->target, index.digest());
  EXPECT_EQ(details(store_, Holder({}), index.digest(), index.media_type(), other)->config.view().author, "there");
  other.architecture = "riscv64";
  EXPECT_FALSE(details(store_, Holder({}), index.digest(), index.media_type(), other));
}

/// Anybody can write an index that names somebody else's manifest, and a manifest that names a config.
TEST_F(DetailsTest, WhatIsNotKnownToBeTheHoldersIsNotHere) {
  const auto host = oci::Platform::host(), other = *oci::Platform::parse("linux/s390x");
  auto mine = make("mine", host).manifest, secret = make("secret", other).manifest;
  mine.platform = host;
  secret.platform = other;
  const auto index = oci::Index::make(oci::Family::kOci, {mine, secret});
  ASSERT_TRUE(store_.put_blob(lease_, index.raw()));
  const store::Origins origins(store_);
  const store::Origin theirs{"registry.example", "team/app"};
  for (const auto& served : {index.digest(), mine.digest}) ASSERT_TRUE(origins.note(theirs, served));
  const auto& type = index.media_type();
  const Holder thief({oci::Reference::parse("registry.example/team/app:1").value()});
  const auto here = present_images(store_, thief, index.digest(), type);
  ASSERT_TRUE(here) << here.error().message();
  ASSERT_EQ(here->size(), 1U);
  EXPECT_EQ(here->front().manifest.digest(), mine.digest);
  const auto shown = details(store_, thief, index.digest(), type, other);
  ASSERT_FALSE(shown);
  EXPECT_EQ(shown.error().code(), Code::kNotFound);
  EXPECT_TRUE(present_images(store_, Holder({}), index.digest(), type)->empty()) << "nobody made it here";
  EXPECT_EQ(present_images(store_, Holder::maker(), index.digest(), type)->size(), 2U);
  name("registry.example/team/app:1", index.digest(), type);
  name("mine:1", index.digest(), type);
  EXPECT_EQ(find(store_, "default", "mine:1")->holder.names().size(), 1U);
  EXPECT_EQ(find(store_, "default", index.digest().hex())->holder.names().size(), 2U);
}

TEST_F(DetailsTest, AnIndexThatTellsAWrongSizeIsNamed) {
  auto one = make("one", *oci::Platform::parse("linux/s390x")).manifest;
  one.size += 1;
  const auto index = index_of({one});
  const auto here = present_images(store_, Holder({}), index.digest(), index.media_type());
  ASSERT_FALSE(here);
  EXPECT_EQ(here.error().code(), Code::kDataLoss);
  for (const auto& digest : {one.digest, index.digest()})
    EXPECT_TRUE(here.error().what().contains(digest.text())) << here.error().what();
}

TEST_F(DetailsTest, AMissingDocumentIsAnErrorThatNamesTheImage) {
  const auto digest = oci::Digest::of("nothing");
  const auto none =
      details(store_, Holder({}), digest, std::string(oci::media_type::kOciManifest), oci::Platform::host());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().contexts().back(), "while reading image " + digest.text());
}

}  // namespace
}  // namespace slipway::image
