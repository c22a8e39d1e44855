#include "cli/output_option.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using build::Output;
using Type = Output::Type;

Output output(std::string_view text) {
  auto parsed = parse_output(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().what());
  return parsed ? *std::move(parsed) : Output{};
}

std::string error_of(std::string_view text) {
  const auto parsed = parse_output(text);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().code(), Code::kUsage) << parsed.error().what();
  return parsed.error().what();
}

TEST(OutputOption, TypesAndDestinations) {
  const auto is = [](std::string_view text, Type type, std::string_view destination) {
    EXPECT_EQ(output(text).type, type) << text;
    EXPECT_EQ(output(text).destination, destination) << text;
  };
  is("out", Type::kLocal, "out");
  is("-", Type::kTar, "-");
  is("type=local,dest=out", Type::kLocal, "out");
  is("type=tar", Type::kTar, "-");
  is("type=tar,\"dest=a,b\"", Type::kTar, "a,b");
  is("type=oci", Type::kOci, "-");
  is("dest=a.tar,type=oci", Type::kOci, "a.tar");
  is("type=docker,dest=-", Type::kDocker, "-");
  is("type=docker", Type::kImage, "");
  is("type=image", Type::kImage, "");
  is("type=registry", Type::kImage, "");
  is("type=cacheonly", Type::kCacheOnly, "");
  EXPECT_TRUE(output("type=oci,dest=d,tar=false").directory);
  EXPECT_FALSE(output("type=oci,dest=d,tar=true").directory);
}

TEST(OutputOption, KeysOfAnImage) {
  EXPECT_FALSE(output("type=image").push);
  EXPECT_TRUE(output("type=image,push=").push);
  EXPECT_TRUE(output("type=registry").push);
  EXPECT_FALSE(output("type=registry,push=false").push);
  const auto all = output(
      "type=image,\"name=a,host/b\",push=true,push-by-digest=true,registry.insecure=1,unpack=true,store=false,"
      "dangling-name-prefix=team/none,name-canonical=T,attestation-inline=true");
  ASSERT_EQ(all.names.size(), 2u);
  EXPECT_EQ(all.names[1].canonical(), "docker.io/host/b:latest");
  EXPECT_TRUE(all.push && all.by_digest && all.insecure && all.name_canonical && !all.store);
  EXPECT_EQ(all.dangling_prefix, "team/none");
  EXPECT_EQ(error_of("type=image,name=a:1,push-by-digest=true"),
            "option --output: \"a:1\" has a tag and can not be pushed by digest");
  for (const auto* bad : {"a:1", "A", "", "a@sha256:00", "../x"})
    EXPECT_NE(error_of(std::string("type=image,dangling-name-prefix=") + bad), "no error") << bad;
  for (const auto* bad : {"UPPER", "", "a//b", "a b"})
    EXPECT_NE(error_of(std::string("type=image,name=") + bad), "no error") << bad;
}

TEST(OutputOption, Formats) {
  const auto format = [](std::string_view keys) { return output("type=oci," + std::string(keys)).format; };
  EXPECT_EQ(output("type=oci").format, build::ImageFormat());
  EXPECT_EQ(format("compression=uncompressed").compression, oci::Compression::kNone);
  EXPECT_EQ(format("compression=zstd,compression-level=22").level, 22);
  EXPECT_EQ(format("compression-level=9,compression=gzip").level, 9);
  EXPECT_EQ(format("compression=gzip,compression-level=0").level, 0) << "stored, as zlib has it";
  EXPECT_EQ(format("compression=zstd,compression-level=0").level, std::nullopt) << "zstd's usual one";
  EXPECT_EQ(format("compression=uncompressed,compression-level=3").level, std::nullopt);
  EXPECT_EQ(format("compression-level=3").compression, oci::Compression::kGzip);
  EXPECT_EQ(format("force-compression=true").compression, oci::Compression::kGzip);
  EXPECT_EQ(format("oci-mediatypes=false").family, oci::Family::kDocker);
  EXPECT_EQ(format("annotation.A.b=C").annotations[0].key, "A.b") << "keys of annotations keep their case";
  EXPECT_EQ(output("type=tar,rewrite-timestamp=true").clamp_times, true);
  EXPECT_EQ(output("type=local,dest=x,platform-split=false").platform_split, false);
  EXPECT_EQ(output("TYPE=oci,Dest=x,COMPRESSION=gzip").format.compression, oci::Compression::kGzip);
}

