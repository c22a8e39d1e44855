#include "cli/build_call.hpp"

#include <algorithm>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "build/checks.hpp"
#include "cli/printable.hpp"
#include "cli/value.hpp"
#include "dockerfile/excerpt.hpp"
#include "registry/base64.hpp"

namespace slipway::cli {
namespace {

namespace df = dockerfile;

constexpr int kMostRanges = 1000;  // a heredoc may have millions of lines

Value line(int number) { return Value::Object{{"line", number}}; }

Value location(const SourceRange& range) {
  Value::Array ranges;
  const int last = std::max(range.first_line, range.last_line);
  if (last - range.first_line >= kMostRanges) {
    ranges.emplace_back(Value::Object{{"start", line(range.first_line)}, {"end", line(last)}});
  } else {  // a range for each line, as BuildKit has it
    for (int i = range.first_line; i <= last; ++i)
      ranges.emplace_back(Value::Object{{"start", line(i)}, {"end", line(i)}});
  }
  return Value::Object{{"ranges", std::move(ranges)}};
}

void add_if_said(Value::Object& object, const char* name, const std::string& text) {
  if (!text.empty()) object.emplace_back(name, text);
}

Value sources_of(const df::File& file) { return Value::Array{registry::base64_encode(file.text)}; }

std::string count_of(std::size_t findings, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", findings, findings == 1 ? one : many);
}

std::string excerpt_of(const df::File& file, const SourceRange& range) {
  return df::excerpt(file.text, file.name, range.first_line, range.last_line);
}

std::size_t all_of(const df::Checked& checked) { return checked.findings.size() + checked.left_out; }

std::string left_out_text(const df::Checked& checked) {
  return checked.left_out == 0 ? "" : fmt::format("{} more are not shown\n", checked.left_out);
}

/// Rows of cells in columns with `padding` blanks between them, as Go's tabwriter with a minimal width of 0; the last
/// cell of a row is not padded.
std::string in_columns(const std::vector<std::vector<std::string>>& rows, std::size_t padding) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - columns_of(row[i]) + padding, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string shown(const std::string& text) { return printable(text); }

std::string needs_text(std::string_view heading, const std::vector<df::OutlineNeed>& needs) {
  if (needs.empty()) return {};
  std::vector<std::vector<std::string>> rows{{std::string(heading), "REQUIRED"}};
  for (const auto& need : needs) rows.push_back({shown(need.id), need.required ? "true" : ""});
  return in_columns(rows, 3) + "\n";
}

Value needs_json(const std::vector<df::OutlineNeed>& needs) {
  Value::Array out;
  for (const auto& need : needs) {
    Value::Object one{{"name", need.id}};
    if (need.required) one.emplace_back("required", true);
    one.emplace_back("location", location(need.range));
    out.emplace_back(std::move(one));
  }
  return out;
}

std::string pretty(const Value& value) { return value.json_indented(2) + "\n"; }

/// A file that can not be built makes a check fail even when nothing else was found.
Value::Object build_error(const Error& error) {
  Value::Object out{{"message", error.what()}};
  if (error.range()) {
    out.emplace_back("location", location(*error.range()));
  } else {
    out.emplace_back("location", Value::Object{});
  }
  return out;
}

std::string note_on(const std::string& image) {
  return fmt::format(
      "NOTE: {} is not in the store, so its variables are not known: UndefinedVar is not checked in stages built from "
      "it\n",
      printable(image, 300));
}

Result<int> answer_check(Session& session, const df::File& file, df::CheckFacts facts, const Call& call) {
  facts.all_stages = facts.target.empty();
  const df::CheckOptions options = TRY(df::check_options(file, facts.build_args));
  df::Checked checked = df::check(file, facts, options);
  if (!checked.error) checked.error = df::violation(checked, options);
  if (!call.json)
    for (const auto& image : checked.unknown_bases) session.say(note_on(image));
  TRY(session.out.write(call.json ? check_json(file, checked) : check_text(file, checked)));
  if (checked.error) return std::unexpected(*std::move(checked.error));
  return checked.findings.empty() || call.ignore_status ? 0 : 1;
}

Result<int> answer(Session& session, const df::File& file, const df::CheckFacts& facts, const Call& call) {
  if (call.method == Call::Method::kCheck) return answer_check(session, file, facts, call);
  if (call.method == Call::Method::kTargets) {
    const auto targets = df::targets(file);
    TRY(session.out.write(call.json ? targets_json(file, targets) : targets_text(targets)));
    return 0;
  }
  const df::Outline outline = TRY(df::outline(file, facts));
  TRY(session.out.write(call.json ? outline_json(file, outline) : outline_text(outline)));
  return 0;
}

Result<Call::Method> method_of(const std::string& name) {
  if (name == "build") return Call::Method::kBuild;
  if (name == "check" || name == "lint") return Call::Method::kCheck;
  if (name == "outline") return Call::Method::kOutline;
  if (name == "targets") return Call::Method::kTargets;
  return fail(Code::kUsage, "option --call does not know {}; there are build, check, outline and targets",
              quoted(name, 64));
}

Status read_field(const std::string& name, const std::string& value, Call& call) {
  if (name == "format" && (value == "json" || value == "text")) {
    call.json = value == "json";
    return {};
  }
  if (name == "ignorestatus" && (value == "true" || value == "false" || value == "1" || value == "0")) {
    call.ignore_status = value == "true" || value == "1";
    return {};
  }
  return fail(Code::kUsage, "option --call does not know {}; there are format=text|json and ignorestatus=true",
              quoted(name + "=" + value, 128));
}

}  // namespace

Result<Call> parse_call(const Arguments& arguments) {
  Call call;
  std::optional<Call::Method> method;
  if (const auto text = arguments.value("call"); text && !text->empty()) {
    const auto fields = csv_fields(*text);
    if (!fields) return fail(Code::kUsage, "option --call: {}", fields.error().what());
    for (const auto& field : *fields) {
      const auto equals = field.find('=');
      if (equals != std::string::npos) {
        TRY(read_field(field.substr(0, equals), field.substr(equals + 1), call));
      } else if (method) {
        return fail(Code::kUsage, "option --call {} names two methods", quoted(*text, 128));
      } else {
        method = TRY(method_of(field));
      }
    }
  }
  call.method = method.value_or(Call::Method::kBuild);
  if (!arguments.flag("check")) return call;
  if (method && *method != Call::Method::kCheck)
    return fail(Code::kUsage, "options --check and --call ask for different things");
  call.method = Call::Method::kCheck;
  return call;
}

Result<int> answer_call(Session& session, const build::Request& request, const build::Tools& tools, const Call& call) {
  progress::NullSink sink;
  int code = 0;
  bool answered = false;
  auto done = build::inspect(request, tools, sink, session.cancel,
                             [&](const df::File& file, const df::CheckFacts& facts) -> Status {
                               answered = true;
                               code = TRY(answer(session, file, facts, call));
                               return {};
                             });
  if (done) return code;
  const bool wrong_file = done.error().range().has_value();  // said so on standard output as well, unless answer() did
  if (wrong_file && !answered && call.json && call.method == Call::Method::kCheck) {
    TRY(session.out.write(pretty(Value::Object{
        {"warnings", Value::Array{}}, {"sources", Value::Array{}}, {"buildError", build_error(done.error())}})));
  }
  return std::unexpected(std::move(done).error());
}

FindingsShown findings_shown(const Session& session, const Arguments& arguments) {
  std::string mode = arguments.value("progress").value_or("");
  if (mode.empty()) mode = session.variable("BUILDKIT_PROGRESS");
  const auto parsed = parse_progress_mode(mode);
  if (arguments.flag("quiet") || parsed == ProgressMode::kQuiet) return FindingsShown::kNot;
  return parsed == ProgressMode::kRawJson ? FindingsShown::kAsEvents : FindingsShown::kAsText;
}

std::string findings_text(const df::File& file, const df::Checked& checked, bool debug) {
  if (checked.findings.empty()) return {};
  std::string out = fmt::format("\n {}{}:\n", count_of(all_of(checked), "warning found", "warnings found"),
                                debug ? "" : " (use --debug to expand)");
  for (const auto& finding : checked.findings) {
    out += fmt::format(" - {}\n", df::warning_text(finding));
    if (!debug) continue;
    const df::Rule& rule = df::rule_of(finding.rule);
    out += fmt::format("{}\nMore info: {}\n{}\n", rule.description, df::page_of(rule), excerpt_of(file, finding.range));
  }
  return out + (checked.left_out == 0 ? "" : " - " + left_out_text(checked));
}

std::string check_text(const df::File& file, const df::Checked& checked) {
  if (checked.findings.empty()) return checked.error ? "" : "Check complete, no warnings found.\n";
  std::string out = fmt::format("Check complete, {}\n",
                                count_of(all_of(checked), "warning has been found!", "warnings have been found!"));
  for (const auto& finding : checked.findings) {
    const df::Rule& rule = df::rule_of(finding.rule);
    out += fmt::format("\nWARNING: {} - {}\n{}\n{}", rule.name, df::page_of(rule), printable(finding.message),
                       printable_text(excerpt_of(file, finding.range)));
  }
  return out + left_out_text(checked);
}

std::string check_json(const df::File& file, const df::Checked& checked) {
  Value::Array warnings;
  for (const auto& finding : checked.findings) {
    const df::Rule& rule = df::rule_of(finding.rule);
    warnings.emplace_back(Value::Object{{"ruleName", rule.name},
                                        {"description", rule.description},
                                        {"detail", finding.message},
                                        {"location", location(finding.range)}});
  }
  const Value source =
      Value::Object{{"filename", file.name}, {"data", registry::base64_encode(file.text)}, {"language", "Dockerfile"}};
  Value::Object out{{"warnings", std::move(warnings)}, {"sources", Value::Array{source}}};
  if (checked.error) out.emplace_back("buildError", build_error(*checked.error));
  return pretty(std::move(out));
}

std::string outline_text(const df::Outline& outline) {
  std::string out;
  if (!outline.name.empty() || !outline.description.empty()) {
    std::vector<std::vector<std::string>> rows{{"TARGET:", outline.name.empty() ? "(default)" : shown(outline.name)}};
    if (!outline.description.empty()) rows.push_back({"DESCRIPTION:", shown(outline.description)});
    out += in_columns(rows, 1) + "\n";
  }
  if (!outline.args.empty()) {
    std::vector<std::vector<std::string>> rows{{"BUILD ARG", "VALUE", "DESCRIPTION"}};
    for (const auto& arg : outline.args) rows.push_back({shown(arg.name), shown(arg.value), shown(arg.description)});
    out += in_columns(rows, 3) + "\n";
  }
  return out + needs_text("SECRET", outline.secrets) + needs_text("SSH", outline.ssh);
}

std::string outline_json(const df::File& file, const df::Outline& outline) {
  Value::Object out;
  add_if_said(out, "name", outline.name);
  add_if_said(out, "description", outline.description);
  Value::Array args;
  for (const auto& arg : outline.args) {
    Value::Object one{{"name", arg.name}};
    add_if_said(one, "description", arg.description);
    add_if_said(one, "value", arg.value);
    one.emplace_back("location", location(arg.range));
    args.emplace_back(std::move(one));
  }
  if (!args.empty()) out.emplace_back("args", std::move(args));
  if (!outline.secrets.empty()) out.emplace_back("secrets", needs_json(outline.secrets));
  if (!outline.ssh.empty()) out.emplace_back("ssh", needs_json(outline.ssh));
  out.emplace_back("sources", sources_of(file));
  return pretty(std::move(out));
}

std::string targets_text(const std::vector<df::Target>& targets) {
  std::vector<std::vector<std::string>> rows{{"TARGET", "DESCRIPTION"}};
  for (const auto& target : targets) {
    std::string name = shown(target.name);
    if (target.is_default) name += name.empty() ? "(default)" : " (default)";
    rows.push_back({std::move(name), shown(target.description)});
  }
  return in_columns(rows, 1);
}

std::string targets_json(const df::File& file, const std::vector<df::Target>& targets) {
  Value::Array list;
  for (const auto& target : targets) {
    Value::Object one;
    add_if_said(one, "name", target.name);
    if (target.is_default) one.emplace_back("default", true);
    add_if_said(one, "description", target.description);
    add_if_said(one, "base", target.base);
    add_if_said(one, "platform", target.platform);
    one.emplace_back("location", location(target.range));
    list.emplace_back(std::move(one));
  }
  return pretty(Value::Object{{"targets", std::move(list)}, {"sources", sources_of(file)}});
}

}  // namespace slipway::cli
