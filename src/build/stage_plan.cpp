#include "build/stage_plan.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "build/remote_source.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "dockerfile/go_match.hpp"
#include "dockerfile/history.hpp"
#include "dockerfile/port.hpp"
#include "dockerfile/signal.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

void insert_sorted(std::vector<std::string>& set, const std::string& item) {
  const auto at = std::lower_bound(set.begin(), set.end(), item);
  if (at == set.end() || *at != item) set.insert(at, item);
}

bool is_url(const std::string& source) { return RemoteSources::is_remote(source); }

class Planner {
 public:
  Planner(std::size_t index, StageState& state, StepNames& names, StageTools& tools)
      : index_(index), state_(state), names_(names), tools_(tools) {}

  Status operator()(const df::Arg& arg) {
    for (const auto& item : arg.items) {
      df::ArgItem expanded = TRY(df::expanded(item, escape(), lookup()));
      if (const auto given = tools_.globals.build_arg(expanded.name))
        expanded.value = given;
      else if (!expanded.value)
        expanded.value = tools_.globals.find(expanded.name);
      if (expanded.value) state_.environment.set(expanded.name, *expanded.value);
      state_.args.push_back(expanded);
      shown_.push_back(std::move(expanded));
    }
    note(df::history::arg(shown_), false);
    return {};
  }

  Status operator()(const df::Env& env) {
    const df::Env expanded = TRY(df::expanded(env, escape(), lookup()));
    Environment image(state_.config.env);
    for (const auto& pair : expanded.pairs) {
      image.set(pair.name, pair.value);
      state_.environment.set(pair.name, pair.value);
    }
    state_.config.env = image.texts();
    note(df::history::env(expanded.pairs), false);
    return {};
  }

  Status operator()(const df::Label& label) {
    const df::Label expanded = TRY(df::expanded(label, escape(), lookup()));
    for (const auto& pair : expanded.pairs) state_.config.labels[pair.name] = pair.value;
    note(df::history::label(expanded.pairs), false);
    return {};
  }

  Status operator()(const df::Copy& copy) {
    const df::Copy expanded = TRY(df::expanded(copy, escape(), lookup()));
    TRY(check_checksum(expanded));
    bool remote = false;
    for (const auto& source : expanded.sources) {
      if (!is_url(source)) continue;
      if (!copy.add)
        return fail(Code::kInvalidArgument, "source can't be a {} for COPY",
                    RemoteSources::is_git(source) ? "git ref" : "URL");
      remote = true;
    }
    CopySpec spec;
    spec.sources = expanded.sources;
    for (const auto& file : expanded.inline_files) spec.inline_files.push_back({file.name, file.content});
    spec.target = absolute(expanded.destination);
    spec.chown = expanded.chown;
    spec.chmod = expanded.chmod;
    spec.excludes = expanded.excludes;
    spec.parents = copy.parents;
    spec.unpack = copy.unpack.value_or(copy.add);
    // As BuildKit: with --chmod a link is a copy like any other.
    const bool linked = copy.link && spec.chmod.empty();
    if (linked) spec.chown = TRY(owner_of_link(spec.chown));
    const std::size_t base = state_.vertex;
    std::vector<solver::Input> inputs{
        {linked ? add_vertex(tools_.plan, {}, scratch_op(tools_.context), {}, false) : base}};
    if (!copy.from.empty()) spec.context = TRY(tools_.source_folder(copy.from));
    if (remote)
      inputs.push_back({TRY(plan_remotes(expanded, copy.source, spec)), true});
    else if (!copy.from.empty() && !spec.context)
      inputs.push_back({TRY(tools_.source_stage(copy.from, index_, copy.source)), true});
    else if (copy.from.empty() && !spec.sources.empty())
      spec.context = TRY(tools_.open_context());
    step(copy.source, df::history::copy(expanded), std::move(inputs),
         [&](Place place) { return copy_op(tools_.context, std::move(place), std::move(spec)); });
    if (linked) put_upon(base, copy.source);
    return {};
  }

