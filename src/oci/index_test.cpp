#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/image.hpp"

namespace slipway::oci {
namespace {

using ::testing::HasSubstr;

/// An entry whose digest ends in `number`.
Descriptor entry(int number, std::optional<std::string_view> platform = std::nullopt) {
  Descriptor out{.media_type = std::string(media_type::kOciManifest),
                 .digest = Digest::parse(fmt::format("sha256:{:064d}", number)).value(),
                 .size = number};
  if (platform) out.platform = Platform::parse(*platform).value();
  return out;
}

std::int64_t chosen(const Index& index, std::string_view wanted) {
  const auto found = index.select(Platform::parse(wanted).value());
  return found ? found->size : -1;
}

std::string error_of(std::string raw, std::string_view media_type = "") {
  const auto index = Index::parse(std::move(raw), media_type);
  return index ? "parsed" : index.error().what();
}

TEST(Index, GoldenBytesOfOurs) {
  const Index made = Index::make(Family::kOci, {entry(1, "linux/amd64"), entry(2, "linux/arm/v7")}, {{"k", "v"}});
  EXPECT_EQ(made.raw(),
            R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
            R"({"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
            R"("digest":"sha256:0000000000000000000000000000000000000000000000000000000000000001","size":1,)"
            R"("platform":{"architecture":"amd64","os":"linux"}},)"
            R"({"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
            R"("digest":"sha256:0000000000000000000000000000000000000000000000000000000000000002","size":2,)"
            R"("platform":{"architecture":"arm","os":"linux","variant":"v7"}}],"annotations":{"k":"v"}})");
  const Index again = Index::parse(made.raw(), media_type::kOciIndex).value();
  EXPECT_EQ(again.raw(), made.raw());
  EXPECT_EQ(again.manifests(), made.manifests());
  EXPECT_EQ(again.annotations(), made.annotations());
  EXPECT_EQ(again.descriptor(), made.descriptor());
}

TEST(Index, KeepsEveryFieldOfAPlatform) {
  Descriptor windows = entry(1);
  windows.platform = Platform{"windows", "amd64", "v1", "10.0.17763.1", {"win32k"}};
  const Index made = Index::make(Family::kDocker, {windows});
  EXPECT_THAT(made.raw(), HasSubstr(R"("platform":{"architecture":"amd64","os":"windows","os.version":"10.0.17763.1",)"
                                    R"("os.features":["win32k"],"variant":"v1"})"));
  EXPECT_EQ(Index::parse(made.raw(), media_type::kDockerList).value().manifests(), std::vector{windows});
}

TEST(Index, SelectsTheBestEntry) {
  const Index index =
      Index::make(Family::kOci, {entry(1, "linux/386"), entry(2, "linux/arm/v6"), entry(3, "linux/arm/v7"),
                                 entry(4, "linux/amd64/v2"), entry(5, "linux/amd64"), entry(6, "linux/amd64"),
                                 entry(7, "windows/amd64")});
  EXPECT_EQ(chosen(index, "linux/amd64"), 5);  // the first of equals
  EXPECT_EQ(chosen(index, "linux/amd64/v3"), 4);
  EXPECT_EQ(chosen(index, "linux/arm/v7"), 3);
  EXPECT_EQ(chosen(index, "linux/arm/v6"), 2);
  EXPECT_EQ(chosen(index, "linux/arm64"), 3);
  EXPECT_EQ(chosen(index, "windows/amd64"), 7);
  EXPECT_EQ(index.select(Platform::parse("linux/s390x").value()).error().message(),
            "no image for linux/s390x in the index; it has linux/386, linux/arm/v6, linux/arm/v7, linux/amd64/v2, "
            "linux/amd64, windows/amd64");
  EXPECT_EQ(Index::make(Family::kOci, {}).select({}).error().code(), Code::kNotFound);
}

TEST(Index, NeverSelectsAnAttestationOrAnArtifact) {
  Descriptor attestation = entry(1, "linux/amd64");
  attestation.annotations["vnd.docker.reference.type"] = "attestation-manifest";
  Descriptor unknown = entry(2);
  unknown.platform = Platform{"unknown", "unknown", "", "", {}};
  Descriptor chart = entry(3, "linux/amd64");
  chart.media_type = "application/vnd.example.chart";
  EXPECT_EQ(chosen(Index::make(Family::kOci, {attestation, unknown, chart}), "linux/amd64"), -1);
  EXPECT_EQ(chosen(Index::make(Family::kOci, {attestation, unknown, chart, entry(4, "linux/amd64")}), "linux/amd64"),
            4);
}

TEST(Index, TakesAnEntryWithoutPlatformLast) {
  EXPECT_EQ(chosen(Index::make(Family::kOci, {entry(1), entry(2, "linux/386")}), "linux/amd64"), 2);
  EXPECT_EQ(chosen(Index::make(Family::kOci, {entry(1), entry(2, "linux/arm64")}), "linux/amd64"), 1);
  Descriptor nested = entry(3);
  nested.media_type = media_type::kDockerList;
  EXPECT_EQ(chosen(Index::make(Family::kOci, {nested}), "linux/amd64"), 3);
}

TEST(Index, OneDigestHasOneReading) {
  EXPECT_EQ(error_of(R"({"schemaVersion":2,"manifests":[]})"), "parsed");
  EXPECT_EQ(error_of(R"({"schemaVersion":2,"manifests":null,"layers":null})"), "parsed");
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[],"layers":[]})"), HasSubstr("has layers"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[],"config":{}})"), HasSubstr("has config"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[],"MANIFESTS":[]})"), HasSubstr("ambiguous"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[],"manifests":[]})"), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[]})", media_type::kOciManifest), HasSubstr("media type is"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})",
                       media_type::kDockerList),
              HasSubstr("calls itself"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":{}})"), HasSubstr("manifests is an object, not an array"));
  EXPECT_THAT(error_of(R"({"manifests":[]})"), HasSubstr("schemaVersion is missing"));
}

TEST(Index, LimitsItsEntries) {
  std::vector<Descriptor> entries(kIndexEntryLimit, entry(1, "linux/amd64"));
  EXPECT_TRUE(Index::parse(Index::make(Family::kOci, entries).raw(), ""));
  entries.push_back(entry(1));
  EXPECT_EQ(Index::parse(Index::make(Family::kOci, entries).raw(), "").error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace slipway::oci
