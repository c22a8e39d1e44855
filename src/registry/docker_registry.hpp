// Real servers for tests: Debian's docker-registry, and a token server beside it, on free loopback ports.
//
//   auto registry = DockerRegistry::start({});
//   if (!registry) GTEST_SKIP() << registry.error().message();
//   client.repository(Reference::parse(registry->authority() + "/team/app:1").value())
//
// Linked into tests only. Both end with their objects.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::registry::testing {

/// Who the servers below know, password included.
inline constexpr const char* kUser = "joe";
inline constexpr const char* kPassword = "s3cret";
inline constexpr const char* kRefreshToken = "refresh-me";

/// A key and a self-signed certificate for 127.0.0.1 and localhost, made by openssl.
struct KeyPair {
  std::string certificate_file, key_file;
  static Result<KeyPair> make(const std::string& directory);
};

class TokenServer {
 public:
  /// `lifetime`: seconds that its tokens are said to live.
  static Result<TokenServer> start(int lifetime = 300);
  [[nodiscard]] std::string realm() const;
  [[nodiscard]] const std::string& certificate_file() const { return keys_.certificate_file; }
  /// One JSON line per token it gave.
  [[nodiscard]] std::vector<std::string> log() const;

 private:
  TokenServer(sys::TempDir directory, KeyPair keys, sys::Child child, int port);
  sys::TempDir directory_;
  KeyPair keys_;
  sys::Child child_;
  int port_;
};

struct RegistryOptions {
  bool basic = false;                   ///< htpasswd with kUser
  const TokenServer* tokens = nullptr;  ///< auth: token
  const KeyPair* tls = nullptr;
  const KeyPair* clients = nullptr;  ///< with tls: clients must show a certificate that this one signed
};

class DockerRegistry {
 public:
  /// kNotFound with the reason when a program is missing.
  static Result<DockerRegistry> start(const RegistryOptions& options);
  [[nodiscard]] std::string authority() const;  ///< "127.0.0.1:port"
  /// What it wrote about its work: one line per request among others.
  [[nodiscard]] std::string log() const;
  /// Where it keeps a blob's bytes, for tests that flip some.
  [[nodiscard]] std::string blob_file(const std::string& digest_hex) const;

 private:
  DockerRegistry(sys::TempDir directory, sys::Child child, int port);
  sys::TempDir directory_;
  sys::Child child_;
  int port_;
};

}  // namespace slipway::registry::testing
