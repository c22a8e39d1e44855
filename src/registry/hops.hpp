// Hops: where an answer of a registry may send us. Credentials are another matter: they never leave their origin.
#pragma once

#include "base/error.hpp"
#include "http/url.hpp"

namespace slipway::registry {

/// What travels over the next hop.
enum class Hop : unsigned char {
  kVerified,  ///< bytes that their digest proves: they may come over plain http
  kAnswer,    ///< a document, or bytes of ours: whoever sits on a plain line could change or read them
};

/// Refuses plain http after https (kVerified apart), and a loopback or link-local host that another one names: nobody
/// out there has to say what is asked of this machine or of a cloud's metadata service. Names are judged as they are
/// written; what a resolver makes of them is not looked at. Errors: kPermissionDenied.
[[nodiscard]] Status check_hop(const http::Url& from, const http::Url& to, Hop hop);

}  // namespace slipway::registry