  Status operator()(const df::Run& run) {
    if (!run.devices.empty()) return fail(Code::kUnimplemented, "RUN --device is not in this version");
    if (run.security != "sandbox")
      return fail(Code::kPermissionDenied, "RUN --security={} needs an entitlement that this builder does not grant",
                  run.security);
    ExecSpec spec;
    std::vector<solver::Input> inputs{{state_.vertex}};
    TRY(add_mounts(run, spec, inputs));
    const df::RunScript script = df::script_of(run);
    if (run.command.shell_form) {
      spec.argv = shell();
      spec.argv.push_back(script.text);
    } else {
      spec.argv = run.command.args;
    }
    if (script.file) {
      spec.argv = {script.text};
      spec.files.push_back({.content = script.file->content, .target = script.text, .mode = 0755});
    }
    spec.environment = state_.environment.texts();
    // A proxy that was given as a build argument needs no ARG; it goes before the builder's own.
    for (const auto& [name, value] : tools_.request.build_args)
      if (is_proxy_arg(name)) spec.hidden_environment.emplace_back(name, value);
    for (const auto& [name, value] : tools_.request.proxies) spec.hidden_environment.emplace_back(name, value);
    TRY(pass_ca(spec));
    spec.working_directory = state_.config.working_dir.empty() ? "/" : state_.config.working_dir;
    spec.user = state_.config.user;
    spec.network = TRY(network_of(run));
    spec.extra_hosts = tools_.request.extra_hosts;
    spec.ulimits = tools_.request.ulimits;
    spec.shm_bytes = tools_.request.shm_bytes;
    std::vector<std::string> history_argv = spec.argv;
    if (script.file) {
      history_argv = shell();
      history_argv.push_back(script.text);
    }
    const std::string history = df::history::run(arg_texts(), history_argv);
    step(run.source, history, std::move(inputs),
         [&](Place place) { return exec_op(tools_.context, std::move(place), std::move(spec)); });
    return {};
  }

  Status operator()(const df::Cmd& cmd) {
    state_.config.cmd = argv_of(cmd.command);
    state_.config.args_escaped = true;
    state_.cmd_set = true;
    note(df::history::cmd(*state_.config.cmd), false);
    return {};
  }

  Status operator()(const df::Entrypoint& entrypoint) {
    state_.config.entrypoint = argv_of(entrypoint.command);
    if (!state_.cmd_set) state_.config.cmd = std::nullopt;
    note(df::history::entrypoint(*state_.config.entrypoint), false);
    return {};
  }

  Status operator()(const df::Workdir& workdir) {
    const df::Workdir expanded = TRY(df::expanded(workdir, escape(), lookup()));
    const std::string path =
        "/" + clean_rooted(expanded.path.starts_with('/') ? expanded.path : cwd() + "/" + expanded.path);
    state_.config.working_dir = path;
    if (path == "/") {
      note(df::history::workdir(path), false);
      return {};
    }
    step(workdir.source, df::history::workdir(path), {{state_.vertex}},
         [&](Place place) { return workdir_op(tools_.context, std::move(place), path, state_.config.user); });
    return {};
  }

  Status operator()(const df::User& user) {
    state_.config.user = TRY(df::expanded(user, escape(), lookup())).user;
    note(df::history::user(state_.config.user), false);
    return {};
  }

  Status operator()(const df::Expose& expose) {
    auto ports = TRY(df::parse_ports(TRY(df::expanded(expose, escape(), lookup())).ports));
    for (const auto& port : ports) insert_sorted(state_.config.exposed_ports, port);
    std::sort(ports.begin(), ports.end());
    note(df::history::expose(ports), false);
    return {};
  }

  Status operator()(const df::Volume& volume) {
    const df::Volume expanded = TRY(df::expanded(volume, escape(), lookup()));
    for (const auto& path : expanded.paths) {
      if (path.empty()) return fail(Code::kInvalidArgument, "VOLUME specified can not be an empty string");
      insert_sorted(state_.config.volumes, path);
    }
    note(df::history::volume(expanded.paths), false);
    return {};
  }

