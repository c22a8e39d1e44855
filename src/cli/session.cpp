#include "cli/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/registry_options.hpp"
#include "cli/terminal.hpp"
#include "store/rebuilt.hpp"
#include "sys/file.hpp"

namespace slipway::cli {

Result<store::Store> Session::open_store() const {
  store::OpenOptions options;
  if (const std::string limit = variable("SLIPWAY_MAX_SIZE"); !limit.empty())
    options.max_size = TRY(context(parse_human_size(limit), "while reading SLIPWAY_MAX_SIZE"));
  const auto before = store::set_aside_databases(root);
  auto store = TRY(store::Store::open(root, options));  // its errors name the root
  for (const auto& name : store::set_aside_databases(root))
    if (std::ranges::find(before, name) == before.end())
      say(
          fmt::format("WARNING: the store's database was broken or lost; it was made again from the blobs, and {} was "
                      "set aside. Names "
                      "of images, pushed repositories, tags and caches may be gone: 'slipway images -a' and 'slipway "
                      "registry ls' show "
                      "what there is; load or push the rest again, then remove that file\n",
                      printable(fmt::format("{}/{}", root, name), 512)));
  return store;
}

bool Session::tell_of_databases_set_aside() const {
  const auto names = store::set_aside_databases(root);
  for (const auto& name : names)
    say(fmt::format(
        "{} was set aside when the store's database was broken or lost: names, pushed repositories, tags and "
        "caches may have gone with it; remove it, -wal and -shm with it, when nothing is missed\n",
        printable(fmt::format("{}/{}", root, name), 512)));
  return !names.empty();
}

Result<registry::Client> Session::registry_client(const Arguments& arguments) const {
  auto options = TRY(registry::ClientOptions::from_environment(environment, variables));
  TRY(apply_registry_options(arguments, options));
  return registry::Client::make(std::move(options));
}

Result<std::unique_ptr<ProgressReader>> Session::progress(const Arguments& arguments, std::string_view phase) const {
  std::string mode = arguments.value("progress").value_or("");
  if (mode.empty()) mode = variable("BUILDKIT_PROGRESS");
  ProgressSetup setup;
  setup.phase = phase;
  setup.mode = mode.empty() ? ProgressMode::kAuto : TRY(parse_progress_mode(mode));
  if (arguments.flag("quiet")) setup.mode = ProgressMode::kQuiet;
  setup.terminal = is_terminal(STDERR_FILENO) && variable("TERM") != "dumb";
  setup.colours = setup.terminal && variable("NO_COLOR").empty();
  setup.size = [] { return terminal_size(STDERR_FILENO); };
  setup.write = [say = say](std::string_view text) { say(text); };
  setup.clock = [] { return monotonic_ms(); };
  setup.wall_clock = [] { return now(); };
  return make_progress(std::move(setup));
}

Result<std::string> store_root(const Arguments& arguments, const registry::Environment& environment, unsigned uid) {
  const auto variable = [&](const char* name) { return environment(name).value_or(""); };
  std::string root = arguments.value("root").value_or("");
  if (arguments.has("root") && root.empty()) return fail(Code::kUsage, "option --root is empty; name a directory");
  if (root.empty()) root = variable("SLIPWAY_ROOT");
  if (root.empty() && uid == 0) root = "/var/lib/slipway";
  if (root.empty()) {
    std::string data = variable("XDG_DATA_HOME");
    if (data.empty() || data[0] != '/') {
      const std::string home = variable("HOME");
      if (home.empty())
        return fail(Code::kUsage, "there is no place for the store: HOME is not set; use --root DIR or SLIPWAY_ROOT");
      data = home + "/.local/share";
    }
    root = data + "/slipway";
  }
  if (root[0] != '/') {
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == nullptr) return fail_errno("can not tell the working directory");
    root = fmt::format("{}/{}", here, root);
  }
  return root;
}

}  // namespace slipway::cli
