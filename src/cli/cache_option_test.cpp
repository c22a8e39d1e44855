#include "cli/cache_option.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

constexpr auto kNoEnvironment = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
constexpr auto kFrom = CacheWay::kFrom;
constexpr auto kTo = CacheWay::kTo;
using List = std::vector<std::string>;

Caches parsed(CacheWay way, std::string_view text) {
  Caches caches;
  const Status status = parse_cache(way, text, kNoEnvironment, caches);
  EXPECT_TRUE(status) << text << ": " << (status ? "" : status.error().what());
  return caches;
}
/// What the caches are called, and the notes.
List caches(CacheWay way, std::string_view text) {
  const Caches caches = parsed(way, text);
  List out;
  for (const auto& source : caches.sources) out.push_back(source.place.title);
  for (const auto& target : caches.targets) out.push_back(target.in_image ? "in the image" : target.place.title);
  for (const auto& note : caches.notes) out.push_back(note);
  return out;
}
std::string error_of(CacheWay way, std::string_view text) {
  Caches caches;
  const Status status = parse_cache(way, text, kNoEnvironment, caches);
  if (status) return "no error";
  EXPECT_EQ(status.error().code(), Code::kUsage);
  return status.error().what();
}

TEST(CacheOption, TheWholeGrammarIsRead) {
  EXPECT_EQ(caches(kFrom, "user/app:cache"), (List{"type=registry,ref=user/app:cache"}));
  EXPECT_EQ(caches(kFrom, "a,127.0.0.1:5000/b:1"),
            (List{"type=registry,ref=a", "type=registry,ref=127.0.0.1:5000/b:1"}));
  EXPECT_EQ(caches(kFrom, ""), List()) << "a variable that is not set";
  EXPECT_EQ(caches(kTo, "type=inline"), (List{"in the image"}));
  EXPECT_EQ(caches(kTo,
                   "type=registry,ref=a,mode=max,image-manifest=true,oci-mediatypes=true,compression=zstd,"
                   "compression-level=3,force-compression=true,ignore-error=true,registry.insecure=true"),
            (List{"type=registry,ref=a"}));
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(caches(kFrom, "type=local,src=/c,tag=x,digest=" + digest), (List{"type=local,src=/c"}));
  EXPECT_EQ(caches(kTo, "type=local,dest=/c,mode=min"), (List{"type=local,dest=/c"}));
}

TEST(CacheOption, WhatIsNotUsedIsTold) {
  const auto note = [](std::string_view cache) {
    return fmt::format(
        "--cache-to {} is not written: of caches that travel this version has registry, local and inline", cache);
  };
  EXPECT_EQ(caches(kTo, "type=gha,scope=x,token=t,url=u,url_v2=v"), (List{note("type=gha,scope=x")}));
  EXPECT_EQ(caches(kTo, "type=s3,region=r,bucket=b,name=n,prefix=p,endpoint_url=e,use_path_style=true"),
            (List{note("type=s3,bucket=b")}));
  EXPECT_EQ(caches(kTo, "type=azblob,account_url=https://x/?sig=SECRET,container=c"),
            (List{note("type=azblob,account_url=https://x/")}));
  EXPECT_EQ(caches(kFrom, "type=inline"),
            (List{"--cache-from type=inline names no image: read an image's cache with type=registry,ref=IMAGE"}));
}

