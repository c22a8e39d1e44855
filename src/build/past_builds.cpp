#include "build/past_builds.hpp"

#include "build/reason.hpp"

namespace slipway::build {
namespace {

/// Comparing a step with all of them must not take longer than running it.
constexpr std::size_t kSteps = 20'000;
constexpr std::size_t kCompared = 256;  ///< of those that agree alike

/// Another folder's build that may be the same project at another path, as CI checks it out.
bool much_alike(const BuildAccount& build, const std::set<std::string>& texts) {
  std::size_t shared = 0;
  for (const auto& step : build.steps) shared += texts.contains(text_in_stage(step.stage, step.text)) ? 1 : 0;
  return 2 * shared > build.steps.size();
}

}  // namespace

std::string text_in_stage(std::string_view stage, std::string_view text) {
  return std::string(stage) + "\n" + std::string(text);
}

Status PastBuilds::load() {
  std::size_t steps = 0;
  for (const auto& note : TRY(store_.noted_builds(scope_))) {
    auto account = BuildAccount::decode(note.document);
    if (!account) continue;
    steps += account->steps.size();
    if (steps > kSteps && !builds_.empty()) break;
    builds_.push_back(*std::move(account));
  }
  for (const auto& build : builds_)
    for (const auto& step : build.steps) newest_.emplace(step.key, &step);
  return {};
}

const StepAccount* PastBuilds::with_key(const oci::Digest& key) const {
  const auto found = newest_.find(key);
  return found == newest_.end() ? nullptr : found->second;
}

std::vector<const StepAccount*> PastBuilds::agreeing(const Sought& sought, const std::set<std::string>& texts) {
  if (alike_.empty())
    for (const auto& build : builds_) alike_.push_back(much_alike(build, texts));
  std::vector<const StepAccount*> best;
  int most = 0;
  for (std::size_t i = 0; i < builds_.size(); ++i) {
    const auto& build = builds_[i];
    const bool project = build.project == sought.project;
    if (!project && !alike_[i]) continue;
    for (const auto& old : build.steps) {
      if (old.kind != sought.kind) continue;
      const bool text = old.text == sought.text;
      const bool stage = old.stage == sought.stage;
      const bool place = old.place == sought.place;
      if (!text && (!project || !stage || !place || texts.contains(text_in_stage(old.stage, old.text)))) continue;
      const int agrees = 1 + 8 * int{project} + 4 * int{text} + 2 * int{stage} + int{place};
      if (agrees < most) continue;
      if (agrees > most) best.clear();
      most = agrees;
      if (best.size() < kCompared) best.push_back(&old);
    }
  }
  return best;
}

const StepAccount* PastBuilds::nearest(const Sought& sought, const std::set<std::string>& texts) {
  if (const StepAccount* same = with_key(sought.key)) return same;
  const StepAccount* nearest = nullptr;
  int most = -1;
  for (const StepAccount* old : agreeing(sought, texts)) {
    const int common = in_common(ingredients(old->key), sought.ingredients);
    if (common <= most) continue;
    most = common;
    nearest = old;
  }
  return nearest;
}

const std::vector<Ingredient>& PastBuilds::ingredients(const oci::Digest& key) {
  const auto [at, fresh] = ingredients_.try_emplace(key);
  if (!fresh) return at->second;
  const auto stored = store_.build_input(scope_, key);
  if (!stored || !*stored) return at->second;
  if (auto read = decode_ingredients(**stored)) at->second = *std::move(read);
  return at->second;
}

std::optional<std::vector<ListedFile>> PastBuilds::files(const oci::Digest& content) const {
  const auto stored = store_.build_input(scope_, content);
  if (!stored || !*stored) return std::nullopt;
  auto read = read_listing(**stored);
  return read ? std::optional(*std::move(read)) : std::nullopt;
}

}  // namespace slipway::build
