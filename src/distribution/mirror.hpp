// Mirror: pulls from an upstream registry through the store.
//
// Manifests by digest and blobs are fetched once and never again. A tag is believed for Upstream::fresh_seconds; then a
// HEAD tells whether it moved. When the upstream is away, has had too many requests or fails, what is here is served
// with a Warning (RFC 7234 section 5.5), and the upstream is left alone for some seconds. gc may take whatever is not
// being sent, the least recently used first; then it is fetched again. What the upstream does not
// have, or does not let us have, is not served, whatever lies in the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/cancel.hpp"
#include "base/synced.hpp"
#include "distribution/fetch.hpp"
#include "distribution/problem.hpp"
#include "distribution/registry.hpp"
#include "store/repositories.hpp"

namespace slipway::distribution {

/// Sends a part of a blob as the body of an answer that has begun. An error: the answer must be cut.
using BlobBody = std::function<Status(httpd::Answer& answer, std::int64_t offset, std::int64_t length)>;

/// A client that waits.
struct Asker {
  std::function<Cancel()> cancel;    ///< of it: fires when it leaves or the server's grace is over
  std::vector<std::string> mirrors;  ///< that its question came through (via.hpp)
};

class Mirror {
 public:
  Mirror(store::Store& store, store::Repositories& repositories, const Upstream& upstream,
         std::function<void(const std::string&)> log, int most_waiting);
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
  ~Mirror();  ///< ends its downloads

  /// Whether `host` (containerd's ?ns=) means the upstream.
  [[nodiscard]] bool is_upstream(std::string_view host) const;
  /// On Docker Hub, "debian" is "library/debian".
  [[nodiscard]] std::string upstream_repository(std::string repository) const;

  struct FoundManifest {
    store::LinkedManifest manifest;
    std::string bytes;
    std::optional<std::string> warning;
  };
  /// By tag or digest.
  [[nodiscard]] std::expected<FoundManifest, Problem> manifest(const std::string& repository, const std::string& object,
                                                               const Asker& asker);
  struct FoundBlob {
    std::int64_t size = 0;
    BlobBody body;
    std::optional<std::string> warning;
  };
  /// With `head_only` nothing is fetched.
  [[nodiscard]] std::expected<FoundBlob, Problem> blob(const std::string& repository, const oci::Digest& digest,
                                                       bool head_only, const Asker& asker);

 private:
  using Key = std::string;
  using Guard = std::shared_ptr<std::unique_lock<std::mutex>>;
  [[nodiscard]] Guard one_at_a_time(const Key& key);
  [[nodiscard]] bool offline() const { return upstream_.client == nullptr; }
  /// Until when something is not asked for, and why: as told() has it.
  struct Rest {
    std::atomic<std::int64_t> until = 0;  ///< monotonic ms
    Synced<std::string> because;
  };
  [[nodiscard]] static bool rests(const Rest& rest);
  /// An upstream that can not be asked is left alone for a while; one that says for how long, for that long. This is
  /// then only of `what` it was asked for: Docker Hub counts manifests, not blobs.
  void note(const Error& error, Rest& what);
  /// The failure in words for clients: which upstream, and why; nothing of what we log in with.
  [[nodiscard]] std::string told(const Error& error) const;
  [[nodiscard]] Problem problem(const Error& error, ProblemCode unknown);
  [[nodiscard]] Result<oci::Reference> reference(const std::string& repository, std::string_view rest) const;
  [[nodiscard]] Result<registry::Repository> remote(const std::string& repository, const Asker& asker) const;

  std::expected<FoundManifest, Problem> by_digest(const std::string& repository, const oci::Digest& digest,
                                                  const Asker& asker);
  std::expected<FoundManifest, Problem> by_tag(const std::string& repository, const std::string& tag,
                                               const Asker& asker);
  std::expected<FoundManifest, Problem> refreshed(const std::string& repository, const std::string& tag,
                                                  const std::optional<store::Tag>& here, const Asker& asker);
  /// As it was; nothing when gc took it.
  std::optional<std::expected<FoundManifest, Problem>> stale(const std::string& repository, const std::string& tag,
                                                             const store::Tag& here, std::string_view why);
  /// With its bytes; nothing when gc took them since it was found.
  std::optional<std::expected<FoundManifest, Problem>> read(const store::LinkedManifest& manifest,
                                                            std::string_view warning = "");
  Result<FoundManifest> fetch_manifest(const std::string& repository, const std::string& object, const Asker& asker);
  /// The blob, when any repository of this mirror has it: for when there is no upstream.
  [[nodiscard]] std::optional<std::expected<FoundBlob, Problem>> of_another_repository(const oci::Digest& digest);
  /// Nothing when gc took it since it was found. What is found stays as long as the body's object lives.
  [[nodiscard]] std::optional<std::expected<FoundBlob, Problem>> from_store(const oci::Digest& digest);
  /// Nothing when there are too many.
  std::shared_ptr<Fetch::Follower> begin_fetch(const std::string& repository, const oci::Digest& digest,
                                               const registry::Sized& there, registry::Repository from);
  std::shared_ptr<Fetch::Follower> running(const Key& key);
  /// Links what the upstream has shown under its size.
  Status link_if_here(const std::string& repository, const oci::Digest& digest, std::int64_t size);
  /// Asks for the size of a blob that is not here, and begins its download.
  std::expected<FoundBlob, Problem> ask_for_blob(const std::string& repository, const oci::Digest& digest,
                                                 bool head_only, const Asker& asker, std::shared_ptr<void> place);
  std::expected<FoundBlob, Problem> following(std::shared_ptr<Fetch::Follower> follower, const Asker& asker,
                                              std::shared_ptr<void> place);
  [[nodiscard]] static Problem left_alone(Rest& rest);
  void reap(bool all);

  // images.cpp: what the store has under the upstream's name
  Status take_images(const std::string& repository);
  Status take_image(const oci::Reference& name, const oci::Digest& digest, const std::string& media_type,
                    const std::vector<std::string>& tags, int depth);

  store::Store& store_;
  store::Repositories& repositories_;
  const Upstream upstream_;
  std::function<void(const std::string&)> log_;
  CancelSource ending_;  ///< of downloads
  Rest manifests_, blobs_;
  const int most_waiting_;
  std::atomic<int> waiting_ = 0;    ///< requests that wait for the upstream, for one that asks it, or for a download
  std::atomic<int> questions_ = 0;  ///< requests that ask the upstream
  Synced<std::map<Key, std::weak_ptr<std::mutex>>> locks_;
  struct Running {
    Key key;
    std::shared_ptr<Fetch> fetch;
    std::thread thread;
  };
  Synced<std::list<Running>> running_;
};

}  // namespace slipway::distribution
