#include "httpd/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>

#include "base/text.hpp"
#include "base/time.hpp"

namespace slipway::httpd {
namespace {

constexpr std::int64_t kLookAgain = 1000;  ///< milliseconds between looks at the files

/// Takes http/1.1 where the peer offers protocols; a peer that offers only others is told so.
int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* length, const unsigned char* offered,
                    unsigned int offered_length, void* /*argument*/) {
  static constexpr std::array<unsigned char, 9> kOurs = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, length, kOurs.data(), kOurs.size(), offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::string stamp_of(const TlsFiles& files) {
  std::string stamp;
  for (const std::string* path : {&files.certificate, &files.key}) {
    struct stat info{};
    if (::stat(path->c_str(), &info) != 0) return "";
    stamp += fmt::format("{}:{}:{}:{}.{};", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                         info.st_mtim.tv_nsec);
  }
  return stamp;
}

Result<SslContext> make_context(const TlsFiles& files) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return fail(Code::kInternal, "cannot prepare TLS: {}", ssl_error_text());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("slipway"), 7);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return fail(Code::kInvalidArgument, "cannot use the certificate {}: {}", printable(files.certificate),
                ssl_error_text());
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return fail(Code::kInvalidArgument, "cannot use the private key {}: {}", printable(files.key), ssl_error_text());
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return fail(Code::kInvalidArgument, "the key {} does not belong to the certificate {}", printable(files.key),
                printable(files.certificate));
  return context;
}

}  // namespace

void FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }

std::string ssl_error_text() {
  const unsigned long code = ERR_peek_error();
  std::string text = "unknown error";
  if (code != 0) {
    const char* reason = ERR_reason_error_string(code);
    char buffer[256];
    ERR_error_string_n(code, buffer, sizeof buffer);
    text = printable(reason != nullptr ? reason : buffer, 200);
  }
  ERR_clear_error();
  return text;
}

Result<std::unique_ptr<Certificate>> Certificate::load(const TlsFiles& files) {
  std::unique_ptr<Certificate> made(new Certificate(files));
  made->stamp_ = stamp_of(files);
  made->context_ = TRY(make_context(files));
  made->looked_at_ = monotonic_ms();
  return made;
}

Result<Ssl> Certificate::accept(int socket, const std::function<void(const std::string&)>& trouble) {
  SslContext context;
  {
    const std::lock_guard lock(mutex_);
    if (monotonic_ms() - looked_at_ >= kLookAgain) {
      looked_at_ = monotonic_ms();
      const std::string stamp = stamp_of(files_);
      if (!stamp.empty() && stamp != stamp_) {
        stamp_ = stamp;  // also when it is of no use: it is told once
        auto fresh = make_context(files_);
        if (fresh) context_ = *fresh;
        if (!fresh && trouble) trouble(fresh.error().message() + "; the old certificate stays in use");
      }
    }
    context = context_;
  }
  Ssl ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), socket) != 1)
    return fail(Code::kInternal, "cannot begin TLS: {}", ssl_error_text());
  SSL_set_accept_state(ssl.get());
  return ssl;
}

}  // namespace slipway::httpd
