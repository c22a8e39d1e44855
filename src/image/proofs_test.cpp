// Proofs: what of the bytes that are here may be used on whose word, and what that costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image_server.hpp"
#include "image/proofs.hpp"
#include "store/sqlite.hpp"

namespace slipway::image {
namespace {

using testing::blob;
using testing::build;
using testing::Built;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::joe_for;
using ::testing::Not;
using testing::reference;
using testing::Server;
using testing::tar_of;
using ::testing::UnorderedElementsAre;
using testing::Workplace;

class Proof : public ::testing::Test {
 protected:
  explicit Proof() { server.want("joe", "s3cret"); }
  Result<Resolved> pull(registry::Client& client, const std::string& scope, const std::string& name = "") {
    Images images{place.store, place.lease, client, scope};
    const auto ref = reference(name.empty() ? server.authority() + "/team/app:1" : name);
    return images.pull(ref, oci::Platform::host(), place, {});
  }
  /// As `slipway tag` does.
  Status tag(const oci::Reference& from, const oci::Reference& to) {
    const auto word = TRY(word_to_share(place.store, "default", built.digest(), {from.canonical()}));
    return place.store.set_name("default", to, built.digest(), built.media_type, store::Durable::kNo, word);
  }
  static registry::Client client_of(registry::CredentialStore credentials, int parallel_transfers = 6) {
    registry::ClientOptions options;
    options.credentials = std::move(credentials);
    options.parallel_transfers = parallel_transfers;
    options.first_retry_ms = 1;
    options.certificate_directories = {};
    return registry::Client::make(std::move(options)).value();
  }
  /// Asks for one thing after the other: the first layer is shown before the second is refused, which ends a pull.
  static registry::Client in_order(registry::CredentialStore credentials = {}) {
    return client_of(std::move(credentials), 1);
  }
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", "two"}})});
  Server server{built};
  Workplace place;
  registry::Client joe = client_of(joe_for({server.authority()}));
  registry::Client stranger = client_of({});
};

TEST_F(Proof, WhatIsHereCostsOneHeadWithOwnCredentials) {
  ASSERT_TRUE(pull(joe, "default"));
  for (const char* scope : {"default", "job-1", "job-2", "job-1"}) {
    registry::Client own = client_of(joe_for({server.authority()}));
    const auto before = server.asked().size();
    const auto pulled = pull(own, scope);
    ASSERT_TRUE(pulled) << pulled.error().message();
    EXPECT_EQ(pulled->target, built.digest());
    EXPECT_EQ(pulled->target_media_type, built.media_type);
    EXPECT_THAT(server.asked_since(before), ElementsAre("HEAD manifests/1")) << scope;
  }
}

TEST_F(Proof, ByDigestToo) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto before = server.asked().size();
  ASSERT_TRUE(pull(joe, "job-1", server.authority() + "/team/app@" + built.digest().text()));
  EXPECT_THAT(server.asked_since(before), ElementsAre("HEAD manifests/" + built.digest().text()));
}

TEST_F(Proof, WithoutCredentialsItIsRefused) {
  ASSERT_TRUE(pull(joe, "default"));
  for (const char* scope : {"default", "job-1"}) {
    for (const std::string& name :
         {server.authority() + "/team/app:1", server.authority() + "/team/app@" + built.digest().text()}) {
      const auto pulled = pull(stranger, scope, name);
      ASSERT_FALSE(pulled) << scope << " " << name;
      EXPECT_EQ(pulled.error().code(), Code::kUnauthenticated) << pulled.error().message();
    }
  }
  EXPECT_FALSE(place.store.find_name("job-1", reference(server.authority() + "/team/app:1")).value());
}

TEST_F(Proof, ATagThatMovedIsFetched) {
  ASSERT_TRUE(pull(joe, "default"));
  const Built newer = build({tar_of({{"a", "one"}}), tar_of({{"b", "three"}})});
  server.put("manifests/1", newer.manifest, newer.media_type);
  server.put(blob(newer.layers[1]), newer.layers[1]);
  server.put(blob(newer.config), newer.config);
  const auto before = server.asked().size();
  const auto pulled = pull(joe, "job-1");
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target, newer.digest());
  EXPECT_THAT(server.asked_since(before),
              UnorderedElementsAre("HEAD manifests/1", "GET manifests/1", "GET " + blob(newer.config),
                                   "GET " + blob(newer.layers[1])));
}

