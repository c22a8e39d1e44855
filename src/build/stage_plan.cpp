#include "build/stage_plan.hpp"

#include <algorithm>

#include "base/text.hpp"
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

bool is_url(const std::string& source) {
  return source.starts_with("http://") || source.starts_with("https://") || source.starts_with("git@") ||
         source.starts_with("git://") || source.starts_with("ssh://");
}

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
    const std::string what = copy.add ? "ADD" : "COPY";
    if (copy.parents || !copy.excludes.empty() || !copy.checksum.empty() || copy.keep_git_dir || copy.unpack)
      return fail(Code::kUnimplemented,
                  "{} with --parents, --exclude, --checksum, --keep-git-dir or --unpack is not in this version", what);
    const df::Copy expanded = TRY(df::expanded(copy, escape(), lookup()));
    for (const auto& source : expanded.sources) {
      if (!is_url(source)) continue;
      if (!copy.add)
        return fail(Code::kInvalidArgument, "source can't be a {} for COPY",
                    source.starts_with("http") ? "URL" : "git ref");
      return fail(Code::kUnimplemented, "ADD of {} is not in this version; add files of the context", quoted(source));
    }
    CopySpec spec;
    spec.sources = expanded.sources;
    for (const auto& file : expanded.inline_files) spec.inline_files.push_back({file.name, file.content});
    spec.target = absolute(expanded.destination);
    spec.chown = expanded.chown;
    spec.chmod = expanded.chmod;
    std::vector<solver::Input> inputs{{state_.vertex}};
    if (!copy.from.empty())
      inputs.push_back({TRY(tools_.source_stage(copy.from, index_, copy.source)), true});
    else if (!spec.sources.empty())
      spec.context = TRY(tools_.open_context());
    if (copy.add && spec.context) TRY(refuse_archives(*spec.context, spec.sources));
    step(copy.source, df::history::copy(expanded), std::move(inputs),
         [&](Place place) { return copy_op(tools_.context, std::move(place), std::move(spec)); });
    return {};
  }

  Status operator()(const df::Run& run) {
    if (!run.devices.empty()) return fail(Code::kUnimplemented, "RUN --device is not in this version");
    if (run.security != "sandbox")
      return fail(Code::kPermissionDenied, "RUN --security={} needs an entitlement that this builder does not grant",
                  run.security);
    ExecSpec spec;
    TRY(add_mounts(run, spec));
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
    step(run.source, history, {{state_.vertex}},
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

  Status add_mounts(const df::Run& run, ExecSpec& spec) const {
    for (const auto& text : run.mounts) {
      std::string type = "bind";
      sandbox::TmpfsMount tmpfs;
      for (const auto field : split(text, ',')) {
        const auto equals = field.find('=');
        const std::string_view key = field.substr(0, equals),
                               value = equals == std::string_view::npos ? "" : field.substr(equals + 1);
        if (key == "type") type = value;
        if (key == "target" || key == "dst" || key == "destination")
          tmpfs.target = TRY(df::expand_word(value, escape(), lookup()));
        if (key == "size") tmpfs.size = TRY(parse_human_size(value));
      }
      if (type != "tmpfs")
        return fail(Code::kUnimplemented, "RUN --mount=type={} is not in this version; type=tmpfs is",
                    printable(type, 64));
      if (tmpfs.target.empty()) return fail(Code::kInvalidArgument, "--mount needs a target");
      tmpfs.target = "/" + clean_rooted(tmpfs.target.starts_with('/') ? tmpfs.target : cwd() + "/" + tmpfs.target);
      if (tmpfs.target == "/") return fail(Code::kInvalidArgument, "invalid mount target \"/\"");
      spec.tmpfs.push_back(std::move(tmpfs));
    }
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

  static Status refuse_archives(const Context& context, const std::vector<std::string>& sources) {
    for (const auto& source : sources) {
      for (const auto& path : TRY(context.tree.glob(source))) {
        const auto at = TRY(context.tree.resolve(path, FollowLast::kYes));
        if (!at.found || !S_ISREG(at.found->info.st_mode)) continue;
        const sys::Fd fd = TRY(at.parent->dir.open_child(at.name(), *at.found));
        std::string head(512, '\0');
        head.resize(TRY(sys::read_some(fd.get(), head.data(), head.size())));
        const std::string_view magic = head;
        if (magic.starts_with("\x1f\x8b") || magic.starts_with("BZh") ||
            magic.starts_with("\xfd"
                              "7zXZ") ||
            magic.starts_with("\x28\xb5\x2f\xfd") || (magic.size() == 512 && magic.substr(257, 5) == "ustar"))
          return fail(Code::kUnimplemented,
                      "ADD would unpack the archive {}, which is not in this version; COPY it and unpack it in a RUN",
                      quoted(path));
      }
    }
    return {};
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
