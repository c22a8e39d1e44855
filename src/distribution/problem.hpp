// Problem: an error as the distribution specification writes it ("Error Codes"): a status, one of its codes, a message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "httpd/server.hpp"
#include "oci/digest.hpp"

namespace slipway::distribution {

enum class ProblemCode : unsigned char {
  kBlobUnknown,
  kBlobUploadInvalid,
  kBlobUploadUnknown,
  kDigestInvalid,
  kManifestBlobUnknown,
  kManifestInvalid,
  kManifestUnknown,
  kNameInvalid,
  kNameUnknown,
  kSizeInvalid,
  kUnauthorized,
  kDenied,
  kUnsupported,
  kTooManyRequests,
  kUnavailable,  ///< docker's, not the specification's: the upstream can not be asked
};

struct Problem {
  int status = 500;
  ProblemCode code = ProblemCode::kUnsupported;
  std::string message;
  std::vector<oci::Digest> about = {};  ///< one entry of `errors` each
  int retry_after = 0;                  ///< seconds, for the client; 0: nothing is said
};

/// "MANIFEST_UNKNOWN".
[[nodiscard]] std::string_view name_of(ProblemCode code);

/// What a failure of ours means for the client: a full store 507, a busy one 503, anything else 500. The message is the
/// error's own, made printable; paths of the store do not leave the machine.
[[nodiscard]] Problem problem_of(const Error& error);

/// The answer's body. https://github.com/opencontainers/distribution-spec "Error Codes".
[[nodiscard]] std::string problem_body(const Problem& problem);

/// Sends it, when no answer has begun; notes the message for the log.
void answer_problem(httpd::Request& request, httpd::Answer& answer, const Problem& problem);

}  // namespace slipway::distribution
