#include "build/frontend.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/text.hpp"
#include "build/stage_plan.hpp"
#include "build/stage_sources.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "dockerfile/mount.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

/// Memory that the settings of all stages may take: a stage inherits those of the one it is built FROM, so they can
/// grow with the square of the file.
constexpr std::size_t kSettingsLimit = 256 << 20;
/// The digest of kaniko's image of nothing (go-containerregistry's empty.Image), which its keys begin with.
constexpr std::string_view kKanikoScratch = "sha256:732112270d7e59418a8c080b134b24cabd67d250d0d0147a97ed95ba5c280aa4";
constexpr std::string_view kScratchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The stages, contexts and images that an instruction reads besides its own stage.
std::vector<std::string> sources_of(const df::Instruction& instruction) {
  std::vector<std::string> names;
  if (const auto* copy = std::get_if<df::Copy>(&instruction)) names.push_back(copy->from);
  if (const auto* run = std::get_if<df::Run>(&instruction))
    for (const auto& mount : run->mounts) names.push_back(df::mount_source_of(mount));
  std::erase(names, "");
  return names;
}

/// About what a stage's settings take: apart from their own bytes a constant for each.
std::size_t settings_bytes(const StageState& state) {
  constexpr std::size_t kEach = 128;
  std::size_t bytes = state.environment.bytes() + state.image_environment.bytes();
  std::size_t count = state.environment.entries().size() + state.image_environment.entries().size();
  const auto add = [&](std::string_view text) {
    bytes += text.size();
    ++count;
  };
  for (const auto& arg : state.args) add(arg.name + arg.value.value_or(""));
  for (const auto& [name, value] : state.config.labels) add(name + value);
  for (const auto* texts : {&state.config.exposed_ports, &state.config.volumes, &state.config.on_build})
    for (const auto& text : *texts) add(text);
  return bytes + count * kEach;
}

/// Plans the build of one platform into the plan of all.
class Frontend {
 public:
  Frontend(const df::File& file, const Request& request, const OpContext& context, const OpenContext& open_context,
           VertexIds& ids, const TargetPlatforms& platforms, const oci::Platform& platform, StageSources& sources,
           Plan& plan)
      : file_(file),
        request_(request),
        context_(context),
        open_context_(open_context),
        ids_(ids),
        platforms_(platforms),
        platform_(platform),
        sources_(sources),
        plan_(plan) {}

  Result<PlannedImage> run() {
    const std::size_t target = TRY(target_stage());
    globals_ =
        TRY(GlobalVariables::evaluate(file_, request_.build_args, platform_, oci::Platform::host(), request_.target));
    TRY(mark_needed(target));
    if (plan_.images.empty()) tell_unknown_filters();
    for (std::size_t i = 0; i <= target; ++i)
      if (needed_.contains(i)) TRY(plan_stage(i));
    StageState& state = states_.at(target);
    for (const auto& [name, value] : request_.labels) state.config.labels[name] = value;
    state.config.env = state.image_environment.texts();
    return PlannedImage{.target = state.vertex,
                        .config = std::move(state.config),
                        .author = std::move(state.author),
                        .platform = platform_,
                        .config_platform = config_platform(state.image_platform),
                        .base_family = state.base_family,
                        .base_layers = state.base_layers,
                        .history = history_of(target)};
  }

 private:
  /// What the config says (BuildKit's finalizeResultImage): a platform that was asked for wins over that of the base,
  /// whose finer points stay where the request is silent about them.
  oci::Platform config_platform(const oci::Platform& of_image) const {
    if (platforms_.implicit) return of_image.normalized();
    oci::Platform out = of_image;
    const bool same = out.os == platform_.os && out.architecture == platform_.architecture;
    out.os = platform_.os;
    out.architecture = platform_.architecture;
    if (!platform_.variant.empty() || !same) out.variant = platform_.variant;
    if (!platform_.os_version.empty() || !same) out.os_version = platform_.os_version;
    return out.normalized();
  }