  Status operator()(const df::Shell& shell_instruction) {
    state_.config.shell = shell_instruction.shell;
    note(df::history::shell(shell_instruction.shell), false);
    return {};
  }

  Status operator()(const df::StopSignal& stop) {
    const std::string signal = TRY(df::expanded(stop, escape(), lookup())).signal;
    (void)TRY(df::parse_signal(signal));
    state_.config.stop_signal = signal;
    note(df::history::stop_signal(signal), false);
    return {};
  }

  Status operator()(const df::Healthcheck& check) {
    state_.config.healthcheck = oci::Healthcheck{.test = check.test,
                                                 .interval = check.interval,
                                                 .timeout = check.timeout,
                                                 .start_period = check.start_period,
                                                 .start_interval = check.start_interval,
                                                 .retries = check.retries};
    note(df::history::healthcheck(check), false);
    return {};
  }

  Status operator()(const df::OnBuild& on_build) {
    state_.config.on_build.push_back(on_build.trigger);
    return {};
  }

  Status operator()(const df::Maintainer& maintainer) {
    state_.author = maintainer.name;
    note(df::history::maintainer(maintainer.name), false);
    return {};
  }

 private:
  char escape() const { return tools_.file.directives.escape; }
  df::Lookup lookup() const {
    return [this](std::string_view name) { return state_.environment.find(name); };
  }
  std::string cwd() const { return state_.config.working_dir.empty() ? "/" : state_.config.working_dir; }
  std::vector<std::string> shell() const {
    return state_.config.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : state_.config.shell;
  }

  /// A COPY destination as an absolute path; what made it a directory ("/" or "." at its end) stays visible as a
  /// trailing slash.
  std::string absolute(const std::string& destination) const {
    const std::string whole = destination.starts_with('/') ? destination : cwd() + "/" + destination;
    const bool directory =
        destination.empty() || destination.ends_with('/') || destination == "." || destination.ends_with("/.");
    const std::string cleaned = "/" + clean_rooted(whole);
    return directory && cleaned != "/" ? cleaned + "/" : cleaned;
  }

  std::vector<std::string> argv_of(const df::CommandLine& command) const {
    if (!command.shell_form) return command.args;
    auto argv = shell();
    argv.push_back(command.text);
    return argv;
  }

  /// "A=1" of every declared ARG, with the value in force; the last declaration of a name keeps the first one's place.
  std::vector<std::string> arg_texts() const {
    Environment texts;
    for (const auto& item : state_.args)
      texts.set(item.name, state_.environment.find(item.name).value_or(item.value.value_or("")));
    return texts.texts();
  }

  Result<sandbox::NetworkMode> network_of(const df::Run& run) const {
    if (run.network == "none") return sandbox::NetworkMode::kNone;
    if (run.network == "host" && tools_.request.network != sandbox::NetworkMode::kHost)
      return std::unexpected(
          Error(Code::kPermissionDenied, "RUN --network=host shares the host's network, which this build may not")
              .with_hint("build with --network host to allow it"));
    return tools_.request.network;
  }

  std::string absolute_target(const std::string& target) const {
    return "/" + clean_rooted(target.starts_with('/') ? target : cwd() + "/" + target);
  }

