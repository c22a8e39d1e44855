// From a Spec to the orders of slipway-init: checks what the build gives and names every directory by base and place.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "sandbox/init_process.hpp"
#include "sandbox/sandbox.hpp"

namespace slipway::sandbox {

/// What the machine adds to every step.
struct Surroundings {
  std::string store_root;
  std::string stub_layer;  ///< the lowest layer: mount points that the image may lack
  bool id_mapped = false;
  std::vector<init::IdMap> uid_map, gid_map;  ///< of the steps' user namespace
  bool cgroup_mount = false;
  std::string resolv_conf;
  std::string host_gateway;  ///< what kHostGateway means
};

/// Directories beside `upper` that a step needs and that are removed after it; names relative to the draft.
struct Scratch {
  std::string draft;
  std::vector<std::string> directories;
};

struct StepPlan {
  Orders orders;
  Scratch scratch;  ///< kSocket mounts carry their index in Spec::sockets
};

/// kInvalidArgument names what is wrong: a relative path, a bad host name, an unknown ulimit, too many layers.
[[nodiscard]] Result<StepPlan> plan_step(const Spec& spec, const Surroundings& surroundings);

/// The text of a step's /etc/hosts.
[[nodiscard]] Result<std::string> hosts_file(const Spec& spec, const std::string& host_gateway = {});

}  // namespace slipway::sandbox
