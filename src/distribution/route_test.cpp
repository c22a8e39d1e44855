#include "distribution/route.hpp"

#include <gtest/gtest.h>

namespace slipway::distribution {
namespace {

TEST(Route, Endpoints) {
  using enum Route::Kind;
  struct Case {
    const char* path;
    Route::Kind kind;
    const char* repository;
    const char* object;
  };
  const Case cases[] = {
      {"/v2/", kPing, "", ""},
      {"/v2", kPing, "", ""},
      {"/v2/_catalog", kCatalog, "", ""},
      {"/v2/app/manifests/1.0", kManifest, "app", "1.0"},
      {"/v2/a/b/c/manifests/sha256:00", kManifest, "a/b/c", "sha256:00"},
      {"/v2/app/blobs/sha256:00", kBlob, "app", "sha256:00"},
      {"/v2/app/blobs/uploads/", kUploads, "app", ""},
      {"/v2/app/blobs/uploads", kUploads, "app", ""},
      {"/v2/app/blobs/uploads/0123", kUpload, "app", "0123"},
      {"/v2/app/tags/list", kTags, "app", ""},
      {"/v2/app/referrers/sha256:00", kReferrers, "app", "sha256:00"},
      {"/v2/manifests/blobs/manifests/blobs/x", kBlob, "manifests/blobs/manifests", "x"},
      {"/v2/x/blobs/uploads/manifests/y", kManifest, "x/blobs/uploads", "y"},
  };
  for (const Case& one : cases) {
    const auto route = route_of(one.path);
    ASSERT_TRUE(route) << one.path << " " << route.error().message;
    EXPECT_EQ(route->kind, one.kind) << one.path;
    EXPECT_EQ(route->repository, one.repository) << one.path;
    EXPECT_EQ(route->object, one.object) << one.path;
  }
}

TEST(Route, Refused) {
  for (const char* path :
       {"/", "/v1/", "/v2/app", "/v2/app/", "/v2//manifests/1", "/v2/App/manifests/1", "/v2/../manifests/1",
        "/v2/a..b/manifests/1", "/v2/a//b/manifests/1", "/v2/a:b/manifests/1", "/v2/a@b/tags/list", "/v2/-a/tags/list",
        "/v2/a___b/tags/list", "/v2/a b/tags/list", "/v2/tags/list"})
    EXPECT_FALSE(route_of(path)) << path;
  EXPECT_EQ(route_of("/v2/App/manifests/1").error().code, ProblemCode::kNameInvalid);
  EXPECT_FALSE(is_repository_name(std::string(256, 'a')));
  EXPECT_TRUE(is_repository_name(std::string(255, 'a')));
  for (const char* name : {"a", "a/b", "a-b", "a--b", "a__b", "a_b", "a.b", "localhost/x", "0/1"})
    EXPECT_TRUE(is_repository_name(name)) << name;
}

TEST(Problem, Body) {
  EXPECT_EQ(problem_body({404, ProblemCode::kNameUnknown, "no \"app\""}),
            R"({"errors":[{"code":"NAME_UNKNOWN","message":"no \"app\""}]})");
  const auto digest = oci::Digest::of("");
  EXPECT_EQ(problem_body({400, ProblemCode::kManifestBlobUnknown, "m", {digest, digest}}),
            R"({"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"m","detail":{"digest":")" + digest.text() +
                R"("}},{"code":"MANIFEST_BLOB_UNKNOWN","message":"m","detail":{"digest":")" + digest.text() +
                R"("}}]})");
}

}  // namespace
}  // namespace slipway::distribution
