#include "sandbox/step_orders.hpp"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "sandbox/id_range.hpp"
#include "sandbox/sandbox.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::size_t kMaxLayers = 499;  // OVL_MAX_STACK, less the stub layer
constexpr std::size_t kMaxMounts = 100;  // stubs of one step are bounded too (init/stubs.hpp)
constexpr std::size_t kMaxArguments = 1 << 20;
constexpr std::int64_t kDefaultShm = 64 << 20;  // a size of 0 would be no limit at all

/// Absolute, without "", "." and ".." components; "/" itself is refused.
Result<std::string> clean_target(std::string_view target) {
  if (!target.starts_with('/')) return fail(Code::kInvalidArgument, "mount target {} is not absolute", quoted(target));
  std::vector<std::string_view> parts;
  for (const auto part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    if (part.size() > 255) return fail(Code::kInvalidArgument, "mount target {} has a name too long", quoted(target));
    parts.push_back(part);
  }
  if (parts.empty()) return fail(Code::kInvalidArgument, "mount target {} is the root", quoted(target));
  std::string out;
  for (const auto part : parts) out.append("/").append(part);
  if (out.size() > 4000 || out.find('\0') != std::string::npos)
    return fail(Code::kInvalidArgument, "mount target {} is not usable", quoted(target));
  return out;
}

/// Gives each directory of the store a base and a place in it: all snapshots share one clone, as do the directories of
/// the draft.
class Bases {
 public:
  Bases(Orders& orders, const Surroundings& around, std::string draft)
      : orders_(orders), id_mapped_(around.id_mapped), roots_{std::move(draft), around.store_root + "/snapshots"} {}

  /// What a step only reads.
  Result<init::Place<init::Owned>> place(const std::string& directory) { return place(directory, true); }
  /// What it, or the overlay under it, writes.
  Result<init::Place<init::Owned>> writable(const std::string& directory) { return place(directory, false); }
  /// A path of the machine, owned as it is there.
  std::uint32_t host(const std::string& path, bool read_only) {
    orders_.bases.push_back({path, false, read_only});
    return static_cast<std::uint32_t>(orders_.bases.size() - 1);
  }

 private:
  Result<init::Place<init::Owned>> place(const std::string& directory, bool read_only) {
    if (!directory.starts_with('/') || directory.find("/../") != std::string::npos || directory.ends_with("/.."))
      return fail(Code::kInternal, "{} is no directory of the store", quoted(directory));
    for (const auto& root : roots_)
      if (directory.size() > root.size() + 1 && directory.starts_with(root) && directory[root.size()] == '/')
        return init::Place<init::Owned>{number(root, read_only), directory.substr(root.size() + 1)};
    return init::Place<init::Owned>{number(directory, read_only), {}};
  }

  std::uint32_t number(const std::string& path, bool read_only) {
    const auto [found, fresh] =
        numbers_.try_emplace({path, read_only}, static_cast<std::uint32_t>(orders_.bases.size()));
    if (fresh) orders_.bases.push_back({path, id_mapped_, read_only});
    return found->second;
  }
  Orders& orders_;
  bool id_mapped_;
  std::vector<std::string> roots_;
  std::map<std::pair<std::string, bool>, std::uint32_t> numbers_;
};

