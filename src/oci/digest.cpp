#include "oci/digest.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/text.hpp"

namespace slipway::oci {
namespace {

constexpr std::size_t raw_size(Algorithm algorithm) { return algorithm == Algorithm::kSha256 ? 32 : 64; }
constexpr std::string_view prefix(Algorithm algorithm) {
  return algorithm == Algorithm::kSha256 ? "sha256:" : "sha512:";
}

/// The value of a lower-case hexadecimal digit, or -1.
constexpr int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Fetched once for the life of the process: a fetch takes locks and walks the providers, which would cost more than
/// hashing a small blob.
const EVP_MD* method(Algorithm algorithm) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  return algorithm == Algorithm::kSha256 ? sha256 : sha512;
}

/// OpenSSL's hash calls fail only when the library is broken or memory is out: not something a caller can handle.
void require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL refused to hash");
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "{} is not a digest: {}", quoted(text, 160), why);
  };
  Digest digest;
  if (text.starts_with(prefix(Algorithm::kSha512))) {
    digest.algorithm_ = Algorithm::kSha512;
  } else if (!text.starts_with(prefix(Algorithm::kSha256))) {
    return bad("it must begin with sha256: or sha512:");
  }
  const std::string_view digits = text.substr(prefix(digest.algorithm_).size());
  const std::size_t size = raw_size(digest.algorithm_);
  if (digits.size() != size * 2) return bad(fmt::format("it must have {} hexadecimal digits", size * 2));
  for (std::size_t i = 0; i < size; ++i) {
    const int high = digit_value(digits[2 * i]);
    const int low = digit_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return bad("only the digits 0-9 and a-f are allowed");
    digest.raw_[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return digest;
}

Digest Digest::of(std::string_view bytes) {
  Digest digest;
  unsigned size = 0;
  require(EVP_Digest(bytes.data(), bytes.size(), digest.raw_.data(), &size, method(Algorithm::kSha256), nullptr) == 1);
  return digest;
}

Result<Digest> Digest::from_raw_sha256(std::string_view raw) {
  if (raw.size() != raw_size(Algorithm::kSha256)) {
    return fail(Code::kInvalidArgument, "a raw sha256 digest has 32 bytes, not {}", raw.size());
  }
  Digest digest;
  std::copy(raw.begin(), raw.end(), digest.raw_.begin());
  return digest;
}

std::string_view Digest::raw() const { return {reinterpret_cast<const char*>(raw_.data()), raw_size(algorithm_)}; }
std::string Digest::hex() const { return slipway::hex(raw()); }
std::string Digest::text() const { return std::string(prefix(algorithm_)) + hex(); }

struct Hasher::State {
  struct Free {
    void operator()(EVP_MD_CTX* handle) const { EVP_MD_CTX_free(handle); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context;
  Algorithm algorithm;
};

Hasher::Hasher(Algorithm algorithm)
    : state_(std::make_unique<State>(decltype(State::context)(EVP_MD_CTX_new()), algorithm)) {
  require(state_->context && EVP_DigestInit_ex2(state_->context.get(), method(algorithm), nullptr) == 1);
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
  Digest digest;
  digest.algorithm_ = state_->algorithm;
  require(EVP_DigestFinal_ex(state_->context.get(), digest.raw_.data(), nullptr) == 1);
  return digest;
}

ChainId ChainId::next(const DiffId& diff) const { return {Digest::of(digest.text() + " " + diff.digest.text())}; }

}  // namespace slipway::oci
