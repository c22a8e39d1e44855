#include "dockerfile/parse_instruction.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/text.hpp"
#include "dockerfile/duration.hpp"
#include "dockerfile/flags.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

using Type = FlagRule::Type;

// The texts of BuildKit: users and tools search for them.
template <class... Args>
std::unexpected<Error> wrong(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::kInvalidArgument, format, std::forward<Args>(args)...);
}

std::string_view name_of(const Statement& statement) { return name_of(*statement.keyword); }

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

Status at_least_one(const Statement& statement) {
  if (!statement.words.empty() || !statement.pairs.empty()) return {};
  return wrong("{} requires at least one argument", name_of(statement));
}

Status exactly_one(const Statement& statement) {
  if (statement.words.size() == 1) return {};
  return wrong("{} requires exactly one argument", name_of(statement));
}

Status no_flags(const Statement& statement) {
  TRY(Flags::parse(statement.flags, {}));
  return {};
}

Source source_of(const Statement& statement, std::string_view file_name) {
  return {.range = {std::string(file_name), statement.first_line, statement.last_line},
          .text = std::string(trim_space(statement.text)),
          .comments = statement.comments,
          .empty_continuation = statement.empty_continuation,
          .joined_last_line = statement.joined_last_line};
}

// `words` from the one at `first` on, as a command.
CommandLine command_of(const Statement& statement, std::size_t first = 0) {
  CommandLine command{.shell_form = !statement.json, .text = {}, .args = {}};
  if (statement.words.size() <= first) return command;
  if (statement.json) {
    command.args.assign(statement.words.begin() + static_cast<std::ptrdiff_t>(first), statement.words.end());
  } else {
    command.text = statement.words[first];
  }
  return command;
}

