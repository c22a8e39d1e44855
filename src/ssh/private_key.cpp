#include "ssh/private_key.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <array>
#include <vector>

#include "base/text.hpp"
#include "ssh/wire.hpp"

namespace slipway::ssh {
namespace {

template <auto kFree>
struct Freer {
  template <class T>
  void operator()(T* what) const {
    kFree(what);
  }
};
using Number = std::unique_ptr<BIGNUM, Freer<BN_clear_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;
using Input = std::unique_ptr<BIO, Freer<BIO_free>>;

/// Says what is wrong without what OpenSSL says: that may quote the file.
std::unexpected<Error> unusable(std::string_view why) {
  ERR_clear_error();
  return fail(Code::kInvalidArgument, "{}", why);
}

std::unexpected<Error> needs_passphrase() {
  ERR_clear_error();
  return std::unexpected(Error(Code::kInvalidArgument, "the key is protected by a passphrase")
                             .with_hint("add it to an agent with ssh-add and give the agent: --ssh default"));
}

struct Curve {
  std::string_view ssh, openssl;
  const EVP_MD* (*digest)();
  int bits;
};
constexpr std::array<Curve, 3> kCurves = {{{"nistp256", "prime256v1", EVP_sha256, 256},
                                           {"nistp384", "secp384r1", EVP_sha384, 384},
                                           {"nistp521", "secp521r1", EVP_sha512, 521}}};

const Curve* curve_of(EVP_PKEY* key) {
  for (const auto& curve : kCurves)
    if (EVP_PKEY_get_bits(key) == curve.bits) return &curve;
  return nullptr;
}

Number number_of(std::string_view bytes) {
  return Number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

std::string bytes_of(const BIGNUM* number) {
  std::string out(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  (void)BN_bn2bin(number, reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

Result<std::string> number_param(EVP_PKEY* key, const char* name) {
  BIGNUM* found = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &found) != 1) return unusable("the key has no usable public part");
  const Number owned(found);
  return bytes_of(found);
}

Result<std::string> octets_param(EVP_PKEY* key, const char* name) {
  std::string out(256, '\0');
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, name, reinterpret_cast<unsigned char*>(out.data()), out.size(), &size) != 1)
    return unusable("the key has no usable public part");
  out.resize(size);
  return out;
}

Params params_of(const Builder& builder) { return Params(OSSL_PARAM_BLD_to_param(builder.get())); }

EVP_PKEY* key_from(const char* type, OSSL_PARAM* params) {
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || params == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params) != 1)
    return nullptr;
  return key;
}

/// PROTOCOL.key: n, e, d, iqmp, p, q.
EVP_PKEY* rsa_key(WireReader& in) {
  std::array<Number, 6> parts;
  for (auto& part : parts) part = number_of(in.string());
  const auto& [n, e, d, iqmp, p, q] = parts;
  if (!in.good() || BN_num_bits(n.get()) > 16384 || BN_is_zero(p.get()) || BN_is_zero(q.get())) return nullptr;
  const std::unique_ptr<BN_CTX, Freer<BN_CTX_free>> scratch(BN_CTX_secure_new());
  const Number dmp1(BN_dup(p.get())), dmq1(BN_dup(q.get()));
  if (!scratch || !dmp1 || !dmq1 || BN_sub_word(dmp1.get(), 1) != 1 || BN_sub_word(dmq1.get(), 1) != 1 ||
      BN_is_zero(dmp1.get()) || BN_is_zero(dmq1.get()) || BN_mod(dmp1.get(), d.get(), dmp1.get(), scratch.get()) != 1 ||
      BN_mod(dmq1.get(), d.get(), dmq1.get(), scratch.get()) != 1)
    return nullptr;
  const Builder builder(OSSL_PARAM_BLD_new());
  const std::array<std::pair<const char*, const BIGNUM*>, 8> fields = {
      {{OSSL_PKEY_PARAM_RSA_N, n.get()},
       {OSSL_PKEY_PARAM_RSA_E, e.get()},
       {OSSL_PKEY_PARAM_RSA_D, d.get()},
       {OSSL_PKEY_PARAM_RSA_FACTOR1, p.get()},
       {OSSL_PKEY_PARAM_RSA_FACTOR2, q.get()},
       {OSSL_PKEY_PARAM_RSA_EXPONENT1, dmp1.get()},
       {OSSL_PKEY_PARAM_RSA_EXPONENT2, dmq1.get()},
       {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, iqmp.get()}}};
  for (const auto& [name, value] : fields)
    if (OSSL_PARAM_BLD_push_BN(builder.get(), name, value) != 1) return nullptr;
  return key_from("RSA", params_of(builder).get());
}

EVP_PKEY* ecdsa_key(WireReader& in) {
  const std::string_view name = in.string(), point = in.string();
  const Number secret = number_of(in.string());
  for (const auto& curve : kCurves) {
    if (!in.good() || curve.ssh != name) continue;
    const Builder builder(OSSL_PARAM_BLD_new());
    if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.openssl.data(), 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get()) != 1)
      return nullptr;
    return key_from("EC", params_of(builder).get());
  }
  return nullptr;
}

EVP_PKEY* ed25519_key(WireReader& in) {
  (void)in.string();  // the public part, which is the second half of what follows
  const std::string_view both = in.string();
  if (!in.good() || both.size() != 64) return nullptr;
  return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(both.data()),
                                      32);
}

/// What stands between the lines of dashes; wiped when it goes.
struct Armour {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  Armour() = default;
  Armour(const Armour&) = delete;
  Armour& operator=(const Armour&) = delete;
  ~Armour() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  }
};

