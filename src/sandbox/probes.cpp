// probe_machine(): each ability tried by doing it, with the knob where it fails.
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "network/helper.hpp"
#include "sandbox/elf.hpp"
#include "sandbox/id_range.hpp"
#include "sandbox/init_process.hpp"
#include "sandbox/knobs.hpp"
#include "sandbox/overlay_rung.hpp"
#include "sandbox/pids_cgroup.hpp"
#include "sandbox/program.hpp"
#include "sandbox/sandbox.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::int64_t kSmallFile = 1 << 20;
constexpr int kJobMs = 10'000;

std::string text_of(const std::string& path) { return sys::read_file(path, kSmallFile).value_or(std::string()); }

Probe of(std::string name, const Status& status, std::string good, std::string knob = {}) {
  if (status) return {std::move(name), true, std::move(good), {}};
  const Error& error = status.error();
  return {std::move(name), false, error.message(), error.hint().empty() ? std::move(knob) : error.hint()};
}

Probe executable_memory() {
  const auto program = make_program();
  return of("executable memory files", program ? Status{} : std::unexpected(program.error()), "slipway-init is sealed",
            "set sysctl vm.memfd_noexec=1");
}

Probe user_namespaces() {
  const auto attempt = []() -> Status {
    const sys::Fd program = TRY(make_program());
    const auto outer = TRY(parse_id_map(text_of("/proc/self/uid_map")));
    Orders orders;
    orders.job = init::Job::kUserNamespace;
    orders.uid_map = orders.gid_map = is_initial(outer)
                                          ? std::vector<init::IdMap>{{0, rootful_base(text_of("/etc/subuid")), 65536}}
                                          : std::vector<init::IdMap>{{0, 0, 1}};
    TRY(ask_init(program.get(), orders, {}, kJobMs));
    return {};
  };
  const Status status = attempt();
  return of("user namespaces", status, "one was made and its ids mapped",
            status ? std::string() : user_namespace_knob(status.error().sys_errno()));
}

Probe id_ranges() {
  const auto outer = parse_id_map(text_of("/proc/self/uid_map"));
  if (!outer) return of("id ranges", std::unexpected(outer.error()), {});
  if (is_initial(*outer)) {
    const std::uint32_t base = rootful_base(text_of("/etc/subuid"));
    return {"id ranges", true, fmt::format("ids 0..65535 of steps are {}..{} of this machine", base, base + 65535), {}};
  }
  std::uint64_t count = 0;
  for (const auto& line : *outer) count += line.count;
  const bool enough = count >= 65536;
  return {
      "id ranges", enough, fmt::format("{} ids are mapped into this user namespace", count),
      enough
          ? ""
          : "give the user a range of 65536 ids in /etc/subuid and /etc/subgid (usermod --add-subuids, --add-subgids)"};
}

Probe overlay(const Options& options) {
  const auto rung = OverlayRung::make(options.root, false);
  return of("overlay in a user namespace", rung ? Status{} : std::unexpected(rung.error()),
            rung ? "a file was written through " + (*rung)->description() : std::string());
}

/// What builds for other platforms can run. None at all is fine: most of them need no more than FROM --platform.
Probe other_architectures(const Options& options) {
  constexpr const char* kName = "programs of other architectures";
  const auto rung = OverlayRung::make(options.root, false);
  if (!rung) return of(kName, std::unexpected(rung.error()), {});
  std::vector<std::string> runs, fails, knobs;
  for (const auto architecture : known_architectures()) {
    if (architecture == own_architecture()) continue;
    const auto found = (*rung)->emulation(architecture, Cancel());
    if (!found) return of(kName, std::unexpected(found.error()), {});
    if (found->how == Emulation::How::kEmulated) runs.push_back(fmt::format("{} by {}", architecture, found->by));
    if (found->how == Emulation::How::kNative) runs.push_back(fmt::format("{} natively", architecture));
    if (!found->broken) continue;
    fails.push_back(fmt::format("{}: {}", architecture, found->reason));
    knobs.push_back(found->knob);
  }
  std::string detail = runs.empty() ? "none run" : join(runs, ", ");
  if (!fails.empty()) detail += fmt::format("; {}", join(fails, "; "));
  return {kName, fails.empty(), std::move(detail), knobs.empty() ? std::string() : knobs[0]};
}

Probe pids_limit() {
  const PidsParent parent = find_pids_parent();
  if (!parent.directory.empty())
    return {"pids limit",
            true,
            fmt::format("{} processes a step, below {}", parent.limit, printable(parent.directory)),
            {}};
  return {"pids limit", false, parent.reason,
          "steps run without a pids limit; to have one, delegate the pids controller (systemd: Delegate=pids; a "
          "container: a "
          "writable /sys/fs/cgroup)"};
}

