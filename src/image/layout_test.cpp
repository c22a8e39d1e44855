// save_layout: an OCI layout in a directory, made, added to, and refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "image/image_fixture.hpp"

namespace slipway::image {
namespace {

using testing::build;
using testing::Built;
using testing::reference;
using testing::tar_of;
using testing::Workplace;

class Layout : public ::testing::Test {
 protected:
  Built image(const std::string& content) {
    const Built built = build({tar_of({{"a", content}})});
    for (const auto& layer : built.layers) EXPECT_TRUE(place_.store.put_blob(place_.lease, layer));
    EXPECT_TRUE(place_.store.put_blob(place_.lease, built.config));
    EXPECT_TRUE(place_.store.put_blob(place_.lease, built.manifest));
    return built;
  }
  Status save(const Built& built, const std::vector<std::string>& names) {
    SaveItem item{.references = {},
                  .target = built.digest(),
                  .media_type = built.media_type,
                  .holder = Holder::maker(),
                  .annotations = {{"k", "v"}}};
    for (const auto& name : names) item.references.push_back(reference(name));
    return save_layout(place_.store, {item}, path_, {});
  }
  std::vector<oci::Descriptor> entries() {
    return oci::Index::parse(*sys::read_file(path_ + "/index.json", 1 << 20), "")->manifests();
  }
  std::string blob(const oci::Digest& digest) { return path_ + "/blobs/sha256/" + digest.hex(); }

  Workplace place_;
  std::string path_ = place_.directory.path() + "/out/layout";
};

TEST_F(Layout, HoldsEveryBlobAndOneEntryPerName) {
  const Built built = image("one");
  ASSERT_TRUE(save(built, {"app:1", "app:2"}));
  EXPECT_EQ(*sys::read_file(path_ + "/oci-layout", 100), R"({"imageLayoutVersion":"1.0.0"})");
  ASSERT_EQ(entries().size(), 2u);
  EXPECT_EQ(entries()[0].annotations["org.opencontainers.image.ref.name"], "1");
  EXPECT_EQ(entries()[0].annotations["k"], "v");
  for (const auto& text : {built.manifest, built.config, built.layers[0]})
    EXPECT_EQ(*sys::read_file(blob(oci::Digest::of(text)), 1 << 20), text);
  EXPECT_EQ(sys::list_directory(sys::open(path_, O_RDONLY)->get(), "x")->size(), 3u) << "no temporary file stays";
}

TEST_F(Layout, AnotherImageJoinsAndATagMoves) {
  const Built one = image("one"), two = image("two");
  ASSERT_TRUE(save(one, {"app:1", "app:old"}));
  ASSERT_TRUE(save(two, {"other:1"}));
  std::map<std::string, oci::Digest> tags;
  for (auto& entry : entries()) tags.insert({entry.annotations["org.opencontainers.image.ref.name"], entry.digest});
  EXPECT_EQ(tags, (std::map<std::string, oci::Digest>{{"1", two.digest()}, {"old", one.digest()}}));
  ASSERT_TRUE(save(two, {}));
  ASSERT_TRUE(save(two, {}));
  EXPECT_EQ(entries().size(), 3u) << "an image without a name stands there once";
}

TEST_F(Layout, ABrokenBlobIsWrittenAgainAndAWholeOneIsNot) {
  const Built built = image("one");
  ASSERT_TRUE(save(built, {"app:1"}));
  const auto layer = blob(oci::Digest::of(built.layers[0])), config = blob(oci::Digest::of(built.config));
  struct stat before{}, after{};
  ASSERT_EQ(::stat(config.c_str(), &before), 0);
  ASSERT_TRUE(sys::replace_file(layer, std::string(built.layers[0].size(), 'x'), 0444));
  ASSERT_TRUE(save(built, {"app:1"}));
  EXPECT_EQ(*sys::read_file(layer, 1 << 20), built.layers[0]);
  ASSERT_EQ(::stat(config.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(Layout, LinksLeadNowhere) {
  const Built built = image("one");
  const std::string outside = place_.directory.path() + "/outside";
  ASSERT_TRUE(sys::make_directories(outside, 0755));
  ASSERT_TRUE(sys::make_directories(path_, 0755));
  ASSERT_EQ(::symlink(outside.c_str(), (path_ + "/blobs").c_str()), 0);
  EXPECT_FALSE(save(built, {"app:1"}));
  ASSERT_EQ(::unlink((path_ + "/blobs").c_str()), 0);
  ASSERT_TRUE(sys::replace_file(outside + "/victim", "mine", 0644));
  ASSERT_EQ(::symlink((outside + "/victim").c_str(), (path_ + "/oci-layout").c_str()), 0);
  ASSERT_TRUE(save(built, {"app:1"}));
  EXPECT_EQ(*sys::read_file(outside + "/victim", 100), "mine") << "the link is replaced, not followed";
}

TEST_F(Layout, AnIndexThatIsNoneIsNotOverwritten) {
  const Built built = image("one");
  ASSERT_TRUE(sys::make_directories(path_, 0755));
  for (const std::string text : {"precious", "[]", R"({"schemaVersion":2,"layers":[]})"}) {
    ASSERT_TRUE(sys::replace_file(path_ + "/index.json", text, 0644));
    const Status saved = save(built, {"app:1"});
    ASSERT_FALSE(saved) << text;
    EXPECT_THAT(saved.error().message(), ::testing::HasSubstr("index.json"));
    EXPECT_EQ(*sys::read_file(path_ + "/index.json", 100), text);
  }
}

TEST_F(Layout, AMissingBlobIsAnError) {
  const Built built = build({tar_of({{"a", "never stored"}})});
  ASSERT_TRUE(place_.store.put_blob(place_.lease, built.manifest));
  EXPECT_FALSE(save(built, {"app:1"}));
}

TEST_F(Layout, ManyAtOnceAllGetIn) {
  std::vector<Built> images;
  for (int i = 0; i < 8; ++i) images.push_back(image("image " + std::to_string(i)));
  std::vector<Status> results(images.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < images.size(); ++i)
      threads.emplace_back([&, i] { results[i] = save(images[i], {"app:" + std::to_string(i)}); });
  }
  for (const auto& result : results) EXPECT_TRUE(result);
  EXPECT_EQ(entries().size(), images.size());
}

}  // namespace
}  // namespace slipway::image
