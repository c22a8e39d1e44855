#include "dockerfile/mount.hpp"

#include <gtest/gtest.h>

namespace slipway::dockerfile {
namespace {

std::optional<std::string> lookup(std::string_view name) {
  if (name == "WHERE") return "/there";
  return std::nullopt;
}

Result<Mount> parse(std::string_view text) { return parse_mount(text, '\\', lookup); }

std::string error(std::string_view text) {
  const auto mount = parse(text);
  return mount ? "no error" : mount.error().what();
}

TEST(Mount, ReadsEveryKey) {
  const Mount bind = parse("target=$WHERE,src=a b,from=stage,rw").value();
  EXPECT_EQ(bind.type, Mount::Type::kBind);
  EXPECT_EQ(bind.target, "/there");
  EXPECT_EQ(bind.source, "a b");
  EXPECT_EQ(bind.from, "stage");
  EXPECT_FALSE(bind.read_only);
  const Mount cache = parse("type=cache,\"dst=/a,b\",id=x,sharing=locked,mode=0770,uid=1,gid=2").value();
  EXPECT_EQ(cache.target, "/a,b");
  EXPECT_EQ(cache.id, "x");
  EXPECT_EQ(cache.sharing, Mount::Sharing::kLocked);
  EXPECT_EQ(cache.mode, 0770U);
  EXPECT_EQ(parse("type=cache,target=/a,mode=0100644").value().mode, 0644U);
  EXPECT_EQ(cache.uid, 1U);
  EXPECT_EQ(cache.gid, 2U);
  EXPECT_FALSE(cache.read_only);
  const Mount secret = parse("type=secret,id=tok,env=TOKEN,required").value();
  EXPECT_EQ(secret.env, "TOKEN");
  EXPECT_TRUE(secret.required);
  EXPECT_EQ(parse("type=tmpfs,target=/t,size=1m").value().size, 1 << 20);
  EXPECT_FALSE(parse("type=secret,id=a,required=0").value().required);
  EXPECT_TRUE(parse("target=/a,readwrite=false").value().read_only);
  EXPECT_EQ(mount_source_of("type=bind,From=stage,target=/x"), "stage");
  EXPECT_EQ(mount_source_of("target=/x"), "");
}

TEST(Mount, SaysWhatIsWrongAsBuildKitDoes) {
  EXPECT_EQ(error("type=bnd,target=/x"), "unsupported mount type \"bnd\" (did you mean bind?)");
  EXPECT_EQ(error("tarket=/x"), "unexpected key 'tarket' in 'tarket=/x' (did you mean target?)");
  EXPECT_EQ(error("target"), "invalid field 'target' must be a key=value pair");
  EXPECT_EQ(error("size=1,target=/x"), "unexpected key 'size' for mount type 'bind'");
  EXPECT_EQ(error("required,target=/x"), "unexpected key 'required' for mount type 'bind'");
  EXPECT_EQ(error("mode=0700,target=/x"), "mode not allowed for \"bind\" type mounts");
  EXPECT_EQ(error("type=tmpfs,uid=1,target=/x"), "uid not allowed for \"tmpfs\" type mounts");
  EXPECT_EQ(error("sharing=shared,target=/x"), "invalid cache sharing set for bind mount");
  EXPECT_EQ(error("type=cache,sharing=all,target=/x"), "unsupported sharing value \"all\"");
  EXPECT_EQ(error("type=secret"), "invalid secret mount. one of source, target required");
  EXPECT_EQ(error("type=secret,id=a,source=b"), "both source and id can't be set");
  EXPECT_EQ(error("type=secret,id=a,from=b"), "secret mount should not have a from");
  EXPECT_EQ(error("type=cache,target=/x,mode=9"), "invalid value 9 for mode");
  EXPECT_EQ(error("type=cache,target=/x,uid=-1"), "invalid value -1 for uid");
  EXPECT_EQ(error("ro=maybe,target=/x"), "invalid value for ro: maybe");
  EXPECT_EQ(error("from=$X,target=/x"), "'from' doesn't support variable expansion, define alias stage instead");
  // A quote inside a field is a character of CSV, but then the word is expanded.
  EXPECT_EQ(error("target=\"/x"),
            "failed to process \"\\\"/x\": unexpected end of statement while looking for matching double-quote");
  EXPECT_EQ(error("\"target=/x"), "failed to parse csv mounts: a quote is not ended in \"\\\"target=/x\"");
}

}  // namespace
}  // namespace slipway::dockerfile
