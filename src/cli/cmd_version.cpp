#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/template.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const auto platform = oci::Platform::host();
  const Value facts = Value::Object{{"Version", SLIPWAY_VERSION}, {"Os", platform.os}, {"Arch", platform.architecture}};
  const auto format = arguments.value("format");
  if (format && *format == "json") {
    TRY(session.out.write(facts.json() + "\n"));
  } else if (format) {
    TRY(session.out.write(TRY(TRY(Template::parse(*format)).render(facts)) + "\n"));
  } else {
    TRY(session.out.write(fmt::format("slipway {} {}/{}\n", SLIPWAY_VERSION, platform.os, platform.architecture)));
  }
  return 0;
}

}  // namespace

const Command& version_command() {
  static const Command command = {.name = "version",
                                  .summary = "Show the version",
                                  .examples = {{"slipway version", "for people"},
                                               {"slipway version --format json", "for programs"},
                                               {"slipway version -f '{{.Version}}'", "only the number"}},
                                  .options = {{.name = "format",
                                               .letter = 'f',
                                               .takes = Takes::kValue,
                                               .value = "FORMAT",
                                               .help = "json or a Go template"}},
                                  .needs = Needs::kNothing,
                                  .run = run};
  return command;
}

}  // namespace slipway::cli