  /// Adds the inputs that mounts read from to those of the step.
  Status add_mounts(const df::Run& run, ExecSpec& spec, std::vector<solver::Input>& inputs) {
    for (const auto& text : run.mounts) {
      const df::Mount mount = TRY(df::parse_mount(text, escape(), lookup()));
      if (mount.type == df::Mount::Type::kSsh)
        return std::unexpected(Error(Code::kUnimplemented, "RUN --mount=type=ssh is not in this version")
                                   .with_hint("give the key or a token with --mount=type=secret and --secret"));
      if (mount.type == df::Mount::Type::kSecret) {
        TRY(add_secret(mount, spec));
        continue;
      }
      RunMount planned{.type = mount.type, .target = absolute_target(mount.target)};
      if (planned.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
      planned.size = mount.size;
      planned.read_only = mount.read_only;
      if (mount.type == df::Mount::Type::kCache) TRY(add_cache(mount, run.source, planned, inputs));
      if (mount.type == df::Mount::Type::kBind) {
        planned.source = clean_rooted(mount.source);
        planned.input = inputs.size();
        inputs.push_back(TRY(mount_input(mount, run.source)));
      }
      spec.mounts.push_back(std::move(planned));
    }
    return {};
  }

  Status add_cache(const df::Mount& mount, const df::Source& source, RunMount& planned,
                   std::vector<solver::Input>& inputs) {
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
    planned.input = inputs.size();
    inputs.push_back({TRY(tools_.source_stage(mount.from, index_, source)), false});
    return {};
  }

  Result<solver::Input> mount_input(const df::Mount& mount, const df::Source& source) {
    if (!mount.from.empty()) return solver::Input{TRY(tools_.source_stage(mount.from, index_, source)), true};
    // What the context shows there, behind its ignore file and owned by root: a copy of it upon nothing.
    CopySpec copy;
    copy.sources = {clean_rooted(mount.source)};
    copy.target = "/" + copy.sources[0];
    if (copy.sources[0].empty()) copy.sources[0] = ".";
    copy.context = TRY(tools_.open_context());
    const std::size_t nothing = add_vertex(tools_.plan, {}, scratch_op(tools_.context), {}, false);
    Place place{tools_.ids.next(), "", &tools_.file, &source};
    auto op = copy_op(tools_.context, place, std::move(copy));
    return solver::Input{
        add_vertex(tools_.plan, std::move(place), std::move(op), {{nothing}}, tools_.request.no_cache)};
  }

  Status add_secret(const df::Mount& mount, ExecSpec& spec) const {
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
    spec.mounts.push_back(std::move(planned));
    return {};
  }

  /// The corporate CA: a step behind the same proxy needs it as much as we do. Not part of any key, nothing of it in
  /// the layer.
  Status pass_ca(ExecSpec& spec) const {
    if (tools_.request.ca_bundle.empty()) return {};
    constexpr std::string_view kTarget = "/run/slipway/ca.crt";
    spec.hidden_files.push_back({.content = TRY(sys::read_file(tools_.request.ca_bundle, 16 << 20)),
                                 .target = std::string(kTarget),
                                 .mode = 0444});
    for (const auto* name :
         {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE"})
      spec.hidden_environment.emplace_back(name, kTarget);
    return {};
  }

  /// The vertex that brings what ADD takes from elsewhere, each source in a directory of its own, files of the context
  /// in one before them. `spec` then copies from there.
  Result<std::size_t> plan_remotes(const df::Copy& copy, const df::Source& at, CopySpec& spec) {
    std::size_t below = add_vertex(tools_.plan, {}, scratch_op(tools_.context), {}, false);
    RemoteSpec remotes{.sources = {}, .recorded = false};
    CopySpec local{.sources = {}, .target = "/local/", .excludes = spec.excludes, .unpack = spec.unpack};
    spec.sources.clear();
    for (const auto& source : copy.sources) {
      if (!is_url(source)) {
        local.sources.push_back(source);
        continue;
      }
      const bool git = RemoteSources::is_git(source);
      const std::string directory = std::to_string(remotes.sources.size());
      const RemoteOptions options{.checksum = copy.checksum, .keep_git_dir = copy.keep_git_dir};
      remotes.sources.emplace_back(directory, TRY(tools_.context.remotes->of(source, options)));
      remotes.recorded = remotes.recorded || git;  // a URL's bytes are in the store anyway
      spec.sources.push_back(git ? "/" + directory : "/" + directory + "/*");
    }
    if (!local.sources.empty()) {
      spec.sources.insert(spec.sources.begin(), local.target);
      local.context = TRY(tools_.open_context());
      Place place{tools_.ids.next(), "", &tools_.file, &at};
      auto op = copy_op(tools_.context, place, std::move(local));
      below = add_vertex(tools_.plan, std::move(place), std::move(op), {{below}}, tools_.request.no_cache);
    }
    spec.unpack = copy.unpack.value_or(false);
    Place place{tools_.ids.next(), "", &tools_.file, &at};
    auto op = remote_op(tools_.context, place, std::move(remotes));
    return add_vertex(tools_.plan, std::move(place), std::move(op), {{below}}, tools_.request.no_cache);
  }

  static Status check_checksum(const df::Copy& copy) {
    if (copy.checksum.empty()) return {};
    if (copy.sources.size() != 1)
      return fail(Code::kInvalidArgument, "checksum can't be specified for multiple sources");
    if (!is_url(copy.sources[0])) return fail(Code::kInvalidArgument, "checksum requires HTTP(S) or Git sources");
    return {};
  }

  /// A linked layer sees no passwd file of any image: its owners are numbers. "root" needs no file.
  static Result<std::string> owner_of_link(const std::string& chown) {
    std::vector<std::string> parts;
    for (const auto part : split(chown, ':')) {
      if (!std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; }) && part != "root")
        return std::unexpected(
            Error(Code::kInvalidArgument, fmt::format("--chown={} needs numeric ids with --link", printable(chown, 64)))
                .with_hint("a linked layer does not see the image's passwd and group files"));
      parts.emplace_back(part == "root" ? "0" : part);
    }
    return join(parts, ":");
  }

  /// The step that was just planned knew nothing of `base`: its layer comes upon it.
  void put_upon(std::size_t base, const df::Source& source) {
    Place place{tools_.ids.next(), "", &tools_.file, &source};
    auto op = merge_op(tools_.context, place);
    state_.vertex =
        add_vertex(tools_.plan, std::move(place), std::move(op), {{base}, {state_.vertex}}, tools_.request.no_cache);
  }

  void note(std::string created_by, bool layer) {
    oci::History entry;
    entry.created_by = std::move(created_by);
    entry.comment = "buildkit.dockerfile.v0";
    entry.author = state_.author;
    entry.empty_layer = !layer;
    state_.history.push_back({std::move(entry), layer});
  }

  template <class MakeOp>
  void step(const df::Source& source, std::string history, std::vector<solver::Input> inputs, MakeOp make_op) {
    Place place{tools_.ids.next(), names_.take(source.text), &tools_.file, &source};
    auto op = make_op(place);
    state_.vertex =
        add_vertex(tools_.plan, std::move(place), std::move(op), std::move(inputs), tools_.request.no_cache);
    note(std::move(history), true);
  }

  std::size_t index_;
  StageState& state_;
  StepNames& names_;
  StageTools& tools_;
  std::vector<df::ArgItem> shown_;
};

}  // namespace

std::string StepNames::take(std::string_view text) { return fmt::format("[{}{}/{}] {}", stage, next++, total, text); }

bool makes_step(const dockerfile::Instruction& instruction) {
  return std::holds_alternative<df::Run>(instruction) || std::holds_alternative<df::Copy>(instruction) ||
         std::holds_alternative<df::Workdir>(instruction);
}

Status plan_instruction(const dockerfile::Instruction& instruction, std::size_t index, StageState& state,
                        StepNames& names, StageTools& tools) {
  Status planned = std::visit(Planner(index, state, names, tools), instruction);
  if (planned) return {};
  Error error = std::move(planned).error();
  if (error.range()) return std::unexpected(std::move(error));
  return std::unexpected(dockerfile::at(tools.file, dockerfile::source_of(instruction), std::move(error)));
}

std::size_t add_vertex(Plan& plan, Place place, std::shared_ptr<solver::Op> op, std::vector<solver::Input> inputs,
                       bool ignore_records) {
  plan.places.push_back(std::move(place));
  return plan.graph.add({std::move(op), std::move(inputs), ignore_records});
}

}  // namespace slipway::build
