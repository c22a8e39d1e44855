// Mirrors before their registry: what is asked of whom, and what of it is believed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image_server.hpp"

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
using testing::reference;
using testing::Server;
using testing::tar_of;
using ::testing::UnorderedElementsAre;
using testing::Workplace;

class Mirrors : public ::testing::Test {
 protected:
  registry::ClientOptions options(const std::string& prefix = "", bool fallback = true) {
    registry::ClientOptions made;
    auto& rule = made.rules[origin.authority()];
    rule.mirrors = {{mirror.authority(), prefix, true}};
    rule.origin_fallback = fallback;
    return made;
  }
  Result<Resolved> pull(Workplace& place) {
    return place.images().pull(reference(origin.authority() + "/team/app:1"), oci::Platform::host(), place, {});
  }
  const Built built = build({tar_of({{"a", "one"}}), tar_of({{"b", std::string(500'000, 'b')}})});
  Server origin{built};
  Server mirror{built};
};

TEST_F(Mirrors, ServeEverythingAndTheOriginIsNotAsked) {
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_THAT(origin.server().received(), IsEmpty());
  EXPECT_THAT(mirror.asked(), UnorderedElementsAre("GET manifests/1", "GET " + blob(built.config),
                                                   "GET " + blob(built.layers[0]), "GET " + blob(built.layers[1])));
  EXPECT_THAT(place.warnings(), IsEmpty());
}

TEST_F(Mirrors, BelowAPrefix) {
  Server below(built, "proxy/hub/team/app");
  registry::ClientOptions made;
  made.rules[origin.authority()].mirrors = {{below.authority(), "proxy/hub", true}};
  Workplace place(std::move(made));
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(origin.server().received(), IsEmpty());
}

TEST_F(Mirrors, WhatTheyDoNotHaveComesFromTheOrigin) {
  mirror.refuse(blob(built.layers[1]), 404);
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(origin.asked(), ElementsAre("GET " + blob(built.layers[1])));
  EXPECT_THAT(place.warnings(), IsEmpty()) << "a mirror need not have everything";
}

TEST_F(Mirrors, AnyTroubleOfTheirsGoesToTheOrigin) {
  for (const int status : {401, 403, 404, 429, 500, 503}) {
    mirror.refuse_all(status);
    Workplace place(options());
    const auto pulled = pull(place);
    ASSERT_TRUE(pulled) << status << ": " << pulled.error().message();
    EXPECT_EQ(place.warnings().empty(), status == 404) << status;
  }
}

TEST_F(Mirrors, OneThatIsAwayIsAskedOnce) {
  mirror.refuse_all(503);
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  EXPECT_THAT(mirror.asked(), ElementsAre("GET manifests/1"));
  ASSERT_EQ(place.warnings().size(), 1U);
  EXPECT_THAT(place.warnings()[0], HasSubstr(mirror.authority()));
}

TEST_F(Mirrors, OneThatDoesNotExist) {
  registry::ClientOptions made;
  {
    const Server gone(built);
    made.rules[origin.authority()].mirrors = {{gone.authority(), "", true}};
  }
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  EXPECT_TRUE(pulled) << pulled.error().message();
}

TEST_F(Mirrors, WrongBytesAreReplacedByTheOriginsAndNothingOfThemStays) {
  const Built other = build({tar_of({{"evil", "evil"}}), tar_of({{"b", std::string(500'000, 'x')}})});
  for (std::size_t i = 0; i < 2; ++i) mirror.put(blob(built.layers[i]), other.layers[i]);
  mirror.put(blob(built.config), other.config + std::string(built.config.size(), ' '));
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  const auto chain = place.images().unpack(*pulled, place, 1, {}).value();
  EXPECT_EQ(sys::read_file(chain[0].directory + "/a", 100).value_or(""), "one");
  EXPECT_FALSE(sys::read_file(chain[0].directory + "/evil", 100)) << "of the wrong bytes";
  EXPECT_EQ(sys::read_file(chain[1].directory + "/b", 1'000'000).value_or("")[0], 'b');
  EXPECT_TRUE(place.store.fsck(false, {}).value().empty());
}

TEST_F(Mirrors, WrongBytesOfTheRightLength) {
  std::string flipped = built.layers[1];
  flipped[flipped.size() / 2] ^= 1;
  mirror.put(blob(built.layers[1]), flipped);
  Workplace place(options());
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_THAT(place.warnings(), Contains(HasSubstr("wrong bytes")));
  const auto chain = place.images().unpack(*pulled, place, 1, {}).value();
  EXPECT_EQ(sys::read_file(chain[1].directory + "/b", 1'000'000).value_or(""), std::string(500'000, 'b'));
}

TEST_F(Mirrors, APageInPlaceOfAManifestIsPassedOver) {
  for (const char* type : {"text/html", "application/json", "application/vnd.oci.image.manifest.v1+json"}) {
    mirror.put("manifests/1", "<html>please log in</html>", type);
    Workplace place(options());
    const auto pulled = pull(place);
    EXPECT_TRUE(pulled) << type << ": " << pulled.error().message();
  }
}

TEST_F(Mirrors, WhatTheyServeUnderATagIsTheTags) {
  const Built newer = build({tar_of({{"a", "newer"}})});
  Server other(newer);
  registry::ClientOptions made;
  made.rules[origin.authority()].mirrors = {{other.authority(), "", true}};
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled);
  EXPECT_EQ(pulled->target, newer.digest());
}

TEST_F(Mirrors, ByDigestTheyAreVerified) {
  const Built other = build({tar_of({{"a", "other"}})});
  mirror.put("manifests/" + built.digest().text(), other.manifest, other.media_type);
  Workplace place(options());
  const auto ref = reference(origin.authority() + "/team/app@" + built.digest().text());
  const auto pulled = place.images().pull(ref, oci::Platform::host(), place, {});
  ASSERT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(pulled->target, built.digest());
}

TEST_F(Mirrors, WithoutFallbackTheOriginIsNeverAsked) {
  mirror.refuse(blob(built.layers[1]), 404);
  Workplace place(options("", false));
  const auto pulled = pull(place);
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().message(), HasSubstr(mirror.authority()));
  EXPECT_THAT(origin.server().received(), IsEmpty());
}

TEST_F(Mirrors, EachGetsItsOwnCredentialsOnly) {
  origin.want("joe", "s3cret");
  Workplace stranger(options());
  mirror.refuse_all(404);
  ASSERT_FALSE(pull(stranger));
  auto made = options();
  made.credentials = joe_for({origin.authority()});
  Workplace place(std::move(made));
  const auto pulled = pull(place);
  ASSERT_TRUE(pulled) << pulled.error().message();
  for (const auto& request : mirror.server().received()) EXPECT_FALSE(request.headers.find("Authorization"));
}

TEST_F(Mirrors, PushesGoToTheOrigin) {
  Workplace place(options());
  ASSERT_TRUE(pull(place));
  const auto before = mirror.server().received().size();
  const auto ref = reference(origin.authority() + "/team/app:2");
  EXPECT_FALSE(place.images().push(built.digest(), built.media_type, ref, place, {})) << "this server takes none";
  EXPECT_EQ(mirror.server().received().size(), before);
  EXPECT_THAT(origin.asked(), Contains(HasSubstr("HEAD blobs/")));
}

}  // namespace
}  // namespace slipway::image
