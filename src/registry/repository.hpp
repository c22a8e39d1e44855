// What the parts of a Repository share (client.cpp, download.cpp, upload.cpp).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "registry/client.hpp"
#include "registry/host.hpp"

namespace slipway::registry {

/// What the Warning headers of an answer make of it.
[[nodiscard]] Word word_of(const http::Headers& headers);

/// A mirror's host, shared by all repositories: one that is away is left alone for a while.
struct MirrorHost {
  std::shared_ptr<Host> host;
  std::string prefix;
  Synced<std::int64_t> away_until;  ///< monotonic ms
};

/// One Accept line for all manifests that we read. Schema 1 is not among it: what it would give has no digest of its
/// bytes.
[[nodiscard]] http::Header accept_manifests();

struct Repository::State {
  std::shared_ptr<Host> host;
  std::string name;  ///< "team/app"

  struct Source {
    std::shared_ptr<MirrorHost> mirror;
    std::shared_ptr<State> state;  ///< the repository there
  };
  std::vector<Source> mirrors = {};  ///< asked first for what is pulled
  bool origin_fallback = true;
  Trust trust = Trust::kVerified;
  std::shared_ptr<Notices> notices = {};
  std::string via = {};  ///< a header of what is pulled; empty: none

  [[nodiscard]] std::string path(std::string_view rest) const { return fmt::format("/v2/{}/{}", name, rest); }
  [[nodiscard]] Scopes pull() const { return {fmt::format("repository:{}:pull", name)}; }
  [[nodiscard]] Scopes push() const { return {fmt::format("repository:{}:pull,push", name)}; }
  [[nodiscard]] std::string blob_name(const oci::Digest& digest) const {
    return fmt::format("blob {} of {}", digest.text(), name);
  }
  [[nodiscard]] std::vector<http::Header> headers(std::vector<http::Header> more = {}) const {
    if (!via.empty()) more.push_back({"Via", via});
    return more;
  }
  [[nodiscard]] static Repository by_way_of(const Repository& repository, std::string via);
  // --- of this host alone, mirrors left aside
  [[nodiscard]] Result<registry::Document> manifest(const oci::Reference& reference, const Cancel& cancel) const;
  [[nodiscard]] Result<std::optional<Named>> look_up(const oci::Reference& reference, const Cancel& cancel) const;
  /// From byte `from` on. `word` becomes kStale when an answer was that.
  [[nodiscard]] Status download(const oci::Descriptor& descriptor, std::int64_t from, const layer::Target& sink,
                                Word& word, const Cancel& cancel) const;
  /// HEAD of a blob; nothing for a 404. One attempt.
  [[nodiscard]] Result<std::optional<Reply>> look_at(const oci::Digest& digest, const Cancel& cancel) const;
  /// HEAD: 200 or 404. One attempt.
  [[nodiscard]] Attempt<bool> has(const std::string& path, const Scopes& scopes, const std::string& what,
                                  const Cancel& cancel) const;
  /// The same with retries.
  [[nodiscard]] Result<bool> exists(const std::string& path, const Scopes& scopes, const std::string& what,
                                    const Cancel& cancel) const;
};

}  // namespace slipway::registry