bool is_stage_name(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && letter(name[0]) && std::ranges::all_of(name, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<StageHeader> parse_from(const Statement& statement, Source source) {
  static constexpr std::array<FlagRule, 1> kRules = {{{"platform"}}};
  const auto& words = statement.words;
  StageHeader header;
  if (words.size() == 3 && lower(words[1]) == "as") {
    header.name = lower(words[2]);
    if (!is_stage_name(header.name)) {
      return wrong("invalid name for build stage: {}, name can't start with a number or contain symbols",
                   quoted(words[2]));
    }
  } else if (words.size() != 1) {
    return wrong("FROM requires either one or three arguments");
  }
  const Flags flags = TRY(Flags::parse(statement.flags, kRules));
  header.from = {.source = std::move(source), .image = words[0], .platform = flags.text("platform")};
  return header;
}

Result<Arg> parse_arg(const Statement& statement, Source source) {
  TRY(at_least_one(statement));
  Arg arg{.source = std::move(source), .items = {}};
  for (const auto& word : statement.words) {
    const auto equals = word.find('=');
    if (equals == 0) return wrong("ARG names can not be blank");
    std::optional<std::string> value;
    if (equals != std::string::npos) value = word.substr(equals + 1);
    arg.items.push_back({word.substr(0, equals), std::move(value)});
  }
  TRY(no_flags(statement));
  return arg;
}

Result<std::vector<NameValue>> parse_pairs(const Statement& statement) {
  TRY(no_flags(statement));
  TRY(at_least_one(statement));
  for (const auto& pair : statement.pairs)
    if (pair.name.empty()) return wrong("{} names can not be blank", name_of(statement));
  return statement.pairs;
}

Status split_sources(const Statement& statement, Copy& copy) {
  const auto& words = statement.words;
  const auto destination = parse_heredoc(words.back());
  if (destination && *destination) {
    return wrong("{} cannot accept a heredoc as a destination", name_of(statement));
  }
  copy.destination = words.back();
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto heredoc = statement.json ? std::optional<Heredoc>{} : parse_heredoc(words[i]).value_or(std::nullopt);
    if (!heredoc) {
      copy.sources.push_back(words[i]);
      continue;
    }
    // of two with one name the later body counts for both, as in BuildKit
    const auto body =
        std::ranges::find(statement.heredocs.rbegin(), statement.heredocs.rend(), heredoc->name, &Heredoc::name);
    if (body == statement.heredocs.rend())
      return wrong("{} has no body: a quote on the line does not end", quoted(words[i], 64));
    Heredoc filled = *heredoc;
    filled.content = body->content;
    copy.inline_files.push_back({filled.name, text_of(filled), filled.expand});
  }
  return {};
}

Result<Copy> parse_copy(const Statement& statement, Source source) {
  static constexpr std::array<FlagRule, 6> kCopyRules = {
      {{"from"}, {"chown"}, {"chmod"}, {"link", Type::kBool}, {"parents", Type::kBool}, {"exclude", Type::kList}}};
  static constexpr std::array<FlagRule, 7> kAddRules = {{{"chown"},
                                                         {"chmod"},
                                                         {"link", Type::kBool},
                                                         {"keep-git-dir", Type::kBool},
                                                         {"checksum"},
                                                         {"unpack", Type::kBool},
                                                         {"exclude", Type::kList}}};
  if (statement.words.size() < 2) {
    return wrong("{} requires at least two arguments, but only one was provided. Destination could not be determined",
                 name_of(statement));
  }
  const bool add = *statement.keyword == Keyword::kAdd;
  const Flags flags = TRY(Flags::parse(statement.flags, add ? std::span<const FlagRule>(kAddRules) : kCopyRules));
  Copy copy{.source = std::move(source), .add = add};
  copy.chown = flags.text("chown");
  copy.chmod = flags.text("chmod");
  copy.excludes = flags.list("exclude");
  copy.link = flags.boolean("link").value_or(false);
  copy.from = flags.text("from");
  copy.parents = flags.boolean("parents").value_or(false);
  copy.checksum = flags.text("checksum");
  copy.keep_git_dir = flags.boolean("keep-git-dir").value_or(false);
  copy.unpack = flags.boolean("unpack");
  TRY(split_sources(statement, copy));
  return copy;
}

Result<Run> parse_run(const Statement& statement, Source source) {
  static constexpr std::array<FlagRule, 4> kRules = {
      {{"mount", Type::kList}, {"network"}, {"security"}, {"device", Type::kList}}};
  const Flags flags = TRY(Flags::parse(statement.flags, kRules));
  Run run{.source = std::move(source), .command = command_of(statement), .heredocs = statement.heredocs};
  run.mounts = flags.list("mount");
  run.devices = flags.list("device");
  if (flags.has("network")) {
    const std::string network = flags.text("network");
    if (network != "default" && network != "none" && network != "host") {
      return wrong("invalid network mode {}", quoted(network));
    }
    run.network = network;
  }
  if (flags.has("security")) {
    const std::string security = flags.text("security");
    if (security != "sandbox" && security != "insecure") return wrong("security {} is not valid", quoted(security));
    run.security = security;
  }
  return run;
}

Result<CommandLine> parse_command(const Statement& statement) {
  TRY(no_flags(statement));
  return command_of(statement);
}

Result<std::string> parse_text(const Statement& statement) {
  TRY(exactly_one(statement));
  TRY(no_flags(statement));
  return statement.words[0];
}

Result<Expose> parse_expose(const Statement& statement, Source source) {
  TRY(at_least_one(statement));
  TRY(no_flags(statement));
  Expose expose{.source = std::move(source), .ports = statement.words};
  std::ranges::sort(expose.ports);
  return expose;
}

Result<Volume> parse_volume(const Statement& statement, Source source) {
  TRY(at_least_one(statement));
  TRY(no_flags(statement));
  for (const auto& path : statement.words)
    if (trim_space(path).empty()) return wrong("VOLUME specified can not be an empty string");
  return Volume{.source = std::move(source), .paths = statement.words};
}

Result<Shell> parse_shell(const Statement& statement, Source source) {
  TRY(no_flags(statement));
  TRY(at_least_one(statement));
  if (!statement.json) return wrong("SHELL requires the arguments to be in JSON form");
  return Shell{.source = std::move(source), .shell = statement.words};
}

Result<std::int64_t> interval_flag(const Flags& flags, std::string_view name) {
  constexpr std::int64_t kLeast = 1'000'000;
  const std::string text = flags.text(name);
  if (text.empty()) return 0;
  const std::int64_t interval = TRY(parse_duration(text));
  if (interval != 0 && interval < kLeast) return wrong("Interval \"{}\" cannot be less than 1ms", name);
  return interval;
}

Result<int> retries_flag(const Flags& flags) {
  const std::string text = flags.text("retries");
  if (text.empty()) return 0;
  std::string_view digits = text;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  int retries = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), retries);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return wrong("strconv.ParseInt: parsing {}: {}", quoted(text, 64),
                 error == std::errc::result_out_of_range ? "value out of range" : "invalid syntax");
  }
  if (retries < 0) return wrong("--retries cannot be negative ({})", retries);
  return retries;
}

