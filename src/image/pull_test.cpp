#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "http/loopback_server.hpp"
#include "image/image_fixture.hpp"
#include "image/proofs.hpp"
#include "registry/docker_registry.hpp"

namespace slipway::image {
namespace {

using http::testing::Connection;
using http::testing::LoopbackServer;
using http::testing::Received;
using registry::testing::DockerRegistry;
using testing::build;
using testing::Built;
using testing::describe;
using ::testing::HasSubstr;
using testing::reference;
using testing::tar_of;
using testing::Workplace;

#define START_OR_SKIP(name, ...)                                                                 \
  auto name##_or_not = __VA_ARGS__;                                                              \
  if (!name##_or_not) {                                                                          \
    ASSERT_EQ(name##_or_not.error().code(), Code::kNotFound) << name##_or_not.error().message(); \
    GTEST_SKIP() << name##_or_not.error().message();                                             \
  }                                                                                              \
  auto& name = *name##_or_not

std::string content(const store::Snapshot& snapshot, const std::string& path) {
  return sys::read_file(snapshot.directory + "/" + path, 1 << 24).value_or("(missing)");
}

TEST(Pull, GivesAnUnpackedImage) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  for (const auto compression : {oci::Compression::kGzip, oci::Compression::kZstd, oci::Compression::kNone}) {
    Workplace place;
    const Built built =
        build({tar_of({{"a", "one"}, {"big", std::string(5'000'000, 'b')}}), tar_of({{"b", "two"}})}, compression);
    const auto ref = reference(server.authority() + fmt::format("/team/app:{}", static_cast<int>(compression)));
    ASSERT_TRUE(publish(place.client, ref, built, ref.tag()));
    const auto pulled = place.images().pull(ref, oci::Platform::host(), place, {});
    ASSERT_TRUE(pulled) << pulled.error().message();
    EXPECT_EQ(pulled->target, built.digest());
    EXPECT_EQ(pulled->manifest.raw(), built.manifest);
    EXPECT_EQ(pulled->config.raw(), built.config);
    const auto name = place.store.find_name("default", ref).value();
    ASSERT_TRUE(name);
    EXPECT_EQ(name->target, built.digest());

    const auto chain = place.images().unpack(*pulled, place, 1, {}).value();
    ASSERT_EQ(chain.size(), 2U);
    EXPECT_EQ(content(chain[0], "a"), "one");
    EXPECT_EQ(content(chain[0], "big").size(), 5'000'000U);
    EXPECT_EQ(content(chain[1], "b"), "two");
    EXPECT_EQ(chain[1].parent, chain[0].chain);
    for (const auto& layer : built.layers) EXPECT_TRUE(place.store.open_blob(oci::Digest::of(layer)));
    const auto known = place.store.layer_of_blob(oci::Digest::of(built.layers[0])).value();
    ASSERT_TRUE(known);
    EXPECT_EQ(known->diff.digest, oci::Digest::of(built.plain[0]));
    EXPECT_EQ(known->compression, compression);
    EXPECT_EQ(known->tree_bytes, 3 + 5'000'000);
    EXPECT_TRUE(place.store.fsck(false, {}).value().empty());
  }
}

TEST(Pull, AgainTransfersNothing) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", "two"}}), tar_of({{"a", "one"}})});
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(publish(place.client, ref, built, "1"));
  ASSERT_TRUE(place.images().pull(ref, oci::Platform::host(), place, {}));
  const auto first = place.transferred();
  EXPECT_EQ(first.size(), 3U) << "two layers (one of them used twice) and the config";
  for (const auto& [object, times] : first) EXPECT_EQ(times, 1) << object;
  ASSERT_TRUE(place.images().pull(ref, oci::Platform::host(), place, {}));
  EXPECT_EQ(place.transferred(), first);
}

TEST(Pull, DockersFamily) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})}, oci::Compression::kGzip, oci::Family::kDocker);
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(publish(place.client, ref, built, "1"));
  const auto pulled = place.images().pull(ref, oci::Platform::host(), place, {});
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target_media_type, oci::media_type::kDockerManifest);
}

/// An index over an arm64 and an amd64 image, published.
oci::Index publish_index(Workplace& place, const oci::Reference& ref, const Built& arm, const Built& amd) {
  auto first = arm.descriptor();
  first.platform = oci::Platform::parse("linux/arm64").value();
  auto second = amd.descriptor();
  second.platform = oci::Platform::parse("linux/amd64").value();
  auto index = oci::Index::make(oci::Family::kOci, {first, second});
  EXPECT_TRUE(publish(place.client, ref, arm, arm.digest().text()));
  EXPECT_TRUE(publish(place.client, ref, amd, amd.digest().text()));
  EXPECT_TRUE(place.client.repository(ref).put_manifest(index.raw(), index.media_type(), ref.tag(), {}));
  return index;
}

