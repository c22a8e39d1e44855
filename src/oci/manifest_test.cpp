#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/image.hpp"

namespace slipway::oci {
namespace {

using ::testing::HasSubstr;

const std::string kD1 = "sha256:" + std::string(64, '1');
const std::string kD2 = "sha256:" + std::string(64, '2');

Digest digest(std::string_view text) { return Digest::parse(text).value(); }

std::string config_json() {
  return R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" + kD1 + R"(","size":7})";
}

std::string layer_json(std::string_view size) {
  return R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" + kD2 + R"(","size":)" +
         std::string(size) + "}";
}

/// A good manifest whose members after `config` are `rest`.
std::string document(std::string_view rest) {
  return R"({"schemaVersion":2,)" + config_json() + (rest.empty() ? "" : ",") + std::string(rest) + "}";
}

std::string error_of(std::string raw, std::string_view media_type = "") {
  const auto manifest = Manifest::parse(std::move(raw), media_type);
  return manifest ? "parsed" : manifest.error().what();
}

TEST(Manifest, GoldenBytesOfOurs) {
  const Descriptor config{.media_type = std::string(media_type::kOciConfig), .digest = digest(kD1), .size = 7};
  Descriptor layer{.media_type = std::string(media_type::kOciLayerGzip), .digest = digest(kD2), .size = 32654};
  layer.annotations = {{"b", "<2>"}, {"a", "1"}};
  const Manifest made = Manifest::make(Family::kOci, config, {layer}, {{"org.opencontainers.image.title", "a & b"}});
  EXPECT_EQ(made.raw(),
            R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
            R"("application/vnd.oci.image.config.v1+json","digest":")" +
                kD1 + R"(","size":7},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" +
                kD2 +
                R"(","size":32654,"annotations":{"a":"1","b":"\u003c2\u003e"}}],)"
                R"("annotations":{"org.opencontainers.image.title":"a \u0026 b"}})");
  EXPECT_EQ(made.family(), Family::kOci);

  const Manifest again = Manifest::parse(made.raw(), made.media_type()).value();
  EXPECT_EQ(again.raw(), made.raw());
  EXPECT_EQ(again.config(), config);
  EXPECT_EQ(again.layers(), std::vector{layer});
  EXPECT_EQ(again.annotations(), made.annotations());
  EXPECT_EQ(again.descriptor(), made.descriptor());
  EXPECT_EQ(made.descriptor().digest, Digest::of(made.raw()));
  EXPECT_EQ(made.descriptor().size, static_cast<std::int64_t>(made.raw().size()));
}

TEST(Manifest, GoldenBytesOfDockers) {
  const Descriptor config{.media_type = std::string(media_type::kDockerConfig), .digest = digest(kD1), .size = 7};
  const Manifest made = Manifest::make(Family::kDocker, config, {});
  EXPECT_EQ(made.raw(),
            R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)"
            R"({"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
                kD1 + R"(","size":7},"layers":[]})");
  EXPECT_EQ(made.family(), Family::kDocker);
  EXPECT_EQ(Manifest::parse(made.raw(), "").value().family(), Family::kDocker);
}

TEST(Manifest, KeepsForeignBytes) {
  const std::string raw =
      "\n" + document("\"layers\" : [ " + layer_json("5") + " ] , \"unknown\":{\"x\":[1e3]}") + " \n";
  const Manifest manifest = Manifest::parse(raw, media_type::kOciManifest).value();
  EXPECT_EQ(manifest.raw(), raw);
  EXPECT_EQ(manifest.digest(), Digest::of(raw));
  EXPECT_EQ(manifest.media_type(), media_type::kOciManifest);
  EXPECT_EQ(manifest.layers().at(0).size, 5);
}

TEST(Manifest, NullIsAbsent) {
  const Manifest manifest =
      Manifest::parse(document(R"("layers":null,"annotations":null,"manifests":null,"mediaType":null)"), "").value();
  EXPECT_TRUE(manifest.layers().empty());
  EXPECT_TRUE(Manifest::parse(document(""), ""));
}

TEST(Manifest, OneDigestHasOneReading) {
  EXPECT_EQ(error_of(document(R"("layers":[],"manifests":[])")),
            "the document has manifests, which would make it another kind of document");
  EXPECT_THAT(error_of(document(R"("layers":[],"Manifests":[])")), HasSubstr("ambiguous"));
  EXPECT_THAT(error_of(document(R"("layers":[],"Layers":[])")), HasSubstr("ambiguous"));
  EXPECT_THAT(error_of(document("\"layers\":[],\"layer\u017f\":[]")), HasSubstr("ambiguous"));
  EXPECT_THAT(error_of(document(R"("layers":[],"layers":[])")), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"schemaVersion":2,"manifests":[]})"), HasSubstr("manifests"));
}

TEST(Manifest, MediaTypesMustAgree) {
  const std::string oci = document(R"("layers":[],"mediaType":"application/vnd.oci.image.manifest.v1+json")");
  EXPECT_EQ(error_of(oci), "parsed");
  EXPECT_EQ(error_of(oci, media_type::kOciManifest), "parsed");
  EXPECT_THAT(error_of(oci, media_type::kDockerManifest), HasSubstr("calls itself"));
  EXPECT_THAT(error_of(oci, media_type::kOciIndex), HasSubstr("calls itself"));
  EXPECT_THAT(error_of(document(R"("layers":[])"), media_type::kOciIndex), HasSubstr("media type is"));
  EXPECT_THAT(error_of(document(R"("mediaType":"application/vnd.oci.image.index.v1+json")")),
              HasSubstr("media type is"));
  EXPECT_THAT(error_of(document(R"("mediaType":7)")), HasSubstr("mediaType is a number"));
  EXPECT_EQ(Manifest::parse(document(""), media_type::kDockerManifest).value().family(), Family::kDocker);
}

