// The control groups of a step: one with a pids limit per run, where we may make one, and those below --cgroup-parent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace slipway::sandbox {

/// Where groups for steps can be made, or why not.
struct PidsParent {
  std::string directory;   ///< empty: not available
  std::string reason;      ///< when not available: one clause
  std::int64_t limit = 0;  ///< 0: none
};

/// The directory of this process's own pids group. `cgroup` is the text of /proc/self/cgroup, `mountinfo` of
/// /proc/self/mountinfo; both versions of cgroups. Empty when no hierarchy with that controller is mounted.
[[nodiscard]] std::string own_pids_directory(std::string_view cgroup, std::string_view mountinfo);

/// Finds out by making a group and setting its limit.
[[nodiscard]] PidsParent find_pids_parent();
/// The same below a given directory (tests give one of their own).
[[nodiscard]] PidsParent probe_pids_parent(const std::string& directory);

/// --cgroup-parent: the group `parent` ("/ci/job") in every hierarchy that has it, the pids limit set where it can be.
/// `mountinfo` as above. kNotFound when no hierarchy has such a group; an error names one in which none can be made.
[[nodiscard]] Result<std::vector<PidsParent>> find_cgroup_parents(const std::string& parent,
                                                                  std::string_view mountinfo);

/// A group with the limit set; removed when the object dies, once its processes are dead.
class [[nodiscard]] PidsGroup {
 public:
  static Result<PidsGroup> make(const PidsParent& parent);
  PidsGroup(PidsGroup&& other) noexcept
      : directory_(std::exchange(other.directory_, {})), held_(std::move(other.held_)) {}
  PidsGroup& operator=(PidsGroup&& other) noexcept {
    std::swap(directory_, other.directory_);
    std::swap(held_, other.held_);
    return *this;
  }
  ~PidsGroup();
  [[nodiscard]] std::string procs() const { return directory_ + "/cgroup.procs"; }

 private:
  PidsGroup(std::string directory, sys::Fd held) : directory_(std::move(directory)), held_(std::move(held)) {}
  std::string directory_;
  sys::Fd held_;  ///< locked (flock): says to others that the group is in use
};

}  // namespace slipway::sandbox