/// Knowing digests is no proof: somebody else's registry may name them, and may even be asked for them.
TEST_F(Proof, AnotherRegistryHasToServeTheBytes) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto trees = place.store.usage()->snapshot_count;
  Server thief(built);
  const std::string name = thief.authority() + "/team/app:1";
  thief.refuse(blob(built.layers[1]), 404);
  registry::Client one_by_one = in_order();
  for (const char* scope : {"default", "job-1"}) {
    const auto refused = pull(one_by_one, scope, name);
    ASSERT_FALSE(refused) << "it has not got that layer";
    EXPECT_EQ(refused.error().code(), Code::kNotFound) << refused.error().message();
    EXPECT_FALSE(place.store.find_name(scope, reference(name)).value());
  }
  thief.put(blob(built.layers[1]), built.layers[1]);
  const auto before = thief.asked().size();
  ASSERT_TRUE(pull(stranger, "default", name));
  EXPECT_THAT(thief.asked_since(before), ElementsAre("HEAD manifests/1", "GET " + blob(built.layers[1])));
  EXPECT_EQ(place.store.usage()->snapshot_count, trees) << "nothing was unpacked twice";
  const auto again = thief.asked().size();
  ASSERT_TRUE(pull(stranger, "default", name));
  ASSERT_TRUE(pull(stranger, "job-1", name));
  EXPECT_THAT(thief.asked_since(again), ElementsAre("HEAD manifests/1", "HEAD manifests/1")) << "now it was proven";
  EXPECT_TRUE(place.store.fsck(false, {}).value().empty());
}

/// A name is set before its layers are seen, and stays when the registry is only away: it proves nothing.
TEST_F(Proof, ANameOfAnotherRegistryIsNoProofEither) {
  ASSERT_TRUE(pull(joe, "default"));
  Server thief(built);
  thief.refuse(blob(built.layers[1]), 503);
  const auto name = reference(thief.authority() + "/team/app:1");
  Images images{place.store, place.lease, stranger, "default"};
  const auto ask = [&] { return images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {}); };
  for (int times = 0; times < 2; ++times) {
    const auto image = ask();
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_FALSE(image->own);
    EXPECT_FALSE(images.unpack(*image, place, 1, {})) << times;
    EXPECT_FALSE(images.push(image->target, image->target_media_type, name, place, {}));
    EXPECT_TRUE(place.store.find_name("default", name).value());
  }
  // Nor does a name that the user gives it.
  const auto mine = reference("mine:1");
  ASSERT_TRUE(tag(name, mine));
  const auto image = images.resolve(mine, oci::Platform::host(), PullPolicy::kNever, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_TRUE(*images.holds(*image, oci::Digest::of(built.layers[0])));
  EXPECT_FALSE(*images.holds(*image, oci::Digest::of(built.layers[1])));
}

TEST_F(Proof, WhatIsTaggedIsAsGoodAsItWas) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto mine = reference("mine:1");
  ASSERT_TRUE(tag(reference(server.authority() + "/team/app:1"), mine));
  const auto before = server.asked().size();
  Images images{place.store, place.lease, stranger, "default"};
  const auto image = images.resolve(mine, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_TRUE(images.unpack(*image, place, 1, {}));
  EXPECT_TRUE(images.fetch(*image, place, 1, {}));
  EXPECT_THAT(server.asked_since(before), IsEmpty());
}

/// A thief may have the manifest and the config of an image that was made here: that it is here under a name of ours as
/// well gives the thief's name nothing, whatever is done to it.
TEST_F(Proof, WhatIsOursIsNotTheThiefs) {
  for (const auto& bytes : {built.layers[0], built.layers[1], built.config, built.manifest})
    ASSERT_TRUE(place.store.put_blob(place.lease, bytes));
  ASSERT_TRUE(
      note_own_blobs(store::Origins(place.store), oci::Manifest::parse(built.manifest, built.media_type).value()));
  const auto ours = reference("ours:1"), mine = reference("mine:1");
  ASSERT_TRUE(place.store.set_name("default", ours, built.digest(), built.media_type, store::Durable::kNo, kOwnWord));
  Server thief(built);
  for (const auto& layer : built.layers) thief.refuse(blob(layer), 404);
  const auto theirs = reference(thief.authority() + "/team/app:1");
  const oci::Digest secret = oci::Digest::of(built.layers[1]);
  const auto held = [&](registry::Client& client, const oci::Reference& name) {
    Images images{place.store, place.lease, client, "default"};
    const auto image = images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
    EXPECT_TRUE(image) << image.error().message();
    const bool holds = image && *images.holds(*image, secret);
    EXPECT_EQ(holds, image && images.unpack(*image, place, 1, {}).has_value());
    EXPECT_EQ(holds, *holds_named(place.store, name, built.digest(), secret));
    return holds;
  };
  registry::ClientOptions options;
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  options.insecure.push_back(registry::InsecureRegistry::parse(thief.authority()).value());
  registry::Client anybody = registry::Client::make(std::move(options)).value();
  EXPECT_FALSE(held(anybody, theirs));
  ASSERT_TRUE(place.store.remove_name("default", theirs, store::Durable::kNo));
  Images images{place.store, place.lease, anybody, "default"};
  ASSERT_TRUE(images.resolve(theirs, oci::Platform::host(), PullPolicy::kMissing, place, 1, {}));
  ASSERT_TRUE(tag(theirs, mine));
  for (const auto& name : {theirs, mine}) {
    EXPECT_FALSE(held(stranger, name)) << "it was believed by other means";
    EXPECT_FALSE(
        images.fetch_named(name, oci::Manifest::parse(built.manifest, built.media_type).value(), place, 1, {}));
    EXPECT_FALSE(images.push(built.digest(), built.media_type, name, place, {}));
  }
  EXPECT_TRUE(held(stranger, ours));
  EXPECT_EQ(word_to_share(place.store, "default", built.digest(), {theirs.canonical(), ours.canonical()}).value(),
            kOwnWord)
      << "by an id it is held under any of its names";
}