TEST(Manifest, RefusesHostileSizesAndCounts) {
  const auto with_size = [](std::string_view size) {
    return error_of(document("\"layers\":[" + layer_json(size) + "]"));
  };
  EXPECT_EQ(with_size("9223372036854775807"), "parsed");
  EXPECT_EQ(with_size("-1"), "layers[0].size is -1; it can not be negative");
  EXPECT_EQ(with_size("1e30"), "layers[0].size is 1e+30, not a whole number of 63 bits");
  EXPECT_NE(with_size("9223372036854775808"), "parsed");
  EXPECT_NE(with_size("1.0"), "parsed");
  EXPECT_EQ(with_size("\"5\""), "layers[0].size is a string, not a whole number");
  EXPECT_EQ(with_size("null"), "layers[0].size is missing");

  const auto with_layers = [](std::size_t count) {
    std::string list = layer_json("1");
    for (std::size_t i = 1; i < count; ++i) list += "," + layer_json("1");
    return Manifest::parse(document("\"layers\":[" + list + "]"), "");
  };
  EXPECT_EQ(with_layers(1000).value().layers().size(), 1000U);
  EXPECT_EQ(with_layers(1001).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(with_layers(10'001).error().code(), Code::kResourceExhausted);
}

TEST(Manifest, RefusesDepthBytesAndNonsense) {
  const auto nested = [](std::size_t depth) {  // the document's own level is one more
    return error_of(document("\"x\":" + std::string(depth, '[') + std::string(depth, ']')));
  };
  EXPECT_EQ(nested(63), "parsed");
  EXPECT_EQ(nested(64), "the document is nested deeper than 64 levels");
  EXPECT_EQ(nested(1'000'000), "the document is nested deeper than 64 levels");
  const std::string big = document("\"x\":\"" + std::string(9 << 20, 'a') + "\"");
  EXPECT_EQ(Manifest::parse(big, "").error().code(), Code::kResourceExhausted);
  const std::string fits = document("\"x\":\"" + std::string(7 << 20, 'a') + "\"");
  EXPECT_TRUE(Manifest::parse(fits, ""));
  for (const char* raw : {"", "null", "[]", "7", "{}", R"({"schemaVersion":2})", R"({"schemaVersion":1,"config":{}})",
                          R"({"schemaVersion":"2","config":{}})", R"({"schemaVersion":2,"config":[]})",
                          R"({"schemaVersion":2,"config":null})", R"({"schemaVersion":2,"config":{"size":1}})"}) {
    EXPECT_FALSE(Manifest::parse(raw, "")) << raw;
  }
  EXPECT_EQ(Manifest::parse(R"({"schemaVersion":1,"fsLayers":[]})", "").error().code(), Code::kUnimplemented);
}

TEST(Manifest, RefusesBrokenDescriptors) {
  const auto with_layer = [](std::string_view layer) {
    return error_of(document("\"layers\":[" + std::string(layer) + "]"));
  };
  EXPECT_EQ(with_layer("null"), "layers[0] is null, not an object");
  EXPECT_EQ(with_layer("\"x\""), "layers[0] is a string, not an object");
  EXPECT_NE(with_layer(R"({"mediaType":"a/b","digest":"sha256:../../x","size":1})"), "parsed");
  EXPECT_NE(with_layer(R"({"mediaType":"a\u001bb/c","digest":")" + kD1 + R"(","size":1})"), "parsed");
  EXPECT_NE(with_layer(R"({"mediaType":"","digest":")" + kD1 + R"(","size":1})"), "parsed");
  EXPECT_NE(with_layer(R"({"digest":")" + kD1 + R"(","size":1})"), "parsed");
  EXPECT_NE(with_layer(R"({"mediaType":"a/b","digest":")" + kD1 + R"(","size":1,"Digest":"x"})"), "parsed");
  EXPECT_NE(with_layer(R"({"mediaType":"a/b","digest":")" + kD1 + R"(","size":1,"urls":[1]})"), "parsed");
  EXPECT_NE(with_layer(R"({"mediaType":"a/b","digest":")" + kD1 + R"(","size":1,"annotations":{"a":1}})"), "parsed");
  EXPECT_EQ(with_layer(R"({"mediaType":"a/b","digest":")" + kD1 +
                       R"(","size":1,"urls":["file:///etc"],"data":"eA==","artifactType":"x/y"})"),
            "parsed");
}

TEST(MediaType, LayersAndTheirCompression) {
  using namespace media_type;
  EXPECT_EQ(layer_compression(kOciLayer), Compression::kNone);
  EXPECT_EQ(layer_compression(kDockerLayerGzip), Compression::kGzip);
  EXPECT_EQ(layer_compression("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), Compression::kGzip);
  EXPECT_EQ(layer_compression("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"), Compression::kZstd);
  EXPECT_EQ(layer_compression(kOciConfig), std::nullopt);
  EXPECT_EQ(layer_compression("application/vnd.in-toto+json"), std::nullopt);
  for (const Family family : {Family::kOci, Family::kDocker})
    for (const Compression compression : {Compression::kNone, Compression::kGzip, Compression::kZstd})
      EXPECT_EQ(layer_compression(layer(family, compression)), compression);
  EXPECT_TRUE(is_manifest(kDockerManifest) && is_manifest(kOciManifest) && !is_manifest(kOciIndex));
  EXPECT_TRUE(is_index(kDockerList) && is_index(kOciIndex) && !is_index(kOciManifest));
  EXPECT_EQ(of_content_type(" Application/Vnd.OCI.image.index.v1+json ; charset=utf-8"), kOciIndex);
  EXPECT_EQ(of_content_type(""), "");
}

}  // namespace
}  // namespace slipway::oci
