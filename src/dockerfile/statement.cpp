#include "dockerfile/statement.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "dockerfile/json_list.hpp"
#include "dockerfile/rune.hpp"
#include "dockerfile/words.hpp"

namespace slipway::dockerfile {
namespace {

// in the order of Keyword, which is alphabetical
constexpr std::array<std::string_view, 18> kNames = {
    "ADD",   "ARG",        "CMD",     "COPY", "ENTRYPOINT", "ENV",        "EXPOSE", "FROM",   "HEALTHCHECK",
    "LABEL", "MAINTAINER", "ONBUILD", "RUN",  "SHELL",      "STOPSIGNAL", "USER",   "VOLUME", "WORKDIR"};

// A shell command or a JSON list; the latter also for the lists of COPY, ADD and VOLUME, whose other form is words.
Status read_json_or(std::string_view rest, bool words, Statement& statement) {
  if (rest.empty()) return {};
  JsonList list = parse_json_list(rest);
  switch (list.kind) {
    case JsonList::Kind::kNotStrings:
      return fail(Code::kInvalidArgument, "when using JSON array syntax, arrays must be comprised of strings only");
    case JsonList::Kind::kStrings:
      statement.json = true;
      std::ranges::move(list.items, std::back_inserter(statement.words));
      break;
    case JsonList::Kind::kNotJson:
      if (!words) {
        statement.words.emplace_back(rest);
      } else {
        for (const auto word : split_blanks(rest)) statement.words.emplace_back(word);
      }
  }
  return {};
}

// `k=v k2="v 2"`, or the old `k rest of the line`: the first word's `=` decides.
Status read_pairs(std::string_view rest, char escape, Statement& statement) {
  const auto words = split_quoted(rest, escape);
  if (words.empty()) return {};
  if (!words[0].contains('=')) {
    const auto end = rest.find_first_of("\t\v\f\r ");
    if (end == std::string_view::npos) {
      return fail(Code::kInvalidArgument, "{} must have two arguments", name_of(*statement.keyword));
    }
    const auto value = rest.find_first_not_of("\t\v\f\r ", end);
    statement.pairs.push_back({std::string(rest.substr(0, end)), std::string(rest.substr(value)), true});
    return {};
  }
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) {
      return fail(Code::kInvalidArgument, "Syntax error - can't find = in {}. Must be of the form: name=value",
                  quoted(word));
    }
    statement.pairs.push_back({word.substr(0, equals), word.substr(equals + 1)});
  }
  return {};
}

Status read_healthcheck(std::string_view rest, Statement& statement) {
  std::string_view type = rest;
  while (!rest.empty() && leading_space(rest) == 0) rest.remove_prefix(1);
  type.remove_suffix(rest.size());
  if (type.empty()) return {};
  statement.words.emplace_back(type);
  return read_json_or(trim_left_space(rest), false, statement);
}

Status read_words(std::string_view rest, char escape, Statement& statement);

Status read_trigger(std::string_view rest, char escape, Statement& statement) {
  if (rest.empty()) return {};
  const std::string_view line = trim_space(rest);
  const std::string_view name = line.substr(0, line.find_first_of("\t\v\f\r "));
  statement.words.emplace_back(name);
  // a child that is ONBUILD again is refused later: no need to follow a chain of them
  if (keyword_of(name) == Keyword::kOnBuild) return {};
  const Statement child = TRY(parse_statement(std::string(rest), escape));
  statement.trigger_takes_heredocs = takes_heredocs(child);
  return {};
}

Status read_words(std::string_view rest, char escape, Statement& statement) {
  switch (*statement.keyword) {
    case Keyword::kRun:
    case Keyword::kCmd:
    case Keyword::kEntrypoint:
    case Keyword::kShell:
      return read_json_or(rest, false, statement);
    case Keyword::kAdd:
    case Keyword::kCopy:
    case Keyword::kVolume:
      return read_json_or(rest, true, statement);
    case Keyword::kEnv:
    case Keyword::kLabel:
      return read_pairs(rest, escape, statement);
    case Keyword::kArg:
      statement.words = split_quoted(rest, escape);
      return {};
    case Keyword::kHealthcheck:
      return read_healthcheck(rest, statement);
    case Keyword::kOnBuild:
      return read_trigger(rest, escape, statement);
    case Keyword::kFrom:
    case Keyword::kExpose:
      if (rest.empty()) return {};
      for (const auto word : split_blanks(rest)) statement.words.emplace_back(word);
      return {};
    case Keyword::kMaintainer:
    case Keyword::kStopSignal:
    case Keyword::kUser:
    case Keyword::kWorkdir:
      if (!rest.empty()) statement.words.emplace_back(rest);
      return {};
  }
  return {};
}

}  // namespace

std::optional<Keyword> keyword_of(std::string_view name) {
  if (name.size() > 16) return {};
  const std::string small = lower(name);
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (small == lower(kNames[i])) return static_cast<Keyword>(i);
  return {};
}

std::string_view name_of(Keyword keyword) { return kNames[static_cast<std::size_t>(keyword)]; }

const std::vector<std::string_view>& keyword_names() {
  static const std::vector<std::string_view> kAll(kNames.begin(), kNames.end());
  return kAll;
}

Result<Statement> parse_statement(std::string text, char escape) {
  Statement statement;
  statement.text = std::move(text);
  const std::string_view line = trim_space(statement.text);
  const auto end = line.find_first_of("\t\v\f\r ");
  statement.name = line.substr(0, end);
  statement.keyword = keyword_of(statement.name);
  std::string_view rest = end == std::string_view::npos ? std::string_view{} : line.substr(end);
  FlagSplit flags = split_flags(rest, escape);
  statement.flags = std::move(flags.flags);
  if (statement.keyword) TRY(read_words(flags.rest, escape, statement));
  return statement;
}

bool takes_heredocs(const Statement& statement) {
  if (statement.json || !statement.keyword) return false;
  if (*statement.keyword == Keyword::kOnBuild) return statement.trigger_takes_heredocs;
  return *statement.keyword == Keyword::kRun || *statement.keyword == Keyword::kCopy ||
         *statement.keyword == Keyword::kAdd;
}

}  // namespace slipway::dockerfile