  Result<std::size_t> target_stage() const {
    if (request_.target.empty()) return file_.stages.size() - 1;
    if (const auto found = df::find_stage(file_, request_.target, file_.stages.size())) return *found;
    std::vector<std::string_view> names;
    for (const auto& stage : file_.stages)
      if (!stage.name.empty()) names.push_back(stage.name);
    const std::string near = nearest(lower(request_.target), names);
    return fail(Code::kInvalidArgument, "target stage {} could not be found{}", quoted(request_.target),
                near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  }

  df::Lookup global_lookup() const {
    return [this](std::string_view name) { return globals_.find(name); };
  }

  Result<df::From> from_of(std::size_t index) const {
    const df::From& from = file_.stages[index].from;
    auto expanded = df::expanded(from, file_.directives.escape, global_lookup());
    if (!expanded) return std::unexpected(df::at(file_, from.source, std::move(expanded).error()));
    if (expanded->image.empty())
      return std::unexpected(
          df::at(file_, from.source,
                 Error(Code::kInvalidArgument, fmt::format("base name ({}) should not be blank", from.image))));
    return expanded;
  }

  /// What `FROM --platform` says, else the platform of the build.
  Result<oci::Platform> platform_of(const df::From& written, const df::From& expanded) const {
    if (written.platform.empty()) return platform_;
    const auto bad = [&](Error error) { return std::unexpected(df::at(file_, written.source, std::move(error))); };
    const std::string shown = printable(written.platform, 200);
    if (expanded.platform.empty())
      return bad(Error(Code::kInvalidArgument, fmt::format("empty platform value from expression {}", shown)));
    auto platform = oci::Platform::parse(expanded.platform);
    if (!platform)
      return bad(Error(Code::kInvalidArgument,
                       fmt::format("failed to parse platform {}: {}", shown, platform.error().what())));
    return platform;
  }

  /// Only stages that the target reaches are looked at further: the others can not fail the build.
  Status mark_needed(std::size_t target) {
    std::vector<std::size_t> pending{target};
    while (!pending.empty()) {
      const std::size_t index = pending.back();
      pending.pop_back();
      if (!needed_.insert(index).second) continue;
      if (const NamedContext* instead = replacement(index)) {
        if (const auto stage = TRY(meaning(instead->name, index, file_.stages[index].from.source)).stage)
          pending.push_back(*stage);
        continue;
      }
      const df::From from = TRY(from_of(index));
      const Meaning base = TRY(meaning(from.image, index, from.source));
      if (base.stage && from.image != "scratch" && !is_number(from.image)) pending.push_back(*base.stage);
      for (const auto& instruction : file_.stages[index].instructions) {
        for (const auto& name : sources_of(instruction)) {
          const Meaning source = TRY(meaning(name, index, df::source_of(instruction)));
          if (source.stage)
            pending.push_back(*source.stage);
          else if (source.context == nullptr)
            TRY(check_later_stage(index, name, instruction));
        }
      }
    }
    return {};
  }

  const NamedContext* named(std::string_view name) const {
    if (request_.contexts.empty() || name.empty()) return nullptr;
    const std::string canonical = canonical_context_name(name);
    for (auto context = request_.contexts.rbegin(); context != request_.contexts.rend(); ++context)
      if (context->name == canonical) return &*context;
    return nullptr;
  }

  /// The context that stands in a stage's place because it has its name.
  const NamedContext* replacement(std::size_t index) const { return named(file_.stages[index].name); }

  /// What a name means to stage `index`: a named context, else a stage before it, else (neither) an image.
  struct Meaning {
    const NamedContext* context = nullptr;
    std::optional<std::size_t> stage;
  };
  Result<Meaning> meaning(const std::string& name, std::size_t index, const df::Source& source) const {
    const NamedContext* context = named(name);
    if (context == nullptr) return Meaning{nullptr, df::find_stage(file_, name, index)};
    if (context->kind != NamedContext::Kind::kStage) return Meaning{context, std::nullopt};
    const auto stage = df::find_stage(file_, context->value, index);
    if (!stage)
      return std::unexpected(df::at(
          file_, source,
          Error(Code::kInvalidArgument, fmt::format("the context {} is the stage {}, which is not defined before",
                                                    quoted(name), quoted(context->value)))));
    return Meaning{nullptr, stage};
  }

  /// A stage's history begins with that of the stage it is built FROM; in a chain of stages nobody copies it.
  std::vector<PlannedHistory> history_of(std::size_t stage) const {
    std::vector<const std::vector<PlannedHistory>*> parts;
    for (std::optional<std::size_t> at = stage; at;) {
      parts.push_back(&histories_.at(*at));
      const auto base = bases_.find(*at);
      at = base == bases_.end() ? std::nullopt : std::optional(base->second);
    }
    std::vector<PlannedHistory> out;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      out.insert(out.end(), (*part)->begin(), (*part)->end());
    return out;
  }

  /// Keeps a planned stage for those that are built FROM it.
  Status keep(std::size_t index, StageState state, std::optional<std::size_t> base) {
    kept_bytes_ += settings_bytes(state);
    if (kept_bytes_ > kSettingsLimit)
      return std::unexpected(df::at(
          file_, file_.stages[index].from.source,
          Error(Code::kOutOfRange, fmt::format("the variables, labels and ports of all stages take more than {} MiB",
                                               kSettingsLimit >> 20))));
    histories_.insert_or_assign(index, std::exchange(state.history, {}));
    if (base) bases_.insert_or_assign(index, *base);
    states_.insert_or_assign(index, std::move(state));
    return {};
  }

  static bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  }

