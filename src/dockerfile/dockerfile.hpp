// The Dockerfile language: text in, values out. No files, no images, no environment of the process.
//
//   Result<File> file = parse(text, "Dockerfile");       // the whole file or its first error, with line and excerpt
//   for (const Stage& stage : file->stages)
//     for (const Instruction& instruction : stage.instructions)
//       std::visit(…, instruction);                       // Arg, Env, Copy, Run … (instruction.hpp)
//
// A *directive* (`# syntax=`, `# escape=`, `# check=`) stands before everything else; a *global ARG* before the first
// FROM; a *stage* begins with FROM. Instructions keep what was written; when the environment is known,
// `expanded(instruction, file.directives.escape, lookup)` (expand_instruction.hpp) removes quotes and replaces
// variables. When something fails later, `at(file, source_of(instruction), error)` adds the line and the excerpt.
// history.hpp has the texts that the image's history shows; ignore.hpp reads .dockerignore; go_match.hpp COPY's
// wildcards; port.hpp, signal.hpp and duration.hpp what EXPOSE, STOPSIGNAL and HEALTHCHECK accept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/directive.hpp"
#include "dockerfile/instruction.hpp"

namespace slipway::dockerfile {

inline constexpr std::size_t kFileLimit = 16 << 20;  ///< bytes of a Dockerfile

struct Stage {
  From from;
  std::string name;  ///< lower case; empty when unnamed
  std::vector<Instruction> instructions;
};

struct File {
  std::string name;  ///< as given to parse()
  std::string text;  ///< all of it, for excerpts
  Directives directives;
  std::vector<Arg> global_args;
  std::vector<Stage> stages;  ///< at least one
};

/// Parses a whole Dockerfile in time and memory linear to its size. Errors are kInvalidArgument with range and excerpt:
/// `dockerfile parse error on line N: …` (parse_instruction.hpp), those of lex() without that prefix, and
/// `the Dockerfile cannot be empty`, `file with no instructions`, `no build stage in current context`,
/// `dockerfile contains no stages to build`; kOutOfRange beyond kFileLimit.
[[nodiscard]] Result<File> parse(std::string_view text, std::string file_name);

/// Parses a trigger as the image config's OnBuild has it. `image` names the base for messages and ranges.
/// Errors as above; ONBUILD, FROM and MAINTAINER are refused.
[[nodiscard]] Result<Instruction> parse_trigger(std::string_view text, std::string image);

/// The index of the stage that --target or --from means: the last stage of that name in any case of letters, else a
/// number. Only the first `count` stages are looked at (those before the one that asks). Nothing: no such stage.
[[nodiscard]] std::optional<std::size_t> find_stage(const File& file, std::string_view name, std::size_t count);

/// `error` with the lines of `source` and their excerpt.
[[nodiscard]] Error at(const File& file, const Source& source, Error error);

}  // namespace slipway::dockerfile