Result<init::Limit<init::Owned>> limit_of(const Ulimit& wanted) {
  static const std::map<std::string_view, int> known = {
      {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
      {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
      {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
      {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
      {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
      {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
      {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
      {"stack", RLIMIT_STACK}};
  const auto found = known.find(wanted.name);
  if (found == known.end()) return fail(Code::kInvalidArgument, "unknown ulimit {}", quoted(wanted.name));
  if (wanted.soft < -1 || wanted.hard < -1)
    return fail(Code::kInvalidArgument, "ulimit {} is negative", quoted(wanted.name));
  const auto value = [](std::int64_t number) {
    return number == -1 ? std::uint64_t{RLIM_INFINITY} : static_cast<std::uint64_t>(number);
  };
  if (value(wanted.soft) > value(wanted.hard))
    return fail(Code::kInvalidArgument, "ulimit {}: the soft limit {} is above the hard limit {}", quoted(wanted.name),
                wanted.soft, wanted.hard);
  return init::Limit<init::Owned>{wanted.name, static_cast<std::uint32_t>(found->second), value(wanted.soft),
                                  value(wanted.hard)};
}

Status add_trees(const Spec& spec, Bases& bases, StepPlan& plan) {
  for (const auto& tree : spec.trees) {
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kTree;
    mount.target = TRY(clean_target(tree.target));
    mount.source = tree.source.empty() ? "/" : tree.source;
    const bool kept = !tree.keep_writes.empty();
    mount.discard_writes = tree.discard_writes || kept;  // init knows where to write, not what becomes of it
    mount.read_only = !mount.discard_writes;
    if (kept) mount.scratch = TRY(bases.writable(tree.keep_writes));
    for (const auto& lower : tree.lowers) mount.lowers.push_back(TRY(bases.place(lower)));
    if (mount.lowers.size() > kMaxLayers)
      return fail(Code::kInvalidArgument, "the mount at {} has more than {} layers", quoted(tree.target), kMaxLayers);
    if (mount.lowers.empty() || tree.discard_writes) {
      plan.scratch.directories.push_back(fmt::format("scratch-{}", plan.scratch.directories.size()));
      if (tree.discard_writes)
        mount.scratch = TRY(bases.writable(plan.scratch.draft + "/" + plan.scratch.directories.back()));
      if (mount.lowers.empty()) {  // a tree of nothing
        plan.scratch.directories.push_back(fmt::format("scratch-{}", plan.scratch.directories.size()));
        mount.lowers.push_back(TRY(bases.place(plan.scratch.draft + "/" + plan.scratch.directories.back())));
      }
    }
    plan.orders.mounts.push_back(std::move(mount));
  }
  return {};
}

Status add_sockets(const Spec& spec, StepPlan& plan) {
  for (std::size_t i = 0; i < spec.sockets.size(); ++i) {
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kSocket;
    mount.target = TRY(clean_target(spec.sockets[i].target));
    mount.size = i;
    mount.mode = spec.sockets[i].mode & 0777U;
    mount.uid = spec.sockets[i].uid;
    mount.gid = spec.sockets[i].gid;
    plan.orders.mounts.push_back(std::move(mount));
  }
  return {};
}

Status add_host_mounts(const Spec& spec, Bases& bases, StepPlan& plan) {
  for (const auto& host : spec.host_mounts) {
    if (!host.path.starts_with('/') || host.path.find('\0') != std::string::npos)
      return fail(Code::kInvalidArgument, "{} is no absolute path of the machine", quoted(host.path));
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kHost;
    mount.target = TRY(clean_target(host.target));
    mount.lowers.push_back({bases.host(host.path, host.read_only), {}});
    mount.read_only = host.read_only;
    mount.device = host.device;
    plan.orders.mounts.push_back(std::move(mount));
  }
  return {};
}

Status add_mounts(const Spec& spec, Bases& bases, StepPlan& plan) {
  TRY(add_trees(spec, bases, plan));
  TRY(add_sockets(spec, plan));
  TRY(add_host_mounts(spec, bases, plan));
  for (const auto& memory : spec.tmpfs) {
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kTmpfs;
    mount.target = TRY(clean_target(memory.target));
    mount.size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, memory.size));
    plan.orders.mounts.push_back(std::move(mount));
  }
  for (const auto& directory : spec.directories) {
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kDirectory;
    mount.target = TRY(clean_target(directory.target));
    mount.lowers.push_back(
        TRY(directory.read_only ? bases.place(directory.directory) : bases.writable(directory.directory)));
    mount.read_only = directory.read_only;
    plan.orders.mounts.push_back(std::move(mount));
  }
  for (const auto& file : spec.files) {
    init::Mount<init::Owned> mount;
    mount.kind = init::MountKind::kFile;
    mount.target = TRY(clean_target(file.target));
    mount.content = file.content;
    mount.mode = file.mode & 07777U;
    mount.uid = file.uid;
    mount.gid = file.gid;
    plan.orders.mounts.push_back(std::move(mount));
  }
  // A mount below another one's target comes after it, whatever order they were written in.
  std::ranges::stable_sort(plan.orders.mounts, {},
                           [](const auto& mount) { return std::ranges::count(mount.target, '/'); });
  if (plan.orders.mounts.size() > kMaxMounts)
    return fail(Code::kInvalidArgument, "a step has more than {} mounts", kMaxMounts);
  return {};
}

void add_etc_file(Orders& orders, std::string target, std::string content) {
  init::Mount<init::Owned> mount;
  mount.kind = init::MountKind::kFile;
  mount.target = std::move(target);
  mount.content = std::move(content);
  mount.mode = 0644;
  mount.over_link = true;  // images often have a dangling symlink there; it is covered, never followed
  mount.optional = true;
  orders.mounts.push_back(std::move(mount));
}

bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Status check_command(const Spec& spec) {
  if (spec.argv.empty()) return fail(Code::kInvalidArgument, "the command is empty");
  if (spec.argv.size() + spec.environment.size() > kMaxArguments)
    return fail(Code::kInvalidArgument, "the command has too many arguments");
  if (std::ranges::any_of(spec.argv, has_nul) || std::ranges::any_of(spec.environment, has_nul) ||
      has_nul(spec.working_directory))
    return fail(Code::kInvalidArgument, "the command has a NUL byte in an argument, a variable or its directory");
  if (!spec.working_directory.starts_with('/'))
    return fail(Code::kInvalidArgument, "the working directory {} is not absolute", quoted(spec.working_directory));
  if (spec.hostname.size() > 64 || !is_host_name(spec.hostname))
    return fail(Code::kInvalidArgument, "{} is no host name", quoted(spec.hostname));
  return {};
}

/// The id of the builder's namespace that stands for `id` of the step.
Result<std::uint32_t> outside(const std::vector<init::IdMap>& map, std::string_view kind, std::uint32_t id) {
  for (const auto& line : map)
    if (id >= line.inside && id - line.inside < line.count) return line.outside + (id - line.inside);
  if (is_one_id(map))
    return std::unexpected(
        Error(Code::kFailedPrecondition, fmt::format("the step runs as {} {}, and there is one id only", kind, id))
            .with_hint(one_id_knob()));
  return fail(Code::kInvalidArgument, "{} {} does not exist in steps: their user namespace maps {}..{}", kind, id,
              map.empty() ? 0 : map.front().inside, map.empty() ? 0 : map.back().inside + map.back().count - 1);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

Result<std::string> hosts_file(const Spec& spec, const std::string& host_gateway) {
  // BuildKit's executor/oci/hosts.go
  std::string out = fmt::format("127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\n", spec.hostname);
  for (const auto& [name, given] : spec.extra_hosts) {
    if (given == kHostGateway && host_gateway.empty()) continue;  // nothing of that step reaches this machine
    const std::string& address = given == kHostGateway ? host_gateway : given;
    if (!is_host_name(name)) return fail(Code::kInvalidArgument, "{} is no host name", quoted(name));
    if (!is_address(address))
      return fail(Code::kInvalidArgument, "{} is no address for {}", quoted(address), quoted(name));
    out += fmt::format("{}\t{}\n", address, name);
  }
  return out;
}

Result<StepPlan> plan_step(const Spec& spec, const Surroundings& around) {
  TRY(check_command(spec));
  StepPlan plan;
  Orders& orders = plan.orders;
  plan.scratch.draft = parent_of(spec.upper);
  if (!spec.upper.starts_with('/') || parent_of(spec.work) != plan.scratch.draft)
    return fail(Code::kInternal, "the upper and work directories are not in one draft");
  if (spec.lowers.size() > kMaxLayers)
    return fail(Code::kInvalidArgument, "the image has {} layers; an overlay takes at most {}", spec.lowers.size(),
                kMaxLayers);
  Bases bases(orders, around, plan.scratch.draft);
  orders.upper = TRY(bases.writable(spec.upper));
  orders.work = TRY(bases.writable(spec.work));
  for (const auto& lower : spec.lowers) orders.lowers.push_back(TRY(bases.place(lower)));
  orders.lowers.push_back(TRY(bases.place(around.stub_layer)));  // also what FROM scratch stands on
  orders.job = init::Job::kStep;
  orders.argv = spec.argv;
  orders.environment = spec.environment;
  orders.working_directory = spec.working_directory;
  orders.hostname = spec.hostname;
  orders.uid = spec.uid;
  orders.gid = spec.gid;
  orders.without_groups = is_one_id(around.gid_map);
  if (!orders.without_groups) orders.groups = spec.groups;
  orders.insecure = spec.security == Security::kInsecure;
  orders.output_uid = TRY(outside(around.uid_map, "uid", spec.uid));
  orders.output_gid = TRY(outside(around.gid_map, "gid", spec.gid));
  for (const auto group : orders.groups) TRY(outside(around.gid_map, "gid", group));
  orders.network = spec.network == NetworkMode::kHost ? init::Network::kHost : init::Network::kNew;
  orders.cgroup_mount = around.cgroup_mount;
  orders.shm_bytes = static_cast<std::uint64_t>(spec.shm_bytes > 0 ? spec.shm_bytes : kDefaultShm);
  for (const auto& ulimit : spec.ulimits) orders.limits.push_back(TRY(limit_of(ulimit)));
  add_etc_file(orders, "/etc/hosts", TRY(hosts_file(spec, around.host_gateway)));
  add_etc_file(orders, "/etc/resolv.conf", around.resolv_conf);
  TRY(add_mounts(spec, bases, plan));
  return plan;
}

}  // namespace slipway::sandbox
