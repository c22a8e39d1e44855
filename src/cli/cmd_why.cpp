#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/why_report.hpp"
#include "image/image.hpp"

namespace slipway::cli {
namespace {

using Steps = std::vector<build::StepAccount>;

/// A build, and the steps of it that were asked for.
struct Shown {
  store::BuildNote build;
  Steps steps;
};

Result<Steps> steps_of(const store::BuildNote& build) {
  auto account = build::BuildAccount::decode(build.document);
  if (!account)
    return std::unexpected(std::move(account).error().with_hint("it was noted by another version; build again"));
  return std::move(account->steps);
}

Result<Shown> whole(const store::BuildNote& build) { return Shown{build, TRY(steps_of(build))}; }

/// The newest build that made what `text` names, if it names an image that was built here.
Result<std::optional<Shown>> by_image(Session& session, store::Store& store,
                                      const std::vector<store::BuildNote>& builds, const std::string& text,
                                      bool& known) {
  const auto found = image::find(store, session.scope, text);
  known = found.has_value();
  if (!found && found.error().code() == Code::kDataLoss) return std::unexpected(found.error());
  for (const auto& build : builds)
    if (known ? build.manifest == found->target : means_image(text, build)) return TRY(whole(build));
  return std::nullopt;
}

Result<Shown> by_step(const store::BuildNote& newest, const std::string& text) {
  Shown shown = TRY(whole(newest));
  std::erase_if(shown.steps, [&](const build::StepAccount& step) { return !means_step(text, step); });
  return shown;
}

Result<Shown> choose(Session& session, store::Store& store, const std::vector<std::string>& words) {
  const auto builds = TRY(store.noted_builds(session.scope));
  if (builds.empty())
    return std::unexpected(Error(Code::kNotFound, "no build is noted in this store")
                               .with_hint("'slipway build' notes what it does; --root names another store"));
  if (words.empty()) return whole(builds[0]);
  const std::string& text = words[0];
  bool known = false;
  if (!is_step_place(text)) {
    if (auto shown = TRY(by_image(session, store, builds, text, known))) return *std::move(shown);
  }
  Shown shown = TRY(by_step(builds[0], text));
  if (!shown.steps.empty()) return shown;
  if (known)
    return std::unexpected(
        Error(Code::kNotFound, fmt::format("no build of {} is noted", quoted(text, 200)))
            .with_hint(
                "it was pulled or loaded, or many builds were made since; 'slipway why' shows the newest build"));
  return std::unexpected(
      Error(Code::kNotFound,
            fmt::format("there is no image {}, and no such step in the newest build", quoted(text, 200)))
          .with_hint("'slipway why' shows all steps of the newest build, 'slipway images' the images"));
}

Result<std::vector<std::string>> names_of(const Session& session, const store::Store& store,
                                          const store::BuildNote& build) {
  std::vector<std::string> names;
  if (!build.manifest) return names;
  for (const auto& name : TRY(store.list_names(session.scope)))
    if (name.target == *build.manifest && !name.reference.empty()) names.push_back(name.reference);
  std::sort(names.begin(), names.end());
  return names;
}

std::string heading(const Shown& shown, const std::vector<std::string>& names) {
  const store::BuildNote& build = shown.build;
  const std::string_view end = shown.steps.empty() ? " has no step to tell of" : ":";
  const std::string when = human_duration(std::max<std::int64_t>(0, now().seconds - build.made)) + " ago";
  if (!build.manifest)
    return fmt::format("The build of {}, which failed{}\n", lower(when),
                       shown.steps.empty() ? " before a step could run" : ":");
  std::string what = "sha256:" + build.manifest->short_hex();
  if (!names.empty()) {
    const auto first = oci::Reference::parse(names[0]);
    what = fmt::format("{} ({})", first ? first->familiar() : printable(names[0]), what);
  }
  return fmt::format("The build of {} that made {}{}\n", lower(when), what, end);
}

Result<int> run(Session& session, const Arguments& arguments) {
  const std::string format = arguments.value("format").value_or("text");
  if (format != "text" && format != "json")
    return fail(Code::kUsage, "--format is text or json, not {}", quoted(format, 100));
  auto store = TRY(session.open_store());
  const Shown shown = TRY(choose(session, store, arguments.positional()));
  const auto names = TRY(names_of(session, store, shown.build));
  if (format == "json") {
    TRY(session.out.write(why_document(shown.build, names, shown.steps).json() + "\n"));
    return 0;
  }
  session.say(heading(shown, names));
  if (shown.steps.empty()) return 0;
  TRY(session.out.write(why_text(shown.steps, arguments.flag("no-trunc") ? Truncate::kNo : Truncate::kYes)));
  return 0;
}

}  // namespace

const Command& why_command() {
  static const Command command = {
      .name = "why",
      .summary = "Tell why steps of a build ran again",
      .arguments = "[IMAGE | STEP]",
      .examples = {{"slipway why", "every step of the newest build"},
                   {"slipway why app:1", "of the newest build that made this image"},
                   {"slipway why 'npm ci'", "of the newest build, the steps that say this"},
                   {"slipway why 'build 2/5' --format json", "one step, for a script"}},
      .options = {{.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "text, or json (one document)",
                   .completes = Completes::kWords,
                   .words = "text json"},
                  {.name = "no-trunc", .help = "show whole instructions"}},
      .most = 1,
      .completes = Completes::kImage,
      .run = run,
      .notes =
          "A step is cached, or it ran: then the first thing is named that is not as it was in the nearest older\n"
          "record, or the step from which it follows. The last builds of a store are noted, failed ones too."};
  return command;
}

}  // namespace slipway::cli
