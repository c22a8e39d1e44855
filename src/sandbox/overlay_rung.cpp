#include "sandbox/overlay_rung.hpp"

#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "sandbox/elf.hpp"
#include "sandbox/id_range.hpp"
#include "sandbox/program.hpp"
#include "sandbox/step_orders.hpp"
#include "sandbox/step_run.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::sandbox {
namespace {

constexpr int kJobMs = 10'000;  // a namespace or a probe takes a millisecond or two
constexpr std::int64_t kSmallFile = 1 << 20;
constexpr std::uint32_t kIds = 65536;

std::string text_of(const std::string& path) { return sys::read_file(path, kSmallFile).value_or(std::string()); }

Error with_knob(Error error) {
  switch (error.sys_errno()) {
    case EPERM:
    case EACCES:
      return std::move(error).with_hint(
          "this job's seccomp or AppArmor profile, or missing CAP_SYS_ADMIN, refuses it: `slipway doctor` tries each "
          "ability and names the knob");
    case ENOSPC:
      return std::move(error).with_hint("raise user.max_user_namespaces and its siblings (sysctl user)");
    case EINVAL:
      return std::move(error).with_hint("the kernel or this file system lacks it: `slipway doctor` tries each ability");
    default:
      return error;
  }
}

/// 0755 whatever the umask is.
Status make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) < 0 || chmod(path.c_str(), 0755) < 0)
    return fail_errno("cannot make the directory {}", printable(path));
  return {};
}

/// Directories of one run beside its upper directory, removed with what is in them.
class ScratchDirectories {
 public:
  static Result<ScratchDirectories> make(const Scratch& scratch) {
    ScratchDirectories out;
    for (const auto& name : scratch.directories) {
      const std::string path = scratch.draft + "/" + name;
      TRY(make_directory(path));
      out.paths_.push_back(path);
    }
    return out;
  }
  ScratchDirectories() = default;
  ScratchDirectories(ScratchDirectories&&) = default;
  ScratchDirectories& operator=(ScratchDirectories&&) = delete;
  ~ScratchDirectories() {
    for (const auto& path : paths_) (void)sys::remove_tree(AT_FDCWD, path);
  }

 private:
  std::vector<std::string> paths_;
};

}  // namespace

Result<std::unique_ptr<OverlayRung>> OverlayRung::make(const std::string& root, bool reach_host) {
  std::unique_ptr<OverlayRung> rung(new OverlayRung);
  rung->root_ = root;
  rung->program_ = TRY(make_program());
  TRY(rung->make_user_namespace());
  TRY(rung->make_stub_layer());
  TRY(rung->prove());
  struct statfs info{};
  rung->cgroup_mount_ = statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
  rung->pids_ = find_pids_parent();
  rung->networks_ = std::make_unique<network::Supply>(
      [self = rung.get()](const network::HelperCommand& command) { return self->connect(command); },
      network::HelperDescriptors{init::kUserNamespaceFd, init::kNetworkNamespaceFd, init::kReadyFd},
      reach_host ? network::HostAccess::kLoopback : network::HostAccess::kNone);
  return rung;
}

Status OverlayRung::make_user_namespace() {
  const auto outer_uids = TRY(parse_id_map(text_of("/proc/self/uid_map")));
  const auto outer_gids = TRY(parse_id_map(text_of("/proc/self/gid_map")));
  id_mapped_ = is_initial(outer_uids);
  if (id_mapped_) {
    // Container ids never are the machine's own: root of a step is nobody here.
    uid_map_ = {{0, rootful_base(text_of("/etc/subuid")), kIds}};
    gid_map_ = {{0, rootful_base(text_of("/etc/subgid")), kIds}};
  } else {
    uid_map_ = identity(outer_uids);
    gid_map_ = identity(outer_gids);
  }
  Orders orders;
  orders.job = init::Job::kUserNamespace;
  orders.uid_map = uid_map_;
  orders.gid_map = gid_map_;
  Result<Answer> answer = ask_init(program_.get(), orders, {}, kJobMs);
  if (!answer) return std::unexpected(with_knob(std::move(answer).error()));
  user_namespace_ = std::move(answer->descriptor);
  if (!user_namespace_) return fail(Code::kInternal, "slipway-init gave no user namespace");
  return {};
}