/// A tag knows where its image came from: what nothing needed yet is fetched there.
TEST_F(Proof, ATagTakesItsPlaceAlong) {
  Images images{place.store, place.lease, joe, "default"};
  const auto name = reference(server.authority() + "/team/app:1"), mine = reference("mine:1");
  ASSERT_TRUE(images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {}));
  ASSERT_TRUE(tag(name, mine));
  const auto image = images.resolve(mine, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  const auto before = server.asked().size();
  EXPECT_TRUE(images.unpack(*image, place, 1, {}));
  EXPECT_THAT(server.asked_since(before),
              UnorderedElementsAre("GET " + blob(built.layers[0]), "GET " + blob(built.layers[1])));
}

/// What is missing is asked of that place, and of nobody that the tag's own name means: "mine" is one of Docker Hub's.
TEST_F(Proof, ATagAsksNobodyElse) {
  Images images{place.store, place.lease, joe, "default"};
  const auto name = reference(server.authority() + "/team/app:1"), mine = reference("mine:1");
  ASSERT_TRUE(images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {}));
  ASSERT_TRUE(tag(name, mine));
  const auto image = images.resolve(mine, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  server.refuse(blob(built.layers[0]), 404);
  const auto unpacked = images.unpack(*image, place, 1, {});
  ASSERT_FALSE(unpacked);
  const std::string told = unpacked.error().message();
  EXPECT_TRUE(told.contains(server.authority() + " does not have blob")) << told;
  EXPECT_TRUE(told.contains(fmt::format("from {}, where it came from", name.familiar_name()))) << told;
}

/// Another repository of the registry has the bytes: whether this one has them too is asked, not transferred.
TEST_F(Proof, TheSameRegistryIsAskedByHead) {
  ASSERT_TRUE(pull(joe, "default"));
  server.also("other/app");
  const std::string name = server.authority() + "/other/app:1";
  server.refuse(blob(built.layers[1]), 404, "other/app");
  registry::Client one_by_one = in_order(joe_for({server.authority()}));
  const auto refused = pull(one_by_one, "default", name);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kNotFound) << refused.error().message();
  server.put(blob(built.layers[1]), built.layers[1], "application/octet-stream", "other/app");
  const auto before = server.asked().size();
  ASSERT_TRUE(pull(joe, "default", name));
  EXPECT_THAT(server.asked_since(before),
              UnorderedElementsAre("HEAD /v2/other/app/manifests/1", "HEAD /v2/other/app/" + blob(built.layers[1])));
  const auto again = server.asked().size();
  ASSERT_TRUE(pull(joe, "default", name));
  EXPECT_THAT(server.asked_since(again), ElementsAre("HEAD /v2/other/app/manifests/1"));
  EXPECT_FALSE(pull(stranger, "default", name));
}

/// Who may show any certificate, or none, is somebody else than the one whose certificate was verified.
TEST_F(Proof, ARegistryThatMayBeAnybodyIsAnother) {
  ASSERT_TRUE(pull(joe, "default"));
  registry::ClientOptions options;
  options.credentials = joe_for({server.authority()});
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  options.insecure.push_back(registry::InsecureRegistry::parse(server.authority()).value());
  registry::Client anybody = registry::Client::make(std::move(options)).value();
  const auto before = server.asked().size();
  ASSERT_TRUE(pull(anybody, "default"));
  EXPECT_THAT(server.asked_since(before), Contains("GET " + blob(built.layers[0])));
  const auto again = server.asked().size();
  ASSERT_TRUE(pull(anybody, "default"));
  EXPECT_THAT(server.asked_since(again), ElementsAre("HEAD manifests/1"));
}