Result<Healthcheck> parse_healthcheck(const Statement& statement, Source source) {
  static constexpr std::array<FlagRule, 5> kRules = {
      {{"interval"}, {"timeout"}, {"start-period"}, {"start-interval"}, {"retries"}}};
  TRY(at_least_one(statement));
  Healthcheck check{.source = std::move(source), .test = {}};
  const std::string type = upper(statement.words[0]);
  if (type == "NONE") {
    if (statement.words.size() > 1) return wrong("HEALTHCHECK NONE takes no arguments");
    check.test = {"NONE"};
    return check;
  }
  const Flags flags = TRY(Flags::parse(statement.flags, kRules));
  if (type != "CMD") return wrong("Unknown type {} in HEALTHCHECK (try CMD)", quoted(type));
  if (statement.words.size() < 2) return wrong("Missing command after HEALTHCHECK CMD");
  CommandLine command = command_of(statement, 1);
  check.test = {command.shell_form ? "CMD-SHELL" : "CMD"};
  if (command.shell_form) {
    check.test.push_back(std::move(command.text));
  } else {
    std::ranges::move(command.args, std::back_inserter(check.test));
  }
  check.interval = TRY(interval_flag(flags, "interval"));
  check.timeout = TRY(interval_flag(flags, "timeout"));
  check.start_period = TRY(interval_flag(flags, "start-period"));
  check.start_interval = TRY(interval_flag(flags, "start-interval"));
  check.retries = TRY(retries_flag(flags));
  return check;
}

Result<OnBuild> parse_onbuild(const Statement& statement, Source source) {
  TRY(at_least_one(statement));
  TRY(no_flags(statement));
  const auto child = keyword_of(trim_space(statement.words[0]));
  if (child == Keyword::kOnBuild) return wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (child == Keyword::kFrom || child == Keyword::kMaintainer) {
    return wrong("{} isn't allowed as an ONBUILD trigger", name_of(*child));
  }
  std::string_view rest = trim_left_space(statement.text).substr(name_of(Keyword::kOnBuild).size());
  const auto start = rest.find_first_not_of(" \t\n\f\r");
  std::string trigger(rest.substr(start == std::string_view::npos ? rest.size() : start));
  for (const auto& heredoc : statement.heredocs) trigger += "\n" + heredoc.content + heredoc.name;
  return OnBuild{.source = std::move(source), .trigger = std::move(trigger)};
}

/// The instruction whose one member is what `parsed` holds.
template <class Instruction, class Member>
Result<Parsed> with(Source source, Result<Member> parsed) {
  if (!parsed) return std::unexpected(std::move(parsed).error());
  return Instruction{std::move(source), *std::move(parsed)};
}

Result<Parsed> parse_known(const Statement& statement, Source source) {
  switch (*statement.keyword) {
    case Keyword::kFrom:
      return TRY(parse_from(statement, std::move(source)));
    case Keyword::kArg:
      return TRY(parse_arg(statement, std::move(source)));
    case Keyword::kAdd:
    case Keyword::kCopy:
      return TRY(parse_copy(statement, std::move(source)));
    case Keyword::kRun:
      return TRY(parse_run(statement, std::move(source)));
    case Keyword::kExpose:
      return TRY(parse_expose(statement, std::move(source)));
    case Keyword::kVolume:
      return TRY(parse_volume(statement, std::move(source)));
    case Keyword::kShell:
      return TRY(parse_shell(statement, std::move(source)));
    case Keyword::kHealthcheck:
      return TRY(parse_healthcheck(statement, std::move(source)));
    case Keyword::kOnBuild:
      return TRY(parse_onbuild(statement, std::move(source)));
    case Keyword::kEnv:
      return with<Env>(std::move(source), parse_pairs(statement));
    case Keyword::kLabel:
      return with<Label>(std::move(source), parse_pairs(statement));
    case Keyword::kCmd:
      return with<Cmd>(std::move(source), parse_command(statement));
    case Keyword::kEntrypoint:
      return with<Entrypoint>(std::move(source), parse_command(statement));
    case Keyword::kWorkdir:
      return with<Workdir>(std::move(source), parse_text(statement));
    case Keyword::kUser:
      return with<User>(std::move(source), parse_text(statement));
    case Keyword::kStopSignal:
      return with<StopSignal>(std::move(source), parse_text(statement));
    case Keyword::kMaintainer:
      return with<Maintainer>(std::move(source), parse_text(statement));
  }
  return fail(Code::kInternal, "an instruction without a parser");
}

// The suggestion in the case of letters that the user writes in.
std::string suggestion_for(std::string_view name) {
  if (name.size() > 64) return {};
  const std::string best = nearest(upper(name), keyword_names());
  if (best.empty()) return {};
  return fmt::format(" (did you mean {}?)", upper(name) == name ? best : lower(best));
}

}  // namespace

Result<Parsed> parse_instruction(const Statement& statement, std::string_view file_name) {
  const auto located = [&](const Error& error) {
    return std::unexpected(
        Error(error.code(), fmt::format("dockerfile parse error on line {}: {}", statement.first_line, error.what()))
            .with_range({std::string(file_name), statement.first_line, statement.last_line}));
  };
  if (!statement.keyword) {
    const auto shown = printable(statement.name, 64);
    return located(wrong("unknown instruction: {}{}", shown, suggestion_for(statement.name)).error());
  }
  auto parsed = parse_known(statement, source_of(statement, file_name));
  if (!parsed) return located(parsed.error());
  return parsed;
}

}  // namespace slipway::dockerfile