TEST(OutputOption, Mistakes) {
  EXPECT_EQ(error_of(""), "option --output is empty");
  EXPECT_EQ(error_of("dest=x"), "option --output \"dest=x\" has no type");
  EXPECT_EQ(error_of("type="), "option --output \"type=\" has no type");
  EXPECT_EQ(error_of("type=nope"),
            "option --output does not know the type \"nope\"; there are local, tar, oci, docker, image, registry and "
            "cacheonly");
  EXPECT_TRUE(error_of("type=dokcer").ends_with("; did you mean docker?"));
  EXPECT_EQ(error_of("type=local"), "option --output type=local needs dest=DIRECTORY");
  EXPECT_EQ(error_of("type=local,dest=-"), "option --output type=local needs dest=DIRECTORY");
  EXPECT_EQ(error_of("type=oci,tar=false"), "option --output type=oci,tar=false needs dest=DIRECTORY");
  EXPECT_EQ(error_of("type=image,compresion=gzip"),
            "option --output type=image does not know \"compresion\"; did you mean compression?");
  EXPECT_EQ(error_of("type=local,dest=x,compression=gzip"), "option --output: compression is not for type=local");
  EXPECT_EQ(error_of("type=image,dest=x"), "option --output: dest is not for type=image");
  EXPECT_EQ(error_of("type=docker,tar=false"), "option --output: tar is not for type=docker");
  EXPECT_EQ(error_of("type=tar,annotation.a=b"), "option --output: annotations are not for type=tar");
  EXPECT_EQ(error_of("type=cacheonly,push=true"), "option --output: push is not for type=cacheonly");
  EXPECT_TRUE(error_of("type=docker,context=other").starts_with("option --output: context="));
  EXPECT_EQ(error_of("type=image,compression=estargz"),
            "option --output: compression=estargz is not in this version; there are uncompressed, gzip and zstd");
  EXPECT_EQ(error_of("type=image,compression=lz4"),
            "option --output: compression is uncompressed, gzip or zstd, not \"lz4\"");
  for (const auto* level : {"10", "-1", "x", "99999999999999999999", "1.5"})
    EXPECT_TRUE(error_of(std::string("type=image,compression-level=") + level)
                    .starts_with("option --output: compression-level of gzip is 0 to 9"))
        << level;
  EXPECT_NE(error_of("type=image,compression=zstd,compression-level=23"), "no error");
  EXPECT_EQ(error_of("type=image,push=maybe"), "option --output: push is true or false, not \"maybe\"");
  EXPECT_EQ(error_of("type=image,push"), "option --output: \"push\" is no KEY=VALUE");
  EXPECT_EQ(error_of("a,b"), "option --output: \"a\" is no KEY=VALUE");
  EXPECT_NE(error_of("type=tar,\"dest=x"), "no error") << "a quote without end";
}

TEST(OutputOption, HostileTextIsMadeSafe) {
  for (const std::string& text :
       {std::string("type=\x1b[2J"), std::string("type=image,\x1b[2J=x"), std::string("type=image,push=\x1b[2J"),
        std::string("type=image,a\0b=c", 16), "type=image,name=" + std::string(100'000, 'a')}) {
    const std::string error = error_of(text);
    EXPECT_NE(error, "no error");
    EXPECT_EQ(error.find('\x1b'), std::string::npos);
    EXPECT_LT(error.size(), 2000u);
  }
}

TEST(ParseBool, AsGoReadsIt) {
  for (const auto* yes : {"", "1", "t", "T", "true", "TRUE", "True"}) EXPECT_TRUE(*parse_bool(yes, "x")) << yes;
  for (const auto* no : {"0", "f", "F", "false", "FALSE", "False"}) EXPECT_FALSE(*parse_bool(no, "x")) << no;
  for (const auto* neither : {"yes", "no", "tRUE", " true", "2"}) EXPECT_FALSE(parse_bool(neither, "x")) << neither;
}

}  // namespace
}  // namespace slipway::cli
