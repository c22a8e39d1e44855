#include "dockerfile/check_stage.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "dockerfile/check_walk.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "dockerfile/go_match.hpp"
#include "dockerfile/port.hpp"
#include "dockerfile/signal.hpp"

namespace slipway::dockerfile {
namespace {

// A base image may trigger as much as its config holds; thousands of stages built from it shall not.
constexpr std::size_t kMostTriggers = 100;

constexpr std::array<std::string_view, 10> kSecretWords = {"apikey",   "auth",  "credential", "credentials", "key",
                                                           "password", "pword", "passwd",     "secret",      "token"};
constexpr std::array<std::string_view, 3> kHarmlessWords = {"public", "file", "version"};

// Names that are read by the builder and never set.
constexpr std::array<std::string_view, 2> kNeverSet = {"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"};

template <class List>
bool holds(const List& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

// Whether a part of the name between underscores says that the value is a secret, and none that it is not.
bool names_secret(std::string_view name) {
  const std::string small = lower(name);
  bool secret = false;
  for (const auto word : split(small, '_')) {
    if (holds(kHarmlessWords, word)) return false;
    secret = secret || holds(kSecretWords, word);
  }
  return secret;
}

bool is_remote(const Copy& copy, std::string_view source) {
  if (!copy.add) return false;
  for (const std::string_view start : {"http://", "https://", "git://", "ssh://", "git@", "github.com/"})
    if (source.starts_with(start)) return true;
  return false;
}

}  // namespace

std::string written_name(const Source& source) {
  const std::string_view text = source.text;
  return std::string(text.substr(0, text.find_first_of(" \t\v\f\r")));
}

std::optional<Error> StageChecker::look(const Stage& stage) {
  place_ = &stage.from.source;
  if (auto done = run_triggers(stage); !done) return at(file_, stage.from.source, std::move(done).error());
  for (const auto& instruction : stage.instructions) {
    place_ = &source_of(instruction);
    name_ = written_name(*place_);
    auto done = std::visit(*this, instruction);
    if (!done) return at(file_, *place_, std::move(done).error());
  }
  return std::nullopt;
}

Status StageChecker::run_triggers(const Stage& stage) {
  std::size_t count = 0;
  for (const auto& text : state_.triggers) {
    if (++count > kMostTriggers) break;
    const Instruction trigger = TRY(parse_trigger(text, stage.from.image));
    name_ = written_name(source_of(trigger));
    TRY(std::visit(*this, trigger));
  }
  state_.triggers.clear();
  return {};
}

Lookup StageChecker::silent() const {
  return [this](std::string_view name) { return scope_.find(name); };
}

Lookup StageChecker::reporting() {
  return [this](std::string_view name) {
    auto value = scope_.find(name);
    if (!value) report_undefined(name);
    return value;
  };
}

void StageChecker::report_undefined(std::string_view name) {
  if (!state_.env_known || scope_.declared(name) || holds(kNeverSet, name)) return;
  const std::string near = scope_.nearest_to(name);
  add(RuleId::kUndefinedVar, fmt::format("Usage of undefined variable '${}'{}", name,
                                         near.empty() ? "" : fmt::format(" (did you mean ${}?)", near)));
}

void StageChecker::report_secret(std::string_view instruction, const std::string& name) {
  if (!names_secret(name)) return;
  add(RuleId::kSecretsUsedInArgOrEnv,
      fmt::format("Do not use ARG or ENV instructions for sensitive data ({} {})", instruction, go_quoted(name)));
}

void StageChecker::report_legacy(const std::vector<NameValue>& pairs) {
  for (const auto& pair : pairs) {
    if (!pair.legacy) continue;
    add(RuleId::kLegacyKeyValueFormat,
        fmt::format("\"{0} key=value\" should be used instead of legacy \"{0} key value\" format", name_));
  }
}

Status StageChecker::operator()(const Arg& arg) {
  for (const auto& item : arg.items) {
    report_secret("ARG", item.name);
    const auto given = std::find_if(facts_.build_args.rbegin(), facts_.build_args.rend(),
                                    [&](const auto& pair) { return pair.first == item.name; });
    SeenArg seen{.name = item.name, .source = place_};
    if (given != facts_.build_args.rend()) {
      seen.value = given->second;
    } else if (item.value) {
      seen.value = TRY(expand_word(*item.value, file_.directives.escape, reporting()));
    } else {
      seen.value = globals_.find(item.name);
      seen.from_global = seen.value.has_value();
    }
    if (seen.value) scope_.set(item.name, *seen.value);
    scope_.declare(item.name);
    if (record_ == nullptr) continue;
    if (seen.value) seen.value = scope_.find(item.name);  // cut, for a file may hold millions
    record_->args.push_back(std::move(seen));
  }
  return {};
}

Status StageChecker::operator()(const Env& env) {
  const Env out = TRY(expanded(env, file_.directives.escape, reporting()));
  report_legacy(env.pairs);
  for (const auto& pair : out.pairs) {
    report_secret("ENV", pair.name);
    scope_.set(pair.name, pair.value);
  }
  return {};
}

Status StageChecker::operator()(const Label& label) {
  (void)TRY(expanded(label, file_.directives.escape, reporting()));
  report_legacy(label.pairs);
  return {};
}

Status StageChecker::operator()(const Copy& copy) {
  report_ignored(TRY(expanded(copy, file_.directives.escape, reporting())));
  return {};
}

void StageChecker::report_ignored(const Copy& copy) {
  if (!facts_.ignored || !copy.from.empty()) return;
  for (const auto& source : copy.sources) {
    if (is_remote(copy, source)) continue;
    const std::string shown = go_clean(source);
    const std::string path = shown.starts_with('/') ? go_clean("." + shown) : shown;
    if (!facts_.ignored(path)) continue;
    add(RuleId::kCopyIgnoredFile, fmt::format("Attempting to {} file {} that is excluded by .dockerignore",
                                              copy.add ? "Add" : "Copy", go_quoted(shown)));
  }
}

Status StageChecker::operator()(const Run& run) {
  for (const auto& text : run.mounts) {
    Mount mount = TRY(parse_mount(text, file_.directives.escape, reporting()));
    const bool listed = mount.type == Mount::Type::kSecret || mount.type == Mount::Type::kSsh;
    if (record_ != nullptr && listed) record_->mounts.push_back({std::move(mount), place_});
  }
  return {};
}

void StageChecker::used_once(const Source*& before) {
  if (before != nullptr) {
    collector_.add(RuleId::kMultipleInstructionsDisallowed, *before,
                   fmt::format("Multiple {} instructions should not be used in the same stage because only the last "
                               "one will be used",
                               name_),
                   place_);
  }
  before = place_;
}

void StageChecker::report_shell_form(const CommandLine& command) {
  if (!command.shell_form || state_.shell_set) return;
  add(RuleId::kJsonArgsRecommended,
      fmt::format("JSON arguments recommended for {} to prevent unintended behavior related to OS signals", name_));
}

Status StageChecker::operator()(const Cmd& cmd) {
  used_once(cmd_);
  report_shell_form(cmd.command);
  return {};
}

Status StageChecker::operator()(const Entrypoint& entrypoint) {
  used_once(entrypoint_);
  report_shell_form(entrypoint.command);
  return {};
}

Status StageChecker::operator()(const Healthcheck&) {
  used_once(healthcheck_);
  return {};
}

Status StageChecker::operator()(const Workdir& workdir) {
  const Workdir out = TRY(expanded(workdir, file_.directives.escape, reporting()));
  if (!state_.workdir_set && !out.path.starts_with('/')) {
    add(RuleId::kWorkdirRelativePath,
        fmt::format("Relative workdir {} can have unexpected results if the base image changes", go_quoted(out.path)));
  }
  state_.workdir_set = true;
  return {};
}

Status StageChecker::operator()(const User& user) {
  (void)TRY(expanded(user, file_.directives.escape, reporting()));
  return {};
}

Status StageChecker::operator()(const Volume& volume) {
  (void)TRY(expanded(volume, file_.directives.escape, reporting()));
  return {};
}

Status StageChecker::operator()(const Shell&) {
  state_.shell_set = true;
  return {};
}

Status StageChecker::operator()(const StopSignal& signal) {
  const StopSignal out = TRY(expanded(signal, file_.directives.escape, reporting()));
  TRY(parse_signal(out.signal));
  return {};
}

Status StageChecker::operator()(const Expose& expose) {
  const Expose out = TRY(expanded(expose, file_.directives.escape, silent()));
  for (const auto& port : out.ports) {
    // a range is counted out by parse_ports(), which would cost more than looking
    if (!port.contains('-')) TRY(parse_ports({port}));
    report_port(port);
  }
  return {};
}

void StageChecker::report_port(const std::string& port) {
  const auto colon = port.rfind(':');
  const auto slash = port.find('/', colon == std::string::npos ? 0 : colon);
  const std::string protocol = slash == std::string::npos ? "" : port.substr(slash + 1);
  if (protocol != lower(protocol)) {
    add(RuleId::kExposeProtoCasing,
        fmt::format("Defined protocol '{}' in EXPOSE instruction should be lowercase", port));
  }
  if (colon != std::string::npos && colon > 0) {
    add(RuleId::kExposeInvalidFormat,
        fmt::format("EXPOSE instruction should not define an IP address or host-port mapping, found '{}'", port));
  }
}

}  // namespace slipway::dockerfile