  Status check_later_stage(std::size_t index, std::string_view name, const df::Instruction& instruction) const {
    const auto bad = [&](std::string text) {
      return std::unexpected(df::at(file_, df::source_of(instruction), Error(Code::kInvalidArgument, std::move(text))));
    };
    if (const auto later = df::find_stage(file_, name, file_.stages.size())) {
      const std::string current = file_.stages[index].name.empty() ? std::to_string(index) : file_.stages[index].name;
      if (*later == index) return bad(fmt::format("circular dependency detected on stage: {}", current));
      return bad(fmt::format("cannot copy from stage {}, it needs to be defined before current stage {}", quoted(name),
                             quoted(current)));
    }
    if (is_number(name)) return bad(fmt::format("invalid stage index {}", name));
    return {};
  }

  std::string stage_label(std::size_t index) const {
    if (needed_.size() == 1) return "";
    const auto& name = file_.stages[index].name;
    return (name.empty() ? fmt::format("stage-{}", index) : name) + " ";
  }

  /// --no-cache, or --no-cache-filter with the stage's name.
  bool runs_again(const df::Stage& stage) const {
    if (request_.no_cache) return true;
    const auto& named = request_.no_cache_stages;
    return !stage.name.empty() && std::any_of(named.begin(), named.end(), [&](const std::string& name) {
      return lower(name) == lower(stage.name);
    });
  }

  /// A name that no stage has filters nothing, as with buildx; most likely it is misspelt.
  void tell_unknown_filters() const {
    std::vector<std::string_view> stages;
    for (const auto& stage : file_.stages) stages.push_back(stage.name);
    for (const auto& name : request_.no_cache_stages) {
      const auto is = [&](std::string_view stage) { return lower(stage) == lower(name); };
      if (std::any_of(stages.begin(), stages.end(), is)) continue;
      const std::string near = nearest(lower(name), stages);
      context_.shop.sink.on(
          progress::Warning{fmt::format("--no-cache-filter {}: there is no such stage{}", quoted(name, 128),
                                        near.empty() ? "" : fmt::format("; did you mean {}?", near))});
    }
  }

