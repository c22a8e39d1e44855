// Roots: whom a TLS peer must be vouched for by. One store per set of roots, shared by all connections: OpenSSL 3 takes
// some 25 ms to read a system's bundle, and libcurl would do so for each of its handles.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"

struct x509_store_st;  // OpenSSL's X509_STORE
struct ssl_ctx_st;     // SSL_CTX

namespace slipway::http {

using Roots = std::shared_ptr<x509_store_st>;

/// `file`: a PEM bundle, empty for the system's; `directory`: hashed names, may be empty; `extra`: PEM text, added.
/// kNotFound, kInvalidArgument name the file.
[[nodiscard]] Result<Roots> load_roots(const std::string& file, const std::string& directory, const std::string& extra);

/// Makes `context` verify by `roots`.
void use_roots(ssl_ctx_st* context, const Roots& roots);

}  // namespace slipway::http
