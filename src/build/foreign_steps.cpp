#include "build/foreign_steps.hpp"

#include "base/text.hpp"
#include "build/frontend.hpp"

namespace slipway::build {
namespace {

constexpr std::string_view kFact = "foreign step";

}  // namespace

bool ForeignPlatforms::is_foreign(const oci::Platform& platform) {
  const oci::Platform host = oci::Platform::host();
  return platform.os != host.os || platform.architecture != host.architecture;
}

Status ForeignPlatforms::look(const Plan& plan, const OpContext& context, const Cancel& cancel) {
  for (const auto& step : plan.foreign) {
    if (emulation_.contains(step.platform.architecture)) continue;
    const auto box = context.sandbox();
    if (!box) return {};  // no step can run at all: the first one that has to says why
    emulation_.emplace(step.platform.architecture, TRY((*box)->emulation(step.platform.architecture, cancel)));
  }
  return {};
}

Status ForeignPlatforms::admit(const Plan& plan, const OpContext& context, const Cancel& cancel) {
  TRY(look(plan, context, cancel));
  for (const auto& step : plan.foreign) {
    const solver::Vertex& vertex = plan.graph.vertices()[step.vertex];
    const Place& place = plan.places[step.vertex];
    auto refused = refusal(step.platform, place.name);
    if (!refused) continue;
    const solver::Key definition = TRY(vertex.op->definition(cancel));
    const bool known = TRY(context.shop.store.recall(kFact, definition.text())).has_value();
    if (vertex.ignore_records || !known) return std::unexpected(place.locate(*std::move(refused)));
    TRY(ran(definition, step.platform, context.shop.store));  // so that it is not forgotten before the step itself is
  }
  return {};
}

std::optional<Error> ForeignPlatforms::refusal(const oci::Platform& platform, const std::string& name) const {
  const std::string text = platform.full_text();
  if (platform.os != "linux")
    return Error(Code::kFailedPrecondition,
                 fmt::format("{} can not run: it is for {}, this machine runs linux", printable(name, 200), text))
        .with_hint("run the step in a stage with FROM --platform=$BUILDPLATFORM, and COPY --from its result");
  const auto found = emulation_.find(platform.architecture);
  if (found == emulation_.end() || found->second.how != sandbox::Emulation::How::kNone) return std::nullopt;
  const sandbox::Emulation& none = found->second;
  return Error(Code::kFailedPrecondition,
               fmt::format("{} can not run: it is for {}, this machine is {} and has no emulator: {}",
                           printable(name, 200), text, oci::Platform::host().text(), none.reason))
      .with_hint(
          fmt::format("{}{}run the step in a stage with FROM --platform=$BUILDPLATFORM, and COPY --from its result",
                      none.knob, none.knob.empty() ? "" : "; or "));
}

void ForeignPlatforms::begins(const oci::Platform& platform, progress::Sink& sink) {
  const auto found = emulation_.find(platform.architecture);
  if (found == emulation_.end() || found->second.how != sandbox::Emulation::How::kEmulated) return;
  if (!told_.lock()->insert(platform.architecture).second) return;
  sink.on(progress::Warning{
      fmt::format("steps for {} are emulated by {}: they are slow", platform.full_text(), found->second.by)});
}

Status ForeignPlatforms::ran(const solver::Key& definition, const oci::Platform& platform, store::Store& store) {
  return store.remember(kFact, definition.text(), platform.full_text());
}

}  // namespace slipway::build
