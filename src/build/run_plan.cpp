#include "build/run_plan.hpp"

#include <set>

#include "base/text.hpp"
#include "build/cdi.hpp"
#include "dockerfile/mount.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

class RunPlanner {
 public:
  RunPlanner(const df::Run& run, std::size_t index, const StageState& state, StageTools& tools)
      : run_(run), index_(index), state_(state), tools_(tools) {
    planned_.inputs.push_back({state.vertex});
  }

  Result<PlannedRun> plan() {
    planned_.spec.security = TRY(security());
    TRY(add_mounts());
    set_command();
    set_environment();
    TRY(pass_ca());
    TRY(add_devices());
    planned_.spec.working_directory = state_.directory();
    planned_.spec.user = state_.config.user;
    planned_.spec.platform = state_.platform;
    planned_.spec.network = TRY(network());
    planned_.spec.extra_hosts = tools_.request.extra_hosts;
    planned_.spec.ulimits = tools_.request.ulimits;
    planned_.spec.shm_bytes = tools_.request.shm_bytes;
    for (const auto& [name, value] : tools_.request.build_args)
      if (name == "BUILDKIT_SANDBOX_HOSTNAME") planned_.spec.hostname = value;
    planned_.spec.cgroup_parent = tools_.request.cgroup_parent;
    planned_.spec.limits = tools_.request.step_limits;
    return std::move(planned_);
  }

 private:
  df::Lookup lookup() const {
    return [this](std::string_view name) { return state_.environment.find(name); };
  }

  void set_command() {
    const df::RunScript script = df::script_of(run_);
    std::vector<std::string> through_shell = state_.shell();
    through_shell.push_back(script.text);
    if (script.file) {
      planned_.spec.argv = {script.text};
      planned_.spec.files.push_back({.content = script.file->content, .target = script.text, .mode = 0755});
    } else {
      planned_.spec.argv = run_.command.shell_form ? through_shell : run_.command.args;
      planned_.spec.shell_words = run_.command.shell_form ? through_shell.size() - 1 : 0;
    }
    planned_.history_argv = script.file ? through_shell : planned_.spec.argv;
  }

  void set_environment() {
    planned_.spec.environment = state_.environment.texts();
    planned_.spec.environment_order = state_.environment.order_set();
    planned_.spec.arguments = argument_names();
    if (ssh_mounts_ > 0 && !state_.environment.find("SSH_AUTH_SOCK"))
      planned_.spec.environment.push_back("SSH_AUTH_SOCK=" + ssh_socket_);
    // A proxy that was given as a build argument needs no ARG; it goes before the builder's own.
    for (const auto& [name, value] : tools_.request.build_args)
      if (is_proxy_arg(name)) planned_.spec.hidden_environment.emplace_back(name, value);
    for (const auto& [name, value] : tools_.request.proxies) planned_.spec.hidden_environment.emplace_back(name, value);
  }

  /// Variables whose values come from ARG: what ENV said of the same name, if anything, is something else.
  std::set<std::string> argument_names() const {
    std::set<std::string> names;
    for (const auto& item : state_.args)
      if (state_.image_environment.find(item.name) != state_.environment.find(item.name)) names.insert(item.name);
    return names;
  }

  Result<sandbox::NetworkMode> network() const {
    if (run_.network == "none") return sandbox::NetworkMode::kNone;
    if (run_.network != "host") return tools_.request.network;
    if (tools_.request.network != sandbox::NetworkMode::kHost && !tools_.request.entitlements.network_host)
      return not_allowed("network.host");
    return sandbox::NetworkMode::kHost;
  }

  Result<sandbox::Security> security() const {
    if (run_.security != "insecure") return sandbox::Security::kSandbox;
    if (!tools_.request.entitlements.security_insecure) return not_allowed("security.insecure");
    return sandbox::Security::kInsecure;
  }

