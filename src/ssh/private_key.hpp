// PrivateKey: one key of --ssh id=FILE, and what an agent does with it. OpenSSL does the arithmetic; the file formats
// are OpenSSH's own (PROTOCOL.key of OpenSSH) and PEM (PKCS#1, PKCS#8, SEC1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

extern "C" struct evp_pkey_st;

namespace slipway::ssh {

/// ed25519, RSA (1024 to 16384 bits) or ECDSA on the NIST curves 256, 384 and 521. The secret part never leaves it.
class PrivateKey {
 public:
  static constexpr std::int64_t kFileLimit = 100 * 1024;  // BuildKit's

  /// `text` is not kept. Errors: a passphrase is needed, an unknown kind, no key at all; never with bytes of the key.
  static Result<PrivateKey> parse(std::string_view text);

  /// "string algorithm, …": what names the key in an agent's messages.
  [[nodiscard]] const std::string& public_blob() const { return blob_; }
  [[nodiscard]] const std::string& comment() const { return comment_; }
  void set_comment(std::string comment) { comment_ = std::move(comment); }
  /// The signature with its algorithm (RFC 4253 section 6.6, RFC 8332). `flags`: 2 asks an RSA key for SHA-256, 4 for
  /// SHA-512.
  [[nodiscard]] Result<std::string> sign(std::string_view data, std::uint32_t flags) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  using Key = std::unique_ptr<evp_pkey_st, Free>;
  PrivateKey() = default;
  static Result<PrivateKey> of(Key key, std::string comment);
  static Result<PrivateKey> parse_openssh(std::string_view bytes);

  Key key_;
  std::string algorithm_;  ///< "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256" …
  std::string blob_, comment_;
};

}  // namespace slipway::ssh
