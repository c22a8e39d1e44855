#include "build/run_plan.hpp"

#include "base/text.hpp"
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
    if (!run_.devices.empty()) return fail(Code::kUnimplemented, "RUN --device is not in this version");
    if (run_.security != "sandbox")
      return fail(Code::kPermissionDenied, "RUN --security={} needs an entitlement that this builder does not grant",
                  run_.security);
    TRY(add_mounts());
    set_command();
    set_environment();
    TRY(pass_ca());
    planned_.spec.working_directory = state_.directory();
    planned_.spec.user = state_.config.user;
    planned_.spec.network = TRY(network());
    planned_.spec.extra_hosts = tools_.request.extra_hosts;
    planned_.spec.ulimits = tools_.request.ulimits;
    planned_.spec.shm_bytes = tools_.request.shm_bytes;
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
    }
    planned_.history_argv = script.file ? through_shell : planned_.spec.argv;
  }

  void set_environment() {
    planned_.spec.environment = state_.environment.texts();
    // A proxy that was given as a build argument needs no ARG; it goes before the builder's own.
    for (const auto& [name, value] : tools_.request.build_args)
      if (is_proxy_arg(name)) planned_.spec.hidden_environment.emplace_back(name, value);
    for (const auto& [name, value] : tools_.request.proxies) planned_.spec.hidden_environment.emplace_back(name, value);
  }

  Result<sandbox::NetworkMode> network() const {
    if (run_.network == "none") return sandbox::NetworkMode::kNone;
    if (run_.network == "host" && tools_.request.network != sandbox::NetworkMode::kHost)
      return std::unexpected(
          Error(Code::kPermissionDenied, "RUN --network=host shares the host's network, which this build may not")
              .with_hint("build with --network host to allow it"));
    return tools_.request.network;
  }

  std::string absolute_target(const std::string& target) const {
    return "/" + clean_rooted(target.starts_with('/') ? target : state_.directory() + "/" + target);
  }

  /// Adds the inputs that mounts read from to those of the step.
  Status add_mounts() {
    for (const auto& text : run_.mounts) {
      const df::Mount mount = TRY(df::parse_mount(text, tools_.file.directives.escape, lookup()));
      if (mount.type == df::Mount::Type::kSsh)
        return std::unexpected(Error(Code::kUnimplemented, "RUN --mount=type=ssh is not in this version")
                                   .with_hint("give the key or a token with --mount=type=secret and --secret"));
      if (mount.type == df::Mount::Type::kSecret) {
        TRY(add_secret(mount));
        continue;
      }
      RunMount planned{.type = mount.type, .target = absolute_target(mount.target)};
      if (planned.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
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
    if (mount.from.empty()) return {};
    planned.input = planned_.inputs.size();
    planned_.inputs.push_back({TRY(tools_.source_stage(mount.from, index_, run_.source)), false});
    return {};
  }

  Result<solver::Input> mount_input(const df::Mount& mount) {
    if (!mount.from.empty()) return solver::Input{TRY(tools_.source_stage(mount.from, index_, run_.source)), true};
    // What the context shows there, behind its ignore file and owned by root: a copy of it upon nothing.
    CopySpec copy;
    copy.sources = {clean_rooted(mount.source)};
    copy.target = "/" + copy.sources[0];
    if (copy.sources[0].empty()) copy.sources[0] = ".";
    copy.context = TRY(tools_.open_context());
    const std::size_t nothing = add_vertex(tools_.plan, {}, scratch_op(tools_.context), {}, false);
    Place place{tools_.ids.next(), "", &tools_.file, &run_.source};
    auto op = copy_op(tools_.context, place, std::move(copy));
    return solver::Input{
        add_vertex(tools_.plan, std::move(place), std::move(op), {{nothing}}, tools_.no_cache)};
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
    for (const auto& secret : tools_.request.secrets)
      if (secret.id == planned.id) planned.value = secret.value;
    if (!planned.value && mount.required)
      return std::unexpected(Error(Code::kNotFound, fmt::format("secret {}: not found", printable(planned.id)))
                                 .with_hint(fmt::format("give it with --secret id={},src=FILE", planned.id)));
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
};

}  // namespace

Result<PlannedRun> plan_run(const dockerfile::Run& run, std::size_t index, const StageState& state, StageTools& tools) {
  return RunPlanner(run, index, state, tools).plan();
}

}  // namespace slipway::build
