#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <atomic>

#include "http/loopback_server.hpp"
#include "image/image_fixture.hpp"
#include "image/proofs.hpp"
#include "image/transfers.hpp"
#include "registry/docker_registry.hpp"

namespace slipway::image {
namespace {

using registry::testing::DockerRegistry;
using testing::build;
using testing::Built;
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

/// The manifest and these blobs of it, as if they were made here.
void keep(Workplace& place, const std::vector<std::string>& blobs, const Built& built) {
  for (const auto& blob : blobs) ASSERT_TRUE(place.store.put_blob(place.lease, blob));
  ASSERT_TRUE(place.store.put_blob(place.lease, built.manifest));
  const auto manifest = oci::Manifest::parse(built.manifest, built.media_type).value();
  ASSERT_TRUE(note_own_blobs(store::Origins(place.store), manifest));
}

void keep(Workplace& place, const Built& built) {
  auto blobs = built.layers;
  blobs.push_back(built.config);
  keep(place, blobs, built);
}

int count(const std::string& text, std::string_view part) {
  int found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

TEST(Push, WhatIsPushedIsPulledElsewhere) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  for (const auto family : {oci::Family::kOci, oci::Family::kDocker}) {
    Workplace here, there;
    const Built built =
        build({tar_of({{"a", "one"}}), tar_of({{"b", std::string(2'000'000, 'b')}})}, oci::Compression::kGzip, family);
    keep(here, built);
    const auto ref = reference(server.authority() + fmt::format("/team/app{}:1", static_cast<int>(family)));
    const auto pushed = here.images().push(built.digest(), built.media_type, ref, here, {});
    ASSERT_TRUE(pushed) << pushed.error().message();
    EXPECT_EQ(pushed->digest, built.digest());
    EXPECT_EQ(pushed->size, std::ssize(built.manifest));
    EXPECT_EQ(here.transferred().size(), 3U);
    const auto pulled = there.images().pull(ref, oci::Platform::host(), there, {});
    ASSERT_TRUE(pulled) << pulled.error().message();
    EXPECT_EQ(pulled->target, built.digest());
  }
}

TEST(Push, LayersThatAreNotWhatTheConfigSaysAreRefused) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})}), other = build({tar_of({{"a", "other"}})});
  keep(place, built);
  keep(place, other);
  const auto manifest = oci::Manifest::make(
      oci::Family::kOci, testing::describe(built.config, oci::media_type::kOciConfig),
      {testing::describe(other.layers[0], oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip))});
  ASSERT_TRUE(place.store.put_blob(place.lease, manifest.raw()));
  ASSERT_TRUE(note_own_blobs(store::Origins(place.store), manifest));
  const auto ref = reference(server.authority() + "/team/app:1");
  for (int times = 0; times < 2; ++times) {
    const auto pushed = place.images().push(manifest.digest(), manifest.media_type(), ref, place, {});
    ASSERT_FALSE(pushed);
    EXPECT_EQ(pushed.error().code(), Code::kDataLoss);
    EXPECT_THAT(pushed.error().message(), HasSubstr("not what the config says"));
  }
  EXPECT_FALSE(place.client.repository(ref).has_manifest(manifest.digest(), {}).value_or(false));
}

TEST(Push, AgainUploadsNothing) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  keep(place, built);
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(place.images().push(built.digest(), built.media_type, ref, place, {}));
  const auto first = place.transferred();
  ASSERT_TRUE(place.images().push(built.digest(), built.media_type, ref, place, {}));
  EXPECT_EQ(place.transferred(), first);
}

/// What `slipway tag` does.
Status tag(Workplace& place, const Built& built, const oci::Reference& held_by, const oci::Reference& name) {
  const auto scope = place.images().scope;
  const auto word = TRY(word_to_share(place.store, scope, built.digest(), {held_by.canonical()}));
  return place.store.set_name(scope, name, built.digest(), built.media_type, store::Durable::kNo, word);
}

TEST(Push, MountsWhatTheRegistryHasElsewhere) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  const auto base = reference(server.authority() + "/library/base:1");
  ASSERT_TRUE(publish(place.client, base, built, "1"));
  ASSERT_TRUE(place.images().pull(base, oci::Platform::host(), place, {}));
  const auto pulled = place.transferred();
  const auto ref = reference(server.authority() + "/team/app:1");
  ASSERT_TRUE(tag(place, built, base, ref));
  const auto pushed = place.images().push(built.digest(), built.media_type, ref, place, {});
  ASSERT_TRUE(pushed) << pushed.error().message();
  EXPECT_EQ(place.transferred(), pulled) << "no byte of a blob was sent";
  EXPECT_EQ(count(server.log(), "POST /v2/team/app/blobs/uploads/?mount="), 2) << server.log();
}

