// What the parts of the registry share: one call, and what it works on. Not part of the door.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "distribution/mirror.hpp"
#include "distribution/problem.hpp"
#include "distribution/registry.hpp"
#include "distribution/route.hpp"
#include "distribution/sessions.hpp"
#include "store/repositories.hpp"

namespace slipway::distribution {

struct Registry::State {
  State(store::Store& of, Options with, std::string scope)
      : store(of), options(std::move(with)), repositories(of, std::move(scope)), sessions(repositories) {}
  store::Store& store;
  Options options;
  store::Repositories repositories;  ///< of the own scope, or of the mirrored upstream's
  Sessions sessions;
  std::atomic<int> large_manifests = 0;  ///< in memory just now, because their peers are slow to send or to take them
  std::unique_ptr<Mirror> mirror;        ///< nothing: not a mirror. Last: its downloads end before what they use
};

/// What went well, or the problem to be answered.
using Outcome = std::expected<void, Problem>;

/// One request on its way.
struct Call {
  Registry::State& registry;
  httpd::Request& request;
  httpd::Answer& answer;
  Route route;
  std::vector<std::string> mirrors;  ///< that it came through (via.hpp)
  [[nodiscard]] const std::string& repository() const { return route.repository; }
  [[nodiscard]] Asker asker() {
    return {[this] { return request.cancel(); }, mirrors};
  }
  [[nodiscard]] bool is(std::string_view method) const { return request.method() == method; }
};

/// Makes a problem of an error of ours, and tells the log what it was.
[[nodiscard]] std::unexpected<Problem> trouble(const Call& call, const Error& error);
[[nodiscard]] std::unexpected<Problem> refuse(int status, ProblemCode code, std::string message);
/// The answer to a method that an endpoint does not have.
[[nodiscard]] std::unexpected<Problem> no_such_method(Call& call, std::string_view allowed);

/// A value, or the problem of its error.
template <class T>
[[nodiscard]] std::expected<T, Problem> judged(const Call& call, Result<T> result) {
  if (!result) return trouble(call, result.error());
  if constexpr (std::is_void_v<T>)
    return {};
  else
    return *std::move(result);
}

// The endpoints.
[[nodiscard]] Outcome handle_manifest(Call& call);  // manifests.cpp
[[nodiscard]] Outcome handle_blob(Call& call);      // blobs.cpp
[[nodiscard]] Outcome handle_uploads(Call& call);   // uploads.cpp
[[nodiscard]] Outcome handle_upload(Call& call);
[[nodiscard]] Outcome handle_tags(Call& call);  // listings.cpp
[[nodiscard]] Outcome handle_catalog(Call& call);
[[nodiscard]] Outcome handle_referrers(Call& call);

/// The digest that a path names, or DIGEST_INVALID.
[[nodiscard]] std::expected<oci::Digest, Problem> digest_in(std::string_view text);

}  // namespace slipway::distribution
