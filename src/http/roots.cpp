#include "http/roots.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>

#include "base/text.hpp"

namespace slipway::http {
namespace {

// Go's list (crypto/x509/root_linux.go): where distributions keep their bundle.
constexpr std::array kSystemBundles = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

std::string system_bundle() {
  for (const char* path : kSystemBundles) {
    struct stat found{};
    if (::stat(path, &found) == 0) return path;
  }
  return {};
}

Status add_text(X509_STORE* store, const std::string& text) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                        &::BIO_free);
  int added = 0;
  while (X509* certificate = ::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    ::X509_STORE_add_cert(store, certificate);
    ::X509_free(certificate);
    ++added;
  }
  ::ERR_clear_error();  // the end of the text is an error to OpenSSL
  if (added == 0) return fail(Code::kInvalidArgument, "the host's own root certificates are not PEM");
  return {};
}

}  // namespace

Result<Roots> load_roots(const std::string& file, const std::string& directory, const std::string& extra) {
  Roots roots(::X509_STORE_new(), [](X509_STORE* store) { ::X509_STORE_free(store); });
  if (!roots) return fail(Code::kResourceExhausted, "OpenSSL has no memory");
  const std::string bundle = file.empty() ? system_bundle() : file;
  if (!bundle.empty() && ::X509_STORE_load_file(roots.get(), bundle.c_str()) != 1) {
    ::ERR_clear_error();
    return fail(Code::kInvalidArgument, "cannot read root certificates from {}", printable(bundle));
  }
  if (!directory.empty()) (void)::X509_STORE_load_path(roots.get(), directory.c_str());  // read when it is needed
  if (!extra.empty()) TRY(add_text(roots.get(), extra));
  return roots;
}

void use_roots(ssl_ctx_st* context, const Roots& roots) { ::SSL_CTX_set1_cert_store(context, roots.get()); }

}  // namespace slipway::http
