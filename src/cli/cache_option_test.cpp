#include "cli/cache_option.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

constexpr auto kNoEnvironment = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
constexpr auto kFrom = CacheWay::kFrom;
constexpr auto kTo = CacheWay::kTo;
using List = std::vector<std::string>;

List caches(CacheWay way, std::string_view text) {
  auto parsed = parse_cache(way, text, kNoEnvironment);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().what());
  return parsed ? *std::move(parsed) : List();
}
std::string error_of(CacheWay way, std::string_view text) {
  const auto parsed = parse_cache(way, text, kNoEnvironment);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().code(), Code::kUsage);
  return parsed.error().what();
}

TEST(CacheOption, TheWholeGrammarIsRead) {
  EXPECT_EQ(caches(kFrom, "user/app:cache"), (List{"type=registry,ref=user/app:cache"}));
  EXPECT_EQ(caches(kFrom, "a,127.0.0.1:5000/b:1"),
            (List{"type=registry,ref=a", "type=registry,ref=127.0.0.1:5000/b:1"}));
  EXPECT_EQ(caches(kFrom, ""), List()) << "a variable that is not set";
  EXPECT_EQ(caches(kTo, "type=inline"), (List{"type=inline"}));
  EXPECT_EQ(caches(kTo,
                   "type=registry,ref=a,mode=max,image-manifest=true,oci-mediatypes=true,compression=zstd,"
                   "compression-level=3,force-compression=true,ignore-error=true,registry.insecure=true"),
            (List{"type=registry,ref=a"}));
  EXPECT_EQ(caches(kFrom, "type=local,src=/c,digest=sha256:00,tag=x"), (List{"type=local,src=/c"}));
  EXPECT_EQ(caches(kTo, "type=local,dest=/c,mode=min"), (List{"type=local,dest=/c"}));
  EXPECT_EQ(caches(kTo, "type=gha,scope=x,token=t,url=u,url_v2=v"), (List{"type=gha,scope=x"}));
  EXPECT_EQ(caches(kTo, "type=s3,region=r,bucket=b,name=n,prefix=p,endpoint_url=e,use_path_style=true"),
            (List{"type=s3,bucket=b"}));
  EXPECT_EQ(caches(kTo, "type=azblob,account_url=https://x/?sig=SECRET,container=c"),
            (List{"type=azblob,account_url=https://x/"}));
}

TEST(CacheOption, PlacesMayComeFromTheEnvironment) {
  const auto region = [](const std::string& name) -> std::optional<std::string> {
    return name == "AWS_REGION" ? std::optional<std::string>("eu") : std::nullopt;
  };
  EXPECT_TRUE(parse_cache(kTo, "type=s3,bucket=b", region));
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

TEST(CacheOption, NotesNameTheCache) {
  EXPECT_EQ(cache_note(kFrom, "type=inline"),
            "--cache-from type=inline is not read: this version has no caches that travel, the store is the cache");
  EXPECT_EQ(cache_note(kTo, "type=inline"),
            "--cache-to type=inline is not written: this version has no caches that travel, the store is the cache");
}

}  // namespace
}  // namespace slipway::cli
