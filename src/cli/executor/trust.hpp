// ExecutorTrust: SSL_CERT_DIR as Go reads it. kaniko's image names /kaniko/ssl/certs there, and jobs put certificates
// into it in files of any name, while OpenSSL finds only those whose names are hashes.
#pragma once

#include <optional>
#include <string>

#include "registry/credentials.hpp"
#include "sys/file.hpp"

namespace slipway::cli {

class CertificateBundle {
 public:
  /// All files *.crt, *.pem and *.cer of the directories, and SSL_CERT_FILE, in one file; nothing when there are none
  /// in the directories. Errors: more than 32 MiB; an SSL_CERT_FILE that can not be read.
  static Result<std::optional<CertificateBundle>> gather(const registry::Environment& environment);
  [[nodiscard]] std::string file() const { return directory_.path() + "/certificates.pem"; }

 private:
  explicit CertificateBundle(sys::TempDir directory) : directory_(std::move(directory)) {}
  sys::TempDir directory_;
};

/// `environment` with the bundle as SSL_CERT_FILE.
[[nodiscard]] registry::Environment with_bundle(registry::Environment environment, const std::string& file);

}  // namespace slipway::cli
