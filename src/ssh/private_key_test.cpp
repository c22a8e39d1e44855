// Keys as ssh-keygen writes them: their public half is what it says, and what they sign verifies.
#include "ssh/private_key.hpp"

#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "ssh/key_maker_testing.hpp"
#include "ssh/wire.hpp"

namespace slipway::ssh {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// The signature inside of "string algorithm, string signature", and the algorithm.
std::pair<std::string, std::string> taken_apart(const std::string& blob) {
  WireReader in(blob);
  const std::string algorithm(in.string()), signature(in.string());
  EXPECT_TRUE(in.complete());
  return {algorithm, signature};
}

EVP_PKEY* from_pem(const std::string& text) {
  BIO* in = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  return key;
}

bool verifies(EVP_PKEY* key, const EVP_MD* digest, std::string_view data, const std::string& signature) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const auto bytes = [](std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); };
  const bool good = EVP_DigestVerifyInit(context, nullptr, digest, nullptr, key) == 1 &&
                    EVP_DigestVerify(context, bytes(signature), signature.size(), bytes(data), data.size()) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return good;
}

class PrivateKeyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!KeyMaker::there()) GTEST_SKIP() << "needs ssh-keygen (package openssh-client)";
  }
  PrivateKey parse(const std::string& name) {
    auto key = PrivateKey::parse(maker.text(name));
    EXPECT_TRUE(key) << key.error().what();
    return *std::move(key);
  }
  KeyMaker maker;
};

TEST_F(PrivateKeyTest, Ed25519) {
  maker.make("key", {"-t", "ed25519"});
  const PrivateKey key = parse("key");
  EXPECT_EQ(key.public_blob(), maker.public_blob("key"));
  EXPECT_EQ(key.comment(), "key@test");
  const auto [algorithm, signature] = taken_apart(key.sign("data", 0).value());
  EXPECT_EQ(algorithm, "ssh-ed25519");
  WireReader blob(key.public_blob());
  (void)blob.string();
  const auto raw = blob.string();
  EXPECT_TRUE(verifies(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                   reinterpret_cast<const unsigned char*>(raw.data()), raw.size()),
                       nullptr, "data", signature));
}

TEST_F(PrivateKeyTest, RsaWithTheHashThatIsAskedFor) {
  maker.make("key", {"-t", "rsa", "-b", "2048"});
  maker.convert("key", "pem", "PEM");
  const PrivateKey own = parse("key"), pem = parse("pem");
  EXPECT_EQ(own.public_blob(), maker.public_blob("key"));
  EXPECT_EQ(pem.public_blob(), own.public_blob());
  const std::vector<std::tuple<std::uint32_t, std::string, const EVP_MD*>> cases = {
      {0, "ssh-rsa", EVP_sha1()}, {2, "rsa-sha2-256", EVP_sha256()}, {4, "rsa-sha2-512", EVP_sha512()}};
  for (const auto& [flags, name, digest] : cases) {
    for (const auto* key : {&own, &pem}) {
      const auto [algorithm, signature] = taken_apart(key->sign("data", flags).value());
      EXPECT_EQ(algorithm, name);
      EXPECT_TRUE(verifies(from_pem(maker.text("pem")), digest, "data", signature)) << name;
    }
  }
}

TEST_F(PrivateKeyTest, EcdsaOnEachCurve) {
  for (const auto& [bits, digest] : {std::pair{"256", EVP_sha256()}, {"384", EVP_sha384()}, {"521", EVP_sha512()}}) {
    const std::string name = std::string("ec") + bits;
    maker.make(name, {"-t", "ecdsa", "-b", bits});
    maker.convert(name, name + "pem", "PKCS8");
    const PrivateKey key = parse(name);
    EXPECT_EQ(key.public_blob(), maker.public_blob(name));
    EXPECT_EQ(parse(name + "pem").public_blob(), key.public_blob());
    const auto [algorithm, signature] = taken_apart(key.sign("data", 0).value());
    EXPECT_EQ(algorithm, std::string("ecdsa-sha2-nistp") + bits);
    WireReader numbers(signature);
    const auto number = [&] {
      const auto bytes = numbers.string();
      return BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr);
    };
    ECDSA_SIG* pair = ECDSA_SIG_new();
    BIGNUM* r = number();
    BIGNUM* s = number();
    ECDSA_SIG_set0(pair, r, s);
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(pair, &der);
    const std::string whole(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    EXPECT_TRUE(verifies(from_pem(maker.text(name + "pem")), digest, "data", whole)) << bits;
  }
}

TEST_F(PrivateKeyTest, APassphraseIsNamedWithTheWayOut) {
  maker.make("own", {"-t", "ed25519"}, "secret");
  maker.make("rsa", {"-t", "rsa", "-b", "1024"});
  maker.convert("rsa", "pem", "PEM", "secret");
  maker.convert("rsa", "pkcs8", "PKCS8", "secret");
  for (const auto* name : {"own", "pem", "pkcs8"}) {
    const auto key = PrivateKey::parse(maker.text(name));
    ASSERT_FALSE(key) << name;
    EXPECT_EQ(key.error().what(), "the key is protected by a passphrase") << name;
    EXPECT_THAT(key.error().hint(), HasSubstr("ssh-add"));
  }
}

TEST_F(PrivateKeyTest, WhatIsCutOrNoKeyIsRefusedWithoutItsBytes) {
  maker.make("key", {"-t", "rsa", "-b", "1024"});
  const std::string text = maker.text("key");
  for (std::size_t size = 0; size + 40 < text.size(); size += 7) {
    const auto key = PrivateKey::parse(text.substr(0, size));
    ASSERT_FALSE(key);
    EXPECT_THAT(key.error().what(), Not(HasSubstr("AAAA")));
  }
  EXPECT_FALSE(PrivateKey::parse(maker.text("key.pub")));
  EXPECT_FALSE(PrivateKey::parse("-----BEGIN OPENSSH PRIVATE KEY-----\nYQ==\n-----END OPENSSH PRIVATE KEY-----\n"));
  EXPECT_FALSE(PrivateKey::parse(std::string(200'000, 'x')));
}

}  // namespace
}  // namespace slipway::ssh
