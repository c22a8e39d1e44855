#include "build/frontend.hpp"

#include <functional>
#include <map>
#include <set>

#include "base/text.hpp"
#include "build/stage_plan.hpp"
#include "dockerfile/expand_instruction.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

constexpr std::string_view kScratchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view copies_from(const df::Instruction& instruction) {
  const auto* copy = std::get_if<df::Copy>(&instruction);
  return copy == nullptr ? std::string_view{} : std::string_view(copy->from);
}

class Frontend {
 public:
  Frontend(const df::File& file, const Request& request, const OpContext& context, const OpenContext& open_context,
           VertexIds& ids, const Cancel& cancel)
      : file_(file), request_(request), context_(context), open_context_(open_context), ids_(ids), cancel_(cancel) {}

  Result<Plan> run() {
    const std::size_t target = TRY(target_stage());
    globals_ = TRY(GlobalVariables::evaluate(file_, request_.build_args, request_.platform, oci::Platform::host(),
                                             request_.target));
    TRY(mark_needed(target));
    for (std::size_t i = 0; i <= target; ++i)
      if (needed_.contains(i)) TRY(plan_stage(i));
    StageState& state = states_.at(target);
    for (const auto& [name, value] : request_.labels) state.config.labels[name] = value;
    plan_.target = state.vertex;
    plan_.config = std::move(state.config);
    plan_.author = std::move(state.author);
    plan_.history = std::move(state.history);
    plan_.platform = request_.platform;
    return std::move(plan_);
  }

 private:
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

  /// Only stages that the target reaches are looked at further: the others can not fail the build.
  Status mark_needed(std::size_t target) {
    std::vector<std::size_t> pending{target};
    while (!pending.empty()) {
      const std::size_t index = pending.back();
      pending.pop_back();
      if (!needed_.insert(index).second) continue;
      const df::From from = TRY(from_of(index));
      if (const auto base = df::find_stage(file_, from.image, index);
          base && from.image != "scratch" && !is_number(from.image))
        pending.push_back(*base);
      for (const auto& instruction : file_.stages[index].instructions) {
        const auto name = copies_from(instruction);
        if (name.empty()) continue;
        const auto stage = df::find_stage(file_, name, index);
        if (stage) pending.push_back(*stage);
        if (stage) continue;
        TRY(check_later_stage(index, name, instruction));
      }
    }
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

  Status plan_stage(std::size_t index) {
    const df::From from = TRY(from_of(index));
    const df::Stage& stage = file_.stages[index];
    StepNames names{stage_label(index), 1, 1};
    for (const auto& instruction : stage.instructions) names.total += makes_step(instruction) ? 1 : 0;
    StageState state;
    const auto base = df::find_stage(file_, from.image, index);
    if (from.image == "scratch") {
      state.vertex = add_vertex(plan_, {}, scratch_op(), {}, false);
      state.config.env = {std::string(kScratchPath)};
      state.config.working_dir = "/";
    } else if (base && !is_number(from.image)) {
      state = states_.at(*base);
      state.cmd_set = false;
    } else {
      auto resolved = resolve(from.image, stage.from.source);
      if (!resolved) return std::unexpected(std::move(resolved).error());
      state = TRY(state_of(*resolved, names, stage.from.source));
    }
    state.environment = Environment(merge_environment(state));
    StageTools tools{file_,
                     request_,
                     context_,
                     open_context_,
                     globals_,
                     ids_,
                     plan_,
                     [this](const std::string& name, std::size_t of, const df::Source& source) {
                       return source_stage(name, of, source);
                     }};
    TRY(run_triggers(from.image, index, state, names, tools));
    for (const auto& instruction : stage.instructions) TRY(plan_instruction(instruction, index, state, names, tools));
    states_.insert_or_assign(index, std::move(state));
    return {};
  }

  // A stage inherits the ARGs of the one it is built FROM together with its environment; an image has only ENV.
  static std::vector<std::string> merge_environment(const StageState& state) {
    return state.environment.entries().empty() ? state.config.env : state.environment.texts();
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

  Result<std::shared_ptr<const image::Resolved>> resolve(const std::string& name, const df::Source& source) {
    const auto work = [&]() -> Result<std::shared_ptr<const image::Resolved>> {
      const oci::Reference reference = TRY(oci::Reference::parse(name));
      const auto known = images_.find(reference.canonical());
      if (known != images_.end()) return known->second;
      const progress::VertexId id = ids_.next();
      context_.shop.sink.on(progress::Started{id, "[internal] load metadata for " + reference.canonical()});
      auto resolved = context_.shop.images.resolve(
          reference, request_.platform, request_.pull ? image::PullPolicy::kAlways : image::PullPolicy::kMissing,
          context_.shop.sink, id, cancel_);
      context_.shop.sink.on(progress::Finished{id, resolved ? "" : resolved.error().message()});
      auto image = std::make_shared<const image::Resolved>(TRY(std::move(resolved)));
      images_.emplace(reference.canonical(), image);
      return image;
    };
    auto image = work();
    if (!image && !image.error().range()) return std::unexpected(df::at(file_, source, std::move(image).error()));
    return image;
  }

  std::size_t image_vertex(const std::shared_ptr<const image::Resolved>& image, std::string name,
                           const df::Source& source) {
    Place place{ids_.next(), std::move(name), &file_, &source};
    auto op = image_op(context_, place, image);
    return add_vertex(plan_, std::move(place), std::move(op), {}, false);
  }

  Result<StageState> state_of(const std::shared_ptr<const image::Resolved>& image, StepNames& names,
                              const df::Source& source) {
    StageState state;
    state.vertex = image_vertex(image, names.take("FROM " + image->reference.canonical()), source);
    const oci::ImageConfigView& view = image->config.view();
    state.config = view.config;
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

  Result<std::size_t> source_stage(const std::string& name, std::size_t index, const df::Source& source) {
    if (const auto stage = df::find_stage(file_, name, index)) return states_.at(*stage).vertex;
    const auto image = TRY(resolve(name, source));
    const auto known = image_vertices_.find(image->reference.canonical());
    if (known != image_vertices_.end()) return known->second;
    const std::size_t vertex = image_vertex(image, "FROM " + image->reference.canonical(), source);
    image_vertices_.emplace(image->reference.canonical(), vertex);
    return vertex;
  }

  const df::File& file_;
  const Request& request_;
  const OpContext& context_;
  const OpenContext& open_context_;
  VertexIds& ids_;
  const Cancel& cancel_;
  GlobalVariables globals_;
  std::set<std::size_t> needed_;
  std::map<std::size_t, StageState> states_;
  std::map<std::string, std::shared_ptr<const image::Resolved>> images_;
  std::map<std::string, std::size_t> image_vertices_;
  Plan plan_;
};

}  // namespace

Result<Plan> plan(const dockerfile::File& file, const Request& request, const OpContext& context,
                  const OpenContext& open_context, VertexIds& ids, const Cancel& cancel) {
  return Frontend(file, request, context, open_context, ids, cancel).run();
}

}  // namespace slipway::build