Input input_of(std::string_view text) { return Input(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

}  // namespace

void PrivateKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<PrivateKey> PrivateKey::parse(std::string_view text) {
  if (std::ssize(text) > kFileLimit) return unusable("the file is larger than any key");
  Armour armour;
  if (PEM_read_bio(input_of(text).get(), &armour.name, &armour.header, &armour.data, &armour.size) != 1)
    return unusable("the file holds no private key");
  const std::string_view name(armour.name);
  const std::string_view bytes(reinterpret_cast<const char*>(armour.data), static_cast<std::size_t>(armour.size));
  if (name == "OPENSSH PRIVATE KEY") return parse_openssh(bytes);
  if (!name.ends_with("PRIVATE KEY")) return unusable("the file holds no private key");
  if (name.starts_with("ENCRYPTED") || std::string_view(armour.header).contains("ENCRYPTED")) return needs_passphrase();
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(input_of(text).get(), nullptr, no_passphrase, nullptr));
  if (!key) return unusable("the key can not be read");
  return of(std::move(key), "");
}

Result<PrivateKey> PrivateKey::parse_openssh(std::string_view bytes) {
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  if (!bytes.starts_with(kMagic)) return unusable("the key is of a version that is unknown");
  WireReader in(bytes.substr(kMagic.size()));
  const std::string_view cipher = in.string();
  (void)in.string();  // how the passphrase becomes a key
  (void)in.string();
  const std::uint32_t count = in.number();
  (void)in.string();  // the public key, which follows from the private one
  WireReader inner(in.string());
  if (!in.good() || count != 1) return unusable("the key can not be read");
  if (cipher != "none") return needs_passphrase();
  const std::uint32_t check = inner.number(), again = inner.number();
  if (check != again) return unusable("the key can not be read");
  const std::string_view type = inner.string();
  Key key;
  if (type == "ssh-ed25519")
    key.reset(ed25519_key(inner));
  else if (type == "ssh-rsa")
    key.reset(rsa_key(inner));
  else if (type.starts_with("ecdsa-sha2-"))
    key.reset(ecdsa_key(inner));
  else
    return std::unexpected(
        Error(Code::kInvalidArgument, fmt::format("keys of the kind {} are not read", quoted(type, 64)))
            .with_hint("ed25519, RSA and ECDSA keys are; an agent can hold others: --ssh default"));
  const std::string_view comment = inner.string();
  if (!key || !inner.good()) return unusable("the key can not be read");
  return of(std::move(key), std::string(comment));
}

Result<PrivateKey> PrivateKey::of(Key key, std::string comment) {
  PrivateKey out;
  WireWriter blob;
  switch (EVP_PKEY_get_base_id(key.get())) {
    case EVP_PKEY_ED25519: {
      out.algorithm_ = "ssh-ed25519";
      const std::string point = TRY(octets_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY));
      blob.string(out.algorithm_).string(point);
      break;
    }
    case EVP_PKEY_RSA: {
      if (EVP_PKEY_get_bits(key.get()) < 1024) return unusable("the RSA key is shorter than 1024 bits");
      out.algorithm_ = "ssh-rsa";
      const std::string exponent = TRY(number_param(key.get(), OSSL_PKEY_PARAM_RSA_E));
      const std::string modulus = TRY(number_param(key.get(), OSSL_PKEY_PARAM_RSA_N));
      blob.string(out.algorithm_).mpint(exponent).mpint(modulus);
      break;
    }
    case EVP_PKEY_EC: {
      const Curve* curve = curve_of(key.get());
      if (curve == nullptr) return unusable("the key is on a curve that SSH does not know");
      (void)EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
      out.algorithm_ = fmt::format("ecdsa-sha2-{}", curve->ssh);
      const std::string point = TRY(octets_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY));
      blob.string(out.algorithm_).string(curve->ssh).string(point);
      break;
    }
    default:
      return unusable("keys of this kind are not read: ed25519, RSA and ECDSA keys are");
  }
  out.key_ = std::move(key);
  out.blob_ = blob.take();
  out.comment_ = std::move(comment);
  return out;
}

Result<std::string> PrivateKey::sign(std::string_view data, std::uint32_t flags) const {
  std::string algorithm = algorithm_;
  const EVP_MD* digest = nullptr;  // ed25519 has its own
  if (algorithm_ == "ssh-rsa") {
    digest = (flags & 4U) != 0 ? EVP_sha512() : (flags & 2U) != 0 ? EVP_sha256() : EVP_sha1();
    if ((flags & 6U) != 0) algorithm = (flags & 4U) != 0 ? "rsa-sha2-512" : "rsa-sha2-256";
  } else if (const Curve* curve = algorithm_.starts_with("ecdsa") ? curve_of(key_.get()) : nullptr) {
    digest = curve->digest();
  }
  const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, data.size()) != 1)
    return unusable("the key can not sign");
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes, data.size()) != 1)
    return unusable("the key can not sign");
  signature.resize(size);
  if (algorithm_.starts_with("ecdsa")) {  // RFC 5656 section 3.1.2: two numbers instead of DER
    const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
    const std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>> pair(
        d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size())));
    if (!pair) return unusable("the key can not sign");
    signature =
        WireWriter().mpint(bytes_of(ECDSA_SIG_get0_r(pair.get()))).mpint(bytes_of(ECDSA_SIG_get0_s(pair.get()))).take();
  }
  return WireWriter().string(algorithm).string(signature).take();
}

}  // namespace slipway::ssh
