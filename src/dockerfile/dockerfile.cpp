#include "dockerfile/dockerfile.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "dockerfile/excerpt.hpp"
#include "dockerfile/lexer.hpp"
#include "dockerfile/parse_instruction.hpp"

namespace slipway::dockerfile {
namespace {

int count_lines(std::string_view text) { return static_cast<int>(std::ranges::count(text, '\n')); }

// The error with its place in the file; a range that lex() left without a file name gets it.
std::unexpected<Error> located(const Error& error, std::string_view text, const std::string& file_name) {
  Error out(error.code(), error.what());
  if (!error.range()) return std::unexpected(std::move(out));
  return std::unexpected(
      with_excerpt(std::move(out), text, {file_name, error.range()->first_line, error.range()->last_line}));
}

// What no instruction may hold, and what the code behind need not think of.
Status check_text(std::string_view text) {
  if (text.empty()) return fail(Code::kInvalidArgument, "the Dockerfile cannot be empty");
  if (text.size() > kFileLimit) {
    return fail(Code::kOutOfRange, "the Dockerfile has {} bytes; at most {} are read", text.size(), kFileLimit);
  }
  const auto nul = text.find('\0');
  if (nul == std::string_view::npos) return {};
  const int line = count_lines(text.substr(0, nul)) + 1;
  return std::unexpected(Error(Code::kInvalidArgument, fmt::format("dockerfile parse error on line {}: NUL byte", line))
                             .with_range({{}, line, line}));
}

Result<File> group(std::vector<Statement> statements, std::string_view text, std::string file_name) {
  File file;
  for (const auto& statement : statements) {
    Parsed parsed = TRY(parse_instruction(statement, file_name));
    if (auto* header = std::get_if<StageHeader>(&parsed)) {
      file.stages.push_back({std::move(header->from), std::move(header->name), {}});
      continue;
    }
    auto& instruction = std::get<Instruction>(parsed);
    if (!file.stages.empty()) {
      file.stages.back().instructions.push_back(std::move(instruction));
    } else if (auto* arg = std::get_if<Arg>(&instruction)) {
      file.global_args.push_back(std::move(*arg));
    } else {
      return std::unexpected(
          Error(Code::kInvalidArgument, "no build stage in current context").with_range(source_of(instruction).range));
    }
  }
  if (statements.empty()) {
    const int last = std::max(1, count_lines(text));
    return std::unexpected(Error(Code::kInvalidArgument, "file with no instructions").with_range({{}, last, last}));
  }
  if (file.stages.empty()) return fail(Code::kInvalidArgument, "dockerfile contains no stages to build");
  return file;
}

}  // namespace

Result<File> parse(std::string_view text, std::string file_name) {
  if (auto checked = check_text(text); !checked) return located(checked.error(), text, file_name);
  auto lexed = lex(text);
  if (!lexed) return located(lexed.error(), text, file_name);
  auto file = group(std::move(lexed->statements), text, file_name);
  if (!file) return located(file.error(), text, file_name);
  file->name = std::move(file_name);
  file->text = text;
  file->directives = std::move(lexed->directives);
  return file;
}

Result<Instruction> parse_trigger(std::string_view text, std::string image) {
  if (auto checked = check_text(text); !checked) return located(checked.error(), text, image);
  auto lexed = lex(text);
  if (!lexed) return located(lexed.error(), text, image);
  if (lexed->statements.size() != 1) {
    return fail(Code::kInvalidArgument, "the ONBUILD trigger {} of {} is not one instruction", quoted(text, 256),
                printable(image, 256));
  }
  auto parsed = parse_instruction(lexed->statements[0], image);
  if (!parsed) return located(parsed.error(), text, image);
  auto* instruction = std::get_if<Instruction>(&*parsed);
  if (instruction == nullptr) return fail(Code::kInvalidArgument, "FROM isn't allowed as an ONBUILD trigger");
  const Keyword keyword = keyword_of(*instruction);
  if (keyword == Keyword::kOnBuild) {
    return fail(Code::kInvalidArgument, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (keyword == Keyword::kMaintainer) {
    return fail(Code::kInvalidArgument, "MAINTAINER isn't allowed as an ONBUILD trigger");
  }
  return std::move(*instruction);
}

std::optional<std::size_t> find_stage(const File& file, std::string_view name, std::size_t count) {
  count = std::min(count, file.stages.size());
  const std::string wanted = lower(name);
  for (std::size_t i = count; i-- > 0;)
    if (!wanted.empty() && file.stages[i].name == wanted) return i;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc{} || end != name.data() + name.size() || index >= count) return {};
  return index;
}

Error at(const File& file, const Source& source, Error error) {
  return with_excerpt(std::move(error), file.text, source.range);
}

}  // namespace slipway::dockerfile
