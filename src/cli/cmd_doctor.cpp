#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/printable.hpp"
#include "cli/session.hpp"
#include "sandbox/sandbox.hpp"

namespace slipway::cli {
namespace {

std::string probe_text(const sandbox::Probe& probe) {
  std::string out = fmt::format("{}  {}", probe.ok ? "ok  " : "FAIL", printable_text(probe.name));
  if (!probe.detail.empty()) out += ": " + printable_text(probe.detail);
  out += "\n";
  if (!probe.ok && !probe.knob.empty()) out += fmt::format("      {}\n", printable_text(probe.knob));
  return out;
}

Result<int> run(Session& session, const Arguments&) {
  bool all = true;
  // an ordinary user's steps run in a user namespace, so that is where the probes have to stand
  if (const Status entered = session.enter_user_namespace(); !entered) {
    all = false;
    TRY(session.out.write(
        probe_text({"user namespace of this user", false, entered.error().message(), entered.error().hint()})));
  }
  const sandbox::Options options{.root = session.root, .require_isolation = ""};
  for (const auto& probe : sandbox::probe_machine(options)) {
    all = all && probe.ok;
    TRY(session.out.write(probe_text(probe)));
  }
  if (const auto box = sandbox::Sandbox::make(options)) {
    TRY(session.out.write(printable_text(box->description()) + "\n"));
  } else {
    all = false;
    TRY(session.out.write(fmt::format("isolation: none: {}\n", printable_text(box.error().message()))));
  }
  return all ? 0 : kExitFailed;
}

}  // namespace

const Command& doctor_command() {
  static const Command command = {
      .name = "doctor",
      .summary = "Try everything that builds need of this machine, and say what to change where it fails",
      .examples = {{"slipway doctor", "every probe; exit 1 if one failed"},
                   {"slipway --root /mnt/fast/slipway doctor", "for a store on another file system"},
                   {"sudo -u ci slipway doctor", "as the user that builds"}},
      .needs = Needs::kNothing,  // enters the user namespace by itself, to report what is wrong with it
      .run = run};
  return command;
}

}  // namespace slipway::cli
