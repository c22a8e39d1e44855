// Foreign steps: RUN for another architecture than this machine's. Where nothing here can run one, the build is refused
// before any step runs; steps that are in the cache need nothing.
//
// When is it known that a step has to run? With --no-cache at once. Otherwise its key may hang on what other steps have
// yet to make; but a step which this store never ran, with these words for this platform, can not be in its cache
// whatever its key will be. That is remembered of every foreign step that ran. One that was run here before, when there
// was an emulator, is refused when the solver has looked for it in vain.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/synced.hpp"
#include "build/ops.hpp"

namespace slipway::build {

struct Plan;

class ForeignPlatforms {
 public:
  /// Whether `platform` is another one than this machine's: its processor does not run it by itself.
  [[nodiscard]] static bool is_foreign(const oci::Platform& platform);

  /// Finds out what runs the foreign steps of `plan`, and refuses the first one that nothing runs and that is surely
  /// not in the cache. Without foreign steps it does nothing.
  [[nodiscard]] Status admit(const Plan& plan, const OpContext& context, const Cancel& cancel);
  /// Why a step of `platform` can not run; nothing when it can, or when that is not known. `name` is the step's.
  [[nodiscard]] std::optional<Error> refusal(const oci::Platform& platform, const std::string& name) const;
  /// A foreign step begins: the first one of a platform tells that it is emulated.
  void begins(const oci::Platform& platform, progress::Sink& sink);
  /// A foreign step with this definition ran.
  [[nodiscard]] static Status ran(const solver::Key& definition, const oci::Platform& platform, store::Store& store);

 private:
  Status look(const Plan& plan, const OpContext& context, const Cancel& cancel);
  std::map<std::string, sandbox::Emulation> emulation_;  // by architecture; complete after admit()
  Synced<std::set<std::string>> told_;
};

}  // namespace slipway::build
