#include "cli/progress_reader.hpp"

#include "base/text.hpp"
#include "cli/progress_json.hpp"
#include "cli/progress_plain.hpp"
#include "cli/progress_quiet.hpp"
#include "cli/progress_tty.hpp"

namespace slipway::cli {

Result<ProgressMode> parse_progress_mode(std::string_view text) {
  if (text == "auto") return ProgressMode::kAuto;
  if (text == "plain") return ProgressMode::kPlain;
  if (text == "tty") return ProgressMode::kTty;
  if (text == "rawjson") return ProgressMode::kRawJson;
  if (text == "quiet" || text == "none") return ProgressMode::kQuiet;
  return fail(Code::kUsage, "{} is no way to show progress; there are auto, plain, tty, rawjson and quiet",
              quoted(text, 64));
}

std::unique_ptr<ProgressReader> make_progress(ProgressSetup setup) {
  switch (setup.mode) {
    case ProgressMode::kTty:
      return std::make_unique<TtyProgress>(std::move(setup));
    case ProgressMode::kRawJson:
      return std::make_unique<JsonProgress>(std::move(setup));
    case ProgressMode::kQuiet:
      return std::make_unique<QuietProgress>(std::move(setup));
    case ProgressMode::kAuto:
      if (setup.terminal) return std::make_unique<TtyProgress>(std::move(setup));
      break;
    case ProgressMode::kPlain:
      break;
  }
  return std::make_unique<PlainProgress>(std::move(setup));
}

}  // namespace slipway::cli