Status OverlayRung::make_stub_layer() {
  TRY(sys::make_directories(root_ + "/work", 0700));
  // Looks like a lease that lives, so that a garbage collection beside us leaves it alone, and takes it after a crash.
  // One that comes between the directory and its lock may take it: then another one is made (store/lease.cpp).
  for (int attempt = 0; !lock_; ++attempt) {
    own_ = TRY(sys::TempDir::make(root_ + "/work", "sandbox-"));
    auto lock = sys::FileLock::try_lock(own_->path() + "/lock", sys::LockKind::kExclusive);
    if (lock && access((own_->path() + "/lock").c_str(), F_OK) == 0)
      lock_ = *std::move(lock);
    else if (!lock && attempt == 3)
      return std::unexpected(std::move(lock).error());
  }
  for (const auto* name : {"stub", "stub/dev", "stub/proc", "stub/sys", "stub/etc", "fs", "work"})
    TRY(make_directory(own_->path() + "/" + name));
  for (const auto* name : {"stub/etc/hosts", "stub/etc/resolv.conf"}) {
    const sys::Fd file = TRY(sys::open(own_->path() + "/" + name, O_WRONLY | O_CREAT | O_EXCL, 0644));
    if (fchmod(file.get(), 0644) < 0) return fail_errno("cannot set the mode of {}", name);
  }
  return {};
}

Status OverlayRung::prove() {
  Orders orders;
  orders.job = init::Job::kProbe;
  orders.without_groups = is_one_id(gid_map_);
  orders.bases = {{own_->path(), id_mapped_}};
  orders.lowers = {{0, "stub"}};
  orders.upper = {0, "fs"};
  orders.work = {0, "work"};
  orders.hostname = "probe";
  orders.shm_bytes = 1 << 16;
  Result<Answer> answer = ask_init(program_.get(), orders, {.user_namespace = user_namespace_.get()}, kJobMs);
  if (!answer) return std::unexpected(with_knob(std::move(answer).error()));
  if (answer->kind != init::AnswerKind::kDone) return fail(Code::kInternal, "slipway-init gave an answer that is none");
  return {};
}

Result<network::Uplink> OverlayRung::connect(const network::HelperCommand& command) const {
  Orders orders;
  orders.job = init::Job::kUplink;
  orders.without_groups = is_one_id(gid_map_);
  orders.argv = command.argv;
  orders.ready_ms = static_cast<std::uint32_t>(command.ready_ms);
  for (const auto& prefix : command.barred) {
    init::Barred barred;
    barred.family = static_cast<std::uint32_t>(prefix.family);
    std::ranges::copy(prefix.address, barred.address);
    barred.prefix = prefix.length;
    orders.barred.push_back(barred);
  }
  auto process = std::make_shared<InitProcess>(
      TRY(InitProcess::start(program_.get(), orders, {.user_namespace = user_namespace_.get()})));
  Answer answer = TRY(process->await_answer(command.ready_ms + kJobMs));
  const auto alive = [process] {
    pollfd entry{process->pidfd(), POLLIN, 0};
    return poll(&entry, 1, 0) == 0;
  };
  return network::Uplink{
      .space = std::move(answer.descriptor), .keeper = process, .alive = alive, .barred = {}, .host_address = {}};
}

std::string OverlayRung::description() const {
  std::string ids;
  for (const auto& map : uid_map_) {
    if (!ids.empty()) ids += ", ";
    ids +=
        map.count == 1 ? fmt::format("{}", map.inside) : fmt::format("{}..{}", map.inside, map.inside + map.count - 1);
    if (map.inside != map.outside) ids += fmt::format(" → {}", map.outside);
  }
  return fmt::format("overlay (user namespace {}{})", ids, id_mapped_ ? ", id-mapped layers" : "");
}

