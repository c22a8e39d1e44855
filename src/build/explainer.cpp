#include "build/explainer.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "build/reason.hpp"

namespace slipway::build {
namespace {

/// Hidden vertices stand between shown ones, a few in a row at most: the copy that a bind mount shows, and what ADD
/// brings.
constexpr int kHiddenDepth = 4;

StepReason simple(const char* kind, const char* text) {
  return {.kind = kind, .name = {}, .text = text, .mount = {}, .follows = {}};
}

StepReason no_record() {
  return simple("record", "its record is gone from the store (removed by gc, or a part of it is missing)");
}

/// Under which name Gathered::inputs has the vertex of an ingredient.
std::string input_name(const Ingredient& each) {
  if (each.what == What::kFiles) return "files " + each.from;
  return each.what == What::kBase ? "base " + each.name : "step " + each.value;
}

}  // namespace

Explainer::Explainer(const Workshop& shop, const Plan& plan, const Request& request, const std::string& project,
                     const Cancel& cancel)
    : shop_(shop),
      plan_(plan),
      request_(request),
      project_(value_of(oci::Digest::of(project))),
      cancel_(cancel),
      steps_(plan.places.size()),
      past_(shop.store, shop.scope) {}

DescribedOp& Explainer::op(std::size_t vertex) const {
  return static_cast<DescribedOp&>(*plan_.graph.vertices()[vertex].op);
}

/// The vertex that is shown for `vertex`: of a merge that is the link which it puts upon its base.
std::size_t Explainer::shown_for(std::size_t vertex) const {
  const auto& inputs = plan_.graph.vertices()[vertex].inputs;
  return !shown(vertex) && op(vertex).kind() == "merge" ? inputs[1].vertex : vertex;
}

std::string Explainer::text_of(std::size_t vertex) const {
  return value_of(oci::Digest::of(take_apart(place(vertex).name).text));
}

// --- what a step is made from

void Explainer::gather(std::size_t vertex, const std::string& via, int depth, Gathered& into) const {
  auto own = op(vertex).ingredients(cancel_);
  for (auto& each : own ? *own : std::vector<Ingredient>()) {
    each.via = via;
    if (each.listing) into.contents.emplace(*each.listing, &op(vertex));
    if (each.what == What::kBase && shown(vertex)) into.inputs.emplace(input_name(each), vertex);
    into.ingredients.push_back(std::move(each));
  }
  const auto& verdict = steps_[vertex].verdict;
  if (!verdict) return;
  for (std::size_t i = 0; i < verdict->inputs.size(); ++i)
    gather_input(vertex, i, via.empty() ? op(vertex).via(i) : via, depth, into);
}

void Explainer::gather_input(std::size_t vertex, std::size_t input, const std::string& via, int depth,
                             Gathered& into) const {
  const solver::Verdict& verdict = *steps_[vertex].verdict;
  const solver::Input& edge = plan_.graph.vertices()[vertex].inputs[input];
  const std::size_t seen = shown_for(edge.vertex);
  Ingredient each{
      .what = What::kStep, .name = place(seen).name, .value = {}, .via = via, .from = {}, .listing = std::nullopt};
  // What ADD brings tells of itself: where it lies meanwhile means nothing to anybody.
  if (edge.by_content && !shown(seen) && depth < kHiddenDepth) return gather(edge.vertex, via, depth + 1, into);
  if (edge.by_content) {
    // Of a hit by the fast key the content is not known.
    if (!verdict.contents[input]) return;
    each = {.what = What::kFiles,
            .name = {},
            .value = value_of(*verdict.contents[input]),
            .via = via,
            .from = place(seen).name,
            .listing = *verdict.contents[input]};
    into.contents.emplace(*each.listing, &op(vertex));
  } else {
    const bool source = !op(edge.vertex).recorded() && seen == edge.vertex;
    if ((source || !shown(seen)) && depth < kHiddenDepth) return gather(edge.vertex, via, depth + 1, into);
    each.value = value_of(verdict.inputs[input]);
  }
  into.inputs.emplace(input_name(each), edge.vertex);
  into.ingredients.push_back(std::move(each));
}

Explainer::Listings Explainer::list(const Gathered& gathered) const {
  Listings listings;
  for (const auto& [content, from] : gathered.contents) {
    const auto kept = shop_.store.has_build_input(shop_.scope, content);
    if (kept && *kept) continue;
    std::string packed = from->listing(content, cancel_);
    if (!packed.empty()) listings.emplace(content, std::move(packed));
  }
  return listings;
}

// --- why it runs

std::optional<progress::Reason> Explainer::judged(std::size_t vertex, const solver::Verdict& verdict) {
  using Found = solver::Verdict::Found;
  Gathered gathered;
  {
    const std::lock_guard lock(mutex_);
    Step& step = steps_[vertex];
    step.verdict = verdict;
    step.missed = false;
    if (!shown(vertex)) {
      judge_hidden(vertex, verdict.found);
      return std::nullopt;
    }
    step.cause = place(vertex).name;
    if (verdict.found == Found::kRecord) return progress::Reason{.id = place(vertex).id, .hit = true};
    gather(vertex, "", 0, gathered);
  }
  Listings listings = list(gathered);  // may walk a context: other steps need not wait
  const std::lock_guard lock(mutex_);
  Step& step = steps_[vertex];
  step.ingredients = gathered.ingredients;
  listings_.merge(std::move(listings));
  load_past();
  if (verdict.found == Found::kSource && *loaded_ && past_.with_key(verdict.fast) != nullptr)
    return progress::Reason{.id = place(vertex).id, .hit = true};  // as it was before
  step.missed = true;
  step.reason = reason_of(vertex, gathered);
  if (!step.reason.follows.empty()) step.cause = step.reason.follows;
  const StepReason& why = step.reason;
  return progress::Reason{place(vertex).id, false, why.kind, why.name, why.text, why.mount, why.follows};
}

/// A link upon its base is another when one of the two is; the link itself is the nearer cause. That it was a hit does
/// not say that it is the old one: a mount may have shown the same files.
void Explainer::judge_hidden(std::size_t vertex, solver::Verdict::Found found) {
  if (found == solver::Verdict::Found::kRecord || op(vertex).kind() != "merge") return;
  load_past();
  const auto& inputs = plan_.graph.vertices()[vertex].inputs;
  const Step& link = steps_[inputs[1].vertex];
  const bool old = !link.missed && link.verdict && past_.with_key(link.verdict->fast) != nullptr;
  steps_[vertex].cause = old ? steps_[inputs[0].vertex].cause : link.cause;
}

void Explainer::load_past() {
  if (loaded_) return;
  loaded_ = past_.load();
  for (std::size_t v = 0; v < steps_.size(); ++v)
    if (shown(v)) texts_.insert(text_in_stage(take_apart(place(v).name).stage, text_of(v)));
}

StepReason Explainer::reason_of(std::size_t vertex, const Gathered& gathered) {
  using Found = solver::Verdict::Found;
  const solver::Verdict& verdict = *steps_[vertex].verdict;
  if (verdict.found == Found::kNotAsked)
    return simple("no-cache", request_.no_cache ? "--no-cache" : "--no-cache-filter");
  if (verdict.found == Found::kLost) return no_record();
  if (!*loaded_) return simple("unknown", "what was built before can not be read");
  const ShownName name = take_apart(place(vertex).name);
  const std::string text = text_of(vertex);
  const Sought sought{.project = project_,
                      .stage = name.stage,
                      .kind = op(vertex).kind(),
                      .text = text,
                      .place = name.place,
                      .key = verdict.fast,
                      .ingredients = gathered.ingredients};
  const StepAccount* old = past_.nearest(sought, texts_);
  return old == nullptr ? simple("new", "no older record of this step") : compared(vertex, *old, gathered);
}

StepReason Explainer::compared(std::size_t vertex, const StepAccount& old, const Gathered& gathered) {
  if (old.key == steps_[vertex].verdict->fast) {
    if (old.ended == StepAccount::Ended::kFailed) return simple("failed", "it failed the last time");
    if (old.ended == StepAccount::Ended::kStopped) return simple("failed", "it was stopped the last time");
    return no_record();
  }
  const auto& before = past_.ingredients(old.key);
  if (before.empty()) return simple("unknown", "what it was made from before is not known");
  const Comparison comparison{
      .before = before,
      .now = gathered.ingredients,
      .same_text = old.text == text_of(vertex),
      .file = [this](const oci::Digest& then, const oci::Digest& now) { return changed_file(then, now); },
      .cause = [&](const Ingredient& input) { return cause_of(input, gathered); }};
  return first_difference(comparison).value_or(no_record());
}

std::optional<FileChange> Explainer::changed_file(const oci::Digest& before, const oci::Digest& now) const {
  const auto old = past_.files(before);
  if (!old) return std::nullopt;
  const auto made = listings_.find(now);
  if (made == listings_.end()) {
    const auto kept = past_.files(now);
    return kept ? first_change(*old, *kept) : std::nullopt;
  }
  const auto listed = read_listing(made->second);
  return listed ? first_change(*old, *listed) : std::nullopt;
}

std::string Explainer::cause_of(const Ingredient& input, const Gathered& gathered) const {
  const auto found = gathered.inputs.find(input_name(input));
  if (found == gathered.inputs.end()) return {};
  return input.what == What::kBase ? place(found->second).name : steps_[found->second].cause;
}

void Explainer::ended(std::size_t vertex, StepAccount::Ended how) {
  const std::lock_guard lock(mutex_);
  steps_[vertex].ended = how;
}

// --- what is kept

StepAccount Explainer::account(std::size_t vertex) const {
  const Step& step = steps_[vertex];
  const ShownName name = take_apart(place(vertex).name);
  const auto ended = step.missed ? step.ended.value_or(StepAccount::Ended::kStopped) : StepAccount::Ended::kCached;
  return {.name = place(vertex).name,
          .stage = std::string(name.stage),
          .place = name.place,
          .kind = std::string(op(vertex).kind()),
          .text = text_of(vertex),
          .key = step.verdict->fast,
          .ended = ended,
          .reason = step.missed ? step.reason : StepReason()};
}

Status Explainer::add_inputs(std::size_t vertex, std::vector<store::BuildInput>& inputs) {
  const Step& step = steps_[vertex];
  std::vector<Ingredient> ingredients = step.ingredients;
  if (ingredients.empty()) {  // a hit: usually of something that is kept already
    if (TRY(shop_.store.has_build_input(shop_.scope, step.verdict->fast))) return {};
    Gathered gathered;
    gather(vertex, "", 0, gathered);
    listings_.merge(list(gathered));
    ingredients = std::move(gathered.ingredients);
  }
  store::BuildInput input{step.verdict->fast, encode(ingredients), {}};
  for (const auto& each : ingredients) {
    if (!each.listing) continue;
    input.needs.push_back(*each.listing);
    if (const auto made = listings_.find(*each.listing); made != listings_.end())
      inputs.push_back({made->first, made->second, {}});
  }
  inputs.push_back(std::move(input));
  return {};
}

Status Explainer::note(const std::optional<oci::Digest>& manifest, const std::optional<oci::Digest>& config) {
  const std::lock_guard lock(mutex_);
  BuildAccount build{.project = project_, .steps = {}};
  std::vector<oci::Digest> needs;
  for (std::size_t v = 0; v < steps_.size(); ++v) {
    if (!shown(v) || !steps_[v].verdict) continue;
    build.steps.push_back(account(v));
    needs.push_back(build.steps.back().key);
  }
  store::BuildNote note{
      .identity = oci::Digest::of(""), .manifest = manifest, .config = config, .document = build.encode(), .made = 0};
  const auto text = [](const std::optional<oci::Digest>& digest) { return digest ? digest->text() : "none"; };
  note.identity = oci::Digest::of(text(manifest) + text(config) + note.document);
  if (TRY(shop_.store.renew_build(shop_.scope, note.identity))) return {};
  std::vector<store::BuildInput> inputs;
  for (std::size_t v = 0; v < steps_.size(); ++v)
    if (shown(v) && steps_[v].verdict) TRY(add_inputs(v, inputs));
  return shop_.store.note_build(shop_.scope, note, needs, inputs);
}

}  // namespace slipway::build