TEST(Pull, ChoosesThePlatformOfAnIndex) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const auto arm64 = oci::Platform::parse("linux/arm64").value();
  const auto amd64 = oci::Platform::parse("linux/amd64").value();
  const Built arm = build({tar_of({{"a", "arm"}})}, oci::Compression::kGzip, oci::Family::kOci, arm64);
  const Built amd = build({tar_of({{"a", "amd"}})}, oci::Compression::kGzip, oci::Family::kOci, amd64);
  const auto ref = reference(server.authority() + "/team/app:1");
  const auto index = publish_index(place, ref, arm, amd);
  const auto pulled = place.images().pull(ref, amd64, place, {});
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target, index.digest());
  EXPECT_EQ(pulled->manifest.digest(), amd.digest());
  EXPECT_FALSE(place.store.open_blob(arm.digest())) << "the other platform is not fetched";
  // The name is here, the other platform's manifest is not: it is fetched by the index's digest.
  const auto other = place.images().resolve(ref, arm64, PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(other) << other.error().message();
  EXPECT_EQ(other->manifest.digest(), arm.digest());
  const auto none =
      place.images().resolve(ref, oci::Platform::parse("linux/s390x").value(), PullPolicy::kMissing, place, 1, {});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message(), HasSubstr("linux/arm64, linux/amd64"));
}

TEST(Pull, WarnsAboutAnotherPlatform) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "x"}})}, oci::Compression::kGzip, oci::Family::kOci,
                            oci::Platform::parse("linux/s390x").value());
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(publish(place.client, ref, built, "1"));
  ASSERT_TRUE(place.images().pull(ref, oci::Platform::parse("linux/amd64").value(), place, {}));
  ASSERT_EQ(place.warnings().size(), 1U);
  EXPECT_THAT(place.warnings()[0], HasSubstr("is an image for linux/s390x, not for linux/amd64; there is no other"));
}

TEST(Resolve, WhatIsHereForAnotherPlatformIsAskedOfTheRegistry) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const auto arm64 = oci::Platform::parse("linux/arm64").value();
  const auto s390x = oci::Platform::parse("linux/s390x").value();
  const Built arm = build({tar_of({{"a", "arm"}})}, oci::Compression::kGzip, oci::Family::kOci, arm64);
  const Built far = build({tar_of({{"a", "far"}})}, oci::Compression::kGzip, oci::Family::kOci, s390x);
  const auto ref = reference(server.authority() + "/team/app:1");
  const auto put = [&](const std::string& bytes) { ASSERT_TRUE(place.store.put_blob(place.lease, bytes)); };
  for (const auto& bytes : {far.layers[0], far.config, far.manifest}) put(bytes);
  ASSERT_TRUE(note_own_blobs(store::Origins(place.store), oci::Manifest::parse(far.manifest, far.media_type).value()));
  ASSERT_TRUE(place.store.set_name("default", ref, far.digest(), far.media_type, store::Durable::kNo, kOwnWord));

  const auto nowhere = place.images().resolve(ref, arm64, PullPolicy::kMissing, place, 1, {});
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message(), HasSubstr("is an image for linux/s390x, not for linux/arm64"));
  EXPECT_THAT(nowhere.error().message(), HasSubstr("the registry says: "));
  EXPECT_THAT(nowhere.error().hint(), HasSubstr("--platform linux/s390x"));

  ASSERT_TRUE(publish(place.client, ref, arm, "1"));
  const auto found = place.images().resolve(ref, arm64, PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->manifest.digest(), arm.digest());
  EXPECT_EQ((*place.store.find_name("default", ref))->target, far.digest()) << "the name stays what it was";
  EXPECT_FALSE(place.images().resolve(ref, arm64, PullPolicy::kNever, place, 1, {}));
  EXPECT_EQ(place.images().resolve(ref, s390x, PullPolicy::kMissing, place, 1, {})->target, far.digest());
  EXPECT_TRUE(place.warnings().empty());
}

