// TLS of a server: the certificate in use, and what a connection makes of it. OpenSSL's objects stay behind this
// header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "httpd/server.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace slipway::httpd {

using SslContext = std::shared_ptr<ssl_ctx_st>;
struct FreeSsl {
  void operator()(ssl_st* ssl) const;
};
using Ssl = std::unique_ptr<ssl_st, FreeSsl>;

/// A certificate and its key from files, read again when they have changed. Thread safe.
class Certificate {
 public:
  /// Errors name the file.
  static Result<std::unique_ptr<Certificate>> load(const TlsFiles& files);
  /// A TLS end for a connected socket. `trouble` is told of a changed file that can not be used; the old one stays.
  [[nodiscard]] Result<Ssl> accept(int socket, const std::function<void(const std::string&)>& trouble);

 private:
  explicit Certificate(TlsFiles files) : files_(std::move(files)) {}
  TlsFiles files_;
  std::mutex mutex_;
  SslContext context_;
  std::string stamp_;           ///< of the files that context_ was made from
  std::int64_t looked_at_ = 0;  ///< monotonic milliseconds
};

/// What OpenSSL has to say about this thread's last failure; clears it.
[[nodiscard]] std::string ssl_error_text();

}  // namespace slipway::httpd