TEST(CacheOption, WhatKeysMean) {
  const auto target = parsed(kTo,
                             "type=registry,ref=a,mode=max,compression=zstd,compression-level=3,"
                             "force-compression=true,ignore-error=true,registry.insecure=true")
                          .targets.at(0);
  EXPECT_TRUE(target.all && target.ignore_error && target.place.insecure && target.image_manifest);
  EXPECT_EQ(target.format.compression, oci::Compression::kZstd);
  EXPECT_EQ(target.format.level, 3);
  EXPECT_TRUE(target.format.force);
  const auto plain = parsed(kTo, "type=local,dest=/c").targets.at(0);
  EXPECT_TRUE(!plain.all && !plain.ignore_error && plain.image_manifest);
  EXPECT_EQ(plain.place.tag, "latest");
  EXPECT_FALSE(parsed(kTo, "type=registry,ref=a,image-manifest=false").targets.at(0).image_manifest);
  const auto docker = parsed(kTo, "type=registry,ref=a,oci-mediatypes=false").targets.at(0);
  EXPECT_EQ(docker.format.family, oci::Family::kDocker);
  EXPECT_FALSE(docker.image_manifest) << "as BuildKit: an image manifest has OCI's types";
  EXPECT_NE(error_of(kTo, "type=registry,ref=a,oci-mediatypes=false,image-manifest=true"), "no error");
  EXPECT_NE(error_of(kTo, "type=registry,ref=a,compression=estargz"), "no error");
  EXPECT_NE(error_of(kTo, "type=registry,ref=a,compression=gzip,compression-level=10"), "no error");
  EXPECT_NE(error_of(kFrom, "type=local,src=/c,digest=sha256:00"), "no error");
}

TEST(CacheOption, PlacesMayComeFromTheEnvironment) {
  const auto region = [](const std::string& name) -> std::optional<std::string> {
    return name == "AWS_REGION" ? std::optional<std::string>("eu") : std::nullopt;
  };
  Caches caches;
  EXPECT_TRUE(parse_cache(kTo, "type=s3,bucket=b", region, caches));
  EXPECT_EQ(error_of(kTo, "type=s3,bucket=b"), "option --cache-to: type=s3 needs region=…");
}

TEST(CacheOption, Mistakes) {
  EXPECT_EQ(
      error_of(kFrom, "type=registy,ref=a"),
      "option --cache-from: there is no cache of type \"registy\"; there are inline, registry, local, gha, s3 and "
      "azblob; did you mean registry?");
  EXPECT_EQ(error_of(kFrom, "ref=a"), "option --cache-from: there is no type=…");
  EXPECT_EQ(error_of(kFrom, "type=registry"), "option --cache-from: type=registry needs ref=…");
  EXPECT_EQ(error_of(kFrom, "type=registry,ref="), "option --cache-from: \"\" is not an image name: it is empty");
  EXPECT_EQ(error_of(kFrom, "type=local,dest=x"), "option --cache-from: type=local needs src=…");
  EXPECT_EQ(error_of(kTo, "type=local,src=x"), "option --cache-to: type=local needs dest=…");
  EXPECT_EQ(error_of(kTo, "type=registry,ref=a,mod=max"),
            "option --cache-to: type=registry does not know \"mod\"; did you mean mode?");
  EXPECT_EQ(error_of(kTo, "type=registry,ref=a,mode=all"), "option --cache-to: mode is min or max, not \"all\"");
  EXPECT_NE(error_of(kTo, "type=registry,ref=a,ignore-error=perhaps"), "no error");
  EXPECT_NE(error_of(kTo, "type=registry,ref=a,compression=lz4"), "no error");
  EXPECT_NE(error_of(kFrom, "Not A Name"), "no error");
  EXPECT_NE(error_of(kFrom, "type=\"inline"), "no error");
  EXPECT_EQ(error_of(kFrom, "\x1b[2J").find('\x1b'), std::string::npos);
}

TEST(CacheOption, CredentialsAreNotTold) {
  for (const auto* text : {"type=s3,region=r,bucket=b,secret_access_key=HIDDEN,session_token=HIDDEN",
                           "type=gha,token=HIDDEN,ghtoken=HIDDEN"})
    EXPECT_EQ(caches(kTo, text)[0].find("HIDDEN"), std::string::npos) << text;
  EXPECT_EQ(error_of(kTo, "type=s3,secret_access_key=a,HIDDEN").find("HIDDEN"), std::string::npos);
  EXPECT_EQ(error_of(kTo, "type=s3,secret_access_ky=HIDDEN").find("HIDDEN"), std::string::npos);
}

}  // namespace
}  // namespace slipway::cli
