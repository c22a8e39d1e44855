#include "dockerfile/instruction.hpp"

namespace slipway::dockerfile {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

const Source& source_of(const Instruction& instruction) {
  return std::visit([](const auto& one) -> const Source& { return one.source; }, instruction);
}

Keyword keyword_of(const Instruction& instruction) {
  return std::visit(Overloaded{
                        [](const Arg&) { return Keyword::kArg; },
                        [](const Env&) { return Keyword::kEnv; },
                        [](const Label&) { return Keyword::kLabel; },
                        [](const Copy& copy) { return copy.add ? Keyword::kAdd : Keyword::kCopy; },
                        [](const Run&) { return Keyword::kRun; },
                        [](const Cmd&) { return Keyword::kCmd; },
                        [](const Entrypoint&) { return Keyword::kEntrypoint; },
                        [](const Workdir&) { return Keyword::kWorkdir; },
                        [](const User&) { return Keyword::kUser; },
                        [](const Expose&) { return Keyword::kExpose; },
                        [](const Volume&) { return Keyword::kVolume; },
                        [](const Shell&) { return Keyword::kShell; },
                        [](const StopSignal&) { return Keyword::kStopSignal; },
                        [](const Healthcheck&) { return Keyword::kHealthcheck; },
                        [](const OnBuild&) { return Keyword::kOnBuild; },
                        [](const Maintainer&) { return Keyword::kMaintainer; },
                    },
                    instruction);
}

RunScript script_of(const Run& run) {
  if (run.heredocs.empty()) return {.text = run.command.text, .file = {}};
  const Heredoc& first = run.heredocs[0];
  const auto whole_line = parse_heredoc(run.command.text);
  if (!whole_line || !*whole_line) {
    // the shell reads the heredocs itself: it gets them as they were written
    std::string text = run.command.text;
    for (const auto& heredoc : run.heredocs) text += "\n" + heredoc.content + heredoc.name;
    return {.text = std::move(text), .file = {}};
  }
  std::string body = text_of(first);
  if (!first.content.starts_with("#!")) return {.text = std::move(body), .file = {}};
  return {.text = "/dev/pipes/" + first.name, .file = InlineFile{first.name, std::move(body), false}};
}

}  // namespace slipway::dockerfile