  static std::unexpected<Error> not_allowed(std::string_view entitlement) {
    return std::unexpected(Error(Code::kPermissionDenied, fmt::format("{} is not allowed", entitlement))
                               .with_hint(fmt::format("a build that may do this has --allow {}", entitlement)));
  }

  /// RUN --device: what the specifications of CDI say of each, where it is allowed.
  Status add_devices() {
    if (run_.devices.empty()) return {};
    const CdiRegistry registry = CdiRegistry::load(tools_.request.cdi_directories);
    std::vector<DeviceRequest> wanted;
    for (const auto& text : run_.devices) wanted.push_back(TRY(DeviceRequest::parse(text)));
    const auto devices = TRY(registry.allowed(wanted, tools_.request.entitlements));
    for (const CdiDevice* device : devices) {
      planned_.spec.devices.push_back(device->name);
      for (const auto& mount : device->edits.mounts) {  // devices of one file share what is common to them
        const auto same = [&](const sandbox::HostMount& other) { return other.target == mount.target; };
        std::erase_if(planned_.spec.host_mounts, same);
        planned_.spec.host_mounts.push_back(mount);
      }
      for (const auto& pair : device->edits.environment) planned_.spec.device_environment.push_back(pair);
      for (const auto& left_out : device->edits.left_out)
        tools_.context.shop.sink.on(
            progress::Warning{fmt::format("device {}: {}", printable(device->name, 200), left_out)});
    }
    return {};
  }

  std::string absolute_target(const std::string& target) const {
    return "/" + clean_rooted(target.starts_with('/') ? target : state_.directory() + "/" + target);
  }

