#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/image_inspection.hpp"
#include "cli/template.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

Result<Value> inspect(store::Store& store, const Session& session, const std::string& text,
                      const std::optional<oci::Platform>& platform) {
  const auto found = TRY(image::find(store, session.scope, text));
  const auto details = TRY(image::details(store, found.holder, found.target, found.media_type, platform));
  return inspection_of(details, found.references);
}

Result<int> run(Session& session, const Arguments& arguments) {
  if (const auto type = arguments.value("type"); type && !type->empty() && *type != "image")
    return fail(Code::kUsage, "option --type is image for now, not {}", quoted(*type, 64));
  const auto format = arguments.value("format");
  std::optional<Template> made;
  if (format && !format->empty() && *format != "json") made = TRY(Template::parse(*format));
  const auto platform = TRY(wanted_platform(arguments));
  auto store = TRY(session.open_store());
  int code = 0;
  Value::Array all;
  for (const auto& text : arguments.positional()) {
    auto value = inspect(store, session, text, platform);
    if (!value) {  // the others are still shown, as docker does
      session.say(failure_text(value.error(), session.debug));
      code = kExitFailed;
      continue;
    }
    if (made) {
      TRY(session.out.write(TRY(made->render(*value)) + "\n"));
    } else {
      all.push_back(std::move(*value));
    }
  }
  if (made) return code;
  const Value document(std::move(all));
  TRY(session.out.write((format == "json" ? document.json() : document.json_indented(4)) + "\n"));
  return code;
}

}  // namespace

const Command& inspect_command() {
  static const Command command = {
      .name = "inspect",
      .summary = "Show everything about images, as JSON",
      .arguments = "IMAGE [IMAGE...]",
      .examples = {{"slipway inspect app:1", "docker's image document, in a list"},
                   {"slipway inspect -f '{{.Id}}' app:1", "one field"},
                   {"slipway inspect -f '{{json .Config.Env}}' app:1", "a part, as JSON"}},
      .options =
          {{.name = "format",
            .letter = 'f',
            .takes = Takes::kValue,
            .value = "FORMAT",
            .help = "json or a Go template"},
           {.name = "platform",
            .takes = Takes::kValue,
            .value = "OS/ARCH",
            .help = "the platform to show of an image for several (default: this machine's)"},
           {.name = "type", .takes = Takes::kValue, .value = "TYPE", .help = "image; there is nothing else yet"}},
      .least = 1,
      .most = -1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