TEST(Resolve, PolicyDecidesWhoIsAsked) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const auto ref = reference(server.authority() + "/team/app:1");
  const auto host = oci::Platform::host();
  const auto never = place.images().resolve(ref, host, PullPolicy::kNever, place, 1, {});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code(), Code::kNotFound);
  EXPECT_EQ(never.error().hint(), "`slipway pull " + ref.familiar() + "` fetches it");

  const Built old = build({tar_of({{"a", "old"}})});
  const Built fresh = build({tar_of({{"a", "fresh"}})});
  ASSERT_TRUE(publish(place.client, ref, old, "1"));
  EXPECT_EQ(place.images().resolve(ref, host, PullPolicy::kMissing, place, 1, {})->target, old.digest());
  ASSERT_TRUE(publish(place.client, ref, fresh, "1"));
  EXPECT_EQ(place.images().resolve(ref, host, PullPolicy::kMissing, place, 1, {})->target, old.digest());
  EXPECT_EQ(place.images().resolve(ref, host, PullPolicy::kNever, place, 1, {})->target, old.digest());
  EXPECT_EQ(place.images().resolve(ref, host, PullPolicy::kAlways, place, 1, {})->target, fresh.digest());
  EXPECT_EQ(place.images().resolve(ref, host, PullPolicy::kNever, place, 1, {})->target, fresh.digest());
}

TEST(Pull, ByDigest) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  const auto tagged = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(publish(place.client, tagged, built, "1"));
  const auto ref = reference(server.authority() + "/team/app@" + built.digest().text());
  ASSERT_TRUE(place.images().pull(ref, oci::Platform::host(), place, {}));
  EXPECT_TRUE(place.store.find_name("default", ref).value());
}

TEST(Pull, ManyAtOnceDownloadEachBlobOnce) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  std::vector<std::string> tars;
  for (int i = 0; i < 5; ++i)
    tars.push_back(tar_of({{fmt::format("file{}", i), std::string(300'000, static_cast<char>('a' + i))}}));
  const Built built = build(tars, oci::Compression::kNone);
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(publish(place.client, ref, built, "1"));
  // Stores and leases of their own: as other processes would have them.
  struct Process {
    store::Store store;
    store::Lease lease;
  };
  std::vector<Process> processes;
  for (int i = 0; i < 6; ++i) {
    auto store = store::Store::open(place.directory.path() + "/root", {}).value();
    auto lease = store.lease("test").value();
    processes.push_back({std::move(store), std::move(lease)});
  }
  {
    std::vector<std::jthread> pullers;
    for (auto& process : processes) {
      pullers.emplace_back([&] {
        const auto pulled =
            Images{process.store, process.lease, place.client}.pull(ref, oci::Platform::host(), place, {});
        EXPECT_TRUE(pulled) << pulled.error().message();
      });
    }
  }
  EXPECT_EQ(place.transferred().size(), 6U);
  for (const auto& [object, times] : place.transferred()) EXPECT_EQ(times, 1) << object;
}

// --- what a registry can lie about

/// A registry of one image whose every answer a test may change first.
class Liar {
 public:
  explicit Liar(const Built& built) : server_([this](const Received& r, Connection& p) { answer(r, p); }) {
    serve("/v2/app/manifests/1", built.manifest, built.media_type);
    serve("/v2/app/manifests/" + built.digest().text(), built.manifest, built.media_type);
    serve("/v2/app/blobs/" + oci::Digest::of(built.config).text(), built.config);
    for (const auto& layer : built.layers) serve(layer_path(layer), layer);
  }
  static std::string layer_path(const std::string& layer) { return "/v2/app/blobs/" + oci::Digest::of(layer).text(); }
  void serve(const std::string& path, std::string body, std::string type = "application/octet-stream") {
    answers_[path] = [body = std::move(body), type = std::move(type)](const Received&, Connection& peer) {
      peer.reply(200, {{"Content-Type", type}}, body);
    };
  }
  void serve_by(const std::string& path, http::testing::Handler handler) { answers_[path] = std::move(handler); }
  [[nodiscard]] oci::Reference name() const { return reference(server_.authority() + "/app:1"); }

  Result<Resolved> pull(Workplace& place, const Cancel& cancel = {}) {
    return place.images().pull(name(), oci::Platform::host(), place, cancel);
  }

 private:
  void answer(const Received& request, Connection& peer) {
    const auto found = answers_.find(request.target);
    if (request.target == "/v2/") return peer.reply(200, {}, "{}");
    if (found == answers_.end()) return peer.reply(404, {}, "");
    found->second(request, peer);
  }
  std::map<std::string, http::testing::Handler> answers_;
  LoopbackServer server_;
};

/// The pull fails so, and leaves nothing behind that says otherwise.
void expect_refused(Workplace& place, Liar& liar, const Built& built, std::string_view why,
                    Code code = Code::kDataLoss) {
  const auto pulled = liar.pull(place);
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().message(), HasSubstr(why));
  EXPECT_EQ(pulled.error().code(), code) << pulled.error().message();
  EXPECT_FALSE(place.store.find_name("default", liar.name()).value());
  std::optional<oci::ChainId> chain;
  for (const auto& plain : built.plain) {
    const oci::DiffId diff{oci::Digest::of(plain)};
    chain = chain ? chain->next(diff) : oci::ChainId::first(diff);
  }
  EXPECT_FALSE(place.store.acquire_snapshot(place.lease, *chain).value());
  EXPECT_TRUE(place.store.fsck(false, {}).value().empty());
}

TEST(HostilePull, AnHonestLiarIsFine) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", "two"}})});
  Liar liar(built);
  const auto pulled = liar.pull(place);
  EXPECT_TRUE(pulled) << pulled.error().message();
}

TEST(HostilePull, AFlippedBit) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})}, oci::Compression::kNone);
  Liar liar(built);
  std::string bytes = built.layers[0];
  bytes[600] ^= 1;
  liar.serve(Liar::layer_path(built.layers[0]), bytes);
  expect_refused(place, liar, built, "the blob's digest is " + oci::Digest::of(bytes).text());
  EXPECT_FALSE(place.store.open_blob(oci::Digest::of(built.layers[0])));
  EXPECT_FALSE(place.store.open_blob(oci::Digest::of(bytes)));
}