  /// Adds the inputs that mounts read from to those of the step.
  Status add_mounts() {
    for (const auto& text : run_.mounts) {
      const df::Mount mount = TRY(df::parse_mount(text, tools_.file.directives.escape, lookup()));
      const std::string shown = text.contains('$') ? text : "";  // its target may hold the value of a variable
      if (mount.type == df::Mount::Type::kSsh || mount.type == df::Mount::Type::kSecret) {
        TRY(mount.type == df::Mount::Type::kSsh ? add_ssh(mount) : add_secret(mount));
        planned_.spec.mounts.back().shown = shown;
        continue;
      }
      RunMount planned{.type = mount.type, .target = absolute_target(mount.target)};
      if (planned.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
      planned.shown = shown;
      planned.size = mount.size;
      planned.read_only = mount.read_only;
      if (mount.type == df::Mount::Type::kCache) TRY(add_cache(mount, planned));
      if (mount.type == df::Mount::Type::kBind) {
        planned.source = clean_rooted(mount.source);
        planned.input = planned_.inputs.size();
        planned_.inputs.push_back(TRY(mount_input(mount)));
      }
      planned_.spec.mounts.push_back(std::move(planned));
    }
    return {};
  }

  Status add_cache(const df::Mount& mount, RunMount& planned) {
    std::string name_space;
    for (const auto& [name, value] : tools_.request.build_args)
      if (name == "BUILDKIT_CACHE_MOUNT_NS") name_space = value;
    // Without an id it is the target that names the cache.
    planned.cache = CacheMount{
        .key = cache_key(tools_.context.shop.scope, name_space, mount.id.empty() ? planned.target : mount.id),
        .sharing = mount.sharing,
        .target = planned.target,
        .source = clean_rooted(mount.source),
        .read_only = mount.read_only,
        .mode = mount.mode.value_or(0755),
        .uid = mount.uid.value_or(0),
        .gid = mount.gid.value_or(0)};
    std::string id = mount.id;
    if (id.empty()) id = (mount.target.starts_with('/') ? "/" : "") + clean_rooted(mount.target);
    planned.cache->buildkit_id = name_space + "/" + id;
    if (mount.from.empty()) return {};
    planned.input = planned_.inputs.size();
    planned_.inputs.push_back({TRY(tools_.source_stage(mount.from, index_, run_.source)), false});
    return {};
  }

  Result<solver::Input> mount_input(const df::Mount& mount) {
    std::shared_ptr<Context> folder;
    if (!mount.from.empty()) folder = TRY(tools_.source_folder(mount.from));
    if (!mount.from.empty() && !folder)
      return solver::Input{TRY(tools_.source_stage(mount.from, index_, run_.source)), true};
    // What the context shows there, behind its ignore file and owned by root: a copy of it upon nothing.
    CopySpec copy;
    copy.sources = {clean_rooted(mount.source)};
    copy.target = "/" + copy.sources[0];
    if (copy.sources[0].empty()) copy.sources[0] = ".";
    copy.context = folder ? std::move(folder) : TRY(tools_.open_context());
    return solver::Input{step_vertex(tools_, run_.source, "", {{tools_.scratch()}}, copy,
                                     [&](Place place) { return copy_op(tools_.context, std::move(place), copy); })};
  }

  Status add_secret(const df::Mount& mount) {
    RunMount planned{.type = mount.type};
    planned.id = !mount.id.empty() ? mount.id : mount.source;
    if (planned.id.empty()) planned.id = mount.target.substr(mount.target.rfind('/') + 1);
    planned.env = mount.env.value_or("");
    planned.file = planned.env.empty() || !mount.target.empty();
    planned.target = mount.target.empty() ? "/run/secrets/" + planned.id : absolute_target(mount.target);
    if (planned.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
    planned.mode = mount.mode.value_or(0400);
    planned.uid = mount.uid.value_or(0);
    planned.gid = mount.gid.value_or(0);
    planned.required = mount.required;
    for (const auto& secret : tools_.request.secrets)
      if (secret.id == planned.id) planned.value = secret.value;
    if (!planned.value && mount.required)
      return std::unexpected(Error(Code::kNotFound, fmt::format("secret {}: not found", printable(planned.id)))
                                 .with_hint(fmt::format("give it with --secret id={},src=FILE", planned.id)));
    planned_.spec.mounts.push_back(std::move(planned));
    return {};
  }

  /// Whether an agent of that id was given is seen when the step runs: a cached one needs none.
  Status add_ssh(const df::Mount& mount) {
    if (!mount.source.empty()) return fail(Code::kInvalidArgument, "ssh does not support source");
    RunMount planned{.type = mount.type};
    planned.id = mount.id.empty() ? "default" : mount.id;
    planned.target =
        mount.target.empty() ? fmt::format("/run/buildkit/ssh_agent.{}", ssh_mounts_) : absolute_target(mount.target);
    if (planned.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
    planned.mode = mount.mode.value_or(0600);
    planned.uid = mount.uid.value_or(0);
    planned.gid = mount.gid.value_or(0);
    planned.required = mount.required;
    if (ssh_mounts_++ == 0) ssh_socket_ = planned.target;
    planned_.spec.mounts.push_back(std::move(planned));
    return {};
  }

  /// The corporate CA: a step behind the same proxy needs it as much as we do. Not part of any key, nothing of it in
  /// the layer.
  Status pass_ca() {
    if (tools_.request.ca_bundle.empty()) return {};
    constexpr std::string_view kTarget = "/run/slipway/ca.crt";
    planned_.spec.hidden_files.push_back({.content = TRY(sys::read_file(tools_.request.ca_bundle, 16 << 20)),
                                          .target = std::string(kTarget),
                                          .mode = 0444});
    for (const auto* name :
         {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE"})
      planned_.spec.hidden_environment.emplace_back(name, kTarget);
    return {};
  }

  const df::Run& run_;
  std::size_t index_;
  const StageState& state_;
  StageTools& tools_;
  PlannedRun planned_;
  int ssh_mounts_ = 0;
  std::string ssh_socket_;  ///< of the first one
};

}  // namespace

Result<PlannedRun> plan_run(const dockerfile::Run& run, std::size_t index, const StageState& state, StageTools& tools) {
  return RunPlanner(run, index, state, tools).plan();
}

}  // namespace slipway::build
