#include "build/stage_plan.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "build/foreign_steps.hpp"
#include "build/remote_source.hpp"
#include "build/run_plan.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "dockerfile/go_match.hpp"
#include "dockerfile/history.hpp"
#include "dockerfile/port.hpp"
#include "dockerfile/signal.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

/// Bytes of variables that all RUN steps may hold: each has its own environment.
constexpr std::size_t kEnvironmentsLimit = 256 << 20;

void insert_sorted(std::vector<std::string>& set, const std::string& item) {
  const auto at = std::lower_bound(set.begin(), set.end(), item);
  if (at == set.end() || *at != item) set.insert(at, item);
}

/// Merges the sorted `items` into the sorted `set`; a range of EXPOSE is 65,535 of them, a line mostly one.
void add_sorted(std::vector<std::string>& set, const std::vector<std::string>& items) {
  constexpr std::size_t kFew = 16;
  if (items.size() <= kFew) {
    for (const auto& item : items) insert_sorted(set, item);
    return;
  }
  std::vector<std::string> merged;
  std::set_union(set.begin(), set.end(), items.begin(), items.end(), std::back_inserter(merged));
  merged.erase(std::unique(merged.begin(), merged.end()), merged.end());
  set = std::move(merged);
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
    for (const auto& pair : expanded.pairs) {
      state_.image_environment.set(pair.name, pair.value);
      state_.environment.set(pair.name, pair.value);
    }
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
    std::vector<solver::Input> inputs{{linked ? tools_.scratch() : base}};
    if (!copy.from.empty()) spec.context = TRY(tools_.source_folder(copy.from));
    if (remote)
      inputs.push_back({TRY(plan_remotes(expanded, copy.source, spec)), true});
    else if (!copy.from.empty() && !spec.context)
      inputs.push_back({TRY(tools_.source_stage(copy.from, index_, copy.source)), true});
    else if (copy.from.empty() && !spec.sources.empty())
      spec.context = TRY(tools_.open_context());
    const StepChain chain = link_copy(copy, spec, remote);
    step(copy.source, df::history::copy(expanded), std::move(inputs), spec,
         [&](Place place) { return copy_op(tools_.context, std::move(place), spec, chain); });
    if (linked) put_upon(base, copy.source);
    return {};
  }

  Status operator()(const df::Run& run) {
    PlannedRun planned = TRY(plan_run(run, index_, state_, tools_));
    link_run(run);
    step(run.source, df::history::run(arg_texts(), planned.history_argv), std::move(planned.inputs), planned.spec,
         [&](Place place) { return exec_op(tools_.context, std::move(place), planned.spec); });
    if (ForeignPlatforms::is_foreign(state_.platform)) tools_.plan.foreign.push_back({state_.vertex, state_.platform});
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
        "/" + clean_rooted(expanded.path.starts_with('/') ? expanded.path : state_.directory() + "/" + expanded.path);
    state_.config.working_dir = path;
    if (path == "/") {
      note(df::history::workdir(path), false);
      return {};
    }
    step(workdir.source, df::history::workdir(path), {{state_.vertex}},
         std::vector<std::string>{"workdir", path, state_.config.user},
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
    std::sort(ports.begin(), ports.end());
    add_sorted(state_.config.exposed_ports, ports);
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
  /// The variables that kaniko puts into the keys of RUN: the image's, then ARGs that have a value.
  std::vector<std::string> cache_variables() const {
    std::vector<std::string> out = state_.image_environment.texts();
    Environment args;
    for (const auto& [name, value] : state_.earlier_args.entries())
      if (!state_.image_environment.find(name)) args.set(name, value);
    for (const auto& item : state_.args)
      if (item.value && !state_.image_environment.find(item.name)) args.set(item.name, *item.value);
    for (const auto& [name, value] : tools_.request.build_args)
      if (is_proxy_arg(name) && !state_.image_environment.find(name)) args.set(name, value);
    for (auto& text : args.texts()) out.push_back(std::move(text));
    std::sort(out.begin(), out.end());
    if (!out.empty()) out.insert(out.begin(), fmt::format("|{}", out.size()));
    return out;
  }

  void link_run(const df::Run& run) {
    if (!state_.chain) return;
    auto words = cache_variables();
    words.push_back(run.source.text);
    state_.chain.add(std::move(words));
    state_.told_apart = state_.told_apart && run.mounts.empty() && !run.source.text.contains("<<");
    if (tools_.context.step_cache->takes_run()) offer(run.source);
  }

  /// Gives the chain that waits for the files of a stage, where that is so.
  StepChain link_copy(const df::Copy& copy, const CopySpec& spec, bool remote) {
    if (!state_.chain) return {};
    StepChain waiting;
    if (spec.sources.empty() || (remote && !spec.context)) {
      state_.chain.add({copy.source.text});
    } else if (spec.context && !remote) {
      state_.chain.add({copy.source.text}, [context = spec.context, sources = spec.sources](const Cancel& cancel) {
        return kaniko_file_keys(context->tree, sources, cancel);
      });
    } else {
      state_.chain.add_open({copy.source.text});
      if (!remote) waiting = state_.chain;
    }
    state_.told_apart = state_.told_apart && !copy.add && !remote && !copy.parents && spec.excludes.empty() &&
                        spec.inline_files.empty();
    if (!copy.add && tools_.context.step_cache->takes_copy()) offer(copy.source);
    return waiting;
  }

  void offer(const df::Source& source) {
    tools_.cacheable = std::make_shared<CacheableStep>(CacheableStep{
        .vertex = 0, .text = source.text, .chain = state_.chain, .exact = "", .told_apart = state_.told_apart});
  }

  char escape() const { return tools_.file.directives.escape; }
  df::Lookup lookup() const {
    return [this](std::string_view name) { return state_.environment.find(name); };
  }
  /// A COPY destination as an absolute path; what made it a directory ("/" or "." at its end) stays visible as a
  /// trailing slash.
  std::string absolute(const std::string& destination) const {
    const std::string whole = destination.starts_with('/') ? destination : state_.directory() + "/" + destination;
    const bool directory =
        destination.empty() || destination.ends_with('/') || destination == "." || destination.ends_with("/.");
    const std::string cleaned = "/" + clean_rooted(whole);
    return directory && cleaned != "/" ? cleaned + "/" : cleaned;
  }

  std::vector<std::string> argv_of(const df::CommandLine& command) const {
    if (!command.shell_form) return command.args;
    auto argv = state_.shell();
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

  /// The vertex that brings what ADD takes from elsewhere, each source in a directory of its own, files of the context
  /// in one before them. `spec` then copies from there.
  Result<std::size_t> plan_remotes(const df::Copy& copy, const df::Source& at, CopySpec& spec) {
    std::size_t below = tools_.scratch();
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
      below = step_vertex(tools_, at, "", {{below}}, local,
                          [&](Place place) { return copy_op(tools_.context, std::move(place), local); });
    }
    spec.unpack = copy.unpack.value_or(false);
    std::vector<std::string> twin{"remote", copy.checksum, copy.keep_git_dir ? "git dir" : ""};
    twin.insert(twin.end(), copy.sources.begin(), copy.sources.end());
    return step_vertex(tools_, at, "", {{below}}, std::move(twin),
                       [&](Place place) { return remote_op(tools_.context, std::move(place), std::move(remotes)); });
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
    state_.vertex = step_vertex(tools_, source, "", {{base}, {state_.vertex}}, std::vector<std::string>{"merge"},
                                [&](Place place) { return merge_op(tools_.context, std::move(place)); });
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
  void step(const df::Source& source, std::string history, std::vector<solver::Input> inputs, Twins::Spec twin,
            MakeOp make_op) {
    std::string name = names_.take(source.text, state_.environment);
    state_.vertex = step_vertex(tools_, source, std::move(name), std::move(inputs), std::move(twin), make_op);
    note(std::move(history), true);
  }

  std::size_t index_;
  StageState& state_;
  StepNames& names_;
  StageTools& tools_;
  std::vector<df::ArgItem> shown_;
};

/// BuildKit's formatTargetPlatform: "->arm64" where the variables in sight say another target.
std::string target_of(const oci::Platform& platform, const Environment& environment) {
  oci::Platform target = platform;
  bool set = false;
  const auto take = [&](std::string_view name, std::string& part) {
    const auto value = environment.find(name);
    if (value) part = *value;
    set = set || value;
  };
  if (const auto whole = environment.find("TARGETPLATFORM")) {
    const auto parsed = oci::Platform::parse(*whole);
    if (parsed) target = *parsed;
    set = parsed.has_value();
  } else {
    target.variant.clear();
    take("TARGETOS", target.os);
    take("TARGETARCH", target.architecture);
    take("TARGETVARIANT", target.variant);
  }
  if (!set) return "";
  target = target.normalized();
  if (target.os != platform.os) return fmt::format("->{}", target.full_text());
  if (target.architecture == platform.architecture) return "";
  return fmt::format("->{}{}{}", printable(target.architecture, 64), target.variant.empty() ? "" : "/",
                     printable(target.variant, 64));
}

}  // namespace

std::string StageState::directory() const { return config.working_dir.empty() ? "/" : config.working_dir; }

std::vector<std::string> StageState::shell() const {
  return config.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : config.shell;
}

std::string StepNames::take(std::string_view text, const Environment& environment) {
  const std::string prefix =
      platform ? fmt::format("{}{} ", platform->full_text(), target_of(*platform, environment)) : std::string();
  return fmt::format("[{}{}{}/{}] {}", prefix, stage, next++, total, text);
}

std::size_t step_vertex(StageTools& tools, const dockerfile::Source& source, std::string name,
                        std::vector<solver::Input> inputs, Twins::Spec twin,
                        const std::function<std::shared_ptr<solver::Op>(Place)>& make_op) {
  Plan& plan = tools.plan;
  if (plan.index)
    if (const auto known = plan.twins.find(&source, twin, inputs)) return *known;
  Place place{tools.ids.next(), std::move(name), &tools.file, &source, std::exchange(tools.cacheable, nullptr)};
  auto op = make_op(place);
  const std::size_t made = add_vertex(plan, std::move(place), std::move(op), inputs, tools.no_cache);
  if (plan.index) plan.twins.add(&source, std::move(twin), std::move(inputs), made);
  return made;
}

bool makes_step(const dockerfile::Instruction& instruction) {
  return std::holds_alternative<df::Run>(instruction) || std::holds_alternative<df::Copy>(instruction) ||
         std::holds_alternative<df::Workdir>(instruction);
}

namespace {

/// What an instruction added stays below what a config may have, and all of them below what memory should hold.
Status check_sizes(const dockerfile::Instruction& instruction, std::size_t known, StageState& state, Plan& plan) {
  for (; known < state.history.size(); ++known)
    state.history_bytes += state.history[known].entry.created_by.size() + state.history[known].entry.author.size();
  if (state.history_bytes > static_cast<std::size_t>(oci::kConfigLimit))
    return fail(Code::kOutOfRange, "the history is larger than the {} MiB that an image's config may have",
                oci::kConfigLimit >> 20);
  if (std::holds_alternative<df::Run>(instruction)) plan.environment_bytes += state.environment.bytes();
  if (plan.environment_bytes > kEnvironmentsLimit)
    return fail(Code::kOutOfRange, "the variables of all RUN steps together are larger than {} MiB",
                kEnvironmentsLimit >> 20);
  return {};
}

}  // namespace

Status plan_instruction(const dockerfile::Instruction& instruction, std::size_t index, StageState& state,
                        StepNames& names, StageTools& tools) {
  const std::size_t known = state.history.size();
  Status planned = std::visit(Planner(index, state, names, tools), instruction);
  const bool linked = std::holds_alternative<df::Run>(instruction) || std::holds_alternative<df::Copy>(instruction) ||
                      std::holds_alternative<df::Maintainer>(instruction);  // which kaniko leaves out
  if (planned && !linked) state.chain.add({dockerfile::source_of(instruction).text});
  if (planned) planned = check_sizes(instruction, known, state, tools.plan);
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
