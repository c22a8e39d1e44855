#include "oci/digest.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

namespace slipway::oci {
namespace {

const std::string kEmpty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kAbc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Digest digest(std::string_view text) { return Digest::parse(text).value(); }

TEST(Digest, KnownVectors) {
  EXPECT_EQ(Digest::of("").text(), kEmpty);
  EXPECT_EQ(Digest::of("abc").text(), kAbc);
  EXPECT_EQ(Digest::of("abc").short_hex(), "ba7816bf8f01");
}

TEST(Digest, ParseIsTheInverseOfText) {
  for (int i = 0; i < 256; ++i) {
    const Digest made = Digest::of(std::string(static_cast<std::size_t>(i), static_cast<char>(i)));
    const auto parsed = Digest::parse(made.text());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, made);
    EXPECT_EQ(parsed->raw().size(), 32U);
    EXPECT_EQ(Digest::from_raw_sha256(made.raw()).value(), made);
  }
}

TEST(Digest, Sha512) {
  Hasher hash(Algorithm::kSha512);
  hash.update("abc");
  const Digest made = hash.finish();
  EXPECT_EQ(made.text(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(made.algorithm(), Algorithm::kSha512);
  EXPECT_EQ(made.raw().size(), 64U);
  EXPECT_EQ(digest(made.text()), made);
}

TEST(Digest, RefusesWhatIsNoDigest) {
  const std::string hex = kAbc.substr(7);
  std::string upper = kAbc;
  upper[7] = 'B';
  std::string slash = kAbc;
  slash[20] = '/';
  std::string nul = kAbc;
  nul[30] = '\0';
  for (const std::string& text :
       {std::string(), std::string("sha256:"), std::string("sha256"), hex, kAbc.substr(0, 70), kAbc + "0", " " + kAbc,
        kAbc + "\n", upper, slash, nul, "SHA256:" + hex, "sha384:" + hex, "md5:" + hex, "sha512:" + hex,
        "sha256:" + hex + hex, "sha256+b64:" + hex, std::string("sha256:../../../../etc/passwd")}) {
    const auto parsed = Digest::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(parsed.error().message().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(Digest::from_raw_sha256(std::string(31, 'x')));
  EXPECT_FALSE(Digest::from_raw_sha256(std::string(33, 'x')));
  EXPECT_FALSE(Digest::from_raw_sha256(""));
}

TEST(Digest, OrderAndHash) {
  const Digest a = digest("sha256:" + std::string(64, '0'));
  const Digest b = digest("sha256:" + std::string(64, 'f'));
  EXPECT_LT(a, b);  // bytes compare unsigned
  EXPECT_LT(digest("sha256:7f" + std::string(62, '0')), digest("sha256:80" + std::string(62, '0')));
  const std::unordered_set<Digest> set = {a, b, a};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Hasher, PiecesMakeTheSameDigestAsTheWhole) {
  Hasher hash;
  hash.update("a");
  hash.update("");
  Hasher moved = std::move(hash);
  moved.update("bc");
  EXPECT_EQ(moved.finish().text(), kAbc);
}

// The diff ids are sha256 of "a", "b", "c"; the chain was made with sha256sum.
TEST(ChainId, KnownVectors) {
  const DiffId a{Digest::of("a")}, b{Digest::of("b")}, c{Digest::of("c")};
  const ChainId first = ChainId::first(a);
  EXPECT_EQ(first.digest, a.digest);
  const ChainId second = first.next(b);
  EXPECT_EQ(second.digest.text(), "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676");
  EXPECT_EQ(second.next(c).digest.text(), "sha256:2fce7f8ce91bcf0a1428b36e1024639fdbd9469eea762dba98aa749631885106");
  EXPECT_NE(ChainId::first(b).next(a), second);
}

}  // namespace
}  // namespace slipway::oci
