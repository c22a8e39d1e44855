// Ops: what the vertices of a build do. Values describe them, the solver calls them; each leaves one layer on its first
// input.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "build/build.hpp"
#include "build/copy.hpp"
#include "build/file_sums.hpp"
#include "build/run_mounts.hpp"
#include "build/stack.hpp"
#include "build/step_cache.hpp"
#include "dockerfile/dockerfile.hpp"
#include "solver/solver.hpp"

namespace slipway::build {

class CacheImport;
class ForeignPlatforms;
class RemoteSources;
class SshAgents;

/// What all ops of one build share; outlives them.
struct OpContext {
  const Workshop& shop;
  const std::function<Result<sandbox::Sandbox*>()>& sandbox;
  std::optional<std::int64_t> epoch;  ///< SOURCE_DATE_EPOCH: the times of history
  mutable std::once_flag network_told = {};
  std::optional<std::int64_t> clamp = {};  ///< file times later than it become it: `epoch`, or nothing
  const SshAgents* ssh = nullptr;          ///< null: none were given
  RemoteSources* remotes = nullptr;        ///< for planning; ADD of URLs and git, remote named contexts
  ForeignPlatforms* foreign = nullptr;     ///< what runs steps of other architectures; null: nothing is known of it
  CacheImport* caches = nullptr;           ///< --cache-from; null: none was given
  StepCache* step_cache = nullptr;         ///< null: there is none
  /// Tools::resolved; null: nobody is told.
  const std::function<Status(const Workshop&, const image::Resolved&)>* resolved = nullptr;
  [[nodiscard]] Timestamp created() const;
};

/// A build context: a tree with remembered sums. Opened when the first COPY needs it.
struct Context {
  Tree tree;
  std::unique_ptr<FileSums> sums;
};

/// How an op shows itself and where it stands in the Dockerfile.
struct Place {
  progress::VertexId id = 0;
  std::string name;  ///< "[2/5] RUN make"
  const dockerfile::File* file = nullptr;
  const dockerfile::Source* source = nullptr;
  std::shared_ptr<CacheableStep> cacheable = {};  ///< what a StepCache is asked for; null: nothing
  /// The error with line and excerpt, unless it has its own.
  [[nodiscard]] Error locate(Error error) const;
};

/// An image and whose it is: those that are equal in both may stand for each other.
[[nodiscard]] std::string identity_of(const OpContext& context, const image::Resolved& image);
/// FROM: the layers of an image. Nothing is fetched before a step needs it.
[[nodiscard]] std::shared_ptr<solver::Op> image_op(const OpContext& context, Place place,
                                                   std::shared_ptr<const image::Resolved> image);
/// FROM scratch.
[[nodiscard]] std::shared_ptr<solver::Op> scratch_op(const OpContext& context);

struct CopySpec {
  std::vector<std::string> sources;  ///< patterns, as written after expansion
  std::vector<InlineFile> inline_files;
  std::string target;  ///< absolute; a trailing "/" counts
  std::string chown, chmod;
  std::vector<std::string> excludes;  ///< --exclude, relative to each source
  bool parents = false;  ///< --parents: `sources` are "ROOT/./PATTERN", the pattern's paths stay below target
  bool unpack = false;   ///< ADD: sources that are archives are unpacked into target
  std::shared_ptr<Context> context;  ///< null: input 1 is the stage copied from
  friend bool operator==(const CopySpec&, const CopySpec&) = default;
};
/// `chain`: its last instruction waits for the digests of the files that are copied from a stage (StepChain::add_open).
[[nodiscard]] std::shared_ptr<solver::Op> copy_op(const OpContext& context, Place place, CopySpec spec,
                                                  StepChain chain = {});

/// COPY --link: the one layer of input 1, which knows nothing of input 0, upon the layers of input 0.
[[nodiscard]] std::shared_ptr<solver::Op> merge_op(const OpContext& context, Place place);

/// WORKDIR: a directory owned by the USER in force.
[[nodiscard]] std::shared_ptr<solver::Op> workdir_op(const OpContext& context, Place place, std::string path,
                                                     std::string user);

struct ExecSpec {
  std::vector<std::string> argv;
  std::size_t shell_words = 0;  ///< how many of them are SHELL's
  std::vector<std::string> environment;
  std::vector<std::uint32_t> environment_order;  ///< places in `environment`, by when they were set; in no key of ours
  std::set<std::string> arguments;               ///< names in `environment` that come from ARG
  std::vector<std::pair<std::string, std::string>> hidden_environment;  ///< proxies, CA: not in the key
  std::string working_directory;
  std::string user;
  oci::Platform platform;  ///< what the command is compiled for
  sandbox::NetworkMode network = sandbox::NetworkMode::kDefault;
  std::vector<std::pair<std::string, std::string>> extra_hosts;
  std::vector<sandbox::Ulimit> ulimits;
  std::int64_t shm_bytes = 0;
  std::string hostname = {};                     ///< empty: the usual one
  std::vector<sandbox::FileMount> files;         ///< scripts of heredocs; their content is in the key
  std::vector<sandbox::FileMount> hidden_files;  ///< the CA bundle: not in the key
  std::vector<RunMount> mounts;
  sandbox::Security security = sandbox::Security::kSandbox;
  std::vector<std::string> devices;             ///< qualified names of CDI devices that are there and allowed, sorted
  std::vector<sandbox::HostMount> host_mounts;  ///< what the devices show; not in the key
  std::vector<std::pair<std::string, std::string>> device_environment;  ///< what they set, over all else; likewise
  std::string cgroup_parent;                                            ///< likewise
  StepLimits limits;                                                    ///< likewise
  friend bool operator==(const ExecSpec&, const ExecSpec&) = default;
};
[[nodiscard]] std::shared_ptr<solver::Op> exec_op(const OpContext& context, Place place, ExecSpec spec);

}  // namespace slipway::build
