// Digest: the name of bytes. 32 (or 64) raw bytes and an algorithm, never a string; made only by checking.
//
//   const Digest digest = TRY(Digest::parse("sha256:9f86d0…"));
//   Hasher hash;  hash.update(bytes);  const Digest same = hash.finish();
//
// image-spec descriptor.md "Digests": sha256 and sha512 are registered; anything else is refused.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::oci {

enum class Algorithm : unsigned char { kSha256, kSha512 };

class Digest {
 public:
  /// "sha256:" + 64 or "sha512:" + 128 lower-case hexadecimal digits; anything else is kInvalidArgument.
  static Result<Digest> parse(std::string_view text);
  /// sha256 of `bytes`.
  static Digest of(std::string_view bytes);
  /// From raw sha256 bytes (a hash's answer, a row of the database); 32 bytes exactly or kInvalidArgument.
  static Result<Digest> from_raw_sha256(std::string_view raw);

  [[nodiscard]] Algorithm algorithm() const { return algorithm_; }
  [[nodiscard]] std::string_view raw() const;  ///< 32 or 64 bytes; lives as long as the digest
  [[nodiscard]] std::string hex() const;       ///< safe as a file name
  [[nodiscard]] std::string text() const;      ///< "sha256:…"
  [[nodiscard]] std::string short_hex() const { return hex().substr(0, 12); }  ///< docker's short id
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  friend class Hasher;  // makes sha512 digests
  Digest() = default;
  Algorithm algorithm_ = Algorithm::kSha256;
  std::array<unsigned char, 64> raw_{};  // unsigned: the order of digests is the order of their texts
};

/// A running hash; one object, one digest. Uses OpenSSL EVP with the method fetched once (SHA-NI).
class Hasher {
 public:
  explicit Hasher(Algorithm algorithm = Algorithm::kSha256);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::string_view bytes);
  /// The digest of all updates; the object is spent afterwards.
  [[nodiscard]] Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of a layer's plain (uncompressed) tar; never the same type as the digest of the blob.
struct DiffId {
  Digest digest;
  friend auto operator<=>(const DiffId&, const DiffId&) = default;
};

/// image-spec config.md "Layer ChainID": chain(L0) = diff(L0); chain(L0..Ln) = sha256(chain + " " + diff).
struct ChainId {
  Digest digest;
  static ChainId first(const DiffId& diff) { return {diff.digest}; }
  [[nodiscard]] ChainId next(const DiffId& diff) const;
  friend auto operator<=>(const ChainId&, const ChainId&) = default;
};

}  // namespace slipway::oci

template <>
struct std::hash<slipway::oci::Digest> {
  std::size_t operator()(const slipway::oci::Digest& digest) const noexcept {
    return std::hash<std::string_view>{}(digest.raw());
  }
};