  Status plan_stage(std::size_t index) {
    const df::Stage& stage = file_.stages[index];
    const df::From from = TRY(from_of(index));
    const oci::Platform platform = TRY(platform_of(stage.from, from));
    StepNames names{
        .platform = platforms_.index ? std::optional(platform) : std::nullopt, .stage = stage_label(index), .total = 0};
    if (const NamedContext* instead = replacement(index)) {
      const Meaning means = TRY(meaning(instead->name, index, stage.from.source));
      if (means.stage) return keep(index, states_.at(*means.stage), means.stage);
      return keep(index, TRY(state_of_context(*means.context, platform, names, stage.from.source)), std::nullopt);
    }
    for (const auto& instruction : stage.instructions) names.total += makes_step(instruction) ? 1 : 0;
    StageState state;
    std::optional<std::size_t> built_from;
    const Meaning base = TRY(meaning(from.image, index, stage.from.source));
    if (from.image == "scratch") {
      state = scratch_state(platform_);  // as BuildKit: nothing is for the platform of the build, whatever FROM says
    } else if (base.context != nullptr) {
      state = TRY(state_of_context(*base.context, platform, names, stage.from.source));
    } else if (base.stage && !is_number(from.image)) {
      state = states_.at(*base.stage);
      state.cmd_set = false;
      state.chain = StepChain::begin(state.chain);
      built_from = base.stage;
    } else {
      auto resolved = sources_.resolve(from.image, platform, stage.from.source);
      if (!resolved) return std::unexpected(std::move(resolved).error());
      state = state_of(*resolved, platform, names, stage.from.source);
      // asked for nothing: the steps are for what the image is for
      if (platforms_.implicit && stage.from.platform.empty()) state.platform = state.image_platform.normalized();
    }
    if (context_.step_cache != nullptr) state.earlier_args = earlier_args_;
    if (names.platform) names.platform = state.platform;
    if (state.environment.entries().empty()) state.environment = state.image_environment;
    StageTools tools{file_,
                     request_,
                     context_,
                     open_context_,
                     globals_,
                     ids_,
                     plan_,
                     [this](const std::string& name, std::size_t of, const df::Source& source) {
                       return source_stage(name, of, source);
                     },
                     [this](const std::string& name) { return source_folder(name); },
                     [this] { return sources_.scratch(); },
                     runs_again(stage)};
    TRY(run_triggers(from.image, index, state, names, tools));
    for (const auto& instruction : stage.instructions) TRY(plan_instruction(instruction, index, state, names, tools));
    if (context_.step_cache != nullptr)
      for (const auto& arg : state.args)
        if (arg.value) earlier_args_.set(arg.name, *arg.value);
    return keep(index, std::move(state), built_from);
  }

  Status run_triggers(const std::string& image, std::size_t index, StageState& state, StepNames& names,
                      StageTools& tools) {
    const auto triggers = std::exchange(state.config.on_build, {});
    for (const auto& trigger : triggers) {
      plan_.triggers.push_back(TRY(df::parse_trigger(trigger, image)));
      names.total += makes_step(plan_.triggers.back()) ? 1 : 0;
    }
    for (std::size_t i = plan_.triggers.size() - triggers.size(); i < plan_.triggers.size(); ++i)
      TRY(plan_instruction(plan_.triggers[i], index, state, names, tools));
    return {};
  }

  StageState state_of(const ResolvedImage& image, const oci::Platform& platform, StepNames& names,
                      const df::Source& source) {
    StageState state;
    ++names.total;
    state.vertex = sources_.base(image, names.take("FROM " + image->reference.canonical()), source);
    state.platform = platform;
    const oci::ImageConfigView& view = image->config.view();
    state.config = view.config;
    state.image_platform = view.platform;
    state.base_family = image->manifest.family();
    state.base_layers = view.diff_ids.size();
    if (context_.step_cache != nullptr) state.chain = StepChain::begin(image->manifest.digest().text());
    state.image_environment = Environment(std::exchange(state.config.env, {}));
    // So that `ENV PATH=/opt/bin:$PATH` and a shell find the usual places.
    if (!state.image_environment.find("PATH")) state.image_environment.set("PATH", kScratchPath);
    state.author = view.author;
    std::size_t layers = 0;
    for (const auto& entry : view.history) {
      state.history.push_back({entry, !entry.empty_layer});
      layers += entry.empty_layer ? 0 : 1;
    }
    // Some tools write no history: then their layers get entries without text, so that ours stay in step with the
    // layers.
    for (; layers < view.diff_ids.size(); ++layers)
      state.history.push_back({oci::History{.created = view.created}, true});
    return state;
  }

