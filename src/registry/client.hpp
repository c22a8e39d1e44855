// The registry client: OCI distribution over HTTP(S), with credentials that never leave their host.
//
// A `Client` holds one command's view of the world: credentials (~/.docker/config.json), TLS roots, tokens in memory. A
// `Repository` is one (scheme, host, port, repository) to talk to. Plain HTTP is used for loopback hosts (after HTTPS
// was refused by the peer, as docker does), HTTPS otherwise. Tokens ask for exactly the scope of the operation.
// Everything that comes back is limited before it is read and verified before it is given out; a blob stream is
// verified by whoever commits it (store::BlobWriter) and again refused here when it is too long.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "http/proxies.hpp"
#include "layer/layer.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "registry/credentials.hpp"
#include "registry/registry_rules.hpp"

namespace slipway::registry {

struct ClientOptions {
  CredentialStore credentials;
  /// Directories like /etc/docker/certs.d: <dir>/<host[:port]>/{*.crt,client.cert,client.key}.
  std::vector<std::string> certificate_directories = {"/etc/docker/certs.d"};
  RegistryRules rules;                     ///< mirrors, trust and own certificates, by registry
  std::vector<InsecureRegistry> insecure;  ///< --insecure-registry
  std::string user_agent;
  int parallel_transfers = 6;
  std::string ca_file;       ///< SSL_CERT_FILE: roots instead of the system's
  std::string ca_directory;  ///< SSL_CERT_DIR
  http::Proxies proxies;
  int first_retry_ms = 250;         ///< wait before the first retry of a passing failure; doubles each time
  int silence_timeout_ms = 60'000;  ///< a transfer that moves no byte for so long has failed
  int patience_ms = 90'000;         ///< all transfers end when none of them got anywhere for so long
  /// Credentials, trust, mirrors and proxies; `variables` are for credential helpers (credentials.hpp).
  static Result<ClientOptions> from_environment(const Environment& environment, Variables variables = {});
};

/// A manifest or index as the registry gave it: bytes verified against the digest that was asked for (or named by the
/// header, or computed).
struct Document {
  std::string bytes;
  std::string media_type;
  oci::Digest digest;
};

/// What a HEAD told of a manifest.
struct Named {
  oci::Digest digest;
  std::string media_type;
};

/// What an answer is worth as a proof that the registry has, and gives, what was asked for.
enum class Word : unsigned char {
  kFirm,
  kStale,  ///< of a cache that could not ask (Warning 110 to 112, RFC 7234 section 5.5): bytes to be used, and no proof
};

/// What a HEAD told of a blob.
struct Sized {
  std::int64_t size = 0;
  Word word = Word::kFirm;
};

class Repository;
struct Notices;

class Client {
 public:
  static Result<Client> make(ClientOptions options);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();
  [[nodiscard]] Repository repository(const oci::Reference& reference, Trust trust = Trust::kVerified) const;
  /// Tries credentials against a registry ("docker.io", "127.0.0.1:5000"): what `login` verifies.
  [[nodiscard]] Status check_login(const std::string& registry, const Credential& credential,
                                   const Cancel& cancel) const;
  [[nodiscard]] int parallel_transfers() const;
  /// Lines for people that came up since the last call: a mirror that is passed over, and why.
  [[nodiscard]] std::vector<std::string> take_notices() const;
  /// From now on `listener` hears, in the thread that waits, of each wait of a second or more before something is tried
  /// again: what failed, and how long the wait is. It must be good for as long as anything is transferred.
  void on_wait(std::function<void(const std::string& line)> listener) const;

 private:
  struct State;
  explicit Client(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// One repository; a cheap copy, safe in any thread.
class Repository {
 public:
  // What is pulled is asked of the registry's mirrors first, then of the registry (RegistryRule). Whatever a mirror
  // gives under a tag is the tag's; under a digest it is verified. Any failure of a mirror, wrong bytes included, goes
  // on to the next one; the error that comes back is the last one's.

  /// By tag or digest of the reference. kNotFound says the name; kUnauthenticated says the host and `slipway login`.
  [[nodiscard]] Result<Document> manifest(const oci::Reference& reference, const Cancel& cancel) const;
  /// What manifest() would give, without its bytes: one HEAD. Nothing when the registry does not say (no digest in its
  /// answer, or no HEAD); errors as manifest().
  [[nodiscard]] Result<std::optional<Named>> look_up(const oci::Reference& reference, const Cancel& cancel) const;
  /// Streams a blob's bytes to `sink` in order; resumes a broken transfer; ends in error when they are more than
  /// `descriptor.size` or fewer. The bytes are NOT yet verified by digest: commit does. An error of `sink` ends the
  /// transfer and comes back unchanged. When bytes turn out wrong and `falls_back()`, without_mirrors() has others.
  [[nodiscard]] Result<Word> blob(const oci::Descriptor& descriptor, const layer::Target& sink,
                                  const Cancel& cancel) const;
  [[nodiscard]] Result<bool> has_blob(const oci::Digest& digest, const Cancel& cancel) const;
  [[nodiscard]] Result<bool> has_manifest(const oci::Digest& digest, const Cancel& cancel) const;
  /// Whether one that is pulled from shows the blob: a HEAD of each, without retries. False also when there is trouble,
  /// or a Word::kStale: blob() will tell.
  [[nodiscard]] Result<bool> shows_blob(const oci::Digest& digest, const Cancel& cancel) const;
  /// Uploads (after a HEAD, after a try to mount from `mount_from` of the same registry). `open` gives the bytes from
  /// an offset, anew for each attempt.
  using OpenAt = std::function<Result<layer::Source>(std::int64_t offset)>;
  [[nodiscard]] Status upload(const oci::Descriptor& descriptor, const OpenAt& open,
                              const std::optional<std::string>& mount_from,
                              const std::function<void(std::int64_t sent)>& progress, const Cancel& cancel) const;
  /// The same, where the repository to mount from is found out when this one turns out not to have the blob.
  using FindMount = std::function<Result<std::optional<std::string>>()>;
  [[nodiscard]] Status upload(const oci::Descriptor& descriptor, const OpenAt& open, const FindMount& find_mount,
                              const std::function<void(std::int64_t sent)>& progress, const Cancel& cancel) const;
  /// Whether an upload may be begun: begins one and takes it back. What a build asks before it works for an hour.
  [[nodiscard]] Status may_push(const Cancel& cancel) const;
  /// PUT of a manifest or index under a tag or its digest.
  [[nodiscard]] Status put_manifest(const std::string& bytes, const std::string& media_type,
                                    const std::string& tag_or_digest, const Cancel& cancel) const;

  /// Whether something else than the registry itself may have answered, and the registry may be asked as well.
  [[nodiscard]] bool falls_back() const;
  /// Whom the registry is believed to be.
  [[nodiscard]] Trust trust() const;
  /// The same repository, asked of the registry only.
  [[nodiscard]] Repository without_mirrors() const;

  // What a mirror asks; once, without retries.

  /// The digest that a tag has now, by HEAD; nothing where the registry does not tell it. kNotFound as manifest().
  [[nodiscard]] Result<std::optional<oci::Digest>> tag_digest(const oci::Reference& reference,
                                                              const Cancel& cancel) const;
  /// The size of a blob, by HEAD. kNotFound when the repository does not have it.
  [[nodiscard]] Result<Sized> blob_size(const oci::Digest& digest, const Cancel& cancel) const;

  struct State;  ///< registry/repository.hpp

 private:
  friend class Client;
  explicit Repository(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace slipway::registry