Result<std::vector<PidsGroup>> OverlayRung::make_groups(const Spec& spec) const {
  std::vector<PidsGroup> out;
  bool limited = false;
  if (!spec.cgroup_parent.empty()) {
    const auto parents = TRY(context(find_cgroup_parents(spec.cgroup_parent, text_of("/proc/self/mountinfo")),
                                     "while putting a step below --cgroup-parent {}", printable(spec.cgroup_parent)));
    for (const auto& parent : parents) {
      out.push_back(TRY(PidsGroup::make(parent)));
      limited = limited || parent.limit > 0;
    }
  }
  if (!limited && !pids_.directory.empty()) out.push_back(TRY(PidsGroup::make(pids_)));
  return out;
}

namespace {

/// What kHostGateway means in a step's network; empty in one that reaches nothing because it was told to.
Result<std::string> host_gateway(const Spec& spec, const network::Uplink* uplink, const std::string& note) {
  const bool wanted =
      std::ranges::any_of(spec.extra_hosts, [](const auto& host) { return host.second == kHostGateway; });
  if (!wanted || spec.network == NetworkMode::kNone) return "";
  if (spec.network == NetworkMode::kHost) return "127.0.0.1";
  if (uplink != nullptr && !uplink->host_address.empty()) return uplink->host_address;
  return std::unexpected(
      Error(Code::kFailedPrecondition, fmt::format("host-gateway has no address in this step: {}",
                                                   note.empty() ? "its network does not reach this machine" : note))
          .with_hint("--network host shares this machine's own network with steps"));
}

}  // namespace

Result<sys::ExitStatus> OverlayRung::run(const Spec& spec, const Output& output, const Cancel& cancel) {
  Surroundings around;
  around.store_root = root_;
  around.stub_layer = own_->path() + "/stub";
  around.id_mapped = id_mapped_;
  around.uid_map = uid_map_;
  around.gid_map = gid_map_;
  around.cgroup_mount = cgroup_mount_;
  around.resolv_conf = spec.network == NetworkMode::kHost ? text_of("/etc/resolv.conf") : networks_->resolv_conf();
  std::optional<network::Uplink> uplink;
  if (spec.network == NetworkMode::kDefault) uplink = TRY(networks_->take(cancel));
  around.host_gateway = TRY(host_gateway(spec, uplink ? &*uplink : nullptr, networks_->note()));
  StepPlan plan = TRY(plan_step(spec, around));
  const ScratchDirectories scratch = TRY(ScratchDirectories::make(plan.scratch));
  const std::vector<PidsGroup> groups = TRY(make_groups(spec));
  for (const auto& group : groups) plan.orders.cgroup_procs.push_back(group.procs());
  if (uplink) plan.orders.network = init::Network::kJoin;
  const StepEnd end = TRY(run_step(program_.get(), plan.orders, spec, user_namespace_.get(),
                                   uplink ? uplink->space.get() : -1, output, cancel));
  // With CAP_NET_ADMIN the step may have changed what no census counts.
  const bool untouched = end.network_clean && spec.security == Security::kSandbox;
  if (uplink && untouched) networks_->give_back(*std::move(uplink));
  return end.status;
}

Result<Emulation> OverlayRung::emulation(std::string_view architecture, const Cancel& cancel) {
  const std::string program = exit_program(architecture);
  bool ran = false;
  if (!program.empty()) {
    const sys::TempDir draft = TRY(sys::TempDir::make(own_->path(), "trial-"));
    for (const auto* name : {"/fs", "/work"}) TRY(make_directory(draft.path() + name));
    Spec spec;
    spec.upper = draft.path() + "/fs";
    spec.work = draft.path() + "/work";
    spec.argv = {"/trial"};
    spec.files = {{.content = program, .target = "/trial", .mode = 0755}};
    spec.network = NetworkMode::kNone;
    ran = TRY(run(spec, [](int, std::string_view) {}, cancel)).ok();
  }
  return explain_emulation(architecture, ran, BinfmtTable::read());
}

}  // namespace slipway::sandbox