TEST(HostilePull, GarbageIsToldAsAWrongDigest) {
  Workplace place;
  const Built built = build({tar_of({{"a", std::string(100'000, 'a')}})});
  Liar liar(built);
  liar.serve(Liar::layer_path(built.layers[0]), std::string(built.layers[0].size(), 'x'));
  expect_refused(place, liar, built, "the blob's digest is");
}

TEST(HostilePull, TooShortAndTooLong) {
  const Built built = build({tar_of({{"a", "one"}})});
  for (const int difference : {-1, 1}) {
    Workplace place;
    Liar liar(built);
    std::string bytes = built.layers[0];
    bytes.resize(bytes.size() + static_cast<std::size_t>(difference));
    liar.serve(Liar::layer_path(built.layers[0]), bytes);
    expect_refused(place, liar, built,
                   fmt::format("is announced with {} bytes, it should have {}", bytes.size(), built.layers[0].size()));
  }
}

TEST(HostilePull, ADiffIdThatIsNotTheLayers) {
  Workplace place;
  Built built = build({tar_of({{"a", "one"}})});
  const Built other = build({tar_of({{"a", "two"}})});
  const auto manifest = oci::Manifest::make(oci::Family::kOci, describe(other.config, oci::media_type::kOciConfig),
                                            {describe(built.layers[0], oci::media_type::kOciLayerGzip)});
  built.config = other.config;
  built.manifest = manifest.raw();
  Liar liar(built);
  expect_refused(place, liar, other, "its plain bytes have the digest " + oci::Digest::of(built.plain[0]).text());
}

TEST(HostilePull, ManifestAndIndexInOne) {
  Workplace place;
  Built built = build({tar_of({{"a", "one"}})});
  built.manifest.insert(built.manifest.size() - 1, R"(,"manifests":[])");
  Liar liar(built);
  expect_refused(place, liar, built, "manifests", Code::kInvalidArgument);
}

TEST(HostilePull, ATypeThatIsNotTheBodys) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  Liar liar(built);
  liar.serve("/v2/app/manifests/1", built.manifest, std::string(oci::media_type::kDockerManifest));
  expect_refused(place, liar, built, "calls itself", Code::kInvalidArgument);
}

TEST(HostilePull, AnIndexEntryOfAnotherSize) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  auto entry = built.descriptor();
  entry.size += 1;
  entry.platform = oci::Platform::host();
  const auto index = oci::Index::make(oci::Family::kOci, {entry});
  Liar liar(built);
  liar.serve("/v2/app/manifests/1", index.raw(), index.media_type());
  expect_refused(place, liar, built, "its index says");
}

TEST(HostilePull, AnIndexInAnIndexInAnIndex) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  Liar liar(built);
  auto entry = built.descriptor();
  entry.platform = oci::Platform::host();
  for (int depth = 0; depth < 8; ++depth) {
    const auto index = oci::Index::make(oci::Family::kOci, {entry});
    liar.serve("/v2/app/manifests/" + index.digest().text(), index.raw(), index.media_type());
    liar.serve("/v2/app/manifests/1", index.raw(), index.media_type());
    entry = describe(index.raw(), index.media_type());
    entry.platform = oci::Platform::host();
  }
  expect_refused(place, liar, built, "nested more than", Code::kInvalidArgument);
}

TEST(HostilePull, NotAContainerImage) {
  Workplace place;
  Built built = build({tar_of({{"a", "one"}})});
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, describe(built.config, "application/vnd.cncf.helm.config.v1+json"),
                          {describe(built.layers[0], oci::media_type::kOciLayerGzip)});
  built.manifest = manifest.raw();
  Liar liar(built);
  expect_refused(place, liar, built, "it is not a container image", Code::kFailedPrecondition);
}

TEST(HostilePull, AHugeConfigIsNotRead) {
  Workplace place;
  Built built = build({tar_of({{"a", "one"}})});
  auto config = describe(built.config, oci::media_type::kOciConfig);
  config.size = oci::kConfigLimit + 1;
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, config, {describe(built.layers[0], oci::media_type::kOciLayerGzip)});
  built.manifest = manifest.raw();
  Liar liar(built);
  expect_refused(place, liar, built, "its config is said to have", Code::kOutOfRange);
}

TEST(Pull, ATypelessRegistryIsUnderstood) {
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  Liar liar(built);
  liar.serve("/v2/app/manifests/1", built.manifest, "application/json");
  const auto pulled = liar.pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target_media_type, oci::media_type::kOciManifest);
}