/// What was made here, or came in an archive, has no registry that could have served it.
TEST_F(Proof, WhatWasMadeHereIsNoRegistrysUntilItIsPushed) {
  const auto put = [&](const std::string& bytes) { ASSERT_TRUE(place.store.put_blob(place.lease, bytes)); };
  for (const auto& bytes : {built.layers[0], built.layers[1], built.config, built.manifest}) put(bytes);
  const auto manifest = oci::Manifest::parse(built.manifest, built.media_type).value();
  ASSERT_TRUE(note_own_blobs(store::Origins(place.store), manifest));
  const auto mine = reference("mine:1");
  ASSERT_TRUE(place.store.set_name("default", mine, built.digest(), built.media_type, store::Durable::kNo, kOwnWord));
  Images images{place.store, place.lease, joe, "default"};
  const auto image = images.resolve(mine, oci::Platform::host(), PullPolicy::kNever, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_TRUE(images.unpack(*image, place, 1, {}));
  ASSERT_TRUE(pull(joe, "default"));
  EXPECT_THAT(server.asked(), UnorderedElementsAre("GET manifests/1", "GET " + blob(built.config),
                                                   "GET " + blob(built.layers[0]), "GET " + blob(built.layers[1])));
  const auto again = server.asked().size();
  ASSERT_TRUE(pull(joe, "default"));
  EXPECT_THAT(server.asked_since(again), ElementsAre("HEAD manifests/1"));
}

/// An index may name a manifest that is here and somebody else's.
TEST_F(Proof, AnIndexCanNotNameAManifestThatItsRegistryDoesNotHave) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto foreign = oci::Platform::parse("linux/s390x").value();
  const Built own = build({tar_of({{"a", "own"}})}, oci::Compression::kGzip, oci::Family::kOci, foreign);
  auto first = own.descriptor(), second = built.descriptor();
  first.platform = foreign;
  second.platform = oci::Platform::host();
  const auto index = oci::Index::make(oci::Family::kOci, {first, second});
  Server thief(own);
  thief.put("manifests/1", index.raw(), index.media_type());
  const auto name = reference(thief.authority() + "/team/app:1");
  Images images{place.store, place.lease, stranger, "default"};
  ASSERT_TRUE(images.pull(name, foreign, place, {}));
  for (int times = 0; times < 2; ++times) {
    const auto image = images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code(), Code::kNotFound) << image.error().message();
  }
}

TEST_F(Proof, WhatAMirrorServedCountsForItsRegistry) {
  Server mirror(built);
  registry::ClientOptions options;
  options.credentials = joe_for({server.authority()});
  options.first_retry_ms = 1;
  options.certificate_directories = {};
  options.rules[server.authority()].mirrors = {{mirror.authority(), "", true}};
  registry::Client mirrored = registry::Client::make(std::move(options)).value();
  ASSERT_TRUE(pull(mirrored, "default"));
  EXPECT_THAT(server.server().received(), IsEmpty());
  ASSERT_TRUE(pull(joe, "default"));
  EXPECT_THAT(server.asked(), ElementsAre("HEAD manifests/1"));
}

/// A chain's ID stands in a config, which anybody can write.
TEST_F(Proof, AnotherRegistryCanNotNameASnapshot) {
  ASSERT_TRUE(pull(joe, "default"));
  const Built other = build({tar_of({{"a", "other"}}), tar_of({{"b", "other"}})});
  const auto type = oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip);
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, testing::describe(built.config, oci::media_type::kOciConfig),
                          {testing::describe(other.layers[0], type), testing::describe(other.layers[1], type)});
  Server thief(other);
  thief.put("manifests/1", manifest.raw(), manifest.media_type());
  thief.put(blob(built.config), built.config);
  for (const char* scope : {"job-1", "default"}) {
    const auto pulled = pull(stranger, scope, thief.authority() + "/team/app:1");
    ASSERT_FALSE(pulled) << scope;
    EXPECT_EQ(pulled.error().code(), Code::kDataLoss) << pulled.error().message();
  }
}

