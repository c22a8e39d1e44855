// RUN --mount: what a step sees besides its root file system, planned (which vertices it reads) and made (what the
// sandbox mounts).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/cache_mounts.hpp"
#include "build/stack.hpp"
#include "dockerfile/mount.hpp"
#include "sandbox/sandbox.hpp"
#include "ssh/forwarder.hpp"

namespace slipway::build {

class Definition;
class ListingWriter;
class SshAgents;

/// One mount of a step, its target and source cleaned.
struct RunMount {
  dockerfile::Mount::Type type = dockerfile::Mount::Type::kBind;
  std::string target;                ///< absolute
  std::string source;                ///< bind: path inside the tree, without leading slash; empty: all of it
  std::optional<std::size_t> input;  ///< bind: which input of the vertex holds the tree
  bool read_only = true;
  std::int64_t size = 0;             ///< tmpfs
  std::optional<CacheMount> cache;   ///< its `input`, if any, holds what a new cache begins with
  std::string id;                    ///< secret, ssh
  bool required = false;             ///< secret, ssh: without one of that id the step fails
  std::string env;                   ///< secret: the variable that gets the value
  bool file = true;                  ///< secret: `target` gets the value
  std::optional<std::string> value;  ///< secret: never in a key, record or log; nothing when it was not given
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::string shown = {};  ///< what it is called: the target, or the flag as written where that has variables
  friend bool operator==(const RunMount&, const RunMount&) = default;
};

/// "/src (bind)". Holds no value of a variable.
[[nodiscard]] std::string title(const RunMount& mount);

/// Adds what of `mount` decides the result of the step. Of a secret that is where it appears, never what it is.
void describe(const RunMount& mount, Definition& definition);

/// The digest of what a bind mount shows of `output`, and its files. kNotFound when the source is missing.
[[nodiscard]] Result<solver::Key> content_of(const RunMount& mount, const Workshop& shop, const solver::Output& output,
                                             progress::VertexId vertex, ListingWriter& files, const Cancel& cancel);

/// Puts the mounts into `spec`, trees from `inputs`. Caches are in use until `caches` is asked to keep them or dies.
[[nodiscard]] Status apply(const std::vector<RunMount>& mounts, const Workshop& shop,
                           const std::vector<solver::OutputPtr>& inputs, progress::VertexId vertex, sandbox::Spec& spec,
                           CacheMounts& caches, const Cancel& cancel);

/// Lends the agents that ssh mounts name to a step, for as long as the object lives.
class SshLoans {
 public:
  SshLoans();
  ~SshLoans();
  /// Adds their sockets to `spec`. `agents` may be null. kNotFound: a required one was not given.
  [[nodiscard]] Status add(const std::vector<RunMount>& mounts, const SshAgents* agents, sandbox::Spec& spec);

 private:
  std::vector<std::unique_ptr<ssh::Forwarder>> forwarders_;
};

}  // namespace slipway::build
