#include "sandbox/sandbox.hpp"

#include "base/text.hpp"
#include "sandbox/overlay_rung.hpp"

namespace slipway::sandbox {

struct Sandbox::State {
  std::unique_ptr<OverlayRung> rung;
  std::string description;
};

Sandbox::Sandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

Result<Sandbox> Sandbox::make(const Options& options) {
  if (!options.require_isolation.empty() && options.require_isolation != "overlay")
    return fail(Code::kInvalidArgument, "unknown isolation {}: the only one is \"overlay\"",
                quoted(options.require_isolation));
  auto state = std::make_unique<State>();
  state->rung = TRY(context(OverlayRung::make(options.root, options.reach_host),
                            "while preparing isolation \"overlay\" on {}", printable(options.root)));
  state->description = "isolation: " + state->rung->description();
  return Sandbox(std::move(state));
}

const std::string& Sandbox::description() const { return state_->description; }
std::string Sandbox::network_note() const { return state_->rung->networks().note(); }
void Sandbox::warm_network() { state_->rung->networks().warm(); }
Result<sys::ExitStatus> Sandbox::run(const Spec& spec, const Output& output, const Cancel& cancel) {
  return state_->rung->run(spec, output, cancel);
}
Result<Emulation> Sandbox::emulation(std::string_view architecture, const Cancel& cancel) {
  return state_->rung->emulation(architecture, cancel);
}

}  // namespace slipway::sandbox