TEST_F(Proof, TheSameOfLayersThatHaveNoBytesAnywhere) {
  ASSERT_TRUE(pull(joe, "default"));
  const auto type = oci::media_type::layer(oci::Family::kOci, oci::Compression::kGzip);
  const auto manifest =
      oci::Manifest::make(oci::Family::kOci, testing::describe(built.config, oci::media_type::kOciConfig),
                          {testing::describe("nowhere", type), testing::describe("nor is this one", type)});
  Server thief(built);
  thief.put("manifests/1", manifest.raw(), manifest.media_type());
  Images images{place.store, place.lease, stranger, "default"};
  const auto name = reference(thief.authority() + "/team/app:1");
  const auto image = images.resolve(name, oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  const auto trees = images.unpack(*image, place, 1, {});
  ASSERT_FALSE(trees) << "the trees of another image";
  EXPECT_EQ(trees.error().code(), Code::kNotFound) << trees.error().message();
}

/// A registry with a name that its certificate proves; it is reached through a mirror here.
class AgeingProof : public Proof {
 protected:
  AgeingProof() {
    registry::ClientOptions options;
    options.credentials = joe_for({server.authority()});
    options.first_retry_ms = 1;
    options.certificate_directories = {};
    options.rules["registry.example"].mirrors = {{server.authority(), "", true}};
    options.rules["registry.example"].origin_fallback = false;
    far.emplace(registry::Client::make(std::move(options)).value());
  }
  void age(std::int64_t seconds) {
    auto db = store::Connection::open(place.store.root() + "/meta.db", store::OpenMode::kExisting).value();
    ASSERT_TRUE(db.run("UPDATE origin_links SET noted = noted - ?", {seconds}));
  }
  std::vector<std::string> asked_by_pull() {
    const auto before = server.asked().size();
    const auto pulled = pull(*far, "default", name);
    EXPECT_TRUE(pulled) << pulled.error().message();
    return server.asked_since(before);
  }
  const std::string name = "registry.example/team/app:1";
  std::optional<registry::Client> far;
};

TEST_F(AgeingProof, AnOldNoteCostsAHeadThatRenewsIt) {
  ASSERT_TRUE(pull(*far, "default", name));
  EXPECT_THAT(asked_by_pull(), ElementsAre("HEAD manifests/1"));
  age(store::Origins::kFresh + 60);
  EXPECT_THAT(asked_by_pull(), UnorderedElementsAre("HEAD manifests/1", "HEAD " + blob(built.config),
                                                    "HEAD " + blob(built.layers[0]), "HEAD " + blob(built.layers[1])));
  EXPECT_THAT(asked_by_pull(), ElementsAre("HEAD manifests/1"));
}

TEST_F(AgeingProof, ANameKeepsWhatItHasWithoutAQuestion) {
  ASSERT_TRUE(pull(*far, "default", name));
  age(10 * store::Origins::kFresh);
  Images images{place.store, place.lease, *far, "default"};
  const auto before = server.asked().size();
  const auto image = images.resolve(reference(name), oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_TRUE(images.unpack(*image, place, 1, {}));
  EXPECT_TRUE(images.fetch(*image, place, 1, {}));
  EXPECT_THAT(server.asked_since(before), IsEmpty());
}

/// The path is somebody else's by now, who knows what was there.
TEST_F(AgeingProof, WhatIsNotThereAnyMoreIsForgotten) {
  ASSERT_TRUE(pull(*far, "default", name));
  age(store::Origins::kFresh + 60);
  server.refuse(blob(built.layers[1]), 404);
  ASSERT_FALSE(pull(*far, "default", name));
  Images images{place.store, place.lease, *far, "default"};
  const auto image = images.resolve(reference(name), oci::Platform::host(), PullPolicy::kMissing, place, 1, {});
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_FALSE(*images.holds(*image, oci::Digest::of(built.layers[1]))) << "nor by the name that stayed";
  server.put(blob(built.layers[1]), built.layers[1]);
  const auto asked = asked_by_pull();
  EXPECT_THAT(asked, Contains("GET " + blob(built.layers[1])));
  EXPECT_THAT(asked, Not(Contains("HEAD " + blob(built.layers[1])))) << "a claim is not enough any more";
}

TEST_F(Proof, ARegistryWithoutHeadIsAsked) {
  ASSERT_TRUE(pull(joe, "default"));
  Server plain(built);
  registry::Client client = client_of({});
  const std::string name = plain.authority() + "/team/app:1";
  ASSERT_TRUE(pull(client, "default", name));
  const auto before = plain.asked().size();
  plain.refuse_all(405);
  EXPECT_FALSE(pull(client, "default", name)) << "GET is refused as well";
  EXPECT_THAT(plain.asked_since(before), ElementsAre("HEAD manifests/1", "GET manifests/1"));
}

}  // namespace
}  // namespace slipway::image