  StageState scratch_state(const oci::Platform& platform) {
    StageState state;
    state.vertex = sources_.scratch();
    state.platform = state.image_platform = platform;
    state.image_environment.set("PATH", kScratchPath);
    state.config.working_dir = "/";
    if (context_.step_cache != nullptr) state.chain = StepChain::begin(std::string(kKanikoScratch));
    return state;
  }

  Result<std::size_t> source_stage(const std::string& name, std::size_t index, const df::Source& source) {
    const Meaning means = TRY(meaning(name, index, source));
    if (means.stage) return planned(*means.stage);
    if (means.context != nullptr) return sources_.vertex_of(*means.context, platform_, source);
    if (name == "scratch") return sources_.scratch();
    if (name == "context")
      return std::unexpected(
          df::at(file_, source,
                 Error(Code::kInvalidArgument, "the name \"context\" is reserved: it is the build context")
                     .with_hint("what names no source reads the build context")));
    return sources_.copied_from(TRY(sources_.resolve(name, platform_, source)), source);
  }

  /// The vertex of a stage. One that only an ONBUILD trigger names was not known to be needed.
  Result<std::size_t> planned(std::size_t stage) {
    if (!states_.contains(stage)) {
      TRY(mark_needed(stage));
      for (std::size_t i = 0; i <= stage; ++i)
        if (needed_.contains(i) && !states_.contains(i)) TRY(plan_stage(i));
    }
    return states_.at(stage).vertex;
  }

  Result<std::shared_ptr<Context>> source_folder(const std::string& name) {
    const NamedContext* context = named(name);
    if (context == nullptr || context->kind != NamedContext::Kind::kFolder) return nullptr;
    return sources_.folder_of(*context);
  }

  /// FROM a named context.
  Result<StageState> state_of_context(const NamedContext& context, const oci::Platform& platform, StepNames& names,
                                      const df::Source& source) {
    if (StageSources::is_image(context))
      return state_of(TRY(sources_.image_of(context, platform, source)), platform, names, source);
    StageState state = scratch_state(platform);
    if (context.kind == NamedContext::Kind::kImage) return state;
    state.vertex = TRY(sources_.vertex_of(context, platform, source));
    oci::History entry;
    entry.created_by = fmt::format("[context {}]", context.name);
    entry.comment = "buildkit.exporter.image.v0";
    state.history.push_back({std::move(entry), true});
    return state;
  }

  const df::File& file_;
  const Request& request_;
  const OpContext& context_;
  const OpenContext& open_context_;
  VertexIds& ids_;
  const TargetPlatforms& platforms_;
  const oci::Platform& platform_;
  StageSources& sources_;
  Plan& plan_;
  GlobalVariables globals_;
  std::set<std::size_t> needed_;
  std::map<std::size_t, StageState> states_;  // their history apart, in histories_
  std::map<std::size_t, std::vector<PlannedHistory>> histories_;
  std::map<std::size_t, std::size_t> bases_;  // the stage that a stage is built FROM
  Environment earlier_args_;                  // for StageState::earlier_args
  std::size_t kept_bytes_ = 0;
};

}  // namespace

Result<Plan> plan(const dockerfile::File& file, const Request& request, const OpContext& context,
                  const OpenContext& open_context, VertexIds& ids, const Cancel& cancel) {
  const TargetPlatforms platforms = TRY(target_platforms(request));
  Plan plan;
  plan.index = platforms.index;
  StageSources sources(file, request, context, ids, plan, platforms.index, cancel);
  for (const auto& platform : platforms.list) {
    auto image = Frontend(file, request, context, open_context, ids, platforms, platform, sources, plan).run();
    if (!image) return std::unexpected(std::move(image).error());
    plan.images.push_back(*std::move(image));
  }
  return plan;
}

}  // namespace slipway::build