/// Layers that nothing has needed yet have to be where the image came from, and need not come by here.
TEST(Push, MountsFromTheImagesOwnRepositoryWithoutABlobInBetween) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  const auto base = reference(server.authority() + "/library/base:1"), ref = reference(server.authority() + "/app:1");
  ASSERT_TRUE(publish(place.client, base, built, "1"));
  ASSERT_TRUE(place.images().resolve(base, oci::Platform::host(), PullPolicy::kMissing, place, 1, {}));
  ASSERT_TRUE(tag(place, built, base, ref));
  ASSERT_TRUE(place.images().push(built.digest(), built.media_type, ref, place, {}));
  EXPECT_FALSE(place.transferred().contains(oci::Digest::of(built.layers[0]).text()));
  EXPECT_EQ(count(server.log(), "&from=library%2Fbase "), 2) << server.log();
}

/// The registry would mount the layer for us; the image has no right to it.
TEST(Push, DoesNotMountWhatTheImageIsNotKnownToHave) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  START_OR_SKIP(thief, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})}), other = build({tar_of({{"a", "two"}})});
  const auto secret = reference(server.authority() + "/team/secret:1");
  ASSERT_TRUE(publish(place.client, secret, built, "1"));
  ASSERT_TRUE(place.images().pull(secret, oci::Platform::host(), place, {}));
  const auto manifest = oci::Manifest::make(
      oci::Family::kOci, testing::describe(other.config, oci::media_type::kOciConfig),
      {testing::describe(built.layers[0], oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip))});
  for (const auto& bytes : {manifest.raw(), other.config}) ASSERT_TRUE(place.store.put_blob(place.lease, bytes));
  const store::Origins origins(place.store);
  ASSERT_TRUE(origins.note(store::Origin::image(manifest.digest()), manifest.config().digest));
  const oci::Digest layer = oci::Digest::of(built.layers[0]);
  const auto ref = reference(server.authority() + "/team/public:1");
  for (const std::string& from : {std::string(), thief.authority() + "/app:1", server.authority() + "/team/thief:1"}) {
    if (!from.empty()) {
      ASSERT_TRUE(remember_place(place.store, manifest.digest(), reference(from), {layer}));
    }
    EXPECT_FALSE(place.images().push(manifest.digest(), manifest.media_type(), ref, place, {})) << from;
    EXPECT_FALSE(place.client.repository(ref).has_blob(layer, {}).value_or(false)) << from;
    EXPECT_EQ(count(server.log(), "from=team%2Fsecret"), 0) << from;
  }
}

/// A registry that says it has a blob, or that it has mounted one, has shown nothing.
TEST(Push, TheRegistrysWordForABlobIsNoProof) {
  using http::testing::Connection;
  using http::testing::Received;
  Workplace place;
  const Built secret = build({tar_of({{"a", "one"}})}), other = build({tar_of({{"a", "two"}})});
  keep(place, secret);
  const std::string& layer = secret.layers[0];
  const auto manifest = oci::Manifest::make(
      oci::Family::kOci, testing::describe(other.config, oci::media_type::kOciConfig),
      {testing::describe(layer, oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip))});
  for (const auto& bytes : {manifest.raw(), other.config}) ASSERT_TRUE(place.store.put_blob(place.lease, bytes));
  const store::Origins origins(place.store);
  ASSERT_TRUE(origins.note(store::Origin::image(manifest.digest()), manifest.config().digest));
  std::atomic<bool> mounts = false;
  const http::testing::LoopbackServer liar([&](const Received& request, Connection& peer) {
    const bool blob = request.target.contains("/blobs/sha256:");
    if (request.method == "HEAD") {
      const bool lacks = mounts && request.target.contains(oci::Digest::of(layer).text());
      const char* status = blob && !lacks ? "200 OK" : "404 X";
      return (void)peer.send(fmt::format("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", status));
    }
    peer.reply(request.target == "/v2/" ? 200 : 201, {}, "");
  });
  const auto named = reference(liar.authority() + "/team/app:1"), copy = reference(liar.authority() + "/team/copy:1");
  ASSERT_TRUE(remember_place(place.store, manifest.digest(), named, {oci::Digest::of(layer)}));
  const auto noted = [&](const oci::Reference& name, std::string_view bytes) {
    return *origins.has(origin_of(name, registry::Trust::kVerified), oci::Digest::of(bytes));
  };
  const auto there = place.images().push(manifest.digest(), manifest.media_type(), named, place, {});
  ASSERT_TRUE(there) << there.error().message();
  EXPECT_FALSE(noted(named, layer)) << "a HEAD";
  mounts = true;
  const auto mounted = place.images().push(manifest.digest(), manifest.media_type(), copy, place, {});
  ASSERT_TRUE(mounted) << mounted.error().message();
  EXPECT_FALSE(noted(copy, layer)) << "a mount";
  // What it got, or what came from there before, is.
  ASSERT_TRUE(origins.note(origin_of(named, registry::Trust::kVerified), oci::Digest::of(layer)));
  ASSERT_TRUE(place.images().push(manifest.digest(), manifest.media_type(), copy, place, {}));
  EXPECT_TRUE(noted(copy, layer));
}

