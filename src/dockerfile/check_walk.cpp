#include "dockerfile/check_walk.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "dockerfile/check_stage.hpp"
#include "dockerfile/expand_instruction.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t kMostNames = 500;  // compared for "did you mean", and told apart in one word

void note(std::vector<std::string>& names, std::string_view name) {
  if (names.size() < kMostNames && std::ranges::find(names, name) == names.end()) names.emplace_back(name);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The stages, contexts and images that an instruction reads besides its own stage.
std::vector<std::string> sources_of(const Instruction& instruction) {
  std::vector<std::string> names;
  if (const auto* copy = std::get_if<Copy>(&instruction)) names.push_back(copy->from);
  if (const auto* run = std::get_if<Run>(&instruction))
    for (const auto& mount : run->mounts) names.push_back(mount_source_of(mount));
  std::erase(names, "");
  return names;
}

class Walker {
 public:
  Walker(const File& file, const CheckFacts& facts, Collector& collector, KeepRecords keep)
      : file_(file), facts_(facts), collector_(collector), keep_(keep), index_(file) {}

  Walked run() {
    walked_.records.resize(file_.stages.size());
    auto globals = GlobalArgs::evaluate(file_, facts_, true);
    if (!globals) {
      fail_with(std::move(globals).error());
      return std::move(walked_);
    }
    walked_.globals = *std::move(globals);
    for (std::size_t i = 0; i < file_.stages.size(); ++i) look_at_from(i);
    if (!find_target()) return std::move(walked_);
    mark_needed();
    for (std::size_t i = 0; i < file_.stages.size(); ++i)
      if (needed_[i] && !walked_.records[i].base) walk_tree(i);
    return std::move(walked_);
  }

 private:
  void fail_with(Error error) {
    const auto line = [](const std::optional<Error>& one) {
      return one && one->range() ? one->range()->first_line : 0;
    };
    std::optional<Error> next(std::move(error));
    if (!walked_.error || line(next) < line(walked_.error)) walked_.error = std::move(next);
  }
  void fail_at(const Source& source, Error error) {
    fail_with(error.range() ? std::move(error) : at(file_, source, std::move(error)));
  }

  [[nodiscard]] bool is_named(std::string_view name) const {
    return !name.empty() && facts_.is_named_context && facts_.is_named_context(name);
  }

  // --- FROM lines, all of them
  void look_at_from(std::size_t i) {
    const From& from = file_.stages[i].from;
    StageRecord& record = walked_.records[i];
    froms_.push_back(from);
    From& out = froms_.back();
    Asked image([this](std::string_view name) { return walked_.globals.find(name); });
    auto name = expand_word(from.image, file_.directives.escape, image.lookup());
    report_unknown(from.source, image);
    record.used = image.found;
    if (!name) return fail_at(from.source, std::move(name).error());
    out.image = *std::move(name);
    if (out.image.empty()) {
      return fail_at(from.source,
                     Error(Code::kInvalidArgument, fmt::format("base name ({}) should not be blank", from.image)));
    }
    if (!from.platform.empty()) look_at_platform(i, out, record);
    if (out.image != "scratch" && !is_number(out.image) && !is_named(out.image) && !is_named(file_.stages[i].name))
      record.base = index_.find(out.image, i);
  }

  void look_at_platform(std::size_t i, From& out, StageRecord& record) {
    const From& from = file_.stages[i].from;
    Asked asked([this](std::string_view name) { return walked_.globals.find(name); });
    auto platform = expand_word(from.platform, file_.directives.escape, asked.lookup());
    report_unknown(from.source, asked);
    for (const auto& name : asked.found) note(record.used, name);
    if (!platform) return fail_at(from.source, std::move(platform).error());
    out.platform = *std::move(platform);
    const bool target_only = asked.missing.empty() && asked.found == std::vector<std::string>{"TARGETPLATFORM"};
    if (target_only && out.platform == walked_.globals.find("TARGETPLATFORM")) {
      collector_.add(
          RuleId::kRedundantTargetPlatform, from.source,
          fmt::format("Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                      from.platform));
    }
    if (out.platform.empty()) {
      return fail_at(from.source, Error(Code::kInvalidArgument,
                                        fmt::format("empty platform value from expression {}", from.platform)));
    }
    if (!facts_.parse_platform) return;
    const auto parsed = facts_.parse_platform(out.platform);
    if (!parsed) {
      return fail_at(from.source,
                     Error(Code::kInvalidArgument, fmt::format("failed to parse platform {}", from.platform)));
    }
    if (asked.found.empty() && asked.missing.empty()) report_constant(i, out.platform, *parsed);
  }

  // A stage whose name tells its platform means it.
  void report_constant(std::size_t i, const std::string& written, const PlatformName& platform) {
    const std::string& name = file_.stages[i].name;
    if (name.contains(platform.os) || name.contains(platform.architecture)) return;
    collector_.add(RuleId::kFromPlatformFlagConstDisallowed, file_.stages[i].from.source,
                   fmt::format("FROM --platform flag should not use constant value {}", go_quoted(written)));
  }

  void report_unknown(const Source& source, const Asked& asked) {
    for (const auto& name : asked.missing) {
      if (walked_.globals.known(name)) continue;
      const std::string near = walked_.globals.nearest_to(name);
      collector_.add(RuleId::kUndefinedArgInFrom, source,
                     fmt::format("FROM argument '{}' is not declared{}", name,
                                 near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
    }
  }

  // --- which stages
  bool find_target() {
    walked_.target = file_.stages.size() - 1;
    if (facts_.target.empty()) return true;
    const auto found = index_.find(facts_.target, file_.stages.size());
    if (found) {
      walked_.target = *found;
      return true;
    }
    std::vector<std::string_view> names;
    for (const auto& stage : file_.stages)
      if (!stage.name.empty() && names.size() < kMostNames) names.push_back(stage.name);
    const std::string near = nearest(lower(facts_.target).substr(0, 64), names);
    fail_with(Error(Code::kInvalidArgument, fmt::format("target stage {} could not be found{}", quoted(facts_.target),
                                                        near.empty() ? "" : fmt::format(" (did you mean {}?)", near))));
    return false;
  }

  void mark_needed() {
    needed_.assign(file_.stages.size(), false);
    std::vector<std::size_t> pending{walked_.target};
    if (facts_.all_stages)
      for (std::size_t i = 0; i < file_.stages.size(); ++i) pending.push_back(i);
    while (!pending.empty()) {
      const std::size_t i = pending.back();
      pending.pop_back();
      if (needed_[i]) continue;
      needed_[i] = true;
      StageRecord& record = walked_.records[i];
      if (record.base) pending.push_back(*record.base);
      for (const auto& instruction : file_.stages[i].instructions)
        for (const auto& name : sources_of(instruction))
          if (const auto source = source_stage(i, name, instruction)) record.sources.push_back(*source);
      pending.insert(pending.end(), record.sources.begin(), record.sources.end());
    }
    children_.resize(file_.stages.size());
    for (std::size_t i = 0; i < file_.stages.size(); ++i)
      if (needed_[i] && walked_.records[i].base) children_[*walked_.records[i].base].push_back(i);
  }

  std::optional<std::size_t> source_stage(std::size_t i, const std::string& name, const Instruction& instruction) {
    if (is_named(name)) return std::nullopt;
    if (const auto found = index_.find(name, i)) return found;
    const auto later = index_.find(name, file_.stages.size());
    const std::string current = file_.stages[i].name.empty() ? std::to_string(i) : file_.stages[i].name;
    std::string what;
    if (later == i) {
      what = fmt::format("circular dependency detected on stage: {}", current);
    } else if (later) {
      what = fmt::format("cannot copy from stage {}, it needs to be defined before current stage {}", quoted(name),
                         quoted(current));
    } else if (is_number(name)) {
      what = fmt::format("invalid stage index {}", name);
    }
    if (!what.empty()) fail_at(source_of(instruction), Error(Code::kInvalidArgument, std::move(what)));
    return std::nullopt;
  }

  // --- a stage, then the stages that are built from it, with the scope going up and down with them
  struct Frame {
    std::size_t stage = 0;
    std::size_t next_child = 0;
    std::size_t mark = 0;
    StageState state;
  };

  void walk_tree(std::size_t root) {
    std::vector<Frame> frames;
    frames.push_back({root, 0, scope_.mark(), begin_with_image(root)});
    look_at_stage(frames.back());
    while (!frames.empty()) {
      Frame& frame = frames.back();
      const auto& children = children_[frame.stage];
      if (frame.next_child < children.size()) {
        const std::size_t child = children[frame.next_child++];
        frames.push_back({child, 0, scope_.mark(), begin_with_stage(frame.stage, frame.state)});
        look_at_stage(frames.back());
      } else {
        scope_.undo(frame.mark);
        frames.pop_back();
      }
    }
  }

  void look_at_stage(Frame& frame) {
    if (is_named(file_.stages[frame.stage].name)) return;  // something else stands in for it
    StageRecord* record = keep_ == KeepRecords::kYes ? &walked_.records[frame.stage] : nullptr;
    StageChecker checker(file_, facts_, walked_.globals, scope_, collector_, frame.state, record);
    if (auto error = checker.look(file_.stages[frame.stage])) fail_with(*std::move(error));
  }

  static StageState begin_with_stage(const File& file, std::size_t base, const StageState& state) {
    StageState next{.env_known = state.env_known, .workdir_set = state.workdir_set, .shell_set = state.shell_set};
    for (const auto& instruction : file.stages[base].instructions)
      if (const auto* trigger = std::get_if<OnBuild>(&instruction)) next.triggers.push_back(trigger->trigger);
    return next;
  }
  StageState begin_with_stage(std::size_t base, const StageState& state) const {
    return begin_with_stage(file_, base, state);
  }

  StageState begin_with_image(std::size_t i) {
    StageState state;
    const From& from = froms_[i];
    if (from.image.empty() || is_named(from.image) || is_named(file_.stages[i].name)) {
      state.env_known = false;
    } else if (from.image != "scratch") {
      std::optional<BaseImage> base;
      if (facts_.base_image) base = facts_.base_image(from.image, from.platform);
      if (!base) {
        state.env_known = false;
        note(walked_.unknown_bases, from.image);
      } else {
        check_platform(i, *base);
        state.shell_set = base->has_shell;
        state.triggers = std::move(base->on_build);
        for (const auto& entry : base->env) {
          const auto equals = std::min(entry.find('='), entry.size());
          scope_.set(std::string_view(entry).substr(0, equals),
                     std::string_view(entry).substr(std::min(equals + 1, entry.size())));
        }
      }
    }
    if (!scope_.find("PATH")) scope_.set("PATH", kDefaultPath);
    return state;
  }

  void check_platform(std::size_t i, const BaseImage& base) {
    PlatformName expected = facts_.target_platform;
    if (!froms_[i].platform.empty()) {
      const auto parsed = facts_.parse_platform ? facts_.parse_platform(froms_[i].platform) : std::nullopt;
      if (!parsed) return;
      expected = *parsed;
    }
    const PlatformName& actual = base.platform;
    if (expected.os == actual.os && expected.architecture == actual.architecture) return;
    collector_.add(RuleId::kInvalidBaseImagePlatform, file_.stages[i].from.source,
                   fmt::format("Base image {} was pulled with platform {}, expected {} for current build",
                               froms_[i].image, go_quoted(actual.text), go_quoted(expected.text)));
  }

  const File& file_;
  const CheckFacts& facts_;
  Collector& collector_;
  const KeepRecords keep_;
  const StageIndex index_;
  Walked walked_;
  Scope scope_;
  std::vector<From> froms_;  // expanded
  std::vector<bool> needed_;
  std::vector<std::vector<std::size_t>> children_;
};

}  // namespace

StageIndex::StageIndex(const File& file) : count_(file.stages.size()) {
  for (std::size_t i = 0; i < count_; ++i)
    if (!file.stages[i].name.empty()) by_name_[file.stages[i].name].push_back(i);
}

std::optional<std::size_t> StageIndex::find(std::string_view name, std::size_t before) const {
  const std::string wanted = lower(name);
  if (const auto found = by_name_.find(wanted); found != by_name_.end()) {
    const auto& stages = found->second;
    const auto next = std::ranges::lower_bound(stages, before);
    if (next != stages.begin()) return *std::prev(next);
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc{} || end != name.data() + name.size() || index >= std::min(before, count_)) return {};
  return index;
}

Lookup Asked::lookup() {
  return [this](std::string_view name) {
    auto value = lookup_(name);
    note(value ? found : missing, name);
    return value;
  };
}

Result<GlobalArgs> GlobalArgs::evaluate(const File& file, const CheckFacts& facts, bool with_build_args) {
  GlobalArgs globals;
  std::map<std::string_view, std::string_view> given;
  for (const auto& [name, value] : facts.build_args) given[name] = value;
  for (const auto& [name, value] : facts.platform_args) {
    globals.values_[name] = given.contains(name) ? given[name] : value;
    globals.known_[name] = true;
  }
  for (const auto& arg : file.global_args) {
    for (const auto& item : arg.items) {
      GlobalArg out{.item = &item, .source = &arg.source};
      if (with_build_args && given.contains(item.name)) {
        out.value = given[item.name];
      } else if (item.value) {
        Asked asked([&](std::string_view name) { return globals.find(name); });
        auto value = expand_word(*item.value, file.directives.escape, asked.lookup());
        if (!value) return std::unexpected(at(file, arg.source, std::move(value).error()));
        out.value = value->substr(0, Scope::kValueLimit);
        out.uses = std::move(asked.found);
      }
      if (out.value) globals.values_[item.name] = *out.value;
      globals.known_[item.name] = true;
      globals.all_.push_back(std::move(out));
    }
  }
  return globals;
}

std::optional<std::string> GlobalArgs::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

bool GlobalArgs::known(std::string_view name) const { return known_.contains(name); }

std::string GlobalArgs::nearest_to(std::string_view name) const {
  if (known_.size() > kMostNames || name.size() > 64) return {};
  std::vector<std::string_view> names;
  for (const auto& [known, yes] : known_)
    if (known.size() <= 64) names.push_back(known);
  return nearest(name, names);
}

Walked walk(const File& file, const CheckFacts& facts, Collector& collector, KeepRecords keep) {
  return Walker(file, facts, collector, keep).run();
}

}  // namespace slipway::dockerfile
