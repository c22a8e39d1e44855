// An OCI layout in a directory as what it is read as: whole, one image of it, and layouts that lie.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.hpp"
#include "image/image_fixture.hpp"
#include "image/layout_directory.hpp"

namespace slipway::image {
namespace {

using namespace testing;

class LayoutDirectoryTest : public ::testing::Test {
 protected:
  LayoutDirectoryTest() {
    EXPECT_TRUE(sys::make_directories(path_ + "/blobs/sha256", 0755));
    write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }
  void write(const std::string& name, const std::string& bytes) const {
    EXPECT_TRUE(sys::replace_file(path_ + "/" + name, bytes, 0644));
  }
  static std::string blob(std::string_view bytes) { return "blobs/sha256/" + oci::Digest::of(bytes).hex(); }
  /// The image's blobs in the layout.
  Built put(const std::string& content) const {
    const Built built = build({tar_of({{"a", content}})});
    for (const auto& layer : built.layers) write(blob(layer), layer);
    write(blob(built.config), built.config);
    write(blob(built.manifest), built.manifest);
    return built;
  }
  /// index.json with these images under these values of ref.name.
  void index(const std::vector<std::pair<Built, std::string>>& images) const {
    std::vector<oci::Descriptor> entries;
    for (const auto& [built, name] : images) {
      entries.push_back(built.descriptor());
      if (!name.empty()) entries.back().annotations["org.opencontainers.image.ref.name"] = name;
    }
    write("index.json", oci::Index::make(oci::Family::kOci, entries).raw());
  }
  Result<std::vector<Loaded>> load() { return load_layout(place_.store, place_.lease, path_, {}); }
  Result<Loaded> import(const std::string& tag, const std::string& digest = "") {
    return import_layout(place_.store, place_.lease, path_, tag, digest, {});
  }
  bool is_here(std::string_view bytes) {
    return place_.store.acquire_blob(place_.lease, oci::Digest::of(bytes)).value().has_value();
  }

  Workplace place_;
  std::string path_ = place_.directory.path() + "/layout";
};

TEST_F(LayoutDirectoryTest, EveryImageWithTheNamesThatNameOne) {
  const Built one = put("1"), two = put("2");
  index({{one, "docker.io/library/debian:12"}, {one, "team/app:1"}, {two, "latest"}});
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 2U);
  EXPECT_EQ((*loaded)[0].target, one.digest());
  EXPECT_EQ((*loaded)[0].references, (std::vector{reference("debian:12"), reference("team/app:1")}));
  EXPECT_EQ((*loaded)[1].references.size(), 0U) << "a tag alone names nothing";
  EXPECT_TRUE(is_here(two.layers[0]));
  EXPECT_TRUE(load()) << "a second time";
}

TEST_F(LayoutDirectoryTest, OneImageAndNothingOfTheOthers) {
  const Built one = put("1"), two = put("2");
  index({{one, "12"}, {two, "team/app:13"}});
  EXPECT_EQ(import("12")->target, one.digest());
  EXPECT_FALSE(is_here(two.layers[0]));
  EXPECT_EQ(import("")  // neither is called "latest", and there are two
                .error()
                .code(),
            Code::kNotFound);
  const auto second = import("13");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->references, std::vector{reference("team/app:13")});
  EXPECT_EQ(import("", one.digest().text())->target, one.digest());
  EXPECT_EQ(import("14").error().code(), Code::kNotFound);
}

TEST_F(LayoutDirectoryTest, BytesThatAreHereAreNoProof) {
  const Built one = put("1");
  index({{one, ""}});
  ASSERT_TRUE(place_.store.put_blob(place_.lease, one.layers[0]));
  ASSERT_EQ(::unlink((path_ + "/" + blob(one.layers[0])).c_str()), 0);
  EXPECT_EQ(load().error().code(), Code::kNotFound) << "the layout has it not";
  write(blob(one.layers[0]), std::string(one.layers[0].size(), 'x'));
  EXPECT_EQ(load().error().code(), Code::kDataLoss) << "the layout has other bytes of that size";
}

TEST_F(LayoutDirectoryTest, WhatItHadOnceIsNoProof) {
  const Built one = put("1");
  const auto layout = LayoutDirectory::open(path_);
  ASSERT_TRUE(layout);
  const std::string& layer = one.layers[0];
  const std::string file = path_ + "/" + blob(layer);
  const store::Blob here{oci::Digest::of(layer), std::ssize(layer)};
  const oci::Descriptor descriptor{
      .media_type = std::string(oci::media_type::kOciConfig), .digest = here.digest, .size = here.size};
  const auto bring = [&] { return layout->bring(place_.store, place_.lease, descriptor, {}); };
  const auto shows = [&] { return folder_shows(place_.store, layout->origin(), here).value(); };
  ASSERT_TRUE(bring());
  EXPECT_TRUE(shows());
  ASSERT_EQ(::rename(file.c_str(), (file + "-away").c_str()), 0);
  EXPECT_FALSE(shows());
  EXPECT_EQ(bring().error().code(), Code::kNotFound) << "the store has it, the directory has it no more";
  write(blob(layer), std::string(layer.size(), 'x'));
  EXPECT_FALSE(shows());
  EXPECT_EQ(bring().error().code(), Code::kDataLoss) << "another file of that name and size";
  write(blob(layer), layer + "x");
  EXPECT_FALSE(shows());
  write(blob(layer), layer);
  EXPECT_TRUE(shows()) << "another file with the bytes";
  EXPECT_TRUE(bring());
}

TEST_F(LayoutDirectoryTest, LinksFifosAndSizes) {
  const Built one = put("1");
  index({{one, ""}});
  const std::string config = path_ + "/" + blob(one.config);
  const std::string outside = place_.directory.path() + "/outside";
  ASSERT_EQ(::rename(config.c_str(), outside.c_str()), 0);
  ASSERT_EQ(::symlink(outside.c_str(), config.c_str()), 0);
  EXPECT_FALSE(load());
  ASSERT_EQ(::unlink(config.c_str()), 0);
  ASSERT_EQ(::mkfifo(config.c_str(), 0644), 0);
  EXPECT_EQ(load().error().code(), Code::kInvalidArgument);
  ASSERT_EQ(::unlink(config.c_str()), 0);
  write(blob(one.config), one.config + " ");
  EXPECT_EQ(load().error().code(), Code::kDataLoss);
  write(blob(one.config), one.config);
  EXPECT_TRUE(load());
}

TEST_F(LayoutDirectoryTest, WhatIsNoLayout) {
  EXPECT_EQ(load().error().code(), Code::kInvalidArgument) << "no index.json";
  write("index.json", "{");
  EXPECT_FALSE(load());
  write("index.json", std::string(oci::kManifestLimit + 1, ' '));
  EXPECT_EQ(load().error().code(), Code::kOutOfRange);
  index({{put("1"), ""}});
  write("oci-layout", R"({"imageLayoutVersion":"7.0.0"})");
  EXPECT_EQ(load().error().code(), Code::kUnimplemented);
}

}  // namespace
}  // namespace slipway::image
