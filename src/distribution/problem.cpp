#include "distribution/problem.hpp"

#include <cerrno>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"

namespace slipway::distribution {

std::string_view name_of(ProblemCode code) {
  switch (code) {
    case ProblemCode::kBlobUnknown:
      return "BLOB_UNKNOWN";
    case ProblemCode::kBlobUploadInvalid:
      return "BLOB_UPLOAD_INVALID";
    case ProblemCode::kBlobUploadUnknown:
      return "BLOB_UPLOAD_UNKNOWN";
    case ProblemCode::kDigestInvalid:
      return "DIGEST_INVALID";
    case ProblemCode::kManifestBlobUnknown:
      return "MANIFEST_BLOB_UNKNOWN";
    case ProblemCode::kManifestInvalid:
      return "MANIFEST_INVALID";
    case ProblemCode::kManifestUnknown:
      return "MANIFEST_UNKNOWN";
    case ProblemCode::kNameInvalid:
      return "NAME_INVALID";
    case ProblemCode::kNameUnknown:
      return "NAME_UNKNOWN";
    case ProblemCode::kSizeInvalid:
      return "SIZE_INVALID";
    case ProblemCode::kUnauthorized:
      return "UNAUTHORIZED";
    case ProblemCode::kDenied:
      return "DENIED";
    case ProblemCode::kUnsupported:
      return "UNSUPPORTED";
    case ProblemCode::kTooManyRequests:
      return "TOOMANYREQUESTS";
    case ProblemCode::kUnavailable:
      return "UNAVAILABLE";
  }
  return "UNSUPPORTED";
}

// The specification has no code for trouble of the registry's own; clients go by the status.
Problem problem_of(const Error& error) {
  switch (error.code()) {
    case Code::kResourceExhausted:
      if (error.sys_errno() == EMFILE || error.sys_errno() == ENFILE || error.sys_errno() == ENOMEM)
        return {503, ProblemCode::kTooManyRequests, "the registry is busy; try again", {}, 1};
      return {507, ProblemCode::kDenied, "the registry's store is full"};
    case Code::kUnavailable:
    case Code::kAborted:
      return {503, ProblemCode::kTooManyRequests, "the registry's store is busy; try again"};
    case Code::kCancelled:
      return {503, ProblemCode::kTooManyRequests, "the registry is ending; try again"};
    case Code::kDataLoss:
      return {500, ProblemCode::kUnsupported,
              "the registry's copy is broken; `slipway fsck` on its machine tells more"};
    default:
      return {500, ProblemCode::kUnsupported, "the registry failed; its log tells why"};
  }
}

std::string problem_body(const Problem& problem) {
  oci::JsonWriter json;
  const auto entry = [&](const oci::Digest* about) {
    json.begin_object();
    json.member("code", name_of(problem.code));
    json.member("message", problem.message);
    if (about != nullptr) {
      json.key("detail");
      json.begin_object();
      json.member("digest", about->text());
      json.end_object();
    }
    json.end_object();
  };
  json.begin_object();
  json.key("errors");
  json.begin_array();
  if (problem.about.empty()) entry(nullptr);
  for (const auto& digest : problem.about) entry(&digest);
  json.end_array();
  json.end_object();
  return json.take();
}

void answer_problem(httpd::Request& request, httpd::Answer& answer, const Problem& problem) {
  request.note(problem.message);
  if (answer.started()) {
    answer.cut();
    return;
  }
  if (problem.retry_after > 0) answer.header("Retry-After", std::to_string(problem.retry_after));
  if (problem.status >= 500) answer.reason(problem.message);  // docker shows nothing else of it
  answer.header("Content-Type", "application/json");
  (void)answer.send(problem.status, problem_body(problem));
}

}  // namespace slipway::distribution
