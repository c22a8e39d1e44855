// For the tests of pull and push: small images made by hand, a place to pull them to, and a registry to push them to
// without the code under test.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "base/synced.hpp"
#include "image/image.hpp"
#include "layer/codec.hpp"
#include "sys/file.hpp"

namespace slipway::image::testing {

/// A ustar archive of plain files.
inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string tar;
  for (const auto& [path, content] : files) {
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
    put(0, path);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000001");
    put(148, "        ");
    put(156, "0");
    put(257, std::string("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    tar += block + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return tar + std::string(1024, '\0');
}

inline std::string compress(const std::string& bytes, oci::Compression compression) {
  std::string out;
  const auto encoder = layer::encoder(compression, [&](std::string_view piece) -> Status {
    out += piece;
    return {};
  });
  EXPECT_TRUE(encoder->write(bytes));
  EXPECT_TRUE(encoder->finish());
  return out;
}

/// An image and all its bytes.
struct Built {
  std::string manifest, media_type, config;
  std::vector<std::string> layers;  ///< as they travel
  std::vector<std::string> plain;   ///< as they unpack
  [[nodiscard]] oci::Digest digest() const { return oci::Digest::of(manifest); }
  [[nodiscard]] oci::Descriptor descriptor() const {
    return {.media_type = media_type, .digest = digest(), .size = std::ssize(manifest)};
  }
};

inline oci::Descriptor describe(std::string_view bytes, std::string_view type) {
  return {.media_type = std::string(type), .digest = oci::Digest::of(bytes), .size = std::ssize(bytes)};
}

inline Built build(const std::vector<std::string>& tars, oci::Compression compression = oci::Compression::kGzip,
                   oci::Family family = oci::Family::kOci, const oci::Platform& platform = oci::Platform::host()) {
  Built built;
  oci::ImageConfigView view;
  view.platform = platform;
  std::vector<oci::Descriptor> layers;
  for (const auto& tar : tars) {
    built.plain.push_back(tar);
    built.layers.push_back(compress(tar, compression));
    view.diff_ids.push_back({oci::Digest::of(tar)});
    layers.push_back(describe(built.layers.back(), oci::media_type::layer(family, compression)));
  }
  built.config = oci::ImageConfig::make(view).raw();
  const bool docker = family == oci::Family::kDocker;
  const auto manifest = oci::Manifest::make(
      family, describe(built.config, docker ? oci::media_type::kDockerConfig : oci::media_type::kOciConfig), layers);
  built.manifest = manifest.raw();
  built.media_type = manifest.media_type();
  return built;
}

/// A store, a lease and a client, and what was told while they worked.
class Workplace : public progress::Sink {
 public:
  explicit Workplace(registry::ClientOptions options = {})
      : client([&] {
          options.first_retry_ms = 1;
          options.certificate_directories = {};
          return registry::Client::make(std::move(options)).value();
        }()) {}
  Images images() { return {store, lease, client}; }
  void on(const progress::Event& event) override {
    const auto held = events_.lock();
    held->push_back(event);
  }
  std::vector<progress::Event> events() { return *events_.lock(); }
  std::vector<std::string> warnings() {
    std::vector<std::string> texts;
    for (const auto& event : events())
      if (const auto* warning = std::get_if<progress::Warning>(&event)) texts.push_back(warning->text);
    return texts;
  }
  /// How many blobs were reported complete.
  std::map<std::string, int> transferred() {
    std::map<std::string, int> objects;
    for (const auto& event : events())
      if (const auto* transfer = std::get_if<progress::Transfer>(&event); transfer && transfer->done == transfer->total)
        ++objects[transfer->object];
    return objects;
  }

  const sys::TempDir directory = sys::TempDir::make("/tmp", "slipway-image-").value();
  store::Store store = store::Store::open(directory.path() + "/root", {}).value();
  store::Lease lease = store.lease("test").value();
  registry::Client client;

 private:
  Synced<std::vector<progress::Event>> events_;
};

inline oci::Reference reference(const std::string& text) { return oci::Reference::parse(text).value(); }

/// Puts an image into a real registry.
inline Status publish(const registry::Client& client, const oci::Reference& where, const Built& built,
                      const std::string& tag) {
  const auto repository = client.repository(where);
  std::vector<std::string> blobs = built.layers;
  blobs.push_back(built.config);
  for (const auto& bytes : blobs) {
    const auto open = [&](std::int64_t) -> Result<layer::Source> {
      return layer::Source(
          [&bytes, at = std::size_t{0}](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
            const std::size_t taken = bytes.copy(buffer, size, at);
            at += taken;
            return taken;
          });
    };
    TRY(repository.upload(describe(bytes, ""), open, std::nullopt, nullptr, {}));
  }
  return repository.put_manifest(built.manifest, built.media_type, tag, {});
}

}  // namespace slipway::image::testing
