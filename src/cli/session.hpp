// Session: what one run of the program works with, handed to the command: environment, streams, the store's place.
// Nothing is opened before a command asks for it: `slipway version` touches no store and no TLS.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "cli/option.hpp"
#include "cli/output.hpp"
#include "cli/progress_reader.hpp"
#include "registry/client.hpp"
#include "store/store.hpp"

namespace slipway::cli {

class Session {
 public:
  registry::Environment environment;
  std::string root;  ///< of the store
  bool debug = false;
  Cancel cancel;
  StandardOutput& out;
  std::string scope = "default";
  /// Text for people, at once (standard error).
  std::function<void(std::string_view)> say = [](std::string_view) {};
  registry::Variables variables = {};  ///< all of the environment, for credential helpers
  /// For an ordinary user: enters the user namespace that the store lives in. Called by main before the command; doctor
  /// calls it by itself to report what is wrong.
  std::function<Status()> enter_user_namespace = [] { return Status{}; };

  [[nodiscard]] std::string variable(const std::string& name) const { return environment(name).value_or(""); }
  /// Says it when the store's database was lost or broken and had to be made anew.
  [[nodiscard]] Result<store::Store> open_store() const;
  /// Whether a database was set aside and not removed yet; then it says so.
  bool tell_of_databases_set_aside() const;
  /// Registries as environment, files and the options of cli/registry_options.hpp have them.
  [[nodiscard]] Result<registry::Client> registry_client(const Arguments& arguments) const;
  /// Reader of progress as `--progress` (or --quiet, BUILDKIT_PROGRESS, and whether standard error is a terminal) says;
  /// `phase` is "Building", "Pulling", ….
  [[nodiscard]] Result<std::unique_ptr<ProgressReader>> progress(const Arguments& arguments,
                                                                 std::string_view phase) const;
};

/// --root, else SLIPWAY_ROOT, else /var/lib/slipway for uid 0 and the XDG data folder otherwise; absolute.
[[nodiscard]] Result<std::string> store_root(const Arguments& arguments, const registry::Environment& environment,
                                             unsigned uid);

/// The options that commands with progress share.
inline constexpr Option kProgressOption = {
    .name = "progress",
    .takes = Takes::kValue,
    .value = "MODE",
    .help = "auto, plain, tty, rawjson (a JSON object per line) or quiet (BUILDKIT_PROGRESS)",
    .completes = Completes::kWords,
    .words = "auto plain tty rawjson quiet"};

}  // namespace slipway::cli
