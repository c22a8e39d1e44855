// The builder: a Dockerfile and a context become an image. The door of this folder.
//
//   frontend  (AST → graph of vertices with their history and config)   frontend.hpp
//   ops       (what a vertex does: source, copy, exec, …)               op_*.hpp
//   solver/   (what must run, once, in parallel; knows no containers)
//   exporter  (layers + config → manifest → files, names, registries)   exporter.hpp
//   explainer (why a step ran: what `slipway why` tells)                explainer.hpp
//
// `build()` is one command's work: it takes a lease, solves what the target needs, exports, and returns only when
// everything that was asked for is durable (R2). It prints nothing: progress goes to the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/progress.hpp"
#include "build/cache_request.hpp"
#include "build/named_context.hpp"
#include "build/output.hpp"
#include "http/client.hpp"
#include "layer/layer.hpp"
#include "oci/digest.hpp"
#include "oci/platform.hpp"
#include "oci/reference.hpp"
#include "registry/client.hpp"
#include "sandbox/sandbox.hpp"
#include "store/store.hpp"

namespace slipway::dockerfile {
struct File;
struct Checked;
}  // namespace slipway::dockerfile

namespace slipway::image {
struct Images;
struct Resolved;
}  // namespace slipway::image

namespace slipway::build {

struct Workshop;
class StepCache;

/// One --secret: what RUN --mount=type=secret shows. Never in a key, layer, record or log.
struct Secret {
  std::string id, value;
};

/// One --ssh: an agent for RUN --mount=type=ssh and for git over ssh.
struct SshForward {
  std::string id;                  ///< "default" when none was given
  std::vector<std::string> paths;  ///< one socket of an agent, or key files
};

/// --allow: what a Dockerfile may ask for beyond the sandbox's defaults.
struct Entitlements {
  bool network_host = false;       ///< RUN --network=host
  bool security_insecure = false;  ///< RUN --security=insecure
  bool all_devices = false;        ///< RUN --device of any name
  /// RUN --device by name, kind or class; the value, if any, is the device that stands for the name (its alias).
  std::map<std::string, std::string> devices;
};

/// How much a step may do before it is stopped or cut; in no key, since the result is the same or none.
struct StepLimits {
  std::int64_t timeout_ms = 0;       ///< --step-timeout; 0: none
  std::int64_t log_bytes = 2 << 20;  ///< --step-log-limit, BuildKit's default; 0: none
  friend bool operator==(const StepLimits&, const StepLimits&) = default;
};

/// How a git context of the command line is fetched, beyond what its URL says.
struct GitContext {
  bool always = false;           ///< the context is a repository, whatever its URL looks like
  bool any_certificate = false;  ///< whoever answers for its origin is believed
  std::string authorization;     ///< a value of the header of that name, for its origin; no step can have it
};

/// How the layers of the image differ from what its steps left; in no key, as it is done when all steps are.
struct LayerCut {
  bool one_layer = false;            ///< all steps above the base image make one layer
  std::vector<std::string> ignored;  ///< what lies at or below these paths is in no layer that is made here
};

struct Request {
  std::string context;  ///< directory, "-", http(s) URL or git reference (context_source.hpp)
  std::string
      dockerfile;  ///< path (inside the context unless that is a directory) or URL; empty: "<context>/Dockerfile"
  std::optional<std::string> dockerfile_text;
  std::string context_directory;  ///< the directory inside `context` that is the context; empty: all of it
  GitContext git;
  std::string target;  ///< stage name or index; empty: the last
  std::vector<std::pair<std::string, std::string>>
      build_args;  ///< resolved (a name without value was looked up by the caller)
  std::vector<std::pair<std::string, std::string>> proxies;  ///< HTTP_PROXY … for RUN; never in keys or history
  std::vector<std::pair<std::string, std::string>> labels;   ///< --label, applied last
  std::vector<oci::Reference> tags;
  bool no_cache = false;
  std::vector<std::string> no_cache_stages;  ///< --no-cache-filter: names of stages that are run again
  bool pull = false;
  sandbox::NetworkMode network = sandbox::NetworkMode::kDefault;
  std::vector<std::pair<std::string, std::string>> extra_hosts;  ///< part of the cache key
  std::vector<sandbox::Ulimit> ulimits;
  std::int64_t shm_bytes = 64 << 20;
  std::vector<Secret> secrets;
  std::vector<SshForward> ssh;
  Entitlements entitlements;
  StepLimits step_limits;
  std::string cgroup_parent;                 ///< --cgroup-parent; not in any key
  std::vector<std::string> cdi_directories;  ///< where RUN --device finds CDI specifications, later ones win
  std::vector<NamedContext> contexts;        ///< --build-context
  /// Without one of an image, the image goes to the store under `tags`, unless there is one of kCacheOnly.
  std::vector<Output> outputs;
  std::vector<CacheSource> cache_from;
  std::vector<CacheTarget> cache_to;
  std::vector<Annotation> annotations;   ///< --annotation: of every image that is written
  std::vector<oci::Platform> platforms;  ///< --platform; none: this machine's (target_platforms.hpp)
  std::optional<std::int64_t> source_date_epoch;
  std::string ca_bundle;    ///< the host's CA file (SSL_CERT_FILE) to offer to RUN steps; empty: none
  bool clamp_times = true;  ///< with source_date_epoch: file times later than it become it
  LayerCut cut;
  std::vector<std::string> notes;  ///< what the user is told of the request: warnings
  int parallelism = 0;             ///< steps at once; 0: number of processors, at least 2
};

struct StepReport {
  std::string name;
  enum class How : unsigned char { kCached, kRan } how = How::kRan;
  std::int64_t milliseconds = 0;
};

struct Outcome {
  oci::Descriptor manifest;        ///< what tags point at; its digest is what --iidfile holds
  oci::Digest config;              ///< docker's image id; of an index its own digest
  std::vector<std::string> names;  ///< canonical, in the store or where it was pushed
  std::vector<StepReport> steps;
};

/// What a git repository may take on disk unless Tools say otherwise.
inline constexpr std::int64_t kGitDiskBytes = std::int64_t{16} << 30;

/// Where the builder gets what it needs. The sandbox is made only when a step really runs: a cached build pays no
/// probe.
struct Tools {
  store::Store& store;
  registry::Client& client;
  std::function<Result<sandbox::Sandbox*>()> sandbox;
  std::string scope = "default";
  /// Bytes of outputs with destination "-" go here.
  std::function<Status(std::string_view)> standard_output;
  /// Gets what the checks of the Dockerfile found, before any step runs. May be empty.
  std::function<void(const dockerfile::File&, const dockerfile::Checked&)> checked;
  StepCache* step_cache = nullptr;  ///< asked before steps run (step_cache.hpp); null: there is none
  /// Gets every base image when its manifest is known and before its layers are fetched. May be empty.
  std::function<Status(const Workshop&, const image::Resolved&)> resolved = {};
  /// Gets the image with all its layers here, after all outputs, while the build still holds it; its error is the
  /// build's. May be empty.
  std::function<Status(const image::Images&, const oci::Descriptor&)> exported = {};
  layer::Source standard_input = {};            ///< the context "-"
  http::ClientOptions http = {};                ///< for URLs
  std::string search_path = {};                 ///< PATH, for the git program
  std::int64_t git_disk_bytes = kGitDiskBytes;  ///< what a git repository may take on disk
  std::string ssh_agent = {};                   ///< SSH_AUTH_SOCK: for a git context of the command line, without --ssh
};

[[nodiscard]] Result<Outcome> build(const Request& request, Tools& tools, progress::Sink& sink, const Cancel& cancel);

}  // namespace slipway::build