TEST(Pull, ABrokenTransferIsResumedWhileItIsUnpacked) {
  Workplace place;
  const Built built = build({tar_of({{"a", std::string(3'000'000, 'x')}})}, oci::Compression::kNone);
  const std::string& layer = built.layers[0];
  Liar liar(built);
  std::vector<std::string> ranges;
  liar.serve_by(Liar::layer_path(layer), [&](const Received& request, Connection& peer) {
    const std::string range = request.headers.find("Range").value_or("");
    ranges.push_back(range);
    const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    const std::size_t to = std::min(from + 1'000'000, layer.size());
    peer.send(fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                          from == 0 ? 200 : 206, layer.size() - from, from, layer.size() - 1, layer.size()));
    peer.send(std::string_view(layer).substr(from, to - from));
    peer.close();
  });
  const auto pulled = liar.pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_THAT(ranges, ::testing::ElementsAre("", "bytes=1000000-", "bytes=2000000-", "bytes=3000000-"));
  EXPECT_EQ(content(place.images().unpack(*pulled, place, 1, {}).value()[0], "a").size(), 3'000'000U);
}

TEST(Pull, CancelStopsAllLayers) {
  Workplace place;
  std::vector<std::string> tars;
  for (int i = 0; i < 4; ++i) tars.push_back(tar_of({{fmt::format("f{}", i), std::string(100'000, 'x')}}));
  const Built built = build(tars, oci::Compression::kNone);
  CancelSource source;
  std::atomic<int> started = 0;
  Liar liar(built);  // its threads use what stands above
  for (const auto& layer : built.layers) {
    liar.serve_by(Liar::layer_path(layer), [&](const Received&, Connection& peer) {
      peer.send(fmt::format("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", layer.size()));
      peer.send(std::string_view(layer).substr(0, 1000));
      if (++started == 4) source.fire("the test has seen enough");
      peer.wait_for_hang_up();
    });
  }
  const auto pulled = liar.pull(place, source.cancel());
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::kCancelled);
  EXPECT_THAT(pulled.error().message(), HasSubstr("the test has seen enough"));
}

TEST(Pull, OneBrokenLayerStopsTheOthersAndIsNamed) {
  Workplace place;
  std::vector<std::string> tars;
  for (int i = 0; i < 4; ++i) tars.push_back(tar_of({{fmt::format("f{}", i), std::string(1000, 'x')}}));
  const Built built = build(tars, oci::Compression::kNone);
  Liar liar(built);
  for (const auto& layer : built.layers)
    liar.serve_by(Liar::layer_path(layer), [&](const Received&, Connection& peer) {
      if (&layer == &built.layers[2]) return peer.reply(404, {}, "");
      peer.wait_for_hang_up();  // for ever, were it not for the one that failed
    });
  const auto pulled = liar.pull(place);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::kNotFound) << pulled.error().message();
  EXPECT_THAT(pulled.error().message(), HasSubstr(oci::Digest::of(built.layers[2]).text()));
}

}  // namespace
}  // namespace slipway::image
