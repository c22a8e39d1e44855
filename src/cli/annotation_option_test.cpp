#include "cli/annotation_option.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using Place = build::Annotation::Place;

build::Annotation of(Place place, std::string key, std::string value, const char* platform = nullptr) {
  build::Annotation out{.place = place, .platform = {}, .key = std::move(key), .value = std::move(value)};
  if (platform != nullptr) out.platform = *oci::Platform::parse(platform);
  return out;
}

std::string error_of(std::string_view text) {
  const auto parsed = parse_annotation(text);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().code(), Code::kUsage);
  return parsed.error().what();
}

TEST(Annotation, IsTheManifestsUnlessItSaysOtherwise) {
  using List = std::vector<build::Annotation>;
  EXPECT_EQ(*parse_annotation("a.b=c=d"), (List{of(Place::kManifest, "a.b", "c=d")}));
  EXPECT_EQ(*parse_annotation("a="), (List{of(Place::kManifest, "a", "")}));
  EXPECT_EQ(*parse_annotation("index:a=b:c"), (List{of(Place::kIndex, "a", "b:c")}));
  EXPECT_EQ(*parse_annotation("index,manifest[linux/arm64]:A=b"),
            (List{of(Place::kIndex, "A", "b"), of(Place::kManifest, "A", "b", "linux/arm64")}));
  EXPECT_EQ(*parse_annotation("manifest-descriptor:a=b,index-descriptor"),
            (List{of(Place::kManifestDescriptor, "a", "b,index-descriptor")}));
}

TEST(Annotation, Mistakes) {
  EXPECT_EQ(error_of("a"), "option --annotation is [PLACE:]KEY=VALUE, not \"a\"");
  EXPECT_EQ(error_of("=b"), "option --annotation \"=b\" has no key");
  EXPECT_EQ(error_of("index:=b"), "option --annotation \"index:=b\" has no key");
  EXPECT_TRUE(error_of("manifst:a=b").ends_with("; did you mean manifest?")) << error_of("manifst:a=b");
  EXPECT_TRUE(error_of(":a=b").starts_with("option --annotation does not know the place \"\""));
  EXPECT_TRUE(error_of("index,:a=b").starts_with("option --annotation does not know the place \"\""));
  EXPECT_EQ(error_of("manifest[linux:a=b"), "option --annotation: the platform of \"manifest[linux\" has no end");
  EXPECT_EQ(error_of("index[linux/amd64]:a=b"),
            "option --annotation: an index is of no platform, but \"index[linux/amd64]\" names one");
  EXPECT_NE(error_of("manifest[]:a=b"), "no error");
  EXPECT_EQ(error_of("\x1b[31m:a=b").find('\x1b'), std::string::npos);
}

TEST(Annotation, AsAKeyOfAnOutput) {
  EXPECT_EQ(**parse_annotation_key("annotation.a.b", "c"), of(Place::kManifest, "a.b", "c"));
  EXPECT_EQ(**parse_annotation_key("annotation[linux/arm/v7].a", "c"), of(Place::kManifest, "a", "c", "linux/arm/v7"));
  EXPECT_EQ(**parse_annotation_key("annotation-index.a", "c"), of(Place::kIndex, "a", "c"));
  EXPECT_EQ(**parse_annotation_key("annotation-manifest-descriptor[windows(10.0.1)/amd64].x.y", ""),
            of(Place::kManifestDescriptor, "x.y", "", "windows(10.0.1)/amd64"));
  for (const auto* other : {"dest", "annotations", "annotationx.a", "", "annotation"})
    EXPECT_FALSE(*parse_annotation_key(other, "c")) << other;
  for (const auto* wrong : {"annotation.", "annotation-index", "annotation-foo.a", "annotation[linux.a",
                            "annotation[linux/amd64]", "annotation-.a", "annotation[]."})
    EXPECT_FALSE(parse_annotation_key(wrong, "c")) << wrong;
}

}  // namespace
}  // namespace slipway::cli
