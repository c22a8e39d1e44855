#include "sandbox/pids_cgroup.hpp"

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::int64_t kPids = 16384;  // threads count too; a fork bomb ends here, a large parallel build does not
constexpr std::int64_t kProcFile = 4 << 20;

bool has_controller(std::string_view list, std::string_view controller) {
  for (const auto name : split(list, ','))
    if (name == controller) return true;
  return false;
}

/// man 5 proc, mountinfo: "36 35 98:0 /root /mount options … - type source super".
struct MountLine {
  std::string_view root, point, type, super;
};
std::optional<MountLine> parse_mount(std::string_view line) {
  const auto dash = line.find(" - ");
  if (dash == std::string_view::npos) return std::nullopt;
  const auto before = split(line.substr(0, dash), ' ');
  const auto after = split(line.substr(dash + 3), ' ');
  if (before.size() < 6 || after.size() < 3) return std::nullopt;
  return MountLine{before[3], before[4], after[0], after[2]};
}

std::string below(std::string_view point, std::string_view root, std::string_view group) {
  if (root != "/" && group.starts_with(root)) group.remove_prefix(root.size());
  std::string out(point);
  if (group != "/" && !group.empty()) out.append(group);
  return out;
}

constexpr std::string_view kPrefix = "slipway-";

/// Groups of builders that were killed: nobody holds them. (A pid in the name would lie to builders in other pid
/// namespaces that see the same groups.)
void sweep(const std::string& directory) {
  const auto opened = sys::open(directory, O_RDONLY | O_DIRECTORY);
  if (!opened) return;
  for (const auto& name : sys::list_directory(opened->get(), directory).value_or(std::vector<std::string>())) {
    if (!name.starts_with(kPrefix)) continue;
    const auto group = sys::open_at(opened->get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!group || flock(group->get(), LOCK_EX | LOCK_NB) < 0) continue;
    (void)unlinkat(opened->get(), name.c_str(), AT_REMOVEDIR);  // refused while a process is in it
  }
}

Status write_text(const std::string& path, std::string_view text) {
  const sys::Fd file = TRY(sys::open(path, O_WRONLY));
  return sys::write_all(file.get(), text);
}

}  // namespace

std::string own_pids_directory(std::string_view cgroup, std::string_view mountinfo) {
  std::optional<std::string_view> first, second;  // the group of the pids hierarchy (v1) and of the unified one (v2)
  for (const auto line : split(cgroup, '\n')) {
    const auto colon = line.find(':');
    const auto end = line.find(':', colon + 1);
    if (colon == std::string_view::npos || end == std::string_view::npos) continue;
    const auto controllers = line.substr(colon + 1, end - colon - 1);
    if (has_controller(controllers, "pids")) first = line.substr(end + 1);
    if (controllers.empty() && line.starts_with("0:")) second = line.substr(end + 1);
  }
  for (const auto line : split(mountinfo, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount) continue;
    if (first && mount->type == "cgroup" && has_controller(mount->super, "pids"))
      return below(mount->point, mount->root, *first);
    if (!first && second && mount->type == "cgroup2") return below(mount->point, mount->root, *second);
  }
  return {};
}

PidsParent find_pids_parent() {
  const auto cgroup = sys::read_file("/proc/self/cgroup", kProcFile);
  const auto mountinfo = sys::read_file("/proc/self/mountinfo", kProcFile);
  if (!cgroup || !mountinfo) return {{}, "/proc/self/cgroup cannot be read", 0};
  const std::string own = own_pids_directory(*cgroup, *mountinfo);
  if (own.empty()) return {{}, "no hierarchy of control groups with the pids controller is mounted", 0};
  PidsParent parent = probe_pids_parent(own);
  // A login session's own scope hands nothing down (cgroup2); the slice above it does.
  if (const auto slash = own.rfind('/'); parent.directory.empty() && slash != std::string::npos && slash > 0) {
    PidsParent above = probe_pids_parent(own.substr(0, slash));
    if (!above.directory.empty()) return above;
  }
  return parent;
}

Result<std::vector<PidsParent>> find_cgroup_parents(const std::string& parent, std::string_view mountinfo) {
  std::vector<PidsParent> out;
  for (const auto line : split(mountinfo, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount || (mount->type != "cgroup" && mount->type != "cgroup2")) continue;
    const std::string directory = fmt::format("{}/{}", mount->point, parent.substr(parent.find_first_not_of('/')));
    if (access(directory.c_str(), F_OK) < 0) continue;
    // A cpuset without processors says nothing of who is below, and no process can be.
    if (const auto set = sys::read_file(directory + "/cpuset.cpus", kProcFile);
        mount->type == "cgroup" && set && trim(*set).empty())
      continue;
    sweep(directory);
    const bool limits = mount->type == "cgroup2" || has_controller(mount->super, "pids");
    PidsParent found{directory, {}, limits ? kPids : 0};
    if (limits && !PidsGroup::make(found)) found.limit = 0;  // the controller is not handed down
    (void)TRY(PidsGroup::make(found));
    out.push_back(std::move(found));
  }
  if (out.empty()) return fail(Code::kNotFound, "there is no control group {}", quoted(parent, 300));
  return out;
}

PidsParent probe_pids_parent(const std::string& directory) {
  PidsParent parent{directory, {}, kPids};
  sweep(directory);
  if (const auto group = PidsGroup::make(parent); !group) return {{}, group.error().message(), 0};
  return parent;
}

Result<PidsGroup> PidsGroup::make(const PidsParent& parent) {
  std::string path;
  sys::Fd held;
  // A sweeper that comes between mkdir and flock takes the group away: then another one is made.
  for (int attempt = 0; !held; ++attempt) {
    std::uint64_t name = 0;
    if (getrandom(&name, sizeof name, 0) != sizeof name) return fail_errno("cannot read random bytes");
    path = fmt::format("{}/{}{:016x}", parent.directory, kPrefix, name);
    if (mkdir(path.c_str(), 0755) < 0) return fail_errno("cannot make the control group {}", printable(path));
    auto opened = sys::open(path, O_RDONLY | O_DIRECTORY);
    if (opened && flock(opened->get(), LOCK_EX | LOCK_NB) == 0 && access(path.c_str(), F_OK) == 0)
      held = *std::move(opened);
    else if (attempt == 8)
      return fail(Code::kUnavailable, "cannot hold the control group {}", printable(path));
  }
  PidsGroup group(path, std::move(held));
  // With cgroup2 the file is there only where the parent hands the controller down. We do not make it do so: with
  // processes of its own it would become a threaded root, and no process could be moved into the new group.
  if (parent.limit > 0) TRY(write_text(path + "/pids.max", fmt::format("{}", parent.limit)));
  // A cpuset of version 1 begins with nothing, and no process can be in it.
  for (const auto* name : {"/cpuset.cpus", "/cpuset.mems"}) {
    const auto own = sys::read_file(path + name, kProcFile);
    if (!own || !trim(*own).empty()) continue;
    if (const auto above = sys::read_file(parent.directory + name, kProcFile); above && !trim(*above).empty())
      (void)write_text(path + name, trim(*above));
  }
  return group;
}

PidsGroup::~PidsGroup() {
  if (!directory_.empty()) (void)rmdir(directory_.c_str());
}

}  // namespace slipway::sandbox