TEST(Push, AnIndexWithAllItsImages) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace here, there;
  const auto amd64 = oci::Platform::parse("linux/amd64").value();
  const auto arm64 = oci::Platform::parse("linux/arm64").value();
  const Built amd = build({tar_of({{"a", "amd"}})}, oci::Compression::kGzip, oci::Family::kOci, amd64);
  const Built arm = build({tar_of({{"a", "arm"}})}, oci::Compression::kGzip, oci::Family::kOci, arm64);
  auto first = amd.descriptor();
  first.platform = amd64;
  auto second = arm.descriptor();
  second.platform = arm64;
  const auto index = oci::Index::make(oci::Family::kOci, {first, second});
  keep(here, amd);
  ASSERT_TRUE(here.store.put_blob(here.lease, index.raw()));
  const auto own = [&](const Built& image) {
    ASSERT_TRUE(store::Origins(here.store).note(store::Origin::image(index.digest()), image.digest()));
  };
  own(amd);
  const auto ref = reference(server.authority() + "/team/app:1");

  // One of two is here: it goes alone, and that is said.
  auto pushed = here.images().push(index.digest(), index.media_type(), ref, here, {});
  ASSERT_TRUE(pushed) << pushed.error().message();
  EXPECT_EQ(pushed->digest, amd.digest());
  ASSERT_EQ(here.warnings().size(), 1U);
  EXPECT_THAT(here.warnings()[0], HasSubstr("linux/amd64"));

  keep(here, arm);
  pushed = here.images().push(index.digest(), index.media_type(), ref, here, {});
  ASSERT_TRUE(pushed) << pushed.error().message();
  EXPECT_EQ(pushed->digest, amd.digest()) << "nothing says that the other one is this index's";
  own(arm);
  pushed = here.images().push(index.digest(), index.media_type(), ref, here, {});
  ASSERT_TRUE(pushed) << pushed.error().message();
  EXPECT_EQ(pushed->digest, index.digest());
  for (const auto& platform : {amd64, arm64}) EXPECT_TRUE(there.images().pull(ref, platform, there, {}));
}

TEST(Push, ALayerThatIsNotHereIsNamed) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  keep(place, {built.config}, built);
  const auto ref = reference(server.authority() + "/team/app:1");
  const auto pushed = place.images().push(built.digest(), built.media_type, ref, place, {});
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code(), Code::kNotFound);
  EXPECT_THAT(pushed.error().message(), HasSubstr(oci::Digest::of(built.layers[0]).text()));
}

TEST(Push, ToADigestThatIsNotTheImages) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  keep(place, built);
  const auto ref = reference(server.authority() + "/team/app@" + oci::Digest::of("other").text());
  EXPECT_FALSE(place.images().push(built.digest(), built.media_type, ref, place, {}));
  const auto right = reference(server.authority() + "/team/app@" + built.digest().text());
  EXPECT_TRUE(place.images().push(built.digest(), built.media_type, right, place, {}));
}

TEST(Push, ByDigestLeavesNoName) {
  START_OR_SKIP(server, DockerRegistry::start({}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  keep(place, built);
  const auto ref = reference(server.authority() + "/team/app");
  const auto pushed = place.images().push(built.digest(), built.media_type, ref, place, {}, {.by_digest = true});
  ASSERT_TRUE(pushed) << pushed.error().message();
  const auto repository = place.client.repository(ref);
  EXPECT_TRUE(*repository.has_manifest(built.digest(), {}));
  EXPECT_FALSE(repository.manifest(ref, {})) << "latest was not set";
}

TEST(Push, AnInsecureRegistryIsBelievedWhenItIsCalledSo) {
  const auto directory = sys::TempDir::make("/tmp", "slipway-keys-").value();
  START_OR_SKIP(keys, registry::testing::KeyPair::make(directory.path()));
  START_OR_SKIP(server, DockerRegistry::start({.tls = &keys}));
  Workplace place;
  const Built built = build({tar_of({{"a", "one"}})});
  keep(place, built);
  const auto ref = reference(server.authority() + "/team/app:1");
  const auto push = [&](registry::Trust trust) {
    return place.images().push(built.digest(), built.media_type, ref, place, {}, {.trust = trust});
  };
  EXPECT_FALSE(push(registry::Trust::kVerified)) << "nobody vouches for its certificate";
  const auto pushed = push(registry::Trust::kAnybody);
  ASSERT_TRUE(pushed) << pushed.error().message();
  EXPECT_FALSE(push(registry::Trust::kVerified)) << "a connection that was not verified serves nobody else";
}

}  // namespace
}  // namespace slipway::image