Probe job_filter() {
  const std::string status = text_of("/proc/self/status");
  for (const auto line : split(status, '\n'))
    if (line.starts_with("Seccomp:")) {
      const bool filtered = trim(line.substr(8)) == "2";
      return {"seccomp profile of this job",
              true,
              filtered ? "there is one; steps add Docker's default" : "none; steps have Docker's default",
              {}};
    }
  return {"seccomp profile of this job", false, "the kernel has no seccomp",
          "a kernel with CONFIG_SECCOMP_FILTER is needed"};
}

Probe confinement() {
  const std::string profile(trim(text_of("/proc/self/attr/current")));
  if (profile.empty() || profile == "unconfined") return {"AppArmor profile of this job", true, "unconfined", {}};
  return {"AppArmor profile of this job", true, printable(profile), {}};
}

void network_probes(std::vector<Probe>& out) {
  const network::Machine machine = network::look_at_machine();
  out.push_back({"default route", machine.default_route,
                 machine.default_route ? "there is one" : "this machine has none",
                 machine.default_route ? "" : "steps have loopback only until the machine has an uplink"});
  const bool helper = !machine.pasta.empty() || !machine.slirp4netns.empty();
  out.push_back({"network helper", helper,
                 helper ? (machine.pasta.empty() ? machine.slirp4netns : machine.pasta) : "none found",
                 helper ? "" : "install pasta (package passt) or slirp4netns"});
  out.push_back(
      {"/dev/net/tun", machine.tun_error == 0,
       machine.tun_error == 0 ? "opened" : std::string(strerror(machine.tun_error)),
       machine.tun_error == 0 ? "" : "modprobe tun; chmod 0666 /dev/net/tun; for a container: --device /dev/net/tun"});
}

std::vector<Probe> probe_inside(const Options& options) {
  std::vector<Probe> out;
  out.push_back(executable_memory());
  out.push_back(user_namespaces());
  out.push_back(id_ranges());
  out.push_back(overlay(options));
  out.push_back(other_architectures(options));
  out.push_back(pids_limit());
  out.push_back(job_filter());
  out.push_back(confinement());
  network_probes(out);
  return out;
}

Probe mapping_program(const char* name) {
  const std::string path = std::string("/usr/bin/") + name;
  struct stat info{};
  if (stat(path.c_str(), &info) < 0) return {name, false, "not found", "install it (Debian: package uidmap)"};
  const auto file = sys::open(path, O_RDONLY);
  const bool capable =
      file && sys::get_xattr(file->get(), "security.capability", path).value_or(std::nullopt).has_value();
  const bool good = capable || ((info.st_mode & S_ISUID) != 0 && info.st_uid == 0);
  return {name, good, good ? path : path + " is neither set-user-ID root nor has capabilities",
          good ? "" : fmt::format("chmod u+s {}", path)};
}

/// An ordinary user's probes are those of the namespace that a build would enter: tried in a child, since it can not be
/// left again.
std::vector<Probe> probe_rootless(const Options& options) {
  std::vector<Probe> out = {mapping_program("newuidmap"), mapping_program("newgidmap")};
  auto pipe = sys::make_pipe();
  const pid_t child = pipe ? fork() : -1;
  if (child < 0) return out;
  if (child == 0) {
    nlohmann::json list = nlohmann::json::array();
    const auto add = [&](const Probe& probe) { list.push_back({probe.name, probe.ok, probe.detail, probe.knob}); };
    const Status entered = enter_rootless();
    if (!entered) add(of("user namespaces", entered, {}));
    if (entered)
      for (const auto& probe : probe_inside(options)) add(probe);
    const std::string text = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    _exit(sys::write_all(pipe->write.get(), text) ? 0 : 1);
  }
  pipe->write.reset();
  const auto list = nlohmann::json::parse(sys::read_all(pipe->read.get(), kSmallFile).value_or(""), nullptr, false);
  (void)waitpid(child, nullptr, 0);
  if (!list.is_array()) {
    out.push_back({"user namespaces", false, "the process that tried them ended", {}});
    return out;
  }
  for (const auto& item : list) out.push_back({item[0], item[1], item[2], item[3]});
  return out;
}

}  // namespace

std::vector<Probe> probe_machine(const Options& options) {
  return geteuid() == 0 ? probe_inside(options) : probe_rootless(options);
}

}  // namespace slipway::sandbox
